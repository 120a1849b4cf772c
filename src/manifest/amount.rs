//! Sizes and times as people write them: `2GiB`, `90s`. Knows no limits: what is too much is for the field to say.

use std::time::Duration;

/// Splits `10m` into 10 and `m`.
pub(crate) fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    // More digits than a number of 64 bits has are still a number, only too great a one.
    (!digits.is_empty()).then(|| (digits.parse().unwrap_or(u64::MAX), unit.trim_start()))
}

/// Bytes of one `unit`, where it is a unit of size.
pub(crate) fn bytes_of(unit: &str) -> Option<u64> {
    Some(match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    })
}

/// Milliseconds of one `unit`, where it is a unit of time.
pub(crate) fn milliseconds_of(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    })
}

/// The number of bytes that `text` says, such as `512MiB`.
///
/// # Errors
/// Says how a size is written.
pub fn size(text: &str) -> Result<u64, String> {
    let read = split(text).and_then(|(count, unit)| count.checked_mul(bytes_of(unit)?));
    read.filter(|&bytes| bytes > 0).ok_or_else(|| "write a size such as 512MiB or 2GiB".to_owned())
}

/// The time that `text` says, such as `90s`.
///
/// # Errors
/// Says how a time is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    let read = split(text).and_then(|(count, unit)| count.checked_mul(milliseconds_of(unit)?));
    let read = read.filter(|&milliseconds| milliseconds > 0).map(Duration::from_millis);
    read.ok_or_else(|| "write a time such as 500ms, 90s or 10m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_part_of_an_amount() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("1024"), Ok(1024));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "x", "5q", "-1MiB", "99999999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0s", "5", "1d", "-1s", "99999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
