//! Landlock: what a payload may open and connect to, as data, and the call that makes it so.
//!
//! The rules are asked of the kernel at its own version and then in full: whatever it claims to know must be enforced, and
//! what it does not know is named by the version. The crate's usual best effort was rejected: it can end in a ruleset that
//! holds nothing without an error. Must not know where paths come from: they arrive as descriptors that were opened before
//! the payload gave up its rights.

#![expect(unsafe_code, reason = "asking the kernel for its version of Landlock")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};

/// First version that limits TCP ports.
pub const TCP: u32 = 4;

/// First version that keeps signals and abstract Unix sockets within the domain.
pub const SCOPES: u32 = 6;

/// What may be done with a file, or with everything below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and listing.
    Read,
    /// Reading, listing and executing.
    Execute,
    /// Everything but devices: also creating, renaming, linking and removing.
    Write,
    /// Reading, writing and control of a device.
    Device,
    /// Listing folders, without what is in their files.
    List,
}

impl Access {
    /// Its rights at `abi`, on a folder or on anything else.
    fn rights(self, abi: ABI, is_folder: bool) -> BitFlags<AccessFs> {
        let devices = make_bitflags!(AccessFs::{MakeChar | MakeBlock | IoctlDev});
        let rights = match self {
            Self::Read => make_bitflags!(AccessFs::{ReadFile | ReadDir}),
            Self::Execute => AccessFs::from_read(abi),
            Self::Write => AccessFs::from_all(abi) & !devices,
            Self::List => AccessFs::ReadDir.into(),
            Self::Device => make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate | IoctlDev}),
        };
        let possible = if is_folder { AccessFs::from_all(abi) } else { AccessFs::from_file(abi) };
        rights & possible
    }
}

/// A path and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// An absolute path without symbolic links.
    pub path: CString,
    /// What may be done with it.
    pub access: Access,
}

/// TCP ports that may be connected to. Listening is denied where connecting is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp<'a> {
    /// Any, because the network is no longer the host's or nobody limited it.
    Any,
    /// These.
    Only(&'a [u16]),
}

/// Unix sockets that other processes have bound to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnixSockets {
    /// Those in folders that the payload can write. Enforced from version 9 on.
    Own,
    /// Any.
    Any,
}

/// What is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// The kernel's version, all of which that we know is used.
    pub abi: u32,
    /// Whether signals and abstract Unix sockets stay within the domain.
    pub scopes: bool,
}

/// Why a process is not restricted.
#[derive(Debug, thiserror::Error)]
pub enum LandlockError {
    /// The kernel has none: `ENOSYS` when it was built without, `EOPNOTSUPP` when it was not started with it.
    #[error("landlock is not available")]
    Absent(#[source] Errno),
    /// The kernel's version is too old for something that was asked for.
    #[error("landlock ABI {has} of this kernel cannot {what}, which needs ABI {needs}")]
    TooOld {
        /// What was asked for.
        what: &'static str,
        /// The version that can.
        needs: u32,
        /// The kernel's.
        has: u32,
    },
    /// The kernel refused.
    #[error("landlock was refused")]
    Refused(#[from] RulesetError),
    /// A descriptor is not what a rule can be about.
    #[error("a rule of landlock cannot be made")]
    Descriptor(#[source] Errno),
    /// The kernel agreed, but does not enforce all of it.
    #[error("landlock is not enforced in full")]
    NotEnforced,
}

impl LandlockError {
    /// The kernel's word, for a report that has room for a number only.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::Absent(errno) | Self::Descriptor(errno) => *errno,
            Self::TooOld { .. } | Self::NotEnforced => Errno::EOPNOTSUPP,
            Self::Refused(error) => of_the_kernel(error).unwrap_or(Errno::EINVAL),
        }
    }
}

fn of_the_kernel(error: &RulesetError) -> Option<Errno> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(number) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(Errno::from_raw(number));
        }
        next = error.source();
    }
    None
}

/// The kernel's version of Landlock.
///
/// # Errors
/// `ENOSYS` when the kernel was built without it, `EOPNOTSUPP` when it was started without it.
pub fn abi() -> Result<u32, Errno> {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no memory and only answers with a number.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    Errno::result(answer).map(|version| u32::try_from(version).unwrap_or(0))
}

/// Opens a path for a rule. It was resolved before: a symbolic link in it now is one that somebody has just put there.
///
/// # Errors
/// Returns the kernel's word; a path that does not exist is an error.
pub fn open(path: &CStr) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(AT_FDCWD, path, how)
}

/// Restricts this thread and all that it starts, for good, to `paths`, `tcp` and `sockets`; with scopes where the kernel
/// has them. Sets `no_new_privs`.
///
/// # Errors
/// Fails when not all of it is enforced that the kernel's version can.
pub fn restrict(
    paths: &[(impl AsFd, Access)],
    tcp: Tcp<'_>,
    sockets: UnixSockets,
) -> Result<Enforced, LandlockError> {
    let (version, abi) = version()?;
    let mut handled = AccessFs::from_all(abi);
    if sockets == UnixSockets::Any {
        handled &= !BitFlags::from(AccessFs::ResolveUnix);
    }
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(handled)?;
    if version >= SCOPES {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    if let Tcp::Only(_) = tcp {
        if version < TCP {
            return Err(LandlockError::TooOld { what: "limit TCP ports", needs: TCP, has: version });
        }
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    let mut created = ruleset.create()?;
    for (descriptor, access) in paths {
        let kind = SFlag::from_bits_truncate(fstat(descriptor).map_err(LandlockError::Descriptor)?.st_mode);
        let rights = access.rights(abi, kind & SFlag::S_IFMT == SFlag::S_IFDIR) & handled;
        created = created.add_rule(PathBeneath::new(descriptor, rights))?;
    }
    if let Tcp::Only(ports) = tcp {
        for &port in ports {
            created = created.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
    }
    enforce(created)?;
    Ok(Enforced { abi: version, scopes: version >= SCOPES })
}

/// Puts this thread and all that it starts into a domain that signals cannot leave and that restricts nothing else but
/// abstract Unix sockets: `kill(-1)` in it reaches what was started in it. Sets `no_new_privs`.
///
/// # Errors
/// Fails when the kernel cannot; nothing is restricted then.
pub fn confine_signals() -> Result<(), LandlockError> {
    let (version, abi) = version()?;
    if version < SCOPES {
        return Err(LandlockError::TooOld { what: "confine signals", needs: SCOPES, has: version });
    }
    let ruleset =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).scope(Scope::from_all(abi))?;
    enforce(ruleset.create()?)
}

fn version() -> Result<(u32, ABI), LandlockError> {
    let version = abi().map_err(LandlockError::Absent)?;
    Ok((version, ABI::from(version.cast_signed())))
}

fn enforce(ruleset: RulesetCreated) -> Result<(), LandlockError> {
    match ruleset.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced | RulesetStatus::NotEnforced => Err(LandlockError::NotEnforced),
    }
}

#[cfg(test)]
mod tests;
