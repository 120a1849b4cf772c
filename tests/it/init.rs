//! `rungate init` in repositories of several kinds: what it writes is valid and runs, and nothing is overwritten.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::context::{Ran, Repo, command};

/// A repository without a manifest.
fn bare(files: &[(&str, &str)]) -> Repo {
    let repo = Repo::new("");
    std::fs::remove_dir_all(repo.path().join(".github")).unwrap();
    for (path, text) in files {
        repo.write(path, text);
    }
    repo
}

fn read(repo: &Repo, path: &str) -> String {
    std::fs::read_to_string(repo.path().join(path)).unwrap()
}

/// Begins, validates, and runs the command `check`.
fn begun(repo: &Repo) -> (Ran, Value) {
    let ran = repo.run(&["init"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, "created .github/rungate.yml\ncreated .github/workflows/rungate.yml\n");
    let valid = repo.run(&["validate"]);
    assert_eq!(valid.code, Some(0), "{}", valid.stderr);
    let ran = repo.run(&["run", "check", "--format", "json"]);
    let record = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", ran.stdout, ran.stderr));
    (ran, record)
}

fn step<'a>(record: &'a Value, id: &str) -> &'a Value {
    let steps = record["steps"].as_array().unwrap();
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id} in {record}"))
}

/// Where the findings of the only run are.
fn places(repo: &Repo) -> Vec<String> {
    let findings = std::fs::read_to_string(repo.run_folder().join("findings.jsonl")).unwrap();
    let mut places: Vec<String> = findings
        .lines()
        .map(|line| {
            let finding: Value = serde_json::from_str(line).unwrap();
            format!("{} {}:{}", finding["tool"], finding["path"], finding["start_line"]).replace('"', "")
        })
        .collect();
    places.sort();
    places.dedup();
    places
}

const GOOD: [(&str, &str); 4] = [
    ("tools/a.py", "print(1)\n"),
    ("tools/b.sh", "#!/bin/sh\necho \"$1\"\n"),
    ("bin/tool", "#!/usr/bin/env bash\necho hi\n"),
    ("vendor/bad.py", "x = (\n"),
];

#[test]
fn what_it_writes_runs_and_passes_where_nothing_is_wrong() {
    let repo = bare(&GOOD);
    repo.commit();
    let (ran, record) = begun(&repo);
    assert_eq!((ran.code, &record["conclusion"]), (Some(0), &Value::from("success")), "{record}");
    for id in ["conflicts", "python", "shell"] {
        assert_eq!(step(&record, id)["outcome"], "success");
    }
    assert!(read(&repo, ".github/workflows/rungate.yml").contains("branches: [main]"));
}

#[test]
fn its_steps_find_what_is_wrong_and_say_where() {
    let repo = bare(&GOOD);
    repo.write("tools/c.py", "a = 1\nb = (\n");
    repo.write("tools/d.sh", "#!/bin/bash\nif true\n");
    repo.write("notes.txt", "a\n<<<<<<< HEAD\nb\n>>>>>>> other\n");
    // No place can be read for it, but the step fails all the same.
    repo.write("with blank.txt", "<<<<<<< HEAD\n");
    repo.commit();
    let (ran, record) = begun(&repo);
    assert_eq!(ran.code, Some(1), "{record}");
    assert_eq!(step(&record, "conflicts")["outcome"], "failure");
    let found = places(&repo);
    for place in
        ["conflicts notes.txt:2", "conflicts notes.txt:4", "python tools/c.py:2", "bash tools/d.sh:3"]
    {
        assert!(found.iter().any(|found| found == place), "{place} is not in {found:?}");
    }
    assert!(!found.iter().any(|place| place.contains("vendor")), "{found:?}");
}

#[test]
fn a_repository_with_nothing_in_it_gets_a_manifest_that_runs() {
    let repo = bare(&[]);
    let (ran, record) = begun(&repo);
    assert_eq!(ran.code, Some(0), "{record}");
    // Without git the files are walked, and the ones that were just written are among them.
    assert_eq!(record["steps"].as_array().unwrap().len(), 1);
}

