//! Concluding a check run whose executor is dead: what is said, and how it is brought there.
//!
//! Nobody knows what the run would have found, so that a dead run never passes. Must not know which runs are dead.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::clock::Timestamp;
use crate::deliver::compose::{Job, Subject};
use crate::deliver::outbox::ON_ITS_WAY;
use crate::deliver::publish::Api;
use crate::deliver::state::Came;
use crate::github::checks::{Call, CheckRun, Status};
use crate::journal::entry::Stopping;
use crate::journal::state::{Check, Presence, State};
use crate::record::Conclusion;
use crate::redact::Registry;

/// Times that a call is made.
const MOST_TRIES: u32 = 4;

/// Pause before the second one; it grows with each further one.
const PAUSE: Duration = Duration::from_millis(500);

/// What is said of a run that is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWord {
    /// How it is concluded; never as passed.
    pub conclusion: Conclusion,
    /// One line.
    pub title: String,
    /// Markdown of ours.
    pub text: String,
}

impl LastWord {
    /// What is said of a run whose journal says this, at `now`.
    #[must_use]
    pub fn of(journal: &State, now: Timestamp) -> Self {
        let deadline = journal.planned.as_ref().map(|planned| planned.deadline);
        let (conclusion, title, why) = match (journal.judged, journal.stopping) {
            (Some((verdict, _)), _) => return Self::of_verdict(verdict),
            (None, Some(Stopping::Cancelled)) => (
                Conclusion::Cancelled,
                "cancelled: the executor ended before it could say so",
                "The run was cancelled, and its executor ended before it could conclude this check run.",
            ),
            (None, Some(Stopping::TimedOut)) => (
                Conclusion::TimedOut,
                "timed out: the executor ended before it could say so",
                "The command's time was up, and its executor ended before it could conclude this check run.",
            ),
            (None, None) if deadline.is_some_and(|deadline| deadline < now) => (
                Conclusion::TimedOut,
                "executor lost, and the command's time is up",
                "The process that made this run is gone, and the time that the command may take has passed.",
            ),
            (None, None) => return Self::lost(),
        };
        Self { conclusion, title: title.to_owned(), text: page(why) }
    }

    /// What is said where nothing but that is known.
    #[must_use]
    pub fn lost() -> Self {
        Self {
            conclusion: Conclusion::Failure,
            title: "executor lost, no verdict".to_owned(),
            text: page("The process that made this run is gone: it was killed, or its machine was."),
        }
    }

    /// A verdict that was never posted. One that would pass is not posted by somebody who has not seen the run.
    fn of_verdict(verdict: Conclusion) -> Self {
        let (conclusion, said) = match verdict {
            Conclusion::Success | Conclusion::Neutral => (Conclusion::Failure, "passed"),
            Conclusion::Failure => (verdict, "failed"),
            Conclusion::Cancelled => (verdict, "was cancelled"),
            Conclusion::TimedOut => (verdict, "timed out"),
        };
        Self {
            conclusion,
            title: "executor lost before its verdict was delivered".to_owned(),
            text: format!(
                "## ❌ The verdict was not delivered\n\nThe run {said}, and the process that made it was gone before it \
                 could post that here. The record has the verdict and all findings: `rungate publish RUN_DIR --again` \
                 on the runner posts them as a new check run.\n"
            ),
        }
    }
}

fn page(why: &str) -> String {
    format!(
        "## ❌ There is no verdict\n\n{why} Nothing is known of what it would have found. Run it again.\n"
    )
}

/// What came of closing a check run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It has the last word now.
    Concluded,
    /// It had a conclusion already.
    WasConcluded,
    /// There is none.
    Absent,
    /// It cannot be said yet whether there is one.
    Later(String),
    /// It could not be closed.
    Failed(String),
}

/// Concludes the check run that `check` tells of, where there is one that is open.
pub async fn close(
    api: &impl Api,
    subject: &Subject,
    (check, last): (&Check, Option<Timestamp>),
    word: &LastWord,
    registry: &Registry,
    deadline: Instant,
) -> Closing {
    let in_doubt = matches!(check.presence, Presence::Doubt(_))
        || check.in_doubt.is_some()
        || check.concluding.is_some();
    if let Some(last) = last.filter(|_| in_doubt) {
        // What the dead process has sent may still come about.
        let until = Instant::now() + ON_ITS_WAY.saturating_sub(Timestamp::now().since(last));
        if until >= deadline {
            return Closing::Later("what its process has sent last may still be on its way".to_owned());
        }
        sleep_until(until).await;
    }
    let found = match check.presence {
        Presence::Absent => return Closing::Absent,
        Presence::There(id) => asked(api, &Call::Get { id }, deadline).await,
        Presence::Doubt(_) => asked(api, &subject.find(api.app_id().await, registry), deadline).await,
    };
    let ours = |run: &CheckRun| run.external_id.as_deref() == Some(&subject.external_id);
    let run = match found {
        Came::Run(run) => run,
        Came::Runs(runs) => match runs.into_iter().find(ours) {
            Some(run) => run,
            None => return Closing::Absent,
        },
        came => return failed(came),
    };
    if run.status == Status::Completed {
        return Closing::WasConcluded;
    }
    conclude(api, run.id, word, registry, deadline).await
}

/// Sends the last word about the check run `id`.
pub async fn conclude(
    api: &impl Api,
    id: u64,
    word: &LastWord,
    registry: &Registry,
    deadline: Instant,
) -> Closing {
    let job = Job::without_verdict(word.conclusion, &word.title, word.text.clone(), &[], registry);
    let call = match job {
        Ok(job) => job.conclude(id, 0, None),
        Err(error) => return Closing::Failed(error.to_string()),
    };
    match asked(api, &call, deadline).await {
        Came::Run(_) => Closing::Concluded,
        came => failed(came),
    }
}

/// Makes a call that may be made more than once until it is answered.
async fn asked(api: &impl Api, call: &Call, deadline: Instant) -> Came {
    let mut tries = 0;
    loop {
        let came = api.call(call, deadline).await;
        tries += 1;
        let again = Instant::now() + PAUSE * tries;
        if !matches!(came, Came::Doubt(_) | Came::Failed(_)) || tries == MOST_TRIES || again >= deadline {
            return came;
        }
        sleep_until(again).await;
    }
}

fn failed(came: Came) -> Closing {
    Closing::Failed(match came {
        Came::Refused(why) | Came::Invalid(why) | Came::Final(why) | Came::Doubt(why) | Came::Failed(why) => {
            why
        }
        Came::Run(_) | Came::Runs(_) => "the answer of the server is none to the question".to_owned(),
    })
}

#[cfg(test)]
mod tests;
