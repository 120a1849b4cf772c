//! The tier of namespaces against the real kernel: what a payload sees, what it can do, and what is left of it.

use std::fs;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use rungate::manifest::model::Network;
use rungate::sandbox::child::Child;
use rungate::sandbox::confinement::{Confinement, KernelLimits, PrivateFile, Tier, View};
use rungate::sandbox::launch::Launch;
use rungate::sandbox::processes;
use rungate::sandbox::spawn::{Sandbox, SpawnError};
use rungate::sandbox::status::{Call, FRAME, Proc, Status};

use crate::context::wait_until;

fn sandbox() -> Sandbox {
    // As every executor: what a helper leaves comes to this process, which waits for it.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    Sandbox::with_helper(env!("CARGO_BIN_EXE_rungate").into())
}

/// A script in a world of its own, which sees `view`.
fn sh(script: &str, view: View) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("HOME".into(), "/home/step".into()),
            ("TMPDIR".into(), "/tmp".into()),
        ],
        cwd: view.workspace.clone().unwrap_or_else(|| "/".into()),
        confinement: Some(Confinement {
            tier: Tier::Namespaces,
            view,
            network: Network::None,
            ports: Vec::new(),
            unix_sockets: false,
            limits: KernelLimits {
                memory: 1 << 30,
                processes: 64,
                cpu: Duration::from_mins(1),
                scratch: 4 << 20,
                inodes: 256,
            },
        }),
        private: Vec::new(),
    }
}

/// A workspace with a `.git` that holds something to find.
fn workspace() -> (tempfile::TempDir, View) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join(".git")).unwrap();
    fs::write(root.join(".git/config"), "token").unwrap();
    fs::write(root.join("file"), "content").unwrap();
    let view =
        View { workspace: Some(root), hidden: vec![".git".into(), ".rungate".into()], ..View::default() };
    (folder, view)
}

fn collect(mut child: Child) -> (Vec<Status>, String) {
    let mut frames = Vec::new();
    File::from(child.status.try_clone().unwrap()).read_to_end(&mut frames).unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    File::from(child.stdout.try_clone().unwrap()).read_to_string(&mut out).unwrap();
    File::from(child.stderr.try_clone().unwrap()).read_to_string(&mut err).unwrap();
    child.reap();
    let statuses = frames.chunks_exact(FRAME).map(|frame| Status::decode(frame.try_into().unwrap()).unwrap());
    let statuses: Vec<Status> = statuses.collect();
    assert!(!statuses.iter().any(|status| matches!(status, Status::Failed(_))), "{statuses:?}");
    (statuses, out + &err)
}

/// What a script prints.
fn output(script: &str, view: View) -> String {
    collect(sandbox().spawn(&sh(script, view)).unwrap()).1
}

#[test]
fn a_program_runs_in_a_fresh_world() {
    let (statuses, out) = collect(sandbox().spawn(&sh("echo hello; exit 3", View::default())).unwrap());
    assert_eq!(out, "hello\n");
    assert!(
        matches!(
            statuses[..],
            [
                Status::Started { proc: Proc::Fresh, .. },
                Status::Exited { code: 3 },
                Status::Swept { killed: 0, .. }
            ]
        ),
        "{statuses:?}"
    );
}

#[test]
fn the_workspace_is_read_only_and_git_is_hidden() {
    let (folder, view) = workspace();
    let script =
        "cat file; ls -A .git; cat .git/config; echo x > file; echo x > new; touch .git/x; rm -rf .git; :";
    let out = output(script, view);
    assert!(out.starts_with("content"), "{out}");
    assert!(!out.contains("token"), "{out}");
    assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "content");
    assert_eq!(fs::read_to_string(folder.path().join(".git/config")).unwrap(), "token");
    assert!(!folder.path().join("new").exists());
}

