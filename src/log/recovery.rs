//! Recovery of a segment after a crash: finds the end of its valid batches and rebuilds its indexes.
//!
//! The active segment may end with an incomplete batch, with zeros where pages did not reach the disk before a power
//! loss, or with space that Apache Kafka preallocated. All of these are truncated. Whole batches after an invalid one
//! mean corruption, not a torn write: the truncated part is then copied to a plain file for manual inspection.

use std::io;
use std::path::{Path, PathBuf};

use super::error::IoContext;
use super::file::RawFile;
use super::offset_index::{OffsetEntry, OffsetIndex};
use super::segment::PartitionFolder;
use super::time_index::{TimeEntry, TimeIndex};
use super::walk::{Source, Step, Walk};
use super::{LogError, Validated, names};
use ottla_wire::record::{BATCH_OVERHEAD, BatchHeader};
use ottla_wire::types::Offset;

/// Bytes per read when searching for a batch in invalid data.
const CHUNK: u64 = 1 << 20;
/// Position of the magic byte in a batch.
const MAGIC_AT: usize = 16;

/// The result of scanning a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Position after the last whole batch.
    pub(crate) end: u64,
    pub(crate) next_offset: Offset,
    pub(crate) ending: Ending,
    /// Bytes whose CRC was checked.
    pub(crate) checked: u64,
}

/// The data after the last whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// None: the file ends there.
    Clean,
    /// Only zeros: unused preallocated space, or lost pages.
    Zeros,
    /// Other data.
    Broken,
}

/// A segment's file on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentFile<'a> {
    pub(crate) folder: &'a PartitionFolder,
    pub(crate) base: Offset,
    pub(crate) size: u64,
    /// Whether the segment takes no more appends. Its indexes are then complete.
    pub(crate) sealed: bool,
}

