//! The fake GitHub itself: that it is as strict as GitHub's documents say, so that the tests upon it mean something.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::fake::call::Origin;
use crate::fake::faults::{Fault, Rule};
use crate::fake::world::{APP_KEY, Host, JOB_TOKEN, Settings, TokenFormat, USER_TOKEN};

const OTHER_KEY: &str = include_str!("../fixtures/keys/other.pem");
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const RUNS: &str = "/repos/acme/widgets/check-runs";

/// What came back.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Got {
    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// One request with everything that GitHub wants of it.
fn call(fake: &Fake, method: Method, path: &str, credential: &str, body: Option<&Value>) -> Got {
    attempt(fake, method, path, credential, body).unwrap()
}

fn attempt(
    fake: &Fake,
    method: Method,
    path: &str,
    credential: &str,
    body: Option<&Value>,
) -> Result<Got, reqwest::Error> {
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", fake.url()) };
    let mut request = client
        .request(method, url)
        .header("user-agent", "test")
        .header("x-github-api-version", "2022-11-28")
        .timeout(Duration::from_secs(5));
    if !credential.is_empty() {
        request = request.header("authorization", format!("Bearer {credential}"));
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?;
        Ok(Got { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    })
}

fn signed(key: &str, claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

/// A JWT that was issued and ends so many seconds from the fake's present.
fn jwt_at(fake: &Fake, iat: i64, exp: i64) -> String {
    let now = fake.world().now();
    signed(APP_KEY, &json!({"iat": now + iat, "exp": now + exp, "iss": fake.world().app().client_id}))
}

fn jwt(fake: &Fake) -> String {
    jwt_at(fake, -60, 540)
}

fn mint(fake: &Fake, body: Option<&Value>) -> Got {
    call(fake, Method::POST, "/app/installations/100/access_tokens", &jwt(fake), body)
}

fn token(fake: &Fake) -> String {
    mint(fake, None).body["token"].as_str().unwrap().to_owned()
}

fn run_body() -> Value {
    json!({"name": "lint", "head_sha": SHA, "status": "in_progress"})
}

fn annotation(line: u64) -> Value {
    json!({"path": "a.rs", "start_line": line, "end_line": line, "annotation_level": "warning", "message": "m"})
}

fn output(annotations: &[Value]) -> Value {
    json!({"output": {"title": "t", "summary": "s", "annotations": annotations}})
}

#[test]
fn a_jwt_is_judged_in_githubs_words() {
    let fake = Fake::start();
    let now = fake.world().now();
    let claims = |iss: Value| json!({"iat": now - 60, "exp": now + 540, "iss": iss});
    let too_far = "'Expiration time' claim ('exp') is too far in the future";
    let undecodable = "A JSON web token could not be decoded";
    let cases = [
        (jwt_at(&fake, -60, 900), too_far),
        (
            jwt_at(&fake, -660, -60),
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ),
        (
            jwt_at(&fake, 120, 540),
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ),
        (signed(APP_KEY, &claims(json!(" 4242"))), "'Issuer' claim ('iss') must be an Integer"),
        (signed(OTHER_KEY, &claims(json!("4242"))), undecodable),
        (signed(APP_KEY, &claims(json!("15368"))), "Integration must generate a public key"),
        ("no-token".to_owned(), undecodable),
        (JOB_TOKEN.to_owned(), undecodable),
        (String::new(), undecodable),
    ];
    for (credential, message) in cases {
        let got = call(&fake, Method::GET, "/app", &credential, None);
        assert_eq!((got.status, got.message()), (401, message), "{credential}");
    }
    for issuer in [json!("4242"), json!(4242), json!("Iv23liFakeClient0001")] {
        let got = call(&fake, Method::GET, "/app", &signed(APP_KEY, &claims(issuer)), None);
        assert_eq!((got.status, &got.body["slug"]), (200, &json!("rungate-checks")));
    }
}

#[test]
fn a_clock_that_is_wrong_shows_in_the_date() {
    let fake = Fake::with(Settings { clock_skew: 3600, ..Settings::default() }, 0).unwrap();
    let theirs = fake.world().now() - 3600;
    let late = signed(APP_KEY, &json!({"iat": theirs - 60, "exp": theirs + 540, "iss": "4242"}));
    let got = call(&fake, Method::GET, "/app", &late, None);
    assert_eq!(got.status, 401);
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(got.header("date")).unwrap();
    assert!((date.as_second() - theirs - 3600).abs() < 60);
}

#[test]
fn an_old_server_wants_the_number() {
    let settings = Settings { host: Host::Ghes, numeric_issuer_only: true, ..Settings::default() };
    let fake = Fake::with(settings, 0).unwrap();
    assert!(fake.url().ends_with("/api/v3"));
    let got = call(&fake, Method::GET, "/app", &jwt(&fake), None);
    assert_eq!(got.message(), "'Issuer' claim ('iss') must be an Integer");
    assert_eq!(got.header("x-ratelimit-limit"), "", "limits are off");
    assert_eq!(got.header("x-github-enterprise-version"), "3.19.0");
    let without_base = fake.url().replace("/api/v3", "/app");
    assert_eq!(call(&fake, Method::GET, &without_base, &jwt(&fake), None).status, 404);
}

#[test]
fn an_installation_is_found_where_the_app_is_and_nowhere_else() {
    let fake = Fake::start();
    let found = call(&fake, Method::GET, "/repos/acme/widgets/installation", &jwt(&fake), None);
    assert_eq!((found.status, &found.body["id"]), (200, &json!(100)));
    for absent in ["/repos/acme/gadgets/installation", "/repos/acme/nothing/installation"] {
        let got = call(&fake, Method::GET, absent, &jwt(&fake), None);
        assert_eq!((got.status, got.message()), (404, "Not Found"));
    }
    fake.world().installation().suspended = true;
    assert_eq!(mint(&fake, None).status, 403);
    let found = call(&fake, Method::GET, "/app/installations", &jwt(&fake), None);
    assert!(found.body[0]["suspended_at"].is_string());
}

#[test]
fn tokens_are_narrowed_and_no_wider_than_the_grant() {
    let fake = Fake::start();
    let got = mint(&fake, Some(&json!({"repositories": ["widgets"], "permissions": {"checks": "write"}})));
    assert_eq!(got.status, 201);
    assert_eq!(got.body["permissions"], json!({"checks": "write", "metadata": "read"}));
    assert_eq!(got.body["repositories"][0]["full_name"], "acme/widgets");
    let long = got.body["token"].as_str().unwrap();
    assert!(long.starts_with("ghs_4242_") && long.len() > 400 && long.matches('.').count() == 2, "{long}");

    let not_granted = "The permissions requested are not granted to this installation.";
    for permissions in [json!({"contents": "write"}), json!({"checks": "admin"}), json!({"nonsense": "read"})]
    {
        // The official description knows which names and levels there are, too.
        let fake = Fake::start().tolerate_bad_requests();
        let got = mint(&fake, Some(&json!({"permissions": permissions})));
        assert_eq!((got.status, got.message()), (422, not_granted));
    }
    for list in [json!({"repositories": ["gadgets"]}), json!({"repository_ids": [999]})] {
        let got = mint(&fake, Some(&list));
        assert_eq!(got.status, 422);
        assert!(got.message().contains("not accessible to the parent installation"), "{}", got.message());
    }
    fake.world().settings.token_format = TokenFormat::Classic;
    assert_eq!(mint(&fake, None).body["token"].as_str().unwrap().len(), 40);
    assert_eq!(
        call(&fake, Method::POST, "/app/installations/7/access_tokens", &jwt(&fake), None).status,
        404
    );
}

#[test]
fn a_token_ends_and_is_good_for_what_it_says() {
    let fake = Fake::start();
    let narrow = mint(&fake, Some(&json!({"permissions": {"checks": "read"}})));
    let narrow = narrow.body["token"].as_str().unwrap();
    let got = call(&fake, Method::POST, RUNS, narrow, Some(&run_body()));
    assert_eq!((got.status, got.message()), (403, "Resource not accessible by integration"));
    assert_eq!(got.header("x-accepted-github-permissions"), "checks=write");

    let token = token(&fake);
    assert_eq!(call(&fake, Method::POST, RUNS, &token, Some(&run_body())).status, 201);
    let hidden = call(&fake, Method::POST, "/repos/acme/gadgets/check-runs", &token, Some(&run_body()));
    assert_eq!(hidden.status, 404);
    assert_eq!(call(&fake, Method::DELETE, "/installation/token", &token, None).status, 204);
    for dead in [&token, "ghs_invented"] {
        let got = call(&fake, Method::POST, RUNS, dead, Some(&run_body()));
        assert_eq!((got.status, got.message()), (401, "Bad credentials"));
    }
    let got = call(&fake, Method::POST, RUNS, USER_TOKEN, Some(&run_body()));
    assert_eq!((got.status, got.message()), (403, "You must authenticate via a GitHub App."));
}

#[test]
fn annotations_append_and_come_back_in_pages() {
    let fake = Fake::start();
    let token = token(&fake);
    let made = call(&fake, Method::POST, RUNS, &token, Some(&run_body()));
    let run = format!("{RUNS}/{}", made.body["id"]);
    let lines: Vec<Value> = (1..=120).map(annotation).collect();
    for batch in lines.chunks(50) {
        assert_eq!(call(&fake, Method::PATCH, &run, &token, Some(&output(batch))).status, 200);
    }
    let done = json!({"conclusion": "failure", "output": {"title": "2", "summary": "end"}});
    let done = call(&fake, Method::PATCH, &run, &token, Some(&done));
    assert_eq!(done.body["status"], "completed");
    assert_eq!(done.body["output"]["annotations_count"], 120);
    assert_eq!(done.body["output"]["summary"], "end");

    let mut next = format!("{run}/annotations?per_page=50");
    let mut seen = Vec::new();
    loop {
        let got = call(&fake, Method::GET, &next, &token, None);
        seen.extend(got.body.as_array().unwrap().iter().map(|it| it["start_line"].as_u64().unwrap()));
        let link = got.header("link").to_owned();
        let Some(link) = link.split(", ").find(|one| one.contains("rel=\"next\"")) else { break };
        next = link.split(['<', '>']).nth(1).unwrap().to_owned();
    }
    assert_eq!(seen, (1..=120).collect::<Vec<u64>>());
}

#[test]
fn every_limit_refuses_the_whole_request() {
    let fake = Fake::start().tolerate_bad_requests();
    let token = token(&fake);
    let run = call(&fake, Method::POST, RUNS, &token, Some(&run_body())).body["id"].to_string();
    let changed = |key: &str, value: Value| {
        let mut one = annotation(3);
        one[key] = value;
        output(&[annotation(1), one])
    };
    let many: Vec<Value> = (1..=143).map(annotation).collect();
    let columns = json!({"path": "a", "start_line": 1, "end_line": 2, "start_column": 1, "annotation_level": "notice", "message": "m"});
    let action = |label: &str| json!({"label": label, "description": "d", "identifier": "i"});
    let refused = [
        (output(&many), "No more than 50 items are allowed; 143 were supplied."),
        (
            json!({"output": {"summary": "é".repeat(66_662)}}),
            "Only 65535 characters are allowed; 66662 were supplied.",
        ),
        (json!({"output": {"title": "t"}}), "\"summary\" wasn't supplied."),
        (changed("annotation_level", json!("error")), "annotation_level"),
        (changed("message", json!("é".repeat(32_769))), "65536 bytes are allowed; 65538"),
        (changed("message", json!("")), "too short"),
        (changed("raw_details", json!("x".repeat(65_537))), "raw_details"),
        (changed("title", json!("é".repeat(256))), "255 characters"),
        (changed("path", json!("./a")), "path in the repository"),
        (changed("path", json!("/a")), "path in the repository"),
        (changed("path", json!("a/../../b")), "path in the repository"),
        (changed("start_line", json!(0)), "start_line"),
        (changed("end_line", json!(2)), "less than start_line"),
        (output(&[columns]), "on one line only"),
        (json!({"status": "completed"}), "\"conclusion\" wasn't supplied."),
        (json!({"status": "waiting"}), "not a possible value"),
        (json!({"conclusion": "stale"}), "not a possible value"),
        (json!({"completed_at": "yesterday"}), "date-time"),
        (json!({"details_url": "ftp://x"}), "not a valid URL"),
        (json!({"surprise": 1}), "not a permitted key"),
        (json!({"actions": [action("a"), action("b"), action("c"), action("d")]}), "No more than 3 items"),
        (json!({"actions": [action(&"l".repeat(21))]}), "Only 20 characters"),
    ];
    for (body, text) in refused {
        let got = call(&fake, Method::PATCH, &format!("{RUNS}/{run}"), &token, Some(&body));
        assert_eq!(got.status, 422, "{text}");
        assert!(
            got.message().starts_with("Invalid request.\n\n") && got.message().contains(text),
            "{text}: {}",
            got.message()
        );
    }
    let state = fake.state();
    assert_eq!(state["check_runs"][0]["output"]["annotations_count"], 0);
    assert_eq!(state["check_runs"][0]["status"], "in_progress");
}

#[test]
fn runs_of_a_commit_are_listed_by_app_name_and_age() {
    let fake = Fake::with(Settings { commits: vec![SHA.into()], ..Settings::default() }, 0).unwrap();
    let token = token(&fake);
    for _ in 0..2 {
        assert_eq!(call(&fake, Method::POST, RUNS, &token, Some(&run_body())).status, 201);
    }
    let theirs = call(&fake, Method::POST, RUNS, JOB_TOKEN, Some(&run_body()));
    let ours = fake.state()["check_runs"][0]["check_suite"]["id"].clone();
    assert_ne!(ours, theirs.body["check_suite"]["id"], "every App has a suite of its own");
    let listed = |query: &str| {
        let path = format!("/repos/acme/widgets/commits/{SHA}/check-runs?{query}");
        call(&fake, Method::GET, &path, &token, None).body["total_count"].as_u64().unwrap()
    };
    assert_eq!(listed("filter=all"), 3);
    assert_eq!(listed(""), 2, "only the newest of each name in a suite");
    assert_eq!(listed("app_id=4242&filter=all&check_name=lint"), 2);
    assert_eq!(listed("check_name=other"), 0);
    let suite = format!("/repos/acme/widgets/check-suites/{ours}/check-runs?filter=all");
    assert_eq!(call(&fake, Method::GET, &suite, &token, None).body["total_count"], 2);

    let body = json!({"name": "lint", "head_sha": "f".repeat(40)});
    let got = call(&fake, Method::POST, RUNS, &token, Some(&body));
    assert_eq!((got.status, got.message().starts_with("No commit found for SHA")), (422, true));
    let path = format!("{RUNS}/{}", theirs.body["id"]);
    let got = call(&fake, Method::PATCH, &path, &token, Some(&json!({"status": "queued"})));
    assert_eq!(got.status, 403);
    assert!(got.message().starts_with("Invalid app_id"), "{}", got.message());
}

#[test]
fn a_renamed_repository_redirects_here_or_elsewhere() {
    let fake = Fake::start();
    let token = token(&fake);
    let got = call(&fake, Method::POST, "/repos/acme/old-widgets/check-runs", &token, Some(&run_body()));
    assert_eq!(got.status, 307);
    let to = got.header("location").to_owned();
    assert!(to.starts_with(&fake.url()), "{to}");
    assert_eq!(call(&fake, Method::POST, &to, &token, Some(&run_body())).status, 201);
    let got = call(&fake, Method::GET, "/repos/acme/moved-away", &token, None);
    assert_eq!(got.status, 301);
    assert!(got.header("location").starts_with(&fake.elsewhere()));
    let got = call(&fake, Method::GET, got.header("location"), "", None);
    assert_eq!(got.status, 404, "nothing is told without a token");
    assert_eq!(fake.world().requests.last().unwrap().origin, Origin::Elsewhere);
}

#[test]
fn the_rules_of_every_request_hold() {
    let fake = Fake::start();
    assert_eq!(call(&fake, Method::GET, "/app/", &jwt(&fake), None).status, 404);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let bare = |header: Option<(&'static str, &'static str)>| {
        let mut request = client.get(format!("{}/rate_limit", fake.url())).timeout(Duration::from_secs(5));
        if let Some((name, value)) = header {
            request = request.header("user-agent", "test").header(name, value);
        }
        runtime.block_on(async { request.send().await }).unwrap().status().as_u16()
    };
    assert_eq!(bare(None), 403, "no User-Agent");
    assert_eq!(bare(Some(("x-github-api-version", "1999-01-01"))), 400);
    assert_eq!(bare(Some(("x-github-api-version", "2026-03-10"))), 200);
    fake.world().settings.host = Host::GheCom;
    assert_eq!(bare(Some(("accept", "*/*"))), 401, "ghe.com answers nobody it does not know");
}

#[test]
fn faults_come_when_and_as_they_were_asked_for() {
    let fake = Fake::start();
    let token = token(&fake);
    let create = || attempt(&fake, Method::POST, RUNS, &token, Some(&run_body()));
    let runs = || fake.world().check_runs.len();
    let path = "/repos/*/*/check-runs";

    fake.fault(Rule::once("POST", path, Fault::Status { status: 502 }).nth(2));
    assert_eq!(create().unwrap().status, 201);
    assert_eq!(create().unwrap().status, 502);
    assert_eq!(create().unwrap().status, 201);
    assert_eq!(runs(), 2, "the one in between never arrived");

    fake.world().faults.clear();
    fake.fault(Rule::once("POST", path, Fault::Reset));
    assert!(create().is_err());
    assert_eq!(runs(), 2);
    fake.fault(Rule::once("POST", path, Fault::Reset).applied());
    assert!(create().is_err());
    assert_eq!(runs(), 3, "the answer was lost, not the request");
    fake.fault(Rule::once("POST", path, Fault::Hang).applied());
    assert!(create().unwrap_err().is_timeout());
    assert_eq!(runs(), 4);
    fake.fault(Rule::once("POST", path, Fault::Truncated { body_bytes: 9 }));
    assert!(create().is_err());
    fake.fault(Rule::once("POST", path, Fault::Slow { piece: 400, pause_ms: 1 }));
    assert_eq!(create().unwrap().status, 201);

    fake.world().faults.clear();
    fake.fault(Rule::once("*", "/**", Fault::RetryAfter { seconds: 7 }));
    let got = create().unwrap();
    assert_eq!((got.status, got.header("retry-after")), (429, "7"));
    fake.fault(Rule::once("*", "/**", Fault::PrimaryLimit { reset_in: 30 }));
    let got = create().unwrap();
    assert_eq!((got.status, got.header("x-ratelimit-remaining")), (403, "0"));
    fake.fault(Rule::once("*", "/**", Fault::SecondaryLimit));
    assert!(create().unwrap().message().contains("secondary rate limit"));
    fake.fault(Rule::once("*", "/**", Fault::BadCredentials).times(2));
    assert_eq!(
        [create().unwrap().status, create().unwrap().status, create().unwrap().status],
        [401, 401, 201]
    );
    fake.fault(Rule::once("*", "/**", Fault::InvalidJson));
    assert_eq!(create().unwrap().body, Value::Null);
}

#[test]
fn it_is_steered_and_looked_at_from_outside() {
    let fake = Fake::start();
    let rule = json!({"method": "GET", "path": "/app", "fault": {"kind": "status", "status": 503}});
    let post =
        |path: &str, body: &Value| call(&fake, Method::POST, &root(&fake, path), "", Some(body)).status;
    assert_eq!(post("/_fake/faults", &rule), 204);
    assert_eq!(post("/_fake/faults", &json!({"path": "/app", "fault": {"kind": "nonsense"}})), 422);
    assert_eq!(post("/_fake/settings", &json!({"token_format": "classic"})), 204);
    assert_eq!(post("/_fake/installation", &json!({"permissions": {"checks": "read"}})), 204);
    assert_eq!(call(&fake, Method::GET, "/app", &jwt(&fake), None).status, 503);
    let state = call(&fake, Method::GET, &root(&fake, "/_fake/state"), "", None).body;
    assert_eq!(state["settings"]["token_format"], "classic");
    let introduction = fake.world().introduction();
    assert_eq!(introduction["url"], fake.url());
    assert_eq!(state["requests"][0]["status"], 503);
    assert!(state["requests"][0]["headers"]["authorization"].as_str().unwrap().starts_with("Bearer ey"));
    let got = call(&fake, Method::POST, RUNS, &token(&fake), Some(&run_body()));
    assert_eq!(got.status, 403);
}

fn root(fake: &Fake, path: &str) -> String {
    format!("{}{path}", fake.url())
}

#[test]
fn statuses_need_a_permission_of_their_own() {
    let fake = Fake::start();
    let path = format!("/repos/acme/widgets/statuses/{SHA}");
    let body = json!({"state": "success", "context": "rungate", "description": "fine"});
    let narrow = mint(&fake, Some(&json!({"permissions": {"checks": "write"}})));
    let got = call(&fake, Method::POST, &path, narrow.body["token"].as_str().unwrap(), Some(&body));
    assert_eq!(got.header("x-accepted-github-permissions"), "statuses=write");
    assert_eq!(call(&fake, Method::POST, &path, &token(&fake), Some(&body)).status, 201);
    assert_eq!(fake.state()["statuses"][0]["context"], "rungate");
}
