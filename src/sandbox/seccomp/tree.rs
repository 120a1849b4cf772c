//! The part of a filter that looks at numbers of calls alone: a search tree over ranges of numbers with one verdict.
//!
//! seccompiler compares with one number after the other. The kernel tries a filter out on every number when it is installed,
//! to remember which are always allowed, so a chain of comparisons costs more than the rest of the payload's set-up. It also
//! knows one answer a filter only, and compares for equality. A second filter was rejected: each one costs every call.

use nix::errno::Errno;
use seccompiler::{BpfProgram, SeccompAction, sock_filter};

use super::calls;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Denied,
    /// As if the kernel did not know it.
    NoSuchCall,
    /// What stands behind the tree decides.
    ByArguments,
}

/// Numbers from `start` on, up to the next range.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: u32,
    verdict: Verdict,
}

/// Place of a jump to what stands behind the tree, until its length is known.
const BEHIND: u32 = u32::MAX;

/// A program that kills at a call of another architecture than `audit`, and answers as `verdict` says, which is the same
/// for all numbers above the newest. It ends where what decides by arguments is to stand.
pub(super) fn program(audit: u32, verdict: impl Fn(u32) -> Verdict) -> BpfProgram {
    let mut ranges: Vec<Range> = Vec::new();
    for start in 0..=calls::NEWEST + 1 {
        let verdict = verdict(start);
        if ranges.last().is_none_or(|last| last.verdict != verdict) {
            ranges.push(Range { start, verdict });
        }
    }
    // Offsets of `arch` and `nr` in the kernel's `struct seccomp_data`.
    let mut program = vec![
        load(4),
        sock_filter { jt: 1, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, audit) },
        answer(SeccompAction::KillProcess),
        load(0),
    ];
    program.extend(search(&ranges));
    let end = program.len();
    for (place, instruction) in program.iter_mut().enumerate() {
        if u32::from(instruction.code) == libc::BPF_JMP | libc::BPF_JA && instruction.k == BEHIND {
            instruction.k = jump(end - place - 1);
        }
    }
    program
}

/// Finds the range of the number that has been loaded, and does what its verdict says.
fn search(ranges: &[Range]) -> BpfProgram {
    let (below, from) = match ranges {
        [] => return Vec::new(),
        [one] => return vec![leaf(one.verdict)],
        more => more.split_at(more.len() / 2),
    };
    let (Some(first), below) = (from.first(), search(below)) else { return Vec::new() };
    let is_from = statement(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, first.start);
    let mut tree = match u8::try_from(below.len()) {
        Ok(over) => vec![sock_filter { jt: over, ..is_from }],
        // Too far for a comparison.
        Err(_) => {
            vec![sock_filter { jf: 1, ..is_from }, statement(libc::BPF_JMP | libc::BPF_JA, jump(below.len()))]
        }
    };
    tree.extend(below);
    tree.extend(search(from));
    tree
}

fn leaf(verdict: Verdict) -> sock_filter {
    match verdict {
        Verdict::Allowed => answer(SeccompAction::Allow),
        Verdict::Denied => answer(SeccompAction::Errno(Errno::EPERM as u32)),
        Verdict::NoSuchCall => answer(SeccompAction::Errno(Errno::ENOSYS as u32)),
        Verdict::ByArguments => statement(libc::BPF_JMP | libc::BPF_JA, BEHIND),
    }
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn answer(action: SeccompAction) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, action.into())
}

/// A program has far fewer instructions than a jump can pass over.
fn jump(over: usize) -> u32 {
    u32::try_from(over).unwrap_or(BEHIND - 1)
}

#[expect(clippy::cast_possible_truncation, reason = "codes of classic BPF have 16 bits")]
fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}
