//! Syncing, closing and deleting a log.

use std::sync::Arc;

use super::error::IoContext;
use super::log::{Failure, State};
use super::segment::Segment;
use super::{DeletedFiles, Log, LogError, SyncTicket, Synced, leader_epochs, names, partition_metadata};
use ottla_wire::types::{Offset, Uuid};

impl Log {
    /// Creates a ticket for all data appended so far.
    pub fn flush_target(&mut self) -> Result<SyncTicket, LogError> {
        let segments = self.segments.len();
        self.ticket(segments, self.end)
    }

    /// Like [`Log::flush_target`], but only for sealed segments, which Kafka syncs after a roll.
    pub fn flush_sealed(&mut self) -> Result<SyncTicket, LogError> {
        let sealed = self.segments.len() - 1;
        self.ticket(sealed, self.segments.last().map_or(self.end, Segment::base))
    }

    fn ticket(&mut self, segments: usize, end_offset: Offset) -> Result<SyncTicket, LogError> {
        if let Some(failure) = self.failure() {
            return Err(LogError::Latched(Arc::new(failure.clone())));
        }
        let disk = self.folder.disk.clone();
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
            // A log that never had records needs no sync: its folder is recreated from the metadata.
            return Ok(ticket);
        }
        for segment in self.segments[..segments].iter().filter(|segment| segment.exists() && !segment.is_synced()) {
            ticket.covered.push(segment.extent());
            let [log, indexes @ ..] = segment.paths(&self.folder.path);
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
            ticket.folder = Some(self.folder.path.clone());
            ticket.first_dirty = self.first_dirty;
        }
        Ok(ticket)
    }

    /// Advances the recovery point after a successful sync; closes the log to writes after a failed one. After a
    /// failure, later successes are ignored: both syncs may have covered the same pages.
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
            // No data is lost, but nothing counts as synced.
            Err(error) if error.is_fd_exhaustion() => self.mark_small_files_unsynced(),
            Err(error) => self.state = State::Failed(Failure::from_sync(error)),
        }
    }

    /// Adds all small files to the next sync.
    pub(super) fn mark_small_files_unsynced(&mut self) {
        let snapshots = self.snapshots.iter().map(|offset| self.folder.file(*offset, names::SNAPSHOT));
        self.unsynced.extend(snapshots);
        let others = [leader_epochs::FILE_NAME, partition_metadata::FILE_NAME];
        self.unsynced.extend(others.map(|name| self.folder.path.join(name)));
        self.folder_changed = true;
    }

    /// Closes the log cleanly: trims files, writes the indexes and the producer snapshot. Once the ticket is synced,
    /// the directory may be marked clean (`LogDir::mark_clean`). A closed log can still be read.
    pub fn close(&mut self) -> Result<SyncTicket, LogError> {
        self.checked_to = -1;
        self.check_active()?;
        self.writing(|log| {
            if let Some(active) = log.segments.last_mut() {
                active.seal(&log.folder)?;
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

    /// Checks that the active segment's file still has its name and full length; if not, closes the log. Costs a few
    /// system calls if there were appends since the last check.
    pub fn check_active(&mut self) -> Result<(), LogError> {
        if self.checked_to == self.end {
            return Ok(());
        }
        let (end, folder) = (self.end, self.folder.path.clone());
        self.retrying(|log| {
            let Some(active) = log.segments.last().filter(|active| active.size() > 0) else { return Ok(()) };
            if let Some(files) = active.opened() {
                files
                    .data
                    .check()
                    .doing_with("reading the size of", || names::file(&folder, active.base(), names::LOG))?;
            }
            log.checked_to = end;
            Ok(())
        })
    }

    /// Renames the folder to `<topic>-<n>.<unique>-delete` and closes the log.
    pub fn delete(&mut self, unique: Uuid) -> Result<DeletedFiles, LogError> {
        let folder = self.folder.path.clone();
        let renamed = names::deleted_folder(&folder, unique);
        self.folder.disk.rename(&folder, &renamed).doing("renaming", &folder)?;
        self.folder.path = renamed.clone();
        self.state = State::Closed;
        Ok(DeletedFiles::left_over(&self.folder.disk, renamed))
    }
}
