//! Which names an expression may use, and where.
//!
//! A misspelt context is an error here, where GitHub Actions silently reads nothing. Unknown names stand for `null`
//! after they have been complained about, so that one reading finds every mistake.

use crate::manifest::diagnostic::{Diagnostic, Span, brief, nearest};
use crate::manifest::expression::{
    Context, Expr, ExprKind, FOREIGN_CONTEXTS, Function, GITHUB_PROPERTIES, Place, RUNNER_PROPERTIES,
    STEP_PROPERTIES,
};

/// Judges the names of one expression.
pub(super) struct Names {
    /// Where the expression stands.
    pub(super) place: Place,
    /// What was wrong so far.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// One name reached through a context, and its place; none where it is computed or `*`.
pub(super) type ReachedName = (Option<String>, Span);

/// Every place that may hold expressions, to say where a context can be read instead.
const PLACES: [Place; 11] = [
    Place::Condition,
    Place::Name,
    Place::OuterEnv,
    Place::StepEnv,
    Place::Args,
    Place::Files,
    Place::Matrix,
    Place::FindingsFrom,
    Place::Artifact,
    Place::ConcurrencyGroup,
    Place::CheckName,
];

impl Names {
    /// The context `name`, or `null` after a complaint.
    pub(super) fn context(&mut self, name: &str, span: Span) -> ExprKind {
        let found = Context::ALL.into_iter().find(|context| context.as_str().eq_ignore_ascii_case(name));
        let Some(context) = found else {
            self.push(unknown_context(name, span));
            return ExprKind::Null;
        };
        if !self.place.contexts().contains(&context) {
            self.push(self.misplaced(context, span));
        }
        ExprKind::Context(context)
    }

    fn misplaced(&self, context: Context, span: Span) -> Diagnostic {
        let places: Vec<&str> = PLACES
            .into_iter()
            .filter(|place| place.contexts().contains(&context))
            .map(Place::as_str)
            .collect();
        let message = format!("`{}` cannot be read in {}", context.as_str(), self.place.as_str());
        Diagnostic::error("context-not-allowed", span, message)
            .help(format!("it can be read in {}", list(&places, "and")))
    }

    /// Judges what is reached through a context: `keys`, in order; `span` is that of the whole.
    pub(super) fn check_access(&mut self, context: Context, keys: &[ReachedName], span: Span) {
        match context {
            Context::Github => self.check_github(keys, span),
            Context::Secrets => {
                if !matches!(keys.first(), Some((Some(_), _))) {
                    let message =
                        "a secret must be named; all of them, or one by a computed name, cannot be read";
                    self.push(
                        Diagnostic::error("computed-secret", span, message).help("write `secrets.NAME`"),
                    );
                }
            }
            Context::Steps => self.check_steps(keys, span),
            Context::Runner => {
                if let Some((Some(name), place)) = keys.first() {
                    self.check_property("runner", name, *place, &RUNNER_PROPERTIES);
                }
            }
            Context::Inputs | Context::Matrix | Context::Env => {}
        }
    }

    fn check_github(&mut self, keys: &[ReachedName], span: Span) {
        let Some((Some(name), place)) = keys.first() else {
            let message = "a property of `github` must be named; all of them, or one by a computed name, cannot be read";
            self.push(
                Diagnostic::error("computed-property", span, message).help("write `github.sha`, for example"),
            );
            return;
        };
        self.check_property("github", name, *place, &GITHUB_PROPERTIES);
        if name.eq_ignore_ascii_case("event") && !self.place.allows_event() {
            let message = format!(
                "`github.event` cannot be read in {}, because a stranger may have written what it holds",
                self.place.as_str()
            );
            self.push(
                Diagnostic::error("event-not-allowed", span, message)
                    .help("it can be read in `env` and in `args`, where it arrives as data"),
            );
        }
        if name.eq_ignore_ascii_case("token") && self.place != Place::StepEnv {
            let message = format!("`github.token` cannot be read in {}", self.place.as_str());
            self.push(
                Diagnostic::error("token-not-allowed", span, message)
                    .help("it can be read in the `env` of a step only"),
            );
        }
    }

