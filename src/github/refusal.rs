//! What a refusal of GitHub means: what is wrong, and who has to do what. Pure.
//!
//! GitHub's own texts are short and often point at the wrong person, so each that is known is said in other words; the
//! server's text stands beside them.

use std::fmt;

use crate::clock::Timestamp;
use crate::http::Answer;

/// Longest text of a server that is repeated, in characters.
const MAX_TEXT: usize = 300;

/// As what a call came, which decides what its refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The App asks about itself.
    App,
    /// The App looks for its installation on a repository.
    Installation,
    /// The App asks for a token.
    Token,
    /// A call with a token.
    Call,
}

/// Who can mend something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Who registered the App.
    AppOwner,
    /// Who decides which Apps an organization or a repository has.
    OrganizationAdmin,
    /// Who set the credentials on the runner.
    RunnerAdmin,
    /// Who wrote the workflow.
    WorkflowAuthor,
    /// Who wrote rungate.
    Rungate,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppOwner => "the owner of the App",
            Self::OrganizationAdmin => "an administrator of the organization or repository",
            Self::RunnerAdmin => "the administrator of the runner",
            Self::WorkflowAuthor => "the author of the workflow",
            Self::Rungate => "the authors of rungate",
        })
    }
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The clocks differ too much for a signed request.
    Clock,
    /// The App's id is not one.
    Issuer,
    /// The key does not belong to the App.
    Key,
    /// The App has no key at all here.
    NoKey,
    /// The token is expired, revoked or from elsewhere.
    Credentials,
    /// The token lacks a permission.
    Permission,
    /// What is no App's token tried to write a check run.
    NotAnApp,
    /// Another App made the check run.
    ForeignCheckRun,
    /// The App is not installed there, or the repository is not there.
    NotInstalled,
    /// The installation is not one of this App.
    UnknownInstallation,
    /// The installation is suspended.
    Suspended,
    /// More permissions were asked for than granted.
    NotGranted,
    /// The installation cannot see the repository.
    RepositoryNotCovered,
    /// The organization lets only known addresses in.
    Address,
    /// What the call names is not there, or hidden.
    NotFound,
    /// The server did not understand the call.
    Malformed,
    /// The server refuses what the call says.
    Invalid,
    /// Something else.
    Other,
}

/// A refusal that waiting does not mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.what())]
pub struct Refusal {
    /// What it means.
    pub reason: Reason,
    /// The status of the answer.
    pub status: u16,
    /// What the server said, bounded.
    pub said: String,
    /// Permissions that the server would accept, in its own notation.
    pub accepted: Option<String>,
    /// What time it was on the server.
    pub server_time: Option<Timestamp>,
}

impl Refusal {
    /// What a refusing answer to a call of this purpose means.
    #[must_use]
    pub fn of(answer: &Answer, purpose: Purpose) -> Self {
        let said = message(&answer.body);
        let reason = reason(answer.status, &said, purpose);
        let accepted = answer.header("x-accepted-github-permissions").map(|text| bounded(text, MAX_TEXT));
        let server_time = answer.header("date").and_then(Timestamp::of_http_date);
        Self { reason, status: answer.status, said: bounded(&said, MAX_TEXT), accepted, server_time }
    }

    /// A refusal that the server has not spoken yet: it says of an installation that it is suspended.
    pub(super) fn suspended() -> Self {
        let said = "the installation has suspended_at".to_owned();
        Self { reason: Reason::Suspended, status: 403, said, accepted: None, server_time: None }
    }

    /// What is wrong, in one fragment.
    #[must_use]
    pub fn what(&self) -> String {
        let text = match self.reason {
            Reason::Clock => "the clock of this machine and that of the server differ by more than a minute",
            Reason::Issuer => "the server does not accept the App's id",
            Reason::Key => "the private key does not belong to the App with this id",
            Reason::NoKey => "the App has no key on this server, or it is registered on another one",
            Reason::Credentials => "the token is expired, revoked or from another server",
            Reason::Permission => return self.permission(),
            Reason::NotAnApp => {
                "only the token of a GitHub App may write check runs, and this is another kind"
            }
            Reason::ForeignCheckRun => {
                "the check run was made by another App, and only that one can change it"
            }
            Reason::NotInstalled => {
                "the App is not installed on the repository, or there is no such repository"
            }
            Reason::UnknownInstallation => "the App has no installation with this id",
            Reason::Suspended => "the installation of the App is suspended",
            Reason::NotGranted => "the installation was not granted the permissions that are needed",
            Reason::RepositoryNotCovered => "the installation of the App does not cover the repository",
            Reason::Address => "the organization does not let calls from this address in",
            Reason::NotFound => {
                "the repository, the commit or the check run is not there, or the token cannot see it"
            }
            Reason::Malformed => "the server did not understand the call",
            Reason::Invalid => "the server does not accept what was sent",
            Reason::Other => "the server refuses the call",
        };
        text.to_owned()
    }

    fn permission(&self) -> String {
        match &self.accepted {
            Some(accepted) => {
                let words = accepted.split(';').map(|all| all.trim().replace('=', ":")).collect::<Vec<_>>();
                format!("the token lacks a permission: {}", words.join(", or "))
            }
            None => "the token lacks a permission".to_owned(),
        }
    }

