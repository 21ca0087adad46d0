//! The argument and result types of the log's API.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use ottla_wire::types::{LeaderEpoch, NO_TIMESTAMP, Offset, ProducerId, TimestampMs, TopicId};

/// Parameters of `Log::open`: what checkpoints and metadata say about a partition's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenParams {
    /// Wall time, for the expiry of producers.
    pub now: TimestampMs,
    /// Whether the log directory was closed cleanly. If so, recovery trusts its files.
    pub clean_shutdown: bool,
    /// Everything below was synced (`recovery-point-offset-checkpoint`); 0 when unknown.
    pub recovery_point: Offset,
    /// The position up to which the files were valid, if the machine hasn't rebooted since.
    pub validated: Option<Validated>,
    /// Whether a sync may have failed in this boot of the machine, after which the kernel may regard pages as written that
    /// are not. Everything above the recovery point is then written again, so that the next sync includes it.
    pub rewrite_unsynced: bool,
    /// The first offset that readers may see (`log-start-offset-checkpoint`).
    pub log_start: Option<Offset>,
    /// Everything below was compacted (`cleaner-offset-checkpoint`); `None` if it never was.
    pub first_dirty: Option<Offset>,
    /// The topic that the folder must belong to. If given, `partition.metadata` is written or compared.
    pub topic_id: Option<TopicId>,
    /// The smallest acceptable log end offset. If the log ends below, opening fails and nothing is truncated.
    pub min_end: Offset,
    /// The last log end offset in the checkpoints. If the log ends below, the missing offsets are reported as lost.
    pub checkpointed_end: CheckpointedEnd,
}

/// A log end offset from a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointedEnd {
    /// 0 when unknown.
    pub end: Offset,
    /// When the checkpoint was written: it doesn't apply to a log of the same name that was created later.
    pub at: TimestampMs,
}

impl OpenParams {
    /// For a new partition, or one that was closed cleanly and has no checkpoints.
    pub fn fresh(now: TimestampMs) -> OpenParams {
        OpenParams {
            now,
            clean_shutdown: true,
            recovery_point: 0,
            validated: None,
            rewrite_unsynced: false,
            log_start: None,
            first_dirty: None,
            topic_id: None,
            min_end: 0,
            checkpointed_end: CheckpointedEnd::default(),
        }
    }
}

/// A position in a log up to which all batches are known to be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Byte position in that segment.
    pub position: u64,
    /// The offset after the last batch before the position.
    pub next_offset: Offset,
}

/// The writer of a batch (Kafka's `AppendOrigin`), and for markers the transaction.version.
///
/// A coordinator may write a marker again, since it doesn't know after a crash which partitions have it. A repeated marker is
/// appended, as in Kafka, but changes nothing else: there is no transaction left that it ends, so the last stable offset
/// follows the log end and the transaction index gets no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: its sequence numbers are checked.
    Client,
    /// A coordinator or the metadata state machine: epochs are checked, sequence numbers are not. A marker
    /// (transaction.version 0 and 1) has the epoch of the transaction's records or, if it fences the producer, a higher one.
    /// One with the epoch of an ongoing transaction always ends it, even if it was meant for the transaction before.
    Coordinator,
    /// A coordinator that ends a transaction in a new epoch (transaction.version 2, KIP-890): the epoch of a marker must be
    /// above the producer's last one (KIP-1228). It may be equal if no transaction is open, which is a repeated marker, and
    /// if it is the largest epoch, which can't be bumped. So a late marker can't end the transaction after its own.
    CoordinatorV2,
}

/// A token of a pending verification ([`crate::Log::begin_verification`]). Unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerificationGuard(pub(crate) u64);

/// Whether the coordinator must be asked before a transactional batch is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The batch continues a transaction that is ongoing in this partition.
    NotNeeded,
    /// The coordinator must confirm that the partition belongs to the producer's ongoing transaction; then the batch is
    /// appended with this guard.
    Needed(VerificationGuard),
}

impl Verification {
    /// How the batch is appended once the coordinator has confirmed it, or needn't be asked.
    pub fn confirmed(self) -> TxnVerification {
        match self {
            Verification::NotNeeded => TxnVerification::NotVerified,
            Verification::Needed(guard) => TxnVerification::Verified(guard),
        }
    }
}

