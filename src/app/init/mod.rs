//! A first manifest and a first workflow for a repository, from what is found in it.
//!
//! What is written runs at once: a step whose tool this host lacks is written down and commented out. Nothing that exists
//! is changed.

mod manifest;
mod steps;
mod workflow;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::app::failure::{Failure, host};
use crate::app::folders::create_here;
use crate::app::load::{DEFAULT_MANIFEST, Site};
use crate::workspace::survey;

/// Where the workflow goes.
pub const WORKFLOW: &str = ".github/workflows/rungate.yml";

/// A file that was written, or that would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its path in the repository.
    pub path: &'static str,
    /// Its text.
    pub text: String,
}

/// What a repository begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The files.
    pub drafts: Vec<Draft>,
    /// What is worth knowing about them: what was left out, and why.
    pub notes: Vec<String>,
}

/// Drafts the files for the repository at `site`, and writes nothing.
///
/// # Errors
/// Fails when that is not the top of a repository, or when its files cannot be listed.
pub fn draft(site: &Site) -> Result<Beginning, Failure> {
    if let Some(top) = survey::top_above(&site.workspace) {
        return Err(Failure::Usage {
            message: format!(
                "{} lies in the repository {}, and GitHub reads workflows at its top only",
                site.workspace.display(),
                top.display()
            ),
            help: Some(format!("run it there: rungate init --workspace {}", top.display())),
        });
    }
    let survey = survey::survey(&site.workspace, &site.environ, &site.sandbox).map_err(|problem| {
        host(
            format!("the files of {} cannot be listed: {problem}", site.workspace.display()),
            "name the repository's folder with --workspace",
        )
    })?;
    let steps = steps::steps(&survey);
    let mut notes = survey.notes.clone();
    notes.extend(steps.iter().filter_map(|step| {
        let reason = step.off.as_ref()?;
        Some(format!("the step `{}` is commented out: {reason}", step.id))
    }));
    let mut drafts = vec![Draft { path: DEFAULT_MANIFEST, text: manifest::text(&steps) }];
    match &survey.caller {
        Some(path) => notes.push(format!("{path} calls rungate already, so no workflow is needed")),
        None => drafts.push(Draft { path: WORKFLOW, text: workflow::text(&survey) }),
    }
    Ok(Beginning { drafts, notes })
}

/// Writes `drafts` into the repository at `site`: all of them, or none.
///
/// # Errors
/// Fails when one of them exists, or cannot be written.
pub fn write(site: &Site, drafts: &[Draft]) -> Result<(), Failure> {
    let exists = |draft: &&Draft| site.workspace.join(draft.path).symlink_metadata().is_ok();
    if let Some(draft) = drafts.iter().find(exists) {
        return Err(Failure::Usage {
            message: format!("{} exists, and nothing is overwritten", draft.path),
            help: Some("`rungate init --print` shows what would be written".to_owned()),
        });
    }
    let mut written: Vec<&Draft> = Vec::new();
    for draft in drafts {
        if let Err(error) = write_new(&site.workspace, draft) {
            for draft in written {
                // It was made a moment ago; where it cannot be removed, the next run says that it exists.
                let _ = std::fs::remove_file(site.workspace.join(draft.path));
            }
            return Err(host(
                format!("{} cannot be written: {error}", draft.path),
                "`rungate init --print` shows what would be written",
            ));
        }
        written.push(draft);
    }
    Ok(())
}

/// Writes a file that must not exist, in folders that are no links: a repository could have committed one that leads
/// elsewhere.
fn write_new(workspace: &Path, draft: &Draft) -> io::Result<()> {
    let path = workspace.join(draft.path);
    let folders: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| *folder != workspace).collect();
    for folder in folders.into_iter().rev() {
        create_here(folder)?;
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path)?;
    let result = file.write_all(draft.text.as_bytes());
    if result.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    result
}

#[cfg(test)]
mod tests;
