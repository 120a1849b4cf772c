//! The run in Markdown, section by section: for the step summary of a job, for a check run, and for a reader of the record.
//!
//! Everything that somebody else said is escaped, so that it can neither look like our words nor break the page. How long
//! a page may be, and what to do with one that is longer, is for whoever asked for it.

pub mod words;

use std::fmt::Write as _;
use std::time::Duration;

use crate::clock::readable;
use crate::finding::Finding;
use crate::page::words::{counted, cut, outcome, place};
use crate::record::{Conclusion, Record, StepRecord};
use crate::redact::Registry;
use crate::redact::terminal::is_invisible;

/// Longest text in a cell of a table, in bytes before it is escaped.
const MAX_CELL: usize = 500;

/// Slowest steps that are listed.
const SLOWEST: usize = 10;

/// A page in the making.
#[derive(Debug)]
pub struct Page<'a> {
    sections: Vec<String>,
    registry: &'a Registry,
}

/// Rows of a table of findings.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows, each with its end of line.
    pub text: String,
    /// How many there are.
    pub count: u64,
}

impl<'a> Page<'a> {
    /// An empty page, to which nothing of `registry` comes.
    #[must_use]
    pub const fn new(registry: &'a Registry) -> Self {
        Self { sections: Vec::new(), registry }
    }

    /// What was written, a text a section. Each ends with the end of a line.
    #[must_use]
    pub fn into_sections(self) -> Vec<String> {
        self.sections
    }

    /// Bytes that were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sections.iter().map(String::len).sum()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// Begins a section with `line`, which is Markdown of ours.
    pub fn section(&mut self, line: &str) {
        self.sections.push(String::new());
        self.line(line);
    }

    /// Adds a line of Markdown of ours to the last section.
    pub fn line(&mut self, line: &str) {
        if self.sections.is_empty() {
            self.sections.push(String::new());
        }
        if let Some(last) = self.sections.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }

    /// Somebody's words, fit for a cell: without secrets, on one line, cut and escaped.
    #[must_use]
    pub fn cell(&self, text: &str) -> String {
        let mut clean = self.registry.text(text).into_owned();
        cut(&mut clean, MAX_CELL);
        escaped(&clean)
    }

    /// The same as code, where GitHub does not look for emoji: `a.py:100:2` has one.
    #[must_use]
    pub fn code(&self, text: &str) -> String {
        let cell = self.cell(text);
        if cell.is_empty() { cell } else { format!("<code>{cell}</code>") }
    }

    /// The verdict, the facts and the notes.
    pub fn head(&mut self, record: &Record) {
        let (mark, word) = match record.conclusion {
            Conclusion::Success => ("✅", "passed"),
            Conclusion::Neutral => ("⚠️", "passed with warnings"),
            Conclusion::Failure => ("❌", "failed"),
            Conclusion::Cancelled => ("⏹️", "cancelled"),
            Conclusion::TimedOut => ("⏱️", "timed out"),
        };
        let name = self.cell(&record.name);
        self.section(&format!("## {mark} {name}: {word}\n"));
        let mut facts = vec![format!("`{}`", record.command), format!("took {}", took(record))];
        let counts = counted(&record.counts);
        facts.push(if counts.is_empty() { "no findings".to_owned() } else { counts });
        if record.suppressed > 0 {
            facts.push(format!("{} suppressed", record.suppressed));
        }
        if let Some(sha) = &record.sha {
            facts.push(format!("commit {}", self.cell(sha)));
        }
        self.line(&facts.join(" · "));
        for note in &record.notes {
            let note = self.cell(note);
            self.line(&format!("\n> {note}"));
        }
    }

