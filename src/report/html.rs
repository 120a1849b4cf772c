//! The run as one page for people: no script, no second file, nothing from the network.
//!
//! Everything that somebody else said is escaped. The page is bounded, and says exactly how much it shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::clock::readable;
use crate::finding::test::{Test, TestOutcome};
use crate::finding::{Finding, Level};
use crate::page::words::{artifact as artifact_words, counted, cut, digest, outcome};
use crate::record::{Record, SandboxReport, StepRecord};
use crate::redact::terminal::is_invisible;
use crate::workspace::sources::Sources;

/// Most findings on the page.
const MAX_FINDINGS: usize = 2_000;

/// Most findings that show their source lines.
const MAX_WITH_SOURCE: usize = 500;

/// Most tests on the page.
const MAX_TESTS: usize = 2_000;

/// Longest text, in bytes before it is escaped.
const MAX_TEXT: usize = 4 << 10;

/// Longest source line, in bytes.
const MAX_LINE: usize = 400;

/// Source lines shown before and after the ones that a finding points at.
const AROUND: u32 = 2;

/// Most lines of one finding's place that are shown.
const MOST_LINES: u32 = 12;

const STYLE: &str = include_str!("html/style.css");

/// What the page is made of.
pub(super) struct Content<'a> {
    pub(super) record: &'a Record,
    /// The tests worth showing, by the key of their step.
    pub(super) tests: &'a [(String, Vec<Test>)],
    /// Where source lines come from, and whose lines they are.
    pub(super) workspace: &'a Path,
}

/// The page of `content`, with the worst of `findings`.
///
/// # Errors
/// Returns the first error of `findings`.
pub(super) fn of(
    content: &Content<'_>,
    findings: impl Iterator<Item = io::Result<Finding>>,
) -> io::Result<String> {
    let record = content.record;
    let chosen = chosen(findings)?;
    let mut page = Page(String::new());
    page.head(record);
    page.gates(record);
    page.steps(record);
    page.findings(record, &chosen, &mut Sources::new(content.workspace));
    page.tests(record, content.tests);
    page.sandbox(record);
    page.artifacts(record);
    page.text("</body>\n</html>\n");
    Ok(page.0)
}

/// The worst findings that are shown at all, of equal ones the first.
fn chosen(findings: impl Iterator<Item = io::Result<Finding>>) -> io::Result<Vec<Finding>> {
    let mut by_level: BTreeMap<Level, Vec<Finding>> = BTreeMap::new();
    for finding in findings {
        let finding = finding?;
        let same = by_level.entry(finding.level).or_default();
        if !finding.filtered && same.len() < MAX_FINDINGS {
            same.push(finding);
        }
    }
    Ok(by_level.into_values().rev().flatten().take(MAX_FINDINGS).collect())
}

struct Page(String);

impl Page {
    fn text(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn heading(&mut self, heading: &str) {
        let _ = writeln!(self.0, "<h2>{}</h2>", escaped(heading));
    }

    fn head(&mut self, record: &Record) {
        let (name, word) = (escaped(&record.name), record.conclusion.as_str());
        let _ = write!(
            self.0,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}: {word}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{name} <span class=\"verdict {word}\">{}</span></h1>\n",
            word.replace('_', " ")
        );
        let mut facts = vec![format!("<code>{}</code>", escaped(record.command.as_str()))];
        facts.extend(record.repository.as_deref().map(escaped));
        facts.extend(record.sha.as_deref().map(|sha| format!("commit <code>{}</code>", escaped(sha))));
        facts.push(format!(
            "{}, took {}",
            record.started_at,
            readable(record.finished_at.since(record.started_at))
        ));
        facts.push(format!("run <code>{}</code>", record.run_id));
        let _ = writeln!(self.0, "<p class=\"soft\">{}</p>", facts.join(" · "));
        let mut counts = vec![counted(&record.counts)];
        if record.counts.total() == 0 {
            counts = vec!["no findings".to_owned()];
        }
        if record.suppressed > 0 {
            counts.push(format!("{} suppressed", record.suppressed));
        }
        if record.tests.total() > 0 {
            let tests = record.tests;
            counts.push(format!(
                "{} tests: {} failed, {} skipped",
                tests.total(),
                tests.failed,
                tests.skipped
            ));
        }
        let _ = writeln!(self.0, "<p>{}</p>", counts.join(" · "));
        for note in &record.notes {
            let _ = writeln!(self.0, "<p class=\"warning\">{}</p>", escaped(note));
        }
    }

