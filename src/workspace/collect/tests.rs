//! Folders as a hostile script would leave them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use nix::sys::stat::Mode;

use super::*;
use crate::workspace::files::Beneath;

const CAPS: Caps = Caps { bytes: 1 << 20, files: 100, depth: 16 };

fn folder(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    root
}

fn wanted(patterns: &[&str]) -> Wanted {
    Wanted::new(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), Hidden::Skip).unwrap()
}

/// Paths that were taken, and what was said about the others.
fn taken(root: &Path, wanted: &Wanted, caps: Caps) -> (Vec<String>, Vec<String>) {
    let mut walk = Walk::new(&Beneath::open(root).unwrap(), wanted, caps).unwrap();
    let paths = walk.by_ref().map(|collected| collected.path).collect();
    (paths, walk.notes().0.iter().map(ToString::to_string).collect())
}

#[test]
fn globs_take_files_and_whole_folders_in_the_order_of_their_names() {
    let root =
        folder(&["b/two.xml", "b/one.xml", "b/deep/er/x.txt", "b/tmp/x", "a.txt", "c/x", ".h/x", "b/.h"]);
    let all = |patterns: &[&str]| taken(root.path(), &wanted(patterns), CAPS);
    let none: Vec<String> = Vec::new();
    assert_eq!(all(&["b/*.xml"]), (vec!["b/one.xml".into(), "b/two.xml".into()], none.clone()));
    assert_eq!(all(&["./b/", "!b/tmp"]).0, ["b/deep/er/x.txt", "b/one.xml", "b/two.xml"]);
    assert_eq!(all(&["**/x.txt", "a.txt"]).0, ["a.txt", "b/deep/er/x.txt"]);
    assert_eq!(all(&["."]).0.len(), 6);
    assert_eq!(all(&["nothing/**"]), (none.clone(), none));
    let patterns = ["**".to_owned()];
    let everything = Wanted::new(&patterns, Hidden::Take).unwrap();
    assert_eq!(taken(root.path(), &everything, CAPS).0.len(), 8);
}

#[test]
fn git_and_our_own_folder_are_never_taken() {
    let root = folder(&[".git/config", "sub/.git/config", ".rungate/runs/x", "a"]);
    let everything = Wanted::new(&["**".to_owned(), ".git/config".to_owned()], Hidden::Take).unwrap();
    assert_eq!(taken(root.path(), &everything, CAPS), (vec!["a".into()], vec![]));
}

