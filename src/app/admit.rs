//! Whether a plan may run as confined as it would be here. Decided before anything starts, from what the plan asks, what
//! the host has and what somebody consents to.
//!
//! The manifest comes from the repository under test: what it requires holds, but what it loosens needs the consent of
//! the person who calls, or of the host's policy. Under Actions the caller is a workflow, and so no person; and where a
//! policy holds it alone consents, because a job could pass for a person.

use std::collections::BTreeSet;

use nix::sys::resource::{Resource, getrlimit};

use crate::app::failure::{self, Failure};
use crate::manifest::model::{Layer, Network, Requirement};
use crate::plan::make::HostProblem;
use crate::plan::model::Plan;
use crate::policy::bounds::Bounds;
use crate::policy::model::Mode;
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

/// Who can consent to what loosens the sandbox.
#[derive(Clone, Copy, Debug)]
pub enum Power<'a> {
    /// The person who calls.
    Person,
    /// Nobody: a workflow calls, and the host has no policy.
    Nobody,
    /// The host's policies.
    Policy(&'a Bounds),
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
pub fn consent(plan: &Plan, consent: &Consent, power: Power<'_>) -> Result<(), Failure> {
    let hosts = keys(plan, |step| step.sandbox.network == Network::Host);
    let what = || format!("`network: host` of {hosts} weakens the sandbox");
    match power {
        Power::Policy(bounds) => {
            choice(consent, bounds).map_err(Failure::Policy)?;
            match bounds.against_network() {
                Some(place) if !hosts.is_empty() => {
                    Err(Failure::Policy(format!("{place}: {}, and the policy does not allow it", what())))
                }
                _ => Ok(()),
            }
        }
        Power::Nobody => match chosen(consent) {
            Some(chosen) => Err(Failure::Policy(format!(
                "{chosen} is refused under GitHub Actions without a host policy that allows it"
            ))),
            None if hosts.is_empty() => Ok(()),
            None => Err(Failure::Policy(format!(
                "{}, and without a host policy that is refused under GitHub Actions",
                what()
            ))),
        },
        Power::Person if hosts.is_empty() || consent.mode == SandboxMode::Off => Ok(()),
        Power::Person if consent.allow.contains(&Allow::Network) => Ok(()),
        Power::Person => Err(Failure::Consent { what: what(), allow: "network" }),
    }
}

/// What was typed that weakens the sandbox.
fn chosen(consent: &Consent) -> Option<&'static str> {
    match consent.mode {
        SandboxMode::Off => Some("--sandbox off"),
        SandboxMode::BestEffort => Some("--sandbox best-effort"),
        SandboxMode::Required if !consent.allow.is_empty() => Some("--allow"),
        SandboxMode::Required => None,
    }
}

/// Whether the policies let a caller choose so weak a sandbox. To allow the network by hand adds nothing to what they
/// say, and takes nothing away.
fn choice(consent: &Consent, bounds: &Bounds) -> Result<(), String> {
    let (mode, typed) = match consent.mode {
        SandboxMode::Off => (Mode::Off, "--sandbox off"),
        SandboxMode::BestEffort => (Mode::BestEffort, "--sandbox best-effort"),
        SandboxMode::Required if consent.allow.contains(&Allow::Degraded) => {
            (Mode::BestEffort, "--allow degraded")
        }
        SandboxMode::Required => (Mode::Required, ""),
    };
    if let Some(place) = bounds.against_mode(mode) {
        return Err(format!("{place}: {typed} is weaker than the policy allows"));
    }
    match bounds.require().first() {
        Some(required) if mode == Mode::Off => {
            Err(format!("{}: {typed} drops `{}`, which the policy requires", required.at, required.value))
        }
        _ => Ok(()),
    }
}