    fn gates(&mut self, record: &Record) {
        self.heading("Gates");
        self.text("<table>\n<tr><th>Gate</th><th>Word</th><th>Why</th></tr>\n");
        for gate in &record.gates {
            let word = if gate.passed { "passed" } else { "failed" };
            let _ = writeln!(
                self.0,
                "<tr><td>{}</td><td class=\"{word}\">{word}</td><td>{}</td></tr>",
                escaped(&gate.name),
                escaped(&gate.reason)
            );
        }
        self.text("</table>\n");
    }

    fn steps(&mut self, record: &Record) {
        self.heading("Steps");
        self.text(
            "<table>\n<tr><th>Step</th><th>Outcome</th><th>Findings</th><th class=\"n\">Time</th><th></th></tr>\n",
        );
        let longest = record.steps.iter().map(|step| step.duration_ms).max().unwrap_or(0).max(1);
        for step in &record.steps {
            let _ = writeln!(
                self.0,
                "<tr><td>{}<br><code class=\"soft\">{}</code></td><td class=\"{}\">{}</td><td>{}</td>\
                 <td class=\"n\">{}</td><td><div class=\"bar\"><i style=\"width:{}%\"></i></div></td></tr>",
                escaped(&step.name),
                escaped(step.key.as_str()),
                step.outcome.as_str(),
                escaped(&ended(step)),
                counted(&step.counts),
                readable(Duration::from_millis(step.duration_ms)),
                step.duration_ms.saturating_mul(100) / longest,
            );
        }
        self.text("</table>\n");
    }

    fn findings(&mut self, record: &Record, chosen: &[Finding], sources: &mut Sources) {
        let total = record.counts.total();
        if total == 0 {
            return;
        }
        self.heading("Findings");
        let outside = match record.filtered {
            0 => String::new(),
            count => format!(", {count} outside of what changed are left out"),
        };
        let _ = writeln!(
            self.0,
            "<p class=\"soft\">Showing {} of {total}{outside}, the worst of each file first.</p>",
            chosen.len()
        );
        let mut files: Vec<(Option<&str>, Vec<&Finding>)> = Vec::new();
        let mut places: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for finding in chosen {
            let path = finding.path.as_deref();
            let place = *places.entry(path).or_insert_with(|| {
                files.push((path, Vec::new()));
                files.len() - 1
            });
            files[place].1.push(finding);
        }
        let mut with_source = 0;
        for (index, (path, findings)) in files.into_iter().enumerate() {
            // The first files are the worst; the rest opens by a click.
            let open = if index < 20 { " open" } else { "" };
            let name = path
                .map_or_else(|| "in no file".to_owned(), |path| format!("<code>{}</code>", escaped(path)));
            let _ = writeln!(
                self.0,
                "<details{open}><summary>{name} <span class=\"soft\">{}</span></summary>",
                findings.len()
            );
            for finding in findings {
                let lines =
                    if with_source < MAX_WITH_SOURCE { excerpt(finding, sources) } else { String::new() };
                with_source += usize::from(!lines.is_empty());
                self.finding(finding, &lines);
            }
            self.text("</details>\n");
        }
    }

    fn finding(&mut self, finding: &Finding, lines: &str) {
        let level = finding.level.as_str();
        let place = match (finding.start_line, finding.start_column) {
            (Some(line), Some(column)) => format!(" line {line}, column {column}"),
            (Some(line), None) => format!(" line {line}"),
            (None, _) => String::new(),
        };
        let rule = finding
            .rule
            .as_deref()
            .map(|rule| format!(" <code>{}</code>", escaped(rule)))
            .unwrap_or_default();
        let mut by = vec![format!("{} in {}", escaped(&finding.tool), escaped(&finding.step))];
        by.extend(
            finding.also.iter().map(|also| format!("{} in {}", escaped(&also.tool), escaped(&also.step))),
        );
        let title = match finding.title.as_deref() {
            Some(title) if !title.is_empty() => format!("<p><strong>{}</strong></p>", escaped(title)),
            _ => String::new(),
        };
        let _ = writeln!(
            self.0,
            "<article><p><strong class=\"{level}\">{level}</strong>{place}{rule} <span class=\"soft\">by {}</span></p>{title}\
             <p class=\"message\">{}</p>{lines}</article>",
            by.join(", "),
            escaped(&finding.message)
        );
    }

