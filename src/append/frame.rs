//! How a record stands in a file. Pure.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Longest record, in bytes. Nothing longer is written, so that whatever reads it back needs no more memory.
pub const MAX_RECORD: usize = 1 << 20;

/// Bytes of a digest that are kept. It guards against accidents; an attacker who can write to the file can write any.
const KEPT: usize = 8;

/// What stands before the record: `["`, the check in hexadecimal, `",`.
const HEAD: usize = 2 + 2 * KEPT + 2;

/// What stands behind it: `]` and the end of the line.
const TAIL: &[u8] = b"]\n";

/// The check of a line, and so of all lines up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check([u8; KEPT]);

impl Check {
    /// The check of the line that holds `record` and comes after the line of this one.
    #[must_use]
    pub fn next(self, record: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(self.0).chain_update(record).finalize();
        let mut kept = [0; KEPT];
        kept.copy_from_slice(&digest[..KEPT]);
        Self(kept)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut kept = [0; KEPT];
        for (byte, pair) in kept.iter_mut().zip(text.chunks_exact(2)) {
            // Capital letters are not ours.
            let digit = |at: u8| {
                char::from(at)
                    .to_digit(16)
                    .filter(|_| !at.is_ascii_uppercase())
                    .and_then(|it| it.try_into().ok())
            };
            let (high, low): (u8, u8) = (digit(pair[0])?, digit(pair[1])?);
            *byte = high << 4 | low;
        }
        Some(Self(kept))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why something cannot be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// It would be two lines.
    #[error("it has more than one line")]
    Lines,
    /// It is longer than [`MAX_RECORD`].
    #[error("it is longer than {MAX_RECORD} bytes")]
    Long,
}

/// Adds the line of `record`, which comes after the line of `before`, to `lines`.
///
/// # Errors
/// Fails when it cannot stand on one line.
pub fn encode(before: Check, record: &[u8], lines: &mut Vec<u8>) -> Result<Check, NoRecord> {
    if record.len() > MAX_RECORD {
        return Err(NoRecord::Long);
    }
    if record.contains(&b'\n') {
        return Err(NoRecord::Lines);
    }
    let check = before.next(record);
    lines.extend_from_slice(format!("[\"{check}\",").as_bytes());
    lines.extend_from_slice(record);
    lines.extend_from_slice(TAIL);
    Ok(check)
}

/// A line, its end included, as it says of itself: the check, and the record.
#[must_use]
pub fn decode(line: &[u8]) -> Option<(Check, &[u8])> {
    let (head, rest) = line.split_at_checked(HEAD)?;
    let record = rest.strip_suffix(TAIL)?;
    let check = Check::parse(head.strip_prefix(b"[\"")?.strip_suffix(b"\",")?)?;
    (!record.contains(&b'\n')).then_some((check, record))
}

/// Length of a line whose record has `record` bytes.
#[must_use]
pub const fn line_length(record: usize) -> usize {
    HEAD + record + TAIL.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_where_its_record_is() {
        let mut lines = Vec::new();
        let first = encode(Check::default(), br#"{"a":1}"#, &mut lines).unwrap();
        let second = encode(first, br#"{"a":1}"#, &mut lines).unwrap();
        assert_ne!(first, second, "the same record elsewhere is another line");
        let texts: Vec<&str> = std::str::from_utf8(&lines).unwrap().lines().collect();
        for (text, check) in texts.iter().zip([first, second]) {
            let line: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(
                (line[0].as_str().unwrap(), line[1]["a"].as_u64()),
                (check.to_string().as_str(), Some(1))
            );
            assert_eq!(text.len() + 1, line_length(7));
        }
    }

    #[test]
    fn what_was_written_is_read() {
        for record in [&b""[..], b"x", b"]", b"[\"0011223344556677\",]", &[0, 255, 13]] {
            let mut line = Vec::new();
            let check = encode(Check([7; KEPT]), record, &mut line).unwrap();
            assert_eq!(decode(&line), Some((check, record)));
        }
    }

    #[test]
    fn what_is_no_line_is_none() {
        let mut line = Vec::new();
        encode(Check::default(), b"abc", &mut line).unwrap();
        for end in 0..line.len() {
            assert_eq!(decode(&line[..end]), None, "{end}");
        }
        assert_eq!(decode(&vec![0; line.len()]), None);
        assert_eq!(decode(&line.to_ascii_uppercase()), None);
        assert_eq!(encode(Check::default(), b"a\nb", &mut line), Err(NoRecord::Lines));
        assert_eq!(encode(Check::default(), &vec![b'x'; MAX_RECORD + 1], &mut line), Err(NoRecord::Long));
    }
}
