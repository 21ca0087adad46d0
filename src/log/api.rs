//! The words in which callers and a log speak: what is passed in, what comes back.

use std::ops::Range;

use bytes::Bytes;

use ottla_wire::types::{LeaderEpoch, NO_TIMESTAMP, Offset, ProducerId, TimestampMs, TopicId};

/// What is known about a partition's files before they are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenAt {
    /// Wall time, for the expiry of producers.
    pub now: TimestampMs,
    /// Whether the log directory was closed cleanly: its files are then believed.
    pub clean_shutdown: bool,
    /// Everything below was synced (`recovery-point-offset-checkpoint`); 0 when unknown.
    pub recovery_point: Offset,
    /// How far the files were known to be whole, if the machine hasn't rebooted since.
    pub validated: Option<Validated>,
    /// The first offset that readers may see (`log-start-offset-checkpoint`).
    pub log_start: Option<Offset>,
    /// Everything below was compacted (`cleaner-offset-checkpoint`); `None` if it never was.
    pub first_dirty: Option<Offset>,
    /// The topic the folder must belong to; `partition.metadata` is written or compared when given.
    pub topic_id: Option<TopicId>,
    /// The log must reach this far: otherwise opening it is refused, and nothing is cut.
    pub at_least: Offset,
    /// How far the log reached when that was last noted, which is told where it doesn't any more.
    pub noted_end: NotedEnd,
}

/// Where a log is known to have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotedEnd {
    /// 0 when unknown.
    pub end: Offset,
    /// When that was written down: it says nothing of a log that was made later, under the same name.
    pub at: TimestampMs,
}

impl OpenAt {
    /// A partition nothing is known of, closed cleanly or new.
    pub fn fresh(now: TimestampMs) -> OpenAt {
        OpenAt {
            now,
            clean_shutdown: true,
            recovery_point: 0,
            validated: None,
            log_start: None,
            first_dirty: None,
            topic_id: None,
            at_least: 0,
            noted_end: NotedEnd::default(),
        }
    }
}

/// A place in a log up to which every batch is known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// Base offset of the segment the place is in.
    pub segment: Offset,
    /// Bytes of that segment before the place.
    pub position: u64,
    /// The offset that follows the last batch before the place.
    pub next_offset: Offset,
}

/// Who writes a batch (Kafka's `AppendOrigin`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: its sequence numbers are checked.
    Client,
    /// A coordinator or the metadata machine: epochs are checked, sequences are not.
    Coordinator,
    /// A coordinator that ends a transaction in a new epoch (transaction.version 2, KIP-890): its markers' epoch must
    /// be above that of the records (KIP-1228).
    CoordinatorV2,
}

/// In which capacity a batch is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendAs {
    /// Written into the batch as its partition leader epoch.
    pub leader_epoch: LeaderEpoch,
    pub origin: Origin,
    /// Wall time, for rolling segments whose batches have no timestamps.
    pub now: TimestampMs,
}

/// Where a batch was put, or where it had been put when it came the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// The broker's time in the batch, for topics with LogAppendTime.
    pub log_append_time: Option<TimestampMs>,
    pub log_start_offset: Offset,
    /// The batch repeats one of the producer's last five: nothing was written.
    pub duplicate: bool,
    /// A segment was sealed: syncing it (see `flush_target`) moves the recovery point.
    pub rolled: bool,
}

/// Whole batches of one segment, in the log's own memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Batches as they lie in the file. The first may begin before the offset that was asked for.
    pub bytes: Bytes,
    /// The offset to ask for next; the asked one when `bytes` is empty.
    pub next_offset: Offset,
}

/// A question that ListOffsets asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampQuery {
    /// The log start offset (-2, and -4: all of the log is local).
    Earliest,
    /// The log end offset (-1).
    Latest,
    /// The first record with the largest timestamp (-3, KIP-734).
    Max,
    /// The first record whose timestamp is at least this.
    At(TimestampMs),
}

/// An answer to a [`TimestampQuery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub offset: Offset,
    /// The record's timestamp; `NO_TIMESTAMP` for the ends of the log.
    pub timestamp: TimestampMs,
    /// The epoch of the batch at the offset; -1 when unknown.
    pub leader_epoch: LeaderEpoch,
}

impl TimestampOffset {
    pub(crate) fn end_of_log(offset: Offset, leader_epoch: LeaderEpoch) -> TimestampOffset {
        TimestampOffset { offset, timestamp: NO_TIMESTAMP, leader_epoch }
    }
}

/// A transaction that was aborted, as read_committed consumers are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    pub producer_id: ProducerId,
    /// Where the transaction's first batch begins.
    pub first_offset: Offset,
    /// The offset of its abort marker.
    pub last_offset: Offset,
    /// The last stable offset once the marker was written.
    pub last_stable_offset: Offset,
}

/// A live producer of a partition (DescribeProducers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerDescription {
    pub producer_id: ProducerId,
    pub epoch: i16,
    /// Of its last batch; -1 when it has none.
    pub last_sequence: i32,
    pub last_timestamp: TimestampMs,
    /// Of the last marker; -1 when there was none.
    pub coordinator_epoch: i32,
    pub current_txn_start: Option<Offset>,
}

/// What opening a log found and mended; worth a log line when [`OpenReport::is_worth_saying`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Bytes whose batches were read again and checked.
    pub scanned_bytes: u64,
    /// Bytes cut off the end: a batch that was being written when the process or machine stopped.
    pub truncated_bytes: u64,
    /// Copies of cut bytes that had whole batches after a broken one: corruption rather than a torn tail.
    pub set_aside: Vec<std::path::PathBuf>,
    /// Offsets whose records were there before: somebody cut or removed a file, or a power loss took what wasn't synced.
    pub lost: Vec<Range<Offset>>,
    /// Segments whose indexes were written anew.
    pub rebuilt_indexes: usize,
    /// Up to where the log was said to be compacted, which is behind its end: it will be compacted from its start.
    pub compacted_beyond_end: Option<Offset>,
}

impl OpenReport {
    /// Whether data was lost, or indexes or checkpoints were wrong.
    pub fn is_worth_saying(&self) -> bool {
        self.truncated_bytes > 0
            || !self.set_aside.is_empty()
            || !self.lost.is_empty()
            || self.rebuilt_indexes > 0
            || self.compacted_beyond_end.is_some()
    }
}
