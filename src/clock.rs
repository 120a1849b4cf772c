//! Wall time: the one place that asks for it, and how a moment is written.
//!
//! Durations are measured with [`std::time::Instant`] where they are needed; this is only about dates.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

    /// The moment without its fraction, `YYYY-MM-DDTHH:MM:SSZ`, as GitHub wants it.
    #[must_use]
    pub fn whole_seconds(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The day in UTC, `YYYY-MM-DD`.
    #[must_use]
    pub fn day(self) -> String {
        self.0.strftime("%Y-%m-%d").to_string()
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// The moment that an HTTP header such as `Date` names.
    #[must_use]
    pub fn of_http_date(text: &str) -> Option<Self> {
        jiff::fmt::rfc2822::parse(text.trim()).ok().map(|moment| Self(moment.timestamp()))
    }

    /// The moment that a text such as `2026-11-21T13:00:00Z` names.
    #[must_use]
    pub fn of_rfc3339(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self)
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

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
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
    fn moments_of_servers_are_understood() {
        let moment = Timestamp::from_unix_seconds(784_111_777);
        assert_eq!(Timestamp::of_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(moment));
        assert_eq!(Timestamp::of_rfc3339("1994-11-06T08:49:37Z"), Some(moment));
        assert_eq!(Timestamp::of_rfc3339("1994-11-06T09:49:37+01:00"), Some(moment));
        assert_eq!(Timestamp::of_http_date("yesterday"), None);
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
