//! TRX, the test results of Visual Studio and `dotnet test`.
//!
//! Owns the format's elements and words. The class of a test stands in the definitions, most often after the results; a
//! stream cannot wait for them, so a test is known by the name that its result has.

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use crate::parse::options::Options;
use crate::parse::output::Output;
use crate::parse::test_case::{self, Failure, MAX_TEXT, TestCase};
use crate::parse::xml::{self, Tag, Token};
use crate::parse::{Item, ParseError};

/// Tool of a finding when the manifest names none.
const TOOL: &str = "trx";

/// Reads a report.
pub(super) fn read(
    input: impl Read,
    options: &Options,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut out = Output::new(TOOL, options, sink);
    let mut report = Report::default();
    let result = xml::walk(input, &mut out, |depth, token, out| report.token(depth, token, out));
    // Results that failed and whose end never came.
    while let Some(result) = report.results.pop() {
        if result.outcome == Ending::Failed {
            report.give(result, &mut out);
        }
    }
    report.conclude(&mut out);
    result
}

/// What is open while a report is read.
#[derive(Default)]
struct Report {
    /// Results inside each other: a data-driven test holds one for each row.
    results: Vec<TestResult>,
    /// Depth of an `<ErrorInfo>` that is open.
    error: Option<usize>,
    slot: Option<(usize, Slot)>,
    failed: bool,
    /// What the summary says that the run came to.
    summary: Ending,
    /// The first thing that went wrong with the run itself.
    run_error: String,
}

/// A result that is open.
struct TestResult {
    depth: usize,
    test: TestCase,
    outcome: Ending,
    failure: Failure,
}

/// What an outcome means.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    Passed,
    Failed,
    Skipped,
}

/// The text that is read now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Message,
    Stack,
    RunError,
}

impl Report {
    fn token(&mut self, depth: usize, token: Token<'_>, out: &mut Output<'_>) -> Result<bool, ParseError> {
        match token {
            Token::Start(tag) => return self.start(depth, &tag),
            Token::Text(text) => {
                // The texts of results inside each other wait together.
                let most = MAX_TEXT / self.results.len().max(1);
                let result = self.results.last_mut();
                let to = match (self.slot, result) {
                    (Some((_, Slot::Message)), Some(result)) => &mut result.failure.message,
                    (Some((_, Slot::Stack)), Some(result)) => &mut result.failure.details,
                    (Some((_, Slot::RunError)), _) => &mut self.run_error,
                    _ => return Ok(true),
                };
                text.append(to, most);
            }
            Token::End => self.end(depth, out),
        }
        Ok(true)
    }

    fn start(&mut self, depth: usize, tag: &Tag<'_>) -> Result<bool, ParseError> {
        Ok(match tag.name() {
            "TestRun" if depth == 1 => true,
            name if depth == 1 => return Err(xml::wrong_root("a TRX report", name)),
            "ResultSummary" => tag.attributes(|name, value| {
                if name == "outcome" {
                    self.summary = ending(&value);
                }
            }),
            name if name.ends_with("Result") || name == "TestResultAggregation" => self.result(depth, tag),
            "ErrorInfo" => {
                self.error = Some(depth);
                true
            }
            name @ ("Message" | "StackTrace") if self.error.is_some_and(|error| error + 1 == depth) => {
                let slot = if name == "Message" { Slot::Message } else { Slot::Stack };
                self.slot = Some((depth, slot));
                true
            }
            "RunInfo" => {
                let mut outcome = Cow::Borrowed("");
                let whole = tag.attributes(|name, value| {
                    if name == "outcome" {
                        outcome = value;
                    }
                });
                if ending(&outcome) == Ending::Failed && self.run_error.is_empty() {
                    self.slot = Some((depth, Slot::RunError));
                }
                whole
            }
            _ => true,
        })
    }

    fn result(&mut self, depth: usize, tag: &Tag<'_>) -> bool {
        let mut test = TestCase::default();
        let mut outcome = Cow::Borrowed("");
        let whole = tag.attributes(|name, value| match name {
            "testName" => test.name = value.into_owned(),
            "duration" => test.duration = clock(&value),
            "outcome" => outcome = value,
            _ => {}
        });
        let failure = Failure { word: "failure", ..Failure::default() };
        self.results.push(TestResult { depth, test, outcome: ending(&outcome), failure });
        whole
    }

    fn end(&mut self, depth: usize, out: &mut Output<'_>) {
        if self.slot.is_some_and(|(slot, _)| slot == depth) {
            self.slot = None;
        }
        if self.error == Some(depth) {
            self.error = None;
        }
        if let Some(result) = self.results.pop_if(|result| result.depth == depth) {
            self.give(result, out);
        }
    }

    fn give(&mut self, mut result: TestResult, out: &mut Output<'_>) {
        match result.outcome {
            Ending::Passed => {}
            Ending::Skipped => result.test.skipped = true,
            Ending::Failed => {
                self.failed = true;
                result.test.failure = Some(result.failure);
            }
        }
        result.test.give(out);
    }

