use crate::id::Sha256;
use crate::manifest::model::Shell;
use crate::manifest::read::Parsed;
use crate::plan::facts::{Facts, FileFact, Interpreter, MissingShell, PathProblem};
use crate::plan::make::{self, PlanError};
use crate::plan::model::{Plan, Text};
use crate::plan::questions::questions;
use crate::plan::tests::{command, good, only, read, said};
use crate::request::RunRequest;

fn plan_with(
    parsed: &Parsed,
    request: &RunRequest,
    change: impl FnOnce(&mut Facts),
) -> Result<Plan, PlanError> {
    let mut facts = good(&questions(&parsed.manifest, only(parsed)));
    change(&mut facts);
    make::plan(parsed, only(parsed), request, &facts)
}

/// The plan of the only command, where everything is well.
pub(super) fn planned(parsed: &Parsed) -> Plan {
    plan_with(parsed, &RunRequest::default(), |_| {}).unwrap_or_else(|error| panic!("{error:?}"))
}

/// What is said against the manifest.
fn complaints(parsed: &Parsed, request: &RunRequest, change: impl FnOnce(&mut Facts)) -> String {
    match plan_with(parsed, request, change) {
        Err(PlanError::Manifest(problems)) => said(&parsed.source, &problems),
        other => panic!("{other:?}"),
    }
}

fn inputs(pairs: &[(&str, &str)]) -> RunRequest {
    let inputs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    RunRequest { inputs, ..RunRequest::default() }
}

fn known(text: &str) -> Text {
    Text::Known(text.to_owned())
}

