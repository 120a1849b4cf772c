//! How one attempt at a step ended, also one whose program was never started.

use std::time::SystemTime;

use crate::record::{HangDiagnosis, Outcome};
use crate::run::executor::Tools;
use crate::run::stop::{Stop, Why};
use crate::workspace::files::Beneath;

/// How an attempt ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
    pub(super) code: Option<i32>,
    pub(super) signal: Option<String>,
    /// Whether the program was started.
    pub(super) ran: bool,
    pub(super) slow: bool,
    pub(super) hang: Option<HangDiagnosis>,
    /// The folder with its private files, where the sandbox has one of its own.
    pub(super) files: Option<Beneath>,
    /// When it was started, by the clock that files are dated with.
    pub(super) began: SystemTime,
}

impl Ended {
    /// The program could not be started, which says nothing about it.
    pub(super) fn not_started(reason: String) -> Self {
        Self {
            outcome: Outcome::SetupFailed,
            reason: Some(reason),
            code: None,
            signal: None,
            ran: false,
            slow: false,
            hang: None,
            files: None,
            began: SystemTime::UNIX_EPOCH,
        }
    }

    /// The program was not started because something about it is wrong, such as a script that is another one now.
    pub(super) fn refused(reason: String) -> Self {
        Self { outcome: Outcome::Failure, ..Self::not_started(reason) }
    }

    /// The wish to stop came before the program.
    pub(super) fn before_start(tools: &Tools) -> Self {
        let stop = strongest(tools);
        Self { outcome: outcome_of(stop.why), ..Self::not_started(stop.why.text().to_owned()) }
    }
}

/// How a step ends that is stopped because of `why`.
pub(super) const fn outcome_of(why: Why) -> Outcome {
    match why {
        Why::Asked | Why::FailFast => Outcome::Cancelled,
        Why::CommandTimeout => Outcome::TimedOut,
    }
}

/// The more urgent of the wishes for this step and for the run.
pub(super) fn strongest(tools: &Tools) -> Stop {
    let (own, run) = (*tools.own.borrow(), *tools.run.borrow());
    if own.urgency > run.urgency { own } else { run }
}

/// `error` with its cause, for a reason that people read.
pub(super) fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
