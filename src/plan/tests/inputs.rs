use proptest::prelude::*;
use serde_json::{Value, json};

use crate::manifest::read::Parsed;
use crate::plan::inputs::{self, InputError, Resolved};
use crate::plan::tests::{command, only};
use crate::request::RunRequest;

fn declared() -> Parsed {
    command(
        "inputs:
  where: {type: choice, options: [staging, production], default: staging}
  snapshot: {description: Snapshot id, required: true, pattern: 'snap-[0-9]{4}', max-length: 20}
  rows: {type: number, min: -5, max: 100.5}
  dry-run: {type: boolean, default: true}
  notes: {multiline: true, max-length: 12}
  old: {deprecationMessage: use notes}
  target: {type: environment}
steps: [{run: x}]",
    )
}

fn resolve(pairs: &[(&str, &str)], json: Option<&str>) -> Result<Resolved, Vec<InputError>> {
    let parsed = declared();
    let request = RunRequest {
        inputs: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        json_inputs: json.map(str::to_owned),
        ..RunRequest::default()
    };
    inputs::resolve(only(&parsed), &request)
}

/// What is said against the request.
fn refused(pairs: &[(&str, &str)], json: Option<&str>) -> String {
    let errors = resolve(pairs, json).unwrap_err();
    errors.iter().map(|error| format!("{error}\n")).collect::<Vec<_>>().concat()
}

const GOOD: (&str, &str) = ("snapshot", "snap-1234");

#[test]
fn values_get_their_types_and_defaults() {
    let resolved = resolve(&[GOOD, ("rows", "12"), ("notes", "a\n\tb")], None).unwrap();
    let values: Value = serde_json::to_value(&resolved.values).unwrap();
    let expected = json!({
        "where": "staging", "snapshot": "snap-1234", "rows": 12, "dry-run": true, "notes": "a\n\tb", "old": "", "target": "",
    });
    assert_eq!(values, expected);
    assert!(resolved.notes.is_empty());
}

#[test]
fn a_pair_wins_over_json_and_json_leaves_out_what_is_empty() {
    let json = r#"{"snapshot": "snap-1111", "where": "", "dry-run": false, "rows": 7.5, "old": null}"#;
    let resolved = resolve(&[("snapshot", "snap-2222")], Some(json)).unwrap();
    let get = |name: &str| resolved.values[name].clone();
    assert_eq!(get("snapshot"), "snap-2222");
    assert_eq!(get("where"), "staging", "a composite action passes an empty text for what nobody gave");
    assert_eq!(get("dry-run"), false);
    assert_eq!(get("rows"), 7.5);
    assert!(resolve(&[GOOD], Some("  ")).is_ok());
}

