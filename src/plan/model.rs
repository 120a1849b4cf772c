//! The plan's nouns.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::finding::Level;
use crate::finding::baseline::Baseline;
use crate::id::{CommandId, EnvName, GateId, RepoPath, Sha256, StepId, StepKey};
use crate::manifest::expression::{Expr, Template};
use crate::manifest::model::{
    CheckRuns, Fallback, FilterMode, Network, OnMissing, Parser, Requirement, Retry, Shell, SummarySection,
    TestLimits, as_seconds,
};
use crate::plan::artifacts::ArtifactsPlan;
use crate::plan::diff::Diff;
use crate::record::ManifestRef;

/// Version of the plan's form.
pub const SCHEMA: &str = "rungate.plan/1";

/// A complete plan.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Digest of everything below that does not depend on the host: equal for the same commit, request and manifest.
    pub fingerprint: Sha256,
    /// The command.
    pub command: CommandId,
    /// Shown to people.
    pub name: String,
    /// Name of the check run.
    pub check_name: String,
    /// The file that said so.
    pub manifest: ManifestRef,
    /// `owner/name`, when known.
    pub repository: Option<String>,
    /// Head commit, when known.
    pub sha: Option<String>,
    /// Commit that changes are counted from, when it was asked for.
    pub base: Option<String>,
    /// What a reader should know, such as a working tree that is not the head commit or a deprecated input.
    pub notes: Vec<String>,
    /// Every input, in its type.
    pub inputs: BTreeMap<String, serde_json::Value>,
    /// Names of the secrets that steps use. Never a value.
    pub secrets: Vec<EnvName>,
    /// Limit of the whole run.
    #[serde(rename = "timeout_seconds", serialize_with = "as_seconds")]
    pub timeout: Duration,
    /// Whether a failure cancels steps that are running.
    pub fail_fast: bool,
    /// Steps at once.
    pub max_parallel: u32,
    /// Only one run of a group at a time on a host.
    pub concurrency: Option<ConcurrencyPlan>,
    /// The steps, each after everything it needs.
    pub steps: Vec<PlannedStep>,
    /// The declared gates, or the one that stands in for none. The implicit gate `steps` is not listed.
    pub gates: Vec<PlannedGate>,
    /// Findings that are accepted.
    pub suppressions: Vec<PlannedSuppression>,
    /// What has changed since the base, or why that is not known. Absent where no filter asks.
    #[serde(skip)]
    pub diff: Option<Arc<Result<Diff, String>>>,
    /// What is kept of what it makes.
    pub artifacts: ArtifactsPlan,
    /// How it is shown.
    pub report: ReportPlan,
    /// The contexts whose values are known, for expressions that wait for steps. Not printed: `github` may be large.
    #[serde(skip)]
    pub contexts: Contexts,
}

/// Contexts that are known before anything runs.
#[derive(Clone, Debug, Default)]
pub struct Contexts {
    /// `inputs`
    pub inputs: serde_json::Value,
    /// `github`, from an allow-list.
    pub github: serde_json::Value,
    /// `runner`
    pub runner: serde_json::Value,
    /// Digests of files for `hashFiles`, by its literal arguments.
    pub hashes: BTreeMap<Vec<String>, String>,
}

/// One run of a group at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConcurrencyPlan {
    /// The group.
    pub group: String,
    /// Whether this run cancels the one that holds the group.
    pub cancel_in_progress: bool,
}

/// A text that is known, or will be when the step starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// Known.
    Known(String),
    /// Holds expressions on `steps`, `env` or `secrets`.
    Later(Template),
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Known(text) => text,
            Self::Later(template) => &template.text,
        })
    }
}

/// One execution of a step: the step itself, or one leg of its matrix.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStep {
    /// Its key.
    pub key: StepKey,
    /// Its id; legs of one matrix share it.
    pub id: StepId,
    /// Shown to people.
    pub name: String,
    /// The leg's values.
    pub matrix: BTreeMap<String, serde_json::Value>,
    /// Legs of this step at once; absent: as many as the plan allows.
    pub max_parallel: Option<u32>,
    /// Whether its failure cancels the other legs. True only in a matrix.
    pub leg_fail_fast: bool,
    /// Ids of the steps that must end before it starts.
    pub needs: Vec<StepId>,
    /// When it runs.
    pub condition: PlannedCondition,
    /// What runs it.
    pub shell: Shell,
    /// The interpreter that was found. Not part of the fingerprint.
    pub interpreter: PathBuf,
    /// What the interpreter needs of the host beside the system's folders. Not part of the fingerprint.
    pub interpreter_prefixes: Vec<PathBuf>,
    /// What runs.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<PlannedArg>,
    /// Its environment, outermost first; a later entry of one name wins.
    pub env: Vec<(EnvName, Text)>,
    /// Variables passed through from the caller, when they are set there.
    pub pass: Vec<EnvName>,
    /// Where it runs.
    pub working_directory: RepoPath,
    /// Limit of one attempt.
    #[serde(rename = "timeout_seconds", serialize_with = "as_seconds")]
    pub timeout: Duration,
    /// When it is called slow.
    #[serde(rename = "slow_after_seconds", serialize_with = "as_seconds")]
    pub slow_after: Duration,
    /// Whether its failure counts.
    pub continue_on_error: bool,
    /// How often it is tried.
    pub retry: Retry,
    /// The files it works on; absent: it did not ask. Legs of one matrix share the list.
    #[serde(serialize_with = "as_list")]
    pub files: Option<Arc<[String]>>,
    /// Whether it is skipped because it has `changed-only` and `files` is empty.
    pub nothing_changed: bool,
    /// What is read from its output.
    pub findings: Vec<PlannedSource>,
    /// Its sandbox.
    pub sandbox: SandboxPlan,
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn as_list<S: Serializer>(files: &Option<Arc<[String]>>, serializer: S) -> Result<S::Ok, S::Error> {
    files.as_deref().serialize(serializer)
}

