//! Control groups (version 2): limits that hold for all processes of a step together, and a kill that none escapes.
//!
//! The executor makes a group a step beside or below its own and removes it when the step is over; the step's program is
//! created in it, while the processes of ours that supervise it stay outside. What the host does not delegate is named with what would mend it. Must not know
//! what a limit is for; reads and writes only below a root that tests put elsewhere.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::sandbox::processes;

mod host;

pub use host::Problem;

/// Beginning of the names of our groups.
const PREFIX: &str = "rungate-";

/// How long the last process of a killed group may take to be gone.
const PATIENCE: Duration = Duration::from_millis(500);

/// A resource that a group can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Memory of all processes together.
    Memory,
    /// Number of processes and threads.
    Pids,
    /// Share of processor time.
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// The kernel's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the host lets us do with groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    /// Where groups can be made, if anywhere.
    base: Option<PathBuf>,
    /// What they can limit.
    controllers: Vec<Controller>,
    /// Why that is not everything.
    problem: Option<Problem>,
    /// What names of our groups begin with in this process: it says whose they are.
    owner: String,
}

/// Limits of a group. Of those that are asked for, the ones whose controller the host has are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// Bytes of memory, page cache included; swap is not used.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
}

/// A group could not be made or used.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what} the cgroup {}", path.display())]
pub struct CgroupError {
    /// What was being done.
    what: &'static str,
    /// The file or folder.
    path: PathBuf,
    /// Why it failed.
    #[source]
    source: io::Error,
}

/// What happened in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupEvents {
    /// Processes that the kernel killed because the group was out of memory.
    pub oom_kills: u64,
    /// Times that a process or thread was refused because there were too many.
    pub processes_refused: u64,
}

impl Cgroups {
    /// Looks at the host, and enables what it delegates.
    #[must_use]
    pub fn of_this_host() -> Self {
        Self::below(Path::new("/"))
    }

    /// The same for a host whose files lie below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        let host::Found { base, controllers, problem } = host::look(root);
        Self { base, controllers, problem, owner: owner() }
    }

    /// What groups can limit here.
    #[must_use]
    pub fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    /// Whether groups can be made, and so be killed as a whole.
    #[must_use]
    pub fn can_kill(&self) -> bool {
        self.base.is_some()
    }

    /// Why groups cannot limit everything here.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// Makes a group with `limits`. Nothing when the host has no place for one.
    ///
    /// # Errors
    /// Fails when a limit that the host can enforce cannot be set: the caller must not believe that it holds.
    pub fn create(&self, limits: GroupLimits) -> Result<Option<Group>, CgroupError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Some(base) = &self.base else { return Ok(None) };
        let path = base.join(format!("{}{}", self.owner, NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).map_err(|source| CgroupError { what: "create", path: path.clone(), source })?;
        let has = |controller| self.controllers.contains(&controller);
        let limits = GroupLimits {
            memory: limits.memory.filter(|_| has(Controller::Memory)),
            processes: limits.processes.filter(|_| has(Controller::Pids)),
        };
        let group = Group { path, limits };
        if let Some(memory) = limits.memory {
            group.set("memory.max", &memory.to_string())?;
            // All of it dies together: half a build that goes on is worse than none.
            group.set("memory.oom.group", "1")?;
            // Absent on a host without swap accounting, where the limit is then for memory alone.
            let _ = group.set("memory.swap.max", "0");
        }
        if let Some(processes) = limits.processes {
            group.set("pids.max", &processes.to_string())?;
        }
        Ok(Some(group))
    }

    /// Kills and removes the groups of executors that are gone. Returns how many there were.
    #[must_use]
    pub fn sweep(&self) -> usize {
        let Some(base) = &self.base else { return 0 };
        let entries = fs::read_dir(base).into_iter().flatten().filter_map(Result::ok);
        let is_other = |name: &str| !name.starts_with(&self.owner) && is_stale(name);
        let stale = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_other));
        stale.map(|entry| Group::at(entry.path()).close()).count()
    }
}

