//! Which batches belong to aborted transactions, and which markers are still needed: Kafka's
//! `CleanedTransactionMetadata`.

use std::collections::{HashMap, HashSet};

use crate::AbortedTxn;
use ottla_wire::record::BatchHeader;
use ottla_wire::types::ProducerId;

/// Tracks transactions in a log whose batches are passed in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Transactions {
    /// Ascending by first offset; the first `begun` of them have begun.
    aborted: Vec<AbortedTxn>,
    begun: usize,
    /// Aborted transactions that have begun and not ended, with whether one of their batches was seen.
    ongoing_aborted: HashMap<ProducerId, (AbortedTxn, bool)>,
    /// Producers that have batches in a transaction that will be committed.
    ongoing_committed: HashSet<ProducerId>,
}

/// The type of a control batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// An earlier compaction removed its record.
    Empty,
    Abort,
    Commit,
    /// Not a transaction marker.
    Other,
}

/// Whether compaction keeps a control batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// Not needed: no batch of its transaction is left, or it has no record. It may be removed after its delete horizon.
    Done,
    Needed,
    /// Needed, as is the transaction's entry in the index of the marker's segment.
    NeededWithIndex(AbortedTxn),
}

impl Transactions {
    /// Starts with all aborted transactions that may have batches in the log.
    pub(super) fn new(mut aborted: Vec<AbortedTxn>) -> Transactions {
        aborted.sort_unstable_by_key(|txn| (txn.first_offset, txn.last_offset));
        Transactions { aborted, ..Transactions::default() }
    }

    /// Tracks a batch of records; returns whether they were aborted.
    pub(super) fn on_batch(&mut self, header: &BatchHeader) -> bool {
        self.begin_up_to(header);
        if !header.is_transactional() {
            return false;
        }
        match self.ongoing_aborted.get_mut(&header.producer_id) {
            Some((_, observed)) => {
                *observed = true;
                true
            }
            None => {
                self.ongoing_committed.insert(header.producer_id);
                false
            }
        }
    }

    /// Tracks a control batch; returns whether it is kept.
    pub(super) fn on_control(&mut self, header: &BatchHeader, control: Control) -> Marker {
        self.begin_up_to(header);
        match control {
            Control::Empty => Marker::Done,
            Control::Abort => match self.ongoing_aborted.remove(&header.producer_id) {
                Some((txn, true)) => Marker::NeededWithIndex(txn),
                _ => Marker::Done,
            },
            Control::Commit if self.ongoing_committed.remove(&header.producer_id) => Marker::Needed,
            Control::Commit => Marker::Done,
            Control::Other => Marker::Needed,
        }
    }

    /// Begins the transactions that begin before the batch's end, and ends those that its producer ended before it: not
    /// every marker is passed, because only the dirty part of a log is read to map its keys.
    fn begin_up_to(&mut self, header: &BatchHeader) {
        while let Some(txn) = self.aborted.get(self.begun).filter(|txn| txn.first_offset <= header.last_offset()) {
            self.begun += 1;
            let ongoing = self.ongoing_aborted.entry(txn.producer_id).or_insert((*txn, false));
            // A producer has one transaction at a time, so the previous one ended even if its marker wasn't passed.
            if ongoing.0.last_offset < txn.first_offset {
                *ongoing = (*txn, false);
            }
        }
        if self.ongoing_aborted.get(&header.producer_id).is_some_and(|(txn, _)| txn.last_offset < header.base_offset) {
            self.ongoing_aborted.remove(&header.producer_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::types::Offset;

    fn aborted(producer_id: ProducerId, first_offset: Offset, last_offset: Offset) -> AbortedTxn {
        AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset: last_offset + 1 }
    }

    /// A producer's batch in a transaction, with whether it is aborted; or its marker, with the expected outcome.
    enum Input {
        Batch(ProducerId, bool),
        Marker(ProducerId, Control, Marker),
    }

    #[track_caller]
    fn check(aborted: &[AbortedTxn], log: &[(Offset, Input)]) {
        let mut transactions = Transactions::new(aborted.to_vec());
        for (offset, input) in log {
            let mut header = BatchHeader { base_offset: *offset, ..BatchHeader::default() };
            match input {
                Input::Batch(producer_id, is_aborted) => {
                    // Bit 4: transactional.
                    (header.producer_id, header.attributes) = (*producer_id, 1 << 4);
                    assert_eq!(transactions.on_batch(&header), *is_aborted, "{offset}");
                }
                Input::Marker(producer_id, control, expect) => {
                    header.producer_id = *producer_id;
                    assert_eq!(transactions.on_control(&header, *control), *expect, "{offset}");
                }
            }
        }
    }

    #[test]
    fn marker_is_needed_while_its_transaction_has_batches() {
        use Control::{Abort, Commit, Empty, Other};
        use Input::{Batch, Marker as End};
        let txn = aborted(1, 2, 9);
        let log = [
            (0, Batch(1, false)),
            (1, End(1, Commit, Marker::Needed)),
            (2, Batch(1, true)),
            (4, Batch(2, false)),
            (9, End(1, Abort, Marker::NeededWithIndex(txn))),
            (10, Batch(1, false)),
            (11, End(1, Commit, Marker::Needed)),
            (12, End(2, Commit, Marker::Needed)),
            (13, End(2, Commit, Marker::Done)),
            (14, End(1, Abort, Marker::Done)),
            (15, End(1, Empty, Marker::Done)),
            (16, End(1, Other, Marker::Needed)),
        ];
        check(&[txn], &log);
    }

    #[test]
    fn transaction_that_ended_before_first_passed_batch_aborts_nothing() {
        use Input::{Batch, Marker as End};
        let (first, second) = (aborted(1, 2, 9), aborted(1, 30, 39));
        let log = [
            (20, Batch(1, false)),
            (21, End(1, Control::Commit, Marker::Needed)),
            (30, Batch(1, true)),
            (39, End(1, Control::Abort, Marker::NeededWithIndex(second))),
        ];
        check(&[first, second], &log);
        check(&[first], &[(20, End(1, Control::Abort, Marker::Done))]);
    }

    #[test]
    fn marker_of_transaction_without_batches_is_done() {
        use Input::{Batch, Marker as End};
        let (first, second) = (aborted(1, 2, 9), aborted(1, 20, 29));
        let abort = Control::Abort;
        check(&[first], &[(9, End(1, abort, Marker::Done)), (10, Batch(1, false))]);
        check(
            &[second, first],
            &[(3, Batch(1, true)), (20, Batch(1, true)), (29, End(1, abort, Marker::NeededWithIndex(second)))],
        );
        check(&[first, first], &[(3, Batch(1, true)), (9, End(1, abort, Marker::NeededWithIndex(first)))]);
    }
}
