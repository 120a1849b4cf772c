//! From a manifest, a request and facts to a plan. Pure, and complete: whatever is wrong is said at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::id::{EnvName, GateId, RepoPath, Sha256, StepId};
use crate::manifest::diagnostic::{Diagnostic, nearest};
use crate::manifest::model::{Annotate, Command, FilterMode, Gate, Manifest, Spanned};
use crate::manifest::read::Parsed;
use crate::plan::facts::Facts;
use crate::plan::inputs::{self, InputError};
use crate::plan::model::{
    ConcurrencyPlan, Contexts, Plan, PlannedBaseline, PlannedGate, PlannedStep, PlannedSuppression,
    ReportPlan, SCHEMA,
};
use crate::plan::sources::Shared;
use crate::plan::{fingerprint, first_line, steps};
use crate::record::ManifestRef;
use crate::request::RunRequest;

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanError {
    /// The manifest does not fit what is in the workspace or was asked for.
    Manifest(Vec<Diagnostic>),
    /// The inputs are wrong.
    Inputs(Vec<InputError>),
    /// Something else in the request is wrong.
    Usage {
        /// What.
        message: String,
        /// What to do.
        help: String,
    },
    /// The host lacks something.
    Host(Vec<HostProblem>),
}

/// Something that the host lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProblem {
    /// What.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// A command that is not in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCommand {
    /// What was asked for.
    pub name: String,
    /// The nearest command that there is.
    pub nearest: Option<String>,
    /// All that there are.
    pub known: Vec<String>,
}

/// The command called `name`.
///
/// # Errors
/// Names the commands that there are.
pub fn command<'a>(manifest: &'a Manifest, name: &str) -> Result<&'a Command, UnknownCommand> {
    let known = || manifest.commands.iter().map(|command| command.id.value.as_str());
    manifest.commands.iter().find(|command| command.id.value.as_str() == name).ok_or_else(|| UnknownCommand {
        name: name.chars().take(80).collect(),
        nearest: nearest(name, known()).map(str::to_owned),
        known: known().map(str::to_owned).collect(),
    })
}

/// Everything that a part of the plan is made from.
pub(super) struct Making<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) command: &'a Command,
    pub(super) facts: &'a Facts,
    pub(super) contexts: Contexts,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) host: Vec<HostProblem>,
    pub(super) shared: Shared,
}

/// Makes the plan of `command`.
///
/// # Errors
/// Everything that stands against it, of the first kind that there is: inputs, manifest, request, host.
pub fn plan(
    parsed: &Parsed,
    command: &Command,
    request: &RunRequest,
    facts: &Facts,
) -> Result<Plan, PlanError> {
    let resolved = inputs::resolve(command, request).map_err(PlanError::Inputs)?;
    let mut making = Making {
        manifest: &parsed.manifest,
        command,
        facts,
        contexts: contexts(&resolved.values, facts),
        problems: Vec::new(),
        host: Vec::new(),
        shared: Shared::default(),
    };
    making.check_secrets();
    making.check_hashes();
    let steps = steps::plan(&mut making);
    let concurrency = making.concurrency();
    let artifacts = making.artifacts();
    let name = command.name.clone().unwrap_or_else(|| command.id.value.to_string());
    let check_name = match &command.report.check_name {
        Some(template) => making.now(template, &BTreeMap::new()).unwrap_or_default(),
        None => name.clone(),
    };
    if let (true, Some(template)) = (check_name.trim().is_empty(), &command.report.check_name) {
        making.complain("check-name", template.span, "the check run would have no name".to_owned());
    }
    if !making.problems.is_empty() {
        return Err(PlanError::Manifest(making.problems));
    }
    let head = facts.head.clone().transpose().map_err(|message| PlanError::Usage {
        message,
        help: "name a commit by its full id, or one that is in this clone".to_owned(),
    })?;
    let base = base(facts, command, request)?;
    if !making.host.is_empty() {
        return Err(PlanError::Host(making.host));
    }
    let ids = steps.iter().map(|step| step.id.clone()).fold(Vec::new(), |mut ids: Vec<StepId>, id| {
        if !ids.contains(&id) {
            ids.push(id);
        }
        ids
    });
    let mut notes = notes(head.as_deref(), facts);
    notes.extend(resolved.notes);
    notes.extend(first_line::notes(&steps, &facts.first_lines));
    let mut plan = Plan {
        schema: SCHEMA,
        fingerprint: Sha256::of(b""),
        command: command.id.value.clone(),
        name,
        check_name,
        manifest: ManifestRef { path: parsed.source.path.clone(), sha256: parsed.sha256 },
        repository: facts.repository.clone(),
        sha: head,
        base,
        notes,
        inputs: resolved.values,
        secrets: used_secrets(&steps),
        timeout: command.timeout,
        fail_fast: command.fail_fast,
        max_parallel: command.max_parallel.unwrap_or(facts.cpus).max(1),
        concurrency,
        gates: gates(&command.gates, &ids, facts),
        suppressions: suppressions(parsed, &facts.today),
        artifacts,
        diff: facts.diff.clone().map(Arc::new),
        report: report(command),
        steps: Vec::new(),
        contexts: making.contexts,
    };
    plan.fingerprint = fingerprint::of(&plan, &steps, command.max_parallel);
    plan.steps = steps;
    Ok(plan)
}

