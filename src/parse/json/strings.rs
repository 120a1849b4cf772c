//! The parts of JSON that have bytes of their own: strings and numbers.

use std::io::Read;

use memchr::{memchr, memchr2};

use crate::parse::ParseError;
use crate::parse::json::{Json, Kind, Layout};
use crate::parse::options::MAX_MESSAGE;

/// Most of a string that is kept, in bytes: enough to see that a message is too long.
const MAX_TEXT: usize = MAX_MESSAGE + 8;

/// Bytes in which the end of a string is looked for word by word.
const SHORT: usize = 32;

/// Most digits of a number that is read at once; more of them might not fit.
const MAX_SHORT: usize = 18;

/// Most of a number that is kept, in bytes.
const MAX_NUMBER: usize = 64;

impl<R: Read> Json<R> {
    /// The next value, if it is a string; anything else is skipped. A long one is cut, broken characters are replaced.
    pub(crate) fn text(&mut self) -> Result<Option<&str>, ParseError> {
        if !self.is(Kind::Text)? {
            return Ok(None);
        }
        let place = self.string()?;
        Ok(Some(self.resolve(place)))
    }

    /// The next value as text, if it is a string, a number or a boolean; anything else is skipped.
    pub(crate) fn scalar(&mut self) -> Result<Option<&str>, ParseError> {
        match self.kind()? {
            Kind::Number | Kind::Boolean => {
                self.word()?;
                Ok(Some(self.resolve(Place::Raw)))
            }
            Kind::Object | Kind::Array | Kind::Text | Kind::Null => self.text(),
        }
    }

    /// The next value, if it is a number without a fraction; anything else is skipped.
    pub(crate) fn integer(&mut self) -> Result<Option<i64>, ParseError> {
        if !self.is(Kind::Number)? {
            return Ok(None);
        }
        if let Some(number) = self.short_integer() {
            return Ok(Some(number));
        }
        let offset = self.offset();
        self.word()?;
        let number = integer(&self.raw);
        if number.is_none() {
            self.note(offset, || "a number stands where a whole number belongs".to_owned());
        }
        Ok(number)
    }

    /// Reads a whole number as nearly all are: a few digits, and what follows is known to be none of it. Nothing when it
    /// is another one, which is then not read.
    fn short_integer(&mut self) -> Option<i64> {
        let rest = &self.buffer[self.at..];
        let (mut number, mut digits) = (0, 0);
        while let Some(digit @ b'0'..=b'9') = rest.get(digits)
            && digits < MAX_SHORT
        {
            number = number * 10 + i64::from(digit - b'0');
            digits += 1;
        }
        let begins_well = digits == 1 || rest.first() != Some(&b'0');
        let ends_well = matches!(rest.get(digits), Some(b',' | b'}' | b']' | b' ' | b'\r' | b'\n'));
        if digits == 0 || !begins_well || !ends_well {
            return None;
        }
        self.at += digits;
        Some(number)
    }

    /// Reads a string, standing before its quote.
    pub(super) fn string(&mut self) -> Result<Place, ParseError> {
        self.at += 1;
        let start = self.at;
        let rest = &self.buffer[start..self.end];
        if let Some(found) = self.find_end(rest)
            && rest[found] == b'"'
        {
            self.at = start + found + 1;
            return Ok(Place::Buffer(start, start + found));
        }
        self.long_string()?;
        Ok(Place::Raw)
    }

    /// The first byte of `text`, which is inside a string, that ends it, begins an escape or may not stand there.
    #[inline]
    fn find_end(&self, text: &[u8]) -> Option<usize> {
        let found = find_quote_or_escape(text);
        match self.layout {
            Layout::Document => found,
            Layout::Lines => memchr(b'\n', &text[..found.unwrap_or(text.len())]).or(found),
        }
    }

