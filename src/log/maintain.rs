//! What happens to a log besides appends and reads: retention, deletion, syncing, closing.

use std::sync::Arc;

use super::error::IoContext;
use super::partition_log::{Failure, State};
use super::segment::Segment;
use super::{DeletedFiles, Log, LogError, ReadError, SyncTicket, Synced, leader_epochs, names, partition_metadata};
use ottla_wire::types::{Offset, TimestampMs, Uuid};

/// Once this much was appended since the newest snapshot of producers, housekeeping takes one: what has to be
/// walked through after a crash stays small.
const SNAPSHOT_EVERY: u64 = 64 << 20;

impl Log {
    /// Moves the log start to `before` (DeleteRecords), the log end at most. Returns the new log start. The
    /// segments below are removed by the next housekeeping.
    pub fn delete_records(&mut self, before: Offset) -> Result<Offset, ReadError> {
        if before < self.start || before > self.end {
            return Err(ReadError::OutOfRange { asked: before, start: self.start, end: self.end });
        }
        self.writing(|log| log.move_start(before))?;
        Ok(self.start)
    }

    /// Drops everything; the next record gets `new_start`.
    pub fn truncate_fully(&mut self, new_start: Offset, now: TimestampMs) -> Result<DeletedFiles, LogError> {
        self.writing(|log| {
            let mut deleted = log.mark_deleted(log.segments.len())?;
            (log.start, log.end, log.durable) = (new_start, new_start, new_start);
            (log.first_dirty, log.first_dirty_synced) = (None, None);
            log.truncations += 1;
            log.begin_segment(now);
            for offset in std::mem::take(&mut log.snapshots) {
                deleted.files.extend(log.mark_file_deleted(&log.place.file(offset, names::SNAPSHOT))?);
            }
            log.producers = Default::default();
            log.epochs.clear();
            log.write_epochs()?;
            log.create_active()?;
            Ok(deleted)
        })
    }

