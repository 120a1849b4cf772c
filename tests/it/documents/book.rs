//! The documents as a book, and the tables in them that are about what stands elsewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documents::{literals_joined, quoted, read, root, sources};

/// The words in backquotes of the first cell of each row, in the part of a document that begins with `heading`.
fn first_cells(document: &str, heading: &str) -> BTreeSet<String> {
    let part = document.split_once(heading).unwrap_or_else(|| panic!("there is no {heading}")).1;
    let part = part.split("\n## ").next().unwrap();
    let cells =
        part.lines().filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").next().unwrap());
    cells.flat_map(|cell| quoted(cell).into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_table_of_contents_has_every_document_once() {
    let summary = read("docs/SUMMARY.md");
    let linked: Vec<&str> =
        summary.lines().filter_map(|line| line.split_once("](")?.1.strip_suffix(')')).collect();
    let mut there: Vec<String> = std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.strip_suffix(".md").is_some_and(|stem| stem != "SUMMARY"))
        .collect();
    there.sort();
    let mut sorted = linked.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, there);
    // What mdBook wants: a list of links below headings, each indented by one level at most.
    for line in summary.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(line.trim_start().starts_with("- ["), "{line}");
    }
    assert!(read("book.toml").contains("src = \"docs\""));
}

#[test]
fn the_actions_tables_name_its_inputs_and_outputs() {
    let action = read("action.yml");
    let names = |from: &str, to: &str| -> BTreeSet<String> {
        let part = action.split_once(from).unwrap().1.split_once(to).unwrap().0;
        let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
        part.lines().filter(is_name).map(|line| line.trim().trim_end_matches(':').to_owned()).collect()
    };
    let document = read("docs/action.md");
    assert_eq!(first_cells(&document, "## Inputs"), names("\ninputs:\n", "\noutputs:\n"));
    assert_eq!(first_cells(&document, "## Outputs"), names("\noutputs:\n", "\nruns:\n"));
}

#[test]
fn every_message_of_the_list_of_troubles_is_one_of_the_programs() {
    let mut all = Vec::new();
    sources(&root().join("src"), &mut all);
    let mut said: Vec<String> = all.iter().map(|source| literals_joined(source)).collect();
    for script in ["action/setup.sh", "action/run.sh", "install.sh"] {
        said.push(read(format!("scripts/{script}")));
    }
    let document = read("docs/troubleshooting.md");
    let messages = first_cells(&document, "# When something");
    let mut listed = messages;
    for heading in ["## A step that failed", "## Refused", "## The host", "## GitHub", "## The manifest"] {
        listed.extend(first_cells(&document, heading));
    }
    assert!(listed.len() > 20, "{listed:?}");
    for message in listed {
        assert!(said.iter().any(|text| text.contains(&message)), "nothing says {message:?}");
    }
}

/// The names of all fields in a schema, without those below the fields `later`.
fn fields(schema: &Value, later: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if let ("properties", Value::Object(properties)) = (key.as_str(), value) {
                    found.extend(properties.keys().cloned());
                }
                // A definition bears the name of one of them.
                if !later.contains(key.as_str()) && !later.contains(format!("{key}s").as_str()) {
                    fields(value, later, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, later, found)),
        _ => {}
    }
}

#[test]
fn the_manifests_reference_names_every_field_of_the_schema_and_no_other() {
    let document = read("docs/manifest.md");
    // What has no effect yet is named, and not what can be written below it.
    let is_later = |line: &&str| {
        line.starts_with("| `") && (line.contains("*later*") || line.contains("without effect yet"))
    };
    let later = document
        .lines()
        .filter(is_later)
        .flat_map(|line| quoted(line.split(" | ").next().unwrap()))
        .collect();
    let mut known = BTreeSet::new();
    fields(&serde_json::from_str(&read("schemas/manifest.schema.json")).unwrap(), &later, &mut known);
    let is_part = |byte: char| byte.is_ascii_alphanumeric() || byte == '-';
    let words: BTreeSet<&str> =
        quoted(&document).into_iter().flat_map(|word| word.split(|byte| !is_part(byte))).collect();
    let absent: Vec<&String> = known.iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(known.len() > 50 && absent.is_empty(), "docs/manifest.md does not name {absent:?}");
    // And what stands in a table of fields is a field.
    for table in document.split("\n| field |").skip(1) {
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        for name in rows.flat_map(|row| quoted(row.split(" | ").next().unwrap())) {
            let last = name.split(": ").next().unwrap().rsplit('.').next().unwrap().trim_end_matches("[]");
            assert!(known.contains(last), "docs/manifest.md has {name}, which is no field");
        }
    }
}

#[test]
fn the_reference_of_the_policy_names_every_field_of_the_schema_and_no_other() {
    let document = read("docs/policy.md");
    let mut known = BTreeSet::new();
    fields(&serde_json::from_str(&read("schemas/policy.schema.json")).unwrap(), &BTreeSet::new(), &mut known);
    let mut named = BTreeSet::new();
    for table in document.split("\n| field |").skip(1) {
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        for name in rows.flat_map(|row| quoted(row.split(" | ").next().unwrap())) {
            named.extend(name.split('.').map(str::to_owned));
        }
    }
    // Scopes of permissions are those of the manifest.
    let scopes = |name: &&String| !rungate::manifest::fields::words::SCOPES.contains(&name.as_str());
    let known: BTreeSet<&String> = known.iter().filter(scopes).collect();
    assert_eq!(named.iter().collect::<BTreeSet<_>>(), known);
    assert!(known.len() > 25);
}
