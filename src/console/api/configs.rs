//! Settings of topics and brokers: their values, where each came from, and changes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Json, JsonBody};
use crate::Kafka;
use crate::error::{ApiError, Result};
use ottla_client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

/// The types of resources with settings (`ConfigResource.Type`).
pub const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// The operations of a change (`AlterConfigOp.OpType`).
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Changes of settings: a value, or null for the default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    configs: BTreeMap<String, Option<Value>>,
    #[serde(default)]
    validate_only: bool,
}

pub async fn broker(Kafka(client): Kafka) -> Result<Json> {
    let id = broker_id(&client).await?;
    Ok(Json(json!({"broker": id, "configs": describe(&client, BROKER, &id.to_string()).await?})))
}

pub async fn change_broker(Kafka(client): Kafka, JsonBody(change): JsonBody<Change>) -> Result<Json> {
    let id = broker_id(&client).await?;
    alter(&client, BROKER, &id.to_string(), &change.configs, change.validate_only).await?;
    Ok(Json(json!({"broker": id, "changed": !change.validate_only})))
}

async fn broker_id(client: &Client) -> Result<i32> {
    let cluster = client.metadata(Some(&[])).await?;
    let first = cluster.brokers.first().map(|broker| broker.node_id);
    first.ok_or_else(|| ApiError::internal("the broker's metadata names no broker"))
}

/// The settings of a resource, by name.
pub async fn describe(client: &Client, kind: i8, name: &str) -> Result<Vec<Value>> {
    let resource =
        DescribeConfigsResource { resource_type: kind, resource_name: Str::from(name), configuration_keys: None };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: true };
    let response = client.call(request).await?;
    let result = response.results.into_iter().next();
    let result = result.ok_or_else(|| ApiError::internal("the response about settings is incomplete"))?;
    ApiError::check(result.error_code, result.error_message.as_deref(), &format!("settings of {name}"))?;
    let mut configs = result.configs;
    configs.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(configs.iter().map(config).collect())
}

fn config(config: &DescribeConfigsResourceResult) -> Value {
    let synonyms = config.synonyms.iter().map(
        |synonym| json!({"name": &*synonym.name, "value": synonym.value.as_deref(), "source": source(synonym.source)}),
    );
    json!({
        "name": &*config.name,
        "value": config.value.as_deref(),
        "source": source(config.config_source),
        "dynamic": !config.read_only,
        "sensitive": config.is_sensitive,
        "type": type_name(config.config_type),
        "documentation": config.documentation.as_deref(),
        "synonyms": synonyms.collect::<Vec<_>>(),
    })
}

/// Kafka's names (`ConfigEntry.ConfigSource`).
fn source(number: i8) -> &'static str {
    match number {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

/// Kafka's names (`ConfigEntry.ConfigType`).
fn type_name(number: i8) -> &'static str {
    match number {
        1 => "BOOLEAN",
        2 => "STRING",
        3 => "INT",
        4 => "SHORT",
        5 => "LONG",
        6 => "DOUBLE",
        7 => "LIST",
        8 => "CLASS",
        9 => "PASSWORD",
        _ => "UNKNOWN",
    }
}

/// Changes settings of a resource.
pub async fn alter(
    client: &Client,
    kind: i8,
    name: &str,
    configs: &BTreeMap<String, Option<Value>>,
    validate_only: bool,
) -> Result<()> {
    let alter = |(name, value): (&String, &Option<Value>)| {
        let (config_operation, value) = match value {
            Some(value) => (SET, Some(Str::from(text(name, value)?.as_str()))),
            None => (DELETE, None),
        };
        Ok(AlterableConfig { name: Str::from(name.as_str()), config_operation, value })
    };
    let configs = configs.iter().map(alter).collect::<Result<Vec<_>>>()?;
    let resource = AlterConfigsResource { resource_type: kind, resource_name: Str::from(name), configs };
    let response = client.call(IncrementalAlterConfigsRequest { resources: vec![resource], validate_only }).await?;
    let result = response.responses.first();
    let result = result.ok_or_else(|| ApiError::internal("the response about settings is incomplete"))?;
    ApiError::check(result.error_code, result.error_message.as_deref(), &format!("settings of {name}"))
}

/// The text of a setting. Numbers and booleans are accepted, because Kafka has only text.
pub fn text(name: &str, value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(ApiError::invalid(format!("the value of {name} is not text")))
        }
    }
}