/// The tier that `plan` runs in on `host`.
///
/// # Errors
/// Names every layer that is required and not there.
pub fn tier(plan: &Plan, consent: &Consent, power: Power<'_>, host: &Host) -> Result<Tier, Failure> {
    let best = host.layers.tier();
    let may_lack = match consent.mode {
        SandboxMode::Off => return Ok(Tier::None),
        SandboxMode::BestEffort => true,
        // Somebody allowed less than what is required, and not nothing at all.
        SandboxMode::Required => consent.allow.contains(&Allow::Degraded) && best != Tier::None,
    };
    let problems = match (may_lack, power) {
        (false, _) => missing(plan, host),
        // What the administrator requires is not a caller's to give up.
        (true, Power::Policy(bounds)) => lacking(bounds, host),
        (true, Power::Person | Power::Nobody) => Vec::new(),
    };
    if problems.is_empty() { Ok(best) } else { Err(Failure::Host(problems)) }
}

/// Everything that the policies require and the host does not have.
pub(super) fn lacking(bounds: &Bounds, host: &Host) -> Vec<HostProblem> {
    let required = bounds.require();
    let lacking = required.into_iter().filter_map(|required| {
        let lack = lack(required.value, host)?;
        let what = format!(
            "`{}`, required by {}, is not to be had here: {}",
            required.value, required.at, lack.what
        );
        Some(HostProblem { what, remedy: lack.remedy })
    });
    lacking.collect()
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

/// Open files that this process needs for itself, with some to spare.
const OWN_FILES: u64 = 56;

/// Open files that a running step needs.
const FILES_OF_STEP: u64 = 12;

/// How many steps this process can have open files for. With fewer than for one, nothing can begin; that a step fails
/// midway because of its siblings is out of the question.
pub(super) fn steps_at_once() -> Result<usize, Failure> {
    let (limit, _hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| {
        failure::host(format!("the limit on open files cannot be read: {error}"), "use Linux 2.6.36 or newer")
    })?;
    match limit.saturating_sub(OWN_FILES) / FILES_OF_STEP {
        0 => Err(failure::host(
            format!("this process may open only {limit} files"),
            format!("raise the limit (`ulimit -n`) to {} or more", OWN_FILES + FILES_OF_STEP),
        )),
        steps => Ok(usize::try_from(steps).unwrap_or(usize::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::planned;
    use crate::policy::decide::decide;
    use crate::policy::model::{Asked, Facts, Verb};
    use crate::policy::read::{self as policy, Standing};
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
        assert_eq!(said(tier(&plain, &required, Power::Person, &host(true, Some(7)))), "Namespaces");
        assert_eq!(said(tier(&plain, &required, Power::Person, &host(true, None))), "Namespaces");
        assert_eq!(said(tier(&plain, &required, Power::Person, &host(false, Some(1)))), "Landlock");
        insta::assert_snapshot!(said(tier(&plain, &required, Power::Person, &host(false, None))), @"`landlock`, required by the step a, is not to be had here: failed to mount a tmpfs: Operation not permitted (EPERM) [allow it]");
        insta::assert_snapshot!(said(tier(&requiring("namespaces"), &required, Power::Person, &host(false, Some(7)))), @"`namespaces`, required by the steps a, b, is not to be had here: failed to mount a tmpfs: Operation not permitted (EPERM) [allow it]");
        insta::assert_snapshot!(said(tier(&requiring("['landlock>=6', cgroup-memory]"), &required, Power::Person, &host(true, Some(5)))), @"
        `landlock>=6`, required by the steps a, b, is not to be had here: its kernel has version 5 [use a newer kernel: Linux 6.8 has version 4, 6.12 has version 6]
        `cgroup-memory`, required by the steps a, b, is not to be had here: no cgroup file system is mounted [mount cgroup2 at /sys/fs/cgroup where the runner can see it; in a container, give it a cgroup namespace and a writable mount]
        ");
    }

    #[test]
    fn only_what_somebody_chose_goes_below_what_is_required() {
        let plan = requiring("namespaces");
        let at = |consent: &Consent, host: &Host| said(tier(&plan, consent, Power::Person, host));
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
        let said = |mode, allow: &[Allow], power| match consent(&plan, &of(mode, allow), power) {
            Ok(()) => "fine".to_owned(),
            Err(failure) => failure.to_string(),
        };
        insta::assert_snapshot!(said(SandboxMode::Required, &[], Power::Person), @"`network: host` of the step a weakens the sandbox, which needs consent");
        assert_eq!(said(SandboxMode::Required, &[Allow::Network], Power::Person), "fine");
        assert_eq!(said(SandboxMode::Off, &[], Power::Person), "fine");
        for (mode, allow) in [
            (SandboxMode::Required, &[][..]),
            (SandboxMode::Required, &[Allow::Network]),
            (SandboxMode::BestEffort, &[]),
            (SandboxMode::Off, &[]),
        ] {
            assert!(
                said(mode, allow, Power::Nobody).starts_with("refused by host policy"),
                "{mode:?} {allow:?}"
            );
        }
    }

    /// The bounds of a policy that says this at its top.
    fn bounds(text: &str) -> Bounds {
        let text = format!("version: 1\ndefault: allow\n{text}");
        let parsed = policy::policy("policy.yml", text.as_bytes(), Standing::Host).unwrap();
        decide(&[parsed.policy], &Asked::plain(Verb::Run), &Facts::default()).bounds
    }

    #[test]
    fn where_a_policy_holds_it_alone_consents() {
        let network = planned("steps:\n- {id: a, run: x, sandbox: {network: host}}");
        let plain = planned("steps:\n- {id: a, run: x}");
        let said = |plan: &Plan, bounds: &Bounds, mode, allow: &[Allow]| {
            consent(plan, &of(mode, allow), Power::Policy(bounds)).map_err(|failure| failure.to_string())
        };
        let (strict, open) = (bounds(""), bounds("sandbox: {network: host, mode: best-effort}"));
        let off = bounds("sandbox: {mode: off}");
        // A person's word adds nothing, because a job could pass for a person.
        let refused = said(&network, &strict, SandboxMode::Required, &[Allow::Network]).unwrap_err();
        insta::assert_snapshot!(refused, @"refused by host policy: policy.yml:2: `network: host` of the step a weakens the sandbox, and the policy does not allow it");
        assert_eq!(said(&network, &open, SandboxMode::Required, &[]), Ok(()));
        for (bounds, mode, allow, fine) in [
            (&strict, SandboxMode::Required, &[][..], true),
            (&strict, SandboxMode::Required, &[Allow::Network], true),
            (&strict, SandboxMode::Required, &[Allow::Degraded], false),
            (&strict, SandboxMode::BestEffort, &[], false),
            (&strict, SandboxMode::Off, &[], false),
            (&open, SandboxMode::BestEffort, &[], true),
            (&open, SandboxMode::Required, &[Allow::Degraded], true),
            (&open, SandboxMode::Off, &[], false),
            (&off, SandboxMode::Off, &[], true),
        ] {
            assert_eq!(said(&plain, bounds, mode, allow).is_ok(), fine, "{mode:?} {allow:?}");
        }
    }

    #[test]
    fn what_a_policy_requires_holds_whatever_is_chosen() {
        let plan = planned("steps:\n- {id: a, run: x}");
        let floor = bounds("sandbox: {require: namespaces, mode: best-effort}");
        let at = |mode, host: &Host| said(tier(&plan, &of(mode, &[]), Power::Policy(&floor), host));
        assert_eq!(at(SandboxMode::BestEffort, &host(true, None)), "Namespaces");
        insta::assert_snapshot!(at(SandboxMode::BestEffort, &host(false, Some(7))), @"`namespaces`, required by policy.yml:3, is not to be had here: failed to mount a tmpfs: Operation not permitted (EPERM) [allow it]");
        let open = bounds("sandbox: {mode: best-effort}");
        let at =
            |host: &Host| said(tier(&plan, &of(SandboxMode::BestEffort, &[]), Power::Policy(&open), host));
        assert_eq!(at(&host(false, None)), "None");
    }
}
