//! Regular expressions as matcher files write them, for an engine that runs in linear time.
//!
//! Matcher files are written for .NET's engine in its ECMAScript mode: `\d`, `\w`, `\s` and `\b` mean ASCII, an unknown
//! escape is the character itself, a brace that is no quantifier is a brace, and named groups are numbered after the
//! others. The engine here reads another dialect, so every token is read and written anew; passing the text on would
//! change meanings silently (`\<`, `&&` in a class, `{,3}`). What a linear-time engine cannot do is refused by name.

mod class;

use regex_syntax::is_meta_character;

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {at})")]
pub struct PatternError {
    /// What is wrong, or not supported.
    pub message: String,
    /// Where, in characters from 1.
    pub at: usize,
}

/// A pattern in the engine's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The pattern. All its groups are without names.
    pub text: String,
    /// By the number of a group in the file: its number in [`Self::text`]. The first is the whole match.
    pub groups: Vec<usize>,
}

/// Translates `pattern`.
///
/// # Errors
/// Names what is not supported or not a pattern, and where. Whether the engine accepts the result is not known yet.
pub fn translate(pattern: &str) -> Result<Translated, PatternError> {
    let mut translator = Translator {
        chars: pattern.chars().collect(),
        at: 0,
        out: String::with_capacity(pattern.len() * 2),
        names: Vec::new(),
        open: 0,
        last: Last::Nothing,
    };
    translator.run()?;
    let of_kind = |named: bool| {
        let groups = translator.names.iter().enumerate();
        groups.filter(move |(_, name)| name.is_some() == named).map(|(index, _)| index + 1)
    };
    let groups = std::iter::once(0).chain(of_kind(false)).chain(of_kind(true)).collect();
    Ok(Translated { text: translator.out, groups })
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    /// The capturing groups in the order in which they open; `None` for one without a name.
    names: Vec<Option<String>>,
    /// Groups that are not closed.
    open: usize,
    last: Last,
}

/// What a quantifier would repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Atom,
    Quantified,
}

/// One element of a class.
enum ClassItem {
    Char(char),
    /// A set, in the engine's dialect.
    Set(String),
}

type Translate<T> = Result<T, PatternError>;

impl Translator {
    fn run(&mut self) -> Translate<()> {
        while let Some(c) = self.next() {
            self.token(c)?;
        }
        if self.open > 0 { self.fail("a group is not closed") } else { Ok(()) }
    }

    fn token(&mut self, c: char) -> Translate<()> {
        match c {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => return self.group(),
            ')' => {
                self.open =
                    self.open.checked_sub(1).ok_or_else(|| self.error("a parenthesis closes no group"))?;
                self.out.push(c);
            }
            '|' => {
                self.out.push(c);
                self.last = Last::Nothing;
                return Ok(());
            }
            '.' | '^' | '$' => self.out.push(c),
            '*' | '+' | '?' => return self.quantifier(&c.to_string()),
            '{' => match self.braces() {
                Some(quantifier) => return self.quantifier(&quantifier),
                None => self.literal('{'),
            },
            _ => self.literal(c),
        }
        self.last = Last::Atom;
        Ok(())
    }

    fn quantifier(&mut self, text: &str) -> Translate<()> {
        match self.last {
            Last::Nothing => self.fail("a quantifier follows nothing that it could repeat"),
            Last::Quantified => self.fail("a quantifier follows another one"),
            Last::Atom => {
                self.out.push_str(text);
                if self.eat('?') {
                    self.out.push('?');
                }
                self.last = Last::Quantified;
                Ok(())
            }
        }
    }

    /// The quantifier that the brace just read begins, if it begins one.
    fn braces(&mut self) -> Option<String> {
        let rest = &self.chars[self.at..];
        let end = rest.iter().position(|c| *c == '}')?;
        let inside: String = rest[..end].iter().collect();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let valid = match inside.split_once(',') {
            None => digits(&inside),
            Some((least, most)) => digits(least) && (most.is_empty() || digits(most)),
        };
        if !valid {
            return None;
        }
        self.at += end + 1;
        Some(format!("{{{inside}}}"))
    }

