//! A workspace of its own, an environment of its own, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A repository in a temporary folder.
pub(crate) struct Repo {
    folder: tempfile::TempDir,
    state: tempfile::TempDir,
}

/// What a run of the program gave.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Repo {
    /// A workspace without git whose manifest is `manifest`.
    pub(crate) fn new(manifest: &str) -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() };
        repo.write(".github/rungate.yml", manifest);
        repo
    }

    /// A workspace with one command `c` that has these steps.
    pub(crate) fn with_steps(steps: &str) -> Self {
        let indented = steps.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n");
        Self::new(&format!("version: 1\ncommands:\n  c:\n    steps:\n{indented}\n"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Makes the workspace a git repository and commits everything in it.
    pub(crate) fn commit(&self) {
        for args in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-q", "-m", "x"]] {
            let mut git = command("git");
            git.args([
                "-c",
                "user.name=T",
                "-c",
                "user.email=t@example.com",
                "-c",
                "core.hooksPath=/dev/null",
            ]);
            let output = git.args(args).current_dir(self.path()).output().unwrap();
            assert!(output.status.success(), "git {args:?}: {output:?}");
        }
    }

    /// The program in this workspace, with nothing of the caller's environment but what finds programs.
    pub(crate) fn program(&self, args: &[&str]) -> Command {
        let mut program = command(env!("CARGO_BIN_EXE_rungate"));
        program.args(args).current_dir(self.path()).stdin(Stdio::null());
        program.env("RUNGATE_STATE_DIR", self.state());
        program
    }

    /// Runs the program with `args`.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.program(args).output().unwrap())
    }

    /// Runs the program with `args` and further variables.
    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        Ran::from(self.program(args).envs(env.iter().copied()).output().unwrap())
    }

    /// Runs the command `c`, and returns what the program gave and the record.
    pub(crate) fn record(&self, args: &[&str]) -> (Ran, Value) {
        let mut all = vec!["run", "c", "--format", "json"];
        all.extend(args);
        let ran = self.run(&all);
        let record = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout: {}\nstderr: {}", ran.stdout, ran.stderr));
        (ran, record)
    }

    /// The folder of the only run so far.
    pub(crate) fn run_folder(&self) -> PathBuf {
        let runs: Vec<PathBuf> = std::fs::read_dir(self.path().join(".rungate/runs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// The log of a step of the only run so far.
    pub(crate) fn log(&self, step: &str) -> String {
        let path = self.run_folder().join("steps").join(step).join("output.log");
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A program under an environment made from nothing.
#[expect(clippy::disallowed_methods, reason = "tests start the program from outside, as its users do")]
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("LANG", "C.UTF-8").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

/// A variable of whoever runs the tests.
#[expect(clippy::disallowed_methods, reason = "tests look at what they are started with")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The variables of whoever runs the tests whose names begin with `start`.
#[expect(clippy::disallowed_methods, reason = "tests look at what they are started with")]
pub(crate) fn variables(start: &str) -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with(start)).collect()
}

/// Where programs are found.
pub(crate) fn path() -> String {
    variable("PATH").unwrap()
}

/// Whether a process is there, and no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

/// Waits for `condition`, at most ten seconds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{what} did not happen");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
