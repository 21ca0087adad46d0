//! Decodes keys and values of records.
//!
//! Source of behaviour: the message parsers in Kafka's `DumpLogSegments`, and `MetadataRecordSerde`.
//!
//! Only Kafka's own decoder classes are supported. `DefaultDecoder` prints bytes in Base64, where Java prints the
//! address of the array.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::remote;
use crate::cli::tools::coordinator_json::{self, RecordJsonError};
use crate::cli::tools::exceptions::{Exception, constant_name};
use crate::cli::tools::schema_json;
use ottla_core::coordinator::records::schemas::{
    GROUP_RECORDS, GroupMetadataValue, RecordKind, SHARE_STATE_RECORDS, TRANSACTION_RECORDS,
};
use ottla_core::metadata::records::RecordBody;
use ottla_wire::codec::{Message, Reader, Schema, read_prefix, read_prefixed, read_record_frame};
use ottla_wire::protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_wire::types::Offset;

const PACKAGE: &str = "org.apache.kafka.tools.api.";
/// The `protocolType` of consumer groups.
const CONSUMER_PROTOCOL: &str = "consumer";
/// The record type of group metadata.
const GROUP_METADATA: i16 = 2;

/// A decoder for the records of a segment.
#[derive(Debug)]
pub enum Decoder {
    /// Decodes keys and values with one of Kafka's classes each.
    Plain { key: Class, value: Class },
    /// Decodes records of a coordinator's topic to JSON.
    Coordinator(&'static [RecordKind]),
    /// Decodes records of the metadata log to JSON.
    Metadata,
    /// Decodes records of `__remote_log_metadata`.
    Remote,
}

/// One of Kafka's own decoder classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Text,
    Integer,
    Long,
    Bytes,
}

/// The texts of key and value, if they exist.
pub type Decoded = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Class {
    /// Finds the class by name; `StringDecoder` if no name is given.
    pub fn find(name: Option<&str>) -> Result<Class, Exception> {
        let Some(name) = name else { return Ok(Class::Text) };
        match name.strip_prefix(PACKAGE) {
            Some("StringDecoder") => Ok(Class::Text),
            Some("IntegerDecoder") => Ok(Class::Integer),
            Some("LongDecoder") => Ok(Class::Long),
            Some("DefaultDecoder") => Ok(Class::Bytes),
            _ => Err(Exception::new("java.lang.ClassNotFoundException", name)),
        }
    }

    fn decode(self, bytes: &Bytes) -> Result<Vec<u8>, Exception> {
        let too_short = || Exception::new("java.nio.BufferUnderflowException", "null");
        match self {
            Class::Text => Ok(String::from_utf8_lossy(bytes).into_owned().into_bytes()),
            Class::Bytes => Ok(BASE64.encode(bytes).into_bytes()),
            Class::Integer => {
                let number = bytes.first_chunk().ok_or_else(too_short)?;
                Ok(i32::from_be_bytes(*number).to_string().into_bytes())
            }
            Class::Long => {
                let number = bytes.first_chunk().ok_or_else(too_short)?;
                Ok(i64::from_be_bytes(*number).to_string().into_bytes())
            }
        }
    }
}

impl Decoder {
    pub const OFFSETS: Decoder = Decoder::Coordinator(GROUP_RECORDS);
    pub const TRANSACTIONS: Decoder = Decoder::Coordinator(TRANSACTION_RECORDS);
    pub const SHARE_STATE: Decoder = Decoder::Coordinator(SHARE_STATE_RECORDS);

    /// Decodes a record. Most decoding errors become the text of the value; an error is returned only where Kafka's
    /// tool ends.
    pub fn decode(&self, offset: Offset, key: Option<&Bytes>, value: Option<&Bytes>) -> Result<Decoded, Exception> {
        match self {
            Decoder::Plain { key: key_class, value: value_class } => {
                let key = key.map(|key| key_class.decode(key)).transpose()?;
                Ok((key, value.map(|value| value_class.decode(value)).transpose()?))
            }
            Decoder::Coordinator(kinds) => {
                let Some(key) = key else {
                    let message = format!(
                        "Failed to decode message at offset {offset} using the specified decoder (message had a missing key)"
                    );
                    return Err(Exception::new("java.lang.RuntimeException", message));
                };
                Ok(coordinator_record(kinds, offset, key, value))
            }
            Decoder::Metadata => {
                let value = value.ok_or_else(|| "null".to_owned()).and_then(metadata_record);
                let text = value.unwrap_or_else(|why| format!("Error at {offset}, skipping. {why}"));
                Ok((None, Some(text.into_bytes())))
            }
            Decoder::Remote => {
                let value = value.ok_or_else(|| "null".to_owned()).and_then(remote::record);
                let text = value.unwrap_or_else(|why| format!("Error at offset {offset}, skipping. {why}"));
                Ok((None, Some(text.into_bytes())))
            }
        }
    }
}

