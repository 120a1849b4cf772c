//! Gates of a command.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::Level;
use crate::id::{GateId, RepoPath, StepId};
use crate::manifest::diagnostic::Span;
use crate::manifest::model::Spanned;

/// One gate.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Its id.
    pub id: Spanned<GateId>,
    /// Shown to people; absent: the id.
    pub name: Option<String>,
    /// Steps whose findings and tests it judges; empty: all.
    pub needs: Vec<Spanned<StepId>>,
    /// The least level that fails it; absent: no level does.
    pub fail_on: Option<Level>,
    /// Most findings of a level.
    pub max: BTreeMap<Level, u64>,
    /// Which findings count, by what changed.
    pub filter_mode: Spanned<FilterMode>,
    /// Findings that are known.
    pub baseline: Option<Spanned<RepoPath>>,
    /// What is asked of tests.
    pub tests: Option<Spanned<TestLimits>>,
    /// Steps that must have succeeded.
    pub require: Vec<Spanned<StepId>>,
    /// Said when it fails.
    pub message: Option<String>,
    /// Its place.
    pub span: Span,
}

/// Which findings count, or are shown, by what changed since the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterMode {
    /// On added or changed lines.
    Added,
    /// In the context of changed lines.
    DiffContext,
    /// In changed files.
    File,
    /// All.
    Nofilter,
}

/// `tests` of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TestLimits {
    /// Least number of tests.
    pub min: u64,
    /// Most failing tests.
    pub max_failed: u64,
    /// Most skipped tests; absent: any number.
    pub max_skipped: Option<u64>,
}
