//! Whole manifests: the full one is read in all its parts, and each kind of mistake has its rule and its place.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::manifest::availability;
use crate::manifest::diagnostic::{Diagnostic, Severity};
use crate::manifest::fields::table::MANIFEST;
use crate::manifest::fields::{Kind, Object};
use crate::manifest::model::{MatrixValue, MatrixValues, RetryOn};
use crate::manifest::read::{Parsed, manifest};
use crate::manifest::tree::{self, Node, NodeKind};

const FULL: &str = include_str!("../../../tests/fixtures/manifest/full.yml");

/// A small manifest; tests replace its parts.
const SMALL: &str = "\
version: 1
commands:
  check:
    steps:
      - run: 'true'
";

fn read(text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    manifest("rungate.yml", text.as_bytes()).map_err(|invalid| invalid.diagnostics)
}

/// `rule line:column "the text there"` for each complaint.
fn complaints(text: &str) -> Vec<String> {
    let found = match read(text) {
        Ok(parsed) => parsed.warnings,
        Err(diagnostics) => diagnostics,
    };
    let place = |diagnostic: &Diagnostic| {
        let before = text.get(..diagnostic.span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let there = text.get(diagnostic.span.start..diagnostic.span.end).unwrap_or("?");
        format!("{} {line}:{column} {:?}", diagnostic.rule, there.chars().take(40).collect::<String>())
    };
    found.iter().map(place).collect()
}

/// The small manifest with more keys in its command, which are indented by four.
fn in_command(more: &str) -> String {
    let more: String = more.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "    {line}");
        text
    });
    SMALL.replace("    steps:", &format!("{more}    steps:"))
}

fn steps(list: &str) -> String {
    SMALL.replace("      - run: 'true'\n", list)
}

#[test]
fn the_full_manifest_is_read_in_all_its_parts() {
    let parsed = read(FULL).unwrap_or_else(|found| panic!("{found:#?}"));
    assert_eq!(parsed.warnings, []);
    let command = &parsed.manifest.commands[0];
    assert_eq!(command.timeout, Duration::from_mins(45));
    assert_eq!(parsed.manifest.defaults.timeout, Duration::from_secs(450));
    assert_eq!(parsed.manifest.sandbox.limits.report, Some(8_000_000_000));
    assert_eq!(parsed.manifest.sandbox.limits.grace, Some(Duration::from_millis(1500)));
    let ids: Vec<&str> = command.steps.iter().map(|step| step.id.value.as_str()).collect();
    assert_eq!(ids, ["tides", "lint", "departures"]);
    let retry = &command.steps[0].retry;
    assert_eq!((retry.attempts, retry.backoff), (3, Duration::from_millis(2500)));
    assert_eq!(retry.on, [RetryOn::Timeout, RetryOn::Exit(75)]);
    let matrix = &command.steps[2].strategy.as_ref().unwrap().matrix;
    let MatrixValues::List(weekdays) = &matrix[1].1 else { panic!("{matrix:?}") };
    assert!(matches!(
        weekdays.as_slice(),
        [MatrixValue::Number(one), MatrixValue::Bool(true), MatrixValue::Text(sun)] if one == "1" && sun.text == "sun"
    ));
    assert_eq!(command.report.summary.len(), 2);
    assert_eq!(command.inputs[2].default.as_ref().unwrap().value, "15");
}

/// Every key of `object` that stands in `node`, below it too, as `object.key`.
fn used(node: &Node, object: &'static Object, keys: &mut BTreeSet<String>) {
    let NodeKind::Mapping(entries) = &node.kind else { return };
    for entry in entries {
        match (object.field(&entry.key.text), object.open) {
            (Some(field), _) => {
                keys.insert(format!("{}.{}", object.name, field.key));
                used_in(&entry.value, &field.kind, keys);
            }
            (None, Some((_, kind))) => used_in(&entry.value, kind, keys),
            (None, None) => {}
        }
    }
}

fn used_in(node: &Node, kind: &Kind, keys: &mut BTreeSet<String>) {
    match (kind, &node.kind) {
        (Kind::Object(object), _) => used(node, object, keys),
        (Kind::List { of, .. }, NodeKind::Sequence(items)) => {
            for item in items {
                used_in(item, of, keys);
            }
        }
        (Kind::Map { of, .. }, NodeKind::Mapping(entries)) => {
            for entry in entries {
                used_in(&entry.value, of, keys);
            }
        }
        (Kind::Either(kinds), _) => kinds.iter().for_each(|kind| used_in(node, kind, keys)),
        _ => {}
    }
}

