//! From a planned step to what it may see and do. Pure.

use std::path::{Path, PathBuf};

use crate::plan::model::PlannedStep;
use crate::sandbox::confinement::{Confinement, KernelLimits, Tier, View};
use crate::sandbox::layout::hidden;

/// How the steps of a run are confined, as far as it is the same for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The tier, which the host has.
    pub tier: Tier,
    /// Folders of the host that every step may read, such as the runner's tool cache.
    pub readable: Vec<PathBuf>,
}

/// The confinement of `step` in `workspace`; nothing where somebody chose that there is none.
pub(super) fn confinement(step: &PlannedStep, ground: &Ground, workspace: &Path) -> Option<Confinement> {
    if ground.tier == Tier::None {
        return None;
    }
    let plan = &step.sandbox;
    let mut read: Vec<PathBuf> = [&step.interpreter_prefixes, &ground.readable, &plan.readable]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    read.sort();
    read.dedup_by(|later, earlier| later.starts_with(&*earlier));
    Some(Confinement {
        tier: ground.tier,
        view: View {
            workspace: Some(workspace.to_owned()),
            hidden: hidden(),
            read,
            write: plan.write.iter().map(|path| workspace.join(path.as_str())).collect(),
        },
        network: plan.network,
        ports: plan.ports.clone(),
        unix_sockets: plan.unix_sockets,
        limits: KernelLimits {
            memory: plan.limits.memory,
            processes: plan.limits.processes,
            cpu: plan.limits.cpu,
            scratch: plan.limits.scratch,
            inodes: KernelLimits::inodes_of(plan.limits.scratch),
        },
    })
}
