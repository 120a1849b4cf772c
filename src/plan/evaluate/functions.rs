//! The functions that work on values alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::expression::{Expr, ExprKind, Function};
use crate::plan::evaluate::reach::Reached;
use crate::plan::evaluate::{EvalError, bounded, compare};

/// The result of a call. The parser has checked the number of arguments; a missing one reads as `null`.
pub(super) fn call(
    expr: &Expr,
    function: Function,
    args: &[Reached<'_>],
    hashes: &BTreeMap<Vec<String>, String>,
) -> Result<Value, EvalError> {
    let null = Reached::One(Cow::Owned(Value::Null));
    let first = args.first().unwrap_or(&null);
    let second = args.get(1).unwrap_or(&null);
    Ok(match function {
        Function::Contains => Value::Bool(contains(first, second)),
        Function::StartsWith => Value::Bool(texts(first, second).is_some_and(|(a, b)| a.starts_with(&b))),
        Function::EndsWith => Value::Bool(texts(first, second).is_some_and(|(a, b)| a.ends_with(&b))),
        Function::Format => Value::String(format(expr, &first.text(), args.get(1..).unwrap_or_default())?),
        Function::Join => Value::String(join(expr, first, args.get(1))?),
        Function::ToJson => Value::String(to_json(expr, first)?),
        Function::FromJson => from_json(expr, &first.text())?,
        Function::HashFiles => Value::String(hash(expr, hashes)?),
        Function::Success | Function::Failure | Function::Always | Function::Cancelled => Value::Null,
    })
}

/// Both as texts that can be compared without regard to case; none where one is a list or an object.
fn texts(left: &Reached<'_>, right: &Reached<'_>) -> Option<(String, String)> {
    let text = |value: &Reached<'_>| match value {
        Reached::One(value) if !value.is_array() && !value.is_object() => {
            Some(compare::folded(&compare::text(value)).collect())
        }
        _ => None,
    };
    Some((text(left)?, text(right)?))
}

fn contains(all: &Reached<'_>, item: &Reached<'_>) -> bool {
    match all {
        Reached::Each(values) => {
            values.iter().any(|value| compare::equal(&Reached::One(value.clone()), item))
        }
        Reached::One(value) => match &**value {
            Value::Array(values) => match item {
                Reached::One(item) => values.iter().any(|value| compare::equal_values(value, item)),
                Reached::Each(_) => false,
            },
            _ => texts(all, item).is_some_and(|(text, part)| text.contains(&part)),
        },
    }
}

fn format(expr: &Expr, pattern: &str, args: &[Reached<'_>]) -> Result<String, EvalError> {
    let malformed =
        || EvalError::new(expr, "the text of `format` is malformed: write `{{` and `}}` for braces");
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(brace) = rest.find(['{', '}']) {
        out.push_str(&rest[..brace]);
        let open = rest[brace..].starts_with('{');
        let after = &rest[brace + 1..];
        if let Some(further) = after.strip_prefix(if open { '{' } else { '}' }) {
            out.push(if open { '{' } else { '}' });
            rest = further;
        } else if open {
            let (index, further) = after.split_once('}').ok_or_else(malformed)?;
            if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(malformed());
            }
            let arg = index.parse::<usize>().ok().and_then(|index| args.get(index)).ok_or_else(|| {
                let message =
                    format!("`format` has no argument for `{{{}}}`", index.get(..9).unwrap_or(index));
                EvalError::new(expr, message)
            })?;
            out.push_str(&arg.text());
            rest = further;
        } else {
            return Err(malformed());
        }
        bounded(expr, out.len())?;
    }
    out.push_str(rest);
    bounded(expr, out.len())?;
    Ok(out)
}

fn join(expr: &Expr, items: &Reached<'_>, separator: Option<&Reached<'_>>) -> Result<String, EvalError> {
    let separator = match separator {
        Some(Reached::One(value)) if !value.is_array() && !value.is_object() => compare::text(value),
        None | Some(_) => Cow::Borrowed(","),
    };
    let mut out = String::new();
    let mut push = |index: usize, text: &str| {
        if index > 0 {
            out.push_str(&separator);
        }
        out.push_str(text);
        bounded(expr, out.len())
    };
    match items {
        Reached::Each(values) => {
            values.iter().enumerate().try_for_each(|(index, value)| push(index, &compare::text(value)))?;
        }
        Reached::One(value) => match &**value {
            Value::Array(values) => {
                values
                    .iter()
                    .enumerate()
                    .try_for_each(|(index, value)| push(index, &compare::text(value)))?;
            }
            Value::Object(_) => {}
            scalar => push(0, &compare::text(scalar))?,
        },
    }
    Ok(out)
}

fn to_json(expr: &Expr, value: &Reached<'_>) -> Result<String, EvalError> {
    let mut out = String::new();
    match value {
        Reached::One(value) => write_json(expr, value, 0, &mut out)?,
        Reached::Each(_) => write_json(expr, &value.clone().into_value(), 0, &mut out)?,
    }
    Ok(out)
}

/// Writes `value` with two spaces a level, and numbers as expressions write them. The depth of a value is bounded where
/// it is read from JSON.
fn write_json(expr: &Expr, value: &Value, level: usize, out: &mut String) -> Result<(), EvalError> {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    };
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(_) | Value::Number(_) => out.push_str(&compare::text(value)),
        Value::String(text) => out.push_str(&Value::String(text.clone()).to_string()),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                line(out, level + 1);
                write_json(expr, item, level + 1, out)?;
            }
            line(out, level);
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                line(out, level + 1);
                out.push_str(&Value::String(key.clone()).to_string());
                out.push_str(": ");
                write_json(expr, item, level + 1, out)?;
            }
            line(out, level);
            out.push('}');
        }
    }
    bounded(expr, out.len())
}

fn from_json(expr: &Expr, text: &str) -> Result<Value, EvalError> {
    serde_json::from_str(text).map_err(|error| {
        EvalError::new(expr, format!("`fromJSON` was given a text that is not JSON: {error}"))
    })
}

fn hash(expr: &Expr, hashes: &BTreeMap<Vec<String>, String>) -> Result<String, EvalError> {
    let ExprKind::Call(_, args) = &expr.kind else {
        return Err(EvalError::new(expr, "files are hashed by `hashFiles` only"));
    };
    let globs: Option<Vec<String>> = args
        .iter()
        .map(|arg| match &arg.kind {
            ExprKind::Text(glob) => Some(glob.clone()),
            _ => None,
        })
        .collect();
    let digest = globs.and_then(|globs| hashes.get(&globs));
    digest.cloned().ok_or_else(|| EvalError::new(expr, "these files were not hashed when the plan was made"))
}
