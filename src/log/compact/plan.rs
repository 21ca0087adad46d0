//! What there is to compact in a log, and taking it down: Kafka's `LogCleanerManager.cleanableOffsets` and `LogToClean`.

use std::sync::Arc;

use super::{AbortedIn, Cleanable, Compaction, CompactionStats, Source};
use crate::log::State;
use crate::segment::Segment;
use crate::{Log, LogError};
use ottla_wire::types::{Offset, TimestampMs};

impl Log {
    /// What there is to compact, [`Cleanable::is_due`] or not; `None` if the topic isn't compacted, its log is empty,
    /// or it takes no writes. Cheap, unless `min.compaction.lag.ms` or `max.compaction.lag.ms` are set: then the first
    /// look at each segment reads a little of it.
    ///
    /// Never beyond the last stable offset, the active segment, what was synced, or a segment with a record younger
    /// than `min.compaction.lag.ms`. A checkpoint that lies before the log start counts as that.
    pub fn cleanable(&mut self, now: TimestampMs) -> Result<Option<Cleanable>, LogError> {
        if !self.config.cleanup_compact || !matches!(self.state, State::Open) {
            return Ok(None);
        }
        let checkpoint = self.first_dirty.unwrap_or(self.start);
        let first_dirty = checkpoint.max(self.start);
        // With "compact,delete" a log start that overtakes compaction is nothing to be told of.
        let raised_from = (checkpoint < first_dirty && !self.config.cleanup_delete).then_some(checkpoint);
        self.first_dirty = self.first_dirty.map(|_| first_dirty);
        let dirty_from = self.segment_of(first_dirty);
        let uncleanable = self.uncleanable_from(dirty_from, now)?.max(first_dirty);
        let dirty_to = self.segment_of(uncleanable);
        let bytes = |segments: &[Segment]| segments.iter().map(Segment::size).sum::<u64>();
        let begun_before = self.segments.partition_point(|segment| segment.base() < first_dirty);
        let cleanable = Cleanable {
            first_dirty,
            first_uncleanable: self.segments[dirty_to].base(),
            clean_bytes: bytes(&self.segments[..begun_before]),
            dirty_bytes: bytes(&self.segments[dirty_from.min(dirty_to)..dirty_to]),
            min_dirty_ratio: self.config.min_cleanable_dirty_ratio,
            overdue_ms: self.overdue_ms(dirty_from, now)?,
            raised_from,
        };
        Ok((cleanable.clean_bytes + cleanable.dirty_bytes > 0).then_some(cleanable))
    }

    /// From where on nothing may be compacted, `dirty_from` being the first dirty segment.
    fn uncleanable_from(&self, dirty_from: usize, now: TimestampMs) -> Result<Offset, LogError> {
        let sealed = &self.segments[..self.segments.len() - 1];
        // Should an unsynced record be lost, the one it replaces must still be there.
        let unsynced = sealed.iter().find(|segment| !segment.is_synced()).map(Segment::base);
        let active = self.segments.last().map(Segment::base);
        let mut lagging = None;
        let lag = self.config.min_compaction_lag_ms;
        if lag > 0 {
            for segment in sealed.iter().skip(dirty_from) {
                if segment.largest_timestamp(&self.place)? > now.saturating_sub(lag) {
                    lagging = Some(segment.base());
                    break;
                }
            }
        }
        let limits = [unsynced, active, lagging].into_iter().flatten();
        Ok(limits.fold(self.last_stable_offset(), Offset::min))
    }

    /// For how long the oldest dirty segment has been due by `max.compaction.lag.ms`.
    fn overdue_ms(&self, dirty_from: usize, now: TimestampMs) -> Result<i64, LogError> {
        let due_before = now.saturating_sub(self.config.max_compaction_lag_ms.max(0));
        if due_before <= 0 {
            return Ok(0);
        }
        let mut overdue = 0;
        let sealed = &self.segments[..self.segments.len() - 1];
        for segment in sealed.iter().skip(dirty_from) {
            let first = segment.first_timestamp(&self.place)?;
            if first > 0 {
                overdue = overdue.max(due_before.saturating_sub(first));
            }
        }
        Ok(overdue)
    }

    /// Begins to compact all that is cleanable; `None` if nothing is. At most one compaction of a partition may be
    /// under way at a time; that is the caller's to see to.
    pub fn begin_compaction(&mut self, now: TimestampMs) -> Result<Option<Compaction>, LogError> {
        let Some(cleanable) = self.cleanable(now)?.filter(|cleanable| cleanable.dirty_bytes > 0) else {
            return Ok(None);
        };
        let Cleanable { first_dirty, first_uncleanable, .. } = cleanable;
        if self.segments.last().is_some_and(|active| !active.exists()) {
            // Its name says where the log ends, whatever becomes of the records before.
            self.writing(|log| log.create_active())?;
        }
        let count = self.segments.partition_point(|segment| segment.base() < first_uncleanable);
        let source = |(index, segment): (usize, &Segment)| Source {
            base: segment.base(),
            size: segment.size(),
            end: self.end_of_segment(index),
        };
        // A transaction that was aborted in a later segment may have batches in these.
        let aborted = self.segments.iter().map(|segment| match segment.known_aborted() {
            Some(aborted) => AbortedIn::Memory(aborted.to_vec()),
            None => AbortedIn::File(segment.base()),
        });
        let is_known_empty = |aborted: &AbortedIn| matches!(aborted, AbortedIn::Memory(list) if list.is_empty());
        Ok(Some(Compaction {
            place: self.place.clone(),
            config: Arc::clone(&self.config),
            now,
            truncations: self.truncations,
            first_dirty,
            first_uncleanable,
            sources: self.segments[..count].iter().enumerate().map(source).collect(),
            aborted: aborted.filter(|aborted| !is_known_empty(aborted)).collect(),
            producers: self.producers.last_records(),
            begun: None,
            stats: CompactionStats { from: first_dirty, to: first_dirty, ..CompactionStats::default() },
        }))
    }
}
