//! What the gates count: each finding once, less what the manifest, a baseline or the diff takes out, with an exact
//! number for everything that was taken out.
//!
//! Findings come here one by one while the run is made, so that nothing has to keep them.

use std::collections::{BTreeMap, HashMap};

use crate::finding::{Counts, Finding, Level};
use crate::id::{Sha256, StepId};
use crate::manifest::model::FilterMode;
use crate::plan::globs::Selection;
use crate::plan::model::{Plan, PlannedSuppression};

/// What becomes of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new in this run.
    Counts {
        /// Whether the report's own filter shows it. What decides is another matter.
        shown: bool,
    },
    /// The manifest or a comment in the source accepts it.
    Suppressed {
        /// Why, in the words of who accepted it.
        reason: String,
    },
}

/// Findings that a gate counted, and those that it left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateTally {
    /// Counted, by step.
    pub(super) counted: BTreeMap<StepId, Counts>,
    /// Left out because they lie outside of what changed.
    pub(super) outside: u64,
    /// Left out because the baseline knows them.
    pub(super) known: u64,
    /// Entries of the baseline that occurred, by index.
    occurred: Vec<bool>,
}

/// What has been counted so far.
#[derive(Debug)]
pub struct Tally<'p> {
    plan: &'p Plan,
    suppressions: Vec<Suppressing<'p>>,
    /// Gates that look at a step, by their index.
    looking: BTreeMap<&'p StepId, Vec<usize>>,
    gates: Vec<GateTally>,
    /// Where each finding was first seen, by what makes it the same: place, rule, message and level.
    seen: HashMap<u128, First>,
}

#[derive(Debug)]
struct Suppressing<'p> {
    planned: &'p PlannedSuppression,
    paths: Option<Selection>,
    /// Findings that it would have taken out, had it not expired.
    back: u64,
}

/// The first report of a finding.
#[derive(Clone, Debug)]
struct First {
    /// Its fingerprint, as a number.
    fingerprint: u128,
    /// Index of its step in the plan.
    step: u32,
    /// Whether it is accepted and counts nowhere, whoever reports it.
    accepted: bool,
    /// Gates that counted it for another step than the first.
    further: Vec<usize>,
}

