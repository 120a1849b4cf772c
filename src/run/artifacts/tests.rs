use std::os::unix::fs::symlink;

use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::manifest::model::Archive;
use crate::plan::model::Text;
use crate::record::artifact::Packing;
use crate::run::stop::Stop;

struct Site {
    workspace: tempfile::TempDir,
    record: tempfile::TempDir,
    registry: Registry,
    stop: watch::Sender<Stop>,
}

impl Site {
    fn new(files: &[(&str, &str)]) -> Self {
        let workspace = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = workspace.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let record = tempfile::tempdir().unwrap();
        Self { workspace, record, registry: Registry::new(), stop: watch::Sender::default() }
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            workspace: self.workspace.path().to_owned(),
            record: self.record.path().to_owned(),
            registry: self.registry.clone(),
            stopped: self.stop.subscribe(),
            begun: Instant::now(),
            bytes_left: 1 << 20,
            files_left: 100,
        }
    }

    fn keep(&self, globs: &[&str], change: impl FnOnce(&mut PlannedArtifact)) -> ArtifactRecord {
        self.keeper().one(task("a", globs, change))
    }

    fn list(&self) -> Value {
        let text = std::fs::read(self.record.path().join("artifacts/a/manifest.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn paths(&self) -> Vec<String> {
        let list = self.list();
        let files = list["files"].as_array().unwrap().iter();
        files.map(|file| file["path"].as_str().unwrap().to_owned()).collect()
    }
}

fn task(name: &str, globs: &[&str], change: impl FnOnce(&mut PlannedArtifact)) -> Task {
    let globs: Vec<String> = globs.iter().map(ToString::to_string).collect();
    let mut planned = PlannedArtifact {
        name: Text::Known(name.to_owned()),
        path: globs.iter().cloned().map(Text::Known).collect(),
        when: ArtifactWhen::Always,
        if_no_files_found: OnMissing::Warn,
        include_hidden_files: false,
        mask: false,
        packing: Packing {
            archive: Archive::Zip,
            compression_level: 6,
            retention_days: None,
            overwrite: false,
        },
    };
    change(&mut planned);
    Task { name: name.to_owned(), globs, planned, not: None }
}

#[test]
fn paths_are_counted_from_what_all_patterns_share() {
    let files = [("b/x/one.txt", "1"), ("b/x/two.txt", "2"), ("b/y/three.txt", "3"), ("c.txt", "4")];
    let cases: [(&[&str], &[&str]); 7] = [
        (&["b/x/*.txt"], &["one.txt", "two.txt"]),
        (&["b"], &["x/one.txt", "x/two.txt", "y/three.txt"]),
        (&["b/x/one.txt"], &["one.txt"]),
        (&["b/x/one.txt", "b/y/three.txt"], &["x/one.txt", "y/three.txt"]),
        (&["b/x", "c.txt"], &["b/x/one.txt", "b/x/two.txt", "c.txt"]),
        (&["b/**", "!b/x/**"], &["y/three.txt"]),
        (&["**/one.txt"], &["b/x/one.txt"]),
    ];
    for (globs, paths) in cases {
        let site = Site::new(&files);
        let kept = site.keep(globs, |_| {});
        assert_eq!(
            (site.paths().as_slice(), kept.state),
            (paths.map_owned().as_slice(), ArtifactState::Kept),
            "{globs:?}"
        );
    }
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn the_list_tells_size_mode_and_digest_of_what_was_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new(&[("out/run.sh", "echo hi\n"), ("out/manifest.json", "{}")]);
    let program = site.workspace.path().join("out/run.sh");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o4750)).unwrap();
    let kept = site.keep(&["out"], |_| {});
    assert_eq!((kept.files, kept.bytes), (2, 10));
    let folder = site.record.path().join("artifacts/a");
    let text = std::fs::read(folder.join("manifest.rungate.json")).unwrap();
    assert_eq!(kept.manifest_sha256, Some(Sha256::of(&text)));
    assert_eq!(std::fs::read(folder.join("manifest.json")).unwrap(), b"{}", "the user's own file stays");
    let list: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        list["files"][1],
        json!({"path": "run.sh", "size": 8, "mode": "0750", "sha256": Sha256::of(b"echo hi\n").to_string()})
    );
}

