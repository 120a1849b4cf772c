//! The host's policy: whether it is believed, and whether what it refers to is there.

use crate::app::doctor::{Check, Patient, State};
use crate::app::policy::{HOST_POLICY, Policies, secret};
use crate::github::key::PemKey;
use crate::policy::model::{Policy, Reference};
use crate::redact::Registry;

pub(super) fn checks(patient: Patient<'_>) -> Vec<Check> {
    let policies = match Policies::of_host(patient.environ) {
        Ok(policies) => policies,
        Err(why) => {
            return vec![Check {
                id: "policy",
                state: State::Failed,
                found: "the host's policy refuses everything".to_owned(),
                cause: Some(why),
                remedies: vec![format!("rungate validate --policy {HOST_POLICY}")],
            }];
        }
    };
    let Some(host) = policies.host() else {
        let found = format!(
            "there is no {HOST_POLICY}: manifests decide what runs, and no workflow weakens the sandbox"
        );
        return vec![Check::good("policy", found)];
    };
    let rules: usize = policies.all().iter().map(|policy| policy.rules.len()).sum();
    let paths: Vec<&str> = policies.all().iter().map(|policy| policy.source.path.as_str()).collect();
    let mut checks =
        vec![Check::good("policy", format!("{} with {rules} rules in all", paths.join(" and ")))];
    checks.extend(references(host, patient));
    checks
}

/// Whether the secrets and keys of this host are to be had. None of them is shown.
fn references(policy: &Policy, patient: Patient<'_>) -> Vec<Check> {
    let registry = Registry::new();
    let mut checks = Vec::new();
    if let Some(app) = &policy.app {
        let usable = |reference: &Reference| {
            let text = secret(reference, patient.environ, &registry)?;
            PemKey::all(text.expose(), &reference.to_string(), &registry).map(drop).map_err(Into::into)
        };
        let all: Vec<_> = app.keys.iter().map(|key| (&key.value, usable(&key.value))).collect();
        checks.push(of_all("policy-keys", "keys of the App", State::Failed, all));
    }
    if !policy.secret_sources.is_empty() {
        let all = policy.secret_sources.values();
        let all =
            all.map(|source| (&source.value, secret(&source.value, patient.environ, &registry).map(drop)));
        checks.push(of_all("policy-secrets", "secrets of the host", State::Lacking, all.collect()));
    }
    checks
}

type Tried<'a> = Vec<(&'a Reference, Result<(), crate::app::policy::Unavailable>)>;

/// One check of several references. With none of them at all it is as bad as `without`.
fn of_all(id: &'static str, what: &str, without: State, all: Tried<'_>) -> Check {
    let count = all.len();
    let broken: Vec<_> =
        all.into_iter().filter_map(|(reference, tried)| Some((reference, tried.err()?))).collect();
    if broken.is_empty() {
        return Check::good(id, format!("all {count} {what} are to be had"));
    }
    let causes: Vec<String> =
        broken.iter().map(|(reference, error)| format!("{reference}: {error}")).collect();
    let mut remedies: Vec<String> = broken.iter().map(|(_, error)| error.remedy()).collect();
    remedies.dedup();
    Check {
        id,
        state: if broken.len() == count { without } else { State::Lacking },
        found: format!("{} of {count} {what} are not to be had", broken.len()),
        cause: Some(causes.join("; ")),
        remedies,
    }
}
