//! The oracle: the expected state of a log, from a list of all batches that were ever appended to it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::*;
use ottla_wire::types::{LeaderEpoch, NO_PRODUCER_ID};

pub(super) const PRODUCERS: i64 = 4;

/// A batch as it was appended, and whether its parts are still in the log.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) base: Offset,
    pub(super) records: Vec<Record>,
    pub(super) codec: Codec,
    pub(super) producer_id: ProducerId,
    pub(super) epoch: i16,
    pub(super) sequence: i32,
    pub(super) transactional: bool,
    pub(super) marker: Option<ControlType>,
    /// Whether its header is in the log, with or without records.
    pub(super) present: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) timestamp: TimestampMs,
    pub(super) key: Option<String>,
    /// `None` in a tombstone.
    pub(super) value: Option<String>,
    pub(super) present: bool,
}

impl Batch {
    /// Creates a batch without a producer id.
    pub(super) fn without_producer(base: Offset, records: Vec<Record>, codec: Codec) -> Batch {
        Batch {
            base,
            records,
            codec,
            producer_id: NO_PRODUCER_ID,
            epoch: -1,
            sequence: -1,
            transactional: false,
            marker: None,
            present: true,
        }
    }

    pub(super) fn next_offset(&self) -> Offset {
        self.base + self.records.len().max(1) as i64
    }

    pub(super) fn next_sequence(&self) -> i32 {
        self.sequence + self.records.len() as i32
    }

    pub(super) fn records_by_offset(&self) -> impl Iterator<Item = (Offset, &Record)> {
        (self.base..).zip(&self.records)
    }

    pub(super) fn build(&self) -> Verified {
        if let Some(control) = self.marker {
            return marker(self.producer_id, self.epoch, control, 1);
        }
        let mut builder = BatchBuilder::new(self.codec);
        if self.producer_id != NO_PRODUCER_ID {
            let producer = ProducerIdEpoch { producer_id: self.producer_id, epoch: self.epoch };
            builder = builder.producer(producer, self.sequence);
        }
        if self.transactional {
            builder = builder.transactional();
        }
        for record in &self.records {
            let bytes = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
            let (key, value) = (bytes(&record.key), bytes(&record.value));
            builder.append(record.timestamp, key.as_deref(), value.as_deref(), &[(b"h", key.as_deref())]);
        }
        builder.build().expect("builds")
    }
}

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aborted {
    pub(super) producer_id: ProducerId,
    pub(super) first: Offset,
    pub(super) marker: Offset,
}

impl Aborted {
    pub(super) fn has(&self, batch: &Batch) -> bool {
        batch.producer_id == self.producer_id && (self.first..self.marker).contains(&batch.base)
    }
}

/// All batches that were ever appended, by offset.
#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    /// Includes batches that retention, compaction or DeleteRecords have removed, for the state of producers.
    pub(super) batches: Vec<Batch>,
    /// The log start offset.
    pub(super) start: Offset,
    /// A lower bound of the end offset, for logs whose last batches were removed.
    pub(super) floor: Offset,
    /// Each leader epoch and its start offset.
    pub(super) epochs: Vec<(LeaderEpoch, Offset)>,
}

