//! Following a run, beside it, with each of its check runs.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::check_run::{CLOSE, together};
use crate::app::failure::Failure;
use crate::app::journals;
use crate::app::tell::on_a_thread;
use crate::deliver::compose::{Job, Subject};
use crate::deliver::live::Live;
use crate::deliver::outbox::Outbox;
use crate::deliver::publish::{self, Cancelled, Following};
use crate::deliver::remote::Remote;
use crate::event::RunEvent;
use crate::journal::file::Journal;
use crate::plan::model::Plan;
use crate::record::delivery::Delivery;
use crate::redact::Registry;

/// Events that may wait for a live update.
const WAITING: usize = 256;

/// A publisher that follows a run on a thread of its own.
pub(in crate::app) struct Publisher {
    /// Where events go for live updates.
    pub(in crate::app) events: mpsc::Sender<RunEvent>,
    /// What is written down of it.
    pub(in crate::app) journal: Arc<Journal>,
    /// One for each check run.
    jobs: Vec<oneshot::Sender<Job>>,
    published: oneshot::Receiver<Published>,
}

/// What became of a delivery.
pub(in crate::app) struct Published {
    /// What the record is to say of it.
    pub(in crate::app) delivery: Delivery,
    /// What is amiss although it may have arrived.
    pub(in crate::app) trouble: Option<String>,
}

impl Publisher {
    /// Starts it.
    ///
    /// # Errors
    /// Fails when the host is out of descriptors or threads.
    pub(in crate::app) fn start(
        remote: Remote,
        subjects: Vec<Subject>,
        journal: Arc<Journal>,
        plan: &Plan,
        registry: &Registry,
        cancelled: &Cancelled,
    ) -> Result<Self, Failure> {
        let (events, inbox) = mpsc::channel(WAITING);
        let (mut jobs, mut followings, mut inbox) = (Vec::new(), Vec::new(), Some(inbox));
        for subject in subjects {
            let (job, awaited) = oneshot::channel();
            jobs.push(job);
            followings.push(Following {
                subject,
                live: Live::new(&plan.name, plan.steps.iter().map(|step| step.key.clone())),
                progress: plan.report.progress.max(Duration::from_secs(1)),
                // Live updates are said once; the others hear of no event.
                events: inbox.take().unwrap_or_else(|| mpsc::channel(1).1),
                job: awaited,
                cancelled: cancelled.clone(),
                registry: registry.clone(),
            });
        }
        let own = Arc::clone(&journal);
        let published = on_a_thread(follow_all(Arc::new(remote), own, followings))?;
        Ok(Self { events, journal, jobs, published })
    }

    /// How many check runs there are.
    pub(in crate::app) const fn count(&self) -> usize {
        self.jobs.len()
    }

    /// Says how the run came out, and waits until that has arrived.
    pub(in crate::app) async fn finish(self, jobs: io::Result<Vec<Job>>) -> Published {
        for (sender, job) in self.jobs.into_iter().zip(jobs.into_iter().flatten()) {
            // Who follows no more has said why. Who gets no job says that there is no verdict.
            drop(sender.send(job));
        }
        drop(self.events);
        let broken = || Delivery::failed("the publisher broke down");
        self.published.await.unwrap_or_else(|_| Published { delivery: broken(), trouble: None })
    }
}

/// Follows a run with each of its check runs, all at the same time.
async fn follow_all(remote: Arc<Remote>, journal: Arc<Journal>, followings: Vec<Following>) -> Published {
    let mut all = JoinSet::new();
    for (place, following) in followings.into_iter().enumerate() {
        let id = following.subject.external_id.clone();
        let outbox = Outbox::new(Arc::clone(&remote), Arc::clone(&journal), id);
        all.spawn(async move {
            let delivery = publish::follow(&outbox, following).await;
            (place, delivery, outbox)
        });
    }
    let (mut deliveries, mut trouble) = (BTreeMap::new(), None);
    while let Some(ended) = all.join_next().await {
        let Ok((place, delivery, outbox)) = ended else { continue };
        deliveries.insert(place, delivery);
        trouble = trouble.or(journals::end(outbox, &journal));
    }
    remote.client.close(Instant::now() + CLOSE).await;
    Published { delivery: together(deliveries.into_values()), trouble }
}
