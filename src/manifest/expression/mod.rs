//! Expressions, `${{ … }}`: syntax with spans, and which words may stand where.
//!
//! GitHub Actions' grammar. Only syntax and names are judged here; values come with `plan::evaluate`.

mod lex;
mod names;
pub mod number;
pub mod parse;
#[cfg(test)]
mod tests;

use crate::manifest::diagnostic::Span;

/// The properties of `github` that can be read. Everything else that Actions puts there is about its own machinery.
pub const GITHUB_PROPERTIES: [&str; 28] = [
    "actor",
    "actor_id",
    "api_url",
    "base_ref",
    "event",
    "event_name",
    "graphql_url",
    "head_ref",
    "job",
    "ref",
    "ref_name",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "run_attempt",
    "run_id",
    "run_number",
    "server_url",
    "sha",
    "token",
    "triggering_actor",
    "workflow",
    "workflow_ref",
    "workflow_sha",
    "workspace",
];

/// The properties of `runner` that can be read.
pub const RUNNER_PROPERTIES: [&str; 7] = ["arch", "debug", "environment", "name", "os", "temp", "tool_cache"];

/// The properties of `steps.ID`.
pub const STEP_PROPERTIES: [&str; 3] = ["outcome", "conclusion", "outputs"];

/// Contexts of GitHub Actions that are about jobs and workflows, which a manifest does not have.
pub const FOREIGN_CONTEXTS: [&str; 6] = ["job", "jobs", "needs", "services", "strategy", "vars"];

/// One expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place in the manifest.
    pub span: Span,
}

/// The forms of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number; hexadecimal, octal and exponent forms as in Actions.
    Number(f64),
    /// A text in single quotes.
    Text(String),
    /// A context by itself.
    Context(Context),
    /// `base.key`, `base[index]`, `base.*`
    Access(Box<Expr>, Key),
    /// A call.
    Call(Function, Vec<Expr>),
    /// `!x`
    Not(Box<Expr>),
    /// `left op right`
    Binary(Operator, Box<Expr>, Box<Expr>),
}

/// How a part of a value is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// `.name`
    Name(String),
    /// `[expression]`
    Index(Box<Expr>),
    /// `.*`
    Star,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A context: a named object that expressions read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// The command's inputs, in their types.
    Inputs,
    /// The values of this leg.
    Matrix,
    /// The environment in force for the step.
    Env,
    /// Outcomes and outputs of earlier steps.
    Steps,
    /// What GitHub says about the run, from an allow-list.
    Github,
    /// The runner.
    Runner,
    /// Secrets that the command declares.
    Secrets,
}

impl Context {
    /// Every context.
    pub const ALL: [Self; 7] =
        [Self::Inputs, Self::Matrix, Self::Env, Self::Steps, Self::Github, Self::Runner, Self::Secrets];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Matrix => "matrix",
            Self::Env => "env",
            Self::Steps => "steps",
            Self::Github => "github",
            Self::Runner => "runner",
            Self::Secrets => "secrets",
        }
    }
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// Whether every step before succeeded.
    Success,
    /// Whether a step before failed.
    Failure,
    /// True.
    Always,
    /// Whether the run was cancelled.
    Cancelled,
    /// Whether a text or list contains a value.
    Contains,
    /// Whether a text begins with another.
    StartsWith,
    /// Whether a text ends with another.
    EndsWith,
    /// Fills `{0}` places.
    Format,
    /// Joins a list to a text.
    Join,
    /// Writes a value as JSON.
    ToJson,
    /// Reads a value from JSON.
    FromJson,
    /// Digest of the files that match literal globs, as they were when the plan was made.
    HashFiles,
}

