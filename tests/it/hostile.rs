//! Scripts that take all they can get, and scripts that will not die: each is bounded, and nothing of it is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rungate::sandbox::processes;

use crate::place::{Place, User, assert_confined, assert_nothing_is_left, output, wait};

const TIERS: [&str; 2] = ["namespaces", "landlock"];

/// Runs a Python program in both tiers as both users, gives the result to `check`, and looks for what is left.
fn everywhere(options: &[&str], program: &str, check: impl Fn(&str, Option<i32>, &str, &str)) {
    for user in [User::Ordinary, User::Root] {
        if !user.is_possible() {
            continue;
        }
        for tier in TIERS {
            let place = Place::new(user);
            assert_confined(&place, tier);
            let timeout: &[&str] = if options.contains(&"--timeout") { &[] } else { &["--timeout", "60s"] };
            let options = [&["--tier", tier], timeout, options].concat();
            let argv = ["/usr/bin/python3", "-c", program, &place.tag];
            let (code, out, err) = place.run(&options, &argv);
            check(tier, code, &out, &err);
            assert_nothing_is_left(&place.tag);
        }
    }
}

#[test]
fn a_fork_bomb_stays_within_its_limit_and_dies_with_the_step() {
    let program = "
import os, time
made = 0
for turn in range(300):
    try:
        if os.fork() == 0:
            time.sleep(1000)
    except OSError:
        break
    made += 1
print(made)
";
    everywhere(&["--processes", "40"], program, |tier, code, out, err| {
        if tier == "namespaces" {
            assert_eq!(code, Some(0), "{err}");
            assert!(out.trim().parse::<u32>().unwrap() <= 40, "{out}");
        }
    });
}

#[test]
fn sixty_four_daemons_die_with_the_step() {
    let program = "
import os, signal, time
for turn in range(64):
    if os.fork() == 0:
        os.setsid()
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except OSError: pass
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
for turn in range(64): os.wait()
print('made')
";
    everywhere(&[], program, |_, code, out, err| assert_eq!((code, out), (Some(0), "made\n"), "{err}"));
}

#[test]
fn a_script_that_wants_all_memory_is_refused() {
    let program = "
try:
    data = b'x' * (600 << 20)
    print('got it')
except MemoryError:
    print('refused')
";
    everywhere(&["--memory", "128MiB"], program, |_, _, out, _| assert_ne!(out, "got it\n"));
}

#[test]
fn private_space_is_bounded_in_bytes_and_in_files() {
    let program = "
import os
def fill(folder):
    with open(folder + '/file', 'wb', buffering=0) as file:
        for turn in range(64):
            file.write(bytes(1 << 20))
def count(folder):
    for number in range(400000):
        open(folder + '/' + str(number), 'w').close()
for what in (fill, count):
    for folder in ('/tmp', '/dev/shm', os.environ['HOME']):
        try:
            what(folder)
            print('unbounded', what.__name__, folder)
        except OSError as error:
            assert error.errno == 28, error
        for name in os.listdir(folder):
            try: os.unlink(folder + '/' + name)
            except OSError: pass
";
    for user in [User::Ordinary, User::Root] {
        if user.is_possible() {
            let place = Place::new(user);
            let options = ["--tier", "namespaces", "--scratch", "16MiB", "--timeout", "80s"];
            let (code, out, err) = place.run(&options, &["/usr/bin/python3", "-c", program]);
            assert_eq!((code, &*out), (Some(0), ""), "{err}");
        }
    }
}

#[test]
fn a_flood_of_output_arrives_and_holds_nothing_up() {
    let program = "
import os
block = b'x' * 65535 + b'\\n'
for turn in range(3200): os.write(1, block)
";
    everywhere(&[], program, |_, code, _, err| assert_eq!(code, Some(0), "{err}"));
}

#[test]
fn a_script_that_ignores_every_signal_ends_when_its_time_is_up() {
    let program = "
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for turn in range(3):
    if os.fork() == 0: break
while True: time.sleep(1)
";
    everywhere(&["--timeout", "500ms"], program, |_, code, _, err| assert_eq!(code, Some(124), "{err}"));
}

#[test]
fn whoever_confines_cannot_be_stopped_from_inside() {
    let program = "
import os, signal
for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGKILL, signal.SIGTERM):
    for pid in (os.getppid(), 1):
        try: os.kill(pid, number)
        except OSError: pass
print('alive')
";
    everywhere(&[], program, |_, code, out, err| assert_eq!((code, out), (Some(0), "alive\n"), "{err}"));
}

#[test]
fn a_script_that_ends_leaves_no_output_open() {
    // A grandchild that keeps the pipes must not keep the step.
    let program = "
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(1000)
print('done')
";
    everywhere(&[], program, |_, code, out, err| assert_eq!((code, out), (Some(0), "done\n"), "{err}"));
}