/// Kills and removes the group at `path`, where it is one whose executor is gone. Says whether it was.
#[must_use]
pub fn end_stale(path: &Path) -> bool {
    let is_ours = path.file_name().and_then(|name| name.to_str()).is_some_and(is_stale);
    let is_group = is_ours && path.is_absolute() && path.join("cgroup.procs").is_file();
    if is_group {
        Group::at(path.to_owned()).close();
    }
    is_group
}

/// A group of our own, removed with whatever is in it when this value goes.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    limits: GroupLimits,
}

impl Group {
    /// One that somebody else has made.
    fn at(path: PathBuf) -> Self {
        Self { path, limits: GroupLimits::default() }
    }

    /// The limits that it holds.
    #[must_use]
    pub const fn limits(&self) -> GroupLimits {
        self.limits
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its folder, for whoever creates a process in it.
    ///
    /// # Errors
    /// Returns the kernel's word.
    pub fn open(&self) -> Result<OwnedFd, CgroupError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(&self.path, flags, Mode::empty()).map_err(|errno| CgroupError {
            what: "open",
            path: self.path.clone(),
            source: errno.into(),
        })
    }

    /// Kills everything in the group at once: no fork gets away.
    ///
    /// # Errors
    /// Fails on Linux before 5.14, which has no such kill.
    pub fn kill(&self) -> Result<(), CgroupError> {
        self.set("cgroup.kill", "1")
    }

    /// What happened so far.
    #[must_use]
    pub fn events(&self) -> GroupEvents {
        let count = |file: &str, key: &str| {
            let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok());
            value.unwrap_or(0)
        };
        GroupEvents {
            oom_kills: count("memory.events", "oom_kill"),
            processes_refused: count("pids.events", "max"),
        }
    }

    /// Kills what is left and removes the group.
    pub fn close(self) {
        drop(self);
    }

    fn set(&self, file: &str, value: &str) -> Result<(), CgroupError> {
        let path = self.path.join(file);
        write(&path, value).map_err(|source| CgroupError { what: "write to", path, source })
    }

    fn remove(&self) {
        let start = Instant::now();
        while let Err(error) = fs::remove_dir(&self.path) {
            // Busy as long as a process that was killed has not been reaped.
            if error.raw_os_error() != Some(Errno::EBUSY as i32) || start.elapsed() > PATIENCE {
                break;
            }
            let _ = self.kill();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes the groups of an executor that was killed. For its helper, when nothing of its own is left.
pub(crate) fn clean_up() {
    let _count = Cgroups::of_this_host().sweep();
}

/// Writes to a file that the kernel made. Each write is a request, so the whole value must go at once.
fn write(path: &Path, value: &str) -> io::Result<()> {
    fs::File::options().write(true).open(path)?.write_all(value.as_bytes())
}

/// Names this process for good: its number may be given to another one, and is another one in another namespace.
fn owner() -> String {
    let pid = std::process::id();
    let start = processes::start_time(pid.cast_signed()).unwrap_or(0);
    format!("{PREFIX}{}-{pid}-{start}-", namespace())
}

/// Number of this process's namespace of process ids.
pub(super) fn namespace() -> u64 {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digits = link.to_str().and_then(|text| text.strip_prefix("pid:[")?.strip_suffix(']'));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Whether `name` is that of a group whose executor was a process of this namespace and is gone.
fn is_stale(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let numbers: Vec<u64> = rest.split('-').filter_map(|word| word.parse().ok()).collect();
    let [of, pid, start, _] = numbers[..] else { return false };
    // One on its way out does nothing for its groups any more, and its helper may look before it is gone.
    let alive =
        i32::try_from(pid).is_ok_and(|pid| processes::is_running(pid, start) && !processes::is_exiting(pid));
    of == namespace() && !alive
}

#[cfg(test)]
mod tests;
