//! The message formatters.
//!
//! Source of behaviour: Kafka's classes of these names in `org.apache.kafka.tools.consumer`.

use super::super::connect::Properties;
use super::super::exceptions::Exception;
use super::super::log_line::log_exception;
use super::coordinator_records::Kind;
use super::deserializers::Deserializer;
use ottla_client::consumer::ConsumedRecord;
use ottla_wire::record::TimestampType;
use ottla_wire::types::{NO_TIMESTAMP, TopicPartition};

const PACKAGE: &str = "org.apache.kafka.tools.consumer.";
const DEFAULT_CLASS: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

#[derive(Debug)]
pub enum Formatter {
    Default(Box<Columns>),
    NoOp,
    Coordinator(Kind),
    #[cfg(feature = "registry")]
    Schemas(Box<super::schema_formatter::SchemaColumns>),
}

/// `DefaultMessageFormatter`: prints the selected parts of a record in columns.
#[derive(Debug)]
pub struct Columns {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key_deserializer: Option<Deserializer>,
    value_deserializer: Option<Deserializer>,
    headers_deserializer: Option<Deserializer>,
}

impl Formatter {
    /// Creates the formatter of a class, by default `DefaultMessageFormatter`. The error for an unknown class is its
    /// name, as in Java.
    pub fn new(class: Option<&str>, properties: &Properties) -> Result<Formatter, String> {
        let class = class.unwrap_or(DEFAULT_CLASS);
        #[cfg(feature = "registry")]
        if let Some(formatter) = super::schema_formatter::SchemaColumns::of_class(class, properties) {
            return formatter.map(|formatter| Formatter::Schemas(Box::new(formatter)));
        }
        match class.strip_prefix(PACKAGE) {
            // LoggingMessageFormatter also logs at INFO, which Kafka's tools don't show.
            Some("DefaultMessageFormatter" | "LoggingMessageFormatter") => {
                Ok(Formatter::Default(Box::new(Columns::new(properties))))
            }
            Some("NoOpMessageFormatter") => Ok(Formatter::NoOp),
            Some("OffsetsMessageFormatter") => Ok(Formatter::Coordinator(Kind::Offsets)),
            Some("GroupMetadataMessageFormatter") => Ok(Formatter::Coordinator(Kind::Groups)),
            Some("TransactionLogMessageFormatter") => Ok(Formatter::Coordinator(Kind::Transactions)),
            _ => Err(class.to_owned()),
        }
    }

    /// Appends a message's text. On an error, `out` contains the text before the part that failed.
    pub fn write(
        &self,
        partition: &TopicPartition,
        record: &ConsumedRecord,
        out: &mut Vec<u8>,
    ) -> Result<(), Exception> {
        match self {
            Formatter::Default(columns) => columns.write(partition, record, out),
            Formatter::NoOp => Ok(()),
            Formatter::Coordinator(kind) => kind.write(&record.record, out),
            #[cfg(feature = "registry")]
            Formatter::Schemas(columns) => columns.write(partition, record, out),
        }
    }
}

impl Columns {
    fn new(properties: &Properties) -> Columns {
        let yes = |name: &str, default: bool| {
            properties.get(name).map_or(default, |text| text.trim().eq_ignore_ascii_case("true"))
        };
        let bytes = |name: &str, default: &str| properties.untrimmed(name).unwrap_or(default).as_bytes().to_vec();
        Columns {
            timestamp: yes("print.timestamp", false),
            partition: yes("print.partition", false),
            offset: yes("print.offset", false),
            delivery: yes("print.delivery", false),
            epoch: yes("print.epoch", false),
            headers: yes("print.headers", false),
            key: yes("print.key", false),
            value: yes("print.value", true),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", ","),
            null_literal: bytes("null.literal", "null"),
            key_deserializer: deserializer(properties, "key.deserializer"),
            value_deserializer: deserializer(properties, "value.deserializer"),
            headers_deserializer: deserializer(properties, "headers.deserializer"),
        }
    }

