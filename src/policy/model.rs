//! The nouns of a policy, and of what is asked of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::id::{CommandId, EnvName, Sha256};
use crate::manifest::diagnostic::{Source, Span};
use crate::manifest::model::{Network, Permission, Requirement, Spanned};
use crate::policy::pattern::{Actor, RefGlob, RepositoryGlob};

/// What holds where no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing may be done.
    Deny,
    /// Everything may be done within the policy's bounds, but for code from forks.
    Allow,
}

/// Where facts about a job are known from, the weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Its environment, which whoever writes the workflow can set.
    Environment,
    /// A token that GitHub signed.
    Verified,
}

/// How weak a sandbox may be chosen, the strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Everything that is required holds.
    Required,
    /// As much as the host has, with what the policy itself requires.
    BestEffort,
    /// Nothing may hold.
    Off,
}

impl Mode {
    /// The word of `--sandbox`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::BestEffort => "best-effort",
            Self::Off => "off",
        }
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Run a command of the manifest, or plan it.
    Run,
    /// Deliver a stored record.
    Publish,
    /// Close what a dead run has left open.
    Reconcile,
    /// Have a token of the App.
    Token,
    /// Run a program without a manifest.
    Exec,
}

impl Verb {
    /// What a rule admits that says nothing of it.
    pub const USUAL: [Self; 3] = [Self::Run, Self::Publish, Self::Reconcile];

    /// Its word in a policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Publish => "publish",
            Self::Reconcile => "reconcile",
            Self::Token => "token",
            Self::Exec => "exec",
        }
    }
}

/// A policy without errors.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its text and the path that people know it by.
    pub source: Source,
    /// What holds where no rule matches, and where that is said.
    pub default: Spanned<Otherwise>,
    /// Longest time of a run.
    pub max_timeout: Option<Spanned<Duration>>,
    /// How scripts are confined at the least.
    pub sandbox: Confine,
    /// Where facts have to be from.
    pub facts: Spanned<Basis>,
    /// The only server that this host works for.
    pub server: Option<Spanned<String>>,
    /// Whose tokens prove them.
    pub oidc: Oidc,
    /// The most that a token may do, by scope.
    pub permissions: Option<Permissions>,
    /// The App of this host.
    pub app: Option<HostApp>,
    /// Secrets of this host.
    pub secret_sources: BTreeMap<EnvName, Spanned<Reference>>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// The most that a token may do.
#[derive(Clone, Debug)]
pub struct Permissions {
    /// By scope, in the words of a manifest.
    pub scopes: BTreeMap<String, Permission>,
    /// Where that is said.
    pub span: Span,
}

/// `sandbox` at one level. What is absent is the level above.
#[derive(Clone, Debug, Default)]
pub struct Confine {
    /// Layers that must hold.
    pub require: Option<Spanned<Vec<Requirement>>>,
    /// The most of the network.
    pub network: Option<Spanned<Network>>,
    /// The weakest mode.
    pub mode: Option<Spanned<Mode>>,
    /// Where paths may be that are read.
    pub read: Option<Spanned<Vec<PathBuf>>>,
    /// Where paths may be that are written.
    pub write: Option<Spanned<Vec<PathBuf>>>,
}

/// Whose tokens are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oidc {
    /// Who issues them.
    pub issuer: String,
    /// For whom they are.
    pub audience: String,
}

/// The App of a host.
#[derive(Clone, Debug)]
pub struct HostApp {
    /// Its id.
    pub id: String,
    /// Its keys, in order.
    pub keys: Vec<Spanned<Reference>>,
    /// Its installation, where that is not looked up.
    pub installation: Option<u64>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// In a file of the host.
    File(PathBuf),
    /// Among the credentials that systemd hands to the service.
    Systemd(String),
    /// Somewhere that this version cannot look.
    Other(String),
}

impl Reference {
    /// Reads a reference that the table has let pass.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text.split_once(':') {
            Some(("file", path)) => Self::File(PathBuf::from(path)),
            Some(("systemd", name)) => Self::Systemd(name.to_owned()),
            _ => Self::Other(text.to_owned()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it begins.
    pub span: Span,
    /// Repositories.
    pub repositories: Vec<RepositoryGlob>,
    /// References; absent: all.
    pub refs: Option<Vec<RefGlob>>,
    /// Events; absent: all but those that have to be named.
    pub events: Option<Vec<String>>,
    /// Users and teams; absent: everybody.
    pub actors: Option<Vec<Actor>>,
    /// Commands; absent: all.
    pub commands: Option<Vec<CommandId>>,
    /// Digests of the manifest, in hexadecimal; absent: any.
    pub manifests: Option<Vec<String>>,
    /// What may be done.
    pub verbs: Vec<Verb>,
    /// Whether code from a fork may come with it.
    pub forks: bool,
    /// Secrets that scripts may get; absent: those of the job.
    pub secrets: Option<Spanned<Vec<EnvName>>>,
    /// Longest time of a run.
    pub max_timeout: Option<Spanned<Duration>>,
    /// How scripts are confined.
    pub sandbox: Confine,
    /// The most that a token may do.
    pub permissions: Option<Permissions>,
}

/// Whether what a job works on may hold code from a fork.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fork {
    /// It does not.
    #[default]
    No,
    /// It does.
    Yes,
    /// Nobody can say, which counts as yes.
    Unknown,
}

/// Whether somebody is in a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// They are.
    Yes,
    /// They are not.
    No,
    /// It could not be found out, because of this.
    Unknown(String),
}

/// What is known of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether GitHub signed them.
    pub verified: bool,
    /// `owner/name`.
    pub repository: Option<String>,
    /// The full reference.
    pub reference: Option<String>,
    /// The event.
    pub event: Option<String>,
    /// Everybody who has part in it: who started it, and who started it again. A rule has to name each.
    pub actors: Vec<String>,
    /// Whether code from a fork may be in it.
    pub fork: Fork,
    /// What is known of teams, by `@organization/team` in lower case and the user.
    pub teams: BTreeMap<(String, String), Member>,
}

/// What somebody wants to do.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What.
    pub verb: Verb,
    /// The command, of a run.
    pub command: Option<CommandId>,
    /// The digest of the manifest, of a run.
    pub manifest: Option<Sha256>,
}

impl Asked {
    /// Something without a manifest.
    #[must_use]
    pub const fn plain(verb: Verb) -> Self {
        Self { verb, command: None, manifest: None }
    }
}
