//! A run from its request to its record.

mod recorded;
mod trouble;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::app::admit::{self, Consent, Power, SandboxMode};
use crate::app::artifacts::{Destination, Place, Road};
use crate::app::check_run::{self, Publisher, Wanted, Way};
use crate::app::failure::{Failure, host};
use crate::app::folders;
use crate::app::journals::{self, Begun};
use crate::app::load::{Admitted, Site};
use crate::app::reconcile::{self, Looked};
use crate::app::run::trouble::undelivered;
use crate::app::secrets;
use crate::app::signals::listen;
use crate::app::tell::{Telling, event_loop};
use crate::clock::Timestamp;
use crate::deliver::compose::Subject;
use crate::deliver::gates;
use crate::deliver::publish::Cancelled;
use crate::environ::Environ;
use crate::event::RunEvent;
use crate::gate::{self, Ended};
use crate::http::error::chain;
use crate::id::RunId;
use crate::manifest::model::CheckRuns;
use crate::plan::model::Plan;
use crate::record::delivery::{Delivered, Delivery};
use crate::record::{Conclusion, Record};
use crate::report::terminal::Terminal;
use crate::report::{Report, View};
use crate::request::RunRequest;
use crate::run::artifacts;
use crate::run::concurrency::{self, Held, LockError};
use crate::run::confine::{Confined, Ground};
use crate::run::dispatcher::{self, Host};
use crate::run::stop::{Stopped, Stopper, Urgency, Why};
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::confinement::Tier;
use crate::sandbox::spawn::Sandbox;

pub use crate::app::run::trouble::Trouble;

/// How a run is to be made and shown.
#[derive(Debug)]
pub struct Options {
    /// Folder for the record, when one was named.
    pub out: Option<PathBuf>,
    /// How strictly scripts are confined, and what may loosen that.
    pub consent: Consent,
    /// Whether it is posted.
    pub check_run: Wanted,
    /// What becomes of its artifacts.
    pub artifacts: Destination,
    /// How it is shown.
    pub view: View,
}

/// How a run came out.
#[derive(Debug)]
pub struct Outcome {
    /// The record.
    pub record: Record,
    /// What could not be written or delivered. The verdict stands all the same.
    pub trouble: Vec<Trouble>,
    /// Whether a signal came before everything was done, be it after the verdict.
    pub cancelled: bool,
    /// What was closed of dead runs meanwhile.
    pub reconciled: Vec<Looked>,
    /// Whether what is said still reaches somebody. A pipe that nobody empties would hold up whoever writes to it.
    pub watched: bool,
}

/// Runs what `request` asks for.
///
/// # Errors
/// Fails when nothing was judged: the request, the manifest, the policy or the host stood against it.
pub fn run(site: &Site, request: &RunRequest, options: &Options) -> Result<Outcome, Undone> {
    let mut posted = Posted::No;
    attempt(site, request, options, &mut posted).map_err(|failure| {
        let trouble = match posted {
            Posted::No => check_run::post_failure(site, request, options.check_run, &failure),
            Posted::Yes { trouble } => trouble,
        };
        Undone { failure, trouble }
    })
}

/// A run that came to nothing.
#[derive(Debug)]
pub struct Undone {
    /// Why.
    pub failure: Failure,
    /// Why no check run says so, where one should.
    pub trouble: Option<String>,
}

/// Whether a check run tells of a failure.
#[derive(Debug)]
enum Posted {
    No,
    Yes { trouble: Option<String> },
}

