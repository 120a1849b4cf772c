//! The workspace: its files, its git repository, the host's interpreters, and what GitHub says of the job. Answers a
//! plan's questions, and decides nothing.

pub mod collect;
pub mod files;
mod git;
mod git_folders;
pub mod github;
pub mod interpreters;
mod readable;
pub mod sources;
pub mod survey;
pub mod trusted;
pub mod writable;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::environ::Environ;
use crate::finding::baseline::Baseline;
use crate::id::{RepoPath, Sha256};
use crate::parse::errorformat::Errorformat;
use crate::parse::matcher_file;
use crate::plan::diff::Diff;
use crate::plan::facts::{Facts, FileFact, PathProblem, Questions};
use crate::plan::globs::Selection;
use crate::request::RunRequest;
use crate::sandbox::spawn::Sandbox;
use crate::workspace::files::Beneath;
use crate::workspace::git::{Git, is_sha};

/// Answers `questions` about `workspace`.
#[must_use]
pub fn facts(
    questions: &Questions,
    workspace: &Path,
    environ: &Environ,
    request: &RunRequest,
    sandbox: &Sandbox,
) -> Facts {
    let mut notes = Vec::new();
    let interpreters = interpreters::Place { workspace, environ, sandbox };
    let git = Git::of(workspace, sandbox, environ);
    let event = github::event(environ).unwrap_or_else(|problem| {
        notes.push(problem);
        Value::Null
    });
    let place = Place { workspace, environ, request, git: git.as_ref(), event: &event };
    let root = Beneath::open(workspace);
    let checked_out = place.git.and_then(Git::head);
    let head = place.head(checked_out.as_deref());
    let known_head = head.as_ref().and_then(|head| head.as_deref().ok());
    // A revision that changes are counted from needs no base beside it.
    let wants_base = questions.changed && request.changed_since.is_none();
    let base = (wants_base || request.base.is_some()).then(|| place.base(known_head));
    // One that was named and cannot be used is an error, whoever asks for what has changed.
    let wants_changed = questions.changed || request.changed_since.is_some();
    let changed = wants_changed.then(|| place.changed(base.as_ref(), checked_out.as_deref()));
    let diff = questions.diff.then(|| place.diff(base.as_ref(), known_head));
    let baselines = questions.baselines.iter().map(|path| (path.clone(), baseline(&root, path))).collect();
    let files = (questions.files || !questions.hashes.is_empty()).then(|| place.files());
    let hashes = questions.hashes.iter().map(|globs| (globs.clone(), hash(&root, globs, files.as_ref())));
    Facts {
        scripts: place.scripts(&root, &questions.scripts),
        first_lines: questions
            .scripts
            .iter()
            .filter_map(|path| Some((path.clone(), first_line(&root, path)?)))
            .collect(),
        directories: questions
            .directories
            .iter()
            .map(|path| (path.clone(), beneath(&root).and_then(|root| root.folder(path.as_str()))))
            .collect(),
        shells: questions
            .shells
            .iter()
            .map(|&shell| (shell, interpreters::find(shell, interpreters)))
            .collect(),
        unusable_patterns: questions.patterns.iter().filter_map(|pattern| unusable(pattern)).collect(),
        matchers: questions.matchers.iter().map(|path| (path.clone(), matcher(&root, path))).collect(),
        reads: questions
            .reads
            .iter()
            .map(|path| (path.clone(), readable::resolve(path, workspace, environ)))
            .collect(),
        secrets: questions
            .secrets
            .iter()
            .filter(|name| environ.text(name.as_str()).is_some())
            .cloned()
            .collect(),
        hashes: hashes.collect(),
        files,
        changed,
        diff,
        baselines,
        today: Timestamp::now().day(),
        github: github::context(environ, &event, workspace, known_head),
        runner: github::runner(environ),
        working_tree: checked_out.filter(|tree| known_head.is_some_and(|head| head != tree)),
        head,
        base,
        repository: environ.text("GITHUB_REPOSITORY").map(str::to_owned),
        cpus: std::thread::available_parallelism()
            .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
        notes,
    }
}

/// The workspace, held open, or why it cannot be.
pub type Root = Result<Beneath, PathProblem>;

fn beneath(root: &Root) -> Result<&Beneath, PathProblem> {
    root.as_ref().map_err(Clone::clone)
}

