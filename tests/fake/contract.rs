//! GitHub's official description of its requests: whatever it refuses, a request of ours must not be.
//!
//! The extracts in `tests/schemas/github` hold the schemas of requests alone. What they do not say (sizes in bytes, columns,
//! titles) the resources of the fake judge by themselves.

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::call::Call;
use super::world::Host;

static DOTCOM: LazyLock<Description> =
    LazyLock::new(|| Description::of(include_str!("../schemas/github/api.github.com.json")));
static GHES: LazyLock<Description> =
    LazyLock::new(|| Description::of(include_str!("../schemas/github/ghes-3.19.json")));

/// What the description of `host` says against a request, one sentence each. It knows nothing of paths that it does not hold.
pub(super) fn check(host: Host, call: &Call) -> Vec<String> {
    let description = match host {
        Host::Dotcom | Host::GheCom => &DOTCOM,
        Host::Ghes => &GHES,
    };
    let Some(operation) = description.operation(call) else {
        return Vec::new();
    };
    let unknown = call.query.iter().filter(|(name, _)| !operation.query.contains(name));
    let mut wrong: Vec<String> =
        unknown.map(|(name, _)| format!("query parameter {name} is unknown")).collect();
    let body = if call.body.is_empty() {
        Value::Object(Map::new())
    } else {
        serde_json::from_slice(&call.body).unwrap_or_default()
    };
    match &operation.body {
        Some(validator) => {
            wrong.extend(validator.iter_errors(&body).map(|error| {
                // A value of 64 KB would bury the sentence.
                let text: String = error.to_string().chars().take(300).collect();
                format!("{}: {text}", error.instance_path())
            }));
        }
        None if !call.body.is_empty() => wrong.push("a body where none is described".to_owned()),
        None => {}
    }
    wrong.iter().map(|detail| format!("{} {}: {detail}", call.method, call.path)).collect()
}

/// A description, ready for use.
struct Description {
    operations: HashMap<String, Vec<(Vec<String>, Operation)>>,
}

struct Operation {
    query: Vec<String>,
    body: Option<Validator>,
}

impl Description {
    fn of(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}"));
        let mut operations: HashMap<String, Vec<_>> = HashMap::new();
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            let template: Vec<String> = path.split('/').map(str::to_owned).collect();
            for (method, source) in methods.as_object().into_iter().flatten() {
                let operation = Operation::of(source, &document["components"]);
                operations.entry(method.to_uppercase()).or_default().push((template.clone(), operation));
            }
        }
        Self { operations }
    }

    fn operation(&self, call: &Call) -> Option<&Operation> {
        // A redirect leads to the same routes by the repository's number.
        let path = match call.path.strip_prefix("/repositories/") {
            Some(rest) => format!("/repos/-/{rest}"),
            None => call.path.clone(),
        };
        let segments: Vec<&str> = path.split('/').collect();
        let fits = |template: &[String]| {
            template.len() == segments.len()
                && template
                    .iter()
                    .zip(&segments)
                    .all(|(part, segment)| part.starts_with('{') || part == segment)
        };
        self.operations
            .get(call.method.as_str())?
            .iter()
            .find(|(template, _)| fits(template))
            .map(|(_, it)| it)
    }
}

impl Operation {
    fn of(source: &Value, components: &Value) -> Self {
        let parameters = source["parameters"].as_array().into_iter().flatten().map(|parameter| {
            let shared = parameter["$ref"].as_str().and_then(|reference| reference.rsplit_once('/'));
            shared.map_or(parameter, |(_, name)| &components["parameters"][name])
        });
        let query = parameters.filter(|it| it["in"] == "query").filter_map(|it| it["name"].as_str());
        let query = query.map(str::to_owned).collect();
        let schema = source["requestBody"]["content"]["application/json"]["schema"].as_object();
        let body = schema.map(|schema| {
            let mut schema = schema.clone();
            // References start at the root of the description.
            schema.insert("components".to_owned(), components.clone());
            jsonschema::validator_for(&Value::Object(schema)).unwrap_or_else(|error| panic!("{error}"))
        });
        Self { query, body }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Method};

    use super::super::call::Origin;
    use super::*;

    fn said(host: Host, method: Method, path: &str, query: &[(&str, &str)], body: &str) -> Vec<String> {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (path, body) = (path.to_owned(), body.as_bytes().to_vec());
        check(host, &Call { origin: Origin::Here, method, path, query, headers: HeaderMap::new(), body })
    }

    #[test]
    fn the_description_refuses_what_it_describes_and_no_more() {
        let runs = "/repos/a/b/check-runs";
        for host in [Host::Dotcom, Host::GheCom, Host::Ghes] {
            let create = |body: &str| said(host, Method::POST, runs, &[], body);
            assert!(create(r#"{"name": "n", "head_sha": "s", "status": "in_progress"}"#).is_empty());
            assert_eq!(create(r#"{"name": "n"}"#).len(), 1);
            assert_eq!(create(r#"{"name": "n", "head_sha": "s", "status": "waiting"}"#).len(), 1);
            assert_eq!(said(host, Method::GET, "/app", &[], "{}").len(), 1);
            assert_eq!(
                said(
                    host,
                    Method::GET,
                    "/repos/a/b/commits/c/check-runs",
                    &[("per_page", "9"), ("title", "x")],
                    ""
                )
                .len(),
                1
            );
            let moved = "/repositories/1/check-runs/2";
            assert_eq!(said(host, Method::PATCH, moved, &[], r#"{"output": {"title": "t"}}"#).len(), 1);
            assert!(said(host, Method::POST, "/nobody/knows", &[], "[]").is_empty());
            let mint = "/app/installations/1/access_tokens";
            assert!(said(host, Method::POST, mint, &[], "").is_empty());
            assert_eq!(said(host, Method::POST, mint, &[], r#"{"permissions": {"checks": "own"}}"#).len(), 1);
        }
    }
}
