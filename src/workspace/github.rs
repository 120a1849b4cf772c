//! What GitHub says about the job, as values for expressions: an allow-list of its variables, and the event.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Map, Value};

use crate::environ::Environ;
use crate::manifest::expression::{GITHUB_PROPERTIES, RUNNER_PROPERTIES};
use crate::policy::model::{Facts, Fork};

/// Largest event that is read, in bytes.
const MAX_EVENT: u64 = 8 << 20;

/// The event that started the workflow; null where there is none.
///
/// # Errors
/// Says why the event that there is cannot be read.
pub(super) fn event(environ: &Environ) -> Result<Value, String> {
    let Some(path) = environ.path("GITHUB_EVENT_PATH") else { return Ok(Value::Null) };
    read_event(&path).map_err(|reason| format!("the event in {} cannot be read: {reason}", path.display()))
}

fn read_event(path: &Path) -> Result<Value, String> {
    // Without O_NONBLOCK the open of a FIFO would wait for its other end.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = match opened {
        Ok(file) => file,
        // Tools that imitate a runner set the variable and write no file.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Value::Null),
        Err(error) => return Err(error.to_string()),
    };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is not a regular file".to_owned());
    }
    let mut text = Vec::new();
    file.take(MAX_EVENT + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_EVENT {
        return Err(format!("it is larger than {MAX_EVENT} bytes"));
    }
    serde_json::from_slice(&text).map_err(|error| format!("it is not JSON: {error}"))
}

/// The `github` context.
pub(super) fn context(environ: &Environ, event: &Value, workspace: &Path, head: Option<&str>) -> Value {
    let mut context = Map::new();
    for name in GITHUB_PROPERTIES {
        let value = match name {
            "event" => event.clone(),
            // A token comes only to a step that asks for one, and never from here.
            "token" => continue,
            name => {
                let variable = format!("GITHUB_{}", name.to_uppercase());
                environ.text(&variable).map_or(Value::Null, |text| Value::String(text.to_owned()))
            }
        };
        context.insert(name.to_owned(), value);
    }
    // What is known without a runner, too.
    for (name, here) in [("sha", head), ("workspace", workspace.to_str())] {
        if let (Some(here), Some(Value::Null)) = (here, context.get(name)) {
            context.insert(name.to_owned(), Value::String(here.to_owned()));
        }
    }
    Value::Object(context)
}

/// The `runner` context.
pub(super) fn runner(environ: &Environ) -> Value {
    let mut context = Map::new();
    for name in RUNNER_PROPERTIES {
        let variable = format!("RUNNER_{}", name.to_uppercase());
        let here = match name {
            "os" => Some("Linux"),
            "arch" => match std::env::consts::ARCH {
                "x86_64" => Some("X64"),
                "aarch64" => Some("ARM64"),
                other => Some(other),
            },
            _ => None,
        };
        let value = environ.text(&variable).or(here);
        context.insert(name.to_owned(), value.map_or(Value::Null, |text| Value::String(text.to_owned())));
    }
    Value::Object(context)
}

/// The text at `path` of the event, when there is one.
pub(super) fn at<'a>(event: &'a Value, path: &str) -> Option<&'a str> {
    event.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// What the environment says of the job, for a policy. Nobody has proven any of it.
#[must_use]
pub fn facts(environ: &Environ) -> Facts {
    let text = |name| environ.text(name).map(str::to_owned);
    let mut actors: Vec<String> = text("GITHUB_ACTOR").into_iter().collect();
    // Who starts a job again acts with the rights of who started it first, so that both count.
    actors.extend(text("GITHUB_TRIGGERING_ACTOR").filter(|again| !actors.contains(again)));
    let repository = text("GITHUB_REPOSITORY");
    let name = text("GITHUB_EVENT_NAME");
    let fork = fork(name.as_deref(), event(environ).ok().as_ref(), repository.as_deref());
    Facts {
        verified: false,
        repository,
        reference: text("GITHUB_REF"),
        event: name,
        actors,
        fork,
        teams: BTreeMap::new(),
    }
}

/// Events about a pull request that run its own workflow, or one of the base.
const OF_PULL_REQUESTS: [&str; 4] =
    ["pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"];

/// Whether code from a fork may be in a job of the event `name`. Where the event does not tell, nobody knows.
fn fork(name: Option<&str>, event: Option<&Value>, repository: Option<&str>) -> Fork {
    let from = |path: &str| match (event.and_then(|event| at(event, path)), repository) {
        (Some(head), Some(repository)) if head.eq_ignore_ascii_case(repository) => Fork::No,
        (Some(_), Some(_)) => Fork::Yes,
        // A fork that was deleted has no name any more.
        _ => Fork::Unknown,
    };
    match name {
        Some(name) if OF_PULL_REQUESTS.contains(&name) => from("/pull_request/head/repo/full_name"),
        Some("workflow_run") => from("/workflow_run/head_repository/full_name"),
        // A comment may be on a pull request, and the event does not say where that comes from.
        Some("issue_comment") => {
            let is_issue = event.is_some_and(|event| {
                event.get("issue").is_some_and(|issue| issue.get("pull_request").is_none())
            });
            if is_issue { Fork::No } else { Fork::Unknown }
        }
        // Whatever the event is called: a pull request in it is one.
        _ if event.is_some_and(|event| event.get("pull_request").is_some()) => {
            from("/pull_request/head/repo/full_name")
        }
        _ => Fork::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn code_from_a_fork_is_seen_and_what_is_not_known_is_not_taken_for_none() {
        let head = |name: Value| json!({"pull_request": {"head": {"repo": {"full_name": name}}}});
        let of = |name: &str, event: &Value| fork(Some(name), Some(event), Some("acme/widgets"));
        assert_eq!(of("pull_request", &head(json!("Acme/Widgets"))), Fork::No);
        assert_eq!(of("pull_request", &head(json!("evil/widgets"))), Fork::Yes);
        assert_eq!(of("pull_request", &head(Value::Null)), Fork::Unknown);
        assert_eq!(of("pull_request_target", &json!({})), Fork::Unknown);
        assert_eq!(of("push", &head(json!("evil/widgets"))), Fork::Yes);
        assert_eq!(of("push", &json!({"after": "x"})), Fork::No);
        assert_eq!(
            of("workflow_run", &json!({"workflow_run": {"head_repository": {"full_name": "evil/x"}}})),
            Fork::Yes
        );
        assert_eq!(of("issue_comment", &json!({"issue": {"number": 1}})), Fork::No);
        assert_eq!(of("issue_comment", &json!({"issue": {"pull_request": {}}})), Fork::Unknown);
        assert_eq!(fork(Some("pull_request"), None, Some("acme/widgets")), Fork::Unknown);
        assert_eq!(fork(None, None, None), Fork::No);
    }
}
