//! Deliveries that are killed, cancelled and taken up again: the program on one side, GitHub on the other.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::context::{Ran, Repo, is_alive, wait_until};
use crate::fake::Fake;
use crate::fake::faults::{Fault, Rule};
use crate::fake::world::{APP_KEY, Settings};

const PATCHES: &str = "/repos/*/*/check-runs/*";

/// A repository with one command whose steps are these, and the GitHub that it is on.
struct Stage {
    fake: Fake,
    repo: Repo,
    temporary: tempfile::TempDir,
}

impl Stage {
    fn with(steps: &str) -> Self {
        Self::on(Fake::start(), steps)
    }

    fn on(fake: Fake, steps: &str) -> Self {
        let repo = Repo::with_steps(steps);
        repo.commit();
        Self { fake, repo, temporary: tempfile::tempdir().unwrap() }
    }

    fn program(&self, args: &[&str]) -> std::process::Command {
        let mut program = self.repo.program(args);
        program
            .env("GITHUB_API_URL", self.fake.url())
            .env("GITHUB_REPOSITORY", "acme/widgets")
            .env("RUNGATE_APP_ID", self.fake.world().app().id.to_string())
            .env("RUNGATE_APP_PRIVATE_KEY", APP_KEY)
            .env("TMPDIR", self.temporary.path());
        program
    }

