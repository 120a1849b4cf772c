//! A plan within the bounds of the policies that admit it: what is cut down is noted, and what cannot be is refused.

use std::collections::BTreeMap;

use crate::app::policy::{Policies, Verdict};
use crate::clock::readable;
use crate::id::EnvName;
use crate::manifest::model::Command;
use crate::plan::model::Plan;
use crate::policy::model::Reference;

/// Where those secrets of `command` are that are the host's own.
///
/// # Errors
/// Names the line that keeps a secret from it.
pub(in crate::app) fn secrets(
    command: &Command,
    policies: &Policies,
    verdict: &Verdict,
) -> Result<BTreeMap<EnvName, Reference>, String> {
    let (Some(decision), Some(host)) = (&verdict.decision, policies.host()) else {
        return Ok(BTreeMap::new());
    };
    let mut sources = BTreeMap::new();
    for secret in &command.secrets {
        let name = &secret.value;
        let source = host.secret_sources.get(name);
        if let Some(place) = decision.bounds.against_secret(name, source.is_some()) {
            return Err(format!("{place}: `secrets` does not give `{name}`"));
        }
        sources.extend(source.map(|source| (name.clone(), source.value.clone())));
    }
    Ok(sources)
}

/// Cuts `plan` down to what the policies allow.
///
/// # Errors
/// Names the line that stands against a part that cannot be cut down.
pub(in crate::app) fn plan(plan: &mut Plan, verdict: &Verdict) -> Result<(), String> {
    let Some(decision) = &verdict.decision else { return Ok(()) };
    let bounds = &decision.bounds;
    if let Some(limit) = bounds.timeout()
        && limit.value < plan.timeout
    {
        plan.notes.push(format!(
            "the host's policy allows {} instead of {} ({})",
            readable(limit.value),
            readable(plan.timeout),
            limit.at
        ));
        plan.timeout = limit.value;
    }
    for step in &mut plan.steps {
        for required in bounds.require() {
            if !step.sandbox.require.contains(&required.value) {
                step.sandbox.require.push(required.value);
            }
        }
        let refused = step
            .sandbox
            .readable
            .iter()
            .find_map(|path| bounds.against_read(path).map(|place| (path, place)));
        if let Some((path, place)) = refused {
            return Err(format!(
                "{place}: `read` does not let the step {} read {}",
                step.key,
                path.display()
            ));
        }
    }
    Ok(())
}
