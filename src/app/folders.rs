//! Where a run keeps its things: the state folder of the host's user, and the record folder of the run.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::app::failure::{Failure, host};
use crate::environ::Environ;
use crate::id::RunId;
use crate::sandbox::discard::discard;
use crate::sandbox::spawn::Sandbox;

/// A private folder for temporary files, removed with this value, or by the helpers when this process is killed.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Makes one in the folder for temporary files.
    ///
    /// # Errors
    /// Fails when that cannot be written.
    pub fn make(sandbox: &Sandbox, environ: &Environ) -> Result<Self, Failure> {
        let folder = environ.temporary().join(format!("rungate-{}", RunId::fresh()));
        // Before there is anything to remove, so that at no moment it could be left behind.
        sandbox.remove_if_killed(&folder);
        let made = std::path::absolute(&folder)
            .and_then(|folder| DirBuilder::new().mode(0o700).create(&folder).map(|()| folder))
            .and_then(|folder| folder.canonicalize());
        made.map(Self).map_err(|error| {
            host(
                format!("no private folder can be created: {error}"),
                "set TMPDIR to a folder that this user can write",
            )
        })
    }

    /// Its real path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nobody could do anything about it.
        let _ = discard(&self.0);
    }
}

/// The folder for locks and, under Actions, records: `RUNGATE_STATE_DIR`, else the user's state folder.
///
/// # Errors
/// Fails when none of the variables that could say it is set.
pub fn state(environ: &Environ) -> Result<PathBuf, Failure> {
    let named = environ.path("RUNGATE_STATE_DIR");
    let xdg =
        || environ.path("XDG_STATE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("rungate"));
    let home = || environ.path("HOME").map(|path| path.join(".local/state/rungate"));
    let found = named.or_else(xdg).or_else(home);
    let found = found.ok_or_else(|| {
        host("there is no folder for state", "set RUNGATE_STATE_DIR to a folder that this user can write")
    })?;
    std::path::absolute(&found).map_err(|error| {
        host(
            format!("{} is not a usable folder: {error}", found.display()),
            "set RUNGATE_STATE_DIR to another one",
        )
    })
}

/// Creates the folder of the record of `run`.
///
/// # Errors
/// Fails when `out` is not empty, when a folder cannot be created, or when the repository put a symbolic link where the
/// folder is to be.
pub fn record(
    out: Option<&Path>,
    workspace: &Path,
    environ: &Environ,
    run: RunId,
) -> Result<PathBuf, Failure> {
    let trouble = |path: &Path, error: &io::Error| {
        host(
            format!("the record folder {} cannot be created: {error}", path.display()),
            "name another folder with --out",
        )
    };
    if let Some(out) = out {
        let path = std::path::absolute(out).map_err(|error| trouble(out, &error))?;
        create(&path).map_err(|error| trouble(&path, &error))?;
        let empty = std::fs::read_dir(&path).map(|mut entries| entries.next().is_none());
        return match empty {
            Ok(true) => Ok(path),
            Ok(false) => Err(Failure::Usage {
                message: format!("--out {} is not empty", path.display()),
                help: Some(
                    "name a folder that is new or empty: a record is never mixed with another one".to_owned(),
                ),
            }),
            Err(error) => Err(trouble(&path, &error)),
        };
    }
    if environ.in_actions() {
        // In the workspace the next checkout would delete it, and scripts could reach it.
        let path = state(environ)?.join("runs").join(run.to_string());
        create(&path).map_err(|error| trouble(&path, &error))?;
        return Ok(path);
    }
    let root = workspace.join(".rungate");
    for folder in [root.clone(), root.join("runs")] {
        create_here(&folder).map_err(|error| trouble(&folder, &error))?;
    }
    let ignore = root.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n").map_err(|error| trouble(&ignore, &error))?;
    }
    let path = root.join("runs").join(run.to_string());
    create_here(&path).map_err(|error| trouble(&path, &error))?;
    Ok(path)
}

fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Creates a folder whose parents are known to be folders. A link is refused: a hostile repository could have committed
/// one that leads elsewhere.
pub(crate) fn create_here(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if path.symlink_metadata()?.is_dir() {
                Ok(())
            } else {
                Err(io::Error::other(
                    "something that is not a folder, such as a symbolic link, is in its place",
                ))
            }
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_a_repository_committed_is_not_followed() {
        let (workspace, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), workspace.path().join(".rungate")).unwrap();
        let result = record(None, workspace.path(), &Environ::default(), RunId::fresh());
        assert!(result.is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_record_is_ignored_by_git_and_a_used_folder_is_refused() {
        let workspace = tempfile::tempdir().unwrap();
        let path = record(None, workspace.path(), &Environ::default(), RunId::fresh()).unwrap();
        assert!(path.is_dir());
        assert_eq!(std::fs::read_to_string(workspace.path().join(".rungate/.gitignore")).unwrap(), "*\n");
        let again = record(Some(workspace.path()), workspace.path(), &Environ::default(), RunId::fresh());
        assert!(matches!(again, Err(Failure::Usage { .. })));
    }

    #[test]
    fn state_goes_where_the_environment_says() {
        let environ = Environ::of([("XDG_STATE_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(state(&environ).unwrap(), Path::new("/x/rungate"));
        assert_eq!(state(&Environ::of([("HOME", "/h")])).unwrap(), Path::new("/h/.local/state/rungate"));
        assert!(state(&Environ::default()).is_err());
    }
}
