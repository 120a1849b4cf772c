//! The helper: starts one program, reaps whatever it leaves behind, and dies with the executor.
//!
//! Runs in a process of its own with one thread, before anything else of this program has been set up, so that forking
//! and signals are simple. It takes no decisions: what to start stands in the spec, when to stop comes as an order.

#![expect(unsafe_code, reason = "fork, and taking over the descriptors that the executor gave us")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IoSliceMut, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::wait::WaitPidFlag;
use nix::unistd::{chdir, getppid, setsid};

use crate::sandbox::cgroup;
use crate::sandbox::discard::discard;
use crate::sandbox::first::{Ended, First};
use crate::sandbox::helper::{Helper, Reach};
use crate::sandbox::launched::Launched;
use crate::sandbox::line;
use crate::sandbox::memory;
use crate::sandbox::namespaces::put;
use crate::sandbox::payload::Landlocked;
use crate::sandbox::processes;
use crate::sandbox::ready::Ready;
use crate::sandbox::spec::{Confined, Network};
use crate::sandbox::status::{Call, Proc, SetupError, Status};

/// First argument of a process that is to be a helper. Tested before anything else in `main`.
pub const ARGUMENT: &str = "__sandbox-init";

/// Score of what the kernel is to end before anything else when the whole host is out of memory.
const FIRST_TO_GO: &str = "1000";

/// What the executor can ask of the helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `SIGINT` to the program's process group.
    Interrupt,
    /// `SIGTERM` to the program's process group.
    Terminate,
    /// `SIGKILL` to everything below the helper.
    Kill,
}

impl Order {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Interrupt => b'i',
            Self::Terminate => b't',
            Self::Kill => b'k',
        }
    }

    /// The signal for the program's process group; the last order is for more than that.
    pub(crate) const fn signal(self) -> Option<Signal> {
        match self {
            Self::Interrupt => Some(Signal::SIGINT),
            Self::Terminate => Some(Signal::SIGTERM),
            Self::Kill => None,
        }
    }

    /// An unknown byte can only be a fault of ours; the safe reading is the last one.
    pub(crate) const fn of_byte(byte: u8) -> Self {
        match byte {
            b'i' => Self::Interrupt,
            b't' => Self::Terminate,
            _ => Self::Kill,
        }
    }
}

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// Does the helper's work and returns its exit code, when this process was started as one.
#[must_use]
pub fn run_if_asked(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let _name = args.next();
    if args.next()? != OsStr::new(ARGUMENT) {
        return None;
    }
    let numbers: Vec<RawFd> = args.by_ref().take(3).filter_map(|word| word.to_str()?.parse().ok()).collect();
    let [status, control, executor] = numbers[..] else { return Some(refuse()) };
    if status == control || [status, control].iter().any(|&fd| fd < 3 || !is_open(fd)) {
        return Some(refuse());
    }
    // SAFETY: the executor left exactly these descriptors open for us, nothing else in this process knows them, and
    // they were just seen to be open and not the same, so each gets one owner.
    let [status, control] = [status, control].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let expected = args.next().and_then(|word| Network::of_word(&word));
    let code = help(status, &control, expected);
    if getppid().as_raw() != executor || processes::is_exiting(executor) {
        // It was killed, and cannot clean up any more. Nothing that could write to its folders is alive.
        for folder in args {
            let _ = discard(Path::new(&folder));
        }
        cgroup::clean_up();
    }
    Some(code)
}

