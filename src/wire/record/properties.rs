//! Property tests with random records and bytes.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::fixtures::{NOW, old_rules, records, rules, sample, sent, verify};
use super::{
    BatchBuilder, BatchHeader, Codec, OldFormat, Record, TimestampType, VerifyRules, batches, converts_to_nothing,
    down_convert, headers,
};
use crate::types::TimestampMs;

/// The size of a message of format 0 without key and value.
const SHORTEST_MESSAGE: usize = 26;

#[derive(Clone, Debug)]
struct Plain {
    timestamp: TimestampMs,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn plain_record() -> impl Strategy<Value = Plain> {
    let bytes = || prop_oneof![vec(any::<u8>(), 0..40), vec(Just(b'x'), 0..3000)];
    let timestamp = prop_oneof![NOW - 1000..NOW + 1000, Just(-1), Just(0)];
    let headers = vec((vec(any::<u8>(), 0..9), option::of(vec(any::<u8>(), 0..9))), 0..4);
    (timestamp, option::of(bytes()), option::of(bytes()), headers).prop_map(|(timestamp, key, value, headers)| Plain {
        timestamp,
        key,
        value,
        headers,
    })
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

fn build(codec: Codec, plain: &[Plain]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for record in plain {
        let headers: Vec<_> = record.headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
    }
    sent(builder)
}

fn assert_same(read: &[Record], plain: &[Plain], with_headers: bool) {
    assert_eq!(read.len(), plain.len());
    for (offset, (read, plain)) in read.iter().zip(plain).enumerate() {
        assert_eq!((read.offset, read.timestamp), (offset as i64, plain.timestamp));
        assert_eq!((read.key.as_deref(), read.value.as_deref()), (plain.key.as_deref(), plain.value.as_deref()));
        let headers: Vec<_> =
            read.headers.iter().map(|h| (h.key.to_vec(), h.value.as_deref().map(<[u8]>::to_vec))).collect();
        assert_eq!(headers, if with_headers { plain.headers.clone() } else { Vec::new() });
    }
}

/// Calls every function that accepts untrusted bytes.
fn exercise_all(bytes: &Bytes) {
    for rules in [rules(), old_rules(), VerifyRules { target_codec: Some((Codec::Lz4, None)), ..old_rules() }] {
        if let Ok(verified) = verify(bytes, &rules) {
            assert_eq!(records(verified.bytes()).len(), verified.record_count() as usize);
        }
    }
    assert!(headers(bytes).count() <= bytes.len() / SHORTEST_MESSAGE + 1);
    for batch in batches(bytes).flatten() {
        let _ = (batch.check_crc(), batch.records().count());
        let _ = (batch.first_at_or_after(NOW, 0), batch.max_timestamp_record());
    }
    for format in [OldFormat::V0, OldFormat::V1] {
        let _ = (down_convert(bytes, format, 1), converts_to_nothing(bytes, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn records_round_trip_in_every_codec(codec in codec(), target in option::of(codec()), plain in vec(plain_record(), 1..20)) {
        let rules = VerifyRules { target_codec: target.map(|codec| (codec, None)), ..rules() };
        let verified = verify(&build(codec, &plain), &rules).expect("verifies");
        prop_assert_eq!(verified.header().codec(), Ok(target.unwrap_or(codec)));
        prop_assert_eq!(verified.max_timestamp(), plain.iter().map(|r| r.timestamp).max().unwrap_or(-1));
        assert_same(&records(verified.bytes()), &plain, true);
    }

    #[test]
    fn records_round_trip_in_old_formats(codec in codec(), v1 in any::<bool>(), mut plain in vec(plain_record(), 1..20)) {
        prop_assume!(codec != Codec::Zstd);
        let format = if v1 { OldFormat::V1 } else { OldFormat::V0 };
        let old = down_convert(&build(codec, &plain), format, 0).expect("converts");
        let verified = verify(&old, &old_rules()).expect("verifies");
        if !v1 {
            plain.iter_mut().for_each(|record| record.timestamp = -1);
        }
        assert_same(&records(verified.bytes()), &plain, false);
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        exercise_all(&bytes.into());
    }

    #[test]
    fn random_payload_with_a_valid_header_does_not_panic(
        payload in vec(any::<u8>(), 0..300),
        attributes in any::<i16>(),
        record_count in prop_oneof![0..5i32, any::<i32>()],
        last_offset_delta in prop_oneof![0..5i32, any::<i32>()],
        base_timestamp in any::<i64>(),
        max_timestamp in any::<i64>(),
    ) {
        let header = BatchHeader { attributes, record_count, last_offset_delta, base_timestamp, max_timestamp, ..Default::default() };
        exercise_all(&header.assemble(&payload).expect("small").1.into());
    }

    #[test]
    fn corrupt_records_with_a_valid_crc_do_not_panic(
        codec in codec(),
        plain in vec(plain_record(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let good = build(codec, &plain);
        let mut payload = good[61..].to_vec();
        *at.get_mut(&mut payload) = byte;
        let header = BatchHeader::parse(&good).expect("parses");
        exercise_all(&header.assemble(&payload).expect("small").1.into());
    }

    #[test]
    fn corrupt_old_messages_do_not_panic(codec in codec(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        prop_assume!(codec != Codec::Zstd);
        for format in [OldFormat::V0, OldFormat::V1] {
            let mut old = down_convert(&sent(sample(codec)), format, 0).expect("converts").to_vec();
            *at.get_mut(&mut old) = byte;
            exercise_all(&old.into());
        }
    }
}

/// The leader epoch, which the broker overwrites. It is the only part of a batch that neither the CRC nor another check
/// covers.
const LEADER_EPOCH: std::ops::Range<usize> = 12..16;

#[test]
fn every_single_bit_flip_is_detected() {
    for codec in Codec::ALL {
        let good = sent(sample(codec));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let bytes = Bytes::from(bytes);
            for rules in [rules(), old_rules()] {
                match verify(&bytes, &rules) {
                    Ok(verified) if LEADER_EPOCH.contains(&(bit / 8)) => {
                        assert_eq!(
                            verified.log_prefix(0, 0),
                            verify(&good, &rules).expect("verifies").log_prefix(0, 0)
                        );
                        assert_eq!(verified.bytes()[16..], good[16..]);
                    }
                    Ok(_) => panic!("bit {bit} of a {} batch flipped unnoticed", codec.name()),
                    Err(_) => {}
                }
            }
        }
    }
}

#[test]
fn truncated_batch_is_rejected_at_every_length() {
    let good = sent(sample(Codec::Snappy));
    for end in 0..good.len() {
        assert!(verify(&good.slice(..end), &old_rules()).is_err());
        exercise_all(&good.slice(..end));
    }
}

#[test]
fn log_append_time_is_kept_in_the_old_format() {
    let bytes = sent(sample(Codec::Gzip).log_append_time(NOW));
    let old = down_convert(&bytes, OldFormat::V1, 0).expect("converts");
    let verified = verify(&old, &old_rules()).expect("verifies");
    assert_eq!(verified.header().timestamp_type(), TimestampType::CreateTime);
    assert_eq!(records(verified.bytes()).iter().map(|r| r.timestamp).collect::<Vec<_>>(), [NOW; 3]);
}
