//! What the dispatcher knows of the steps: who waits, who runs, how those that are over ended.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::id::StepId;
use crate::plan::evaluate::Status;
use crate::plan::graph;
use crate::plan::model::Plan;
use crate::record::{Outcome, Skip, StepRecord};
use crate::run::file_commands::Handover;
use crate::run::job::Inherited;
use crate::run::stop::Stopper;

/// One step's place in the run.
pub(super) enum Place {
    /// Its turn has not come.
    Waiting,
    /// An executor has it.
    Running(Stopper),
    /// It is over.
    Over(Box<StepRecord>),
}

/// All steps, by their place in the plan.
pub(super) struct State<'a> {
    pub(super) plan: &'a Plan,
    pub(super) places: Vec<Place>,
    handovers: Vec<Handover>,
    /// For each step, the places of all steps that it names in its needs.
    needs: Vec<Vec<usize>>,
    /// The same with those that these need in turn.
    ancestors: Vec<Vec<usize>>,
}

impl<'a> State<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let closure = graph::ancestors(&plan.steps);
        let mut places: BTreeMap<&StepId, Vec<usize>> = BTreeMap::new();
        for (index, step) in plan.steps.iter().enumerate() {
            places.entry(&step.id).or_default().push(index);
        }
        let found = |ids: &mut dyn Iterator<Item = &StepId>| {
            let mut all: Vec<usize> = ids.filter_map(|id| places.get(id)).flatten().copied().collect();
            all.sort_unstable();
            all
        };
        let needs = plan.steps.iter().map(|step| found(&mut step.needs.iter())).collect();
        let ancestors =
            plan.steps.iter().map(|step| found(&mut closure.get(&step.id).into_iter().flatten())).collect();
        Self {
            plan,
            places: plan.steps.iter().map(|_| Place::Waiting).collect(),
            handovers: plan.steps.iter().map(|_| Handover::default()).collect(),
            needs,
            ancestors,
        }
    }

    /// Notes that a step is over.
    pub(super) fn end(&mut self, index: usize, record: StepRecord, handover: Handover) {
        self.places[index] = Place::Over(Box::new(record));
        self.handovers[index] = handover;
    }

    pub(super) fn running(&self) -> impl Iterator<Item = (usize, &Stopper)> {
        self.places.iter().enumerate().filter_map(|(index, place)| match place {
            Place::Running(stopper) => Some((index, stopper)),
            Place::Waiting | Place::Over(_) => None,
        })
    }

    /// Whether a step has still to be started.
    pub(super) fn is_waiting(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Waiting))
    }

    pub(super) fn all_over(&self) -> bool {
        self.places.iter().all(|place| matches!(place, Place::Over(_)))
    }

    fn record(&self, index: usize) -> Option<&StepRecord> {
        match &self.places[index] {
            Place::Over(record) => Some(record),
            Place::Waiting | Place::Running(_) => None,
        }
    }

    /// Whether everything that the step needs is over.
    pub(super) fn is_due(&self, index: usize) -> bool {
        matches!(self.places[index], Place::Waiting)
            // A step that is over had all that it needs itself, so nothing further away has to be looked at.
            && self.needs[index].iter().all(|&other| self.record(other).is_some())
    }

    /// Whether another leg of the step's matrix may start.
    pub(super) fn has_room(&self, index: usize) -> bool {
        let step = &self.plan.steps[index];
        let legs = self.running().filter(|(other, _)| self.plan.steps[*other].id == step.id).count();
        step.max_parallel.is_none_or(|most| legs < most as usize)
    }

    /// How everything that the step needs ended.
    pub(super) fn status(&self, index: usize, cancelled: bool) -> Status {
        let records = || self.ancestors[index].iter().filter_map(|&other| self.record(other));
        let failed = |record: &&StepRecord| {
            matches!(record.outcome, Outcome::Failure | Outcome::TimedOut | Outcome::SetupFailed)
                && !record.continue_on_error
        };
        Status {
            success: !cancelled && records().all(StepRecord::passed),
            failure: records().any(|record| failed(&record)),
            cancelled,
        }
    }

    /// Environment and search path from the steps that this one needs, in the plan's order.
    pub(super) fn inherited(&self, index: usize) -> Inherited {
        let mut inherited = Inherited::default();
        for &other in &self.ancestors[index] {
            let handover = &self.handovers[other];
            inherited.env.extend(handover.env.iter().cloned());
            for entry in &handover.path {
                // As with Actions, a later addition is searched first.
                inherited.path.insert(0, entry.clone());
            }
        }
        inherited
    }

    /// The `steps` context for one step: only what it needs, so that a plan means the same however steps overlap.
    pub(super) fn context(&self, index: usize) -> Value {
        self.context_of(&self.ancestors[index])
    }

    /// The `steps` context for what comes after all steps.
    pub(super) fn whole_context(&self) -> Value {
        self.context_of(&(0..self.places.len()).collect::<Vec<_>>())
    }

    fn context_of(&self, places: &[usize]) -> Value {
        let mut steps: BTreeMap<&StepId, (Outcome, bool, serde_json::Map<String, Value>)> = BTreeMap::new();
        for &other in places {
            let Some(record) = self.record(other) else { continue };
            let (outcome, passed, outputs) =
                steps.entry(&record.id).or_insert_with(|| (record.outcome, true, serde_json::Map::new()));
            *outcome = worse(*outcome, record.outcome);
            *passed &= record.passed();
            for (name, value) in &self.handovers[other].outputs {
                outputs.insert(name.clone(), Value::String(value.clone()));
            }
        }
        let entries = steps.into_iter().map(|(id, (outcome, passed, outputs))| {
            let word = outcome.in_expressions();
            let conclusion = if passed && word == "failure" { "success" } else { word };
            (id.to_string(), json!({"outcome": word, "conclusion": conclusion, "outputs": outputs}))
        });
        Value::Object(entries.collect())
    }
}

