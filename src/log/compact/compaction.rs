//! A running compaction: mapping keys, then rewriting group after group (Kafka's `Cleaner.doClean`).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::cleaned::{self, CleanedSegment};
use super::filter::{self, Filter};
use super::key_map::{Full, KeyMap};
use super::reader::Reader;
use super::transactions::Transactions;
use super::{CleanedGroup, CompactError, CompactionBuffers, CompactionStats, Throttle};
use crate::error::IoContext;
use crate::producers::LastRecord;
use crate::segment::PartitionFolder;
use crate::{AbortedTxn, LogConfig, LogError, names, txn_index};
use ottla_wire::record::{BatchHeader, Expanded};
use ottla_wire::types::{Offset, ProducerId, TimestampMs};

/// A running compaction; see the module's documentation. It owns all it needs, so that the log can be used meanwhile.
#[derive(Debug)]
pub struct Compaction {
    pub(super) folder: PartitionFolder,
    pub(super) config: Arc<LogConfig>,
    /// When the compaction began. Delete horizons are compared with and calculated from this time.
    pub(super) now: TimestampMs,
    /// [`Log::truncations`](crate::Log) when the compaction began.
    pub(super) truncations: u64,
    pub(super) first_dirty: Offset,
    pub(super) first_uncleanable: Offset,
    /// All segments below `first_uncleanable`.
    pub(super) sources: Vec<Source>,
    /// The lists of all aborted transactions that may have batches in `sources`.
    pub(super) aborted: Vec<AbortedIn>,
    pub(super) producers: HashMap<ProducerId, LastRecord>,
    /// `None` until the keys are mapped, for the first group.
    pub(super) begun: Option<Begun>,
    pub(super) stats: CompactionStats,
}

/// A sealed segment that the compaction reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) base: Offset,
    pub(super) size: u64,
    /// The base offset of the next segment.
    pub(super) end: Offset,
}

/// The list of aborted transactions whose marker is in one segment.
#[derive(Debug)]
pub(super) enum AbortedIn {
    Memory(Vec<AbortedTxn>),
    /// In the transaction index of the segment with this base offset.
    File(Offset),
}

/// The state of a compaction after the dirty keys are mapped.
#[derive(Debug)]
pub(super) struct Begun {
    map: KeyMap,
    transactions: Transactions,
    groups: VecDeque<Vec<Source>>,
    /// Segments modified before this time lose their tombstones in formats 0 and 1.
    old_horizon: TimestampMs,
}

