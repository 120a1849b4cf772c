//! What holds a child to its limits beside the kernel's own: a control group, and a watchdog for what no group limits.

use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::statvfs::fstatvfs;
use tokio::time::Instant;

use crate::clock::readable;
use crate::manifest::fields::bytes;
use crate::sandbox::cgroup::{CgroupError, Cgroups, Group, GroupLimits};
use crate::sandbox::confinement::{Confinement, KernelLimits, Tier};
use crate::sandbox::space::Space;
use crate::sandbox::usage::{self, Exceeded, PERIOD, Watchdog};

/// Keeps one child within its limits.
#[derive(Debug)]
pub(super) struct Warden {
    limits: Option<KernelLimits>,
    watchdog: Watchdog,
    group: Option<Group>,
    next: Instant,
    /// Private folders on the host, and when they are looked at next.
    space: Option<(Space, Instant)>,
    /// Most processes and threads that were seen.
    most: u32,
}

/// Looking at folders takes at most one part in so many of the time.
const SPARE: u32 = 20;

impl Warden {
    /// For a child that is confined so; one that is not has no limits. `private` is where its private folders lie on the
    /// host, if they do.
    ///
    /// # Errors
    /// Fails when a limit that the host can enforce cannot be set.
    pub(super) fn of(
        confinement: Option<&Confinement>,
        cgroups: Option<&Cgroups>,
        private: Option<&Path>,
    ) -> Result<Self, CgroupError> {
        let next = Instant::now() + PERIOD;
        let (Some(confinement), Some(cgroups)) = (confinement, cgroups) else {
            let watchdog = Watchdog::default();
            return Ok(Self { limits: None, watchdog, group: None, next, space: None, most: 0 });
        };
        let limits = confinement.limits;
        let group =
            cgroups.create(GroupLimits { memory: Some(limits.memory), processes: Some(limits.processes) })?;
        let held = group.as_ref().map(Group::limits).unwrap_or_default();
        let watchdog = Watchdog {
            memory: held.memory.is_none().then_some(limits.memory),
            // In a namespace of its own the kernel counts the child's processes by themselves.
            processes: (held.processes.is_none() && confinement.tier == Tier::Landlock)
                .then_some(limits.processes),
        };
        let space = private
            .map(|root| (Space { root: root.to_owned(), bytes: limits.scratch, files: limits.inodes }, next));
        Ok(Self { limits: Some(limits), watchdog, group, next, space, most: 0 })
    }

    /// The group that the child belongs in.
    pub(super) const fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// When the next look is due; never where the kernel watches everything.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.watchdog != Watchdog::default() || self.space.is_some()).then_some(self.next)
    }

    /// Looks at what is below `helper`, when that is due. Says which limit is exceeded.
    pub(super) fn look(&mut self, helper: i32) -> Option<String> {
        let now = Instant::now();
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let usage = usage::below(helper);
        self.most = self.most.max(usage.processes);
        let exceeded = self.watchdog.exceeded(helper, usage).or_else(|| self.look_at_space(helper));
        // Counted from the end of the look, which takes its time on a host with many processes.
        self.next = Instant::now() + PERIOD;
        exceeded.map(|exceeded| exceeded.to_string())
    }

    fn look_at_space(&mut self, helper: i32) -> Option<Exceeded> {
        let (space, next) = self.space.as_mut()?;
        let start = Instant::now();
        if start < *next {
            return None;
        }
        let exceeded = space.look(helper);
        *next = Instant::now() + start.elapsed() * SPARE;
        exceeded
    }

    /// Says that a process of the child was ended because it had computed for long enough.
    pub(super) fn cpu_time_is_up(&self) -> String {
        match self.limits {
            Some(limits) => format!("CPU time limit of {} exceeded (SIGXCPU)", readable(limits.cpu)),
            None => "ended by SIGXCPU".to_owned(),
        }
    }

    /// What the kernel's own limits did to a child that failed and is dead. `private` is a folder in its private space,
    /// `largest` the most memory that one of its processes had, in KiB.
    pub(super) fn post_mortem(&self, private: Option<&impl AsFd>, largest: i32) -> Option<String> {
        let limits = self.limits?;
        let events = self.group.as_ref().map(Group::events).unwrap_or_default();
        if events.oom_kills > 0 {
            return Some(format!("memory limit of {} exceeded (cgroup)", bytes(limits.memory)));
        }
        if events.processes_refused > 0 {
            return Some(format!("limit of {} processes reached (cgroup)", limits.processes));
        }
        if self.most >= limits.processes {
            return Some(format!("limit of {} processes reached", limits.processes));
        }
        if let Some(space) = private.and_then(|private| fstatvfs(private.as_fd()).ok()) {
            if space.blocks() > 0 && space.blocks_available() == 0 {
                return Some(format!("its private space of {} is full", bytes(limits.scratch)));
            }
            if space.files() > 0 && space.files_available() == 0 {
                return Some(format!("its private space holds no more than {} files", limits.inodes));
            }
        }
        // A process that is refused memory ends in its own way. How near it came is all that the kernel tells.
        let largest = u64::try_from(largest).unwrap_or(0) << 10;
        (largest >= limits.memory / 4 * 3).then(|| {
            format!("one of its processes came close to the memory limit of {}", bytes(limits.memory))
        })
    }
}
