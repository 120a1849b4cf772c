//! Scalars by the field that holds them: what each kind accepts, and its value.
//!
//! A quoted scalar is always a text. A plain one is what its field says: `1.10` in a text field is the text `1.10`.

use std::time::Duration;

use crate::manifest::amount;
use crate::manifest::fields::name::Refused;
use crate::manifest::fields::{Kind, table, words};
use crate::manifest::model::Requirement;
use crate::manifest::read::complaints::quoted;
use crate::manifest::tree::{Scalar, Style};

/// Whether the scalar is what YAML calls null.
pub(crate) fn is_null(scalar: &Scalar) -> bool {
    scalar.style == Style::Plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
}

/// Whether `scalar` is of `kind`, as far as it alone can tell. Expressions, globs and patterns are read later.
///
/// # Errors
/// Says what is expected.
pub(crate) fn check(scalar: &Scalar, kind: &Kind) -> Result<(), Refused> {
    if is_null(scalar) {
        let expected = kind.expected();
        return refuse("wrong-type", format!("must be {expected}, but nothing is written"), None);
    }
    if !may_hold_expression(kind) && scalar.text.contains("${{") {
        let help = "expressions may stand in `if`, `env`, `args`, `files`, `matrix`, a step's `name`, `from`, an artifact's \
                    `name` and `path`, `group` and `check-name`";
        return refuse(
            "expression-not-allowed",
            "cannot hold an expression".to_owned(),
            Some(help.to_owned()),
        );
    }
    match kind {
        Kind::Version => version(scalar),
        Kind::Text | Kind::Script if scalar.text.trim().is_empty() => {
            refuse("empty", "must not be empty".to_owned(), None)
        }
        Kind::Template(place) if scalar.text.trim().is_empty() && !place.allows_event() => {
            refuse("empty", "must not be empty".to_owned(), None)
        }
        Kind::Text
        | Kind::AnyText
        | Kind::Script
        | Kind::Template(_)
        | Kind::Condition
        | Kind::Path
        | Kind::AnyPath
        | Kind::Glob
        | Kind::Regex
        | Kind::MatrixValue => no_nul(scalar),
        Kind::Bool => bool(scalar).map(drop),
        Kind::Integer { min, max } => integer(scalar, kind, *min, *max).map(drop),
        Kind::Number { min, max } => number(scalar, kind, *min, *max).map(drop),
        Kind::AnyNumber => number(scalar, kind, f64::MIN, f64::MAX).map(drop),
        Kind::Size { min, max } => size(scalar, kind, *min, *max).map(drop),
        Kind::Duration { min, max } => duration(scalar, kind, *min, *max).map(drop),
        Kind::Word(known) => word(scalar, known),
        Kind::Name(name) => name.check(&scalar.text).map_err(|refused| Refused {
            why: format!("{} {}", quoted(&scalar.text), refused.why),
            ..refused
        }),
        Kind::Date => date(scalar).map(drop),
        Kind::Requirement => requirement(scalar).map(drop),
        Kind::List { .. } | Kind::Map { .. } | Kind::Object(_) | Kind::Either(_) => wrong(kind, scalar),
    }
}

const fn may_hold_expression(kind: &Kind) -> bool {
    // A script gets an error of its own, with the line to write instead; a pattern may look like an expression.
    matches!(
        kind,
        Kind::Template(_)
            | Kind::Condition
            | Kind::Script
            | Kind::MatrixValue
            | Kind::Regex
            | Kind::Either(_)
    )
}

fn refuse<T>(rule: &'static str, why: String, help: Option<String>) -> Result<T, Refused> {
    Err(Refused { rule, why, help })
}

fn wrong<T>(kind: &Kind, scalar: &Scalar) -> Result<T, Refused> {
    refuse("wrong-type", format!("must be {}, not {}", kind.expected(), quoted(&scalar.text)), None)
}

fn out_of_range<T>(kind: &Kind, scalar: &Scalar) -> Result<T, Refused> {
    refuse("out-of-range", format!("must be {}, not {}", kind.expected(), quoted(&scalar.text)), None)
}

fn unquoted<T>(kind: &Kind, scalar: &Scalar) -> Result<T, Refused> {
    let help = format!("write {} without quotes", quoted(&scalar.text));
    refuse("wrong-type", format!("must be {}, not a text in quotes", kind.expected()), Some(help))
}

fn no_nul(scalar: &Scalar) -> Result<(), Refused> {
    if scalar.text.contains('\0') {
        return refuse("control-character", "must not hold a NUL character".to_owned(), None);
    }
    Ok(())
}

fn version(scalar: &Scalar) -> Result<(), Refused> {
    if scalar.style == Style::Plain && scalar.text == table::VERSION.to_string() {
        return Ok(());
    }
    if scalar.text == table::VERSION.to_string() {
        return unquoted(&Kind::Version, scalar);
    }
    let why = format!(
        "must be {}, the newest version that this rungate knows, not {}",
        table::VERSION,
        quoted(&scalar.text)
    );
    refuse("unknown-version", why, Some(format!("write `version: {}`", table::VERSION)))
}

