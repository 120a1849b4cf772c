//! What is found out about a workspace, asked of real git repositories, hostile ones among them.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::os::unix::fs::symlink;
use std::path::Path;

use rungate::environ::Environ;
use rungate::id::Sha256;
use rungate::plan::facts::{Facts, FileFact, PathProblem, Questions};
use rungate::request::RunRequest;
use rungate::sandbox::spawn::Sandbox;
use rungate::workspace;

use crate::context::{Repo, command};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

struct Asked<'a> {
    repo: &'a Repo,
    questions: Questions,
    request: RunRequest,
    environ: Vec<(&'a str, String)>,
}

fn ask(repo: &Repo) -> Asked<'_> {
    Asked {
        repo,
        questions: Questions::default(),
        request: RunRequest::default(),
        environ: vec![("PATH", PATH.to_owned())],
    }
}

impl<'a> Asked<'a> {
    fn script(mut self, path: &str) -> Self {
        self.questions.scripts.insert(path.parse().unwrap());
        self
    }

    fn changed(mut self) -> Self {
        self.questions.changed = true;
        self
    }

    fn files(mut self) -> Self {
        self.questions.files = true;
        self
    }

    fn with(mut self, name: &'a str, value: &str) -> Self {
        self.environ.push((name, value.to_owned()));
        self
    }

    fn event(self, event: &str) -> Self {
        let path = self.repo.state().join("event.json");
        std::fs::write(&path, event).unwrap();
        self.with("GITHUB_EVENT_PATH", path.to_str().unwrap())
    }

    fn facts(self) -> Facts {
        self.facts_in(Path::new(""))
    }

    fn facts_in(self, below: &Path) -> Facts {
        let environ = Environ::of(self.environ.iter().map(|(name, value)| (*name, value.as_str())));
        let sandbox = Sandbox::with_helper(env!("CARGO_BIN_EXE_rungate").into());
        workspace::facts(&self.questions, &self.repo.path().join(below), &environ, &self.request, &sandbox)
    }
}

