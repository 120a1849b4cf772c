//! What a value of an input must satisfy, whoever gives it: the manifest as a default, or a request.

use crate::manifest::model::{Input, InputKind};

/// A rule of an input that a value breaks.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputRule {
    /// It holds a NUL character, which no environment can carry.
    #[error("it holds a NUL character")]
    Nul,
    /// It holds a control character, or a line break where only one line is allowed.
    #[error("it holds the control character U+{0:04X}")]
    Control(u32),
    /// It is too long.
    #[error("it has {found} characters, more than the {max} that are allowed")]
    TooLong {
        /// Its characters.
        found: usize,
        /// Most characters.
        max: usize,
    },
    /// It is neither `true` nor `false`.
    #[error("it is neither `true` nor `false`")]
    NotBoolean,
    /// It is not a decimal number.
    #[error("it is not a decimal number")]
    NotNumber,
    /// It is too small.
    #[error("it is less than {0}")]
    TooSmall(f64),
    /// It is too great.
    #[error("it is greater than {0}")]
    TooGreat(f64),
    /// It is none of the options.
    #[error("it is not one of {}", listed(.0))]
    NotAnOption(Vec<String>),
    /// The pattern does not match the whole of it.
    #[error("it does not match `{0}`")]
    Pattern(String),
}

impl Input {
    /// Checks a value, as text, against everything that the input declares.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, value: &str) -> Result<(), InputRule> {
        if value.contains('\0') {
            return Err(InputRule::Nul);
        }
        // A value of several lines may be indented by tabs; a carriage return is how text rewrites what a log shows.
        let allowed = |c: char| self.multiline && matches!(c, '\n' | '\t');
        if let Some(c) = value.chars().find(|c| c.is_control() && !allowed(*c)) {
            return Err(InputRule::Control(c.into()));
        }
        let found = value.chars().count();
        if found > self.max_length {
            return Err(InputRule::TooLong { found, max: self.max_length });
        }
        self.check_type(value)?;
        match &self.pattern {
            Some(pattern) if !pattern.whole.is_match(value) => Err(InputRule::Pattern(pattern.text.clone())),
            _ => Ok(()),
        }
    }

    fn check_type(&self, value: &str) -> Result<(), InputRule> {
        match &self.kind {
            InputKind::String | InputKind::Environment => Ok(()),
            InputKind::Boolean if matches!(value, "true" | "false") => Ok(()),
            InputKind::Boolean => Err(InputRule::NotBoolean),
            InputKind::Choice(options) if options.iter().any(|option| option == value) => Ok(()),
            InputKind::Choice(options) => Err(InputRule::NotAnOption(options.clone())),
            InputKind::Number => self.check_number(value),
        }
    }

    fn check_number(&self, value: &str) -> Result<(), InputRule> {
        let number = decimal(value).ok_or(InputRule::NotNumber)?;
        match (self.min, self.max) {
            (Some(min), _) if number < min => Err(InputRule::TooSmall(min)),
            (_, Some(max)) if number > max => Err(InputRule::TooGreat(max)),
            _ => Ok(()),
        }
    }
}

/// The first options, which are enough to see what they are like.
fn listed(options: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = String::new();
    for option in options.iter().take(SHOWN) {
        let separator = if text.is_empty() { "" } else { ", " };
        let option: String = option.chars().take(60).flat_map(char::escape_debug).collect();
        text = format!("{text}{separator}`{option}`");
    }
    if options.len() > SHOWN { format!("{text} and {} more", options.len() - SHOWN) } else { text }
}

/// Reads a decimal number: digits, at most one point between them, perhaps a minus sign. Nothing else that programs
/// take for a number (`inf`, `1e3`, `0x10`) means the same to every script.
#[must_use]
pub fn decimal(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
