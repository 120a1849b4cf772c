//! What a manifest may say that this version cannot do yet.
//!
//! Such fields are checked like all others, so that a manifest can be written ahead; using one is refused by name and
//! place, because silence would pass for protection. A feature that arrives takes its lines from here.

use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::expression::{Context, Expr, ExprKind, Key};
use crate::manifest::model::{Command, Spanned, Step};

/// The rule of every diagnostic here.
pub const RULE: &str = "not-available";

/// Errors for everything that running `command` would need and this version does not have, in the file's order.
#[must_use]
pub fn unavailable(command: &Command) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    requests(command, &mut found);
    for step in &command.steps {
        in_step(step, &mut found);
    }
    found.sort_by_key(|diagnostic| diagnostic.span);
    found
}

fn missing(span: Span, what: &str, help: &str) -> Diagnostic {
    Diagnostic::error(RULE, span, format!("{what} cannot be used yet in this version of rungate")).help(help)
}

/// What only a request from outside would use.
fn requests(command: &Command, found: &mut Vec<Diagnostic>) {
    let sentences = [
        ("`phrases`", &command.phrases),
        ("`examples`", &command.examples),
        ("`not-examples`", &command.not_examples),
    ];
    for (what, sentences) in sentences {
        if let Some(Spanned { span, .. }) = sentences.first() {
            found.push(missing(*span, what, "remove them; commands are called by their id"));
        }
    }
    if let Some(confirm) = &command.confirm {
        found.push(missing(
            confirm.span,
            "`confirm`",
            "remove it; nothing from outside starts a command yet",
        ));
    }
}

fn in_step(step: &Step, found: &mut Vec<Diagnostic>) {
    if let Some(cache) = &step.cache {
        found.push(missing(cache.span, "`cache`", "remove it; the step then runs every time"));
    }
    for expr in step.env.iter().flat_map(|entry| entry.value.exprs()) {
        expr.walk(&mut |part| {
            if is_token(part) {
                found.push(missing(
                    part.span,
                    "`github.token`",
                    "declare a secret and give the step that one",
                ));
            }
        });
    }
}

fn is_token(expr: &Expr) -> bool {
    let ExprKind::Access(base, key) = &expr.kind else { return false };
    let named = match key {
        Key::Name(name) => Some(name),
        Key::Index(index) => match &index.kind {
            ExprKind::Text(name) => Some(name),
            _ => None,
        },
        Key::Star => None,
    };
    matches!(base.kind, ExprKind::Context(Context::Github))
        && named.is_some_and(|name| name.eq_ignore_ascii_case("token"))
}
