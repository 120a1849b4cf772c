//! The run in Markdown: for the step summary of a job, for a check run, and for a reader of the record.
//!
//! Everything that somebody else said is escaped, so that it can neither look like our words nor break the page.

use std::fmt::Write as _;
use std::time::Duration;

use crate::clock::readable;
use crate::finding::Finding;
use crate::manifest::model::SummarySection;
use crate::record::{Conclusion, Record, StepRecord};
use crate::redact::Registry;
use crate::report::kept::{Kept, cut};
use crate::report::theme::is_invisible;
use crate::report::words::{counted, outcome, place};

/// Most bytes: GitHub drops a step summary of more than 1 MiB whole. A little room is left for a page that has some already.
pub(super) const MAX_BYTES: usize = (1 << 20) - (16 << 10);

/// Longest text in a cell of a table, in bytes before it is escaped.
const MAX_CELL: usize = 500;

/// Slowest steps that are listed.
const SLOWEST: usize = 10;

const CUT: &str = "\n\n**The summary is cut here: it is too long for GitHub. The record has everything.**\n";

/// The summary of `record`, with `sections` in their order.
pub(super) fn of(record: &Record, kept: &Kept, sections: &[SummarySection], registry: &Registry) -> String {
    let mut page = Page { text: String::new(), registry };
    page.head(record);
    for section in sections {
        match section {
            SummarySection::Steps => page.steps(record),
            SummarySection::Gates => page.gates(record),
            SummarySection::Findings => page.findings(record, kept.worst()),
            SummarySection::Tests => page.tests(record),
            SummarySection::Artifacts => page.artifacts(record),
            SummarySection::Timings => page.timings(record),
        }
    }
    page.foot(record);
    fitted(page.text)
}

/// `page` with what steps wrote to their own summaries after it, each `(step, Markdown)`. It is somebody else's Markdown
/// and stands last, so that nothing in it can swallow words of ours.
pub(super) fn with_own(mut page: String, own: &[(String, String)]) -> String {
    for (step, markdown) in own {
        let _ =
            write!(page, "\n---\n\n### Written by the step {}\n\n{}\n", escaped(step), markdown.trim_end());
    }
    fitted(page)
}

/// `text`, cut with a mark when it is too long.
fn fitted(mut text: String) -> String {
    if text.len() > MAX_BYTES {
        let end = text.floor_char_boundary(MAX_BYTES - CUT.len());
        // Half a line could be half a table or half an escape.
        text.truncate(text[..end].rfind('\n').unwrap_or(end));
        text.push_str(CUT);
    }
    text
}

struct Page<'a> {
    text: String,
    registry: &'a Registry,
}

