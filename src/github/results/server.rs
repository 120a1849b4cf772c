//! The older service, of GitHub Enterprise Server: every file of an artifact is sent by itself, in pieces that follow one
//! another, and the size of all ends it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::Digest as _;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::github::results::error::{ResultsError, said};
use crate::github::results::retry::{self, STALL, Tries};
use crate::github::results::{PIECE, Wanted, crc64};
use crate::http::put::Put;
use crate::http::{Answer, Call, Http, Method};
use crate::redact::secret::Secret;

/// The version of its protocol.
const VERSION: &str = "6.0-preview";

/// Files that are on their way at a time.
const FILES_AT_ONCE: usize = 2;

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its path in the artifact.
    pub path: String,
    /// Where it is.
    pub file: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// The service.
#[derive(Debug)]
pub struct Server {
    http: Arc<Http>,
    token: Secret,
    /// Where artifacts of the run are created.
    artifacts: Url,
    /// Most days that the repository keeps anything.
    longest: Option<u32>,
}

impl Server {
    pub(super) fn new(http: Http, token: Secret, base: Url, run: &str, longest: Option<u32>) -> Self {
        let mut artifacts = base;
        let path = artifacts.path().trim_end_matches('/');
        let path = format!("{path}/_apis/pipelines/workflows/{run}/artifacts");
        artifacts.set_path(&path);
        artifacts.set_query(Some(&format!("api-version={VERSION}")));
        Self { http: Arc::new(http), token, artifacts, longest }
    }

    /// Uploads `items`. `sent` is told how many bytes have arrived.
    ///
    /// # Errors
    /// Fails as [`ResultsError`] says. What was sent by then stays where it is, and is not shown as finished.
    pub async fn upload(
        &self,
        wanted: &Wanted,
        items: Vec<Item>,
        sent: Arc<AtomicU64>,
        deadline: Instant,
    ) -> Result<(), ResultsError> {
        let container = self.create(wanted, deadline).await?;
        let total: u64 = items.iter().map(|item| item.size).sum();
        let mut under_way = JoinSet::new();
        let mut items = items.into_iter();
        loop {
            let item = if under_way.len() < FILES_AT_ONCE { items.next() } else { None };
            let Some(item) = item else {
                let Some(done) = under_way.join_next().await else { break };
                done.unwrap_or_else(|_| Err(ResultsError::Unexpected("a task broke down".to_owned())))?;
                continue;
            };
            let mut url = container.clone();
            url.query_pairs_mut().append_pair("itemPath", &format!("{}/{}", wanted.name, item.path));
            let (http, token, sent) = (Arc::clone(&self.http), self.token.clone(), Arc::clone(&sent));
            under_way.spawn(async move { file(&http, &token, url, item, &sent, deadline).await });
        }
        self.finish(&wanted.name, total, deadline).await
    }

    async fn create(&self, wanted: &Wanted, deadline: Instant) -> Result<Url, ResultsError> {
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "fileContainerResourceUrl")]
            container: String,
        }
        let days = wanted.retention_days.map(|days| self.longest.map_or(days, |most| days.min(most)));
        let mut body = json!({"Type": "actions_storage", "Name": wanted.name});
        if let Some(days) = days {
            body["RetentionDays"] = days.into();
        }
        let answer = self.call(Method::Post, self.artifacts.clone(), &body, deadline).await?;
        let created: Created = serde_json::from_slice(&answer.body)
            .map_err(|error| ResultsError::Unexpected(error.to_string()))?;
        let unusable = || ResultsError::Unexpected("the address for the files is not usable".to_owned());
        let url = Url::parse(&created.container).map_err(|_| unusable())?;
        // The token goes along with every piece, so that no other server may get them.
        if url.origin() == self.artifacts.origin() { Ok(url) } else { Err(unusable()) }
    }

    async fn finish(&self, name: &str, total: u64, deadline: Instant) -> Result<(), ResultsError> {
        let mut url = self.artifacts.clone();
        url.query_pairs_mut().append_pair("artifactName", name);
        // A second time says the same, so that a lost answer does no harm.
        self.call(Method::Patch, url, &json!({"Size": total}), deadline).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        url: Url,
        body: &serde_json::Value,
        deadline: Instant,
    ) -> Result<Answer, ResultsError> {
        let call = Call {
            method,
            url,
            headers: vec![("accept", format!("application/json;api-version={VERSION}"))],
            bearer: Some(self.token.clone()),
            body: Some(body.to_string().into_bytes()),
        };
        let mut tries = Tries::until(deadline);
        loop {
            let result = timeout_at(deadline, self.http.send(call.clone())).await;
            let result = result.map_err(|_| ResultsError::TimeUp)?;
            if let Ok(answer) = &result
                && answer.is_success()
            {
                return result.map_err(ResultsError::Unreachable);
            }
            if !tries.again(&result).await {
                return Err(match result {
                    Ok(answer) => refusal(&answer),
                    Err(error) => ResultsError::Unreachable(error),
                });
            }
        }
    }
}

