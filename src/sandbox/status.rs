//! What the helper and the processes below it say back: frames of one length on a pipe, each written whole, so that
//! several processes may write to it.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use nix::errno::Errno;

/// Length of a frame. Below `PIPE_BUF`, so that the kernel never splits one.
pub const FRAME: usize = 190;

/// Room for a path in a frame, behind its kind, its two numbers and the path's length.
const PATH: usize = FRAME - 10;

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
    /// Creating the first process of new namespaces.
    Namespaces,
    /// Saying which users the namespace has.
    IdMap,
    /// Mounting a file system in memory.
    Tmpfs,
    /// Mounting procfs.
    Proc,
    /// Opening something of the host that the payload is to see.
    Source,
    /// Mapping the owner of a folder of the host to the payload's user.
    MapOwner,
    /// Attaching a mount.
    Mount,
    /// Writing what the payload finds in its own folders.
    PrivateFiles,
    /// Changing to the new root.
    Root,
    /// Bringing the loopback interface up.
    Loopback,
    /// Naming the host.
    HostName,
    /// Giving up capabilities.
    Capabilities,
    /// Becoming the payload's user.
    Identity,
    /// Giving up the means to gain rights by executing something.
    NoNewPrivileges,
    /// Opening a path for Landlock.
    LandlockPath,
    /// Restricting the payload with Landlock.
    Landlock,
    /// Trying to open what must be out of reach.
    Tripwire,
    /// Installing the system call filter.
    Filter,
    /// Entering the control group.
    Group,
    /// Starting the helper.
    Helper,
}

impl Call {
    const ALL: [Self; 29] = [
        Self::ReadSpec,
        Self::DecodeSpec,
        Self::NewSession,
        Self::Subreaper,
        Self::Signals,
        Self::Fork,
        Self::ChangeDirectory,
        Self::Limit,
        Self::Execute,
        Self::Namespaces,
        Self::IdMap,
        Self::Tmpfs,
        Self::Proc,
        Self::Source,
        Self::MapOwner,
        Self::Mount,
        Self::PrivateFiles,
        Self::Root,
        Self::Loopback,
        Self::HostName,
        Self::Capabilities,
        Self::Identity,
        Self::NoNewPrivileges,
        Self::LandlockPath,
        Self::Landlock,
        Self::Tripwire,
        Self::Filter,
        Self::Group,
        Self::Helper,
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
            Self::Namespaces => "create namespaces",
            Self::IdMap => "map users into a namespace",
            Self::Tmpfs => "mount a tmpfs",
            Self::Proc => "mount procfs",
            Self::Source => "open",
            Self::MapOwner => "map the owner of",
            Self::Mount => "mount",
            Self::PrivateFiles => "write the private file",
            Self::Root => "change the root",
            Self::Loopback => "bring up the loopback interface",
            Self::HostName => "set the host name",
            Self::Capabilities => "drop capabilities",
            Self::Identity => "become the payload's user",
            Self::NoNewPrivileges => "set no_new_privs",
            Self::LandlockPath => "open for Landlock",
            Self::Landlock => "restrict with Landlock",
            Self::Tripwire => "see that the sandbox holds: it could open",
            Self::Filter => "install the system call filter",
            Self::Group => "enter the control group",
            Self::Helper => "start the helper of the sandbox",
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
            (_, Errno::ENOMEM) => Some("the host is out of memory"),
            (Self::Namespaces, Errno::ENOSPC) => Some(
                "the host allows no further namespace: raise the sysctls user.max_user_namespaces and the others of user.max_*_namespaces",
            ),
            (Self::Namespaces, Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EINVAL)
            | (
                Self::IdMap | Self::Tmpfs | Self::Mount | Self::Root | Self::Loopback,
                Errno::EPERM | Errno::EACCES,
            ) => Some(
                "this host denies user namespaces: on Ubuntu install the AppArmor profile that `rungate doctor` prints, in a container allow them in its seccomp profile, else set the sysctls kernel.unprivileged_userns_clone=1 and user.max_user_namespaces",
            ),
            (Self::Proc, Errno::EPERM) => Some(
                "parts of /proc are masked in this container: start it with an unmasked /proc, in Kubernetes by `hostUsers: false` and `procMount: Unmasked`",
            ),
            (Self::IdMap, Errno::EINVAL) => Some(
                "this user namespace has no further user for the payload: give the container a range of users, or start rungate as an ordinary user",
            ),
            (Self::Source, Errno::ENOENT) => {
                Some("it does not exist: create it, or take it off the manifest")
            }
            (Self::Source, Errno::ELOOP) => Some(
                "it leads through a symbolic link that came there after the run was planned: name the place that it leads to",
            ),
            (Self::Source, Errno::EACCES) => Some("this user cannot enter it: check its permissions"),
            (Self::Mount | Self::Source | Self::MapOwner, Errno::ENOSYS) => {
                Some("this kernel is too old for the tier `namespaces`: use Linux 5.12 or newer")
            }
            (Self::MapOwner, _) => Some(
                "its file system cannot map owners for a payload of root: move it to ext4, xfs, btrfs, or tmpfs of Linux 6.3 or newer, or start rungate as an ordinary user",
            ),
            (Self::Landlock, Errno::ENOSYS | Errno::EOPNOTSUPP) => Some(
                "this kernel has no Landlock, or not the part that is needed: add landlock to its `lsm=` parameter or use a newer one",
            ),
            (Self::Group, _) => Some(
                "run the runner as a systemd unit with `Delegate=yes` and `DelegateSubgroup=runner` (systemd 254 or newer)",
            ),
            (Self::Filter, _) => {
                Some("the kernel was built without CONFIG_SECCOMP_FILTER, or the container denies seccomp")
            }
            _ => None,
        }
    }
}