#[test]
fn nothing_is_overwritten_and_nothing_is_written_by_halves() {
    let repo = bare(&[(".github/workflows/rungate.yml", "mine\n")]);
    let ran = repo.run(&["init"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains(".github/workflows/rungate.yml exists"), "{}", ran.stderr);
    assert!(!repo.path().join(".github/rungate.yml").exists());
    assert_eq!(read(&repo, ".github/workflows/rungate.yml"), "mine\n");
    let shown = repo.run(&["init", "--print"]);
    assert_eq!(shown.code, Some(0));
    assert!(shown.stdout.contains("version: 1\n") && shown.stdout.contains("\n---\n# .github/workflows/"));
    assert!(!repo.path().join(".github/rungate.yml").exists(), "--print writes nothing");
}

#[test]
fn a_link_that_a_repository_committed_is_not_written_through() {
    let elsewhere = tempfile::tempdir().unwrap();
    let repo = bare(&[]);
    symlink(elsewhere.path(), repo.path().join(".github")).unwrap();
    let ran = repo.run(&["init"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    // The second file meets the link; the first is taken back.
    let repo = bare(&[(".github/x", "")]);
    symlink(elsewhere.path(), repo.path().join(".github/workflows")).unwrap();
    assert_eq!(repo.run(&["init"]).code, Some(4));
    assert!(!repo.path().join(".github/rungate.yml").exists());
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_of_a_repository_is_not_its_top() {
    let repo = bare(&GOOD);
    repo.commit();
    let ran = Ran::from(repo.program(&["init"]).current_dir(repo.path().join("tools")).output().unwrap());
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--workspace"), "{}", ran.stderr);
    assert!(!repo.path().join("tools/.github").exists());
}

#[test]
fn what_git_ignores_is_not_looked_at_and_a_workflow_that_calls_rungate_is_kept() {
    let calls = "on: push\njobs:\n  a:\n    runs-on: [self-hosted, lab]\n    steps:\n      - run: rungate run check\n";
    let repo =
        bare(&[(".gitignore", "/made.py\n"), ("made.py", "x = (\n"), (".github/workflows/ci.yml", calls)]);
    repo.commit();
    let ran = repo.run(&["init"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "created .github/rungate.yml\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains(".github/workflows/ci.yml calls rungate already"), "{}", ran.stderr);
    assert!(!read(&repo, ".github/rungate.yml").contains("id: python"));
}

/// A folder for PATH that holds these programs of the host and no others.
fn only(programs: &[&str], folder: &Path) {
    for program in programs {
        let found = ["/usr/bin", "/bin"].iter().map(|place| Path::new(place).join(program));
        let found = found.into_iter().find(|path| path.exists()).unwrap();
        symlink(found, folder.join(program)).unwrap();
    }
}

#[test]
fn a_tool_that_the_host_lacks_gives_a_step_that_is_commented_out() {
    let repo = bare(&GOOD);
    let path = tempfile::tempdir().unwrap();
    only(&["sh", "xargs", "grep"], path.path());
    let mut program = repo.program(&["init"]);
    let ran = Ran::from(program.env("PATH", path.path()).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let manifest = read(&repo, ".github/rungate.yml");
    for id in ["python", "shell", "shellcheck"] {
        assert!(manifest.contains(&format!("      # - id: {id}\n")), "{manifest}");
        assert!(ran.stderr.contains(&format!("the step `{id}` is commented out")), "{}", ran.stderr);
    }
    assert_eq!(repo.run(&["run", "check"]).code, Some(0));
}

#[test]
fn python_tests_are_run_where_pytest_is_installed_and_their_gate_counts_them() {
    // A stand-in is enough: what is asked of it is that `-m pytest` starts it, and that it writes the report.
    let python = tempfile::tempdir().unwrap();
    let venv = python.path().join("venv");
    let made = command("python3").args(["-m", "venv", "--without-pip"]).arg(&venv).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let site =
        std::fs::read_dir(venv.join("lib")).unwrap().next().unwrap().unwrap().path().join("site-packages");
    std::fs::write(
        site.join("pytest.py"),
        "import sys\n\
         out = next(a.split('=')[1] for a in sys.argv if a.startswith('--junit-xml='))\n\
         open(out, 'w').write('<testsuite tests=\"1\"><testcase classname=\"t\" name=\"a\"/></testsuite>')\n",
    )
    .unwrap();
    let repo = bare(&[("test_a.py", "def test_a():\n    pass\n")]);
    let path = format!("{}:{}", venv.join("bin").display(), "/usr/local/bin:/usr/bin:/bin");
    let ran = repo.run_with(&["init"], &[("PATH", &path)]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = repo.run_with(&["run", "check", "--format", "json"], &[("PATH", &path)]);
    let record: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} {}", ran.stderr));
    assert_eq!((ran.code, &record["tests"]["passed"]), (Some(0), &Value::from(1)), "{record}");
    assert!(
        record["gates"]
            .as_array()
            .unwrap()
            .iter()
            .any(|gate| gate["id"] == "tests" && gate["passed"] == true)
    );
}
