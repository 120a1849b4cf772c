use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::manifest::read::Parsed;
use crate::plan::evaluate::Scope;
use crate::plan::matrix::{self, Leg};
use crate::plan::model::Contexts;
use crate::plan::tests::{command, only, said};

fn with(strategy: &str) -> Parsed {
    let indented = strategy.lines().map(|line| format!("      {line}\n")).collect::<Vec<_>>().concat();
    command(&format!(
        "inputs: {{list: {{max-length: 65535}}}}\nsteps:\n- run: x\n  strategy:\n    matrix:\n{indented}"
    ))
}

fn expand(parsed: &Parsed, list: &str) -> Result<Vec<Leg>, String> {
    let contexts = Contexts { inputs: json!({ "list": list }), ..Contexts::default() };
    let (none, no_env) = (BTreeMap::new(), BTreeMap::new());
    let scope = Scope {
        contexts: &contexts,
        matrix: &none,
        env: &no_env,
        steps: &Value::Null,
        secrets: &no_env,
        status: None,
    };
    let strategy = only(parsed).steps[0].strategy.as_ref().unwrap();
    matrix::expand(strategy, &scope).map_err(|problems| said(&parsed.source, &problems))
}

/// The legs, one a line, each as `label: {its values}`.
fn legs(strategy: &str, list: &str) -> String {
    let legs = expand(&with(strategy), list).unwrap_or_else(|problems| panic!("{problems}"));
    let values = legs.iter().map(|leg| serde_json::to_string(&leg.context()).unwrap());
    let lines =
        matrix::labels(&legs).into_iter().zip(values).map(|(label, values)| format!("{label}: {values}\n"));
    lines.collect::<Vec<_>>().concat()
}

fn refused(strategy: &str, list: &str) -> String {
    expand(&with(strategy), list).unwrap_err()
}

