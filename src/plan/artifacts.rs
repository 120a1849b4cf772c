//! Artifacts of a command: what of them is known before anything runs, and the rules that their names and globs keep
//! whenever they become known.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::id::RepoPath;
use crate::manifest::diagnostic::Span;
use crate::manifest::model::{Artifact, ArtifactWhen, OnMissing};
use crate::plan::confine;
use crate::plan::globs::Selection;
use crate::plan::make::Making;
use crate::plan::model::Text;
use crate::record::artifact::Packing;

/// Longest name, in bytes: it is a folder's name in the record.
const MAX_NAME: usize = 200;

/// All artifacts of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ArtifactsPlan {
    /// Most bytes of all together.
    pub max_bytes: u64,
    /// Most files of all together.
    pub max_files: u32,
    /// The artifacts, in the order of the manifest.
    pub wanted: Vec<PlannedArtifact>,
}

/// One artifact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedArtifact {
    /// Its name.
    pub name: Text,
    /// Globs from the workspace; one that begins with `!` takes files away again.
    pub path: Vec<Text>,
    /// After which result it is kept.
    pub when: ArtifactWhen,
    /// What it means when nothing matches.
    pub if_no_files_found: OnMissing,
    /// Whether names that begin with a dot are taken.
    pub include_hidden_files: bool,
    /// Whether its files are searched for secrets first.
    pub mask: bool,
    /// How it is packed and kept.
    #[serde(flatten)]
    pub packing: Packing,
}

/// Why `name` cannot be an artifact's name, if so.
#[must_use]
pub fn problem_of_name(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("an artifact's name cannot be empty".to_owned());
    }
    if matches!(name, "." | "..") {
        return Some(format!("an artifact cannot be called `{name}`"));
    }
    if name.len() > MAX_NAME {
        return Some(format!("an artifact's name has at most {MAX_NAME} bytes"));
    }
    name.chars()
        .find(|c| Artifact::REFUSED.contains(c) || c.is_control())
        .map(|c| format!("an artifact's name cannot hold {:?}", c.to_string()))
}

/// Why `globs` cannot say what an artifact holds, if so.
#[must_use]
pub fn problem_of_globs(globs: &[String]) -> Option<String> {
    for glob in globs {
        let bare = glob.strip_prefix('!').unwrap_or(glob);
        // A glob keeps the rules of a path; what it matches lies inside because the walk never leaves.
        if RepoPath::from_written(bare).is_err() {
            let shown: String = glob.chars().take(80).collect();
            return Some(format!("{shown:?} is not a path inside the workspace"));
        }
    }
    Selection::new(globs).err()
}

/// Two artifacts of one name.
#[must_use]
pub fn problem_of_double(name: &str) -> String {
    format!("two artifacts are called {name:?}")
}

impl Making<'_> {
    /// The artifacts of the command.
    pub(super) fn artifacts(&mut self) -> ArtifactsPlan {
        let (manifest, command) = (self.manifest, self.command);
        let (sandbox, _) = confine::settle(&[&manifest.sandbox, &command.sandbox], command.timeout);
        let mut names: BTreeMap<String, Span> = BTreeMap::new();
        let mut wanted = Vec::new();
        for artifact in &command.artifacts {
            let planned = self.artifact(artifact);
            if let Some(Text::Known(name)) = planned.as_ref().map(|planned| &planned.name)
                && names.insert(name.clone(), artifact.span).is_some()
            {
                self.complain("duplicate-id", artifact.name.span, problem_of_double(name));
            }
            wanted.extend(planned);
        }
        ArtifactsPlan {
            max_bytes: sandbox.limits.artifacts,
            max_files: sandbox.limits.artifact_files,
            wanted,
        }
    }

    fn artifact(&mut self, artifact: &Artifact) -> Option<PlannedArtifact> {
        let none = BTreeMap::new();
        let name = self.text(&artifact.name, &none);
        if let Some(Text::Known(known)) = &name
            && let Some(problem) = problem_of_name(known)
        {
            self.complain("invalid-name", artifact.name.span, problem);
        }
        let mut path = Vec::new();
        for glob in &artifact.path {
            let text = self.text(glob, &none)?;
            if let Text::Known(known) = &text
                && let Some(problem) = problem_of_globs(std::slice::from_ref(known))
            {
                self.complain("path", glob.span, problem);
            }
            path.push(text);
        }
        Some(PlannedArtifact {
            name: name?,
            path,
            when: artifact.when,
            if_no_files_found: artifact.if_no_files_found,
            include_hidden_files: artifact.include_hidden_files,
            mask: artifact.mask,
            packing: Packing {
                archive: artifact.archive,
                compression_level: artifact.compression_level,
                retention_days: artifact.retention_days,
                overwrite: artifact.overwrite,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_service_or_a_folder_cannot_have_are_refused_in_words() {
        for good in ["report", "test results (1)", "é", "a.b", "..."] {
            assert_eq!(problem_of_name(good), None, "{good:?}");
        }
        for bad in ["", "  ", ".", "..", "a/b", "a\\b", "a:b", "a\nb", "a\rb", "a\u{1b}b", "a?", "\"", "a\0"]
        {
            assert!(problem_of_name(bad).is_some(), "{bad:?}");
        }
        assert!(problem_of_name(&"a".repeat(MAX_NAME + 1)).unwrap().contains("200 bytes"));
    }

    #[test]
    fn globs_stay_inside_the_workspace() {
        let problem = |glob: &str| problem_of_globs(&[glob.to_owned()]);
        for good in ["a", "build/**", "!build/*.o", "./a", "a[bc]"] {
            assert_eq!(problem(good), None, "{good:?}");
        }
        for bad in ["../a", "/etc/passwd", "a/../../b", "!../a", "", "a["] {
            assert!(problem(bad).is_some(), "{bad:?}");
        }
    }
}
