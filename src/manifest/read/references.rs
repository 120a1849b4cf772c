//! What expressions name: whether there is such an input, dimension, step or secret.

use std::collections::BTreeSet;

use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::expression::{Context, Expr, ExprKind, Key, Template};
use crate::manifest::model::{Command, From, Manifest, MatrixValue, MatrixValues, Spanned, Step, Strategy};
use crate::manifest::read::complaints::{Complaints, quoted};
use crate::manifest::read::graph::Graph;

/// What can be named at a place.
struct Names<'a> {
    inputs: BTreeSet<String>,
    secrets: BTreeSet<&'a str>,
    /// Dimensions of the step's matrix; absent where there is no matrix.
    matrix: Option<BTreeSet<String>>,
    /// Absent outside commands.
    graph: Option<&'a Graph>,
    /// The step's place among the command's; absent outside steps.
    step: Option<usize>,
    /// The step's needs as the author wrote them, for help.
    needs: Vec<&'a str>,
}

/// Checks every expression of a command.
pub(super) fn check(command: &Command, graph: &Graph, out: &mut Complaints) {
    let mut names = Names {
        inputs: command.inputs.iter().map(|input| input.name.value.as_str().to_ascii_lowercase()).collect(),
        secrets: command.secrets.iter().map(|secret| secret.value.as_str()).collect(),
        matrix: None,
        graph: Some(graph),
        step: None,
        needs: Vec::new(),
    };
    let env = command.env.iter().map(|entry| &entry.value);
    let artifacts =
        command.artifacts.iter().flat_map(|artifact| std::iter::once(&artifact.name).chain(&artifact.path));
    let group = command.concurrency.iter().map(|concurrency| &concurrency.group);
    for template in env.chain(artifacts).chain(group).chain(&command.report.check_name) {
        names.check_template(template, out);
    }
    for (index, step) in command.steps.iter().enumerate() {
        names.step = Some(index);
        names.matrix = step.strategy.as_ref().map(dimensions);
        names.needs = step.needs.iter().flatten().map(|need| need.value.as_str()).collect();
        names.check_step(step, out);
    }
}

/// Checks the expressions that stand outside commands: what they name must be declared by at least one command, because
/// nothing else says whose they are.
pub(super) fn check_outside(manifest: &Manifest, out: &mut Complaints) {
    let inputs = manifest.commands.iter().flat_map(|command| &command.inputs);
    let names = Names {
        inputs: inputs.map(|input| input.name.value.as_str().to_ascii_lowercase()).collect(),
        secrets: BTreeSet::new(),
        matrix: None,
        graph: None,
        step: None,
        needs: Vec::new(),
    };
    for entry in &manifest.env {
        names.check_template(&entry.value, out);
    }
}

/// The dimensions of a matrix and what its legs add, as expressions find them.
fn dimensions(strategy: &Strategy) -> BTreeSet<String> {
    let own = strategy.matrix.iter().map(|(name, _)| name.value.as_str());
    let added = strategy.include.iter().flatten().map(|(name, _)| name.as_str());
    own.chain(added).map(str::to_ascii_lowercase).collect()
}

/// Every template of a step.
fn templates(step: &Step) -> impl Iterator<Item = &Template> {
    let env = step.env.iter().map(|entry| &entry.value);
    let files = step.files.iter().flat_map(|files| &files.globs);
    let from = step.findings.iter().filter_map(|source| match &source.from {
        From::Files(template) => Some(template),
        From::Stdout | From::Stderr | From::Both => None,
    });
    let strategy = step.strategy.iter();
    let matrix =
        strategy.clone().flat_map(|strategy| &strategy.matrix).flat_map(|(_, values)| match values {
            MatrixValues::Expr(template) => vec![template],
            MatrixValues::List(values) => values.iter().filter_map(text).collect(),
        });
    let legs = strategy
        .flat_map(|strategy| strategy.include.iter().chain(&strategy.exclude))
        .flatten()
        .filter_map(|(_, value)| text(value));
    step.name.iter().chain(&step.args).chain(env).chain(files).chain(from).chain(matrix).chain(legs)
}

