//! The one place that keeps the state of a run: starts steps when their turn comes, hears what executors say, and tells
//! the world in one stream of events.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::clock::Timestamp;
use crate::environ::Environ;
use crate::event::RunEvent;
use crate::finding::{Counts, Level};
use crate::gate::tally::Tally;
use crate::parse::diagnosis;
use crate::parse::path::PathRules;
use crate::plan::evaluate::Scope;
use crate::plan::model::{Plan, PlannedStep, Program};
use crate::record::{Outcome, Skip, StepRecord, Tests};
use crate::redact::Registry;
use crate::run::confine::Ground;
use crate::run::decide::{self, Decision};
use crate::run::executor::{Done, Job, Message, Tools, execute, wind_up};
use crate::run::file_commands::Handover;
use crate::run::findings::{self, Finisher, Kept, Spool};
use crate::run::job::{self, PrepareError, Surroundings};
use crate::run::layers;
use crate::run::scratch::Scratch;
use crate::run::state::{Place, State};
use crate::run::stop::{Stopped, Stopper, Urgency, Why};
use crate::sandbox::confinement::Tier;
use crate::sandbox::layout::Layout;
use crate::sandbox::spawn::Sandbox;

/// What a run needs of the host.
#[derive(Debug)]
pub struct Host {
    /// Where children come from.
    pub sandbox: Sandbox,
    /// The workspace, as an absolute path.
    pub workspace: PathBuf,
    /// The record folder, which exists.
    pub record: PathBuf,
    /// How steps are confined.
    pub ground: Arc<Ground>,
    /// A private folder of the run, which exists. Steps have folders in it where the tier gives them none.
    pub scratch: PathBuf,
    /// The caller's environment.
    pub environ: Environ,
    /// What must not be shown.
    pub registry: Registry,
    /// Values of the plan's secrets.
    pub secrets: BTreeMap<String, String>,
    /// Most steps that this process can watch over at a time.
    pub at_once: usize,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished<'p> {
    /// What the gates count.
    pub tally: Tally<'p>,
    /// Findings that the report's filter leaves out of what is shown.
    pub filtered: u64,
    /// The steps, in the plan's order.
    pub steps: Vec<StepRecord>,
    /// What expressions see of them.
    pub context: serde_json::Value,
    /// Why it was stopped, if it was.
    pub stopped: Option<Why>,
    /// What could not be kept.
    pub trouble: Vec<String>,
}

/// Runs `plan` to its end. Events go out through `events`; a wish to stop is followed at once, and one is made when the
/// command's time is up.
pub async fn run<'p>(
    plan: &'p Plan,
    host: &Host,
    (stop, stopped): (Arc<Stopper>, Stopped),
    events: mpsc::Sender<RunEvent>,
) -> Finished<'p> {
    let time_limit = plan.timeout;
    let (messages, inbox) = mpsc::channel(64);
    // Apart from the dispatcher, which waits while a full terminal takes no events. Executors hear the wish themselves.
    let alarm = tokio::spawn(async move {
        tokio::time::sleep(time_limit).await;
        stop.stop(Why::CommandTimeout);
    });
    let dispatcher = Dispatcher {
        state: State::new(plan),
        host,
        finisher: Finisher::new(&host.workspace, plan),
        events,
        messages,
        stopped,
        failed_fast: false,
        trouble: Vec::new(),
    };
    let finished = dispatcher.run(inbox).await;
    alarm.abort();
    finished
}

struct Dispatcher<'p, 'h> {
    state: State<'p>,
    host: &'h Host,
    finisher: Finisher<'p>,
    events: mpsc::Sender<RunEvent>,
    messages: mpsc::Sender<Message>,
    /// Wishes for the whole run, which executors hear themselves as well.
    stopped: Stopped,
    failed_fast: bool,
    trouble: Vec<String>,
}

