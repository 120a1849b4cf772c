//! One file that grows, by one writer at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use crate::append::frame::{Check, MAX_RECORD, NoRecord, decode, encode, line_length};

/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// Why a file cannot be read or added to.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The host does not let it.
    #[error("failed to {what} {}", path.display())]
    Host {
        /// What was being done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// What stands in the middle of it is not what was written.
    #[error("{} is damaged at byte {offset}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the first line begins that is not whole.
        offset: u64,
    },
    /// Another file has taken its place, or somebody has changed it without holding it.
    #[error("{} was replaced, removed or changed by somebody else while it was in use", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// An earlier write has failed.
    #[error("{} cannot be added to any more: an earlier write has failed", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// It is no record.
    #[error(transparent)]
    Record(#[from] NoRecord),
}

/// How far a file is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Where the next line begins.
    pub offset: u64,
    /// The check of the line before it.
    pub check: Check,
}

/// A file that nobody holds, as far as this handle is concerned.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    /// How far it was read or written by this handle.
    mark: Mark,
    /// Space that is kept free behind the end, so that a full disk does not stop the last records. None: no space.
    reserve: u64,
    /// Up to where there is space.
    reserved: u64,
    is_poisoned: bool,
}

/// A file that nobody else may add to as long as this value lives.
#[derive(Debug)]
pub struct Held {
    log: Log,
    /// Bytes that a crash had left half written, and that were cut off.
    cut: u64,
}

impl Log {
    /// Creates the file for this user alone, with `reserve` bytes of space, and sees to it that its name lasts.
    ///
    /// # Errors
    /// Fails when it exists, or the host does not let it.
    pub fn create(path: &Path, reserve: u64) -> Result<Self, AppendError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed("create", path))?;
        let mut log = Self::of(file, path, reserve);
        log.reserve();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let lasts = log.file.sync_all().and_then(|()| File::open(folder)?.sync_all());
        lasts.map_err(failed("create", path))?;
        Ok(log)
    }

    /// Opens the file, which is not looked at before it is held.
    ///
    /// # Errors
    /// Fails when it is not there, is no regular file, or the host does not let it.
    pub fn open(path: &Path, reserve: u64) -> Result<Self, AppendError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .map_err(failed("open", path))?;
        let metadata = file.metadata().map_err(failed("open", path))?;
        if !metadata.is_file() {
            return Err(failed("open", path)(io::Error::other("it is not a regular file")));
        }
        Ok(Self::of(file, path, reserve))
    }

    fn of(file: File, path: &Path, reserve: u64) -> Self {
        let path = path.to_owned();
        Self { file, path, mark: Mark::default(), reserve, reserved: 0, is_poisoned: false }
    }

    /// Waits until nobody else holds the file. `visit` is told every record that this handle does not know, with where its
    /// line begins.
    ///
    /// # Errors
    /// Fails when the file is damaged or replaced, and when the host does not let it.
    pub fn hold(self, visit: impl FnMut(u64, &[u8])) -> Result<Held, AppendError> {
        loop {
            match self.file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("lock", &self.path)(error)),
                Ok(()) => return self.held(visit),
            }
        }
    }

    /// The same when nobody holds it, else the handle.
    ///
    /// # Errors
    /// Fails as [`Log::hold`] does.
    pub fn try_hold(self, visit: impl FnMut(u64, &[u8])) -> Result<Result<Held, Self>, AppendError> {
        loop {
            match self.file.try_lock() {
                Ok(()) => return self.held(visit).map(Ok),
                Err(TryLockError::WouldBlock) => return Ok(Err(self)),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(failed("lock", &self.path)(error)),
            }
        }
    }

    /// Takes in what others have added, and cuts off what is half written. The lock is held.
    fn held(mut self, visit: impl FnMut(u64, &[u8])) -> Result<Held, AppendError> {
        if self.is_poisoned {
            return Err(AppendError::Poisoned { path: self.path });
        }
        // Whoever holds the lock of a file that has no name any more is alone with it.
        let same = |here: std::fs::Metadata| {
            self.file.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (here.dev(), here.ino()))
        };
        if !std::fs::symlink_metadata(&self.path).is_ok_and(same) {
            return Err(AppendError::Replaced { path: self.path });
        }
        let seen = scan(&self.file, &self.path, self.mark, visit)?;
        self.mark = seen.mark;
        if seen.torn > 0 {
            // The cut has to last, too: what is added next must not meet what was there before.
            let cut = self.file.set_len(seen.mark.offset).and_then(|()| self.file.sync_data());
            cut.map_err(failed("cut the torn end off", &self.path))?;
        }
        self.reserve();
        Ok(Held { log: self, cut: seen.torn })
    }

    /// Whether the file is where it was left: it has a name, and nobody who does not heed the lock has added to it.
    fn is_still_ours(&self) -> Result<(), AppendError> {
        let metadata = self.file.metadata().map_err(failed("look at", &self.path))?;
        if metadata.nlink() > 0 && metadata.len() == self.mark.offset {
            return Ok(());
        }
        Err(AppendError::Replaced { path: self.path.clone() })
    }

    /// Keeps space free behind the end, where the file system can. When it cannot, nobody is worse off than without.
    fn reserve(&mut self) {
        if self.reserve == 0 || self.mark.offset + self.reserve / 2 <= self.reserved {
            return;
        }
        let (Ok(offset), Ok(length)) = (self.mark.offset.try_into(), self.reserve.try_into()) else { return };
        let done = loop {
            match fallocate(&self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, offset, length) {
                Err(Errno::EINTR) => {}
                done => break done,
            }
        };
        if done.is_ok() {
            self.reserved = self.mark.offset + self.reserve;
        }
    }
}

