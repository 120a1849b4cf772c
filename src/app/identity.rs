//! Proving who the App is, and making a token for somebody else's use.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::policy::{self, Verdict};
use crate::app::tell::event_loop;
use crate::environ::Environ;
use crate::github::app::{About, Access, App, Installation, Scope, Token};
use crate::github::client::ClientError;
use crate::github::credentials::{Credentials, CredentialsError};
use crate::github::host::{Host, HostError};
use crate::github::repository::{NoRepository, Repository};
use crate::http::Http;
use crate::manifest::model::Permission;
use crate::policy::model::{Asked, Verb};
use crate::redact::Registry;

/// How long a question may take in all, waits for limits included.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The server's bare name, where it is not that of the environment.
    pub host: Option<String>,
    /// The repository, where it is not that of the job.
    pub repository: Option<String>,
}

/// Who the App is.
#[derive(Debug)]
pub struct Identity {
    /// The server.
    pub host: Host,
    /// What the server says about the App.
    pub about: About,
    /// How many seconds the server's clock is ahead, where that had to be found out.
    pub clock_ahead: i64,
    /// The installation on a repository, where one was asked for.
    pub installation: Option<(Repository, Result<Installation, ClientError>)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The server's name or address is not usable.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The credentials are not usable.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A token proves nothing about an App.
    #[error("RUNGATE_TOKEN is set, and only RUNGATE_APP_ID with a private key says which App this is")]
    OnlyToken,
    /// The repository is none.
    #[error(transparent)]
    Repository(#[from] NoRepository),
    /// No repository is named.
    #[error("no repository is named")]
    NoRepository,
    /// The host's administrator does not allow it.
    #[error("refused by host policy: {0}")]
    Policy(String),
    /// The server refuses, or cannot be reached.
    #[error("{}", .0.full_text())]
    GitHub(ClientError),
    /// No event loop can be made.
    #[error("this host cannot do what was asked")]
    Resources,
}

impl IdentityError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Host(error) => error.remedy(),
            Self::Credentials(error) => error.remedy().to_owned(),
            Self::OnlyToken => "set RUNGATE_APP_ID and RUNGATE_APP_PRIVATE_KEY_FILE".to_owned(),
            Self::Repository(_) | Self::NoRepository => {
                "name it with --repo OWNER/NAME; inside a job GITHUB_REPOSITORY does".to_owned()
            }
            Self::Policy(_) => "ask the administrator of this host".to_owned(),
            Self::GitHub(error) => error.remedy(),
            Self::Resources => "raise the limit on open files".to_owned(),
        }
    }
}

/// Asks the server who the App is, and where it is installed. Everything secret becomes known to `registry`.
///
/// # Errors
/// Fails when there are no usable credentials, and when the server does not accept them.
pub fn whoami(
    question: &Question,
    environ: &Environ,
    registry: &Registry,
) -> Result<Identity, IdentityError> {
    let (host, app) = app(question, environ, registry)?;
    let repository = repository(question, environ)?;
    let deadline_after = PATIENCE;
    event_loop().map_err(|_| IdentityError::Resources)?.block_on(async {
        let deadline = Instant::now() + deadline_after;
        let about = app.about(deadline).await.map_err(IdentityError::GitHub)?;
        let installation = match repository {
            Some(repository) => {
                let found = app.installation(&repository, deadline).await;
                Some((repository, found))
            }
            None => None,
        };
        Ok(Identity { host, about, clock_ahead: app.clock_ahead(), installation })
    })
}

/// Makes a token for one repository with these permissions; for check runs when there are none.
///
/// # Errors
/// Fails when a policy stands against it, when there are no usable credentials, and when the server gives no token.
pub fn token(
    question: &Question,
    permissions: BTreeMap<String, Access>,
    environ: &Environ,
    registry: &Registry,
) -> Result<Token, IdentityError> {
    let repository = repository(question, environ)?.ok_or(IdentityError::NoRepository)?;
    let name = repository.to_string();
    let verdict =
        policy::allow(&Asked::plain(Verb::Token), Some(&name), environ).map_err(IdentityError::Policy)?;
    let mut scope = Scope::checks(repository);
    if !permissions.is_empty() {
        scope.permissions = permissions;
    }
    within(&scope, &verdict).map_err(IdentityError::Policy)?;
    let (_, app) = app(question, environ, registry)?;
    event_loop()
        .map_err(|_| IdentityError::Resources)?
        .block_on(app.token(&scope, Instant::now() + PATIENCE))
        .map_err(IdentityError::GitHub)
}

/// Whether the policies let a token have what `scope` names.
fn within(scope: &Scope, verdict: &Verdict) -> Result<(), String> {
    let Some(decision) = &verdict.decision else { return Ok(()) };
    for (name, access) in &scope.permissions {
        let wanted = match access {
            Access::Read => Permission::Read,
            Access::Write | Access::Admin => Permission::Write,
        };
        // No policy has a word for administration.
        let against = decision.bounds.against_permission(name, wanted);
        if let Some(place) = against {
            return Err(format!("{place}: `permissions` does not grant `{name}: {}`", access.word()));
        }
        if *access == Access::Admin {
            return Err(format!("a token that administers `{name}` is not given where a policy holds"));
        }
    }
    Ok(())
}

fn app(question: &Question, environ: &Environ, registry: &Registry) -> Result<(Host, App), IdentityError> {
    let host = match &question.host {
        Some(name) => Host::of_name(name)?,
        None => Host::of_environ(environ)?,
    };
    let Credentials::App(credentials) = policy::credentials(&host, environ, registry)? else {
        return Err(IdentityError::OnlyToken);
    };
    Ok((host.clone(), App::new(host, credentials, Http::new(environ, registry), registry)))
}

fn repository(question: &Question, environ: &Environ) -> Result<Option<Repository>, IdentityError> {
    let named = question.repository.as_deref().or_else(|| environ.text("GITHUB_REPOSITORY"));
    Ok(named.map(Repository::parse).transpose()?)
}
