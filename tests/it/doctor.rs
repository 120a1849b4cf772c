//! `rungate doctor` against the fake GitHub: what is wrong with an App is said with its remedy.

use serde_json::{Value, json};

use crate::context::{Ran, command};
use crate::fake::Fake;
use crate::fake::world::APP_KEY;

/// Checks by their id, and the exit code.
struct Examined {
    code: Option<i32>,
    checks: Vec<Value>,
}

impl Examined {
    fn check(&self, id: &str) -> &Value {
        let found = self.checks.iter().find(|check| check["id"] == id);
        found.unwrap_or_else(|| panic!("there is no {id} in {:#?}", self.checks))
    }

    fn said(&self, id: &str) -> String {
        let check = self.check(id);
        let remedies = check["remedies"].as_array().unwrap();
        let remedies: Vec<&str> = remedies.iter().map(|remedy| remedy.as_str().unwrap()).collect();
        format!(
            "{}: {} [{}]",
            check["state"].as_str().unwrap(),
            check["found"].as_str().unwrap(),
            remedies.join("; ")
        )
    }
}

fn doctor(args: &[&str], env: &[(&str, &str)]) -> Examined {
    let state = tempfile::tempdir().unwrap();
    let mut program = command(env!("CARGO_BIN_EXE_rungate"));
    program.args(["doctor", "--format", "json"]).args(args).env("RUNGATE_STATE_DIR", state.path());
    let ran = Ran::from(program.envs(env.iter().copied()).output().unwrap());
    let document: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
    assert!(!ran.stdout.contains("PRIVATE KEY") && !ran.stdout.contains("eyJ"), "{}", ran.stdout);
    let checks = document["checks"].as_array().unwrap().clone();
    for check in &checks {
        let mends = !check["remedies"].as_array().unwrap().is_empty();
        assert_eq!(check["state"] != "good", mends, "what is not good has a remedy: {check}");
    }
    Examined { code: ran.code, checks }
}

/// With the App's credentials, on the server at `url`.
fn of_app(url: &str, more: &[(&str, &str)]) -> Examined {
    let mut env = vec![
        ("GITHUB_API_URL", url),
        ("RUNGATE_APP_ID", "4242"),
        ("RUNGATE_APP_PRIVATE_KEY", APP_KEY),
        ("GITHUB_REPOSITORY", "acme/widgets"),
    ];
    env.extend(more);
    doctor(&[], &env)
}

#[test]
fn an_app_that_works_is_good_in_all_its_parts() {
    let fake = Fake::start();
    let url = fake.url();
    let examined = of_app(&url, &[]);
    for id in
        ["credentials", "app", "permissions", "installation", "webhook", "host-api", "host-server", "clock"]
    {
        assert_eq!(examined.check(id)["state"], "good", "{}", examined.said(id));
    }
    assert_eq!(examined.said("installation"), "good: 100 on acme, selected repositories []");
    // Without a repository all its installations are looked at.
    let examined = of_app(&url, &[("GITHUB_REPOSITORY", "")]);
    assert!(examined.said("installation").starts_with("good: on acme"), "{}", examined.said("installation"));
    assert!(fake.world().violations.is_empty());
}

