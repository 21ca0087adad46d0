//! Converts records of the coordinators' internal topics to JSON.
//!
//! Source of behaviour: `org.apache.kafka.coordinator.common.runtime.CoordinatorRecordSerde`.

use bytes::Bytes;

use super::schema_json::{self, OpenBlob};
use ottla_core::coordinator::records::schemas::RecordKind;
use ottla_wire::codec::{DecodeError, DecodeErrorKind, Reader, read_prefix};

/// A record's key and value as JSON, for kafka-dump-log and the formatters of kafka-console-consumer.
#[derive(Debug, PartialEq, Eq)]
pub struct RecordJson {
    /// The record type, which is the prefix of the key.
    pub kind: i16,
    pub key: String,
    /// The version and JSON of the value; `None` for a tombstone.
    pub value: Option<(i16, String)>,
}

/// Why a record can't be converted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordJsonError {
    /// The topic has no records of the key's type.
    #[error("Found an unknown record type {0}")]
    UnknownType(i16),
    #[error("Found an unknown record version {version} for {kind} type")]
    UnknownVersion { kind: i16, version: i16 },
    /// The buffer is shorter than two bytes.
    #[error("Could not read version from {0}'s buffer.")]
    NoVersion(&'static str),
    #[error("Could not read record with version {version} from {part}'s buffer due to: {why}.")]
    Malformed { part: &'static str, version: i16, why: DecodeError },
}

/// Converts a record of a topic with these record kinds.
pub fn read(kinds: &[RecordKind], key: &Bytes, value: Option<&Bytes>) -> Result<RecordJson, RecordJsonError> {
    read_with(kinds, key, value, &|_, _| None)
}

/// Like [`read`]; `open` converts some of the byte fields in values to JSON.
pub fn read_with(
    kinds: &[RecordKind],
    key: &Bytes,
    value: Option<&Bytes>,
    open: &OpenBlob<'_>,
) -> Result<RecordJson, RecordJsonError> {
    let mut reader = Reader::new(key.clone());
    let kind = read_prefix(&mut reader).map_err(|_| RecordJsonError::NoVersion("key"))?;
    let found = kinds.iter().find(|found| found.id == kind).ok_or(RecordJsonError::UnknownType(kind))?;
    let mut text = String::new();
    schema_json::write(&found.key, &mut reader, 0, &mut text).map_err(|why| malformed("key", kind, why))?;
    let value = value.map(|value| read_value(found, value, open)).transpose()?;
    Ok(RecordJson { kind, key: text, value })
}

fn read_value(kind: &RecordKind, value: &Bytes, open: &OpenBlob<'_>) -> Result<(i16, String), RecordJsonError> {
    let mut reader = Reader::new(value.clone());
    let version = read_prefix(&mut reader).map_err(|_| RecordJsonError::NoVersion("value"))?;
    let mut text = String::new();
    schema_json::write_with(&kind.value, &mut reader, version, open, &mut text).map_err(|why| match why.kind() {
        DecodeErrorKind::UnsupportedVersion { .. } => RecordJsonError::UnknownVersion { kind: kind.id, version },
        _ => malformed("value", version, why),
    })?;
    Ok((version, text))
}

fn malformed(part: &'static str, version: i16, why: DecodeError) -> RecordJsonError {
    RecordJsonError::Malformed { part, version, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_core::coordinator::records::schemas::transaction::{
        PartitionsSchema, TransactionLogKey, TransactionLogValue,
    };
    use ottla_core::coordinator::records::schemas::{
        GROUP_RECORDS, GroupMetadataKey, GroupMetadataValue, MemberMetadataRow, OffsetCommitKey, OffsetCommitValue,
        TRANSACTION_RECORDS,
    };
    use ottla_wire::codec::write_prefixed;

    #[track_caller]
    fn check(kinds: &[RecordKind], key: &Bytes, value: Option<Bytes>, expect: Result<(&str, Option<&str>), &str>) {
        let read = read(kinds, key, value.as_ref()).map_err(|why| why.to_string());
        let read = read.as_ref().map(|read| (read.key.as_str(), read.value.as_ref().map(|(_, text)| text.as_str())));
        assert_eq!(read.map_err(String::as_str), expect);
    }

    #[test]
    fn offset_commit_records_are_converted() {
        let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 };
        let key = write_prefixed(1, &key, 0).unwrap();
        let key_text = r#"{"group":"g","topic":"t","partition":3}"#;
        check(GROUP_RECORDS, &key, None, Ok((key_text, None)));
        let value = |version| {
            let value = OffsetCommitValue {
                offset: 5,
                leader_epoch: if version >= 3 { 2 } else { -1 },
                metadata: "\"".into(),
                commit_timestamp: 8,
                ..Default::default()
            };
            Some(write_prefixed(version, &value, version).unwrap())
        };
        let data = r#""metadata":"\"","commitTimestamp":8"#;
        let expect = format!(r#"{{"offset":5,"leaderEpoch":2,{data}}}"#);
        check(GROUP_RECORDS, &key, value(4), Ok((key_text, Some(&expect))));
        let expect = format!(r#"{{"offset":5,{data},"expireTimestamp":-1}}"#);
        check(GROUP_RECORDS, &key, value(1), Ok((key_text, Some(&expect))));
        let unknown = Some(Bytes::from_static(b"\0\x09\0"));
        check(GROUP_RECORDS, &key, unknown, Err("Found an unknown record version 9 for 1 type"));
        let empty = Some(Bytes::from_static(b"\0"));
        check(GROUP_RECORDS, &key, empty, Err("Could not read version from value's buffer."));
        check(TRANSACTION_RECORDS, &key, None, Err("Found an unknown record type 1"));
    }

    #[test]
    fn group_metadata_records_are_converted() {
        let key = write_prefixed(2, &GroupMetadataKey { group: "g".into() }, 0).unwrap();
        let member = MemberMetadataRow {
            member_id: "m".into(),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout: 1,
            session_timeout: 2,
            subscription: Bytes::from_static(b"\0\x01"),
            ..Default::default()
        };
        let value = GroupMetadataValue {
            protocol_type: "consumer".into(),
            generation: 4,
            members: vec![member],
            ..Default::default()
        };
        let value = write_prefixed(3, &value, 3).unwrap();
        let expect = concat!(
            r#"{"protocolType":"consumer","generation":4,"protocol":null,"leader":null,"currentStateTimestamp":-1,"#,
            r#""members":[{"memberId":"m","groupInstanceId":null,"clientId":"c","clientHost":"/h","#,
            r#""rebalanceTimeout":1,"sessionTimeout":2,"subscription":"AAE=","assignment":""}]}"#
        );
        check(GROUP_RECORDS, &key, Some(value), Ok((r#"{"group":"g"}"#, Some(expect))));
    }

    #[test]
    fn transaction_records_are_converted() {
        let key = write_prefixed(0, &TransactionLogKey { transactional_id: "x".into() }, 0).unwrap();
        let topic = PartitionsSchema { topic: "t".into(), partition_ids: vec![0, 1] };
        let value = TransactionLogValue {
            producer_id: 9,
            transaction_partitions: Some(vec![topic]),
            client_transaction_version: 2,
            ..Default::default()
        };
        let value = write_prefixed(1, &value, 1).unwrap();
        let expect = concat!(
            r#"{"producerId":9,"producerEpoch":0,"transactionTimeoutMs":0,"transactionStatus":0,"#,
            r#""transactionPartitions":[{"topic":"t","partitionIds":[0,1]}],"transactionLastUpdateTimestampMs":0,"#,
            r#""transactionStartTimestampMs":0,"clientTransactionVersion":2}"#
        );
        check(TRANSACTION_RECORDS, &key, Some(value), Ok((r#"{"transactionalId":"x"}"#, Some(expect))));
    }
}
