//! Zip files, written in one go: PKWARE's APPNOTE 6.3, with Zip64 where sizes ask for it.
//!
//! A file that fits into one piece is written with its size and checksum before it; a larger one has them behind it, as
//! streams do. What is compressed already is framed without being compressed again.

use std::io::Write;
use std::path::Path;

use crate::archive::deflate::{Deflated, Deflater};
use crate::archive::file::Source;
use crate::archive::parallel::{self, Lost};
use crate::archive::{ArchiveError, Entry, Hashing};

/// Bytes of a file that are compressed by themselves.
const PIECE: usize = 1 << 20;

/// From this size on a file is announced as a large one: compressed it could still be a little longer.
const LARGE: u64 = 0xFFFF_FFFF - (64 << 20);

/// The time of every entry, in the form of DOS: 1 January 1980, the first that there is.
const DATE: u16 = 1 << 5 | 1;

/// Names are UTF-8.
const UTF8: u16 = 1 << 11;

/// Size and checksum stand behind the data.
const STREAMED: u16 = 1 << 3;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Endings of files that compression makes no smaller.
const COMPRESSED: [&str; 41] = [
    "7z", "aab", "apk", "avi", "avif", "br", "bz2", "crate", "deb", "docx", "flac", "gif", "gz", "heic",
    "jar", "jpeg", "jpg", "lz4", "lzma", "m4a", "mkv", "mov", "mp3", "mp4", "nupkg", "ogg", "parquet", "png",
    "pptx", "rar", "rpm", "tgz", "vsix", "war", "webm", "webp", "whl", "woff2", "xlsx", "xz", "zip",
];

/// First bytes of the same.
const MAGIC: [&[u8]; 12] = [
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf\x27\x1c",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"Rar!",
    b"\x04\x22\x4d\x18",
    b"wOF2",
];

/// A piece of a file, to be compressed.
struct Piece {
    bytes: Vec<u8>,
    /// 0: only framed.
    level: u8,
    is_last: bool,
    /// Which entry it belongs to.
    entry: usize,
    is_first: bool,
}

/// A piece that was compressed.
struct Made {
    deflated: Result<Deflated, flate2::CompressError>,
    /// The bytes before, where the whole file is in them and they are no longer than what they became.
    raw: Option<Vec<u8>>,
    is_last: bool,
    entry: usize,
    is_first: bool,
}

/// Writes `entries` of `root` to `out`.
///
/// # Errors
/// Fails when a file cannot be read or has changed, and when `out` takes no more.
pub(super) fn write<W: Write>(
    root: &Path,
    entries: &[Entry],
    level: u8,
    out: &mut Hashing<W>,
) -> Result<(), ArchiveError> {
    let mut zip = Zip { out, entries, written: Vec::with_capacity(entries.len()), open: None };
    parallel::ordered(
        |giver| {
            for (index, entry) in entries.iter().enumerate() {
                if !read(root, entry, index, level, &mut |piece| giver.give(piece))? {
                    break;
                }
            }
            Ok(())
        },
        || (Deflater::new(level), Deflater::new(0)),
        |(deflater, framer), piece| make(deflater, framer, piece),
        |made| match made {
            Ok(made) => zip.take(made),
            Err(Lost) => Err(ArchiveError::Worker),
        },
    )?;
    zip.finish()
}

/// Cuts a file into pieces. False when nobody takes them any more.
fn read(
    root: &Path,
    entry: &Entry,
    index: usize,
    level: u8,
    give: &mut impl FnMut(Piece) -> bool,
) -> Result<bool, ArchiveError> {
    let mut source = Source::open(root, entry)?;
    let (mut is_first, mut chosen) = (true, level);
    loop {
        let bytes = source.piece(PIECE)?;
        if is_first && is_compressed(&entry.path, &bytes) {
            chosen = 0;
        }
        let is_last = source.is_over();
        if !give(Piece { bytes, level: chosen, is_last, entry: index, is_first }) {
            return Ok(false);
        }
        if is_last {
            return Ok(true);
        }
        is_first = false;
    }
}

