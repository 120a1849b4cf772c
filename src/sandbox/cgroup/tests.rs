//! Groups on a tree of plain files that looks like a host's, and on the real kernel where it has a place for them.

use super::*;

const ALL: &str = "cpu memory pids";

/// A host whose cgroup2 is mounted at `/cg`, with this process in `own`, and for each group what it has to give and what
/// it hands down.
fn host(own: &str, groups: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("proc/self/mountinfo", "30 20 0:26 / /cg rw - cgroup2 cgroup rw\n");
    put("proc/self/cgroup", &format!("0::{own}\n"));
    for (group, has, gives) in groups {
        put(&format!("cg{group}/cgroup.controllers"), has);
        put(&format!("cg{group}/cgroup.subtree_control"), gives);
        put(&format!("cg{group}/cgroup.procs"), "");
    }
    root
}

#[test]
fn a_delegated_unit_with_a_sub_group_gives_everything() {
    let root =
        host("/unit/runner", &[("/unit", "cpu memory pids", "cpu memory pids"), ("/unit/runner", "", "")]);
    let cgroups = Cgroups::below(root.path());
    assert_eq!(cgroups.controllers(), Controller::ALL);
    assert_eq!(cgroups.problem(), None);
    assert_eq!(cgroups.base, Some(root.path().join("cg/unit")));
}

#[test]
fn nothing_is_handed_down_where_processes_sit() {
    // A unit with `Delegate=yes` alone: the runner sits where its groups would be.
    let root = host("/x.slice/unit", &[("/x.slice", ALL, ALL), ("/x.slice/unit", ALL, "")]);
    let unit = root.path().join("cg/x.slice/unit");
    fs::write(unit.join("cgroup.type"), "domain\n").unwrap();
    fs::write(unit.join("cgroup.procs"), "1\n").unwrap();
    let cgroups = Cgroups::below(root.path());
    assert_eq!((cgroups.controllers(), cgroups.problem()), (&[][..], Some(&Problem::Busy(unit.clone()))));
    assert_eq!(cgroups.base, Some(unit.clone()));
    assert_eq!(fs::read_to_string(unit.join("cgroup.subtree_control")).unwrap(), "");
    // Somebody has handed processes down: a group of ours would take none.
    fs::write(unit.join("cgroup.subtree_control"), "pids\n").unwrap();
    assert_eq!(Cgroups::below(root.path()).base, None);
}

#[test]
fn groups_are_made_within_the_unit_of_the_runner() {
    // Root could make them beside the unit, where the unit's own limits do not hold.
    let root = host("/x.slice/unit", &[("/x.slice", ALL, ALL), ("/x.slice/unit", ALL, "")]);
    assert_eq!(Cgroups::below(root.path()).base, Some(root.path().join("cg/x.slice/unit")));
}

#[test]
fn a_controller_that_is_there_is_switched_on() {
    let root = host("/unit/runner", &[("/unit", "memory", ""), ("/unit/runner", "", "")]);
    let cgroups = Cgroups::below(root.path());
    assert_eq!(cgroups.controllers(), [Controller::Memory]);
    assert!(matches!(cgroups.problem(), Some(Problem::NotGiven { missing, .. }) if missing == "pids, cpu"));
}

