//! NUnit's XML: version 3 (`test-run`) and version 2 (`test-results`).
//!
//! Owns the formats' elements and words. A suite that fails only because a test in it failed says nothing new; one that
//! failed by itself, in its set-up or tear-down, is a finding of its own.

use std::borrow::Cow;
use std::io::Read;

use crate::finding::Level;
use crate::parse::options::Options;
use crate::parse::output::Output;
use crate::parse::test_case::{self, Failure, MAX_TEXT, TestCase, is_script};
use crate::parse::xml::{self, Tag, Token};
use crate::parse::{Item, ParseError};

/// Tool of a finding when the manifest names none.
const TOOL: &str = "nunit";

/// Reads a report.
pub(super) fn read(
    input: impl Read,
    options: &Options,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut out = Output::new(TOOL, options, sink);
    let mut report = Report::default();
    xml::walk(input, &mut out, |depth, token, out| report.token(depth, token, out))
}

/// A suite that is open.
#[derive(Default)]
struct Suite {
    depth: usize,
    name: String,
    site: Site,
    /// How it failed, unless that is told by its tests.
    failure: Option<Failure>,
}

/// Where a suite failed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Site {
    /// The report does not say.
    #[default]
    Unknown,
    /// In a test of it, or in a suite around it.
    Elsewhere,
    /// In the suite itself.
    Own,
}

/// A test case that is open.
struct Case {
    depth: usize,
    test: TestCase,
    outcome: Outcome,
    failure: Option<Failure>,
    /// Why it was not run, or what it warns of.
    reason: Failure,
}

/// What the attributes of a test case say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
    /// It passed with a warning, or it could not be run as it is written.
    Doubtful,
}

/// The text that is read now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Message,
    Stack,
}

/// What is open while a report is read.
#[derive(Default)]
pub(super) struct Report {
    suites: Vec<Suite>,
    case: Option<Case>,
    /// Depth of a `<failure>` or a `<reason>` that is open, and which of them it is.
    told: Option<(usize, Told)>,
    slot: Option<(usize, Slot)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Failure,
    Reason,
}

impl Report {
    /// Takes the next token of a document. False when a tag could not be read whole.
    pub(super) fn token(
        &mut self,
        depth: usize,
        token: Token<'_>,
        out: &mut Output<'_>,
    ) -> Result<bool, ParseError> {
        match token {
            Token::Start(tag) => return self.start(depth, &tag),
            Token::Text(text) => {
                if let Some(to) = self.text() {
                    text.append(to, MAX_TEXT);
                }
            }
            Token::End => self.end(depth, out),
        }
        Ok(true)
    }

    fn start(&mut self, depth: usize, tag: &Tag<'_>) -> Result<bool, ParseError> {
        Ok(match tag.name() {
            "test-run" | "test-results" => true,
            name if depth == 1 => return Err(xml::wrong_root("an NUnit report", name)),
            "test-suite" => self.suite(depth, tag),
            "test-case" => self.test_case(depth, tag),
            name @ ("failure" | "reason") if self.told.is_none() => {
                let told = if name == "failure" { Told::Failure } else { Told::Reason };
                self.told = Some((depth, told));
                match (&mut self.case, self.suites.last_mut(), told) {
                    (Some(case), _, Told::Failure) => case.failure = Some(failed()),
                    (None, Some(suite), Told::Failure) => suite.failure = Some(failed()),
                    _ => {}
                }
                true
            }
            "message" if self.is_in_told(depth) => {
                self.slot = Some((depth, Slot::Message));
                true
            }
            "stack-trace" if self.is_in_told(depth) => {
                self.slot = Some((depth, Slot::Stack));
                true
            }
            _ => true,
        })
    }

    fn is_in_told(&self, depth: usize) -> bool {
        self.told.is_some_and(|(told, _)| told + 1 == depth)
    }

    fn suite(&mut self, depth: usize, tag: &Tag<'_>) -> bool {
        let mut suite = Suite { depth, ..Suite::default() };
        let mut full_name = None;
        let whole = tag.attributes(|name, value| match name {
            "name" => suite.name = value.into_owned(),
            "fullname" => full_name = Some(value.into_owned()),
            "site" => {
                let own = ["SetUp", "TearDown", "Test"].contains(&&*value);
                suite.site = if own { Site::Own } else { Site::Elsewhere };
            }
            _ => {}
        });
        suite.name = full_name.unwrap_or(suite.name);
        self.suites.push(suite);
        whole
    }

