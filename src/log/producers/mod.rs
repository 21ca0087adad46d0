//! The state of a partition's idempotent and transactional producers (KIP-98).
//!
//! The rules are those of Kafka's `ProducerAppendInfo` and `ProducerStateManager`. Checks change nothing; appended batches
//! are then applied, by the same functions during operation and during recovery.

mod producer;
mod snapshot;
mod verification;

use std::collections::{BTreeMap, HashMap};

use crate::{AbortedTxn, AppendError, Origin, ProducerDescription};
use ottla_wire::record::BatchHeader;
use ottla_wire::types::{Offset, ProducerId, ProducerIdEpoch, TimestampMs};

pub(crate) use producer::{Producer, WrittenBatch};
pub(crate) use verification::{Pending, Verifications};

/// A marker that ends a producer's transaction in this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) aborts: bool,
    pub(crate) timestamp: TimestampMs,
}

/// The last batch or marker of a producer, which compaction must keep so that the producer's state can be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastRecord {
    /// The last offset of its last batch; `None` if it only has a marker in this epoch.
    pub(crate) data_offset: Option<Offset>,
    pub(crate) epoch: i16,
}

/// The state of all producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    by_id: HashMap<ProducerId, Producer>,
    /// Open transactions by their first offset.
    open_txns: BTreeMap<Offset, ProducerId>,
}

impl Producers {
    /// Returns the batch that `header` duplicates, among the producer's last five. For batches from clients.
    pub(crate) fn find_duplicate(&self, header: &BatchHeader) -> Option<WrittenBatch> {
        self.by_id.get(&header.producer_id)?.find_duplicate(header)
    }

    /// If `header` may duplicate a batch that wasn't loaded since the log was opened, returns the offset below which the
    /// unloaded batches are.
    pub(crate) fn unread_window(&self, header: &BatchHeader) -> Option<Offset> {
        let producer = self.by_id.get(&header.producer_id)?;
        if producer.epoch != header.producer_epoch || producer.follows(header.base_sequence) {
            return None;
        }
        producer.unread_before
    }

    /// Adds loaded batches at the start of a producer's window.
    pub(crate) fn refill(&mut self, producer_id: ProducerId, earlier: &[WrittenBatch]) {
        if let Some(producer) = self.by_id.get_mut(&producer_id) {
            producer.refill(earlier);
        }
    }

    pub(crate) fn get(&self, producer_id: ProducerId) -> Option<&Producer> {
        self.by_id.get(&producer_id)
    }

    /// Whether a transaction of this producer and epoch is ongoing.
    pub(crate) fn has_ongoing_transaction(&self, producer: ProducerIdEpoch) -> bool {
        let state = self.by_id.get(&producer.producer_id);
        state.is_some_and(|state| state.txn_start.is_some() && state.epoch == producer.epoch)
    }

    /// Checks that the producer has no higher epoch.
    pub(crate) fn check_epoch(&self, producer: ProducerIdEpoch) -> Result<(), AppendError> {
        let ProducerIdEpoch { producer_id, epoch } = producer;
        self.by_id.get(&producer_id).map_or(Ok(()), |state| state.check_epoch(producer_id, epoch))
    }

    /// Checks whether a data batch may be appended. `pending` is the pending verification of its producer.
    pub(crate) fn check(
        &self,
        header: &BatchHeader,
        origin: Origin,
        pending: Option<&Pending>,
    ) -> Result<(), AppendError> {
        match self.by_id.get(&header.producer_id) {
            Some(producer) => producer.check(header, origin, pending),
            None => Producer::default().check(header, origin, pending),
        }
    }

    /// Checks whether a marker may be appended.
    pub(crate) fn check_marker(&self, marker: &Marker, origin: Origin) -> Result<(), AppendError> {
        self.by_id.get(&marker.producer_id).map_or(Ok(()), |producer| producer.check_marker(marker, origin))
    }

    /// Applies a data batch that was appended or recovered at `now`.
    pub(crate) fn apply(&mut self, header: &BatchHeader, now: TimestampMs) {
        let producer = self.by_id.entry(header.producer_id).or_default();
        if producer.apply(header, now) {
            self.open_txns.insert(header.base_offset, header.producer_id);
        }
    }