/// For a person who types the hidden argument by hand.
fn refuse() -> ExitCode {
    let _ = writeln!(std::io::stderr(), "rungate: {ARGUMENT} is for rungate itself; see `rungate --help`");
    ExitCode::from(2)
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD only asks, and answers EBADF for a number that is not open.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

fn help(status: OwnedFd, control: &OwnedFd, expected: Option<Network>) -> ExitCode {
    let status = File::from(status);
    let say = |word: Status| {
        // Nobody is left to hear it when this fails, and then the control socket is closed as well.
        let mut pipe = &status;
        let _ = pipe.write_all(&word.encode());
    };
    let done = prepare().and_then(|signals| {
        let ready = Ready::make(expected, &status, control);
        match receive(control)? {
            Some(task) => supervise(task, ready, &status, control, &signals),
            // Nobody needed us after all.
            None => Ok(ExitCode::SUCCESS),
        }
    });
    done.unwrap_or_else(|error| {
        say(Status::Failed(error));
        ExitCode::FAILURE
    })
}

/// Starts what the spec says, in its control group when there is one, and stays until nothing of it is left.
fn supervise(
    (task, group): (OwnedFd, Option<OwnedFd>),
    ready: Ready,
    status: &File,
    control: &OwnedFd,
    signals: &SignalFd,
) -> Result<ExitCode, SetupError> {
    let say = |word: Status| {
        let mut pipe = status;
        let _ = pipe.write_all(&word.encode());
    };
    let task = File::from(task);
    let spec = line::read(&task)?;
    if let Some(Confined { world: Some(world), .. }) = &spec.confined {
        let task = OwnedFd::from(task);
        let first = ready.begin((&task, group.as_ref()), world, status, control)?;
        drop((task, group));
        return Ok(accompany(&first, control, signals, &say));
    }
    ready.end();
    let reach = match &spec.confined {
        Some(_) => Reach::of_this_process(),
        None => Reach::Unknown,
    };
    let payload =
        Launched::start(&spec, &Landlocked::open(&spec)?, group.as_ref().map(AsFd::as_fd))?.wait()?;
    drop(group);
    say(Status::Started { pid: payload.as_raw(), proc: Proc::Host });
    Helper::new(payload, reach).attend(control, signals, &say);
    Ok(ExitCode::SUCCESS)
}

/// Makes this process what a helper is. Done before it is known what to start, so that it is done in good time.
fn prepare() -> Result<SignalFd, SetupError> {
    // The folder that the executor was started in may be unmounted while this process lives.
    chdir("/").map_err(failed(Call::ChangeDirectory))?;
    setsid().map_err(failed(Call::NewSession))?;
    prctl::set_child_subreaper(true).map_err(failed(Call::Subreaper))?;
    // Handed down to all that is started from here. The file belongs to root once this process is protected from its user.
    let _the_host_may_not_let_us = put("/proc/self/oom_score_adj", FIRST_TO_GO);
    prctl::set_dumpable(false).map_err(failed(Call::Subreaper))?;
    watch_signals().map_err(failed(Call::Signals))
}

/// Waits for the spec, and for the folder of the control group that it is to run in. Nothing when the executor has closed
/// the socket instead.
fn receive(control: &OwnedFd) -> Result<Option<(OwnedFd, Option<OwnedFd>)>, SetupError> {
    let mut word = [0];
    let mut parts = [IoSliceMut::new(&mut word)];
    let mut space = nix::cmsg_space!([RawFd; 2]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<()>(control.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            other => break other.map_err(failed(Call::ReadSpec))?,
        }
    };
    if message.bytes == 0 {
        return Ok(None);
    }
    let mut received = message.cmsgs().map_err(failed(Call::ReadSpec))?.flat_map(|message| match message {
        ControlMessageOwned::ScmRights(descriptors) => descriptors,
        _ => Vec::new(),
    });
    // SAFETY: the kernel has just made these descriptors for us, and each is taken once.
    let mut next = || received.next().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    // Without one this is an order before there was anything to start: the answer to any of them is to end.
    Ok(next().map(|spec| (spec, next())))
}

/// Blocks what this process wants to hear by descriptor, and ignores what a script of the same user could send to it.
fn watch_signals() -> Result<SignalFd, Errno> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2]
    {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { sigaction(signal, &ignore) }?;
    }
    let mut watched = SigSet::empty();
    watched.add(Signal::SIGCHLD);
    watched.thread_block()?;
    SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// Goes along with the first process of new namespaces, which does the work: hands orders on, and ends it when nobody is
/// left to order anything.
fn accompany(first: &First, control: &OwnedFd, signals: &SignalFd, say: &impl Fn(Status)) -> ExitCode {
    let mut flags = WaitPidFlag::WNOHANG;
    let ended = loop {
        if flags == WaitPidFlag::WNOHANG {
            let mut ready = [
                PollFd::new(control.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            let waited = match memory::wait(&mut ready) {
                Ok(()) | Err(Errno::EINTR) => true,
                Err(_) => false,
            };
            let ordered = ready[0].any().unwrap_or(true);
            while let Ok(Some(_)) = signals.read_signal() {}
            if !waited || (ordered && !forward(first, control)) {
                first.kill();
                flags = WaitPidFlag::empty();
            }
        }
        if let Some(ended) = first.ended(flags) {
            break ended;
        }
    };
    match ended {
        Ended::Told => ExitCode::SUCCESS,
        Ended::NotStarted => ExitCode::FAILURE,
        Ended::Killed => {
            // The kernel has killed whatever was left, and does not say how much that was.
            say(Status::Swept { killed: 0, largest: 0 });
            ExitCode::SUCCESS
        }
    }
}

/// Hands on the orders that have come. False when the executor is gone.
fn forward(first: &First, control: &OwnedFd) -> bool {
    let mut orders = [0; 16];
    match nix::unistd::read(control, &mut orders) {
        Ok(0) => false,
        Ok(count) => {
            orders[..count].iter().for_each(|&byte| first.order(Order::of_byte(byte)));
            true
        }
        Err(Errno::EINTR | Errno::EAGAIN) => true,
        Err(_) => false,
    }
}
