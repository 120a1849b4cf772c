//! Files of the workspace, opened so that nothing a repository or a script does can lead elsewhere.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use crate::plan::facts::PathProblem;
use crate::plan::globs::Selection;

/// Most files that a walk of the workspace lists.
const MAX_FILES: usize = 200_000;

/// Deepest folder that a walk enters.
const MAX_DEPTH: usize = 64;

/// A folder, held open. Paths are looked up beneath it, and no symbolic link is followed on the way.
#[derive(Debug)]
pub struct Beneath(OwnedFd);

impl Beneath {
    /// Opens `root`, which the caller trusts.
    ///
    /// # Errors
    /// Says why it cannot be opened.
    pub fn open(root: &Path) -> Result<Self, PathProblem> {
        Self::open_by(root, OFlag::empty())
    }

    /// Opens `root` unless it is a symbolic link itself.
    ///
    /// # Errors
    /// Says why it cannot be opened.
    pub fn open_plain(root: &Path) -> Result<Self, PathProblem> {
        Self::open_by(root, OFlag::O_NOFOLLOW)
    }

    /// The folder that `descriptor` holds open.
    #[must_use]
    pub const fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    fn open_by(root: &Path, further: OFlag) -> Result<Self, PathProblem> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | further;
        open(root, flags, Mode::empty()).map(Self).map_err(|errno| problem(errno, "a folder"))
    }

    /// Opens the regular file at `path`, which is relative to the root. Never one in `.git` or `.rungate`.
    ///
    /// # Errors
    /// Says what is there instead.
    pub fn file(&self, path: &str) -> Result<File, PathProblem> {
        if is_hidden(path) {
            return Err(PathProblem::Unreadable("it lies in .git or .rungate".to_owned()));
        }
        // Without O_NONBLOCK the open of a FIFO would wait for its other end.
        let file = File::from(self.open_how(
            path,
            OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
            "a regular file",
        )?);
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(file),
            Ok(_) => Err(PathProblem::WrongKind("a regular file")),
            Err(error) => Err(PathProblem::Unreadable(error.to_string())),
        }
    }

    /// Whether `path` is a folder that can be reached without a symbolic link. Never one in `.git` or `.rungate`.
    ///
    /// # Errors
    /// Says what is there instead.
    pub fn folder(&self, path: &str) -> Result<(), PathProblem> {
        if is_hidden(path) {
            return Err(PathProblem::Unreadable("it lies in .git or .rungate".to_owned()));
        }
        self.open_how(path, OFlag::O_PATH | OFlag::O_DIRECTORY, "a folder").map(drop)
    }

    fn open_how(&self, path: &str, flags: OFlag, expected: &'static str) -> Result<OwnedFd, PathProblem> {
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
        openat2(self.0.as_fd(), path, how).map_err(|errno| problem(errno, expected))
    }
}

impl AsFd for Beneath {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn problem(errno: Errno, expected: &'static str) -> PathProblem {
    match errno {
        Errno::ENOENT => PathProblem::Missing,
        Errno::ELOOP | Errno::EXDEV => PathProblem::Symlink,
        Errno::ENOTDIR | Errno::EISDIR | Errno::ENXIO => PathProblem::WrongKind(expected),
        Errno::ENOSYS => {
            PathProblem::Unreadable("openat2 is missing: Linux 5.6 or newer is needed".to_owned())
        }
        other => PathProblem::Unreadable(other.desc().to_owned()),
    }
}

/// Whether `path` lies in a folder that scripts and reports never reach. A repository inside the repository has one, too.
fn is_hidden(path: &str) -> bool {
    path.split('/').any(is_hidden_name)
}

pub(super) fn is_hidden_name(name: &str) -> bool {
    matches!(name, ".git" | ".rungate")
}

/// The text of `file`, when it is UTF-8 and not larger than `limit` bytes.
pub(super) fn text(file: File, limit: u64) -> Result<String, PathProblem> {
    let mut text = String::new();
    match file.take(limit + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > limit => Err(PathProblem::TooLarge(limit)),
        Ok(_) => Ok(text),
        Err(error) => Err(PathProblem::Unreadable(error.to_string())),
    }
}

/// All regular files below `root`, relative and sorted. Links are not followed, `.git` and `.rungate` not entered.
///
/// # Errors
/// Says what kept the walk from being complete: half a list would be worse than none.
pub fn walk(root: &Path) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        if depth > MAX_DEPTH {
            return Err(format!("{prefix} is nested deeper than {MAX_DEPTH} folders"));
        }
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // A folder of another user, such as a cache: what cannot be read is no part of the repository.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && depth > 0 => continue,
            Err(error) => return Err(format!("{} cannot be listed: {error}", folder.display())),
        };
        for entry in entries {
            let unlisted = |error| format!("{} cannot be listed: {error}", folder.display());
            let entry = entry.map_err(unlisted)?;
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                // Gone since it was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unlisted(error)),
            };
            // A name that is not UTF-8 can be no path in a manifest, a finding or a list.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_hidden_name(&name) {
                continue;
            }
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if kind.is_dir() {
                folders.push((entry.path(), path, depth + 1));
            } else if kind.is_file() {
                if files.len() == MAX_FILES {
                    return Err(format!("there are more than {MAX_FILES} files"));
                }
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Files below `root` that match `pattern`, at most `limit`.
///
/// # Errors
/// Says why the pattern or the workspace cannot be used.
pub fn matching(root: &Path, pattern: &str, limit: usize) -> Result<Vec<String>, String> {
    if !pattern.contains(['*', '?', '[', '{']) {
        let path = pattern.trim_start_matches("./");
        let there = Beneath::open(root).map_err(|problem| problem.to_string())?.file(path);
        return match there {
            Ok(_) => Ok(vec![path.to_owned()]),
            Err(PathProblem::Missing) => Ok(Vec::new()),
            Err(problem) => Err(format!("it {problem}")),
        };
    }
    let selection = Selection::new(&[pattern.to_owned()])?;
    let found: Vec<String> = walk(root)?.into_iter().filter(|path| selection.matches(path)).collect();
    if found.len() > limit {
        return Err(format!("{} files match, more than {limit}", found.len()));
    }
    Ok(found)
}
