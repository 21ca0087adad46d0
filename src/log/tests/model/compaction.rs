//! What compaction must leave and what it must not: Kafka's rules, said once more and in other words.
//!
//! Nothing here knows how a log is compacted. A log is read, whole, and what is found is held against what was
//! appended: whatever is missing has to be missed rightly, and after a pass that went through, whatever had to go has
//! to be gone.

use super::plain::{Batch, Plain};
use super::*;
use ottla_wire::record::Batch as Stored;

/// A pass over the log, whether or not it went through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) at: TimestampMs,
    /// Nothing from here on was touched.
    pub(super) below: Offset,
    /// If it went through: up to where the log is compact, and that is sure to outlast a power loss.
    pub(super) done: Option<Offset>,
}

/// The rules as they apply to a log now.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) passes: Vec<Pass>,
    pub(super) delete_retention_ms: i64,
}

impl Rules {
    /// What no pass so far has touched.
    pub(super) fn untouched_from(&self) -> Offset {
        self.passes.iter().map(|pass| pass.below).max().unwrap_or(0)
    }

    /// Whether a tombstone or marker at `offset` was met by one pass and its time was up in a later one.
    fn may_have_expired(&self, offset: Offset) -> bool {
        let met = self.passes.iter().filter(|pass| offset < pass.below);
        let Some(first) = met.map(|pass| pass.at).min() else { return false };
        self.passes.iter().any(|pass| offset < pass.below && pass.at >= first + self.delete_retention_ms)
    }

    /// Whether the last pass was bound to remove a tombstone at `offset`.
    fn must_have_expired(&self, offset: Offset) -> bool {
        let Some((last, before)) = self.passes.split_last() else { return false };
        let done = |pass: &Pass| pass.done.is_some_and(|done| offset < done);
        done(last) && before.iter().any(|pass| done(pass) && last.at > pass.at + self.delete_retention_ms)
    }

    /// Reads the log and holds it against what was appended; then what is left of that is what was found.
    pub(super) fn check(&self, plain: &mut Plain, log: &Log, went_through: bool) {
        let first = log.segments[0].base();
        let found = stored(log, plain.start.max(first));
        let mut of = plain.clone();
        for batch in &mut of.batches {
            batch.present = false;
            batch.records.iter_mut().for_each(|record| record.present = false);
        }
        for stored in &found {
            adopt(&mut of, stored);
        }
        self.must_remain(plain, &of, first);
        if went_through {
            self.must_be_gone(&of);
        }
        // What lies before the first offset that can be asked for is of no interest to anybody.
        *plain = of;
    }

    fn must_remain(&self, before: &Plain, of: &Plain, first: Offset) {
        let (untouched, from) = (self.untouched_from(), of.start.max(first));
        let (superseded, aborted) = (of.superseded(untouched), of.aborted());
        for (batch, was) in of.batches.iter().zip(&before.batches).filter(|(batch, _)| batch.next_offset() > from) {
            let told =
                || format!("{batch:?} of a log from {from}, untouched from {untouched}, after {:?}", self.passes);
            if batch.base >= untouched {
                assert!(batch.present && batch.records.iter().all(|record| record.present), "touched: {}", told());
            }
            if batch.marker.is_some() && !self.may_have_expired(batch.base) {
                assert!(batch.present, "a marker is gone: {}", told());
            }
            let is_aborted = batch.transactional && aborted.iter().any(|txn| txn.has(batch));
            for ((offset, record), was) in batch.numbered().zip(&was.records).filter(|((_, record), _)| !record.present)
            {
                let expired = record.value.is_none() && self.may_have_expired(offset);
                let rightly = record.key.is_none() || superseded.contains(&offset) || is_aborted || expired;
                assert!(rightly || offset < from, "{offset} is gone ({was:?}): {}", told());
            }
        }
        for producer_id in 0..plain::PRODUCERS {
            self.last_of_producer_remains(of, producer_id, from);
        }
    }

    /// A producer goes on after a restart by its last batch, or by its last marker if it has no batch in its epoch.
    fn last_of_producer_remains(&self, of: &Plain, producer_id: ProducerId, from: Offset) {
        let (epoch, window) = of.window(producer_id);
        let markers = of.batches.iter().filter(|batch| batch.producer_id == producer_id && batch.epoch == epoch);
        let kept = match window.last() {
            Some(last) => last.present || last.base < from,
            None => markers.clone().any(|batch| batch.present || batch.base < from) || markers.count() == 0,
        };
        assert!(kept, "the last batch of producer {producer_id} is gone: {window:?}");
    }