    /// An escape outside of a class; the backslash has been read.
    fn escape(&mut self) -> Translate<()> {
        match self.peek() {
            Some('b') => self.out.push_str(r"(?-u:\b)"),
            Some('B') => self.out.push_str(r"(?-u:\B)"),
            Some('A' | 'G') => self.out.push_str(r"\A"),
            // Lines come without their ends, so the end before a last line feed is the end.
            Some('Z' | 'z') => self.out.push_str(r"\z"),
            Some('k') => return self.fail("a back-reference needs an engine that can take exponential time"),
            Some('1'..='9') => {
                return self.fail("a back-reference needs an engine that can take exponential time");
            }
            _ => {
                match self.item()? {
                    ClassItem::Char(c) => self.literal(c),
                    ClassItem::Set(set) => self.out.push_str(&set),
                }
                return Ok(());
            }
        }
        self.at += 1;
        Ok(())
    }

    /// An escape that means the same inside and outside of a class; the backslash has been read.
    fn item(&mut self) -> Translate<ClassItem> {
        let Some(c) = self.next() else {
            return self.fail("a backslash stands at the end");
        };
        let set = |text: &str| Ok(ClassItem::Set(text.to_owned()));
        let c = match c {
            'd' => return set("[0-9]"),
            'D' => return set("[^0-9]"),
            'w' => return set("[0-9A-Za-z_]"),
            'W' => return set("[^0-9A-Za-z_]"),
            's' => return set(r"[\x09-\x0D\x20]"),
            'S' => return set(r"[^\x09-\x0D\x20]"),
            'p' | 'P' => return self.category(c),
            'a' => '\x07',
            'e' => '\x1B',
            'f' => '\x0C',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0B',
            'c' => self.control()?,
            'x' => self.hexadecimal(2).and_then(|code| self.scalar(code))?,
            'u' => self.unicode()?,
            '0' => self.octal(),
            other => other,
        };
        Ok(ClassItem::Char(c))
    }

    fn category(&mut self, letter: char) -> Translate<ClassItem> {
        let rest = &self.chars[self.at..];
        let end = rest.iter().position(|c| *c == '}');
        let name: String = match (rest.first(), end) {
            (Some('{'), Some(end)) => rest[1..end].iter().collect(),
            _ => return self.fail("a category has no name in braces"),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return self.fail("a category's name is not one");
        }
        self.at += name.chars().count() + 2;
        Ok(ClassItem::Set(format!("\\{letter}{{{name}}}")))
    }

    fn control(&mut self) -> Translate<char> {
        match self.next().map(|c| c.to_ascii_uppercase()) {
            Some(c @ '@'..='_') => self.scalar(u32::from(c) - u32::from('@')),
            _ => self.fail("a control character has no letter"),
        }
    }

    fn hexadecimal(&mut self, count: usize) -> Translate<u32> {
        let mut code = 0;
        for _ in 0..count {
            match self.next().and_then(|c| c.to_digit(16)) {
                Some(digit) => code = code * 16 + digit,
                None => return self.fail("a character's number has too few digits"),
            }
        }
        Ok(code)
    }

