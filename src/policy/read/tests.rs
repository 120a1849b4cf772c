//! The full policy is read in all its parts, and each kind of mistake has its rule and its place.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::manifest::fields::Object;
use crate::manifest::model::Network;
use crate::manifest::tree::NodeKind;

const FULL: &str = include_str!("../../../tests/fixtures/policy/full.yml");

fn complaints(text: &str) -> Vec<String> {
    let (source, found) = match policy("policy.yml", text.as_bytes(), Standing::Host) {
        Ok(parsed) => (parsed.policy.source, parsed.warnings),
        Err(invalid) => (invalid.source, invalid.diagnostics),
    };
    found
        .iter()
        .map(|found| format!("{} {} {}", source.position(found.span.start), found.rule, found.message))
        .collect()
}

#[test]
fn the_full_policy_is_read_in_all_its_parts() {
    let parsed =
        policy("policy.yml", FULL.as_bytes(), Standing::Host).unwrap_or_else(|found| panic!("{found:#?}"));
    assert_eq!(parsed.warnings, []);
    let policy = parsed.policy;
    assert_eq!(policy.max_timeout.unwrap().value, Duration::from_hours(2));
    assert_eq!(policy.facts.value, Basis::Verified);
    assert_eq!(policy.oidc.issuer, "https://token.actions.octo.ghe.com");
    assert_eq!(policy.server.unwrap().value, "octo.ghe.com");
    let app = policy.app.unwrap();
    assert_eq!((app.id.as_str(), app.installation), ("Iv23liAbCdEfGhIjKlMn", Some(100)));
    let keys: Vec<String> = app.keys.iter().map(|key| key.value.to_string()).collect();
    assert_eq!(keys, ["systemd:rungate-app", "file:/etc/rungate/app-old.pem"]);
    assert_eq!(policy.rules.len(), 2);
    let rule = &policy.rules[0];
    assert_eq!(rule.max_timeout.as_ref().unwrap().value, Duration::from_secs(2_730));
    assert_eq!(rule.sandbox.network.as_ref().unwrap().value, Network::Host);
    assert_eq!(rule.verbs, Verb::USUAL);
    assert_eq!(rule.actors.as_ref().unwrap()[1], Actor::Team("@acme/data-platform".to_owned()));
    assert_eq!(policy.rules[1].verbs, [Verb::Run, Verb::Token, Verb::Exec]);
    assert!(policy.rules[1].forks && policy.rules[1].repositories.len() == 2);
}

/// Every key below `object` as `object.key`, once from the table and once from a file.
fn known(object: &'static Object, keys: &mut BTreeSet<String>) {
    for field in object.fields {
        keys.insert(format!("{}.{}", object.name, field.key));
        match field.kind {
            Kind::Object(inner) => known(inner, keys),
            Kind::List { of: Kind::Object(inner), .. } => known(inner, keys),
            _ => {}
        }
    }
}

