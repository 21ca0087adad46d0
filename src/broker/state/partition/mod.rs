//! A partition: its log with a lock, the fetches that wait for records, and group commit.
//!
//! Invariants: the lock is never held during an fsync of appended records or an await. A log is opened at its first
//! use, under the lock, so that a start needs no time for each partition. If opening, a write or a sync fails, only
//! this partition returns storage errors. The failure is logged once, and `reopening` opens the log again when the disk
//! works.

use ottla_wire::types::{
    LeaderEpoch, Offset, ProducerIdEpoch, TimestampMs, TopicId, TopicPartition, Uuid, sort_by_key,
};

mod conditional;
mod failing;
mod figures;
mod group_commit;
mod health;
mod reading;
#[cfg(test)]
mod tests;
mod unreadable;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

pub use conditional::LogEnd;
pub use failing::LogGuard;
pub use figures::LogFigures;
use figures::PublishedFigures;
use group_commit::GroupCommit;
use health::Health;
use parking_lot::{Mutex, MutexGuard};
use thiserror::Error;
use tokio::sync::{Notify, watch};
use unreadable::{Attempt, Unreadable};

use super::figures::WorkFigures;
use super::traffic::TopicTraffic;
use super::waiters::{Registration, Waiters};
use crate::clock::Clock;
use ottla_log::{
    AbortedTxn, AppendError, AppendParams, Appended, DeletedFiles, Log, LogConfig, LogError, Origin,
    ProducerDescription, ReadError, Slice, SyncTicket, TxnVerification, Verification,
};
use ottla_wire::record::{Verified, VerifiedSet};

/// Opens a partition's log. Called at its first use, and again by [`Partition::recover`] if that failed.
pub type OpenLog = Box<dyn Fn() -> Result<Log, LogError> + Send>;

/// Why an operation on a partition failed.
#[derive(Clone, Debug, Error)]
pub enum PartitionError {
    /// The disk failed. The partition stays offline until its log is opened again.
    #[error("{0}")]
    Storage(LogError),
    /// The topic was deleted, possibly while the request waited.
    #[error("the topic was deleted")]
    Deleted,
    #[error("{0}")]
    Append(AppendError),
    #[error("offset {asked} is out of range {start}..={end}")]
    OutOfRange { asked: Offset, start: Offset, end: Offset },
}

impl From<AppendError> for PartitionError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Storage(error) => PartitionError::Storage(error),
            other => PartitionError::Append(other),
        }
    }
}

impl From<ReadError> for PartitionError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OutOfRange { asked, start, end } => PartitionError::OutOfRange { asked, start, end },
            ReadError::Storage(error) => PartitionError::Storage(error),
        }
    }
}

impl From<LogError> for PartitionError {
    fn from(error: LogError) -> Self {
        PartitionError::Storage(error)
    }
}

/// One partition of a topic.
pub struct Partition {
    id: TopicPartition,
    topic_id: TopicId,
    /// Increased when an election makes this broker the leader.
    leader_epoch: AtomicI32,
    log: Mutex<Slot>,
    waiters: Arc<Waiters>,
    commit: GroupCommit,
    deleted: AtomicBool,
    /// How often the failed log was opened again.
    times_opened: AtomicU64,
    /// Held while the log is opened again without the lock of `log`. Deletion and closing wait for it.
    reopening: Mutex<()>,
    health: Health,
    /// Failed reads of an open log.
    unreadable: Unreadable,
    figures: PublishedFigures,
    traffic: Arc<TopicTraffic>,
    /// Where the time of syncs is recorded.
    flushes: Option<(Clock, Arc<WorkFigures>)>,
    /// Notified when the partition fails.
    partition_failed: watch::Sender<()>,
}

enum Slot {
    Closed(Closed),
    Open(Box<Log>),
    Reopening(Reopening),
    Deleted,
}

/// A failed log that is being opened again, without the lock.
struct Reopening {
    failure: LogError,
    /// Settings that were changed meanwhile.
    config: Option<Arc<LogConfig>>,
}

