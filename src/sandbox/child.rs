//! The executor's side of what has been started: what is heard of it, and what can be done to it.

#![expect(unsafe_code, reason = "taking over descriptors that the kernel has made")]

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsFd as _, AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, Shutdown, recvmsg, send, shutdown};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sandbox::init::Order;
use crate::sandbox::line;
use crate::sandbox::outline::{Outline, Shape};
use crate::sandbox::process::Process;
use crate::sandbox::processes;
use crate::sandbox::strays::helpers;

/// How long a helper may take to end by itself when nobody wants it any more.
const GOODBYE: Duration = Duration::from_millis(200);

/// How long the first process of dead namespaces may take to be gone, in milliseconds.
const DYING: u16 = 1_000;

/// A child that was asked for. Its helper has been started; whether the program has, its status pipe tells.
#[derive(Debug)]
pub struct Child {
    process: Process,
    control: OwnedFd,
    /// The line to the first process of the program's namespaces. It is told by this what it is to start: it would have to wait
    /// for the helper, which is often on the same processor.
    direct: Option<OwnedFd>,
    reaped: bool,
    /// The folder of the program's own files, when it has come and nobody has asked for it yet.
    files: Option<OwnedFd>,
    /// The first process of the program's namespaces, when it is known.
    first: Option<Pid>,
    /// The program's standard output.
    pub stdout: OwnedFd,
    /// The program's standard error.
    pub stderr: OwnedFd,
    /// Frames of [`crate::sandbox::status::Status`], until there is nothing more to say of the program.
    pub status: OwnedFd,
}

impl Child {
    /// One whose helper has been started, with its ends of the pipes.
    pub(super) fn new(
        process: Process,
        (control, direct): (OwnedFd, Option<OwnedFd>),
        [stdout, stderr, status]: [OwnedFd; 3],
    ) -> Self {
        Self { process, control, direct, reaped: false, files: None, first: None, stdout, stderr, status }
    }

    /// Waits until something has been said of it, as long as `patience` lasts, in milliseconds: that it runs, or why it does not.
    /// Whoever has something to do meanwhile does it better afterwards: it would take a processor from those who start it.
    pub fn wait_for_news(&self, patience: u8) {
        // Whatever this says, the status pipe says it again.
        let _ = poll(&mut [PollFd::new(self.status.as_fd(), PollFlags::POLLIN)], patience);
    }

    /// Process id of the helper.
    #[must_use]
    pub fn helper(&self) -> i32 {
        self.process.id()
    }

    /// Tells in outline what is to be started. `ENOTCONN`: by one that has no namespaces ready.
    pub(super) fn announce(&self, outline: &Outline) -> Result<(), Errno> {
        let first = outline.send(self.line(outline.shape)?);
        match outline.shape {
            Shape::Free | Shape::Plain => first,
            // The helper says why there is no first process.
            Shape::Namespaces(_) => outline.send(&self.control).and(first),
        }
    }

    /// Hands over what is to be started, which was announced in this shape.
    pub(super) fn hand_over(&self, spec: &File, shape: Shape) -> Result<(), Errno> {
        line::pass_spec(self.line(shape)?, spec)
    }

    /// Hands over what only this process can give of the payload's world.
    pub(super) fn provide(&self, sources: &[OwnedFd], shape: Shape) -> Result<(), Errno> {
        line::pass_all(self.line(shape)?, sources)
    }

    /// The line to whoever starts what has this shape.
    fn line(&self, shape: Shape) -> Result<&OwnedFd, Errno> {
        match shape {
            Shape::Free | Shape::Plain => Ok(&self.control),
            Shape::Namespaces(_) => self.direct.as_ref().ok_or(Errno::ENOTCONN),
        }
    }

    /// The folder that the program sees as [`crate::sandbox::layout::Layout::files`], where it has a file system of its own.
    /// It can be read until this descriptor is closed, also when the sandbox is gone; before that, the program can still
    /// write there. Taken once: nothing the second time, and nothing before the program has been started.
    #[must_use]
    pub fn private_files(&mut self) -> Option<OwnedFd> {
        self.listen();
        self.files.take()
    }

