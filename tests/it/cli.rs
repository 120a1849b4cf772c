//! The command line as people and workflows meet it: what is refused, with which words, and with which code.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::context::{Ran, Repo};

/// A command `c` whose steps are `list`.
fn steps(list: &str) -> String {
    format!("version: 1\ncommands:\n  c:\n    steps:\n{list}")
}

/// A command `c` with `keys` and one step that leaves a trace when it is started.
fn with(keys: &str) -> String {
    format!("version: 1\ncommands:\n  c:\n{keys}    steps:\n      - {{run: 'touch started'}}\n")
}

/// A valid manifest.
fn good() -> String {
    with("")
}

/// A workspace that holds something of every kind that a script can be.
fn workspace() -> Repo {
    let repo = Repo::new(&good());
    repo.write("tools/check.sh", "touch started\n");
    repo.write("notes.json", "{\"problemMatcher\": 3}");
    repo.write(
        "regex.json",
        r#"{"problemMatcher": [{"owner": "x", "pattern": [{"regexp": "a(b", "message": 1}]}]}"#,
    );
    symlink("tools/check.sh", repo.path().join("link.sh")).unwrap();
    symlink("tools", repo.path().join("linked")).unwrap();
    repo.commit();
    repo.write("untracked.sh", "touch started\n");
    repo
}

