//! The requests that make a check run say what a record says. Pure but for the findings, which are read as they are sent.

use std::fmt::Write as _;
use std::io::{self, BufRead, Cursor, Seek};
use std::ops::Range;

use crate::clock::Timestamp;
use crate::deliver::annotations::{Chosen, MAX_TITLE};
use crate::deliver::text::{clean_line, cut_characters};
use crate::finding::Finding;
use crate::github::checks::{Call, CreateCheckRun, Output, Status, UpdateCheckRun};
use crate::manifest::model::SummarySection;
use crate::page::Page;
use crate::page::words::counted;
use crate::record::{Conclusion, Record};
use crate::redact::Registry;

/// Longest summary. GitHub says characters and speaks of as many as its column has bytes, so it is kept in bytes: that is
/// never more than the characters, and only texts that are not Latin lose something.
pub const MAX_SUMMARY: usize = 65_535;

const CUT: &str =
    "\n**The summary is cut here: it is too long for GitHub. The run's record has everything.**\n";

/// What stays the same of a check run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// The commit.
    pub head_sha: String,
    /// Our id of the run.
    pub external_id: String,
    /// Where its details are.
    pub details_url: Option<String>,
    /// When the run began.
    pub started_at: Timestamp,
}

impl Subject {
    /// What `record` is about; `None` where its commit is not known.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        Some(Self {
            name: record.check_run.name.clone(),
            head_sha: record.sha.clone()?,
            external_id: record.run_id.to_string(),
            details_url: record.check_run.details_url.clone(),
            started_at: record.started_at,
        })
    }

    /// Creates it, saying `title` and `summary`.
    #[must_use]
    pub fn create(&self, title: &str, summary: String, registry: &Registry) -> Call {
        let mut name = clean_line(&self.name, registry);
        cut_characters(&mut name, MAX_TITLE);
        Call::Create(CreateCheckRun {
            name,
            head_sha: self.head_sha.clone(),
            details_url: self.details_url.as_deref().map(|url| registry.text(url).into_owned()),
            external_id: self.external_id.clone(),
            status: Status::InProgress,
            started_at: self.started_at,
            output: output(title, summary, registry),
        })
    }

    /// Looks for it among those that `app` made.
    #[must_use]
    pub fn find(&self, app: Option<u64>, registry: &Registry) -> Call {
        let mut name = clean_line(&self.name, registry);
        cut_characters(&mut name, MAX_TITLE);
        Call::Find { sha: self.head_sha.clone(), name, app }
    }
}

fn output(title: &str, summary: String, registry: &Registry) -> Output {
    let mut title = clean_line(title, registry);
    cut_characters(&mut title, MAX_TITLE);
    Output { title, summary, annotations: Vec::new() }
}

/// A live update of the run `id`.
#[must_use]
pub fn progress(id: u64, title: &str, summary: String, registry: &Registry) -> Call {
    let update = UpdateCheckRun {
        status: Some(Status::InProgress),
        conclusion: None,
        completed_at: None,
        output: output(title, summary, registry),
    };
    Call::Update { id, update }
}

/// Lines of findings that can be read more than once.
pub trait Lines: BufRead + Seek + Send {}

impl<T: BufRead + Seek + Send> Lines for T {}

/// All that a check run is to say in the end.
pub struct Job {
    /// How it ended.
    pub conclusion: Conclusion,
    /// When.
    pub completed_at: Timestamp,
    title: String,
    sections: Vec<String>,
    /// Stands last, whatever is cut.
    foot: String,
    chosen: Chosen,
    lines: Box<dyn Lines>,
    registry: Registry,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("conclusion", &self.conclusion)
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// What `record` says, whose findings are in `lines`. At most `most` become annotations.
    ///
    /// # Errors
    /// Fails when the findings cannot be read.
    pub fn of(
        record: &Record,
        mut lines: Box<dyn Lines>,
        most: usize,
        registry: &Registry,
    ) -> io::Result<Self> {
        let chosen = Chosen::of(&mut lines, most)?;
        let mut page = Page::new(registry);
        page.head(record);
        for section in &record.check_run.summary {
            match section {
                SummarySection::Steps => page.steps(record),
                SummarySection::Gates => page.gates(record),
                SummarySection::Findings => findings(&mut page, record, &chosen),
                SummarySection::Tests => page.tests(record),
                SummarySection::Artifacts => page.artifacts(record),
                SummarySection::Timings => page.timings(record),
            }
        }
        let mut foot = Page::new(registry);
        foot.foot(record);
        let counts = counted(&record.counts);
        let counts = if counts.is_empty() { "no findings".to_owned() } else { counts };
        Ok(Self {
            conclusion: record.conclusion,
            completed_at: record.finished_at,
            title: format!("{}: {counts}", word(record.conclusion)),
            sections: page.into_sections(),
            foot: foot.into_sections().concat(),
            chosen,
            lines,
            registry: registry.clone(),
        })
    }

