//! The result of a run, for people.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use crate::clock::readable;
use crate::finding::Finding;
use crate::page::words::{self, counted, outcome, place, size};
use crate::record::artifact::{ArtifactRecord, ArtifactState, Uploaded};
use crate::record::delivery::{Delivered, Processing, SarifDelivery};
use crate::record::{Record, StepRecord};
use crate::report::theme::{Paint, Theme, one_line, pad, wrap};

/// Most findings that the result shows.
pub(super) const SHOWN: usize = 20;

/// Most lines that one finding takes; the record has all of it.
const MOST_LINES: usize = 3;

/// The findings that the result shows: the worst, and of equal ones the first.
#[derive(Debug, Default)]
pub(super) struct Worst(Vec<Finding>);

impl Worst {
    pub(super) fn add(&mut self, finding: &Finding) {
        if finding.filtered {
            return;
        }
        let at = self.0.partition_point(|other| other.level >= finding.level);
        if at < SHOWN {
            self.0.insert(at, finding.clone());
            self.0.truncate(SHOWN);
        }
    }
}

/// What is said of an upload to code scanning; nothing of one that failed, which is trouble and told as such.
pub(super) fn of_upload(delivery: &SarifDelivery) -> Option<String> {
    let why = delivery.reason.as_deref().map(one_line).unwrap_or_default();
    match delivery.upload {
        Delivered::None => Some(format!("nothing was uploaded: {why}")),
        Delivered::Pending | Delivered::Failed => None,
        Delivered::Delivered => {
            let plural = if delivery.results == 1 { "" } else { "s" };
            let what = format!("{} result{plural}", delivery.results);
            let without = match delivery.without_place {
                0 => String::new(),
                some => format!(", without {some} that are in no file of the repository"),
            };
            let how = match delivery.processing {
                Some(Processing::Complete) => "",
                Some(Processing::Pending | Processing::Failed) | None => ", not processed yet",
            };
            Some(format!("{what}{without}{how}"))
        }
    }
}

/// What is said when a run is over.
pub(super) fn result(record: &Record, worst: &Worst, folder: &Path, theme: Theme, width: usize) -> String {
    let mut text = String::new();
    let names = record
        .steps
        .iter()
        .map(|step| one_line(step.key.as_str()).width())
        .max()
        .unwrap_or(0)
        .min(most_name(width));
    for step in &record.steps {
        let _ = writeln!(text, "{}", step_line(step, theme, names, width));
    }
    findings(record, worst, theme, width, &mut text);
    let _ = writeln!(text, "\n{}", theme.paint(Paint::Bold, "gates"));
    for gate in &record.gates {
        let line = wrap(&one_line(&format!("{}: {}", gate.name, gate.reason)), 4, width);
        let _ = writeln!(text, "  {} {line}", theme.passed_mark(gate.passed));
        if let Some(first) = gate.gone.first() {
            let gone = format!(
                "{} of the baseline no longer occur, such as {}: `rungate baseline update` takes them out",
                gate.gone.len(),
                [first.path.as_deref(), first.rule.as_deref()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" ")
            );
            let _ = writeln!(text, "    {}", wrap(&one_line(&gone), 4, width));
        }
    }
    artifacts(record, theme, width, &mut text);
    text.push('\n');
    for note in &record.notes {
        let _ = writeln!(text, "note: {}", wrap(&one_line(note), 6, width));
    }
    sandbox(record, theme, width, &mut text);
    let _ = writeln!(text, "record: {}", folder.display());
    let took = readable(record.finished_at.since(record.started_at));
    let _ = writeln!(text, "\n{} {} in {took}", theme.conclusion(record.conclusion), one_line(&record.name));
    text
}

/// What was kept, and what of it was left out.
fn artifacts(record: &Record, theme: Theme, width: usize, text: &mut String) {
    if record.artifacts.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", theme.paint(Paint::Bold, "artifacts"));
    for artifact in &record.artifacts {
        let good = artifact.state != ArtifactState::Refused && artifact.delivery.state != Uploaded::Failed;
        let line = wrap(&artifact_line(artifact), 4, width);
        let _ = writeln!(text, "  {} {line}", theme.passed_mark(good));
        for left_out in &artifact.left_out {
            let _ = writeln!(text, "    {}", wrap(&format!("left out: {}", one_line(left_out)), 6, width));
        }
        let more = artifact.left_out_count.saturating_sub(artifact.left_out.len() as u64);
        if more > 0 {
            let _ = writeln!(text, "    and {more} more");
        }
    }
}

/// One artifact in one line.
pub(super) fn artifact_line(artifact: &ArtifactRecord) -> String {
    let mut line = one_line(&artifact.name);
    if artifact.state == ArtifactState::Kept {
        let plural = if artifact.files == 1 { "" } else { "s" };
        let _ = write!(line, ": {} file{plural}, {}", artifact.files, size(artifact.bytes));
    }
    let words = words::artifact(artifact);
    if !words.is_empty() {
        let _ = write!(line, ": {}", one_line(&words));
    }
    line
}

/// Columns that the names of steps may have, so that as many are left for what happened.
pub(super) fn most_name(width: usize) -> usize {
    (width / 2).min(40)
}