    /// Reads a string that has escapes or lies across pieces of the input.
    fn long_string(&mut self) -> Result<(), ParseError> {
        self.raw.clear();
        // The first half of a character of two escapes.
        let mut half = None;
        loop {
            let rest = &self.buffer[self.at..self.end];
            let found = self.find_end(rest);
            let plain = &rest[..found.unwrap_or(rest.len())];
            if !plain.is_empty() {
                flush(&mut self.raw, &mut half);
                keep(&mut self.raw, plain);
                self.at += plain.len();
            }
            match found.map(|_| self.buffer[self.at]) {
                Some(b'"') => {
                    self.at += 1;
                    flush(&mut self.raw, &mut half);
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut half)?;
                }
                Some(_) => return Err(self.malformed("the line ends inside a string")),
                None if !self.refill()? => return Err(self.cut_short()),
                None => {}
            }
        }
    }

    /// Reads what stands behind a backslash.
    fn escape(&mut self, half: &mut Option<u16>) -> Result<(), ParseError> {
        let byte = self.byte()?;
        if byte != b'u' {
            flush(&mut self.raw, half);
        }
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let unit = self.code_unit()?;
                match (half.take(), unit) {
                    (Some(high), 0xDC00..=0xDFFF) => keep_units(&mut self.raw, &[high, unit]),
                    (before, 0xD800..=0xDBFF) => {
                        *half = before;
                        flush(&mut self.raw, half);
                        *half = Some(unit);
                    }
                    (before, _) => {
                        *half = before;
                        flush(&mut self.raw, half);
                        keep_units(&mut self.raw, &[unit]);
                    }
                }
                return Ok(());
            }
            _ => {
                self.at -= 1;
                return Err(self.malformed("a string has an unknown escape"));
            }
        };
        keep(&mut self.raw, &[plain]);
        Ok(())
    }

    fn code_unit(&mut self) -> Result<u16, ParseError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.byte()?).to_digit(16) else {
                self.at -= 1;
                return Err(self.malformed("a string has an escape without its four digits"));
            };
            unit = unit << 4 | u16::try_from(digit).unwrap_or_default();
        }
        Ok(unit)
    }

    /// The next byte of a string, which is read. A line feed is left, because it may end a document.
    fn byte(&mut self) -> Result<u8, ParseError> {
        if self.at == self.end && !self.refill()? {
            return Err(self.cut_short());
        }
        match self.buffer[self.at] {
            b'\n' => Err(self.malformed("the line ends inside a string")),
            byte => {
                self.at += 1;
                Ok(byte)
            }
        }
    }

    /// Skips a string, standing before its quote.
    pub(super) fn skip_string(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        loop {
            let rest = &self.buffer[self.at..self.end];
            let found = self.find_end(rest);
            match found.map(|found| (found, rest[found])) {
                Some((found, b'"')) => {
                    self.at += found + 1;
                    return Ok(());
                }
                Some((found, b'\\')) => {
                    self.at += found + 1;
                    self.byte()?;
                }
                Some((found, _)) => {
                    self.at += found;
                    return Err(self.malformed("the line ends inside a string"));
                }
                None if !self.refill()? => return Err(self.cut_short()),
                None => {}
            }
        }
    }

    /// Reads a number, `true`, `false` or `null` into `raw`.
    pub(super) fn word(&mut self) -> Result<(), ParseError> {
        self.raw.clear();
        let offset = self.offset();
        loop {
            let rest = &self.buffer[self.at..self.end];
            let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
            let count = rest.iter().take_while(is_part).count();
            let room = MAX_NUMBER.saturating_sub(self.raw.len());
            self.raw.extend_from_slice(&rest[..count.min(room)]);
            self.at += count;
            if self.at < self.end || !self.refill()? {
                break;
            }
        }
        if matches!(
            self.raw[..],
            [b't', b'r', b'u', b'e'] | [b'f', b'a', b'l', b's', b'e'] | [b'n', b'u', b'l', b'l']
        ) || is_number(&self.raw)
        {
            return Ok(());
        }
        Err(ParseError::Malformed { offset, message: "a JSON value was expected".to_owned() })
    }

    /// The string at `place`, for as long as nothing else is read.
    #[inline]
    pub(super) fn resolve(&mut self, place: Place) -> &str {
        let bytes = match place {
            Place::Buffer(start, end) => &self.buffer[start..end],
            Place::Raw => &self.raw,
        };
        if let Ok(text) = std::str::from_utf8(bytes) {
            return text;
        }
        self.text = String::from_utf8_lossy(bytes).into_owned();
        &self.text
    }
}

/// Where a string stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the buffer, from one index to the other.
    Buffer(usize, usize),
    /// In `raw`, decoded.
    Raw,
}

/// The first quote or backslash in `text`. Most strings are a few bytes long, and a search that is made for long ones
/// takes longer to begin than to end with them.
#[inline]
fn find_quote_or_escape(text: &[u8]) -> Option<usize> {
    let (words, _) = text[..text.len().min(SHORT)].as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        if let Some(at) = find_in_word(u64::from_le_bytes(*word)) {
            return Some(8 * index + at);
        }
    }
    let looked_at = 8 * words.len();
    memchr2(b'"', b'\\', &text[looked_at..]).map(|at| looked_at + at)
}

/// The same in eight bytes, the first of which is the lowest: one that is equal leaves a zero, and the lowest zero is the
/// one that a borrow shows for certain.
#[inline]
fn find_in_word(word: u64) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = u64::from_le_bytes([0x80; 8]);
    let equal = |byte: u8| {
        let zeros = word ^ (ONES * u64::from(byte));
        zeros.wrapping_sub(ONES) & !zeros
    };
    let found = (equal(b'"') | equal(b'\\')) & HIGHEST;
    (found != 0).then_some(found.trailing_zeros() as usize / 8)
}

fn keep(raw: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_TEXT.saturating_sub(raw.len());
    raw.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// Keeps the characters of UTF-16 code units; a half without its other half is replaced.
fn keep_units(raw: &mut Vec<u8>, units: &[u16]) {
    for c in char::decode_utf16(units.iter().copied()) {
        let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
        keep(raw, c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Keeps what stands for a first half whose second half did not come.
fn flush(raw: &mut Vec<u8>, half: &mut Option<u16>) {
    if let Some(unit) = half.take() {
        keep_units(raw, &[unit]);
    }
}

/// Whether `text` is a number by JSON's grammar. One that was cut is, too, as far as it goes.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest[0] == b'0' {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        rest = &fraction[count..];
        if count == 0 {
            return false;
        }
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

/// The whole number that `text` writes, perhaps as `3.0` or `1e2`.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    // All whole numbers up to here have a float of their own.
    let exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is far from the limits")]
    exact.then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_quote_or_escape_is_found_wherever_it_is(
            text in prop::collection::vec(prop_oneof![9 => any::<u8>(), 1 => prop::sample::select(&b"\"\\\n!#\xA2"[..])], 0..80),
        ) {
            let first = text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(find_quote_or_escape(&text), first);
        }
    }
}
