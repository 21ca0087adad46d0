//! Reads the JSON files that tools take, and reports errors in them in Kafka's words.
//!
//! Source of the messages: `org.apache.kafka.server.util.json`.

use std::path::Path;

use serde_json::{Map, Value};

use super::exceptions::Exception;

/// Reads a file as text.
pub fn read_file(path: &str) -> Result<String, Exception> {
    let unreadable = |_| Exception::new("java.io.IOException", format!("Unable to read file {path}"));
    std::fs::read_to_string(Path::new(path)).map_err(unreadable)
}

/// Returns the fields of an object with `"version": 1`, which is also the default.
pub fn version_1(value: &Value) -> Result<&Map<String, Value>, Exception> {
    let fields = object(value)?;
    match fields.get("version").map_or(Ok(1), integer)? {
        1 => Ok(fields),
        other => Err(operation(format!("Not supported version field value {other}"))),
    }
}

/// Creates the exception that tools throw for requests that they can't fulfil.
pub fn operation(message: impl Into<String>) -> Exception {
    Exception::new("org.apache.kafka.tools.AdminOperationException", message)
}

pub fn object(value: &Value) -> Result<&Map<String, Value>, Exception> {
    value.as_object().ok_or_else(|| mapping(format!("Expected JSON object, received {value}")))
}

pub fn array(value: &Value) -> Result<&[Value], Exception> {
    let items = value.as_array().map(Vec::as_slice);
    items.ok_or_else(|| mapping(format!("Expected JSON array, received {value}")))
}

/// Returns the field with that name.
pub fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Exception> {
    fields.get(name).ok_or_else(|| mapping(format!("No such field exists: `{name}`")))
}

pub fn integer(value: &Value) -> Result<i32, Exception> {
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| mapping(format!("Expected `Integer` value, received {value}")))
}

pub fn long(value: &Value) -> Result<i64, Exception> {
    value.as_i64().ok_or_else(|| mapping(format!("Expected `Long` value, received {value}")))
}

pub fn string(value: &Value) -> Result<&str, Exception> {
    value.as_str().ok_or_else(|| mapping(format!("Expected `String` value, received {value}")))
}

fn mapping(message: String) -> Exception {
    Exception::new("com.fasterxml.jackson.databind.JsonMappingException", message)
}