    /// What is left of runs that are over, killed or not.
    fn assert_no_folder_is_left(&self) {
        let left: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    fn ran(&self, args: &[&str]) -> Ran {
        Ran::from(self.program(args).output().unwrap())
    }

    /// A run on its way.
    fn start(&self) -> Child {
        let mut program = self.program(&["run", "c", "--check-run", "on"]);
        program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The only check run there is.
    fn only(&self) -> Value {
        let state = self.fake.state();
        let runs = state["check_runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1, "{runs:#?}");
        runs[0].clone()
    }

    fn journals(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.repo.state().join("journals"));
        folder.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    /// Whether an entry of this type is in the only journal.
    fn says(&self, kind: &str) -> bool {
        let wanted = format!(r#""type":"{kind}""#);
        self.journals().iter().any(|path| std::fs::read_to_string(path).unwrap().contains(&wanted))
    }

    /// What `reconcile` says of the only journal.
    fn reconciled(&self) -> (Option<i32>, Value) {
        let ran = self.ran(&["reconcile", "--format", "json"]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
        assert_eq!(document["runs"].as_array().unwrap().len(), 1, "{document:#}");
        (ran.code, document["runs"][0].clone())
    }
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

fn findings(count: u32) -> String {
    format!(
        "- {{id: a, shell: sh, run: 'i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo \"::warning file=a.txt,line=$i::p $i\"; done; exit 1'}}"
    )
}

/// A step that sleeps for a time that no other process on the host does, and that time.
fn sleeping(tenths: u32) -> (String, String) {
    let seconds = format!("{}.{tenths}", 700 + std::process::id());
    (format!("- {{id: a, shell: sh, run: 'sleep {seconds}'}}"), seconds)
}

fn sleepers(seconds: &str) -> Vec<i32> {
    let wanted = format!("sleep\0{seconds}\0");
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let is_one = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == wanted.as_bytes())
            && is_alive(*pid)
    };
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_one).collect()
}

#[test]
fn a_run_that_was_killed_is_concluded_by_reconcile_and_one_that_lives_is_not() {
    let (step, seconds) = sleeping(1);
    let stage = Stage::with(&step);
    let mut child = stage.start();
    wait_until("the step", || !sleepers(&seconds).is_empty());
    wait_until("the check run", || stage.says("check.created") && stage.says("cmd.start"));
    let (code, run) = stage.reconciled();
    assert_eq!((code, &run["done"]), (Some(0), &"alive".into()), "{run:#}");
    assert_eq!(stage.only()["status"], "in_progress");
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    let (code, run) = stage.reconciled();
    assert_eq!((code, &run["done"]), (Some(0), &"closed".into()), "{run:#}");
    assert_eq!(run["concluded"][0]["conclusion"], "failure", "{run:#}");
    wait_until("the end of the step", || sleepers(&seconds).is_empty());
    let check_run = stage.only();
    assert_eq!((&check_run["status"], &check_run["conclusion"]), (&"completed".into(), &"failure".into()));
    assert_eq!(check_run["output"]["title"], "executor lost, no verdict");
    let requests = stage.fake.world().requests.len();
    let (code, run) = stage.reconciled();
    assert_eq!((code, &run["done"]), (Some(0), &"complete".into()), "{run:#}");
    assert_eq!(stage.fake.world().requests.len(), requests, "nothing is asked about what is closed");
}

#[test]
fn a_run_that_was_asked_to_stop_and_then_killed_was_cancelled() {
    let stage =
        Stage::with("- {id: a, shell: sh, run: \"trap '' INT TERM; sleep 60 & while :; do wait; done\"}");
    let mut child = stage.start();
    wait_until("the check run", || stage.says("check.created") && stage.says("cmd.start"));
    // It cannot conclude by itself: its last words do not arrive.
    stage.fake.fault(Rule::once("PATCH", PATCHES, Fault::Hang).times(0));
    signal(&child, Signal::SIGINT);
    wait_until("the wish", || stage.says("stopping"));
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    stage.fake.world().faults.clear();
    let (code, run) = stage.reconciled();
    assert_eq!((code, &run["done"]), (Some(0), &"closed".into()), "{run:#}");
    assert_eq!(stage.only()["conclusion"], "cancelled");
}

#[test]
fn a_delivery_that_was_killed_is_resumed_from_wherever_it_stood() {
    let hang = |nth| Rule::once("PATCH", PATCHES, Fault::Hang).nth(nth).times(0);
    // Three batches and the conclusion, killed while each was on its way, before and after it took effect.
    let rules = (1..=4).flat_map(|nth| [hang(nth), hang(nth).applied()]);
    std::thread::scope(|scope| {
        for rule in rules {
            scope.spawn(move || {
                let shown = format!("{rule:?}");
                let stage = Stage::with(&findings(120));
                let nth = rule.nth as usize;
                stage.fake.fault(rule);
                let mut child = stage.start();
                let patches = || {
                    let world = stage.fake.world();
                    world.requests.iter().filter(|request| request.method == "PATCH").count()
                };
                // Eight of them share the machine, so that each may take longer than one alone.
                let started = Instant::now();
                while patches() < nth && started.elapsed() < Duration::from_secs(50) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                wait_until("the request", || patches() == nth);
                signal(&child, Signal::SIGKILL);
                child.wait().unwrap();
                stage.assert_no_folder_is_left();
                stage.fake.world().faults.clear();
                let folder = stage.repo.run_folder();
                let ran = stage.ran(&["publish", folder.to_str().unwrap()]);
                assert_eq!(ran.code, Some(0), "{shown}: {}", ran.stderr);
                let check_run = stage.only();
                assert_eq!(check_run["output"]["annotations_count"], 120, "{shown}");
                assert_eq!(check_run["conclusion"], "failure", "{shown}");
                let (code, run) = stage.reconciled();
                let said = format!("{shown}: {run:#}\n{}", ran.stderr);
                assert_eq!((code, &run["done"]), (Some(0), &"complete".into()), "{said}");
            });
        }
    });
}

#[test]
fn what_reconcile_has_said_is_final_until_a_person_asks_for_more() {
    let stage = Stage::with("- {id: a, shell: sh, run: 'true'}");
    stage.fake.fault(Rule::once("PATCH", PATCHES, Fault::Hang).times(0));
    let mut child = stage.start();
    wait_until("the conclusion", || stage.says("complete.intent"));
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    stage.fake.world().faults.clear();
    let (_, run) = stage.reconciled();
    // It was judged as passed; but who says so has not seen it.
    assert_eq!(run["concluded"][0]["conclusion"], "failure", "{run:#}");
    let folder = stage.repo.run_folder();
    let folder = folder.to_str().unwrap();
    let ran = stage.ran(&["publish", folder]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stderr.contains("--again"), "{}", ran.stderr);
    assert_eq!(stage.only()["conclusion"], "failure");
    let ran = stage.ran(&["publish", folder, "--again"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let world = stage.fake.state();
    let conclusions: Vec<&Value> =
        world["check_runs"].as_array().unwrap().iter().map(|run| &run["conclusion"]).collect();
    assert_eq!(conclusions, ["failure", "success"]);
}

#[test]
fn a_record_that_was_changed_is_not_delivered_unless_a_person_says_so() {
    let stage = Stage::with(&findings(3));
    stage.fake.fault(Rule::once("POST", "/repos/*/*/check-runs", Fault::Status { status: 404 }).times(0));
    let ran = stage.ran(&["run", "c", "--check-run", "on"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    stage.fake.world().faults.clear();
    let folder = stage.repo.run_folder();
    let findings = folder.join("findings.jsonl");
    let text = std::fs::read_to_string(&findings).unwrap();
    std::fs::write(&findings, text.replace("p 2", "p 9")).unwrap();
    let folder = folder.to_str().unwrap();
    let ran = stage.ran(&["publish", folder]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("--changed"), "{}", ran.stderr);
    assert!(stage.fake.world().check_runs.is_empty());
    let ran = stage.ran(&["publish", folder, "--changed"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(stage.only()["output"]["annotations_count"], 3);
}

#[test]
fn the_next_run_of_a_runner_closes_what_the_last_one_left() {
    let (step, seconds) = sleeping(2);
    let stage = Stage::with(&step);
    let mut child = stage.start();
    wait_until("the check run", || stage.says("check.created") && stage.says("cmd.start"));
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    wait_until("the end of the step", || sleepers(&seconds).is_empty());
    stage.repo.write(
        ".github/rungate.yml",
        "version: 1\ncommands:\n  c:\n    steps:\n      - {id: a, shell: sh, run: sleep 1}\n",
    );
    stage.repo.commit();
    let mut next = stage.program(&["run", "c"]);
    let ran = Ran::from(next.env("GITHUB_ACTIONS", "true").output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("was dead and is closed"), "{}", ran.stderr);
    let world = stage.fake.state();
    let mut conclusions: Vec<&str> =
        world["check_runs"].as_array().unwrap().iter().filter_map(|run| run["conclusion"].as_str()).collect();
    conclusions.sort_unstable();
    assert_eq!(conclusions, ["failure", "success"]);
}

#[test]
fn a_delivery_that_is_cancelled_is_concluded_and_ends_with_130() {
    for applied in [false, true] {
        let stage = Stage::with(&findings(120));
        let rule = Rule::once("PATCH", PATCHES, Fault::Hang).nth(2);
        stage.fake.fault(if applied { rule.applied() } else { rule });
        let child = stage.start();
        wait_until("the second batch", || {
            stage.fake.world().requests.iter().filter(|request| request.method == "PATCH").count() == 2
        });
        let interrupted = Instant::now();
        signal(&child, Signal::SIGINT);
        let ended = child.wait_with_output().unwrap();
        let took = interrupted.elapsed();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(130), "{said}");
        // A hang is found here; whether it takes five seconds or less is measured elsewhere.
        assert!(took < Duration::from_secs(20), "{took:?}");
        let check_run = stage.only();
        assert_eq!(check_run["conclusion"], "failure", "the verdict stood: {said}");
        // What was in doubt when there was no time left is taken up later.
        let ran = stage.ran(&["publish", stage.repo.run_folder().to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(stage.only()["output"]["annotations_count"], 120);
    }
}

#[test]
fn runners_without_a_disk_are_closed_by_what_github_has() {
    let (step, seconds) = sleeping(3);
    let heads = Settings { branches: [("main".to_owned(), String::new())].into(), ..Settings::default() };
    let stage = Stage::on(Fake::with(heads, 0).unwrap(), &step);
    let mut child = stage.start();
    wait_until("the check run", || stage.says("check.created") && stage.says("cmd.start"));
    let sha = stage.fake.world().check_runs[0].head_sha.clone();
    stage.fake.world().settings.branches.insert("main".to_owned(), sha);
    let reconcile = |older_than: &str| {
        let ran = stage.ran(&[
            "reconcile",
            "--repo",
            "acme/widgets",
            "--older-than",
            older_than,
            "--format",
            "json",
        ]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
        (ran, document)
    };
    std::thread::sleep(Duration::from_millis(1_100));
    let (ran, document) = reconcile("1s");
    assert_eq!((ran.code, &document["young"]), (Some(0), &1.into()), "it is alive: {document:#}");
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    wait_until("the end of the step", || sleepers(&seconds).is_empty());
    std::fs::remove_dir_all(stage.repo.state().join("journals")).unwrap();
    let (_, document) = reconcile("6h");
    assert_eq!(
        (&document["young"], &stage.only()["status"]),
        (&1.into(), &"in_progress".into()),
        "{document:#}"
    );
    // The App of the fake may read neither contents nor pull requests: that is said, and the default branch is looked at.
    let (ran, document) = reconcile("1s");
    assert_eq!(ran.code, Some(0), "{document:#}");
    assert_eq!(document["check_runs"][0]["done"], "concluded as failure", "{document:#}");
    assert_eq!(stage.only()["conclusion"], "failure");
    assert!(ran.stderr.contains("not looked at"), "{}", ran.stderr);
}

#[test]
fn a_thousand_findings_take_twenty_requests_and_a_few() {
    let fake = Fake::start();
    let steps = findings(1_000).replace('\n', "\n      ");
    let repo = Repo::new(&format!(
        "version: 1\ncommands:\n  c:\n    report: {{max-annotations: 1000}}\n    steps:\n      {steps}\n"
    ));
    repo.commit();
    let stage = Stage { fake, repo, temporary: tempfile::tempdir().unwrap() };
    let ran = stage.ran(&["run", "c", "--check-run", "on"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(stage.only()["output"]["annotations_count"], 1000);
    let world = stage.fake.world();
    let count = |method: &str| world.requests.iter().filter(|request| request.method == method).count();
    // The token, the check run; twenty batches and the conclusion; the installation; the token is given back.
    assert_eq!((count("POST"), count("PATCH"), count("GET"), count("DELETE")), (2, 21, 1, 1));
}

#[test]
fn no_secret_is_in_a_journal() {
    let stage = Stage::with(
        "- {id: a, shell: sh, run: 'echo \"::add-mask::correct-horse-battery\"; echo \"::error file=a.txt,line=1::correct-horse-battery\"'}",
    );
    let ran = stage.ran(&["run", "c", "--check-run", "on"]);
    assert!(ran.code.is_some());
    let journals = stage.journals();
    assert_eq!(journals.len(), 1);
    let text = std::fs::read_to_string(&journals[0]).unwrap();
    let key = APP_KEY.lines().nth(5).unwrap();
    assert!(!text.contains(key) && !text.contains("correct-horse-battery"), "{text}");
    for token in &stage.fake.world().tokens {
        assert!(!text.contains(&token.secret));
    }
    assert!(text.contains(r#""type":"closed""#), "{text}");
}

#[test]
fn a_verdict_that_no_check_run_may_tell_is_told_another_way_and_aloud() {
    for (statuses, has_summary, code) in [(true, false, 0), (false, true, 0), (false, false, 5)] {
        let stage = Stage::with("- {id: a, shell: sh, run: 'echo \"::warning file=a.txt,line=1::p\"'}");
        let permissions =
            [("checks", "read"), ("metadata", "read"), ("statuses", if statuses { "write" } else { "read" })];
        stage.fake.world().installation().permissions =
            permissions.map(|(name, access)| (name.to_owned(), access.to_owned())).into();
        let mut program = stage.program(&["run", "c", "--check-run", "on", "--format", "json"]);
        if has_summary {
            program.env("GITHUB_STEP_SUMMARY", stage.repo.state().join("summary"));
        }
        let ran = Ran::from(program.output().unwrap());
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        let record: Value = serde_json::from_str(&ran.stdout).unwrap();
        let instead = if statuses {
            "status"
        } else if has_summary {
            "step-summary"
        } else {
            ""
        };
        assert_eq!(record["delivery"]["instead"].as_str().unwrap_or_default(), instead, "{}", ran.stderr);
        assert_eq!(ran.stderr.contains("and not by a check run"), !instead.is_empty(), "{}", ran.stderr);
        let told = stage.fake.world().statuses.clone();
        assert_eq!(told.len(), usize::from(statuses));
        if statuses {
            assert_eq!((&told[0]["state"], &told[0]["context"]), (&"success".into(), &"c".into()));
            assert_eq!(told[0]["description"], "passed with warnings: 1 warning");
        }
        assert!(stage.fake.world().check_runs.is_empty());
    }
}

/// Name, conclusion and number of annotations of every check run, by name.
fn told(stage: &Stage) -> Vec<(String, String, u64)> {
    let world = stage.fake.state();
    let mut told: Vec<_> = world["check_runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            let text = |value: &Value| value.as_str().unwrap_or("open").to_owned();
            (
                text(&run["name"]),
                text(&run["conclusion"]),
                run["output"]["annotations_count"].as_u64().unwrap(),
            )
        })
        .collect();
    told.sort_unstable();
    told
}

fn with_gates(run: &str) -> Stage {
    let repo = Repo::new(&format!(
        "version: 1\ncommands:\n  c:\n    report: {{check-runs: gates}}\n    gates:\n      - {{id: lenient, fail-on: \
         error}}\n      - {{id: strict, fail-on: warning}}\n    steps:\n      - {{id: a, shell: sh, run: '{run}'}}\n"
    ));
    repo.commit();
    Stage { fake: Fake::start(), repo, temporary: tempfile::tempdir().unwrap() }
}

#[test]
fn every_gate_has_a_check_run_where_the_manifest_asks_for_it() {
    let stage = with_gates("echo \"::warning file=a.txt,line=1::p\"");
    let ran = stage.ran(&["run", "c", "--check-run", "on"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let row = |name: &str, conclusion: &str, count| (name.to_owned(), conclusion.to_owned(), count);
    let wanted =
        [row("c / lenient", "success", 0), row("c / steps", "success", 1), row("c / strict", "failure", 0)];
    assert_eq!(told(&stage), wanted);
    let (code, run) = stage.reconciled();
    assert_eq!((code, &run["done"]), (Some(0), &"complete".into()), "{run:#}");
    // A new delivery makes all of them anew, and a preview none.
    let folder = stage.repo.run_folder();
    let folder = folder.to_str().unwrap();
    let shown = stage.ran(&["publish", folder, "--check-run", "preview"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(
        shown.as_array().unwrap().iter().filter(|call| call["method"] == "POST").count(),
        3,
        "{shown:#}"
    );
    assert_eq!(told(&stage).len(), 3);
    let ran = stage.ran(&["publish", folder, "--again"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(told(&stage).len(), 6);
}

#[test]
fn all_check_runs_of_a_dead_run_are_closed() {
    let seconds = format!("{}.4", 700 + std::process::id());
    let stage = with_gates(&format!("sleep {seconds}"));
    let mut child = stage.start();
    wait_until("the check runs", || stage.says("cmd.start") && told(&stage).len() == 3);
    wait_until("the receipts", || {
        let journal = std::fs::read_to_string(&stage.journals()[0]).unwrap();
        journal.matches("check.created").count() == 3
    });
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    let (code, run) = stage.reconciled();
    assert_eq!((code, &run["done"]), (Some(0), &"closed".into()), "{run:#}");
    assert!(told(&stage).iter().all(|(_, conclusion, _)| conclusion == "failure"), "{:?}", told(&stage));
    wait_until("the end of the step", || sleepers(&seconds).is_empty());
}

/// Ids of helpers that the only journal names, and that it has not seen to end.
fn helpers(stage: &Stage) -> Vec<i32> {
    let known = rungate::journal::file::read(&stage.journals()[0]).unwrap();
    known.commands.into_keys().collect()
}

#[test]
fn steps_that_a_dead_run_could_not_end_are_ended_by_reconcile() {
    let (step, seconds) = sleeping(5);
    let stage = Stage::with(&step);
    let mut child = stage.start();
    wait_until("the step", || !sleepers(&seconds).is_empty());
    wait_until("the check run", || stage.says("check.created") && stage.says("cmd.start"));
    // A helper that is stopped cannot see that its executor is gone, and would wait for ever.
    let helpers = helpers(&stage);
    assert_eq!(helpers.len(), 1);
    kill(Pid::from_raw(helpers[0]), Signal::SIGSTOP).unwrap();
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    assert_eq!(sleepers(&seconds).len(), 1);
    let (code, run) = stage.reconciled();
    assert_eq!((code, &run["done"], &run["steps_ended"]), (Some(0), &"closed".into(), &1.into()), "{run:#}");
    wait_until("the end of the step", || sleepers(&seconds).is_empty() && !is_alive(helpers[0]));
}

#[test]
fn a_process_that_has_the_id_of_a_dead_one_is_not_touched() {
    use rungate::sandbox::remains::{Process, end};
    let mut other = crate::context::command("sleep").arg("60").spawn().unwrap();
    let pid = i32::try_from(other.id()).unwrap();
    let process = Process::of(pid).unwrap();
    for mistaken in [
        Process { started: process.started - 1, ..process.clone() },
        Process { boot: "00000000-0000-0000-0000-000000000000".to_owned(), ..process.clone() },
        Process { namespace: process.namespace + 1, ..process.clone() },
    ] {
        assert!(!end(&mistaken, None) && other.try_wait().unwrap().is_none(), "{mistaken:?}");
    }
    assert!(end(&process, None));
    assert!(!other.wait().unwrap().success());
    assert!(!end(&process, None), "it is gone");
}
