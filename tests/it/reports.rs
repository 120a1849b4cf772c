//! Test reports in whole runs: from files and from streams, and our own JUnit report read back.

use serde_json::Value;

use crate::context::Repo;

fn findings(repo: &Repo) -> Vec<Value> {
    let text = std::fs::read_to_string(repo.run_folder().join("findings.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rule, path, line and message of each finding.
fn told(repo: &Repo) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").lines().next().unwrap_or_default().to_owned();
    let line = |finding: &Value| {
        let [rule, path, message] = ["rule", "path", "message"].map(|field| text(&finding[field]));
        format!("{rule} {path}:{} {message}", finding["start_line"])
    };
    findings(repo).iter().map(line).collect()
}

fn with_findings(run: &str, findings: &str) -> Repo {
    let run = serde_json::to_string(run).unwrap();
    Repo::with_steps(&format!(
        "- {{id: a, shell: sh, run: {run}, sandbox: {{write: [out]}}, findings: [{{{findings}}}]}}"
    ))
}

const JUNIT: &str = r#"<testsuites><testsuite name="s"><testcase name="good" time="0.1"/><testcase name="bad" file="a.py" line="3"><failure message="no"/></testcase></testsuite></testsuites>"#;

#[test]
fn a_document_on_a_stream_is_read_when_the_step_has_ended() {
    let print = format!("echo noise >&2; echo '{JUNIT}'");
    let repo = with_findings(&print, "parser: junit, from: stdout");
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(told(&repo), ["bad a.py:3 no"]);
    assert_eq!((&record["tests"]["passed"], &record["tests"]["failed"]), (&1.into(), &1.into()));
    assert!(repo.log("a").contains("<testsuites>"), "the log has it all the same");

    let both = with_findings("echo 1..2; echo ok 1 >&2; printf 'not ok 2 - x'", "parser: tap");
    let (_, record) = both.record(&[]);
    assert_eq!(told(&both), ["x -:null x failed"]);
    assert_eq!(record["tests"]["passed"], 1);
}

#[test]
fn a_stream_without_its_document_is_not_green() {
    let repo = with_findings("true", "parser: tap, from: stdout");
    assert_eq!(repo.record(&[]).0.code, Some(1));
    assert_eq!(told(&repo), ["report-missing -:null there is no report on standard output"]);
    let repo = with_findings("echo hello", "parser: junit, from: stdout");
    assert_eq!(repo.record(&[]).0.code, Some(1));
    assert!(told(&repo)[0].contains("report on standard output: this is not XML"), "{:?}", told(&repo));
    let steps = "- {id: a, shell: sh, run: 'yes not ok | head -c 100000', sandbox: {limits: {report: 10KiB}}, \
                 findings: [{parser: tap, from: stdout}]}";
    let repo = Repo::with_steps(steps);
    assert_eq!(repo.record(&[]).0.code, Some(1));
    assert!(told(&repo)[0].contains("on standard output is larger than the limit"), "{:?}", told(&repo));
}

#[test]
fn only_the_last_attempt_of_a_stream_counts() {
    let run = "if [ -e out/again ]; then echo '1..1'; echo 'ok 1'; else touch out/again; echo 'not ok 1'; exit 1; fi";
    let run = serde_json::to_string(run).unwrap();
    let repo = Repo::with_steps(&format!(
        "- {{id: a, shell: sh, run: {run}, retry: {{attempts: 2}}, sandbox: {{write: [out]}}, findings: [{{parser: tap, from: stdout}}]}}"
    ));
    let (ran, _) = repo.record(&[]);
    assert_eq!((ran.code, told(&repo)), (Some(0), Vec::new()), "{}", ran.stderr);
}

#[test]
fn a_report_in_a_file_that_breaks_off_keeps_what_came_before() {
    let cut = JUNIT.split("</testsuite>").next().unwrap();
    let repo = with_findings(
        &format!("printf %s '{cut}' > out/r.xml"),
        "parser: junit, from: out/r.xml, tool: pytest",
    );
    assert_eq!(repo.record(&[]).0.code, Some(1));
    let told = told(&repo);
    assert!(told.contains(&"bad a.py:3 no".to_owned()), "{told:?}");
    assert!(
        told.iter()
            .any(|line| line.contains("report out/r.xml: the document ends inside <testsuite> at byte")),
        "{told:?}"
    );
}
