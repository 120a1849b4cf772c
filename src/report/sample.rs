//! One run with something of everything, for the tests of all reports.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::finding::{Counts, Finding, Level, Location};
use crate::id::{RunId, Sha256, StepKey};
use crate::manifest::model::{Archive, SummarySection};
use crate::record::artifact::{ArtifactDelivery, ArtifactRecord, ArtifactState, Packing};
use crate::record::delivery::{CheckRunPlan, Delivery};
use crate::record::{
    Conclusion, GateResult, LeftOut, ManifestRef, Outcome, Record, SCHEMA, SandboxReport, Skip, StepRecord,
    Tests,
};
use crate::report::kept::Kept;

pub(super) const SECTIONS: [SummarySection; 6] = [
    SummarySection::Steps,
    SummarySection::Gates,
    SummarySection::Findings,
    SummarySection::Tests,
    SummarySection::Artifacts,
    SummarySection::Timings,
];

pub(super) fn step(id: &str, outcome: Outcome) -> StepRecord {
    let id = id.parse().unwrap();
    let key = StepKey::plain(&id);
    StepRecord {
        name: id.to_string(),
        folder: key.folder(),
        id,
        key,
        matrix: BTreeMap::new(),
        outcome,
        skip: None,
        continue_on_error: false,
        reason: None,
        flaky: false,
        exit_code: Some(0),
        signal: None,
        attempts: 1,
        started_at: Some(Timestamp::from_unix_seconds(1_700_000_000)),
        duration_ms: 1_234,
        slow: false,
        counts: Counts::default(),
        suppressed: 0,
        tests: Tests::default(),
        output_dropped: 0,
        hang: None,
        sandbox: SandboxReport {
            tier: "none".into(),
            degraded: vec!["network".into(), "memory".into()],
            ..SandboxReport::default()
        },
    }
}

pub(super) fn record() -> Record {
    let mut fetch = step("fetch", Outcome::Success);
    fetch.flaky = true;
    fetch.attempts = 2;
    let mut schema = step("schema", Outcome::Failure);
    schema.name = "Schema & <references>".into();
    schema.reason = Some("exit code 1".into());
    schema.counts = Counts { failure: 3, warning: 1, notice: 0 };
    let mut lint = step("lint", Outcome::Failure);
    lint.continue_on_error = true;
    let mut publish = step("publish", Outcome::Skipped);
    publish.skip = Some(Skip::NeedFailed);
    publish.attempts = 0;
    let mut config = step("config", Outcome::SetupFailed);
    config.reason = Some("the working directory is gone".into());
    Record {
        schema: SCHEMA.into(),
        rungate: "0.0.0".into(),
        run_id: RunId::fresh(),
        command: "rehydrate".parse().unwrap(),
        name: "Rehydrate | validate".into(),
        inputs: BTreeMap::new(),
        conclusion: Conclusion::Failure,
        exit_code: 1,
        started_at: Timestamp::from_unix_seconds(1_700_000_000),
        finished_at: Timestamp::from_unix_seconds(1_700_000_012),
        manifest: ManifestRef { path: ".github/rungate.yml".into(), sha256: Sha256::of(b"") },
        plan: Sha256::of(b""),
        repository: Some("acme/warehouse".into()),
        sha: Some("0123456789abcdef".into()),
        notes: vec!["the working tree is not the head commit".into()],
        steps: vec![fetch, schema, lint, publish, config],
        gates: vec![gate("steps", false, "schema failed"), gate("data", true, "no failures")],
        counts: Counts { failure: 3, warning: 1, notice: 0 },
        suppressed: 2,
        filtered: 0,
        tests: Tests { passed: 7, failed: 1, skipped: 2 },
        artifacts: vec![ArtifactRecord {
            name: "report".into(),
            state: ArtifactState::Kept,
            reason: None,
            files: 2,
            bytes: 99,
            manifest_sha256: Some(Sha256::of(b"list")),
            left_out: vec!["b/x is a FIFO".into()],
            left_out_count: 1,
            packing: Packing {
                archive: Archive::Zip,
                compression_level: 6,
                retention_days: None,
                overwrite: false,
            },
            size: None,
            sha256: Some(Sha256::of(b"archive")),
            delivery: ArtifactDelivery::default(),
        }],
        check_run: CheckRunPlan {
            name: "rehydrate".into(),
            details_url: None,
            check_runs: crate::manifest::model::CheckRuns::Command,
            max_annotations: 500,
            fallback: Vec::new(),
            summary: SECTIONS.to_vec(),
            sarif_upload: None,
        },
        delivery: Delivery::default(),
        audit: "none".into(),
    }
}

fn gate(id: &str, passed: bool, reason: &str) -> GateResult {
    GateResult {
        id: id.into(),
        name: id.into(),
        passed,
        reason: reason.into(),
        counts: Counts::default(),
        left_out: LeftOut::default(),
        gone: Vec::new(),
    }
}

/// The findings of [`record`]; one of its three failures was not kept.
pub(super) fn findings() -> Vec<Finding> {
    let place = |line| Location {
        path: Some("data/orders.csv".into()),
        start_line: Some(line),
        start_column: Some(2),
        ..Location::default()
    };
    let mut rule =
        Finding::new("schema", Level::Failure, "no such <column> & more\nsecond line").at(place(3));
    rule.rule = Some("S1".into());
    let warning = Finding::new("schema", Level::Warning, "odd name").at(place(9));
    let failure = Finding::new("schema", Level::Failure, "no rows");
    let mut findings = vec![warning, rule, failure];
    for finding in &mut findings {
        finding.step = "schema".into();
    }
    findings
}

pub(super) fn kept() -> Kept {
    let mut kept = Kept::default();
    for finding in findings() {
        kept.add(&finding);
    }
    kept
}
