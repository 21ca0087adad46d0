//! Schemas of all formats.

pub mod avro;
pub mod json;
pub mod nesting;
pub mod protobuf;
mod tags;
pub mod value;

use thiserror::Error;

pub use avro::Validation;
use avro::{AvroError, AvroSchema};
use json::{JsonSchema, JsonSchemaError};
use protobuf::{ProtobufError, ProtobufSchema};
use value::ValueError;

use crate::json::Json;

/// The format of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaType {
    Avro,
    Json,
    Protobuf,
}

impl SchemaType {
    pub fn from_name(name: &str) -> Option<SchemaType> {
        match name {
            "AVRO" => Some(SchemaType::Avro),
            "JSON" => Some(SchemaType::Json),
            "PROTOBUF" => Some(SchemaType::Protobuf),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            SchemaType::Avro => "AVRO",
            SchemaType::Json => "JSON",
            SchemaType::Protobuf => "PROTOBUF",
        }
    }
}

/// Why a text is not a schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SchemaError {
    #[error(transparent)]
    Avro(#[from] AvroError),
    #[error(transparent)]
    Json(#[from] JsonSchemaError),
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
}

/// A schema that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedReference {
    /// The name by which the other schema refers to it.
    pub name: String,
    pub text: String,
}

/// A parsed schema of any format. A further format is a variant here; nothing else knows the formats.
#[derive(Debug)]
pub enum ParsedSchema {
    Avro(AvroSchema),
    Json(JsonSchema),
    Protobuf(ProtobufSchema),
}

impl ParsedSchema {
    /// Parses a schema. `references` has all schemas that it refers to, each after those that it needs.
    pub fn parse(
        schema_type: SchemaType,
        text: &str,
        references: &[ResolvedReference],
        validation: Validation,
    ) -> Result<ParsedSchema, SchemaError> {
        match schema_type {
            SchemaType::Avro => Ok(ParsedSchema::Avro(AvroSchema::parse(text, &texts(references), validation)?)),
            SchemaType::Json => Ok(ParsedSchema::Json(JsonSchema::parse(text, references)?)),
            SchemaType::Protobuf => Ok(ParsedSchema::Protobuf(ProtobufSchema::parse(text, references)?)),
        }
    }

    pub fn schema_type(&self) -> SchemaType {
        match self {
            ParsedSchema::Avro(_) => SchemaType::Avro,
            ParsedSchema::Json(_) => SchemaType::Json,
            ParsedSchema::Protobuf(_) => SchemaType::Protobuf,
        }
    }

    /// The text that decides on the id of the schema.
    pub fn canonical(&self) -> &str {
        match self {
            ParsedSchema::Avro(schema) => schema.canonical(),
            ParsedSchema::Json(schema) => schema.canonical(),
            ParsedSchema::Protobuf(schema) => schema.canonical(),
        }
    }

    /// About how much memory the schema takes.
    pub fn estimated_bytes(&self) -> usize {
        match self {
            ParsedSchema::Avro(schema) => schema.canonical().len(),
            ParsedSchema::Json(schema) => schema.estimated_bytes(),
            ParsedSchema::Protobuf(schema) => schema.estimated_bytes(),
        }
    }

    /// The text in a format that the type of the schema knows. An unknown format gives the canonical text.
    pub fn formatted(&self, format: &str) -> String {
        match self {
            ParsedSchema::Avro(schema) if format == "resolved" => schema.resolved(),
            ParsedSchema::Protobuf(schema) => schema.formatted(format),
            schema => schema.canonical().to_owned(),
        }
    }

    pub fn normalized(
        &self,
        references: &[ResolvedReference],
        validation: Validation,
    ) -> Result<ParsedSchema, SchemaError> {
        match self {
            ParsedSchema::Avro(schema) => Ok(ParsedSchema::Avro(schema.normalized(&texts(references), validation)?)),
            ParsedSchema::Json(schema) => Ok(ParsedSchema::Json(schema.normalized())),
            ParsedSchema::Protobuf(schema) => Ok(ParsedSchema::Protobuf(schema.normalized(references)?)),
        }
    }

    /// Checks what parsing did not, for schemas that are not imported. If `is_strict` holds, names of fields are checked too, and
    /// descriptors of Protobuf schemas (`schema.validate.fields`).
    pub fn check(&self, is_strict: bool) -> Result<(), SchemaError> {
        match self {
            ParsedSchema::Avro(_) => Ok(()),
            ParsedSchema::Json(schema) => Ok(schema.check(is_strict)?),
            ParsedSchema::Protobuf(schema) => Ok(schema.check(is_strict)?),
        }
    }

