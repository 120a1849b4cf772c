//! Files of the host that nobody but their owner can have written: opened from the root down, one name at a time, and
//! judged by what was opened and not by its name.
//!
//! An access control list that lets somebody else write shows in the group's bits of the mode, which then are its mask.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// Group and others may write.
const WRITABLE: u32 = 0o022;

/// Why a file is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// There is nothing.
    #[error("there is no such file")]
    Missing,
    /// The path could mean several files.
    #[error("it has to be an absolute path without `.` and `..`")]
    NotAbsolute,
    /// A part of the path is a symbolic link.
    #[error("{} is a symbolic link", .0.display())]
    Link(PathBuf),
    /// It is something else.
    #[error("{} is not {expected}", path.display())]
    Kind {
        /// What.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to the user with the number {owner}", path.display())]
    Owner {
        /// What.
        path: PathBuf,
        /// To whom.
        owner: u32,
    },
    /// Others than its owner can write it.
    #[error("{} can be written by its group or by everybody (mode {mode:04o})", path.display())]
    Writable {
        /// What.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is larger than it may be.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The operating system said no.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Distrust {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Missing => "check the path".to_owned(),
            Self::NotAbsolute => "name it by its whole path".to_owned(),
            Self::Link(path) => format!("put the file itself in the place of {}", path.display()),
            Self::Kind { .. } => "put a regular file there".to_owned(),
            Self::Owner { path, .. } => format!("chown root {}", path.display()),
            Self::Writable { path, .. } => format!("chmod go-w {}", path.display()),
            Self::TooLarge(_) => "make it smaller".to_owned(),
            Self::Unreadable { .. } => "let the user of the runner read it".to_owned(),
        }
    }
}

/// Reads the file at `path`, at most `most` bytes, when it and every folder above it belong to one of `owners` and nobody
/// else can write them.
///
/// # Errors
/// Says what is not as it has to be. A file that is missing is told from all else, and only where the folder that it
/// would be in can be trusted: elsewhere somebody may have taken it away.
pub fn read(path: &Path, owners: &[u32], most: u64) -> Result<Vec<u8>, Distrust> {
    let (folder, name) = parent(path, owners)?;
    let look = |flags| openat(&folder, name, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
    // Looked at before it is opened: to open a device or a FIFO can do things.
    let handle = look(OFlag::O_PATH).map_err(|errno| refused(errno, path))?;
    judge(&handle, path, SFlag::S_IFREG, owners)?;
    let file =
        look(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).map_err(|errno| refused(errno, path))?;
    judge(&file, path, SFlag::S_IFREG, owners)?;
    let unreadable = |source| Distrust::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::from(file).take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most { Err(Distrust::TooLarge(most)) } else { Ok(bytes) }
}

/// Whether the folder or file at `path` is as [`read`] wants a file to be.
///
/// # Errors
/// Says what is not as it has to be.
pub fn check(path: &Path, owners: &[u32]) -> Result<(), Distrust> {
    let (folder, name) = parent(path, owners)?;
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let handle = openat(&folder, name, flags, Mode::empty()).map_err(|errno| refused(errno, path))?;
    let stat = stat(&handle, path)?;
    let kind = if kind(&stat) == SFlag::S_IFDIR { SFlag::S_IFDIR } else { SFlag::S_IFREG };
    judge(&handle, path, kind, owners)
}

/// The folder that `path` is in, held open, and the name in it.
fn parent<'a>(path: &'a Path, owners: &[u32]) -> Result<(OwnedFd, &'a OsStr), Distrust> {
    let names = names(path).ok_or(Distrust::NotAbsolute)?;
    let (last, above) = names.split_last().ok_or(Distrust::NotAbsolute)?;
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut here = PathBuf::from("/");
    let mut folder = nix::fcntl::open(&here, flags, Mode::empty()).map_err(|errno| refused(errno, &here))?;
    let mut trouble = judge(&folder, &here, SFlag::S_IFDIR, owners).err();
    for name in above {
        here.push(name);
        folder = openat(&folder, *name, flags, Mode::empty()).map_err(|errno| refused(errno, &here))?;
        let judged = judge(&folder, &here, SFlag::S_IFDIR, owners);
        // Through a link or a file there is no going on. Who owns a folder matters only when the file is there.
        match judged {
            Err(blocked @ (Distrust::Link(_) | Distrust::Kind { .. })) => {
                return Err(trouble.unwrap_or(blocked));
            }
            judged => trouble = trouble.or(judged.err()),
        }
    }
    trouble.map_or(Ok((folder, last)), Err)
}

/// The names in an absolute path that means one thing only.
fn names(path: &Path) -> Option<Vec<&OsStr>> {
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return None;
    }
    let names: Option<Vec<&OsStr>> = parts
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    // What is left of `a/./b` and `a//b` by the standard library would be another text than the one that was written.
    let names = names.filter(|names| !names.is_empty())?;
    let length: usize = names.iter().map(|name| name.len() + 1).sum();
    (length == path.as_os_str().len()).then_some(names)
}

