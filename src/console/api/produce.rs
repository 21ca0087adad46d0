//! `POST /topics/{topic}/records`: produces records.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::topics::metadata;
use super::{Created, Json, JsonBody};
use crate::error::{ApiError, Result};
use crate::schemas::Schemas;
use crate::{Console, Kafka};
use ottla_client::producer::partition_of_key;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, PartitionIndex, TimestampMs};

/// The number of records of one request.
const MAX_RECORDS: usize = 10_000;
/// The bytes of a request's body, as the admin port limits it.
const MAX_BODY: usize = 1 << 20;
/// The number of headers of one record.
const MAX_HEADERS: usize = 1_000;

/// One record, or a list of records.
#[derive(Debug)]
pub enum Body {
    Many(Vec<NewRecord>),
    One(NewRecord),
}

/// A record. A key or value is text, null, `{"base64": "…"}`, or another JSON value, which is written as JSON. They are kept
/// as text: parsed, a body of many small values would take 30 times its size.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    #[serde(default)]
    key: Option<Box<RawValue>>,
    #[serde(default)]
    value: Option<Box<RawValue>>,
    /// The schema by which the key or the value, which is JSON then, is encoded.
    key_schema_id: Option<i32>,
    value_schema_id: Option<i32>,
    #[serde(default)]
    headers: Headers,
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
    value: Option<Box<RawValue>>,
}

/// At most [`MAX_HEADERS`].
#[derive(Debug, Default)]
struct Headers(Vec<NewHeader>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
        deserializer.deserialize_seq(Bounded { max: MAX_HEADERS, what: "headers", item: PhantomData }).map(Headers)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Body, D::Error> {
        deserializer.deserialize_map(BodyVisitor)
    }
}

/// Reads one record, or the field `records`, without keeping the body in another form.
struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a record, or an object with records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body, A::Error> {
        let mut record = NewRecord::default();
        let mut seen: [bool; FIELDS.len()] = [false; FIELDS.len()];
        let mut records = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let index = FIELDS.iter().position(|field| *field == name);
            let index = index.ok_or_else(|| A::Error::unknown_field(&name, FIELDS))?;
            if seen.get_mut(index).is_none_or(|seen| std::mem::replace(seen, true)) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            match &*name {
                "records" => records = Some(map.next_value::<Records>()?.0),
                "key" => record.key = map.next_value()?,
                "value" => record.value = map.next_value()?,
                "key_schema_id" => record.key_schema_id = map.next_value()?,
                "value_schema_id" => record.value_schema_id = map.next_value()?,
                "headers" => record.headers = map.next_value()?,
                "partition" => record.partition = map.next_value()?,
                _ => record.timestamp = map.next_value()?,
            }
        }
        match records {
            None => Ok(Body::One(record)),
            Some(records) if seen.iter().filter(|seen| **seen).count() == 1 => Ok(Body::Many(records)),
            Some(_) => Err(A::Error::custom("an object with records has no other fields")),
        }
    }
}

/// The fields of a body.
const FIELDS: &[&str] =
    &["records", "key", "value", "key_schema_id", "value_schema_id", "headers", "partition", "timestamp"];

/// At most [`MAX_RECORDS`].
struct Records(Vec<NewRecord>);

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Records, D::Error> {
        deserializer.deserialize_seq(Bounded { max: MAX_RECORDS, what: "records", item: PhantomData }).map(Records)
    }
}

/// Reads a list, and stops at the first item that is too many.
struct Bounded<T> {
    max: usize,
    what: &'static str,
    item: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {} {}", self.max, self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            if read.len() == self.max {
                return Err(A::Error::custom(format!("there are more than {} {}", self.max, self.what)));
            }
            read.push(item);
        }
        Ok(read)
    }
}

