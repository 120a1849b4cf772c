//! The run as a JUnit report that Jenkins and its relatives accept: one suite with a test case for each step and each
//! gate, and behind it, as linters write it, a suite for each file in which a step that failed found something.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::finding::Finding;
use crate::page::words::outcome;
use crate::record::{GateResult, Outcome, Record, StepRecord};
use crate::redact::Registry;
use crate::report::kept::Kept;

/// What a test case came to.
enum Verdict {
    Passed,
    Skipped(String),
    Failure { kind: &'static str, message: String, body: String },
    Error { kind: &'static str, message: String },
}

struct Case {
    class: String,
    name: String,
    milliseconds: Option<u64>,
    result: Verdict,
    /// Why an attempt before the last one failed, of a step that needed several.
    flaky: Option<String>,
}

/// Writes the report of `record`.
pub(super) fn write(
    mut out: impl Write,
    record: &Record,
    kept: &Kept,
    registry: &Registry,
) -> io::Result<()> {
    let command = record.command.as_str();
    let steps = record.steps.iter().map(|step| of_step(command, step, kept));
    let cases: Vec<Case> = steps.chain(record.gates.iter().map(|gate| of_gate(command, gate))).collect();
    let count = |wanted: fn(&Verdict) -> bool| cases.iter().filter(|case| wanted(&case.result)).count();
    let failures = count(|result| matches!(result, Verdict::Failure { .. }));
    let errors = count(|result| matches!(result, Verdict::Error { .. }));
    let skipped = count(|result| matches!(result, Verdict::Skipped(_)));
    let took = record.finished_at.since(record.started_at);
    let time = seconds(took.as_millis().try_into().unwrap_or(u64::MAX));
    let name = attribute(&record.name, registry);
    let found = record.steps.iter().filter(|step| counts(step));
    let found = found.flat_map(|step| by_file(command, step.key.as_str(), kept)).collect::<Vec<_>>();
    let findings: usize = found.iter().map(|suite| suite.findings.len()).sum();
    let tests = cases.len();
    let (all_tests, all_failures) = (tests + findings, failures + findings);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"{name}\" tests=\"{all_tests}\" failures=\"{all_failures}\" errors=\"{errors}\" time=\"{time}\">"
    )?;
    writeln!(
        out,
        "  <testsuite name=\"{name}\" id=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
         skipped=\"{skipped}\" time=\"{time}\" timestamp=\"{}\">",
        record.run_id, record.started_at
    )?;
    for case in &cases {
        write_case(&mut out, case, registry)?;
    }
    writeln!(out, "  </testsuite>")?;
    for suite in &found {
        suite.write(&mut out, registry)?;
    }
    writeln!(out, "</testsuites>")
}

/// What a step that failed found in one file.
struct Found<'k> {
    /// What the names of the test cases begin with, as the package of a linter's rules.
    package: String,
    path: Option<&'k str>,
    findings: Vec<&'k Finding>,
}

/// The failures of a step that are kept, file by file.
fn by_file<'k>(command: &str, step: &str, kept: &'k Kept) -> Vec<Found<'k>> {
    let mut files: BTreeMap<Option<&str>, Vec<&Finding>> = BTreeMap::new();
    for finding in kept.failures(step) {
        files.entry(finding.path.as_deref()).or_default().push(finding);
    }
    let package = || format!("{command}.{step}");
    files.into_iter().map(|(path, findings)| Found { package: package(), path, findings }).collect()
}

impl Found<'_> {
    fn write(&self, out: &mut impl Write, registry: &Registry) -> io::Result<()> {
        let attribute = |text: &str| attribute(text, registry);
        let (name, package) = (attribute(self.path.unwrap_or("no file")), attribute(&self.package));
        let count = self.findings.len();
        writeln!(
            out,
            "  <testsuite name=\"{name}\" package=\"{package}\" tests=\"{count}\" failures=\"{count}\" errors=\"0\">"
        )?;
        for finding in &self.findings {
            let rule = attribute(finding.rule.as_deref().unwrap_or(&finding.tool));
            let class = self.path.map_or(package.clone(), |_| name.clone());
            let mut body = String::new();
            if let Some(line) = finding.start_line {
                let _ = write!(body, "line {line}, ");
                if let Some(column) = finding.start_column {
                    let _ = write!(body, "col {column}, ");
                }
            }
            body.push_str(&finding.message);
            writeln!(
                out,
                "    <testcase classname=\"{class}\" name=\"{package}.{rule}\">\n      \
                 <failure type=\"{rule}\" message=\"{}\">{}</failure>\n    </testcase>",
                attribute(&finding.message),
                escaped(&registry.text(&body), false)
            )?;
        }
        writeln!(out, "  </testsuite>")
    }
}

/// Whether the outcome of a step is a failure that counts.
fn counts(step: &StepRecord) -> bool {
    let failed = matches!(step.outcome, Outcome::Failure | Outcome::TimedOut | Outcome::Cancelled);
    failed && !step.passed()
}

