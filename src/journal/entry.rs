//! What is written down, one entry a line. The words are an interface: a later version reads what an earlier one wrote.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{RunId, Sha256};
use crate::record::Conclusion;
use crate::sandbox::remains::Process;

/// The version of the lines.
pub const VERSION: u32 = 1;

/// A line: an entry, and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`VERSION`].
    pub v: u32,
    /// Counted from 1, without a gap.
    pub seq: u64,
    /// Which holder of the file wrote it, counted from 1.
    pub epoch: u64,
    /// When, by the host's clock. Nothing is ordered by it.
    pub at: Timestamp,
    /// What.
    pub entry: Entry,
}

/// As what a process holds a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It makes the run.
    Run,
    /// It delivers the record of a run that is over.
    Publish,
    /// It closes what a dead process has left open.
    Reconcile,
}

/// What a run is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its id.
    pub run_id: RunId,
    /// Shown to people.
    pub name: String,
    /// The server's API.
    pub api: String,
    /// `owner/name`.
    pub repository: String,
    /// Head commit.
    pub sha: String,
    /// The folder of the record.
    pub folder: PathBuf,
    /// When it began.
    pub started_at: Timestamp,
    /// When the command's time is up.
    pub deadline: Timestamp,
}

/// Why a run was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopping {
    /// A signal.
    Cancelled,
    /// The command's time was up.
    TimedOut,
}

/// What happened, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Entry {
    /// A process holds the file from now on.
    #[serde(rename = "taken")]
    Taken {
        /// As what.
        by: Role,
        /// Who.
        owner: Process,
    },
    /// The run is about to begin.
    #[serde(rename = "planned")]
    Planned(Planned),
    /// A child was started.
    #[serde(rename = "cmd.start")]
    CommandStart {
        /// The step.
        key: String,
        /// The process that watches over it.
        process: Process,
        /// Its control group, where it has one.
        cgroup: Option<PathBuf>,
    },
    /// Nothing of that child is left.
    #[serde(rename = "cmd.end")]
    CommandEnd {
        /// The id of the process that watched over it.
        pid: i32,
    },
    /// The run was asked to stop.
    #[serde(rename = "stopping")]
    Stopping {
        /// Why.
        why: Stopping,
    },
    /// The gates have judged, and the record is complete.
    #[serde(rename = "judged")]
    Judged {
        /// The verdict.
        conclusion: Conclusion,
        /// Digest of what is delivered of the record.
        record: Sha256,
    },
    /// A check run is about to be created.
    #[serde(rename = "check.create.intent")]
    CreateIntent {
        /// Our id of it.
        check: String,
        /// Its name.
        name: String,
    },
    /// There is the check run.
    #[serde(rename = "check.created")]
    Created {
        /// Our id of it.
        check: String,
        /// GitHub's.
        id: u64,
    },
    /// There is certainly no check run of this id.
    #[serde(rename = "check.absent")]
    Absent {
        /// Our id of it.
        check: String,
    },
    /// Annotations are about to be added.
    #[serde(rename = "annotations.intent")]
    AnnotationsIntent {
        /// Of which check run.
        check: String,
        /// How many had arrived before.
        after: u64,
        /// How many.
        count: usize,
        /// Digest of the annotations as they are sent.
        sha256: Sha256,
    },
    /// So many annotations have arrived.
    #[serde(rename = "annotations.receipt")]
    AnnotationsReceipt {
        /// Of which check run.
        check: String,
        /// All that it has now.
        arrived: u64,
    },
    /// The server refuses an annotation because of what it says, and it is left out.
    #[serde(rename = "annotations.refused")]
    AnnotationsRefused {
        /// Of which check run.
        check: String,
        /// All that it has refused so far.
        refused: usize,
    },
    /// The conclusion is about to be sent.
    #[serde(rename = "complete.intent")]
    CompleteIntent {
        /// Of which check run.
        check: String,
        /// What it is.
        conclusion: Conclusion,
    },
    /// The check run has its conclusion.
    #[serde(rename = "complete.receipt")]
    CompleteReceipt {
        /// Which check run.
        check: String,
        /// What it is.
        conclusion: Conclusion,
    },
    /// An artifact is about to be uploaded.
    #[serde(rename = "artifact.intent")]
    ArtifactIntent {
        /// Its name.
        name: String,
        /// Digest of what is uploaded.
        sha256: Sha256,
        /// Its size.
        bytes: u64,
    },
    /// The artifact is there.
    #[serde(rename = "artifact.receipt")]
    ArtifactReceipt {
        /// Its name.
        name: String,
        /// The service's id of it.
        id: String,
    },
    /// Nothing is left to be done.
    #[serde(rename = "closed")]
    Closed,
    /// What a later version has written.
    #[serde(other)]
    Unknown,
}
