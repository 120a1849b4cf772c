//! The JSON web token with which an App proves who it is. Pure but for the signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::clock::Timestamp;
use crate::redact::Registry;
use crate::redact::secret::Secret;
use crate::signer::{SignError, Signer};

/// How far back a token says that it was made, in seconds: a server whose clock is late must not think it is from the
/// future.
const BEFORE: i64 = 60;

/// How long it is good, in seconds. GitHub allows 600, and refuses exactly that when clocks differ by a fraction.
const AFTER: i64 = 540;

/// A token for the App `issuer` (client id or numeric id), good for the next minutes around `now`.
///
/// # Errors
/// Fails when the key cannot be used.
pub(super) fn make(
    issuer: &str,
    signer: &dyn Signer,
    now: Timestamp,
    registry: &Registry,
) -> Result<Secret, SignError> {
    let now = now.unix_seconds();
    // As text, also when it is a number: GitHub takes both, and a client id is text.
    let claims = json!({"iat": now - BEFORE, "exp": now + AFTER, "iss": issuer.trim()});
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let content = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(content.as_bytes())?);
    Ok(Secret::new(format!("{content}.{signature}"), registry))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Signer for Fixed {
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            Ok(message.iter().rev().take(8).copied().collect())
        }

        fn origin(&self) -> &'static str {
            "a test"
        }
    }

    #[test]
    fn a_token_says_who_and_how_long() {
        let registry = Registry::new();
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let token = make(" Iv23abc\n", &Fixed, now, &registry).unwrap();
        let parts: Vec<String> = token
            .expose()
            .split('.')
            .take(2)
            .map(|part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        insta::assert_snapshot!(parts.join("\n"), @r#"
        {"alg":"RS256","typ":"JWT"}
        {"iat":1799999940,"exp":1800000540,"iss":"Iv23abc"}
        "#);
        assert_eq!(registry.text(token.expose()), "***");
    }
}
