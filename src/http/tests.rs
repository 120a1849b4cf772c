use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// A server that gives each connection one of these answers and closes it; it returns what it was sent.
fn serve(answers: Vec<Vec<u8>>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut seen = Vec::new();
                let mut buffer = [0; 4096];
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    let read = stream.read(&mut buffer).unwrap();
                    seen.extend_from_slice(&buffer[..read]);
                }
                stream.write_all(&answer).unwrap();
                String::from_utf8(seen).unwrap()
            })
            .collect()
    });
    (port, thread)
}

fn call(url: &str, registry: &Registry) -> Call {
    Call {
        method: Method::Get,
        url: Url::parse(url).unwrap(),
        headers: Vec::new(),
        bearer: Some(Secret::new("ghs_token-of-a-test", registry)),
        body: None,
    }
}

fn send(environ: &Environ, call: Call) -> Result<Answer, HttpError> {
    let http = Http::new(environ, &Registry::new());
    let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    event_loop.block_on(http.send(call))
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 301 Moved\r\nconnection: close\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
        .into_bytes()
}

#[test]
fn a_redirect_to_another_origin_is_followed_without_the_token() {
    let registry = Registry::new();
    let (there, second) = serve(vec![ok("there")]);
    let (here, first) = serve(vec![redirect("/moved"), redirect(&format!("http://127.0.0.1:{there}/x"))]);
    let answer = send(&Environ::default(), call(&format!("http://127.0.0.1:{here}/"), &registry)).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"there".as_slice()));
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    assert!(first.iter().all(|seen| seen.contains("authorization: Bearer ghs_token-of-a-test")), "{first:?}");
    assert!(first[1].starts_with("GET /moved "), "{first:?}");
    assert!(!second[0].to_ascii_lowercase().contains("authorization"), "{second:?}");
    assert!(second[0].contains(concat!("user-agent: rungate/", env!("CARGO_PKG_VERSION"))), "{second:?}");
}

#[test]
fn a_proxy_of_the_environment_is_used_unless_it_is_excepted() {
    let registry = Registry::new();
    let (proxy, seen) = serve(vec![ok("by proxy")]);
    let address = format!("http://127.0.0.1:{proxy}");
    let environ = Environ::of([("HTTP_PROXY", address.as_str())]);
    let answer = send(&environ, call("http://api.example.invalid/x", &registry)).unwrap();
    assert_eq!(answer.body, b"by proxy");
    assert!(seen.join().unwrap()[0].starts_with("GET http://api.example.invalid/x "));

    let (direct, _seen) = serve(vec![ok("direct")]);
    let environ = Environ::of([("HTTP_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "127.0.0.1")]);
    let answer = send(&environ, call(&format!("http://127.0.0.1:{direct}/"), &registry)).unwrap();
    assert_eq!(answer.body, b"direct");
}

#[test]
fn whether_a_call_may_have_arrived_is_told_apart() {
    let registry = Registry::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error =
        send(&Environ::default(), call(&format!("http://127.0.0.1:{nobody}/"), &registry)).unwrap_err();
    assert_eq!((error.sent(), error.may_pass()), (Sent::No, true), "{error:?}");

    let (port, _seen) = serve(vec![b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nnot all".to_vec()]);
    let error = send(&Environ::default(), call(&format!("http://127.0.0.1:{port}/"), &registry)).unwrap_err();
    assert_eq!((error.sent(), error.may_pass()), (Sent::Perhaps, true), "{error:?}");

    let (port, _seen) = serve(vec![Vec::new()]);
    let error = send(&Environ::default(), call(&format!("http://127.0.0.1:{port}/"), &registry)).unwrap_err();
    assert_eq!(error.sent(), Sent::Perhaps, "{error:?}");

    // Somebody who speaks no TLS.
    let (port, _seen) = serve(vec![]);
    let error =
        send(&Environ::default(), call(&format!("https://127.0.0.1:{port}/"), &registry)).unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error:?}");
}

#[test]
fn an_endless_answer_ends() {
    let registry = Registry::new();
    let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    answer.resize(MAX_BODY + 4096, b'x');
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        // The client hangs up.
        let _ = stream.write_all(&answer);
    });
    let error = send(&Environ::default(), call(&format!("http://127.0.0.1:{port}/"), &registry)).unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error:?}");
}

#[test]
fn nothing_of_a_token_is_in_what_is_printed() {
    let registry = Registry::new();
    let call = call("http://127.0.0.1:1/", &registry);
    assert!(!format!("{call:?}").contains("ghs_token"));
}
