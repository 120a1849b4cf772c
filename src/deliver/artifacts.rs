//! Uploading what a record keeps: archives are made while they are sent, and a record says what became of each.
//!
//! It reads the record alone. What goes wrong is a value: the verdict stands, and what is left can be tried again.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::archive::{self, ArchiveError, Entry, Form, Packed};
use crate::deliver::publish::{Cancelled, cancelled};
use crate::github::results::access::Access;
use crate::github::results::error::ResultsError;
use crate::github::results::server::{Item, Server};
use crate::github::results::service::Service;
use crate::github::results::{PIECE, Stream, Wanted, Whole};
use crate::id::Sha256;
use crate::journal::entry::Entry as JournalEntry;
use crate::journal::file::{Journal, JournalError};
use crate::manifest::model::Archive;
use crate::record::artifact::{
    ArtifactDelivery, ArtifactRecord, ArtifactState, LIST_SCHEMA, LISTS, List, Uploaded,
};

/// How long all uploads of a run may take.
const TIME: Duration = Duration::from_mins(30);

/// How long they may take when the run was cancelled. The check run's last word has its own time beside this.
const HURRY: Duration = Duration::from_secs(2);

/// Pieces of an archive that wait to be sent.
const WAITING: usize = 2;

/// Time between two words about how far an upload is.
const TICK: Duration = Duration::from_millis(200);

/// Largest list of files that is read, in bytes: a million files with long paths.
const MAX_LIST: u64 = 1 << 30;

/// Where to, and what shortens it.
pub struct Delivering<'a> {
    /// The service.
    pub access: &'a Access,
    /// The record's folder.
    pub folder: &'a Path,
    /// Address of the page of an artifact but for its id, where it is known.
    pub page: Option<String>,
    /// Whether the run was cancelled.
    pub cancelled: Cancelled,
    /// Told how many bytes of an archive have arrived.
    pub progress: &'a mut (dyn FnMut(&ArtifactRecord, u64) + Send),
    /// Where it is written down what is about to become visible, and then by which id it is.
    pub journal: Option<&'a Journal>,
}

/// Uploads every artifact of `artifacts` that is owed, one after another, and notes what became of it.
pub async fn deliver(artifacts: &mut [ArtifactRecord], mut delivering: Delivering<'_>) {
    let hurried = *delivering.cancelled.borrow();
    let deadline = Instant::now() + if hurried { HURRY } else { TIME };
    for artifact in artifacts.iter_mut().filter(|artifact| artifact.is_owed()) {
        let mut signal = delivering.cancelled.clone();
        let uploading = delivering.one(artifact, deadline);
        let result = if hurried {
            uploading.await
        } else {
            tokio::select! {
                biased;
                () = cancelled(&mut signal) => Err(Failed::Cancelled),
                result = uploading => result,
            }
        };
        match result {
            Ok(done) => {
                artifact.size = done.whole.map(|whole| whole.bytes).or(artifact.size);
                artifact.sha256 = done.whole.map(|whole| whole.sha256).or(artifact.sha256);
                let url =
                    done.id.as_ref().zip(delivering.page.as_ref()).map(|(id, page)| format!("{page}{id}"));
                artifact.delivery =
                    ArtifactDelivery { state: Uploaded::Delivered, id: done.id, url, reason: None };
            }
            Err(why) => artifact.delivery = ArtifactDelivery::because(Uploaded::Failed, why.text()),
        }
    }
}

/// An artifact that was uploaded.
struct Done {
    /// Absent where the service gives none.
    id: Option<String>,
    /// Absent where there is no archive.
    whole: Option<Whole>,
}

