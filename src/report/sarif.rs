//! Findings as SARIF 2.1.0, written one by one, so that a report of any length takes little memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::finding::{Counts, FINGERPRINT, Finding, Level};
use crate::id::RepoPath;
use crate::record::{Conclusion, Record};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Most rules that are listed by themselves. Results of further ones still name theirs.
const MAX_RULES: usize = 10_000;

/// Most results that code scanning takes in one run. It shows the worst 5,000 of them.
const MAX_RESULTS: u64 = 25_000;

/// Longest results and longest rules all together, in bytes. Code scanning takes 10 MB once compressed, and compressed
/// nothing is much longer.
const MAX_RESULT_BYTES: usize = 7_500_000;
const MAX_RULE_BYTES: usize = 2_000_000;

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
    write(&mut out, &rules, None, || Ok(findings.iter().cloned().map(Ok)))?;
    String::from_utf8(out).map_err(io::Error::other)
}

/// The rules that findings name, each once. The format wants them before the first result.
#[derive(Debug, Default)]
pub(super) struct Rules {
    places: BTreeMap<String, usize>,
    listed: Vec<Value>,
    counts: Counts,
    /// What the listed ones take, in bytes.
    bytes: usize,
}

impl Rules {
    pub(super) fn add(&mut self, finding: &Finding) {
        self.counts.add(finding.level);
        let id = rule_id(finding);
        if id.len() > MAX_RULE_ID || self.listed.len() >= MAX_RULES || self.places.contains_key(&id) {
            return;
        }
        let name = finding.rule.as_deref().unwrap_or(&finding.tool);
        let rule = json!({
            "id": id,
            "name": name,
            "shortDescription": { "text": format!("{name}, as {} reports it", finding.tool) },
            "properties": { "tool": finding.tool },
        });
        self.bytes += rule.to_string().len();
        if self.bytes > MAX_RULE_BYTES {
            return;
        }
        self.listed.push(rule);
        self.places.insert(id, self.listed.len() - 1);
    }
}

/// Writes what `findings` gives each time, the worst first, as one run. `record` says which one it was; a run's document
/// is kept within what code scanning takes, and says how much of the run it shows.
pub(super) fn write<I: Iterator<Item = io::Result<Finding>>>(
    mut out: impl Write,
    rules: &Rules,
    record: Option<&Record>,
    mut findings: impl FnMut() -> io::Result<I>,
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
        write!(out, ",\"automationDetails\":{details}")?;
    }
    let base = json!({ "SRCROOT": { "description": { "text": "the root of the repository" } } });
    write!(out, ",\"columnKind\":\"unicodeCodePoints\",\"originalUriBaseIds\":{base},\"results\":[")?;
    let mut room = if record.is_some() { Room::OF_CODE_SCANNING } else { Room::ENDLESS };
    let mut line = Vec::new();
    for level in [Level::Failure, Level::Warning, Level::Notice] {
        if rules.counts.of(level) == 0 {
            continue;
        }
        for finding in findings()? {
            let finding = finding?;
            if finding.level != level {
                continue;
            }
            line.clear();
            line.extend_from_slice(if room.taken == 0 { b"\n" } else { b",\n" });
            serde_json::to_writer(&mut line, &result(&finding, rules))?;
            if room.take(line.len()) {
                // In one piece, because a writer that redacts has some work with each.
                out.write_all(&line)?;
            }
        }
    }
    out.write_all(b"\n]")?;
    if let Some(record) = record {
        write!(out, ",\"invocations\":[{}]", invocation(record, room.note()))?;
    }
    out.write_all(b"}]}\n")
}

/// How much may still be written.
#[derive(Debug)]
struct Room {
    results: u64,
    bytes: usize,
    taken: u64,
    left_out: u64,
}

impl Room {
    const OF_CODE_SCANNING: Self =
        Self { results: MAX_RESULTS, bytes: MAX_RESULT_BYTES, taken: 0, left_out: 0 };
    const ENDLESS: Self = Self { results: u64::MAX, bytes: usize::MAX, taken: 0, left_out: 0 };

    /// Whether a result of `bytes` may be written. Once one may not, none that is less bad may take its place.
    const fn take(&mut self, bytes: usize) -> bool {
        if self.left_out > 0 || self.results == 0 || bytes > self.bytes {
            self.left_out += 1;
            return false;
        }
        self.results -= 1;
        self.bytes -= bytes;
        self.taken += 1;
        true
    }

    /// What to say about results that were left out.
    fn note(&self) -> Option<String> {
        let (taken, all) = (self.taken, self.taken + self.left_out);
        (self.left_out > 0).then(|| {
            format!(
                "showing {taken} of {all} findings, the worst first: code scanning takes at most {MAX_RESULTS} \
                 results and 10 MB; findings.jsonl has all of them"
            )
        })
    }
}