    fn must_be_gone(&self, of: &Plain) {
        let Some(compact_below) = self.passes.last().and_then(|pass| pass.done) else { return };
        let (superseded, aborted) = (of.superseded(compact_below), of.aborted());
        for batch in of.batches.iter().filter(|batch| batch.base < compact_below && batch.marker.is_none()) {
            let is_aborted = aborted.iter().any(|txn| txn.has(batch) && txn.marker < compact_below);
            // What nobody can see any more is nobody's concern.
            let judged = of.start..compact_below;
            for (offset, record) in batch.numbered().filter(|(at, record)| record.present && judged.contains(at)) {
                let told = format!("{offset} ({record:?}) is left below {compact_below} after {:?}", self.passes);
                assert!(!superseded.contains(&offset), "superseded: {told}");
                assert!(record.key.is_some(), "without a key: {told}");
                assert!(!(batch.transactional && is_aborted), "aborted: {told}");
                assert!(record.value.is_some() || !self.must_have_expired(offset), "a tombstone: {told}");
            }
        }
    }
}

/// Every batch from the one that holds `from` on, as it is stored.
pub(super) fn stored(log: &Log, from: Offset) -> Vec<Stored> {
    let mut found = Vec::new();
    let mut next = from;
    while next < log.end_offset() {
        let slice = log.read(next, 3000, true, Offset::MAX).expect("reads");
        if slice.bytes.is_empty() {
            // Nothing is left up to the end.
            assert_eq!(slice.next_offset, next);
            break;
        }
        assert!(slice.next_offset > next, "stuck at {next}");
        found.extend(batches(&slice.bytes).map(|batch| batch.expect("a whole batch")));
        next = slice.next_offset;
    }
    found
}

/// Finds a stored batch among those that were appended, and notes what is left of it.
fn adopt(of: &mut Plain, stored: &Stored) {
    stored.check_crc().expect("a right CRC");
    let header = stored.header();
    let Ok(at) = of.batches.binary_search_by_key(&header.base_offset, |batch| batch.base) else {
        panic!("{header:?} was never appended");
    };
    let batch = &mut of.batches[at];
    assert!(!batch.present, "{header:?} is there twice");
    batch.present = true;
    same_header(batch, header);
    let mut before = -1;
    for record in stored.records() {
        let record = record.expect("a record");
        assert!(record.offset > before, "in order");
        before = record.offset;
        if batch.marker.is_some() {
            assert_eq!(record.offset, batch.base);
            continue;
        }
        let appended = usize::try_from(record.offset - batch.base).ok().and_then(|at| batch.records.get_mut(at));
        let appended = appended.unwrap_or_else(|| panic!("{record:?} was never appended"));
        let text =
            |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert_eq!((&text(&record.key), &text(&record.value)), (&appended.key, &appended.value), "{}", record.offset);
        assert_eq!(record.timestamp, appended.timestamp, "{}", record.offset);
        assert_eq!(record.headers.len(), 1, "{record:?}");
        appended.present = true;
    }
    let newest = batch.records.iter().filter(|record| record.present).map(|record| record.timestamp).max();
    assert!(newest.is_none_or(|newest| newest == header.max_timestamp), "{header:?}");
}

/// Offsets, producer and codec stay as they were, whatever became of the records.
fn same_header(batch: &Batch, header: &ottla_wire::record::BatchHeader) {
    assert_eq!(header.next_offset(), batch.next_offset(), "{header:?}");
    assert_eq!((header.producer_id, header.producer_epoch), (batch.producer_id, batch.epoch), "{header:?}");
    assert_eq!(header.is_control(), batch.marker.is_some(), "{header:?}");
    if batch.marker.is_none() {
        assert_eq!(header.base_sequence, batch.sequence, "{header:?}");
        assert_eq!(header.is_transactional(), batch.transactional, "{header:?}");
        assert!(header.codec() == Ok(batch.codec) || header.record_count == 0, "{header:?} was {:?}", batch.codec);
    }
}
