//! A test that a report tells of.

use std::time::Duration;

/// One test.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What it belongs to: a class, a file, a suite. Empty when the report does not say.
    pub suite: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub outcome: TestOutcome,
    /// How long it took, where the report says so.
    pub duration: Option<Duration>,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestOutcome {
    /// As it should.
    Passed,
    /// Not as it should, or with an error.
    Failed,
    /// It did not run.
    Skipped,
}
