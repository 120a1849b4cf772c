//! Keeping artifacts: when all steps are over, what they leave is copied into the record.
//!
//! The folders that scripts wrote are searched as hostile ones ([`collect`]); what was checked and hashed is what is
//! kept, and from then on nobody can change it. It must not know who will get the artifacts.

mod entry;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::Digest as _;
use tokio::sync::mpsc;

use crate::clock::Timestamp;
use crate::event::RunEvent;
use crate::id::Sha256;
use crate::manifest::model::{Archive, Artifact, ArtifactWhen, OnMissing};
use crate::plan::artifacts::{PlannedArtifact, problem_of_double, problem_of_globs, problem_of_name};
use crate::plan::evaluate::{self, Scope};
use crate::plan::model::Plan;
use crate::record::Conclusion;
use crate::record::artifact::{ArtifactDelivery, ArtifactRecord, ArtifactState, MAX_LEFT_OUT};
use crate::redact::{Registry, Stream};
use crate::run::artifacts::entry::{Entry, alike, below, list, stays_inside};
use crate::run::dispatcher::Host;
use crate::run::stop::{Stopped, Urgency, Why};
use crate::workspace::collect::{self, Caps, Collected, Hidden, Link, Walk, Wanted};
use crate::workspace::files::Beneath;

/// Folders within each other that are entered.
const MAX_DEPTH: usize = 64;

/// How long artifacts may take to be kept once the run was cancelled: the last word of the check run matters more.
const HURRY: Duration = Duration::from_millis(1_500);

/// What a run of `plan` that came to `conclusion` leaves. `steps` is what expressions see of the steps.
pub async fn keep(
    plan: &Plan,
    host: &Host,
    (steps, conclusion): (&Value, Conclusion),
    stopped: Stopped,
    events: &mpsc::Sender<RunEvent>,
) -> Vec<ArtifactRecord> {
    if plan.artifacts.wanted.is_empty() {
        return Vec::new();
    }
    let keeper = Keeper {
        workspace: host.workspace.clone(),
        record: host.record.clone(),
        registry: host.registry.clone(),
        stopped,
        begun: Instant::now(),
        bytes_left: plan.artifacts.max_bytes,
        files_left: plan.artifacts.max_files,
    };
    let tasks = tasks(plan, steps, conclusion);
    let events = events.clone();
    // Copying may take minutes, and signals are heard meanwhile.
    let kept = tokio::task::spawn_blocking(move || keeper.all(tasks, &events)).await;
    kept.unwrap_or_default()
}

/// One artifact, its name and globs known by now.
struct Task {
    name: String,
    globs: Vec<String>,
    planned: PlannedArtifact,
    /// Why it is not kept, whatever is there.
    not: Option<(ArtifactState, String)>,
}

fn tasks(plan: &Plan, steps: &Value, conclusion: Conclusion) -> Vec<Task> {
    let (none, nothing) = (BTreeMap::new(), BTreeMap::new());
    let scope =
        Scope { contexts: &plan.contexts, matrix: &nothing, env: &none, steps, secrets: &none, status: None };
    let mut names = BTreeSet::new();
    let tasks = plan.artifacts.wanted.iter().enumerate().map(|(index, planned)| {
        let name = evaluate::text(&planned.name, &scope);
        let globs: Result<Vec<_>, _> = planned.path.iter().map(|glob| evaluate::text(glob, &scope)).collect();
        let problem = match (&name, &globs) {
            (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
            (Ok(name), Ok(globs)) => {
                problem_of_name(name).or_else(|| problem_of_globs(globs)).or_else(|| {
                    let is_new = names.insert(name.clone());
                    (!is_new).then(|| problem_of_double(name))
                })
            }
        };
        let not =
            problem.map(|why| (ArtifactState::Refused, why)).or_else(|| skipped(planned.when, conclusion));
        // An artifact without a usable name still has to be told of.
        let name = match (name, &not) {
            (Ok(name), Some((ArtifactState::Refused, _))) if problem_of_name(&name).is_some() => None,
            (name, _) => name.ok(),
        };
        Task {
            name: name.unwrap_or_else(|| format!("artifact {}", index + 1)),
            globs: globs.unwrap_or_default(),
            planned: planned.clone(),
            not,
        }
    });
    tasks.collect()
}

fn skipped(when: ArtifactWhen, conclusion: Conclusion) -> Option<(ArtifactState, String)> {
    let (wanted, word) = match (when, conclusion) {
        (ArtifactWhen::Always, _) => return None,
        (ArtifactWhen::Success, conclusion) => {
            (matches!(conclusion, Conclusion::Success | Conclusion::Neutral), "success")
        }
        (ArtifactWhen::Failure, conclusion) => {
            (matches!(conclusion, Conclusion::Failure | Conclusion::TimedOut), "failure")
        }
    };
    (!wanted).then(|| (ArtifactState::Skipped, format!("it is kept on {word} only")))
}

/// Who copies.
struct Keeper {
    workspace: PathBuf,
    record: PathBuf,
    registry: Registry,
    stopped: Stopped,
    begun: Instant,
    bytes_left: u64,
    files_left: u32,
}

/// Why an artifact is not kept.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    /// A glob cannot be used.
    #[error("{0}")]
    Glob(String),
    /// The workspace cannot be read.
    #[error("the workspace cannot be read: {0}")]
    Workspace(String),
    /// It is larger than it may be.
    #[error("{0}; `sandbox.limits` of the command has the limits `artifacts` and `artifact-files`")]
    Limit(String),
    /// A file cannot be copied.
    #[error("{path} could not be copied: {source}")]
    Copy { path: String, source: io::Error },
    /// Its list of files cannot be written.
    #[error("its list of files could not be written: {0}")]
    List(io::Error),
    /// Nobody waits for it any more.
    #[error("the run was cancelled before it was kept")]
    Cancelled,
    /// A secret is in it.
    #[error("{path} holds a known secret, and `mask` is on")]
    Secret { path: String },
    /// `archive: none` is for one file.
    #[error("`archive: none` takes exactly one file, and {0} match")]
    NotOne(usize),
}

