//! The next states of a transactional id. Each function returns the record of a transition that its caller has checked.

use crate::coordinator::Outcome;
use crate::coordinator::records::{TransactionMetadata, TransactionState, ValueVersion};
use ottla_wire::types::{
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_TIMESTAMP, ProducerId, ProducerIdEpoch, TimestampMs, TopicPartition,
};

/// The highest epoch. Only markers that end the last transaction of a producer id have it.
pub(super) const HIGHEST_EPOCH: i16 = i16::MAX;

/// The first level of `transaction.version` with protocol 2.
const PROTOCOL_2: i16 = 2;

/// Whether clients of this level of `transaction.version` use protocol 2: an epoch for each transaction.
pub(super) fn increments_epoch(transaction_version: i16) -> bool {
    transaction_version >= PROTOCOL_2
}

/// Whether no client may get a higher epoch of the same producer id.
pub(super) fn is_exhausted(epoch: i16) -> bool {
    epoch >= HIGHEST_EPOCH - 1
}

/// The end of a transaction.
pub(super) struct End {
    pub outcome: Outcome,
    /// The level of `transaction.version` that decides about the epoch.
    pub transaction_version: i16,
    /// Whether the coordinator ends the transaction in place of the producer, which must not write any more.
    pub fenced: bool,
    /// The producer id that replaces an exhausted one.
    pub next_producer_id: Option<ProducerId>,
}

impl TransactionMetadata {
    /// The first record of an id.
    pub(super) fn created(producer_id: ProducerId, timeout_ms: i32, now: TimestampMs) -> TransactionMetadata {
        TransactionMetadata {
            version: ValueVersion::V1,
            state: TransactionState::Empty,
            producer: ProducerIdEpoch { producer_id, epoch: 0 },
            // As in Kafka, where the id exists before its first record.
            previous_producer_id: producer_id,
            next_producer_id: NO_PRODUCER_ID,
            next_producer_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            partitions: Default::default(),
            last_update: now,
            start: NO_TIMESTAMP,
            client_transaction_version: 0,
        }
    }

    /// InitProducerId: no transaction is open, and the client gets this producer.
    pub(super) fn initialized(
        &self,
        producer: ProducerIdEpoch,
        timeout_ms: i32,
        now: TimestampMs,
    ) -> TransactionMetadata {
        TransactionMetadata {
            state: TransactionState::Empty,
            producer,
            timeout_ms,
            partitions: Default::default(),
            start: NO_TIMESTAMP,
            ..self.successor(now)
        }
    }

    /// The partitions are part of the open transaction, which starts now if there is none.
    pub(super) fn with_partitions(
        &self,
        added: &[TopicPartition],
        client_transaction_version: i16,
        now: TimestampMs,
    ) -> TransactionMetadata {
        let mut next = TransactionMetadata {
            state: TransactionState::Ongoing,
            start: if self.state.is_idle() { now } else { self.start },
            client_transaction_version,
            ..self.successor(now)
        };
        next.partitions.extend(added.iter().cloned());
        next
    }

    /// The transaction ends; the record has the producer id and epoch of the markers. A client of protocol 2 may also
    /// abort if no transaction is open.
    pub(super) fn prepared(&self, end: &End, now: TimestampMs) -> TransactionMetadata {
        let ProducerIdEpoch { producer_id, epoch } = self.producer;
        let increments = end.fenced || increments_epoch(end.transaction_version);
        TransactionMetadata {
            state: match end.outcome {
                Outcome::Commit => TransactionState::PrepareCommit,
                Outcome::Abort => TransactionState::PrepareAbort,
            },
            producer: ProducerIdEpoch { producer_id, epoch: if increments { epoch.saturating_add(1) } else { epoch } },
            next_producer_id: end.next_producer_id.unwrap_or(NO_PRODUCER_ID),
            start: if self.state.is_idle() { now } else { self.start },
            client_transaction_version: end.transaction_version,
            ..self.successor(now)
        }
    }

    /// All markers are written.
    pub(super) fn completed(&self, now: TimestampMs) -> TransactionMetadata {
        let next = ProducerIdEpoch { producer_id: self.next_producer_id, epoch: self.next_producer_epoch.max(0) };
        let has_next = self.next_producer_id != NO_PRODUCER_ID && increments_epoch(self.client_transaction_version);
        TransactionMetadata {
            state: match self.outcome() {
                Outcome::Commit => TransactionState::CompleteCommit,
                Outcome::Abort => TransactionState::CompleteAbort,
            },
            producer: if has_next { next } else { self.producer },
            next_producer_id: NO_PRODUCER_ID,
            next_producer_epoch: NO_PRODUCER_EPOCH,
            partitions: Default::default(),
            ..self.successor(now)
        }
    }

    /// How the transaction ends, if it is in a Prepare state.
    pub(super) fn outcome(&self) -> Outcome {
        match self.state {
            TransactionState::PrepareCommit => Outcome::Commit,
            _ => Outcome::Abort,
        }
    }

    /// When an open transaction is overdue; `None` for two-phase commit, which has no timeout.
    pub(super) fn deadline(&self) -> Option<TimestampMs> {
        let has_timeout = self.timeout_ms != i32::MAX;
        has_timeout.then(|| self.start.saturating_add(i64::from(self.timeout_ms)))
    }

    fn successor(&self, now: TimestampMs) -> TransactionMetadata {
        TransactionMetadata { previous_producer_id: self.producer.producer_id, last_update: now, ..self.clone() }
    }
}
