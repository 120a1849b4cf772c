//! Whole runs: what reaches a script, what comes back, and what is left when something goes wrong.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::context::{Repo, wait_until};

fn step<'a>(record: &'a Value, id: &str) -> &'a Value {
    record["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["key"] == id)
        .unwrap_or_else(|| panic!("no {id}"))
}

/// A workspace whose steps say `MARK` where it is to be told from the outside that they run.
fn marked(steps: &str) -> (String, Repo) {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1000);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mark = format!("{next}.{}", std::process::id());
    let repo = Repo::with_steps(&steps.replace("MARK", &mark));
    (mark, repo)
}

/// Whether a `sleep` with this mark runs, in whichever namespace: process ids mean nothing across them.
fn is_running(mark: &str) -> bool {
    let wanted = format!("sleep\0{mark}\0");
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes()))
}

#[test]
fn a_run_that_passes_says_so_everywhere() {
    let repo = Repo::with_steps("- {id: a, run: 'echo hello', shell: sh}\n- {id: b, run: 'true', shell: sh}");
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(record["conclusion"], "success");
    assert_eq!(record["schema"], "rungate.record/1");
    assert_eq!(step(&record, "a")["sandbox"]["tier"], "namespaces");
    assert_eq!(record["audit"], "none");
    assert_eq!(repo.log("a"), "hello\n");
    let folder = repo.run_folder();
    for name in ["record.json", "findings.jsonl", "findings.sarif", "junit.xml", "summary.md", "events.jsonl"]
    {
        assert!(folder.join(name).is_file(), "{name} is missing");
    }
    let stored: Value = serde_json::from_slice(&std::fs::read(folder.join("record.json")).unwrap()).unwrap();
    assert_eq!(stored, record);
}

#[test]
fn hostile_inputs_arrive_byte_for_byte_and_nothing_is_executed() {
    let repo = Repo::new(
        "version: 1\ncommands:\n  c:\n    inputs:\n      x: {multiline: true}\n    steps:\n      - id: a\n        shell: sh\n        \
         sandbox: {write: [out]}\n        \
         run: 'printf \"%s\" \"$1\" > out/arg; printf \"%s\" \"$X\" > out/env; printf \"%s\" \"$INPUT_X\" > out/input'\n        \
         args: ['--x=${{ inputs.x }}']\n        env: {X: '${{ inputs.x }}'}\n",
    );
    let hostile =
        "$(touch pwned)`touch pwned`';\"touch pwned\" \n&& touch pwned ${{ github.sha }} --%0a\\ é\u{1f980}";
    let ran = repo.run(&["run", "c", "-i", &format!("x={hostile}")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let read = |name: &str| std::fs::read_to_string(repo.path().join("out").join(name)).unwrap();
    assert_eq!(read("arg"), format!("--x={hostile}"));
    assert_eq!(read("env"), hostile);
    assert_eq!(read("input"), hostile);
    assert!(!repo.path().join("pwned").exists());
}

#[test]
fn a_value_that_would_be_an_option_is_refused() {
    let repo = Repo::new(
        "version: 1\ncommands:\n  c:\n    inputs: {x: {}}\n    steps:\n      - {id: a, shell: sh, run: 'true', args: ['${{ inputs.x }}']}\n",
    );
    assert_eq!(repo.run(&["run", "c", "-i", "x=ok"]).code, Some(0));
    let ran = repo.run(&["run", "c", "-i", "x=--help"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("option"), "{}", ran.stderr);
}

#[test]
fn the_callers_secrets_do_not_reach_a_script() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'env > out/env; ls -l /proc/self/fd | wc -l >> out/env', sandbox: {write: [out]}}",
    );
    let secrets = [
        ("ACTIONS_RUNTIME_TOKEN", "tok-aaaaaa"),
        ("GITHUB_TOKEN", "tok-bbbbbb"),
        ("RUNGATE_TOKEN", "tok-cccccc"),
        ("INPUT_TOKEN", "tok-dddddd"),
        ("SOME_SECRET", "tok-eeeeee"),
        ("GITHUB_OUTPUT", "/dev/null"),
    ];
    let ran = repo.run_with(&["run", "c"], &secrets);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let seen = std::fs::read_to_string(repo.path().join("out/env")).unwrap();
    assert!(!seen.contains("tok-"), "{seen}");
    assert!(!seen.contains("GITHUB_OUTPUT=/dev/null"), "{seen}");
}

