//! `POST /topics`: creates a topic, for fixtures of tests that have no Kafka client.
//!
//! The body is `{"name":"orders","partitions":3,"configs":{"retention.ms":"1000"}}`; without `partitions`, the topic has
//! `num.partitions`. An unsuccessful response has Kafka's name of the error and a message:
//! `{"error":"TOPIC_ALREADY_EXISTS","message":"…"}`.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::listener::respond;
use super::routes::{not_ready, too_many_changes};
use super::{MAX_BODY, Shared};
use crate::state::topic_cause::TopicCause;
use ottla_core::metadata::NewTopic;
use ottla_wire::types::{ErrorCode, TopicId};

/// The name, partitions and settings of a body. -1 stands for `num.partitions`.
#[derive(Debug, PartialEq)]
struct Body {
    name: String,
    partitions: i32,
    configs: Vec<(String, Option<String>)>,
}

pub(super) async fn create(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(_turn) = shared.turns.next().await else { return too_many_changes() };
    let Some(serving) = shared.serving() else { return not_ready() };
    let Ok(body) = to_bytes(request.into_body(), MAX_BODY).await else {
        return error(ErrorCode::InvalidRequest, "the body is incomplete or too large");
    };
    let topic = match parse(&body) {
        Ok(body) => new_topic(body, serving.broker.new_uuid()),
        Err(why) => return error(ErrorCode::InvalidRequest, &why),
    };
    let name = Arc::clone(&topic.name);
    match serving.broker.create_topic(topic, TopicCause::ADMIN_PORT).await {
        Ok(created) => respond(StatusCode::OK, &json!({"name": &*name, "partitions": created.partitions})),
        Err(why) => error((serving.error_code)(&why), &why.to_string()),
    }
}

fn new_topic(body: Body, id: TopicId) -> NewTopic {
    NewTopic { partitions: body.partitions, configs: body.configs, ..NewTopic::new(body.name.as_str(), id) }
}

/// The error is one line.
fn parse(body: &Bytes) -> Result<Body, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let Value::Object(fields) = value else { return Err("the body is not a JSON object".to_owned()) };
    let (mut name, mut partitions, mut configs) = (None, -1, Vec::new());
    for (field, value) in fields {
        match (field.as_str(), value) {
            ("name", Value::String(text)) => name = Some(text),
            ("partitions", Value::Number(number)) => {
                let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
                partitions = number.ok_or("partitions is not a 32-bit number")?;
            }
            ("configs", Value::Object(settings)) => {
                configs = settings.into_iter().map(setting).collect::<Result<_, _>>()?;
            }
            ("name" | "partitions" | "configs", _) => return Err(format!("{field} has a value of another type")),
            _ => return Err(format!("unknown field {field}; the fields are name, partitions and configs")),
        }
    }
    Ok(Body { name: name.ok_or("name is missing")?, partitions, configs })
}

/// A setting of the topic. Numbers and booleans are accepted, because Kafka has only text.
fn setting((name, value): (String, Value)) -> Result<(String, Option<String>), String> {
    match value {
        Value::String(text) => Ok((name, Some(text))),
        Value::Number(_) | Value::Bool(_) => Ok((name, Some(value.to_string()))),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(format!("the value of {name} is not text")),
    }
}

fn error(code: ErrorCode, message: &str) -> Response {
    let status = match code {
        ErrorCode::TopicAlreadyExists => StatusCode::CONFLICT,
        ErrorCode::KafkaStorageError | ErrorCode::UnknownServerError => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    respond(status, &json!({"error": code.name(), "message": message}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<Body, String> {
        let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        Ok(Body { name: name.to_owned(), partitions, configs })
    }

    #[test]
    fn body_with_optional_fields_is_parsed() {
        for (text, expect) in [
            (r#"{"name":"a"}"#, body("a", -1, &[])),
            (r#"{"name":"a","partitions":3,"configs":{}}"#, body("a", 3, &[])),
            (
                r#"{"configs":{"b":"1","c":2,"d":true},"name":"a"}"#,
                body("a", -1, &[("b", "1"), ("c", "2"), ("d", "true")]),
            ),
        ] {
            assert_eq!(parse(&Bytes::from_static(text.as_bytes())), expect, "{text}");
        }
    }

    #[test]
    fn body_with_a_fault_is_refused_with_the_reason() {
        for (text, expect) in [
            ("", "the body is not JSON"),
            ("[]", "the body is not a JSON object"),
            ("{}", "name is missing"),
            (r#"{"name":1}"#, "name has a value of another type"),
            (r#"{"name":"a","partitions":1e30}"#, "partitions is not a 32-bit number"),
            (r#"{"name":"a","partitions":1.5}"#, "partitions is not a 32-bit number"),
            (r#"{"name":"a","configs":{"b":null}}"#, "the value of b is not text"),
            (r#"{"name":"a","replicas":1}"#, "unknown field replicas"),
        ] {
            let refused = parse(&Bytes::from_static(text.as_bytes())).unwrap_err();
            assert!(refused.starts_with(expect), "{text}: {refused}");
        }
    }
}