/// A record in bytes.
struct Encoded {
    partition: Option<PartitionIndex>,
    timestamp: TimestampMs,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

pub async fn post(
    State(console): State<Arc<Console>>,
    Kafka(client): Kafka,
    Path(topic): Path<String>,
    JsonBody(body): JsonBody<Body, MAX_BODY>,
) -> Result<Created> {
    let records = match body {
        Body::Many(records) => records,
        Body::One(record) => vec![record],
    };
    let found = metadata(&client, Some(&topic)).await?;
    let mut existing: Vec<PartitionIndex> =
        found.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.partition_index).collect();
    existing.sort_unstable();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64);
    let schemas = console.connect.schemas();
    let encode_all = move || records.into_iter().map(|record| encode(record, now, schemas.as_deref())).collect();
    let encoded: Result<Vec<Encoded>> = match tokio::task::spawn_blocking(encode_all).await {
        Ok(encoded) => encoded,
        Err(error) => Err(ApiError::internal(error.to_string())),
    };
    let records = encoded?;
    // The places of the records in their partitions, in the order of the request.
    let mut placed = Vec::with_capacity(records.len());
    let mut batches: BTreeMap<PartitionIndex, (BatchBuilder, i64)> = BTreeMap::new();
    for record in records {
        let partition = match record.partition {
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

/// Encodes a record. May block, if it has a schema.
fn encode(record: NewRecord, now: TimestampMs, schemas: Option<&dyn Schemas>) -> Result<Encoded> {
    let header = |header: NewHeader| Ok((header.key, bytes(header.value.as_deref())?));
    let part = |value: Option<&RawValue>, schema_id: Option<i32>| match (value.map(RawValue::get), schema_id) {
        (Some(json), Some(schema_id)) if json != "null" => {
            let schemas = schemas.ok_or_else(|| ApiError::invalid("this broker has no schema registry"))?;
            let encoded = schemas.encode(schema_id, json);
            encoded.map(Some).map_err(|error| ApiError::kafka(ErrorCode::InvalidRecord, error))
        }
        _ => bytes(value),
    };
    Ok(Encoded {
        partition: record.partition,
        timestamp: record.timestamp.unwrap_or(now),
        key: part(record.key.as_deref(), record.key_schema_id)?,
        value: part(record.value.as_deref(), record.value_schema_id)?,
        headers: record.headers.0.into_iter().map(header).collect::<Result<_>>()?,
    })
}

fn bytes(value: Option<&RawValue>) -> Result<Option<Vec<u8>>> {
    let Some(text) = value.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    if text.starts_with('"') {
        let text: String = serde_json::from_str(text).map_err(|error| ApiError::invalid(error.to_string()))?;
        return Ok(Some(text.into_bytes()));
    }
    if let Ok(Encoded64 { base64 }) = serde_json::from_str(text) {
        let text = serde_json::from_str::<Cow<'_, str>>(base64.get()).ok();
        let decoded = text.and_then(|text| BASE64.decode(&*text).ok());
        return decoded.map(Some).ok_or_else(|| ApiError::invalid("the value of base64 is not valid base64"));
    }
    Ok(Some(without_whitespace(text)))
}

/// Bytes in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded64<'a> {
    #[serde(borrow)]
    base64: &'a RawValue,
}

/// JSON without the whitespace outside of its strings. Numbers keep all their digits, and objects their order.
fn without_whitespace(json: &str) -> Vec<u8> {
    let (mut out, mut in_string, mut escaped) = (Vec::with_capacity(json.len()), false, false);
    for byte in json.bytes() {
        if in_string || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_or_value_is_text_base64_json_or_null() {
        let check = |json: &str, expect: Option<&[u8]>| {
            let value: Option<Box<RawValue>> = serde_json::from_str(json).unwrap();
            assert_eq!(bytes(value.as_deref()).unwrap().as_deref(), expect, "{json}");
        };
        check("null", None);
        check("\"\"", Some(b""));
        check("\"{\\\"a\\\": 1}\"", Some(b"{\"a\": 1}"));
        check("{\"a\" : 1}", Some(b"{\"a\":1}"));
        check("{\"base64\": \"/w==\"}", Some(b"\xff"));
        check("{\"base64\": \"\\u002fw==\"}", Some(b"\xff"));
        check("{\"base64\": \"x\", \"b\": 1}", Some(b"{\"base64\":\"x\",\"b\":1}"));
        check(
            "[ 12345678901234567890123 , \" \\\" \\\\\" , true ]",
            Some(b"[12345678901234567890123,\" \\\" \\\\\",true]"),
        );
        for invalid in ["{\"base64\": \"x\"}", "{\"base64\": 1}"] {
            let value: Box<RawValue> = serde_json::from_str(invalid).unwrap();
            assert!(bytes(Some(&value)).is_err(), "{invalid}");
        }
    }

    #[test]
    fn body_is_one_record_or_a_bounded_list() {
        let parse = |text: &str| serde_json::from_str::<Body>(text).map_err(|error| error.to_string());
        assert!(matches!(parse("{\"value\": {}}"), Ok(Body::One(record)) if record.value.is_some()));
        assert!(matches!(parse("{}"), Ok(Body::One(_))));
        assert!(matches!(parse("{\"records\": [{}, {\"headers\": []}]}"), Ok(Body::Many(many)) if many.len() == 2));
        let list = |name: &str, item: &str, count| format!("{{\"{name}\": [{}]}}", vec![item; count].join(","));
        assert!(parse(&list("records", "{}", MAX_RECORDS)).is_ok());
        assert!(parse(&list("headers", "{\"key\": \"\"}", MAX_HEADERS)).is_ok());
        // What follows the first item that is too many is not read.
        for (text, expect) in [
            (list("records", "{}", MAX_RECORDS + 1) + "x", "there are more than 10000 records"),
            (list("headers", "{\"key\": \"\"}", MAX_HEADERS + 1), "there are more than 1000 headers"),
            ("{\"records\": [], \"key\": 1}".to_owned(), "an object with records has no other fields"),
            ("{\"key\": 1, \"key\": 2}".to_owned(), "duplicate field `key`"),
            ("{\"kye\": 1}".to_owned(), "unknown field `kye`"),
            ("[]".to_owned(), "a record, or an object with records"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expect), "{error}");
        }
    }
}
