//! What a check run's fields may hold: every limit of GitHub's, in GitHub's words.
//!
//! One value that is wrong refuses the whole request.

use serde_json::{Map, Value};

use super::annotations;
use super::call::Answer;

/// Characters of `summary` and of `text`.
const TEXT_LIMIT: usize = 65_535;
const ITEMS_LIMIT: usize = 50;
const ACTIONS_LIMIT: usize = 3;
const STATUSES: [&str; 3] = ["queued", "in_progress", "completed"];
/// `stale` is GitHub's own.
const CONCLUSIONS: [&str; 7] =
    ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];
const FIELDS: [&str; 9] = [
    "name",
    "details_url",
    "external_id",
    "status",
    "started_at",
    "conclusion",
    "completed_at",
    "output",
    "actions",
];

type Object = Map<String, Value>;

/// Which of the two requests it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Create,
    Update,
}

/// Refuses a body with anything that GitHub refuses.
pub(super) fn check(body: &Object, request: Request) -> Result<(), Answer> {
    for key in body.keys() {
        let known = FIELDS.contains(&key.as_str()) || (key == "head_sha" && request == Request::Create);
        if !known {
            return Err(Answer::invalid(&format!("\"{key}\" is not a permitted key.")));
        }
    }
    if request == Request::Create {
        required(body, &["name", "head_sha"], "")?;
    }
    for key in ["name", "head_sha", "external_id"] {
        text(body, key, "")?;
    }
    if text(body, "name", "")?.is_some_and(str::is_empty) {
        return Err(Answer::invalid("For 'properties/name', \"\" is too short."));
    }
    if let Some(url) = text(body, "details_url", "")? {
        web_address(url, "details_url")?;
    }
    one_of(body, "status", &STATUSES)?;
    one_of(body, "conclusion", &CONCLUSIONS)?;
    for key in ["started_at", "completed_at"] {
        if let Some(moment) = text(body, key, "")? {
            is_moment(moment, key)?;
        }
    }
    if body.get("status").is_some_and(|status| status == "completed") {
        required(body, &["conclusion"], "")?;
    }
    if let Some(output) = body.get("output") {
        let output = object(output, "output")?;
        check_output(output, request)?;
    }
    check_actions(body)
}

fn check_output(output: &Object, request: Request) -> Result<(), Answer> {
    let always: &[&str] = match request {
        Request::Create => &["title", "summary"],
        Request::Update => &["summary"],
    };
    permitted(output, &["title", "summary", "text", "annotations", "images"], "output")?;
    required(output, always, "output")?;
    text(output, "title", "output")?;
    for key in ["summary", "text"] {
        if let Some(written) = text(output, key, "output")? {
            let count = written.chars().count();
            if count > TEXT_LIMIT {
                return Err(Answer::invalid(&format!(
                    "Only {TEXT_LIMIT} characters are allowed; {count} were supplied."
                )));
            }
        }
    }
    for item in items(output, "annotations", ITEMS_LIMIT)? {
        annotations::check(object(item, "annotations")?)?;
    }
    for item in items(output, "images", usize::MAX)? {
        let image = object(item, "images")?;
        permitted(image, &["alt", "image_url", "caption"], "images")?;
        required(image, &["alt", "image_url"], "images")?;
        if let Some(url) = text(image, "image_url", "images")? {
            web_address(url, "image_url")?;
        }
    }
    Ok(())
}

fn check_actions(body: &Object) -> Result<(), Answer> {
    for item in items(body, "actions", ACTIONS_LIMIT)? {
        let action = object(item, "actions")?;
        permitted(action, &["label", "description", "identifier"], "actions")?;
        required(action, &["label", "description", "identifier"], "actions")?;
        for (key, limit) in [("label", 20), ("description", 40), ("identifier", 20)] {
            let count = text(action, key, "actions")?.unwrap_or_default().chars().count();
            if count > limit {
                return Err(Answer::invalid(&format!(
                    "Only {limit} characters are allowed; {count} were supplied."
                )));
            }
        }
    }
    Ok(())
}

fn place(under: &str, key: &str) -> String {
    if under.is_empty() { format!("properties/{key}") } else { format!("properties/{under}/{key}") }
}

/// Refuses keys that are not in `keys`.
pub(super) fn permitted(object: &Object, keys: &[&str], under: &str) -> Result<(), Answer> {
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => {
            Err(Answer::invalid(&format!("For 'properties/{under}', \"{key}\" is not a permitted key.")))
        }
        None => Ok(()),
    }
}

/// Refuses an object without one of `keys`.
pub(super) fn required(object: &Object, keys: &[&str], under: &str) -> Result<(), Answer> {
    match keys.iter().find(|key| !object.contains_key(**key)) {
        Some(key) if under.is_empty() => Err(Answer::invalid(&format!("\"{key}\" wasn't supplied."))),
        Some(key) => Err(Answer::invalid(&format!("For 'properties/{under}', \"{key}\" wasn't supplied."))),
        None => Ok(()),
    }
}

/// The text under `key`; another type is refused.
pub(super) fn text<'a>(object: &'a Object, key: &str, under: &str) -> Result<Option<&'a str>, Answer> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let shown = if other.is_null() { "nil".to_owned() } else { other.to_string() };
            Err(Answer::invalid(&format!("For '{}', {shown} is not a string.", place(under, key))))
        }
    }
}

fn object<'a>(value: &'a Value, key: &str) -> Result<&'a Object, Answer> {
    value.as_object().ok_or_else(|| Answer::invalid(&format!("For 'properties/{key}', it is not an object.")))
}

fn items<'a>(object: &'a Object, key: &str, limit: usize) -> Result<&'a [Value], Answer> {
    let items = match object.get(key) {
        None => return Ok(&[]),
        Some(Value::Array(items)) => items,
        Some(_) => {
            return Err(Answer::invalid(&format!("For 'properties/{key}', it is not an array.")));
        }
    };
    if items.len() > limit {
        return Err(Answer::invalid(&format!(
            "No more than {limit} items are allowed; {} were supplied.",
            items.len()
        )));
    }
    Ok(items)
}

fn one_of(object: &Object, key: &str, values: &[&str]) -> Result<(), Answer> {
    match text(object, key, "")? {
        Some(value) if !values.contains(&value) => Err(Answer::invalid(&format!(
            "For 'properties/{key}', \"{value}\" is not a possible value. Must be one of the following: {}.",
            values.join(", ")
        ))),
        _ => Ok(()),
    }
}

fn web_address(text: &str, key: &str) -> Result<(), Answer> {
    let right = url::Url::parse(text).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
    let refused = || Answer::invalid(&format!("For 'properties/{key}', \"{text}\" is not a valid URL."));
    if right { Ok(()) } else { Err(refused()) }
}

/// `YYYY-MM-DDTHH:MM:SSZ`, and nothing else that ISO 8601 would allow.
pub(super) fn is_moment(text: &str, key: &str) -> Result<(), Answer> {
    let right = text.len() == 20 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok();
    let refused = || Answer::invalid(&format!("For 'properties/{key}', \"{text}\" is not a date-time."));
    if right { Ok(()) } else { Err(refused()) }
}