    /// Describes what keeps this schema from reading data that was written with `writer`; `reader_name` and `writer_name` name
    /// the two in the messages.
    pub fn differences(
        &self,
        writer: &ParsedSchema,
        lenient: bool,
        reader_name: &str,
        writer_name: &str,
    ) -> Vec<String> {
        let unexpected =
            |error: &dyn std::fmt::Display| vec![format!("Unexpected exception during compatibility check: {error}")];
        match (self, writer) {
            (ParsedSchema::Avro(reader), ParsedSchema::Avro(writer)) => match reader.differences(writer) {
                Ok(found) => found.iter().map(|found| found.describe(reader_name, writer_name)).collect(),
                Err(error) => unexpected(&error),
            },
            (ParsedSchema::Json(reader), ParsedSchema::Json(writer)) => match reader.differences(writer, lenient) {
                Ok(found) => found.iter().map(|found| found.describe(reader_name, writer_name)).collect(),
                Err(JsonSchemaError::External(_)) => {
                    vec!["A previous schema version contains an unsupported external reference".to_owned()]
                }
                Err(error) => unexpected(&error),
            },
            (ParsedSchema::Protobuf(reader), ParsedSchema::Protobuf(writer)) => match reader.differences(writer) {
                Ok(found) => found.iter().map(|found| found.describe(reader_name, writer_name)).collect(),
                Err(error) => unexpected(&error),
            },
            (ParsedSchema::Avro(_) | ParsedSchema::Json(_) | ParsedSchema::Protobuf(_), _) => {
                vec!["Incompatible because of different schema type".to_owned()]
            }
        }
    }

    /// Whether the other schema is the same, wherever its parts are defined.
    pub fn is_equivalent(&self, other: &ParsedSchema) -> bool {
        match (self, other) {
            (ParsedSchema::Avro(schema), ParsedSchema::Avro(other)) => schema.is_equivalent(other),
            (schema, other) => schema.schema_type() == other.schema_type() && schema.canonical() == other.canonical(),
        }
    }

    /// The name by which strategies for subjects know the schema: that of the record, or of the message with these indexes,
    /// or the title. `None` for Avro schemas of other types and for JSON schemas without a title.
    pub fn record_name(&self, indexes: &[i32]) -> Option<String> {
        match self {
            ParsedSchema::Avro(schema) => schema.record_name().map(str::to_owned),
            ParsedSchema::Json(schema) => schema.title().map(str::to_owned),
            ParsedSchema::Protobuf(schema) => schema.message_name(indexes),
        }
    }

    /// Decodes a value to JSON, as Confluent's console consumers print it. `indexes` are those of a Protobuf message.
    pub fn decode(&self, indexes: &[i32], bytes: &[u8]) -> Result<Json, ValueError> {
        match self {
            ParsedSchema::Avro(schema) => schema.decode(bytes),
            ParsedSchema::Json(schema) => schema.decode(bytes),
            ParsedSchema::Protobuf(schema) => schema.decode(indexes, bytes),
        }
    }

    /// Checks that bytes are a value of the schema, without building it where the format allows that.
    pub fn decodes(&self, indexes: &[i32], bytes: &[u8]) -> Result<(), ValueError> {
        match self {
            ParsedSchema::Avro(schema) => schema.decodes(bytes),
            ParsedSchema::Json(schema) => schema.decodes(bytes),
            ParsedSchema::Protobuf(schema) => schema.decodes(indexes, bytes),
        }
    }

    /// Encodes a value in JSON, as Confluent's console producers read it.
    pub fn encode(&self, indexes: &[i32], text: &str) -> Result<Vec<u8>, ValueError> {
        let json = crate::json::parse(text).map_err(|error| ValueError::new(format!("not JSON: {error}")))?;
        match self {
            ParsedSchema::Avro(schema) => schema.encode(&json),
            ParsedSchema::Json(schema) => schema.encode(text),
            ParsedSchema::Protobuf(schema) => schema.encode(indexes, &json),
        }
    }

    pub fn has_top_level_field(&self, name: &str) -> bool {
        match self {
            ParsedSchema::Avro(schema) => schema.has_top_level_field(name),
            ParsedSchema::Json(schema) => schema.has_top_level_field(name),
            ParsedSchema::Protobuf(schema) => schema.has_top_level_field(name),
        }
    }

    /// The parts of the schema with tags, in its order.
    pub fn tagged_entities(&self) -> Vec<(TaggedEntity, Vec<String>)> {
        match self {
            ParsedSchema::Avro(schema) => schema.tagged_entities(),
            ParsedSchema::Json(schema) => schema.tagged_entities(),
            ParsedSchema::Protobuf(schema) => schema.tagged_entities(),
        }
    }

    /// Returns the text with other tags.
    pub fn text_with_tags(&self, changes: &TagChanges) -> Result<String, SchemaError> {
        match self {
            ParsedSchema::Avro(schema) => Ok(schema.text_with_tags(changes)?),
            ParsedSchema::Json(schema) => Ok(schema.text_with_tags(changes)?),
            ParsedSchema::Protobuf(schema) => Ok(schema.text_with_tags(changes)?),
        }
    }
}

fn texts(references: &[ResolvedReference]) -> Vec<&str> {
    references.iter().map(|reference| reference.text.as_str()).collect()
}

/// A record, message or object, or a field or property, that can have tags.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaggedEntity {
    /// The full name of the record, with the name of the field.
    pub path: String,
    pub entity_type: EntityType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityType {
    Record,
    Field,
}

impl EntityType {
    pub fn name(self) -> &'static str {
        match self {
            EntityType::Record => "sr_record",
            EntityType::Field => "sr_field",
        }
    }

    pub fn from_name(name: &str) -> Option<EntityType> {
        match name {
            "sr_record" => Some(EntityType::Record),
            "sr_field" => Some(EntityType::Field),
            _ => None,
        }
    }
}

/// Tags to add, and tags to remove afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChanges {
    pub add: Vec<(TaggedEntity, Vec<String>)>,
    pub remove: Vec<(TaggedEntity, Vec<String>)>,
}

impl TagChanges {
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}
