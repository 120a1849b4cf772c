//! Gates: the one place that says pass or fail.
//!
//! Pure, and deaf to how things are shown: it reads how the steps ended and what its tally has counted, and nothing else.
//! It fails closed: what was not judged has not passed.

pub mod artifacts;
pub mod tally;

use crate::finding::baseline::Entry;
use crate::finding::{Counts, Level};
use crate::gate::tally::{GateTally, Tally};
use crate::id::StepId;
use crate::manifest::model::FilterMode;
use crate::plan::model::{Plan, PlannedGate};
use crate::record::{Conclusion, GateResult, LeftOut, Outcome, Skip, StepRecord, Tests};

/// Id of the gate that every run has: it judges how the steps ended.
pub const STEPS: &str = "steps";

/// Most names that one reason lists.
const MAX_NAMES: usize = 5;

/// What brought a run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every step had its turn.
    Normally,
    /// Somebody stopped it.
    Cancelled,
    /// The command's time was up.
    TimedOut,
}

/// What the gates say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The gate [`STEPS`], then the declared ones in their order.
    pub gates: Vec<GateResult>,
    /// The worst of them; never a success for a run that was stopped.
    pub conclusion: Conclusion,
}

/// Judges a run of `plan` by the records of its steps, all legs of a matrix included, and what was counted of their
/// findings.
#[must_use]
pub fn judge(plan: &Plan, steps: &[StepRecord], tally: &Tally<'_>, ended: Ended) -> Verdict {
    let mut results = vec![judge_steps(steps)];
    let nothing = GateTally::default();
    results.extend(plan.gates.iter().enumerate().map(|(index, gate)| {
        let judging = Judging { gate, tally: tally.of(index).unwrap_or(&nothing), steps };
        judging.judge(plan)
    }));
    if plan.gates.is_empty() {
        // A plan always has a gate over the findings. Without one nobody has looked at them.
        results.push(result("findings", "findings", false, "no gate judged the findings".to_owned()));
    }
    let conclusion = match ended {
        Ended::Cancelled => Conclusion::Cancelled,
        Ended::TimedOut => Conclusion::TimedOut,
        Ended::Normally if results.iter().any(|gate| !gate.passed) => Conclusion::Failure,
        // Failures that passed a gate with room for them deserve a second look as much as warnings do.
        Ended::Normally if results.iter().any(|gate| gate.counts.failure + gate.counts.warning > 0) => {
            Conclusion::Neutral
        }
        Ended::Normally => Conclusion::Success,
    };
    Verdict { gates: results, conclusion }
}

/// The implicit gate: every step has succeeded, may fail, or was left out by its own condition.
fn judge_steps(steps: &[StepRecord]) -> GateResult {
    let failed: Vec<String> = steps.iter().filter(|step| !step.passed()).map(trouble).collect();
    let reason = if steps.is_empty() {
        "no step was judged".to_owned()
    } else if failed.is_empty() {
        passed_steps(steps)
    } else {
        list(&failed)
    };
    let passed = failed.is_empty() && !steps.is_empty();
    result(STEPS, STEPS, passed, reason)
}

/// The word of a gate that counts no findings.
fn result(id: &str, name: &str, passed: bool, reason: String) -> GateResult {
    let (id, name) = (id.to_owned(), name.to_owned());
    let (counts, left_out) = (Counts::default(), LeftOut::default());
    GateResult { id, name, passed, reason, counts, left_out, gone: Vec::new() }
}

