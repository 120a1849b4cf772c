//! The part of a filter that looks at numbers of calls: a search tree over ranges of numbers with one verdict.
//!
//! The kernel tries a filter out on every number when it is installed, to remember which are always allowed, so a chain of
//! comparisons would cost more than the rest of the payload's set-up. A second filter was rejected: each one costs every call.

use libc::c_long;
use nix::errno::Errno;

use super::arguments::{self, Rule};
use super::bpf::{self, Answer, Compare, Instruction};
use super::calls;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Denied,
    /// As if the kernel did not know it.
    NoSuchCall,
    /// The rules with this index decide.
    ByArguments(usize),
}

/// What becomes of each call. Numbers above the newest do not exist.
#[derive(Clone, Debug)]
pub(super) struct Table {
    verdicts: [Verdict; calls::NEWEST as usize + 1],
    rules: Vec<Vec<Rule>>,
}

impl Table {
    /// One in which every call is allowed.
    pub(super) const fn new() -> Self {
        Self { verdicts: [Verdict::Allowed; calls::NEWEST as usize + 1], rules: Vec::new() }
    }

    /// Denies calls, whatever their arguments are.
    pub(super) fn deny(&mut self, numbers: &[c_long]) {
        self.set(numbers, Verdict::Denied);
    }

    /// Has calls not exist.
    pub(super) fn hide(&mut self, numbers: &[c_long]) {
        self.set(numbers, Verdict::NoSuchCall);
    }

    fn set(&mut self, numbers: &[c_long], verdict: Verdict) {
        for &number in numbers {
            if let Some(known) = self.of(number) {
                *known = verdict;
            }
        }
    }

    /// Denies a call when all of `rule` holds, beside when it is denied already.
    pub(super) fn deny_when(&mut self, number: c_long, rule: impl Into<Rule>) {
        let next = self.rules.len();
        match self.of(number) {
            Some(allowed @ Verdict::Allowed) => {
                *allowed = Verdict::ByArguments(next);
                self.rules.push(vec![rule.into()]);
            }
            Some(&mut Verdict::ByArguments(index)) => self.rules[index].push(rule.into()),
            // It is denied whatever its arguments are.
            Some(Verdict::Denied | Verdict::NoSuchCall) | None => {}
        }
    }

    fn of(&mut self, number: c_long) -> Option<&mut Verdict> {
        self.verdicts.get_mut(usize::try_from(number).ok()?)
    }

    /// A filter that does what this says, and kills at a call of another architecture than `audit`.
    pub(super) fn program(&self, audit: u32) -> Vec<Instruction> {
        let mut ranges: Vec<Range> = Vec::new();
        for (start, &verdict) in (0..).zip(self.verdicts.iter().chain(&[Verdict::NoSuchCall])) {
            if ranges.last().is_none_or(|last| last.verdict != verdict) {
                ranges.push(Range { start, verdict });
            }
        }
        let mut program = vec![
            bpf::load(bpf::ARCHITECTURE),
            bpf::compare(Compare::Equal, audit, 1, 0),
            bpf::answer(Answer::Kill),
            bpf::load(bpf::NUMBER),
        ];
        let mut leaves = Vec::new();
        search(&ranges, &mut program, &mut leaves);
        let mut blocks = Vec::with_capacity(self.rules.len());
        for rules in &self.rules {
            blocks.push(program.len());
            program.extend(arguments::block(rules));
        }
        for (place, index) in leaves {
            program[place] = bpf::jump(count(blocks[index] - place - 1));
        }
        program
    }
}

/// Numbers from `start` on, up to the next range.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: u32,
    verdict: Verdict,
}

/// Adds instructions to `program` that find the range of the number that has been loaded, and do what its verdict says. Where
/// arguments decide, their place and the index of the rules is added to `leaves`.
fn search(ranges: &[Range], program: &mut Vec<Instruction>, leaves: &mut Vec<(usize, usize)>) {
    let (below, from) = match ranges {
        [] => return,
        [one] => {
            if let Verdict::ByArguments(index) = one.verdict {
                leaves.push((program.len(), index));
            }
            return program.push(leaf(one.verdict));
        }
        more => more.split_at(more.len() / 2),
    };
    let is_from = |holds, fails| bpf::compare(Compare::AtLeast, from[0].start, holds, fails);
    let place = program.len();
    // Each range has one instruction, and each fork one or two.
    if let Ok(_fits) = u8::try_from(3 * below.len()) {
        program.push(is_from(0, 0));
        search(below, program, leaves);
        program[place] = is_from(u8::try_from(program.len() - place - 1).unwrap_or(u8::MAX), 0);
    } else {
        program.extend([is_from(0, 1), bpf::jump(0)]);
        search(below, program, leaves);
        program[place + 1] = bpf::jump(count(program.len() - place - 2));
    }
    search(from, program, leaves);
}

fn leaf(verdict: Verdict) -> Instruction {
    match verdict {
        Verdict::Allowed => bpf::answer(Answer::Allow),
        Verdict::Denied => bpf::answer(Answer::Fail(Errno::EPERM)),
        Verdict::NoSuchCall => bpf::answer(Answer::Fail(Errno::ENOSYS)),
        // Until it is known where the rules are.
        Verdict::ByArguments(_) => bpf::jump(0),
    }
}

/// A filter has far fewer instructions than a jump can pass over.
fn count(over: usize) -> u32 {
    u32::try_from(over).unwrap_or(u32::MAX)
}
