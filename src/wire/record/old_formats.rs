//! Tests of reading and converting old messages; `known_answers.rs` compares with other implementations.

use bytes::Bytes;

use super::batch::{Batch, batches};
use super::compress::Codec;
use super::decoded::Record;
use super::down_convert::{OldFormat, converts_to_nothing, down_convert, with_records};
use super::error::RecordError;
use super::fixtures::{NOW, sample, sent};
use super::header::{BatchHeader, TimestampType, headers};
use super::legacy::Message;
use super::{BatchBuilder, control};
use crate::types::{NO_TIMESTAMP, Offset, ProducerIdEpoch, TimestampMs};

const CODECS: [Codec; 4] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4];

/// The three sample records at `offset`, as stored in a log of `format`.
fn stored(codec: Codec, format: OldFormat, offset: Offset) -> Bytes {
    down_convert(&sent(sample(codec).placed_at(offset, 3)), format, 0).expect("converts")
}

fn read(bytes: &Bytes) -> Vec<Record> {
    batches(bytes).flat_map(|batch| batch.expect("whole").records()).collect::<Result<_, _>>().expect("readable")
}

/// The offset and timestamp of each record.
fn seen(bytes: &Bytes) -> Vec<(Offset, TimestampMs)> {
    read(bytes).iter().map(|record| (record.offset, record.timestamp)).collect()
}

fn wrapper(magic: i8, offset: Offset, inner: &[u8]) -> Message<'_> {
    let attributes = Message::attributes(magic, Codec::Gzip, TimestampType::CreateTime);
    Message { offset, magic, attributes, timestamp: NOW, key: None, value: Some(inner) }
}

