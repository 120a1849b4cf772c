//! A look at a repository that has no manifest yet: what it consists of, and which of the tools for it this host has.
//!
//! The look is bounded, follows no links, and takes what git does not ignore. It decides nothing: what becomes of the facts
//! is up to whoever asked.

mod host;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::environ::Environ;
use crate::sandbox::spawn::Sandbox;
use crate::workspace::files::{self, Beneath};
use crate::workspace::git::Git;
use crate::workspace::interpreters::Place;

pub use host::{Host, Tool};

/// Folders of what others wrote, or what is made anew. What lies in them is not the repository's own.
pub const FOREIGN: [&str; 8] =
    ["vendor", "third_party", "node_modules", "target", "dist", ".venv", "venv", "site-packages"];

/// Most files without an extension whose first line is read.
const MAX_FIRST_LINES: usize = 2_000;

/// Most scripts that are named one by one.
const MAX_NAMED: usize = 20;

/// Most workflows that are read.
const MAX_WORKFLOWS: usize = 50;

/// Most bytes of a file of settings.
const MAX_SETTINGS: u64 = 1 << 20;

/// What a repository consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about a repository, none of them a state"
)]
pub struct Survey {
    /// The branch that others are merged into, as far as the clone tells.
    pub branch: Option<String>,
    /// Names of [`FOREIGN`] folders that hold files.
    pub foreign: BTreeSet<&'static str>,
    /// Whether there is Python.
    pub python: bool,
    /// Whether there are tests that pytest would collect, or settings for it.
    pub pytest: bool,
    /// Whether there are settings for ruff.
    pub ruff: bool,
    /// Extensions of shell scripts that occur.
    pub shell: BTreeSet<&'static str>,
    /// Shell scripts that only their first line tells, at most twenty.
    pub shell_named: Vec<String>,
    /// Whether there is PowerShell.
    pub powershell: bool,
    /// Whether there are tests that Pester would collect.
    pub pester: bool,
    /// Whether `package.json` says how tests are run.
    pub npm_test: bool,
    /// Labels by which a workflow asks for a runner of the repository's owner.
    pub labels: Option<Vec<String>>,
    /// The workflow that calls rungate already.
    pub caller: Option<String>,
    /// What this host has.
    pub host: Host,
    /// What was left out of the look.
    pub notes: Vec<String>,
}

/// Looks at the repository in `workspace`, an absolute path without links.
///
/// # Errors
/// Says why its files cannot be listed.
pub fn survey(workspace: &Path, environ: &Environ, sandbox: &Sandbox) -> Result<Survey, String> {
    let git = Git::of(workspace, sandbox, environ);
    let (files, branch) = match &git {
        Some(git) => (git.files()?, git.branch()),
        None => (files::walk(workspace)?, None),
    };
    let root = Beneath::open(workspace).map_err(|problem| format!("the workspace {problem}"))?;
    let mut survey = Survey { branch, ..Survey::default() };
    let mut unknown = Vec::new();
    for path in &files {
        match foreign(path) {
            Some(folder) => {
                survey.foreign.insert(folder);
            }
            None => survey.take(path, &mut unknown),
        }
    }
    survey.read_first_lines(&root, &unknown);
    survey.read_settings(&root);
    survey.read_workflows(&root, &files);
    survey.host = host::look(&survey, Place { workspace, environ, sandbox });
    Ok(survey)
}

/// The top of the git repository that `workspace` lies in, where that is another folder.
#[must_use]
pub fn top_above(workspace: &Path) -> Option<PathBuf> {
    let top = workspace.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok())?;
    (top != workspace).then(|| top.to_owned())
}

/// The first folder on the way to `path` that is not the repository's own.
fn foreign(path: &str) -> Option<&'static str> {
    let folders = path.rsplit_once('/')?.0;
    folders.split('/').find_map(|folder| FOREIGN.into_iter().find(|name| *name == folder))
}

impl Survey {
    /// Takes a file by its name alone, or puts it to those whose first line must tell.
    fn take<'a>(&mut self, path: &'a str, unknown: &mut Vec<&'a str>) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some((stem, extension)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
            unknown.push(path);
            return;
        };
        match extension {
            "py" => {
                self.python = true;
                self.pytest |= stem.starts_with("test_") || stem.ends_with("_test");
            }
            "sh" => {
                self.shell.insert("sh");
            }
            "bash" => {
                self.shell.insert("bash");
            }
            "ps1" | "psm1" => {
                self.powershell = true;
                self.pester |= extension == "ps1" && stem.ends_with(".Tests");
            }
            _ => {}
        }
    }

    /// Finds shell scripts without an extension.
    fn read_first_lines(&mut self, root: &Beneath, unknown: &[&str]) {
        if unknown.len() > MAX_FIRST_LINES {
            self.notes.push(format!(
                "of {} files without an extension, the first lines of {MAX_FIRST_LINES} were read",
                unknown.len()
            ));
        }
        let mut found = unknown.iter().take(MAX_FIRST_LINES).filter(|path| is_shell(root, path));
        let named = found.by_ref().filter(|path| is_plain(path)).map(|path| (*path).to_owned());
        self.shell_named = named.take(MAX_NAMED).collect();
        if found.next().is_some() {
            self.notes.push(format!(
                "more than {MAX_NAMED} shell scripts have no extension; the rest is not named"
            ));
        }
    }

    fn read_settings(&mut self, root: &Beneath) {
        let read = |path: &str| files::text(root.file(path).ok()?, MAX_SETTINGS).ok();
        let says = |path: &str, section: &str| {
            read(path).is_some_and(|text| text.lines().any(|line| line.trim_start().starts_with(section)))
        };
        let there = |path: &str| root.file(path).is_ok();
        self.pytest |= there("pytest.ini")
            || says("pyproject.toml", "[tool.pytest")
            || says("setup.cfg", "[tool:pytest]")
            || says("tox.ini", "[pytest]");
        self.ruff = there("ruff.toml") || there(".ruff.toml") || says("pyproject.toml", "[tool.ruff");
        let package = read("package.json").and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let test = package.as_ref().and_then(|package| package.pointer("/scripts/test")?.as_str());
        // What `npm init` writes there fails on purpose.
        self.npm_test = test.is_some_and(|test| !test.contains("no test specified"));
    }

    fn read_workflows(&mut self, root: &Beneath, files: &[String]) {
        let workflows = files.iter().filter(|path| is_workflow(path)).take(MAX_WORKFLOWS);
        for path in workflows {
            let Some(text) = root.file(path).ok().and_then(|file| files::text(file, MAX_SETTINGS).ok())
            else {
                continue;
            };
            if self.caller.is_none() && text.lines().any(calls_rungate) {
                self.caller = Some(path.clone());
            }
            if self.labels.is_none() {
                self.labels = text.lines().find_map(labels);
            }
        }
    }
}

