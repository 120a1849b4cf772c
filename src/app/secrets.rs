//! What must never be shown: where it stands in the environment, and the registry that hides it.

use std::collections::BTreeMap;

use crate::environ::Environ;
use crate::plan::model::Plan;
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

/// Everything that must not be shown, the secrets that steps use, and what has to be said about them.
pub(super) fn of_plan(plan: &Plan, environ: &Environ) -> (Registry, BTreeMap<String, String>, Vec<String>) {
    let registry = registry(environ);
    let mut notes = Vec::new();
    let mut values = BTreeMap::new();
    for name in &plan.secrets {
        let Some(value) = environ.text(name.as_str()) else { continue };
        match registry.add(value) {
            Added::Registered | Added::Known => {}
            Added::TooShort => notes.push(format!("the secret {name} is too short to be hidden in output")),
            Added::TooLong | Added::Full => {
                notes.push(format!("the secret {name} is too large to be hidden in output"));
            }
        }
        values.insert(name.to_string(), value.to_owned());
    }
    (registry, values, notes)
}
