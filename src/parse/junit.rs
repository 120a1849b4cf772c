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
use crate::parse::test_case::{self, Failure, MAX_TEXT, TestCase, short};
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
    let result = xml::walk(input, &mut out, |depth, token, out| report.token(depth, token, out));
    report.give_up(&mut out);
    result
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
#[derive(Default)]
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
            "name" => suite.name = short(value),
            "file" | "filepath" => suite.file = Some(short(value)),
            "package" => suite.package = Some(short(value)),
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
        // Filled where it stays: it is large, and there are many.
        let Case { test, .. } = self.case.insert(Case { depth, ..Case::default() });
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
        if let Some((suite, rule)) = suite.and_then(|suite| Some((suite, suite.rule(&test.name)?))) {
            test.rule = Some(rule.to_owned());
            if suite.is_file(&test.suite) {
                test.file.get_or_insert_with(|| suite.name.clone());
            }
        }
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
        failure.kind = kind_of.into_owned();
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
            let of_suite = TestCase { name, container: file, ..TestCase::default() };
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

    /// Hands over what is known of a test that failed and whose end never came.
    pub(super) fn give_up(&mut self, out: &mut Output<'_>) {
        if let Some(open) = self.open.take() {
            self.failed(open, out);
        }
        if self.case.as_ref().is_some_and(|case| case.test.failure.is_some()) {
            self.give_case(out);
        }
    }

    fn give_case(&mut self, out: &mut Output<'_>) {
        let Some(Case { test, flaky, .. }) = &mut self.case else { return };
        if let Some(failure) = &test.failure {
            let suite = self.suites.last();
            test.container = suite.map(|suite| suite.file.as_ref().unwrap_or(&suite.name).clone());
            if let (None, Some(place)) = (test.line, test_case::linter_place(&failure.details)) {
                (test.line, test.column) = (Some(place.line), place.column);
            }
        }
        if let (Some(flaky), None) = (flaky, &test.failure) {
            // Passing at last is passing, but nobody should have to guess that it took several attempts.
            let mapped = out.options.map.contains_key(flaky.word);
            let level = if mapped { test_case::level(flaky.word, out.options) } else { Level::Notice };
            let mut finding = test.finding(level, flaky, out);
            finding.message = format!("passed after a failed attempt: {}", finding.message);
            out.give(Item::Finding(Box::new(finding)));
        }
        test.give(out);
        self.case = None;
    }
}

