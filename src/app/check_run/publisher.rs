//! Following a run, beside it, with each of its check runs.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::check_run::{CLOSE, fall_back, jobs, together, without_verdict};
use crate::app::code_scanning;
use crate::app::failure::Failure;
use crate::app::journals;
use crate::app::tell::on_a_thread;
use crate::deliver::compose::{Job, Subject};
use crate::deliver::live::Live;
use crate::deliver::outbox::Outbox;
use crate::deliver::publish::{self, Cancelled, Following};
use crate::deliver::remote::Remote;
use crate::environ::Environ;
use crate::event::RunEvent;
use crate::journal::file::Journal;
use crate::plan::model::Plan;
use crate::record::Record;
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
#[derive(Debug)]
pub struct Published {
    /// What the record is to say of it.
    pub delivery: Delivery,
    /// What the journal could not be told, although the delivery may have arrived.
    pub trouble: Option<String>,
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

    /// Says how the run whose `record` is kept in `folder` came out: by its check runs, another way where they are
    /// refused, and to code scanning.
    pub(in crate::app) async fn deliver(
        self,
        record: &Record,
        folder: &Path,
        environ: &Environ,
        registry: &Registry,
        cancelled: &Cancelled,
    ) -> Published {
        let Published { delivery, trouble } = self.finish(jobs(record, folder, registry)).await;
        let mut delivery = fall_back(record, delivery, environ, registry).await;
        delivery.sarif =
            code_scanning::deliver(record, folder, environ, registry, Some(cancelled.clone())).await;
        Published { delivery, trouble }
    }

    /// Says that the run came to nothing because of `failure`.
    pub(in crate::app) async fn close(self, failure: &Failure, registry: &Registry) -> Published {
        let jobs = self.jobs.iter().map(|_| without_verdict(failure, registry)).collect();
        self.finish(jobs).await
    }

    /// Gives each check run its job, and waits until all of them have arrived.
    async fn finish(self, jobs: io::Result<Vec<Job>>) -> Published {
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