fn attempt(
    site: &Site,
    request: &RunRequest,
    options: &Options,
    posted: &mut Posted,
) -> Result<Outcome, Failure> {
    let at_once = admit::steps_at_once()?;
    let Admitted { plan, verdict, sources } = site.admitted(request, site.consider(request)?)?;
    let ground = ground(site, &plan, &options.consent, verdict.power(&site.environ))?;
    Sandbox::prepare_process().map_err(|error| {
        host(
            format!("this process cannot be made the reaper of its children: {error}"),
            "use Linux 3.4 or newer",
        )
    })?;
    let (registry, secrets, mut notes) = secrets::of_plan(&plan, &sources, &site.environ)?;
    notes.splice(0..0, plan.notes.iter().cloned());
    let about = (plan.repository.as_deref(), plan.sha.as_deref());
    let way = Way::of(options.check_run, about, &site.environ, &registry)?;
    notes.extend(way.note(&site.environ));
    let run_id = RunId::fresh();
    let folder = folders::record(options.out.as_deref(), &site.workspace, &site.environ, run_id)?;
    let scratch = folders::Temporary::make(&site.sandbox, &site.environ)?;
    let report =
        Report::create(&folder, &site.workspace, &registry, &plan, &site.environ).map_err(|error| {
            host(
                format!("the record cannot be written: {error}"),
                "free some space, or name another folder with --out",
            )
        })?;
    let terminal = Terminal::new(&folder, &registry, options.view);
    let beside = if site.environ.in_actions() { reconcile::beside(&site.environ) } else { None };
    let making = Making {
        delivery: way.delivery(),
        plan: &plan,
        run_id,
        notes,
        started_at: Timestamp::now(),
        state: folders::state(&site.environ),
        road: Road::of(options.artifacts, &site.environ, &registry),
        host: Host {
            sandbox: site.sandbox.clone(),
            workspace: site.workspace.clone(),
            ground: Arc::new(ground),
            record: folder,
            scratch: scratch.path().to_owned(),
            environ: site.environ.clone(),
            registry,
            secrets,
            at_once,
        },
    };
    event_loop()?.block_on(async {
        let mut outcome = making.make(report, terminal, way, posted).await?;
        if let Some(beside) = beside {
            outcome.reconciled = beside.end().await;
        }
        Ok(outcome)
    })
}

/// How the steps of `plan` are confined, when they may run at all.
fn ground(site: &Site, plan: &Plan, consent: &Consent, power: Power<'_>) -> Result<Ground, Failure> {
    admit::consent(plan, consent, power)?;
    if consent.mode == SandboxMode::Off {
        return Ok(Ground::Open);
    }
    let host = admit::Host { layers: site.sandbox.layers().clone(), cgroups: Cgroups::of_this_host() };
    // What a run that was killed has left is nobody's but ours to remove.
    let _count = host.cgroups.sweep();
    let tier = admit::tier(plan, consent, power, &host)?;
    if tier == Tier::None {
        return Ok(Ground::Open);
    }
    let readable = tool_cache(&site.workspace, &site.environ).into_iter().collect();
    Ok(Ground::Confined(Box::new(Confined { tier, layers: host.layers, cgroups: host.cgroups, readable })))
}

/// The runner's folder of tools, as a real path. Not where it holds the workspace, whose .git it would show.
pub(super) fn tool_cache(workspace: &Path, environ: &Environ) -> Option<PathBuf> {
    let cache = environ.path("RUNNER_TOOL_CACHE")?.canonicalize().ok()?;
    (!workspace.starts_with(&cache)).then_some(cache)
}

/// A run in the making.
struct Making<'a> {
    plan: &'a Plan,
    run_id: RunId,
    notes: Vec<String>,
    started_at: Timestamp,
    /// What the record says of its delivery until it was tried.
    delivery: Delivery,
    /// Which way artifacts go.
    road: Road,
    /// Where locks are.
    state: Result<PathBuf, Failure>,
    host: Host,
}