#[test]
fn git_is_hidden_where_it_is_a_file_or_a_link() {
    let (folder, view) = workspace();
    fs::rename(folder.path().join(".git"), folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.path().join(".git")).unwrap();
    let out = output("cat .git/config elsewhere/config; ls -lA .git elsewhere; :", view.clone());
    assert!(!out.contains("token") && !out.contains("->"), "{out}");

    fs::remove_file(folder.path().join(".git")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join(".git")).unwrap();
    assert!(!output("cat .git; :", view.clone()).contains("step"));

    fs::remove_file(folder.path().join(".git")).unwrap();
    fs::write(folder.path().join(".git"), "gitdir: token").unwrap();
    assert!(!output("cat .git; :", view).contains("token"));
}

#[test]
fn what_is_writable_is_written_on_the_host_by_its_owner() {
    let (folder, mut view) = workspace();
    let build = view.workspace.clone().unwrap().join("build");
    fs::create_dir(&build).unwrap();
    fs::set_permissions(&build, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    view.write.push(build.clone());
    let out = output("mkdir build/a && echo made > build/a/file && stat -c %u build/a/file", view);
    assert_eq!(out, "1000\n");
    let made = build.join("a/file");
    assert_eq!(fs::read_to_string(&made).unwrap(), "made\n");
    assert_eq!(fs::metadata(&made).unwrap().uid(), fs::metadata(folder.path()).unwrap().uid());
}

#[test]
fn a_working_directory_that_is_a_link_upwards_stays_inside() {
    let (_folder, view) = workspace();
    let link = view.workspace.clone().unwrap().join("app");
    // The host's root lies over the payload's for a moment, and this is the way there.
    std::os::unix::fs::symlink("/..", &link).unwrap();
    for _ in 0..20 {
        let launch = Launch { cwd: link.clone(), ..sh("[ . -ef / ] && echo inside", view.clone()) };
        let (_, out) = collect(sandbox().spawn(&launch).unwrap());
        assert_eq!(out, "inside\n");
    }
}

#[test]
fn a_writable_folder_that_became_a_link_is_an_error_that_names_it() {
    let (_folder, mut view) = workspace();
    let build = view.workspace.clone().unwrap().join("build");
    std::os::unix::fs::symlink("/etc", &build).unwrap();
    view.write.push(build.clone());
    let error = failure(&sh("true", view));
    assert_eq!((error.call, error.errno), (Call::Source, Errno::ELOOP));
    assert_eq!(error.path.as_bytes(), build.as_os_str().as_encoded_bytes());
    assert!(error.call.remedy(error.errno).is_some());
}

/// Why a launch did not come about.
fn failure(launch: &Launch) -> rungate::sandbox::status::SetupError {
    let mut child = match sandbox().spawn(launch) {
        Ok(child) => child,
        // As root, what is bound is opened here.
        Err(SpawnError::Setup(error)) => return error,
        Err(error) => panic!("{error}"),
    };
    let mut frames = Vec::new();
    File::from(child.status.try_clone().unwrap()).read_to_end(&mut frames).unwrap();
    child.reap();
    // Nothing else is said.
    let Some(Status::Failed(error)) = Status::decode(frames.as_slice().try_into().unwrap()) else {
        panic!("it came about");
    };
    error
}

#[test]
fn every_process_of_the_chain_says_what_failed() {
    let (_folder, view) = workspace();
    let missing = View { read: vec!["/no/such".into()], ..view.clone() };
    let cases = [
        (sh("", missing), Call::Source, Errno::ENOENT, "/no/such"),
        (
            Launch { cwd: "/nowhere".into(), ..sh("", view.clone()) },
            Call::ChangeDirectory,
            Errno::ENOENT,
            "/nowhere",
        ),
        (
            Launch { program: "/no/program".into(), ..sh("", view.clone()) },
            Call::Execute,
            Errno::ENOENT,
            "/no/program",
        ),
        (
            Launch {
                private: vec![PrivateFile { name: "a/b".into(), bytes: Vec::new() }],
                ..sh("", view.clone())
            },
            Call::PrivateFiles,
            Errno::ENOENT,
            "a/b",
        ),
        (
            Launch {
                private: vec![PrivateFile { name: "big".into(), bytes: vec![0; 5 << 20] }],
                ..sh("", view)
            },
            Call::PrivateFiles,
            Errno::ENOSPC,
            "big",
        ),
    ];
    for (launch, call, errno, path) in cases {
        let error = failure(&launch);
        assert_eq!((error.call, error.errno), (call, errno));
        assert_eq!(error.path.as_bytes(), path.as_bytes());
    }
}

#[test]
fn no_process_no_network_and_nothing_else_of_the_host_is_in_sight() {
    let out = output(
        "ls /proc > /tmp/list; grep -cE '^[0-9]+$' /tmp/list; grep -c . /proc/net/dev; ls -d /sys /var /root /run/user /etc/shadow /home/* 2>/dev/null; \
         hostname; cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; echo 1 2>/dev/null > /proc/sys/kernel/core_pattern || echo denied",
        View::default(),
    );
    // The first process, the shell and `ls`; two lines of heading and the loopback interface.
    assert_eq!(out, "3\n3\n/home/step\nrungate\n0\ndenied\n");
}

#[test]
fn the_first_process_is_in_no_other_network_than_the_payload() {
    // Both are seen in the payload's own procfs: the network of any process can be read there.
    let script = "for process in self 1; do \
                  cut -s -d: -f1 /proc/$process/net/dev; sed 1d /proc/$process/net/unix; done";
    let out = output(script, View::default());
    assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["lo", "lo"], "{out}");
}

