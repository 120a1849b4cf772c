//! The program itself: whether what it runs could change it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{AccessFlags, access, geteuid};

use crate::app::doctor::{Check, Patient, State};

pub(super) fn checks(_patient: Patient<'_>) -> Vec<Check> {
    vec![match std::env::current_exe() {
        Ok(path) => writable(&path),
        Err(error) => Check {
            id: "program",
            state: State::Lacking,
            found: format!("the program's own file is not known: {error}"),
            cause: None,
            remedies: vec!["mount /proc".to_owned()],
        },
    }]
}

/// A program that scripts could replace is one that they could leave something in for the next job.
fn writable(path: &Path) -> Check {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let open = [path, folder].into_iter().find(|path| can_be_written(path));
    match open {
        None => Check {
            id: "program",
            state: State::Good,
            found: format!("{} cannot be changed by what it runs", path.display()),
            cause: None,
            remedies: Vec::new(),
        },
        Some(open) => Check {
            id: "program",
            state: State::Lacking,
            found: format!("{} can be written by the user that scripts run as", open.display()),
            cause: Some(
                "one sandbox that does not hold would be enough to replace rungate for all later jobs"
                    .to_owned(),
            ),
            remedies: vec![format!(
                "install it as root, writable by nobody else: `install -o root -g root -m 0755 {} /usr/local/bin/rungate`",
                path.display()
            )],
        },
    }
}

/// Whether the user that scripts run as could write `path`. Where this is root they run as somebody else, who can write
/// what everybody can.
fn can_be_written(path: &Path) -> bool {
    if !geteuid().is_root() {
        return access(path, AccessFlags::W_OK).is_ok();
    }
    path.metadata().as_ref().map_or(0, Metadata::mode) & 0o002 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_program_that_everybody_can_write_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rungate");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let check = writable(&path);
        assert_eq!(check.state, State::Lacking);
        assert!(check.found.contains("can be written") && check.remedies[0].contains("install -o root"));
    }
}
