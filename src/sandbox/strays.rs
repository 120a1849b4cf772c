//! Processes that have come to this one because their helper was killed, and the list of helpers that tells them apart.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sandbox::processes;

/// Pause before it is looked again whether what was killed is dead.
const PAUSE: Duration = Duration::from_millis(1);

/// Helpers that have been started and not reaped. Held while a child is started.
static HELPERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// The list. Nothing can be started while it is held.
pub(crate) fn helpers() -> MutexGuard<'static, BTreeSet<i32>> {
    HELPERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills and reaps processes that have come to this process because their helper was killed. Helpers at work and what
/// is below them stay. Gives up after `patience`.
pub fn sweep_strays(patience: Duration) {
    let start = Instant::now();
    let me = std::process::id().cast_signed();
    while start.elapsed() < patience {
        // Nothing can be started meanwhile, so every child that is not on the list is a stray.
        let helpers = helpers();
        let strays: Vec<i32> =
            processes::children_of(me).into_iter().filter(|pid| !helpers.contains(pid)).collect();
        if strays.is_empty() {
            break;
        }
        let mut dying = false;
        for stray in strays {
            // What it has started itself would only come to this process one by one.
            for pid in processes::descendants(stray).into_iter().chain([stray]) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            // Not until it is dead: one that sits in a call of the kernel would hold up everything here for as long.
            let waited = waitpid(Pid::from_raw(stray), Some(WaitPidFlag::WNOHANG));
            dying |= matches!(waited, Ok(WaitStatus::StillAlive));
        }
        if dying {
            std::thread::sleep(PAUSE);
        }
    }
}