#[test]
fn loopback_is_up() {
    let script = "exec python3 -c \"\nimport socket\ns=socket.socket(); s.bind(('127.0.0.1',0)); s.listen()\nc=socket.create_connection(s.getsockname()); print('up')\"";
    assert_eq!(output(script, View::default()), "up\n");
}

#[test]
fn rights_are_gone_and_stay_gone() {
    let out = output(
        "grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status | tr -d ' \\t' | tr '\\n' ' '; id -u; umask; \
         ulimit -c; ulimit -n; cat /proc/self/limits | grep -E '^Max (processes|locked)' | tr -s ' '",
        View::default(),
    );
    let groups = if nix::unistd::geteuid().is_root() { "Groups: " } else { "" };
    let expected = format!(
        "{groups}CapInh:0000000000000000 CapPrm:0000000000000000 CapEff:0000000000000000 CapBnd:0000000000000000 \
         CapAmb:0000000000000000 NoNewPrivs:1 Seccomp:2 1000\n0022\n0\n1024\n\
         Max processes 64 64 processes \nMax locked memory 65536 65536 bytes \n"
    );
    if groups.is_empty() { assert!(out.ends_with(&expected), "{out}") } else { assert_eq!(out, expected) }
}

#[test]
fn a_payload_is_never_root_outside() {
    let child = sandbox().spawn(&sh("sleep 1000", View::default())).unwrap();
    let mut sleeper = None;
    wait_until("the payload", || {
        sleeper =
            processes::describe(child.helper()).into_iter().find(|process| process.command == "sleep 1000");
        sleeper.is_some()
    });
    let status = fs::read_to_string(format!("/proc/{}/status", sleeper.unwrap().pid)).unwrap();
    let ids = |name| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_ascii_whitespace().map(|word| word.parse().unwrap()).collect()
    };
    for id in ids("Uid:").into_iter().chain(ids("Gid:")).chain(ids("Groups:")) {
        assert_ne!(id, 0);
    }
}

#[test]
fn descriptors_of_the_chain_do_not_reach_the_payload() {
    let leak = nix::unistd::dup(File::open("/etc/hostname").unwrap()).unwrap();
    let out = output("ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0", View::default());
    drop(leak);
    assert_eq!(out, "0 1 2 3 /dev/null\n");
}