    fn tests(&mut self, record: &Record, tests: &[(String, Vec<Test>)]) {
        if record.tests.total() == 0 {
            return;
        }
        self.heading("Tests");
        let rows = || tests.iter().flat_map(|(step, tests)| tests.iter().map(move |test| (step, test)));
        let shown = rows().count().min(MAX_TESTS);
        let _ = writeln!(
            self.0,
            "<p class=\"soft\">Showing {shown} of {}: those that failed, then the slowest of each step.</p>\n\
             <table>\n<tr><th>Test</th><th>Step</th><th>Outcome</th><th class=\"n\">Time</th></tr>",
            record.tests.total()
        );
        for (step, test) in rows().take(MAX_TESTS) {
            let word = match test.outcome {
                TestOutcome::Passed => "passed",
                TestOutcome::Failed => "failed",
                TestOutcome::Skipped => "skipped",
            };
            let _ = writeln!(
                self.0,
                "<tr><td>{}<br><span class=\"soft\">{}</span></td><td>{}</td><td class=\"{word}\">{word}</td>\
                 <td class=\"n\">{}</td></tr>",
                escaped(&test.name),
                escaped(&test.suite),
                escaped(step),
                test.duration.map(readable).unwrap_or_default()
            );
        }
        self.text("</table>\n");
    }

    /// How scripts were confined, once for each way, with the steps that it held for.
    fn sandbox(&mut self, record: &Record) {
        let mut ways: Vec<(&SandboxReport, Vec<String>)> = Vec::new();
        for step in record.steps.iter().filter(|step| step.attempts > 0) {
            match ways.iter_mut().find(|(way, _)| **way == step.sandbox) {
                Some((_, steps)) => steps.push(escaped(step.key.as_str())),
                None => ways.push((&step.sandbox, vec![escaped(step.key.as_str())])),
            }
        }
        if ways.is_empty() {
            return;
        }
        self.heading("Sandbox");
        self.text("<table>\n<tr><th>Steps</th><th>Tier</th><th>Layers</th><th>Not enforced</th></tr>\n");
        for (way, steps) in ways {
            let mut layers: Vec<String> = way.namespaces.iter().map(|name| escaped(name)).collect();
            layers.extend(way.landlock.map(|abi| format!("Landlock {abi}")));
            layers.extend(way.seccomp.then(|| "seccomp".to_owned()));
            layers.extend(way.cgroup.iter().map(|controller| format!("cgroup {}", escaped(controller))));
            let degraded: Vec<String> = way.degraded.iter().map(|text| escaped(text)).collect();
            let _ = writeln!(
                self.0,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"warning\">{}</td></tr>",
                steps.join(", "),
                escaped(&way.tier),
                layers.join(", "),
                degraded.join("<br>")
            );
        }
        self.text("</table>\n");
    }

    fn artifacts(&mut self, record: &Record) {
        if record.artifacts.is_empty() {
            return;
        }
        self.heading("Artifacts");
        self.text(
            "<table>\n<tr><th>Name</th><th class=\"n\">Files</th><th class=\"n\">Bytes</th><th>SHA-256</th><th></th></tr>\n",
        );
        for artifact in &record.artifacts {
            let name = escaped(&artifact.name);
            let name = match &artifact.delivery.url {
                Some(url) => format!("<a href=\"{}\">{name}</a>", escaped(url)),
                None => name,
            };
            let digest = digest(artifact).map(|digest| digest.to_string()).unwrap_or_default();
            let _ = writeln!(
                self.0,
                "<tr><td>{name}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td><code>{digest}</code></td><td>{}</td></tr>",
                artifact.files,
                artifact.bytes,
                escaped(&artifact_words(artifact)),
            );
            for left_out in &artifact.left_out {
                let _ = writeln!(
                    self.0,
                    "<tr><td></td><td colspan=\"4\">left out: {}</td></tr>",
                    escaped(left_out)
                );
            }
        }
        self.text("</table>\n");
    }
}