/// What was found for an artifact.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    left_out: Vec<String>,
    left_out_count: u64,
    bytes: u64,
    manifest: Option<Sha256>,
}

impl Found {
    fn leave_out(&mut self, why: String) {
        self.left_out_count += 1;
        if self.left_out.len() < MAX_LEFT_OUT {
            self.left_out.push(why);
        }
    }
}

impl Keeper {
    fn all(mut self, tasks: Vec<Task>, events: &mpsc::Sender<RunEvent>) -> Vec<ArtifactRecord> {
        let mut records = Vec::with_capacity(tasks.len());
        for task in tasks {
            let artifact = self.one(task);
            let event = RunEvent::Artifact { at: Timestamp::now(), artifact: Box::new(artifact.clone()) };
            // Nobody listens any more only when the listener has failed, which it says itself.
            let _ = events.blocking_send(event);
            records.push(artifact);
        }
        records
    }

    fn one(&mut self, task: Task) -> ArtifactRecord {
        let folder = self.record.join("artifacts").join(&task.name);
        let mut found = Found::default();
        let (state, reason) = match &task.not {
            Some((state, why)) => (*state, Some(why.clone())),
            None => match self.collect(&task, &folder, &mut found) {
                Err(error) => {
                    // Half of an artifact is none.
                    let _ = std::fs::remove_dir_all(&folder);
                    let Found { left_out, left_out_count, .. } = found;
                    found = Found { left_out, left_out_count, ..Found::default() };
                    (ArtifactState::Refused, Some(error.to_string()))
                }
                Ok(()) if found.entries.is_empty() => Self::empty(&task, &found),
                Ok(()) => (ArtifactState::Kept, alike(&found.entries)),
            },
        };
        self.bytes_left = self.bytes_left.saturating_sub(found.bytes);
        let files = u32::try_from(found.entries.len()).unwrap_or(u32::MAX);
        self.files_left = self.files_left.saturating_sub(files);
        ArtifactRecord {
            name: task.name,
            state,
            reason,
            files: found.entries.len() as u64,
            bytes: found.bytes,
            manifest_sha256: found.manifest,
            left_out: found.left_out,
            left_out_count: found.left_out_count,
            packing: task.planned.packing,
            size: None,
            sha256: None,
            delivery: ArtifactDelivery::default(),
        }
    }

    fn empty(task: &Task, found: &Found) -> (ArtifactState, Option<String>) {
        let mut why = format!("no file matches {}", task.globs.join(", "));
        if found.left_out_count > 0 {
            why = format!("{why} but {} that were left out", found.left_out_count);
        }
        match task.planned.if_no_files_found {
            OnMissing::Error => (ArtifactState::Refused, Some(why)),
            OnMissing::Warn => (ArtifactState::Empty, Some(why)),
            OnMissing::Ignore => (ArtifactState::Empty, None),
        }
    }

