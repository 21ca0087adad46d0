//! The routes of the API, and what they have in common. Each module has the routes of one subject.

mod candidate;
mod cluster;
mod configs;
mod groups;
mod offsets;
mod produce;
mod records;
mod registry;
mod scan;
mod security;
mod topics;
mod transactions;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Console;
use crate::assets::with_security_headers;
use crate::error::{ApiError, Result};

/// How long the broker may take for a change, in milliseconds.
const CHANGE_TIMEOUT_MS: i32 = 30_000;

/// The bytes of a body that has no records. Parsed, a body of tiny values takes 30 times its size.
const MAX_BODY: usize = 256 << 10;

/// The routes under `/api/v1/`.
pub fn routes(console: Arc<Console>) -> Router {
    let routes = Router::new()
        .route("/cluster", get(cluster::get))
        .route("/topics", get(topics::list).post(topics::create))
        .route("/topics/{topic}", get(topics::get).patch(topics::change).delete(topics::delete))
        .route("/topics/{topic}/records", get(records::get).post(produce::post).delete(topics::delete_records))
        .route("/groups", get(groups::list))
        .route("/groups/{group}", get(groups::get).delete(groups::delete))
        .route("/groups/{group}/offsets", post(offsets::post))
        .route("/configs/broker", get(configs::broker).patch(configs::change_broker))
        .route("/transactions", get(transactions::list))
        .route("/producers", get(transactions::producers))
        .route("/acls", get(security::acls).post(security::create_acl))
        .route("/acls", delete(security::delete_acl))
        .route("/users", get(security::users))
        .route("/quotas", get(security::quotas).post(security::change_quota))
        .route("/registry/{*path}", any(registry::pass_on))
        .route("/log", get(log))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .with_state(console);
    Router::new().nest("/api/v1", routes).layer(axum::middleware::map_response(with_security_headers))
}

async fn unknown_path() -> ApiError {
    ApiError::not_found("the API has no such path")
}

async fn unknown_method() -> ApiError {
    ApiError::method_not_allowed("the path does not have this method")
}

async fn log(State(console): State<Arc<Console>>) -> Result<Json> {
    let lines = console.log.as_ref().ok_or_else(|| ApiError::not_found("this program keeps no lines of its log"))?;
    Ok(Json(json!({"lines": lines()})))
}

/// A response with JSON.
#[derive(Debug)]
pub struct Json(pub Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", self.0)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// A response to a request that created something.
pub struct Created(pub Json);

impl IntoResponse for Created {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, self.0).into_response()
    }
}

/// A request's body of at most `BYTES` bytes, as JSON with known fields.
pub struct JsonBody<T, const BYTES: usize = MAX_BODY>(pub T);

impl<T: DeserializeOwned, S: Sync + Send, const BYTES: usize> FromRequest<S> for JsonBody<T, BYTES> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|_| ApiError::invalid("the body is incomplete or too large"))?;
        if body.len() > BYTES {
            return Err(ApiError::invalid(format!("the body is larger than {BYTES} bytes")));
        }
        let parsed = serde_json::from_slice(&body);
        parsed.map(JsonBody).map_err(|error| ApiError::invalid(format!("the body is not valid: {error}")))
    }
}
