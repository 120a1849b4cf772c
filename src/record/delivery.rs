//! What a record says of its check run: what it is to be, and what became of it.

use serde::{Deserialize, Serialize};

use crate::manifest::model::{CheckRuns, Fallback, SummarySection};

/// What the check run of a run is to be; with the rest of the record all that it takes to deliver it later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRunPlan {
    /// Its name.
    pub name: String,
    /// Where its details are, such as the page of the job.
    pub details_url: Option<String>,
    /// Whether there is one for all, or one a gate.
    #[serde(default)]
    pub check_runs: CheckRuns,
    /// Most annotations.
    pub max_annotations: u32,
    /// Sections of its summary, in order.
    pub summary: Vec<SummarySection>,
    /// How the verdict is told, in turn, where the check run may not be made.
    #[serde(default)]
    pub fallback: Vec<Fallback>,
    /// What code scanning is to be told beside it; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sarif_upload: Option<SarifPlan>,
}

/// What the findings are for, as code scanning sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SarifPlan {
    /// The full reference that the head commit belongs to, such as `refs/heads/main` or `refs/pull/7/head`. Absent where
    /// it is not known: then nothing can be uploaded.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
}

/// Whether there is a check run that says what the record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivered {
    /// There is none, and none was wanted.
    #[default]
    None,
    /// It is wanted, and nothing more is known: the delivery has not ended, or was killed.
    Pending,
    /// There is.
    Delivered,
    /// It could not be made, or not all of it.
    Failed,
}

/// What became of the delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Whether there is a check run.
    pub check_run: Delivered,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_run_id: Option<u64>,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html_url: Option<String>,
    /// What tells the verdict in place of the check run, which may not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Fallback>,
    /// Why there is none, or not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it was refused before there was a check run, so that another way may be open.
    #[serde(skip)]
    pub is_refused: bool,
    /// What became of the upload to code scanning; absent where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sarif: Option<SarifDelivery>,
}

/// What became of an upload to code scanning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SarifDelivery {
    /// Whether it was accepted.
    pub upload: Delivered,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How far the server came with it while it was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing: Option<Processing>,
    /// Results that it holds.
    #[serde(default)]
    pub results: u64,
    /// Results of the SARIF that are not in it because they are in no file of the repository.
    #[serde(default)]
    pub without_place: u64,
    /// Why there is none, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl SarifDelivery {
    /// None, because of `reason`.
    #[must_use]
    pub fn none(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::default() }
    }

    /// One that failed because of `reason`, before anything was sent.
    #[must_use]
    pub fn unsent(reason: impl Into<String>) -> Self {
        Self { upload: Delivered::Failed, ..Self::none(reason) }
    }
}

/// How far code scanning came with an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Processing {
    /// It had not been looked at.
    Pending,
    /// Its alerts are there.
    Complete,
    /// It could not be used.
    Failed,
}

impl Delivery {
    /// None, because of `reason`.
    #[must_use]
    pub fn none(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::default() }
    }

    /// One that failed because of `reason`.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { check_run: Delivered::Failed, ..Self::none(reason) }
    }

    /// One that is to come.
    #[must_use]
    pub fn pending() -> Self {
        Self { check_run: Delivered::Pending, ..Self::default() }
    }
}
