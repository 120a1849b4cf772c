//! Suites: GitHub picks one by App and commit, and lists what is in it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::apps::with_link;
use super::auth;
use super::call::{Answer, Call, Reply, page};
use super::check_runs::{self, Place};
use super::refs;
use super::world::{CheckRun, World};

/// The suite of this App and commit, which is made when it is missing.
pub(super) fn suite_of(world: &mut World, app: u64, repository: u64, sha: &str) -> u64 {
    let wanted = (app, repository, sha.to_owned());
    let index = world.suites.iter().position(|suite| *suite == wanted).unwrap_or_else(|| {
        world.suites.push(wanted);
        world.suites.len() - 1
    });
    // Numbers of suites and of runs must not be taken for each other.
    9_000_000 + index as u64
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`
pub(super) fn runs_of_commit(world: &World, call: &Call, at: Place<'_>, sha: &str) -> Reply {
    auth::permitted(at.caller, at.repository, "checks", "read")?;
    let sha = refs::commit(world, sha);
    check_runs::known_commit(world, sha)?;
    let runs =
        world.check_runs.iter().filter(|run| run.repository == at.repository.id && run.head_sha == sha);
    let runs = runs.filter(|run| call.parameter("app_id").is_none_or(|id| run.app.to_string() == id));
    listed(world, call, runs.collect())
}

/// `GET /repos/{owner}/{repo}/check-suites/{id}/check-runs`
pub(super) fn runs_of_suite(world: &World, call: &Call, at: Place<'_>, id: &str) -> Reply {
    auth::permitted(at.caller, at.repository, "checks", "read")?;
    let runs = world
        .check_runs
        .iter()
        .filter(|run| run.repository == at.repository.id && run.suite.to_string() == id);
    let runs: Vec<&CheckRun> = runs.collect();
    if runs.is_empty() { Err(Answer::not_found()) } else { listed(world, call, runs) }
}

fn listed(world: &World, call: &Call, runs: Vec<&CheckRun>) -> Reply {
    let field = |run: &CheckRun, key: &str| run.fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let asked = |run: &&CheckRun| {
        call.parameter("check_name").is_none_or(|name| field(run, "name").as_deref() == Some(name))
            && call.parameter("status").is_none_or(|status| field(run, "status").as_deref() == Some(status))
    };
    let mut runs: Vec<&CheckRun> = runs.into_iter().filter(asked).collect();
    runs.reverse();
    match call.parameter("filter").unwrap_or("latest") {
        "all" => {}
        "latest" => {
            let mut newest: BTreeMap<(u64, Option<String>), u64> = BTreeMap::new();
            for run in &runs {
                newest.entry((run.suite, field(run, "name"))).or_insert(run.id);
            }
            runs.retain(|run| newest.values().any(|id| *id == run.id));
        }
        other => {
            return Err(Answer::invalid(&format!("For 'filter', \"{other}\" is not a possible value.")));
        }
    }
    let total = runs.len();
    let all = runs.into_iter().map(|run| check_runs::described(world, run)).collect();
    let (items, link) = page(call, &world.address(&call.path), all);
    Ok(with_link(Answer::json(200, json!({"total_count": total, "check_runs": items})), link))
}
