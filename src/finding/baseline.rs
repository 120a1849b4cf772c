//! A baseline: findings that are known and do not count, in one file for every tool.
//!
//! The file is a JSON array with one entry a line, sorted, so that a change is one line of a diff and two branches that
//! both add entries merge by lines. A comma stands at the beginning of a line for the same reason.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::finding::Finding;

/// Version of the file's form, in its first element.
pub const SCHEMA: &str = "rungate.baseline/1";

/// Longest message that an entry keeps, in characters. It is for people; the fingerprint decides.
const MAX_MESSAGE: usize = 200;

/// One finding that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The path, when it has one.
    pub path: Option<String>,
    /// The tool.
    pub tool: String,
    /// Its rule.
    pub rule: Option<String>,
    /// What was wrong, cut.
    pub message: String,
    /// What decides whether a finding is this one.
    pub fingerprint: String,
}

/// The first element.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: String,
}

/// A file as it is written: a header, then entries. Read by hand, so that every error has its line and column.
struct File(Vec<Entry>);

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = File;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an array that begins with {{\"schema\":\"{SCHEMA}\"}}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<File, A::Error> {
                let header: Option<Header> = elements.next_element()?;
                if header.is_none_or(|header| header.schema != SCHEMA) {
                    return Err(A::Error::custom(format_args!("the schema is not {SCHEMA}")));
                }
                let mut entries = Vec::new();
                while let Some(entry) = elements.next_element()? {
                    entries.push(entry);
                }
                Ok(File(entries))
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

/// Why a text is no baseline.
#[derive(Debug, thiserror::Error)]
#[error("it is not a baseline: {0}")]
pub struct BaselineError(#[from] serde_json::Error);

/// Findings that are known.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    entries: Vec<Entry>,
    by_fingerprint: HashMap<String, usize>,
}

impl From<&Finding> for Entry {
    fn from(finding: &Finding) -> Self {
        Self {
            path: finding.path.clone(),
            tool: finding.tool.clone(),
            rule: finding.rule.clone(),
            message: finding.message.lines().next().unwrap_or_default().chars().take(MAX_MESSAGE).collect(),
            fingerprint: finding.fingerprint.clone(),
        }
    }
}

impl Entry {
    fn order(&self, other: &Self) -> Ordering {
        (&self.path, &self.tool, &self.rule, &self.fingerprint).cmp(&(
            &other.path,
            &other.tool,
            &other.rule,
            &other.fingerprint,
        ))
    }
}

impl Baseline {
    /// The baseline of `entries`, sorted and each once.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        entries.sort_by(Entry::order);
        let mut baseline = Self::default();
        for entry in entries {
            // Two branches that were merged may both have added it.
            if !baseline.by_fingerprint.contains_key(&entry.fingerprint) {
                baseline.by_fingerprint.insert(entry.fingerprint.clone(), baseline.entries.len());
                baseline.entries.push(entry);
            }
        }
        baseline
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// Says why it is none, with line and column where the JSON is wrong.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let File(entries) = serde_json::from_str(text)?;
        Ok(Self::of(entries))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Returns the writer's error.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "[\n{{\"schema\":\"{SCHEMA}\"}}")?;
        for entry in &self.entries {
            out.write_all(b",")?;
            serde_json::to_writer(&mut *out, entry)?;
            out.write_all(b"\n")?;
        }
        out.write_all(b"]\n")
    }

    /// Index of the entry that `finding` is, if it is known.
    #[must_use]
    pub fn find(&self, finding: &Finding) -> Option<usize> {
        self.by_fingerprint.get(&finding.fingerprint).copied()
    }

    /// The entries, in the file's order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Level, Location};

    fn entry(path: &str, fingerprint: &str) -> Entry {
        let place = Location { path: Some(path.to_owned()), ..Location::default() };
        let mut finding = Finding::new("ruff", Level::Warning, "unused\nimport").at(place);
        finding.rule = Some("F401".to_owned());
        finding.fingerprint = fingerprint.to_owned();
        Entry::from(&finding)
    }

    fn written(baseline: &Baseline) -> String {
        let mut out = Vec::new();
        baseline.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_file_has_one_entry_a_line_and_is_read_back() {
        let baseline = Baseline::of([entry("b.py", "2"), entry("a.py", "1")]);
        let text = written(&baseline);
        insta::assert_snapshot!(text, @r#"
        [
        {"schema":"rungate.baseline/1"}
        ,{"path":"a.py","tool":"ruff","rule":"F401","message":"unused","fingerprint":"1"}
        ,{"path":"b.py","tool":"ruff","rule":"F401","message":"unused","fingerprint":"2"}
        ]
        "#);
        assert_eq!(written(&Baseline::parse(&text).unwrap()), text);
        assert_eq!(
            written(&Baseline::parse(&written(&Baseline::default())).unwrap()),
            written(&Baseline::default())
        );
    }

    #[test]
    fn what_two_branches_added_merges_by_lines() {
        let text = written(&Baseline::of([entry("b.py", "2"), entry("a.py", "1")]));
        let mut lines: Vec<&str> = text.lines().collect();
        lines.insert(3, lines[2]);
        assert_eq!(written(&Baseline::parse(&lines.join("\n")).unwrap()), text);
    }

    #[test]
    fn something_else_is_refused_with_its_place() {
        for (text, reason) in [
            ("", "line 1 column 0"),
            ("[]", "the schema is not"),
            ("[{\"schema\":\"rungate.baseline/2\"}]", "the schema is not"),
            ("{}", "invalid type"),
            ("[{\"schema\":\"rungate.baseline/1\"}\n,{\"tool\":\"x\"}]", "line 2"),
            ("[{\"schema\":\"rungate.baseline/1\"}", "EOF"),
            ("<<<<<<< HEAD\n[]", "expected value"),
        ] {
            let error = Baseline::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
