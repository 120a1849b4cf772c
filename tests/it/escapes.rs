//! Attempts to get out of a sandbox, against the real kernel: every tier, as root and as an ordinary user.
//!
//! The attempts are functions of `escapes/attempts.py`, each with what must become of it; they run inside. What they try
//! to reach is made by `escapes/host.py`, which runs outside and hears whoever gets through.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rungate::sandbox::landlock;

use crate::place::{Neighbours, Place, User, assert_confined, assert_nothing_is_left, output, processes_of};

/// What an early Landlock admits in its tier: it holds no signals.
const SIGNALS: [&str; 3] = ["signal_to_a_neighbour", "signal_by_other_calls", "signal_to_whoever_confines"];

/// Bytes of memory that all attempts together may have.
const MEMORY: u64 = 1 << 30;

/// One attempt, as the inside tells it.
struct Row {
    name: String,
    expected: String,
    happened: String,
    how: String,
}

fn rows(out: &str) -> Vec<Row> {
    out.lines()
        .map(|line| {
            let mut fields = line.splitn(4, '\t').map(str::to_owned);
            let mut next = || fields.next().unwrap_or_else(|| panic!("not a row: {line:?}"));
            Row { name: next(), expected: next(), happened: next(), how: next() }
        })
        .collect()
}

/// Everything below `path` with what a script could change about it.
fn snapshot(path: &Path) -> BTreeMap<String, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path.display().to_string(), (metadata.mode(), metadata.mtime(), bytes));
        if metadata.is_dir() {
            found.extend(snapshot(&path));
        }
    }
    found
}

/// Runs all attempts in `tier` and checks every one, and what is left outside.
fn battery(user: User, tier: &str) {
    if !user.is_possible() {
        return;
    }
    let place = Place::new(user);
    assert_confined(&place, tier);
    let mut neighbours = Neighbours::of(&place);
    neighbours.facts["memory"] = MEMORY.into();
    prepare(&place, &neighbours);
    let outside = snapshot(&place.at("outside"));
    let repository = snapshot(&place.at("work/.git"));
    let (code, out, err) = place.run(
        &["--tier", tier, "--write", "out", "--memory", &MEMORY.to_string(), "--timeout", "80s"],
        &["/usr/bin/python3", "-I", "attempts.py", tier],
    );
    let rows = rows(&out);
    assert_eq!(code, Some(0), "{err}\n{out}");
    assert!(rows.len() > 100, "{} attempts were made: {err}\n{out}", rows.len());
    let holds_signals =
        tier != "landlock" || landlock::abi().is_ok_and(|version| version >= landlock::SCOPES);
    let is_admitted =
        |row: &Row| row.expected == "admitted" || !holds_signals && SIGNALS.contains(&row.name.as_str());
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| !is_admitted(row) && row.expected != row.happened)
        .map(|row| format!("{}: {}, not {}: {}", row.name, row.happened, row.expected, row.how))
        .collect();
    assert!(wrong.is_empty(), "{user:?}, {tier}:\n{}", wrong.join("\n"));
    let mut contacts = neighbours.contacts();
    contacts.retain(|contact| holds_signals || !contact.starts_with("contact signal"));
    assert_eq!(contacts, [""; 0], "{user:?}, {tier}");
    let mut after = snapshot(&place.at("outside"));
    if tier == "landlock" {
        // Landlock knows no rule about attributes, which is said where its limits are listed.
        let path = place.at("outside/attributes").display().to_string();
        after.insert(path.clone(), outside[&path].clone());
    }
    assert_eq!(after, outside);
    assert_eq!(snapshot(&place.at("work/.git")), repository);
    assert_eq!(fs::read(place.at("work/source")).unwrap(), b"source\n");
    for path in ["/tmp/rungate-left-", "/dev/shm/rungate-left-"] {
        assert!(!Path::new(&format!("{path}{}", place.tag)).exists());
    }
    let left = snapshot(&place.at("work/out"));
    let unsafe_modes: Vec<_> = left.iter().filter(|(_, (mode, ..))| mode & 0o6000 != 0).collect();
    assert!(unsafe_modes.is_empty(), "{unsafe_modes:?}");
    assert_nothing_is_left(&place.tag);
}

fn prepare(place: &Place, neighbours: &Neighbours) {
    place.write("work/attempts.py", include_bytes!("escapes/attempts.py"));
    place.write("work/facts.json", neighbours.facts.to_string().as_bytes());
    place.hand_over();
    let root = nix::unistd::geteuid().is_root();
    if root {
        let id = place.at("work/set-user-id");
        std::os::unix::fs::chown(&id, Some(0), Some(0)).unwrap();
        fs::set_permissions(&id, std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
    }
    fs::write(format!("/tmp/rungate-host-{}", place.tag), format!("secret-{}", place.tag)).unwrap();
}

#[test]
fn nothing_leaves_the_namespaces_of_root() {
    battery(User::Root, "namespaces");
}

#[test]
fn nothing_leaves_the_namespaces_of_an_ordinary_user() {
    battery(User::Ordinary, "namespaces");
}

#[test]
fn nothing_but_what_is_admitted_leaves_the_landlock_tier_of_root() {
    battery(User::Root, "landlock");
}

#[test]
fn nothing_but_what_is_admitted_leaves_the_landlock_tier_of_an_ordinary_user() {
    battery(User::Ordinary, "landlock");
}

#[test]
fn a_program_in_namespaces_is_never_the_superuser_outside() {
    for user in [User::Root, User::Ordinary] {
        if !user.is_possible() {
            continue;
        }
        let place = Place::new(user);
        let argv = ["/bin/sh", "-c", "sleep 1000; : $0", &place.tag];
        let mut child = place.exec(&["--tier", "namespaces"], &argv).spawn().unwrap();
        let start = std::time::Instant::now();
        let status = loop {
            assert!(start.elapsed().as_secs() < 10, "the program did not start");
            let tree = processes_of(&place.tag).into_iter();
            let mut shells =
                tree.filter(|(_, line)| line.contains("sleep 1000; :") && !line.contains("sandbox exec"));
            // What was seen may be gone already.
            let status = shells.next().map(|(pid, _)| fs::read_to_string(format!("/proc/{pid}/status")));
            if let Some(Ok(status)) = status {
                break status;
            }
        };
        let ids = status.lines().filter(|line| line.starts_with("Uid:") || line.starts_with("Gid:"));
        let zero = ids.flat_map(|line| line.split_ascii_whitespace().skip(1)).any(|id| id == "0");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!zero, "{user:?}: {status}");
        assert_nothing_is_left(&place.tag);
    }
}

#[test]
fn without_a_sandbox_the_attempts_succeed() {
    let place = Place::new(User::Ordinary);
    let neighbours = Neighbours::of(&place);
    prepare(&place, &neighbours);
    let mut command = place.user.command("/usr/bin/python3");
    command.args(["-I", "attempts.py", "none"]).current_dir(place.at("work"));
    command.env("TOKEN", format!("secret-{}", place.tag)).env("HOME", place.at("work/out"));
    let (_, out, err) = output(command);
    let escaped: Vec<String> =
        rows(&out).into_iter().filter(|row| row.happened == "escaped").map(|row| row.name).collect();
    assert!(escaped.len() >= 70, "{} attempts have teeth: {escaped:?}\n{err}", escaped.len());
    assert!(neighbours.contacts().len() >= 5);
    // It has no namespace that would take these with it.
    for path in ["/tmp/rungate-left-", "/dev/shm/rungate-left-"] {
        let _ = fs::remove_file(format!("{path}{}", place.tag));
    }
}
