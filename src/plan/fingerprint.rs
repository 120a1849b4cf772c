//! What makes two plans the same plan.
//!
//! Equal for one commit, manifest and request on whatever host: shards of one run compare it before they are merged. It
//! is the SHA-256 of the plan as JSON, in the order of its fields, then of each step as JSON. Everything that decides
//! what runs is in it: the command, the manifest's digest, repository, head and base, inputs, names of secrets, script
//! texts and digests, arguments, environment, selected files, conditions, sandbox, limits, gates.
//!
//! Left out is what belongs to the host or to one run of it: interpreters' paths, the number of CPUs, notes, which
//! suppressions have expired by now (the manifest's digest stands for what it accepts), the name
//! under which the manifest was found. What an author takes from `github` or `runner` is part of the text that it is
//! substituted into, and differs where those do.

use serde_json::Value;

use crate::id::Sha256;
use crate::plan::model::{Plan, PlannedStep};

/// The fingerprint of `plan`, which holds no steps yet, with `steps`. `max_parallel` is what its author wrote, not what
/// the host has.
pub(super) fn of(plan: &Plan, steps: &[PlannedStep], max_parallel: Option<u32>) -> Sha256 {
    let mut head = serde_json::to_value(plan).unwrap_or_default();
    if let Value::Object(fields) = &mut head {
        for name in ["fingerprint", "notes", "suppressions"] {
            fields.shift_remove(name);
        }
        fields.insert("max_parallel".to_owned(), max_parallel.into());
        fields.insert("manifest".to_owned(), plan.manifest.sha256.to_string().into());
    }
    // Step by step, because all of them as one value could be large.
    let steps = steps.iter().map(|step| {
        let mut value = serde_json::to_value(step).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            fields.shift_remove("interpreter");
            fields.shift_remove("interpreter_prefixes");
        }
        value.to_string()
    });
    Sha256::of_all(std::iter::once(head.to_string()).chain(steps))
}