/// What is wrong, the manifest, the rule that says so, and the place.
type Mistake = (&'static str, Vec<u8>, &'static str, &'static str);

#[rustfmt::skip]
fn mistakes() -> Vec<Mistake> {
    let text = |what, manifest: String, rule, place| (what, manifest.into_bytes(), rule, place);
    let id = "a".repeat(65);
    let mut bomb = "version: 1\nx-a: &a [1,2,3,4,5,6,7,8,9]\n".to_owned();
    for (this, last) in ('b'..='i').zip('a'..) {
        let aliases = vec![format!("*{last}"); 9].join(",");
        bomb = bomb + "x-" + &format!("{this}: &{this} [{aliases}]\n");
    }
    vec![
        // The file.
        text("empty", String::new(), "empty-document", "1:1"),
        text("256 KiB and more", good() + "# " + &"x".repeat(262_144), "too-large", "1:1"),
        ("Latin-1", [good().as_bytes(), b"# caf\xe9\n"].concat(), "not-utf-8", "6:6"),
        ("UTF-16", b"\xff\xfev\0e\0".to_vec(), "not-utf-8", "1:1"),
        text("a NUL", good() + "    name: \"a\0b\"\n", "control-character", "6:13"),
        text("a tab", "version: 1\ncommands:\n  c:\n    steps:\n\t- run: x\n".to_owned(), "tab", "5:1"),
        text("several documents", good() + "---\nversion: 1\n", "several-documents", "6:1"),
        text("a tag", steps("      - run: !!str x\n"), "tag", "5:14"),
        text("a tag of its own", "version: !one 1\n".to_owned(), "tag", "1:10"),
        text("a merge key", "x-a: &a {shell: sh}\n".to_owned() + &steps("      - {<<: *a, run: x}\n"), "merge-key", "6:10"),
        text("deep nesting", format!("x-a: {}{}\n{}", "[".repeat(40), "]".repeat(40), good()), "too-deep", "1:39"),
        text("an alias bomb", bomb + &good(), "too-large", "2:22"),
        text("an alias of nothing", steps("      - {run: x, files: [*.py]}\n"), "yaml-syntax", "5:26"),
        text("an open bracket", "version: 1\ncommands: [\n".to_owned(), "yaml-syntax", "2:11"),
        // Keys and values.
        text("no version", "commands: {}\n".to_owned(), "missing-key", "1:1"),
        text("another version", good().replace("version: 1", "version: 2"), "unknown-version", "1:10"),
        text("an unknown key", steps("      - {run: x, timout-minutes: 3}\n"), "unknown-key", "5:18"),
        text("a key twice", steps("      - {run: x, run: y}\n"), "duplicate-key", "5:18"),
        text("two commands of one name", good() + "  c:\n    steps: [{run: x}]\n", "duplicate-key", "6:3"),
        text("a number in quotes", steps("      - {run: x, timeout-minutes: '3'}\n"), "wrong-type", "5:35"),
        text("a list from a word", steps("      - {run: x, args: --quiet}\n"), "wrong-type", "5:24"),
        text("a limit of zero", steps("      - {run: x, timeout-minutes: 0}\n"), "out-of-range", "5:35"),
        text("a negative limit", steps("      - {run: x, timeout-minutes: -1}\n"), "out-of-range", "5:35"),
        text("no memory", steps("      - {run: x, sandbox: {limits: {memory: 0}}}\n"), "out-of-range", "5:45"),
        text("a long id", steps(&format!("      - {{id: {id}, run: x}}\n")), "invalid-name", "5:14"),
        text("a long command", good().replace("  c:", &format!("  {id}:")), "invalid-name", "3:3"),
        text("a variable of ours", steps("      - {run: x, env: {GITHUB_TOKEN: x}}\n"), "reserved-name", "5:24"),
        text("a later field", with("    phrases: [go now]\n"), "not-available", "4:15"),
        // Steps among each other.
        text("a cycle", steps("      - {id: a, needs: [b], run: x}\n      - {id: b, needs: [a], run: x}\n"), "cycle", "6:25"),
        text("an unknown need", steps("      - {id: build, run: x}\n      - {id: b, needs: [biuld], run: x}\n"), "unknown-step", "6:25"),
        // Scripts.
        text("no such script", steps("      - script: nope.sh\n"), "script", "5:17"),
        text("a script outside", steps("      - script: ../x.sh\n"), "invalid-path", "5:17"),
        text("an absolute script", steps("      - script: /bin/true\n"), "invalid-path", "5:17"),
        text("a linked script", steps("      - script: link.sh\n"), "script", "5:17"),
        text("a script in a linked folder", steps("      - script: linked/check.sh\n"), "script", "5:17"),
        text("an untracked script", steps("      - script: untracked.sh\n"), "script", "5:17"),
        text("a folder as script", steps("      - script: tools\n"), "script", "5:17"),
        text("a file of git as script", steps("      - script: .git/config\n"), "script", "5:17"),
        text("no such working directory", steps("      - {run: x, working-directory: nope}\n"), "working-directory", "5:37"),
        text("no such matcher", steps("      - {run: x, findings: [{parser: problem-matcher, matcher: nope.json}]}\n"), "matcher", "5:64"),
        text("a matcher that is none", steps("      - {run: x, findings: [{parser: problem-matcher, matcher: notes.json}]}\n"), "matcher", "5:64"),
        text("a matcher with a bad regex", steps("      - {run: x, findings: [{parser: problem-matcher, matcher: regex.json}]}\n"), "matcher", "5:64"),
        // Expressions.
        text("an expression in run", steps("      - run: 'echo ${{ inputs.x }}'\n"), "expression-in-run", "5:20"),
        text("an unknown context", steps("      - {run: x, env: {A: '${{ input.x }}'}}\n"), "unknown-context", "5:32"),
        text("a context of Actions", steps("      - {run: x, env: {A: '${{ needs.x }}'}}\n"), "unknown-context", "5:32"),
        text("an unknown function", steps("      - {run: x, if: sucess()}\n"), "unknown-function", "5:22"),
        text("an unknown property", steps("      - {run: x, env: {A: '${{ github.shaa }}'}}\n"), "unknown-property", "5:39"),
        text("an event in a condition", steps("      - {run: x, if: github.event.action}\n"), "event-not-allowed", "5:22"),
        text("a secret in a condition", steps("      - {run: x, if: secrets.K}\n"), "context-not-allowed", "5:22"),
        text("a broken expression", steps("      - {run: x, if: 1 === 1}\n"), "expression-syntax", "5:26"),
        // Inputs and secrets.
        text("a bad regex", with("    inputs: {x: {pattern: 'a(b'}}\n"), "invalid-regex", "4:29"),
        text("two inputs of one name", with("    inputs: {a-b: {}, a_b: {}}\n"), "duplicate-input", "4:23"),
        text("an absent secret", with("    secrets: [KEY]\n"), "secret-absent", "4:15"),
    ]
}

#[test]
fn a_manifest_with_a_mistake_starts_nothing_and_is_shown_where_it_is_wrong() {
    let repo = workspace();
    let manifest = repo.path().join(".github/rungate.yml");
    for (what, text, rule, place) in mistakes() {
        std::fs::write(&manifest, &text).unwrap();
        let started = Instant::now();
        let ran = repo.run(&["run", "c"]);
        let took = started.elapsed();
        assert_eq!(ran.code, Some(2), "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("error[{rule}]: ")), "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("--> .github/rungate.yml:{place}\n")), "{what}: {}", ran.stderr);
        let line = place.split(':').next().unwrap();
        let shown = ran.stderr.lines().find(|shown| shown.starts_with(&format!("{line} |")));
        let source = String::from_utf8_lossy(&text).into_owned();
        let source = source.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap_or_default().to_owned();
        let word = source.split_whitespace().next().unwrap_or_default().chars().take(4).collect::<String>();
        let plain = word.chars().all(|c| c.is_ascii_graphic());
        assert!(shown.is_some_and(|shown| !plain || shown.contains(&word)), "{what}: {}", ran.stderr);
        assert!(ran.stderr.lines().any(|line| line.contains('^')), "{what}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{what}");
        assert!(!repo.path().join("started").exists() && !repo.path().join(".rungate").exists(), "{what}");
        // A second is the promise; a machine that is busy with other tests gets more.
        assert!(took < Duration::from_secs(10), "{what} took {took:?}");
    }
    let writing = good().replace("'touch started'", "'touch out/started', sandbox: {write: [out]}");
    std::fs::write(&manifest, writing).unwrap();
    assert_eq!(repo.run(&["run", "c"]).code, Some(0), "the same without a mistake");
    assert!(repo.path().join("out/started").exists(), "a step that is started is seen");
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_with_the_nearest_word() {
    let repo =
        Repo::new(&steps("      - {id: build, runn: x, shell: bsh}\n      - {run: x, needs: [biuld]}\n"));
    for verb in [&["validate"][..], &["run", "c"], &["plan", "c"], &["list"]] {
        let ran = repo.run(verb);
        assert_eq!(ran.code, Some(2));
        for word in ["write `run`", "write `bash`", "write `build`", ".github/rungate.yml has 3 errors"] {
            assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
        }
    }
    let ran = repo.run(&["validate", "--format", "json"]);
    assert_eq!(ran.code, Some(2));
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["valid"], false);
    let rules: Vec<&str> =
        told["diagnostics"].as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["unknown-key", "unknown-word", "unknown-step"]);
    assert_eq!(told["diagnostics"][0]["line"], 5);
    assert_eq!(told["diagnostics"][0]["column"], 21);
}

