//! Tokens that hold, and every way in which one does not.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;

const KEY: &str = include_str!("../../../tests/fixtures/keys/app.pem");
const OTHER: &str = include_str!("../../../tests/fixtures/keys/other.pem");
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn key(pem: &str) -> EncodingKey {
    EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
}

fn keys(pem: &str) -> JwkSet {
    let mut jwk = Jwk::from_encoding_key(&key(pem), Algorithm::RS256).unwrap();
    jwk.common.key_id = Some("one".to_owned());
    JwkSet { keys: vec![jwk] }
}

fn claims() -> Value {
    let now = Timestamp::now().unix_seconds();
    json!({
        "iss": ISSUER, "aud": "rungate", "iat": now, "nbf": now - 600, "exp": now + 300,
        "repository": "acme/widgets", "ref": "refs/heads/main", "sha": "a".repeat(40), "actor": "octocat",
        "event_name": "push", "run_id": "42",
    })
}

fn token(claims: &Value, algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>) -> Secret {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    Secret::new(jsonwebtoken::encode(&header, claims, key).unwrap(), &Registry::new())
}

fn with(name: &str, value: &Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn a_token_of_the_issuer_says_what_the_job_is() {
    let token = token(&claims(), Algorithm::RS256, &key(KEY), Some("one"));
    let claims = verify(&token, &keys(KEY), ISSUER, "rungate").unwrap();
    assert_eq!((claims.repository.as_str(), claims.reference.as_str()), ("acme/widgets", "refs/heads/main"));
    assert_eq!((claims.actor.as_str(), claims.event_name.as_str()), ("octocat", "push"));
}

#[test]
fn a_token_that_does_not_hold_says_nothing() {
    let now = Timestamp::now().unix_seconds();
    let refused = |claims: &Value| {
        let token = token(claims, Algorithm::RS256, &key(KEY), Some("one"));
        verify(&token, &keys(KEY), ISSUER, "rungate").is_err()
    };
    assert!(!refused(&claims()));
    for (name, value) in [
        ("iss", json!("https://token.actions.evil.example")),
        ("iss", json!(format!("{ISSUER}/"))),
        ("iss", Value::Null),
        ("aud", json!("sts.amazonaws.com")),
        ("aud", Value::Null),
        ("exp", json!(now - 120)),
        ("exp", Value::Null),
        ("nbf", json!(now + 600)),
        ("repository", Value::Null),
        ("ref", Value::Null),
        ("actor", Value::Null),
        ("event_name", json!(["push"])),
    ] {
        assert!(refused(&with(name, &value)), "{name} {value}");
    }
}

#[test]
fn only_the_issuers_own_keys_sign() {
    let verify = |token: &Secret| verify(token, &keys(KEY), ISSUER, "rungate");
    let by_other = token(&claims(), Algorithm::RS256, &key(OTHER), Some("one"));
    assert!(matches!(verify(&by_other), Err(OidcError::Invalid(_))));
    let unnamed = token(&claims(), Algorithm::RS256, &key(KEY), None);
    assert!(matches!(verify(&unnamed), Err(OidcError::UnknownKey(_))));
    let other_name = token(&claims(), Algorithm::RS256, &key(KEY), Some("two"));
    assert!(matches!(verify(&other_name), Err(OidcError::UnknownKey(_))));
    // Signed with what everybody knows of the key, or with nothing at all.
    let shared = EncodingKey::from_secret(KEY.as_bytes());
    let by_hash = token(&claims(), Algorithm::HS256, &shared, Some("one"));
    assert!(matches!(verify(&by_hash), Err(OidcError::Invalid(_))));
    let other_algorithm = token(&claims(), Algorithm::RS512, &key(KEY), Some("one"));
    assert!(matches!(verify(&other_algorithm), Err(OidcError::Invalid(_))));
    let body = by_hash.expose().split('.').nth(1).unwrap();
    for text in [format!("eyJhbGciOiJub25lIiwia2lkIjoib25lIn0.{body}."), body.to_owned(), String::new()] {
        assert!(matches!(verify(&Secret::new(text, &Registry::new())), Err(OidcError::Invalid(_))));
    }
}

#[test]
fn a_token_is_asked_for_where_nobody_on_the_way_can_read_it() {
    for fine in
        ["https://vstoken.actions.example/x?api-version=2.0", "http://127.0.0.1:8080/x", "http://[::1]/x"]
    {
        assert!(address(fine).is_ok(), "{fine}");
    }
    for refused in
        ["http://10.0.0.1/x", "http://localhost/x", "https://me:pw@host/x", "file:///etc/passwd", "x"]
    {
        assert!(address(refused).is_err(), "{refused}");
    }
}
