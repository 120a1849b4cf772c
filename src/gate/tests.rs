//! Tests of the gates: records in, verdicts out.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::id::StepKey;
use crate::manifest::model::TestLimits;
use crate::plan::tests::planned;
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
        suppressed: 0,
        tests: Tests::default(),
        output_dropped: 0,
        hang: None,
        sandbox: SandboxReport::default(),
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
        filter: FilterMode::Nofilter,
        baseline: None,
        tests: None,
        require: Vec::new(),
        message: None,
    }
}

/// A plan of the steps that `steps` are records of, with `gates`.
fn plan_of(gates: &[PlannedGate], steps: &[StepRecord]) -> Plan {
    let mut ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let line = |id: &&str| format!("  - {{id: {id}, needs: [], run: 'true'}}\n");
    let lines = ids.iter().map(line).collect::<Vec<_>>().concat();
    // A command has a step; one without a record is a case of its own.
    let lines = if lines.is_empty() { "  - {id: unrecorded, run: 'true'}\n".to_owned() } else { lines };
    Plan { gates: gates.to_vec(), ..planned(&format!("steps:\n{lines}")) }
}

/// What the gates say when nothing is known of the findings but their number.
fn judge_counts(gates: &[PlannedGate], steps: &[StepRecord], ended: Ended) -> Verdict {
    let plan = plan_of(gates, steps);
    let mut tally = Tally::new(&plan);
    for step in steps {
        tally.add_unknown(&step.id, &step.counts);
    }
    judge(&plan, steps, &tally, ended)
}

/// The verdict in text: one line a gate, then the conclusion.
fn judged(gates: &[PlannedGate], steps: &[StepRecord]) -> String {
    let verdict = judge_counts(gates, steps, Ended::Normally);
    let gates = verdict.gates.iter().map(|gate| {
        format!("{} {}: {}\n", gate.id, if gate.passed { "passed" } else { "failed" }, gate.reason)
    });
    format!("{}{}", gates.collect::<String>(), verdict.conclusion.as_str())
}

/// Just the word of the gate `steps`.
fn of_steps(steps: &[StepRecord]) -> String {
    let verdict = judge_counts(&[gate(&[], None)], steps, Ended::Normally);
    format!("{} {}", verdict.gates[0].passed, verdict.gates[0].reason)
}

/// Just the word of `gate`.
fn of_gate(gate: PlannedGate, steps: &[StepRecord]) -> String {
    let verdict = judge_counts(&[gate], steps, Ended::Normally);
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
    let steps: Vec<StepRecord> = (0..8).map(|n| step(&format!("s{n}"), None, Outcome::TimedOut)).collect();
    assert!(of_steps(&steps).ends_with("s4 timed out and 3 more"), "{}", of_steps(&steps));
}

#[test]
fn levels_and_limits() {
    let steps = [found(ok("a"), 1, 2, 3), found(step("m", Some("x"), Outcome::Success), 1, 0, 0), ok("m")];
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
    let conclusion = |steps: &[StepRecord], ended| {
        judge_counts(&[gate(&[], Some(Level::Failure))], steps, ended).conclusion
    };
    let warned = [found(ok("a"), 0, 1, 0)];
    let noticed = [found(ok("a"), 0, 0, 1)];
    assert_eq!(conclusion(&[ok("a")], Ended::Normally), Conclusion::Success);
    assert_eq!(conclusion(&noticed, Ended::Normally), Conclusion::Success);
    assert_eq!(conclusion(&warned, Ended::Normally), Conclusion::Neutral);
    assert_eq!(conclusion(&[found(ok("a"), 1, 1, 0)], Ended::Normally), Conclusion::Failure);
    assert_eq!(conclusion(&[ok("a")], Ended::Cancelled), Conclusion::Cancelled);
    assert_eq!(conclusion(&[ok("a")], Ended::TimedOut), Conclusion::TimedOut);
    let elsewhere =
        judge_counts(&[gate(&["b"], None)], &[warned[0].clone(), ok("b")], Ended::Normally).conclusion;
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
    let skip =
        prop::sample::select(&[Skip::Condition, Skip::NoChangedFiles, Skip::NeedFailed, Skip::RunEnded][..]);
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

#[test]
fn tests_are_counted_and_an_empty_run_is_not_green() {
    let with = |passed, failed, skipped| {
        let mut step = ok("a");
        step.tests = Tests { passed, failed, skipped };
        let limits = TestLimits { min: 3, max_failed: 0, max_skipped: Some(1) };
        let gate = PlannedGate { tests: Some(limits), ..gate(&[], Some(Level::Failure)) };
        of_gate(gate, &[step])
    };
    insta::assert_snapshot!([with(3, 0, 1), with(0, 0, 0), with(1, 0, 1), with(9, 1, 2)].join("\n"), @"
    true no failures, 4 tests
    false no test was counted (at least 3): does the report that `findings` names hold any?
    false 2 tests counted (at least 3)
    false 1 test failed (limit 0); 2 tests skipped (limit 1)
    ");
}

proptest! {
    #[test]
    fn nothing_that_is_worse_is_judged_better(
        gates in prop::collection::vec(any_gate(), 0..3),
        steps in prop::collection::vec(any_step(), 1..5),
        at in any::<prop::sample::Index>(),
        level in prop::sample::select(&LEVELS[..]),
    ) {
        let before = judge_counts(&gates, &steps, Ended::Normally);
        let at = at.index(steps.len());

        let mut more = steps.clone();
        more[at].counts.add(level);
        let after = judge_counts(&gates, &more, Ended::Normally);
        prop_assert!(badness(&after) >= badness(&before), "one more finding");
        for (before, after) in before.gates.iter().zip(&after.gates) {
            prop_assert!(before.passed || !after.passed, "one more finding: {}", after.reason);
        }

        let mut strict = steps.clone();
        strict[at].continue_on_error = false;
        prop_assert!(badness(&judge_counts(&gates, &strict, Ended::Normally)) >= badness(&before), "a stricter step");

        for ended in [Ended::Cancelled, Ended::TimedOut] {
            let stopped = judge_counts(&gates, &steps, ended).conclusion;
            prop_assert!(!matches!(stopped, Conclusion::Success | Conclusion::Neutral), "a run that was stopped");
        }
    }
}