    fn collect(&self, task: &Task, folder: &Path, found: &mut Found) -> Result<(), NotKept> {
        let hidden = if task.planned.include_hidden_files { Hidden::Take } else { Hidden::Skip };
        let wanted = Wanted::new(&self.globs(task), hidden).map_err(NotKept::Glob)?;
        let keeps_links = task.planned.packing.archive == Archive::TarZst;
        let wanted = if keeps_links { wanted.with_links() } else { wanted };
        let root =
            Beneath::open(&self.workspace).map_err(|problem| NotKept::Workspace(problem.to_string()))?;
        let caps = Caps { bytes: self.bytes_left, files: self.files_left, depth: MAX_DEPTH };
        let mut walk =
            Walk::new(&root, &wanted, caps).map_err(|errno| NotKept::Workspace(errno.desc().to_owned()))?;
        let base = wanted.root();
        for collected in walk.by_ref() {
            self.go_on()?;
            let path = below(&collected.path, &base).to_owned();
            if let Some(c) = path.chars().find(|c| *c != '/' && Artifact::REFUSED.contains(c)) {
                found.leave_out(format!("{path} has {c:?} in its name, which cannot be unpacked everywhere"));
                continue;
            }
            let entry = self.copy(collected, path, folder, task.planned.mask)?;
            found.bytes += entry.size;
            found.entries.push(entry);
        }
        let (notes, more) = walk.notes();
        if walk.is_cut() {
            let why = notes.last().map_or_else(|| "it is too large".to_owned(), ToString::to_string);
            return Err(NotKept::Limit(why));
        }
        for note in notes {
            found.leave_out(note.to_string());
        }
        found.left_out_count += more as u64;
        for link in walk.links() {
            self.link(link, &base, task.planned.mask, found)?;
        }
        if task.planned.packing.archive == Archive::None && found.entries.len() > 1 {
            return Err(NotKept::NotOne(found.entries.len()));
        }
        if !found.entries.is_empty() {
            found.manifest = Some(list(&task.name, &mut found.entries, folder).map_err(NotKept::List)?);
        }
        Ok(())
    }

    /// Takes a link that stays inside of the artifact.
    fn link(&self, link: &Link, base: &str, mask: bool, found: &mut Found) -> Result<(), NotKept> {
        let path = below(&link.path, base).to_owned();
        let text = format!("{path} {}", link.target);
        if !stays_inside(&path, &link.target)
            || text.chars().any(|c| c != '/' && Artifact::REFUSED.contains(&c))
        {
            found.leave_out(format!("{path} is a symbolic link that leads out of the artifact"));
            return Ok(());
        }
        if mask {
            let mut search = Search::new(&self.registry);
            search.look(text.as_bytes());
            if search.has_found() {
                return Err(NotKept::Secret { path });
            }
        }
        let sha256 = Sha256::of(link.target.as_bytes());
        found.entries.push(Entry { path, size: 0, mode: 0o777, sha256, link: Some(link.target.clone()) });
        Ok(())
    }

    /// The globs, and behind them the one that keeps a record inside the workspace from being taken into itself.
    fn globs(&self, task: &Task) -> Vec<String> {
        let mut globs = task.globs.clone();
        if let Ok(inside) = self.record.strip_prefix(&self.workspace) {
            globs.push(format!("!{}", globset::escape(&inside.to_string_lossy())));
        }
        globs
    }

    fn copy(&self, collected: Collected, path: String, folder: &Path, mask: bool) -> Result<Entry, NotKept> {
        let (size, mode) = (collected.size, collected.mode);
        let mut hasher = sha2::Sha256::new();
        let mut search = mask.then(|| Search::new(&self.registry));
        if let Some(search) = &mut search {
            search.look(path.as_bytes());
            search.end();
        }
        let mut stopped = None;
        let copied = collect::keep(collected, &folder.join(&path), |piece| {
            hasher.update(piece);
            if let Some(search) = &mut search {
                search.look(piece);
            }
            self.go_on().map_err(|why| {
                stopped = Some(why);
                io::Error::from(io::ErrorKind::Interrupted)
            })
        });
        if let Some(why) = stopped {
            return Err(why);
        }
        copied.map_err(|source| NotKept::Copy { path: path.clone(), source })?;
        if search.is_some_and(Search::has_found) {
            return Err(NotKept::Secret { path });
        }
        Ok(Entry { path, size, mode, sha256: Sha256::from(hasher), link: None })
    }

    /// Whether there is time for more.
    fn go_on(&self) -> Result<(), NotKept> {
        let stop = *self.stopped.borrow();
        match stop.urgency {
            Urgency::Kill => Err(NotKept::Cancelled),
            Urgency::Stop if stop.why == Why::Asked && self.begun.elapsed() > HURRY => {
                Err(NotKept::Cancelled)
            }
            Urgency::Go | Urgency::Stop => Ok(()),
        }
    }
}

/// Looks for secrets in bytes that come in pieces.
struct Search {
    stream: Stream,
    out: Vec<u8>,
    found: bool,
}

impl Search {
    fn new(registry: &Registry) -> Self {
        Self { stream: Stream::new(registry), out: Vec::new(), found: false }
    }

    fn look(&mut self, piece: &[u8]) {
        self.out.clear();
        self.stream.push(piece, &mut self.out);
        self.found |= self.stream.has_found();
    }

    /// What follows does not continue what came before.
    fn end(&mut self) {
        self.out.clear();
        self.stream.finish(&mut self.out);
    }

    fn has_found(self) -> bool {
        self.found
    }
}

#[cfg(test)]
mod tests;
