//! One step from its turn to its end: attempts, pauses between them, and what is read after the last one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::clock::Timestamp;
use crate::event::RunEvent;
use crate::finding::Level;
use crate::manifest::model::{Retry, RetryOn};
use crate::parse::{LineParser, diagnosis};
use crate::plan::facts::PathProblem;
use crate::plan::model::PlannedSource;
use crate::record::{HangDiagnosis, Outcome};
use crate::redact::Registry;
use crate::run::attempt::Attempt;
use crate::run::capture::Captures;
use crate::run::confine::Ground;
use crate::run::ended::{Ended, with_source};
use crate::run::file_commands::Handover;
use crate::run::findings::Spool;
use crate::run::log::Log;
use crate::run::output::Output;
use crate::run::reports;
use crate::run::scratch::Scratch;
use crate::run::stop::{Patience, Stopped, Urgency};
use crate::run::walls;
use crate::sandbox::launch::Launch;
use crate::sandbox::spawn::Sandbox;
use crate::workspace::files::Beneath;

/// What an executor says to the dispatcher.
pub(super) enum Message {
    /// Something to pass on.
    Event(RunEvent),
    /// The step is over.
    Done(Box<Done>),
}

/// How a step ended.
pub(super) struct Done {
    /// Which step, by its place in the plan.
    pub(super) index: usize,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<String>,
    pub(super) attempts: u32,
    pub(super) flaky: bool,
    pub(super) began: Timestamp,
    pub(super) duration: Duration,
    pub(super) slow: bool,
    pub(super) hang: Option<HangDiagnosis>,
    pub(super) output_dropped: u64,
    /// The findings of the last attempt.
    pub(super) spool: Spool,
    pub(super) handover: Handover,
    /// What could not be kept, such as a log on a full disk.
    pub(super) trouble: Vec<String>,
}

/// A step that can be started.
pub(super) struct Job {
    pub(super) index: usize,
    pub(super) key: crate::id::StepKey,
    pub(super) launch: Launch,
    /// Its private folder, where it has one on the host.
    pub(super) scratch: Option<Scratch>,
    /// Its folder in the record.
    pub(super) record: PathBuf,
    pub(super) workspace: PathBuf,
    /// The script and its digest, when it is a file of the repository.
    pub(super) pinned: Option<(crate::id::RepoPath, crate::id::Sha256)>,
    pub(super) timeout: Duration,
    pub(super) slow_after: Duration,
    pub(super) grace: Duration,
    pub(super) output_limit: u64,
    pub(super) report_limit: u64,
    pub(super) retry: Retry,
    pub(super) continue_on_error: bool,
    pub(super) sources: Vec<PlannedSource>,
}

/// What every executor works with.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) sandbox: Sandbox,
    pub(super) registry: Registry,
    /// How steps are confined.
    pub(super) ground: Arc<Ground>,
    pub(super) messages: mpsc::Sender<Message>,
    /// Stops this step.
    pub(super) own: Stopped,
    /// Stops the run.
    pub(super) run: Stopped,
}

impl Tools {
    /// Tells the dispatcher. It listens until every executor is done, so nothing is lost while it matters.
    pub(super) async fn tell(&self, event: RunEvent) {
        let _ = self.messages.send(Message::Event(event)).await;
    }

    /// Whether this step is to stop.
    pub(super) fn stopping(&self) -> bool {
        self.own.borrow().urgency > Urgency::Go || self.run.borrow().urgency > Urgency::Go
    }
}

/// Runs `job` to its end and says how it went.
pub(super) async fn execute(job: Job, tools: Tools) {
    let messages = tools.messages.clone();
    let scratch = job.scratch.clone();
    let done = Executor { job, tools, began: Timestamp::now(), started: Instant::now() }.run().await;
    let _ = messages.send(Message::Done(Box::new(done))).await;
    // Not at the end of the run: what a step has left in its TMPDIR may fill the disk for the next ones. And not before
    // the news, because nobody has to wait for it.
    if let Some(scratch) = scratch {
        tokio::task::spawn_blocking(move || scratch.remove());
    }
}

/// When no step is left: removes the private folder of the run while there is still a helper that would do it if this
/// process were killed, and lets go of that helper.
pub(super) async fn wind_up(sandbox: &Sandbox, private: &Path) {
    let scratch = Scratch::at(private.to_owned());
    aside(move || scratch.remove()).await;
    sandbox.stand_down();
}

/// Does `work` where it holds nobody up: what it looks at was left by a script, and may be as large as that liked.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

struct Executor {
    job: Job,
    tools: Tools,
    began: Timestamp,
    started: Instant,
}

impl Executor {
    async fn run(mut self) -> Done {
        let mut log = Log::create(&self.job.record, self.job.output_limit);
        let mut attempt = 1;
        loop {
            let key = self.job.key.clone();
            self.tools.tell(RunEvent::StepStarted { key, at: Timestamp::now(), attempt }).await;
            let (ended, output) = self.attempt(log).await;
            let again = attempt < self.job.retry.attempts && self.worth_retrying(&ended);
            if !again {
                // Reports are as long as their authors like, and nobody is to wait for them who has not asked for any.
                return if self.job.sources.is_empty() {
                    self.conclude(attempt, ended, output)
                } else {
                    aside(move || self.conclude(attempt, ended, output)).await
                };
            }
            let reason = ended.reason.clone().unwrap_or_default();
            log = output.log;
            log.remark(&format!("attempt {attempt} failed: {reason}; attempt {} follows", attempt + 1));
            let key = self.job.key.clone();
            self.tools.tell(RunEvent::StepRetry { key, at: Timestamp::now(), attempt, reason }).await;
            self.pause().await;
            attempt += 1;
        }
    }

