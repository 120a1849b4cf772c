//! XML as a stream of tags and text, in bounded memory and without anything from outside the document.
//!
//! Owns where a token ends, what happens to one that is too large, and which elements are open. Nothing here knows a
//! report's format. There are no entities but the five of XML itself and characters by their number: a document type
//! is passed over unread, so that nothing is fetched and nothing expands.
//!
//! quick-xml's own reader was rejected as the frame because it holds a whole token, however long; its scanners for the
//! end of a tag and for attributes do the work here, on a window of fixed size.

mod encoding;
mod tag;
mod window;

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr2, memmem};
use quick_xml::parser::{ElementParser, Parser as _};

use crate::parse::output::Output;
use crate::parse::xml::window::Window;
use crate::parse::{ParseError, text};

pub(super) use crate::parse::xml::tag::{Tag, Text};

/// Most elements that may be open.
const MAX_DEPTH: usize = 128;

/// Longest name of an element, in bytes.
const MAX_NAME: usize = 1 << 10;

/// The error of a document whose root is no `expected`.
pub(super) fn wrong_root(expected: &str, name: &str) -> ParseError {
    let name = text::cut(name.to_owned(), 64);
    ParseError::Malformed { offset: 0, message: format!("this is not {expected}: its root is <{name}>") }
}