    /// Who can mend it.
    #[must_use]
    pub const fn who(&self) -> Who {
        match self.reason {
            Reason::Clock
            | Reason::Issuer
            | Reason::Key
            | Reason::Credentials
            | Reason::UnknownInstallation => Who::RunnerAdmin,
            Reason::NoKey | Reason::Permission => Who::AppOwner,
            Reason::NotAnApp | Reason::NotFound | Reason::Other => Who::WorkflowAuthor,
            Reason::NotInstalled
            | Reason::Suspended
            | Reason::NotGranted
            | Reason::RepositoryNotCovered
            | Reason::Address => Who::OrganizationAdmin,
            Reason::ForeignCheckRun | Reason::Malformed | Reason::Invalid => Who::Rungate,
        }
    }

    /// Who has to do what.
    #[must_use]
    pub fn remedy(&self) -> String {
        let task = match self.reason {
            Reason::Clock => "has to set the clock, by NTP",
            Reason::Issuer => {
                "has to check RUNGATE_APP_ID: nothing but the client id or the numeric id, and the numeric one on an \
                 older GitHub Enterprise Server"
            }
            Reason::Key => {
                "has to set a private key of exactly the App in RUNGATE_APP_ID, as it was downloaded"
            }
            Reason::NoKey => {
                "has to generate a private key on the App's settings page; check GITHUB_API_URL and RUNGATE_APP_ID too"
            }
            Reason::Credentials => {
                "has to set a fresh RUNGATE_TOKEN made for this server, or RUNGATE_APP_ID and a private key, with \
                 which tokens are renewed"
            }
            Reason::Permission => {
                "has to give the App the permission on its settings page, and an administrator has to accept it for \
                 the installation; a RUNGATE_TOKEN has to be made with it"
            }
            Reason::NotAnApp => {
                "has to use RUNGATE_APP_ID with a private key, or an installation token of an App"
            }
            Reason::ForeignCheckRun => "have to know: please report it",
            Reason::NotInstalled => {
                "has to install the App on the repository (its settings page, Install App); check the repository's \
                 name and GITHUB_API_URL too"
            }
            Reason::UnknownInstallation => {
                "has to correct RUNGATE_INSTALLATION_ID, or to leave it unset so that it is looked up"
            }
            Reason::Suspended => "has to unsuspend the App in the settings, under Installed GitHub Apps",
            Reason::NotGranted => {
                "has to accept the App's new permissions in the settings, under Installed GitHub Apps; the owner of \
                 the App has to ask for them first"
            }
            Reason::RepositoryNotCovered => {
                "has to add the repository to the installation, in the settings under Installed GitHub Apps"
            }
            Reason::Address => "has to add the runner's address to the organization's IP allow list",
            Reason::NotFound => {
                "has to check the repository and the commit: a commit that was not pushed is not there"
            }
            Reason::Malformed | Reason::Invalid => {
                "have to know: please report it with the text of the server"
            }
            Reason::Other => "has to look at what the server said",
        };
        format!("{} {task}", self.who())
    }
}

/// The text of an answer: its `message`, and those of its `errors`.
pub(super) fn message(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
        return String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]).into_owned();
    };
    let text = |value: &serde_json::Value| {
        value.as_str().or_else(|| value.get("message")?.as_str()).map(str::to_owned)
    };
    let mut parts: Vec<String> = text(&value).into_iter().collect();
    let errors = value.get("errors").and_then(serde_json::Value::as_array);
    parts.extend(errors.into_iter().flatten().filter_map(text));
    parts.join("; ")
}

/// `text` on one line of at most `most` characters.
fn bounded(text: &str, most: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn reason(status: u16, said: &str, purpose: Purpose) -> Reason {
    let said = said.to_ascii_lowercase();
    let says = |text: &str| said.contains(text);
    match status {
        400 => Reason::Malformed,
        401 if is_skew(&said) => Reason::Clock,
        401 if says("'issuer' claim") => Reason::Issuer,
        401 if says("could not be decoded") => Reason::Key,
        401 if says("must generate a public key") => Reason::NoKey,
        401 if purpose != Purpose::Call && says("integration not found") => Reason::Issuer,
        // What was shown is the App's signature, and no token.
        401 if purpose != Purpose::Call => Reason::Key,
        401 => Reason::Credentials,
        403 if says("suspended") => Reason::Suspended,
        403 if says("invalid app_id") => Reason::ForeignCheckRun,
        403 if says("authenticate via a github app") => Reason::NotAnApp,
        403 if says("ip allow list") => Reason::Address,
        403 if says("not accessible by") => Reason::Permission,
        404 => match purpose {
            Purpose::App => Reason::NoKey,
            Purpose::Installation => Reason::NotInstalled,
            Purpose::Token => Reason::UnknownInstallation,
            Purpose::Call => Reason::NotFound,
        },
        422 if says("permissions requested are not granted") => Reason::NotGranted,
        422 if purpose == Purpose::Token && (says("not accessible to the parent") || says("repository")) => {
            Reason::RepositoryNotCovered
        }
        422 => Reason::Invalid,
        _ => Reason::Other,
    }
}

/// Whether the texts, in small letters, are those of a clock that is wrong.
fn is_skew(said: &str) -> bool {
    said.contains("'expiration time' claim") || said.contains("'issued at' claim")
}

#[cfg(test)]
mod tests;
