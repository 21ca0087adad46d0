//! The routes of the admin port and their responses.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use super::super::listener::{Caller, refuse, respond};
use super::super::metrics::{self, Metrics};
use super::{Readiness, Shared, client_metrics, guard, redpanda, topics, trace};
use crate::log_rate_limiter::log_limited;
use crate::state::metadata::MetadataUnavailable;

/// The kind of log line for refused requests.
const REFUSED: &str = "refused admin requests";

/// The routes, with those of the metrics. `added` are those of the OIDC issuer and of the console, where they are enabled.
pub(super) fn routes(shared: Arc<Shared>, metrics: Arc<Metrics>, added: Router) -> Router {
    let routes = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/reset", post(reset))
        .route("/topics", post(topics::create))
        .route("/trace", get(trace::follow))
        .route("/client-metrics", get(client_metrics::get))
        .with_state(Arc::clone(&shared));
    routes
        .merge(redpanda::routes(Arc::clone(&shared)))
        .merge(metrics::routes(metrics))
        .merge(added)
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(shared, with_guard))
}

/// Answers `GET /health`; without the version and the reasons if the host of the request is unknown. A broker that starts,
/// recovers or stops is healthy, because a restart would only take longer.
async fn health(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    let readiness = shared.readiness();
    let (code, status) = match readiness.storage_failed {
        true => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
        false => (StatusCode::OK, "alive"),
    };
    let mut body = json!({ "status": status });
    if guard::host_refusal(&uri, &headers, &shared.known_hosts, guard::ALLOWED_HOSTS).is_none() {
        body["version"] = json!(env!("CARGO_PKG_VERSION"));
        body["ready"] = json!(readiness.serving.is_some());
        body["reasons"] = json!(readiness.reasons);
    }
    if readiness.storage_failed {
        body["error"] = json!("the storage has failed");
    }
    respond(code, &body)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let Readiness { serving, reasons, .. } = shared.readiness();
    match serving {
        Some(serving) => respond(
            StatusCode::OK,
            &json!({
                "status": "ready",
                "bootstrap_servers": &*serving.bootstrap_servers,
                "cluster_id": serving.broker.cluster_id(),
                "reasons": reasons,
            }),
        ),
        None => respond(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "status": "not ready", "error": reasons.join("; "), "reasons": reasons }),
        ),
    }
}

async fn reset(State(shared): State<Arc<Shared>>) -> Response {
    let Some(_turn) = shared.turns.next().await else { return too_many_changes() };
    let Some(serving) = shared.serving() else { return not_ready() };
    // A task of its own, so that a client that disconnects does not leave the reset incomplete.
    let trace = Arc::clone(&shared.trace);
    let reset = async move {
        let done = serving.broker.reset().await?;
        // A trace of the last minutes is about the test that runs then.
        trace.clear();
        Ok::<_, MetadataUnavailable>(done)
    };
    match tokio::spawn(reset).await {
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

const SUPPORTED: &str = "the supported requests are GET /health, GET /ready, GET /metrics, GET /trace, GET /client-metrics, \
     POST /reset and POST /topics; with ottla.console.enable=true, /console/ and /api/v1/ too";

async fn unknown_path() -> Response {
    refuse(StatusCode::NOT_FOUND, SUPPORTED)
}

async fn unknown_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, SUPPORTED)
}

pub(super) fn too_many_changes() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "too many changes are in progress")
}

pub(super) fn not_ready() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "the broker is starting or stopping")
}

/// Refuses the requests of web pages.
async fn with_guard(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    mut request: Request,
    next: Next,
) -> Response {
    let (known_hosts, scheme) = (&shared.known_hosts, shared.scheme);
    let refusal = guard::refusal(request.method(), request.uri(), request.headers(), known_hosts, scheme);
    let Some(reason) = refusal else {
        // For the console, which opens connections on behalf of this address.
        request.extensions_mut().insert(caller.peer);
        return next.run(request).await;
    };
    let (limiter, peer) = (&shared.limiter, caller.peer);
    let (method, path) = (request.method(), request.uri().path());
    log_limited!(
        WARN, limiter, peer.ip(), REFUSED,
        client = %peer, %method, path, reason, "refused an admin request"
    );
    refuse(StatusCode::FORBIDDEN, &reason)
}

/// Milliseconds with three decimals.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
