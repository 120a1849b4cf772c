//! The record of a run on disk: events and findings while they come, everything else when the run is over.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::event::RunEvent;
use crate::finding::test::Test;
use crate::finding::{Finding, Reporter};
use crate::manifest::model::SummarySection;
use crate::plan::model::Plan;
use crate::record::artifact::ArtifactRecord;
use crate::record::delivery::Delivery;
use crate::record::{Record, SCHEMA};
use crate::redact::Registry;
use crate::redact::writer::Writer;
use crate::report::kept::Kept;
use crate::report::{html, junit, sarif, summary};

/// A record that is being written.
///
/// `record.json` comes last and all at once: where it stands, the run was over and the rest is there.
#[derive(Debug)]
pub struct RecordFolder {
    folder: PathBuf,
    /// Where source lines come from.
    workspace: PathBuf,
    registry: Registry,
    sections: Vec<SummarySection>,
    events: Lines,
    findings: Lines,
    /// Absent until something is accepted.
    suppressed: Option<Lines>,
    /// Who else reported a finding, by its fingerprint.
    again: HashMap<String, Vec<Reporter>>,
    /// Tests worth showing, by the key of their step.
    tests: Vec<(String, Vec<Test>)>,
    rules: sarif::Rules,
    kept: Kept,
    /// The record that was written, as soon as there is one.
    record: Option<Box<Record>>,
    error: Option<io::Error>,
}

impl RecordFolder {
    /// Begins the record of a run of `plan` in `workspace`. `folder` exists and is empty.
    ///
    /// # Errors
    /// Fails when a file cannot be created there.
    pub fn create(folder: &Path, workspace: &Path, registry: &Registry, plan: &Plan) -> io::Result<Self> {
        let sections = plan.report.summary.clone();
        Ok(Self { workspace: workspace.to_owned(), ..Self::with_sections(folder, registry, sections)? })
    }

