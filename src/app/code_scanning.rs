//! The upload to code scanning: whether there is one, for which reference, and in whose name.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde_json::Value;
use tokio::time::Instant;

use crate::app::check_run::{CLOSE, remote};
use crate::deliver::publish::Cancelled;
use crate::deliver::sarif_upload::{self, Document, DocumentError, Upload};
use crate::environ::Environ;
use crate::github::app::Scope;
use crate::http::error::chain;
use crate::plan::model::Plan;
use crate::record::Record;
use crate::record::delivery::{Delivered, SarifDelivery, SarifPlan};
use crate::redact::Registry;

/// What the upload of a run of `plan` is to be, where the manifest asks for one.
pub(super) fn plan_of(plan: &Plan) -> Option<SarifPlan> {
    let git_ref = || reference(&plan.contexts.github, plan.sha.as_deref()?);
    plan.report.sarif_upload.then(|| SarifPlan { git_ref: git_ref() })
}

/// The full reference that the commit `sha` belongs to, by what the runner says in the context `github`. An event may be
/// about another commit than the one that is judged, and alerts must not go to the wrong branch.
fn reference(github: &Value, sha: &str) -> Option<String> {
    let text = |path: &str| github.pointer(path).and_then(Value::as_str);
    if text("/event/pull_request/head/sha") == Some(sha) {
        let number = github.pointer("/event/pull_request/number").and_then(Value::as_u64)?;
        return Some(format!("refs/pull/{number}/head"));
    }
    let named = text("/ref").filter(|_| text("/sha") == Some(sha))?;
    ["refs/heads/", "refs/tags/", "refs/pull/"]
        .iter()
        .any(|prefix| named.len() > prefix.len() && named.starts_with(prefix))
        .then(|| named.to_owned())
}

/// The upload that `record` in `folder` asks for; what there is to say instead where it cannot be made.
pub(super) fn prepare(record: &Record, folder: &Path) -> Option<Result<Upload, SarifDelivery>> {
    let plan = record.check_run.sarif_upload.as_ref()?;
    Some(prepared(record, plan, folder))
}

fn prepared(record: &Record, plan: &SarifPlan, folder: &Path) -> Result<Upload, SarifDelivery> {
    if record.is_partial() {
        // Code scanning takes an alert that is not in the latest upload for fixed.
        let why = "the run did not come to its end, and code scanning would take what is missing for fixed";
        return Err(SarifDelivery::none(why));
    }
    let unsent = |why: &str| SarifDelivery::unsent(why);
    let sha = record.sha.clone().ok_or_else(|| unsent("the commit is not known; name it with --sha"))?;
    let git_ref = plan.git_ref.clone().ok_or_else(|| {
        unsent(
            "the branch of the commit is not known: code scanning needs a run for the commit of GITHUB_SHA or of the \
             event's pull request, with GITHUB_REF",
        )
    })?;
    let read = File::open(folder.join("findings.sarif"))
        .map_err(DocumentError::Read)
        .and_then(|file| Document::read(BufReader::new(file)));
    let document = read.map_err(|error| unsent(&chain(&error)))?;
    Ok(Upload { sha, git_ref, started_at: record.started_at, document })
}

/// Uploads what `record` in `folder` asks for, if it does. The token is another one than the check run's, so that an App
/// without this permission still gets its check run.
pub(super) async fn deliver(
    record: &Record,
    folder: &Path,
    environ: &Environ,
    registry: &Registry,
    cancelled: Option<Cancelled>,
) -> Option<SarifDelivery> {
    let upload = match prepare(record, folder)? {
        Ok(upload) => upload,
        Err(instead) => return Some(instead),
    };
    let about = (record.repository.as_deref(), record.sha.as_deref());
    Some(match remote(about, Scope::code_scanning, environ, registry) {
        Ok(remote) => {
            let delivery = sarif_upload::upload(&remote, &upload, cancelled).await;
            remote.client.close(Instant::now() + CLOSE).await;
            delivery
        }
        Err(lack) => SarifDelivery::unsent(lack.what),
    })
}

/// What is wrong with an upload, for the terminal.
#[must_use]
pub fn upload_trouble(delivery: &SarifDelivery) -> Option<String> {
    if delivery.upload != Delivered::Failed {
        return None;
    }
    let why = delivery.reason.as_deref().unwrap_or("nobody knows why");
    Some(format!("the findings were not uploaded to code scanning: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_reference_is_that_of_the_commit_that_was_judged() {
        let push = json!({"ref": "refs/heads/main", "sha": "a", "event": {"after": "a"}});
        assert_eq!(reference(&push, "a").as_deref(), Some("refs/heads/main"));
        assert_eq!(reference(&push, "b"), None, "--sha named another commit");
        let pull = json!({"ref": "refs/pull/7/merge", "sha": "merge",
            "event": {"pull_request": {"number": 7, "head": {"sha": "head"}}}});
        assert_eq!(reference(&pull, "head").as_deref(), Some("refs/pull/7/head"));
        assert_eq!(reference(&pull, "merge").as_deref(), Some("refs/pull/7/merge"));
        let target = json!({"ref": "refs/heads/main", "sha": "base",
            "event": {"pull_request": {"number": 8, "head": {"sha": "head"}}}});
        assert_eq!(reference(&target, "head").as_deref(), Some("refs/pull/8/head"));
        for odd in ["main", "refs/heads/", "refs/notes/x"] {
            assert_eq!(reference(&json!({"ref": odd, "sha": "a"}), "a"), None, "{odd}");
        }
        assert_eq!(reference(&Value::Null, "a"), None);
    }
}
