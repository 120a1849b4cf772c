//! Faults that wait for the request they are meant for.

use serde::{Deserialize, Serialize};

use super::call::Call;

/// One fault and the requests that meet it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) struct Rule {
    /// `*` meets every method.
    #[serde(default = "any")]
    pub(crate) method: String,
    /// Segments without the base path, `*` for any one and a last `**` for any rest: `/repos/*/*/check-runs/**`.
    pub(crate) path: String,
    /// The first request that meets it, counted from 1 among those that match.
    #[serde(default = "one")]
    pub(crate) nth: u32,
    /// How many requests meet it from there on; 0 for all.
    #[serde(default = "one")]
    pub(crate) times: u32,
    /// Whether the request takes effect before the fault: an answer that is lost, not a request.
    #[serde(default)]
    pub(crate) applied: bool,
    /// What happens.
    pub(crate) fault: Fault,
    /// How many requests matched so far.
    #[serde(default)]
    pub(crate) seen: u32,
}

/// What goes wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Fault {
    /// Another status, with the body of a proxy.
    Status { status: u16 },
    /// The connection is reset.
    Reset,
    /// No answer ever comes.
    Hang,
    /// 429 with `retry-after`.
    RetryAfter { seconds: u64 },
    /// 403 as at the end of the hourly budget, which is renewed in so many seconds.
    PrimaryLimit { reset_in: i64 },
    /// 403 with the text of a secondary limit and no header that says how long.
    SecondaryLimit,
    /// 401 as for a token that was revoked.
    BadCredentials,
    /// The connection ends in the middle of the body.
    Truncated { body_bytes: usize },
    /// The answer comes in small pieces.
    Slow { piece: usize, pause_ms: u64 },
    /// 200 with something that is no JSON.
    InvalidJson,
}

fn any() -> String {
    "*".to_owned()
}

const fn one() -> u32 {
    1
}

impl Rule {
    /// `fault` for the first request with this method and path.
    pub(crate) fn once(method: &str, path: &str, fault: Fault) -> Self {
        Self { method: method.into(), path: path.into(), nth: 1, times: 1, applied: false, fault, seen: 0 }
    }

    /// The same from the `nth` matching request on.
    pub(crate) fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// The same for `times` requests; 0 for all.
    pub(crate) fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The same, but the request takes effect first.
    pub(crate) fn applied(mut self) -> Self {
        self.applied = true;
        self
    }

    fn matches(&self, call: &Call) -> bool {
        (self.method == "*" || self.method.eq_ignore_ascii_case(call.method.as_str()))
            && path_matches(&self.path, &call.path)
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        if wanted == "**" {
            return true;
        }
        if !segments.next().is_some_and(|segment| wanted == "*" || wanted == segment) {
            return false;
        }
    }
    segments.next().is_none()
}

/// The rule that this request meets. Every rule that matches counts it.
pub(super) fn meet(rules: &mut [Rule], call: &Call) -> Option<Rule> {
    let mut met = None;
    for rule in rules.iter_mut().filter(|rule| rule.matches(call)) {
        rule.seen += 1;
        let in_turn = rule.seen >= rule.nth && (rule.times == 0 || rule.seen < rule.nth + rule.times);
        if in_turn && met.is_none() {
            met = Some(rule.clone());
        }
    }
    met
}

#[cfg(test)]
mod tests {
    use super::path_matches;

    #[test]
    fn a_star_is_one_segment_and_two_are_the_rest() {
        assert!(path_matches("/repos/*/*/check-runs", "/repos/a/b/check-runs"));
        assert!(!path_matches("/repos/*/*/check-runs", "/repos/a/b/check-runs/1"));
        assert!(path_matches("/repos/*/*/check-runs/*", "/repos/a/b/check-runs/1"));
        assert!(path_matches("/repos/**", "/repos/a/b/check-runs/1/annotations"));
        assert!(!path_matches("/repos/*/*/check-runs/*", "/repos/a/b/check-runs"));
    }
}
