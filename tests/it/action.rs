//! The composite action: what a workflow gives it, what it hands back, and how it ends.

mod composite;
mod named;
mod setup;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::action::composite::{Composite, Job};
use crate::context::{Repo, wait_until};
use crate::fake::Fake;
use crate::fake::world::APP_KEY;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with the program under test and nothing else, for the front of PATH.
fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rungate"), folder.path().join("rungate")).unwrap();
    folder
}

/// Runs the action of `action` in `repo` against `fake`; the program is installed on that host.
fn job(action: &Path, repo: &Repo, fake: &Fake, with: &[(&str, &str)], host: &[(&str, &str)]) -> Job {
    let programs = programs();
    let path = format!("{}:{}", programs.path().display(), crate::context::path());
    let url = fake.url();
    let mut all = vec![
        ("PATH", path.as_str()),
        ("GITHUB_API_URL", url.as_str()),
        ("GITHUB_REPOSITORY", "acme/widgets"),
    ];
    let state = repo.state().to_str().unwrap();
    all.push(("RUNGATE_STATE_DIR", state));
    all.extend(host);
    let job =
        Job::new(action, repo.path(), with, &all).with_service("runtime-token-value", "http://127.0.0.1:9");
    let job = job.run();
    drop(programs);
    job
}

fn app(fake: &Fake) -> String {
    fake.world().app().id.to_string()
}

fn repository(steps: &str) -> Repo {
    let repo = Repo::with_steps(steps);
    repo.commit();
    repo
}

const PASSES: &str = "- {id: a, shell: sh, run: 'echo \"::notice file=a.txt,line=1::fine\"'}";
const FAILS: &str = "- {id: a, shell: sh, run: 'echo \"::error file=a.txt,line=1::broken\"'}";

#[test]
fn a_run_that_passes_tells_the_workflow_all_that_it_maps() {
    let (fake, repo) = (Fake::start(), repository(PASSES));
    let id = app(&fake);
    let job = job(&root(), &repo, &fake, &[("command", "c"), ("app-id", &id), ("private-key", APP_KEY)], &[]);
    assert_eq!(job.outcomes["run"], "success", "{}", job.log);
    assert_eq!(job.outcomes["reconcile"], "skipped");
    assert_eq!((job.output("conclusion").as_str(), job.output("exit-code").as_str()), ("success", "0"));
    assert_eq!(job.output("notice-count"), "1");
    assert_eq!(job.output("failure-count"), "0");
    assert!(Path::new(&job.output("run-record")).join("record.json").is_file());
    let state = fake.state();
    let check_run = &state["check_runs"][0];
    assert_eq!(job.output("check-run-id"), check_run["id"].to_string());
    assert_eq!(job.output("check-run-url"), check_run["html_url"].as_str().unwrap());
    assert_eq!(job.output("run-id"), check_run["external_id"].as_str().unwrap());
    assert!(!job.log.contains(APP_KEY.lines().nth(5).unwrap()), "the key is shown");
}

/// A repository whose command leaves an artifact.
fn with_artifact() -> Repo {
    let repo = Repo::new(
        "version: 1\ncommands:\n  c:\n    steps:\n      \
         - {id: a, shell: sh, run: 'echo one > build/one.txt', sandbox: {write: [build]}}\n    \
         artifacts:\n      - {name: result, path: build/one.txt}\n",
    );
    repo.commit();
    repo
}

#[test]
fn the_action_maps_every_output_of_the_program_and_no_other() {
    let (fake, repo) = (Fake::start(), with_artifact());
    let id = app(&fake);
    let with =
        [("command", "c"), ("app-id", id.as_str()), ("private-key", APP_KEY), ("artifacts", "hand-off")];
    let job = job(&root(), &repo, &fake, &with, &[]);
    assert_eq!(job.outcomes["run"], "success", "{}", job.log);
    let written: BTreeSet<&str> = job.written("run").into_iter().collect();
    let composite = Composite::read(&root());
    let mapped: BTreeSet<&str> = composite
        .outputs
        .iter()
        .filter_map(|(_, value)| value.strip_prefix("${{ steps.run.outputs.")?.strip_suffix(" }}"))
        .collect();
    assert_eq!(mapped, written);
}

#[test]
fn a_gate_that_fails_fails_the_step_and_is_told_all_the_same() {
    let (fake, repo) = (Fake::start(), repository(FAILS));
    let id = app(&fake);
    let job = job(&root(), &repo, &fake, &[("command", "c"), ("app-id", &id), ("private-key", APP_KEY)], &[]);
    assert_eq!(job.outcomes["run"], "failure");
    assert_eq!((job.output("conclusion").as_str(), job.output("exit-code").as_str()), ("failure", "1"));
    assert_eq!(job.output("failure-count"), "1");
    assert_eq!(fake.state()["check_runs"][0]["conclusion"], "failure");
    assert_eq!(job.outcomes["reconcile"], "success", "nothing is left open: {}", job.log);
}

