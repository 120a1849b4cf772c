//! Words for outcomes, counts and places, the same wherever a run is told.

use std::fmt::Write as _;

use crate::finding::{Counts, Finding, Level};
use crate::id::Sha256;
use crate::record::artifact::{ArtifactRecord, ArtifactState, Uploaded};
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

/// What became of an artifact, where that is not plain success.
#[must_use]
pub fn artifact(artifact: &ArtifactRecord) -> String {
    let mut words = Vec::new();
    match artifact.state {
        ArtifactState::Kept => {}
        ArtifactState::Empty => words.push("no files".to_owned()),
        ArtifactState::Skipped | ArtifactState::Refused => words.push(artifact.state.as_str().to_owned()),
    }
    words.extend(artifact.reason.clone());
    if artifact.left_out_count > 0 {
        words.push(format!("{} left out", artifact.left_out_count));
    }
    let why = artifact.delivery.reason.as_deref().unwrap_or("nobody knows why");
    if artifact.state == ArtifactState::Kept {
        match artifact.delivery.state {
            Uploaded::None | Uploaded::Delivered => {}
            Uploaded::Pending => words.push("not uploaded yet".to_owned()),
            Uploaded::Staged => words.push("left for a later step of the job".to_owned()),
            Uploaded::Failed => words.push(format!("not delivered: {why}")),
        }
    }
    words.join("; ")
}

/// The digest that an artifact is known by: that of its archive, or else of its list of files.
#[must_use]
pub const fn digest(artifact: &ArtifactRecord) -> Option<Sha256> {
    match artifact.sha256 {
        Some(archive) => Some(archive),
        None => artifact.manifest_sha256,
    }
}

/// A size as people say it: `512 bytes`, `1.5 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| bytes >> shift > 0) {
        // Tenths are enough, and all of it is arithmetic that cannot overflow.
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
    }
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

    #[test]
    fn sizes_are_said_in_the_largest_unit_that_is_whole() {
        let said = [0, 1, 1023, 1024, 1536, (1 << 20) - 1, 1 << 20, u64::MAX].map(size);
        assert_eq!(
            said,
            [
                "0 bytes",
                "1 byte",
                "1023 bytes",
                "1.0 KiB",
                "1.5 KiB",
                "1023.9 KiB",
                "1.0 MiB",
                "17179869183.9 GiB"
            ]
        );
    }
}
