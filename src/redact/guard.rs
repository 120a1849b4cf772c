//! Breaks forged workflow commands in output that reaches the runner's log.
//!
//! The runner obeys `##[` anywhere in a line and `::` at its begin, whoever wrote it. Owns how that is prevented, and
//! how a value is written into a command of ours. It must not know which of our own lines are meant as commands, for
//! those are written past it.

use memchr::memchr3;

use crate::redact::terminal;

/// `text` for people, without commands. It stands at the begin of a line.
#[must_use]
pub fn text(text: &str) -> String {
    whole(Form::Text, text)
}

/// `document`, which is JSON, without commands and with the same meaning.
#[must_use]
pub fn json(document: &str) -> String {
    whole(Form::Json, document)
}

/// `value` as the message of a command of ours.
#[must_use]
pub fn message(value: &str) -> String {
    // The bracket can only be broken here: the runner looks for it even behind a command of another form.
    value.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A").replace("##[", "## [")
}

/// `value` as a property of a command of ours.
#[must_use]
pub fn property(value: &str) -> String {
    message(value).replace(':', "%3A").replace(',', "%2C")
}

/// `text` without anything that a terminal would obey but, where wanted, colours: for untrusted text outside Actions.
#[must_use]
pub fn terminal_safe(text: &str, colors: bool) -> String {
    terminal::safe(text, colors)
}

fn whole(form: Form, text: &str) -> String {
    let mut guard = Guard::new(form);
    let mut out = Vec::with_capacity(text.len());
    guard.push(text.as_bytes(), &mut out);
    guard.finish(&mut out);
    // Bytes are put in only between characters.
    String::from_utf8_lossy(&out).into_owned()
}

/// What the output is, which decides how a command can be broken without changing what the output says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text for people: a space is put in.
    Text,
    /// JSON: a character of the string is written as an escape, so that a reader gets the same value.
    Json,
}

/// Breaks commands in a stream of bytes. Where pieces are cut has no influence on the result.
#[derive(Clone, Debug)]
pub struct Guard {
    form: Form,
    line: Line,
    /// How many `#` stood last, at most two. In JSON the second one is not written yet.
    hashes: u8,
    /// A carriage return that is not written yet, because a line feed may follow.
    carriage_return: bool,
}

/// Where in a line the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing that a reader of commands would not skip has come.
    Start,
    /// One colon has come at the start.
    Colon,
    /// No command can begin any more.
    Inside,
}

impl Guard {
    /// A guard at the begin of a line.
    #[must_use]
    pub const fn new(form: Form) -> Self {
        Self { form, line: Line::Start, hashes: 0, carriage_return: false }
    }