impl Page<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Somebody's words, fit for a cell: without secrets, on one line, cut and escaped.
    fn cell(&self, text: &str) -> String {
        let mut clean = self.registry.text(text).into_owned();
        cut(&mut clean, MAX_CELL);
        escaped(&clean)
    }

    /// The same as code, where GitHub does not look for emoji: `a.py:100:2` has one.
    fn code(&self, text: &str) -> String {
        let cell = self.cell(text);
        if cell.is_empty() { cell } else { format!("<code>{cell}</code>") }
    }

    fn head(&mut self, record: &Record) {
        let (mark, word) = match record.conclusion {
            Conclusion::Success => ("✅", "passed"),
            Conclusion::Neutral => ("⚠️", "passed with warnings"),
            Conclusion::Failure => ("❌", "failed"),
            Conclusion::Cancelled => ("⏹️", "cancelled"),
            Conclusion::TimedOut => ("⏱️", "timed out"),
        };
        let name = self.cell(&record.name);
        self.line(&format!("## {mark} {name}: {word}\n"));
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

    fn steps(&mut self, record: &Record) {
        if record.steps.is_empty() {
            return;
        }
        self.line("\n### Steps\n\n| | Step | Time | Result | Findings |\n|---|---|---:|---|---|");
        for step in &record.steps {
            let row = [
                mark(step).to_owned(),
                self.step_name(step),
                time(step),
                self.cell(&result(step)),
                counted(&step.counts),
            ];
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }

    fn step_name(&self, step: &StepRecord) -> String {
        let key = self.cell(step.key.as_str());
        if step.name == step.key.as_str() { key } else { format!("{} ({key})", self.cell(&step.name)) }
    }

    fn gates(&mut self, record: &Record) {
        if record.gates.is_empty() {
            return;
        }
        self.line("\n### Gates\n\n| | Gate | Why |\n|---|---|---|");
        for gate in &record.gates {
            let mark = if gate.passed { "✅" } else { "❌" };
            let row = format!("| {mark} | {} | {} |", self.cell(&gate.name), self.cell(&gate.reason));
            self.line(&row);
        }
    }

    fn findings(&mut self, record: &Record, worst: &[Finding]) {
        let total = record.counts.total();
        if total == 0 {
            return;
        }
        let mut table = String::new();
        let mut shown = 0;
        // What comes behind the findings is short, and should not be what is cut.
        let room = MAX_BYTES.saturating_sub(self.text.len() + 64 * 1024);
        for finding in worst {
            let row = self.finding(finding);
            if table.len() + row.len() > room {
                break;
            }
            table.push_str(&row);
            shown += 1;
        }
        self.line("\n### Findings\n");
        let outside = match record.filtered {
            0 => String::new(),
            count => format!(" ({count} outside of what changed are not shown)"),
        };
        let counts = counted(&record.counts);
        self.line(&format!("{counts}, showing {shown} of {total}{outside}, worst first.\n"));
        self.line("| Level | Where | What | Rule |\n|---|---|---|---|");
        self.text.push_str(&table);
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

    fn tests(&mut self, record: &Record) {
        let tests = record.tests;
        if tests.passed + tests.failed + tests.skipped > 0 {
            self.line("\n### Tests\n");
            self.line(&format!(
                "{} passed, {} failed, {} skipped",
                tests.passed, tests.failed, tests.skipped
            ));
        }
    }

    fn artifacts(&mut self, record: &Record) {
        if record.artifacts.is_empty() {
            return;
        }
        self.line("\n### Artifacts\n\n| Name | Files | Bytes | SHA-256 |\n|---|---:|---:|---|");
        for artifact in &record.artifacts {
            let name = self.cell(&artifact.name);
            self.line(&format!(
                "| {name} | {} | {} | `{}` |",
                artifact.files, artifact.bytes, artifact.sha256
            ));
        }
    }

    fn timings(&mut self, record: &Record) {
        let mut steps: Vec<&StepRecord> = record.steps.iter().filter(|step| step.attempts > 0).collect();
        if steps.is_empty() {
            return;
        }
        steps.sort_by_key(|step| std::cmp::Reverse(step.duration_ms));
        self.line("\n### Slowest steps\n\n| Step | Time | Attempts |\n|---|---:|---:|");
        for step in steps.into_iter().take(SLOWEST) {
            let row = format!("| {} | {} | {} |", self.step_name(step), time(step), step.attempts);
            self.line(&row);
        }
    }

    /// Which layers confined the steps: said of every run, because a green mark without it promises too much.
    fn foot(&mut self, record: &Record) {
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
        if !tiers.is_empty() {
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
    }
    if step.slow {
        words.push("slow".to_owned());
    }
    words.join(", ")
}

/// `text` as Markdown shows it letter by letter, on one line. Every character that means something to Markdown or HTML or
/// starts a link is written as a number; a backslash would not do in a table. A number does not keep GitHub from calling
/// a person or linking an issue, so these two get an invisible neighbour as well.
fn escaped(text: &str) -> String {
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
    use crate::finding::Level;
    use crate::report::sample;

    #[test]
    fn what_steps_wrote_stands_after_our_own_words_and_is_cut_with_them() {
        let own = [("a".to_owned(), "# x\n".to_owned()), ("b (<i>)".to_owned(), "y".repeat(MAX_BYTES))];
        let page = with_own("ours\n".to_owned(), &own);
        assert!(page.starts_with("ours\n\n---\n\n### Written by the step a\n\n# x\n\n---\n\n### Written by the step b (&#60;i&#62;)"));
        assert!(page.len() <= MAX_BYTES && page.ends_with(CUT));
    }

    #[test]
    fn a_page_has_its_sections_in_the_order_that_was_asked_for() {
        let record = sample::record();
        let page = of(&record, &sample::kept(), &sample::SECTIONS, &Registry::new());
        let page = page.replace(&record.run_id.to_string(), "RUN");
        insta::assert_snapshot!(page, @r"
        ## ❌ Rehydrate &#124; validate: failed

        `rehydrate` · took 12.0s · 3 failures, 1 warning · 2 suppressed · commit 0123456789abcdef

        > the working tree is not the head commit

        ### Steps

        | | Step | Time | Result | Findings |
        |---|---|---:|---|---|
        | ✅ | fetch | 1.2s | passed, flaky: passed at attempt 2 |  |
        | ❌ | Schema &#38; &#60;references&#62; (schema) | 1.2s | exit code 1 | 3 failures, 1 warning |
        | ⚠️ | lint | 1.2s | failed (does not count) |  |
        | ⏭️ | publish |  | skipped: a step that it needs did not succeed |  |
        | ❌ | config | 1.2s | could not be started: the working directory is gone |  |

        ### Gates

        | | Gate | Why |
        |---|---|---|
        | ❌ | steps | schema failed |
        | ✅ | data | no failures |

        ### Findings

        3 failures, 1 warning, showing 3 of 4, worst first.

        | Level | Where | What | Rule |
        |---|---|---|---|
        | failure | <code>data/orders.csv:3:2</code> | no such &#60;column&#62; &#38; more second line | <code>schema S1</code> |
        | failure |  | no rows | <code>schema</code> |
        | warning | <code>data/orders.csv:9:2</code> | odd name | <code>schema</code> |

        ### Tests

        7 passed, 1 failed, 2 skipped

        ### Artifacts

        | Name | Files | Bytes | SHA-256 |
        |---|---:|---:|---|
        | report | 2 | 99 | `e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` |

        ### Slowest steps

        | Step | Time | Attempts |
        |---|---:|---:|
        | fetch | 1.2s | 2 |
        | Schema &#38; &#60;references&#62; (schema) | 1.2s | 1 |
        | lint | 1.2s | 1 |
        | config | 1.2s | 1 |

        Sandbox: tier none. Not enforced: network; memory.

        Run RUN, rungate 0.0.0
        ");
    }

    #[test]
    fn hostile_words_stay_words() {
        let text =
            "<img src=x> | **b** [l](http://x) `c` @me #1 www.x.y \u{202e}\u{1b}[2J\r\n::error::x ##[group]";
        insta::assert_snapshot!(escaped(text), @r"&#60;img src&#61;x&#62; &#124; &#42;&#42;b&#42;&#42; &#91;l&#93;(http&#58;//x) &#96;c&#96; &#64;&#8203;me &#35;&#8203;1 www&#46;x.y ��&#91;2J ::error::x &#35;&#8203;&#35;&#8203;&#91;group&#93;");
    }

    #[test]
    fn a_page_that_is_too_long_is_cut_at_a_line_and_says_so() {
        let mut record = sample::record();
        let step = record.steps[0].clone();
        for number in 0..20_000 {
            let mut step = step.clone();
            step.name = format!("ä step {number} | {}", "<&>".repeat(60));
            record.steps.push(step);
        }
        let page = of(&record, &Kept::default(), &[SummarySection::Steps], &Registry::new());
        assert!(page.len() <= MAX_BYTES);
        assert!(page.ends_with(CUT) && page.contains("\n\n**The summary is cut here"));
    }

    #[test]
    fn many_long_findings_leave_room_for_the_rest_and_are_counted_exactly() {
        let mut kept = Kept::default();
        let mut record = sample::record();
        record.counts = crate::finding::Counts::default();
        for _ in 0..1_000 {
            kept.add(&Finding::new("t", Level::Failure, "<".repeat(1 << 16)));
            record.counts.add(Level::Failure);
        }
        let page = of(&record, &kept, &[SummarySection::Findings, SummarySection::Gates], &Registry::new());
        assert!(page.contains("1000 failures, showing 200 of 1000, worst first."));
        assert!(page.contains("### Gates") && page.len() <= MAX_BYTES);
    }

    #[test]
    fn a_secret_is_found_before_it_is_escaped_or_cut() {
        let registry = Registry::new();
        let _ = registry.add("p_a_s_s*w0rd");
        let mut kept = Kept::default();
        kept.add(&Finding::new("t", Level::Failure, format!("{}p_a_s_s*w0rd", "x".repeat(MAX_CELL - 6))));
        let page = of(&sample::record(), &kept, &[SummarySection::Findings], &registry);
        assert!(!page.contains("p&#95;a"), "{page}");
    }
}
