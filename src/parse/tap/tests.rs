use proptest::prelude::*;

use crate::manifest::model::Parser;
use crate::parse::testing::{Slow, parse, shown};

fn tap(text: &str) -> String {
    shown(Parser::Tap, text)
}

#[test]
fn points_and_directives() {
    insta::assert_snapshot!(tap("TAP version 14\n1..9\nok 1 - a # time=1.5ms\nnot ok 2 - b\nok\nnot ok 4 c # TODO later\nok 5 d # SKIP no disk\nnot ok 6 # skip\n\
        ok 7 \\# not a remark \\\\\nnot ok 8 TODO is no remark\nok 9 - e # Todo but passes\n"), @r##"
    Passed "" "a" 1.5ms
    failure - [b] <b> "b failed"
    Failed "" "b"
    Passed "" "test 3"
    Skipped "" "c"
    Skipped "" "d"
    Skipped "" "test 6"
    Passed "" "# not a remark \\"
    failure - [TODO is no remark] <TODO is no remark> "TODO is no remark failed"
    Failed "" "TODO is no remark"
    Passed "" "e"
    "##);
}

#[test]
fn diagnostics_have_places() {
    insta::assert_snapshot!(tap("1..5\nnot ok 1 - node\n  ---\n  duration_ms: 1.2\n  location: '/r/a.test.js:5:3'\n  error: |-\n    Expected 1\n    got 2\n  code: 'ERR'\n  ...\n\
        not ok 2 - tap\n  ---\n  message: 'it''s wrong'\n  at:\n    line: 7\n    column: 2\n    file: test/x.js\n  ...\n\
        not ok 3 - perl\n#   Failed test 'perl'\n#   at t/a.t line 12.\n\
        not ok 4 - bats\n# (in test file test/b.bats, line 3)\n#   `false' failed\nok 5\n# failed 4\n"), @r#"
    failure /r/a.test.js:5:3 [node] <node> "Expected 1\ngot 2\n\nduration_ms: 1.2\nlocation: '/r/a.test.js:5:3'\nerror: |-\n  Expected 1\n  got 2\ncode: 'ERR'"
    Failed "" "node"
    failure test/x.js:7:2 [tap] <tap> "it's wrong\n\nmessage: 'it''s wrong'\nat:\n  line: 7\n  column: 2\n  file: test/x.js"
    Failed "" "tap"
    failure t/a.t:12 [perl] <perl> "Failed test 'perl'\n  at t/a.t line 12."
    Failed "" "perl"
    failure test/b.bats:3 [bats] <bats> "(in test file test/b.bats, line 3)\n  `false' failed"
    Failed "" "bats"
    Passed "" "test 5"
    "#);
}

#[test]
fn the_point_of_a_subtest_says_what_counts() {
    insta::assert_snapshot!(tap("# Subtest: one\n    ok 1 - a\n    not ok 2 - b\n    1..2\nnot ok 1 - one\n\
        # Subtest: two\n    not ok 1 - c\n    1..1\nok 2 - two # TODO\n\
        # Subtest: three\n    not ok 1 - d\n    1..1\nok 3 - three\n\
        not ok 4 - four {\n    ok 1 - e\n    1..1\n}\n\
        not ok 5 - five {\n        not ok 1 - g\n        1..1\n    not ok 1 - f\n    1..1\n}\n    not ok 1 - orphan\n1..5\n"), @r#"
    Passed "one" "a"
    failure - [b] <one: b> "one: b failed"
    Failed "one" "b"
    Skipped "two" "c"
    warning - [d] <three: d> "three: d failed"
    Failed "three" "d"
    Passed "" "e"
    failure - [four] <four> "four failed"
    Failed "" "four"
    failure - [g] <g> "g failed"
    Failed "" "g"
    failure - [orphan] <orphan> "orphan failed"
    Failed "" "orphan"
    "#);
}

#[test]
fn plans_are_kept_or_told() {
    let all = [
        "ok 1\n",
        "1..2\nok 1\n",
        "1..1\nok 1\nok 2\n",
        "1..0 # SKIP why\n",
        "1..1\nok 2\n",
        "1..1\n1..1\nok\n",
        "5..6\nok 5\nok 6\n",
        "1..99999999999999999999\nok 1\n",
        "1..2\nok 2\nok 1\n",
    ];
    let shown: Vec<String> = all.iter().map(|text| format!("{text:?}\n{}", tap(text))).collect();
    insta::assert_snapshot!(shown.concat(), @r#"
    "ok 1\n"
    Passed "" "test 1"
    failure - [plan] <plan> "there is no plan after 1 tests: the run may have been cut short"
    "1..2\nok 1\n"
    Passed "" "test 1"
    failure - [plan] <plan> "2 tests were planned and 1 were run"
    "1..1\nok 1\nok 2\n"
    Passed "" "test 1"
    Passed "" "test 2"
    failure - [plan] <plan> "1 tests were planned and 2 were run"
    "1..0 # SKIP why\n"
    "1..1\nok 2\n"
    Passed "" "test 2"
    failure - [plan] <plan> "test 2 is outside of the plan 1..1"
    "1..1\n1..1\nok\n"
    Passed "" "test 1"
    failure - [plan] <plan> "there are 2 plans where one belongs"
    "5..6\nok 5\nok 6\n"
    Passed "" "test 5"
    Passed "" "test 6"
    "1..99999999999999999999\nok 1\n"
    Passed "" "test 1"
    failure - [plan] <plan> "18446744073709551614 tests were planned and 1 were run"
    "1..2\nok 2\nok 1\n"
    Passed "" "test 2"
    Passed "" "test 1"
    "#);
}

#[test]
fn a_bail_out_ends_the_run() {
    insta::assert_snapshot!(tap("1..3\nok 1\n    not ok 1 - held\n    Bail out! No disk.\nnot ok 2\n"), @r#"
    Passed "" "test 1"
    failure - [held] <held> "held failed"
    Failed "" "held"
    failure - [Bail out!] <Bail out!> "No disk."
    "#);
    insta::assert_snapshot!(tap("Bail out!"), @r#"failure - [Bail out!] <Bail out!> "the tests were given up""#);
}

#[test]
fn what_is_no_tap_is_refused_or_passed_over() {
    insta::assert_snapshot!(tap(""), @"error: this is not TAP: there is no plan and no test point at byte 0");
    insta::assert_snapshot!(tap("{\"not\": \"ok\"}\nokay\nnot okay\nok: x\n   ok 1\n"), @"error: this is not TAP: there is no plan and no test point at byte 42");
    insta::assert_snapshot!(tap("\x1b[32mok 1 - green\x1b[0m\r\nnoise\n  ok 7 - noise\n1..1\r\n"), @r#"Passed "" "green""#);
    insta::assert_snapshot!(tap("not ok 1 - x\n  ---\n  a: b\nnot ok 2 - the block never ended\n1..2\n"), @r#"
    failure - [x] <x> "a: b"
    Failed "" "x"
    failure - [the block never ended] <the block never ended> "the block never ended failed"
    Failed "" "the block never ended"
    "#);
}

#[test]
fn what_waits_for_a_parent_is_bounded() {
    let many = "    not ok\n".repeat(1_000);
    let (items, result) = parse(Parser::Tap, format!("{many}ok 1 # TODO\n1..1\n").as_bytes());
    assert!(result.is_ok());
    assert_eq!(items.len(), 2 * 1_000 - super::MAX_HELD / 2, "those that no longer fit counted at once");
    let deep: Vec<String> = (0..100).map(|depth| format!("{}not ok\n", " ".repeat(4 * depth))).collect();
    let _ = shown(Parser::Tap, deep.concat());
}

const PIECES: [&str; 22] = [
    "ok",
    "not ok",
    " 1",
    " - x",
    " # TODO",
    " # skip",
    " {",
    "\n",
    "\n    ",
    "\n        ",
    "\n  ",
    "---",
    "...",
    "}",
    "1..2",
    "1..",
    "Bail out!",
    "# Subtest: s",
    "TAP version 13",
    "\t",
    "é",
    "\r",
];

proptest! {
    #[test]
    fn any_bytes_may_come(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = shown(Parser::Tap, &bytes);
    }

    #[test]
    fn chunks_do_not_matter(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40), chunk in 1usize..9) {
        let text = pieces.concat();
        prop_assert_eq!(parse(Parser::Tap, text.as_bytes()).0, parse(Parser::Tap, Slow(text.as_bytes(), chunk)).0);
    }
}
