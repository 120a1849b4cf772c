//! Code scanning's API on the wire: the body of an upload, and the part of the answers that is used.
//!
//! Values only. What an upload holds, and when it is made, is not known here.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Most bytes of a compressed SARIF that the server takes: 10 MB.
pub const MAX_COMPRESSED: usize = 10_000_000;

/// The body of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UploadSarif {
    /// The commit that was analysed, as 40 hexadecimal digits.
    pub commit_sha: String,
    /// The full reference for which it was: `refs/heads/…`, `refs/tags/…` or `refs/pull/N/head`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The document, by gzip and then by Base64.
    pub sarif: String,
    /// When the analysis began.
    #[serde(serialize_with = "whole_seconds")]
    pub started_at: Timestamp,
    /// By which name analyses can be filtered.
    pub tool_name: String,
}

/// Where uploads go, for `repository` (`owner/name`).
#[must_use]
pub fn uploads(repository: &str) -> String {
    format!("/repos/{repository}/code-scanning/sarifs")
}

/// Where it is told what became of the upload `id`.
#[must_use]
pub fn upload(repository: &str, id: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/repos/{repository}/code-scanning/sarifs/{id}")
}

/// An upload that was accepted. It is looked at later.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Accepted {
    /// Its id.
    pub id: String,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// How far it has come.
    pub processing_status: Progress,
    /// What was wrong with it.
    #[serde(default)]
    pub errors: Option<Vec<String>>,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Its alerts are there.
    Complete,
    /// It could not be used.
    Failed,
    /// It was not looked at yet, or in some way that is not known here.
    #[serde(other)]
    Pending,
}

fn whole_seconds<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.whole_seconds())
}
