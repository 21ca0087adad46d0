//! Verification of batches from a peer: the rules of Kafka's `LogValidator`, and the checks that Kafka does before it
//! (`ProduceRequest.validateRecords`, `UnifiedLog`).
//!
//! The order determines the error that a client gets: framing and magic, codec, base offset, size, CRC, header fields,
//! then every record.

mod records;
mod upgrade;

use std::borrow::Cow;

use bytes::Bytes;

use super::builder::BatchBuilder;
use super::compress::{Codec, MAX_EXPANSION, decompress_within};
use super::error::RecordError;
use super::header::{BATCH_OVERHEAD, BatchHeader, LOG_OVERHEAD, MAGIC_OFFSET, MAGIC_V2, TimestampType, check_crc};
use super::limits::limit_in_memory;
use super::parse::{RawRecord, take_body};
use super::verified::{Verified, VerifiedSet};
use crate::types::{NO_PRODUCER_ID, ProducerIdEpoch, TimestampMs};
use records::{Checked, check_records};

/// The records that a peer sent for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified(Bytes);

/// A check of records beside the rules of a partition, such as by their schemas.
pub trait RecordCheck {
    /// Returns why the record must not be appended. May be called again for the records of a batch.
    fn check(&mut self, record: &RawRecord<'_>) -> Result<(), String>;

    /// Whether the check of one record may take long.
    fn may_take_long(&self) -> bool;
}

/// The rules of a partition for batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRules {
    /// The formats that the request's version allows.
    pub accepts: Accepts,
    /// `max.message.bytes`: size limit of a batch with its header, both as sent and as stored.
    pub max_message_bytes: usize,
    /// `max.decompressed.message.bytes`: size limit of a record in a compressed batch.
    pub max_decompressed_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// The broker's time, for the timestamp limits and for `LogAppendTime`.
    pub now: TimestampMs,
    /// `message.timestamp.before.max.ms`: how far a producer's timestamp may be before `now`.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far it may be after `now`.
    pub after_max_ms: i64,
    /// `compression.type` with the codec's level; `None` is `producer`, which keeps the codec of the batch.
    pub target_codec: Option<(Codec, Option<i32>)>,
    /// Whether `cleanup.policy` includes `compact`, which requires a key in every record.
    pub compacted: bool,
    /// With `None`, a batch may expand to the default limits; after `ExpandsTooFar` the caller may retry with `Some`.
    /// With `Some`, it may expand as far as the settings allow; the value limits the bytes of a batch that must be kept
    /// in memory.
    pub large_batch_memory: Option<usize>,
}

/// The batch formats that a Produce request may contain, by its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Versions 0 to 2: message formats 0 and 1, which are converted.
    AnyFormat,
    /// Versions 3 to 6: one v2 batch, not compressed with zstd.
    V2WithoutZstd,
    /// From version 7: one v2 batch.
    V2,
}

/// The maximum expansion ratio of a batch that expands to more than [`ALWAYS_ALLOWED`](super::limits::ALWAYS_ALLOWED),
/// whatever the settings are. The maximum ratios of gzip, lz4 and snappy are smaller (1032, 255 and 21); with zstd,
/// only runs of one byte reach this ratio.
const MAX_RATIO: usize = 1100;

impl VerifyRules {
    /// The limit, in bytes, for the expansion of a batch with `compressed` bytes of records. A batch is checked piece by
    /// piece, unless it is `held` in memory to be recompressed or converted.
    ///
    /// The limit is the largest of: the size limit of one record, the size limit of an uncompressed batch, and the
    /// expansion of ordinary data. Kafka has no such limit.
    fn expansion_limit(&self, compressed: usize, held: bool) -> usize {
        let by_setting = self.max_decompressed_message_bytes.max(compressed.saturating_mul(MAX_RATIO));
        let by_large_batch = match self.large_batch_memory {
            None => 0,
            // Compaction will keep the batch in memory.
            Some(memory) if held || self.compacted => memory.min(by_setting),
            Some(_) => by_setting,
        };
        limit_in_memory(compressed).max(self.max_message_bytes).max(by_large_batch).min(MAX_EXPANSION)
    }
}

impl Accepts {
    /// The formats that Produce `version` may contain.
    pub fn for_produce(version: i16) -> Accepts {
        match version {
            ..=2 => Accepts::AnyFormat,
            3..=6 => Accepts::V2WithoutZstd,
            _ => Accepts::V2,
        }
    }
}

