//! One segment: a stretch of the log with its indexes, opened when it is first needed.

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

/// Where a log's segments are and on which disk; what a segment needs to open itself.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) disk: Disk,
    pub(crate) folder: PathBuf,
}

impl Place {
    pub(crate) fn file(&self, offset: Offset, kind: &str) -> PathBuf {
        names::file(&self.folder, offset, kind)
    }
}

/// A segment. Unopened it costs a few words, so that a log of many thousands stays small.
#[derive(Debug)]
pub(crate) struct Segment {
    base: Offset,
    /// Bytes of whole batches.
    size: u64,
    /// Whether it is the one that is appended to.
    active: bool,
    /// Whether there is a `.log` file; an empty log has none yet.
    exists: bool,
    /// What of it survives a power loss.
    synced: OnDisk,
    files: OnceLock<Box<Files>>,
    newest: OnceLock<TimeEntry>,
    /// The greatest timestamp of the first batch.
    first: OnceLock<TimestampMs>,
    aborted: OnceLock<Vec<AbortedTxn>>,
    /// Set by reads, taken by housekeeping: files of segments that nobody reads are closed.
    touched: AtomicBool,
}

/// How much of a segment was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDisk {
    Unknown,
    /// The records: enough for the active segment, whose indexes are written anew after a power loss.
    Records,
    /// Records and indexes.
    All,
}

/// How far a segment reached at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) base: Offset,
    pub(crate) size: u64,
    pub(crate) sealed: bool,
}

/// A segment as found on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) base: Offset,
    pub(crate) size: u64,
    pub(crate) synced: bool,
}

impl Segment {
    /// The empty segment that a log begins with; no file is made.
    pub(crate) fn new(base: Offset) -> Segment {
        let mut segment = Segment::found(Found { base, size: 0, synced: false }, true);
        segment.exists = false;
        segment.without_aborted()
    }

    /// A segment whose `.log` is there.
    pub(crate) fn found(found: Found, active: bool) -> Segment {
        Segment {
            base: found.base,
            size: found.size,
            active,
            exists: true,
            synced: if found.synced { OnDisk::All } else { OnDisk::Unknown },
            files: OnceLock::new(),
            newest: OnceLock::new(),
            first: OnceLock::new(),
            aborted: OnceLock::new(),
            touched: AtomicBool::new(false),
        }
    }

    /// The segment, known to have no transaction index.
    pub(crate) fn without_aborted(mut self) -> Segment {
        self.aborted = OnceLock::from(Vec::new());
        self
    }

