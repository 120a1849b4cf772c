//! The GitHub App: its credentials, what the server says to them, where it is installed and what it may do there.

use std::time::Duration;

use tokio::time::Instant;

use crate::app::doctor::{Check, Patient, State};
use crate::app::policy;
use crate::app::tell::event_loop;
use crate::github::app::{About, App, Installation, Webhook};
use crate::github::client::ClientError;
use crate::github::credentials::{Credentials, CredentialsError};
use crate::github::host::Host;
use crate::github::repository::Repository;
use crate::http::Http;
use crate::http::error::chain;

/// How long all questions together may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Permissions that rungate uses, and for what.
const WANTED: [(&str, &str, &str, State); 2] = [
    ("checks", "write", "no check run is posted", State::Failed),
    ("metadata", "read", "the repository is not found", State::Lacking),
];

pub(super) fn checks(patient: Patient<'_>) -> Vec<Check> {
    let registry = crate::app::secrets::registry(patient.environ);
    // Of an address that is none the hosts are told.
    let Ok(host) = Host::of_environ(patient.environ) else { return Vec::new() };
    let credentials = match policy::credentials(&host, patient.environ, &registry) {
        Ok(credentials) => credentials,
        Err(error) => {
            let is_absent = matches!(error, CredentialsError::Missing);
            return vec![Check {
                id: "credentials",
                state: if is_absent { State::Lacking } else { State::Failed },
                found: chain(&error),
                cause: Some("no check run can be posted from here".to_owned()),
                remedies: vec![error.remedy().to_owned()],
            }];
        }
    };
    let Credentials::App(app) = credentials else {
        let found = "a ready token; it is neither renewed nor revoked, and tells nothing of an App";
        return vec![Check::good("credentials", found.to_owned())];
    };
    let found = format!("the App {} with {} keys", app.id, app.keys.len());
    let mut checks = vec![Check::good("credentials", found)];
    if patient.offline {
        return checks;
    }
    let app = App::new(host, app, Http::new(patient.environ, &registry), &registry);
    if let Ok(event_loop) = event_loop() {
        checks.extend(event_loop.block_on(of_app(&app, patient)));
    }
    checks
}

async fn of_app(app: &App, patient: Patient<'_>) -> Vec<Check> {
    let deadline = Instant::now() + PATIENCE;
    let about = match app.about(deadline).await {
        Ok(about) => about,
        Err(error) => return vec![of_error("app", &error)],
    };
    let mut checks = vec![Check::good("app", format!("{}, which GitHub knows by its key", about.name))];
    checks.push(permissions(&about));
    let repository = patient.environ.text("GITHUB_REPOSITORY").and_then(|name| Repository::parse(name).ok());
    checks.push(match repository {
        Some(repository) => match app.installation(&repository, deadline).await {
            Ok(found) => of_installation(&found),
            Err(error) => of_error("installation", &error),
        },
        None => match app.installations(deadline).await {
            Ok(all) => of_installations(&all),
            Err(error) => of_error("installation", &error),
        },
    });
    match app.webhook(deadline).await {
        Ok(webhook) => checks.push(of_webhook(&webhook)),
        // A server that does not tell has none to worry about.
        Err(ClientError::Refused(refusal)) if refusal.status == 404 => {}
        Err(error) => checks.push(of_error("webhook", &error)),
    }
    checks
}

fn of_error(id: &'static str, error: &ClientError) -> Check {
    let remedies = vec![error.remedy()];
    Check { id, state: State::Failed, found: error.full_text(), cause: None, remedies }
}

/// What is missing of the permissions that rungate uses.
fn permissions(about: &About) -> Check {
    let grants = |name: &str, wanted: &str| {
        about.permissions.get(name).is_some_and(|access| access == wanted || access == "write")
    };
    let missing: Vec<_> = WANTED.iter().filter(|(name, wanted, ..)| !grants(name, wanted)).collect();
    let Some((.., state)) = missing.iter().max_by_key(|(.., state)| *state) else {
        return Check::good("permissions", "the App asks for what rungate uses".to_owned());
    };
    let words: Vec<String> = missing.iter().map(|(name, wanted, ..)| format!("{name}: {wanted}")).collect();
    let without: Vec<&str> = missing.iter().map(|(_, _, without, _)| *without).collect();
    Check {
        id: "permissions",
        state: *state,
        found: format!("the App does not have {}", words.join(", ")),
        cause: Some(format!("without it {}", without.join(", "))),
        remedies: vec![
            "its owner has to add them on its settings page, and each organization to accept them".to_owned(),
        ],
    }
}

fn of_installation(found: &Installation) -> Check {
    let whose = found.account.as_ref().and_then(|account| account.login.as_deref()).unwrap_or("?");
    let bad = |what: String, remedy: &str| Check {
        id: "installation",
        state: State::Failed,
        found: what,
        cause: None,
        remedies: vec![remedy.to_owned()],
    };
    if found.suspended_at.is_some() {
        return bad(
            format!("the installation {} on {whose} is suspended", found.id),
            "an owner of the account has to lift that on the installation's settings page",
        );
    }
    if found.permissions.get("checks").is_none_or(|access| access != "write") {
        return bad(
            format!("the installation {} on {whose} has not granted checks: write", found.id),
            "an owner of the account has to accept the App's new permissions on the installation's settings page",
        );
    }
    let which = found.repository_selection.as_deref().unwrap_or("selected");
    Check::good("installation", format!("{} on {whose}, {which} repositories", found.id))
}

fn of_installations(all: &[Installation]) -> Check {
    let whose = |found: &Installation| found.account.as_ref().and_then(|account| account.login.clone());
    let names: Vec<String> = all.iter().filter_map(whose).collect();
    if all.is_empty() {
        return Check {
            id: "installation",
            state: State::Failed,
            found: "the App is installed nowhere".to_owned(),
            cause: Some("it can post check runs only where it is installed".to_owned()),
            remedies: vec![
                "install it on its settings page (Install App), on the repositories that it is for"
                    .to_owned(),
            ],
        };
    }
    Check::good("installation", format!("on {}; GITHUB_REPOSITORY names none to look at", names.join(", ")))
}

fn of_webhook(webhook: &Webhook) -> Check {
    match &webhook.url {
        Some(url) if webhook.insecure_ssl.as_deref().is_some_and(|flag| flag != "0") => Check {
            id: "webhook",
            state: State::Lacking,
            found: format!("events are sent to {url} without a look at its certificate"),
            cause: Some("anybody on the way could read and change them".to_owned()),
            remedies: vec!["turn on SSL verification on the App's settings page".to_owned()],
        },
        Some(url) => Check::good("webhook", format!("events are sent to {url}, which rungate does not need")),
        None => Check::good("webhook", "none, and none is needed".to_owned()),
    }
}
