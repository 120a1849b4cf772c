//! Going on until everything was said, or the time for it is up.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::deliver::compose::{Job, Subject};
use crate::deliver::publish::{Api, Cancelled, EACH, HURRY, PAUSE, cancelled};
use crate::deliver::state::{Came, Next, State};
use crate::github::checks::Call;

pub(super) async fn pause(tries: u32, deadline: Instant) {
    if tries > 0 {
        sleep_until(deadline.min(Instant::now() + PAUSE * tries)).await;
    }
}

/// In what time a delivery is to end.
pub(super) struct Ending {
    pub(super) deadline: Instant,
    /// How much of it is kept for the conclusion.
    pub(super) last: Duration,
    /// How long one request may take.
    pub(super) each: Duration,
    /// What may shorten it.
    pub(super) cancelled: Option<Cancelled>,
}

impl Ending {
    pub(super) const fn hurried(deadline: Instant) -> Self {
        Self { deadline, last: Duration::ZERO, each: EACH, cancelled: None }
    }
}

/// Goes on until everything was said, or cannot be.
pub(super) async fn end(
    api: &impl Api,
    subject: &Subject,
    job: &mut Job,
    state: &mut State,
    mut ending: Ending,
) {
    while *state.next() != Next::Nothing {
        let is_last = !matches!(state.next(), Next::Send(_) | Next::Count);
        let deadline = if is_last { ending.deadline } else { ending.deadline - ending.last };
        if Instant::now() >= deadline {
            if is_last {
                return state.end("the time for the delivery was up".to_owned());
            }
            state.hurry("the time for the delivery was up");
            continue;
        }
        let call = match call(api, subject, job, state).await {
            Ok(call) => call,
            Err(why) => {
                state.came(Came::Refused(why));
                continue;
            }
        };
        let (signal, each) = (&mut ending.cancelled, ending.each);
        let tries = state.tries();
        let made = async {
            pause(tries, deadline).await;
            let deadline = deadline.min(Instant::now() + each);
            let made = timeout_at(deadline, api.call(&call, deadline)).await;
            made.unwrap_or_else(|_| Came::Doubt("the time for the delivery was up".to_owned()))
        };
        let came = match signal {
            None => made.await,
            Some(signal) => tokio::select! {
                biased;
                () = cancelled(signal) => Came::Doubt("the run was cancelled".to_owned()),
                came = made => came,
            },
        };
        let refused = state.refused;
        let hurry = ending.cancelled.as_ref().is_some_and(|signal| *signal.borrow());
        state.came(came);
        if state.refused > refused {
            api.refused(state.refused).await;
        }
        if hurry {
            ending.cancelled = None;
            ending.deadline = ending.deadline.min(Instant::now() + HURRY);
            ending.last = Duration::ZERO;
            ending.each = EACH;
            state.hurry("the run was cancelled");
        }
    }
}

/// The request that comes next.
async fn call(api: &impl Api, subject: &Subject, job: &mut Job, state: &State) -> Result<Call, String> {
    let opened = state.opened.as_ref();
    let (id, concluded) = opened.map_or((0, false), |opened| (opened.id, opened.concluded));
    let registry = job.registry().clone();
    Ok(match state.next() {
        Next::Create | Next::Nothing => {
            subject.create("running", "The run has begun.\n".to_owned(), &registry)
        }
        Next::Find => subject.find(api.app_id().await, &registry),
        Next::Send(range) => job
            .batch(id, range.clone(), concluded)
            .map_err(|error| format!("the findings cannot be read: {error}"))?,
        Next::Count => Call::Get { id },
        Next::Conclude => job.conclude(id, state.left_out, state.trouble.as_deref()),
    })
}