fn write_case(out: &mut impl Write, case: &Case, registry: &Registry) -> io::Result<()> {
    let attribute = |text: &str| attribute(text, registry);
    write!(out, "    <testcase classname=\"{}\" name=\"{}\"", attribute(&case.class), attribute(&case.name))?;
    if let Some(milliseconds) = case.milliseconds {
        write!(out, " time=\"{}\"", seconds(milliseconds))?;
    }
    if matches!(case.result, Verdict::Passed) && case.flaky.is_none() {
        return writeln!(out, "/>");
    }
    writeln!(out, ">")?;
    match &case.result {
        Verdict::Passed => {}
        Verdict::Skipped(message) => writeln!(out, "      <skipped message=\"{}\"/>", attribute(message))?,
        Verdict::Error { kind, message } => {
            writeln!(out, "      <error type=\"{kind}\" message=\"{}\"/>", attribute(message))?;
        }
        Verdict::Failure { kind, message, body } => {
            let body = escaped(&registry.text(body), false);
            writeln!(
                out,
                "      <failure type=\"{kind}\" message=\"{}\">{body}</failure>",
                attribute(message)
            )?;
        }
    }
    if let Some(message) = &case.flaky {
        writeln!(out, "      <flakyFailure type=\"retry\" message=\"{}\"/>", attribute(message))?;
    }
    writeln!(out, "    </testcase>")
}

fn of_step(command: &str, step: &StepRecord, kept: &Kept) -> Case {
    let words = outcome(step).unwrap_or_default();
    let result = match step.outcome {
        Outcome::Success => Verdict::Passed,
        Outcome::Skipped => Verdict::Skipped(words),
        // To a reader of test reports every failure is one that counts.
        _ if step.passed() => Verdict::Skipped(words),
        Outcome::SetupFailed => Verdict::Error { kind: "setup_failed", message: words },
        Outcome::Failure | Outcome::TimedOut | Outcome::Cancelled => {
            let kind = step.outcome.as_str();
            Verdict::Failure {
                kind,
                message: words,
                body: shown(step, kept.failures(step.key.as_str()).len()),
            }
        }
    };
    Case {
        class: command.to_owned(),
        name: step.key.to_string(),
        milliseconds: (step.attempts > 0).then_some(step.duration_ms),
        result,
        flaky: step.flaky.then(|| format!("passed at attempt {}", step.attempts)),
    }
}

fn of_gate(command: &str, gate: &GateResult) -> Case {
    let result = if gate.passed {
        Verdict::Passed
    } else {
        Verdict::Failure { kind: "gate", message: gate.reason.clone(), body: String::new() }
    };
    Case {
        class: format!("{command}.gates"),
        name: gate.name.clone(),
        milliseconds: None,
        result,
        flaky: None,
    }
}

/// How many of a step's failures are shown, when that is not all.
fn shown(step: &StepRecord, shown: usize) -> String {
    let (shown, total) = (shown as u64, step.counts.failure);
    if shown < total { format!("showing {shown} of {total} findings") } else { String::new() }
}

/// Milliseconds as the decimal seconds that the format asks for.
fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

fn attribute(text: &str, registry: &Registry) -> String {
    escaped(&registry.text(text), true)
}

