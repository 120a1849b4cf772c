//! What is admitted, what is refused, and that a further policy never adds anything.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::Sha256;
use crate::manifest::model::Permission;
use crate::policy::model::{Facts, Mode};
use crate::policy::read::{self, Standing};

fn policy(text: &str) -> Policy {
    let text = format!("version: 1\n{text}");
    read::policy("policy.yml", text.as_bytes(), Standing::Host)
        .unwrap_or_else(|found| panic!("{found:?}"))
        .policy
}

/// A policy with one rule, whose further lines are these.
fn rule(lines: &str) -> Policy {
    policy(&format!("allow:\n- repository: acme/widgets\n  {}\n", lines.replace('\n', "\n  ")))
}

/// A push to main of acme/widgets.
fn push() -> Facts {
    Facts {
        repository: Some("acme/widgets".to_owned()),
        reference: Some("refs/heads/main".to_owned()),
        event: Some("push".to_owned()),
        actors: vec!["octocat".to_owned()],
        ..Facts::default()
    }
}

fn run() -> Asked {
    Asked { verb: Verb::Run, command: Some("check".parse().unwrap()), manifest: Some(Sha256::of(b"hello\n")) }
}

fn said(policies: &[Policy], asked: &Asked, facts: &Facts) -> String {
    decide(policies, asked, facts).refusal().unwrap_or_else(|| "admitted".to_owned())
}

#[test]
fn a_rule_admits_what_all_of_its_conditions_hold_for() {
    let all = "refs: ['refs/heads/*']\nevents: [push]\nactors: [OctoCat]\ncommands: [check]\n\
               manifest-sha256: [5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03]";
    let policy = [rule(all)];
    assert_eq!(said(&policy, &run(), &push()), "admitted");
    let but = |change: fn(&mut Facts)| {
        let mut facts = push();
        change(&mut facts);
        said(&policy, &run(), &facts)
    };
    insta::assert_snapshot!([
        but(|facts| facts.repository = Some("acme/other".to_owned())),
        but(|facts| facts.repository = None),
        but(|facts| facts.reference = Some("refs/tags/v1".to_owned())),
        but(|facts| facts.reference = None),
        but(|facts| facts.event = Some("schedule".to_owned())),
        but(|facts| facts.event = None),
        but(|facts| facts.actors = vec!["mallory".to_owned()]),
        but(|facts| facts.actors.clear()),
        but(|facts| facts.actors.push("mallory".to_owned())),
        but(|facts| facts.fork = Fork::Yes),
        but(|facts| facts.fork = Fork::Unknown),
        said(&policy, &Asked { command: Some("other".parse().unwrap()), ..run() }, &push()),
        said(&policy, &Asked { manifest: Some(Sha256::of(b"x")), ..run() }, &push()),
        said(&policy, &Asked::plain(Verb::Token), &push()),
        said(&policy, &Asked::plain(Verb::Exec), &push()),
    ].join("\n"), @"
    policy.yml:1: no rule admits the command `check` of acme/other (line 3: `repository` does not name acme/other)
    policy.yml:1: no rule admits the command `check` of an unknown repository (line 3: the repository is not known)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: `refs` does not name refs/tags/v1)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: the ref is not known)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: `events` does not name `schedule`)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: the event is not known)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: `actors` does not name mallory)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: the actor is not known)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: `actors` does not name mallory)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: code from a fork is in it, and `forks: true` is not said)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: code from a fork may be in it, and `forks: true` is not said)
    policy.yml:1: no rule admits the command `other` of acme/widgets (line 3: `commands` does not name `other`)
    policy.yml:1: no rule admits the command `check` of acme/widgets (line 3: `manifest-sha256` does not name 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881)
    policy.yml:1: no rule admits `token` of acme/widgets (line 3: `verbs` does not name `token`)
    policy.yml:1: no rule admits `exec` of acme/widgets (line 3: `verbs` does not name `exec`)
    ");
}

#[test]
fn events_that_act_for_strangers_have_to_be_named() {
    for event in TO_BE_NAMED {
        let facts = Facts { event: Some(event.to_owned()), ..push() };
        assert!(said(&[rule("forks: true")], &run(), &facts).contains("has to be named"), "{event}");
        assert_eq!(said(&[rule(&format!("events: [{event}]"))], &run(), &facts), "admitted");
        assert!(
            said(&[policy("default: allow")], &run(), &facts).contains("only a rule can admit"),
            "{event}"
        );
    }
}

#[test]
fn a_default_that_allows_does_not_reach_forks() {
    let open = [policy("default: allow")];
    assert_eq!(said(&open, &run(), &Facts::default()), "admitted");
    assert_eq!(said(&open, &Asked::plain(Verb::Exec), &push()), "admitted");
    for fork in [Fork::Yes, Fork::Unknown] {
        let facts = Facts { fork, ..push() };
        assert!(said(&open, &run(), &facts).contains("only a rule can admit"));
        let with_rule = [policy("default: allow\nallow:\n- {repository: acme/widgets, forks: true}")];
        assert_eq!(said(&with_rule, &run(), &facts), "admitted");
    }
}