#[test]
fn private_space_on_the_host_is_watched_and_removed_whatever_is_in_it() {
    let locked = "import os\nos.makedirs(t + '/a/b')\nos.chmod(t + '/a/b', 0)\nos.chmod(t + '/a', 0)\nos.chmod(os.environ['HOME'], 0)";
    let deep = "import os\nos.chdir(t)\nfor turn in range(600):\n  os.mkdir('d')\n  os.chdir('d')";
    let full = "import os, time\nf = open(t + '/f', 'wb', 0)\nos.unlink(t + '/f')\nfor turn in range(80): f.write(bytes(1 << 20))\ntime.sleep(50)";
    let many = "import time\nfor turn in range(5000): open(t + '/%d' % turn, 'w').close()\ntime.sleep(50)";
    let named = "private space of 64MiB exceeded (watchdog)";
    let programs = [
        (locked, None),
        (deep, None),
        (full, Some(named)),
        (many, Some("private space for 4096 files exceeded (watchdog)")),
    ];
    for user in [User::Ordinary, User::Root] {
        if !user.is_possible() {
            continue;
        }
        for (program, expected) in programs {
            let place = Place::new(user);
            fs::create_dir(place.at("temporary")).unwrap();
            place.hand_over();
            let program = format!("t = __import__('os').environ['TMPDIR']\n{program}");
            let options = ["--tier", "landlock", "--scratch", "64MiB", "--timeout", "60s"];
            // With fewer open files than folders within each other.
            let mut command = place.user.command("/bin/sh");
            command.args(["-c", "ulimit -n 256; exec \"$@\"", "sh"]).arg(place.at("rungate"));
            command.args(["sandbox", "exec"]).args(options);
            command.args(["--", "/usr/bin/python3", "-c", &program]).current_dir(place.at("work"));
            command.env("TMPDIR", place.at("temporary"));
            let (code, _, err) = output(command);
            assert_eq!(code, Some(if expected.is_some() { 137 } else { 0 }), "{program}\n{err}");
            assert!(err.contains(expected.unwrap_or_default()), "{err}");
            assert_eq!(fs::read_dir(place.at("temporary")).unwrap().count(), 0, "{user:?}: {program}");
        }
    }
}

/// Whom a round kills.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Executor,
    /// A process so many levels below the executor: the helper is 1.
    Below(usize),
    Everybody,
}

/// Starts a tree that wants to live, kills `victim` after `patience`, and looks for anything that is left.
fn kill_round(user: User, tier: &str, victim: Victim, patience: Duration) {
    let place = Place::new(user);
    fs::create_dir(place.at("temporary")).unwrap();
    place.hand_over();
    let script = "
import os, time
for turn in range(4):
    if os.fork() == 0:
        os.setsid()
        os.fork()
        time.sleep(1000)
time.sleep(1000)
";
    let mut command = place.exec(&["--tier", tier], &["/usr/bin/python3", "-c", script, &place.tag]);
    command.env("TMPDIR", place.at("temporary")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut executor = command.spawn().unwrap();
    std::thread::sleep(patience);
    let pid = executor.id().cast_signed();
    for pid in victims(pid, victim) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    end(&mut executor, victim);
    assert_nothing_is_left(&place.tag);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&place.tag), "{mounts}");
    let folders = fs::read_dir(place.at("temporary")).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = folders.collect();
    match victim {
        // After all of them at once nobody is left to clean up, but the next one that is started.
        Victim::Everybody => {
            let (code, _, err) = place.run(&["--tier", tier], &["/bin/true"]);
            assert_eq!(code, Some(0), "{err}");
        }
        Victim::Executor | Victim::Below(_) => {
            assert_eq!(folders, Vec::<PathBuf>::new(), "{victim:?} in {tier}");
        }
    }
    assert_eq!(groups_of(pid), Vec::<String>::new(), "{victim:?} in {tier}");
}

fn victims(executor: i32, victim: Victim) -> Vec<i32> {
    let mut level = vec![executor];
    match victim {
        Victim::Executor => level,
        Victim::Below(depth) => {
            let tree = processes::describe(executor);
            for _ in 0..depth {
                let next = |process: &&rungate::record::ProcessInfo| level.contains(&process.parent);
                level = tree.iter().filter(next).map(|process| process.pid).collect();
            }
            level
        }
        Victim::Everybody => {
            level.extend(processes::descendants(executor));
            level
        }
    }
}

fn end(executor: &mut Child, victim: Victim) {
    // A payload that was not reached yet does not end by itself.
    if wait(executor, Duration::from_secs(2)).is_none() {
        assert!(!matches!(victim, Victim::Executor), "an executor that was killed is still there");
    }
}

/// Control groups that this executor has left.
fn groups_of(executor: i32) -> Vec<String> {
    let mine = format!("-{executor}-");
    let folders = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let entries = folders.into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("rungate-") && name.contains(&mine)).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "shown when a round fails, to repeat it")]
fn whoever_is_killed_at_whatever_moment_nothing_is_left() {
    // Different in every run, and told when it fails.
    let mut random = u64::from(std::process::id()) << 20 | 1;
    let mut next = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    for round in 0..rounds() {
        let user = if round % 2 == 0 || !User::Root.is_possible() { User::Ordinary } else { User::Root };
        let tier = TIERS[usize::from(round % 4 >= 2)];
        let victim = match next(5) {
            0 | 1 => Victim::Executor,
            2 => Victim::Below(1),
            3 => Victim::Below(2),
            // Without namespaces, what forks while all above it are killed one by one is nobody's any more.
            _ if tier == "landlock" => Victim::Below(1),
            _ => Victim::Everybody,
        };
        let patience = Duration::from_millis(next(60));
        println!("round {round}: {user:?}, {tier}, {victim:?} after {patience:?}");
        kill_round(user, tier, victim, patience);
    }
}

/// How often to kill; more by `RUNGATE_TEST_KILLS`.
#[expect(clippy::disallowed_methods, reason = "a test is told how thorough to be")]
fn rounds() -> u32 {
    std::env::var("RUNGATE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}
