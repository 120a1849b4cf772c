//! A file, read as it was listed or not at all.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::archive::{ArchiveError, Entry};

/// Bytes that are read in one go.
const PIECE: usize = 1 << 20;

/// A file that is being read.
pub(super) struct Source<'a> {
    file: File,
    entry: &'a Entry,
    left: u64,
}

impl<'a> Source<'a> {
    /// Opens `entry` below `root`, unless a link has taken its place.
    ///
    /// # Errors
    /// Fails when it cannot be read or has another size by now.
    pub(super) fn open(root: &Path, entry: &'a Entry) -> Result<Self, ArchiveError> {
        let unreadable = |source| ArchiveError::Read { path: entry.path.clone(), source };
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::options()
            .read(true)
            .custom_flags(flags)
            .open(root.join(&entry.path))
            .map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        if !found.is_file() || found.len() != entry.size {
            return Err(ArchiveError::Changed { path: entry.path.clone() });
        }
        Ok(Self { file, entry, left: entry.size })
    }

    /// Whether everything was read.
    pub(super) const fn is_over(&self) -> bool {
        self.left == 0
    }

    /// The next `most` bytes, or all that are left.
    ///
    /// # Errors
    /// Fails when the file cannot be read or has become shorter.
    pub(super) fn piece(&mut self, most: usize) -> Result<Vec<u8>, ArchiveError> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        let mut piece = vec![0; length];
        self.file.read_exact(&mut piece).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Changed { path: self.entry.path.clone() },
            _ => ArchiveError::Read { path: self.entry.path.clone(), source },
        })?;
        self.left -= length as u64;
        Ok(piece)
    }
}

/// Writes the whole of `entry` to `out`.
///
/// # Errors
/// Fails when it cannot be read, has changed, or cannot be written.
pub(super) fn copy(root: &Path, entry: &Entry, out: &mut impl Write) -> Result<(), ArchiveError> {
    let mut source = Source::open(root, entry)?;
    while !source.is_over() {
        out.write_all(&source.piece(PIECE)?).map_err(ArchiveError::Write)?;
    }
    Ok(())
}