#[test]
fn an_empty_pair_is_a_value() {
    assert_eq!(resolve(&[GOOD, ("notes", "")], Some(r#"{"notes": "x"}"#)).unwrap().values["notes"], "");
    assert!(refused(&[GOOD, ("where", "")], None).contains("not one of `staging`, `production`"));
}

#[test]
fn a_deprecated_input_is_noted_when_it_is_used() {
    let resolved = resolve(&[GOOD, ("old", "x")], None).unwrap();
    assert_eq!(resolved.notes, ["the input old is deprecated: use notes"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = refused(
        &[
            ("wher", "x"),
            ("rows", "1e3"),
            ("dry-run", "yes"),
            ("old", "a\u{1b}[2J"),
            ("notes", "x\ry"),
            ("target", "a\0"),
        ],
        None,
    );
    insta::assert_snapshot!(text, @r#"
    there is no input "wher"
    the input snapshot is required
    the input rows cannot be "1e3": it is not a decimal number
    the input dry-run cannot be "yes": it is neither `true` nor `false`
    the input notes cannot be "x\ry": it holds the control character U+000D
    the input old cannot be "a\u{1b}[2J": it holds the control character U+001B
    the input target cannot be "a\0": it holds a NUL character
    "#);
}

#[test]
fn limits_and_patterns_hold_for_the_whole_value() {
    let text = [
        refused(&[("snapshot", "snap-12345")], None),
        refused(&[("snapshot", "x snap-1234")], None),
        refused(&[GOOD, ("rows", "-6")], None),
        refused(&[GOOD, ("rows", "100.6")], None),
        refused(&[GOOD, ("notes", "ééééééééééééé")], None),
        refused(&[GOOD, ("where", "Staging")], None),
    ]
    .concat();
    insta::assert_snapshot!(text, @r#"
    the input snapshot cannot be "snap-12345": it does not match `snap-[0-9]{4}`
    the input snapshot cannot be "x snap-1234": it does not match `snap-[0-9]{4}`
    the input rows cannot be "-6": it is less than -5
    the input rows cannot be "100.6": it is greater than 100.5
    the input notes cannot be "ééééééééééééé": it has 13 characters, more than the 12 that are allowed
    the input where cannot be "Staging": it is not one of `staging`, `production`
    "#);
}

#[test]
fn a_name_may_be_given_once() {
    assert_eq!(refused(&[GOOD, GOOD], None), "the input snapshot was given twice\n");
    assert_eq!(refused(&[("SNAPSHOT", "snap-1234"), GOOD], None), "the input snapshot was given twice\n");
    assert!(refused(&[], Some(r#"{"snapshot": "snap-1", "snapshot": "snap-2"}"#)).contains("given twice"));
    assert_eq!(
        refused(&[], Some(r#"{"snapshot": "snap-1234", "Snapshot": "snap-4321"}"#)),
        "the input snapshot was given twice\n"
    );
}

#[test]
fn json_that_is_no_object_of_plain_values_is_refused() {
    for bad in ["[]", "{", r#"{"notes": []}"#, r#"{"notes": {"a": 1}}"#, "\"x\"", r#"{"a": 1} x"#] {
        assert!(refused(&[GOOD], Some(bad)).contains("not a JSON object"), "{bad}");
    }
    let long = format!("\"{}\"", "x".repeat(100_000));
    assert!(refused(&[GOOD], Some(&long)).len() < 400, "a message repeats no long value");
    let huge = format!("{{\"notes\": \"{}\"}}", "x".repeat(300_000));
    assert!(refused(&[GOOD], Some(&huge)).contains("more than 262144 bytes"));
    assert!(refused(&[GOOD], Some(&"[".repeat(100_000))).contains("not a JSON object"));
}

#[test]
fn an_unknown_input_names_the_nearest_or_all() {
    let help = |name: &str| resolve(&[GOOD, (name, "x")], None).unwrap_err()[0].help().unwrap();
    assert_eq!(help("snapshoot"), "did you mean `snapshot`?");
    assert_eq!(help("zzzzzzzz"), "the command takes: where, snapshot, rows, dry-run, notes, old, target");
}

#[test]
fn a_step_gets_numbers_as_people_write_them() {
    let text = |value: Value| inputs::as_text(&value);
    assert_eq!(
        [text(json!(12)), text(json!(0.5)), text(json!(1e21)), text(json!(true)), text(json!("x"))],
        ["12", "0.5", "1000000000000000000000", "true", "x"]
    );
    assert_eq!(inputs::env_name("dry-run"), "INPUT_DRY_RUN");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_accepted_obeys_the_rules(
        snapshot in "snap-[0-9]{3,5}|\\PC{0,8}",
        rows in "-?[0-9]{1,4}(\\.[0-9]{1,2})?|[a-z0-9.]{0,5}",
        notes in any::<String>(),
    ) {
        let pairs = [("snapshot", snapshot.as_str()), ("rows", rows.as_str()), ("notes", notes.as_str())];
        if let Ok(resolved) = resolve(&pairs, None) {
            prop_assert_eq!(resolved.values["snapshot"].as_str(), Some(snapshot.as_str()));
            prop_assert!(snapshot.len() == 9 && snapshot.starts_with("snap-"));
            let number = resolved.values["rows"].as_f64().unwrap();
            prop_assert!((-5.0..=100.5).contains(&number));
            prop_assert!(notes.chars().count() <= 12);
            prop_assert!(!notes.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        }
    }

    #[test]
    fn no_json_makes_it_panic(json in "\\PC{0,40}|\\{(\"[a-z]{1,8}\": ?[0-9a-z\"]{0,5},? ?){0,4}\\}?") {
        let _ = resolve(&[GOOD], Some(&json));
    }
}
