//! What this host can do, tried and not guessed, and what would mend it.
//!
//! Each subject has a file and a line in `SUBJECTS`. Must not change the host: whoever reads the remedy does that.

mod disk;
mod github;
mod interpreters;
mod network;
mod policy;
mod program;
mod remedies;
mod runner;
mod sandbox;

use crate::environ::Environ;
use crate::sandbox::spawn::Sandbox;

/// How a check came out, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Good,
    /// Less than there could be; runs go on without it, and say so.
    Lacking,
    /// Runs that need it are refused.
    Failed,
}

impl State {
    /// A word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Lacking => "lacking",
            Self::Failed => "failed",
        }
    }
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is about, as a word that does not change.
    pub id: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found, in a sentence; where it failed, with the call and the kernel's answer.
    pub found: String,
    /// Why, as far as the host tells.
    pub cause: Option<String>,
    /// What to do, each a way of its own. May be of several lines.
    pub remedies: Vec<String>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Patient<'a> {
    /// Where children come from.
    pub sandbox: &'a Sandbox,
    /// The caller's environment.
    pub environ: &'a Environ,
    /// Whether nothing is asked of other machines.
    pub offline: bool,
}

impl Check {
    /// One that came out well.
    fn good(id: &'static str, found: String) -> Self {
        Self { id, state: State::Good, found, cause: None, remedies: Vec::new() }
    }
}

/// Everything that is tried, in the order in which it is told.
const SUBJECTS: [fn(Patient<'_>) -> Vec<Check>; 8] = [
    sandbox::checks,
    program::checks,
    runner::checks,
    interpreters::checks,
    disk::checks,
    policy::checks,
    network::checks,
    github::checks,
];

/// Tries everything.
#[must_use]
pub fn examine(patient: Patient<'_>) -> Vec<Check> {
    SUBJECTS.iter().flat_map(|checks| checks(patient)).collect()
}

/// The worst of all.
#[must_use]
pub fn worst(checks: &[Check]) -> State {
    checks.iter().map(|check| check.state).max().unwrap_or(State::Good)
}