/// The procfs that a payload sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proc {
    /// The host's, because it has no file system of its own.
    Host,
    /// A new one, with the processes of its own namespace.
    Fresh,
    /// The host's, read-only, because the host refuses a new one: process ids of others are visible.
    Bound,
}

impl Proc {
    const ALL: [Self; 3] = [Self::Host, Self::Fresh, Self::Bound];
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The payload could not be started.
    Failed(SetupError),
    /// The payload runs.
    Started {
        /// Its process id, in its own namespace.
        pid: i32,
        /// The procfs that it sees.
        proc: Proc,
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
        /// Most memory that one of its processes had at a time, in KiB.
        largest: i32,
    },
}

impl Status {
    /// The frame.
    #[must_use]
    pub fn encode(self) -> [u8; FRAME] {
        let (kind, first, second, path) = match self {
            Self::Failed(SetupError { call, errno, path }) => (1, i32::from(call.code()), errno as i32, path),
            Self::Started { pid, proc } => (2, pid, proc as i32, SetupPath::NONE),
            Self::Exited { code } => (3, code, 0, SetupPath::NONE),
            Self::Signaled { signal } => (4, signal, 0, SetupPath::NONE),
            Self::Swept { killed, largest } => (5, killed, largest, SetupPath::NONE),
        };
        let mut frame = [0; FRAME];
        frame[0] = kind;
        frame[1..5].copy_from_slice(&first.to_le_bytes());
        frame[5..9].copy_from_slice(&second.to_le_bytes());
        frame[9] = path.length;
        frame[10..].copy_from_slice(&path.bytes);
        frame
    }

    /// Reads a frame back; nothing when it is not one.
    #[must_use]
    pub fn decode(frame: &[u8; FRAME]) -> Option<Self> {
        let (&[kind, a0, a1, a2, a3, b0, b1, b2, b3, length], path) = frame.split_first_chunk::<10>()?;
        let (first, second) = (i32::from_le_bytes([a0, a1, a2, a3]), i32::from_le_bytes([b0, b1, b2, b3]));
        match kind {
            1 => {
                let path = SetupPath::of(path.get(..usize::from(length))?);
                Some(Self::Failed(SetupError {
                    call: Call::from_code(first)?,
                    errno: Errno::from_raw(second),
                    path,
                }))
            }
            2 => {
                let proc = *Proc::ALL.get(usize::try_from(second).ok()?)?;
                Some(Self::Started { pid: first, proc })
            }
            3 => Some(Self::Exited { code: first }),
            4 => Some(Self::Signaled { signal: first }),
            5 => Some(Self::Swept { killed: first, largest: second }),
            _ => None,
        }
    }
}