#[test]
fn what_is_no_plain_file_of_one_name_is_named_and_left() {
    let root = folder(&["a", "real/x"]);
    let outside = folder(&["secret", "folder/secret"]);
    let at = |name: &str| root.path().join(name);
    symlink(outside.path().join("secret"), at("link")).unwrap();
    symlink(outside.path().join("folder"), at("folder")).unwrap();
    symlink("/proc/self/environ", at("magic")).unwrap();
    fs::hard_link(outside.path().join("secret"), at("hard")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let (paths, notes) = taken(root.path(), &wanted(&["**"]), CAPS);
    assert_eq!(paths, ["a", "real/x"]);
    assert_eq!(
        notes,
        [
            "folder is a symbolic link",
            "hard has 2 hard links",
            "link is a symbolic link",
            "magic is a symbolic link",
            "pipe is a FIFO",
            "socket is a socket",
        ]
    );
}

#[test]
fn names_that_archives_and_terminals_read_in_their_own_way_are_escaped_and_left() {
    let root = folder(&["a", "x\u{1b}[31m\n::error::", "a\\..\\up"]);
    fs::write(root.path().join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    let (paths, notes) = taken(root.path(), &wanted(&["**"]), CAPS);
    assert_eq!(paths, ["a"]);
    assert_eq!(
        notes,
        [
            "a\\\\..\\\\up has a name that is not plain text",
            "x\\x1b[31m\\n::error:: has a name that is not plain text",
            "\\xff\\xfe has a name that is not plain text",
        ]
    );
}

#[test]
fn caps_end_the_walk_and_say_so() {
    let root = folder(&["a", "b", "c", "d/e/f"]);
    let everything = wanted(&["**"]);
    let with = |caps| taken(root.path(), &everything, caps);
    assert_eq!(
        with(Caps { files: 2, ..CAPS }),
        (vec!["a".into(), "b".into()], vec!["c would be more than 2 files".into()])
    );
    assert_eq!(with(Caps { bytes: 2, ..CAPS }).1, ["c would make more than 2 bytes"]);
    assert_eq!(with(Caps { depth: 1, ..CAPS }).1, ["d/e is nested deeper than 1 folders"]);
    let sparse = File::create(root.path().join("b")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let mut walk = Walk::new(&Beneath::open(root.path()).unwrap(), &everything, CAPS).unwrap();
    assert_eq!(walk.by_ref().count(), 1);
    assert!(walk.is_cut());
}

#[test]
fn notes_do_not_grow_with_what_they_are_about() {
    let root = folder(&[]);
    for number in 0..250 {
        symlink("x", root.path().join(number.to_string())).unwrap();
    }
    let everything = wanted(&["**"]);
    let mut walk = Walk::new(&Beneath::open(root.path()).unwrap(), &everything, CAPS).unwrap();
    assert_eq!(walk.by_ref().count(), 0);
    let (notes, more) = walk.notes();
    assert_eq!((notes.len(), more), (100, 150));
}

#[test]
fn a_folder_that_changes_under_the_walk_leads_nowhere() {
    let root = folder(&["a/x", "b/y", "c"]);
    let outside = folder(&["y"]);
    let everything = wanted(&["**"]);
    let mut walk = Walk::new(&Beneath::open(root.path()).unwrap(), &everything, CAPS).unwrap();
    assert_eq!(walk.next().unwrap().path, "a/x");
    fs::remove_dir_all(root.path().join("b")).unwrap();
    symlink(outside.path(), root.path().join("b")).unwrap();
    fs::remove_file(root.path().join("c")).unwrap();
    symlink(outside.path().join("y"), root.path().join("c")).unwrap();
    assert!(walk.next().is_none());
    let notes: Vec<String> = walk.notes().0.iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["b is a symbolic link", "c is a symbolic link"]);
}

#[test]
fn an_unreadable_folder_is_reported() {
    let root = folder(&["a", "locked/x"]);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(root.path(), 0o755);
    mode(&root.path().join("locked"), 0o000);
    // Nothing is unreadable for root, so this thread looks at files as nobody, which is all that this call changes.
    let look = || {
        nix::unistd::setfsuid(65534.into());
        taken(root.path(), &wanted(&["**"]), CAPS)
    };
    let (paths, notes) = std::thread::scope(|scope| scope.spawn(look).join().unwrap());
    assert_eq!((paths, notes), (vec!["a".into()], vec!["locked cannot be read: Permission denied".into()]));
}

#[test]
fn copies_are_what_was_checked_and_never_more() {
    let root = folder(&["deep/file"]);
    fs::set_permissions(root.path().join("deep/file"), fs::Permissions::from_mode(0o4755)).unwrap();
    let everything = wanted(&["**"]);
    let open = || {
        let mut walk = Walk::new(&Beneath::open(root.path()).unwrap(), &everything, CAPS).unwrap();
        walk.next().unwrap()
    };
    let target = tempfile::tempdir().unwrap();
    let kept = |collected: Collected, folder: &Path| {
        let (mut seen, target) = (Vec::new(), folder.join(&collected.path));
        keep(collected, &target, |piece| {
            seen.extend_from_slice(piece);
            Ok(())
        })
        .map(|()| assert_eq!(seen, fs::read(target).unwrap()))
    };
    let collected = open();
    assert_eq!((collected.size, collected.mode), (9, 0o755));
    fs::write(root.path().join("deep/file"), "deep/file and more").unwrap();
    kept(collected, target.path()).unwrap();
    assert_eq!(fs::read_to_string(target.path().join("deep/file")).unwrap(), "deep/file");
    assert!(kept(open(), target.path()).is_err(), "a copy never replaces another");
    let collected = open();
    fs::write(root.path().join("deep/file"), "").unwrap();
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(kept(collected, fresh.path()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
