//! Tests of the plan: whole manifests in, plans or complaints out.

mod graph;
mod inputs;
mod make;
mod matrix;

use std::path::PathBuf;

use crate::id::Sha256;
use crate::manifest::diagnostic::{Diagnostic, Source, render};
use crate::manifest::model::Command;
use crate::manifest::read::{self, Parsed};
use crate::plan::facts::{Facts, FileFact, Interpreter, Questions};
use crate::plan::model::Plan;
use crate::plan::{make as making, questions};
use crate::request::RunRequest;

/// Reads a manifest that is valid.
fn read(text: &str) -> Parsed {
    read::manifest("rungate.yml", text.as_bytes())
        .unwrap_or_else(|invalid| panic!("{}", render(&invalid.source, &invalid.diagnostics, false)))
}

/// The only command of a manifest.
fn only(parsed: &Parsed) -> &Command {
    assert_eq!(parsed.manifest.commands.len(), 1);
    &parsed.manifest.commands[0]
}

/// A manifest whose command `c` is `body`, written without indentation.
fn command(body: &str) -> Parsed {
    let indented = body.lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat();
    read(&format!("version: 1\ncommands:\n  c:\n{indented}"))
}

/// Answers with which everything is well.
fn good(questions: &Questions) -> Facts {
    let found = |path: &crate::id::RepoPath| {
        let fact =
            FileFact::Found { sha256: Sha256::of(path.as_str().as_bytes()), text: None, tracked: Some(true) };
        (path.clone(), fact)
    };
    Facts {
        scripts: questions.scripts.iter().map(found).collect(),
        directories: questions.directories.iter().map(|path| (path.clone(), Ok(()))).collect(),
        shells: questions
            .shells
            .iter()
            .map(|shell| {
                let program = PathBuf::from("/bin").join(shell.as_str());
                (*shell, Ok(Interpreter { program, prefixes: Vec::new() }))
            })
            .collect(),
        reads: questions.reads.iter().map(|path| (path.clone(), Ok(Some(PathBuf::from(path))))).collect(),
        secrets: questions.secrets.clone(),
        files: Some(Ok(["a.py", "docs/x.md", "src/b.py"].map(str::to_owned).to_vec())),
        changed: Some(Ok(vec!["src/b.py".to_owned()])),
        hashes: questions.hashes.iter().map(|globs| (globs.clone(), Ok("d1".to_owned()))).collect(),
        head: Some(Ok("a".repeat(40))),
        base: questions.changed.then(|| Ok("b".repeat(40))),
        github: serde_json::json!({"ref_name": "main", "event": {"title": "--evil"}}),
        runner: serde_json::json!({"os": "Linux"}),
        cpus: 4,
        ..Facts::default()
    }
}

/// The plan of a command `c` that is `body`, where everything is well.
pub(crate) fn planned(body: &str) -> Plan {
    let parsed = command(body);
    let command = only(&parsed);
    let facts = good(&questions::questions(&parsed.manifest, command));
    making::plan(&parsed, command, &RunRequest::default(), &facts).unwrap()
}

/// Complaints as `line:column rule: message` lines, each with its help.
fn said(source: &Source, diagnostics: &[Diagnostic]) -> String {
    let line = |diagnostic: &Diagnostic| {
        let place = source.position(diagnostic.span.start);
        let help = diagnostic.help.as_ref().map(|help| format!(" [{help}]")).unwrap_or_default();
        format!("{place} {}: {}{help}\n", diagnostic.rule, diagnostic.message)
    };
    diagnostics.iter().map(line).collect()
}
