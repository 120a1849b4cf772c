//! Why there is no verdict, sorted by who can do something about it.

use std::path::PathBuf;

use crate::manifest::diagnostic::{Diagnostic, Source};
use crate::plan::inputs::InputError;
use crate::plan::make::HostProblem;

/// Why a request came to nothing before anything was judged.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The manifest is wrong, or does not fit what it finds in the workspace.
    #[error("{} is not usable", source_text.path)]
    Manifest {
        /// Its text.
        source_text: Box<Source>,
        /// What is wrong, errors and warnings.
        diagnostics: Vec<Diagnostic>,
    },
    /// There is no manifest where one was expected, or it cannot be read.
    #[error("failed to read the manifest {path}: {reason}")]
    NoManifest {
        /// Where it was expected.
        path: PathBuf,
        /// Why it cannot be read.
        reason: String,
        /// What to do.
        help: String,
    },
    /// The command is not in the manifest.
    #[error("there is no command {name:?} in {manifest}")]
    UnknownCommand {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        manifest: String,
        /// The nearest command that there is.
        nearest: Option<String>,
        /// All that there are.
        known: Vec<String>,
    },
    /// Inputs are wrong.
    #[error("the inputs are not acceptable")]
    Inputs(Vec<InputError>),
    /// Something else in the request is wrong.
    #[error("{message}")]
    Usage {
        /// What.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The host's administrator does not allow it.
    #[error("refused by host policy: {0}")]
    Policy(String),
    /// A check run was asked for that cannot be posted.
    #[error("{message}")]
    Undeliverable {
        /// What is missing.
        message: String,
        /// What to do.
        help: String,
    },
    /// A person would have to consent to it.
    #[error("{what}, which needs consent")]
    Consent {
        /// What weakens the sandbox.
        what: String,
        /// The word of `--allow` that consents.
        allow: &'static str,
    },
    /// The host cannot do what was asked.
    #[error("{}", of_host(.0))]
    Host(Vec<HostProblem>),
}

/// What to say of `problems`: the problem where there is one, because most who quote it quote nothing else.
fn of_host(problems: &[HostProblem]) -> &str {
    match problems {
        [only] => &only.what,
        _ => "this host cannot do what was asked",
    }
}

/// A failure for which one sentence and one remedy say all.
pub(crate) fn host(what: impl Into<String>, remedy: impl Into<String>) -> Failure {
    Failure::Host(vec![HostProblem { what: what.into(), remedy: remedy.into() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_quotes_a_failure_of_the_host_quotes_what_is_wrong() {
        let problem = |what: &str| HostProblem { what: what.to_owned(), remedy: "mend it".to_owned() };
        assert_eq!(
            host("there is no folder for state", "set HOME").to_string(),
            "there is no folder for state"
        );
        let several =
            Failure::Host(vec![problem("pwsh is not installed"), problem("python is not installed")]);
        assert_eq!(several.to_string(), "this host cannot do what was asked");
    }
}
