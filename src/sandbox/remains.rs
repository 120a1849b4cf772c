//! What a dead executor has left running: which process it was, for good, and ending it.
//!
//! A process id alone is nothing: ids are reused, and another namespace or another boot has its own. Nothing is ended that
//! is not certainly what was written down.

#![expect(unsafe_code, reason = "signals to a process that cannot be mistaken for another one")]

use std::fs;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::sandbox::cgroup::{end_stale, namespace};
use crate::sandbox::processes;

/// Looks for what is below a process that is being ended: it may go on starting others meanwhile.
const ROUNDS: usize = 20;

/// A process, named for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// When it started, in clock ticks since the host booted.
    pub started: u64,
    /// The namespace that the id is of; 0 where it is not known.
    pub namespace: u64,
    /// The boot of the host; empty where it is not known.
    pub boot: String,
}

impl Process {
    /// The process that has this id now.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let started = processes::start_time(pid)?;
        Some(Self { pid, started, namespace: namespace(), boot: boot() })
    }

    /// This process.
    #[must_use]
    pub fn this() -> Self {
        let pid = std::process::id().cast_signed();
        Self::of(pid).unwrap_or(Self { pid, started: 0, namespace: 0, boot: String::new() })
    }

    /// Whether ids of this process mean what they meant to whoever wrote this down.
    #[must_use]
    pub fn is_of_here(&self) -> bool {
        !self.boot.is_empty() && self.boot == boot() && self.namespace != 0 && self.namespace == namespace()
    }

    /// Whether it still runs, as far as that can be seen from here.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.is_of_here() && self.pid > 1 && processes::is_running(self.pid, self.started)
    }
}

/// Ends what is left of a helper whose executor is dead: the group, where there is one, else the process and everything
/// below it. Returns whether there was anything.
#[must_use]
pub fn end(helper: &Process, group: Option<&Path>) -> bool {
    let ended_group = helper.is_of_here() && group.is_some_and(end_stale);
    end_tree(helper) || ended_group
}

/// Kills the process and everything below it.
fn end_tree(process: &Process) -> bool {
    // With the descriptor the id cannot become another process's between the look and the signal.
    let Some(top) = open(process.pid).filter(|_| process.is_running()) else { return false };
    for _ in 0..ROUNDS {
        let below = processes::below(process.pid);
        if below.is_empty() {
            break;
        }
        for (pid, stat) in below {
            if let Some(one) = open(pid).filter(|_| processes::is_running(pid, stat.started_ticks)) {
                end_one(&one);
            }
        }
    }
    end_one(&top);
    true
}

fn open(pid: i32) -> Option<OwnedFd> {
    // SAFETY: takes two numbers and touches no memory.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let opened = RawFd::try_from(opened).ok().filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Some(unsafe { OwnedFd::from_raw_fd(opened) })
}

fn end_one(process: &OwnedFd) {
    let information = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and a null pointer stands for the usual information.
    let _gone_is_as_good = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), libc::SIGKILL, information, 0)
    };
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_one_of_another_boot_or_time_is_not_touched() {
        let this = Process::this();
        assert!(this.is_running());
        // Each of these would end the test if it were believed.
        for other in [
            Process { boot: "elsewhen".to_owned(), ..this.clone() },
            Process { boot: String::new(), ..this.clone() },
            Process { namespace: this.namespace + 1, ..this.clone() },
            Process { started: this.started + 1, ..this.clone() },
            Process { pid: 1, ..this.clone() },
        ] {
            assert!(!other.is_running() && !end(&other, None), "{other:?}");
        }
    }

    #[test]
    fn a_folder_that_is_no_group_of_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join("rungate-1-2-3-4");
        fs::create_dir(&group).unwrap();
        let gone = Process { started: u64::MAX, ..Process::this() };
        assert!(!end(&gone, Some(&group)) && group.is_dir());
        assert!(!end(&gone, Some(folder.path())) && folder.path().is_dir());
    }
}
