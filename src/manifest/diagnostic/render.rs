//! Diagnostics as people read them.
//!
//! The library that draws carets is given single lines that are already harmless: a manifest may hold escape
//! sequences and characters that turn the direction of writing.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::manifest::diagnostic::{Diagnostic, MAX_SHOWN, Severity, Source, Span};

/// The widest source line that is shown, in columns; longer ones are cut around the caret.
const MAX_WIDTH: usize = 140;

/// The most characters that are underlined, and the most between two marks on one line.
const MAX_MARK: usize = 80;

/// The diagnostics in the order of their places, each once.
pub(super) fn sorted(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut seen = HashSet::new();
    // An alias shows the same node in several places, and every reader complains about it again.
    let mut sorted: Vec<&Diagnostic> = diagnostics
        .iter()
        .filter(|diagnostic| seen.insert((diagnostic.span, diagnostic.rule, &diagnostic.message)))
        .collect();
    sorted.sort_by_key(|diagnostic| diagnostic.span);
    sorted
}

pub(super) fn report(source: &Source, diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(MAX_WIDTH);
    let sorted = sorted(diagnostics);
    let mut out = String::new();
    for diagnostic in sorted.iter().take(MAX_SHOWN) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&one(source, diagnostic, &renderer));
        out.push('\n');
    }
    let rest = sorted.len().saturating_sub(MAX_SHOWN);
    if rest > 0 {
        let noun = if rest == 1 { "diagnostic" } else { "diagnostics" };
        // Writing to a text cannot fail.
        let _ = writeln!(out, "\n… and {rest} more {noun}");
    }
    out
}

fn one(source: &Source, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(harmless(&diagnostic.message)).id(diagnostic.rule);
    let line = Line::of(source, diagnostic.span);
    let mut snippet =
        line.snippet(source).annotation(AnnotationKind::Primary.span(line.mark(diagnostic.span)));
    let mut further = None;
    if let Some((span, label)) = diagnostic.related.as_deref() {
        let label = harmless(label);
        if line.shows(*span, diagnostic.span) {
            snippet = snippet.annotation(AnnotationKind::Context.span(line.mark(*span)).label(label));
        } else {
            let other = Line::of(source, *span);
            let mark = AnnotationKind::Context.span(other.mark(*span)).label(label);
            further = Some(other.snippet(source).annotation(mark));
        }
    }
    let mut group = Group::with_title(title).element(snippet);
    if let Some(further) = further {
        group = group.element(further);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(harmless(help)));
    }
    renderer.render(&[group])
}

/// A source line, harmless: each character is shown as one.
struct Line {
    number: usize,
    text: String,
    /// Offset in the source and in `text` of each character shown, and of the end.
    offsets: Vec<(usize, usize)>,
}

impl Line {
    /// The line on which `span` begins.
    fn of(source: &Source, span: Span) -> Self {
        let number = source.position(span.start).line;
        let mut at = span.start.min(source.text.len());
        while !source.text.is_char_boundary(at) {
            at -= 1;
        }
        let start = source.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = source.text[at..].find('\n').map_or(source.text.len(), |length| at + length);
        let whole = &source.text[start..end];
        let whole = whole.strip_suffix('\r').unwrap_or(whole);
        let mut text = String::with_capacity(whole.len());
        let mut offsets = Vec::new();
        for (offset, c) in whole.char_indices() {
            offsets.push((start + offset, text.len()));
            text.push(shown(c));
        }
        offsets.push((end, text.len()));
        Self { number, text, offsets }
    }

    /// Whether `span` begins on this line, and near enough to `primary` that both can be seen.
    fn shows(&self, span: Span, primary: Span) -> bool {
        let ends = self.offsets.first().zip(self.offsets.last());
        ends.is_some_and(|((first, _), (last, _))| (*first..*last).contains(&span.start))
            && span.start.abs_diff(primary.start) <= MAX_MARK
    }

    /// The range of `text` that stands for `span`: at least one character where there is one, and none of other lines.
    fn mark(&self, span: Span) -> Range<usize> {
        let last = self.offsets.len() - 1;
        let find = |offset: usize| self.offsets.partition_point(|(source, _)| *source < offset).min(last);
        let start = find(span.start);
        let end = find(span.end).max(start + 1).min(start + MAX_MARK).min(last);
        self.offsets[start].1..self.offsets[end].1
    }

    fn snippet<'a>(&self, source: &Source) -> Snippet<'a, Annotation<'a>> {
        Snippet::source(self.text.clone()).path(harmless(&source.path)).line_start(self.number)
    }
}

/// `text` without anything that a terminal would obey, and cut to a length that a message may have.
pub(super) fn harmless(text: &str) -> String {
    const LONGEST: usize = 1000;
    let mut harmless: String = text.chars().take(LONGEST).map(shown).collect();
    if text.chars().nth(LONGEST).is_some() {
        harmless.push('…');
    }
    harmless
}

/// The character that is shown for `c`: another one where `c` would move the cursor, turn the direction or not be seen.
fn shown(c: char) -> char {
    match c {
        '\t' => '→',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '␡',
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}
