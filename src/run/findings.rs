//! A step's findings on their way from a parser to an event: spooled while an attempt may still be repeated, and given
//! their fingerprints when they count.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::event::RunEvent;
use crate::finding::{Counts, Finding, Fingerprints, Level, Reporter};
use crate::gate::tally::{Fate, Tally};
use crate::parse::ignore;
use crate::plan::model::{Plan, PlannedStep};
use crate::redact::Registry;
use crate::run::test_table::Table;
use crate::workspace::sources::Sources;

/// Most findings of one step that are kept; those beyond are counted. A script that prints findings without end must
/// not fill the disk.
const MOST: u64 = 1_000_000;

/// Longest text of a finding that is kept, in bytes. A mebibyte is a report, not a message.
const LONGEST: usize = 256 << 10;

/// Findings of one attempt, in a temporary file without a name: memory does not grow with them.
#[derive(Debug)]
pub(super) struct Spool {
    registry: Registry,
    file: Option<BufWriter<File>>,
    most: u64,
    kept: u64,
    /// All findings by level, those that were not kept included.
    pub(super) counts: Counts,
    /// Findings that their tool suppressed, those that were not kept included. They are in no count.
    pub(super) suppressed: u64,
    /// Tests that reports told of.
    pub(super) tests: Table,
    error: Option<io::Error>,
}

impl Spool {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            file: None,
            most: MOST,
            kept: 0,
            counts: Counts::default(),
            suppressed: 0,
            tests: Table::default(),
            error: None,
        }
    }

    /// Keeps `finding`, without secrets.
    pub(super) fn add(&mut self, finding: Finding) {
        self.counts.add(finding.level);
        if self.kept < self.most {
            self.keep(finding, None);
        }
    }

    /// Keeps a finding that its tool suppressed for `reason`.
    pub(super) fn add_suppressed(&mut self, finding: Finding, reason: String) {
        self.suppressed += 1;
        if self.kept < self.most {
            self.keep(finding, Some(reason));
        }
    }

    fn keep(&mut self, mut finding: Finding, suppressed: Option<String>) {
        if self.error.is_some() {
            return;
        }
        clean(&mut finding, &self.registry);
        let suppressed = suppressed.map(|reason| self.registry.text(&reason).into_owned());
        match self.write(&Kept { finding, suppressed }) {
            Ok(()) => self.kept += 1,
            Err(error) => self.error = Some(error),
        }
    }

    /// Adds a finding that says how many were counted and not kept, if there are any.
    pub(super) fn note_left_out(&mut self) {
        let left_out = (self.counts.total() + self.suppressed).saturating_sub(self.most);
        if left_out == 0 {
            return;
        }
        let most = self.most;
        let message =
            format!("{left_out} further findings were counted but not kept: the limit is {most} a step");
        let mut finding = Finding::new("rungate", Level::Notice, message);
        finding.rule = Some("too-many-findings".to_owned());
        self.counts.add(finding.level);
        self.keep(finding, None);
    }

    fn write(&mut self, finding: &Kept) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            // Most steps find nothing, so the file comes with the first finding.
            none => none.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        serde_json::to_writer(&mut *file, finding)?;
        file.write_all(b"\n")
    }

    /// Ends writing and turns to reading. What could not be written ends the reading with its error: with a full disk
    /// the findings up to there are not lost.
    pub(super) fn into_reader(mut self) -> Reader {
        let Some(file) = self.file.take() else { return Reader { lines: None, left: 0, error: self.error } };
        let (mut file, unwritten) = match file.into_inner() {
            Ok(file) => (file, None),
            Err(failed) => {
                let (error, buffer) = failed.into_parts();
                (buffer.into_parts().0, Some(error))
            }
        };
        let rewound = file.rewind().err();
        Reader {
            lines: rewound.is_none().then(|| BufReader::new(file)),
            left: self.kept,
            error: self.error.or(unwritten).or(rewound),
        }
    }
}

/// A finding that was kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// It.
    pub(super) finding: Finding,
    /// Why its tool suppressed it, if it did.
    pub(super) suppressed: Option<String>,
}

/// Takes secrets out of every text of `finding`, and cuts what is too long, with a mark.
fn clean(finding: &mut Finding, registry: &Registry) {
    let tidy = |text: &mut String| {
        let clean = registry.text(text);
        if clean != *text {
            *text = clean.into_owned();
        }
        if text.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
            text.push_str("… [cut]");
        }
    };
    tidy(&mut finding.message);
    for text in [&mut finding.rule, &mut finding.path, &mut finding.title].into_iter().flatten() {
        tidy(text);
    }
}

/// Reads a spool from its beginning: every finding that was kept, then the error that ended the keeping, if any.
pub(super) struct Reader {
    lines: Option<BufReader<File>>,
    /// Findings that should still come.
    left: u64,
    error: Option<io::Error>,
}

impl Iterator for Reader {
    type Item = io::Result<Kept>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left > 0
            && let Some(lines) = &mut self.lines
        {
            self.left -= 1;
            let mut line = String::new();
            let read = lines.read_line(&mut line);
            let found = read.and_then(|_| serde_json::from_str(&line).map_err(io::Error::from));
            match found {
                Ok(kept) => return Some(Ok(kept)),
                // Half a line at the end is what the first error left of it.
                Err(error) => self.error = self.error.take().or(Some(error)),
            }
        }
        self.lines = None;
        self.error.take().map(Err)
    }
}

/// Gives findings what they get when they count: their step, a fingerprint made with the source line, and their fate.
#[derive(Debug)]
pub(super) struct Finisher<'p> {
    fingerprints: Fingerprints,
    /// Those of findings that are suppressed by their tool, counted apart so that they change no other.
    suppressed: Fingerprints,
    sources: Sources,
    /// What the gates count.
    pub(super) tally: Tally<'p>,
    /// Findings that the report's filter leaves out of what is shown.
    pub(super) filtered: u64,
}

