//! Whether the hosts that a job needs can be reached, through the proxies and with the authorities of this environment;
//! and what their clock says.

use std::time::Duration;

use tokio::task::JoinSet;
use url::Url;

use crate::app::doctor::{Check, Patient, State};
use crate::app::policy;
use crate::app::tell::event_loop;
use crate::clock::Timestamp;
use crate::environ::Environ;
use crate::github::credentials::CredentialsError;
use crate::github::host::{Host, Kind};
use crate::http::error::{HttpError, chain};
use crate::http::{Call, Http, Method};
use crate::redact::Registry;

/// How long one host may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Seconds that clocks may differ: GitHub refuses what an App signs when they do by more.
const CLOCK: u64 = 30;

/// A host, and what would not work without it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    id: &'static str,
    address: String,
    without: &'static str,
}

pub(super) fn checks(patient: Patient<'_>) -> Vec<Check> {
    if patient.offline {
        return Vec::new();
    }
    let host = match Host::of_environ(patient.environ) {
        Ok(host) => host,
        Err(error) => {
            let remedies = vec![error.remedy()];
            let found = error.to_string();
            return vec![Check { id: "host-server", state: State::Failed, found, cause: None, remedies }];
        }
    };
    let registry = Registry::new();
    // Where nobody could speak to GitHub anyway, it is no failure that it cannot be reached.
    let has_credentials = !matches!(
        policy::credentials(&host, patient.environ, &registry),
        Err(CredentialsError::Missing | CredentialsError::Policy(_))
    );
    let wanted = wanted(&host, patient.environ);
    let Ok(event_loop) = event_loop() else { return Vec::new() };
    let answers = event_loop.block_on(ask_all(&wanted, patient.environ, &registry));
    let mut checks = Vec::new();
    let mut clock = None;
    for (wanted, answer) in wanted.into_iter().zip(answers) {
        if let Ok(Some(there)) = &answer {
            clock.get_or_insert(*there);
        }
        checks.push(of_answer(wanted, answer.map(drop), has_credentials));
    }
    checks.extend(clock.map(of_clock));
    checks
}

/// The hosts that jobs of `host` need.
fn wanted(host: &Host, environ: &Environ) -> Vec<Wanted> {
    let of = |id, address: String, without| Wanted { id, address, without };
    let mut all = vec![
        of("host-server", host.page("/"), "the runner gets no jobs"),
        of("host-api", host.api().to_owned(), "no check run is posted"),
    ];
    let named = |variable: &str| environ.text(variable).map(str::to_owned);
    let results = named("ACTIONS_RESULTS_URL");
    match host.kind() {
        Kind::Dotcom => {
            all.push(of("host-uploads", "https://uploads.github.com/".to_owned(), "releases get no files"));
            let usual = || "https://results-receiver.actions.githubusercontent.com/".to_owned();
            all.push(of("host-results", results.unwrap_or_else(usual), "artifacts are not uploaded"));
            let blob = "https://productionresultssa0.blob.core.windows.net/".to_owned();
            all.push(of("host-blob", blob, "artifacts are not uploaded"));
            let tokens = format!("{}/.well-known/jwks", crate::policy::fields::ISSUER);
            all.push(of("host-tokens", tokens, "a policy cannot verify facts"));
        }
        Kind::DataResidency => {
            let name = host.name();
            all.push(of("host-uploads", format!("https://uploads.{name}/"), "releases get no files"));
            all.extend(results.map(|results| of("host-results", results, "artifacts are not uploaded")));
            let tokens = format!("https://token.actions.{name}/.well-known/jwks");
            all.push(of("host-tokens", tokens, "a policy cannot verify facts"));
        }
        Kind::Server => {
            let runtime = named("ACTIONS_RUNTIME_URL");
            all.extend(runtime.map(|runtime| of("host-results", runtime, "artifacts are not uploaded")));
        }
    }
    all
}

/// Asks all of them at once; each answer is the server's time, where it says so.
async fn ask_all(
    wanted: &[Wanted],
    environ: &Environ,
    registry: &Registry,
) -> Vec<Result<Option<Timestamp>, Unanswered>> {
    let mut asked = JoinSet::new();
    for (at, wanted) in wanted.iter().enumerate() {
        let http = Http::new(environ, registry);
        let address = wanted.address.clone();
        asked.spawn(async move { (at, ask(&http, &address).await) });
    }
    let mut answers: Vec<_> = wanted.iter().map(|_| Err(Unanswered::Never)).collect();
    while let Some(answer) = asked.join_next().await {
        if let Ok((at, answer)) = answer
            && let Some(place) = answers.get_mut(at)
        {
            *place = answer;
        }
    }
    answers
}

