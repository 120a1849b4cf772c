//! Where a child finds its private folders.

use std::path::{Path, PathBuf};

use crate::sandbox::confinement::Tier;

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
