//! The open files of a segment: where a batch lies, and its bytes.

use bytes::Bytes;

use super::Place;
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

/// What is to be done with bytes that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The kernel sends them: they may be in a mapping of the file.
    Send,
    /// Somebody looks at them: they are copied.
    Look,
}

impl Files {
    /// Opens a segment of `size` bytes; with `append_limit` for appending, up to that many bytes.
    pub(super) fn open(place: &Place, base: Offset, size: u64, append_limit: Option<u64>) -> Result<Files, LogError> {
        let path = place.file(base, names::LOG);
        let data = match append_limit {
            Some(limit) => DataFile::open_tail(&place.disk, &path, size, limit),
            None => DataFile::open_sealed(&place.disk, &path, size),
        };
        let data = data.doing("opening", &path)?;
        let path = place.file(base, names::OFFSET_INDEX);
        let offsets = OffsetIndex::open(&place.disk, path.clone(), base).doing("opening", &path)?;
        let offsets = offsets.unwrap_or_else(|| OffsetIndex::empty(path, base));
        let path = place.file(base, names::TIME_INDEX);
        let times = TimeIndex::open(&place.disk, path.clone(), base).doing("opening", &path)?;
        let times = times.unwrap_or_else(|| TimeIndex::empty(path, base));
        Ok(Files { data, offsets, times })
    }

    /// Writes what the indexes have only in memory. The time index first: entries of it beyond the offset index are
    /// recognised at recovery.
    pub(crate) fn flush_indexes(&mut self, place: &Place) -> Result<(), LogError> {
        self.times.flush(&place.disk).doing("writing", self.times.path())?;
        self.offsets.flush(&place.disk).doing("writing", self.offsets.path())
    }

    /// Gives back descriptors and mappings until the next use.
    pub(super) fn release(&self) {
        self.data.release();
        self.offsets.release();
        self.times.release();
    }

    /// A walk from `position`, where no offset below `next_offset` is expected.
    pub(crate) fn walk(&self, position: u64, next_offset: Offset) -> Walk<'_> {
        Walk::new(Source::Data(&self.data), position, self.data.len(), next_offset)
    }

    /// The first batch that ends at `from` or later.
    pub(crate) fn locate(&self, place: &Place, base: Offset, from: Offset) -> Result<Option<Located>, LogError> {
        let entry = self.offsets.at_or_before(&place.disk, from).doing("reading", self.offsets.path());
        if let Some(entry) = or_without(entry)? {
            // Indexes are disposable: one that leads astray costs a longer walk, not a wrong answer.
            if let Ok(found) = self.locate_from(place, base, Some(entry), from) {
                return Ok(found);
            }
        }
        self.locate_from(place, base, None, from)
    }

    fn locate_from(
        &self,
        place: &Place,
        base: Offset,
        entry: Option<OffsetEntry>,
        from: Offset,
    ) -> Result<Option<Located>, LogError> {
        let mut walk = self.walk(entry.map_or(0, |entry| entry.position), base);
        let mut first = true;
        loop {
            match walk.step().doing_to("reading", || place.file(base, names::LOG))? {
                Step::Batch { position, header } => {
                    // Where it isn't known, the entry may name it: brokers before 0.10.1 indexed first offsets.
                    let first = std::mem::replace(&mut first, false) && header.has_exact_base_offset();
                    if first && entry.is_some_and(|entry| header.base_offset > entry.offset) {
                        return Err(self.astray(place, base, position));
                    }
                    if header.last_offset() >= from {
                        return Ok(Some(Located { position, header }));
                    }
                }
                // Where an index leads, a batch begins.
                Step::End if first && entry.is_some() => return Err(self.astray(place, base, walk.position())),
                Step::End => return Ok(None),
                Step::Broken { position } => return Err(self.astray(place, base, position)),
            }
        }
    }

    /// Whole batches from `start` on: at most `max_bytes`, none beginning at `up_to` or later. None if the first
    /// is too large.
    pub(crate) fn read(
        &self,
        place: &Place,
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
        // The index skips what needn't be walked: all of it begins before the limits.
        let within = |entry: &OffsetEntry| entry.position < limit && entry.offset < up_to;
        let skip = self.offsets.floor(&place.disk, within).doing("reading", self.offsets.path());
        if let Some((_, entry)) = or_without(skip)?.filter(|(_, entry)| entry.position > first_end) {
            let mut walk = self.walk(entry.position, next_offset);
            if let Step::Batch { position, header } =
                walk.step().doing_to("reading", || place.file(base, names::LOG))?
                && header.has_exact_base_offset()
            {
                (end, next_offset) = (position, header.base_offset);
            }
        }
        let mut walk = self.walk(end, next_offset);
        loop {
            match walk.step().doing_to("reading", || place.file(base, names::LOG))? {
                Step::Batch { header, .. } if header.base_offset < up_to && walk.position() <= limit => {
                    (end, next_offset) = (walk.position(), header.next_offset());
                }
                Step::Broken { position } if position < limit => return Err(self.astray(place, base, position)),
                _ => break,
            }
        }
        let bytes = self.bytes(place, base, start.position, (end - start.position) as usize, purpose)?;
        Ok(Some(Slice { bytes, next_offset }))
    }

    /// The first batch whole, whatever its size.
    pub(crate) fn read_one(
        &self,
        place: &Place,
        base: Offset,
        at: &Located,
        purpose: Purpose,
    ) -> Result<Slice, LogError> {
        let bytes = self.bytes(place, base, at.position, at.header.size(), purpose)?;
        Ok(Slice { bytes, next_offset: at.header.next_offset() })
    }

    /// The batch, to look at its records.
    pub(crate) fn batch(&self, place: &Place, base: Offset, at: &Located) -> Result<Batch, LogError> {
        let bytes = self.read_one(place, base, at, Purpose::Look)?.bytes;
        Batch::parse(&bytes).map_err(|error| LogError::corrupt(&place.file(base, names::LOG), error.to_string()))
    }

    /// The greatest timestamp, by the last time index entry and the batches after it.
    pub(super) fn find_newest(&self, place: &Place, base: Offset) -> Result<TimeEntry, LogError> {
        let mut newest = self.times.newest();
        let indexed = self.offsets.at_or_before(&place.disk, newest.offset).doing("reading", self.offsets.path())?;
        let mut walk = self.walk(indexed.map_or(0, |entry| entry.position), base);
        while let Step::Batch { header, .. } = walk.step().doing_to("reading", || place.file(base, names::LOG))? {
            if header.max_timestamp > newest.timestamp {
                newest = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
            }
        }
        Ok(newest)
    }

    fn bytes(
        &self,
        place: &Place,
        base: Offset,
        position: u64,
        len: usize,
        purpose: Purpose,
    ) -> Result<Bytes, LogError> {
        let bytes = match purpose {
            Purpose::Send => self.data.read(position, len),
            Purpose::Look => self.data.copy(position, len),
        };
        bytes.doing_to("reading", || place.file(base, names::LOG))
    }

    pub(crate) fn astray(&self, place: &Place, base: Offset, position: u64) -> LogError {
        LogError::corrupt(&place.file(base, names::LOG), format!("no batch at position {position}"))
    }
}

/// A batch and where it lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

/// What an index says; nothing if it can't be read: indexes are disposable, and without one the walk is longer. Only
/// want of a descriptor is an error, which the records would meet too.
fn or_without<T>(found: Result<Option<T>, LogError>) -> Result<Option<T>, LogError> {
    match found {
        Err(error) if !error.is_want_of_descriptors() => Ok(None),
        found => found,
    }
}
