//! What programs wrap around their text: colours, byte order marks, UTF-16, and too much of it.
//!
//! Owns the way from a report's bytes to UTF-8. Nothing here knows a report's format.

use std::borrow::Cow;
use std::io::{self, Read};

use memchr::memchr;

const ESCAPE: u8 = 0x1B;

/// `line` without terminal sequences: colours and cursor movements (CSI), titles and links (OSC), character sets.
///
/// The runner takes only colours off. Whoever writes one of the others into a log means the terminal as well, and a
/// message that carried them on could rewrite the screen of whoever reads the report.
#[must_use]
pub fn without_escapes(line: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr(ESCAPE, line) else {
        return Cow::Borrowed(line);
    };
    let mut plain = line[..first].to_vec();
    let mut rest = &line[first..];
    while let Some(at) = memchr(ESCAPE, rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = after_escape(&rest[at + 1..]);
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

/// What follows the sequence that the escape before `rest` begins. One that breaks off takes what belongs to it.
fn after_escape(rest: &[u8]) -> &[u8] {
    match rest {
        [b'[', tail @ ..] => {
            let end = tail.iter().position(|byte| !(0x20..=0x3F).contains(byte)).unwrap_or(tail.len());
            match tail.get(end) {
                Some(0x40..=0x7E) => &tail[end + 1..],
                _ => &tail[end..],
            }
        }
        [b']', tail @ ..] => {
            let Some(end) = tail.iter().position(|byte| matches!(*byte, 0x07 | ESCAPE)) else {
                return &[];
            };
            let tail = &tail[end..];
            tail.strip_prefix(b"\x07").or_else(|| tail.strip_prefix(b"\x1B\\")).unwrap_or(tail)
        }
        [0x20..=0x2F, _, tail @ ..] | [b'=' | b'>' | b'7' | b'8' | b'M' | b'c', tail @ ..] => tail,
        _ => rest,
    }
}

/// `text` cut to at most `max` bytes and an ellipsis, at the border of a character.
#[must_use]
pub fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
        // What was cut off may be a hundred times as long, and whoever keeps a name keeps it for long.
        text.shrink_to_fit();
    }
    text
}

/// A reader that gives UTF-8 for what its inner reader gives as UTF-8 or as UTF-16 with a byte order mark, without the
/// mark. `PowerShell` writes either, depending on its version.
///
/// Bytes that are no UTF-8 pass unchanged; a format decides itself how much it forgives.
#[derive(Debug)]
pub struct Decoded<R> {
    inner: R,
    form: Form,
    /// Decoded and not yet read.
    ready: Vec<u8>,
    taken: usize,
}

#[derive(Debug)]
enum Form {
    Unknown,
    Utf8,
    Utf16 {
        big_endian: bool,
        /// Bytes of a character that is not complete.
        open: Vec<u8>,
    },
}

/// Bytes by which a format with several forms tells them apart.
pub(super) const HEAD: u64 = 4096;

/// The first bytes of `input`, and a reader that gives them once more with all that follow.
///
/// # Errors
/// Fails when the input cannot be read.
pub fn with_head<R: Read>(mut input: R) -> io::Result<(Vec<u8>, impl Read)> {
    let mut head = Vec::new();
    (&mut input).take(HEAD).read_to_end(&mut head)?;
    Ok((head.clone(), io::Cursor::new(head).chain(input)))
}

/// Bytes that are asked of the inner reader at a time.
const PIECE: usize = 16 << 10;

impl<R: Read> Decoded<R> {
    /// Decodes what `inner` gives.
    pub const fn new(inner: R) -> Self {
        Self { inner, form: Form::Unknown, ready: Vec::new(), taken: 0 }
    }

    /// Looks at the first bytes.
    fn begin(&mut self) -> io::Result<()> {
        let mut head = Vec::with_capacity(3);
        (&mut self.inner).take(3).read_to_end(&mut head)?;
        let (form, mark) = match head[..] {
            [0xEF, 0xBB, 0xBF] => (Form::Utf8, 3),
            [0xFF, 0xFE, ..] => (Form::Utf16 { big_endian: false, open: Vec::new() }, 2),
            [0xFE, 0xFF, ..] => (Form::Utf16 { big_endian: true, open: Vec::new() }, 2),
            _ => (Form::Utf8, 0),
        };
        self.form = form;
        if let Form::Utf16 { open, .. } = &mut self.form {
            open.extend_from_slice(&head[mark..]);
        } else {
            self.ready.extend_from_slice(&head[mark..]);
        }
        Ok(())
    }

