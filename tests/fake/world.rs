//! Everything that the fake knows: who is registered, what was made, and every request as it came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::artifacts::{self, Artifact};
use super::auth;
use super::call::{Answer, Call, Origin};
use super::code_scanning::Upload;
use super::faults::{Fault, Rule};

/// The key that the App of the fake holds, and a second one that nobody knows. Both were made for tests.
pub(crate) const APP_KEY: &str = include_str!("../fixtures/keys/app.pem");
const APP_PUBLIC_KEY: &str = include_str!("../fixtures/keys/app.pub.pem");

/// The App that GitHub Actions itself is on github.com.
pub(crate) const ACTIONS_APP: u64 = 15368;
/// A ready token of that App, as a job gets it: not ours.
// rungate:allow-secret made up, and known to the fake alone
pub(crate) const JOB_TOKEN: &str = "ghs_JobTokenOfTheFakeGitHubForTests0000001";
/// A person's token.
// rungate:allow-secret made up, and known to the fake alone
pub(crate) const USER_TOKEN: &str = "ghp_UserTokenOfTheFakeGitHubForTests000001";

/// Which of the three kinds of hosts it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Host {
    Dotcom,
    GheCom,
    Ghes,
}

impl Host {
    pub(crate) const fn base_path(self) -> &'static str {
        match self {
            Self::Dotcom | Self::GheCom => "",
            Self::Ghes => "/api/v3",
        }
    }
}

/// The form of tokens that are minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TokenFormat {
    /// `ghs_` and 36 characters.
    Classic,
    /// `ghs_<APPID>_<JWT>`, about 520 characters.
    Stateless,
}

/// What can be set before and while it runs; `POST /_fake/settings` takes any of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub(crate) struct Settings {
    pub(crate) host: Host,
    /// Seconds by which its clock is ahead.
    pub(crate) clock_skew: i64,
    pub(crate) token_format: TokenFormat,
    /// Seconds for which a token is good.
    pub(crate) token_lifetime: i64,
    /// An old server knows an App by its number only.
    pub(crate) numeric_issuer_only: bool,
    /// Commits that exist in every repository; empty for any.
    pub(crate) commits: Vec<String>,
    /// Branches of every repository, and the commit that each is at. The first one is the default branch.
    pub(crate) branches: BTreeMap<String, String>,
    /// Head commits of open pull requests.
    pub(crate) pulls: Vec<String>,
    /// Whether repositories have code scanning.
    pub(crate) code_scanning: bool,
    /// How often an upload to it is told as pending before it is done.
    pub(crate) sarif_pending: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: Host::Dotcom,
            clock_skew: 0,
            token_format: TokenFormat::Stateless,
            token_lifetime: 3600,
            numeric_issuer_only: false,
            commits: Vec::new(),
            branches: BTreeMap::new(),
            pulls: Vec::new(),
            code_scanning: true,
            sarif_pending: 1,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) client_id: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) public_key: Option<String>,
}

/// Names of permissions and `read`, `write` or `admin`.
pub(crate) type Permissions = BTreeMap<String, String>;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) account: String,
    pub(crate) permissions: Permissions,
    /// Ids of the selected repositories.
    pub(crate) repositories: Vec<u64>,
    pub(crate) suspended: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    /// Names that it had before, as `owner/name`, and the origin to which a redirect from there leads.
    pub(crate) former: BTreeMap<String, Origin>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Token {
    #[serde(rename = "token")]
    pub(crate) secret: String,
    pub(crate) app: u64,
    pub(crate) installation: u64,
    pub(crate) permissions: Permissions,
    pub(crate) repositories: Vec<u64>,
    pub(crate) expires_at: i64,
    pub(crate) revoked: bool,
}

/// A check run, as it is stored.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) repository: u64,
    pub(crate) suite: u64,
    pub(crate) head_sha: String,
    /// Everything that is given back as it was sent.
    pub(crate) fields: Map<String, Value>,
    pub(crate) output: Map<String, Value>,
    pub(crate) annotations: Vec<Value>,
}

/// A request as it came. Credentials stay readable: tests look for those that went where they should not.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Logged {
    pub(crate) at_ms: u128,
    pub(crate) origin: Origin,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    /// 0 until it is answered.
    pub(crate) status: u16,
    pub(crate) fault: Option<Fault>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) here: String,
    pub(crate) elsewhere: String,
    pub(crate) apps: Vec<App>,
    pub(crate) installations: Vec<Installation>,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) tokens: Vec<Token>,
    /// Organization, team, user and the state of the membership.
    pub(crate) members: Vec<[String; 4]>,
    /// Where the App is told of events.
    pub(crate) webhook: Value,
    pub(crate) check_runs: Vec<CheckRun>,
    /// By App, repository and commit.
    pub(crate) suites: Vec<(u64, u64, String)>,
    pub(crate) sarif_uploads: Vec<Upload>,
    pub(crate) statuses: Vec<Value>,
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) faults: Vec<Rule>,
    pub(crate) requests: Vec<Logged>,
    pub(crate) violations: Vec<String>,
    next_id: u64,
}

fn permissions(pairs: &[(&str, &str)]) -> Permissions {
    pairs.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect()
}

fn repository(id: u64, name: &str, private: bool, former: &[(&str, Origin)]) -> Repository {
    Repository {
        id,
        owner: "acme".into(),
        name: name.into(),
        private,
        former: former.iter().map(|(name, origin)| ((*name).to_owned(), *origin)).collect(),
    }
}