    /// `\uXXXX`, or two of them for a character beyond the first plane.
    fn unicode(&mut self) -> Translate<char> {
        let code = self.hexadecimal(4)?;
        if (0xD800..0xDC00).contains(&code) && self.eat('\\') && self.eat('u') {
            let low = self.hexadecimal(4)?;
            if (0xDC00..0xE000).contains(&low) {
                return self.scalar(0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00));
            }
        }
        self.scalar(code)
    }

    fn scalar(&self, code: u32) -> Translate<char> {
        char::from_u32(code).ok_or_else(|| self.error("half of a surrogate pair is no character"))
    }

    /// The octal digits after `\0`.
    fn octal(&mut self) -> char {
        let mut code = 0_u8;
        for _ in 0..2 {
            match self.peek().and_then(|c| c.to_digit(8)).and_then(|digit| u8::try_from(digit).ok()) {
                Some(digit) => code = code * 8 + digit,
                None => break,
            }
            self.at += 1;
        }
        char::from(code)
    }

    /// What begins with a parenthesis, which has been read.
    fn group(&mut self) -> Translate<()> {
        self.last = Last::Nothing;
        if !self.eat('?') {
            self.names.push(None);
            self.begin_group("(");
            return Ok(());
        }
        match self.next() {
            Some(':') => {
                self.begin_group("(?:");
                Ok(())
            }
            Some('=' | '!') => self.fail("look-ahead needs an engine that can take exponential time"),
            Some('<') if matches!(self.peek(), Some('=' | '!')) => {
                self.fail("look-behind needs an engine that can take exponential time")
            }
            Some('<') => self.named_group('>'),
            Some('\'') => self.named_group('\''),
            Some('>') => self.fail("an atomic group needs an engine that can take exponential time"),
            Some('(') => self.fail("a condition needs an engine that can take exponential time"),
            Some('#') => match self.chars[self.at..].iter().position(|c| *c == ')') {
                Some(end) => {
                    self.at += end + 1;
                    Ok(())
                }
                None => self.fail("a comment is not closed"),
            },
            Some(c @ ('i' | 'm' | 's' | 'n' | 'x' | '-')) => self.flags(c),
            _ => self.fail("what follows `(?` is not known"),
        }
    }

    fn begin_group(&mut self, text: &str) {
        self.open += 1;
        self.out.push_str(text);
    }

    fn named_group(&mut self, close: char) -> Translate<()> {
        let rest = &self.chars[self.at..];
        let Some(end) = rest.iter().position(|c| *c == close) else {
            return self.fail("a group's name is not closed");
        };
        let name: String = rest[..end].iter().collect();
        if name.contains('-') {
            return self.fail("a balancing group needs an engine that can take exponential time");
        }
        let word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !word || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return self.fail("a group's name must be a word that does not begin with a digit");
        }
        if self.names.iter().flatten().any(|other| *other == name) {
            return self.fail("two groups have one name");
        }
        self.at += end + 1;
        self.names.push(Some(name));
        self.begin_group("(");
        Ok(())
    }

    /// Inline options, of which `first` has been read: for the rest of the group that they stand in, or with a colon for
    /// a group of their own.
    fn flags(&mut self, first: char) -> Translate<()> {
        let mut flags = String::from(first);
        let end = loop {
            match self.next() {
                Some(c @ ('i' | 'm' | 's' | 'n' | 'x' | '-')) => flags.push(c),
                Some(c @ (')' | ':')) => break c,
                _ => return self.fail("inline options are not closed"),
            }
        };
        let (on, off) = flags.split_once('-').unwrap_or((&flags, ""));
        if on.contains(['n', 'x']) || off.contains('-') {
            return self.fail("an inline option is not supported");
        }
        // Options that are never on may be turned off.
        let off: String = off.chars().filter(|c| !matches!(c, 'n' | 'x')).collect();
        let minus = if off.is_empty() { "" } else { "-" };
        if end == ':' {
            self.begin_group(&format!("(?{on}{minus}{off}:"));
        } else if !(on.is_empty() && off.is_empty()) {
            self.out.extend(["(?", on, minus, &off, ")"]);
        }
        Ok(())
    }

    fn literal(&mut self, c: char) {
        if is_meta_character(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn error(&self, message: &str) -> PatternError {
        PatternError { message: message.to_owned(), at: self.at.max(1) }
    }

    fn fail<T>(&self, message: &str) -> Translate<T> {
        Err(self.error(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::Regex;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let translated = translate(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        Regex::new(&translated.text)
            .unwrap_or_else(|error| panic!("{pattern}: {error}"))
            .is_match(text.as_bytes())
    }

    #[test]
    fn classes_of_characters_are_ascii() {
        for (pattern, yes, no) in [
            (r"^\d$", "7", "٣"),
            (r"^\w$", "_", "é"),
            (r"^\W$", "é", "a"),
            (r"^\s$", "\x0b", "\u{a0}"),
            (r"^[^\S]$", " ", "\u{2003}"),
            (r"^[\s\d]$", "4", "x"),
            (r"^a\b", "aé", "ab"),
            (r"^a\B", "ab", "aé"),
            (r"^[a\Wb]+$", "a é", "c"),
            (r"^\p{Lu}$", "É", "é"),
        ] {
            assert!(matches(pattern, yes), "{pattern} should match {yes}");
            assert!(!matches(pattern, no), "{pattern} should not match {no}");
        }
    }

    #[test]
    fn text_stays_text() {
        for (pattern, text) in [
            (r#"^\"\'\/\<\>\-\:\,\=\&\~\@\#\%\!\_\i\y$"#, "\"'/<>-:,=&~@#%!_iy"),
            ("^a{,3}{x}{1,2,3}{$", "a{,3}{x}{1,2,3}{"),
            ("^]}$", "]}"),
            ("^[]a]+[[x]+[a&&b]+[~~]+[--/]$", "]a[x&~/"),
            (r"^[\b\]\-\\^]+$", "\x08]-\\^"),
            (r"^[\w-]+[+-][a\-z]$", "x-y-z"),
            (r"^\x41\u00e9\uD83D\uDE00\t\cA\e\07\0$", "Aé😀\t\x01\x1b\x07\0"),
            ("^ # $", " # "),
            ("^(?#a comment)a(?i)B(?-i)c$", "abc"),
            ("^(?i:A)(?s-m:.)$", "a\n"),
            (r"\Aend\Z", "end"),
            ("^(a|b)*?c{2}d{1,}e{0,1}?$", "abccd"),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text:?}");
        }
    }

    #[test]
    fn named_groups_are_numbered_after_the_others() {
        let groups = |pattern| translate(pattern).unwrap().groups;
        assert_eq!(groups("(?<a>x)(y)(?:z)(?'b'q)(r)"), [0, 2, 4, 1, 3]);
        assert_eq!(groups("x"), [0]);
        assert_eq!(translate("(?<a>x)").unwrap().text, "(x)");
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let refusals: Vec<String> = [
            "a(?=b)",
            "a(?!b)",
            "(?<=a)b",
            "(?<!a)b",
            r"(a)\1",
            r"(?<n>a)\k<n>",
            "(?>a)",
            "(?(a)b|c)",
            "(?<a-b>x)",
            "(?x) a",
            "[a-z-[aeiou]]",
            "a**",
            "a{2}{3}",
            "*a",
            "(+a)",
            "a|?",
            "(a",
            "a)",
            "[a",
            "[]",
            "a\\",
            r"\x4",
            r"\uD83D",
            "[z-a]",
            r"[a-\d]",
            "(?<1>a)",
            "(?<a>x)(?<a>y)",
            "(?P<a>x)",
            r"\pL",
            "(?#a",
            "(?i",
            r"\c1",
        ]
        .iter()
        .map(|pattern| format!("{pattern:14} {}", translate(pattern).unwrap_err()))
        .collect();
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        a(?=b)         look-ahead needs an engine that can take exponential time (at character 4)
        a(?!b)         look-ahead needs an engine that can take exponential time (at character 4)
        (?<=a)b        look-behind needs an engine that can take exponential time (at character 3)
        (?<!a)b        look-behind needs an engine that can take exponential time (at character 3)
        (a)\1          a back-reference needs an engine that can take exponential time (at character 4)
        (?<n>a)\k<n>   a back-reference needs an engine that can take exponential time (at character 8)
        (?>a)          an atomic group needs an engine that can take exponential time (at character 3)
        (?(a)b|c)      a condition needs an engine that can take exponential time (at character 3)
        (?<a-b>x)      a balancing group needs an engine that can take exponential time (at character 3)
        (?x) a         an inline option is not supported (at character 4)
        [a-z-[aeiou]]  a class cannot be taken away from another one (at character 5)
        a**            a quantifier follows another one (at character 3)
        a{2}{3}        a quantifier follows another one (at character 7)
        *a             a quantifier follows nothing that it could repeat (at character 1)
        (+a)           a quantifier follows nothing that it could repeat (at character 2)
        a|?            a quantifier follows nothing that it could repeat (at character 3)
        (a             a group is not closed (at character 2)
        a)             a parenthesis closes no group (at character 2)
        [a             a class is not closed (at character 2)
        []             a class is not closed (at character 2)
        a\             a backslash stands at the end (at character 2)
        \x4            a character's number has too few digits (at character 3)
        \uD83D         half of a surrogate pair is no character (at character 6)
        [z-a]          a range runs backwards (at character 4)
        [a-\d]         a range ends in a set of characters (at character 5)
        (?<1>a)        a group's name must be a word that does not begin with a digit (at character 3)
        (?<a>x)(?<a>y) two groups have one name (at character 10)
        (?P<a>x)       what follows `(?` is not known (at character 3)
        \pL            a category has no name in braces (at character 2)
        (?#a           a comment is not closed (at character 3)
        (?i            inline options are not closed (at character 3)
        \c1            a control character has no letter (at character 3)
        "#);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(pattern in r"[\\\[\](){}?*+|^$.a-c0-9,:<>=!'#&~PpuxkdwsbBi é-]{0,24}") {
            if let Ok(translated) = translate(&pattern) {
                // The engine may still refuse it, a category that it does not know for instance, but must not fall over.
                if let Ok(regex) = regex::bytes::RegexBuilder::new(&translated.text).size_limit(1 << 20).build() {
                    prop_assert_eq!(regex.captures_len(), translated.groups.len());
                }
            }
        }

        #[test]
        fn an_escaped_text_matches_itself(text in r"[ -~é]{1,20}") {
            let pattern: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") }).collect();
            let pattern = format!("^{pattern}$");
            prop_assert!(matches(&pattern, &text), "{pattern}");
        }
    }
}
