//! The segment that a group of segments is rewritten to, under `.cleaned` names.

use std::path::PathBuf;

use super::{CompactError, Throttle, throttled};
use crate::error::IoContext;
use crate::file::RawFile;
use crate::offset_index::{OffsetEntry, OffsetIndex};
use crate::segment::PartitionFolder;
use crate::time_index::{TimeEntry, TimeIndex};
use crate::{AbortedTxn, LogError, names, txn_index};
use ottla_wire::record::BatchHeader;
use ottla_wire::types::{Offset, TimestampMs};

/// A segment that is being written.
pub(super) struct CleanedSegment<'a> {
    folder: &'a PartitionFolder,
    base: Offset,
    file: RawFile,
    path: PathBuf,
    /// Number of bytes in the file, and the bytes to be written next.
    written: u64,
    buffer: &'a mut Vec<u8>,
    io_bytes: usize,
    offsets: OffsetIndex,
    times: TimeIndex,
    newest: TimeEntry,
    index_interval: u64,
    /// Position of the last batch that has an index entry.
    indexed: u64,
    /// Aborted transactions whose marker is in the segment.
    pub(super) aborted: Vec<AbortedTxn>,
}

/// The properties of a finished [`CleanedSegment`].
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) size: u64,
    pub(super) newest: TimeEntry,
    pub(super) aborted: Vec<AbortedTxn>,
}

impl<'a> CleanedSegment<'a> {
    /// Begins the segment; removes files that an earlier compaction left under its names.
    pub(super) fn create(
        folder: &'a PartitionFolder,
        base: Offset,
        index_interval: u32,
        buffer: &'a mut Vec<u8>,
        io_bytes: usize,
    ) -> Result<CleanedSegment<'a>, LogError> {
        remove(folder, base)?;
        let path = file(folder, base, names::LOG);
        buffer.clear();
        Ok(CleanedSegment {
            folder,
            base,
            file: folder.disk.open_to_write(&path).doing("creating", &path)?,
            path,
            written: 0,
            buffer,
            io_bytes,
            offsets: OffsetIndex::overwriting(file(folder, base, names::OFFSET_INDEX), base),
            times: TimeIndex::overwriting(file(folder, base, names::TIME_INDEX), base),
            newest: TimeEntry::none(base),
            index_interval: u64::from(index_interval),
            indexed: 0,
            aborted: Vec::new(),
        })
    }

    /// Adds the batch that `put` appends to the buffer; returns its size.
    pub(super) fn add<E>(&mut self, put: impl FnOnce(&mut Vec<u8>) -> Result<BatchHeader, E>) -> Result<u64, E> {
        let before = self.buffer.len();
        let position = self.written + before as u64;
        let header = put(self.buffer)?;
        if header.max_timestamp > self.newest.timestamp {
            self.newest = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
        }
        if position - self.indexed > self.index_interval {
            self.times.advance(self.newest);
            self.offsets.push(OffsetEntry { offset: header.last_offset(), position });
            self.indexed = position;
        }
        Ok((self.buffer.len() - before) as u64)
    }

    /// Writes the buffer to the file if it is full.
    pub(super) fn write_if_full(&mut self, throttle: Throttle<'_>) -> Result<(), CompactError> {
        if self.buffer.len() < self.io_bytes { Ok(()) } else { self.write(throttle) }
    }

    fn write(&mut self, throttle: Throttle<'_>) -> Result<(), CompactError> {
        let len = self.buffer.len() as u64;
        if self.written + len > i32::MAX as u64 {
            let why = "compressed again, its batches would not fit into a segment".to_owned();
            return Err(CompactError::Uncleanable { path: self.path.clone(), why });
        }
        self.file.write_all_at(self.written, self.buffer).doing("writing", &self.path)?;
        self.written += len;
        self.buffer.clear();
        if self.offsets.should_flush() {
            self.write_indexes()?;
        }
        throttled(throttle, len)
    }

    fn write_indexes(&mut self) -> Result<(), LogError> {
        let disk = &self.folder.disk;
        self.times.flush(disk).doing("writing", self.times.path())?;
        self.offsets.flush(disk).doing("writing", self.offsets.path())
    }

    /// Finishes the segment: writes and syncs all files and their names, and sets the modification time to `modified`.
    pub(super) fn finish(mut self, modified: TimestampMs, throttle: Throttle<'_>) -> Result<Finished, CompactError> {
        self.write(throttle)?;
        self.times.advance(self.newest);
        self.write_indexes()?;
        let disk = &self.folder.disk;
        let path = file(self.folder, self.base, names::TXN_INDEX);
        for (count, txn) in self.aborted.iter().enumerate() {
            txn_index::append(disk, &path, count, txn).doing("writing", &path)?;
        }
        disk.sync_file(&self.file).doing("syncing", &self.path)?;
        for kind in [names::OFFSET_INDEX, names::TIME_INDEX, names::TXN_INDEX] {
            let path = file(self.folder, self.base, kind);
            if let Some(index) = disk.open_to_read(&path).doing("opening", &path)? {
                disk.sync_file(&index).doing("syncing", &path)?;
            }
        }
        disk.set_modified(&self.path, modified).doing("setting the time of", &self.path)?;
        disk.sync_folder(&self.folder.path).doing("syncing", &self.folder.path)?;
        Ok(Finished { size: self.written, newest: self.newest, aborted: self.aborted })
    }
}

/// Returns the path of a file of the segment, with the suffix `.cleaned`.
pub(super) fn file(folder: &PartitionFolder, base: Offset, kind: &str) -> PathBuf {
    names::with_suffix(&folder.file(base, kind), names::CLEANED)
}

/// Removes the files of an unfinished segment.
pub(super) fn remove(folder: &PartitionFolder, base: Offset) -> Result<(), LogError> {
    for kind in names::SEGMENT {
        let path = file(folder, base, kind);
        folder.disk.remove(&path).doing("removing", &path)?;
    }
    Ok(())
}
