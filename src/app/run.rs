//! A run from its request to its record.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::app::failure::{Failure, host};
use crate::app::folders;
use crate::app::load::{SandboxMode, Site, check_sandbox};
use crate::app::tell::{Telling, event_loop};
use crate::clock::Timestamp;
use crate::environ::Environ;
use crate::event::RunEvent;
use crate::finding::Counts;
use crate::gate::{self, Ended, Verdict};
use crate::id::RunId;
use crate::plan::model::Plan;
use crate::record::{self, Conclusion, Record, StepRecord, Tests};
use crate::redact::{Added, Registry};
use crate::report::terminal::Terminal;
use crate::report::{Report, View};
use crate::request::RunRequest;
use crate::run::concurrency::{self, Held, LockError};
use crate::run::confine::Ground;
use crate::run::dispatcher::{self, Host};
use crate::run::stop::{Stopped, Stopper, Why};
use crate::sandbox::child::Sandbox;
use crate::sandbox::confinement::Tier;

/// How a run is to be made and shown.
#[derive(Debug)]
pub struct Options {
    /// Folder for the record, when one was named.
    pub out: Option<PathBuf>,
    /// How strictly scripts are confined, when somebody said so.
    pub sandbox: Option<SandboxMode>,
    /// How it is shown.
    pub view: View,
}

/// How a run came out.
#[derive(Debug)]
pub struct Outcome {
    /// The record.
    pub record: Record,
    /// What could not be written or delivered. The verdict stands all the same.
    pub trouble: Vec<String>,
    /// Whether what is said still reaches somebody. A pipe that nobody empties would hold up whoever writes to it.
    pub watched: bool,
}

/// Variables whose values are never shown, whoever set them.
const KNOWN_SECRETS: [&str; 7] = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "RUNGATE_TOKEN",
    "RUNGATE_APP_PRIVATE_KEY",
    "ACTIONS_CACHE_TOKEN",
];

/// Runs what `request` asks for.
///
/// # Errors
/// Fails when nothing was judged: the request, the manifest, the policy or the host stood against it.
pub fn run(site: &Site, request: &RunRequest, options: &Options) -> Result<Outcome, Failure> {
    let at_once = steps_at_once()?;
    let plan = site.plan(request)?;
    check_sandbox(&plan, options.sandbox, &site.environ)?;
    Sandbox::prepare_process().map_err(|error| {
        host(
            format!("this process cannot be made the reaper of its children: {error}"),
            "use Linux 3.4 or newer",
        )
    })?;
    let (registry, secrets, mut notes) = secrets(&plan, &site.environ);
    notes.splice(0..0, plan.notes.iter().cloned());
    let run_id = RunId::fresh();
    let folder = folders::record(options.out.as_deref(), &site.workspace, &site.environ, run_id)?;
    let scratch = tempfile::Builder::new().prefix("rungate-").tempdir().map_err(|error| {
        host(
            format!("no private folder can be created: {error}"),
            "set TMPDIR to a folder that this user can write",
        )
    })?;
    let scratch_path = scratch.path().canonicalize().unwrap_or_else(|_| scratch.path().to_owned());
    let report =
        Report::create(&folder, &site.workspace, &registry, &plan, &site.environ).map_err(|error| {
            host(
                format!("the record cannot be written: {error}"),
                "free some space, or name another folder with --out",
            )
        })?;
    let terminal = Terminal::new(&folder, &registry, options.view);
    let making = Making {
        plan: &plan,
        run_id,
        notes,
        started_at: Timestamp::now(),
        state: folders::state(&site.environ),
        host: Host {
            sandbox: site.sandbox.clone(),
            workspace: site.workspace.clone(),
            ground: Ground { tier: Tier::None, readable: Vec::new() },
            record: folder,
            scratch: scratch_path,
            environ: site.environ.clone(),
            registry,
            secrets,
            at_once,
        },
    };
    event_loop()?.block_on(making.make(report, terminal))
}

/// Open files that this process needs for itself, with some to spare.
const OWN_FILES: u64 = 56;

