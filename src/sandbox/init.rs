//! The helper: starts one program, reaps whatever it leaves behind, and dies with the executor.
//!
//! Runs in a process of its own with one thread, before anything else of this program has been set up, so that forking
//! and signals are simple. It takes no decisions: what to start stands in the spec, when to stop comes as an order.

#![expect(unsafe_code, reason = "fork, and taking over the descriptors that the executor gave us")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::wait::WaitPidFlag;
use nix::unistd::{chdir, dup2_stderr, dup2_stdout, getppid, read, setsid};

use crate::sandbox::cgroup;
use crate::sandbox::discard::discard;
use crate::sandbox::first::{Ended, First};
use crate::sandbox::helper::{Helper, Reach};
use crate::sandbox::launched::{self, Launched};
use crate::sandbox::line;
use crate::sandbox::memory;
use crate::sandbox::namespaces::put;
use crate::sandbox::outline::{Outline, Shape};
use crate::sandbox::processes;
use crate::sandbox::spec::IdKind;
use crate::sandbox::status::{Call, Proc, SetupError, Status};

/// First argument of a process that is to be a helper. Tested before anything else in `main`.
pub const ARGUMENT: &str = "__sandbox-init";

/// Instead of a descriptor that there is not.
pub(crate) const NONE: &str = "-";

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
    // The line to the first process of namespaces, where a payload with these is expected.
    let direct = match args.next() {
        Some(word) if word == NONE => None,
        Some(word) => word.to_str().and_then(|word| word.parse().ok()),
        None => return Some(refuse()),
    };
    let given = [Some(status), Some(control), direct];
    let mut numbers: Vec<RawFd> = given.into_iter().flatten().collect();
    numbers.sort_unstable();
    if !numbers.is_sorted_by(|one, next| one < next) || numbers.iter().any(|&fd| fd < 3 || !is_open(fd)) {
        return Some(refuse());
    }
    // SAFETY: the executor left exactly these descriptors open for us, nothing else in this process knows them, and
    // they were just seen to be open and not the same, so each gets one owner.
    let own = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
    let (status, control, direct) = (own(status), own(control), direct.map(own));
    help(status, &control, direct);
    if getppid().as_raw() != executor || processes::is_exiting(executor) {
        // It was killed, and cannot clean up any more. Nothing that could write to its folders is alive.
        for folder in args {
            let _ = discard(Path::new(&folder));
        }
        cgroup::clean_up();
    }
    Some(ExitCode::SUCCESS)
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

/// Helps, until the executor lets go. One that has cleaned up behind the payload does not let go, but kills this process:
/// nothing of that needs this program to run, and it is over sooner.
fn help(status: OwnedFd, control: &OwnedFd, direct: Option<OwnedFd>) {
    let status = File::from(status);
    let signals = match prepare() {
        Ok(signals) => signals,
        // The executor starts another helper.
        Err(error) => return say(&status, Status::Failed(error)),
    };
    // What is wrong now will be wrong again when it is needed, and is said then.
    let first = direct.map(|direct| First::start(&status, control, direct));
    let done = Outline::receive(control).and_then(|outline| match outline {
        Some(Outline { shape: Shape::Namespaces(_), .. }) => accompany(first, &status, control, &signals),
        outline => {
            if let Some(Ok(first)) = first {
                first.end();
            }
            // Without one nobody needed us after all.
            outline.map_or(Ok(()), |outline| supervise(outline, &status, control, &signals))
        }
    });
    if let Err(error) = done {
        say(&status, Status::Failed(error));
    }
    drop(status);
    let_go_of_output();
    wait_for_end(control);
}

/// Waits until the executor lets go. Nothing that it says means anything any more.
fn wait_for_end(control: &OwnedFd) {
    while matches!(read(control, &mut [0; 16]), Ok(1..) | Err(Errno::EINTR)) {}
}

fn say(mut status: &File, word: Status) {
    // Nobody is left to hear it when this fails, and then the control socket is closed as well.
    let _ = status.write_all(&word.encode());
}

/// Starts what is asked for, without namespaces, and stays until nothing of it is left.
fn supervise(
    outline: Outline,
    status: &File,
    control: &OwnedFd,
    signals: &SignalFd,
) -> Result<(), SetupError> {
    let shape = outline.shape;
    let reach = match shape {
        Shape::Plain | Shape::Namespaces(_) => Reach::of_this_process(),
        Shape::Free => Reach::Unknown,
    };
    let launched = Launched::start(&outline, IdKind::Own)?;
    drop(outline);
    let told = line::receive_spec(control).and_then(|spec| {
        let told = |spec| {
            launched.tell(&spec)?;
            launched.open(&launched::read(&spec, shape)?)
        };
        spec.map(told).transpose()
    });
    if !matches!(told, Ok(Some(()))) {
        // Nobody wants it any more, or it cannot be had.
        launched.end();
        return told.map(drop);
    }
    let payload = launched.go()?.wait()?;
    let_go_of_output();
    say(status, Status::Started { pid: payload.as_raw(), proc: Proc::Host });
    Helper::new(payload, reach).attend(control, signals, &|word| say(status, word));
    Ok(())
}

/// Goes along with the first process of new namespaces, which starts what is asked for, until nothing of it is left.
fn accompany(
    first: Option<Result<First, SetupError>>,
    status: &File,
    control: &OwnedFd,
    signals: &SignalFd,
) -> Result<(), SetupError> {
    // Whoever asks for one has given its line.
    let first = first.ok_or(SetupError::new(Call::DecodeSpec, Errno::EINVAL))??;
    // The executor may be the one that waits for it.
    let pid = first.pid().to_le_bytes();
    let _ = send(control.as_raw_fd(), &pid, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
    let_go_of_output();
    attend(&first, status, control, signals);
    Ok(())
}

/// Lets go of the streams that were kept for the payload: whoever reads them sees their end when it is dead, and has not to
/// wait for this process.
pub(crate) fn let_go_of_output() {
    let nothing = std::io::stdin();
    // One that cannot be let go of ends with this process.
    let _ = dup2_stdout(&nothing).and_then(|()| dup2_stderr(&nothing));
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
    // The executor has blocked all others, until this.
    watched.thread_set_mask()?;
    SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// Goes along with the first process of new namespaces, which does the work: hands orders on, and ends it when nobody is
/// left to order anything.
fn attend(first: &First, status: &File, control: &OwnedFd, signals: &SignalFd) {
    let mut flags = WaitPidFlag::WNOHANG;
    let ended = loop {
        if flags == WaitPidFlag::WNOHANG {
            let mut ready = [control.as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
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
    if ended == Ended::Killed {
        // The kernel has killed whatever was left, and does not say how much that was.
        say(status, Status::Swept { killed: 0, largest: 0 });
    }
}

/// Hands on the orders that have come. False when the executor is gone.
fn forward(first: &First, control: &OwnedFd) -> bool {
    let mut orders = [0; 16];
    match read(control, &mut orders) {
        Ok(0) => false,
        Ok(count) => {
            orders[..count].iter().for_each(|&byte| first.order(Order::of_byte(byte)));
            true
        }
        Err(Errno::EINTR | Errno::EAGAIN) => true,
        Err(_) => false,
    }
}
