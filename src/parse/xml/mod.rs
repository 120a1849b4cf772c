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

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr2, memmem};
use quick_xml::parser::{ElementParser, Parser as _};

use crate::parse::options::MAX_MESSAGE;
use crate::parse::output::Output;
use crate::parse::xml::encoding::{LEAST_ROOM, Source, Trouble};
use crate::parse::{ParseError, text};

pub(super) use crate::parse::xml::tag::{Tag, Text};

/// Most text that is held at once, in bytes.
const WINDOW: usize = 256 << 10;

/// Text that is read at least before a token is looked at again, in bytes.
const LEAST_READ: usize = 8 << 10;

/// Most elements that may be open.
const MAX_DEPTH: usize = 256;

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
        let token = xml.next();
        let whole = match token? {
            None => break,
            Some(token @ Token::Start(_)) => {
                depth += 1;
                visit(depth, token, out)?
            }
            Some(Token::End) => {
                depth -= 1;
                visit(depth + 1, Token::End, out)?
            }
            Some(token @ Token::Text(_)) => visit(depth, token, out)?,
        };
        if !whole {
            out.broken(xml.offset(), "a tag with broken attributes");
        }
        xml.tell_fault(out);
    }
    xml.tell_fault(out);
    Ok(())
}

/// One piece of a document.
#[derive(Debug)]
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
    Start { content: Range<usize> },
    End,
    Text { raw: Range<usize>, literal: bool },
}

/// A document that is read token by token.
struct Xml<R> {
    source: Source<R>,
    window: Vec<u8>,
    /// The window's part that is decoded and not yet taken.
    from: usize,
    to: usize,
    /// Where in the input the window begins.
    begin: u64,
    /// Where in the input the last token began, when the window cannot tell.
    shortened: Option<u64>,
    /// Where in the window the last token began.
    token: usize,
    /// Names of the open elements, one after the other, and where each ends.
    names: Vec<u8>,
    open: Vec<usize>,
    /// The last tag was `<name/>`: its end is still to be told.
    closing: bool,
    in_literal: bool,
    rooted: bool,
    trouble: Option<Trouble>,
}

impl<R: Read> Xml<R> {
    fn new(input: R) -> Self {
        Self {
            source: Source::new(input),
            window: vec![0; WINDOW],
            from: 0,
            to: 0,
            begin: 0,
            shortened: None,
            token: 0,
            names: Vec::new(),
            open: Vec::new(),
            closing: false,
            in_literal: false,
            rooted: false,
            trouble: None,
        }
    }