/// The failure that a child says on a pipe of its own before it runs the program; nothing when it closes that in silence.
pub(crate) fn read_failure(pipe: OwnedFd) -> Option<SetupError> {
    let mut frame = [0; FRAME];
    File::from(pipe).read_exact(&mut frame).ok()?;
    if let Status::Failed(error) = Status::decode(&frame)? { Some(error) } else { None }
}

/// The path that a failure is about, as far as a frame has room for it. Empty: it is about none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SetupPath {
    length: u8,
    bytes: [u8; PATH],
}

impl SetupPath {
    /// No path.
    pub const NONE: Self = Self { length: 0, bytes: [0; PATH] };

    /// The first bytes of `path`.
    #[must_use]
    pub fn of(path: &[u8]) -> Self {
        let mut kept = Self::NONE;
        for (to, from) in kept.bytes.iter_mut().zip(path) {
            *to = *from;
        }
        kept.length = u8::try_from(path.len().min(PATH)).unwrap_or(u8::MAX);
        kept
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for SetupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

/// The payload could not be started: a failure of the set-up, never of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SetupError {
    /// What failed.
    pub call: Call,
    /// Why.
    pub errno: Errno,
    /// What it is about.
    pub path: SetupPath,
}

impl SetupError {
    /// A failure that is about no path.
    #[must_use]
    pub const fn new(call: Call, errno: Errno) -> Self {
        Self { call, errno, path: SetupPath::NONE }
    }

    /// A failure that is about `path`.
    #[must_use]
    pub fn at(call: Call, path: &[u8], errno: Errno) -> Self {
        Self { call, errno, path: SetupPath::of(path) }
    }

    /// It, and what a person can do about it, when something is known to help.
    #[must_use]
    pub fn with_remedy(&self) -> String {
        self.call.remedy(self.errno).map_or_else(|| self.to_string(), |remedy| format!("{self}; {remedy}"))
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}", self.call.what())?;
        let path = self.path.as_bytes();
        if !path.is_empty() {
            // Somebody else chose the name: it must not move a cursor.
            write!(f, " {}", String::from_utf8_lossy(path).escape_debug())?;
        }
        write!(f, ": {} ({:?})", self.errno.desc(), self.errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_call_survives_the_pipe() {
        for call in Call::ALL {
            for path in [SetupPath::NONE, SetupPath::of(b"/a b"), SetupPath::of(&[b'x'; 5000])] {
                let status = Status::Failed(SetupError { call, errno: Errno::EPERM, path });
                assert_eq!(Status::decode(&status.encode()), Some(status));
            }
        }
    }

    #[test]
    fn a_failure_is_one_line_whatever_the_path_is() {
        let error = SetupError::at(Call::Source, b"/w/\x1b[2J\n", Errno::ENOENT);
        assert_eq!(error.to_string(), r"failed to open /w/\u{1b}[2J\n: No such file or directory (ENOENT)");
    }

    proptest! {
        #[test]
        fn frames_come_back_as_they_went(number in any::<i32>()) {
            for status in [
                Status::Started { pid: number, proc: Proc::Bound },
                Status::Exited { code: number },
                Status::Signaled { signal: number },
                Status::Swept { killed: number, largest: number },
            ] {
                prop_assert_eq!(Status::decode(&status.encode()), Some(status));
            }
        }

        #[test]
        fn no_frame_makes_the_reader_panic(head in any::<[u8; 10]>(), fill in any::<u8>()) {
            let mut frame = [fill; FRAME];
            frame[..10].copy_from_slice(&head);
            let _ = Status::decode(&frame);
        }
    }
}