const fn text(value: &MatrixValue) -> Option<&Template> {
    match value {
        MatrixValue::Text(template) => Some(template),
        MatrixValue::Number(_) | MatrixValue::Bool(_) => None,
    }
}

impl Names<'_> {
    fn check_step(&self, step: &Step, out: &mut Complaints) {
        for template in templates(step) {
            self.check_template(template, out);
        }
        if let Some(condition) = &step.condition {
            self.check_expr(&condition.expr, out);
        }
    }

    fn check_template(&self, template: &Template, out: &mut Complaints) {
        for expr in template.exprs() {
            self.check_expr(expr, out);
        }
    }

    fn check_expr(&self, expr: &Expr, out: &mut Complaints) {
        expr.walk(&mut |part| {
            if let ExprKind::Access(base, key) = &part.kind
                && let ExprKind::Context(context) = base.kind
                && let Some(name) = literal(key)
            {
                self.check_name(context, name, part.span, out);
            }
        });
    }

    fn check_name(&self, context: Context, name: &str, span: Span, out: &mut Complaints) {
        match context {
            Context::Inputs => {
                let known = &self.inputs;
                if !known.contains(&name.to_ascii_lowercase()) {
                    let message = format!("there is no input {}", quoted(name));
                    unknown("unknown-input", span, message, name, known.iter().map(String::as_str), out);
                }
            }
            Context::Matrix => match &self.matrix {
                None => out.error("unknown-dimension", span, "this step has no matrix".to_owned()),
                Some(known) if !known.contains(&name.to_ascii_lowercase()) => {
                    let message = format!("the matrix of this step has no {}", quoted(name));
                    unknown("unknown-dimension", span, message, name, known.iter().map(String::as_str), out);
                }
                Some(_) => {}
            },
            Context::Secrets if !self.secrets.contains(name) => {
                let message = format!("this command does not declare the secret {}", quoted(name));
                let near = out.nearest(name, self.secrets.iter().copied());
                let help = near.map_or_else(
                    || format!("add {} to the command's `secrets`", quoted(name)),
                    |near| format!("write `secrets.{near}`"),
                );
                out.push(Diagnostic::error("unknown-secret", span, message).help(help));
            }
            Context::Steps => self.check_step_name(name, span, out),
            Context::Secrets | Context::Env | Context::Github | Context::Runner => {}
        }
    }

    fn check_step_name(&self, name: &str, span: Span, out: &mut Complaints) {
        let Some(graph) = self.graph else { return };
        let Some(earlier) = graph.find(name) else {
            graph.unknown(&Spanned { value: name.to_owned(), span }, out);
            return;
        };
        let Some(step) = self.step else { return };
        if earlier == step {
            out.error("not-needed", span, "a step cannot read how it ended itself".to_owned());
        } else if !graph.ends_before(earlier, step) {
            let mut needs: Vec<&str> = self.needs.iter().take(8).copied().collect();
            needs.push(name);
            let message =
                format!("this step does not wait for {}, so that there may be nothing to read", quoted(name));
            let help = if self.needs.len() > 8 {
                format!("add {} to `needs`", quoted(name))
            } else {
                format!("write `needs: [{}]`", needs.join(", "))
            };
            out.push(Diagnostic::error("not-needed", span, message).help(help));
        }
    }
}

/// The name that a key gives, when it is known before the expression has a value.
fn literal(key: &Key) -> Option<&str> {
    match key {
        Key::Name(name) => Some(name),
        Key::Index(index) => match &index.kind {
            ExprKind::Text(name) => Some(name),
            _ => None,
        },
        Key::Star => None,
    }
}

fn unknown<'w>(
    rule: &'static str,
    span: Span,
    message: String,
    name: &str,
    known: impl IntoIterator<Item = &'w str>,
    out: &mut Complaints,
) {
    let mut diagnostic = Diagnostic::error(rule, span, message);
    diagnostic.help = out.nearest(name, known).map(|near| format!("write `{near}`"));
    out.push(diagnostic);
}
