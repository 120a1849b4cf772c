//! Whether a plan may run as confined as it would be here. Decided before anything starts, from what the plan asks, what
//! the host has and what somebody consents to.
//!
//! The manifest comes from the repository under test: what it requires holds, but what it loosens needs the consent of
//! the person who calls, or of the host's policy. Under Actions the caller is a workflow, and so no person.

use std::collections::BTreeSet;

use crate::app::failure::Failure;
use crate::manifest::model::{Layer, Network, Requirement};
use crate::plan::make::HostProblem;
use crate::plan::model::Plan;
use crate::sandbox::cgroup::{Cgroups, Controller};
use crate::sandbox::confinement::Tier;
use crate::sandbox::layers::{HostLayers, LayerProblem};

/// How strictly the sandbox is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// Everything that is required is active, or nothing starts.
    #[default]
    Required,
    /// As much as the host has, and what is missing is named.
    BestEffort,
    /// Nothing, and that is said.
    Off,
}

/// What a person may allow a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allow {
    /// The host's network.
    Network,
    /// A lower tier, or fewer layers, than it requires.
    Degraded,
    /// Places outside of the workspace that are written.
    Write,
}

/// What the caller asks for and consents to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// How strictly the sandbox is asked for.
    pub mode: SandboxMode,
    /// What is allowed.
    pub allow: BTreeSet<Allow>,
}

/// What the host has.
#[derive(Clone, Debug)]
pub struct Host {
    /// The layers of the sandbox.
    pub layers: HostLayers,
    /// Control groups.
    pub cgroups: Cgroups,
}

/// Refuses what nobody may choose here, whatever the host has. Before the host is even looked at.
///
/// # Errors
/// Fails by policy.
pub fn consent(plan: &Plan, consent: &Consent, in_actions: bool) -> Result<(), Failure> {
    if in_actions {
        let chosen = match consent.mode {
            SandboxMode::Off => Some("--sandbox off"),
            SandboxMode::BestEffort => Some("--sandbox best-effort"),
            SandboxMode::Required if !consent.allow.is_empty() => Some("--allow"),
            SandboxMode::Required => None,
        };
        if let Some(chosen) = chosen {
            let what =
                format!("{chosen} is refused under GitHub Actions without a host policy that allows it");
            return Err(Failure::Policy(what));
        }
    }
    let hosts = keys(plan, |step| step.sandbox.network == Network::Host);
    if hosts.is_empty() || consent.mode == SandboxMode::Off || consent.allow.contains(&Allow::Network) {
        return Ok(());
    }
    let what = format!("`network: host` of {hosts} weakens the sandbox");
    Err(if in_actions {
        Failure::Policy(format!("{what}, and without a host policy that is refused under GitHub Actions"))
    } else {
        Failure::Consent { what, allow: "network" }
    })
}

/// The tier that `plan` runs in on `host`.
///
/// # Errors
/// Names every layer that is required and not there.
pub fn tier(plan: &Plan, consent: &Consent, host: &Host) -> Result<Tier, Failure> {
    let best = host.layers.tier();
    let may_lack = match consent.mode {
        SandboxMode::Off => return Ok(Tier::None),
        SandboxMode::BestEffort => return Ok(best),
        // Somebody allowed less than what is required, and not nothing at all.
        SandboxMode::Required => consent.allow.contains(&Allow::Degraded) && best != Tier::None,
    };
    let problems = missing(plan, host);
    if problems.is_empty() || may_lack { Ok(best) } else { Err(Failure::Host(problems)) }
}

/// Everything that steps require and the host does not have.
fn missing(plan: &Plan, host: &Host) -> Vec<HostProblem> {
    let mut required: Vec<Requirement> = Vec::new();
    for requirement in plan.steps.iter().flat_map(|step| &step.sandbox.require) {
        if !required.contains(requirement) {
            required.push(*requirement);
        }
    }
    let lacking = required.into_iter().filter_map(|requirement| {
        let lack = lack(requirement, host)?;
        let whose = keys(plan, |step| step.sandbox.require.contains(&requirement));
        Some(HostProblem {
            what: format!("`{requirement}`, required by {whose}, is not to be had here: {}", lack.what),
            remedy: lack.remedy,
        })
    });
    lacking.collect()
}

/// What stands against a requirement.
fn lack(requirement: Requirement, host: &Host) -> Option<HostProblem> {
    let layers = &host.layers;
    match requirement.layer {
        Layer::Namespaces => layers.namespaces.as_ref().err().map(problem),
        Layer::Landlock => match (requirement.at_least, &layers.landlock) {
            (_, Err(_)) if requirement.at_least.is_none() && layers.tier() == Tier::Namespaces => None,
            (_, Err(missing)) => Some(problem(missing)),
            (Some(least), Ok(version)) if *version < least => Some(HostProblem {
                what: format!("its kernel has version {version}"),
                remedy: "use a newer kernel: Linux 6.8 has version 4, 6.12 has version 6".to_owned(),
            }),
            (_, Ok(_)) => layers.seccomp.as_ref().err().map(problem),
        },
        Layer::Seccomp => layers.seccomp.as_ref().err().map(problem),
        Layer::CgroupMemory => no_controller(Controller::Memory, &host.cgroups),
        Layer::CgroupPids => no_controller(Controller::Pids, &host.cgroups),
        Layer::CgroupCpu => no_controller(Controller::Cpu, &host.cgroups),
    }
}

fn problem(missing: &LayerProblem) -> HostProblem {
    HostProblem { what: missing.to_string(), remedy: missing.remedy.to_owned() }
}

