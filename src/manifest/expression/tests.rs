use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::expression::parse::{MAX_OPERATIONS, condition, contains_expression, template};
use crate::manifest::expression::{Expr, ExprKind, Key, Operator, Part, Place, number};

fn here(range: Range<usize>) -> Span {
    Span { start: range.start, end: range.end }
}

/// An expression with all its brackets written out.
fn brackets(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Null => "null".to_owned(),
        ExprKind::Bool(bool) => bool.to_string(),
        ExprKind::Number(number) => number.to_string(),
        ExprKind::Text(text) => format!("{text:?}"),
        ExprKind::Context(context) => context.as_str().to_owned(),
        ExprKind::Access(base, Key::Name(name)) => format!("{}.{name}", brackets(base)),
        ExprKind::Access(base, Key::Index(index)) => format!("{}[{}]", brackets(base), brackets(index)),
        ExprKind::Access(base, Key::Star) => format!("{}.*", brackets(base)),
        ExprKind::Call(function, args) => {
            format!("{}({})", function.as_str(), args.iter().map(brackets).collect::<Vec<_>>().join(", "))
        }
        ExprKind::Not(inner) => format!("!{}", brackets(inner)),
        ExprKind::Binary(operator, left, right) => {
            let operator = match operator {
                Operator::Or => "||",
                Operator::And => "&&",
                Operator::Equal => "==",
                Operator::NotEqual => "!=",
                Operator::Less => "<",
                Operator::LessOrEqual => "<=",
                Operator::Greater => ">",
                Operator::GreaterOrEqual => ">=",
            };
            format!("({} {operator} {})", brackets(left), brackets(right))
        }
    }
}

fn parsed(text: &str) -> String {
    brackets(&condition(text, &here).unwrap().0)
}

fn shown(text: &str, errors: Vec<Diagnostic>) -> String {
    let mut out = String::new();
    for error in errors {
        let source = &text[error.span.start..error.span.end];
        let help = error.help.map(|help| format!("; {help}")).unwrap_or_default();
        writeln!(out, "  {} at `{source}`: {}{help}", error.rule, error.message).unwrap();
    }
    out
}

fn refused(texts: &[&str], place: Place) -> String {
    let mut out = String::new();
    for text in texts {
        let found = if place == Place::Condition {
            condition(text, &here).map(drop)
        } else {
            template(text, place, &here).map(drop)
        };
        writeln!(out, "{text}\n{}", shown(text, found.unwrap_err()).trim_end()).unwrap();
    }
    out
}

#[test]
fn operators_bind_as_in_actions() {
    assert_eq!(parsed("true || false && 1 == 2 < 3"), "(true || (false && (1 == (2 < 3))))");
    assert_eq!(parsed("1 == 2 == 3"), "((1 == 2) == 3)");
    assert_eq!(parsed("!inputs.a == true"), "(!inputs.a == true)");
    assert_eq!(parsed("!(inputs.a == true)"), "!(inputs.a == true)");
    assert_eq!(parsed("1 <= 2 != (3 >= 4)"), "((1 <= 2) != (3 >= 4))");
    assert_eq!(parsed("!!env.x"), "!!env.x");
}

#[test]
fn every_form_is_read() {
    assert_eq!(
        parsed("contains(fromJSON('[1]').a-b['c d'][0].*.e, 'it''s }}') && SUCCESS()"),
        "(contains(fromJSON(\"[1]\").a-b.c d[0].*.e, \"it's }}\") && success())"
    );
    assert_eq!(parsed("matrix[inputs.name][*]"), "matrix[inputs.name].*");
    assert_eq!(parsed("Inputs.Dry-Run"), "inputs.Dry-Run");
    assert_eq!(
        parsed("0xff == 0o17 || -1.5e2 < .5 && +1 != 1."),
        "((255 == 15) || ((-150 < 0.5) && (1 != 1)))"
    );
    assert_eq!(parsed(" ${{ null }} "), "null");
    assert_eq!(parsed("github . sha"), "github.sha");
}

#[test]
fn numbers_are_those_of_actions() {
    for (text, expected) in [
        ("", 0.0),
        (" 7 ", 7.0),
        ("-1.5e3", -1500.0),
        ("0xFFFFFFFF", -1.0),
        ("0x1F", 31.0),
        ("0o777", 511.0),
        ("Infinity", f64::INFINITY),
        ("-Infinity", f64::NEG_INFINITY),
    ] {
        assert_eq!(number::parse(text).to_bits(), f64::to_bits(expected), "{text}");
    }
    for text in [
        "nan",
        "inf",
        "infinity",
        "1,0",
        "0x",
        "0xg",
        "0x+1",
        "0x100000000",
        "0o8",
        "1_0",
        "true",
        "--1",
        ".",
    ] {
        assert!(number::parse(text).is_nan(), "{text}");
    }
}