#[test]
fn what_is_hostile_is_left_out_and_named() {
    let site = Site::new(&[("o/good", "x"), ("o/a:b", "x"), ("o/new\nline", "x"), ("outside", "secret")]);
    let folder = site.workspace.path().join("o");
    symlink("../outside", folder.join("link")).unwrap();
    symlink("/etc", folder.join("etc")).unwrap();
    std::fs::hard_link(site.workspace.path().join("outside"), folder.join("hard")).unwrap();
    nix::unistd::mkfifo(&folder.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let name = std::os::unix::ffi::OsStringExt::from_vec(b"bad\xff".to_vec());
    std::fs::write(folder.join::<std::ffi::OsString>(name), "x").unwrap();
    let kept = site.keep(&["o"], |_| {});
    assert_eq!((kept.state, site.paths()), (ArtifactState::Kept, vec!["good".to_owned()]));
    insta::assert_snapshot!(kept.left_out.join("\n"), @r#"
    a:b has ':' in its name, which cannot be unpacked everywhere
    o/bad\xff has a name that is not plain text
    o/etc is a symbolic link
    o/fifo is a FIFO
    o/hard has 2 hard links
    o/link is a symbolic link
    o/new\nline has a name that is not plain text
    "#);
}

#[test]
fn nothing_to_keep_means_what_the_author_says() {
    let site = Site::new(&[]);
    let states = [OnMissing::Error, OnMissing::Warn, OnMissing::Ignore].map(|how| {
        let kept = site.keep(&["build/*.xml", "!x"], |planned| planned.if_no_files_found = how);
        (kept.state, kept.reason)
    });
    let why = || Some("no file matches build/*.xml, !x".to_owned());
    assert_eq!(
        states,
        [(ArtifactState::Refused, why()), (ArtifactState::Empty, why()), (ArtifactState::Empty, None)]
    );
}

#[test]
fn what_is_too_large_is_not_kept_in_part() {
    let site = Site::new(&[("o/1", "12345"), ("o/2", "12345"), ("p/1", "1")]);
    let mut keeper = Keeper { bytes_left: 9, ..site.keeper() };
    let kept = keeper.one(task("a", &["o"], |_| {}));
    assert_eq!(kept.state, ArtifactState::Refused);
    assert!(kept.reason.as_deref().unwrap().starts_with("o/2 would make more than 9 bytes; "), "{kept:?}");
    assert!(!site.record.path().join("artifacts/a").exists());
    // What was not kept takes nothing from the others, and what was does.
    assert_eq!(keeper.one(task("b", &["p"], |_| {})).state, ArtifactState::Kept);
    assert_eq!((keeper.bytes_left, keeper.files_left), (8, 99));
    let mut keeper = Keeper { files_left: 1, ..site.keeper() };
    assert!(keeper.one(task("c", &["o"], |_| {})).reason.unwrap().contains("more than 1 files"));
}

#[test]
fn a_secret_refuses_the_artifact_and_is_not_said() {
    let long = format!("{}hunter2-hunter2 tail", "x".repeat(300_000));
    let site = Site::new(&[("o/a:b", "x"), ("o/log", &long)]);
    let _ = site.registry.add("hunter2-hunter2");
    assert_eq!(site.keep(&["o"], |_| {}).state, ArtifactState::Kept, "only where it is asked for");
    std::fs::remove_dir_all(site.record.path().join("artifacts")).unwrap();
    let kept = site.keep(&["o"], |planned| planned.mask = true);
    assert_eq!(
        (kept.state, kept.reason.as_deref()),
        (ArtifactState::Refused, Some("log holds a known secret, and `mask` is on"))
    );
    assert_eq!((kept.left_out.len(), kept.left_out_count), (1, 1), "what is named is counted");
    assert!(!site.record.path().join("artifacts/a").exists());
    // Encoded, and across the border of two pieces.
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, "hunter2-hunter2");
    let text = format!("{}{encoded}", "x".repeat((256 << 10) - 7));
    let site = Site { registry: site.registry.clone(), ..Site::new(&[("o/log", &text)]) };
    assert_eq!(site.keep(&["o"], |planned| planned.mask = true).state, ArtifactState::Refused);
    let site = Site { registry: site.registry.clone(), ..Site::new(&[("o/clean", "nothing")]) };
    assert_eq!(site.keep(&["o"], |planned| planned.mask = true).state, ArtifactState::Kept);
    // A name says as much as a text.
    let site = Site { registry: site.registry.clone(), ..Site::new(&[("o/hunter2-hunter2", "")]) };
    assert_eq!(site.keep(&["o"], |planned| planned.mask = true).state, ArtifactState::Refused);
}

#[test]
fn a_record_inside_the_workspace_is_not_taken_into_itself() {
    let site = Site::new(&[("x", "1")]);
    let record = site.workspace.path().join("out [1]");
    std::fs::create_dir_all(record.join("steps")).unwrap();
    std::fs::write(record.join("steps/log"), "1").unwrap();
    let kept = Keeper { record, ..site.keeper() }.one(task("a", &["**"], |_| {}));
    assert_eq!((kept.files, kept.left_out_count), (1, 0));
}

#[test]
fn names_that_differ_only_in_case_are_said() {
    let site = Site::new(&[("o/Readme", "1"), ("o/README", "1")]);
    let kept = site.keep(&["o"], |_| {});
    assert_eq!(kept.state, ArtifactState::Kept);
    assert!(kept.reason.unwrap().starts_with("README and Readme differ only in case"));
}

#[test]
fn one_file_is_one_file() {
    let site = Site::new(&[("o/1", "1"), ("o/2", "2")]);
    let none = |planned: &mut PlannedArtifact| planned.packing.archive = Archive::None;
    assert_eq!(
        site.keep(&["o"], none).reason.as_deref(),
        Some("`archive: none` takes exactly one file, and 2 match")
    );
    assert_eq!(site.keep(&["o/1"], none).state, ArtifactState::Kept);
}

#[test]
fn a_cancelled_run_waits_for_no_copy() {
    let site = Site::new(&[("o/1", "1")]);
    site.stop.send_replace(Stop { urgency: Urgency::Stop, why: Why::Asked });
    assert_eq!(site.keep(&["o"], |_| {}).state, ArtifactState::Kept, "what is quick is kept");
    let late = Instant::now().checked_sub(HURRY * 2).unwrap();
    let kept = Keeper { begun: late, ..site.keeper() }.one(task("b", &["o"], |_| {}));
    assert_eq!(kept.reason.as_deref(), Some("the run was cancelled before it was kept"));
    site.stop.send_replace(Stop { urgency: Urgency::Stop, why: Why::CommandTimeout });
    let kept = Keeper { begun: late, ..site.keeper() }.one(task("c", &["o"], |_| {}));
    assert_eq!(kept.state, ArtifactState::Kept, "logs of a run whose time was up are what people look for");
}

#[test]
fn results_decide_what_is_kept() {
    let all = [
        Conclusion::Success,
        Conclusion::Neutral,
        Conclusion::Failure,
        Conclusion::TimedOut,
        Conclusion::Cancelled,
    ];
    let kept = |when: ArtifactWhen| all.map(|conclusion| skipped(when, conclusion).is_none());
    assert_eq!(kept(ArtifactWhen::Always), [true; 5]);
    assert_eq!(kept(ArtifactWhen::Success), [true, true, false, false, false]);
    assert_eq!(kept(ArtifactWhen::Failure), [false, false, true, true, false]);
}

#[test]
fn a_tar_file_takes_links_that_stay_inside() {
    let site = Site::new(&[("o/sub/file", "x"), ("outside", "x")]);
    let folder = site.workspace.path().join("o");
    for (name, target) in [
        ("good", "sub/file"),
        ("sub/up", "../good"),
        ("dangling", "nothing"),
        ("bad-up", "../outside"),
        ("bad-root", "/etc/passwd"),
        ("bad-through", "sub/../../outside"),
        ("bad:colon", "sub/file"),
        ("self", "."),
    ] {
        symlink(target, folder.join(name)).unwrap();
    }
    let kept = site.keep(&["o"], |planned| planned.packing.archive = Archive::TarZst);
    let list = site.list();
    let links = list["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|file| Some((file["path"].as_str()?, file["link"].as_str()?)));
    assert_eq!(
        links.collect::<Vec<_>>(),
        [("dangling", "nothing"), ("good", "sub/file"), ("sub/up", "../good")]
    );
    assert_eq!((kept.files, kept.left_out_count), (4, 5), "{kept:?}");
    // Nothing in the record leads anywhere.
    assert!(site.record.path().join("artifacts/a/good").symlink_metadata().is_err());
}
