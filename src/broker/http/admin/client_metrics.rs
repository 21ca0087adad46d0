//! `GET /client-metrics`: the clients that push metrics (KIP-714); with `client-instance-id`, one of them with its metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::super::listener::{refuse, respond};
use super::Shared;
use super::routes::not_ready;
use crate::state::client_metrics::{PushedClient, RESOURCE_ATTRIBUTES};
use ottla_metrics::Kind;
use ottla_otlp::Number;
use ottla_wire::types::Uuid;

/// The parameter that names a client instance.
const INSTANCE: &str = "client-instance-id=";

pub(super) async fn get(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let Some(serving) = shared.serving() else { return not_ready() };
    let client_metrics = serving.broker.client_metrics();
    let query = uri.query().unwrap_or_default();
    if query.is_empty() {
        let mut clients = Vec::new();
        client_metrics.each_client(|client| clients.push(Value::Object(summary(client))));
        return respond(StatusCode::OK, &json!({"clients": clients}));
    }
    let Some(wanted) = query.strip_prefix(INSTANCE).and_then(Uuid::parse) else {
        return refuse(StatusCode::BAD_REQUEST, "the parameter is client-instance-id, the id of a client instance");
    };
    let mut found = None;
    client_metrics.each_client(|client| {
        if client.client.instance_id == wanted {
            let mut all = summary(client);
            all.insert("metrics".to_owned(), metrics(client));
            found = Some(Value::Object(all));
        }
    });
    match found {
        Some(client) => respond(StatusCode::OK, &client),
        None => refuse(StatusCode::NOT_FOUND, "no such client instance has pushed metrics lately"),
    }
}

fn summary(pushed: &PushedClient) -> Map<String, Value> {
    let client = &pushed.client;
    let given = RESOURCE_ATTRIBUTES.iter().zip(&pushed.resource).filter(|(_, value)| !value.is_empty());
    let attributes: Map<String, Value> = given.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let fields = [
        ("client_instance_id", json!(client.instance_id.to_string())),
        ("client_id", json!(client.client_id)),
        ("client_software_name", json!(client.software_name)),
        ("client_software_version", json!(client.software_version)),
        ("client_source_address", json!(client.source_address)),
        ("attributes", Value::Object(attributes)),
        ("pushes", json!(pushed.pushes)),
        ("last_push_timestamp", json!(pushed.last_push)),
        ("terminated", json!(pushed.terminated)),
        ("series", json!(pushed.series.len())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn metrics(pushed: &PushedClient) -> Value {
    let series = pushed.series.iter().map(|(key, series)| {
        let labels: Map<String, Value> = key.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let is_counter = series.kind == Kind::Counter;
        let (kind, ending) = if is_counter { ("counter", "_total") } else { ("gauge", "") };
        // A number that JSON does not have (NaN, infinity) is null.
        let value = match series.value {
            Number::Int(number) => json!(number),
            Number::Double(number) => json!(number),
        };
        json!({"name": format!("{}{ending}", key.name), "kind": kind, "labels": labels, "value": value})
    });
    Value::Array(series.collect())
}
