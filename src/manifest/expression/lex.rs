//! Tokens of an expression, each with its range of bytes in the text.

use std::ops::Range;

use crate::manifest::expression::number;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A name: of a context, a function or a property; also `null`, `true` and `false`.
    Word(&'a str),
    /// A number.
    Number(f64),
    /// A text, its quotes resolved.
    Text(String),
    /// An operator or a bracket.
    Symbol(&'static str),
}

/// Why something is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// A `'` that nothing closes.
    OpenText,
    /// A `"`; texts stand in single quotes.
    DoubleQuote,
    /// Digits that are no number, or a number without end.
    Number,
    /// One half of an operator of two characters.
    Half(&'static str),
    /// Something else.
    Character,
}

/// A token or a refusal, each with its range.
pub(super) type Lexed<'a> = Result<Option<(Token<'a>, Range<usize>)>, (Refused, Range<usize>)>;

/// Longest first, because `<` begins `<=`.
const SYMBOLS: [&str; 16] =
    ["||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "*"];

/// Splits `text` into tokens.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Whether the token before is a value, so that a `.` reaches into it instead of beginning a number.
    after_value: bool,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, after_value: false }
    }

    /// The next token and its range; `None` at the end.
    pub(super) fn next(&mut self) -> Lexed<'a> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let token = match first {
            '\'' => self.quoted(start)?,
            '"' => return Err((Refused::DoubleQuote, start..start + 1)),
            '0'..='9' | '-' | '+' => self.number(start)?,
            '.' if !self.after_value => self.number(start)?,
            'a'..='z' | 'A'..='Z' | '_' => self.word(start),
            _ => self.symbol(start, first)?,
        };
        self.after_value = matches!(
            token,
            Token::Word(_) | Token::Number(_) | Token::Text(_) | Token::Symbol(")" | "]" | "*")
        );
        Ok(Some((token, start..self.at)))
    }

    fn symbol(&mut self, start: usize, first: char) -> Result<Token<'a>, (Refused, Range<usize>)> {
        let rest = &self.text[start..];
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let whole = ["==", "&&", "||"].into_iter().find(|whole| whole.starts_with(first));
        Err((whole.map_or(Refused::Character, Refused::Half), start..start + first.len_utf8()))
    }

    fn quoted(&mut self, start: usize) -> Result<Token<'a>, (Refused, Range<usize>)> {
        let mut value = String::new();
        let mut at = start + 1;
        loop {
            let Some(length) = self.text[at..].find('\'') else {
                return Err((Refused::OpenText, start..self.text.len()));
            };
            value.push_str(&self.text[at..at + length]);
            at += length + 1;
            if !self.text[at..].starts_with('\'') {
                self.at = at;
                return Ok(Token::Text(value));
            }
            value.push('\'');
            at += 1;
        }
    }

    fn number(&mut self, start: usize) -> Result<Token<'a>, (Refused, Range<usize>)> {
        let rest = &self.text[start..];
        let boundary = |c: char| c.is_whitespace() || "([)],!><=&|'".contains(c);
        // The first character may be a sign, which never ends a number.
        let length = rest[1..].find(boundary).map_or(rest.len(), |end| end + 1);
        let value = number::parse(&rest[..length]);
        if !value.is_finite() {
            return Err((Refused::Number, start..start + length));
        }
        self.at = start + length;
        Ok(Token::Number(value))
    }

    fn word(&mut self, start: usize) -> Token<'a> {
        let rest = &self.text[start..];
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
        self.at = start + length;
        Token::Word(&rest[..length])
    }
}
