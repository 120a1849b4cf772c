use std::time::Duration;

use super::*;
use crate::sandbox::spec::{IdKind, Ids, ProcPart};

fn policy(tier: Tier) -> Confinement {
    Confinement {
        tier,
        view: View {
            workspace: Some("/w".into()),
            hidden: vec![".git".into(), ".rungate".into()],
            read: vec!["/opt/py".into(), "/usr/share/x".into(), "/w/venv".into()],
            write: vec!["/w/build".into(), "/data".into()],
        },
        network: model::Network::None,
        ports: Vec::new(),
        unix_sockets: false,
        limits: KernelLimits {
            memory: 1 << 30,
            processes: 9,
            cpu: Duration::from_secs(3),
            scratch: 1 << 20,
            inodes: 64,
        },
    }
}

fn host() -> Host {
    Host {
        folders: vec!["/usr".into()],
        links: vec![("/bin".into(), "usr/bin".into())],
        files: vec![("/etc/timezone".into(), b"UTC\n".to_vec())],
        etc: vec!["/etc/ssl".into()],
        network: vec![("/etc/resolv.conf".into(), b"nameserver 1.1.1.1\n".to_vec())],
        readable: vec!["/etc/timezone".into(), "/etc/ssl".into()],
        names: vec!["/run/resolv.conf".into()],
        proc: vec![("kcore", ProcPart::HiddenFile)],
        devices: vec!["/dev/null".into()],
        tripwires: vec!["/sys".into(), "/var".into()],
        landlock: 7,
        ids: Some(Ids { user: 1234, group: 1235, kind: IdKind::Own }),
    }
}

fn ground() -> Ground {
    Ground {
        entries: [".git", "src", "real"].map(Into::into).to_vec(),
        hidden: vec!["/w/real".into()],
        sockets: vec!["/opt/python/d.sock".into()],
    }
}

fn compiled(policy: &Confinement) -> Confined {
    let private = [PrivateFile { name: "script".into(), bytes: b"echo".to_vec() }];
    let filter = |_| Ok(Blob(b"filter".to_vec()));
    confined(policy, &private, &host(), &ground(), filter).unwrap().unwrap()
}

fn refusal(change: impl FnOnce(&mut Confinement)) -> String {
    let mut policy = policy(Tier::Namespaces);
    change(&mut policy);
    let refused = confined(&policy, &[], &host(), &ground(), |_| Ok(Blob::default()));
    refused.unwrap_err().to_string()
}

fn rules(list: &[(&str, Access)]) -> Vec<PathRule> {
    let rule = |&(path, access): &(&str, Access)| PathRule { path: CString::new(path).unwrap(), access };
    list.iter().map(rule).collect()
}

fn limits(more: &[(Limit, u64)]) -> Vec<(Limit, u64)> {
    let mut all = vec![
        (Limit::Core, 0),
        (Limit::Files, 1024),
        (Limit::LockedMemory, 65536),
        (Limit::MessageQueues, 0),
        (Limit::Data, 1 << 30),
        (Limit::Cpu, 3),
    ];
    all.extend(more);
    all
}

#[test]
fn a_policy_with_namespaces_compiles_to_exactly_this() {
    let bind = |path: &std::ffi::CStr, kind| Bind { path: path.to_owned(), kind };
    let expected = Confined {
        world: Some(World {
            ids: Ids { user: 1234, group: 1235, kind: IdKind::Own },
            network: Network::Own,
            scratch: 1 << 20,
            inodes: 64,
            links: vec![(c"/bin".into(), c"usr/bin".into())],
            files: vec![
                (c"/etc/timezone".into(), Blob(b"UTC\n".to_vec())),
                (c"/etc/passwd".into(), Blob(PASSWD.into())),
                (c"/etc/group".into(), Blob(GROUP.into())),
                (c"/etc/hosts".into(), Blob(HOSTS.into())),
            ],
            binds: vec![
                bind(c"/usr", BindKind::System),
                bind(c"/etc/ssl", BindKind::System),
                bind(c"/data", BindKind::Write),
                bind(c"/opt/py", BindKind::Read),
                bind(c"/w", BindKind::Read),
                bind(c"/w/build", BindKind::Write),
            ],
            masks: vec![
                (c"/w".into(), c".git".into()),
                (c"/w".into(), c".rungate".into()),
                (c"/w".into(), c"real".into()),
                (c"/opt/python".into(), c"d.sock".into()),
            ],
            proc: vec![(c"kcore".into(), ProcPart::HiddenFile)],
            private: vec![(c"script".into(), Blob(b"echo".to_vec()))],
        }),
        limits: limits(&[(Limit::Processes, 9)]),
        landlock: Some(Landlock {
            paths: rules(&[
                ("/", Access::Execute),
                ("/home/step", Access::Write),
                ("/tmp", Access::Write),
                ("/run/rungate", Access::Write),
                ("/dev/shm", Access::Write),
                ("/dev/null", Access::Device),
                ("/w/build", Access::Write),
                ("/data", Access::Write),
            ]),
            ports: None,
            sockets: UnixSockets::Own,
        }),
        tripwire: Some(c"/sys".into()),
        filter: Blob(b"filter".to_vec()),
    };
    assert_eq!(compiled(&policy(Tier::Namespaces)), expected);
}

