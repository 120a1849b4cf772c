//! What a step works on and what is read from it: files by globs, reports and matchers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::id::{RepoPath, Sha256};
use crate::manifest::model::{FindingSource, From, Spanned, Step};
use crate::plan::facts::FileFact;
use crate::plan::globs::Selection;
use crate::plan::make::Making;
use crate::plan::model::{PlannedSource, SourcePlace};

/// Answers that legs of a matrix share: a repository may have a hundred thousand files, and a matrix 256 legs.
#[derive(Debug, Default)]
pub(super) struct Shared {
    selected: BTreeMap<(bool, Vec<String>), Arc<[String]>>,
    matchers: BTreeMap<RepoPath, Result<(Arc<str>, Sha256), String>>,
}

impl Making<'_> {
    /// The files that a step works on.
    pub(super) fn files(&mut self, step: &Step, matrix: &BTreeMap<String, Value>) -> Option<Arc<[String]>> {
        let filter = step.files.as_ref()?;
        let patterns: Vec<String> = filter.globs.iter().filter_map(|glob| self.now(glob, matrix)).collect();
        let question = (filter.changed_only, patterns);
        if let Some(known) = self.shared.selected.get(&question) {
            return Some(Arc::clone(known));
        }
        let selection = match Selection::new(&question.1) {
            Ok(selection) => selection,
            Err(problem) => {
                self.complain("files", filter.span, problem);
                return None;
            }
        };
        let candidates = match (&self.facts.changed, &self.facts.files, filter.changed_only) {
            (Some(Ok(files)), _, true) | (_, Some(Ok(files)), false) => files.as_slice(),
            // That it is not known what has changed is said once for the whole plan.
            (Some(Err(_)) | None, _, true) => &[],
            (_, problem, false) => {
                let reason = problem.as_ref().and_then(|files| files.as_ref().err());
                let reason = reason.map_or("nobody looked", String::as_str);
                self.complain(
                    "files",
                    filter.span,
                    format!("the repository's files are not known: {reason}"),
                );
                return None;
            }
        };
        let selected: Arc<[String]> =
            candidates.iter().filter(|path| selection.matches(path)).cloned().collect();
        self.shared.selected.insert(question, Arc::clone(&selected));
        Some(selected)
    }

    pub(super) fn source(
        &mut self,
        source: &FindingSource,
        matrix: &BTreeMap<String, Value>,
    ) -> Option<PlannedSource> {
        let from = match &source.from {
            From::Stdout => SourcePlace::Stdout,
            From::Stderr => SourcePlace::Stderr,
            From::Both => SourcePlace::Both,
            From::Files(template) => {
                let path = self.now(template, matrix)?;
                let Ok(inside) = RepoPath::from_written(&path) else {
                    let shown: String = path.chars().take(80).collect();
                    let message = format!("{shown:?} is not a path inside the workspace");
                    self.complain("path", template.span, message);
                    return None;
                };
                if let Err(problem) = Selection::new(&[inside.to_string()]) {
                    self.complain("path", template.span, problem);
                    return None;
                }
                SourcePlace::Files(inside.to_string())
            }
        };
        let (matcher, matcher_file) = match &source.matcher {
            None => (None, None),
            Some(path) => {
                let (text, sha256) = self.matcher(path)?;
                (Some(text), Some((path.value.clone(), sha256)))
            }
        };
        let mut errorformat = Vec::new();
        for pattern in &source.errorformat {
            if let Some(problem) = self.facts.unusable_patterns.get(&pattern.value) {
                self.complain("errorformat", pattern.span, problem.clone());
            }
            errorformat.push(pattern.value.clone());
        }
        Some(PlannedSource {
            parser: source.parser.value,
            from,
            errorformat,
            matcher,
            matcher_file,
            tool: source.tool.clone(),
            level: source.level,
            map: source.map.clone(),
            base: source.base.clone(),
            strip: source.strip.clone(),
            if_no_files_found: source.if_no_files_found,
            on_parse_error: source.on_parse_error,
        })
    }

    /// The text and digest of a matcher file that the runner would accept.
    fn matcher(&mut self, path: &Spanned<RepoPath>) -> Option<(Arc<str>, Sha256)> {
        let facts = self.facts;
        let found = self
            .shared
            .matchers
            .entry(path.value.clone())
            .or_insert_with(|| usable_matcher(&path.value, facts.matchers.get(&path.value)))
            .clone();
        found.map_err(|problem| self.complain("matcher", path.span, problem)).ok()
    }
}

fn usable_matcher(path: &RepoPath, fact: Option<&FileFact>) -> Result<(Arc<str>, Sha256), String> {
    match fact {
        Some(FileFact::Found { text: Some(text), sha256, .. }) => Ok((text.as_str().into(), *sha256)),
        Some(FileFact::Problem(problem)) => Err(format!("the matcher file {path} {problem}")),
        Some(FileFact::Found { text: None, .. }) | None => {
            Err(format!("nothing is known about the matcher file {path}"))
        }
    }
}
