//! JSON as it streams by: a reader that hands out one token at a time, in memory that does not grow with the input.
//!
//! Owns the grammar and nothing of what a report means. It is ours because a report is mostly text that nobody asks for:
//! what is skipped is never copied or decoded here, only searched for its end, and a broken line of a file of lines costs
//! no more than that line.
//!
//! A value of a kind that nobody expected is skipped and remembered as an [`Oddity`], so that whoever reads records can
//! leave out one of them and go on.

mod kind;
pub(crate) mod records;
mod strings;

use std::io::{self, Read};

use memchr::memchr;

use crate::parse::ParseError;
pub(crate) use crate::parse::json::kind::Kind;
use crate::parse::json::strings::Place;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 512;

/// Bytes that are asked of the input at a time.
const PIECE: usize = 128 << 10;

/// How many documents an input has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One, over as many lines as it likes.
    Document,
    /// One a line.
    Lines,
}

/// A value that was skipped because it is of another kind than its place asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Oddity {
    /// Where it begins, in bytes.
    pub(crate) offset: u64,
    /// What was expected and what is there.
    pub(crate) message: String,
}

/// Reads JSON from `R`.
#[derive(Debug)]
pub(crate) struct Json<R> {
    input: R,
    /// A piece of the input and a zero behind its end: no JSON has one outside of strings, so whoever looks at the next
    /// byte need not ask first whether there is one.
    buffer: Box<[u8]>,
    /// The next byte in `buffer`, and the end of the piece.
    at: usize,
    end: usize,
    /// Bytes of the input that came before `buffer`.
    before: u64,
    layout: Layout,
    /// The objects and arrays that are open, and whether the innermost has had no member or item yet.
    open: Vec<Kind>,
    is_fresh: bool,
    /// A string that does not stand in `buffer` as it is, before and after its bytes were checked.
    raw: Vec<u8>,
    text: String,
    oddity: Option<Oddity>,
}

impl<R: Read> Json<R> {
    pub(crate) fn new(input: R, layout: Layout) -> Self {
        Self {
            input,
            buffer: vec![0; PIECE + 1].into_boxed_slice(),
            at: 0,
            end: 0,
            before: 0,
            layout,
            open: Vec::new(),
            is_fresh: false,
            raw: Vec::new(),
            text: String::new(),
            oddity: None,
        }
    }

    /// Bytes read so far.
    pub(crate) const fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// What was first of another kind than expected since this was last asked.
    pub(crate) const fn take_oddity(&mut self) -> Option<Oddity> {
        self.oddity.take()
    }

    /// Remembers that a value at `offset` is not what its place asks for.
    pub(crate) fn note(&mut self, offset: u64, message: impl FnOnce() -> String) {
        self.oddity.get_or_insert_with(|| Oddity { offset, message: message() });
    }

