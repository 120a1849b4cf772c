//! Places in the workspace that scripts may write: found, or made, without following a link that a repository put there.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

use crate::plan::facts::PathProblem;

/// The host's path of `path`, which is relative to `workspace`. What is missing is made, as folders.
///
/// # Errors
/// Says what is there instead: a link, a device, something that cannot be entered.
pub fn provide(workspace: &Path, path: &Path) -> Result<PathBuf, PathProblem> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut at = open(workspace, flags, Mode::empty()).map_err(problem)?;
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => at = enter(&at, name)?,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(PathProblem::Unusable("it leads out of the workspace".to_owned()));
            }
        }
    }
    let kind = SFlag::from_bits_truncate(fstat(&at).map_err(problem)?.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFDIR || kind == SFlag::S_IFREG {
        Ok(workspace.join(path))
    } else {
        Err(PathProblem::WrongKind("a folder or a regular file"))
    }
}

/// Opens `name` in the folder `at`. Where there is nothing, a folder is made first.
fn enter(at: &impl AsFd, name: &OsStr) -> Result<OwnedFd, PathProblem> {
    match look(at, name) {
        Err(Errno::ENOENT) => match mkdirat(at, name, Mode::from_bits_truncate(0o755)) {
            // Made by a step that runs beside: what it made is looked at as everything else is.
            Ok(()) | Err(Errno::EEXIST) => look(at, name).map_err(problem),
            Err(errno) => Err(PathProblem::Unusable(format!("it cannot be created: {}", errno.desc()))),
        },
        opened => opened.map_err(problem),
    }
}

fn look(at: &impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    openat2(at, name, how)
}

fn problem(errno: Errno) -> PathProblem {
    match errno {
        Errno::ENOENT => PathProblem::Missing,
        Errno::ELOOP | Errno::EXDEV => PathProblem::Symlink,
        Errno::ENOTDIR => PathProblem::WrongKind("a folder"),
        Errno::ENOSYS => {
            PathProblem::Unreadable("openat2 is missing: Linux 5.6 or newer is needed".to_owned())
        }
        other => PathProblem::Unreadable(other.desc().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_made_and_what_is_there_is_kept() {
        let workspace = tempfile::tempdir().unwrap();
        let root = workspace.path();
        assert_eq!(provide(root, Path::new("a/b/c")).unwrap(), root.join("a/b/c"));
        assert!(root.join("a/b/c").is_dir());
        std::fs::write(root.join("a/file"), "x").unwrap();
        assert_eq!(provide(root, Path::new("./a/file")).unwrap(), root.join("a/file"));
        assert_eq!(provide(root, Path::new("a/file/x")), Err(PathProblem::WrongKind("a folder")));
    }

    #[test]
    fn no_link_is_followed_and_nothing_is_made_behind_one() {
        let (workspace, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = workspace.path();
        std::os::unix::fs::symlink(elsewhere.path(), root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        for path in ["link", "link/x", "dangling", "dangling/x"] {
            assert_eq!(provide(root, Path::new(path)), Err(PathProblem::Symlink), "{path}");
        }
        assert!(matches!(provide(root, Path::new("../x")), Err(PathProblem::Unusable(_))));
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        nix::unistd::mkfifo(&root.join("fifo"), Mode::S_IRWXU).unwrap();
        assert!(matches!(provide(root, Path::new("fifo")), Err(PathProblem::WrongKind(_))));
    }
}