impl SegmentFile<'_> {
    fn log(&self) -> PathBuf {
        self.folder.file(self.base, names::LOG)
    }

    pub(crate) fn open(&self) -> Result<RawFile, LogError> {
        let path = self.log();
        let file = self.folder.disk.open_to_read(&path).doing("opening", &path)?;
        file.ok_or_else(|| LogError::io("opening", &path, io::ErrorKind::NotFound.into()))
    }

    /// The offset after the segment's last one, found from the last index entry and the batch headers after it, without
    /// checking CRCs. `None` when the files contradict each other.
    pub(crate) fn trusted_end(&self) -> Result<Option<Offset>, LogError> {
        if self.size == 0 {
            return Ok((!self.has_entries()?).then_some(self.base));
        }
        let path = self.folder.file(self.base, names::OFFSET_INDEX);
        let index = OffsetIndex::open(&self.folder.disk, path.clone(), self.base).doing("opening", &path)?;
        let Some(index) = index.filter(|index| index.is_plausible(self.size)) else { return Ok(None) };
        let raw = self.open()?;
        let mut walk = Walk::new(Source::Raw(&raw), index.last().map_or(0, |last| last.position), self.size, self.base);
        loop {
            match walk.step().doing_with("reading", || self.log())? {
                Step::Batch { .. } => {}
                Step::End => return Ok(Some(walk.next_offset())),
                Step::Broken { .. } => return Ok(None),
            }
        }
    }

    /// Whether one of the indexes has entries.
    fn has_entries(&self) -> Result<bool, LogError> {
        for kind in [names::OFFSET_INDEX, names::TIME_INDEX] {
            let path = self.folder.file(self.base, kind);
            if self.folder.disk.len(&path).doing("reading the size of", &path)?.is_some_and(|len| len > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a batch or a gap between batches shows that the segment was compacted.
    pub(crate) fn was_compacted(&self) -> Result<bool, LogError> {
        let raw = self.open()?;
        let mut walk = Walk::new(Source::Raw(&raw), 0, self.size, self.base);
        let mut expected = self.base;
        while let Step::Batch { header, .. } = walk.step().doing_with("reading", || self.log())? {
            let gap = header.base_offset > expected;
            let lacks_records = header.record_count <= header.last_offset_delta;
            // An old-format message has no base offset and no record count.
            if !header.is_old() && (gap || lacks_records || header.delete_horizon().is_some()) {
                return Ok(true);
            }
            expected = header.next_offset();
        }
        Ok(false)
    }

    /// Validates the segment's batches and rebuilds its indexes. Starts at `validated` if that is a batch boundary,
    /// else at the segment's start.
    pub(crate) fn scan(&self, validated: Option<Validated>, interval: u64) -> Result<Scanned, LogError> {
        let raw = self.open()?;
        if let Some(validated) = validated.filter(|validated| validated.position > 0 && validated.position <= self.size)
            && let Some(indexes) = Indexes::keep(self.folder, self.base, validated.position, self.size)?
            && let Some(scanned) = self.scan_with(&raw, indexes, Some(validated), interval)?
        {
            return Ok(scanned);
        }
        let indexes = Indexes::empty(self.folder, self.base);
        let scanned = self.scan_with(&raw, indexes, None, interval)?;
        scanned.ok_or_else(|| LogError::corrupt(&self.log(), "changed while it was read"))
    }

    /// Returns `None` if `validated` is not a batch boundary.
    fn scan_with(
        &self,
        raw: &RawFile,
        mut indexes: Indexes,
        validated: Option<Validated>,
        interval: u64,
    ) -> Result<Option<Scanned>, LogError> {
        let path = self.log();
        let checked_from = validated.map_or(0, |validated| validated.position);
        let mut newest = indexes.times.newest();
        let mut indexed = indexes.offsets.last().map_or(0, |last| last.position);
        let mut walk = Walk::new(Source::Raw(raw), indexed, self.size, self.base);
        let mut boundary_seen = validated.is_none();
        loop {
            let (end, next_offset) = (walk.position(), walk.next_offset());
            if validated.is_some_and(|validated| end == validated.position && next_offset == validated.next_offset) {
                boundary_seen = true;
            }
            let step = walk.step().doing("reading", &path)?;
            if let Step::Batch { position, header } = step
                && (position < checked_from || self.is_whole(&walk, position, &header)?)
            {
                if header.max_timestamp > newest.timestamp {
                    newest = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
                }
                if position - indexed > interval {
                    indexes.times.advance(newest);
                    indexes.offsets.push(OffsetEntry { offset: header.last_offset(), position });
                    indexed = position;
                }
                continue;
            }
            if !boundary_seen {
                return Ok(None);
            }
            if self.sealed {
                indexes.times.advance(newest);
            }
            indexes.write(self.folder, self.sealed)?;
            let ending = match step {
                Step::End => Ending::Clean,
                _ if self.is_zero_from(raw, end).doing("reading", &path)? => Ending::Zeros,
                _ => Ending::Broken,
            };
            return Ok(Some(Scanned { end, next_offset, ending, checked: end - checked_from }));
        }
    }

    /// Whether the batch's CRC matches and its offsets fit into this segment.
    fn is_whole(&self, walk: &Walk<'_>, position: u64, header: &BatchHeader) -> Result<bool, LogError> {
        if !self.can_hold(header) {
            return Ok(false);
        }
        walk.crc_matches(position, header).doing_with("reading", || self.log())
    }

    pub(crate) fn is_zero_from(&self, raw: &RawFile, from: u64) -> io::Result<bool> {
        let mut at = from;
        while at < self.size {
            let bytes = chunk(raw, at, self.size)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += bytes.len() as u64;
        }
        Ok(true)
    }

    /// Whether a whole batch with an offset of at least `next_offset` exists after position `from`.
    pub(crate) fn has_batch_after(&self, from: u64, next_offset: Offset) -> Result<bool, LogError> {
        let raw = self.open()?;
        let found = self.find_batch(&raw, from, next_offset).doing_with("reading", || self.log())?;
        Ok(found.is_some())
    }

    /// The position of such a batch, or the position where the search exceeded its budget.
    pub(crate) fn find_batch(&self, raw: &RawFile, from: u64, next_offset: Offset) -> io::Result<Option<u64>> {
        // Limits the CRC checks: bytes that look like headers everywhere must not make the search quadratic.
        let mut budget = (self.size - from).saturating_mul(4);
        let mut at = from + 1;
        while at < self.size {
            let bytes = chunk(raw, at, self.size)?;
            // A header that doesn't fit into this chunk is read with the next one, except in the last chunk.
            let is_last = at + bytes.len() as u64 == self.size;
            let starts = if is_last { bytes.len() } else { bytes.len() - BATCH_OVERHEAD + 1 };
            for start in 0..starts {
                let position = at + start as u64;
                let Some(header) = self.plausible(&bytes[start..], position, next_offset) else { continue };
                let Some(left) = budget.checked_sub(header.size() as u64) else { return Ok(Some(position)) };
                budget = left;
                let walk = Walk::new(Source::Raw(raw), position, self.size, next_offset);
                if walk.crc_matches(position, &header)? {
                    return Ok(Some(position));
                }
            }
            at += starts as u64;
        }
        Ok(None)
    }

    /// Parses the header at the start of `bytes`, the segment's data at `position`. `None` if no batch of this segment
    /// can have such a header.
    fn plausible(&self, bytes: &[u8], position: u64, next_offset: Offset) -> Option<BatchHeader> {
        // A cheap check that rejects most random bytes and all zeros.
        let offset = i64::from_be_bytes(*bytes.first_chunk()?);
        if offset < next_offset || bytes.get(8..MAGIC_AT)?.iter().all(|byte| *byte == 0) {
            return None;
        }
        let header = BatchHeader::parse_any(bytes).ok()?;
        let fits = header.size() as u64 <= self.size - position && header.last_offset_delta >= 0;
        (fits && self.can_hold(&header)).then_some(header)
    }

    /// Whether the batch's offsets fit into this segment.
    fn can_hold(&self, header: &BatchHeader) -> bool {
        header.last_offset() - self.base <= i64::from(i32::MAX)
    }

    /// Copies the data from position `from` on into a plain file next to the segment.
    pub(crate) fn set_aside(&self, from: u64) -> Result<PathBuf, LogError> {
        self.set_aside_part(from, self.size)
    }

    /// Copies the data between two positions into a plain file next to the segment.
    pub(crate) fn set_aside_part(&self, from: u64, to: u64) -> Result<PathBuf, LogError> {
        let raw = self.open()?;
        let path = self.name_aside(from)?;
        let copy = || -> io::Result<()> {
            let target = self.folder.disk.open_to_write(&path)?;
            let mut at = from;
            while at < to {
                let bytes = chunk(&raw, at, to)?;
                target.write_all_at(at - from, &bytes)?;
                at += bytes.len() as u64;
            }
            self.folder.disk.sync_file(&target)
        };
        copy().doing("writing", &path)?;
        Ok(path)
    }

    /// An unused path for the copy of the data from position `from` on.
    pub(crate) fn name_aside(&self, from: u64) -> Result<PathBuf, LogError> {
        let mut path = names::with_suffix(&self.log(), &format!("{from}.cut"));
        let mut again = 1;
        while self.folder.disk.len(&path).doing("reading the size of", &path)?.is_some() {
            again += 1;
            path = names::with_suffix(&self.log(), &format!("{from}.cut-{again}"));
        }
        Ok(path)
    }

    /// Truncates the file to `len` bytes and syncs it: after a power loss, old bytes must not reappear after new
    /// appends.
    pub(crate) fn truncate_durably(&self, len: u64) -> Result<(), LogError> {
        let path = self.log();
        let truncate = || {
            let file = self.folder.disk.open_to_write(&path)?;
            file.set_len(len)?;
            self.folder.disk.sync_file(&file)
        };
        truncate().doing("truncating", &path)
    }

    /// Truncates a file that ends with zeros to `len` bytes, without a sync.
    pub(crate) fn truncate_zeros(&self, len: u64) -> Result<(), LogError> {
        let path = self.log();
        let truncate = || self.folder.disk.open_to_write(&path)?.set_len(len);
        truncate().doing("truncating", &path)
    }
}

fn chunk(raw: &RawFile, at: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (end - at).min(CHUNK) as usize];
    raw.read_exact_at(at, &mut bytes)?;
    Ok(bytes)
}

/// The two indexes of a segment during a scan.
struct Indexes {
    offsets: OffsetIndex,
    times: TimeIndex,
}

impl Indexes {
    /// Opens the indexes and drops the entries for batches from `position` on; `None` if the files are implausible.
    fn keep(folder: &PartitionFolder, base: Offset, position: u64, size: u64) -> Result<Option<Indexes>, LogError> {
        let path = folder.file(base, names::OFFSET_INDEX);
        let offsets = OffsetIndex::open(&folder.disk, path.clone(), base).doing("opening", &path)?;
        let offsets = offsets.unwrap_or_else(|| OffsetIndex::empty(path.clone(), base));
        let time_path = folder.file(base, names::TIME_INDEX);
        let times = TimeIndex::open(&folder.disk, time_path.clone(), base).doing("opening", &time_path)?;
        let times = times.unwrap_or_else(|| TimeIndex::empty(time_path.clone(), base));
        let mut indexes = Indexes { offsets, times };
        if !indexes.offsets.is_plausible(size) {
            return Ok(None);
        }
        let disk = &folder.disk;
        let kept = indexes.offsets.floor(disk, |entry| entry.position < position).doing("reading", &path)?;
        indexes.offsets.truncate(disk, kept.map_or(0, |(at, _)| at + 1)).doing("truncating", &path)?;
        let covered = indexes.offsets.last().map_or(base - 1, |entry| entry.offset);
        let kept = indexes.times.floor(disk, |entry| entry.offset <= covered).doing("reading", &time_path)?;
        indexes.times.truncate(disk, kept.map_or(0, |(at, _)| at + 1)).doing("truncating", &time_path)?;
        Ok(Some(indexes))
    }

    /// Indexes without entries, which replace the existing files.
    fn empty(folder: &PartitionFolder, base: Offset) -> Indexes {
        Indexes {
            offsets: OffsetIndex::overwriting(folder.file(base, names::OFFSET_INDEX), base),
            times: TimeIndex::overwriting(folder.file(base, names::TIME_INDEX), base),
        }
    }

    /// Writes the indexes; those of the active segment only if they have entries or the file exists.
    fn write(&mut self, folder: &PartitionFolder, sealed: bool) -> Result<(), LogError> {
        let disk = &folder.disk;
        let exists = |path: &Path| disk.len(path).doing("reading the size of", path).map(|len| len.is_some());
        if sealed || self.times.count() > 0 || exists(self.times.path())? {
            self.times.flush(disk).doing("writing", self.times.path())?;
        }
        if sealed || self.offsets.count() > 0 || exists(self.offsets.path())? {
            self.offsets.flush(disk).doing("writing", self.offsets.path())?;
        }
        Ok(())
    }
}
