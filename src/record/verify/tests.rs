//! One batch, one rule broken at a time.

use bytes::Bytes;

use super::*;
use crate::record::{BatchBuilder, Record, RecordError, batches};
use crate::types::ProducerIdEpoch;

const NOW: TimestampMs = 1_700_000_000_000;

fn rules() -> VerifyRules {
    VerifyRules {
        accepts: Accepts::V2,
        max_message_bytes: 1_048_588,
        timestamp_type: TimestampType::CreateTime,
        now: NOW,
        before_max_ms: i64::MAX,
        after_max_ms: 3_600_000,
        target: None,
        compacted: false,
    }
}

fn sample(codec: Codec) -> BatchBuilder {
    let mut builder = BatchBuilder::new(codec);
    builder.append(NOW - 5, Some(b"a"), Some(b"one"), &[]);
    builder.append(NOW + 7, None, Some(b"two"), &[(b"h", Some(b"v")), (b"", None)]);
    builder.append(NOW - 9, Some(b""), None, &[]);
    builder
}

fn sent(builder: BatchBuilder) -> Bytes {
    builder.build().expect("a sample batch").bytes().clone()
}

/// The batch with its header changed and its CRC made right again.
fn with_header(batch: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).expect("a sample header");
    change(&mut header);
    header.assemble(&batch[BATCH_OVERHEAD..]).expect("assembles").1.into()
}

fn verify(bytes: &Bytes, rules: &VerifyRules) -> Result<Verified, RecordError> {
    Unverified::new(bytes.clone()).verify(rules)
}

fn records(verified: &Verified) -> Vec<Record> {
    let batch = batches(verified.bytes()).next().expect("a batch").expect("whole");
    batch.check_crc().expect("a right CRC");
    batch.records().collect::<Result<_, _>>().expect("readable records")
}

#[track_caller]
fn check_invalid(bytes: &Bytes, rules: &VerifyRules, why: &str) {
    match verify(bytes, rules) {
        Err(RecordError::Invalid(rejection)) => assert!(rejection.message.contains(why), "{rejection}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_corrupt(bytes: &[u8], why: &str) {
    match verify(&Bytes::copy_from_slice(bytes), &rules()) {
        Err(RecordError::Corrupt(message)) => assert!(message.contains(why), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_batch_is_kept_as_it_is() {
    for codec in Codec::ALL {
        let bytes = sent(sample(codec));
        let verified = verify(&bytes, &rules()).expect("verifies");
        assert_eq!(verified.bytes(), &bytes);
        assert_eq!(verified.max_timestamp(), NOW + 7);
        assert_eq!(verified.log_append_time(), None);
        let records = records(&verified);
        assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(records.iter().map(|r| r.timestamp).collect::<Vec<_>>(), [NOW - 5, NOW + 7, NOW - 9]);
        assert_eq!(records[1].headers.len(), 2);
        assert_eq!(records[2].value, None);
        assert_eq!(records[2].key.as_deref(), Some(&b""[..]));
    }
}

#[test]
fn a_placed_batch_has_its_offset_and_epoch_and_still_its_crc() {
    let verified = verify(&sent(sample(Codec::None)), &rules()).expect("verifies");
    let mut stored = verified.bytes().to_vec();
    stored[..16].copy_from_slice(&verified.placed(1234, 7));
    let header = BatchHeader::parse(&stored).expect("parses");
    check_crc(&header, &stored).expect("a right CRC");
    assert_eq!((header.base_offset, header.last_offset(), header.partition_leader_epoch), (1234, 1236, 7));
}

#[test]
fn framing() {
    let good = sent(sample(Codec::None));
    check_invalid(&Bytes::new(), &rules(), "at least one");
    check_invalid(&good.slice(..good.len() - 1), &rules(), "at least one");
    check_invalid(&[&good[..], &good[..]].concat().into(), &rules(), "exactly one");
    let trailing = verify(&[&good[..], &good[..40]].concat().into(), &rules()).expect("a cut second batch is ignored");
    assert_eq!(trailing.bytes(), &good);
}

#[test]
fn corruption() {
    let good = sent(sample(Codec::None));
    for at in [17, 20, 21, 40, 61, good.len() - 1] {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x10;
        check_corrupt(&bytes, "crc");
    }
    let mut bytes = good.to_vec();
    bytes[16] = 3;
    check_corrupt(&bytes, "magic");
    bytes[16] = 2;
    bytes[8..12].copy_from_slice(&13i32.to_be_bytes());
    check_corrupt(&bytes, "13 bytes");
    bytes[8..12].copy_from_slice(&(-1i32).to_be_bytes());
    check_corrupt(&bytes, "-1 bytes");
    bytes[8..12].copy_from_slice(&48i32.to_be_bytes());
    check_corrupt(&bytes, "less than its header");
}

#[test]
fn headers_that_make_no_sense() {
    let good = sent(sample(Codec::None));
    let check = |change: fn(&mut BatchHeader), why| check_invalid(&with_header(&good, change), &rules(), why);
    check(|h| h.base_offset = 1, "base offset");
    check(|h| h.record_count = 0, "record count 0");
    check(|h| h.record_count = -1, "record count -1");
    check(|h| h.record_count = 2, "inconsistent");
    check(|h| h.last_offset_delta = -1, "inconsistent");
    check(|h| h.attributes |= 0x20, "control");
    check(|h| h.attributes |= 0x10, "producer id");
    check(|h| h.producer_id = 5, "sequence");
    check(|h| (h.producer_id, h.base_sequence) = (5, 0), "epoch");
    let claims_more = |h: &mut BatchHeader| (h.record_count, h.last_offset_delta) = (4, 3);
    check(claims_more, "claims 4 records and ends after 3");
    let claims_less = |h: &mut BatchHeader| (h.record_count, h.last_offset_delta) = (2, 1);
    check(claims_less, "left after the last record");
    let unknown_codec = verify(&with_header(&good, |h| h.attributes |= 5), &rules());
    assert!(matches!(unknown_codec, Err(RecordError::UnsupportedCompression(_))), "{unknown_codec:?}");
}

#[test]
fn producers() {
    let producer = ProducerIdEpoch { producer_id: 9, epoch: 0 };
    let verified = verify(&sent(sample(Codec::Lz4).producer(producer, i32::MAX).transactional()), &rules());
    let header = *verified.expect("verifies").header();
    assert_eq!((header.producer_id, header.base_sequence, header.last_sequence()), (9, i32::MAX, 1));
}

#[test]
fn sizes() {
    let good = sent(sample(Codec::None));
    let limited = |max_message_bytes| VerifyRules { max_message_bytes, ..rules() };
    assert!(verify(&good, &limited(good.len())).is_ok());
    let limit = good.len() - 1;
    assert_eq!(verify(&good, &limited(limit)), Err(RecordError::TooLarge { size: good.len(), limit }));
}
