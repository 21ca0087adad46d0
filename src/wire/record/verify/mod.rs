//! From what a peer sent to what a log may append: the rules of Kafka's `LogValidator` and of the
//! checks that Kafka makes before it (`ProduceRequest.validateRecords`, `UnifiedLog`).
//!
//! Order, as a client sees it in the error it gets: framing and magic, the codec, base offset, size,
//! CRC, the header's own sense, then every record.

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

/// What a peer sent for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified(Bytes);

/// What a partition demands of the batches it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRules {
    /// What the request's version allows.
    pub accepts: Accepts,
    /// `max.message.bytes`: the size of a batch, header included, as sent and as stored.
    pub max_message_bytes: usize,
    /// `max.decompressed.message.bytes`: the size of one record of a compressed batch.
    pub max_decompressed_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// The broker's time: what timestamps are compared with, and what `LogAppendTime` writes.
    pub now: TimestampMs,
    /// `message.timestamp.before.max.ms`: how far a producer's timestamp may lie before `now`.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far it may lie after `now`.
    pub after_max_ms: i64,
    /// `compression.type` with that codec's level; `None` is "producer", which keeps what was sent.
    pub target: Option<(Codec, Option<i32>)>,
    /// Whether `cleanup.policy` compacts, which needs a key in every record.
    pub compacted: bool,
    /// Whether a batch may expand further than is usual, as far as the settings say; if so, how many bytes one may have
    /// that must be held in memory. `None`: `ExpandsTooFar` tells that this may be worth another try.
    pub large: Option<usize>,
}

/// Which batches a Produce request of some version may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Versions 0 to 2: message formats 0 and 1, converted on the way.
    AnyFormat,
    /// Versions 3 to 6: one v2 batch, not compressed by zstd.
    V2WithoutZstd,
    /// From version 7: one v2 batch.
    V2,
}

/// The maximum expansion ratio of a batch beyond [`ALWAYS_ALLOWED`], whatever the settings are. No data reaches it with
/// gzip, lz4 or snappy (1032, 255 and 21), and with zstd only runs of one byte do.
const MAX_RATIO: usize = 1100;

impl VerifyRules {
    /// How many bytes a batch with `compressed` bytes of records may expand to. It is looked at piece by piece, unless it
    /// is `held` in memory as a whole: to be compressed anew, or converted.
    ///
    /// What one record may have, all of them may; what the topic takes uncompressed it takes compressed too, and what
    /// data may need by its nature. Kafka has no such limit.
    fn expansion_limit(&self, compressed: usize, held: bool) -> usize {
        let by_setting = self.max_decompressed_message_bytes.max(compressed.saturating_mul(MAX_RATIO));
        let more = match self.large {
            None => 0,
            // Compaction will hold it.
            Some(memory) if held || self.compacted => memory.min(by_setting),
            Some(_) => by_setting,
        };
        limit_in_memory(compressed).max(self.max_message_bytes).max(more).min(MAX_EXPANSION)
    }
}

impl Accepts {
    /// What Produce `version` may carry.
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

    /// How many bytes were sent.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the sender says that the first batch is compressed: looking at it may take a while.
    pub fn is_compressed(&self) -> bool {
        // Message formats 0 and 1 have their codec elsewhere; they are rare enough to count as slow.
        BatchHeader::parse(&self.0).map_or(true, |header| header.codec().is_ok_and(|codec| codec != Codec::None))
    }

    /// Whether there is not one whole batch or message in it.
    pub fn has_no_whole_batch(&self) -> bool {
        matches!(next_size(&self.0), Ok(None))
    }

    /// Checks everything that can be said without the log, and brings what was sent into the shape the
    /// topic stores. Costs CPU in proportion to the bytes (expanded), so it belongs before any lock.
    ///
    /// Bytes after the last whole batch are ignored, as in Kafka.
    pub fn verify_set(self, rules: &VerifyRules) -> Result<VerifiedSet, RecordError> {
        if rules.accepts == Accepts::AnyFormat && magic(&self.0).is_some_and(|magic| magic < MAGIC_V2 as u8) {
            return upgrade::verify_messages(&self.0, rules);
        }
        self.verify_batch(rules).map(VerifiedSet::from)
    }

    /// As [`Unverified::verify_set`], for what has to be one batch: `TooLarge` where it isn't.
    pub fn verify(self, rules: &VerifyRules) -> Result<Verified, RecordError> {
        let set = self.verify_set(rules)?;
        if set.rest.is_empty() {
            return Ok(set.first);
        }
        let size = set.iter().map(|batch| batch.bytes().len()).sum();
        Err(RecordError::TooLarge { size, limit: rules.max_message_bytes })
    }

    fn verify_batch(self, rules: &VerifyRules) -> Result<Verified, RecordError> {
        let header = sole_batch(&self.0, rules.accepts)?;
        let batch = self.0.slice(..header.size());
        if header.base_offset != 0 {
            return Err(RecordError::invalid(format!("the base offset should be 0, but it is {}", header.base_offset)));
        }
        check_size(batch.len(), rules)?;
        check_crc(&header, &batch)?;
        check_header(&header)?;
        let checked = check_records(&header, batch.get(BATCH_OVERHEAD..).unwrap_or_default(), rules)?;
        finalize(header, batch, &checked, rules)
    }
}

/// The header of the one whole batch that `bytes` must hold.
fn sole_batch(bytes: &Bytes, accepts: Accepts) -> Result<BatchHeader, RecordError> {
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

/// Size of the batch or message at the front of `bytes`, in any format; `None` when it isn't all there.
fn next_size(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    /// CRC, magic, attributes, key length, value length: the shortest message there is, in format 0.
    const SHORTEST: i32 = 4 + 1 + 1 + 4 + 4;
    let Some(length) = bytes.get(8..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    if length < SHORTEST {
        let message = format!("Record size {length} is less than the minimum record overhead ({SHORTEST})");
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

/// What the header alone must satisfy when a client sends it.
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

/// Brings a checked batch into the shape the topic stores: its codec, its timestamps.
fn finalize(
    mut header: BatchHeader,
    batch: Bytes,
    checked: &Checked,
    rules: &VerifyRules,
) -> Result<Verified, RecordError> {
    let sent = header;
    let sent_codec = sent.codec()?;
    let (codec, level) = rules.target.unwrap_or((sent_codec, None));
    // A client's claim of LogAppendTime hides the records' own timestamps, which nothing has checked.
    let hides_timestamps =
        sent.timestamp_type() == TimestampType::LogAppendTime && rules.timestamp_type == TimestampType::CreateTime;
    if codec != sent_codec || !checked.contiguous || hides_timestamps {
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

/// Writes the batch anew with the timestamps and the order its records were checked by: in another
/// codec, or because the records don't number themselves from 0 up.
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
