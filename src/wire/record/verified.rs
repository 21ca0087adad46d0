//! A batch that is known to be valid, because it was verified or built here.

use bytes::Bytes;

use super::error::RecordError;
use super::header::{BATCH_OVERHEAD, BatchHeader, LOG_OVERHEAD, MAGIC_OFFSET, TimestampType};
use crate::types::{LeaderEpoch, Offset, ProducerIdEpoch, TimestampMs};

/// Exactly one v2 batch that may be appended.
///
/// Its base offset and leader epoch are still the sender's; [`Verified::placed`] gives the bytes to
/// write instead.
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

    /// The greatest timestamp of its records; the broker's time with `LogAppendTime`.
    pub fn max_timestamp(&self) -> TimestampMs {
        self.header.max_timestamp
    }

    /// The offset a time index keeps beside the max timestamp, from the base offset: the last one, as Kafka's does.
    pub fn max_timestamp_offset_delta(&self) -> i32 {
        self.header.last_offset_delta
    }

    /// How many records it has, at least 1.
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// The time the broker gave it, when the topic has `LogAppendTime`: the Produce response's `log_append_time_ms`.
    pub fn log_append_time(&self) -> Option<TimestampMs> {
        (self.header.timestamp_type() == TimestampType::LogAppendTime).then_some(self.header.max_timestamp)
    }

    /// The same records in the name of this producer: for a batch that has to be numbered anew.
    /// `TooLarge` beyond what a batch's length can say.
    pub fn with_producer(&self, producer: ProducerIdEpoch, base_sequence: i32) -> Result<Verified, RecordError> {
        let mut header = self.header;
        header.producer_id = producer.producer_id;
        header.producer_epoch = producer.epoch;
        header.base_sequence = base_sequence;
        let (header, bytes) = header.assemble(self.bytes.get(BATCH_OVERHEAD..).unwrap_or_default())?;
        Ok(Verified::trusted(header, bytes.into()))
    }

    /// The batch's first 16 bytes once it stands at `base_offset`: base offset, length, leader
    /// epoch. The rest of [`Verified::bytes`] is as it is, CRC included.
    pub fn placed(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> [u8; MAGIC_OFFSET] {
        let mut prefix = [0; MAGIC_OFFSET];
        prefix[..8].copy_from_slice(&base_offset.to_be_bytes());
        prefix[8..LOG_OVERHEAD].copy_from_slice(&self.header.batch_length.to_be_bytes());
        prefix[LOG_OVERHEAD..].copy_from_slice(&leader_epoch.to_be_bytes());
        prefix
    }
}

/// What one partition was sent, as the batches to append one after another: exactly one of format 2, more than one
/// only of messages of older formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSet {
    pub first: Verified,
    pub rest: Vec<Verified>,
}

impl VerifiedSet {
    /// All batches in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Verified> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl From<Verified> for VerifiedSet {
    fn from(only: Verified) -> VerifiedSet {
        VerifiedSet { first: only, rest: Vec::new() }
    }
}
