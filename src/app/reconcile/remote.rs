//! Closing check runs of ours by what GitHub has of them: for runners whose disk is gone with them.
//!
//! GitHub has no list of an App's open check runs. So the heads of branches and of open pull requests are looked at, as far
//! as the App may list them, and whatever else is named; what was looked at is said.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::app::check_run::{CLOSE, client_of};
use crate::app::failure::Failure;
use crate::app::folders;
use crate::app::policy;
use crate::app::reconcile::PATIENCE;
use crate::app::tell::event_loop;
use crate::clock::Timestamp;
use crate::deliver::closing::{Closing, LastWord, conclude};
use crate::deliver::remote::Remote;
use crate::environ::Environ;
use crate::github::app::{Access, Scope};
use crate::github::checks::{Call, CheckRun, CheckRuns};
use crate::github::client::{Client, ClientError, Request, next_page, read};
use crate::github::repository::Repository;
use crate::id::RunId;
use crate::journal::file::{Journal, path};
use crate::redact::Registry;

/// Pages of a list that are read, of a hundred each.
const MOST_PAGES: usize = 5;

/// Commits that are looked at.
const MOST_COMMITS: usize = 500;

/// Where to look, and for what.
#[derive(Clone, Debug)]
pub struct Question {
    /// The repository, `OWNER/NAME`.
    pub repository: String,
    /// A run that is younger may be alive.
    pub older_than: Duration,
    /// Branches, tags or commits to look at beside those that can be listed.
    pub refs: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What was looked at, in words.
    pub looked_at: Vec<String>,
    /// What could not be looked at, and why.
    pub not_looked_at: Vec<String>,
    /// Commits that were looked at.
    pub commits: usize,
    /// The open runs that are old enough, and what came of each.
    pub runs: Vec<(CheckRun, Closing)>,
    /// Open runs of ours that are younger, or whose process is alive on this machine.
    pub young: usize,
}

/// Why nothing was looked at.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Something that it takes is missing.
    #[error(transparent)]
    Lack(#[from] Failure),
    /// The server refuses, or cannot be reached.
    #[error("{}", .0.full_text())]
    GitHub(ClientError),
}

/// Concludes open check runs of our App in a repository.
///
/// # Errors
/// Fails when nothing can be looked at: there are no credentials, or the server does not answer.
pub fn reconcile(question: &Question, environ: &Environ) -> Result<Found, RemoteError> {
    let registry = crate::app::secrets::registry(environ);
    let repository = Repository::parse(&question.repository).map_err(|error| Failure::Usage {
        message: error.to_string(),
        help: Some("name it with --repo OWNER/NAME".to_owned()),
    })?;
    policy::may_reconcile(&repository.to_string(), environ).map_err(Failure::Policy)?;
    let made = |permission: &str, access| {
        let permissions = [(permission.to_owned(), access)].into();
        let scope = Scope { repository: repository.clone(), permissions };
        client_of(scope, environ, &registry)
            .map_err(|(message, help)| Failure::Undeliverable { message, help })
    };
    // One token each: an App that lacks one of the permissions gets none at all when it asks for both.
    let (contents, pulls) = (made("contents", Access::Read)?, made("pull_requests", Access::Read)?);
    let remote = Remote { client: made("checks", Access::Write)?, repository: repository.clone() };
    event_loop()?.block_on(async {
        let deadline = Instant::now() + PATIENCE;
        let lists = [&contents, &pulls];
        let search = Search { lists, remote: &remote, question, environ, registry: &registry, deadline };
        let found = search.run().await;
        for client in [&contents, &pulls, &remote.client] {
            client.close(Instant::now() + CLOSE).await;
        }
        found.map_err(RemoteError::GitHub)
    })
}