/// Why an artifact was not uploaded.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("its files in the record cannot be used: {0}")]
    Files(String),
    #[error("its archive could not be made")]
    Archive(#[source] ArchiveError),
    #[error(transparent)]
    Service(#[from] ResultsError),
    #[error("what is about to happen could not be written down")]
    Journal(#[source] JournalError),
    #[error("the run was cancelled")]
    Cancelled,
}

impl Failed {
    fn text(&self) -> String {
        let text = crate::http::error::chain(self);
        match self {
            Self::Service(error) => format!("{text}; {}", error.remedy()),
            Self::Files(_) | Self::Archive(_) | Self::Journal(_) | Self::Cancelled => text,
        }
    }
}

impl Delivering<'_> {
    async fn one(&mut self, artifact: &ArtifactRecord, deadline: Instant) -> Result<Done, Failed> {
        let root = self.folder.join(artifact.folder());
        let contents = Contents::read(root, artifact).map_err(Failed::Files)?;
        let sent = Arc::new(AtomicU64::new(0));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let access = self.access.clone();
        let journal = self.journal;
        let uploading = async {
            match &access {
                Access::Service(service) => {
                    to_service(service, artifact, contents, Arc::clone(&sent), journal, deadline).await
                }
                Access::Server(server) => {
                    to_server(server, artifact, contents, Arc::clone(&sent), self.folder, deadline).await
                }
            }
        };
        tokio::pin!(uploading);
        loop {
            tokio::select! {
                biased;
                result = &mut uploading => return result,
                _ = ticks.tick() => (self.progress)(artifact, sent.load(Ordering::Relaxed)),
            }
        }
    }
}

async fn to_service(
    service: &Service,
    artifact: &ArtifactRecord,
    contents: Contents,
    sent: Arc<AtomicU64>,
    journal: Option<&Journal>,
    deadline: Instant,
) -> Result<Done, Failed> {
    // What an earlier delivery has finished, and lost the answer, is there already.
    if let Some(sha256) = artifact.sha256
        && let Some(id) = service.find(&artifact.name, sha256, deadline).await?
    {
        return Ok(Done { id: Some(id), whole: None });
    }
    let wanted = wanted(artifact);
    let (stream, packing) = stream(contents);
    let mut refused = None;
    let last = |whole: Whole| {
        let Whole { bytes, sha256 } = whole;
        let intent = JournalEntry::ArtifactIntent { name: artifact.name.clone(), sha256, bytes };
        journal.map_or(Ok(()), |journal| journal.write(&intent)).map_err(|error| {
            refused = Some(error);
            ResultsError::NoArchive
        })
    };
    let uploaded = service.upload(&wanted, stream, sent, last, deadline).await;
    // Why an archive could not be made is known to who made it. The pieces have nowhere to go by now, so this ends soon.
    let packed = packing.await.unwrap_or(Err(ArchiveError::Worker));
    match (uploaded, packed, refused) {
        (Ok(receipt), ..) => {
            let known = JournalEntry::ArtifactReceipt { name: artifact.name.clone(), id: receipt.id.clone() };
            // The artifact is there; that the journal does not say so is found by whoever writes to it next.
            let _ = journal.map(|journal| journal.write(&known));
            Ok(Done { id: Some(receipt.id), whole: Some(receipt.whole) })
        }
        (Err(_), _, Some(error)) => Err(Failed::Journal(error)),
        (Err(ResultsError::NoArchive), Err(why), None) => Err(Failed::Archive(why)),
        (Err(error), ..) => Err(error.into()),
    }
}

async fn to_server(
    server: &Server,
    artifact: &ArtifactRecord,
    contents: Contents,
    sent: Arc<AtomicU64>,
    folder: &Path,
    deadline: Instant,
) -> Result<Done, Failed> {
    let wanted = wanted(artifact);
    let item = |entry: &Entry| Item {
        path: entry.path.clone(),
        file: contents.root.join(&entry.path),
        size: entry.size,
    };
    match contents.form {
        // This service packs files when somebody fetches them.
        Form::Zip { .. } | Form::Plain => {
            let items = contents.entries.iter().map(item).collect();
            server.upload(&wanted, items, sent, deadline).await?;
            Ok(Done { id: None, whole: None })
        }
        Form::TarZst { .. } => {
            // It asks for sizes first, so that this archive has to lie on the disk for a while.
            let archive =
                tempfile::NamedTempFile::new_in(folder).map_err(|error| Failed::Files(error.to_string()))?;
            let (path, mut out) = (archive.path().to_owned(), archive.as_file().try_clone());
            let packed = tokio::task::spawn_blocking(move || {
                let out = out.as_mut().map_err(|error| ArchiveError::Write(io::Error::from(error.kind())))?;
                archive::pack(contents.form, &contents.root, &contents.entries, out)
            });
            let packed = packed.await.unwrap_or(Err(ArchiveError::Worker)).map_err(Failed::Archive)?;
            let item = Item { path: artifact.tar_name(), file: path, size: packed.bytes };
            server.upload(&wanted, vec![item], sent, deadline).await?;
            Ok(Done { id: None, whole: Some(Whole { bytes: packed.bytes, sha256: packed.sha256 }) })
        }
    }
}

fn wanted(artifact: &ArtifactRecord) -> Wanted {
    Wanted {
        name: artifact.name.clone(),
        media_type: form(artifact).media_type(),
        retention_days: artifact.packing.retention_days,
        overwrite: artifact.packing.overwrite,
    }
}

/// The form of an artifact's archive.
const fn form(artifact: &ArtifactRecord) -> Form {
    let level = artifact.packing.compression_level;
    match artifact.packing.archive {
        Archive::Zip => Form::Zip { level },
        Archive::TarZst => Form::TarZst { level },
        Archive::None => Form::Plain,
    }
}

/// What an artifact in a record holds.
struct Contents {
    root: PathBuf,
    form: Form,
    entries: Vec<Entry>,
}

impl Contents {
    /// Reads the list of files of `artifact`, which must be the one that was written when it was kept.
    fn read(root: PathBuf, artifact: &ArtifactRecord) -> Result<Self, String> {
        let form = form(artifact);
        for name in LISTS {
            let path = root.join(name);
            let Ok(file) = File::open(&path) else { continue };
            let mut text = Vec::new();
            file.take(MAX_LIST).read_to_end(&mut text).map_err(|error| format!("{name}: {error}"))?;
            if artifact.manifest_sha256 != Some(Sha256::of(&text)) {
                continue;
            }
            let list: List = serde_json::from_slice(&text).map_err(|error| format!("{name}: {error}"))?;
            if list.schema != LIST_SCHEMA {
                return Err(format!("{name} is of the form {:?}", list.schema));
            }
            let entries = list.files.into_iter().map(|file| {
                let mode = u32::from_str_radix(&file.mode, 8).unwrap_or(0o644);
                Entry { path: file.path, size: file.size, mode, link: file.link }
            });
            let mut entries: Vec<Entry> = entries.collect();
            if form != Form::Plain {
                entries.push(Entry {
                    path: name.to_owned(),
                    size: text.len() as u64,
                    mode: 0o644,
                    link: None,
                });
                entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
            }
            return Ok(Self { root, form, entries });
        }
        Err("the list of files is not there, or not as it was written".to_owned())
    }
}

type Packing = tokio::task::JoinHandle<Result<Packed, ArchiveError>>;

/// Has the archive made on a thread of its own, while its pieces are taken.
fn stream(contents: Contents) -> (Stream, Packing) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let (done, whole) = oneshot::channel();
    let packing = tokio::task::spawn_blocking(move || {
        let mut sink = Sink { piece: Vec::with_capacity(PIECE), sender };
        let packed = archive::pack(contents.form, &contents.root, &contents.entries, &mut sink)?;
        sink.finish().map_err(ArchiveError::Write)?;
        // Who takes no more has said why.
        let _ = done.send(Whole { bytes: packed.bytes, sha256: packed.sha256 });
        Ok(packed)
    });
    (Stream { pieces, whole }, packing)
}

