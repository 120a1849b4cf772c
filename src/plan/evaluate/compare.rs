//! Conversions and comparisons, by the rules of GitHub Actions: JavaScript's loose equality, but texts are compared
//! without regard to case and lists and objects are never converted.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::manifest::expression;
use crate::plan::evaluate::reach::Reached;

/// A number as a value; whole numbers are kept as such, so that JSON writes them without a fraction.
pub(super) fn number_value(number: f64) -> Value {
    /// Above this, not every whole number is an `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT && !(number == 0.0 && number.is_sign_negative()) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i64")]
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A value as a number; lists and objects are none.
pub(super) fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(bool) => f64::from(u8::from(*bool)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) => expression::number::parse(text),
        Value::Array(_) | Value::Object(_) => f64::NAN,
    }
}

/// A value as text.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Number(number) => Cow::Owned(number_text(number.as_f64().unwrap_or(f64::NAN))),
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(_) => Cow::Borrowed("Array"),
        Value::Object(_) => Cow::Borrowed("Object"),
    }
}

/// A number with at most 15 significant digits, in scientific notation from 1E+15 on and from 1E-05 down.
pub(super) fn number_text(number: f64) -> String {
    const DIGITS: i32 = 15;
    if number == 0.0 || !number.is_finite() {
        return if number == 0.0 && number.is_sign_negative() {
            "-0".to_owned()
        } else {
            format!("{number}")
        };
    }
    // Rust rounds to a number of digits only in this form; `exponent` is that of the rounded number.
    let scientific = format!("{number:.14e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        return without_zeros(&format!("{number:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}E{sign}{:02}", without_zeros(mantissa), exponent.abs())
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Whether two values are loosely equal. Lists and objects are equal only to themselves.
pub(super) fn equal(left: &Reached<'_>, right: &Reached<'_>) -> bool {
    let (Reached::One(left), Reached::One(right)) = (left, right) else { return false };
    if let (Cow::Borrowed(left), Cow::Borrowed(right)) = (left, right)
        && std::ptr::eq(*left, *right)
        && (left.is_array() || left.is_object())
    {
        return true;
    }
    equal_values(left, right)
}

/// Whether two values are loosely equal; lists and objects never are.
pub(super) fn equal_values(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        _ => order(left, right) == Some(Ordering::Equal),
    }
}

/// Whether `left` is loosely less than `right`.
pub(super) fn less(left: &Reached<'_>, right: &Reached<'_>) -> bool {
    let (Reached::One(left), Reached::One(right)) = (left, right) else { return false };
    order(left, right) == Some(Ordering::Less)
}

/// The order of two values after conversion; none where they have none.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null)
        | (Value::Array(_) | Value::Object(_), _)
        | (_, Value::Array(_) | Value::Object(_)) => None,
        (Value::String(left), Value::String(right)) => Some(folded(left).cmp(folded(right))),
        _ => number(left).partial_cmp(&number(right)),
    }
}

/// Whether two texts are equal without regard to case.
pub(super) fn same_text(left: &str, right: &str) -> bool {
    folded(left).eq(folded(right))
}

/// The text in the form in which it is compared.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(fold)
}

/// Upper case, one character for one, and never from outside ASCII into it: `ı` is no `I` and `ß` stays what it is.
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) if !only.is_ascii() => only,
        _ => c,
    }
}