#[test]
fn a_declared_secret_reaches_only_the_step_that_names_it_and_is_never_shown() {
    let repo = Repo::new(
        "version: 1\ncommands:\n  c:\n    secrets: [KEY]\n    steps:\n      \
         - {id: a, shell: sh, run: 'echo \"got $K\"; echo \"::error::it is $K\"; exit 1', env: {K: '${{ secrets.KEY }}'}, continue-on-error: true}\n      \
         - {id: b, shell: sh, run: 'test -z \"$KEY$K\"'}\n",
    );
    let ran = repo.run_with(&["run", "c"], &[("KEY", "hunter2hunter2")]);
    assert_eq!(ran.code, Some(1), "the finding fails the gate: {}", ran.stderr);
    assert_eq!(repo.log("a"), "got ***\n::error::it is ***\n");
    assert!(!(ran.stdout + &ran.stderr).contains("hunter2"));
    let folder = repo.run_folder();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert!(!std::fs::read_to_string(&path).unwrap().contains("hunter2"), "{}", path.display());
        }
    }
    assert_eq!(repo.run(&["run", "c"]).code, Some(2), "an absent secret is refused");
}

#[test]
fn a_failing_step_without_findings_becomes_one_with_its_last_lines() {
    let repo = Repo::with_steps("- {id: a, shell: sh, run: 'echo before; echo the reason >&2; exit 3'}");
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(record["conclusion"], "failure");
    assert_eq!(step(&record, "a")["exit_code"], 3);
    let findings = std::fs::read_to_string(repo.run_folder().join("findings.jsonl")).unwrap();
    assert_eq!(findings.lines().count(), 1);
    let finding: Value = serde_json::from_str(&findings).unwrap();
    assert_eq!(finding["level"], "failure");
    assert!(finding["message"].as_str().unwrap().contains("the reason"), "{finding}");
}

#[test]
fn outputs_environment_and_path_are_handed_on_to_the_steps_that_need_them() {
    let repo = Repo::with_steps(
        "- id: a\n  shell: sh\n  sandbox: {write: [bin]}\n  run: |\n    echo v=1 >> \"$GITHUB_OUTPUT\"\n    echo E=two >> \"$GITHUB_ENV\"\n    mkdir -p \"$PWD/bin\"\n    printf '#!/bin/sh\\necho tool\\n' > bin/mytool\n    chmod +x bin/mytool\n    echo \"$PWD/bin\" >> \"$GITHUB_PATH\"\n\
         - {id: b, shell: sh, run: 'echo \"$V $E $(mytool)\"', env: {V: '${{ steps.a.outputs.v }}'}}\n\
         - {id: c, needs: [], shell: sh, run: 'echo \"[$E]\"'}",
    );
    let (ran, _) = repo.record(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(repo.log("b"), "1 two tool\n");
    assert_eq!(repo.log("c"), "[]\n");
}

#[test]
fn a_step_may_not_set_what_changes_how_programs_load_code() {
    let repo = Repo::with_steps("- {id: a, shell: sh, run: 'echo LD_PRELOAD=/x >> \"$GITHUB_ENV\"'}");
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(step(&record, "a")["reason"].as_str().unwrap().contains("LD_PRELOAD"));
}

#[test]
fn needs_conditions_and_skips_follow_actions() {
    let repo = Repo::with_steps(
        "- {id: bad, shell: sh, run: 'exit 1'}\n\
         - {id: after, shell: sh, run: 'true'}\n\
         - {id: cleanup, shell: sh, if: always(), run: 'true'}\n\
         - {id: on-failure, shell: sh, if: failure(), run: 'true'}\n\
         - {id: apart, needs: [], shell: sh, run: 'true'}\n\
         - {id: never, needs: [apart], if: false, shell: sh, run: 'true'}\n\
         - {id: then, needs: [never], shell: sh, run: 'true'}",
    );
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1));
    let outcomes: Vec<String> = record["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("{} {}", step["key"].as_str().unwrap(), step["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        outcomes,
        [
            "bad failure",
            "after skipped",
            "cleanup success",
            "on-failure success",
            "apart success",
            "never skipped",
            "then success"
        ]
    );
    assert_eq!(step(&record, "after")["skip"], "need_failed");
    assert_eq!(step(&record, "never")["skip"], "condition");
}