/// Sends one file, piece after piece.
async fn file(
    http: &Http,
    token: &Secret,
    url: Url,
    item: Item,
    sent: &AtomicU64,
    deadline: Instant,
) -> Result<(), ResultsError> {
    let unreadable = |_: io::Error| ResultsError::NoArchive;
    let source =
        File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&item.file);
    let source = Arc::new(source.map_err(unreadable)?);
    let mut at = 0;
    loop {
        let length = usize::try_from(item.size - at).unwrap_or(usize::MAX).min(PIECE);
        let reader = Arc::clone(&source);
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            reader.read_exact_at(&mut piece, at).map(|()| piece)
        });
        let piece = read.await.map_err(|_| ResultsError::NoArchive)?.map_err(unreadable)?;
        let put = put(token, &url, piece, at, item.size);
        retry::put(http, put, deadline, refusal).await?;
        sent.fetch_add(length as u64, Ordering::Relaxed);
        at += length as u64;
        if at >= item.size {
            return Ok(());
        }
    }
}

/// The request for a piece that begins at `at` of a file of `size` bytes.
fn put(token: &Secret, url: &Url, piece: Vec<u8>, at: u64, size: u64) -> Put {
    // An empty file ends before it begins; GitHub's own client says so, too.
    let end = i128::from(at) + piece.len() as i128 - 1;
    let headers = vec![
        ("accept", format!("application/json;api-version={VERSION}")),
        ("content-type", "application/octet-stream".to_owned()),
        ("content-range", format!("bytes {at}-{end}/{size}")),
        ("x-actions-results-crc64", BASE64_STANDARD.encode(crc64::of(&piece).to_le_bytes())),
        ("x-actions-results-md5", BASE64_STANDARD.encode(md5::Md5::digest(&piece))),
    ];
    Put { url: url.clone(), headers, bearer: Some(token.clone()), body: piece.into(), patience: STALL }
}

fn refusal(answer: &Answer) -> ResultsError {
    let (status, said) = (answer.status, said(&answer.body));
    match status {
        409 => ResultsError::Exists,
        401 => ResultsError::Refused { status, said },
        403 => ResultsError::Quota(format!("or the server has none (status 403): {said}")),
        500.. | 429 => ResultsError::Unavailable { status, said },
        _ => ResultsError::Rejected { status, said },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Registry;

    #[test]
    fn a_piece_says_where_it_belongs_and_what_it_holds() {
        let token = Secret::new("a-token-of-a-job", &Registry::new());
        let url = Url::parse("https://h/c?itemPath=a%2Fb").unwrap();
        let said = |piece: &[u8], at, size| {
            let put = put(&token, &url, piece.to_vec(), at, size);
            put.headers[2..]
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        insta::assert_snapshot!([said(b"hello", 8, 20), said(b"", 0, 0)].join("\n"), @r"
        content-range: bytes 8-12/20
        x-actions-results-crc64: V0JSBnCFdzM=
        x-actions-results-md5: XUFAKrxLKna5cZ2REBfFkg==
        content-range: bytes 0--1/0
        x-actions-results-crc64: AAAAAAAAAAA=
        x-actions-results-md5: 1B2M2Y8AsgTpgAmY7PhCfg==
        ");
    }
}
