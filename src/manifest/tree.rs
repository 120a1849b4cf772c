//! YAML as a tree of raw scalars, each with its place in the file.
//!
//! The only module that knows the YAML library. Scalars stay text: what `yes`, `1.10` or `~` mean is decided by the
//! field that holds them, never by YAML's guesses.

mod build;
mod locate;
mod syntax;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::manifest::diagnostic::{Diagnostic, Span};

pub use locate::Locator;

/// The largest manifest, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// The deepest nesting of lists and maps, aliases expanded.
pub const MAX_DEPTH: usize = 32;

/// The most aliases that a manifest may write.
pub const MAX_ALIASES: usize = 100;

/// The most nodes of a manifest, aliases expanded.
pub const MAX_NODES: usize = 20_000;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A map; keys are scalars and unique.
    Mapping(Vec<Entry>),
}

/// One `key: value` of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Scalar,
    /// Its place.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// A scalar as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text, with quotes and escapes resolved.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: the only style that can be a number, a boolean or null.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A `|` or `>` block.
    Block,
}

impl Node {
    /// The scalar, when it is one.
    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            NodeKind::Sequence(_) | NodeKind::Mapping(_) => None,
        }
    }
}

/// Makes text of a manifest file's bytes. A byte order mark is dropped, so that spans count from the first character.
///
/// # Errors
/// Refuses more than [`MAX_BYTES`], bytes that are not UTF-8, and control characters. The text that comes with the
/// diagnostic is fit to be shown, and the diagnostic's span lies in it.
pub fn decode(bytes: &[u8]) -> Result<String, (String, Diagnostic)> {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    if bytes.len() > MAX_BYTES {
        let message = format!("the file has more than {MAX_BYTES} bytes, and no more are read");
        let help = "move long scripts to files of their own and name them with `script`";
        // Only the beginning is kept: the file may have any size, and nobody reads its end in a terminal.
        let text = String::from_utf8_lossy(&bytes[..1024]).into_owned();
        return Err((text, Diagnostic::error("too-large", Span::default(), message).help(help)));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let start = error.valid_up_to();
            let span = Span { start, end: start + char::REPLACEMENT_CHARACTER.len_utf8() };
            let message = format!("byte 0x{:02X} is not valid UTF-8", bytes[start]);
            let diagnostic = Diagnostic::error("not-utf-8", span, message).help("save the file as UTF-8");
            return Err((String::from_utf8_lossy(bytes).into_owned(), diagnostic));
        }
    };
    let refused = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    if let Some((start, c)) = text.char_indices().find(|(_, c)| refused(*c)) {
        let span = Span { start, end: start + c.len_utf8() };
        let message = format!("control character U+{:04X} is not allowed in YAML", u32::from(c));
        let diagnostic = Diagnostic::error("control-character", span, message);
        return Err((text.to_owned(), diagnostic));
    }
    Ok(text.to_owned())
}

/// Reads one YAML 1.2 document.
///
/// # Errors
/// Reports what is not YAML, and what a manifest may not use of it: several documents, duplicate keys, keys that are
/// not scalars, merge keys, tags, too much nesting and aliases that expand too far.
pub fn parse(text: &str) -> Result<Node, Vec<Diagnostic>> {
    build::document(text)
}

/// The place in `source` of a range of bytes of a scalar's decoded text; the whole node where that is not exact.
///
/// Builds a [`Locator`] for one use. Callers with many ranges in one scalar should keep the locator.
#[must_use]
pub fn locate(node: &Node, source: &str, range: Range<usize>) -> Span {
    Locator::new(node, source).span(range)
}