#[test]
fn a_retry_that_helps_is_flaky_and_only_its_last_findings_count() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'echo ::error::try; test -e out/flag || { touch out/flag; exit 75; }; echo ::notice::fine', sandbox: {write: [out]}, retry: {attempts: 3, on: [75]}}",
    );
    let (_, record) = repo.record(&[]);
    assert_eq!(step(&record, "a")["flaky"], true);
    assert_eq!(step(&record, "a")["attempts"], 2);
    assert_eq!(record["counts"], serde_json::json!({"failure": 1, "warning": 0, "notice": 1}));
}

#[test]
fn a_matrix_runs_every_leg_with_its_values() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'echo \"$X\"', env: {X: '${{ matrix.t }}-${{ matrix.n }}'}, strategy: {matrix: {t: [p, q], n: [1, 2], exclude: [{t: q, n: 2}]}}}",
    );
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let keys: Vec<&str> =
        record["steps"].as_array().unwrap().iter().map(|step| step["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["a (p, 1)", "a (p, 2)", "a (q, 1)"]);
}

#[test]
fn a_timeout_climbs_the_ladder_and_is_diagnosed() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, timeout-minutes: 0.01, run: 'trap \"\" INT TERM; echo last words; printf \"Proceed? \"; sleep 1000', sandbox: {limits: {grace: 300ms}}}",
    );
    let start = Instant::now();
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(start.elapsed() < Duration::from_secs(8));
    let step = step(&record, "a");
    assert_eq!(step["outcome"], "timed_out");
    assert_eq!(step["hang"]["last_output"], serde_json::json!(["last words", "Proceed? "]));
    let commands = step["hang"]["processes"].to_string();
    assert!(commands.contains("sleep 1000"), "{commands}");
}

#[test]
fn a_daemon_does_not_outlive_its_step() {
    let (marked, repo) =
        marked("- {id: a, shell: sh, run: '(setsid sh -c \"exec sleep MARK\" &) & sleep 0.3'}");
    let (ran, _) = repo.record(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!is_running(&marked));
    assert!(repo.log("a").contains("outlived"), "{}", repo.log("a"));
}

#[test]
fn a_cancelled_run_ends_soon_with_130_and_a_record() {
    let (marked, repo) = marked(
        "- {id: a, shell: sh, run: 'trap \"\" INT TERM; sleep MARK'}\n- {id: b, shell: sh, run: 'true'}",
    );
    let mut program = repo.program(&["run", "c"]);
    let mut child =
        program.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    wait_until("the script", || is_running(&marked));
    let start = Instant::now();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(!is_running(&marked));
    let record: Value =
        serde_json::from_slice(&std::fs::read(repo.run_folder().join("record.json")).unwrap()).unwrap();
    assert_eq!(record["conclusion"], "cancelled");
    assert_eq!(record["exit_code"], 130);
    assert_eq!(step(&record, "a")["outcome"], "cancelled");
    assert_eq!(step(&record, "b")["outcome"], "skipped");
}

