//! Commands: what they declare, and their parts put together.

use std::collections::BTreeMap;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::expression::Place;
use crate::manifest::fields::table::{COMMAND, INPUT};
use crate::manifest::fields::words::{CONFIRM, INPUT_TYPES, InputType, PERMISSIONS, WITHHELD_SCOPES, value};
use crate::manifest::model::{Command, Concurrency, Input, InputKind, Permission, Spanned};
use crate::manifest::read::complaints::quoted;
use crate::manifest::read::graph::{self, Links};
use crate::manifest::read::reader::Reader;
use crate::manifest::read::view::View;
use crate::manifest::read::{phrase, references};
use crate::manifest::tree::{Entry, Node, NodeKind};

impl Reader<'_> {
    /// A command; absent when its id is none, which has been complained about.
    pub(super) fn command(&mut self, entry: &Entry) -> Option<Command> {
        let view = View::of(&entry.value, &COMMAND, entry.key_span);
        let inputs = self.inputs(view);
        let (steps, links): (Vec<_>, Vec<Links>) =
            view.list("steps").iter().enumerate().map(|(index, node)| self.step(node, index)).unzip();
        let graph = graph::check(&links, &mut self.out);
        let command = Command {
            // A broken id stands for itself only in complaints; nothing uses the command then.
            id: Spanned {
                value: entry.key.text.parse().or_else(|_| "command".parse()).ok()?,
                span: entry.key_span,
            },
            name: view.text("name"),
            description: view.text("description").unwrap_or_default(),
            phrases: view.texts("phrases"),
            examples: view.texts("examples"),
            not_examples: view.texts("not-examples"),
            confirm: view.spanned_word("confirm", &CONFIRM),
            inputs,
            env: self.env(view, Place::OuterEnv),
            secrets: self.secrets(view),
            permissions: self.permissions(view),
            timeout: view.minutes("timeout-minutes").unwrap_or_default(),
            concurrency: self.concurrency(view),
            max_parallel: view.integer("max-parallel"),
            fail_fast: view.flag("fail-fast"),
            sandbox: self.sandbox(view.object("sandbox")),
            steps,
            gates: self.gates(view, &graph),
            artifacts: self.artifacts(view),
            report: self.report(view.object("report")),
        };
        phrase::check(&command, &mut self.out);
        references::check(&command, &graph, &mut self.out);
        Some(command)
    }

    fn secrets(&mut self, view: View<'_>) -> Vec<Spanned<crate::id::EnvName>> {
        let secrets = view.variables("secrets");
        let mut seen = BTreeMap::new();
        for secret in &secrets {
            if let Some(first) = seen.insert(secret.value.as_str(), secret.span) {
                let message = format!("the secret `{}` is listed twice", secret.value);
                self.out.push(
                    Diagnostic::error("duplicate-value", secret.span, message).related(first, "first here"),
                );
            }
        }
        secrets
    }

    fn permissions(&mut self, view: View<'_>) -> Vec<(Spanned<String>, Permission)> {
        let mut permissions = Vec::new();
        for entry in view.map("permissions") {
            let Some(permission) = entry.value.scalar().and_then(|scalar| value(&PERMISSIONS, &scalar.text))
            else {
                continue;
            };
            let scope = entry.key.text.as_str();
            if permission != Permission::None && WITHHELD_SCOPES.contains(&scope) {
                let message =
                    format!("no step's token ever has `{scope}`: a script could rewrite its own verdict");
                let help = "the check run is written with a token of rungate's own; remove this line";
                let warning = Diagnostic::error("withheld-permission", entry.key_span, message);
                self.out.push(warning.help(help).as_warning());
            }
            permissions.push((Spanned { value: scope.to_owned(), span: entry.key_span }, permission));
        }
        permissions
    }

    fn concurrency(&mut self, view: View<'_>) -> Option<Concurrency> {
        let node = view.node("concurrency")?;
        if let NodeKind::Scalar(_) = node.kind {
            let group = self.template(node, Place::ConcurrencyGroup)?;
            return Some(Concurrency { group, cancel_in_progress: false });
        }
        let view = view.object("concurrency");
        Some(Concurrency {
            group: self.template(view.node("group")?, Place::ConcurrencyGroup)?,
            cancel_in_progress: view.flag("cancel-in-progress"),
        })
    }

    fn inputs(&mut self, view: View<'_>) -> Vec<Input> {
        let mut inputs = Vec::new();
        let mut variables: BTreeMap<String, &Entry> = BTreeMap::new();
        for entry in view.map("inputs") {
            let variable = entry.key.text.to_ascii_uppercase().replace('-', "_");
            if let Some(first) = variables.get(&variable) {
                let message = format!(
                    "the inputs {} and {} would both be `INPUT_{variable}`",
                    quoted(&first.key.text),
                    quoted(&entry.key.text)
                );
                let diagnostic = Diagnostic::error("duplicate-input", entry.key_span, message)
                    .help("rename one of them")
                    .related(first.key_span, "the other");
                self.out.push(diagnostic);
            }
            variables.entry(variable).or_insert(entry);
            inputs.extend(self.input(entry));
        }
        inputs
    }

    fn input(&mut self, entry: &Entry) -> Option<Input> {
        let view = View::of(&entry.value, &INPUT, entry.key_span);
        let input = Input {
            name: Spanned { value: entry.key.text.parse().ok()?, span: entry.key_span },
            description: view.text("description").unwrap_or_default(),
            required: view.flag("required"),
            default: view.spanned_text("default"),
            kind: self.input_kind(view),
            deprecation_message: view.text("deprecationMessage"),
            pattern: view.node("pattern").and_then(|node| self.pattern(node)),
            max_length: view.integer("max-length").unwrap_or(usize::MAX),
            min: view.number("min"),
            max: view.number("max"),
            multiline: view.flag("multiline"),
        };
        if let (Some(min), Some(max)) = (input.min, input.max)
            && min > max
        {
            let span = view.node("min").map_or(view.anchor, |node| node.span);
            self.complain("out-of-range", span, format!("`min` {min} is greater than `max` {max}"), None);
            return Some(input);
        }
        self.check_default(&input);
        Some(input)
    }

    fn input_kind(&mut self, view: View<'_>) -> InputKind {
        match view.word("type", &INPUT_TYPES) {
            Some(InputType::Choice) => InputKind::Choice(self.options(view.list("options"))),
            Some(InputType::Boolean) => InputKind::Boolean,
            Some(InputType::Number) => InputKind::Number,
            Some(InputType::Environment) => InputKind::Environment,
            Some(InputType::String) | None => InputKind::String,
        }
    }

    fn options(&mut self, nodes: &[Node]) -> Vec<String> {
        let mut options: BTreeMap<&str, &Node> = BTreeMap::new();
        let mut list = Vec::new();
        for node in nodes {
            let Some(scalar) = node.scalar() else { continue };
            if let Some(first) = options.insert(&scalar.text, node) {
                let message = format!("the option {} is listed twice", quoted(&scalar.text));
                self.out.push(
                    Diagnostic::error("duplicate-value", node.span, message)
                        .related(first.span, "first here"),
                );
            }
            list.push(scalar.text.clone());
        }
        list
    }

    fn check_default(&mut self, input: &Input) {
        // A choice without options has its complaint already.
        if matches!(&input.kind, InputKind::Choice(options) if options.is_empty()) {
            return;
        }
        let Some(default) = &input.default else { return };
        if let Err(rule) = input.check(&default.value) {
            let near = match &input.kind {
                InputKind::Choice(options) => {
                    self.out.nearest(&default.value, options.iter().map(String::as_str))
                }
                _ => None,
            };
            let help = near.map(|option| format!("write `{option}`"));
            let message = format!("the default of `{}` is not valid: {rule}", input.name.value);
            self.complain("invalid-default", default.span, message, help);
        }
    }
}