/// One step that is over, in one line.
pub(super) fn step_line(step: &StepRecord, theme: Theme, names: usize, width: usize) -> String {
    let mut words = Vec::new();
    if step.attempts > 0 {
        words.push(readable(Duration::from_millis(step.duration_ms)));
    }
    if let Some(word) = outcome(step) {
        words.push(word);
    }
    if step.flaky {
        words.push(format!("flaky: passed at attempt {}", step.attempts));
    } else if step.attempts > 1 {
        words.push(format!("{} attempts", step.attempts));
    }
    if step.slow {
        words.push("slow".to_owned());
    }
    if step.counts.total() > 0 {
        words.push(counted(&step.counts));
    }
    let key = pad(&theme.fit(&one_line(step.key.as_str()), most_name(width)), names);
    let rest = theme.fit(&one_line(&words.join(", ")), width.saturating_sub(key.width() + 7));
    format!("  {} {key}  {rest}", theme.step_mark(step)).trim_end().to_owned()
}

fn findings(record: &Record, worst: &Worst, theme: Theme, width: usize, text: &mut String) {
    let total = record.counts.total();
    if total + record.suppressed == 0 {
        return;
    }
    let mut counts = vec![counted(&record.counts)];
    counts.retain(|counts| !counts.is_empty());
    if record.suppressed > 0 {
        counts.push(format!("{} suppressed", record.suppressed));
    }
    let shown = worst.0.len() as u64;
    let outside = match record.filtered {
        0 => String::new(),
        count => format!("; {count} outside of what changed are not shown"),
    };
    let showing =
        if shown < total { format!(" (showing {shown} of {total}{outside})") } else { String::new() };
    let _ = writeln!(text, "\n{}: {}{showing}", theme.paint(Paint::Bold, "findings"), counts.join(", "));
    for finding in &worst.0 {
        let mut line = place(finding);
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(finding.message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default());
        let rule = finding.rule.as_ref().map(|rule| format!(" {rule}")).unwrap_or_default();
        let tail = format!("[{}]", one_line(&format!("{}{rule}", finding.tool)));
        let indent = finding.level.as_str().len() + 3;
        let line = theme.fit(&one_line(&line), width.saturating_mul(MOST_LINES));
        let mut line = wrap(&line, indent, width);
        let used = line.rsplit('\n').next().unwrap_or_default().width();
        // Only the first of several lines stands behind the level.
        let used = if line.contains('\n') { used } else { used + indent };
        if used + 2 + tail.width() > width {
            let _ = write!(line, "\n{}", " ".repeat(indent));
        } else {
            line.push_str("  ");
        }
        let _ = writeln!(text, "  {} {line}{}", theme.level(finding.level), theme.paint(Paint::Dim, &tail));
    }
}

/// Which layers confined the steps, and what was not enforced: said once for all steps that are alike.
fn sandbox(record: &Record, theme: Theme, width: usize, text: &mut String) {
    let mut seen = Vec::new();
    for step in record.steps.iter().filter(|step| step.attempts > 0) {
        if !seen.contains(&&step.sandbox) {
            seen.push(&step.sandbox);
        }
    }
    let alike = seen.len() == 1;
    for report in seen {
        let keys = || {
            let keys: Vec<&str> = record
                .steps
                .iter()
                .filter(|step| step.sandbox == *report)
                .map(|step| step.key.as_str())
                .collect();
            format!(" ({})", one_line(&keys.join(", ")))
        };
        let whose = if alike { String::new() } else { keys() };
        let _ = writeln!(text, "sandbox: tier {}{whose}", theme.paint(Paint::Yellow, &report.tier));
        for missing in &report.degraded {
            let _ = writeln!(text, "  {}", wrap(&format!("not enforced: {}", one_line(missing)), 4, width));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_result_fits_its_screen_and_cuts_no_reason() {
        let mut worst = Worst::default();
        let record = sample::record();
        for finding in sample::findings() {
            worst.add(&finding);
        }
        let theme = Theme { color: false, unicode: false };
        let text = result(&record, &worst, Path::new("/runs/1"), theme, 60);
        insta::assert_snapshot!(text, @"
          ok fetch    1.2s, flaky: passed at attempt 2
          XX schema   1.2s, exit code 1, 3 failures, 1 warning
          XX lint     1.2s, failed (does not count)
          -- publish  skipped: a step that it needs did not succeed
          XX config   1.2s, could not be started: the working dir...

        findings: 3 failures, 1 warning, 2 suppressed (showing 3 of 4)
          failure data/orders.csv:3:2  no such <column> & more
                  [schema S1]
          failure no rows  [schema]
          warning data/orders.csv:9:2  odd name  [schema]

        gates
          XX steps: schema failed
          ok data: no failures

        artifacts
          ok report: 2 files, 99 bytes: 1 left out
            left out: b/x is a FIFO

        note: the working tree is not the head commit
        sandbox: tier none
          not enforced: network
          not enforced: memory
        record: /runs/1

        FAILED Rehydrate | validate in 12.0s
        ");
    }
}
