//! Texts of a step: what of them is known already, and what has to wait for the run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::id::EnvName;
use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::expression::{Part, Template};
use crate::manifest::model::EnvEntry;
use crate::plan::evaluate::{self, Scope};
use crate::plan::make::{HostProblem, Making};
use crate::plan::model::{PlannedArg, Text};

static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();
static NO_STEPS: Value = Value::Null;

impl Making<'_> {
    pub(super) fn complain(&mut self, rule: &'static str, span: Span, message: String) {
        self.complain_with(rule, span, message, None);
    }

    pub(super) fn complain_with(
        &mut self,
        rule: &'static str,
        span: Span,
        message: String,
        help: Option<String>,
    ) {
        let problem = Diagnostic { help, ..Diagnostic::error(rule, span, message) };
        // Legs of one matrix have the same problem at the same place.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn lacks(&mut self, what: String, remedy: &str) {
        let problem = HostProblem { what, remedy: remedy.to_owned() };
        if !self.host.contains(&problem) {
            self.host.push(problem);
        }
    }

    /// What an expression can see before anything runs.
    pub(super) fn scope<'s>(&'s self, matrix: &'s BTreeMap<String, Value>) -> Scope<'s> {
        Scope {
            contexts: &self.contexts,
            matrix,
            env: &NO_VARIABLES,
            steps: &NO_STEPS,
            secrets: &NO_VARIABLES,
            status: None,
        }
    }

    /// The value of `template`, which sees nothing that comes with the run. Nothing, and a complaint, where it has none.
    pub(super) fn now(&mut self, template: &Template, matrix: &BTreeMap<String, Value>) -> Option<String> {
        match self.text(template, matrix)? {
            Text::Known(text) => Some(text),
            Text::Later(template) => {
                let message = "this value is needed before the run, and depends on it".to_owned();
                self.complain("expression", template.span, message);
                None
            }
        }
    }

    /// `template` with everything that is known already; as it is when it depends on the run.
    pub(super) fn text(&mut self, template: &Template, matrix: &BTreeMap<String, Value>) -> Option<Text> {
        if !template.exprs().all(evaluate::is_static) {
            return Some(Text::Later(template.clone()));
        }
        match evaluate::template(template, &self.scope(matrix)) {
            Ok(text) if text.contains('\0') => {
                self.complain("expression", template.span, "the value holds a NUL character".to_owned());
                None
            }
            Ok(text) => Some(Text::Known(text)),
            Err(error) => {
                self.complain("expression", error.span, error.message);
                None
            }
        }
    }

    pub(super) fn variable(
        &mut self,
        entry: &EnvEntry,
        matrix: &BTreeMap<String, Value>,
    ) -> Option<(EnvName, Text)> {
        let text = self.text(&entry.value, matrix)?;
        Some((entry.name.value.clone(), text))
    }

    pub(super) fn argument(
        &mut self,
        template: &Template,
        matrix: &BTreeMap<String, Value>,
    ) -> Option<PlannedArg> {
        let text = self.text(template, matrix)?;
        let refuse_dash = value_could_be_an_option(template);
        match &text {
            Text::Known(value) if refuse_dash && value.starts_with('-') => {
                let shown: String = value.chars().take(60).collect();
                let message = format!("this argument would be {shown:?}, which a program reads as an option");
                let help = "write the option before the value, as in `--name=${{ … }}`, or give the input a `pattern` \
                            that excludes a leading `-`";
                self.complain_with("argument-is-option", template.span, message, Some(help.to_owned()));
                None
            }
            _ => Some(PlannedArg { text, refuse_dash }),
        }
    }
}

/// Whether a substituted value decides which option an argument is, should it begin with `-`.
///
/// It does where nothing but dashes stands before it: in `--level=${{ … }}` the author chose the option, in
/// `--${{ … }}` somebody else does. What an input's pattern excludes never comes here.
fn value_could_be_an_option(template: &Template) -> bool {
    let literal: String = template
        .parts
        .iter()
        .map_while(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Expr(_) => None,
        })
        .collect();
    template.exprs().next().is_some() && literal.bytes().all(|byte| byte == b'-')
}