/// Open files that a running step needs.
const FILES_OF_STEP: u64 = 12;

/// How many steps this process can have open files for. With fewer than for one, nothing can begin; that a step fails
/// midway because of its siblings is out of the question.
fn steps_at_once() -> Result<usize, Failure> {
    let (limit, _hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| {
        host(format!("the limit on open files cannot be read: {error}"), "use Linux 2.6.36 or newer")
    })?;
    match limit.saturating_sub(OWN_FILES) / FILES_OF_STEP {
        0 => Err(host(
            format!("this process may open only {limit} files"),
            format!("raise the limit (`ulimit -n`) to {} or more", OWN_FILES + FILES_OF_STEP),
        )),
        steps => Ok(usize::try_from(steps).unwrap_or(usize::MAX)),
    }
}

/// Values that are secrets whoever asks.
pub(super) fn known_secrets(environ: &Environ) -> impl Iterator<Item = &str> {
    KNOWN_SECRETS.into_iter().filter_map(|name| environ.text(name))
}

/// Everything that must not be shown, the secrets that steps use, and what has to be said about them.
fn secrets(plan: &Plan, environ: &Environ) -> (Registry, BTreeMap<String, String>, Vec<String>) {
    let registry = Registry::default();
    let mut notes = Vec::new();
    let mut values = BTreeMap::new();
    for value in known_secrets(environ) {
        let _short_ones_are_no_tokens = registry.add(value);
    }
    for name in &plan.secrets {
        let Some(value) = environ.text(name.as_str()) else { continue };
        match registry.add(value) {
            Added::Registered | Added::Known => {}
            Added::TooShort => notes.push(format!("the secret {name} is too short to be hidden in output")),
            Added::TooLong | Added::Full => {
                notes.push(format!("the secret {name} is too large to be hidden in output"));
            }
        }
        values.insert(name.to_string(), value.to_owned());
    }
    (registry, values, notes)
}

/// A run in the making.
struct Making<'a> {
    plan: &'a Plan,
    run_id: RunId,
    notes: Vec<String>,
    started_at: Timestamp,
    /// Where locks are.
    state: Result<PathBuf, Failure>,
    host: Host,
}