/// Reads `true` or `false`.
pub(crate) fn bool(scalar: &Scalar) -> Result<bool, Refused> {
    match (scalar.style, scalar.text.as_str()) {
        (Style::Plain, "true") => Ok(true),
        (Style::Plain, "false") => Ok(false),
        (_, "true" | "false") => unquoted(&Kind::Bool, scalar),
        (_, text) => {
            let meant = match text.to_ascii_lowercase().as_str() {
                "yes" | "y" | "on" | "true" | "1" => Some("true"),
                "no" | "n" | "off" | "false" | "0" => Some("false"),
                _ => None,
            };
            let why = format!("must be `true` or `false`, not {}", quoted(text));
            refuse("wrong-type", why, meant.map(|word| format!("write `{word}`")))
        }
    }
}

/// Reads a whole number.
pub(crate) fn integer(scalar: &Scalar, kind: &Kind, min: u64, max: u64) -> Result<u64, Refused> {
    let text = scalar.text.as_str();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let plain = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if !plain {
        return wrong(kind, scalar);
    }
    if scalar.style != Style::Plain {
        return unquoted(kind, scalar);
    }
    match digits.parse::<u64>() {
        Ok(value) if (min..=max).contains(&value) && !(negative && value > 0) => Ok(value),
        _ => out_of_range(kind, scalar),
    }
}

/// Whether the text is a decimal number as a manifest may write one.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// Reads a decimal number.
pub(crate) fn number(scalar: &Scalar, kind: &Kind, min: f64, max: f64) -> Result<f64, Refused> {
    if !is_number(&scalar.text) {
        return wrong(kind, scalar);
    }
    if scalar.style != Style::Plain {
        return unquoted(kind, scalar);
    }
    match scalar.text.parse::<f64>() {
        Ok(value) if value.is_finite() && (min..=max).contains(&value) => Ok(value),
        _ => out_of_range(kind, scalar),
    }
}

/// Reads a number of bytes.
pub(crate) fn size(scalar: &Scalar, kind: &Kind, min: u64, max: u64) -> Result<u64, Refused> {
    let text = scalar.text.as_str();
    if text.strip_prefix('-').is_some_and(|rest| amount::split(rest).is_some()) {
        return out_of_range(kind, scalar);
    }
    let Some((count, unit)) = amount::split(text) else { return wrong(kind, scalar) };
    let Some(factor) = amount::bytes_of(unit) else {
        let help = match unit.to_ascii_lowercase().chars().next() {
            Some(letter @ ('k' | 'm' | 'g' | 't')) => {
                Some(format!("write `{count}{}iB`", letter.to_ascii_uppercase()))
            }
            _ => None,
        };
        let why = format!("must be {}, not {}", kind.expected(), quoted(text));
        return refuse("wrong-type", why, help);
    };
    match count.checked_mul(factor) {
        Some(bytes) if (min..=max).contains(&bytes) => Ok(bytes),
        _ => out_of_range(kind, scalar),
    }
}

/// Reads a time.
pub(crate) fn duration(
    scalar: &Scalar,
    kind: &Kind,
    min: Duration,
    max: Duration,
) -> Result<Duration, Refused> {
    let text = scalar.text.as_str();
    if text.strip_prefix('-').is_some_and(|rest| amount::split(rest).is_some()) {
        return out_of_range(kind, scalar);
    }
    let Some((count, unit)) = amount::split(text) else { return wrong(kind, scalar) };
    let Some(milliseconds) = amount::milliseconds_of(unit) else {
        if !unit.is_empty() {
            return wrong(kind, scalar);
        }
        let why = format!("must be {}, not {}", kind.expected(), quoted(text));
        return refuse("wrong-type", why, Some(format!("write the unit, as in `{count}s`")));
    };
    match count.checked_mul(milliseconds).map(Duration::from_millis) {
        Some(time) if (min..=max).contains(&time) => Ok(time),
        _ => out_of_range(kind, scalar),
    }
}

fn word(scalar: &Scalar, known: &[&'static str]) -> Result<(), Refused> {
    if known.contains(&scalar.text.as_str()) {
        return Ok(());
    }
    refuse("unknown-word", format!("must be {}, not {}", words::one_of(known), quoted(&scalar.text)), None)
}

/// Reads a date, in the form that sorts.
pub(crate) fn date(scalar: &Scalar) -> Result<String, Refused> {
    let text = scalar.text.as_str();
    let shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    if !shaped {
        return wrong(&Kind::Date, scalar);
    }
    match text.parse::<jiff::civil::Date>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => refuse("out-of-range", format!("must be a day that exists, not {}", quoted(text)), None),
    }
}

/// Reads a layer of the sandbox, perhaps with a version.
pub(crate) fn requirement(scalar: &Scalar) -> Result<Requirement, Refused> {
    let (name, version) = match scalar.text.split_once(">=") {
        Some((name, version)) => (name.trim_end(), Some(version.trim_start())),
        None => (scalar.text.as_str(), None),
    };
    let Some(layer) = words::value(&words::LAYERS, name) else {
        let known = words::names(&words::LAYERS);
        let why = format!("must be {}, not {}", words::one_of(&known), quoted(&scalar.text));
        return refuse("unknown-word", why, None);
    };
    let at_least = match version {
        None => None,
        Some(_) if name != "landlock" => {
            let why = format!("cannot ask for a version of `{name}`: only Landlock has versions");
            return refuse("wrong-type", why, Some(format!("write `{name}`")));
        }
        Some(version) => match version.parse::<u32>() {
            Ok(version @ 1..=99) => Some(version),
            _ => return wrong(&Kind::Requirement, scalar),
        },
    };
    Ok(Requirement { layer, at_least })
}
