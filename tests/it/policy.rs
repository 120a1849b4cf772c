//! The host's policy against the real program: what it admits, what it takes away, and every way around it that a
//! repository, a workflow or a caller could think of.
//!
//! `/etc/rungate/policy.yml` is where the program looks and nowhere else, so that each run gets an `/etc` of its own, in a
//! mount namespace. That takes root.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::context::{Ran, command};
use crate::fake::Fake;
use crate::fake::world::APP_KEY;
use crate::place::User;

mod attempts;
mod verified;

/// What a host with this policy admits: pushes of octocat to main, and five commands.
const POLICY: &str = "\
version: 1
max-timeout-minutes: 1
secret-sources: {HOST_KEY: 'file:/etc/rungate/secret'}
allow:
- repository: acme/widgets
  refs: [refs/heads/main]
  events: [push]
  actors: [octocat]
  commands: [c, net, data, job-secret, host-secret]
";

const MANIFEST: &str = "\
version: 1
commands:
  c: {steps: [{id: a, shell: sh, run: 'echo ran'}]}
  other: {steps: [{id: a, shell: sh, run: 'echo ran'}]}
  net: {steps: [{id: a, shell: sh, run: 'echo ran', sandbox: {network: host}}]}
  data: {steps: [{id: a, shell: sh, run: 'echo ran', sandbox: {read: [/opt]}}]}
  job-secret: {secrets: [JOB_KEY], steps: [{id: a, shell: sh, run: 'echo ${#KEY}', env: {KEY: '${{ secrets.JOB_KEY }}'}}]}
  host-secret: {secrets: [HOST_KEY], steps: [{id: a, shell: sh, run: 'echo ${#KEY}', env: {KEY: '${{ secrets.HOST_KEY }}'}}]}
";

/// What a job of that host has in its environment.
const JOB: [(&str, &str); 6] = [
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_REPOSITORY", "acme/widgets"),
    ("GITHUB_REF", "refs/heads/main"),
    ("GITHUB_EVENT_NAME", "push"),
    ("GITHUB_ACTOR", "octocat"),
    ("JOB_KEY", "a secret of the job"),
];

/// Files of the real `/etc` without which programs do not run.
const NEEDED: [&str; 4] = ["passwd", "group", "ld.so.cache", "nsswitch.conf"];

/// Puts the folder that it is given in the place of `/etc`, with the real authorities in it, and goes on with the program.
const ENTER: &str = "\
for d in ssl pki; do [ ! -d /etc/$d ] || { mkdir -p \"$0/$d\" && mount --bind /etc/$d \"$0/$d\"; } || exit 99; done
mount --rbind \"$0\" /etc && exec \"$@\"";

/// A host with an `/etc` of its own, and a workspace.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    /// A host with this policy.
    fn with(policy: &str) -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["etc/rungate", "work/.github", "state"] {
            fs::create_dir_all(host.path(folder)).unwrap();
        }
        for name in NEEDED {
            // Not every system has all of them.
            let _ = fs::copy(Path::new("/etc").join(name), host.path("etc").join(name));
        }
        for folder in ["etc", "etc/rungate"] {
            host.set_mode(folder, 0o755);
        }
        host.write("etc/rungate/policy.yml", policy);
        host.write("etc/rungate/secret", "a secret of the host\n");
        host.set_mode("etc/rungate/secret", 0o600);
        host.write("work/.github/rungate.yml", MANIFEST);
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn give_away(&self, path: &str) {
        chown(self.path(path), Some(65_534), Some(65_534)).unwrap();
    }

    /// The program as this host runs it, with nothing of the caller's environment.
    fn program(&self, args: &[&str]) -> Command {
        let mut program = command("unshare");
        program.args(["--mount", "--", "/bin/sh", "-c", ENTER]);
        program.arg(self.path("etc")).arg(env!("CARGO_BIN_EXE_rungate")).args(args);
        program.current_dir(self.path("work")).stdin(Stdio::null());
        program.env("RUNGATE_STATE_DIR", self.path("state"));
        program
    }

    /// Runs it as a job would, where `env` goes over what a job has; an empty variable is as good as none.
    fn job(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        let mut program = self.program(args);
        program.envs(JOB).envs(env.iter().copied());
        Ran::from(program.output().unwrap())
    }
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", ran.stdout, ran.stderr))
}

