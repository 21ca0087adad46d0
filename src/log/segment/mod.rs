//! One segment of a log with its indexes, opened on first use.

mod files;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::IoContext;
use super::file::Disk;
use super::time_index::{TimeEntry, TimeIndex};
use super::{AbortedTxn, LogError, names, txn_index};
pub(crate) use files::{Files, Located, Purpose};
use ottla_wire::types::{NO_TIMESTAMP, Offset, TimestampMs};

/// The folder of a partition, and the disk that it is on.
#[derive(Clone, Debug)]
pub(crate) struct PartitionFolder {
    pub(crate) disk: Disk,
    pub(crate) path: PathBuf,
}

impl PartitionFolder {
    pub(crate) fn file(&self, offset: Offset, kind: &str) -> PathBuf {
        names::file(&self.path, offset, kind)
    }
}

/// A segment. It is small until it is opened, so that a log may have many thousands.
#[derive(Debug)]
pub(crate) struct Segment {
    base: Offset,
    /// Bytes of whole batches.
    size: u64,
    /// Whether it is the active segment, which takes appends.
    active: bool,
    /// Whether there is a `.log` file; an empty log has none yet.
    exists: bool,
    /// The part that survives a power loss.
    synced: SyncState,
    files: OnceLock<Box<Files>>,
    newest: OnceLock<TimeEntry>,
    /// The largest timestamp of the first batch.
    first: OnceLock<TimestampMs>,
    aborted: OnceLock<Vec<AbortedTxn>>,
    /// Set by reads, cleared by housekeeping, which closes the files of unused segments.
    touched: AtomicBool,
}

/// The synced part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncState {
    Unknown,
    /// The records. Enough for the active segment, whose indexes are rebuilt after a power loss.
    Records,
    /// Records and indexes.
    All,
}

/// The size and state of a segment at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) base: Offset,
    pub(crate) size: u64,
    pub(crate) sealed: bool,
}

/// A segment as found on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundSegment {
    pub(crate) base: Offset,
    pub(crate) size: u64,
    pub(crate) synced: bool,
}

impl Segment {
    /// Creates an empty active segment without a file.
    pub(crate) fn new(base: Offset) -> Segment {
        let mut segment = Segment::found(FoundSegment { base, size: 0, synced: false }, true);
        segment.exists = false;
        segment.without_aborted()
    }

    /// Creates a segment whose `.log` file exists.
    pub(crate) fn found(found: FoundSegment, active: bool) -> Segment {
        Segment {
            base: found.base,
            size: found.size,
            active,
            exists: true,
            synced: if found.synced { SyncState::All } else { SyncState::Unknown },
            files: OnceLock::new(),
            newest: OnceLock::new(),
            first: OnceLock::new(),
            aborted: OnceLock::new(),
            touched: AtomicBool::new(false),
        }
    }

    /// Marks the segment as one without a transaction index.
    pub(crate) fn without_aborted(mut self) -> Segment {
        self.aborted = OnceLock::from(Vec::new());
        self
    }