impl Compaction {
    /// Rewrites the next group of segments; `None` after the last. Blocks for reading and writing them; the log's lock
    /// is not needed. The first call also reads the keys of the dirty records.
    pub fn next_group(
        &mut self,
        buffers: &mut CompactionBuffers,
        throttle: Throttle<'_>,
    ) -> Result<Option<CleanedGroup>, CompactError> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.begin(buffers, throttle)?,
        };
        let group = match begun.groups.pop_front() {
            Some(sources) => Some(self.clean(&sources, &mut begun, buffers, throttle)?),
            None => None,
        };
        buffers.shrink();
        self.begun = Some(begun);
        Ok(group)
    }

    /// Returns the statistics so far.
    pub fn stats(&self) -> &CompactionStats {
        &self.stats
    }

    /// Returns the first dirty offset once all groups are in place: below `first_uncleanable` if the map became full.
    pub(super) fn mapped_to(&self) -> Offset {
        self.stats.to
    }

    fn begin(&mut self, buffers: &mut CompactionBuffers, throttle: Throttle<'_>) -> Result<Begun, CompactError> {
        let aborted = self.read_aborted()?;
        let keys = self.first_uncleanable.abs_diff(self.first_dirty);
        let map = KeyMap::new(buffers.map_bytes, buffers.load_factor, buffers.seed, keys);
        let mut map = map.ok_or_else(|| CompactError::Uncleanable {
            path: self.folder.path.clone(),
            why: format!("a map of {} bytes can not hold a single key", buffers.map_bytes),
        })?;
        self.stats.to = self.map_keys(&mut map, Transactions::new(aborted.clone()), buffers, throttle)?;
        self.stats.map_utilization = map.utilization();
        let to_clean: Vec<Source> = self.sources.iter().filter(|source| source.base < self.stats.to).copied().collect();
        let (transactions, groups) = (Transactions::new(aborted), self.group(to_clean)?);
        Ok(Begun { map, transactions, groups, old_horizon: self.old_horizon() })
    }

    fn read_aborted(&self) -> Result<Vec<AbortedTxn>, LogError> {
        let mut all = Vec::new();
        for list in &self.aborted {
            match list {
                AbortedIn::Memory(list) => all.extend_from_slice(list),
                AbortedIn::File(base) => {
                    let path = self.folder.file(*base, names::TXN_INDEX);
                    all.extend(txn_index::read(&self.folder.disk, &path).doing("reading", &path)?);
                }
            }
        }
        Ok(all)
    }

    /// Maps each key of the dirty records to its last offset; returns the offset up to which the keys fit into the map.
    fn map_keys(
        &mut self,
        map: &mut KeyMap,
        mut transactions: Transactions,
        buffers: &mut CompactionBuffers,
        throttle: Throttle<'_>,
    ) -> Result<Offset, CompactError> {
        let mut mapped_to = self.first_dirty;
        for source in self.sources.iter().filter(|source| source.end > self.first_dirty) {
            let CompactionBuffers { read, filter, io_bytes, .. } = &mut *buffers;
            let mut reader = Reader::open(&self.folder, *source, read, *io_bytes)?;
            loop {
                let (next_offset, outcome) = match reader.next(self.first_dirty, throttle)? {
                    None => break,
                    Some((header, batch)) => {
                        self.stats.map_bytes_read += batch.len() as u64;
                        let expanded = &mut filter.expanded;
                        let mapped = map_batch(&header, batch, self.first_dirty, map, &mut transactions, expanded);
                        (header.next_offset(), mapped)
                    }
                };
                match outcome {
                    Ok(records) => self.stats.map_records_read += records,
                    Err(Unmapped::Full { before }) => return Ok(before.max(mapped_to)),
                    Err(Unmapped::Corrupt(why)) => return Err(reader.corrupt(&why)),
                }
                mapped_to = mapped_to.max(next_offset);
            }
            mapped_to = mapped_to.max(source.end);
        }
        Ok(mapped_to)
    }

    /// Groups adjacent segments that together fit into one segment (Kafka's `groupSegmentsBySize`), so that compaction
    /// does not leave more and more small segments.
    fn group(&self, sources: Vec<Source>) -> Result<VecDeque<Vec<Source>>, LogError> {
        let (max_log, max_index) = (u64::from(self.config.segment_bytes), u64::from(self.config.segment_index_bytes));
        let mut groups: VecDeque<Vec<Source>> = VecDeque::new();
        let mut sums = [0; 3];
        for source in sources {
            let sizes = [source.size, self.len(source, names::OFFSET_INDEX)?, self.len(source, names::TIME_INDEX)?];
            let joined = [sums[0] + sizes[0], sums[1] + sizes[1], sums[2] + sizes[2]];
            let fits = joined[0] <= max_log && joined[1] <= max_index && joined[2] <= max_index;
            let offsets_fit = |first: &Source| source.end - 1 - first.base <= i64::from(i32::MAX) || source.size == 0;
            match groups.back_mut() {
                Some(group) if fits && group.first().is_some_and(offsets_fit) => {
                    group.push(source);
                    sums = joined;
                }
                _ => {
                    groups.push_back(vec![source]);
                    sums = sizes;
                }
            }
        }
        Ok(groups)
    }

    fn len(&self, source: Source, kind: &str) -> Result<u64, LogError> {
        let path = self.folder.file(source.base, kind);
        Ok(self.folder.disk.len(&path).doing("reading the size of", &path)?.unwrap_or(0))
    }

    /// Returns the modification time of the newest clean segment, minus `delete.retention.ms`.
    fn old_horizon(&self) -> TimestampMs {
        let compacted = self.sources.iter().rev().find(|source| source.base < self.first_dirty);
        compacted.map_or(0, |source| {
            let modified = self.folder.disk.modified(&self.folder.file(source.base, names::LOG));
            modified.saturating_sub(self.config.delete_retention_ms.max(0))
        })
    }

    /// Rewrites a group; removes its unfinished files if that fails.
    fn clean(
        &mut self,
        sources: &[Source],
        begun: &mut Begun,
        buffers: &mut CompactionBuffers,
        throttle: Throttle<'_>,
    ) -> Result<CleanedGroup, CompactError> {
        let base = sources.first().map_or(0, |first| first.base);
        let folder = self.folder.clone();
        let cleaned = self.rewrite(&folder, sources, begun, buffers, throttle);
        if cleaned.is_err() {
            // Files that can't be removed now are removed when the log is opened, or compacted again.
            let _ = cleaned::remove(&folder, base);
        }
        let finished = cleaned?;
        Ok(CleanedGroup { folder, base, finished, sources: sources.to_vec(), truncations: self.truncations })
    }

    fn rewrite(
        &mut self,
        folder: &PartitionFolder,
        sources: &[Source],
        begun: &mut Begun,
        buffers: &mut CompactionBuffers,
        throttle: Throttle<'_>,
    ) -> Result<cleaned::Finished, CompactError> {
        let CompactionBuffers { read, filter: filter_buffers, write, io_bytes, .. } = &mut *buffers;
        let base = sources.first().map_or(0, |first| first.base);
        let mut to = CleanedSegment::create(folder, base, self.config.index_interval_bytes, write, *io_bytes)?;
        let mut filter = Filter {
            now: self.now,
            delete_retention_ms: self.config.delete_retention_ms,
            map: &begun.map,
            mapped_to: self.stats.to,
            upper: self.first_uncleanable,
            producers: &self.producers,
            keeps_old_tombstones: true,
            transactions: &mut begun.transactions,
            stats: &mut self.stats,
        };
        let mut modified = 0;
        for source in sources {
            modified = folder.disk.modified(&folder.file(source.base, names::LOG));
            filter.keeps_old_tombstones = modified > begun.old_horizon;
            let mut reader = Reader::open(folder, *source, read, *io_bytes)?;
            while let Some((header, batch)) = reader.next(Offset::MIN, throttle)? {
                if header.last_offset() - base > i64::from(i32::MAX) {
                    return Err(reader.corrupt("its offsets don't fit into one segment"));
                }
                let outcome = filter.batch(&header, batch, filter_buffers, &mut to);
                outcome.map_err(|error| reader.corrupt(&error.to_string()))?;
                to.write_if_full(throttle)?;
            }
        }
        to.finish(modified, throttle)
    }
}

