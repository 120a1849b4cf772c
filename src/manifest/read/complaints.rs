//! Where complaints about one manifest are gathered, so that all of them are reported in one go.

use crate::manifest::diagnostic::{Diagnostic, Severity, Span, nearest};

/// Comparisons of words that may be spent on suggestions for one file. People see the suggestions for their first
/// mistakes; a hostile file with thousands of them shall not buy hours of comparing.
const COMPARISONS: usize = 20_000;

/// Longest word that is compared.
const LONGEST: usize = 80;

/// The complaints so far.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    list: Vec<Diagnostic>,
    compared: usize,
}

impl Complaints {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    pub(crate) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.list.extend(diagnostics);
    }

    pub(crate) fn error(&mut self, rule: &'static str, span: Span, message: impl Into<String>) {
        self.push(Diagnostic::error(rule, span, message));
    }

    /// The word of `among` that `word` may have been meant to be.
    pub(crate) fn nearest<'w>(
        &mut self,
        word: &str,
        among: impl IntoIterator<Item = &'w str>,
    ) -> Option<&'w str> {
        if word.len() > LONGEST {
            return None;
        }
        let left = COMPARISONS.saturating_sub(self.compared);
        let mut spent = 0;
        let found = nearest(word, among.into_iter().take(left).inspect(|_| spent += 1));
        self.compared += spent;
        found
    }

    /// The errors, or else the warnings, in the file's order.
    pub(crate) fn finish(mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        self.list.sort_by_key(|diagnostic| (diagnostic.span, diagnostic.rule));
        self.list.dedup();
        if self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            Err(self.list)
        } else {
            Ok(self.list)
        }
    }
}

/// `text` in backquotes for a message: short, on one line, and harmless on a terminal.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown = String::from("`");
    for c in text.chars().take(SHOWN) {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown.push('`');
    shown
}
