//! The first process of a payload's namespaces: it builds the payload's world, starts it, and ends with it.
//!
//! ```text
//! helper ──line: orders──▶ first process ──fork, exec──▶ payload
//! ```
//!
//! It is process 1 of its namespace, so nothing in there can kill, stop or outlive it: when it ends, however it ends, the
//! kernel kills all others and takes the mounts away. It is told to end by an order, by the end of the line, and by the
//! death of the helper. What goes wrong before the payload runs it says itself.

#![expect(unsafe_code, reason = "processes are created, and end without clean-up")]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, send, sendmsg, socketpair,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2, sethostname};

use crate::sandbox::clone::{self, Side};
use crate::sandbox::init::Order;
use crate::sandbox::payload::{self, Landlocked};
use crate::sandbox::privileges;
use crate::sandbox::spec::{IdKind, Ids, Network, Spec, World};
use crate::sandbox::status::{Call, Proc, SetupError, Status, read_failure};
use crate::sandbox::world::{self, PAYLOAD};

/// Name of the host that a payload sees.
const HOST_NAME: &str = "rungate";

/// Exit code of a first process that has said why there is no payload.
const NOT_STARTED: i32 = 1;

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
    /// Creates it, in `group` when there is one. From then on it speaks for itself on `status`.
    pub(crate) fn start(
        spec: &Spec,
        world: &World,
        group: Option<OwnedFd>,
        status: &File,
        control: &OwnedFd,
    ) -> Result<Self, SetupError> {
        let (line, end) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map_err(failed(Call::Fork))?;
        let sources = match world.ids.kind {
            IdKind::Own => None,
            IdKind::Dedicated => Some(world::sources(world)?),
        };
        let mut flags = libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS;
        match world.network {
            Network::Own => flags |= libc::CLONE_NEWNET,
            Network::Host => {}
        }
        let born = clone::process(flags, group.as_ref().map(AsFd::as_fd));
        let pid = match born.map_err(failed(Call::Namespaces))? {
            Side::Parent(pid) => pid,
            Side::Child(joined) => {
                drop((line, group));
                let code = first_process(spec, world, joined, sources, status, control, &end);
                // SAFETY: ends the process without running the parent's clean-up, which is not this child's to run.
                unsafe { libc::_exit(code) }
            }
        };
        let first = Self { pid, line };
        match world.ids.kind {
            IdKind::Own => Ok(first),
            // Only who has root's rights outside may map root, so this cannot be left to the child.
            IdKind::Dedicated => match first.map(world.ids) {
                Ok(()) => Ok(first),
                Err(errno) => {
                    first.kill();
                    let _ = waitpid(first.pid, None);
                    Err(SetupError::new(Call::IdMap, errno))
                }
            },
        }
    }

    fn map(&self, ids: Ids) -> Result<(), Errno> {
        for (file, id) in [("uid_map", ids.user), ("gid_map", ids.group)] {
            put(&format!("/proc/{}/{file}", self.pid), &format!("0 0 1\n{PAYLOAD} {id} 1\n"))?;
        }
        send(self.line.as_raw_fd(), b"g", MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    /// Hands an order on. One that does not arrive is no error: the end is on its way to us then.
    pub(crate) fn order(&self, order: Order) {
        let _ = send(self.line.as_raw_fd(), &[order.byte()], MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
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

fn put(path: &str, text: &str) -> Result<(), Errno> {
    fs::write(path, text).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}

/// Everything that the first process does. Returns its exit code.
fn first_process(
    spec: &Spec,
    world: &World,
    joined: Result<(), Errno>,
    sources: Option<Vec<OwnedFd>>,
    status: &File,
    control: &OwnedFd,
    line: &OwnedFd,
) -> i32 {
    let mut say = |word: Status| {
        // Nobody is left to hear it when this fails.
        let mut pipe: &File = status;
        let _ = pipe.write_all(&word.encode());
    };
    let joined = joined.map_err(failed(Call::Group));
    match joined.and_then(|()| start(spec, world, sources, control, line)) {
        Ok(Some((payload, signals, proc))) => {
            say(Status::Started { pid: payload.as_raw(), proc });
            Supervisor { payload, ended: false }.attend(line, &signals, &mut say);
            0
        }
        Ok(None) => NOT_STARTED,
        Err(error) => {
            say(Status::Failed(error));
            NOT_STARTED
        }
    }
}

/// Everything up to the point where the program runs. Nothing when the helper is gone.
fn start(
    spec: &Spec,
    world: &World,
    sources: Option<Vec<OwnedFd>>,
    control: &OwnedFd,
    line: &OwnedFd,
) -> Result<Option<(Pid, SignalFd, Proc)>, SetupError> {
    // Should the helper be gone already, the line says so.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed(Call::Signals))?;
    if !become_somebody(world.ids, line)? {
        return Ok(None);
    }
    // Only now: its root is the group that its creator was in, and this process is in one of its own.
    unshare(CloneFlags::CLONE_NEWCGROUP).map_err(failed(Call::Namespaces))?;
    let built = world::build(world, sources)?;
    match world.network {
        Network::Own => loopback_up().map_err(failed(Call::Loopback))?,
        Network::Host => {}
    }
    sethostname(HOST_NAME).map_err(failed(Call::HostName))?;
    hand_out(control, &built.files).map_err(failed(Call::PrivateFiles))?;
    let landlocked = Landlocked::open(spec)?;
    privileges::become_payload(world.ids.kind)?;
    // A change of user has cleared it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed(Call::Signals))?;
    let mut watched = SigSet::empty();
    watched.add(Signal::SIGCHLD);
    watched.thread_block().map_err(failed(Call::Signals))?;
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(failed(Call::Signals))?;
    let payload = start_payload(spec, &landlocked, None)?;
    Ok(Some((payload, signals, built.proc)))
}

/// Gets this process its place in the new user namespace. False when the helper is gone.
fn become_somebody(ids: Ids, line: &OwnedFd) -> Result<bool, SetupError> {
    match ids.kind {
        IdKind::Own => {
            // The files belong to root as long as this process is protected from its own user.
            let maps = prctl::set_dumpable(true).and_then(|()| {
                put("/proc/self/setgroups", "deny")?;
                put("/proc/self/uid_map", &format!("{PAYLOAD} {} 1\n", ids.user))?;
                put("/proc/self/gid_map", &format!("{PAYLOAD} {} 1\n", ids.group))?;
                prctl::set_dumpable(false)
            });
            maps.map_err(failed(Call::IdMap)).map(|()| true)
        }
        IdKind::Dedicated => {
            let mut word = [0];
            loop {
                match recv(line.as_raw_fd(), &mut word, MsgFlags::empty()) {
                    Err(Errno::EINTR) => {}
                    other => return other.map(|count| count > 0).map_err(failed(Call::IdMap)),
                }
            }
        }
    }
}

fn loopback_up() -> Result<(), Errno> {
    use nix::sys::socket::socket;
    // SIOCSIFFLAGS, by number because the C libraries do not agree on its type.
    const SET_FLAGS: u16 = 0x8914;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all bytes 0 are a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    #[expect(clippy::cast_possible_truncation, reason = "two flags of the lowest sixteen bits")]
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: the socket is open and the request is whole; the kernel only reads it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::Ioctl::from(SET_FLAGS), &raw const request) };
    Errno::result(result).map(drop)
}

/// Gives the executor the folder of the payload's own files, to be read when the payload is dead.
fn hand_out(control: &OwnedFd, files: &OwnedFd) -> Result<(), Errno> {
    let word = [std::io::IoSlice::new(b"f")];
    let descriptors = [files.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(control.as_raw_fd(), &word, &message, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Starts the payload below this process, in `group` when there is one, and returns when it runs.
pub(crate) fn start_payload(
    spec: &Spec,
    landlocked: &Landlocked,
    group: Option<BorrowedFd<'_>>,
) -> Result<Pid, SetupError> {
    let (report, report_end) = pipe2(OFlag::O_CLOEXEC).map_err(failed(Call::Fork))?;
    match clone::process(0, group).map_err(failed(Call::Fork))? {
        Side::Child(joined) => {
            drop(report);
            let joined = joined.map_err(failed(Call::Group));
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
        Side::Parent(child) => {
            drop(report_end);
            match read_failure(report) {
                Some(error) => {
                    let _ = waitpid(child, None);
                    Err(error)
                }
                // The pipe closed without a word: the program runs.
                None => Ok(child),
            }
        }
    }
}

/// The first process while the program runs.
struct Supervisor {
    payload: Pid,
    ended: bool,
}

impl Supervisor {
    /// Waits for the program, for orders and for orphans, until nothing is left.
    fn attend(mut self, line: &OwnedFd, signals: &SignalFd, say: &mut impl FnMut(Status)) {
        loop {
            let mut ready = [
                PollFd::new(line.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
            let ordered = ready[0].any().unwrap_or(true);
            while let Ok(Some(_)) = signals.read_signal() {}
            while self.reap(WaitPidFlag::WNOHANG, say).is_some() {}
            if self.ended || (ordered && !self.obey(line)) {
                break;
            }
        }
        // All others of this namespace at once: none can fork away from that.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        let mut killed = 0;
        while let Some(count) = self.reap(WaitPidFlag::empty(), say) {
            killed += count;
        }
        say(Status::Swept { killed });
    }

    /// Carries out an order. False when everything is to die.
    fn obey(&self, line: &OwnedFd) -> bool {
        let mut word = [0];
        match recv(line.as_raw_fd(), &mut word, MsgFlags::MSG_DONTWAIT) {
            // The helper is gone.
            Ok(0) => false,
            Ok(_) => match Order::of_byte(word[0]).signal() {
                Some(signal) => {
                    // A group without members is not an error: its end is on its way to us.
                    let _ = killpg(self.payload, signal);
                    true
                }
                None => false,
            },
            Err(Errno::EINTR | Errno::EAGAIN) => true,
            Err(_) => false,
        }
    }

    /// Collects one process that has ended, and says how the program did. Counts those that are not the program.
    fn reap(&mut self, flags: WaitPidFlag, say: &mut impl FnMut(Status)) -> Option<i32> {
        loop {
            match waitpid(None, Some(flags)) {
                Err(Errno::EINTR) => {}
                Ok(WaitStatus::Exited(pid, code)) if pid == self.payload => {
                    self.ended = true;
                    say(Status::Exited { code });
                    return Some(0);
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.payload => {
                    self.ended = true;
                    say(Status::Signaled { signal: signal as i32 });
                    return Some(0);
                }
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => return Some(1),
                Ok(_) | Err(_) => return None,
            }
        }
    }
}
