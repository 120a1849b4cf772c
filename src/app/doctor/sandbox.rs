//! The sandbox's layers.

use crate::app::doctor::remedies::{Hurdle, hurdles, of_namespaces};
use crate::app::doctor::{Check, Patient, State};
use crate::sandbox::cgroup::{Cgroups, Controller};
use crate::sandbox::confinement::Tier;
use crate::sandbox::landlock::SCOPES;
use crate::sandbox::layers::{HostLayers, LayerProblem};

pub(super) fn checks(patient: Patient<'_>) -> Vec<Check> {
    let layers = patient.sandbox.layers();
    let mut checks = of_layers(layers, &hurdles());
    checks.push(of_cgroups(&Cgroups::of_this_host()));
    checks
}

/// What the layers of a host with these hurdles come to.
fn of_layers(layers: &HostLayers, hurdles: &[Hurdle]) -> Vec<Check> {
    // A layer that is missing matters as much as what is left without it.
    let without = if layers.tier() == Tier::None { State::Failed } else { State::Lacking };
    let mut checks = vec![
        match &layers.namespaces {
            Ok(()) => good("namespaces", "a file system, processes and a network of its own"),
            Err(problem) => {
                let (cause, mut remedies) = of_namespaces(problem.errno, hurdles);
                if !remedies.iter().any(|remedy| remedy.contains(problem.remedy)) {
                    remedies.push(problem.remedy.to_owned());
                }
                Check { id: "namespaces", state: without, found: problem.to_string(), cause, remedies }
            }
        },
        match &layers.landlock {
            Ok(version) if *version >= SCOPES => good("landlock", &format!("ABI {version}")),
            Ok(version) => Check {
                id: "landlock",
                state: State::Lacking,
                found: format!("ABI {version}, which keeps no signals and no abstract Unix sockets inside"),
                cause: Some("the kernel is older than Linux 6.12".to_owned()),
                remedies: vec!["use a newer kernel where the tier `landlock` is relied on".to_owned()],
            },
            Err(problem) => missing("landlock", without, problem),
        },
        match &layers.seccomp {
            Ok(()) => good("seccomp", "the system call filter can be installed"),
            Err(problem) => missing("seccomp", State::Failed, problem),
        },
    ];
    if layers.namespaces.is_ok() {
        checks.push(if layers.proc_fresh {
            good("proc", "a new procfs can be mounted")
        } else {
            Check {
                id: "proc",
                state: State::Lacking,
                found: "the host's procfs is bound, because a new one cannot be mounted".to_owned(),
                cause: Some("parts of /proc are masked, as container engines do".to_owned()),
                remedies: vec![
                    "Kubernetes: `procMount: Unmasked` together with `hostUsers: false`".to_owned(),
                    "Docker: `--security-opt systempaths=unconfined`".to_owned(),
                ],
            }
        });
    }
    checks
}

fn good(id: &'static str, found: &str) -> Check {
    Check { id, state: State::Good, found: found.to_owned(), cause: None, remedies: Vec::new() }
}

fn missing(id: &'static str, state: State, problem: &LayerProblem) -> Check {
    let remedies = vec![problem.remedy.to_owned()];
    Check { id, state, found: problem.to_string(), cause: None, remedies }
}

fn of_cgroups(cgroups: &Cgroups) -> Check {
    let names: Vec<&str> = cgroups.controllers().iter().copied().map(Controller::name).collect();
    let kill = if cgroups.can_kill() { "a step can be killed as a whole" } else { "no group can be made" };
    let limits = if names.is_empty() {
        "nothing can be limited".to_owned()
    } else {
        format!("limits {}", names.join(", "))
    };
    match cgroups.problem() {
        None => good("cgroup", &format!("{kill}; {limits}")),
        Some(problem) => Check {
            id: "cgroup",
            state: State::Lacking,
            found: format!("{kill}; {limits}"),
            cause: Some(problem.to_string()),
            remedies: vec![problem.remedy().to_owned()],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    fn states(layers: &HostLayers) -> String {
        let checks = of_layers(layers, &[]);
        checks
            .iter()
            .map(|check| format!("{} {}", check.id, check.state.as_str()))
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn a_host_is_ill_only_when_nothing_confines() {
        let problem = || LayerProblem { what: "unshare", errno: Errno::EPERM, remedy: "allow it" };
        let all = HostLayers {
            namespaces: Ok(()),
            proc_fresh: true,
            landlock: Ok(7),
            seccomp: Ok(()),
            scoped_kill: true,
        };
        assert_eq!(states(&all), "namespaces good, landlock good, seccomp good, proc good");
        let pod = HostLayers { namespaces: Err(problem()), ..all.clone() };
        assert_eq!(states(&pod), "namespaces lacking, landlock good, seccomp good");
        let old = HostLayers { landlock: Err(problem()), ..pod };
        assert_eq!(states(&old), "namespaces failed, landlock failed, seccomp good");
        let masked = HostLayers { proc_fresh: false, landlock: Ok(4), ..all };
        assert_eq!(states(&masked), "namespaces good, landlock lacking, seccomp good, proc lacking");
    }
}
