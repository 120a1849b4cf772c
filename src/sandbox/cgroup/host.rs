//! Where the host lets us make groups, and what keeps them from limiting more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{AccessFlags, access};

use super::{Controller, write};
use crate::sandbox::host::kernel_text;

/// What keeps groups from limiting everything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no cgroup file system at all.
    #[error("no cgroup file system is mounted")]
    NotMounted,
    /// There is the old version only.
    #[error("this host has cgroup version 1 only")]
    OldVersion,
    /// This process's group is not below what is mounted.
    #[error("the cgroup of this process is not visible here")]
    NotVisible,
    /// Version 2 is there, but the controllers belong to version 1.
    #[error("cgroup version 2 is mounted without the controllers {0}: they are bound to version 1")]
    BoundToOldVersion(String),
    /// The parent group does not hand the controllers down.
    #[error("the cgroup {} is not given the controllers {missing}", path.display())]
    NotGiven {
        /// Names of the controllers.
        missing: String,
        /// The group.
        path: PathBuf,
    },
    /// Controllers cannot be handed down, because processes sit in the group that would do it.
    #[error("the cgroup {} cannot hand controllers down: processes sit in it", .0.display())]
    Busy(PathBuf),
    /// The group belongs to somebody else.
    #[error("the cgroup {} is not delegated to this user ({errno:?})", path.display())]
    NotDelegated {
        /// The group.
        path: PathBuf,
        /// The kernel's word.
        errno: Errno,
    },
}

impl Problem {
    /// What mends it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NotMounted | Self::NotVisible => {
                "mount cgroup2 at /sys/fs/cgroup where the runner can see it; in a container, give it a cgroup namespace and a writable mount"
            }
            Self::OldVersion | Self::BoundToOldVersion(_) => {
                "start the host with the unified hierarchy: kernel parameter `systemd.unified_cgroup_hierarchy=1`, or `cgroup_no_v1=all`"
            }
            Self::NotGiven { .. } | Self::NotDelegated { .. } => {
                "run the runner as a systemd unit with `Delegate=yes` and `DelegateSubgroup=runner` (systemd 254 or newer)"
            }
            Self::Busy(_) => {
                "add `DelegateSubgroup=runner` to `Delegate=yes` in the runner's unit (systemd 254 or newer), so that its own processes leave the unit's root cgroup"
            }
        }
    }
}

/// What was found.
pub(super) struct Found {
    pub(super) base: Option<PathBuf>,
    pub(super) controllers: Vec<Controller>,
    pub(super) problem: Option<Problem>,
}

impl Found {
    const fn nothing(problem: Problem) -> Self {
        Self { base: None, controllers: Vec::new(), problem: Some(problem) }
    }
}

/// Where this process is.
pub(super) struct Place {
    /// The folder of the topmost group that is visible.
    top: PathBuf,
    /// The folder of this process's group.
    pub(super) own: PathBuf,
    /// Whether version 1 is there as well.
    old: bool,
}

/// Where this process is on the host whose files lie below `root`.
pub(super) fn locate(root: &Path) -> Result<Place, Problem> {
    let text = |name: &str| {
        kernel_text(&root.join(name)).ok().and_then(|text| String::from_utf8(text).ok()).unwrap_or_default()
    };
    let groups = text("proc/self/cgroup");
    if let Some(place) = usual(root, &groups) {
        return Ok(place);
    }
    let mounts = text("proc/self/mountinfo");
    let mut mounts = mounts.lines().filter_map(Mount::parse);
    let old = mounts.clone().any(|mount| mount.kind == "cgroup");
    let missing = if old { Problem::OldVersion } else { Problem::NotMounted };
    let mount = mounts.find(|mount| mount.kind == "cgroup2").ok_or(missing)?;
    let top = below(root, &mount.point);
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).and_then(|path| {
        // A path that leaves the namespace of this process begins with `/..`.
        let inside = Path::new(path).strip_prefix(&mount.top).ok()?;
        (!path.contains("..")).then(|| top.join(inside))
    });
    Ok(Place { own: own.ok_or(Problem::NotVisible)?, top, old })
}

/// Where this process is, if that can be said without the list of all mounts, which takes the kernel long to write: version 2
/// lies where it usually does, and its folder for `groups` has this process in it.
fn usual(root: &Path, groups: &str) -> Option<Place> {
    let inside = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let me = std::process::id().to_string();
    ["sys/fs/cgroup", "sys/fs/cgroup/unified"].iter().find_map(|usual| {
        let top = root.join(usual);
        let kind = statfs(&top).ok()?.filesystem_type();
        let own = if inside.is_empty() { top.clone() } else { top.join(inside) };
        let has_us = || {
            fs::read_to_string(own.join("cgroup.procs"))
                .is_ok_and(|members| members.lines().any(|id| id == me))
        };
        if kind != CGROUP2_SUPER_MAGIC || inside.contains("..") || !has_us() {
            return None;
        }
        Some(Place { old: groups.lines().any(|line| !line.starts_with("0::")), top, own })
    })
}

