//! Branches and pull requests, as far as somebody lists them for their commits.

use serde_json::{Value, json};

use super::apps::with_link;
use super::auth;
use super::call::{Answer, Call, Reply, page};
use super::check_runs::Place;
use super::world::World;

/// `GET /repos/{owner}/{repo}/branches`
pub(super) fn branches(world: &World, call: &Call, at: Place<'_>) -> Reply {
    auth::permitted(at.caller, at.repository, "contents", "read")?;
    let all = world.settings.branches.iter();
    let all = all.map(|(name, sha)| json!({"name": name, "commit": {"sha": sha}, "protected": false}));
    let (items, link) = page(call, &world.address(&call.path), all.collect());
    Ok(with_link(Answer::json(200, Value::Array(items)), link))
}

/// `GET /repos/{owner}/{repo}/pulls`
pub(super) fn pulls(world: &World, call: &Call, at: Place<'_>) -> Reply {
    auth::permitted(at.caller, at.repository, "pull_requests", "read")?;
    let all = world.settings.pulls.iter().zip(1..);
    let all = all.map(|(sha, number)| json!({"number": number, "state": "open", "head": {"sha": sha}}));
    let (items, link) = page(call, &world.address(&call.path), all.collect());
    Ok(with_link(Answer::json(200, Value::Array(items)), link))
}

/// The commit that a branch or a commit's own name stands for.
pub(super) fn commit<'a>(world: &'a World, reference: &'a str) -> &'a str {
    world.settings.branches.get(reference).map_or(reference, String::as_str)
}
