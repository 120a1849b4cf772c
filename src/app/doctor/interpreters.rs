//! What steps are run with, and git.

use std::ffi::OsStr;
use std::path::Path;

use crate::app::doctor::{Check, Patient, State};
use crate::manifest::model::Shell;
use crate::workspace::interpreters::{self, Place};

/// Interpreters that manifests name, each under the word of its check.
const SHELLS: [(&str, Shell); 4] =
    [("bash", Shell::Bash), ("sh", Shell::Sh), ("python", Shell::Python), ("pwsh", Shell::Pwsh)];

pub(super) fn checks(patient: Patient<'_>) -> Vec<Check> {
    // No repository is under test, so that no interpreter can be its own.
    let nowhere = Path::new("/nonexistent");
    let place = Place { workspace: nowhere, environ: patient.environ, sandbox: patient.sandbox };
    let mut checks: Vec<Check> = SHELLS
        .iter()
        .map(|(id, shell)| match interpreters::find(*shell, place) {
            Ok(found) => Check::good(id, found.program.display().to_string()),
            Err(missing) => Check {
                id,
                state: State::Lacking,
                found: missing.what,
                cause: None,
                remedies: vec![missing.remedy],
            },
        })
        .collect();
    checks.push(match interpreters::on_path(OsStr::new("git"), patient.environ) {
        Some(path) => Check::good("git", path.display().to_string()),
        None => Check {
            id: "git",
            state: State::Lacking,
            found: "git is not installed, so that nothing is known of commits and changes".to_owned(),
            cause: None,
            remedies: vec!["install git".to_owned()],
        },
    });
    checks
}
