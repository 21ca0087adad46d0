//! The log of one partition: its state, and getters that read no file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::leader_epochs::LeaderEpochs;
use super::producers::{Producers, Verifications};
use super::segment::{PartitionFolder, Segment};
use super::{LogConfig, LogError, OpenReport, ProducerDescription, Validated};
use ottla_wire::types::{LeaderEpoch, Offset, TimestampMs};

/// Bytes appended within one millisecond until the file length is checked again.
const LENGTH_CHECK_BYTES: u64 = 64 << 10;

/// When an append last compared the length of the active segment's file with the expected length. The check is a system
/// call, too expensive for each of many small appends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LengthCheck {
    at: TimestampMs,
    position: u64,
}

impl LengthCheck {
    /// Returns whether to check the length before an append at `position`, and if so, counts the check as done. A check is
    /// due in another millisecond than the last one, in another file, and after [`LENGTH_CHECK_BYTES`].
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
/// Not synchronised: callers hold a lock around it. Bytes returned by [`Log::read`] stay valid and unchanged without
/// that lock for as long as the caller holds them.
///
/// Invariants: `segments` is never empty and ascending by base offset; only the last segment is appended to;
/// `start <= end`; all data in the files below `end` has passed the checks of an append.
#[derive(Debug)]
pub struct Log {
    pub(super) folder: PartitionFolder,
    pub(super) config: Arc<LogConfig>,
    pub(super) segments: Vec<Segment>,
    pub(super) start: Offset,
    pub(super) end: Offset,
    /// Bytes of all segments.
    pub(super) size: u64,
    /// All records below were synced.
    pub(super) durable: Offset,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: Producers,
    /// Transactions that may begin once the coordinator has confirmed them.
    pub(super) verifications: Verifications,
    /// Offsets of the producer snapshots on disk, ascending.
    pub(super) snapshots: Vec<Offset>,
    /// Bytes appended since the newest snapshot.
    pub(super) since_snapshot: u64,
    /// Timestamp of the active segment's first batch, the start of `segment.ms`; `None`: not read yet.
    pub(super) first_timestamp: Option<TimestampMs>,
    /// When the active segment was rolled or the log was opened, for batches without timestamps.
    pub(super) active_since: TimestampMs,
    pub(super) state: State,
    /// The log end offset at the last [`Log::check_active`].
    pub(super) checked_to: Offset,
    /// When an append last compared the length of the active segment's file.
    pub(super) length_check: LengthCheck,
    /// Everything below was compacted; `None`: nothing was.
    pub(super) first_dirty: Option<Offset>,
    /// Like `first_dirty`, but only as far as the compacted files are synced.
    pub(super) first_dirty_synced: Option<Offset>,
    /// Number of full truncations. A compaction that began before one must not continue.
    pub(super) truncations: u64,
    /// Small files that were written but not synced.
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
    /// A write or a sync failed: the content of the files is uncertain until the log is reopened ([`Log::reopen`]).
    Failed(Failure),
}

/// The failure that closed a log to writes.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: Arc<LogError>,
    /// A sync failed: the kernel may have marked unsynced pages as clean although they are not on disk.
    pub(super) sync_failed: bool,
    /// Another process truncated or removed a file of the log.
    pub(super) data_lost: bool,
    /// Size of the batch whose append failed.
    pub(super) append_size: u64,
    /// The position up to which files and indexes are complete. A batch whose append failed after the batch itself was
    /// written is above it: the transaction index may lack its entry.
    pub(super) reach: Option<Validated>,
}

impl Failure {
    fn from_write(error: &LogError, reach: Option<Validated>) -> Failure {
        let data_lost = error.is_data_loss();
        Failure { error: Arc::new(error.clone()), sync_failed: false, data_lost, append_size: 0, reach }
    }

    pub(super) fn from_sync(error: LogError) -> Failure {
        Failure { error: Arc::new(error), sync_failed: true, data_lost: false, append_size: 0, reach: None }
    }
}

impl Log {
    /// Takes the report of the recovery; `None` if there is nothing to report, or it was taken before.
    pub fn take_open_report(&mut self) -> Option<Box<OpenReport>> {
        self.report.take()
    }

    /// The folder of the log.
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Changes the settings, from the next append or housekeeping on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The first offset that readers may see.
    pub fn start_offset(&self) -> Offset {
        self.start
    }

    /// The offset of the next record.
    pub fn end_offset(&self) -> Offset {
        self.end
    }

    /// The first offset of the oldest open transaction, or the log end offset.
    pub fn last_stable_offset(&self) -> Offset {
        // Trusted files may still contradict each other, so the value is limited to the log.
        self.producers.first_unstable().map_or(self.end, |first| first.clamp(self.start, self.end))
    }

