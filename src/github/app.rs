//! Calls that an App makes as itself: who it is, where it is installed, and a token for there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::github::client::{ClientError, Request, read};
use crate::github::credentials::AppCredentials;
use crate::github::exchange::Exchange;
use crate::github::host::Host;
use crate::github::jwt;
use crate::github::refusal::{Purpose, Reason, Refusal};
use crate::github::repository::Repository;
use crate::github::wire::Minted;
pub use crate::github::wire::{App as About, Installation, Webhook};
use crate::http::{Answer, Http};
use crate::redact::Registry;
use crate::redact::secret::Secret;

/// How much a token may do with one kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look.
    Read,
    /// Look and change.
    Write,
    /// Administer.
    Admin,
}

impl Access {
    /// GitHub's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// What a token is for: one repository, and no more permissions than are needed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The repository.
    pub repository: Repository,
    /// GitHub's names of permissions.
    pub permissions: BTreeMap<String, Access>,
}

impl Scope {
    /// What it takes to write check runs.
    #[must_use]
    pub fn checks(repository: Repository) -> Self {
        Self { repository, permissions: BTreeMap::from([("checks".to_owned(), Access::Write)]) }
    }

    /// What it takes to hand findings to code scanning.
    #[must_use]
    pub fn code_scanning(repository: Repository) -> Self {
        Self { repository, permissions: BTreeMap::from([("security_events".to_owned(), Access::Write)]) }
    }

    fn body(&self) -> Value {
        let permissions: BTreeMap<&str, &str> =
            self.permissions.iter().map(|(name, access)| (name.as_str(), access.word())).collect();
        json!({"repositories": [self.repository.name()], "permissions": permissions})
    }
}

/// A token that was made for a scope.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// When it ends, by the server's clock.
    pub expires_at: Timestamp,
}

/// What is known of an App's installation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) installation: Option<u64>,
    pub(super) app_id: Option<u64>,
}