    /// The kind of the next value, which is not read yet.
    #[inline]
    pub(crate) fn kind(&mut self) -> Result<Kind, ParseError> {
        Ok(match self.next_visible()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::Text,
            b't' | b'f' => Kind::Boolean,
            b'n' => Kind::Null,
            b'-' | b'0'..=b'9' => Kind::Number,
            _ => return Err(self.expected("a JSON value")),
        })
    }

    /// Enters the next value, if it is an object; anything else is skipped.
    pub(crate) fn object(&mut self) -> Result<bool, ParseError> {
        self.enter(Kind::Object)
    }

    /// Enters the next value, if it is an array; anything else is skipped.
    pub(crate) fn array(&mut self) -> Result<bool, ParseError> {
        self.enter(Kind::Array)
    }

    fn enter(&mut self, wanted: Kind) -> Result<bool, ParseError> {
        if !self.is(wanted)? {
            return Ok(false);
        }
        if self.open.len() == MAX_DEPTH {
            return Err(self.malformed(&format!("values are nested deeper than {MAX_DEPTH} levels")));
        }
        self.at += 1;
        self.open.push(wanted);
        self.is_fresh = true;
        Ok(true)
    }

    /// Whether the next value is of the kind `wanted`. One that is not is skipped; `null` stands for nothing.
    #[inline]
    fn is(&mut self, wanted: Kind) -> Result<bool, ParseError> {
        let kind = self.kind()?;
        if kind == wanted { Ok(true) } else { self.skip_odd(kind, wanted) }
    }

    #[cold]
    fn skip_odd(&mut self, kind: Kind, wanted: Kind) -> Result<bool, ParseError> {
        if kind != Kind::Null {
            let offset = self.offset();
            self.note(offset, || format!("{} stands where {} belongs", kind.as_str(), wanted.as_str()));
        }
        self.skip()?;
        Ok(false)
    }

    /// The key of the next member of the object that was entered last; nothing at its end, which is thereby left. The
    /// member's value must be read or skipped before the next key.
    pub(crate) fn key(&mut self) -> Result<Option<&str>, ParseError> {
        if !self.more(Kind::Object, b'}')? {
            return Ok(None);
        }
        if self.buffer[self.at] != b'"' {
            return Err(self.expected("a key"));
        }
        let place = self.string()?;
        // The colon is read before the key is handed out, and may need more of the input.
        let place = self.colon_after(place)?;
        Ok(Some(self.resolve(place)))
    }

    fn colon_after(&mut self, key: Place) -> Result<Place, ParseError> {
        let key = match key {
            Place::Buffer(start, end) if self.buffer[self.at] == b':' => {
                self.at += 1;
                return Ok(Place::Buffer(start, end));
            }
            Place::Buffer(start, end) => {
                self.raw.clear();
                self.raw.extend_from_slice(&self.buffer[start..end]);
                Place::Raw
            }
            Place::Raw => Place::Raw,
        };
        if self.next_visible()? != b':' {
            return Err(self.expected("a colon"));
        }
        self.at += 1;
        Ok(key)
    }

    /// Whether the array that was entered last has another item; at its end it is left. The item must be read or skipped
    /// before the next one.
    pub(crate) fn item(&mut self) -> Result<bool, ParseError> {
        self.more(Kind::Array, b']')
    }

    /// Reads the next value by `read`, item by item, if it is an array; anything else is skipped.
    pub(crate) fn each(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        if self.array()? {
            while self.item()? {
                read(self)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn more(&mut self, kind: Kind, close: u8) -> Result<bool, ParseError> {
        let next = self.next_visible()?;
        if self.open.last() != Some(&kind) {
            return Err(self.malformed("nothing is open here"));
        }
        let is_first = std::mem::take(&mut self.is_fresh);
        if next == close {
            self.at += 1;
            self.open.pop();
            return Ok(false);
        }
        if is_first {
            return Ok(true);
        }
        if next != b',' {
            return Err(self.expected("a comma or an end"));
        }
        self.at += 1;
        if self.next_visible()? == close {
            return Err(self.malformed("nothing follows the comma"));
        }
        Ok(true)
    }

    /// Skips the next value, whatever it is. Its grammar is checked, its text is not.
    pub(crate) fn skip(&mut self) -> Result<(), ParseError> {
        let floor = self.open.len();
        loop {
            match self.kind()? {
                kind @ (Kind::Object | Kind::Array) => {
                    self.enter(kind)?;
                }
                Kind::Text => self.skip_string()?,
                Kind::Number | Kind::Boolean | Kind::Null => self.word()?,
            }
            if self.close_to(floor)? {
                return Ok(());
            }
        }
    }

    /// Moves on to the next value that lies deeper than `floor`; true when there is none.
    fn close_to(&mut self, floor: usize) -> Result<bool, ParseError> {
        while self.open.len() > floor {
            let more = if self.open.last() == Some(&Kind::Object) { self.skip_key()? } else { self.item()? };
            if more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn skip_key(&mut self) -> Result<bool, ParseError> {
        if !self.more(Kind::Object, b'}')? {
            return Ok(false);
        }
        if self.buffer[self.at] != b'"' {
            return Err(self.expected("a key"));
        }
        self.skip_string()?;
        if self.next_visible()? != b':' {
            return Err(self.expected("a colon"));
        }
        self.at += 1;
        Ok(true)
    }

    /// Whether there is another document. Blanks and empty lines before it are passed over.
    pub(crate) fn document(&mut self) -> Result<bool, ParseError> {
        loop {
            while let Some(byte) = self.buffer[..self.end].get(self.at) {
                if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                    return Ok(true);
                }
                self.at += 1;
            }
            if !self.refill()? {
                return Ok(false);
            }
        }
    }

    /// The document has been read: nothing may follow it in the input, or in its line.
    pub(crate) fn end(&mut self) -> Result<(), ParseError> {
        match (self.layout, self.blanks()?) {
            (_, None) | (Layout::Lines, Some(b'\n')) => Ok(()),
            _ => Err(self.malformed("text follows the JSON value")),
        }
    }

    /// Gives the current document up and goes to the next line. False at the end of the input.
    pub(crate) fn next_line(&mut self) -> Result<bool, ParseError> {
        self.open.clear();
        self.oddity = None;
        loop {
            if let Some(found) = memchr(b'\n', &self.buffer[self.at..self.end]) {
                self.at += found + 1;
                return Ok(true);
            }
            self.at = self.end;
            if !self.refill()? {
                return Ok(false);
            }
        }
    }

    /// The next byte that is no blank, which is not read yet; 0 at the end of the input.
    #[inline]
    fn next_visible(&mut self) -> Result<u8, ParseError> {
        // Most values follow each other without a blank, or after one.
        let blanks = usize::from(self.buffer[self.at] == b' ');
        let byte = self.buffer[self.at + blanks];
        if byte > b' ' {
            self.at += blanks;
            return Ok(byte);
        }
        self.next_visible_of_many()
    }

    #[cold]
    fn next_visible_of_many(&mut self) -> Result<u8, ParseError> {
        match self.blanks()? {
            Some(b'\n') => Err(self.malformed("the line ends inside a JSON value")),
            next => Ok(next.unwrap_or(0)),
        }
    }

    /// Passes over blanks. A line feed is one, unless it ends a document.
    fn blanks(&mut self) -> Result<Option<u8>, ParseError> {
        let line_feed = if self.layout == Layout::Lines { b' ' } else { b'\n' };
        loop {
            let rest = &self.buffer[self.at..self.end];
            let blanks =
                rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r') || **byte == line_feed);
            self.at += blanks.count();
            if self.at < self.end {
                return Ok(Some(self.buffer[self.at]));
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }

    /// Reads more of the input once `buffer` is used up. False at the end.
    fn refill(&mut self) -> Result<bool, ParseError> {
        self.before += self.end as u64;
        (self.at, self.end) = (0, 0);
        loop {
            match self.input.read(&mut self.buffer[..PIECE]) {
                Ok(count) => {
                    self.end = count;
                    self.buffer[count] = 0;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ParseError::Read { offset: self.before, source }),
            }
        }
    }

    pub(crate) fn malformed(&self, message: &str) -> ParseError {
        ParseError::Malformed { offset: self.offset(), message: message.to_owned() }
    }

    fn expected(&self, what: &str) -> ParseError {
        if self.at == self.end { self.cut_short() } else { self.malformed(&format!("{what} was expected")) }
    }

    fn cut_short(&self) -> ParseError {
        self.malformed("the JSON is cut short")
    }
}

#[cfg(test)]
mod tests;
