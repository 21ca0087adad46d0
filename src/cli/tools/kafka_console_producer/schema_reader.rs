//! The line readers of Confluent's console producers: keys and values are JSON, and are encoded by schemas of a registry.
//!
//! Source of behaviour: `io.confluent.kafka.formatter.SchemaMessageReader`.

use std::collections::BTreeMap;

use super::super::schema_properties::{class_of, client};
use super::line_reader::LineRecord;
use crate::cli::schemas::codec::{Encoder, EncoderOptions};
use ottla_registry::schema::SchemaType;
use ottla_registry::subject_name::SubjectNameStrategy;

/// Encodes the keys and values of lines.
pub struct SchemaReader {
    /// `None` if keys are text, or there are none.
    key: Option<Encoder>,
    value: Encoder,
    schema_type: SchemaType,
}

impl SchemaReader {
    /// Creates the reader of a class; `None` if it is none of Confluent's. The error is one line.
    pub fn of_class(class: &str, properties: &BTreeMap<String, String>) -> Option<Result<SchemaReader, String>> {
        let schema_type = class_of(class, "MessageReader")?;
        Some(SchemaReader::new(schema_type, properties))
    }

    fn new(schema_type: SchemaType, properties: &BTreeMap<String, String>) -> Result<SchemaReader, String> {
        let get = |name: &str| properties.get(name).map(String::as_str);
        let client = client(get)?;
        let topic = get("topic").unwrap_or_default();
        let has_key = get("parse.key").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let key_is_text = match get("key.serializer") {
            None => false,
            Some("org.apache.kafka.common.serialization.StringSerializer") => true,
            Some(class) => {
                return Err(format!("Error initializing Key serializer: the class {class} is not supported"));
            }
        };
        let encoder = |is_key: bool| {
            let options = encoder_options(properties, if is_key { "key" } else { "value" })?;
            Encoder::new(&client, schema_type, topic, is_key, &options)
        };
        Ok(SchemaReader {
            key: (has_key && !key_is_text).then(|| encoder(true)).transpose()?,
            value: encoder(false)?,
            schema_type,
        })
    }

    /// Encodes the key and the value of a line; null stays null. The error is one line.
    pub fn encode(&self, mut record: LineRecord) -> Result<LineRecord, String> {
        for (encoder, part) in [(self.key.as_ref(), &mut record.key), (Some(&self.value), &mut record.value)] {
            let (Some(encoder), Some(bytes)) = (encoder, part) else { continue };
            let text = String::from_utf8_lossy(bytes).into_owned();
            let format = match self.schema_type {
                SchemaType::Avro => "Avro",
                SchemaType::Json => "JSON",
                SchemaType::Protobuf => "Protobuf",
            };
            *bytes = encoder.encode(&text).map_err(|why| {
                format!("Error deserializing json {text} to {format} of schema {}: {why}", encoder.schema_text())
            })?;
        }
        Ok(record)
    }
}

/// The options for `key` or `value`.
fn encoder_options(properties: &BTreeMap<String, String>, what: &str) -> Result<EncoderOptions, String> {
    let get = |name: &str| properties.get(name).map(String::as_str);
    let own = |name: &str| get(&format!("{what}.{name}"));
    let yes = |name: &str| get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let id = match own("schema.id") {
        Some(id) => Some(id.trim().parse().map_err(|_| format!("Error parsing {what}.schema.id as int"))?),
        None => None,
    };
    let text = match (own("schema"), own("schema.file")) {
        (Some(text), _) => Some(text.to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path);
            Some(text.map_err(|error| format!("Error reading schema from {path}: {error}"))?)
        }
        (None, None) => None,
    };
    if id.is_none() && text.is_none() && !yes("use.latest.version") {
        return Err(format!(
            "Must provide the {what} schema in either {what}.schema, {what}.schema.id, or {what}.schema.file"
        ));
    }
    let references = own("refs").map(serde_json::from_str).transpose();
    let strategy = match own("subject.name.strategy") {
        None => SubjectNameStrategy::default(),
        Some(class) => SubjectNameStrategy::from_class_name(class.trim())
            .ok_or_else(|| format!("{what}.subject.name.strategy: the class {class} is not supported"))?,
    };
    Ok(EncoderOptions {
        text,
        id,
        references: references.map_err(|error| format!("{what}.refs: {error}"))?,
        strategy,
        is_registered: get("auto.register.schemas").is_some_and(|value| value.trim().eq_ignore_ascii_case("false")),
        normalize: yes("normalize.schemas"),
    })
}
