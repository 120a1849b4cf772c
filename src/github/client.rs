//! The client: calls to one repository's API in the name of whoever has credentials.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::github::app::{App, Scope};
use crate::github::credentials::Credentials;
pub use crate::github::decision::{Repeat, Wait};
use crate::github::exchange::Exchange;
use crate::github::host::{Host, HostError};
use crate::github::refusal::{Purpose, Reason, Refusal};
use crate::github::token::Tokens;
use crate::http::error::HttpError;
use crate::http::{Answer, Http, Method};
use crate::redact::Registry;
use crate::redact::secret::Secret;
use crate::signer::SignError;

/// A call to the API.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// A path below the API's base, with its query, or the whole address of a next page.
    pub target: String,
    /// What is sent. Secrets in its texts are taken out.
    pub body: Option<Value>,
    /// Whether it may be made again although it may have been done.
    pub repeat: Repeat,
}

impl Request {
    /// Reads.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        Self::new(Method::Get, target.into(), None)
    }

    /// Removes.
    #[must_use]
    pub fn delete(target: impl Into<String>) -> Self {
        Self::new(Method::Delete, target.into(), None)
    }

    /// Creates. When the answer is lost, the call ends with [`ClientError::Ambiguous`].
    #[must_use]
    pub fn post(target: impl Into<String>, body: Value) -> Self {
        Self::new(Method::Post, target.into(), Some(body))
    }

    /// Changes. When the answer is lost, the call ends with [`ClientError::Ambiguous`].
    #[must_use]
    pub fn patch(target: impl Into<String>, body: Value) -> Self {
        Self::new(Method::Patch, target.into(), Some(body))
    }

    /// The same call, of which a second time does no harm.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Free;
        self
    }

    fn new(method: Method, target: String, body: Option<Value>) -> Self {
        let repeat = if method.is_idempotent() { Repeat::Free } else { Repeat::Never };
        Self { method, target, body, repeat }
    }

    pub(super) const fn is_write(&self) -> bool {
        !matches!(self.method, Method::Get)
    }
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server said no. It was not done, and trying again does not help.
    #[error(transparent)]
    Refused(Refusal),
    /// It may have been done: its answer was lost. The caller has to look before it tries again.
    #[error("it is not known whether the call was carried out: {cause}")]
    Ambiguous {
        /// What happened.
        cause: String,
    },
    /// It was tried often enough without an answer, and no harm was done.
    #[error(transparent)]
    Unreachable {
        /// What happened last.
        source: HttpError,
    },
    /// The server was there and could not, or a limit did not end.
    #[error("the server is not available: it answers with status {status}")]
    Unavailable {
        /// The last status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// The time for the call is up, or would be before it could be made. It was not done.
    #[error("the time for it is up{}", if waiting_for.is_some() { ": a rate limit of the server lasts longer" } else { "" })]
    DeadlineExceeded {
        /// For what it would have had to wait.
        waiting_for: Option<Wait>,
    },
    /// The answer is not what it has to be.
    #[error("the answer of the server is not what its documentation says")]
    Unexpected {
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Nothing could be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// There is no key to sign with.
    #[error("there is no private key")]
    NoKey,
    /// The call does not belong to this server.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl ClientError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.remedy(),
            Self::Ambiguous { .. } | Self::DeadlineExceeded { .. } => "try again later".to_owned(),
            Self::Unavailable { .. } => {
                "try again later; look at the server's status page if it lasts".to_owned()
            }
            Self::Unreachable { source } => source.remedy().to_owned(),
            Self::Unexpected { .. } => "check that GITHUB_API_URL is the API of a GitHub server".to_owned(),
            Self::Sign(_) | Self::NoKey => "set the private key again, as GitHub gave it".to_owned(),
            Self::Host(error) => error.remedy(),
        }
    }

    /// Everything that is known of it, in one line without secrets' values.
    #[must_use]
    pub fn full_text(&self) -> String {
        let text = crate::http::error::chain(self);
        match self {
            Self::Refused(Refusal { status, said, .. }) | Self::Unavailable { status, said }
                if !said.is_empty() =>
            {
                format!("{text} (status {status}: {said})")
            }
            Self::Refused(Refusal { status, .. }) => format!("{text} (status {status})"),
            _ => text,
        }
    }
}

/// A client for one scope on one server.
#[derive(Debug)]
pub struct Client {
    exchange: Arc<Exchange>,
    auth: Auth,
}

#[derive(Debug)]
enum Auth {
    App(Box<Tokens>),
    Ready(Secret),
}

impl Client {
    /// A client that does nothing yet: the first call looks for a token.
    #[must_use]
    pub fn new(host: Host, credentials: Credentials, scope: Scope, http: Http, registry: &Registry) -> Self {
        let exchange = Arc::new(Exchange::new(host, http, registry, Timestamp::now));
        let auth = match credentials {
            Credentials::App(app) => {
                Auth::App(Box::new(Tokens::new(App::over(Arc::clone(&exchange), app), scope)))
            }
            Credentials::Token(token) => Auth::Ready(token),
        };
        Self { exchange, auth }
    }

    /// The server.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.exchange.host
    }

    /// Whether limits press, so that calls that can be left out should be.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.exchange.is_pressed()
    }

    /// The App's numeric id, where it is known: it was looked up with the installation.
    pub async fn app_id(&self) -> Option<u64> {
        match &self.auth {
            Auth::App(tokens) => tokens.app_id().await,
            Auth::Ready(_) => None,
        }
    }

    /// Makes the call: waits out limits, tries again after faults where that is safe, and renews the token once when the
    /// server does not take it. Nothing lasts beyond `deadline`.
    ///
    /// # Errors
    /// Fails as [`ClientError`] says. What is not ambiguous was not done.
    pub async fn send(&self, request: &Request, deadline: Instant) -> Result<Answer, ClientError> {
        let token = self.token(None, deadline).await?;
        let first = self.exchange.send(request, Some(&token), Purpose::Call, deadline).await;
        match first {
            Err(ClientError::Refused(refusal))
                if refusal.reason == Reason::Credentials && matches!(self.auth, Auth::App(_)) =>
            {
                // A refused call was not carried out, so that a write may be made again, too.
                let token = self.token(Some(&token), deadline).await?;
                self.exchange.send(request, Some(&token), Purpose::Call, deadline).await
            }
            result => result,
        }
    }

    /// Gives the token back where it is ours. Trouble with that is nobody's concern: it ends by itself.
    pub async fn close(&self, deadline: Instant) {
        if let Auth::App(tokens) = &self.auth {
            tokens.revoke(deadline).await;
        }
    }

    async fn token(&self, refused: Option<&Secret>, deadline: Instant) -> Result<Secret, ClientError> {
        match &self.auth {
            Auth::App(tokens) => tokens.get(refused, deadline).await,
            Auth::Ready(token) => Ok(token.clone()),
        }
    }
}

/// The value that an answer holds.
///
/// # Errors
/// Fails when it is not such a value.
pub fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, ClientError> {
    serde_json::from_slice(&answer.body).map_err(|source| ClientError::Unexpected { source })
}

/// The address of the next page, as the server gave it.
#[must_use]
pub fn next_page(answer: &Answer) -> Option<&str> {
    answer.header("link")?.split(',').find_map(|link| {
        let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |part: &str| matches!(part.trim(), r#"rel="next""# | "rel=next");
        rest.split(';').any(is_next).then_some(address)
    })
}

#[cfg(test)]
mod tests;
