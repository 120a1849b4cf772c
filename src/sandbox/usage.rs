//! What the processes of a child use together, and when that is too much: the watchdog of hosts without a cgroup.
//!
//! It samples, so what comes and goes between two looks is not seen, and a step can be above its limit for a moment. Nor is
//! memory that no process maps or holds open, such as what waits in a socket. It must not know what is done about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use crate::manifest::fields::bytes;
use crate::sandbox::memory::page_size;
use crate::sandbox::processes;

/// How often a child is to be looked at. A look reads a line of every process of the host.
pub const PERIOD: Duration = Duration::from_millis(100);

/// Size of the blocks in which files are counted, whatever their file system uses.
pub(crate) const BLOCK: u64 = 512;

/// What everything below a helper uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in bytes. Pages that processes share are counted once for each of them.
    pub rss: u64,
    /// Memory that is mapped, used or not, in bytes.
    pub mapped: u64,
    /// Processes and threads.
    pub processes: u32,
}

/// A limit that is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Of memory, in bytes.
    Memory(u64),
    /// Of processes and threads.
    Processes(u32),
    /// Of private space on the host, in bytes.
    Space(u64),
    /// Of files and folders in it.
    Files(u64),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(limit) => write!(f, "memory limit of {} exceeded (watchdog)", bytes(*limit)),
            Self::Processes(limit) => write!(f, "limit of {limit} processes exceeded (watchdog)"),
            Self::Space(limit) => write!(f, "private space of {} exceeded (watchdog)", bytes(*limit)),
            Self::Files(limit) => write!(f, "private space for {limit} files exceeded (watchdog)"),
        }
    }
}

/// The limits that nothing else enforces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watchdog {
    /// Memory of all processes together, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
}

impl Watchdog {
    /// Whether `usage`, which was just seen below `helper`, is above a limit. The helper and its like are not counted.
    #[must_use]
    pub fn exceeded(&self, helper: i32, usage: Usage) -> Option<Exceeded> {
        match (self.processes, self.memory) {
            (Some(limit), _) if usage.processes > limit => Some(Exceeded::Processes(limit)),
            // The quick sum counts what is shared too often, and what is only held open not at all.
            (_, Some(limit)) if memory_is_above(limit, helper, usage) => Some(Exceeded::Memory(limit)),
            _ => None,
        }
    }
}

/// What everything below `helper` uses, by a quick look.
#[must_use]
pub fn below(helper: i32) -> Usage {
    let page = page_size();
    processes::below(helper).into_iter().fold(Usage::default(), |sum, (_, stat)| Usage {
        rss: sum.rss.saturating_add(stat.resident.saturating_mul(page)),
        mapped: sum.mapped.saturating_add(stat.mapped),
        processes: sum.processes.saturating_add(stat.threads),
    })
}

