//! TAP, versions 12 to 14: test points, plans, subtests by indentation, and diagnostics in YAML or comments.
//!
//! Owns what a run of test points comes to. The point of a subtest in its parent says what counts: what failed inside
//! one that passed is a warning, and inside one that is still to be done it is nothing. Lines that are no TAP are what
//! the program printed, and are passed over, as the format asks.

mod block;
mod line;
mod scope;

use std::io::{self, Read};

use crate::finding::test::{Test, TestOutcome};
use crate::finding::{Finding, Level};
use crate::parse::lines::LineSplitter;
use crate::parse::options::Options;
use crate::parse::output::{Output, plain};
use crate::parse::tap::line::{Directive, Line, Point};
use crate::parse::tap::scope::{Child, OpenPoint, Scope};
use crate::parse::test_case::{self, Failure, MAX_TEXT, TestCase};
use crate::parse::text::Decoded;
use crate::parse::{Item, ParseError};

/// Tool of a finding when the manifest names none.
const TOOL: &str = "tap";

/// Columns by which a subtest stands to the right of its parent.
const INDENT: usize = 4;

/// Most subtests inside each other. What is deeper is not read.
const MAX_DEPTH: usize = 64;

/// Most items that wait for their parent's point. Those beyond count at once.
const MAX_HELD: usize = 200;

/// Reads a report.
pub(super) fn read(
    input: impl Read,
    options: &Options,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut out = Output::new(TOOL, options, sink);
    let mut document = Document::new();
    let mut splitter = LineSplitter::default();
    let mut input = Decoded::new(input);
    let mut buffer = vec![0; 64 << 10];
    let mut offset = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                splitter.push(&buffer[..count], &mut |line| document.line(line, &mut out));
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                splitter.finish(&mut |line| document.line(line, &mut out));
                document.close(&mut out);
                return Err(ParseError::Read { offset, source });
            }
        }
    }
    splitter.finish(&mut |line| document.line(line, &mut out));
    if !document.is_tap {
        let message = "this is not TAP: there is no plan and no test point".to_owned();
        return Err(ParseError::Malformed { offset, message });
    }
    document.finish(&mut out);
    Ok(())
}

/// What is open while a document is read.
struct Document {
    /// The document itself, and the subtests that are open inside each other.
    scopes: Vec<Scope>,
    /// Indentation of a block of YAML that is open.
    block: Option<usize>,
    /// What the last comment called the subtest that comes.
    subtest: String,
    is_tap: bool,
    bailed: bool,
    /// How many items are held in all scopes.
    held: usize,
}

impl Document {
    fn new() -> Self {
        let scopes = vec![Scope::default()];
        Self { scopes, block: None, subtest: String::new(), is_tap: false, bailed: false, held: 0 }
    }

    fn line(&mut self, line: &[u8], out: &mut Output<'_>) {
        if self.bailed {
            return;
        }
        let line = String::from_utf8_lossy(line);
        let line = plain(&line);
        let text = line.trim_start();
        let blank = line.len() - text.len();
        let indent = blank + (INDENT - 1) * line[..blank].matches('\t').count();
        if self.in_block(indent, &line) {
            return;
        }
        match line::read(text) {
            Line::Other => {}
            Line::Header => self.is_tap = true,
            Line::Comment(comment) => self.comment(comment),
            Line::BlockBegins => {
                self.block = self.scopes.last().is_some_and(|top| indent > top.indent).then_some(indent);
            }
            Line::BraceOpens => {
                if let Some(open) = self.scopes.last_mut().and_then(|top| top.open.as_mut()) {
                    open.buffered = true;
                }
            }
            Line::BraceCloses => {
                let between = self.close_beyond(indent, out);
                if let Some(top) = self.scopes.last_mut() {
                    top.child.add(between);
                }
            }
            Line::Plan { first, last } => {
                if self.enter(indent, out) {
                    self.flush(out);
                    self.plan(first, last);
                }
            }
            Line::Point(point) => {
                if self.enter(indent, out) {
                    self.flush(out);
                    self.point(&point);
                }
            }
            Line::BailOut(reason) => self.bail_out(reason, out),
        }
    }

