use crate::manifest::diagnostic::{Diagnostic, Position, Source, Span, json, nearest, render};

fn source(text: &str) -> Source {
    Source { path: ".github/rungate.yml".to_owned(), text: text.to_owned() }
}

fn at(text: &str, part: &str) -> Span {
    let start = text.find(part).unwrap();
    Span { start, end: start + part.len() }
}

#[test]
fn a_diagnostic_shows_its_place_its_rule_and_the_way_out() {
    let text = "version: 1\ncommands:\n  a:\n    stepz: []\n    name: é ${{ input.x }}\n    name: b\n";
    let second = text.rfind("name").unwrap();
    let diagnostics = [
        Diagnostic::error("unknown-context", at(text, "input.x"), "there is no context `input`")
            .help("did you mean `inputs`?"),
        Diagnostic::error("unknown-key", at(text, "stepz"), "a command has no key `stepz`")
            .help("did you mean `steps`?")
            .as_warning(),
        Diagnostic::error(
            "duplicate-key",
            Span { start: second, end: second + 4 },
            "the key `name` is written twice",
        )
        .related(at(text, "name"), "first written here"),
    ];
    insta::assert_snapshot!(render(&source(text), &diagnostics, false), @"
    warning[unknown-key]: a command has no key `stepz`
     --> .github/rungate.yml:4:5
      |
    4 |     stepz: []
      |     ^^^^^
      |
      = help: did you mean `steps`?

    error[unknown-context]: there is no context `input`
     --> .github/rungate.yml:5:17
      |
    5 |     name: é ${{ input.x }}
      |                 ^^^^^^^
      |
      = help: did you mean `inputs`?

    error[duplicate-key]: the key `name` is written twice
     --> .github/rungate.yml:6:5
      |
    6 |     name: b
      |     ^^^^
      |
     ::: .github/rungate.yml:5:5
      |
    5 |     name: é ${{ input.x }}
      |     ---- first written here
    ");
}

#[test]
fn two_places_on_one_line_are_shown_on_one_line() {
    let text = "a: {x: 1, x: 2}\n";
    let diagnostic =
        Diagnostic::error("duplicate-key", Span { start: 10, end: 11 }, "the key `x` is written twice")
            .related(at(text, "x"), "first written here");
    insta::assert_snapshot!(render(&source(text), &[diagnostic], false), @"
    error[duplicate-key]: the key `x` is written twice
     --> .github/rungate.yml:1:11
      |
    1 | a: {x: 1, x: 2}
      |     -     ^
      |     |
      |     first written here
    ");
}

#[test]
fn a_place_of_several_lines_is_shown_by_its_first() {
    let text = "steps:\n  - run: |\n      one\n      two\n";
    let diagnostic = Diagnostic::error("x", Span { start: 9, end: text.len() }, "wrong");
    insta::assert_snapshot!(render(&source(text), &[diagnostic], false), @"
    error[x]: wrong
     --> .github/rungate.yml:2:3
      |
    2 |   - run: |
      |   ^^^^^^^^
    ");
}

#[test]
fn the_end_of_the_file_is_a_place() {
    let diagnostic = Diagnostic::error("x", Span { start: 5, end: 5 }, "ends here");
    insta::assert_snapshot!(render(&source("a: 1\n"), std::slice::from_ref(&diagnostic), false), @"
    error[x]: ends here
     --> .github/rungate.yml:2:1
      |
    2 |
      | ^
    ");
    insta::assert_snapshot!(render(&source(""), &[diagnostic], false), @"
    error[x]: ends here
     --> .github/rungate.yml:1:1
      |
    1 |
      | ^
    ");
}

#[test]
fn what_a_terminal_would_obey_is_shown_instead() {
    let text = "a: \u{1b}[31mred\r\u{202e}b\t\u{85}\u{200b}x\n";
    let diagnostic =
        Diagnostic::error("x", at(text, "b\t"), "text \u{1b}]0;x\u{7} and\nmore").help("a\u{2066}b\r");
    for color in [false, true] {
        let mut shown = source(text);
        shown.path = "a\u{1b}[2J\n.yml".to_owned();
        let out = render(&shown, std::slice::from_ref(&diagnostic), color);
        for hostile in [
            "\u{1b}[31mred",
            "\u{1b}]",
            "\u{1b}[2J",
            "\r",
            "\u{202e}",
            "\u{2066}",
            "\u{85}",
            "\u{7}",
            "\u{200b}",
        ] {
            assert!(!out.contains(hostile), "{hostile:?} in {out:?}");
        }
    }
    insta::assert_snapshot!(render(&source(text), &[diagnostic], false), @"
    error[x]: text ␛]0;x␇ and␊more
     --> .github/rungate.yml:1:14
      |
    1 | a: ␛[31mred␍�b→��x
      |              ^^
      |
      = help: a�b␍
    ");
}

#[test]
fn a_long_line_is_cut_around_its_caret_and_the_column_stays_true() {
    let text = format!("{}HERE{}", "é".repeat(100_000), "x".repeat(100_000));
    let diagnostic = Diagnostic::error("x", at(&text, "HERE"), "wrong");
    insta::assert_snapshot!(render(&source(&text), &[diagnostic], false), @"
    error[x]: wrong
     --> .github/rungate.yml:1:100001
      |
    1 | ...éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééHERExxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      |                                                                   ^^^^
    ");
}

#[test]
fn no_place_in_a_long_line_makes_a_long_report() {
    let text = "x".repeat(200_000);
    let whole = Span { start: 0, end: text.len() };
    let end = Span { start: text.len() - 1, end: text.len() };
    let diagnostics = [
        Diagnostic::error("a", whole, "w".repeat(100_000)).help("h".repeat(100_000)),
        Diagnostic::error("b", end, "far").related(whole, "r".repeat(100_000)),
    ];
    let out = render(&source(&text), &diagnostics, false);
    assert!(out.len() < 6_000, "{}", out.len());
    assert!(out.lines().all(|line| line.chars().count() < 1_200));
}

#[test]
fn many_are_counted_and_equal_ones_shown_once() {
    let text = "a\n".repeat(60);
    let many: Vec<Diagnostic> = (0..60)
        .map(|line| Diagnostic::error("x", Span { start: line * 2, end: line * 2 + 1 }, "wrong"))
        .collect();
    let out = render(&source(&text), &many, false);
    assert_eq!(out.matches("error[x]").count(), 50);
    assert!(out.ends_with("\n… and 10 more diagnostics\n"), "{out}");
    let same = [many[0].clone(), many[0].clone()];
    assert_eq!(render(&source(&text), &same, false).matches("error[x]").count(), 1);
}

#[test]
fn diagnostics_are_data_as_well() {
    let text = "a: é\nb: {c: 1}\n";
    let diagnostics = [
        Diagnostic::error("y", at(text, "{c: 1}"), "second").related(at(text, "a"), "first"),
        Diagnostic::error("x", at(text, "é"), "first").help("mend it").as_warning(),
    ];
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&source(text), &diagnostics)).unwrap(), @r#"
    [
      {
        "path": ".github/rungate.yml",
        "line": 1,
        "column": 4,
        "end_line": 1,
        "end_column": 5,
        "severity": "warning",
        "rule": "x",
        "message": "first",
        "help": "mend it",
        "related": null
      },
      {
        "path": ".github/rungate.yml",
        "line": 2,
        "column": 4,
        "end_line": 2,
        "end_column": 10,
        "severity": "error",
        "rule": "y",
        "message": "second",
        "help": null,
        "related": {
          "line": 1,
          "column": 1,
          "message": "first"
        }
      }
    ]
    "#);
}

#[test]
fn columns_are_counted_in_characters() {
    let source = source("é\nüb\n");
    assert_eq!(source.position(5), Position { line: 2, column: 2 });
    assert_eq!(source.position(4), Position { line: 2, column: 2 }, "inside a character");
    assert_eq!(source.position(999), Position { line: 3, column: 1 });
}

#[test]
fn the_nearest_word_is_near() {
    let known = ["steps", "name", "needs", "if", "timeout-minutes"];
    assert_eq!(nearest("stpes", known), Some("steps"));
    assert_eq!(nearest("Steps", known), Some("steps"));
    assert_eq!(nearest("timeout-minute", known), Some("timeout-minutes"));
    assert_eq!(nearest("need", known), Some("needs"));
    assert_eq!(nearest("IF", known), Some("if"));
    assert_eq!(nearest("x", known), None);
    assert_eq!(nearest("artifacts", known), None);
    assert_eq!(nearest(&"steps".repeat(10_000), known), None);
}
