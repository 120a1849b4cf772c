//! Report formats from the manifest or the command line to findings.

use serde_json::Value;

use crate::context::Repo;

fn findings(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_streams_lines_are_found_by_an_errorformat_of_the_manifest() {
    let repo = Repo::with_steps(
        "- run: \"printf 'a.c:3:7: warning: first\\\\n  more\\\\nb.c:1:1: error: last'\"\n  findings:\n  - {parser: errorformat, from: stdout, errorformat: ['%A%f:%l:%c: %t%*[a-z]: %m', '%C  %m'], tool: cc}",
    );
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let text = std::fs::read_to_string(repo.run_folder().join("findings.jsonl")).unwrap();
    let found = findings(&text);
    let told: Vec<_> =
        found.iter().map(|f| (f["path"].as_str(), f["level"].as_str(), f["message"].as_str())).collect();
    let expected =
        [(Some("a.c"), Some("warning"), Some("first\nmore")), (Some("b.c"), Some("failure"), Some("last"))];
    assert_eq!(told, expected, "{record}");
}

#[test]
fn a_bad_pattern_is_named_before_anything_runs() {
    let repo = Repo::with_steps(
        "- {run: 'touch started', findings: [{parser: errorformat, errorformat: ['%f', '%y']}]}",
    );
    let ran = repo.run(&["run", "c"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no `%y`") && ran.stderr.contains("5:85"), "{}", ran.stderr);
    assert!(!repo.path().join("started").exists());
}

#[test]
fn reports_are_read_by_themselves() {
    let repo = Repo::with_steps("- run: 'true'");
    let sarif = r#"{"version": "2.1.0", "runs": [{"results": [{"ruleId": "R", "message": {"text": "m"}}], "tool": {"driver": {"name": "T"}}}]}"#;
    repo.write("r.sarif", sarif);
    repo.write("old.sarif", &sarif.replace("2.1.0", "1.0.0"));
    repo.write("r.jsonl", "{\"message\": \"one\"}\n{\"message\n{\"message\": \"two\"}\n");
    repo.write("log", "x:1: a\n  y:2: b\n");
    let parse = |args: &[&str]| repo.run(&[&["findings", "parse", "--parser"], args].concat());

    let ran = parse(&["sarif", "r.sarif"]);
    assert_eq!((ran.code, findings(&ran.stdout)[0]["tool"].as_str()), (Some(0), Some("T")), "{}", ran.stderr);
    let ran = parse(&["sarif", "old.sarif"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("SARIF 1.0.0 cannot be read"), "{}", ran.stderr);
    let ran = parse(&["rdjsonl", "r.jsonl"]);
    assert_eq!((ran.code, findings(&ran.stdout).len()), (Some(2), 2), "{}", ran.stderr);
    assert!(ran.stderr.contains("the line ends inside a string at byte"), "{}", ran.stderr);
    let ran = parse(&["errorformat", "--errorformat", "%f:%l: %m", "--errorformat", "  %f:%l: %m", "log"]);
    assert_eq!((ran.code, findings(&ran.stdout).len()), (Some(0), 2), "{}", ran.stderr);
    for (args, word) in [
        (&["errorformat", "log"][..], "needs --errorformat"),
        (&["sarif", "--errorformat", "%m", "log"], "goes with --parser errorformat"),
        (&["errorformat", "--errorformat", "%", "log"], "ends with a `%`"),
    ] {
        let ran = parse(args);
        assert!(ran.code == Some(2) && ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
    }
}