#[test]
fn a_report_without_end_holds_up_neither_the_clock_nor_a_signal() {
    // Reading seven GiB of nothing takes longer than anybody here waits.
    let repo = Repo::with_steps(
        "- {id: a, needs: [], shell: sh, run: 'truncate -s 7G out/report', sandbox: {write: [out]}, findings: [{parser: errorformat, from: out/report, errorformat: ['%f:%l: %m']}]}\n\
         - {id: b, needs: [], shell: sh, run: sleep 1000, timeout-minutes: 0.02}",
    );
    let mut child = repo.program(&["run", "c"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let told = |what| {
        let path = repo.run_folder().join("events.jsonl");
        std::fs::read_to_string(path).is_ok_and(|events| events.contains(what))
    };
    wait_until("the run folder", || {
        repo.path().join(".rungate/runs").read_dir().is_ok_and(|mut runs| runs.next().is_some())
    });
    wait_until("the timeout", || told("timed out after 1.2s"));
    let start = Instant::now();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let record = std::fs::read_to_string(repo.run_folder().join("record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(step(&record, "b")["outcome"], "timed_out");
}

#[test]
fn a_killed_run_leaves_no_child_alive() {
    let (marked, repo) = marked(
        "- {id: a, shell: sh, sandbox: {write: [out]}, run: 'trap \"\" INT TERM HUP; (setsid sh -c \"touch out/daemon; exec sleep MARK\" &); touch out/script; sleep MARK'}",
    );
    let mut program = repo.program(&["run", "c"]);
    let mut child =
        program.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let begun = ["out/script", "out/daemon"].map(|name| repo.path().join(name));
    wait_until("script and daemon", || begun.iter().all(|path| path.exists()) && is_running(&marked));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the end of everything", || !is_running(&marked));
}

#[test]
fn a_flood_is_cut_with_an_exact_note_and_parsers_still_see_its_end() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'head -c 3000000 /dev/zero | tr \"\\\\0\" x | fold -w 99; echo; echo ::notice::the end', sandbox: {limits: {output: 1MiB}}}",
    );
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let log = repo.log("a");
    let dropped = step(&record, "a")["output_dropped"].as_u64().unwrap();
    assert!(
        log.contains(&format!("{dropped} bytes of stdout were dropped after the first 1048576")),
        "no note"
    );
    assert_eq!(record["counts"]["notice"], 1);
}

#[test]
fn a_flood_without_end_is_named_when_its_time_is_up() {
    let repo = Repo::new(
        "version: 1\ncommands:\n  c:\n    timeout-minutes: 0.01\n    steps:\n      \
         - {id: a, shell: sh, run: 'yes', sandbox: {limits: {output: 1MiB}}}\n",
    );
    let (_, record) = repo.record(&[]);
    let step = step(&record, "a");
    assert_eq!(step["outcome"], "timed_out", "{step}");
    let reason = step["reason"].as_str().unwrap();
    assert!(
        reason.ends_with(": it printed more than 1MiB on one stream, which is the log's limit"),
        "{reason}"
    );
}

#[test]
fn forged_workflow_commands_never_reach_the_runner() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'printf \"::error::forged\\n  ::set-env name=X::1\\nx ##[error]legacy\\nprogress\\r::warning::after cr\\n\"'}",
    );
    for format in ["human", "json", "jsonl"] {
        let ran = repo.run_with(&["run", "c", "--format", format], &[("GITHUB_ACTIONS", "true")]);
        let all = format!("{}\n{}", ran.stdout, ran.stderr);
        for line in all.split(['\n', '\r']) {
            let trimmed = line.trim_start();
            let ours = ["::group::", "::endgroup::"];
            assert!(
                !trimmed.starts_with("::") || ours.iter().any(|own| trimmed.starts_with(own)),
                "{line:?}"
            );
            assert!(!line.contains("##["), "{line:?}");
        }
    }
}

#[test]
fn a_script_that_an_earlier_step_changed_does_not_run() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'echo \"touch pwned\" > tools/s.sh', sandbox: {write: [tools]}}\n- {id: b, script: tools/s.sh}",
    );
    repo.write("tools/s.sh", "true\n");
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(step(&record, "b")["outcome"], "failure");
    assert!(step(&record, "b")["reason"].as_str().unwrap().contains("changed after the plan"));
    assert!(!repo.path().join("pwned").exists());
}

#[test]
fn what_the_host_cannot_start_midway_is_no_verdict() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'rmdir out/gone', sandbox: {write: [out]}}\n- {id: b, shell: sh, working-directory: out/gone, run: 'true'}",
    );
    std::fs::create_dir_all(repo.path().join("out/gone")).unwrap();
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert_eq!(record["exit_code"], 4);
    assert_eq!(record["conclusion"], "failure");
    assert_eq!(step(&record, "b")["outcome"], "setup_failed");
    assert!(step(&record, "b")["reason"].as_str().unwrap().contains("working directory"));
}

#[test]
fn two_runs_of_one_group_take_turns() {
    let manifest = "version: 1\ncommands:\n  c:\n    concurrency: {group: g}\n    steps:\n      - {id: a, shell: sh, sandbox: {write: [out]}, run: 'mkdir out/lock || exit 9; sleep 0.4; rmdir out/lock'}\n";
    let repo = Repo::new(manifest);
    let mut first = repo.program(&["run", "c"]).spawn().unwrap();
    let mut second = repo.program(&["run", "c"]).spawn().unwrap();
    assert_eq!((first.wait().unwrap().code(), second.wait().unwrap().code()), (Some(0), Some(0)));
}

#[test]
fn a_missing_interpreter_stops_everything_before_it_starts() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'touch started'}\n- {id: b, needs: [a], shell: pwsh, run: 'exit'}",
    );
    let ran = repo.run_with(&["run", "c"], &[("PATH", "/usr/bin:/bin")]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("pwsh"), "{}", ran.stderr);
    assert!(!repo.path().join("started").exists());
}

