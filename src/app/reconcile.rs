//! Closing what dead runs have left open: their processes here, and their check runs on GitHub.
//!
//! Only what nobody alive holds is touched, and a dead run never passes.

pub mod remote;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::app::check_run::{CLOSE, remote_of};
use crate::app::failure::{Failure, host};
use crate::app::folders;
use crate::app::policy;
use crate::app::tell::{event_loop, on_a_thread};
use crate::clock::Timestamp;
use crate::deliver::closing::{Closing, LastWord, close};
use crate::deliver::compose::Subject;
use crate::deliver::outbox::Outbox;
use crate::deliver::remote::Remote;
use crate::environ::Environ;
use crate::http::error::chain;
use crate::journal::entry::{Entry, Planned, Role};
use crate::journal::file::{Journal, JournalError, folder, read};
use crate::journal::state::{Check, State};
use crate::record::Conclusion;
use crate::redact::Registry;
use crate::sandbox::remains;

/// How long a person who asks waits at most.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// How long it goes on beside a run.
const BESIDE: Duration = Duration::from_secs(40);

/// How long the end of a run waits for it.
const AT_THE_END: Duration = Duration::from_secs(2);

/// Journals that are looked at beside a run; those of the oldest runs come first.
const MOST_BESIDE: usize = 20;

/// A journal that is complete is kept for so long.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// After so long GitHub itself calls a check run stale, and nobody waits for it any more.
const STALE: Duration = Duration::from_hours(14 * 24);

/// A file without an entry is being begun, unless it is older than this.
const BEGINNING: Duration = Duration::from_mins(1);

/// What was done about one journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Somebody who is alive holds it.
    Alive,
    /// Nothing was left open.
    Complete,
    /// It is closed now.
    Closed,
    /// It is to be looked at again later.
    Later(String),
    /// It could not be closed.
    Failed(String),
}

impl Done {
    /// One word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Complete => "complete",
            Self::Closed => "closed",
            Self::Later(_) => "later",
            Self::Failed(_) => "failed",
        }
    }
}

/// One journal that was looked at.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Its file.
    pub path: PathBuf,
    /// What its run was about, as far as it says.
    pub planned: Option<Planned>,
    /// How many of its steps were still running, and were ended.
    pub ended: usize,
    /// Its check runs that were concluded now, and how.
    pub concluded: Vec<(String, Conclusion)>,
    /// What was done.
    pub done: Done,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
struct Scope {
    most: usize,
    time: Duration,
}

/// Looks at every journal below `state`, or below the folder for state, and closes those whose run is dead.
///
/// # Errors
/// Fails when there is no such folder, or it cannot be read.
pub fn reconcile(state: Option<&Path>, environ: &Environ) -> Result<Vec<Looked>, Failure> {
    let state = state.map_or_else(|| folders::state(environ), |state| Ok(state.to_owned()))?;
    let open = journals(&state)?;
    let scope = Scope { most: usize::MAX, time: PATIENCE };
    event_loop()?.block_on(async { Ok(look_at(open, environ, scope).await) })
}

/// The same beside a run, where there is something to do at all.
pub(super) fn beside(environ: &Environ) -> Option<Beside> {
    let open = journals(&folders::state(environ).ok()?).ok()?;
    let open: Vec<PathBuf> = open.into_iter().filter(|path| is_open(path)).collect();
    if open.is_empty() {
        return None;
    }
    let environ = environ.clone();
    let scope = Scope { most: MOST_BESIDE, time: BESIDE };
    on_a_thread(async move { look_at(open, &environ, scope).await }).ok().map(Beside)
}

/// A look at journals that goes on beside a run.
pub(super) struct Beside(oneshot::Receiver<Vec<Looked>>);

impl Beside {
    /// What it came to, when it has come to an end by now.
    pub(super) async fn end(self) -> Vec<Looked> {
        let looked = tokio::time::timeout(AT_THE_END, self.0).await;
        looked.ok().and_then(Result::ok).unwrap_or_default()
    }
}

/// The journals below the folder `state`, those of the oldest runs first.
fn journals(state: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = folder(state);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let what = format!("the journals in {} cannot be read: {error}", folder.display());
            return Err(host(what, "run it as the user of the runner, or name another folder with --state"));
        }
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    // Ids of runs sort by time.
    paths.sort_unstable();
    Ok(paths)
}

/// Whether a journal has something left to be done, which a person has to see where it cannot be read.
fn is_open(path: &Path) -> bool {
    read(path).is_ok_and(|state| !state.is_closed)
}

async fn look_at(paths: Vec<PathBuf>, environ: &Environ, scope: Scope) -> Vec<Looked> {
    let registry = crate::app::secrets::registry(environ);
    let deadline = Instant::now() + scope.time;
    let mut by = Looker { environ, registry, deadline, remotes: BTreeMap::new() };
    let mut looked = Vec::new();
    for path in paths.into_iter().take(scope.most) {
        looked.push(by.look(path).await);
    }
    for remote in by.remotes.values().flatten() {
        remote.client.close(Instant::now() + CLOSE).await;
    }
    looked
}

