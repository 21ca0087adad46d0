//! What a log has to be, as a plain list of all that was ever appended to it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::*;
use ottla_wire::types::{LeaderEpoch, NO_PRODUCER_ID};

pub(super) const PRODUCERS: i64 = 4;

/// A batch as it was appended, and what is left of it.
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
    /// A record without one is a tombstone.
    pub(super) value: Option<String>,
    pub(super) present: bool,
}

impl Batch {
    /// A batch by nobody.
    pub(super) fn plain(base: Offset, records: Vec<Record>, codec: Codec) -> Batch {
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

    pub(super) fn numbered(&self) -> impl Iterator<Item = (Offset, &Record)> {
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

/// A transaction that was aborted.
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

/// All that was ever appended, by offset.
#[derive(Clone, Debug, Default)]
pub(super) struct Plain {
    /// Also those that retention, compaction or DeleteRecords have removed: what producers did is not forgotten.
    pub(super) batches: Vec<Batch>,
    /// The first offset that readers may see.
    pub(super) start: Offset,
    /// The log end, if the last batches were dropped from it.
    pub(super) floor: Offset,
    /// Where each leader epoch begins.
    pub(super) epochs: Vec<(LeaderEpoch, Offset)>,
}

impl Plain {
    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(0, Batch::next_offset).max(self.floor)
    }

    pub(super) fn push(&mut self, batch: Batch) {
        assert_eq!(batch.base, self.end());
        self.batches.push(batch);
    }

    /// The end is `end` now: what lay behind it is gone. There may be a gap before it.
    pub(super) fn end_at(&mut self, end: Offset, has_gaps: bool) {
        self.batches.retain(|batch| batch.next_offset() <= end);
        self.floor = 0;
        let last = self.end().max(self.start);
        assert!(last == end || has_gaps && last < end, "{last} is where the last whole batch ends, not {end}");
        self.floor = end;
        self.epochs.retain(|epoch| epoch.1 < end || epoch.1 <= self.start);
    }

    /// Nothing is left, and the next record gets `start`.
    pub(super) fn begin_at(&mut self, start: Offset) {
        *self = Plain { start, floor: start, ..Plain::default() };
    }

    pub(super) fn latest_epoch(&self) -> LeaderEpoch {
        self.epochs.last().map_or(0, |epoch| epoch.0)
    }

    pub(super) fn note_epoch(&mut self, epoch: LeaderEpoch, base: Offset) {
        if self.epochs.last().is_none_or(|last| last.0 < epoch) {
            self.epochs.push((epoch, base));
        }
    }

    /// The batches of a producer's newest epoch, of which the last five are recognised.
    pub(super) fn window(&self, producer_id: ProducerId) -> (i16, Vec<&Batch>) {
        let mine = || self.batches.iter().filter(move |batch| batch.producer_id == producer_id);
        let epoch = mine().next_back().map_or(-1, |batch| batch.epoch);
        (epoch, mine().filter(|batch| batch.epoch == epoch && batch.marker.is_none()).collect())
    }

    /// Where a producer's open transaction begins.
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

    /// Offset, timestamp and value of what is in the log and may be seen; markers aside.
    pub(super) fn records(&self) -> impl Iterator<Item = (Offset, &Record)> {
        let present = self.batches.iter().flat_map(Batch::numbered).filter(|(_, record)| record.present);
        present.filter(|record| record.0 >= self.start)
    }

    /// What a consumer of committed records gets to see: offsets.
    pub(super) fn committed(&self) -> Vec<Offset> {
        let (aborted, stable) = (self.aborted(), self.last_stable());
        let committed = self.batches.iter().filter(|batch| {
            batch.next_offset() <= stable && !(batch.transactional && aborted.iter().any(|txn| txn.has(batch)))
        });
        let present = committed.flat_map(Batch::numbered).filter(|(_, record)| record.present);
        present.map(|record| record.0).filter(|offset| *offset >= self.start).collect()
    }

    /// Markers are records too: offset and timestamp of everything that has a time.
    pub(super) fn times(&self) -> impl Iterator<Item = (Offset, TimestampMs)> {
        self.batches.iter().filter(|batch| batch.present).flat_map(|batch| {
            let marker = batch.marker.map(|_| (batch.base, NOW));
            let present = batch.numbered().filter(|(_, record)| record.present);
            marker.into_iter().chain(present.map(|(offset, record)| (offset, record.timestamp)))
        })
    }

    /// The largest epoch not above `asked` and where it ends: OffsetForLeaderEpoch.
    pub(super) fn end_of_epoch(&self, asked: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        if asked < 0 {
            return None;
        }
        let known = self.known_epochs();
        if known.last().is_some_and(|last| last.0 == asked) {
            return Some((asked, self.end()));
        }
        let next = known.iter().find(|epoch| epoch.0 > asked)?;
        Some((known.iter().rfind(|epoch| epoch.0 <= asked).map_or(asked, |epoch| epoch.0), next.1))
    }

    /// Epochs that ended before the log start are forgotten; the one that holds it begins there.
    fn known_epochs(&self) -> Vec<(LeaderEpoch, Offset)> {
        let ends = self.epochs.iter().skip(1).map(|epoch| epoch.1).chain([Offset::MAX]);
        let live = self.epochs.iter().zip(ends).filter(|(_, end)| *end > self.start);
        live.map(|(epoch, _)| (epoch.0, epoch.1.max(self.start))).collect()
    }

    /// The offsets whose record is superseded by a committed one with the same key below `limit`.
    pub(super) fn superseded(&self, limit: Offset) -> BTreeSet<Offset> {
        let aborted = self.aborted();
        let mut newer: HashSet<&str> = HashSet::new();
        let mut superseded = BTreeSet::new();
        for batch in self.batches.iter().rev().filter(|batch| batch.base < limit) {
            let counts = !(batch.transactional && aborted.iter().any(|txn| txn.has(batch)));
            let below = batch.numbered().filter(|(offset, _)| *offset < limit);
            for (offset, record) in below.collect::<Vec<_>>().into_iter().rev() {
                let Some(key) = &record.key else { continue };
                if newer.contains(key.as_str()) {
                    superseded.insert(offset);
                }
                if counts {
                    newer.insert(key);
                }
            }
        }
        superseded
    }
}
