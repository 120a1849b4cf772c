//! Instructions of classic BPF, as far as a filter of system calls needs them.

use nix::errno::Errno;

/// One instruction, laid out as the kernel has it: what to do, how many of the following ones to pass over when a comparison
/// holds and when it does not, and a number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) holds: u8,
    pub(super) fails: u8,
    pub(super) number: u32,
}

/// Where `nr` and `arch` are in the kernel's `struct seccomp_data`.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;

/// What is compared with the number that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Above,
    AtLeast,
    /// Whether they have a bit in common.
    AnyBit,
}

/// What the kernel does about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Allow,
    Fail(Errno),
    Kill,
}

/// Where the lower half of an argument is, and the upper one.
pub(super) fn argument(index: u8) -> (u32, u32) {
    let start = 16 + 8 * u32::from(index);
    if cfg!(target_endian = "big") { (start + 4, start) } else { (start, start + 4) }
}

/// Loads what is at `offset`.
pub(super) const fn load(offset: u32) -> Instruction {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Keeps the bits of `mask` of what was loaded.
pub(super) const fn keep(mask: u32) -> Instruction {
    instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask)
}

/// Passes over `holds` instructions when the comparison holds, else over `fails`.
pub(super) const fn compare(what: Compare, number: u32, holds: u8, fails: u8) -> Instruction {
    let code = match what {
        Compare::Equal => libc::BPF_JEQ,
        Compare::Above => libc::BPF_JGT,
        Compare::AtLeast => libc::BPF_JGE,
        Compare::AnyBit => libc::BPF_JSET,
    };
    Instruction { holds, fails, ..instruction(libc::BPF_JMP | code | libc::BPF_K, number) }
}

/// Passes over `count` instructions.
pub(super) const fn jump(count: u32) -> Instruction {
    instruction(libc::BPF_JMP | libc::BPF_JA, count)
}

/// Ends the filter with an answer.
pub(super) const fn answer(answer: Answer) -> Instruction {
    let number = match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Fail(errno) => libc::SECCOMP_RET_ERRNO | (errno as u32),
        Answer::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    };
    instruction(libc::BPF_RET | libc::BPF_K, number)
}

#[expect(clippy::cast_possible_truncation, reason = "codes of classic BPF have 16 bits")]
const fn instruction(code: u32, number: u32) -> Instruction {
    Instruction { code: code as u16, holds: 0, fails: 0, number }
}
