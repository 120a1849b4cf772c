//! What a plan of one command will want to know.

use crate::manifest::expression::{Expr, ExprKind, Function, Template};
use crate::manifest::model::{Body, Command, FilterMode, From, Manifest, Shell, Step};
use crate::plan::facts::Questions;

/// Everything that [`crate::plan::make::plan`] will ask of its facts for `command`.
#[must_use]
pub fn questions(manifest: &Manifest, command: &Command) -> Questions {
    let mut questions = Questions::default();
    for step in &command.steps {
        if let Body::Script(path) = &step.body {
            questions.scripts.insert(path.value.clone());
        }
        questions.shells.insert(shell(manifest, step));
        let directory = step.working_directory.as_ref().unwrap_or(&manifest.defaults.working_directory);
        questions.directories.insert(directory.value.clone());
        questions.matchers.extend(
            step.findings.iter().filter_map(|source| source.matcher.as_ref().map(|path| path.value.clone())),
        );
        let patterns = step.findings.iter().flat_map(|source| &source.errorformat);
        questions.patterns.extend(patterns.map(|pattern| pattern.value.clone()));
        if let Some(files) = &step.files {
            questions.files |= !files.changed_only;
            questions.changed |= files.changed_only;
        }
    }
    questions.baselines.extend(
        command.gates.iter().filter_map(|gate| gate.baseline.as_ref().map(|path| path.value.clone())),
    );
    let mut modes =
        command.gates.iter().map(|gate| gate.filter_mode.value).chain([command.report.filter_mode.value]);
    questions.diff = modes.any(|mode| mode != FilterMode::Nofilter);
    let sandboxes =
        command.steps.iter().map(|step| &step.sandbox).chain([&manifest.sandbox, &command.sandbox]);
    let reads = sandboxes.filter_map(|sandbox| sandbox.read.as_ref()).flatten();
    questions.reads.extend(reads.map(|path| path.value.clone()));
    questions.secrets.extend(command.secrets.iter().map(|secret| secret.value.clone()));
    for expr in expressions(manifest, command) {
        expr.walk(&mut |expr| {
            if let ExprKind::Call(Function::HashFiles, args) = &expr.kind {
                questions.hashes.insert(args.iter().filter_map(literal).collect());
            }
        });
    }
    questions
}

fn literal(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// What runs a step: what it says, else what its script's extension says, else the default.
#[must_use]
pub fn shell(manifest: &Manifest, step: &Step) -> Shell {
    if let Some(shell) = &step.shell {
        return shell.value;
    }
    let extension = match &step.body {
        Body::Script(path) => path.value.as_str().rsplit_once('.').map(|(_, extension)| extension.to_owned()),
        Body::Run(_) => None,
    };
    match extension.as_deref() {
        Some("sh" | "bash") => Shell::Bash,
        Some("ps1") => Shell::Pwsh,
        Some("py") => Shell::Python,
        _ => manifest.defaults.shell,
    }
}

/// Every expression that the plan, or the run after it, evaluates for `command`.
fn expressions<'a>(manifest: &'a Manifest, command: &'a Command) -> Vec<&'a Expr> {
    let mut templates: Vec<&Template> = Vec::new();
    templates.extend(manifest.env.iter().chain(&command.env).map(|entry| &entry.value));
    templates.extend(command.concurrency.iter().map(|concurrency| &concurrency.group));
    templates.extend(command.report.check_name.iter());
    let artifacts = command.artifacts.iter();
    templates.extend(artifacts.flat_map(|artifact| std::iter::once(&artifact.name).chain(&artifact.path)));
    let mut exprs = Vec::new();
    for step in &command.steps {
        templates.extend(step.name.iter());
        templates.extend(&step.args);
        templates.extend(step.env.iter().map(|entry| &entry.value));
        templates.extend(step.files.iter().flat_map(|files| &files.globs));
        templates.extend(step.findings.iter().filter_map(|source| match &source.from {
            From::Files(template) => Some(template),
            From::Stdout | From::Stderr | From::Both => None,
        }));
        exprs.extend(step.condition.iter().map(|condition| &condition.expr));
    }
    exprs.extend(templates.into_iter().flat_map(Template::exprs));
    exprs
}
