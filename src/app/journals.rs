//! The journals of runs: begun with a run that tells somebody, sealed with its verdict, taken up by whoever delivers later.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::app::failure::Failure;
use crate::clock::Timestamp;
use crate::deliver::outbox::Outbox;
use crate::deliver::publish::Api;
use crate::deliver::remote::Remote;
use crate::event::RunEvent;
use crate::http::error::chain;
use crate::id::{RunId, Sha256};
use crate::journal::entry::{Entry, Planned, Role, Stopping};
use crate::journal::file::{Journal, JournalError, path};
use crate::record::Record;
use crate::redact::Registry;
use crate::run::stop::Why;
use crate::sandbox::remains::Process;

/// What a journal begins with.
pub(super) struct Begun<'a> {
    /// Id of the run.
    pub(super) run: RunId,
    /// Shown to people.
    pub(super) name: &'a str,
    /// The commit.
    pub(super) sha: &'a str,
    /// The record's folder.
    pub(super) folder: &'a Path,
    /// When it began.
    pub(super) at: Timestamp,
    /// How long it may take.
    pub(super) timeout: Duration,
}

/// Begins a journal below the folder for state. Without one nothing is begun on GitHub, so its trouble is why.
pub(super) fn begin(
    state: &Result<PathBuf, Failure>,
    begun: &Begun<'_>,
    remote: &Remote,
    registry: &Registry,
) -> Result<Arc<Journal>, String> {
    let because = |why: &dyn std::fmt::Display| format!("there can be no journal of the delivery: {why}");
    let state = state.as_ref().map_err(|failure| because(failure))?;
    let seconds = i64::try_from(begun.timeout.as_secs()).unwrap_or(i64::MAX);
    let planned = Planned {
        run_id: begun.run,
        name: begun.name.to_owned(),
        api: remote.client.host().api().to_string(),
        repository: remote.repository.to_string(),
        sha: begun.sha.to_owned(),
        folder: begun.folder.to_owned(),
        started_at: begun.at,
        deadline: Timestamp::from_unix_seconds(begun.at.unix_seconds().saturating_add(seconds)),
    };
    let journal = Journal::create(state, planned, registry);
    journal.map(Arc::new).map_err(|error| because(&chain(&error)))
}

/// Writes down what of `event` somebody would need who finds this process dead. What cannot be written is found by the
/// delivery, whose file it is as well.
pub(super) fn note(journal: &Journal, event: &RunEvent) {
    let entry = match event {
        RunEvent::ProcessStarted { key, pid, cgroup } => {
            let Some(process) = Process::of(*pid) else { return };
            Entry::CommandStart { key: key.to_string(), process, cgroup: cgroup.clone() }
        }
        RunEvent::ProcessEnded { pid } => Entry::CommandEnd { pid: *pid },
        RunEvent::CancelRequested { reason, .. } => {
            let timed_out = reason == Why::CommandTimeout.text();
            Entry::Stopping { why: if timed_out { Stopping::TimedOut } else { Stopping::Cancelled } }
        }
        _ => return,
    };
    let _found_by_the_delivery = journal.write(&entry);
}

/// Writes down the verdict, and which record tells it.
pub(super) fn seal(journal: &Journal, record: &Record, folder: &Path) {
    if let Ok(sha256) = digest(folder) {
        let entry = Entry::Judged { conclusion: record.conclusion, record: sha256 };
        let _found_by_the_delivery = journal.write(&entry);
    }
}

/// Digest of what is delivered of the record in `folder`: its findings, and all of `record.json` but what became of its
/// delivery and of its artifacts'.
///
/// # Errors
/// Fails when a file cannot be read.
pub(super) fn digest(folder: &Path) -> io::Result<Sha256> {
    let mut record: Value = serde_json::from_slice(&std::fs::read(folder.join("record.json"))?)?;
    if let Some(delivery) = record.get_mut("delivery") {
        *delivery = Value::Null;
    }
    let artifacts = record.get_mut("artifacts").and_then(Value::as_array_mut);
    for artifact in artifacts.into_iter().flatten().filter_map(Value::as_object_mut) {
        for name in ["delivery", "size", "sha256"] {
            artifact.remove(name);
        }
    }
    let findings = Sha256::of_reader(File::open(folder.join("findings.jsonl"))?)?;
    Ok(Sha256::of_all([record.to_string().as_bytes(), findings.as_ref()]))
}

/// Ends with a journal by which everything was delivered. Says what of the delivery it could not tell.
pub(super) fn end<A: Api>(outbox: Outbox<A>, journal: &Journal) -> Option<String> {
    let lost = outbox.lost();
    if lost.is_some() || !journal.state().is_settled() {
        return lost;
    }
    journal
        .close()
        .err()
        .map(|error| format!("the journal of the delivery cannot be closed: {}", chain(&error)))
}

/// The journal of a record that is to be delivered.
pub(super) enum Stored {
    /// There is none: what GitHub has is the only thing that is known.
    None,
    /// Somebody who is alive holds it.
    Busy,
    /// It is ours now.
    Ours(Arc<Journal>),
}

/// Takes up the journal of the run `run`, where there is one.
///
/// # Errors
/// Fails when it cannot be read or written.
pub(super) fn stored(state: &Path, run: RunId, registry: &Registry) -> Result<Stored, JournalError> {
    let path = path(state, run);
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(Stored::None);
    }
    Ok(match Journal::try_take(&path, Role::Publish, registry)? {
        Some(journal) => Stored::Ours(Arc::new(journal)),
        None => Stored::Busy,
    })
}
