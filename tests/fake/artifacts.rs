//! The services that keep artifacts, as GitHub's own clients speak to them: the results service with the storage behind
//! it, and the older one of GitHub Enterprise Server. Neither is described officially; what they refuse here is what
//! those clients were seen never to send.

use std::collections::BTreeMap;

use axum::http::Method;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::Digest as _;

use super::auth;
use super::call::{Answer, Call, Reply};
use super::world::World;

/// By what the service knows the run and the job of the fake.
const RUN: &str = "ce7f54c7-61c7-4aae-887f-30da475f5f1a";
const JOB: &str = "ca395085-040a-526b-2ce8-bdc85f692774";

/// What stands in the query of every address of the storage.
// rungate:allow-secret made up, and known to the fake alone
const SIGNATURE: &str = "made%2Bup/signature-of-the-fake%3D";

/// The token of a job, which knows nothing of GitHub's API.
pub(crate) fn runtime_token() -> String {
    let claims =
        json!({"scp": format!("Actions.ExampleScope Actions.Results:{RUN}:{JOB}"), "exp": 4_102_444_800_u64});
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(&json!({"alg": "none"})), part(&claims))
}

/// One artifact.
#[derive(Debug, Default)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    pub(crate) id: Option<u64>,
    pub(crate) media_type: String,
    pub(crate) expires_at: Option<String>,
    pub(crate) digest: String,
    blocks: BTreeMap<String, Vec<u8>>,
    /// The bytes, once it was said of which blocks they are.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Files, where the older service has them one by one.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) size: Option<u64>,
}

/// Whether a path is of these services, which stand beside the API and not below its base.
pub(super) fn is_ours(path: &str) -> bool {
    ["/twirp/", "/storage/", "/pipelines/"].iter().any(|begin| path.starts_with(begin))
}

/// Answers a call to any of them.
pub(super) fn answer(world: &mut World, call: &Call) -> Reply {
    let segments = call.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&call.method, segments.as_slice()) {
        (&Method::POST, ["twirp", "github.actions.results.api.v1.ArtifactService", method]) => {
            twirp(world, call, method)
        }
        (&Method::PUT, ["storage", name]) => storage(world, call, name),
        (_, ["pipelines", "tenant", "_apis", "pipelines", "workflows", "77", "artifacts"]) => {
            older(world, call)
        }
        (&Method::PUT, ["pipelines", "container"]) => file(world, call),
        _ => Err(Answer::json(404, json!({"code": "bad_route", "msg": "no such route"}))),
    }
}

fn trouble(status: u16, code: &str, msg: &str) -> Answer {
    Answer::json(status, json!({"code": code, "msg": msg}))
}

fn text<'a>(body: &'a Map<String, Value>, field: &str) -> Result<&'a str, Answer> {
    let value = body.get(field).and_then(Value::as_str);
    value.ok_or_else(|| trouble(400, "malformed", &format!("{field} is no text")))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['"', ':', '<', '>', '|', '*', '?', '\r', '\n', '\\', '/'])
}

fn twirp(world: &mut World, call: &Call, method: &str) -> Reply {
    if auth::bearer(call) != Some(runtime_token().as_str()) {
        return Err(trouble(401, "unauthenticated", "invalid token"));
    }
    if call.header("content-type") != Some("application/json") {
        return Err(trouble(415, "malformed", "content type"));
    }
    let body = call.object()?;
    if text(&body, "workflow_run_backend_id")? != RUN || text(&body, "workflow_job_run_backend_id")? != JOB {
        return Err(trouble(403, "permission_denied", "not the job of this token"));
    }
    match method {
        "CreateArtifact" => create(world, &body),
        "FinalizeArtifact" => finalize(world, &body),
        "ListArtifacts" => {
            let wanted = body.get("name_filter").and_then(Value::as_str);
            let found = world.artifacts.iter().filter(|it| it.id.is_some());
            let found = found.filter(|it| wanted.is_none_or(|wanted| it.name == wanted)).map(|it| {
                json!({
                    "workflow_run_backend_id": RUN,
                    "workflow_job_run_backend_id": JOB,
                    "database_id": it.id.unwrap_or_default().to_string(),
                    "name": it.name,
                    "size": it.bytes.as_ref().map_or(0, Vec::len).to_string(),
                    "digest": it.digest,
                })
            });
            Ok(Answer::json(200, json!({"artifacts": found.collect::<Vec<_>>()})))
        }
        "DeleteArtifact" => {
            let name = text(&body, "name")?;
            let at = world.artifacts.iter().position(|it| it.name == name);
            let at = at.ok_or_else(|| trouble(404, "not_found", "artifact not found"))?;
            let id = world.artifacts.remove(at).id.unwrap_or_default();
            Ok(Answer::json(200, json!({"ok": true, "artifact_id": id.to_string()})))
        }
        _ => Err(trouble(404, "bad_route", "no such method")),
    }
}