fn coordinator_record(kinds: &[RecordKind], offset: Offset, key: &Bytes, value: Option<&Bytes>) -> Decoded {
    let is_consumer_group = kinds == GROUP_RECORDS && value.is_some_and(|value| is_consumer_group(key, value));
    let open = |field: &str, blob: &Bytes| if is_consumer_group { consumer_protocol(field, blob) } else { None };
    match coordinator_json::read_with(kinds, key, value, &open) {
        Ok(json) => {
            let key = format!(r#"{{"type":"{}","data":{}}}"#, json.kind, json.key);
            let value = json.value.map(|(version, data)| format!(r#"{{"version":"{version}","data":{data}}}"#));
            (Some(key.into_bytes()), Some(value.unwrap_or_else(|| "<DELETE>".to_owned()).into_bytes()))
        }
        Err(RecordJsonError::UnknownType(kind)) => {
            (Some(format!("Unknown record type {kind} at offset {offset}, skipping.").into_bytes()), None)
        }
        Err(why) => (Some(format!("Error at offset {offset}, skipping. {why}").into_bytes()), None),
    }
}

/// Returns whether the record is the metadata of a consumer group, whose members' subscriptions can be decoded.
fn is_consumer_group(key: &Bytes, value: &Bytes) -> bool {
    let kind = read_prefix(&mut Reader::new(key.clone()));
    kind == Ok(GROUP_METADATA)
        && read_prefixed::<GroupMetadataValue>(value).is_ok_and(|(_, group)| group.protocol_type == CONSUMER_PROTOCOL)
}

/// Converts a member's subscription or assignment to JSON; `None` for other fields and invalid bytes.
fn consumer_protocol(field: &str, blob: &Bytes) -> Option<String> {
    match field {
        "subscription" => prefixed_json::<ConsumerProtocolSubscription>(blob),
        "assignment" => prefixed_json::<ConsumerProtocolAssignment>(blob),
        _ => None,
    }
}

fn prefixed_json<M: Message>(blob: &Bytes) -> Option<String> {
    let mut reader = Reader::new(blob.clone());
    let version = read_prefix(&mut reader).ok()?;
    let mut text = String::new();
    schema_json::write(&Schema::of::<M>(), &mut reader, version, &mut text).ok()?;
    Some(text)
}

/// Converts a metadata record to JSON. The error is the message of Kafka's `MetadataRecordSerde`.
fn metadata_record(value: &Bytes) -> Result<String, String> {
    let mut reader = Reader::new(value.clone());
    let frame = read_record_frame(&mut reader).map_err(|_| match value.first() {
        None => "Error while reading frame version".to_owned(),
        Some(0) => "Could not deserialize metadata record with frame version 0. Note that upgrades from the preview \
                    release of KRaft in 2.8 to newer versions are not supported."
            .to_owned(),
        Some(1) => "Error while reading type".to_owned(),
        Some(version) => format!(
            "Could not deserialize metadata record due to unknown frame version {version}(only frame version 1 is \
             supported)"
        ),
    })?;
    let schema = RecordBody::schema(frame.kind).ok_or_else(|| {
        format!("org.apache.kafka.common.errors.UnsupportedVersionException: Unknown metadata id {}", frame.kind)
    })?;
    let mut data = String::new();
    schema_json::write(&schema, &mut reader, frame.version, &mut data)
        .map_err(|_| format!("Failed to deserialize record with type {}", frame.kind))?;
    if reader.remaining() > 0 {
        return Err(format!("Found {} byte(s) of garbage after {}", reader.remaining(), frame.kind));
    }
    Ok(format!(r#"{{"type":"{}","version":{},"data":{data}}}"#, constant_name(schema.name), frame.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_core::coordinator::records::schemas::{GroupMetadataKey, MemberMetadataRow};
    use ottla_core::metadata::records::{MetadataRecord, NoOpRecord};
    use ottla_wire::codec::write_prefixed;

    #[track_caller]
    fn check(decoder: &Decoder, key: Option<&[u8]>, value: Option<&[u8]>, expect: (Option<&str>, Option<&str>)) {
        let own = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let (key, value) = decoder.decode(7, key.map(own).as_ref(), value.map(own).as_ref()).unwrap();
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
        let (key, value) = (text(key), text(value));
        assert_eq!((key.as_deref(), value.as_deref()), expect);
    }

    #[test]
    fn plain_decoders_convert_keys_and_values() {
        let plain = |key, value| Decoder::Plain { key, value };
        check(&plain(Class::Text, Class::Text), None, Some(b"a\xff"), (None, Some("a\u{fffd}")));
        check(&plain(Class::Integer, Class::Long), Some(&[0, 0, 0, 5]), Some(&[0xff; 8]), (Some("5"), Some("-1")));
        check(&plain(Class::Bytes, Class::Text), Some(&[0, 1]), None, (Some("AAE="), None));
        check(&plain(Class::Integer, Class::Text), Some(&[0, 0, 0, 5, 9]), None, (Some("5"), None));
        let short = plain(Class::Integer, Class::Text).decode(0, Some(&Bytes::new()), None).unwrap_err();
        assert_eq!(short.class, "java.nio.BufferUnderflowException");
        assert_eq!(Class::find(Some("org.apache.kafka.tools.api.LongDecoder")), Ok(Class::Long));
        assert!(Class::find(Some("org.example.Decoder")).is_err());
    }

    #[test]
    fn members_of_consumer_groups_are_decoded() {
        let key = write_prefixed(2, &GroupMetadataKey { group: "g".into() }, 0).unwrap();
        let subscription = ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
        let member = MemberMetadataRow {
            subscription: write_prefixed(0, &subscription, 0).unwrap(),
            assignment: Bytes::from_static(b"?"),
            ..Default::default()
        };
        let group = |protocol_type: &str| {
            let value = GroupMetadataValue {
                protocol_type: protocol_type.into(),
                members: vec![member.clone()],
                ..Default::default()
            };
            write_prefixed(0, &value, 0).unwrap()
        };
        let expected = |protocol: &str, subscription: &str| {
            format!(
                "{{\"version\":\"0\",\"data\":{{\"protocolType\":\"{protocol}\",\"generation\":0,\"protocol\":null,\
                 \"leader\":null,\"members\":[{{\"memberId\":\"\",\"clientId\":\"\",\"clientHost\":\"\",\
                 \"sessionTimeout\":0,\"subscription\":{subscription},\"assignment\":\"Pw==\"}}]}}}}"
            )
        };
        let name = r#"{"type":"2","data":{"group":"g"}}"#;
        let decoded = expected("consumer", r#"{"topics":["t"],"userData":null}"#);
        check(&Decoder::OFFSETS, Some(&key), Some(&group("consumer")), (Some(name), Some(&decoded)));
        let encoded = expected("connect", r#""AAAAAAABAAF0/////w==""#);
        check(&Decoder::OFFSETS, Some(&key), Some(&group("connect")), (Some(name), Some(&encoded)));
        check(&Decoder::OFFSETS, Some(&key), None, (Some(name), Some("<DELETE>")));
        check(&Decoder::TRANSACTIONS, Some(&key), None, (Some("Unknown record type 2 at offset 7, skipping."), None));
        assert!(Decoder::OFFSETS.decode(7, None, None).is_err());
    }

    #[test]
    fn metadata_records_become_json_or_an_error_text() {
        let no_op = MetadataRecord::new(0, NoOpRecord::default()).encode().unwrap();
        let check = |value: &[u8], expect: &str| check(&Decoder::Metadata, None, Some(value), (None, Some(expect)));
        check(&no_op, r#"{"type":"NO_OP_RECORD","version":0,"data":{}}"#);
        check(&[&no_op[..], b"x"].concat(), "Error at 7, skipping. Found 1 byte(s) of garbage after 20");
        check(
            &[1, 99, 0],
            "Error at 7, skipping. org.apache.kafka.common.errors.UnsupportedVersionException: Unknown metadata id 99",
        );
        check(&[1, 2, 0], "Error at 7, skipping. Failed to deserialize record with type 2");
    }
}