/// Why there is no answer.
#[derive(Debug)]
enum Unanswered {
    /// The address is none.
    Address,
    /// Nothing came in time.
    Never,
    /// Something broke.
    Http(Box<HttpError>),
}

async fn ask(http: &Http, address: &str) -> Result<Option<Timestamp>, Unanswered> {
    let url = Url::parse(address).map_err(|_| Unanswered::Address)?;
    let call = Call { method: Method::Get, url, headers: Vec::new(), bearer: None, body: None };
    match tokio::time::timeout(PATIENCE, http.send(call)).await {
        Ok(Ok(answer)) => Ok(answer.header("date").and_then(Timestamp::of_http_date)),
        // It answered, and sends elsewhere: it is there.
        Ok(Err(HttpError::Redirect { .. } | HttpError::TooManyRedirects | HttpError::TooLarge { .. })) => {
            Ok(None)
        }
        Ok(Err(error)) => Err(Unanswered::Http(Box::new(error))),
        Err(_) => Err(Unanswered::Never),
    }
}

fn of_answer(wanted: Wanted, answer: Result<(), Unanswered>, has_credentials: bool) -> Check {
    let Wanted { id, address, without } = wanted;
    let (found, remedy) = match answer {
        Ok(()) => return Check::good(id, format!("{address} answers")),
        Err(Unanswered::Address) => (
            format!("{address} is no address"),
            "this is set by the runner; do not set it in the workflow".to_owned(),
        ),
        Err(Unanswered::Never) => (
            format!("{address} did not answer within {} s", PATIENCE.as_secs()),
            "the administrator of the runner has to allow outgoing HTTPS to it, or to set HTTPS_PROXY"
                .to_owned(),
        ),
        Err(Unanswered::Http(error)) => (chain(error.as_ref()), error.remedy().to_owned()),
    };
    let is_needed = has_credentials && matches!(id, "host-server" | "host-api");
    let state = if is_needed { State::Failed } else { State::Lacking };
    Check { id, state, found, cause: Some(format!("without it {without}")), remedies: vec![remedy] }
}

fn of_clock(there: Timestamp) -> Check {
    let ahead = Timestamp::now().unix_seconds() - there.unix_seconds();
    if ahead.unsigned_abs() <= CLOCK {
        return Check::good("clock", "as GitHub's, within half a minute".to_owned());
    }
    let which = if ahead > 0 { "ahead of" } else { "behind" };
    Check {
        id: "clock",
        state: State::Lacking,
        found: format!("{} s {which} GitHub's", ahead.unsigned_abs()),
        cause: Some(
            "what the App signs says when it was made, and GitHub refuses what is from another time"
                .to_owned(),
        ),
        remedies: vec!["timedatectl set-ntp true".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, pairs: &[(&str, &str)]) -> String {
        let host = Host::of_name(name).unwrap();
        let wanted = wanted(&host, &Environ::of(pairs.iter().copied()));
        wanted.iter().map(|wanted| wanted.address.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_kind_of_server_has_its_hosts() {
        insta::assert_snapshot!(named("github.com", &[]), @r"
        https://github.com/
        https://api.github.com
        https://uploads.github.com/
        https://results-receiver.actions.githubusercontent.com/
        https://productionresultssa0.blob.core.windows.net/
        https://token.actions.githubusercontent.com/.well-known/jwks
        ");
        insta::assert_snapshot!(named("octo.ghe.com", &[("ACTIONS_RESULTS_URL", "https://results.octo.ghe.com/")]), @r"
        https://octo.ghe.com/
        https://api.octo.ghe.com
        https://uploads.octo.ghe.com/
        https://results.octo.ghe.com/
        https://token.actions.octo.ghe.com/.well-known/jwks
        ");
        insta::assert_snapshot!(named("git.example.com", &[]), @r"
        https://git.example.com/
        https://git.example.com/api/v3
        ");
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_by_how_much() {
        let now = Timestamp::now().unix_seconds();
        let at = |seconds| of_clock(Timestamp::from_unix_seconds(now + seconds));
        assert_eq!(at(0).state, State::Good);
        assert!(at(-600).found.starts_with("600 s ahead of") || at(-600).found.starts_with("601 s ahead of"));
        assert!(at(600).found.ends_with("s behind GitHub's"));
    }
}
