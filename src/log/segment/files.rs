//! The open files of a segment: finding batches and reading their bytes.

use bytes::Bytes;

use super::PartitionFolder;
use crate::error::IoContext;
use crate::file::DataFile;
use crate::offset_index::{OffsetEntry, OffsetIndex};
use crate::time_index::{TimeEntry, TimeIndex};
use crate::walk::{Source, Step, Walk};
use crate::{LogError, Slice, names};
use ottla_wire::record::{Batch, BatchHeader};
use ottla_wire::types::Offset;

/// A segment's open files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) data: DataFile,
    pub(crate) offsets: OffsetIndex,
    pub(crate) times: TimeIndex,
}

/// The use of bytes that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The kernel sends them, so they may be mapped from the file.
    Send,
    /// The process inspects them, so they are copied.
    Inspect,
}

impl Files {
    /// Opens a segment of `size` bytes; with `append_limit`, for appending up to that size.
    pub(super) fn open(
        folder: &PartitionFolder,
        base: Offset,
        size: u64,
        append_limit: Option<u64>,
    ) -> Result<Files, LogError> {
        let path = folder.file(base, names::LOG);
        let data = match append_limit {
            Some(limit) => DataFile::open_tail(&folder.disk, &path, size, limit),
            None => DataFile::open_sealed(&folder.disk, &path, size),
        };
        let data = data.doing("opening", &path)?;
        let path = folder.file(base, names::OFFSET_INDEX);
        let offsets = OffsetIndex::open(&folder.disk, path.clone(), base).doing("opening", &path)?;
        let offsets = offsets.unwrap_or_else(|| OffsetIndex::empty(path, base));
        let path = folder.file(base, names::TIME_INDEX);
        let times = TimeIndex::open(&folder.disk, path.clone(), base).doing("opening", &path)?;
        let times = times.unwrap_or_else(|| TimeIndex::empty(path, base));
        Ok(Files { data, offsets, times })
    }

    /// Writes the index entries that are only in memory. The time index comes first: recovery detects time index entries
    /// beyond the offset index.
    pub(crate) fn flush_indexes(&mut self, folder: &PartitionFolder) -> Result<(), LogError> {
        self.times.flush(&folder.disk).doing("writing", self.times.path())?;
        self.offsets.flush(&folder.disk).doing("writing", self.offsets.path())
    }

    /// Closes descriptors and mappings until the next use.
    pub(super) fn release(&self) {
        self.data.close();
        self.offsets.release();
        self.times.release();
    }

