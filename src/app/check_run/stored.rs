//! Delivering a record that an earlier run has left: from where that one stood, as far as anybody knows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use crate::app::check_run::{CLOSE, Published, Wanted, Way, fall_back, jobs, preview, subjects, together};
use crate::app::code_scanning;
use crate::app::failure::Failure;
use crate::app::folders;
use crate::app::journals::{self, Stored};
use crate::app::policy;
use crate::app::signals;
use crate::app::tell::event_loop;
use crate::deliver::compose::{Job, Subject};
use crate::deliver::outbox::Outbox;
use crate::deliver::publish::{self, Cancelled};
use crate::deliver::remote::Remote;
use crate::environ::Environ;
use crate::id::RunId;
use crate::journal::file::{Journal, JournalError};
use crate::policy::model::{Asked, Verb};
use crate::record::delivery::Delivered;
use crate::redact::Registry;
use crate::report::record_folder;

/// How a stored record is to be delivered.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether it is posted, or only shown.
    pub wanted: Wanted,
    /// Whether there is to be a new check run although there is one.
    pub again: bool,
    /// Whether somebody says that the record is right although it is not what the run has left.
    pub changed: bool,
}

/// Why a stored record was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It cannot be read.
    #[error("failed to read the record in {folder}")]
    Record {
        /// The folder.
        folder: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something that it takes is missing.
    #[error(transparent)]
    Lack(#[from] Failure),
    /// Its journal cannot be used.
    #[error("the journal of its delivery cannot be used")]
    Journal(#[source] JournalError),
    /// Somebody else delivers it at this moment.
    #[error("another process makes this run or delivers its record")]
    Busy,
    /// It is not the record that the run has left.
    #[error("the record in {folder} is not what the run has written")]
    Changed {
        /// The folder.
        folder: String,
    },
    /// A check run that is not to be changed any more.
    #[error("`rungate reconcile` has concluded the check run of this record, because its run was dead")]
    Final,
    /// Standard output took no more.
    #[error("standard output could not be written")]
    Output(#[source] io::Error),
}

impl PublishError {
    /// What to do about it, where the error is not a [`Failure`] with a remedy of its own.
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Record { .. } => {
                Some("name the folder of a run that is over, such as one below .rungate/runs")
            }
            Self::Journal(_) => {
                Some("look at the file; moved away, the record is delivered by what GitHub has of it")
            }
            Self::Busy => Some("wait until it has ended"),
            Self::Changed { .. } => Some("look at what has changed; `--changed` delivers it all the same"),
            Self::Final => {
                Some("`--again` posts a new check run of the same name, which counts from then on")
            }
            Self::Lack(_) | Self::Output(_) => None,
        }
    }
}

/// Delivers the record in `folder`. One that was delivered stays as it is, unless a new check run is asked for.
///
/// # Errors
/// Fails when nothing could be tried. A delivery that was tried and failed is a value.
pub fn publish(folder: &Path, environ: &Environ, options: Options) -> Result<Published, PublishError> {
    let registry = crate::app::secrets::registry(environ);
    let unreadable = |source| PublishError::Record { folder: folder.display().to_string(), source };
    let mut record = record_folder::read(folder).map_err(unreadable)?;
    let untouched = |delivery| Ok(Published { delivery, trouble: None });
    if options.wanted == Wanted::Preview {
        let shown = event_loop()?.block_on(preview(&record, folder, environ, &registry));
        return shown.map_err(PublishError::Output).and_then(|()| untouched(record.delivery));
    }
    let was_delivered =
        record.delivery.check_run == Delivered::Delivered && record.delivery.instead.is_none();
    let was_uploaded = match (&record.check_run.sarif_upload, &record.delivery.sarif) {
        (None, _) => true,
        (Some(_), sarif) => sarif.as_ref().is_some_and(|sarif| sarif.upload == Delivered::Delivered),
    };
    let stays = was_delivered && !options.again;
    if stays && was_uploaded {
        return untouched(record.delivery);
    }
    let about = (record.repository.as_deref(), record.sha.as_deref());
    let asked = Asked { command: Some(record.command.clone()), ..Asked::plain(Verb::Publish) };
    policy::allow(&asked, about.0, environ).map_err(Failure::Policy)?;
    let mut subjects = subjects(&record);
    let (Way::Remote(remote), false) = (Way::of(Wanted::On, about, environ, &registry)?, subjects.is_empty())
    else {
        return untouched(record.delivery);
    };
    let journal = journal(record.run_id, environ, &registry)?;
    let is_final = match &journal {
        Some(journal) => check(journal, &subjects, folder, options)?,
        None => false,
    };
    if is_final && !options.again && !stays {
        return Err(PublishError::Final);
    }
    if is_final || was_delivered {
        // New runs need ids of their own, or they would be taken for the old ones.
        let (old, new) = (record.run_id.to_string(), RunId::fresh().to_string());
        for subject in &mut subjects {
            subject.external_id = subject.external_id.replacen(&old, &new, 1);
        }
    }
    let jobs = jobs(&record, folder, &registry).map_err(unreadable)?;
    let published = event_loop()?.block_on(async {
        let cancelled = signals::cancelled()?;
        let mut published = if stays {
            // Taken up to no purpose; what is not written is done so by the next `reconcile`.
            let _closed_before = journal.as_ref().map(|journal| journal.close());
            Published { delivery: record.delivery.clone(), trouble: None }
        } else {
            let (mut deliveries, mut trouble) = (Vec::new(), None);
            for (subject, job) in subjects.iter().zip(jobs) {
                let one = deliver(&remote, subject, job, journal.clone(), cancelled.clone()).await;
                deliveries.push(one.delivery);
                trouble = trouble.or(one.trouble);
            }
            let mut published = Published { delivery: together(deliveries), trouble };
            published.delivery = fall_back(&record, published.delivery, environ, &registry).await;
            published.delivery.sarif.clone_from(&record.delivery.sarif);
            published
        };
        remote.client.close(Instant::now() + CLOSE).await;
        if !was_uploaded || options.again {
            published.delivery.sarif =
                code_scanning::deliver(&record, folder, environ, &registry, Some(cancelled)).await;
        }
        Ok::<_, Failure>(published)
    })?;
    record.delivery = published.delivery.clone();
    record_folder::rewrite(folder, &registry, &record).map_err(unreadable)?;
    Ok(published)
}

/// The journal of `run`, held from now on; nothing where it has none.
fn journal(run: RunId, environ: &Environ, registry: &Registry) -> Result<Option<Arc<Journal>>, PublishError> {
    // Without a folder for state there is no journal either.
    let Ok(state) = folders::state(environ) else { return Ok(None) };
    match journals::stored(&state, run, registry).map_err(PublishError::Journal)? {
        Stored::None => Ok(None),
        Stored::Busy => Err(PublishError::Busy),
        Stored::Ours(journal) => Ok(Some(journal)),
    }
}

/// Whether the journal says that one of the check runs is final. Fails when the record is not the one that it knows.
fn check(
    journal: &Journal,
    subjects: &[Subject],
    folder: &Path,
    options: Options,
) -> Result<bool, PublishError> {
    let state = journal.state();
    let unreadable = |source| PublishError::Record { folder: folder.display().to_string(), source };
    let digest = journals::digest(folder).map_err(unreadable)?;
    if state.judged.is_none_or(|(_, known)| known != digest) && !options.changed {
        return Err(PublishError::Changed { folder: folder.display().to_string() });
    }
    Ok(subjects.iter().any(|subject| state.is_final(&subject.external_id)))
}

async fn deliver(
    remote: &Remote,
    subject: &Subject,
    job: Job,
    journal: Option<Arc<Journal>>,
    cancelled: Cancelled,
) -> Published {
    let Some(journal) = journal else {
        let delivery = publish::deliver(remote, subject, job, true, Some(cancelled)).await;
        return Published { delivery, trouble: None };
    };
    let outbox = Outbox::new(remote, Arc::clone(&journal), subject.external_id.clone());
    let from = outbox.resume();
    let delivery = publish::go_on(&outbox, subject, job, from, Some(cancelled)).await;
    Published { delivery, trouble: journals::end(outbox, &journal) }
}
