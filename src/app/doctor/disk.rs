//! Room on the disks that runs write to.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::app::doctor::{Check, Patient, State};
use crate::app::folders;
use crate::manifest::fields::bytes;

/// With less a step that uses what it may by default fills the disk: private space and artifacts of a gibibyte each.
const WANTED: u64 = 2 << 30;

/// With less not even a record of some length can be written.
const NEEDED: u64 = 64 << 20;

/// Files that a build leaves behind with ease.
const FILES: u64 = 10_000;

const MIB: u64 = 1 << 20;

pub(super) fn checks(patient: Patient<'_>) -> Vec<Check> {
    let state = folders::state(patient.environ);
    let temporary = patient.environ.temporary();
    vec![
        match state {
            Ok(folder) => {
                of_folder("disk-state", &folder, "set RUNGATE_STATE_DIR to a folder on a larger disk")
            }
            Err(failure) => Check {
                id: "disk-state",
                state: State::Failed,
                found: failure.to_string(),
                cause: None,
                remedies: vec!["set RUNGATE_STATE_DIR, XDG_STATE_HOME or HOME".to_owned()],
            },
        },
        of_folder("disk-temporary", &temporary, "set TMPDIR to a folder on a larger disk"),
    ]
}

fn of_folder(id: &'static str, folder: &Path, elsewhere: &str) -> Check {
    // The folder itself comes with the first run.
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    match statvfs(there) {
        // Its fields have other types on other platforms.
        #[expect(clippy::useless_conversion, reason = "they are narrower on 32-bit platforms")]
        Ok(found) => room(
            id,
            folder,
            elsewhere,
            u64::from(found.blocks_available()).saturating_mul(found.fragment_size().into()),
            (found.files() > 0).then(|| found.files_available().into()),
        ),
        Err(errno) => Check {
            id,
            state: State::Failed,
            found: format!("{} cannot be looked at: {errno}", folder.display()),
            cause: None,
            remedies: vec![elsewhere.to_owned()],
        },
    }
}

fn room(id: &'static str, folder: &Path, elsewhere: &str, free: u64, files: Option<u64>) -> Check {
    let few_files = files.filter(|files| *files < FILES);
    let state = match free {
        0..NEEDED => State::Failed,
        NEEDED..WANTED => State::Lacking,
        _ if few_files.is_some() => State::Lacking,
        _ => State::Good,
    };
    let free = bytes(free / MIB * MIB);
    let files = few_files.map(|files| format!(", and {files} more files")).unwrap_or_default();
    let found = format!("{} has room for {free}{files}", folder.display());
    let remedies = if state == State::Good {
        Vec::new()
    } else {
        vec!["remove what nobody needs, such as old records".to_owned(), elsewhere.to_owned()]
    };
    Check { id, state, found, cause: None, remedies }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_told_by_what_is_left_on_it() {
        let state = |free, files| room("disk-state", Path::new("/s"), "elsewhere", free, files).state;
        assert_eq!(state(4 << 30, None), State::Good);
        assert_eq!(state(4 << 30, Some(1 << 20)), State::Good);
        assert_eq!(state(4 << 30, Some(9)), State::Lacking);
        assert_eq!(state(1 << 30, None), State::Lacking);
        assert_eq!(state(1 << 20, None), State::Failed);
        let said = room("disk-state", Path::new("/s"), "elsewhere", (3 << 20) + 17, Some(9)).found;
        assert_eq!(said, "/s has room for 3MiB, and 9 more files");
    }
}