    /// Takes a line that belongs to a block of YAML.
    fn in_block(&mut self, indent: usize, line: &str) -> bool {
        let Some(begin) = self.block else { return false };
        let text = line.trim();
        if indent < begin && !text.is_empty() && !text.starts_with('#') {
            self.block = None;
            return false;
        }
        if indent == begin && text == "..." {
            self.block = None;
        } else {
            self.detail(line.get(begin..).unwrap_or(text));
        }
        true
    }

    /// Keeps a line that tells more about the last point.
    fn detail(&mut self, text: &str) {
        let open = self.scopes.last_mut().and_then(|top| top.open.as_mut());
        if let Some(open) = open.filter(|open| !open.ok && open.details.len() < MAX_TEXT) {
            open.details.push_str(text.trim_end());
            open.details.push('\n');
        }
    }

    fn comment(&mut self, comment: &str) {
        match comment.trim().strip_prefix("Subtest:") {
            Some(name) => self.subtest = test_case::short(name.trim().into()),
            None => self.detail(comment.strip_prefix(' ').unwrap_or(comment)),
        }
    }

    /// Makes the scope at `indent` the innermost one. False for text that only happens to look like TAP.
    fn enter(&mut self, indent: usize, out: &mut Output<'_>) -> bool {
        if !indent.is_multiple_of(INDENT) {
            return false;
        }
        let between = self.close_beyond(indent, out);
        let depth = self.scopes.len();
        let Some(top) = self.scopes.last_mut() else { return false };
        if top.indent < indent {
            if depth == MAX_DEPTH {
                return false;
            }
            let name = std::mem::take(&mut self.subtest);
            self.scopes.push(Scope { indent, name, child: between, ..Scope::default() });
        }
        self.is_tap = true;
        true
    }

    /// Ends the subtests that stand to the right of `indent`. Returns those that belong to a subtest at `indent` that
    /// has not begun yet.
    fn close_beyond(&mut self, indent: usize, out: &mut Output<'_>) -> Child {
        let mut between = Child::default();
        while self.scopes.len() > 1 && self.scopes.last().is_some_and(|top| top.indent > indent) {
            self.flush(out);
            let Some(mut ended) = self.scopes.pop() else { break };
            let mut child = Child { points: ended.points, failed: ended.failed, held: ended.held };
            child.add(std::mem::take(&mut ended.child));
            let Some(parent) = self.scopes.last_mut() else { break };
            match &mut parent.open {
                _ if parent.indent < indent => between.add(child),
                Some(open) if open.buffered => open.child.add(child),
                _ => parent.child.add(child),
            }
        }
        between
    }

    fn plan(&mut self, first: u64, last: u64) {
        if let Some(top) = self.scopes.last_mut() {
            top.plans += 1;
            top.plan.get_or_insert((first, last));
        }
    }

    fn point(&mut self, point: &Point) {
        let names = self.scopes.iter().map(|scope| scope.name.as_str()).filter(|name| !name.is_empty());
        let suite = names.collect::<Vec<_>>().join(" > ");
        let Some(top) = self.scopes.last_mut() else { return };
        let number = point.number.unwrap_or(top.last.saturating_add(1));
        let (lowest, highest) = top.numbers.unwrap_or((number, number));
        top.numbers = Some((lowest.min(number), highest.max(number)));
        top.last = number;
        top.points += 1;
        let test = TestCase {
            suite,
            name: test_case::short(point.name(number).into()),
            duration: point.duration,
            ..TestCase::default()
        };
        top.open = Some(OpenPoint {
            test,
            ok: point.ok,
            directive: point.directive,
            details: String::new(),
            buffered: point.opens,
            child: std::mem::take(&mut top.child),
        });
    }