fn used(node: &Node, object: &'static Object, keys: &mut BTreeSet<String>) {
    let NodeKind::Mapping(entries) = &node.kind else { return };
    for entry in entries {
        let Some(field) = object.field(&entry.key.text) else { continue };
        keys.insert(format!("{}.{}", object.name, field.key));
        match (field.kind, &entry.value.kind) {
            (Kind::Object(inner), _) => used(&entry.value, inner, keys),
            (Kind::List { of: Kind::Object(inner), .. }, NodeKind::Sequence(items)) => {
                for item in items {
                    used(item, inner, keys);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn the_full_policy_uses_every_field_of_the_table() {
    let (mut in_table, mut in_file) = (BTreeSet::new(), BTreeSet::new());
    known(&POLICY, &mut in_table);
    used(&tree::parse(FULL).unwrap(), &POLICY, &mut in_file);
    assert_eq!(in_table, in_file);
    assert!(in_table.len() > 30);
}

#[test]
fn each_mistake_has_its_place() {
    let rule = |line: &str| format!("version: 1\nallow:\n- repository: a/b\n  {line}\n");
    let texts = [
        "version: 2\n".to_owned(),
        "version: 1\nallw: []\n".to_owned(),
        "version: 1\ndefault: permit\nallow: [{repository: a/b}]\n".to_owned(),
        "version: 1\nallow: [{refs: [refs/heads/main]}]\n".to_owned(),
        rule("refs: [main]"),
        rule("refs: ['refs/heads/[']"),
        rule("events: [Push]"),
        rule("actors: ['@team']"),
        rule("manifest-sha256: [ABC]"),
        rule("verbs: [delete]"),
        rule("forks: yes"),
        rule("secrets: [GITHUB_TOKEN]"),
        rule("forks: true\n  secrets: [KEY]"),
        rule("sandbox: {mode: off, require: landlock}"),
        rule("sandbox: {read: [data, /a/../b]}"),
        rule("permissions: {content: read}"),
        rule("repository: c/d"),
        "version: 1\nallow: [{repository: '*/b'}, {repository: a}]\n".to_owned(),
        "version: 1\napp: {id: x, keys: ['/etc/key.pem', 'file:key.pem', 'vault:kv/key']}\ndefault: allow\n"
            .to_owned(),
        "version: 1\ndefault: allow\noidc: {issuer: 'http://issuer.example'}\n".to_owned(),
        "version: 1\ndefault: allow\nserver: https://github.com\n".to_owned(),
        "version: 1\n".to_owned(),
    ];
    let all: Vec<String> = texts.iter().map(|text| complaints(text).join("\n")).collect();
    assert!(all.iter().all(|said| !said.is_empty()), "{all:#?}");
    insta::assert_snapshot!(all.join("\n"), @r#"
    1:1 empty this policy refuses everything: its default is `deny`, and it has no rule
    1:10 unknown-version `version` must be 1, the newest version that this rungate knows, not `2`
    1:1 empty this policy refuses everything: its default is `deny`, and it has no rule
    2:1 unknown-key `allw` is not a key of a policy
    2:10 unknown-word `default` must be one of `deny`, `allow`, not `permit`
    2:10 missing-key this rule has no `repository`
    4:10 invalid-name `main` is not a whole reference, such as `refs/heads/main` or `refs/heads/release/*`
    4:10 invalid-name `refs/heads/[` is not a whole reference, such as `refs/heads/main` or `refs/heads/release/*`
    4:12 invalid-name `Push` is not the name of an event, such as `push` or `workflow_dispatch`
    4:12 invalid-name `@team` is not a user such as `octocat` or `dependabot[bot]`, or a team `@ORGANIZATION/TEAM`
    4:21 invalid-name `ABC` is not a SHA-256 of 64 lower-case hexadecimal digits, as `sha256sum` prints it
    4:11 unknown-word an item of `verbs` must be one of `run`, `publish`, `reconcile`, `token`, `exec`, not `delete`
    4:10 wrong-type `forks` must be `true` or `false`, not `yes`
    4:13 reserved-name `GITHUB_TOKEN` never reaches a script: `RUNGATE_*`, `ACTIONS_*`, `INPUT_*` and `GITHUB_TOKEN` are the caller's
    5:3 conflicting-keys a rule that admits code from forks gives no secrets: whoever opens a pull request would have them
    4:19 conflicting-keys `mode: off` lets scripts run without any layer, and `require` names layers that must hold
    4:20 invalid-name `data` is not an absolute path without `.`, `..` and double slashes
    4:26 invalid-name `/a/../b` is not an absolute path without `.`, `..` and double slashes
    4:17 unknown-word `content` is not a permission scope of a GitHub token
    4:3 duplicate-key the key `repository` is written twice
    2:22 invalid-name `*/b` is not a repository `OWNER/NAME`, in whose name `*` and `?` stand for others
    2:43 invalid-name `a` is not a repository `OWNER/NAME`, in whose name `*` and `?` stand for others
    2:21 invalid-name `/etc/key.pem` is not a reference to a secret: `file:/PATH` or `systemd:NAME`
    2:37 invalid-name `file:key.pem` is not a reference to a secret: `file:/PATH` or `systemd:NAME`
    2:53 not-available `vault:kv/key` cannot be followed yet in this version of rungate
    3:16 clear-text the issuer `http://issuer.example` is reached in clear text, where anybody could sign
    3:9 invalid-name `https://github.com` is not the bare name of a server, such as `github.com` or `octo.ghe.com`
    1:1 empty this policy refuses everything: its default is `deny`, and it has no rule
    "#);
}

#[test]
fn a_further_policy_names_no_app_and_no_secrets() {
    let text = "version: 1\ndefault: allow\napp: {id: x, keys: ['systemd:key']}\nsecret-sources: {KEY: 'systemd:key'}\noidc: {audience: x}\n";
    assert!(policy("p", text.as_bytes(), Standing::Host).is_ok());
    let invalid = policy("p", text.as_bytes(), Standing::Further).unwrap_err();
    let rules: Vec<&str> = invalid.diagnostics.iter().map(|found| found.rule).collect();
    assert_eq!(rules, ["only-in-host-policy"; 3]);
}
