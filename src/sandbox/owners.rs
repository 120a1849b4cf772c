//! Mapping the owners of root's folders to a payload that is not root.
//!
//! A payload that root starts is a user whom nobody else uses, and that user owns nothing. So what it is shown is mounted
//! with owners mapped: whoever owns a folder appears as the payload, and what the payload creates belongs to that owner.

#![expect(unsafe_code, reason = "a process whose user namespace carries the map")]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::fstat;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid, getppid};

use crate::sandbox::clone::{self, Stack};
use crate::sandbox::mount;
use crate::sandbox::spec::Ids;
use crate::sandbox::strays::helpers;

/// User namespaces whose maps say that an owner is the payload. They are the same for all payloads.
#[derive(Debug)]
pub(crate) struct Owners {
    ids: Ids,
    namespaces: BTreeMap<(u32, u32), OwnedFd>,
}

impl Owners {
    pub(crate) const fn new(ids: Ids) -> Self {
        Self { ids, namespaces: BTreeMap::new() }
    }

    /// Maps the owner of `tree` to the payload.
    pub(crate) fn map(&mut self, tree: &OwnedFd) -> Result<(), Errno> {
        let owner = fstat(tree)?;
        let namespace = self.namespace((owner.st_uid, owner.st_gid))?;
        mount::map_owners(tree, namespace)
    }

    fn namespace(&mut self, owner: (u32, u32)) -> Result<BorrowedFd<'_>, Errno> {
        let namespace: &OwnedFd = match self.namespaces.entry(owner) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                // While this is held, no process of ours is taken for one that was left behind.
                let _list = helpers();
                let namespace = Holder::start()?.namespace(owner, self.ids);
                entry.insert(namespace.map_err(|error| errno(&error))?)
            }
        };
        Ok(namespace.as_fd())
    }
}

/// A process of which only its user namespace is wanted.
struct Holder {
    pid: Pid,
    /// In use until it has been waited for.
    _stack: Stack,
}

impl Holder {
    fn start() -> Result<Self, Errno> {
        let mut stack = Stack::new();
        // A number, not an address.
        let parent = ptr::without_provenance_mut(usize::try_from(getpid().as_raw()).unwrap_or_default());
        // SAFETY: the stack is dropped when the process has been waited for, and `hold` only makes calls.
        let pid = unsafe { clone::beside(libc::CLONE_NEWUSER, &mut stack, hold, parent) }?;
        Ok(Self { pid, _stack: stack })
    }

    /// Its namespace, in which `owner` and the payload have changed places.
    fn namespace(&self, owner: (u32, u32), ids: Ids) -> io::Result<OwnedFd> {
        write_map(self.pid, "uid_map", owner.0, ids.user)?;
        write_map(self.pid, "gid_map", owner.1, ids.group)?;
        fs::File::open(format!("/proc/{}/ns/user", self.pid)).map(OwnedFd::from)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        while waitpid(self.pid, None) == Err(Errno::EINTR) {}
    }
}

/// Waits for the end of a [`Holder`], or of the process with the id `parent`, which may be gone by now.
extern "C" fn hold(parent: *mut libc::c_void) -> libc::c_int {
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    while usize::try_from(getppid().as_raw()) == Ok(parent.addr()) {
        // SAFETY: waits for a signal, and touches nothing.
        unsafe { libc::pause() };
    }
    0
}

fn write_map(holder: Pid, file: &str, owner: u32, payload: u32) -> io::Result<()> {
    let path = format!("/proc/{holder}/{file}");
    // Everybody else stays who they are, as far as this namespace has everybody.
    fs::write(&path, exchanged(owner, payload))
        .or_else(|_| fs::write(&path, format!("{owner} {payload} 1\n")))
}

/// A map in which two ids have changed places.
fn exchanged(one: u32, other: u32) -> String {
    use std::fmt::Write as _;
    let (low, high) = (one.min(other), one.max(other));
    let mut map = String::new();
    let mut range = |inside: u32, outside: u32, count: u32| {
        if count > 0 {
            let _ = writeln!(map, "{inside} {outside} {count}");
        }
    };
    range(0, 0, low);
    if low == high {
        range(low, low, 1);
    } else {
        range(low, high, 1);
        range(low + 1, low + 1, high - low - 1);
        range(high, low, 1);
    }
    // The last number of all means "nobody" to the kernel.
    range(high.saturating_add(1), high.saturating_add(1), u32::MAX - high.saturating_add(1));
    map
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_change_places_and_all_others_stay() {
        assert_eq!(exchanged(0, 7), "0 7 1\n1 1 6\n7 0 1\n8 8 4294967287\n");
        assert_eq!(exchanged(1, 3), "0 0 1\n1 3 1\n2 2 1\n3 1 1\n4 4 4294967291\n");
        assert_eq!(exchanged(5, 5), "0 0 5\n5 5 1\n6 6 4294967289\n");
    }
}
