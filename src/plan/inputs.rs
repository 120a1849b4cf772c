//! Inputs: from texts that somebody sent to values of the types that the command declares.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::diagnostic::nearest;
use crate::manifest::input::{InputRule, decimal};
use crate::manifest::model::{Command, InputKind};
use crate::request::RunRequest;

/// Longest JSON object of inputs, in bytes. GitHub itself allows 65,535 characters.
const MAX_JSON: usize = 256 << 10;

/// Most characters of a value or a name that a message repeats.
const SHOWN: usize = 80;

/// One thing that is wrong with the inputs of a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    /// The command has no such input.
    #[error("there is no input {name:?}")]
    Unknown {
        /// What was given.
        name: String,
        /// The nearest input that there is.
        nearest: Option<String>,
        /// All that there are.
        known: Vec<String>,
    },
    /// An input was given twice.
    #[error("the input {0} was given twice")]
    Twice(String),
    /// An input that must be given was not.
    #[error("the input {name} is required")]
    Missing {
        /// The input.
        name: String,
        /// Its description.
        description: String,
    },
    /// A value breaks a rule.
    #[error("the input {name} cannot be {value}: {rule}")]
    Value {
        /// The input.
        name: String,
        /// The value, quoted, escaped and cut.
        value: String,
        /// The rule that it breaks. It is part of the message, and so no source.
        rule: InputRule,
    },
    /// The JSON object is not one.
    #[error("the inputs are not a JSON object of texts, numbers and booleans: {0}")]
    Json(String),
}

impl InputError {
    /// What can be done about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::Unknown { known, .. } if known.is_empty() => Some("the command takes no inputs".to_owned()),
            Self::Unknown { known, .. } => Some(format!("the command takes: {}", known.join(", "))),
            Self::Missing { name, description } if description.is_empty() => {
                Some(format!("give it with -i {name}=…"))
            }
            Self::Missing { name, description } => Some(format!("give it with -i {name}=… ({description})")),
            Self::Twice(_) | Self::Value { .. } | Self::Json(_) => None,
        }
    }
}

/// The inputs in their types, and what has to be said about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// Every declared input that has a value, by its declared name.
    pub values: BTreeMap<String, Value>,
    /// Notes, such as the use of a deprecated input.
    pub notes: Vec<String>,
}

/// Gives every input of `command` its value.
///
/// # Errors
/// Everything that is wrong with the request's inputs.
pub fn resolve(command: &Command, request: &RunRequest) -> Result<Resolved, Vec<InputError>> {
    let mut errors = Vec::new();
    let given = match given(command, request, &mut errors) {
        Ok(given) => given,
        Err(error) => return Err(vec![error]),
    };
    let mut resolved = Resolved::default();
    for input in &command.inputs {
        let name = input.name.value.as_str();
        let text = match given.get(name) {
            Some(text) => {
                if let Some(message) = &input.deprecation_message {
                    resolved.notes.push(format!("the input {name} is deprecated: {message}"));
                }
                text.as_str()
            }
            None => match &input.default {
                Some(default) => default.value.as_str(),
                None if input.required => {
                    let description = input.description.clone();
                    errors.push(InputError::Missing { name: name.to_owned(), description });
                    continue;
                }
                None => {
                    resolved.values.insert(name.to_owned(), absent(&input.kind));
                    continue;
                }
            },
        };
        match input.check(text) {
            Ok(()) => {
                resolved.values.insert(name.to_owned(), typed(&input.kind, text));
            }
            Err(rule) => errors.push(InputError::Value { name: name.to_owned(), value: quoted(text), rule }),
        }
    }
    if errors.is_empty() { Ok(resolved) } else { Err(errors) }
}

/// The value of an optional input that nobody gave, as in Actions.
fn absent(kind: &InputKind) -> Value {
    match kind {
        InputKind::Boolean => Value::Bool(false),
        InputKind::String | InputKind::Number | InputKind::Choice(_) | InputKind::Environment => {
            Value::String(String::new())
        }
    }
}

