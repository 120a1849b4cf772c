//! Tests of the tally: findings in, what each gate counts out.

use std::sync::Arc;

use super::*;
use crate::finding::baseline::{Baseline, Entry};
use crate::finding::{Fingerprints, Location};
use crate::gate::{Ended, judge};
use crate::plan::diff::Diff;
use crate::plan::model::PlannedBaseline;
use crate::plan::tests::planned;
use crate::record::GateResult;

/// Two linters, and a gate over each and over both.
fn plan() -> Plan {
    planned(
        "steps:\n  - {id: a, needs: [], run: 'true'}\n  - {id: b, needs: [], run: 'true'}\n\
         gates:\n  - {id: ga, needs: [a], fail-on: warning}\n  - {id: gb, needs: [b], fail-on: warning}\n  \
         - {id: all, fail-on: warning}\n",
    )
}

fn finding(path: &str, line: u32, message: &str) -> Finding {
    let place = Location { path: Some(path.to_owned()), start_line: Some(line), ..Location::default() };
    let mut finding = Finding::new("lint", Level::Warning, message).at(place);
    finding.rule = Some("R1".to_owned());
    finding
}

fn id(text: &str) -> StepId {
    text.parse().unwrap()
}

/// Lets `tally` hear of a finding as a run does.
fn hear(tally: &mut Tally<'_>, step: &str, mut finding: Finding) -> Option<Fate> {
    if tally.again(&finding, &id(step)).is_some() {
        return None;
    }
    Fingerprints::default().assign(&mut finding, None);
    Some(tally.add(&finding, &id(step), None))
}

/// Warnings that each gate counted.
fn warnings(tally: &Tally<'_>) -> Vec<u64> {
    tally.gates.iter().map(|gate| gate.counts().warning).collect()
}

fn judged(plan: &Plan, tally: &Tally<'_>, gate: &str) -> GateResult {
    let gates = judge(plan, &[], tally, Ended::Normally).gates;
    gates.into_iter().find(|result| result.id == gate).unwrap()
}

#[test]
fn what_two_steps_report_is_one_finding_and_each_gate_counts_it_once() {
    let plan = plan();
    let mut tally = Tally::new(&plan);
    assert_eq!(hear(&mut tally, "a", finding("x.py", 3, "m")), Some(Fate::Counts { shown: true }));
    assert_eq!(warnings(&tally), [1, 0, 1]);
    assert_eq!(hear(&mut tally, "b", finding("x.py", 3, "m")), None);
    assert_eq!(warnings(&tally), [1, 1, 1]);
    assert_eq!(hear(&mut tally, "a", finding("x.py", 3, "m")), None);
    assert_eq!(warnings(&tally), [1, 1, 1]);
    for other in [finding("x.py", 4, "m"), finding("y.py", 3, "m"), finding("x.py", 3, "n")] {
        assert!(hear(&mut tally, "a", other).is_some());
    }
    let worse = Finding { level: Level::Failure, ..finding("x.py", 3, "m") };
    assert!(hear(&mut tally, "a", worse).is_some(), "a worse one must not hide behind a milder one");
    let nowhere = Finding::new("lint", Level::Warning, "m");
    assert!(hear(&mut tally, "a", nowhere.clone()).is_some() && hear(&mut tally, "b", nowhere).is_some());
}

#[test]
fn a_third_report_is_not_counted_again_and_an_accepted_one_nowhere() {
    let plan = planned(
        "steps:\n  - {id: a, needs: [], run: 'true'}\n  - {id: b, needs: [], run: 'true'}\n  \
         - {id: c, needs: [], run: 'true'}\n\
         gates:\n  - {id: ga, needs: [a], fail-on: warning}\n  - {id: gbc, needs: [b, c], fail-on: warning}\n",
    );
    let mut tally = Tally::new(&plan);
    for step in ["a", "b", "c"] {
        hear(&mut tally, step, finding("x.py", 3, "m"));
    }
    assert_eq!(warnings(&tally), [1, 1]);

    let mut tally = Tally::new(&plan);
    let mut accepted = finding("x.py", 3, "m");
    Fingerprints::default().assign(&mut accepted, None);
    tally.add(&accepted, &id("a"), Some("measured".to_owned()));
    hear(&mut tally, "b", finding("x.py", 3, "m"));
    assert_eq!(warnings(&tally), [0, 0]);
}

#[test]
fn a_baseline_takes_out_what_it_knows_and_tells_what_is_gone() {
    let mut plan = plan();
    let mut known = finding("x.py", 3, "known");
    Fingerprints::default().assign(&mut known, None);
    let mut gone = finding("x.py", 3, "gone");
    Fingerprints::default().assign(&mut gone, None);
    let baseline = Baseline::of([Entry::from(&known), Entry::from(&gone)]);
    plan.gates[0].baseline =
        Some(PlannedBaseline { path: "b.json".parse().unwrap(), known: Arc::new(Ok(baseline)) });
    let mut tally = Tally::new(&plan);
    hear(&mut tally, "a", finding("x.py", 70, "known"));
    hear(&mut tally, "a", finding("x.py", 3, "new"));
    assert_eq!(warnings(&tally), [1, 0, 2], "another gate has no baseline");
    let result = judged(&plan, &tally, "ga");
    assert_eq!(result.left_out.known, 1);
    assert!(result.reason.ends_with("; left out: 1 known to the baseline"), "{}", result.reason);
    assert_eq!(result.gone.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(), ["gone"]);
}

