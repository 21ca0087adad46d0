//! The part of Redpanda's admin API that test libraries, health checks and scripts use, in Redpanda's paths and JSON.
//!
//! | request | response |
//! |---|---|
//! | `GET /v1` | 200 with the paths |
//! | `GET /v1/status/ready` | 200 while Kafka clients are served |
//! | `GET /v1/brokers`, `GET /v1/cluster/health_overview` | this broker, which is the whole cluster |
//! | `GET /v1/security/users` | the names of users with SCRAM credentials |
//! | `POST /v1/security/users` | 200 when the user of the body exists: `{"username":"ann","password":"secret","algorithm":"SCRAM-SHA-256"}` |
//! | `PUT /v1/security/users/NAME` | 200 when the user has the password of the body |
//! | `DELETE /v1/security/users/NAME` | 200 when the user does not exist |
//!
//! An unsuccessful response has a `message` and a `code`.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, put};
use serde_json::{Value, json};

use super::super::listener::respond;
use super::{MAX_BODY, Serving, Shared};
use crate::state::UserError;
use ottla_config::{Password, User};
use ottla_core::security::sasl::ScramMechanism;

/// The path of users; clients of Redpanda send no header of ours there.
pub(super) const USERS: &str = "/v1/security/users";

const PATHS: [&str; 5] =
    ["/v1/brokers", "/v1/cluster/health_overview", USERS, "/v1/security/users/{user}", "/v1/status/ready"];

/// The routes.
pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1", get(|| async { respond(StatusCode::OK, &json!({ "paths": PATHS })) }))
        .route("/v1/status/ready", get(ready))
        .route("/v1/brokers", get(brokers))
        .route("/v1/cluster/health_overview", get(health))
        .route(USERS, get(list).post(create))
        .route("/v1/security/users/{user}", put(update).delete(remove))
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.serving() {
        Some(_) => respond(StatusCode::OK, &json!({"status": "ready"})),
        None => respond(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "booting"})),
    }
}

async fn brokers(State(shared): State<Arc<Shared>>) -> Response {
    let Some(serving) = shared.serving() else { return starting() };
    respond(
        StatusCode::OK,
        &json!([{
            "node_id": serving.broker.node_id(),
            "membership_status": "active",
            "is_alive": true,
            "version": concat!("ottla ", env!("CARGO_PKG_VERSION")),
        }]),
    )
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let Some(serving) = shared.serving() else { return starting() };
    let id = serving.broker.node_id();
    respond(
        StatusCode::OK,
        &json!({
            "is_healthy": true,
            "unhealthy_reasons": [],
            "controller_id": id,
            "all_nodes": [id],
            "nodes_down": [],
            "leaderless_partitions": [],
            "under_replicated_partitions": [],
        }),
    )
}

async fn list(State(shared): State<Arc<Shared>>) -> Response {
    match shared.serving() {
        Some(serving) => respond(StatusCode::OK, &json!(serving.broker.scram_users())),
        None => starting(),
    }
}

