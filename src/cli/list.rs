//! `rungate list` and `rungate schema`: what there is.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::app::load::Site;
use crate::cli::args::{Format, List, Schema, SchemaName};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::manifest::model::{Command, Input, InputKind};
use crate::manifest::schema as manifest_schema;
use crate::policy::schema as policy_schema;
use crate::sandbox::spawn::Sandbox;

pub(super) fn list(args: List, environ: Environ, talk: Talk) -> Result<Exit, std::io::Error> {
    let read = Site::new(args.place.workspace, args.place.manifest, environ, Sandbox::of_this_program())
        .and_then(|site| site.read_manifest());
    let parsed = match read {
        Ok(parsed) => parsed,
        Err(failure) => return Ok(talk.failure(&failure)),
    };
    let commands = &parsed.manifest.commands;
    match args.format {
        Format::Json => {
            let listed: Vec<Value> = commands.iter().map(command_json).collect();
            talk.json(&json!({"name": parsed.manifest.name, "commands": listed}))?;
        }
        Format::Human => {
            let heading = parsed.manifest.name.as_ref().map(|name| format!("{name}\n\n"));
            talk.out(&heading.into_iter().chain(commands.iter().map(command_text)).collect::<String>())?;
        }
    }
    Ok(Exit::Passed)
}

fn command_text(command: &Command) -> String {
    let mut text = command.id.value.to_string();
    if let Some(name) = &command.name {
        let _ = write!(text, "  {name}");
    }
    text.push('\n');
    for line in command.description.lines() {
        let _ = writeln!(text, "    {line}");
    }
    for phrase in &command.phrases {
        let _ = writeln!(text, "    says \"{}\"", phrase.value);
    }
    for input in &command.inputs {
        let _ = write!(text, "    -i {}=<{}>", input.name.value, kind_text(&input.kind));
        if let Some(default) = &input.default {
            let _ = write!(text, "  default {:?}", default.value);
        } else if input.required {
            text.push_str("  required");
        }
        if !input.description.is_empty() {
            let _ = write!(text, "  {}", input.description);
        }
        text.push('\n');
    }
    text
}

fn kind_text(kind: &InputKind) -> String {
    match kind {
        InputKind::String => "text".to_owned(),
        InputKind::Boolean => "true|false".to_owned(),
        InputKind::Number => "number".to_owned(),
        InputKind::Choice(options) => options.join("|"),
        InputKind::Environment => "environment".to_owned(),
    }
}

fn command_json(command: &Command) -> Value {
    json!({
        "id": command.id.value,
        "name": command.name,
        "description": command.description,
        "phrases": command.phrases.iter().map(|phrase| &phrase.value).collect::<Vec<_>>(),
        "inputs": command.inputs.iter().map(input_json).collect::<Vec<_>>(),
        "steps": command.steps.iter().map(|step| &step.id.value).collect::<Vec<_>>(),
    })
}

fn input_json(input: &Input) -> Value {
    let (kind, options) = match &input.kind {
        InputKind::String => ("string", None),
        InputKind::Boolean => ("boolean", None),
        InputKind::Number => ("number", None),
        InputKind::Choice(options) => ("choice", Some(options)),
        InputKind::Environment => ("environment", None),
    };
    json!({
        "name": input.name.value,
        "type": kind,
        "options": options,
        "required": input.required,
        "default": input.default.as_ref().map(|default| &default.value),
        "description": input.description,
        "pattern": input.pattern.as_ref().map(|pattern| &pattern.text),
    })
}

pub(super) fn schema(args: &Schema, talk: Talk) -> Result<Exit, std::io::Error> {
    match args.name {
        SchemaName::Manifest => talk.json(&manifest_schema::json())?,
        SchemaName::Policy => talk.json(&policy_schema::json())?,
    }
    Ok(Exit::Passed)
}
