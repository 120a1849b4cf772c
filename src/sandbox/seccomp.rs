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

use std::collections::BTreeMap;

use nix::errno::Errno;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use crate::manifest::model::Network;
use crate::sandbox::confinement::{Confinement, Tier};

mod calls;
mod tree;

use tree::Verdict;

/// First Landlock version that knows of truncation.
const TRUNCATE: u32 = 3;

/// First Landlock version that keeps a payload from the abstract Unix sockets of others.
const SCOPES: u32 = 6;

/// Most segments of System V shared memory in a namespace, as the kernel makes one.
const SEGMENTS: u64 = 4096;

/// Calls that set priorities, each with its words for "one process" and for "all of a user".
const PRIORITIES: [(i64, u64, u64); 2] = [(libc::SYS_setpriority, 0, 2), (libc::SYS_ioprio_set, 1, 3)];

/// Bytes of one instruction: a code of 16 bits, two jumps of 8, an operand of 32.
const INSTRUCTION: usize = 8;

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
pub struct Program(BpfProgram);

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The rules cannot be expressed.
    #[error("the system call filter cannot be compiled")]
    Rules(#[from] BackendError),
    /// The list of calls was made for other processors.
    #[error("no system call filter exists for this processor")]
    Processor,
}

/// Compiles `rules` for this processor. Pure.
///
/// # Errors
/// Fails on a processor other than x86-64 and arm64.
pub fn program(rules: Rules) -> Result<Program, CompileError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| CompileError::Processor)?;
    let audit = match arch {
        TargetArch::x86_64 => 0xC000_003E,
        TargetArch::aarch64 => 0xC000_00B7,
        TargetArch::riscv64 => return Err(CompileError::Processor),
    };
    let denied = denied(rules)?;
    let mut program = tree::program(audit, |number| {
        let unseen = rules.uncut && i64::from(number) == libc::SYS_openat2;
        if number > calls::NEWEST || unseen || calls::ABSENT.contains(&number.into()) {
            return Verdict::NoSuchCall;
        }
        match denied.get(&number.into()).map(Vec::as_slice) {
            None => Verdict::Allowed,
            Some([]) => Verdict::Denied,
            Some(_) => Verdict::ByArguments,
        }
    });
    let by_arguments = SeccompFilter::new(
        denied.into_iter().filter(|(_, rules)| !rules.is_empty()).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(Errno::EPERM as u32),
        arch,
    )?;
    program.extend(BpfProgram::try_from(by_arguments)?);
    Ok(Program(program))
}

impl Program {
    /// The filter as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * INSTRUCTION);
        for instruction in &self.0 {
            bytes.extend_from_slice(&instruction.code.to_le_bytes());
            bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
            bytes.extend_from_slice(&instruction.k.to_le_bytes());
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
        let read = |&[c0, c1, jt, jf, k @ ..]: &[u8; INSTRUCTION]| sock_filter {
            code: u16::from_le_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_le_bytes(k),
        };
        Some(Self(instructions.iter().map(read).collect()))
    }

    /// Puts this thread and all that it starts under the filter, for good. Also sets `no_new_privs`, without which the
    /// kernel takes no filter from an ordinary user.
    ///
    /// # Errors
    /// Returns the kernel's word when it refuses.
    pub fn install(&self) -> Result<(), Errno> {
        use seccompiler::Error;
        seccompiler::apply_filter(&self.0).map_err(|error| match error {
            Error::Prctl(source) | Error::Seccomp(source) => {
                Errno::from_raw(source.raw_os_error().unwrap_or(libc::EINVAL))
            }
            _ => Errno::EINVAL,
        })
    }
}

/// Calls that are denied, each with the arguments that make it so; without any, always.
type Denied = BTreeMap<i64, Vec<SeccompRule>>;

fn denied(rules: Rules) -> Result<Denied, BackendError> {
    let mut denied: Denied = calls::ALWAYS.iter().map(|&number| (number, Vec::new())).collect();
    for flag in calls::NEW_NAMESPACES {
        deny(&mut denied, libc::SYS_clone, [has(0, flag)?])?;
    }
    // The kernel looks at half of the register, so a longer comparison could be talked past.
    for code in calls::TERMINAL_INJECTIONS {
        deny(&mut denied, libc::SYS_ioctl, [is(1, code)?])?;
    }
    // 0 is what every program runs under, and all ones only asks.
    deny(&mut denied, libc::SYS_personality, [is_not(0, 0)?, is_not(0, 0xFFFF_FFFF)?])?;
    // What a payload writes may belong to another user outside, so a program that runs as its owner must not be left there.
    for &(number, mode) in calls::SET_MODE {
        for bit in [libc::S_ISUID, libc::S_ISGID] {
            deny(&mut denied, number, [has(mode, bit.into())?])?;
        }
    }
    // The kernel looks at half of the register here, too.
    for command in calls::LEASES {
        deny(&mut denied, libc::SYS_fcntl, [is(1, command)?])?;
    }
    if rules.uncut {
        truncation(&mut denied)?;
    }
    sockets(&mut denied, rules)?;
    match rules.tier {
        Tier::Namespaces => {
            supervisor(&mut denied)?;
            let larger = SeccompCondition::new(1, SeccompCmpArgLen::Qword, SeccompCmpOp::Gt, rules.segment)?;
            deny(&mut denied, libc::SYS_shmget, [larger])?;
        }
        Tier::Landlock | Tier::None => neighbours(&mut denied)?,
    }
    Ok(denied)
}