#[test]
fn what_is_known_is_put_in_and_the_rest_waits() {
    let parsed = read(
        "version: 1
env: {LEVEL: outer, WHO: '${{ github.ref_name }}'}
commands:
  c:
    inputs: {name: {default: Ada}}
    secrets: [KEY]
    env: {LEVEL: middle}
    steps:
      - id: a
        name: 'Greet ${{ inputs.name }} (${{ matrix.n }})'
        strategy: {matrix: {n: [1]}}
        run: echo
        args: ['--who=${{ inputs.name }}', '${{ env.LEVEL }}', 'plain']
        env: {LEVEL: inner, KEY: '${{ secrets.KEY }}', SUM: \"${{ hashFiles('*.py') }}\"}
",
    );
    let plan = planned(&parsed);
    let step = &plan.steps[0];
    assert_eq!(step.key.as_str(), "a (1)");
    assert_eq!(step.name, "Greet Ada (1)");
    let env: Vec<(&str, &Text)> = step.env.iter().map(|(name, text)| (name.as_str(), text)).collect();
    assert_eq!(env[0], ("LEVEL", &known("outer")));
    assert_eq!(env[1], ("WHO", &known("main")));
    assert_eq!(env[2], ("LEVEL", &known("middle")));
    assert_eq!(env[3], ("LEVEL", &known("inner")));
    assert!(matches!(env[4], ("KEY", Text::Later(_))));
    assert_eq!(env[5], ("SUM", &known("d1")));
    assert_eq!(step.args[0].text, known("--who=Ada"));
    assert!(matches!(step.args[1].text, Text::Later(_)));
    assert_eq!(step.args.iter().map(|arg| arg.refuse_dash).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(plan.secrets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["KEY"]);
    assert!(step.condition.and_success && step.condition.expr.is_none());
}

#[test]
fn defaults_are_those_of_the_manual() {
    let parsed = command(
        "timeout-minutes: 30\nsteps:\n- {id: a, run: x, timeout-minutes: 4}\n- {id: b, script: t.py}",
    );
    let plan = planned(&parsed);
    let [a, b] = &plan.steps[..] else { panic!() };
    let limits = a.sandbox.limits;
    assert_eq!((a.timeout.as_secs(), a.slow_after.as_secs(), limits.cpu.as_secs()), (240, 120, 480));
    assert_eq!(
        (limits.memory, limits.processes, limits.output, limits.grace.as_secs()),
        (2 << 30, 256, 64 << 20, 3)
    );
    assert_eq!((a.shell, b.shell), (Shell::Bash, Shell::Python));
    assert_eq!(plan.timeout.as_secs(), 1800);
    assert_eq!(plan.max_parallel, 4);
    assert_eq!(plan.gates.len(), 1);
    assert_eq!(plan.gates[0].id.as_str(), "findings");
    assert_eq!(plan.gates[0].needs.len(), 2);
    assert!(a.pass.iter().any(|name| name.as_str() == "PATH"));
    let dangerous = [
        "HOME",
        "GITHUB_TOKEN",
        "ACTIONS_RUNTIME_TOKEN",
        "GITHUB_ENV",
        "GITHUB_OUTPUT",
        "INPUT_X",
        "RUNGATE_TOKEN",
    ];
    assert!(!a.pass.iter().any(|name| dangerous.contains(&name.as_str())));
}

#[test]
fn sandbox_maps_merge_and_lists_replace() {
    let parsed = read(
        "version: 1
sandbox: {read: [/opt/a], env: [OUTER], limits: {memory: 1GiB, processes: 9}}
commands:
  c:
    sandbox: {network: host, limits: {memory: 3GiB}}
    steps:
      - {id: a, run: x, sandbox: {read: [/opt/b], write: [out], limits: {grace: 1s}}}
      - {id: b, run: x}
",
    );
    let plan = planned(&parsed);
    let sandbox = |index: usize| serde_json::to_string(&plan.steps[index].sandbox).unwrap();
    insta::assert_snapshot!(format!("{}\n{}", sandbox(0), sandbox(1)), @r#"
    {"require":["landlock"],"network":"host","ports":[],"read":["/opt/b"],"write":["out"],"unix_sockets":false,"limits":{"memory":3221225472,"processes":9,"cpu_seconds":1200.0,"scratch":1073741824,"output":67108864,"report":8589934592,"artifacts":1073741824,"artifact_files":10000,"grace_seconds":1.0}}
    {"require":["landlock"],"network":"host","ports":[],"read":["/opt/a"],"write":[],"unix_sockets":false,"limits":{"memory":3221225472,"processes":9,"cpu_seconds":1200.0,"scratch":1073741824,"output":67108864,"report":8589934592,"artifacts":1073741824,"artifact_files":10000,"grace_seconds":3.0}}
    "#);
    assert!(plan.steps[1].pass.iter().any(|name| name.as_str() == "OUTER"));
}

#[test]
fn a_script_that_cannot_be_run_is_said_once_for_all_legs() {
    let parsed = command(
        "steps:
- {id: a, script: new.sh, strategy: {matrix: {n: [1, 2, 3]}}}
- {id: b, script: link.sh, args: ['${{ fromJSON(inputs.x) }}']}
- {id: c, script: gone.sh, working-directory: nowhere}
- {id: d, script: folder.sh}
inputs: {x: {default: '{'}}",
    );
    let text = complaints(&parsed, &RunRequest::default(), |facts| {
        let mut set = |path: &str, fact: FileFact| facts.scripts.insert(path.parse().unwrap(), fact);
        set("new.sh", FileFact::Found { sha256: Sha256::of(b""), text: None, tracked: Some(false) });
        set("link.sh", FileFact::Problem(PathProblem::Symlink));
        set("gone.sh", FileFact::Problem(PathProblem::Missing));
        set("folder.sh", FileFact::Problem(PathProblem::WrongKind("a regular file")));
        facts.directories.insert("nowhere".parse().unwrap(), Err(PathProblem::Missing));
    });
    insta::assert_snapshot!(text, @r#"
    5:23 script: the script new.sh is not tracked by git [git add new.sh]
    6:44 expression: `fromJSON` was given a text that is not JSON: EOF while parsing an object at line 1 column 1
    6:23 script: the script link.sh is reached through a symbolic link
    7:51 working-directory: the working directory nowhere does not exist
    7:23 script: the script gone.sh does not exist [write its path from the repository's root, whatever `working-directory` is]
    8:23 script: the script folder.sh is not a regular file
    "#);
}

#[test]
fn secrets_matchers_and_paths_are_checked() {
    let parsed = command(
        "inputs: {dir: {default: ../out}}
secrets: [KEY]
steps:
- id: a
  run: x
  findings:
  - {parser: problem-matcher, matcher: m.json}
  - {parser: problem-matcher, matcher: n.json}
  - {parser: junit, from: '${{ inputs.dir }}/r.xml'}
concurrency: {group: '${{ github.head_ref }}'}",
    );
    let text = complaints(&parsed, &RunRequest::default(), |facts| {
        facts.secrets.clear();
        let fact = FileFact::Problem(PathProblem::Unusable("it has no `problemMatcher`".to_owned()));
        facts.matchers.insert("m.json".parse().unwrap(), fact);
        facts.matchers.insert("n.json".parse().unwrap(), FileFact::Problem(PathProblem::Missing));
    });
    insta::assert_snapshot!(text, @r#"
    5:15 secret-absent: the secret KEY has no value [set the environment variable KEY where rungate is called]
    10:44 matcher: the matcher file m.json is not usable: it has no `problemMatcher`
    11:44 matcher: the matcher file n.json does not exist
    12:31 path: "../out/r.xml" is not a path inside the workspace
    13:26 concurrency: the concurrency group is empty or longer than 400 bytes
    "#);
}

#[test]
fn a_value_never_chooses_an_option() {
    let parsed = |arg: &str| command(&format!("inputs: {{x: {{}}}}\nsteps: [{{run: x, args: ['{arg}']}}]"));
    let request = inputs(&[("x", "--help")]);
    for refused in [
        "${{ inputs.x }}",
        "${{ inputs.x }}=1",
        "--${{ inputs.x }}",
        "-${{ inputs.x }}",
        "${{ github.event.title }}",
    ] {
        let text = complaints(&parsed(refused), &request, |_| {});
        assert!(text.contains("argument-is-option"), "{refused}: {text}");
    }
    for fine in ["--x=${{ inputs.x }}", "-x${{ inputs.x }}", "./${{ inputs.x }}", "--verbose"] {
        assert!(plan_with(&parsed(fine), &request, |_| {}).is_ok(), "{fine}");
    }
    assert!(plan_with(&parsed("${{ inputs.x }}"), &inputs(&[("x", "a-b")]), |_| {}).is_ok());
}

#[test]
fn files_are_chosen_by_globs_and_by_what_changed() {
    let parsed = command(
        "steps:
- {id: all, run: x, files: ['**/*.py', '!src/**']}
- {id: changed, run: x, files: ['**/*.py'], changed-only: true}
- {id: nothing, run: x, files: ['docs/**'], changed-only: true}
- {id: plain, run: x}",
    );
    let plan = planned(&parsed);
    let files: Vec<Option<String>> =
        plan.steps.iter().map(|step| step.files.as_ref().map(|files| files.join(" "))).collect();
    assert_eq!(files, [Some("a.py".to_owned()), Some("src/b.py".to_owned()), Some(String::new()), None]);
    assert_eq!(
        plan.steps.iter().map(|step| step.nothing_changed).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    assert_eq!(plan.base, Some("b".repeat(40)));
}

#[test]
fn what_is_not_known_is_never_taken_for_nothing() {
    let usage = |result: Result<Plan, PlanError>| match result {
        Err(PlanError::Usage { message, help }) => format!("{message} [{help}]\n"),
        other => panic!("{other:?}"),
    };
    let changed = command("steps: [{run: x, files: ['*'], changed-only: true}]");
    let said = |change: fn(&mut Facts)| usage(plan_with(&changed, &RunRequest::default(), change));
    let text = [
        said(|facts| facts.changed = Some(Err("no base".to_owned()))),
        said(|facts| facts.changed = None),
        said(|facts| facts.head = Some(Err("no such commit".to_owned()))),
    ]
    .concat();
    insta::assert_snapshot!(text, @r#"
    it is not known what has changed: no base [check out the whole history (fetch-depth: 0), or name the base with --base]
    it is not known what has changed: nobody looked [check out the whole history (fetch-depth: 0), or name the base with --base]
    no such commit [name a commit by its full id, or one that is in this clone]
    "#);
    let all = command("steps: [{id: a, run: x, files: ['*'], env: {H: \"${{ hashFiles('*') }}\"}}]");
    let text = complaints(&all, &RunRequest::default(), |facts| {
        facts.files = Some(Err("git ls-files: it failed".to_owned()));
        facts.hashes.values_mut().for_each(|hash| *hash = Err("git ls-files: it failed".to_owned()));
    });
    insta::assert_snapshot!(text, @r#"
    3:3 hash-files: hashFiles(*) has no value: git ls-files: it failed
    4:36 files: the repository's files are not known: git ls-files: it failed
    "#);
}

#[test]
fn a_named_revision_needs_no_base() {
    let parsed = command("steps: [{run: x, files: ['*'], changed-only: true}]");
    let request = RunRequest { changed_since: Some("v1".to_owned()), ..RunRequest::default() };
    let plan = plan_with(&parsed, &request, |facts| facts.base = None).unwrap();
    assert_eq!(plan.base, None);
}

#[test]
fn missing_interpreters_are_the_hosts_fault_and_named_together() {
    let parsed = command(
        "steps:\n- {id: a, run: x, shell: pwsh}\n- {id: b, run: x, shell: python}\n- {id: c, run: x}",
    );
    let result = plan_with(&parsed, &RunRequest::default(), |facts| {
        for shell in [Shell::Pwsh, Shell::Python] {
            let missing = MissingShell {
                what: format!("{} is not installed", shell.as_str()),
                remedy: "install it".to_owned(),
            };
            facts.shells.insert(shell, Err(missing));
        }
    });
    let Err(PlanError::Host(problems)) = result else { panic!("{result:?}") };
    let what: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "pwsh is not installed, and the step a needs it",
            "python is not installed, and the step b needs it"
        ]
    );
}

#[test]
fn one_run_has_a_bounded_number_of_executions() {
    let list: Vec<String> = (0..256).map(|n| n.to_string()).collect();
    let step =
        |id: &str| format!("- {{id: {id}, run: x, strategy: {{matrix: {{n: [{}]}}}}}}\n", list.join(", "));
    let four = ["a", "b", "c", "d"].map(step).concat();
    assert_eq!(planned(&command(&format!("steps:\n{four}"))).steps.len(), 1024);
    let text =
        complaints(&command(&format!("steps:\n{four}- {{id: e, run: x}}")), &RunRequest::default(), |_| {});
    assert!(text.contains("more than 1024 executions"), "{text}");
}

#[test]
fn the_fingerprint_is_the_decisions_and_not_the_host() {
    let parsed =
        command("inputs: {x: {default: a}}\nsteps: [{id: a, run: 'echo 1', args: ['v=${{ inputs.x }}']}]");
    let of = |parsed: &Parsed, request: &RunRequest, change: fn(&mut Facts)| {
        plan_with(parsed, request, change).unwrap().fingerprint
    };
    let plain = of(&parsed, &RunRequest::default(), |_| {});
    let elsewhere = of(&parsed, &RunRequest::default(), |facts| {
        facts.cpus = 64;
        facts.notes.push("a note".to_owned());
        facts.working_tree = Some("c".repeat(40));
        let elsewhere = Interpreter { program: "/opt/bash".into(), prefixes: vec!["/opt".into()] };
        facts.shells.values_mut().for_each(|shell| *shell = Ok(elsewhere.clone()));
    });
    assert_eq!(plain, elsewhere);
    let different = [
        of(&parsed, &inputs(&[("x", "b")]), |_| {}),
        of(&parsed, &RunRequest::default(), |facts| facts.head = Some(Ok("d".repeat(40)))),
        of(
            &command(
                "inputs: {x: {default: a}}\nsteps: [{id: a, run: 'echo 2', args: ['v=${{ inputs.x }}']}]",
            ),
            &RunRequest::default(),
            |_| {},
        ),
    ];
    for (index, other) in different.iter().enumerate() {
        assert_ne!(plain, *other, "{index}");
    }
}

#[test]
fn a_script_pins_its_digest_in_the_fingerprint() {
    let parsed = command("steps: [{script: a.sh}]");
    let of = |body: &'static [u8]| {
        let change = |facts: &mut Facts| {
            let fact = FileFact::Found { sha256: Sha256::of(body), text: None, tracked: Some(true) };
            facts.scripts.insert("a.sh".parse().unwrap(), fact);
        };
        plan_with(&parsed, &RunRequest::default(), change).unwrap().fingerprint
    };
    assert_ne!(of(b"1"), of(b"2"));
    assert_eq!(of(b"1"), of(b"1"));
}

#[test]
fn the_working_tree_and_the_facts_own_notes_are_told() {
    let parsed = command("steps: [{run: x}]");
    let plan = plan_with(&parsed, &RunRequest::default(), |facts| {
        facts.notes.push("the event cannot be read".to_owned());
        facts.working_tree = Some("c".repeat(40));
    });
    let notes = plan.unwrap().notes;
    assert_eq!(notes[0], "the event cannot be read");
    assert!(notes[1].starts_with("the working tree is at ccc"));
}

#[test]
fn an_unknown_command_names_the_nearest() {
    let parsed = command("steps: [{run: x}]");
    let unknown = make::command(&parsed.manifest, "C").unwrap_err();
    assert_eq!((unknown.nearest.as_deref(), unknown.known.as_slice()), (Some("c"), &["c".to_owned()][..]));
    assert!(make::command(&parsed.manifest, "c").is_ok());
}