    /// Takes `bytes` in and appends to `out` what is certain: all but a last carriage return or, in JSON, a last `#`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if self.line == Line::Inside && self.hashes == 0 && !self.carriage_return {
                let plain = memchr3(b'\n', b'\r', b'#', rest).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..plain]);
                rest = &rest[plain..];
                if plain > 0 {
                    continue;
                }
            }
            self.byte(byte, out);
            rest = &rest[1..];
        }
    }

    /// Appends what was kept back. The guard stands at the begin of a line then.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.end_carriage_return(out);
        self.end_hashes(out);
        *self = Self::new(self.form);
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte != b'\n' {
            self.end_carriage_return(out);
        }
        match byte {
            b'#' => self.hash(out),
            b'[' if self.hashes == 2 => {
                self.hashes = 0;
                match self.form {
                    Form::Text => out.extend_from_slice(b" ["),
                    Form::Json => out.extend_from_slice(br"\u0023["),
                }
            }
            b'\r' => {
                self.end_hashes(out);
                self.carriage_return = true;
            }
            b'\n' => {
                self.end_hashes(out);
                if std::mem::take(&mut self.carriage_return) {
                    out.push(b'\r');
                }
                out.push(b'\n');
                self.line = Line::Start;
            }
            _ => {
                self.end_hashes(out);
                if byte == b':' && self.line == Line::Colon && self.form == Form::Text {
                    out.push(b' ');
                }
                out.push(byte);
                self.line = self.line_after(byte);
            }
        }
    }

    fn line_after(&self, byte: u8) -> Line {
        match (self.line, byte) {
            (Line::Start, b':') => Line::Colon,
            // White space is skipped by the runner, and not all white space is ASCII. To take every byte that is not a
            // visible ASCII character for white space needs no decoding and errs on the safe side.
            (Line::Start, byte) if !byte.is_ascii_graphic() => Line::Start,
            _ => Line::Inside,
        }
    }

    fn hash(&mut self, out: &mut Vec<u8>) {
        self.line = Line::Inside;
        // In JSON only the `#` that may stand before a bracket has to wait.
        if self.form == Form::Text || self.hashes != 1 {
            out.push(b'#');
        }
        self.hashes = (self.hashes + 1).min(2);
    }

    fn end_hashes(&mut self, out: &mut Vec<u8>) {
        if self.form == Form::Json && self.hashes == 2 {
            out.push(b'#');
        }
        self.hashes = 0;
    }

    /// Writes a carriage return that no line feed follows as the end of a line, which is what the runner takes it for.
    fn end_carriage_return(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.carriage_return) {
            out.push(b'\n');
            self.line = Line::Start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_broken_and_all_else_stays() {
        for (text, broken) in [
            ("##[error]x", "## [error]x"),
            ("a ###[group]", "a ### [group]"),
            ("####[a##[b", "#### [a## [b"),
            ("::error::x", ": :error::x"),
            (" \t::error::x\n::y", " \t: :error::x\n: :y"),
            ("\u{a0}\u{3000}\u{feff}::x", "\u{a0}\u{3000}\u{feff}: :x"),
            ("\u{1b}::x", "\u{1b}: :x"),
            (":::x", ": ::x"),
            ("a::b: c # d [e]", "a::b: c # d [e]"),
            ("50%\r::error::x", "50%\n: :error::x"),
            ("a\r\n::b\r", "a\r\n: :b\n"),
            ("a\r\r\n::b", "a\n\r\n: :b"),
            ("#\r#[x", "#\n#[x"),
        ] {
            assert_eq!(super::text(text), broken, "{text:?}");
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        for value in ["##[error]", "#", "##", "###[", "a##b##[c", "[#[", "::x\r"] {
            let document = serde_json::to_string(value).unwrap();
            let guarded = json(&document);
            assert!(!guarded.contains("##["), "{guarded}");
            assert_eq!(serde_json::from_str::<String>(&guarded).unwrap(), value);
        }
        assert_eq!(json(r###""##[x""###), r##""#\u0023[x""##);
    }

    #[test]
    fn a_value_stays_inside_our_own_command() {
        assert_eq!(message("100%\r\n::error::x ##[e]"), "100%25%0D%0A::error::x ## [e]");
        assert_eq!(property("a:b,c\n"), "a%3Ab%2Cc%0A");
    }

    fn obeyed(text: &str) -> bool {
        text.contains("##[")
            || text
                .split(['\n', '\r'])
                .any(|line| line.trim_start_matches(['\u{feff}', ' ', '\u{a0}']).starts_with("::"))
    }

    proptest! {
        #[test]
        fn nothing_is_obeyed_however_it_is_cut(text in "[#\\[:\r\n a\u{a0}\u{feff}]{0,24}", cut in 0_usize..24) {
            let whole = super::text(&text);
            prop_assert!(!obeyed(&whole), "{:?}", whole);
            let cut = cut.min(text.len());
            for form in [Form::Text, Form::Json] {
                let (mut one, mut two) = (Vec::new(), Vec::new());
                let mut guard = Guard::new(form);
                guard.push(text.as_bytes(), &mut one);
                guard.finish(&mut one);
                guard.push(&text.as_bytes()[..cut], &mut two);
                guard.push(&text.as_bytes()[cut..], &mut two);
                guard.finish(&mut two);
                prop_assert_eq!(&one, &two);
                prop_assert!(!String::from_utf8_lossy(&one).contains("##["));
            }
        }
    }
}
