//! What people see while a run is made, on standard error, and its result, on standard output.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::clock::readable;
use crate::event::RunEvent;
use crate::id::StepKey;
use crate::manifest::model::Fallback;
use crate::record::artifact::ArtifactRecord;
use crate::record::delivery::{Delivered, Delivery};
use crate::record::{Record, StepRecord};
use crate::redact::{Registry, guard};
use crate::report::live::Block;
use crate::report::output::Output;
use crate::report::theme::{Theme, one_line};
use crate::report::words::{self, Worst, step_line};
use crate::report::{Format, Progress, View};

/// Lines of a failed step's output that are shown on a terminal.
const TAIL: usize = 40;

/// Both streams of this process.
#[derive(Debug)]
pub struct Terminal {
    folder: PathBuf,
    view: View,
    err: Output,
    out: Output,
    block: Block,
    worst: Worst,
    /// The record that is still to be shown as JSON, with what becomes of its delivery.
    finished: Option<Box<Record>>,
    /// In Actions: the step whose group is open, and whose output is shown as it comes.
    foreground: Option<StepKey>,
}

impl Terminal {
    /// Shows a run whose record is in `folder` as `view` says, without the secrets of `registry`.
    #[must_use]
    pub fn new(folder: &Path, registry: &Registry, view: View) -> Self {
        Self::with(folder, registry, view, Box::new(io::stderr()), Box::new(io::stdout()))
    }

    fn with(
        folder: &Path,
        registry: &Registry,
        view: View,
        err: Box<dyn io::Write + Send>,
        out: Box<dyn io::Write + Send>,
    ) -> Self {
        let in_actions = view.progress == Progress::Actions;
        Self {
            folder: folder.to_owned(),
            view,
            err: Output::new(err, registry, in_actions),
            out: Output::new(out, registry, in_actions),
            block: Block::new(&[]),
            worst: Worst::default(),
            finished: None,
            foreground: None,
        }
    }

    fn theme(&self) -> Theme {
        Theme { color: self.view.color, unicode: self.view.unicode }
    }

    /// Shows `event`. Everything that is shown of the record on disk must be there by now.
    pub fn event(&mut self, event: &RunEvent) {
        if self.view.format == Format::Jsonl
            && !matches!(
                event,
                RunEvent::StepOutput { .. } | RunEvent::Tests { .. } | RunEvent::Uploading { .. }
            )
            && let Ok(line) = serde_json::to_string(event)
        {
            self.out.json(&format!("{line}\n"));
        }
        match self.view.progress {
            Progress::Live => self.live(event),
            Progress::Plain | Progress::Actions => self.plain(event),
        }
        match event {
            RunEvent::Finding { finding } => self.worst.add(finding),
            RunEvent::RunFinished { record } => match self.view.format {
                Format::Human => {
                    let theme = Theme { color: self.view.color_out, unicode: self.view.unicode };
                    let text = words::result(record, &self.worst, &self.folder, theme, self.view.width_out);
                    if self.view.result_aside { self.err.say(&text) } else { self.out.say(&text) }
                }
                Format::Json => self.finished = Some(record.clone()),
                Format::Jsonl => {}
            },
            RunEvent::Uploaded { artifacts } => self.uploaded(artifacts),
            RunEvent::Delivered { delivery } => self.delivered(delivery),
            _ => {}
        }
    }

    fn uploaded(&mut self, artifacts: &[ArtifactRecord]) {
        if let Some(record) = &mut self.finished {
            record.artifacts = artifacts.to_vec();
        }
        if self.view.format != Format::Human {
            return;
        }
        for artifact in artifacts {
            if let Some(url) = &artifact.delivery.url {
                let text = format!("artifact {}: {}\n", one_line(&artifact.name), one_line(url));
                if self.view.result_aside { self.err.say(&text) } else { self.out.say(&text) }
            }
        }
    }

