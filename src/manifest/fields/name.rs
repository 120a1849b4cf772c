//! Names in a manifest, and in a host policy, that have rules, whether they stand as a key or as a value.

use crate::id::{CommandId, EnvName, GateId, InputName, StepId};
use crate::manifest::fields::words::SCOPES;

/// A sort of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The id of a command.
    Command,
    /// The id of a step.
    Step,
    /// The id of a gate.
    Gate,
    /// The name of an input.
    Input,
    /// An environment variable that a script is given.
    Variable,
    /// A variable of the caller: a secret, or one that is passed through.
    CallersVariable,
    /// A permission scope of a token.
    Scope,
    /// A dimension of a matrix.
    Dimension,
    /// Any text.
    Free,
    /// A repository of a host policy: `owner/name`, or a glob of the name.
    Repository,
    /// A full git reference of a host policy, or a glob of one.
    GitRef,
    /// An event that starts workflows.
    Event,
    /// A user or a team.
    Actor,
    /// A SHA-256 in hexadecimal digits.
    Digest,
    /// Where a secret is, such as `file:/etc/rungate/app.pem`.
    SecretReference,
    /// The client id or number of an App.
    AppId,
    /// An absolute path.
    HostPath,
    /// The address of a server that issues tokens.
    Issuer,
    /// The bare name of a GitHub server.
    Server,
}

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule that was broken.
    pub rule: &'static str,
    /// What is wrong with the name, as the end of a sentence that begins with it.
    pub why: String,
    /// How to mend it.
    pub help: Option<String>,
}

/// Prefixes of variables that rungate and the runner set themselves.
const OWNED: [&str; 5] = ["GITHUB_", "RUNNER_", "INPUT_", "RUNGATE_", "ACTIONS_"];

/// Prefixes of variables of the caller that never reach a script.
const WITHHELD: [&str; 3] = ["RUNGATE_", "ACTIONS_", "INPUT_"];

impl Name {
    /// What a valid name looks like, as a phrase with an article.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Command => CommandId::EXPECTED,
            Self::Step => StepId::EXPECTED,
            Self::Gate => GateId::EXPECTED,
            Self::Input => InputName::EXPECTED,
            Self::Variable | Self::CallersVariable => EnvName::EXPECTED,
            Self::Scope => "a permission scope of a GitHub token",
            Self::Dimension => {
                "a name of at most 64 characters: a letter or `_`, then letters, digits, `-` and `_`"
            }
            Self::Free => "a text that is not empty",
            Self::Repository => "a repository `OWNER/NAME`, in whose name `*` and `?` stand for others",
            Self::GitRef => "a whole reference, such as `refs/heads/main` or `refs/heads/release/*`",
            Self::Event => "the name of an event, such as `push` or `workflow_dispatch`",
            Self::Actor => "a user such as `octocat` or `dependabot[bot]`, or a team `@ORGANIZATION/TEAM`",
            Self::Digest => "a SHA-256 of 64 lower-case hexadecimal digits, as `sha256sum` prints it",
            Self::SecretReference => "a reference to a secret: `file:/PATH` or `systemd:NAME`",
            Self::AppId => "the client id or the number of a GitHub App",
            Self::HostPath => "an absolute path without `.`, `..` and double slashes",
            Self::Server => "the bare name of a server, such as `github.com` or `octo.ghe.com`",
            Self::Issuer => "the https address of a server, without query and without a slash at its end",
        }
    }

    /// What a valid name looks like, for the JSON Schema.
    #[must_use]
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::Command => "^[a-z][a-z0-9-]{0,63}$",
            Self::Step | Self::Input | Self::Dimension => "^[A-Za-z_][A-Za-z0-9_-]{0,63}$",
            Self::Gate => "^(?!steps$)[A-Za-z_][A-Za-z0-9_-]{0,63}$",
            Self::Variable => "^(?!GITHUB_|RUNNER_|INPUT_|RUNGATE_|ACTIONS_)[A-Za-z_][A-Za-z0-9_]{0,254}$",
            Self::CallersVariable => {
                "^(?!RUNGATE_|ACTIONS_|INPUT_|GITHUB_TOKEN$)[A-Za-z_][A-Za-z0-9_]{0,254}$"
            }
            Self::Scope => "^[a-z][a-z-]{0,63}$",
            Self::Free => "^[\\s\\S]+$",
            Self::Repository => "^[A-Za-z0-9][A-Za-z0-9_-]{0,99}/[A-Za-z0-9._*?-]{1,100}$",
            Self::GitRef => "^refs/[^\\s~^:\\\\]+$",
            Self::Event => "^[a-z][a-z_]{0,63}$",
            Self::Actor => {
                "^([A-Za-z0-9][A-Za-z0-9_-]{0,99}(\\[bot\\])?|@[A-Za-z0-9][A-Za-z0-9_-]{0,99}/[A-Za-z0-9._-]{1,100})$"
            }
            Self::Digest => "^[0-9a-f]{64}$",
            Self::SecretReference => "^[a-z][a-z0-9-]{0,31}:[\\x21-\\x7e]+$",
            Self::AppId => "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
            Self::HostPath => "^/([^/\\x00-\\x1f]+(/[^/\\x00-\\x1f]+)*)?$",
            Self::Server => "^[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?$",
            Self::Issuer => "^https?://[A-Za-z0-9.:\\[\\]-]+(/[A-Za-z0-9._~-]+)*$",
        }
    }

    /// Whether `text` is such a name.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn check(self, text: &str) -> Result<(), Refused> {
        let valid = match self {
            Self::Command => text.parse::<CommandId>().is_ok(),
            Self::Step => text.parse::<StepId>().is_ok(),
            Self::Gate => text.parse::<GateId>().is_ok(),
            Self::Input | Self::Dimension => text.parse::<InputName>().is_ok(),
            Self::Variable | Self::CallersVariable => text.parse::<EnvName>().is_ok(),
            Self::Scope => SCOPES.contains(&text),
            Self::Free => !text.is_empty(),
            Self::Repository => is_repository(text),
            Self::GitRef => is_reference(text),
            Self::Event => {
                text.starts_with(|c: char| c.is_ascii_lowercase())
                    && text.len() <= 64
                    && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            }
            Self::Actor => is_actor(text),
            Self::Digest => is_digest(text),
            Self::SecretReference => is_secret_reference(text),
            Self::AppId => is_word(text, b"._-"),
            Self::HostPath => is_host_path(text),
            Self::Issuer => is_issuer(text),
            Self::Server => is_server(text),
        };
        if !valid {
            let help = match self {
                Self::Command => nearest_id(text),
                Self::GitRef if is_reference(&format!("refs/heads/{text}")) => {
                    Some(format!("refs/heads/{text}"))
                }
                Self::Digest => Some(text.to_ascii_lowercase()).filter(|lower| is_digest(lower)),
                _ => None,
            };
            let why = format!("is not {}", self.expected());
            let rule = if self == Self::Scope { "unknown-word" } else { "invalid-name" };
            return Err(Refused { rule, why, help: help.map(|id| format!("write `{id}`")) });
        }
        match self {
            Self::Gate if matches!(text, "steps" | "artifacts") => Err(Refused {
                rule: "reserved-name",
                why: format!("is the gate that always judges the {text} themselves"),
                help: Some("give this gate another id".to_owned()),
            }),
            Self::Variable => owned(text).map_or(Ok(()), Err),
            Self::CallersVariable => withheld(text).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }
}

