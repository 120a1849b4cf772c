//! The client and App authentication against the fake GitHub: limits, faults, clocks, tokens and redirects.

use std::collections::BTreeMap;
use std::time::Duration;

use rungate::environ::Environ;
use rungate::github::app::{Access, Scope};
use rungate::github::client::{Client, ClientError, Request};
use rungate::github::credentials::Credentials;
use rungate::github::host::Host;
use rungate::github::refusal::Reason;
use rungate::github::repository::Repository;
use rungate::http::Http;
use rungate::redact::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fake::Fake;
use crate::fake::faults::{Fault, Rule};
use crate::fake::world::{self, APP_KEY, Settings, TokenFormat};

const OTHER_KEY: &str = include_str!("../fixtures/keys/other.pem");
const RUNS: &str = "/repos/acme/widgets/check-runs";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// A client with the App's credentials, or with others.
fn client(fake: &Fake, further: &[(&str, &str)]) -> (Client, Registry) {
    let url = fake.url();
    let mut pairs = vec![("GITHUB_API_URL", url.as_str()), ("RUNGATE_APP_ID", "4242")];
    if further.iter().all(|(name, _)| *name != "RUNGATE_APP_PRIVATE_KEY") {
        pairs.push(("RUNGATE_APP_PRIVATE_KEY", APP_KEY));
    }
    pairs.extend(further);
    pairs.retain(|(_, value)| !value.is_empty());
    let (environ, registry) = (Environ::of(pairs), Registry::new());
    let credentials = Credentials::of_environ(&environ, &registry).unwrap();
    let scope = Scope::checks(Repository::parse("acme/widgets").unwrap());
    let http = Http::new(&environ, &registry);
    (Client::new(Host::of_environ(&environ).unwrap(), credentials, scope, http, &registry), registry)
}

/// Waits for `work` on an event loop such as the program uses.
fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn create() -> Request {
    Request::post(RUNS, json!({"name": "check", "head_sha": SHA, "status": "in_progress"}))
}

/// What was asked for so far, as `METHOD path`.
fn log(fake: &Fake) -> Vec<String> {
    fake.world().requests.iter().map(|call| format!("{} {}", call.method, call.path)).collect()
}

fn check_runs(fake: &Fake) -> usize {
    fake.world().check_runs.len()
}

fn reason(error: &ClientError) -> Option<Reason> {
    match error {
        ClientError::Refused(refusal) => Some(refusal.reason),
        _ => None,
    }
}

#[test]
fn a_token_is_made_late_narrow_and_given_back() {
    for token_format in [TokenFormat::Classic, TokenFormat::Stateless] {
        let fake =
            Fake::with(Settings { token_format, host: world::Host::Ghes, ..Settings::default() }, 0).unwrap();
        let (client, registry) = client(&fake, &[]);
        assert!(log(&fake).is_empty(), "nothing is asked before it is needed");
        wait(async {
            client.send(&create(), soon()).await.unwrap();
            assert_eq!(client.app_id().await, Some(4242));
            client.close(soon()).await;
            client.close(soon()).await;
        });
        let minted: Vec<Value> = {
            let world = fake.world();
            let mints = world.requests.iter().filter(|call| call.path.ends_with("/access_tokens"));
            mints.map(|call| call.body.clone()).collect()
        };
        assert_eq!(minted, [json!({"repositories": ["widgets"], "permissions": {"checks": "write"}})]);
        let ours = fake.world().tokens.iter().filter(|token| token.app == 4242).cloned().collect::<Vec<_>>();
        assert!(ours.len() == 1 && ours[0].revoked, "{ours:?}");
        assert_eq!(registry.text(&ours[0].secret), "***");
        assert_eq!(
            log(&fake).iter().filter(|line| line.starts_with("DELETE")).count(),
            1,
            "{:?}",
            log(&fake)
        );
        // The JSON web token is hidden as well.
        let world = fake.world();
        let sent = world.requests[0].headers["authorization"].clone();
        assert_eq!(registry.text(&sent), "Bearer ***");
    }
}

#[test]
fn clocks_that_differ_are_set_by_the_server_once() {
    for clock_skew in [-4000, -120, 0, 120, 4000] {
        let fake = Fake::with(Settings { clock_skew, ..Settings::default() }, 0).unwrap();
        let (client, _) = client(&fake, &[]);
        wait(client.send(&create(), soon())).unwrap_or_else(|error| panic!("{clock_skew}: {error:?}"));
        assert_eq!(check_runs(&fake), 1);
    }
}

