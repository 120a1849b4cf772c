use proptest::prelude::*;

use super::*;
use crate::http::error::Stage;

const NOW: i64 = 1_800_000_000;

fn at(calls: u32) -> Attempt {
    Attempt { calls, chance: 0.5 }
}

fn after(status: u16, headers: &[(&'static str, &str)], body: &str, repeat: Repeat, calls: u32) -> String {
    let now = Timestamp::from_unix_seconds(NOW);
    format!("{status} {:?}", after_answer(&Answer::of(status, headers, body), repeat, at(calls), now))
}

#[test]
fn what_an_answer_leads_to() {
    let secondary = r#"{"message":"You have exceeded a secondary rate limit. Please wait"}"#;
    let reset = (NOW + 90).to_string();
    let limit = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
    // The server's clock is half a minute ahead of ours.
    let ahead = [limit[0], limit[1], ("date", "Fri, 15 Jan 2027 08:00:30 GMT")];
    let (free, never) = (Repeat::Free, Repeat::Never);
    let lines = [
        after(200, &[], "", never, 1),
        after(304, &[], "", free, 1),
        after(301, &[], "", free, 1),
        after(403, &[("retry-after", "7")], secondary, never, 1),
        after(429, &[("retry-after", "Fri, 15 Jan 2027 08:00:09 GMT")], "", never, 1),
        after(403, &[("retry-after", "99999999999")], "", never, 1),
        after(403, &limit, "", never, 1),
        after(429, &ahead, "", never, 1),
        after(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")], "", never, 1),
        after(403, &[("x-ratelimit-remaining", "0")], "", never, 1),
        after(403, &[("x-ratelimit-remaining", "12")], r#"{"message":"Resource not accessible"}"#, never, 1),
        after(403, &[], secondary, never, 1),
        after(403, &[], secondary, never, 2),
        after(403, &[], secondary, never, 3),
        after(403, &[], secondary, never, 4),
        after(429, &[], "", never, 1),
        after(502, &[], "", free, 1),
        after(502, &[], "", free, 3),
        after(503, &[("retry-after", "3")], "", free, 1),
        after(500, &[], "", free, 6),
        after(504, &[], "", never, 1),
        after(401, &[], "", free, 1),
        after(404, &[], "", free, 1),
        after(422, &[], "", free, 1),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    200 Done
    304 Done
    301 Refused
    403 Again(7s, Limit)
    429 Again(9s, Limit)
    403 Again(86400s, Limit)
    403 Again(91s, Limit)
    429 Again(61s, Limit)
    403 Again(1s, Limit)
    403 Again(60s, Limit)
    403 Refused
    403 Again(67.5s, Secondary)
    403 Again(127.5s, Secondary)
    403 Again(247.5s, Secondary)
    403 GivenUp
    429 Again(67.5s, Secondary)
    502 Again(250ms, Fault)
    502 Again(1s, Fault)
    503 Again(3s, Fault)
    500 GivenUp
    504 Ambiguous
    401 Refused
    404 Refused
    422 Refused
    ");
}

fn errors() -> Vec<HttpError> {
    let host = || "h".to_owned();
    let source = || Box::from("x");
    let mut all = vec![
        HttpError::Broken { host: host(), source: source() },
        HttpError::TimedOut { host: host(), sent: Sent::Perhaps, after: Duration::from_secs(30) },
        HttpError::TooLarge { host: host(), limit: 1 },
        HttpError::TooManyRedirects,
    ];
    all.extend([Stage::Name, Stage::Connect, Stage::Proxy, Stage::Tls].map(|stage| HttpError::Unreachable {
        host: host(),
        stage,
        source: source(),
    }));
    all
}
#[test]
fn a_call_that_may_have_arrived_is_never_repeated_unasked() {
    for error in errors() {
        let decision = after_error(&error, Repeat::Never, at(1));
        match error.sent() {
            Sent::Perhaps => assert_eq!(decision, Decision::Ambiguous, "{error:?}"),
            Sent::No => assert_ne!(decision, Decision::Ambiguous, "{error:?}"),
        }
        let free = after_error(&error, Repeat::Free, at(1));
        let again = matches!(free, Decision::Again(_, Wait::Fault));
        assert_eq!(again, error.may_pass(), "{error:?} {free:?}");
        assert_eq!(after_error(&error, Repeat::Free, at(MOST_CALLS)), Decision::GivenUp, "{error:?}");
    }
}

proptest! {
    #[test]
    fn every_answer_is_decided_within_bounds(
        status in 100_u16..600,
        retry_after in proptest::option::of("\\PC{0,12}|[0-9]{1,25}"),
        remaining in proptest::option::of("0|[0-9]{1,5}"),
        reset in proptest::option::of("-?[0-9]{1,25}"),
        calls in 1_u32..100,
        chance in -1.0..2.0_f64,
        never in any::<bool>(),
    ) {
        let mut headers: Vec<(&'static str, &str)> = Vec::new();
        headers.extend(retry_after.as_deref().map(|value| ("retry-after", value)));
        headers.extend(remaining.as_deref().map(|value| ("x-ratelimit-remaining", value)));
        headers.extend(reset.as_deref().map(|value| ("x-ratelimit-reset", value)));
        let repeat = if never { Repeat::Never } else { Repeat::Free };
        let now = Timestamp::from_unix_seconds(NOW);
        let decision = after_answer(&Answer::of(status, &headers, "{}"), repeat, Attempt { calls, chance }, now);
        match decision {
            Decision::Again(wait, why) => {
                prop_assert!(wait <= MAX_WAIT);
                prop_assert!(calls < MOST_CALLS);
                // A write comes again only when the server said that it was not done.
                prop_assert!(!never || (matches!(status, 403 | 429) && why != Wait::Fault));
            }
            Decision::Done => prop_assert!(matches!(status, 200..300 | 304)),
            Decision::Ambiguous => prop_assert!(never && (status >= 500 || status == 408)),
            Decision::Refused => prop_assert!(status < 500),
            Decision::GivenUp => prop_assert!(calls >= MOST_LIMITED),
        }
    }
}
