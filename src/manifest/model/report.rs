//! What is kept of a run, and how it is shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manifest::diagnostic::Span;
use crate::manifest::expression::Template;
use crate::manifest::model::{FilterMode, OnMissing, Spanned};

/// One artifact.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its name.
    pub name: Template,
    /// Globs; one that begins with `!` takes files away again.
    pub path: Vec<Template>,
    /// Days it is kept; absent: the repository's setting.
    pub retention_days: Option<u32>,
    /// What it means when nothing matches.
    pub if_no_files_found: OnMissing,
    /// 0 to 9.
    pub compression_level: u8,
    /// Whether files and folders that begin with a dot are taken.
    pub include_hidden_files: bool,
    /// Whether an artifact of the same name is replaced.
    pub overwrite: bool,
    /// After which outcome it is kept.
    pub when: ArtifactWhen,
    /// How it is packed.
    pub archive: Archive,
    /// Whether text files are searched for secrets first.
    pub mask: bool,
    /// Its place.
    pub span: Span,
}

impl Artifact {
    /// Characters that the artifact service refuses in names, and in paths but for the slash.
    pub const REFUSED: [char; 11] = ['"', ':', '<', '>', '|', '*', '?', '\r', '\n', '\\', '/'];
}

/// After which outcome an artifact is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactWhen {
    /// Any.
    Always,
    /// Only success.
    Success,
    /// Only failure.
    Failure,
}

/// How an artifact is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Archive {
    /// A zip file.
    #[serde(rename = "zip")]
    Zip,
    /// A zstd-compressed tar file, which keeps modes and symlinks.
    #[serde(rename = "tar.zst")]
    TarZst,
    /// One file as it is.
    #[serde(rename = "none")]
    None,
}

/// `report`.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the check run; absent: the command's name.
    pub check_name: Option<Template>,
    /// One check run for all, or one a gate.
    pub check_runs: Spanned<CheckRuns>,
    /// Which findings are shown.
    pub filter_mode: Spanned<FilterMode>,
    /// Most annotations.
    pub max_annotations: u32,
    /// Where annotations go; absent: by what the token may do.
    pub annotate: Option<Annotate>,
    /// What is tried in turn when the check run cannot be written.
    pub fallback: Vec<Fallback>,
    /// Whether SARIF is uploaded to code scanning.
    pub sarif_upload: Spanned<bool>,
    /// Sections of the summary, in order.
    pub summary: Vec<SummarySection>,
    /// Seconds between live updates.
    pub progress: Duration,
}

/// How many check runs a command posts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckRuns {
    /// One for all.
    #[default]
    Command,
    /// One a gate.
    Gates,
}

/// Where annotations go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotate {
    /// To the check run.
    CheckRun,
    /// To the log, as workflow commands.
    WorkflowCommands,
    /// Nowhere.
    None,
}

/// A way to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// A check run.
    CheckRun,
    /// A commit status.
    Status,
    /// The job's step summary.
    StepSummary,
}

/// A section of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SummarySection {
    /// A table of steps.
    Steps,
    /// The gates.
    Gates,
    /// Findings, worst first.
    Findings,
    /// Tests.
    Tests,
    /// Artifacts.
    Artifacts,
    /// How long things took.
    Timings,
}