fn is_compressed(path: &str, begin: &[u8]) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| COMPRESSED.contains(&ending.as_str()))
        || MAGIC.iter().any(|magic| begin.starts_with(magic))
}

fn make(deflater: &mut Deflater, framer: &mut Deflater, piece: Piece) -> Made {
    let Piece { bytes, level, is_last, entry, is_first } = piece;
    let whole = is_first && is_last;
    let outcome = if level == 0 && whole {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes);
        Ok(Deflated { bytes: Vec::new(), crc })
    } else {
        match if level == 0 { None } else { Some(deflater.deflate(&bytes, is_last)) } {
            // What compression only makes longer is framed; of a whole file the bytes themselves are taken below.
            Some(Ok(made)) if !whole && made.bytes.len() > bytes.len() => framer.deflate(&bytes, is_last),
            Some(made) => made,
            None => framer.deflate(&bytes, is_last),
        }
    };
    let is_better_raw =
        whole && outcome.as_ref().is_ok_and(|made| level == 0 || made.bytes.len() >= bytes.len());
    Made { deflated: outcome, raw: is_better_raw.then_some(bytes), is_last, entry, is_first }
}

/// What the end of the file says about an entry.
struct Written {
    offset: u64,
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
}

/// An entry whose data is being written.
struct Open {
    offset: u64,
    crc: crc32fast::Hasher,
    compressed: u64,
}

/// A zip file in the making.
struct Zip<'a, W> {
    out: &'a mut Hashing<W>,
    entries: &'a [Entry],
    written: Vec<Written>,
    open: Option<Open>,
}

impl<W: Write> Zip<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.out.write_all(bytes).map_err(ArchiveError::Write)
    }

    fn take(&mut self, made: Made) -> Result<(), ArchiveError> {
        let deflated = made.deflated.map_err(|_| ArchiveError::Worker)?;
        let entry = &self.entries[made.entry];
        if made.is_first && made.is_last {
            return self.whole(entry, deflated, made.raw);
        }
        if made.is_first {
            let offset = self.out.bytes;
            self.put(&local(entry, STREAMED | UTF8, DEFLATED, 0, (0, 0)))?;
            self.open = Some(Open { offset, crc: crc32fast::Hasher::new(), compressed: 0 });
        }
        self.put(&deflated.bytes)?;
        let Some(open) = &mut self.open else { return Err(ArchiveError::Worker) };
        open.crc.combine(&deflated.crc);
        open.compressed += deflated.bytes.len() as u64;
        if made.is_last {
            self.end(entry)?;
        }
        Ok(())
    }

    fn whole(&mut self, entry: &Entry, deflated: Deflated, raw: Option<Vec<u8>>) -> Result<(), ArchiveError> {
        let offset = self.out.bytes;
        let crc = deflated.crc.finalize();
        let (method, data) = match raw {
            Some(raw) => (STORED, raw),
            None => (DEFLATED, deflated.bytes),
        };
        let compressed = data.len() as u64;
        self.put(&local(entry, UTF8, method, crc, (compressed, entry.size)))?;
        self.put(&data)?;
        self.written.push(Written { offset, flags: UTF8, method, crc, compressed, size: entry.size });
        Ok(())
    }

    /// Writes what stands behind the data of a file of several pieces.
    fn end(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        let Some(open) = self.open.take() else { return Err(ArchiveError::Worker) };
        let crc = open.crc.finalize();
        let mut bytes = Fields::default().u32(0x0807_4b50).u32(crc);
        bytes = if entry.size >= LARGE {
            bytes.u64(open.compressed).u64(entry.size)
        } else {
            bytes.u32(low(open.compressed)).u32(low(entry.size))
        };
        self.put(&bytes.0)?;
        let flags = STREAMED | UTF8;
        let (compressed, size) = (open.compressed, entry.size);
        self.written.push(Written { offset: open.offset, flags, method: DEFLATED, crc, compressed, size });
        Ok(())
    }

    /// Writes the directory at the end.
    fn finish(mut self) -> Result<(), ArchiveError> {
        let start = self.out.bytes;
        let written = std::mem::take(&mut self.written);
        for (entry, written) in self.entries.iter().zip(&written) {
            self.put(&central(entry, written))?;
        }
        let (length, count) = (self.out.bytes - start, written.len() as u64);
        let mut end = Fields::default();
        if count >= 0xFFFF || start >= 0xFFFF_FFFF || length >= 0xFFFF_FFFF {
            let at = self.out.bytes;
            end = end.u32(0x0606_4b50).u64(44).u16(45).u16(45).u32(0).u32(0);
            end = end.u64(count).u64(count).u64(length).u64(start);
            end = end.u32(0x0706_4b50).u32(0).u64(at).u32(1);
        }
        let few = u16::try_from(count).unwrap_or(u16::MAX);
        end = end.u32(0x0605_4b50).u16(0).u16(0).u16(few).u16(few);
        end = end.u32(low(length)).u32(low(start)).u16(0);
        self.put(&end.0)
    }
}

