//! `rungate app`: who the App is, and a token of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::app::identity::{self, Identity, IdentityError, Question};
use crate::cli::args::Format;
use crate::cli::args::app::{Token, Where, Whoami};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::redact::{Registry, guard};

pub(super) fn whoami(args: Whoami, environ: &Environ, talk: Talk) -> Result<Exit, io::Error> {
    let registry = Registry::new();
    let identity = match identity::whoami(&args.at.into(), environ, &registry) {
        Ok(identity) => identity,
        Err(error) => return Ok(failure(&error, &registry, talk)),
    };
    match args.format {
        Format::Human => talk.out(&registry.text(&text(&identity)))?,
        Format::Json => talk.json(&document(&identity))?,
    }
    match identity.installation {
        // The App itself is proven and has been shown; what is wrong here is something else.
        Some((_, Err(error))) => Ok(failure(&IdentityError::GitHub(error), &registry, talk)),
        Some((repository, Ok(found)))
            if found.permissions.get("checks").map(String::as_str) != Some("write") =>
        {
            let help = "the owner of the App has to ask for Checks: read and write on its settings page, and an \
                        administrator of the organization or repository has to accept it";
            talk.note(&format!("on {repository} the App may not write check runs: {help}"));
            Ok(Exit::Passed)
        }
        Some((_, Ok(_))) | None => Ok(Exit::Passed),
    }
}

pub(super) fn token(args: Token, environ: &Environ, talk: Talk) -> Result<Exit, io::Error> {
    let registry = Registry::new();
    let permissions: BTreeMap<_, _> = args.permissions.into_iter().collect();
    let token = match identity::token(&args.at.into(), permissions, environ, &registry) {
        Ok(token) => token,
        Err(error) => return Ok(failure(&error, &registry, talk)),
    };
    if talk.in_actions {
        // On standard error, because standard output is most often kept in a variable; the runner reads both.
        let mask = format!("::add-mask::{}\n", guard::message(token.secret.expose()));
        io::stderr().lock().write_all(mask.as_bytes())?;
    }
    let mut stdout = io::stdout();
    if stdout.is_terminal() {
        talk.note("this is a secret, and it stands on a terminal: keep it in a variable instead, as in T=$(rungate app token)");
    }
    // The one place where a secret is meant to leave the process.
    writeln!(stdout, "{}", token.secret.expose())?;
    stdout.flush()?;
    Ok(Exit::Passed)
}

impl From<Where> for Question {
    fn from(at: Where) -> Self {
        Self { host: at.host, repository: at.repository }
    }
}

/// Says why it came to nothing.
fn failure(error: &IdentityError, registry: &Registry, talk: Talk) -> Exit {
    let message = crate::http::error::chain(error);
    talk.error(&registry.text(&message), Some(&registry.text(&error.remedy())));
    match error {
        IdentityError::Host(_)
        | IdentityError::Credentials(_)
        | IdentityError::OnlyToken
        | IdentityError::Repository(_)
        | IdentityError::NoRepository => Exit::Usage,
        IdentityError::Policy(_) => Exit::Policy,
        IdentityError::GitHub(_) => Exit::Undelivered,
        IdentityError::Resources => Exit::Host,
    }
}

fn text(identity: &Identity) -> String {
    let Identity { host, about, clock_ahead, installation } = identity;
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<13} {value}");
        }
    };
    row("App", &about.name);
    row("slug", about.slug.as_deref().unwrap_or_default());
    row("id", &about.id.to_string());
    row("client id", about.client_id.as_deref().unwrap_or_default());
    row("owner", about.owner.as_ref().and_then(|owner| owner.login.as_deref()).unwrap_or_default());
    row("server", &format!("{} ({})", host.name(), host.api()));
    row("permissions", &permissions(&about.permissions));
    if *clock_ahead != 0 {
        row("clock", &format!("the server's is {clock_ahead} s ahead of this machine's"));
    }
    if let Some((repository, found)) = installation {
        row("repository", &repository.to_string());
        if let Ok(found) = found {
            let login = found.account.as_ref().and_then(|account| account.login.as_deref()).unwrap_or("?");
            let state = if found.suspended_at.is_some() { ", suspended" } else { "" };
            let which = found.repository_selection.as_deref().unwrap_or("selected");
            row("installation", &format!("{} on {login}, {which} repositories{state}", found.id));
            row("granted", &permissions(&found.permissions));
        }
    }
    text
}

fn permissions(all: &BTreeMap<String, String>) -> String {
    all.iter().map(|(name, access)| format!("{name}:{access}")).collect::<Vec<_>>().join(" ")
}

fn document(identity: &Identity) -> Value {
    let Identity { host, about, clock_ahead, installation } = identity;
    let found = installation.as_ref().and_then(|(_, found)| found.as_ref().ok());
    json!({
        "name": about.name,
        "slug": about.slug,
        "id": about.id,
        "client_id": about.client_id,
        "owner": about.owner.as_ref().and_then(|owner| owner.login.as_deref()),
        "html_url": about.html_url,
        "permissions": about.permissions,
        "events": about.events,
        "server": host.name(),
        "api": host.api(),
        "clock_ahead_seconds": clock_ahead,
        "repository": installation.as_ref().map(|(repository, _)| repository.to_string()),
        "installation": found.map(|found| json!({
            "id": found.id,
            "account": found.account.as_ref().and_then(|account| account.login.as_deref()),
            "repository_selection": found.repository_selection,
            "permissions": found.permissions,
            "suspended_at": found.suspended_at,
        })),
    })
}