async fn create(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (serving, body) = match begin(&shared, request).await {
        Ok(begun) => begun,
        Err(refusal) => return refusal,
    };
    let Some(name) = body.get("username").and_then(Value::as_str).map(str::to_owned) else {
        return error(StatusCode::BAD_REQUEST, "username is missing, or is not text");
    };
    // Two requests for the same user are decided one after the other.
    let _alone = shared.user_changes.lock().await;
    let broker = &serving.broker;
    let user = match user_of(&body, name) {
        Ok(user) => user,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    if broker.scram_users().contains(&user.0.name) {
        // The same request again has the same response.
        return match broker.has_scram_password(user.0).await {
            true => done(),
            false => error(StatusCode::BAD_REQUEST, "the user exists already, with another password"),
        };
    }
    answer(broker.set_scram_password(user.0, user.1).await)
}

async fn update(State(shared): State<Arc<Shared>>, Path(name): Path<String>, request: Request) -> Response {
    let (serving, body) = match begin(&shared, request).await {
        Ok(begun) => begun,
        Err(refusal) => return refusal,
    };
    let _alone = shared.user_changes.lock().await;
    if !serving.broker.scram_users().contains(&name) {
        return error(StatusCode::NOT_FOUND, "the user does not exist");
    }
    match user_of(&body, name) {
        Ok((user, mechanism)) => answer(serving.broker.set_scram_password(user, mechanism).await),
        Err(why) => error(StatusCode::BAD_REQUEST, &why),
    }
}

async fn remove(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let Some(serving) = shared.serving() else { return starting() };
    let _alone = shared.user_changes.lock().await;
    answer(serving.broker.remove_scram_user(&name).await)
}

/// The broker and the body of a request for a change.
async fn begin(shared: &Shared, request: Request) -> Result<(Serving, Value), Response> {
    let serving = shared.serving().ok_or_else(starting)?;
    let body = to_bytes(request.into_body(), MAX_BODY).await;
    let body = body.map_err(|_| error(StatusCode::BAD_REQUEST, "the body is incomplete or too large"))?;
    match serde_json::from_slice(&body) {
        Ok(Value::Object(fields)) => Ok((serving, Value::Object(fields))),
        Ok(_) => Err(error(StatusCode::BAD_REQUEST, "the body is not a JSON object")),
        Err(why) => Err(error(StatusCode::BAD_REQUEST, &format!("the body is not JSON: {why}"))),
    }
}

/// The user of a body. The error is one line.
fn user_of(body: &Value, name: String) -> Result<(User, ScramMechanism), String> {
    let text = |field: &str| {
        let text = body.get(field).and_then(Value::as_str);
        text.ok_or_else(|| format!("{field} is missing, or is not text"))
    };
    let (algorithm, password) = (text("algorithm")?, text("password")?);
    let mechanism = ScramMechanism::named(algorithm)
        .ok_or_else(|| format!("the algorithm {} is not SCRAM-SHA-256 or SCRAM-SHA-512", algorithm.escape_debug()))?;
    if name.is_empty() || name.contains(char::is_control) {
        return Err("the username is empty or has control characters".to_owned());
    }
    if password.is_empty() || password.contains(char::is_control) {
        return Err("the password is empty or has control characters".to_owned());
    }
    Ok((User { name, password: Password::new(password) }, mechanism))
}

fn answer(outcome: Result<(), UserError>) -> Response {
    match outcome {
        Ok(()) => done(),
        Err(UserError::Refused(why)) => error(StatusCode::BAD_REQUEST, &why.to_string()),
        Err(why @ (UserError::Unavailable(_) | UserError::Failed(_))) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, &why.to_string())
        }
    }
}

fn done() -> Response {
    respond(StatusCode::OK, &json!({}))
}

fn starting() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "the broker is starting or stopping")
}

fn error(status: StatusCode, message: &str) -> Response {
    respond(status, &json!({"message": message, "code": status.as_u16()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_with_a_fault_is_refused_with_the_reason() {
        for (body, name, expect) in [
            (json!({"password": "a"}), "ann", "algorithm is missing, or is not text"),
            (json!({"algorithm": "SCRAM-SHA-256", "password": 1}), "ann", "password is missing, or is not text"),
            (
                json!({"algorithm": "PLAIN", "password": "a"}),
                "ann",
                "the algorithm PLAIN is not SCRAM-SHA-256 or SCRAM-SHA-512",
            ),
            (
                json!({"algorithm": "SCRAM-SHA-256", "password": "a"}),
                "a\nb",
                "the username is empty or has control characters",
            ),
            (
                json!({"algorithm": "SCRAM-SHA-512", "password": ""}),
                "ann",
                "the password is empty or has control characters",
            ),
        ] {
            assert_eq!(user_of(&body, name.to_owned()).unwrap_err(), expect);
        }
        let (user, mechanism) =
            user_of(&json!({"algorithm": "SCRAM-SHA-512", "password": "b"}), "ann".to_owned()).unwrap();
        assert_eq!((user.name.as_str(), user.password.expose(), mechanism), ("ann", "b", ScramMechanism::Sha512));
    }
}
