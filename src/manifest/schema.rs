//! The manifest's JSON Schema, made from the table of fields, so that editors complete and check manifests.
//!
//! Draft 7, because that is what editors' YAML support implements. The schema says what one file's shape can tell;
//! what names what is only known to `rungate validate`.

use serde_json::{Map, Value, json};

use crate::manifest::fields::name::Name;
use crate::manifest::fields::table::{MANIFEST, VERSION};
use crate::manifest::fields::words::{LAYERS, SCOPES, names};
use crate::manifest::fields::{Absence, Field, Kind, OWN_PREFIX, Object, Rule};

/// The schema.
#[must_use]
pub fn json() -> Value {
    document(&MANIFEST)
}

/// The schema of a file that holds such an object.
pub(crate) fn document(object: &'static Object) -> Value {
    let mut definitions = Map::new();
    define(object, &mut definitions);
    let root = definitions.shift_remove(object.name).unwrap_or_default();
    let mut schema = Map::new();
    let id = format!("https://rungate.github.io/schemas/{}.schema.json", object.name);
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("$id".to_owned(), json!(id));
    schema.insert("title".to_owned(), json!(format!("rungate {}", object.name)));
    if let Value::Object(root) = root {
        schema.extend(root);
    }
    definitions.sort_keys();
    schema.insert("definitions".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

/// The schema as it is checked in and printed: indented, with a line break at its end.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", json())
}

fn define(object: &'static Object, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(object.name) {
        return;
    }
    // A place is taken first, so that an object that holds itself would end here.
    definitions.insert(object.name.to_owned(), Value::Null);
    let mut properties = Map::new();
    for field in object.fields {
        properties.insert(field.key.to_owned(), property(field, definitions));
    }
    let mut schema = Map::new();
    schema.insert("description".to_owned(), json!(object.doc));
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    let mut patterns = own_keys();
    if let Some((name, kind)) = object.open {
        patterns.insert(open_pattern(name, object), kind_schema(kind, definitions));
    }
    schema.insert("patternProperties".to_owned(), Value::Object(patterns));
    schema.insert("additionalProperties".to_owned(), json!(false));
    let required: Vec<&str> = object
        .fields
        .iter()
        .filter(|field| matches!(field.absence, Absence::Refused))
        .map(|field| field.key)
        .collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    if !object.rules.is_empty() {
        let rules: Vec<Value> = object.rules.iter().map(|rule| rule_schema(*rule, object)).collect();
        schema.insert("allOf".to_owned(), json!(rules));
    }
    definitions.insert(object.name.to_owned(), Value::Object(schema));
}

fn own_keys() -> Map<String, Value> {
    Map::from_iter([(format!("^{OWN_PREFIX}"), json!(true))])
}

/// The pattern of a further key: a name that is neither known nor the author's own, because patterns add to what other
/// keys say.
fn open_pattern(name: Name, object: &Object) -> String {
    let known: Vec<String> = object.fields.iter().map(|field| format!("{}$|", field.key)).collect();
    let pattern = name.pattern();
    format!("^(?!{}{OWN_PREFIX}){}", known.concat(), pattern.strip_prefix('^').unwrap_or(pattern))
}

fn property(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = Map::new();
    let description = match field.absence {
        Absence::Value("") | Absence::Refused | Absence::Nothing => field.doc.to_owned(),
        Absence::Value(default) => format!("{} Default: `{default}`.", field.doc),
        Absence::Said(said) => format!("{} Default: {said}.", field.doc),
    };
    schema.insert("description".to_owned(), json!(description));
    if let Absence::Value(default) = field.absence {
        let value = match field.kind {
            Kind::Bool | Kind::Integer { .. } | Kind::Number { .. } => serde_json::from_str(default).ok(),
            _ => None,
        };
        schema.insert("default".to_owned(), value.unwrap_or_else(|| json!(default)));
    }
    match kind_schema(&field.kind, definitions) {
        // Beside a reference draft 7 ignores every other key.
        Value::Object(shape) if shape.contains_key("$ref") => {
            schema.insert("allOf".to_owned(), json!([shape]));
        }
        Value::Object(shape) => schema.extend(shape),
        _ => {}
    }
    Value::Object(schema)
}

