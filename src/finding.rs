//! A finding: one thing that a tool said about the repository, in the words of GitHub's Checks API.
//!
//! Vocabulary only. Which tool said it in which format is `parse`'s business, and what follows from it is `gate`'s.

pub mod baseline;
pub mod test;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::id::Sha256;

/// Name of our fingerprints among the partial fingerprints of a SARIF result.
pub const FINGERPRINT: &str = "rungate/v1";

/// How bad a finding is. The order is from harmless to bad, so that `max` is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something to know.
    Notice,
    /// Something to look at.
    Warning,
    /// Something wrong. Manifests and most tools call it `error`.
    Failure,
}

impl Level {
    /// The Checks API's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// Where a finding points. Lines and columns count from 1; a column counts characters as the tool did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Path in the repository, or, for a place outside it, the tool's own text.
    pub path: Option<String>,
    /// First line.
    pub start_line: Option<u32>,
    /// Last line; absent when it is the first.
    pub end_line: Option<u32>,
    /// First column. Meaningful only when the finding is on one line.
    pub start_column: Option<u32>,
    /// Last column.
    pub end_column: Option<u32>,
}

/// One thing that a tool said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The tool, or `rungate` for what rungate itself has to say.
    pub tool: String,
    /// The tool's rule or code.
    pub rule: Option<String>,
    /// How bad it is.
    pub level: Level,
    /// What is wrong, in the tool's words.
    pub message: String,
    /// Path in the repository, or the tool's own text for a place outside it.
    pub path: Option<String>,
    /// First line, from 1.
    pub start_line: Option<u32>,
    /// Last line, from 1.
    pub end_line: Option<u32>,
    /// First column, from 1.
    pub start_column: Option<u32>,
    /// Last column, from 1.
    pub end_column: Option<u32>,
    /// A short heading.
    pub title: Option<String>,
    /// What stays the same when code around the finding moves; see [`Fingerprints`]. Until it is computed: the tool's own
    /// word for that, or empty.
    pub fingerprint: String,
    /// Key of the step that produced it; empty when it was parsed alone.
    pub step: String,
    /// Who else reported it in the same run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Reporter>,
    /// Whether the report's filter leaves it out of what is shown. It may still decide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filtered: bool,
}

/// Who reported a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reporter {
    /// The tool.
    pub tool: String,
    /// Key of the step.
    pub step: String,
}

impl Finding {
    /// A finding without a place.
    #[must_use]
    pub fn new(tool: impl Into<String>, level: Level, message: impl Into<String>) -> Self {
        Self {
            tool: tool.into(),
            rule: None,
            level,
            message: message.into(),
            path: None,
            start_line: None,
            end_line: None,
            start_column: None,
            end_column: None,
            title: None,
            fingerprint: String::new(),
            step: String::new(),
            also: Vec::new(),
            filtered: false,
        }
    }

    /// The same finding at `location`.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.path = location.path;
        self.start_line = location.start_line;
        self.end_line = location.end_line;
        self.start_column = location.start_column;
        self.end_column = location.end_column;
        self
    }
}

/// How many findings there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Findings of level `failure`.
    pub failure: u64,
    /// Findings of level `warning`.
    pub warning: u64,
    /// Findings of level `notice`.
    pub notice: u64,
}

impl Counts {
    /// Counts one more finding.
    pub const fn add(&mut self, level: Level) {
        match level {
            Level::Failure => self.failure += 1,
            Level::Warning => self.warning += 1,
            Level::Notice => self.notice += 1,
        }
    }

    /// Counts one less.
    pub const fn take(&mut self, level: Level) {
        match level {
            Level::Failure => self.failure = self.failure.saturating_sub(1),
            Level::Warning => self.warning = self.warning.saturating_sub(1),
            Level::Notice => self.notice = self.notice.saturating_sub(1),
        }
    }

    /// The number of findings of `level`.
    #[must_use]
    pub const fn of(&self, level: Level) -> u64 {
        match level {
            Level::Failure => self.failure,
            Level::Warning => self.warning,
            Level::Notice => self.notice,
        }
    }

    /// All findings together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.failure + self.warning + self.notice
    }
}

