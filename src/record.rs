//! The record of a run: what `record.json` says. Nouns only; `report` writes it.

pub mod artifact;
pub mod delivery;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::finding::Counts;
use crate::finding::baseline::Entry;
use crate::id::{CommandId, RunId, Sha256, StepId, StepKey};
use crate::record::artifact::ArtifactRecord;
use crate::record::delivery::{CheckRunPlan, Delivery};

/// Version of the record's form.
pub const SCHEMA: &str = "rungate.record/1";

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ended with exit code 0.
    Success,
    /// It ended with another code or by a signal, or its files for outputs were not acceptable.
    Failure,
    /// It was stopped because the run was cancelled or a sibling failed.
    Cancelled,
    /// It was stopped because its time was up.
    TimedOut,
    /// It did not run.
    Skipped,
    /// It could not be started; it says nothing about the script.
    SetupFailed,
}

impl Outcome {
    /// The record's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Skipped => "skipped",
            Self::SetupFailed => "setup_failed",
        }
    }

    /// What expressions see: `timed_out` and `setup_failed` read as `failure`.
    #[must_use]
    pub const fn in_expressions(self) -> &'static str {
        match self {
            Self::TimedOut | Self::SetupFailed => "failure",
            other => other.as_str(),
        }
    }
}

/// Why a step was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Its `if` was false: as good as success.
    Condition,
    /// It has `changed-only` and no file that it looks at has changed: as good as success.
    NoChangedFiles,
    /// A step that it needs did not succeed.
    NeedFailed,
    /// The run was cancelled or had failed fast before it began.
    RunEnded,
}

impl Skip {
    /// Whether the skip counts as success for what comes after and for the gate `steps`.
    #[must_use]
    pub const fn counts_as_success(self) -> bool {
        matches!(self, Self::Condition | Self::NoChangedFiles)
    }
}

/// How a whole run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every gate passed.
    Success,
    /// Every gate passed, with warnings.
    Neutral,
    /// A gate failed.
    Failure,
    /// Somebody stopped it.
    Cancelled,
    /// The command's time was up.
    TimedOut,
}

impl Conclusion {
    /// The record's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Neutral => "neutral",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Which sandbox layers were active for a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// `namespaces`, `landlock` or `none`.
    pub tier: String,
    /// The namespaces that the step had of its own.
    pub namespaces: Vec<String>,
    /// `fresh`, or `bound` where it was the host's; absent where the step saw the host's anyway.
    pub proc: Option<String>,
    /// Landlock ABI in force.
    pub landlock: Option<u32>,
    /// What the Landlock domain kept inside beside files: `signal`, `abstract-unix-socket`, `tcp`.
    pub landlock_scopes: Vec<String>,
    /// Whether the system call filter was on.
    pub seccomp: bool,
    /// Whether no program could gain rights by being started.
    pub no_new_privs: bool,
    /// The network: `none` or `host`.
    pub network: String,
    /// Cgroup controllers in force.
    pub cgroup: Vec<String>,
    /// Each limit, and what held the step to it; a limit that nothing enforced is not here.
    pub limits_enforced_by: BTreeMap<String, String>,
    /// User id of the script, as the host sees it.
    pub outer_uid: Option<u32>,
    /// What was asked for and not enforced, in words.
    pub degraded: Vec<String>,
}

/// One process of a step that hung, as it was when its time was up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub parent: i32,
    /// State letter of `/proc/PID/stat`.
    pub state: char,
    /// Seconds since it started.
    pub age_seconds: u64,
    /// Command line, cut.
    pub command: String,
}

/// What was seen when a step's time was up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HangDiagnosis {
    /// Its processes.
    pub processes: Vec<ProcessInfo>,
    /// The last lines of its output.
    pub last_output: Vec<String>,
    /// Milliseconds since it last wrote something; absent: it never did.
    pub silent_ms: Option<u64>,
}