/// Whoever looks at journals.
struct Looker<'a> {
    environ: &'a Environ,
    registry: Registry,
    deadline: Instant,
    /// The way to each repository, where there is one.
    remotes: BTreeMap<String, Result<Remote, String>>,
}

impl Looker<'_> {
    async fn look(&mut self, path: PathBuf) -> Looked {
        let mut looked = Looked { path, planned: None, ended: 0, concluded: Vec::new(), done: Done::Alive };
        let journal = match Journal::try_hold(&looked.path, &self.registry) {
            Ok(Some(journal)) => Arc::new(journal),
            Ok(None) => return looked,
            Err(error) => {
                looked.done = Done::Failed(chain(&error));
                return looked;
            }
        };
        let state = journal.state();
        looked.planned.clone_from(&state.planned);
        let age = |since: Option<Timestamp>| since.map(|last| Timestamp::now().since(last));
        looked.done = match (&state.planned, state.is_closed) {
            (None, _) => nothing_begun(&journal),
            (Some(_), true) => {
                if age(state.last).is_some_and(|age| age > KEPT) {
                    // Still there the next time, if it cannot be removed now.
                    let _ = std::fs::remove_file(journal.path());
                }
                Done::Complete
            }
            (Some(planned), false) => {
                let planned = planned.clone();
                match self.close(&journal, &state, &planned, &mut looked).await {
                    Ok(done) => done,
                    Err(error) => Done::Failed(chain(&error)),
                }
            }
        };
        if matches!(looked.done, Done::Failed(_)) && age(state.last).is_some_and(|age| age > STALE) {
            // Whatever stands against it has done so for two weeks, and GitHub has said so itself by now.
            let _ = journal.close();
        }
        looked
    }

    /// Ends what is left of a dead run.
    async fn close(
        &mut self,
        journal: &Arc<Journal>,
        state: &State,
        planned: &Planned,
        looked: &mut Looked,
    ) -> Result<Done, JournalError> {
        // A verdict of this epoch is the last word from here on.
        journal.take(Role::Reconcile)?;
        for (pid, command) in &state.commands {
            looked.ended += usize::from(remains::end(&command.process, command.cgroup.as_deref()));
            journal.write(&Entry::CommandEnd { pid: *pid })?;
        }
        let word = LastWord::of(state, Timestamp::now());
        for (id, check) in state.checks.iter().filter(|(_, check)| check.is_open()) {
            let about = About { planned, id, check, last: state.last };
            match self.close_check(journal, &about, &word).await {
                Closing::Concluded => looked.concluded.push((id.clone(), word.conclusion)),
                Closing::WasConcluded | Closing::Absent => {}
                Closing::Later(why) => return Ok(Done::Later(why)),
                Closing::Failed(why) => return Ok(Done::Failed(why)),
            }
        }
        journal.close()?;
        Ok(Done::Closed)
    }

    async fn close_check(&mut self, journal: &Arc<Journal>, about: &About<'_>, word: &LastWord) -> Closing {
        let (registry, deadline) = (self.registry.clone(), self.deadline);
        let remote = match self.remote(about.planned) {
            Ok(remote) => remote,
            Err(why) => return Closing::Failed(why.clone()),
        };
        let subject = Subject {
            name: about.check.name.clone(),
            head_sha: about.planned.sha.clone(),
            external_id: about.id.to_owned(),
            details_url: None,
            started_at: about.planned.started_at,
        };
        let outbox = Outbox::new(remote, Arc::clone(journal), about.id.to_owned());
        let closing = close(&outbox, &subject, (about.check, about.last), word, &registry, deadline).await;
        match (closing, outbox.lost()) {
            // Done all the same; the journal is looked at once more the next time.
            (Closing::Concluded, Some(why)) => Closing::Later(why),
            (closing, _) => closing,
        }
    }

    /// The way to the repository of `planned`.
    fn remote(&mut self, planned: &Planned) -> Result<&Remote, &String> {
        let Self { environ, registry, remotes, .. } = self;
        let made = remotes.entry(format!("{} {}", planned.api, planned.repository)).or_insert_with(|| {
            policy::may_reconcile(&planned.repository, environ)?;
            let remote = remote_of(&planned.repository, environ, registry)?;
            let here = remote.client.host().api();
            if here == planned.api {
                Ok(remote)
            } else {
                Err(format!("its check run is on {}, and GITHUB_API_URL says {here}", planned.api))
            }
        });
        made.as_ref()
    }
}

/// A check run that a journal tells of.
struct About<'a> {
    planned: &'a Planned,
    id: &'a str,
    check: &'a Check,
    last: Option<Timestamp>,
}

/// A file in which nothing was begun: its process died at once, or has only just made it.
fn nothing_begun(journal: &Journal) -> Done {
    let made = std::fs::metadata(journal.path()).and_then(|metadata| metadata.modified());
    let age = made.ok().and_then(|made| crate::clock::file_time().duration_since(made).ok());
    if age.is_none_or(|age| age < BEGINNING) {
        return Done::Later("it has only just been begun".to_owned());
    }
    let _there_the_next_time = std::fs::remove_file(journal.path());
    Done::Closed
}
