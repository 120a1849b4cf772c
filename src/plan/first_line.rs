//! A script's first line against how the script is run: what would fail with a word that says nothing of the cause.

use std::collections::BTreeMap;

use crate::id::RepoPath;
use crate::manifest::model::Shell;
use crate::plan::model::{PlannedStep, Program};

/// Most characters of a first line that are quoted.
const MAX_QUOTED: usize = 60;

/// What a reader of the plan should know of the scripts that `steps` run, once each. `lines` holds their first lines.
pub(super) fn notes(steps: &[PlannedStep], lines: &BTreeMap<RepoPath, String>) -> Vec<String> {
    let mut notes = Vec::new();
    for step in steps {
        let Program::Script { path, .. } = &step.program else { continue };
        let note = lines.get(path).and_then(|line| note(path, step.shell, line));
        notes.extend(note.filter(|note| !notes.contains(note)));
    }
    notes
}

fn note(path: &RepoPath, shell: Shell, line: &str) -> Option<String> {
    let runner = shell.as_str();
    if let Some(named) = interpreter(line).filter(|named| !runs(shell, named)) {
        let quoted: String = line.trim_end().chars().take(MAX_QUOTED).collect();
        return Some(format!(
            "the script {path} begins with `{quoted}`, and {runner} runs it: `shell` and the file's extension decide; \
             another interpreter is called in `run`, as in `run: {named} {path}`"
        ));
    }
    let breaks = matches!(shell, Shell::Bash | Shell::Sh) && line.ends_with('\r');
    breaks.then(|| {
        format!(
            "the script {path} has the line ends of Windows, which {runner} takes for a part of each line's last word: \
             write `{path} text eol=lf` into .gitattributes, then `git add --renormalize {path}`"
        )
    })
}

/// The program that a line of `#!` names, without folder and version: `python` for `#!/usr/bin/env python3.12 -u`.
fn interpreter(line: &str) -> Option<&str> {
    let mut words = line.strip_prefix("#!")?.split_ascii_whitespace();
    let mut name = base(words.next()?);
    if name == "env" {
        name = base(words.find(|word| !word.starts_with('-') && !word.contains('='))?);
    }
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    (!name.is_empty()).then_some(name)
}

fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether `shell` runs what is written for `interpreter`.
fn runs(shell: Shell, interpreter: &str) -> bool {
    match shell {
        Shell::Bash => matches!(interpreter, "bash" | "sh" | "dash" | "ash"),
        Shell::Sh => matches!(interpreter, "sh" | "dash" | "ash"),
        Shell::Python => matches!(interpreter, "python" | "pypy"),
        Shell::Pwsh | Shell::Powershell => matches!(interpreter, "pwsh" | "powershell"),
        // It has no such line.
        Shell::Cmd => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(path: &str, shell: Shell, line: &str) -> String {
        note(&path.parse().unwrap(), shell, line).unwrap_or_default()
    }

    #[test]
    fn a_line_that_names_another_interpreter_is_told() {
        insta::assert_snapshot!(
            noted("x.rb", Shell::Bash, "#!/usr/bin/env -S LANG=C ruby3.1 -w"),
            @"the script x.rb begins with `#!/usr/bin/env -S LANG=C ruby3.1 -w`, and bash runs it: `shell` and the file's extension decide; another interpreter is called in `run`, as in `run: ruby x.rb`"
        );
        for (shell, line) in [
            (Shell::Sh, "#!/bin/bash"),
            (Shell::Bash, "#!/usr/bin/env python3"),
            (Shell::Python, "#!/usr/bin/pwsh"),
        ] {
            assert!(noted("x", shell, line).contains("begins with"), "{line}");
        }
        for (shell, line) in [
            (Shell::Bash, "#!/bin/sh -e"),
            (Shell::Bash, "#! /usr/bin/env bash"),
            (Shell::Sh, "#!/bin/dash"),
            (Shell::Python, "#!/usr/bin/env python3.12\r"),
            (Shell::Pwsh, "#!/usr/bin/env pwsh"),
            (Shell::Bash, "# no such line"),
            (Shell::Bash, "#!"),
            (Shell::Bash, "#!/usr/bin/env"),
            (Shell::Bash, ""),
        ] {
            assert_eq!(noted("x", shell, line), "", "{line}");
        }
    }

    #[test]
    fn line_ends_of_windows_are_told_where_they_matter() {
        insta::assert_snapshot!(
            noted("ci/s.sh", Shell::Bash, "#!/bin/bash\r"),
            @"the script ci/s.sh has the line ends of Windows, which bash takes for a part of each line's last word: write `ci/s.sh text eol=lf` into .gitattributes, then `git add --renormalize ci/s.sh`"
        );
        assert!(noted("s", Shell::Sh, "echo\r").contains("line ends"));
        assert_eq!(noted("s.py", Shell::Python, "import os\r"), "");
        assert_eq!(noted("s.ps1", Shell::Pwsh, "Get-Item\r"), "");
    }
}
