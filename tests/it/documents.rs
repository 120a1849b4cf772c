//! What the documents say is read here and compared with the code, where that can be done by looking.

mod book;
mod commands;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::context::Repo;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every source file's text.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(read(path));
        }
    }
}

/// The words in `text` that stand between backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The texts in double quotes that follow `mark` in `source`, up to `end`.
fn literals_after<'a>(source: &'a str, mark: &str, end: &str) -> Vec<&'a str> {
    let Some((_, rest)) = source.split_once(mark) else { return Vec::new() };
    let part = rest.split_once(end).map_or(rest, |(part, _)| part);
    part.split('"').skip(1).step_by(2).collect()
}

/// A source's text with the literals of several lines in one piece each.
fn literals_joined(source: &str) -> String {
    source.split("\\\n").map(str::trim_start).collect()
}

/// Every document that people read, relative to the top.
pub(crate) fn all_documents() -> Vec<PathBuf> {
    let mut documents: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "scripts/README.md"]
            .map(PathBuf::from)
            .to_vec();
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            documents.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    documents
}

fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[test]
fn every_variable_that_is_read_or_passed_on_is_documented() {
    let mut all = Vec::new();
    sources(&root().join("src"), &mut all);
    let document = read("docs/environment.md");
    let documented = quoted(&document);
    let mut read_here = BTreeSet::new();
    let (mut passed, mut redacted, mut asked, mut hidden) = (0, 0, 0, 0);
    for source in &all {
        // Tests read variables that they made up.
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for method in [".os(\"", ".text(\"", ".path(\""] {
            read_here.extend(source.split(method).skip(1).filter_map(|rest| rest.split('"').next()));
        }
        let lists = [
            ("const PASSED: ", &mut passed),
            ("const KNOWN_SECRETS: ", &mut redacted),
            ("const MANAGERS: ", &mut asked),
            ("const OURS: ", &mut hidden),
        ];
        for (mark, count) in lists {
            let names = literals_after(source, mark, "];");
            *count += names.len();
            read_here.extend(names);
        }
    }
    assert!(
        passed > 20 && redacted > 3 && asked > 3 && hidden > 1 && read_here.contains("NO_COLOR"),
        "the lists are found: {read_here:?}"
    );
    let absent: Vec<&&str> =
        read_here.iter().filter(|name| is_variable(name) && !documented.contains(**name)).collect();
    assert!(absent.is_empty(), "docs/environment.md does not name {absent:?}");
}

#[test]
fn every_field_of_a_record_is_documented_and_no_other() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'echo \"::error file=x,line=1::y\"; sleep 30', timeout-minutes: 0.005, sandbox: {limits: {grace: 100ms}}}",
    );
    let (_, record) = repo.record(&[]);
    let document = read("docs/run-record.md");
    let documented = quoted(&document);
    let step = &record["steps"][0];
    let finding = std::fs::read_to_string(repo.run_folder().join("findings.jsonl")).unwrap();
    let finding: Value = serde_json::from_str(finding.lines().next().unwrap()).unwrap();
    assert!(step["hang"].is_object(), "{step}");
    for object in [
        &record,
        step,
        &step["sandbox"],
        &step["hang"],
        &step["hang"]["processes"][0],
        &record["gates"][0],
        &finding,
    ] {
        for name in object.as_object().unwrap().keys() {
            let listed =
                documented.contains(name.as_str()) || documented.contains(format!("{name}[]").as_str());
            assert!(listed, "docs/run-record.md does not name `{name}`");
        }
    }
    let row = |start: &str| {
        document.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no row {start}"))
    };
    let outcomes = ["success", "failure", "cancelled", "timed_out", "skipped", "setup_failed"];
    for field in quoted(row("| `steps[]` |")).into_iter().filter(|word| !outcomes.contains(word)) {
        assert!(
            field == "steps[]" || field == "steps/" || step.get(field).is_some(),
            "a step has no `{field}`"
        );
    }
    for name in std::fs::read_dir(repo.run_folder()).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "steps" || documented.contains(name.as_str()),
            "docs/run-record.md does not name {name}"
        );
    }
}

#[test]
fn every_path_that_a_document_names_exists() {
    let tops =
        ["src/", "tests/", "docs/", "scripts/", "schemas/", "benches/", "examples/", "workflows/", ".ci/"];
    let mut seen = 0;
    for document in all_documents() {
        let text = read(&document);
        for word in quoted(&text) {
            if tops.iter().any(|top| word.starts_with(top)) && !word.contains(['*', '<', ' ']) {
                assert!(root().join(word).exists(), "{} names {word}", document.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "{seen} paths are a sign that none is found");
}

#[test]
fn the_manifests_in_the_documents_are_valid() {
    let text = read("README.md");
    let manifest = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let repo = Repo::new(manifest);
    let ran = repo.run(&["validate"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);

    // Each script's section shows a step.
    let text = read("scripts/README.md");
    let steps: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(steps.len() > 5);
    for step in steps {
        let ran = Repo::with_steps(step).run(&["validate"]);
        assert_eq!(ran.code, Some(0), "{step}{}", ran.stderr);
    }
}
