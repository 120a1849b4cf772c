//! Sandbox settings of three levels, made one.

use std::time::Duration;

use crate::id::EnvName;
use crate::manifest::model::{Layer, LimitSettings, Network, Requirement, SandboxSettings};
use crate::plan::model::{Limits, SandboxPlan};

/// The lowest tier that still confines: what is required where nobody says anything.
pub const LEAST: Requirement = Requirement { layer: Layer::Landlock, at_least: None };

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The settings in force at the innermost of `levels`, and the variables that pass from the caller. Maps merge, lists
/// replace.
pub(super) fn settle(levels: &[&SandboxSettings], timeout: Duration) -> (SandboxPlan, Vec<EnvName>) {
    /// The innermost level that says something.
    fn last<T>(levels: &[&SandboxSettings], get: impl Fn(&SandboxSettings) -> Option<T>) -> Option<T> {
        levels.iter().rev().find_map(|level| get(level))
    }
    let plan = SandboxPlan {
        require: last(levels, |level| level.require.as_ref().map(|require| require.value.clone()))
            .unwrap_or_else(|| vec![LEAST]),
        network: last(levels, |level| level.network.as_ref().map(|network| network.value))
            .unwrap_or(Network::None),
        ports: last(levels, |level| level.ports.as_ref().map(|ports| ports.value.clone()))
            .unwrap_or_default(),
        read: last(levels, |level| {
            level.read.as_ref().map(|paths| paths.iter().map(|path| path.value.clone()).collect())
        })
        .unwrap_or_default(),
        readable: Vec::new(),
        write: last(levels, |level| {
            level.write.as_ref().map(|paths| paths.iter().map(|path| path.value.clone()).collect())
        })
        .unwrap_or_default(),
        unix_sockets: last(levels, |level| level.unix_sockets.as_ref().map(|allowed| allowed.value))
            .unwrap_or(false),
        limits: limits(levels, timeout),
    };
    let env = last(levels, |level| {
        level.env.as_ref().map(|names| names.iter().map(|name| name.value.clone()).collect::<Vec<_>>())
    });
    (plan, env.unwrap_or_default())
}

fn limits(levels: &[&SandboxSettings], timeout: Duration) -> Limits {
    fn last<T>(levels: &[&SandboxSettings], get: impl Fn(&LimitSettings) -> Option<T>) -> Option<T> {
        levels.iter().rev().find_map(|level| get(&level.limits))
    }
    Limits {
        memory: last(levels, |limits| limits.memory).unwrap_or(2 * GIB),
        processes: last(levels, |limits| limits.processes).unwrap_or(256),
        cpu: last(levels, |limits| limits.cpu).unwrap_or(timeout * 2),
        scratch: last(levels, |limits| limits.scratch).unwrap_or(GIB),
        output: last(levels, |limits| limits.output).unwrap_or(64 * MIB),
        report: last(levels, |limits| limits.report).unwrap_or(8 * GIB),
        artifacts: last(levels, |limits| limits.artifacts).unwrap_or(GIB),
        artifact_files: last(levels, |limits| limits.artifact_files).unwrap_or(10_000),
        grace: last(levels, |limits| limits.grace).unwrap_or(Duration::from_secs(3)),
    }
}