/// How it was verified that a batch belongs to a transaction that the coordinator knows (KIP-890). Without effect for
/// markers, and for batches outside of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnVerification {
    /// Not verified: the batch may only continue a transaction that is ongoing in this partition with the same epoch.
    NotVerified,
    /// The coordinator was asked after the guard was made. The batch may begin a transaction, unless a marker or another
    /// batch of the producer was appended since.
    Verified(VerificationGuard),
    /// `transaction.partition.verification.enable` is false: every batch may begin a transaction.
    Disabled,
}

/// How a batch is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendParams {
    /// Written into the batch as its partition leader epoch.
    pub leader_epoch: LeaderEpoch,
    pub origin: Origin,
    pub verification: TxnVerification,
    /// Wall time, for rolling segments whose batches have no timestamps.
    pub now: TimestampMs,
}

/// The result of an append. For a duplicate, the offsets are those of the first append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// The broker's timestamp in the batch, for topics with LogAppendTime.
    pub log_append_time: Option<TimestampMs>,
    pub log_start_offset: Offset,
    /// The batch repeats one of the producer's last five: nothing was written.
    pub duplicate: bool,
    /// A segment was rolled: syncing it (see `flush_sealed`) advances the recovery point.
    pub rolled: bool,
}

/// Whole batches of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The batches, as stored in the file. The first may begin before the requested offset.
    pub bytes: Bytes,
    /// The offset to read next; the requested one when `bytes` is empty.
    pub next_offset: Offset,
}

/// A timestamp of a ListOffsets request.
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

/// The result of a [`TimestampQuery`].
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

/// An aborted transaction, as read_committed consumers need it.
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

/// An active producer of a partition (DescribeProducers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerDescription {
    pub producer_id: ProducerId,
    pub epoch: i16,
    /// The last sequence number of its last batch; -1 if there is none.
    pub last_sequence: i32,
    pub last_timestamp: TimestampMs,
    /// The coordinator epoch of its last marker; -1 if there is none.
    pub coordinator_epoch: i32,
    pub current_txn_start: Option<Offset>,
}

/// The result of recovering a log when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Bytes that were read and validated.
    pub scanned_bytes: u64,
    /// Bytes truncated at the end, usually an incomplete batch from a crash.
    pub truncated_bytes: u64,
    /// Copies of truncated bytes that contain whole batches after a corrupt one: this is corruption, not a torn write.
    pub set_aside: Vec<std::path::PathBuf>,
    /// Lost offset ranges: a file was truncated or removed, or a power loss removed unsynced records.
    pub lost: Vec<Range<Offset>>,
    /// Number of segments whose indexes were rebuilt.
    pub rebuilt_indexes: usize,
    /// The first dirty offset of the checkpoint if it is above the log end: compaction then starts at the log start.
    pub compacted_beyond_end: Option<Offset>,
}

impl OpenReport {
    /// Whether data was lost, or indexes or checkpoints were wrong: worth a log line.
    pub fn has_problems(&self) -> bool {
        self.truncated_bytes > 0
            || !self.set_aside.is_empty()
            || !self.lost.is_empty()
            || self.rebuilt_indexes > 0
            || self.compacted_beyond_end.is_some()
    }
}

impl fmt::Display for OpenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let mut parts = vec![format!("read {} bytes", self.scanned_bytes)];
        if self.truncated_bytes > 0 {
            parts.push(format!("truncated {} bytes at the end", self.truncated_bytes));
        }
        parts.extend(
            self.set_aside.iter().map(|copy| format!("kept a copy of truncated batches in {}", copy.display())),
        );
        parts.extend(self.lost.iter().map(|lost| format!("lost offsets {} to {}", lost.start, lost.end - 1)));
        if self.rebuilt_indexes > 0 {
            let count = self.rebuilt_indexes;
            parts.push(format!("rebuilt the indexes of {count} segment{}", plural(count)));
        }
        if let Some(offset) = self.compacted_beyond_end {
            parts.push(format!(
                "the first dirty offset {offset} is above the log end, compaction starts at the log start"
            ));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_report_is_displayed_as_plain_text() {
        let report = OpenReport {
            scanned_bytes: 900,
            truncated_bytes: 40,
            set_aside: vec!["t-0/00000000000000000000.log.1.cut".into()],
            lost: vec![5..8, 20..21],
            rebuilt_indexes: 1,
            compacted_beyond_end: Some(9),
        };
        assert_eq!(
            report.to_string(),
            "read 900 bytes; truncated 40 bytes at the end; kept a copy of truncated batches in \
             t-0/00000000000000000000.log.1.cut; lost offsets 5 to 7; lost offsets 20 to 20; rebuilt the indexes of 1 \
             segment; the first dirty offset 9 is above the log end, compaction starts at the log start"
        );
    }
}
