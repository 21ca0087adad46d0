//! Pending verifications of transactions (KIP-890): Kafka's `VerificationStateEntry` and `VerificationGuard`.
//!
//! Before a batch begins a transaction in this partition, the coordinator verifies that the partition belongs to the
//! producer's ongoing transaction. The answer is outdated if a marker is written before the answer arrives. So a
//! pending verification is added here before the request to the coordinator, and a marker removes it. The batch with
//! the guard of a removed verification is rejected: it would begin a transaction that no marker ends.
//!
//! Kept in memory only, as in Kafka: batches whose verification was pending before a restart are rejected.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{TxnVerification, VerificationGuard};
use ottla_wire::record::BatchHeader;
use ottla_wire::types::{ProducerId, ProducerIdEpoch, TimestampMs};

/// The number of pending verifications of a partition. One more removes the oldest: its batch is rejected. An entry is
/// pending for the time of one request to the coordinator, unless the verification fails; then it stays until the
/// producer's next append or marker.
const MAX_PENDING: usize = 2000;

/// Unique in the process, not only in a log: a guard from before a log was reopened must not be valid afterwards.
static LAST_GUARD: AtomicU64 = AtomicU64::new(0);

/// The pending verification of one producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    guard: VerificationGuard,
    began: TimestampMs,
    epoch: i16,
    lowest_sequence: i32,
    supports_epoch_bump: bool,
}

impl Pending {
    /// Whether a batch with a lower sequence number than `sequence` waits for its verification. Then the batch with
    /// `sequence` must not be appended: after a retriable error the producer sends the lower one again, and it must be
    /// appended first.
    pub(super) fn is_overtaken_by(&self, sequence: i32) -> bool {
        sequence > self.lowest_sequence
    }

    /// Whether each transaction of the producer has an epoch of its own, and so begins with sequence number 0.
    pub(super) fn supports_epoch_bump(&self) -> bool {
        self.supports_epoch_bump
    }

    /// Adds another batch to verify. A higher epoch makes earlier sequence numbers obsolete.
    fn add_batch(&mut self, epoch: i16, sequence: i32) {
        if epoch > self.epoch {
            (self.epoch, self.lowest_sequence) = (epoch, sequence);
        } else if epoch == self.epoch {
            self.lowest_sequence = self.lowest_sequence.min(sequence);
        }
    }
}

/// The pending verifications of a partition.
///
/// Invariant: `by_age` has one entry for each in `by_producer`. Guards ascend, so their order is that of age.
#[derive(Debug, Default)]
pub(crate) struct Verifications {
    by_producer: HashMap<ProducerId, Pending>,
    by_age: BTreeMap<VerificationGuard, ProducerId>,
}