    /// What there is to say where nothing was judged: `title`, `text`, which is Markdown of ours, and `findings`.
    ///
    /// # Errors
    /// None that these values can cause.
    pub fn without_verdict(
        conclusion: Conclusion,
        title: &str,
        text: String,
        findings: &[Finding],
        registry: &Registry,
    ) -> io::Result<Self> {
        let mut lines = Vec::new();
        for finding in findings {
            serde_json::to_writer(&mut lines, finding)?;
            lines.push(b'\n');
        }
        let mut lines: Box<dyn Lines> = Box::new(Cursor::new(lines));
        let chosen = Chosen::of(&mut lines, findings.len())?;
        Ok(Self {
            conclusion,
            completed_at: Timestamp::now(),
            title: title.to_owned(),
            sections: vec![text],
            foot: String::new(),
            chosen,
            lines,
            registry: registry.clone(),
        })
    }

    /// The same with another conclusion, and a title that says why.
    #[must_use]
    pub(super) fn concluded_as(self, conclusion: Conclusion, title: &str) -> Self {
        Self { conclusion, title: title.to_owned(), ..self }
    }

    /// What must not be published.
    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// How many annotations there are.
    #[must_use]
    pub const fn annotations(&self) -> usize {
        self.chosen.len()
    }

    /// Adds some annotations to the run `id`.
    ///
    /// # Errors
    /// Fails when the findings cannot be read.
    pub fn batch(&mut self, id: u64, range: Range<usize>, concluded: bool) -> io::Result<Call> {
        let annotations = self.chosen.read(range, &mut self.lines, &self.registry)?;
        let summary = format!("The steps are over. {} annotations are being posted.\n", self.chosen.len());
        let output = Output { annotations, ..output(&self.title, summary, &self.registry) };
        let status = (!concluded).then_some(Status::InProgress);
        let update = UpdateCheckRun { status, conclusion: None, completed_at: None, output };
        Ok(Call::Update { id, update })
    }

    /// Concludes the run `id`, of whose annotations `left_out` did not arrive because of `why`.
    #[must_use]
    pub fn conclude(&self, id: u64, left_out: usize, why: Option<&str>) -> Call {
        let mut sections = self.sections.clone();
        if left_out > 0 {
            let why = Page::new(&self.registry).cell(why.unwrap_or("the delivery was broken off"));
            let of = grouped(self.chosen.len() as u64);
            let said = format!(
                "\n> **{} of {of} annotations could not be posted**: {why}. The run's record has all findings.\n",
                grouped(left_out as u64)
            );
            sections.insert(1.min(sections.len()), said);
        }
        let update = UpdateCheckRun {
            status: Some(Status::Completed),
            conclusion: Some(self.conclusion),
            completed_at: Some(self.completed_at),
            output: output(&self.title, fitted(&sections, &self.foot), &self.registry),
        };
        Call::Update { id, update }
    }
}

pub(super) const fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "passed",
        Conclusion::Neutral => "passed with warnings",
        Conclusion::Failure => "failed",
        Conclusion::Cancelled => "cancelled",
        Conclusion::TimedOut => "timed out",
    }
}

/// How many findings are shown as annotations, and those that cannot be.
fn findings(page: &mut Page<'_>, record: &Record, chosen: &Chosen) {
    let total = record.counts.total();
    if total == 0 {
        return;
    }
    let mut sentence = format!(
        "{}, showing {} of {} as annotations, worst first.",
        counted(&record.counts),
        grouped(chosen.len() as u64),
        grouped(total)
    );
    if record.filtered > 0 {
        let _ = write!(sentence, " {} outside of what changed are not shown.", grouped(record.filtered));
    }
    // What is listed here must not push out what stands behind it.
    let rows = page.rows(&chosen.elsewhere, MAX_SUMMARY / 3);
    let elsewhere = chosen.shown.saturating_sub(chosen.placed);
    if elsewhere > 0 {
        let _ = write!(
            sentence,
            " {} without a line in the repository; showing {} of them here.",
            grouped(elsewhere),
            rows.count
        );
    }
    page.findings(&sentence, &rows);
}

/// A number with a comma after every three digits: `2,607`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As many of `sections` as fit, in their order, and `foot` behind them. One that does not fit is cut at a line.
#[must_use]
pub fn fitted(sections: &[String], foot: &str) -> String {
    let whole: usize = sections.iter().map(String::len).sum::<usize>() + foot.len();
    if whole <= MAX_SUMMARY {
        return sections.concat() + foot;
    }
    let mut foot = foot.to_owned();
    foot.truncate(foot.floor_char_boundary(MAX_SUMMARY / 4));
    let room = MAX_SUMMARY - foot.len() - CUT.len();
    let mut text = String::new();
    for section in sections {
        if text.len() + section.len() <= room {
            text.push_str(section);
            continue;
        }
        // Half a line could be half a table or half an escape.
        let end = section.floor_char_boundary(room - text.len());
        text.push_str(section[..end].rfind('\n').map_or("", |end| &section[..=end]));
        break;
    }
    text + CUT + &foot
}
