//! Log compaction: of all records with the same key the newest stays (Kafka's `LogCleaner`).
//!
//! # How a log is compacted
//! 1. [`Log::cleanable`], under the partition's lock, says whether it pays: how much of the log is dirty.
//! 2. [`Log::begin_compaction`], under the lock, takes down what there is to do: a [`Compaction`], which owns all it needs.
//!    Then the log is synced: markers of transactions, which decide what goes, have to outlast a power loss before it goes.
//! 3. [`Compaction::next_group`], without the lock and on a blocking thread, first reads the dirty records' keys into
//!    a map of bounded memory, then group by group writes segments anew, as `.cleaned` files, synced.
//! 4. [`Log::replace`], under the lock, puts each group in the place of what it was made from: renames, nothing else.
//! 5. [`Log::finish_compaction`], under the lock, after the last group: what was mapped is clean now.
//!
//! Whoever stops in between has lost nothing: the groups in place are right, the log counts as dirty as before.
//!
//! ```text
//! let Some(mut compaction) = log.lock().begin_compaction(now)? else { return Ok(()) };
//! // sync a ticket
//! while let Some(group) = compaction.next_group(&mut buffers, &mut pace)? {
//!     match log.lock().replace(group)? {
//!         Replaced::InPlace(files) => later.push(files),                // unlinked after file.delete.delay.ms
//!         Replaced::LogChanged(files) => return files.unlink(),         // begin again another time
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
use self::filter::Rooms;
pub(super) use self::leftovers::finish_interrupted;
use super::segment::Place;
use super::{DeletedFiles, LogError};
use ottla_wire::types::Offset;

/// Less is never read or written at a time.
const SMALLEST_IO: usize = 4 << 10;

/// Told how many bytes were read or written since it was last called. It may wait, to throttle;
/// [`ControlFlow::Break`] ends the work with [`CompactError::Abandoned`].
pub type Pace<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// What there is to compact in a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleanable {
    /// Everything below was compacted before.
    pub first_dirty: Offset,
    /// Nothing from here on may be compacted now: where a segment begins.
    pub first_uncleanable: Offset,
    /// Bytes of the segments below `first_dirty`.
    pub clean_bytes: u64,
    /// Bytes of the segments from `first_dirty` up to `first_uncleanable`.
    pub dirty_bytes: u64,
    /// `min.cleanable.dirty.ratio` of the topic.
    pub min_dirty_ratio: f64,
    /// How long ago `max.compaction.lag.ms` wanted the oldest dirty record compacted, in ms; 0: it doesn't yet.
    pub overdue_ms: i64,
    /// The checkpoint's offset, if it lay before the log start and so was raised to it.
    pub raised_from: Option<Offset>,
}

impl Cleanable {
    /// Which part of what could be compacted is dirty: 0 to 1. The dirtiest log is compacted first.
    pub fn dirty_ratio(&self) -> f64 {
        self.dirty_bytes as f64 / (self.clean_bytes + self.dirty_bytes) as f64
    }

    /// Whether it is to be compacted now.
    pub fn is_due(&self) -> bool {
        self.overdue_ms > 0 && self.dirty_bytes > 0 || self.dirty_ratio() > self.min_dirty_ratio
    }
}

/// Memory that compactions use one after another, and how much of it they may take.
#[derive(Debug)]
pub struct CompactionBuffers {
    map_bytes: usize,
    load_factor: f64,
    io_bytes: usize,
    seed: u64,
    read: Vec<u8>,
    write: Vec<u8>,
    rooms: Rooms,
}

impl CompactionBuffers {
    /// Takes no memory before it is needed.
    ///
    /// A map of keys has `map_bytes` at most (`log.cleaner.dedupe.buffer.size`, divided by the number of threads), but
    /// no more than the log at hand can fill, and gets as full as `load_factor` says, 0 to 1
    /// (`log.cleaner.io.buffer.load.factor`). Files are read and written `io_bytes` at a time
    /// (`log.cleaner.io.buffer.size`, divided by the number of threads); a batch larger than that makes a buffer grow
    /// until its group is written. `seed` is a random number that goes into the hashes of keys.
    pub fn new(map_bytes: usize, load_factor: f64, io_bytes: usize, seed: u64) -> CompactionBuffers {
        let io_bytes = io_bytes.max(SMALLEST_IO);
        let (read, write, rooms) = (Vec::new(), Vec::new(), Rooms::default());
        CompactionBuffers { map_bytes, load_factor, io_bytes, seed, read, write, rooms }
    }

    /// Gives back what was taken for batches larger than usual.
    fn shrink(&mut self) {
        for buffer in [&mut self.read, &mut self.write] {
            buffer.clear();
            buffer.shrink_to(2 * self.io_bytes);
        }
        self.rooms.shrink_to(2 * self.io_bytes);
    }
}

/// What a compaction read and wrote, for the log line and the metrics of the cleaner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CompactionStats {
    /// The dirty range that was compacted: from the first dirty offset to the first that is left dirty.
    pub from: Offset,
    pub to: Offset,
    /// Read to map the keys.
    pub map_bytes_read: u64,
    pub map_records_read: u64,
    /// Read to write segments anew.
    pub bytes_read: u64,
    pub records_read: u64,
    pub bytes_written: u64,
    pub records_written: u64,
    /// Records without a key, which a compacted topic should not have: they were dropped.
    pub records_without_key: u64,
    /// How full the map was, 0 to 1.
    pub map_utilization: f64,
}

/// Segments written anew as one, synced, and not yet in their place.
#[derive(Debug)]
pub struct CleanedGroup {
    place: Place,
    base: Offset,
    finished: Finished,
    /// The segments it was made from.
    sources: Vec<Source>,
    truncations: u64,
}

/// What became of a [`CleanedGroup`].
#[derive(Debug)]
#[must_use = "the files stay on disk until they are unlinked"]
pub enum Replaced {
    /// It is part of the log; the files are the old segments'.
    InPlace(DeletedFiles),
    /// The log was emptied, or old segments deleted, since the compaction began, which has to end here. Nothing was
    /// changed; the files are those that were written for nothing.
    LogChanged(DeletedFiles),
}

/// Why a compaction didn't go on. No record was lost, and the files it had begun are gone, or go when the log opens.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CompactError {
    /// [`Pace`] wanted it to end, or segments it was to read were deleted meanwhile.
    #[error("compaction was abandoned")]
    Abandoned,
    /// What a segment holds can't be compacted: it is corrupt, or larger than memory allows. Trying again would
    /// end the same way, so the partition is to be left alone until its log is opened again.
    #[error("{} cannot be compacted: {why}", path.display())]
    Uncleanable { path: std::path::PathBuf, why: String },
    /// The disk failed. Nothing the log has was touched: it goes on taking appends.
    #[error(transparent)]
    Storage(#[from] LogError),
}

/// Tells `pace` of bytes that were read or written.
fn go_on(pace: Pace<'_>, bytes: u64) -> Result<(), CompactError> {
    match pace(bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(CompactError::Abandoned),
    }
}
