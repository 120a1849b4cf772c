//! Children against the real kernel: what reaches them, what is left of them, and who dies with whom.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rungate::sandbox::child::Child;
use rungate::sandbox::confinement::View;
use rungate::sandbox::init::Order;
use rungate::sandbox::launch::Launch;
use rungate::sandbox::probe::Question;
use rungate::sandbox::processes;
use rungate::sandbox::spawn::Sandbox;
use rungate::sandbox::status::{Call, FRAME, SetupError, Status};
use rungate::sandbox::usage::{Exceeded, Watchdog, below};

fn sandbox() -> Sandbox {
    Sandbox::with_helper(env!("CARGO_BIN_EXE_rungate").into())
}

fn sh(script: &str) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
        confinement: None,
        private: Vec::new(),
    }
}

/// Everything that the child said, after its end.
fn collect(mut child: Child) -> (Vec<Status>, String) {
    let mut frames = Vec::new();
    File::from(child.status.try_clone().unwrap()).read_to_end(&mut frames).unwrap();
    let mut out = String::new();
    File::from(child.stdout.try_clone().unwrap()).read_to_string(&mut out).unwrap();
    child.reap();
    let statuses = frames.chunks_exact(FRAME).map(|frame| Status::decode(frame.try_into().unwrap()).unwrap());
    (statuses.collect(), out)
}

fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The number that a script wrote to `file`, when it is there.
fn pid_in(file: &Path) -> i32 {
    let mut pid = None;
    wait_until("the pid file", || {
        pid = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// A question that needs to see nothing.
fn question<'a>(program: &'a Path, args: &'a [OsString], limit: usize) -> Question<'a> {
    Question { program, args, env: &[], cwd: Path::new("/"), view: View::default(), limit }
}

#[test]
fn arguments_environment_and_folder_arrive_byte_for_byte() {
    let mut launch =
        sh(r#"printf '%s|' "$0" "$@"; printf '%s|' "$X"; pwd; env | cut -d= -f1 | sort | tr '\n' ' '"#);
    launch.args.extend(["zero", "$(touch x)", "-n", "", "a\nb"].map(OsString::from));
    launch.env.push(("X".into(), "\u{1b}[31m`id`".into()));
    launch.cwd = "/tmp".into();
    let (statuses, out) = collect(sandbox().spawn(&launch).unwrap());
    assert_eq!(out, "zero|$(touch x)|-n||a\nb|\u{1b}[31m`id`|/tmp\nPATH PWD X ");
    assert!(matches!(
        statuses[..],
        [Status::Started { .. }, Status::Exited { code: 0 }, Status::Swept { killed: 0, .. }]
    ));
}

#[test]
fn a_child_has_its_three_streams_and_no_other_descriptor() {
    // A descriptor of this process without close-on-exec, which must not arrive.
    let leak = nix::unistd::dup(File::open("/etc/hostname").unwrap()).unwrap();
    let (_, out) = collect(sandbox().spawn(&sh("ls /proc/self/fd | tr '\\n' ' '; cat")).unwrap());
    drop(leak);
    // `ls` itself has opened the folder as 3.
    assert_eq!(out, "0 1 2 3 ");
}

#[test]
fn signals_are_those_of_a_fresh_process_and_no_terminal_is_within_reach() {
    let script =
        "grep -E '^Sig(Blk|Ign)' /proc/self/status; (: < /dev/tty) 2>/dev/null || echo no terminal; umask";
    let (_, out) = collect(sandbox().spawn(&sh(script)).unwrap());
    assert_eq!(out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nno terminal\n0022\n");
}

#[test]
fn what_cannot_be_started_says_which_call_failed_and_why() {
    let cases = [
        (Launch { program: "/no/such".into(), ..sh("") }, Call::Execute, nix::errno::Errno::ENOENT),
        (Launch { program: "/etc/passwd".into(), ..sh("") }, Call::Execute, nix::errno::Errno::EACCES),
        (Launch { cwd: "/no/such".into(), ..sh("") }, Call::ChangeDirectory, nix::errno::Errno::ENOENT),
        (
            Launch { args: vec!["x".repeat(3 << 20).into()], ..sh("") },
            Call::Execute,
            nix::errno::Errno::E2BIG,
        ),
    ];
    for (launch, call, errno) in cases {
        let (statuses, _) = collect(sandbox().spawn(&launch).unwrap());
        let path = if call == Call::Execute { &launch.program } else { &launch.cwd };
        let error = SetupError::at(call, path.as_os_str().as_encoded_bytes(), errno);
        assert_eq!(statuses, [Status::Failed(error)]);
        assert!(call.remedy(errno).is_some());
    }
}

#[test]
fn a_helper_that_cannot_be_started_says_why() {
    let helper = "/no/such/helper";
    let (statuses, _) = collect(Sandbox::with_helper(helper.into()).spawn(&sh("")).unwrap());
    let error = SetupError::at(Call::Helper, helper.as_bytes(), nix::errno::Errno::ENOENT);
    assert_eq!(statuses, [Status::Failed(error)]);
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let (statuses, _) = collect(sandbox().spawn(&sh("exit 137")).unwrap());
    assert_eq!(statuses[1], Status::Exited { code: 137 });
    let (statuses, _) = collect(sandbox().spawn(&sh("kill -9 $$")).unwrap());
    assert_eq!(statuses[1], Status::Signaled { signal: 9 });
    // Of the numbers that have no name.
    let (statuses, _) = collect(sandbox().spawn(&sh("kill -34 $$")).unwrap());
    assert_eq!(statuses[1], Status::Signaled { signal: 34 });
}

#[test]
fn a_daemon_that_forks_twice_dies_with_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!(
        "(setsid sh -c 'trap \"\" INT TERM HUP; echo $$ > {0}; exec sleep 1000' &) & sleep 0.2",
        file.display()
    );
    let child = sandbox().spawn(&sh(&script)).unwrap();
    let daemon = pid_in(&file);
    let (statuses, _) = collect(child);
    assert!(matches!(statuses[2], Status::Swept { killed, .. } if killed >= 1), "{statuses:?}");
    assert!(!is_alive(daemon));
}

#[test]
fn an_order_to_kill_ends_a_tree_that_ignores_every_signal() {
    let script = "trap '' INT TERM HUP QUIT; for i in 1 2 3; do (setsid sleep 1000 &) ; done; while :; do sleep 1; done";
    let child = sandbox().spawn(&sh(script)).unwrap();
    let helper = child.helper();
    // Only those that stay: the subshells between them come and go.
    let sleepers = || -> Vec<i32> {
        let tree = processes::describe(helper);
        tree.iter().filter(|process| process.command == "sleep 1000").map(|process| process.pid).collect()
    };
    wait_until("the tree", || sleepers().len() == 3);
    let tree = sleepers();
    child.order(Order::Interrupt);
    child.order(Order::Terminate);
    std::thread::sleep(Duration::from_millis(50));
    assert!(tree.iter().all(|&pid| is_alive(pid)), "the test's script does not ignore signals");
    child.order(Order::Kill);
    let (statuses, _) = collect(child);
    assert!(statuses.contains(&Status::Signaled { signal: 9 }));
    assert!(!tree.iter().any(|&pid| is_alive(pid)));
}

#[test]
fn lineages_that_fork_and_leave_their_session_without_end_are_caught() {
    let folder = tempfile::tempdir().unwrap();
    let marks = folder.path().display();
    // Each process starts its successor in a session of its own and exits at once; sixteen lines of them at a time.
    let script = format!(
        "echo 'import os,time\nfor i in range(16):\n  if os.fork()==0:\n    while True:\n      os.setsid() if os.getsid(0)!=os.getpid() else 0\n      if os.fork(): os._exit(0)\n      time.sleep(0.0005)\n' > {marks}/f.py; \
         python3 {marks}/f.py & sleep 0.4"
    );
    let mut launch = sh(&script);
    launch.env[0].1 = python_path();
    let start = Instant::now();
    let (statuses, _) = collect(sandbox().spawn(&launch).unwrap());
    assert!(matches!(statuses.last(), Some(Status::Swept { killed, .. }) if *killed >= 16), "{statuses:?}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_script_that_stops_its_helper_does_not_survive_it() {
    let child = sandbox().spawn(&sh("kill -STOP $PPID; sleep 1000")).unwrap();
    let helper = child.helper();
    wait_until("the sleep", || processes::descendants(helper).len() >= 2);
    let tree = processes::descendants(helper);
    child.order(Order::Kill);
    let _ = collect(child);
    assert!(!tree.iter().any(|&pid| is_alive(pid)));
}

#[test]
fn a_forgotten_child_is_killed() {
    let child = sandbox().spawn(&sh("sleep 1000")).unwrap();
    let helper = child.helper();
    wait_until("the sleep", || !processes::descendants(helper).is_empty());
    let tree = processes::descendants(helper);
    drop(child);
    wait_until("the end of the tree", || !tree.iter().any(|&pid| is_alive(pid)));
}

/// What a watchdog with a limit of 64 MiB says about a Python program that prints `ready` when it has what it wants.
fn watched(program: &str) -> Option<Exceeded> {
    let mut launch = sh("exec python3 -c \"$0\"");
    launch.args.push(format!("{program}\nprint('ready', flush=True)\nimport time\ntime.sleep(1000)").into());
    launch.env[0].1 = python_path();
    let child = sandbox().spawn(&launch).unwrap();
    let mut word = [0; 5];
    File::from(child.stdout.try_clone().unwrap()).read_exact(&mut word).unwrap();
    let watchdog = Watchdog { memory: Some(64 << 20), processes: Some(20) };
    let seen = watchdog.exceeded(child.helper(), below(child.helper()));
    child.order(Order::Kill);
    let _ = collect(child);
    seen
}

#[test]
fn the_watchdog_finds_memory_however_it_is_held() {
    let above = Some(Exceeded::Memory(64 << 20));
    assert_eq!(watched(""), None);
    assert_eq!(watched("x = b'x' * (100 << 20)"), above);
    assert_eq!(watched("import mmap\nm = mmap.mmap(-1, 100 << 20)\nm.write(b'x' * (100 << 20))"), above);
    let file = "import os\nfd = os.memfd_create('m')\nfor i in range(100): os.write(fd, bytes(1 << 20))";
    assert_eq!(watched(file), above);
    // Pages that are let go of stay where they are, and are in nobody's resident memory.
    let dropped = "import mmap\nm = mmap.mmap(-1, 100 << 20)\nfor i in range(0, 100 << 20, 1 << 20):\n  m[i:i + (1 << 20)] = bytes(1 << 20)\n  m.madvise(mmap.MADV_DONTNEED, i, 1 << 20)";
    assert_eq!(watched(dropped), above);
    // Forty MiB that three processes have in common are forty MiB.
    assert_eq!(watched("import os\nx = b'x' * (40 << 20)\nos.fork()\nos.fork()"), None);
    let three = "import os, time\nr, w = os.pipe()\nfor i in range(3):\n  if not os.fork():\n    x = b'x' * (30 << 20)\n    os.write(w, b'1')\n    time.sleep(1000)\nfor i in range(3): os.read(r, 1)";
    assert_eq!(watched(three), above);
}

#[test]
fn the_watchdog_finds_memory_of_a_process_whose_first_thread_has_ended() {
    // `pthread_exit` of the first thread: what the kernel says in its name is then empty. The second one holds the memory.
    let program = "
import ctypes, os, threading
gone = threading.Event()
def hold():
    while open('/proc/%d/stat' % os.getpid()).read().rsplit(')', 1)[1].split()[0] != 'Z': pass
    x = b'x' * (100 << 20)
    os.write(1, b'ready')
    gone.wait()
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)";
    assert_eq!(watched(program), Some(Exceeded::Memory(64 << 20)));
}

#[test]
fn the_watchdog_counts_threads_as_processes() {
    let threads = "import threading, time\nfor i in range(30): threading.Thread(target=time.sleep, args=(1000,)).start()";
    assert_eq!(watched(threads), Some(Exceeded::Processes(20)));
    let child = sandbox().spawn(&sh("sleep 1000 & sleep 1000")).unwrap();
    wait_until("both", || below(child.helper()).processes == 3);
    assert!(below(child.helper()).rss > 0);
}

#[test]
fn probes_collect_output_and_have_limits() {
    let probe = |script: &str, limit| {
        let args = ["-c", script].map(OsString::from);
        sandbox().probe(&question(Path::new("/bin/sh"), &args, limit))
    };
    let output = probe("echo out; echo err >&2; exit 3", 100).unwrap();
    assert_eq!((output.code, &*output.stdout, &*output.stderr), (Some(3), &b"out\n"[..], &b"err\n"[..]));
    assert!(
        probe("while :; do echo xxxxxxxxxxxxxxxx; done", 10_000).unwrap_err().to_string().contains("10000")
    );
}

#[test]
fn the_hidden_argument_typed_by_hand_is_refused() {
    for args in [&["__sandbox-init"][..], &["__sandbox-init", "7", "8"], &["__sandbox-init", "1", "2"]] {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let program = Path::new(env!("CARGO_BIN_EXE_rungate"));
        let view = View { read: vec![program.into()], ..View::default() };
        let output = sandbox().probe(&Question { view, ..question(program, &args, 10_000) }).unwrap();
        assert_eq!(output.code, Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("rungate --help"));
    }
}

/// A PATH on which `python3` is found, as the host has it.
#[expect(clippy::disallowed_methods, reason = "a test finds its tools where the host has them")]
fn python_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}
