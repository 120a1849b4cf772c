//! Reviewdog's diagnostic format: one document (`rdjson`), or one diagnostic a line (`rdjsonl`).
//!
//! The document may name its source and its severity after the diagnostics that have none of their own; these wait.

use std::io::Read;

use crate::finding::{Finding, Level};
use crate::parse::json::records;
use crate::parse::json::{Json, Kind, Layout};
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::output::kept;
use crate::parse::region::{Region, counted};
use crate::parse::spill::Spill;
use crate::parse::spill::record::record;
use crate::parse::{Item, ParseError};

/// Tool of a diagnostic whose source is nowhere named.
const TOOL: &str = "reviewdog";

/// Longest name, code or path that is kept, in bytes.
const MAX_NAME: usize = 4096;

/// The format's words and their numbers. `UNKNOWN_SEVERITY`, 0, is none.
const SEVERITIES: [(&str, Level); 6] = [
    ("ERROR", Level::Failure),
    ("1", Level::Failure),
    ("WARNING", Level::Warning),
    ("2", Level::Warning),
    ("INFO", Level::Notice),
    ("3", Level::Notice),
];

/// What one diagnostic says.
#[derive(Debug, Default)]
struct Diagnostic {
    message: String,
    source: Option<String>,
    severity: Option<String>,
    code: Option<String>,
    path: Option<String>,
    region: Region,
}

record!(Diagnostic { message, source, severity, code, path, region });

/// What the document says for all of its diagnostics.
#[derive(Debug, Default)]
struct Common {
    source: Option<String>,
    severity: Option<String>,
}

/// Reads one document.
///
/// # Errors
/// Says where the input is no document of the format.
pub(crate) fn document(
    options: &Options,
    input: impl Read,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut json = Json::new(input, Layout::Document);
    if json.kind()? != Kind::Object {
        return Err(json.malformed("an object with `diagnostics` was expected"));
    }
    json.object()?;
    let (mut common, mut spill) = (Common::default(), Spill::default());
    let read = members(&mut json, options, &mut common, &mut spill, sink);
    // What was read before a fault stands.
    spill.drain(|diagnostic: Diagnostic| {
        sink(Item::Finding(Box::new(diagnostic.finding(&common, options))));
    })?;
    read?;
    json.end()
}

fn members<R: Read>(
    json: &mut Json<R>,
    options: &Options,
    common: &mut Common,
    spill: &mut Spill,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    // Writers leave out what is empty, so a source alone is a document without diagnostics.
    let mut is_known = false;
    while let Some(key) = json.key()? {
        is_known |= matches!(key, "diagnostics" | "source");
        match key {
            "diagnostics" => diagnostics(json, options, common, spill, sink)?,
            "source" => common.source = source(json)?,
            "severity" => common.severity = severity(json)?,
            _ => json.skip()?,
        }
        if let Some(odd) = json.take_oddity() {
            sink(Item::Broken { offset: odd.offset, message: odd.message });
        }
    }
    if is_known { Ok(()) } else { Err(json.malformed("the document has no `diagnostics`")) }
}

fn diagnostics<R: Read>(
    json: &mut Json<R>,
    options: &Options,
    common: &Common,
    spill: &mut Spill,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    if !json.array()? {
        return Ok(());
    }
    while json.item()? {
        match records::one(json, diagnostic)? {
            Err(broken) => sink(broken),
            Ok(None) => {}
            Ok(Some(diagnostic)) => {
                let has_tool =
                    options.tool.is_some() || diagnostic.source.is_some() || common.source.is_some();
                let has_level = diagnostic.severity.is_some() || common.severity.is_some();
                if has_tool && has_level && !spill.is_used() {
                    sink(Item::Finding(Box::new(diagnostic.finding(common, options))));
                } else {
                    spill.add(&diagnostic)?;
                }
            }
        }
    }
    Ok(())
}

/// Reads one diagnostic a line.
///
/// # Errors
/// Fails only when the input cannot be read; a line that is no diagnostic is told and passed over.
pub(crate) fn lines(
    options: &Options,
    input: impl Read,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let common = Common::default();
    records::lines(&mut Json::new(input, Layout::Lines), sink, |json| {
        Ok(diagnostic(json)?.map(|diagnostic| diagnostic.finding(&common, options)))
    })
}

fn diagnostic<R: Read>(json: &mut Json<R>) -> Result<Option<Diagnostic>, ParseError> {
    json.kind()?;
    let offset = json.offset();
    let mut read = Diagnostic::default();
    let mut is_known = false;
    if !json.object()? {
        // `null` is no diagnostic either.
        json.note(offset, || "null stands where a diagnostic belongs".to_owned());
        return Ok(None);
    }
    while let Some(key) = json.key()? {
        is_known |= matches!(key, "message" | "location");
        match key {
            "message" => read.message = json.text()?.map(|text| kept(text, MAX_MESSAGE)).unwrap_or_default(),
            "source" => read.source = source(json)?,
            "severity" => read.severity = severity(json)?,
            "code" => read.code = code(json)?,
            "location" => location(json, &mut read)?,
            _ => json.skip()?,
        }
    }
    if !is_known {
        json.note(offset, || "the object is no diagnostic: it has neither message nor location".to_owned());
    }
    Ok(Some(read))
}