#[test]
fn private_space_has_one_limit_of_bytes_and_of_files() {
    let out = output(
        "for d in /tmp /home/step /dev/shm /run/rungate; do echo x > $d/a || echo no $d; done; \
         head -c 8M /dev/zero > /tmp/big; stat -c %s /tmp/big; rm /tmp/big; \
         i=0; while (: > /dev/shm/$i); do i=$((i+1)); done 2>/dev/null; [ $i -lt 256 ] && echo few",
        View::default(),
    );
    let size: u64 = out.lines().find_map(|line| line.parse().ok()).unwrap();
    assert!(size < 4 << 20 && size > 3 << 20, "{out}");
    assert!(out.contains("few\n") && !out.contains("no /"), "{out}");
}

#[test]
fn private_files_are_found_and_can_be_read_after_the_end() {
    let mut launch = sh("cat /run/rungate/in; echo value > /run/rungate/out", View::default());
    launch.private = vec![
        PrivateFile { name: "in".into(), bytes: b"given\n".to_vec() },
        PrivateFile { name: "out".into(), bytes: Vec::new() },
    ];
    let mut child = sandbox().spawn(&launch).unwrap();
    let mut frames = Vec::new();
    File::from(child.status.try_clone().unwrap()).read_to_end(&mut frames).unwrap();
    let mut out = String::new();
    File::from(child.stdout.try_clone().unwrap()).read_to_string(&mut out).unwrap();
    assert_eq!(out, "given\n");
    let folder = child.private_files().unwrap();
    child.reap();
    assert!(child.private_files().is_none());
    let path = PathBuf::from(format!("/proc/self/fd/{}/out", std::os::fd::AsRawFd::as_raw_fd(&folder)));
    assert_eq!(fs::read_to_string(path).unwrap(), "value\n");
}

fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

const STUBBORN: &str =
    "trap '' INT TERM HUP QUIT; for i in 1 2 3; do (setsid sleep 1000 &) ; done; while :; do sleep 1; done";

/// A tree that ignores every signal, with its process ids: the first process, then the others.
fn stubborn(tier: Tier) -> (Child, Vec<i32>) {
    let mut launch = sh(STUBBORN, View::default());
    launch.confinement.as_mut().unwrap().tier = tier;
    let child = sandbox().spawn(&launch).unwrap();
    let helper = child.helper();
    let sleepers =
        || processes::describe(helper).iter().filter(|process| process.command == "sleep 1000").count();
    wait_until("the tree", || sleepers() == 3);
    let mut tree = processes::descendants(helper);
    tree.sort_unstable();
    (child, tree)
}

#[test]
fn an_order_to_kill_ends_everything_and_says_how_much_that_was() {
    for tier in [Tier::Namespaces, Tier::Landlock] {
        let (child, tree) = stubborn(tier);
        child.order(rungate::sandbox::init::Order::Interrupt);
        child.order(rungate::sandbox::init::Order::Terminate);
        std::thread::sleep(Duration::from_millis(50));
        child.order(rungate::sandbox::init::Order::Kill);
        let (statuses, _) = collect(child);
        assert!(statuses.contains(&Status::Signaled { signal: 9 }), "{statuses:?}");
        assert!(
            matches!(statuses.last(), Some(Status::Swept { killed, .. }) if *killed >= 3),
            "{statuses:?}"
        );
        assert!(!tree.iter().any(|&pid| is_alive(pid)));
    }
}

#[test]
fn orders_reach_the_program_and_it_may_answer_them() {
    for tier in [Tier::Namespaces, Tier::Landlock] {
        for (order, signal) in [
            (rungate::sandbox::init::Order::Interrupt, "INT"),
            (rungate::sandbox::init::Order::Terminate, "TERM"),
        ] {
            let script = format!("trap 'exit 7' {signal}; echo ready; while :; do sleep 0.01; done");
            let mut launch = sh(&script, View::default());
            launch.confinement.as_mut().unwrap().tier = tier;
            let child = sandbox().spawn(&launch).unwrap();
            let mut word = [0; 6];
            File::from(child.stdout.try_clone().unwrap()).read_exact(&mut word).unwrap();
            child.order(order);
            let (statuses, _) = collect(child);
            assert_eq!(statuses[1], Status::Exited { code: 7 });
        }
    }
}

