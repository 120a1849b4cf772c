//! Matrices: from lists of values to the legs that run, as GitHub Actions expands them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::expression::Part;
use crate::manifest::model::{MatrixValue, MatrixValues, Strategy};
use crate::plan::evaluate::{self, Scope};

/// Most legs of one matrix.
pub const MAX_LEGS: usize = 256;

/// Longest label of a leg, in characters.
const MAX_LABEL: usize = 100;

/// One leg: its values, in the order in which its label names them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leg(Vec<(String, Value)>);

impl Leg {
    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The `matrix` context of this leg.
    #[must_use]
    pub fn context(&self) -> BTreeMap<String, Value> {
        self.0.iter().cloned().collect()
    }

    /// Its values, joined by commas. A label is one short line, whatever a value holds.
    fn label(&self) -> String {
        let values = self.0.iter().map(|(_, value)| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let joined = values.collect::<Vec<_>>().join(", ");
        let mut label: String =
            joined.chars().take(MAX_LABEL).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        if joined.chars().nth(MAX_LABEL).is_some() {
            label.push('…');
        }
        label
    }
}

/// What tells each leg from its siblings, for people: its values, and a number where those are written alike.
#[must_use]
pub fn labels(legs: &[Leg]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut unique = |leg: &Leg| {
        let plain = leg.label();
        let numbered = (2_usize..).map(|number| format!("{plain} #{number}"));
        // One of as many candidates as there are legs is free.
        let label = std::iter::once(plain.clone()).chain(numbered).find(|label| !taken.contains(label));
        let label = label.unwrap_or_default();
        taken.insert(label.clone());
        label
    };
    legs.iter().map(&mut unique).collect()
}

/// The legs of `strategy`, in the order in which they are written. Expressions see `inputs` alone.
///
/// # Errors
/// Everything that keeps the matrix from being expanded, each at its place.
pub fn expand(strategy: &Strategy, scope: &Scope<'_>) -> Result<Vec<Leg>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut dimensions = Vec::new();
    for (name, values) in &strategy.matrix {
        match list(values, &name.value, scope) {
            Ok(list) if list.is_empty() => problems.push(Diagnostic::error(
                "matrix",
                name.span,
                format!("the matrix dimension {} has no value, so the step would never run", name.value),
            )),
            Ok(list) => dimensions.push((name.value.as_str(), list)),
            Err(problem) => problems.push(problem),
        }
    }
    let include = entries(&strategy.include, scope, &mut problems);
    let exclude = entries(&strategy.exclude, scope, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let combinations = dimensions.iter().try_fold(1_usize, |all, (_, list)| all.checked_mul(list.len()));
    let too_many = |count: String| {
        let message = format!("the matrix has {count} legs; at most {MAX_LEGS} are allowed");
        vec![Diagnostic::error("matrix", strategy.span, message)]
    };
    // Counted before they are made, so that ten dimensions of a hundred values cost nothing.
    let combinations = combinations
        .filter(|&count| count <= MAX_LEGS * 16)
        .ok_or_else(|| too_many("far too many".to_owned()))?;
    let mut legs = if dimensions.is_empty() { Vec::new() } else { product(&dimensions, combinations) };
    legs.retain(|leg| !exclude.iter().any(|entry| matches(leg, entry)));
    add(&mut legs, &dimensions, include);
    if legs.len() > MAX_LEGS {
        return Err(too_many(legs.len().to_string()));
    }
    if legs.is_empty() {
        let message = "nothing is left of the matrix, so the step would never run";
        return Err(vec![Diagnostic::error("matrix", strategy.span, message)]);
    }
    Ok(legs)
}

fn product(dimensions: &[(&str, Vec<Value>)], count: usize) -> Vec<Leg> {
    let mut legs = vec![Leg::default()];
    legs.reserve(count);
    for (name, list) in dimensions {
        legs = legs
            .iter()
            .flat_map(|leg| {
                list.iter().map(|value| {
                    let mut leg = leg.clone();
                    leg.set(name, value.clone());
                    leg
                })
            })
            .collect();
    }
    legs
}

/// Whether every value of `entry` is the leg's.
fn matches(leg: &Leg, entry: &[(String, Value)]) -> bool {
    entry.iter().all(|(name, value)| leg.get(name).is_some_and(|other| same(other, value)))
}

/// Whether two values are one: `1` and `1.0` are, `1` and `'1'` are not.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// Adds `include`: an entry extends every leg whose own dimensions it does not contradict; where there is none it is a
/// leg by itself.
fn add(legs: &mut Vec<Leg>, dimensions: &[(&str, Vec<Value>)], include: Vec<Vec<(String, Value)>>) {
    let originals = legs.len();
    for entry in include {
        let is_dimension = |name: &str| dimensions.iter().any(|(other, _)| *other == name);
        let mut extended = false;
        for leg in &mut legs[..originals] {
            let agrees = entry
                .iter()
                .filter(|(name, _)| is_dimension(name))
                .all(|(name, value)| leg.get(name).is_some_and(|own| same(own, value)));
            if agrees {
                extended = true;
                for (name, value) in entry.iter().filter(|(name, _)| !is_dimension(name)) {
                    leg.set(name, value.clone());
                }
            }
        }
        if !extended {
            legs.push(Leg(entry));
        }
    }
}

fn list(values: &MatrixValues, name: &str, scope: &Scope<'_>) -> Result<Vec<Value>, Diagnostic> {
    match values {
        MatrixValues::List(list) => list.iter().map(|value| scalar(value, scope)).collect(),
        MatrixValues::Expr(template) => {
            let exprs: Vec<_> = template.exprs().collect();
            let refuse = |message: String| Diagnostic::error("matrix", template.span, message);
            let [expr] = exprs[..] else {
                return Err(refuse(format!("the matrix dimension {name} must be a list or one expression")));
            };
            match evaluate::value(expr, scope) {
                Ok(Value::Array(list))
                    if list.iter().all(|value| !value.is_array() && !value.is_object()) =>
                {
                    Ok(list)
                }
                Ok(other) => {
                    let found =
                        if other.is_array() { "a list that holds lists or objects" } else { kind(&other) };
                    Err(refuse(format!(
                        "the matrix dimension {name} must be a list of texts, numbers and booleans, and is {found}"
                    )))
                }
                Err(error) => Err(Diagnostic::error("matrix", error.span, error.message)),
            }
        }
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text (fromJSON makes a list of one)",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn entries(
    entries: &[Vec<(String, MatrixValue)>],
    scope: &Scope<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Vec<(String, Value)>> {
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let values: Result<Vec<_>, _> = entry
            .iter()
            .map(|(name, value)| scalar(value, scope).map(|value| (name.clone(), value)))
            .collect();
        match values {
            Ok(values) => all.push(values),
            Err(problem) => problems.push(problem),
        }
    }
    all
}

fn scalar(value: &MatrixValue, scope: &Scope<'_>) -> Result<Value, Diagnostic> {
    match value {
        MatrixValue::Bool(value) => Ok(Value::Bool(*value)),
        // As written where JSON can write it so; else as text, which loses nothing.
        MatrixValue::Number(text) => Ok(serde_json::from_str::<serde_json::Number>(text)
            .map_or_else(|_| Value::String(text.clone()), Value::Number)),
        MatrixValue::Text(template) => {
            let value = match &template.parts[..] {
                // A value that is one expression keeps its type.
                [Part::Expr(expr)] => evaluate::value(expr, scope),
                _ => evaluate::template(template, scope).map(Value::String),
            };
            match value {
                Ok(value) if value.is_array() || value.is_object() => Err(Diagnostic::error(
                    "matrix",
                    template.span,
                    format!(
                        "a value of a matrix must be a text, a number or a boolean, and this is {}",
                        kind(&value)
                    ),
                )),
                Ok(value) => Ok(value),
                Err(error) => Err(Diagnostic::error("matrix", error.span, error.message)),
            }
        }
    }
}
