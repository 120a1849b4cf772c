//! One test of a report, whatever the report's format: what it says of itself, and the finding that it is when it
//! failed.
//!
//! Owns what a failed test looks like to people. Where in a format these things stand is not known here.

use std::borrow::Cow;
use std::mem;
use std::time::Duration;

use crate::finding::test::{Test, TestOutcome};
use crate::finding::{Finding, Level};
use crate::parse::Item;
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::output::{self, Output, plain};
use crate::parse::stack;
use crate::parse::text;

/// Most text of one failure that is looked at, in bytes. What is shown is cut shorter.
pub(super) const MAX_TEXT: usize = 2 * MAX_MESSAGE;

/// Longest name of a test or a suite that is kept, in bytes.
const MAX_NAME: usize = 4 << 10;

/// A test while it is read.
#[derive(Debug, Default)]
pub(super) struct TestCase {
    /// What it belongs to.
    pub(super) suite: String,
    /// Its name.
    pub(super) name: String,
    /// The rule of its finding, where that is something else than its name.
    pub(super) rule: Option<String>,
    /// Where the report says that it stands.
    pub(super) file: Option<String>,
    /// The file of its suite, if that is one, which may be only a part of the truth.
    pub(super) container: Option<String>,
    /// The line in `file`.
    pub(super) line: Option<u32>,
    /// The column in `line`.
    pub(super) column: Option<u32>,
    /// How long it took.
    pub(super) duration: Option<Duration>,
    /// It did not run.
    pub(super) skipped: bool,
    /// How it failed.
    pub(super) failure: Option<Failure>,
}

/// How a test failed.
#[derive(Debug, Default)]
pub(super) struct Failure {
    /// The report's word for the kind of failure, for the manifest's `map`.
    pub(super) word: &'static str,
    /// The report's own word for it, such as the class of an exception.
    pub(super) kind: String,
    /// What the report calls the message.
    pub(super) message: String,
    /// What it tells besides: most often a stack.
    pub(super) details: String,
}

impl Failure {
    /// The message, and the details unless they begin with it.
    fn text(&self) -> String {
        let (message, details) = (plain(&self.message), plain(&self.details));
        // The first line of a stack is often indented, which means something there.
        let (message, details) = (message.trim(), details.trim_matches('\n').trim_end());
        if message.is_empty() && details.is_empty() {
            return plain(&self.kind).trim().to_owned();
        }
        if message.is_empty() || details.trim_start().starts_with(message) {
            return details.to_owned();
        }
        if linter_place(details).is_some_and(|place| place.message.contains(message)) {
            return message.to_owned();
        }
        if details.is_empty() { message.to_owned() } else { format!("{message}\n\n{details}") }
    }

    /// Appends another failure of the same test.
    pub(super) fn add(&mut self, other: &Self) {
        if self.details.len() < MAX_TEXT {
            for text in ["\n\n", &other.text()] {
                self.details.push_str(text);
            }
        }
    }
}

impl TestCase {
    /// Hands over the finding, when the test failed, and the test, whose suite and name it thereby loses.
    pub(super) fn give(&mut self, out: &mut Output<'_>) {
        let outcome = match (&self.failure, self.skipped) {
            (Some(_), _) => TestOutcome::Failed,
            (None, true) => TestOutcome::Skipped,
            (None, false) => TestOutcome::Passed,
        };
        if let Some(failure) = self.failure.take() {
            let level = level(failure.word, out.options);
            let finding = self.finding(level, &failure, out);
            out.give(Item::Finding(Box::new(finding)));
        }
        let name = |name: String| match plain(&name) {
            Cow::Borrowed(same) if same.len() <= MAX_NAME => name,
            plain => short(plain),
        };
        let (suite, own) = (mem::take(&mut self.suite), mem::take(&mut self.name));
        let test = Test { suite: name(suite), name: name(own), outcome, duration: self.duration };
        out.give(Item::Test(test));
    }