#[test]
fn whoever_of_the_chain_is_killed_takes_everything_along() {
    let mounts = || fs::read_to_string("/proc/self/mounts").unwrap();
    let before = mounts();
    for victim in ["helper", "first"] {
        let (mut child, tree) = stubborn(Tier::Namespaces);
        let pid = if victim == "helper" {
            child.helper()
        } else {
            let stat = fs::read_to_string(format!("/proc/{}/task/{0}/children", child.helper())).unwrap();
            stat.trim().parse().unwrap()
        };
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        let mut frames = Vec::new();
        File::from(child.status.try_clone().unwrap()).read_to_end(&mut frames).unwrap();
        // Whoever has become the parent reaps them: here nobody does at once.
        let running = |pid: i32| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
        };
        wait_until("the end of the tree", || !tree.iter().any(|&pid| running(pid)));
        child.reap();
    }
    assert_eq!(mounts(), before);
}

#[test]
fn without_its_executor_nothing_lives_on() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for tier in ["namespaces", "landlock"] {
        let mut launch = sh(
            &format!(
                "{} sandbox exec --tier {tier} -- /bin/sh -c '{}'",
                env!("CARGO_BIN_EXE_rungate"),
                STUBBORN.replace('\'', "'\\''")
            ),
            View::default(),
        );
        launch.confinement = None;
        launch.cwd = root.path().to_owned();
        // Who supervises here kills the inner helper as well, before that can remove the folder of its executor.
        launch.env.push(("TMPDIR".into(), root.path().into()));
        let child = sandbox().spawn(&launch).unwrap();
        let helper = child.helper();
        let sleepers =
            || processes::describe(helper).iter().filter(|process| process.command == "sleep 1000").count();
        wait_until("the tree", || sleepers() == 3);
        let tree = processes::describe(helper);
        let executor = tree.iter().find(|process| process.command.contains("sandbox exec")).unwrap().pid;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(executor), nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        wait_until("the end of the tree", || sleepers() == 0);
        drop(child);
    }
}

#[test]
fn without_namespaces_the_same_things_are_out_of_reach() {
    let (_folder, view) = workspace();
    let mut launch = sh(
        "cat file; echo; cat .git/config; ls /var; echo x > file; cat /etc/shadow; kill -9 $PPID; :",
        view,
    );
    launch.confinement.as_mut().unwrap().tier = Tier::Landlock;
    let (statuses, out) = collect(sandbox().spawn(&launch).unwrap());
    assert!(out.starts_with("content\n"), "{out}");
    assert!(!out.contains("token") && !out.contains("root:"), "{out}");
    assert_eq!(out.matches("ermission denied").count(), 4, "{out}");
    assert!(
        matches!(statuses[..], [_, Status::Exited { code: 0 }, Status::Swept { killed: 0, .. }]),
        "{statuses:?}"
    );
}

#[test]
fn inside_a_sandbox_only_the_tier_without_namespaces_is_left() {
    let program = Path::new(env!("CARGO_BIN_EXE_rungate"));
    let script = format!(
        "{0} sandbox exec --tier namespaces -- /bin/true; echo $?; {0} sandbox exec --tier landlock -- /bin/echo inner",
        program.display()
    );
    let view = View { read: vec![program.parent().unwrap().to_owned()], ..View::default() };
    let out = output(&script, View { workspace: Some("/usr/share".into()), ..view });
    assert!(out.starts_with("125\ninner\n"), "{out}");
}

#[test]
fn the_layers_of_this_host_are_tried_for_real() {
    let sandbox = sandbox();
    let layers = sandbox.layers();
    assert_eq!(layers.namespaces, Ok(()));
    assert!(layers.proc_fresh);
    assert_eq!(layers.seccomp, Ok(()));
    assert_eq!(layers.landlock.as_ref().ok().copied(), rungate::sandbox::landlock::abi().ok());
    assert_eq!(layers.tier(), Tier::Namespaces);
}