/// How the run is to be told.
fn report(command: &Command) -> ReportPlan {
    let report = &command.report;
    ReportPlan {
        summary: report.summary.clone(),
        max_annotations: match report.annotate {
            Some(Annotate::None | Annotate::WorkflowCommands) => 0,
            Some(Annotate::CheckRun) | None => report.max_annotations,
        },
        progress: report.progress,
        fallback: report.fallback.clone(),
        check_runs: report.check_runs.value,
        filter: report.filter_mode.value,
        sarif_upload: report.sarif_upload.value,
    }
}

/// What expressions can see before anything runs.
fn contexts(inputs: &BTreeMap<String, Value>, facts: &Facts) -> Contexts {
    // A digest that is missing is complained about once, and not again by every expression that asks for it.
    let hashes =
        facts.hashes.iter().map(|(globs, digest)| (globs.clone(), digest.clone().unwrap_or_default()));
    Contexts {
        inputs: Value::Object(inputs.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
        github: facts.github.clone(),
        runner: facts.runner.clone(),
        hashes: hashes.collect(),
    }
}

/// The base commit, when something asks for it.
fn base(facts: &Facts, command: &Command, request: &RunRequest) -> Result<Option<String>, PlanError> {
    let asked = request.changed_since.is_some()
        || command.steps.iter().any(|step| step.files.as_ref().is_some_and(|files| files.changed_only));
    let refuse = |message: &str| {
        let help = if request.base.is_some() || request.changed_since.is_some() {
            "name a commit of this clone, or check out the whole history (fetch-depth: 0)"
        } else {
            "check out the whole history (fetch-depth: 0), or name the base with --base"
        };
        PlanError::Usage {
            message: format!("it is not known what has changed: {message}"),
            help: help.to_owned(),
        }
    };
    match (&facts.changed, &facts.base) {
        (Some(Err(problem)), _) if asked => Err(refuse(problem)),
        (None, _) if asked => Err(refuse("nobody looked")),
        (_, Some(Err(problem))) => Err(refuse(problem)),
        (_, Some(Ok(base))) => Ok(Some(base.clone())),
        (_, None) => Ok(None),
    }
}

fn notes(head: Option<&str>, facts: &Facts) -> Vec<String> {
    let mut notes = facts.notes.clone();
    if let (Some(head), Some(tree)) = (head, &facts.working_tree) {
        notes.push(format!(
            "the working tree is at {tree}, not at the head commit {head} that the run is for"
        ));
    }
    notes
}

/// Names of the secrets that steps name, once each.
fn used_secrets(steps: &[PlannedStep]) -> Vec<EnvName> {
    let mut used: Vec<EnvName> = steps.iter().flat_map(steps::secrets).collect();
    used.sort_unstable();
    used.dedup();
    used
}

fn gates(written: &[Gate], all: &[StepId], facts: &Facts) -> Vec<PlannedGate> {
    if written.is_empty() {
        return findings_gate(all).into_iter().collect();
    }
    let ids = |list: &[Spanned<StepId>]| list.iter().map(|id| id.value.clone()).collect::<Vec<_>>();
    let planned = written.iter().map(|gate| PlannedGate {
        id: gate.id.value.clone(),
        name: gate.name.clone().unwrap_or_else(|| gate.id.value.to_string()),
        needs: if gate.needs.is_empty() { all.to_vec() } else { ids(&gate.needs) },
        fail_on: gate.fail_on,
        max: gate.max.clone(),
        filter: gate.filter_mode.value,
        baseline: gate.baseline.as_ref().map(|path| baseline(&path.value, facts)),
        tests: gate.tests.as_ref().map(|tests| tests.value),
        require: ids(&gate.require),
        message: gate.message.clone(),
    });
    planned.collect()
}

/// The gate of a command that declares none.
fn findings_gate(all: &[StepId]) -> Option<PlannedGate> {
    let id: GateId = "findings".parse().ok()?;
    Some(PlannedGate {
        name: id.to_string(),
        id,
        needs: all.to_vec(),
        fail_on: Some(crate::finding::Level::Failure),
        max: BTreeMap::new(),
        filter: FilterMode::Nofilter,
        baseline: None,
        tests: None,
        require: Vec::new(),
        message: None,
    })
}

fn baseline(path: &RepoPath, facts: &Facts) -> PlannedBaseline {
    let known = facts.baselines.get(path).cloned().unwrap_or_else(|| Err("nobody looked".to_owned()));
    PlannedBaseline { path: path.clone(), known: Arc::new(known) }
}

/// What is accepted, and whether it still is on the day `today`. Days are written so that they sort as texts.
fn suppressions(parsed: &Parsed, today: &str) -> Vec<PlannedSuppression> {
    let planned = parsed.manifest.suppressions.iter().map(|written| PlannedSuppression {
        rule: written.rule.clone(),
        path: written.path.clone(),
        message: written.message.clone(),
        reason: written.reason.clone(),
        owner: written.owner.clone(),
        expires: written.expires.clone(),
        expired: written.expires.as_deref().is_some_and(|last| last < today),
        line: u32::try_from(parsed.source.position(written.span.start).line).ok(),
    });
    planned.collect()
}

impl Making<'_> {
    fn check_secrets(&mut self) {
        for secret in &self.command.secrets {
            if !self.facts.secrets.contains(&secret.value) {
                let message = format!("the secret {} has no value", secret.value);
                let help = format!("set the environment variable {} where rungate is called", secret.value);
                self.problems.push(Diagnostic::error("secret-absent", secret.span, message).help(help));
            }
        }
    }

    /// Digests that are missing would read as "no file matches".
    fn check_hashes(&mut self) {
        for (globs, digest) in &self.facts.hashes {
            if let Err(problem) = digest {
                let message = format!("hashFiles({}) has no value: {problem}", globs.join(", "));
                self.complain("hash-files", self.command.id.span, message);
            }
        }
    }

    fn concurrency(&mut self) -> Option<ConcurrencyPlan> {
        let concurrency = self.command.concurrency.as_ref()?;
        let group = self.now(&concurrency.group, &BTreeMap::new())?;
        if group.is_empty() || group.len() > 400 {
            let message = "the concurrency group is empty or longer than 400 bytes".to_owned();
            self.complain("concurrency", concurrency.group.span, message);
        }
        Some(ConcurrencyPlan { group, cancel_in_progress: concurrency.cancel_in_progress })
    }
}
