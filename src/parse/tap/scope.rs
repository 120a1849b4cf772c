//! A run of test points, with what is still to be decided about it.

use crate::parse::Item;
use crate::parse::tap::line::Directive;
use crate::parse::test_case::TestCase;

/// A document, or a subtest in one.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) indent: usize,
    pub(super) name: String,
    /// First and last number that the plan allows.
    pub(super) plan: Option<(u64, u64)>,
    pub(super) plans: u64,
    pub(super) points: u64,
    /// The number of the last point.
    pub(super) last: u64,
    /// The least and the greatest number of a point.
    pub(super) numbers: Option<(u64, u64)>,
    /// The last point, until what follows it is known to belong to something else.
    pub(super) open: Option<OpenPoint>,
    /// Subtests that have ended and whose point is still to come.
    pub(super) child: Child,
    pub(super) failed: bool,
    /// What waits for the point of this subtest in its parent.
    pub(super) held: Vec<Item>,
}

/// A point whose diagnostics may still come.
pub(super) struct OpenPoint {
    pub(super) test: TestCase,
    pub(super) ok: bool,
    pub(super) directive: Option<Directive>,
    pub(super) details: String,
    /// Its subtest comes after it, in braces.
    pub(super) buffered: bool,
    pub(super) child: Child,
}

/// What is known about a subtest that has ended.
#[derive(Default)]
pub(super) struct Child {
    pub(super) points: u64,
    pub(super) failed: bool,
    pub(super) held: Vec<Item>,
}

impl Child {
    pub(super) fn add(&mut self, other: Self) {
        self.points += other.points;
        self.failed |= other.failed;
        self.held.extend(other.held);
    }
}

impl Scope {
    /// What is wrong with the plan.
    pub(super) fn complaint(&self) -> Option<String> {
        let Some((first, last)) = self.plan else {
            return Some(format!(
                "there is no plan after {} tests: the run may have been cut short",
                self.points
            ));
        };
        if self.plans > 1 {
            return Some(format!("there are {} plans where one belongs", self.plans));
        }
        let planned = last.saturating_add(1).saturating_sub(first);
        if self.points != planned {
            return Some(format!("{planned} tests were planned and {} were run", self.points));
        }
        let (lowest, highest) = self.numbers?;
        let outside = [lowest, highest].into_iter().find(|number| !(first..=last).contains(number))?;
        Some(format!("test {outside} is outside of the plan {first}..{last}"))
    }
}