/// An App that speaks for itself.
pub struct App {
    exchange: Arc<Exchange>,
    credentials: AppCredentials,
    /// How far the server's clock is ahead, in seconds.
    skew: AtomicI64,
    /// Which key worked last.
    key: AtomicUsize,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl App {
    /// The App of `credentials` on `host`.
    #[must_use]
    pub fn new(host: Host, credentials: AppCredentials, http: Http, registry: &Registry) -> Self {
        Self::over(Arc::new(Exchange::new(host, http, registry, Timestamp::now)), credentials)
    }

    pub(super) const fn over(exchange: Arc<Exchange>, credentials: AppCredentials) -> Self {
        Self { exchange, credentials, skew: AtomicI64::new(0), key: AtomicUsize::new(0) }
    }

    /// The installation that the administrator named.
    #[must_use]
    pub const fn named_installation(&self) -> Option<u64> {
        self.credentials.installation
    }

    /// What the server's clock says.
    pub(super) fn server_now(&self) -> Timestamp {
        let now = (self.exchange.now)().unix_seconds();
        Timestamp::from_unix_seconds(now.saturating_add(self.skew.load(Ordering::Relaxed)))
    }

    /// Who the App is.
    ///
    /// # Errors
    /// Fails when the server does not know it, or cannot be asked.
    pub async fn about(&self, deadline: Instant) -> Result<About, ClientError> {
        read(&self.call(&Request::get("/app"), Purpose::App, deadline).await?)
    }

    /// Its installation on `repository`.
    ///
    /// # Errors
    /// Fails when there is none, or the server cannot be asked.
    pub async fn installation(
        &self,
        repository: &Repository,
        deadline: Instant,
    ) -> Result<Installation, ClientError> {
        let request = Request::get(repository.path("/installation"));
        read(&self.call(&request, Purpose::Installation, deadline).await?)
    }

    /// Its installations, a hundred at most.
    ///
    /// # Errors
    /// Fails when the server cannot be asked.
    pub async fn installations(&self, deadline: Instant) -> Result<Vec<Installation>, ClientError> {
        read(&self.call(&Request::get("/app/installations?per_page=100"), Purpose::App, deadline).await?)
    }

    /// Where it is told of events.
    ///
    /// # Errors
    /// Fails when the server does not say, or cannot be asked.
    pub async fn webhook(&self, deadline: Instant) -> Result<Webhook, ClientError> {
        read(&self.call(&Request::get("/app/hook/config"), Purpose::App, deadline).await?)
    }

    /// A fresh token of the installation with this id.
    ///
    /// # Errors
    /// Fails when the installation does not give it, or the server cannot be asked.
    pub async fn mint(
        &self,
        installation: u64,
        scope: &Scope,
        deadline: Instant,
    ) -> Result<Token, ClientError> {
        // A second one does no harm: it ends by itself within the hour.
        let path = format!("/app/installations/{installation}/access_tokens");
        let request = Request::post(path, scope.body()).repeatable();
        let answer = self.call(&request, Purpose::Token, deadline).await?;
        // Before anything else can go wrong with it, the token is hidden.
        let Minted { token, expires_at } = read(&answer)?;
        let secret = Secret::new(token, &self.exchange.registry);
        if !is_token(secret.expose()) {
            let source = serde::de::Error::custom("the token holds characters that no token has");
            return Err(ClientError::Unexpected { source });
        }
        // A server whose dates cannot be read is trusted for the hour that is documented.
        let hour = || Timestamp::from_unix_seconds(self.server_now().unix_seconds() + 3600);
        let expires_at = Timestamp::of_rfc3339(&expires_at).unwrap_or_else(hour);
        Ok(Token { secret, expires_at })
    }

    /// A fresh token for `scope`, from the installation that is named or found.
    ///
    /// # Errors
    /// Fails when there is no installation, when it does not give the token, or the server cannot be asked.
    pub async fn token(&self, scope: &Scope, deadline: Instant) -> Result<Token, ClientError> {
        let mut known = Known { installation: self.credentials.installation, app_id: None };
        self.token_of(&mut known, scope, deadline).await
    }

    /// The same, with what is known of the installation, which is looked up once when the server does not know it.
    pub(super) async fn token_of(
        &self,
        known: &mut Known,
        scope: &Scope,
        deadline: Instant,
    ) -> Result<Token, ClientError> {
        let remembered = match known.installation {
            Some(installation) => match self.mint(installation, scope, deadline).await {
                // An App that was removed and installed again has a new installation.
                Err(ClientError::Refused(refusal)) if refusal.reason == Reason::UnknownInstallation => {
                    Some(refusal)
                }
                result => return result,
            },
            None => None,
        };
        let found = match (self.installation(&scope.repository, deadline).await, remembered) {
            (Err(ClientError::Refused(_)), Some(refusal)) => return Err(ClientError::Refused(refusal)),
            (found, _) => found?,
        };
        if found.suspended_at.is_some() {
            return Err(ClientError::Refused(Refusal::suspended()));
        }
        *known = Known { installation: Some(found.id), app_id: found.app_id };
        self.mint(found.id, scope, deadline).await
    }

    /// How many seconds the server's clock is ahead, as far as that had to be found out.
    #[must_use]
    pub fn clock_ahead(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }

    /// Makes the token useless.
    ///
    /// # Errors
    /// Fails when the server does not confirm it.
    pub async fn revoke(&self, token: &Secret, deadline: Instant) -> Result<(), ClientError> {
        let request = Request::delete("/installation/token");
        self.exchange.send(&request, Some(token), Purpose::Call, deadline).await.map(drop)
    }

    /// Makes a call as the App: with the next key when the server does not know one, and by the server's clock when it
    /// finds ours wrong. Each of these once.
    async fn call(
        &self,
        request: &Request,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Answer, ClientError> {
        let keys = &self.credentials.keys;
        let mut is_in_step = false;
        let mut tried = 0;
        loop {
            let at = self.key.load(Ordering::Relaxed);
            let Some(key) = keys.get(at % keys.len().max(1)) else { return Err(ClientError::NoKey) };
            let token =
                jwt::make(&self.credentials.id, key.as_ref(), self.server_now(), &self.exchange.registry)?;
            let refusal = match self.exchange.send(request, Some(&token), purpose, deadline).await {
                Err(ClientError::Refused(refusal)) => refusal,
                result => return result,
            };
            match (refusal.reason, refusal.server_time) {
                (Reason::Clock, Some(there)) if !is_in_step => {
                    is_in_step = true;
                    let ahead = there.unix_seconds() - (self.exchange.now)().unix_seconds();
                    self.skew.store(ahead, Ordering::Relaxed);
                }
                (Reason::Key | Reason::NoKey, _) if refusal.status == 401 && tried + 1 < keys.len() => {
                    tried += 1;
                    self.key.store((at + 1) % keys.len(), Ordering::Relaxed);
                }
                _ => return Err(ClientError::Refused(refusal)),
            }
        }
    }
}

/// Whether `text` can be a bearer token (RFC 6750). Its form beyond that is GitHub's own affair and has changed before;
/// but a server must not slip a line into the log of a job that prints a token.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_either_form_is_one_and_a_line_for_the_runner_is_none() {
        assert!(is_token(&format!("ghs_{}", "x".repeat(36))));
        assert!(is_token("ghs_4242_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.a-b_c"));
        for text in ["", "a b", "a\n::stop-commands::x", "::add-path::/tmp", "é"] {
            assert!(!is_token(text), "{text}");
        }
    }
}