fn judge(handle: &impl AsFd, path: &Path, wanted: SFlag, owners: &[u32]) -> Result<(), Distrust> {
    let stat = stat(handle, path)?;
    let path = || path.to_owned();
    match kind(&stat) {
        SFlag::S_IFLNK => return Err(Distrust::Link(path())),
        kind if kind != wanted => {
            let expected = if wanted == SFlag::S_IFDIR { "a folder" } else { "a regular file" };
            return Err(Distrust::Kind { path: path(), expected });
        }
        _ => {}
    }
    if !owners.contains(&stat.st_uid) {
        return Err(Distrust::Owner { path: path(), owner: stat.st_uid });
    }
    if stat.st_mode & WRITABLE != 0 {
        return Err(Distrust::Writable { path: path(), mode: stat.st_mode & 0o7777 });
    }
    Ok(())
}

fn stat(handle: &impl AsFd, path: &Path) -> Result<FileStat, Distrust> {
    fstat(handle).map_err(|errno| refused(errno, path))
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn refused(errno: Errno, path: &Path) -> Distrust {
    match errno {
        Errno::ENOENT => Distrust::Missing,
        Errno::ELOOP => Distrust::Link(path.to_owned()),
        Errno::ENOTDIR => Distrust::Kind { path: path.to_owned(), expected: "a folder" },
        _ => Distrust::Unreadable { path: path.to_owned(), source: io::Error::from(errno) },
    }
}

/// The number of the user that this process runs as.
#[must_use]
pub fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether everybody may read the file at `path`.
#[must_use]
pub fn is_open_to_all(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    /// A folder with a file in it, and the users that its real path belongs to. In `/tmp` everybody can write, so that it is
    /// elsewhere: where this checkout is, or where a user or root has a folder of their own. Absent where all of these can
    /// be written by others.
    fn folder() -> Option<(tempfile::TempDir, PathBuf, Vec<u32>)> {
        let own = format!("/run/user/{}", own_user());
        let is_guarded = |path: &Path| {
            path.ancestors().all(|path| path.metadata().is_ok_and(|found| found.mode() & WRITABLE == 0))
        };
        let place = [env!("CARGO_MANIFEST_DIR"), &own, "/run"]
            .into_iter()
            .filter_map(|place| Path::new(place).canonicalize().ok())
            .filter(|place| is_guarded(place))
            .find_map(|place| tempfile::tempdir_in(place).ok());
        let Some(folder) = place else {
            let mut err = io::stderr();
            let _ = io::Write::write_all(
                &mut err,
                b"skipped: others can write to every folder that could be used\n",
            );
            return None;
        };
        let path = folder.path().canonicalize().unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(path.join("policy"), "version: 1").unwrap();
        std::fs::set_permissions(path.join("policy"), std::fs::Permissions::from_mode(0o644)).unwrap();
        let owners = path.ancestors().map(|path| path.metadata().unwrap().uid()).collect();
        Some((folder, path, owners))
    }

    fn said(path: &Path, owners: &[u32]) -> String {
        match read(path, owners, 100) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(distrust) => distrust.to_string(),
        }
    }

    #[test]
    fn what_others_can_have_written_is_not_read() {
        let Some((_folder, root, owners)) = folder() else { return };
        let file = root.join("policy");
        assert_eq!(said(&file, &owners), "version: 1");
        assert!(said(&file, &[]).contains("/ belongs to the user with the number"));
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for mode in [0o664, 0o646, 0o666] {
            set(&file, mode);
            assert!(said(&file, &owners).contains("can be written"), "{mode:o}");
        }
        set(&file, 0o644);
        set(&root, 0o775);
        assert!(said(&file, &owners).contains("can be written"));
        // A file that is not there may have been taken away.
        assert!(said(&root.join("nothing"), &owners).contains("can be written"));
        set(&root, 0o755);
        assert_eq!(said(&root.join("nothing"), &owners), "there is no such file");
        symlink(&file, root.join("link")).unwrap();
        symlink(&root, root.join("folder")).unwrap();
        assert!(said(&root.join("link"), &owners).contains("is a symbolic link"));
        assert!(said(&root.join("folder/policy"), &owners).contains("is a symbolic link"));
        assert!(said(&root, &owners).contains("is not a regular file"));
        assert!(said(&file.join("x"), &owners).contains("is not a folder"));
        nix::unistd::mkfifo(&root.join("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
        assert!(said(&root.join("fifo"), &owners).contains("is not a regular file"));
        std::fs::write(&file, "x".repeat(101)).unwrap();
        assert_eq!(said(&file, &owners), "it is larger than 100 bytes");
    }

    #[test]
    fn a_path_means_one_thing_only() {
        for path in ["", "policy", "./policy", "/", "/a/../b", "/a/./b", "/a//b", "//a", "/a/"] {
            assert!(matches!(read(Path::new(path), &[0], 1), Err(Distrust::NotAbsolute)), "{path}");
        }
    }
}
