//! Giving up rights: capabilities of every kind, and another user than the payload's. For good, and seen to be so.

#![expect(unsafe_code, reason = "calls that the C libraries have no functions for")]

use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::sandbox::spec::IdKind;
use crate::sandbox::status::{Call, SetupError};
use crate::sandbox::world::PAYLOAD;

/// Every way in which an identifier of root or a change of user could give capabilities back, switched off and locked.
const NO_WAY_BACK: libc::c_ulong = 0xEF;

/// Closes the ways in which this process, which is the first of a new user namespace, and its children could get back the
/// capabilities that they will give up. To be done before the user changes: afterwards the kernel would not do it, and not
/// say so.
pub(crate) fn close_the_ways_back() -> Result<(), SetupError> {
    let closed = empty_bounding_set().and_then(|()| prctl_number(libc::PR_SET_SECUREBITS, NO_WAY_BACK));
    closed.map_err(|errno| SetupError::new(Call::Capabilities, errno))
}

/// Makes this process one with the rights of the payload, when the ways back are closed.
pub(crate) fn become_payload(kind: IdKind) -> Result<(), SetupError> {
    let failed = |call| move |errno| SetupError::new(call, errno);
    match kind {
        // The map has made it the payload's user already; its groups outside cannot be given up by an ordinary user.
        IdKind::Own => {}
        IdKind::Dedicated => {
            let (user, group) = (Uid::from_raw(PAYLOAD), Gid::from_raw(PAYLOAD));
            setgroups(&[])
                .and_then(|()| setresgid(group, group, group))
                .and_then(|()| setresuid(user, user, user))
                .map_err(failed(Call::Identity))?;
        }
    }
    drop_capabilities().map_err(failed(Call::Capabilities))?;
    prctl::set_no_new_privs().map_err(failed(Call::NoNewPrivileges))
}

/// Gives up the capabilities of a payload that stays the user who started us.
pub(crate) fn give_up() -> Result<(), SetupError> {
    let failed = |call| move |errno| SetupError::new(call, errno);
    match setgroups(&[]) {
        // An ordinary user keeps the groups that it has.
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(SetupError::new(Call::Identity, errno)),
    }
    match empty_bounding_set() {
        // An ordinary user has no capabilities, and without new privileges the bounding set gives none.
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(SetupError::new(Call::Capabilities, errno)),
    }
    drop_capabilities().map_err(failed(Call::Capabilities))?;
    prctl::set_no_new_privs().map_err(failed(Call::NoNewPrivileges))
}

fn empty_bounding_set() -> Result<(), Errno> {
    for capability in 0..64 {
        match prctl_number(libc::PR_CAPBSET_DROP, capability) {
            Ok(()) => {}
            // The kernel has no more of them.
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn drop_capabilities() -> Result<(), Errno> {
    match prctl_number(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong) {
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    // Version 3 of the call: the version and the process, then twice effective, permitted and inheritable.
    let (header, sets) = ([0x2008_0522_u32, 0], [0_u32; 6]);
    // SAFETY: the kernel reads the header and two sets of three numbers, which is what they are; this process is one
    // thread.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }).map(drop)
}

fn prctl_number(option: libc::c_int, value: libc::c_ulong) -> Result<(), Errno> {
    // SAFETY: these options take numbers only.
    Errno::result(unsafe { libc::prctl(option, value, 0, 0, 0) }).map(drop)
}
