//! The state of one producer: its epoch, its last five batches, its transaction.

use super::{Marker, Pending};
use crate::{AppendError, Origin, ProducerDescription, TxnStateError};
use ottla_wire::record::BatchHeader;
use ottla_wire::types::{NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP, Offset, ProducerId, TimestampMs};

/// The number of batches kept per producer: as many as it may have in flight.
pub(crate) const WINDOW: usize = 5;

/// A batch that a producer has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrittenBatch {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: Offset,
    /// Last offset minus first offset, and last sequence minus first sequence.
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: TimestampMs,
}

impl WrittenBatch {
    pub(crate) fn of(header: &BatchHeader) -> WrittenBatch {
        WrittenBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        }
    }

    /// Whether both are the same batch. Ignores the timestamps, which come from different sources.
    pub(crate) fn is_same_as(&self, other: &WrittenBatch) -> bool {
        let identity = |batch: &WrittenBatch| (batch.last_sequence, batch.last_offset, batch.offset_delta);
        identity(self) == identity(other)
    }

    pub(crate) fn first_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }

    /// The first sequence number. Sequence numbers wrap from `i32::MAX` to 0.
    pub(crate) fn first_sequence(&self) -> i32 {
        (i64::from(self.last_sequence) - i64::from(self.offset_delta)).rem_euclid(1 << 31) as i32
    }
}

/// The state of one producer.
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    pub(crate) coordinator_epoch: i32,
    /// The time of the last write: the record timestamp or the broker's clock, whichever is later. A producer that writes
    /// old timestamps must not expire early.
    pub(crate) last_seen: TimestampMs,
    pub(crate) txn_start: Option<Offset>,
    /// Oldest first.
    window: Vec<WrittenBatch>,
    /// Set after loading a snapshot, which has only the last batch: the batches below this offset are read from the log
    /// when they are needed.
    pub(crate) unread_before: Option<Offset>,
}

impl Default for Producer {
    fn default() -> Producer {
        Producer {
            epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: -1,
            last_seen: NO_TIMESTAMP,
            txn_start: None,
            window: Vec::new(),
            unread_before: None,
        }
    }
}

/// Compares the state without the earlier batches of the window, which may not be loaded.
impl PartialEq for Producer {
    fn eq(&self, other: &Producer) -> bool {
        let state = |p: &Producer| (p.epoch, p.coordinator_epoch, p.last_seen, p.txn_start, p.last_batch());
        state(self) == state(other)
    }
}

impl Eq for Producer {}

impl Producer {
    /// Creates a producer from a snapshot entry.
    pub(super) fn restored(
        epoch: i16,
        coordinator_epoch: i32,
        last_seen: TimestampMs,
        txn_start: Option<Offset>,
        last_batch: Option<WrittenBatch>,
    ) -> Producer {
        let unread_before = last_batch.map(|batch| batch.first_offset());
        let window = last_batch.into_iter().collect();
        Producer { epoch, coordinator_epoch, last_seen, txn_start, window, unread_before }
    }

    pub(crate) fn last_batch(&self) -> Option<WrittenBatch> {
        self.window.last().copied()
    }

    /// The number of batches missing at the start of the window.
    pub(crate) fn missing(&self) -> usize {
        WINDOW - self.window.len()
    }

    fn last_sequence(&self) -> i32 {
        self.last_batch().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    /// Whether `sequence` follows the last sequence number.
    pub(super) fn follows(&self, sequence: i32) -> bool {
        let last = self.last_sequence();
        i64::from(sequence) == i64::from(last) + 1 || (sequence == 0 && last == i32::MAX)
    }

    pub(super) fn find_duplicate(&self, header: &BatchHeader) -> Option<WrittenBatch> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        self.window.iter().find(|batch| batch.first_sequence() == first && batch.last_sequence == last).copied()
    }

    pub(super) fn refill(&mut self, earlier: &[WrittenBatch]) {
        let missing = self.missing().min(earlier.len());
        self.window.splice(0..0, earlier[earlier.len() - missing..].iter().copied());
        self.unread_before = None;
    }

