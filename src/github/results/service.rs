//! The results service of github.com and `*.ghe.com`: an artifact is announced, its archive written to a storage beside it,
//! and finished with its digest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::clock::Timestamp;
use crate::github::host::is_loopback;
use crate::github::results::access::BackendIds;
use crate::github::results::error::{ResultsError, said};
use crate::github::results::retry::{Tries, may_pass};
use crate::github::results::wire::{
    Create, Created, Delete, Finalize, Finalized, Ids, Known, List, Listed, PATH, Trouble, VERSION,
};
use crate::github::results::{AT_ONCE, Receipt, Stream, Wanted, Whole, blob};
use crate::http::error::{HttpError, Sent};
use crate::http::{Answer, Call, Http, Method};
use crate::id::Sha256;
use crate::redact::Registry;
use crate::redact::secret::Secret;

/// Most blocks of a blob: the storage's own limit.
const MAX_BLOCKS: u32 = 50_000;

/// The service.
#[derive(Debug)]
pub struct Service {
    http: Arc<Http>,
    token: Secret,
    base: Url,
    ids: BackendIds,
    /// Most days that the repository keeps anything.
    longest: Option<u32>,
    registry: Registry,
}

/// How a call came out.
struct Called {
    result: Result<Answer, HttpError>,
    /// Whether an earlier try may have been carried out.
    in_doubt: bool,
}

impl Service {
    pub(super) fn new(
        http: Http,
        token: Secret,
        mut base: Url,
        ids: BackendIds,
        longest: Option<u32>,
        registry: &Registry,
    ) -> Self {
        // Only the origin counts, as for GitHub's own client.
        base.set_path("/");
        base.set_query(None);
        base.set_fragment(None);
        Self { http: Arc::new(http), token, base, ids, longest, registry: registry.clone() }
    }

    /// Uploads what `stream` brings. `sent` is told how many bytes have arrived; `last` is called with the whole before it
    /// becomes visible to others.
    ///
    /// # Errors
    /// Fails as [`ResultsError`] says. What was begun then is never visible: the service shows finished artifacts only.
    pub async fn upload(
        &self,
        wanted: &Wanted,
        stream: Stream,
        sent: Arc<AtomicU64>,
        last: impl FnOnce(Whole) -> Result<(), ResultsError>,
        deadline: Instant,
    ) -> Result<Receipt, ResultsError> {
        if wanted.overwrite {
            self.delete(&wanted.name, deadline).await?;
        }
        let target = self.create(wanted, deadline).await?;
        let whole = timeout_at(deadline, self.send(&target, wanted, stream, sent, deadline))
            .await
            .unwrap_or(Err(ResultsError::TimeUp))?;
        last(whole)?;
        let id = self.finalize(&wanted.name, whole, deadline).await?;
        Ok(Receipt { id, whole })
    }

    /// The id of a finished artifact with this name and digest, such as one whose last answer was lost.
    ///
    /// # Errors
    /// Fails when the service does not tell.
    pub async fn find(
        &self,
        name: &str,
        sha256: Sha256,
        deadline: Instant,
    ) -> Result<Option<String>, ResultsError> {
        let digest = format!("sha256:{sha256}");
        let found = self.list(name, deadline).await?;
        Ok(found
            .into_iter()
            .find(|known| known.digest.as_deref() == Some(&digest))
            .map(|known| known.database_id))
    }

