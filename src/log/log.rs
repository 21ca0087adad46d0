//! One partition's log: what it is made of, and what can be said of it without reading.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::leader_epochs::LeaderEpochs;
use super::producers::Producers;
use super::segment::{Place, Segment};
use super::{LogConfig, LogError, OpenReport, ProducerDescription, Validated};
use ottla_wire::types::{LeaderEpoch, Offset, TimestampMs};

/// Bytes that are appended within a millisecond before the length of the file is compared again.
const LENGTH_CHECK_BYTES: u64 = 64 << 10;

/// When an append last compared the length of the active segment's file with what is published: a system call, which
/// costs more than is to be spent on each of many small appends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LengthCheck {
    at: TimestampMs,
    position: u64,
}

impl LengthCheck {
    /// Whether the length is to be compared before an append at `position`; if so, that is noted as done. It is in
    /// another millisecond than the last time, in another file, or [`LENGTH_CHECK_BYTES`] further.
    pub fn is_due(&mut self, now: TimestampMs, position: u64) -> bool {
        let appended = position.checked_sub(self.position);
        let is_due = now != self.at || appended.is_none_or(|bytes| bytes == 0 || bytes >= LENGTH_CHECK_BYTES);
        if is_due {
            *self = LengthCheck { at: now, position };
        }
        is_due
    }
}

/// One partition's log: a folder `<topic>-<n>` of segments.
///
/// Not synchronised: callers hold a lock around it. Bytes that [`Log::read`] gave out stay valid and
/// unchanged outside of that lock for as long as they are held, whatever happens to the log.
///
/// Invariants: `segments` is never empty, ascending by base offset, and only the last is appended to;
/// `start <= end`; everything in the files below `end` has passed the checks of an append.
#[derive(Debug)]
pub struct Log {
    pub(super) place: Place,
    pub(super) config: Arc<LogConfig>,
    pub(super) segments: Vec<Segment>,
    pub(super) start: Offset,
    pub(super) end: Offset,
    /// Bytes of all segments.
    pub(super) size: u64,
    /// Every record below was synced.
    pub(super) durable: Offset,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: Producers,
    /// Offsets of the producer snapshots on disk, ascending.
    pub(super) snapshots: Vec<Offset>,
    /// Bytes appended since the newest snapshot.
    pub(super) since_snapshot: u64,
    /// Timestamp of the active segment's first batch, from which `segment.ms` counts; `None`: not read yet.
    pub(super) first_timestamp: Option<TimestampMs>,
    /// When the active segment began, for batches without timestamps.
    pub(super) active_since: TimestampMs,
    pub(super) state: State,
    /// Where the log ended when [`Log::check_active`] last looked at its files.
    pub(super) checked_to: Offset,
    /// When an append last compared the length of the active segment's file.
    pub(super) length_check: LengthCheck,
    /// Everything below was compacted; `None`: nothing was.
    pub(super) first_dirty: Option<Offset>,
    /// As `first_dirty`, once the files that compaction has put in place are sure to outlast a power loss.
    pub(super) first_dirty_synced: Option<Offset>,
    /// How often the log was emptied: what was read of it before is of another log.
    pub(super) truncations: u64,
    /// Small files that were written and not synced.
    pub(super) unsynced: Vec<PathBuf>,
    /// Whether names in the folder have changed since it was synced.
    pub(super) folder_changed: bool,
    pub(super) report: Option<Box<OpenReport>>,
}

/// Whether a log takes appends.
#[derive(Clone, Debug)]
pub(super) enum State {
    Open,
    /// Closed or deleted by its owner.
    Closed,
    /// A write or a sync failed: what the files hold is uncertain until they are read again ([`Log::reopen`]).
    Failed(Failure),
}

/// What closed a log to writes.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: Arc<LogError>,
    /// It was a sync: the kernel may have forgotten that what was appended since the last one isn't on disk.
    pub(super) of_sync: bool,
    /// Somebody else has cut or removed a file of the log.
    pub(super) of_loss: bool,
    /// How many bytes were to be appended when it happened.
    pub(super) wanted: u64,
}

impl Failure {
    fn of_write(error: &LogError) -> Failure {
        Failure { error: Arc::new(error.clone()), of_sync: false, of_loss: error.is_loss(), wanted: 0 }
    }

    pub(super) fn of_sync(error: LogError) -> Failure {
        Failure { error: Arc::new(error), of_sync: true, of_loss: false, wanted: 0 }
    }
}

impl Log {
    /// What opening found, once.
    pub fn take_open_report(&mut self) -> Option<Box<OpenReport>> {
        self.report.take()
    }

    /// The folder the log lives in.
    pub fn path(&self) -> &Path {
        &self.place.folder
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Takes effect with the next append or housekeeping.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The first offset that readers may see.
    pub fn start_offset(&self) -> Offset {
        self.start
    }

    /// The offset that the next record gets.
    pub fn end_offset(&self) -> Offset {
        self.end
    }

    /// The first offset of the oldest open transaction, or the log end offset.
    pub fn last_stable_offset(&self) -> Offset {
        // Files that were believed may contradict each other: it lies within the log all the same.
        self.producers.first_unstable().map_or(self.end, |first| first.clamp(self.start, self.end))
    }

    /// Bytes of all batches: what retention and DescribeLogDirs count.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many segments there are; at least one.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The newest leader epoch that has written here.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest()
    }

