//! The routes of the admin port and their responses.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::connections::Caller;
use super::{Shared, guard};
use crate::log_rate_limiter::log_limited;

/// The kind of log line for refused requests.
const REFUSED: &str = "refused admin requests";
/// The largest request body in bytes that is read. No route needs a body.
const MAX_BODY: usize = 16 << 10;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/reset", post(reset))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(Arc::clone(&shared), with_checks))
        .with_state(shared)
}

/// Answers `GET /health`; without the version if the host of the request is unknown.
async fn health(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    let body = match guard::host_refusal(&uri, &headers, &shared.known_hosts) {
        None => json!({"status": "alive", "version": env!("CARGO_PKG_VERSION")}),
        Some(_) => json!({"status": "alive"}),
    };
    respond(StatusCode::OK, &body)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.serving() {
        Some(serving) => respond(
            StatusCode::OK,
            &json!({
                "status": "ready",
                "bootstrap_servers": &*serving.bootstrap_servers,
                "cluster_id": serving.broker.cluster_id(),
            }),
        ),
        None => not_ready(),
    }
}

async fn reset(State(shared): State<Arc<Shared>>) -> Response {
    let Some(serving) = shared.serving() else { return not_ready() };
    let Ok(_change) = shared.changes.try_acquire() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many resets are in progress");
    };
    // A task of its own, so that a client that disconnects does not leave the reset incomplete.
    match tokio::spawn(serving.broker.reset()).await {
        Ok(Ok(done)) => respond(
            StatusCode::OK,
            &json!({
                "topics_removed": done.topics_removed,
                "topics_created": done.topics_created,
                "took_ms": milliseconds(done.took),
            }),
        ),
        Ok(Err(error)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(panic) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
}

async fn unknown_path() -> Response {
    refuse(StatusCode::NOT_FOUND, "the supported requests are GET /health, GET /ready and POST /reset")
}

async fn unknown_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "the supported requests are GET /health, GET /ready and POST /reset")
}

fn not_ready() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "the broker is starting or stopping")
}

/// Wraps the handler of every request. Each connection serves one request, so that the limits of connections also limit
/// requests.
async fn with_checks(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = check_and_run(&shared, &caller, request, next).await;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn check_and_run(shared: &Shared, caller: &Caller, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let (limiter, peer) = (&shared.limiter, caller.peer);
    // The body is read before the response is sent, because a client that still sends may not read the response.
    if to_bytes(body, MAX_BODY).await.is_err() {
        let reason = "the request's body is too large or incomplete";
        log_limited!(WARN, limiter, peer.ip(), REFUSED, client = %peer, reason, "refused an admin request");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, reason);
    }
    caller.set_request_complete();
    match guard::refusal(&head.method, &head.uri, &head.headers, &shared.known_hosts) {
        Some(reason) => {
            let (method, path) = (&head.method, head.uri.path());
            log_limited!(
                WARN, limiter, peer.ip(), REFUSED,
                client = %peer, %method, path, reason, "refused an admin request"
            );
            refuse(StatusCode::FORBIDDEN, &reason)
        }
        None => next.run(Request::from_parts(head, Body::empty())).await,
    }
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    respond(status, &json!({ "error": reason }))
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Milliseconds with three decimals.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
