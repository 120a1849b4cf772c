//! NUnit's XML: version 3 (`test-run`) and version 2 (`test-results`).
//!
//! Owns the formats' elements and words. A suite that fails only because a test in it failed says nothing new; one that
//! failed by itself, in its set-up or tear-down, is a finding of its own.

use std::borrow::Cow;
use std::io::Read;

use crate::finding::Level;
use crate::parse::options::Options;
use crate::parse::output::Output;
use crate::parse::test_case::{self, Failure, MAX_TEXT, TestCase, short};
use crate::parse::xml::{self, Tag, Token};
use crate::parse::{Item, ParseError};

/// Tool of a finding when the manifest names none.
const TOOL: &str = "nunit";

/// Most text of a suite's own failure that is looked at, in bytes.
const MAX_SUITE_TEXT: usize = 16 << 10;

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
    /// It passed with a warning.
    Warned,
    /// It could not be run as it is written.
    Invalid,
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
                // A suite's text waits for the ends of all suites in it.
                let most = if self.case.is_some() { MAX_TEXT } else { MAX_SUITE_TEXT };
                if let Some(to) = self.text() {
                    text.append(to, most);
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

    /// Hands over what is known of a test that failed and whose end never came.
    pub(super) fn give_up(&mut self, out: &mut Output<'_>) {
        if let Some(case) =
            self.case.take_if(|case| case.outcome == Outcome::Failed || case.failure.is_some())
        {
            case.give(out);
        }
    }

    fn is_in_told(&self, depth: usize) -> bool {
        self.told.is_some_and(|(told, _)| told + 1 == depth)
    }

    fn suite(&mut self, depth: usize, tag: &Tag<'_>) -> bool {
        let mut suite = Suite { depth, ..Suite::default() };
        let mut full_name = None;
        let whole = tag.attributes(|name, value| match name {
            "name" => suite.name = short(value),
            "fullname" => full_name = Some(short(value)),
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
        // Pester's suites are scripts, and hold others.
        let script = self.suites.iter().rev().find(|suite| test_case::is_file(&suite.name));
        test.container = script.map(|suite| suite.name.clone());
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
        "warning" => Outcome::Warned,
        "notrunnable" => Outcome::Invalid,
        "skipped" | "ignored" if invalid => Outcome::Invalid,
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
            (Outcome::Warned | Outcome::Invalid, failure) => {
                let word = "warning";
                let told = failure.unwrap_or(self.reason);
                let level = out.options.level(word).unwrap_or(Level::Warning);
                let finding = self.test.finding(level, &told, out);
                out.give(Item::Finding(Box::new(finding)));
                self.test.skipped = self.outcome == Outcome::Invalid;
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
            let of_suite =
                TestCase { container: Some(self.name.clone()), name: self.name, ..TestCase::default() };
            let level = test_case::level(failure.word, out.options);
            let finding = of_suite.finding(level, &failure, out);
            out.give(Item::Finding(Box::new(finding)));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::manifest::model::Parser;
    use crate::parse::testing::shown;

    #[test]
    fn version_3() {
        insta::assert_snapshot!(shown(Parser::Nunit, r#"<test-run><test-suite name="S.dll" result="Failed" site="Child"><failure><message>One or more child tests had errors</message></failure>
            <test-suite type="TestFixture" name="F" fullname="N.F" site="SetUp"><failure><message>set-up broke</message><stack-trace>at N.F.SetUp() in /r/F.cs:line 3</stack-trace></failure>
            <test-case name="a" fullname="N.F.a" classname="N.F" result="Passed" duration="0.5"><reason><message>fine</message></reason><output>x</output></test-case>
            <test-case name="b" fullname="N.F.b" classname="N.F" result="Failed"><properties><property name="x" value="y"/></properties>
              <failure><message><![CDATA[  Expected: 1
  But was:  2
]]></message><stack-trace><![CDATA[   at N.F.b() in C:\r\My Code\F.cs:line 12
]]></stack-trace></failure><assertions><assertion result="Failed"><message>again</message></assertion></assertions></test-case>
            <test-case name="c" fullname="N.F.c" classname="N.F" result="Skipped" label="Ignored"><reason><message>later</message></reason></test-case>
            <test-case name="d" fullname="N.F.d" classname="N.F" result="Skipped" label="Invalid"><reason><message>no arguments</message></reason></test-case>
            <test-case name="e" fullname="N.F.e" classname="N.F" result="Inconclusive"/>
            <test-case name="f" fullname="N.F.f" classname="N.F" result="Warning"><reason><message>hm</message></reason></test-case>
            </test-suite></test-suite></test-run>"#), @r#"
        Passed "N.F" "N.F.a" 500ms
        failure C:/r/My Code/F.cs:12 [N.F.b] <N.F.b> "Expected: 1\n  But was:  2\n\n   at N.F.b() in C:\\r\\My Code\\F.cs:line 12"
        Failed "N.F" "N.F.b"
        Skipped "N.F" "N.F.c"
        warning - [N.F.d] <N.F.d> "no arguments"
        Skipped "N.F" "N.F.d"
        Skipped "N.F" "N.F.e"
        warning - [N.F.f] <N.F.f> "hm"
        Passed "N.F" "N.F.f"
        failure /r/F.cs:3 [N.F] <N.F> "set-up broke\n\nat N.F.SetUp() in /r/F.cs:line 3"
        "#);
    }

    #[test]
    fn version_2() {
        insta::assert_snapshot!(shown(Parser::Nunit, r#"<test-results name="T.dll"><test-suite name="T.dll" success="False"><results>
            <test-suite name="C" result="Error"><failure><message>TearDown : broke</message></failure><results>
            <test-case name="N.C.a" executed="True" success="True" time="0.1"/>
            <test-case name="N.C.b" executed="True" success="False"><failure><message></message><stack-trace>at N.C.b() en C:\r\C.cs:línea 9</stack-trace></failure></test-case>
            <test-case name="N.C.c" executed="False"><reason><message>ignored</message></reason></test-case>
            <test-case name="N.C.d" executed="True" result="Error"/>
            <test-case name="N.C.e" executed="False" result="NotRunnable"><reason><message>bad</message></reason></test-case>
            </results></test-suite></results></test-suite></test-results>"#), @r#"
        Passed "C" "N.C.a" 100ms
        failure C:/r/C.cs:9 [N.C.b] <C: N.C.b> "at N.C.b() en C:\\r\\C.cs:línea 9"
        Failed "C" "N.C.b"
        Skipped "C" "N.C.c"
        failure - [N.C.d] <C: N.C.d> "C: N.C.d failed"
        Failed "C" "N.C.d"
        warning - [N.C.e] <C: N.C.e> "bad"
        Skipped "C" "N.C.e"
        failure - [C] <C> "TearDown : broke"
        "#);
        insta::assert_snapshot!(shown(Parser::Nunit, "<test-results><test-suite name='s'><results><test-case name='x' result='Failure'><failure><message>gone"), @r#"
        failure - [x] <s: x> "gone"
        Failed "s" "x"
        error: the document ends inside <message> at byte 103
        "#);
        insta::assert_snapshot!(shown(Parser::Nunit, "<testsuite/>"), @"error: this is not an NUnit report: its root is <testsuite> at byte 0");
    }

    #[test]
    fn pester_in_all_its_forms() {
        insta::assert_snapshot!(shown(Parser::Pester, r#"<test-results name="Pester"><test-suite type="TestFixture" name="Pester"><results>
            <test-suite type="TestFixture" name="C:\r\A.Tests.ps1"><results><test-suite type="TestFixture" name="A"><results>
            <test-case description="x" name="A.x" success="False" result="Failure" executed="True"><failure><message>Expected 1, but got 2.</message>
            <stack-trace>at Invoke-It, C:\r\A.psm1:3
at 1 | Should -Be 2, C:\r\A.Tests.ps1:12
at &lt;ScriptBlock&gt;, C:\r\A.Tests.ps1:12</stack-trace></failure></test-case>
            </results></test-suite></results></test-suite></results></test-suite></test-results>"#), @r#"
        failure C:/r/A.Tests.ps1:12 [A.x] <A.x> "Expected 1, but got 2.\n\nat Invoke-It, C:\\r\\A.psm1:3\nat 1 | Should -Be 2, C:\\r\\A.Tests.ps1:12\nat <ScriptBlock>, C:\\r\\A.Tests.ps1:12"
        Failed "A" "A.x"
        "#);
        insta::assert_snapshot!(shown(Parser::Pester, r#"<test-run><test-suite><test-case name="old" fullname="A.old" result="Failed"><failure><message>no</message>
            <stack-trace>at &lt;ScriptBlock&gt;, /r/My Tests/B.Tests.ps1: line 7
7:   $x | Should Be 1</stack-trace></failure></test-case></test-suite></test-run>"#), @r#"
        failure /r/My Tests/B.Tests.ps1:7 [A.old] <A.old> "no\n\nat <ScriptBlock>, /r/My Tests/B.Tests.ps1: line 7\n7:   $x | Should Be 1"
        Failed "" "A.old"
        "#);
        insta::assert_snapshot!(shown(Parser::Pester, r#"<testsuites><testsuite name="tests/C.Tests.ps1"><testcase name="C.x" classname="tests/C.Tests.ps1" status="Failed" time="0.1">
            <failure message="no">at line: 4 in tests/C.Tests.ps1</failure></testcase></testsuite></testsuites>"#), @r#"
        failure tests/C.Tests.ps1:4 [C.x] <tests/C.Tests.ps1: C.x> "no\n\nat line: 4 in tests/C.Tests.ps1"
        Failed "tests/C.Tests.ps1" "C.x" 100ms
        "#);
        insta::assert_snapshot!(shown(Parser::Pester, "<TestRun/>"), @"error: this is not a report of Pester: its root is <TestRun> at byte 0");
    }
}