    /// Judges the last point of the innermost scope.
    fn flush(&mut self, out: &mut Output<'_>) {
        let Some(open) = self.scopes.last_mut().and_then(|top| top.open.take()) else { return };
        let OpenPoint { mut test, ok, directive, details, child, .. } = open;
        self.held -= child.held.len();
        if let Some(directive) = directive {
            let skipped = child.held.into_iter().filter_map(|item| match item {
                Item::Test(test) => Some(Item::Test(Test { outcome: TestOutcome::Skipped, ..test })),
                Item::Finding(_) | Item::Suppressed { .. } | Item::Broken { .. } => None,
            });
            skipped.for_each(|item| out.give(item));
            test.skipped = directive == Directive::Skip || !ok;
        } else if !ok {
            child.held.into_iter().for_each(|item| self.failed(item, out));
            if !child.failed {
                let block = block::read(&details);
                (test.file, test.line, test.column) = (block.file, block.line, block.column);
                let message = block.message.unwrap_or_default();
                test.failure = Some(Failure { word: "not ok", message, details, ..Failure::default() });
            }
            if let Some(top) = self.scopes.last_mut() {
                top.failed = true;
            }
        } else {
            // A parent that passed outweighs what failed in it, but that is worth a look.
            for mut item in child.held {
                if let Item::Finding(finding) = &mut item {
                    finding.level = finding.level.min(Level::Warning);
                }
                self.failed(item, out);
            }
        }
        // A point that only sums up its subtest is no test.
        if child.points == 0 || test.failure.is_some() {
            self.tell(test, out);
        }
    }

    /// Hands over a test; one that failed waits for its parent's point.
    fn tell(&mut self, mut test: TestCase, out: &mut Output<'_>) {
        let mut items = Vec::new();
        test.give(&mut out.apart(&mut |item| items.push(item)));
        for item in items {
            match item {
                Item::Test(test) if test.outcome != TestOutcome::Failed => out.give(Item::Test(test)),
                item => self.failed(item, out),
            }
        }
    }

    /// Hands over an item of a test that failed, or holds it for the parent's point.
    fn failed(&mut self, item: Item, out: &mut Output<'_>) {
        match &mut self.scopes[..] {
            [_, .., top] if self.held < MAX_HELD => {
                top.held.push(item);
                self.held += 1;
            }
            _ => out.give(item),
        }
    }

    fn bail_out(&mut self, reason: &str, out: &mut Output<'_>) {
        self.is_tap = true;
        self.bailed = true;
        self.close(out);
        let message =
            if reason.is_empty() { "the tests were given up".to_owned() } else { reason.to_owned() };
        out.give(Item::Finding(Box::new(problem("Bail out!", &message, out))));
    }

    /// Ends everything that is open.
    fn close(&mut self, out: &mut Output<'_>) {
        let _none = self.close_beyond(0, out);
        self.flush(out);
        if let Some(root) = self.scopes.first_mut() {
            // A subtest whose point never came counts by itself.
            std::mem::take(&mut root.child).held.into_iter().for_each(|item| out.give(item));
        }
    }

    /// The document has ended: compares it with its plan.
    fn finish(&mut self, out: &mut Output<'_>) {
        self.close(out);
        if self.bailed {
            return;
        }
        if let Some(message) = self.scopes.first().and_then(Scope::complaint) {
            out.give(Item::Finding(Box::new(problem("plan", &message, out))));
        }
    }
}

/// A failure of the document itself.
fn problem(rule: &str, message: &str, out: &Output<'_>) -> Finding {
    let level = test_case::level("not ok", out.options);
    let mut finding = out.finding(level, message, "no reason given");
    finding.rule = Some(rule.to_owned());
    finding.title = Some(rule.to_owned());
    finding
}

#[cfg(test)]
mod tests;