#[test]
fn a_team_counts_only_where_it_is_known() {
    let policies = [rule("actors: ['@acme/Data']")];
    let key = ("@acme/data".to_owned(), "octocat".to_owned());
    assert_eq!(teams(&policies, &run(), &push()), BTreeSet::from([key.clone()]));
    // What is refused anyway asks nobody.
    let other = Facts { repository: Some("acme/other".to_owned()), ..push() };
    assert!(teams(&policies, &run(), &other).is_empty());
    assert!(said(&policies, &run(), &push()).contains("was not asked"));
    let with = |member| Facts { teams: [(key.clone(), member)].into(), ..push() };
    assert_eq!(said(&policies, &run(), &with(Member::Yes)), "admitted");
    assert!(said(&policies, &run(), &with(Member::No)).contains("`actors` does not name octocat"));
    let unknown = with(Member::Unknown("no App".to_owned()));
    assert!(
        said(&policies, &run(), &unknown).contains("whether octocat is in @acme/data is not known: no App")
    );
    // Everybody who has part in it has to be in it.
    let two = Facts { actors: vec!["octocat".to_owned(), "mallory".to_owned()], ..with(Member::Yes) };
    assert!(said(&policies, &run(), &two).contains("mallory"));
}

#[test]
fn facts_have_to_be_verified_where_one_policy_wants_that() {
    let policies = [policy("default: allow"), policy("default: allow\nfacts: verified")];
    assert!(said(&policies, &run(), &push()).contains("no token that GitHub signed"));
    assert_eq!(said(&policies, &run(), &Facts { verified: true, ..push() }), "admitted");
}

#[test]
fn what_a_dead_run_left_open_is_closed_wherever_the_policy_names_its_repository() {
    let strict = [rule("refs: [refs/heads/main]\nactors: [octocat]\nevents: [push]\ncommands: [check]")];
    let of = |repository: &str| Facts { repository: Some(repository.to_owned()), ..Facts::default() };
    let asked = Asked::plain(Verb::Reconcile);
    assert_eq!(said(&strict, &asked, &of("acme/widgets")), "admitted");
    assert!(said(&strict, &asked, &of("acme/other")).contains("`repository` does not name"));
    assert!(
        said(&[rule("verbs: [run]")], &asked, &of("acme/widgets"))
            .contains("`verbs` does not name `reconcile`")
    );
    assert_eq!(said(&[policy("default: allow\nfacts: verified")], &asked, &of("acme/x")), "admitted");
}

#[test]
fn the_first_rule_that_matches_decides_and_its_bounds_hold() {
    let text = "sandbox: {network: none, require: landlock}\nmax-timeout-minutes: 60\nallow:\n\
                - {repository: acme/widgets, commands: [check], sandbox: {network: host}, max-timeout-minutes: 90}\n\
                - {repository: acme/widgets, sandbox: {mode: best-effort, require: namespaces}, secrets: [KEY]}\n";
    let policies = [policy(text)];
    let first = decide(&policies, &run(), &push());
    assert!(matches!(&first.judgements[0].outcome, Outcome::Rule(place) if place.line == 5));
    assert_eq!(first.bounds.against_network(), None);
    assert!(first.bounds.against_mode(Mode::BestEffort).is_some());
    // A rule can only shorten.
    assert_eq!(first.bounds.timeout().unwrap().value, Duration::from_hours(1));
    let other = Asked { command: Some("other".parse().unwrap()), ..run() };
    let second = decide(&policies, &other, &push());
    assert_eq!(second.judgements[0].looked.len(), 2);
    assert_eq!(second.bounds.against_network().map(|place| place.line), Some(2));
    assert_eq!(second.bounds.against_mode(Mode::BestEffort), None);
    let required: Vec<String> =
        second.bounds.require().iter().map(|required| required.value.to_string()).collect();
    assert_eq!(required, ["landlock", "namespaces"]);
    let key = "KEY".parse().unwrap();
    assert!(first.bounds.against_secret(&key, true).is_some(), "a secret of the host has to be given");
    assert_eq!(first.bounds.against_secret(&key, false), None);
    assert_eq!(second.bounds.against_secret(&key, true), None);
    assert!(second.bounds.against_secret(&"OTHER".parse().unwrap(), false).is_some());
}