#[test]
fn nothing_that_a_caller_writes_is_code_or_a_flag() {
    let (fake, repo) = (Fake::start(), repository(PASSES));
    let hostile = "$(touch pwned)`touch pwned`'; touch pwned; \"\n::set-output name=a::b";
    let id = app(&fake);
    for with in [
        [("command", "--help"), ("inputs", "{}")],
        [("command", hostile), ("inputs", "{}")],
        [("command", "c"), ("inputs", hostile)],
        [("command", "c"), ("manifest", "--help")],
        [("command", "c"), ("workspace", hostile)],
        [("command", "c"), ("sandbox", hostile)],
        [("command", "c"), ("inputs", "{\"none\": \"x\"}")],
    ] {
        let mut all = with.to_vec();
        all.extend([("app-id", id.as_str()), ("private-key", APP_KEY)]);
        let job = job(&root(), &repo, &fake, &all, &[]);
        assert_eq!(job.outcomes["run"], "failure", "{with:?}");
        // A flag's value that is none of its words is refused before there is a run that could have an exit code.
        let code = if with[1].0 == "sandbox" { "" } else { "2" };
        assert_eq!(job.output("exit-code"), code, "{with:?}: {}", job.log);
        assert_eq!(job.output("conclusion"), "", "{with:?}");
        assert!(!repo.path().join("pwned").exists(), "{with:?}");
    }
    // Who waits for the check run of an input that is not accepted gets one.
    let state = fake.state();
    let told = state["check_runs"].as_array().unwrap().last().unwrap();
    assert_eq!((&told["name"], &told["conclusion"]), (&"c".into(), &"failure".into()));
}

#[test]
fn without_credentials_there_is_a_verdict_and_no_check_run() {
    let (fake, repo) = (Fake::start(), repository(PASSES));
    let job = job(&root(), &repo, &fake, &[("command", "c")], &[]);
    assert_eq!(job.outcomes["run"], "success", "{}", job.log);
    assert_eq!((job.output("conclusion").as_str(), job.output("check-run-id").as_str()), ("success", ""));
    assert!(fake.world().check_runs.is_empty());
}

#[test]
fn a_check_run_that_must_be_needs_credentials() {
    let (fake, repo) = (Fake::start(), repository(PASSES));
    let job = job(&root(), &repo, &fake, &[("command", "c"), ("check-run", "on")], &[]);
    assert_eq!((job.outcomes["run"], job.output("exit-code").as_str()), ("failure", "5"));
    assert_eq!(job.output("conclusion"), "");
}

#[test]
fn what_the_host_has_set_is_not_hidden_by_an_input_that_is_absent() {
    let (fake, repo) = (Fake::start(), repository(PASSES));
    let id = app(&fake);
    let host = [("RUNGATE_APP_ID", id.as_str()), ("RUNGATE_APP_PRIVATE_KEY", APP_KEY)];
    let job = job(&root(), &repo, &fake, &[("command", "c"), ("check-run", "on")], &host);
    assert_eq!(job.outcomes["run"], "success", "{}", job.log);
    assert_eq!(fake.state()["check_runs"][0]["conclusion"], "success");
}

#[test]
fn the_artifact_services_token_is_for_one_step_and_reaches_no_script() {
    let (fake, repo) = (
        Fake::start(),
        repository("- {id: a, shell: sh, run: 'env | sort; tr \"\\0\" \"\\n\" < /proc/1/environ; exit 1'}"),
    );
    let job = job(&root(), &repo, &fake, &[("command", "c")], &[]);
    assert_eq!(job.output("exit-code"), "1", "{}", job.log);
    let record = job.output("run-record");
    let seen = std::fs::read_to_string(Path::new(&record).join("steps/a/output.log")).unwrap();
    assert!(seen.contains("GITHUB_WORKSPACE="), "{seen}");
    for hidden in ["runtime-token-value", "RUNTIME_TOKEN", "RUNGATE_STATE_DIR", "INPUTS_JSON"] {
        assert!(!seen.contains(hidden), "{hidden} is seen");
    }
    let receivers = |action: &Path| -> Vec<String> {
        let steps = Composite::read(action).steps;
        let takes =
            |step: &&composite::Step| step.env.iter().any(|(_, value)| value.contains("steps.runtime."));
        steps.iter().filter(takes).map(|step| step.id.clone()).collect()
    };
    assert_eq!(receivers(&root()), ["run"]);
    assert!(receivers(&root().join("ghes")).is_empty());
}