/// Cuts an archive into pieces.
struct Sink {
    piece: Vec<u8>,
    sender: mpsc::Sender<Bytes>,
}

impl Sink {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender.blocking_send(piece.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<()> {
        if self.piece.is_empty() { Ok(()) } else { self.send() }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.piece.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.piece.extend_from_slice(taken);
        if self.piece.len() == PIECE {
            self.send()?;
        }
        Ok(taken.len())
    }

    /// Pieces are whole ones, so that nothing is sent before its time.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gets the artifacts of the record in `folder` ready for a later step of the job, which packs them as it likes; only what
/// no zip file can hold is packed here.
pub fn stage(artifacts: &mut [ArtifactRecord], folder: &Path) {
    for artifact in artifacts.iter_mut().filter(|artifact| artifact.state == ArtifactState::Kept) {
        artifact.delivery = match packed_for_later(artifact, folder) {
            Ok(()) => ArtifactDelivery { state: Uploaded::Staged, ..ArtifactDelivery::default() },
            Err(why) => ArtifactDelivery::because(Uploaded::Failed, why.text()),
        };
    }
}

fn packed_for_later(artifact: &mut ArtifactRecord, folder: &Path) -> Result<(), Failed> {
    if artifact.packing.archive != Archive::TarZst {
        return Ok(());
    }
    let contents = Contents::read(folder.join(artifact.folder()), artifact).map_err(Failed::Files)?;
    let written = |error: io::Error| Failed::Archive(ArchiveError::Write(error));
    let place = folder.join(artifact.staged());
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent).map_err(written)?;
    }
    let out = io::BufWriter::new(File::options().write(true).create_new(true).open(&place).map_err(written)?);
    let packed =
        archive::pack(contents.form, &contents.root, &contents.entries, out).map_err(Failed::Archive)?;
    artifact.size = Some(packed.bytes);
    artifact.sha256 = Some(packed.sha256);
    Ok(())
}
