//! Arbitrary bytes as a producer's records for one partition: verified or refused, without a panic. What is verified
//! can be read, verifies again, and converts to the old message formats and back.
//!
//! The first byte of the input selects the use of the rest. Nearly all inputs would fail the checksum, so most of the
//! time the checksum is corrected first.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla_wire::record::{
    Accepts, BATCH_OVERHEAD, Batch, BatchHeader, Codec, OldFormat, Record, RecordError, TimestampType, Unverified,
    Verified, VerifyRules, batches, down_convert, headers,
};

const NOW: i64 = 1_700_000_000_000;
const V2_CRC_START: usize = 21;
const OLD_CRC_START: usize = 16;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let sent = match choice % 4 {
        0 => Bytes::copy_from_slice(rest),
        1 => message_with_crc(rest),
        _ => batch_with_crc(rest),
    };
    read_as_log(&sent);
    let rules = rules(choice / 4);
    if let Ok(verified) = Unverified::new(sent).verify(&rules) {
        check_verified(&verified, &rules);
    }
});

fn rules(choice: u8) -> VerifyRules {
    VerifyRules {
        accepts: Accepts::AnyFormat,
        max_message_bytes: 1 << 20,
        max_decompressed_message_bytes: 1 << 20,
        timestamp_type: if choice & 1 == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime },
        now: NOW,
        before_max_ms: i64::MAX,
        after_max_ms: i64::MAX,
        target: Codec::from_id(choice >> 1 & 7).ok().map(|codec| (codec, None)),
        compacted: choice >> 4 & 3 == 3,
        large: Some(0),
    }
}

/// Makes a v2 batch with the right length and CRC for its other bytes.
fn batch_with_crc(bytes: &[u8]) -> Bytes {
    let mut batch = bytes.to_vec();
    if batch.len() >= BATCH_OVERHEAD {
        batch[..8].fill(0);
        let length = batch.len() as i32 - 12;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        let crc = crc32c::crc32c(&batch[V2_CRC_START..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    batch.into()
}

/// Makes a message of format 0 or 1 with the right length and CRC.
fn message_with_crc(bytes: &[u8]) -> Bytes {
    let mut message = bytes.to_vec();
    if message.len() > OLD_CRC_START {
        let length = message.len() as i32 - 12;
        message[8..12].copy_from_slice(&length.to_be_bytes());
        message[16] &= 1;
        let crc = crc32fast::hash(&message[OLD_CRC_START..]);
        message[12..16].copy_from_slice(&crc.to_be_bytes());
    }
    message.into()
}

fn read_as_log(bytes: &Bytes) {
    assert!(headers(bytes).flatten().all(|(at, header)| at + header.size() <= bytes.len()));
    for batch in batches(bytes).flatten() {
        let _ = (batch.check_crc(), batch.records().count());
        let _ = (batch.first_at_or_after(NOW, 0), batch.max_timestamp_record());
    }
    for format in [OldFormat::V0, OldFormat::V1] {
        let _ = down_convert(bytes, format, 1);
    }
}

fn records(bytes: &Bytes) -> Vec<Record> {
    let batch = Batch::parse(bytes).expect("one complete batch");
    assert_eq!(batch.bytes().len(), bytes.len());
    batch.check_crc().expect("a right CRC");
    batch.records().collect::<Result<_, _>>().expect("readable records")
}

fn check_verified(verified: &Verified, rules: &VerifyRules) {
    let header = verified.header();
    assert_eq!(BatchHeader::parse(verified.bytes()).as_ref(), Ok(header));
    assert!(!header.is_control());
    let read = records(verified.bytes());
    assert_eq!(read.len(), verified.record_count() as usize);
    assert!(read.iter().enumerate().all(|(index, record)| record.offset == index as i64));
    match Unverified::new(verified.bytes().clone()).verify(rules) {
        Ok(again) => assert_eq!(records(again.bytes()), read),
        // Its timestamps are the broker's, which may be outside the limits for a producer.
        Err(RecordError::Records(faults)) if faults.any_time() && rules.timestamp_type == TimestampType::LogAppendTime => {}
        Err(other) => panic!("{other}"),
    }
    check_old_formats(verified, &read);
}

fn check_old_formats(verified: &Verified, read: &[Record]) {
    for format in [OldFormat::V0, OldFormat::V1] {
        let old = match down_convert(verified.bytes(), format, 0) {
            Err(RecordError::UnsupportedCompression(_)) => return,
            old => old.expect("converts"),
        };
        let mut anything = rules(0);
        anything.max_message_bytes = usize::MAX;
        anything.target = None;
        let again = Unverified::new(old).verify(&anything).expect("an old message set");
        let fields = |records: &[Record]| records.iter().map(|r| (r.key.clone(), r.value.clone())).collect::<Vec<_>>();
        assert_eq!(fields(&records(again.bytes())), fields(read));
    }
}
