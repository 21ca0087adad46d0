//! One partition: its log behind a lock, those who wait for it to grow, and group commit.
//!
//! Invariants: the lock is held for memory work, never over an fsync and never across an await. A
//! log is opened at its first use, so that a start costs nothing per partition. Where opening, a write
//! or a sync fails, the partition answers with a storage error and the rest of the broker lives; it says
//! so once, and housekeeping opens the log again when the disk lets it.

use ottla_wire::types::{LeaderEpoch, Offset, TimestampMs, TopicId, TopicPartition, Uuid, sort_by_key};

mod failing;
mod reading;
#[cfg(test)]
mod tests;
mod unreadable;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};

pub use failing::LogGuard;
use parking_lot::{Mutex, MutexGuard};
use thiserror::Error;
use tokio::sync::{Notify, watch};
use unreadable::{Attempt, Unreadable};

use super::waiters::{Registration, Waiters};
use ottla_log::{
    AbortedTxn, AppendAs, AppendError, Appended, DeletedFiles, Log, LogConfig, LogError, Origin, ProducerDescription,
    ReadError, Slice, SyncTicket,
};
use ottla_wire::record::{Verified, VerifiedSet};

/// Opens a partition's log; called at its first use, and by [`Partition::recover`] where that failed.
pub type OpenLog = Box<dyn Fn() -> Result<Log, LogError> + Send>;

/// Why a partition couldn't do what was asked.
#[derive(Clone, Debug, Error)]
pub enum PartitionError {
    /// The disk failed this partition; it stays so until its log is opened again.
    #[error("{0}")]
    Storage(LogError),
    /// Its topic was deleted, perhaps while the request waited.
    #[error("the topic was deleted")]
    Deleted,
    #[error("{0}")]
    Append(AppendError),
    #[error("offset {asked} is outside of {start}..={end}")]
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
    /// Grows while in service where an election made this broker the leader.
    leader_epoch: AtomicI32,
    log: Mutex<Slot>,
    waiters: Arc<Waiters>,
    /// `flush.messages`: an append that leaves so many records unsynced waits for a sync.
    flush_messages: AtomicI64,
    /// Everything below is on disk; raised by group commit.
    synced_to: AtomicI64,
    /// One sync at a time: all appends that arrive during one share the next, and of two syncs at once the kernel
    /// might tell only one that it failed.
    sync_turn: tokio::sync::Mutex<()>,
    deleted: AtomicBool,
    /// How often the log was opened again.
    times_opened: AtomicU64,
    /// Held while the log is opened again; who takes the partition out of service waits for that.
    reopening: Mutex<()>,
    /// What was said last of its failure; `None`: nothing is wrong.
    told: Mutex<Option<String>>,
    /// Reads that fail although the log is open.
    unreadable: Unreadable,
    /// Woken by every partition that fails.
    partition_failed: watch::Sender<()>,
}

enum Slot {
    Closed(Closed),
    Open(Box<Log>),
    Reopening(Reopening),
    Deleted,
}

/// A log that failed and is being opened again, outside of the lock.
struct Reopening {
    failure: LogError,
    /// What the settings have become since.
    config: Option<Arc<LogConfig>>,
}

/// A log that isn't open.
struct Closed {
    open: OpenLog,
    /// What the settings have become since.
    config: Option<Arc<LogConfig>>,
    /// Why it couldn't be opened when that was last tried.
    failure: Option<LogError>,
}

/// What a read found, and the state of the log it was read from.
#[derive(Clone, Debug)]
pub struct Read {
    pub slice: Slice,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// The reader wants committed records alone, and is told which transactions were aborted.
    pub committed_only: bool,
    pub aborted: Vec<AbortedTxn>,
}

/// Whether a consumer sees records of open and aborted transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

/// The offsets at which a log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    pub start: Offset,
    pub last_stable: Offset,
    pub end: Offset,
}

impl Partition {
    pub fn new(
        id: TopicPartition,
        topic_id: TopicId,
        leader_epoch: LeaderEpoch,
        flush_messages: i64,
        open: OpenLog,
        partition_failed: watch::Sender<()>,
    ) -> Partition {
        let closed = Slot::Closed(Closed { open, config: None, failure: None });
        Partition::in_slot(id, topic_id, leader_epoch, flush_messages, closed, partition_failed)
    }

