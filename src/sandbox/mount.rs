//! The kernel's calls about mounts that work on descriptors, and nothing that decides where anything goes.
//!
//! Paths are used once, to open; from then on a mount is a descriptor, and nobody can put a link in its way. The calls by
//! path (`mount`) were rejected for that.

#![expect(unsafe_code, reason = "the C libraries have no functions for these calls")]

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// What a mount does not allow, in the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes(u64);

impl Attributes {
    pub(crate) const READ_ONLY: Self = Self(1);
    pub(crate) const NO_SUID: Self = Self(2);
    pub(crate) const NO_EXECUTION: Self = Self(8);
    /// Neither set-uid programs nor device nodes.
    pub(crate) const PLAIN: Self = Self(2 | 4);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const ID_MAPPED: u64 = 0x0010_0000;
const CLONE_TREE: libc::c_uint = 1;
const CLOSE_ON_EXEC: libc::c_uint = libc::O_CLOEXEC.cast_unsigned();
const EMPTY_PATH: libc::c_uint = libc::AT_EMPTY_PATH.cast_unsigned();
const RECURSIVE: libc::c_uint = 0x8000;
const NO_FOLLOW: libc::c_uint = libc::AT_SYMLINK_NOFOLLOW.cast_unsigned();

/// `struct mount_attr` of the kernel.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn descriptor(result: libc::c_long) -> Result<OwnedFd, Errno> {
    let number = Errno::result(result)?;
    let number = RawFd::try_from(number).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A copy of the mount at `path` and of all mounts below it, attached nowhere. A symbolic link at its end is not followed.
pub(crate) fn copy(path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = CLONE_TREE | CLOSE_ON_EXEC | RECURSIVE | NO_FOLLOW;
    // SAFETY: the path is a string that ends with NUL.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// The same for what is held open.
pub(crate) fn copy_of(place: impl AsFd) -> Result<OwnedFd, Errno> {
    copy_in(place, c"")
}

/// The same for what is at `path` in `folder`, which is trusted to hold no links.
pub(crate) fn copy_in(folder: impl AsFd, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = CLONE_TREE | CLOSE_ON_EXEC | RECURSIVE | NO_FOLLOW | EMPTY_PATH;
    let folder = folder.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open and the path is a string that ends with NUL.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, folder, path.as_ptr(), flags) })
}

/// Makes the mounts of `tree` what `attributes` say, all of them, and deaf to what is mounted elsewhere: without that, a
/// mount on one of them by root would appear on the host as well.
pub(crate) fn restrict(tree: impl AsFd, attributes: Attributes) -> Result<(), Errno> {
    set(tree, attributes.0, 0, RECURSIVE)
}

/// Makes the one mount of `tree` what `attributes` say.
pub(crate) fn restrict_one(tree: impl AsFd, attributes: Attributes) -> Result<(), Errno> {
    set(tree, attributes.0, 0, 0)
}

/// Maps owners in all mounts of `tree` as `user_namespace` does.
pub(crate) fn map_owners(tree: impl AsFd, user_namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    set(tree, ID_MAPPED, user_namespace.as_raw_fd().unsigned_abs().into(), RECURSIVE)
}

fn set(tree: impl AsFd, set: u64, user_namespace: u64, flags: libc::c_uint) -> Result<(), Errno> {
    let attr = MountAttr { set, clear: 0, propagation: libc::MS_PRIVATE, user_namespace };
    let flags = EMPTY_PATH | flags;
    // SAFETY: the descriptor is open, and the structure is what the kernel reads, in its whole length.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            ptr::from_ref(&attr),
            size_of::<MountAttr>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Attaches `tree` at `path` in `folder`. A symbolic link at its end is not followed.
pub(crate) fn attach(tree: impl AsFd, folder: impl AsFd, path: &CStr) -> Result<(), Errno> {
    const FROM_DESCRIPTOR: libc::c_uint = 0x4;
    const TO_DESCRIPTOR: libc::c_uint = 0x40;
    let flags = FROM_DESCRIPTOR | if path.is_empty() { TO_DESCRIPTOR } else { 0 };
    // SAFETY: both descriptors are open and the path is a string that ends with NUL.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            folder.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags,
        )
    };
    Errno::result(result).map(drop)
}

/// A new file system of this kind, attached nowhere.
pub(crate) fn create(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: Attributes,
) -> Result<OwnedFd, Errno> {
    const SET_STRING: libc::c_uint = 1;
    const CREATE: libc::c_uint = 6;
    // SAFETY: the name is a string that ends with NUL.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 1_u32) })?;
    let fd = context.as_raw_fd();
    for (name, value) in options {
        // SAFETY: the descriptor is open and both texts are strings that end with NUL.
        let result = unsafe {
            libc::syscall(libc::SYS_fsconfig, fd, SET_STRING, name.as_ptr(), value.as_ptr(), 0_i32)
        };
        Errno::result(result)?;
    }
    let nothing = ptr::null::<libc::c_char>();
    // SAFETY: the descriptor is open, and this command takes neither a name nor a value.
    Errno::result(unsafe { libc::syscall(libc::SYS_fsconfig, fd, CREATE, nothing, nothing, 0_i32) })?;
    // SAFETY: the descriptor is open.
    descriptor(unsafe { libc::syscall(libc::SYS_fsmount, fd, 1_u32, attributes.0) })
}

/// Makes the working directory, which is the root of a mount, the root of all files. The old root comes to lie over the new
/// one, where only `/..` leads to it: that needs no folder to put it.
pub(crate) fn enter_root() -> Result<(), Errno> {
    nix::unistd::pivot_root(c".", c".")
}

/// Takes the old root off the one that was entered.
pub(crate) fn let_go_of_old_root() -> Result<(), Errno> {
    nix::mount::umount2(c".", nix::mount::MntFlags::MNT_DETACH)?;
    nix::unistd::chdir(c"/")
}

/// Opens `path` below `folder`, only to hold it: no symbolic link on the way, and nothing outside.
pub(crate) fn hold(folder: impl AsFd, path: &CStr) -> Result<OwnedFd, Errno> {
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    openat2(folder, path, OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve))
}
