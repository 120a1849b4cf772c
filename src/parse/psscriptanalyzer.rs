//! What `Invoke-ScriptAnalyzer` gives, by `ConvertTo-Json` or as SARIF.
//!
//! The table that a console shows is refused: it cuts messages at the width of the window and names no folder.

use std::io::Read;

use crate::finding::{Finding, Level};
use crate::parse::json::records;
use crate::parse::json::{Json, Kind, Layout};
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::output::kept;
use crate::parse::region::{Region, counted};
use crate::parse::text;
use crate::parse::{Item, ParseError, sarif};

const TOOL: &str = "PSScriptAnalyzer";

/// Longest name or path that is kept, in bytes.
const MAX_NAME: usize = 4096;

/// The words of `DiagnosticSeverity`, and the numbers that `ConvertTo-Json` writes unless it is told not to.
const SEVERITIES: [(&str, Level); 8] = [
    ("Information", Level::Notice),
    ("0", Level::Notice),
    ("Warning", Level::Warning),
    ("1", Level::Warning),
    ("Error", Level::Failure),
    ("2", Level::Failure),
    ("ParseError", Level::Failure),
    ("3", Level::Failure),
];

/// What to do about a table.
const REMEDY: &str = "this is not JSON: write `Invoke-ScriptAnalyzer … | ConvertTo-Json -Depth 4`";

/// One `DiagnosticRecord`.
#[derive(Debug, Default)]
struct Record {
    rule: Option<String>,
    severity: Option<String>,
    message: String,
    script_path: Option<String>,
    script_name: Option<String>,
    extent_file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    extent: Region,
}

/// Reads records, or SARIF. An empty input has no findings: `PowerShell` pipes nothing on when there is nothing.
///
/// # Errors
/// Says where the input is neither, and for a table what to write instead.
pub(crate) fn read(
    options: &Options,
    input: impl Read,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let (head, input) = text::with_head(input).map_err(ParseError::unread)?;
    match head.trim_ascii_start() {
        [] if (head.len() as u64) < text::HEAD => return Ok(()),
        // What follows so much white space is not seen yet.
        [] | [b'[' | b'{', ..] | [b'n', b'u', b'l', b'l', ..] => {}
        _ => return Err(ParseError::Malformed { offset: 0, message: REMEDY.to_owned() }),
    }
    if is_sarif(&head) {
        return sarif::read(options, TOOL, input, sink);
    }
    let mut json = Json::new(input, Layout::Document);
    if !json.document()? {
        return Ok(());
    }
    if json.kind()? == Kind::Array {
        json.array()?;
        while json.item()? {
            tell(records::one(&mut json, |json| record(json, options))?, sink);
        }
    } else {
        tell(records::one(&mut json, |json| record(json, options))?, sink);
    }
    json.end()
}

/// Whether a document begins as SARIF does: with a member that no record has.
fn is_sarif(head: &[u8]) -> bool {
    let mut json = Json::new(head, Layout::Document);
    let is_object = json.object().unwrap_or(false);
    is_object && matches!(json.key(), Ok(Some("$schema" | "version" | "runs" | "properties")))
}

fn tell(record: Result<Option<Finding>, Item>, sink: &mut dyn FnMut(Item)) {
    match record {
        Ok(Some(finding)) => sink(Item::Finding(Box::new(finding))),
        Ok(None) => {}
        Err(broken) => sink(broken),
    }
}

fn record<R: Read>(json: &mut Json<R>, options: &Options) -> Result<Option<Finding>, ParseError> {
    if json.kind()? == Kind::Null {
        json.skip()?;
        return Ok(None);
    }
    let offset = json.offset();
    let mut read = Record::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "RuleName" => read.rule = name(json)?,
                "Severity" => read.severity = name(json)?,
                "Message" => {
                    read.message = json.text()?.map(|text| kept(text, MAX_MESSAGE)).unwrap_or_default();
                }
                "ScriptPath" => read.script_path = name(json)?,
                "ScriptName" => read.script_name = name(json)?,
                "Line" => read.line = counted(json.integer()?),
                "Column" => read.column = counted(json.integer()?),
                "Extent" => extent(json, &mut read)?,
                _ => json.skip()?,
            }
        }
    }
    if read.rule.is_none() && read.message.is_empty() {
        json.note(offset, || {
            "the value is no record of PSScriptAnalyzer: it has neither rule nor message".to_owned()
        });
        return Ok(None);
    }
    Ok(Some(read.finding(options)))
}