#[test]
fn what_the_policy_admits_runs() {
    if !User::Root.is_possible() {
        return;
    }
    let host = Host::with(POLICY);
    let ran = host.job(&["run", "c", "--check-run", "off"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // Its time is cut down, and that is said.
    let plan = document(&host.job(&["plan", "c", "--format", "json"], &[]));
    assert_eq!(plan["timeout_seconds"], 60.0);
    let notes = plan["notes"].to_string();
    assert!(notes.contains("/etc/rungate/policy.yml:2"), "{notes}");
    // A secret that the job has is the job's to give.
    let ran = host.job(&["run", "job-secret", "--check-run", "off"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_host_without_a_policy_is_as_it_was() {
    if !User::Root.is_possible() {
        return;
    }
    let host = Host::with(POLICY);
    fs::remove_file(host.path("etc/rungate/policy.yml")).unwrap();
    let ran = host.job(&["run", "other", "--check-run", "off"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = host.job(&["plan", "other", "--explain"], &[]);
    assert!(ran.stdout.contains("this host has none"), "{}", ran.stdout);
    let ran = host.job(&["run", "net"], &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}

#[test]
fn a_rule_can_open_what_is_closed() {
    if !User::Root.is_possible() {
        return;
    }
    let open = "  secrets: [HOST_KEY]\n  sandbox: {network: host, mode: off}\n  verbs: [run, exec]\n";
    let host = Host::with(&format!("{POLICY}{open}"));
    for args in [
        &["run", "net"][..],
        &["run", "c", "--sandbox", "off"],
        &["run", "c", "--sandbox", "best-effort"],
        &["run", "c", "--allow", "degraded"],
        &["sandbox", "exec", "--network", "host", "--", "/bin/true"],
    ] {
        let ran = host.job(args, &[]);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
    }
    // The secret is the host's, whatever the job's environment holds under that name, and it is shown to nobody.
    let ran = host.job(&["run", "host-secret", "-v"], &[("HOST_KEY", "the job's own")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains(&"a secret of the host".len().to_string()), "{}", ran.stderr);
    assert!(!ran.stderr.contains("a secret of the host"), "{}", ran.stderr);
    // One that cannot be had is a refusal, and not the job's own instead.
    host.set_mode("etc/rungate/secret", 0o644);
    let ran = host.job(&["run", "host-secret"], &[("HOST_KEY", "the job's own")]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("can be read by everybody"), "{}", ran.stderr);
}

#[test]
fn the_plan_says_which_rule_decided() {
    if !User::Root.is_possible() {
        return;
    }
    let host = Host::with(POLICY);
    let ran = host.job(&["plan", "c", "--explain"], &[]);
    let explained = ran.stdout.split_once("\npolicy\n").unwrap().1.to_owned();
    insta::assert_snapshot!(explained, @"
    facts (unverified, from the environment): repository acme/widgets, ref refs/heads/main, event push, actor octocat, from a fork: no
    rule at /etc/rungate/policy.yml:5: matches
    admitted by the rule at /etc/rungate/policy.yml:5
    at most 1m 00s (/etc/rungate/policy.yml:2)
    no network of the host (/etc/rungate/policy.yml:5)
    --sandbox required is the weakest (/etc/rungate/policy.yml:5)
    ");
    let ran = host.job(&["plan", "other", "--explain"], &[("GITHUB_EVENT_NAME", "pull_request")]);
    assert_eq!(ran.code, Some(3));
    insta::assert_snapshot!(format!("{}{}", ran.stdout, ran.stderr), @"
    policy
      facts (unverified, from the environment): repository acme/widgets, ref refs/heads/main, event pull_request, actor octocat, from a fork: unknown
      rule at /etc/rungate/policy.yml:5: `events` does not name `pull_request`; code from a fork may be in it, and `forks: true` is not said; `commands` does not name `other`
      refused at /etc/rungate/policy.yml:1: no rule admits the command `other` of acme/widgets (line 5: `events` does not name `pull_request`, code from a fork may be in it, and `forks: true` is not said, `commands` does not name `other`)
    error: refused by host policy: /etc/rungate/policy.yml:1: no rule admits the command `other` of acme/widgets (line 5: `events` does not name `pull_request`, code from a fork may be in it, and `forks: true` is not said, `commands` does not name `other`)
    help: ask the administrator of this host; `rungate plan COMMAND --explain` shows what its policy says
    ");
    let ran = host.job(&["plan", "other", "--explain", "--format", "json"], &[]);
    let policy = &document(&ran)["policy"];
    assert_eq!((ran.code, &policy["admitted"]), (Some(3), &Value::Bool(false)));
    assert_eq!(policy["policies"][0]["outcome"], "refused");
    assert_eq!(policy["facts"]["verified"], false);
    let ran = host.job(&["plan", "c", "--explain", "--format", "json"], &[]);
    assert_eq!(document(&ran)["policy"]["policies"][0]["at"], "/etc/rungate/policy.yml:5");
}

#[test]
fn what_the_policy_requires_reaches_every_step() {
    if !User::Root.is_possible() {
        return;
    }
    let host = Host::with(&format!("{POLICY}  sandbox: {{require: [namespaces, landlock>=99]}}\n"));
    let plan = document(&host.job(&["plan", "c", "--format", "json"], &[]));
    assert_eq!(
        plan["steps"][0]["sandbox"]["require"],
        serde_json::json!(["landlock", "namespaces", "landlock>=99"])
    );
    let ran = host.job(&["run", "c"], &[]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("landlock>=99"), "{}", ran.stderr);
}

#[test]
fn the_app_of_the_host_makes_tokens_within_the_policy() {
    if !User::Root.is_possible() {
        return;
    }
    let fake = Fake::start();
    let rule = "  verbs: [token]\n  permissions: {statuses: write}\n";
    let app = "app: {id: Iv23liFakeClient0001, keys: ['systemd:gone', 'file:/etc/rungate/app.pem']}\n";
    let host = Host::with(&format!("{POLICY}{rule}").replace("allow:", &format!("{app}allow:")));
    host.write("etc/rungate/app.pem", APP_KEY);
    host.set_mode("etc/rungate/app.pem", 0o600);
    let url = fake.url();
    // The key of the environment is not even looked at.
    let env =
        [("GITHUB_API_URL", url.as_str()), ("RUNGATE_APP_ID", "x"), ("RUNGATE_APP_PRIVATE_KEY", "damaged")];
    let ran = host.job(&["app", "token", "--permission", "statuses=write"], &env);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let token = fake.world().tokens.last().unwrap().secret.clone();
    assert_eq!(ran.stdout, format!("{token}\n"));
    for (args, why) in [
        (&["app", "token"][..], "`permissions` does not grant `checks: write`"),
        (
            &["app", "token", "--permission", "contents=write"],
            "`permissions` does not grant `contents: write`",
        ),
        (&["app", "token", "--permission", "statuses=admin"], "is not given where a policy holds"),
        (
            &["app", "token", "--repo", "acme/gadgets", "--permission", "statuses=write"],
            "a job of acme/widgets may not `token` for acme/gadgets",
        ),
    ] {
        let ran = host.job(args, &env);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_host_that_works_for_one_server_shows_its_key_to_no_other() {
    if !User::Root.is_possible() {
        return;
    }
    let fake = Fake::start();
    let app = "server: github.com\napp: {id: Iv23liFakeClient0001, keys: ['file:/etc/rungate/app.pem']}\n";
    let host = Host::with(&POLICY.replace("allow:", &format!("{app}allow:")));
    host.write("etc/rungate/app.pem", APP_KEY);
    host.set_mode("etc/rungate/app.pem", 0o600);
    let url = fake.url();
    for args in [&["run", "c"][..], &["app", "whoami"], &["plan", "c"]] {
        let ran = host.job(args, &[("GITHUB_API_URL", &url), ("GITHUB_SHA", &"a".repeat(40))]);
        assert_ne!(ran.code, Some(0), "{args:?}");
        assert!(ran.stderr.contains("this host works for github.com"), "{args:?}: {}", ran.stderr);
    }
    assert!(fake.world().requests.is_empty(), "the key was used");
}

#[test]
fn a_policy_is_checked_before_it_is_in_force() {
    let repo = crate::context::Repo::new(MANIFEST);
    let full = include_str!("../fixtures/policy/full.yml");
    repo.write("full.yml", full);
    let ran = repo.run(&["validate", "--policy", "full.yml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "full.yml is valid: 2 rules\n"), "{}", ran.stderr);
    // It lies where everybody could change it.
    assert!(ran.stderr.contains("would be refused where it stands"), "{}", ran.stderr);
    repo.write("wrong.yml", &full.replace("default: deny", "default: permit").replace("refs:", "rfs:"));
    let ran = repo.run(&["validate", "--policy", "wrong.yml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("wrong.yml:3:10") && ran.stderr.contains("write `refs`"), "{}", ran.stderr);
    let ran = repo.run(&["validate", "--policy", "wrong.yml", "--format", "json"]);
    let found = document(&ran);
    assert_eq!(
        (ran.code, &found["valid"], &found["trusted"]),
        (Some(2), &Value::Bool(false), &Value::Bool(false))
    );
    assert_eq!(found["diagnostics"][0]["line"], 3);
    let ran = repo.run(&["validate", "--policy", "none.yml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn a_team_is_asked_for_with_the_app_and_nobody_else_is_let_in() {
    if !User::Root.is_possible() {
        return;
    }
    let fake = Fake::start();
    let policy = POLICY.replace("[octocat]", "['@acme/data-platform']");
    let app = "app: {id: Iv23liFakeClient0001, keys: ['file:/etc/rungate/app.pem']}\nallow:";
    let host = Host::with(&policy.replace("allow:", app));
    host.write("etc/rungate/app.pem", APP_KEY);
    host.set_mode("etc/rungate/app.pem", 0o600);
    let url = fake.url();
    let by = |actor: &str| host.job(&["plan", "c"], &[("GITHUB_API_URL", &url), ("GITHUB_ACTOR", actor)]);
    // Without the permission nobody knows, and that is a refusal with its remedy.
    let ran = by("octocat");
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("whether octocat is in @acme/data-platform is not known"), "{}", ran.stderr);
    fake.world().installation().permissions.insert("members".to_owned(), "read".to_owned());
    assert_eq!(by("octocat").code, Some(0));
    for (actor, why) in [
        ("invited", "`actors` does not name invited"),
        ("mallory", "`actors` does not name mallory"),
        ("../../memberships/octocat", "`actors` does not name"),
        ("dependabot[bot]", "`actors` does not name"),
    ] {
        let ran = by(actor);
        assert_eq!(ran.code, Some(3), "{actor}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{actor}: {}", ran.stderr);
    }
    assert!(fake.world().violations.is_empty());
    // The token that asks can do nothing else, and is given back.
    let world = fake.world();
    let mints: Vec<_> =
        world.requests.iter().filter(|request| request.path.ends_with("/access_tokens")).collect();
    assert!(mints.iter().all(|mint| mint.body["permissions"] == serde_json::json!({"members": "read"})));
    assert!(world.tokens.iter().skip(1).all(|token| token.revoked));
}