/// Looks at the host whose files lie below `root`.
pub(super) fn look(root: &Path) -> Found {
    let Place { top, own, old } = match locate(root) {
        Ok(place) => place,
        Err(problem) => return Found::nothing(problem),
    };
    // The parent comes first: with a sub-group for the runner's own processes it is the delegated and empty one, while
    // our own group has at least us in it. A slice is not the runner's: what its unit may use would not hold there.
    let parent = if own == top { None } else { own.parent().filter(|parent| !is_slice(parent)) };
    let parent = parent.map(Path::to_owned);
    let mut best: Option<Found> = None;
    for base in parent.into_iter().chain([own]) {
        let found = at(&base, &top, old);
        let is_better = best.as_ref().is_none_or(|best| found.rank() > best.rank());
        if is_better {
            best = Some(found);
        }
    }
    best.unwrap_or_else(|| Found::nothing(Problem::NotVisible))
}

impl Found {
    /// Orders what was found: a place before none, then by what it can limit.
    fn rank(&self) -> (bool, usize) {
        (self.base.is_some(), self.controllers.len())
    }
}

/// What groups made in `base` could do.
fn at(base: &Path, top: &Path, old: bool) -> Found {
    for name in ["", "cgroup.procs"] {
        if let Err(errno) = access(&base.join(name), AccessFlags::W_OK) {
            return Found::nothing(Problem::NotDelegated { path: base.to_owned(), errno });
        }
    }
    let available = names(&base.join("cgroup.controllers"));
    let control = base.join("cgroup.subtree_control");
    let mut problem = None;
    let missing: Vec<&str> =
        Controller::ALL.map(Controller::name).into_iter().filter(|name| !has(&available, name)).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        problem = Some(if base == top && old {
            Problem::BoundToOldVersion(missing)
        } else {
            Problem::NotGiven { missing, path: base.to_owned() }
        });
    }
    if has_processes(base) {
        // Where something is handed down already, no process can be put below.
        let usable = names(&control).is_empty();
        let problem = if available.is_empty() { problem } else { Some(Problem::Busy(base.to_owned())) };
        return Found { base: usable.then(|| base.to_owned()), controllers: Vec::new(), problem };
    }
    let mut controllers = Vec::new();
    for controller in Controller::ALL {
        if !has(&available, controller.name()) {
            continue;
        }
        let enabled = || has(&names(&control), controller.name());
        match if enabled() { Ok(()) } else { write(&control, &format!("+{controller}")) } {
            Ok(()) if enabled() => controllers.push(controller),
            Ok(()) => {}
            Err(error) => problem = Some(refused(base, &error)),
        }
    }
    Found { base: Some(base.to_owned()), controllers, problem }
}

/// Whether systemd keeps units in `group`, of which ours is one.
fn is_slice(group: &Path) -> bool {
    group.extension().is_some_and(|kind| kind == "slice")
}

/// Whether processes sit in `base` itself, which keeps it from handing down what is counted by group. What is counted by
/// thread the kernel would hand down all the same, and then refuse every process below: that must not be tried.
fn has_processes(base: &Path) -> bool {
    // The root of all groups is free of this rule, and alone in having no type.
    base.join("cgroup.type").exists()
        && fs::read_to_string(base.join("cgroup.procs")).is_ok_and(|members| !members.is_empty())
}

fn refused(base: &Path, error: &io::Error) -> Problem {
    match Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) {
        Errno::EBUSY => Problem::Busy(base.to_owned()),
        errno => Problem::NotDelegated { path: base.to_owned(), errno },
    }
}

/// The controllers that a file of the kernel lists.
fn names(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_ascii_whitespace().map(|word| word.trim_start_matches('+').to_owned()).collect()
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|other| other == name)
}

/// The absolute `path` as it lies below `root`.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A line of `/proc/self/mountinfo`.
#[derive(Clone)]
struct Mount<'a> {
    kind: &'a str,
    /// The folder of the file system that is mounted.
    top: PathBuf,
    point: PathBuf,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        // A variable number of optional fields ends with a lone hyphen.
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (top, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
        Some(Self { kind: kind.split(' ').next()?, top, point })
    }
}

/// Blanks and the like are written as a backslash and three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut rest = text;
    let mut path = String::new();
    while let Some((plain, escaped)) = rest.split_once('\\') {
        path.push_str(plain);
        let digits = escaped.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match digits {
            Some(byte) if byte.is_ascii() => {
                path.push(char::from(byte));
                rest = &escaped[3..];
            }
            _ => {
                path.push('\\');
                rest = escaped;
            }
        }
    }
    path.push_str(rest);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_blanks_and_optional_fields() {
        let line = "36 25 0:31 /a\\040b /sys/fs/cg\\134x rw,nosuid shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.kind, mount.top, mount.point), ("cgroup2", "/a b".into(), "/sys/fs/cg\\x".into()));
        assert!(Mount::parse("36 25 0:31 /").is_none());
        assert_eq!(unescaped("a\\9\\"), Path::new("a\\9\\"));
    }
}