fn git(repo: &Repo, args: &[&str]) -> String {
    let mut git = command("git");
    git.args(["-c", "user.name=T", "-c", "user.email=t@example.com"]).args(args).current_dir(repo.path());
    let output = git.output().unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn commit(repo: &Repo, message: &str) -> String {
    git(repo, &["add", "-A"]);
    git(repo, &["commit", "-q", "-m", message]);
    git(repo, &["rev-parse", "HEAD"])
}

fn repository() -> Repo {
    let repo = Repo::new("version: 1");
    repo.write("a.sh", "echo a\n");
    repo.write("docs/x.md", "x\n");
    repo.commit();
    repo
}

fn head(facts: &Facts) -> &str {
    facts.head.as_ref().unwrap().as_deref().unwrap()
}

fn changed(facts: &Facts) -> Vec<&str> {
    facts.changed.as_ref().unwrap().as_ref().unwrap().iter().map(String::as_str).collect()
}

#[test]
fn a_script_is_found_with_its_digest_and_whether_git_tracks_it() {
    let repo = repository();
    repo.write("new.sh", "new\n");
    symlink("a.sh", repo.path().join("link.sh")).unwrap();
    symlink("docs", repo.path().join("folder")).unwrap();
    nix::unistd::mkfifo(&repo.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let paths = ["a.sh", "new.sh", "link.sh", "folder/x.md", "docs", "gone.sh", "pipe", ".git/config"];
    let facts = paths.iter().fold(ask(&repo), |asked, path| asked.script(path)).facts();
    let fact = |path: &str| &facts.scripts[&path.parse().unwrap()];
    let found = |text: &str, tracked| FileFact::Found {
        sha256: Sha256::of(text.as_bytes()),
        text: None,
        tracked: Some(tracked),
    };
    assert_eq!(*fact("a.sh"), found("echo a\n", true));
    assert_eq!(*fact("new.sh"), found("new\n", false));
    assert_eq!(*fact("link.sh"), FileFact::Problem(PathProblem::Symlink));
    assert_eq!(*fact("folder/x.md"), FileFact::Problem(PathProblem::Symlink));
    assert_eq!(*fact("docs"), FileFact::Problem(PathProblem::WrongKind("a regular file")));
    assert_eq!(*fact("gone.sh"), FileFact::Problem(PathProblem::Missing));
    assert_eq!(*fact("pipe"), FileFact::Problem(PathProblem::WrongKind("a regular file")));
    assert!(matches!(fact(".git/config"), FileFact::Problem(PathProblem::Unreadable(_))));
}

#[test]
fn without_a_repository_nobody_says_what_is_tracked() {
    let repo = Repo::new("version: 1");
    repo.write("a.sh", "x");
    let facts = ask(&repo).script("a.sh").files().with("GITHUB_SHA", &"e".repeat(40)).facts();
    assert!(matches!(facts.scripts[&"a.sh".parse().unwrap()], FileFact::Found { tracked: None, .. }));
    assert_eq!(facts.files, Some(Ok(vec![".github/rungate.yml".to_owned(), "a.sh".to_owned()])));
    assert_eq!(head(&facts), "e".repeat(40), "there is nothing else to go by");
}

#[test]
fn a_broken_repository_lets_no_script_through() {
    let repo = repository();
    std::fs::write(repo.path().join(".git/index"), "nonsense").unwrap();
    let facts = ask(&repo).script("a.sh").files().facts();
    let FileFact::Problem(problem) = &facts.scripts[&"a.sh".parse().unwrap()] else { panic!() };
    assert!(problem.to_string().contains("whether git tracks it is not known"), "{problem}");
    assert!(facts.files.unwrap().is_err());
}

#[test]
fn without_git_the_program_nothing_is_taken_for_granted() {
    let repo = repository();
    let mut asked = ask(&repo).script("a.sh").changed();
    asked.environ = vec![("PATH", "/nonexistent".to_owned())];
    let facts = asked.facts();
    assert!(matches!(
        &facts.scripts[&"a.sh".parse().unwrap()],
        FileFact::Problem(PathProblem::Unreadable(_))
    ));
    assert!(facts.changed.unwrap().unwrap_err().contains("git is not installed"));
    assert_eq!(facts.head, Some(Ok(git(&repo, &["rev-parse", "HEAD"]))), "the commit is read without git");
}

#[test]
fn the_head_is_what_was_named_or_the_pull_requests_or_what_is_checked_out() {
    let repo = repository();
    let first = git(&repo, &["rev-parse", "HEAD"]);
    repo.write("b", "b");
    let second = commit(&repo, "second");
    let facts = ask(&repo).with("GITHUB_SHA", &"e".repeat(40)).facts();
    assert_eq!((head(&facts), facts.working_tree.as_deref()), (second.as_str(), None));
    let event = format!("{{\"pull_request\": {{\"head\": {{\"sha\": \"{first}\"}}}}}}");
    let facts = ask(&repo).event(&event).facts();
    assert_eq!((head(&facts), facts.working_tree.as_deref()), (first.as_str(), Some(second.as_str())));
    let named = |sha: &str| {
        let mut asked = ask(&repo).event(&event);
        asked.request.sha = Some(sha.to_owned());
        asked.facts()
    };
    assert_eq!(head(&named("HEAD~0")), second);
    assert_eq!(head(&named(&"f".repeat(40))), "f".repeat(40), "another clone may hold it");
    for bad in ["no-such", "--all", "", "a\0b", "HEAD:a.sh"] {
        assert!(named(bad).head.unwrap().is_err(), "{bad:?}");
    }
}

#[test]
fn the_checked_out_commit_is_found_in_every_form_of_a_repository() {
    let repo = repository();
    let sha = git(&repo, &["rev-parse", "HEAD"]);
    git(&repo, &["pack-refs", "--all", "--prune"]);
    assert!(!repo.path().join(".git/refs/heads/main").exists());
    assert_eq!(head(&ask(&repo).facts()), sha, "packed");
    git(&repo, &["checkout", "-q", "--detach"]);
    assert_eq!(head(&ask(&repo).facts()), sha, "detached");
    git(&repo, &["checkout", "-q", "-b", "feature/x"]);
    git(&repo, &["symbolic-ref", "refs/heads/alias", "refs/heads/feature/x"]);
    git(&repo, &["symbolic-ref", "HEAD", "refs/heads/alias"]);
    assert_eq!(head(&ask(&repo).facts()), sha, "through an alias");
    git(&repo, &["worktree", "add", "-q", "tree", "main"]);
    assert_eq!(head(&ask(&repo).facts_in(Path::new("tree"))), sha, "in another worktree");
    assert_eq!(head(&ask(&repo).facts_in(Path::new("docs"))), sha, "below the top");
    git(&repo, &["checkout", "-q", "--orphan", "empty"]);
    assert_eq!(ask(&repo).facts().head, None, "before the first commit");
}

#[test]
fn changes_are_counted_from_where_the_branches_parted() {
    let repo = repository();
    git(&repo, &["checkout", "-q", "-b", "topic"]);
    repo.write("mine.txt", "1");
    std::fs::remove_file(repo.path().join("docs/x.md")).unwrap();
    commit(&repo, "mine");
    git(&repo, &["checkout", "-q", "main"]);
    repo.write("theirs.txt", "1");
    let base = commit(&repo, "theirs");
    git(&repo, &["checkout", "-q", "topic"]);
    repo.write("a.sh", "changed here");
    repo.write("new \u{e9}.txt", "not yet added");
    repo.write(".gitignore", "ignored\n");
    repo.write("ignored", "x");
    let wanted = [".gitignore", "a.sh", "mine.txt", "new \u{e9}.txt"];
    assert_eq!(changed(&ask(&repo).changed().facts()), wanted, "against the default branch");
    let event = format!(
        "{{\"pull_request\": {{\"base\": {{\"sha\": \"{base}\"}}}}, \"before\": \"{}\"}}",
        "1".repeat(40)
    );
    let facts = ask(&repo).changed().event(&event).facts();
    assert_eq!(changed(&facts), wanted);
    assert_eq!(facts.base, Some(Ok(base)));
    let push = format!("{{\"before\": \"{}\"}}", "0".repeat(40));
    assert_eq!(
        changed(&ask(&repo).changed().event(&push).facts()),
        wanted,
        "a new branch has no commit before it"
    );
    let mut asked = ask(&repo).changed();
    asked.request.changed_since = Some("HEAD".to_owned());
    let facts = asked.facts();
    assert_eq!(changed(&facts), [".gitignore", "a.sh", "new \u{e9}.txt"]);
    assert_eq!(facts.base, None, "a base that nobody needs is not looked for");
}

#[test]
fn a_commit_that_the_clone_does_not_hold_is_named() {
    let repo = repository();
    let event = format!("{{\"pull_request\": {{\"base\": {{\"sha\": \"{}\"}}}}}}", "9".repeat(40));
    let facts = ask(&repo).changed().event(&event).facts();
    let problem = facts.changed.unwrap().unwrap_err();
    assert!(problem.contains("9999") && problem.contains("not in this clone"), "{problem}");
    let mut asked = ask(&repo);
    asked.request.base = Some("--output=/tmp/x".to_owned());
    assert!(asked.facts().base.unwrap().is_err());
    let alone = Repo::new("version: 1");
    assert!(ask(&alone).changed().facts().changed.unwrap().unwrap_err().contains("not a git repository"));
}

#[test]
fn an_event_that_cannot_be_read_is_noted() {
    let repo = repository();
    for (event, says) in [("{", "not JSON"), ("[[[[", "not JSON")] {
        let facts = ask(&repo).event(event).facts();
        assert!(facts.notes[0].contains(says), "{:?}", facts.notes);
    }
    let facts = ask(&repo).with("GITHUB_EVENT_PATH", repo.path().to_str().unwrap()).facts();
    assert!(facts.notes[0].contains("not a regular file"), "{:?}", facts.notes);
    assert!(ask(&repo).facts().notes.is_empty());
}

#[test]
fn files_are_those_that_git_tracks_and_that_are_there() {
    let repo = repository();
    repo.write("untracked", "x");
    std::fs::remove_file(repo.path().join("docs/x.md")).unwrap();
    let facts = ask(&repo).files().facts();
    assert_eq!(facts.files, Some(Ok(vec![".github/rungate.yml".to_owned(), "a.sh".to_owned()])));
    assert_eq!(ask(&repo).facts().files, None, "nobody asked");
}

#[test]
fn a_matcher_that_the_runner_would_refuse_is_no_matcher() {
    let repo = repository();
    let good = r#"{"problemMatcher": [{"owner": "x", "pattern": [{"regexp": "^(.+)$", "message": 1}]}]}"#;
    repo.write("good.json", good);
    repo.write("bad.json", "{}");
    let mut asked = ask(&repo);
    for path in ["good.json", "bad.json", "gone.json"] {
        asked.questions.matchers.insert(path.parse().unwrap());
    }
    let facts = asked.facts();
    let fact = |path: &str| &facts.matchers[&path.parse().unwrap()];
    assert!(matches!(fact("good.json"), FileFact::Found { text: Some(text), .. } if text == good));
    assert!(matches!(fact("bad.json"), FileFact::Problem(PathProblem::Unusable(_))));
    assert_eq!(*fact("gone.json"), FileFact::Problem(PathProblem::Missing));
}

#[test]
fn hashes_are_those_of_actions() {
    let repo = repository();
    symlink("a.sh", repo.path().join("link.sh")).unwrap();
    commit(&repo, "link");
    let mut asked = ask(&repo);
    for globs in [&["*.sh"][..], &["**/*.md", "*.sh"], &["nothing"], &["a["]] {
        asked.questions.hashes.insert(globs.iter().map(|glob| (*glob).to_owned()).collect());
    }
    let facts = asked.facts();
    let hash = |globs: &[&str]| {
        facts.hashes[&globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>()].clone()
    };
    let (script, text) = (Sha256::of(b"echo a\n"), Sha256::of(b"x\n"));
    assert_eq!(hash(&["*.sh"]), Ok(Sha256::of_all([script]).to_string()));
    assert_eq!(hash(&["**/*.md", "*.sh"]), Ok(Sha256::of_all([script, text]).to_string()));
    assert_eq!(hash(&["nothing"]), Ok(String::new()));
    assert!(hash(&["a["]).unwrap_err().contains("not a glob"));
}

#[test]
fn nothing_that_the_repository_configured_runs() {
    let repo = repository();
    let base = git(&repo, &["rev-parse", "HEAD"]);
    let trap = repo.state().join("sprung");
    let sprung = format!("touch {}; cat", trap.display());
    repo.write(".gitattributes", "* filter=trap diff=trap\n");
    let hooks = repo.path().join(".git/hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for hook in ["post-index-change", "reference-transaction", "fsmonitor-watchman"] {
        let path = hooks.join(hook);
        std::fs::write(&path, format!("#!/bin/sh\n{sprung}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    for (key, value) in [
        ("filter.trap.clean", sprung.as_str()),
        ("filter.trap.process", &sprung),
        ("filter.trap.required", "true"),
        ("diff.trap.textconv", &sprung),
        ("diff.trap.command", &sprung),
        ("diff.external", &sprung),
        ("core.fsmonitor", &sprung),
        ("core.sshCommand", &sprung),
        ("core.worktree", "/"),
        ("protocol.ext.allow", "always"),
    ] {
        std::fs::write(repo.path().join(".git/more"), "").unwrap();
        let mut config = command("git");
        config.args(["config", "--file"]).arg(repo.path().join(".git/config")).args([key, value]);
        assert!(config.status().unwrap().success());
    }
    // Written after the index, and of the same length: git has to read them to know.
    repo.write("a.sh", "echo b\n");
    repo.write("docs/x.md", "y\n");
    let mut asked = ask(&repo).changed().files().script("a.sh");
    asked.request.base = Some(base);
    let facts = asked.facts();
    assert_eq!(changed(&facts), [".gitattributes", "a.sh", "docs/x.md"]);
    assert!(facts.files.unwrap().unwrap().contains(&"a.sh".to_owned()));
    assert!(!trap.exists(), "a program of the repository's configuration was run");
}

#[test]
fn a_filter_that_no_option_can_name_is_an_error() {
    let repo = repository();
    let mut config = command("git");
    config
        .args(["config", "--file"])
        .arg(repo.path().join(".git/config"))
        .args(["filter.a=b.clean", "false"]);
    assert!(config.status().unwrap().success());
    let problem = ask(&repo).changed().facts().changed.unwrap().unwrap_err();
    assert!(problem.contains("cannot be switched off"), "{problem}");
}

#[test]
fn a_repository_of_another_user_is_read() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can give files away; the rest of what this is about needs no root.
        return;
    }
    let repo = repository();
    let sha = git(&repo, &["rev-parse", "HEAD"]);
    let other = Some(nix::unistd::Uid::from_raw(12345));
    for path in ["", ".git", ".git/HEAD", ".git/config", "a.sh"] {
        nix::unistd::chown(&repo.path().join(path), other, None).unwrap();
    }
    let facts = ask(&repo).script("a.sh").files().changed().facts();
    assert_eq!(head(&facts), sha);
    assert!(matches!(facts.scripts[&"a.sh".parse().unwrap()], FileFact::Found { tracked: Some(true), .. }));
    assert!(facts.files.unwrap().is_ok());
    assert!(facts.changed.unwrap().is_ok());
}

#[test]
fn git_is_never_taken_from_the_repository() {
    let repo = repository();
    let trap = repo.state().join("sprung");
    repo.write("bin/git", &format!("#!/bin/sh\ntouch {}\n", trap.display()));
    let path = repo.path().join("bin/git");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut asked = ask(&repo).script("a.sh").files();
    asked.environ = vec![("PATH", format!("{}/bin:{PATH}", repo.path().display()))];
    assert!(matches!(
        asked.facts().scripts[&"a.sh".parse().unwrap()],
        FileFact::Found { tracked: Some(true), .. }
    ));
    assert!(!trap.exists());
}