/// Looks at the script at `path`.
fn script(root: &Root, path: &RepoPath) -> FileFact {
    let digest = || -> Result<Sha256, PathProblem> {
        let file = beneath(root)?.file(path.as_str())?;
        Sha256::of_reader(file).map_err(|error| PathProblem::Unreadable(error.to_string()))
    };
    digest().map_or_else(FileFact::Problem, |sha256| FileFact::Found { sha256, text: None, tracked: None })
}

/// Most bytes of a script's first line.
const MAX_FIRST_LINE: usize = 256;

/// The first line of the script at `path`, without its line feed.
fn first_line(root: &Root, path: &RepoPath) -> Option<String> {
    let file = beneath(root).ok()?.file(path.as_str()).ok()?;
    let mut line = Vec::new();
    let mut head = BufReader::with_capacity(MAX_FIRST_LINE, file).take(MAX_FIRST_LINE as u64);
    head.read_until(b'\n', &mut line).ok()?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Some(String::from_utf8_lossy(line).into_owned())
}

/// What is wrong with a pattern of an `errorformat`, if it cannot be used.
fn unusable(pattern: &str) -> Option<(String, String)> {
    let error = Errorformat::compile([pattern]).err()?;
    Some((pattern.to_owned(), error.to_string()))
}

/// Looks at the matcher file at `path`, which is found only where the runner would accept it.
fn matcher(root: &Root, path: &RepoPath) -> FileFact {
    let text = || -> Result<String, PathProblem> {
        let text = files::text(beneath(root)?.file(path.as_str())?, matcher_file::MAX_FILE as u64)?;
        match matcher_file::compile(&text) {
            Ok(_) => Ok(text),
            Err(error) => {
                let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                Err(PathProblem::Unusable(format!("{error}{source}")))
            }
        }
    };
    text().map_or_else(FileFact::Problem, |text| FileFact::Found {
        sha256: Sha256::of(text.as_bytes()),
        text: Some(text),
        tracked: None,
    })
}

/// Largest baseline that is read, in bytes.
const MAX_BASELINE: u64 = 64 << 20;

/// What the baseline at `path` knows, or why that is not known.
///
/// # Errors
/// Says what is there instead.
pub fn baseline(root: &Root, path: &RepoPath) -> Result<Baseline, String> {
    let file =
        beneath(root).and_then(|root| root.file(path.as_str())).map_err(|problem| problem.to_string())?;
    let text = files::text(file, MAX_BASELINE).map_err(|problem| problem.to_string())?;
    Baseline::parse(&text).map_err(|error| format!("cannot be used: {error}"))
}

/// The digest of all files that match `globs`, made as Actions makes it: of their digests, one after another. Empty when
/// there is none.
fn hash(
    root: &Root,
    globs: &[String],
    files: Option<&Result<Vec<String>, String>>,
) -> Result<String, String> {
    let root = beneath(root).map_err(|problem| format!("the workspace {problem}"))?;
    let files = files.ok_or("nobody looked")?.as_ref().map_err(Clone::clone)?;
    let selection = Selection::new(globs)?;
    let mut digests = Vec::new();
    for path in files.iter().filter(|path| selection.matches(path)) {
        match root.file(path) {
            Ok(file) => digests
                .push(Sha256::of_reader(file).map_err(|error| format!("{path} cannot be read: {error}"))?),
            // A link, or a submodule: git tracks them as it tracks files.
            Err(PathProblem::Symlink | PathProblem::WrongKind(_) | PathProblem::Missing) => {}
            Err(problem) => return Err(format!("{path} {problem}")),
        }
    }
    Ok(if digests.is_empty() { String::new() } else { Sha256::of_all(digests).to_string() })
}

/// Where the questions are asked.
struct Place<'a> {
    workspace: &'a Path,
    environ: &'a Environ,
    request: &'a RunRequest,
    git: Option<&'a Git<'a>>,
    event: &'a Value,
}

