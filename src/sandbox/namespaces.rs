//! The first process of a payload's namespaces: it builds the payload's world, starts it, and ends with it.
//!
//! ```text
//! helper ──line: a task, what root gives, orders──▶ first process ──fork, exec──▶ payload
//! ```
//!
//! It is process 1 of its namespace, so nothing in there can kill, stop or outlive it: when it ends, however it ends, the
//! kernel kills all others and takes the mounts away. It is told to end by an order, by the end of the line, and by the
//! death of the helper. What goes wrong before the payload runs it says itself, once somebody has asked for a payload: it
//! is made ahead of that, while the executor still works out what to start.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::slice;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};

use crate::sandbox::init::{Order, let_go_of_output};
use crate::sandbox::launched::Launched;
use crate::sandbox::line::{self, Task};
use crate::sandbox::memory;
use crate::sandbox::privileges;
use crate::sandbox::spec::{IdKind, Ids};
use crate::sandbox::status::{Call, Proc, SetupError, Status};
use crate::sandbox::usage::largest_child;
use crate::sandbox::world::{Devices, PAYLOAD, Stage};

/// Name of the host that a payload sees.
const HOST_NAME: &str = "rungate";

/// Exit code of a first process that has said why there is no payload.
pub(crate) const NOT_STARTED: i32 = 1;

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// Writes to a file of the kernel.
pub(crate) fn put(path: &str, text: &str) -> Result<(), Errno> {
    fs::write(path, text).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}

/// Everything that the first process does. Returns its exit code.
pub(crate) fn first_process(ids: Ids, status: &File, control: &OwnedFd, line: &OwnedFd) -> i32 {
    let mut say = |word: Status| {
        // Nobody is left to hear it when this fails.
        let mut pipe: &File = status;
        let _ = pipe.write_all(&word.encode());
    };
    // What goes wrong before anybody has asked for something is said when somebody has.
    let stage = prepare(ids, line);
    let started = Task::receive(line).and_then(|task| match task {
        Some(task) => stage?.map_or(Ok(None), |stage| start(&task, stage, ids, (control, line))),
        None => Ok(None),
    });
    match started {
        Ok(Some(started)) => {
            say(Status::Started { pid: started.payload.as_raw(), proc: started.proc });
            Supervisor { payload: started.payload, ended: false }.attend(line, &started.signals, &mut say);
            0
        }
        Ok(None) => NOT_STARTED,
        Err(error) => {
            say(Status::Failed(error));
            NOT_STARTED
        }
    }
}

/// Everything that can be done before it is known what is to be started. Nothing when the helper is gone.
fn prepare(ids: Ids, line: &OwnedFd) -> Result<Option<Stage>, SetupError> {
    // Should the helper be gone already, the line says so.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed(Call::Signals))?;
    // First what can be done while the helper still says who this process is.
    let devices = Devices::of_the_host()?;
    sethostname(HOST_NAME).map_err(failed(Call::HostName))?;
    if !become_somebody(ids, line)? {
        return Ok(None);
    }
    let stage = Stage::prepare(ids.kind, devices)?;
    privileges::close_the_ways_back()?;
    Ok(Some(stage))
}

/// A payload that runs.
struct Started {
    payload: Pid,
    signals: SignalFd,
    proc: Proc,
}

/// Everything up to the point where the program runs. Nothing when the helper is gone.
fn start(
    task: &Task,
    stage: Stage,
    ids: Ids,
    (control, helper): (&OwnedFd, &OwnedFd),
) -> Result<Option<Started>, SetupError> {
    let spec = line::read(&task.spec)?;
    let world = spec.world().filter(|world| world.ids == ids);
    let world = world.ok_or(SetupError::new(Call::DecodeSpec, Errno::EINVAL))?;
    let mut watched = SigSet::empty();
    watched.add(Signal::SIGCHLD);
    watched.thread_block().map_err(failed(Call::Signals))?;
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(failed(Call::Signals))?;
    let launched = Launched::start(&spec, task.group.as_ref().map(AsFd::as_fd))?;
    let_go_of_output();
    let Some(built) = stage.build(world, helper)? else { return Ok(None) };
    // For the executor, to be read when the payload is dead.
    line::pass_all(control, slice::from_ref(&built.files)).map_err(failed(Call::PrivateFiles))?;
    launched.enter_network()?;
    let launched = launched.open()?;
    // Before the program runs: what fails here must not fail a program that has done something already.
    privileges::become_payload(world.ids.kind)?;
    // A change of user has cleared it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed(Call::Signals))?;
    let payload = launched.go()?;
    Ok(Some(Started { payload, signals, proc: built.proc }))
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
            match memory::wait(&mut ready) {
                Ok(()) | Err(Errno::EINTR) => {}
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
        say(Status::Swept { killed, largest: largest_child() });
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
