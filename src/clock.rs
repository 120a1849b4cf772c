//! Wall time: the one place that asks for it, and how a moment is written.
//!
//! Durations are measured with [`std::time::Instant`] where they are needed; this is only about dates.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// A moment in UTC, with milliseconds where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The present moment by the host's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// The moment that lies `seconds` after the Unix epoch; the epoch itself when that is out of range.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(jiff::Timestamp::from_second(seconds).unwrap_or_default())
    }

    /// The day in UTC, `YYYY-MM-DD`.
    #[must_use]
    pub fn day(self) -> String {
        self.0.strftime("%Y-%m-%d").to_string()
    }

    /// Time that has passed since `earlier`; zero when the clock was set back.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.duration_since(earlier.0).try_into().unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The present moment by the clock that files are dated with.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn file_time() -> SystemTime {
    SystemTime::now()
}

/// Writes a duration as a person reads it: `850ms`, `12.3s`, `4m 05s`, `2h 03m`.
#[must_use]
pub fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_unix_seconds(1_700_000_000).to_string(), "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn durations_read_well_at_every_size() {
        let texts: Vec<String> = [850, 12_345, 245_000, 7_380_000]
            .map(|ms| readable(Duration::from_millis(ms)))
            .into_iter()
            .collect();
        assert_eq!(texts, ["850ms", "12.3s", "4m 05s", "2h 03m"]);
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_time() {
        let (early, late) = (Timestamp::from_unix_seconds(10), Timestamp::from_unix_seconds(20));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_secs(10));
    }
}
