//! Check runs: made, changed and read by the App that owns them. Annotations append, everything else replaces.

use serde_json::{Map, Value, json};

use super::apps::with_link;
use super::auth::{self, Caller};
use super::call::{Answer, Call, Reply, page};
use super::output::{self, Request};
use super::world::{CheckRun, Repository, World, rfc3339};
use super::{annotations as annotation, check_suites};

/// Whose call it is, and about which repository.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) caller: &'a Caller,
    pub(super) repository: &'a Repository,
}

/// `POST /repos/{owner}/{repo}/check-runs`
pub(super) fn create(world: &mut World, call: &Call, at: Place<'_>) -> Reply {
    let token = auth::permitted(at.caller, at.repository, "checks", "write")?;
    let mut body = call.object()?;
    output::check(&body, Request::Create)?;
    let sha = body.remove("head_sha").and_then(|sha| sha.as_str().map(str::to_owned)).unwrap_or_default();
    known_commit(world, &sha)?;
    let mut run = CheckRun {
        id: world.next_id(),
        app: token.app,
        repository: at.repository.id,
        suite: check_suites::suite_of(world, token.app, at.repository.id, &sha),
        head_sha: sha,
        fields: Map::new(),
        output: Map::new(),
        annotations: Vec::new(),
    };
    run.fields.insert("status".into(), "queued".into());
    run.fields.insert("started_at".into(), rfc3339(world.now()).into());
    apply(&mut run, body, world.now());
    let answer = Answer::json(201, described(world, &run));
    world.check_runs.push(run);
    Ok(answer)
}

/// Refuses a commit that the repository has not.
pub(super) fn known_commit(world: &World, sha: &str) -> Result<(), Answer> {
    let commits = &world.settings.commits;
    let well_formed = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    if well_formed && (commits.is_empty() || commits.iter().any(|known| known == sha)) {
        Ok(())
    } else {
        Err(Answer::error(422, &format!("No commit found for SHA: {sha}")))
    }
}

/// `PATCH /repos/{owner}/{repo}/check-runs/{id}`
pub(super) fn update(world: &mut World, call: &Call, at: Place<'_>, id: &str) -> Reply {
    let token = auth::permitted(at.caller, at.repository, "checks", "write")?;
    let index = find(world, at.repository, id)?;
    if world.check_runs[index].app != token.app {
        return Err(Answer::error(
            403,
            &format!(
                "Invalid app_id `{}` - check run can only be modified by the GitHub App that created it.",
                token.app
            ),
        ));
    }
    let body = call.object()?;
    output::check(&body, Request::Update)?;
    let now = world.now();
    apply(&mut world.check_runs[index], body, now);
    Ok(Answer::json(200, described(world, &world.check_runs[index])))
}

fn apply(run: &mut CheckRun, body: Map<String, Value>, now: i64) {
    let concluded = body.contains_key("conclusion");
    let reopened = !concluded && body.get("status").is_some_and(|status| status != "completed");
    for (key, value) in body {
        if key == "output" {
            let Value::Object(mut output) = value else { continue };
            if let Some(Value::Array(more)) = output.remove("annotations") {
                run.annotations.extend(more);
            }
            run.output = output;
        } else {
            run.fields.insert(key, value);
        }
    }
    if concluded {
        run.fields.insert("status".into(), "completed".into());
        run.fields.entry("completed_at").or_insert_with(|| rfc3339(now).into());
    } else if reopened {
        run.fields.shift_remove("conclusion");
        run.fields.shift_remove("completed_at");
    }
}

fn find(world: &World, repository: &Repository, id: &str) -> Result<usize, Answer> {
    let here = |run: &CheckRun| run.repository == repository.id && run.id.to_string() == id;
    world.check_runs.iter().position(here).ok_or_else(Answer::not_found)
}

/// `GET /repos/{owner}/{repo}/check-runs/{id}`
pub(super) fn get(world: &World, at: Place<'_>, id: &str) -> Reply {
    auth::permitted(at.caller, at.repository, "checks", "read")?;
    let index = find(world, at.repository, id)?;
    Ok(Answer::json(200, described(world, &world.check_runs[index])))
}

/// `GET /repos/{owner}/{repo}/check-runs/{id}/annotations`: a bare array, in pages.
pub(super) fn annotations(world: &World, call: &Call, at: Place<'_>, id: &str) -> Reply {
    auth::permitted(at.caller, at.repository, "checks", "read")?;
    let run = &world.check_runs[find(world, at.repository, id)?];
    let name = format!("{}/{}", at.repository.owner, at.repository.name);
    let all = run.annotations.iter().map(|it| annotation::described(it, &name, &run.head_sha));
    let (items, link) = page(call, &world.address(&call.path), all.collect());
    Ok(with_link(Answer::json(200, Value::Array(items)), link))
}

/// `POST /repos/{owner}/{repo}/check-runs/{id}/rerequest`: only an event goes out, the run stays as it is.
pub(super) fn rerequest(world: &World, at: Place<'_>, id: &str) -> Reply {
    let token = auth::permitted(at.caller, at.repository, "checks", "write")?;
    let run = &world.check_runs[find(world, at.repository, id)?];
    if run.app != token.app {
        return Err(Answer::error(403, "Forbidden"));
    }
    if run.fields.get("status").is_none_or(|status| status != "completed") {
        return Err(Answer::error(422, "This check run is not rerequestable"));
    }
    Ok(Answer::json(201, json!({})))
}

/// How a check run is given back.
pub(super) fn described(world: &World, run: &CheckRun) -> Value {
    let repository = world.repositories.iter().find(|it| it.id == run.repository);
    let name = repository.map(|it| format!("{}/{}", it.owner, it.name)).unwrap_or_default();
    let url = world.address(&format!("/repos/{name}/check-runs/{}", run.id));
    let app = world.apps.iter().find(|app| app.id == run.app);
    let mut whole = json!({
        "id": run.id, "node_id": format!("CR_{}", run.id), "head_sha": run.head_sha, "external_id": "", "url": url,
        "html_url": format!("https://github.com/{name}/runs/{}", run.id), "details_url": "https://example.com",
        "status": "queued", "conclusion": null, "started_at": null, "completed_at": null,
        "output": {
            "title": null, "summary": null, "text": null,
            "annotations_count": run.annotations.len(), "annotations_url": format!("{url}/annotations"),
        },
        "name": "", "check_suite": {"id": run.suite}, "pull_requests": [],
        "app": app.map(|app| json!({"id": app.id, "slug": app.slug, "name": app.name, "client_id": app.client_id})),
    });
    for (key, value) in run.fields.iter().filter(|(key, _)| *key != "actions") {
        whole[key] = value.clone();
    }
    for (key, value) in run.output.iter().filter(|(key, _)| *key != "images") {
        whole["output"][key] = value.clone();
    }
    whole
}
