//! Removing a folder that a payload has filled, when it is dead: whatever is in there, with few descriptors and little stack.
//!
//! The standard library's way was rejected. It holds a folder open for each one that it is in, so that a tree deeper than
//! the limit of open files stays; and it gives up at a folder that its owner has locked against itself. Here folders that
//! lie too deep are moved up first. Several helpers may do this to one folder at the same time.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Removes `root` and everything in it. Links are not followed. What is not there is as good as removed.
///
/// # Errors
/// Returns the first thing that this user could not remove by any means; what does not hold that is gone.
pub fn discard(root: &Path) -> io::Result<()> {
    let mut discard = Discard { root, done: 0, problem: None };
    loop {
        let before = discard.done;
        discard.empty(root, Discard::flatten);
        let removed = settled(fs::remove_dir(root));
        // Folders that were moved up are new in it, and so may be what another one has moved.
        if removed.is_ok() || discard.done == before {
            return removed.map_err(|error| discard.problem.unwrap_or(error));
        }
    }
}

struct Discard<'a> {
    root: &'a Path,
    /// What has been removed or moved.
    done: u64,
    /// The first thing that could be neither.
    problem: Option<io::Error>,
}

impl Discard<'_> {
    /// Does `each` to what is in `folder`, after that has been made accessible.
    fn empty(&mut self, folder: &Path, each: impl Fn(&mut Self, &Path) -> io::Result<()>) {
        let entries = settled(unlock(folder)).and_then(|()| fs::read_dir(folder));
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.note(Err(error)),
        };
        for entry in entries.filter_map(Result::ok) {
            // Of the entry itself: a link is no folder.
            let result = match entry.file_type() {
                Ok(kind) if kind.is_dir() => each(self, &entry.path()),
                Ok(_) => fs::remove_file(entry.path()),
                Err(error) => Err(error),
            };
            self.note(result);
        }
    }

    /// Empties and removes a folder of the root.
    fn flatten(&mut self, folder: &Path) -> io::Result<()> {
        self.empty(folder, Self::lift);
        fs::remove_dir(folder)
    }

    /// Removes a folder, or moves it into the root.
    fn lift(&mut self, folder: &Path) -> io::Result<()> {
        if fs::remove_dir(folder).is_ok() {
            return Ok(());
        }
        // It must be writable itself: what it calls its parent changes.
        unlock(folder)?;
        fs::rename(folder, self.place())
    }

    /// A name in the root that nobody uses.
    fn place(&self) -> PathBuf {
        let name = |number: u64| self.root.join(format!("lifted-{}-{number}", std::process::id()));
        let mut number = self.done;
        while fs::symlink_metadata(name(number)).is_ok() {
            number += 1;
        }
        name(number)
    }

    fn note(&mut self, result: io::Result<()>) {
        match settled(result) {
            Ok(()) => self.done += 1,
            Err(error) => drop(self.problem.get_or_insert(error)),
        }
    }
}

/// What somebody else has removed meanwhile is removed.
fn settled(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Gives its owner all rights to a folder.
fn unlock(folder: &Path) -> io::Result<()> {
    const ALL: u32 = 0o700;
    let mode = fs::symlink_metadata(folder)?.permissions().mode();
    if mode & ALL == ALL { Ok(()) } else { fs::set_permissions(folder, Permissions::from_mode(ALL)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder with what a payload leaves that does not want to be removed.
    fn filled(root: &Path) {
        for folder in ["locked/in/side", "plain/empty"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("locked/in/side/file"), "x").unwrap();
        fs::write(root.join("plain/read-only"), "x").unwrap();
        for folder in ["locked/in/side", "locked/in", "locked"] {
            fs::set_permissions(root.join(folder), Permissions::from_mode(0o0)).unwrap();
        }
    }

    #[test]
    fn locked_folders_are_removed_and_links_are_not_followed() {
        let host = tempfile::tempdir().unwrap();
        let (root, kept) = (host.path().join("root"), host.path().join("kept"));
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        filled(&root);
        symlink(&kept, root.join("link")).unwrap();
        symlink(&kept, root.join("plain/link")).unwrap();
        discard(&root).unwrap();
        assert!(!root.exists());
        assert_eq!(fs::read(kept.join("file")).unwrap(), b"x");
        discard(&root).unwrap();
    }

    #[test]
    fn several_at_once_do_not_keep_each_other_from_it() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path().join("root");
        for number in 0..200 {
            fs::create_dir_all(root.join(format!("{number}/a/b/c"))).unwrap();
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| discard(&root));
            }
        });
        discard(&root).unwrap();
        assert!(!root.exists());
    }
}
