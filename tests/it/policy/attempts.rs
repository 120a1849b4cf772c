//! Attempts to widen what the host's policy allows. Each has to end with exit code 3 and nothing run.

use super::*;

/// One attempt: what it is called, what is done to the host before, the arguments and variables, and what has to be said.
struct Attempt {
    name: &'static str,
    policy: String,
    before: fn(&Host),
    args: Vec<&'static str>,
    env: Vec<(&'static str, String)>,
    says: &'static str,
}

/// An attempt on the usual host.
fn attempt(name: &'static str, args: &[&'static str], says: &'static str) -> Attempt {
    Attempt { name, policy: POLICY.to_owned(), before: |_| {}, args: args.to_vec(), env: Vec::new(), says }
}

impl Attempt {
    fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    fn before(mut self, before: fn(&Host)) -> Self {
        self.before = before;
        self
    }

    /// Further lines of the rule.
    fn rule(mut self, lines: &str) -> Self {
        self.policy = format!("{}{lines}", self.policy);
        self
    }

    fn make(self) {
        let host = Host::with(&self.policy);
        (self.before)(&host);
        let folder = host.folder.path().to_str().unwrap().to_owned();
        let env: Vec<(&str, String)> =
            self.env.iter().map(|(name, value)| (*name, value.replace("HOST", &folder))).collect();
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let ran = host.job(&self.args, &env);
        assert_eq!(ran.code, Some(3), "{}: {}{}", self.name, ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(self.says), "{}: {}", self.name, ran.stderr);
        assert!(
            !ran.stdout.contains("ran") && !host.path("state/runs").exists(),
            "{}: it was run",
            self.name
        );
    }
}

fn make_all(attempts: Vec<Attempt>, least: usize) {
    if !User::Root.is_possible() {
        return;
    }
    assert!(attempts.len() >= least);
    for attempt in attempts {
        attempt.make();
    }
}

/// A policy that would allow everything.
const OPEN: &str = "version: 1\ndefault: allow\nsandbox: {network: host, mode: off}\n";

const NOT_NAMED: &str = "`commands` does not name `other`";

#[test]
fn from_a_repository() {
    make_all(
        vec![
            attempt("a command that no rule names", &["run", "other"], NOT_NAMED),
            attempt("the same, only planned", &["plan", "other"], NOT_NAMED),
            attempt("a step with the host's network", &["run", "net"], "`network: host` of the step a"),
            attempt(
                "a step that reads elsewhere",
                &["run", "data"],
                "`read` does not let the step a read /opt",
            )
            .rule("  sandbox: {read: [/srv]}\n"),
            attempt("a secret of the host", &["run", "host-secret"], "`secrets` does not give `HOST_KEY`"),
            attempt("a secret of the job", &["run", "job-secret"], "`secrets` does not give `JOB_KEY`")
                .rule("  secrets: []\n"),
            attempt("another manifest than the pinned one", &["run", "c"], "`manifest-sha256` does not name")
                .rule(&format!("  manifest-sha256: [{}]\n", "a".repeat(64))),
            attempt("a manifest somewhere else", &["run", "other", "--manifest", "ci.yml"], NOT_NAMED)
                .before(|host| host.write("work/ci.yml", MANIFEST)),
            attempt("a policy in .rungate", &["run", "other"], NOT_NAMED)
                .before(|host| host.write("work/.rungate/policy.yml", OPEN)),
            attempt("a policy in .github", &["run", "other"], NOT_NAMED)
                .before(|host| host.write("work/.github/policy.yml", OPEN)),
            attempt("a policy in etc/rungate of the workspace", &["run", "other"], NOT_NAMED)
                .before(|host| host.write("work/etc/rungate/policy.yml", OPEN)),
        ],
        11,
    );
}

