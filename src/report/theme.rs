//! How words look: colours and marks, each with a plain form that says the same.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::finding::Level;
use crate::record::{Conclusion, Outcome, StepRecord};
use crate::redact::terminal::is_invisible;

/// What the reader's screen can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Theme {
    pub(super) color: bool,
    pub(super) unicode: bool,
}

/// A colour or weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
}

impl Theme {
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "31",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Blue => "34",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// The mark of a step that is over.
    pub(super) fn step_mark(self, step: &StepRecord) -> String {
        match step.outcome {
            Outcome::Success if step.flaky => self.paint(Paint::Yellow, self.either("✓", "ok")),
            Outcome::Success => self.paint(Paint::Green, self.either("✓", "ok")),
            Outcome::Skipped => self.paint(Paint::Dim, self.either("○", "--")),
            Outcome::Cancelled => self.paint(Paint::Yellow, self.either("■", "!!")),
            Outcome::Failure | Outcome::TimedOut | Outcome::SetupFailed if step.continue_on_error => {
                self.paint(Paint::Yellow, self.either("✗", "XX"))
            }
            Outcome::Failure | Outcome::TimedOut | Outcome::SetupFailed => {
                self.paint(Paint::Red, self.either("✗", "XX"))
            }
        }
    }

    pub(super) fn passed_mark(self, passed: bool) -> String {
        if passed {
            self.paint(Paint::Green, self.either("✓", "ok"))
        } else {
            self.paint(Paint::Red, self.either("✗", "XX"))
        }
    }

    pub(super) fn level(self, level: Level) -> String {
        let paint = match level {
            Level::Failure => Paint::Red,
            Level::Warning => Paint::Yellow,
            Level::Notice => Paint::Blue,
        };
        self.paint(paint, level.as_str())
    }

    pub(super) fn conclusion(self, conclusion: Conclusion) -> String {
        let (paint, word) = match conclusion {
            Conclusion::Success => (Paint::Green, "PASSED"),
            Conclusion::Neutral => (Paint::Yellow, "PASSED WITH WARNINGS"),
            Conclusion::Failure => (Paint::Red, "FAILED"),
            Conclusion::Cancelled => (Paint::Yellow, "CANCELLED"),
            Conclusion::TimedOut => (Paint::Red, "TIMED OUT"),
        };
        self.paint(paint, word)
    }

    /// One of ten pictures that seem to turn.
    pub(super) fn spinner(self, tick: usize) -> &'static str {
        const ROUND: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
        // As wide as the other plain marks, so that what follows does not move when a step is over.
        const PLAIN: [&str; 4] = ["| ", "/ ", "- ", "\\ "];
        if self.unicode { ROUND[tick % ROUND.len()] } else { PLAIN[tick % PLAIN.len()] }
    }

    /// `text` cut to `width` columns, with a mark when something is missing. Escape sequences must not be in it.
    pub(super) fn fit(self, text: &str, width: usize) -> String {
        if text.width() <= width {
            return text.to_owned();
        }
        let mark = self.either("…", "...");
        let room = width.saturating_sub(mark.width());
        let mut fitted = String::new();
        let mut used = 0;
        for c in text.chars() {
            used += c.width().unwrap_or(0);
            if used > room {
                break;
            }
            fitted.push(c);
        }
        fitted.extend(mark.chars().take(width));
        fitted
    }

    pub(super) const fn either(self, unicode: &'static str, plain: &'static str) -> &'static str {
        if self.unicode { unicode } else { plain }
    }
}

/// `text` with blanks behind it up to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}

/// `text` in lines of at most `width` columns where its words allow it, the first of which begins at column `indent`
/// and the others are moved there.
pub(super) fn wrap(text: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent).max(16);
    let mut wrapped = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let columns = word.width();
        if used > 0 && used + 1 + columns > room {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            used = 0;
        } else if used > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += columns;
    }
    wrapped
}

/// `text` on one line and without control characters.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => {
                if !line.ends_with(' ') {
                    line.push(' ');
                }
            }
            c if c.is_control() || is_invisible(c) => line.push('\u{fffd}'),
            c => line.push(c),
        }
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_columns_and_not_by_characters() {
        let (unicode, ascii) =
            (Theme { color: false, unicode: true }, Theme { color: false, unicode: false });
        assert_eq!(unicode.fit("abcdef", 6), "abcdef");
        assert_eq!(unicode.fit("abcdefg", 6), "abcde…");
        assert_eq!(unicode.fit("日本語です", 6), "日本…");
        assert_eq!(ascii.fit("abcdefg", 6), "abc...");
        assert_eq!([unicode.fit("abc", 0), ascii.fit("abc", 2)], ["", ".."]);
        assert_eq!(pad("日本", 6), "日本  ");
    }

    #[test]
    fn long_lines_are_broken_between_words_and_stay_aligned() {
        insta::assert_snapshot!(wrap("lint failed (exit code 1), late was skipped", 4, 24), @r"
        lint failed (exit
            code 1), late was
            skipped
        ");
        assert_eq!(wrap(&"x".repeat(50), 4, 24), "x".repeat(50));
    }

    #[test]
    fn nothing_in_a_line_can_move_the_cursor_or_turn_the_text() {
        assert_eq!(one_line("a\r\nb\u{1b}[2Jc\u{202e}d\n"), "a b\u{fffd}[2Jc\u{fffd}d");
    }
}
