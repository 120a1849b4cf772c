//! Writing baselines: what a run has found becomes what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use crate::app::failure::{Failure, host};
use crate::app::load::{Site, find_command};
use crate::finding::Finding;
use crate::finding::baseline::{Baseline, Entry};
use crate::id::{RepoPath, StepId};
use crate::manifest::model::{Command, Gate};
use crate::record::Record;
use crate::report::record_folder;
use crate::workspace::files::Beneath;
use crate::workspace::{self, writable};

/// A baseline that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    /// The file.
    pub path: RepoPath,
    /// Findings in it.
    pub entries: usize,
    /// Those that were not in it before.
    pub added: usize,
    /// Those that were in it before and are not any more.
    pub gone: usize,
}

/// Writes every baseline that the gates of `command` name, from the findings of the run whose record is in `from`.
///
/// # Errors
/// Fails when the manifest, the command or the record is not usable, when no gate names a baseline, and when a file cannot
/// be written.
pub fn update(site: &Site, command: &str, from: &Path) -> Result<Vec<Updated>, Failure> {
    let parsed = site.read_manifest()?;
    let command = find_command(&parsed, command)?;
    let mut gates: BTreeMap<&RepoPath, Vec<&Gate>> = BTreeMap::new();
    for gate in &command.gates {
        if let Some(path) = &gate.baseline {
            gates.entry(&path.value).or_default().push(gate);
        }
    }
    if gates.is_empty() {
        return Err(Failure::Usage {
            message: format!("no gate of {} has a baseline", command.id.value),
            help: Some("give a gate `baseline: PATH`, the file that is to be written".to_owned()),
        });
    }
    let record = record(from, command)?;
    gates
        .into_iter()
        .map(|(path, gates)| {
            let entries = entries(from, &record, &gates)?;
            write(&site.workspace, path, &Baseline::of(entries))
        })
        .collect()
}

/// The record in `from`, when it can stand for a whole run of `command`.
fn record(from: &Path, command: &Command) -> Result<Record, Failure> {
    let usage = |message: String, help: &str| Failure::Usage { message, help: Some(help.to_owned()) };
    let record = record_folder::read(from).map_err(|error| {
        usage(
            format!("{} is not the record of a run: {error}", from.display()),
            "name the folder that `rungate run` printed after `record:`",
        )
    })?;
    if record.command != command.id.value {
        let message = format!("the record is of {}, not of {}", record.command, command.id.value);
        return Err(usage(message, "name a record of the same command"));
    }
    if record.is_partial() {
        let message = "the run or one of its steps was stopped: it has not seen everything".to_owned();
        return Err(usage(message, "take the record of a run whose steps came to their ends"));
    }
    Ok(record)
}

/// What the run has found that `gates` look at.
fn entries(from: &Path, record: &Record, gates: &[&Gate]) -> Result<Vec<Entry>, Failure> {
    let wanted = |id: &StepId| {
        gates.iter().any(|gate| gate.needs.is_empty() || gate.needs.iter().any(|need| need.value == *id))
    };
    let keys: BTreeSet<&str> =
        record.steps.iter().filter(|step| wanted(&step.id)).map(|step| step.key.as_str()).collect();
    let path = from.join("findings.jsonl");
    let trouble = |error: &dyn std::fmt::Display| {
        host(format!("{} cannot be read: {error}", path.display()), "take the record of another run")
    };
    let file = File::open(&path).map_err(|error| trouble(&error))?;
    let mut entries = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|error| trouble(&error))?;
        let finding: Finding = serde_json::from_str(&line).map_err(|error| trouble(&error))?;
        let by_others = finding.also.iter().any(|reporter| keys.contains(reporter.step.as_str()));
        if keys.contains(finding.step.as_str()) || by_others {
            entries.push(Entry::from(&finding));
        }
    }
    Ok(entries)
}

/// Writes `baseline` to `path` beneath `workspace`, all at once.
fn write(workspace: &Path, path: &RepoPath, baseline: &Baseline) -> Result<Updated, Failure> {
    let trouble = |error: &dyn std::fmt::Display| {
        let remedy = "check who may write its folder, and that no part of its path is a symbolic link";
        host(format!("the baseline {path} cannot be written: {error}"), remedy)
    };
    let (folder, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
    // A link in the repository must not lead out of it, and nothing is made behind one.
    let folder = writable::provide(workspace, Path::new(folder)).map_err(|problem| trouble(&problem))?;
    let before = workspace::baseline(&Beneath::open(workspace), path).unwrap_or_default();
    let fingerprints = |baseline: &Baseline| -> BTreeSet<String> {
        baseline.entries().iter().map(|entry| entry.fingerprint.clone()).collect()
    };
    let (old, new) = (fingerprints(&before), fingerprints(baseline));
    let save = || -> std::io::Result<()> {
        let mut out = BufWriter::new(tempfile::NamedTempFile::new_in(&folder)?);
        baseline.write(&mut out)?;
        out.flush()?;
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        // It takes the place of whatever is there, a link included, and follows none.
        file.persist(folder.join(name)).map(drop).map_err(|error| error.error)
    };
    save().map_err(|error| trouble(&error))?;
    Ok(Updated {
        path: path.clone(),
        entries: new.len(),
        added: new.difference(&old).count(),
        gone: old.difference(&new).count(),
    })
}