    fn with_sections(folder: &Path, registry: &Registry, sections: Vec<SummarySection>) -> io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            workspace: PathBuf::new(),
            tests: Vec::new(),
            registry: registry.clone(),
            sections,
            events: Lines::create(&folder.join("events.jsonl"), registry)?,
            findings: Lines::create(&folder.join(FINDINGS), registry)?,
            suppressed: None,
            again: HashMap::new(),
            rules: sarif::Rules::default(),
            kept: Kept::default(),
            record: None,
            error: None,
        })
    }

    /// Writes down `event`. The first error is kept until [`RecordFolder::finish`]: a full disk must not stop a run.
    pub fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::StepOutput { .. } | RunEvent::Uploading { .. } => return,
            RunEvent::Tests { key, tests } => return self.tests.push((key.to_string(), tests.clone())),
            _ => {}
        }
        self.events.write(event);
        match event {
            RunEvent::Finding { finding } => {
                self.rules.add(finding);
                self.kept.add(finding);
                self.findings.write(finding);
            }
            RunEvent::FindingAgain { fingerprint, by } => {
                let known = self.again.entry(fingerprint.clone()).or_default();
                if known.len() < MAX_ALSO && !known.contains(by) {
                    known.push(by.clone());
                }
            }
            RunEvent::FindingSuppressed { finding, reason } => {
                self.suppress(&Suppressed { reason, finding });
            }
            RunEvent::RunFinished { record } => {
                self.close(record);
                self.record = Some(record.clone());
            }
            RunEvent::Uploaded { artifacts } => self.uploaded(artifacts),
            RunEvent::Delivered { delivery } => self.delivered(delivery),
            // What is slow to come should be on disk soon; findings come by the thousand and follow one of these.
            _ => {
                self.events.flush();
                self.findings.flush();
            }
        }
    }

    /// Ends the record.
    ///
    /// # Errors
    /// The first error since the begin. What could be written is there all the same.
    pub fn finish(mut self) -> io::Result<()> {
        self.end_lines();
        self.error.map_or(Ok(()), Err)
    }

    fn end_lines(&mut self) {
        let suppressed = self.suppressed.as_mut().map_or(Ok(()), Lines::end);
        let ended = self.findings.end().and(suppressed).and(self.events.end());
        self.note(ended);
    }

    fn suppress(&mut self, line: &Suppressed<'_>) {
        let path = self.folder.join("suppressed.jsonl");
        let lines = match &mut self.suppressed {
            Some(lines) => Ok(lines),
            none => Lines::create(&path, &self.registry).map(|lines| none.insert(lines)),
        };
        match lines {
            Ok(lines) => lines.write(line),
            Err(error) => self.note(Err(error)),
        }
    }

    /// Adds to the findings who else reported them.
    fn add_reporters(&self) -> io::Result<()> {
        if self.again.is_empty() {
            return Ok(());
        }
        self.replace(FINDINGS, |out| {
            for finding in findings(&self.folder.join(FINDINGS))? {
                let mut finding = finding?;
                if let Some(reporters) = self.again.get(&finding.fingerprint) {
                    finding.also.clone_from(reporters);
                }
                serde_json::to_writer(&mut *out, &finding)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    fn note(&mut self, result: io::Result<()>) {
        self.error = self.error.take().or(result.err());
    }

    fn close(&mut self, record: &Record) {
        self.end_lines();
        let reports = [
            self.add_reporters(),
            self.replace("findings.sarif", |out| {
                let path = self.folder.join(FINDINGS);
                sarif::write(out, &self.rules, Some(record), || findings(&path))
            }),
            self.replace("junit.xml", |out| junit::write(out, record, &self.kept, &self.registry)),
            self.pages(record),
            self.write_record(record),
        ];
        for result in reports {
            self.note(result);
        }
    }

    fn write_record(&self, record: &Record) -> io::Result<()> {
        rewrite(&self.folder, &self.registry, record)
    }

    /// What people read.
    fn pages(&self, record: &Record) -> io::Result<()> {
        self.replace("summary.md", |out| {
            let page = summary::of(record, &self.kept, &self.sections, &self.registry);
            out.write_all(summary::with_own(page, &self.own_summaries(record)).as_bytes())
        })?;
        self.replace("report.html", |out| {
            let content = html::Content { record, tests: &self.tests, workspace: &self.workspace };
            let page = html::of(&content, findings(&self.folder.join(FINDINGS))?)?;
            out.write_all(page.as_bytes())
        })
    }

    /// Adds to the record, and to what people read, what became of its artifacts.
    fn uploaded(&mut self, artifacts: &[ArtifactRecord]) {
        if let Some(mut record) = self.record.take() {
            record.artifacts = artifacts.to_vec();
            let written = self.write_record(&record).and_then(|()| self.pages(&record));
            self.note(written);
            self.record = Some(record);
        }
    }

    /// Adds to the record what became of its delivery.
    fn delivered(&mut self, delivery: &Delivery) {
        if let Some(mut record) = self.record.take() {
            record.delivery = delivery.clone();
            let written = self.write_record(&record);
            self.note(written);
            self.record = Some(record);
        }
    }

    /// What steps wrote to their own summaries, which `run` has kept beside their logs.
    fn own_summaries(&self, record: &Record) -> Vec<(String, String)> {
        let (mut own, mut room) = (Vec::new(), summary::MAX_BYTES);
        for step in &record.steps {
            let path = self.folder.join("steps").join(&step.folder).join("summary.md");
            // Most steps write none; what there is has at most a mebibyte.
            let Ok(markdown) = std::fs::read_to_string(path) else { continue };
            room = room.saturating_sub(markdown.len());
            own.push((step.key.to_string(), markdown));
            if room == 0 {
                break;
            }
        }
        own
    }

    fn replace(&self, name: &str, write: impl FnOnce(&mut Sink) -> io::Result<()>) -> io::Result<()> {
        replace(&self.folder, &self.registry, name, write)
    }
}

/// The record in `folder`.
///
/// # Errors
/// Fails when it cannot be read, or is of another form than this program writes.
pub fn read(folder: &Path) -> io::Result<Record> {
    let record: Record = serde_json::from_slice(&std::fs::read(folder.join(RECORD))?)?;
    if record.schema == SCHEMA {
        Ok(record)
    } else {
        Err(io::Error::other(format!("it is of the form {:?}", record.schema)))
    }
}

/// Writes `record` in place of the one in `folder`.
///
/// # Errors
/// Fails when it cannot be written; the old one is then still there.
pub fn rewrite(folder: &Path, registry: &Registry, record: &Record) -> io::Result<()> {
    replace(folder, registry, RECORD, |out| {
        let mut text = serde_json::to_vec_pretty(record)?;
        text.push(b'\n');
        out.write_all(&text)
    })
}

/// Writes a file beside its place and moves it there when it is whole, so that nobody ever reads half of it.
fn replace(
    folder: &Path,
    registry: &Registry,
    name: &str,
    write: impl FnOnce(&mut Sink) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = tempfile::Builder::new().prefix(".").suffix(name).tempfile_in(folder)?;
    let (file, path) = temporary.into_parts();
    let mut sink = Writer::new(registry, BufWriter::new(file));
    write(&mut sink)?;
    let file = sink.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    // Temporary files are private; a record is read by whoever may read its folder.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.set_permissions(mode)?;
    if name == RECORD {
        // The verdict is to outlast a power cut. The rest can be made again from it and the lines beside it, and
        // is not worth the wait.
        file.sync_data()?;
    }
    path.persist(folder.join(name)).map_err(|error| error.error)
}

/// The file of the findings that count.
const FINDINGS: &str = "findings.jsonl";

/// Most further reporters of one finding that are named.
const MAX_ALSO: usize = 16;

/// A line of the findings that are accepted.
#[derive(Serialize)]
struct Suppressed<'a> {
    reason: &'a str,
    finding: &'a Finding,
}

/// The file that says how a run ended. Where it is, everything else is.
const RECORD: &str = "record.json";

type Sink = Writer<BufWriter<File>>;

/// A file of JSON lines that grows. After an error nothing more is written, so that no line follows half a one.
#[derive(Debug)]
struct Lines {
    sink: Option<Sink>,
    error: Option<io::Error>,
}

impl Lines {
    fn create(path: &Path, registry: &Registry) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(path)?;
        Ok(Self { sink: Some(Writer::new(registry, BufWriter::new(file))), error: None })
    }

    fn write(&mut self, value: &impl Serialize) {
        self.with(|sink| {
            let mut line = serde_json::to_vec(value)?;
            line.push(b'\n');
            sink.write_all(&line)
        });
    }

    fn flush(&mut self) {
        self.with(Write::flush);
    }

    fn with(&mut self, act: impl FnOnce(&mut Sink) -> io::Result<()>) {
        if let Some(sink) = &mut self.sink
            && let Err(error) = act(sink)
        {
            self.error = Some(error);
            self.sink = None;
        }
    }

    /// Writes the rest. Ending twice is no error.
    fn end(&mut self) -> io::Result<()> {
        if let Some(sink) = self.sink.take() {
            sink.finish()?;
        }
        self.error.take().map_or(Ok(()), Err)
    }
}

/// The findings of a file of JSON lines, one at a time.
fn findings(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Finding>>> {
    let mut lines = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    Ok(std::iter::from_fn(move || {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_slice(&line).map_err(io::Error::from)),
            Err(error) => Some(Err(error)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::clock::Timestamp;
    use crate::finding::{Level, Location};
    use crate::report::{sample, sarif::tests::complaints};

    fn run(
        folder: &Path,
        registry: &Registry,
        findings: impl IntoIterator<Item = Finding>,
    ) -> io::Result<()> {
        let record = sample::record();
        let mut writing = RecordFolder::with_sections(folder, registry, sample::SECTIONS.to_vec())?;
        let key = record.steps[0].key.clone();
        let at = Timestamp::from_unix_seconds(1_700_000_000);
        writing.event(&RunEvent::StepStarted { key: key.clone(), at, attempt: 1 });
        writing.event(&RunEvent::StepOutput { key, bytes: Arc::from(b"said\n".as_slice()) });
        for finding in findings {
            writing.event(&RunEvent::Finding { finding: Box::new(finding) });
        }
        writing.event(&RunEvent::RunFinished { record: Box::new(record) });
        writing.finish()
    }

    fn text(folder: &Path, name: &str) -> String {
        std::fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn a_record_is_whole_and_nothing_else_lies_about() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &Registry::new(), sample::findings()).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        let expected = [
            "events.jsonl",
            "findings.jsonl",
            "findings.sarif",
            "junit.xml",
            "record.json",
            "report.html",
            "summary.md",
        ];
        assert_eq!(names, expected);
        let record: serde_json::Value = serde_json::from_str(&text(folder.path(), "record.json")).unwrap();
        assert_eq!(record["schema"], "rungate.record/1");
        let events = text(folder.path(), "events.jsonl");
        assert_eq!(events.lines().count(), 5);
        assert!(!events.contains("said"));
        let read: Vec<Finding> =
            findings(&folder.path().join("findings.jsonl")).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, sample::findings());
        assert_eq!(complaints(&text(folder.path(), "findings.sarif")), [""; 0]);
    }

    #[test]
    fn a_line_of_the_findings_has_the_public_fields() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &Registry::new(), sample::findings().into_iter().take(1)).unwrap();
        insta::assert_snapshot!(text(folder.path(), "findings.jsonl"), @r#"{"tool":"schema","rule":null,"level":"warning","message":"odd name","path":"data/orders.csv","start_line":9,"end_line":null,"start_column":2,"end_column":null,"title":null,"fingerprint":"","step":"schema"}"#);
    }

    #[test]
    fn hostile_words_break_no_file_and_a_secret_is_in_none() {
        let registry = Registry::new();
        let secret = "hunter2/\"& <ä>\nline two of it";
        let _ = registry.add(secret);
        let hostile =
            format!("{secret}\u{1b}]0;t\u{7}##[error]\r\n::error::x\0\u{202e}{}", "ab ".repeat(350_000));
        let place =
            Location { path: Some(hostile[..90].to_owned()), start_line: Some(1), ..Location::default() };
        let mut finding = Finding::new(secret, Level::Failure, hostile.clone()).at(place);
        finding.rule = Some(secret.into());
        finding.title = Some(hostile);
        finding.step = "schema".into();
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &registry, [finding]).unwrap();
        assert_eq!(complaints(&text(folder.path(), "findings.sarif")), [""; 0]);
        let summary = text(folder.path(), "summary.md");
        assert!(summary.len() < 20_000 && !summary.contains("##[") && !summary.contains("\n::"));
        for name in
            ["events.jsonl", "findings.jsonl", "findings.sarif", "junit.xml", "summary.md", "record.json"]
        {
            let text = text(folder.path(), name);
            assert!(!text.contains("hunter2") && !text.contains("line two"), "{name}");
            assert!(!text.contains('\u{1b}') && !text.contains('\0'), "{name}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_leaves_no_half_record() {
        // A limit on the size of files would hit the whole test process, so a folder that takes no file stands in.
        let folder = tempfile::tempdir().unwrap();
        let mut writing = RecordFolder::with_sections(folder.path(), &Registry::new(), Vec::new()).unwrap();
        writing.findings.sink = Some(Writer::new(&Registry::new(), BufWriter::with_capacity(1, full())));
        let finding = sample::findings().remove(0);
        writing.event(&RunEvent::Finding { finding: Box::new(finding) });
        std::fs::remove_dir_all(folder.path()).unwrap();
        writing.event(&RunEvent::RunFinished { record: Box::new(sample::record()) });
        let error = writing.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// The device that is always full.
    fn full() -> File {
        File::options().write(true).open("/dev/full").unwrap()
    }

    #[test]
    fn a_folder_that_holds_a_record_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &Registry::new(), []).unwrap();
        let error = run(folder.path(), &Registry::new(), []).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
}
