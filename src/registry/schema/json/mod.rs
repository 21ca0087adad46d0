//! JSON Schema, as Confluent's registry prints and compares it.
//!
//! The canonical text is the JSON as it was written, without white space. The comparison follows the model of Everit's
//! library, which Confluent's rules are about: a schema with several kinds of keywords is a combination of one schema for each
//! kind. A validator such as the crate `jsonschema` has no such model and no comparison.
//!
//! A schema that names no draft is of draft 7. For 2019-09 and 2020-12, the keywords that those drafts changed
//! (`prefixItems`, `dependentRequired`, `unevaluatedProperties` and others) are mapped to the same model. References to other
//! hosts are refused.
//!
//! | module | content |
//! |---|---|
//! | `model` | the parts of a loaded schema |
//! | `draft` | drafts and their keywords |
//! | `load`, `refs` | from JSON to the model, and resolution of `$ref` |
//! | `hash` | equal parts |
//! | `pattern` | regular expressions |
//! | `diff`, `objects`, `arrays`, `numbers` | the comparison |
//! | `tags` | `confluent:tags` of objects and properties |
//! | `instance` | whether a value is valid |
//! | [`difference`] | kinds of differences, their messages, and which are compatible |

mod arrays;
mod decimal;
mod diff;
pub mod difference;
mod draft;
mod hash;
mod instance;
mod load;
mod model;
mod numbers;
mod objects;
mod pattern;
mod refs;
mod tags;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use thiserror::Error;

use super::nesting::MAX_DIFFERENCES;
use super::value::ValueError;
use super::{ResolvedReference, TagChanges, TaggedEntity};
use crate::json::{Json, parse_exact};
pub use difference::{Difference, DifferenceKind};
use instance::Validator;
use model::{Kind, Model};
use pattern::{ESTIMATED_PATTERN_BYTES, MAX_VALIDATOR_PATTERN_BYTES};

/// Why a text is not a JSON schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonSchemaError {
    #[error("{0}")]
    Invalid(String),
    /// The schema refers to one that the registry would have to fetch.
    #[error("Remote schema reference fetching over HTTP(S) is disabled: {0}")]
    External(String),
    #[error("#: Field names cannot start with $$ prefix")]
    Reserved,
}

impl JsonSchemaError {
    fn new(message: impl Into<String>) -> JsonSchemaError {
        JsonSchemaError::Invalid(message.into())
    }
}

/// A JSON schema. What it means is only found out when it is needed.
#[derive(Debug)]
pub struct JsonSchema {
    json: Json,
    canonical: String,
    references: Vec<ResolvedReference>,
    model: OnceLock<Result<Model, JsonSchemaError>>,
    /// The rules for values. They are only needed to check values.
    validator: OnceLock<Result<Validator, JsonSchemaError>>,
}

impl JsonSchema {
    pub fn parse(text: &str, references: &[ResolvedReference]) -> Result<JsonSchema, JsonSchemaError> {
        let json = parse_exact(text).map_err(|error| JsonSchemaError::new(format!("Invalid JSON schema: {error}")))?;
        Ok(JsonSchema::of(json, references.to_vec()))
    }

    fn of(json: Json, references: Vec<ResolvedReference>) -> JsonSchema {
        let canonical = json.to_string();
        JsonSchema { json, canonical, references, model: OnceLock::new(), validator: OnceLock::new() }
    }

    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// About how much memory the schema takes with its model, which is several times larger than the text.
    pub fn estimated_bytes(&self) -> usize {
        let references: usize = self.references.iter().map(|reference| reference.text.len()).sum();
        let patterns = self.canonical.matches("\"pattern").count() * ESTIMATED_PATTERN_BYTES;
        16 * (self.canonical.len() + references) + patterns.min(MAX_VALIDATOR_PATTERN_BYTES)
    }

    /// The schema with sorted properties.
    pub fn normalized(&self) -> JsonSchema {
        JsonSchema::of(self.json.sorted(), self.references.clone())
    }

    fn model(&self) -> Result<&Model, JsonSchemaError> {
        self.model.get_or_init(|| load::load(&self.json, &self.references)).as_ref().map_err(Clone::clone)
    }

    /// Checks keywords and references, and if `is_strict` holds, the names of the properties of an object.
    pub fn check(&self, is_strict: bool) -> Result<(), JsonSchemaError> {
        let model = self.model()?;
        match &model.get(model.root).kind {
            Kind::Object(rules) if is_strict && rules.properties.keys().any(|name| name.starts_with("$$")) => {
                Err(JsonSchemaError::Reserved)
            }
            _ => Ok(()),
        }
    }

    /// Returns the differences that keep this schema from accepting what `writer` accepts.
    pub fn differences(&self, writer: &JsonSchema, lenient: bool) -> Result<Vec<Difference>, JsonSchemaError> {
        let found = diff::compare(writer.model()?, self.model()?, lenient)?;
        Ok(found
            .into_iter()
            .filter(|difference| !difference.kind.is_compatible(lenient))
            .take(MAX_DIFFERENCES)
            .collect())
    }

    /// The objects and properties with tags.
    pub fn tagged_entities(&self) -> Vec<(TaggedEntity, Vec<String>)> {
        tags::entities(&self.json)
    }

    /// Returns the text with other tags.
    pub fn text_with_tags(&self, changes: &TagChanges) -> Result<String, JsonSchemaError> {
        tags::modify(&self.json, changes)
    }

    pub fn title(&self) -> Option<&str> {
        self.json.get("title").and_then(Json::as_str)
    }

    /// Reads a value: JSON that is valid against the schema.
    pub fn decode(&self, bytes: &[u8]) -> Result<Json, ValueError> {
        let text = str::from_utf8(bytes).map_err(|_| ValueError::new("the JSON is not UTF-8"))?;
        let value = parse_exact(text).map_err(|error| ValueError::new(format!("not JSON: {error}")))?;
        self.validate(&value)?;
        Ok(value)
    }

    /// Checks that bytes are JSON that is valid against the schema.
    pub fn decodes(&self, bytes: &[u8]) -> Result<(), ValueError> {
        self.decode(bytes).map(|_| ())
    }

    /// Returns the JSON without white space, if it is valid against the schema.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, ValueError> {
        self.decode(text.as_bytes()).map(|value| value.to_string().into_bytes())
    }

    pub fn has_top_level_field(&self, name: &str) -> bool {
        self.json.get("properties").and_then(|properties| properties.get(name)).is_some()
    }
}
