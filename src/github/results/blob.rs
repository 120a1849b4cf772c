//! A block blob of Azure's storage, written through an address that carries its own permission.
//!
//! Blocks may arrive in any order and more than once: only the list at the end says what the blob is.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use crate::github::results::error::{ResultsError, said};
use crate::github::results::retry::{self, STALL};
use crate::http::put::Put;
use crate::http::{Answer, Http};

/// A version of the storage's protocol that has all that is used.
const VERSION: &str = "2021-12-02";

/// Writes the block `index`.
///
/// # Errors
/// Fails when the storage refuses it, or does not take it in time.
pub(super) async fn block(
    http: &Http,
    target: &Url,
    index: u32,
    body: Bytes,
    deadline: Instant,
) -> Result<(), ResultsError> {
    let mut url = target.clone();
    url.set_query(Some(&with(target, &format!("comp=block&blockid={}", encoded(&id(index))))));
    let put = Put { url, headers: headers(None), bearer: None, body, patience: STALL };
    retry::put(http, put, deadline, refusal).await
}

/// Says of which blocks, in their order, the blob is made.
///
/// # Errors
/// Fails as [`block`] does.
pub(super) async fn commit(
    http: &Http,
    target: &Url,
    blocks: u32,
    media_type: &str,
    deadline: Instant,
) -> Result<(), ResultsError> {
    let mut url = target.clone();
    url.set_query(Some(&with(target, "comp=blocklist")));
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><BlockList>");
    for index in 0..blocks {
        // Writing into a string does not fail.
        let _ = write!(body, "<Latest>{}</Latest>", id(index));
    }
    body.push_str("</BlockList>");
    let put =
        Put { url, headers: headers(Some(media_type)), bearer: None, body: body.into(), patience: STALL };
    retry::put(http, put, deadline, refusal).await
}

fn refusal(answer: &Answer) -> ResultsError {
    ResultsError::Storage { status: answer.status, said: code(answer) }
}

fn headers(media_type: Option<&str>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("x-ms-version", VERSION.to_owned())];
    match media_type {
        Some(media_type) => {
            headers.push(("content-type", "application/xml".to_owned()));
            headers.push(("x-ms-blob-content-type", media_type.to_owned()));
        }
        None => headers.push(("content-type", "application/octet-stream".to_owned())),
    }
    headers
}

/// What the storage calls its refusal.
fn code(answer: &Answer) -> String {
    answer.header("x-ms-error-code").map_or_else(|| said(&answer.body), str::to_owned)
}

/// The query of the address as it is, which is signed, with `more` behind it.
fn with(target: &Url, more: &str) -> String {
    match target.query() {
        Some(query) if !query.is_empty() => format!("{query}&{more}"),
        _ => more.to_owned(),
    }
}

/// The id of a block. All ids of one blob have the same length.
fn id(index: u32) -> String {
    BASE64_STANDARD.encode(format!("rungate-{index:08}"))
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_equally_long_and_the_signed_query_stays_as_it_was() {
        let lengths: Vec<usize> = [0, 9, 10, 49_999, u32::MAX].map(|index| id(index).len()).into();
        assert!(lengths[..4].iter().all(|length| *length == lengths[0]));
        let url = Url::parse("https://s.example/c/b.zip?se=2026-01-01T00%3A00%3A00Z&sig=a%2Bb%3D").unwrap();
        assert_eq!(with(&url, "comp=block"), "se=2026-01-01T00%3A00%3A00Z&sig=a%2Bb%3D&comp=block");
        assert_eq!(encoded("a+/="), "a%2B%2F%3D");
    }
}
