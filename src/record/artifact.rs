//! What a record says of an artifact: what was kept, and what became of it.

use serde::{Deserialize, Serialize};

use crate::id::Sha256;
use crate::manifest::model::Archive;

/// Most things that were left out of an artifact that are named.
pub const MAX_LEFT_OUT: usize = 20;

/// Names that an artifact's list of files may have: the second where one of its own files has the first.
pub const LISTS: [&str; 2] = ["manifest.json", "manifest.rungate.json"];

/// Version of the form of that list.
pub const LIST_SCHEMA: &str = "rungate.artifact/1";

/// An artifact's list of files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct List {
    /// [`LIST_SCHEMA`].
    pub schema: String,
    /// The files, in the order of their paths.
    pub files: Vec<Listed>,
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Its path in the artifact.
    pub path: String,
    /// Its size in bytes.
    #[serde(default)]
    pub size: u64,
    /// Its permissions, in octal digits.
    #[serde(default)]
    pub mode: String,
    /// Its digest; absent for a link.
    #[serde(default)]
    pub sha256: Option<Sha256>,
    /// What it says, where it is a symbolic link.
    #[serde(default)]
    pub link: Option<String>,
}

/// One artifact in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRecord {
    /// Its name.
    pub name: String,
    /// Whether it was kept.
    pub state: ArtifactState,
    /// Why it was not kept, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Number of files, without its manifest.
    pub files: u64,
    /// Their size together, in bytes.
    pub bytes: u64,
    /// Digest of its manifest, which names the digest of every file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<Sha256>,
    /// What matched and was not taken, in words: the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// How many were not taken in all.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_out_count: u64,
    /// How it is packed and how long it is kept.
    pub packing: Packing,
    /// Size of the archive in bytes, once it was packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Digest of the archive, once it was packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// What became of it.
    pub delivery: ArtifactDelivery,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference to the field")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Whether an artifact was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactState {
    /// It is in the record.
    Kept,
    /// Nothing matched, and that is allowed.
    Empty,
    /// The run did not come out as its `when` asks.
    Skipped,
    /// It could not be kept, or must not be. The gate `artifacts` fails.
    Refused,
}

impl ArtifactState {
    /// The record's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Empty => "empty",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        }
    }
}

/// How an artifact is packed and how long it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    /// The form.
    pub archive: Archive,
    /// 0 to 9.
    pub compression_level: u8,
    /// Days; absent: the repository's setting.
    pub retention_days: Option<u32>,
    /// Whether an artifact of the same name is replaced.
    pub overwrite: bool,
}

/// Where an artifact is, beside the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uploaded {
    /// Nowhere else, and nowhere else was asked for.
    #[default]
    None,
    /// It is to be uploaded, and nothing more is known.
    Pending,
    /// It is at the artifact service.
    Delivered,
    /// It lies in the record for a later step of the job, which the outputs tell.
    Staged,
    /// It could not be uploaded.
    Failed,
}

/// What became of an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactDelivery {
    /// Where it is.
    pub state: Uploaded,
    /// Its id at the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ArtifactDelivery {
    /// In this state, because of `reason`.
    #[must_use]
    pub fn because(state: Uploaded, reason: impl Into<String>) -> Self {
        Self { state, reason: Some(reason.into()), ..Self::default() }
    }
}

impl ArtifactRecord {
    /// Whether it is kept and somebody still waits for it.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.state == ArtifactState::Kept
            && matches!(self.delivery.state, Uploaded::Pending | Uploaded::Failed)
    }

    /// Its folder below that of the record.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("artifacts/{}", self.name)
    }

    /// Its file in the form of tar.
    #[must_use]
    pub fn tar_name(&self) -> String {
        if self.name.ends_with(".tar.zst") { self.name.clone() } else { format!("{}.tar.zst", self.name) }
    }

    /// Where a later step of the job finds it, below the folder of the record.
    #[must_use]
    pub fn staged(&self) -> String {
        match self.packing.archive {
            Archive::Zip | Archive::None => self.folder(),
            Archive::TarZst => format!("archives/{}", self.tar_name()),
        }
    }
}