impl Making<'_> {
    async fn make(self, report: Report, terminal: Terminal) -> Result<Outcome, Failure> {
        let (stop, stopped) = Stopper::new();
        let stop = Arc::new(stop);
        listen(&stop)?;
        let (telling, events) = Telling::start(report, terminal, &stopped)?;
        let made = self.judged(stop, stopped, &events).await;
        drop(events);
        let told = telling.finish().await?;
        let (record, mut trouble) = made?;
        trouble.extend(told.trouble.iter().map(ToString::to_string));
        Ok(Outcome { record, trouble, watched: told.watched })
    }

    /// Runs the steps, lets the gates judge, and tells both.
    async fn judged(
        self,
        stop: Arc<Stopper>,
        mut stopped: Stopped,
        events: &mpsc::Sender<RunEvent>,
    ) -> Result<(Record, Vec<String>), Failure> {
        let begun = RunEvent::RunStarted {
            run_id: self.run_id,
            at: self.started_at,
            name: self.plan.name.clone(),
            steps: self.plan.steps.iter().map(|step| step.key.clone()).collect(),
        };
        let _ = events.send(begun).await;
        let _held = self.hold(&mut stopped, events).await?;
        let finished = dispatcher::run(self.plan, &self.host, (stop, stopped), events.clone()).await;
        let ended = match finished.stopped {
            None | Some(Why::FailFast) => Ended::Normally,
            Some(Why::Asked) => Ended::Cancelled,
            Some(Why::CommandTimeout) => Ended::TimedOut,
        };
        let notices = finished.tally.notices();
        for finding in &notices {
            let _ = events.send(RunEvent::Finding { finding: Box::new(finding.clone()) }).await;
        }
        let verdict = gate::judge(self.plan, &finished.steps, &finished.tally, ended);
        let _ = events.send(RunEvent::Judged { at: Timestamp::now(), gates: verdict.gates.clone() }).await;
        let trouble = finished.trouble;
        let filtered = finished.filtered;
        let record = Record { filtered, ..self.record(finished.steps, verdict, notices.len() as u64) };
        let _ = events.send(RunEvent::RunFinished { record: Box::new(record.clone()) }).await;
        Ok((record, trouble))
    }

    /// Waits for the concurrency group. A cancelled wait is no failure: the run goes on to say that it was cancelled.
    async fn hold(
        &self,
        stopped: &mut Stopped,
        events: &mpsc::Sender<RunEvent>,
    ) -> Result<Option<Held>, Failure> {
        let Some(group) = &self.plan.concurrency else { return Ok(None) };
        let state = match &self.state {
            Ok(state) => state,
            Err(failure) => return Err(host(failure.to_string(), "set RUNGATE_STATE_DIR")),
        };
        let waiting = |holder| {
            let event = RunEvent::Waiting { at: Timestamp::now(), group: group.group.clone(), holder };
            // Only news: when the channel is full there is more urgent news in it.
            let _ = events.try_send(event);
        };
        match concurrency::hold(group, state, stopped, waiting).await {
            Ok(held) => Ok(Some(held)),
            Err(LockError::Cancelled(_)) => Ok(None),
            Err(error) => {
                Err(host(with_source(&error), "set RUNGATE_STATE_DIR to a folder that this user can write"))
            }
        }
    }

    /// The record. `notices` are findings of no step, which are notices all.
    fn record(self, steps: Vec<StepRecord>, verdict: Verdict, notices: u64) -> Record {
        let mut counts = Counts { notice: notices, ..Counts::default() };
        for step in &steps {
            counts.failure += step.counts.failure;
            counts.warning += step.counts.warning;
            counts.notice += step.counts.notice;
        }
        let suppressed = steps.iter().map(|step| step.suppressed).sum();
        let tests = steps.iter().fold(Tests::default(), |sum, step| sum.plus(step.tests));
        Record {
            schema: record::SCHEMA,
            rungate: env!("CARGO_PKG_VERSION"),
            run_id: self.run_id,
            command: self.plan.command.clone(),
            name: self.plan.name.clone(),
            inputs: self.plan.inputs.clone(),
            conclusion: verdict.conclusion,
            exit_code: exit_code(verdict.conclusion, &steps),
            started_at: self.started_at,
            finished_at: Timestamp::now(),
            manifest: self.plan.manifest.clone(),
            plan: self.plan.fingerprint,
            repository: self.plan.repository.clone(),
            sha: self.plan.sha.clone(),
            notes: self.notes,
            steps,
            gates: verdict.gates,
            counts,
            suppressed,
            filtered: 0,
            tests,
            artifacts: Vec::new(),
            delivery: BTreeMap::from([("check_run".to_owned(), "none".to_owned())]),
            audit: "none",
        }
    }
}

/// The exit code that a conclusion stands for, when everything could be written and delivered. A failure to which a step
/// belongs that the host could not start is no verdict on the repository.
fn exit_code(conclusion: Conclusion, steps: &[StepRecord]) -> u8 {
    let not_judged =
        |step: &StepRecord| step.outcome == record::Outcome::SetupFailed && !step.continue_on_error;
    match conclusion {
        Conclusion::Success | Conclusion::Neutral => 0,
        Conclusion::Failure if steps.iter().any(not_judged) => 4,
        Conclusion::Failure | Conclusion::TimedOut => 1,
        Conclusion::Cancelled => 130,
    }
}

/// Lets signals stop the run: the first politely, the next at once.
fn listen(stop: &Arc<Stopper>) -> Result<(), Failure> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut listening = signal(kind).map_err(|error| {
            host(format!("signals cannot be heard: {error}"), "raise the limit on open files")
        })?;
        let stop = Arc::clone(stop);
        tokio::spawn(async move {
            while listening.recv().await.is_some() {
                stop.insist(Why::Asked);
            }
        });
    }
    Ok(())
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