    /// The finding of `failure`, at the place that the report names, else at the one that the stack shows.
    pub(super) fn finding(&self, level: Level, failure: &Failure, out: &Output<'_>) -> Finding {
        let text = failure.text();
        let named = out.location(self.file.as_deref(), self.line, self.column);
        let location = match (&named.path, named.start_line) {
            (Some(_), Some(_)) => named,
            (path, _) => {
                let around = [self.container.as_deref().unwrap_or(""), &self.suite];
                let around = around.into_iter().find(|name| is_file(name));
                let around = out.location(around, None, None);
                let in_file = |path| {
                    stack::place(&text, &stack::Wanted { path, class: &self.suite }, &out.options.paths)
                };
                match path {
                    Some(path) => in_file(Some(path)).unwrap_or(named),
                    None => around
                        .path
                        .as_deref()
                        .and_then(|path| in_file(Some(path)))
                        .or_else(|| in_file(None))
                        .unwrap_or(around),
                }
            }
        };
        let title = output::title(&self.title());
        let fallback = format!("{} failed", title.as_deref().unwrap_or("a test"));
        let mut finding = out.finding(level, &text, &fallback).at(location);
        finding.title = title;
        finding.rule = output::title(self.rule.as_deref().unwrap_or(&self.name));
        finding
    }

    /// The test's name, with its suite before it unless the name begins with that.
    fn title(&self) -> String {
        match (self.suite.trim(), self.name.trim()) {
            ("", "") => "a test without a name".to_owned(),
            ("", only) | (only, "") => only.to_owned(),
            (suite, name) if name.starts_with(suite) => name.to_owned(),
            (suite, name) if suite.len() > MAX_SUITE => {
                format!("{name} ({})", text::cut(suite.to_owned(), MAX_SUITE))
            }
            (suite, name) => format!("{suite}: {name}"),
        }
    }
}

/// Longest suite that stands before a name in a title.
const MAX_SUITE: usize = 256;

/// A name of bounded length.
pub(super) fn short(name: Cow<'_, str>) -> String {
    text::cut(name.into_owned(), MAX_NAME)
}

/// The level of a failure: what the manifest maps its `word` to, else what it says for tools that give no level.
pub(super) fn level(word: &str, options: &Options) -> Level {
    let mapped = options.map.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
    mapped.map(|(_, level)| *level).or(options.level).unwrap_or(Level::Failure)
}

/// A duration in decimal seconds. Some tools write `1,234.5`, and some a unit.
pub(super) fn seconds(written: &str) -> Option<Duration> {
    let written = written.trim().trim_end_matches('s');
    if let Some(plain) = plain_seconds(written) {
        return Some(plain);
    }
    let seconds: f64 = match written.parse() {
        Ok(seconds) => seconds,
        Err(_) => written.replace(',', "").parse().ok()?,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// A duration of digits with a point between them and no more of them than a nanosecond needs, as nearly all are.
fn plain_seconds(written: &str) -> Option<Duration> {
    let (whole, fraction) = written.split_once('.')?;
    let number = |digits: &str| {
        let digit = |number: Option<u32>, byte: u8| {
            number?
                .checked_mul(10)?
                .checked_add(u32::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?))
        };
        digits.bytes().fold((!digits.is_empty()).then_some(0), digit)
    };
    let scale = 10_u32.pow(u32::try_from(9_usize.checked_sub(fraction.len())?).ok()?);
    Some(Duration::new(number(whole)?.into(), number(fraction)? * scale))
}

/// Whether the name of a suite or a class is a file's, as Pester, Playwright and others have it.
pub(super) fn is_file(name: &str) -> bool {
    // `Some.t` is rather a class.
    let bytes = name.as_bytes();
    stack::is_source(name)
        && (name.contains(['/', '\\']) || bytes.get(bytes.len().saturating_sub(2)) != Some(&b'.'))
}

/// The place that linters write before a message.
pub(super) struct LinterPlace<'t> {
    pub(super) line: u32,
    pub(super) column: Option<u32>,
    message: &'t str,
}

/// Reads `line 3, col 7, …`, with or without a column.
pub(super) fn linter_place(details: &str) -> Option<LinterPlace<'_>> {
    let (line, message) = details.trim_start().strip_prefix("line ")?.split_once(", ")?;
    let line = line.parse().ok()?;
    let column = || {
        let (column, message) = message.strip_prefix("col ")?.split_once(", ")?;
        Some((column.parse().ok()?, message))
    };
    Some(match column() {
        Some((column, message)) => LinterPlace { line, column: Some(column), message },
        None => LinterPlace { line, column: None, message },
    })
}
