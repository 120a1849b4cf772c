//! What a payload keeps in its private folders, where these lie on the host and no file system of their own limits them.
//!
//! It samples, as [`crate::sandbox::usage`] does: a step can be above its limit for a moment, and what lies in a folder
//! that its owner may not read is not seen.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::sandbox::processes;
use crate::sandbox::usage::{BLOCK, Exceeded, held_open};

/// The limits of a private folder.
#[derive(Clone, Debug)]
pub struct Space {
    /// The folder.
    pub root: PathBuf,
    /// Bytes that it may take on its file system.
    pub bytes: u64,
    /// Files and folders that it may hold.
    pub files: u64,
}

impl Space {
    /// Looks at what is there, and at what the processes below `helper` have removed and still hold open.
    #[must_use]
    pub fn look(&self, helper: i32) -> Option<Exceeded> {
        let (mut bytes, mut files) = (0_u64, 0_u64);
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
                // Of the entry itself: a link is counted, not followed.
                let Ok(found) = entry.metadata() else { continue };
                if found.is_dir() {
                    folders.push(entry.path());
                }
                files += 1;
                bytes = bytes.saturating_add(found.blocks().saturating_mul(BLOCK));
                if files > self.files {
                    return Some(Exceeded::Files(self.files));
                }
            }
        }
        let threads = processes::below(helper).into_iter().map(|(_, stat)| stat.speaker);
        let removed = held_open(threads, |target| is_removed(target, &self.root));
        (bytes.saturating_add(removed) > self.bytes).then_some(Exceeded::Space(self.bytes))
    }
}

/// Whether a descriptor leads to something that was below `root`, as the kernel names it.
fn is_removed(target: &Path, root: &Path) -> bool {
    target.starts_with(root) && target.as_os_str().as_encoded_bytes().ends_with(b" (deleted)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_files_are_counted_and_links_lead_nowhere() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("large"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("link")).unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/file"), vec![1; 64 << 10]).unwrap();
        // A file that is all hole takes no space.
        fs::File::create(folder.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        let look = |bytes, files| Space { root: folder.path().to_owned(), bytes, files }.look(i32::MAX);
        assert_eq!(look(512 << 10, 5), None);
        assert_eq!(look(16 << 10, 5), Some(Exceeded::Space(16 << 10)));
        assert_eq!(look(512 << 10, 4), Some(Exceeded::Files(4)));
    }
}
