//! A record as a line of JSON.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Item;

/// What an object may say. Where it was before (`topic`, `offset`) doesn't matter, so that records that were read as JSON
/// can be written again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    key: Value,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    headers: Headers,
    partition: Option<i32>,
    timestamp: Option<i64>,
    #[serde(rename = "topic")]
    _topic: Option<String>,
    #[serde(rename = "offset")]
    _offset: Option<i64>,
}

/// By name, or listed where a name stands more than once.
#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    ByName(Map<String, Value>),
    Listed(Vec<Header>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    #[serde(default)]
    value: Value,
}

impl Default for Headers {
    fn default() -> Headers {
        Headers::Listed(Vec::new())
    }
}

/// Reads `{"key": …, "value": …, "headers": {…}, "partition": 0, "timestamp": 0}`; all of it may be left out. Strings
/// are bytes as they are, null is null, and anything else is written as JSON.
pub fn item(line: &str) -> Result<Item, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let headers = match line.headers {
        Headers::ByName(map) => map.into_iter().map(|(key, value)| (key.into_bytes(), bytes(value))).collect(),
        Headers::Listed(list) => {
            list.into_iter().map(|header| (header.key.into_bytes(), bytes(header.value))).collect()
        }
    };
    let (key, value) = (bytes(line.key), bytes(line.value));
    Ok(Item { key, value, headers, partition: line.partition, timestamp: line.timestamp })
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.into_bytes()),
        other => Some(other.to_string().into_bytes()),
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
        check(r#"{"key":"a","value":{"b":1}}"#, Item { key: some("a"), value: some(r#"{"b":1}"#), ..Item::default() });
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