/// Gives findings their fingerprints: hash of tool, rule, path, source line without its white space, and how many
/// equal ones came before. A line number is not part of it, so code that moves does not make a finding new. Where the
/// tool itself says what stays the same (`partialFingerprints` of SARIF), that stands in for the line.
#[derive(Debug, Default)]
pub struct Fingerprints {
    /// By the beginning of a digest. No more of it, because nearly every look into a large map waits for memory.
    seen: HashMap<u64, u32>,
    /// What is hashed, kept so that not every finding needs memory of its own.
    bytes: Vec<u8>,
}

impl Fingerprints {
    /// Sets the fingerprint of `finding`. `source_line` is the text of the line it points at; without one the message
    /// stands in, because something must tell two findings of one file apart. What the tool itself gave as a
    /// fingerprint comes before both: it knows more about its findings than a line says.
    pub fn assign(&mut self, finding: &mut Finding, source_line: Option<&str>) {
        let (kind, text) = match source_line {
            _ if !finding.fingerprint.is_empty() => ("tool", finding.fingerprint.as_str()),
            Some(line) => ("line", line),
            None => ("message", finding.message.as_str()),
        };
        let parts = [
            finding.tool.as_str(),
            finding.rule.as_deref().unwrap_or(""),
            finding.path.as_deref().unwrap_or(""),
            kind,
        ];
        let bytes = &mut self.bytes;
        bytes.clear();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        push_squeezed(bytes, text);
        let occurrence = self.seen.entry(Sha256::of(bytes).beginning()).or_insert(0);
        *occurrence += 1;
        bytes.extend_from_slice(&occurrence.to_le_bytes());
        finding.fingerprint = format!("{:032x}", Sha256::of(bytes).half());
    }
}

/// Appends the length of `text` and `text` itself, with one space for all white space between two words.
fn push_squeezed(bytes: &mut Vec<u8>, text: &str) {
    let length = bytes.len();
    bytes.extend_from_slice(&[0; 8]);
    for (index, word) in text.split_whitespace().enumerate() {
        if index > 0 {
            bytes.push(b' ');
        }
        bytes.extend_from_slice(word.as_bytes());
    }
    let written = (bytes.len() - length - 8) as u64;
    bytes[length..length + 8].copy_from_slice(&written.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: u32) -> Finding {
        let place = Location { path: Some("a.py".into()), start_line: Some(line), ..Location::default() };
        Finding::new("ruff", Level::Failure, "unused import").at(place)
    }

    #[test]
    fn moved_code_keeps_its_fingerprint() {
        let (mut before, mut after) = (finding(3), finding(90));
        Fingerprints::default().assign(&mut before, Some("import os"));
        Fingerprints::default().assign(&mut after, Some("    import   os"));
        assert_eq!(before.fingerprint, after.fingerprint);
    }

    #[test]
    fn equal_lines_of_one_file_are_told_apart_by_their_order() {
        let (mut first, mut second) = (finding(3), finding(9));
        let mut fingerprints = Fingerprints::default();
        fingerprints.assign(&mut first, Some("import os"));
        fingerprints.assign(&mut second, Some("import os"));
        assert_ne!(first.fingerprint, second.fingerprint);
    }

    #[test]
    fn what_a_tool_says_of_sameness_wins_over_the_line() {
        let fingerprint = |line| {
            let mut finding = finding(3);
            finding.fingerprint = "primaryLocationLineHash:39fa2ee980eb94b0".to_owned();
            Fingerprints::default().assign(&mut finding, Some(line));
            finding.fingerprint
        };
        assert_eq!(fingerprint("import os"), fingerprint("import os  # changed"));
        assert_eq!(fingerprint("x").len(), 32);
    }

    #[test]
    fn parts_cannot_be_shifted_into_one_another() {
        let (mut one, mut two) = (finding(1), finding(1));
        one.tool = "ab".into();
        one.rule = Some("c".into());
        two.tool = "a".into();
        two.rule = Some("bc".into());
        Fingerprints::default().assign(&mut one, None);
        Fingerprints::default().assign(&mut two, None);
        assert_ne!(one.fingerprint, two.fingerprint);
    }
}
