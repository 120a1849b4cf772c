//! The nouns of a manifest. A value of these types has passed every check that needs nothing but the file.

mod command;
mod input;
mod matrix;
mod report;
mod sandbox;
mod source;
mod step;
mod verdict;

use crate::manifest::diagnostic::Span;

pub use command::{Command, Concurrency, Confirm, Defaults, EnvEntry, Manifest, Permission, Suppression};
pub use input::{Input, InputKind, Pattern};
pub use matrix::{MatrixValue, MatrixValues, Strategy};
pub use report::{Annotate, Archive, Artifact, ArtifactWhen, CheckRuns, Fallback, Report, SummarySection};
pub use sandbox::{Layer, LimitSettings, Network, Requirement, SandboxSettings};
pub use source::{FindingSource, From, OnMissing, Parser};
pub(crate) use step::as_seconds;
pub use step::{Body, Cache, Condition, FileFilter, Retry, RetryOn, Shell, Step};
pub use verdict::{FilterMode, Gate, TestLimits};

/// A value and the place in the file that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place in the file.
    pub span: Span,
}