impl<'p> Tally<'p> {
    /// Nothing yet, for the gates and suppressions of `plan`.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        let mut looking: BTreeMap<&StepId, Vec<usize>> = BTreeMap::new();
        for (index, gate) in plan.gates.iter().enumerate() {
            for step in plan
                .steps
                .iter()
                .map(|step| &step.id)
                .filter(|id| gate.needs.is_empty() || gate.needs.contains(id))
            {
                let gates = looking.entry(step).or_default();
                if gates.last() != Some(&index) {
                    gates.push(index);
                }
            }
        }
        let entries = |index: usize| {
            plan.gates[index].baseline.as_ref().map_or(0, |baseline| {
                baseline.known.as_ref().as_ref().map_or(0, |known| known.entries().len())
            })
        };
        let gates = (0..plan.gates.len())
            .map(|index| GateTally { occurred: vec![false; entries(index)], ..GateTally::default() })
            .collect();
        let suppressions = plan.suppressions.iter().map(|planned| Suppressing {
            planned,
            // The plan has compiled it once already.
            paths: Selection::new(std::slice::from_ref(&planned.path)).ok(),
            back: 0,
        });
        Self { plan, suppressions: suppressions.collect(), looking, gates, seen: HashMap::new() }
    }

    /// The fingerprint of an equal finding that this run has already heard of, if there is one. A gate that looks at
    /// this step and did not look at the other one counts it now.
    pub fn again(&mut self, finding: &Finding, step: &StepId) -> Option<String> {
        let key = identity(finding)?;
        let first = self.seen.get_mut(&key)?;
        let fingerprint = format!("{:032x}", first.fingerprint);
        if !first.accepted {
            let of_first = self.plan.steps.get(first.step as usize).map(|step| &step.id);
            let counted = of_first.and_then(|step| self.looking.get(step)).map_or(&[][..], Vec::as_slice);
            let mine = self.looking.get(step).map_or(&[][..], Vec::as_slice);
            let new = |gate: &&usize| !counted.contains(gate) && !first.further.contains(gate);
            let gates: Vec<usize> = mine.iter().filter(new).copied().collect();
            first.further.extend(&gates);
            let known = Finding { fingerprint: fingerprint.clone(), ..finding.clone() };
            for gate in gates {
                self.count(gate, &known, step);
            }
        }
        Some(fingerprint)
    }

    /// Counts `finding` of `step`, which has its fingerprint. `ignored` is the reason that a comment in the source gives
    /// for accepting it.
    pub fn add(&mut self, finding: &Finding, step: &StepId, ignored: Option<String>) -> Fate {
        let accepted = ignored.or_else(|| self.suppressed(finding));
        self.remember(finding, step, accepted.is_some());
        if let Some(reason) = accepted {
            return Fate::Suppressed { reason };
        }
        for gate in self.looking.get(step).cloned().unwrap_or_default() {
            self.count(gate, finding, step);
        }
        let shown = self.within(self.plan.report.filter, finding).unwrap_or(true);
        Fate::Counts { shown }
    }

    /// Counts findings of `step` of which nothing but their number is known. No filter can excuse them.
    pub fn add_unknown(&mut self, step: &StepId, counts: &Counts) {
        for gate in self.looking.get(step).cloned().unwrap_or_default() {
            let counted = self.gates[gate].counted.entry(step.clone()).or_default();
            counted.failure = counted.failure.saturating_add(counts.failure);
            counted.warning = counted.warning.saturating_add(counts.warning);
            counted.notice = counted.notice.saturating_add(counts.notice);
        }
    }

    /// What the gate at `index` counted.
    pub(super) fn of(&self, index: usize) -> Option<&GateTally> {
        self.gates.get(index)
    }

    /// What a reader should know of suppressions that have expired and would still have taken something out.
    #[must_use]
    pub fn notices(&self) -> Vec<Finding> {
        let back = self.suppressions.iter().filter(|suppressing| suppressing.back > 0);
        let notices = back.map(|suppressing| {
            let PlannedSuppression { rule, path, expires, owner, line, .. } = suppressing.planned;
            let owner = owner.as_ref().map(|owner| format!(" (owner: {owner})")).unwrap_or_default();
            let expires = expires.as_deref().unwrap_or_default();
            let many = if suppressing.back == 1 { "finding is" } else { "findings are" };
            let count = suppressing.back;
            let message = format!(
                "the suppression of {rule} in {path} expired on {expires}{owner}: {count} {many} back"
            );
            let mut finding = Finding::new("rungate", Level::Notice, message);
            finding.rule = Some("suppression-expired".to_owned());
            finding.path = Some(self.plan.manifest.path.clone());
            finding.start_line = *line;
            finding
        });
        notices.collect()
    }

    fn remember(&mut self, finding: &Finding, step: &StepId, accepted: bool) {
        let index = self.plan.steps.iter().position(|planned| planned.id == *step);
        let fingerprint = u128::from_str_radix(&finding.fingerprint, 16);
        if let (Some(key), Some(Ok(step)), Ok(fingerprint)) =
            (identity(finding), index.map(u32::try_from), fingerprint)
        {
            self.seen.insert(key, First { fingerprint, step, accepted, further: Vec::new() });
        }
    }

    fn suppressed(&mut self, finding: &Finding) -> Option<String> {
        let (rule, path) = (finding.rule.as_deref()?, finding.path.as_deref()?);
        let holds = |suppressing: &&mut Suppressing<'_>| {
            let planned = suppressing.planned;
            planned.rule == rule
                && suppressing.paths.as_ref().is_some_and(|paths| paths.matches(path))
                && planned.message.as_ref().is_none_or(|part| finding.message.contains(part))
        };
        for suppressing in self.suppressions.iter_mut().filter(holds) {
            if !suppressing.planned.expired {
                return Some(suppressing.planned.reason.clone());
            }
            suppressing.back += 1;
        }
        None
    }

    fn count(&mut self, gate: usize, finding: &Finding, step: &StepId) {
        let planned = &self.plan.gates[gate];
        let within = self.within(planned.filter, finding);
        let known = planned.baseline.as_ref().and_then(|baseline| baseline.known.as_ref().as_ref().ok());
        let known = known.and_then(|baseline| baseline.find(finding));
        let tally = &mut self.gates[gate];
        if let Some(index) = known {
            tally.occurred[index] = true;
        }
        // Where it is not known what has changed, the gate fails for that, and everything counts.
        if within == Some(false) {
            tally.outside += 1;
        } else if known.is_some() {
            tally.known += 1;
        } else {
            tally.counted.entry(step.clone()).or_default().add(finding.level);
        }
    }

    /// Whether `finding` lies within what changed, as `mode` has it; nothing where that is not known.
    fn within(&self, mode: FilterMode, finding: &Finding) -> Option<bool> {
        if mode == FilterMode::Nofilter {
            return Some(true);
        }
        let diff = self.plan.diff.as_ref()?.as_ref().as_ref().ok()?;
        let lines = finding.start_line.map(|start| start..=finding.end_line.unwrap_or(start).max(start));
        Some(diff.holds(mode, finding.path.as_deref(), lines))
    }
}

impl GateTally {
    /// Everything that was counted.
    pub(super) fn counts(&self) -> Counts {
        self.counted.values().fold(Counts::default(), |sum, counts| Counts {
            failure: sum.failure.saturating_add(counts.failure),
            warning: sum.warning.saturating_add(counts.warning),
            notice: sum.notice.saturating_add(counts.notice),
        })
    }

    /// Indices of the baseline's entries that did not occur.
    pub(super) fn gone(&self) -> impl Iterator<Item = usize> {
        self.occurred.iter().enumerate().filter(|(_, occurred)| !**occurred).map(|(index, _)| index)
    }
}

/// What makes two findings the same one, whichever report says it: place, rule, message and level. Without a path there
/// is no place, and each stands for itself.
fn identity(finding: &Finding) -> Option<u128> {
    let path = finding.path.as_deref()?;
    let mut bytes = Vec::new();
    for part in [path, finding.rule.as_deref().unwrap_or_default(), &finding.message] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    for number in [finding.start_line, finding.end_line, finding.start_column, finding.end_column] {
        bytes.extend_from_slice(&number.unwrap_or_default().to_le_bytes());
    }
    bytes.push(finding.level as u8);
    Some(Sha256::of(&bytes).half())
}

#[cfg(test)]
mod tests;