/// The outcome that stands for two legs of one matrix.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    let weight = |outcome: Outcome| match outcome {
        Outcome::Failure | Outcome::TimedOut | Outcome::SetupFailed => 3,
        Outcome::Cancelled => 2,
        Outcome::Success => 1,
        Outcome::Skipped => 0,
    };
    if weight(other) > weight(one) { other } else { one }
}

/// Why a step whose condition was false did not run. A false `if` is the author's wish and as good as success; but when
/// the step would have run had its needs succeeded, it is their failure that kept it from running.
pub(super) fn why_skipped(status: Status, had_needs_succeeded: bool) -> Skip {
    if status.success || !had_needs_succeeded { Skip::Condition } else { Skip::NeedFailed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_leg_stands_for_its_matrix_whatever_the_order() {
        let from_good_to_bad = [Outcome::Skipped, Outcome::Success, Outcome::Cancelled, Outcome::Failure];
        for (at, &good) in from_good_to_bad.iter().enumerate() {
            for &bad in &from_good_to_bad[at..] {
                assert_eq!((worse(good, bad), worse(bad, good)), (bad, bad));
            }
        }
        // All three are failures; the first one seen names them.
        assert_eq!(worse(Outcome::TimedOut, Outcome::SetupFailed), Outcome::TimedOut);
    }

    #[test]
    fn a_skip_is_the_needs_fault_only_when_they_would_have_changed_it() {
        let failed = Status { success: false, failure: true, cancelled: false };
        let fine = Status { success: true, failure: false, cancelled: false };
        assert_eq!(why_skipped(failed, true), Skip::NeedFailed);
        // As with `if: failure()` or `if: false` after a failure: it would not have run anyway.
        assert_eq!(why_skipped(failed, false), Skip::Condition);
        assert_eq!(why_skipped(fine, true), Skip::Condition);
    }
}
