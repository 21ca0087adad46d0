//! Records of Kafka's own topics as JSON.
//!
//! Source of behaviour: `OffsetsMessageFormatter`, `GroupMetadataMessageFormatter` and `TransactionLogMessageFormatter` in
//! `org.apache.kafka.tools.consumer`; the fields are those of the schemas, in each version those it has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::super::exceptions::Exception;
use crate::codec::{DecodeError, Message, Reader, Str, messages, read_prefix, read_prefixed, structs};
use crate::coordinator::records::schemas::{
    GroupMetadataKey, GroupMetadataValue, MemberMetadataRow, OffsetCommitKey, OffsetCommitValue,
};
use crate::record::Record;
use crate::types::Uuid;

/// What a formatter prints; the rest of the topic it passes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Offsets,
    Groups,
    Transactions,
}

/// The types that stand before keys; the schemas' `apiKey`.
const LEGACY_OFFSET_COMMIT: i16 = 0;
const OFFSET_COMMIT: i16 = 1;
const GROUP_METADATA: i16 = 2;
const TRANSACTION_LOG: i16 = 0;

impl Kind {
    /// Adds the record as JSON, one object with no end of line; nothing, if it is not of this kind.
    pub fn write(self, record: &Record, out: &mut Vec<u8>) -> Result<(), Exception> {
        let Some(key) = &record.key else { return Ok(()) };
        let json = self.json(key, record.value.as_ref()).map_err(|why| {
            let why = format!("Could not read record at offset {} due to: {why}", record.offset);
            Exception::new("java.lang.RuntimeException", why)
        })?;
        out.extend_from_slice(json.unwrap_or_default().as_bytes());
        Ok(())
    }

    fn json(self, key: &Bytes, value: Option<&Bytes>) -> Result<Option<String>, DecodeError> {
        let mut reader = Reader::new(key.clone());
        let kind = read_prefix(&mut reader)?;
        match (self, kind) {
            (Kind::Offsets, LEGACY_OFFSET_COMMIT | OFFSET_COMMIT) => {
                let key = OffsetCommitKey::read(&mut reader, 0)?;
                let data = OffsetKey { group: &key.group, topic: &key.topic, partition: key.partition };
                record(kind, data, read(value)?.map(|(version, value)| (version, offset(version, &value))))
            }
            (Kind::Groups, GROUP_METADATA) => {
                let key = GroupMetadataKey::read(&mut reader, 0)?;
                let value = read(value)?;
                let data = value.as_ref().map(|(version, value)| (*version, group(*version, value)));
                record(kind, GroupKey { group: &key.group }, data)
            }
            (Kind::Transactions, TRANSACTION_LOG) => {
                let key = TransactionLogKey::read(&mut reader, 0)?;
                let value = read(value)?;
                let data = value.as_ref().map(|(version, value)| (*version, transaction(value)));
                record(kind, TransactionKey { transactional_id: &key.transactional_id }, data)
            }
            _ => Ok(None),
        }
    }
}

fn read<M: Message>(value: Option<&Bytes>) -> Result<Option<(i16, M)>, DecodeError> {
    value.map(read_prefixed).transpose()
}

fn record(kind: i16, key: impl Serialize, value: Option<(i16, impl Serialize)>) -> Result<Option<String>, DecodeError> {
    let value = value.map(|(version, data)| Value { version, data });
    // What is here has no maps and no numbers that JSON lacks, so it can always be written.
    Ok(serde_json::to_string(&Written { key: Key { kind, data: key }, value }).ok())
}

#[derive(Serialize)]
struct Written<K, V> {
    key: Key<K>,
    value: Option<Value<V>>,
}

#[derive(Serialize)]
struct Key<K> {
    #[serde(rename = "type")]
    kind: i16,
    data: K,
}

#[derive(Serialize)]
struct Value<V> {
    version: i16,
    data: V,
}

#[derive(Serialize)]
struct OffsetKey<'a> {
    group: &'a str,
    topic: &'a str,
    partition: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OffsetValue {
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader_epoch: Option<i32>,
    metadata: String,
    commit_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
}