    fn ids(&self) -> Ids<'_> {
        Ids { workflow_run_backend_id: &self.ids.run, workflow_job_run_backend_id: &self.ids.job }
    }

    async fn create(&self, wanted: &Wanted, deadline: Instant) -> Result<Url, ResultsError> {
        let days = wanted.retention_days.map(|days| self.longest.map_or(days, |most| days.min(most)));
        let body = Create {
            ids: self.ids(),
            name: &wanted.name,
            expires_at: days.map(|days| {
                let end = Timestamp::now().unix_seconds() + i64::from(days) * 24 * 60 * 60;
                Timestamp::from_unix_seconds(end).whole_seconds()
            }),
            version: VERSION,
            mime_type: wanted.media_type,
        };
        let called = self.call("CreateArtifact", &body, deadline).await?;
        let in_doubt = called.in_doubt;
        let created: Created = match read(called.result, deadline) {
            Err(ResultsError::Exists) if in_doubt && self.list(&wanted.name, deadline).await?.is_empty() => {
                // An earlier try has left it, and nothing that is finished is lost with it.
                self.delete(&wanted.name, deadline).await?;
                read(self.call("CreateArtifact", &body, deadline).await?.result, deadline)?
            }
            result => result?,
        };
        if !created.ok {
            return Err(ResultsError::Unexpected("it did not create the artifact".to_owned()));
        }
        self.target(&created.signed_upload_url)
    }

    /// The address to which the archive goes. It is a credential, and hidden before anything else is done with it.
    fn target(&self, text: &str) -> Result<Url, ResultsError> {
        let text = Secret::new(text, &self.registry);
        let unusable = || ResultsError::Unexpected("the address for the archive is not usable".to_owned());
        let url = Url::parse(text.expose()).map_err(|_| unusable())?;
        let raw = url.query().into_iter().flat_map(|query| query.split('&'));
        for signature in raw.filter_map(|pair| pair.strip_prefix("sig=")) {
            let _short_ones_are_none = self.registry.add(signature);
        }
        for (_, signature) in url.query_pairs().filter(|(name, _)| name == "sig") {
            let _short_ones_are_none = self.registry.add(&signature);
        }
        if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) {
            return Ok(url);
        }
        Err(unusable())
    }

    /// Sends the pieces as they come, some at a time, and says of which the blob is made.
    async fn send(
        &self,
        target: &Url,
        wanted: &Wanted,
        stream: Stream,
        sent: Arc<AtomicU64>,
        deadline: Instant,
    ) -> Result<Whole, ResultsError> {
        let Stream { mut pieces, whole } = stream;
        let (mut under_way, mut blocks) = (JoinSet::new(), 0);
        loop {
            let piece = next(&mut pieces, &mut under_way).await?;
            let Some(piece) = piece else { break };
            if blocks == MAX_BLOCKS {
                return Err(ResultsError::Unexpected(
                    "the archive is larger than the storage takes".to_owned(),
                ));
            }
            let (http, target, sent) = (Arc::clone(&self.http), target.clone(), Arc::clone(&sent));
            let index = blocks;
            blocks += 1;
            under_way.spawn(async move {
                let length = piece.len() as u64;
                blob::block(&http, &target, index, piece, deadline).await?;
                sent.fetch_add(length, Ordering::Relaxed);
                Ok(())
            });
        }
        while let Some(done) = under_way.join_next().await {
            ended(done)?;
        }
        let whole = whole.await.map_err(|_| ResultsError::NoArchive)?;
        blob::commit(&self.http, target, blocks, wanted.media_type, deadline).await?;
        Ok(whole)
    }

    async fn finalize(&self, name: &str, whole: Whole, deadline: Instant) -> Result<String, ResultsError> {
        let body = Finalize {
            ids: self.ids(),
            name,
            size: whole.bytes.to_string(),
            hash: format!("sha256:{}", whole.sha256),
        };
        let called = self.call("FinalizeArtifact", &body, deadline).await?;
        let in_doubt = called.in_doubt;
        match read::<Finalized>(called.result, deadline) {
            Ok(done) if done.ok && !done.artifact_id.is_empty() => Ok(done.artifact_id),
            Ok(_) => Err(ResultsError::Unexpected("it did not finish the artifact".to_owned())),
            // It may have been finished by a try whose answer was lost: its digest says whether it was ours.
            Err(error) if in_doubt => match self.find(name, whole.sha256, deadline).await {
                Ok(Some(id)) => Ok(id),
                Ok(None) | Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn list(&self, name: &str, deadline: Instant) -> Result<Vec<Known>, ResultsError> {
        let called =
            self.call("ListArtifacts", &List { ids: self.ids(), name_filter: name }, deadline).await?;
        let listed: Listed = read(called.result, deadline)?;
        Ok(listed.artifacts.into_iter().filter(|known| known.name == name).collect())
    }

    async fn delete(&self, name: &str, deadline: Instant) -> Result<(), ResultsError> {
        let called = self.call("DeleteArtifact", &Delete { ids: self.ids(), name }, deadline).await?;
        match &called.result {
            // What is not there need not be deleted.
            Ok(answer) if answer.status == 404 => Ok(()),
            _ => read::<serde_json::Value>(called.result, deadline).map(drop),
        }
    }

    /// Calls a method until it is decided, or enough was tried.
    async fn call(
        &self,
        method: &str,
        body: &impl Serialize,
        deadline: Instant,
    ) -> Result<Called, ResultsError> {
        let unexpected = |error: String| ResultsError::Unexpected(error);
        let url =
            self.base.join(&format!("{PATH}{method}")).map_err(|error| unexpected(error.to_string()))?;
        let call = Call {
            method: Method::Post,
            url,
            headers: vec![("accept", "application/json".to_owned())],
            bearer: Some(self.token.clone()),
            body: Some(serde_json::to_vec(body).map_err(|error| unexpected(error.to_string()))?),
        };
        let (mut tries, mut in_doubt) = (Tries::until(deadline), false);
        loop {
            let result = timeout_at(deadline, self.http.send(call.clone())).await;
            let result = result.map_err(|_| ResultsError::TimeUp)?;
            in_doubt |= match &result {
                Ok(answer) => may_pass(answer.status),
                Err(error) => error.sent() == Sent::Perhaps,
            };
            if !tries.again(&result).await {
                return Ok(Called { result, in_doubt });
            }
        }
    }
}

/// The next piece, as soon as there is room for one more under way. A piece that failed ends everything.
async fn next(
    pieces: &mut mpsc::Receiver<Bytes>,
    under_way: &mut JoinSet<Result<(), ResultsError>>,
) -> Result<Option<Bytes>, ResultsError> {
    while under_way.len() >= AT_ONCE {
        if let Some(done) = under_way.join_next().await {
            ended(done)?;
        }
    }
    loop {
        tokio::select! {
            piece = pieces.recv() => return Ok(piece),
            Some(done) = under_way.join_next(), if !under_way.is_empty() => ended(done)?,
        }
    }
}

fn ended(done: Result<Result<(), ResultsError>, tokio::task::JoinError>) -> Result<(), ResultsError> {
    done.unwrap_or_else(|_| Err(ResultsError::Unexpected("a task broke down".to_owned())))
}

/// What an answer says.
fn read<T: DeserializeOwned>(
    result: Result<Answer, HttpError>,
    deadline: Instant,
) -> Result<T, ResultsError> {
    let answer = match result {
        Ok(answer) => answer,
        Err(_) if Instant::now() >= deadline => return Err(ResultsError::TimeUp),
        Err(error) => return Err(ResultsError::Unreachable(error)),
    };
    if answer.is_success() {
        return serde_json::from_slice(&answer.body)
            .map_err(|error| ResultsError::Unexpected(error.to_string()));
    }
    let trouble = serde_json::from_slice::<Trouble>(&answer.body).map(|trouble| trouble.msg);
    let trouble = trouble.ok().filter(|text| !text.is_empty());
    let words = trouble.map_or_else(|| said(&answer.body), |text| said(text.as_bytes()));
    Err(refusal(answer.status, words))
}

fn refusal(status: u16, said: String) -> ResultsError {
    match status {
        _ if said.contains("insufficient usage") => ResultsError::Quota(said),
        409 => ResultsError::Exists,
        401 | 403 => ResultsError::Refused { status, said },
        status if may_pass(status) || status >= 500 => ResultsError::Unavailable { status, said },
        status => ResultsError::Rejected { status, said },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_said_in_plain_words_with_what_to_do() {
        let lines: Vec<String> = [
            (409, "an artifact with this name already exists on the workflow run"),
            (403, "insufficient usage to create artifact"),
            (401, "token expired"),
            (400, "bad name"),
            (503, "down"),
        ]
        .map(|(status, text)| {
            let error = refusal(status, text.to_owned());
            format!("{error} -> {}", error.remedy())
        })
        .into();
        insta::assert_snapshot!(lines.join("\n"), @r"
        the workflow run has an artifact of this name already -> give it another name, such as one with the leg of the matrix in it, or write `overwrite: true`
        the account's storage for artifacts is used up: insufficient usage to create artifact -> delete artifacts, shorten `retention-days`, or ask whoever pays for the account; GitHub counts anew every 6 to 12 hours
        the job's token is not accepted any more (status 401): token expired -> upload inside of the job: its token ends with it
        the artifact service refuses it with status 400: bad name -> the service may have changed: let a later step upload the files with --artifacts stage, and please report it
        the artifact service is not available (status 503): down -> try again later; if it lasts, look at the server's status page
        ");
    }
}
