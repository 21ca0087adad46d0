//! Reading of JSON objects with known fields, with the conversions that Jackson makes.

use thiserror::Error;

use crate::json::{Json, Object};

/// A field that has the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FieldError(String);

impl FieldError {
    pub(crate) fn new(message: impl Into<String>) -> FieldError {
        FieldError(message.into())
    }
}

/// The fields of an object. Unknown ones are ignored, and `null` counts as absent.
pub(crate) struct Fields<'a>(&'a Object);

impl<'a> Fields<'a> {
    pub fn of(json: &'a Json) -> Result<Fields<'a>, FieldError> {
        match json {
            Json::Object(object) => Ok(Fields(object)),
            other => Err(FieldError::new(format!("Cannot deserialize an object from {}", token(other)))),
        }
    }

    pub fn get(&self, name: &str) -> Option<&'a Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there, also with `null`.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns a string. Numbers and booleans are converted.
    pub fn string(&self, name: &str) -> Result<Option<String>, FieldError> {
        self.get(name).map(|value| Fields::text(name, value)).transpose()
    }

    pub fn text(name: &str, value: &Json) -> Result<String, FieldError> {
        match value {
            Json::String(text) => Ok(text.clone()),
            Json::Number(_) | Json::Bool(_) => Ok(value.to_string()),
            _ => Err(FieldError::new(format!(
                "Cannot deserialize value of type `String` from {} (field \"{name}\")",
                token(value)
            ))),
        }
    }

    /// Returns an integer of 32 bits. Texts with digits are converted.
    pub fn integer(&self, name: &str) -> Result<Option<i32>, FieldError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = match value {
            Json::String(text) if text.trim().is_empty() => return Ok(None),
            Json::String(text) => text.trim().parse().ok(),
            value => value.as_int(),
        };
        let error =
            || FieldError::new(format!("Cannot deserialize value of type `int` from {value} (field \"{name}\")"));
        found.map(Some).ok_or_else(error)
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, FieldError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = match value {
            Json::Bool(value) => Some(*value),
            Json::String(text) if text == "true" => Some(true),
            Json::String(text) if text == "false" => Some(false),
            _ => None,
        };
        let error =
            || FieldError::new(format!("Cannot deserialize value of type `boolean` from {value} (field \"{name}\")"));
        found.map(Some).ok_or_else(error)
    }

    pub fn object(&self, name: &str) -> Result<Option<&'a Object>, FieldError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let error =
            || FieldError::new(format!("Cannot deserialize an object from {} (field \"{name}\")", token(value)));
        value.as_object().map(Some).ok_or_else(error)
    }

    pub fn array(&self, name: &str) -> Result<Option<&'a [Json]>, FieldError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let error = || FieldError::new(format!("Cannot deserialize an array from {} (field \"{name}\")", token(value)));
        value.as_array().map(Some).ok_or_else(error)
    }

    /// Returns a string that must be one of some names.
    pub fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<String>, FieldError> {
        match self.string(name)? {
            Some(value) if !allowed.contains(&value.as_str()) => Err(FieldError::new(format!(
                "Cannot deserialize value from String \"{value}\": not one of the values accepted: [{}] (field \"{name}\")",
                allowed.join(", ")
            ))),
            value => Ok(value),
        }
    }
}

fn token(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "Array value (token `JsonToken.START_ARRAY`)",
        Json::Object(_) => "Object value (token `JsonToken.START_OBJECT`)",
    }
}
