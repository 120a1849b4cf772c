//! Steps of a command, expanded to what is executed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::id::{EnvName, RepoPath, Sha256, StepId, StepKey};
use crate::manifest::expression::{Context, ExprKind, Key};
use crate::manifest::model::{Body, SandboxSettings, Shell, Step};
use crate::plan::facts::{FileFact, Interpreter, PathProblem};
use crate::plan::make::Making;
use crate::plan::matrix::{self, Leg};
use crate::plan::model::{PlannedCondition, PlannedStep, Program, Text};
use crate::plan::{confine, graph, questions};

/// Most executions of steps in one run: four full matrices. What a run keeps for each pair of them stays small.
const MAX_EXECUTIONS: usize = 1024;

/// Variables of the caller that every script may see. HOME and TMPDIR are made for each step.
const PASSED: [&str; 49] = [
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "CI",
    "GITHUB_ACTION",
    "GITHUB_ACTIONS",
    "GITHUB_ACTOR",
    "GITHUB_ACTOR_ID",
    "GITHUB_API_URL",
    "GITHUB_BASE_REF",
    "GITHUB_EVENT_NAME",
    "GITHUB_GRAPHQL_URL",
    "GITHUB_HEAD_REF",
    "GITHUB_JOB",
    "GITHUB_REF",
    "GITHUB_REF_NAME",
    "GITHUB_REF_PROTECTED",
    "GITHUB_REF_TYPE",
    "GITHUB_REPOSITORY",
    "GITHUB_REPOSITORY_ID",
    "GITHUB_REPOSITORY_OWNER",
    "GITHUB_REPOSITORY_OWNER_ID",
    "GITHUB_RETENTION_DAYS",
    "GITHUB_RUN_ATTEMPT",
    "GITHUB_RUN_ID",
    "GITHUB_RUN_NUMBER",
    "GITHUB_SERVER_URL",
    "GITHUB_SHA",
    "GITHUB_TRIGGERING_ACTOR",
    "GITHUB_WORKFLOW",
    "GITHUB_WORKFLOW_REF",
    "GITHUB_WORKFLOW_SHA",
    "RUNNER_ARCH",
    "RUNNER_DEBUG",
    "RUNNER_ENVIRONMENT",
    "RUNNER_NAME",
    "RUNNER_OS",
    "RUNNER_TOOL_CACHE",
    "AGENT_TOOLSDIRECTORY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
];

/// All executions of the command's steps, each after what it needs.
pub(super) fn plan(making: &mut Making<'_>) -> Vec<PlannedStep> {
    let command = making.command;
    let needs = graph::needs(&command.steps);
    let mut planned = Vec::new();
    for index in graph::order(&command.steps, &needs) {
        let step = &command.steps[index];
        let legs = legs(making, step);
        if planned.len() + legs.len() > MAX_EXECUTIONS {
            let message =
                format!("with this step there would be more than {MAX_EXECUTIONS} executions in one run");
            making.complain("too-many-steps", step.span, message);
            break;
        }
        for (label, matrix) in legs {
            let key = match label {
                None => StepKey::plain(&step.id.value),
                Some(label) => StepKey::leg(&step.id.value, &label),
            };
            planned.extend(one(making, step, &needs[index], key, matrix));
        }
    }
    planned
}

type Matrix = BTreeMap<String, Value>;

/// The legs of a step, with their labels; one without either where there is no matrix; none where the matrix has a
/// problem.
fn legs(making: &mut Making<'_>, step: &Step) -> Vec<(Option<String>, Matrix)> {
    let Some(strategy) = &step.strategy else { return vec![(None, Matrix::new())] };
    match matrix::expand(strategy, &making.scope(&Matrix::new())) {
        Ok(legs) => {
            let contexts = legs.iter().map(Leg::context);
            matrix::labels(&legs).into_iter().map(Some).zip(contexts).collect()
        }
        Err(problems) => {
            making.problems.extend(problems);
            Vec::new()
        }
    }
}

/// One execution of `step`. Nothing where it cannot be planned; each reason has been noted.
fn one(
    making: &mut Making<'_>,
    step: &Step,
    needs: &[StepId],
    key: StepKey,
    matrix: Matrix,
) -> Option<PlannedStep> {
    let (manifest, command) = (making.manifest, making.command);
    let shell = questions::shell(manifest, step);
    let interpreter = interpreter(making, step, shell);
    let working_directory = working_directory(making, step);
    let files = making.files(step, &matrix);
    let timeout = step.timeout.unwrap_or(manifest.defaults.timeout);
    let levels = [&manifest.sandbox, &command.sandbox, &step.sandbox];
    let (mut sandbox, further) = confine::settle(&levels, timeout);
    sandbox.readable = readable(making, &levels);
    let env = manifest.env.iter().chain(&command.env).chain(&step.env);
    let env = env.filter_map(|entry| making.variable(entry, &matrix)).collect();
    let args = step.args.iter().filter_map(|arg| making.argument(arg, &matrix)).collect();
    let findings = step.findings.iter().filter_map(|source| making.source(source, &matrix)).collect();
    // What can make the whole step impossible comes last, so that nothing else about it is left unsaid.
    let name = match &step.name {
        Some(template) => making.now(template, &matrix),
        None => Some(step.id.value.to_string()),
    };
    let program = program(making, step)?;
    Some(PlannedStep {
        key,
        id: step.id.value.clone(),
        name: name?,
        matrix,
        max_parallel: step.strategy.as_ref().and_then(|strategy| strategy.max_parallel),
        leg_fail_fast: step.strategy.as_ref().is_some_and(|strategy| strategy.fail_fast),
        needs: needs.to_vec(),
        condition: condition(step),
        shell,
        interpreter: interpreter.program,
        interpreter_prefixes: interpreter.prefixes,
        program,
        args,
        env,
        pass: passed(further),
        working_directory,
        timeout,
        slow_after: step.slow_after.unwrap_or(timeout / 2),
        continue_on_error: step.continue_on_error,
        retry: step.retry.clone(),
        nothing_changed: step.files.as_ref().is_some_and(|filter| filter.changed_only)
            && files.as_ref().is_some_and(|files| files.is_empty()),
        files,
        findings,
        sandbox,
    })
}

