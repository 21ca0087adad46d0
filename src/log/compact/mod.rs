//! Log compaction: of all records with the same key only the newest is kept (Kafka's `LogCleaner`).
//!
//! # How a log is compacted
//! 1. [`Log::cleanable`], under the partition's lock, returns how much of the log is dirty, which decides whether to
//!    compact.
//! 2. [`Log::begin_compaction`], under the lock, plans the work: a [`Compaction`], which owns all it needs. Then the log
//!    is synced: transaction markers decide which records are removed, so they must be durable first.
//! 3. [`Compaction::next_group`], without the lock and on a blocking thread, first reads the keys of the dirty records
//!    into a map of bounded memory, then rewrites one group of segments per call, into synced `.cleaned` files.
//! 4. [`Log::replace`], under the lock, replaces each group's source segments by it: renames, nothing else.
//! 5. [`Log::finish_compaction`], under the lock, after the last group: advances the first dirty offset.
//!
//! A compaction that stops in between loses nothing: replaced groups are valid, and the first dirty offset is unchanged.
//!
//! ```text
//! let Some(mut compaction) = log.lock().begin_compaction(now)? else { return Ok(()) };
//! // sync a ticket
//! while let Some(group) = compaction.next_group(&mut buffers, &mut throttle)? {
//!     match log.lock().replace(group)? {
//!         Replaced::InPlace(files) => later.push(files),                // unlinked after file.delete.delay.ms
//!         Replaced::LogChanged(files) => return files.unlink(),         // try again later
//!     }
//! }
//! log.lock().finish_compaction(&compaction)?;                           // then sync a ticket, as after appends
//! ```

mod cleaned;
mod compaction;
mod filter;
mod key_map;
mod leftovers;
mod plan;
mod reader;
mod swap;
#[cfg(test)]
mod tests;
mod transactions;

use std::ops::ControlFlow;

use self::cleaned::Finished;
pub use self::compaction::Compaction;
use self::compaction::{AbortedIn, Source};
use self::filter::FilterBuffers;
pub(super) use self::leftovers::finish_interrupted;
use super::segment::PartitionFolder;
use super::{DeletedFiles, LogError};
use ottla_wire::types::Offset;

/// The smallest size of the I/O buffers.
const SMALLEST_IO: usize = 4 << 10;

/// A throttle: called with the number of bytes read or written since the last call. It may block;
/// [`ControlFlow::Break`] ends the work with [`CompactError::Abandoned`].
pub type Throttle<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// The part of a log that can be compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleanable {
    /// All records below this offset were compacted before.
    pub first_dirty: Offset,
    /// The base offset of the first segment that may not be compacted now.
    pub first_uncleanable: Offset,
    /// Bytes of the segments below `first_dirty`.
    pub clean_bytes: u64,
    /// Bytes of the segments from `first_dirty` up to `first_uncleanable`.
    pub dirty_bytes: u64,
    /// `min.cleanable.dirty.ratio` of the topic.
    pub min_dirty_ratio: f64,
    /// By how much the oldest dirty record exceeds `max.compaction.lag.ms`, in ms; 0 if it doesn't.
    pub overdue_ms: i64,
    /// The checkpoint's offset, if it was below the log start and so was raised to it.
    pub raised_from: Option<Offset>,
}

impl Cleanable {
    /// Returns the ratio of dirty to all cleanable bytes, 0 to 1. The log with the highest ratio is compacted first.
    pub fn dirty_ratio(&self) -> f64 {
        self.dirty_bytes as f64 / (self.clean_bytes + self.dirty_bytes) as f64
    }

    /// Returns whether the log should be compacted now.
    pub fn is_due(&self) -> bool {
        self.overdue_ms > 0 && self.dirty_bytes > 0 || self.dirty_ratio() > self.min_dirty_ratio
    }
}

/// Memory that successive compactions reuse, and its limits.
#[derive(Debug)]
pub struct CompactionBuffers {
    map_bytes: usize,
    load_factor: f64,
    io_bytes: usize,
    seed: u64,
    read: Vec<u8>,
    write: Vec<u8>,
    filter: FilterBuffers,
}

impl CompactionBuffers {
    /// Creates empty buffers; memory is allocated when needed.
    ///
    /// A map of keys takes at most `map_bytes` (`log.cleaner.dedupe.buffer.size`, divided by the number of threads), but
    /// no more than the log's keys need, and is filled up to `load_factor`, 0 to 1
    /// (`log.cleaner.io.buffer.load.factor`). Files are read and written `io_bytes` at a time
    /// (`log.cleaner.io.buffer.size`, divided by the number of threads); a larger batch makes a buffer grow until its
    /// group is written. `seed` is a random number that seeds the hashes of keys.
    pub fn new(map_bytes: usize, load_factor: f64, io_bytes: usize, seed: u64) -> CompactionBuffers {
        let io_bytes = io_bytes.max(SMALLEST_IO);
        let (read, write, filter) = (Vec::new(), Vec::new(), FilterBuffers::default());
        CompactionBuffers { map_bytes, load_factor, io_bytes, seed, read, write, filter }
    }

    /// Frees memory that was allocated for unusually large batches.
    fn shrink(&mut self) {
        for buffer in [&mut self.read, &mut self.write] {
            buffer.clear();
            buffer.shrink_to(2 * self.io_bytes);
        }
        self.filter.shrink_to(2 * self.io_bytes);
    }
}

/// Statistics of a compaction, for the log line and the metrics of the cleaner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CompactionStats {
    /// The compacted dirty range: from the first dirty offset before to the first dirty offset after.
    pub from: Offset,
    pub to: Offset,
    /// Read to map the keys.
    pub map_bytes_read: u64,
    pub map_records_read: u64,
    /// Read to rewrite segments.
    pub bytes_read: u64,
    pub records_read: u64,
    pub bytes_written: u64,
    pub records_written: u64,
    /// Dropped records without a key, which a compacted topic should not have.
    pub records_without_key: u64,
    /// The used part of the map, 0 to 1.
    pub map_utilization: f64,
}

/// A group of segments rewritten as one, synced, and not yet part of the log.
#[derive(Debug)]
pub struct CleanedGroup {
    folder: PartitionFolder,
    base: Offset,
    finished: Finished,
    /// The segments that it replaces.
    sources: Vec<Source>,
    truncations: u64,
}

/// The outcome of `Log::replace`.
#[derive(Debug)]
#[must_use = "the files stay on disk until they are unlinked"]
pub enum Replaced {
    /// The group is part of the log; the files are those of the old segments.
    InPlace(DeletedFiles),
    /// The log was emptied, or old segments were deleted, since the compaction began; the compaction has to end. The log
    /// was not changed; the files are those of the unused group.
    LogChanged(DeletedFiles),
}

/// An error that ends a compaction. No record was lost; unfinished files are removed now or when the log is opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CompactError {
    /// The [`Throttle`] ended it, or segments that it was to read were deleted meanwhile.
    #[error("compaction was abandoned")]
    Abandoned,
    /// A segment can't be compacted: it is corrupt, or needs more memory than allowed. Another attempt would fail in the
    /// same way, so the cleaner should skip the partition until its log is opened again.
    #[error("{} cannot be compacted: {why}", path.display())]
    Uncleanable { path: std::path::PathBuf, why: String },
    /// The disk failed. The log itself was not changed and still accepts appends.
    #[error(transparent)]
    Storage(#[from] LogError),
}

/// Reports `bytes` read or written to the throttle.
fn throttled(throttle: Throttle<'_>, bytes: u64) -> Result<(), CompactError> {
    match throttle(bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(CompactError::Abandoned),
    }
}
