//! What must never be shown: where it stands in the environment, and the registry that hides it.

use std::collections::BTreeMap;

use crate::app::failure::Failure;
use crate::app::policy;
use crate::environ::Environ;
use crate::id::EnvName;
use crate::plan::model::Plan;
use crate::policy::model::Reference;
use crate::redact::secret::Secret;
use crate::redact::{Added, Registry};

/// Variables whose values are never shown, whoever set them.
const KNOWN_SECRETS: [&str; 7] = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "RUNGATE_TOKEN",
    "RUNGATE_APP_PRIVATE_KEY",
    "ACTIONS_CACHE_TOKEN",
];

/// Values that are secrets whoever asks.
pub(super) fn known_secrets(environ: &Environ) -> impl Iterator<Item = &str> {
    KNOWN_SECRETS.into_iter().filter_map(|name| environ.text(name))
}

/// A registry that knows them.
pub(super) fn registry(environ: &Environ) -> Registry {
    let registry = Registry::default();
    for value in known_secrets(environ) {
        let _short_ones_are_no_tokens = registry.add(value);
    }
    registry
}

/// Secrets by the name that steps know them by.
type Values = BTreeMap<String, String>;

/// Everything that must not be shown, the secrets that steps use, and what has to be said about them. Those that
/// `sources` names are the host's, whatever the environment holds.
///
/// # Errors
/// Fails when one of the host's is not to be had.
pub(super) fn of_plan(
    plan: &Plan,
    sources: &BTreeMap<EnvName, Reference>,
    environ: &Environ,
) -> Result<(Registry, Values, Vec<String>), Failure> {
    let registry = registry(environ);
    let mut notes = Vec::new();
    let mut values = BTreeMap::new();
    for name in &plan.secrets {
        let of_host = sources.get(name).map(|reference| policy::secret(reference, environ, &registry));
        let of_host = of_host.transpose().map_err(|error| {
            Failure::Policy(format!("the secret {name} is not to be had: {error}; {}", error.remedy()))
        })?;
        let of_host = of_host.as_ref().map(Secret::expose).filter(|text| !text.is_empty());
        let Some(value) =
            of_host.or_else(|| environ.text(name.as_str()).filter(|_| !sources.contains_key(name)))
        else {
            continue;
        };
        match registry.add(value) {
            Added::Registered | Added::Known => {}
            Added::TooShort => notes.push(format!("the secret {name} is too short to be hidden in output")),
            Added::TooLong | Added::Full => {
                notes.push(format!("the secret {name} is too large to be hidden in output"));
            }
        }
        values.insert(name.to_string(), value.to_owned());
    }
    Ok((registry, values, notes))
}
