//! The way to GitHub with a journal before it: what is to be done is written down and confirmed by the disk before it is
//! done, and what came of it after that.
//!
//! A check run is not begun without its intent on the disk, because nobody could close it should this process die. One
//! that was begun is ended also when the disk takes nothing more: what it says is on GitHub to be read, and a run that is
//! never concluded is worse than a journal that ends early.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::clock::{Timestamp, readable};
use crate::deliver::publish::Api;
use crate::deliver::state::{Came, State};
use crate::github::checks::{Call, CheckRun};
use crate::id::Sha256;
use crate::journal::entry::Entry;
use crate::journal::file::{Journal, JournalError};
use crate::journal::state::{Check, Presence};

/// How long the disk may take to confirm an entry. A disk that hangs must not hang a check run.
const DISK: Duration = Duration::from_secs(10);

/// The least that it gets, however little time there is.
const LEAST: Duration = Duration::from_millis(250);

/// How long a call of a process that has died may still be on its way: GitHub gives up after ten seconds.
pub(super) const ON_ITS_WAY: Duration = Duration::from_secs(15);

/// An [`Api`] whose effects on one check run are written down.
#[derive(Debug)]
pub struct Outbox<A> {
    api: A,
    journal: Arc<Journal>,
    /// Our id of the check run.
    check: String,
    /// Why the journal ends before the delivery does.
    lost: Mutex<Option<String>>,
}

impl<A: Api> Outbox<A> {
    /// The way of `api` for the check run `check`.
    #[must_use]
    pub const fn new(api: A, journal: Arc<Journal>, check: String) -> Self {
        Self { api, journal, check, lost: Mutex::new(None) }
    }

    /// Where the delivery stands by the journal, and how long to wait until nothing that a dead process has sent can still
    /// come about.
    #[must_use]
    pub fn resume(&self) -> (State, Duration) {
        let journal = self.journal.state();
        let Some(check) = journal.checks.get(&self.check) else {
            return (State::new(&self.check, true), Duration::ZERO);
        };
        (State::resume(&self.check, check), still_on_its_way(check, journal.last))
    }

    /// Why the journal ends before the delivery does.
    #[must_use]
    pub fn lost(self) -> Option<String> {
        self.lost.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes entries down, in a part of the time until `deadline`. Where the disk does not take them, nothing more is tried.
    async fn write(&self, entries: Vec<Entry>, deadline: Instant) -> Result<(), Unwritten> {
        if let Some(why) = self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(Unwritten::Lost(why));
        }
        if entries.is_empty() {
            return Ok(());
        }
        let journal = Arc::clone(&self.journal);
        let writing =
            tokio::task::spawn_blocking(move || entries.iter().try_for_each(|entry| journal.write(entry)));
        let patience = DISK.min(deadline.saturating_duration_since(Instant::now()) / 2).max(LEAST);
        let why = match timeout(patience, writing).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(error @ JournalError::Final))) => return Err(Unwritten::Final(error.to_string())),
            Ok(Ok(Err(error))) => crate::http::error::chain(&error),
            Ok(Err(_)) => "its writer broke down".to_owned(),
            Err(_) => format!("the disk did not answer for {}", readable(patience)),
        };
        let why = format!("the journal of the delivery cannot be written: {why}");
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why.clone());
        Err(Unwritten::Lost(why))
    }

    /// What is about to happen.
    fn intent(&self, call: &Call) -> Result<Vec<Entry>, serde_json::Error> {
        let check = self.check.clone();
        Ok(match call {
            Call::Create(create) => vec![Entry::CreateIntent { check, name: create.name.clone() }],
            Call::Update { update, .. } => match update.conclusion {
                Some(conclusion) => vec![Entry::CompleteIntent { check, conclusion }],
                None if update.output.annotations.is_empty() => Vec::new(),
                None => {
                    let annotations = &update.output.annotations;
                    vec![Entry::AnnotationsIntent {
                        after: self.known().arrived,
                        count: annotations.len(),
                        sha256: Sha256::of(&serde_json::to_vec(annotations)?),
                        check,
                    }]
                }
            },
            Call::Get { .. } | Call::Find { .. } | Call::Open { .. } => Vec::new(),
        })
    }

    /// What has become known.
    fn receipt(&self, call: &Call, came: &Came) -> Vec<Entry> {
        let check = self.check.clone();
        match (call, came) {
            (Call::Create(_), Came::Run(run)) => vec![Entry::Created { check, id: run.id }],
            // A doubt of before is none any more either: nobody creates twice without having looked.
            (Call::Create(_), Came::Refused(_) | Came::Invalid(_)) => vec![Entry::Absent { check }],
            (Call::Find { .. }, Came::Runs(runs)) => {
                let ours = |run: &&CheckRun| run.external_id.as_deref() == Some(&self.check);
                let found = runs.iter().find(ours);
                found.map(|run| Entry::Created { check, id: run.id }).into_iter().collect()
            }
            (Call::Update { update, .. }, Came::Run(run)) => match update.conclusion {
                Some(conclusion) => vec![Entry::CompleteReceipt { check, conclusion }],
                None if update.output.annotations.is_empty() => Vec::new(),
                None => vec![Entry::AnnotationsReceipt { check, arrived: run.output.annotations_count }],
            },
            (Call::Get { .. }, Came::Run(run)) if self.known().in_doubt.is_some() => {
                vec![Entry::AnnotationsReceipt { check, arrived: run.output.annotations_count }]
            }
            _ => Vec::new(),
        }
    }

    fn known(&self) -> Check {
        self.journal.state().checks.get(&self.check).cloned().unwrap_or_default()
    }
}

/// Why something was not written down.
enum Unwritten {
    /// The disk does not take it.
    Lost(String),
    /// It must not be done.
    Final(String),
}

fn still_on_its_way(check: &Check, last: Option<Timestamp>) -> Duration {
    let in_doubt = matches!(check.presence, Presence::Doubt(_))
        || check.in_doubt.is_some()
        || check.concluding.is_some();
    match last {
        Some(last) if in_doubt => ON_ITS_WAY.saturating_sub(Timestamp::now().since(last)),
        _ => Duration::ZERO,
    }
}

impl<A: Api> Api for Outbox<A> {
    async fn call(&self, call: &Call, deadline: Instant) -> Came {
        let intent = match self.intent(call) {
            Ok(intent) => intent,
            Err(error) => return Came::Invalid(error.to_string()),
        };
        match (self.write(intent, deadline).await, call) {
            (Err(Unwritten::Final(why)), _) => return Came::Final(why),
            (Err(Unwritten::Lost(why)), Call::Create(_)) => return Came::Refused(why),
            (Ok(()) | Err(Unwritten::Lost(_)), _) => {}
        }
        let came = self.api.call(call, deadline).await;
        // Nobody waits for it in vain: what is not written down now will be asked later.
        let _known_to_the_server = self.write(self.receipt(call, &came), deadline).await;
        came
    }

    fn is_pressed(&self) -> bool {
        self.api.is_pressed()
    }

    async fn app_id(&self) -> Option<u64> {
        self.api.app_id().await
    }

    async fn refused(&self, refused: usize) {
        let entry = Entry::AnnotationsRefused { check: self.check.clone(), refused };
        let _tried_again_after_a_crash = self.write(vec![entry], Instant::now() + DISK).await;
    }
}

#[cfg(test)]
mod tests;
