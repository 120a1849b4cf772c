//! What happens during a run, as one stream of values. The terminal, the record and whoever else is interested read
//! the same events; none of them asks the runner.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::finding::test::Test;
use crate::finding::{Finding, Reporter};
use crate::id::{RunId, StepKey};
use crate::record::artifact::ArtifactRecord;
use crate::record::delivery::Delivery;
use crate::record::{GateResult, Record, StepRecord};

/// One of a process's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The plan stands and the record folder exists.
    RunStarted {
        /// Id of the run.
        run_id: RunId,
        /// When.
        at: Timestamp,
        /// Shown to people.
        name: String,
        /// Keys of the steps, in the plan's order.
        steps: Vec<StepKey>,
    },
    /// The run waits for another one that holds its concurrency group.
    Waiting {
        /// When.
        at: Timestamp,
        /// The group.
        group: String,
        /// Process id of the holder, when it is known.
        holder: Option<i32>,
    },
    /// An attempt at a step began.
    StepStarted {
        /// The step.
        key: StepKey,
        /// When.
        at: Timestamp,
        /// Counted from 1.
        attempt: u32,
    },
    /// A step wrote whole lines (or the end of a last one). Never part of `events.jsonl`: the log has it.
    #[serde(skip)]
    StepOutput {
        /// The step.
        key: StepKey,
        /// What it wrote, without secrets.
        bytes: Arc<[u8]>,
    },
    /// A process watches over an attempt at a step. For the journal, and never part of `events.jsonl`.
    #[serde(skip)]
    ProcessStarted {
        /// The step.
        key: StepKey,
        /// Process id of whoever watches.
        pid: i32,
        /// The control group of all of them, where they have one.
        cgroup: Option<PathBuf>,
    },
    /// Nothing of that attempt is left.
    #[serde(skip)]
    ProcessEnded {
        /// Process id of who watched.
        pid: i32,
    },
    /// A step runs longer than it should.
    StepSlow {
        /// The step.
        key: StepKey,
        /// When.
        at: Timestamp,
        /// Milliseconds since it began.
        elapsed_ms: u64,
    },
    /// A step is being stopped.
    StepStopping {
        /// The step.
        key: StepKey,
        /// When.
        at: Timestamp,
        /// Why, in words.
        reason: String,
        /// The signal that was sent.
        signal: &'static str,
    },
    /// An attempt failed and another one follows.
    StepRetry {
        /// The step.
        key: StepKey,
        /// When.
        at: Timestamp,
        /// The attempt that failed.
        attempt: u32,
        /// Why it failed, in words.
        reason: String,
    },
    /// A step ended, or was skipped. Its findings came before.
    StepFinished {
        /// When.
        at: Timestamp,
        /// All about it.
        step: Box<StepRecord>,
    },
    /// A finding that counts. Those of an attempt that was repeated never come here.
    Finding {
        /// The finding.
        finding: Box<Finding>,
    },
    /// A finding that came already is reported by somebody else as well.
    FindingAgain {
        /// Its fingerprint.
        fingerprint: String,
        /// Who else reports it.
        by: Reporter,
    },
    /// A finding that is accepted and does not count.
    FindingSuppressed {
        /// The finding.
        finding: Box<Finding>,
        /// Why it is accepted.
        reason: String,
    },
    /// Tests of a step that people look for: those that failed, and the slowest. For pages, not for `events.jsonl`.
    #[serde(skip)]
    Tests {
        /// The step.
        key: StepKey,
        /// The tests, a bounded number of them.
        tests: Vec<Test>,
    },
    /// Somebody asked the run to stop.
    CancelRequested {
        /// When.
        at: Timestamp,
        /// Why, in words.
        reason: String,
    },
    /// An artifact was kept, or was not.
    Artifact {
        /// When.
        at: Timestamp,
        /// All about it.
        artifact: Box<ArtifactRecord>,
    },
    /// An artifact is on its way. For people, not for `events.jsonl`.
    #[serde(skip)]
    Uploading {
        /// Its name.
        name: String,
        /// Bytes of its archive that have arrived.
        sent: u64,
        /// Bytes of its files.
        of: u64,
    },
    /// The gates have judged.
    Judged {
        /// When.
        at: Timestamp,
        /// The gates.
        gates: Vec<GateResult>,
    },
    /// The run is over and its record complete.
    RunFinished {
        /// The record.
        record: Box<Record>,
    },
    /// The artifacts were delivered, or could not be.
    Uploaded {
        /// All of them, with what became of each.
        artifacts: Vec<ArtifactRecord>,
    },
    /// GitHub was told, or could not be.
    Delivered {
        /// What became of it.
        delivery: Delivery,
    },
}
