//! Who is in a team, where a rule asks: GitHub says it to an App that may read the members of the organization.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::policy::{Policies, references};
use crate::app::tell::event_loop;
use crate::environ::Environ;
use crate::github::app::{Access, Scope};
use crate::github::client::{Client, ClientError, Request, read};
use crate::github::credentials::Credentials;
use crate::github::host::Host;
use crate::github::repository::Repository;
use crate::http::Http;
use crate::policy::decide::teams;
use crate::policy::model::{Asked, Facts, Member};
use crate::redact::Registry;

/// How long all questions together may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Questions that are asked for one decision.
const MOST: usize = 20;

/// Puts into `facts` what is to be known of teams for this decision.
pub(super) fn look_up(policies: &Policies, asked: &Asked, facts: &mut Facts, environ: &Environ) {
    let wanted = teams(policies.all(), asked, facts);
    if wanted.is_empty() {
        return;
    }
    let registry = crate::app::secrets::registry(environ);
    let client = client(facts, environ, &registry);
    let client = match client {
        Ok(client) => client,
        Err(why) => {
            facts.teams.extend(wanted.into_iter().map(|key| (key, Member::Unknown(why.clone()))));
            return;
        }
    };
    let Ok(event_loop) = event_loop() else { return };
    event_loop.block_on(async {
        let deadline = Instant::now() + PATIENCE;
        for key in wanted.into_iter().take(MOST) {
            let member = member(&client, &key.0, &key.1, deadline).await;
            facts.teams.insert(key, member);
        }
        client.close(deadline).await;
    });
}

/// A client whose token can do nothing but read members.
fn client(facts: &Facts, environ: &Environ, registry: &Registry) -> Result<Client, String> {
    let repository = facts.repository.as_deref().ok_or("the repository is not known")?;
    let repository = Repository::parse(repository).map_err(|error| error.to_string())?;
    let host = Host::of_environ(environ).map_err(|error| error.to_string())?;
    let credentials = references::credentials(&host, environ, registry)
        .map_err(|error| format!("{}; {}", crate::http::error::chain(&error), error.remedy()))?;
    if let Credentials::Token(_) = credentials {
        return Err("a ready token says nothing of teams; it takes a GitHub App".to_owned());
    }
    let scope = Scope { repository, permissions: BTreeMap::from([("members".to_owned(), Access::Read)]) };
    Ok(Client::new(host, credentials, scope, Http::new(environ, registry), registry))
}

/// Whether `user` is in `team`, `@organization/team`.
async fn member(client: &Client, team: &str, user: &str, deadline: Instant) -> Member {
    #[derive(serde::Deserialize)]
    struct Membership {
        state: String,
    }
    let Some((organization, team)) = team.trim_start_matches('@').split_once('/') else { return Member::No };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    // An App's own account is in no team, and no part of a path.
    if user.is_empty() || !user.bytes().all(is_plain) {
        return Member::No;
    }
    let request = Request::get(format!("/orgs/{organization}/teams/{team}/memberships/{user}"));
    match client.send(&request, deadline).await.and_then(|answer| read::<Membership>(&answer)) {
        // Who was invited and has not accepted is no member yet.
        Ok(membership) if membership.state == "active" => Member::Yes,
        Ok(_) => Member::No,
        Err(ClientError::Refused(refusal)) if refusal.status == 404 => Member::No,
        Err(error) => Member::Unknown(format!("{}; {}", error.full_text(), error.remedy())),
    }
}
