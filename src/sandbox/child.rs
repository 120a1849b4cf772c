//! The executor's side of what has been started: what is heard of it, and what can be done to it.

#![expect(unsafe_code, reason = "taking over a descriptor that came by a socket")]

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
use crate::sandbox::processes;
use crate::sandbox::spawn::Task;
use crate::sandbox::strays::helpers;

/// How long a helper may take to end by itself when nobody wants it any more.
const GOODBYE: Duration = Duration::from_millis(200);

/// A child that was asked for. Its helper has been started; whether the program has, its status pipe tells.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    control: OwnedFd,
    reaped: bool,
    /// The folder of the program's own files, when it has come and nobody has asked for it yet.
    files: Option<OwnedFd>,
    /// The first process of the program's namespaces, when it is known.
    first: Option<Pid>,
    /// The program's standard output.
    pub stdout: OwnedFd,
    /// The program's standard error.
    pub stderr: OwnedFd,
    /// Frames of [`crate::sandbox::status::Status`], until the helper ends.
    pub status: OwnedFd,
}

impl Child {
    /// One whose helper has been started, with its ends of the pipes.
    pub(super) fn new(
        process: std::process::Child,
        control: OwnedFd,
        [stdout, stderr, status]: [OwnedFd; 3],
    ) -> Self {
        Self { process, control, reaped: false, files: None, first: None, stdout, stderr, status }
    }

    /// Waits until its world has been built or it has said something, as long as `patience` lasts, in milliseconds. Whoever
    /// has something to do meanwhile does it better afterwards: it would take a processor from those who build.
    pub fn wait_for_world(&mut self, patience: u8) {
        let due = Instant::now() + Duration::from_millis(patience.into());
        while self.files.is_none() {
            let mut ready =
                [&self.control, &self.status].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
            let heard = poll(&mut ready, patience).is_ok_and(|count| count > 0);
            if !heard || ready[1].any().unwrap_or(true) || Instant::now() >= due {
                return;
            }
            self.listen();
        }
    }

    /// Process id of the helper.
    #[must_use]
    pub fn helper(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// Gives the helper what it is to start, and the folder of the control group that it belongs in.
    pub(super) fn hand_over(&self, task: &Task, group: Option<&OwnedFd>) -> Result<(), Errno> {
        let descriptors: Vec<RawFd> =
            [Some(&task.spec), group].into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
        line::pass(&self.control, task.word, &descriptors)
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
            let Ok(message) = received else { return };
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
                (None, _) => self.first = Some(Pid::from_raw(i32::from_le_bytes(word))),
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

    /// Ends the helper and waits for it. To be called when it has said that nothing of the program is left, or has closed its
    /// status pipe, and when everything that a killed executor must not leave behind is gone: until then the helper is there to
    /// remove it.
    pub fn reap(&mut self) {
        if std::mem::replace(&mut self.reaped, true) {
            return;
        }
        // Asked to end it would only take longer.
        let _ = self.process.kill();
        // Taken off the list first: once it is reaped, its id may be that of another process.
        helpers().remove(&self.helper());
        // Not ours any more is as good as reaped.
        let _ = self.process.wait();
        self.listen();
        if let Some(first) = self.first
            && !helpers().contains(&first.as_raw())
        {
            // On its way out, and a child of this process now, unless the helper was faster, or whoever swept strays.
            if waitpid(first, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
                let _ = kill(first, Signal::SIGKILL);
                let _ = waitpid(first, None);
            }
        }
    }

    /// Tells the helper to end. It kills what is still there.
    fn let_go(&self) {
        let _ = shutdown(self.control.as_raw_fd(), Shutdown::Write);
        // A script of the same user may have stopped it.
        let _ = kill(Pid::from_raw(self.helper()), Signal::SIGCONT);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Whoever forgets a child must not leave it running. After `reap` this finds nothing to do.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return self.reap();
        }
        self.let_go();
        let start = Instant::now();
        while start.elapsed() < GOODBYE {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return self.reap();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.force_kill();
        self.reap();
    }
}