fn offset(version: i16, value: &OffsetCommitValue) -> OffsetValue {
    OffsetValue {
        offset: value.offset,
        leader_epoch: (version >= 3).then_some(value.leader_epoch),
        metadata: value.metadata.to_string(),
        commit_timestamp: value.commit_timestamp,
        expire_timestamp: (version == 1).then_some(value.expire_timestamp),
        topic_id: (value.topic_id != Uuid::ZERO).then(|| value.topic_id.to_string()),
    }
}

#[derive(Serialize)]
struct GroupKey<'a> {
    group: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupValue<'a> {
    protocol_type: &'a str,
    generation: i32,
    protocol: Option<&'a str>,
    leader: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_state_timestamp: Option<i64>,
    members: Vec<Member<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    member_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_instance_id: Option<Option<&'a str>>,
    client_id: &'a str,
    client_host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebalance_timeout: Option<i32>,
    session_timeout: i32,
    #[serde(serialize_with = "base64")]
    subscription: &'a [u8],
    #[serde(serialize_with = "base64")]
    assignment: &'a [u8],
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn group(version: i16, value: &GroupMetadataValue) -> GroupValue<'_> {
    GroupValue {
        protocol_type: &value.protocol_type,
        generation: value.generation,
        protocol: value.protocol.as_deref(),
        leader: value.leader.as_deref(),
        current_state_timestamp: (version >= 2).then_some(value.current_state_timestamp),
        members: value.members.iter().map(|row| member(version, row)).collect(),
    }
}

fn member(version: i16, row: &MemberMetadataRow) -> Member<'_> {
    Member {
        member_id: &row.member_id,
        group_instance_id: (version >= 3).then_some(row.group_instance_id.as_deref()),
        client_id: &row.client_id,
        client_host: &row.client_host,
        rebalance_timeout: (version >= 1).then_some(row.rebalance_timeout),
        session_timeout: row.session_timeout,
        subscription: &row.subscription,
        assignment: &row.assignment,
    }
}

// Kafka's TransactionLogKey.json and TransactionLogValue.json.
structs! {
    struct TransactionLogKey {
        transactional_id: Str = 0..;
    }

    struct TransactionLogValue {
        producer_id: i64 = 0..;
        previous_producer_id: i64 = 1.., default -1, tag 0;
        next_producer_id: i64 = 1.., default -1, tag 1;
        producer_epoch: i16 = 0..;
        next_producer_epoch: i16 = 1.., default -1, tag 3;
        transaction_timeout_ms: i32 = 0..;
        transaction_status: i8 = 0..;
        transaction_partitions: Option<Vec<TransactionPartitions>> = 0..;
        transaction_last_update_timestamp_ms: i64 = 0..;
        transaction_start_timestamp_ms: i64 = 0..;
        client_transaction_version: i16 = 1.., tag 2;
    }

    /// `PartitionsSchema` in the schema.
    struct TransactionPartitions {
        topic: Str = 0..;
        partition_ids: Vec<i32> = 0..;
    }
}

messages! {
    TransactionLogKey, versions 0..=0;
    TransactionLogValue, versions 0..=1, flexible 1;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionKey<'a> {
    transactional_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionValue<'a> {
    producer_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_producer_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_producer_id: Option<i64>,
    producer_epoch: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_producer_epoch: Option<i16>,
    transaction_timeout_ms: i32,
    transaction_status: i8,
    transaction_partitions: Option<Vec<TransactionTopic<'a>>>,
    transaction_last_update_timestamp_ms: i64,
    transaction_start_timestamp_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_transaction_version: Option<i16>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionTopic<'a> {
    topic: &'a str,
    partition_ids: &'a [i32],
}

fn transaction(value: &TransactionLogValue) -> TransactionValue<'_> {
    TransactionValue {
        producer_id: value.producer_id,
        previous_producer_id: Some(value.previous_producer_id).filter(|id| *id != -1),
        next_producer_id: Some(value.next_producer_id).filter(|id| *id != -1),
        producer_epoch: value.producer_epoch,
        next_producer_epoch: Some(value.next_producer_epoch).filter(|epoch| *epoch != -1),
        transaction_timeout_ms: value.transaction_timeout_ms,
        transaction_status: value.transaction_status,
        transaction_partitions: value
            .transaction_partitions
            .as_ref()
            .map(|topics| topics.iter().map(transaction_topic).collect()),
        transaction_last_update_timestamp_ms: value.transaction_last_update_timestamp_ms,
        transaction_start_timestamp_ms: value.transaction_start_timestamp_ms,
        client_transaction_version: Some(value.client_transaction_version).filter(|version| *version != 0),
    }
}

