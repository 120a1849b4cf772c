//! From a range of a scalar's decoded text back to the file, so that a caret can point inside a scalar.
//!
//! Exact where decoding only drops bytes: plain and quoted scalars on one line, up to the first backslash, and `|`
//! blocks line by line. Everything else is answered with the whole scalar, which is true, if less helpful.

use std::ops::Range;

use crate::manifest::diagnostic::Span;
use crate::manifest::tree::{Node, Scalar, Style};

/// Maps ranges of one scalar's text to the file.
#[derive(Clone, Debug)]
pub struct Locator {
    whole: Span,
    /// Where runs of bytes that are equal in text and file begin: offset in the text, offset in the file; ascending.
    runs: Vec<(usize, usize)>,
    /// Length of the text's beginning that `runs` cover.
    covered: usize,
}

impl Locator {
    /// A locator for `node`, which was read from `source`. One for a list or a map knows only its whole place.
    #[must_use]
    pub fn new(node: &Node, source: &str) -> Self {
        match node.scalar() {
            Some(scalar) => Self::of_scalar(scalar, node.span, source),
            None => Self::vague(node.span),
        }
    }

    /// A locator for a scalar at `span` of `source`, such as a key.
    #[must_use]
    pub fn of_scalar(scalar: &Scalar, span: Span, source: &str) -> Self {
        let Some(written) = source.get(span.start..span.end) else {
            return Self::vague(span);
        };
        let (runs, covered) = match scalar.style {
            Style::Plain => plain(&scalar.text, written, span.start),
            Style::Quoted => quoted(&scalar.text, written, span.start),
            Style::Block => block(&scalar.text, source, span),
        };
        Self { whole: span, runs, covered }
    }

    fn vague(whole: Span) -> Self {
        Self { whole, runs: Vec::new(), covered: 0 }
    }

    /// The place of `range`; the whole scalar where it is not known exactly.
    #[must_use]
    pub fn span(&self, range: Range<usize>) -> Span {
        if range.start > range.end || range.end > self.covered {
            return self.whole;
        }
        // The end is found through the last byte inside, because the next one may stand on another line.
        let last = range.end.saturating_sub(1).max(range.start);
        match (self.place(range.start), self.place(last)) {
            (Some(start), Some(end)) => Span { start, end: end + usize::from(range.end > range.start) },
            _ => self.whole,
        }
    }

    fn place(&self, offset: usize) -> Option<usize> {
        let next = self.runs.partition_point(|(text, _)| *text <= offset);
        let (text, file) = *self.runs.get(next.checked_sub(1)?)?;
        Some(file + (offset - text))
    }
}

type Runs = (Vec<(usize, usize)>, usize);

fn plain(text: &str, written: &str, start: usize) -> Runs {
    let equal = text.bytes().zip(written.bytes()).take_while(|(a, b)| a == b && *a != b'\n').count();
    (vec![(0, start)], floor(text, equal))
}

fn quoted(text: &str, written: &str, start: usize) -> Runs {
    let single = written.starts_with('\'');
    let mut runs = vec![(0, start + 1)];
    let mut file = 1;
    for (offset, c) in text.char_indices() {
        let rest = written.get(file..).unwrap_or_default();
        if single && c == '\'' && rest.starts_with("''") {
            file += 2;
            runs.push((offset + 1, start + file));
        } else if rest.starts_with(c) && !matches!(c, '\n' | '\\') {
            file += c.len_utf8();
        } else {
            return (runs, offset);
        }
    }
    (runs, text.len())
}

/// The span begins with the first line's text; what indents it stands before.
fn block(text: &str, source: &str, span: Span) -> Runs {
    let mut runs = Vec::new();
    let mut offset = 0;
    let line_start = |at: usize| source[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let mut file = line_start(span.start);
    // Blank lines at the beginning belong to the text, but not to the span.
    for _ in text.bytes().take_while(|byte| *byte == b'\n') {
        file = line_start(file.saturating_sub(1));
    }
    for line in text.split_inclusive('\n') {
        let whole = source[file..].split_inclusive('\n').next().unwrap_or_default();
        let shown = whole.trim_end_matches(['\n', '\r']);
        let wanted = line.trim_end_matches('\n');
        // A folded block differs from its lines at the first fold, and everything behind that is left out.
        let Some(indent) =
            shown.strip_suffix(wanted).filter(|indent| indent.bytes().all(|byte| byte == b' '))
        else {
            break;
        };
        runs.push((offset, file + indent.len()));
        if !whole.ends_with('\n') {
            // The file ends here, but the text got a line break all the same.
            offset += wanted.len();
            break;
        }
        offset += line.len();
        file += whole.len();
    }
    (runs, offset)
}

fn floor(text: &str, mut index: usize) -> usize {
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}
