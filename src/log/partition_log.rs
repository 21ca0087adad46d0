//! One partition's log.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::record::Verified;
use crate::types::{LeaderEpoch, Offset, TimestampMs, Uuid};

/// One partition's log: a folder `<topic>-<n>` of segments.
///
/// Not synchronised: callers hold a lock around it. Bytes that [`Log::read`] gave out stay valid and
/// unchanged outside of that lock for as long as they are held, whatever happens to the log.
#[derive(Debug)]
pub struct Log {}

impl Log {
    /// Opens the log in `dir`, which is created if it doesn't exist, and recovers it as far as `at` says is
    /// needed. An empty log opens no file until its first append.
    pub fn open(_disk: &Disk, _dir: &Path, _config: Arc<LogConfig>, _at: OpenAt) -> Result<Log, LogError> {
        todo!()
    }

    /// What opening found, once.
    pub fn take_open_report(&mut self) -> Option<Box<OpenReport>> {
        todo!()
    }

    /// The folder the log lives in.
    pub fn path(&self) -> &Path {
        todo!()
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        todo!()
    }

    /// Takes effect with the next append or housekeeping.
    pub fn set_config(&mut self, _config: Arc<LogConfig>) {
        todo!()
    }

    /// Appends one batch: assigns offsets, stores, indexes. On an error nothing was appended; an
    /// [`AppendError::Storage`] closes the log to writes until it is reopened.
    pub fn append(&mut self, _batch: &Verified, _how: AppendAs) -> Result<Appended, AppendError> {
        todo!()
    }

    /// Whole batches of one segment from the one that holds `from` (or the next there is), at most
    /// `max_bytes`, none of which begins at `up_to` or later. With `at_least_one`, a first batch larger than
    /// `max_bytes` is returned whole.
    pub fn read(
        &self,
        _from: Offset,
        _max_bytes: usize,
        _at_least_one: bool,
        _up_to: Offset,
    ) -> Result<Slice, ReadError> {
        todo!()
    }

    /// The first offset that readers may see.
    pub fn start_offset(&self) -> Offset {
        todo!()
    }

    /// The offset that the next record gets.
    pub fn end_offset(&self) -> Offset {
        todo!()
    }

    /// The first offset of the oldest open transaction, or the log end offset.
    pub fn last_stable_offset(&self) -> Offset {
        todo!()
    }

    /// Bytes of all batches: what retention and DescribeLogDirs count.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// The newest leader epoch that has written here.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        todo!()
    }

    /// The largest epoch known that is not above `epoch`, and where it ends; `None` when undefined
    /// (OffsetForLeaderEpoch answers -1, -1).
    pub fn end_offset_for_epoch(&self, _epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        todo!()
    }

    /// Answers ListOffsets. `Latest` is the log end; a caller that reads committed compares with
    /// [`Log::last_stable_offset`].
    pub fn offset_for_timestamp(&self, _query: TimestampQuery) -> Result<Option<TimestampOffset>, LogError> {
        todo!()
    }

    /// Aborted transactions with records in `from..up_to` (`up_to` = `Slice::next_offset`).
    pub fn aborted_transactions(&self, _from: Offset, _up_to: Offset) -> Result<Vec<AbortedTxn>, LogError> {
        todo!()
    }

    /// The producers remembered, for DescribeProducers.
    pub fn producers(&self) -> Vec<ProducerDescription> {
        todo!()
    }

    /// Moves the log start to `before` (DeleteRecords); -1 is not translated here. Returns the new log start.
    pub fn delete_records(&mut self, _before: Offset) -> Result<Offset, ReadError> {
        todo!()
    }

    /// Drops everything; the next record gets `new_start`.
    pub fn truncate_fully(&mut self, _new_start: Offset, _now: TimestampMs) -> Result<DeletedFiles, LogError> {
        todo!()
    }

    /// Retention by log start, size and time, in Kafka's order; forgets expired producers; gives mappings of
    /// cold segments back. The files returned are to be unlinked after `file.delete.delay.ms`.
    pub fn housekeep(&mut self, _now: TimestampMs) -> Result<DeletedFiles, LogError> {
        todo!()
    }

    /// What has to be synced for everything appended so far to be durable.
    pub fn flush_target(&mut self) -> Result<SyncTicket, LogError> {
        todo!()
    }

    /// As [`Log::flush_target`], for sealed segments only: what Kafka syncs after a roll.
    pub fn flush_sealed(&mut self) -> Result<SyncTicket, LogError> {
        todo!()
    }

    /// Moves the recovery point, or closes the log to writes when the sync failed.
    pub fn mark_synced(&mut self, _outcome: Result<Synced, LogError>) {
        todo!()
    }

    /// Everything below was synced.
    pub fn recovery_point(&self) -> Offset {
        todo!()
    }

    /// How far the files are whole, for [`LogDir::write_positions`]; `None` for a log without records.
    pub fn validated(&self) -> Option<Validated> {
        todo!()
    }

    /// Why the log is closed to writes, if it is.
    pub fn failure(&self) -> Option<&LogError> {
        todo!()
    }

    /// Closes cleanly: trims files, writes indexes and the producer snapshot. The log may say so
    /// (`LogDir::mark_clean`) once the ticket is synced. Reading still works, appending doesn't.
    pub fn close(&mut self, _now: TimestampMs) -> Result<SyncTicket, LogError> {
        todo!()
    }

    /// Renames the folder to `<topic>-<n>.<unique>-delete` and closes the log.
    pub fn delete(&mut self, _unique: Uuid) -> Result<DeletedFiles, LogError> {
        todo!()
    }
}
