//! Keys and values as JSON, text or hexadecimal digits, for people to read.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::schemas::Decoded;

/// Shows bytes: `{"format": "json", "text": "…", "bytes": 12}`. The text is cut after about `max` bytes, and then has
/// `"truncated": true`.
pub fn show(bytes: &[u8], max: usize) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_json(text) => shown("json", cut(text, max), bytes.len(), text.len() > max),
        Ok(text) => shown("text", cut(text, max), bytes.len(), text.len() > max),
        Err(_) => {
            let kept = bytes.get(..max / 2).unwrap_or(bytes);
            shown("hex", &hex(kept), bytes.len(), kept.len() < bytes.len())
        }
    }
}

/// Shows what a decoder returned, with the schema's id.
pub fn show_decoded(decoded: &Decoded, size: usize, max: usize) -> Value {
    let mut value = shown(decoded.format, cut(&decoded.json, max), size, decoded.json.len() > max);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("schema_id".to_owned(), Value::from(decoded.schema_id));
    }
    value
}

fn shown(format: &str, text: &str, size: usize, truncated: bool) -> Value {
    let mut value = json!({"format": format, "text": text, "bytes": size});
    if truncated && let Some(fields) = value.as_object_mut() {
        fields.insert("truncated".to_owned(), Value::Bool(true));
    }
    value
}

/// Whether a text is an object or array of JSON. Other texts, such as numbers, look the same as text.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<&RawValue>(text).is_ok()
}

fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value & 15)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// A key or value for the filter: parsed JSON, or text; null if it is not UTF-8.
pub fn for_filter(bytes: Option<&Bytes>) -> Value {
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_json_text_or_hexadecimal_digits() {
        let check = |bytes: &[u8], expect: Value| assert_eq!(show(bytes, 8), expect, "{bytes:?}");
        check(b"", json!({"format": "text", "text": "", "bytes": 0}));
        check(b"{\"a\":1}", json!({"format": "json", "text": "{\"a\":1}", "bytes": 7}));
        check(b" [1]", json!({"format": "json", "text": " [1]", "bytes": 4}));
        check(b"{\"a\":", json!({"format": "text", "text": "{\"a\":", "bytes": 5}));
        check(b"12", json!({"format": "text", "text": "12", "bytes": 2}));
        check(b"<b>\x1b\0", json!({"format": "text", "text": "<b>\u{1b}\0", "bytes": 5}));
        check("1234567ä".as_bytes(), json!({"format": "text", "text": "1234567", "bytes": 9, "truncated": true}));
        check(b"\xff\x01", json!({"format": "hex", "text": "ff01", "bytes": 2}));
        check(&[0xff; 5], json!({"format": "hex", "text": "ffffffff", "bytes": 5, "truncated": true}));
    }

    #[test]
    fn deeply_nested_json_is_text() {
        let deep = "[".repeat(100_000);
        assert_eq!(show(deep.as_bytes(), 4)["format"], "text");
    }
}
