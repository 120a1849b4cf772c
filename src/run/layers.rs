//! Which layers hold a step, in the record's words. What was not active is named, always.

use std::collections::BTreeMap;

use nix::unistd::geteuid;

use crate::manifest::model::Network;
use crate::plan::model::SandboxPlan;
use crate::record::SandboxReport;
use crate::run::confine::{Confined, Ground};
use crate::sandbox::cgroup::Controller;
use crate::sandbox::confinement::Tier;
use crate::sandbox::host::outer_user;
use crate::sandbox::landlock::{SCOPES, TCP};

/// The namespaces that a step of that tier has of its own. The network is another matter.
const NAMESPACES: [&str; 6] = ["user", "mount", "pid", "ipc", "uts", "cgroup"];

/// What holds a step whose sandbox is to be `plan`, on `ground`.
pub(super) fn report(plan: &SandboxPlan, ground: &Ground) -> SandboxReport {
    match ground {
        Ground::Open => open(plan),
        Ground::Confined(ground) => confined(plan, ground),
    }
}

/// Nothing.
fn open(plan: &SandboxPlan) -> SandboxReport {
    let mut degraded = vec![
        "no layer confines the script: it has this user's rights".to_owned(),
        "memory, process, CPU and scratch limits".to_owned(),
    ];
    if plan.network == Network::None {
        degraded.push("network: none (the script sees the host's network)".to_owned());
    }
    degraded.push("the workspace is writable and .git can be read".to_owned());
    SandboxReport {
        tier: Tier::None.as_str().to_owned(),
        network: "host".to_owned(),
        outer_uid: Some(geteuid().as_raw()),
        degraded,
        ..SandboxReport::default()
    }
}

fn confined(plan: &SandboxPlan, ground: &Confined) -> SandboxReport {
    let landlock = ground.layers.landlock.as_ref().ok().copied();
    SandboxReport {
        tier: ground.tier.as_str().to_owned(),
        namespaces: namespaces(plan, ground.tier),
        proc: (ground.tier == Tier::Namespaces)
            .then(|| if ground.layers.proc_fresh { "fresh" } else { "bound" }.to_owned()),
        landlock,
        landlock_scopes: landlock.map(|version| scopes(version, plan)).unwrap_or_default(),
        seccomp: true,
        no_new_privs: true,
        network: match plan.network {
            Network::None => "none".to_owned(),
            Network::Host => "host".to_owned(),
        },
        cgroup: ground.cgroups.controllers().iter().map(ToString::to_string).collect(),
        limits_enforced_by: limits(ground),
        outer_uid: Some(match ground.tier {
            Tier::Namespaces => outer_user(),
            Tier::Landlock | Tier::None => geteuid().as_raw(),
        }),
        degraded: degraded(plan, ground),
    }
}

fn namespaces(plan: &SandboxPlan, tier: Tier) -> Vec<String> {
    if tier != Tier::Namespaces {
        return Vec::new();
    }
    let net = (plan.network == Network::None).then_some("net");
    NAMESPACES.into_iter().chain(net).map(str::to_owned).collect()
}

/// What Landlock keeps inside beside files.
fn scopes(version: u32, plan: &SandboxPlan) -> Vec<String> {
    let mut scopes = Vec::new();
    if version >= SCOPES {
        scopes.extend(["signal", "abstract-unix-socket"]);
    }
    if version >= TCP && !plan.ports.is_empty() {
        scopes.push("tcp");
    }
    scopes.into_iter().map(str::to_owned).collect()
}

/// Each limit and what enforces it.
fn limits(ground: &Confined) -> BTreeMap<String, String> {
    let by_cgroup = |controller| ground.cgroups.controllers().contains(&controller);
    let apart = ground.tier == Tier::Namespaces;
    let memory = if by_cgroup(Controller::Memory) { "cgroup" } else { "rlimit, watchdog" };
    let processes = match (by_cgroup(Controller::Pids), apart) {
        (true, _) => "cgroup",
        (false, true) => "rlimit",
        (false, false) => "watchdog",
    };
    let scratch = if apart { "tmpfs" } else { "watchdog" };
    [("memory", memory), ("processes", processes), ("cpu", "rlimit"), ("scratch", scratch)]
        .into_iter()
        .map(|(limit, by)| (limit.to_owned(), by.to_owned()))
        .collect()
}

/// What was asked for, or belongs to a sandbox, and is not there.
fn degraded(plan: &SandboxPlan, ground: &Confined) -> Vec<String> {
    let layers = &ground.layers;
    let mut missing = Vec::new();
    if let (Tier::Landlock, Err(problem)) = (ground.tier, &layers.namespaces) {
        missing.push(format!("namespaces ({problem}): processes of the host are visible"));
    }
    if ground.tier == Tier::Namespaces && !layers.proc_fresh {
        missing.push("a fresh /proc: the host's is bound, so that its process ids are visible".to_owned());
    }
    match &layers.landlock {
        Err(problem) => missing.push(format!("landlock ({problem})")),
        Ok(version) if *version < SCOPES && ground.tier == Tier::Landlock => missing.push(format!(
            "signals and abstract Unix sockets (Landlock version {version} does not know them)"
        )),
        Ok(version) if *version < TCP && !plan.ports.is_empty() => {
            missing.push(format!("ports (Landlock version {version} does not know them)"));
        }
        Ok(_) => {}
    }
    if ground.tier == Tier::Landlock {
        missing
            .push("scratch: private folders lie on the host's disk, and a watchdog samples them".to_owned());
    }
    if let Some(problem) = ground.cgroups.problem() {
        missing.push(format!("cgroup limits ({problem}): a watchdog samples instead"));
    }
    missing
}