/// A log that is not open.
struct Closed {
    open: OpenLog,
    /// Settings that were changed since `open` was made.
    config: Option<Arc<LogConfig>>,
    /// The error of the last attempt to open it.
    failure: Option<LogError>,
}

/// Records that were read, and the state of the log at that time.
#[derive(Clone, Debug)]
pub struct Read {
    pub slice: Slice,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// Whether only committed records were requested. Then `aborted` has the aborted transactions among them.
    pub committed_only: bool,
    pub aborted: Vec<AbortedTxn>,
}

/// Kafka's `isolation.level`: whether a consumer sees the records of open and aborted transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

/// The offsets of a log's start and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    pub start: Offset,
    pub last_stable: Offset,
    pub end: Offset,
}

impl Partition {
    /// Creates a partition whose log is opened at its first use.
    pub fn new(
        id: TopicPartition,
        topic_id: TopicId,
        leader_epoch: LeaderEpoch,
        flush_messages: i64,
        open: OpenLog,
        partition_failed: watch::Sender<()>,
    ) -> Partition {
        let closed = Slot::Closed(Closed { open, config: None, failure: None });
        Partition::with_slot(id, topic_id, leader_epoch, flush_messages, closed, partition_failed)
    }

    /// Creates a partition with an open log.
    pub fn opened(
        id: TopicPartition,
        topic_id: TopicId,
        leader_epoch: LeaderEpoch,
        log: Log,
        partition_failed: watch::Sender<()>,
    ) -> Partition {
        Partition::with_slot(id, topic_id, leader_epoch, i64::MAX, Slot::Open(Box::new(log)), partition_failed)
    }

    fn with_slot(
        id: TopicPartition,
        topic_id: TopicId,
        leader_epoch: LeaderEpoch,
        flush_messages: i64,
        slot: Slot,
        partition_failed: watch::Sender<()>,
    ) -> Partition {
        Partition {
            id,
            topic_id,
            leader_epoch: AtomicI32::new(leader_epoch),
            log: Mutex::new(slot),
            waiters: Arc::default(),
            commit: GroupCommit::new(flush_messages),
            deleted: AtomicBool::new(false),
            times_opened: AtomicU64::new(0),
            reopening: Mutex::new(()),
            health: Health::default(),
            unreadable: Unreadable::default(),
            figures: PublishedFigures::default(),
            traffic: Arc::default(),
            flushes: None,
            partition_failed,
        }
    }

    /// Counts what is produced and fetched in counters of the topic.
    pub fn with_traffic(self, traffic: Arc<TopicTraffic>) -> Partition {
        Partition { traffic, ..self }
    }

    /// Records the time of syncs.
    pub fn with_flushes(self, clock: Clock, figures: Arc<WorkFigures>) -> Partition {
        Partition { flushes: Some((clock, figures)), ..self }
    }

    /// The counters of the topic.
    pub fn traffic(&self) -> &Arc<TopicTraffic> {
        &self.traffic
    }

