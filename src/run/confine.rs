//! From a planned step to what it may see and do. Pure.

use std::path::{Path, PathBuf};

use crate::plan::model::PlannedStep;
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::confinement::{Confinement, KernelLimits, Tier, View};
use crate::sandbox::layers::HostLayers;
use crate::sandbox::layout::{Layout, hidden};

/// How the steps of a run are confined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Not at all: somebody chose that, or took what the host has, which is nothing.
    Open,
    /// By the layers of this host.
    Confined(Box<Confined>),
}

/// What is the same for all steps that are confined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confined {
    /// The tier, which the host has.
    pub tier: Tier,
    /// The layers that the host has.
    pub layers: HostLayers,
    /// Its control groups.
    pub cgroups: Cgroups,
    /// Folders of the host that every step may read, such as the runner's tool cache.
    pub readable: Vec<PathBuf>,
}

impl Ground {
    /// The host's control groups, where steps are held by them.
    pub(super) const fn cgroups(&self) -> Option<&Cgroups> {
        match self {
            Self::Open => None,
            Self::Confined(confined) => Some(&confined.cgroups),
        }
    }

    /// The tier of every step.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        match self {
            Self::Open => Tier::None,
            Self::Confined(confined) => confined.tier,
        }
    }
}

/// The confinement of `step` in `workspace`, with its private folders as `layout` says; nothing where there is none.
pub(super) fn confinement(
    step: &PlannedStep,
    ground: &Ground,
    workspace: &Path,
    layout: &Layout,
) -> Option<Confinement> {
    let Ground::Confined(ground) = ground else { return None };
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
            write: plan
                .write
                .iter()
                .map(|path| workspace.join(path.as_str()))
                .chain(layout.on_the_host(ground.tier))
                .collect(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::Plan;
    use crate::plan::tests::planned;
    use crate::sandbox::layers::LayerProblem;
    use nix::errno::Errno;

    /// A host without anything but the tier.
    fn ground(tier: Tier) -> Ground {
        let absent = || LayerProblem { what: "look", errno: Errno::ENOSYS, remedy: "build it" };
        Ground::Confined(Box::new(Confined {
            tier,
            layers: HostLayers {
                namespaces: Err(absent()),
                proc_fresh: false,
                landlock: Err(absent()),
                seccomp: Err(absent()),
                scoped_kill: false,
            },
            cgroups: Cgroups::below(Path::new("/nonexistent")),
            readable: vec!["/opt/hostedtoolcache".into()],
        }))
    }

    fn plan(sandbox: &str) -> Plan {
        planned(&format!("steps:\n- {{id: a, run: x, timeout-minutes: 5, sandbox: {sandbox}}}"))
    }

    fn of(plan: &Plan, ground: &Ground) -> Option<Confinement> {
        let layout = Layout::of(ground.tier(), Path::new("/scratch"));
        confinement(&plan.steps[0], ground, Path::new("/w"), &layout)
    }

    #[test]
    fn a_step_that_says_nothing_sees_its_workspace_and_nothing_else() {
        let plan = plan("{}");
        let expected = Confinement {
            tier: Tier::Namespaces,
            view: View {
                workspace: Some("/w".into()),
                hidden: vec![".git".into(), ".rungate".into()],
                read: vec!["/opt/hostedtoolcache".into()],
                write: Vec::new(),
            },
            network: crate::manifest::model::Network::None,
            ports: Vec::new(),
            unix_sockets: false,
            limits: KernelLimits {
                memory: 2 << 30,
                processes: 256,
                cpu: std::time::Duration::from_mins(10),
                scratch: 1 << 30,
                inodes: 65_536,
            },
        };
        let made = of(&plan, &ground(Tier::Namespaces));
        assert_eq!(made, Some(expected));
        assert_eq!(of(&plan, &Ground::Open), None);
    }

    #[test]
    fn what_a_step_says_is_what_it_gets_and_paths_within_others_are_said_once() {
        let mut plan = plan(
            "{network: host, ports: [443], read: [/data/b, /data], write: [build, docs/out], unix-sockets: true, \
             limits: {memory: 1GiB, processes: 9, cpu: 3s, scratch: 64KiB}}",
        );
        plan.steps[0].interpreter_prefixes = vec!["/data/b/python".into(), "/opt/python".into()];
        let made = of(&plan, &ground(Tier::Landlock)).unwrap();
        let expected = Confinement {
            tier: Tier::Landlock,
            view: View {
                workspace: Some("/w".into()),
                hidden: vec![".git".into(), ".rungate".into()],
                read: vec!["/data".into(), "/opt/hostedtoolcache".into(), "/opt/python".into()],
                write: ["/w/build", "/w/docs/out", "/scratch/home", "/scratch/tmp", "/scratch/files"]
                    .map(PathBuf::from)
                    .to_vec(),
            },
            network: crate::manifest::model::Network::Host,
            ports: vec![443],
            unix_sockets: true,
            limits: KernelLimits {
                memory: 1 << 30,
                processes: 9,
                cpu: std::time::Duration::from_secs(3),
                scratch: 64 << 10,
                inodes: 1024,
            },
        };
        assert_eq!(made, expected);
    }
}
