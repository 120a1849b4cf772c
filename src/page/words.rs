//! Words for outcomes, counts and places, the same wherever a run is told.

use std::fmt::Write as _;

use crate::finding::{Counts, Finding, Level};
use crate::record::{Outcome, Skip, StepRecord};

/// How a step ended, where that is not plain success.
#[must_use]
pub fn outcome(step: &StepRecord) -> Option<String> {
    let reason = step.reason.clone();
    let word = match step.outcome {
        Outcome::Success => return None,
        Outcome::Failure => reason.unwrap_or_else(|| "failed".to_owned()),
        Outcome::TimedOut => reason.unwrap_or_else(|| "timed out".to_owned()),
        Outcome::Cancelled => format!("cancelled: {}", reason.unwrap_or_default()),
        Outcome::SetupFailed => format!("could not be started: {}", reason.unwrap_or_default()),
        Outcome::Skipped => match (step.skip, reason) {
            (Some(Skip::Condition), _) | (None, None) => "skipped: its `if` was false".to_owned(),
            (Some(Skip::NoChangedFiles), _) => "skipped: none of its files has changed".to_owned(),
            (_, Some(reason)) => format!("skipped: {reason}"),
            (Some(Skip::NeedFailed), None) => "skipped: a step that it needs did not succeed".to_owned(),
            (Some(Skip::RunEnded), None) => "skipped: the run had ended".to_owned(),
        },
    };
    let word = if step.continue_on_error && step.outcome != Outcome::Skipped {
        format!("{word} (does not count)")
    } else {
        word
    };
    Some(word)
}

/// Counts in words: `2 failures, 1 warning`.
#[must_use]
pub fn counted(counts: &Counts) -> String {
    let words = [Level::Failure, Level::Warning, Level::Notice].into_iter().filter_map(|level| {
        let count = counts.of(level);
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {}{plural}", level.as_str()))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Where a finding points: `path:line:column`.
#[must_use]
pub fn place(finding: &Finding) -> String {
    let mut place = finding.path.clone().unwrap_or_default();
    if let Some(line) = finding.start_line {
        let _ = write!(place, ":{line}");
        if let Some(column) = finding.start_column {
            let _ = write!(place, ":{column}");
        }
    }
    place
}

/// Cuts `text` to at most `most` bytes between two characters, and says so.
pub fn cut(text: &mut String, most: usize) {
    const MARK: &str = "…";
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(MARK.len())));
        text.push_str(MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "ää".repeat(4);
        cut(&mut text, 6);
        assert_eq!(text, "ä…");
    }
}
