//! Where a redirect may lead. Pure.
//!
//! The library's own policy is off: it turns a POST into a GET, and what becomes of a token is too important to be
//! looked up in somebody else's notes.

use url::Url;

use crate::http::error::HttpError;
use crate::http::{Call, Method};

/// Redirects that are followed.
const MOST: usize = 5;

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the answer.
    Stay,
    /// Another call has to be made.
    Go(Next),
}

/// How the next call differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Whether the token goes along.
    pub(super) keeps_bearer: bool,
}

/// Decides what an answer with `status` and `location` to `call` means, after `hop` redirects.
///
/// # Errors
/// Fails when a redirect must not be followed: to clear text, or with a body to another origin.
pub(super) fn next(call: &Call, status: u16, location: Option<&str>, hop: usize) -> Result<Step, HttpError> {
    let (true, Some(location)) = (matches!(status, 301 | 302 | 303 | 307 | 308), location) else {
        return Ok(Step::Stay);
    };
    if hop >= MOST {
        return Err(HttpError::TooManyRedirects);
    }
    let name = |url: &Url| url.origin().ascii_serialization();
    let refused = |to: String, why| HttpError::Redirect { from: name(&call.url), to, why };
    let Ok(url) = call.url.join(location) else {
        return Err(refused("nowhere".to_owned(), "which is no address"));
    };
    let secure = match url.scheme() {
        "https" => true,
        "http" => call.url.scheme() == "http",
        _ => false,
    };
    if !secure {
        return Err(refused(name(&url), "which is not encrypted"));
    }
    let same = url.origin() == call.url.origin();
    // Other than for browsers, GitHub means the same call at another place, whatever its method.
    let method = if status == 303 { Method::Get } else { call.method };
    if !same && method != Method::Get {
        return Err(refused(name(&url), "another server, and only a reading call may follow"));
    }
    Ok(Step::Go(Next { method, url, keeps_bearer: same }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, from: &str, status: u16, location: &str) -> String {
        let call =
            Call { method, url: Url::parse(from).unwrap(), headers: Vec::new(), bearer: None, body: None };
        match next(&call, status, Some(location), 0) {
            Ok(Step::Stay) => "stay".to_owned(),
            Ok(Step::Go(Next { method, url, keeps_bearer })) => {
                format!("{} {url} {}", method.word(), if keeps_bearer { "with the token" } else { "without" })
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_token_stays_on_its_origin_and_nothing_goes_out_in_clear() {
        let from = "https://api.github.com/repos/o/old";
        let table = [
            (Method::Get, from, 301, "https://api.github.com/repositories/1"),
            (Method::Patch, from, 307, "/repositories/1"),
            (Method::Post, from, 303, "/done"),
            (Method::Get, from, 302, "https://evil.example/x"),
            (Method::Get, from, 302, "https://api.github.com:8443/x"),
            (Method::Get, from, 302, "https://API.GitHub.com:443/x"),
            (Method::Post, from, 307, "https://evil.example/x"),
            (Method::Get, from, 301, "http://api.github.com/x"),
            (Method::Get, from, 301, "ftp://api.github.com/x"),
            (Method::Get, "http://127.0.0.1:1/x", 301, "http://127.0.0.1:2/x"),
            (Method::Get, from, 301, "http://["),
            (Method::Get, from, 304, "/x"),
        ];
        let lines = table.map(|(method, from, status, to)| ask(method, from, status, to)).join("\n");
        insta::assert_snapshot!(lines, @r"
        GET https://api.github.com/repositories/1 with the token
        PATCH https://api.github.com/repositories/1 with the token
        GET https://api.github.com/done with the token
        GET https://evil.example/x without
        GET https://api.github.com:8443/x without
        GET https://api.github.com/x with the token
        https://api.github.com redirects to https://evil.example, another server, and only a reading call may follow
        https://api.github.com redirects to http://api.github.com, which is not encrypted
        https://api.github.com redirects to ftp://api.github.com, which is not encrypted
        GET http://127.0.0.1:2/x without
        https://api.github.com redirects to nowhere, which is no address
        stay
        ");
    }

    #[test]
    fn redirects_end_after_five() {
        let url = Url::parse("https://h/x").unwrap();
        let call = Call { method: Method::Get, url, headers: Vec::new(), bearer: None, body: None };
        assert!(matches!(next(&call, 301, Some("/x"), 4), Ok(Step::Go(_))));
        assert!(matches!(next(&call, 301, Some("/x"), 5), Err(HttpError::TooManyRedirects)));
        assert!(matches!(next(&call, 301, None, 5), Ok(Step::Stay)));
    }
}
