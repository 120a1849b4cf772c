//! Facts that GitHub signed, against an issuer on the loopback interface.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;

const OTHER_KEY: &str = include_str!("../../fixtures/keys/other.pem");

/// An issuer whose tokens say `claims` over a good one, signed with `signer`. It ends with the test's process.
fn issuer(claims: &Value, signer: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let key = |pem: &str| EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key(APP_KEY), Algorithm::RS256).unwrap();
    jwk.common.key_id = Some("one".to_owned());
    let keys = serde_json::to_string(&JwkSet { keys: vec![jwk] }).unwrap();
    let now = rungate::clock::Timestamp::now().unix_seconds();
    let mut all = json!({
        "iss": address, "aud": "rungate", "iat": now, "exp": now + 300, "repository": "acme/widgets",
        "ref": "refs/heads/main", "sha": "a".repeat(40), "actor": "octocat", "event_name": "push",
    });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::RS256) };
    let token = jsonwebtoken::encode(&header, &all, &key(signer)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request).to_lowercase();
            let (status, body) = if request.starts_with("get /.well-known/jwks ") {
                ("200 OK", keys.clone())
            } else if request.starts_with("get /token?api-version=2.0&audience=rungate ")
                && request.contains("authorization: bearer request-token")
            {
                ("200 OK", json!({"value": token}).to_string())
            } else {
                ("404 Not Found", String::new())
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

/// A host that wants facts to be verified by the issuer at `address`.
fn host(address: &str) -> Host {
    let verified = format!("facts: verified\noidc: {{issuer: '{address}'}}\nallow:");
    Host::with(&POLICY.replace("allow:", &verified))
}

fn job(host: &Host, address: &str, env: &[(&str, &str)]) -> Ran {
    let url = format!("{address}/token?api-version=2.0");
    let mut all = vec![
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token"),
    ];
    all.extend(env);
    host.job(&["plan", "c", "--explain"], &all)
}

#[test]
fn a_job_with_a_signed_token_is_who_it_says() {
    if !User::Root.is_possible() {
        return;
    }
    let address = issuer(&json!({}), APP_KEY);
    let ran = job(&host(&address), &address, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("facts (signed by GitHub): repository acme/widgets"), "{}", ran.stdout);
    // What the environment does not say is proven all the same.
    let unsaid =
        [("GITHUB_REPOSITORY", ""), ("GITHUB_REF", ""), ("GITHUB_EVENT_NAME", ""), ("GITHUB_ACTOR", "")];
    let ran = job(&host(&address), &address, &unsaid);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // A proxy that the job names is not asked for the issuer's keys.
    let ran = job(&host(&address), &address, &[("HTTP_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "")]);
    assert!(ran.stderr.contains("failed to reach the server that gives the job its token"), "{}", ran.stderr);
}

#[test]
fn a_token_that_does_not_hold_or_says_otherwise_refuses() {
    if !User::Root.is_possible() {
        return;
    }
    for (claims, signer, env, says) in [
        (json!({}), OTHER_KEY, vec![], "the token does not hold"),
        (json!({"iss": "https://token.actions.githubusercontent.com"}), APP_KEY, vec![], "InvalidIssuer"),
        (json!({"aud": "other"}), APP_KEY, vec![], "InvalidAudience"),
        (json!({"exp": 1_700_000_000}), APP_KEY, vec![], "ExpiredSignature"),
        (json!({"repository": "evil/widgets"}), APP_KEY, vec![], "GITHUB_REPOSITORY is \"acme/widgets\""),
        (
            json!({"repository": "evil/widgets"}),
            APP_KEY,
            vec![("GITHUB_REPOSITORY", "")],
            "`repository` does not name evil/widgets",
        ),
        (json!({"ref": "refs/heads/evil"}), APP_KEY, vec![("GITHUB_REF", "")], "`refs` does not name"),
        (json!({"event_name": "pull_request"}), APP_KEY, vec![], "GITHUB_EVENT_NAME is \"push\""),
        (json!({"actor": "mallory"}), APP_KEY, vec![("GITHUB_ACTOR", "")], "`actors` does not name mallory"),
        (json!({}), APP_KEY, vec![("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")], "id-token: write"),
        (json!({}), APP_KEY, vec![("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "other")], "status 404"),
        (
            json!({}),
            APP_KEY,
            vec![("ACTIONS_ID_TOKEN_REQUEST_URL", "http://192.0.2.1/token")],
            "no usable address",
        ),
        (json!({}), APP_KEY, vec![("SSL_CERT_FILE", "/tmp/ca.pem")], "SSL_CERT_FILE names /tmp/ca.pem"),
    ] {
        let address = issuer(&claims, signer);
        let ran = job(&host(&address), &address, &env);
        assert_eq!(ran.code, Some(3), "{claims} {env:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{claims} {env:?}: {}", ran.stderr);
    }
}
