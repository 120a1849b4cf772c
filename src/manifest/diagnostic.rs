//! A complaint about a manifest: what, where, which rule, and how to mend it.

mod render;
#[cfg(test)]
mod tests;

use std::fmt;

/// The most diagnostics that are shown to people at once.
pub const MAX_SHOWN: usize = 50;

/// A range of bytes in a manifest's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing runs.
    Error,
    /// Said, and the manifest is still accepted.
    Warning,
}

/// One complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How serious it is.
    pub severity: Severity,
    /// The rule that was broken, as a stable word such as `unknown-key`.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// How to mend it, such as the nearest valid word.
    pub help: Option<String>,
    /// A further place that matters, such as the first of two equal keys, with a word about it.
    pub related: Option<Box<(Span, String)>>,
}

impl Diagnostic {
    /// An error without help.
    #[must_use]
    pub fn error(rule: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, rule, message: message.into(), span, help: None, related: None }
    }

    /// The same diagnostic as a warning.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same diagnostic with a way to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same diagnostic with a further place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some(Box::new((span, label.into())));
        self
    }
}

/// A manifest's text and the name that people know it by.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path as shown.
    pub path: String,
    /// The text.
    pub text: String,
}

/// A place as people count it: line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Source {
    /// The place of a byte. One beyond the text is the text's end.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        Lines::of(&self.text).position(offset)
    }
}

/// Where the lines of a text begin, so that many places in it can be found without reading it again for each.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { text, starts: std::iter::once(0).chain(newlines.map(|(offset, _)| offset + 1)).collect() }
    }

    fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let column = self.text[start..].char_indices().take_while(|(at, _)| start + at < offset).count();
        Position { line, column: column + 1 }
    }
}

/// The diagnostics in the order of their places, each once: an alias shows the same node in several places.
#[must_use]
pub fn in_order(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    render::sorted(diagnostics)
}

/// The diagnostics as data: one object each, in the order of their places.
#[must_use]
pub fn json(source: &Source, diagnostics: &[Diagnostic]) -> serde_json::Value {
    let lines = Lines::of(&source.text);
    let object = |diagnostic: &Diagnostic| {
        let start = lines.position(diagnostic.span.start);
        let end = lines.position(diagnostic.span.end.max(diagnostic.span.start));
        let related = diagnostic.related.as_deref().map(|(span, label)| {
            let place = lines.position(span.start);
            serde_json::json!({ "line": place.line, "column": place.column, "message": label })
        });
        serde_json::json!({
            "path": source.path,
            "line": start.line,
            "column": start.column,
            "end_line": end.line,
            "end_column": end.column,
            "severity": match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "rule": diagnostic.rule,
            "message": diagnostic.message,
            "help": diagnostic.help,
            "related": related,
        })
    };
    render::sorted(diagnostics).into_iter().map(object).collect()
}

/// Writes the diagnostics as people read them, each with its source line and a caret.
///
/// At most [`MAX_SHOWN`] are written and the rest counted. Whatever the manifest holds, the text moves no cursor and
/// turns no direction of writing, and no line of it is long.
#[must_use]
pub fn render(source: &Source, diagnostics: &[Diagnostic], color: bool) -> String {
    render::report(source, diagnostics, color)
}

/// The one of `among` that was most likely meant by `word`, when one is near enough.
///
/// One that differs in case alone wins; otherwise at most a third of the characters may be wrong.
#[must_use]
pub fn nearest<'a>(word: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody misspells a word of this length, and the distance takes quadratic time.
    const LONGEST: usize = 80;
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let folded = word.to_lowercase();
    let allowed = (folded.chars().count() / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in among.into_iter().filter(|candidate| candidate.len() <= LONGEST) {
        let distance = strsim::damerau_levenshtein(&folded, &candidate.to_lowercase());
        // A one-letter word is not near to every other one.
        let near = distance <= allowed && distance < folded.chars().count();
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `text` cut to a length that fits into a message.
pub(in crate::manifest) fn brief(text: &str) -> String {
    let mut brief: String = text.chars().take(60).collect();
    if brief.len() < text.len() {
        brief.push('…');
    }
    brief
}
