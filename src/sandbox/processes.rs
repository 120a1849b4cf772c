//! Processes below a process, read from `/proc`.

#![expect(unsafe_code, reason = "a call of which the usual wrapper does not know all answers")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nix::errno::Errno;

use crate::record::ProcessInfo;
use crate::sandbox::status::Status;

/// Longest command line that is shown, in characters.
const MAX_COMMAND: usize = 200;

/// Process ids of everything below `root`, not `root` itself. What comes or goes meanwhile may be missed.
#[must_use]
pub fn descendants(root: i32) -> Vec<i32> {
    groups_below(root).into_iter().map(|(pid, _)| pid).collect()
}

/// Everything below `root`, each with its process group.
pub(crate) fn groups_below(root: i32) -> Vec<(i32, i32)> {
    below(root).into_iter().map(|(pid, stat)| (pid, stat.group)).collect()
}

/// Everything below `root`, each with what the kernel says of it.
pub(crate) fn below(root: i32) -> Vec<(i32, Stat)> {
    let mut children: BTreeMap<i32, Vec<(i32, Stat)>> = BTreeMap::new();
    for (pid, stat) in all() {
        children.entry(stat.parent).or_default().push((pid, stat));
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for (child, stat) in children.remove(&pid).into_iter().flatten() {
            // Ids are reused while we read, so the map may hold a loop.
            if seen.insert(child) {
                next.push(child);
                found.push((child, stat));
            }
        }
    }
    found
}

/// Children of `parent` itself.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    all().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| pid).collect()
}

fn all() -> impl Iterator<Item = (i32, Stat)> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| Some((pid, Stat::read(pid)?)))
}

/// What `/proc/PID/stat` says, as far as it is wanted.
pub(crate) struct Stat {
    state: char,
    parent: i32,
    group: i32,
    flags: u32,
    pub(crate) started_ticks: u64,
    /// Threads, the first one included.
    pub(crate) threads: u32,
    /// Memory that is mapped, used or not, in bytes.
    pub(crate) mapped: u64,
    /// Resident memory, in pages.
    pub(crate) resident: u64,
    /// The thread that can be asked about memory and files.
    pub(crate) speaker: i32,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let stat = Self::of_thread(pid)?;
        if stat.state != 'Z' || stat.threads < 2 {
            return Some(stat);
        }
        // The first thread has ended. What the kernel says in its name is then the end of a process that lives on in the
        // others, without memory and without files.
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
        let threads = threads.filter_map(|entry| Self::of_thread(entry.file_name().to_str()?.parse().ok()?));
        let alive = threads.into_iter().find(|thread| !matches!(thread.state, 'Z' | 'X'));
        let started_ticks = stat.started_ticks;
        Some(alive.map_or(stat, |thread| Self { started_ticks, ..thread }))
    }

    fn of_thread(thread: i32) -> Option<Self> {
        Self::parse(thread, &fs::read_to_string(format!("/proc/{thread}/stat")).ok()?)
    }

    /// The name stands in parentheses and may hold anything, so fields are counted after the last `)`.
    fn parse(speaker: i32, text: &str) -> Option<Self> {
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // Fields 9, 20, 22, 23 and 24 of the file, counted from 1; the group is field 5.
        let flags = fields.nth(3)?.parse().ok()?;
        let threads = fields.nth(10)?.parse().ok()?;
        let started_ticks = fields.nth(1)?.parse().ok()?;
        let mapped = fields.next()?.parse().ok()?;
        let resident = fields.next()?.parse().ok()?;
        Some(Self { state, parent, group, flags, started_ticks, threads, mapped, resident, speaker })
    }
}

/// When `pid` started, in clock ticks since the host booted. With the id it names a process for good: ids are reused.
#[must_use]
pub fn start_time(pid: i32) -> Option<u64> {
    Some(Stat::read(pid)?.started_ticks)
}

/// A child that has ended, as [`wait_any`] gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) pid: i32,
    pub(crate) status: Status,
}

/// Collects a child that has ended, any of them, and waits for one where it `may_wait`. Nothing: all are alive. `ECHILD`: there is
/// none. The usual wrapper collects a child that a real-time signal has killed, and then calls that an error.
pub(crate) fn wait_any(may_wait: bool) -> Result<Option<Ended>, Errno> {
    let mut status = 0;
    let flags = if may_wait { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: the kernel writes one number.
        match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, flags) }) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(0) => return Ok(None),
            Ok(pid) if libc::WIFEXITED(status) => {
                return Ok(Some(Ended { pid, status: Status::Exited { code: libc::WEXITSTATUS(status) } }));
            }
            Ok(pid) => {
                return Ok(Some(Ended { pid, status: Status::Signaled { signal: libc::WTERMSIG(status) } }));
            }
        }
    }
}

/// Whether the process that had this id and this start time still runs. One that only waits to be reaped does not.
#[must_use]
pub(crate) fn is_running(pid: i32, start: u64) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.started_ticks == start && !matches!(stat.state, 'Z' | 'X'))
}

/// Whether the process of this id is on its way out: what it held is closed before its children have another parent.
#[must_use]
pub(crate) fn is_exiting(pid: i32) -> bool {
    const PF_EXITING: u32 = 4;
    Stat::read(pid).is_none_or(|stat| stat.flags & PF_EXITING != 0)
}

/// Describes everything below `root`, for a person who wants to know what hung.
#[must_use]
pub fn describe(root: i32) -> Vec<ProcessInfo> {
    let uptime = uptime_seconds();
    let mut pids = descendants(root);
    pids.sort_unstable();
    pids.into_iter()
        .take(200)
        .filter_map(|pid| {
            let stat = Stat::read(pid)?;
            Some(ProcessInfo {
                pid,
                parent: stat.parent,
                state: stat.state,
                age_seconds: uptime.saturating_sub(stat.started_ticks / ticks_per_second()),
                command: command_line(pid),
            })
        })
        .collect()
}

fn command_line(pid: i32) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        raw.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let line = words.join(" ");
    let line = line.trim_end();
    let line = if line.is_empty() {
        fs::read_to_string(format!("/proc/{pid}/comm"))
            .map(|name| format!("[{}]", name.trim_end()))
            .unwrap_or_default()
    } else {
        line.to_owned()
    };
    line.chars().take(MAX_COMMAND).collect()
}

fn uptime_seconds() -> u64 {
    fs::read_to_string("/proc/uptime").ok().and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or(0)
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    ticks.and_then(|ticks| u64::try_from(ticks).ok()).filter(|&ticks| ticks > 0).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let stat =
            Stat::parse(42, "42 (a ) b) S 7 41 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 9000 1 2").unwrap();
        assert_eq!((stat.state, stat.parent, stat.group, stat.started_ticks), ('S', 7, 41, 9000));
        assert_eq!((stat.flags, stat.threads, stat.mapped, stat.resident), (4_194_560, 3, 1, 2));
        assert!(Stat::parse(42, "42 (x").is_none());
    }

    #[test]
    fn this_process_has_started_and_is_found_below_its_parent() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(start_time(me).is_some());
        let parent = Stat::read(me).unwrap().parent;
        assert!(descendants(parent).contains(&me));
    }
}