    /// A partition whose log is open already.
    pub fn opened(
        id: TopicPartition,
        topic_id: TopicId,
        leader_epoch: LeaderEpoch,
        log: Log,
        partition_failed: watch::Sender<()>,
    ) -> Partition {
        Partition::in_slot(id, topic_id, leader_epoch, i64::MAX, Slot::Open(Box::new(log)), partition_failed)
    }

    fn in_slot(
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
            flush_messages: AtomicI64::new(flush_messages),
            synced_to: AtomicI64::new(0),
            sync_turn: tokio::sync::Mutex::new(()),
            deleted: AtomicBool::new(false),
            times_opened: AtomicU64::new(0),
            reopening: Mutex::new(()),
            told: Mutex::new(None),
            unreadable: Unreadable::default(),
            partition_failed,
        }
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

    /// What is appended from now on is of this epoch, if it is later than the one until now.
    pub fn raise_leader_epoch(&self, epoch: LeaderEpoch) {
        self.leader_epoch.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Whether it was taken out of service for good.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Relaxed)
    }

    /// Appends one batch and wakes those who wait for it.
    pub fn append(&self, batch: &Verified, origin: Origin, now: TimestampMs) -> Result<Appended, PartitionError> {
        let how = AppendAs { leader_epoch: self.leader_epoch(), origin, now };
        let mut log = self.log()?;
        let appended = log.append(batch, how).map_err(PartitionError::from);
        let appended = self.noted(&mut log, Attempt::Append, appended)?;
        drop(log);
        if !appended.duplicate {
            self.waiters.wake_all();
        }
        Ok(appended)
    }

    /// Appends the batches that one partition of a request was sent, with nothing in between, and wakes those who wait.
    /// Where a later one fails, those before it stay.
    pub fn append_set(&self, set: &VerifiedSet, origin: Origin, now: TimestampMs) -> Result<Appended, PartitionError> {
        if set.rest.is_empty() {
            return self.append(&set.first, origin, now);
        }
        let how = AppendAs { leader_epoch: self.leader_epoch(), origin, now };
        let mut log = self.log()?;
        let mut all = log.append(&set.first, how)?;
        let rest = set.rest.iter().try_for_each(|batch| {
            let appended = log.append(batch, how)?;
            all.last_offset = appended.last_offset;
            all.rolled |= appended.rolled;
            Ok(())
        });
        drop(log);
        self.waiters.wake_all();
        rest.map(|()| all)
    }

    /// Whether records up to `end` must be synced before they are acknowledged (`flush.messages`).
    pub fn must_sync_before_ack(&self, end: Offset) -> bool {
        let limit = self.flush_messages.load(Ordering::Relaxed);
        limit != i64::MAX && end - self.synced_to.load(Ordering::Acquire) >= limit
    }

    pub fn offsets(&self) -> Result<Offsets, PartitionError> {
        let log = self.log()?;
        Ok(Offsets { start: log.start_offset(), last_stable: log.last_stable_offset(), end: log.end_offset() })
    }

    /// Where the records of an epoch end, and the epoch, which is the one before where this one has none. The current
    /// epoch began at the log's end, even before its first record.
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

    /// Moves the log start (DeleteRecords) and returns where it is then.
    pub fn delete_records(&self, before: Offset) -> Result<Offset, PartitionError> {
        let start = self.log()?.delete_records(before)?;
        self.waiters.wake_all();
        Ok(start)
    }

    /// Does what retention wants done (see [`Log::housekeep`]); the files returned are to be unlinked.
    pub fn housekeep(&self, now: TimestampMs) -> Result<DeletedFiles, PartitionError> {
        let mut log = self.log()?;
        let kept = log.housekeep(now).map_err(PartitionError::from);
        self.noted(&mut log, Attempt::Retention, kept)
    }

    /// The producers it remembers, sorted by id.
    pub fn producers(&self) -> Result<Vec<ProducerDescription>, PartitionError> {
        let mut producers = self.log()?.producers();
        sort_by_key(&mut producers, |producer| producer.producer_id);
        Ok(producers)
    }

    /// Bytes of all its batches.
    pub fn size(&self) -> Result<u64, PartitionError> {
        Ok(self.log()?.size())
    }

    /// Has `notify` woken whenever the partition changes, until the guard is dropped.
    pub fn watch(&self, notify: &Arc<Notify>) -> Registration {
        self.waiters.register(notify)
    }

    /// Makes everything below `end` durable. Appends that arrive during one sync share the next:
    /// whoever gets the turn first syncs for all who queue behind.
    pub async fn sync_to(self: &Arc<Self>, end: Offset) -> Result<(), PartitionError> {
        if self.synced_to.load(Ordering::Acquire) >= end {
            return Ok(());
        }
        let _turn = self.sync_turn.lock().await;
        if self.synced_to.load(Ordering::Acquire) >= end {
            return Ok(());
        }
        // Cut loose from the caller: a client that leaves must not lose the outcome of a sync.
        let partition = Arc::clone(self);
        match tokio::task::spawn_blocking(move || partition.sync_in_turn()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(PartitionError::Deleted),
        }
    }

    /// Syncs all that is appended, on this thread, which may block.
    pub fn sync_now(&self) -> Result<(), PartitionError> {
        let _turn = self.sync_turn.blocking_lock();
        self.sync_in_turn()
    }

    /// Syncs what was sealed, as Kafka does after a roll, on this thread, which may block.
    pub fn sync_sealed(&self) -> Result<(), PartitionError> {
        let _turn = self.sync_turn.blocking_lock();
        let ticket = self.log()?.flush_sealed()?;
        self.finish_sync(ticket)
    }

    fn sync_in_turn(&self) -> Result<(), PartitionError> {
        let ticket = self.log()?.flush_target()?;
        self.finish_sync(ticket)
    }

    fn finish_sync(&self, ticket: SyncTicket) -> Result<(), PartitionError> {
        let end = ticket.end_offset();
        let outcome = ticket.sync();
        let failure = outcome.as_ref().err().cloned();
        // A partition deleted in the meantime needs no mark.
        if let Ok(mut log) = self.log() {
            log.mark_synced(outcome);
            let synced = failure.clone().map_or(Ok(()), |error| Err(error.into()));
            // What is wrong with it goes to the caller below.
            let _ = self.noted(&mut log, Attempt::Sync, synced);
        }
        match failure {
            Some(error) => Err(error.into()),
            None => {
                self.synced_to.fetch_max(end, Ordering::AcqRel);
                Ok(())
            }
        }
    }

    /// New settings, from the next append on.
    pub fn set_config(&self, config: Arc<LogConfig>, flush_messages: i64) {
        self.flush_messages.store(flush_messages, Ordering::Relaxed);
        match &mut *self.log.lock() {
            Slot::Closed(closed) => closed.config = Some(config),
            Slot::Open(log) => log.set_config(config),
            Slot::Reopening(reopening) => reopening.config = Some(config),
            Slot::Deleted => {}
        }
    }

    /// Takes the partition out of service and its folder out of the way; `None` if its log isn't open, so that the
    /// folder, if there is one, is nobody's any more. Waiting fetches wake and find it gone.
    pub fn delete(&self, unique: Uuid) -> Option<Result<DeletedFiles, LogError>> {
        let _not_while_reopening = self.reopening.lock();
        let mut slot = self.log.lock();
        let slot = std::mem::replace(&mut *slot, Slot::Deleted);
        self.deleted.store(true, Ordering::Relaxed);
        *self.told.lock() = None;
        self.unreadable.forget();
        self.waiters.wake_all();
        match slot {
            Slot::Open(mut log) => Some(log.delete(unique)),
            _ => None,
        }
    }

    /// Runs `work` on the log if it is open; opening it for this would be no use.
    pub fn if_open<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        match &mut *self.log.lock() {
            Slot::Open(log) => {
                let outcome = work(log);
                self.notice_failure(log);
                Some(outcome)
            }
            _ => None,
        }
    }

    /// Closes the log, if it is open, or if it has to be recovered first (after a `crash`); what is left to sync.
    pub fn close(&self, crashed: bool) -> Option<Result<SyncTicket, LogError>> {
        let _not_while_reopening = self.reopening.lock();
        if (crashed || self.is_failed())
            && let Err(PartitionError::Storage(error)) = self.log().map(drop)
        {
            return Some(Err(error));
        }
        self.if_open(Log::close)
    }

    /// The log, opened if need be.
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
