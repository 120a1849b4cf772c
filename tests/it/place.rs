//! A place for `rungate sandbox exec`: a workspace with secrets, a host's files around it, and a user who runs it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Who runs the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// The superuser.
    Root,
    /// A user without any right: `nobody` where the tests run as root, else whoever runs them.
    Ordinary,
}

impl User {
    /// Whether the tests can run something as this user. Says so aloud when not.
    #[expect(clippy::print_stderr, reason = "a skip is said aloud")]
    pub(crate) fn is_possible(self) -> bool {
        let possible = self == Self::Ordinary || nix::unistd::geteuid().is_root();
        if !possible {
            assert!(!is_ci(), "these tests must run as root");
            eprintln!("skipped: only root can run a sandbox as root");
        }
        possible
    }

    /// A command that runs `program` as this user, with nothing but a PATH in its environment.
    #[expect(clippy::disallowed_methods, reason = "a test is outside of every sandbox")]
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = if self == Self::Ordinary && nix::unistd::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is skipped only where nobody relies on it")]
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Folders and files for one test, removed with it.
pub(crate) struct Place {
    root: tempfile::TempDir,
    pub(crate) user: User,
    pub(crate) tag: String,
}

impl Place {
    pub(crate) fn new(user: User) -> Self {
        let root = tempfile::Builder::new().prefix("rungate-it-").tempdir().unwrap();
        let tag = root.path().file_name().unwrap().to_str().unwrap().replace("rungate-it-", "");
        let place = Self { root, user, tag };
        let secret = format!("secret-{}", place.tag);
        for (path, text) in [
            ("work/.git/config", &*secret),
            ("work/.git/HEAD", "ref: refs/heads/main\n"),
            ("work/.rungate/record", &secret),
            ("work/source", "source\n"),
            ("work/out/.keep", ""),
            ("outside/secret", &secret),
            ("outside/victim", "victim\n"),
            ("outside/movable", &secret),
            ("outside/attributes", ""),
        ] {
            place.write(path, text.as_bytes());
        }
        symlink("../outside/secret", place.at("work/committed-link")).unwrap();
        // In a place that the user can reach, wherever the tests were built.
        copy(Path::new(env!("CARGO_BIN_EXE_rungate")), &place.at("rungate"));
        place.hand_over();
        if nix::unistd::geteuid().is_root() {
            let id = place.at("work/set-user-id");
            copy(Path::new("/usr/bin/id"), &id);
            fs::set_permissions(&id, fs::Permissions::from_mode(0o4755)).unwrap();
        }
        place
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
    }

    /// Gives everything to the user.
    pub(crate) fn hand_over(&self) {
        fs::set_permissions(self.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if self.user == User::Ordinary && nix::unistd::geteuid().is_root() {
            give(self.root.path());
        }
    }

    /// `rungate sandbox exec` with `options` and the program `argv`, in the workspace.
    pub(crate) fn exec(&self, options: &[&str], argv: &[&str]) -> Command {
        let mut command = self.user.command(self.at("rungate"));
        command.args(["sandbox", "exec"]).args(options).arg("--").args(argv);
        command.current_dir(self.at("work")).env("TOKEN", format!("secret-{}", self.tag));
        command.env("GITHUB_TOKEN", format!("secret-{}", self.tag)).stdin(Stdio::null());
        command
    }

    /// Runs it to its end: its code, its output and what it said.
    pub(crate) fn run(&self, options: &[&str], argv: &[&str]) -> (Option<i32>, String, String) {
        output(self.exec(options, argv))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only the battery has put one there.
        let _ = fs::remove_file(format!("/tmp/rungate-host-{}", self.tag));
    }
}

/// Runs `command` to its end, which must come within a minute.
pub(crate) fn output(mut command: Command) -> (Option<i32>, String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let readers = [reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap())];
    let code = wait(&mut child, Duration::from_secs(90)).unwrap().code();
    let [out, err] = readers.map(|reader| reader.join().unwrap());
    (code, out, err)
}

fn reader(mut from: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What a flood prints beyond this is read and dropped.
        from.by_ref().take(64 << 20).read_to_end(&mut bytes).unwrap();
        std::io::copy(&mut from, &mut std::io::sink()).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// How `child` ended, when it did in time. It is killed otherwise.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// Copies a program by another process: whoever this one starts meanwhile would inherit a descriptor that is open for
/// writing, and a program that somebody writes to cannot be started.
#[expect(clippy::disallowed_methods, reason = "a test is outside of every sandbox")]
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

fn give(path: &Path) {
    if path.is_symlink() {
        return;
    }
    chown(path, Some(65534), Some(65534)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

/// Processes whose command line or program holds `tag`, with their command lines.
pub(crate) fn processes_of(tag: &str) -> Vec<(i32, String)> {
    let numbers = fs::read_dir("/proc").unwrap();
    let pids = numbers.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let line = format!("{} {}", program.display(), String::from_utf8_lossy(&line).replace('\0', " "));
        line.contains(tag).then_some((pid, line))
    })
    .collect()
}

/// Waits until no process of `tag` is left: one that was killed takes a moment to be gone.
pub(crate) fn assert_nothing_is_left(tag: &str) {
    let start = Instant::now();
    loop {
        let left = processes_of(tag);
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "still alive: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether programs in `tier` are really confined. What is hostile must not be started otherwise.
pub(crate) fn assert_confined(place: &Place, tier: &str) {
    let (code, out, err) =
        place.run(&["--tier", tier], &["/bin/grep", "-E", "^(Seccomp|NoNewPrivs):", "/proc/self/status"]);
    assert_eq!((code, &*out), (Some(0), "NoNewPrivs:\t1\nSeccomp:\t2\n"), "not confined: {err}");
}

/// The neighbours of a sandbox, alive as long as this value.
pub(crate) struct Neighbours {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: BufReader<std::process::ChildStdout>,
    /// Where things are.
    pub(crate) facts: Value,
}

impl Neighbours {
    pub(crate) fn of(place: &Place) -> Self {
        place.write("host.py", include_bytes!("escapes/host.py"));
        place.hand_over();
        let mut command = place.user.command("/usr/bin/python3");
        command.arg(place.at("host.py")).arg(place.root.path()).arg(&place.tag);
        command.env("TOKEN", format!("secret-{}", place.tag));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = process.stdin.take();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let mut facts: Value = serde_json::from_str(&line).unwrap();
        facts["root"] = place.root.path().to_str().unwrap().into();
        facts["tag"] = place.tag.clone().into();
        facts["rungate"] = place.at("rungate").to_str().unwrap().into();
        Self { process, stdin, lines, facts }
    }

    /// Ends them, and returns whom they have heard of. They must have been alive.
    pub(crate) fn contacts(mut self) -> Vec<String> {
        let alive = self.process.try_wait().unwrap().is_none();
        assert!(alive, "the neighbours were killed");
        drop(self.stdin.take());
        let mut contacts = Vec::new();
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            contacts.push(line.trim().to_owned());
            line.clear();
        }
        self.process.wait().unwrap();
        contacts
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        // Already over in a test that passes.
        drop(self.stdin.take());
        if wait(&mut self.process, Duration::from_secs(2)).is_none() {
            let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGKILL);
        }
    }
}
