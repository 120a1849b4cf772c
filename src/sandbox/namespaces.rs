//! The first process of a payload's namespaces: it builds the payload's world, starts it, and ends with it.
//!
//! ```text
//! executor ──direct: outline, spec, what root gives──▶ first process ──fork, exec──▶ payload
//!   helper ──line: orders───────────────────────────▶
//! ```
//!
//! It is process 1 of its namespace, so nothing in there can kill, stop or outlive it: when it ends, however it ends, the
//! kernel kills all others and takes the mounts away. It is told to end by an order, by the end of the line, and by the
//! death of the helper. What goes wrong before the payload runs it says itself, once somebody has asked for a payload: it
//! is made ahead of that, while the executor still works out what to start.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::slice;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::{Pid, sethostname};

use crate::sandbox::init::{Order, let_go_of_output};
use crate::sandbox::launched::{self, Launched};
use crate::sandbox::line;
use crate::sandbox::memory;
use crate::sandbox::outline::Outline;
use crate::sandbox::privileges;
use crate::sandbox::processes::wait_any;
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
pub(crate) fn first_process(
    ids: Ids,
    status: &File,
    control: &OwnedFd,
    line: &OwnedFd,
    direct: OwnedFd,
) -> i32 {
    let say = |words: &[Status]| {
        let mut pipe: &File = status;
        let frames: Vec<u8> = words.iter().flat_map(|word| word.encode()).collect();
        // Nobody is left to hear it when this fails.
        let _ = pipe.write_all(&frames);
    };
    let started = start(ids, control, line, &direct);
    drop(direct);
    match started {
        Ok(Some(started)) => {
            say(&[Status::Started { pid: started.payload.as_raw(), proc: started.proc }]);
            Supervisor { payload: started.payload, end: None }.attend(line, &started.signals, &say);
            0
        }
        Ok(None) => NOT_STARTED,
        Err(error) => {
            say(&[Status::Failed(error)]);
            NOT_STARTED
        }
    }
}

/// Everything up to the point where the program runs. Nothing when nobody wants it any more.
fn start(
    ids: Ids,
    control: &OwnedFd,
    helper: &OwnedFd,
    direct: &OwnedFd,
) -> Result<Option<Started>, SetupError> {
    let stage = prepare(ids, helper);
    let Some(outline) = Outline::receive(direct)? else { return Ok(None) };
    // What went wrong before anybody had asked for something is said now.
    let Some(stage) = stage? else { return Ok(None) };
    let mut watched = SigSet::empty();
    watched.add(Signal::SIGCHLD);
    watched.thread_block().map_err(failed(Call::Signals))?;
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(failed(Call::Signals))?;
    // Not before the stage: then the executor is still at work, and whoever of the three gets no processor holds up the others.
    // It needs no end: whatever goes wrong here ends this process, and so everything in its namespaces.
    let launched = Launched::start(&outline, ids.kind)?;
    let_go_of_output();
    let Some(spec) = line::receive_spec(direct)? else { return Ok(None) };
    launched.tell(&spec)?;
    let spec = launched::read(&spec, outline.shape)?;
    let world = spec.world().filter(|world| world.ids == ids);
    let world = world.ok_or(SetupError::new(Call::DecodeSpec, Errno::EINVAL))?;
    let Some(entered) = stage.build(world, direct)? else { return Ok(None) };
    launched.open(&spec)?;
    let built = entered.seal()?;
    launched.enter_network()?;
    // Before the program runs: what fails here must not fail a program that has done something already.
    privileges::become_payload(world.ids.kind)?;
    // A change of user has cleared it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed(Call::Signals))?;
    // For the executor, to be read when the payload is dead.
    line::pass_all(control, slice::from_ref(&built.files)).map_err(failed(Call::PrivateFiles))?;
    let payload = launched.go()?.wait()?;
    Ok(Some(Started { payload, signals, proc: built.proc }))
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
        IdKind::Dedicated => line::hear(line, line::MAPPED).map_err(failed(Call::IdMap)),
    }
}

/// The first process while the program runs.
struct Supervisor {
    payload: Pid,
    /// How the program has ended.
    end: Option<Status>,
}

impl Supervisor {
    /// Waits for the program, for orders and for orphans, until nothing is left.
    fn attend(mut self, line: &OwnedFd, signals: &SignalFd, say: &impl Fn(&[Status])) {
        let last = self.wait_for_end(line, signals);
        let mut words = Vec::from_iter(self.end);
        let mut killed = 0;
        // Mostly nothing is left, and then it is all one word: each one takes this process's processor from it.
        if last == Reaped::NoneNow {
            say(&words);
            words.clear();
            // All others of this namespace at once: none can fork away from that.
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
            loop {
                match self.reap(true) {
                    Reaped::Program => words.extend(self.end),
                    Reaped::Other => killed += 1,
                    Reaped::NoneNow | Reaped::NoneLeft => break,
                }
            }
        }
        words.push(Status::Swept { killed, largest: largest_child() });
        say(&words);
    }

    /// Waits for the end of the program, or an order to kill it. Says whether something is left.
    fn wait_for_end(&mut self, line: &OwnedFd, signals: &SignalFd) -> Reaped {
        loop {
            let mut ready = [
                PollFd::new(line.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            match memory::wait(&mut ready) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(_) => return Reaped::NoneNow,
            }
            let ordered = ready[0].any().unwrap_or(true);
            while let Ok(Some(_)) = signals.read_signal() {}
            let last = loop {
                match self.reap(false) {
                    Reaped::Program | Reaped::Other => {}
                    last @ (Reaped::NoneNow | Reaped::NoneLeft) => break last,
                }
            };
            if self.end.is_some() || (ordered && !self.obey(line)) {
                return last;
            }
        }
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

    /// Collects one process that has ended.
    fn reap(&mut self, may_wait: bool) -> Reaped {
        match wait_any(may_wait) {
            Ok(Some(ended)) if ended.pid == self.payload.as_raw() => {
                self.end = Some(ended.status);
                Reaped::Program
            }
            Ok(Some(_)) => Reaped::Other,
            Err(Errno::ECHILD) => Reaped::NoneLeft,
            Ok(None) | Err(_) => Reaped::NoneNow,
        }
    }
}

/// What has been collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaped {
    Program,
    /// Something that it has left behind.
    Other,
    /// Nothing: those that are there are alive.
    NoneNow,
    /// Nothing: there is nobody.
    NoneLeft,
}