#[test]
fn the_first_dimension_turns_slowest() {
    insta::assert_snapshot!(legs("os: [a, b]\nn: [1, 2.50, true]", ""), @r#"
    a, 1: {"n":1,"os":"a"}
    a, 2.5: {"n":2.5,"os":"a"}
    a, true: {"n":true,"os":"a"}
    b, 1: {"n":1,"os":"b"}
    b, 2.5: {"n":2.5,"os":"b"}
    b, true: {"n":true,"os":"b"}
    "#);
}

/// The example by which GitHub's documentation explains `include`, in our words.
#[test]
fn include_extends_what_it_does_not_contradict_and_adds_the_rest() {
    let strategy = "fruit: [apple, pear]
animal: [cat, dog]
include:
  - color: green
  - {color: pink, animal: cat}
  - {fruit: apple, shape: circle}
  - {fruit: banana}
  - {fruit: banana, animal: cat}";
    insta::assert_snapshot!(legs(strategy, ""), @r#"
    apple, cat, pink, circle: {"animal":"cat","color":"pink","fruit":"apple","shape":"circle"}
    apple, dog, green, circle: {"animal":"dog","color":"green","fruit":"apple","shape":"circle"}
    pear, cat, pink: {"animal":"cat","color":"pink","fruit":"pear"}
    pear, dog, green: {"animal":"dog","color":"green","fruit":"pear"}
    banana: {"fruit":"banana"}
    banana, cat: {"animal":"cat","fruit":"banana"}
    "#);
}

#[test]
fn include_alone_makes_legs_and_exclude_comes_first() {
    assert_eq!(
        legs("include:\n  - {a: 1}\n  - {a: 2, b: x}", ""),
        "1: {\"a\":1}\n2, x: {\"a\":2,\"b\":\"x\"}\n"
    );
    let strategy =
        "os: [a, b]\nn: [1, 2]\nexclude:\n  - {os: a}\n  - {os: b, n: 2.0}\ninclude:\n  - {os: a, n: 1}";
    assert_eq!(legs(strategy, ""), "b, 1: {\"n\":1,\"os\":\"b\"}\na, 1: {\"n\":1,\"os\":\"a\"}\n");
}

#[test]
fn an_expression_gives_a_list_or_keeps_its_type() {
    assert_eq!(
        legs("t: ${{ fromJSON(inputs.list) }}", r#"["x", 2, false]"#),
        "x: {\"t\":\"x\"}\n2: {\"t\":2}\nfalse: {\"t\":false}\n"
    );
    assert_eq!(
        legs("t: ['${{ fromJSON(inputs.list) }}', 'v${{ inputs.list }}']", "3"),
        "3: {\"t\":3}\nv3: {\"t\":\"v3\"}\n"
    );
}

#[test]
fn what_is_no_matrix_is_refused_at_its_place() {
    let text = [
        refused("t: ${{ fromJSON(inputs.list) }}", "[]"),
        refused("t: ${{ fromJSON(inputs.list) }}", "{\"a\": 1}"),
        refused("t: ${{ fromJSON(inputs.list) }}", "[[1]]"),
        refused("t: ${{ inputs.list }}", "x"),
        refused("t: ['${{ fromJSON(inputs.list) }}']", "[1]"),
        refused("t: ${{ fromJSON(inputs.list) }}\nu: [1, 2]", "[1"),
        refused("t: [1]\nexclude: [{t: 1}]", ""),
    ]
    .concat();
    insta::assert_snapshot!(text, @r#"
    9:11 matrix: the matrix dimension t has no value, so the step would never run
    9:14 matrix: the matrix dimension t must be a list of texts, numbers and booleans, and is an object
    9:14 matrix: the matrix dimension t must be a list of texts, numbers and booleans, and is a list that holds lists or objects
    9:14 matrix: the matrix dimension t must be a list of texts, numbers and booleans, and is a text (fromJSON makes a list of one)
    9:15 matrix: a value of a matrix must be a text, a number or a boolean, and this is a list
    9:18 matrix: `fromJSON` was given a text that is not JSON: EOF while parsing a list at line 1 column 2
    8:9 matrix: nothing is left of the matrix, so the step would never run
    "#);
}

#[test]
fn too_many_legs_are_refused_before_they_are_made() {
    let list: Vec<u32> = (0..200).collect();
    let list = serde_json::to_string(&list).unwrap();
    let dimension = "${{ fromJSON(inputs.list) }}";
    let text = refused(&format!("a: {dimension}\nb: [1, 2]"), &list);
    assert!(text.contains("400 legs; at most 256"), "{text}");
    let text = refused(&format!("a: {dimension}\nb: {dimension}\nc: {dimension}\nd: {dimension}"), &list);
    assert!(text.contains("far too many legs"), "{text}");
}

#[test]
fn labels_are_short_lines_and_unique() {
    let dimension = "t: ${{ fromJSON(inputs.list) }}";
    let twice = legs(dimension, r#"["x", "x", "x #2", 1, "1"]"#);
    let labels: Vec<&str> = twice.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    assert_eq!(labels, ["x", "x #2", "x #2 #2", "1", "1 #2"]);
    let list = json!(["y".repeat(5000), "a\nb\u{1b}[0m"]).to_string();
    let legs = expand(&with(dimension), &list).unwrap();
    let labels = matrix::labels(&legs);
    assert_eq!(labels[0].chars().count(), 101);
    assert_eq!(labels[1], "a\u{fffd}b\u{fffd}[0m");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_count_is_the_product_and_the_order_is_always_the_same(
        sizes in proptest::collection::vec(1_usize..5, 1..4),
        excluded in 0_usize..5,
    ) {
        let dimensions = sizes.iter().enumerate().map(|(dimension, size)| {
            let values: Vec<String> = (0..*size).map(|value| value.to_string()).collect();
            format!("d{dimension}: [{}]\n", values.join(", "))
        });
        let strategy = format!("{}exclude: [{{d0: {excluded}}}]\n", dimensions.collect::<Vec<_>>().concat());
        let parsed = with(&strategy);
        let all: usize = sizes.iter().product();
        let left = if excluded < sizes[0] { all - all / sizes[0] } else { all };
        let Ok(legs) = expand(&parsed, "") else {
            prop_assert_eq!(left, 0);
            return Ok(());
        };
        prop_assert_eq!(legs.len(), left);
        prop_assert_eq!(&legs, &expand(&parsed, "").unwrap());
        let labels = matrix::labels(&legs);
        let unique: BTreeSet<_> = labels.iter().collect();
        prop_assert_eq!(unique.len(), labels.len());
    }
}
