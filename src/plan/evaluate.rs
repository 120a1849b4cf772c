//! Values of expressions, by GitHub Actions' rules.
//!
//! Pure: everything that an expression can see comes in by [`Scope`]. Whether a name may be used was judged when the
//! manifest was read; what has no value now is `null`, but for secrets, which are never silently empty.

mod compare;
mod functions;
mod reach;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::diagnostic::Span;
use crate::manifest::expression::{Context, Expr, ExprKind, Function, Key, Operator, Part, Template};
use crate::plan::model::{Contexts, PlannedCondition, Text};

use self::reach::Reached;

/// The longest text that an expression may make, in bytes.
pub const MAX_RESULT: usize = 1024 * 1024;

/// What an expression can see when it is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// `inputs`, `github`, `runner` and the digests for `hashFiles`.
    pub contexts: &'a Contexts,
    /// `matrix`
    pub matrix: &'a BTreeMap<String, Value>,
    /// `env`
    pub env: &'a BTreeMap<String, String>,
    /// `steps`, as `{id: {outcome, conclusion, outputs: {…}}}`.
    pub steps: &'a Value,
    /// `secrets`. Only a step's environment is evaluated with any.
    pub secrets: &'a BTreeMap<String, String>,
    /// How the steps before ended; absent where status functions cannot be called.
    pub status: Option<Status>,
}

/// How the steps that a step needs, directly or through others, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// All of them count as success.
    pub success: bool,
    /// One of them failed.
    pub failure: bool,
    /// The run was cancelled.
    pub cancelled: bool,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What is wrong.
    pub message: String,
    /// The expression.
    pub span: Span,
}

impl EvalError {
    fn new(expr: &Expr, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: expr.span }
    }
}

/// The value of an expression.
///
/// # Errors
/// Refuses what has no value: secrets and tokens that are not there, malformed `format` texts, texts that are not JSON,
/// status functions outside conditions and results over [`MAX_RESULT`].
pub fn value(expr: &Expr, scope: &Scope<'_>) -> Result<Value, EvalError> {
    Ok(evaluate(expr, scope)?.into_value())
}

/// The text of a template, each expression replaced by its value.
///
/// # Errors
/// Those of [`value`], for the first expression that has one.
pub fn template(template: &Template, scope: &Scope<'_>) -> Result<String, EvalError> {
    let mut text = String::new();
    for part in &template.parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Expr(expr) => {
                text.push_str(&evaluate(expr, scope)?.text());
                bounded(expr, text.len())?;
            }
        }
    }
    Ok(text)
}

/// The text itself, or that of its template.
///
/// # Errors
/// Those of [`template`].
pub fn text(text: &Text, scope: &Scope<'_>) -> Result<String, EvalError> {
    match text {
        Text::Known(text) => Ok(text.clone()),
        Text::Later(later) => template(later, scope),
    }
}

/// Whether a condition holds.
///
/// # Errors
/// Those of [`value`], and a scope without a status where the condition asks for it.
pub fn condition(condition: &PlannedCondition, scope: &Scope<'_>) -> Result<bool, EvalError> {
    let Some(expr) = &condition.expr else { return success(scope, Span::default()) };
    if condition.and_success && !success(scope, expr.span)? {
        return Ok(false);
    }
    Ok(evaluate(expr, scope)?.is_truthy())
}

/// Whether a value counts as true: everything but `null`, `false`, zero and the empty text.
#[must_use]
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(bool) => *bool,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Whether an expression has its value before any step has run: it reads neither `env`, `steps`, `secrets` nor a token,
/// and asks for no status.
#[must_use]
pub fn is_static(expr: &Expr) -> bool {
    let mut known = true;
    expr.walk(&mut |part| {
        known &= match &part.kind {
            ExprKind::Context(context) => {
                !matches!(context, Context::Env | Context::Steps | Context::Secrets)
            }
            ExprKind::Call(function, _) => !function.is_status(),
            ExprKind::Access(base, Key::Name(name)) => !is_token(base, name),
            _ => true,
        };
    });
    known
}

fn is_token(base: &Expr, name: &str) -> bool {
    base.kind == ExprKind::Context(Context::Github) && name.eq_ignore_ascii_case("token")
}

fn success(scope: &Scope<'_>, span: Span) -> Result<bool, EvalError> {
    status(scope, span).map(|status| status.success && !status.cancelled)
}

fn status(scope: &Scope<'_>, span: Span) -> Result<Status, EvalError> {
    scope.status.ok_or_else(|| EvalError { message: "how steps ended is not known here".to_owned(), span })
}

/// Refuses a result of `length` bytes when that is too long.
fn bounded(expr: &Expr, length: usize) -> Result<(), EvalError> {
    if length <= MAX_RESULT {
        return Ok(());
    }
    Err(EvalError::new(expr, format!("the result is longer than {MAX_RESULT} bytes")))
}