/// What cuts a file without opening it for writing, which is all that an early Landlock looks at. `openat2`, whose flags a
/// filter cannot see, does not exist then.
fn truncation(denied: &mut Denied) -> Result<(), BackendError> {
    denied.insert(libc::SYS_truncate, Vec::new());
    let cut = u64::from(libc::O_TRUNC.unsigned_abs());
    for &(number, argument) in calls::OPEN {
        // To read, and the fourth way, which neither reads nor writes.
        for way in [0, calls::ACCESS] {
            deny(denied, number, [masked(argument, cut | calls::ACCESS, cut | way)?])?;
        }
    }
    Ok(())
}

fn sockets(denied: &mut Denied, rules: Rules) -> Result<(), BackendError> {
    // A pair is closed in itself, but one half of a datagram pair can still send to any address.
    deny(denied, libc::SYS_socketpair, [is_not(0, AF_UNIX)?])?;
    if !rules.unix_sockets {
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            deny(denied, libc::SYS_socketpair, [masked(1, 0xF, kind.unsigned_abs().into())?])?;
        }
    }
    // With namespaces the network is the payload's own and empty.
    let internet = rules.tier == Tier::Namespaces || rules.network == Network::Host;
    let families = [
        (rules.unix_sockets, AF_UNIX),
        (internet, libc::AF_INET.unsigned_abs().into()),
        (internet, libc::AF_INET6.unsigned_abs().into()),
    ];
    let others = families.iter().filter(|(allowed, _)| *allowed).map(|&(_, family)| is_not(0, family));
    let others = others.collect::<Result<Vec<_>, _>>()?;
    if others.is_empty() {
        denied.insert(libc::SYS_socket, Vec::new());
        return Ok(());
    }
    deny(denied, libc::SYS_socket, others)?;
    for protocol in calls::RARE_PROTOCOLS {
        deny(denied, libc::SYS_socket, [is_not(0, AF_UNIX)?, is(2, protocol)?])?;
    }
    if rules.some_ports {
        // A connection that is made by sending passes by Landlock's check of connecting.
        for (number, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
            deny(denied, number, [has(flags, libc::MSG_FASTOPEN.unsigned_abs().into())?])?;
        }
    }
    Ok(())
}

/// What keeps the first process of a payload's namespaces out of its reach: it is the payload's user, and limits and
/// priorities need no more than that.
fn supervisor(denied: &mut Denied) -> Result<(), BackendError> {
    for number in calls::OF_A_PROCESS {
        deny(denied, number, [is(0, 1)?])?;
    }
    for (number, process, user) in PRIORITIES {
        deny(denied, number, [is(0, process)?, is(1, 1)?])?;
        deny(denied, number, [is(0, user)?])?;
    }
    Ok(())
}

/// What keeps the processes and IPC objects of the same user out of reach when no namespace does.
fn neighbours(denied: &mut Denied) -> Result<(), BackendError> {
    denied.extend(calls::SHARED_IPC.iter().map(|&number| (number, Vec::new())));
    for number in calls::OF_A_PROCESS {
        deny(denied, number, [is_not(0, 0)?])?;
    }
    // "Which" and "who": only a process, only the caller.
    for (number, process, _) in PRIORITIES {
        deny(denied, number, [is_not(0, process)?])?;
        deny(denied, number, [is_not(1, 0)?])?;
    }
    Ok(())
}

const AF_UNIX: u64 = libc::AF_UNIX as u64;

fn deny(
    denied: &mut Denied,
    number: i64,
    when: impl Into<Vec<SeccompCondition>>,
) -> Result<(), BackendError> {
    denied.entry(number).or_default().push(SeccompRule::new(when.into())?);
    Ok(())
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

fn has(argument: u8, flag: u64) -> Result<SeccompCondition, BackendError> {
    masked(argument, flag, flag)
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

#[cfg(test)]
mod tests;