    /// The next token; nothing at the end of a document that is whole.
    fn next(&mut self) -> Result<Option<Token<'_>>, ParseError> {
        let Some(span) = self.advance()? else { return Ok(None) };
        let text = |range: Range<usize>| str::from_utf8(&self.window[range]).unwrap_or_default();
        Ok(Some(match span {
            Span::Start { content } => Token::Start(Tag::new(text(content))),
            Span::End => Token::End,
            Span::Text { raw, literal: false } => Token::Text(Text::Escaped(text(raw))),
            Span::Text { raw, literal: true } => Token::Text(Text::Literal(text(raw))),
        }))
    }

    /// Where in the input the last token began.
    fn offset(&self) -> u64 {
        self.shortened.unwrap_or_else(|| self.place(self.token))
    }

    /// Tells of bytes that are no text in the document's encoding.
    fn tell_fault(&mut self, out: &mut Output<'_>) {
        if let Some(offset) = self.source.fault() {
            out.broken(offset, &format!("bytes that are no {}", self.source.name()));
        }
    }

    fn place(&self, at: usize) -> u64 {
        self.begin + self.source.length_of(&self.window[..at])
    }

    fn malformed(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::Malformed { offset: self.place(at), message: message.into() }
    }

    fn waiting(&self) -> &[u8] {
        &self.window[self.from..self.to]
    }

    fn advance(&mut self) -> Result<Option<Span>, ParseError> {
        self.shortened = None;
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
            if self.waiting().is_empty() && !self.more()? {
                return self.end().map(|()| None);
            }
            self.token = self.from;
            let span = if self.window[self.from] == b'<' { self.markup()? } else { self.text()? };
            if span.is_some() {
                return Ok(span);
            }
        }
    }

    /// The document ends here; says whether it may.
    fn end(&self) -> Result<(), ParseError> {
        let message = match self.open_name() {
            Some(name) => format!("the document ends inside <{}>", String::from_utf8_lossy(name)),
            None if self.rooted => return Ok(()),
            None => "the document has no element".to_owned(),
        };
        Err(ParseError::Malformed { offset: self.source.taken(), message })
    }

    /// Text up to the next tag, or as much of it as fits.
    fn text(&mut self) -> Result<Option<Span>, ParseError> {
        let end = match memchr(b'<', self.waiting()) {
            Some(end) => end,
            None if self.may_grow() && self.more()? => return Ok(None),
            // What may be the beginning of a reference waits for its end.
            None if self.is_full() => {
                let from = self.to - 16;
                let reference = memchr(b'&', &self.window[from..self.to]).map(|at| from + at);
                reference.unwrap_or(self.to) - self.from
            }
            None => self.to - self.from,
        };
        let raw = self.from..self.from + end;
        self.from = raw.end;
        if !self.open.is_empty() {
            return Ok(Some(Span::Text { raw, literal: false }));
        }
        match self.window[raw.clone()].iter().position(|byte| !byte.is_ascii_whitespace()) {
            None => Ok(None),
            Some(at) if self.rooted => {
                Err(self.malformed(raw.start + at, "there is text after the root element"))
            }
            Some(at) => Err(self.malformed(raw.start + at, "this is not XML: it does not begin with a tag")),
        }
    }

    /// A piece of a CDATA section; nothing when it has just ended.
    fn literal(&mut self) -> Result<Option<Span>, ParseError> {
        self.token = self.from;
        let found = memmem::find(self.waiting(), b"]]>");
        let (end, behind) = match found {
            Some(end) => (end, 3),
            None if self.may_grow() => {
                return if self.more()? {
                    Ok(None)
                } else {
                    Err(self.malformed(self.to, "a CDATA section does not end"))
                };
            }
            None => {
                // The brackets at the end may belong to the section's end.
                let brackets = self.waiting().iter().rev().take(2).take_while(|byte| **byte == b']').count();
                (self.waiting().len() - brackets, 0)
            }
        };
        let raw = self.from..self.from + end;
        self.from = raw.end + behind;
        self.in_literal = found.is_none();
        Ok((!raw.is_empty()).then_some(Span::Text { raw, literal: true }))
    }

    fn markup(&mut self) -> Result<Option<Span>, ParseError> {
        while self.waiting().len() < b"<![CDATA[".len() && self.more()? {
            self.token = self.from;
        }
        match self.waiting() {
            [b'<', b'/', ..] => self.end_tag().map(Some),
            [b'<', b'?', ..] => self.pass_over(b"?>", "a processing instruction"),
            [b'<', b'!', b'-', b'-', ..] => self.pass_over(b"-->", "a comment"),
            [b'<', b'!', b'[', b'C', b'D', b'A', b'T', b'A', b'[', ..] if !self.open.is_empty() => {
                self.from += b"<![CDATA[".len();
                self.in_literal = true;
                Ok(None)
            }
            [b'<', b'!', b'D', b'O', b'C', b'T', b'Y', b'P', b'E', ..] => self.document_type(),
            [b'<', b'!', ..] => Err(self.malformed(self.from, "a declaration that no XML has here")),
            _ => self.start_tag(),
        }
    }

    /// Takes everything up to `end` without keeping it.
    fn pass_over(&mut self, end: &[u8], what: &str) -> Result<Option<Span>, ParseError> {
        self.from += 2;
        loop {
            if let Some(at) = memmem::find(self.waiting(), end) {
                self.from += at + end.len();
                return Ok(None);
            }
            self.from += self.waiting().len().saturating_sub(end.len() - 1);
            if !self.more()? {
                return Err(self.malformed(self.to, format!("{what} does not end")));
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
                self.from += 1;
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
            if !self.more()? {
                return Err(self.malformed(self.to, "the document type does not end"));
            }
        }
    }

    fn end_tag(&mut self) -> Result<Span, ParseError> {
        let end = loop {
            match memchr(b'>', self.waiting()) {
                Some(end) => break end,
                None if self.waiting().len() > 2 * MAX_NAME => {
                    return Err(self.malformed(self.from, "a tag that does not end"));
                }
                None if self.more()? => {}
                None => return Err(self.malformed(self.to, "the document ends inside a tag")),
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
            return Err(self.malformed(self.from, message));
        }
        self.token = self.from;
        self.from += end + 1;
        self.leave();
        Ok(Span::End)
    }

    fn start_tag(&mut self) -> Result<Option<Span>, ParseError> {
        let end = loop {
            if let Some(end) = ElementParser::default().feed(&self.waiting()[1..]) {
                break end + 1;
            }
            if self.may_grow() {
                if !self.more()? {
                    return Err(self.malformed(self.to, "the document ends inside a tag"));
                }
            } else if !self.shorten()? {
                return Err(self.malformed(self.from, "a tag that is too long"));
            }
        };
        self.token = self.from;
        let mut content = self.from + 1..self.from + end;
        self.from = content.end + 1;
        self.closing = self.window[content.clone()].ends_with(b"/");
        content.end -= usize::from(self.closing);
        self.enter(content.clone())?;
        Ok(Some(Span::Start { content }))
    }

    /// Remembers that the element of a tag is open.
    fn enter(&mut self, content: Range<usize>) -> Result<(), ParseError> {
        let at = content.start - 1;
        let bytes = &self.window[content];
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

/// The window.
impl<R: Read> Xml<R> {
    const fn is_full(&self) -> bool {
        self.to - self.from + LEAST_ROOM > WINDOW
    }

    /// Whether there is room for more behind what is waiting.
    const fn may_grow(&self) -> bool {
        !self.is_full()
    }

    /// Reads more behind what is waiting. False at the end of the input.
    fn more(&mut self) -> Result<bool, ParseError> {
        self.compact();
        let before = self.to;
        while self.to - before < LEAST_READ && self.to + LEAST_ROOM <= WINDOW {
            let read = match self.trouble.take() {
                Some(trouble) => Err(trouble),
                None => self.source.read_into(&mut self.window[self.to..]),
            };
            match read {
                Ok(0) => break,
                Ok(count) => self.to += count,
                // What came before the trouble is looked at first.
                Err(trouble) if self.to > before => {
                    self.trouble = Some(trouble);
                    break;
                }
                Err(trouble) => return Err(self.read_error(trouble)),
            }
        }
        Ok(self.to > before)
    }

    /// Moves what is waiting to the window's beginning.
    fn compact(&mut self) {
        if self.from > 0 {
            self.begin = self.place(self.from);
            self.window.copy_within(self.from..self.to, 0);
            self.token = self.token.saturating_sub(self.from);
            self.to -= self.from;
            self.from = 0;
        }
    }

    fn read_error(&self, trouble: Trouble) -> ParseError {
        match trouble {
            Trouble::Read(source) => ParseError::Read { offset: self.source.taken(), source },
            Trouble::Encoding(name) => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                ParseError::Malformed { offset: 0, message: format!("there is no encoding {name:?}") }
            }
        }
    }

    /// Makes room in a tag that fills the window: cuts each attribute value that is longer than a message may be. False
    /// when there is none.
    fn shorten(&mut self) -> Result<bool, ParseError> {
        self.compact();
        self.shortened = self.shortened.or(Some(self.begin));
        let (mut read, mut write, to) = (self.from, self.from, self.to);
        while let Some(at) = memchr2(b'"', b'\'', &self.window[read..to]) {
            let value = read + at + 1;
            let quote = self.window[value - 1];
            let end = memchr(quote, &self.window[value..to]).map_or(to, |length| value + length);
            let kept = self.boundary(end.min(value + MAX_MESSAGE));
            self.window.copy_within(read..kept, write);
            write += kept - read;
            read = end;
            if end == to && kept < end {
                self.drop_from(write);
                return self.drop_until(quote).map(|()| true);
            }
            // The closing quote goes along, so that it does not open a value.
            if end < to {
                self.window[write] = quote;
                write += 1;
                read += 1;
            }
        }
        self.window.copy_within(read..to, write);
        write += to - read;
        self.drop_from(write);
        Ok(write < to)
    }

    /// Drops what the window holds behind `end`.
    const fn drop_from(&mut self, end: usize) {
        self.begin += (self.to - end) as u64;
        self.to = end;
    }

    /// Drops what comes before the next `quote`.
    fn drop_until(&mut self, quote: u8) -> Result<(), ParseError> {
        let kept = self.to;
        while self.more()? {
            if let Some(at) = memchr(quote, &self.window[kept..self.to]) {
                self.window.copy_within(kept + at..self.to, kept);
                self.drop_from(self.to - at);
                return Ok(());
            }
            self.drop_from(kept);
        }
        Err(self.malformed(self.to, "the document ends inside a tag"))
    }

    /// The last border between characters that is not behind `at`.
    fn boundary(&self, at: usize) -> usize {
        let inside = |at: usize| self.window.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
        (at.saturating_sub(3)..=at).rev().find(|&at| !inside(at)).unwrap_or(at)
    }
}
