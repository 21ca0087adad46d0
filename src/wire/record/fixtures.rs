//! Batches and rules that the tests of this crate share.

use bytes::Bytes;

use super::{
    Accepts, BatchBuilder, Codec, Record, RecordError, TimestampType, Unverified, Verified, VerifyRules, batches,
};
use crate::types::TimestampMs;

pub const NOW: TimestampMs = 1_700_000_000_000;

/// The rules of a topic with default settings.
pub fn rules() -> VerifyRules {
    VerifyRules {
        accepts: Accepts::V2,
        max_message_bytes: 1_048_588,
        max_decompressed_message_bytes: i32::MAX as usize,
        timestamp_type: TimestampType::CreateTime,
        now: NOW,
        before_max_ms: i64::MAX,
        after_max_ms: 3_600_000,
        target_codec: None,
        compacted: false,
        large_batch_memory: Some(0),
    }
}

/// The rules for a producer from before format 2.
pub fn old_rules() -> VerifyRules {
    VerifyRules { accepts: Accepts::AnyFormat, ..rules() }
}

/// Three records: with and without key, value and headers, the second the latest.
pub fn sample(codec: Codec) -> BatchBuilder {
    let mut builder = BatchBuilder::new(codec);
    builder.append(NOW - 5, Some(b"a"), Some(b"one"), &[]);
    builder.append(NOW + 7, None, Some(b"two"), &[(b"h", Some(b"v")), (b"", None)]);
    builder.append(NOW - 9, Some(b""), None, &[]);
    builder
}

/// Builds the batch as a producer sends it.
pub fn sent(builder: BatchBuilder) -> Bytes {
    builder.build().expect("a sample batch").bytes().clone()
}

pub fn verify(bytes: &Bytes, rules: &VerifyRules) -> Result<Verified, RecordError> {
    Unverified::new(bytes.clone()).verify(rules)
}

/// The records of the single batch in `bytes`, with its CRC checked.
pub fn records(bytes: &Bytes) -> Vec<Record> {
    let batch = batches(bytes).next().expect("a batch").expect("whole");
    assert_eq!(batch.bytes(), bytes);
    batch.check_crc().expect("a right CRC");
    batch.records().collect::<Result<_, _>>().expect("readable records")
}
