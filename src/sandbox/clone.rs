//! Creating a process by the kernel's own calls: in new namespaces, in a control group from its first moment, or in the memory of
//! this process.
//!
//! Moving a process that runs was rejected for the usual way: the kernel then waits until every processor has noticed, and
//! that takes longer than all the rest of a sandbox.

#![expect(unsafe_code, reason = "processes are created")]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, write};

/// Whose thread goes on.
pub(crate) enum Side {
    /// The one that called, with the new process's id.
    Parent(Pid),
    /// The new one. An error says that it is not in its group.
    Child(Result<(), Errno>),
}

/// Like `fork`, in new namespaces as `flags` say, and in `group` when there is one: the folder of a control group.
///
/// # Errors
/// Returns the kernel's word. The child never sees an error here.
pub(crate) fn process(flags: libc::c_int, group: Option<BorrowedFd<'_>>) -> Result<Side, Errno> {
    let Some(group) = group else { return simple(flags) };
    if let Ok(side) = into(flags, group) {
        return Ok(side);
    }
    // A kernel before 5.7, or a container whose filter does not know the call. What else it may be is said by this way.
    // Opened here, because the kernel asks who opened it: in its new namespaces the child is somebody else.
    let members = openat(group, c"cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
    Ok(match simple(flags)? {
        Side::Child(_) => Side::Child(members.and_then(|members| write(members, b"0").map(drop))),
        parent @ Side::Parent(_) => parent,
    })
}

fn simple(flags: libc::c_int) -> Result<Side, Errno> {
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    // SAFETY: without a stack of its own the child goes on with a copy of everything, as after `fork`; whoever calls has
    // one thread, so the copy is whole.
    side(unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) })
}

fn into(flags: libc::c_int, group: BorrowedFd<'_>) -> Result<Side, Errno> {
    const INTO_CGROUP: u64 = 1 << 33;
    let number = |value: libc::c_int| u64::from(value.cast_unsigned());
    // SAFETY: all bytes 0 are a valid value of this plain structure.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = number(flags) | INTO_CGROUP;
    args.exit_signal = number(libc::SIGCHLD);
    args.cgroup = number(group.as_raw_fd());
    // SAFETY: as for `clone` above; the kernel reads the structure in its whole length.
    side(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) })
}

fn side(result: libc::c_long) -> Result<Side, Errno> {
    let pid = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    Ok(if pid == 0 { Side::Child(Ok(())) } else { Side::Parent(Pid::from_raw(pid)) })
}

/// Bytes of a [`Stack`]. What runs on one needs a few hundred.
const STACK: usize = 32 << 10;

/// The stack of a process that runs in the memory of this one.
#[derive(Debug)]
pub(crate) struct Stack(Box<[MaybeUninit<u128>]>);

impl Stack {
    /// One that nobody uses.
    pub(crate) fn new() -> Self {
        Self(Box::new_uninit_slice(STACK / size_of::<u128>()))
    }
}

/// Creates a process that calls `run` with `argument` in the memory of this one, as a thread would, and with all signals blocked:
/// a handler of this process must not run in the other one.
///
/// # Safety
/// The stack, and what `run` reads, must stay where they are until that process has executed another program or has been waited
/// for. `run` may make calls of the kernel and nothing else: any thread of this process may hold any lock, the allocator's for
/// one. A call that fails in it is seen by the calling thread, in so far as it may spoil the reason of one that fails there.
pub(crate) unsafe fn beside(
    flags: libc::c_int,
    stack: &mut Stack,
    run: extern "C" fn(*mut libc::c_void) -> libc::c_int,
    argument: *mut libc::c_void,
) -> Result<Pid, Errno> {
    // It grows downwards everywhere.
    let top = stack.0.as_mut_ptr_range().end;
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the new process has a stack of its own, which is aligned as the processors want it; whoever calls promises the rest.
    let pid = unsafe { libc::clone(run, top.cast(), flags | libc::CLONE_VM | libc::SIGCHLD, argument) };
    let pid = Errno::result(pid).map(Pid::from_raw);
    mask.thread_set_mask()?;
    pid
}
