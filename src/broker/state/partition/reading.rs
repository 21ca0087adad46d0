//! Reads of records and timestamps from the files of a partition's log. Failures are logged.

use super::unreadable::Attempt;
use super::{Isolation, Partition, PartitionError, Read};
use ottla_log::{Log, LogError, ReadError, Slice, TimestampOffset, TimestampQuery};
use ottla_wire::types::{Offset, TimestampMs};

impl Partition {
    /// Reads whole batches from offset `from`, which can only be sent (see [`Log::read`]).
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<Read, PartitionError> {
        self.read_with(isolation, from, |log, up_to| log.read(from, max_bytes, at_least_one, up_to))
    }

    /// Reads as [`Partition::read`] does, for callers that read the bytes of the records.
    pub fn read_copied(
        &self,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<Read, PartitionError> {
        self.read_with(isolation, from, |log, up_to| log.read_copied(from, max_bytes, at_least_one, up_to))
    }

    fn read_with(
        &self,
        isolation: Isolation,
        from: Offset,
        read: impl FnOnce(&Log, Offset) -> Result<Slice, ReadError>,
    ) -> Result<Read, PartitionError> {
        let read = self.read_log(Attempt::Records(from), |log| {
            let last_stable_offset = log.last_stable_offset();
            let up_to = match isolation {
                Isolation::ReadUncommitted => log.end_offset(),
                Isolation::ReadCommitted => last_stable_offset,
            };
            let slice = read(log, up_to)?;
            let aborted = match isolation {
                Isolation::ReadCommitted if !slice.bytes.is_empty() => {
                    log.aborted_transactions(from, slice.next_offset)?
                }
                _ => Vec::new(),
            };
            Ok(Read {
                slice,
                high_watermark: log.end_offset(),
                last_stable_offset,
                log_start_offset: log.start_offset(),
                committed_only: isolation == Isolation::ReadCommitted,
                aborted,
            })
        });
        read.inspect(|read| self.unreadable.succeeded(&self.id, Attempt::Records(from), read.slice.next_offset))
    }

    /// Looks up an offset for ListOffsets. The end of the log has the current leader epoch, because the next record
    /// will have it.
    pub fn offset_for_timestamp(&self, query: TimestampQuery) -> Result<Option<TimestampOffset>, PartitionError> {
        self.read_log(Attempt::Timestamp(query), |log| {
            let found = log.offset_for_timestamp(query)?;
            Ok(found.map(|found| match query {
                TimestampQuery::Earliest | TimestampQuery::Latest if found.offset == log.end_offset() => {
                    TimestampOffset { leader_epoch: self.leader_epoch(), ..found }
                }
                _ => found,
            }))
        })
    }

    /// The base offsets of segments whose newest record is not later than `timestamp`, the newest first. The end of the
    /// log counts as the base offset of a segment with timestamp `now`.
    pub fn segment_offsets_before(
        &self,
        timestamp: TimestampMs,
        now: TimestampMs,
    ) -> Result<Vec<Offset>, PartitionError> {
        let marks = self.read_log(Attempt::SegmentTimestamps, |log| {
            let mut marks = log.segment_timestamps()?;
            if log.end_offset() > marks.last().map_or(log.start_offset(), |(offset, _)| *offset) {
                marks.push((log.end_offset(), now));
            }
            Ok(marks)
        })?;
        // All marks up to the newest one that is old enough.
        let count = marks.iter().rposition(|(_, newest)| *newest <= timestamp).map_or(0, |at| at + 1);
        Ok(marks[..count].iter().rev().map(|(offset, _)| *offset).collect())
    }

    /// Reads from the log and notes the outcome.
    fn read_log<T>(
        &self,
        attempt: Attempt,
        read: impl FnOnce(&Log) -> Result<T, PartitionError>,
    ) -> Result<T, PartitionError> {
        let mut log = self.log()?;
        let outcome = read(&log);
        self.noted(&mut log, attempt, outcome)
    }

    /// Notes and returns the outcome of an access to the log's files.
    pub(super) fn noted<T>(
        &self,
        log: &mut Log,
        attempt: Attempt,
        outcome: Result<T, PartitionError>,
    ) -> Result<T, PartitionError> {
        match &outcome {
            Err(PartitionError::Storage(error)) => self.note_read_failure(log, attempt, error),
            Ok(_) => self.unreadable.succeeded(&self.id, attempt, 0),
            Err(_) => {}
        }
        outcome
    }

    fn note_read_failure(&self, log: &mut Log, attempt: Attempt, error: &LogError) {
        log.close_on_data_loss(error);
        // A failure of the whole log is logged when the lock is released.
        if log.failure().is_none() && !matches!(error, LogError::Closed) {
            self.unreadable.failed(&self.id, attempt, error);
        }
    }

    /// Closes the log if `error`, of a read without the lock, shows that acknowledged records are lost.
    pub fn note_loss(&self, error: &LogError) {
        self.if_open(|log| log.close_on_data_loss(error));
    }
}
