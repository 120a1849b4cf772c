//! What decides, from the manifest to the verdict: baselines, diff filters, suppressions, and findings that two tools share.

use serde_json::Value;

use crate::context::{Repo, command};

/// A linter that reports each line that holds `bad`, and one that says the same in other words of its own.
const MANIFEST: &str = r#"version: 1
commands:
  c:
    steps:
      - id: lint
        needs: []
        run: "grep -n bad *.txt /dev/null | sed -E 's/^([^:]*):([0-9]*):.*/::error file=\\1,line=\\2,title=R1::bad word/'; true"
    gates:
      - {id: g, needs: [lint]GATE}
"#;

fn repo(gate: &str, text: &str) -> Repo {
    let repo = Repo::new(&MANIFEST.replace("GATE", gate));
    repo.write("a.txt", text);
    repo
}

fn gate<'a>(record: &'a Value, id: &str) -> &'a Value {
    record["gates"].as_array().unwrap().iter().find(|gate| gate["id"] == id).unwrap()
}

fn jsonl(repo: &Repo, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(repo.run_folder().join(name)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn git(repo: &Repo, args: &[&str]) {
    let mut git = command("git");
    git.args(["-c", "user.name=T", "-c", "user.email=t@example.com"]).args(args).current_dir(repo.path());
    assert!(git.output().unwrap().status.success(), "git {args:?}");
}

#[test]
fn a_baseline_is_written_from_a_run_and_then_only_what_is_new_counts() {
    let repo = repo(", baseline: known.json", "bad\nok\nbad\n");
    let (ran, record) = repo.record(&["--out", "out1"]);
    assert_eq!(ran.code, Some(1));
    let reason = gate(&record, "g")["reason"].as_str().unwrap();
    assert!(
        reason.contains("known.json does not exist: write it with `rungate baseline update c"),
        "{reason}"
    );

    let updated = repo.run(&["baseline", "update", "c", "--from", "out1"]);
    assert_eq!((updated.code, updated.stdout.as_str()), (Some(0), "known.json: 2 findings, 2 new, 0 gone\n"));
    // Moved, and one of the two repaired.
    repo.write("a.txt", "ok\nok\nok\nbad\n");
    let (ran, record) = repo.record(&["--out", "out2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(gate(&record, "g")["left_out"]["known"], 1);
    assert_eq!(gate(&record, "g")["gone"].as_array().unwrap().len(), 1);
    assert!(ran.stderr.contains("no longer occur") || ran.stdout.contains("gone"), "{}", ran.stderr);
    repo.write("b.txt", "bad\n");
    let (ran, _) = repo.record(&["--out", "out3"]);
    assert_eq!(ran.code, Some(1), "a new one counts");

    let before = std::fs::read_to_string(repo.path().join("known.json")).unwrap();
    repo.write("known.json", "<<<<<<< HEAD\n");
    let (ran, record) = repo.record(&["--out", "out4"]);
    assert_eq!(ran.code, Some(1));
    assert!(gate(&record, "g")["reason"].as_str().unwrap().contains("line 1 column 1"), "{record}");
    repo.write("known.json", &before);
    let wrong = repo.run(&["baseline", "update", "c", "--from", "nowhere"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("is not the record of a run"), "{}", wrong.stderr);
}

#[test]
fn a_baseline_is_not_written_from_a_run_that_was_stopped_midway() {
    let hangs =
        "      - {id: hangs, needs: [], timeout-minutes: 0.01, shell: sh, run: 'sleep 100'}\n    gates:";
    let repo =
        Repo::new(&MANIFEST.replace("GATE", ", baseline: known.json").replacen("    gates:", hangs, 1));
    repo.write("a.txt", "bad\n");
    let (_, record) = repo.record(&["--out", "out"]);
    assert_eq!(record["conclusion"], "failure", "it was judged");
    let refused = repo.run(&["baseline", "update", "c", "--from", "out"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("has not seen everything"), "{}", refused.stderr);
    assert!(!repo.path().join("known.json").exists());
}

#[test]
fn a_baseline_is_not_written_behind_a_link_of_the_repository() {
    let repo = repo(", baseline: link/new/known.json", "bad\n");
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), repo.path().join("link")).unwrap();
    repo.run(&["run", "c", "--out", "out"]);
    let refused = repo.run(&["baseline", "update", "c", "--from", "out"]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("symbolic link"), "{}", refused.stderr);
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "nothing was made there");
}

#[test]
fn only_changed_lines_count_where_the_gate_says_so_and_without_a_base_nothing_is_green() {
    let repo = repo(", filter-mode: added", "bad\nok\n");
    repo.commit();
    git(&repo, &["checkout", "-q", "-b", "topic"]);
    let (ran, record) = repo.record(&["--out", "out1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(gate(&record, "g")["left_out"]["outside"], 1);
    assert_eq!(record["counts"]["failure"], 1, "what is shown is not what decides");

    repo.write("a.txt", "bad\nok\nbad too\n");
    let (ran, _) = repo.record(&["--out", "out2"]);
    assert_eq!(ran.code, Some(1), "uncommitted work counts as much");

    let alone = crate::gates::repo(", filter-mode: added", "ok\n");
    let (ran, record) = alone.record(&["--out", "out1"]);
    assert_eq!(ran.code, Some(1));
    let reason = gate(&record, "g")["reason"].as_str().unwrap();
    assert!(reason.contains("not a git repository") && reason.contains("fetch-depth"), "{reason}");
}

#[test]
fn accepted_findings_are_counted_apart_and_kept_with_their_reason() {
    let manifest = "version: 1\nsuppressions:\n  - {rule: R1, path: 'old/**', reason: 'goes away with v1'}\n  \
        - {rule: R2, path: '**', reason: 'was temporary', owner: team, expires: 2020-01-31}\n\
        commands:\n  c:\n    steps:\n      - id: lint\n        run: cat out.txt\n        \
        findings: [{parser: problem-matcher, matcher: m.json}]\n";
    let repo = Repo::new(manifest);
    repo.write(
        "m.json",
        r#"{"problemMatcher":[{"owner":"m","pattern":[{"regexp":"^(\\S+):(\\d+) (\\S+) (.*)$","file":1,"line":2,"code":3,"message":4}]}]}"#,
    );
    repo.write("old/a.py", "x\n");
    repo.write("new.py", "x = 1  # rungate:ignore[R1] measured\ny = 2\n");
    repo.write("out.txt", "old/a.py:1 R1 one\nnew.py:1 R1 two\nnew.py:2 R2 three\n");
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!((&record["suppressed"], &record["counts"]["failure"]), (&Value::from(2), &Value::from(1)));
    let suppressed = jsonl(&repo, "suppressed.jsonl");
    let reasons: Vec<&Value> = suppressed.iter().map(|line| &line["reason"]).collect();
    assert_eq!(reasons, ["goes away with v1", "measured"]);
    let findings = jsonl(&repo, "findings.jsonl");
    assert_eq!(findings.len(), 2, "{findings:?}");
    let notice = &findings[1];
    assert_eq!(
        (&notice["rule"], &notice["level"]),
        (&Value::from("suppression-expired"), &Value::from("notice"))
    );
    assert!(
        notice["message"]
            .as_str()
            .unwrap()
            .contains("expired on 2020-01-31 (owner: team): 1 finding is back")
    );
}

#[test]
fn the_same_finding_of_two_steps_is_one_with_both_sources() {
    let say = "run: \"echo '::error file=a.txt,line=1::bad word'\"";
    let repo =
        Repo::with_steps(&format!("- {{id: one, needs: [], {say}}}\n- {{id: two, needs: [one], {say}}}"));
    repo.write("a.txt", "bad\n");
    let (_, record) = repo.record(&[]);
    assert_eq!(record["counts"]["failure"], 1);
    let findings = jsonl(&repo, "findings.jsonl");
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (&findings[0]["step"], &findings[0]["also"][0]["step"]),
        (&Value::from("one"), &Value::from("two"))
    );
}