#[test]
fn a_template_is_cut_at_its_expressions() {
    let template = template("a ${{ inputs.x }}-${{ '}}' }}b}}", Place::Args, &here).unwrap();
    let parts: Vec<String> = template
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Expr(expr) => format!("<{}>", brackets(expr)),
        })
        .collect();
    assert_eq!(parts, ["a ", "<inputs.x>", "-", "<\"}}\">", "b}}"]);
}

#[test]
fn a_condition_is_an_expression_and_nothing_beside_it() {
    let (_, text) = condition(" ${{ success() }} ", &here).unwrap();
    assert_eq!(text, "success()");
    let (_, text) = condition("  success()\n", &here).unwrap();
    assert_eq!(text, "success()");
    insta::assert_snapshot!(refused(&["${{ inputs.a }} == 'b'", "!${{ inputs.a }}", "${{ true }} ${{ true }}", "", "${{ }}", "${{}}", "${{ true"], Place::Condition), @"
    ${{ inputs.a }} == 'b'
      mixed-condition at `${{ inputs.a }} == 'b'`: text beside `${{ }}` makes this condition a text, and any text is true; write one `${{ }}` around the whole condition, or none
    !${{ inputs.a }}
      mixed-condition at `!${{ inputs.a }}`: text beside `${{ }}` makes this condition a text, and any text is true; write one `${{ }}` around the whole condition, or none
    ${{ true }} ${{ true }}
      mixed-condition at `${{ true }} ${{ true }}`: text beside `${{ }}` makes this condition a text, and any text is true; write one `${{ }}` around the whole condition, or none

      expression-syntax at ``: the expression is empty
    ${{ }}
      expression-syntax at ` `: the expression is empty
    ${{}}
      expression-syntax at `${{}}`: the expression is empty
    ${{ true
      expression-syntax at `${{`: this `${{` is not closed; close it with `}}`; a text inside stands in single quotes
    ");
}

#[test]
fn syntax_errors_point_at_their_place() {
    insta::assert_snapshot!(refused(&[
        "1 +",
        "1 ==",
        "(1",
        "1)",
        "inputs.",
        "inputs.[0]",
        "inputs.1a",
        "inputs['a'",
        "'open",
        "\"double\"",
        "1x",
        "1e999",
        "a b",
        "contains('a' 'b')",
        "contains('a',",
        "inputs.é",
        "1 = 2",
        "1 & 2",
        "'a'.b",
        "*",
        "NaN",
    ], Place::Condition), @r#"
    1 +
      expression-syntax at `+`: this is not a number
    1 ==
      expression-syntax at `=`: the expression ends where a value was expected
    (1
      expression-syntax at `1`: the expression ends where `)` was expected
    1)
      expression-syntax at `)`: an operator was expected here
    inputs.
      expression-syntax at `.`: a property name is missing after this `.`
    inputs.[0]
      expression-syntax at `[`: a property name was expected here; write a name that is not a plain word as `['name']`
    inputs.1a
      expression-syntax at `1a`: this is not a number
    inputs['a'
      expression-syntax at `'`: the expression ends where `]` was expected
    'open
      expression-syntax at `'open`: this text is not closed; close it with `'`
    "double"
      expression-syntax at `"`: texts in expressions stand in single quotes; write `'…'` instead of `"…"`
    1x
      expression-syntax at `1x`: this is not a number
    1e999
      expression-syntax at `1e999`: this is not a number
    a b
      unknown-context at `a`: there is no context `a`; known are inputs, matrix, env, steps, github, runner and secrets; a text stands in single quotes
      expression-syntax at `b`: an operator was expected here
    contains('a' 'b')
      expression-syntax at `'b'`: `,` was expected here
    contains('a',
      expression-syntax at `,`: the expression ends where a value was expected
    inputs.é
      expression-syntax at `é`: this character has no meaning in an expression
    1 = 2
      expression-syntax at `=`: this character has no meaning in an expression; write `==`
    1 & 2
      expression-syntax at `&`: this character has no meaning in an expression; write `&&`
    'a'.b
      expression-syntax at `.`: a literal has no properties
    *
      expression-syntax at `*`: a value was expected here
    NaN
      unknown-context at `NaN`: there is no context `NaN`; known are inputs, matrix, env, steps, github, runner and secrets; a text stands in single quotes
    "#);
}

#[test]
fn names_are_judged_where_they_stand() {
    insta::assert_snapshot!(refused(&[
        "${{ input.a }}",
        "${{ needs.build.result }}",
        "${{ foo }}",
        "${{ secrets.TOKEN }}",
        "${{ github.event.issue.title }}",
        "${{ toJSON(github) }}",
        "${{ github[inputs.a] }}",
        "${{ github.shaa }} ${{ github.action_path }}",
        "${{ github.token }}",
        "${{ runner.temporary }}",
        "${{ steps.a.outcome }}",
        "${{ success() }}",
        "${{ startWith('a', 'b') }} ${{ nothing() }}",
        "${{ contains('a') }} ${{ toJSON() }} ${{ format() }} ${{ join(1, 2, 3) }}",
        "${{ hashFiles(inputs.a) }}",
    ], Place::Name), @"
    ${{ input.a }}
      unknown-context at `input`: there is no context `input`; did you mean `inputs`?
    ${{ needs.build.result }}
      unknown-context at `needs`: `needs` is a context of GitHub Actions that a manifest does not have; pass its value to the command as an input
    ${{ foo }}
      unknown-context at `foo`: there is no context `foo`; known are inputs, matrix, env, steps, github, runner and secrets; a text stands in single quotes
    ${{ secrets.TOKEN }}
      context-not-allowed at `secrets`: `secrets` cannot be read in the `name` of a step; it can be read in the `env` of a step
    ${{ github.event.issue.title }}
      event-not-allowed at `github.event.issue.title`: `github.event` cannot be read in the `name` of a step, because a stranger may have written what it holds; it can be read in `env` and in `args`, where it arrives as data
    ${{ toJSON(github) }}
      computed-property at `github`: a property of `github` must be named; all of them, or one by a computed name, cannot be read; write `github.sha`, for example
    ${{ github[inputs.a] }}
      computed-property at `github[inputs.a]`: a property of `github` must be named; all of them, or one by a computed name, cannot be read; write `github.sha`, for example
    ${{ github.shaa }} ${{ github.action_path }}
      unknown-property at `shaa`: `github` has no property `shaa` here; did you mean `sha`?
      unknown-property at `action_path`: `github` has no property `action_path` here; known are actor, actor_id, api_url, base_ref, event, event_name, graphql_url, head_ref, job, ref, ref_name, ref_protected, ref_type, repository, repository_id, repository_owner, repository_owner_id, run_attempt, run_id, run_number, server_url, sha, token, triggering_actor, workflow, workflow_ref, workflow_sha and workspace
    ${{ github.token }}
      token-not-allowed at `github.token`: `github.token` cannot be read in the `name` of a step; it can be read in the `env` of a step only
    ${{ runner.temporary }}
      unknown-property at `temporary`: `runner` has no property `temporary` here; known are arch, debug, environment, name, os, temp and tool_cache
    ${{ steps.a.outcome }}
      context-not-allowed at `steps`: `steps` cannot be read in the `name` of a step; it can be read in `if`, the `env` of a step, `args` and `artifacts`
    ${{ success() }}
      status-not-allowed at `success`: `success()` cannot be called in the `name` of a step; it can be called in `if` only
    ${{ startWith('a', 'b') }} ${{ nothing() }}
      unknown-function at `startWith`: there is no function `startWith`; did you mean `startsWith`?
      unknown-function at `nothing`: there is no function `nothing`; known are success, failure, always, cancelled, contains, startsWith, endsWith, format, join, toJSON, fromJSON and hashFiles
    ${{ contains('a') }} ${{ toJSON() }} ${{ format() }} ${{ join(1, 2, 3) }}
      argument-count at `contains('a')`: `contains` takes 2 arguments, not 1
      argument-count at `toJSON()`: `toJSON` takes 1 argument, not 0
      argument-count at `format()`: `format` takes at least 1 argument, not 0
      argument-count at `join(1, 2, 3)`: `join` takes 1 to 2 arguments, not 3
    ${{ hashFiles(inputs.a) }}
      computed-glob at `inputs.a`: `hashFiles` takes literal globs only, because files are hashed before anything has a value; write the glob in single quotes
    ");
}

#[test]
fn secrets_and_steps_are_named_and_nothing_else() {
    insta::assert_snapshot!(refused(&[
        "${{ secrets }}",
        "${{ secrets.* }}",
        "${{ secrets[inputs.a] }}",
        "${{ steps }}",
        "${{ steps.a }}",
        "${{ steps[inputs.a].outcome }}",
        "${{ steps.*.outcome }}",
        "${{ steps.a.output.b }}",
        "${{ steps.a.outcome.b }}",
        "${{ always() }}",
    ], Place::StepEnv), @"
    ${{ secrets }}
      computed-secret at `secrets`: a secret must be named; all of them, or one by a computed name, cannot be read; write `secrets.NAME`
    ${{ secrets.* }}
      computed-secret at `secrets.*`: a secret must be named; all of them, or one by a computed name, cannot be read; write `secrets.NAME`
    ${{ secrets[inputs.a] }}
      computed-secret at `secrets[inputs.a]`: a secret must be named; all of them, or one by a computed name, cannot be read; write `secrets.NAME`
    ${{ steps }}
      steps-shape at `steps`: a step must be named; all of them, or one by a computed name, cannot be read; write `steps.ID.outcome`, `steps.ID.conclusion` or `steps.ID.outputs.NAME`
    ${{ steps.a }}
      steps-shape at `steps.a`: a step as a whole has no value; write `steps.ID.outcome`, `steps.ID.conclusion` or `steps.ID.outputs.NAME`
    ${{ steps[inputs.a].outcome }}
      steps-shape at `steps[inputs.a].outcome`: a step must be named; all of them, or one by a computed name, cannot be read; write `steps.ID.outcome`, `steps.ID.conclusion` or `steps.ID.outputs.NAME`
    ${{ steps.*.outcome }}
      steps-shape at `steps.*.outcome`: a step must be named; all of them, or one by a computed name, cannot be read; write `steps.ID.outcome`, `steps.ID.conclusion` or `steps.ID.outputs.NAME`
    ${{ steps.a.output.b }}
      unknown-property at `output`: a step has no property `output` here; did you mean `outputs`?
    ${{ steps.a.outcome.b }}
      steps-shape at `b`: this is a text and has no properties; write `steps.ID.outcome`, `steps.ID.conclusion` or `steps.ID.outputs.NAME`
    ${{ always() }}
      status-not-allowed at `always`: `always()` cannot be called in the `env` of a step; it can be called in `if` only
    ");
}

#[test]
fn what_is_allowed_is_accepted() {
    for text in [
        "${{ secrets.A }}${{ secrets['A'] }}",
        "${{ github.token }}",
        "${{ github.event.pull_request.labels.*.name }}",
        "${{ github['event'].number }}",
        "${{ steps.a.outputs.b || steps['a'].conclusion }}",
        "${{ toJSON(inputs) }}${{ toJSON(matrix) }}",
        "${{ hashFiles('a', '**/b') }}",
        "${{ runner.os }}",
    ] {
        assert_eq!(template(text, Place::StepEnv, &here).map(drop), Ok(()), "{text}");
    }
}

#[test]
fn expressions_in_scripts_are_found() {
    assert_eq!(contains_expression("echo ${{ a }} b"), Some(5..13));
    assert_eq!(contains_expression("echo ${{ '}}' }}"), Some(5..16));
    assert_eq!(contains_expression("echo ${{ a"), Some(5..8));
    assert_eq!(contains_expression("echo ${a} {{ b }}"), None);
}

#[test]
fn depth_and_length_are_bounded() {
    let rule = |text: &str| condition(text, &here).unwrap_err()[0].rule;
    assert_eq!(rule(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000))), "expression-too-deep");
    assert_eq!(rule(&format!("{}1", "!".repeat(200))), "expression-too-deep");
    assert_eq!(rule(&format!("{}1", "inputs[".repeat(2_000))), "expression-too-deep");
    assert_eq!(rule(&format!("inputs{}", ".a".repeat(5_000))), "expression-too-long");
    assert_eq!(rule(&format!("1{}", "||1".repeat(MAX_OPERATIONS + 1))), "expression-too-long");
    assert_eq!(rule(&"1".repeat(30_000)), "expression-too-long");
    assert!(condition(&format!("1{}", "||1".repeat(MAX_OPERATIONS)), &here).is_ok());
    let start = Instant::now();
    drop(template(&"${{1}}".repeat(3_500), Place::Args, &here));
    drop(template(&"${{'".repeat(5_000), Place::Args, &here));
    assert!(start.elapsed() < Duration::from_secs(5));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[-a'(){}\\[\\]$.,*!&|=<>0-9 é\"\n]{0,40}") {
        for found in [condition(&text, &here).map(drop), template(&text, Place::StepEnv, &here).map(drop)] {
            for error in found.err().into_iter().flatten() {
                prop_assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?}");
            }
        }
    }

    #[test]
    fn no_sequence_of_tokens_makes_the_parser_panic(tokens in prop::collection::vec(prop::sample::select(vec![
        "inputs", ".", "a", "[", "]", "'x'", "(", ")", "contains", ",", "&&", "!", "==", "1", "*", "secrets", "${{", "}}", " ",
    ]), 0..20)) {
        let text = tokens.concat();
        for found in [condition(&text, &here).map(drop), template(&text, Place::StepEnv, &here).map(drop)] {
            for error in found.err().into_iter().flatten() {
                prop_assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?}");
            }
        }
        if let Ok((expr, _)) = condition(&text, &here) {
            expr.walk(&mut |part| assert!(text.get(part.span.start..part.span.end).is_some()));
        }
    }
}
