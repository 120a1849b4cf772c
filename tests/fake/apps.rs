//! Apps, their installations, and the tokens that they mint.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::auth::{self, Caller};
use super::call::{Answer, Call, Reply, page};
use super::world::{APP_KEY, App, Installation, Permissions, Repository, Token, TokenFormat, World, rfc3339};

const NOT_GRANTED: &str = "The permissions requested are not granted to this installation.";
const NOT_ACCESSIBLE: &str =
    "There is at least one repository that does not exist or is not accessible to the parent installation.";
const REPOSITORIES_LIMIT: usize = 500;

/// `GET /app`
pub(super) fn whoami(world: &World, call: &Call) -> Reply {
    let app = auth::app(world, call)?;
    let installed: Vec<&Installation> = world.installations.iter().filter(|it| it.app == app.id).collect();
    let permissions = installed.first().map(|it| it.permissions.clone()).unwrap_or_default();
    Ok(Answer::json(
        200,
        json!({
            "id": app.id, "node_id": "A_fake", "client_id": app.client_id, "slug": app.slug, "name": app.name,
            "owner": account("acme"), "description": null,
            "external_url": "https://example.com", "html_url": format!("https://github.com/apps/{}", app.slug),
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            "permissions": permissions, "events": ["check_run"], "installations_count": installed.len(),
        }),
    ))
}

/// `GET /app/hook/config`
pub(super) fn webhook(world: &World, call: &Call) -> Reply {
    auth::app(world, call)?;
    Ok(Answer::json(200, world.webhook.clone()))
}

/// `GET /orgs/{org}/teams/{team_slug}/memberships/{username}`
pub(super) fn membership(world: &World, caller: &Caller, [organization, team, user]: [&str; 3]) -> Reply {
    let Caller::Installation(token) = caller else {
        return Err(Answer::error(403, "Resource not accessible by integration"));
    };
    let held = token.permissions.get("members").map_or(0, |held| auth::rank(held));
    if held < auth::rank("read") {
        return Err(Answer::error(403, "Resource not accessible by integration")
            .with("x-accepted-github-permissions", "members=read".to_owned()));
    }
    let found = world.members.iter().find(|[of, named, login, _]| {
        of == organization && named == team && login.eq_ignore_ascii_case(user)
    });
    let [.., state] = found.ok_or_else(Answer::not_found)?;
    Ok(Answer::json(200, json!({"url": world.address("/"), "role": "member", "state": state})))
}

/// `GET /app/installations`
pub(super) fn installations(world: &World, call: &Call) -> Reply {
    let app = auth::app(world, call)?;
    let all = world.installations.iter().filter(|it| it.app == app.id).map(|it| described(world, it, &app));
    let (items, link) = page(call, &world.address(&call.path), all.collect());
    Ok(with_link(Answer::json(200, Value::Array(items)), link))
}

/// `GET /app/installations/{id}`
pub(super) fn installation(world: &World, call: &Call, id: &str) -> Reply {
    let app = auth::app(world, call)?;
    let found = world.installations.iter().find(|it| it.app == app.id && it.id.to_string() == id);
    found.map(|it| Answer::json(200, described(world, it, &app))).ok_or_else(Answer::not_found)
}

/// `GET /repos/{owner}/{repo}/installation`
pub(super) fn of_repository(world: &World, call: &Call, repository: &Repository) -> Reply {
    let app = auth::app(world, call)?;
    let found =
        world.installations.iter().find(|it| it.app == app.id && it.repositories.contains(&repository.id));
    found.map(|it| Answer::json(200, described(world, it, &app))).ok_or_else(Answer::not_found)
}

fn described(world: &World, it: &Installation, app: &App) -> Value {
    let suspended = it.suspended.then(|| rfc3339(world.now() - 60));
    json!({
        "id": it.id, "app_id": app.id, "client_id": app.client_id, "app_slug": app.slug, "target_id": 7, "target_type": "Organization",
        "account": account(&it.account), "repository_selection": "selected", "permissions": it.permissions,
        "events": ["check_run"], "single_file_name": null,
        "access_tokens_url": world.address(&format!("/app/installations/{}/access_tokens", it.id)),
        "repositories_url": world.address("/installation/repositories"),
        "html_url": format!("https://github.com/organizations/{}/settings/installations/{}", it.account, it.id),
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "suspended_at": suspended, "suspended_by": it.suspended.then(|| account("octocat")),
    })
}

fn account(login: &str) -> Value {
    json!({"login": login, "id": 7, "node_id": "O_fake", "type": "Organization", "site_admin": false})
}

/// `POST /app/installations/{id}/access_tokens`
pub(super) fn mint(world: &mut World, call: &Call, id: &str) -> Reply {
    let app = auth::app(world, call)?;
    let installation = world
        .installations
        .iter()
        .find(|it| it.app == app.id && it.id.to_string() == id)
        .cloned()
        .ok_or_else(Answer::not_found)?;
    if installation.suspended {
        return Err(Answer::error(403, "This installation has been suspended"));
    }
    let body = call.object()?;
    let permissions = narrowed_permissions(&body, &installation)?;
    let narrowed = body.contains_key("repositories") || body.contains_key("repository_ids");
    let repositories = narrowed_repositories(world, &body, &installation)?;
    let expires_at = world.now() + world.settings.token_lifetime;
    let format = match call.header("x-github-stateless-s2s-token") {
        Some("enabled") => TokenFormat::Stateless,
        Some("disabled") => TokenFormat::Classic,
        _ => world.settings.token_format,
    };
    let serial = world.next_id();
    let token = Token {
        secret: written(format, &app, serial, expires_at),
        app: app.id,
        installation: installation.id,
        permissions: permissions.clone(),
        repositories: repositories.clone(),
        expires_at,
        revoked: false,
    };
    let mut answer = json!({
        "token": token.secret, "expires_at": rfc3339(expires_at), "permissions": permissions,
        "repository_selection": "selected",
    });
    if narrowed {
        answer["repositories"] = repositories.iter().filter_map(|id| repository_value(world, *id)).collect();
    }
    world.tokens.push(token);
    Ok(Answer::json(201, answer))
}