    fn delivered(&mut self, delivery: &Delivery) {
        if let Some(record) = &mut self.finished {
            record.delivery = delivery.clone();
        }
        if let Some(instead) = delivery.instead {
            let why = one_line(delivery.reason.as_deref().unwrap_or_default());
            let told = match instead {
                Fallback::Status => "a commit status",
                Fallback::StepSummary | Fallback::CheckRun => "the summary of the job",
            };
            self.err.say(&format!("note: the verdict is told by {told}, and not by a check run: {why}\n"));
        }
        if self.view.format != Format::Human {
            return;
        }
        let page = delivery.html_url.as_deref().map(one_line);
        if let (Delivered::Delivered, Some(page)) = (delivery.check_run, page) {
            self.out.say(&format!("check run: {page}\n"));
        }
        if let Some(sarif) = delivery.sarif.as_ref().and_then(words::of_upload) {
            self.out.say(&format!("code scanning: {sarif}\n"));
        }
    }

    /// Time has passed and nothing happened.
    pub fn tick(&mut self) {
        if self.view.progress == Progress::Live {
            self.above("");
        }
    }

    /// Ends what is shown.
    ///
    /// # Errors
    /// The first thing that standard output did not take.
    pub fn finish(mut self) -> io::Result<()> {
        let erase = self.block.erase();
        self.err.raw(&erase);
        if let Some(record) = self.finished.take()
            && let Ok(text) = serde_json::to_string_pretty(&record)
        {
            self.out.json(&format!("{text}\n"));
        }
        // Whether somebody read the talk does not matter.
        let _ = self.err.finish();
        self.out.finish()
    }

    /// Shows `text` above the block, and the block below it.
    fn above(&mut self, text: &str) {
        let erase = self.block.erase();
        self.err.raw(&erase);
        self.err.say(text);
        let block = self.block.draw(self.theme(), self.view.width, self.view.height);
        self.err.say(&block);
    }