    /// A sealed segment that compaction has written and synced.
    pub(crate) fn cleaned(base: Offset, size: u64, newest: TimeEntry, aborted: Vec<AbortedTxn>) -> Segment {
        let mut segment = Segment::found(Found { base, size, synced: true }, false);
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

    /// Whether nothing of it is left to sync.
    pub(crate) fn is_synced(&self) -> bool {
        self.synced == OnDisk::All || self.active && self.synced == OnDisk::Records
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// How far the segment reaches now.
    pub(crate) fn extent(&self) -> Extent {
        Extent { base: self.base, size: self.size, sealed: !self.active }
    }

    /// What the segment was at `extent` was synced: all of it, if it is still the same.
    pub(crate) fn mark_synced(&mut self, extent: Extent) {
        if extent != self.extent() {
            return;
        }
        if self.active {
            self.synced = OnDisk::Records;
            return;
        }
        self.synced = OnDisk::All;
        // Whoever reads it opens it again; most are never read from then on, and there are many.
        self.files = OnceLock::new();
    }

    /// The open files, if they are open.
    pub(crate) fn opened(&self) -> Option<&Files> {
        self.files.get().map(|files| &**files)
    }

    /// The open files.
    pub(crate) fn files(&self, place: &Place) -> Result<&Files, LogError> {
        self.touched.store(true, Ordering::Relaxed);
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let files = Files::open(place, self.base, self.size, None)?;
        Ok(self.files.get_or_init(|| Box::new(files)))
    }

    /// The open files, for appending; created if the segment has none. Fresh ones get room for all of `limit` bytes
    /// where that is asked for.
    pub(crate) fn files_to_append(&mut self, place: &Place, limit: u64, reserve: bool) -> Result<&mut Files, LogError> {
        self.touched.store(true, Ordering::Relaxed);
        let writable = self.files.get().is_some_and(|files| files.data.is_writable());
        if !writable {
            let mut files = Files::open(place, self.base, self.size, Some(limit))?;
            if reserve {
                files.data.reserve();
            }
            self.files = OnceLock::from(Box::new(files));
            self.exists = true;
        }
        let path = || place.file(self.base, names::LOG);
        self.files.get_mut().map(|files| &mut **files).ok_or_else(|| LogError::corrupt(&path(), "not open"))
    }

    /// Notes that a batch was appended, whose newest record is `newest`.
    pub(crate) fn grew(&mut self, size: u64, newest: TimeEntry) {
        self.size = size;
        self.synced = OnDisk::Unknown;
        self.newest = OnceLock::from(newest);
    }

    /// Ends the segment: final time index entry, indexes written.
    pub(crate) fn seal(&mut self, place: &Place) -> Result<(), LogError> {
        // Closed before, and untouched since: its indexes are complete.
        let untouched = self.synced == OnDisk::All && self.files.get().is_none_or(|files| !files.data.is_writable());
        if untouched || !self.exists {
            self.active = false;
            return Ok(());
        }
        self.files(place)?;
        let newest = self.newest(place)?;
        self.synced = OnDisk::Unknown;
        if let Some(files) = self.files.get_mut() {
            files.data.free_reserved().doing_to("cutting", || place.file(self.base, names::LOG))?;
            files.times.advance(newest);
            files.flush_indexes(place)?;
        }
        self.active = false;
        Ok(())
    }

    /// Closes files that nobody has used since the last call; of the active segment, what it knows of them is kept.
    pub(crate) fn cool(&mut self) {
        if self.touched.swap(false, Ordering::Relaxed) {
            return;
        }
        if !self.active && self.is_synced() {
            self.files = OnceLock::new();
        } else if let Some(files) = self.files.get() {
            files.release();
        }
    }

    /// The greatest timestamp of the segment, and the batch that has it.
    pub(crate) fn newest(&self, place: &Place) -> Result<TimeEntry, LogError> {
        if let Some(newest) = self.newest.get() {
            return Ok(*newest);
        }
        if self.size == 0 {
            return Ok(TimeEntry::none(self.base));
        }
        let newest = match self.final_time_entry(place)? {
            Some(newest) => newest,
            None => self.files(place)?.find_newest(place, self.base)?,
        };
        Ok(*self.newest.get_or_init(|| newest))
    }

    /// The last entry of the time index, if the segment was sealed or closed with one: looking at every segment
    /// of a large log mustn't open them all.
    fn final_time_entry(&self, place: &Place) -> Result<Option<TimeEntry>, LogError> {
        if self.active && self.synced != OnDisk::All || self.files.get().is_some() {
            return Ok(None);
        }
        let path = place.file(self.base, names::TIME_INDEX);
        let index = TimeIndex::open(&place.disk, path.clone(), self.base).doing("reading", &path)?;
        let last = index.and_then(|index| index.last());
        Ok(last.filter(|last| last.timestamp >= 0 && last.offset >= self.base))
    }

    /// What retention counts from: the newest record, or when the file was written if no record has a time.
    pub(crate) fn largest_timestamp(&self, place: &Place) -> Result<TimestampMs, LogError> {
        let newest = self.newest(place)?.timestamp;
        Ok(if newest >= 0 { newest } else { place.disk.modified(&place.file(self.base, names::LOG)) })
    }

    /// The greatest timestamp of the first batch, from which Kafka counts how old a segment is; -1 if there is none.
    pub(crate) fn first_timestamp(&self, place: &Place) -> Result<TimestampMs, LogError> {
        if let Some(first) = self.first.get() {
            return Ok(*first);
        }
        let located = if self.size > 0 { self.files(place)?.locate(place, self.base, self.base)? } else { None };
        let Some(located) = located else { return Ok(NO_TIMESTAMP) };
        Ok(*self.first.get_or_init(|| located.header.max_timestamp))
    }

    /// The aborted transactions whose marker is in the segment, if that is known without reading a file.
    pub(crate) fn known_aborted(&self) -> Option<&[AbortedTxn]> {
        self.aborted.get().map(Vec::as_slice)
    }

    /// The aborted transactions whose marker is in the segment.
    pub(crate) fn aborted(&self, place: &Place) -> Result<&[AbortedTxn], LogError> {
        if let Some(aborted) = self.aborted.get() {
            return Ok(aborted);
        }
        let path = place.file(self.base, names::TXN_INDEX);
        let aborted = txn_index::read(&place.disk, &path).doing("reading", &path)?;
        Ok(self.aborted.get_or_init(|| aborted))
    }

    /// Adds an aborted transaction.
    pub(crate) fn add_aborted(&mut self, place: &Place, txn: AbortedTxn) -> Result<(), LogError> {
        let path = place.file(self.base, names::TXN_INDEX);
        let count = self.aborted(place)?.len();
        txn_index::append(&place.disk, &path, count, &txn).doing("writing", &path)?;
        if let Some(aborted) = self.aborted.get_mut() {
            aborted.push(txn);
        }
        Ok(())
    }

    /// Makes sure that `txn`, found in the batches, is the first entry of the index from `confirmed` on. What is
    /// right already is not written again: an index that was synced stays so.
    pub(crate) fn confirm_aborted(
        &mut self,
        place: &Place,
        confirmed: Offset,
        txn: AbortedTxn,
    ) -> Result<(), LogError> {
        let known = self.aborted(place)?;
        let at = known.partition_point(|entry| entry.last_offset < confirmed);
        if known.get(at) == Some(&txn) {
            return Ok(());
        }
        if at < known.len() {
            self.truncate_aborted(place, confirmed)?;
        }
        self.add_aborted(place, txn)
    }

    /// Drops aborted transactions whose marker is at `from` or later.
    pub(crate) fn truncate_aborted(&mut self, place: &Place, from: Offset) -> Result<(), LogError> {
        let keep = self.aborted(place)?.partition_point(|txn| txn.last_offset < from);
        let path = place.file(self.base, names::TXN_INDEX);
        txn_index::truncate(&place.disk, &path, keep).doing("cutting", &path)?;
        if let Some(aborted) = self.aborted.get_mut() {
            aborted.truncate(keep);
        }
        Ok(())
    }

    /// Paths of all files that a segment may have; a snapshot of producers belongs to its base offset.
    pub(crate) fn paths(&self, folder: &Path) -> [PathBuf; 5] {
        [names::LOG, names::OFFSET_INDEX, names::TIME_INDEX, names::TXN_INDEX, names::SNAPSHOT]
            .map(|kind| names::file(folder, self.base, kind))
    }
}
