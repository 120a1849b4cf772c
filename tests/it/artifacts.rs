//! Artifacts through the program: what is kept, what is uploaded, and what is said where that cannot be.

use std::collections::BTreeMap;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::context::{Ran, Repo, command, wait_until};
use crate::fake::Fake;
use crate::fake::artifacts::runtime_token;
use crate::fake::faults::{Fault, Rule};
use crate::fake::world::{APP_KEY, Host, Settings};

const CREATE: &str = "/twirp/*/CreateArtifact";
const FINALIZE: &str = "/twirp/*/FinalizeArtifact";
const STORAGE: &str = "/storage/**";

/// A repository whose command makes a folder `out` and keeps it.
fn repo(artifact: &str, make: &str) -> Repo {
    Repo::new(&format!(
        "version: 1\ncommands:\n  c:\n    sandbox: {{write: [out]}}\n    steps:\n      - {{id: a, shell: sh, run: '{make}'}}\n    artifacts:\n      - {artifact}\n"
    ))
}

const SMALL: &str = "mkdir -p out/sub; echo one >out/one.txt; echo two >out/sub/two.txt";

/// A run in a job that has the token of the fake.
fn in_job(fake: &Fake, repo: &Repo, args: &[&str], more: &[(&str, &str)]) -> Ran {
    let mut program = job(fake, repo, args);
    let ran = Ran::from(program.envs(more.iter().copied()).output().unwrap());
    assert_silent(&ran.stdout);
    assert_silent(&ran.stderr);
    ran
}

fn job(fake: &Fake, repo: &Repo, args: &[&str]) -> std::process::Command {
    let mut program = repo.program(args);
    let is_server = fake.world().settings.host == Host::Ghes;
    let server = if is_server { "https://git.example.com" } else { "https://github.com" };
    let here = fake.world().here.clone();
    program
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_SERVER_URL", server)
        .env("GITHUB_REPOSITORY", "acme/widgets")
        .env("GITHUB_RUN_ID", "77")
        .env("ACTIONS_RUNTIME_TOKEN", runtime_token())
        .env("ACTIONS_RESULTS_URL", format!("{here}/ignored/path"))
        .env("ACTIONS_RUNTIME_URL", format!("{here}/pipelines/tenant/"));
    program
}

/// Neither the token nor a signature is ever shown.
fn assert_silent(text: &str) {
    assert!(!text.contains(&runtime_token()), "the token is shown: {text}");
    assert!(!text.contains("signature-of-the-fake"), "a signature is shown: {text}");
}

/// The folder of the only run under Actions, and its record.
fn record(repo: &Repo) -> (std::path::PathBuf, Value) {
    let mut runs = std::fs::read_dir(repo.state().join("runs")).unwrap();
    let folder = runs.next().unwrap().unwrap().path();
    assert!(runs.next().is_none());
    let text = std::fs::read_to_string(folder.join("record.json")).unwrap();
    assert_silent(&text);
    (folder, serde_json::from_str(&text).unwrap())
}

