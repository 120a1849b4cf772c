//! What workflows and documents say of the action, and which actions of others are named anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::action::composite::Composite;
use crate::action::root;
use crate::documents::all_documents;

/// Every file in which an action may be named.
fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        ["action.yml", "ghes/action.yml"].iter().map(|name| root().join(name)).collect();
    for folder in ["workflows", ".github/workflows"] {
        files.extend(std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.extend(all_documents().into_iter().map(|document| root().join(document)));
    files
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '-']).len()
}

#[test]
fn what_is_given_to_the_action_and_taken_from_it_is_what_it_has() {
    let mut uses = 0;
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some((_, called)) = line.split_once("uses: rungate/rungate") else { continue };
            uses += 1;
            let action = if called.starts_with("/ghes@") { root().join("ghes") } else { root() };
            let known: BTreeSet<String> =
                Composite::read(&action).inputs.into_iter().map(|(name, _)| name).collect();
            let level = indentation(line);
            let rest =
                lines[at + 1..].iter().take_while(|line| !line.trim().starts_with("- ") && !line.is_empty());
            let with = rest.skip_while(|line| line.trim() != "with:").skip(1);
            let with = with
                .take_while(|line| indentation(line) > level)
                .filter(|line| !line.trim().starts_with('#'));
            for line in with {
                let name = line.trim().split(':').next().unwrap();
                assert!(known.contains(name), "{} gives the action {name}", file.display());
            }
        }
        let outputs: BTreeSet<String> =
            Composite::read(&root()).outputs.into_iter().map(|(name, _)| name).collect();
        for part in text.split("steps.rungate.outputs.").skip(1) {
            let end =
                part.find(|byte: char| !byte.is_ascii_alphanumeric() && byte != '-').unwrap_or(part.len());
            assert!(outputs.contains(&part[..end]), "{} takes {}", file.display(), &part[..end]);
        }
    }
    assert!(uses > 5, "{uses}");
}

#[test]
fn every_action_is_named_by_its_commit_and_the_same_version_by_the_same() {
    let mut commits: BTreeMap<(String, String), String> = BTreeMap::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines() {
            let Some((_, called)) = line.split_once("uses: ") else { continue };
            let Some((action, reference)) = called.split_once('@') else { continue };
            let (commit, version) = reference.split_once(" # ").unwrap_or((reference, ""));
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && !version.is_empty(), "{}: {line}", file.display());
            if action.starts_with("rungate/") {
                continue;
            }
            let known =
                commits.entry((action.to_owned(), version.to_owned())).or_insert_with(|| commit.to_owned());
            assert_eq!(known, commit, "{}: {line}", file.display());
        }
    }
    assert!(commits.len() > 3, "{commits:?}");
}
