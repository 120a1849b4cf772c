//! From text to expressions.
//!
//! Finds the `${{ }}` of a text and parses each by recursive descent. Everything that costs depth or time is bounded,
//! because a manifest may be hostile. Which names may be used is judged by the `names` module.

use std::ops::Range;

use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::expression::lex::{Lexer, Refused, Token};
use crate::manifest::expression::names::Names;
use crate::manifest::expression::{Expr, ExprKind, Key, Operator, Part, Place, Template};

/// The deepest nesting of brackets, calls and `!`.
pub const MAX_NESTING: usize = 64;

/// The most operators, calls and property accesses of one expression; it bounds the depth of its tree.
pub const MAX_OPERATIONS: usize = 250;

/// The longest text that may hold expressions, in bytes. GitHub Actions allows 21,000 characters.
pub const MAX_LENGTH: usize = 21_000;

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// Maps a range of the text to its place in the manifest.
type Locate<'a> = dyn Fn(Range<usize>) -> Span + 'a;

/// Reads a text that may hold any number of `${{ }}`.
///
/// # Errors
/// Reports everything that is wrong in any of its expressions, for a text that stands at `place`.
pub fn template(text: &str, place: Place, locate: &Locate<'_>) -> Result<Template, Vec<Diagnostic>> {
    let span = locate(0..text.len());
    let mut diagnostics = Vec::new();
    let mut parts = Vec::new();
    let mut at = 0;
    if text.len() > MAX_LENGTH && text.contains(OPEN) {
        return Err(vec![too_long(span)]);
    }
    while let Some(length) = text[at..].find(OPEN) {
        let open = at + length;
        if open > at {
            parts.push(Part::Text(text[at..open].to_owned()));
        }
        let Some(close) = closing(text, open) else {
            diagnostics.push(unclosed(locate(open..open + OPEN.len())));
            return Err(diagnostics);
        };
        match expression(text, open + OPEN.len()..close, place, locate) {
            Ok(expr) => parts.push(Part::Expr(expr)),
            Err(found) => diagnostics.extend(found),
        }
        at = close + CLOSE.len();
    }
    if at < text.len() {
        parts.push(Part::Text(text[at..].to_owned()));
    }
    if diagnostics.is_empty() {
        Ok(Template { text: text.to_owned(), span, parts })
    } else {
        Err(diagnostics)
    }
}

/// Reads the text of an `if`, with `${{ }}` around it or without. Gives the expression and its text without them.
///
/// # Errors
/// Reports everything that is wrong with the expression, and text beside `${{ }}`: Actions takes the whole for a text
/// then, which is always true.
pub fn condition(text: &str, locate: &Locate<'_>) -> Result<(Expr, String), Vec<Diagnostic>> {
    if text.len() > MAX_LENGTH {
        return Err(vec![too_long(locate(0..text.len()))]);
    }
    let start = text.len() - text.trim_start().len();
    let range = match contains_expression(text) {
        None => start..text.trim_end().len().max(start),
        Some(found) => {
            let Some(close) = closing(text, found.start) else {
                return Err(vec![unclosed(locate(found))]);
            };
            let outside = text[..found.start].trim().is_empty() && text[found.end..].trim().is_empty();
            if !outside {
                let message = "text beside `${{ }}` makes this condition a text, and any text is true";
                return Err(vec![
                    Diagnostic::error("mixed-condition", locate(0..text.len()), message)
                        .help("write one `${{ }}` around the whole condition, or none"),
                ]);
            }
            found.start + OPEN.len()..close
        }
    };
    let expr = expression(text, range.clone(), Place::Condition, locate)?;
    Ok((expr, text[range].trim().to_owned()))
}

/// The range of the first `${{ }}` of `text`; of its opening alone when nothing closes it.
#[must_use]
pub fn contains_expression(text: &str) -> Option<Range<usize>> {
    let open = text.find(OPEN)?;
    Some(open..closing(text, open).map_or(open + OPEN.len(), |close| close + CLOSE.len()))
}

/// Where the `}}` stands that closes the `${{` at `open`. Quoted texts may hold `}}`.
fn closing(text: &str, open: usize) -> Option<usize> {
    let start = open + OPEN.len();
    let bytes = &text.as_bytes()[start..];
    let mut quoted = false;
    for (offset, byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'}' if !quoted && bytes.get(offset + 1) == Some(&b'}') => return Some(start + offset),
            _ => {}
        }
    }
    None
}

fn too_long(span: Span) -> Diagnostic {
    let message = format!("a text with expressions may have at most {MAX_LENGTH} bytes");
    Diagnostic::error("expression-too-long", span, message)
}

fn unclosed(span: Span) -> Diagnostic {
    Diagnostic::error("expression-syntax", span, "this `${{` is not closed")
        .help("close it with `}}`; a text inside stands in single quotes")
}

