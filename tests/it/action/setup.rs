//! `scripts/action/setup.sh`: which program a job gets, and what it does not get.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest as _, Sha256};

use crate::context::{Ran, command};

const OWN: &str = env!("CARGO_PKG_VERSION");

/// A program that says it is rungate of a version.
fn program(version: &str) -> Vec<u8> {
    format!("#!/bin/sh\n[ \"$1\" = --version ] && echo 'rungate {version}'\n").into_bytes()
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _always = write!(text, "{byte:02x}");
        text
    })
}

struct Host {
    folder: tempfile::TempDir,
    /// What has been given out.
    output: PathBuf,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "temp"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let output = folder.path().join("output");
        Self { folder, output }
    }

    fn install(&self, version: &str) -> PathBuf {
        let path = self.folder.path().join("bin/rungate");
        std::fs::write(&path, program(version)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Runs the script, and gives what it said and the program that it chose.
    fn setup(&self, env: &[(&str, &str)]) -> (Ran, Option<String>) {
        std::fs::write(&self.output, "").unwrap();
        let path = format!("{}:{}", self.folder.path().join("bin").display(), crate::context::path());
        let mut script =
            command(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/action/setup.sh").to_str().unwrap());
        script.env("PATH", path).env("RUNNER_TEMP", self.folder.path().join("temp"));
        script.env("GITHUB_OUTPUT", &self.output).envs(env.iter().copied()).stdin(Stdio::null());
        let ran = Ran::from(script.output().unwrap());
        let output = std::fs::read_to_string(&self.output).unwrap();
        let chosen = output.strip_prefix("program=").map(|path| path.trim_end().to_owned());
        assert_eq!(ran.code == Some(0), chosen.is_some(), "{}{}", ran.stdout, ran.stderr);
        (ran, chosen)
    }
}

/// Where rungate is installed on the machine that runs the tests, "none" is not to be had.
fn is_installed_here() -> bool {
    let found = ["/usr/local/bin/rungate", "/usr/bin/rungate", "/opt/rungate/bin/rungate"];
    let is = found.iter().any(|path| Path::new(path).exists());
    if is {
        assert!(crate::context::variable("CI").is_none(), "rungate is installed on the CI machine");
        let _ = writeln!(std::io::stderr(), "skipped: rungate is installed on this machine");
    }
    is
}

#[test]
fn an_installed_program_of_the_same_line_is_used() {
    let host = Host::new();
    let installed = host.install(OWN).display().to_string();
    let (ran, chosen) = host.setup(&[("INSTALL", "never")]);
    assert_eq!(chosen.as_deref(), Some(installed.as_str()), "{}", ran.stderr);
    let (major, rest) = OWN.split_once('.').unwrap();
    let (minor, patch) = rest.split_once('.').unwrap();
    let number = |text: &str| text.parse::<u32>().unwrap();
    host.install(&format!("{major}.{minor}.{}", number(patch) + 1));
    assert!(host.setup(&[("INSTALL", "never")]).1.is_some(), "a newer one of the same line fits");
    if is_installed_here() {
        return;
    }
    for other in [
        format!("{}.{minor}.{patch}", number(major) + 1),
        format!("{major}.{}.{patch}", number(minor) + 1),
        "garbage".to_owned(),
        String::new(),
    ] {
        host.install(&other);
        let (ran, chosen) = host.setup(&[("INSTALL", "never")]);
        assert_eq!((ran.code, chosen), (Some(4), None), "{other}");
        assert!(ran.stderr.contains("::error"), "{}", ran.stderr);
    }
}

#[test]
fn a_version_or_a_digest_that_was_given_is_kept_to() {
    if is_installed_here() {
        return;
    }
    let host = Host::new();
    host.install("9.8.7");
    assert!(host.setup(&[("INSTALL", "never"), ("VERSION", "9.8.7")]).1.is_some());
    assert!(host.setup(&[("INSTALL", "never"), ("VERSION", "9.8.8")]).1.is_none());
    let right = digest(&program("9.8.7"));
    let upper = right.to_uppercase();
    for (sha256, is_right) in [(right.as_str(), true), (&upper, true), (&digest(b"other"), false)] {
        let env = [("INSTALL", "never"), ("VERSION", "9.8.7"), ("SHA256", sha256)];
        assert_eq!(host.setup(&env).1.is_some(), is_right, "{sha256}");
    }
    for (name, value) in
        [("VERSION", "../9.8.7"), ("VERSION", "--help"), ("SHA256", "abc"), ("INSTALL", "maybe")]
    {
        let host = Host::new();
        let (ran, chosen) = host.setup(&[(name, value)]);
        assert_eq!((ran.code, chosen), (Some(4), None), "{name}={value}");
    }
}

#[test]
fn a_program_with_another_digest_is_not_even_started() {
    let host = Host::new();
    let mark = host.folder.path().join("started");
    let path = host.install(OWN);
    std::fs::write(&path, format!("#!/bin/sh\ntouch {}\necho rungate {OWN}\n", mark.display())).unwrap();
    let other = digest(b"other");
    assert!(host.setup(&[("INSTALL", "never"), ("SHA256", &other)]).1.is_none());
    assert!(!mark.exists());
}

/// A server on the loopback interface that has these files.
fn serve(files: BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let path = first.split(' ').nth(1).unwrap();
            let (status, body) = match files.get(path) {
                Some(body) => ("200 OK", body.as_slice()),
                None => ("404 Not Found", &b""[..]),
            };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    url
}

/// A release of `version` whose archive has `program`, and whose list of digests names `sha256` or the right one.
fn release(version: &str, program: &[u8], sha256: Option<&str>) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let machine = String::from_utf8(command("uname").arg("-m").output().unwrap().stdout).unwrap();
    let name = format!("rungate-{version}-{}-unknown-linux-musl", machine.trim());
    let inside = folder.path().join(&name);
    std::fs::create_dir_all(inside.join("share/doc")).unwrap();
    std::fs::write(inside.join("share/doc/README.md"), "").unwrap();
    std::fs::write(inside.join("rungate"), program).unwrap();
    std::fs::set_permissions(inside.join("rungate"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let archive = format!("{name}.tar.gz");
    let packed = command("tar")
        .arg("-czf")
        .arg(folder.path().join(&archive))
        .arg("-C")
        .arg(folder.path())
        .arg(&name)
        .status();
    assert!(packed.unwrap().success());
    let bytes = std::fs::read(folder.path().join(&archive)).unwrap();
    let sha256 = sha256.map_or_else(|| digest(&bytes), str::to_owned);
    BTreeMap::from([
        (format!("/{archive}"), bytes),
        ("/SHA256SUMS".to_owned(), format!("{sha256}  {archive}\n").into_bytes()),
    ])
}

#[test]
fn a_release_is_installed_for_this_job_alone_when_its_digest_is_right() {
    if is_installed_here() {
        return;
    }
    let host = Host::new();
    let url = serve(release(OWN, &program(OWN), None));
    let (ran, chosen) = host.setup(&[("RELEASE_URL", &url)]);
    let chosen = PathBuf::from(chosen.unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr)));
    assert!(chosen.starts_with(host.folder.path().join("temp")), "{}", chosen.display());
    let folder = chosen.ancestors().nth(2).unwrap();
    assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o77, 0, "{}", folder.display());
}