    /// A run that failed without a test that failed, because its host crashed, must not look like one that passed.
    fn conclude(self, out: &mut Output<'_>) {
        if self.summary != Ending::Failed || self.failed {
            return;
        }
        let failure = Failure { word: "error", message: self.run_error, ..Failure::default() };
        let run = TestCase { name: "test run".to_owned(), ..TestCase::default() };
        let finding = run.finding(test_case::level(failure.word, out.options), &failure, out);
        out.give(Item::Finding(Box::new(finding)));
    }
}

/// What an outcome means. The words are those of the format's schema; a result without one was not judged as failed.
fn ending(outcome: &str) -> Ending {
    match outcome.to_ascii_lowercase().as_str() {
        "failed" | "error" | "timeout" | "aborted" | "disconnected" => Ending::Failed,
        "notexecuted" | "inconclusive" | "notrunnable" | "pending" | "inprogress" => Ending::Skipped,
        _ => Ending::Passed,
    }
}

/// A duration as `hh:mm:ss.fffffff`, perhaps with days and a point before it.
fn clock(written: &str) -> Option<Duration> {
    let (rest, seconds) = written.trim().rsplit_once(':')?;
    let (rest, minutes) = rest.rsplit_once(':')?;
    let (days, hours) = rest.split_once('.').unwrap_or(("0", rest));
    let [days, hours, minutes]: [u64; 3] = [days.parse().ok()?, hours.parse().ok()?, minutes.parse().ok()?];
    let minutes = days.checked_mul(24)?.checked_add(hours)?.checked_mul(60)?.checked_add(minutes)?;
    let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    Duration::from_secs(minutes.checked_mul(60)?).checked_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::model::Parser;
    use crate::parse::testing::shown;

    #[test]
    fn outcomes_and_rows() {
        insta::assert_snapshot!(shown(Parser::Trx, r#"<TestRun xmlns="x"><Results>
            <UnitTestResult testName="N.C.a" outcome="Passed" duration="00:00:01.5000000"/>
            <UnitTestResult testName="N.C.b" outcome="Failed" duration="1.02:00:00"><Output><StdOut>noise</StdOut><TextMessages><Message>noise</Message></TextMessages>
              <ErrorInfo><Message>Assert.Equal() Failure&#xD;
Expected: 1</Message><StackTrace>   at System.Boom() in /_/src/System.cs:line 1
   at N.C.b() in /r/C.cs:line 27</StackTrace></ErrorInfo></Output></UnitTestResult>
            <UnitTestResult testName="rows" outcome="Failed"><Output><ErrorInfo><Message>a row failed</Message></ErrorInfo></Output><InnerResults>
              <UnitTestResult testName="rows (1)" outcome="Passed"/><UnitTestResult testName="rows (2)" outcome="Timeout"/></InnerResults></UnitTestResult>
            <UnitTestResult testName="later" outcome="NotExecuted"/></Results>
            <ResultSummary outcome="Failed"><RunInfos><RunInfo outcome="Error"><Text>[FAIL]</Text></RunInfo></RunInfos></ResultSummary></TestRun>"#), @r#"
        Passed "" "N.C.a" 1.5s
        failure /_/src/System.cs:1 [N.C.b] <N.C.b> "Assert.Equal() Failure\nExpected: 1\n\n   at System.Boom() in /_/src/System.cs:line 1\n   at N.C.b() in /r/C.cs:line 27"
        Failed "" "N.C.b" 93600s
        Passed "" "rows (1)"
        failure - [rows (2)] <rows (2)> "rows (2) failed"
        Failed "" "rows (2)"
        failure - [rows] <rows> "a row failed"
        Failed "" "rows"
        Skipped "" "later"
        "#);
    }

    #[test]
    fn a_run_that_crashed_is_no_success() {
        insta::assert_snapshot!(shown(Parser::Trx, r#"<TestRun><Results><UnitTestResult testName="a" outcome="Passed"/></Results>
            <ResultSummary outcome="Error"><RunInfos><RunInfo outcome="Warning"><Text>w</Text></RunInfo><RunInfo outcome="Error"><Text>the host crashed</Text></RunInfo></RunInfos></ResultSummary></TestRun>"#), @r#"
        Passed "" "a"
        failure - [test run] <test run> "the host crashed"
        "#);
        insta::assert_snapshot!(shown(Parser::Trx, "<TestRun><Results><UnitTestResult testName='a' outcome='Failed'><Output>"), @r#"
        failure - [a] <a> "a failed"
        Failed "" "a"
        error: the document ends inside <Output> at byte 72
        "#);
    }

    #[test]
    fn durations_are_read_or_left_out() {
        let read = [
            "00:00:00.0001365",
            "01:02:03",
            "2.00:00:01",
            "",
            "x",
            "1:2",
            "99999999999999999:00:00",
            "-1:0:0",
        ]
        .map(|text| clock(text).map(|duration| duration.as_secs_f64()));
        assert_eq!(read, [Some(0.000_136_5), Some(3723.0), Some(172_801.0), None, None, None, None, None]);
    }
}