    /// The transaction that a marker at `offset` aborts.
    pub(crate) fn aborted_by(&self, marker: &Marker, offset: Offset) -> Option<AbortedTxn> {
        let producer_id = marker.producer_id;
        let first_offset = self.by_id.get(&producer_id).filter(|_| marker.aborts)?.txn_start?;
        let last_stable_offset = self.open_txns.keys().find(|open| **open != first_offset).copied();
        let last_stable_offset = last_stable_offset.unwrap_or(offset + 1);
        Some(AbortedTxn { producer_id, first_offset, last_offset: offset, last_stable_offset })
    }

    /// Applies a marker that was found at `offset`. Returns the transaction if the marker aborts one.
    pub(crate) fn replay_marker(&mut self, marker: &Marker, offset: Offset, now: TimestampMs) -> Option<AbortedTxn> {
        let aborted = self.aborted_by(marker, offset);
        self.apply_marker(marker, now);
        aborted
    }

    /// Applies a marker.
    pub(crate) fn apply_marker(&mut self, marker: &Marker, now: TimestampMs) {
        let producer = self.by_id.entry(marker.producer_id).or_default();
        if let Some(first_offset) = producer.apply_marker(marker, now) {
            self.open_txns.remove(&first_offset);
        }
    }

    /// The last record of each producer, for compaction.
    pub(crate) fn last_records(&self) -> HashMap<ProducerId, LastRecord> {
        let last_record = |producer: &Producer| LastRecord {
            data_offset: producer.last_batch().map(|batch| batch.last_offset),
            epoch: producer.epoch,
        };
        self.by_id.iter().map(|(id, producer)| (*id, last_record(producer))).collect()
    }

    /// The number of producers.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The time of the last write in the oldest open transaction.
    pub(crate) fn open_transaction_written_at(&self) -> Option<TimestampMs> {
        let producer_id = self.open_txns.values().next()?;
        self.by_id.get(producer_id).map(|producer| producer.last_seen)
    }

    /// The first offset of the oldest open transaction.
    pub(crate) fn first_unstable(&self) -> Option<Offset> {
        self.open_txns.keys().next().copied()
    }

    /// Removes producers that have been idle for `expiration_ms`, except those with an open transaction.
    pub(crate) fn expire(&mut self, now: TimestampMs, expiration_ms: i64) {
        self.by_id.retain(|_, producer| !producer.is_expired(now, expiration_ms));
        if self.by_id.is_empty() {
            self.by_id = HashMap::new();
        }
    }

    /// Returns a producer whose state in this snapshot contradicts `derived`, the state from the batches from `first` on.
    pub(crate) fn contradiction(&self, derived: &Producers, first: Offset) -> Option<ProducerId> {
        let contradicts = |id: &ProducerId, stored: &Producer| {
            let written = stored.last_batch().filter(|batch| batch.last_offset >= first);
            let known = derived.by_id.get(id);
            match (written, known) {
                (Some(batch), Some(known)) => {
                    known.epoch != stored.epoch
                        || known.last_batch().is_none_or(|last| !last.is_same_as(&batch))
                        || stored.txn_start.is_some_and(|start| start >= first) && known.txn_start != stored.txn_start
                }
                (Some(_), None) => true,
                (None, _) => stored
                    .txn_start
                    .is_some_and(|start| start >= first && known.is_none_or(|known| known.txn_start != Some(start))),
            }
        };
        self.by_id.iter().find(|(id, stored)| contradicts(id, stored)).map(|(id, _)| *id)
    }

    /// Returns a producer with a batch or a transaction start at `offset` or later.
    pub(crate) fn beyond(&self, offset: Offset) -> Option<ProducerId> {
        let is_beyond = |producer: &Producer| {
            let written = producer.last_batch().map(|batch| batch.last_offset);
            written.max(producer.txn_start).is_some_and(|last| last >= offset)
        };
        self.by_id.iter().find(|(_, producer)| is_beyond(producer)).map(|(id, _)| *id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn describe(&self) -> Vec<ProducerDescription> {
        self.by_id.iter().map(|(id, producer)| producer.describe(*id)).collect()
    }
}