#[test]
fn keys_are_tried_in_their_order() {
    let fake = Fake::start();
    let (client, _) = client(&fake, &[("RUNGATE_APP_PRIVATE_KEY", &format!("{OTHER_KEY}{APP_KEY}"))]);
    wait(async {
        client.send(&create(), soon()).await.unwrap();
        client.send(&create(), soon()).await.unwrap();
    });
    assert_eq!(
        log(&fake).iter().filter(|line| line.ends_with("/installation")).count(),
        2,
        "{:?}",
        log(&fake)
    );
    let (wrong, _) = self::client(&fake, &[("RUNGATE_APP_PRIVATE_KEY", OTHER_KEY)]);
    let error = wait(wrong.send(&create(), soon())).unwrap_err();
    assert_eq!(reason(&error), Some(Reason::Key), "{error:?}");
}

#[test]
fn an_installation_that_is_not_known_is_looked_up_once() {
    let fake = Fake::start();
    let (stale, _) = client(&fake, &[("RUNGATE_INSTALLATION_ID", "999")]);
    wait(stale.send(&create(), soon())).unwrap();
    let (good, _) = client(&fake, &[("RUNGATE_INSTALLATION_ID", "100")]);
    let before = log(&fake).len();
    wait(good.send(&create(), soon())).unwrap();
    assert_eq!(
        log(&fake)[before..],
        ["POST /app/installations/100/access_tokens", "POST /repos/acme/widgets/check-runs"]
    );
    fake.world().installation().suspended = true;
    let (suspended, _) = client(&fake, &[]);
    let error = wait(suspended.send(&create(), soon())).unwrap_err();
    assert_eq!(reason(&error), Some(Reason::Suspended), "{error:?}");
}

#[test]
fn a_token_that_ends_soon_or_is_refused_is_renewed() {
    let fake = Fake::with(Settings { token_lifetime: 200, ..Settings::default() }, 0).unwrap();
    let (client, _) = client(&fake, &[]);
    wait(async {
        client.send(&create(), soon()).await.unwrap();
        client.send(&create(), soon()).await.unwrap();
        assert_eq!(log(&fake).iter().filter(|line| line.ends_with("/access_tokens")).count(), 2);
        fake.world().settings.token_lifetime = 3600;
        client.send(&create(), soon()).await.unwrap();
        let before = log(&fake).len();
        fake.fault(Rule::once("POST", RUNS, Fault::BadCredentials));
        client.send(&create(), soon()).await.unwrap();
        assert_eq!(
            log(&fake)[before..],
            [
                "POST /repos/acme/widgets/check-runs",
                "POST /app/installations/100/access_tokens",
                "POST /repos/acme/widgets/check-runs"
            ]
        );
        // Once, not for ever.
        fake.fault(Rule::once("POST", RUNS, Fault::BadCredentials).times(0));
        let error = client.send(&create(), soon()).await.unwrap_err();
        assert_eq!(reason(&error), Some(Reason::Credentials), "{error:?}");
    });
    assert_eq!(check_runs(&fake), 4);
}

#[test]
fn a_ready_token_is_used_as_it_is_and_not_given_back() {
    let fake = Fake::start();
    let ready =
        [("RUNGATE_APP_ID", ""), ("RUNGATE_APP_PRIVATE_KEY", ""), ("RUNGATE_TOKEN", world::JOB_TOKEN)];
    let pairs: Vec<(&str, &str)> = ready.to_vec();
    let url = fake.url();
    let environ = Environ::of(
        pairs.into_iter().filter(|(_, value)| !value.is_empty()).chain([("GITHUB_API_URL", url.as_str())]),
    );
    let registry = Registry::new();
    let credentials = Credentials::of_environ(&environ, &registry).unwrap();
    let scope = Scope::checks(Repository::parse("acme/widgets").unwrap());
    let http = Http::new(&environ, &registry);
    let client = Client::new(Host::of_environ(&environ).unwrap(), credentials, scope, http, &registry);
    wait(async {
        client.send(&create(), soon()).await.unwrap();
        client.close(soon()).await;
    });
    assert_eq!(log(&fake), ["POST /repos/acme/widgets/check-runs"]);
}

#[test]
fn a_write_whose_answer_is_lost_is_never_made_twice() {
    for fault in [Fault::Status { status: 502 }, Fault::Reset, Fault::Truncated { body_bytes: 10 }] {
        for applied in [true, false] {
            let fake = Fake::start();
            let rule = Rule::once("POST", RUNS, fault.clone());
            fake.fault(if applied { rule.applied() } else { rule });
            let (client, _) = client(&fake, &[]);
            let error = wait(client.send(&create(), soon())).unwrap_err();
            assert!(matches!(error, ClientError::Ambiguous { .. }), "{fault:?} {error:?}");
            assert_eq!(log(&fake).iter().filter(|line| line.ends_with("check-runs")).count(), 1, "{fault:?}");
        }
    }
    // A reading call is made again.
    let fake = Fake::start();
    let list = format!("/repos/acme/widgets/commits/{SHA}/check-runs");
    fake.fault(Rule::once("GET", &list, Fault::Reset));
    fake.fault(Rule::once("GET", &list, Fault::Status { status: 503 }).nth(2));
    let (client, _) = client(&fake, &[]);
    wait(client.send(&Request::get(list.as_str()), soon())).unwrap();
    assert_eq!(log(&fake).iter().filter(|line| line.ends_with("check-runs")).count(), 3, "{:?}", log(&fake));
}

