//! Tests with bytes of other implementations, in `known_answers.txt`: a name, then lines of hex.

use bytes::Bytes;

use super::fixtures::{old_rules, records, rules, verify};
use super::{BatchBuilder, Codec, OldFormat, Record, RecordError, control, down_convert};
use crate::types::{NO_TIMESTAMP, ProducerIdEpoch, TimestampMs};

const FIRST: TimestampMs = 1_700_000_000_000;
const LONG_VALUE: &[u8] = b"value one, value one, value one, value one";

/// The names with this prefix, and their bytes.
fn answers(prefix: &str) -> Vec<(&'static str, Bytes)> {
    let mut found: Vec<(&str, Vec<u8>)> = Vec::new();
    for line in include_str!("known_answers.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.strip_prefix("  ") {
            None => found.push((line, Vec::new())),
            Some(hex) => found.last_mut().expect("a name first").1.extend(unhex(hex)),
        }
    }
    let found: Vec<_> = found.into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
    assert!(!found.is_empty(), "no known answer begins with {prefix}");
    found.into_iter().map(|(name, bytes)| (name, bytes.into())).collect()
}

fn answer(name: &str) -> Bytes {
    let found = answers(name).into_iter().find(|(found, _)| *found == name);
    found.unwrap_or_else(|| panic!("no known answer {name}")).1
}

fn unhex(hex: &str) -> impl Iterator<Item = u8> + '_ {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
}

/// Timestamp, key, value, number of headers.
type Seen<'a> = (TimestampMs, Option<&'a [u8]>, Option<&'a [u8]>, usize);

/// The three records of every answer, in format 2 unless its name contains another one.
fn expected(name: &str) -> [Seen<'static>; 3] {
    let timestamps = match name {
        _ if name.contains("magic0") => [NO_TIMESTAMP; 3],
        _ if name.ends_with("appendtime") => [FIRST + 500; 3],
        _ => [FIRST, FIRST + 7, FIRST + 2],
    };
    let headers = if name.contains("magic0") || name.contains("magic1") { 0 } else { 2 };
    [
        (timestamps[0], Some(b"k1"), Some(LONG_VALUE), headers),
        (timestamps[1], None, Some(b"value two"), 0),
        (timestamps[2], Some(b"k3"), None, 0),
    ]
}

#[track_caller]
fn check(name: &str, read: &[Record]) {
    let read: Vec<Seen<'_>> =
        read.iter().map(|r| (r.timestamp, r.key.as_deref(), r.value.as_deref(), r.headers.len())).collect();
    assert_eq!(read, expected(name), "{name}");
}

fn written_by_us(codec: Codec) -> BatchBuilder {
    let mut builder = BatchBuilder::new(codec);
    builder.append(FIRST, Some(b"k1"), Some(LONG_VALUE), &[(b"h", Some(b"x")), (b"n", None)]);
    builder.append(FIRST + 7, None, Some(b"value two"), &[]);
    builder.append(FIRST + 2, Some(b"k3"), None, &[]);
    builder
}

#[test]
fn batches_of_every_client_and_codec_are_verified_and_read() {
    for prefix in ["java-magic2", "python-magic2", "librdkafka"] {
        for (name, bytes) in answers(prefix) {
            check(name, &records(&bytes));
            let verified = verify(&bytes, &rules()).unwrap_or_else(|error| panic!("{name}: {error}"));
            check(name, &records(verified.bytes()));
            if !name.ends_with("appendtime") {
                assert_eq!(verified.bytes(), &bytes, "{name}");
            }
        }
    }
}

#[test]
fn old_messages_of_every_client_and_codec_are_converted() {
    for prefix in ["java-magic0", "java-magic1", "python-magic0", "python-magic1"] {
        for (name, bytes) in answers(prefix) {
            let verified = verify(&bytes, &old_rules()).unwrap_or_else(|error| panic!("{name}: {error}"));
            check(name, &records(verified.bytes()));
            let codec = Codec::from_name(name.split('-').nth(2).unwrap_or_default());
            assert_eq!(verified.header().codec().ok(), codec, "{name}");
            assert!(matches!(verify(&bytes, &rules()), Err(RecordError::NotOneBatch(_))), "{name}");
        }
    }
}

#[test]
fn built_batch_equals_javas() {
    let written = written_by_us(Codec::None).build().expect("builds");
    assert_eq!(written.bytes(), &answer("java-magic2-none"));
    let written = written_by_us(Codec::None).log_append_time(FIRST + 500).build().expect("builds");
    assert_eq!(written.bytes(), &answer("java-magic2-none-appendtime"));
}

#[test]
fn transaction_marker_equals_javas() {
    let producer = ProducerIdEpoch { producer_id: 77, epoch: 2 };
    let marker = control::EndTxnMarker { coordinator_epoch: 9 };
    let batch = BatchBuilder::end_transaction(producer, control::ControlType::Commit, marker, FIRST).expect("builds");
    let stored = [&batch.log_prefix(5, 3)[..], &batch.bytes()[16..]].concat();
    assert_eq!(stored, answer("java-commit-marker"));
    let read = records(&answer("java-commit-marker"));
    let (key, value) = (read[0].key.clone().expect("a key"), read[0].value.clone().expect("a value"));
    assert_eq!(control::ControlType::from_key(&key), Ok(Some(control::ControlType::Commit)));
    assert_eq!(control::EndTxnMarker::from_value(&value), Ok(marker));
}

#[test]
fn down_converted_batches_equal_javas() {
    for (format, magic) in [(OldFormat::V0, "java-magic0"), (OldFormat::V1, "java-magic1")] {
        let served = |codec: &str| down_convert(&answer(&format!("java-magic2-{codec}")), format, 0).expect("converts");
        assert_eq!(served("none"), answer(&format!("{magic}-none")));
        for codec in ["gzip", "snappy", "lz4"] {
            let (ours, theirs) = (served(codec), answer(&format!("{magic}-{codec}")));
            // Offset and size without the CRC, then magic, attributes, timestamp and lengths up to the compressed bytes.
            assert_eq!(ours[..8], theirs[..8]);
            let end = if format == OldFormat::V0 { 22 } else { 30 };
            assert_eq!(ours[16..end], theirs[16..end]);
            let again = verify(&ours, &old_rules()).expect("verifies");
            check(magic, &records(again.bytes()));
        }
        // The frame header, with the checksum of format 0.
        let frame = if format == OldFormat::V0 { 26..33 } else { 34..41 };
        assert_eq!(served("lz4")[frame.clone()], answer(&format!("{magic}-lz4"))[frame]);
        let zstd = down_convert(&answer("java-magic2-zstd"), format, 0);
        assert!(matches!(zstd, Err(RecordError::UnsupportedCompression(_))), "{zstd:?}");
    }
    let served = down_convert(&answer("java-magic2-none-appendtime"), OldFormat::V1, 0);
    assert_eq!(served, Ok(answer("java-magic1-none-appendtime")));
    assert_eq!(down_convert(&answer("java-commit-marker"), OldFormat::V1, 0), Ok(Bytes::new()));
}