fn passed(further: Vec<EnvName>) -> Vec<EnvName> {
    PASSED.iter().filter_map(|name| name.parse().ok()).chain(further).collect()
}

fn condition(step: &Step) -> PlannedCondition {
    match &step.condition {
        None => PlannedCondition { expr: None, and_success: true, text: "success()".to_owned() },
        Some(condition) => {
            let mut asks_status = false;
            condition.expr.walk(&mut |expr| {
                asks_status |= matches!(&expr.kind, ExprKind::Call(function, _) if function.is_status());
            });
            PlannedCondition {
                expr: Some(condition.expr.clone()),
                and_success: !asks_status,
                text: condition.text.clone(),
            }
        }
    }
}

fn program(making: &mut Making<'_>, step: &Step) -> Option<Program> {
    let path = match &step.body {
        Body::Run(text) => {
            return Some(Program::Run {
                sha256: Sha256::of(text.value.as_bytes()),
                text: text.value.clone(),
            });
        }
        Body::Script(path) => path,
    };
    let (message, help) = match making.facts.scripts.get(&path.value) {
        Some(FileFact::Found { tracked: Some(false), .. }) => {
            let help = Some(format!("git add {}", path.value));
            (format!("the script {} is not tracked by git", path.value), help)
        }
        Some(FileFact::Found { sha256, tracked: Some(true) | None, .. }) => {
            return Some(Program::Script { path: path.value.clone(), sha256: *sha256 });
        }
        Some(FileFact::Problem(problem)) => {
            let help = matches!(problem, PathProblem::Missing).then(|| {
                "write its path from the repository's root, whatever `working-directory` is".to_owned()
            });
            (format!("the script {} {problem}", path.value), help)
        }
        None => (format!("nothing is known about the script {}", path.value), None),
    };
    making.complain_with("script", path.span, message, help);
    None
}

fn working_directory(making: &mut Making<'_>, step: &Step) -> RepoPath {
    let directory = step.working_directory.as_ref().unwrap_or(&making.manifest.defaults.working_directory);
    if let Some(Err(problem)) = making.facts.directories.get(&directory.value) {
        let message = format!("the working directory {} {problem}", directory.value);
        making.complain("working-directory", directory.span, message);
    }
    directory.value.clone()
}

/// What may be read beside what every step sees.
fn readable(making: &mut Making<'_>, levels: &[&SandboxSettings]) -> Vec<PathBuf> {
    let read = levels.iter().rev().find_map(|level| level.read.as_ref());
    let mut found = Vec::new();
    for path in read.into_iter().flatten() {
        match making.facts.reads.get(&path.value) {
            Some(Ok(path)) => found.extend(path.clone()),
            Some(Err(problem)) => {
                let message = format!("`read` cannot show {}: it {problem}", path.value);
                making.complain("read", path.span, message);
            }
            None => making.complain("read", path.span, format!("nothing is known about {}", path.value)),
        }
    }
    found
}

fn interpreter(making: &mut Making<'_>, step: &Step, shell: Shell) -> Interpreter {
    match making.facts.shells.get(&shell) {
        Some(Ok(interpreter)) => return interpreter.clone(),
        Some(Err(missing)) => {
            let what = format!("{}, and the step {} needs it", missing.what, step.id.value);
            making.lacks(what, &missing.remedy);
        }
        None => making.lacks(format!("nothing is known about the shell {}", shell.as_str()), "this is a bug"),
    }
    Interpreter { program: PathBuf::new(), prefixes: Vec::new() }
}

/// Names of the secrets that a planned step's environment uses.
pub(super) fn secrets(step: &PlannedStep) -> Vec<EnvName> {
    let mut used = Vec::new();
    for (_, text) in &step.env {
        let Text::Later(template) = text else { continue };
        for expr in template.exprs() {
            expr.walk(&mut |expr| {
                if let ExprKind::Access(base, Key::Name(name)) = &expr.kind
                    && base.kind == ExprKind::Context(Context::Secrets)
                {
                    used.extend(name.parse::<EnvName>());
                }
            });
        }
    }
    used
}
