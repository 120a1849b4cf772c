//! What the helper says back: frames of nine bytes on a pipe, each written whole.

use std::fmt;

use nix::errno::Errno;

/// Length of a frame. Below `PIPE_BUF`, so that the kernel never splits one.
pub const FRAME: usize = 9;

/// A step of the helper's work that can fail before the payload runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Reading the spec.
    ReadSpec,
    /// Understanding the spec.
    DecodeSpec,
    /// Becoming the leader of a session.
    NewSession,
    /// Becoming the reaper of orphans.
    Subreaper,
    /// Setting up signals.
    Signals,
    /// Creating the payload's process.
    Fork,
    /// Entering the working directory.
    ChangeDirectory,
    /// Setting a resource limit.
    Limit,
    /// Starting the program.
    Execute,
}

impl Call {
    const ALL: [Self; 9] = [
        Self::ReadSpec,
        Self::DecodeSpec,
        Self::NewSession,
        Self::Subreaper,
        Self::Signals,
        Self::Fork,
        Self::ChangeDirectory,
        Self::Limit,
        Self::Execute,
    ];

    const fn code(self) -> u8 {
        self as u8
    }

    fn from_code(code: i32) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// What was being done, to follow "failed to".
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::ReadSpec => "read the launch spec",
            Self::DecodeSpec => "understand the launch spec",
            Self::NewSession => "start a new session",
            Self::Subreaper => "become the reaper of orphaned processes",
            Self::Signals => "set up signals",
            Self::Fork => "create a process",
            Self::ChangeDirectory => "enter the working directory",
            Self::Limit => "set a resource limit",
            Self::Execute => "start the program",
        }
    }

    /// What a person can do about it, when something is known to help.
    #[must_use]
    pub const fn remedy(self, errno: Errno) -> Option<&'static str> {
        match (self, errno) {
            (Self::Execute, Errno::ENOENT) => Some(
                "the interpreter, or the loader that it names, does not exist: reinstall it or correct PATH",
            ),
            (Self::Execute, Errno::EACCES) => {
                Some("the interpreter is not executable for this user, or its file system is mounted noexec")
            }
            (Self::Execute, Errno::E2BIG) => {
                Some("arguments and environment are too large for the kernel: pass the value in a file")
            }
            (Self::Execute, Errno::ENOEXEC) => Some("the interpreter is not a program for this machine"),
            (Self::ChangeDirectory, Errno::ENOENT) => {
                Some("the working directory does not exist any more: did an earlier step remove it?")
            }
            (Self::ChangeDirectory, Errno::EACCES) => {
                Some("the working directory cannot be entered by this user: check its permissions")
            }
            (Self::Fork, Errno::EAGAIN) => {
                Some("the user or the host has no process left: raise `ulimit -u` or the unit's TasksMax")
            }
            (Self::Fork, Errno::ENOMEM) => Some("the host is out of memory"),
            _ => None,
        }
    }
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The payload could not be started.
    Failed {
        /// What failed.
        call: Call,
        /// Why.
        errno: Errno,
    },
    /// The payload runs.
    Started {
        /// Its process id.
        pid: i32,
    },
    /// The payload ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// The payload was ended by a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// Nothing below the helper is alive any more.
    Swept {
        /// Processes that had outlived the payload and were killed.
        killed: i32,
    },
}

impl Status {
    /// The frame.
    #[must_use]
    pub const fn encode(self) -> [u8; FRAME] {
        let (kind, first, second) = match self {
            Self::Failed { call, errno } => (1, call.code() as i32, errno as i32),
            Self::Started { pid } => (2, pid, 0),
            Self::Exited { code } => (3, code, 0),
            Self::Signaled { signal } => (4, signal, 0),
            Self::Swept { killed } => (5, killed, 0),
        };
        let (a, b) = (first.to_le_bytes(), second.to_le_bytes());
        [kind, a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]
    }

    /// Reads a frame back; nothing when it is not one.
    #[must_use]
    pub fn decode(frame: &[u8; FRAME]) -> Option<Self> {
        let [kind, a @ .., b0, b1, b2, b3] = *frame;
        let (first, second) = (i32::from_le_bytes(a), i32::from_le_bytes([b0, b1, b2, b3]));
        match kind {
            1 => Some(Self::Failed { call: Call::from_code(first)?, errno: Errno::from_raw(second) }),
            2 => Some(Self::Started { pid: first }),
            3 => Some(Self::Exited { code: first }),
            4 => Some(Self::Signaled { signal: first }),
            5 => Some(Self::Swept { killed: first }),
            _ => None,
        }
    }
}

/// The payload could not be started: a failure of the set-up, never of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SetupError {
    /// What failed.
    pub call: Call,
    /// Why.
    pub errno: Errno,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}: {} ({:?})", self.call.what(), self.errno.desc(), self.errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_call_survives_the_pipe() {
        for call in Call::ALL {
            let status = Status::Failed { call, errno: Errno::EPERM };
            assert_eq!(Status::decode(&status.encode()), Some(status));
        }
    }

    proptest! {
        #[test]
        fn frames_come_back_as_they_went(number in any::<i32>()) {
            for status in [
                Status::Started { pid: number },
                Status::Exited { code: number },
                Status::Signaled { signal: number },
                Status::Swept { killed: number },
            ] {
                prop_assert_eq!(Status::decode(&status.encode()), Some(status));
            }
        }

        #[test]
        fn no_frame_makes_the_reader_panic(frame in any::<[u8; FRAME]>()) {
            let _ = Status::decode(&frame);
        }
    }
}
