//! `rungate app whoami` and `rungate app token`, by the program itself.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::context::{Ran, command};
use crate::fake::Fake;
use crate::fake::faults::{Fault, Rule};
use crate::fake::world::{self, APP_KEY, Settings};

const OTHER_KEY: &str = include_str!("../fixtures/keys/other.pem");

/// Runs `rungate app ARGS` with the App's credentials; a variable that is empty is not there.
fn app(fake: &Fake, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let url = fake.url();
    let mut program = command(env!("CARGO_BIN_EXE_rungate"));
    program.arg("app").args(args).stdin(Stdio::null());
    program.env("GITHUB_API_URL", url).env("RUNGATE_APP_ID", "Iv23liFakeClient0001");
    program.env("RUNGATE_APP_PRIVATE_KEY", APP_KEY.replace('\n', "\\n"));
    program.envs(env.iter().copied());
    let ran = Ran::from(program.output().unwrap());
    for line in APP_KEY.lines().skip(1) {
        assert!(!ran.stdout.contains(line) && !ran.stderr.contains(line), "the key is shown: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("eyJ"), "a token is shown: {}", ran.stderr);
    ran
}

#[test]
fn whoami_says_who_the_key_belongs_to() {
    let fake = Fake::start();
    let ran = app(&fake, &["whoami", "--repo", "acme/widgets"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let stdout = ran.stdout.replace(&fake.url(), "URL").replace(&fake.url()["http://".len()..], "SERVER");
    insta::assert_snapshot!(stdout, @r"
    App           Rungate Checks
    slug          rungate-checks
    id            4242
    client id     Iv23liFakeClient0001
    owner         acme
    server        SERVER (URL)
    permissions   checks:write metadata:read security_events:write statuses:write
    repository    acme/widgets
    installation  100 on acme, selected repositories
    granted       checks:write metadata:read security_events:write statuses:write
    ");
    let ran = app(
        &fake,
        &["whoami", "--format", "json"],
        &[("GITHUB_REPOSITORY", "acme/widgets"), ("RUNGATE_APP_ID", "4242")],
    );
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["id"], 4242);
    assert_eq!(document["slug"], "rungate-checks");
    assert_eq!(document["installation"]["id"], 100);
    assert_eq!(document["installation"]["permissions"]["checks"], "write");
    // Without a repository there is nothing to look up.
    let ran = app(&fake, &["whoami", "--format", "json"], &[]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(document["installation"].is_null() && document["repository"].is_null(), "{document}");
}

#[test]
fn whoami_shows_the_app_where_the_repository_has_none() {
    let fake = Fake::start();
    let ran = app(&fake, &["whoami", "--repo", "acme/gadgets"], &[]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stdout.contains("Rungate Checks"), "{}", ran.stdout);
    insta::assert_snapshot!(ran.stderr, @r"
    error: the App is not installed on the repository, or there is no such repository (status 404: Not Found)
    help: an administrator of the organization or repository has to install the App on the repository (its settings page, Install App); check the repository's name and GITHUB_API_URL too
    ");
}

#[test]
fn what_stands_against_an_app_is_said_in_useful_words() {
    let other_key = [("RUNGATE_APP_PRIVATE_KEY", OTHER_KEY)];
    let nobody = [("RUNGATE_APP_ID", "Iv23nobody")];
    let actions = [("RUNGATE_APP_ID", "15368")];
    let out_of_order = [("GITHUB_API_URL", "http://127.0.0.1:1")];
    let fine = Fake::start();
    let old = Fake::with(Settings { numeric_issuer_only: true, ..Settings::default() }, 0).unwrap();
    let (broken, limited) = (Fake::start(), Fake::start());
    broken.fault(Rule::once("GET", "/app", Fault::InvalidJson));
    limited.fault(Rule::once("GET", "/app", Fault::PrimaryLimit { reset_in: 3000 }).times(0));
    let mut lines = String::new();
    for (name, fake, env) in [
        ("another key", &fine, &other_key[..]),
        ("another id", &fine, &nobody),
        ("a client id on an old server", &old, &[]),
        ("the App of Actions", &fine, &actions),
        ("a server out of order", &fine, &out_of_order),
        ("no JSON", &broken, &[]),
        ("an hour's limit", &limited, &[]),
    ] {
        let ran = app(fake, &["whoami"], env);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""), "{name}: {}", ran.stderr);
        lines.extend([name, "\n", &ran.stderr]);
    }
    insta::assert_snapshot!(lines, @r"
    another key
    error: the private key does not belong to the App with this id (status 401: A JSON web token could not be decoded)
    help: the administrator of the runner has to set a private key of exactly the App in RUNGATE_APP_ID, as it was downloaded
    another id
    error: the server does not accept the App's id (status 401: 'Issuer' claim ('iss') must be an Integer)
    help: the administrator of the runner has to check RUNGATE_APP_ID: nothing but the client id or the numeric id, and the numeric one on an older GitHub Enterprise Server
    a client id on an old server
    error: the server does not accept the App's id (status 401: 'Issuer' claim ('iss') must be an Integer)
    help: the administrator of the runner has to check RUNGATE_APP_ID: nothing but the client id or the numeric id, and the numeric one on an older GitHub Enterprise Server
    the App of Actions
    error: the App has no key on this server, or it is registered on another one (status 401: Integration must generate a public key)
    help: the owner of the App has to generate a private key on the App's settings page; check GITHUB_API_URL and RUNGATE_APP_ID too
    a server out of order
    error: failed to reach 127.0.0.1: Connection refused (os error 111)
    help: the administrator of the runner has to allow outgoing HTTPS to it, or to set HTTPS_PROXY
    no JSON
    error: the answer of the server is not what its documentation says: expected value at line 1 column 1
    help: check that GITHUB_API_URL is the API of a GitHub server
    an hour's limit
    error: the time for it is up: a rate limit of the server lasts longer
    help: try again later
    ");
}

#[test]
fn what_is_set_wrongly_is_a_matter_of_usage() {
    let fake = Fake::start();
    for (args, env) in [
        (vec!["whoami"], vec![("RUNGATE_APP_ID", "")]),
        (
            vec!["whoami"],
            vec![("RUNGATE_APP_ID", ""), ("RUNGATE_APP_PRIVATE_KEY", ""), ("RUNGATE_TOKEN", "ghs_x")],
        ),
        (vec!["whoami"], vec![("RUNGATE_APP_PRIVATE_KEY", "/etc/app.pem")]),
        (vec!["whoami"], vec![("GITHUB_API_URL", "http://git.example.com")]),
        (vec!["whoami", "--host", "https://github.com"], vec![]),
        (vec!["whoami", "--repo", "https://github.com/acme/widgets"], vec![]),
        (vec!["token"], vec![]),
        (vec!["token", "--repo", "acme/widgets", "--permission", "checks"], vec![]),
        (vec!["token", "--repo", "acme/widgets", "--permission", "checks=all"], vec![]),
    ] {
        let ran = app(&fake, &args, &env);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?} {env:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("error: "), "{args:?}: {}", ran.stderr);
    }
    assert!(fake.world().requests.is_empty());
}

#[test]
fn a_token_is_narrow_and_stands_alone_on_standard_output() {
    let fake = Fake::with(Settings { host: world::Host::Ghes, ..Settings::default() }, 0).unwrap();
    let ran = app(&fake, &["token", "--repo", "acme/widgets"], &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let token = fake.world().tokens.last().unwrap().secret.clone();
    assert_eq!(ran.stdout, format!("{token}\n"));
    let args = [
        "token",
        "--repo",
        "acme/widgets",
        "--permission",
        "statuses=write",
        "--permission",
        "metadata=read",
    ];
    let ran = app(&fake, &args, &[]);
    let token = fake.world().tokens.last().unwrap().secret.clone();
    assert_eq!(ran.stdout, format!("{token}\n"));
    let body = fake.world().requests.last().unwrap().body.clone();
    assert_eq!(
        body,
        json!({"repositories": ["widgets"], "permissions": {"metadata": "read", "statuses": "write"}})
    );
    let ran = app(&fake, &["token", "--repo", "acme/widgets", "--permission", "contents=write"], &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""), "{}", ran.stderr);
}

#[test]
fn a_token_is_masked_in_a_job_before_it_is_printed() {
    let fake = Fake::start();
    let url = fake.url();
    let mut program = command(env!("CARGO_BIN_EXE_rungate"));
    program.args(["app", "token", "--repo", "acme/widgets"]).env("GITHUB_ACTIONS", "true");
    program.env("GITHUB_API_URL", url).env("RUNGATE_APP_ID", "4242").env("RUNGATE_APP_PRIVATE_KEY", APP_KEY);
    let ran = Ran::from(program.stdin(Stdio::null()).output().unwrap());
    let token = fake.world().tokens.last().unwrap().secret.clone();
    assert_eq!((ran.stdout, ran.stderr), (format!("{token}\n"), format!("::add-mask::{token}\n")));
}

#[test]
fn a_policy_that_cannot_be_read_forbids_tokens() {
    let fake = Fake::start();
    let ran = app(&fake, &["token", "--repo", "acme/widgets"], &[("RUNGATE_POLICY", "/nowhere/policy.yml")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
    assert!(fake.world().requests.is_empty());
}
