//! Findings as SARIF 2.1.0, written one by one, so that a report of any length takes little memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::finding::{Finding, Level};
use crate::id::RepoPath;
use crate::record::{Conclusion, Record};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Most rules that are listed by themselves. Results of further ones still name theirs.
const MAX_RULES: usize = 10_000;

/// Longest id of a rule that is listed, in bytes.
const MAX_RULE_ID: usize = 256;

/// `findings` as one document, for those that belong to no run.
///
/// # Errors
/// Fails only when a finding cannot be written as JSON.
pub fn document(findings: &[Finding]) -> io::Result<String> {
    let mut rules = Rules::default();
    for finding in findings {
        rules.add(finding);
    }
    let mut out = Vec::new();
    write(&mut out, &rules, None, findings.iter().cloned().map(Ok))?;
    String::from_utf8(out).map_err(io::Error::other)
}

/// The rules that findings name, each once. The format wants them before the first result.
#[derive(Debug, Default)]
pub(super) struct Rules {
    places: BTreeMap<String, usize>,
    listed: Vec<Value>,
}

impl Rules {
    pub(super) fn add(&mut self, finding: &Finding) {
        let id = rule_id(finding);
        if id.len() > MAX_RULE_ID || self.listed.len() >= MAX_RULES || self.places.contains_key(&id) {
            return;
        }
        let name = finding.rule.as_deref().unwrap_or(&finding.tool);
        self.listed.push(json!({
            "id": id,
            "name": name,
            "shortDescription": { "text": format!("{name}, as {} reports it", finding.tool) },
            "properties": { "tool": finding.tool },
        }));
        self.places.insert(id, self.listed.len() - 1);
    }
}

/// Writes `findings` as one run. `record` says which one it was.
pub(super) fn write(
    mut out: impl Write,
    rules: &Rules,
    record: Option<&Record>,
    findings: impl Iterator<Item = io::Result<Finding>>,
) -> io::Result<()> {
    write!(out, "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{")?;
    let driver = json!({ "driver": {
        "name": "rungate",
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "rules": rules.listed,
    }});
    write!(out, "\"tool\":{driver}")?;
    if let Some(record) = record {
        // Code scanning takes what stands before the last slash for the category that a later run replaces.
        let details = json!({ "id": format!("rungate/{}/{}", record.command, record.run_id) });
        write!(out, ",\"automationDetails\":{details},\"invocations\":[{}]", invocation(record))?;
    }
    let base = json!({ "SRCROOT": { "description": { "text": "the root of the repository" } } });
    write!(out, ",\"columnKind\":\"unicodeCodePoints\",\"originalUriBaseIds\":{base},\"results\":[")?;
    let mut line = Vec::new();
    for (index, finding) in findings.enumerate() {
        line.clear();
        line.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut line, &result(&finding?, rules))?;
        // In one piece, because a writer that redacts has some work with each.
        out.write_all(&line)?;
    }
    out.write_all(b"\n]}]}\n")
}

fn invocation(record: &Record) -> Value {
    json!({
        "executionSuccessful": matches!(record.conclusion, Conclusion::Success | Conclusion::Neutral | Conclusion::Failure),
        "exitCode": record.exit_code,
        "startTimeUtc": record.started_at,
        "endTimeUtc": record.finished_at,
    })
}

/// The id of a finding's rule: the tool's own words may be equal in two tools.
fn rule_id(finding: &Finding) -> String {
    match &finding.rule {
        Some(rule) => format!("{}/{rule}", finding.tool),
        None => finding.tool.clone(),
    }
}

fn result(finding: &Finding, rules: &Rules) -> Value {
    let id = rule_id(finding);
    let mut result = json!({
        "level": match finding.level {
            Level::Failure => "error",
            Level::Warning => "warning",
            Level::Notice => "note",
        },
        "message": { "text": finding.message },
    });
    if let Some(index) = rules.places.get(&id) {
        result["ruleIndex"] = json!(index);
    }
    result["ruleId"] = Value::String(id);
    if let Some(location) = location(finding) {
        result["locations"] = json!([location]);
    }
    if !finding.fingerprint.is_empty() {
        result["partialFingerprints"] = json!({ "rungate/v1": finding.fingerprint });
    }
    let properties: serde_json::Map<String, Value> =
        [("title", finding.title.as_deref()), ("step", Some(finding.step.as_str()))]
            .into_iter()
            .filter_map(|(name, value)| {
                Some((name.to_owned(), Value::from(value.filter(|value| !value.is_empty())?)))
            })
            .collect();
    if !properties.is_empty() {
        result["properties"] = Value::Object(properties);
    }
    result
}

