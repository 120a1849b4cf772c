//! The helper while a payload without namespaces runs: it reaps, obeys, and in the end kills whatever is left.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::signalfd::SignalFd;
use nix::unistd::{Pid, getppid};

use crate::sandbox::init::Order;
use crate::sandbox::landlock;
use crate::sandbox::memory;
use crate::sandbox::processes::{self, wait_any};
use crate::sandbox::status::Status;
use crate::sandbox::usage::largest_child;

/// Whom a signal to everybody would reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only what this process starts: a Landlock domain holds its signals, and that was seen.
    Own,
    /// Perhaps every process of this user.
    Unknown,
}

impl Reach {
    /// Confines the signals of this process as far as the kernel can.
    pub(crate) fn of_this_process() -> Self {
        // The executor is outside and may be signalled by its own user, and by root, unless the domain forbids it.
        let held = landlock::confine_signals().is_ok() && kill(getppid(), None) == Err(Errno::EPERM);
        if held { Self::Own } else { Self::Unknown }
    }
}

/// The helper while the program runs.
pub(crate) struct Helper {
    payload: Pid,
    reach: Reach,
    reaped: bool,
}

impl Helper {
    pub(crate) const fn new(payload: Pid, reach: Reach) -> Self {
        Self { payload, reach, reaped: false }
    }

    /// Waits for the program, for orders and for orphans, until nothing is left.
    pub(crate) fn attend(mut self, control: &OwnedFd, signals: &SignalFd, say: &impl Fn(Status)) {
        loop {
            let mut ready = [
                PollFd::new(control.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            match memory::wait(&mut ready) {
                Ok(()) | Err(Errno::EINTR) => {}
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
        say(Status::Swept { killed, largest: largest_child() });
    }

    /// Carries out the orders that have come. False when everything is to die.
    fn obey(&self, control: &OwnedFd) -> bool {
        let mut orders = [0; 16];
        match nix::unistd::read(control, &mut orders) {
            // The executor is gone.
            Ok(0) => false,
            Ok(count) => {
                orders[..count].iter().all(|&byte| match Order::of_byte(byte).signal() {
                    Some(signal) => {
                        // A group without members is not an error: its end is on its way to us.
                        let _ = killpg(self.payload, signal);
                        true
                    }
                    None => false,
                })
            }
            Err(Errno::EINTR | Errno::EAGAIN) => true,
            Err(_) => false,
        }
    }

    /// Collects everything that has ended, and says how the program did.
    fn reap(&mut self, say: &impl Fn(Status)) -> Reaped {
        let mut count = 0;
        loop {
            match wait_any(false) {
                Ok(Some(ended)) if ended.pid == self.payload.as_raw() => {
                    self.reaped = true;
                    say(ended.status);
                }
                Ok(Some(_)) => count += 1,
                Ok(None) => return Reaped::SomeAlive(count),
                Err(_) => return Reaped::NoneLeft(count),
            }
        }
    }

    /// Kills everything below this process. Orphans come to us however often they fork, so it ends when `waitpid`
    /// finds no child. Whole process groups are killed at once: the kernel lets no member of one fork meanwhile, which
    /// a walk over single processes could lose against a fork bomb.
    fn sweep(&mut self, say: &impl Fn(Status)) -> i32 {
        let mut killed = 0;
        loop {
            match self.reap(say) {
                Reaped::NoneLeft(count) => return killed + count,
                Reaped::SomeAlive(count) => killed += count,
            }
            if self.reach == Reach::Own {
                let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
                continue;
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
