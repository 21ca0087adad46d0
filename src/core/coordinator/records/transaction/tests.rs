//! Unless a comment says otherwise, Apache Kafka 4.3.1 wrote these bytes, for a transactional producer.

use super::*;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Checks that these bytes decode to this record, and that it encodes to them.
#[track_caller]
fn check(key: &str, value: Option<&str>, expect: TransactionRecord) {
    let (key, value) = (hex(key), value.map(hex));
    assert_eq!(TransactionRecord::decode(&key, value.as_ref()).as_ref(), Ok(&expect));
    assert_eq!(expect.encode(), Ok((key, value)));
}

fn pay(value: TransactionMetadata) -> TransactionRecord {
    TransactionRecord { transactional_id: "pay".into(), value: Some(Arc::new(value)) }
}

const PAY: &str = "0000 0003 706179";

/// A new id with `transaction.version` 2.
fn empty() -> TransactionMetadata {
    TransactionMetadata {
        version: ValueVersion::V1,
        state: TransactionState::Empty,
        producer: ProducerIdEpoch { producer_id: 0, epoch: 0 },
        previous_producer_id: 0,
        next_producer_id: -1,
        next_producer_epoch: -1,
        timeout_ms: 60_000,
        partitions: BTreeSet::new(),
        last_update: 0x1a2_2c3e_1e76,
        start: -1,
        client_transaction_version: 0,
    }
}

#[test]
fn new_transactional_id_is_encoded_as_in_kafka() {
    let value = "0001 0000000000000000 0000 0000ea60 00 00 000001a22c3e1e76 ffffffffffffffff
        01 00 08 0000000000000000";
    check(PAY, Some(value), pay(empty()));
}

#[test]
fn committed_transaction_is_encoded_as_in_kafka() {
    let prepared = TransactionMetadata {
        state: TransactionState::PrepareCommit,
        producer: ProducerIdEpoch { producer_id: 0, epoch: 1 },
        partitions: BTreeSet::from([TopicPartition::new("orders", 0)]),
        last_update: 0x1a2_2c3e_200d,
        start: 0x1a2_2c3e_1f52,
        client_transaction_version: 2,
        ..empty()
    };
    let value = "0001 0000000000000000 0001 0000ea60 02 02 07 6f7264657273 02 00000000 00
        000001a22c3e200d 000001a22c3e1f52 02 00 08 0000000000000000 02 02 0002";
    check(PAY, Some(value), pay(prepared.clone()));
    let complete = TransactionMetadata {
        state: TransactionState::CompleteCommit,
        partitions: BTreeSet::new(),
        last_update: 0x1a2_2c3e_2010,
        ..prepared
    };
    let value = "0001 0000000000000000 0001 0000ea60 04 01 000001a22c3e2010 000001a22c3e1f52
        02 00 08 0000000000000000 02 02 0002";
    check(PAY, Some(value), pay(complete));
}

#[test]
fn records_of_transaction_version_0_are_encoded_as_in_kafka() {
    let record = |value| TransactionRecord { transactional_id: "old".into(), value: Some(Arc::new(value)) };
    let old = TransactionMetadata {
        producer: ProducerIdEpoch { producer_id: 1, epoch: 0 },
        last_update: 0x1a2_2c3f_1566,
        ..empty().without_tagged_fields()
    };
    let value = "0000 0000000000000001 0000 0000ea60 00 ffffffff 000001a22c3f1566 ffffffffffffffff";
    check("0000 0003 6f6c64", Some(value), record(old.clone()));
    let ongoing = TransactionMetadata {
        state: TransactionState::Ongoing,
        partitions: BTreeSet::from([TopicPartition::new("orders", 0)]),
        last_update: 0x1a2_2c3f_15d4,
        start: 0x1a2_2c3f_15d4,
        ..old
    };
    let value = "0000 0000000000000001 0000 0000ea60 01 00000001 0006 6f7264657273 00000001 00000000
        000001a22c3f15d4 000001a22c3f15d4";
    check("0000 0003 6f6c64", Some(value), record(ongoing));
}

/// Built after the schema.
#[test]
fn every_field_and_partition_survives_encoding() {
    let partitions = [("a", 2), ("b", 0), ("a", 0), ("c", 7)].map(|(topic, p)| TopicPartition::new(topic, p));
    let value = TransactionMetadata {
        state: TransactionState::PrepareAbort,
        producer: ProducerIdEpoch { producer_id: 7, epoch: i16::MAX },
        previous_producer_id: 6,
        next_producer_id: 8,
        next_producer_epoch: 3,
        partitions: partitions.into_iter().collect(),
        client_transaction_version: 2,
        ..empty()
    };
    let (key, encoded) = pay(value.clone()).encode().unwrap();
    assert_eq!(TransactionRecord::decode(&key, encoded.as_ref()), Ok(pay(value)));
}

#[test]
fn tombstone_has_a_key_only() {
    check(PAY, None, TransactionRecord { transactional_id: "pay".into(), value: None });
}

#[test]
fn unknown_types_and_statuses_are_errors() {
    let error =
        |key: &str, value: Option<&str>| TransactionRecord::decode(&hex(key), value.map(hex).as_ref()).unwrap_err();
    assert_eq!(error("0001 0003 706179", None), RecordError::UnknownType(1).into());
    // Dead, PrepareEpochFence, and a number without a state.
    for status in [6, 7, 8] {
        let value =
            format!("0000 0000000000000001 0000 0000ea60 {status:02} ffffffff 000001a22c3f1566 ffffffffffffffff");
        assert_eq!(error(PAY, Some(&value)), TransactionRecordError::UnknownStatus(status));
    }
    assert!(matches!(error(PAY, Some("0002")), TransactionRecordError::Record(RecordError::Malformed(_))));
    assert!(matches!(error("0000 00", None), TransactionRecordError::Record(RecordError::Malformed(_))));
}

#[test]
fn names_of_states_are_those_of_kafka() {
    let names = TransactionState::ALL.map(TransactionState::name);
    let expect = "Empty Ongoing PrepareCommit PrepareAbort CompleteCommit CompleteAbort Dead PrepareEpochFence";
    assert_eq!(names.join(" "), expect);
    assert_eq!(
        TransactionState::ALL.map(|state| TransactionState::from_name(state.name())),
        TransactionState::ALL.map(Some)
    );
    assert_eq!(TransactionState::from_name("ongoing"), None);
    assert_eq!(TransactionState::ALL.map(TransactionState::status), [0, 1, 2, 3, 4, 5, 6, 7]);
}
