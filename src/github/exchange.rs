//! One call to the API under the one policy: limits are waited out by everybody, writes go one after the other, and
//! nothing lasts beyond its deadline.
//!
//! It must not know how a token is come by.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::clock::Timestamp;
use crate::github::client::{ClientError, Request};
use crate::github::decision::{Attempt, Decision, Repeat, Wait, after_answer, after_error};
use crate::github::host::Host;
use crate::github::refusal::{Purpose, Refusal, message};
use crate::http::error::HttpError;
use crate::http::{Answer, Call, Http};
use crate::redact::Registry;
use crate::redact::secret::Secret;

/// The version of the API that every server still in service speaks.
const VERSION: &str = "2022-11-28";

/// Time between two writes while the server is under pressure.
const PACE: Duration = Duration::from_secs(1);

/// Calls left in this hour below which writes are paced.
const FEW_LEFT: u64 = 100;

/// The way to one server.
#[derive(Debug)]
pub(super) struct Exchange {
    http: Http,
    pub(super) host: Host,
    pub(super) registry: Registry,
    pub(super) now: fn() -> Timestamp,
    /// Held by whoever writes.
    writing: tokio::sync::Mutex<()>,
    pressure: Mutex<Pressure>,
}

/// What is known of the server's limits.
#[derive(Debug, Default)]
struct Pressure {
    /// Whether a limit was met, or is near. It stays so until the end: limits last longer than a delivery.
    met: bool,
    /// Nobody calls before this.
    until: Option<Instant>,
    last_write: Option<Instant>,
}

impl Exchange {
    pub(super) fn new(host: Host, http: Http, registry: &Registry, now: fn() -> Timestamp) -> Self {
        Self {
            http,
            host,
            registry: registry.clone(),
            now,
            writing: tokio::sync::Mutex::default(),
            pressure: Mutex::default(),
        }
    }

    /// Whether limits press, so that what can be left out should be.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressure().met
    }

    /// Makes the call until it is decided.
    ///
    /// # Errors
    /// Fails as [`ClientError`] says.
    pub(super) async fn send(
        &self,
        request: &Request,
        bearer: Option<&Secret>,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Answer, ClientError> {
        let call = self.call(request, bearer)?;
        let _turn = if request.is_write() {
            let turn = timeout_at(deadline, self.writing.lock()).await;
            Some(turn.map_err(|_| ClientError::DeadlineExceeded { waiting_for: None })?)
        } else {
            None
        };
        let mut calls = 0;
        loop {
            self.wait(request, deadline).await?;
            calls += 1;
            let attempt = Attempt { calls, chance: chance() };
            let Ok(result) = timeout_at(deadline, self.http.send(call.clone())).await else {
                return Err(match request.repeat {
                    Repeat::Never => {
                        ClientError::Ambiguous { cause: "the time was up before it answered".to_owned() }
                    }
                    Repeat::Free => ClientError::DeadlineExceeded { waiting_for: None },
                });
            };
            let decision = match &result {
                Ok(answer) => after_answer(answer, request.repeat, attempt, (self.now)()),
                Err(error) => after_error(error, request.repeat, attempt),
            };
            self.note(request, &result, decision);
            match decision {
                Decision::Again(wait, Wait::Fault) => {
                    let at = Instant::now() + wait;
                    if at >= deadline {
                        return Err(given_up(result, purpose));
                    }
                    sleep_until(at).await;
                }
                // The next round waits, as everybody does.
                Decision::Again(..) => {}
                Decision::Done => return result.map_err(|source| ClientError::Unreachable { source }),
                Decision::Ambiguous => return Err(ClientError::Ambiguous { cause: cause(&result) }),
                Decision::Refused => return Err(refused(result, purpose)),
                Decision::GivenUp => return Err(given_up(result, purpose)),
            }
        }
    }

    fn call(&self, request: &Request, bearer: Option<&Secret>) -> Result<Call, ClientError> {
        let body = request.body.clone().map(|mut body| {
            // Whoever composed the body has taken secrets out already, where lengths count; nothing gets past this place.
            self.registry.json(&mut body);
            body.to_string().into_bytes()
        });
        Ok(Call {
            method: request.method,
            url: self.host.endpoint(&request.target)?,
            headers: vec![
                ("accept", "application/vnd.github+json".to_owned()),
                ("x-github-api-version", VERSION.to_owned()),
            ],
            bearer: bearer.cloned(),
            body,
        })
    }

    /// Waits until limits allow the call.
    async fn wait(&self, request: &Request, deadline: Instant) -> Result<(), ClientError> {
        let (limit, pace) = {
            let pressure = self.pressure();
            let pace =
                pressure.last_write.filter(|_| pressure.met && request.is_write()).map(|last| last + PACE);
            (pressure.until, pace)
        };
        let waiting_for = limit.map(|_| Wait::Limit);
        let Some(until) = limit.max(pace) else { return Ok(()) };
        if until >= deadline {
            return Err(ClientError::DeadlineExceeded { waiting_for });
        }
        sleep_until(until).await;
        Ok(())
    }

    /// Learns from an answer.
    fn note(&self, request: &Request, result: &Result<Answer, HttpError>, decision: Decision) {
        let mut pressure = self.pressure();
        let now = Instant::now();
        if request.is_write() {
            pressure.last_write = Some(now);
        }
        match decision {
            Decision::Again(wait, Wait::Limit | Wait::Secondary) => {
                pressure.met = true;
                pressure.until = pressure.until.max(Some(now + wait));
            }
            Decision::Done => {
                let left = result.as_ref().ok().and_then(|answer| answer.header("x-ratelimit-remaining"));
                if left.and_then(|text| text.trim().parse::<u64>().ok()).is_some_and(|left| left < FEW_LEFT) {
                    pressure.met = true;
                }
            }
            Decision::Again(_, Wait::Fault) | Decision::Refused | Decision::Ambiguous | Decision::GivenUp => {
            }
        }
    }

    fn pressure(&self) -> MutexGuard<'_, Pressure> {
        self.pressure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to say when the server said no.
fn refused(result: Result<Answer, HttpError>, purpose: Purpose) -> ClientError {
    match result {
        Err(source) => ClientError::Unreachable { source },
        Ok(answer) => ClientError::Refused(Refusal::of(&answer, purpose)),
    }
}

/// What to say when enough was tried.
fn given_up(result: Result<Answer, HttpError>, purpose: Purpose) -> ClientError {
    match result {
        Err(source) => ClientError::Unreachable { source },
        Ok(answer) => {
            ClientError::Unavailable { status: answer.status, said: Refusal::of(&answer, purpose).said }
        }
    }
}

fn cause(result: &Result<Answer, HttpError>) -> String {
    match result {
        Ok(answer) => {
            let said = message(&answer.body);
            let said = said.lines().next().unwrap_or_default().chars().take(120).collect::<String>();
            format!("the server answered with status {} ({said})", answer.status)
        }
        Err(error) => crate::http::error::chain(error),
    }
}

/// A number from 0 to 1. The standard library's random seed is good enough to keep clients apart.
fn chance() -> f64 {
    let seed = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(seed >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
