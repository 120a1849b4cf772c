//! `rungate plan`: everything that a run would do.

mod explain;

use std::fmt::Write as _;

use serde_json::json;

use crate::app::failure::Failure;
use crate::app::load::Site;
use crate::cli::args::{Format, Plan as PlanArgs, Request};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::clock::readable;
use crate::environ::Environ;
use crate::plan::model::{Plan, PlannedStep, Program, Text};
use crate::request::RunRequest;
use crate::sandbox::spawn::Sandbox;

pub(super) fn plan(args: PlanArgs, environ: Environ, talk: Talk) -> Result<Exit, std::io::Error> {
    let request = match request(args.request, &environ) {
        Ok(request) => request,
        Err(failure) => return Ok(talk.failure(&failure)),
    };
    let considered =
        Site::new(args.place.workspace, args.place.manifest, environ, Sandbox::of_this_program())
            .and_then(|site| site.consider(&request).map(|considered| (site, considered)));
    let (site, considered) = match considered {
        Ok(considered) => considered,
        Err(failure) => return Ok(talk.failure(&failure)),
    };
    let verdict = args.explain.then(|| considered.verdict.clone());
    let made = site.admitted(&request, considered);
    match args.format {
        Format::Json => {
            let mut document = match &made {
                Ok(admitted) => serde_json::to_value(&admitted.plan)?,
                Err(_) => json!({}),
            };
            if let Some(verdict) = &verdict {
                document["policy"] = explain::json(verdict);
            }
            if made.is_ok() || verdict.is_some() {
                talk.json(&document)?;
            }
        }
        Format::Human => {
            if let Ok(admitted) = &made {
                talk.out(&for_people(&admitted.plan))?;
            }
            if let Some(verdict) = &verdict {
                let apart = if made.is_ok() { "\n" } else { "" };
                talk.out(&format!("{apart}{}", explain::for_people(verdict)))?;
            }
        }
    }
    Ok(made.map_or_else(|failure| talk.failure(&failure), |_| Exit::Passed))
}

/// The request that was typed.
///
/// # Errors
/// Fails when an input is no pair, and when the variable that is to hold inputs does not.
pub(super) fn request(typed: Request, environ: &Environ) -> Result<RunRequest, Failure> {
    let usage = |message: String, help: &str| Failure::Usage { message, help: Some(help.to_owned()) };
    let mut inputs = Vec::with_capacity(typed.inputs.len());
    for pair in typed.inputs {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => inputs.push((name.to_owned(), value.to_owned())),
            _ => {
                let message = format!("-i {:?} is not NAME=VALUE", brief(&pair));
                return Err(usage(message, "write -i NAME=VALUE; `rungate list` shows the names"));
            }
        }
    }
    let json_inputs = match &typed.inputs_json_env {
        None => None,
        Some(name) => match environ.os(name).map(std::ffi::OsStr::to_str) {
            Some(Some(text)) => Some(text.to_owned()),
            found => {
                let problem = if found.is_some() { "is not UTF-8" } else { "is not set" };
                let message = format!("the variable {name:?} of --inputs-json-env {problem}");
                return Err(usage(message, "put one JSON object into it, such as '{\"dry-run\": true}'"));
            }
        },
    };
    Ok(RunRequest {
        command: typed.command,
        inputs,
        json_inputs,
        sha: typed.sha,
        base: typed.base,
        changed_since: typed.changed_since,
    })
}

/// `text` cut to a length that a message may have.
fn brief(text: &str) -> String {
    let mut brief: String = text.chars().take(80).collect();
    if brief.len() < text.len() {
        brief.push('…');
    }
    brief
}

fn for_people(plan: &Plan) -> String {
    let mut text = format!("{} ({})\n", plan.name, plan.command);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    line("manifest", &format!("{} sha256 {}", plan.manifest.path, plan.manifest.sha256));
    line("fingerprint", &plan.fingerprint.to_string());
    if let Some(repository) = &plan.repository {
        line("repository", repository);
    }
    line("head", plan.sha.as_deref().unwrap_or("unknown"));
    if let Some(base) = &plan.base {
        line("base", base);
    }
    let parallel = if plan.max_parallel == 1 {
        "one step at a time".to_owned()
    } else {
        format!("{} steps at once", plan.max_parallel)
    };
    let fail_fast = if plan.fail_fast { ", stops at the first failure" } else { "" };
    line("limits", &format!("{} in all, {parallel}{fail_fast}", readable(plan.timeout)));
    if let Some(concurrency) = &plan.concurrency {
        let how = if concurrency.cancel_in_progress { "cancels" } else { "waits for" };
        line("concurrency", &format!("{how} a run of the group {:?}", concurrency.group));
    }
    for (name, value) in &plan.inputs {
        line("input", &format!("{name} = {value}"));
    }
    for name in &plan.secrets {
        line("secret", name.as_str());
    }
    for note in &plan.notes {
        line("note", note);
    }
    text.push_str("\nsteps\n");
    for step in &plan.steps {
        step_for_people(step, &mut text);
    }
    text.push_str("\ngates\n  steps: every step succeeded\n");
    for gate in &plan.gates {
        let level = gate.fail_on.map_or("none", crate::finding::Level::as_str);
        let _ = write!(text, "  {}: no finding of level {level} or worse in {}", gate.id, join(&gate.needs));
        for (level, most) in &gate.max {
            let _ = write!(text, ", at most {most} of level {}", level.as_str());
        }
        if !gate.require.is_empty() {
            let _ = write!(text, ", and {} must have succeeded", join(&gate.require));
        }
        text.push('\n');
    }
    text
}

fn step_for_people(step: &PlannedStep, text: &mut String) {
    let _ = write!(text, "  {}", step.key);
    if step.name != step.key.as_str() {
        let _ = write!(text, "  {}", step.name);
    }
    if step.nothing_changed {
        text.push_str("  (skipped: none of its files has changed)");
    }
    text.push('\n');
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "      {name:<8} {value}");
    };
    let what = match &step.program {
        Program::Run { text, .. } => {
            let first = text.lines().next().unwrap_or_default();
            let more = if text.lines().count() > 1 { " …" } else { "" };
            format!("{first}{more}")
        }
        Program::Script { path, sha256 } => format!("{path} sha256 {}", &sha256.to_string()[..12]),
    };
    line("run", format!("{} {what}", step.shell.as_str()));
    for arg in &step.args {
        line("arg", shown(&arg.text));
    }
    if !step.needs.is_empty() {
        line("after", join(&step.needs));
    }
    line("if", step.condition.text.clone());
    for (name, value) in &step.env {
        line("env", format!("{name}={}", shown(value)));
    }
    if step.working_directory.as_str() != "." {
        line("in", step.working_directory.to_string());
    }
    if let Some(files) = &step.files {
        line("files", files.len().to_string());
    }
    line("timeout", readable(step.timeout));
    if step.retry.attempts > 1 {
        line("attempts", step.retry.attempts.to_string());
    }
    if step.continue_on_error {
        line("failure", "does not count".to_owned());
    }
}

fn shown(text: &Text) -> String {
    match text {
        Text::Known(text) => format!("{text:?}"),
        Text::Later(template) => template.text.clone(),
    }
}

fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