/// What the request gives, by declared name.
fn given(
    command: &Command,
    request: &RunRequest,
    errors: &mut Vec<InputError>,
) -> Result<BTreeMap<String, String>, InputError> {
    let mut given = BTreeMap::new();
    if let Some(json) = &request.json_inputs {
        for (name, text) in from_json(json)? {
            // Names that differ in case alone are one name, which no JSON parser knows.
            if let Some(name) = declared(command, &name, errors)
                && given.insert(name.clone(), text).is_some()
            {
                errors.push(InputError::Twice(name));
            }
        }
    }
    let mut typed = BTreeMap::new();
    for (name, text) in &request.inputs {
        if let Some(name) = declared(command, name, errors)
            && typed.insert(name.clone(), text.clone()).is_some()
        {
            errors.push(InputError::Twice(name));
        }
    }
    given.extend(typed);
    Ok(given)
}

fn declared(command: &Command, name: &str, errors: &mut Vec<InputError>) -> Option<String> {
    // GitHub finds inputs without regard to case.
    let known: Vec<&str> = command.inputs.iter().map(|input| input.name.value.as_str()).collect();
    if let Some(exact) = known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return Some((*exact).to_owned());
    }
    errors.push(InputError::Unknown {
        name: cut(name, SHOWN),
        nearest: nearest(name, known.iter().copied()).map(str::to_owned),
        known: known.into_iter().map(str::to_owned).collect(),
    });
    None
}

/// A map that refuses to hold one name twice: of two values the wrong one could win.
struct Unique(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Unique {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Unique;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut entries: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if entries.iter().any(|(other, _)| *other == name) {
                        return Err(serde::de::Error::custom(format!("{} is given twice", quoted(&name))));
                    }
                    if entries.len() >= 100 {
                        return Err(serde::de::Error::custom("more than 100 inputs"));
                    }
                    entries.push((name, value));
                }
                Ok(Unique(entries))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The entries of a JSON object. A composite action passes `""` for what nobody gave, so that counts as not given.
fn from_json(json: &str) -> Result<Vec<(String, String)>, InputError> {
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    if json.len() > MAX_JSON {
        return Err(InputError::Json(format!("more than {MAX_JSON} bytes")));
    }
    let Unique(entries) = serde_json::from_str(json).map_err(|error| {
        // The parser's own message may quote a text of any length.
        InputError::Json(cut(&error.to_string(), 200))
    })?;
    let mut texts = Vec::new();
    for (name, value) in entries {
        let text = match value {
            Value::Null => continue,
            Value::String(text) if text.is_empty() => continue,
            Value::String(text) => text,
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(InputError::Json(format!("{} is a list or an object", quoted(&name))));
            }
        };
        texts.push((name, text));
    }
    Ok(texts)
}

/// `text`, which satisfies the input's rules, in the input's type.
fn typed(kind: &InputKind, text: &str) -> Value {
    match kind {
        InputKind::Boolean => Value::Bool(text == "true"),
        InputKind::Number => number(text),
        InputKind::String | InputKind::Choice(_) | InputKind::Environment => Value::String(text.to_owned()),
    }
}

/// A decimal number; a whole one stays whole, so that it is written without a fraction.
fn number(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(whole) => Value::from(whole),
        Err(_) => decimal(text).map_or(Value::Null, Value::from),
    }
}

/// The variable by which a step gets the input `name`: shells cannot read a `-`.
#[must_use]
pub fn env_name(name: &str) -> String {
    format!("INPUT_{}", name.to_uppercase().replace(['-', ' '], "_"))
}

/// An input's value as the text that a step gets.
#[must_use]
pub fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        // Rust writes a number of floating point without an exponent, which not every script could read.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("{:?}", cut(text, SHOWN))
}

/// The first `most` characters.
fn cut(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
