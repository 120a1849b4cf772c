//! The two origins on their sockets: one request in, through the log and the faults, one answer out.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;
use tokio::sync::oneshot;

use super::Shared;
use super::artifacts;
use super::call::{Answer, Call, Origin};
use super::faults::{self, Fault, Rule};
use super::route;
use super::wire::{Door, Plan, Wire};
use super::world::World;

/// GitHub takes no larger body on any route that rungate calls.
const BODY_LIMIT: usize = 25 << 20;

#[derive(Clone)]
struct Site {
    origin: Origin,
    world: Shared,
}

/// Serves both listeners on a thread of their own until `stopped` resolves; what it gives back is disconnected then.
pub(super) fn spawn(
    here: TcpListener,
    elsewhere: TcpListener,
    world: Shared,
    stopped: oneshot::Receiver<()>,
) -> std::io::Result<Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for listener in [&here, &elsewhere] {
        listener.set_nonblocking(true)?;
    }
    let (ending, ended) = channel();
    std::thread::Builder::new().name("fake-github".into()).spawn(move || {
        let _ending = ending;
        runtime.block_on(async move {
            let first = serve(here, Site { origin: Origin::Here, world: Arc::clone(&world) });
            let second = serve(elsewhere, Site { origin: Origin::Elsewhere, world });
            // Connections that hang end with the runtime.
            tokio::select! {
                () = first => {}
                () = second => {}
                _ = stopped => {}
            }
        });
    })?;
    Ok(ended)
}

async fn serve(listener: TcpListener, site: Site) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let router = Router::new().fallback(handle).with_state(site);
    let service = router.into_make_service_with_connect_info::<Wire>();
    // It ends only when the future is dropped.
    let _ = axum::serve(Door(listener), service).await;
}

async fn handle(
    State(site): State<Site>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return respond(Answer::error(413, "Payload too large"));
    };
    let query = head.uri.query().unwrap_or_default();
    let call = Call {
        origin: site.origin,
        method: head.method,
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: head.headers,
        body: body.into(),
    };
    wire.plan(Plan::Whole);
    let (answer, rule) = decide(&site.world, call);
    match rule.map(|rule| rule.fault) {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset) => wire.plan(Plan::Reset),
        Some(Fault::Truncated { body_bytes }) => wire.plan(Plan::Cut { body_bytes: body_bytes.max(1) }),
        Some(Fault::Slow { piece, pause_ms }) => {
            wire.plan(Plan::Drip { piece, pause: Duration::from_millis(pause_ms) });
        }
        Some(Fault::InvalidJson) => return respond_with(200, "text/html", "<html>no JSON</html>".to_owned()),
        _ => {}
    }
    respond(answer)
}

/// The answer, with the fault that goes with it. The world is locked for as long as this takes, so requests have an order.
fn decide(world: &Shared, mut call: Call) -> (Answer, Option<Rule>) {
    let Some(mut world) = super::locked(world) else {
        return (Answer::error(500, "somebody holds on to the world of the fake"), None);
    };
    let control = call.path.starts_with("/_fake/");
    if control {
        return (super::control::answer(&mut world, &call).unwrap_or_else(|early| early), None);
    }
    let base = world.settings.host.base_path();
    let entry = world.log(&call);
    let beside = artifacts::is_ours(&call.path);
    if !beside {
        let Some(path) = call.path.strip_prefix(base).filter(|path| path.starts_with('/')) else {
            return (world.done(entry, Answer::not_found()), None);
        };
        call.path = path.to_owned();
    }
    let rule = faults::meet(&mut world.faults, &call);
    let untouched = rule.as_ref().is_some_and(|rule| !rule.applied);
    let replaced = rule.as_ref().and_then(|rule| instead(&rule.fault, &world));
    // Without `applied` a fault stands before GitHub: the request never gets there. These two answer, only badly.
    let answers =
        matches!(rule.as_ref().map(|rule| &rule.fault), Some(Fault::Truncated { .. } | Fault::Slow { .. }));
    let answer = if untouched && !answers {
        Answer::error(500, "Server Error")
    } else {
        let reply =
            if beside { artifacts::answer(&mut world, &call) } else { route::answer(&mut world, &call) };
        reply.unwrap_or_else(|early| early)
    };
    if let Some(rule) = &rule {
        world.mark(entry, &rule.fault);
    }
    let answer = world.with_common_headers(&call, replaced.unwrap_or(answer));
    (world.done(entry, answer), rule)
}

/// The answer that a fault puts in place of the real one.
fn instead(fault: &Fault, world: &World) -> Option<Answer> {
    let now = world.now();
    Some(match fault {
        Fault::Status { status } => Answer::json(*status, json!({"message": "Server Error"})),
        Fault::RetryAfter { seconds } => {
            Answer::error(429, "Too Many Requests").with("retry-after", seconds.to_string())
        }
        Fault::PrimaryLimit { reset_in } => {
            Answer::error(403, "API rate limit exceeded for installation ID 1.")
                .with("x-ratelimit-remaining", "0")
                .with("x-ratelimit-reset", (now + reset_in).to_string())
        }
        Fault::SecondaryLimit => Answer::error(
            403,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        ),
        Fault::BadCredentials => Answer::error(401, "Bad credentials"),
        Fault::Reset | Fault::Hang | Fault::Truncated { .. } | Fault::Slow { .. } | Fault::InvalidJson => {
            return None;
        }
    })
}

fn respond(answer: Answer) -> Response {
    let text = answer.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut response = respond_with(answer.status, "application/json; charset=utf-8", text);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn respond_with(status: u16, media_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status != 204 {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response
}