impl<'p> Dispatcher<'p, '_> {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Finished<'p> {
        let mut stopped = self.stopped.clone();
        let mut heard = false;
        loop {
            self.start_what_is_due().await;
            if self.state.all_over() {
                break;
            }
            if self.state.is_waiting() {
                // While steps run, a helper for the next one can start.
                self.host.sandbox.make_ready();
            }
            tokio::select! {
                Some(message) = inbox.recv() => self.on_message(message).await,
                wish = stopped.wait_for(|stop| stop.urgency > Urgency::Go), if !heard => {
                    heard = true;
                    let reason = wish.map(|stop| stop.why).unwrap_or_default().text().to_owned();
                    // The executors stop by themselves; here it is only said.
                    self.tell(RunEvent::CancelRequested { at: Timestamp::now(), reason }).await;
                }
            }
        }
        wind_up(&self.host.sandbox, &self.host.scratch).await;
        let stopped = self.stop_reason();
        let context = self.state.whole_context();
        let steps = self.state.places.into_iter().filter_map(|place| match place {
            Place::Over(record) => Some(*record),
            Place::Waiting | Place::Running(_) => None,
        });
        Finished {
            tally: self.finisher.tally,
            filtered: self.finisher.filtered,
            steps: steps.collect(),
            context,
            stopped,
            trouble: self.trouble,
        }
    }

    fn stop_reason(&self) -> Option<Why> {
        let stop = *self.stopped.borrow();
        (stop.urgency > Urgency::Go).then_some(stop.why)
    }

    async fn tell(&self, event: RunEvent) {
        // Nobody listens any more only when the listener has failed, which it says itself.
        let _ = self.events.send(event).await;
    }

    /// Starts or skips every step whose turn has come.
    async fn start_what_is_due(&mut self) {
        let mut again = true;
        while again {
            again = false;
            for index in 0..self.state.plan.steps.len() {
                if !self.state.is_due(index) {
                    continue;
                }
                if let Some(skip) = decide::skip(&self.state, index, self.stop_reason(), self.failed_fast) {
                    let (outcome, reason) = match skip {
                        Decision::Skip(skip, reason) => ((Outcome::Skipped, Some(skip)), reason),
                        Decision::Fail(reason) => ((Outcome::Failure, None), Some(reason)),
                    };
                    self.over_without_running(index, outcome.0, outcome.1, reason).await;
                    // What needs this step may be due now.
                    again = true;
                } else if self.state.running().count()
                    < self.host.at_once.min(self.state.plan.max_parallel as usize)
                    && self.state.has_room(index)
                {
                    again |= !self.start(index).await;
                }
            }
        }
    }

    /// Starts the step. False when that was not possible, and the step is over.
    async fn start(&mut self, index: usize) -> bool {
        let (stopper, own) = Stopper::new();
        match self.prepare(index) {
            Ok(job) => {
                let tools = Tools {
                    sandbox: self.host.sandbox.clone(),
                    registry: self.host.registry.clone(),
                    ground: Arc::clone(&self.host.ground),
                    messages: self.messages.clone(),
                    own,
                    run: self.stopped.clone(),
                };
                self.state.places[index] = Place::Running(stopper);
                tokio::spawn(execute(job, tools));
                true
            }
            Err(error) => {
                self.over_without_running(index, error.outcome(), None, Some(error.to_string())).await;
                false
            }
        }
    }

    fn prepare(&self, index: usize) -> Result<Job, PrepareError> {
        let plan = self.state.plan;
        let step = &plan.steps[index];
        let folder = step.key.folder();
        let tier = self.host.ground.tier();
        let scratch = Scratch::at(self.host.scratch.join(&folder));
        let (steps, inherited) = (self.state.context(index), self.state.inherited(index));
        let empty = BTreeMap::new();
        let scope = Scope {
            contexts: &plan.contexts,
            matrix: &step.matrix,
            env: &empty,
            steps: &steps,
            secrets: &self.host.secrets,
            status: None,
        };
        let env = job::written_env(step, &scope, &inherited)?;
        let none = BTreeMap::new();
        let scope = Scope { env: &env, secrets: &none, ..scope };
        let around = Surroundings {
            plan,
            environ: &self.host.environ,
            workspace: &self.host.workspace,
            ground: &self.host.ground,
        };
        job::provide(step, &self.host.workspace)?;
        let limits = step.sandbox.limits;
        Ok(Job {
            index,
            key: step.key.clone(),
            launch: job::launch(step, &around, &Layout::of(tier, scratch.root()), &inherited, &scope)?,
            scratch: (tier != Tier::Namespaces).then_some(scratch),
            record: self.host.record.join("steps").join(folder),
            workspace: self.host.workspace.clone(),
            pinned: match &step.program {
                Program::Script { path, sha256 } => Some((path.clone(), *sha256)),
                Program::Run { .. } => None,
            },
            timeout: step.timeout,
            slow_after: step.slow_after,
            grace: limits.grace,
            output_limit: limits.output,
            report_limit: limits.report,
            retry: step.retry.clone(),
            continue_on_error: step.continue_on_error,
            sources: step.findings.clone(),
        })
    }

    async fn on_message(&mut self, message: Message) {
        match message {
            Message::Event(event) => self.tell(event).await,
            Message::Done(done) => self.on_done(*done).await,
        }
    }

    async fn on_done(&mut self, done: Done) {
        let step = &self.state.plan.steps[done.index];
        let record = StepRecord {
            outcome: done.outcome,
            reason: done.reason,
            flaky: done.flaky,
            exit_code: done.exit_code,
            signal: done.signal,
            attempts: done.attempts,
            started_at: Some(done.began),
            duration_ms: u64::try_from(done.duration.as_millis()).unwrap_or(u64::MAX),
            slow: done.slow,
            counts: done.spool.counts,
            tests: done.spool.tests.counts,
            output_dropped: done.output_dropped,
            hang: done.hang,
            ..blank(step, &self.host.ground)
        };
        self.trouble.extend(done.trouble);
        self.conclude(done.index, record, done.handover, done.spool).await;
    }

    async fn over_without_running(
        &mut self,
        index: usize,
        outcome: Outcome,
        skip: Option<Skip>,
        reason: Option<String>,
    ) {
        let step = &self.state.plan.steps[index];
        let mut spool = Spool::new(&self.host.registry);
        if outcome != Outcome::Skipped {
            let how = reason.clone().unwrap_or_default();
            let mut finding = diagnosis::of_failed_step(&[], &how, &PathRules::default());
            if step.continue_on_error {
                finding.level = Level::Warning;
            }
            spool.add(finding);
        }
        let record =
            StepRecord { outcome, skip, reason, counts: spool.counts, ..blank(step, &self.host.ground) };
        self.conclude(index, record, Handover::default(), spool).await;
    }

    /// Passes a step's findings on, says that it is over, and draws the consequences.
    async fn conclude(&mut self, index: usize, mut record: StepRecord, handover: Handover, mut spool: Spool) {
        let step = &self.state.plan.steps[index];
        // What was counted and could not be kept stays in the count: nothing is known that could take it out.
        let mut unknown = record.counts;
        let tests = std::mem::take(&mut spool.tests).worth_showing();
        record.suppressed = spool.suppressed;
        for kept in spool.into_reader() {
            let Kept { finding, suppressed } = match kept {
                Ok(kept) => kept,
                Err(error) => {
                    self.trouble.push(format!("not all findings of {} could be kept: {error}", step.key));
                    continue;
                }
            };
            if let Some(reason) = suppressed {
                let event = self.finisher.suppress(finding, reason, step);
                self.tell(event).await;
                continue;
            }
            unknown.take(finding.level);
            let level = finding.level;
            let event = match self.finisher.finish(finding, step) {
                findings::Finished::Counts(event) => event,
                findings::Finished::LeftOut(event) => {
                    record.counts.take(level);
                    record.suppressed += u64::from(matches!(event, RunEvent::FindingSuppressed { .. }));
                    event
                }
            };
            self.tell(event).await;
        }
        if !tests.is_empty() {
            self.tell(RunEvent::Tests { key: step.key.clone(), tests }).await;
        }
        self.finisher.tally.add_unknown(&step.id, &unknown);
        self.tell(RunEvent::StepFinished { at: Timestamp::now(), step: Box::new(record.clone()) }).await;
        let failed = decide::is_failure(&record);
        let step = &self.state.plan.steps[index];
        self.state.end(index, record, handover);
        if failed && step.leg_fail_fast {
            for (other, stopper) in self.state.running() {
                if self.state.plan.steps[other].id == step.id {
                    stopper.stop(Why::FailFast);
                }
            }
        }
        if failed && self.state.plan.fail_fast && !self.failed_fast {
            self.failed_fast = true;
            for (_, stopper) in self.state.running() {
                stopper.stop(Why::FailFast);
            }
        }
    }
}

/// The record of a step of which nothing is known but the plan.
fn blank(step: &PlannedStep, ground: &Ground) -> StepRecord {
    StepRecord {
        id: step.id.clone(),
        key: step.key.clone(),
        name: step.name.clone(),
        matrix: step.matrix.clone(),
        outcome: Outcome::Skipped,
        skip: None,
        continue_on_error: step.continue_on_error,
        reason: None,
        flaky: false,
        exit_code: None,
        signal: None,
        attempts: 0,
        started_at: None,
        duration_ms: 0,
        slow: false,
        counts: Counts::default(),
        suppressed: 0,
        tests: Tests::default(),
        folder: step.key.folder(),
        output_dropped: 0,
        hang: None,
        sandbox: layers::report(&step.sandbox, ground),
    }
}
