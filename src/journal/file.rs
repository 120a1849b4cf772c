//! A journal's file: made, taken up, written, closed.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::append::log::{AppendError, Held, Log, read as read_log};
use crate::clock::Timestamp;
use crate::id::RunId;
use crate::journal::entry::{Entry, Line, Planned, Role, VERSION};
use crate::journal::state::State;
use crate::redact::Registry;
use crate::sandbox::remains::Process;

/// Space that a journal keeps free behind its end, in bytes: a delivery of a thousand annotations fits in, so that a full
/// disk does not stop one that has begun.
const RESERVE: u64 = 64 << 10;

/// Why a journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its file cannot be.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Its folder cannot be made.
    #[error("failed to create the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is none of a journal, or one of another version.
    #[error("{} holds a line at byte {offset} that this version cannot read", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Where it begins.
        offset: u64,
    },
    /// An entry cannot be written as JSON.
    #[error("an entry cannot be written")]
    Entry(#[source] serde_json::Error),
    /// Another process has concluded the check run, and that is final.
    #[error("`rungate reconcile` has concluded the check run already")]
    Final,
}

/// A journal that this process holds.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    registry: Registry,
    /// Taken before the state, by whoever writes, for as long as the disk takes.
    held: Mutex<Held>,
    /// What it says, apart from the file: who asks must not wait for a disk.
    state: Mutex<State>,
}

/// Where the journal of the run `run` is, below the folder for state.
#[must_use]
pub fn path(state: &Path, run: RunId) -> PathBuf {
    folder(state).join(format!("{run}.jsonl"))
}

/// Where journals are, below the folder for state.
#[must_use]
pub fn folder(state: &Path) -> PathBuf {
    state.join("journals")
}

/// What the journal at `path` says. Others may be writing it.
///
/// # Errors
/// Fails when it cannot be read.
pub fn read(path: &Path) -> Result<State, JournalError> {
    let mut folding = Folding::default();
    read_log(path, |offset, record| folding.take(offset, record))?;
    folding.done(path)
}

impl Journal {
    /// Begins the journal of the run `planned`, below the folder `state`.
    ///
    /// # Errors
    /// Fails when it is there already, or the host does not let it.
    pub fn create(state: &Path, planned: Planned, registry: &Registry) -> Result<Self, JournalError> {
        let folder = folder(state);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| JournalError::Folder { path: folder, source })?;
        let path = path(state, planned.run_id);
        let held = Log::create(&path, RESERVE)?.hold(|_, _| ())?;
        let journal = Self::of(path, held, State::default(), registry);
        journal.take(Role::Run)?;
        journal.write(&Entry::Planned(planned))?;
        Ok(journal)
    }

    /// Takes the journal at `path` up, unless somebody who is alive holds it.
    ///
    /// # Errors
    /// Fails when it cannot be read or written.
    pub fn try_take(path: &Path, by: Role, registry: &Registry) -> Result<Option<Self>, JournalError> {
        let journal = Self::try_hold(path, registry)?;
        journal.map(|journal| journal.take(by).map(|()| journal)).transpose()
    }

    /// Holds the journal at `path` without writing to it, unless somebody who is alive does.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    pub fn try_hold(path: &Path, registry: &Registry) -> Result<Option<Self>, JournalError> {
        let mut folding = Folding::default();
        let held = Log::open(path, RESERVE)?.try_hold(|offset, record| folding.take(offset, record))?;
        let Ok(held) = held else { return Ok(None) };
        Ok(Some(Self::of(path.to_owned(), held, folding.done(path)?, registry)))
    }

    fn of(path: PathBuf, held: Held, state: State, registry: &Registry) -> Self {
        Self { path, registry: registry.clone(), held: Mutex::new(held), state: Mutex::new(state) }
    }

    /// Begins an epoch of this process's.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn take(&self, by: Role) -> Result<(), JournalError> {
        self.write(&Entry::Taken { by, owner: Process::this() })
    }

    /// Writes `entry` down, which lasts when this returns. Secrets in its texts are taken out.
    ///
    /// # Errors
    /// Fails when the disk does not confirm it, and then for all that comes after; and when it would change a check run
    /// that another process has concluded for good.
    pub fn write(&self, entry: &Entry) -> Result<(), JournalError> {
        let mut held = locked(&self.held);
        let State { seq, epoch, .. } = *locked(&self.state);
        if let Entry::AnnotationsIntent { check, .. } | Entry::CompleteIntent { check, .. } = entry
            && locked(&self.state).is_final(check)
        {
            return Err(JournalError::Final);
        }
        let epoch = epoch + u64::from(matches!(entry, Entry::Taken { .. }));
        let line = Line { v: VERSION, seq: seq + 1, epoch, at: Timestamp::now(), entry: entry.clone() };
        let mut value = serde_json::to_value(&line).map_err(JournalError::Entry)?;
        self.registry.json(&mut value);
        held.append(&[value.to_string().as_bytes()])?;
        // As whoever comes later will read it.
        let line: Line = serde_json::from_value(value).map_err(JournalError::Entry)?;
        locked(&self.state).take(&line);
        Ok(())
    }

    /// What it says so far.
    #[must_use]
    pub fn state(&self) -> State {
        locked(&self.state).clone()
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that nothing is left to be done, and gives the spare space back.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn close(&self) -> Result<(), JournalError> {
        if !self.state().is_closed {
            self.write(&Entry::Closed)?;
        }
        locked(&self.held).trim();
        Ok(())
    }
}

/// What a mutex guards, also after a panic elsewhere: nothing here is half done then.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines on their way into a state.
#[derive(Default)]
struct Folding {
    state: State,
    /// Where the first line begins that is none.
    bad: Option<u64>,
}

impl Folding {
    fn take(&mut self, offset: u64, record: &[u8]) {
        let line = serde_json::from_slice::<Line>(record).ok();
        let line = line.filter(|line| line.v == VERSION && line.seq == self.state.seq + 1);
        match line {
            Some(line) if self.bad.is_none() => self.state.take(&line),
            Some(_) => {}
            None => {
                self.bad.get_or_insert(offset);
            }
        }
    }

    fn done(self, path: &Path) -> Result<State, JournalError> {
        match self.bad {
            None => Ok(self.state),
            Some(offset) => Err(JournalError::Line { path: path.to_owned(), offset }),
        }
    }
}

#[cfg(test)]
mod tests;
