//! What becomes of a step's output: lines for the parsers, and, without secrets, the log, the terminal and the tail.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::event::Stream;
use crate::finding::{Finding, Level};
use crate::parse::workflow_commands::Said;
use crate::parse::{LineParser, Origin};
use crate::redact;
use crate::run::capture::Captures;
use crate::run::findings::Spool;
use crate::run::log::Log;

/// Lines of output that a diagnosis can look back on.
const TAIL_LINES: usize = 40;

/// Longest line of the tail, in bytes.
const TAIL_LINE: usize = 2_000;

/// A line without an end is passed on in pieces of this size, so that it cannot grow without bound.
const LONGEST_PENDING: usize = 256 << 10;

/// Everything that a step's output flows through.
pub(super) struct Output {
    registry: redact::Registry,
    stdout: Half,
    stderr: Half,
    parser: LineParser,
    /// What is read once the step has ended.
    pub(super) captures: Captures,
    /// The log file.
    pub(super) log: Log,
    /// The findings of this attempt.
    pub(super) spool: Spool,
    tail: VecDeque<String>,
    /// When something was last written.
    pub(super) last: Option<Instant>,
}

/// One stream.
struct Half {
    redactor: redact::Stream,
    /// Redacted text that has no line end yet.
    pending: Vec<u8>,
}

impl Half {
    fn new(registry: &redact::Registry) -> Self {
        Self { redactor: redact::Stream::new(registry), pending: Vec::new() }
    }

    /// Takes whole lines off the pending text; everything, when it has grown too long or the stream has ended.
    fn take(&mut self, all: bool) -> Vec<u8> {
        if all || self.pending.len() > LONGEST_PENDING {
            return std::mem::take(&mut self.pending);
        }
        match memchr::memrchr(b'\n', &self.pending) {
            Some(at) => {
                let rest = self.pending.split_off(at + 1);
                std::mem::replace(&mut self.pending, rest)
            }
            None => Vec::new(),
        }
    }
}

impl Output {
    pub(super) fn new(registry: &redact::Registry, parser: LineParser, log: Log, spool: Spool) -> Self {
        Self {
            registry: registry.clone(),
            stdout: Half::new(registry),
            stderr: Half::new(registry),
            parser,
            captures: Captures::default(),
            log,
            spool,
            tail: VecDeque::new(),
            last: None,
        }
    }

    /// Takes in what the step wrote, and returns what there is to show.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) -> Option<Arc<[u8]>> {
        self.last = Some(Instant::now());
        // Parsers first: a line may name a secret, which must not be shown even in that line.
        let (spool, registry) = (&mut self.spool, &self.registry);
        self.parser.push(origin(stream), bytes, &mut |said| hear(said, spool, registry));
        self.captures.push(stream, bytes);
        let half = self.half(stream);
        half.redactor.push(bytes, &mut half.pending);
        let lines = half.take(false);
        self.show(stream, &lines)
    }

    /// Takes in the end of a stream, and returns what there is to show.
    pub(super) fn end(&mut self, stream: Stream) -> Option<Arc<[u8]>> {
        let half = self.half(stream);
        half.redactor.finish(&mut half.pending);
        let mut lines = half.take(true);
        if lines.last().is_some_and(|&byte| byte != b'\n') {
            lines.push(b'\n');
        }
        self.show(stream, &lines)
    }

    /// Ends parsing, when both streams have ended.
    pub(super) fn finish(&mut self) {
        let (spool, registry) = (&mut self.spool, &self.registry);
        self.parser.finish(&mut |said| hear(said, spool, registry));
        if self.parser.cut_lines() > 0 {
            let count = self.parser.cut_lines();
            self.spool.add(remark(
                "long-lines",
                Level::Notice,
                format!("{count} lines of output were too long to be read whole"),
            ));
        }
    }

    const fn half(&mut self, stream: Stream) -> &mut Half {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn show(&mut self, stream: Stream, lines: &[u8]) -> Option<Arc<[u8]>> {
        if lines.is_empty() {
            return None;
        }
        self.remember(lines);
        let kept = self.log.keep(stream, lines);
        (!kept.is_empty()).then(|| kept.into())
    }

    /// Keeps the last lines. Only the end of a large piece is looked at.
    fn remember(&mut self, lines: &[u8]) {
        let start = lines.len().saturating_sub(TAIL_LINES * 200);
        let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
        let start = start.min(lines.len());
        for line in lines[start..]
            .rsplit(|&byte| byte == b'\n')
            .take(TAIL_LINES)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(tail_line(line));
        }
    }

    /// The last lines of output, without secrets, the ones that have no line end yet included: what a step that hangs
    /// says last is often a question. What the redactor holds back could be the beginning of a secret and stays out.
    pub(super) fn tail(&self) -> Vec<String> {
        let unfinished = [&self.stdout, &self.stderr].map(|half| half.pending.as_slice());
        let unfinished = unfinished.into_iter().filter(|text| !text.is_empty()).map(tail_line);
        let lines: Vec<String> = self.tail.iter().cloned().chain(unfinished).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec()
    }
}

