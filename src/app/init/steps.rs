//! The steps of a first manifest. Pure: from facts to text.

use std::fmt::Write as _;

use crate::workspace::survey::{Host, Survey, Tool};

/// A step as it stands in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) id: &'static str,
    /// Why it cannot run on this host; it is commented out then.
    pub(super) off: Option<String>,
    /// What it is for, as a comment.
    pub(super) comment: &'static str,
    /// Its lines, without indentation.
    pub(super) text: String,
    /// Whether it reports tests, which a gate counts.
    pub(super) tests: bool,
}

/// What never fails where nothing is wrong, and needs nothing but `grep`.
const CONFLICTS: &str = "\
- id: conflicts
  name: No conflict markers
  needs: []
  files: [@ALL@]
  run: |
    # grep ends with 1 where nothing matches, and with something else where there is one, or where it could not look.
    xargs -0 -r sh -c 'grep -nHIE \"^(<{7}|>{7}) \" -- \"$@\"; [ $? -eq 1 ]' sh < \"$RUNGATE_FILES\"
  findings:
    - {parser: errorformat, from: stdout, tool: conflicts, errorformat: ['%f:%l:%m']}
";

const PYTHON_COMPILES: &str = "\
- id: python
  name: Python compiles
  needs: []
  files: [@PYTHON@]
  shell: python
  run: |
    import os, sys
    failed = False
    with open(os.environ['RUNGATE_FILES'], 'rb') as listed:
        paths = [os.fsdecode(path) for path in listed.read().split(b'\\0') if path]
    for path in paths:
        try:
            with open(path, 'rb') as source:
                compile(source.read(), path, 'exec', dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            failed = True
            line, column = getattr(error, 'lineno', 1) or 1, getattr(error, 'offset', 1) or 1
            print(f'{path}:{line}:{column}: {error.args[0]}')
    sys.exit(failed)
  findings:
    - {parser: errorformat, from: stdout, tool: python, errorformat: ['%f:%l:%c: %m']}
";

const RUFF: &str = "\
- id: ruff
  name: Ruff
  needs: []
@RUN@
  findings:
    - {parser: ruff, from: stdout}
";

const RUFF_PROGRAM: &str = "  run: ruff check --no-cache --output-format json@EXCLUDE@";

const RUFF_MODULE: &str = "  shell: python
  run: |
    import os, sys
    os.execv(sys.executable, [sys.executable, '-m', 'ruff', 'check', '--no-cache', '--output-format', 'json@EXCLUDE@'])";

const PYTEST: &str = "\
- id: pytest
  name: Python tests
  needs: []
  shell: python
  run: |
    import os, sys
    os.execv(sys.executable, [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', '--junit-xml=reports/pytest.xml'])
  findings:
    - {parser: junit, from: reports/pytest.xml, tool: pytest}
  sandbox: {write: [reports]}
";

const SHELL_SYNTAX: &str = "\
- id: shell
  name: Shell syntax
  needs: []
  files: [@SHELL@]
  shell: bash
  run: |
    failed=0
    while IFS= read -r -d '' file; do
      bash -n -- \"$file\" || failed=1
    done < \"$RUNGATE_FILES\"
    exit \"$failed\"
  findings:
    - {parser: errorformat, from: stderr, tool: bash, errorformat: ['%f: line %l: %m']}
";

const SHELLCHECK: &str = "\
- id: shellcheck
  name: ShellCheck
  needs: []
  files: [@SHELL@]
  run: xargs -0 -r shellcheck --format gcc --severity warning -- < \"$RUNGATE_FILES\"
  findings:
    - parser: errorformat
      from: stdout
      tool: shellcheck
      errorformat: ['%f:%l:%c: %trror: %m', '%f:%l:%c: %tarning: %m']
";

const POWERSHELL_SYNTAX: &str = "\
- id: powershell
  name: PowerShell syntax
  needs: []
  files: [@POWERSHELL@]
  shell: pwsh
  run: |
    $failed = 0
    foreach ($file in [IO.File]::ReadAllText($env:RUNGATE_FILES).Split([char]0, [StringSplitOptions]::RemoveEmptyEntries)) {
      $tokens = $errors = $null
      $path = Join-Path $PWD $file
      [void][Management.Automation.Language.Parser]::ParseFile($path, [ref]$tokens, [ref]$errors)
      foreach ($problem in $errors) {
        $failed = 1
        $at = $problem.Extent
        \"${file}:$($at.StartLineNumber):$($at.StartColumnNumber): $($problem.Message)\"
      }
    }
    exit $failed
  findings:
    - {parser: errorformat, from: stdout, tool: powershell, errorformat: ['%f:%l:%c: %m']}
";

const PSSCRIPTANALYZER: &str = "\
- id: psscriptanalyzer
  name: PSScriptAnalyzer
  needs: []
  shell: pwsh
  run: ConvertTo-Json -Depth 4 -InputObject @(Invoke-ScriptAnalyzer -Path . -Recurse)
  findings:
    - {parser: psscriptanalyzer, from: stdout}
";

const PESTER: &str = "\
- id: pester
  name: PowerShell tests
  needs: []
  shell: pwsh
  run: |
    $settings = New-PesterConfiguration
    $settings.Run.Exit = $true
    $settings.TestResult.Enabled = $true
    $settings.TestResult.OutputPath = 'reports/pester.xml'
    Invoke-Pester -Configuration $settings
  findings:
    - {parser: pester, from: reports/pester.xml}
  sandbox: {write: [reports]}
";

const NPM_TEST: &str = "\
- id: npm
  name: npm test
  needs: []
  run: npm test
";

/// The steps that `survey` gives a reason for.
pub(super) fn steps(survey: &Survey) -> Vec<Step> {
    let mut steps = vec![Step {
        id: "conflicts",
        off: None,
        comment: "Lines that an unfinished merge leaves behind.",
        text: filled(CONFLICTS, "@ALL@", &["**".to_owned()], survey),
        tests: false,
    }];
    if survey.python {
        python(survey, &mut steps);
    }
    if !survey.shell.is_empty() || !survey.shell_named.is_empty() {
        shell(survey, &mut steps);
    }
    if survey.powershell {
        powershell(survey, &mut steps);
    }
    if survey.npm_test {
        let off =
            "it needs installed packages, and a step has no network: install them in the workflow first";
        steps.push(step(
            "npm",
            Some(off.to_owned()),
            "What package.json calls tests.",
            NPM_TEST.to_owned(),
            true,
        ));
    }
    steps
}

fn step(id: &'static str, off: Option<String>, comment: &'static str, text: String, tests: bool) -> Step {
    Step { id, off, comment, text, tests }
}

fn python(survey: &Survey, steps: &mut Vec<Step>) {
    let host = &survey.host;
    let without = (!host.python).then(|| "there is no usable python3 on this host".to_owned());
    let text = filled(PYTHON_COMPILES, "@PYTHON@", &["**/*.py".to_owned()], survey);
    steps.push(step("python", without.clone(), "Says where a file does not even compile.", text, false));
    let (run, between, off) = ruff(host);
    if survey.ruff || off.is_none() {
        // What others wrote is theirs to lint.
        let foreign: Vec<&str> = survey.foreign.iter().copied().collect();
        let exclude =
            if foreign.is_empty() { String::new() } else { format!("{between}{}", foreign.join(",")) };
        let text = RUFF.replace("@RUN@", &run.replace("@EXCLUDE@", &exclude));
        steps.push(step("ruff", off, "Lints, as the settings in the repository say.", text, false));
    }
    if survey.pytest {
        let missing = || {
            let help =
                "pytest is not installed for the python3 of this host (`python3 -I -m pytest` must find it)";
            (!host.python_modules.contains("pytest")).then(|| help.to_owned())
        };
        let off = without.or_else(missing);
        steps.push(step(
            "pytest",
            off,
            "The report is new in every run; keep /reports/ out of git.",
            PYTEST.to_owned(),
            true,
        ));
    }
}

/// How ruff is called, what stands between its arguments and folders to leave out, and why it cannot be called.
fn ruff(host: &Host) -> (&'static str, &'static str, Option<String>) {
    let by_name = " --extend-exclude ";
    if host.ruff == Tool::Visible {
        return (RUFF_PROGRAM, by_name, None);
    }
    if host.python_modules.contains("ruff") {
        return (RUFF_MODULE, "', '--extend-exclude', '", None);
    }
    (RUFF_PROGRAM, by_name, lacking("ruff", &host.ruff))
}

fn shell(survey: &Survey, steps: &mut Vec<Step>) {
    let mut globs: Vec<String> = survey.shell.iter().map(|extension| format!("**/*.{extension}")).collect();
    globs.extend(survey.shell_named.iter().cloned());
    let off = lacking("bash", &survey.host.bash);
    let text = filled(SHELL_SYNTAX, "@SHELL@", &globs, survey);
    steps.push(step("shell", off, "Says where a script does not even parse.", text, false));
    let off = lacking("shellcheck", &survey.host.shellcheck);
    let text = filled(SHELLCHECK, "@SHELL@", &globs, survey);
    steps.push(step("shellcheck", off, "`--severity style` tells more.", text, false));
}

fn powershell(survey: &Survey, steps: &mut Vec<Step>) {
    let host = &survey.host;
    let without =
        (!host.powershell).then(|| "there is no usable pwsh (PowerShell 7) on this host".to_owned());
    let module = |name: &str| {
        let missing = || {
            let help = format!(
                "the module {name} is not installed for all users (`Install-PSResource {name} -Scope AllUsers`)"
            );
            (!host.powershell_modules.contains(name)).then_some(help)
        };
        without.clone().or_else(missing)
    };
    let globs = ["**/*.ps1".to_owned(), "**/*.psm1".to_owned()];
    let text = filled(POWERSHELL_SYNTAX, "@POWERSHELL@", &globs, survey);
    steps.push(step("powershell", without.clone(), "Says where a script does not even parse.", text, false));
    let comment = "Lints, as PSScriptAnalyzerSettings.psd1 says where there is one.";
    steps.push(step(
        "psscriptanalyzer",
        module("PSScriptAnalyzer"),
        comment,
        PSSCRIPTANALYZER.to_owned(),
        false,
    ));
    if survey.pester {
        let comment = "The report is new in every run; keep /reports/ out of git.";
        steps.push(step("pester", module("Pester"), comment, PESTER.to_owned(), true));
    }
}

/// Why a step that calls `name` cannot run.
fn lacking(name: &str, tool: &Tool) -> Option<String> {
    match tool {
        Tool::Visible => None,
        Tool::Missing => Some(format!("{name} is not installed on this host")),
        Tool::Hidden(path) => Some(format!(
            "{} is outside of the folders that a step sees: install it below /usr, or add its folder to \
             `sandbox: {{read: […]}}`",
            path.display()
        )),
    }
}

/// `text` with `globs` in place of `mark`, and behind them what is not the repository's own.
fn filled(text: &str, mark: &str, globs: &[String], survey: &Survey) -> String {
    let mut list = String::new();
    let foreign = survey.foreign.iter().map(|folder| format!("!**/{folder}/**"));
    for glob in globs.iter().cloned().chain(foreign) {
        let comma = if list.is_empty() { "" } else { ", " };
        let _ = write!(list, "{comma}'{glob}'");
    }
    text.replace(mark, &list)
}