    /// Decodes the next piece of UTF-16; leaves `ready` empty only at the end of the input.
    fn decode_more(&mut self) -> io::Result<()> {
        let Form::Utf16 { big_endian, open } = &mut self.form else {
            return Ok(());
        };
        while self.ready.is_empty() {
            let before = open.len();
            open.resize(before + PIECE, 0);
            let got = match self.inner.read(&mut open[before..]) {
                Ok(got) => got,
                Err(error) => {
                    open.truncate(before);
                    if error.kind() == io::ErrorKind::Interrupted {
                        continue;
                    }
                    return Err(error);
                }
            };
            open.truncate(before + got);
            if open.is_empty() {
                return Ok(());
            }
            decode_utf16(open, *big_endian, got == 0, &mut self.ready);
        }
        Ok(())
    }
}

/// Moves whole characters from `open` to `out`. At the `end` what is not whole becomes a replacement character.
fn decode_utf16(open: &mut Vec<u8>, big_endian: bool, end: bool, out: &mut Vec<u8>) {
    let unit = |pair: &[u8]| {
        let pair = [pair[0], pair[1]];
        if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    };
    let mut whole = open.len() & !1;
    if !end && whole >= 2 && (0xD800..0xDC00).contains(&unit(&open[whole - 2..])) {
        whole -= 2;
    }
    let units = open[..whole].chunks_exact(2).map(unit);
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    out.extend_from_slice(text.as_bytes());
    open.drain(..whole);
    if end && !open.is_empty() {
        out.extend_from_slice("\u{FFFD}".as_bytes());
        open.clear();
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if matches!(self.form, Form::Unknown) {
            self.begin()?;
        }
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
            if matches!(self.form, Form::Utf8) {
                return self.inner.read(buffer);
            }
            self.decode_more()?;
        }
        let waiting = &self.ready[self.taken..];
        let count = waiting.len().min(buffer.len());
        buffer[..count].copy_from_slice(&waiting[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(line: &str) -> String {
        String::from_utf8_lossy(&without_escapes(line.as_bytes())).into_owned()
    }

    #[test]
    fn terminal_sequences_go_and_text_stays() {
        assert_eq!(plain("no colour"), "no colour");
        assert_eq!(plain("\x1b[31mred\x1b[m, \x1b[1;31mbright\x1b[0m"), "red, bright");
        assert_eq!(plain("\x1b[K\x1b[2Jcleared\x1b[?25l"), "cleared");
        assert_eq!(plain("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\ end"), "link end");
        assert_eq!(plain("\x1b(Bcharset\x1b"), "charset");
        assert_eq!(plain("cut\x1b[31"), "cut");
        assert_eq!(plain("cut\x1b]0;title"), "cut");
        assert_eq!(plain("a\x1b[31\x1b[0mb"), "ab");
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("äöü".to_owned(), 6), "äöü");
        assert_eq!(cut("äöü".to_owned(), 5), "äö…");
        let cut_long = cut("x".repeat(1 << 20), 8);
        assert!(cut_long.capacity() < 1 << 10, "{} bytes are held for 11", cut_long.capacity());
    }

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        units.flat_map(|unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    /// Gives `chunk` bytes at a time, so that characters fall apart.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn decoded(bytes: &[u8], chunk: usize) -> Vec<u8> {
        let mut out = Vec::new();
        Decoded::new(Slow(bytes, chunk)).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn broken_utf16_is_replaced_and_the_rest_read() {
        assert_eq!(decoded(b"\xFF\xFEa\0\0\xD8b\0c", 3), "a\u{FFFD}b\u{FFFD}".as_bytes());
        assert_eq!(decoded(b"\xFF\xFE\0\xD8", 1), "\u{FFFD}".as_bytes());
        assert_eq!(decoded(b"\xFF", 1), b"\xFF");
    }

    proptest! {
        #[test]
        fn every_form_reads_the_same(text in "[a-zäß😀\r\n]{0,40}", chunk in 1usize..9) {
            let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
            prop_assert_eq!(decoded(text.as_bytes(), chunk), text.as_bytes());
            prop_assert_eq!(decoded(&marked, chunk), text.as_bytes());
            prop_assert_eq!(decoded(&utf16(&text, false), chunk), text.as_bytes());
            prop_assert_eq!(decoded(&utf16(&text, true), chunk), text.as_bytes());
        }

        #[test]
        fn no_escape_survives_unless_it_stands_alone(line in "[\x1b\\[\\]0-9;mKa\x07\\\\]{0,30}") {
            let once = plain(&line);
            prop_assert!(!once.contains('\x1b'), "{:?}", once);
        }
    }
}
