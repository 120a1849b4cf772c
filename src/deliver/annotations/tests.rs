use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::finding::Location;

fn finding(path: &str, line: u32, level: Level, message: &str) -> Finding {
    let place = Location { path: Some(path.into()), start_line: Some(line), ..Location::default() };
    Finding::new("t", level, message).at(place)
}

fn lines(findings: &[Finding]) -> Cursor<Vec<u8>> {
    let mut lines = Vec::new();
    for finding in findings {
        serde_json::to_writer(&mut lines, finding).unwrap();
        lines.push(b'\n');
    }
    Cursor::new(lines)
}

fn chosen(findings: &[Finding], most: usize) -> (Chosen, Vec<Annotation>) {
    let mut lines = lines(findings);
    let chosen = Chosen::of(&mut lines, most).unwrap();
    let annotations = chosen.read(0..chosen.len(), &mut lines, &Registry::new()).unwrap();
    (chosen, annotations)
}

#[test]
fn the_worst_come_first_and_every_file_has_its_turn() {
    let mut findings: Vec<Finding> =
        (1..=4).map(|line| finding("a", line, Level::Failure, &format!("a{line}"))).collect();
    findings.push(finding("b", 1, Level::Failure, "b1"));
    findings.push(finding("c", 1, Level::Notice, "c1"));
    findings.push(finding("b", 2, Level::Warning, "b2"));
    let messages = |most| -> Vec<String> {
        chosen(&findings, most).1.into_iter().map(|annotation| annotation.message).collect()
    };
    assert_eq!(messages(9), ["a1", "b1", "a2", "a3", "a4", "b2", "c1"]);
    assert_eq!(messages(3), ["a1", "b1", "a2"]);
    assert_eq!(messages(0), [""; 0]);
}

#[test]
fn what_has_no_place_in_the_repository_is_listed_and_counted() {
    let mut findings: Vec<Finding> = [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a\\b",
        "C:/x",
        "https://x/y",
        ".",
        "a//b",
        "a/",
        "a\nb",
        "./../x",
    ]
    .map(|path| finding(path, 1, Level::Warning, path))
    .into();
    findings.push(finding("a", 0, Level::Failure, "line 0"));
    findings.push(finding("a", u32::MAX, Level::Failure, "far"));
    findings.push(finding(&"a".repeat(5_000), 1, Level::Failure, "long"));
    let hidden = Finding { filtered: true, ..finding("a", 1, Level::Failure, "hidden") };
    findings.push(hidden);
    findings.push(finding("././a/b", 1, Level::Notice, "fine"));
    let (chosen, annotations) = chosen(&findings, 100);
    assert_eq!((chosen.shown, chosen.placed, chosen.elsewhere.len()), (16, 1, 15));
    assert_eq!((annotations.len(), annotations[0].path.as_str()), (1, "a/b"));
    assert_eq!(chosen.elsewhere[0].message, "line 0");
}

#[test]
fn an_annotation_has_a_message_whatever_the_tool_said() {
    let registry = Registry::new();
    let message = |text: &str| annotation(&finding("a", 1, Level::Notice, text), &registry).unwrap().message;
    assert_eq!(message(" \u{1b}[0m"), "t");
    assert_eq!(message("x\u{7}"), "x");
    let nobody = Finding { tool: String::new(), ..finding("a", 1, Level::Notice, "") };
    assert_eq!(annotation(&nobody, &registry).unwrap().message, "The tool gave no message.");
    assert!(message(&"😀".repeat(20_000)).ends_with("all of it)"));
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("./a/b.py".to_owned()),
        Just("../up".to_owned()),
        Just("src/ü e\u{301}.rs".to_owned()),
        Just("👩‍👩‍👧".repeat(6_000)),
        Just("x".repeat(70_000)),
        "[a-c]{1}/[a-c]{1}",
    ]
}

fn findings() -> impl Strategy<Value = Finding> {
    let level = prop_oneof![Just(Level::Notice), Just(Level::Warning), Just(Level::Failure)];
    let numbers = std::array::from_fn(|_| proptest::option::of(prop_oneof![0_u32..5, any::<u32>()]));
    (level, texts(), proptest::option::of(texts()), proptest::option::of(texts()), numbers).prop_map(
        |(level, message, path, title, [start_line, end_line, start_column, end_column]): (
            _,
            String,
            _,
            _,
            [_; 4],
        )| {
            let place = Location { path, start_line, end_line, start_column, end_column };
            Finding { title, ..Finding::new("t", level, message).at(place) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_limit_is_exceeded_and_every_annotation_is_a_finding_once(
        findings in proptest::collection::vec(findings(), 0..40),
        most in 0_usize..30,
    ) {
        let (chosen, annotations) = chosen(&findings, most);
        let mut possible: Vec<Annotation> =
            findings.iter().filter_map(|finding| annotation(finding, &Registry::new())).collect();
        prop_assert_eq!(chosen.shown, findings.len() as u64);
        prop_assert_eq!(chosen.placed, possible.len() as u64);
        prop_assert_eq!(annotations.len(), possible.len().min(most));
        for pair in annotations.windows(2) {
            prop_assert!(pair[0].annotation_level >= pair[1].annotation_level);
        }
        for annotation in &annotations {
            prop_assert!((1..=MAX_MESSAGE).contains(&annotation.message.len()));
            prop_assert!(annotation.title.as_ref().is_none_or(|title| (1..=MAX_TITLE).contains(&title.chars().count())));
            prop_assert!(!annotation.path.starts_with(['/', '.']) || annotation.path.starts_with('.') && !annotation.path.starts_with("./"));
            prop_assert!(annotation.path.split('/').all(|part| part != ".." && !part.is_empty()));
            prop_assert!(1 <= annotation.start_line && annotation.start_line <= annotation.end_line);
            prop_assert!(annotation.start_column.is_none() || annotation.start_line == annotation.end_line);
            prop_assert!(annotation.end_column.is_none_or(|end| annotation.start_column.is_some_and(|start| start <= end)));
            let at = possible.iter().position(|other| other == annotation);
            prop_assert!(at.is_some());
            possible.swap_remove(at.unwrap());
        }
    }
}