/// One step in a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its id.
    pub id: StepId,
    /// Its key: the id, with the matrix leg when there is one.
    pub key: StepKey,
    /// Shown to people.
    pub name: String,
    /// The leg's values.
    pub matrix: BTreeMap<String, serde_json::Value>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was skipped.
    pub skip: Option<Skip>,
    /// Whether its failure does not count.
    pub continue_on_error: bool,
    /// Why, in words, where the outcome alone does not say it.
    pub reason: Option<String>,
    /// Whether it succeeded only after another attempt.
    pub flaky: bool,
    /// Exit code of the last attempt.
    pub exit_code: Option<i32>,
    /// Signal that ended the last attempt.
    pub signal: Option<String>,
    /// Attempts made; 0 for one that did not run.
    pub attempts: u32,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// How long all attempts took, in milliseconds.
    pub duration_ms: u64,
    /// Whether it was called slow.
    pub slow: bool,
    /// Its findings.
    pub counts: Counts,
    /// Findings that were accepted, by the manifest or in the source.
    pub suppressed: u64,
    /// Tests that its reports tell of.
    pub tests: Tests,
    /// Folder of its files in the record.
    pub folder: String,
    /// Bytes of output that were not kept.
    pub output_dropped: u64,
    /// What was seen when its time was up.
    pub hang: Option<HangDiagnosis>,
    /// Its sandbox.
    pub sandbox: SandboxReport,
}

impl StepRecord {
    /// Whether what comes after may take it for a success.
    #[must_use]
    pub fn passed(&self) -> bool {
        match self.outcome {
            Outcome::Success => true,
            Outcome::Skipped => self.skip.is_some_and(Skip::counts_as_success),
            Outcome::Failure | Outcome::TimedOut | Outcome::SetupFailed => self.continue_on_error,
            Outcome::Cancelled => false,
        }
    }
}

/// A gate's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateResult {
    /// Its id.
    pub id: String,
    /// Shown to people.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// Why, in words.
    pub reason: String,
    /// What it judged.
    pub counts: Counts,
    /// What it left out.
    pub left_out: LeftOut,
    /// Entries of its baseline that do not occur any more.
    pub gone: Vec<Entry>,
}

/// Findings that a gate left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Outside of what changed.
    pub outside: u64,
    /// Known to the baseline.
    pub known: u64,
}

/// The file that said what to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRef {
    /// Path as shown.
    pub path: String,
    /// Its digest.
    pub sha256: Sha256,
}

/// Tests that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
}

impl Tests {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.skipped)
    }

    /// These and `others`.
    #[must_use]
    pub const fn plus(self, others: Self) -> Self {
        Self {
            passed: self.passed.saturating_add(others.passed),
            failed: self.failed.saturating_add(others.failed),
            skipped: self.skipped.saturating_add(others.skipped),
        }
    }
}

/// What `record.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: Cow<'static, str>,
    /// Version of the program that wrote it.
    pub rungate: Cow<'static, str>,
    /// Id of the run.
    pub run_id: RunId,
    /// The command.
    pub command: CommandId,
    /// Shown to people.
    pub name: String,
    /// The inputs, in their types.
    pub inputs: BTreeMap<String, serde_json::Value>,
    /// How it ended.
    pub conclusion: Conclusion,
    /// Exit code of the program.
    pub exit_code: u8,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The file that said what to run.
    pub manifest: ManifestRef,
    /// Fingerprint of the plan.
    pub plan: Sha256,
    /// `owner/name`, when known.
    pub repository: Option<String>,
    /// Head commit, when known.
    pub sha: Option<String>,
    /// What a reader should know about how the run was made, such as a working tree that is not the head commit.
    pub notes: Vec<String>,
    /// The steps, in the plan's order.
    pub steps: Vec<StepRecord>,
    /// The gates.
    pub gates: Vec<GateResult>,
    /// Findings of each level.
    pub counts: Counts,
    /// Findings that were suppressed.
    pub suppressed: u64,
    /// Findings that `report.filter-mode` leaves out of what is shown.
    pub filtered: u64,
    /// Tests that were counted.
    pub tests: Tests,
    /// What was kept of what it made.
    pub artifacts: Vec<ArtifactRecord>,
    /// What its check run is to be.
    pub check_run: CheckRunPlan,
    /// Whether GitHub was told.
    pub delivery: Delivery,
    /// The audit log's word; `none` until there is one.
    pub audit: Cow<'static, str>,
}

impl Record {
    /// Whether steps are missing that would have looked for something. What such a run has not found may be there all the
    /// same.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        let stopped =
            |outcome| matches!(outcome, Outcome::Cancelled | Outcome::TimedOut | Outcome::SetupFailed);
        matches!(self.conclusion, Conclusion::Cancelled | Conclusion::TimedOut)
            || self.steps.iter().any(|step| stopped(step.outcome))
    }
}