#[test]
fn paths_and_permissions_are_held_to_what_is_written() {
    let text = "default: allow\nsandbox: {read: [/srv/data], write: [/srv/out]}\npermissions: {contents: read, pull-requests: write}";
    let bounds = decide(&[policy(text)], &run(), &push()).bounds;
    for (path, fine) in
        [("/srv/data", true), ("/srv/data/x", true), ("/srv/database", false), ("/srv", false)]
    {
        assert_eq!(bounds.against_read(Path::new(path)).is_none(), fine, "{path}");
    }
    assert!(bounds.against_write(Path::new("/srv/data")).is_some());
    assert_eq!(bounds.against_write(Path::new("/srv/out/x")), None);
    for (scope, wanted, fine) in [
        ("contents", Permission::Read, true),
        ("contents", Permission::Write, false),
        ("pull_requests", Permission::Write, true),
        ("metadata", Permission::Read, true),
        ("metadata", Permission::Write, false),
        ("checks", Permission::Read, false),
        ("administration", Permission::None, true),
    ] {
        assert_eq!(bounds.against_permission(scope, wanted).is_none(), fine, "{scope}");
    }
    let closed = decide(&[policy("default: allow")], &run(), &push()).bounds;
    assert_eq!(closed.against_read(Path::new("/anywhere")), None);
    assert!(closed.against_write(Path::new("/anywhere")).is_some());
}

/// Policies of every sort, small enough that many decisions fall out either way.
fn some_policy() -> impl Strategy<Value = Policy> {
    let word = |words: &'static [&'static str]| proptest::sample::select(words);
    let one = (
        word(&["acme/widgets", "acme/*", "other/x"]),
        word(&["", "refs: [refs/heads/main]", "refs: ['refs/tags/**']"]),
        word(&["", "events: [push]", "events: [pull_request_target]"]),
        word(&["", "actors: [octocat]", "actors: [mallory]"]),
        word(&["", "forks: true", "verbs: [token, exec]", "commands: [check]"]),
        word(&[
            "",
            "sandbox: {network: host}",
            "sandbox: {mode: off}",
            "max-timeout-minutes: 5",
            "secrets: []",
        ]),
    );
    let rules = proptest::collection::vec(one, 0..4);
    let tops = word(&[
        "",
        "sandbox: {network: host, mode: best-effort}",
        "max-timeout-minutes: 7",
        "facts: verified",
    ]);
    (word(&["allow", "deny"]), tops, rules).prop_map(|(default, top, rules)| {
        let rule = |(repository, refs, events, actors, more, bounds)| {
            format!("- repository: {repository}\n  {}\n", [refs, events, actors, more, bounds].join("\n  "))
        };
        let rules: Vec<String> = rules.into_iter().map(rule).collect();
        let list = if rules.is_empty() { " []\n".to_owned() } else { format!("\n{}", rules.concat()) };
        policy(&format!("default: {default}\n{top}\nallow:{list}"))
    })
}

fn some_facts() -> impl Strategy<Value = Facts> {
    let word = |words: &'static [Option<&'static str>]| {
        proptest::sample::select(words).prop_map(|word| word.map(str::to_owned))
    };
    (
        any::<bool>(),
        word(&[None, Some("acme/widgets"), Some("other/x")]),
        word(&[None, Some("refs/heads/main"), Some("refs/tags/v1")]),
        word(&[None, Some("push"), Some("pull_request_target")]),
        proptest::sample::subsequence(vec!["octocat".to_owned(), "mallory".to_owned()], 0..=2),
        proptest::sample::select(&[Fork::No, Fork::Yes, Fork::Unknown][..]),
    )
        .prop_map(|(verified, repository, reference, event, actors, fork)| Facts {
            verified,
            repository,
            reference,
            event,
            actors,
            fork,
            ..Facts::default()
        })
}

proptest! {
    #[test]
    fn a_further_policy_only_takes_away(host in some_policy(), further in some_policy(), facts in some_facts()) {
        let asked = run();
        let alone = decide(std::slice::from_ref(&host), &asked, &facts);
        let both = decide(&[host, further], &asked, &facts);
        prop_assert!(both.refusal().is_some() || alone.refusal().is_none());
        if both.refusal().is_none() {
            prop_assert!(alone.bounds.against_network().is_none() || both.bounds.against_network().is_some());
            for mode in [Mode::BestEffort, Mode::Off] {
                prop_assert!(alone.bounds.against_mode(mode).is_none() || both.bounds.against_mode(mode).is_some());
            }
            let least = |bounds: &Bounds| bounds.timeout().map_or(Duration::MAX, |limit| limit.value);
            prop_assert!(least(&both.bounds) <= least(&alone.bounds));
            let key = "KEY".parse().unwrap();
            prop_assert!(alone.bounds.against_secret(&key, true).is_none() || both.bounds.against_secret(&key, true).is_some());
        }
    }

    #[test]
    fn whoever_is_refused_by_deny_is_admitted_by_no_rule(policy in some_policy(), facts in some_facts()) {
        let judged = decide(std::slice::from_ref(&policy), &run(), &facts);
        let matched = judged.judgements[0].looked.iter().any(|looked| looked.against.is_empty());
        prop_assert_eq!(matched, matches!(judged.judgements[0].outcome, Outcome::Rule(_)));
    }
}