#[test]
fn a_limit_is_waited_out_and_one_that_lasts_too_long_is_not() {
    let fake = Fake::start();
    fake.fault(Rule::once("POST", RUNS, Fault::RetryAfter { seconds: 1 }));
    let (client, _) = client(&fake, &[]);
    wait(async {
        let start = Instant::now();
        client.send(&create(), soon()).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
        assert!(client.is_pressed());
        // From now on writes keep a distance.
        let start = Instant::now();
        client.send(&create(), soon()).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    });
    assert_eq!(check_runs(&fake), 2);
    for fault in
        [Fault::PrimaryLimit { reset_in: 600 }, Fault::SecondaryLimit, Fault::RetryAfter { seconds: 600 }]
    {
        let fake = Fake::start();
        fake.fault(Rule::once("POST", RUNS, fault.clone()).times(0));
        let (client, _) = self::client(&fake, &[]);
        wait(async {
            for _ in 0..2 {
                let error = client.send(&create(), soon()).await.unwrap_err();
                let named = matches!(error, ClientError::DeadlineExceeded { waiting_for: Some(_) });
                assert!(named, "{fault:?} {error:?}");
            }
        });
        // The second call was not even tried: it would have met the same limit.
        assert_eq!(log(&fake).iter().filter(|line| line.ends_with("check-runs")).count(), 1, "{fault:?}");
    }
}

#[test]
fn nothing_lasts_beyond_its_deadline() {
    let fake = Fake::start();
    fake.fault(Rule::once("POST", RUNS, Fault::Hang).applied());
    fake.fault(Rule::once("GET", "/repos/**", Fault::Hang).nth(2));
    let (client, _) = client(&fake, &[]);
    wait(async {
        let briefly = || Instant::now() + Duration::from_millis(600);
        let error = client.send(&create(), briefly()).await.unwrap_err();
        assert!(matches!(error, ClientError::Ambiguous { .. }), "{error:?}");
        let error = client.send(&Request::get(format!("{RUNS}/1")), briefly()).await.unwrap_err();
        assert!(matches!(error, ClientError::DeadlineExceeded { .. }), "{error:?}");
    });
}

#[test]
fn the_token_follows_a_renamed_repository_and_leaves_no_origin() {
    let fake = Fake::start().tolerate_bad_requests();
    let (client, _) = client(&fake, &[]);
    wait(async {
        let body = json!({"name": "check", "head_sha": SHA});
        client
            .send(&Request::post("/repos/acme/old-widgets/check-runs", body.clone()), soon())
            .await
            .unwrap();
        let moved = "/repos/acme/moved-away/check-runs";
        let error = client.send(&Request::post(moved, body), soon()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
        let _followed_without_the_token = client.send(&Request::get(format!("{moved}/1")), soon()).await;
    });
    assert_eq!(check_runs(&fake), 1);
    let state = fake.state().to_string();
    let world = fake.world();
    let strangers: Vec<_> =
        world.requests.iter().filter(|call| call.origin == crate::fake::call::Origin::Elsewhere).collect();
    assert_eq!(strangers.len(), 1, "{state}");
    assert!(!strangers[0].headers.contains_key("authorization"), "{:?}", strangers[0].headers);
}

#[test]
fn a_secret_in_a_body_does_not_leave() {
    let fake = Fake::start();
    let (client, registry) = client(&fake, &[]);
    let _ = registry.add("correct horse battery");
    let body = json!({"name": "a correct horse battery", "head_sha": SHA, "external_id": "x"});
    wait(client.send(&Request::post(RUNS, body), soon())).unwrap();
    assert!(!fake.state().to_string().contains("correct horse"));
    assert!(fake.state().to_string().contains("a ***"));
}

#[test]
fn a_permission_that_is_missing_is_named() {
    let fake = Fake::start();
    fake.world().installation().permissions = BTreeMap::from([("metadata".to_owned(), "read".to_owned())]);
    let (client, _) = client(&fake, &[]);
    let error = wait(client.send(&create(), soon())).unwrap_err();
    assert_eq!(reason(&error), Some(Reason::NotGranted), "{error:?}");
    assert_eq!(Access::Write.word(), "write");
}
