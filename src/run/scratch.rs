//! The private folder of a step on the host, for the tiers that have no file system of their own.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::sandbox::confinement::PrivateFile;
use crate::sandbox::discard::discard;

/// What is in it, as [`crate::sandbox::layout::Layout::of`] names it.
const FOLDERS: [&str; 3] = ["home", "tmp", "files"];

/// A private folder that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to write {path}")]
pub(super) struct ScratchError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The private folder of a step: its HOME and TMPDIR, and the files by which it hands something on.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    root: PathBuf,
}

impl Scratch {
    /// The folder at `root`. Nothing is made yet.
    pub(super) const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the private files are.
    pub(super) fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// Makes everything that a step can write to anew, with `files` in it. The last attempt could put anything there,
    /// folders and links too, or take it away.
    pub(super) fn fill(&self, files: &[PrivateFile]) -> Result<(), ScratchError> {
        let failed = |path: PathBuf| move |source| ScratchError { path, source };
        discard(&self.root).map_err(failed(self.root.clone()))?;
        for folder in [self.root.clone()].into_iter().chain(FOLDERS.map(|name| self.root.join(name))) {
            fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed(folder))?;
        }
        for file in files {
            let path = self.files().join(&file.name);
            let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            opened.and_then(|mut opened| opened.write_all(&file.bytes)).map_err(failed(path))?;
        }
        Ok(())
    }

    /// Removes everything. What cannot be removed is tried again with the run's private folder.
    pub(super) fn remove(&self) {
        let _ = discard(&self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filling_begins_with_nothing_of_the_last_one() {
        let host = tempfile::tempdir().unwrap();
        let scratch = Scratch::at(host.path().join("a"));
        let files = [PrivateFile { name: "output".into(), bytes: b"x".to_vec() }];
        scratch.fill(&files).unwrap();
        fs::write(scratch.root().join("home/left"), "behind").unwrap();
        fs::remove_file(scratch.files().join("output")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", scratch.files().join("output")).unwrap();
        scratch.fill(&files).unwrap();
        assert_eq!(fs::read(scratch.files().join("output")).unwrap(), b"x");
        assert!(!scratch.root().join("home/left").exists());
        scratch.remove();
        assert!(!scratch.root().exists());
    }
}