    /// Creates a sealed segment that compaction has written and synced.
    pub(crate) fn cleaned(base: Offset, size: u64, newest: TimeEntry, aborted: Vec<AbortedTxn>) -> Segment {
        let mut segment = Segment::found(FoundSegment { base, size, synced: true }, false);
        segment.newest = OnceLock::from(newest);
        segment.aborted = OnceLock::from(aborted);
        segment
    }

    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// Bytes of whole batches.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn exists(&self) -> bool {
        self.exists
    }

    /// Whether nothing is left to sync.
    pub(crate) fn is_synced(&self) -> bool {
        self.synced == SyncState::All || self.active && self.synced == SyncState::Records
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// The current size and state.
    pub(crate) fn extent(&self) -> Extent {
        Extent { base: self.base, size: self.size, sealed: !self.active }
    }

    /// Marks the segment as synced, if it hasn't changed since `extent` was taken.
    pub(crate) fn mark_synced(&mut self, extent: Extent) {
        if extent != self.extent() {
            return;
        }
        if self.active {
            self.synced = SyncState::Records;
            return;
        }
        self.synced = SyncState::All;
        // Close the files: most sealed segments are never read again, and a read reopens them.
        self.files = OnceLock::new();
    }

    /// The files, if they are open.
    pub(crate) fn opened(&self) -> Option<&Files> {
        self.files.get().map(|files| &**files)
    }

    /// The files; opens them if needed.
    pub(crate) fn files(&self, folder: &PartitionFolder) -> Result<&Files, LogError> {
        self.touched.store(true, Ordering::Relaxed);
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let files = Files::open(folder, self.base, self.size, None)?;
        Ok(self.files.get_or_init(|| Box::new(files)))
    }

    /// The files, opened for appending; creates them if they don't exist. With `reserve`, preallocates `limit` bytes.
    pub(crate) fn files_to_append(
        &mut self,
        folder: &PartitionFolder,
        limit: u64,
        reserve: bool,
    ) -> Result<&mut Files, LogError> {
        self.touched.store(true, Ordering::Relaxed);
        let writable = self.files.get().is_some_and(|files| files.data.is_writable());
        if !writable {
            let mut files = Files::open(folder, self.base, self.size, Some(limit))?;
            if reserve {
                files.data.reserve();
            }
            self.files = OnceLock::from(Box::new(files));
            self.exists = true;
        }
        let path = || folder.file(self.base, names::LOG);
        self.files.get_mut().map(|files| &mut **files).ok_or_else(|| LogError::corrupt(&path(), "not open"))
    }

    /// Updates the state after an append: `size` is the new size, `newest` the new largest timestamp.
    pub(crate) fn appended(&mut self, size: u64, newest: TimeEntry) {
        self.size = size;
        self.synced = SyncState::Unknown;
        self.newest = OnceLock::from(newest);
    }

    /// Seals the segment: adds the final time index entry and writes the indexes.
    pub(crate) fn seal(&mut self, folder: &PartitionFolder) -> Result<(), LogError> {
        // Closed before and unchanged since: its indexes are complete.
        let untouched = self.synced == SyncState::All && self.files.get().is_none_or(|files| !files.data.is_writable());
        if untouched || !self.exists {
            self.active = false;
            return Ok(());
        }
        self.files(folder)?;
        let newest = self.newest(folder)?;
        self.synced = SyncState::Unknown;
        if let Some(files) = self.files.get_mut() {
            files.data.free_reserved().doing_with("truncating", || folder.file(self.base, names::LOG))?;
            files.times.advance(newest);
            files.flush_indexes(folder)?;
        }
        self.active = false;
        Ok(())
    }

    /// Closes the files if they were not used since the last call. An active or unsynced segment keeps its in-memory state.
    pub(crate) fn close_idle_files(&mut self) {
        if self.touched.swap(false, Ordering::Relaxed) {
            return;
        }
        if !self.active && self.is_synced() {
            self.files = OnceLock::new();
        } else if let Some(files) = self.files.get() {
            files.release();
        }
    }

    /// The largest timestamp of the segment, and the last offset of the batch that has it.
    pub(crate) fn newest(&self, folder: &PartitionFolder) -> Result<TimeEntry, LogError> {
        if let Some(newest) = self.newest.get() {
            return Ok(*newest);
        }
        if self.size == 0 {
            return Ok(TimeEntry::none(self.base));
        }
        let newest = match self.final_time_entry(folder)? {
            Some(newest) => newest,
            None => self.files(folder)?.find_newest(folder, self.base)?,
        };
        Ok(*self.newest.get_or_init(|| newest))
    }

    /// The last entry of the time index, if the segment was sealed or closed. Avoids opening all segments of a large log.
    fn final_time_entry(&self, folder: &PartitionFolder) -> Result<Option<TimeEntry>, LogError> {
        if self.active && self.synced != SyncState::All || self.files.get().is_some() {
            return Ok(None);
        }
        let path = folder.file(self.base, names::TIME_INDEX);
        let index = TimeIndex::open(&folder.disk, path.clone(), self.base).doing("reading", &path)?;
        let last = index.and_then(|index| index.last());
        Ok(last.filter(|last| last.timestamp >= 0 && last.offset >= self.base))
    }

    /// The timestamp for retention: that of the newest record, or the file's modification time if no record has one.
    pub(crate) fn largest_timestamp(&self, folder: &PartitionFolder) -> Result<TimestampMs, LogError> {
        let newest = self.newest(folder)?.timestamp;
        Ok(if newest >= 0 { newest } else { folder.disk.modified(&folder.file(self.base, names::LOG)) })
    }

    /// The largest timestamp of the first batch, from which Kafka computes a segment's age; -1 if there is none.
    pub(crate) fn first_timestamp(&self, folder: &PartitionFolder) -> Result<TimestampMs, LogError> {
        if let Some(first) = self.first.get() {
            return Ok(*first);
        }
        let located = if self.size > 0 { self.files(folder)?.locate(folder, self.base, self.base)? } else { None };
        let Some(located) = located else { return Ok(NO_TIMESTAMP) };
        Ok(*self.first.get_or_init(|| located.header.max_timestamp))
    }

    /// The aborted transactions whose marker is in the segment, if they are already in memory.
    pub(crate) fn known_aborted(&self) -> Option<&[AbortedTxn]> {
        self.aborted.get().map(Vec::as_slice)
    }

    /// The aborted transactions whose marker is in the segment.
    pub(crate) fn aborted(&self, folder: &PartitionFolder) -> Result<&[AbortedTxn], LogError> {
        if let Some(aborted) = self.aborted.get() {
            return Ok(aborted);
        }
        let path = folder.file(self.base, names::TXN_INDEX);
        let aborted = txn_index::read(&folder.disk, &path).doing("reading", &path)?;
        Ok(self.aborted.get_or_init(|| aborted))
    }

    /// Adds an aborted transaction.
    pub(crate) fn add_aborted(&mut self, folder: &PartitionFolder, txn: AbortedTxn) -> Result<(), LogError> {
        let path = folder.file(self.base, names::TXN_INDEX);
        let count = self.aborted(folder)?.len();
        txn_index::append(&folder.disk, &path, count, &txn).doing("writing", &path)?;
        if let Some(aborted) = self.aborted.get_mut() {
            aborted.push(txn);
        }
        Ok(())
    }

    /// Ensures that `txn`, found in the batches, is the first entry of the index from offset `confirmed` on. A correct
    /// entry is not rewritten, so that a synced index stays synced.
    pub(crate) fn confirm_aborted(
        &mut self,
        folder: &PartitionFolder,
        confirmed: Offset,
        txn: AbortedTxn,
    ) -> Result<(), LogError> {
        let known = self.aborted(folder)?;
        let at = known.partition_point(|entry| entry.last_offset < confirmed);
        if known.get(at) == Some(&txn) {
            return Ok(());
        }
        if at < known.len() {
            self.truncate_aborted(folder, confirmed)?;
        }
        self.add_aborted(folder, txn)
    }

    /// Drops aborted transactions whose marker is at `from` or later.
    pub(crate) fn truncate_aborted(&mut self, folder: &PartitionFolder, from: Offset) -> Result<(), LogError> {
        let keep = self.aborted(folder)?.partition_point(|txn| txn.last_offset < from);
        let path = folder.file(self.base, names::TXN_INDEX);
        txn_index::truncate(&folder.disk, &path, keep).doing("truncating", &path)?;
        if let Some(aborted) = self.aborted.get_mut() {
            aborted.truncate(keep);
        }
        Ok(())
    }

    /// The paths of all files that a segment may have, including the producer snapshot at its base offset.
    pub(crate) fn paths(&self, folder: &Path) -> [PathBuf; 5] {
        [names::LOG, names::OFFSET_INDEX, names::TIME_INDEX, names::TXN_INDEX, names::SNAPSHOT]
            .map(|kind| names::file(folder, self.base, kind))
    }
}