impl World {
    /// An organisation `acme` whose App is installed on `acme/widgets`, but not on `acme/gadgets`.
    pub(super) fn new(settings: Settings) -> Self {
        let granted = permissions(&[
            ("checks", "write"),
            ("metadata", "read"),
            ("security_events", "write"),
            ("statuses", "write"),
        ]);
        let app = App {
            id: 4242,
            client_id: "Iv23liFakeClient0001".into(),
            slug: "rungate-checks".into(),
            name: "Rungate Checks".into(),
            public_key: Some(APP_PUBLIC_KEY.into()),
        };
        let actions = App {
            id: ACTIONS_APP,
            client_id: "Iv1.actions".into(),
            slug: "github-actions".into(),
            name: "GitHub Actions".into(),
            public_key: None,
        };
        let installation = |id, app, permissions| Installation {
            id,
            app,
            account: "acme".into(),
            permissions,
            repositories: vec![501],
            suspended: false,
        };
        let job_token = Token {
            secret: JOB_TOKEN.into(),
            app: ACTIONS_APP,
            installation: 90,
            permissions: granted.clone(),
            repositories: vec![501],
            expires_at: i64::MAX,
            revoked: false,
        };
        Self {
            settings,
            here: String::new(),
            elsewhere: String::new(),
            installations: vec![
                installation(100, app.id, granted.clone()),
                installation(90, ACTIONS_APP, granted),
            ],
            apps: vec![app, actions],
            repositories: vec![
                repository(
                    501,
                    "widgets",
                    true,
                    &[("acme/old-widgets", Origin::Here), ("acme/moved-away", Origin::Elsewhere)],
                ),
                repository(502, "gadgets", true, &[]),
                repository(503, "open", false, &[]),
            ],
            tokens: vec![job_token],
            members: [("octocat", "active"), ("invited", "pending")]
                .map(|(user, state)| ["acme", "data-platform", user, state].map(str::to_owned))
                .to_vec(),
            webhook: serde_json::json!({"content_type": "form", "insecure_ssl": "0"}),
            check_runs: Vec::new(),
            suites: Vec::new(),
            sarif_uploads: Vec::new(),
            statuses: Vec::new(),
            artifacts: Vec::new(),
            faults: Vec::new(),
            requests: Vec::new(),
            violations: Vec::new(),
            next_id: 1000,
        }
    }

    /// The App that tests use.
    pub(crate) fn app(&self) -> &App {
        &self.apps[0]
    }

    /// The installation of that App.
    pub(crate) fn installation(&mut self) -> &mut Installation {
        &mut self.installations[0]
    }

    /// Seconds since 1970 by the fake's clock.
    pub(crate) fn now(&self) -> i64 {
        i64::try_from(unix_ms() / 1000).unwrap_or(i64::MAX).saturating_add(self.settings.clock_skew)
    }

    /// A number that nothing else has.
    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The repository of this name.
    pub(super) fn repository(&self, owner: &str, name: &str) -> Option<&Repository> {
        self.repositories
            .iter()
            .find(|it| it.owner.eq_ignore_ascii_case(owner) && it.name.eq_ignore_ascii_case(name))
    }

    /// The address of a path, on the origin that the caller knows.
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}{}{path}", self.here, self.settings.host.base_path())
    }

    /// Keeps a request; the answer is noted by [`World::done`].
    pub(super) fn log(&mut self, call: &Call) -> usize {
        let is_archive = artifacts::is_ours(&call.path) && call.method == axum::http::Method::PUT;
        let readable = if is_archive { &[] } else { call.body.as_slice() };
        let body = serde_json::from_slice(readable)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(readable).into_owned()));
        let headers = call.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        self.requests.push(Logged {
            at_ms: unix_ms(),
            origin: call.origin,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone(),
            headers: headers.collect(),
            body: if call.body.is_empty() { Value::Null } else { body },
            status: 0,
            fault: None,
        });
        self.requests.len() - 1
    }

    pub(super) fn mark(&mut self, entry: usize, fault: &Fault) {
        self.requests[entry].fault = Some(fault.clone());
    }

    pub(super) fn done(&mut self, entry: usize, answer: Answer) -> Answer {
        self.requests[entry].status = answer.status;
        answer
    }

    /// What GitHub adds to every answer.
    pub(super) fn with_common_headers(&self, call: &Call, answer: Answer) -> Answer {
        let now = self.now();
        let mut answer = answer
            .with("date", http_date(now))
            .with("x-github-request-id", format!("FAKE:{:X}", self.requests.len()))
            .with("x-github-media-type", "github.v3; format=json");
        if self.settings.host == Host::Ghes {
            return answer.with("x-github-enterprise-version", "3.19.0");
        }
        let used = self.requests.len();
        let (limit, remaining, reset) = if auth::bearer(call).is_some() {
            (5000, 5000_usize.saturating_sub(used), now + 3600)
        } else {
            (60, 60_usize.saturating_sub(used), now + 3600)
        };
        for (name, value) in [
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-used", used.to_string()),
            ("x-ratelimit-reset", reset.to_string()),
            ("x-ratelimit-resource", "core".to_owned()),
        ] {
            // A fault may have said something else.
            if !answer.headers.iter().any(|(present, _)| *present == name) {
                answer = answer.with(name, value);
            }
        }
        answer
    }

    /// What somebody needs to call the fake, as one document.
    pub(crate) fn introduction(&self) -> Value {
        json!({
            "url": format!("{}{}", self.here, self.settings.host.base_path()),
            "app_id": self.app().id,
            "client_id": self.app().client_id,
            "installation_id": self.installations[0].id,
            "repository": "acme/widgets",
        })
    }
}

fn unix_ms() -> u128 {
    let epoch = rungate::clock::Timestamp::from_unix_seconds(0);
    rungate::clock::Timestamp::now().since(epoch).as_millis()
}

/// `2026-01-31T12:00:00Z`.
pub(super) fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

fn http_date(seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap_or_default()
}
