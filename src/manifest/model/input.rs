//! Inputs of a command.

use regex::Regex;

use crate::id::InputName;
use crate::manifest::model::Spanned;

/// One declared input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name as written.
    pub name: Spanned<InputName>,
    /// For people.
    pub description: String,
    /// Whether a request must give it.
    pub required: bool,
    /// Value when a request does not; already valid for the type.
    pub default: Option<Spanned<String>>,
    /// Its type.
    pub kind: InputKind,
    /// Shown when the input is used.
    pub deprecation_message: Option<String>,
    /// What the whole value must match.
    pub pattern: Option<Pattern>,
    /// In characters; 1,024 unless written.
    pub max_length: usize,
    /// Least number.
    pub min: Option<f64>,
    /// Greatest number.
    pub max: Option<f64>,
    /// Whether line breaks are allowed in the value.
    pub multiline: bool,
}

/// The type of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Any text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A decimal number.
    Number,
    /// One of the options.
    Choice(Vec<String>),
    /// The name of a deployment environment.
    Environment,
}

/// A regular expression that must match a whole value.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written.
    pub text: String,
    /// Compiled so that it matches only a whole value.
    pub whole: Regex,
}