    /// Total bytes of all segments, for retention and DescribeLogDirs.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The number of segments; at least one.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The newest leader epoch in the log.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest()
    }

    /// The largest known epoch not above `epoch` and its end offset; `None` when undefined
    /// (OffsetForLeaderEpoch returns -1, -1).
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_of(epoch, self.end)
    }

    /// The number of producers whose state is kept.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// The time of the last write in the oldest open transaction; `None` if no transaction is open.
    pub fn open_transaction_written_at(&self) -> Option<TimestampMs> {
        self.producers.open_transaction_written_at()
    }

    /// The active producers, for DescribeProducers.
    pub fn producers(&self) -> Vec<ProducerDescription> {
        self.producers.describe()
    }

    /// All records below are synced and survive a power loss.
    pub fn durable_offset(&self) -> Offset {
        self.durable
    }

    /// The first dirty offset for the checkpoint, durable; `None` if the log was never compacted.
    pub fn first_dirty_offset(&self) -> Option<Offset> {
        self.first_dirty_synced
    }

    /// The recovery point for the checkpoint: below it records and indexes are synced, and recovery after a power loss
    /// starts there.
    ///
    /// It is inside the first segment that isn't fully synced, never at its end: recovery trusts a segment that ends at
    /// the recovery point, but rolling it or recovering it may have changed its files since the sync.
    pub fn recovery_point(&self) -> Offset {
        let last = self.segments.len() - 1;
        let is_fully_synced = |index: usize| index < last && self.segments[index].is_synced();
        match (0..=last).find(|index| self.segments[*index].size() > 0 && !is_fully_synced(*index)) {
            Some(index) => self.durable.min(self.end_of_segment(index) - 1).max(self.start),
            None => self.durable,
        }
    }

    /// The position up to which the files are valid, for the positions file; `None` for a log without files and after a
    /// failure.
    pub fn validated(&self) -> Option<Validated> {
        if self.failure().is_some() { None } else { self.reach() }
    }

    /// The position of the log end in the files.
    pub(super) fn reach(&self) -> Option<Validated> {
        let active = self.segments.last().filter(|active| active.exists())?;
        Some(Validated { segment: active.base(), position: active.size(), next_offset: self.end })
    }

    /// The error that closed the log to writes, if there was one.
    pub fn failure(&self) -> Option<&LogError> {
        match &self.state {
            State::Failed(failure) => Some(&failure.error),
            State::Open | State::Closed => None,
        }
    }

    /// Closes the log to reads and writes if the error of a read shows that acknowledged records are lost.
    pub fn close_on_data_loss(&mut self, error: &LogError) {
        if error.is_data_loss() && matches!(self.state, State::Open) {
            self.latch(error);
        }
    }

    /// Fails if the log is closed or has failed.
    pub(super) fn check_open(&self) -> Result<(), LogError> {
        match &self.state {
            State::Open => Ok(()),
            State::Closed => Err(LogError::Closed),
            State::Failed(failure) => Err(LogError::Latched(Arc::clone(&failure.error))),
        }
    }

    /// Fails if reads could return other bytes than were written.
    pub(super) fn check_readable(&self) -> Result<(), LogError> {
        match &self.state {
            State::Failed(failure) if failure.sync_failed || failure.data_lost => {
                Err(LogError::Latched(Arc::clone(&failure.error)))
            }
            _ => Ok(()),
        }
    }

    /// Runs a write operation. If it fails, the log is closed to writes.
    pub(super) fn writing<T>(&mut self, write: impl FnOnce(&mut Log) -> Result<T, LogError>) -> Result<T, LogError> {
        self.check_open()?;
        write(self).inspect_err(|error| self.latch(error))
    }

    /// Like [`Log::writing`], for operations that can be retried when the process had no free file descriptor: that error
    /// doesn't close the log.
    pub(super) fn retrying<T>(&mut self, write: impl FnOnce(&mut Log) -> Result<T, LogError>) -> Result<T, LogError> {
        self.check_open()?;
        write(self).inspect_err(|error| {
            if !error.is_fd_exhaustion() {
                self.latch(error);
            }
        })
    }

    /// Closes the log to writes: the content of its files is uncertain.
    pub(super) fn latch(&mut self, error: &LogError) {
        self.state = State::Failed(Failure::from_write(error, self.reach()));
    }

    /// The index of the segment that contains `offset` (or has the gap with `offset` after it).
    pub(super) fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base() <= offset).saturating_sub(1)
    }

    /// The offset after a segment's last one: the base offset of the next segment, or the log end.
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
