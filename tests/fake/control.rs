//! `/_fake/…`: how somebody outside sets faults and looks at what happened. Nothing of it is GitHub's.

use axum::http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::call::{Answer, Call, Reply};
use super::check_runs;
use super::faults::Rule;
use super::world::World;

/// Answers a request for the fake itself.
pub(super) fn answer(world: &mut World, call: &Call) -> Reply {
    match (&call.method, call.path.as_str()) {
        (&Method::GET, "/_fake/state") => Ok(Answer::json(200, state(world))),
        (&Method::POST, "/_fake/faults") => {
            world.faults.push(parsed::<Rule>(&call.body)?);
            Ok(Answer::empty(204))
        }
        (&Method::DELETE, "/_fake/faults") => {
            world.faults.clear();
            Ok(Answer::empty(204))
        }
        (&Method::POST, "/_fake/settings") => {
            let mut settings = serde_json::to_value(&world.settings).unwrap_or_default();
            for (key, value) in call.object()? {
                settings[key] = value;
            }
            world.settings = parsed(settings.to_string().as_bytes())?;
            Ok(Answer::empty(204))
        }
        (&Method::POST, "/_fake/installation") => {
            let body = call.object()?;
            let installation = world.installation();
            if let Some(suspended) = body.get("suspended").and_then(Value::as_bool) {
                installation.suspended = suspended;
            }
            if let Some(permissions) = body.get("permissions") {
                installation.permissions = parsed(permissions.to_string().as_bytes())?;
            }
            Ok(Answer::empty(204))
        }
        _ => Err(Answer::not_found()),
    }
}

fn parsed<T: DeserializeOwned>(text: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(text).map_err(|error| Answer::error(422, &error.to_string()))
}

/// Everything that happened, as one document. Credentials stay readable.
pub(super) fn state(world: &World) -> Value {
    let runs = world.check_runs.iter().map(|run| {
        let mut whole = check_runs::described(world, run);
        whole["annotations"] = Value::Array(run.annotations.clone());
        whole["actions"] = run.fields.get("actions").cloned().unwrap_or_default();
        whole
    });
    json!({
        "settings": world.settings,
        "check_runs": runs.collect::<Vec<_>>(),
        "sarif_uploads": world.sarif_uploads,
        "statuses": world.statuses,
        "tokens": world.tokens,
        "faults": world.faults,
        "requests": world.requests,
        "violations": world.violations,
    })
}