fn create(world: &mut World, body: &Map<String, Value>) -> Reply {
    let (name, media_type) = (text(body, "name")?, text(body, "mime_type")?);
    if !is_name(name) || body.get("version") != Some(&json!(7)) {
        return Err(trouble(400, "invalid_argument", "name or version"));
    }
    if world.artifacts.iter().any(|it| it.name == name) {
        return Err(trouble(
            409,
            "already_exists",
            "an artifact with this name already exists on the workflow run",
        ));
    }
    world.artifacts.push(Artifact {
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        expires_at: body.get("expires_at").and_then(Value::as_str).map(str::to_owned),
        ..Artifact::default()
    });
    let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let path =
        format!("/storage/{}?se=2100-01-01T00%3A00%3A00Z&sig={SIGNATURE}", encoded.replace('+', "%20"));
    Ok(Answer::json(200, json!({"ok": true, "signed_upload_url": format!("{}{path}", world.elsewhere)})))
}

fn finalize(world: &mut World, body: &Map<String, Value>) -> Reply {
    let (name, size, hash) = (text(body, "name")?, text(body, "size")?, text(body, "hash")?);
    let id = world.next_id();
    let missing = || trouble(404, "not_found", "artifact not found");
    let artifact = world.artifacts.iter_mut().find(|it| it.name == name).ok_or_else(missing)?;
    if artifact.id.is_some() {
        return Err(trouble(409, "already_exists", "the artifact is final"));
    }
    let bytes = artifact.bytes.as_ref().ok_or_else(|| trouble(400, "failed_precondition", "no blob"))?;
    let digest = format!("sha256:{}", rungate::id::Sha256::of(bytes));
    if size != bytes.len().to_string() || hash != digest {
        return Err(trouble(400, "invalid_argument", "size or hash are not those of the blob"));
    }
    artifact.digest = digest;
    artifact.id = Some(id);
    Ok(Answer::json(200, json!({"ok": true, "artifact_id": id.to_string()})))
}

/// The storage's own form of a refusal.
fn refusal(status: u16, code: &'static str) -> Answer {
    Answer::empty(status).with("x-ms-error-code", code)
}