#[test]
fn a_baseline_or_a_diff_that_cannot_be_read_is_never_green() {
    let mut plan = plan();
    plan.gates[0].baseline = Some(PlannedBaseline {
        path: "b.json".parse().unwrap(),
        known: Arc::new(Err("does not exist".into())),
    });
    plan.gates[1].filter = FilterMode::Added;
    plan.diff = Some(Arc::new(Err("no common ancestor".into())));
    plan.gates[2].filter = FilterMode::File;
    let mut tally = Tally::new(&plan);
    hear(&mut tally, "b", finding("x.py", 3, "m"));
    let reasons = ["ga", "gb", "all"].map(|gate| judged(&plan, &tally, gate));
    assert!(reasons.iter().all(|result| !result.passed));
    assert!(
        reasons[0]
            .reason
            .contains("the baseline b.json does not exist: write it with `rungate baseline update c")
    );
    assert!(reasons[1].reason.contains("no common ancestor") && reasons[1].reason.contains("fetch-depth"));
    assert_eq!(warnings(&tally), [0, 1, 1], "what cannot be compared counts");
}

#[test]
fn a_gate_and_the_display_are_filtered_apart() {
    let mut plan = plan();
    plan.gates[0].filter = FilterMode::Added;
    plan.report.filter = FilterMode::File;
    let patch = b"--- a/x.py\n+++ b/x.py\n@@ -3,0 +4,2 @@\n+a\n+b\n";
    plan.diff = Some(Arc::new(Ok(Diff::parse(patch).unwrap())));
    let mut tally = Tally::new(&plan);
    let shown =
        |tally: &mut Tally<'_>, finding| hear(tally, "a", finding) == Some(Fate::Counts { shown: true });
    assert!(shown(&mut tally, finding("x.py", 5, "within")));
    assert!(shown(&mut tally, finding("x.py", 9, "outside, but in a changed file")));
    assert!(!shown(&mut tally, finding("y.py", 5, "elsewhere")));
    assert!(shown(&mut tally, Finding::new("lint", Level::Warning, "nowhere")));
    assert_eq!(warnings(&tally), [2, 0, 4]);
    assert_eq!(judged(&plan, &tally, "ga").left_out.outside, 2);
}

#[test]
fn a_suppression_takes_out_until_it_expires_and_then_says_so() {
    let mut plan = plan();
    let suppression = PlannedSuppression {
        rule: "R1".to_owned(),
        path: "tools/*.ps1".to_owned(),
        message: Some("wanted".to_owned()),
        reason: "console progress".to_owned(),
        owner: Some("data-platform".to_owned()),
        expires: Some("2026-06-30".to_owned()),
        expired: false,
        line: Some(7),
    };
    plan.suppressions = vec![suppression.clone()];
    let suppressed = Some(Fate::Suppressed { reason: "console progress".to_owned() });
    let mut tally = Tally::new(&plan);
    assert_eq!(hear(&mut tally, "a", finding("tools/x.ps1", 3, "it is wanted")), suppressed);
    for other in [finding("tools/x/y.ps1", 3, "wanted"), finding("tools/x.ps1", 3, "no")] {
        assert_eq!(hear(&mut tally, "a", other), Some(Fate::Counts { shown: true }));
    }
    let mut other_rule = finding("tools/x.ps1", 4, "wanted");
    other_rule.rule = None;
    assert_ne!(hear(&mut tally, "a", other_rule), suppressed);
    assert!(tally.notices().is_empty());

    plan.suppressions = vec![PlannedSuppression { expired: true, ..suppression }];
    let mut tally = Tally::new(&plan);
    assert_ne!(hear(&mut tally, "a", finding("tools/x.ps1", 3, "wanted")), suppressed);
    let notices = tally.notices();
    assert_eq!(
        notices[0].message,
        "the suppression of R1 in tools/*.ps1 expired on 2026-06-30 (owner: data-platform): 1 finding is back"
    );
    assert_eq!((notices[0].start_line, notices[0].level), (Some(7), Level::Notice));
}

#[test]
fn findings_of_which_only_the_number_is_known_always_count() {
    let mut plan = plan();
    plan.gates[0].filter = FilterMode::Added;
    plan.diff = Some(Arc::new(Ok(Diff::default())));
    let mut tally = Tally::new(&plan);
    tally.add_unknown(&id("a"), &Counts { warning: 3, ..Counts::default() });
    assert_eq!(warnings(&tally), [3, 0, 3]);
}
