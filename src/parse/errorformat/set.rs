//! Sets of characters in a pattern: `%[a-z]`, and the letters that stand for one.

use crate::parse::errorformat::format::{Compiler, FormatError};

impl Compiler<'_> {
    /// Reads a set of characters up to its `]`.
    pub(super) fn class(&mut self) -> Result<(), FormatError> {
        let begin = self.at;
        let unclosed = |compiler: &mut Self| {
            compiler.at = begin;
            compiler.error("the `[` has no `]`")
        };
        let mut set = String::from("[");
        if self.peek(0) == Some('%') && self.peek(1) == Some('^') {
            self.at += 1;
        }
        if self.peek(0) == Some('^') {
            self.at += 1;
            set.push('^');
        }
        let first = self.at;
        loop {
            let Some(mut c) = self.next() else { return Err(unclosed(self)) };
            match c {
                ']' if self.at > first + 1 => break,
                '-' if self.at > first + 1 && self.peek(0).is_some_and(|next| next != ']') => {
                    set.push('-');
                    continue;
                }
                '%' | '\\' => {
                    let Some(next) = self.next() else { return Err(unclosed(self)) };
                    if let Some(class) = class_of(next) {
                        set.push_str(class);
                        continue;
                    }
                    c = if next == 't' && c == '\\' { '\t' } else { next };
                }
                _ => {}
            }
            if !c.is_alphanumeric() && c.is_ascii_punctuation() {
                set.push('\\');
            }
            set.push(c);
        }
        set.push(']');
        self.raw(&set);
        Ok(())
    }
}

/// The set that a letter behind a backslash stands for.
pub(super) const fn class_of(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[ \t]",
        'S' => "[^ \t]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        'a' => "[A-Za-z]",
        'l' => "[a-z]",
        'u' => "[A-Z]",
        'x' => "[0-9A-Fa-f]",
        'h' => "[A-Za-z_]",
        _ => return None,
    })
}