/// How the steps of a run that is in order ended, as in `3 succeeded, 1 skipped`.
fn passed_steps(steps: &[StepRecord]) -> String {
    let count = |wanted: &dyn Fn(Outcome) -> bool| steps.iter().filter(|step| wanted(step.outcome)).count();
    let skipped = count(&|outcome| outcome == Outcome::Skipped);
    let succeeded = count(&|outcome| outcome == Outcome::Success);
    let tolerated = steps.len() - skipped - succeeded;
    let parts = [(succeeded, "succeeded"), (tolerated, "failed and may fail"), (skipped, "skipped")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    parts.join(", ")
}

/// Why a step has not passed, as in `schema failed (exit code 2)`.
fn trouble(step: &StepRecord) -> String {
    let what = match (step.outcome, step.skip) {
        (Outcome::Success, _) => "succeeded",
        (Outcome::Failure, _) => "failed",
        (Outcome::Cancelled, _) => "was cancelled",
        (Outcome::TimedOut, _) => "timed out",
        (Outcome::SetupFailed, _) => "could not be set up",
        (Outcome::Skipped, Some(Skip::NeedFailed)) => "was skipped because a step that it needs failed",
        (Outcome::Skipped, Some(Skip::RunEnded)) => "was skipped because the run had ended",
        (Outcome::Skipped, Some(Skip::Condition | Skip::NoChangedFiles) | None) => "was skipped",
    };
    let detail = match (step.outcome, step.exit_code, &step.signal) {
        (Outcome::Failure, _, Some(signal)) => format!(" ({signal})"),
        (Outcome::Failure, Some(code), None) if code != 0 => format!(" (exit code {code})"),
        _ => String::new(),
    };
    format!("{} {what}{detail}", step.key)
}

/// A declared gate, and everything that it judges by.
struct Judging<'a> {
    gate: &'a PlannedGate,
    tally: &'a GateTally,
    /// The records of all steps.
    steps: &'a [StepRecord],
}

impl Judging<'_> {
    fn judge(&self, plan: &Plan) -> GateResult {
        let gate = self.gate;
        let mut problems = absent(&gate.needs, self.steps);
        if self.looked_at().next().is_none() && problems.is_empty() {
            problems.push("no step was judged".to_owned());
        }
        let counts = self.tally.counts();
        problems.extend(self.unknown(plan));
        problems.extend(LEVELS.into_iter().filter_map(|level| self.over_limit(level, &counts)));
        problems.extend(self.tests());
        problems.extend(gate.require.iter().filter_map(|id| unmet(id, self.steps)));
        let passed = problems.is_empty();
        let mut reason = match (&gate.message, passed) {
            (_, true) => self.within(&counts),
            (Some(message), false) => format!("{message}: {}", problems.join("; ")),
            (None, false) => problems.join("; "),
        };
        let left_out = LeftOut { outside: self.tally.outside, known: self.tally.known };
        reason.push_str(&left_out_in_words(left_out));
        let gone = self.gone();
        let (id, name) = (gate.id.to_string(), gate.name.clone());
        GateResult { id, name, passed, reason, counts, left_out, gone }
    }

    /// The records of the steps that it looks at.
    fn looked_at(&self) -> impl Iterator<Item = &StepRecord> {
        let needs = &self.gate.needs;
        self.steps.iter().filter(move |step| needs.is_empty() || needs.contains(&step.id))
    }

    /// Why it is not known what counts. Nothing is green that nobody could compare.
    fn unknown(&self, plan: &Plan) -> Vec<String> {
        let mut problems = Vec::new();
        if self.gate.filter != FilterMode::Nofilter {
            let problem = match plan.diff.as_deref() {
                Some(Ok(_)) => None,
                Some(Err(problem)) => Some(problem.as_str()),
                None => Some("nobody looked"),
            };
            problems.extend(problem.map(|problem| {
                format!(
                    "it is not known what has changed: {problem}: check out the whole history (fetch-depth: 0), or name \
                     the base with --base"
                )
            }));
        }
        if let Some(baseline) = &self.gate.baseline
            && let Err(problem) = baseline.known.as_ref()
        {
            problems.push(format!(
                "the baseline {} {problem}: write it with `rungate baseline update {} --from RUN_DIR`",
                baseline.path, plan.command
            ));
        }
        problems
    }

    /// What there is too much of, as in `2 failures in schema, rows (limit 0)`.
    fn over_limit(&self, level: Level, counts: &Counts) -> Option<String> {
        let limit = limit(self.gate, level)?;
        let count = counts.of(level);
        if count <= limit {
            return None;
        }
        // In the order of the run, each step once, whatever its legs.
        let mut names: Vec<String> = Vec::new();
        for step in self.looked_at() {
            let name = step.id.to_string();
            let counted = self.tally.counted.get(&step.id).is_some_and(|counts| counts.of(level) > 0);
            if counted && !names.contains(&name) {
                names.push(name);
            }
        }
        Some(format!("{} in {} (limit {limit})", counted(count, level), list(&names)))
    }

    /// What is wrong with the tests that were counted.
    fn tests(&self) -> Vec<String> {
        let Some(limits) = self.gate.tests else { return Vec::new() };
        let tests = self.looked_at().fold(Tests::default(), |sum, step| sum.plus(step.tests));
        let mut problems = Vec::new();
        if tests.total() == 0 && limits.min > 0 {
            problems.push(format!(
                "no test was counted (at least {}): does the report that `findings` names hold any?",
                limits.min
            ));
        } else if tests.total() < limits.min {
            problems.push(format!("{} counted (at least {})", of_tests(tests.total()), limits.min));
        }
        if tests.failed > limits.max_failed {
            problems.push(format!("{} failed (limit {})", of_tests(tests.failed), limits.max_failed));
        }
        if let Some(limit) = limits.max_skipped.filter(|limit| tests.skipped > *limit) {
            problems.push(format!("{} skipped (limit {limit})", of_tests(tests.skipped)));
        }
        problems
    }

    /// What a gate that passed has seen, as in `no failures, 3 warnings (limit 10)`.
    fn within(&self, counts: &Counts) -> String {
        let gate = self.gate;
        let mut parts = Vec::new();
        for level in LEVELS {
            match limit(gate, level) {
                Some(limit) if limit > 0 => {
                    parts.push(format!("{} (limit {limit})", counted(counts.of(level), level)));
                }
                Some(_) => parts.push(counted(counts.of(level), level)),
                None if counts.of(level) > 0 => parts.push(counted(counts.of(level), level)),
                None => {}
            }
        }
        if gate.tests.is_some() {
            let tests = self.looked_at().fold(Tests::default(), |sum, step| sum.plus(step.tests));
            parts.push(of_tests(tests.total()));
        }
        if !gate.require.is_empty() {
            let names: Vec<String> = gate.require.iter().map(ToString::to_string).collect();
            parts.push(format!("{} succeeded", list(&names)));
        }
        if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
    }

    /// Entries of the baseline that do not occur any more. Only a whole run can say that.
    fn gone(&self) -> Vec<Entry> {
        let Some(Ok(known)) = self.gate.baseline.as_ref().map(|baseline| baseline.known.as_ref()) else {
            return Vec::new();
        };
        let whole = self.looked_at().all(|step| matches!(step.outcome, Outcome::Success | Outcome::Failure));
        let gone = self.tally.gone().filter_map(|index| known.entries().get(index));
        if whole { gone.cloned().collect() } else { Vec::new() }
    }
}

