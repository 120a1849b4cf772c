//! Names in a manifest that have rules, whether they stand as a key or as a value.

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
        };
        if !valid {
            let help = (self == Self::Command).then(|| nearest_id(text)).flatten();
            let why = format!("is not {}", self.expected());
            let rule = if self == Self::Scope { "unknown-word" } else { "invalid-name" };
            return Err(Refused { rule, why, help: help.map(|id| format!("write `{id}`")) });
        }
        match self {
            Self::Gate if text == "steps" => Err(Refused {
                rule: "reserved-name",
                why: "is the gate that always judges the steps themselves".to_owned(),
                help: Some("give this gate another id".to_owned()),
            }),
            Self::Variable => owned(text).map_or(Ok(()), Err),
            Self::CallersVariable => withheld(text).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }
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
