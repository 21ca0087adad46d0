//! Planning a compaction: Kafka's `LogCleanerManager.cleanableOffsets` and `LogToClean`.

use std::sync::Arc;

use super::{AbortedIn, Cleanable, Compaction, CompactionStats, Source};
use crate::log::State;
use crate::segment::Segment;
use crate::{Log, LogError};
use ottla_wire::types::{Offset, TimestampMs};

impl Log {
    /// Returns the cleanable part of the log, whether or not [`Cleanable::is_due`]; `None` if the topic isn't compacted,
    /// or its log is empty or not open for writes. Cheap, unless `min.compaction.lag.ms` or `max.compaction.lag.ms` is
    /// set: then the first call reads a little of each segment.
    ///
    /// The range ends before the last stable offset, the active segment, the first unsynced segment, and the first segment
    /// with a record younger than `min.compaction.lag.ms`. A checkpoint below the log start is raised to it.
    pub fn cleanable(&mut self, now: TimestampMs) -> Result<Option<Cleanable>, LogError> {
        if !self.config.cleanup_compact || !matches!(self.state, State::Open) {
            return Ok(None);
        }
        let checkpoint = self.first_dirty.unwrap_or(self.start);
        let first_dirty = checkpoint.max(self.start);
        // With "compact,delete" it is normal that the log start passes the checkpoint, so it is not reported.
        let raised_from = (checkpoint < first_dirty && !self.config.cleanup_delete).then_some(checkpoint);
        self.first_dirty = self.first_dirty.map(|_| first_dirty);
        let dirty_from = self.segment_of(first_dirty);
        let uncleanable = self.uncleanable_from(dirty_from, now)?.max(first_dirty);
        let dirty_to = self.segment_of(uncleanable);
        let bytes = |segments: &[Segment]| segments.iter().map(Segment::size).sum::<u64>();
        let clean_segments = self.segments.partition_point(|segment| segment.base() < first_dirty);
        let cleanable = Cleanable {
            first_dirty,
            first_uncleanable: self.segments[dirty_to].base(),
            clean_bytes: bytes(&self.segments[..clean_segments]),
            dirty_bytes: bytes(&self.segments[dirty_from.min(dirty_to)..dirty_to]),
            min_dirty_ratio: self.config.min_cleanable_dirty_ratio,
            overdue_ms: self.overdue_ms(dirty_from, now)?,
            raised_from,
        };
        Ok((cleanable.clean_bytes + cleanable.dirty_bytes > 0).then_some(cleanable))
    }

    /// Returns the first offset that may not be compacted; `dirty_from` is the index of the first dirty segment.
    fn uncleanable_from(&self, dirty_from: usize, now: TimestampMs) -> Result<Offset, LogError> {
        let sealed = &self.segments[..self.segments.len() - 1];
        // If an unsynced record is lost, the record that it replaces must still exist.
        let unsynced = sealed.iter().find(|segment| !segment.is_synced()).map(Segment::base);
        let active = self.segments.last().map(Segment::base);
        let mut lagging = None;
        let lag = self.config.min_compaction_lag_ms;
        if lag > 0 {
            for segment in sealed.iter().skip(dirty_from) {
                if segment.largest_timestamp(&self.folder)? > now.saturating_sub(lag) {
                    lagging = Some(segment.base());
                    break;
                }
            }
        }
        let limits = [unsynced, active, lagging].into_iter().flatten();
        Ok(limits.fold(self.last_stable_offset(), Offset::min))
    }

    /// Returns by how much the oldest dirty segment exceeds `max.compaction.lag.ms`.
    fn overdue_ms(&self, dirty_from: usize, now: TimestampMs) -> Result<i64, LogError> {
        let due_before = now.saturating_sub(self.config.max_compaction_lag_ms.max(0));
        if due_before <= 0 {
            return Ok(0);
        }
        let mut overdue = 0;
        let sealed = &self.segments[..self.segments.len() - 1];
        for segment in sealed.iter().skip(dirty_from) {
            let first = segment.first_timestamp(&self.folder)?;
            if first > 0 {
                overdue = overdue.max(due_before.saturating_sub(first));
            }
        }
        Ok(overdue)
    }

    /// Begins a compaction of the cleanable part; `None` if it has no dirty bytes. The caller ensures that a partition has
    /// at most one compaction at a time.
    pub fn begin_compaction(&mut self, now: TimestampMs) -> Result<Option<Compaction>, LogError> {
        let Some(cleanable) = self.cleanable(now)?.filter(|cleanable| cleanable.dirty_bytes > 0) else {
            return Ok(None);
        };
        let Cleanable { first_dirty, first_uncleanable, .. } = cleanable;
        if self.segments.last().is_some_and(|active| !active.exists()) {
            // The file's name keeps the log's end offset, even if no record below it remains.
            self.writing(|log| log.create_active())?;
        }
        let count = self.segments.partition_point(|segment| segment.base() < first_uncleanable);
        let source = |(index, segment): (usize, &Segment)| Source {
            base: segment.base(),
            size: segment.size(),
            end: self.end_of_segment(index),
        };
        // All segments are included: a transaction whose marker is in a later segment may have batches in these.
        let aborted = self.segments.iter().map(|segment| match segment.known_aborted() {
            Some(aborted) => AbortedIn::Memory(aborted.to_vec()),
            None => AbortedIn::File(segment.base()),
        });
        let is_known_empty = |aborted: &AbortedIn| matches!(aborted, AbortedIn::Memory(list) if list.is_empty());
        Ok(Some(Compaction {
            folder: self.folder.clone(),
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
