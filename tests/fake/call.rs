//! A request as the resources see it, and an answer as they give it.

use axum::http::{HeaderMap, Method};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Which of the two origins was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The one that the caller knows.
    Here,
    /// The one that a redirect names.
    Elsewhere,
}

/// A request whose body has arrived.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) origin: Origin,
    pub(crate) method: Method,
    /// Without the base path.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Either way it is an answer; an early one ends the handling of a request.
pub(crate) type Reply = Result<Answer, Answer>;

impl Call {
    /// The segments of the path, percent signs resolved.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.split('/').skip(1).map(percent_decoded).collect()
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The first value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as a JSON object; an empty body is an empty object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Answer> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Answer::error(400, "Body should be a JSON object")),
            Err(_) => Err(Answer::error(400, "Problems parsing JSON")),
        }
    }
}

fn percent_decoded(segment: &str) -> String {
    url::form_urlencoded::parse(format!("s={}", segment.replace('+', "%2B")).as_bytes())
        .next()
        .map_or_else(|| segment.to_owned(), |(_, value)| value.into_owned())
}

/// What goes back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Answer {
    /// A status with a JSON body.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    /// A status alone.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// GitHub's usual error document.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::json(
            status,
            json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()}),
        )
    }

    /// GitHub's text for a body that its schema refuses.
    pub(crate) fn invalid(detail: &str) -> Self {
        Self::error(422, &format!("Invalid request.\n\n{detail}"))
    }

    /// What is not there, or must not be known to be there.
    pub(crate) fn not_found() -> Self {
        Self::error(404, "Not Found")
    }

    /// The same answer with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// One page of `items` by `per_page` and `page`, and the `Link` header that leads to the others.
pub(crate) fn page(call: &Call, url: &str, items: Vec<Value>) -> (Vec<Value>, Option<String>) {
    let number =
        |name: &str, or: usize| call.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(or);
    let per_page = number("per_page", 30).clamp(1, 100);
    let page = number("page", 1).max(1);
    let pages = items.len().div_ceil(per_page).max(1);
    let others: Vec<(&str, usize)> = [("prev", page - 1), ("next", page + 1), ("last", pages), ("first", 1)]
        .into_iter()
        .filter(|(rel, at)| match *rel {
            "prev" | "first" => page > 1,
            _ => page < pages && *at <= pages,
        })
        .collect();
    let link = others.iter().map(|(rel, at)| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(call.query.iter().filter(|(name, _)| name != "page"));
        query.append_pair("page", &at.to_string());
        format!("<{url}?{}>; rel=\"{rel}\"", query.finish())
    });
    let link: Vec<String> = link.collect();
    let items = items.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    (items, (!link.is_empty()).then(|| link.join(", ")))
}
