//! The formats of keys and values of `ottla consume` and `ottla produce`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::client::{RegistryClient, RegistryUrl};
use super::codec::{Decoder, Encoder, EncoderOptions};
use ottla_registry::codec::{KEY_SCHEMA_ID_HEADER, VALUE_SCHEMA_ID_HEADER};
use ottla_registry::schema::SchemaType;
use ottla_wire::record::Record;

/// A format whose schemas a registry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Avro,
    Protobuf,
    JsonSchema,
}

impl Format {
    fn schema_type(self) -> SchemaType {
        match self {
            Format::Avro => SchemaType::Avro,
            Format::Protobuf => SchemaType::Protobuf,
            Format::JsonSchema => SchemaType::Json,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub struct FormatArgs {
    /// The format of keys; their schemas are in the schema registry [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    key_format: Option<Format>,

    /// The format of values; their schemas are in the schema registry [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    value_format: Option<Format>,

    #[command(flatten)]
    registry: RegistryUrl,
}

/// Which schemas `ottla produce` uses.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    #[command(flatten)]
    formats: FormatArgs,

    /// The schema of keys, which is registered if it is new [default: the latest one of TOPIC-key]
    #[arg(long, value_name = "FILE", requires = "key_format")]
    key_schema: Option<PathBuf>,

    /// The schema of values, which is registered if it is new [default: the latest one of TOPIC-value]
    #[arg(long, value_name = "FILE", requires = "value_format")]
    value_schema: Option<PathBuf>,
}

/// Prints keys and values of records.
pub struct RecordDecoder {
    decoder: Decoder,
    key: Option<Format>,
    value: Option<Format>,
}

impl FormatArgs {
    /// The decoder; `None` if keys and values are text.
    pub fn decoder(&self) -> Result<Option<RecordDecoder>, String> {
        if self.key_format.is_none() && self.value_format.is_none() {
            return Ok(None);
        }
        let decoder = Decoder::new(RegistryClient::new(&self.registry.registry, None)?);
        Ok(Some(RecordDecoder { decoder, key: self.key_format, value: self.value_format }))
    }
}

impl RecordDecoder {
    /// Replaces the key and the value by their text. The error is one line.
    pub fn decode(&self, record: &mut Record) -> Result<(), String> {
        for (format, what, header) in
            [(self.key, "key", KEY_SCHEMA_ID_HEADER), (self.value, "value", VALUE_SCHEMA_ID_HEADER)]
        {
            let Some(format) = format else { continue };
            let header = record.headers.iter().rev().find(|it| it.key == header.as_bytes());
            let header = header.and_then(|header| header.value.clone());
            let part = if what == "key" { &mut record.key } else { &mut record.value };
            let Some(bytes) = part else { continue };
            let decoded = self.decoder.decode(format.schema_type(), header.as_deref(), bytes);
            let decoded = decoded.map_err(|why| format!("the {what} at the offset {}: {why}", record.offset))?;
            *bytes = decoded.text.into();
        }
        Ok(())
    }
}

/// Encodes keys and values.
#[derive(Default)]
pub struct RecordEncoder {
    key: Option<Encoder>,
    value: Option<Encoder>,
}

impl SchemaArgs {
    /// Finds or registers the schemas. The error is one line.
    pub fn encoder(&self, topic: &str) -> Result<RecordEncoder, String> {
        let encoder = |format: Option<Format>, file: &Option<PathBuf>, is_key| {
            let Some(format) = format else { return Ok(None) };
            let read = |path: &PathBuf| {
                std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
            };
            let options = EncoderOptions { text: file.as_ref().map(read).transpose()?, ..EncoderOptions::default() };
            let client = RegistryClient::new(&self.formats.registry.registry, None)?;
            Encoder::new(&client, format.schema_type(), topic, is_key, &options).map(Some)
        };
        Ok(RecordEncoder {
            key: encoder(self.formats.key_format, &self.key_schema, true)?,
            value: encoder(self.formats.value_format, &self.value_schema, false)?,
        })
    }
}

impl RecordEncoder {
    /// Encodes the text of a key and a value; null stays null. `number` counts records from 1. The error is one line.
    pub fn encode(&self, key: &mut Option<Vec<u8>>, value: &mut Option<Vec<u8>>, number: u64) -> Result<(), String> {
        for (encoder, what, part) in [(&self.key, "key", key), (&self.value, "value", value)] {
            let (Some(encoder), Some(bytes)) = (encoder, part) else { continue };
            let text = String::from_utf8_lossy(bytes);
            let encoded = encoder.encode(&text).map_err(|why| format!("record {number}: the {what}: {why}"))?;
            *bytes = encoded;
        }
        Ok(())
    }
}