    fn write(&self, partition: &TopicPartition, record: &ConsumedRecord, out: &mut Vec<u8>) -> Result<(), Exception> {
        let ConsumedRecord { record, timestamp_type, .. } = record;
        if self.timestamp {
            let kind = match timestamp_type {
                _ if record.timestamp == NO_TIMESTAMP => None,
                TimestampType::CreateTime => Some("CreateTime"),
                TimestampType::LogAppendTime => Some("LogAppendTime"),
            };
            match kind {
                Some(kind) => out.extend_from_slice(format!("{kind}:{}", record.timestamp).as_bytes()),
                None => out.extend_from_slice(b"NO_TIMESTAMP"),
            }
            let more = self.partition || self.offset || self.delivery || self.epoch;
            self.separate(more || self.headers || self.key || self.value, out);
        }
        if self.partition {
            out.extend_from_slice(format!("Partition:{}", partition.partition).as_bytes());
            self.separate(self.offset || self.delivery || self.epoch || self.headers || self.key || self.value, out);
        }
        if self.offset {
            out.extend_from_slice(format!("Offset:{}", record.offset).as_bytes());
            self.separate(self.delivery || self.epoch || self.headers || self.key || self.value, out);
        }
        if self.delivery {
            out.extend_from_slice(b"Delivery:NOT_PRESENT");
            self.separate(self.epoch || self.headers || self.key || self.value, out);
        }
        if self.epoch {
            // Kafka's console consumer doesn't pass the epoch to the formatter.
            out.extend_from_slice(b"Epoch:NOT_PRESENT");
            self.separate(self.headers || self.key || self.value, out);
        }
        if self.headers {
            self.write_headers(record, out)?;
            self.separate(self.key || self.value, out);
        }
        if self.key {
            self.write_bytes(record.key.as_deref(), self.key_deserializer, out)?;
            self.separate(self.value, out);
        }
        if self.value {
            self.write_bytes(record.value.as_deref(), self.value_deserializer, out)?;
            out.extend_from_slice(&self.line_separator);
        }
        Ok(())
    }

    fn write_headers(&self, record: &ottla_wire::record::Record, out: &mut Vec<u8>) -> Result<(), Exception> {
        if record.headers.is_empty() {
            out.extend_from_slice(b"NO_HEADERS");
        }
        for (index, header) in record.headers.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.headers_separator);
            }
            out.extend_from_slice(String::from_utf8_lossy(&header.key).as_bytes());
            out.push(b':');
            self.write_bytes(header.value.as_deref(), self.headers_deserializer, out)?;
        }
        Ok(())
    }

    fn write_bytes(
        &self,
        bytes: Option<&[u8]>,
        deserializer: Option<Deserializer>,
        out: &mut Vec<u8>,
    ) -> Result<(), Exception> {
        let bytes = bytes.unwrap_or(&self.null_literal);
        match deserializer {
            Some(deserializer) => deserializer.write(bytes, out),
            None => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Appends the separator before the next column, or the one at the end of the line.
    fn separate(&self, more: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(if more { &self.key_separator } else { &self.line_separator });
    }
}

/// Returns the deserializer that a property names. For an unknown class, logs an error, and bytes are printed unchanged.
fn deserializer(properties: &Properties, name: &str) -> Option<Deserializer> {
    let class = properties.get(name)?;
    let known = Deserializer::from_class(class);
    if known.is_none() {
        let why = format!("java.lang.ClassNotFoundException: {class}");
        log_exception(DEFAULT_CLASS, &format!("Unable to instantiate a deserializer from {class}"), why);
    }
    known
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use ottla_wire::record::{Header, Record};

    #[track_caller]
    fn check(settings: &[(&str, &str)], expect: &str) {
        let mut properties = Properties::default();
        settings.iter().for_each(|(name, value)| properties.set(name, value));
        let header = |key: &'static str, value: Option<&'static str>| Header {
            key: Bytes::from(key),
            value: value.map(Bytes::from),
        };
        let record = Record {
            offset: 7,
            timestamp: 99,
            key: None,
            value: Some(Bytes::from("v")),
            headers: vec![header("a", Some("1")), header("b", None)],
        };
        let record = ConsumedRecord { record, timestamp_type: TimestampType::CreateTime, leader_epoch: 3 };
        let mut out = Vec::new();
        let formatter = Formatter::new(None, &properties).unwrap();
        formatter.write(&TopicPartition::new("t", 2), &record, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn properties_select_columns_and_separators() {
        check(&[], "v\n");
        check(&[("print.key", " TRUE ")], "null\tv\n");
        check(&[("print.key", "yes")], "v\n");
        check(&[("print.key", "true"), ("key.separator", " : "), ("null.literal", "-")], "- : v\n");
        check(&[("print.offset", "true"), ("print.value", "false")], "Offset:7\n");
        check(&[("print.headers", "true"), ("headers.separator", ";")], "a:1;b:null\tv\n");
        check(&[("print.timestamp", "true"), ("print.partition", "true")], "CreateTime:99\tPartition:2\tv\n");
        check(&[("print.delivery", "true"), ("print.epoch", "true")], "Delivery:NOT_PRESENT\tEpoch:NOT_PRESENT\tv\n");
        check(&[("line.separator", "|"), ("print.key", "true"), ("print.value", "false")], "null|");
        check(&[("value.deserializer", "a.B")], "v\n");
    }

    #[test]
    fn unknown_formatter_class_is_refused() {
        let properties = Properties::default();
        assert!(Formatter::new(Some(&format!("{PACKAGE}NoOpMessageFormatter")), &properties).is_ok());
        assert_eq!(Formatter::new(Some("a.B"), &properties).unwrap_err(), "a.B");
    }
}
