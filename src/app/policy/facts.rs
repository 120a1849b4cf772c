//! Facts that GitHub signed, held against those of the environment.

use crate::app::policy::Policies;
use crate::app::tell::event_loop;
use crate::environ::Environ;
use crate::github::oidc::{self, Claims, OidcError};
use crate::http::Http;
use crate::policy::model::{Facts, Oidc};
use crate::redact::Registry;
use crate::redact::secret::Secret;
use crate::workspace::trusted;

/// Variables that could put another authority in the place of the issuer's.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Variables that name proxies: over clear text, one could answer in the issuer's place.
const PROXIES: [&str; 8] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// The facts that a token of the job proves. What the environment says otherwise is a reason to refuse.
///
/// # Errors
/// Says what is not proven.
pub(super) fn verified(policies: &Policies, claimed: Facts, environ: &Environ) -> Result<Facts, String> {
    let oidc = policies.host().map(|policy| policy.oidc.clone()).unwrap_or_default();
    authorities(environ)?;
    let registry = crate::app::secrets::registry(environ);
    let claims = event_loop()
        .map_err(|failure| failure.to_string())?
        .block_on(ask(&oidc, environ, &registry))
        .map_err(|error| format!("the facts of this job cannot be verified: {error}; {}", error.remedy()))?;
    agree(claims, claimed, environ)
}

async fn ask(oidc: &Oidc, environ: &Environ, registry: &Registry) -> Result<Claims, OidcError> {
    let offered = |variable| environ.text(variable).ok_or(OidcError::NotOffered { variable });
    let url = offered("ACTIONS_ID_TOKEN_REQUEST_URL")?;
    let bearer = Secret::new(offered("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?, registry);
    let own = if oidc.issuer.starts_with("http://") { environ.without(&PROXIES) } else { environ.clone() };
    let (job, issuer) = (Http::new(environ, registry), Http::new(&own, registry));
    let token = oidc::request(url, bearer, &oidc.audience, &job, registry).await?;
    let keys = oidc::keys(&oidc.issuer, &issuer).await?;
    oidc::verify(&token, &keys, &oidc.issuer, &oidc.audience)
}

/// Who can choose the authorities can choose the issuer's keys: only what root wrote is believed.
fn authorities(environ: &Environ) -> Result<(), String> {
    for variable in AUTHORITIES {
        let paths = environ.os(variable).map(std::env::split_paths);
        for path in paths.into_iter().flatten().filter(|path| !path.as_os_str().is_empty()) {
            trusted::check(&path, &[0]).map_err(|distrust| {
                format!(
                    "the facts of this job cannot be verified: {variable} names {}, and {distrust}; have the \
                     operating system trust the authority, and unset {variable}",
                    path.display()
                )
            })?;
        }
    }
    Ok(())
}

/// Claims that agree with the environment, as facts.
fn agree(claims: Claims, claimed: Facts, environ: &Environ) -> Result<Facts, String> {
    let sha = environ.text("GITHUB_SHA");
    let pairs = [
        ("GITHUB_REPOSITORY", claimed.repository.as_deref(), claims.repository.as_str()),
        ("GITHUB_REF", claimed.reference.as_deref(), &claims.reference),
        ("GITHUB_EVENT_NAME", claimed.event.as_deref(), &claims.event_name),
        ("GITHUB_ACTOR", environ.text("GITHUB_ACTOR"), &claims.actor),
        ("GITHUB_SHA", sha, &claims.sha),
        ("GITHUB_RUN_ID", environ.text("GITHUB_RUN_ID"), claims.run_id.as_deref().unwrap_or_default()),
    ];
    for (variable, here, there) in pairs {
        if let Some(here) = here
            && here != there
        {
            return Err(format!(
                "{variable} is {here:?}, and the token that GitHub signed for this job says {there:?}; do not set \
                 {variable} in the workflow"
            ));
        }
    }
    let mut actors = vec![claims.actor];
    actors.extend(claimed.actors.into_iter().filter(|actor| *actor != actors[0]).collect::<Vec<_>>());
    Ok(Facts {
        verified: true,
        repository: Some(claims.repository),
        reference: Some(claims.reference),
        event: Some(claims.event_name),
        actors,
        ..claimed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            repository: "acme/widgets".to_owned(),
            reference: "refs/heads/main".to_owned(),
            sha: "a".repeat(40),
            actor: "octocat".to_owned(),
            event_name: "push".to_owned(),
            run_id: Some("42".to_owned()),
        }
    }

    #[test]
    fn what_the_environment_says_otherwise_is_refused_and_what_it_does_not_say_is_proven() {
        let of = |pairs: &[(&str, &str)]| {
            let environ = Environ::of(pairs.iter().copied());
            agree(claims(), crate::workspace::github::facts(&environ), &environ)
        };
        let proven = of(&[]).unwrap();
        assert!(proven.verified);
        assert_eq!(proven.repository.as_deref(), Some("acme/widgets"));
        assert_eq!(proven.actors, ["octocat"]);
        for pair in [
            ("GITHUB_REPOSITORY", "acme/other"),
            ("GITHUB_REF", "refs/heads/evil"),
            ("GITHUB_EVENT_NAME", "workflow_dispatch"),
            ("GITHUB_ACTOR", "mallory"),
            ("GITHUB_SHA", "b"),
            ("GITHUB_RUN_ID", "43"),
        ] {
            assert!(of(&[pair]).unwrap_err().contains(pair.0), "{pair:?}");
        }
        // Who started it again is not in the token, and can only take something away.
        let again = of(&[("GITHUB_ACTOR", "octocat"), ("GITHUB_TRIGGERING_ACTOR", "mallory")]).unwrap();
        assert_eq!(again.actors, ["octocat", "mallory"]);
    }

    #[test]
    fn an_authority_that_anybody_can_have_written_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "").unwrap();
        for variable in AUTHORITIES {
            // Its folder is in /tmp, which everybody can write.
            let environ = Environ::of([(variable, path.to_str().unwrap())]);
            assert!(authorities(&environ).unwrap_err().contains(variable));
        }
        assert_eq!(authorities(&Environ::default()), Ok(()));
    }
}
