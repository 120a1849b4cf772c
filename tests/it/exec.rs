//! `rungate sandbox exec`, as callers see it: what passes, what does not, and how it ends. And what tells of the host.

use std::io::Read as _;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::context::{Ran, Repo, is_alive, wait_until};

fn repo() -> Repo {
    let repo = Repo::new("version: 1\n");
    repo.write(".git/config", "token = hunter2\n");
    repo.write("data.txt", "data\n");
    repo
}

fn exec(repo: &Repo, args: &[&str]) -> Ran {
    repo.run(&[&["sandbox", "exec"], args].concat())
}

fn sh(repo: &Repo, options: &[&str], script: &str) -> Ran {
    exec(repo, &[options, &["--", "sh", "-c", script]].concat())
}

#[test]
fn output_and_exit_codes_pass_as_they_are() {
    let repo = repo();
    let ran = sh(&repo, &[], "printf 'a\\0b'; echo err >&2; exit 7");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(7), "a\0b", "err\n"));
    assert_eq!(sh(&repo, &[], "kill -TERM $$").code, Some(128 + 15));
    let ran = sh(&repo, &["--timeout", "200ms"], "trap '' INT; echo begun; sleep 100");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(124), "begun\n"));
    assert!(ran.stderr.contains("time was up"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_started_ends_with_125_and_says_why() {
    let repo = repo();
    let ran = exec(&repo, &["--", "no-such-program"]);
    assert_eq!(ran.code, Some(125));
    assert!(ran.stderr.contains("not found on PATH"), "{}", ran.stderr);
    let ran = exec(&repo, &["--", "/no/such/program"]);
    assert_eq!(ran.code, Some(125));
    assert!(ran.stderr.contains("/no/such/program"), "{}", ran.stderr);
    assert_eq!(exec(&repo, &["--memory", "lots", "--", "true"]).code, Some(2));
    assert_eq!(exec(&repo, &["--read", "/no/such", "--", "true"]).code, Some(2));
    assert_eq!(exec(&repo, &[]).code, Some(2));
}

#[test]
fn the_workspace_is_readable_its_git_is_not_and_only_what_is_named_is_written() {
    let repo = repo();
    for tier in ["namespaces", "landlock"] {
        let ran =
            sh(&repo, &["--tier", tier], "cat data.txt; cat .git/config; echo x > data.txt; echo x > new");
        assert_eq!(ran.stdout, "data\n", "{tier}: {}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"));
        assert_ne!(ran.code, Some(0));
        let out = format!("out-{tier}/deep");
        let ran =
            sh(&repo, &["--tier", tier, "--write", &out], &format!("echo x > {out}/file; cat {out}/file"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "x\n"), "{tier}: {}", ran.stderr);
        assert_eq!(std::fs::read_to_string(repo.path().join(out).join("file")).unwrap(), "x\n");
    }
    assert_eq!(std::fs::read_to_string(repo.path().join("data.txt")).unwrap(), "data\n");
    assert!(!repo.path().join("new").exists());
    for covering in [".git", ".", "a/../.git/x", ".rungate/runs"] {
        assert_eq!(exec(&repo, &["--write", covering, "--", "true"]).code, Some(2), "{covering}");
    }
    std::os::unix::fs::symlink("/tmp", repo.path().join("link")).unwrap();
    let ran = exec(&repo, &["--write", "link", "--", "true"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("symbolic link"), "{}", ran.stderr);
}

#[test]
fn the_environment_is_made_from_nothing() {
    let repo = repo();
    let env = [("SECRET_THING", "hunter2"), ("PASSED", "p"), ("TZ", "UTC")];
    let args = ["sandbox", "exec", "--env", "PASSED", "--env", "SET=a=b", "--env", "ABSENT", "--", "env"];
    let ran = repo.run_with(&args, &env);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut names: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "PASSED", "PATH", "SET", "TMPDIR", "TZ"]);
    assert!(ran.stdout.contains("SET=a=b\n"));
    let ran = sh(&repo, &[], "echo x > \"$HOME/x\" && echo x > \"$TMPDIR/x\" && echo x > /tmp/x");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_signal_is_handed_on_and_the_program_decides() {
    let repo = repo();
    let mut program = repo.program(&["sandbox", "exec", "--", "sh", "-c"]);
    program.arg("trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 6];
    stdout.read_exact(&mut first).unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((&first, rest.as_str()), (b"ready\n", "got it\n"));
}

#[test]
fn a_reader_that_goes_away_ends_the_program_and_a_kill_leaves_nothing() {
    let repo = repo();
    let mut program = repo.program(&["sandbox", "exec", "--", "sh", "-c", "exec yes"]);
    let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 13), "SIGPIPE, as without us");
    let mut program = repo.program(&["sandbox", "exec", "--write", "out", "--", "sh", "-c"]);
    program.arg("setsid sh -c 'echo begun > out/begun; sleep 1000' & sleep 1000");
    let mut child = program.spawn().unwrap();
    wait_until("the program", || repo.path().join("out/begun").exists());
    let pid = i32::try_from(child.id()).unwrap();
    let below = rungate::sandbox::processes::descendants(pid);
    assert!(!below.is_empty());
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    wait_until("the end of all processes", || !below.iter().any(|&pid| is_alive(pid)));
}

#[test]
fn under_actions_nothing_loosens_the_sandbox_and_no_line_is_a_command() {
    let repo = repo();
    let actions = [("GITHUB_ACTIONS", "true")];
    let at = |args: &[&str]| repo.run_with(&[&["sandbox", "exec"], args].concat(), &actions);
    assert_eq!(at(&["--network", "host", "--", "true"]).code, Some(3));
    assert_eq!(at(&["--write", "/tmp", "--", "true"]).code, Some(3));
    assert_eq!(at(&["--write", "out", "--", "true"]).code, Some(0));
    let ran = at(&["--", "echo", "::set-env name=X::y"]);
    assert_eq!(ran.stdout, ": :set-env name=X::y\n");
}

#[test]
fn the_hosts_network_is_there_only_when_it_is_asked_for() {
    let repo = repo();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let script = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)";
    let connect = |options: &[&str]| {
        exec(&repo, &[options, &["--", "/usr/bin/python3", "-c", script, &port]].concat()).code
    };
    for tier in ["namespaces", "landlock"] {
        assert_ne!(connect(&["--tier", tier]), Some(0), "{tier}");
        assert_eq!(connect(&["--tier", tier, "--network", "host"]), Some(0), "{tier}");
    }
}

#[test]
fn the_hosts_layers_are_told_to_people_and_programs() {
    let repo = repo();
    let ran = repo.run(&["sandbox", "probe", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let probe: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(probe["tier"], "namespaces", "{probe}");
    assert_eq!(probe["landlock"]["available"], true, "{probe}");
    assert!(repo.run(&["sandbox", "probe"]).stdout.starts_with("tier         namespaces\n"));
    let ran = repo.run(&["doctor", "--offline", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let doctor: Value = serde_json::from_str(&ran.stdout).unwrap();
    for check in doctor["checks"].as_array().unwrap() {
        let mends = !check["remedies"].as_array().unwrap().is_empty();
        assert_eq!(check["state"] != "good", mends, "what is lacking has a remedy: {check}");
    }
    // Within a sandbox there are no further namespaces, and the doctor says so instead of failing.
    let program = env!("CARGO_BIN_EXE_rungate");
    let folder = std::path::Path::new(program).parent().unwrap().to_str().unwrap();
    let ran = exec(&repo, &["--read", folder, "--", program, "sandbox", "probe", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let nested: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(nested["tier"], "landlock", "{nested}");
}