fn invocation(record: &Record, note: Option<String>) -> Value {
    let notes: Vec<Value> = note
        .into_iter()
        .map(|note| json!({ "level": "warning", "descriptor": { "id": "results-left-out" }, "message": { "text": note } }))
        .collect();
    json!({
        "executionSuccessful": matches!(record.conclusion, Conclusion::Success | Conclusion::Neutral | Conclusion::Failure),
        "exitCode": record.exit_code,
        "startTimeUtc": record.started_at,
        "endTimeUtc": record.finished_at,
        "toolExecutionNotifications": notes,
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
    let location = location(finding);
    let is_in_file = location.as_ref().is_some_and(|location| location.get("physicalLocation").is_some());
    if let Some(location) = location {
        result["locations"] = json!([location]);
    }
    if !finding.fingerprint.is_empty() {
        result["partialFingerprints"] = json!({ FINGERPRINT: finding.fingerprint });
    }
    // What the format has no word for, so that a reader of ours gets the finding back as it was.
    let unlisted = result.get("ruleIndex").is_none().then_some(finding.tool.as_str());
    let texts = [
        ("title", finding.title.as_deref()),
        ("step", Some(finding.step.as_str())),
        ("tool", unlisted),
        ("path", finding.path.as_deref().filter(|_| !is_in_file)),
    ];
    let numbers = [
        ("startLine", finding.start_line),
        ("endLine", finding.end_line),
        ("startColumn", finding.start_column),
        ("endColumn", finding.end_column),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, Value::from(text.filter(|text| !text.is_empty())?))));
    let numbers = numbers
        .into_iter()
        .filter(|_| !is_in_file)
        .filter_map(|(name, number)| Some((name, Value::from(number?))));
    let properties: serde_json::Map<String, Value> =
        texts.chain(numbers).map(|(name, value)| (name.to_owned(), value)).collect();
    if !properties.is_empty() {
        result["properties"] = Value::Object(properties);
    }
    result
}

fn location(finding: &Finding) -> Option<Value> {
    let path = finding.path.as_deref().filter(|path| !path.is_empty())?;
    let artifact = match RepoPath::from_written(path) {
        Ok(inside) if inside.as_str() == path => {
            json!({ "uri": percent_encoded(path), "uriBaseId": "SRCROOT" })
        }
        _ if path.starts_with('/') => json!({ "uri": format!("file://{}", percent_encoded(path)) }),
        // Not the path of any file, so it must not look like one.
        _ => return Some(json!({ "logicalLocations": [{ "fullyQualifiedName": path }] })),
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
    use crate::manifest::model::Parser;
    use crate::parse::options::Options;
    use crate::parse::{self, Item, LineFormat};
    use crate::report::sample;
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

    fn read_back(document: &str) -> Vec<Finding> {
        let mut found = Vec::new();
        let (options, format) = (Options::default(), LineFormat::default());
        parse::file(Parser::Sarif, &options, format, document.as_bytes(), &mut |item| match item {
            Item::Finding(finding) => found.push(*finding),
            other => panic!("{other:?}"),
        })
        .unwrap();
        found
    }

    fn findings() -> impl Strategy<Value = Vec<Finding>> {
        let path = prop::option::of(prop::sample::select(
            &["a.py", "src/ä b#:%41.c", "/etc/x y", "../out.c", "C:/w/a.cs", "https://x.org/a", "a:b"][..],
        ));
        let texts = (
            "[a-z]{1,4}",
            prop::option::of("[A-Z/]{1,5}"),
            "[a-zé\"{}0 ]{1,9}[.!]",
            prop::option::of("[a-z]{1,5}"),
        );
        let finding = (texts, path, 0..3_usize, 0..40_u32, 0..5_u32, 0..5_u32, 0..4_u32, any::<bool>());
        let finding = finding.prop_map(|(texts, path, level, line, lines, column, columns, step)| {
            let level = [Level::Failure, Level::Warning, Level::Notice][level];
            let some = |number: u32, when: bool| Some(number).filter(|number| when && *number > 0);
            let mut finding = Finding::new(texts.0, level, texts.2).at(Location {
                path: path.map(str::to_owned),
                start_line: some(line, true),
                end_line: some(line + lines, line > 0 && lines > 0),
                start_column: some(column, line > 0),
                end_column: some(column + columns, line > 0 && column > 0 && columns > 0),
            });
            (finding.rule, finding.title) = (texts.1, texts.3);
            if step {
                "lint (1)".clone_into(&mut finding.step);
                "0123456789abcdef".clone_into(&mut finding.fingerprint);
            }
            finding
        });
        prop::collection::vec(finding, 0..12)
    }

    #[test]
    fn what_code_scanning_would_refuse_is_left_out_and_told() {
        let record = sample::record();
        let written = |message: &str, counts: [usize; 3]| {
            let levels = [Level::Notice, Level::Warning, Level::Failure];
            let findings = || {
                levels
                    .into_iter()
                    .zip(counts)
                    .flat_map(|(level, count)| std::iter::repeat_n(level, count))
                    .map(|level| Ok(Finding::new("t", level, message)))
            };
            let mut rules = Rules::default();
            findings().for_each(|finding: io::Result<Finding>| rules.add(&finding.unwrap()));
            let mut out = Vec::new();
            write(&mut out, &rules, Some(&record), || Ok(findings())).unwrap();
            assert!(out.len() <= 10_000_000);
            serde_json::from_slice::<Value>(&out).unwrap()["runs"][0].take()
        };
        let of = |run: &Value, level: &str| {
            run["results"].as_array().unwrap().iter().filter(|result| result["level"] == level).count()
        };
        let note = |run: &Value| {
            run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
                .as_str()
                .unwrap_or("-")
                .to_owned()
        };
        let many = written("m", [7, 24_990, 20]);
        assert_eq!(["note", "warning", "error"].map(|level| of(&many, level)), [0, 24_980, 20]);
        assert!(
            note(&many).starts_with("showing 25000 of 25017 findings, the worst first"),
            "{}",
            note(&many)
        );
        let long = written(&"x".repeat(60_000), [3, 3, 150]);
        assert!(of(&long, "error") > 100 && of(&long, "warning") + of(&long, "note") == 0, "{}", note(&long));
        assert_eq!(note(&written("m", [1, 1, 1])), "-");
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
        fn findings_come_back_as_they_were(findings in findings()) {
            let mut expected = findings.clone();
            expected.sort_by_key(|finding| std::cmp::Reverse(finding.level));
            let document = document(&findings).unwrap();
            prop_assert_eq!(complaints(&document), [""; 0]);
            prop_assert_eq!(read_back(&document), expected);
        }

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
