//! What a job is given to reach the service: a token, and where it is.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use url::Url;

use crate::environ::Environ;
use crate::github::host::{Host, is_loopback};
use crate::github::results::error::ResultsError;
use crate::github::results::server::Server;
use crate::github::results::service::Service;
use crate::http::Http;
use crate::redact::Registry;
use crate::redact::secret::Secret;

/// The service of the host that a job runs for.
#[derive(Clone, Debug)]
pub enum Access {
    /// That of github.com and `*.ghe.com`.
    Service(Arc<Service>),
    /// That of GitHub Enterprise Server.
    Server(Arc<Server>),
}

impl Access {
    /// What `environ` gives, for a job on `host`.
    ///
    /// # Errors
    /// Says which variable is missing or not usable.
    pub fn of_environ(environ: &Environ, host: &Host, registry: &Registry) -> Result<Self, ResultsError> {
        let token = environ
            .text("ACTIONS_RUNTIME_TOKEN")
            .filter(|token| !token.is_empty())
            .ok_or(ResultsError::Absent { name: "ACTIONS_RUNTIME_TOKEN" })?;
        let token = Secret::new(token, registry);
        let http = Http::new(environ, registry);
        let longest = environ.text("GITHUB_RETENTION_DAYS").and_then(|days| days.trim().parse().ok());
        if host.is_ghes() {
            let base = address("ACTIONS_RUNTIME_URL", environ.text("ACTIONS_RUNTIME_URL"))?;
            let run = environ.text("GITHUB_RUN_ID").filter(|id| is_number(id));
            let run = run.ok_or(ResultsError::Absent { name: "GITHUB_RUN_ID" })?;
            return Ok(Self::Server(Arc::new(Server::new(http, token, base, run, longest))));
        }
        let base = address("ACTIONS_RESULTS_URL", environ.text("ACTIONS_RESULTS_URL"))?;
        let ids = BackendIds::of_token(token.expose())?;
        Ok(Self::Service(Arc::new(Service::new(http, token, base, ids, longest, registry))))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An address that a token may be sent to.
fn address(name: &'static str, text: Option<&str>) -> Result<Url, ResultsError> {
    let text = text.filter(|text| !text.is_empty()).ok_or(ResultsError::Absent { name })?;
    let wrong = |reason| ResultsError::Address { name, reason };
    let url = Url::parse(text.trim()).map_err(|_| wrong("it is no URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(wrong("a token must not travel in clear text")),
    }
}

/// By what the service knows the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendIds {
    /// The workflow run.
    pub run: String,
    /// The job.
    pub job: String,
}

impl BackendIds {
    /// Those that the scopes of the job's token name. The token is not verified: the service does that.
    fn of_token(token: &str) -> Result<Self, ResultsError> {
        #[derive(Deserialize)]
        struct Claims {
            scp: String,
        }
        let wrong = |reason| ResultsError::Token { reason };
        let payload = token.split('.').nth(1).ok_or(wrong("it is no JSON web token"))?;
        let payload = BASE64_URL_SAFE_NO_PAD
            .decode(payload.trim_end_matches('='))
            .map_err(|_| wrong("it is no JSON web token"))?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| wrong("it has no scopes"))?;
        claims
            .scp
            .split(' ')
            .find_map(|scope| match scope.split(':').collect::<Vec<_>>()[..] {
                ["Actions.Results", run, job] if !run.is_empty() && !job.is_empty() => {
                    Some(Self { run: run.to_owned(), job: job.to_owned() })
                }
                _ => None,
            })
            .ok_or(wrong("it has no scope for results"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_ids_are_found_among_other_scopes() {
        let found = BackendIds::of_token(&token(r#"{"scp":"Actions.Other:x Actions.Results:a-1:b-2 z"}"#));
        assert_eq!(found.unwrap(), BackendIds { run: "a-1".into(), job: "b-2".into() });
        for bad in [
            "",
            "x",
            "x.!.y",
            &token("{}"),
            &token(r#"{"scp":"Actions.Results:a"}"#),
            &token(r#"{"scp":"Actions.Results:a:b:c"}"#),
            &token(r#"{"scp":"Actions.Results::b"}"#),
        ] {
            let error = BackendIds::of_token(bad).unwrap_err().to_string();
            assert!(error.starts_with("ACTIONS_RUNTIME_TOKEN is no token of a job: it "), "{bad}: {error}");
        }
    }

    #[test]
    fn the_host_decides_which_service_it_is_and_which_variables_count() {
        let runtime = token(r#"{"scp":"Actions.Results:a:b"}"#);
        let all = [
            ("ACTIONS_RUNTIME_TOKEN", runtime.as_str()),
            ("ACTIONS_RESULTS_URL", "https://results.example/"),
            ("ACTIONS_RUNTIME_URL", "https://pipelines.example/x/"),
            ("GITHUB_RUN_ID", "12"),
        ];
        let access = |host: &str, without: &str| {
            let environ = Environ::of(all.into_iter().filter(|(name, _)| *name != without));
            match Access::of_environ(&environ, &Host::of_name(host).unwrap(), &Registry::new()) {
                Ok(Access::Service(_)) => "service".to_owned(),
                Ok(Access::Server(_)) => "server".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(access("github.com", "ACTIONS_RUNTIME_URL"), "service");
        assert_eq!(access("octo.ghe.com", ""), "service");
        assert_eq!(access("git.example.com", "ACTIONS_RESULTS_URL"), "server");
        assert_eq!(access("github.com", "ACTIONS_RUNTIME_TOKEN"), "ACTIONS_RUNTIME_TOKEN is not set");
        assert_eq!(access("github.com", "ACTIONS_RESULTS_URL"), "ACTIONS_RESULTS_URL is not set");
        assert_eq!(access("git.example.com", "GITHUB_RUN_ID"), "GITHUB_RUN_ID is not set");
    }

    #[test]
    fn a_token_goes_nowhere_in_clear_text() {
        assert!(address("A", Some("http://results.example/")).is_err());
        assert!(address("A", Some("ftp://results.example/")).is_err());
        assert!(address("A", Some("http://127.0.0.1:1/")).is_ok());
    }
}
