//! JSON as Jackson reads and writes it.
//!
//! Canonical forms of schemas, and so their ids, depend on details of Jackson that general JSON libraries do not keep: the
//! order of properties, integers of any size, and doubles in Java's notation (`1.0E10`). A feature of `serde_json` could
//! keep the order and another one the digits, but Cargo enables features for a whole build, so every other crate would
//! change as well. Here the depth of a text is also bounded while it is read.

mod number;
mod parse;
mod write;

#[cfg(test)]
mod tests;

use indexmap::IndexMap;

pub use number::Number;
pub use parse::{JsonError, parse, parse_exact, parse_with_comments};
pub use write::quote;

/// The properties of an object, in their order. If a name is repeated, the last value counts, in the place of the first.
pub type Object = IndexMap<String, Json>;

/// Maximum depth of arrays and objects. It bounds the recursion of everything that walks a schema's text.
pub const MAX_DEPTH: usize = 300;

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

impl Json {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns an integer that fits 32 bits.
    pub fn as_int(&self) -> Option<i32> {
        match self {
            Json::Number(number) => number.as_long().and_then(|number| i32::try_from(number).ok()),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Returns the property of an object; `None` if this is not an object or it has no such property.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.as_object().and_then(|object| object.get(name))
    }

    /// Returns the value with the properties of all its objects in the order of their names.
    pub fn sorted(&self) -> Json {
        match self {
            Json::Array(items) => Json::Array(items.iter().map(Json::sorted).collect()),
            Json::Object(object) => {
                let mut entries: Vec<(&String, &Json)> = object.iter().collect();
                entries.sort_by(|(a, _), (b, _)| crate::utf16::compare(a, b));
                Json::Object(entries.into_iter().map(|(name, value)| (name.clone(), value.sorted())).collect())
            }
            value => value.clone(),
        }
    }

    /// Builds an object from its properties.
    pub fn object<const N: usize>(properties: [(&str, Json); N]) -> Json {
        Json::Object(properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<i32> for Json {
    fn from(value: i32) -> Json {
        Json::Number(Number::Long(value.into()))
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Json {
        Json::Number(Number::Long(value))
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Json {
        Json::Array(items.into_iter().map(Into::into).collect())
    }
}