#[test]
fn what_is_typed_wrongly_is_named_and_ends_with_two() {
    let repo = Repo::new(&with("    inputs:\n      day: {type: choice, options: [mon, tue]}\n"));
    let env = [
        ("LIST", "[1]"),
        ("TWICE", "{\"day\": \"mon\", \"day\": \"tue\"}"),
        ("BROKEN", "{\"day\""),
        ("OTHER", "{\"dya\": 1}"),
    ];
    let cases: [(&[&str], &[&str]); 17] = [
        (&[], &["Usage: rungate"]),
        (&["nosuch"], &["nosuch", "--help"]),
        (&["vaildate"], &["validate"]),
        (&["--nosuch"], &["--nosuch"]),
        (&["run"], &["<COMMAND>"]),
        (&["run", "c", "--format", "xml"], &["xml", "human, json, jsonl"]),
        (&["run", "d"], &["no command \"d\"", "the manifest has: c"]),
        (&["run", "c", "-i", "novalue"], &["\"novalue\" is not NAME=VALUE"]),
        (&["run", "c", "-i", "dya=mon"], &["no input \"dya\"", "`day`"]),
        (&["run", "c", "-i", "day=wed"], &["\"wed\"", "`mon`, `tue`"]),
        (&["run", "c", "-i", "day=mon", "-i", "day=tue"], &["day", "twice"]),
        (&["run", "c", "--inputs-json-env", "UNSET"], &["\"UNSET\"", "not set"]),
        (&["run", "c", "--inputs-json-env", "LIST"], &["not a JSON object"]),
        (&["run", "c", "--inputs-json-env", "TWICE"], &["\"day\" is given twice"]),
        (&["run", "c", "--inputs-json-env", "BROKEN"], &["not a JSON object"]),
        (&["run", "c", "--inputs-json-env", "OTHER"], &["no input \"dya\"", "`day`"]),
        (&["findings", "parse", "--parser", "nosuch"], &["\"nosuch\"", "problem-matcher"]),
    ];
    for (args, words) in cases {
        let ran = repo.run_with(args, &env);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{args:?} does not say {word:?}: {}", ran.stderr);
        }
    }
    assert!(!repo.path().join(".rungate").exists() && !repo.path().join("started").exists());
}

