//! What this host can give: each layer, or why not and what to do about it.

use std::fmt;

use nix::errno::Errno;

use crate::sandbox::confinement::Tier;

/// A layer that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerProblem {
    /// What was being done, to follow "failed to".
    pub what: &'static str,
    /// Why it failed.
    pub errno: Errno,
    /// What a person can do about it.
    pub remedy: &'static str,
}

impl fmt::Display for LayerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}: {} ({:?})", self.what, self.errno.desc(), self.errno)
    }
}

/// The layers of this host, as a child has tried them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLayers {
    /// Namespaces with a file system of their own, as a whole.
    pub namespaces: Result<(), LayerProblem>,
    /// Whether a new procfs can be mounted; else the host's is bound, with everything that it tells.
    pub proc_fresh: bool,
    /// Landlock, with the version in force.
    pub landlock: Result<u32, LayerProblem>,
    /// The system call filter.
    pub seccomp: Result<(), LayerProblem>,
    /// Whether a Landlock domain keeps signals inside, so that everything in it can be killed at once.
    pub scoped_kill: bool,
}

impl HostLayers {
    /// The best tier that can be had.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        match (&self.namespaces, &self.landlock, &self.seccomp) {
            (Ok(()), _, Ok(())) => Tier::Namespaces,
            (Err(_), Ok(_), Ok(())) => Tier::Landlock,
            _ => Tier::None,
        }
    }
}