impl Verifications {
    /// Begins a verification, or joins the producer's pending one: then the guard is the same.
    pub(crate) fn begin(
        &mut self,
        producer: ProducerIdEpoch,
        first_sequence: i32,
        supports_epoch_bump: bool,
        now: TimestampMs,
    ) -> VerificationGuard {
        let ProducerIdEpoch { producer_id, epoch } = producer;
        if let Some(pending) = self.by_producer.get_mut(&producer_id) {
            pending.add_batch(epoch, first_sequence);
            return pending.guard;
        }
        if self.by_producer.len() >= MAX_PENDING
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_producer.remove(&oldest);
        }
        let guard = VerificationGuard(LAST_GUARD.fetch_add(1, Ordering::Relaxed) + 1);
        let pending = Pending { guard, began: now, epoch, lowest_sequence: first_sequence, supports_epoch_bump };
        self.by_producer.insert(producer_id, pending);
        self.by_age.insert(guard, producer_id);
        guard
    }

    pub(crate) fn pending(&self, producer_id: ProducerId) -> Option<&Pending> {
        self.by_producer.get(&producer_id)
    }

    /// Whether a batch that was verified in this way may begin a transaction.
    pub(crate) fn allows_begin(&self, producer_id: ProducerId, verification: TxnVerification) -> bool {
        match verification {
            TxnVerification::Disabled => true,
            TxnVerification::NotVerified => false,
            TxnVerification::Verified(guard) => self.pending(producer_id).is_some_and(|pending| pending.guard == guard),
        }
    }

    /// Ends the producer's pending verification when a batch or a marker of a transaction was appended. Exception: if
    /// each transaction has its own epoch, a marker in the epoch of the pending verification ends the previous
    /// transaction. The pending verification belongs to the next one and stays.
    pub(crate) fn appended(&mut self, header: &BatchHeader) {
        if !header.is_transactional() {
            return;
        }
        let Some(pending) = self.by_producer.get(&header.producer_id) else { return };
        if pending.supports_epoch_bump && header.is_control() && header.producer_epoch == pending.epoch {
            return;
        }
        self.by_age.remove(&pending.guard);
        self.by_producer.remove(&header.producer_id);
    }

    /// Removes verifications that have been pending for `expiration_ms`.
    pub(crate) fn expire(&mut self, now: TimestampMs, expiration_ms: i64) {
        let by_age = &mut self.by_age;
        self.by_producer.retain(|_, pending| {
            let is_valid = now.saturating_sub(pending.began) < expiration_ms;
            if !is_valid {
                by_age.remove(&pending.guard);
            }
            is_valid
        });
        if self.by_producer.is_empty() {
            *self = Verifications::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(verifications: &mut Verifications, producer_id: ProducerId) -> VerificationGuard {
        verifications.begin(ProducerIdEpoch { producer_id, epoch: 0 }, 0, false, 0)
    }

    #[test]
    fn verification_beyond_the_limit_removes_the_oldest() {
        let mut verifications = Verifications::default();
        let guards: Vec<_> = (0..=MAX_PENDING as i64).map(|id| begin(&mut verifications, id)).collect();
        let allowed = |id: usize| verifications.allows_begin(id as i64, TxnVerification::Verified(guards[id]));
        assert!(!allowed(0));
        assert!((1..=MAX_PENDING).all(allowed));
        assert_eq!((verifications.by_producer.len(), verifications.by_age.len()), (MAX_PENDING, MAX_PENDING));
    }

    #[test]
    fn guards_of_two_logs_differ() {
        let (mut one, mut other) = (Verifications::default(), Verifications::default());
        let (of_one, of_other) = (begin(&mut one, 7), begin(&mut other, 7));
        assert!(one.allows_begin(7, TxnVerification::Verified(of_one)));
        assert!(!one.allows_begin(7, TxnVerification::Verified(of_other)));
        assert!(!one.allows_begin(8, TxnVerification::Verified(of_one)), "of another producer");
    }

    #[test]
    fn pending_entry_keeps_lowest_sequence_of_newest_epoch() {
        // (epoch, sequence) of each batch that is verified; the lowest sequence afterwards.
        let cases = [(5, 3, 3), (5, 4, 3), (5, 1, 1), (4, 0, 1), (6, 7, 7), (5, 0, 7), (6, 2, 2)];
        let mut verifications = Verifications::default();
        for (epoch, sequence, lowest) in cases {
            verifications.begin(ProducerIdEpoch { producer_id: 7, epoch }, sequence, false, 0);
            let pending = verifications.pending(7).map(|pending| pending.lowest_sequence);
            assert_eq!(pending, Some(lowest), "epoch {epoch}, sequence {sequence}");
        }
    }

    #[test]
    fn expired_verification_is_removed_from_both_maps() {
        let mut verifications = Verifications::default();
        begin(&mut verifications, 1);
        verifications.begin(ProducerIdEpoch { producer_id: 2, epoch: 0 }, 0, false, 500);
        verifications.expire(1000, 1000);
        assert!(verifications.pending(1).is_none() && verifications.pending(2).is_some());
        assert_eq!(verifications.by_age.len(), 1);
    }
}
