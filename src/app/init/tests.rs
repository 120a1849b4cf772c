use std::collections::BTreeSet;

use super::*;
use crate::manifest::read;
use crate::workspace::survey::{Host, Survey, Tool};

fn everything() -> Survey {
    Survey {
        branch: Some("trunk".to_owned()),
        foreign: BTreeSet::from(["vendor"]),
        python: true,
        pytest: true,
        ruff: true,
        shell: BTreeSet::from(["bash", "sh"]),
        shell_named: vec!["bin/tool".to_owned()],
        powershell: true,
        pester: true,
        npm_test: true,
        labels: Some(vec!["self-hosted".to_owned(), "lab".to_owned()]),
        ..Survey::default()
    }
}

fn well_equipped() -> Host {
    Host {
        python: true,
        python_modules: ["pytest", "ruff"].map(str::to_owned).into(),
        powershell: true,
        powershell_modules: ["Pester", "PSScriptAnalyzer"].map(str::to_owned).into(),
        shellcheck: Tool::Visible,
        ruff: Tool::Missing,
        bash: Tool::Visible,
    }
}

fn manifest_of(survey: &Survey) -> String {
    manifest::text(&steps::steps(survey))
}

/// Ids of the steps that are not commented out, as the manifest's own reader sees them.
fn live(survey: &Survey) -> Vec<String> {
    let text = manifest_of(survey);
    let parsed = read::manifest("x.yml", text.as_bytes()).unwrap_or_else(|invalid| {
        panic!("{text}\n{:?}", invalid.diagnostics.iter().map(|found| &found.message).collect::<Vec<_>>())
    });
    assert_eq!(parsed.warnings, [], "{text}");
    parsed.manifest.commands[0].steps.iter().map(|step| step.id.value.to_string()).collect()
}

#[test]
fn every_combination_of_tools_gives_a_valid_manifest() {
    let mut survey = everything();
    assert_eq!(live(&survey), ["conflicts"], "without tools only this one is left");
    survey.host = well_equipped();
    let all = [
        "conflicts",
        "python",
        "ruff",
        "pytest",
        "shell",
        "shellcheck",
        "powershell",
        "psscriptanalyzer",
        "pester",
    ];
    assert_eq!(live(&survey), all, "npm needs packages first");
    assert!(manifest_of(&survey).contains("'json', '--extend-exclude', 'vendor'])"));
    survey.host.ruff = Tool::Visible;
    assert!(
        manifest_of(&survey)
            .contains("run: ruff check --no-cache --output-format json --extend-exclude vendor\n")
    );
    survey.host.python_modules.clear();
    assert_eq!(
        live(&survey),
        all.map(str::to_owned).into_iter().filter(|id| id != "pytest").collect::<Vec<_>>()
    );
    assert_eq!(live(&Survey::default()), ["conflicts"]);
}

#[test]
fn a_step_that_is_commented_out_is_valid_when_the_marks_are_removed() {
    let text = manifest_of(&everything());
    let restored: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix("      # ") {
            Some(rest) if rest.starts_with("- ") || rest.starts_with("  ") => format!("      {rest}"),
            _ => line.to_owned(),
        })
        .collect();
    let parsed = read::manifest("x.yml", restored.join("\n").as_bytes()).unwrap_or_else(|invalid| {
        panic!("{:?}", invalid.diagnostics.iter().map(|found| &found.message).collect::<Vec<_>>())
    });
    assert_eq!(parsed.manifest.commands[0].steps.len(), 10);
}

#[test]
fn a_tool_that_steps_do_not_see_is_named_with_its_place() {
    let mut survey = Survey { shell: BTreeSet::from(["sh"]), ..Survey::default() };
    survey.host.bash = Tool::Visible;
    survey.host.shellcheck = Tool::Hidden("/opt/x/shellcheck".into());
    let text = manifest_of(&survey);
    insta::assert_snapshot!(text.split("--severity style` tells more.\n").nth(1).unwrap(), @r#"
          # Commented out: /opt/x/shellcheck is outside of the folders that a step sees: install it below /usr, or add its folder to `sandbox: {read: […]}`.
          # - id: shellcheck
          #   name: ShellCheck
          #   needs: []
          #   files: ['**/*.sh']
          #   run: xargs -0 -r shellcheck --format gcc --severity warning -- < "$RUNGATE_FILES"
          #   findings:
          #     - parser: errorformat
          #       from: stdout
          #       tool: shellcheck
          #       errorformat: ['%f:%l:%c: %trror: %m', '%f:%l:%c: %tarning: %m']

        # What decides. Beside these gates every step has to succeed.
        gates:
          - id: findings
            name: No errors
            fail-on: error
    "#);
}

#[test]
fn the_workflow_takes_branch_and_labels_only_where_they_are_plain() {
    let said = |survey: &Survey| {
        let text = workflow::text(survey);
        let lines = text.lines().filter(|line| line.contains("branches:") || line.contains("runs-on:"));
        lines.map(str::trim).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(said(&everything()), "branches: [trunk]; runs-on: [self-hosted, lab]");
    let odd = Survey { branch: Some("a]: x".to_owned()), ..Survey::default() };
    assert_eq!(said(&odd), "branches: [main]; runs-on: [self-hosted, linux]");
}
