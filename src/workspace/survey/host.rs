//! Which tools a step on this host would find.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::manifest::model::Shell;
use crate::sandbox::confinement::View;
use crate::sandbox::layout::{hidden, is_system};
use crate::sandbox::probe::Question;
use crate::workspace::interpreters::{self, Place};
use crate::workspace::survey::Survey;

/// Modules of Python that a step may call.
const PYTHON_MODULES: [&str; 2] = ["pytest", "ruff"];

/// Modules of PowerShell that a step may call.
const POWERSHELL_MODULES: [&str; 2] = ["Pester", "PSScriptAnalyzer"];

/// Prints those of its arguments that can be imported. `-I` keeps the caller's own folder of packages out, which no step
/// sees.
const ASK_PYTHON: &str = "import importlib.util as u, sys; \
                          print(*[x for x in sys.argv[1:] if u.find_spec(x)], sep='\\n')";

/// The same of PowerShell.
const ASK_POWERSHELL: &str = "(Get-Module -ListAvailable -Name Pester,PSScriptAnalyzer).Name";

/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 << 10;

/// Where a tool is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Nowhere on PATH.
    #[default]
    Missing,
    /// In a folder that every step sees.
    Visible,
    /// At this path, which no step sees.
    Hidden(PathBuf),
}

/// What this host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Whether there is a Python that can be used.
    pub python: bool,
    /// Those of the modules that a step may call which that Python has.
    pub python_modules: BTreeSet<String>,
    /// Whether there is a PowerShell that can be used.
    pub powershell: bool,
    /// Its modules, likewise.
    pub powershell_modules: BTreeSet<String>,
    /// `shellcheck`, the linter of shell scripts.
    pub shellcheck: Tool,
    /// Ruff as a program of its own.
    pub ruff: Tool,
    /// Bash.
    pub bash: Tool,
}

/// Looks for what `survey` gives a reason to look for.
pub(super) fn look(survey: &Survey, place: Place<'_>) -> Host {
    let mut host = Host::default();
    if survey.python {
        host.ruff = tool("ruff", place);
        if let Ok(python) = interpreters::find(Shell::Python, place) {
            host.python = true;
            let mut args = vec!["-I", "-c", ASK_PYTHON];
            args.extend(PYTHON_MODULES);
            host.python_modules = ask(&python.program, &python.prefixes, &args, &PYTHON_MODULES, place);
        }
    }
    if !survey.shell.is_empty() || !survey.shell_named.is_empty() {
        host.shellcheck = tool("shellcheck", place);
        host.bash = tool("bash", place);
    }
    if survey.powershell
        && let Ok(pwsh) = interpreters::find(Shell::Pwsh, place)
    {
        host.powershell = true;
        let args = ["-NoProfile", "-NonInteractive", "-Command", ASK_POWERSHELL];
        host.powershell_modules = ask(&pwsh.program, &pwsh.prefixes, &args, &POWERSHELL_MODULES, place);
    }
    host
}

/// Where the program called `name` is. What a link leads to counts, because that is what a step would have to see.
fn tool(name: &str, place: Place<'_>) -> Tool {
    let Some(path) = interpreters::on_path(OsStr::new(name), place.environ) else { return Tool::Missing };
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    if is_system(&path) && is_system(&real) { Tool::Visible } else { Tool::Hidden(path) }
}

/// Those of `known` that the interpreter names when it is asked with `args`; none when it gives no answer.
fn ask(
    program: &std::path::Path,
    prefixes: &[PathBuf],
    args: &[&str],
    known: &[&str],
    place: Place<'_>,
) -> BTreeSet<String> {
    let path = place.environ.os("PATH").map(OsStr::to_owned).unwrap_or_default();
    // What a step is given: a HOME without anything in it.
    let env = [("PATH", path), ("HOME", "/nonexistent".into()), ("LC_ALL", "C".into())];
    let question = Question {
        program,
        args: &args.iter().map(OsString::from).collect::<Vec<_>>(),
        env: &env.map(|(name, value)| (name.into(), value)),
        cwd: place.workspace,
        view: View {
            workspace: Some(place.workspace.to_owned()),
            hidden: hidden(),
            read: prefixes.to_vec(),
            write: Vec::new(),
        },
        limit: MAX_ANSWER,
    };
    let Ok(output) = place.sandbox.probe(&question) else { return BTreeSet::new() };
    let said = String::from_utf8_lossy(&output.stdout);
    known
        .iter()
        .filter(|name| said.lines().any(|line| line.trim() == **name))
        .map(|&name| name.into())
        .collect()
}