#[test]
fn what_a_group_holds_is_left_to_it() {
    let left = |memory, processes| {
        let mut confined = compiled(&policy(Tier::Namespaces));
        confined.leave_to(GroupLimits { memory, processes });
        confined.limits
    };
    let all = limits(&[(Limit::Processes, 9)]);
    assert_eq!(left(None, None), all);
    assert_eq!(left(None, Some(9)), limits(&[]));
    let without_data: Vec<_> = all.into_iter().filter(|(limit, _)| *limit != Limit::Data).collect();
    assert_eq!(left(Some(1 << 30), None), without_data);
}

#[test]
fn a_policy_without_namespaces_compiles_to_exactly_this() {
    let expected = Confined {
        world: None,
        limits: limits(&[]),
        landlock: Some(Landlock {
            paths: rules(&[
                ("/usr", Access::Execute),
                ("/etc/timezone", Access::Read),
                ("/etc/ssl", Access::Read),
                ("/proc", Access::Read),
                ("/dev/null", Access::Device),
                ("/w", Access::List),
                ("/w/src", Access::Execute),
                ("/opt/py", Access::Execute),
                ("/usr/share/x", Access::Execute),
                ("/w/venv", Access::Execute),
                ("/w/build", Access::Write),
                ("/data", Access::Write),
            ]),
            ports: Some(Vec::new()),
            sockets: UnixSockets::Own,
        }),
        tripwire: Some(c"/sys".into()),
        filter: Blob(b"filter".to_vec()),
    };
    assert_eq!(compiled(&policy(Tier::Landlock)), expected);
}

#[test]
fn the_hosts_network_brings_its_names_and_its_ports() {
    let open = Confinement { network: model::Network::Host, ports: vec![443], ..policy(Tier::Namespaces) };
    let confined = compiled(&open);
    let world = confined.world.unwrap();
    assert_eq!(world.network, Network::Host);
    assert!(world.files.iter().any(|(path, _)| path.as_c_str() == c"/etc/resolv.conf"));
    assert!(!world.files.iter().any(|(_, bytes)| bytes.0 == HOSTS.as_bytes()));
    assert_eq!(confined.landlock.unwrap().ports, Some(vec![443]));
    let any = Confinement { ports: Vec::new(), ..open };
    assert_eq!(compiled(&any).landlock.unwrap().ports, None);
}

#[test]
fn a_place_that_is_shared_is_no_tripwire() {
    let mut shared = policy(Tier::Namespaces);
    shared.view.read.push("/sys/kernel".into());
    let places = |view: &View| tripwire(view, &host()).unwrap();
    assert_eq!(places(&shared.view), Some(c"/var".into()));
    shared.view.read.push("/var".into());
    assert_eq!(places(&shared.view), None);
}

#[test]
fn what_would_undo_the_view_is_refused_by_name() {
    for (path, why) in [
        ("/", "it is the root of all files"),
        ("/proc/1", "that place is the child's own"),
        ("/dev", "that place is the child's own"),
        ("/opt/../etc", "it is not a resolved absolute path"),
        ("opt", "it is not a resolved absolute path"),
    ] {
        let refused = refusal(|policy| policy.view.read.push(path.into()));
        assert_eq!(refused, format!("{path} cannot be made visible: {why}"));
    }
    for (path, why) in [
        ("/usr/local", "it belongs to the operating system"),
        ("/w", "all of the workspace would be writable"),
        ("/w/.git/hooks", "it lies in something that is hidden"),
    ] {
        let refused = refusal(|policy| policy.view.write.push(path.into()));
        assert_eq!(refused, format!("{path} cannot be made visible: {why}"));
    }
    assert_eq!(refusal(|policy| policy.view.read.push("/a\0b".into())), r"the path /a\0b holds a NUL byte");
}

#[test]
fn root_without_another_user_gets_no_namespaces() {
    let host = Host { ids: None, ..host() };
    let refused = confined(&policy(Tier::Namespaces), &[], &host, &ground(), |_| Ok(Blob::default()));
    assert!(matches!(refused, Err(CompileError::NoUser)));
}
