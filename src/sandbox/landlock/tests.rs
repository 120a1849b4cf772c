//! Rules against the real kernel. Landlock restricts a thread, so each test has one to give away.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use super::*;

/// Runs `test` in a thread of its own, unless the kernel has no Landlock: then says so.
#[expect(clippy::print_stderr, reason = "a skip is said aloud")]
fn restricted(needs: u32, test: impl FnOnce() + Send + 'static) {
    match abi() {
        Ok(version) if version >= needs => std::thread::spawn(test).join().unwrap(),
        other => {
            assert!(!is_ci(), "landlock ABI {needs} is needed: {other:?}");
            eprintln!("skipped: landlock ABI {needs} is needed, this kernel says {other:?}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is skipped only where nobody relies on it")]
fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

fn opened(path: &Path) -> OwnedFd {
    open(&CString::new(path.to_str().unwrap()).unwrap()).unwrap()
}

fn denied<T: std::fmt::Debug>(result: io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::PermissionDenied)
}

#[test]
fn what_is_not_named_cannot_be_opened_and_what_is_named_only_as_it_says() {
    restricted(1, || {
        let folder = tempfile::tempdir().unwrap();
        let [read, write, other] = ["read", "write", "other"].map(|name| folder.path().join(name));
        for path in [&read, &write, &other] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), "x").unwrap();
        }
        let rules = [(opened(&read), Access::Read), (opened(&write), Access::Write)];
        let enforced = restrict(&rules, Tcp::Any, UnixSockets::Own).unwrap();
        assert_eq!(enforced.abi, abi().unwrap());
        assert_eq!(fs::read_to_string(read.join("file")).unwrap(), "x");
        assert!(denied(fs::write(read.join("file"), "y")));
        assert!(denied(fs::write(read.join("new"), "y")));
        fs::write(write.join("file"), "y").unwrap();
        fs::rename(write.join("file"), write.join("new")).unwrap();
        assert!(denied(fs::read_to_string(other.join("file"))));
        assert!(denied(fs::read_dir(folder.path())));
        assert!(fs::hard_link(read.join("file"), write.join("link")).is_err());
        assert!(fs::rename(write.join("new"), other.join("new")).is_err());
    });
}

#[test]
fn a_rule_about_a_file_opens_that_file_alone() {
    restricted(1, || {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        restrict(&[(opened(&one), Access::Write)], Tcp::Any, UnixSockets::Any).unwrap();
        fs::write(&one, "3").unwrap();
        assert!(denied(fs::read(&two)));
        assert!(fs::remove_file(&one).is_err());
    });
}

#[test]
fn devices_can_be_used_and_not_made() {
    restricted(5, || {
        let folder = tempfile::tempdir().unwrap();
        let rules =
            [(opened(Path::new("/dev/null")), Access::Device), (opened(folder.path()), Access::Write)];
        restrict(&rules, Tcp::Any, UnixSockets::Own).unwrap();
        fs::write("/dev/null", "x").unwrap();
        let made = nix::sys::stat::mknod(
            &folder.path().join("null"),
            SFlag::S_IFCHR,
            nix::sys::stat::Mode::S_IRUSR,
            nix::sys::stat::makedev(1, 3),
        );
        assert!(matches!(made, Err(Errno::EACCES | Errno::EPERM)), "{made:?}");
        assert!(denied(fs::read("/dev/zero").map(drop)));
    });
}

#[test]
fn only_named_ports_are_connected_to_and_none_is_listened_on() {
    restricted(TCP, || {
        let [open, closed] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [open_port, closed_port] = [&open, &closed].map(|one| one.local_addr().unwrap().port());
        let none: [(OwnedFd, Access); 0] = [];
        restrict(&none, Tcp::Only(&[open_port]), UnixSockets::Own).unwrap();
        TcpStream::connect(("127.0.0.1", open_port)).unwrap();
        assert!(denied(TcpStream::connect(("127.0.0.1", closed_port))));
        assert!(denied(TcpListener::bind("127.0.0.1:0")));
    });
}

#[test]
fn signals_stay_in_their_domain_and_files_stay_as_they_were() {
    restricted(SCOPES, || {
        use nix::sys::signal::kill;
        use nix::unistd::{Pid, getppid};
        confine_signals().unwrap();
        // Signals between threads of one process are never held, so the parent is asked.
        assert_eq!(kill(getppid(), None), Err(Errno::EPERM));
        assert_eq!(kill(Pid::from_raw(1), None), Err(Errno::EPERM));
        fs::read("/etc/hostname").or_else(|_| fs::read("/etc/passwd")).unwrap();
    });
}

#[test]
fn a_path_that_is_missing_or_has_become_a_link_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| CString::new(folder.path().join(name).to_str().unwrap()).unwrap();
    assert_eq!(open(&path("no")).unwrap_err(), Errno::ENOENT);
    std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
    assert_eq!(open(&path("link")).unwrap_err(), Errno::ELOOP);
    assert_eq!(open(&path("link/passwd")).unwrap_err(), Errno::ELOOP);
}

#[test]
fn a_refusal_carries_the_kernels_word() {
    restricted(1, || {
        // A pipe is no place in a file system.
        let (pipe, _end) = nix::unistd::pipe().unwrap();
        let error = restrict(&[(pipe, Access::Read)], Tcp::Any, UnixSockets::Own).unwrap_err();
        assert_eq!(error.errno(), Errno::EBADFD);
    });
}

#[test]
fn rights_grow_only_as_they_should() {
    let at = |access: Access| access.rights(ABI::V9, true);
    assert!(at(Access::Execute).contains(at(Access::Read)));
    assert!(at(Access::Write).contains(at(Access::Execute)));
    assert!(!at(Access::Write).intersects(make_bitflags!(AccessFs::{MakeChar | MakeBlock | IoctlDev})));
    assert!(!at(Access::Execute).contains(AccessFs::ResolveUnix));
    assert_eq!(at(Access::List), make_bitflags!(AccessFs::{ReadDir}));
    assert!(!Access::Write.rights(ABI::V9, false).contains(AccessFs::ReadDir));
    assert!(!Access::Write.rights(ABI::V1, true).contains(AccessFs::Refer));
}
