//! Bytes in, lines out.
//!
//! Owns what a line is: it ends with a line feed, with a carriage return, or with both, as the runner's own reader sees
//! it. A bare carriage return counts, so that a progress bar that redraws itself is many short lines and not one that
//! grows. Nothing here knows what a line means.

use memchr::memchr2;

/// Longest line that is kept, in bytes. The rest of a longer one is dropped.
pub const MAX_LINE: usize = 4 << 20;

/// Capacity that is kept from one line to the next. One long line must not hold its memory until the stream ends.
const KEPT_CAPACITY: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Splits a stream into lines, whatever the pieces in which it arrives.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    /// The last byte was a carriage return: a line feed that comes next belongs to it.
    after_return: bool,
    /// The line in `partial` is longer than it shows.
    overlong: bool,
    /// A line has been handed out, so a byte order mark is no longer one.
    started: bool,
    cut: u64,
}

impl LineSplitter {
    /// Takes the next piece of the stream and hands each line that is complete to `each`, without its end.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
        let mut rest = bytes;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            self.end_line(&rest[..end], each);
            let mut next = end + 1;
            if rest[end] == b'\r' {
                match rest.get(next) {
                    Some(b'\n') => next += 1,
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
            rest = &rest[next..];
        }
        self.keep(rest);
    }

    /// The stream has ended: a last line without an end is handed out as well.
    pub fn finish(&mut self, each: &mut dyn FnMut(&[u8])) {
        if !self.partial.is_empty() {
            self.end_line(&[], each);
        }
        self.after_return = false;
        self.started = false;
    }

    /// How many lines so far were longer than [`MAX_LINE`] and lost their end.
    #[must_use]
    pub const fn cut(&self) -> u64 {
        self.cut
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.partial.len();
        self.overlong |= bytes.len() > room;
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, last: &[u8], each: &mut dyn FnMut(&[u8])) {
        let first = !std::mem::replace(&mut self.started, true);
        if self.partial.is_empty() && last.len() <= MAX_LINE {
            each(without_mark(last, first));
            return;
        }
        self.keep(last);
        self.cut += u64::from(std::mem::take(&mut self.overlong));
        each(without_mark(&self.partial, first));
        self.partial.clear();
        self.partial.shrink_to(KEPT_CAPACITY);
    }
}

fn without_mark(line: &[u8], first: bool) -> &[u8] {
    if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::default();
        let mut each = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        for piece in pieces {
            splitter.push(piece, &mut each);
        }
        splitter.finish(&mut each);
        lines
    }

    #[test]
    fn every_kind_of_line_end_ends_one_line() {
        assert_eq!(split(&[b"a\nb\r\nc\rd"]), ["a", "b", "c", "d"]);
        assert_eq!(split(&[b"a\n\n\r\n\r\rb\n"]), ["a", "", "", "", "", "b"]);
        assert_eq!(split(&[b""]), Vec::<String>::new());
    }

    #[test]
    fn a_line_end_in_two_pieces_is_one_line_end() {
        assert_eq!(split(&[b"a\r", b"\nb"]), ["a", "b"]);
        assert_eq!(split(&[b"a\r", b"", b"\nb"]), ["a", "b"]);
        assert_eq!(split(&[b"a\r", b"b\n", b"\n"]), ["a", "b", ""]);
    }

    #[test]
    fn only_the_first_line_can_have_a_byte_order_mark() {
        assert_eq!(split(&[b"\xEF", b"\xBB\xBFa\n\xEF\xBB\xBFb"]), ["a", "\u{feff}b"]);
    }

    #[test]
    fn a_line_that_never_ends_is_cut_and_counted() {
        let mut splitter = LineSplitter::default();
        let mut lengths = Vec::new();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..6 {
            splitter.push(&piece, &mut |line| lengths.push(line.len()));
        }
        splitter.push(b"\nshort\n", &mut |line| lengths.push(line.len()));
        let whole = [vec![b'y'; MAX_LINE + 1], b"\n".to_vec()].concat();
        splitter.push(&whole, &mut |line| lengths.push(line.len()));
        assert_eq!((lengths, splitter.cut()), (vec![MAX_LINE, 5, MAX_LINE], 2));
        assert!(splitter.partial.capacity() <= KEPT_CAPACITY, "a long line's memory is given back");
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(bytes in prop::collection::vec(prop::sample::select(&b"ab\r\n\xEF\xBB\xBF"[..]), 0..40), at in 0usize..40) {
            let at = at.min(bytes.len());
            prop_assert_eq!(split(&[&bytes]), split(&[&bytes[..at], &bytes[at..]]));
        }
    }
}
