//! The token with which GitHub says what a job is: asking for it, and checking who signed it.
//!
//! It must not know what a policy makes of it.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use url::Url;

use crate::http::error::HttpError;
use crate::http::{Call, Http, Method};
use crate::redact::Registry;
use crate::redact::secret::Secret;

/// Seconds that clocks may differ.
const LEEWAY: u64 = 60;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The job cannot ask for one.
    #[error("the job cannot ask for a token: {variable} is not set")]
    NotOffered {
        /// What is missing.
        variable: &'static str,
    },
    /// The address is none that a token may be sent to.
    #[error("{0} is no usable address")]
    Address(String),
    /// The server cannot be reached.
    #[error("failed to reach {what}: {}", crate::http::error::chain(source))]
    Unreachable {
        /// Which of the two.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<HttpError>,
    },
    /// The server gave something else.
    #[error("{what} answered with status {status}, and not with what was asked for")]
    Unexpected {
        /// Which of the two.
        what: &'static str,
        /// Its status.
        status: u16,
    },
    /// The token is signed by nobody whom the issuer knows.
    #[error("the token is signed with a key that {0} does not have")]
    UnknownKey(String),
    /// The token does not hold.
    #[error("the token does not hold: {0}")]
    Invalid(#[source] jsonwebtoken::errors::Error),
}

impl OidcError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NotOffered { .. } => {
                "give the job `permissions: {id-token: write}` in its workflow, beside the others that it needs"
            }
            Self::Address(_) => "this is set by the runner; do not set it in the workflow",
            Self::Unreachable { .. } => {
                "allow the runner to reach it by HTTPS; `rungate doctor` names the hosts"
            }
            Self::Unexpected { .. } | Self::UnknownKey(_) => {
                "check `oidc.issuer` in the host's policy: it has to be the issuer of this server's tokens"
            }
            Self::Invalid(_) => "check `oidc` in the host's policy, and the clock of this host",
        }
    }
}

/// What GitHub says of a job.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// `owner/name`.
    pub repository: String,
    /// The full reference.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The commit.
    pub sha: String,
    /// Who started it.
    pub actor: String,
    /// The event.
    pub event_name: String,
    /// The workflow run's number.
    pub run_id: Option<String>,
}

/// Asks at `url`, with the right that `bearer` gives, for a token for `audience`.
///
/// # Errors
/// Fails when there is no usable answer.
pub async fn request(
    url: &str,
    bearer: Secret,
    audience: &str,
    http: &Http,
    registry: &Registry,
) -> Result<Secret, OidcError> {
    #[derive(Deserialize)]
    struct Given {
        value: String,
    }
    const WHAT: &str = "the server that gives the job its token";
    let mut url = address(url)?;
    url.query_pairs_mut().append_pair("audience", audience);
    let body = get(url, Some(bearer), http, WHAT).await?;
    let given: Given =
        serde_json::from_slice(&body).map_err(|_| OidcError::Unexpected { what: WHAT, status: 200 })?;
    Ok(Secret::new(given.value, registry))
}

/// The keys of `issuer`.
///
/// # Errors
/// Fails when there is no usable answer.
pub async fn keys(issuer: &str, http: &Http) -> Result<JwkSet, OidcError> {
    const WHAT: &str = "the issuer of tokens";
    let url = address(&format!("{issuer}/.well-known/jwks"))?;
    let body = get(url, None, http, WHAT).await?;
    serde_json::from_slice(&body).map_err(|_| OidcError::Unexpected { what: WHAT, status: 200 })
}

/// What `token` says, when one of `keys` has signed it for `audience` in the name of `issuer`, and it is its time.
///
/// # Errors
/// Fails when any of that is not so.
pub fn verify(token: &Secret, keys: &JwkSet, issuer: &str, audience: &str) -> Result<Claims, OidcError> {
    let token = token.expose();
    let header = jsonwebtoken::decode_header(token).map_err(OidcError::Invalid)?;
    let unknown = || OidcError::UnknownKey(issuer.to_owned());
    let key = keys.find(header.kid.as_deref().unwrap_or_default()).ok_or_else(unknown)?;
    let key = DecodingKey::from_jwk(key).map_err(OidcError::Invalid)?;
    // The algorithm is ours to say: a token that names another one is refused.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    let token = jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(OidcError::Invalid)?;
    Ok(token.claims)
}

async fn get(
    url: Url,
    bearer: Option<Secret>,
    http: &Http,
    what: &'static str,
) -> Result<Vec<u8>, OidcError> {
    let headers = vec![("accept", "application/json".to_owned())];
    let call = Call { method: Method::Get, url, headers, bearer, body: None };
    let unreachable = |source| OidcError::Unreachable { what, source: Box::new(source) };
    let answer = http.send(call).await.map_err(unreachable)?;
    if answer.is_success() {
        Ok(answer.body)
    } else {
        Err(OidcError::Unexpected { what, status: answer.status })
    }
}

/// Only what nobody on the way can read or change is spoken to another machine.
fn address(text: &str) -> Result<Url, OidcError> {
    let refused = || OidcError::Address(text.split(['?', '#']).next().unwrap_or_default().to_owned());
    let url = Url::parse(text).map_err(|_| refused())?;
    let is_here = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    match url.scheme() {
        "https" if url.host().is_some() && url.username().is_empty() => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests;