/// The files of a zip file.
fn unpacked(bytes: &[u8]) -> BTreeMap<String, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let list = "import json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
print(json.dumps({n: z.read(n).decode('latin-1') for n in z.namelist()}))";
    let output = command("python3").args(["-c", list]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_artifact_is_kept_and_uploaded_with_its_digest() {
    let fake = Fake::start();
    let repo = repo("{name: 'result-${{ steps.a.outcome }}', path: out, retention-days: 400}", SMALL);
    let outputs = tempfile::NamedTempFile::new().unwrap();
    let summary = tempfile::NamedTempFile::new().unwrap();
    let subjects = tempfile::NamedTempFile::new().unwrap();
    let ran = in_job(
        &fake,
        &repo,
        &["run", "c"],
        &[
            ("GITHUB_OUTPUT", outputs.path().to_str().unwrap()),
            ("GITHUB_STEP_SUMMARY", summary.path().to_str().unwrap()),
            ("GITHUB_ARTIFACTS", subjects.path().to_str().unwrap()),
            ("GITHUB_RETENTION_DAYS", "3"),
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (folder, record) = record(&repo);
    let kept = &record["artifacts"][0];
    assert_eq!((&kept["name"], &kept["state"]), (&"result-success".into(), &"kept".into()));
    assert_eq!(std::fs::read_to_string(folder.join("artifacts/result-success/one.txt")).unwrap(), "one\n");

    let world = fake.world();
    let artifact = &world.artifacts[0];
    let bytes = artifact.bytes.as_ref().unwrap();
    let digest = format!("sha256:{}", kept["sha256"].as_str().unwrap());
    assert_eq!(artifact.digest, digest);
    assert_eq!(kept["size"], bytes.len());
    assert_eq!(artifact.media_type, "application/zip");
    let expires = artifact.expires_at.as_deref().and_then(rungate::clock::Timestamp::of_rfc3339).unwrap();
    let days = expires.since(rungate::clock::Timestamp::now()).as_secs_f64() / 86_400.0;
    assert!((2.9..3.1).contains(&days), "the repository's limit wins: {days}");
    let files = unpacked(bytes);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["manifest.json", "one.txt", "sub/two.txt"]);
    let list: Value = serde_json::from_str(&files["manifest.json"]).unwrap();
    assert_eq!(list["files"][1]["path"], "sub/two.txt");
    assert_eq!(
        rungate::id::Sha256::of(files["manifest.json"].as_bytes()).to_string(),
        kept["manifest_sha256"]
    );

    let id = artifact.id.unwrap();
    let url = format!("https://github.com/acme/widgets/actions/runs/77/artifacts/{id}");
    assert_eq!(
        (&kept["delivery"]["state"], &kept["delivery"]["url"]),
        (&"delivered".into(), &url.clone().into())
    );
    assert!(ran.stdout.contains(&url), "{}", ran.stdout);
    let text = std::fs::read_to_string(outputs.path()).unwrap();
    for (name, value) in [
        ("artifact-name", "result-success"),
        ("artifact-names", "result-success"),
        ("artifact-id", id.to_string().as_str()),
        ("artifact-url", &url),
        ("artifact-digest", kept["sha256"].as_str().unwrap()),
        ("artifact-path", folder.join("artifacts/result-success").to_str().unwrap()),
    ] {
        assert!(
            text.contains(&format!("{name}<<")) && text.contains(&format!("\n{value}\n")),
            "{name}: {text}"
        );
    }
    let page = std::fs::read_to_string(summary.path()).unwrap();
    assert!(page.contains(&format!("[result-success]({url})")), "{page}");
    let subjects = std::fs::read_to_string(subjects.path()).unwrap();
    assert_eq!(subjects.trim(), folder.join("artifacts/result-success/manifest.json").to_str().unwrap());
    // The token goes to the service alone, and only the origin of its address counts.
    let storage = world.requests.iter().filter(|request| request.path.starts_with("/storage/"));
    assert!(
        storage.clone().count() == 2 && storage.clone().all(|it| !it.headers.contains_key("authorization"))
    );
    assert!(world.requests.iter().all(|request| !request.path.contains("ignored")));
}

#[test]
fn a_large_artifact_goes_in_blocks_and_faults_on_the_way_do_no_harm() {
    let big = "mkdir -p out; dd if=/dev/urandom of=out/noise bs=1M count=20 2>/dev/null; echo x >out/x";
    let rules: Vec<(&str, Vec<Rule>)> = vec![
        ("none", vec![]),
        ("a block is lost", vec![Rule::once("PUT", STORAGE, Fault::Reset)]),
        ("the answer to a block is lost", vec![Rule::once("PUT", STORAGE, Fault::Reset).nth(2).applied()]),
        ("the storage is busy", vec![Rule::once("PUT", STORAGE, Fault::Status { status: 503 }).nth(3)]),
        (
            "the list is lost",
            vec![Rule::once("PUT", STORAGE, Fault::Status { status: 500 }).nth(4).applied()],
        ),
        ("the answer to the creation is lost", vec![Rule::once("POST", CREATE, Fault::Reset).applied()]),
        ("the service is busy", vec![Rule::once("POST", CREATE, Fault::RetryAfter { seconds: 1 })]),
        ("the answer to the end is lost", vec![Rule::once("POST", FINALIZE, Fault::Reset).applied()]),
        (
            "a gateway hides the end",
            vec![Rule::once("POST", FINALIZE, Fault::Status { status: 502 }).applied()],
        ),
    ];
    // Most of the time is waiting, so they wait together.
    std::thread::scope(|scope| {
        for (what, rules) in rules {
            scope.spawn(move || {
                let fake = Fake::start();
                for rule in rules {
                    fake.fault(rule);
                }
                let repo = repo("{name: big, path: out}", big);
                let ran = in_job(&fake, &repo, &["run", "c"], &[]);
                assert_eq!(ran.code, Some(0), "{what}: {}", ran.stderr);
                let world = fake.world();
                assert_eq!(world.artifacts.len(), 1, "{what}");
                let (_, record) = record(&repo);
                let kept = &record["artifacts"][0];
                assert_eq!(
                    world.artifacts[0].digest,
                    format!("sha256:{}", kept["sha256"].as_str().unwrap()),
                    "{what}"
                );
                assert_eq!(kept["delivery"]["id"], world.artifacts[0].id.unwrap().to_string(), "{what}");
                let sizes = world.requests.iter().filter(|request| {
                    request.query.iter().any(|(name, value)| name == "comp" && value == "block")
                });
                let sizes = sizes.filter_map(|request| request.headers["content-length"].parse::<u64>().ok());
                assert!(sizes.clone().all(|size| size <= 8 << 20) && sizes.max() == Some(8 << 20), "{what}");
            });
        }
    });
}

#[test]
fn refusals_are_said_in_plain_words_and_never_turn_a_verdict() {
    let cases: Vec<(&str, Rule, &str)> = vec![
        (
            "the same name",
            Rule::once("POST", CREATE, Fault::Status { status: 409 }),
            "the workflow run has an artifact of this name already; give it another name",
        ),
        (
            "a dead token",
            Rule::once("POST", CREATE, Fault::BadCredentials),
            "the job's token is not accepted any more (status 401)",
        ),
        (
            "a storage that says no",
            Rule::once("PUT", STORAGE, Fault::Status { status: 403 }),
            "the storage refuses the archive with status 403",
        ),
        (
            "a proxy's page",
            Rule::once("POST", CREATE, Fault::InvalidJson),
            "the answer of the artifact service is not understood",
        ),
    ];
    std::thread::scope(|scope| {
        for (what, rule, text) in cases {
            scope.spawn(move || {
                for (make, code) in [(SMALL.to_owned(), 5), (format!("{SMALL}; exit 3"), 1)] {
                    let fake = Fake::start();
                    fake.fault(rule.clone());
                    let repo = repo("{name: a, path: out}", &make);
                    let ran = in_job(&fake, &repo, &["run", "c"], &[]);
                    assert_eq!(ran.code, Some(code), "{what}: {}", ran.stderr);
                    assert!(ran.stderr.contains(text), "{what}: {}", ran.stderr);
                    let (_, record) = record(&repo);
                    assert_eq!(record["artifacts"][0]["delivery"]["state"], "failed", "{what}");
                    let conclusion = if code == 5 { "success" } else { "failure" };
                    assert_eq!(record["conclusion"], conclusion, "{what}");
                }
            });
        }
    });
}

#[test]
fn what_could_not_be_uploaded_is_uploaded_later_and_once() {
    let fake = Fake::start();
    fake.fault(Rule::once("POST", CREATE, Fault::Status { status: 400 }));
    let repo = repo("{name: a, path: out}", SMALL);
    assert_eq!(in_job(&fake, &repo, &["run", "c"], &[]).code, Some(5));
    let (folder, _) = record(&repo);
    let folder = folder.to_str().unwrap();
    // Without the job's token nothing can be done, and that is said.
    let mut program = repo.program(&["publish", folder]);
    let ran = Ran::from(program.env("GITHUB_SERVER_URL", "https://github.com").output().unwrap());
    assert!(ran.stderr.contains("ACTIONS_RUNTIME_TOKEN is not set"), "{}", ran.stderr);
    // There is no check run to deliver here, which is another matter.
    let ran = in_job(&fake, &repo, &["publish", folder], &[]);
    assert!(!ran.stderr.contains("artifact"), "{}", ran.stderr);
    let (_, record) = record(&repo);
    assert_eq!(record["artifacts"][0]["delivery"]["state"], "delivered");
    assert_eq!(fake.world().artifacts.len(), 1);
    let creations = || fake.world().requests.iter().filter(|it| it.path.ends_with("/CreateArtifact")).count();
    let before = creations();
    let _ = in_job(&fake, &repo, &["publish", folder], &[]);
    assert_eq!(creations(), before, "what is there is not sent again");
}

#[test]
fn without_a_token_files_are_staged_or_the_run_is_not_delivered() {
    let fake = Fake::start();
    let repo = repo("{name: 'odd [1]', path: out}", SMALL);
    let without = [("ACTIONS_RUNTIME_TOKEN", "")];
    let ran = in_job(&fake, &repo, &["run", "c"], &without);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("ACTIONS_RUNTIME_TOKEN is not set; pass the job's variables"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("--artifacts stage"), "{}", ran.stderr);

    let staged = self::repo("{name: 'odd [1]', path: out}", SMALL);
    let outputs = tempfile::NamedTempFile::new().unwrap();
    let output = ("GITHUB_OUTPUT", outputs.path().to_str().unwrap());
    let ran = in_job(&fake, &staged, &["run", "c", "--artifacts", "stage"], &[without[0], output]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (folder, record) = record(&staged);
    assert_eq!(record["artifacts"][0]["delivery"]["state"], "staged");
    assert!(folder.join("artifacts/odd [1]/one.txt").exists());
    let text = std::fs::read_to_string(outputs.path()).unwrap();
    // The next step takes it for a glob.
    assert!(text.contains(&format!("\n{}/artifacts/odd [[]1]\n", folder.display())), "{text}");
    assert_eq!(fake.world().requests.len(), 0);

    // At a terminal nobody waits for anything.
    let at_home = self::repo("{name: a, path: out}", SMALL);
    let ran = at_home.run(&["run", "c"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(at_home.run_folder().join("artifacts/a/manifest.json").exists());
}

#[test]
fn nothing_where_something_must_be_is_a_failure_of_its_own_gate() {
    let repo = repo("{name: a, path: 'out/*.zip', if-no-files-found: error}", "true");
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(record["gates"][1]["id"], "artifacts");
    assert_eq!(record["gates"][1]["reason"], "a: no file matches out/*.zip");
    let warned = self::repo("{name: a, path: 'out/*.zip'}", "true").record(&[]);
    assert_eq!((warned.0.code, &warned.1["artifacts"][0]["state"]), (Some(0), &"empty".into()));
}

#[test]
fn a_secret_in_an_artifact_is_not_handed_on() {
    let fake = Fake::start();
    let manifest = "version: 1\ncommands:\n  c:\n    secrets: [KEY]\n    sandbox: {write: [out]}\n    steps:\n      - {id: a, shell: sh, env: {KEY: '${{ secrets.KEY }}'}, run: 'mkdir -p out; echo \"$KEY\" >out/log'}\n    artifacts:\n      - {name: a, path: out, mask: true}\n";
    let repo = Repo::new(manifest);
    let ran = in_job(&fake, &repo, &["run", "c"], &[("KEY", "hunter2-hunter2")]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("log holds a known secret"), "{}", ran.stdout);
    let (folder, record) = record(&repo);
    assert_eq!(record["artifacts"][0]["state"], "refused");
    assert!(!folder.join("artifacts/a").exists());
    assert_eq!(fake.world().requests.len(), 0);
}

#[test]
fn one_file_and_a_tar_file_go_as_they_are() {
    let fake = Fake::start();
    let plain = repo("{name: one.txt, path: out/one.txt, archive: none}", SMALL);
    assert_eq!(in_job(&fake, &plain, &["run", "c"], &[]).code, Some(0));
    assert_eq!(fake.world().artifacts[0].bytes.as_deref(), Some(b"one\n".as_slice()));
    let tar = repo("{name: t, path: out, archive: tar.zst}", SMALL);
    assert_eq!(in_job(&fake, &tar, &["run", "c"], &[]).code, Some(0));
    let bytes = fake.world().artifacts[1].bytes.clone().unwrap();
    let plain = zstd::decode_all(bytes.as_slice()).unwrap();
    assert!(plain.windows(4).any(|window| window == b"two\n"));
    assert_eq!(fake.world().artifacts[1].media_type, "application/zstd");
}

#[test]
fn an_artifact_of_the_same_name_is_replaced_where_that_is_asked_for() {
    let fake = Fake::start();
    for expected in [0, 0] {
        let repo = repo("{name: a, path: out, overwrite: true}", SMALL);
        assert_eq!(in_job(&fake, &repo, &["run", "c"], &[]).code, Some(expected));
    }
    assert_eq!(fake.world().artifacts.len(), 1);
    let repo = repo("{name: a, path: out}", SMALL);
    assert_eq!(in_job(&fake, &repo, &["run", "c"], &[]).code, Some(5));
}

#[test]
fn the_older_service_gets_every_file_by_itself() {
    let fake = Fake::with(Settings { host: Host::Ghes, ..Settings::default() }, 0).unwrap();
    fake.fault(Rule::once("PUT", "/pipelines/container", Fault::Status { status: 503 }));
    let make = "mkdir -p out; head -c 20000000 /dev/zero >out/big; echo one >out/one.txt; : >out/empty";
    let repo = repo("{name: a b, path: out, retention-days: 5}", make);
    let ran = in_job(&fake, &repo, &["run", "c"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let world = fake.world();
    let artifact = &world.artifacts[0];
    let sizes: Vec<(&str, usize)> =
        artifact.files.iter().map(|(path, bytes)| (path.as_str(), bytes.len())).collect();
    assert_eq!((sizes[0], sizes[1], sizes[3]), (("big", 20_000_000), ("empty", 0), ("one.txt", 4)));
    assert_eq!(sizes[2].0, "manifest.json");
    let total: usize = sizes.iter().map(|(_, size)| size).sum();
    assert_eq!((artifact.size, artifact.expires_at.as_deref()), (Some(total as u64), Some("5")));
    let pieces =
        world.requests.iter().filter(|request| request.method == "PUT" && request.status == 201).count();
    assert_eq!(pieces, 6, "20 MB in three pieces, and one for each other file");
    let (_, record) = record(&repo);
    assert_eq!(record["artifacts"][0]["delivery"]["state"], "delivered");
}

#[test]
fn a_run_that_is_cancelled_while_it_uploads_closes_its_check_run_and_says_what_was_not_delivered() {
    let fake = Fake::start();
    fake.fault(Rule::once("PUT", STORAGE, Fault::Hang));
    let repo = repo("{name: a, path: out}", SMALL);
    repo.commit();
    let mut program = job(&fake, &repo, &["run", "c", "--check-run", "on"]);
    program
        .env("GITHUB_API_URL", fake.url())
        .env("RUNGATE_APP_ID", fake.world().app().id.to_string())
        .env("RUNGATE_APP_PRIVATE_KEY", APP_KEY);
    let child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the upload, and the check run", || {
        let world = fake.world();
        !world.check_runs.is_empty() && world.requests.iter().any(|it| it.path.starts_with("/storage/"))
    });
    let asked = std::time::Instant::now();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    let took = asked.elapsed();
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    // A hang is found here: the stall limit of a block is five minutes.
    assert!(took.as_secs() < 20, "{took:?}");
    let (_, record) = record(&repo);
    assert_eq!(record["artifacts"][0]["delivery"]["state"], "failed");
    assert_eq!(record["artifacts"][0]["delivery"]["reason"], "the run was cancelled");
    let state = fake.state();
    assert_eq!(state["check_runs"].as_array().map(Vec::len), Some(1), "{}", ran.stderr);
    assert_eq!(state["check_runs"][0]["status"], "completed");
    // The verdict stood before anything was uploaded.
    assert_eq!(state["check_runs"][0]["conclusion"], "success");
}
