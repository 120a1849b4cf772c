//! Making the requests: beside the run while it lasts, and to the end when it is over.
//!
//! Nothing here is waited for by a step. A signal shortens everything: what is open is concluded first.

mod ending;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::deliver::compose::{Job, Subject, progress};
use crate::deliver::live::Live;
use crate::deliver::publish::ending::{Ending, end, pause};
use crate::deliver::state::{Came, Next, Opened, State};
use crate::event::RunEvent;
use crate::github::checks::Call;
use crate::record::Conclusion;
use crate::record::delivery::{Delivered, Delivery};
use crate::redact::Registry;

/// How long a delivery may take once the run is over.
const TIME: Duration = Duration::from_mins(2);

/// How much of that is kept for the conclusion.
const LAST: Duration = Duration::from_secs(20);

/// How long everything may take once the run was cancelled. The runner kills after 7.5 s.
const HURRY: Duration = Duration::from_millis(4_500);

/// How long one request may take then, so that there is time for a second try.
const EACH: Duration = Duration::from_millis(1_500);

/// The least that the last word gets when the steps took all the time to stop.
const LEAST: Duration = Duration::from_secs(1);

/// After so long somebody may have taken this process for dead and concluded its check run.
const LONG: Duration = Duration::from_mins(10);

/// Pause before it is looked what came of a request whose answer was lost.
const PAUSE: Duration = Duration::from_millis(500);

/// Who makes the requests.
pub trait Api: Send + Sync {
    /// Makes `call`, which takes no longer than until `deadline`.
    fn call(&self, call: &Call, deadline: Instant) -> impl Future<Output = Came> + Send;

    /// Whether what can be left out should be.
    fn is_pressed(&self) -> bool;

    /// The id of the App that makes the runs, where it is known.
    fn app_id(&self) -> impl Future<Output = Option<u64>> + Send;

    /// Hears that the server refuses an annotation, and has refused so many by now.
    fn refused(&self, _refused: usize) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

impl<A: Api> Api for &A {
    async fn call(&self, call: &Call, deadline: Instant) -> Came {
        (**self).call(call, deadline).await
    }

    fn is_pressed(&self) -> bool {
        (**self).is_pressed()
    }

    async fn app_id(&self) -> Option<u64> {
        (**self).app_id().await
    }

    async fn refused(&self, refused: usize) {
        (**self).refused(refused).await;
    }
}

impl<T: Api> Api for Arc<T> {
    async fn call(&self, call: &Call, deadline: Instant) -> Came {
        self.as_ref().call(call, deadline).await
    }

    fn is_pressed(&self) -> bool {
        self.as_ref().is_pressed()
    }

    async fn app_id(&self) -> Option<u64> {
        self.as_ref().app_id().await
    }

