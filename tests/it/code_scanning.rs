//! Findings on their way to code scanning: a run on one side, what GitHub holds of it on the other.

use serde_json::{Value, json};

use crate::context::{Ran, Repo, command};
use crate::fake::Fake;
use crate::fake::faults::{Fault, Rule};
use crate::fake::world::APP_KEY;

const UPLOADS: &str = "/repos/*/*/code-scanning/sarifs";

/// A manifest whose one step says `output`.
fn manifest(output: &str) -> String {
    format!(
        "version: 1\ncommands:\n  c:\n    report: {{sarif-upload: true}}\n    steps:\n      \
         - {{id: a, shell: sh, run: '{output}'}}\n"
    )
}

const FINDINGS: &str = "echo \"::error file=a.txt,line=3::bad\"; echo \"::warning file=/etc/x,line=1::outside\"; \
                        echo \"::notice::nowhere\"";

fn head(repo: &Repo) -> String {
    let output = command("git").args(["rev-parse", "HEAD"]).current_dir(repo.path()).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// Runs the command as a job for a push to `main` would.
fn run(fake: &Fake, repo: &Repo, args: &[&str], more: &[(&str, &str)]) -> Ran {
    let mut program = repo.program(args);
    program
        .env("GITHUB_API_URL", fake.url())
        .env("GITHUB_REPOSITORY", "acme/widgets")
        .env("GITHUB_REF", "refs/heads/main")
        .env("GITHUB_SHA", head(repo))
        .env("RUNGATE_APP_ID", fake.world().app().id.to_string())
        .env("RUNGATE_APP_PRIVATE_KEY", APP_KEY)
        .envs(more.iter().copied());
    Ran::from(program.output().unwrap())
}

fn published(fake: &Fake, output: &str) -> (Repo, Ran) {
    let repo = Repo::new(&manifest(output));
    repo.write("a.txt", "1\n2\n3\n");
    repo.commit();
    let ran = run(fake, &repo, &["run", "c", "--check-run", "on"], &[]);
    (repo, ran)
}

fn record(repo: &Repo) -> Value {
    serde_json::from_slice(&std::fs::read(repo.run_folder().join("record.json")).unwrap()).unwrap()
}

#[test]
fn findings_with_a_place_are_uploaded_after_the_check_run() {
    let fake = Fake::start();
    let (repo, ran) = published(&fake, FINDINGS);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let state = fake.state();
    let upload = &state["sarif_uploads"][0];
    assert_eq!((&upload["ref"], &upload["commit_sha"]), (&json!("refs/heads/main"), &json!(head(&repo))));
    assert_eq!(upload["errors"], json!([]));
    let run = &upload["sarif"]["runs"][0];
    assert!(run["automationDetails"]["id"].as_str().unwrap().starts_with("rungate/c/"), "{run}");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "{results:#?}");
    assert_eq!(results[0]["partialFingerprints"].as_object().unwrap().len(), 2, "{results:#?}");
    let sarif = &record(&repo)["delivery"]["sarif"];
    assert_eq!(
        (&sarif["upload"], &sarif["processing"], &sarif["results"], &sarif["without_place"]),
        (&json!("delivered"), &json!("complete"), &json!(1), &json!(2)),
        "{sarif}"
    );
    assert!(ran.stdout.contains("code scanning: 1 result, without 2"), "{}", ran.stdout);
    let world = fake.world();
    let at = |method: &str, part: &str| {
        world.requests.iter().rposition(|it| it.method == method && it.path.contains(part)).unwrap()
    };
    assert!(at("PATCH", "check-runs") < at("POST", "code-scanning"), "the check run does not wait for it");
    let token = world.tokens.iter().find(|it| it.permissions.contains_key("security_events")).unwrap();
    assert!(
        token.revoked && !token.permissions.contains_key("checks") || token.app != world.app().id,
        "{token:?}"
    );
}