    /// The largest epoch known that is not above `epoch`, and where it ends; `None` when undefined
    /// (OffsetForLeaderEpoch answers -1, -1).
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_of(epoch, self.end)
    }

    /// The producers remembered, for DescribeProducers.
    pub fn producers(&self) -> Vec<ProducerDescription> {
        self.producers.describe()
    }

    /// Every record below survives a power loss.
    pub fn durable_offset(&self) -> Offset {
        self.durable
    }

    /// For the checkpoint: up to where the log was compacted, durably; `None` if it never was.
    pub fn first_dirty_offset(&self) -> Option<Offset> {
        self.first_dirty_synced
    }

    /// For the checkpoint: where a check after a power loss begins. Below it records and indexes were synced.
    ///
    /// It lies inside of the last segment, or of an earlier one that isn't wholly synced, never at its end: a segment
    /// that ends there is taken for whole, while sealing, or a recovery, may have changed its files since.
    pub fn recovery_point(&self) -> Offset {
        let last = self.segments.len() - 1;
        let whole = |index: usize| index < last && self.segments[index].is_synced();
        match (0..=last).find(|index| self.segments[*index].size() > 0 && !whole(*index)) {
            Some(index) => self.durable.min(self.end_of_segment(index) - 1).max(self.start),
            None => self.durable,
        }
    }

    /// How far the files are whole, for `LogDir::write_positions`; `None` for a log without files, and for one
    /// that failed.
    pub fn validated(&self) -> Option<Validated> {
        if self.failure().is_some() { None } else { self.reach() }
    }

    /// Where what was appended ends, in the files.
    pub(super) fn reach(&self) -> Option<Validated> {
        let active = self.segments.last().filter(|active| active.exists())?;
        Some(Validated { segment: active.base(), position: active.size(), next_offset: self.end })
    }

    /// Why the log is closed to writes, if it failed.
    pub fn failure(&self) -> Option<&LogError> {
        match &self.state {
            State::Failed(failure) => Some(&failure.error),
            State::Open | State::Closed => None,
        }
    }

    /// Closes the log, to reads as well, if the error of a read shows that records which were acknowledged are gone.
    pub fn note_read_failure(&mut self, error: &LogError) {
        if error.is_loss() && matches!(self.state, State::Open) {
            self.latch(error);
        }
    }

    /// Refuses changes of a log that is closed or has failed.
    pub(super) fn check_open(&self) -> Result<(), LogError> {
        match &self.state {
            State::Open => Ok(()),
            State::Closed => Err(LogError::Closed),
            State::Failed(failure) => Err(LogError::Latched(Arc::clone(&failure.error))),
        }
    }

    /// Refuses reading where what is read may not be what was written.
    pub(super) fn check_readable(&self) -> Result<(), LogError> {
        match &self.state {
            State::Failed(failure) if failure.of_sync || failure.of_loss => {
                Err(LogError::Latched(Arc::clone(&failure.error)))
            }
            _ => Ok(()),
        }
    }

    /// Does something that writes; if it fails, the log is closed to writes.
    pub(super) fn writing<T>(&mut self, write: impl FnOnce(&mut Log) -> Result<T, LogError>) -> Result<T, LogError> {
        self.check_open()?;
        write(self).inspect_err(|error| self.latch(error))
    }

    /// As [`Log::writing`], for what can be done again after a file couldn't be opened: want of a descriptor is then an
    /// error, and no more.
    pub(super) fn retrying<T>(&mut self, write: impl FnOnce(&mut Log) -> Result<T, LogError>) -> Result<T, LogError> {
        self.check_open()?;
        write(self).inspect_err(|error| {
            if !error.is_want_of_descriptors() {
                self.latch(error);
            }
        })
    }

    /// Closes the log to writes: what its files hold is uncertain.
    pub(super) fn latch(&mut self, error: &LogError) {
        self.state = State::Failed(Failure::of_write(error));
    }

    /// The place in `segments` of the one that holds `offset` (or the gap after it).
    pub(super) fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base() <= offset).saturating_sub(1)
    }

    /// Where the offsets of a segment end.
    pub(super) fn end_of_segment(&self, index: usize) -> Offset {
        self.segments.get(index + 1).map_or(self.end, Segment::base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_check_is_due_once_per_millisecond_and_64_kib() {
        let mut check = LengthCheck::default();
        let due: Vec<bool> =
            [(1, 0), (1, 100), (1, 65_535), (2, 65_600), (2, 65_700), (2, 131_136), (2, 131_137), (2, 50)]
                .into_iter()
                .map(|(now, position)| check.is_due(now, position))
                .collect();
        assert_eq!(due, [true, false, false, true, false, true, false, true], "a lower position is in another file");
    }
}
