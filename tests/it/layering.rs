//! The floors: a module imports only from floors below its own, never upwards and never from a neighbour.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Floor of every room, as ARCHITECTURE.md draws it. `gate` and `sandbox` are neighbours, and so on.
const FLOORS: [&[&str]; 9] = [
    &["clock", "environ", "id", "redact"],
    &["finding", "manifest", "policy", "record", "request", "signer"],
    &["event", "intent", "page", "parse", "plan"],
    &["append", "archive", "gate", "http", "sandbox"],
    &["audit", "github", "journal", "secrets", "workspace"],
    &["deliver", "report", "run"],
    &["app"],
    &["serve"],
    &["cli"],
];

/// Nouns that are made of other nouns: the only arrows between neighbours.
const OF_ITS_FLOOR: [(&str, &str); 4] =
    [("record", "finding"), ("manifest", "finding"), ("record", "manifest"), ("policy", "manifest")];

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Rooms that `text` reaches into, by every `crate::room` in it, groups included.
fn rooms_used(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let rest = rest.trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            let inner = group.split_once('}').map_or(group, |(inner, _)| inner);
            rooms.extend(inner.split(',').filter_map(|part| word(part.trim())));
        } else {
            rooms.extend(word(rest));
        }
    }
    rooms
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn arrows_that_are_wrong(files: &[(String, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, text) in files {
        let room = name.split(['/', '.']).next().unwrap_or_default();
        let Some(floor) = floor_of(room) else {
            wrong.push(format!("{name}: the room {room} stands on no floor"));
            continue;
        };
        for used in rooms_used(text) {
            let fine = used == room
                || OF_ITS_FLOOR.contains(&(room, used.as_str()))
                || floor_of(&used).is_some_and(|other| other < floor);
            if !fine {
                wrong.push(format!("{name} (floor {floor}) uses {used}"));
            }
        }
    }
    wrong
}

#[test]
fn no_arrow_runs_up_or_sideways() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let files: Vec<(String, String)> = paths
        .iter()
        .filter(|path| !matches!(path.strip_prefix(&root).unwrap().to_str(), Some("lib.rs" | "main.rs")))
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(files.len() > 20, "the sources were not found");
    let wrong = arrows_that_are_wrong(&files);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_declared_and_none_is_re_exported() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    assert!(!lib.contains("pub use"), "a re-export would hide which room a path reaches into");
    let mut last = 0;
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let room = line.trim_end_matches(';');
        let floor = floor_of(room).unwrap_or_else(|| panic!("{room} stands on no floor"));
        assert!(floor >= last, "{room} is declared out of the order of floors");
        last = floor;
    }
}

#[test]
fn an_arrow_that_runs_up_or_sideways_is_found() {
    let bad = BTreeMap::from([
        ("plan/make.rs", "use crate::run::dispatcher;"),
        ("report/mod.rs", "fn f() { crate::run::stop(); }"),
        ("parse/mod.rs", "use crate::{finding::Finding, plan::model::Plan};"),
        ("helpers.rs", "use crate::id::Sha256;"),
        ("finding.rs", "use crate::record::Record;"),
    ]);
    for (name, text) in bad {
        assert_eq!(arrows_that_are_wrong(&[(name.to_owned(), text.to_owned())]).len(), 1, "{name}");
    }
    let good = (
        "run/mod.rs".to_owned(),
        "use crate::{id::Sha256, plan::model::Plan}; use crate::run::x;".to_owned(),
    );
    assert!(arrows_that_are_wrong(&[good]).is_empty());
}