fn storage(world: &mut World, call: &Call, name: &str) -> Reply {
    let signature: String = url::form_urlencoded::parse(format!("s={SIGNATURE}").as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect();
    if call.parameter("sig") != Some(&signature) {
        return Err(refusal(403, "AuthenticationFailed"));
    }
    if call.header("authorization").is_some() {
        // The real one refuses, too: a token that came here went astray.
        return Err(refusal(401, "InvalidAuthenticationInfo"));
    }
    if call.header("x-ms-version").is_none() || call.header("content-length").is_none() {
        return Err(refusal(400, "MissingRequiredHeader"));
    }
    let artifact =
        world.artifacts.iter_mut().find(|it| it.name == name).ok_or_else(|| refusal(404, "BlobNotFound"))?;
    match call.parameter("comp") {
        Some("block") => {
            let id = call.parameter("blockid").filter(|id| BASE64_STANDARD.decode(id).is_ok());
            let id = id.ok_or_else(|| refusal(400, "InvalidQueryParameterValue"))?;
            if artifact.blocks.keys().any(|other| other.len() != id.len()) || call.body.is_empty() {
                return Err(refusal(400, "InvalidBlobOrBlock"));
            }
            artifact.blocks.insert(id.to_owned(), call.body.clone());
        }
        Some("blocklist") => {
            let list = String::from_utf8_lossy(&call.body).into_owned();
            let mut bytes = Vec::new();
            for id in list.split("<Latest>").skip(1).filter_map(|rest| rest.split("</Latest>").next()) {
                bytes.extend(artifact.blocks.get(id).ok_or_else(|| refusal(400, "InvalidBlockList"))?);
            }
            if call.header("x-ms-blob-content-type") != Some(artifact.media_type.as_str()) {
                return Err(refusal(400, "InvalidHeaderValue"));
            }
            artifact.bytes = Some(bytes);
        }
        _ => return Err(refusal(400, "InvalidQueryParameterValue")),
    }
    Ok(Answer::empty(201))
}

fn older(world: &mut World, call: &Call) -> Reply {
    if auth::bearer(call) != Some(runtime_token().as_str()) {
        return Err(Answer::empty(401));
    }
    let accepts = call.header("accept").is_some_and(|accept| accept.contains("api-version=6.0-preview"));
    if call.parameter("api-version") != Some("6.0-preview") || !accepts {
        return Err(Answer::json(400, json!({"message": "the version of the API is missing"})));
    }
    let body = call.object()?;
    if call.method == Method::PATCH {
        let name = call.parameter("artifactName").unwrap_or_default();
        let found = world.artifacts.iter_mut().find(|it| it.name == name);
        let artifact = found.ok_or_else(Answer::not_found)?;
        artifact.size = body.get("Size").and_then(Value::as_u64);
        return Ok(Answer::json(200, json!({"size": artifact.size})));
    }
    let name = text(&body, "Name")?;
    if body.get("Type") != Some(&json!("actions_storage")) || !is_name(name) {
        return Err(Answer::json(400, json!({"message": "the name is not valid"})));
    }
    let expires_at = body.get("RetentionDays").map(ToString::to_string);
    world.artifacts.push(Artifact { name: name.to_owned(), expires_at, ..Artifact::default() });
    let container = format!("{}/pipelines/container?of=77", world.here);
    Ok(Answer::json(201, json!({"fileContainerResourceUrl": container, "name": name})))
}

fn file(world: &mut World, call: &Call) -> Reply {
    if auth::bearer(call) != Some(runtime_token().as_str()) {
        return Err(Answer::empty(401));
    }
    let wrong = |what: &str| Answer::json(400, json!({"message": what}));
    let path = call.parameter("itemPath").ok_or_else(|| wrong("itemPath"))?;
    let (name, path) = path.split_once('/').ok_or_else(|| wrong("itemPath"))?;
    let md5 = BASE64_STANDARD.encode(md5::Md5::digest(&call.body));
    if call.header("x-actions-results-md5") != Some(&md5) || call.header("x-actions-results-crc64").is_none()
    {
        return Err(wrong("checksums"));
    }
    let artifact = world.artifacts.iter_mut().find(|it| it.name == name).ok_or_else(Answer::not_found)?;
    let bytes = artifact.files.entry(path.to_owned()).or_default();
    let (at, length) = (bytes.len(), call.body.len());
    let range = call.header("content-range").unwrap_or_default();
    let total = range.rsplit_once('/').map_or("", |(_, total)| total);
    // GitHub's own client has an empty file end before it begins.
    let end = i128::try_from(at + length).unwrap_or_default() - 1;
    if range != format!("bytes {at}-{end}/{total}")
        || total.parse::<usize>().is_ok_and(|total| total < at + length)
    {
        return Err(wrong("content-range"));
    }
    bytes.extend_from_slice(&call.body);
    Ok(Answer::json(201, json!({})))
}
