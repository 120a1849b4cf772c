//! One pattern of an `errorformat`, as Vim's help describes them and reviewdog's engine reads them.
//!
//! Owns the grammar. A pattern becomes a regular expression of a linear engine, without regard to case and for the whole
//! line. Where Vim and reviewdog differ reviewdog wins, because that is where patterns in CI come from: `%f` before
//! something else holds no blank unless it is escaped, and classes are those of ASCII.

use regex::{Regex, RegexBuilder};

use crate::parse::errorformat::MAX_FORMATS;
use crate::parse::errorformat::set::class_of;

/// Longest pattern, in characters.
const MAX_LENGTH: usize = 4096;

/// Most of a pattern that an error repeats, in characters.
const MAX_SHOWN: usize = 200;

/// Largest automaton that a pattern may become, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// A pattern that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the errorformat {pattern:?} cannot be used: {problem} at its character {at}")]
pub struct FormatError {
    pattern: String,
    at: usize,
    problem: String,
}

impl FormatError {
    pub(super) fn one_too_many(pattern: &str) -> Self {
        let problem = format!("there are more than {MAX_FORMATS} patterns");
        Self { pattern: pattern.chars().take(MAX_SHOWN).collect(), at: 0, problem }
    }
}

/// What a part of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    File,
    Line,
    EndLine,
    Column,
    VirtualColumn,
    EndColumn,
    Type,
    Number,
    Message,
    Rest,
    Pointer,
    /// A module, a buffer's number, or text to search for: matched, and of no use here.
    Unused,
}

/// What a line that matches does to those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It stands by itself.
    Single,
    /// `%A`, and with a type `%E`, `%W`, `%I`, `%N`: it begins a message of several lines.
    Begin(Option<char>),
    /// `%C`
    Continue,
    /// `%Z`
    End,
    /// `%G`: it is general text.
    General,
    /// `%D`
    EnterFolder,
    /// `%X`
    LeaveFolder,
    /// `%O`: its beginning is passed over.
    PassOver,
    /// `%P`: it names the file of the lines that follow.
    PushFile,
    /// `%Q`: it ends what `%P` began.
    PopFile,
}

/// What becomes of a line itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// What its parts say.
    Parts,
    /// `%+`: all of it is the message.
    Whole,
    /// `%-`: nothing.
    Nothing,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) regex: Regex,
    /// What each group is, in their order.
    pub(super) parts: Vec<Part>,
    pub(super) role: Role,
    pub(super) keep: Keep,
    /// `%>`: the next line is first tried from this pattern on.
    pub(super) stays: bool,
}

impl Format {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// Says what is wrong with it and where.
    pub(super) fn new(pattern: &str) -> Result<Self, FormatError> {
        let mut compiler = Compiler {
            pattern,
            chars: pattern.chars().collect(),
            at: 0,
            regex: String::new(),
            ..Compiler::default()
        };
        if compiler.chars.len() > MAX_LENGTH {
            return Err(compiler.error(&format!("it is longer than {MAX_LENGTH} characters")));
        }
        let (role, keep, stays) = compiler.prefix();
        while let Some(c) = compiler.next() {
            match c {
                '%' => compiler.percent()?,
                '\\' => compiler.backslash(),
                c => compiler.literal(c),
            }
        }
        let start = if compiler.floats { "" } else { "\\A" };
        let regex = RegexBuilder::new(&format!("{start}{}\\z", compiler.regex))
            .case_insensitive(true)
            .dot_matches_new_line(true)
            .size_limit(MAX_SIZE)
            .build()
            .map_err(|error| {
                compiler.error(match error {
                    regex::Error::CompiledTooBig(_) => "it is too large",
                    _ => "it is no regular expression",
                })
            })?;
        Ok(Self { regex, parts: compiler.parts, role, keep, stays })
    }

    pub(super) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

#[derive(Debug, Default)]
pub(super) struct Compiler<'p> {
    pattern: &'p str,
    chars: Vec<char>,
    pub(super) at: usize,
    regex: String,
    parts: Vec<Part>,
    seen: Vec<char>,
    /// What was written last can be repeated.
    repeatable: bool,
    /// The pattern may begin anywhere in the line.
    floats: bool,
}