fn location<R: Read>(json: &mut Json<R>, read: &mut Diagnostic) -> Result<(), ParseError> {
    if !json.object()? {
        return Ok(());
    }
    while let Some(key) = json.key()? {
        match key {
            "path" => read.path = name(json)?,
            "range" => read.region = range(json)?,
            _ => json.skip()?,
        }
    }
    Ok(())
}

fn range<R: Read>(json: &mut Json<R>) -> Result<Region, ParseError> {
    let mut region = Region::default();
    if !json.object()? {
        return Ok(region);
    }
    while let Some(key) = json.key()? {
        match key {
            "start" => (region.start_line, region.start_column) = position(json)?,
            "end" => (region.end_line, region.end_column) = position(json)?,
            _ => json.skip()?,
        }
    }
    Ok(region)
}

fn position<R: Read>(json: &mut Json<R>) -> Result<(Option<u32>, Option<u32>), ParseError> {
    let mut position = (None, None);
    if !json.object()? {
        return Ok(position);
    }
    while let Some(key) = json.key()? {
        match key {
            "line" => position.0 = counted(json.integer()?),
            "column" => position.1 = counted(json.integer()?),
            _ => json.skip()?,
        }
    }
    Ok(position)
}

fn source<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    member(json, "name")
}

fn code<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    member(json, "value")
}

/// The text of the one member of an object that is of interest.
fn member<R: Read>(json: &mut Json<R>, wanted: &str) -> Result<Option<String>, ParseError> {
    let mut found = None;
    if !json.object()? {
        return Ok(found);
    }
    while let Some(key) = json.key()? {
        if key == wanted {
            found = name(json)?;
        } else {
            json.skip()?;
        }
    }
    Ok(found)
}

fn severity<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    Ok(name(json)?.filter(|word| word != "0" && word != "UNKNOWN_SEVERITY"))
}

fn name<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    Ok(json.scalar()?.map(|text| kept(text, MAX_NAME)).filter(|text| !text.is_empty()))
}

impl Diagnostic {
    fn finding(self, common: &Common, options: &Options) -> Finding {
        let tool = options.tool.clone().or(self.source).or_else(|| common.source.clone());
        let severity = self.severity.as_deref().or(common.severity.as_deref());
        let level = options.level_of(severity, &SEVERITIES, Level::Failure);
        let message = if self.message.trim().is_empty() { "no message".to_owned() } else { self.message };
        let place = self.path.and_then(|path| options.paths.place(&path));
        let mut finding = Finding::new(tool.unwrap_or_else(|| TOOL.to_owned()), level, message)
            .at(self.region.location(place));
        finding.rule = self.code;
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::told;

    fn document_of(text: &str) -> String {
        told(|sink| document(&Options::default(), text.as_bytes(), sink))
    }

    #[test]
    fn what_the_document_says_holds_for_diagnostics_that_say_nothing() {
        insta::assert_snapshot!(document_of(r#"{"diagnostics": [
            {"message": "one", "location": {"path": "a.c", "range": {"start": {"line": 2, "column": 3}, "end": {"line": 2, "column": 7}}}},
            {"message": "two", "severity": 1, "source": {"name": "own"}, "code": {"value": 12}, "location": {"path": "./b.c"}},
            {"message": "three", "severity": "UNKNOWN_SEVERITY", "location": {}}
        ], "severity": "INFO", "source": {"name": "late"}}"#), @r#"
        late notice a.c:2:3::6 "one"
        own failure [12] b.c "two"
        late notice - "three"
        "#);
        let early = r#"{"source": {"name": "s"}, "severity": 2, "diagnostics": [{"message": "m"}]}"#;
        assert_eq!(document_of(early), "s warning - \"m\"\n");
    }

    #[test]
    fn a_diagnostic_of_the_wrong_form_is_left_out_and_told() {
        insta::assert_snapshot!(document_of(r#"{"diagnostics": [
            {"message": ["no"]}, {"message": "yes", "more": {}}, 7, null, {"hello": 1}, {"message": "x", "location": {"range": {"start": {"line": "1"}}}}
        ]}"#), @r#"
        broken: an array stands where a string belongs at byte 42
        broken: a number stands where an object belongs at byte 83
        broken: null stands where a diagnostic belongs at byte 86
        broken: the object is no diagnostic: it has neither message nor location at byte 92
        broken: a string stands where a number belongs at byte 164
        reviewdog failure - "yes"
        "#);
    }

    #[test]
    fn other_documents_are_refused() {
        for text in
            ["", "[]", "text", "{\"hello\": 1}", "{}", "{\"diagnostics\": [", "{\"diagnostics\": []} x"]
        {
            assert!(document_of(text).contains("error: "), "{text}");
        }
        assert_eq!(
            document_of("{\"diagnostics\": []}") + &document_of("{\"source\": {\"name\": \"x\"}}"),
            ""
        );
    }

    #[test]
    fn lines_are_read_one_by_one() {
        let text = "{\"message\": \"one\", \"severity\": \"WARNING\"}\r\n\n{\"message\": \n{\"message\": \"two\"} x\n{\"message\": \"three\"}";
        insta::assert_snapshot!(told(|sink| lines(&Options::default(), text.as_bytes(), sink)), @r#"
        reviewdog warning - "one"
        broken: the line ends inside a JSON value at byte 56
        broken: text follows the JSON value at byte 76
        reviewdog failure - "three"
        "#);
    }
}
