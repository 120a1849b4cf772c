//! One annotation: what it may hold, and how it is given back.

use serde_json::{Map, Value, json};

use super::call::Answer;
use super::output::{permitted, required, text};

/// Bytes of `message` and of `raw_details`.
const BYTES_LIMIT: usize = 64 << 10;
/// Characters of `title`.
const TITLE_LIMIT: usize = 255;
const LEVELS: [&str; 3] = ["notice", "warning", "failure"];
const KEYS: [&str; 9] = [
    "path",
    "start_line",
    "end_line",
    "start_column",
    "end_column",
    "annotation_level",
    "message",
    "title",
    "raw_details",
];

fn wrong(field: &str, detail: &str) -> Answer {
    Answer::invalid(&format!("For 'properties/annotations/{field}', {detail}"))
}

/// Refuses an annotation that GitHub refuses.
pub(super) fn check(annotation: &Map<String, Value>) -> Result<(), Answer> {
    permitted(annotation, &KEYS, "annotations")?;
    required(annotation, &["path", "start_line", "end_line", "annotation_level", "message"], "annotations")?;
    let written = |key| Ok(text(annotation, key, "annotations")?.unwrap_or_default());
    check_path(written("path")?)?;
    let level = written("annotation_level")?;
    if !LEVELS.contains(&level) {
        return Err(wrong("annotation_level", &format!("\"{level}\" is not a possible value.")));
    }
    if written("message")?.is_empty() {
        return Err(wrong("message", "\"\" is too short."));
    }
    for key in ["message", "raw_details"] {
        let bytes = written(key)?.len();
        if bytes > BYTES_LIMIT {
            return Err(wrong(key, &format!("only {BYTES_LIMIT} bytes are allowed; {bytes} were supplied.")));
        }
    }
    let title = written("title")?.chars().count();
    if title > TITLE_LIMIT {
        return Err(wrong(
            "title",
            &format!("only {TITLE_LIMIT} characters are allowed; {title} were supplied."),
        ));
    }
    check_range(annotation)
}

fn check_path(path: &str) -> Result<(), Answer> {
    let relative = !path.is_empty()
        && !path.contains(['\\', '\0'])
        && path.split('/').all(|segment| !["", ".", ".."].contains(&segment));
    if relative {
        Ok(())
    } else {
        Err(wrong("path", &format!("\"{path}\" is not a path in the repository.")))
    }
}

fn check_range(annotation: &Map<String, Value>) -> Result<(), Answer> {
    let number = |key: &str| match annotation.get(key) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if number >= 1 => Ok(Some(number)),
            _ => Err(wrong(key, &format!("{value} is not a number from 1 on."))),
        },
    };
    let (start, end) = (number("start_line")?, number("end_line")?);
    if end < start {
        return Err(wrong("end_line", "it is less than start_line."));
    }
    let (first, last) = (number("start_column")?, number("end_column")?);
    if start != end && (first.is_some() || last.is_some()) {
        return Err(wrong("start_column", "columns are allowed on one line only."));
    }
    if let (Some(first), Some(last)) = (first, last)
        && last < first
    {
        return Err(wrong("end_column", "it is less than start_column."));
    }
    Ok(())
}

/// How an annotation is given back.
pub(super) fn described(annotation: &Value, repository: &str, sha: &str) -> Value {
    let path = annotation["path"].as_str().unwrap_or_default();
    let mut whole = json!({
        "path": path, "blob_href": format!("https://github.com/{repository}/blob/{sha}/{path}"),
        "start_line": null, "end_line": null, "start_column": null, "end_column": null,
        "annotation_level": null, "title": null, "message": null, "raw_details": null,
    });
    for (key, value) in annotation.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    whole
}