    /// The figures of the log, without its lock; `None` if it was never open.
    pub fn figures(&self) -> Option<LogFigures> {
        self.figures.get()
    }

    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch.load(Ordering::Acquire)
    }

    /// Sets the leader epoch of later appends, if it is higher than the current one.
    pub fn raise_leader_epoch(&self, epoch: LeaderEpoch) {
        self.leader_epoch.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Whether the partition was deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Relaxed)
    }

    /// Appends one batch and wakes waiting fetches: also those that wait at the last stable offset, which a marker moves.
    /// The batch can't begin a transaction.
    pub fn append(&self, batch: &Verified, origin: Origin, now: TimestampMs) -> Result<Appended, PartitionError> {
        self.append_verified(batch, origin, TxnVerification::NotVerified, now)
    }

    /// As [`Partition::append`]; the batch may begin a transaction if `verification` allows it.
    pub fn append_verified(
        &self,
        batch: &Verified,
        origin: Origin,
        verification: TxnVerification,
        now: TimestampMs,
    ) -> Result<Appended, PartitionError> {
        let how = AppendParams { leader_epoch: self.leader_epoch(), origin, verification, now };
        let appended = self.count_refusal(self.log().and_then(|mut log| {
            let appended = log.append(batch, how).map_err(PartitionError::from);
            self.noted(&mut log, Attempt::Append, appended)
        }))?;
        if !appended.duplicate {
            self.count_appended(batch);
            self.waiters.wake_all();
        }
        Ok(appended)
    }

    /// Appends several batches without another append in between, and wakes waiting fetches. If a batch fails, those
    /// before it stay in the log.
    pub fn append_set(&self, set: &VerifiedSet, origin: Origin, now: TimestampMs) -> Result<Appended, PartitionError> {
        self.append_set_verified(set, origin, TxnVerification::NotVerified, now)
    }

    /// As [`Partition::append_set`]; the first batch may begin a transaction if `verification` allows it.
    pub fn append_set_verified(
        &self,
        set: &VerifiedSet,
        origin: Origin,
        verification: TxnVerification,
        now: TimestampMs,
    ) -> Result<Appended, PartitionError> {
        if set.rest.is_empty() {
            return self.append_verified(&set.first, origin, verification, now);
        }
        let how = AppendParams { leader_epoch: self.leader_epoch(), origin, verification, now };
        let mut log = self.count_refusal(self.log())?;
        let mut all = self.count_refusal(log.append(&set.first, how).map_err(PartitionError::from))?;
        self.count_appended(&set.first);
        let rest = set.rest.iter().try_for_each(|batch| {
            let appended = log.append(batch, how)?;
            self.count_appended(batch);
            all.last_offset = appended.last_offset;
            all.rolled |= appended.rolled;
            Ok(())
        });
        drop(log);
        self.waiters.wake_all();
        rest.map(|()| all)
    }

    fn count_appended(&self, batch: &Verified) {
        let header = batch.header();
        self.traffic.add(|counters| &counters.produce_requests, 1);
        self.traffic.add(|counters| &counters.messages_in, u64::try_from(header.record_count).unwrap_or(0));
        self.traffic.add(|counters| &counters.bytes_in, header.size() as u64);
    }

    /// Counts an append that was refused.
    fn count_refusal<T>(&self, appended: Result<T, PartitionError>) -> Result<T, PartitionError> {
        if let Err(error) = &appended {
            self.traffic.add(|counters| &counters.produce_requests, 1);
            if let PartitionError::Append(error) = error {
                self.traffic.add(|counters| &counters.failed_produce, 1);
                if matches!(error, AppendError::OutOfOrderSequence { .. }) {
                    self.traffic.add(|counters| &counters.invalid_offset, 1);
                }
            }
        }
        appended
    }

    /// Begins the verification of a transactional batch, before the coordinator is asked ([`Log::begin_verification`]).
    pub fn begin_verification(
        &self,
        producer: ProducerIdEpoch,
        first_sequence: i32,
        supports_epoch_bump: bool,
        now: TimestampMs,
    ) -> Result<Verification, PartitionError> {
        Ok(self.log()?.begin_verification(producer, first_sequence, supports_epoch_bump, now)?)
    }

    pub fn offsets(&self) -> Result<Offsets, PartitionError> {
        let log = self.log()?;
        Ok(Offsets { start: log.start_offset(), last_stable: log.last_stable_offset(), end: log.end_offset() })
    }

    /// The end offset of a leader epoch, and that epoch. If it has no records, the epoch before it is used. The current
    /// epoch ends at the end of the log, even before its first record.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Result<Option<(LeaderEpoch, Offset)>, PartitionError> {
        let (log, current) = (self.log()?, self.leader_epoch());
        if epoch == current {
            return Ok(Some((epoch, log.end_offset())));
        }
        let found = log.end_offset_for_epoch(epoch);
        let later_than_all =
            || (0..current).contains(&epoch).then(|| (log.latest_epoch().unwrap_or(epoch), log.end_offset()));
        Ok(found.or_else(later_than_all))
    }

    /// Moves the log start offset (DeleteRecords) and returns it.
    pub fn delete_records(&self, before: Offset) -> Result<Offset, PartitionError> {
        let start = self.log()?.delete_records(before)?;
        self.waiters.wake_all();
        Ok(start)
    }

    /// Applies retention (see [`Log::housekeep`]) and returns the files to unlink.
    pub fn housekeep(&self, now: TimestampMs) -> Result<DeletedFiles, PartitionError> {
        let mut log = self.log()?;
        let kept = log.housekeep(now).map_err(PartitionError::from);
        self.noted(&mut log, Attempt::Retention, kept)
    }

    /// The state of the producers, sorted by id.
    pub fn producers(&self) -> Result<Vec<ProducerDescription>, PartitionError> {
        let mut producers = self.log()?.producers();
        sort_by_key(&mut producers, |producer| producer.producer_id);
        Ok(producers)
    }

    /// The size of all batches, in bytes.
    pub fn size(&self) -> Result<u64, PartitionError> {
        Ok(self.log()?.size())
    }

    /// Notifies `notify` of every change of the partition, until the guard is dropped.
    pub fn watch(&self, notify: &Arc<Notify>) -> Registration {
        self.waiters.register(notify)
    }

    /// Applies changed settings, from the next append on.
    pub fn set_config(&self, config: Arc<LogConfig>, flush_messages: i64) {
        self.commit.set_flush_messages(flush_messages);
        match &mut *self.log.lock() {
            Slot::Closed(closed) => closed.config = Some(config),
            Slot::Open(log) => log.set_config(config),
            Slot::Reopening(reopening) => reopening.config = Some(config),
            Slot::Deleted => {}
        }
    }

    /// Marks the partition as deleted, closes its log and renames its folder. Returns `None` if the log is not open:
    /// then the caller renames the folder, if there is one. Wakes waiting fetches.
    pub fn delete(&self, unique: Uuid) -> Option<Result<DeletedFiles, LogError>> {
        let _reopening = self.reopening.lock();
        let mut slot = self.log.lock();
        let slot = std::mem::replace(&mut *slot, Slot::Deleted);
        self.deleted.store(true, Ordering::Relaxed);
        self.health.recovered();
        self.unreadable.clear();
        self.waiters.wake_all();
        match slot {
            Slot::Open(mut log) => Some(log.delete(unique)),
            _ => None,
        }
    }

    /// Runs `work` on the log if it is open.
    pub fn if_open<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        match &mut *self.log.lock() {
            Slot::Open(log) => {
                let outcome = work(log);
                self.figures.publish(log);
                self.notice_failure(log);
                Some(outcome)
            }
            _ => None,
        }
    }

    /// Closes the log if it is open. After a crash it is opened before, so that it is recovered. Returns a ticket for
    /// the remaining sync.
    pub fn close(&self, crashed: bool) -> Option<Result<SyncTicket, LogError>> {
        let _reopening = self.reopening.lock();
        if (crashed || self.is_failed())
            && let Err(PartitionError::Storage(error)) = self.log().map(drop)
        {
            return Some(Err(error));
        }
        self.if_open(Log::close)
    }

    /// Locks the log, and opens it if needed.
    pub fn log(&self) -> Result<LogGuard<'_>, PartitionError> {
        let mut slot = self.log.lock();
        if let Slot::Closed(Closed { failure: None, .. }) = &*slot {
            self.open_slot(&mut slot);
        }
        match MutexGuard::try_map(slot, |slot| match slot {
            Slot::Open(log) => Some(&mut **log),
            _ => None,
        }) {
            Ok(log) => Ok(LogGuard { partition: self, log }),
            Err(slot) => match &*slot {
                Slot::Closed(Closed { failure: Some(error), .. })
                | Slot::Reopening(Reopening { failure: error, .. }) => Err(PartitionError::Storage(error.clone())),
                _ => Err(PartitionError::Deleted),
            },
        }
    }
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Partition({})", self.id)
    }
}
