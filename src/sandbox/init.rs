//! The helper: starts one program, reaps whatever it leaves behind, and dies with the executor.
//!
//! Runs in a process of its own with one thread, before anything else of this program has been set up, so that forking
//! and signals are simple. It takes no decisions: what to start stands in the spec, when to stop comes as an order.

#![expect(unsafe_code, reason = "fork, and taking over the descriptors that the executor gave us")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IoSliceMut, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, killpg, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, execve, fork, pipe2, setpgid, setsid};

use crate::sandbox::processes;
use crate::sandbox::spec::Spec;
use crate::sandbox::status::{Call, Status};

/// First argument of a process that is to be a helper. Tested before anything else in `main`.
pub const ARGUMENT: &str = "__sandbox-init";

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

    /// An unknown byte can only be a fault of ours; the safe reading is the last one.
    const fn of_byte(byte: u8) -> Self {
        match byte {
            b'i' => Self::Interrupt,
            b't' => Self::Terminate,
            _ => Self::Kill,
        }
    }
}

/// A failure before the program runs.
struct Failure(Call, Errno);

fn failed(call: Call) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure(call, errno)
}

/// Does the helper's work and returns its exit code, when this process was started as one.
#[must_use]
pub fn run_if_asked(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let _name = args.next();
    if args.next()? != OsStr::new(ARGUMENT) {
        return None;
    }
    let numbers: Vec<RawFd> = args.filter_map(|word| word.to_str()?.parse().ok()).collect();
    let [status, control] = numbers[..] else { return Some(refuse()) };
    if status == control || [status, control].iter().any(|&fd| fd < 3 || !is_open(fd)) {
        return Some(refuse());
    }
    // SAFETY: the executor left exactly these descriptors open for us, nothing else in this process knows them, and
    // they were just seen to be open and not the same, so each gets one owner.
    let [status, control] = [status, control].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    Some(help(status, &control))
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

fn help(status: OwnedFd, control: &OwnedFd) -> ExitCode {
    let mut status = File::from(status);
    let mut say = move |word: Status| {
        // Nobody is left to hear it when this fails, and then the control socket is closed as well.
        let _ = status.write_all(&word.encode());
    };
    let started = prepare().and_then(|signals| match receive(control)? {
        Some(spec) => start(spec).map(|payload| Some((payload, signals))),
        None => Ok(None),
    });
    match started {
        Ok(Some((payload, signals))) => {
            say(Status::Started { pid: payload.as_raw() });
            Helper { payload, reaped: false }.attend(control, &signals, &mut say);
            ExitCode::SUCCESS
        }
        // Nobody needed us after all.
        Ok(None) => ExitCode::SUCCESS,
        Err(Failure(call, errno)) => {
            say(Status::Failed { call, errno });
            ExitCode::FAILURE
        }
    }
}

/// Makes this process what a helper is. Done before it is known what to start, so that it is done in good time.
fn prepare() -> Result<SignalFd, Failure> {
    // The folder that the executor was started in may be unmounted while this process lives.
    chdir("/").map_err(failed(Call::ChangeDirectory))?;
    setsid().map_err(failed(Call::NewSession))?;
    prctl::set_child_subreaper(true).map_err(failed(Call::Subreaper))?;
    prctl::set_dumpable(false).map_err(failed(Call::Subreaper))?;
    watch_signals().map_err(failed(Call::Signals))
}

/// Waits for the spec. Nothing when the executor has closed the socket instead.
fn receive(control: &OwnedFd) -> Result<Option<OwnedFd>, Failure> {
    let mut word = [0];
    let mut parts = [IoSliceMut::new(&mut word)];
    let mut space = nix::cmsg_space!([RawFd; 1]);
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
    let mut received = message.cmsgs().map_err(failed(Call::ReadSpec))?.filter_map(|message| match message {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    let Some(spec) = received.next() else {
        // An order before there was anything to start: the answer to any of them is to end.
        return Ok(None);
    };
    // SAFETY: the kernel has just made this descriptor for us, and there is room for one only.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(spec) }))
}

/// Everything up to the point where the program runs.
fn start(spec: OwnedFd) -> Result<Pid, Failure> {
    let mut bytes = Vec::new();
    let mut file = File::from(spec);
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(|error| {
        Failure(Call::ReadSpec, Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    })?;
    drop(file);
    let spec = Spec::decode(&bytes).map_err(|_| Failure(Call::DecodeSpec, Errno::EINVAL))?;
    drop(bytes);
    let (report, report_end) = pipe2(OFlag::O_CLOEXEC).map_err(failed(Call::Fork))?;
    // SAFETY: this process has one thread, so the child may do anything that the parent could.
    match unsafe { fork() }.map_err(failed(Call::Fork))? {
        ForkResult::Child => {
            drop(report);
            let Failure(call, errno) = payload(&spec);
            let _ = File::from(report_end).write_all(&Status::Failed { call, errno }.encode());
            // SAFETY: ends the process without running the parent's clean-up, which is not this child's to run.
            unsafe { libc::_exit(127) }
        }
        ForkResult::Parent { child } => {
            drop(report_end);
            // The child does the same; whoever comes second finds it done, or the program already running.
            let _ = setpgid(child, child);
            let mut frame = [0; crate::sandbox::status::FRAME];
            match File::from(report).read_exact(&mut frame).ok().and_then(|()| Status::decode(&frame)) {
                Some(Status::Failed { call, errno }) => {
                    let _ = waitpid(child, None);
                    Err(Failure(call, errno))
                }
                // The pipe closed without a word: the program runs.
                _ => Ok(child),
            }
        }
    }
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

/// The program's own process, up to `execve`. Returns only what went wrong.
fn payload(spec: &Spec) -> Failure {
    let prepared = || -> Result<(), Failure> {
        setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(failed(Call::NewSession))?;
        reset_signals().map_err(failed(Call::Signals))?;
        umask(Mode::from_bits_truncate(0o022));
        setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed(Call::Limit))?;
        chdir(spec.cwd.as_c_str()).map_err(failed(Call::ChangeDirectory))?;
        // The status and control pipes lost their close-on-exec flag for our sake; the program must not have them.
        close_on_exec_above_2().map_err(failed(Call::Execute))
    };
    if let Err(failure) = prepared() {
        return failure;
    }
    match execve(&spec.program, &spec.argv, &spec.env) {
        Ok(never) => match never {},
        Err(errno) => Failure(Call::Execute, errno),
    }
}

fn close_on_exec_above_2() -> Result<(), Errno> {
    // SAFETY: marks descriptors, closes none.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(result).map(drop)
}

/// Gives the program the signals that a fresh process has: Rust ignores `SIGPIPE`, and a caller may have ignored more.
fn reset_signals() -> Result<(), Errno> {
    // The kernel's form of "default action, no flags, nothing blocked meanwhile", on every architecture.
    let default = [0_u64; 4];
    for signal in 1..=64_i32 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: restoring the default action installs no handler, and the kernel only reads the 32 bytes. Not through
        // the C library, which keeps two signals to itself that the caller may still have ignored.
        let result = unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8_usize)
        };
        Errno::result(result)?;
    }
    SigSet::empty().thread_set_mask()
}

/// The helper while the program runs.
struct Helper {
    payload: Pid,
    reaped: bool,
}

impl Helper {
    /// Waits for the program, for orders and for orphans, until nothing is left.
    fn attend(mut self, control: &OwnedFd, signals: &SignalFd, say: &mut impl FnMut(Status)) {
        loop {
            let mut ready = [
                PollFd::new(control.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
            let ordered = ready[0].any().unwrap_or(true);
            while let Ok(Some(_)) = signals.read_signal() {}
            self.reap(say);
            if self.reaped {
                break;
            }
            if ordered && !self.obey(control) {
                break;
            }
        }
        let killed = self.sweep(say);
        say(Status::Swept { killed });
    }

    /// Carries out the orders that have come. False when everything is to die.
    fn obey(&self, control: &OwnedFd) -> bool {
        let mut orders = [0; 16];
        match nix::unistd::read(control, &mut orders) {
            // The executor is gone.
            Ok(0) => false,
            Ok(count) => orders[..count].iter().all(|&byte| match Order::of_byte(byte) {
                Order::Interrupt => self.signal(Signal::SIGINT),
                Order::Terminate => self.signal(Signal::SIGTERM),
                Order::Kill => false,
            }),
            Err(Errno::EINTR | Errno::EAGAIN) => true,
            Err(_) => false,
        }
    }

    fn signal(&self, signal: Signal) -> bool {
        // A group without members is not an error: its end is on its way to us.
        let _ = killpg(self.payload, signal);
        true
    }

    /// Collects everything that has ended, and says how the program did.
    fn reap(&mut self, say: &mut impl FnMut(Status)) -> Reaped {
        let mut count = 0;
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return Reaped::SomeAlive(count),
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(_) => return Reaped::NoneLeft(count),
            };
            match status {
                WaitStatus::Exited(pid, code) if pid == self.payload => {
                    self.reaped = true;
                    say(Status::Exited { code });
                }
                WaitStatus::Signaled(pid, signal, _) if pid == self.payload => {
                    self.reaped = true;
                    say(Status::Signaled { signal: signal as i32 });
                }
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => count += 1,
                _ => {}
            }
        }
    }

    /// Kills everything below this process. Orphans come to us however often they fork, so it ends when `waitpid`
    /// finds no child. Whole process groups are killed at once: the kernel lets no member of one fork meanwhile, which
    /// a walk over single processes could lose against a fork bomb.
    fn sweep(&mut self, say: &mut impl FnMut(Status)) -> i32 {
        let mut killed = 0;
        loop {
            match self.reap(say) {
                Reaped::NoneLeft(count) => return killed + count,
                Reaped::SomeAlive(count) => killed += count,
            }
            let _ = killpg(self.payload, Signal::SIGKILL);
            for (pid, group) in processes::groups_below(std::process::id().cast_signed()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                if group > 1 && group != std::process::id().cast_signed() {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
            }
        }
    }
}

/// What is left after a round of reaping, with the number of processes that it collected, the program not counted.
enum Reaped {
    SomeAlive(i32),
    NoneLeft(i32),
}
