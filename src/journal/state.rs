//! What a journal says, folded: what is known, what is in doubt, and what is still open. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::clock::Timestamp;
use crate::id::Sha256;
use crate::journal::entry::{Entry, Line, Planned, Role, Stopping};
use crate::record::Conclusion;
use crate::sandbox::remains::Process;

/// Whether a check run is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It is not.
    #[default]
    Absent,
    /// Its creation was begun at that time, and nothing more is known.
    Doubt(Timestamp),
    /// It is, by this id of GitHub's.
    There(u64),
}

/// A conclusion, and who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concluded {
    /// The conclusion.
    pub conclusion: Conclusion,
    /// As what the process held the journal that sent it.
    pub by: Role,
}

/// One check run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub presence: Presence,
    /// Annotations that have arrived for certain.
    pub arrived: u64,
    /// Annotations that the server refuses, and that stand among those that have arrived.
    pub refused: usize,
    /// How many annotations were sent of which nothing more is known.
    pub in_doubt: Option<usize>,
    /// A conclusion that was sent, and nothing more is known.
    pub concluding: Option<Concluded>,
    /// The conclusion that it has for certain.
    pub concluded: Option<Concluded>,
}

impl Check {
    /// Whether somebody still waits for its conclusion, or may.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.concluded.is_none() && !matches!(self.presence, Presence::Absent)
    }
}

/// One artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Digest of what is uploaded.
    pub sha256: Sha256,
    /// Its size.
    pub bytes: u64,
    /// The service's id of it, when it is there.
    pub id: Option<String>,
}

/// A child that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The step.
    pub key: String,
    /// The process that watches over it.
    pub process: Process,
    /// Its control group.
    pub cgroup: Option<PathBuf>,
}

/// Everything that a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Number of the last line.
    pub seq: u64,
    /// Number of the last holder.
    pub epoch: u64,
    /// When the last line was written.
    pub last: Option<Timestamp>,
    /// The last holder, and as what it held the file.
    pub owner: Option<(Role, Process)>,
    /// What the run is about.
    pub planned: Option<Planned>,
    /// Children that were started and not seen to end.
    pub commands: BTreeMap<i32, Command>,
    /// Why it was first asked to stop.
    pub stopping: Option<Stopping>,
    /// The verdict, and the digest of the record that tells it.
    pub judged: Option<(Conclusion, Sha256)>,
    /// Check runs, by our ids.
    pub checks: BTreeMap<String, Check>,
    /// Artifacts, by their names.
    pub artifacts: BTreeMap<String, Artifact>,
    /// Whether nothing is left to be done.
    pub is_closed: bool,
}

impl State {
    /// What these lines say.
    #[must_use]
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut state = Self::default();
        lines.into_iter().for_each(|line| state.take(line));
        state
    }

    /// Takes the next line in.
    pub fn take(&mut self, line: &Line) {
        (self.seq, self.epoch, self.last) = (line.seq, line.epoch, Some(line.at));
        match &line.entry {
            Entry::Taken { by, owner } => {
                self.owner = Some((*by, owner.clone()));
                // Whoever takes a journal up again has something to do.
                self.is_closed = false;
            }
            Entry::Planned(planned) => self.planned = Some(planned.clone()),
            Entry::CommandStart { key, process, cgroup } => {
                let command = Command { key: key.clone(), process: process.clone(), cgroup: cgroup.clone() };
                self.commands.insert(process.pid, command);
            }
            Entry::CommandEnd { pid } => {
                self.commands.remove(pid);
            }
            Entry::Stopping { why } => {
                self.stopping.get_or_insert(*why);
            }
            Entry::Judged { conclusion, record } => self.judged = Some((*conclusion, *record)),
            Entry::ArtifactIntent { name, sha256, bytes } => {
                let artifact = Artifact { sha256: *sha256, bytes: *bytes, id: None };
                self.artifacts.insert(name.clone(), artifact);
            }
            Entry::ArtifactReceipt { name, id } => {
                if let Some(artifact) = self.artifacts.get_mut(name) {
                    artifact.id = Some(id.clone());
                }
            }
            Entry::Closed => self.is_closed = true,
            Entry::CreateIntent { check, .. }
            | Entry::Created { check, .. }
            | Entry::Absent { check }
            | Entry::AnnotationsIntent { check, .. }
            | Entry::AnnotationsReceipt { check, .. }
            | Entry::AnnotationsRefused { check, .. }
            | Entry::CompleteIntent { check, .. }
            | Entry::CompleteReceipt { check, .. } => self.take_check(check, line),
            Entry::Unknown => {}
        }
    }

    fn take_check(&mut self, check: &str, line: &Line) {
        let by = self.role();
        let check = self.checks.entry(check.to_owned()).or_default();
        match &line.entry {
            Entry::CreateIntent { name, .. } => {
                check.name.clone_from(name);
                if check.presence == Presence::Absent {
                    check.presence = Presence::Doubt(line.at);
                }
            }
            Entry::Created { id, .. } => check.presence = Presence::There(*id),
            Entry::Absent { .. } => check.presence = Presence::Absent,
            Entry::AnnotationsIntent { count, .. } => check.in_doubt = Some(*count),
            Entry::AnnotationsRefused { refused, .. } => {
                check.refused = *refused;
                check.in_doubt = None;
            }
            Entry::AnnotationsReceipt { arrived, .. } => {
                check.arrived = *arrived;
                check.in_doubt = None;
            }
            Entry::CompleteIntent { conclusion, .. } => {
                check.concluding = Some(Concluded { conclusion: *conclusion, by });
            }
            Entry::CompleteReceipt { conclusion, .. } => {
                check.concluding = None;
                check.concluded = Some(Concluded { conclusion: *conclusion, by });
            }
            _ => {}
        }
    }

    /// As what the last holder held the file.
    #[must_use]
    pub fn role(&self) -> Role {
        self.owner.as_ref().map_or(Role::Run, |(role, _)| *role)
    }

    /// Who else has concluded the check run, where somebody did whose word is the last: only `reconcile` speaks for a
    /// process that it knew to be dead.
    #[must_use]
    pub fn is_final(&self, check: &str) -> bool {
        self.checks
            .get(check)
            .and_then(|check| check.concluded.or(check.concluding))
            .is_some_and(|concluded| concluded.by == Role::Reconcile)
            && self.role() != Role::Reconcile
    }

    /// Whether no check run is open, or may be.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.checks.values().any(Check::is_open)
    }
}

#[cfg(test)]
mod tests;
