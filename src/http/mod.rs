//! HTTP as this program speaks it: one call, one answer of bounded size, in bounded time.
//!
//! It tells a call that certainly did not reach the server from one whose answer was lost, because only the caller knows
//! whether it may be repeated. It must not know what GitHub is, and it neither retries nor waits.

pub mod error;
mod proxies;
pub mod put;
mod redirect;
mod trust;

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use tokio::sync::OnceCell;
use url::Url;

use crate::environ::Environ;
use crate::http::error::{HttpError, Sent};
use crate::http::redirect::{Next, Step};
use crate::redact::Registry;
use crate::redact::secret::Secret;

/// How long a connection may take to come about, the handshake included.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a call may take, from the first byte out to the last byte in, redirects included.
const CALL: Duration = Duration::from_secs(30);

/// Largest body of an answer, in bytes. A page of a hundred annotations with messages of 64 KB stays below.
const MAX_BODY: usize = 16 << 20;

/// How the program calls itself. GitHub refuses a call without a name.
const AGENT: &str = concat!("rungate/", env!("CARGO_PKG_VERSION"));

/// What is to be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads it.
    Get,
    /// Creates something below it.
    Post,
    /// Changes a part of it.
    Patch,
    /// Removes it.
    Delete,
}

impl Method {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a second time has no further effect on the server.
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Delete => true,
            Self::Post | Self::Patch => false,
        }
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What to do.
    pub method: Method,
    /// With which resource.
    pub url: Url,
    /// Headers besides those of this room.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent as a bearer token, to the origin of `url` and to no other.
    pub bearer: Option<Secret>,
    /// A JSON document.
    pub body: Option<Vec<u8>>,
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer made by hand, for tests and for what stands in for a server.
    #[must_use]
    pub fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let headers = headers.iter().filter_map(|(name, value)| {
            Some((reqwest::header::HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
        });
        Self { status, headers: headers.collect(), body: body.as_bytes().to_vec() }
    }

    /// The value of a header, when it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the status says that it was done.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..300)
    }
}

/// What speaks HTTP. Making one costs nothing; trust store and proxies are looked at with the first call.
#[derive(Debug)]
pub struct Http {
    environ: Environ,
    registry: Registry,
    client: OnceCell<reqwest::Client>,
}

impl Http {
    /// Speaks through the proxies and trusts the authorities that `environ` and the operating system name. A password of a
    /// proxy becomes known to `registry`.
    #[must_use]
    pub fn new(environ: &Environ, registry: &Registry) -> Self {
        Self { environ: environ.clone(), registry: registry.clone(), client: OnceCell::new() }
    }

    /// Makes the call, and follows redirects that may be followed.
    ///
    /// # Errors
    /// Fails when there is no whole answer; the error says whether the server may have acted.
    pub async fn send(&self, call: Call) -> Result<Answer, HttpError> {
        let client = self.client.get_or_try_init(|| async { self.build() }).await?;
        let host = call.url.host_str().unwrap_or_default().to_owned();
        match tokio::time::timeout(CALL, follow(client, call)).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::TimedOut { host, sent: Sent::Perhaps, after: CALL }),
        }
    }

    fn build(&self) -> Result<reqwest::Client, HttpError> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT);
        for proxy in proxies::of(&self.environ, &self.registry)? {
            builder = builder.proxy(proxy);
        }
        builder = builder.tls_certs_merge(trust::extra(&self.environ)?);
        builder.build().map_err(|error| HttpError::Setup { source: Box::new(error) })
    }
}

/// Makes `call` and those that its redirects ask for.
async fn follow(client: &reqwest::Client, mut call: Call) -> Result<Answer, HttpError> {
    for hop in 0.. {
        let answer = once(client, &call).await?;
        let location = answer.header(LOCATION.as_str());
        match redirect::next(&call, answer.status, location, hop)? {
            Step::Stay => return Ok(answer),
            Step::Go(Next { method, url, keeps_bearer }) => {
                if method == Method::Get {
                    call.body = None;
                }
                if !keeps_bearer {
                    call.bearer = None;
                }
                call.method = method;
                call.url = url;
            }
        }
    }
    // The redirect policy ends the loop long before the counter does.
    Err(HttpError::TooManyRedirects)
}

async fn once(client: &reqwest::Client, call: &Call) -> Result<Answer, HttpError> {
    let host = call.url.host_str().unwrap_or_default();
    let method = match call.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    };
    let mut request = client.request(method, call.url.clone()).header(USER_AGENT, AGENT);
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    if let Some(bearer) = &call.bearer {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", bearer.expose()))
            .map_err(|_| HttpError::UnusableToken)?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    if let Some(body) = &call.body {
        request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
    }
    let mut response = request.send().await.map_err(|error| HttpError::of(host, error))?;
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::of(host, error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(HttpError::TooLarge { host: host.to_owned(), limit: MAX_BODY });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

#[cfg(test)]
mod tests;