impl Function {
    /// Every function.
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Failure,
        Self::Always,
        Self::Cancelled,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Format,
        Self::Join,
        Self::ToJson,
        Self::FromJson,
        Self::HashFiles,
    ];

    /// Its name, as Actions writes it. Names are found without regard to case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Always => "always",
            Self::Cancelled => "cancelled",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Format => "format",
            Self::Join => "join",
            Self::ToJson => "toJSON",
            Self::FromJson => "fromJSON",
            Self::HashFiles => "hashFiles",
        }
    }

    /// As many arguments as anybody wants to write.
    pub const MANY: usize = 255;

    /// The least and the greatest number of its arguments.
    #[must_use]
    pub const fn arity(self) -> (usize, usize) {
        match self {
            Self::Success | Self::Failure | Self::Always | Self::Cancelled => (0, 0),
            Self::Contains | Self::StartsWith | Self::EndsWith => (2, 2),
            Self::Format | Self::HashFiles => (1, Self::MANY),
            Self::Join => (1, 2),
            Self::ToJson | Self::FromJson => (1, 1),
        }
    }

    /// Whether it asks how earlier steps ended.
    #[must_use]
    pub const fn is_status(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Always | Self::Cancelled)
    }
}

/// A field that may hold expressions. Each allows its own contexts and functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `if`
    Condition,
    /// `name` of a step
    Name,
    /// `env` of the manifest or a command
    OuterEnv,
    /// `env` of a step
    StepEnv,
    /// `args`
    Args,
    /// `files`
    Files,
    /// `strategy.matrix`
    Matrix,
    /// `findings[].from`
    FindingsFrom,
    /// `artifacts[].name` and `.path`
    Artifact,
    /// `concurrency.group`
    ConcurrencyGroup,
    /// `report.check-name`
    CheckName,
}

impl Place {
    /// The field, as a phrase for messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Condition => "`if`",
            Self::Name => "the `name` of a step",
            Self::OuterEnv => "the `env` of a manifest or a command",
            Self::StepEnv => "the `env` of a step",
            Self::Args => "`args`",
            Self::Files => "`files`",
            Self::Matrix => "`matrix`",
            Self::FindingsFrom => "`from`",
            Self::Artifact => "`artifacts`",
            Self::ConcurrencyGroup => "`concurrency.group`",
            Self::CheckName => "`check-name`",
        }
    }

    /// The contexts that may be read there.
    #[must_use]
    pub const fn contexts(self) -> &'static [Context] {
        use Context::{Env, Github, Inputs, Matrix, Runner, Secrets, Steps};
        match self {
            Self::Condition | Self::Args => &[Inputs, Matrix, Env, Steps, Github, Runner],
            Self::StepEnv => &[Inputs, Matrix, Env, Steps, Github, Runner, Secrets],
            Self::OuterEnv | Self::ConcurrencyGroup | Self::CheckName => &[Inputs, Github, Runner],
            Self::Name | Self::Files | Self::FindingsFrom => &[Inputs, Matrix, Github, Runner],
            Self::Matrix => &[Inputs],
            Self::Artifact => &[Inputs, Steps, Github, Runner],
        }
    }

    /// Whether `github.event.*`, which a stranger may have written, can be read there.
    #[must_use]
    pub const fn allows_event(self) -> bool {
        matches!(self, Self::OuterEnv | Self::StepEnv | Self::Args)
    }

    /// Whether `success()`, `failure()`, `always()` and `cancelled()` can be called there.
    #[must_use]
    pub const fn allows_status(self) -> bool {
        matches!(self, Self::Condition)
    }
}

/// A text that may hold expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// As written.
    pub text: String,
    /// Its place in the manifest.
    pub span: Span,
    /// Literal texts and expressions, in order. A text without expressions is one literal part; an empty one has none.
    pub parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Taken as it is.
    Text(String),
    /// Replaced by its value.
    Expr(Expr),
}

impl Template {
    /// The whole text, when it holds no expression.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.parts.iter().all(|part| matches!(part, Part::Text(_))).then_some(&self.text)
    }

    /// The expressions, in order.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expr(expr) => Some(expr),
            Part::Text(_) => None,
        })
    }
}

impl Expr {
    /// Calls `visit` for this expression and every one inside it, outermost first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match &self.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::Text(_)
            | ExprKind::Context(_) => {}
            ExprKind::Access(base, key) => {
                base.walk(visit);
                if let Key::Index(index) = key {
                    index.walk(visit);
                }
            }
            ExprKind::Call(_, args) => args.iter().for_each(|arg| arg.walk(visit)),
            ExprKind::Not(inner) => inner.walk(visit),
            ExprKind::Binary(_, left, right) => {
                left.walk(visit);
                right.walk(visit);
            }
        }
    }
}
