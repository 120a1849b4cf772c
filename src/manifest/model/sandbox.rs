//! How a step is confined.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::id::{EnvName, RepoPath};
use crate::manifest::model::Spanned;

/// `sandbox`, as written at one level. What is absent is inherited.
#[derive(Clone, Debug, Default)]
pub struct SandboxSettings {
    /// Layers without which nothing runs.
    pub require: Option<Spanned<Vec<Requirement>>>,
    /// The network.
    pub network: Option<Spanned<Network>>,
    /// TCP ports that may be connected to, with `network: host`.
    pub ports: Option<Spanned<Vec<u16>>>,
    /// Further paths that may be read; absolute or in the workspace.
    pub read: Option<Vec<Spanned<String>>>,
    /// Paths in the workspace that may be written.
    pub write: Option<Vec<Spanned<RepoPath>>>,
    /// Variables passed through from the caller.
    pub env: Option<Vec<Spanned<EnvName>>>,
    /// Whether Unix sockets may be used in the Landlock tier.
    pub unix_sockets: Option<Spanned<bool>>,
    /// Limits.
    pub limits: LimitSettings,
}

/// A layer that must be active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The layer: `namespaces`, `landlock`, `seccomp`, `cgroup-memory`, `cgroup-pids`, `cgroup-cpu`.
    pub layer: Layer,
    /// Least version, as in `landlock>=6`.
    pub at_least: Option<u32>,
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = match self.layer {
            Layer::Namespaces => "namespaces",
            Layer::Landlock => "landlock",
            Layer::Seccomp => "seccomp",
            Layer::CgroupMemory => "cgroup-memory",
            Layer::CgroupPids => "cgroup-pids",
            Layer::CgroupCpu => "cgroup-cpu",
        };
        match self.at_least {
            Some(version) => write!(f, "{layer}>={version}"),
            None => f.write_str(layer),
        }
    }
}

/// As a manifest writes it.
impl Serialize for Requirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A layer of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// User, mount, pid, net, ipc, uts and cgroup namespaces.
    Namespaces,
    /// Landlock.
    Landlock,
    /// The system call filter.
    Seccomp,
    /// Memory limit by cgroup.
    CgroupMemory,
    /// Process limit by cgroup.
    CgroupPids,
    /// CPU limit by cgroup.
    CgroupCpu,
}

/// What of the network a script sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// `limits`, as written at one level. Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitSettings {
    /// Memory.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// CPU time.
    pub cpu: Option<Duration>,
    /// Private writable space.
    pub scratch: Option<u64>,
    /// Log of one stream.
    pub output: Option<u64>,
    /// One report file.
    pub report: Option<u64>,
    /// All artifacts together.
    pub artifacts: Option<u64>,
    /// Files in artifacts.
    pub artifact_files: Option<u32>,
    /// Time between the polite signal and the next.
    pub grace: Option<Duration>,
}