    /// Starts a walk at `position`. A batch whose base offset is below `next_offset` is invalid.
    pub(crate) fn walk(&self, position: u64, next_offset: Offset) -> Walk<'_> {
        Walk::new(Source::Data(&self.data), position, self.data.len(), next_offset)
    }

    /// Finds the first batch that ends at `from` or later.
    pub(crate) fn locate(
        &self,
        folder: &PartitionFolder,
        base: Offset,
        from: Offset,
    ) -> Result<Option<Located>, LogError> {
        let entry = self.offsets.at_or_before(&folder.disk, from).doing("reading", self.offsets.path());
        if let Some(entry) = ignore_index_error(entry)? {
            // Records can be found without an index: after a wrong entry, walk from the segment's start.
            if let Ok(found) = self.locate_from(folder, base, Some(entry), from) {
                return Ok(found);
            }
        }
        self.locate_from(folder, base, None, from)
    }

    fn locate_from(
        &self,
        folder: &PartitionFolder,
        base: Offset,
        entry: Option<OffsetEntry>,
        from: Offset,
    ) -> Result<Option<Located>, LogError> {
        let mut walk = self.walk(entry.map_or(0, |entry| entry.position), base);
        let mut first = true;
        loop {
            match walk.step().doing_with("reading", || folder.file(base, names::LOG))? {
                Step::Batch { position, header } => {
                    // Skip the check for old-format batches: brokers before 0.10.1 indexed first offsets.
                    let first = std::mem::replace(&mut first, false) && header.has_exact_base_offset();
                    if first && entry.is_some_and(|entry| header.base_offset > entry.offset) {
                        return Err(self.no_batch_at(folder, base, position));
                    }
                    if header.last_offset() >= from {
                        return Ok(Some(Located { position, header }));
                    }
                }
                // An index entry must point to a batch.
                Step::End if first && entry.is_some() => return Err(self.no_batch_at(folder, base, walk.position())),
                Step::End => return Ok(None),
                Step::Broken { position } => return Err(self.no_batch_at(folder, base, position)),
            }
        }
    }

    /// Reads whole batches from `start` on: at most `max_bytes`, and none that begins at `up_to` or later. `None` if the
    /// first batch is too large.
    pub(crate) fn read(
        &self,
        folder: &PartitionFolder,
        base: Offset,
        start: &Located,
        max_bytes: usize,
        up_to: Offset,
        purpose: Purpose,
    ) -> Result<Option<Slice>, LogError> {
        let limit = start.position.saturating_add(max_bytes as u64).min(self.data.len());
        let first_end = start.position + start.header.size() as u64;
        if first_end > limit {
            return Ok(None);
        }
        let (mut end, mut next_offset) = (first_end, start.header.next_offset());
        // Skip ahead with the index: all batches before the entry are within the limits.
        let within = |entry: &OffsetEntry| entry.position < limit && entry.offset < up_to;
        let skip = self.offsets.floor(&folder.disk, within).doing("reading", self.offsets.path());
        if let Some((_, entry)) = ignore_index_error(skip)?.filter(|(_, entry)| entry.position > first_end) {
            let mut walk = self.walk(entry.position, next_offset);
            if let Step::Batch { position, header } =
                walk.step().doing_with("reading", || folder.file(base, names::LOG))?
                && header.has_exact_base_offset()
            {
                (end, next_offset) = (position, header.base_offset);
            }
        }
        let mut walk = self.walk(end, next_offset);
        loop {
            match walk.step().doing_with("reading", || folder.file(base, names::LOG))? {
                Step::Batch { header, .. } if header.base_offset < up_to && walk.position() <= limit => {
                    (end, next_offset) = (walk.position(), header.next_offset());
                }
                Step::Broken { position } if position < limit => return Err(self.no_batch_at(folder, base, position)),
                _ => break,
            }
        }
        let bytes = self.bytes(folder, base, start.position, (end - start.position) as usize, purpose)?;
        Ok(Some(Slice { bytes, next_offset }))
    }

    /// Reads one batch of any size.
    pub(crate) fn read_one(
        &self,
        folder: &PartitionFolder,
        base: Offset,
        at: &Located,
        purpose: Purpose,
    ) -> Result<Slice, LogError> {
        let bytes = self.bytes(folder, base, at.position, at.header.size(), purpose)?;
        Ok(Slice { bytes, next_offset: at.header.next_offset() })
    }

    /// Reads and parses a batch.
    pub(crate) fn batch(&self, folder: &PartitionFolder, base: Offset, at: &Located) -> Result<Batch, LogError> {
        let bytes = self.read_one(folder, base, at, Purpose::Inspect)?.bytes;
        Batch::parse(&bytes).map_err(|error| LogError::corrupt(&folder.file(base, names::LOG), error.to_string()))
    }

    /// Finds the largest timestamp from the last time index entry and the batches after it.
    pub(super) fn find_newest(&self, folder: &PartitionFolder, base: Offset) -> Result<TimeEntry, LogError> {
        let mut newest = self.times.newest();
        let indexed = self.offsets.at_or_before(&folder.disk, newest.offset).doing("reading", self.offsets.path())?;
        let mut walk = self.walk(indexed.map_or(0, |entry| entry.position), base);
        while let Step::Batch { header, .. } = walk.step().doing_with("reading", || folder.file(base, names::LOG))? {
            if header.max_timestamp > newest.timestamp {
                newest = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
            }
        }
        Ok(newest)
    }

    fn bytes(
        &self,
        folder: &PartitionFolder,
        base: Offset,
        position: u64,
        len: usize,
        purpose: Purpose,
    ) -> Result<Bytes, LogError> {
        let bytes = match purpose {
            Purpose::Send => self.data.read(position, len),
            Purpose::Inspect => self.data.copy(position, len),
        };
        bytes.doing_with("reading", || folder.file(base, names::LOG))
    }

    pub(crate) fn no_batch_at(&self, folder: &PartitionFolder, base: Offset, position: u64) -> LogError {
        LogError::corrupt(&folder.file(base, names::LOG), format!("no batch at position {position}"))
    }
}

/// A batch header and its position in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

/// Turns an index read error into `None`: without an index the walk is only longer. File descriptor exhaustion stays an
/// error, since reading the records would fail too.
fn ignore_index_error<T>(found: Result<Option<T>, LogError>) -> Result<Option<T>, LogError> {
    match found {
        Err(error) if !error.is_fd_exhaustion() => Ok(None),
        found => found,
    }
}