/// What a gate left out, as in `; left out: 10 known to the baseline, 4 outside of what changed`.
fn left_out_in_words(left_out: LeftOut) -> String {
    let parts = [(left_out.known, "known to the baseline"), (left_out.outside, "outside of what changed")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
    if parts.is_empty() { String::new() } else { format!("; left out: {}", parts.join(", ")) }
}

fn of_tests(count: u64) -> String {
    if count == 1 { "1 test".to_owned() } else { format!("{count} tests") }
}

/// The levels, worst first.
const LEVELS: [Level; 3] = [Level::Failure, Level::Warning, Level::Notice];

/// Most findings of `level` that pass; absent: any number. A limit that is written wins over what `fail-on` implies.
fn limit(gate: &PlannedGate, level: Level) -> Option<u64> {
    gate.max.get(&level).copied().or_else(|| gate.fail_on.filter(|least| level >= *least).map(|_| 0))
}

/// Steps whose findings are asked for and of which there is no record.
fn absent(needs: &[StepId], steps: &[StepRecord]) -> Vec<String> {
    let absent = needs.iter().filter(|id| !steps.iter().any(|step| step.id == **id));
    absent.map(|id| format!("{id} has no record")).collect()
}

/// Why the required step `id` does not satisfy: no record, or a leg that did not succeed.
fn unmet(id: &StepId, steps: &[StepRecord]) -> Option<String> {
    let mut legs = steps.iter().filter(|step| step.id == *id).peekable();
    if legs.peek().is_none() {
        return Some(format!("{id} is required and has no record"));
    }
    let failed: Vec<String> = legs.filter(|step| step.outcome != Outcome::Success).map(trouble).collect();
    (!failed.is_empty()).then(|| format!("{id} is required: {}", list(&failed)))
}

fn counted(count: u64, level: Level) -> String {
    match count {
        0 => format!("no {}s", level.as_str()),
        1 => format!("1 {}", level.as_str()),
        _ => format!("{count} {}s", level.as_str()),
    }
}

/// The first names, and how many more there are.
fn list(names: &[String]) -> String {
    let shown = names.len().min(MAX_NAMES);
    let more = match names.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names[..shown].join(", "))
}

#[cfg(test)]
mod tests;