#[test]
fn secrets_are_given_to_no_step_that_does_not_need_them() {
    for action in [root(), root().join("ghes")] {
        for step in Composite::read(&action).steps {
            let text: String = step.env.iter().map(|(_, value)| value.as_str()).collect();
            let takes = text.contains("inputs.private-key") || text.contains("inputs.token");
            assert_eq!(takes, step.id == "run" || step.id == "reconcile", "{}", step.id);
        }
    }
}

#[test]
fn both_actions_are_the_same_but_for_the_calls_of_others() {
    let (here, server) = (Composite::read(&root()), Composite::read(&root().join("ghes")));
    let mut inputs = here.inputs.clone();
    inputs.retain(|(name, _)| name != "artifacts");
    assert_eq!(inputs, server.inputs);
    assert_eq!(here.outputs, server.outputs);
    assert!(server.steps.iter().all(|step| step.uses.is_none()));
    let ours: Vec<_> = here.steps.iter().filter(|step| step.run.is_some()).collect();
    assert_eq!(ours.len(), server.steps.len());
    for (ours, theirs) in ours.into_iter().zip(&server.steps) {
        let run = ours.run.as_ref().unwrap().replace("PATH:-.}/", "PATH:-ghes}/../");
        assert_eq!((Some(&run), &ours.id), (theirs.run.as_ref(), &theirs.id));
        let names = |step: &composite::Step| -> Vec<String> {
            let env = step.env.iter().filter(|(_, value)| !value.contains("steps.runtime."));
            env.map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(ours), names(theirs));
    }
}

#[test]
fn the_action_for_servers_runs_too() {
    let (fake, repo) = (Fake::start(), repository(PASSES));
    let id = app(&fake);
    let with = [("command", "c"), ("app-id", id.as_str()), ("private-key", APP_KEY)];
    let job = job(&root().join("ghes"), &repo, &fake, &with, &[]);
    assert_eq!(job.outcomes["run"], "success", "{}", job.log);
    assert_eq!(fake.state()["check_runs"][0]["conclusion"], "success");
}