/// What becomes of a finding, as an event.
pub(super) enum Finished {
    /// It counts.
    Counts(RunEvent),
    /// It does not, for it is known already or accepted.
    LeftOut(RunEvent),
}

impl<'p> Finisher<'p> {
    pub(super) fn new(workspace: &Path, plan: &'p Plan) -> Self {
        Self {
            fingerprints: Fingerprints::default(),
            suppressed: Fingerprints::default(),
            sources: Sources::new(workspace),
            tally: Tally::new(plan),
            filtered: 0,
        }
    }

    /// What becomes of a finding that its tool suppressed. No gate hears of it: what one tool accepts must not excuse
    /// what another one reports.
    pub(super) fn suppress(&mut self, mut finding: Finding, reason: String, step: &PlannedStep) -> RunEvent {
        finding.step = step.key.to_string();
        let line = match (&finding.path, finding.start_line) {
            (Some(path), Some(number)) => self.sources.line(path, number),
            _ => None,
        };
        self.suppressed.assign(&mut finding, line.as_deref());
        RunEvent::FindingSuppressed { finding: Box::new(finding), reason }
    }

    pub(super) fn finish(&mut self, mut finding: Finding, step: &PlannedStep) -> Finished {
        finding.step = step.key.to_string();
        if let Some(fingerprint) = self.tally.again(&finding, &step.id) {
            let by = Reporter { tool: finding.tool, step: finding.step };
            return Finished::LeftOut(RunEvent::FindingAgain { fingerprint, by });
        }
        let (line, ignored) = match (&finding.path, finding.start_line) {
            (Some(path), Some(number)) => {
                let line = self.sources.line(path, number);
                let above = number.checked_sub(1).and_then(|above| self.sources.line(path, above));
                let ignored = finding
                    .rule
                    .as_deref()
                    .and_then(|rule| ignore::reason(rule, line.as_deref(), above.as_deref()));
                (line, ignored)
            }
            _ => (None, None),
        };
        self.fingerprints.assign(&mut finding, line.as_deref());
        match self.tally.add(&finding, &step.id, ignored) {
            Fate::Counts { shown } => {
                finding.filtered = !shown;
                self.filtered += u64::from(!shown);
                Finished::Counts(RunEvent::Finding { finding: Box::new(finding) })
            }
            Fate::Suppressed { reason } => {
                Finished::LeftOut(RunEvent::FindingSuppressed { finding: Box::new(finding), reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(message: &str) -> Finding {
        Finding::new("tool", Level::Warning, message.to_owned())
    }

    fn messages(spool: Spool) -> Vec<String> {
        spool
            .into_reader()
            .map(|read| read.map_or_else(|error| error.to_string(), |kept| kept.finding.message))
            .collect()
    }

    #[test]
    fn findings_come_back_in_order_whole_and_without_secrets() {
        let registry = Registry::new();
        let _ = registry.add("hunter2hunter2");
        let mut spool = Spool::new(&registry);
        let mut first = finding("line\nbreak, \0 and é");
        first.rule = Some("of hunter2hunter2".to_owned());
        spool.add(first.clone());
        spool.add(finding("second"));
        assert_eq!((spool.counts.warning, spool.counts.total()), (2, 2));
        let read: Vec<Finding> = spool.into_reader().map(|read| read.unwrap().finding).collect();
        first.rule = Some("of ***".to_owned());
        assert_eq!(read, [first, finding("second")]);
        assert_eq!(Spool::new(&registry).into_reader().count(), 0);
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted_and_the_note_about_it_is_kept() {
        let mut spool = Spool { most: 3, ..Spool::new(&Registry::new()) };
        for number in 1..=3 {
            spool.add(finding(&number.to_string()));
        }
        spool.note_left_out();
        assert_eq!(spool.counts.notice, 0, "nothing was left out");
        spool.add(finding("4"));
        spool.note_left_out();
        assert_eq!((spool.counts.warning, spool.counts.notice), (4, 1));
        let note = "1 further findings were counted but not kept: the limit is 3 a step";
        assert_eq!(messages(spool), ["1", "2", "3", note]);
    }

    #[test]
    fn a_text_without_end_is_cut_between_two_characters() {
        let mut spool = Spool::new(&Registry::new());
        spool.add(finding(&format!("a{}", "é".repeat(LONGEST))));
        let message = messages(spool).remove(0);
        assert!(message.len() <= LONGEST + 20 && message.ends_with("é… [cut]"), "{}", message.len());
    }

    #[test]
    fn a_full_disk_costs_only_the_findings_that_found_no_room() {
        let mut spool = Spool::new(&Registry::new());
        spool.add(finding("kept"));
        // From here on every write fails, as on a disk that has become full.
        let file = spool.file.take().unwrap().into_inner().unwrap();
        spool.file = Some(BufWriter::new(file));
        spool.error = Some(io::ErrorKind::StorageFull.into());
        spool.add(finding("no room"));
        assert_eq!(spool.counts.warning, 2);
        let full = io::Error::from(io::ErrorKind::StorageFull).to_string();
        assert_eq!(messages(spool), ["kept".to_owned(), full]);

        let mut spool = Spool::new(&Registry::new());
        spool.file = Some(BufWriter::new(File::options().write(true).open("/dev/full").unwrap()));
        spool.add(finding("lost when the buffer is written"));
        assert_eq!(spool.counts.warning, 1);
        assert!(spool.into_reader().all(|read| read.is_err()));
    }
}
