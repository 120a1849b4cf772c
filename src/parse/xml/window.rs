//! The part of a document that is held: a window of fixed size that moves over it.
//!
//! What a token is, is not known here, with one exception: a tag that fills the window has its longest values cut, and
//! only the window can do that without holding more.

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr2};

use crate::parse::ParseError;
use crate::parse::options::MAX_MESSAGE;
use crate::parse::output::Output;
use crate::parse::xml::encoding::{LEAST_ROOM, MARK, Source, Trouble};

/// Most text that is held at once, in bytes.
pub(super) const SIZE: usize = 256 << 10;

/// Text that is read at least before a token is looked at again, in bytes.
const LEAST_READ: usize = 8 << 10;

/// A window over a document.
pub(super) struct Window<R> {
    source: Source<R>,
    bytes: Vec<u8>,
    /// What is decoded and not yet taken. Positions move when more is read.
    pub(super) from: usize,
    to: usize,
    /// Where in the input `bytes` begins, not counting a byte order mark.
    begin: u64,
    /// The first bytes that are no text: where in the input, and where in the window U+FFFD stands for them.
    fault: Option<(u64, usize)>,
    /// Why no more can be read, once what came before is taken.
    trouble: Option<Trouble>,
}

impl<R: Read> Window<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            source: Source::new(input),
            bytes: vec![0; SIZE],
            from: 0,
            to: 0,
            begin: 0,
            fault: None,
            trouble: None,
        }
    }

    /// What is decoded and not yet taken.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    /// The bytes at `range`.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// The text at `range`, which begins and ends between characters.
    pub(super) fn text(&self, range: Range<usize>) -> &str {
        str::from_utf8(&self.bytes[range]).unwrap_or_default()
    }

    /// Where in the input the position `at` is.
    pub(super) fn place(&self, at: usize) -> u64 {
        self.source.mark() + self.begin + self.source.length_of(&self.bytes[..at])
    }

    /// Where in the input the window ends.
    pub(super) fn end(&self) -> u64 {
        self.place(self.to)
    }

    /// Whether what is waiting fills the window.
    pub(super) const fn is_full(&self) -> bool {
        self.to - self.from + LEAST_ROOM > SIZE
    }

    /// Tells of bytes that are no text in the document's encoding, once what they stand in is taken.
    pub(super) fn tell_fault(&mut self, out: &mut Output<'_>) {
        if let Some((offset, _)) = self.fault.take_if(|(_, at)| *at < self.from) {
            out.broken(offset, &format!("bytes that are no {}", self.source.name()));
        }
    }

    /// Reads more behind what is waiting, which moves to the window's beginning. False at the end of the input; the
    /// window must not be full.
    pub(super) fn more(&mut self) -> Result<bool, ParseError> {
        self.compact();
        let before = self.to;
        while self.to - before < LEAST_READ && self.to + LEAST_ROOM <= SIZE {
            let read = match self.trouble.take() {
                Some(trouble) => Err(trouble),
                None => self.source.read_into(&mut self.bytes[self.to..]),
            };
            match read {
                Ok(0) => break,
                Ok(count) => {
                    self.to += count;
                    self.fault = self.fault.or_else(|| Some((self.source.fault()?, self.to - MARK.len())));
                }
                // What came before the trouble is looked at first.
                Err(trouble) if self.to > before => {
                    self.trouble = Some(trouble);
                    break;
                }
                Err(trouble) => return Err(self.error(trouble)),
            }
        }
        Ok(self.to > before)
    }

    fn compact(&mut self) {
        if self.from > 0 {
            self.begin += self.source.length_of(&self.bytes[..self.from]);
            self.bytes.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            if let Some((_, at)) = &mut self.fault {
                *at = at.saturating_sub(self.from);
            }
            self.from = 0;
        }
    }

    fn error(&self, trouble: Trouble) -> ParseError {
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
    pub(super) fn shorten(&mut self) -> Result<bool, ParseError> {
        self.compact();
        let (mut read, mut write, to) = (0, 0, self.to);
        while let Some(at) = memchr2(b'"', b'\'', &self.bytes[read..to]) {
            let value = read + at + 1;
            let quote = self.bytes[value - 1];
            let end = memchr(quote, &self.bytes[value..to]).map_or(to, |length| value + length);
            let kept = self.boundary(end.min(value + MAX_MESSAGE));
            self.bytes.copy_within(read..kept, write);
            write += kept - read;
            read = end;
            if end == to && kept < end {
                self.drop_behind(write);
                return self.drop_until(quote).map(|()| true);
            }
            // The closing quote goes along, so that it does not open a value.
            if end < to {
                self.bytes[write] = quote;
                write += 1;
                read += 1;
            }
        }
        self.bytes.copy_within(read..to, write);
        write += to - read;
        self.drop_behind(write);
        Ok(write < to)
    }

    /// Drops what is behind `end`.
    const fn drop_behind(&mut self, end: usize) {
        self.begin += (self.to - end) as u64;
        self.to = end;
        if let Some((_, at)) = &mut self.fault
            && *at >= end
        {
            *at = self.from;
        }
    }

    /// Drops what comes before the next `quote`.
    fn drop_until(&mut self, quote: u8) -> Result<(), ParseError> {
        let kept = self.to;
        while self.more()? {
            if let Some(at) = memchr(quote, &self.bytes[kept..self.to]) {
                self.bytes.copy_within(kept + at..self.to, kept);
                self.drop_behind(self.to - at);
                return Ok(());
            }
            self.drop_behind(kept);
        }
        let message = "the document ends inside a tag".to_owned();
        Err(ParseError::Malformed { offset: self.end(), message })
    }

    /// The last border between characters that is not behind `at`.
    fn boundary(&self, at: usize) -> usize {
        let inside = |at: usize| self.bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
        (at.saturating_sub(3)..=at).rev().find(|&at| !inside(at)).unwrap_or(at)
    }
}