/// What stands before the data of an entry. `sizes` are those of the compressed and the plain bytes.
fn local(entry: &Entry, flags: u16, method: u16, crc: u32, sizes: (u64, u64)) -> Vec<u8> {
    let is_large = flags & STREAMED != 0 && entry.size >= LARGE;
    let version = if is_large { 45 } else { 20 };
    let name = entry.path.as_bytes();
    let fields =
        Fields::default().u32(0x0403_4b50).u16(version).u16(flags).u16(method).u16(0).u16(DATE).u32(crc);
    let fields = if is_large {
        fields.u32(u32::MAX).u32(u32::MAX)
    } else {
        fields.u32(low(sizes.0)).u32(low(sizes.1))
    };
    let fields = fields.u16(short(name.len())).u16(if is_large { 20 } else { 0 }).bytes(name);
    // The sizes are not known yet, but that they will take eight bytes behind the data is.
    if is_large { fields.u16(1).u16(16).u64(0).u64(0).0 } else { fields.0 }
}

/// What the directory says of an entry.
fn central(entry: &Entry, written: &Written) -> Vec<u8> {
    let mut extra = Fields::default();
    let is_large = written.flags & STREAMED != 0 && entry.size >= LARGE;
    let mut or_extra = |value: u64, force: bool| {
        if force || value >= u64::from(u32::MAX) {
            extra = std::mem::take(&mut extra).u64(value);
            u32::MAX
        } else {
            low(value)
        }
    };
    let size = or_extra(written.size, is_large);
    let compressed = or_extra(written.compressed, is_large);
    let offset = or_extra(written.offset, false);
    let extra = extra.0;
    let extra = if extra.is_empty() {
        extra
    } else {
        Fields::default().u16(1).u16(short(extra.len())).bytes(&extra).0
    };
    let version = if extra.is_empty() { 20 } else { 45 };
    let name = entry.path.as_bytes();
    let mode = 0o100_000 | normal(entry.mode);
    Fields::default()
        .u32(0x0201_4b50)
        // Made on Unix: the upper half of the attributes is a mode.
        .u16(3 << 8 | version)
        .u16(version)
        .u16(written.flags)
        .u16(written.method)
        .u16(0)
        .u16(DATE)
        .u32(written.crc)
        .u32(compressed)
        .u32(size)
        .u16(short(name.len()))
        .u16(short(extra.len()))
        .u16(0)
        .u16(0)
        .u16(0)
        .u32(mode << 16)
        .u32(offset)
        .bytes(name)
        .bytes(&extra)
        .0
}

/// Whether a file can be executed is part of what it is; who else may read it depends on the host's umask.
const fn normal(mode: u32) -> u32 {
    if mode & 0o100 == 0 { 0o644 } else { 0o755 }
}

/// The value, or the mark that says that it stands elsewhere.
fn low(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A length of something that is far from 64 KiB: paths have at most 4 KiB on Linux.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// Numbers as zip writes them, little end first.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }
}