    pub(super) fn check(
        &self,
        header: &BatchHeader,
        origin: Origin,
        pending: Option<&Pending>,
    ) -> Result<(), AppendError> {
        let producer_id = header.producer_id;
        self.check_epoch(producer_id, header.producer_epoch)?;
        if origin == Origin::Client {
            self.check_sequence(header, pending)?;
        }
        if self.txn_start.is_some() && !header.is_transactional() {
            return Err(AppendError::InvalidTxnState { producer_id, why: TxnStateError::NotTransactional });
        }
        Ok(())
    }

    pub(super) fn check_epoch(&self, producer_id: ProducerId, found: i16) -> Result<(), AppendError> {
        if found < self.epoch {
            return Err(AppendError::InvalidProducerEpoch { producer_id, current: self.epoch, found });
        }
        Ok(())
    }

    fn check_sequence(&self, header: &BatchHeader, pending: Option<&Pending>) -> Result<(), AppendError> {
        let fits = if !self.fits_pending(header.base_sequence, pending) {
            false
        } else if self.epoch == NO_PRODUCER_EPOCH {
            // An unknown or expired producer may start with any sequence number (KIP-360).
            true
        } else if header.producer_epoch == self.epoch {
            self.follows(header.base_sequence)
        } else {
            // A new epoch starts with sequence 0.
            header.base_sequence == 0
        };
        if fits {
            return Ok(());
        }
        Err(AppendError::OutOfOrderSequence {
            producer_id: header.producer_id,
            last: if header.producer_epoch == self.epoch { self.last_sequence() } else { NO_SEQUENCE },
            found: header.base_sequence,
        })
    }

    /// Whether a batch with this first sequence number may be appended while a verification is pending.
    fn fits_pending(&self, sequence: i32, pending: Option<&Pending>) -> bool {
        let Some(pending) = pending else { return true };
        let is_first = self.window.is_empty();
        !(pending.is_overtaken_by(sequence) || pending.supports_epoch_bump() && is_first && sequence != 0)
    }

    pub(super) fn check_marker(&self, marker: &Marker, origin: Origin) -> Result<(), AppendError> {
        let producer_id = marker.producer_id;
        self.check_epoch(producer_id, marker.epoch)?;
        // A repeated marker finds no open transaction; and the largest epoch can't be bumped.
        let may_repeat = self.txn_start.is_none() || marker.epoch == i16::MAX;
        if origin == Origin::CoordinatorV2 && marker.epoch == self.epoch && !may_repeat {
            let (current, found) = (self.epoch, marker.epoch);
            return Err(AppendError::InvalidProducerEpoch { producer_id, current, found });
        }
        if marker.coordinator_epoch < self.coordinator_epoch {
            let (current, found) = (self.coordinator_epoch, marker.coordinator_epoch);
            return Err(AppendError::TransactionCoordinatorFenced { producer_id, current, found });
        }
        Ok(())
    }

    /// Applies a data batch written at `now`. Returns whether it begins a transaction.
    pub(super) fn apply(&mut self, header: &BatchHeader, now: TimestampMs) -> bool {
        self.set_epoch(header.producer_epoch);
        if self.window.len() == WINDOW {
            self.window.remove(0);
            self.unread_before = None;
        }
        self.window.push(WrittenBatch::of(header));
        self.last_seen = header.max_timestamp.max(now);
        let begins = header.is_transactional() && self.txn_start.is_none();
        if begins {
            self.txn_start = Some(header.base_offset);
        }
        begins
    }

    /// Applies a marker written at `now`. Returns the first offset of the transaction that it ends.
    pub(super) fn apply_marker(&mut self, marker: &Marker, now: TimestampMs) -> Option<Offset> {
        self.set_epoch(marker.epoch);
        self.coordinator_epoch = marker.coordinator_epoch;
        self.last_seen = marker.timestamp.max(now);
        self.txn_start.take()
    }

    /// Sets the epoch. A new epoch starts with an empty window.
    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.window.clear();
            self.unread_before = None;
        }
    }

    pub(super) fn is_expired(&self, now: TimestampMs, expiration_ms: i64) -> bool {
        self.txn_start.is_none() && now.saturating_sub(self.last_seen) >= expiration_ms
    }

    pub(super) fn describe(&self, producer_id: ProducerId) -> ProducerDescription {
        ProducerDescription {
            producer_id,
            epoch: self.epoch,
            last_sequence: self.last_sequence(),
            last_timestamp: self.last_seen,
            coordinator_epoch: self.coordinator_epoch,
            current_txn_start: self.txn_start,
        }
    }
}