    fn check_steps(&mut self, keys: &[ReachedName], span: Span) {
        const SHAPE: &str = "write `steps.ID.outcome`, `steps.ID.conclusion` or `steps.ID.outputs.NAME`";
        let problem = match keys {
            [(Some(_), _), (Some(property), place), rest @ ..] => {
                self.check_property("a step", property, *place, &STEP_PROPERTIES);
                let is_text =
                    ["outcome", "conclusion"].iter().any(|text| property.eq_ignore_ascii_case(text));
                match rest {
                    [(_, place), ..] if is_text => Some((*place, "this is a text and has no properties")),
                    _ => None,
                }
            }
            [(Some(_), _)] => Some((span, "a step as a whole has no value")),
            _ => Some((span, "a step must be named; all of them, or one by a computed name, cannot be read")),
        };
        if let Some((place, message)) = problem {
            self.push(Diagnostic::error("steps-shape", place, message).help(SHAPE));
        }
    }

    fn check_property(&mut self, owner: &str, name: &str, span: Span, known: &[&'static str]) {
        if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return;
        }
        let owner = if owner.contains(' ') { owner.to_owned() } else { format!("`{owner}`") };
        let message = format!("{owner} has no property `{}` here", brief(name));
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", list(known, "and")),
        };
        self.push(Diagnostic::error("unknown-property", span, message).help(help));
    }

    /// The call of `name`, or `null` after a complaint.
    pub(super) fn call(&mut self, name: &str, name_span: Span, args: Vec<Expr>, span: Span) -> ExprKind {
        let found = Function::ALL.into_iter().find(|function| function.as_str().eq_ignore_ascii_case(name));
        let Some(function) = found else {
            let known = Function::ALL.map(Function::as_str);
            let help = match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", list(&known, "and")),
            };
            let message = format!("there is no function `{}`", brief(name));
            self.push(Diagnostic::error("unknown-function", name_span, message).help(help));
            return ExprKind::Null;
        };
        self.check_arguments(function, &args, span);
        if function.is_status() && !self.place.allows_status() {
            let message = format!("`{}()` cannot be called in {}", function.as_str(), self.place.as_str());
            self.push(
                Diagnostic::error("status-not-allowed", name_span, message)
                    .help("it can be called in `if` only"),
            );
        }
        ExprKind::Call(function, args)
    }

    fn check_arguments(&mut self, function: Function, args: &[Expr], span: Span) {
        let (least, most) = function.arity();
        if args.len() < least || args.len() > most {
            let wanted = match (least, most) {
                (0, _) => "no arguments".to_owned(),
                (1, 1) => "1 argument".to_owned(),
                (least, most) if least == most => format!("{least} arguments"),
                (least, Function::MANY) => {
                    format!("at least {least} argument{}", if least == 1 { "" } else { "s" })
                }
                (least, most) => format!("{least} to {most} arguments"),
            };
            let message = format!("`{}` takes {wanted}, not {}", function.as_str(), args.len());
            self.push(Diagnostic::error("argument-count", span, message));
        }
        if function == Function::HashFiles {
            for arg in args.iter().filter(|arg| !matches!(arg.kind, ExprKind::Text(_))) {
                let message = "`hashFiles` takes literal globs only, because files are hashed before anything has a value";
                self.push(
                    Diagnostic::error("computed-glob", arg.span, message)
                        .help("write the glob in single quotes"),
                );
            }
        }
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}

fn unknown_context(name: &str, span: Span) -> Diagnostic {
    if let Some(foreign) = FOREIGN_CONTEXTS.into_iter().find(|foreign| foreign.eq_ignore_ascii_case(name)) {
        let message = format!("`{foreign}` is a context of GitHub Actions that a manifest does not have");
        return Diagnostic::error("unknown-context", span, message)
            .help("pass its value to the command as an input");
    }
    let message = format!("there is no context `{}`", brief(name));
    let known = Context::ALL.map(Context::as_str);
    let help = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}; a text stands in single quotes", list(&known, "and")),
    };
    Diagnostic::error("unknown-context", span, message).help(help)
}

/// `a`, `a and b`, `a, b and c`.
fn list(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}
