//! Tests of batches that violate one rule each.

use bytes::Bytes;

use super::*;
use crate::record::compress::{CHUNK, compress};
use crate::record::fixtures::{NOW, old_rules, records, rules, sample, sent, verify};
use crate::record::limits::ALWAYS_ALLOWED;
use crate::record::parse::put_record;
use crate::record::{Fault, OldFormat, RecordFault, TimeLimit, down_convert};

/// The batch with a changed header and the right CRC.
fn with_header(batch: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).expect("a sample header");
    change(&mut header);
    header.assemble(&batch[BATCH_OVERHEAD..]).expect("assembles").1.into()
}

#[track_caller]
fn check_invalid(bytes: &Bytes, rules: &VerifyRules, why: &str) {
    match verify(bytes, rules) {
        Err(RecordError::Invalid(message)) => assert!(message.contains(why), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_not_one(bytes: &Bytes, why: &str) {
    match verify(bytes, &rules()) {
        Err(RecordError::NotOneBatch(message)) => assert!(message.contains(why), "{message}"),
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
fn valid_batch_is_not_changed() {
    for codec in Codec::ALL {
        let bytes = sent(sample(codec));
        let verified = verify(&bytes, &rules()).expect("verifies");
        assert_eq!(verified.bytes(), &bytes);
        assert_eq!(verified.max_timestamp(), NOW + 7);
        assert_eq!(verified.log_append_time(), None);
        let records = records(verified.bytes());
        assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(records.iter().map(|r| r.timestamp).collect::<Vec<_>>(), [NOW - 5, NOW + 7, NOW - 9]);
        assert_eq!(records[1].headers.len(), 2);
        assert_eq!(records[2].value, None);
        assert_eq!(records[2].key.as_deref(), Some(&b""[..]));
    }
}

#[test]
fn placed_batch_has_offset_and_epoch_and_a_valid_crc() {
    let verified = verify(&sent(sample(Codec::None)), &rules()).expect("verifies");
    let mut stored = verified.bytes().to_vec();
    stored[..16].copy_from_slice(&verified.log_prefix(1234, 7));
    let header = BatchHeader::parse(&stored).expect("parses");
    check_crc(&header, &stored).expect("a right CRC");
    assert_eq!((header.base_offset, header.last_offset(), header.partition_leader_epoch), (1234, 1236, 7));
}

#[test]
fn incomplete_or_multiple_batches_are_rejected() {
    let good = sent(sample(Codec::None));
    check_not_one(&Bytes::new(), "at least one");
    check_not_one(&good.slice(..good.len() - 1), "at least one");
    check_not_one(&[&good[..], &good[..]].concat().into(), "exactly one");
    let trailing = verify(&[&good[..], &good[..40]].concat().into(), &rules()).expect("a cut second batch is ignored");
    assert_eq!(trailing.bytes(), &good);
}

#[test]
fn corrupt_batch_is_rejected() {
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
    check_corrupt(&bytes, "Record size 13");
    bytes[8..12].copy_from_slice(&(-1i32).to_be_bytes());
    check_corrupt(&bytes, "Record size -1");
    bytes[8..12].copy_from_slice(&48i32.to_be_bytes());
    check_corrupt(&bytes, "less than its header");
}

#[test]
fn invalid_header_fields_are_rejected() {
    let good = sent(sample(Codec::None));
    let check = |change: fn(&mut BatchHeader), why| check_invalid(&with_header(&good, change), &rules(), why);
    check(|h| h.base_offset = 1, "base offset");
    check(|h| h.record_count = 0, "record count 0");
    check(|h| h.record_count = -1, "record count -1");
    check(|h| h.record_count = 2, "inconsistent");
    check(|h| h.last_offset_delta = -1, "inconsistent");
    check(|h| h.attributes |= 0x20, "control");
    check(|h| h.attributes |= 0x10, "producer id");
    check(|h| h.producer_id = -2, "producer id -2");
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
fn producer_fields_are_checked() {
    let producer = ProducerIdEpoch { producer_id: 9, epoch: 0 };
    let verified = verify(&sent(sample(Codec::Lz4).producer(producer, i32::MAX).transactional()), &rules());
    let header = *verified.expect("verifies").header();
    assert_eq!((header.producer_id, header.base_sequence, header.last_sequence()), (9, i32::MAX, 1));
}

#[test]
fn batch_over_max_message_bytes_is_rejected() {
    let good = sent(sample(Codec::None));
    let limited = |max_message_bytes| VerifyRules { max_message_bytes, ..rules() };
    assert!(verify(&good, &limited(good.len())).is_ok());
    let limit = good.len() - 1;
    assert_eq!(verify(&good, &limited(limit)), Err(RecordError::TooLarge { size: good.len(), limit }));
}

fn versions() -> [(Accepts, i16); 3] {
    [(Accepts::AnyFormat, 2), (Accepts::V2WithoutZstd, 6), (Accepts::V2, 7)]
}

#[test]
fn formats_and_codecs_are_limited_by_the_produce_version() {
    for (accepts, version) in versions() {
        assert_eq!(Accepts::for_produce(version), accepts);
        let rules = VerifyRules { accepts, ..rules() };
        assert!(verify(&sent(sample(Codec::Lz4)), &rules).is_ok());
        let zstd = verify(&sent(sample(Codec::Zstd)), &rules);
        match accepts {
            Accepts::V2WithoutZstd => assert!(matches!(zstd, Err(RecordError::UnsupportedCompression(_))), "{zstd:?}"),
            _ => assert!(zstd.is_ok(), "{zstd:?}"),
        }
    }
    assert_eq!(Accepts::for_produce(3), Accepts::V2WithoutZstd);
    assert_eq!(Accepts::for_produce(13), Accepts::V2);
}

#[test]
fn record_without_key_is_rejected_in_a_compacted_topic() {
    let rules = VerifyRules { compacted: true, ..rules() };
    let Err(RecordError::Records(faults)) = verify(&sent(sample(Codec::None)), &rules) else {
        panic!("accepted a record without a key");
    };
    assert!(!faults.any_time());
    assert_eq!(faults.listed(), [RecordFault { batch_index: 1, fault: Fault::NoKey }]);
}

fn faults_within(before_max_ms: i64, after_max_ms: i64) -> Vec<RecordFault> {
    let rules = VerifyRules { before_max_ms, after_max_ms, ..rules() };
    match verify(&sent(sample(Codec::Snappy)), &rules) {
        Ok(_) => Vec::new(),
        Err(RecordError::Records(faults)) if faults.any_time() => faults.listed().to_vec(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn timestamps_outside_of_the_limits_are_rejected() {
    let indexes = |before, after| faults_within(before, after).iter().map(|f| f.batch_index).collect::<Vec<_>>();
    assert_eq!(indexes(9, 7), [0i32; 0]);
    assert_eq!(indexes(8, 7), [2]);
    assert_eq!(indexes(9, 6), [1]);
    assert_eq!(indexes(0, 0), [0, 1, 2]);
    let out_of_range = |offset, timestamp, before, after, setting, ms| Fault::OutOfRange {
        offset,
        timestamp,
        earliest: NOW - before,
        latest: NOW + after,
        limit: TimeLimit { setting, ms },
    };
    let too_late = out_of_range(1, NOW + 7, 9, 6, "message.timestamp.after.max.ms", 6);
    assert_eq!(faults_within(9, 6)[0].fault, too_late);
    let too_early = out_of_range(2, NOW - 9, 8, 7, "message.timestamp.before.max.ms", 8);
    assert_eq!(faults_within(8, 7)[0].fault, too_early);
}

#[test]
fn record_without_a_timestamp_is_not_limited() {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(-1, None, Some(b"v"), &[]);
    let rules = VerifyRules { before_max_ms: 0, after_max_ms: 0, ..rules() };
    assert_eq!(verify(&sent(builder), &rules).map(|verified| verified.max_timestamp()), Ok(-1));
}

/// A batch of one record of `len` equal bytes.
fn large(codec: Codec, len: usize) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    builder.append(NOW, None, Some(&vec![0; len]), &[]);
    sent(builder)
}

/// Apache Kafka accepts a large record that is small when compressed.
#[test]
fn large_record_of_zeros_is_accepted_in_every_codec() {
    for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
        let sent = large(codec, 40 << 20);
        let rules = VerifyRules { max_message_bytes: 4 << 20, ..rules() };
        let verified = verify(&sent, &rules).unwrap_or_else(|error| panic!("{codec:?}: {error}"));
        assert_eq!(verified.bytes(), &sent);
    }
}

#[test]
fn batch_over_the_expansion_limit_is_rejected_with_the_settings() {
    let bomb = large(Codec::Zstd, ALWAYS_ALLOWED);
    let compressed = bomb.len() - BATCH_OVERHEAD;
    let low = VerifyRules { max_decompressed_message_bytes: ALWAYS_ALLOWED + 100, ..rules() };
    assert!(verify(&bomb, &low).is_ok());
    // Several records, none of which is too large alone.
    let mut builder = BatchBuilder::new(Codec::Zstd);
    (0..5).for_each(|_| builder.append(NOW, None, Some(&vec![0; 8 << 20]), &[]));
    let several = sent(builder);
    let low = VerifyRules { max_decompressed_message_bytes: 9 << 20, ..rules() };
    let refused = verify(&several, &low).unwrap_err();
    assert!(matches!(refused, RecordError::ExpandsTooFar { limit: ALWAYS_ALLOWED, .. }), "{refused}");
    assert!(refused.to_string().contains("max.decompressed.message.bytes and max.message.bytes allow"), "{refused}");
    // A batch that is recompressed, or will be compacted, is in memory as a whole.
    let in_memory = RecordError::ExpandsTooFar { compressed, limit: ALWAYS_ALLOWED };
    let target = Some((Codec::Snappy, None));
    assert_eq!(verify(&bomb, &VerifyRules { target_codec: target, ..rules() }), Err(in_memory.clone()));
    assert_eq!(verify(&bomb, &VerifyRules { compacted: true, ..rules() }), Err(in_memory));
    // A size that is allowed uncompressed is allowed compressed.
    let rules = VerifyRules { max_message_bytes: ALWAYS_ALLOWED + 100, target_codec: target, ..rules() };
    let stored = verify(&bomb, &rules).expect("verifies");
    assert_eq!(records(stored.bytes())[0].value.as_ref().map(Bytes::len), Some(ALWAYS_ALLOWED));
}

#[test]
fn expansion_limits_follow_the_settings() {
    /// The limits of a batch that is checked in pieces, and of one that is kept in memory or will be compacted.
    fn check(
        max_decompressed_message_bytes: usize,
        large_batch_memory: Option<usize>,
        compressed: usize,
        expect: usize,
        held: usize,
    ) {
        let rules = VerifyRules { max_decompressed_message_bytes, large_batch_memory, ..rules() };
        let limits = (rules.expansion_limit(compressed, false), rules.expansion_limit(compressed, true));
        assert_eq!(limits, (expect, held));
        assert_eq!(VerifyRules { compacted: true, ..rules }.expansion_limit(compressed, false), held);
    }
    const DEFAULT: usize = 2_147_483_639;
    check(DEFAULT, None, 0, ALWAYS_ALLOWED, ALWAYS_ALLOWED);
    check(DEFAULT, None, 1 << 20, 100 << 20, 100 << 20);
    check(DEFAULT, Some(0), 0, MAX_EXPANSION, ALWAYS_ALLOWED);
    check(DEFAULT, Some(200 << 20), 0, MAX_EXPANSION, 200 << 20);
    check(1000, Some(200 << 20), 0, ALWAYS_ALLOWED, ALWAYS_ALLOWED);
    check(50 << 20, Some(200 << 20), 0, 50 << 20, 50 << 20);
    check(1000, Some(0), 100 << 10, 1100 * (100 << 10), ALWAYS_ALLOWED);
    check(1000, Some(usize::MAX), 512 << 10, 1100 * (512 << 10), 1100 * (512 << 10));
    check(1000, Some(0), usize::MAX, MAX_EXPANSION, MAX_EXPANSION);
    let of_the_topic = VerifyRules { max_message_bytes: 200 << 20, large_batch_memory: None, ..rules() };
    assert_eq!(of_the_topic.expansion_limit(0, true), 200 << 20);
}

#[test]
fn record_over_max_decompressed_message_bytes_is_rejected() {
    // In addition to its 5000 bytes: attributes, two deltas, key, a value length of two bytes, headers.
    const BODY: usize = 5000 + 1 + 1 + 1 + 1 + 2 + 1;
    for codec in Codec::ALL {
        let verify_within = |max_decompressed_message_bytes| {
            verify(&large(codec, 5000), &VerifyRules { max_decompressed_message_bytes, ..rules() })
        };
        assert!(verify_within(BODY).is_ok());
        match codec {
            // An uncompressed batch does not expand.
            Codec::None => assert!(verify_within(1).is_ok()),
            _ => assert!(matches!(verify_within(BODY - 1), Err(RecordError::Invalid(_))), "{}", codec.name()),
        }
    }
}

#[test]
fn record_with_too_large_a_length_is_rejected_before_it_is_read() {
    // The record's length is larger than the batch, which is an error before its bytes are read.
    let mut payload = large(Codec::None, CHUNK * 4)[BATCH_OVERHEAD..].to_vec();
    payload.truncate(CHUNK * 2);
    let mut header = BatchHeader { record_count: 1, base_timestamp: NOW, ..Default::default() };
    header.set_codec(Codec::Gzip);
    let bytes: Bytes =
        header.assemble(&compress(Codec::Gzip, None, &payload).expect("compresses")).expect("assembles").1.into();
    check_invalid(&bytes, &VerifyRules { max_decompressed_message_bytes: 1000, ..rules() }, "once decompressed");
    check_invalid(&bytes, &rules(), "ends after 0");
}

#[test]
fn log_append_time_replaces_timestamps() {
    let rules = VerifyRules { timestamp_type: TimestampType::LogAppendTime, before_max_ms: 0, ..rules() };
    for codec in Codec::ALL {
        let verified = verify(&sent(sample(codec)), &rules).expect("verifies");
        assert_eq!((verified.log_append_time(), verified.max_timestamp()), (Some(NOW), NOW));
        assert_eq!(records(verified.bytes()).iter().map(|r| r.timestamp).collect::<Vec<_>>(), [NOW; 3]);
    }
    let claimed = verify(&sent(sample(Codec::None).log_append_time(NOW)), &rules);
    let Err(RecordError::Records(faults)) = claimed else { panic!("{claimed:?}") };
    assert_eq!(faults.listed()[2], RecordFault { batch_index: 2, fault: Fault::ClaimsAppendTime { offset: 2 } });
}

#[test]
fn log_append_time_of_a_client_is_rejected_or_removed() {
    for codec in Codec::ALL {
        let verified = verify(&sent(sample(codec).log_append_time(NOW - 100)), &rules()).expect("verifies");
        assert_eq!((verified.log_append_time(), verified.max_timestamp()), (None, NOW - 100));
        assert_eq!(records(verified.bytes()).iter().map(|r| r.timestamp).collect::<Vec<_>>(), [NOW - 100; 3]);
    }
}

#[test]
fn wrong_max_timestamp_is_corrected() {
    let bytes = with_header(&sent(sample(Codec::Gzip)), |h| h.max_timestamp = NOW + 999);
    let verified = verify(&bytes, &rules()).expect("verifies");
    assert_eq!(verified.bytes(), &sent(sample(Codec::Gzip)));
}

#[test]
fn batch_is_recompressed_with_the_topics_codec() {
    let producer = ProducerIdEpoch { producer_id: 4, epoch: 2 };
    for from in Codec::ALL {
        for (to, level) in Codec::ALL.map(|codec| (codec, None)).into_iter().chain([(Codec::Gzip, Some(9))]) {
            let bytes = sent(sample(from).producer(producer, 11).transactional());
            let verified =
                verify(&bytes, &VerifyRules { target_codec: Some((to, level)), ..rules() }).expect("verifies");
            let expect = sent(sample(to).producer(producer, 11).transactional());
            assert_eq!(verified.header().codec(), Ok(to));
            assert_eq!(records(verified.bytes()), records(&expect));
            assert_eq!(verified.header().base_sequence, 11);
            assert!(verified.header().is_transactional());
            if from == to {
                assert_eq!(verified.bytes(), &bytes);
            }
        }
    }
}

#[test]
fn old_messages_are_stored_with_the_topics_codec() {
    use crate::record::{OldFormat, down_convert};
    for format in [OldFormat::V0, OldFormat::V1] {
        for from in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4] {
            let old = down_convert(&sent(sample(from)), format, 0).expect("converts");
            let as_they_came = verify(&old, &old_rules()).expect("verifies");
            assert_eq!(as_they_came.header().codec(), Ok(from));
            for to in Codec::ALL {
                let verified =
                    verify(&old, &VerifyRules { target_codec: Some((to, None)), ..old_rules() }).expect("verifies");
                assert_eq!(verified.header().codec(), Ok(to));
                assert_eq!(records(verified.bytes()), records(as_they_came.bytes()));
            }
        }
    }
}

#[test]
fn batch_that_grows_too_large_is_rejected() {
    let mut builder = BatchBuilder::new(Codec::Zstd);
    builder.append(NOW, None, Some(&[b'x'; 5000]), &[]);
    let rules = VerifyRules { max_message_bytes: 1000, target_codec: Some((Codec::None, None)), ..rules() };
    let refused = verify(&sent(builder), &rules);
    assert!(matches!(refused, Err(RecordError::TooLarge { limit: 1000, size: 5001.. })), "{refused:?}");
}

#[test]
fn records_with_offset_delta_0_get_contiguous_offsets() {
    for codec in Codec::ALL {
        let mut payload = Vec::new();
        for value in [b"one", b"two"] {
            put_record(&mut payload, 3, 0, None, Some(value), [].into_iter());
        }
        let mut header =
            BatchHeader { record_count: 2, last_offset_delta: 1, base_timestamp: NOW, ..Default::default() };
        header.set_codec(codec);
        let bytes = header.assemble(&compress(codec, None, &payload).expect("compresses")).expect("assembles").1;
        let verified = verify(&bytes.into(), &rules()).expect("verifies");
        let read: Vec<_> = records(verified.bytes()).into_iter().map(|r| (r.offset, r.timestamp, r.value)).collect();
        assert_eq!(read, [(0, NOW + 3, Some("one".into())), (1, NOW + 3, Some("two".into()))]);
        assert_eq!(verified.header().codec(), Ok(codec));
    }
}

/// A batch of one record whose body is `body`.
fn with_body(body: &[u8]) -> Bytes {
    let header = BatchHeader { record_count: 1, ..Default::default() };
    let payload = [&[body.len() as u8 * 2][..], body].concat();
    header.assemble(&payload).expect("assembles").1.into()
}

#[test]
fn invalid_records_are_rejected() {
    assert!(verify(&with_body(&[0, 0, 0, 1, 1, 0]), &rules()).is_ok());
    let check = |body: &[u8], why| check_invalid(&with_body(body), &rules(), why);
    check(&[], "empty");
    check(&[0, 0x80], "timestamp");
    check(&[0, 0, 0x80], "offset");
    check(&[0, 0, 0, 4, b'k'], "key is cut short");
    check(&[0, 0, 0, 1, 4, b'v'], "value is cut short");
    check(&[0, 0, 0, 1, 1], "header count");
    check(&[0, 0, 0, 1, 1, 1], "header count is negative");
    check(&[0, 0, 0, 1, 1, 2], "header's key is cut short");
    check(&[0, 0, 0, 1, 1, 2, 1, 1], "header's key is null");
    check(&[0, 0, 0, 1, 1, 2, 0], "header's value is cut short");
    check(&[0, 0, 0, 1, 1, 0, 0], "longer than its fields");
    check(&[0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f], "header's key is cut short");
}

#[test]
fn record_longer_than_the_batch_is_rejected() {
    let header = BatchHeader { record_count: 1, ..Default::default() };
    let check = |payload: &[u8], why| {
        check_invalid(&header.assemble(payload).expect("assembles").1.into(), &rules(), why);
    };
    check(&[], "ends after 0");
    check(&[0x80], "ends after 0");
    check(&[20, 0, 0], "ends after 0");
    check(&[1], "length is negative");
    check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "no varint");
}

#[test]
fn old_messages_are_rejected_in_newer_produce_versions() {
    let old = crate::record::down_convert(&sent(sample(Codec::None)), crate::record::OldFormat::V1, 0);
    let old = old.expect("converts");
    let verified = verify(&old, &old_rules()).expect("verifies");
    assert_eq!(verified.record_count(), 3);
    check_not_one(&old, "magic 2 only");
}

#[test]
fn old_messages_are_checked_against_the_topics_rules() {
    let rules = old_rules();
    let append_time = VerifyRules { timestamp_type: TimestampType::LogAppendTime, ..rules };
    for (format, sent_codec) in [OldFormat::V0, OldFormat::V1].into_iter().flat_map(|format| {
        let known = Codec::ALL.into_iter().filter(|codec| *codec != Codec::Zstd);
        known.map(move |codec| (format, codec))
    }) {
        let old = down_convert(&sent(sample(sent_codec)), format, 0).expect("converts");
        for target in [None].into_iter().chain(Codec::ALL.map(Some)) {
            let rules = VerifyRules { target_codec: target.map(|codec| (codec, None)), ..append_time };
            let verified = verify(&old, &rules).expect("verifies");
            let header = verified.header();
            assert_eq!(header.codec(), Ok(target.unwrap_or(sent_codec)), "{format:?} {sent_codec:?}");
            assert_eq!((header.timestamp_type(), header.max_timestamp), (TimestampType::LogAppendTime, NOW));
            let read = records(verified.bytes());
            let values: Vec<_> = read.iter().map(|record| (record.offset, record.timestamp, &record.value)).collect();
            let [one, two] = [Some("one".into()), Some("two".into())];
            assert_eq!(values, [(0, NOW, &one), (1, NOW, &two), (2, NOW, &None)]);
        }
    }
}