fn extent<R: Read>(json: &mut Json<R>, read: &mut Record) -> Result<(), ParseError> {
    // Written with too little depth, the extent is the text of the code.
    if json.kind()? != Kind::Object {
        return json.skip();
    }
    json.object()?;
    while let Some(key) = json.key()? {
        match key {
            "File" => read.extent_file = name(json)?,
            "StartLineNumber" => read.extent.start_line = counted(json.integer()?),
            "StartColumnNumber" => read.extent.start_column = counted(json.integer()?),
            "EndLineNumber" => read.extent.end_line = counted(json.integer()?),
            "EndColumnNumber" => read.extent.end_column = counted(json.integer()?),
            _ => json.skip()?,
        }
    }
    Ok(())
}

fn name<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    Ok(json.scalar()?.map(|text| kept(text, MAX_NAME)).filter(|text| !text.is_empty()))
}

impl Record {
    fn finding(self, options: &Options) -> Finding {
        let mut region = self.extent;
        if region.start_line.is_none() {
            region = Region { start_line: self.line, start_column: self.column, ..Region::default() };
        }
        // A script that was analysed as text has no path; its name may be all there is.
        let path = self.script_path.or(self.extent_file).or(self.script_name);
        let place = path.and_then(|path| options.paths.place(&path));
        let level = options.level_of(self.severity.as_deref(), &SEVERITIES, Level::Failure);
        let message = if self.message.trim().is_empty() { "no message".to_owned() } else { self.message };
        let tool = options.tool.as_deref().unwrap_or(TOOL);
        let mut finding = Finding::new(tool, level, message).at(region.location(place));
        finding.rule = self.rule;
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::told;

    fn read_of(text: &str) -> String {
        told(|sink| read(&Options::default(), text.as_bytes(), sink))
    }

    const WORDS: &str = r#"{"Line": 3, "Column": 5, "Message": "No", "Extent": "gci", "RuleName": "PSAvoid", "Severity": "Error",
        "ScriptName": "a.ps1", "ScriptPath": "C:\\w\\a.ps1", "IsSuppressed": false}"#;
    const NUMBERS: &str = r#"{"Line": 3, "Column": 5, "Message": "Hm", "RuleName": "PSUse", "Severity": 1, "ScriptName": "a.ps1", "ScriptPath": null,
        "Extent": {"File": "", "StartLineNumber": 3, "StartColumnNumber": 5, "EndLineNumber": 3, "EndColumnNumber": 8, "Text": "gci"}}"#;

    #[test]
    fn records_are_read_in_every_form() {
        let array = read_of(&format!("[{WORDS}, null, {NUMBERS}]"));
        assert_eq!(read_of(WORDS) + &read_of(NUMBERS), array);
        insta::assert_snapshot!(array, @r#"
        PSScriptAnalyzer failure [PSAvoid] C:/w/a.ps1:3:5 "No"
        PSScriptAnalyzer warning [PSUse] a.ps1:3:5::7 "Hm"
        "#);
        for nothing in ["", " \r\n", "[]", "null"] {
            assert_eq!(read_of(nothing), "", "{nothing:?}");
        }
        // However much white space there is, what follows it counts.
        let blanks = " \r\n".repeat(3000);
        assert_eq!(read_of(&blanks), "");
        assert_eq!(read_of(&format!("{blanks}{WORDS}")), read_of(WORDS));
        assert!(read_of(&format!("{blanks}table")).starts_with("error: "));
    }

    #[test]
    fn sarif_is_read_as_such() {
        let text =
            r#"{"$schema": "x", "version": "2.1.0", "runs": [{"results": [{"message": {"text": "m"}}]}]}"#;
        assert_eq!(read_of(text), "PSScriptAnalyzer warning - \"m\"\n");
    }

    #[test]
    fn a_table_is_refused_with_the_remedy() {
        insta::assert_snapshot!(read_of("\nRuleName   Severity\n--------   --------\nPSAvoid    Warning\n"), @"error: this is not JSON: write `Invoke-ScriptAnalyzer … | ConvertTo-Json -Depth 4` at byte 0");
        assert_eq!(read_of("nothing"), read_of("table"));
        insta::assert_snapshot!(read_of("[{\"x\": 1}, 3, {\"Message\": 1}]"), @r#"
        broken: the value is no record of PSScriptAnalyzer: it has neither rule nor message at byte 1
        broken: a number stands where an object belongs at byte 11
        broken: a number stands where a string belongs at byte 26
        "#);
    }
}