    async fn refused(&self, refused: usize) {
        self.as_ref().refused(refused).await;
    }
}

/// Whether the run was cancelled.
pub type Cancelled = watch::Receiver<bool>;

/// Ends as soon as the run is cancelled; never otherwise.
pub(super) async fn cancelled(signal: &mut Cancelled) {
    if signal.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a publisher needs to follow a run.
#[derive(Debug)]
pub struct Following {
    /// What is published.
    pub subject: Subject,
    /// How the run stands at its begin.
    pub live: Live,
    /// Time between live updates.
    pub progress: Duration,
    /// Events of the run. One that is lost is missed in a live update only.
    pub events: mpsc::Receiver<RunEvent>,
    /// What is to be said in the end.
    pub job: oneshot::Receiver<Job>,
    /// Whether the run was cancelled.
    pub cancelled: Cancelled,
    /// What must not be published.
    pub registry: Registry,
}

/// Creates a check run, keeps it up to date, and concludes it.
pub async fn follow(api: &impl Api, mut following: Following) -> Delivery {
    let begun = Instant::now();
    let mut state = State::new(&following.subject.external_id, false);
    let waiting = wait(api, &mut following, &mut state).await;
    let (job, mut deadline) = match waiting {
        Waited::Over(job) => (job, Instant::now() + TIME),
        Waited::Cancelled(at) => {
            let deadline = at + HURRY;
            let early = following.job_without_record(
                Conclusion::Cancelled,
                "The run was cancelled, and its steps are being stopped.",
            );
            if let Some(mut early) = early {
                state.finish(0);
                end(api, &following.subject, &mut early, &mut state, Ending::hurried(deadline)).await;
            }
            let job = (&mut following.job).await.ok();
            (job, deadline.max(Instant::now() + LEAST))
        }
    };
    let job = job.or_else(|| {
        following.job_without_record(Conclusion::Failure, "rungate broke down before there was a verdict.")
    });
    let Some(mut job) = job else { return Delivery::failed("there is nothing to say") };
    let hurried = *following.cancelled.borrow();
    if hurried {
        deadline = deadline.min(Instant::now() + HURRY);
    }
    // What went wrong before is tried once more with all that is known now.
    if state.opened.is_some() {
        state.trouble = None;
    }
    if !hurried && begun.elapsed() > LONG {
        state.look_again();
    }
    state.finish(job.annotations());
    let last = if hurried { PAUSE } else { LAST };
    let each = if hurried { EACH } else { TIME };
    let ending = Ending { deadline, last, each, cancelled: (!hurried).then(|| following.cancelled.clone()) };
    end(api, &following.subject, &mut job, &mut state, ending).await;
    delivery(state)
}

/// Delivers `job` to a new check run or, with `look`, to the one that an earlier delivery has left.
pub async fn deliver(
    api: &impl Api,
    subject: &Subject,
    job: Job,
    look: bool,
    cancelled: Option<Cancelled>,
) -> Delivery {
    let state = State::new(&subject.external_id, look);
    go_on(api, subject, job, (state, Duration::ZERO), cancelled).await
}

/// Delivers what `state` says is missing of `job`, after a while in which what a dead process has sent may arrive.
pub async fn go_on(
    api: &impl Api,
    subject: &Subject,
    mut job: Job,
    (mut state, wait): (State, Duration),
    mut cancelled: Option<Cancelled>,
) -> Delivery {
    let waited = Instant::now() + wait;
    match &mut cancelled {
        None => sleep_until(waited).await,
        Some(signal) => tokio::select! {
            () = sleep_until(waited) => {}
            () = self::cancelled(signal) => {}
        },
    }
    state.finish(job.annotations());
    let ending = Ending { deadline: Instant::now() + TIME, last: LAST, each: TIME, cancelled };
    end(api, subject, &mut job, &mut state, ending).await;
    delivery(state)
}

fn delivery(state: State) -> Delivery {
    let check_run = if state.is_delivered() { Delivered::Delivered } else { Delivered::Failed };
    let reason = state.trouble.map(|why| match state.left_out {
        0 => why,
        count => format!("{count} annotations are missing: {why}"),
    });
    let (check_run_id, html_url) = state.opened.map_or((None, None), |run| (Some(run.id), run.html_url));
    Delivery {
        check_run,
        check_run_id,
        html_url,
        reason,
        is_refused: state.is_refused,
        instead: None,
        sarif: None,
    }
}

enum Waited {
    Over(Option<Job>),
    /// Since then there is a hurry.
    Cancelled(Instant),
}

/// Opens the check run and tells how the run stands until it is over or cancelled.
async fn wait(api: &impl Api, following: &mut Following, state: &mut State) -> Waited {
    if let Some(waited) = open(api, following, state).await {
        return waited;
    }
    let mut ticks = interval_at(Instant::now() + following.progress, following.progress);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut news, mut events_come) = (false, true);
    loop {
        tokio::select! {
            biased;
            () = cancelled(&mut following.cancelled) => return Waited::Cancelled(Instant::now()),
            job = &mut following.job => return Waited::Over(job.ok()),
            event = following.events.recv(), if events_come => match event {
                Some(event) => {
                    following.live.take(event);
                    news = true;
                }
                None => events_come = false,
            },
            _ = ticks.tick(), if news => {
                news = false;
                let (Some(Opened { id, .. }), false) = (&state.opened, api.is_pressed()) else { continue };
                let (live, registry) = (&following.live, &following.registry);
                let call = progress(*id, &live.title(), live.page(registry), registry);
                tokio::select! {
                    biased;
                    () = cancelled(&mut following.cancelled) => return Waited::Cancelled(Instant::now()),
                    job = &mut following.job => return Waited::Over(job.ok()),
                    // It is news only: when it does not arrive, the next one will.
                    _ = api.call(&call, Instant::now() + following.progress) => {}
                }
            }
        }
    }
}

/// Opens the check run. A creation that is on its way is not broken off at once when the run ends meanwhile: whether it was
/// done would have to be found out.
async fn open(api: &impl Api, following: &mut Following, state: &mut State) -> Option<Waited> {
    let mut waited = None;
    while state.opened.is_none() && *state.next() != Next::Nothing && waited.is_none() {
        let Following { subject, live, job, cancelled: signal, registry, .. } = &mut *following;
        let next = state.next().clone();
        let came = begin(api, subject, &next, state.tries(), live, registry);
        tokio::pin!(came);
        let mut limit = Instant::now() + TIME;
        let mut hurried = false;
        let came = loop {
            tokio::select! {
                biased;
                came = &mut came => break came,
                () = cancelled(signal), if !hurried => {
                    hurried = true;
                    waited.get_or_insert(Waited::Cancelled(Instant::now()));
                    limit = Instant::now() + EACH;
                }
                job = &mut *job, if waited.is_none() => {
                    waited = Some(Waited::Over(job.ok()));
                    limit = Instant::now() + LAST;
                }
                () = sleep_until(limit) => break Came::Doubt("the creation was not answered in time".to_owned()),
            }
        };
        state.came(came);
    }
    waited
}

/// Creates the run, or looks for the one that may have been created.
async fn begin(
    api: &impl Api,
    subject: &Subject,
    next: &Next,
    tries: u32,
    live: &Live,
    registry: &Registry,
) -> Came {
    let deadline = Instant::now() + TIME;
    pause(tries, deadline).await;
    let call = if *next == Next::Find {
        subject.find(api.app_id().await, registry)
    } else {
        subject.create(&live.title(), live.page(registry), registry)
    };
    api.call(&call, deadline).await
}

impl Following {
    fn job_without_record(&self, conclusion: Conclusion, text: &str) -> Option<Job> {
        let text = format!("{text}\n\n{}", self.live.page(&self.registry));
        Job::without_verdict(conclusion, &self.live.title(), text, &[], &self.registry).ok()
    }
}

#[cfg(test)]
pub(super) mod tests;