#[test]
fn each_trouble_with_an_app_has_its_remedy() {
    let fake = Fake::start();
    let url = fake.url();
    let mut said = String::new();
    let mut tell = |name: &str, examined: &Examined, id: &str| {
        assert_eq!(examined.code, Some(4), "{name}");
        said.extend([name, "\n  ", &examined.said(id), "\n"]);
    };
    tell("an incomplete key", &of_app(&url, &[("RUNGATE_APP_PRIVATE_KEY", &APP_KEY[..900])]), "credentials");
    tell("another id", &of_app(&url, &[("RUNGATE_APP_ID", "15368")]), "app");
    tell("not installed", &of_app(&url, &[("GITHUB_REPOSITORY", "acme/gadgets")]), "installation");
    fake.world().installation().suspended = true;
    tell("suspended", &of_app(&url, &[]), "installation");
    fake.world().installation().suspended = false;
    fake.world().installation().permissions.remove("checks");
    tell("a permission that is missing", &of_app(&url, &[]), "permissions");
    tell("a permission that was not accepted", &of_app(&url, &[]), "installation");
    fake.world().installations.clear();
    tell("no repositories", &of_app(&url, &[("GITHUB_REPOSITORY", "")]), "installation");
    insta::assert_snapshot!(said, @r"
    an incomplete key
      failed: the private key in RUNGATE_APP_PRIVATE_KEY is damaged: its last line is missing [set it to the whole text of the .pem file that GitHub gave; in one line, with \n for each line break]
    another id
      failed: the App has no key on this server, or it is registered on another one (status 401: Integration must generate a public key) [the owner of the App has to generate a private key on the App's settings page; check GITHUB_API_URL and RUNGATE_APP_ID too]
    not installed
      failed: the App is not installed on the repository, or there is no such repository (status 404: Not Found) [an administrator of the organization or repository has to install the App on the repository (its settings page, Install App); check the repository's name and GITHUB_API_URL too]
    suspended
      failed: the installation 100 on acme is suspended [an owner of the account has to lift that on the installation's settings page]
    a permission that is missing
      failed: the App does not have checks: write [its owner has to add them on its settings page, and each organization to accept them]
    a permission that was not accepted
      failed: the installation 100 on acme has not granted checks: write [an owner of the account has to accept the App's new permissions on the installation's settings page]
    no repositories
      failed: the App is installed nowhere [install it on its settings page (Install App), on the repositories that it is for]
    ");
}

#[test]
fn a_webhook_without_a_certificate_and_a_wrong_clock_are_named() {
    use crate::fake::world::Settings;
    let fake = Fake::with(Settings { clock_skew: 600, ..Settings::default() }, 0).unwrap();
    fake.world().webhook =
        json!({"url": "https://hooks.example.com/x", "content_type": "json", "insecure_ssl": 1});
    let examined = of_app(&fake.url(), &[]);
    assert!(
        examined
            .said("webhook")
            .starts_with("lacking: events are sent to https://hooks.example.com/x without")
    );
    assert!(examined.said("clock").starts_with("lacking: "), "{}", examined.said("clock"));
    // The App gets by with the server's clock all the same.
    assert_eq!(examined.check("app")["state"], "good");
}

#[test]
fn a_server_that_is_not_there_fails_only_where_it_is_needed() {
    let nowhere = "http://127.0.0.1:1";
    let examined = of_app(nowhere, &[]);
    assert_eq!((examined.code, &examined.check("host-api")["state"]), (Some(4), &json!("failed")));
    assert!(examined.said("host-api").contains("Connection refused"), "{}", examined.said("host-api"));
    let examined = doctor(&[], &[("GITHUB_API_URL", nowhere)]);
    assert_eq!(examined.check("host-api")["state"], "lacking");
    assert_eq!(examined.check("credentials")["state"], "lacking");
    // Nothing is asked offline.
    let offline = doctor(&["--offline"], &[("GITHUB_API_URL", nowhere)]);
    assert!(!offline.checks.iter().any(|check| check["id"].as_str().unwrap().starts_with("host-")));
    assert_ne!(offline.check("git")["found"], "");
    assert_eq!(offline.check("disk-temporary")["id"], "disk-temporary");
}

#[test]
fn an_interpreter_behind_a_shim_is_asked_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let shim = folder.path().join("python3");
    std::fs::write(&shim, "#!/bin/sh\nexec /usr/bin/python3 \"$@\"\n").unwrap();
    std::fs::set_permissions(&shim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let examined = doctor(&["--offline"], &[("PATH", &path)]);
    assert_eq!(examined.check("python")["state"], "good", "{}", examined.said("python"));
}
