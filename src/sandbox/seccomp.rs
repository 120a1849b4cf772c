//! The system call filter of a payload, compiled by the executor and installed by the payload last of all.
//!
//! It is a list of what is denied: what a build or a test has no use for and what has led out of sandboxes before. Denied
//! calls fail, they do not kill: a program that only tries finds another way. It must not know what is run.
//!
//! - `EPERM`: mounts, namespaces, tracing, keys, kernel interfaces, sockets of rare families, leases of files.
//! - `ENOSYS`: `clone3`, whose flags a filter cannot see, `io_uring`, whose work it cannot see, and every number that did
//!   not exist when this list was made. Programs fall back to the older call. The same comparison covers all numbers of
//!   the x32 form on x86-64, the ones that x32 has for itself (512 to 547) included.
//! - A call of a foreign architecture (`int 0x80`) kills the process: its numbers mean something else.
//!
//! What a filter sees are numbers, never memory: paths and addresses are for Landlock and the namespaces.

#![expect(unsafe_code, reason = "calls that the C libraries have no functions for")]

use nix::errno::Errno;
use nix::sys::prctl;

use crate::manifest::model::Network;
use crate::sandbox::confinement::{Confinement, Tier};

mod arguments;
mod bpf;
mod calls;
mod tree;

use arguments::Rule;
use arguments::Test::{Above, HasAny, Is, IsNot, Masked};
use bpf::Instruction;
use tree::Table;

/// First Landlock version that knows of truncation.
const TRUNCATE: u32 = 3;

/// First Landlock version that keeps a payload from the abstract Unix sockets of others.
const SCOPES: u32 = 6;

/// Most segments of System V shared memory in a namespace, as the kernel makes one.
const SEGMENTS: u64 = 4096;

/// Calls that set priorities, each with its words for "one process" and for "all of a user".
const PRIORITIES: [(libc::c_long, u32, u32); 2] =
    [(libc::SYS_setpriority, 0, 2), (libc::SYS_ioprio_set, 1, 3)];

/// Bytes of one instruction.
const INSTRUCTION: usize = size_of::<Instruction>();

/// Most instructions that the kernel takes.
const MAX_INSTRUCTIONS: usize = 4096;

/// What a payload may do beyond what every payload may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Without namespaces, processes, IPC objects and sockets of the host must be kept out of reach here.
    pub tier: Tier,
    /// The network.
    pub network: Network,
    /// Whether only some TCP ports may be connected to, which Landlock enforces for plain TCP sockets alone.
    pub some_ports: bool,
    /// Whether the payload may create Unix sockets that could reach processes outside.
    pub unix_sockets: bool,
    /// Most bytes of one segment of System V shared memory.
    pub segment: u64,
    /// Whether files that the payload may not write are protected from being cut by nothing but this filter.
    pub uncut: bool,
}

impl Rules {
    /// The rules of `confinement` on a host with this version of Landlock, 0 meaning none.
    #[must_use]
    pub fn of(confinement: &Confinement, landlock: u32) -> Self {
        // Abstract addresses belong to the network namespace. With the host's, a payload with its own files could still
        // talk to the host's daemons, unless Landlock scopes hold it.
        let alone = match (confinement.tier, confinement.network) {
            (Tier::Namespaces, Network::None) => true,
            (Tier::Namespaces, Network::Host) => landlock >= SCOPES,
            (Tier::Landlock | Tier::None, _) => false,
        };
        Self {
            tier: confinement.tier,
            network: confinement.network,
            some_ports: !confinement.ports.is_empty(),
            unix_sockets: alone || confinement.unix_sockets,
            // All segments together can be no more than the limit then. The kernel's own settings for that would be finer,
            // but only root's namespaces have somebody who may change them.
            segment: confinement.limits.memory / SEGMENTS,
            // Namespaces have mounts that are read-only.
            uncut: confinement.tier == Tier::Landlock && landlock < TRUNCATE,
        }
    }
}

/// A filter, ready for the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

/// Why there is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The list of calls was made for other processors.
    #[error("no system call filter exists for this processor")]
    Processor,
}

/// Compiles `rules` for this processor. Pure.
///
/// # Errors
/// Fails on a processor other than x86-64 and arm64.
pub fn program(rules: Rules) -> Result<Program, CompileError> {
    let audit = match std::env::consts::ARCH {
        "x86_64" => 0xC000_003E,
        "aarch64" => 0xC000_00B7,
        _ => return Err(CompileError::Processor),
    };
    Ok(Program(table(rules).program(audit)))
}

impl Program {
    /// The filter as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * INSTRUCTION);
        for instruction in &self.0 {
            bytes.extend_from_slice(&instruction.code.to_le_bytes());
            bytes.extend_from_slice(&[instruction.holds, instruction.fails]);
            bytes.extend_from_slice(&instruction.number.to_le_bytes());
        }
        bytes
    }

    /// Reads a filter back; nothing when the bytes cannot be one. The kernel checks what it means.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (instructions, rest) = bytes.as_chunks::<INSTRUCTION>();
        if !rest.is_empty() || instructions.is_empty() || instructions.len() > MAX_INSTRUCTIONS {
            return None;
        }
        let read = |&[c0, c1, holds, fails, number @ ..]: &[u8; INSTRUCTION]| Instruction {
            code: u16::from_le_bytes([c0, c1]),
            holds,
            fails,
            number: u32::from_le_bytes(number),
        };
        Some(Self(instructions.iter().map(read).collect()))
    }

    /// Puts this thread and all that it starts under the filter, for good. Also sets `no_new_privs`, without which the
    /// kernel takes no filter from an ordinary user.
    ///
    /// # Errors
    /// Returns the kernel's word when it refuses.
    pub fn install(&self) -> Result<(), Errno> {
        prctl::set_no_new_privs()?;
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).map_err(|_| Errno::EINVAL)?,
            filter: self.0.as_ptr().cast::<libc::sock_filter>().cast_mut(),
        };
        // SAFETY: the kernel reads as many instructions as there are, which are laid out as its own, and writes nothing.
        let installed = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0_usize, &raw const program)
        };
        Errno::result(installed).map(drop)
    }
}