fn known(object: &'static Object, keys: &mut BTreeSet<String>) {
    for field in object.fields {
        if keys.insert(format!("{}.{}", object.name, field.key)) {
            known_in(&field.kind, keys);
        }
    }
}

fn known_in(kind: &Kind, keys: &mut BTreeSet<String>) {
    match kind {
        Kind::Object(object) => known(object, keys),
        Kind::List { of, .. } | Kind::Map { of, .. } => known_in(of, keys),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| known_in(kind, keys)),
        _ => {}
    }
}

#[test]
fn the_full_manifest_uses_every_field_of_the_table() {
    let (mut known_keys, mut used_keys) = (BTreeSet::new(), BTreeSet::new());
    known(&MANIFEST, &mut known_keys);
    used(&tree::parse(FULL).unwrap(), &MANIFEST, &mut used_keys);
    let unused: Vec<_> = known_keys.difference(&used_keys).collect();
    assert!(unused.is_empty(), "{unused:?}");
    assert!(known_keys.len() > 100);
}

#[test]
fn what_is_not_there_yet_is_named_by_its_place() {
    let parsed = read(FULL).unwrap();
    let found = availability::unavailable(&parsed.manifest.commands[0]);
    let there: Vec<&str> = found
        .iter()
        .map(|diagnostic| FULL[diagnostic.span.start..diagnostic.span.end].lines().next().unwrap())
        .collect();
    insta::assert_snapshot!(there.join("\n"), @r#"
    publish-timetable
    publish the summer timetable for nordby
    publish everything
    human
    github.token
    cache
    "#);
    assert!(
        found.iter().all(|diagnostic| diagnostic.severity == Severity::Error && diagnostic.help.is_some())
    );
    let parsed = read(SMALL).unwrap();
    assert_eq!(availability::unavailable(&parsed.manifest.commands[0]), []);
}

#[test]
fn steps_without_an_id_get_one_from_their_name_or_their_place() {
    let text = steps(
        "      - {run: a}\n      - {name: 'Build it, now! ${{ github.sha }}', run: b}\n      - {name: '123', run: c}\n",
    );
    let parsed = read(&text).unwrap();
    let ids: Vec<&str> =
        parsed.manifest.commands[0].steps.iter().map(|step| step.id.value.as_str()).collect();
    assert_eq!(ids, ["step-1", "build-it-now", "step-3"]);
}

#[test]
fn a_text_field_keeps_a_number_as_it_is_written() {
    let parsed = read(&format!("name: 1.10\n{SMALL}")).unwrap();
    assert_eq!(parsed.manifest.name.as_deref(), Some("1.10"));
}

/// Bad manifests, one mistake or a few each: `== title`, the manifest, and `#! rule line:column "text there"` for each
/// complaint that it must give, in order.
const MISTAKES: &str = include_str!("../../../tests/fixtures/manifest/mistakes.txt");

#[test]
fn every_mistake_has_its_rule_and_its_place() {
    let mut wrong = String::new();
    let mut cases = 0;
    for case in MISTAKES.split("\n== ").skip(1) {
        cases += 1;
        let (title, rest) = case.split_once('\n').unwrap();
        let (expected, text): (Vec<&str>, Vec<&str>) = rest.lines().partition(|line| line.starts_with("#! "));
        let expected: Vec<&str> = expected.into_iter().map(|line| &line[3..]).collect();
        let found = complaints(&text.join("\n"));
        if found != expected {
            let _ = writeln!(wrong, "{title}\n  expected {expected:#?}\n  found {found:#?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases > 60);
}

#[test]
fn everything_that_a_file_can_ask_for_costs_little() {
    let grown = |head: &str, piece: &dyn Fn(usize) -> String| {
        let mut text = head.to_owned();
        let mut number = 0;
        while text.len() < 250_000 {
            text.push_str(&piece(number));
            number += 1;
        }
        text
    };
    let in_steps = "version: 1\ncommands:\n  c:\n    steps:\n";
    let in_inputs = "version: 1\ncommands:\n  c:\n    steps: [{run: a}]\n    inputs:\n";
    let hostile = [
        grown("version: 1\n", &|n| format!("k{n}: 1\n")),
        grown(in_steps, &|n| format!("      - {{run: a, id: s{n}, needs: [t{n}, u{n}]}}\n")),
        grown(in_steps, &|n| {
            format!("      - {{run: a, id: s{n}, args: ['${{{{ steps.S{}.outputs.x }}}}']}}\n", n / 2)
        }),
        grown(in_inputs, &|n| format!("      i{n}: {{pattern: '\\w{{100}}[{n}]'}}\n")),
        format!("{in_steps}      - run: '{}'\n", "${{ a }}".repeat(30_000)),
        format!("{in_steps}      - run: a\n        files: '{}'\n", "{a,".repeat(60_000)),
    ];
    let start = Instant::now();
    for text in &hostile {
        assert!(read(text).is_err());
    }
    // Each is to stay below a second on a busy machine without optimisation; anything quadratic takes minutes.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn a_manifest_with_something_else_in_it_is_read_or_refused_within_its_text(
        (from, length) in (0..FULL.len(), 0..40_usize),
        piece in prop_oneof![
            "\\PC{0,12}",
            Just("${{ ".to_owned()),
            Just("- ".to_owned()),
            Just("[]".to_owned()),
            Just("{}".to_owned()),
            Just(": ~".to_owned()),
            Just("-1".to_owned()),
        ],
    ) {
        let start = FULL.floor_char_boundary(from);
        let end = FULL.ceil_char_boundary((start + length).min(FULL.len()));
        let text = format!("{}{piece}{}", &FULL[..start], &FULL[end..]);
        let found = match read(&text) {
            Ok(parsed) => parsed.warnings,
            Err(diagnostics) => {
                prop_assert!(diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error));
                diagnostics
            }
        };
        for diagnostic in found {
            prop_assert!(text.get(diagnostic.span.start..diagnostic.span.end).is_some(), "{diagnostic:?}");
        }
    }

    #[test]
    fn a_default_that_is_accepted_holds_by_its_own_rules(value in "[a-z0-9.-]{1,6}", kind in "string|number|boolean") {
        let text = in_command(&format!("inputs:\n  a: {{type: {kind}, default: '{value}', pattern: '[a-z0-9]+'}}"));
        let accepted = read(&text).is_ok();
        let typed = match kind.as_str() {
            // The pattern leaves only letters and digits, and `0e0` is no decimal number.
            "number" => value.bytes().all(|byte| byte.is_ascii_digit()),
            "boolean" => value == "true" || value == "false",
            _ => true,
        };
        let whole = value.bytes().all(|b| b.is_ascii_alphanumeric());
        prop_assert_eq!(accepted, typed && whole && !(kind == "number" && value.starts_with(['i', 'n'])));
    }
}

#[test]
fn diagnostics_show_what_is_wrong_where_and_the_remedy() {
    let text = "\
version: 1
commands:
  check:
    timeout-minuts: 5
    steps:
      - id: lint
        needs: [test]
        run: |
          echo start
          ./lint ${{ inputs.folder }}
        continue-on-error: yes
      - id: test
        run: ./test
";
    let invalid = manifest("rungate.yml", text.as_bytes()).unwrap_err();
    let shown: Vec<String> = invalid
        .diagnostics
        .iter()
        .map(|found| {
            let position = invalid.source.position(found.span.start);
            format!(
                "{position} {}: {}\n  {}",
                found.rule,
                found.message,
                found.help.as_deref().unwrap_or("-")
            )
        })
        .collect();
    let shown = shown.join("\n");
    insta::assert_snapshot!(shown, @r#"
    4:5 unknown-key: `timeout-minuts` is not a key of a command
      write `timeout-minutes`
    10:18 expression-in-run: an expression in `run` would become part of the script, whoever wrote its value
      write `env: {FOLDER: '${{ inputs.folder }}'}` and `"$FOLDER"` in the script
    11:28 wrong-type: `continue-on-error` must be `true` or `false`, not `yes`
      write `true`
    12:13 cycle: these steps wait for each other: `lint → test → lint`
      a step without `needs` waits for the one before it; write `needs: []` where it need not
    "#);
}