/// A search on its way.
struct Search<'a> {
    /// Clients that may list branches, and pull requests, where the App may.
    lists: [&'a Client; 2],
    remote: &'a Remote,
    question: &'a Question,
    environ: &'a Environ,
    registry: &'a Registry,
    deadline: Instant,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

#[derive(Deserialize)]
struct Branch {
    commit: Head,
}

#[derive(Deserialize)]
struct Pull {
    head: Head,
}

#[derive(Deserialize)]
struct About {
    default_branch: String,
}

impl Search<'_> {
    async fn run(&self) -> Result<Found, ClientError> {
        let mut found = Found::default();
        let mut refs: BTreeSet<String> = self.question.refs.iter().cloned().collect();
        found.looked_at.extend(self.question.refs.iter().cloned());
        let [contents, pulls] = self.lists;
        let branches = self.heads(contents, "/branches?per_page=100", |branch: Branch| branch.commit.sha);
        let branches = ("branches", branches.await);
        let pulls = self.heads(pulls, "/pulls?state=open&per_page=100", |pull: Pull| pull.head.sha);
        let listed = [branches, ("open pull requests", pulls.await)];
        for (what, heads) in listed {
            match heads {
                Ok(heads) => {
                    found.looked_at.push(format!("the heads of {} {what}", heads.len()));
                    refs.extend(heads);
                }
                Err(ClientError::Refused(refusal)) => {
                    found.not_looked_at.push(format!("{what}: {}", refusal.what()));
                }
                Err(error) => return Err(error),
            }
        }
        if refs.is_empty() {
            let about: About = self.get(&self.remote.repository.path("")).await?;
            found.looked_at.push(format!("the branch {}", about.default_branch));
            refs.insert(about.default_branch);
        }
        if refs.len() > MOST_COMMITS {
            found.not_looked_at.push(format!("{} further commits", refs.len() - MOST_COMMITS));
        }
        let mut seen = BTreeSet::new();
        for reference in refs.iter().take(MOST_COMMITS) {
            let runs = self.open_runs(reference).await?;
            found.commits += 1;
            for run in runs.into_iter().filter(|run| seen.insert(run.id)) {
                self.take(run, &mut found).await;
            }
        }
        Ok(found)
    }

    /// Concludes `run` when it is one of ours, old enough, and nobody's who is alive.
    async fn take(&self, run: CheckRun, found: &mut Found) {
        // Ours begin with the id of their run; the App may serve other programs as well.
        let id = run.external_id.as_deref().and_then(|id| RunId::parse(id.split('/').next().unwrap_or(id)));
        let Some(id) = id else { return };
        let begun = run.started_at.as_deref().and_then(Timestamp::of_rfc3339);
        let is_old = begun.is_some_and(|begun| Timestamp::now().since(begun) >= self.question.older_than);
        if !is_old || self.is_alive(id) {
            found.young += 1;
            return;
        }
        let word = LastWord::lost();
        let closing = conclude(self.remote, run.id, &word, self.registry, self.deadline).await;
        found.runs.push((run, closing));
    }

    /// Whether the run is being made on this machine at this moment.
    fn is_alive(&self, id: RunId) -> bool {
        folders::state(self.environ)
            .is_ok_and(|state| matches!(Journal::try_hold(&path(&state, id), self.registry), Ok(None)))
    }

    /// Open check runs of our App on a commit, the newest first.
    async fn open_runs(&self, reference: &str) -> Result<Vec<CheckRun>, ClientError> {
        let call = Call::Open { reference: reference.to_owned(), app: self.remote.client.app_id().await };
        let mut target = Some(call.path(&self.remote.repository.to_string()));
        let mut runs = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(address) = target.take() else { break };
            let answer = self.remote.client.send(&Request::get(address), self.deadline).await;
            let answer = match answer {
                // A branch that was removed meanwhile.
                Err(ClientError::Refused(refusal)) if matches!(refusal.status, 404 | 422) => break,
                answer => answer?,
            };
            runs.extend(read::<CheckRuns>(&answer)?.check_runs);
            target = next_page(&answer).map(str::to_owned);
        }
        Ok(runs)
    }

    /// What is in a list of things that have a commit.
    async fn heads<T: for<'de> Deserialize<'de>>(
        &self,
        client: &Client,
        list: &str,
        sha: impl Fn(T) -> String,
    ) -> Result<Vec<String>, ClientError> {
        let mut target = Some(self.remote.repository.path(list));
        let mut heads = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(address) = target.take() else { break };
            let answer = client.send(&Request::get(address), self.deadline).await?;
            heads.extend(read::<Vec<T>>(&answer)?.into_iter().map(&sha));
            target = next_page(&answer).map(str::to_owned);
        }
        Ok(heads)
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, target: &str) -> Result<T, ClientError> {
        read(&self.remote.client.send(&Request::get(target), self.deadline).await?)
    }
}
