//! What `ruff check` writes: `--output-format json`, one array, or `json-lines`, one object a line.

use std::io::Read;

use crate::finding::{Finding, Level};
use crate::parse::json::records;
use crate::parse::json::{Json, Layout};
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::output::kept;
use crate::parse::region::{Region, counted};
use crate::parse::text;
use crate::parse::{Item, ParseError};

const TOOL: &str = "ruff";

/// Longest code or path that is kept, in bytes.
const MAX_NAME: usize = 4096;

/// Rule of what is no Python. Older versions write no code for it.
const SYNTAX_ERROR: &str = "invalid-syntax";

/// The words of versions that know severities.
const SEVERITIES: [(&str, Level); 5] = [
    ("error", Level::Failure),
    ("fatal", Level::Failure),
    ("warning", Level::Warning),
    ("info", Level::Notice),
    ("help", Level::Notice),
];

/// Reads either form. An empty input has no findings: so `json-lines` says that.
///
/// # Errors
/// Says where the input is neither.
pub(crate) fn read(
    options: &Options,
    input: impl Read,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let (head, input) = text::with_head(input).map_err(ParseError::unread)?;
    if head.trim_ascii_start().first() != Some(&b'[') {
        let mut json = Json::new(input, Layout::Lines);
        return records::lines(&mut json, sink, |json| diagnostic(json, options));
    }
    let mut json = Json::new(input, Layout::Document);
    if json.array()? {
        while json.item()? {
            match records::one(&mut json, |json| diagnostic(json, options))? {
                Ok(Some(finding)) => sink(Item::Finding(Box::new(finding))),
                Ok(None) => {}
                Err(broken) => sink(broken),
            }
        }
    }
    json.end()
}

fn diagnostic<R: Read>(json: &mut Json<R>, options: &Options) -> Result<Option<Finding>, ParseError> {
    json.kind()?;
    let offset = json.offset();
    let (mut code, mut path, mut severity, mut fix) = (None, None, None, None);
    let mut message = String::new();
    let mut region = Region::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "code" => code = json.text()?.map(|code| kept(code, MAX_NAME)),
                "filename" => path = json.text()?.map(|path| kept(path, MAX_NAME)),
                "message" => message = json.text()?.map(|text| kept(text, MAX_MESSAGE)).unwrap_or_default(),
                "severity" => severity = json.text()?.map(|word| kept(word, MAX_NAME)),
                "location" => (region.start_line, region.start_column) = position(json)?,
                "end_location" => (region.end_line, region.end_column) = position(json)?,
                "fix" => fix = fix_message(json)?,
                _ => json.skip()?,
            }
        }
    }
    if path.is_none() || message.trim().is_empty() {
        json.note(offset, || {
            "the value is no diagnostic of ruff: it has no filename or no message".to_owned()
        });
        return Ok(None);
    }
    if let Some(fix) = fix {
        message = format!("{message}\nFix: {fix}");
    }
    let level = options.level_of(severity.as_deref(), &SEVERITIES, Level::Failure);
    let place = path.and_then(|path| options.paths.place(&path));
    let tool = options.tool.as_deref().unwrap_or(TOOL);
    let mut finding = Finding::new(tool, level, message).at(region.location(place));
    finding.rule = Some(code.filter(|code| !code.is_empty()).unwrap_or_else(|| SYNTAX_ERROR.to_owned()));
    Ok(Some(finding))
}

fn position<R: Read>(json: &mut Json<R>) -> Result<(Option<u32>, Option<u32>), ParseError> {
    let mut position = (None, None);
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "row" => position.0 = counted(json.integer()?),
                "column" => position.1 = counted(json.integer()?),
                _ => json.skip()?,
            }
        }
    }
    Ok(position)
}

/// What a fix would do, in ruff's words.
fn fix_message<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    let mut message = None;
    if json.object()? {
        while let Some(key) = json.key()? {
            if key == "message" {
                message = json.text()?.map(|text| kept(text, MAX_NAME)).filter(|text| !text.is_empty());
            } else {
                json.skip()?;
            }
        }
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::told;

    fn read_of(text: &str) -> String {
        told(|sink| read(&Options::default(), text.as_bytes(), sink))
    }

    const ONE: &str = r#"{"code": "F401", "filename": "/w/a.py", "message": "unused", "fix": {"message": "Remove", "edits": []},
        "location": {"row": 1, "column": 8}, "end_location": {"row": 1, "column": 10}}"#;
    const TWO: &str = r#"{"code": null, "filename": "b.py", "message": "no\u001b[1m", "fix": null, "location": {"row": 3, "column": 1}}"#;

    #[test]
    fn both_forms_say_the_same() {
        let array = read_of(&format!("\n[{ONE},\n{TWO}]\n"));
        assert_eq!(array, read_of(&format!("{}\n{TWO}\n", ONE.replace('\n', ""))));
        insta::assert_snapshot!(array, @r#"
        ruff failure [F401] /w/a.py:1:8::9 "unused\nFix: Remove"
        ruff failure [invalid-syntax] b.py:3:1 "no"
        "#);
    }

    #[test]
    fn what_is_no_report_of_ruff_is_told() {
        assert_eq!(read_of("") + &read_of("[]") + &read_of("\n"), "");
        insta::assert_snapshot!(read_of("a.py:1:1: F401 `os` imported"), @"broken: a JSON value was expected at byte 0");
        insta::assert_snapshot!(read_of(&format!("[{{\"code\": \"x\"}}, {ONE}, {{\"message\": 1}}, 2")), @r#"
        broken: the value is no diagnostic of ruff: it has no filename or no message at byte 1
        ruff failure [F401] /w/a.py:1:8::9 "unused\nFix: Remove"
        broken: a number stands where a string belongs at byte 220
        broken: a number stands where an object belongs at byte 224
        error: the JSON is cut short at byte 225
        "#);
    }
}