#[test]
fn a_release_that_is_not_what_it_says_is_not_installed() {
    if is_installed_here() {
        return;
    }
    let wrong = digest(b"something else");
    let mut unnamed = release(OWN, &program(OWN), None);
    unnamed.insert("/SHA256SUMS".to_owned(), b"0000  other.tar.gz\n".to_vec());
    let mut absent = release(OWN, &program(OWN), None);
    absent.remove("/SHA256SUMS");
    for (files, words) in [
        (release(OWN, &program(OWN), Some(&wrong)), ", and not "),
        (unnamed, "SHA256SUMS does not name"),
        (absent, "SHA256SUMS cannot be downloaded"),
        (release(OWN, &program("0.0.1"), None), "is not what was asked for"),
        (BTreeMap::new(), "could be installed"),
    ] {
        let host = Host::new();
        let url = serve(files);
        let (ran, chosen) = host.setup(&[("RELEASE_URL", &url)]);
        assert_eq!((ran.code, chosen), (Some(4), None), "{words}: {}", ran.stdout);
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    // In clear text nothing is asked for, but of this machine.
    let (ran, chosen) = Host::new().setup(&[("RELEASE_URL", "http://192.0.2.1")]);
    assert_eq!((ran.code, chosen), (Some(4), None), "{}", ran.stderr);
    assert!(ran.stderr.contains("is not HTTPS"), "{}", ran.stderr);
}

#[test]
fn a_build_from_source_takes_the_actions_own_source() {
    if is_installed_here() {
        return;
    }
    let host = Host::new();
    let cargo = host.folder.path().join("bin/cargo");
    // In place of cargo: it notes where and how it was called, and makes a program.
    let script = format!(
        "#!/bin/sh\npwd > {0}/called; echo \"$*\" >> {0}/called\nwhile [ \"$1\" != --root ]; do shift; done\n\
         mkdir -p \"$2/bin\"\nprintf '#!/bin/sh\\necho rungate {OWN}\\n' > \"$2/bin/rungate\"\nchmod +x \"$2/bin/rungate\"\n",
        host.folder.path().display()
    );
    std::fs::write(&cargo, script).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (ran, chosen) = host.setup(&[("INSTALL", "source")]);
    assert!(chosen.is_some_and(|path| path.ends_with("/bin/rungate")), "{}{}", ran.stdout, ran.stderr);
    let called = std::fs::read_to_string(host.folder.path().join("called")).unwrap();
    assert!(called.starts_with(env!("CARGO_MANIFEST_DIR")) && called.contains("--locked"), "{called}");
    // Another version than that of the source cannot be built from it.
    assert_eq!(host.setup(&[("INSTALL", "source"), ("VERSION", "9.8.7")]).0.code, Some(4));
}
