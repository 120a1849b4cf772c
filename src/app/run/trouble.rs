//! What a run could not tell or deliver, although its verdict stands, and what to do about it.

use std::path::Path;

use crate::app::artifacts;
use crate::app::check_run::upload_trouble;
use crate::record::Record;
use crate::record::delivery::Delivered;
use crate::report::ReportError;

/// Something that could not be written or delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What, and why.
    pub what: String,
    /// What to do about it, where that is known.
    pub remedy: Option<String>,
}

impl From<String> for Trouble {
    fn from(what: String) -> Self {
        Self { what, remedy: None }
    }
}

impl From<&ReportError> for Trouble {
    fn from(error: &ReportError) -> Self {
        Self { what: error.to_string(), remedy: Some(error.remedy().to_owned()) }
    }
}

/// What of `record`, which is kept in `folder`, somebody waits for in vain.
pub(super) fn undelivered(record: &Record, folder: &Path) -> Vec<Trouble> {
    let mut missing: Vec<String> = artifacts::trouble(&record.artifacts).collect();
    if record.delivery.check_run == Delivered::Failed {
        let why = record.delivery.reason.as_deref().unwrap_or("nobody knows why");
        missing.push(format!("the check run was not delivered: {why}"));
    }
    missing.extend(record.delivery.sarif.as_ref().and_then(upload_trouble));
    let remedy = format!("mend that, then `rungate publish {}`", folder.display());
    let mut troubles: Vec<Trouble> = missing.into_iter().map(Trouble::from).collect();
    // One command tries all of it again, so it is named once, behind the last.
    if let Some(last) = troubles.last_mut() {
        last.remedy = Some(remedy);
    }
    troubles
}
