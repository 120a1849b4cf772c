use proptest::prelude::*;

use super::*;
use crate::parse::told;

fn log(text: &str) -> String {
    told(|sink| read(&Options::default(), TOOL, text.as_bytes(), sink))
}

/// A log with one run of these members.
fn run_of(members: &str) -> String {
    log(&format!("{{\"version\": \"2.1.0\", \"runs\": [{{{members}}}]}}"))
}

const TOOLS: &str = r#""tool": {"driver": {"name": "T", "globalMessageStrings": {"g": {"text": "global {0}"}}, "rules": [
        {"id": "R1", "shortDescription": {"text": "Short"}, "messageStrings": {"m": {"text": "'{0}' is {{not}} {1}, {0}"}}},
        {"id": "R2", "defaultConfiguration": {"level": "error"}},
        {"id": "R3", "defaultConfiguration": {"level": "none"}}]},
    "extensions": [{"name": "E", "guid": "42", "rules": [{"id": "X", "defaultConfiguration": {"level": "note"}}]}]}"#;

const RESULTS: &str = r#""results": [
        {"message": {"id": "m", "arguments": ["a", "b"]}, "ruleId": "R1", "locations": [{"message": {"text": "no file"}},
            {"physicalLocation": {"artifactLocation": {"uri": "src/a%20b.c", "uriBaseId": "SRCROOT"}, "region": {"startLine": 3, "startColumn": 2, "endColumn": 5}}}]},
        {"message": {"id": "g", "arguments": ["{0}"]}, "ruleIndex": 1, "locations": [{"physicalLocation": {"artifactLocation": {"index": 1}}}]},
        {"message": {"text": "{0} stays"}, "ruleId": "R2/sub", "analysisTarget": {"uri": "t.c"}},
        {"message": {"text": "by extension"}, "rule": {"index": 0, "toolComponent": {"index": 0}}},
        {"message": {"markdown": "*by guid*"}, "rule": {"id": "X", "toolComponent": {"guid": "42"}}, "level": "warning"},
        {"message": {"text": "lower by an invocation"}, "ruleId": "R2", "provenance": {"invocationIndex": 0}},
        {"message": {"text": "never"}, "ruleId": "R3"},
        {"message": {"text": "no rule"}},
        {"ruleId": "R1", "message": {}}]"#;

const FILES: &str = r#""artifacts": [{"location": {"uri": "file:///x/app.zip"}}, {"location": {"uri": "/in/z.c"}, "parentIndex": 0}],
    "originalUriBaseIds": {"SRCROOT": {"uri": "file:///elsewhere/"}},
    "invocations": [{"ruleConfigurationOverrides": [{"descriptor": {"index": 1}, "configuration": {"level": "note"}}]}]"#;

