//! Retention: deleting old segments and advancing the log start offset.

use super::error::IoContext;
use super::segment::Segment;
use super::{DeletedFiles, Log, LogError, ReadError, names};
use ottla_wire::types::{Offset, TimestampMs};

/// Bytes appended between two producer snapshots. Recovery after a crash replays the data after the newest snapshot.
const SNAPSHOT_EVERY: u64 = 64 << 20;

impl Log {
    /// Advances the log start offset to `before` (DeleteRecords), the log end at most. Returns the new log start offset.
    /// The next housekeeping deletes the segments below.
    pub fn delete_records(&mut self, before: Offset) -> Result<Offset, ReadError> {
        if before < self.start || before > self.end {
            return Err(ReadError::OutOfRange { asked: before, start: self.start, end: self.end });
        }
        self.writing(|log| log.move_start(before))?;
        Ok(self.start)
    }

    /// Deletes all records; the next record gets the offset `new_start`.
    pub fn truncate_fully(&mut self, new_start: Offset, now: TimestampMs) -> Result<DeletedFiles, LogError> {
        self.writing(|log| {
            let mut deleted = log.mark_deleted(log.segments.len())?;
            (log.start, log.end, log.durable) = (new_start, new_start, new_start);
            (log.first_dirty, log.first_dirty_synced) = (None, None);
            log.truncations += 1;
            log.begin_segment(now);
            for offset in std::mem::take(&mut log.snapshots) {
                deleted.files.extend(log.mark_file_deleted(&log.folder.file(offset, names::SNAPSHOT))?);
            }
            log.producers = Default::default();
            log.epochs.clear();
            log.write_epochs()?;
            log.create_active()?;
            Ok(deleted)
        })
    }

    /// Removes producers that have written nothing for `producer.id.expiration.ms`, and verifications that are as old.
    pub fn expire_producers(&mut self, now: TimestampMs) {
        let expiration_ms = self.config.producer_id_expiration_ms;
        self.producers.expire(now, expiration_ms);
        self.verifications.expire(now, expiration_ms);
    }

    /// Applies retention by log start, size and time, in Kafka's order, and closes idle files. The caller unlinks the
    /// returned files after `file.delete.delay.ms`.
    pub fn housekeep(&mut self, now: TimestampMs) -> Result<DeletedFiles, LogError> {
        self.segments.iter_mut().for_each(Segment::close_idle_files);
        let count = self.breached_segments(now)?;
        self.retrying(|log| {
            let deleted = log.delete_first(count, now)?;
            Ok(deleted)
        })
    }

    /// Writes a producer snapshot if more than `SNAPSHOT_EVERY` was appended since the last one. Cheap, so it can be
    /// called often.
    pub fn keep_snapshot_recent(&mut self) -> Result<(), LogError> {
        if self.since_snapshot < SNAPSHOT_EVERY {
            return Ok(());
        }
        self.retrying(|log| {
            log.take_snapshot()?;
            log.drop_old_snapshots()
        })
    }

    /// The number of oldest segments that retention deletes: Kafka's `deleteOldSegments`.
    fn breached_segments(&self, now: TimestampMs) -> Result<usize, LogError> {
        let mut excess = match self.config.retention_bytes {
            limit if limit >= 0 && self.config.cleanup_delete => self.size.saturating_sub(limit as u64),
            _ => 0,
        };
        for (index, segment) in self.segments.iter().enumerate() {
            let last = index + 1 == self.segments.len();
            if last && segment.size() == 0 {
                return Ok(index);
            }
            let below_start = !last && self.end_of_segment(index) <= self.start;
            let too_large = excess > 0 && excess >= segment.size();
            if !below_start && !too_large && !self.is_too_old(segment, now)? {
                return Ok(index);
            }
            excess = excess.saturating_sub(segment.size());
        }
        Ok(self.segments.len())
    }

    fn is_too_old(&self, segment: &Segment, now: TimestampMs) -> Result<bool, LogError> {
        if !self.config.cleanup_delete || self.config.retention_ms < 0 {
            return Ok(false);
        }
        Ok(now.saturating_sub(segment.largest_timestamp(&self.folder)?) > self.config.retention_ms)
    }

    /// Deletes the first `count` segments; if these are all, creates an empty one first.
    fn delete_first(&mut self, count: usize, now: TimestampMs) -> Result<DeletedFiles, LogError> {
        if count == 0 {
            return Ok(DeletedFiles::none(&self.folder.disk));
        }
        if count == self.segments.len() {
            self.roll(now)?;
            self.create_active()?;
        }
        let deleted = self.mark_deleted(count)?;
        let start = self.segments.first().map_or(self.end, Segment::base);
        self.move_start(start.max(self.start))?;
        Ok(deleted)
    }

    /// Renames the files of the first `count` segments to `.deleted`, then removes these segments from the log. If a rename
    /// fails, none is removed.
    fn mark_deleted(&mut self, count: usize) -> Result<DeletedFiles, LogError> {
        let mut deleted = DeletedFiles::none(&self.folder.disk);
        for path in self.segments[..count].iter().flat_map(|segment| segment.paths(&self.folder.path)) {
            deleted.files.extend(self.mark_file_deleted(&path)?);
        }
        for segment in self.segments.drain(..count) {
            self.size -= segment.size();
            self.snapshots.retain(|offset| *offset != segment.base());
        }
        self.folder_changed = true;
        Ok(deleted)
    }

    pub(super) fn mark_file_deleted(&self, path: &std::path::Path) -> Result<Option<std::path::PathBuf>, LogError> {
        let renamed = names::with_suffix(path, names::DELETED);
        match self.folder.disk.rename(path, &renamed) {
            Ok(()) => Ok(Some(renamed)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::io("renaming", path, error)),
        }
    }

    fn move_start(&mut self, start: Offset) -> Result<(), LogError> {
        self.start = start;
        self.durable = self.durable.max(start);
        if self.epochs.truncate_start(start) {
            match self.write_epochs() {
                // Reading the file drops epochs below the log start anyway.
                Err(error) if error.is_fd_exhaustion() => {}
                written => written?,
            }
        }
        Ok(())
    }

    /// Adds an empty segment at the log end, to a log without segments.
    fn begin_segment(&mut self, now: TimestampMs) {
        self.segments.push(Segment::new(self.end));
        self.first_timestamp = None;
        self.active_since = now;
        self.since_snapshot = 0;
    }

    /// Creates the active segment's file before its first append, so that its name keeps the log end offset.
    pub(super) fn create_active(&mut self) -> Result<(), LogError> {
        let limit = u64::from(self.config.segment_bytes);
        if let Some(active) = self.segments.last_mut() {
            active.files_to_append(&self.folder, limit, self.config.preallocate)?;
        }
        self.folder_changed = true;
        Ok(())
    }

    /// Removes all producer snapshots except the newest and those at a segment's base offset.
    pub(super) fn drop_old_snapshots(&mut self) -> Result<(), LogError> {
        let newest = self.snapshots.last().copied();
        let is_kept = |log: &Log, offset: Offset| {
            Some(offset) == newest || log.segments.binary_search_by_key(&offset, Segment::base).is_ok()
        };
        let (kept, old): (Vec<_>, Vec<_>) = self.snapshots.iter().partition(|offset| is_kept(self, **offset));
        for offset in old {
            let path = self.folder.file(offset, names::SNAPSHOT);
            self.folder.disk.remove(&path).doing("removing", &path)?;
            self.folder_changed = true;
        }
        self.snapshots = kept;
        Ok(())
    }
}