impl Compiler<'_> {
    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    pub(super) fn error(&self, problem: &str) -> FormatError {
        FormatError {
            pattern: self.pattern.chars().take(MAX_SHOWN).collect(),
            at: self.at,
            problem: problem.to_owned(),
        }
    }

    /// Reads what stands before the pattern proper.
    fn prefix(&mut self) -> (Role, Keep, bool) {
        let (mut keep, mut stays) = (Keep::Parts, false);
        while self.peek(0) == Some('%') && self.peek(1) == Some('>') {
            self.at += 2;
            stays = true;
        }
        if self.peek(0) != Some('%') {
            return (Role::Single, keep, stays);
        }
        let (ahead, flag) = match self.peek(1) {
            Some('+') => (2, Keep::Whole),
            Some('-') => (2, Keep::Nothing),
            _ => (1, Keep::Parts),
        };
        let role = match self.peek(ahead) {
            Some('A') => Role::Begin(None),
            Some(kind @ ('E' | 'W' | 'I' | 'N')) => Role::Begin(Some(kind.to_ascii_lowercase())),
            Some('C') => Role::Continue,
            Some('Z') => Role::End,
            Some('G') => Role::General,
            Some('D') => Role::EnterFolder,
            Some('X') => Role::LeaveFolder,
            Some('O') => Role::PassOver,
            Some('P') => Role::PushFile,
            Some('Q') => Role::PopFile,
            _ => return (Role::Single, keep, stays),
        };
        self.at += ahead + 1;
        keep = flag;
        (role, keep, stays)
    }

    fn literal(&mut self, c: char) {
        self.regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        self.repeatable = true;
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.regex.push_str(text);
        self.repeatable = true;
    }

    /// Reads what a `%` means.
    fn percent(&mut self) -> Result<(), FormatError> {
        let Some(c) = self.next() else {
            return Err(self.error("it ends with a `%`; a percent sign is `%%`"));
        };
        match c {
            '%' | '~' => self.literal(c),
            '.' => self.raw("."),
            '#' | '+' | '?' => self.repeat(c)?,
            // At the beginning it says what holds anyway.
            '^' if self.regex.is_empty() => {}
            '^' | '$' => {
                self.regex.push(c);
                self.repeatable = false;
            }
            '[' => self.class()?,
            '\\' => self.escape()?,
            '*' => self.scan()?,
            _ => self.part(c)?,
        }
        Ok(())
    }

    fn repeat(&mut self, c: char) -> Result<(), FormatError> {
        if self.regex.is_empty() && c == '#' {
            self.floats = true;
            return Ok(());
        }
        if !self.repeatable {
            return Err(self.error(&format!("`%{c}` has nothing to repeat")));
        }
        self.regex.push(if c == '#' { '*' } else { c });
        self.repeatable = false;
        Ok(())
    }

    fn part(&mut self, c: char) -> Result<(), FormatError> {
        let (part, text) = match c {
            'f' if self.at == self.chars.len() => (Part::File, "(.+)"),
            'f' => (Part::File, r"((?:[a-z]:)?(?:\\ |[^ ])+?)"),
            'l' => (Part::Line, "([0-9]+)"),
            'e' => (Part::EndLine, "([0-9]+)"),
            'c' => (Part::Column, "([0-9]+)"),
            'v' => (Part::VirtualColumn, "([0-9]+)"),
            'k' => (Part::EndColumn, "([0-9]+)"),
            'n' => (Part::Number, "([0-9]+)"),
            'b' => (Part::Unused, "([0-9]+)"),
            't' => (Part::Type, "(.)"),
            'm' => (Part::Message, "(.+)"),
            'r' => (Part::Rest, "(.*)"),
            'p' => (Part::Pointer, "([- \t.]*)"),
            's' | 'o' => (Part::Unused, "(.+)"),
            '+' | '-' | '>' | 'A' | 'C'..='E' | 'G' | 'I' | 'N'..='Q' | 'W' | 'X' | 'Z' => {
                return Err(self.error(&format!("`%{c}` belongs to the beginning")));
            }
            _ => return Err(self.error(&format!("there is no `%{c}`"))),
        };
        if self.seen.contains(&c) {
            return Err(self.error(&format!("`%{c}` may occur only once")));
        }
        self.seen.push(c);
        self.parts.push(part);
        self.raw(text);
        Ok(())
    }

    /// Reads `%*[…]` or `%*\s`: one or more of something.
    fn scan(&mut self) -> Result<(), FormatError> {
        match self.next() {
            Some('[') => self.class()?,
            Some('\\') => self.escape()?,
            _ => return Err(self.error("`%*` must be followed by `[` or `\\`")),
        }
        self.regex.push('+');
        self.repeatable = false;
        Ok(())
    }

    /// Reads the rest of `%\x`.
    fn escape(&mut self) -> Result<(), FormatError> {
        let Some(c) = self.next() else { return Err(self.error("nothing follows `%\\`")) };
        match (class_of(c), c) {
            (Some(class), _) => self.raw(class),
            (None, 'b' | 'B' | '<' | '>') => {
                self.regex.push_str(match c {
                    'b' => "(?-u:\\b)",
                    'B' => "\\B",
                    '<' => "\\b{start}",
                    _ => "\\b{end}",
                });
                self.repeatable = false;
            }
            (None, 't') => self.raw("\t"),
            (None, c) if c.is_ascii_alphanumeric() => {
                return Err(self.error(&format!("there is no `%\\{c}`")));
            }
            (None, c) => self.literal(c),
        }
        Ok(())
    }

    /// Reads a plain backslash: the next character stands for itself, but two backslashes are one of the regular
    /// expression, so that `\\\,` is a comma and `\\d` a digit.
    fn backslash(&mut self) {
        let Some(c) = self.next() else { return self.literal('\\') };
        match c {
            '+' | '?' if self.repeatable => {
                self.regex.push(c);
                self.repeatable = false;
            }
            '\\' => match (self.peek(0), self.peek(1)) {
                (Some('\\'), Some(c)) if c != '%' => {
                    self.at += 2;
                    self.literal(c);
                }
                (Some(c), _) if class_of(c).is_some() => {
                    self.at += 1;
                    self.raw(class_of(c).unwrap_or_default());
                }
                (Some(c), _) if c.is_ascii_punctuation() && !matches!(c, '%' | '\\') => {
                    self.at += 1;
                    self.literal(c);
                }
                _ => self.literal('\\'),
            },
            c => self.literal(c),
        }
    }
}
