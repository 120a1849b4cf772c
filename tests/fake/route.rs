//! From a method and a path to what answers it, after the rules that hold for every route.

use axum::http::Method;

use super::auth::{self, Caller};
use super::call::{Answer, Call, Origin, Reply};
use super::world::{Host, Repository, World};
use super::{apps, check_runs, check_suites, code_scanning, contract, refs, statuses};

const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// Answers a request whose path has no base any more.
pub(super) fn answer(world: &mut World, call: &Call) -> Reply {
    if call.header("user-agent").is_none_or(|agent| agent.trim().is_empty()) {
        return Err(Answer::error(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
        ));
    }
    if let Some(version) = call.header("x-github-api-version")
        && !supported(world.settings.host, version)
    {
        return Err(Answer::error(400, &format!("The API version \"{version}\" is not supported.")));
    }
    if call.path.len() > 1 && call.path.ends_with('/') {
        return Err(Answer::not_found());
    }
    let violations = contract::check(world.settings.host, call);
    let reply = routed(world, call);
    let Some(first) = violations.first() else {
        return reply;
    };
    // What the description refuses must not pass, even where our own rules have a hole.
    let reply = reply.and(Err(Answer::invalid(first)));
    world.violations.extend(violations);
    reply
}

fn supported(host: Host, version: &str) -> bool {
    match host {
        Host::Dotcom | Host::GheCom => VERSIONS.contains(&version),
        Host::Ghes => version == VERSIONS[0],
    }
}

fn routed(world: &mut World, call: &Call) -> Reply {
    let segments = call.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&call.method, segments.as_slice()) {
        (&Method::GET, ["app"]) => apps::whoami(world, call),
        (&Method::GET, ["app", "hook", "config"]) => apps::webhook(world, call),
        (&Method::GET, ["orgs", organization, "teams", team, "memberships", user]) => {
            apps::membership(world, &auth::caller(world, call)?, [organization, team, user])
        }
        (&Method::GET, ["app", "installations"]) => apps::installations(world, call),
        (&Method::GET, ["app", "installations", id]) => apps::installation(world, call, id),
        (&Method::POST, ["app", "installations", id, "access_tokens"]) => apps::mint(world, call, id),
        (&Method::GET, ["rate_limit"]) => statuses::rate_limit(world, call),
        (&Method::DELETE, ["installation", "token"]) => {
            let caller = auth::caller(world, call)?;
            apps::revoke(world, &caller)
        }
        (&Method::GET, ["installation", "repositories"]) => {
            apps::repositories(world, call, &auth::caller(world, call)?)
        }
        (_, ["repos", owner, name, rest @ ..]) => {
            if let Some(redirect) = moved(world, call, &format!("{owner}/{name}"), rest) {
                return Err(redirect);
            }
            let found = world.repository(owner, name).cloned();
            in_repository(world, call, found, rest)
        }
        (_, ["repositories", id, rest @ ..]) => {
            let found = world.repositories.iter().find(|it| it.id.to_string() == *id).cloned();
            in_repository(world, call, found, rest)
        }
        _ => Err(Answer::not_found()),
    }
}

/// Where a repository went that is called by a name that it had before.
fn moved(world: &World, call: &Call, name: &str, rest: &[&str]) -> Option<Answer> {
    let (id, origin) = world.repositories.iter().find_map(|it| Some((it.id, *it.former.get(name)?)))?;
    let origin = match origin {
        Origin::Here => &world.here,
        Origin::Elsewhere => &world.elsewhere,
    };
    let id = id.to_string();
    let rest = [&["repositories", &id], rest].concat().join("/");
    let location = format!("{origin}{}/{rest}", world.settings.host.base_path());
    let (status, message) = if [Method::GET, Method::HEAD].contains(&call.method) {
        (301, "Moved Permanently")
    } else {
        (307, "Temporary Redirect")
    };
    Some(Answer::error(status, message).with("location", location))
}

fn in_repository(world: &mut World, call: &Call, found: Option<Repository>, rest: &[&str]) -> Reply {
    if call.method == Method::GET && rest == ["installation"] {
        // The JWT is judged first: whether a repository exists is told to Apps alone.
        auth::app(world, call)?;
        return apps::of_repository(world, call, &found.ok_or_else(Answer::not_found)?);
    }
    let caller = auth::caller(world, call)?;
    let repository = found.ok_or_else(Answer::not_found)?;
    let hidden = match &caller {
        Caller::Installation(token) => !token.repositories.contains(&repository.id),
        Caller::User => false,
        Caller::Nobody => true,
    };
    if hidden && repository.private {
        return Err(Answer::not_found());
    }
    let at = check_runs::Place { caller: &caller, repository: &repository };
    match (&call.method, rest) {
        (&Method::GET, []) => apps::repository(world, &repository),
        (&Method::POST, ["check-runs"]) => check_runs::create(world, call, at),
        (&Method::PATCH, ["check-runs", id]) => check_runs::update(world, call, at, id),
        (&Method::GET, ["check-runs", id]) => check_runs::get(world, at, id),
        (&Method::GET, ["check-runs", id, "annotations"]) => check_runs::annotations(world, call, at, id),
        (&Method::POST, ["check-runs", id, "rerequest"]) => check_runs::rerequest(world, at, id),
        (&Method::GET, ["commits", sha, "check-runs"]) => check_suites::runs_of_commit(world, call, at, sha),
        (&Method::GET, ["check-suites", id, "check-runs"]) => {
            check_suites::runs_of_suite(world, call, at, id)
        }
        (&Method::GET, ["branches"]) => refs::branches(world, call, at),
        (&Method::GET, ["pulls"]) => refs::pulls(world, call, at),
        (&Method::POST, ["code-scanning", "sarifs"]) => code_scanning::upload(world, call, at),
        (&Method::GET, ["code-scanning", "sarifs", id]) => code_scanning::status(world, at, id),
        (&Method::POST, ["statuses", sha]) => statuses::create(world, call, at, sha),
        (&Method::GET, ["commits", sha, "statuses"]) => statuses::list(world, call, at, sha),
        _ => Err(Answer::not_found()),
    }
}
