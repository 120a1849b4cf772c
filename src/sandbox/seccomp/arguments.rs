//! The part of a filter that looks at arguments of a call.

use nix::errno::Errno;

use super::bpf::{self, Answer, Compare, Instruction};

/// Something that is true of an argument. The kernel looks at the lower half of most registers, and so do all of these but
/// one: a longer comparison could be talked past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Is(u32),
    IsNot(u32),
    /// It has one of these bits.
    HasAny(u32),
    /// Of the bits of a mask it has just these.
    Masked {
        mask: u32,
        value: u32,
    },
    /// The whole of it is larger.
    Above(u64),
}

/// A test of the argument with this index.
pub(super) type Condition = (u8, Test);

/// Conditions that must all hold.
pub(super) type Rule = Vec<Condition>;

/// Instructions that deny a call of which one of `rules` holds, and allow any other.
pub(super) fn block(rules: &[Rule]) -> Vec<Instruction> {
    let mut block = Vec::new();
    for rule in rules {
        block.extend(denial(rule));
    }
    block.push(bpf::answer(Answer::Allow));
    block
}

/// Instructions that deny a call of which all of `rule` holds, and go on behind themselves with any other.
fn denial(rule: &[Condition]) -> Vec<Instruction> {
    let mut parts: Vec<Instruction> = vec![bpf::answer(Answer::Fail(Errno::EPERM))];
    // From the last condition to the first: how far it is to the end is known then.
    for &(argument, test) in rule.iter().rev() {
        let behind = u8::try_from(parts.len()).unwrap_or(u8::MAX);
        parts.splice(..0, condition(argument, test, behind));
    }
    parts
}

/// Instructions that go on behind themselves when a condition holds, else `behind` instructions further.
fn condition(argument: u8, test: Test, behind: u8) -> Vec<Instruction> {
    use Compare::{Above, AnyBit, Equal};
    let (low, high) = bpf::argument(argument);
    match test {
        Test::Is(value) => vec![bpf::load(low), bpf::compare(Equal, value, 0, behind)],
        Test::IsNot(value) => vec![bpf::load(low), bpf::compare(Equal, value, behind, 0)],
        Test::HasAny(bits) => vec![bpf::load(low), bpf::compare(AnyBit, bits, 0, behind)],
        Test::Masked { mask, value } => {
            vec![bpf::load(low), bpf::keep(mask), bpf::compare(Equal, value, 0, behind)]
        }
        #[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
        Test::Above(value) => vec![
            bpf::load(high),
            bpf::compare(Above, (value >> 32) as u32, 3, 0),
            bpf::compare(Equal, (value >> 32) as u32, 0, behind + 2),
            bpf::load(low),
            bpf::compare(Above, value as u32, 0, behind),
        ],
    }
}