/// Whether `text` is a name of letters, digits and `more`, as GitHub gives them to people and Apps.
fn is_word(text: &str, more: &[u8]) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 100
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_repository(text: &str) -> bool {
    text.split_once('/').is_some_and(|(owner, name)| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._*?-".contains(&byte);
        is_word(owner, b"_-") && (1..=100).contains(&name.len()) && name.bytes().all(allowed)
    })
}

fn is_reference(text: &str) -> bool {
    let refused = |c: char| c.is_whitespace() || c.is_control() || "~^:\\".contains(c);
    text.strip_prefix("refs/").is_some_and(|rest| !rest.is_empty())
        && !text.contains(refused)
        && globset::Glob::new(text).is_ok()
}

fn is_actor(text: &str) -> bool {
    match text.strip_prefix('@') {
        Some(team) => team.split_once('/').is_some_and(|(organization, team)| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            is_word(organization, b"_-") && (1..=100).contains(&team.len()) && team.bytes().all(allowed)
        }),
        None => is_word(text.strip_suffix("[bot]").unwrap_or(text), b"_-"),
    }
}

fn is_secret_reference(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let known = match scheme {
        "file" => is_host_path(rest) && rest != "/",
        "systemd" => is_word(rest, b"._-"),
        _ => true,
    };
    known
        && scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.len() <= 32
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_host_path(text: &str) -> bool {
    let inside = |rest: &str| rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
    text == "/" || text.strip_prefix('/').is_some_and(|rest| inside(rest) && !rest.contains(char::is_control))
}

fn is_server(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// An issuer is compared letter by letter with what a token says, so that it has one form only.
fn is_issuer(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let of = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    matches!(scheme, "https" | "http")
        && of(host, b".:[]-")
        && path.is_none_or(|path| path.split('/').all(|part| of(part, b"._~-")))
}

fn owned(text: &str) -> Option<Refused> {
    let prefix = OWNED.iter().find(|prefix| text.starts_with(**prefix))?;
    let help = if text == "GITHUB_TOKEN" {
        "write `GH_TOKEN`, which GitHub's own tools read as well".to_owned()
    } else {
        format!("choose a name that does not begin with `{prefix}`")
    };
    Some(Refused {
        rule: "reserved-name",
        why: format!("cannot be set: `{prefix}*` is rungate's own"),
        help: Some(help),
    })
}

fn withheld(text: &str) -> Option<Refused> {
    (text == "GITHUB_TOKEN" || WITHHELD.iter().any(|prefix| text.starts_with(prefix))).then(|| Refused {
        rule: "reserved-name",
        why:
            "never reaches a script: `RUNGATE_*`, `ACTIONS_*`, `INPUT_*` and `GITHUB_TOKEN` are the caller's"
                .to_owned(),
        help: (text == "GITHUB_TOKEN")
            .then(|| "write `env: {GH_TOKEN: '${{ github.token }}'}` in the step".to_owned()),
    })
}

/// The id that a person may have meant: lower case, and `-` for what an id cannot have.
#[must_use]
pub fn nearest_id(text: &str) -> Option<String> {
    let mut id = String::new();
    for c in text.chars().take(200) {
        if c.is_ascii_alphanumeric() {
            id.push(c.to_ascii_lowercase());
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    let start = id.find(|c: char| c.is_ascii_lowercase())?;
    let mut id = id.split_off(start);
    id.truncate(crate::id::MAX_ID);
    Some(id.trim_end_matches('-').to_owned())
}
