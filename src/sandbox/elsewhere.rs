//! Having a new process run beside its parent and not instead of it.
//!
//! The kernel often leaves a new process on its parent's processor, though another one has nothing to do, or soon will have: then
//! either of the two waits for the other, and nobody takes one of them away. It must not know what they do.

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// The processors that a parent and its new process have.
pub(crate) struct Elsewhere {
    parent: usize,
    all: CpuSet,
}

impl Elsewhere {
    /// Looks where this process is, which is to be a parent. Nothing where that cannot be said: then all stay where the kernel
    /// leaves them.
    pub(crate) fn than_here() -> Option<Self> {
        let all = sched_getaffinity(Pid::from_raw(0)).ok()?;
        Some(Self { parent: sched_getcpu().ok()?, all })
    }

    /// Whether the new process, which calls this, is where its parent was, and would run instead of it.
    pub(crate) fn is_with_parent(&self) -> bool {
        sched_getcpu() == Ok(self.parent)
    }

    /// Sends the new process off this processor, for the parent to call when the others have nothing better to do. The kernel
    /// refuses it where there is no other.
    pub(crate) fn send(&self, process: Pid) {
        let mut others = self.all;
        if sched_getcpu().is_ok_and(|here| others.unset(here).is_ok()) {
            let _ = sched_setaffinity(process, &others);
        }
    }

    /// Lets the new process run everywhere again, for itself to call when it has heard from its parent since.
    pub(crate) fn everywhere(&self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.all);
    }
}