fn written(messages: &[Message<'_>]) -> Bytes {
    let mut out = Vec::new();
    messages.iter().for_each(|message| message.write(&mut out).expect("small"));
    out.into()
}

/// A wrapper of `magic` at `offset` with uncompressed messages of `inner_magic` at these offsets.
fn wrapped(magic: i8, offset: Offset, inner_magic: i8, inner: &[Offset]) -> Bytes {
    let plain = |&offset| Message {
        offset,
        magic: inner_magic,
        attributes: 0,
        timestamp: if inner_magic == 0 { NO_TIMESTAMP } else { NOW },
        key: None,
        value: Some(b"v"),
    };
    let inner = written(&inner.iter().map(plain).collect::<Vec<_>>());
    let compressed = crate::record::compress::compress(Codec::Gzip, None, &inner).expect("compresses");
    written(&[wrapper(magic, offset, &compressed)])
}

#[track_caller]
fn check_offsets(stored: &Bytes, expect: Result<&[Offset], &str>) {
    let found: Result<Vec<_>, _> = Batch::parse(stored).expect("whole").records().collect();
    match (found, expect) {
        (Ok(found), Ok(expect)) => assert_eq!(found.iter().map(|r| r.offset).collect::<Vec<_>>(), expect),
        (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
        (found, expect) => panic!("{found:?} where {expect:?} was expected"),
    }
}

#[test]
fn stored_message_is_read_as_a_batch() {
    for codec in CODECS {
        let log = [stored(codec, OldFormat::V0, 40), stored(codec, OldFormat::V1, 50)].concat().into();
        assert_eq!(seen(&log)[..3], [(40, -1), (41, -1), (42, -1)]);
        assert_eq!(seen(&log)[3..], [(50, NOW - 5), (51, NOW + 7), (52, NOW - 9)]);
        let read: Vec<_> = batches(&log).map(|batch| batch.expect("whole")).collect();
        assert_eq!(read.len(), if codec == Codec::None { 6 } else { 2 });
        for batch in &read {
            batch.check_crc().expect("a right CRC");
            let header = batch.header();
            assert_eq!(header.codec(), Ok(codec));
            assert_eq!((header.partition_leader_epoch, header.has_producer_id()), (-1, false));
            assert_eq!(header.has_exact_base_offset(), codec == Codec::None);
            assert_eq!(header.last_offset(), batch.records().last().expect("a record").expect("readable").offset);
        }
        let max: Vec<_> = read.iter().map(|batch| batch.header().max_timestamp).collect();
        assert_eq!((max[0], max.iter().max()), (-1, Some(&(NOW + 7))));
    }
}

#[test]
fn record_in_old_format_is_found_by_timestamp() {
    for codec in CODECS {
        let log = stored(codec, OldFormat::V1, 50);
        let first = |timestamp, from| {
            let found = batches(&log)
                .find_map(|batch| batch.expect("whole").first_at_or_after(timestamp, from).expect("readable"));
            found.map(|record| record.offset)
        };
        assert_eq!([first(NOW - 9, 0), first(NOW, 0), first(NOW - 9, 52)], [Some(50), Some(51), Some(52)]);
        assert_eq!([first(NOW + 8, 0), first(0, 53)], [None, None]);
        let old = batches(&stored(codec, OldFormat::V0, 50)).next().expect("one").expect("whole");
        assert_eq!((old.first_at_or_after(0, 0), old.max_timestamp_record()), (Ok(None), Ok(None)));
    }
}

#[test]
fn attributes_of_format_2_are_ignored_in_old_messages() {
    let attributes = 0b1111_1000;
    let message = |magic| Message { offset: 1, magic, attributes, timestamp: NOW, key: None, value: None };
    let header = |magic| BatchHeader::parse_any(&written(&[message(magic)])).expect("a header");
    assert!(!header(0).is_control() && !header(0).is_transactional());
    assert_eq!(header(0).timestamp_type(), TimestampType::CreateTime);
    assert!(!header(1).is_control() && !header(1).is_transactional() && header(1).delete_horizon().is_none());
    assert_eq!(header(1).timestamp_type(), TimestampType::LogAppendTime);
}

#[test]
fn invalid_message_header_is_rejected() {
    let good = stored(Codec::None, OldFormat::V1, 7);
    let with_length = |magic: u8, length: i32| {
        let mut bytes = good.to_vec();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = magic;
        BatchHeader::parse_any(&bytes).map(|header| header.size())
    };
    assert_eq!((with_length(0, 14), with_length(1, 22)), (Ok(26), Ok(34)));
    for (magic, length) in [(0, 13), (1, 21), (0, 0), (0, -1), (1, i32::MIN), (3, 100), (255, 100)] {
        let found = with_length(magic, length);
        assert!(matches!(found, Err(RecordError::Corrupt(_))), "magic {magic}, length {length}: {found:?}");
    }
    for end in 17..26 {
        assert!(matches!(BatchHeader::parse_any(&good[..end]), Err(RecordError::Truncated { .. })), "{end} bytes");
    }
    let claims: Bytes = good.iter().enumerate().map(|(at, byte)| if at == 8 { 0x7f } else { *byte }).collect();
    assert!(matches!(headers(&claims).next(), Some(Err(RecordError::Truncated { .. }))));
}

#[test]
fn offsets_in_wrappers_are_resolved() {
    check_offsets(&wrapped(0, 9, 0, &[5, 7, 9]), Ok(&[5, 7, 9]));
    check_offsets(&wrapped(1, 9, 1, &[0, 1, 2]), Ok(&[7, 8, 9]));
    check_offsets(&wrapped(1, 9, 1, &[0, 3, 5]), Ok(&[4, 7, 9]));
    // Some producers left the wrapper's offset at 0; others used messages of another format in it.
    check_offsets(&wrapped(1, 0, 1, &[0, 1, 2]), Ok(&[0, 1, 2]));
    check_offsets(&wrapped(1, 9, 0, &[0, 1]), Ok(&[8, 9]));
    check_offsets(&wrapped(1, 2, 1, &[0, 3]), Err("the last message inside of a wrapper at offset 2 is at 3"));
    check_offsets(&wrapped(0, 9, 0, &[]), Err("without messages inside"));
    check_offsets(&wrapped(1, i64::MAX, 1, &[i64::MIN, 0]), Ok(&[-1, i64::MAX]));
    check_offsets(&written(&[Message { value: None, ..wrapper(1, 9, &[]) }]), Err("a null value"));
    check_offsets(&written(&[wrapper(1, 9, b"no gzip")]), Err("no valid gzip stream"));
    let nested = crate::record::compress::compress(Codec::Gzip, None, &wrapped(1, 0, 1, &[0])).expect("compresses");
    check_offsets(&written(&[wrapper(1, 9, &nested)]), Err("in a compressed message"));
}

#[test]
fn log_append_time_of_a_wrapper_applies_to_its_messages() {
    for codec in CODECS {
        let bytes = sent(sample(codec).log_append_time(NOW + 50));
        let log = down_convert(&bytes, OldFormat::V1, 0).expect("converts");
        assert_eq!(seen(&log), [(0, NOW + 50), (1, NOW + 50), (2, NOW + 50)]);
    }
}

#[test]
fn batch_in_an_old_enough_format_is_not_converted() {
    for codec in CODECS {
        let [v0, v1] = [OldFormat::V0, OldFormat::V1].map(|format| stored(codec, format, 7));
        let log: Bytes = [&v0[..], &v1, &sent(sample(codec).placed_at(10, 0))].concat().into();
        let to_v1 = down_convert(&log, OldFormat::V1, 7).expect("converts");
        assert_eq!(to_v1, [&v0[..], &v1, &stored(codec, OldFormat::V1, 10)].concat());
        let to_v0 = down_convert(&log, OldFormat::V0, 7).expect("converts");
        assert_eq!(to_v0, [&v0[..], &v0, &stored(codec, OldFormat::V0, 10)].concat());
    }
    // Converted uncompressed batches start at the requested record; batches that are not converted are unchanged.
    let v1 = stored(Codec::None, OldFormat::V1, 7);
    assert_eq!(seen(&down_convert(&v1, OldFormat::V0, 8).expect("converts")), [(8, -1), (9, -1)]);
    assert_eq!(down_convert(&v1, OldFormat::V1, 8).expect("converts"), v1);
}

#[test]
fn batches_without_records_for_an_old_consumer_are_recognized() {
    let producer = ProducerIdEpoch { producer_id: 1, epoch: 0 };
    let marker = control::EndTxnMarker { coordinator_epoch: 0 };
    let marker = BatchBuilder::end_transaction(producer, control::ControlType::Commit, marker, NOW).expect("builds");
    let header = BatchHeader { last_offset_delta: 3, producer_id: 1, ..BatchHeader::default() };
    let empty = header.assemble(&[]).expect("small").1;
    let plain = sent(sample(Codec::None).placed_at(10, 0));
    let compressed = sent(sample(Codec::Gzip).placed_at(10, 0));
    let check = |parts: &[&[u8]], from, expect| {
        let bytes = Bytes::from(parts.concat());
        assert_eq!(converts_to_nothing(&bytes, from), expect, "from {from} of {} bytes", bytes.len());
        let converted = down_convert(&bytes, OldFormat::V1, from).expect("converts");
        assert_eq!(converted.is_empty(), expect);
    };
    check(&[], 0, true);
    check(&[marker.bytes()], 0, true);
    check(&[marker.bytes(), &empty, marker.bytes()], 0, true);
    check(&[marker.bytes(), &plain], 0, false);
    check(&[&plain], 12, false);
    check(&[&plain, marker.bytes()], 13, true);
    check(&[&compressed], 13, false);
    check(&[&stored(Codec::None, OldFormat::V0, 10)], 13, false);
    assert!(!converts_to_nothing(&Bytes::from_static(b"no batch"), 0));
}

#[test]
fn compacted_old_batch_keeps_its_format() {
    for codec in CODECS {
        for format in [OldFormat::V0, OldFormat::V1] {
            let log = stored(codec, format, 40);
            let header = *Batch::parse(&log).expect("whole").header();
            let all = read(&log);
            assert_eq!(with_records(&header, &all).expect("writes"), log);
            let left = Bytes::from(with_records(&header, &all[..2]).expect("writes"));
            assert_eq!(read(&left), all[..2]);
            let last = batches(&left).last().expect("one").expect("whole");
            last.check_crc().expect("a right CRC");
            assert_eq!((last.header().last_offset(), last.header().codec()), (41, Ok(codec)));
            let left = Bytes::from(with_records(&header, &[all[0].clone(), all[2].clone()]).expect("writes"));
            assert_eq!(read(&left), [all[0].clone(), all[2].clone()]);
            assert_eq!(with_records(&header, &[]), Ok(Vec::new()));
        }
    }
    assert!(with_records(&BatchHeader::default(), &[]).is_err());
}