/// Reads a whole document and hands each token to `visit`, with the depth of its element, 1 for the root. `visit` says
/// whether it could read all of a tag; when not, a broken record is told and reading goes on.
pub(super) fn walk<'o>(
    input: impl Read,
    out: &mut Output<'o>,
    mut visit: impl FnMut(usize, Token<'_>, &mut Output<'o>) -> Result<bool, ParseError>,
) -> Result<(), ParseError> {
    let mut xml = Xml::new(input);
    let mut depth = 0;
    loop {
        let step = match xml.next() {
            Ok(Some(token)) => {
                depth += usize::from(matches!(token, Token::Start(_)));
                let ends = matches!(token, Token::End);
                let whole = visit(depth, token, out);
                depth -= usize::from(ends);
                whole.map(Some)
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        xml.window.tell_fault(out);
        match step? {
            Some(true) => {}
            Some(false) => out.broken(xml.tag_place(), "a tag with broken attributes"),
            None => return Ok(()),
        }
    }
}

/// One piece of a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'w> {
    /// An element begins.
    Start(Tag<'w>),
    /// The innermost open element ends.
    End,
    /// Text, perhaps one of several pieces.
    Text(Text<'w>),
}

/// Where a token is in the window.
enum Span {
    Start(Range<usize>),
    End,
    Text { raw: Range<usize>, literal: bool },
}

/// A document that is read token by token.
struct Xml<R> {
    window: Window<R>,
    /// Where in the window the last tag began.
    tag: usize,
    /// Where in the input it began, when its values were cut.
    shortened: Option<u64>,
    /// Names of the open elements, one after the other, and where each ends.
    names: Vec<u8>,
    open: Vec<usize>,
    /// The last tag was `<name/>`: its end is still to be told.
    closing: bool,
    in_literal: bool,
    rooted: bool,
}

impl<R: Read> Xml<R> {
    fn new(input: R) -> Self {
        Self {
            window: Window::new(input),
            tag: 0,
            shortened: None,
            names: Vec::new(),
            open: Vec::new(),
            closing: false,
            in_literal: false,
            rooted: false,
        }
    }

    /// The next token; nothing at the end of a document that is whole.
    fn next(&mut self) -> Result<Option<Token<'_>>, ParseError> {
        let Some(span) = self.advance()? else { return Ok(None) };
        Ok(Some(match span {
            Span::Start(content) => Token::Start(Tag::new(self.window.text(content))),
            Span::End => Token::End,
            Span::Text { raw, literal: false } => Token::Text(Text::Escaped(self.window.bytes(raw))),
            Span::Text { raw, literal: true } => Token::Text(Text::Literal(self.window.bytes(raw))),
        }))
    }

    /// Where in the input the last tag began.
    fn tag_place(&self) -> u64 {
        self.shortened.unwrap_or_else(|| self.window.place(self.tag))
    }

    fn malformed(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::Malformed { offset: self.window.place(at), message: message.into() }
    }

    /// The error of a document that is cut short.
    fn cut_short(&self, inside: &str) -> ParseError {
        ParseError::Malformed {
            offset: self.window.end(),
            message: format!("the document ends inside {inside}"),
        }
    }

    fn waiting(&self) -> &[u8] {
        self.window.waiting()
    }

    fn advance(&mut self) -> Result<Option<Span>, ParseError> {
        loop {
            if std::mem::take(&mut self.closing) {
                self.leave();
                return Ok(Some(Span::End));
            }
            if self.in_literal {
                match self.literal()? {
                    Some(span) => return Ok(Some(span)),
                    None => continue,
                }
            }
            if self.waiting().is_empty() && !self.window.more()? {
                return self.end().map(|()| None);
            }
            let span = if self.waiting().first() == Some(&b'<') { self.markup()? } else { self.text()? };
            if span.is_some() {
                return Ok(span);
            }
        }
    }

    /// The document ends here; says whether it may.
    fn end(&self) -> Result<(), ParseError> {
        match self.open_name() {
            Some(name) => Err(self.cut_short(&format!("<{}>", String::from_utf8_lossy(name)))),
            None if self.rooted => Ok(()),
            None => Err(ParseError::Malformed {
                offset: self.window.end(),
                message: "the document has no element".to_owned(),
            }),
        }
    }

    /// Text up to the next tag, or as much of it as fits.
    fn text(&mut self) -> Result<Option<Span>, ParseError> {
        let end = match memchr(b'<', self.waiting()) {
            Some(end) => end,
            None if !self.window.is_full() && self.window.more()? => return Ok(None),
            None => {
                // What may be the beginning of a reference waits for its end.
                let length = self.waiting().len();
                let from = if self.window.is_full() { length - tag::MAX_REFERENCE } else { length };
                memchr(b'&', &self.waiting()[from..]).map_or(length, |at| from + at)
            }
        };
        let raw = self.window.from..self.window.from + end;
        self.window.from = raw.end;
        if !self.open.is_empty() {
            return Ok(Some(Span::Text { raw, literal: false }));
        }
        match self.window.bytes(raw.clone()).iter().position(|byte| !byte.is_ascii_whitespace()) {
            None => Ok(None),
            Some(at) if self.rooted => {
                Err(self.malformed(raw.start + at, "there is text after the root element"))
            }
            Some(at) => Err(self.malformed(raw.start + at, "this is not XML: it does not begin with a tag")),
        }
    }

    /// A piece of a CDATA section; nothing when it has just ended.
    fn literal(&mut self) -> Result<Option<Span>, ParseError> {
        let found = memmem::find(self.waiting(), b"]]>");
        let (end, behind) = match found {
            Some(end) => (end, 3),
            None if !self.window.is_full() => {
                return if self.window.more()? { Ok(None) } else { Err(self.cut_short("a CDATA section")) };
            }
            None => {
                // The brackets at the end may belong to the section's end.
                let brackets = self.waiting().iter().rev().take(2).take_while(|byte| **byte == b']').count();
                (self.waiting().len() - brackets, 0)
            }
        };
        let raw = self.window.from..self.window.from + end;
        self.window.from = raw.end + behind;
        self.in_literal = found.is_none();
        Ok((!raw.is_empty()).then_some(Span::Text { raw, literal: true }))
    }

    fn markup(&mut self) -> Result<Option<Span>, ParseError> {
        while self.waiting().len() < b"<![CDATA[".len() && self.window.more()? {}
        match self.waiting() {
            [b'<', b'/', ..] => self.end_tag().map(Some),
            [b'<', b'?', ..] => self.pass_over(b"?>", "a processing instruction"),
            [b'<', b'!', b'-', b'-', ..] => self.pass_over(b"-->", "a comment"),
            [b'<', b'!', b'[', b'C', b'D', b'A', b'T', b'A', b'[', ..] if !self.open.is_empty() => {
                self.window.from += b"<![CDATA[".len();
                self.in_literal = true;
                Ok(None)
            }
            [b'<', b'!', b'D', b'O', b'C', b'T', b'Y', b'P', b'E', ..] => self.document_type(),
            [b'<', b'!', ..] => Err(self.malformed(self.window.from, "a declaration that no XML has here")),
            _ => self.start_tag(),
        }
    }

    /// Takes everything up to `end` without keeping it.
    fn pass_over(&mut self, end: &[u8], what: &str) -> Result<Option<Span>, ParseError> {
        self.window.from += 2;
        loop {
            if let Some(at) = memmem::find(self.waiting(), end) {
                self.window.from += at + end.len();
                return Ok(None);
            }
            self.window.from += self.waiting().len().saturating_sub(end.len() - 1);
            if !self.window.more()? {
                return Err(self.cut_short(what));
            }
        }
    }

    /// Takes a document type without reading it: to the first `>` outside of quotes, brackets, comments and processing
    /// instructions.
    fn document_type(&mut self) -> Result<Option<Span>, ParseError> {
        let mut last = [0; 4];
        let mut until: Option<&[u8]> = None;
        let mut in_subset = false;
        loop {
            while let Some(&byte) = self.waiting().first() {
                self.window.from += 1;
                last = [last[1], last[2], last[3], byte];
                if let Some(end) = until {
                    if last.ends_with(end) {
                        until = None;
                        last = [0; 4];
                    }
                    continue;
                }
                match byte {
                    b'"' => until = Some(b"\""),
                    b'\'' => until = Some(b"'"),
                    b'-' if last == *b"<!--" => until = Some(b"-->"),
                    b'?' if last.ends_with(b"<?") => until = Some(b"?>"),
                    b'[' => in_subset = true,
                    b']' => in_subset = false,
                    b'>' if !in_subset => return Ok(None),
                    _ => {}
                }
            }
            if !self.window.more()? {
                return Err(self.cut_short("its type"));
            }
        }
    }

    fn end_tag(&mut self) -> Result<Span, ParseError> {
        let end = loop {
            match memchr(b'>', self.waiting()) {
                Some(end) => break end,
                None if self.waiting().len() > 2 * MAX_NAME => {
                    return Err(self.malformed(self.window.from, "a tag that does not end"));
                }
                None if self.window.more()? => {}
                None => return Err(self.cut_short("a tag")),
            }
        };
        let name = self.waiting()[2..end].trim_ascii_end();
        if self.open_name() != Some(name) {
            let name = String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]);
            let expected = self.open_name().map(String::from_utf8_lossy);
            let message = match expected {
                Some(expected) => format!("</{name}> where </{expected}> should be"),
                None => format!("</{name}> without a beginning"),
            };
            return Err(self.malformed(self.window.from, message));
        }
        self.window.from += end + 1;
        self.leave();
        Ok(Span::End)
    }

    fn start_tag(&mut self) -> Result<Option<Span>, ParseError> {
        self.shortened = None;
        let end = loop {
            if let Some(end) = ElementParser::default().feed(&self.waiting()[1..]) {
                break end + 1;
            }
            if self.window.is_full() {
                self.shortened = self.shortened.or_else(|| Some(self.window.place(self.window.from)));
                if !self.window.shorten()? {
                    return Err(self.malformed(self.window.from, "a tag that is too long"));
                }
            } else if !self.window.more()? {
                return Err(self.cut_short("a tag"));
            }
        };
        self.tag = self.window.from;
        let mut content = self.tag + 1..self.tag + end;
        self.window.from = content.end + 1;
        self.closing = self.window.bytes(content.clone()).ends_with(b"/");
        content.end -= usize::from(self.closing);
        self.enter(content.clone())?;
        Ok(Some(Span::Start(content)))
    }

    /// Remembers that the element of a tag is open.
    fn enter(&mut self, content: Range<usize>) -> Result<(), ParseError> {
        let at = content.start - 1;
        let bytes = self.window.bytes(content);
        let length = bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(bytes.len());
        let name = &bytes[..length];
        let is_name =
            name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_' || *byte >= 0x80);
        if !is_name || length > MAX_NAME || memchr2(b'<', b'=', name).is_some() {
            return Err(self.malformed(at, "a tag without a name"));
        }
        if self.open.is_empty() && std::mem::replace(&mut self.rooted, true) {
            return Err(self.malformed(at, "a second root element"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(self.malformed(at, format!("more than {MAX_DEPTH} elements inside each other")));
        }
        self.names.extend_from_slice(name);
        self.open.push(self.names.len());
        Ok(())
    }

    fn leave(&mut self) {
        self.open.pop();
        self.names.truncate(self.open.last().copied().unwrap_or(0));
    }

    fn open_name(&self) -> Option<&[u8]> {
        let end = *self.open.last()?;
        let start = self.open.len().checked_sub(2).map_or(0, |before| self.open[before]);
        Some(&self.names[start..end])
    }
}

#[cfg(test)]
mod tests;
