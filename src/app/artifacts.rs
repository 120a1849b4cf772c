//! The artifacts of a run: which way they go, and the way itself.

use std::path::Path;

use tokio::sync::mpsc;

use crate::app::check_run::stored::PublishError;
use crate::app::failure::Failure;
use crate::app::signals;
use crate::app::tell::event_loop;
use crate::deliver::artifacts::{Delivering, deliver, stage};
use crate::deliver::publish::Cancelled;
use crate::environ::Environ;
use crate::event::RunEvent;
use crate::github::host::Host;
use crate::github::repository::Repository;
use crate::github::results::access::Access;
use crate::journal::file::Journal;
use crate::record::Record;
use crate::record::artifact::{ArtifactDelivery, ArtifactRecord, ArtifactState, Uploaded};
use crate::redact::Registry;
use crate::report::record_folder;

/// What becomes of artifacts once they are in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Under Actions they are uploaded.
    Auto,
    /// A later step of the job uploads them.
    Stage,
    /// They stay in the record.
    Keep,
}

/// Where a record is, and who writes down what is done with it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The record's folder.
    pub(super) folder: &'a Path,
    /// The caller's environment.
    pub(super) environ: &'a Environ,
    /// The journal of the run, where it has one.
    pub(super) journal: Option<&'a Journal>,
}

/// Which way they go.
pub(super) enum Road {
    /// They stay.
    None,
    /// A later step of the job has them.
    Stage,
    /// They are uploaded.
    Upload(Access),
    /// They should be uploaded and cannot be, because of this.
    Broken(String),
}

impl Road {
    /// Decides, by what the job was given.
    pub(super) fn of(destination: Destination, environ: &Environ, registry: &Registry) -> Self {
        match destination {
            Destination::Keep => Self::None,
            Destination::Stage => Self::Stage,
            Destination::Auto if !environ.in_actions() => Self::None,
            Destination::Auto => match access(environ, registry) {
                Ok(access) => Self::Upload(access),
                Err(why) => Self::Broken(why),
            },
        }
    }

    /// Notes with each artifact that was kept what is to become of it.
    pub(super) fn announce(&self, artifacts: &mut [ArtifactRecord]) {
        let delivery = match self {
            Self::None => ArtifactDelivery::default(),
            Self::Stage | Self::Upload(_) => {
                ArtifactDelivery { state: Uploaded::Pending, ..ArtifactDelivery::default() }
            }
            Self::Broken(why) => ArtifactDelivery::because(Uploaded::Failed, why.clone()),
        };
        for artifact in artifacts.iter_mut().filter(|artifact| artifact.state == ArtifactState::Kept) {
            artifact.delivery = delivery.clone();
        }
    }

    /// Goes it with the artifacts of `record`, which is in `folder`, and tells how that went.
    pub(super) async fn go(
        self,
        record: &mut Record,
        place: Place<'_>,
        cancelled: Cancelled,
        events: &mpsc::Sender<RunEvent>,
    ) {
        if record.artifacts.is_empty() {
            return;
        }
        match self {
            Self::None | Self::Broken(_) => {}
            Self::Stage => stage(&mut record.artifacts, place.folder),
            Self::Upload(access) => {
                let mut tell = |artifact: &ArtifactRecord, sent| {
                    let (name, of) = (artifact.name.clone(), artifact.bytes);
                    // Only news: when the channel is full there is more urgent news in it.
                    let _ = events.try_send(RunEvent::Uploading { name, sent, of });
                };
                let delivering = Delivering {
                    access: &access,
                    folder: place.folder,
                    page: page(record.repository.as_deref(), place.environ),
                    cancelled,
                    progress: &mut tell,
                    journal: place.journal,
                };
                deliver(&mut record.artifacts, delivering).await;
            }
        }
        let _ = events.send(RunEvent::Uploaded { artifacts: record.artifacts.clone() }).await;
    }
}

/// The service that the job is given, or why there is none, in words.
fn access(environ: &Environ, registry: &Registry) -> Result<Access, String> {
    let host = Host::of_environ(environ).map_err(|error| error.to_string())?;
    Access::of_environ(environ, &host, registry)
        .map_err(|error| format!("{}; {}", error.full_text(), error.remedy()))
}

/// The address of an artifact's page but for its id.
fn page(repository: Option<&str>, environ: &Environ) -> Option<String> {
    let run = environ.text("GITHUB_RUN_ID").filter(|run| run.bytes().all(|byte| byte.is_ascii_digit()))?;
    let repository = Repository::parse(repository?).ok()?;
    Some(Host::of_environ(environ).ok()?.page(&format!("/{repository}/actions/runs/{run}/artifacts/")))
}

/// What is to be said of artifacts that somebody waits for in vain.
pub(super) fn trouble(artifacts: &[ArtifactRecord]) -> impl Iterator<Item = String> {
    artifacts.iter().filter(|artifact| artifact.is_owed()).map(|artifact| {
        let why = artifact.delivery.reason.as_deref().unwrap_or("nobody knows why");
        format!("the artifact {} was not delivered: {why}", artifact.name)
    })
}

/// Uploads what the record in `folder` still owes. Gives back what it owes after that, in words.
///
/// # Errors
/// Fails when the record cannot be read or written.
pub fn publish(folder: &Path, environ: &Environ) -> Result<Vec<String>, PublishError> {
    let registry = crate::app::secrets::registry(environ);
    let unreadable = |source| PublishError::Record { folder: folder.display().to_string(), source };
    let mut record = record_folder::read(folder).map_err(unreadable)?;
    if !record.artifacts.iter().any(ArtifactRecord::is_owed) {
        return Ok(Vec::new());
    }
    let road = match access(environ, &registry) {
        Ok(access) => Road::Upload(access),
        Err(why) => Road::Broken(why),
    };
    if let Road::Broken(why) = &road {
        for artifact in record.artifacts.iter_mut().filter(|artifact| artifact.is_owed()) {
            artifact.delivery = ArtifactDelivery::because(Uploaded::Failed, why.clone());
        }
    }
    event_loop()?.block_on(async {
        let cancelled = signals::cancelled()?;
        let (events, inbox) = mpsc::channel(1);
        // Nobody listens, so that nothing may wait for room.
        drop(inbox);
        let place = Place { folder, environ, journal: None };
        road.go(&mut record, place, cancelled, &events).await;
        Ok::<_, Failure>(())
    })?;
    record_folder::rewrite(folder, &registry, &record).map_err(unreadable)?;
    Ok(trouble(&record.artifacts).collect())
}
