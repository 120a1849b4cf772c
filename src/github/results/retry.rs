//! When a call to the service is made again, and pieces that are sent until they are taken.
//!
//! As many tries as GitHub's own client makes, and less time between them: the tokens of a job do not live long.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::github::results::error::ResultsError;
use crate::http::error::HttpError;
use crate::http::put::Put;
use crate::http::{Answer, Http};

/// Tries in all.
pub(super) const TRIES: u32 = 5;

/// Shortest wait before the second try.
const FIRST: Duration = Duration::from_secs(1);

/// Longest wait before any.
const LONGEST: Duration = Duration::from_mins(1);

/// How long one piece may take. GitHub's own client calls an upload stalled after as long.
pub(super) const STALL: Duration = Duration::from_mins(5);

/// Whether the same call may fare better a moment later.
pub(super) const fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Tries that are made of one call.
#[derive(Debug)]
pub(super) struct Tries {
    made: u32,
    deadline: Instant,
}

impl Tries {
    /// None so far, of those that are over by `deadline`.
    pub(super) const fn until(deadline: Instant) -> Self {
        Self { made: 0, deadline }
    }

    /// Whether another try is made after `result`; if so, it is time for it when this returns.
    pub(super) async fn again(&mut self, result: &Result<Answer, HttpError>) -> bool {
        let may_pass = match result {
            Ok(answer) => may_pass(answer.status),
            Err(error) => error.may_pass(),
        };
        self.made += 1;
        if !may_pass || self.made >= TRIES {
            return false;
        }
        let named = result.as_ref().ok().and_then(|answer| answer.header("retry-after"));
        let named = named.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let at = Instant::now() + named.unwrap_or_else(|| wait(self.made, chance())).min(LONGEST);
        if at >= self.deadline {
            return false;
        }
        sleep_until(at).await;
        true
    }
}

/// Sends a piece, which may arrive more than once, until it is taken.
///
/// # Errors
/// Fails when it is refused, which `refusal` puts into words, or when the time for it is up.
pub(super) async fn put(
    http: &Http,
    mut put: Put,
    deadline: Instant,
    refusal: impl Fn(&Answer) -> ResultsError,
) -> Result<(), ResultsError> {
    let mut tries = Tries::until(deadline);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ResultsError::TimeUp);
        }
        put.patience = STALL.min(left);
        let result = http.put(put.clone()).await;
        if let Ok(answer) = &result
            && answer.is_success()
        {
            return Ok(());
        }
        if !tries.again(&result).await {
            return Err(match result {
                Ok(answer) => refusal(&answer),
                Err(_) if Instant::now() >= deadline => ResultsError::TimeUp,
                Err(error) => ResultsError::Unreachable(error),
            });
        }
    }
}

/// How long to wait after so many tries.
fn wait(made: u32, chance: f64) -> Duration {
    let least = FIRST * 2_u32.saturating_pow(made.saturating_sub(1).min(16));
    least.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 2.0).min(LONGEST)
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let seed = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(seed >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_spread() {
        let least: Vec<f64> = (1..=4).map(|made| wait(made, 0.0).as_secs_f64()).collect();
        assert_eq!(least, [1.0, 2.0, 4.0, 8.0]);
        assert_eq!(wait(1, 1.0), Duration::from_millis(1500));
        assert_eq!(wait(40, 1.0), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_five_tries_and_none_beyond_the_deadline() {
        let answer = |status| Ok(Answer::of(status, &[], ""));
        let mut tries = Tries::until(Instant::now() + Duration::from_hours(1));
        let mut made = 1;
        while tries.again(&answer(503)).await {
            made += 1;
        }
        assert_eq!(made, TRIES);
        for status in [400, 403, 404, 409, 501] {
            assert!(!Tries::until(Instant::now() + LONGEST).again(&answer(status)).await, "{status}");
        }
        assert!(!Tries::until(Instant::now() + Duration::from_millis(500)).again(&answer(503)).await);
        let asked = Ok(Answer::of(429, &[("retry-after", "7")], ""));
        let before = Instant::now();
        assert!(Tries::until(before + LONGEST).again(&asked).await);
        assert_eq!(before.elapsed().as_secs(), 7);
    }
}