/// A line as the tail keeps it.
fn tail_line(line: &[u8]) -> String {
    let cut = &line[..line.len().min(TAIL_LINE)];
    String::from_utf8_lossy(cut).trim_end_matches('\r').to_owned()
}

const fn origin(stream: Stream) -> Origin {
    match stream {
        Stream::Stdout => Origin::Stdout,
        Stream::Stderr => Origin::Stderr,
    }
}

/// Does what a line of output asks of us.
fn hear(said: Said, spool: &mut Spool, registry: &redact::Registry) {
    match said {
        Said::Nothing | Said::Handled => {}
        Said::Finding(finding) => spool.add(*finding),
        Said::Mask(secret) => {
            // One that is too short cannot be hidden without destroying the output.
            let _too_short = registry.add(&secret);
        }
        Said::Refused(command) => {
            let message = format!(
                "the workflow command `{command}` is refused: it would let output change later steps"
            );
            spool.add(remark("refused-command", Level::Failure, message));
        }
        Said::WithoutEffect(command) => {
            let message = format!(
                "the workflow command `{command}` has no effect here; write to $GITHUB_OUTPUT or the manifest instead"
            );
            spool.add(remark("command-without-effect", Level::Notice, message));
        }
    }
}

/// A finding that rungate itself has to report about output.
fn remark(rule: &str, level: Level, message: String) -> Finding {
    let mut finding = Finding::new("rungate", level, message);
    finding.rule = Some(rule.to_owned());
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(registry: &redact::Registry) -> (tempfile::TempDir, Output) {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::create(folder.path(), 1 << 20);
        let output = Output::new(registry, LineParser::default(), log, Spool::new(registry));
        (folder, output)
    }

    #[test]
    fn a_line_that_was_never_ended_is_in_the_tail_and_a_half_secret_is_not() {
        let registry = redact::Registry::new();
        let _ = registry.add("hunter2hunter2");
        let (_folder, mut output) = output(&registry);
        assert!(output.push(Stream::Stdout, b"one\nProceed? [y/N]\nkey ").is_some());
        assert!(output.push(Stream::Stdout, b"hunter2hun").is_none());
        assert_eq!(output.tail(), ["one", "Proceed? [y/N]", "key "]);
    }

    #[test]
    fn the_tail_has_a_bounded_number_of_lines_of_bounded_length() {
        let registry = redact::Registry::new();
        let (_folder, mut output) = output(&registry);
        for number in 0..100 {
            let _shown = output.push(Stream::Stderr, format!("{number} {}\n", "x".repeat(5_000)).as_bytes());
        }
        let _nothing_yet = output.push(Stream::Stdout, b"pending ");
        let tail = output.tail();
        assert_eq!((tail.len(), tail[TAIL_LINES - 1].as_str()), (TAIL_LINES, "pending "));
        assert!(tail.iter().all(|line| line.len() <= TAIL_LINE));
    }
}
