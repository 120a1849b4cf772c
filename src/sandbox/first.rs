//! The first process of a payload's namespaces as its helper sees it: created, told what to do, given orders, ended. It must
//! not know what that process does.

#![expect(unsafe_code, reason = "a process ends without clean-up")]

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sandbox::clone::{self, Side};
use crate::sandbox::host;
use crate::sandbox::init::Order;
use crate::sandbox::line;
use crate::sandbox::namespaces::{NOT_STARTED, first_process, put};
use crate::sandbox::spec::{IdKind, Ids};
use crate::sandbox::status::{Call, SetupError};
use crate::sandbox::world::PAYLOAD;

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// The first process, as its helper sees it.
pub(crate) struct First {
    pid: Pid,
    line: OwnedFd,
}

/// How a first process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// After it had said how the payload did, and that nothing is left.
    Told,
    /// After it had said why there is no payload.
    NotStarted,
    /// By somebody's hand.
    Killed,
}

impl First {
    /// Creates it, before it is known what it will start: the executor tells it that by `direct`, and then it speaks for itself
    /// on `status`.
    pub(crate) fn start(status: &File, control: &OwnedFd, direct: OwnedFd) -> Result<Self, SetupError> {
        let ids = host::ids().ok_or(SetupError::new(Call::IdMap, Errno::EPERM))?;
        let (line, end) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map_err(failed(Call::Fork))?;
        let flags = libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS;
        let pid = match clone::process(flags, None).map_err(failed(Call::Namespaces))? {
            Side::Parent(pid) => pid,
            Side::Child(_) => {
                drop(line);
                let code = first_process(ids, status, control, &end, direct);
                // SAFETY: ends the process without running the parent's clean-up, which is not this child's to run.
                unsafe { libc::_exit(code) }
            }
        };
        let first = Self { pid, line };
        match ids.kind {
            IdKind::Own => Ok(first),
            // Only who has root's rights outside may map root, so this cannot be left to the child.
            IdKind::Dedicated => match first.map(ids) {
                Ok(()) => Ok(first),
                Err(errno) => {
                    first.end();
                    Err(SetupError::new(Call::IdMap, errno))
                }
            },
        }
    }

    /// Ends it for somebody who does not need it, and waits for that.
    pub(crate) fn end(self) {
        self.kill();
        let _ = waitpid(self.pid, None);
    }

    fn map(&self, ids: Ids) -> Result<(), Errno> {
        for (file, id) in [("uid_map", ids.user), ("gid_map", ids.group)] {
            put(&format!("/proc/{}/{file}", self.pid), &format!("0 0 1\n{PAYLOAD} {id} 1\n"))?;
        }
        line::say(&self.line, line::MAPPED)
    }

    /// Hands an order on. One that does not arrive is no error: the end is on its way to us then.
    pub(crate) fn order(&self, order: Order) {
        let _ = send(self.line.as_raw_fd(), &[order.byte()], MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
    }

    /// Its process id.
    pub(crate) const fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Ends it, and everything in its namespaces.
    pub(crate) fn kill(&self) {
        let _ = kill(self.pid, Signal::SIGKILL);
    }

    /// How it has ended, when it has. Everything in its namespaces is gone then.
    pub(crate) fn ended(&self, flags: WaitPidFlag) -> Option<Ended> {
        match waitpid(self.pid, Some(flags)) {
            Ok(WaitStatus::Exited(_, 0)) => Some(Ended::Told),
            Ok(WaitStatus::Exited(_, NOT_STARTED)) => Some(Ended::NotStarted),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => Some(Ended::Killed),
            Ok(_) | Err(Errno::EINTR) => None,
            Err(_) => Some(Ended::Killed),
        }
    }
}