    /// A table of the steps.
    pub fn steps(&mut self, record: &Record) {
        if record.steps.is_empty() {
            return;
        }
        self.section(
            "\n### Steps\n\n| | Step | Time | Result | Findings | Sandbox |\n|---|---|---:|---|---|---|",
        );
        for step in &record.steps {
            let row = [
                mark(step).to_owned(),
                self.step_name(step),
                time(step),
                self.cell(&result(step)),
                counted(&step.counts),
                if step.attempts > 0 { self.cell(&step.sandbox.tier) } else { String::new() },
            ];
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }

    fn step_name(&self, step: &StepRecord) -> String {
        let key = self.cell(step.key.as_str());
        if step.name == step.key.as_str() { key } else { format!("{} ({key})", self.cell(&step.name)) }
    }

    /// A table of the gates.
    pub fn gates(&mut self, record: &Record) {
        if record.gates.is_empty() {
            return;
        }
        self.section("\n### Gates\n\n| | Gate | Why |\n|---|---|---|");
        for gate in &record.gates {
            let mark = if gate.passed { "✅" } else { "❌" };
            let row = format!("| {mark} | {} | {} |", self.cell(&gate.name), self.cell(&gate.reason));
            self.line(&row);
        }
    }

    /// Rows of `findings`, as many as fit into `room` bytes.
    #[must_use]
    pub fn rows(&self, findings: &[Finding], room: usize) -> Rows {
        let mut rows = Rows::default();
        for finding in findings {
            let row = self.finding(finding);
            if rows.text.len() + row.len() > room {
                break;
            }
            rows.text.push_str(&row);
            rows.count += 1;
        }
        rows
    }

    /// The findings: `sentence`, which is ours, and a table of `rows` when there are any.
    pub fn findings(&mut self, sentence: &str, rows: &Rows) {
        self.section("\n### Findings\n");
        self.line(sentence);
        if rows.count > 0 {
            self.line("\n| Level | Where | What | Rule |\n|---|---|---|---|");
            self.line(rows.text.trim_end_matches('\n'));
        }
    }

    fn finding(&self, finding: &Finding) -> String {
        let rule = finding.rule.as_deref().map(|rule| format!(" {rule}")).unwrap_or_default();
        let title = finding.title.as_deref().map(|title| format!("{title}: ")).unwrap_or_default();
        format!(
            "| {} | {} | {} | {} |\n",
            finding.level.as_str(),
            self.code(&place(finding)),
            self.cell(&format!("{title}{}", finding.message)),
            self.code(&format!("{}{rule}", finding.tool)),
        )
    }

    /// Tests that were counted.
    pub fn tests(&mut self, record: &Record) {
        let tests = record.tests;
        if tests.passed + tests.failed + tests.skipped > 0 {
            self.section("\n### Tests\n");
            self.line(&format!(
                "{} passed, {} failed, {} skipped",
                tests.passed, tests.failed, tests.skipped
            ));
        }
    }

    /// A table of the artifacts.
    pub fn artifacts(&mut self, record: &Record) {
        if record.artifacts.is_empty() {
            return;
        }
        self.section("\n### Artifacts\n\n| Name | Files | Bytes | SHA-256 | |\n|---|---:|---:|---|---|");
        for artifact in &record.artifacts {
            let mut name = self.cell(&artifact.name);
            if let Some(url) = &artifact.delivery.url {
                // The address is made of our words and of numbers.
                name = format!("[{name}]({url})");
            }
            let row = [
                name,
                artifact.files.to_string(),
                artifact.bytes.to_string(),
                words::digest(artifact).map(|digest| format!("`{digest}`")).unwrap_or_default(),
                self.cell(&words::artifact(artifact)),
            ];
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }

    /// The slowest steps.
    pub fn timings(&mut self, record: &Record) {
        let mut steps: Vec<&StepRecord> = record.steps.iter().filter(|step| step.attempts > 0).collect();
        if steps.is_empty() {
            return;
        }
        steps.sort_by_key(|step| std::cmp::Reverse(step.duration_ms));
        self.section("\n### Slowest steps\n\n| Step | Time | Attempts |\n|---|---:|---:|");
        for step in steps.into_iter().take(SLOWEST) {
            let row = format!("| {} | {} | {} |", self.step_name(step), time(step), step.attempts);
            self.line(&row);
        }
    }

    /// Which layers confined the steps: said of every run, because a green mark without it promises too much.
    pub fn foot(&mut self, record: &Record) {
        let mut tiers: Vec<&str> = Vec::new();
        let mut missing: Vec<&str> = Vec::new();
        for step in record.steps.iter().filter(|step| step.attempts > 0) {
            if !tiers.contains(&step.sandbox.tier.as_str()) {
                tiers.push(&step.sandbox.tier);
            }
            for layer in &step.sandbox.degraded {
                if !missing.contains(&layer.as_str()) {
                    missing.push(layer);
                }
            }
        }
        if tiers.is_empty() {
            self.section("");
        } else {
            let mut line = format!("\nSandbox: tier {}.", self.cell(&tiers.join(", ")));
            if !missing.is_empty() {
                let _ = write!(line, " Not enforced: {}.", self.cell(&missing.join("; ")));
            }
            self.line(&line);
        }
        self.line(&format!("\nRun {}, rungate {}", record.run_id, record.rungate));
    }
}

fn took(record: &Record) -> String {
    readable(record.finished_at.since(record.started_at))
}

fn time(step: &StepRecord) -> String {
    if step.attempts == 0 { String::new() } else { readable(Duration::from_millis(step.duration_ms)) }
}

fn mark(step: &StepRecord) -> &'static str {
    use crate::record::Outcome;
    match step.outcome {
        Outcome::Success => "✅",
        Outcome::Skipped => "⏭️",
        Outcome::Cancelled => "⏹️",
        _ if step.passed() => "⚠️",
        Outcome::TimedOut => "⏱️",
        Outcome::Failure | Outcome::SetupFailed => "❌",
    }
}

fn result(step: &StepRecord) -> String {
    let mut words = vec![outcome(step).unwrap_or_else(|| "passed".to_owned())];
    if step.flaky {
        words.push(format!("flaky: passed at attempt {}", step.attempts));
    } else if step.attempts > 1 {
        words.push(format!("{} attempts", step.attempts));
    }
    if step.slow {
        words.push("slow".to_owned());
    }
    words.join(", ")
}

/// `text` as Markdown shows it letter by letter, on one line. Every character that means something to Markdown or HTML or
/// starts a link is written as a number; a backslash would not do in a table. A number does not keep GitHub from calling
/// a person or linking an issue, so these two get an invisible neighbour as well.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\r' | '\t' => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '@' | '#' => {
                let _ = write!(out, "&#{};&#8203;", u32::from(c));
            }
            ':' if chars.peek() == Some(&'/') => out.push_str("&#58;"),
            '&' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '|' | '\\' | '!' | '~' | '$' | '{' | '}'
            | '^' | '=' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_control() || is_invisible(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    // `www.` alone makes a link, too.
    out.replace("www.", "www&#46;").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_words_stay_words() {
        let text =
            "<img src=x> | **b** [l](http://x) `c` @me #1 www.x.y \u{202e}\u{1b}[2J\r\n::error::x ##[group]";
        insta::assert_snapshot!(escaped(text), @r"&#60;img src&#61;x&#62; &#124; &#42;&#42;b&#42;&#42; &#91;l&#93;(http&#58;//x) &#96;c&#96; &#64;&#8203;me &#35;&#8203;1 www&#46;x.y ��&#91;2J ::error::x &#35;&#8203;&#35;&#8203;&#91;group&#93;");
    }
}