    /// Waits before the next attempt, unless the step is to stop.
    async fn pause(&mut self) {
        tokio::select! {
            () = tokio::time::sleep(self.job.retry.backoff) => {}
            _ = self.tools.own.wait_for(|stop| stop.urgency > Urgency::Go) => {}
            _ = self.tools.run.wait_for(|stop| stop.urgency > Urgency::Go) => {}
        }
    }

    async fn attempt(&mut self, log: Log) -> (Ended, Output) {
        let spool = Spool::new(&self.tools.registry);
        let (parser, ready) = match reports::line_parser(&self.job.sources, &self.job.workspace) {
            Ok(parser) => (parser, self.ready().await),
            Err(problem) => (LineParser::default(), Err(Ended::refused(problem))),
        };
        let mut output = Output::new(&self.tools.registry, parser, log, spool);
        output.captures = Captures::new(&self.job.sources, self.job.report_limit);
        if self.tools.stopping() {
            return (Ended::before_start(&self.tools), output);
        }
        if let Err(ended) = ready {
            return (ended, output);
        }
        Attempt::run(&self.job, &self.tools, output).await
    }

    /// Makes the private files anew, and checks that the script is the one that was planned.
    async fn ready(&self) -> Result<(), Ended> {
        if let Some(scratch) = self.job.scratch.clone() {
            let private = self.job.launch.private.clone();
            let filled = aside(move || scratch.fill(&private)).await;
            filled.map_err(|error| Ended::not_started(with_source(&error)))?;
        }
        let Some((path, planned)) = self.job.pinned.clone() else { return Ok(()) };
        let (workspace, run) = (self.job.workspace.clone(), self.tools.run.clone());
        let verify = move || reports::verify_script(&workspace, &path, planned, &Patience::new(run));
        aside(verify).await.map_err(Ended::refused)
    }

    fn worth_retrying(&self, ended: &Ended) -> bool {
        let on = &self.job.retry.on;
        match ended.outcome {
            _ if self.tools.stopping() => false,
            Outcome::Failure => {
                on.is_empty()
                    || on
                        .iter()
                        .any(|on| matches!(on, RetryOn::Exit(code) if ended.code == Some(i32::from(*code))))
            }
            Outcome::TimedOut => on.is_empty() || on.contains(&RetryOn::Timeout),
            Outcome::Success | Outcome::Cancelled | Outcome::Skipped | Outcome::SetupFailed => false,
        }
    }

    /// The folder with the files by which the step hands something on: in the sandbox that is dead, else on the host.
    fn handed_on(&self, inside: Option<Beneath>) -> Result<Beneath, PathProblem> {
        match (inside, &self.job.scratch) {
            (Some(files), _) => Ok(files),
            // The step may have put a link in the place of its folder.
            (None, Some(scratch)) => Beneath::open_plain(&scratch.files()),
            (None, None) => Err(PathProblem::Missing),
        }
    }

    /// Reads what the last attempt left, and puts everything together.
    fn conclude(self, attempts: u32, mut ended: Ended, mut output: Output) -> Done {
        let mut handover = Handover::default();
        if ended.ran {
            let files = self.handed_on(ended.files.take());
            match files.as_ref().map_err(ToString::to_string).and_then(|files| {
                reports::keep_summary(files, &self.job.record, &self.tools.registry);
                Handover::read(files).map_err(|error| error.to_string())
            }) {
                Ok(read) => handover = read,
                Err(problem) if ended.outcome == Outcome::Success => {
                    ended.outcome = Outcome::Failure;
                    ended.reason = Some(problem);
                }
                Err(_) => {}
            }
            let (captures, spool) = (std::mem::take(&mut output.captures), &mut output.spool);
            let patience = Patience::new(self.tools.run.clone());
            reports::read_files(&self.job, ended.began, &patience, spool);
            reports::read_streams(&self.job, captures, &patience, spool);
        }
        let failed = matches!(ended.outcome, Outcome::Failure | Outcome::TimedOut | Outcome::SetupFailed);
        if failed && output.spool.counts.total() == 0 {
            let tail = output.tail();
            let mut how = ended.reason.clone().unwrap_or_else(|| "the step failed".to_owned());
            let confinement = self.job.launch.confinement.as_ref();
            if let Some(hint) = confinement.and_then(|confinement| walls::met(confinement, &tail)) {
                how = format!("{how}: {hint}");
            }
            let mut finding = diagnosis::of_failed_step(&tail, &how, &reports::paths(&self.job.workspace));
            if self.job.continue_on_error {
                // The author said that this failure does not count; as a failure it would fail the gates.
                finding.level = Level::Warning;
            }
            output.spool.add(finding);
        }
        output.spool.note_left_out();
        let mut trouble: Vec<String> = Vec::new();
        let output_dropped = output.log.dropped();
        if let Some(error) = output.log.finish() {
            trouble.push(format!("the log of {} could not be kept: {error}", self.job.key));
        }
        Done {
            index: self.job.index,
            flaky: attempts > 1 && ended.outcome == Outcome::Success,
            outcome: ended.outcome,
            reason: ended.reason,
            exit_code: ended.code,
            signal: ended.signal,
            attempts: if ended.ran { attempts } else { attempts - 1 },
            began: self.began,
            duration: self.started.elapsed(),
            slow: ended.slow,
            hang: ended.hang,
            output_dropped,
            spool: output.spool,
            handover,
            trouble,
        }
    }
}
