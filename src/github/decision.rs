//! What to do after a call: the one policy for limits and faults. Pure.
//!
//! GitHub bans clients that go on while they are limited, and a write whose answer was lost may have been done. So a limit
//! is always waited out, and a call is repeated only when it cannot have had an effect or may have it twice.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::http::Answer;
use crate::http::error::{HttpError, Sent};

/// Whether a call may be made again although it may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// A second time does no harm.
    Free,
    /// Only the caller can find out whether it was done.
    Never,
}

/// Calls that are made in all, the first included.
const MOST_CALLS: u32 = 6;

/// Calls that are made while a secondary limit lasts, the first included.
const MOST_LIMITED: u32 = 4;

/// Longest wait before the first repetition after a fault; it doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(500);

/// Longest wait after a fault.
const MAX_BACKOFF: Duration = Duration::from_secs(20);

/// Shortest wait under a secondary limit of which nothing more is known.
const SECONDARY: Duration = Duration::from_mins(1);

/// Beyond this nobody waits, and arithmetic ends.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// Why a call is to be made again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The server named a time, or its limit for the hour is used up.
    Limit,
    /// Too much was asked in a short time.
    Secondary,
    /// The server or the way to it had a fault.
    Fault,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The answer is the result.
    Done,
    /// The server said no, and waiting does not help.
    Refused,
    /// The same call again, after a while.
    Again(Duration, Wait),
    /// It may have been done, and only the caller can find out.
    Ambiguous,
    /// It certainly was not done, and enough was tried.
    GivenUp,
}

/// How often a call was made, and some chance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// Calls made so far, at least one.
    pub(super) calls: u32,
    /// A number from 0 to 1, so that not all clients come back at the same time.
    pub(super) chance: f64,
}

/// Decides after `answer`.
pub(super) fn after_answer(answer: &Answer, repeat: Repeat, attempt: Attempt, now: Timestamp) -> Decision {
    match answer.status {
        200..300 | 304 => Decision::Done,
        403 | 429 => limited(answer, attempt, now),
        // A gateway says this of calls that the server behind it has carried out, too.
        408 | 500.. => fault(Sent::Perhaps, repeat, attempt, named_wait(answer, now)),
        _ => Decision::Refused,
    }
}

/// Decides after a call without an answer.
pub(super) fn after_error(error: &HttpError, repeat: Repeat, attempt: Attempt) -> Decision {
    if error.may_pass() {
        return fault(error.sent(), repeat, attempt, None);
    }
    match (error.sent(), repeat) {
        (Sent::Perhaps, Repeat::Never) => Decision::Ambiguous,
        (Sent::Perhaps, Repeat::Free) | (Sent::No, _) => Decision::GivenUp,
    }
}

fn limited(answer: &Answer, attempt: Attempt, now: Timestamp) -> Decision {
    let again = |wait: Duration, why, most: u32| {
        if attempt.calls < most { Decision::Again(wait, why) } else { Decision::GivenUp }
    };
    if let Some(wait) = named_wait(answer, now) {
        return again(wait, Wait::Limit, MOST_CALLS);
    }
    if answer.header("x-ratelimit-remaining").map(str::trim) == Some("0") {
        // By the server's own clock, which need not agree with this one. One second more, for what rounding took.
        let now = answer.header("date").and_then(Timestamp::of_http_date).unwrap_or(now);
        let reset = answer.header("x-ratelimit-reset").and_then(|text| text.trim().parse::<i64>().ok());
        let left =
            reset.map_or(60, |reset| reset.saturating_sub(now.unix_seconds()).saturating_add(1).max(1));
        return again(Duration::from_secs(left.unsigned_abs()).min(MAX_WAIT), Wait::Limit, MOST_CALLS);
    }
    let said = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    if answer.status == 429 || said.contains("secondary rate limit") || said.contains("abuse detection") {
        let doubled = SECONDARY * 2_u32.saturating_pow(attempt.calls.saturating_sub(1).min(8));
        return again(doubled + jitter(SECONDARY / 4, attempt.chance), Wait::Secondary, MOST_LIMITED);
    }
    Decision::Refused
}

/// What `retry-after` says: seconds, or a date.
fn named_wait(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    let seconds = text.parse::<u64>().map(Duration::from_secs).ok();
    let wait = seconds.or_else(|| {
        let now = answer.header("date").and_then(Timestamp::of_http_date).unwrap_or(now);
        Some(Timestamp::of_http_date(text)?.since(now))
    });
    wait.map(|wait| wait.min(MAX_WAIT))
}

fn fault(sent: Sent, repeat: Repeat, attempt: Attempt, named: Option<Duration>) -> Decision {
    match (sent, repeat) {
        (Sent::Perhaps, Repeat::Never) => Decision::Ambiguous,
        (Sent::Perhaps, Repeat::Free) | (Sent::No, _) if attempt.calls >= MOST_CALLS => Decision::GivenUp,
        (Sent::Perhaps, Repeat::Free) | (Sent::No, _) => {
            let most =
                MAX_BACKOFF.min(BACKOFF * 2_u32.saturating_pow(attempt.calls.saturating_sub(1).min(16)));
            Decision::Again(named.unwrap_or_else(|| jitter(most, attempt.chance)), Wait::Fault)
        }
    }
}

/// A part of `most`.
fn jitter(most: Duration, chance: f64) -> Duration {
    most.mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