    /// Forgets producers that have written nothing for `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now: TimestampMs) {
        self.producers.expire(now, self.config.producer_id_expiration_ms);
    }

    /// Retention by log start, size and time, in Kafka's order; closes files that nobody reads. The files returned are
    /// to be unlinked after `file.delete.delay.ms`.
    pub fn housekeep(&mut self, now: TimestampMs) -> Result<DeletedFiles, LogError> {
        self.segments.iter_mut().for_each(Segment::cool);
        let count = self.breached_segments(now)?;
        self.retrying(|log| {
            let deleted = log.delete_first(count, now)?;
            Ok(deleted)
        })
    }

    /// Writes the producers down once much was appended since that was last done: what follows the newest snapshot is
    /// walked through when a log is opened after a crash. Cheap, for often.
    pub fn keep_snapshot_recent(&mut self) -> Result<(), LogError> {
        if self.since_snapshot < SNAPSHOT_EVERY {
            return Ok(());
        }
        self.retrying(|log| {
            log.take_snapshot()?;
            log.drop_old_snapshots()
        })
    }

    /// How many of the first segments retention wants gone: Kafka's `deleteOldSegments`.
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
        Ok(now.saturating_sub(segment.largest_timestamp(&self.place)?) > self.config.retention_ms)
    }

    /// Removes the first `count` segments; if these are all, an empty one follows.
    fn delete_first(&mut self, count: usize, now: TimestampMs) -> Result<DeletedFiles, LogError> {
        if count == 0 {
            return Ok(DeletedFiles::none(&self.place.disk));
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

    /// Renames the files of the first `count` segments and forgets them: all, or none if that fails.
    fn mark_deleted(&mut self, count: usize) -> Result<DeletedFiles, LogError> {
        let mut deleted = DeletedFiles::none(&self.place.disk);
        for path in self.segments[..count].iter().flat_map(|segment| segment.paths(&self.place.folder)) {
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
        match self.place.disk.rename(path, &renamed) {
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
                // What the file says of older offsets is dropped when it is read.
                Err(error) if error.is_want_of_descriptors() => {}
                written => written?,
            }
        }
        Ok(())
    }

    /// Begins an empty segment at the log end, in a log that has none.
    fn begin_segment(&mut self, now: TimestampMs) {
        self.segments.push(Segment::new(self.end));
        self.first_timestamp = None;
        self.active_since = now;
        self.since_snapshot = 0;
    }

    /// Creates the active segment's file ahead of its first append: its name says where the log ends.
    pub(super) fn create_active(&mut self) -> Result<(), LogError> {
        let limit = u64::from(self.config.segment_bytes);
        if let Some(active) = self.segments.last_mut() {
            active.files_to_append(&self.place, limit, self.config.preallocate)?;
        }
        self.folder_changed = true;
        Ok(())
    }

    /// Keeps the newest snapshot and those that belong to a segment.
    fn drop_old_snapshots(&mut self) -> Result<(), LogError> {
        let newest = self.snapshots.last().copied();
        let is_kept = |log: &Log, offset: Offset| {
            Some(offset) == newest || log.segments.binary_search_by_key(&offset, Segment::base).is_ok()
        };
        let (kept, old): (Vec<_>, Vec<_>) = self.snapshots.iter().partition(|offset| is_kept(self, **offset));
        for offset in old {
            let path = self.place.file(offset, names::SNAPSHOT);
            self.place.disk.remove(&path).doing("removing", &path)?;
            self.folder_changed = true;
        }
        self.snapshots = kept;
        Ok(())
    }

    /// What has to be synced for everything appended so far to be durable.
    pub fn flush_target(&mut self) -> Result<SyncTicket, LogError> {
        let segments = self.segments.len();
        self.ticket(segments, self.end)
    }

    /// As [`Log::flush_target`], for sealed segments only: what Kafka syncs after a roll.
    pub fn flush_sealed(&mut self) -> Result<SyncTicket, LogError> {
        let sealed = self.segments.len() - 1;
        self.ticket(sealed, self.segments.last().map_or(self.end, Segment::base))
    }

    fn ticket(&mut self, segments: usize, end_offset: Offset) -> Result<SyncTicket, LogError> {
        if let Some(failure) = self.failure() {
            return Err(LogError::Latched(Arc::new(failure.clone())));
        }
        let disk = self.place.disk.clone();
        let mut ticket = SyncTicket {
            disk,
            end_offset,
            covered: Vec::new(),
            open: Vec::new(),
            closed: Vec::new(),
            folder: None,
            first_dirty: None,
        };
        if !self.segments.iter().any(Segment::exists) {
            // The folder of a log that never had records is made again from metadata: nothing to keep.
            return Ok(ticket);
        }
        for segment in self.segments[..segments].iter().filter(|segment| segment.exists() && !segment.is_synced()) {
            ticket.covered.push(segment.extent());
            let [log, indexes @ ..] = segment.paths(&self.place.folder);
            match segment.opened().map(|files| files.data.sync_handle()) {
                Some(file) => ticket.open.push(file),
                None => ticket.closed.push(log),
            }
            if !segment.is_active() {
                ticket.closed.extend(indexes);
            }
        }
        ticket.closed.append(&mut self.unsynced);
        ticket.closed.sort_unstable();
        ticket.closed.dedup();
        if std::mem::take(&mut self.folder_changed) {
            ticket.folder = Some(self.place.folder.clone());
            ticket.first_dirty = self.first_dirty;
        }
        Ok(ticket)
    }

    /// Moves the recovery point, or closes the log to writes when the sync failed. One that went well says nothing
    /// any more once another has failed: the two may have had the same pages to write.
    pub fn mark_synced(&mut self, outcome: Result<Synced, LogError>) {
        match outcome {
            Ok(_) if self.failure().is_some() => {}
            Ok(synced) => {
                self.durable = self.durable.max(synced.end_offset);
                self.first_dirty_synced = synced.first_dirty.or(self.first_dirty_synced).min(self.first_dirty);
                for extent in synced.covered {
                    if let Ok(index) = self.segments.binary_search_by_key(&extent.base, Segment::base) {
                        self.segments[index].mark_synced(extent);
                    }
                }
            }
            // Nothing was lost, and nothing is known to be synced.
            Err(error) if error.is_want_of_descriptors() => self.doubt_small_files(),
            Err(error) => self.state = State::Failed(Failure::of_sync(error)),
        }
    }

    /// The next sync takes along whatever small files there are.
    pub(super) fn doubt_small_files(&mut self) {
        let snapshots = self.snapshots.iter().map(|offset| self.place.file(*offset, names::SNAPSHOT));
        self.unsynced.extend(snapshots);
        let others = [leader_epochs::FILE_NAME, partition_metadata::FILE_NAME];
        self.unsynced.extend(others.map(|name| self.place.folder.join(name)));
        self.folder_changed = true;
    }

    /// Closes cleanly: trims files, writes indexes and the producer snapshot. The directory may be marked clean
    /// (`LogDir::mark_clean`) once the ticket is synced. Reading still works, appending doesn't.
    pub fn close(&mut self) -> Result<SyncTicket, LogError> {
        self.checked_to = -1;
        self.check_active()?;
        self.writing(|log| {
            if let Some(active) = log.segments.last_mut() {
                active.seal(&log.place)?;
            }
            if !log.snapshots.is_empty() || !log.producers.is_empty() {
                log.take_snapshot()?;
                log.drop_old_snapshots()?;
            }
            Ok(())
        })?;
        self.state = State::Closed;
        self.flush_target()
    }

    /// Finds out whether the file that is appended to is still all there, under its name; if not, the log is closed. It
    /// costs a few system calls where there were appends since this was last asked.
    pub fn check_active(&mut self) -> Result<(), LogError> {
        if self.checked_to == self.end {
            return Ok(());
        }
        let (end, folder) = (self.end, self.place.folder.clone());
        self.retrying(|log| {
            let Some(active) = log.segments.last().filter(|active| active.size() > 0) else { return Ok(()) };
            if let Some(files) = active.opened() {
                files.data.check().doing_to("looking at", || names::file(&folder, active.base(), names::LOG))?;
            }
            log.checked_to = end;
            Ok(())
        })
    }

    /// Renames the folder to `<topic>-<n>.<unique>-delete` and closes the log.
    pub fn delete(&mut self, unique: Uuid) -> Result<DeletedFiles, LogError> {
        let folder = self.place.folder.clone();
        let renamed = names::deleted_folder(&folder, unique);
        self.place.disk.rename(&folder, &renamed).doing("renaming", &folder)?;
        self.place.folder = renamed.clone();
        self.state = State::Closed;
        Ok(DeletedFiles::left_over(&self.place.disk, renamed))
    }
}
