//! The tests that a step's reports tell of: all counted, the ones that people look for kept.

use crate::finding::test::{Test, TestOutcome};
use crate::record::Tests;

/// Most failed tests of one step that are kept.
const MAX_FAILED: usize = 1_000;

/// Slowest tests of one step that are kept.
const MAX_SLOWEST: usize = 20;

/// Longest name that is kept, in characters.
const MAX_NAME: usize = 500;

/// Tests of one attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    /// How many there are.
    pub(super) counts: Tests,
    failed: Vec<Test>,
    /// The slowest first.
    slowest: Vec<Test>,
}

impl Table {
    pub(super) fn add(&mut self, test: Test) {
        match test.outcome {
            TestOutcome::Passed => self.counts.passed += 1,
            TestOutcome::Failed => self.counts.failed += 1,
            TestOutcome::Skipped => self.counts.skipped += 1,
        }
        if test.outcome == TestOutcome::Failed {
            if self.failed.len() < MAX_FAILED {
                self.failed.push(short(test));
            }
        } else if test.duration.is_some() {
            let at = self.slowest.partition_point(|other| other.duration >= test.duration);
            if at < MAX_SLOWEST {
                self.slowest.insert(at, short(test));
                self.slowest.truncate(MAX_SLOWEST);
            }
        }
    }

    /// What is worth showing: those that failed, then the slowest.
    pub(super) fn worth_showing(self) -> Vec<Test> {
        self.failed.into_iter().chain(self.slowest).collect()
    }
}

fn short(mut test: Test) -> Test {
    for text in [&mut test.suite, &mut test.name] {
        if let Some((end, _)) = text.char_indices().nth(MAX_NAME) {
            text.truncate(end);
            text.push('…');
        }
    }
    test
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_are_counted_and_the_failed_and_the_slowest_are_kept() {
        let mut table = Table::default();
        for number in 0..5_000_u32 {
            let outcome = match number % 5 {
                0 => TestOutcome::Failed,
                1 => TestOutcome::Skipped,
                _ => TestOutcome::Passed,
            };
            let duration = (outcome != TestOutcome::Skipped).then(|| Duration::from_millis(number.into()));
            table.add(Test { suite: "s".repeat(2_000), name: number.to_string(), outcome, duration });
        }
        assert_eq!(table.counts, Tests { passed: 3_000, failed: 1_000, skipped: 1_000 });
        let shown = table.worth_showing();
        assert_eq!(shown.len(), 1_020);
        assert_eq!((shown[0].name.as_str(), shown[1_000].name.as_str()), ("0", "4999"));
        assert!(shown.iter().all(|test| test.suite.chars().count() == MAX_NAME + 1));
    }
}
