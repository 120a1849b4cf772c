//! Sending a piece of a large body: bytes in place of a document, and time by how much there is to send.
//!
//! Redirects are answers here: what is stored belongs to the one address that was given.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue, USER_AGENT};
use url::Url;

use crate::http::error::{HttpError, Sent};
use crate::http::{AGENT, Answer, Http};
use crate::redact::secret::Secret;

/// Largest answer to a piece, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// One piece.
#[derive(Clone, Debug)]
pub struct Put {
    /// Where it goes. It may carry a signature in its query, and is never part of an error.
    pub url: Url,
    /// Headers besides the length.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent as a bearer token.
    pub bearer: Option<Secret>,
    /// The bytes.
    pub body: Bytes,
    /// How long it may take to the end of the answer.
    pub patience: Duration,
}

impl Http {
    /// Sends the piece.
    ///
    /// # Errors
    /// Fails when there is no whole answer.
    pub async fn put(&self, put: Put) -> Result<Answer, HttpError> {
        let client = self.client.get_or_try_init(|| async { self.build() }).await?;
        let host = put.url.host_str().unwrap_or_default().to_owned();
        let mut request = client
            .put(put.url)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_LENGTH, put.body.len())
            .body(put.body);
        for (name, value) in put.headers {
            request = request.header(HeaderName::from_static(name), value);
        }
        if let Some(bearer) = &put.bearer {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", bearer.expose()))
                .map_err(|_| HttpError::UnusableToken)?;
            value.set_sensitive(true);
            request = request.header(reqwest::header::AUTHORIZATION, value);
        }
        let made = async {
            let mut response = request.send().await.map_err(|error| HttpError::of(&host, error))?;
            let status = response.status().as_u16();
            let headers = std::mem::take(response.headers_mut());
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::of(&host, error))? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(HttpError::TooLarge { host: host.clone(), limit: MAX_ANSWER });
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Answer { status, headers, body })
        };
        let patience = put.patience;
        match tokio::time::timeout(patience, made).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::TimedOut { host: host.clone(), sent: Sent::Perhaps, after: patience }),
        }
    }
}