/// The expression in `range` of `text`.
fn expression(
    text: &str,
    range: Range<usize>,
    place: Place,
    locate: &Locate<'_>,
) -> Result<Expr, Vec<Diagnostic>> {
    let offset = range.start;
    let source = &text[range.clone()];
    let shifted = |inner: Range<usize>| locate(offset + inner.start..offset + inner.end);
    if source.trim().is_empty() {
        let empty = if range.is_empty() { locate(0..text.len()) } else { locate(range) };
        return Err(vec![Diagnostic::error("expression-syntax", empty, "the expression is empty")]);
    }
    let mut parser = Parser {
        lexer: Lexer::new(source),
        next: None,
        end: source.trim_end().len(),
        nesting: 0,
        operations: 0,
        names: Names { place, diagnostics: Vec::new() },
        locate: &shifted,
    };
    let parsed = parser.whole();
    let mut diagnostics = parser.names.diagnostics;
    match parsed {
        Ok((expr, _)) if diagnostics.is_empty() => return Ok(expr),
        Ok(_) => {}
        Err(syntax) => diagnostics.push(syntax),
    }
    Err(diagnostics)
}

/// An expression and its range.
type Ranged = (Expr, Range<usize>);

struct Parser<'a> {
    lexer: Lexer<'a>,
    next: Option<(Token<'a>, Range<usize>)>,
    end: usize,
    nesting: usize,
    operations: usize,
    names: Names,
    locate: &'a Locate<'a>,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Result<Ranged, Diagnostic> {
        self.advance()?;
        let expr = self.binary(0)?;
        match self.next.take() {
            None => Ok(expr),
            Some((_, range)) => Err(self.error(range, "an operator was expected here")),
        }
    }

    fn advance(&mut self) -> Result<Option<(Token<'a>, Range<usize>)>, Diagnostic> {
        let next = self.lexer.next().map_err(|(refused, range)| self.refused(refused, range))?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn refused(&self, refused: Refused, range: Range<usize>) -> Diagnostic {
        let diagnostic = |message| self.error(range, message);
        match refused {
            Refused::OpenText => diagnostic("this text is not closed").help("close it with `'`"),
            Refused::DoubleQuote => diagnostic("texts in expressions stand in single quotes")
                .help("write `'…'` instead of `\"…\"`"),
            Refused::Number => diagnostic("this is not a number"),
            Refused::Half(whole) => {
                diagnostic("this character has no meaning in an expression").help(format!("write `{whole}`"))
            }
            Refused::Character => diagnostic("this character has no meaning in an expression"),
        }
    }

    fn error(&self, range: Range<usize>, message: &str) -> Diagnostic {
        Diagnostic::error("expression-syntax", (self.locate)(range), message)
    }

    /// The place where something is missing: the token that stands there, else the end of the expression.
    fn here(&self) -> Range<usize> {
        self.next.as_ref().map_or(self.end.saturating_sub(1)..self.end, |(_, range)| range.clone())
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(&self.next, Some((Token::Symbol(next), _)) if *next == symbol)
    }

    fn expect(&mut self, symbol: &str) -> Result<Range<usize>, Diagnostic> {
        if !self.is_symbol(symbol) {
            let message = match self.next {
                Some(_) => format!("`{symbol}` was expected here"),
                None => format!("the expression ends where `{symbol}` was expected"),
            };
            return Err(self.error(self.here(), &message));
        }
        Ok(self.advance()?.map_or(0..0, |(_, range)| range))
    }

    /// Counts one operation, so that the tree stays shallow enough to be walked by recursion.
    fn count(&mut self, range: &Range<usize>) -> Result<(), Diagnostic> {
        self.operations += 1;
        if self.operations <= MAX_OPERATIONS {
            return Ok(());
        }
        let message = format!("an expression may have at most {MAX_OPERATIONS} operations");
        Err(Diagnostic::error("expression-too-long", (self.locate)(range.clone()), message))
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Diagnostic>) -> Result<T, Diagnostic> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let message = format!("an expression may be nested at most {MAX_NESTING} levels deep");
            return Err(Diagnostic::error("expression-too-deep", (self.locate)(self.here()), message));
        }
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    fn node(&self, kind: ExprKind, range: Range<usize>) -> Ranged {
        (Expr { kind, span: (self.locate)(range.clone()) }, range)
    }

    /// Operators that bind at least as tightly as `least`; all associate to the left.
    fn binary(&mut self, least: u8) -> Result<Ranged, Diagnostic> {
        let (mut left, mut range) = self.unary()?;
        while let Some((operator, strength)) = self.operator()
            && strength >= least
        {
            if let Some((_, place)) = self.advance()? {
                self.count(&place)?;
            }
            let (right, right_range) = self.binary(strength + 1)?;
            let kind = ExprKind::Binary(operator, Box::new(left), Box::new(right));
            (left, range) = self.node(kind, range.start..right_range.end);
        }
        Ok((left, range))
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let Some((Token::Symbol(symbol), _)) = &self.next else { return None };
        Some(match *symbol {
            "||" => (Operator::Or, 0),
            "&&" => (Operator::And, 1),
            "==" => (Operator::Equal, 2),
            "!=" => (Operator::NotEqual, 2),
            "<" => (Operator::Less, 3),
            "<=" => (Operator::LessOrEqual, 3),
            ">" => (Operator::Greater, 3),
            ">=" => (Operator::GreaterOrEqual, 3),
            _ => return None,
        })
    }

    fn unary(&mut self) -> Result<Ranged, Diagnostic> {
        if !self.is_symbol("!") {
            return self.postfix();
        }
        let start = self.expect("!")?;
        self.count(&start)?;
        let (inner, range) = self.nested(Self::unary)?;
        Ok(self.node(ExprKind::Not(Box::new(inner)), start.start..range.end))
    }

    fn postfix(&mut self) -> Result<Ranged, Diagnostic> {
        let (mut expr, mut range) = self.primary()?;
        // What a name reaches, so that the names can be judged as a whole.
        let mut keys = Vec::new();
        let context = match expr.kind {
            ExprKind::Context(context) => Some(context),
            _ => None,
        };
        while let Some((key, key_range)) = self.key(&expr)? {
            self.count(&key_range)?;
            let name = match &key {
                Key::Name(name) => Some(name.clone()),
                Key::Index(_) | Key::Star => None,
            };
            keys.push((name, (self.locate)(key_range.clone())));
            (expr, range) = self.node(ExprKind::Access(Box::new(expr), key), range.start..key_range.end);
        }
        if let Some(context) = context {
            self.names.check_access(context, &keys, expr.span);
        }
        Ok((expr, range))
    }

    /// The `.name`, `.*` or `[…]` that follows, and its range.
    fn key(&mut self, base: &Expr) -> Result<Option<(Key, Range<usize>)>, Diagnostic> {
        if !(self.is_symbol(".") || self.is_symbol("[")) {
            return Ok(None);
        }
        if matches!(base.kind, ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::Text(_))
            && self.names.diagnostics.is_empty()
        {
            return Err(self.error(self.here(), "a literal has no properties"));
        }
        if self.is_symbol(".") {
            let dot = self.expect(".")?;
            return match self.advance()? {
                Some((Token::Word(name), range)) => Ok(Some((Key::Name(name.to_owned()), range))),
                Some((Token::Symbol("*"), range)) => Ok(Some((Key::Star, range))),
                Some((_, range)) => Err(self
                    .error(range, "a property name was expected here")
                    .help("write a name that is not a plain word as `['name']`")),
                None => Err(self.error(dot, "a property name is missing after this `.`")),
            };
        }
        let open = self.expect("[")?;
        let key = if self.is_symbol("*") {
            self.advance()?;
            Key::Star
        } else {
            match self.nested(|parser| parser.binary(0))?.0 {
                // `['name']` means `.name`; one form is enough for everybody who looks for names.
                Expr { kind: ExprKind::Text(name), .. } => Key::Name(name),
                index => Key::Index(Box::new(index)),
            }
        };
        let close = self.expect("]")?;
        Ok(Some((key, open.start..close.end)))
    }

    fn primary(&mut self) -> Result<Ranged, Diagnostic> {
        let Some((token, range)) = self.advance()? else {
            return Err(self.error(self.here(), "the expression ends where a value was expected"));
        };
        let kind = match token {
            Token::Number(number) => ExprKind::Number(number),
            Token::Text(text) => ExprKind::Text(text),
            Token::Word(name) if self.is_symbol("(") => return self.call(name, range),
            Token::Word("null") => ExprKind::Null,
            Token::Word("true") => ExprKind::Bool(true),
            Token::Word("false") => ExprKind::Bool(false),
            Token::Word(name) => self.names.context(name, (self.locate)(range.clone())),
            Token::Symbol("(") => {
                let (inner, _) = self.nested(|parser| parser.binary(0))?;
                let close = self.expect(")")?;
                return Ok((inner, range.start..close.end));
            }
            Token::Symbol(_) => return Err(self.error(range, "a value was expected here")),
        };
        Ok(self.node(kind, range))
    }

    fn call(&mut self, name: &str, name_range: Range<usize>) -> Result<Ranged, Diagnostic> {
        self.count(&name_range)?;
        self.expect("(")?;
        let mut args = Vec::new();
        while !self.is_symbol(")") {
            if !args.is_empty() {
                self.expect(",")?;
            }
            args.push(self.nested(|parser| parser.binary(0))?.0);
        }
        let close = self.expect(")")?;
        let range = name_range.start..close.end;
        let kind = self.names.call(name, (self.locate)(name_range), args, (self.locate)(range.clone()));
        Ok(self.node(kind, range))
    }
}