/// What a runner does when a job is cancelled: it signals the shell that it started, and nothing else.
fn cancel(pid: Pid, is_over: &mut dyn FnMut() -> bool) -> Vec<Signal> {
    let mut sent = Vec::new();
    for (signal, patience) in [
        (Signal::SIGINT, Duration::from_millis(7_500)),
        (Signal::SIGTERM, Duration::from_millis(2_500)),
        (Signal::SIGKILL, Duration::from_millis(2_500)),
    ] {
        let _gone = kill(pid, signal);
        sent.push(signal);
        let start = Instant::now();
        while start.elapsed() < patience {
            if is_over() {
                return sent;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    sent
}

/// A job whose command waits, what is done to the step's process meanwhile, and how many of its processes are left.
fn disturbed(fake: &Fake, mut disturb: impl FnMut(&mut Child)) -> (Job, usize) {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    // Short enough that an orphan does not hold up the test for long, and told apart by the digits behind the point.
    let marker = format!("30.{}{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let repo = repository(&format!("- {{id: a, shell: sh, run: 'sleep {marker} & sleep {marker}'}}"));
    let programs = programs();
    let path = format!("{}:{}", programs.path().display(), crate::context::path());
    let (url, id) = (fake.url(), app(fake));
    let host = [
        ("PATH", path.as_str()),
        ("GITHUB_API_URL", url.as_str()),
        ("GITHUB_REPOSITORY", "acme/widgets"),
        ("RUNGATE_STATE_DIR", repo.state().to_str().unwrap()),
    ];
    let with = [("command", "c"), ("app-id", id.as_str()), ("private-key", APP_KEY)];
    let job = Job::new(&root(), repo.path(), &with, &host).run_watched(|step, child| {
        if step.id == "run" {
            wait_until("the check run", || !fake.world().check_runs.is_empty());
            wait_until("the step", || count_of(&marker) == 2);
            disturb(child);
        }
    });
    (job, count_of(&marker))
}

#[test]
fn a_job_that_is_cancelled_closes_its_check_run_and_leaves_no_process() {
    let fake = Fake::start();
    let mut sent = Vec::new();
    let (job, left) = disturbed(&fake, |child| {
        sent = cancel(Pid::from_raw(child.id().cast_signed()), &mut || child.try_wait().unwrap().is_some());
    });
    assert_eq!(sent, [Signal::SIGINT], "the first signal is enough: {}", job.log);
    assert_eq!((job.output("conclusion").as_str(), job.output("exit-code").as_str()), ("cancelled", "130"));
    let check_run = &fake.state()["check_runs"][0];
    assert_eq!((&check_run["status"], &check_run["conclusion"]), (&"completed".into(), &"cancelled".into()));
    assert_eq!(left, 0, "processes are left");
}

#[test]
fn a_run_that_was_killed_is_closed_by_the_last_step() {
    let fake = Fake::start();
    let (job, left) = disturbed(&fake, |child| child.kill().unwrap());
    assert_eq!(job.output("exit-code"), "", "it could say nothing");
    assert_eq!(job.outcomes["reconcile"], "success", "{}", job.log);
    let check_run = &fake.state()["check_runs"][0];
    assert_eq!((&check_run["status"], &check_run["conclusion"]), (&"completed".into(), &"failure".into()));
    assert_eq!(left, 0, "processes are left");
}

/// How many processes have `marker` as an argument of their own.
fn count_of(marker: &str) -> usize {
    let wanted = format!("sleep\0{marker}\0").into_bytes();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted))
        .count()
}

/// A host whose rungate is a shell script, with this between its answer to `--version` and its end.
fn stand_in(script: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("rungate");
    let version =
        format!("[ \"$1\" != --version ] || {{ echo rungate {}; exit; }}", env!("CARGO_PKG_VERSION"));
    std::fs::write(&program, format!("#!/bin/sh\n{version}\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), crate::context::path());
    (folder, path)
}

#[test]
fn a_secret_has_one_name_in_the_programs_environment() {
    let (folder, path) = stand_in("env > \"$(dirname \"$0\")/$1\"; exit 1");
    let repo = repository(PASSES);
    let with = [
        ("command", "c"),
        ("app-id", "an-app"),
        ("private-key", "a-key"),
        ("installation-id", "an-installation"),
        ("token", "a-token"),
    ];
    let job =
        Job::new(&root(), repo.path(), &with, &[("PATH", &path)]).with_service("a-runtime-token", "u").run();
    assert_eq!(job.outcomes["reconcile"], "failure", "both steps have called it");
    for (step, names) in [
        (
            "run",
            &[
                "RUNGATE_APP_ID",
                "RUNGATE_APP_PRIVATE_KEY",
                "RUNGATE_INSTALLATION_ID",
                "RUNGATE_TOKEN",
                "ACTIONS_RUNTIME_TOKEN",
            ][..],
        ),
        (
            "reconcile",
            &["RUNGATE_APP_ID", "RUNGATE_APP_PRIVATE_KEY", "RUNGATE_INSTALLATION_ID", "RUNGATE_TOKEN"],
        ),
    ] {
        let seen = std::fs::read_to_string(folder.path().join(step)).unwrap();
        let secrets: BTreeSet<&str> = seen
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter(|(_, value)| value.starts_with("a-") || value.starts_with("an-"))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(secrets, names.iter().copied().collect(), "{step}");
    }
}

#[test]
fn artifacts_are_handed_to_the_step_that_uploads_them() {
    for (action, uploads) in [(root(), 1), (root().join("ghes"), 0)] {
        let (fake, repo) = (Fake::start(), with_artifact());
        let mut with = vec![("command", "c")];
        if uploads == 1 {
            with.push(("artifacts", "hand-off"));
        }
        let job = job(&action, &repo, &fake, &with, &[]);
        assert_eq!(job.outcomes["run"], "success", "{}", job.log);
        assert_eq!(
            (job.output("artifact-count").as_str(), job.output("artifact-name").as_str()),
            ("1", "result")
        );
        assert!(Path::new(&job.output("artifact-path")).exists(), "{}", job.output("artifact-path"));
        // On a server that has no action of others, the workflow has that step.
        assert_eq!(job.uploads.len(), uploads);
        for upload in &job.uploads {
            assert_eq!(
                (&upload["name"], &upload["path"]),
                (&"result".to_owned(), &job.output("artifact-path"))
            );
        }
    }
}

#[test]
fn artifacts_that_rungate_uploads_are_not_handed_off() {
    let (_folder, path) = stand_in("echo artifact-path=/p >> \"$GITHUB_OUTPUT\"");
    let repo = repository(PASSES);
    let job = Job::new(&root(), repo.path(), &[("command", "c")], &[("PATH", &path)]).run();
    assert_eq!((job.outcomes["run"], job.output("artifact-path").as_str()), ("success", "/p"));
    assert!(job.uploads.is_empty());
}
