//! `POST /topics/{topic}/records`: produces records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::topics::metadata;
use super::{Created, Json, JsonBody};
use crate::error::{ApiError, Result};
use crate::{Console, Kafka};
use ottla_client::producer::partition_of_key;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, PartitionIndex, TimestampMs};

/// The number of records of one request.
const MAX_RECORDS: usize = 10_000;

/// One record, or a list of records.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Body {
    Many { records: Vec<NewRecord> },
    One(NewRecord),
}

/// A record. A key or value is text, null, `{"base64": "…"}`, or another JSON value, which is written as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    #[serde(default)]
    key: Value,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    headers: Vec<NewHeader>,
    /// Without it, the key decides.
    partition: Option<PartitionIndex>,
    /// The broker's time if it is missing.
    timestamp: Option<TimestampMs>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewHeader {
    key: String,
    #[serde(default)]
    value: Value,
}

/// A record in bytes.
struct Encoded {
    timestamp: TimestampMs,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

pub async fn post(
    State(console): State<Arc<Console>>,
    Kafka(client): Kafka,
    Path(topic): Path<String>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Created> {
    let records = match body {
        Body::Many { records } => records,
        Body::One(record) => vec![record],
    };
    if records.len() > MAX_RECORDS {
        return Err(ApiError::invalid(format!("a request has at most {MAX_RECORDS} records")));
    }
    let found = metadata(&client, Some(&topic)).await?;
    let mut existing: Vec<PartitionIndex> =
        found.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.partition_index).collect();
    existing.sort_unstable();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64);
    // The places of the records in their partitions, in the order of the request.
    let mut placed = Vec::with_capacity(records.len());
    let mut batches: BTreeMap<PartitionIndex, (BatchBuilder, i64)> = BTreeMap::new();
    for record in records {
        let wanted = record.partition;
        let record = encode(record, now)?;
        let partition = match wanted {
            Some(partition) if existing.binary_search(&partition).is_ok() => partition,
            Some(partition) => {
                let message = format!("topic {topic} has no partition {partition}");
                return Err(ApiError::kafka(ErrorCode::UnknownTopicOrPartition, message));
            }
            None => {
                let index = match &record.key {
                    Some(key) => partition_of_key(key, existing.len()),
                    None => console.next_partition.fetch_add(1, Ordering::Relaxed) % existing.len().max(1),
                };
                existing.get(index).copied().unwrap_or_default()
            }
        };
        let (batch, count) = batches.entry(partition).or_insert_with(|| (BatchBuilder::new(Codec::None), 0));
        let headers: Vec<_> = record.headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref())).collect();
        batch.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
        placed.push((partition, *count));
        *count += 1;
    }
    let mut base_offsets = BTreeMap::new();
    for (partition, (batch, _)) in batches {
        let batch = batch.build().map_err(|error| ApiError::invalid(error.to_string()))?;
        let produced = client.produce(&topic, partition, batch.bytes().clone()).await?;
        base_offsets.insert(partition, produced.base_offset);
    }
    let record = |(partition, index): &(PartitionIndex, i64)| {
        let offset = base_offsets.get(partition).map(|base| base + index);
        json!({"partition": partition, "offset": offset})
    };
    Ok(Created(Json(json!({"records": placed.iter().map(record).collect::<Vec<_>>()}))))
}

fn encode(record: NewRecord, now: TimestampMs) -> Result<Encoded> {
    let header = |header: NewHeader| Ok((header.key, bytes(header.value)?));
    Ok(Encoded {
        timestamp: record.timestamp.unwrap_or(now),
        key: bytes(record.key)?,
        value: bytes(record.value)?,
        headers: record.headers.into_iter().map(header).collect::<Result<_>>()?,
    })
}

fn bytes(value: Value) -> Result<Option<Vec<u8>>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into_bytes())),
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("base64") => {
            let text = fields.get("base64").and_then(Value::as_str);
            let decoded = text.and_then(|text| BASE64.decode(text).ok());
            decoded.map(Some).ok_or_else(|| ApiError::invalid("the value of base64 is not valid base64"))
        }
        json => Ok(Some(json.to_string().into_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_or_value_is_text_base64_json_or_null() {
        let check = |value: Value, expect: Option<&[u8]>| {
            assert_eq!(bytes(value.clone()).unwrap().as_deref(), expect, "{value}");
        };
        check(Value::Null, None);
        check(json!(""), Some(b""));
        check(json!("{\"a\": 1}"), Some(b"{\"a\": 1}"));
        check(json!({"a": 1}), Some(b"{\"a\":1}"));
        check(json!({"base64": "/w=="}), Some(b"\xff"));
        check(json!({"base64": "x", "b": 1}), Some(b"{\"b\":1,\"base64\":\"x\"}"));
        assert!(bytes(json!({"base64": "x"})).is_err());
        assert!(bytes(json!({"base64": 1})).is_err());
    }
}
