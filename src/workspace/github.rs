//! What GitHub says about the job, as values for expressions: an allow-list of its variables, and the event.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Map, Value};

use crate::environ::Environ;
use crate::manifest::expression::{GITHUB_PROPERTIES, RUNNER_PROPERTIES};

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
