//! The formatters of Confluent's console consumers: keys and values as JSON, by the schemas of a registry.
//!
//! Source of behaviour: `io.confluent.kafka.formatter.SchemaMessageFormatter`.

use super::super::connect::Properties;
use super::super::exceptions::Exception;
use super::super::schema_properties::{class_of, client};
use super::deserializers::Deserializer;
use crate::cli::schemas::codec::Decoder;
use ottla_client::consumer::ConsumedRecord;
use ottla_registry::codec::{KEY_SCHEMA_ID_HEADER, VALUE_SCHEMA_ID_HEADER};
use ottla_registry::schema::SchemaType;
use ottla_wire::record::{Record, TimestampType};
use ottla_wire::types::{NO_TIMESTAMP, TopicPartition};

const NULL: &[u8] = b"null";

pub struct SchemaColumns {
    decoder: Decoder,
    schema_type: SchemaType,
    timestamp: bool,
    partition: bool,
    offset: bool,
    headers: bool,
    key: bool,
    ids: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    id_separator: Vec<u8>,
    key_deserializer: Option<Deserializer>,
    headers_deserializer: Option<Deserializer>,
}

impl std::fmt::Debug for SchemaColumns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchemaColumns").field("schema_type", &self.schema_type).finish_non_exhaustive()
    }
}

impl SchemaColumns {
    /// Creates the formatter of a class; `None` if it is none of Confluent's. The error is one line.
    pub fn of_class(class: &str, properties: &Properties) -> Option<Result<SchemaColumns, String>> {
        let schema_type = class_of(class, "MessageFormatter")?;
        Some(SchemaColumns::new(schema_type, properties))
    }

    fn new(schema_type: SchemaType, properties: &Properties) -> Result<SchemaColumns, String> {
        let yes = |name: &str| properties.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let bytes = |name: &str, default: &str| properties.untrimmed(name).unwrap_or(default).as_bytes().to_vec();
        let deserializer = |name: &str| {
            let class = properties.get(name).filter(|class| !class.is_empty());
            let known = |class| {
                Deserializer::from_class(class).ok_or_else(|| format!("{name}: the class {class} is not supported"))
            };
            class.map(known).transpose()
        };
        Ok(SchemaColumns {
            decoder: Decoder::new(client(|name| properties.get(name))?),
            schema_type,
            timestamp: yes("print.timestamp"),
            partition: yes("print.partition"),
            offset: yes("print.offset"),
            headers: yes("print.headers"),
            key: yes("print.key"),
            ids: yes("print.schema.ids"),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", "\n"),
            id_separator: bytes("schema.id.separator", "\t"),
            key_deserializer: deserializer("key.deserializer")?,
            headers_deserializer: deserializer("headers.deserializer")?,
        })
    }

    pub fn write(
        &self,
        partition: &TopicPartition,
        consumed: &ConsumedRecord,
        out: &mut Vec<u8>,
    ) -> Result<(), Exception> {
        let ConsumedRecord { record, timestamp_type, .. } = consumed;
        if self.timestamp {
            let text = match timestamp_type {
                _ if record.timestamp == NO_TIMESTAMP => "NO_TIMESTAMP".to_owned(),
                TimestampType::CreateTime => format!("CreateTime:{}", record.timestamp),
                TimestampType::LogAppendTime => format!("LogAppendTime:{}", record.timestamp),
            };
            self.column(&text, out);
        }
        if self.partition {
            self.column(&format!("Partition:{}", partition.partition), out);
        }
        if self.offset {
            self.column(&format!("Offset:{}", record.offset), out);
        }
        if self.headers {
            self.write_headers(record, out)?;
            out.extend_from_slice(&self.key_separator);
        }
        if self.key {
            match (self.key_deserializer, &record.key) {
                (Some(deserializer), Some(key)) => deserializer.write(key, out)?,
                (Some(_), None) => out.extend_from_slice(NULL),
                (None, key) => self.write_decoded(record, KEY_SCHEMA_ID_HEADER, key.as_deref(), out)?,
            }
            out.extend_from_slice(&self.key_separator);
        }
        self.write_decoded(record, VALUE_SCHEMA_ID_HEADER, record.value.as_deref(), out)?;
        out.extend_from_slice(&self.line_separator);
        Ok(())
    }

    fn column(&self, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(&self.key_separator);
    }

    fn write_headers(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Exception> {
        if record.headers.is_empty() {
            out.extend_from_slice(b"NO_HEADERS");
        }
        for (index, header) in record.headers.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.headers_separator);
            }
            out.extend_from_slice(&header.key);
            out.push(b':');
            match (self.headers_deserializer, &header.value) {
                (Some(deserializer), Some(value)) => deserializer.write(value, out)?,
                // As in Confluent's formatter, values are not shown without a deserializer.
                _ => out.extend_from_slice(NULL),
            }
        }
        Ok(())
    }

    fn write_decoded(
        &self,
        record: &Record,
        header: &str,
        bytes: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Exception> {
        let Some(bytes) = bytes else {
            out.extend_from_slice(NULL);
            return Ok(());
        };
        let header = record.headers.iter().rev().find(|it| it.key == header.as_bytes());
        let header = header.and_then(|header| header.value.as_deref());
        let decoded = self.decoder.decode(self.schema_type, header, bytes).map_err(|why| {
            let class = "org.apache.kafka.common.errors.SerializationException";
            Exception::new(class, format!("Error deserializing the record at offset {}: {why}", record.offset))
        })?;
        out.extend_from_slice(decoded.text.as_bytes());
        if let Some(id) = decoded.id.filter(|_| self.ids) {
            out.extend_from_slice(&self.id_separator);
            out.extend_from_slice(id.to_string().as_bytes());
        }
        Ok(())
    }
}
