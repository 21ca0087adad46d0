//! `/registry/…`: the REST API of the broker's schema registry.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;

use super::CHANGE_TIMEOUT_MS;
use crate::error::{ApiError, Result};
use crate::schemas::{RegistryRequest, Schemas};
use crate::{Console, Kafka};
use ottla_client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use ottla_wire::types::ErrorCode;

/// The path of these routes.
const PREFIX: &str = "/registry";
/// Codes of operations in Kafka's `AclOperation`.
const READ: u32 = 3;
const WRITE: u32 = 4;

/// Passes a request on to the registry, if the console's principal may do the same with the registry's topic.
pub async fn pass_on(
    State(console): State<Arc<Console>>,
    Kafka(client): Kafka,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Result<Response> {
    let schemas = console.connect.schemas();
    let schemas = schemas.ok_or_else(|| ApiError::not_found("this broker has no schema registry"))?;
    let path = uri.path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
    authorize(&client, &*schemas, is_change(&method, &path)).await?;
    let query = uri.query().unwrap_or_default().to_owned();
    let request = RegistryRequest { method: method.as_str().to_owned(), path, query, body: body.to_vec() };
    let answered = schemas.respond(request).await;
    let answered = answered.ok_or_else(|| ApiError::busy("the schema registry does not answer"))?;
    let mut response = Response::new(Body::from(answered.body));
    *response.status_mut() = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answered.content_type));
    Ok(response)
}

/// Whether a request may change schemas. Checks of compatibility and searches for a schema are read by POST.
fn is_change(method: &Method, path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_read = matches!(
        (method, segments.as_slice()),
        (&Method::GET | &Method::HEAD, _) | (&Method::POST, ["compatibility", ..] | ["subjects", _])
    );
    !is_read
}

async fn authorize(client: &Client, schemas: &dyn Schemas, is_change: bool) -> Result<()> {
    let topic = schemas.topic();
    let refused = |message: String| ApiError::kafka(ErrorCode::TopicAuthorizationFailed, message);
    if schemas.needs_password() {
        let message = "the schema registry has users, and the admin port has no token; set ottla.admin.token";
        return Err(refused(message.to_owned()));
    }
    let name = Str::from(topic.as_str());
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(name.clone()), ..Default::default() }]),
        allow_auto_topic_creation: false,
        include_topic_authorized_operations: true,
        ..Default::default()
    };
    let found = client.call(request).await?.topics.into_iter().next();
    let found = found.ok_or_else(|| ApiError::internal("the response about the topic is incomplete"))?;
    match ErrorCode::from_code(found.error_code) {
        // The registry creates it with the first schema.
        Some(ErrorCode::UnknownTopicOrPartition) if !is_change => return Ok(()),
        Some(ErrorCode::UnknownTopicOrPartition) => return may_create(client, name).await,
        _ => ApiError::check(found.error_code, None, &format!("topic {topic}"))?,
    }
    let (operation, verb) = if is_change { (WRITE, "write to") } else { (READ, "read") };
    match found.topic_authorized_operations & (1 << operation) {
        0 => Err(refused(format!("the console's principal is not allowed to {verb} the topic {topic}"))),
        _ => Ok(()),
    }
}

async fn may_create(client: &Client, name: Str) -> Result<()> {
    let topic = CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: CHANGE_TIMEOUT_MS, validate_only: true };
    let response = client.call(request).await?;
    let created = response.topics.first();
    let created = created.ok_or_else(|| ApiError::internal("the response about the topic is incomplete"))?;
    match ErrorCode::from_code(created.error_code) {
        Some(ErrorCode::TopicAlreadyExists) => Ok(()),
        _ => ApiError::check(created.error_code, created.error_message.as_deref(), "the schema registry's topic"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_and_searches_are_no_changes() {
        let check = |method: Method, path, expect| assert_eq!(is_change(&method, path), expect, "{method} {path}");
        check(Method::GET, "/subjects", false);
        check(Method::POST, "/subjects/a", false);
        check(Method::POST, "/compatibility/subjects/a/versions/latest", false);
        check(Method::POST, "/subjects/a/versions", true);
        check(Method::POST, "/subjects/a/versions/1/tags", true);
        check(Method::POST, "/contexts/c/subjects/a", true);
        check(Method::PUT, "/config", true);
        check(Method::DELETE, "/subjects/a", true);
    }
}