/// What becomes of each call under `rules`.
fn table(rules: Rules) -> Table {
    let mut table = Table::new();
    table.deny(calls::ALWAYS);
    table.hide(calls::ABSENT);
    table.deny_when(libc::SYS_clone, [(0, HasAny(calls::NEW_NAMESPACES))]);
    for code in calls::TERMINAL_INJECTIONS {
        table.deny_when(libc::SYS_ioctl, [(1, Is(code))]);
    }
    // 0 is what every program runs under, and all ones only asks.
    table.deny_when(libc::SYS_personality, [(0, IsNot(0)), (0, IsNot(u32::MAX))]);
    // What a payload writes may belong to another user outside, so a program that runs as its owner must not be left there.
    for &(number, mode) in calls::SET_MODE {
        table.deny_when(number, [(mode, HasAny(libc::S_ISUID | libc::S_ISGID))]);
    }
    for command in calls::LEASES {
        table.deny_when(libc::SYS_fcntl, [(1, Is(command))]);
    }
    if rules.uncut {
        truncation(&mut table);
    }
    sockets(&mut table, rules);
    match rules.tier {
        Tier::Namespaces => {
            supervisor(&mut table);
            table.deny_when(libc::SYS_shmget, [(1, Above(rules.segment))]);
        }
        Tier::Landlock | Tier::None => neighbours(&mut table),
    }
    table
}

/// What cuts a file without opening it for writing, which is all that an early Landlock looks at. `openat2`, whose flags a
/// filter cannot see, does not exist then.
fn truncation(table: &mut Table) {
    table.hide(&[libc::SYS_openat2]);
    table.deny(&[libc::SYS_truncate]);
    let cut = libc::O_TRUNC.unsigned_abs();
    for &(number, argument) in calls::OPEN {
        // To read, and the fourth way, which neither reads nor writes.
        for way in [0, calls::ACCESS] {
            table.deny_when(number, [(argument, Masked { mask: cut | calls::ACCESS, value: cut | way })]);
        }
    }
}

fn sockets(table: &mut Table, rules: Rules) {
    // A pair is closed in itself, but one half of a datagram pair can still send to any address.
    table.deny_when(libc::SYS_socketpair, [(0, IsNot(AF_UNIX))]);
    if !rules.unix_sockets {
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            table.deny_when(libc::SYS_socketpair, [(1, Masked { mask: 0xF, value: kind.unsigned_abs() })]);
        }
    }
    // With namespaces the network is the payload's own and empty.
    let internet = rules.tier == Tier::Namespaces || rules.network == Network::Host;
    let families = [
        (rules.unix_sockets, AF_UNIX),
        (internet, libc::AF_INET.unsigned_abs()),
        (internet, libc::AF_INET6.unsigned_abs()),
    ];
    let allowed = families.iter().filter(|(allowed, _)| *allowed);
    let others: Rule = allowed.map(|&(_, family)| (0, IsNot(family))).collect();
    // No condition holds always.
    table.deny_when(libc::SYS_socket, others);
    for protocol in calls::RARE_PROTOCOLS {
        table.deny_when(libc::SYS_socket, [(0, IsNot(AF_UNIX)), (2, Is(protocol))]);
    }
    if rules.some_ports {
        // A connection that is made by sending passes by Landlock's check of connecting.
        for (number, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
            table.deny_when(number, [(flags, HasAny(libc::MSG_FASTOPEN.unsigned_abs()))]);
        }
    }
}

/// What keeps the first process of a payload's namespaces out of its reach: it is the payload's user, and limits and
/// priorities need no more than that.
fn supervisor(table: &mut Table) {
    for number in calls::OF_A_PROCESS {
        table.deny_when(number, [(0, Is(1))]);
    }
    for (number, process, user) in PRIORITIES {
        table.deny_when(number, [(0, Is(process)), (1, Is(1))]);
        table.deny_when(number, [(0, Is(user))]);
    }
}

/// What keeps the processes and IPC objects of the same user out of reach when no namespace does.
fn neighbours(table: &mut Table) {
    table.deny(calls::SHARED_IPC);
    for number in calls::OF_A_PROCESS {
        table.deny_when(number, [(0, IsNot(0))]);
    }
    // "Which" and "who": only a process, only the caller.
    for (number, process, _) in PRIORITIES {
        table.deny_when(number, [(0, IsNot(process))]);
        table.deny_when(number, [(1, IsNot(0))]);
    }
}

const AF_UNIX: u32 = libc::AF_UNIX.unsigned_abs();

#[cfg(test)]
mod tests;
