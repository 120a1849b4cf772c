use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::manifest::diagnostic::Span;
use crate::manifest::expression::parse;
use crate::manifest::expression::{Expr, Place};
use crate::plan::evaluate::{self, Scope, Status, is_static};
use crate::plan::model::{Contexts, PlannedCondition, Text};

fn parsed(text: &str) -> Expr {
    let template = parse::template(&format!("${{{{ {text} }}}}"), Place::StepEnv, &|_| Span::default());
    let expr = template.map(|template| template.exprs().next().unwrap().clone());
    expr.or_else(|_| parse::condition(text, &|_| Span::default()).map(|(expr, _)| expr))
        .unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

struct World {
    contexts: Contexts,
    matrix: BTreeMap<String, Value>,
    env: BTreeMap<String, String>,
    steps: Value,
    secrets: BTreeMap<String, String>,
}

impl World {
    fn new() -> Self {
        let map =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self {
            contexts: Contexts {
                inputs: json!({"Name": "Ünit", "count": 3, "dry-run": false, "list": [1, 2, "x"], "deep": [{"a": [1]}, {"a": [2]}, {"b": 3}, 4]}),
                github: json!({"sha": "abc", "event": {"labels": [{"name": "bug"}, {"name": "UI"}, {}], "n": null}}),
                runner: json!({"os": "Linux"}),
                hashes: BTreeMap::from([(vec!["a".to_owned(), "b".to_owned()], "d1".to_owned())]),
            },
            matrix: BTreeMap::from([("Table".to_owned(), json!("orders"))]),
            env: map(&[("A", "1"), ("a", "2")]),
            steps: json!({"fetch": {"outcome": "success", "conclusion": "success", "outputs": {"Path": "p"}}}),
            secrets: map(&[("KEY", "s3cret"), ("EMPTY", "")]),
        }
    }

    fn scope(&self, status: Option<Status>) -> Scope<'_> {
        Scope {
            contexts: &self.contexts,
            matrix: &self.matrix,
            env: &self.env,
            steps: &self.steps,
            secrets: &self.secrets,
            status,
        }
    }

    fn value(&self, text: &str) -> Value {
        evaluate::value(&parsed(text), &self.scope(None)).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn text(&self, text: &str) -> String {
        let template = parse::template(text, Place::StepEnv, &|_| Span::default()).unwrap();
        evaluate::text(&Text::Later(template), &self.scope(None)).unwrap()
    }

    fn error(&self, text: &str) -> String {
        evaluate::value(&parsed(text), &self.scope(None)).unwrap_err().message
    }
}

#[test]
fn equality_is_loose_as_in_actions() {
    let world = World::new();
    for holds in [
        "null == null",
        "null == false",
        "null == 0",
        "null == ''",
        "true == 1",
        "true == '1'",
        "false == ''",
        "1 == '1.0'",
        "1 == ' 0x1 '",
        "0 == ''",
        "'aBc' == 'AbC'",
        "'é' == 'É'",
        "'ı' != 'I'",
        "'straße' != 'STRASSE'",
        "true != 'true'",
        "1 != 'x'",
        "github.event == github.event",
        "fromJSON('[1]') != fromJSON('[1]')",
        "inputs.list != 'Array'",
        "inputs.count == 3",
        "inputs.dry-run == false",
        "2 > 1",
        "'b' > 'A'",
        "'10' < '9'",
        "10 > '9'",
        "true > false",
        "null >= null",
        "null <= 0",
    ] {
        assert_eq!(world.value(holds), json!(true), "{holds}");
    }
    for fails in [
        "1 < 'x'",
        "1 > 'x'",
        "1 >= 'x'",
        "null > null",
        "inputs.list == 1",
        "inputs.list >= 1",
        "github.event < 1",
    ] {
        assert_eq!(world.value(fails), json!(false), "{fails}");
    }
}

#[test]
fn logic_gives_operands() {
    let world = World::new();
    assert_eq!(world.value("'' || 'b'"), json!("b"));
    assert_eq!(world.value("'a' || 'b'"), json!("a"));
    assert_eq!(world.value("'a' && 'b'"), json!("b"));
    assert_eq!(world.value("0 && 'b'"), json!(0));
    assert_eq!(world.value("!'' && !0 && !null && !false"), json!(true));
    assert_eq!(world.value("!inputs.list || !'false' || !'0'"), json!(false));
    // The right side has no value, and is never asked.
    assert_eq!(world.value("true || fromJSON('x')"), json!(true));
}

#[test]
fn properties_are_found_without_regard_to_case_and_may_be_missing() {
    let world = World::new();
    assert_eq!(world.value("inputs.NAME"), json!("Ünit"));
    assert_eq!(world.value("Matrix.table"), json!("orders"));
    assert_eq!(world.value("steps.FETCH.outputs.path"), json!("p"));
    assert_eq!(world.value("env.A"), json!("1"));
    assert_eq!(world.value("env.a"), json!("2"));
    for missing in [
        "inputs.none",
        "inputs.none.deeper",
        "env.none",
        "matrix.x",
        "inputs.list[9]",
        "inputs.list[-1]",
        "inputs.list.x",
        "inputs[inputs.list]",
    ] {
        assert_eq!(world.value(missing), Value::Null, "{missing}");
    }
    assert_eq!(world.value("inputs.list[1.9]"), json!(2));
    assert_eq!(world.value("inputs.list['0']"), json!(1));
    assert_eq!(world.value("inputs[format('{0}', 'name')]"), json!("Ünit"));
}

#[test]
fn a_star_reaches_into_each() {
    let world = World::new();
    assert_eq!(world.value("github.event.labels.*.name"), json!(["bug", "UI"]));
    assert_eq!(world.value("inputs.deep.*.a"), json!([[1], [2]]));
    assert_eq!(world.value("inputs.deep.*.a.*"), json!([1, 2]));
    assert_eq!(world.value("inputs.deep.*.a[0]"), json!([1, 2]));
    assert_eq!(world.value("inputs.count.*"), json!([]));
    assert_eq!(world.value("contains(github.event.labels.*.name, 'BUG')"), json!(true));
    assert_eq!(world.value("contains(github.event.labels.*.name, 'bu')"), json!(false));
    assert_eq!(world.value("join(github.event.labels.*.name)"), json!("bug,UI"));
}

#[test]
fn functions_do_what_they_do_in_actions() {
    let world = World::new();
    for (text, expected) in [
        ("contains('Hello', 'ELL')", json!(true)),
        ("contains('a1', 1)", json!(true)),
        ("contains(inputs.list, '2')", json!(true)),
        ("contains(inputs.list, 'X')", json!(true)),
        ("contains(github.event, 'labels')", json!(false)),
        ("startsWith('Hello', 'he')", json!(true)),
        ("endsWith('Hello', 'LO')", json!(true)),
        ("endsWith(inputs.list, 'x')", json!(false)),
        ("format('{{{0}}} {1}', 'a', 1.50)", json!("{a} 1.5")),
        ("format('{0}{0}', inputs.list)", json!("ArrayArray")),
        ("join(inputs.list, '-')", json!("1-2-x")),
        ("join('one', '-')", json!("one")),
        ("join(github.event)", json!("")),
        ("fromJSON('{\"a\": [1]}').a[0]", json!(1)),
        (
            "toJSON(fromJSON('{\"a\":[1,2.50],\"b\":{},\"c\":[]}'))",
            json!("{\n  \"a\": [\n    1,\n    2.5\n  ],\n  \"b\": {},\n  \"c\": []\n}"),
        ),
        ("toJSON('a\"\n')", json!("\"a\\\"\\n\"")),
        ("toJSON(null)", json!("null")),
        ("hashFiles('a', 'b')", json!("d1")),
    ] {
        assert_eq!(world.value(text), expected, "{text}");
    }
}

#[test]
fn values_become_text() {
    let world = World::new();
    assert_eq!(
        world.text("a ${{ inputs.count }}-${{ null }}-${{ true }} ${{ github.event }} ${{ inputs.list }}"),
        "a 3--true Object Array"
    );
    for (number, expected) in [
        ("1.0", "1"),
        ("0.1", "0.1"),
        ("-0.5", "-0.5"),
        ("123456789012345", "123456789012345"),
        ("1234567890123456", "1.23456789012346E+15"),
        ("1e15", "1E+15"),
        ("1e300", "1E+300"),
        ("0.00001", "1E-05"),
        ("0.0001", "0.0001"),
        ("0.1234567890123456", "0.123456789012346"),
        ("999999999999999.9", "1E+15"),
        ("0xff", "255"),
    ] {
        assert_eq!(world.text(&format!("${{{{ {number} }}}}")), expected, "{number}");
    }
}

#[test]
fn what_has_no_value_is_an_error() {
    let world = World::new();
    assert_eq!(world.error("secrets.NONE"), "the secret `NONE` has no value");
    assert_eq!(world.error("secrets.EMPTY"), "the secret `EMPTY` has no value");
    assert_eq!(world.value("secrets.KEY"), json!("s3cret"));
    assert_eq!(world.error("github.token"), "there is no token for this step");
    assert_eq!(world.error("success()"), "how steps ended is not known here");
    assert!(world.error("fromJSON('')").contains("not JSON"));
    assert!(world.error("fromJSON('[1')").contains("not JSON"));
    assert!(world.error("format('{1}', 'a')").contains("no argument for `{1}`"));
    for malformed in ["{", "}", "{x}", "{0", "{}", "{-1}", "{0:x}"] {
        assert!(world.error(&format!("format('{malformed}', 'a')")).contains("malformed"), "{malformed}");
    }
    assert!(world.error("hashFiles('c')").contains("not hashed"));
}

#[test]
fn results_are_bounded() {
    let world = World::new();
    let mut text = format!("'{}'", "x".repeat(1_000));
    for _ in 0..4 {
        text = format!("format('{{0}}{{0}}{{0}}{{0}}{{0}}{{0}}{{0}}{{0}}', {text})");
    }
    assert!(world.error(&text).contains("longer"));
}

#[test]
fn the_deepest_expression_has_a_value() {
    let world = World::new();
    assert_eq!(world.value(&format!("0{}", "||0".repeat(250))), json!(0));
    assert_eq!(world.value(&format!("{}0{}", "(0 ||".repeat(60), ")".repeat(60))), json!(0));
    assert_eq!(world.value(&format!("inputs{}", ".x".repeat(250))), Value::Null);
}

#[test]
fn conditions_ask_how_the_steps_before_ended() {
    let world = World::new();
    let status = |success, failure, cancelled| Some(Status { success, failure, cancelled });
    let (fine, failed, cancelled) =
        (status(true, false, false), status(false, true, false), status(true, false, true));
    let holds = |text: Option<&str>, and_success: bool, status: Option<Status>| {
        let expr = text.map(parsed);
        let condition = PlannedCondition { expr, and_success, text: String::new() };
        evaluate::condition(&condition, &world.scope(status)).unwrap()
    };
    assert!(holds(None, false, fine) && !holds(None, false, failed) && !holds(None, false, cancelled));
    assert!(holds(Some("true"), true, fine) && !holds(Some("true"), true, failed));
    assert!(!holds(Some("inputs.dry-run"), true, fine));
    assert!(holds(Some("failure()"), false, failed) && !holds(Some("failure()"), false, fine));
    assert!(holds(Some("always()"), false, cancelled) && holds(Some("cancelled()"), false, cancelled));
    assert!(holds(Some("!cancelled() && steps.fetch.outcome == 'success'"), false, failed));
}

#[test]
fn static_expressions_need_no_step() {
    for (text, expected) in [
        ("inputs.a && github.sha == matrix.b", true),
        ("hashFiles('a')", true),
        ("contains(env.A, 'x')", false),
        ("inputs[steps.a.outputs.b]", false),
        ("secrets.A", false),
        ("github.TOKEN", false),
        ("github['token']", false),
        ("inputs.token", true),
        ("always()", false),
    ] {
        assert_eq!(is_static(&parsed(text)), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_expression_makes_the_evaluator_panic(tokens in prop::collection::vec(prop::sample::select(vec![
        "inputs.deep", "inputs.list", ".*", ".a", "[0]", "[", "]", "'{0}'", "'9'", "(", ")", "contains(", "format(", "join(", "toJSON(",
        "fromJSON(", ",", " && ", " || ", "!", " == ", " < ", "1e300", "-1", "null", "github.event", "secrets.KEY",
    ]), 0..14)) {
        let text = tokens.concat();
        if let Ok(template) = parse::template(&format!("${{{{ {text} }}}}"), Place::StepEnv, &|_| Span::default()) {
            let world = World::new();
            drop(evaluate::template(&template, &world.scope(None)));
        }
    }

    #[test]
    fn numbers_keep_fifteen_digits(number in -1e20..1e20_f64) {
        let world = World::new();
        let shown = world.text(&format!("${{{{ {number:e} }}}}"));
        let back: f64 = shown.parse().unwrap();
        prop_assert!((back - number).abs() <= number.abs() * 1e-14, "{number} became {shown}");
    }
}
