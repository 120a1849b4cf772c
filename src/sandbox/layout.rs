//! Where a child finds its private folders.

use std::path::{Path, PathBuf};

use crate::sandbox::confinement::Tier;

/// Folders of the host that every child sees, because its programs and their libraries lie there.
pub(crate) const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Names directly below a workspace that no child sees: the repository's own state, with the tokens that a checkout
/// leaves in it, and ours.
const HIDDEN: [&str; 2] = [".git", ".rungate"];

/// Whether every child sees `path`, because it lies in one of the system's folders.
#[must_use]
pub fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|folder| path.starts_with(folder))
}

/// Names directly below a workspace that no child sees.
#[must_use]
pub fn hidden() -> Vec<PathBuf> {
    HIDDEN.map(PathBuf::from).to_vec()
}

/// The private folders of a child, as paths that it sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its HOME.
    pub home: PathBuf,
    /// Its TMPDIR.
    pub tmp: PathBuf,
    /// Its script, its inputs, and the files by which it hands something on.
    pub files: PathBuf,
}

impl Layout {
    /// Those of the folders that a child in `tier` finds on the host, and must be given to write.
    #[must_use]
    pub fn on_the_host(&self, tier: Tier) -> Vec<PathBuf> {
        match tier {
            Tier::Namespaces | Tier::None => Vec::new(),
            Tier::Landlock => vec![self.home.clone(), self.tmp.clone(), self.files.clone()],
        }
    }

    /// The folders of a child in `tier`. With namespaces they are in a file system of its own, at the same place for
    /// every child; else they are below `host`, where the executor has made them.
    #[must_use]
    pub fn of(tier: Tier, host: &Path) -> Self {
        match tier {
            Tier::Namespaces => {
                Self { home: "/home/step".into(), tmp: "/tmp".into(), files: "/run/rungate".into() }
            }
            Tier::Landlock | Tier::None => {
                Self { home: host.join("home"), tmp: host.join("tmp"), files: host.join("files") }
            }
        }
    }
}
