//! What a plan must know of the outside: the questions it asks, and the answers it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::finding::baseline::Baseline;
use crate::id::{EnvName, RepoPath, Sha256};
use crate::manifest::model::Shell;
use crate::plan::diff::Diff;

/// Everything that a plan of one command will want to know. Made from the manifest and the command's name alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Files that steps run.
    pub scripts: BTreeSet<RepoPath>,
    /// Working directories.
    pub directories: BTreeSet<RepoPath>,
    /// Interpreters.
    pub shells: BTreeSet<Shell>,
    /// Matcher files.
    pub matchers: BTreeSet<RepoPath>,
    /// Patterns of an `errorformat` that a source uses.
    pub patterns: BTreeSet<String>,
    /// Secrets whose presence matters.
    pub secrets: BTreeSet<EnvName>,
    /// Further paths that steps want to read, as written.
    pub reads: BTreeSet<String>,
    /// Whether the list of all files is wanted.
    pub files: bool,
    /// Whether the list of changed files is wanted.
    pub changed: bool,
    /// Globs whose files are to be hashed together.
    pub hashes: BTreeSet<Vec<String>>,
    /// Whether changed lines are wanted.
    pub diff: bool,
    /// Baseline files.
    pub baselines: BTreeSet<RepoPath>,
}

/// The answers.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What was found at each script's path.
    pub scripts: BTreeMap<RepoPath, FileFact>,
    /// The first line of each script that was found, without its line feed; the beginning of a long one.
    pub first_lines: BTreeMap<RepoPath, String>,
    /// What was found at each directory's path; `Ok` where it is a directory inside the workspace.
    pub directories: BTreeMap<RepoPath, Result<(), PathProblem>>,
    /// Each interpreter, or why there is none and what to do.
    pub shells: BTreeMap<Shell, Result<Interpreter, MissingShell>>,
    /// What was found at each matcher file's path; `Found` only where it is one that can be used.
    pub matchers: BTreeMap<RepoPath, FileFact>,
    /// What is wrong with patterns of an `errorformat`, for those that cannot be used.
    pub unusable_patterns: BTreeMap<String, String>,
    /// Each path that steps want to read, as it is on the host; nothing where every step sees it anyway.
    pub reads: BTreeMap<String, Result<Option<PathBuf>, PathProblem>>,
    /// Those of the asked secrets that have a value.
    pub secrets: BTreeSet<EnvName>,
    /// All files of the repository, relative, sorted; or why they are not known. Absent where nobody asked.
    pub files: Option<Result<Vec<String>, String>>,
    /// Files that changed since the base, or why that is not known and what to do.
    pub changed: Option<Result<Vec<String>, String>>,
    /// Digest for each group of globs, empty when nothing matched; or why there is none.
    pub hashes: BTreeMap<Vec<String>, Result<String, String>>,
    /// What has changed since the base, line by line, or why that is not known. Absent where nobody asked.
    pub diff: Option<Result<Diff, String>>,
    /// What is in each baseline file, or why that is not known.
    pub baselines: BTreeMap<RepoPath, Result<Baseline, String>>,
    /// The day, `YYYY-MM-DD` in UTC.
    pub today: String,
    /// The head commit, or why the one that was named cannot be it. Absent where there is none.
    pub head: Option<Result<String, String>>,
    /// The commit that the working tree is at, where that is another one than `head`.
    pub working_tree: Option<String>,
    /// The base commit, or why there is none and what to do. Absent where nobody asked.
    pub base: Option<Result<String, String>>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// `github` for expressions, from an allow-list.
    pub github: serde_json::Value,
    /// `runner` for expressions.
    pub runner: serde_json::Value,
    /// CPUs of the host.
    pub cpus: u32,
    /// What a reader of the plan should know about the answers.
    pub notes: Vec<String>,
}

/// What was found where a file was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFact {
    /// A regular file inside the workspace.
    Found {
        /// Its digest.
        sha256: Sha256,
        /// Its text, where the question was about its content and it is small enough.
        text: Option<String>,
        /// Whether git tracks it; absent where there is no repository.
        tracked: Option<bool>,
    },
    /// No such file can be used.
    Problem(PathProblem),
}

/// Why a path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// There is nothing.
    #[error("does not exist")]
    Missing,
    /// A component of the path is a symbolic link.
    #[error("is reached through a symbolic link")]
    Symlink,
    /// It is something else than was expected.
    #[error("is not {0}")]
    WrongKind(&'static str),
    /// It is too large to be read.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    /// It holds something else than was expected.
    #[error("is not usable: {0}")]
    Unusable(String),
    /// The operating system said no.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// An interpreter that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The program that is started: no shim, and visible by this path.
    pub program: PathBuf,
    /// What it needs beside the system's folders: absolute, without links.
    pub prefixes: Vec<PathBuf>,
}

/// An interpreter that is not there, or of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingShell {
    /// What is wrong, such as `pwsh is not installed`.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}
