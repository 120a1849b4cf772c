//! Gates: the one place that says pass or fail.
//!
//! Pure, and deaf to how things are shown: it reads what the steps' records count and nothing else. It fails closed: what
//! was not judged has not passed.

use std::collections::BTreeMap;

use crate::finding::{Counts, Level};
use crate::id::StepId;
use crate::plan::model::PlannedGate;
use crate::record::{Conclusion, GateResult, Outcome, Skip, StepRecord};

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

/// Judges a run by the records of its steps, all legs of a matrix included.
#[must_use]
pub fn judge(gates: &[PlannedGate], steps: &[StepRecord], ended: Ended) -> Verdict {
    let mut results = vec![judge_steps(steps)];
    results.extend(gates.iter().map(|gate| judge_gate(gate, steps)));
    if gates.is_empty() {
        // A plan always has a gate over the findings. Without one nobody has looked at them.
        results.push(GateResult {
            id: "findings".to_owned(),
            name: "findings".to_owned(),
            passed: false,
            reason: "no gate judged the findings".to_owned(),
            counts: Counts::default(),
        });
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
    GateResult { id: STEPS.to_owned(), name: STEPS.to_owned(), passed, reason, counts: Counts::default() }
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

/// A declared gate.
fn judge_gate(gate: &PlannedGate, steps: &[StepRecord]) -> GateResult {
    let judged: Vec<&StepRecord> =
        steps.iter().filter(|step| gate.needs.is_empty() || gate.needs.contains(&step.id)).collect();
    let mut counts = Counts::default();
    for step in &judged {
        counts.failure = counts.failure.saturating_add(step.counts.failure);
        counts.warning = counts.warning.saturating_add(step.counts.warning);
        counts.notice = counts.notice.saturating_add(step.counts.notice);
    }
    let mut problems = absent(&gate.needs, steps);
    if judged.is_empty() && problems.is_empty() {
        problems.push("no step was judged".to_owned());
    }
    problems.extend(LEVELS.into_iter().filter_map(|level| over_limit(gate, level, &judged, &counts)));
    problems.extend(gate.require.iter().filter_map(|id| unmet(id, steps)));
    let passed = problems.is_empty();
    let reason = match (&gate.message, passed) {
        (_, true) => within(gate, &counts),
        (Some(message), false) => format!("{message}: {}", problems.join("; ")),
        (None, false) => problems.join("; "),
    };
    GateResult { id: gate.id.to_string(), name: gate.name.clone(), passed, reason, counts }
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

/// What there is too much of, as in `2 failures in schema, rows (limit 0)`.
fn over_limit(gate: &PlannedGate, level: Level, judged: &[&StepRecord], counts: &Counts) -> Option<String> {
    let limit = limit(gate, level)?;
    let count = counts.of(level);
    if count <= limit {
        return None;
    }
    let mut of_step: BTreeMap<&StepId, u64> = BTreeMap::new();
    for step in judged {
        let sum = of_step.entry(&step.id).or_default();
        *sum = sum.saturating_add(step.counts.of(level));
    }
    // In the order of the run, each step once, whatever its legs.
    let mut names: Vec<String> = Vec::new();
    for step in judged.iter().filter(|step| of_step.get(&step.id).is_some_and(|sum| *sum > 0)) {
        let name = step.id.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(format!("{} in {} (limit {limit})", counted(count, level), list(&names)))
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

/// What a gate that passed has seen, as in `no failures, 3 warnings (limit 10)`.
fn within(gate: &PlannedGate, counts: &Counts) -> String {
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
    if !gate.require.is_empty() {
        let names: Vec<String> = gate.require.iter().map(ToString::to_string).collect();
        parts.push(format!("{} succeeded", list(&names)));
    }
    if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::StepKey;
    use crate::record::SandboxReport;

    fn step(id: &str, leg: Option<&str>, outcome: Outcome) -> StepRecord {
        let id: StepId = id.parse().unwrap();
        let key = leg.map_or_else(|| StepKey::plain(&id), |leg| StepKey::leg(&id, leg));
        StepRecord {
            name: key.to_string(),
            folder: key.folder(),
            id,
            key,
            matrix: BTreeMap::new(),
            outcome,
            skip: None,
            continue_on_error: false,
            reason: None,
            flaky: false,
            exit_code: None,
            signal: None,
            attempts: 1,
            started_at: None,
            duration_ms: 0,
            slow: false,
            counts: Counts::default(),
            output_dropped: 0,
            hang: None,
            sandbox: SandboxReport {
                tier: "none".to_owned(),
                namespaces: Vec::new(),
                landlock: None,
                seccomp: false,
                cgroup: Vec::new(),
                degraded: Vec::new(),
            },
        }
    }

    fn ok(id: &str) -> StepRecord {
        step(id, None, Outcome::Success)
    }

    fn skipped(id: &str, why: Skip) -> StepRecord {
        StepRecord { skip: Some(why), ..step(id, None, Outcome::Skipped) }
    }

    fn found(mut step: StepRecord, failure: u64, warning: u64, notice: u64) -> StepRecord {
        step.counts = Counts { failure, warning, notice };
        step
    }

    fn gate(needs: &[&str], fail_on: Option<Level>) -> PlannedGate {
        PlannedGate {
            id: "g".parse().unwrap(),
            name: "G".to_owned(),
            needs: needs.iter().map(|id| id.parse().unwrap()).collect(),
            fail_on,
            max: BTreeMap::new(),
            require: Vec::new(),
            message: None,
        }
    }

    /// The verdict in text: one line a gate, then the conclusion.
    fn judged(gates: &[PlannedGate], steps: &[StepRecord]) -> String {
        let verdict = judge(gates, steps, Ended::Normally);
        let gates = verdict.gates.iter().map(|gate| {
            format!("{} {}: {}\n", gate.id, if gate.passed { "passed" } else { "failed" }, gate.reason)
        });
        format!("{}{}", gates.collect::<String>(), verdict.conclusion.as_str())
    }

    /// Just the word of the gate `steps`.
    fn of_steps(steps: &[StepRecord]) -> String {
        let verdict = judge(&[gate(&[], None)], steps, Ended::Normally);
        format!("{} {}", verdict.gates[0].passed, verdict.gates[0].reason)
    }

    /// Just the word of `gate`.
    fn of_gate(gate: PlannedGate, steps: &[StepRecord]) -> String {
        let verdict = judge(&[gate], steps, Ended::Normally);
        format!("{} {}", verdict.gates[1].passed, verdict.gates[1].reason)
    }

    #[test]
    fn a_run_in_order_succeeds() {
        insta::assert_snapshot!(judged(&[gate(&[], Some(Level::Failure))], &[ok("a"), ok("b")]), @"
        steps passed: 2 succeeded
        g passed: no failures
        success
        ");
    }

    #[test]
    fn every_way_not_to_succeed_fails_the_implicit_gate() {
        let failed = StepRecord { exit_code: Some(2), ..step("a", None, Outcome::Failure) };
        let killed = StepRecord { signal: Some("SIGKILL".to_owned()), ..step("a", None, Outcome::Failure) };
        let cases = [
            failed,
            killed,
            step("a", Some("x"), Outcome::TimedOut),
            step("a", None, Outcome::Cancelled),
            step("a", None, Outcome::SetupFailed),
            step("a", None, Outcome::Skipped),
            skipped("a", Skip::NeedFailed),
            skipped("a", Skip::RunEnded),
        ];
        let words: Vec<String> = cases.into_iter().map(|step| of_steps(&[ok("b"), step])).collect();
        insta::assert_snapshot!(words.join("\n"), @"
        false a failed (exit code 2)
        false a failed (SIGKILL)
        false a (x) timed out
        false a was cancelled
        false a could not be set up
        false a was skipped
        false a was skipped because a step that it needs failed
        false a was skipped because the run had ended
        ");
        assert_eq!(of_steps(&[]), "false no step was judged");
    }

    #[test]
    fn skips_by_choice_and_failures_that_may_be_pass_the_implicit_gate() {
        let may_fail = |outcome| StepRecord { continue_on_error: true, ..step("c", None, outcome) };
        let steps = [
            ok("a"),
            skipped("b", Skip::Condition),
            skipped("b", Skip::NoChangedFiles),
            may_fail(Outcome::Failure),
            may_fail(Outcome::TimedOut),
            may_fail(Outcome::SetupFailed),
        ];
        assert_eq!(of_steps(&steps), "true 1 succeeded, 3 failed and may fail, 2 skipped");
        assert_eq!(of_steps(&[may_fail(Outcome::Cancelled)]), "false c was cancelled");
    }

    #[test]
    fn many_names_are_cut() {
        let steps: Vec<StepRecord> =
            (0..8).map(|n| step(&format!("s{n}"), None, Outcome::TimedOut)).collect();
        assert!(of_steps(&steps).ends_with("s4 timed out and 3 more"), "{}", of_steps(&steps));
    }

    #[test]
    fn levels_and_limits() {
        let steps =
            [found(ok("a"), 1, 2, 3), found(step("m", Some("x"), Outcome::Success), 1, 0, 0), ok("m")];
        let with_max =
            |level, max, fail_on| PlannedGate { max: BTreeMap::from([(level, max)]), ..gate(&[], fail_on) };
        let cases = [
            gate(&[], None),
            gate(&[], Some(Level::Failure)),
            gate(&[], Some(Level::Warning)),
            gate(&[], Some(Level::Notice)),
            gate(&["m"], Some(Level::Warning)),
            with_max(Level::Failure, 2, Some(Level::Failure)),
            with_max(Level::Failure, 1, None),
            with_max(Level::Warning, 1, Some(Level::Failure)),
            with_max(Level::Warning, 2, None),
            PlannedGate { message: Some("ask the data team".to_owned()), ..gate(&[], Some(Level::Failure)) },
        ];
        let words: Vec<String> = cases.into_iter().map(|gate| of_gate(gate, &steps)).collect();
        insta::assert_snapshot!(words.join("\n"), @"
        true 2 failures, 2 warnings, 3 notices
        false 2 failures in a, m (limit 0)
        false 2 failures in a, m (limit 0); 2 warnings in a (limit 0)
        false 2 failures in a, m (limit 0); 2 warnings in a (limit 0); 3 notices in a (limit 0)
        false 1 failure in m (limit 0)
        true 2 failures (limit 2), 2 warnings, 3 notices
        false 2 failures in a, m (limit 1)
        false 2 failures in a, m (limit 0); 2 warnings in a (limit 1)
        true 2 failures, 2 warnings (limit 2), 3 notices
        false ask the data team: 2 failures in a, m (limit 0)
        ");
    }

    #[test]
    fn required_steps_must_have_succeeded_in_every_leg() {
        let require = |id: &str| PlannedGate { require: vec![id.parse().unwrap()], ..gate(&[], None) };
        let leg = |leg, outcome| step("m", Some(leg), outcome);
        let may_fail = StepRecord { continue_on_error: true, ..step("c", None, Outcome::Failure) };
        let words = [
            of_gate(require("a"), &[ok("a")]),
            of_gate(require("a"), &[skipped("a", Skip::Condition)]),
            of_gate(require("m"), &[leg("x", Outcome::Success), leg("y", Outcome::Success)]),
            of_gate(require("m"), &[leg("x", Outcome::Success), leg("y", Outcome::Failure)]),
            of_gate(require("c"), &[may_fail]),
            of_gate(require("gone"), &[ok("a")]),
        ];
        insta::assert_snapshot!(words.join("\n"), @"
        true a succeeded
        false a is required: a was skipped
        true m succeeded
        false m is required: m (y) failed
        false c is required: c failed
        false gone is required and has no record
        ");
    }

    #[test]
    fn what_was_not_judged_has_not_passed() {
        insta::assert_snapshot!(judged(&[], &[ok("a")]), @"
        steps passed: 1 succeeded
        findings failed: no gate judged the findings
        failure
        ");
        insta::assert_snapshot!(judged(&[gate(&["gone"], None)], &[ok("a")]), @"
        steps passed: 1 succeeded
        g failed: gone has no record
        failure
        ");
        insta::assert_snapshot!(judged(&[gate(&[], None)], &[]), @"
        steps failed: no step was judged
        g failed: no step was judged
        failure
        ");
    }

    #[test]
    fn the_conclusion_is_the_worst() {
        let conclusion =
            |steps: &[StepRecord], ended| judge(&[gate(&[], Some(Level::Failure))], steps, ended).conclusion;
        let warned = [found(ok("a"), 0, 1, 0)];
        let noticed = [found(ok("a"), 0, 0, 1)];
        assert_eq!(conclusion(&[ok("a")], Ended::Normally), Conclusion::Success);
        assert_eq!(conclusion(&noticed, Ended::Normally), Conclusion::Success);
        assert_eq!(conclusion(&warned, Ended::Normally), Conclusion::Neutral);
        assert_eq!(conclusion(&[found(ok("a"), 1, 1, 0)], Ended::Normally), Conclusion::Failure);
        assert_eq!(conclusion(&[ok("a")], Ended::Cancelled), Conclusion::Cancelled);
        assert_eq!(conclusion(&[ok("a")], Ended::TimedOut), Conclusion::TimedOut);
        let elsewhere =
            judge(&[gate(&["b"], None)], &[warned[0].clone(), ok("b")], Ended::Normally).conclusion;
        assert_eq!(elsewhere, Conclusion::Success, "findings that no gate judges decide nothing");
    }

    fn any_step() -> impl Strategy<Value = StepRecord> {
        let outcome = prop::sample::select(
            &[
                Outcome::Success,
                Outcome::Failure,
                Outcome::Cancelled,
                Outcome::TimedOut,
                Outcome::Skipped,
                Outcome::SetupFailed,
            ][..],
        );
        let skip = prop::sample::select(
            &[Skip::Condition, Skip::NoChangedFiles, Skip::NeedFailed, Skip::RunEnded][..],
        );
        let id = prop::sample::select(&["a", "b", "c"][..]);
        (id, outcome, skip, any::<bool>(), prop::array::uniform3(0u64..3)).prop_map(
            |(id, outcome, skip, may, n)| {
                let record = found(step(id, None, outcome), n[0], n[1], n[2]);
                let skip = (outcome == Outcome::Skipped).then_some(skip);
                StepRecord { skip, continue_on_error: may, ..record }
            },
        )
    }

    fn any_gate() -> impl Strategy<Value = PlannedGate> {
        let level = prop::sample::select(&LEVELS[..]);
        let ids = || prop::sample::subsequence(vec!["a", "b", "c"], 0..=3);
        let max = prop::collection::btree_map(level.clone(), 0u64..4, 0..3);
        (ids(), prop::option::of(level), max, ids()).prop_map(|(needs, fail_on, max, require)| {
            let require = require.iter().map(|id| id.parse().unwrap()).collect();
            PlannedGate { max, require, ..gate(&needs, fail_on) }
        })
    }

    /// From harmless to bad, for a run that ended normally.
    fn badness(verdict: &Verdict) -> usize {
        let order = [Conclusion::Success, Conclusion::Neutral, Conclusion::Failure];
        order.iter().position(|conclusion| *conclusion == verdict.conclusion).unwrap()
    }

    proptest! {
        #[test]
        fn nothing_that_is_worse_is_judged_better(
            gates in prop::collection::vec(any_gate(), 0..3),
            steps in prop::collection::vec(any_step(), 1..5),
            at in any::<prop::sample::Index>(),
            level in prop::sample::select(&LEVELS[..]),
        ) {
            let before = judge(&gates, &steps, Ended::Normally);
            let at = at.index(steps.len());

            let mut more = steps.clone();
            more[at].counts.add(level);
            let after = judge(&gates, &more, Ended::Normally);
            prop_assert!(badness(&after) >= badness(&before), "one more finding");
            for (before, after) in before.gates.iter().zip(&after.gates) {
                prop_assert!(before.passed || !after.passed, "one more finding: {}", after.reason);
            }

            let mut strict = steps.clone();
            strict[at].continue_on_error = false;
            prop_assert!(badness(&judge(&gates, &strict, Ended::Normally)) >= badness(&before), "a stricter step");

            for ended in [Ended::Cancelled, Ended::TimedOut] {
                let stopped = judge(&gates, &steps, ended).conclusion;
                prop_assert!(!matches!(stopped, Conclusion::Success | Conclusion::Neutral), "a run that was stopped");
            }
        }
    }
}
