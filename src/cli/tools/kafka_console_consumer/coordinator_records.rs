//! Formats records of Kafka's internal topics as one JSON object each.
//!
//! Source of behaviour: `OffsetsMessageFormatter`, `GroupMetadataMessageFormatter` and `TransactionLogMessageFormatter` in
//! `org.apache.kafka.tools.consumer`.

use super::super::coordinator_json::{self, RecordJsonError};
use super::super::exceptions::Exception;
use ottla_core::coordinator::records::schemas::{GROUP_RECORDS, TRANSACTION_RECORDS};
use ottla_wire::record::Record;

/// The records that a formatter prints; it skips the other records of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Offsets,
    Groups,
    Transactions,
}

impl Kind {
    /// Appends the record as a JSON object without a line end. Skips a record of another kind.
    pub fn write(self, record: &Record, out: &mut Vec<u8>) -> Result<(), Exception> {
        let Some(key) = &record.key else { return Ok(()) };
        let (topic, kinds) = match self {
            Kind::Offsets => (GROUP_RECORDS, 0..=1),
            Kind::Groups => (GROUP_RECORDS, 2..=2),
            Kind::Transactions => (TRANSACTION_RECORDS, 0..=0),
        };
        let is_of_this_kind = key.get(..2).is_some_and(|kind| kinds.contains(&i16::from_be_bytes([kind[0], kind[1]])));
        if !is_of_this_kind && key.len() >= 2 {
            return Ok(());
        }
        let json = match coordinator_json::read(topic, key, record.value.as_ref()) {
            Ok(json) => json,
            Err(RecordJsonError::UnknownType(_)) => return Ok(()),
            Err(why) => {
                let why = format!("Could not read record at offset {} due to: {why}", record.offset);
                return Err(Exception::new("java.lang.RuntimeException", why));
            }
        };
        let value = json.value.map(|(version, data)| format!(r#"{{"version":{version},"data":{data}}}"#));
        let value = value.as_deref().unwrap_or("null");
        let line = format!(r#"{{"key":{{"type":{},"data":{}}},"value":{value}}}"#, json.kind, json.key);
        out.extend_from_slice(line.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use ottla_core::coordinator::records::schemas::{GroupMetadataKey, OffsetCommitKey, OffsetCommitValue};
    use ottla_wire::codec::write_prefixed;

    #[track_caller]
    fn check(kind: Kind, key: &Bytes, value: Option<Bytes>, expect: &str) {
        let record = Record { offset: 7, timestamp: 0, key: Some(key.clone()), value, headers: Vec::new() };
        let mut out = Vec::new();
        let failed = kind.write(&record, &mut out).err().map(|why| why.message);
        let printed = failed.unwrap_or_else(|| String::from_utf8(out).unwrap());
        assert_eq!(printed.split(" version ").next(), Some(expect));
    }

    #[test]
    fn formatter_prints_records_of_its_kind_and_skips_others() {
        let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 };
        let key = write_prefixed(1, &key, 0).unwrap();
        let tombstone = r#"{"key":{"type":1,"data":{"group":"g","topic":"t","partition":3}},"value":null}"#;
        check(Kind::Offsets, &key, None, tombstone);
        check(Kind::Groups, &key, None, "");
        check(Kind::Transactions, &key, None, "");
        let value = write_prefixed(4, &OffsetCommitValue { offset: 5, ..Default::default() }, 4).unwrap();
        let expect = concat!(
            r#"{"key":{"type":1,"data":{"group":"g","topic":"t","partition":3}},"value":{"version":4,"data":"#,
            r#"{"offset":5,"leaderEpoch":-1,"metadata":"","commitTimestamp":0}}}"#
        );
        check(Kind::Offsets, &key, Some(value), expect);
        let torn = Some(Bytes::from_static(b"\0\x03\0"));
        check(Kind::Offsets, &key, torn, "Could not read record at offset 7 due to: Could not read record with");
        let group = write_prefixed(2, &GroupMetadataKey { group: "g".into() }, 0).unwrap();
        check(Kind::Groups, &group, None, r#"{"key":{"type":2,"data":{"group":"g"}},"value":null}"#);
        check(Kind::Offsets, &group, None, "");
    }
}
