//! A payload on its way: the process is there, and says when the program runs in it or why it does not.

#![expect(unsafe_code, reason = "a process ends without clean-up")]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use crate::sandbox::clone::{self, Side};
use crate::sandbox::payload::{self, Landlocked};
use crate::sandbox::privileges;
use crate::sandbox::spec::{Confined, Spec};
use crate::sandbox::status::{Call, SetupError, Status, read_failure};

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// A payload that is on its way.
pub(crate) struct Launched {
    pid: Pid,
    report: OwnedFd,
}

impl Launched {
    /// Starts the payload below this process, in `group` when there is one.
    pub(crate) fn start(
        spec: &Spec,
        landlocked: &Landlocked,
        group: Option<BorrowedFd<'_>>,
    ) -> Result<Self, SetupError> {
        let (report, report_end) = pipe2(OFlag::O_CLOEXEC).map_err(failed(Call::Fork))?;
        match clone::process(0, group).map_err(failed(Call::Fork))? {
            Side::Child(joined) => {
                drop(report);
                let joined = joined.map_err(failed(Call::Group)).and_then(|()| leave_privileges(spec));
                let code = match joined.and_then(|()| payload::run(spec, landlocked)) {
                    Ok(()) => 0,
                    Err(error) => {
                        let _ = File::from(report_end).write_all(&Status::Failed(error).encode());
                        127
                    }
                };
                // SAFETY: ends the process without running the parent's clean-up, which is not this child's to run.
                unsafe { libc::_exit(code) }
            }
            Side::Parent(pid) => {
                drop(report_end);
                Ok(Self { pid, report })
            }
        }
    }

    /// Returns when it runs.
    pub(crate) fn wait(self) -> Result<Pid, SetupError> {
        match read_failure(self.report) {
            Some(error) => {
                let _ = waitpid(self.pid, None);
                Err(error)
            }
            // The pipe closed without a word: the program runs.
            None => Ok(self.pid),
        }
    }
}

/// Makes a child of the first process what its parent becomes at the same time. It is in its control group by now, so that
/// this is what it takes for the root of all groups.
fn leave_privileges(spec: &Spec) -> Result<(), SetupError> {
    match &spec.confined {
        Some(Confined { world: Some(world), .. }) => {
            unshare(CloneFlags::CLONE_NEWCGROUP).map_err(failed(Call::Namespaces))?;
            privileges::become_payload(world.ids.kind)
        }
        _ => Ok(()),
    }
}
