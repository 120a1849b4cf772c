//! What is kept of the findings while a run is made, for the reports that show only some: bounded, whatever comes.

use std::collections::BTreeMap;

use crate::finding::{Finding, Level};
use crate::page::words::cut;

/// Most findings that a summary shows.
const MAX_WORST: usize = 200;

/// Most failures of one step that its test case lists.
const MAX_OF_STEP: usize = 50;

/// Most failures of all steps together.
const MAX_OF_STEPS: usize = 2_000;

/// Longest text of a finding that is kept, in bytes. The record has all of it.
const MAX_TEXT: usize = 2_048;

/// The findings that are worth showing.
#[derive(Debug, Default)]
pub(super) struct Kept {
    worst: Vec<Finding>,
    failures: BTreeMap<String, Vec<Finding>>,
    listed: usize,
}

impl Kept {
    pub(super) fn add(&mut self, finding: &Finding) {
        if finding.filtered {
            return;
        }
        let at = self.worst.partition_point(|other| other.level >= finding.level);
        let wanted = at < MAX_WORST;
        let is_failure = finding.level == Level::Failure && self.listed < MAX_OF_STEPS;
        if !wanted && !is_failure {
            return;
        }
        let finding = short(finding);
        if is_failure {
            let of_step = self.failures.entry(finding.step.clone()).or_default();
            if of_step.len() < MAX_OF_STEP {
                of_step.push(finding.clone());
                self.listed += 1;
            }
        }
        if wanted {
            self.worst.insert(at, finding);
            self.worst.truncate(MAX_WORST);
        }
    }

    /// The worst findings first; of equal ones those that came first.
    pub(super) fn worst(&self) -> &[Finding] {
        &self.worst
    }

    /// The first failures of a step.
    pub(super) fn failures(&self, step: &str) -> &[Finding] {
        self.failures.get(step).map_or(&[], Vec::as_slice)
    }
}

fn short(finding: &Finding) -> Finding {
    let mut finding = finding.clone();
    cut(&mut finding.message, MAX_TEXT);
    cut(&mut finding.tool, MAX_TEXT);
    for text in [&mut finding.rule, &mut finding.path, &mut finding.title].into_iter().flatten() {
        cut(text, MAX_TEXT);
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_come_first_and_no_number_of_findings_is_too_many() {
        let mut kept = Kept::default();
        for number in 0..5_000 {
            let level = if number % 100 == 0 { Level::Failure } else { Level::Notice };
            let mut finding = Finding::new("t", level, format!("{number}"));
            finding.step = format!("s{}", number % 200);
            kept.add(&finding);
        }
        assert_eq!(kept.worst().len(), MAX_WORST);
        let first: Vec<&str> = kept.worst().iter().take(3).map(|finding| finding.message.as_str()).collect();
        assert_eq!(first, ["0", "100", "200"]);
        assert_eq!(kept.worst().iter().filter(|finding| finding.level == Level::Failure).count(), 50);
        assert_eq!(kept.failures("s0").len(), 25);
        assert!(kept.failures("other").is_empty());
    }
}