fn no_controller(controller: Controller, cgroups: &Cgroups) -> Option<HostProblem> {
    if cgroups.controllers().contains(&controller) {
        return None;
    }
    Some(match cgroups.problem() {
        Some(problem) => HostProblem { what: problem.to_string(), remedy: problem.remedy().to_owned() },
        None => HostProblem {
            what: format!("the controller {controller} is not there"),
            remedy: "enable it in the kernel".to_owned(),
        },
    })
}

/// The keys of the steps of which `is` holds, for a sentence.
fn keys(plan: &Plan, is: impl Fn(&crate::plan::model::PlannedStep) -> bool) -> String {
    let keys: Vec<String> =
        plan.steps.iter().filter(|step| is(step)).map(|step| step.key.to_string()).collect();
    match keys.len() {
        0 => String::new(),
        1 => format!("the step {}", keys[0]),
        _ => format!("the steps {}", keys.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::planned;
    use nix::errno::Errno;
    use std::path::Path;

    fn missing_layer() -> LayerProblem {
        LayerProblem { what: "mount a tmpfs", errno: Errno::EPERM, remedy: "allow it" }
    }

    /// A host without cgroups, with these layers.
    fn host(namespaces: bool, landlock: Option<u32>) -> Host {
        Host {
            layers: HostLayers {
                namespaces: if namespaces { Ok(()) } else { Err(missing_layer()) },
                proc_fresh: true,
                landlock: landlock.ok_or_else(missing_layer),
                seccomp: Ok(()),
                scoped_kill: true,
            },
            cgroups: Cgroups::below(Path::new("/nonexistent")),
        }
    }

    fn of(mode: SandboxMode, allow: &[Allow]) -> Consent {
        Consent { mode, allow: allow.iter().copied().collect() }
    }

    fn requiring(what: &str) -> Plan {
        planned(&format!("sandbox: {{require: {what}}}\nsteps:\n- {{id: a, run: x}}\n- {{id: b, run: x}}"))
    }

    fn said(result: Result<Tier, Failure>) -> String {
        match result {
            Ok(tier) => format!("{tier:?}"),
            Err(Failure::Host(problems)) => problems
                .iter()
                .map(|problem| format!("{} [{}]", problem.what, problem.remedy))
                .collect::<Vec<_>>()
                .join("\n"),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn the_best_tier_that_meets_what_is_required_is_taken() {
        let plain = planned("steps:\n- {id: a, run: x}");
        let required = of(SandboxMode::Required, &[]);
        assert_eq!(said(tier(&plain, &required, &host(true, Some(7)))), "Namespaces");
        assert_eq!(said(tier(&plain, &required, &host(true, None))), "Namespaces");
        assert_eq!(said(tier(&plain, &required, &host(false, Some(1)))), "Landlock");
        insta::assert_snapshot!(said(tier(&plain, &required, &host(false, None))), @"`landlock`, required by the step a, is not to be had here: failed to mount a tmpfs: Operation not permitted (EPERM) [allow it]");
        insta::assert_snapshot!(said(tier(&requiring("namespaces"), &required, &host(false, Some(7)))), @"`namespaces`, required by the steps a, b, is not to be had here: failed to mount a tmpfs: Operation not permitted (EPERM) [allow it]");
        insta::assert_snapshot!(said(tier(&requiring("['landlock>=6', cgroup-memory]"), &required, &host(true, Some(5)))), @"
        `landlock>=6`, required by the steps a, b, is not to be had here: its kernel has version 5 [use a newer kernel: Linux 6.8 has version 4, 6.12 has version 6]
        `cgroup-memory`, required by the steps a, b, is not to be had here: no cgroup file system is mounted [mount cgroup2 at /sys/fs/cgroup where the runner can see it; in a container, give it a cgroup namespace and a writable mount]
        ");
    }

    #[test]
    fn only_what_somebody_chose_goes_below_what_is_required() {
        let plan = requiring("namespaces");
        let at = |consent: &Consent, host: &Host| said(tier(&plan, consent, host));
        assert_eq!(at(&of(SandboxMode::Required, &[Allow::Degraded]), &host(false, Some(7))), "Landlock");
        // To run without any tier is more than to run with a lower one.
        assert!(
            at(&of(SandboxMode::Required, &[Allow::Degraded]), &host(false, None)).contains("not to be had")
        );
        assert_eq!(at(&of(SandboxMode::BestEffort, &[]), &host(false, None)), "None");
        assert_eq!(at(&of(SandboxMode::BestEffort, &[]), &host(true, Some(7))), "Namespaces");
        assert_eq!(at(&of(SandboxMode::Off, &[]), &host(true, Some(7))), "None");
    }

    #[test]
    fn a_manifest_opens_the_network_only_with_consent_and_a_workflow_is_no_person() {
        let plan = planned("steps:\n- {id: a, run: x, sandbox: {network: host}}\n- {id: b, run: x}");
        let said = |mode, allow: &[Allow], in_actions| match consent(&plan, &of(mode, allow), in_actions) {
            Ok(()) => "fine".to_owned(),
            Err(failure) => failure.to_string(),
        };
        insta::assert_snapshot!(said(SandboxMode::Required, &[], false), @"`network: host` of the step a weakens the sandbox, which needs consent");
        assert_eq!(said(SandboxMode::Required, &[Allow::Network], false), "fine");
        assert_eq!(said(SandboxMode::Off, &[], false), "fine");
        for (mode, allow) in [
            (SandboxMode::Required, &[][..]),
            (SandboxMode::Required, &[Allow::Network]),
            (SandboxMode::BestEffort, &[]),
            (SandboxMode::Off, &[]),
        ] {
            assert!(said(mode, allow, true).starts_with("refused by host policy"), "{mode:?} {allow:?}");
        }
    }
}