fn is_workflow(path: &str) -> bool {
    let name = path.strip_prefix(".github/workflows/");
    let extension = name.filter(|name| !name.contains('/')).and_then(|name| name.rsplit_once('.'));
    matches!(extension, Some((_, "yml" | "yaml")))
}

fn calls_rungate(line: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with('#') && (line.contains("rungate run ") || line.contains("uses: rungate/"))
}

/// The labels of a line `runs-on`, when one of them is `self-hosted` and all are written out. Read by the line, because
/// anything less plain is better asked of its author.
fn labels(line: &str) -> Option<Vec<String>> {
    let said = line.trim_start().strip_prefix("runs-on:")?;
    let said = said.split(" #").next().unwrap_or(said).trim();
    let said = said.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(said);
    let labels: Vec<String> =
        said.split(',').map(|label| label.trim().trim_matches(['\'', '"']).to_owned()).collect();
    let usable =
        labels.iter().all(|label| is_plain(label)) && labels.iter().any(|label| label == "self-hosted");
    usable.then_some(labels)
}

/// Whether the first line names a shell.
fn is_shell(root: &Beneath, path: &str) -> bool {
    let Ok(file) = root.file(path) else { return false };
    let mut start = Vec::new();
    if file.take(128).read_to_end(&mut start).is_err() {
        return false;
    }
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let Some(command) = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("#!")) else {
        return false;
    };
    let mut words = command.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let program = words.find(|word| *word != "env" && !word.starts_with('-'));
    matches!(program, Some("sh" | "bash" | "dash"))
}

/// Whether `text` can stand in YAML, in a glob and in a shell's word as it is.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_file_is_and_foreign_folders_do_not_count() {
        let mut survey = Survey::default();
        let mut unknown = Vec::new();
        for path in ["a/test_b.py", "x.sh", "m.Tests.ps1", ".gitignore", "Makefile", "bin/tool"] {
            survey.take(path, &mut unknown);
        }
        assert!(survey.python && survey.pytest && survey.powershell && survey.pester);
        assert_eq!(survey.shell.iter().copied().collect::<Vec<_>>(), ["sh"]);
        assert_eq!(unknown, [".gitignore", "Makefile", "bin/tool"]);
        assert_eq!(foreign("a/vendor/b.py"), Some("vendor"));
        assert_eq!(foreign("vendor"), None, "a file of that name is no folder");
    }

    #[test]
    fn only_the_first_line_of_a_shell_script_names_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        let root = Beneath::open(folder.path()).unwrap();
        for (text, expected) in [
            ("#!/bin/sh\nx", true),
            ("#!/usr/bin/env -S bash -e\n", true),
            ("#!/usr/bin/env python3\n", false),
            ("#!/bin/zsh\n", false),
            ("x\n#!/bin/sh\n", false),
            ("", false),
        ] {
            std::fs::write(folder.path().join("f"), text).unwrap();
            assert_eq!(is_shell(&root, "f"), expected, "{text:?}");
        }
        std::os::unix::fs::symlink("f", folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("f"), "#!/bin/sh\n").unwrap();
        assert!(!is_shell(&root, "link"), "a link is not followed");
    }

    #[test]
    fn labels_are_taken_only_where_they_are_written_out() {
        let some = |labels: &[&str]| Some(labels.iter().map(|&label| label.to_owned()).collect::<Vec<_>>());
        assert_eq!(labels("    runs-on: [self-hosted, 'linux'] # ours"), some(&["self-hosted", "linux"]));
        assert_eq!(labels("  runs-on: self-hosted"), some(&["self-hosted"]));
        assert_eq!(labels("  runs-on: ubuntu-24.04"), None);
        assert_eq!(labels("  runs-on: [self-hosted, '${{ matrix.os }}']"), None);
        assert_eq!(labels("  # runs-on: self-hosted"), None);
    }

    #[test]
    fn a_workflow_that_calls_rungate_is_known_by_its_call() {
        assert!(calls_rungate("      - run: exec rungate run check"));
        assert!(calls_rungate("      - uses: rungate/rungate@v1"));
        assert!(!calls_rungate("      # rungate run check"));
        assert!(!calls_rungate("name: rungate"));
    }
}