#[test]
fn what_is_refused_is_told_in_words_and_ends_with_5() {
    let told = |prepare: &dyn Fn(&Fake), words: &str| {
        let fake = Fake::start();
        prepare(&fake);
        let (repo, ran) = published(&fake, "echo \"::warning file=a.txt,line=3::bad\"");
        assert_eq!(ran.code, Some(5), "{}", ran.stderr);
        assert!(ran.stderr.contains("not uploaded to code scanning"), "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{words:?} is missing: {}", ran.stderr);
        let delivery = &record(&repo)["delivery"];
        assert_eq!(
            (&delivery["check_run"], &delivery["sarif"]["upload"]),
            (&json!("delivered"), &json!("failed"))
        );
    };
    told(&|fake| fake.world().settings.code_scanning = false, "not enabled");
    told(
        &|fake| drop(fake.world().installation().permissions.remove("security_events")),
        "security_events: write",
    );
    told(&|fake| fake.fault(Rule::once("POST", UPLOADS, Fault::Status { status: 413 })), "larger");
    told(&|fake| fake.fault(Rule::once("POST", UPLOADS, Fault::Status { status: 404 })), "404");
}

#[test]
fn an_answer_that_is_lost_does_not_lose_the_upload() {
    for rule in [
        Rule::once("POST", UPLOADS, Fault::Reset).applied(),
        Rule::once("POST", UPLOADS, Fault::Status { status: 502 }),
        Rule::once("GET", "/repos/*/*/code-scanning/sarifs/*", Fault::Status { status: 404 }),
    ] {
        let fake = Fake::start();
        let shown = format!("{rule:?}");
        fake.fault(rule);
        let (repo, ran) = published(&fake, "echo \"::warning file=a.txt,line=3::bad\"");
        assert_eq!(ran.code, Some(0), "{shown}: {}", ran.stderr);
        assert_eq!(record(&repo)["delivery"]["sarif"]["processing"], "complete", "{shown}");
    }
}

#[test]
fn a_run_without_its_end_and_a_commit_without_its_branch_upload_nothing() {
    let fake = Fake::start();
    let repo =
        Repo::new(&manifest("sleep 60").replace("    report:", "    timeout-minutes: 0.003\n    report:"));
    repo.commit();
    let ran = run(&fake, &repo, &["run", "c", "--check-run", "on"], &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let sarif = record(&repo)["delivery"]["sarif"].clone();
    assert_eq!(sarif["upload"], "none", "{sarif}");
    assert!(
        sarif["reason"].as_str().unwrap().contains("taken")
            || sarif["reason"].as_str().unwrap().contains("fixed")
    );

    let repo = Repo::new(&manifest("true"));
    repo.commit();
    let ran = run(&fake, &repo, &["run", "c", "--check-run", "on"], &[("GITHUB_SHA", &"0".repeat(40))]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stderr.contains("branch"), "{}", ran.stderr);
    assert_eq!(fake.state()["sarif_uploads"], json!([]));
}

#[test]
fn a_stored_record_is_uploaded_again_by_publish() {
    let fake = Fake::start();
    fake.world().settings.code_scanning = false;
    let (repo, ran) = published(&fake, "echo \"::warning file=a.txt,line=3::bad\"");
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    let folder = repo.run_folder();
    let folder = folder.to_str().unwrap();
    let ran = run(&fake, &repo, &["publish", folder], &[]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    fake.world().settings.code_scanning = true;
    let ran = run(&fake, &repo, &["publish", folder], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let state = fake.state();
    assert_eq!(state["check_runs"].as_array().unwrap().len(), 1);
    assert_eq!(state["sarif_uploads"].as_array().unwrap().len(), 1);
    let ran = run(&fake, &repo, &["publish", folder], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        fake.state()["sarif_uploads"].as_array().unwrap().len(),
        1,
        "what was delivered stays as it is"
    );
}

#[test]
fn a_preview_shows_the_upload_and_sends_nothing() {
    let fake = Fake::start();
    let repo = Repo::new(&manifest("true"));
    repo.commit();
    let ran = run(&fake, &repo, &["run", "c", "--check-run", "preview"], &[]);
    let requests: Value = serde_json::from_str(&ran.stdout).unwrap();
    let last = requests.as_array().unwrap().last().unwrap();
    assert_eq!(last["path"], "/repos/acme/widgets/code-scanning/sarifs");
    assert_eq!(last["body"]["ref"], "refs/heads/main");
    assert_eq!(fake.world().requests.len(), 0);
}
