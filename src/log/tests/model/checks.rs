//! Checks of reads: by offset, by time, of committed records, and of the ends of epochs.

use std::collections::{BTreeSet, VecDeque};

use super::oracle::Batch;
use super::*;

impl Run {
    pub(super) fn check_read(&mut self) {
        let from = self.some_offset();
        let up_to = if self.random.below(2) == 0 { Offset::MAX } else { self.oracle.last_stable() };
        let max = self.random.below(4000) as usize;
        let slice = self.log.read(from, max, true, up_to).expect("reads");
        let present = || self.oracle.batches.iter().filter(|batch| batch.present);
        let first = present().find(|batch| batch.next_offset() > from);
        let Some(first) = first.filter(|first| first.base < up_to && from < up_to) else {
            return assert!(slice.bytes.is_empty(), "from {from} up to {up_to}");
        };
        let found: Vec<Offset> =
            batches(&slice.bytes).map(|batch| batch.expect("a batch").header().base_offset).collect();
        assert_eq!(found.first(), Some(&first.base));
        let expected = present().filter(|batch| batch.base >= first.base && batch.base < slice.next_offset);
        assert_eq!(found, expected.map(|batch| batch.base).collect::<Vec<_>>());
        assert!(found.len() == 1 || slice.bytes.len() <= max);
        assert!(found.iter().all(|base| *base < up_to));
    }

    fn some_offset(&mut self) -> Offset {
        let (start, end) = (self.log.start_offset(), self.log.end_offset());
        start + self.random.below((end - start) as u64 + 1) as i64
    }

    /// Reads like a consumer with `isolation.level=read_committed`, from a random offset.
    pub(super) fn check_committed(&mut self) {
        let from = if self.random.below(2) == 0 { self.oracle.start } else { self.some_offset() };
        let seen = self.read_committed(from);
        let expected: Vec<Offset> = self.oracle.committed().into_iter().filter(|offset| *offset >= from).collect();
        assert_eq!(seen, expected, "committed from {from}");
    }

    fn read_committed(&self, from: Offset) -> Vec<Offset> {
        let (mut next, stable) = (from, self.log.last_stable_offset());
        let mut seen = Vec::new();
        while next < stable {
            let slice = self.log.read(next, 2000, true, stable).expect("reads");
            if slice.bytes.is_empty() {
                break;
            }
            let mut aborted = self.log.aborted_transactions(next, slice.next_offset).expect("looks up");
            aborted.sort_by_key(|txn| txn.first_offset);
            let mut aborted = VecDeque::from(aborted);
            let mut hidden = BTreeSet::new();
            for batch in batches(&slice.bytes).map(|batch| batch.expect("a batch")) {
                let header = *batch.header();
                while let Some(txn) = aborted.pop_front_if(|txn| txn.first_offset <= header.last_offset()) {
                    hidden.insert(txn.producer_id);
                }
                if header.is_control() {
                    let base = self.oracle.batches.binary_search_by_key(&header.base_offset, |batch| batch.base);
                    let control = base.ok().and_then(|at| self.oracle.batches[at].marker);
                    if control == Some(ControlType::Abort) {
                        hidden.remove(&header.producer_id);
                    }
                } else if !(header.is_transactional() && hidden.contains(&header.producer_id)) {
                    let records = batch.records().map(|record| record.expect("a record").offset);
                    seen.extend(records.filter(|offset| *offset >= next));
                }
            }
            next = slice.next_offset;
        }
        seen
    }

    pub(super) fn check_times(&mut self) {
        let timestamp = self.now - self.random.below(3000) as i64;
        let times = || self.oracle.times().filter(|(offset, _)| *offset >= self.oracle.start);
        let found = self.log.offset_for_timestamp(TimestampQuery::At(timestamp)).expect("looks up");
        let found = found.map(|found| (found.offset, found.timestamp));
        assert_eq!(found, times().find(|time| time.1 >= timestamp), "at {timestamp}");
        // The newest record may be below the log start, if its segment still exists.
        let newest = times().map(|time| time.1).max();
        let found = self.log.offset_for_timestamp(TimestampQuery::Max).expect("looks up");
        if let Some(found) = found.filter(|found| found.offset >= self.oracle.start) {
            let first = times().find(|time| Some(time.1) == newest);
            assert_eq!(Some((found.offset, found.timestamp)), first, "the newest");
        } else {
            assert!(newest.is_none() || found.is_some(), "{newest:?} was not found");
        }
    }

    pub(super) fn check_epochs(&self) {
        // The start of an epoch without records is unknown.
        if self.knows_epochs && self.oracle.start < self.oracle.end() {
            for epoch in -1..=self.oracle.latest_epoch() + 1 {
                let (found, expected) = (self.log.end_offset_for_epoch(epoch), self.oracle.end_of_epoch(epoch));
                assert_eq!(found, expected, "epoch {epoch} of {:?}", self.oracle.epochs);
            }
        }
    }
}

/// Returns whether `batch` is in the log.
pub(super) fn is_stored(log: &Log, batch: &Batch) -> bool {
    let slice = log.read(batch.base, 1, true, Offset::MAX).expect("reads");
    batches(&slice.bytes).flatten().next().is_some_and(|stored| {
        let header = stored.header();
        (header.base_offset, header.next_offset()) == (batch.base, batch.next_offset())
            && (header.producer_id, header.base_sequence) == (batch.producer_id, batch.sequence)
    })
}
