//! Commit statuses, and the budget of requests.

use serde_json::{Value, json};

use super::apps::with_link;
use super::auth::{self, Caller};
use super::call::{Answer, Call, Reply, page};
use super::check_runs::{Place, known_commit};
use super::output::{permitted, required, text};
use super::world::{Host, World, rfc3339};

const STATES: [&str; 4] = ["error", "failure", "pending", "success"];
const DESCRIPTION_LIMIT: usize = 140;

/// `POST /repos/{owner}/{repo}/statuses/{sha}`
pub(super) fn create(world: &mut World, call: &Call, at: Place<'_>, sha: &str) -> Reply {
    if !matches!(at.caller, Caller::User) {
        auth::permitted(at.caller, at.repository, "statuses", "write")?;
    }
    let body = call.object()?;
    permitted(&body, &["state", "target_url", "description", "context"], "")?;
    required(&body, &["state"], "")?;
    let state = text(&body, "state", "")?.unwrap_or_default();
    if !STATES.contains(&state) {
        return Err(Answer::error(422, "Validation Failed"));
    }
    let description = text(&body, "description", "")?;
    if description.is_some_and(|it| it.chars().count() > DESCRIPTION_LIMIT) {
        return Err(Answer::error(
            422,
            "Validation Failed: description is too long (maximum is 140 characters)",
        ));
    }
    known_commit(world, sha)?;
    let status = json!({
        "id": world.next_id(), "url": world.address(&call.path), "state": state, "sha": sha, "description": description,
        "repository": at.repository.id, "target_url": text(&body, "target_url", "")?,
        "context": text(&body, "context", "")?.unwrap_or("default"), "created_at": rfc3339(world.now()),
    });
    world.statuses.push(status.clone());
    Ok(Answer::json(201, status))
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/statuses`
pub(super) fn list(world: &World, call: &Call, at: Place<'_>, sha: &str) -> Reply {
    auth::permitted(at.caller, at.repository, "statuses", "read")?;
    let here = |status: &&Value| status["sha"] == sha && status["repository"] == at.repository.id;
    let all = world.statuses.iter().rev().filter(here).cloned().collect();
    let (items, link) = page(call, &world.address(&call.path), all);
    Ok(with_link(Answer::json(200, Value::Array(items)), link))
}

/// `GET /rate_limit`
pub(super) fn rate_limit(world: &World, call: &Call) -> Reply {
    if world.settings.host == Host::Ghes {
        return Err(Answer::error(404, "Rate limiting is not enabled."));
    }
    auth::caller(world, call)?;
    let used = world.requests.len();
    let core = json!({
        "limit": 5000, "used": used, "remaining": 5000_usize.saturating_sub(used), "reset": world.now() + 3600,
    });
    Ok(Answer::json(200, json!({"resources": {"core": core}, "rate": core})))
}