#[test]
fn a_result_takes_from_its_run_what_it_does_not_say_itself() {
    insta::assert_snapshot!(run_of(&format!("{TOOLS}, {FILES}, {RESULTS}")), @r#"
    T warning [R1] src/a b.c:3:2::4 "Short" > "'a' is {not} b, a"
    T failure [R2] /x/app.zip/in/z.c "global {0}"
    T failure [R2/sub] t.c "{0} stays"
    T notice [X] - "by extension"
    T warning [X] - "*by guid*"
    T notice [R2] - "lower by an invocation"
    T warning - "no rule"
    T warning [R1] - "Short"
    "#);
}

#[test]
fn the_order_of_a_run_does_not_matter() {
    let expected = run_of(&format!("{TOOLS}, {FILES}, {RESULTS}"));
    for order in
        [[TOOLS, RESULTS, FILES], [RESULTS, TOOLS, FILES], [FILES, RESULTS, TOOLS], [RESULTS, FILES, TOOLS]]
    {
        assert_eq!(run_of(&order.join(",")), expected);
    }
}

#[test]
fn what_is_no_failure_or_not_new_is_left_out() {
    let left_out = [
        r#""kind": "pass""#,
        r#""kind": "review""#,
        r#""baselineState": "absent""#,
        r#""baselineState": "unchanged""#,
        r#""level": "none""#,
    ];
    for member in left_out {
        assert_eq!(
            run_of(&format!(r#""results": [{{{member}, "message": {{"text": "m"}}}}]"#)),
            "",
            "{member}"
        );
    }
    let told = [
        r#""kind": "fail""#,
        r#""baselineState": "new""#,
        r#""baselineState": "updated""#,
        r#""suppressions": []"#,
        r#""suppressions": [{"kind": "external"}, {"status": "rejected"}]"#,
        r#""suppressions": null"#,
    ];
    for member in told {
        let out = run_of(&format!(r#""results": [{{{member}, "message": {{"text": "m"}}}}]"#));
        assert_eq!(out, "sarif warning - \"m\"\n", "{member}");
    }
}

#[test]
fn what_is_suppressed_is_told_with_its_reason() {
    for (member, reason) in [
        (r#"[{"kind": "inSource"}]"#, "suppressed by the tool in the source"),
        (r#"[{"status": "accepted"}]"#, "suppressed by the tool"),
        (
            r#"[{"justification": " by design "}, {"status": "accepted"}]"#,
            "suppressed by the tool: by design",
        ),
    ] {
        let out =
            run_of(&format!(r#""results": [{{"suppressions": {member}, "message": {{"text": "m"}}}}]"#));
        assert_eq!(out, format!("suppressed ({reason}): m\n"));
        let nothing = run_of(&format!(r#""results": [{{"suppressions": {member}, "kind": "pass"}}]"#));
        assert_eq!(nothing, "", "no failure is none that could be suppressed");
    }
}

#[test]
fn fixes_and_flows_are_told_in_short() {
    let step = |line: u32| {
        format!(
            r#"{{"location": {{"physicalLocation": {{"artifactLocation": {{"uri": "a.c"}}, "region": {{"startLine": {line}}}}}, "message": {{"text": "step"}}}}}}"#
        )
    };
    let steps: Vec<String> = (1..13).map(step).collect();
    let flow = format!(
        r#"{{"threadFlows": [{{"locations": [{}]}}, {{"locations": [{}]}}]}}"#,
        steps.join(","),
        step(99)
    );
    insta::assert_snapshot!(run_of(&format!(
        r#""results": [{{"message": {{"text": "m"}}, "fixes": [{{}}, {{"description": {{"text": "do it"}}}}], "codeFlows": [{flow}, {flow}]}}]"#
    )), @r#"sarif warning - "m\n\nFix: do it\n\nFlow:\n- a.c:1 step\n- a.c:2 step\n- a.c:3 step\n- a.c:4 step\n- a.c:5 step\n- a.c:6 step\n- a.c:7 step\n- a.c:8 step\n- a.c:9 step\n- a.c:10 step\n- and 2 more""#);
}

#[test]
fn fingerprints_of_the_tool_are_kept() {
    let of = |members: &str| {
        let text = format!(
            r#"{{"version": "2.1.0", "runs": [{{"results": [{{"message": {{"text": "m"}}, "partialFingerprints": {{{members}}}}}]}}]}}"#
        );
        let mut found = String::new();
        read(&Options::default(), TOOL, text.as_bytes(), &mut |item| {
            if let Item::Finding(finding) = item {
                found = finding.fingerprint;
            }
        })
        .unwrap();
        found
    };
    assert_eq!(of(r#""other": "x", "primaryLocationLineHash": "ab:1""#), "ab:1");
    assert_eq!(of(r#""primaryLocationLineHash/v1": "ab:1", "rungate/v1": "ours""#), "ab:1");
    assert_eq!(of(r#""rungate/v1": "ours", "other": "x""#), "ours");
    assert_eq!(of(r#""a": "x", "b": "y""#), "a=x\nb=y\n");
    assert_eq!(of(""), "");
}

#[test]
fn a_record_of_the_wrong_form_is_left_out_and_told() {
    insta::assert_snapshot!(run_of(r#""tool": [], "results": [{"message": "text"}, {"message": {"text": "good"}}, 7, null,
        {"message": {"text": "m"}, "locations": {}}], "artifacts": {}"#), @r#"
    broken: an array stands where an object belongs at byte 39
    broken: a string stands where an object belongs at byte 67
    sarif warning - "good"
    broken: a number stands where an object belongs at byte 107
    broken: an object stands where an array belongs at byte 164
    broken: an object stands where an array belongs at byte 183
    "#);
    insta::assert_snapshot!(log(r#"{"version": "2.1.0", "runs": [null, 1, {"results": null}]}"#), @"broken: a number stands where an object belongs at byte 36");
}

#[test]
fn other_documents_are_refused_by_name() {
    let texts = [
        r#"{"version": "1.0.0", "runs": [{"results": [{"formattedRuleMessage": {}}]}]}"#,
        r#"{"$schema": "http://json.schemastore.org/sarif-1.0.0", "runs": []}"#,
        r#"{"runs": []}"#,
        r#"{"version": "2.1.0"}"#,
        "[]",
        "x",
        "",
        r#"{"version": "2.1.0", "runs": [] } x"#,
        r#"{"version": "2.1.0", "runs": [{"results": [{"message": {"text": "read before"}},"#,
    ];
    insta::assert_snapshot!(texts.map(log).concat(), @r#"
    error: SARIF 1.0.0 cannot be read, only 2.1.0: convert it with `sarif-multitool transform --sarif-output-version Current`, found at byte 12
    error: the SARIF has no `version`; only 2.1.0 can be read at byte 66
    error: the SARIF has no `version`; only 2.1.0 can be read at byte 12
    error: this is no SARIF: it has no `runs` at byte 20
    error: this is no SARIF: an object with `version` and `runs` was expected at byte 0
    error: a JSON value was expected at byte 0
    error: the JSON is cut short at byte 0
    error: text follows the JSON value at byte 34
    sarif warning - "read before"
    error: the JSON is cut short at byte 80
    "#);
    let schema = r#"{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": []}"#;
    assert_eq!(log(schema), "");
}

#[test]
fn folders_that_go_in_circles_have_an_end() {
    let bases = r#""originalUriBaseIds": {"A": {"uri": "a/", "uriBaseId": "B"}, "B": {"uri": "b/", "uriBaseId": "A"}}"#;
    let files = r#""artifacts": [{"location": {"uri": "x"}, "parentIndex": 0}]"#;
    let result = r#"{"message": {"text": "m"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "f", "uriBaseId": "A"}}}]}"#;
    let nested = r#"{"message": {"text": "m"}, "locations": [{"physicalLocation": {"artifactLocation": {"index": 0}}}]}"#;
    let out = run_of(&format!("{bases}, {files}, \"tool\": {{}}, \"results\": [{result}, {nested}]"));
    assert_eq!(out.lines().count(), 2, "{out}");
}

#[test]
fn metadata_without_end_is_left_out_and_told() {
    let rules: Vec<String> = (0..200_000).map(|number| format!(r#"{{"id": "R{number}"}}"#)).collect();
    let out = run_of(&format!(
        r#""tool": {{"driver": {{"name": "T", "rules": [{}]}}}}, "results": [{{"ruleIndex": 5, "message": {{"text": "m"}}}}]"#,
        rules.join(",")
    ));
    let [finding, broken] = out.lines().collect::<Vec<_>>()[..] else { panic!("{out}") };
    assert_eq!(finding, "T warning [R5] - \"m\"");
    assert!(broken.contains("more than 16777216 bytes are left out"), "{broken}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// One byte of a good log is changed: nothing panics, and the end is an error or whole findings.
    #[test]
    fn damage_does_no_harm(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = format!("{{\"version\": \"2.1.0\", \"runs\": [{{{RESULTS}, {TOOLS}, {FILES}}}]}}").into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at + 1);
        }
        let out = told(|sink| read(&Options::default(), TOOL, &bytes[..], sink));
        prop_assert!(!cut || at + 1 == bytes.len() && (out.contains("error: ") || byte == b'}'), "{}", out);
    }
}