impl Held {
    /// Adds `records`, and returns where their lines begin and end. They last when this returns.
    ///
    /// # Errors
    /// Fails when one is no record, and then nothing was written; or when the host does not let it. After that the handle
    /// is of no use any more, and what of the records is in the file will be known to whoever opens it next.
    pub fn append(&mut self, records: &[&[u8]]) -> Result<Range<u64>, AppendError> {
        let log = &mut self.log;
        if log.is_poisoned {
            return Err(AppendError::Poisoned { path: log.path.clone() });
        }
        let mut lines = Vec::with_capacity(records.iter().map(|record| line_length(record.len())).sum());
        let mut check = log.mark.check;
        for record in records {
            check = encode(check, record, &mut lines)?;
        }
        log.is_still_ours()?;
        log.reserve();
        let begin = log.mark.offset;
        let written = log.file.write_all_at(&lines, begin).map_err(failed("write to", &log.path));
        let lasts = written.and_then(|()| log.file.sync_data().map_err(failed("flush", &log.path)));
        if let Err(error) = lasts {
            log.is_poisoned = true;
            return Err(error);
        }
        log.mark = Mark { offset: begin + lines.len() as u64, check };
        Ok(begin..log.mark.offset)
    }

    /// How far the file is known.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.log.mark
    }

    /// How many bytes a crash had left half written. They are gone.
    #[must_use]
    pub const fn cut(&self) -> u64 {
        self.cut
    }

    /// Lets others add to the file.
    ///
    /// # Errors
    /// Fails when the host does not let it; the lock ends with the handle then.
    pub fn release(self) -> Result<Log, AppendError> {
        self.log.file.unlock().map_err(failed("unlock", &self.log.path))?;
        Ok(self.log)
    }

    /// Gives the space behind the end back, when nothing more is to come.
    pub fn trim(&self) {
        if !self.log.is_poisoned {
            // Space that stays reserved is a pity and no more.
            let _ = self.log.file.set_len(self.log.mark.offset);
        }
    }
}

/// Reads a file that others may be adding to. What is half written is passed over.
///
/// # Errors
/// Fails when the file cannot be read, or is damaged.
pub fn read(path: &Path, visit: impl FnMut(u64, &[u8])) -> Result<Mark, AppendError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(failed("open", path))?;
    scan(&file, path, Mark::default(), visit).map(|seen| seen.mark)
}

/// What a look at a file gave.
struct Seen {
    mark: Mark,
    /// Bytes behind the last whole line.
    torn: u64,
}

/// Reads on from `mark`.
fn scan(
    file: &File,
    path: &Path,
    mut mark: Mark,
    mut visit: impl FnMut(u64, &[u8]),
) -> Result<Seen, AppendError> {
    let mut lines = Lines { file, offset: mark.offset, buffer: Vec::new(), begin: 0 };
    let mut bad = None;
    let mut end = mark.offset;
    while let Some(line) = lines.next().map_err(failed("read", path))? {
        let begin = end;
        end += line.len() as u64;
        match (bad, decode(line)) {
            (None, Some((check, record))) if check == mark.check.next(record) => {
                visit(begin, record);
                mark = Mark { offset: end, check };
            }
            (None, None) => bad = Some(begin),
            (Some(_), None) => {}
            // A write that broke off leaves nothing whole behind it. So this line was whole once and perhaps confirmed, and
            // must not be cut off because one before it is damaged or missing.
            (bad, Some(_)) => {
                return Err(AppendError::Damaged { path: path.to_owned(), offset: bad.unwrap_or(begin) });
            }
        }
    }
    Ok(Seen { mark, torn: end - mark.offset })
}

/// The lines of a file, the last of which may lack its end. A line too long to be one of ours comes in pieces.
struct Lines<'a> {
    file: &'a File,
    /// Where in the file the buffer ends.
    offset: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the next line begins.
    begin: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let mut looked = self.begin;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[looked..]) {
                return Ok(Some(self.take(looked + at + 1)));
            }
            if self.buffer.len() - self.begin > line_length(MAX_RECORD) {
                return Ok(Some(self.take(self.buffer.len())));
            }
            looked = self.buffer.len() - self.begin;
            if self.fill()? == 0 {
                return Ok((looked > 0).then(|| self.take(self.buffer.len())));
            }
        }
    }

    fn take(&mut self, end: usize) -> &[u8] {
        let begin = std::mem::replace(&mut self.begin, end);
        &self.buffer[begin..end]
    }

    /// Reads on, and forgets the lines that were taken.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.begin);
        self.begin = 0;
        let old = self.buffer.len();
        self.buffer.resize(old + CHUNK, 0);
        let count = loop {
            match self.file.read_at(&mut self.buffer[old..], self.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => break count,
            }
        }?;
        self.buffer.truncate(old + count);
        self.offset += count as u64;
        Ok(count)
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AppendError {
    move |source| AppendError::Host { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
