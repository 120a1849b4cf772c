//! What every reader of a report needs to say what it found: the sink, the manifest's options, and text made fit to
//! show.
//!
//! Nothing here knows a format.

use std::borrow::Cow;

use crate::finding::{Finding, Level, Location};
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::{Item, text};

/// Longest title and longest rule that are kept, in bytes.
const MAX_TITLE: usize = 1024;

/// Where a report's items go.
pub(super) struct Output<'a> {
    /// What the manifest says.
    pub(super) options: &'a Options,
    /// The format's own name for the tool.
    tool: &'static str,
    sink: &'a mut dyn FnMut(Item),
}

impl<'a> Output<'a> {
    pub(super) fn new(tool: &'static str, options: &'a Options, sink: &'a mut dyn FnMut(Item)) -> Self {
        Self { options, tool, sink }
    }

    /// The tool's name.
    pub(super) fn tool(&self) -> &str {
        self.options.tool.as_deref().unwrap_or(self.tool)
    }

    /// A finding of the tool. A message without words becomes `fallback`.
    pub(super) fn finding(&self, level: Level, message: &str, fallback: &str) -> Finding {
        let message = text::cut(plain(message).trim().to_owned(), MAX_MESSAGE);
        let message = if message.is_empty() { plain(fallback).into_owned() } else { message };
        Finding::new(self.tool(), level, message)
    }

    /// A place as the tool writes it: path, line and column. Numbers that are 0 say nothing.
    pub(super) fn location(&self, file: Option<&str>, line: Option<u32>, column: Option<u32>) -> Location {
        let path = file.and_then(|file| self.options.paths.place(&plain(file)));
        let start_line = line.filter(|line| *line > 0);
        let start_column = column.filter(|column| *column > 0 && start_line.is_some());
        Location { path, start_line, end_line: None, start_column, end_column: None }
    }

    /// The same with another sink.
    pub(super) fn apart<'b>(&'b self, sink: &'b mut dyn FnMut(Item)) -> Output<'b> {
        Output { options: self.options, tool: self.tool, sink }
    }

    /// Hands `item` over.
    pub(super) fn give(&mut self, item: Item) {
        (self.sink)(item);
    }

    /// Hands over a record that cannot be read.
    pub(super) fn broken(&mut self, offset: u64, message: &str) {
        self.give(Item::Broken { offset, message: message.to_owned() });
    }
}

/// `written` as a title or a rule: one line of bounded length. Nothing when it is empty.
pub(super) fn title(written: &str) -> Option<String> {
    let plain = plain(written);
    let trimmed = plain.trim();
    let line = if trimmed.contains(['\n', '\t']) {
        Cow::Owned(trimmed.split_whitespace().collect::<Vec<_>>().join(" "))
    } else {
        Cow::Borrowed(trimmed)
    };
    (!line.is_empty()).then(|| text::cut(line.into_owned(), MAX_TITLE))
}

/// `written` without terminal sequences, with line feeds for every kind of line end, and U+FFFD for other control
/// characters.
pub(super) fn plain(written: &str) -> Cow<'_, str> {
    if is_harmless(written.as_bytes()) {
        return Cow::Borrowed(written);
    }
    let uncoloured = text::without_escapes(written.as_bytes());
    let text = String::from_utf8_lossy(&uncoloured);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' => plain.push('\n'),
            '\n' | '\t' => plain.push(c),
            '\0'..' ' | '\x7f' => plain.push(char::REPLACEMENT_CHARACTER),
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// Whether there is no control character but line feeds and tabs. A piece is looked at as a whole, which a compiler can
/// make one instruction of; nearly all texts are harmless, so stopping early would save nothing.
fn is_harmless(text: &[u8]) -> bool {
    let odd = |byte: u8| matches!(byte, 0..b'\t' | 0x0B..b' ' | 0x7F);
    let harmless = |piece: &[u8]| !piece.iter().fold(false, |found, &byte| found | odd(byte));
    let (pieces, rest) = text.as_chunks::<32>();
    let (words, rest) = rest.as_chunks::<8>();
    pieces.iter().all(|piece| harmless(piece)) && words.iter().all(|word| harmless(word)) && harmless(rest)
}

/// `written` as [`plain`] has it, cut to `max` bytes.
pub(super) fn kept(written: &str, max: usize) -> String {
    // What will be cut off anyway need not be looked at; terminal sequences may be some of it.
    let head = &written[..written.floor_char_boundary(max.saturating_mul(2))];
    text::cut(plain(head).into_owned(), max)
}

/// The number that an attribute gives, if it is one.
pub(super) fn number(written: &str) -> Option<u32> {
    written.trim().parse().ok()
}
