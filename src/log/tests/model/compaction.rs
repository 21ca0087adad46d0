//! The records that compaction must keep and must remove: an independent implementation of Kafka's rules.
//!
//! The check reads the whole log and compares it with what was appended: each missing record must be one that compaction
//! may remove, and after a completed pass no record may remain that it must remove.

use super::oracle::{Batch, Oracle};
use super::*;
use ottla_wire::record::Batch as Stored;

/// A compaction pass, completed or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) at: TimestampMs,
    /// The pass compacted only batches below this offset.
    pub(super) below: Offset,
    /// If the pass completed and is durable: the offset up to which the log is compacted.
    pub(super) done: Option<Offset>,
}

/// The passes over a log, from which the rules follow.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) passes: Vec<Pass>,
    pub(super) delete_retention_ms: i64,
}

impl Rules {
    /// Returns the offset from which on no pass has compacted.
    pub(super) fn untouched_from(&self) -> Offset {
        self.passes.iter().map(|pass| pass.below).max().unwrap_or(0)
    }

    /// Returns whether a pass may have removed a tombstone or marker at `offset`: an earlier pass set its delete horizon.
    fn may_have_expired(&self, offset: Offset) -> bool {
        let covering = self.passes.iter().filter(|pass| offset < pass.below);
        let Some(first) = covering.map(|pass| pass.at).min() else { return false };
        self.passes.iter().any(|pass| offset < pass.below && pass.at >= first + self.delete_retention_ms)
    }

    /// Returns whether the last pass must have removed a tombstone at `offset`.
    fn must_have_expired(&self, offset: Offset) -> bool {
        let Some((last, before)) = self.passes.split_last() else { return false };
        let done = |pass: &Pass| pass.done.is_some_and(|done| offset < done);
        done(last) && before.iter().any(|pass| done(pass) && last.at > pass.at + self.delete_retention_ms)
    }

    /// Compares the log with what was appended, then sets the oracle to what the log has.
    pub(super) fn check(&self, oracle: &mut Oracle, log: &Log, completed: bool) {
        let first = log.segments[0].base();
        let found = stored(log, oracle.start.max(first));
        let mut after = oracle.clone();
        for batch in &mut after.batches {
            batch.present = false;
            batch.records.iter_mut().for_each(|record| record.present = false);
        }
        for stored in &found {
            mark_present(&mut after, stored);
        }
        self.check_kept(oracle, &after, first);
        if completed {
            self.check_removed(&after);
        }
        // Records below the log start don't matter: they can't be read.
        *oracle = after;
    }

    fn check_kept(&self, before: &Oracle, after: &Oracle, first: Offset) {
        let (untouched, from) = (self.untouched_from(), after.start.max(first));
        let (superseded, aborted) = (after.superseded(untouched), after.aborted());
        for (batch, was) in after.batches.iter().zip(&before.batches).filter(|(batch, _)| batch.next_offset() > from) {
            let context =
                || format!("{batch:?} of a log from {from}, untouched from {untouched}, after {:?}", self.passes);
            if batch.base >= untouched {
                assert!(batch.present && batch.records.iter().all(|record| record.present), "removed: {}", context());
            }
            if batch.marker.is_some() && !self.may_have_expired(batch.base) {
                assert!(batch.present, "a marker was removed: {}", context());
            }
            let is_aborted = batch.transactional && aborted.iter().any(|txn| txn.has(batch));
            for ((offset, record), was) in
                batch.records_by_offset().zip(&was.records).filter(|((_, record), _)| !record.present)
            {
                let expired = record.value.is_none() && self.may_have_expired(offset);
                let allowed = record.key.is_none() || superseded.contains(&offset) || is_aborted || expired;
                assert!(allowed || offset < from, "{offset} was removed ({was:?}): {}", context());
            }
        }
        for producer_id in 0..oracle::PRODUCERS {
            self.check_last_of_producer_kept(after, producer_id, from);
        }
    }

    /// Checks that a producer's state can be recovered: from its last batch, or its last marker if it has no batch in its
    /// epoch.
    fn check_last_of_producer_kept(&self, after: &Oracle, producer_id: ProducerId, from: Offset) {
        let (epoch, window) = after.batches_of_current_epoch(producer_id);
        let markers = after.batches.iter().filter(|batch| batch.producer_id == producer_id && batch.epoch == epoch);
        let kept = match window.last() {
            Some(last) => last.present || last.base < from,
            None => markers.clone().any(|batch| batch.present || batch.base < from) || markers.count() == 0,
        };
        assert!(kept, "the last batch of producer {producer_id} was removed: {window:?}");
    }

    fn check_removed(&self, after: &Oracle) {
        let Some(compact_below) = self.passes.last().and_then(|pass| pass.done) else { return };
        let (superseded, aborted) = (after.superseded(compact_below), after.aborted());
        for batch in after.batches.iter().filter(|batch| batch.base < compact_below && batch.marker.is_none()) {
            let is_aborted = aborted.iter().any(|txn| txn.has(batch) && txn.marker < compact_below);
            // Records below the log start don't matter: they can't be read.
            let checked = after.start..compact_below;
            for (offset, record) in
                batch.records_by_offset().filter(|(at, record)| record.present && checked.contains(at))
            {
                let context = format!("{offset} ({record:?}) is left below {compact_below} after {:?}", self.passes);
                assert!(!superseded.contains(&offset), "superseded: {context}");
                assert!(record.key.is_some(), "without a key: {context}");
                assert!(!(batch.transactional && is_aborted), "aborted: {context}");
                assert!(record.value.is_some() || !self.must_have_expired(offset), "a tombstone: {context}");
            }
        }
    }
}

/// Reads all batches from the one that contains `from` on.
pub(super) fn stored(log: &Log, from: Offset) -> Vec<Stored> {
    let mut found = Vec::new();
    let mut next = from;
    while next < log.end_offset() {
        let slice = log.read(next, 3000, true, Offset::MAX).expect("reads");
        if slice.bytes.is_empty() {
            // Compaction has removed all records up to the end.
            assert_eq!(slice.next_offset, next);
            break;
        }
        assert!(slice.next_offset > next, "stuck at {next}");
        found.extend(batches(&slice.bytes).map(|batch| batch.expect("a whole batch")));
        next = slice.next_offset;
    }
    found
}

/// Finds a stored batch in the oracle, and marks its records as present.
fn mark_present(oracle: &mut Oracle, stored: &Stored) {
    stored.check_crc().expect("a valid CRC");
    let header = stored.header();
    let Ok(at) = oracle.batches.binary_search_by_key(&header.base_offset, |batch| batch.base) else {
        panic!("{header:?} was never appended");
    };
    let batch = &mut oracle.batches[at];
    assert!(!batch.present, "{header:?} is stored twice");
    batch.present = true;
    check_header(batch, header);
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

/// Checks that offsets, producer and codec are as appended.
fn check_header(batch: &Batch, header: &ottla_wire::record::BatchHeader) {
    assert_eq!(header.next_offset(), batch.next_offset(), "{header:?}");
    assert_eq!((header.producer_id, header.producer_epoch), (batch.producer_id, batch.epoch), "{header:?}");
    assert_eq!(header.is_control(), batch.marker.is_some(), "{header:?}");
    if batch.marker.is_none() {
        assert_eq!(header.base_sequence, batch.sequence, "{header:?}");
        assert_eq!(header.is_transactional(), batch.transactional, "{header:?}");
        assert!(header.codec() == Ok(batch.codec) || header.record_count == 0, "{header:?} was {:?}", batch.codec);
    }
}