fn narrowed_permissions(
    body: &Map<String, Value>,
    installation: &Installation,
) -> Result<Permissions, Answer> {
    let Some(asked) = body.get("permissions") else {
        return Ok(installation.permissions.clone());
    };
    let refused = || Answer::error(422, NOT_GRANTED);
    let mut permissions = Permissions::new();
    for (name, level) in asked.as_object().ok_or_else(refused)? {
        let level = level.as_str().filter(|level| auth::rank(level) > 0).ok_or_else(refused)?;
        let granted = installation.permissions.get(name).map_or(0, |granted| auth::rank(granted));
        if granted < auth::rank(level) {
            return Err(refused());
        }
        permissions.insert(name.clone(), level.to_owned());
    }
    // Whoever may anything may read what a repository is called.
    permissions.entry("metadata".into()).or_insert_with(|| "read".into());
    Ok(permissions)
}

fn narrowed_repositories(
    world: &World,
    body: &Map<String, Value>,
    installation: &Installation,
) -> Result<Vec<u64>, Answer> {
    let (names, ids) = (body.get("repositories"), body.get("repository_ids"));
    let refused = || Answer::error(422, NOT_ACCESSIBLE);
    let (Some(asked), by_name) = (names.or(ids), names.is_some()) else {
        return Ok(installation.repositories.clone());
    };
    if names.is_some() && ids.is_some() {
        return Err(Answer::error(422, "Only one of repositories and repository_ids may be given."));
    }
    let asked = asked.as_array().ok_or_else(refused)?;
    if asked.len() > REPOSITORIES_LIMIT {
        return Err(Answer::error(422, "No more than 500 repositories may be given."));
    }
    let mut found = Vec::new();
    for one in asked {
        let id = if by_name {
            one.as_str()
                .and_then(|name| world.repository(&installation.account, name))
                .map(|repository| repository.id)
        } else {
            one.as_u64()
        };
        found.push(id.filter(|id| installation.repositories.contains(id)).ok_or_else(refused)?);
    }
    Ok(found)
}

/// The text of a token. Nothing may depend on it, so both forms are real.
fn written(format: TokenFormat, app: &App, serial: u64, expires_at: i64) -> String {
    let classic = format!("ghs_{serial:0>36}");
    match format {
        TokenFormat::Classic => classic,
        TokenFormat::Stateless => {
            let claims = json!({"jti": serial, "exp": expires_at, "aud": "fake", "pad": "x-_".repeat(8)});
            let signed = EncodingKey::from_rsa_pem(APP_KEY.as_bytes())
                .and_then(|key| jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key));
            signed.map_or(classic, |jwt| format!("ghs_{}_{jwt}", app.id))
        }
    }
}

/// `DELETE /installation/token`
pub(super) fn revoke(world: &mut World, caller: &Caller) -> Reply {
    let Caller::Installation(used) = caller else {
        return Err(Answer::error(403, "Resource not accessible by integration"));
    };
    for token in world.tokens.iter_mut().filter(|token| token.secret == used.secret) {
        token.revoked = true;
    }
    Ok(Answer::empty(204))
}

/// `GET /installation/repositories`
pub(super) fn repositories(world: &World, call: &Call, caller: &Caller) -> Reply {
    let Caller::Installation(token) = caller else {
        return Err(Answer::error(403, "Resource not accessible by integration"));
    };
    let all: Vec<Value> = token.repositories.iter().filter_map(|id| repository_value(world, *id)).collect();
    let total = all.len();
    let (items, link) = page(call, &world.address(&call.path), all);
    let body = json!({"total_count": total, "repository_selection": "selected", "repositories": items});
    Ok(with_link(Answer::json(200, body), link))
}

fn repository_value(world: &World, id: u64) -> Option<Value> {
    let it = world.repositories.iter().find(|it| it.id == id)?;
    Some(json!({
        "id": it.id, "name": it.name, "full_name": format!("{}/{}", it.owner, it.name), "private": it.private,
        "default_branch": world.settings.branches.keys().next().map_or("main", String::as_str),
        "owner": account(&it.owner), "url": world.address(&format!("/repos/{}/{}", it.owner, it.name)),
    }))
}

/// `GET /repos/{owner}/{repo}`
pub(super) fn repository(world: &World, repository: &Repository) -> Reply {
    repository_value(world, repository.id).map(|it| Answer::json(200, it)).ok_or_else(Answer::not_found)
}

/// The answer with the way to other pages.
pub(super) fn with_link(answer: Answer, link: Option<String>) -> Answer {
    match link {
        Some(link) => answer.with("link", link),
        None => answer,
    }
}
