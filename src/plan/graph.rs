//! Which step comes after which.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::StepId;
use crate::manifest::model::Step;
use crate::plan::model::PlannedStep;

/// What each step of a manifest needs: what it says, else the step before it, else nothing.
#[must_use]
pub fn needs(steps: &[Step]) -> Vec<Vec<StepId>> {
    steps
        .iter()
        .enumerate()
        .map(|(index, step)| match &step.needs {
            Some(needs) => needs.iter().map(|need| need.value.clone()).collect(),
            None => index.checked_sub(1).map(|before| steps[before].id.value.clone()).into_iter().collect(),
        })
        .collect()
}

/// An order in which every step stands after all that it needs, and else as in the file. `needs` has no cycle.
#[must_use]
pub fn order(steps: &[Step], needs: &[Vec<StepId>]) -> Vec<usize> {
    let places: BTreeMap<&StepId, usize> =
        steps.iter().enumerate().map(|(index, step)| (&step.id.value, index)).collect();
    let mut waiting: Vec<usize> = vec![0; steps.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (index, needs) in needs.iter().enumerate() {
        for place in needs.iter().filter_map(|need| places.get(need)) {
            waiting[index] += 1;
            after[*place].push(index);
        }
    }
    let mut ready: BTreeSet<usize> = (0..steps.len()).filter(|&index| waiting[index] == 0).collect();
    let mut order = Vec::with_capacity(steps.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &next in &after[index] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.insert(next);
            }
        }
    }
    // A cycle was refused when the manifest was read; should one come here all the same, its steps come last.
    order.extend((0..steps.len()).filter(|&index| waiting[index] > 0));
    order
}

/// For each step id, every step that it needs, directly or through others.
#[must_use]
pub fn ancestors(steps: &[PlannedStep]) -> BTreeMap<StepId, BTreeSet<StepId>> {
    let mut closure: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
    // Steps stand after what they need, so what a need reaches is known when it is asked for.
    for step in steps {
        let mut reached = BTreeSet::new();
        for need in &step.needs {
            if let Some(further) = closure.get(need) {
                reached.extend(further.iter().cloned());
            }
            reached.insert(need.clone());
        }
        closure.entry(step.id.clone()).or_default().extend(reached);
    }
    closure
}
