//! Records of `__transaction_state`, and their encoding.

mod state;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

pub use self::state::TransactionState;

use super::RecordError;
use super::schemas::transaction::{PartitionsSchema, TransactionLogKey, TransactionLogValue};
use crate::coordinator::TransactionalId;
use ottla_wire::codec::{EncodeError, Message, Reader, read_prefix, read_prefixed, write_prefixed};
use ottla_wire::types::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, ProducerId, ProducerIdEpoch, TimestampMs, TopicPartition};

/// The only type of keys: the schema's `apiKey`.
const KEY_TYPE: i16 = 0;

/// One record of `__transaction_state`: the state of a transactional id; a missing value is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionRecord {
    pub transactional_id: TransactionalId,
    pub value: Option<Arc<TransactionMetadata>>,
}

/// The durable state of a transactional id.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionMetadata {
    /// The version in which the record is encoded.
    pub version: ValueVersion,
    pub state: TransactionState,
    /// The current producer. While the transaction ends: the producer of the markers.
    pub producer: ProducerIdEpoch,
    /// The producer id before this record; -1: unknown.
    pub previous_producer_id: ProducerId,
    /// The producer id that replaces the current one when the transaction is complete; -1: none.
    pub next_producer_id: ProducerId,
    /// The epoch of `next_producer_id`; -1: it starts at 0. Only two-phase commit has others.
    pub next_producer_epoch: i16,
    /// `transaction.timeout.ms` of the client; the maximum of the type if another coordinator decides (KIP-939).
    pub timeout_ms: i32,
    /// Empty when no transaction is open.
    pub partitions: BTreeSet<TopicPartition>,
    pub last_update: TimestampMs,
    /// When the transaction started, also after its end; -1: none did since InitProducerId.
    pub start: TimestampMs,
    /// The level of `transaction.version` that the client used.
    pub client_transaction_version: i16,
}

/// The versions of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueVersion {
    /// What all releases of Apache Kafka read: without previous and next producer and the client's version.
    V0 = 0,
    /// What Apache Kafka writes if the finalized `transaction.version` is not 0.
    V1 = 1,
}

impl TransactionRecord {
    /// Encodes the record's key and value. Fails if a string is longer than the format allows.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        let key = TransactionLogKey { transactional_id: (&*self.transactional_id).into() };
        let value = self.value.as_ref().map(|value| value.encode()).transpose()?;
        Ok((write_prefixed(KEY_TYPE, &key, 0)?, value))
    }

    /// Decodes a record. The result does not share memory with `key` and `value`.
    pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<TransactionRecord, TransactionRecordError> {
        let mut r = Reader::new(key.clone());
        match read_prefix(&mut r).map_err(RecordError::from)? {
            KEY_TYPE => {
                let key = TransactionLogKey::read(&mut r, 0).map_err(RecordError::from)?;
                let value = value.map(TransactionMetadata::decode).transpose()?.map(Arc::new);
                Ok(TransactionRecord { transactional_id: (&*key.transactional_id).into(), value })
            }
            other => Err(RecordError::UnknownType(other).into()),
        }
    }
}

/// Why a record of `__transaction_state` could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionRecordError {
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Apache Kafka stores no others either: ids that expire and producers that are fenced have no state of their own.
    #[error("no transaction is stored with status {0}")]
    UnknownStatus(i8),
}

impl TransactionMetadata {
    /// The same state in version 0, which has no tagged fields.
    pub fn without_tagged_fields(self) -> TransactionMetadata {
        TransactionMetadata {
            version: ValueVersion::V0,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            next_producer_epoch: NO_PRODUCER_EPOCH,
            client_transaction_version: 0,
            ..self
        }
    }

    fn encode(&self) -> Result<Bytes, EncodeError> {
        let value = TransactionLogValue {
            producer_id: self.producer.producer_id,
            previous_producer_id: self.previous_producer_id,
            next_producer_id: self.next_producer_id,
            producer_epoch: self.producer.epoch,
            next_producer_epoch: self.next_producer_epoch,
            transaction_timeout_ms: self.timeout_ms,
            transaction_status: self.state.status(),
            transaction_partitions: match self.state {
                TransactionState::Empty => None,
                _ => Some(self.rows()),
            },
            transaction_last_update_timestamp_ms: self.last_update,
            transaction_start_timestamp_ms: self.start,
            client_transaction_version: self.client_transaction_version,
        };
        let version = self.version as i16;
        write_prefixed(version, &value, version)
    }

    fn decode(value: &Bytes) -> Result<TransactionMetadata, TransactionRecordError> {
        let (version, value) = read_prefixed::<TransactionLogValue>(value).map_err(RecordError::from)?;
        let status = value.transaction_status;
        Ok(TransactionMetadata {
            version: if version == 0 { ValueVersion::V0 } else { ValueVersion::V1 },
            state: TransactionState::from_stored_status(status).ok_or(TransactionRecordError::UnknownStatus(status))?,
            producer: ProducerIdEpoch { producer_id: value.producer_id, epoch: value.producer_epoch },
            previous_producer_id: value.previous_producer_id,
            next_producer_id: value.next_producer_id,
            next_producer_epoch: value.next_producer_epoch,
            timeout_ms: value.transaction_timeout_ms,
            partitions: value.transaction_partitions.unwrap_or_default().into_iter().flat_map(partitions).collect(),
            last_update: value.transaction_last_update_timestamp_ms,
            start: value.transaction_start_timestamp_ms,
            client_transaction_version: value.client_transaction_version,
        })
    }

    fn rows(&self) -> Vec<PartitionsSchema> {
        let mut rows: Vec<PartitionsSchema> = Vec::new();
        for TopicPartition { topic, partition } in &self.partitions {
            match rows.last_mut().filter(|row| *row.topic == **topic) {
                Some(row) => row.partition_ids.push(*partition),
                None => rows.push(PartitionsSchema { topic: (&**topic).into(), partition_ids: vec![*partition] }),
            }
        }
        rows
    }
}

/// Copies a row, so that it does not keep the whole batch in memory.
fn partitions(row: PartitionsSchema) -> impl Iterator<Item = TopicPartition> {
    let topic: Arc<str> = Arc::from(&*row.topic);
    row.partition_ids.into_iter().map(move |partition| TopicPartition { topic: topic.clone(), partition })
}
