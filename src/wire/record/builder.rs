//! Building of batches.

use super::compress::{Codec, compress};
use super::control::{ControlType, EndTxnMarker};
use super::error::RecordError;
use super::header::{BatchHeader, TimestampType};
use super::parse::{RawHeader, put_record};
use super::verified::Verified;
use crate::types::{LeaderEpoch, Offset, ProducerIdEpoch, TimestampMs};

/// Collects records into one v2 batch.
///
/// ```
/// # use ottla_wire::record::{BatchBuilder, Codec};
/// let mut builder = BatchBuilder::new(Codec::Zstd);
/// builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[(b"trace", Some(b"7"))]);
/// let batch = builder.build()?;
/// assert_eq!(batch.header().record_count, 1);
/// # Ok::<(), ottla_wire::record::RecordError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    codec: Codec,
    level: Option<i32>,
    header: BatchHeader,
    records: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch at offset 0, without a producer id, with timestamp type CreateTime.
    pub fn new(codec: Codec) -> BatchBuilder {
        let mut header = BatchHeader::default();
        header.set_codec(codec);
        BatchBuilder { codec, level: None, header, records: Vec::new() }
    }

    /// Sets the codec's compression level; `None` is Kafka's default.
    pub fn level(mut self, level: Option<i32>) -> BatchBuilder {
        self.level = level;
        self
    }

    /// Reserves memory for this many bytes of records.
    pub fn reserve(mut self, bytes: usize) -> BatchBuilder {
        self.records.reserve(bytes);
        self
    }

    /// Sets the producer and the first record's sequence number (-1 for control batches).
    pub fn producer(mut self, producer: ProducerIdEpoch, base_sequence: i32) -> BatchBuilder {
        self.header.producer_id = producer.producer_id;
        self.header.producer_epoch = producer.epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Marks the batch as part of a transaction.
    pub fn transactional(mut self) -> BatchBuilder {
        self.header.set_transactional();
        self
    }

    /// Marks the records as control records; see [`super::control`] for their keys.
    pub fn control(mut self) -> BatchBuilder {
        self.header.set_control();
        self
    }

    /// Sets the base offset, for files that are not written by a log, such as snapshots.
    pub fn placed_at(mut self, base_offset: Offset, leader_epoch: LeaderEpoch) -> BatchBuilder {
        self.header.base_offset = base_offset;
        self.header.partition_leader_epoch = leader_epoch;
        self
    }

    /// Sets the timestamp of every record to `now` (`message.timestamp.type=LogAppendTime`).
    pub fn log_append_time(mut self, now: TimestampMs) -> BatchBuilder {
        self.header.set_timestamp_type(TimestampType::LogAppendTime);
        self.header.max_timestamp = now;
        self
    }

    /// Appends a record at the next offset. A `timestamp` of -1 means none.
    pub fn append(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RawHeader<'_>],
    ) {
        self.append_with(timestamp, key, value, headers.iter().copied());
    }

    /// Like [`BatchBuilder::append`], with headers from an iterator.
    pub(super) fn append_with<'a>(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = RawHeader<'a>> + Clone,
    ) {
        let offset_delta = self.header.record_count;
        if offset_delta == 0 {
            self.header.base_timestamp = timestamp;
        }
        let timestamp_delta = timestamp.wrapping_sub(self.header.base_timestamp);
        put_record(&mut self.records, timestamp_delta, offset_delta, key, value, headers);
        self.header.last_offset_delta = offset_delta;
        self.header.record_count += 1;
        self.header.update_max_timestamp(timestamp);
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.header.record_count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.header.record_count == 0
    }

    /// The size of the batch before compression, in bytes.
    pub fn uncompressed_size(&self) -> usize {
        super::header::BATCH_OVERHEAD + self.records.len()
    }

    /// Builds the batch. `Invalid` without a record, `TooLarge` beyond the limit of the length field.
    pub fn build(self) -> Result<Verified, RecordError> {
        if self.is_empty() {
            return Err(RecordError::invalid("a batch needs at least one record"));
        }
        let (header, bytes) = match self.codec {
            Codec::None => self.header.assemble(&self.records)?,
            codec => self.header.assemble(&compress(codec, self.level, &self.records)?)?,
        };
        Ok(Verified::trusted(header, bytes.into()))
    }

    /// Builds the batch that ends a producer's transaction in a partition: one marker, `Commit` or `Abort`.
    pub fn end_transaction(
        producer: ProducerIdEpoch,
        outcome: ControlType,
        marker: EndTxnMarker,
        now: TimestampMs,
    ) -> Result<Verified, RecordError> {
        let mut builder = BatchBuilder::new(Codec::None).producer(producer, -1).transactional().control();
        builder.append(now, Some(&outcome.to_key()), Some(&marker.to_value()), &[]);
        builder.build()
    }
}