fn kind_schema(kind: &Kind, definitions: &mut Map<String, Value>) -> Value {
    // A plain `1.10` or `true` is a text where a text is asked for; to an editor it is a number or a boolean.
    let scalar = json!(["string", "number", "boolean"]);
    match kind {
        Kind::Version => json!({ "const": VERSION }),
        Kind::Text | Kind::Script | Kind::Condition => json!({ "type": scalar, "pattern": "\\S" }),
        Kind::Template(place) if !place.allows_event() => json!({ "type": scalar, "pattern": "\\S" }),
        Kind::AnyText | Kind::Template(_) | Kind::MatrixValue => json!({ "type": scalar }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::AnyNumber => json!({ "type": "number" }),
        Kind::Number { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Size { min, max } => json!({
            "oneOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                { "type": "string", "pattern": "^[0-9]+ *(|B|[KMGT]iB|[kKMGT]B)$" },
            ],
        }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h)$" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Name(Name::Scope) => json!({ "enum": SCOPES }),
        Kind::Name(name) => json!({ "type": "string", "pattern": name.pattern() }),
        Kind::Path => {
            json!({ "type": scalar, "minLength": 1, "pattern": "^(?!/)(?!(.*/)?\\.\\.(/|$))[^\\\\]*$" })
        }
        Kind::AnyPath | Kind::Glob => {
            json!({ "type": scalar, "minLength": 1, "pattern": "^(?!(.*/)?\\.\\.(/|$))" })
        }
        Kind::Regex => json!({ "type": scalar, "minLength": 1, "maxLength": 1000 }),
        Kind::Date => {
            json!({ "type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" })
        }
        Kind::Requirement => json!({
            "anyOf": [
                { "enum": names(&LAYERS) },
                { "type": "string", "pattern": "^landlock *>= *[1-9][0-9]?$" },
            ],
        }),
        Kind::List { of, min, max } => {
            json!({ "type": "array", "items": kind_schema(of, definitions), "minItems": min, "maxItems": max })
        }
        Kind::Map { key, of, min, .. } => map_schema(*key, of, *min, definitions),
        Kind::Object(object) => {
            define(object, definitions);
            json!({ "$ref": format!("#/definitions/{}", object.name) })
        }
        Kind::Either(kinds) => {
            let kinds: Vec<Value> = kinds.iter().map(|kind| kind_schema(kind, definitions)).collect();
            json!({ "anyOf": kinds })
        }
    }
}

fn map_schema(key: Name, of: &Kind, min: usize, definitions: &mut Map<String, Value>) -> Value {
    let value = kind_schema(of, definitions);
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    if key == Name::Scope {
        let scopes = SCOPES.iter().map(|scope| ((*scope).to_owned(), value.clone()));
        schema.insert("properties".to_owned(), Value::Object(scopes.collect()));
        schema.insert("patternProperties".to_owned(), Value::Object(own_keys()));
    } else {
        let mut patterns = own_keys();
        let pattern = key.pattern();
        let pattern = format!("^(?!{OWN_PREFIX}){}", pattern.strip_prefix('^').unwrap_or(pattern));
        patterns.insert(pattern, value);
        schema.insert("patternProperties".to_owned(), Value::Object(patterns));
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    if min > 0 {
        schema.insert("minProperties".to_owned(), json!(min));
    }
    // Keys of the author's own do not count, which draft 7 cannot say; `rungate validate` holds the upper limit.
    Value::Object(schema)
}

fn rule_schema(rule: Rule, object: &Object) -> Value {
    match rule {
        Rule::ExactlyOne(keys) => {
            json!({ "oneOf": keys.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>() })
        }
        Rule::Beside { key, with } => {
            let dependencies = Map::from_iter([(key.to_owned(), json!([with]))]);
            json!({ "dependencies": dependencies })
        }
        Rule::Asks { key, words, requires } => json!({
            "if": has_word(key, words),
            "then": { "required": [requires] },
        }),
        Rule::Only { key, with, words } => {
            let is_default = object.field(with).is_some_and(
                |field| matches!(field.absence, Absence::Value(default) if words.contains(&default)),
            );
            let allowed = if is_default {
                json!({ "properties": { with: { "enum": words } } })
            } else {
                has_word(with, words)
            };
            json!({ "if": { "required": [key] }, "then": allowed })
        }
    }
}

fn has_word(key: &str, words: &[&str]) -> Value {
    json!({ "properties": { key: { "enum": words } }, "required": [key] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read;
    use crate::manifest::tree::{self, Node, NodeKind, Style};

    const CHECKED_IN: &str = include_str!("../../schemas/manifest.schema.json");
    const FULL: &str = include_str!("../../tests/fixtures/manifest/full.yml");

    /// A node as an editor reads it, by YAML's core schema.
    fn as_json(node: &Node) -> Value {
        match &node.kind {
            NodeKind::Sequence(items) => items.iter().map(as_json).collect(),
            NodeKind::Mapping(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.text.clone(), as_json(&entry.value))).collect(),
            ),
            NodeKind::Scalar(scalar) if scalar.style == Style::Plain => match scalar.text.as_str() {
                "" | "~" | "null" => Value::Null,
                "true" => json!(true),
                "false" => json!(false),
                text => {
                    serde_json::from_str(text).ok().filter(Value::is_number).unwrap_or_else(|| json!(text))
                }
            },
            NodeKind::Scalar(scalar) => json!(scalar.text),
        }
    }

    fn validator() -> jsonschema::Validator {
        jsonschema::draft7::new(&json()).unwrap()
    }

    #[test]
    fn the_schema_that_is_checked_in_is_the_one_that_the_table_makes() {
        assert!(
            CHECKED_IN == text(),
            "write the output of `rungate schema manifest` to schemas/manifest.schema.json"
        );
    }

    #[test]
    fn the_schema_is_itself_valid() {
        assert!(jsonschema::draft7::meta::is_valid(&json()));
    }

    #[test]
    fn the_full_manifest_holds_by_the_schema() {
        let full = as_json(&tree::parse(FULL).unwrap());
        let errors: Vec<String> = validator()
            .iter_errors(&full)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    #[test]
    fn what_the_schema_refuses_the_reader_refuses_too() {
        let validator = validator();
        let good = "version: 1\ncommands:\n  check:\n    steps:\n      - run: a\n";
        assert!(validator.is_valid(&as_json(&tree::parse(good).unwrap())));
        assert!(read::manifest("m", good.as_bytes()).is_ok());
        let bad = [
            good.replace("version: 1", "version: 2"),
            good.replace("run: a", "runn: a"),
            good.replace("run: a", "run: ''"),
            good.replace("check:", "Check:"),
            format!("{good}        script: a.sh\n"),
            format!("{good}        timeout-minutes: 0\n"),
            format!("{good}        timeout-minutes: '5'\n"),
            format!("{good}        continue-on-error: yes\n"),
            format!("{good}        shell: zsh\n"),
            format!("{good}        changed-only: true\n"),
            format!("{good}        working-directory: ../x\n"),
            format!("{good}        env: {{GITHUB_TOKEN: a}}\n"),
            format!("{good}        env: {{A: [b]}}\n"),
            format!("{good}        findings: [{{parser: junit}}]\n"),
            format!("{good}        findings: [{{parser: problem-matcher}}]\n"),
            format!("{good}        findings: [{{parser: tap, matcher: a.json}}]\n"),
            format!("{good}        retry: {{attempts: 11}}\n"),
            format!("{good}        strategy: {{matrix: {{a: [[b]]}}}}\n"),
            format!("{good}        sandbox: {{limits: {{memory: lots}}}}\n"),
            format!("{good}        sandbox: {{require: [landlok]}}\n"),
            format!("{good}    inputs: {{a: {{type: choice}}}}\n"),
            format!("{good}    inputs: {{a: {{options: [b]}}}}\n"),
            format!("{good}    permissions: {{content: read}}\n"),
            format!("{good}    secrets: [GITHUB_TOKEN]\n"),
            format!("{good}    gates: [{{id: steps}}]\n"),
            format!("{good}    artifacts: [{{name: a}}]\n"),
            format!("{good}suppressions: [{{rule: a, path: b}}]\n"),
            format!("{good}nme: a\n"),
        ];
        for text in bad {
            let instance = as_json(&tree::parse(&text).unwrap());
            assert!(!validator.is_valid(&instance), "the schema accepts\n{text}");
            assert!(read::manifest("m", text.as_bytes()).is_err(), "the reader accepts\n{text}");
        }
    }

    #[test]
    fn keys_of_the_authors_own_are_accepted_everywhere() {
        let text = "version: 1\nx-a: 1\ncommands:\n  x-b: 1\n  check:\n    x-c: [1]\n    env: {x-d: {}}\n    steps:\n      - {run: a, x-e: ~, strategy: {matrix: {x-f: 1, g: [1]}}}\n";
        assert!(validator().is_valid(&as_json(&tree::parse(text).unwrap())));
        let parsed = read::manifest("m", text.as_bytes()).unwrap();
        assert_eq!(parsed.manifest.commands.len(), 1);
    }
}
