//! Telling: the record on disk and the words for people, both made from the run's events and from nothing else.
//!
//! Delete everything here and the verdict is the same.

pub mod actions;
mod html;
mod junit;
mod kept;
mod live;
mod output;
pub mod record_folder;
#[cfg(test)]
mod sample;
pub mod sarif;
mod summary;
pub mod terminal;
mod theme;
mod words;

use std::io;
use std::path::Path;

use crate::environ::Environ;
use crate::event::RunEvent;
use crate::plan::model::Plan;
use crate::redact::Registry;
use crate::report::actions::Actions;
use crate::report::record_folder::RecordFolder;

/// What is shown while a run is made, and what goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about two streams, none of them a state"
)]
pub struct View {
    /// What standard output gets.
    pub format: Format,
    /// How standard error follows the run.
    pub progress: Progress,
    /// Whether standard error takes colours.
    pub color: bool,
    /// Whether standard output takes colours.
    pub color_out: bool,
    /// Whether characters beyond ASCII can be shown.
    pub unicode: bool,
    /// Columns of standard error.
    pub width: usize,
    /// Lines of standard error.
    pub height: usize,
    /// Columns of standard output.
    pub width_out: usize,
    /// Whether output of steps that succeed is shown on a terminal, too.
    pub verbose: bool,
    /// Whether the result for people goes to standard error, because standard output is for something else.
    pub result_aside: bool,
}

/// What standard output gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The result, for people.
    Human,
    /// The record, as one JSON document.
    Json,
    /// Every event, as a line of JSON.
    Jsonl,
}

/// How standard error follows a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A block of lines that is redrawn in place.
    Live,
    /// A line for everything that happens.
    Plain,
    /// The same with groups, for the log of a GitHub Actions job.
    Actions,
}

/// What is written about a run: its record and the files of the Actions job. What is shown is [`terminal::Terminal`]'s, which
/// may wait for whoever reads it; nothing here waits for anybody.
#[derive(Debug)]
pub struct Report {
    folder: RecordFolder,
    actions: Actions,
}

/// What could not be told. The verdict stands.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The record on disk is not complete.
    #[error("the record could not be written: {0}")]
    Record(io::Error),
    /// Standard output took no more.
    #[error("standard output could not be written: {0}")]
    Output(io::Error),
    /// The files of the Actions job took no more.
    #[error("the job's outputs or summary could not be written: {0}")]
    Actions(io::Error),
}

impl ReportError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Record(_) => "free some space, or name another folder with --out",
            Self::Output(_) => {
                "free some space where it goes, or send it somewhere else; the record has all of it"
            }
            Self::Actions(_) => "free some space on the runner: the job's files are in its RUNNER_TEMP",
        }
    }
}

impl Report {
    /// Begins the report of a run of `plan` in `workspace`, whose record goes to `folder`.
    ///
    /// # Errors
    /// Fails when the record cannot be begun.
    pub fn create(
        folder: &Path,
        workspace: &Path,
        registry: &Registry,
        plan: &Plan,
        environ: &Environ,
    ) -> io::Result<Self> {
        Ok(Self {
            folder: RecordFolder::create(folder, workspace, registry, plan)?,
            actions: Actions::new(folder, registry, environ),
        })
    }

    /// Writes `event` down everywhere. Trouble is kept until the end: a full disk must not stop a run.
    pub fn event(&mut self, event: &RunEvent) {
        // The record first: the job's summary is made from it.
        self.folder.event(event);
        self.actions.event(event);
    }

    /// Ends the report.
    ///
    /// # Errors
    /// The first thing that could not be told, the record before the rest.
    pub fn finish(self) -> Result<(), ReportError> {
        let actions = self.actions.finish();
        self.folder.finish().map_err(ReportError::Record)?;
        actions.map_err(ReportError::Actions)
    }
}