    /// Hears everything that has come by the control socket: the folder of the program's own files, and which process is the
    /// first of its namespaces.
    fn listen(&mut self) {
        let mut word = [0; size_of::<i32>()];
        loop {
            let mut parts = [IoSliceMut::new(&mut word)];
            let mut space = nix::cmsg_space!([RawFd; 1]);
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
            let received = recvmsg::<()>(self.control.as_raw_fd(), &mut parts, Some(&mut space), flags);
            let message = match received {
                Ok(message) => message,
                // The other end has gone with something unread; what it has said before is still there.
                Err(Errno::EINTR | Errno::ECONNRESET) => continue,
                Err(_) => return,
            };
            let length = message.bytes;
            let folder = message.cmsgs().ok().and_then(|mut messages| {
                messages.find_map(|message| match message {
                    ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
                    _ => None,
                })
            });
            match (folder, length) {
                // SAFETY: the kernel has just made this descriptor for us, and there is room for one only.
                (Some(folder), _) => self.files = Some(unsafe { OwnedFd::from_raw_fd(folder) }),
                (None, 0) => return,
                (None, _) if length == size_of::<i32>() => {
                    self.first = Some(Pid::from_raw(i32::from_le_bytes(word)));
                }
                // The folder, when this process has no room for another descriptor.
                (None, _) => {}
            }
        }
    }

    /// Gives the helper an order. An order to a helper that is gone is no error: its status pipe tells that story.
    pub fn order(&self, order: Order) {
        let _ =
            send(self.control.as_raw_fd(), &[order.byte()], MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
        // A script of the same user may have stopped its helper.
        let _ = kill(Pid::from_raw(self.helper()), Signal::SIGCONT);
    }

    /// Kills the helper and everything below it from outside. For a helper that does not answer [`Order::Kill`].
    pub fn force_kill(&self) {
        let helper = self.helper();
        for pid in processes::descendants(helper) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = kill(Pid::from_raw(helper), Signal::SIGKILL);
    }

    /// Ends the helper and waits for it. To be called when it has said its last word (that nothing of the program is left, or
    /// why it does not run) or has closed its status pipe, and when everything that a killed executor must not leave behind is
    /// gone: until then the helper is there to remove it.
    pub fn reap(&mut self) {
        if std::mem::replace(&mut self.reaped, true) {
            return;
        }
        // Asked to end it would only take longer.
        self.process.kill();
        // Taken off the list first: once it is reaped, its id may be that of another process.
        helpers().remove(&self.helper());
        self.process.wait();
        self.listen();
        if let Some(first) = self.first {
            reap_dying(first);
        }
    }

    /// Tells the helper to end. It kills what is still there.
    fn let_go(&self) {
        let _ = shutdown(self.control.as_raw_fd(), Shutdown::Write);
        // A script of the same user may have stopped it.
        let _ = kill(Pid::from_raw(self.helper()), Signal::SIGCONT);
    }
}

/// Waits for a process that ends, and is a child of this one now, unless its helper was faster, or whoever swept strays. Not
/// for ever: something in its namespaces may sit in a call of the kernel. Then a sweep will find it.
fn reap_dying(pid: Pid) {
    {
        // While this is held, nobody can be started whose id this one could be by now.
        let helpers = helpers();
        let is_ours = || waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive);
        if helpers.contains(&pid.as_raw()) || !is_ours() {
            return;
        }
        let _ = kill(pid, Signal::SIGKILL);
    }
    // SAFETY: the call takes two numbers, and what it returns is a new descriptor.
    let end = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) });
    if let Some(end) = end.ok().and_then(|end| RawFd::try_from(end).ok()) {
        // SAFETY: the kernel has just made this descriptor for us.
        let end = unsafe { OwnedFd::from_raw_fd(end) };
        let _ = poll(&mut [PollFd::new(end.as_fd(), PollFlags::POLLIN)], DYING);
    }
    let start = Instant::now();
    while waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
        if start.elapsed() > Duration::from_millis(DYING.into()) {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Whoever forgets a child must not leave it running. After `reap` this finds nothing to do.
        if self.process.has_ended() {
            return self.reap();
        }
        self.let_go();
        let start = Instant::now();
        while start.elapsed() < GOODBYE {
            if self.process.has_ended() {
                return self.reap();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.force_kill();
        self.reap();
    }
}
