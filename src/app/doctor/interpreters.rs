//! What steps are run with, and git.

use std::ffi::OsStr;

use crate::app::doctor::{Check, Patient, State};
use crate::app::folders::Temporary;
use crate::manifest::model::Shell;
use crate::workspace::interpreters::{self, Place};

/// Interpreters that manifests name, each under the word of its check.
const SHELLS: [(&str, Shell); 4] =
    [("bash", Shell::Bash), ("sh", Shell::Sh), ("python", Shell::Python), ("pwsh", Shell::Pwsh)];

pub(super) fn checks(patient: Patient<'_>) -> Vec<Check> {
    // No repository is under test, so that no interpreter can be its own: the folder is empty. It has to be there, because
    // what is on PATH may be a shim that is asked, in a sandbox, what it stands for.
    let mut checks = match Temporary::make(patient.sandbox, patient.environ) {
        Ok(empty) => {
            let place = Place { workspace: empty.path(), environ: patient.environ, sandbox: patient.sandbox };
            SHELLS.iter().map(|(id, shell)| interpreter(id, *shell, place)).collect()
        }
        Err(failure) => vec![Check {
            id: "interpreters",
            state: State::Lacking,
            found: "no interpreter was tried".to_owned(),
            cause: Some(failure.to_string()),
            remedies: vec!["set TMPDIR to a folder that this user can write".to_owned()],
        }],
    };
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

fn interpreter(id: &'static str, shell: Shell, place: Place<'_>) -> Check {
    match interpreters::find(shell, place) {
        Ok(found) => Check::good(id, found.program.display().to_string()),
        Err(missing) => Check {
            id,
            state: State::Lacking,
            found: missing.what,
            cause: None,
            remedies: vec![missing.remedy],
        },
    }
}