fn transaction_topic(topic: &TransactionPartitions) -> TransactionTopic<'_> {
    TransactionTopic { topic: &topic.topic, partition_ids: &topic.partition_ids }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::write_prefixed;

    #[track_caller]
    fn check(kind: Kind, key: Bytes, value: Option<Bytes>, expect: &str) {
        let record = Record { offset: 7, timestamp: 0, key: Some(key), value, headers: Vec::new() };
        let mut out = Vec::new();
        let failed = kind.write(&record, &mut out).err().map(|why| why.message);
        assert_eq!(failed.unwrap_or_else(|| String::from_utf8(out).unwrap()), expect);
    }

    #[test]
    fn offsets() {
        let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 };
        let key = write_prefixed(1, &key, 0).unwrap();
        let tombstone = r#"{"key":{"type":1,"data":{"group":"g","topic":"t","partition":3}},"value":null}"#;
        check(Kind::Offsets, key.clone(), None, tombstone);
        check(Kind::Groups, key.clone(), None, "");
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
        let start = r#"{"key":{"type":1,"data":{"group":"g","topic":"t","partition":3}},"value":{"version":"#;
        let expect = |rest: &str| format!("{start}{rest}}}}}");
        let data = r#""metadata":"\"","commitTimestamp":8"#;
        check(
            Kind::Offsets,
            key.clone(),
            value(4),
            &expect(&format!(r#"4,"data":{{"offset":5,"leaderEpoch":2,{data}}}"#)),
        );
        let expired = format!(r#"1,"data":{{"offset":5,{data},"expireTimestamp":-1}}"#);
        check(Kind::Offsets, key.clone(), value(1), &expect(&expired));
        let torn = Some(Bytes::from_static(b"\0\x03\0"));
        let mut out = Vec::new();
        let record = Record { offset: 7, timestamp: 0, key: Some(key), value: torn, headers: Vec::new() };
        let why = Kind::Offsets.write(&record, &mut out).unwrap_err();
        assert!(why.message.starts_with("Could not read record at offset 7 due to: "), "{why}");
    }

    #[test]
    fn groups() {
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
            r#"{"key":{"type":2,"data":{"group":"g"}},"value":{"version":3,"data":{"protocolType":"consumer","#,
            r#""generation":4,"protocol":null,"leader":null,"currentStateTimestamp":-1,"members":[{"memberId":"m","#,
            r#""groupInstanceId":null,"clientId":"c","clientHost":"/h","rebalanceTimeout":1,"sessionTimeout":2,"#,
            r#""subscription":"AAE=","assignment":""}]}}}"#
        );
        check(Kind::Groups, key, Some(value), expect);
    }

    #[test]
    fn transactions() {
        let key = write_prefixed(0, &TransactionLogKey { transactional_id: "x".into() }, 0).unwrap();
        let topic = TransactionPartitions { topic: "t".into(), partition_ids: vec![0, 1] };
        let value = TransactionLogValue {
            producer_id: 9,
            transaction_partitions: Some(vec![topic]),
            client_transaction_version: 2,
            ..Default::default()
        };
        let value = write_prefixed(1, &value, 1).unwrap();
        let expect = concat!(
            r#"{"key":{"type":0,"data":{"transactionalId":"x"}},"value":{"version":1,"data":{"producerId":9,"#,
            r#""producerEpoch":0,"transactionTimeoutMs":0,"transactionStatus":0,"transactionPartitions":[{"topic":"t","#,
            r#""partitionIds":[0,1]}],"transactionLastUpdateTimestampMs":0,"transactionStartTimestampMs":0,"#,
            r#""clientTransactionVersion":2}}}"#
        );
        check(Kind::Transactions, key, Some(value), expect);
    }
}