/// Recursion is bounded by the parser, which bounds the operations of an expression.
fn evaluate<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Reached<'a>, EvalError> {
    let owned = |value: Value| Ok(Reached::One(Cow::Owned(value)));
    match &expr.kind {
        ExprKind::Null => owned(Value::Null),
        ExprKind::Bool(bool) => owned(Value::Bool(*bool)),
        ExprKind::Number(number) => owned(compare::number_value(*number)),
        ExprKind::Text(text) => owned(Value::String(text.clone())),
        ExprKind::Context(context) => Ok(whole(*context, scope)),
        ExprKind::Access(base, key) => access(expr, base, key, scope),
        ExprKind::Call(function, args) => call(expr, *function, args, scope),
        ExprKind::Not(inner) => owned(Value::Bool(!evaluate(inner, scope)?.is_truthy())),
        ExprKind::Binary(operator, left, right) => binary(*operator, left, right, scope),
    }
}

fn binary<'a>(
    operator: Operator,
    left: &'a Expr,
    right: &'a Expr,
    scope: &Scope<'a>,
) -> Result<Reached<'a>, EvalError> {
    let left = evaluate(left, scope)?;
    // These two give an operand, and leave the right one alone where the left one decides.
    match operator {
        Operator::Or if left.is_truthy() => return Ok(left),
        Operator::And if !left.is_truthy() => return Ok(left),
        _ => {}
    }
    let right = evaluate(right, scope)?;
    let holds = match operator {
        Operator::Or | Operator::And => return Ok(right),
        Operator::Equal => compare::equal(&left, &right),
        Operator::NotEqual => !compare::equal(&left, &right),
        Operator::Less => compare::less(&left, &right),
        Operator::LessOrEqual => compare::equal(&left, &right) || compare::less(&left, &right),
        Operator::Greater => compare::less(&right, &left),
        Operator::GreaterOrEqual => compare::equal(&left, &right) || compare::less(&right, &left),
    };
    Ok(Reached::One(Cow::Owned(Value::Bool(holds))))
}

/// A context by itself.
fn whole<'a>(context: Context, scope: &Scope<'a>) -> Reached<'a> {
    let texts = |map: &BTreeMap<String, String>| {
        map.iter().map(|(name, text)| (name.clone(), Value::String(text.clone()))).collect()
    };
    Reached::One(match context {
        Context::Inputs => Cow::Borrowed(&scope.contexts.inputs),
        Context::Github => Cow::Borrowed(&scope.contexts.github),
        Context::Runner => Cow::Borrowed(&scope.contexts.runner),
        Context::Steps => Cow::Borrowed(scope.steps),
        Context::Matrix => {
            let pairs = scope.matrix.iter().map(|(name, value)| (name.clone(), value.clone()));
            Cow::Owned(Value::Object(pairs.collect()))
        }
        Context::Env => Cow::Owned(Value::Object(texts(scope.env))),
        Context::Secrets => Cow::Owned(Value::Object(texts(scope.secrets))),
    })
}

fn access<'a>(
    expr: &'a Expr,
    base: &'a Expr,
    key: &'a Key,
    scope: &Scope<'a>,
) -> Result<Reached<'a>, EvalError> {
    let index = match key {
        Key::Name(name) => Some(Cow::Owned(Value::String(name.clone()))),
        Key::Index(index) => Some(evaluate(index, scope)?.into_cow()),
        Key::Star => None,
    };
    if let (ExprKind::Context(context), Some(Value::String(name))) = (&base.kind, index.as_deref()) {
        let name = name.as_str();
        match context {
            // Variables of one name in two cases are two variables, unlike everything else that expressions name.
            Context::Env => return Ok(Reached::text_or_null(scope.env.get(name))),
            Context::Secrets => {
                let secret = scope.secrets.get(name).filter(|secret| !secret.is_empty());
                return match secret {
                    Some(secret) => Ok(Reached::text_or_null(Some(secret))),
                    None => Err(EvalError::new(expr, format!("the secret `{name}` has no value"))),
                };
            }
            Context::Matrix => return Ok(reach::value_of(scope.matrix, name)),
            Context::Github if is_token(base, name) => {
                let token = evaluate(base, scope)?.key(index.as_deref());
                if !token.is_truthy() {
                    return Err(EvalError::new(expr, "there is no token for this step"));
                }
                return Ok(token);
            }
            _ => {}
        }
    }
    Ok(evaluate(base, scope)?.key(index.as_deref()))
}

fn call<'a>(
    expr: &'a Expr,
    function: Function,
    args: &'a [Expr],
    scope: &Scope<'a>,
) -> Result<Reached<'a>, EvalError> {
    let holds = match function {
        Function::Success => success(scope, expr.span)?,
        Function::Failure => {
            let status = status(scope, expr.span)?;
            status.failure && !status.cancelled
        }
        Function::Always => true,
        Function::Cancelled => status(scope, expr.span)?.cancelled,
        _ => {
            let args: Vec<_> = args.iter().map(|arg| evaluate(arg, scope)).collect::<Result<_, _>>()?;
            let value = functions::call(expr, function, &args, &scope.contexts.hashes)?;
            return Ok(Reached::One(Cow::Owned(value)));
        }
    };
    Ok(Reached::One(Cow::Owned(Value::Bool(holds))))
}
