//! The payload's own process, from its first moment to `execve`. It only gives things up, in an order in which each step
//! can still be done. It must not know how its process came about.

#![expect(unsafe_code, reason = "calls that the C libraries have no functions for, or keep signals from")]

use std::ffi::CStr;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, chdir, execve, setpgid, setsid};

use crate::sandbox::landlock::{self, Access, Tcp};
use crate::sandbox::privileges;
use crate::sandbox::seccomp::Program;
use crate::sandbox::spec::{Confined, Ending, Limit, Spec};
use crate::sandbox::status::{Call, SetupError};

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// Gives up what ties this process to the one that it comes from. Needs nothing of the payload's world, nor more of its spec than
/// whether it is `confined`.
pub(crate) fn prepare(confined: bool) -> Result<(), SetupError> {
    reset_signals().map_err(failed(Call::Signals))?;
    umask(Mode::from_bits_truncate(0o022));
    // Every other pipe lost its close-on-exec flag for the helper's sake; the program must not have them.
    close_on_exec_above_2().map_err(failed(Call::Execute))?;
    if confined {
        setsid().map_err(failed(Call::NewSession))?;
        new_keyring();
    } else {
        setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(failed(Call::NewSession))?;
    }
    Ok(())
}

/// Confines this process to its world. `allowed` is what Landlock allows.
pub(crate) fn confine(spec: &Spec, allowed: &[(impl AsFd, Access)]) -> Result<(), SetupError> {
    if spec.world().is_none() {
        // As the user that this process is by now: it gives up its rights below.
        enter(spec)?;
    }
    match &spec.confined {
        None => lower(Limit::Core, 0).map_err(failed(Call::Limit)),
        Some(confined) => restrict(confined, allowed),
    }
}

/// Enters the folder where the program starts, which may lead through links of a repository.
fn enter(spec: &Spec) -> Result<(), SetupError> {
    chdir(spec.cwd.as_c_str()).map_err(|errno| at(Call::ChangeDirectory, &spec.cwd, errno))
}

/// Becomes the program. Returns without an error only from a trial.
pub(crate) fn become_program(spec: &Spec) -> Result<(), SetupError> {
    if spec.world().is_some() {
        // Not before its world is sealed: until then a link to `/..` leads to the host.
        enter(spec)?;
    }
    match spec.ending {
        Ending::Trial => Ok(()),
        Ending::Execute => match execve(&spec.program, &spec.argv, &spec.env) {
            Ok(never) => match never {},
            Err(errno) => Err(at(Call::Execute, &spec.program, errno)),
        },
    }
}

fn at(call: Call, path: &CStr, errno: Errno) -> SetupError {
    SetupError::at(call, path.to_bytes(), errno)
}

fn restrict(confined: &Confined, allowed: &[(impl AsFd, Access)]) -> Result<(), SetupError> {
    for &(limit, value) in &confined.limits {
        lower(limit, value).map_err(failed(Call::Limit))?;
    }
    if confined.world.is_none() {
        privileges::give_up()?;
    }
    if let Some(rules) = &confined.landlock {
        let tcp = rules.ports.as_deref().map_or(Tcp::Any, Tcp::Only);
        landlock::restrict(allowed, tcp, rules.sockets)
            .map_err(|error| SetupError::new(Call::Landlock, error.errno()))?;
    }
    if let Some(path) = &confined.tripwire {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        if open(path.as_c_str(), flags, Mode::empty()).is_ok() {
            return Err(at(Call::Tripwire, path, Errno::ENOTRECOVERABLE));
        }
    }
    let filter = Program::from_bytes(&confined.filter.0);
    let filter = filter.ok_or(SetupError::new(Call::Filter, Errno::EINVAL))?;
    filter.install().map_err(failed(Call::Filter))
}

/// Lowers a limit, never beyond what this process may have itself.
fn lower(limit: Limit, value: u64) -> Result<(), Errno> {
    let resource = match limit {
        Limit::Core => Resource::RLIMIT_CORE,
        Limit::Files => Resource::RLIMIT_NOFILE,
        Limit::LockedMemory => Resource::RLIMIT_MEMLOCK,
        Limit::MessageQueues => Resource::RLIMIT_MSGQUEUE,
        Limit::Data => Resource::RLIMIT_DATA,
        Limit::Cpu => Resource::RLIMIT_CPU,
        Limit::Processes => Resource::RLIMIT_NPROC,
    };
    let (_, most) = getrlimit(resource)?;
    setrlimit(resource, value.min(most), value.min(most))
}

/// Keys of the caller's session stay with the caller. A kernel or a container without keyrings has none to keep.
fn new_keyring() {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: without a name the call takes no memory.
    let _ =
        unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
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
