//! JUnit's XML, in the dialects of the test tools and linters that write it.
//!
//! Owns the format's elements. There is no standard; what is read here is what Ant and Maven Surefire began and the
//! others extended: suites inside suites, failures of a suite itself, repeated runs, and places as attributes.

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use crate::finding::Level;
use crate::parse::options::Options;
use crate::parse::output::{self, Output};
use crate::parse::test_case::{self, Failure, MAX_TEXT, TestCase, is_script};
use crate::parse::xml::{self, Tag, Token};
use crate::parse::{Item, ParseError};

/// Tool of a finding when the manifest names none.
pub(super) const TOOL: &str = "junit";

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
    file: Option<String>,
    /// What the names of its rules begin with, of a linter.
    package: Option<String>,
}

/// A test case that is open.
struct Case {
    depth: usize,
    test: TestCase,
    /// How an attempt failed that was followed by one that passed.
    flaky: Option<Failure>,
}

/// A failure that is open.
struct Open {
    depth: usize,
    kind: Kind,
    failure: Failure,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What the test came to.
    Final,
    /// An attempt of a test that passed later.
    Flaky,
}

/// What is open while a report is read.
#[derive(Default)]
pub(super) struct Report {
    suites: Vec<Suite>,
    case: Option<Case>,
    open: Option<Open>,
    /// Depth of an element whose text belongs to nothing that is read.
    aside: Option<usize>,
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
            Token::Start(tag) if self.aside.is_none() => return self.start(depth, &tag, out),
            Token::Start(_) => {}
            Token::End => self.end(depth, out),
            Token::Text(text) => {
                if let (Some(open), None) = (&mut self.open, self.aside) {
                    text.append(&mut open.failure.details, MAX_TEXT);
                }
            }
        }
        Ok(true)
    }

    fn start(&mut self, depth: usize, tag: &Tag<'_>, out: &mut Output<'_>) -> Result<bool, ParseError> {
        Ok(match tag.name() {
            "testsuites" | "testsuite" => self.suite(depth, tag),
            name if depth == 1 => return Err(xml::wrong_root("a JUnit report", name)),
            "testcase" => self.test_case(depth, tag, out),
            "failure" => self.failure(depth, Kind::Final, "failure", tag),
            "error" => self.failure(depth, Kind::Final, "error", tag),
            "flakyFailure" => self.failure(depth, Kind::Flaky, "flakyFailure", tag),
            "flakyError" => self.failure(depth, Kind::Flaky, "flakyError", tag),
            "skipped" | "ignored" | "disabled" => {
                if let Some(case) = &mut self.case {
                    case.test.skipped = true;
                }
                self.aside = Some(depth);
                true
            }
            // A later attempt of a failed test says the same again; output and properties are no findings. The stack of
            // a flaky failure is an element of its own.
            "stackTrace" if self.open.is_some() => true,
            _ => {
                self.aside = Some(depth);
                true
            }
        })
    }

    fn suite(&mut self, depth: usize, tag: &Tag<'_>) -> bool {
        let mut suite = Suite { depth, ..Suite::default() };
        let whole = tag.attributes(|name, value| match name {
            "name" => suite.name = value.into_owned(),
            "file" | "filepath" => suite.file = Some(value.into_owned()),
            "package" => suite.package = Some(value.into_owned()),
            _ => {}
        });
        if suite.file.is_none() {
            suite.file = self.suites.last().and_then(|outer| outer.file.clone());
        }
        self.suites.push(suite);
        whole
    }

    fn test_case(&mut self, depth: usize, tag: &Tag<'_>, out: &mut Output<'_>) -> bool {
        self.give_case(out);
        let mut test = TestCase::default();
        let mut status = Cow::Borrowed("");
        let whole = tag.attributes(|name, value| match name {
            "name" => test.name = value.into_owned(),
            "classname" | "class" if test.suite.is_empty() => test.suite = value.into_owned(),
            "file" | "filepath" => test.file = Some(value.into_owned()),
            "line" | "lineno" => test.line = output::number(&value),
            "column" => test.column = output::number(&value),
            "time" => test.duration = test_case::seconds(&value),
            "duration" => {
                test.duration =
                    test.duration.or_else(|| value.trim().parse().ok().map(Duration::from_millis));
            }
            "status" | "result" => status = value,
            _ => {}
        });
        // GoogleTest and CTest say so instead of an element.
        test.skipped = ["notrun", "skipped", "disabled", "suppressed"]
            .iter()
            .any(|word| status.eq_ignore_ascii_case(word));
        let suite = self.suites.last();
        if test.suite.is_empty() {
            suite.map_or("", |suite| suite.name.as_str()).clone_into(&mut test.suite);
        }
        if let Some(suite) = suite.filter(|suite| suite.is_file(&test.suite)) {
            // A linter: the suite is a file, and the tests' names are rules.
            test.file = test.file.or_else(|| Some(suite.name.clone()));
            let rule = suite.package.as_deref().and_then(|package| test.name.strip_prefix(package));
            test.rule = rule.and_then(|rule| rule.strip_prefix('.')).map(str::to_owned);
        }
        self.case = Some(Case { depth, test, flaky: None });
        whole
    }

    fn failure(&mut self, depth: usize, kind: Kind, word: &'static str, tag: &Tag<'_>) -> bool {
        let mut failure = Failure { word, ..Failure::default() };
        let mut kind_of = Cow::Borrowed("");
        let mut test = self.case.as_mut().map(|case| &mut case.test);
        let whole = tag.attributes(|name, value| match (name, &mut test) {
            ("message", _) => failure.message = value.into_owned(),
            ("type", _) => kind_of = value,
            ("file", Some(test)) if test.file.is_none() => test.file = Some(value.into_owned()),
            ("line", Some(test)) if test.line.is_none() => test.line = output::number(&value),
            _ => {}
        });
        if failure.message.trim().is_empty() {
            failure.message = kind_of.into_owned();
        }
        self.open = Some(Open { depth, kind, failure });
        whole
    }

    fn end(&mut self, depth: usize, out: &mut Output<'_>) {
        if self.aside.is_some_and(|aside| depth <= aside) {
            self.aside = None;
        }
        if let Some(open) = self.open.take_if(|open| open.depth == depth) {
            self.failed(open, out);
        }
        if self.case.as_ref().is_some_and(|case| case.depth == depth) {
            self.give_case(out);
        }
        if self.suites.last().is_some_and(|suite| suite.depth == depth) {
            self.suites.pop();
        }
    }

    /// Keeps a failure with its test. One outside of any is the suite's own.
    fn failed(&mut self, open: Open, out: &mut Output<'_>) {
        let Some(case) = &mut self.case else {
            let suite = self.suites.last();
            let name = suite.map(|suite| suite.name.clone()).unwrap_or_default();
            let file = suite.and_then(|suite| suite.file.clone());
            let of_suite = TestCase { name, file, ..TestCase::default() };
            let level = test_case::level(open.failure.word, out.options);
            let finding = of_suite.finding(level, &open.failure, out);
            out.give(Item::Finding(Box::new(finding)));
            return;
        };
        let known = match open.kind {
            Kind::Final => &mut case.test.failure,
            Kind::Flaky => &mut case.flaky,
        };
        match known {
            Some(first) => first.add(&open.failure),
            None => *known = Some(open.failure),
        }
    }

    fn give_case(&mut self, out: &mut Output<'_>) {
        let Some(Case { mut test, flaky, .. }) = self.case.take() else { return };
        if let Some(failure) = &test.failure {
            let suite = self.suites.last();
            let script = suite.filter(|suite| is_script(&suite.name)).map(|suite| &suite.name);
            let of_suite = || suite.and_then(|suite| suite.file.as_ref()).or(script).cloned();
            test.file = test.file.or_else(of_suite);
            if let (None, Some((line, column, _))) = (test.line, test_case::linter_place(&failure.details)) {
                (test.line, test.column) = (Some(line), Some(column));
            }
        }
        if let (Some(flaky), None) = (flaky, &test.failure) {
            // Passing at last is passing, but nobody should have to guess that it took several attempts.
            let mapped = out.options.map.contains_key(flaky.word);
            let level = if mapped { test_case::level(flaky.word, out.options) } else { Level::Notice };
            let mut finding = test.finding(level, &flaky, out);
            finding.message = format!("passed after a failed attempt: {}", finding.message);
            out.give(Item::Finding(Box::new(finding)));
        }
        test.give(out);
    }
}

impl Suite {
    /// Whether the suite is a file and `class` names the same without its extension, as linters write it.
    fn is_file(&self, class: &str) -> bool {
        self.package.is_some()
            && self.name.rsplit_once('.').is_some_and(|(stem, extension)| {
                (stem == class || self.name == class)
                    && !extension.is_empty()
                    && !extension.contains(['/', '\\'])
            })
    }
}