impl Making<'_> {
    async fn make(
        mut self,
        report: Report,
        terminal: Terminal,
        way: Way,
        posted: &mut Posted,
    ) -> Result<Outcome, Failure> {
        let (stop, stopped) = Stopper::new();
        let stop = Arc::new(stop);
        let cancelled = listen(&stop)?;
        let (folder, environ) = (self.host.record.clone(), self.host.environ.clone());
        let registry = self.host.registry.clone();
        let is_preview = matches!(way, Way::Preview);
        let road = std::mem::replace(&mut self.road, Road::None);
        let publisher = self.publisher(way, &cancelled)?;
        let live = publisher.as_ref().map(|publisher| publisher.events.clone());
        let journal = publisher.as_ref().map(|publisher| Arc::clone(&publisher.journal));
        let (mut telling, events) = Telling::start(report, terminal, &stopped, (live, journal.clone()))?;
        let mut made = self.judged(stop, stopped, &road, &events).await;
        if let Ok((record, _)) = &mut made {
            // The record stands by itself before anything leaves the host.
            telling.complete().await;
            if let Some(journal) = &journal {
                journals::seal(journal, record, &folder);
            }
            let place = Place { folder: &folder, environ: &environ, journal: journal.as_deref() };
            road.go(record, place, cancelled.clone(), &events).await;
        }
        let (mut delivery, mut amiss) = (None, None);
        if let Some(publisher) = publisher {
            let came = match &made {
                Ok((record, _)) => publisher.deliver(record, &folder, &environ, &registry, &cancelled).await,
                Err(failure) => {
                    let came = publisher.close(failure, &registry).await;
                    let unsaid = came.delivery.check_run != Delivered::Delivered;
                    *posted = Posted::Yes { trouble: came.delivery.reason.clone().filter(|_| unsaid) };
                    came
                }
            };
            amiss = came.trouble;
            let _ = events.send(RunEvent::Delivered { delivery: came.delivery.clone() }).await;
            delivery = Some(came.delivery);
        }
        drop(events);
        let told = telling.finish().await?;
        let (mut record, unkept) = made?;
        let mut trouble: Vec<Trouble> = unkept.into_iter().map(Trouble::from).collect();
        trouble.extend(told.trouble.iter().map(Trouble::from));
        trouble.extend(amiss.map(Trouble::from));
        if is_preview {
            let shown = check_run::preview(&record, &folder, &environ, &registry).await;
            let unshown = shown.err().map(|error| format!("the requests could not be shown: {error}"));
            trouble.extend(unshown.map(Trouble::from));
        }
        record.delivery = delivery.unwrap_or(record.delivery);
        trouble.extend(undelivered(&record, &folder));
        let cancelled = *cancelled.borrow();
        Ok(Outcome { record, trouble, cancelled, reconciled: Vec::new(), watched: told.watched })
    }

    /// Starts what posts the run, where it is to be posted.
    fn publisher(&mut self, way: Way, cancelled: &Cancelled) -> Result<Option<Publisher>, Failure> {
        let (Way::Remote(remote), Some(sha)) = (way, self.plan.sha.clone()) else { return Ok(None) };
        let begun = Begun {
            run: self.run_id,
            name: &self.plan.name,
            sha: &sha,
            folder: &self.host.record,
            at: self.started_at,
            timeout: self.plan.timeout,
        };
        let journal = match journals::begin(&self.state, &begun, &remote, &self.host.registry) {
            Ok(journal) => journal,
            Err(why) => {
                self.delivery = Delivery::failed(why);
                return Ok(None);
            }
        };
        let plan = check_run::plan_of(self.plan, &self.host.environ);
        let whole = Subject {
            name: plan.name,
            head_sha: sha,
            external_id: self.run_id.to_string(),
            details_url: plan.details_url,
            started_at: self.started_at,
        };
        let subjects = match plan.check_runs {
            CheckRuns::Command => vec![whole],
            CheckRuns::Gates => {
                let named = self.plan.gates.iter().map(|gate| (gate.id.as_str(), gate.name.as_str()));
                gates::subjects(&whole, named)
            }
        };
        Publisher::start(*remote, subjects, journal, self.plan, &self.host.registry, cancelled).map(Some)
    }

    /// Runs the steps, lets the gates judge, and tells both.
    async fn judged(
        self,
        stop: Arc<Stopper>,
        mut stopped: Stopped,
        road: &Road,
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
        let finished = dispatcher::run(self.plan, &self.host, (stop, stopped.clone()), events.clone()).await;
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
        let so_far = (&finished.context, verdict.conclusion);
        let mut artifacts = artifacts::keep(self.plan, &self.host, so_far, stopped.clone(), events).await;
        road.announce(&mut artifacts);
        let mut verdict = gate::artifacts::with_artifacts(verdict, &artifacts);
        // Who asks while files are copied still asks in time; that artifacts are missing then is no verdict.
        let asked = *stopped.borrow();
        if ended == Ended::Normally && asked.urgency > Urgency::Go && asked.why == Why::Asked {
            verdict.conclusion = Conclusion::Cancelled;
        }
        let _ = events.send(RunEvent::Judged { at: Timestamp::now(), gates: verdict.gates.clone() }).await;
        let trouble = finished.trouble;
        let filtered = finished.filtered;
        let record =
            Record { filtered, ..self.record(finished.steps, verdict, notices.len() as u64, artifacts) };
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
                Err(host(chain(&error), "set RUNGATE_STATE_DIR to a folder that this user can write"))
            }
        }
    }
}
