//! What can be asked for, and what is answered.

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

/// What the log limiter calls requests that are refused.
const REFUSED: &str = "refused admin requests";
/// The largest body that is read; nothing here needs one.
const MOST_BODY: usize = 16 << 10;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/reset", post(reset))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(&shared), guarded))
        .with_state(shared)
}

/// Under a host that isn't known, this tells nothing but that the process is alive.
async fn health(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    let body = match guard::host_refusal(&uri, &headers, &shared.known_hosts) {
        None => json!({"status": "alive", "version": env!("CARGO_PKG_VERSION")}),
        Some(_) => json!({"status": "alive"}),
    };
    answer(StatusCode::OK, &body)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.serving() {
        Some(serving) => answer(
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
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many resets are under way");
    };
    // As a task of its own, so that a client that goes away does not leave it half done.
    match tokio::spawn(serving.broker.reset()).await {
        Ok(Ok(done)) => answer(
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

async fn no_such_path() -> Response {
    refuse(StatusCode::NOT_FOUND, "there are GET /health, GET /ready and POST /reset")
}

async fn no_such_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "there are GET /health, GET /ready and POST /reset")
}

fn not_ready() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "the broker is starting or stopping")
}

/// Goes around every request. Each connection is for one, so that nothing has to be bounded twice.
async fn guarded(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = admitted(&shared, &caller, request, next).await;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn admitted(shared: &Shared, caller: &Caller, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let (limiter, peer) = (&shared.limiter, caller.peer);
    // Read before it is answered: a client that is still sending might not look at the answer.
    if to_bytes(body, MOST_BODY).await.is_err() {
        let why = "the request's body is too large, or was broken off";
        log_limited!(WARN, limiter, peer.ip(), REFUSED, "refused an admin request from {peer}: {why}");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, why);
    }
    caller.has_sent_its_request();
    match guard::refusal(&head.method, &head.uri, &head.headers, &shared.known_hosts) {
        Some(why) => {
            let (method, path) = (&head.method, head.uri.path());
            log_limited!(WARN, limiter, peer.ip(), REFUSED, "refused {method} {path} from {peer}: {why}");
            refuse(StatusCode::FORBIDDEN, &why)
        }
        None => next.run(Request::from_parts(head, Body::empty())).await,
    }
}

fn refuse(status: StatusCode, why: &str) -> Response {
    answer(status, &json!({ "error": why }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// With three decimals.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
