//! Tar files in the form of POSIX (ustar with pax records), compressed by zstd as they are written.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use crate::archive::{ArchiveError, Entry, Hashing, file};

/// Bytes of a block; everything is filled up to whole ones.
const BLOCK: usize = 512;

/// Sizes from here on do not fit into the header's field.
const LARGE: u64 = 1 << 33;

/// What the levels of zip, 0 to 9, are in zstd's.
const LEVELS: [i32; 10] = [1, 1, 1, 2, 2, 3, 3, 6, 9, 12];

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
    let level = LEVELS[usize::from(level.min(9))];
    let mut encoder = zstd::Encoder::new(out, level).map_err(ArchiveError::Write)?;
    encoder.include_checksum(true).map_err(ArchiveError::Write)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(16);
    encoder.multithread(u32::try_from(threads).unwrap_or(1)).map_err(ArchiveError::Write)?;
    for entry in entries {
        if let Some(records) = records(entry) {
            let header = header("pax", records.len() as u64, 0o644, b'x');
            put(&mut encoder, &header)?;
            put(&mut encoder, records.as_bytes())?;
            fill(&mut encoder, records.len() as u64)?;
        }
        if let Some(target) = &entry.link {
            put(&mut encoder, &link(&entry.path, target))?;
            continue;
        }
        put(&mut encoder, &header(&entry.path, entry.size, entry.mode, b'0'))?;
        file::copy(root, entry, &mut encoder)?;
        fill(&mut encoder, entry.size)?;
    }
    put(&mut encoder, &[0; 2 * BLOCK])?;
    encoder.finish().map(drop).map_err(ArchiveError::Write)
}

fn put(out: &mut impl Write, bytes: &[u8]) -> Result<(), ArchiveError> {
    out.write_all(bytes).map_err(ArchiveError::Write)
}

/// Fills up the block in which `size` bytes end.
fn fill(out: &mut impl Write, size: u64) -> Result<(), ArchiveError> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over == 0 { Ok(()) } else { put(out, &[0; BLOCK][over..]) }
}

/// What does not fit into the header of an entry, as pax records.
fn records(entry: &Entry) -> Option<String> {
    let mut text = String::new();
    if entry.path.len() > 100 || !entry.path.is_ascii() {
        record(&mut text, "path", &entry.path);
    }
    if let Some(target) = entry.link.as_ref().filter(|target| target.len() > 100 || !target.is_ascii()) {
        record(&mut text, "linkpath", target);
    }
    if entry.size >= LARGE {
        record(&mut text, "size", &entry.size.to_string());
    }
    (!text.is_empty()).then_some(text)
}

/// A record begins with its own length, the digits of which count.
fn record(text: &mut String, key: &str, value: &str) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    // Writing into a string does not fail.
    let _ = writeln!(text, "{length} {key}={value}");
}

/// The header of an entry. A path or size that is too long for it is cut: the records before it have the whole.
fn header(path: &str, size: u64, mode: u32, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &path.as_bytes()[..path.len().min(100)]);
    put(100, format!("{:07o}\0", mode & 0o777).as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", if size >= LARGE { 0 } else { size }).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    summed(block)
}

/// The header of a link that says `target`.
fn link(path: &str, target: &str) -> [u8; BLOCK] {
    let mut block = header(path, 0, 0o777, b'2');
    let target = &target.as_bytes()[..target.len().min(100)];
    block[157..157 + target.len()].copy_from_slice(target);
    block[148..156].copy_from_slice(b"        ");
    summed(block)
}

/// The header with its checksum, which is taken as if it were blank.
fn summed(mut block: [u8; BLOCK]) -> [u8; BLOCK] {
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