#[test]
fn what_is_not_there_yet_is_an_error_that_says_so() {
    let repo = Repo::with_steps("- {id: a, shell: sh, run: 'touch started', cache: {inputs: ['**']}}");
    let ran = repo.run(&["run", "c"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("not-available") && ran.stderr.contains("cache"), "{}", ran.stderr);
    let policy = repo.run_with(&["run", "c"], &[("RUNGATE_POLICY", "/nonexistent/policy.yml")]);
    assert_eq!(policy.code, Some(3), "{}", policy.stderr);
}

#[test]
fn a_steps_own_summary_is_part_of_the_runs() {
    let repo =
        Repo::with_steps("- {id: a, shell: sh, run: 'echo \"| my table |\" >> \"$GITHUB_STEP_SUMMARY\"'}");
    let job = repo.state().join("job-summary.md");
    let ran = repo.run_with(&["run", "c"], &[("GITHUB_STEP_SUMMARY", job.to_str().unwrap())]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let summary = std::fs::read_to_string(repo.run_folder().join("summary.md")).unwrap();
    assert!(summary.contains("### Written by the step a\n\n| my table |\n"), "{summary}");
    assert_eq!(std::fs::read_to_string(job).unwrap(), summary);
}

#[test]
fn a_run_that_nobody_reads_still_ends_by_its_timeout_and_its_signals() {
    let flood = "- {id: a, shell: sh, run: 'yes'}";
    let limited = Repo::new(&format!(
        "version: 1\ncommands:\n  c:\n    timeout-minutes: 0.01\n    steps:\n      {flood}\n"
    ));
    let cancelled = Repo::with_steps(flood);
    let runs = [(&limited, "timed_out", 1), (&cancelled, "cancelled", 130)].map(|(repo, word, code)| {
        // The reading ends stay open and unread until the end.
        let (out, err) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let child = repo.program(&["run", "c"]).stdout(out.1).stderr(err.1).spawn().unwrap();
        (repo, word, code, child, out.0, err.0)
    });
    // Before its first step begins it may not listen to signals yet.
    let begun = |runs: std::path::PathBuf| {
        let runs = std::fs::read_dir(runs).into_iter().flatten().filter_map(Result::ok);
        runs.into_iter().any(|run| run.path().join("steps/a").is_dir())
    };
    wait_until("the first step", || begun(cancelled.path().join(".rungate/runs")));
    kill(Pid::from_raw(runs[1].3.id().cast_signed()), Signal::SIGTERM).unwrap();
    for (repo, word, code, mut child, _out, _err) in runs {
        wait_until("the end of a run that nobody reads", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{word}");
        let record: Value =
            serde_json::from_slice(&std::fs::read(repo.run_folder().join("record.json")).unwrap()).unwrap();
        assert_eq!(record["conclusion"], word);
    }
}

#[test]
fn a_step_that_kills_its_supervisor_leaves_nothing_to_the_next_one() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: '(setsid sh -c \"echo \\$\\$ > pid; exec sleep 1000\" &); sleep 0.2; kill -9 $PPID; sleep 1000'}\n\
         - {id: b, if: always(), shell: sh, run: 'kill -0 $(cat pid) && echo alive || echo dead'}",
    );
    let start = Instant::now();
    // With namespaces the supervisor is out of sight, and the first process of the step's own ignores such signals.
    let (ran, record) = repo.record(&["--sandbox", "off"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(step(&record, "a")["reason"].as_str().unwrap().contains("killed"));
    assert!(repo.log("b").contains("dead\n") && !repo.log("b").contains("alive"), "{}", repo.log("b"));
    assert!(start.elapsed() < Duration::from_secs(2), "nobody waits for pipes that the dead held open");
}

#[test]
fn too_few_open_files_are_refused_before_anything_starts() {
    let repo = Repo::with_steps("- {id: a, shell: sh, run: 'touch out/started', sandbox: {write: [out]}}");
    for (limit, code) in [("8", Some(4)), ("20", Some(4)), ("128", Some(0))] {
        let mut limited = crate::context::command("sh");
        limited.args(["-c", "ulimit -n \"$0\"; exec \"$1\" run c", limit, env!("CARGO_BIN_EXE_rungate")]);
        let output =
            limited.current_dir(repo.path()).env("RUNGATE_STATE_DIR", repo.state()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), code, "{limit}: {said}");
        assert_eq!(repo.path().join("out/started").exists(), code == Some(0), "{limit}: {said}");
    }
}

#[test]
fn every_attempt_begins_with_an_empty_home_whatever_the_last_one_did_to_it() {
    let repo = Repo::with_steps(
        "- {id: a, shell: sh, retry: {attempts: 3}, run: 'ls -A \"$HOME\" \"$TMPDIR\"; touch \"$HOME/left\" \"$TMPDIR/left\"; test -e out/once && { rm -r \"$HOME\"/*; test -e twice; } || { touch out/once; exit 1; }', sandbox: {write: [out]}}",
    );
    repo.write("twice", "");
    let (ran, record) = repo.record(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(step(&record, "a")["attempts"], 2);
    assert!(!repo.log("a").contains("left"), "{}", repo.log("a"));
}

#[test]
fn a_condition_sees_the_environment_of_every_level_but_no_secret() {
    let repo = Repo::new(
        "version: 1\nenv: {TOP: '1'}\ncommands:\n  c:\n    env: {MIDDLE: '2'}\n    secrets: [KEY]\n    steps:\n      \
         - {id: a, shell: sh, run: 'echo SET=3 >> \"$GITHUB_ENV\"'}\n      \
         - {id: b, shell: sh, if: \"env.TOP == '1' && env.MIDDLE == '2' && env.SET == '3'\", run: 'true'}\n      \
         - {id: c, shell: sh, if: \"env.K != ''\", env: {K: '${{ secrets.KEY }}'}, run: 'true'}\n",
    );
    let ran = repo.run_with(&["run", "c", "--format", "json"], &[("KEY", "hunter2hunter2")]);
    let record: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(step(&record, "b")["outcome"], "success");
    assert_eq!(step(&record, "c")["skip"], "condition");
}

/// PowerShell itself is not on every machine that runs these tests: a stand-in called `pwsh` says how it was called.
#[test]
fn powershell_gets_its_flags_wrapper_and_arguments_seen_by_a_stand_in() {
    use std::os::unix::fs::PermissionsExt as _;
    let repo = Repo::with_steps(
        "- {id: a, shell: pwsh, run: 'Write-Output hi', args: ['-Name', 'it''s $x', '']}\n- {id: b, script: tools/t.ps1}",
    );
    repo.write("tools/t.ps1", "exit 3\n");
    repo.write("bin/pwsh", "#!/bin/sh\nfor arg; do printf '<%s>' \"$arg\"; done; echo; for file in \"$@\"; do case $file in *.ps1) cat \"$file\"; esac; done\n");
    std::fs::set_permissions(repo.path().join("bin/pwsh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", repo.path().join("bin").display());
    let ran = repo.run_with(&["run", "c"], &[("PATH", &path)]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let log = repo.log("a");
    let (call, wrapper) = log.split_once('\n').unwrap();
    assert!(
        call.starts_with("<-NoProfile><-NonInteractive><-File></")
            && call.ends_with("/wrapper.ps1><-Name><it's $x><>"),
        "{call}"
    );
    let lines: Vec<&str> = wrapper.lines().collect();
    assert_eq!(lines[0], "$ErrorActionPreference = 'stop'");
    assert!(lines[1].starts_with(". '/") && lines[1].ends_with("/run.ps1' @args"), "{}", lines[1]);
    assert_eq!(lines[2], "if ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }");
    let script = repo.path().canonicalize().unwrap().join("tools/t.ps1");
    assert!(repo.log("b").contains(&format!(". '{}' @args", script.display())), "{}", repo.log("b"));
}

#[test]
fn an_output_that_would_be_an_option_of_a_later_step_is_refused_when_it_is_known() {
    let steps = |value: &str| {
        format!(
            "- {{id: a, shell: sh, run: 'echo v={value} >> \"$GITHUB_OUTPUT\"'}}\n\
             - {{id: b, shell: sh, run: 'touch out/started', sandbox: {{write: [out]}}, args: ['${{{{ steps.a.outputs.v }}}}']}}"
        )
    };
    let harmless = Repo::with_steps(&steps("x"));
    assert_eq!(harmless.record(&[]).0.code, Some(0));
    assert!(harmless.path().join("out/started").exists());
    let hostile = Repo::with_steps(&steps("--upload-pack=x"));
    let (ran, record) = hostile.record(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(step(&record, "b")["outcome"], "failure");
    assert!(step(&record, "b")["reason"].as_str().unwrap().contains("option"));
    assert!(!hostile.path().join("out/started").exists());
}
