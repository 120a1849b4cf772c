//! Code scanning: SARIF that is uploaded, and what becomes of it.
//!
//! GitHub takes an upload before it looks into it. What is wrong with the envelope is refused at once; what is wrong with
//! the document is told to whoever asks later.

use std::io::Read as _;
use std::sync::LazyLock;

use base64::Engine as _;
use jsonschema::Validator;
use serde::Serialize;
use serde_json::{Value, json};

use super::auth::{self, Caller};
use super::call::{Answer, Call, Reply};
use super::check_runs::{Place, known_commit};
use super::output::{is_moment, permitted, required, text};
use super::world::World;

/// Bytes of a compressed document.
const MAX_COMPRESSED: usize = 10_000_000;
/// Bytes of a document that is not compressed any more; a fake must not be filled up either.
const MAX_DOCUMENT: u64 = 256 << 20;
const MAX_RUNS: usize = 20;
const MAX_RESULTS: usize = 25_000;
const MAX_RULES: usize = 25_000;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(include_str!("../schemas/sarif-2.1.0.json"))
        .unwrap_or_else(|error| panic!("{error}"));
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft4);
    options.build(&schema).unwrap_or_else(|error| panic!("{error}"))
});

/// An upload that was taken.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) repository: u64,
    pub(crate) commit_sha: String,
    #[serde(rename = "ref")]
    pub(crate) git_ref: String,
    pub(crate) tool_name: String,
    /// The document, unpacked.
    pub(crate) sarif: Value,
    /// What is wrong with it.
    pub(crate) errors: Vec<String>,
    /// How often it will still be told as pending.
    pub(crate) pending: u32,
}

/// `POST /repos/{owner}/{repo}/code-scanning/sarifs`
pub(super) fn upload(world: &mut World, call: &Call, at: Place<'_>) -> Reply {
    allowed(world, at, "write")?;
    let body = call.object()?;
    let keys = ["commit_sha", "ref", "sarif", "checkout_uri", "started_at", "tool_name", "validate"];
    permitted(&body, &keys, "")?;
    required(&body, &keys[..3], "")?;
    let commit_sha = text(&body, "commit_sha", "")?.unwrap_or_default().to_owned();
    let git_ref = text(&body, "ref", "")?.unwrap_or_default().to_owned();
    if let Some(moment) = text(&body, "started_at", "")? {
        is_moment(moment, "started_at")?;
    }
    known_commit(world, &commit_sha)?;
    let sarif = unpacked(text(&body, "sarif", "")?.unwrap_or_default())?;
    let errors = complaints(&sarif);
    // Ids of GitHub's are UUIDs; one that is a number would let a client take it for one.
    let id = format!("47177e22-5596-11eb-80a1-{:012x}", world.next_id());
    let url = world.address(&format!("{}/{id}", call.path));
    world.sarif_uploads.push(Upload {
        id: id.clone(),
        repository: at.repository.id,
        commit_sha,
        git_ref,
        tool_name: text(&body, "tool_name", "")?.unwrap_or("API").to_owned(),
        sarif,
        errors,
        pending: world.settings.sarif_pending,
    });
    Ok(Answer::json(202, json!({"id": id, "url": url})))
}

/// `GET /repos/{owner}/{repo}/code-scanning/sarifs/{id}`
pub(super) fn status(world: &mut World, at: Place<'_>, id: &str) -> Reply {
    allowed(world, at, "read")?;
    let address = world.address(&format!("/repos/{}/{}", at.repository.owner, at.repository.name));
    let upload = world.sarif_uploads.iter_mut().find(|it| it.id == id && it.repository == at.repository.id);
    let upload = upload.ok_or_else(Answer::not_found)?;
    if upload.pending > 0 {
        upload.pending -= 1;
        return Ok(Answer::json(200, json!({"processing_status": "pending"})));
    }
    Ok(Answer::json(
        200,
        if upload.errors.is_empty() {
            let analyses = format!("{address}/code-scanning/analyses?sarif_id={id}");
            json!({"processing_status": "complete", "analyses_url": analyses})
        } else {
            json!({"processing_status": "failed", "analyses_url": null, "errors": upload.errors})
        },
    ))
}

fn allowed(world: &World, at: Place<'_>, level: &str) -> Result<(), Answer> {
    if !matches!(at.caller, Caller::User) {
        auth::permitted(at.caller, at.repository, "security_events", level)?;
    }
    if world.settings.code_scanning {
        return Ok(());
    }
    Err(Answer::error(403, "Code Security must be enabled for this repository to use code scanning."))
}

/// The document, by Base64 and gzip.
fn unpacked(packed: &str) -> Result<Value, Answer> {
    let bad = |what: &str| Answer::error(400, &format!("The sarif field is invalid: {what}"));
    let compressed = base64::prelude::BASE64_STANDARD.decode(packed).map_err(|_| bad("it is not Base64"))?;
    if compressed.len() > MAX_COMPRESSED {
        return Err(Answer::error(413, "The sarif field is too large"));
    }
    let mut document = Vec::new();
    let unpacked =
        flate2::read::GzDecoder::new(&compressed[..]).take(MAX_DOCUMENT).read_to_end(&mut document);
    unpacked.map_err(|_| bad("it is not gzip"))?;
    serde_json::from_slice(&document).map_err(|error| bad(&format!("it is not JSON: {error}")))
}

/// What GitHub would have against the document.
fn complaints(sarif: &Value) -> Vec<String> {
    let mut wrong: Vec<String> = SCHEMA
        .iter_errors(sarif)
        .take(3)
        .map(|error| {
            format!("{}: {}", error.instance_path(), error.to_string().chars().take(200).collect::<String>())
        })
        .collect();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let runs = list(sarif, "runs");
    if runs.len() > MAX_RUNS {
        wrong.push(format!(
            "rejecting SARIF, as there are more runs than allowed ({} > {MAX_RUNS})",
            runs.len()
        ));
    }
    for run in &runs {
        let results = list(run, "results");
        if results.len() > MAX_RESULTS {
            wrong.push("rejecting SARIF, as there are more results per run than allowed".to_owned());
        }
        if list(&run["tool"]["driver"], "rules").len() > MAX_RULES {
            wrong.push("rejecting SARIF, as there are more rules per run than allowed".to_owned());
        }
        let nowhere = |result: &Value| {
            let place = &result["locations"][0]["physicalLocation"]["artifactLocation"];
            place["uri"].as_str().is_none_or(|uri| uri.is_empty() || uri.contains(':'))
        };
        if results.iter().any(nowhere) {
            wrong.push("locationFromSarifResult: expected a physical location".to_owned());
        }
    }
    wrong
}
