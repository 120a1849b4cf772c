//! Archives: files of a folder made one stream of bytes, and its digest on the way.
//!
//! Memory does not grow with the files, nothing is written beside the stream, and the same files make the same bytes on
//! any host: entries stand in the order of their names, times are fixed, owners are not told. It must not know where the
//! bytes go or what the files are for.

mod deflate;
mod file;
mod parallel;
mod tar;
mod zip;

use std::io::{self, Write};
use std::path::Path;

use sha2::Digest as _;

use crate::id::Sha256;

/// A file that goes into an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the folder: relative, with slashes, without `..`.
    pub path: String,
    /// Its size in bytes. A file that has another one by now is an error.
    pub size: u64,
    /// Its permissions.
    pub mode: u32,
    /// What it says, where it is a symbolic link; only [`Form::TarZst`] holds any. Nothing of it is on the disk.
    pub link: Option<String>,
}

/// The form of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A zip file. What is compressed already is stored.
    Zip {
        /// 0, none, to 9, slow and small.
        level: u8,
    },
    /// A tar file, compressed by zstd.
    TarZst {
        /// 0, fast, to 9, slow and small.
        level: u8,
    },
    /// The one file as it is.
    Plain,
}

impl Form {
    /// What it is called on the wire.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Zip { .. } => "application/zip",
            Self::TarZst { .. } => "application/zstd",
            Self::Plain => "application/octet-stream",
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Bytes.
    pub bytes: u64,
    /// Their digest.
    pub sha256: Sha256,
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is another one than it was.
    #[error("{path} has another size than when it was kept")]
    Changed {
        /// The file.
        path: String,
    },
    /// A path would lead out of whatever it is unpacked into.
    #[error("{path:?} is no path inside an archive")]
    Path {
        /// The path.
        path: String,
    },
    /// A plain file was asked for, and there is none or more than one.
    #[error("a plain artifact is one file, and there are {0}")]
    NotOne(usize),
    /// Whoever takes the bytes takes no more.
    #[error("failed to write the archive")]
    Write(#[source] io::Error),
    /// A thread that compresses broke down.
    #[error("a thread that compresses broke down")]
    Worker,
}

/// Packs `entries` of the folder `root` into `out`.
///
/// # Errors
/// Fails when a file cannot be read or has changed, when a path is none for an archive, and when `out` takes no more.
pub fn pack(
    form: Form,
    root: &Path,
    entries: &[Entry],
    out: impl Write + Send,
) -> Result<Packed, ArchiveError> {
    let is_good = |entry: &&Entry| {
        is_inside(&entry.path) && (entry.link.is_none() || matches!(form, Form::TarZst { .. }))
    };
    if let Some(bad) = entries.iter().find(|entry| !is_good(entry)) {
        return Err(ArchiveError::Path { path: bad.path.clone() });
    }
    let mut out = Hashing { inner: out, hasher: sha2::Sha256::new(), bytes: 0 };
    match form {
        Form::Zip { level } => zip::write(root, entries, level, &mut out)?,
        Form::TarZst { level } => tar::write(root, entries, level, &mut out)?,
        Form::Plain => match entries {
            [entry] => file::copy(root, entry, &mut out)?,
            _ => return Err(ArchiveError::NotOne(entries.len())),
        },
    }
    out.flush().map_err(ArchiveError::Write)?;
    Ok(Packed { bytes: out.bytes, sha256: out.hasher.into() })
}

/// Whether `path` stays inside of whatever it is unpacked into.
fn is_inside(path: &str) -> bool {
    !path.contains(['\\', '\0']) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Passes bytes on, counts them and takes their digest.
struct Hashing<W> {
    inner: W,
    hasher: sha2::Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
