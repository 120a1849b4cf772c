//! Whether a step whose turn has come is to run, and if not, why. Decides from what is known of the steps and does
//! nothing.

use std::collections::BTreeMap;

use crate::plan::evaluate::{self, Scope};
use crate::record::{Outcome, Skip, StepRecord};
use crate::run::job;
use crate::run::state::{Place, State, why_skipped};
use crate::run::stop::Why;

/// What becomes of a step that does not run.
pub(super) enum Decision {
    /// It is left out, for this reason.
    Skip(Skip, Option<String>),
    /// Whether it is to run cannot be said.
    Fail(String),
}

/// Whether the step at `index`, whose turn has come, is not to run at all. `stopped` says why the whole run is to stop,
/// `failed_fast` that a step failed after which no other one is to succeed.
pub(super) fn skip(
    state: &State<'_>,
    index: usize,
    stopped: Option<Why>,
    failed_fast: bool,
) -> Option<Decision> {
    let step = &state.plan.steps[index];
    if let Some(why) = stopped {
        return Some(Decision::Skip(Skip::RunEnded, Some(why.text().to_owned())));
    }
    let matrix_failed = step.leg_fail_fast && sibling_failed(state, index);
    let status = state.status(index, false);
    if matrix_failed {
        return Some(Decision::Skip(Skip::RunEnded, Some("another leg of its matrix failed".to_owned())));
    }
    let steps = state.context(index);
    let inherited = state.inherited(index);
    let (none, no_env) = (BTreeMap::new(), BTreeMap::new());
    let seen =
        if failed_fast { evaluate::Status { success: false, failure: true, ..status } } else { status };
    let scope = Scope {
        contexts: &state.plan.contexts,
        matrix: &step.matrix,
        env: &no_env,
        steps: &steps,
        secrets: &none,
        status: None,
    };
    let env = job::visible_env(step, &scope, &inherited);
    let scope = Scope { env: &env, status: Some(seen), ..scope };
    match evaluate::condition(&step.condition, &scope) {
        Ok(true) if step.nothing_changed => Some(Decision::Skip(Skip::NoChangedFiles, None)),
        Ok(true) => None,
        Ok(false) => {
            let ideal = evaluate::Status { success: true, failure: false, cancelled: false };
            let ideal = Scope { status: Some(ideal), ..scope };
            let would_run = evaluate::condition(&step.condition, &ideal).unwrap_or(false);
            let skip = match why_skipped(seen, would_run) {
                Skip::NeedFailed if status.success => Skip::RunEnded,
                skip => skip,
            };
            let reason = match skip {
                Skip::RunEnded => Some(Why::FailFast.text().to_owned()),
                Skip::NeedFailed => Some("a step that it needs did not succeed".to_owned()),
                Skip::Condition | Skip::NoChangedFiles => None,
            };
            Some(Decision::Skip(skip, reason))
        }
        Err(error) => Some(Decision::Fail(format!("if: {error}"))),
    }
}

fn sibling_failed(state: &State<'_>, index: usize) -> bool {
    let id = &state.plan.steps[index].id;
    state
        .places
        .iter()
        .zip(&state.plan.steps)
        .any(|(place, step)| step.id == *id && matches!(place, Place::Over(record) if is_failure(record)))
}

/// Whether a step failed in a way that counts.
pub(super) fn is_failure(record: &StepRecord) -> bool {
    matches!(record.outcome, Outcome::Failure | Outcome::TimedOut | Outcome::SetupFailed)
        && !record.continue_on_error
}
