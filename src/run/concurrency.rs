//! One run of a group at a time on a host: a lock file that the kernel releases when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::id::Sha256;
use crate::plan::model::ConcurrencyPlan;
use crate::run::stop::{Stopped, Urgency};
use crate::sandbox::processes;

/// How often a taken lock is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// A held group. Dropping it lets the next run in.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "held for its Drop, which unlocks the file")] Flock<File>);

/// Why a group could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock file cannot be used.
    #[error("failed to use the lock file {path} of the concurrency group {group:?}")]
    File {
        /// The file.
        path: PathBuf,
        /// The group.
        group: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The run was cancelled while it waited.
    #[error("cancelled while waiting for the concurrency group {0:?}")]
    Cancelled(String),
}

/// Waits until no other run on this host holds the group. `waiting` is told who holds it, and told again when
/// that is somebody else.
///
/// # Errors
/// Fails when the lock file cannot be used or the run is cancelled meanwhile.
pub async fn hold(
    plan: &ConcurrencyPlan,
    state: &Path,
    stopped: &mut Stopped,
    mut waiting: impl FnMut(Option<i32>),
) -> Result<Held, LockError> {
    let folder = state.join("locks");
    let path = folder.join(format!("{}.lock", &Sha256::of(plan.group.as_bytes()).to_string()[..32]));
    let failed = |source| LockError::File { path: path.clone(), group: plan.group.clone(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    let mut told = None;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                note_holder(&mut held, &plan.group).map_err(failed)?;
                return Ok(Held(held));
            }
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        // A run that waits as well may have got in before this one, and then it is the next to wait for.
        let holder = holder(&mut file);
        if told.is_none() || (holder.is_some() && told != Some(holder)) {
            told = Some(holder);
            waiting(holder);
            if let Some(pid) = holder.filter(|_| plan.cancel_in_progress) {
                // Its start time was compared, so this is still the run that took the lock.
                let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stopped.wait_for(|stop| stop.urgency > Urgency::Go) => {
                return Err(LockError::Cancelled(plan.group.clone()));
            }
        }
    }
}

/// Writes who holds the lock: process id and start time, because ids are reused.
fn note_holder(file: &mut File, group: &str) -> io::Result<()> {
    let pid = std::process::id().cast_signed();
    let started = processes::start_time(pid).unwrap_or(0);
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{pid} {started} {}", group.escape_default())
}

fn holder(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(256).read_to_string(&mut text).ok()?;
    let mut words = text.split_ascii_whitespace();
    let pid: i32 = words.next()?.parse().ok()?;
    let started: u64 = words.next()?.parse().ok()?;
    (pid > 1 && processes::start_time(pid) == Some(started)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::stop::{Stopper, Why};

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn group(name: &str) -> ConcurrencyPlan {
        ConcurrencyPlan { group: name.to_owned(), cancel_in_progress: false }
    }

    #[test]
    fn a_second_run_waits_is_told_the_holder_and_gets_in_after_it() {
        block_on(async {
            let state = tempfile::tempdir().unwrap();
            let (_stopper, mut stopped) = Stopper::new();
            let first = hold(&group("a"), state.path(), &mut stopped, |_| panic!("free")).await.unwrap();
            let mut told = None;
            let second = {
                let mut listener = stopped.clone();
                let folder = state.path().to_owned();
                let plan = group("a");
                let waiting = hold(&plan, &folder, &mut listener, |holder| told = holder);
                tokio::pin!(waiting);
                assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err());
                drop(first);
                waiting.await
            };
            assert!(second.is_ok());
            assert_eq!(told, Some(std::process::id().cast_signed()));
        });
    }

    #[test]
    fn other_groups_do_not_wait_and_a_cancel_ends_the_wait() {
        block_on(async {
            let state = tempfile::tempdir().unwrap();
            let (stop, mut stopped) = Stopper::new();
            let _first = hold(&group("a"), state.path(), &mut stopped, |_| {}).await.unwrap();
            let _other = hold(&group("b"), state.path(), &mut stopped, |_| panic!("free")).await.unwrap();
            stop.stop(Why::Asked);
            let result = hold(&group("a"), state.path(), &mut stopped, |_| {}).await;
            assert!(matches!(result, Err(LockError::Cancelled(_))));
        });
    }
}