/// The long look, for when the quick one is above the limit: pages that are shared are shared out, pages of files do not
/// count, since the kernel can drop them. What cannot be read counts as the quick look has it.
fn memory_is_above(limit: u64, helper: i32, quick: Usage) -> bool {
    let tree = processes::below(helper);
    let threads = || tree.iter().map(|(_, stat)| stat.speaker);
    let mut held =
        held_open(threads(), |target| target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"));
    // Most programs do not even map as much as they may use.
    if quick.mapped > limit {
        held = held.saturating_add(nameless(threads()));
    }
    if quick.rss.saturating_add(held) <= limit {
        return false;
    }
    let (mut own, mut shared) = (0_u64, 0_u64);
    for (_, stat) in &tree {
        match Share::read(stat.speaker) {
            Some(share) => {
                own = own.saturating_add(share.own);
                shared = shared.saturating_add(share.shared);
            }
            None => own = own.saturating_add(stat.resident.saturating_mul(page_size())),
        }
    }
    // A memory file that is mapped is in both sums, and nobody must be killed for being counted twice.
    own.saturating_add(shared.max(held)) > limit
}

/// What processes hold open of what is `wanted` by its name, in bytes, each once; they are named by threads of theirs. A file in memory that
/// is written to and not mapped is in no process's resident memory, and one that was removed is in no folder.
pub(crate) fn held_open(threads: impl Iterator<Item = i32>, wanted: impl Fn(&Path) -> bool) -> u64 {
    let mut seen = BTreeSet::new();
    let mut held = 0_u64;
    for thread in threads {
        for entry in fs::read_dir(format!("/proc/{thread}/fd")).into_iter().flatten().filter_map(Result::ok) {
            // Follows the descriptor to the file itself; nothing is opened.
            if fs::read_link(entry.path()).is_ok_and(|target| wanted(&target))
                && let Ok(file) = fs::metadata(entry.path())
                && seen.insert((file.dev(), file.ino()))
            {
                held = held.saturating_add(file.blocks().saturating_mul(BLOCK));
            }
        }
    }
    held
}

/// Memory that is shared and has no name, in bytes, each piece once. A process can fill it and then let go of it piece by
/// piece: it stays, and is in nobody's resident memory. How much of it is filled cannot be seen, so its whole length counts.
fn nameless(threads: impl Iterator<Item = i32>) -> u64 {
    let mut pieces = BTreeMap::new();
    for thread in threads {
        let maps = fs::read_to_string(format!("/proc/{thread}/maps")).unwrap_or_default();
        for (piece, length) in maps.lines().filter_map(nameless_piece) {
            let known = pieces.entry(piece).or_insert(0);
            *known = length.max(*known);
        }
    }
    pieces.into_values().fold(0, u64::saturating_add)
}

/// What a line of `/proc/PID/maps` says of such memory: where it is in which file, and its length.
fn nameless_piece(line: &str) -> Option<((String, String), u64)> {
    let rest = line.strip_suffix("/dev/zero (deleted)")?;
    let mut fields = rest.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let length = number(to)?.saturating_sub(number(from)?);
    let (_rights, offset, _device, file) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(((file.to_owned(), offset.to_owned()), length))
}

/// Most memory that a child of this process, or one below it, had at a time, in KiB. Of those that have been waited for.
pub(crate) fn largest_child() -> i32 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    usage.map_or(0, |usage| i32::try_from(usage.max_rss()).unwrap_or(i32::MAX))
}

/// Memory of one process, in bytes, with its part of what others share with it.
struct Share {
    /// Private memory, swapped pages included.
    own: u64,
    /// Memory that was made to be shared.
    shared: u64,
}

impl Share {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?)
    }

    /// Kernels before 5.9 do not tell kinds of pages apart: all of them are private then.
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
            Some(kib.saturating_mul(1 << 10))
        };
        let (file, shared) = (field("Pss_File:").unwrap_or(0), field("Pss_Shmem:").unwrap_or(0));
        let all = field("Pss:")?.saturating_add(field("SwapPss:").unwrap_or(0));
        Some(Self { own: all.saturating_sub(file).saturating_sub(shared), shared })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named_as_a_manifest_writes_them() {
        assert_eq!(Exceeded::Memory(2 << 30).to_string(), "memory limit of 2GiB exceeded (watchdog)");
        assert_eq!(Exceeded::Processes(256).to_string(), "limit of 256 processes exceeded (watchdog)");
    }

    #[test]
    fn pages_of_files_do_not_count_and_shared_ones_are_told_apart() {
        let text =
            "Rss: 900 kB\nPss:\t 100 kB\nPss_Anon: 30 kB\nPss_File: 60 kB\nPss_Shmem: 10 kB\nSwapPss: 5 kB\n";
        let share = Share::parse(text).unwrap();
        assert_eq!((share.own, share.shared), (35 << 10, 10 << 10));
        let old = Share::parse("Rss: 900 kB\nPss: 100 kB\n").unwrap();
        assert_eq!((old.own, old.shared), (100 << 10, 0));
        assert!(Share::parse("").is_none());
    }

    #[test]
    fn shared_memory_without_a_name_is_told_from_files() {
        let maps = "7f0000000000-7f0000400000 rw-s 00001000 00:01 77 /dev/zero (deleted)";
        let place = ("77".to_owned(), "00001000".to_owned());
        assert_eq!(nameless_piece(maps), Some((place, 4 << 20)));
        for other in [
            "7f0000000000-7f0000400000 rw-s 00000000 00:01 78 /memfd:x (deleted)",
            "7f0000000000-7f0000400000 rw-p 00000000 00:00 0",
            "nonsense /dev/zero (deleted)",
        ] {
            assert_eq!(nameless_piece(other), None);
        }
    }

    #[test]
    fn a_watchdog_without_limits_minds_nothing() {
        let usage = Usage { rss: u64::MAX, mapped: u64::MAX, processes: u32::MAX };
        assert_eq!(Watchdog::default().exceeded(i32::MAX, usage), None);
    }
}
