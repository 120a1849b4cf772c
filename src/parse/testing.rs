//! What the tests of all report formats share.

use std::fmt::Write as _;
use std::io::{self, Read};

use crate::manifest::model::Parser;
use crate::parse::options::Options;
use crate::parse::{Item, LineFormat, ParseError, file};

/// Everything that a report gives, and how reading it ended.
pub(super) fn parse(parser: Parser, input: impl Read) -> (Vec<Item>, Result<(), ParseError>) {
    let mut items = Vec::new();
    let result =
        file(parser, &Options::default(), LineFormat::default(), input, &mut |item| items.push(item));
    (items, result)
}

/// A line for each item, and one for the error.
pub(super) fn shown(parser: Parser, text: impl AsRef<[u8]>) -> String {
    let (items, result) = parse(parser, text.as_ref());
    let mut out = String::new();
    for item in items {
        let _ = match item {
            Item::Finding(finding) => {
                let place = [finding.start_line, finding.start_column].into_iter().flatten();
                let place = place.fold(String::new(), |place, number| format!("{place}:{number}"));
                let path = finding.path.as_deref().unwrap_or("-");
                let rule = finding.rule.as_deref().unwrap_or("-");
                let title = finding.title.as_deref().map(|title| format!(" <{title}>")).unwrap_or_default();
                writeln!(
                    out,
                    "{} {path}{place} [{rule}]{title} {:?}",
                    finding.level.as_str(),
                    finding.message
                )
            }
            Item::Suppressed { finding, reason } => {
                writeln!(out, "suppressed ({reason}) {:?}", finding.message)
            }
            Item::Test(done) => {
                let duration = done.duration.map(|duration| format!(" {duration:?}")).unwrap_or_default();
                writeln!(out, "{:?} {:?} {:?}{duration}", done.outcome, done.suite, done.name)
            }
            Item::Broken { offset, message } => writeln!(out, "broken at {offset}: {message}"),
        };
    }
    if let Err(error) = result {
        let _ = writeln!(out, "error: {error}");
    }
    out
}

/// Gives `chunk` bytes at a time.
pub(super) struct Slow<'a>(pub(super) &'a [u8], pub(super) usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// Gives `head`, and then `body` again and again until `total` bytes have been given, and then `tail`.
pub(super) fn repeated(head: &[u8], body: &[u8], total: usize, tail: &[u8]) -> impl Read {
    struct Repeat(Vec<u8>, usize);
    impl Read for Repeat {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let from = self.1 % self.0.len();
            let count = buffer.len().min(self.0.len() - from);
            buffer[..count].copy_from_slice(&self.0[from..from + count]);
            self.1 += count;
            Ok(count)
        }
    }
    let whole = total - total % body.len();
    io::Cursor::new(head.to_vec())
        .chain(Repeat(body.to_vec(), 0).take(whole as u64))
        .chain(io::Cursor::new(tail.to_vec()))
}
