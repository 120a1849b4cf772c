//! Steps of a command.

use std::time::Duration;

use serde::Serialize;

use crate::id::{EnvName, RepoPath, StepId};
use crate::manifest::diagnostic::Span;
use crate::manifest::expression::{Expr, Template};
use crate::manifest::model::{EnvEntry, FindingSource, SandboxSettings, Spanned, Strategy};

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// As written, else made from the name, else `step-N`.
    pub id: Spanned<StepId>,
    /// Shown to people; absent: the id.
    pub name: Option<Template>,
    /// When it runs; absent: `success()`.
    pub condition: Option<Condition>,
    /// Steps that must end before; absent: the previous step.
    pub needs: Option<Vec<Spanned<StepId>>>,
    /// What runs.
    pub body: Body,
    /// Its arguments, each one `argv` element.
    pub args: Vec<Template>,
    /// What runs it; absent: by the script's extension, else the default.
    pub shell: Option<Spanned<Shell>>,
    /// Environment, over the command's.
    pub env: Vec<EnvEntry>,
    /// Absent: the default.
    pub working_directory: Option<Spanned<RepoPath>>,
    /// Absent: the default.
    pub timeout: Option<Duration>,
    /// When it is called slow; absent: half its timeout.
    pub slow_after: Option<Duration>,
    /// Whether its failure counts.
    pub continue_on_error: bool,
    /// How often it is tried.
    pub retry: Retry,
    /// Its matrix.
    pub strategy: Option<Strategy>,
    /// Files it works on.
    pub files: Option<FileFilter>,
    /// What is read from its output, beside workflow commands.
    pub findings: Vec<FindingSource>,
    /// Replay of recorded results.
    pub cache: Option<Spanned<Cache>>,
    /// Sandbox settings, over the command's.
    pub sandbox: SandboxSettings,
    /// Its place: the first of its keys, because a whole step is too much to point at.
    pub span: Span,
}

/// What runs a step's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// `bash --noprofile --norc -eo pipefail`
    Bash,
    /// `sh -e`
    Sh,
    /// `PowerShell` 7
    Pwsh,
    /// Windows `PowerShell`; known so that a manifest can name it, refused where there is none.
    Powershell,
    /// Python 3
    Python,
    /// The Windows command interpreter; known so that a manifest can name it, refused where there is none.
    Cmd,
}

impl Shell {
    /// Every shell, in the order in which they are listed to people.
    pub const ALL: [Self; 6] = [Self::Bash, Self::Sh, Self::Pwsh, Self::Powershell, Self::Python, Self::Cmd];

    /// The manifest's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Sh => "sh",
            Self::Pwsh => "pwsh",
            Self::Powershell => "powershell",
            Self::Python => "python",
            Self::Cmd => "cmd",
        }
    }
}

/// `if`.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The expression. Where it names no status function, `success()` is required as well.
    pub expr: Expr,
    /// As written, without `${{ }}`.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// What a step runs.
#[derive(Clone, Debug)]
pub enum Body {
    /// Text that reaches the interpreter byte for byte.
    Run(Spanned<String>),
    /// A file of the repository.
    Script(Spanned<RepoPath>),
}

/// `retry`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// What is tried again; empty: any failure.
    pub on: Vec<RetryOn>,
    /// Pause before each further attempt.
    #[serde(rename = "backoff_seconds", serialize_with = "as_seconds")]
    pub backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, on: Vec::new(), backoff: Duration::ZERO }
    }
}

/// Writes a duration as seconds, with a fraction.
pub(crate) fn as_seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.as_secs_f64())
}

/// A failure that is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RetryOn {
    /// The step timed out.
    Timeout,
    /// The step ended with this exit code.
    Exit(u8),
}

/// `files`, with `changed-only`.
#[derive(Clone, Debug)]
pub struct FileFilter {
    /// Globs; one that begins with `!` takes files away again.
    pub globs: Vec<Template>,
    /// Whether only files that changed since the base count.
    pub changed_only: bool,
    /// Its place.
    pub span: Span,
}

/// `cache`.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Globs of the files that the result depends on.
    pub inputs: Vec<String>,
    /// Variables that the result depends on.
    pub env: Vec<EnvName>,
}
