//! The YAML library's errors as diagnostics, and its places as byte offsets.

use granit_parser::{ErrorKind, Marker, ScanError};

use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::tree::MAX_DEPTH;

/// The byte offset of a place. The library counts characters; it knows bytes only for some kinds of input.
pub(super) fn offset(text: &str, marker: Marker) -> usize {
    let offset = marker
        .byte_offset()
        .unwrap_or_else(|| text.char_indices().nth(marker.index()).map_or(text.len(), |(offset, _)| offset));
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// `span`, or the one character at its start when it has no width, so that a caret has something to stand under.
pub(super) fn visible(text: &str, span: Span) -> Span {
    if span.end > span.start {
        return span;
    }
    let width = text.get(span.start..).and_then(|rest| rest.chars().next());
    let width = width.filter(|c| !matches!(c, '\n' | '\r')).map_or(0, char::len_utf8);
    Span { start: span.start, end: span.start + width }
}

/// What the library found wrong with `text`.
pub(super) fn diagnostic(text: &str, error: &ScanError) -> Diagnostic {
    let start = offset(text, *error.marker());
    let span = visible(text, Span { start, end: start });
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            let message = format!("lists and maps are nested more than {MAX_DEPTH} levels deep");
            Diagnostic::error("too-deep", span, message)
        }
        ErrorKind::UndeclaredTagHandle => {
            Diagnostic::error("tag", span, "YAML tags are not allowed in a manifest").help("remove the tag")
        }
        ErrorKind::UnknownAnchor => {
            Diagnostic::error("yaml-syntax", span, "this alias has no anchor before it")
                .help("a text that begins with `*`, such as a glob, stands in quotes")
        }
        kind => {
            if let Some((place, indents)) = wrong_tab(text, start, kind) {
                return tab(place, indents);
            }
            let mut found = Diagnostic::error("yaml-syntax", span, format!("not valid YAML: {kind}"));
            found.help = help(kind).map(str::to_owned);
            found
        }
    }
}

/// A tab where YAML allows only spaces.
pub(super) fn tab(span: Span, indents: bool) -> Diagnostic {
    let message = if indents {
        "a tab indents this line, and YAML allows only spaces there"
    } else {
        "a tab stands where YAML allows only spaces"
    };
    Diagnostic::error("tab", span, message).help("replace the tab by spaces")
}

/// What often stands behind an error that is noticed far from its cause.
const fn help(kind: &ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar => {
            Some("a quote may have been left open on a line before")
        }
        ErrorKind::InvalidIndentation => {
            Some("a bracket may have been left open on a line before, or this line is indented wrongly")
        }
        ErrorKind::MappingValueNotAllowed => {
            Some("a text that holds `: ` stands in quotes; a nested map stands on lines of its own")
        }
        ErrorKind::UnexpectedCharacter { .. } => {
            Some("a text that begins with this character stands in quotes")
        }
        _ => None,
    }
}

/// The tab that an error is about, and whether it indents its line.
fn wrong_tab(text: &str, offset: usize, kind: &ErrorKind) -> Option<(Span, bool)> {
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = |start: usize| {
        let bytes = text[start..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
        bytes.into_iter().position(|byte| byte == b'\t').map(|tab| start + tab)
    };
    let about_tabs = matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar
    );
    let line = line_start(offset);
    // An error is often noticed one line after the tab that caused it.
    let found = indent(line).or_else(|| indent(line_start(line.saturating_sub(1))));
    // Where the library names a tab, it may have stopped before it.
    let found = found.or_else(|| text[offset..].find('\t').filter(|_| about_tabs).map(|tab| offset + tab));
    found.map(|tab| {
        let indents = text[line_start(tab)..tab].bytes().all(|byte| matches!(byte, b' ' | b'\t'));
        (Span { start: tab, end: tab + 1 }, indents)
    })
}