impl Suite {
    /// The rule that a test's name is in a report of a linter: there, names begin with the suite's package.
    fn rule<'n>(&self, name: &'n str) -> Option<&'n str> {
        let package = self.package.as_deref().filter(|package| !package.is_empty())?;
        name.strip_prefix(package)?.strip_prefix('.')
    }

    /// Whether the suite is a file: then a linter's tests have its name as their class, perhaps without extension.
    fn is_file(&self, class: &str) -> bool {
        let stem = self.name.rsplit_once('.').filter(|(_, extension)| !extension.contains(['/', '\\']));
        self.name == class || stem.is_some_and(|(stem, _)| stem == class)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::model::Parser;
    use crate::parse::testing::{Slow, parse, repeated, shown};

    fn junit(text: &str) -> String {
        shown(Parser::Junit, text)
    }

    #[test]
    fn outcomes_of_surefire() {
        insta::assert_snapshot!(junit(r#"<testsuite name="S" file=".py"><properties><property name="a" value="<failure/>"/></properties>
            <testcase classname="a.B" name="passes" time="0.5"><system-out><![CDATA[<failure message="no"/>]]></system-out></testcase>
            <testcase classname="a.B" name="fails" time="1,234.5"><failure message="m" type="T">m
  at a.B.fails(B.java:7)</failure><rerunFailure message="again"><stackTrace>x</stackTrace></rerunFailure><system-err>noise</system-err></testcase>
            <testcase classname="a.B" name="errs"><error type="a.E"/></testcase>
            <testcase classname="a.B" name="flakes"><flakyFailure message="once"><stackTrace>at a.B.flakes(B.java:9)</stackTrace></flakyFailure></testcase>
            <testcase classname="a.B" name="skipped"><skipped message="why"/></testcase>
            <testcase name="disabled" status="notrun"/>
            <testcase name="both"><skipped/><failure message="one"/><failure message="two"/></testcase>
            <error message="the suite broke"/></testsuite>"#), @r#"
        Passed "a.B" "passes" 500ms
        failure a/B.java:7 [fails] <a.B: fails> "m\n  at a.B.fails(B.java:7)"
        Failed "a.B" "fails" 1234.5s
        failure - [errs] <a.B: errs> "a.E"
        Failed "a.B" "errs"
        notice a/B.java:9 [flakes] <a.B: flakes> "passed after a failed attempt: once\n\nat a.B.flakes(B.java:9)"
        Passed "a.B" "flakes"
        Skipped "a.B" "skipped"
        Skipped "S" "disabled"
        failure - [both] <S: both> "one\n\ntwo"
        Failed "S" "both"
        failure - [S] <S> "the suite broke"
        "#);
    }

    #[test]
    fn places_come_from_attributes_first() {
        insta::assert_snapshot!(junit(r#"<testsuites><testsuite name="x" file="spec/x_spec.rb">
            <testcase name="a" file="./a.py" line="0"><failure>a.py:9: AssertionError</failure></testcase>
            <testcase name="b" file="src\b.py" line="3"><failure>b.py:9: AssertionError</failure></testcase>
            <testcase name="c"><failure># ./spec/x_spec.rb:12:in `block'</failure></testcase>
            <testcase name="d" filepath="d.cc" lineno="4"><failure message="d.cc:5&#x0A;x"/></testcase>
            <testcase name="e"><failure file="e.swift" line="6" message="x"/></testcase></testsuite></testsuites>"#), @r##"
        failure a.py:9 [a] <x: a> "a.py:9: AssertionError"
        Failed "x" "a"
        failure src/b.py:3 [b] <x: b> "b.py:9: AssertionError"
        Failed "x" "b"
        failure spec/x_spec.rb:12 [c] <x: c> "# ./spec/x_spec.rb:12:in `block'"
        Failed "x" "c"
        failure d.cc:4 [d] <x: d> "d.cc:5\nx"
        Failed "x" "d"
        failure e.swift:6 [e] <x: e> "x"
        Failed "x" "e"
        "##);
    }

    #[test]
    fn linters_have_rules_and_files() {
        insta::assert_snapshot!(junit(r#"<testsuites><testsuite package="org.eslint" name="/r/a.js" errors="1">
            <testcase name="org.eslint.no-var" classname="/r/a"><failure message="Unexpected var."><![CDATA[line 1, col 10, Error - Unexpected var. (no-var)]]></failure></testcase></testsuite>
            <testsuite name="p/one.py" package="org.ruff"><testcase name="org.ruff.F401" classname="p/one" line="6" column="8">
            <failure message="unused">line 6, col 8, unused</failure></testcase></testsuite></testsuites>"#), @r#"
        failure /r/a.js:1:10 [no-var] </r/a: org.eslint.no-var> "Unexpected var."
        Failed "/r/a" "org.eslint.no-var"
        failure p/one.py:6:8 [F401] <p/one: org.ruff.F401> "unused"
        Failed "p/one" "org.ruff.F401"
        "#);
    }

    #[test]
    fn names_and_texts_are_made_fit_to_show() {
        insta::assert_snapshot!(junit("<testsuite name='s'><testcase name='a&#10;b' classname=' '><failure message='&#x1b;[31mred&#x1b;[0m &#x7; \r\nx'/></testcase>\
            <testcase/><testcase><error/></testcase></testsuite>"), @r#"
        failure - [a b] <a b> "red � \nx"
        Failed " " "a\nb"
        Passed "s" ""
        failure - [-] <s> "s failed"
        Failed "s" ""
        "#);
    }

    #[test]
    fn a_report_that_breaks_off_gives_what_it_had() {
        insta::assert_snapshot!(junit("<testsuite name='s'><testcase name='a'/><testcase name='b'><failure message='x'>deta"), @r#"
        Passed "s" "a"
        failure - [b] <s: b> "x\n\ndeta"
        Failed "s" "b"
        error: the document ends inside <failure> at byte 84
        "#);
        insta::assert_snapshot!(junit("<testsuite name='s'><testcase name='a'><failure message='x'/></testsuite>"), @r#"
        failure - [a] <s: a> "x"
        Failed "s" "a"
        error: </testsuite> where </testcase> should be at byte 61
        "#);
        insta::assert_snapshot!(junit("<testsuite name='s'><testcase name='a'><system-out>x"), @"error: the document ends inside <system-out> at byte 52");
        insta::assert_snapshot!(junit("<checkstyle/>"), @"error: this is not a JUnit report: its root is <checkstyle> at byte 0");
    }

    #[test]
    fn the_manifest_says_what_levels_words_have() {
        let text = "<testsuite><testcase name='a'><failure/></testcase><testcase name='b'><error/></testcase></testsuite>";
        let options = Options {
            level: Some(Level::Notice),
            map: std::collections::BTreeMap::from([("Error".to_owned(), Level::Warning)]),
            ..Options::default()
        };
        let mut levels = Vec::new();
        read(text.as_bytes(), &options, &mut |item| {
            if let Item::Finding(finding) = item {
                levels.push(finding.level);
            }
        })
        .unwrap();
        assert_eq!(levels, [Level::Notice, Level::Warning]);
    }

    #[test]
    fn texts_and_names_are_bounded() {
        let message = repeated(
            b"<testsuite><testcase name='a'><failure>",
            b"line\n",
            1 << 20,
            b"</failure></testcase></testsuite>",
        );
        let (items, result) = parse(Parser::Junit, message);
        assert!(result.is_ok());
        let Item::Finding(finding) = &items[0] else { panic!("{items:?}") };
        assert!(finding.message.len() <= crate::parse::options::MAX_MESSAGE + 4);
        let name = repeated(
            b"<testsuite><testcase name='",
            b"name ",
            1 << 20,
            b"'><failure/></testcase></testsuite>",
        );
        let (items, result) = parse(Parser::Junit, name);
        assert!(result.is_ok());
        assert!(format!("{items:?}").len() < 20_000, "{}", format!("{items:?}").len());
    }

    proptest! {
        #[test]
        fn a_mutated_report_is_read_or_refused(at in 0usize..400, byte in any::<u8>(), chunk in 1usize..99) {
            let mut text = br#"<?xml version="1.0"?><testsuites><testsuite name="s&lt;" file="f.py"><testcase name="a" time="1"><failure message="m &amp; n" type="T">File "f.py", line 3, in f</failure></testcase><testcase name="b"/></testsuite></testsuites>"#.to_vec();
            let at = at % text.len();
            text[at] = byte;
            let whole = parse(Parser::Junit, &text[..]);
            let pieces = parse(Parser::Junit, Slow(&text, chunk));
            prop_assert_eq!(&whole.0, &pieces.0);
            prop_assert_eq!(whole.1.map_err(|error| error.to_string()), pieces.1.map_err(|error| error.to_string()));
        }
    }
}