impl Unverified {
    pub fn new(bytes: Bytes) -> Unverified {
        Unverified(bytes)
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the first batch is compressed according to its header, so that verification may take long.
    pub fn is_compressed(&self) -> bool {
        // Formats 0 and 1 have the codec elsewhere; they are rare, so they count as compressed.
        BatchHeader::parse(&self.0).map_or(true, |header| header.codec().is_ok_and(|codec| codec != Codec::None))
    }

    /// Whether there is no complete batch or message.
    pub fn has_no_whole_batch(&self) -> bool {
        matches!(next_size(&self.0), Ok(None))
    }

    /// Checks everything that does not need the log, and converts the batch to the format that the topic stores. Takes CPU
    /// time in proportion to the expanded bytes, so call it without holding a lock.
    ///
    /// Bytes after the last complete batch are ignored, as in Kafka.
    pub fn verify_set(self, rules: &VerifyRules) -> Result<VerifiedSet, RecordError> {
        self.verify_set_with(rules, None)
    }

    /// Like [`Unverified::verify_set`], with a further check. Each record is then in memory as a whole, also one of a
    /// compressed batch, which is decompressed once.
    pub fn verify_set_with(
        self,
        rules: &VerifyRules,
        check: Option<&mut dyn RecordCheck>,
    ) -> Result<VerifiedSet, RecordError> {
        if rules.accepts == Accepts::AnyFormat && magic(&self.0).is_some_and(|magic| magic < MAGIC_V2 as u8) {
            return upgrade::verify_messages(&self.0, rules, check);
        }
        self.verify_batch(rules, check).map(VerifiedSet::from)
    }

    /// Like [`Unverified::verify_set`], but returns `TooLarge` if the result is more than one batch.
    pub fn verify(self, rules: &VerifyRules) -> Result<Verified, RecordError> {
        let set = self.verify_set(rules)?;
        if set.rest.is_empty() {
            return Ok(set.first);
        }
        let size = set.iter().map(|batch| batch.bytes().len()).sum();
        Err(RecordError::TooLarge { size, limit: rules.max_message_bytes })
    }

    fn verify_batch(self, rules: &VerifyRules, check: Option<&mut dyn RecordCheck>) -> Result<Verified, RecordError> {
        let header = header_of_only_batch(&self.0, rules.accepts)?;
        let batch = self.0.slice(..header.size());
        if header.base_offset != 0 {
            return Err(RecordError::invalid(format!("the base offset should be 0, but it is {}", header.base_offset)));
        }
        check_size(batch.len(), rules)?;
        check_crc(&header, &batch)?;
        check_header(&header)?;
        let checked = check_records(&header, batch.get(BATCH_OVERHEAD..).unwrap_or_default(), rules, check)?;
        finalize(header, batch, &checked, rules)
    }
}

/// Returns the header of the batch in `bytes`. Fails if there is not exactly one batch.
fn header_of_only_batch(bytes: &Bytes, accepts: Accepts) -> Result<BatchHeader, RecordError> {
    let Some(size) = next_size(bytes)? else {
        return Err(RecordError::NotOneBatch("a produce request must have at least one record batch per partition"));
    };
    if magic(bytes).is_some_and(|magic| magic < MAGIC_V2 as u8) {
        return Err(RecordError::NotOneBatch("produce requests from version 3 carry record batches of magic 2 only"));
    }
    let header = BatchHeader::parse(bytes)?;
    if accepts == Accepts::V2WithoutZstd && header.codec() == Ok(Codec::Zstd) {
        let message = "produce requests before version 7 are not allowed to use zstd compression";
        return Err(RecordError::UnsupportedCompression(message.to_owned()));
    }
    if next_size(bytes.get(size..).unwrap_or_default())?.is_some() {
        return Err(RecordError::NotOneBatch("a produce request must have exactly one record batch per partition"));
    }
    Ok(header)
}

fn magic(bytes: &[u8]) -> Option<u8> {
    bytes.get(MAGIC_OFFSET).copied()
}

/// The size of the batch or message at the front of `bytes`, in any format; `None` if it is incomplete.
fn next_size(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    /// The minimum length of a message, in format 0: CRC, magic, attributes, key length, value length.
    const LEAST_LENGTH: i32 = 4 + 1 + 1 + 4 + 4;
    let Some(length) = bytes.get(8..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    if length < LEAST_LENGTH {
        let message = format!("Record size {length} is less than the minimum record overhead ({LEAST_LENGTH})");
        return Err(RecordError::Corrupt(message));
    }
    let Some(magic) = magic(bytes) else { return Ok(None) };
    if magic > MAGIC_V2 as u8 {
        return Err(RecordError::unknown_magic(magic as i8));
    }
    let size = LOG_OVERHEAD + length as usize;
    Ok((size <= bytes.len()).then_some(size))
}

fn check_size(size: usize, rules: &VerifyRules) -> Result<(), RecordError> {
    if size > rules.max_message_bytes {
        return Err(RecordError::TooLarge { size, limit: rules.max_message_bytes });
    }
    Ok(())
}

/// Checks the header fields of a batch from a client.
fn check_header(header: &BatchHeader) -> Result<(), RecordError> {
    if header.record_count <= 0 {
        return Err(RecordError::invalid(format!("invalid record count {}", header.record_count)));
    }
    if i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count) {
        return Err(RecordError::invalid(format!(
            "inconsistent last offset delta {} and count of records {}",
            header.last_offset_delta, header.record_count
        )));
    }
    if header.is_control() {
        return Err(RecordError::invalid("clients are not allowed to write control records"));
    }
    if header.producer_id < NO_PRODUCER_ID {
        return Err(RecordError::invalid(format!("invalid producer id {}", header.producer_id)));
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return Err(RecordError::invalid(format!(
            "invalid sequence number {} in a record batch with producer id {}",
            header.base_sequence, header.producer_id
        )));
    }
    if header.has_producer_id() && header.producer_epoch < 0 {
        return Err(RecordError::invalid(format!(
            "invalid epoch {} in a record batch with producer id {}",
            header.producer_epoch, header.producer_id
        )));
    }
    if header.is_transactional() && !header.has_producer_id() {
        return Err(RecordError::invalid("a transactional record batch needs a producer id"));
    }
    Ok(())
}

/// Converts a checked batch to the codec and the timestamps that the topic stores.
fn finalize(
    mut header: BatchHeader,
    batch: Bytes,
    checked: &Checked,
    rules: &VerifyRules,
) -> Result<Verified, RecordError> {
    let sent = header;
    let sent_codec = sent.codec()?;
    let (codec, level) = rules.target_codec.unwrap_or((sent_codec, None));
    // If a client's batch has LogAppendTime, the timestamps of its records have no effect and were not checked.
    let has_unchecked_timestamps =
        sent.timestamp_type() == TimestampType::LogAppendTime && rules.timestamp_type == TimestampType::CreateTime;
    if codec != sent_codec || !checked.contiguous || has_unchecked_timestamps {
        return rebuild(&sent, &batch, codec, level, rules);
    }
    header.set_timestamp_type(rules.timestamp_type);
    header.max_timestamp = match rules.timestamp_type {
        TimestampType::CreateTime => checked.max_timestamp,
        TimestampType::LogAppendTime => rules.now,
    };
    if header == sent {
        return Ok(Verified::trusted(header, batch));
    }
    let (header, bytes) = header.assemble(batch.get(BATCH_OVERHEAD..).unwrap_or_default())?;
    Ok(Verified::trusted(header, bytes.into()))
}

/// Rebuilds the batch with the checked timestamps and order: for another codec, or because the offset deltas of its
/// records are not contiguous.
fn rebuild(
    sent: &BatchHeader,
    batch: &[u8],
    codec: Codec,
    level: Option<i32>,
    rules: &VerifyRules,
) -> Result<Verified, RecordError> {
    let payload = batch.get(BATCH_OVERHEAD..).unwrap_or_default();
    let plain = match sent.codec()? {
        Codec::None => Cow::Borrowed(payload),
        codec => Cow::Owned(decompress_within(codec, payload, rules.expansion_limit(payload.len(), true))?),
    };
    let producer = ProducerIdEpoch { producer_id: sent.producer_id, epoch: sent.producer_epoch };
    let mut builder = BatchBuilder::new(codec).level(level).producer(producer, sent.base_sequence);
    if sent.is_transactional() {
        builder = builder.transactional();
    }
    if rules.timestamp_type == TimestampType::LogAppendTime {
        builder = builder.log_append_time(rules.now);
    }
    let mut rest = &plain[..];
    while let Some(body) = take_body(&mut rest)? {
        let record = RawRecord::parse(body)?;
        let timestamp = sent.record_timestamp(record.timestamp_delta);
        builder.append_with(timestamp, record.key, record.value, record.headers());
    }
    let verified = builder.build()?;
    check_size(verified.bytes().len(), rules)?;
    Ok(verified)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod record_check_tests;