/// The reason that not all keys of a batch are in the map.
enum Unmapped {
    /// The map is full; all records before this offset are mapped.
    Full { before: Offset },
    /// The batch can't be read.
    Corrupt(String),
}

/// Puts the keys of a batch's records from `from` on into the map, unless they were aborted; returns the number of
/// records of the batch.
fn map_batch(
    header: &BatchHeader,
    batch: &[u8],
    from: Offset,
    map: &mut KeyMap,
    transactions: &mut Transactions,
    buffer: &mut Vec<u8>,
) -> Result<u64, Unmapped> {
    let corrupt = |error: ottla_wire::record::RecordError| Unmapped::Corrupt(error.to_string());
    let records = u64::try_from(header.record_count).unwrap_or(0);
    if header.is_control() {
        transactions.on_control(header, filter::control(header, batch, buffer).map_err(corrupt)?);
        return Ok(records);
    }
    if transactions.on_batch(header) {
        return Ok(records);
    }
    if header.is_old() {
        for record in filter::old_records(batch).map_err(corrupt)? {
            if let Some(key) = record.key.filter(|_| record.offset >= from) {
                map.put(&key, record.offset).map_err(|Full| Unmapped::Full { before: record.offset })?;
            }
        }
        return Ok(records);
    }
    for record in Expanded::new(header, batch, buffer).map_err(corrupt)?.records() {
        let record = record.map_err(corrupt)?;
        if let Some(key) = record.key.filter(|_| record.offset >= from) {
            map.put(key, record.offset).map_err(|Full| Unmapped::Full { before: record.offset })?;
        }
    }
    Ok(records)
}
