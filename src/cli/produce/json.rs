//! A record as a line of JSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Item;
use crate::cli::tools::kafka_console_producer::line_reader::OwnedHeader;

/// Text of JSON as it was written, none for null.
type Json = Option<Box<RawValue>>;

/// What an object may say. Where it was before (`topic`, `offset`) doesn't matter, so that records that were read as JSON
/// can be written again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: Json,
    value: Json,
    #[serde(default)]
    headers: Headers,
    partition: Option<i32>,
    timestamp: Option<i64>,
    #[serde(rename = "topic")]
    _topic: Option<String>,
    #[serde(rename = "offset")]
    _offset: Option<i64>,
}

/// By name, or listed as `{"key": …, "value": …}`; in the order in which they stand.
#[derive(Default)]
struct Headers(Vec<(String, Json)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    value: Json,
}

/// Reads `{"key": …, "value": …, "headers": {…}, "partition": 0, "timestamp": 0}`; all of it may be left out. Strings
/// are bytes as they are, null is null, and anything else is written as the JSON that it is.
pub fn item(line: &str) -> Result<Item, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let header = |(key, value): (String, Json)| -> OwnedHeader { (key.into_bytes(), bytes(value)) };
    let headers = line.headers.0.into_iter().map(header).collect();
    let (key, value) = (bytes(line.key), bytes(line.value));
    Ok(Item { key, value, headers, partition: line.partition, timestamp: line.timestamp })
}

fn bytes(value: Json) -> Option<Vec<u8>> {
    let value = value?;
    let text: Result<String, _> = serde_json::from_str(value.get());
    Some(text.unwrap_or_else(|_| value.get().to_owned()).into_bytes())
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers: an object, or a list of objects with key and value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::default();
        while let Some(entry) = map.next_entry()? {
            headers.0.push(entry);
        }
        Ok(headers)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::default();
        while let Some(Header { key, value }) = list.next_element()? {
            headers.0.push((key, value));
        }
        Ok(headers)
    }

    fn visit_unit<E>(self) -> Result<Headers, E> {
        Ok(Headers::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects() {
        let check = |line, expect: Item| assert_eq!(item(line), Ok(expect), "{line}");
        let some = |text: &str| Some(text.as_bytes().to_vec());
        check("{}", Item::default());
        let nested = Item { key: some("a\n"), value: some(r#"{"b":1, "a":2}"#), ..Item::default() };
        check(r#"{"key":"a\n","value":{"b":1, "a":2}}"#, nested);
        check(r#"{"value":null,"headers":null}"#, Item::default());
        let headers = vec![(b"h".to_vec(), some("1")), (b"g".to_vec(), None)];
        check(r#"{"headers":{"h":1,"g":null}}"#, Item { headers: headers.clone(), ..Item::default() });
        check(r#"{"headers":[{"key":"h","value":"1"},{"key":"g"}]}"#, Item { headers, ..Item::default() });
        let placed = Item { partition: Some(2), timestamp: Some(5), ..Item::default() };
        check(r#"{"topic":"t","offset":7,"partition":2,"timestamp":5}"#, placed);
    }

    #[test]
    fn mistakes() {
        let check = |line| assert!(item(line).is_err(), "{line}");
        check("a");
        check(r#"{"valeu":1}"#);
        check(r#"{"partition":"a"}"#);
    }
}