/// When a step runs.
#[derive(Clone, Debug)]
pub struct PlannedCondition {
    /// The expression; absent: `success()`.
    pub expr: Option<Expr>,
    /// Whether `success()` must hold as well, because the expression names no status function.
    pub and_success: bool,
    /// As written.
    pub text: String,
}

impl Serialize for PlannedCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// One `argv` element.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedArg {
    /// The text.
    pub text: Text,
    /// Whether a value that begins with `-` is refused, because no literal option stands before it.
    #[serde(skip)]
    pub refuse_dash: bool,
}

/// What a step runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// Text that reaches the interpreter byte for byte.
    Run {
        /// The text.
        text: String,
        /// Its digest.
        sha256: Sha256,
    },
    /// A file of the repository. It fails when its digest is another one when the step starts.
    Script {
        /// The file.
        path: RepoPath,
        /// Its digest.
        sha256: Sha256,
    },
}

/// What is read from a step's output.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedSource {
    /// The format.
    pub parser: Parser,
    /// Where it is read.
    pub from: SourcePlace,
    /// The matcher file's text.
    #[serde(skip)]
    pub matcher: Option<Arc<str>>,
    /// The matcher file, pinned.
    pub matcher_file: Option<(RepoPath, Sha256)>,
    /// The patterns of an `errorformat`, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errorformat: Vec<String>,
    /// The tool's name; absent: the parser's own.
    pub tool: Option<String>,
    /// Level where the tool gives none.
    pub level: Option<Level>,
    /// The tool's word for a level → our level.
    pub map: BTreeMap<String, Level>,
    /// Path put before each finding's path.
    pub base: Option<String>,
    /// Path taken off the front of each finding's path.
    pub strip: Option<String>,
    /// What it means when no file matches.
    pub if_no_files_found: OnMissing,
    /// What it means when the input is not of the format.
    pub on_parse_error: OnMissing,
}

/// Where a parser reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourcePlace {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Both.
    Both,
    /// Files that match the glob after the step has ended and are newer than its start.
    Files(String),
}

/// What a step's sandbox is to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SandboxPlan {
    /// Layers without which the step does not run.
    pub require: Vec<Requirement>,
    /// The network.
    pub network: Network,
    /// TCP ports.
    pub ports: Vec<u16>,
    /// Further paths that may be read, as written.
    pub read: Vec<String>,
    /// The same as they are on this host, without what every step sees. Not part of the fingerprint.
    #[serde(skip)]
    pub readable: Vec<PathBuf>,
    /// Paths in the workspace that may be written.
    pub write: Vec<RepoPath>,
    /// Whether Unix sockets may be used.
    pub unix_sockets: bool,
    /// Limits.
    pub limits: Limits,
}

/// Limits in force. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Memory.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u32,
    /// CPU time.
    #[serde(rename = "cpu_seconds", serialize_with = "as_seconds")]
    pub cpu: Duration,
    /// Private writable space.
    pub scratch: u64,
    /// Log of one stream.
    pub output: u64,
    /// One report file.
    pub report: u64,
    /// All artifacts together.
    pub artifacts: u64,
    /// Files in artifacts.
    pub artifact_files: u32,
    /// Time between the polite signal and the next.
    #[serde(rename = "grace_seconds", serialize_with = "as_seconds")]
    pub grace: Duration,
}

/// One gate.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedGate {
    /// Its id.
    pub id: GateId,
    /// Shown to people.
    pub name: String,
    /// Steps whose findings it judges; all when it said nothing.
    pub needs: Vec<StepId>,
    /// The least level that fails it; absent: no level does.
    pub fail_on: Option<Level>,
    /// Most findings of a level.
    pub max: BTreeMap<Level, u64>,
    /// Which findings count, by what changed.
    pub filter: FilterMode,
    /// Findings that are known.
    pub baseline: Option<PlannedBaseline>,
    /// What is asked of tests.
    pub tests: Option<TestLimits>,
    /// Steps that must have succeeded.
    pub require: Vec<StepId>,
    /// Said when it fails.
    pub message: Option<String>,
}

/// Findings that a gate leaves out because they are known.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedBaseline {
    /// The file.
    pub path: RepoPath,
    /// What is in it, or why that is not known.
    #[serde(skip)]
    pub known: Arc<Result<Baseline, String>>,
}

/// A finding that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedSuppression {
    /// The rule.
    pub rule: String,
    /// A glob of paths.
    pub path: String,
    /// Part of the message; absent: any.
    pub message: Option<String>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Last day on which it holds.
    pub expires: Option<String>,
    /// Whether that day is over: what it accepted is back.
    pub expired: bool,
    /// Line of the manifest that says so.
    pub line: Option<u32>,
}

/// How a run is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportPlan {
    /// Sections of the summary, in order.
    pub summary: Vec<SummarySection>,
    /// Most annotations.
    pub max_annotations: u32,
    /// Time between live updates. Not part of what is printed: it changes nothing that is judged.
    #[serde(skip)]
    pub progress: Duration,
    /// How the verdict is told, in turn, where the check run may not be made. Not part of what is printed either.
    #[serde(skip)]
    pub fallback: Vec<Fallback>,
    /// Whether there is a check run for all, or one a gate. Not part of what is printed either.
    #[serde(skip)]
    pub check_runs: CheckRuns,
    /// Which findings are shown.
    pub filter: FilterMode,
    /// Whether code scanning is told, too.
    pub sarif_upload: bool,
}
