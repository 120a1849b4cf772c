//! The process of a helper, as the executor sees it: started, killed, waited for.
//!
//! It is started without waiting until its program has been loaded, which the standard library does in every way that it has:
//! the executor has something else to do, and the kernel often wakes up whoever waits for that on the wrong processor. A plain
//! `fork` was rejected: it copies tables of pages, and then pages, on both sides. So until its program has been loaded the new
//! process runs in the memory of this one, as a thread would.

#![expect(unsafe_code, reason = "a process is created that executes another program")]

use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::ptr::{self, NonNull};

use nix::errno::Errno;
use nix::sched::sched_yield;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sandbox::clone::{self, Stack};
use crate::sandbox::status::{Call, SetupError, Status};

/// What a helper is started with.
pub(super) struct Start {
    /// Its program.
    pub(super) program: CString,
    /// Its words, the first of which is its name. Its environment is empty.
    pub(super) words: Vec<OsString>,
    /// What it has as standard input, output and error.
    pub(super) streams: [OwnedFd; 3],
    /// Where it says how it does. Left open in it by the same number as here.
    pub(super) status: OwnedFd,
    /// What else is left open in it.
    pub(super) kept: Vec<OwnedFd>,
}

/// A process that was started here.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// What it may be using. Nothing once it has been waited for: its id may be that of another process then. Whoever does not
    /// wait for it leaves it that.
    image: Option<NonNull<Image>>,
}

/// What a process needs until its program has been loaded.
#[derive(Debug)]
struct Image {
    program: CString,
    /// What `words` points to.
    _texts: Vec<CString>,
    words: Vec<*const libc::c_char>,
    streams: [RawFd; 3],
    status: RawFd,
    kept: Vec<RawFd>,
    stack: Stack,
}

// SAFETY: nothing but the new process reads the image, and whoever drops it is the only one who has it.
unsafe impl Send for Process {}

// SAFETY: as above.
unsafe impl Sync for Process {}

impl Process {
    /// Starts it. All signals are blocked in it until it decides otherwise.
    pub(super) fn start(start: Start) -> Result<Self, Errno> {
        let Start { program, words, streams, status, kept } = start;
        let texts = words.into_iter().map(|word| CString::new(word.into_vec()));
        let texts = texts.collect::<Result<Vec<_>, _>>().map_err(|_| Errno::EINVAL)?;
        let image = Box::new(Image {
            program,
            words: texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect(),
            _texts: texts,
            streams: streams.each_ref().map(AsRawFd::as_raw_fd),
            status: status.as_raw_fd(),
            kept: [&status].into_iter().chain(&kept).map(AsRawFd::as_raw_fd).collect(),
            stack: Stack::new(),
        });
        let image = Box::into_raw(image);
        // SAFETY: the image stays where it is until the process has been waited for, and `become_helper` keeps to what it may do.
        let pid = unsafe { clone::beside(0, &mut (*image).stack, become_helper, image.cast()) };
        let image = NonNull::new(image).ok_or(Errno::EFAULT)?;
        // It has copies of all descriptors by now.
        drop((streams, status, kept));
        // The kernel often leaves it on this processor, though another one is idle, and takes it there when it executes its
        // program: this process would keep it from that for as long as it has something to do.
        let _ = sched_yield();
        match pid {
            Ok(pid) => Ok(Self { pid, image: Some(image) }),
            Err(errno) => {
                free(image);
                Err(errno)
            }
        }
    }

    /// Its id.
    pub(super) const fn id(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        if self.image.is_some() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self) {
        while !self.reap(None) {}
    }

    /// Whether it has ended. It has been waited for then.
    pub(super) fn has_ended(&mut self) -> bool {
        self.reap(Some(WaitPidFlag::WNOHANG))
    }

    fn reap(&mut self, flags: Option<WaitPidFlag>) -> bool {
        let Some(image) = self.image else { return true };
        // One that is not ours any more is as good as reaped.
        let ended = !matches!(waitpid(self.pid, flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR));
        if ended {
            self.image = None;
            free(image);
        }
        ended
    }
}

fn free(image: NonNull<Image>) {
    // SAFETY: it comes from a box, and nobody uses it any more.
    drop(unsafe { Box::from_raw(image.as_ptr()) });
}

/// Becomes the program of an [`Image`], and else says what has kept this process from it.
///
/// Its memory is that of the executor, whose threads run on: there are calls of the kernel here and nothing else, no lock is
/// taken and nothing is written but this stack, and the executor's word for what a call of this thread has failed with, when one
/// fails here.
extern "C" fn become_helper(image: *mut libc::c_void) -> libc::c_int {
    // SAFETY: it is what `start` has given, and nobody writes to it.
    let image = unsafe { &*image.cast::<Image>() };
    let error = SetupError::at(Call::Helper, image.program.to_bytes(), execute(image));
    let frame = Status::Failed(error).encode();
    // SAFETY: the frame is as long as is said, and the descriptor was left open for this. Who ends does it without the
    // clean-up of the executor.
    unsafe {
        libc::write(image.status, frame.as_ptr().cast(), frame.len());
        libc::_exit(127)
    }
}

fn execute(image: &Image) -> Errno {
    // What a Rust program opens is above these three, which are never closed.
    for (stream, &fd) in (0..).zip(&image.streams) {
        // SAFETY: the numbers are those of open descriptors, and nobody owns the first three.
        if unsafe { libc::dup2(fd, stream) } == -1 {
            return Errno::last();
        }
    }
    for &fd in &image.kept {
        // SAFETY: takes a flag off a descriptor that is open.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } == -1 {
            return Errno::last();
        }
    }
    let environment = [ptr::null()];
    // SAFETY: all are texts that end with a NUL byte, and both lists end with a null pointer.
    unsafe { libc::execve(image.program.as_ptr(), image.words.as_ptr(), environment.as_ptr()) };
    Errno::last()
}