/// How a step ended, in words.
fn ended(step: &StepRecord) -> String {
    let mut words = vec![outcome(step).unwrap_or_else(|| step.outcome.as_str().to_owned())];
    if step.flaky {
        words.push(format!("flaky: passed at attempt {}", step.attempts));
    }
    if step.slow {
        words.push("slow".to_owned());
    }
    words.join(", ")
}

/// The lines that a finding points at, with some around them; empty where they cannot be had.
fn excerpt(finding: &Finding, sources: &mut Sources) -> String {
    let (Some(path), Some(start)) = (finding.path.as_deref(), finding.start_line) else {
        return String::new();
    };
    let end = finding.end_line.unwrap_or(start).clamp(start, start.saturating_add(MOST_LINES));
    let mut text = String::new();
    for number in start.saturating_sub(AROUND).max(1)..=end.saturating_add(AROUND) {
        let Some(mut line) = sources.line(path, number) else { continue };
        cut(&mut line, MAX_LINE);
        let hit = if (start..=end).contains(&number) { " class=\"hit\"" } else { "" };
        let _ = write!(text, "<span{hit}><b>{number}</b>{}</span>", escaped(&line));
    }
    if text.is_empty() { text } else { format!("<pre>{text}</pre>") }
}

/// Somebody's words as text of a page: cut, and with nothing in them that a browser would act on.
fn escaped(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, MAX_TEXT);
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            // Characters that turn the reading direction or hide others would let a text lie.
            c if c.is_control() || is_invisible(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Location;
    use crate::report::sample;

    fn page(findings: Vec<Finding>, workspace: &Path) -> String {
        let record = sample::record();
        let test = Test {
            suite: "tests.rows".to_owned(),
            name: "test_<count>".to_owned(),
            outcome: TestOutcome::Failed,
            duration: Some(Duration::from_millis(12)),
        };
        let tests = [("schema".to_owned(), vec![test])];
        let content = Content { record: &record, tests: &tests, workspace };
        of(&content, findings.into_iter().map(Ok)).unwrap()
    }

    fn at(path: &str, line: u32) -> Finding {
        let place = Location { path: Some(path.to_owned()), start_line: Some(line), ..Location::default() };
        Finding::new("lint", Level::Failure, "too long").at(place)
    }

    #[test]
    fn findings_show_their_lines_and_those_around_them() {
        let workspace = tempfile::tempdir().unwrap();
        std::fs::write(workspace.path().join("a.py"), "one\ntwo\nthree < 3\nfour\nfive\nsix\n").unwrap();
        let page = page(vec![at("a.py", 3), at("gone.py", 1)], workspace.path());
        let lines = "<pre><span><b>1</b>one</span><span><b>2</b>two</span><span class=\"hit\"><b>3</b>three &lt; 3</span>\
                     <span><b>4</b>four</span><span><b>5</b>five</span></pre>";
        assert!(page.contains(lines), "{page}");
        assert!(page.contains("<code>gone.py</code>") && page.matches("<pre>").count() == 1);
        assert!(page.contains("Showing 2 of 4"));
    }

    #[test]
    fn hostile_words_stay_words() {
        let workspace = tempfile::tempdir().unwrap();
        let hostile = "</p><script>alert(1)</script>\"'&\u{202e}\u{1b}[31m";
        let mut finding = at(hostile, 1);
        finding.message = hostile.to_owned();
        finding.title = Some(hostile.to_owned());
        finding.rule = Some(hostile.to_owned());
        finding.tool = hostile.to_owned();
        finding.step = hostile.to_owned();
        let page = page(vec![finding], workspace.path());
        assert!(!page.contains("<script") && !page.contains('\u{202e}') && !page.contains('\u{1b}'));
        assert!(page.contains("test_&lt;count&gt;"));
    }

    #[test]
    fn a_page_stays_bounded_and_says_what_it_shows() {
        let workspace = tempfile::tempdir().unwrap();
        let many = (0..20_000).map(|number| {
            let mut finding = at(&format!("f{}.py", number % 7_000), 1);
            finding.message = "x".repeat(20_000);
            finding
        });
        let page = page(many.collect(), workspace.path());
        assert!(page.len() < 12 << 20, "{}", page.len());
        assert!(page.contains("Showing 2000 of"));
    }
}