impl Place<'_> {
    /// The head commit: what was named, else the event's pull request, else what is checked out. What the runner says
    /// counts only where there is no repository to ask.
    fn head(&self, checked_out: Option<&str>) -> Option<Result<String, String>> {
        if let Some(named) = &self.request.sha {
            let commit = match self.git {
                Some(git) => git.commit(named),
                None => Err(format!("{named:?} is not the full id of a commit")),
            };
            // A run may be for a commit that this clone does not hold, but then its id has to be whole.
            return Some(
                commit.or_else(|problem| if is_sha(named) { Ok(named.clone()) } else { Err(problem) }),
            );
        }
        github::at(self.event, "/pull_request/head/sha")
            .filter(|sha| is_sha(sha))
            .or(checked_out)
            .or_else(|| self.environ.text("GITHUB_SHA").filter(|sha| is_sha(sha)))
            .map(|sha| Ok(sha.to_owned()))
    }

    /// The commit that changes are counted from, or why there is none.
    fn base(&self, head: Option<&str>) -> Result<String, String> {
        let git = self.git.ok_or("the workspace is not a git repository")?;
        git.usable()?;
        if let Some(named) = &self.request.base {
            return git.commit(named);
        }
        let head = head.ok_or("there is no head commit")?;
        let events = ["/pull_request/base/sha", "/merge_group/base_sha", "/before"];
        let of_event = events
            .iter()
            .filter_map(|path| github::at(self.event, path))
            .find(|sha| is_sha(sha) && sha.bytes().any(|byte| byte != b'0'));
        if let Some(sha) = of_event {
            return git.commit(sha);
        }
        let named = github::at(self.event, "/repository/default_branch");
        let branch = git.default_branch(named).ok_or("the default branch is not in this clone")?;
        git.merge_base(&branch, head)
    }

    /// Files that changed, or why that is not known.
    fn changed(
        &self,
        base: Option<&Result<String, String>>,
        checked_out: Option<&str>,
    ) -> Result<Vec<String>, String> {
        let git = self.git.ok_or("the workspace is not a git repository")?;
        git.usable()?;
        let since = match (&self.request.changed_since, base) {
            (Some(revision), _) => git.commit(revision)?,
            (None, Some(base)) => base.clone()?,
            (None, None) => return Err("there is no base commit".to_owned()),
        };
        let tree = checked_out.ok_or("nothing is checked out")?;
        // From where the two parted, so that what others did on the base meanwhile does not count.
        git.changed(&git.merge_base(&since, tree)?)
    }

    /// What has changed since the base, line by line, or why that is not known.
    fn diff(&self, base: Option<&Result<String, String>>, head: Option<&str>) -> Result<Diff, String> {
        let git = self.git.ok_or("the workspace is not a git repository")?;
        git.usable()?;
        let since = match (&self.request.changed_since, base) {
            (Some(revision), _) => git.commit(revision)?,
            (None, Some(base)) => base.clone()?,
            (None, None) => self.base(head)?,
        };
        // As for changed files: against the working tree, from where the two parted.
        let tree = Git::head(git).ok_or("nothing is checked out")?;
        git.diff(&git.merge_base(&since, &tree)?)
    }

    /// Files of the repository: what git tracks, else what is there.
    fn files(&self) -> Result<Vec<String>, String> {
        match self.git {
            Some(git) => git.tracked(),
            None => files::walk(self.workspace),
        }
    }

    /// What is at the scripts' paths, and whether git tracks it. Without a repository nobody can say.
    fn scripts(&self, root: &Root, wanted: &BTreeSet<RepoPath>) -> BTreeMap<RepoPath, FileFact> {
        let mut scripts: BTreeMap<RepoPath, FileFact> =
            wanted.iter().map(|path| (path.clone(), script(root, path))).collect();
        let Some(git) = self.git else { return scripts };
        let mut found: Vec<_> =
            scripts.iter_mut().filter(|(_, fact)| matches!(fact, FileFact::Found { .. })).collect();
        if found.is_empty() {
            return scripts;
        }
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        match git.tracked_among(&paths) {
            Ok(known) => {
                for (path, fact) in &mut found {
                    if let FileFact::Found { tracked, .. } = fact {
                        *tracked = Some(known.iter().any(|known| known == path.as_str()));
                    }
                }
            }
            Err(problem) => {
                for (_, fact) in found {
                    *fact = FileFact::Problem(PathProblem::Unreadable(format!(
                        "whether git tracks it is not known ({problem})"
                    )));
                }
            }
        }
        scripts
    }
}
