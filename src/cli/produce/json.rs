//! Reads a record from a line of JSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Item;
use crate::cli::tools::kafka_console_producer::line_reader::OwnedHeader;

/// JSON text as it was written; `None` for null.
type Json = Option<Box<RawValue>>;

/// The fields of an object. `topic` and `offset` are ignored, so that the output of `ottla consume --json` can be written
/// again.
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

/// Headers in their order: an object by name, or a list of `{"key": …, "value": …}`.
#[derive(Default)]
struct Headers(Vec<(String, Json)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    value: Json,
}

/// Reads `{"key": …, "value": …, "headers": {…}, "partition": 0, "timestamp": 0}`; all fields are optional. A string
/// becomes its UTF-8 bytes, null stays null, and any other value becomes its JSON text.
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
    fn object_is_read_with_all_fields_optional() {
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
    fn invalid_object_is_an_error() {
        let check = |line| assert!(item(line).is_err(), "{line}");
        check("a");
        check(r#"{"valeu":1}"#);
        check(r#"{"partition":"a"}"#);
    }
}
