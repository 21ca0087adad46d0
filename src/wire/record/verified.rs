//! A batch that is known to be valid, because it was verified or built here.

use bytes::Bytes;

use super::error::RecordError;
use super::header::{BATCH_OVERHEAD, BatchHeader, LOG_OVERHEAD, MAGIC_OFFSET, TimestampType};
use crate::types::{LeaderEpoch, Offset, ProducerIdEpoch, TimestampMs};

/// Exactly one v2 batch that may be appended.
///
/// Its bytes contain the base offset and leader epoch that the sender wrote; [`Verified::log_prefix`] returns the bytes
/// that replace them in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    header: BatchHeader,
    bytes: Bytes,
}

impl Verified {
    pub(super) fn trusted(header: BatchHeader, bytes: Bytes) -> Verified {
        Verified { header, bytes }
    }

    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The maximum timestamp of its records; the broker's time with `LogAppendTime`.
    pub fn max_timestamp(&self) -> TimestampMs {
        self.header.max_timestamp
    }

    /// The offset that a time index stores for the max timestamp, relative to the base offset: the last one, as in Kafka.
    pub fn max_timestamp_offset_delta(&self) -> i32 {
        self.header.last_offset_delta
    }

    /// The number of records, at least 1.
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// The broker's time if the topic has `LogAppendTime`, for `log_append_time_ms` of the Produce response.
    pub fn log_append_time(&self) -> Option<TimestampMs> {
        (self.header.timestamp_type() == TimestampType::LogAppendTime).then_some(self.header.max_timestamp)
    }

    /// Returns the batch with another producer and sequence. Fails with `TooLarge` if the size exceeds the length
    /// field.
    pub fn with_producer(&self, producer: ProducerIdEpoch, base_sequence: i32) -> Result<Verified, RecordError> {
        let mut header = self.header;
        header.producer_id = producer.producer_id;
        header.producer_epoch = producer.epoch;
        header.base_sequence = base_sequence;
        let (header, bytes) = header.assemble(self.bytes.get(BATCH_OVERHEAD..).unwrap_or_default())?;
        Ok(Verified::trusted(header, bytes.into()))
    }

    /// Returns the batch's first 16 bytes in a log: base offset, length, leader epoch. The other bytes of
    /// [`Verified::bytes`] do not change, and the CRC stays valid.
    pub fn log_prefix(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> [u8; MAGIC_OFFSET] {
        let mut prefix = [0; MAGIC_OFFSET];
        prefix[..8].copy_from_slice(&base_offset.to_be_bytes());
        prefix[8..LOG_OVERHEAD].copy_from_slice(&self.header.batch_length.to_be_bytes());
        prefix[LOG_OVERHEAD..].copy_from_slice(&leader_epoch.to_be_bytes());
        prefix
    }
}

/// The batches to append for one partition, in order: one if they were sent in format 2, possibly more from messages of
/// older formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSet {
    pub first: Verified,
    pub rest: Vec<Verified>,
}

impl VerifiedSet {
    /// All batches in order.
    pub fn iter(&self) -> impl Iterator<Item = &Verified> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl From<Verified> for VerifiedSet {
    fn from(only: Verified) -> VerifiedSet {
        VerifiedSet { first: only, rest: Vec::new() }
    }
}