/// `text` as XML holds it. Characters that no XML may have become U+FFFD.
fn escaped(text: &str, attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            // A reader would make a blank of these in an attribute, and of a carriage return anywhere a line feed.
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use proptest::prelude::*;
    use quick_xml::events::Event;
    use quick_xml::reader::Reader;

    fn report(record: &Record, kept: &Kept) -> String {
        let mut out = Vec::new();
        write(&mut out, record, kept, &Registry::new()).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The elements and attributes that `tests/schemas/junit-10.xsd` allows of those that we write.
    const ALLOWED: [(&str, &[&str], &[&str]); 7] = [
        ("testsuites", &[""], &["name", "time", "tests", "failures", "errors"]),
        (
            "testsuite",
            &["testsuites"],
            &["name", "id", "package", "tests", "failures", "errors", "skipped", "time", "timestamp"],
        ),
        ("testcase", &["testsuite"], &["name", "classname", "time"]),
        ("failure", &["testcase"], &["type", "message"]),
        ("error", &["testcase"], &["type", "message"]),
        ("skipped", &["testcase"], &["type", "message"]),
        ("flakyFailure", &["testcase"], &["type", "message"]),
    ];

    fn conforms(report: &str) -> Result<(), String> {
        let mut reader = Reader::from_str(report);
        let mut parents = vec![String::new()];
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            let (Event::Start(element) | Event::Empty(element)) = &event else {
                match event {
                    Event::End(_) => drop(parents.pop()),
                    Event::Eof => return if parents.len() == 1 { Ok(()) } else { Err("open".into()) },
                    _ => {}
                }
                continue;
            };
            let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
            let (_, within, attributes) =
                ALLOWED.iter().find(|(allowed, ..)| *allowed == name).ok_or_else(|| name.clone())?;
            let parent = parents.last().cloned().unwrap_or_default();
            if !within.contains(&parent.as_str()) {
                return Err(format!("{name} in {parent}"));
            }
            for attribute in element.attributes() {
                let attribute = attribute.map_err(|error| error.to_string())?;
                let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
                if !attributes.contains(&key.as_str()) {
                    return Err(format!("{key} of {name}"));
                }
            }
            if matches!(event, Event::Start(_)) {
                parents.push(name);
            }
        }
    }

    #[test]
    fn steps_and_gates_are_test_cases() {
        let record = sample::record();
        let report = report(&record, &sample::kept());
        conforms(&report).unwrap();
        insta::assert_snapshot!(report.replace(&record.run_id.to_string(), "RUN"), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="Rehydrate | validate" tests="9" failures="4" errors="1" time="12.000">
          <testsuite name="Rehydrate | validate" id="RUN" tests="7" failures="2" errors="1" skipped="2" time="12.000" timestamp="2023-11-14T22:13:20.000Z">
            <testcase classname="rehydrate" name="fetch" time="1.234">
              <flakyFailure type="retry" message="passed at attempt 2"/>
            </testcase>
            <testcase classname="rehydrate" name="schema" time="1.234">
              <failure type="failure" message="exit code 1">showing 2 of 3 findings</failure>
            </testcase>
            <testcase classname="rehydrate" name="lint" time="1.234">
              <skipped message="failed (does not count)"/>
            </testcase>
            <testcase classname="rehydrate" name="publish">
              <skipped message="skipped: a step that it needs did not succeed"/>
            </testcase>
            <testcase classname="rehydrate" name="config" time="1.234">
              <error type="setup_failed" message="could not be started: the working directory is gone"/>
            </testcase>
            <testcase classname="rehydrate.gates" name="steps">
              <failure type="gate" message="schema failed"></failure>
            </testcase>
            <testcase classname="rehydrate.gates" name="data"/>
          </testsuite>
          <testsuite name="no file" package="rehydrate.schema" tests="1" failures="1" errors="0">
            <testcase classname="rehydrate.schema" name="rehydrate.schema.schema">
              <failure type="schema" message="no rows">no rows</failure>
            </testcase>
          </testsuite>
          <testsuite name="data/orders.csv" package="rehydrate.schema" tests="1" failures="1" errors="0">
            <testcase classname="data/orders.csv" name="rehydrate.schema.S1">
              <failure type="S1" message="no such &lt;column&gt; &amp; more&#10;second line">line 3, col 2, no such &lt;column&gt; &amp; more
        second line</failure>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn what_was_written_is_read_back() {
        use crate::manifest::model::Parser;
        use crate::parse::LineFormat;
        use crate::parse::options::Options;
        use crate::parse::{Item, file};
        let record = sample::record();
        let place = |path: &str, start_line, start_column| crate::finding::Location {
            path: (!path.is_empty()).then(|| path.to_owned()),
            start_line,
            start_column,
            ..crate::finding::Location::default()
        };
        let found = [
            ("a b/Make<file>", Some(3), Some(7), "F401", "`os` & <co>\nline 9, col 9, more"),
            ("a b/Make<file>", Some(4), None, "F402", "x"),
            ("x.py", None, None, "R", "says b.py:3: too"),
            ("", None, None, "S", "nowhere"),
        ];
        let mut kept = Kept::default();
        for (path, line, column, rule, message) in found {
            let mut finding =
                Finding::new("t", crate::finding::Level::Failure, message).at(place(path, line, column));
            finding.step = "schema".into();
            finding.rule = Some(rule.to_owned());
            kept.add(&finding);
        }
        let report = report(&record, &kept);
        conforms(&report).unwrap();
        let mut back = Vec::new();
        file(Parser::Junit, &Options::default(), LineFormat::default(), report.as_bytes(), &mut |item| {
            if let Item::Finding(finding) = item {
                back.push(*finding);
            }
        })
        .unwrap();
        let steps_and_gates = back.iter().filter(|finding| {
            finding.level == crate::finding::Level::Failure
                && finding.path.is_none()
                && finding.message != "nowhere"
        });
        assert_eq!(steps_and_gates.count(), 3, "{back:?}");
        for (path, line, column, rule, message) in found {
            let same = |finding: &&Finding| {
                finding.path.as_deref().unwrap_or("") == path
                    && (finding.start_line, finding.start_column) == (line, column)
                    && finding.rule.as_deref() == Some(rule)
                    && finding.message == message
            };
            assert!(back.iter().any(|finding| same(&finding)), "{rule}: {back:#?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_report_is_well_formed(text in "(\\PC|[\u{0}-\u{20}]|[<>&\"']|\u{ffff}|]]>){0,40}") {
            let mut record = sample::record();
            record.name.clone_from(&text);
            record.steps[1].reason = Some(text.clone());
            let mut kept = Kept::default();
            let mut finding = Finding::new("t", crate::finding::Level::Failure, text.clone());
            finding.step = "schema".into();
            kept.add(&finding);
            let report = report(&record, &kept);
            prop_assert_eq!(conforms(&report), Ok(()));
            let legal = |c| matches!(c, '\t' | '\n' | ' '..) && !matches!(c, '\u{fffe}' | '\u{ffff}');
            prop_assert!(report.chars().all(legal));
        }
    }
}