#[test]
fn places_that_are_none_are_named_and_end_with_two() {
    let repo = Repo::new(&good());
    repo.write("used/file", "");
    let missing = repo.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (args, words) in [
        (&["list", "--manifest", missing][..], &["failed to read the manifest", "--manifest"][..]),
        (&["list", "--manifest", "."], &["not a regular file"]),
        (&["list", "--manifest", "/dev/zero"], &["not a regular file"]),
        (&["list", "--workspace", missing], &["is not a folder", "--workspace"]),
        (&["list", "--workspace", ".github/rungate.yml"], &["is not a folder"]),
        (&["run", "c", "--out", "used"], &["used is not empty", "new or empty"]),
    ] {
        let ran = repo.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{args:?} does not say {word:?}: {}", ran.stderr);
        }
    }
    assert!(!repo.path().join("started").exists());
}

#[test]
fn who_stands_in_the_wrong_folder_is_told_where_the_manifest_is() {
    let repo = Repo::new(&good());
    repo.write("src/deep/file", "");
    let folder = repo.path().join("src/deep");
    let ran = Ran::from(repo.program(&["list"]).current_dir(&folder).output().unwrap());
    assert_eq!(ran.code, Some(2));
    let there = format!("--workspace {}", repo.path().canonicalize().unwrap().display());
    assert!(ran.stderr.contains(&there), "{}", ran.stderr);
    std::fs::remove_dir_all(repo.path().join(".github")).unwrap();
    let ran = repo.run(&["run", "c"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("rungate init"), "{}", ran.stderr);
}

#[test]
fn a_revision_that_is_named_has_to_be_there_although_no_step_asks_for_it() {
    let repo = Repo::new(&good().replace("touch started", "true"));
    repo.commit();
    for named in ["--changed-since", "--base"] {
        let ran = repo.run(&["run", "c", named, "nosuch"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains("\"nosuch\" is not in this clone"), "{}", ran.stderr);
        assert_eq!(repo.run(&["run", "c", named, "HEAD"]).code, Some(0), "{named}");
    }
}

#[test]
fn a_script_that_is_not_what_runs_it_is_told_before_it_runs() {
    let repo = Repo::new(&steps("      - {script: s.sh}\n      - {script: x.rb}\n      - {script: p.py}\n"));
    repo.write("s.sh", "#!/bin/sh\r\ntrue\r\n");
    repo.write("x.rb", "#!/usr/bin/env ruby\nputs 1\n");
    repo.write("p.py", "#!/usr/bin/env python3\r\nprint(1)\r\n");
    let ran = repo.run(&["plan", "c"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("the script s.sh has the line ends of Windows"), "{}", ran.stdout);
    assert!(ran.stdout.contains("begins with `#!/usr/bin/env ruby`, and bash runs it"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("p.py has"), "{}", ran.stdout);
}

#[test]
fn nothing_that_was_typed_or_read_moves_the_cursor() {
    let evil = "x\u{1b}[2J\u{9b}31m\r\n::error::forged\u{202e}";
    let repo = Repo::new(&format!(
        "version: 1\ncommands:\n  c:\n    name: {0}\n    description: {0}\n    steps: [{{name: {0}, run: {0}}}]\n",
        serde_json::to_string(evil).unwrap()
    ));
    let equal = format!("{evil}=1");
    for args in [
        &[evil][..],
        &["run", evil],
        &["run", "c", "-i", evil],
        &["run", "c", "-i", &equal],
        &["run", "c", "--inputs-json-env", evil],
        &["run", "c", "--format", evil],
        &["run", "c", "--out", "/proc/\u{1b}[2J"],
        &["list", "--manifest", evil],
        &["list", "--workspace", evil],
        &["findings", "parse", "--parser", evil],
        &["findings", "parse", "--parser", "workflow-commands", evil],
        &["list"],
        &["plan", "c"],
        &["validate"],
    ] {
        for env in [&[][..], &[("GITHUB_ACTIONS", "true")]] {
            let Ran { stdout, stderr, .. } = repo.run_with(args, env);
            let said = stdout + &stderr;
            assert!(!said.is_empty(), "{args:?}");
            assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']), "{args:?}: {said:?}");
            if !env.is_empty() {
                let forged = said.lines().any(|line| line.starts_with("::error::forged"));
                assert!(!forged, "{args:?}: {said:?}");
            }
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_device_is() {
    let repo = Repo::new(&good().replace("touch started", "true"));
    for args in [
        &["list"][..],
        &["validate"],
        &["plan", "c"],
        &["plan", "c", "--format", "json"],
        &["schema", "manifest"],
        &["--help"],
        &["run", "c"],
        &["run", "c", "--format", "jsonl"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = repo.program(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("panic"), "{args:?}: {stderr}");

        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = repo.program(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        // A run has been judged when its result cannot be shown; before that nothing has.
        let code = if args[0] == "run" { 5 } else { 4 };
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains("standard output could not be written"), "{args:?}: {stderr}");
        assert!(stderr.contains("help: "), "{args:?}: {stderr}");
    }
}

#[test]
fn colours_and_marks_follow_the_environment() {
    let repo = Repo::with_steps("- {id: a, shell: sh, run: 'true'}");
    let said = |env: &[(&str, &str)]| {
        let ran = repo.run_with(&["run", "c"], env);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout + &ran.stderr
    };
    let plain = said(&[]);
    assert!(!plain.contains('\u{1b}') && plain.contains('✓'), "{plain}");
    assert!(said(&[("CLICOLOR_FORCE", "1")]).contains("\u{1b}[32m"));
    assert!(!said(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
    assert!(said(&[("LANG", "C")]).is_ascii());
    assert!(said(&[("LANG", "C.UTF-8"), ("LC_ALL", "C")]).is_ascii());
}

#[test]
fn under_actions_a_mistake_is_an_annotation_and_nothing_else_is_a_command() {
    let repo = Repo::new(&steps("      - {run: x, \"::error::a,b##[x\": 1}\n"));
    let ran = repo.run_with(&["run", "c"], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!(ran.code, Some(2));
    let commands: Vec<&str> = ran.stderr.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    assert_eq!(
        commands,
        [
            "::error file=.github/rungate.yml,line=5,col=18,title=unknown-key::`::error::a,b## [x` is not a key of a step"
        ]
    );
    assert!(!ran.stderr.contains("##["), "{}", ran.stderr);

    let repo = Repo::with_steps(
        "- {id: a, shell: sh, run: 'echo \"::error::##[x\"; echo \"  ::add-mask::y\"; echo \"z ##[group]\"; exit 1'}",
    );
    let ran = repo.run_with(&["run", "c", "--format", "json"], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!(ran.code, Some(1));
    let commands: Vec<&str> = ran.stderr.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    assert_eq!(commands, ["::group::a", "::endgroup::"]);
    assert!(!(ran.stdout.clone() + &ran.stderr).contains("##["), "{}{}", ran.stdout, ran.stderr);
    assert!(serde_json::from_str::<Value>(&ran.stdout).is_ok());
}

#[test]
fn changed_only_without_a_base_says_how_to_get_one() {
    let repo = Repo::new(&steps("      - {run: 'touch started', files: ['**'], changed-only: true}\n"));
    let ran = repo.run(&["run", "c"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("fetch-depth: 0") && ran.stderr.contains("--base"), "{}", ran.stderr);
    repo.commit();
    let ran = repo.run(&["run", "c", "--base", "nosuch"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("\"nosuch\"") && ran.stderr.contains("fetch-depth: 0"), "{}", ran.stderr);
    assert!(!repo.path().join("started").exists());
}

#[test]
fn the_sandbox_is_asked_for_and_refused() {
    let repo = Repo::new(&good());
    let ran = repo.run_with(&["run", "c", "--sandbox", "off"], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let ran = repo.run_with(&["run", "c"], &[("RUNGATE_POLICY", "/nonexistent")]);
    assert_eq!(ran.code, Some(3), "a policy that cannot be read is not passed over: {}", ran.stderr);
    assert!(!repo.path().join("started").exists());
}

#[test]
fn the_fingerprint_is_that_of_the_work_and_not_of_the_place() {
    let manifest = with("    inputs: {day: {default: mon}}\n") + "      - {script: tools/check.sh}\n";
    let fingerprint = |repo: &Repo, args: &[&str], env: &[(&str, &str)]| {
        let args = [&["plan", "c", "--format", "json"], args].concat();
        let ran = repo.run_with(&args, env);
        let plan: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
        plan["fingerprint"].as_str().unwrap().to_owned()
    };
    let make = |script: &str, manifest: &str| {
        let repo = Repo::new(manifest);
        repo.write("tools/check.sh", script);
        repo
    };
    let (here, there) = (make("true\n", &manifest), make("true\n", &manifest));
    let first = fingerprint(&here, &[], &[]);
    assert_eq!(fingerprint(&here, &[], &[]), first);
    assert_eq!(fingerprint(&there, &[], &[]), first);
    let program = here.program(&[]);
    let found = program.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value?.to_str());
    let path = format!("{}:/opt", found.unwrap());
    let tmp = there.state().to_str().unwrap().to_owned();
    assert_eq!(fingerprint(&here, &[], &[("TMPDIR", &tmp), ("PATH", &path), ("HOME", &tmp)]), first);
    let others = [
        fingerprint(&here, &["-i", "day=tue"], &[]),
        fingerprint(&make("false\n", &manifest), &[], &[]),
        fingerprint(&make("true\n", &(manifest.clone() + "      - {run: 'true'}\n")), &[], &[]),
    ];
    for (at, other) in others.iter().enumerate() {
        assert_ne!(*other, first, "change {at}");
        assert!(!others[..at].contains(other), "change {at}");
    }
}

#[test]
fn a_report_is_read_from_everywhere_and_refused_as_a_whole() {
    let repo = Repo::new(&good());
    repo.write("log", "::error file=a.c,line=3::no such column\n::warning::odd\n");
    repo.write("empty", "");
    let parse =
        |args: &[&str]| repo.run(&[&["findings", "parse", "--parser", "workflow-commands"], args].concat());
    let ran = parse(&["log"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2), "{}", ran.stderr);
    let first: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!([&first["level"], &first["path"], &first["message"]], ["failure", "a.c", "no such column"]);
    let json: Value = serde_json::from_str(&parse(&["log", "--format", "json"]).stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    let sarif: Value = serde_json::from_str(&parse(&["log", "--format", "sarif"]).stdout).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 2);
    for (format, nothing) in [("json", "[]\n"), ("jsonl", "")] {
        assert_eq!(parse(&["empty", "--format", format]).stdout, nothing);
    }
    for file in ["-", "log"] {
        let mut program = repo.program(&["findings", "parse", "--parser", "workflow-commands", file]);
        let output = program.stdin(File::open(repo.path().join("log")).unwrap()).output().unwrap();
        assert_eq!(Ran::from(output).stdout.lines().count(), 2, "{file}");
    }
    for (args, word) in [
        (&["missing"][..], "missing"),
        (&[".github"], "is a folder"),
        (&["log", "--matcher", "x"], "--matcher"),
    ] {
        let ran = parse(args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
    }
    let ran = repo.run(&["findings", "parse", "--parser", "junit", "log"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("this is not XML"), "{}", ran.stderr);
}

#[test]
fn every_help_page_fits_eighty_columns_and_has_an_example() {
    let repo = Repo::new(&good());
    for verb in [&[][..], &["run"], &["plan"], &["validate"], &["list"], &["findings", "parse"], &["schema"]]
    {
        let ran = repo.run(&[verb, &["--help"]].concat());
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("Example") && ran.stdout.contains("rungate "), "{}", ran.stdout);
        let long: Vec<&str> = ran.stdout.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{verb:?}: {long:?}");
    }
}
