//! The files by which a GitHub Actions step hands on outputs and a summary: ours, never a script's.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::environ::Environ;
use crate::event::RunEvent;
use crate::id::random_token;
use crate::record::Record;
use crate::record::artifact::{ArtifactRecord, ArtifactState, LISTS};
use crate::record::delivery::Delivery;
use crate::redact::Registry;

/// Most bytes of the file that names subjects.
const MAX_SUBJECTS: usize = 1 << 20;

/// Outputs and summary of the step that called us, where it has any.
#[derive(Debug)]
pub struct Actions {
    folder: PathBuf,
    registry: Registry,
    output: Option<PathBuf>,
    summary: Option<PathBuf>,
    /// Where subjects of attestations are named, by runners that have that.
    subjects: Option<PathBuf>,
    /// Whether the summary waits for what becomes of artifacts.
    owes_summary: bool,
    error: Option<io::Error>,
}

impl Actions {
    pub(super) fn new(folder: &Path, registry: &Registry, environ: &Environ) -> Self {
        Self {
            folder: folder.to_owned(),
            registry: registry.clone(),
            output: environ.path("GITHUB_OUTPUT"),
            summary: environ.path("GITHUB_STEP_SUMMARY"),
            subjects: environ.path("GITHUB_ARTIFACTS"),
            owes_summary: false,
            error: None,
        }
    }

    pub(super) fn event(&mut self, event: &RunEvent) {
        if let RunEvent::RunFinished { record } = event {
            // What becomes of artifacts belongs on the page, and is known later.
            self.owes_summary = record.artifacts.iter().any(ArtifactRecord::is_owed);
            let written = self.outputs(record);
            let written = if self.owes_summary { written } else { written.and_then(|()| self.summary()) };
            self.error = self.error.take().or(written.err());
        }
        if let RunEvent::Uploaded { artifacts } = event {
            let written = self.artifacts(artifacts).and_then(|()| self.late_summary());
            self.error = self.error.take().or(written.err());
        }
        if let RunEvent::Delivered { delivery } = event {
            let written = self.delivered(delivery);
            self.error = self.error.take().or(written.err());
        }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        let written = self.late_summary();
        self.error.take().map_or(written, Err)
    }

    fn late_summary(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.owes_summary) { self.summary() } else { Ok(()) }
    }

    /// Tells later steps of the job which artifacts there are, and where.
    fn artifacts(&self, artifacts: &[ArtifactRecord]) -> io::Result<()> {
        let kept: Vec<&ArtifactRecord> =
            artifacts.iter().filter(|artifact| artifact.state == ArtifactState::Kept).collect();
        self.subjects(&kept)?;
        let Some(path) = &self.output else { return Ok(()) };
        let lines = |tell: &dyn Fn(&ArtifactRecord) -> Option<String>| {
            kept.iter().map(|artifact| tell(artifact).unwrap_or_default()).collect::<Vec<_>>().join("\n")
        };
        let place = |artifact: &ArtifactRecord| {
            // The step that reads this takes it for a glob.
            self.folder.join(artifact.staged()).display().to_string().replace('[', "[[]")
        };
        let pairs = [
            ("artifact-name", one_name(&kept)),
            ("artifact-names", lines(&|artifact| Some(artifact.name.clone()))),
            ("artifact-path", lines(&|artifact| Some(place(artifact)))),
            ("artifact-id", lines(&|artifact| artifact.delivery.id.clone())),
            ("artifact-url", lines(&|artifact| artifact.delivery.url.clone())),
            ("artifact-digest", lines(&|artifact| artifact.sha256.map(|sha256| sha256.to_string()))),
            ("artifact-count", kept.len().to_string()),
        ];
        let mut text = String::new();
        for (name, value) in pairs {
            text.push_str(&entry(name, &self.registry.text(&value), &random_token())?);
        }
        append(path, text.as_bytes())
    }

    /// Names what may be attested, where the runner asks for that: the lists of files, which hold every digest.
    fn subjects(&self, kept: &[&ArtifactRecord]) -> io::Result<()> {
        let Some(path) = &self.subjects else { return Ok(()) };
        let mut text = String::new();
        for artifact in kept {
            let list = LISTS
                .iter()
                .map(|name| self.folder.join(artifact.folder()).join(name))
                .rfind(|path| path.is_file());
            let line = list.map(|list| list.display().to_string()).unwrap_or_default();
            // The runner refuses the whole file because of one such line.
            if !line.is_empty() && !line.contains(['=', '\n']) && text.len() + line.len() < MAX_SUBJECTS {
                text.push_str(&self.registry.text(&line));
                text.push('\n');
            }
        }
        append(path, text.as_bytes())
    }

    fn outputs(&self, record: &Record) -> io::Result<()> {
        let Some(path) = &self.output else { return Ok(()) };
        let pairs = [
            ("conclusion", record.conclusion.as_str().to_owned()),
            ("run-id", record.run_id.to_string()),
            ("run-record", self.folder.display().to_string()),
            ("failure-count", record.counts.failure.to_string()),
            ("warning-count", record.counts.warning.to_string()),
            ("notice-count", record.counts.notice.to_string()),
        ];
        let mut text = String::new();
        for (name, value) in pairs {
            text.push_str(&entry(name, &self.registry.text(&value), &random_token())?);
        }
        append(path, text.as_bytes())
    }

    fn delivered(&self, delivery: &Delivery) -> io::Result<()> {
        let Some(path) = &self.output else { return Ok(()) };
        let id = delivery.check_run_id.map(|id| id.to_string());
        let mut text = String::new();
        for (name, value) in [("check-run-id", id), ("check-run-url", delivery.html_url.clone())] {
            if let Some(value) = value {
                text.push_str(&entry(name, &self.registry.text(&value), &random_token())?);
            }
        }
        append(path, text.as_bytes())
    }

    fn summary(&self) -> io::Result<()> {
        let Some(path) = &self.summary else { return Ok(()) };
        // Written by the record a moment ago, and cut to fit.
        let text = std::fs::read(self.folder.join("summary.md"))?;
        append(path, &text)
    }
}

/// Appends how this program ends, by its table of exit codes, to the outputs of the step that called it. Where nothing was
/// judged this is the only output.
///
/// # Errors
/// Fails when the file takes no more.
pub fn exit_code(environ: &Environ, code: u8) -> io::Result<()> {
    let Some(path) = environ.path("GITHUB_OUTPUT") else { return Ok(()) };
    append(&path, entry("exit-code", &code.to_string(), &random_token())?.as_bytes())
}

/// The one name under which a later step may upload everything that was kept.
fn one_name(kept: &[&ArtifactRecord]) -> String {
    match kept {
        [] => String::new(),
        [only] => only.name.clone(),
        _ => "rungate-artifacts".to_owned(),
    }
}

/// One output in the form that no value can break out of: its end is a word that nobody could guess.
fn entry(name: &str, value: &str, token: &str) -> io::Result<String> {
    let delimiter = format!("ghadelimiter_{token}");
    if value.contains(&delimiter) {
        return Err(io::Error::other(format!("the output {name} holds its own delimiter")));
    }
    Ok(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_lines_stays_one_output() {
        insta::assert_snapshot!(entry("x", "a\nconclusion=success\n", "0").unwrap(), @r"
        x<<ghadelimiter_0
        a
        conclusion=success

        ghadelimiter_0
        ");
        assert!(entry("x", "ghadelimiter_0", "0").is_err());
    }
}
