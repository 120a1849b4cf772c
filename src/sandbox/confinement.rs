//! What a child may see and do, as data: the policy that is compiled to a [`crate::sandbox::spec::Spec`].
//!
//! Nouns only. Who decides is above (plan, host policy, the person at the keyboard); who enforces is the helper. Every
//! path here is a path of the host, absolute and resolved by the executor before anything hostile runs.

use std::path::PathBuf;
use std::time::Duration;

use crate::manifest::model::Network;

/// How a child is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Not at all: somebody chose that.
    None,
    /// By Landlock, the system call filter and resource limits, for hosts without user namespaces.
    Landlock,
    /// By namespaces with a file system of its own, and everything of the Landlock tier on top.
    Namespaces,
}

impl Tier {
    /// Its name, as records and people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Landlock => "landlock",
            Self::Namespaces => "namespaces",
        }
    }
}

/// Everything that a child may see and do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// How.
    pub tier: Tier,
    /// What it sees of the host's files.
    pub view: View,
    /// The network.
    pub network: Network,
    /// TCP ports that may be connected to, with the host's network; empty: any.
    pub ports: Vec<u16>,
    /// Whether Unix sockets may be used in the Landlock tier. In the other tier they can reach nobody outside.
    pub unix_sockets: bool,
    /// Limits of the kernel.
    pub limits: KernelLimits,
}

/// What a child sees of the host's files. What is not named does not exist for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The repository: readable, not writable. Absent for a program that needs none.
    pub workspace: Option<PathBuf>,
    /// Names directly below the workspace that are hidden, such as `.git` and `.rungate`.
    pub hidden: Vec<PathBuf>,
    /// Further files and folders that are readable and executable: interpreter prefixes, the tool cache, `read` of the
    /// manifest. System folders need not be named.
    pub read: Vec<PathBuf>,
    /// Folders of the host that are writable, most of them in the workspace.
    pub write: Vec<PathBuf>,
}

/// Limits that the kernel enforces. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelLimits {
    /// Memory of all processes together, where a cgroup can hold them to it; data of each process elsewhere.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u32,
    /// CPU time of each process.
    pub cpu: Duration,
    /// Private writable space, `/dev/shm` included.
    pub scratch: u64,
    /// Files in the private writable space.
    pub inodes: u64,
}

/// Private writable space holds a file for every so many bytes of it.
const BYTES_PER_FILE: u64 = 16 << 10;

/// Files that even the smallest private space holds.
const LEAST_FILES: u64 = 1024;

impl KernelLimits {
    /// How many files `scratch` bytes of private space may hold.
    #[must_use]
    pub fn inodes_of(scratch: u64) -> u64 {
        (scratch / BYTES_PER_FILE).max(LEAST_FILES)
    }
}

/// A file that a child finds in its private folder: its script, its inputs, the files by which it hands something on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateFile {
    /// Its name, without a folder.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}