#[test]
fn from_an_environment() {
    make_all(
        vec![
            attempt("another repository", &["run", "c"], "`repository` does not name evil/widgets")
                .env("GITHUB_REPOSITORY", "evil/widgets"),
            attempt("a repository with a longer name", &["run", "c"], "`repository` does not name")
                .env("GITHUB_REPOSITORY", "acme/widgets2"),
            attempt("no repository", &["run", "c"], "the repository is not known")
                .env("GITHUB_REPOSITORY", ""),
            attempt("another ref", &["run", "c"], "`refs` does not name")
                .env("GITHUB_REF", "refs/heads/evil"),
            attempt("a tag with the branch's name", &["run", "c"], "`refs` does not name")
                .env("GITHUB_REF", "refs/tags/main"),
            attempt("no ref", &["run", "c"], "the ref is not known").env("GITHUB_REF", ""),
            attempt("a pull request", &["run", "c"], "`events` does not name")
                .env("GITHUB_EVENT_NAME", "pull_request"),
            attempt("pull_request_target", &["run", "c"], "`events` does not name")
                .env("GITHUB_EVENT_NAME", "pull_request_target"),
            attempt("no event", &["run", "c"], "the event is not known").env("GITHUB_EVENT_NAME", ""),
            attempt("another actor", &["run", "c"], "`actors` does not name mallory")
                .env("GITHUB_ACTOR", "mallory"),
            attempt("somebody else who starts it again", &["run", "c"], "`actors` does not name mallory")
                .env("GITHUB_TRIGGERING_ACTOR", "mallory"),
            attempt("no actor", &["run", "c"], "the actor is not known").env("GITHUB_ACTOR", ""),
            attempt("a push with a pull request of a fork in it", &["run", "c"], "code from a fork is in it")
                .before(|host| {
                    host.write(
                        "event.json",
                        r#"{"pull_request":{"head":{"repo":{"full_name":"evil/widgets"}}}}"#,
                    );
                })
                .env("GITHUB_EVENT_PATH", "HOST/event.json"),
            attempt("a fork that was deleted", &["run", "c"], "code from a fork may be in it")
                .before(|host| host.write("event.json", r#"{"pull_request":{"head":{"repo":null}}}"#))
                .env("GITHUB_EVENT_PATH", "HOST/event.json"),
            attempt("a job that passes for a person", &["run", "c", "--sandbox", "off"], "--sandbox off")
                .env("GITHUB_ACTIONS", ""),
            attempt("a person's word", &["run", "net", "--allow", "network"], "the policy does not allow it")
                .env("GITHUB_ACTIONS", "false"),
            attempt("a policy in the home", &["run", "other"], NOT_NAMED)
                .before(|host| host.write("home/.config/rungate/policy.yml", OPEN))
                .env("HOME", "HOST/home")
                .env("XDG_CONFIG_HOME", "HOST/home/.config")
                .env("XDG_CONFIG_DIRS", "HOST/home/.config"),
            attempt("facts that are not signed", &["run", "c"], "ACTIONS_ID_TOKEN_REQUEST_URL is not set")
                .before(|host| host.write("etc/rungate/policy.yml", &format!("facts: verified\n{POLICY}"))),
        ],
        18,
    );
}

#[test]
fn from_a_further_policy() {
    let named = |name, path: &str, says| attempt(name, &["run", "c"], says).env("RUNGATE_POLICY", path);
    make_all(
        vec![
            attempt("one that opens everything", &["run", "other"], NOT_NAMED)
                .before(|host| host.write("etc/rungate/open.yml", OPEN))
                .env("RUNGATE_POLICY", "/etc/rungate/open.yml"),
            attempt("one that opens the network", &["run", "net"], "`network: host` of the step a")
                .before(|host| host.write("etc/rungate/open.yml", OPEN))
                .env("RUNGATE_POLICY", "/etc/rungate/open.yml"),
            attempt("one with an App", &["run", "c"], "`app` can only be written in the host's own policy")
                .before(|host| {
                    host.write(
                        "etc/rungate/open.yml",
                        &format!("{OPEN}app: {{id: x, keys: ['systemd:x']}}\n"),
                    );
                })
                .env("RUNGATE_POLICY", "/etc/rungate/open.yml"),
            attempt(
                "one that gives secrets",
                &["run", "host-secret"],
                "can only be written in the host's own policy",
            )
            .before(|host| {
                let text = format!("{OPEN}secret-sources: {{HOST_KEY: 'file:/etc/rungate/secret'}}\n");
                host.write("etc/rungate/open.yml", &text);
            })
            .env("RUNGATE_POLICY", "/etc/rungate/open.yml"),
            named("one that closes everything", "/etc/rungate/closed.yml", "no rule admits")
                .before(|host| host.write("etc/rungate/closed.yml", "version: 1\n")),
            named("one in the workspace", "HOST/work/policy.yml", "can be written")
                .before(|host| host.write("work/policy.yml", OPEN)),
            named("a relative path", "policy.yml", "an absolute path")
                .before(|host| host.write("work/policy.yml", OPEN)),
            named("a file that is not there", "/etc/rungate/none.yml", "there is no such file"),
            named("a link to a good one", "/etc/rungate/link.yml", "is a symbolic link")
                .before(|host| symlink("policy.yml", host.path("etc/rungate/link.yml")).unwrap()),
            named("a link in a folder of all", "HOST/link.yml", "can be written")
                .before(|host| symlink("/etc/rungate/policy.yml", host.path("link.yml")).unwrap()),
            named("standard input", "/dev/stdin", "is a symbolic link"),
            named("a descriptor", "/proc/self/fd/0", "is a symbolic link"),
            named("the root of a process", "/proc/1/root/etc/hostname", "is a symbolic link"),
            named("nothing at all", "/dev/null", "regular file"),
            named("a folder", "/etc/rungate", "is not a regular file"),
            named("a FIFO", "/etc/rungate/fifo", "is not a regular file").before(|host| {
                nix::unistd::mkfifo(&host.path("etc/rungate/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
            }),
            named("a way around", "/etc/rungate/../rungate/policy.yml", "an absolute path"),
            named("two slashes", "//etc/rungate/policy.yml", "an absolute path"),
            named("a file of root that is none", "/etc/passwd", "/etc/passwd:"),
            named(
                "a file of somebody else",
                "/etc/rungate/theirs.yml",
                "belongs to the user with the number 65534",
            )
            .before(|host| {
                host.write("etc/rungate/theirs.yml", OPEN);
                host.give_away("etc/rungate/theirs.yml");
            }),
        ],
        20,
    );
}

/// A record of a run that was admitted, in which a word stands for another one.
fn record(host: &Host, (word, other): (&str, &str)) {
    let ran = host.job(&["run", "c", "--check-run", "off", "--out", "record"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = fs::read_to_string(host.path("work/record/record.json")).unwrap();
    assert!(text.contains(word), "{text}");
    host.write("work/record/record.json", &text.replace(word, other));
}

#[test]
fn from_a_flag_or_another_command() {
    let exec = |name, args: &[&'static str], says| attempt(name, args, says).rule("  verbs: [exec]\n");
    make_all(
        vec![
            attempt("no sandbox", &["run", "c", "--sandbox", "off"], "--sandbox off is weaker"),
            attempt(
                "as much as there is",
                &["run", "c", "--sandbox", "best-effort"],
                "--sandbox best-effort is weaker",
            ),
            attempt("fewer layers", &["run", "c", "--allow", "degraded"], "--allow degraded is weaker"),
            attempt("the network", &["run", "net", "--allow", "network"], "the policy does not allow it"),
            attempt(
                "no sandbox where layers are required",
                &["run", "c", "--sandbox", "off"],
                "drops `landlock`",
            )
            .before(|host| {
                let open = "sandbox: {require: landlock}\nallow:";
                let text = format!("{}  sandbox: {{mode: off}}\n", POLICY.replace("allow:", open));
                host.write("etc/rungate/policy.yml", &text);
            }),
            attempt(
                "a program of one's own",
                &["sandbox", "exec", "--", "/bin/echo", "ran"],
                "`verbs` does not name `exec`",
            ),
            attempt("a token", &["app", "token"], "`verbs` does not name `token`"),
            exec(
                "a program with the network",
                &["sandbox", "exec", "--network", "host", "--", "/bin/true"],
                "--network host",
            ),
            exec(
                "a program that writes elsewhere",
                &["sandbox", "exec", "--write", "/var/tmp", "--", "/bin/true"],
                "--write /var/tmp",
            ),
            exec(
                "a program that reads elsewhere",
                &["sandbox", "exec", "--read", "/opt", "--", "/bin/true"],
                "--read /opt",
            )
            .rule("  sandbox: {read: [/srv]}\n"),
            exec(
                "a program that reads through a link",
                &["sandbox", "exec", "--read", "link", "--", "/bin/true"],
                "--read link",
            )
            .rule("  sandbox: {read: [/srv]}\n")
            .before(|host| symlink("/opt", host.path("work/link")).unwrap()),
            exec(
                "a program in a lower tier",
                &["sandbox", "exec", "--tier", "landlock", "--", "/bin/true"],
                "--tier landlock",
            )
            .rule("  sandbox: {require: namespaces}\n"),
            attempt("the record of another repository", &["publish", "record"], "no rule admits `publish`")
                .before(|host| record(host, ("\"c\"", "\"other\""))),
            attempt(
                "a record for another repository",
                &["publish", "record"],
                "may not `publish` for evil/widgets",
            )
            .before(|host| record(host, ("acme/widgets", "evil/widgets"))),
        ],
        14,
    );
}

#[test]
fn from_what_the_host_does_not_guard() {
    let refused = |name, says| attempt(name, &["run", "c"], says);
    make_all(
        vec![
            refused("a policy that its group writes", "can be written by its group")
                .before(|host| host.set_mode("etc/rungate/policy.yml", 0o664)),
            refused("a policy that everybody writes", "can be written by its group")
                .before(|host| host.set_mode("etc/rungate/policy.yml", 0o646)),
            refused("a policy of somebody else", "belongs to the user with the number 65534")
                .before(|host| host.give_away("etc/rungate/policy.yml")),
            refused("a folder that its group writes", "/etc/rungate can be written")
                .before(|host| host.set_mode("etc/rungate", 0o775)),
            refused("a folder of somebody else", "/etc/rungate belongs to the user")
                .before(|host| host.give_away("etc/rungate")),
            refused("an /etc that everybody writes", "/etc can be written")
                .before(|host| host.set_mode("etc", 0o777)),
            refused("a policy taken away from a folder of all", "/etc/rungate can be written").before(
                |host| {
                    host.set_mode("etc/rungate", 0o777);
                    fs::remove_file(host.path("etc/rungate/policy.yml")).unwrap();
                },
            ),
            refused("a policy behind a link", "policy.yml is a symbolic link").before(|host| {
                fs::rename(host.path("etc/rungate/policy.yml"), host.path("etc/rungate/real.yml")).unwrap();
                symlink("real.yml", host.path("etc/rungate/policy.yml")).unwrap();
            }),
            refused("a folder behind a link", "/etc/rungate is a symbolic link").before(|host| {
                fs::rename(host.path("etc/rungate"), host.path("etc/real")).unwrap();
                symlink("real", host.path("etc/rungate")).unwrap();
            }),
            refused("a folder in its place", "is not a regular file").before(|host| {
                fs::remove_file(host.path("etc/rungate/policy.yml")).unwrap();
                fs::create_dir(host.path("etc/rungate/policy.yml")).unwrap();
            }),
            refused("a FIFO in its place", "is not a regular file").before(|host| {
                fs::remove_file(host.path("etc/rungate/policy.yml")).unwrap();
                let mode = nix::sys::stat::Mode::S_IRUSR;
                nix::unistd::mkfifo(&host.path("etc/rungate/policy.yml"), mode).unwrap();
            }),
            refused("an empty policy", "/etc/rungate/policy.yml:1:1")
                .before(|host| host.write("etc/rungate/policy.yml", "")),
            refused("a policy with a mistake", "/etc/rungate/policy.yml:1:1: `versions`").before(|host| {
                host.write("etc/rungate/policy.yml", &POLICY.replace("version", "versions"));
            }),
            refused("a policy of two documents", "/etc/rungate/policy.yml")
                .before(|host| host.write("etc/rungate/policy.yml", &format!("{POLICY}---\n{OPEN}"))),
        ],
        14,
    );
}