    fn test_case(&mut self, depth: usize, tag: &Tag<'_>) -> bool {
        let mut test = TestCase::default();
        let (mut name, mut full_name) = (None, None);
        let [mut result, mut label, mut executed, mut success] = [const { Cow::Borrowed("") }; 4];
        let whole = tag.attributes(|key, value| match key {
            "name" => name = Some(value),
            "fullname" => full_name = Some(value),
            "classname" => test.suite = value.into_owned(),
            "result" => result = value,
            "label" => label = value,
            "executed" => executed = value,
            "success" => success = value,
            "time" | "duration" => test.duration = test_case::seconds(&value),
            _ => {}
        });
        test.name = full_name.or(name).map(Cow::into_owned).unwrap_or_default();
        if test.suite.is_empty() {
            self.suites.last().map_or("", |suite| suite.name.as_str()).clone_into(&mut test.suite);
        }
        // Pester's suites are scripts.
        let script = self.suites.iter().rev().find(|suite| is_script(&suite.name));
        test.file = script.map(|suite| suite.name.clone());
        let outcome = outcome(&result, &label, &executed, &success);
        self.case = Some(Case { depth, test, outcome, failure: None, reason: Failure::default() });
        whole
    }

    /// Where text goes now.
    fn text(&mut self) -> Option<&mut String> {
        let (_, slot) = self.slot?;
        let (_, told) = self.told?;
        let failure = match (told, &mut self.case, self.suites.last_mut()) {
            (Told::Failure, Some(case), _) => case.failure.as_mut(),
            (Told::Failure, None, Some(suite)) => suite.failure.as_mut(),
            (Told::Reason, Some(case), _) => Some(&mut case.reason),
            (_, None, _) => None,
        }?;
        Some(match slot {
            Slot::Message => &mut failure.message,
            Slot::Stack => &mut failure.details,
        })
    }

    fn end(&mut self, depth: usize, out: &mut Output<'_>) {
        if self.slot.is_some_and(|(slot, _)| slot == depth) {
            self.slot = None;
        }
        if self.told.is_some_and(|(told, _)| told == depth) {
            self.told = None;
        }
        if let Some(case) = self.case.take_if(|case| case.depth == depth) {
            case.give(out);
        }
        if let Some(suite) = self.suites.pop_if(|suite| suite.depth == depth) {
            suite.give(out);
        }
    }
}

fn failed() -> Failure {
    Failure { word: "failure", ..Failure::default() }
}

/// The outcome that a test case's attributes mean. Reports of NUnit 2.2 have no `result`.
fn outcome(result: &str, label: &str, executed: &str, success: &str) -> Outcome {
    let invalid = label.eq_ignore_ascii_case("invalid");
    match result.to_ascii_lowercase().as_str() {
        "failed" | "failure" | "error" | "cancelled" => Outcome::Failed,
        "notrunnable" | "warning" => Outcome::Doubtful,
        "skipped" | "ignored" if invalid => Outcome::Doubtful,
        "skipped" | "ignored" | "inconclusive" | "notexecuted" => Outcome::Skipped,
        "" if executed.eq_ignore_ascii_case("false") => Outcome::Skipped,
        "" if success.eq_ignore_ascii_case("false") => Outcome::Failed,
        _ => Outcome::Passed,
    }
}

impl Case {
    fn give(mut self, out: &mut Output<'_>) {
        match (self.outcome, self.failure) {
            (Outcome::Failed, failure) => {
                let failure = failure.unwrap_or_else(failed);
                self.test.failure = Some(if failure.message.trim().is_empty() {
                    Failure { message: self.reason.message, ..failure }
                } else {
                    failure
                });
            }
            // A test that says that it passed and how it failed has failed.
            (Outcome::Passed, Some(failure)) => self.test.failure = Some(failure),
            (Outcome::Skipped, _) => self.test.skipped = true,
            (Outcome::Doubtful, failure) => {
                let word = "warning";
                let told = failure.unwrap_or(self.reason);
                let level = out.options.level(word).unwrap_or(Level::Warning);
                let finding = self.test.finding(level, &told, out);
                out.give(Item::Finding(Box::new(finding)));
                self.test.skipped = true;
            }
            (Outcome::Passed, None) => {}
        }
        self.test.give(out);
    }
}

impl Suite {
    fn give(self, out: &mut Output<'_>) {
        let Some(failure) = self.failure else { return };
        // NUnit 2, and 3 before it had a site.
        let of_child = || failure.message.to_ascii_lowercase().contains("child test");
        let own = match self.site {
            Site::Own => true,
            Site::Elsewhere => false,
            Site::Unknown => !of_child() && !failure.message.trim().is_empty(),
        };
        if own {
            let file = is_script(&self.name).then(|| self.name.clone());
            let of_suite = TestCase { name: self.name, file, ..TestCase::default() };
            let level = test_case::level(failure.word, out.options);
            let finding = of_suite.finding(level, &failure, out);
            out.give(Item::Finding(Box::new(finding)));
        }
    }
}