#[test]
fn hosts_without_say_what_they_lack_and_what_mends_it() {
    let root = host("/a", &[("/a", "", "")]);
    let put = |path: &str, text: &str| fs::write(root.path().join(path), text).unwrap();
    let problem = || Cgroups::below(root.path()).problem().unwrap().clone();
    put("proc/self/mountinfo", "30 20 0:26 / /cg rw - cgroup cgroup rw,memory\n");
    assert_eq!(problem(), Problem::OldVersion);
    put("proc/self/mountinfo", "30 20 0:26 / / rw - ext4 /dev/vda rw\n");
    assert_eq!(problem(), Problem::NotMounted);
    put("proc/self/mountinfo", "30 20 0:26 /other /cg rw - cgroup2 cgroup rw\n");
    assert_eq!(problem(), Problem::NotVisible);
    put("proc/self/mountinfo", "30 20 0:26 / /cg rw - cgroup2 cgroup rw\n");
    put("proc/self/cgroup", "0::/../b\n");
    assert_eq!(problem(), Problem::NotVisible);
    put("proc/self/cgroup", "0::/gone\n");
    assert!(matches!(problem(), Problem::NotDelegated { errno: Errno::ENOENT, .. }));
    let hybrid = host("/", &[("/", "", "")]);
    let mounts = "29 20 0:25 / /v1 rw - cgroup cgroup rw,memory\n30 20 0:26 / /cg rw - cgroup2 cgroup rw\n";
    fs::write(hybrid.path().join("proc/self/mountinfo"), mounts).unwrap();
    let cgroups = Cgroups::below(hybrid.path());
    assert!(cgroups.can_kill());
    let problem = cgroups.problem().unwrap();
    assert_eq!(*problem, Problem::BoundToOldVersion("memory, pids, cpu".to_owned()));
    assert!(problem.remedy().contains("unified"));
    assert!(Problem::Busy("/x".into()).remedy().contains("DelegateSubgroup="));
    let delegated = Problem::NotDelegated { path: "/cg/unit".into(), errno: Errno::EACCES };
    assert_eq!(delegated.to_string(), "the cgroup /cg/unit is not delegated to this user (EACCES)");
}

#[test]
fn events_are_read_by_their_whole_name() {
    let folder = tempfile::tempdir().unwrap();
    let group = Group::at(folder.path().join("g"));
    fs::create_dir(&group.path).unwrap();
    assert_eq!(group.events(), GroupEvents::default());
    let put = |file: &str, text: &str| fs::write(group.path.join(file), text).unwrap();
    put("memory.events", "low 0\nhigh 9\nmax 4\noom 3\noom_kill 2\noom_group_kill 1\n");
    put("pids.events", "max 7\n");
    assert_eq!(group.events(), GroupEvents { oom_kills: 2, processes_refused: 7 });
}

#[test]
fn only_groups_of_executors_that_are_gone_are_swept() {
    let root = host("/", &[("/", "", "")]);
    let cgroups = Cgroups::below(root.path());
    let mine = format!("{}7", cgroups.owner);
    let dead = format!("{PREFIX}{}-{}-1-0", namespace(), std::process::id());
    let elsewhere = format!("{PREFIX}1-{}-1-0", std::process::id());
    for name in [&mine, &dead, &elsewhere, "rungate-notes", "other"].map(String::from) {
        fs::create_dir(root.path().join("cg").join(name)).unwrap();
    }
    assert_eq!(cgroups.sweep(), 1);
    let left = |name: &str| root.path().join("cg").join(name).exists();
    assert!(!left(&dead));
    assert!(left(&mine) && left(&elsewhere) && left("rungate-notes") && left("other"));
}

#[test]
fn a_limit_that_cannot_be_set_is_an_error_and_leaves_no_group() {
    let root = host("/", &[("/", "memory pids", "memory pids")]);
    let cgroups = Cgroups::below(root.path());
    let before = fs::read_dir(root.path().join("cg")).unwrap().count();
    // Plain files do not appear by themselves as the kernel's do.
    let error = cgroups.create(GroupLimits { memory: Some(1), processes: None }).unwrap_err();
    assert!(error.to_string().contains("memory.max"), "{error}");
    assert_eq!(fs::read_dir(root.path().join("cg")).unwrap().count(), before);
}

#[test]
#[expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a skip is said aloud; needs a process to kill"
)]
fn the_real_kernel_kills_a_group_at_once() {
    let cgroups = Cgroups::of_this_host();
    let Some(group) = cgroups.create(GroupLimits::default()).unwrap_or(None) else {
        eprintln!("skipped: {}", cgroups.problem().map(ToString::to_string).unwrap_or_default());
        return;
    };
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    group.set("cgroup.procs", &child.id().to_string()).unwrap();
    group.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let path = group.path.clone();
    group.close();
    assert!(!path.exists());
}