impl Oracle {
    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(0, Batch::next_offset).max(self.floor)
    }

    pub(super) fn push(&mut self, batch: Batch) {
        assert_eq!(batch.base, self.end());
        self.batches.push(batch);
    }

    /// Truncates the list to `end`. If `has_gaps`, the last batch may end before `end`.
    pub(super) fn end_at(&mut self, end: Offset, has_gaps: bool) {
        self.batches.retain(|batch| batch.next_offset() <= end);
        self.floor = 0;
        let last = self.end().max(self.start);
        assert!(last == end || has_gaps && last < end, "the last batch ends at {last}, not {end}");
        self.floor = end;
        self.epochs.retain(|epoch| epoch.1 < end || epoch.1 <= self.start);
    }

    /// Empties the list; the next record gets the offset `start`.
    pub(super) fn begin_at(&mut self, start: Offset) {
        *self = Oracle { start, floor: start, ..Oracle::default() };
    }

    pub(super) fn latest_epoch(&self) -> LeaderEpoch {
        self.epochs.last().map_or(0, |epoch| epoch.0)
    }

    pub(super) fn note_epoch(&mut self, epoch: LeaderEpoch, base: Offset) {
        if self.epochs.last().is_none_or(|last| last.0 < epoch) {
            self.epochs.push((epoch, base));
        }
    }

    /// Returns a producer's epoch, and its batches in that epoch. The log must recognize repeats of the last five.
    pub(super) fn batches_of_current_epoch(&self, producer_id: ProducerId) -> (i16, Vec<&Batch>) {
        let of_producer = || self.batches.iter().filter(move |batch| batch.producer_id == producer_id);
        let epoch = of_producer().next_back().map_or(-1, |batch| batch.epoch);
        (epoch, of_producer().filter(|batch| batch.epoch == epoch && batch.marker.is_none()).collect())
    }

    /// Returns the first offset of a producer's open transaction.
    pub(super) fn open_transaction(&self, producer_id: ProducerId) -> Option<Offset> {
        let mut open = None;
        for batch in self.batches.iter().filter(|batch| batch.producer_id == producer_id) {
            match batch.marker {
                Some(_) => open = None,
                None if batch.transactional => open = open.or(Some(batch.base)),
                None => {}
            }
        }
        open
    }

    pub(super) fn last_stable(&self) -> Offset {
        (0..PRODUCERS).filter_map(|id| self.open_transaction(id)).min().unwrap_or(self.end()).max(self.start)
    }

    pub(super) fn aborted(&self) -> Vec<Aborted> {
        let mut open = HashMap::new();
        let mut aborted = Vec::new();
        for batch in &self.batches {
            let producer_id = batch.producer_id;
            match batch.marker {
                Some(control) => {
                    if let Some(first) = open.remove(&producer_id).filter(|_| control == ControlType::Abort) {
                        aborted.push(Aborted { producer_id, first, marker: batch.base });
                    }
                }
                None if batch.transactional => {
                    open.entry(producer_id).or_insert(batch.base);
                }
                None => {}
            }
        }
        aborted
    }

    /// Returns the records in the log from its start on, without markers.
    pub(super) fn records(&self) -> impl Iterator<Item = (Offset, &Record)> {
        let present = self.batches.iter().flat_map(Batch::records_by_offset).filter(|(_, record)| record.present);
        present.filter(|record| record.0 >= self.start)
    }

    /// Returns the offsets of the records that a consumer with `isolation.level=read_committed` reads.
    pub(super) fn committed(&self) -> Vec<Offset> {
        let (aborted, stable) = (self.aborted(), self.last_stable());
        let committed = self.batches.iter().filter(|batch| {
            batch.next_offset() <= stable && !(batch.transactional && aborted.iter().any(|txn| txn.has(batch)))
        });
        let present = committed.flat_map(Batch::records_by_offset).filter(|(_, record)| record.present);
        present.map(|record| record.0).filter(|offset| *offset >= self.start).collect()
    }

    /// Returns offset and timestamp of all records in the log, including markers.
    pub(super) fn times(&self) -> impl Iterator<Item = (Offset, TimestampMs)> {
        self.batches.iter().filter(|batch| batch.present).flat_map(|batch| {
            let marker = batch.marker.map(|_| (batch.base, NOW));
            let present = batch.records_by_offset().filter(|(_, record)| record.present);
            marker.into_iter().chain(present.map(|(offset, record)| (offset, record.timestamp)))
        })
    }

    /// Returns the largest epoch not above `requested`, and its end offset, as OffsetForLeaderEpoch does.
    pub(super) fn end_of_epoch(&self, requested: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        if requested < 0 {
            return None;
        }
        let known = self.known_epochs();
        if known.last().is_some_and(|last| last.0 == requested) {
            return Some((requested, self.end()));
        }
        let next = known.iter().find(|epoch| epoch.0 > requested)?;
        Some((known.iter().rfind(|epoch| epoch.0 <= requested).map_or(requested, |epoch| epoch.0), next.1))
    }

    /// Returns the epochs without those that ended before the log start; the epoch at the log start begins there.
    fn known_epochs(&self) -> Vec<(LeaderEpoch, Offset)> {
        let ends = self.epochs.iter().skip(1).map(|epoch| epoch.1).chain([Offset::MAX]);
        let live = self.epochs.iter().zip(ends).filter(|(_, end)| *end > self.start);
        live.map(|(epoch, _)| (epoch.0, epoch.1.max(self.start))).collect()
    }

    /// Returns the offsets below `limit` of records that are superseded: a later record below `limit` has the same key
    /// and is committed.
    pub(super) fn superseded(&self, limit: Offset) -> BTreeSet<Offset> {
        let aborted = self.aborted();
        let mut newer: HashSet<&str> = HashSet::new();
        let mut superseded = BTreeSet::new();
        for batch in self.batches.iter().rev().filter(|batch| batch.base < limit) {
            let is_committed = !(batch.transactional && aborted.iter().any(|txn| txn.has(batch)));
            let below = batch.records_by_offset().filter(|(offset, _)| *offset < limit);
            for (offset, record) in below.collect::<Vec<_>>().into_iter().rev() {
                let Some(key) = &record.key else { continue };
                if newer.contains(key.as_str()) {
                    superseded.insert(offset);
                }
                if is_committed {
                    newer.insert(key);
                }
            }
        }
        superseded
    }
}