    fn live(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { steps, .. } => self.block = Block::new(steps),
            RunEvent::Waiting { group, .. } => self.block.waiting_for(group),
            RunEvent::StepStarted { key, attempt, .. } => self.block.started(key, *attempt),
            RunEvent::StepSlow { key, .. } => self.block.slow_or_stopping(key, false),
            RunEvent::StepStopping { key, .. } => self.block.slow_or_stopping(key, true),
            RunEvent::StepOutput { key, bytes, .. } => {
                if self.view.verbose {
                    let text = self.prefixed(key, bytes);
                    self.above(&text);
                }
                return;
            }
            RunEvent::StepFinished { step, .. } => {
                self.block.over(step);
                let shown = if self.view.verbose || step.passed() { String::new() } else { self.tail(step) };
                self.above(&shown);
                return;
            }
            RunEvent::RunFinished { .. } | RunEvent::Uploaded { .. } => {
                let erase = self.block.erase();
                self.err.raw(&erase);
                self.block = Block::new(&[]);
                return;
            }
            RunEvent::Uploading { name, sent, of } => self.block.uploading(name, *sent, *of),
            RunEvent::StepRetry { .. }
            | RunEvent::Artifact { .. }
            | RunEvent::Finding { .. }
            | RunEvent::FindingAgain { .. }
            | RunEvent::FindingSuppressed { .. }
            | RunEvent::Tests { .. }
            | RunEvent::ProcessStarted { .. }
            | RunEvent::ProcessEnded { .. }
            | RunEvent::CancelRequested { .. }
            | RunEvent::Delivered { .. }
            | RunEvent::Judged { .. } => return,
        }
        self.above("");
    }

    /// The last lines of a step that did not pass, from its log.
    fn tail(&self, step: &StepRecord) -> String {
        let log = self.log(step);
        let lines: Vec<&str> = log.lines().collect();
        if lines.is_empty() {
            return String::new();
        }
        let skipped = lines.len().saturating_sub(TAIL);
        let mut text = format!("{} said", one_line(step.key.as_str()));
        if skipped > 0 {
            let _ = write!(text, " (the last {TAIL} of {} lines)", lines.len());
        }
        text.push_str(":\n");
        for line in &lines[skipped..] {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn log(&self, step: &StepRecord) -> String {
        let path = self.folder.join("steps").join(&step.folder).join("output.log");
        let bytes = std::fs::read(path).unwrap_or_default();
        guard::terminal_safe(&String::from_utf8_lossy(&bytes), self.view.color)
    }

    /// Whole lines of a step's output, each with the step's name before it.
    fn prefixed(&self, key: &StepKey, bytes: &[u8]) -> String {
        let text = guard::terminal_safe(&String::from_utf8_lossy(bytes), self.view.color);
        let key = one_line(key.as_str());
        text.lines().fold(String::new(), |mut prefixed, line| {
            let _ = writeln!(prefixed, "[{key}] {line}");
            prefixed
        })
    }

    fn plain(&mut self, event: &RunEvent) {
        let text = match event {
            RunEvent::RunStarted { run_id, name, steps, .. } => {
                let plural = if steps.len() == 1 { "" } else { "s" };
                format!("rungate: {}: {} step{plural}, run {run_id}\n", one_line(name), steps.len())
            }
            RunEvent::Waiting { group, holder, .. } => {
                let holder = holder.map(|pid| format!(" (process {pid})")).unwrap_or_default();
                format!("rungate: waiting for another run of the group {}{holder}\n", one_line(group))
            }
            RunEvent::StepStarted { key, attempt, .. } => return self.begin(key, *attempt),
            RunEvent::StepOutput { key, bytes, .. } => return self.output(key, bytes),
            RunEvent::StepSlow { key, elapsed_ms, .. } => {
                let elapsed = readable(std::time::Duration::from_millis(*elapsed_ms));
                format!("[{}] SLOW: still running after {elapsed}\n", one_line(key.as_str()))
            }
            RunEvent::StepStopping { key, reason, signal, .. } => {
                format!("[{}] {signal}: {}\n", one_line(key.as_str()), one_line(reason))
            }
            RunEvent::StepRetry { key, attempt, reason, .. } => {
                format!(
                    "[{}] attempt {attempt} failed: {}; trying again\n",
                    one_line(key.as_str()),
                    one_line(reason)
                )
            }
            RunEvent::StepFinished { step, .. } => return self.end(step),
            RunEvent::CancelRequested { reason, .. } => format!("rungate: stopping: {}\n", one_line(reason)),
            RunEvent::Artifact { artifact, .. } => {
                format!("rungate: artifact {}\n", words::artifact_line(artifact))
            }
            RunEvent::Uploading { .. }
            | RunEvent::Uploaded { .. }
            | RunEvent::Finding { .. }
            | RunEvent::FindingAgain { .. }
            | RunEvent::FindingSuppressed { .. }
            | RunEvent::Tests { .. }
            | RunEvent::ProcessStarted { .. }
            | RunEvent::ProcessEnded { .. }
            | RunEvent::Judged { .. }
            | RunEvent::Delivered { .. }
            | RunEvent::RunFinished { .. } => return,
        };
        self.err.say(&text);
    }

    fn begin(&mut self, key: &StepKey, attempt: u32) {
        let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        if self.view.progress == Progress::Actions {
            if attempt == 1 && self.foreground.is_none() {
                self.foreground = Some(key.clone());
                self.err.command("group", key.as_str());
            }
            return;
        }
        self.err.say(&format!("[{}] started{again}\n", one_line(key.as_str())));
    }

    fn output(&mut self, key: &StepKey, bytes: &[u8]) {
        if self.view.progress == Progress::Plain {
            let text = self.prefixed(key, bytes);
            self.err.say(&text);
        } else if self.foreground.as_ref() == Some(key) {
            let text = guard::terminal_safe(&String::from_utf8_lossy(bytes), true);
            self.err.say(&text);
        }
    }

    fn end(&mut self, step: &StepRecord) {
        let in_actions = self.view.progress == Progress::Actions;
        // Groups do not nest: the one that is open is closed for what is said of another step, and opened again after it.
        if in_actions && self.foreground.is_some() {
            self.err.raw("::endgroup::\n");
        }
        if self.foreground.as_ref() == Some(&step.key) {
            self.foreground = None;
        } else if in_actions && step.attempts > 0 {
            self.group_of_log(step);
        }
        let line = step_line(step, self.theme(), 0, self.view.width);
        self.err.say(&format!("{}\n", line.trim_start()));
        if let Some(key) = self.foreground.clone() {
            self.err.command("group", key.as_str());
        }
    }

    /// A step that ran while another one had the foreground: its whole output, from its log.
    fn group_of_log(&mut self, step: &StepRecord) {
        self.err.command("group", step.key.as_str());
        let log = self.log(step);
        self.err.say(&log);
        if !log.is_empty() && !log.ends_with('\n') {
            self.err.raw("\n");
        }
        self.err.raw("::endgroup::\n");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::RunId;
    use crate::record::Outcome;
    use crate::report::sample;

    /// A stream that can be looked at afterwards.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn key(id: &str) -> StepKey {
        sample::step(id, Outcome::Success).key
    }

    /// Two steps that overlap, the second one with hostile output: what standard error got.
    fn overlapping(progress: Progress) -> String {
        let folder = tempfile::tempdir().unwrap();
        let hostile = "second\n::error::forged ##[error]x\n\u{1b}[2Jgone\n";
        let log = folder.path().join("steps/two");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(log.join("output.log"), hostile).unwrap();
        let view = View {
            format: Format::Human,
            progress,
            color: false,
            color_out: false,
            unicode: true,
            width: 100,
            height: 24,
            width_out: 100,
            verbose: false,
            result_aside: false,
        };
        let err = Shared::default();
        let mut terminal = Terminal::with(
            folder.path(),
            &Registry::new(),
            view,
            Box::new(err.clone()),
            Box::new(Shared::default()),
        );
        let at = Timestamp::from_unix_seconds(0);
        let start = |id| RunEvent::StepStarted { key: key(id), at, attempt: 1 };
        let says = |id, text: &str| RunEvent::StepOutput { key: key(id), bytes: text.as_bytes().into() };
        let ends = |step| RunEvent::StepFinished { at, step: Box::new(step) };
        let failed =
            StepRecord { reason: Some("exit code 1".to_owned()), ..sample::step("two", Outcome::Failure) };
        let begun = RunEvent::RunStarted {
            run_id: RunId::fresh(),
            at,
            name: "Check".to_owned(),
            steps: vec![key("one"), key("two")],
        };
        for event in [
            begun,
            start("one"),
            says("one", "first\n"),
            start("two"),
            says("two", hostile),
            ends(failed),
            says("one", "more\n"),
            ends(sample::step("one", Outcome::Success)),
        ] {
            terminal.event(&event);
        }
        terminal.finish().unwrap();
        let said = String::from_utf8(err.0.lock().unwrap().clone()).unwrap();
        // The first line names the run by its id.
        said.split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn a_plain_log_names_the_step_of_every_line() {
        insta::assert_snapshot!(overlapping(Progress::Plain), @r"
        [one] started
        [one] first
        [two] started
        [two] second
        [two] ::error::forged ##[error]x
        [two] gone
        ✗ two  1.2s, exit code 1
        [one] more
        ✓ one  1.2s
        ");
    }

    #[test]
    fn in_actions_every_step_has_one_group_at_a_time_and_no_line_is_a_command_but_ours() {
        insta::assert_snapshot!(overlapping(Progress::Actions), @r"
        ::group::one
        first
        ::endgroup::
        ::group::two
        second
        : :error::forged ## [error]x
        gone
        ::endgroup::
        ✗ two  1.2s, exit code 1
        ::group::one
        more
        ::endgroup::
        ✓ one  1.2s
        ");
    }

    #[test]
    fn the_live_view_shows_what_a_failed_step_said_and_leaves_nothing_behind() {
        let said = overlapping(Progress::Live);
        assert!(
            said.contains("two said:\n    second\n    ::error::forged ##[error]x\n    gone\n"),
            "{said:?}"
        );
        assert!(said.ends_with("\r\u{1b}[J"), "the block is erased: {said:?}");
        assert!(!said.contains("\u{1b}[2J"), "{said:?}");
    }
}