fn location(finding: &Finding) -> Option<Value> {
    let path = finding.path.as_deref().filter(|path| !path.is_empty())?;
    let artifact = match RepoPath::from_written(path) {
        Ok(path) => json!({ "uri": percent_encoded(path.as_str()), "uriBaseId": "SRCROOT" }),
        Err(_) if path.starts_with('/') => json!({ "uri": format!("file://{}", percent_encoded(path)) }),
        // Not the path of any file, so it must not look like one.
        Err(_) => return Some(json!({ "logicalLocations": [{ "fullyQualifiedName": path }] })),
    };
    let mut physical = json!({ "artifactLocation": artifact });
    if let Some(region) = region(finding) {
        physical["region"] = region;
    }
    Some(json!({ "physicalLocation": physical }))
}

/// The place in the file. What tools get wrong is left out: a line 0, an end before its begin.
fn region(finding: &Finding) -> Option<Value> {
    let start = finding.start_line.filter(|&line| line > 0)?;
    let mut region = json!({ "startLine": start });
    let end = finding.end_line.filter(|&line| line >= start).unwrap_or(start);
    if end > start {
        region["endLine"] = json!(end);
    }
    let Some(column) = finding.start_column.filter(|&column| column > 0) else { return Some(region) };
    region["startColumn"] = json!(column);
    if let Some(last) = finding.end_column.filter(|&last| last > 0 && (end > start || last >= column)) {
        // Ours is the last column, theirs the one behind it.
        region["endColumn"] = json!(last.saturating_add(1));
    }
    Some(region)
}

/// `path` as part of a URI. A colon is encoded too: in a first component it would end a scheme.
fn percent_encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
pub(in crate::report) mod tests {
    use super::*;
    use crate::finding::Location;
    use proptest::prelude::*;

    /// What the standard's own schema has against a document.
    pub(in crate::report) fn complaints(document: &str) -> Vec<String> {
        let schema: Value =
            serde_json::from_str(include_str!("../../tests/schemas/sarif-2.1.0.json")).unwrap();
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft4)
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let document = serde_json::from_str(document).unwrap();
        validator.iter_errors(&document).map(|error| error.to_string()).collect()
    }

    fn at(path: &str, line: u32) -> Finding {
        let place = Location { path: Some(path.into()), start_line: Some(line), ..Location::default() };
        Finding::new("ruff", Level::Failure, "unused import").at(place)
    }

    #[test]
    fn a_result_says_everything_that_its_finding_says() {
        let mut finding = at("src/ä b#:.py", 3);
        finding.rule = Some("F401".into());
        finding.end_line = Some(4);
        finding.start_column = Some(5);
        finding.end_column = Some(2);
        finding.fingerprint = "0123".into();
        finding.step = "lint".into();
        let mut rules = Rules::default();
        rules.add(&finding);
        insta::assert_json_snapshot!(result(&finding, &rules), @r#"
        {
          "level": "error",
          "message": {
            "text": "unused import"
          },
          "ruleIndex": 0,
          "ruleId": "ruff/F401",
          "locations": [
            {
              "physicalLocation": {
                "artifactLocation": {
                  "uri": "src/%C3%A4%20b%23%3A.py",
                  "uriBaseId": "SRCROOT"
                },
                "region": {
                  "startLine": 3,
                  "endLine": 4,
                  "startColumn": 5,
                  "endColumn": 3
                }
              }
            }
          ],
          "partialFingerprints": {
            "rungate/v1": "0123"
          },
          "properties": {
            "step": "lint"
          }
        }
        "#);
    }

    #[test]
    fn places_that_are_none_are_not_made_up() {
        assert_eq!(
            location(&at("/etc/a b", 1)).unwrap()["physicalLocation"]["artifactLocation"]["uri"],
            "file:///etc/a%20b"
        );
        assert_eq!(location(&at("../x", 1)).unwrap()["logicalLocations"][0]["fullyQualifiedName"], "../x");
        assert_eq!(
            location(&at("x", 0)).unwrap(),
            json!({"physicalLocation": {"artifactLocation": {"uri": "x", "uriBaseId": "SRCROOT"}}})
        );
        assert_eq!(location(&Finding::new("t", Level::Notice, "m")), None);
    }

    #[test]
    fn no_findings_are_a_document_too() {
        assert_eq!(complaints(&document(&[]).unwrap()), [""; 0]);
    }

    fn number() -> impl Strategy<Value = Option<u32>> {
        prop::option::of(prop_oneof![0_u32..4, Just(u32::MAX)])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_a_tool_says_the_document_is_valid(
            texts in prop::collection::vec("\\PC{0,8}|[\u{0}-\u{20}]{1,3}|\\.\\./a|/a|C:\\\\a", 4),
            numbers in (number(), number(), number(), number()),
        ) {
            let mut finding = Finding::new(texts[0].clone(), Level::Warning, texts[1].clone()).at(Location {
                path: Some(texts[2].clone()),
                start_line: numbers.0,
                end_line: numbers.1,
                start_column: numbers.2,
                end_column: numbers.3,
            });
            finding.rule = Some(texts[3].clone());
            prop_assert_eq!(complaints(&document(&[finding.clone(), finding]).unwrap()), [""; 0]);
        }
    }
}
