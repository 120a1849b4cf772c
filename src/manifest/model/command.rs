//! A manifest and its commands.

use std::time::Duration;

use serde::Serialize;

use crate::id::{CommandId, EnvName, RepoPath};
use crate::manifest::diagnostic::Span;
use crate::manifest::expression::Template;
use crate::manifest::model::{Artifact, Gate, Input, Report, SandboxSettings, Shell, Spanned, Step};

/// A whole manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Heading of the list of commands.
    pub name: Option<String>,
    /// Environment of every step.
    pub env: Vec<EnvEntry>,
    /// What steps take when they say nothing.
    pub defaults: Defaults,
    /// Sandbox settings of every command.
    pub sandbox: SandboxSettings,
    /// Findings that are known and accepted.
    pub suppressions: Vec<Suppression>,
    /// At least one, ids unique, in the file's order.
    pub commands: Vec<Command>,
}

/// One `NAME: value` line of an `env` map.
#[derive(Clone, Debug)]
pub struct EnvEntry {
    /// The variable.
    pub name: Spanned<EnvName>,
    /// Its value, which may hold expressions.
    pub value: Template,
}

/// `defaults`.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Shell of steps whose script has no telling extension. `bash` unless written.
    pub shell: Shell,
    /// Working directory of every step.
    pub working_directory: Spanned<RepoPath>,
    /// Timeout of every step; ten minutes unless written.
    pub timeout: Duration,
}

/// One command.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its id.
    pub id: Spanned<CommandId>,
    /// Shown to people; absent: the id.
    pub name: Option<String>,
    /// One paragraph for people; may be empty.
    pub description: String,
    /// Sentences that mean this command.
    pub phrases: Vec<Spanned<String>>,
    /// Sentences that must match.
    pub examples: Vec<Spanned<String>>,
    /// Sentences that must not match.
    pub not_examples: Vec<Spanned<String>>,
    /// How a request from outside is confirmed; absent: `plan`.
    pub confirm: Option<Spanned<Confirm>>,
    /// At most 25.
    pub inputs: Vec<Input>,
    /// Environment of every step of the command, over the manifest's.
    pub env: Vec<EnvEntry>,
    /// Secrets that its steps may name.
    pub secrets: Vec<Spanned<EnvName>>,
    /// Permissions of the token that a step gets by writing `github.token`.
    pub permissions: Vec<(Spanned<String>, Permission)>,
    /// Limit of the whole command; an hour unless written.
    pub timeout: Duration,
    /// Only one run of a group at a time on a host.
    pub concurrency: Option<Concurrency>,
    /// Steps at once; absent: one a CPU.
    pub max_parallel: Option<u32>,
    /// Whether a failure cancels steps that are running.
    pub fail_fast: bool,
    /// Sandbox settings, over the manifest's.
    pub sandbox: SandboxSettings,
    /// At least one, ids unique, in the file's order, needs acyclic.
    pub steps: Vec<Step>,
    /// The gates as written. None means one with `fail-on: error`.
    pub gates: Vec<Gate>,
    /// What is kept.
    pub artifacts: Vec<Artifact>,
    /// How it is shown.
    pub report: Report,
}

/// How a request from outside must be confirmed before it is dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// Not at all.
    None,
    /// By showing the plan and asking back.
    Plan,
    /// By a person.
    Human,
}

/// Access to one permission scope of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Read.
    Read,
    /// Read and write.
    Write,
    /// Nothing.
    None,
}

/// `concurrency`.
#[derive(Clone, Debug)]
pub struct Concurrency {
    /// The group's name.
    pub group: Template,
    /// Whether a newer run cancels the one that holds the group, instead of waiting for it.
    pub cancel_in_progress: bool,
}

/// A finding that is known and accepted.
#[derive(Clone, Debug)]
pub struct Suppression {
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
    /// Last day on which it holds, `YYYY-MM-DD`.
    pub expires: Option<String>,
    /// Its place.
    pub span: Span,
}
