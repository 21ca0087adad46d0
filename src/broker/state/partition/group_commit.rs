//! Group commit: one sync makes all earlier appends durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::unreadable::Attempt;
use super::{Partition, PartitionError};
use crate::blocking;
use ottla_log::SyncTicket;
use ottla_wire::types::Offset;

/// How far a partition's log is durable, and the lock for syncs.
#[derive(Debug)]
pub(super) struct GroupCommit {
    /// `flush.messages`: an append that leaves this many records unsynced waits for a sync.
    flush_messages: AtomicI64,
    /// All records below this offset are durable.
    synced_to: AtomicI64,
    /// Held during a sync, so that appends that arrive meanwhile share the next one. Another reason for one sync at a
    /// time: the kernel may report an error to only one of two concurrent syncs.
    syncing: tokio::sync::Mutex<()>,
}

impl GroupCommit {
    pub fn new(flush_messages: i64) -> GroupCommit {
        GroupCommit {
            flush_messages: AtomicI64::new(flush_messages),
            synced_to: AtomicI64::new(0),
            syncing: tokio::sync::Mutex::new(()),
        }
    }

    pub fn set_flush_messages(&self, flush_messages: i64) {
        self.flush_messages.store(flush_messages, Ordering::Relaxed);
    }

    /// Whether appends wait for syncs.
    pub fn is_enabled(&self) -> bool {
        self.flush_messages.load(Ordering::Relaxed) != i64::MAX
    }

    /// Sets how far the log is durable when it is opened for the first time.
    pub fn opened(&self, durable: Offset) {
        self.synced_to.store(durable, Ordering::Release);
    }

    /// Notes that the log is durable up to an offset. A lower offset has no effect.
    pub fn synced(&self, durable: Offset) {
        self.synced_to.fetch_max(durable, Ordering::AcqRel);
    }

    /// Waits for the lock of syncs on this thread, which may be the runtime's only one in a simulation: the lock is free
    /// there.
    fn lock_blocking(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.syncing.try_lock().unwrap_or_else(|_| self.syncing.blocking_lock())
    }

    fn synced_to(&self) -> Offset {
        self.synced_to.load(Ordering::Acquire)
    }
}

impl Partition {
    /// Whether records up to `end` must be synced before they are acknowledged (`flush.messages`).
    pub fn must_sync_before_ack(&self, end: Offset) -> bool {
        let limit = self.commit.flush_messages.load(Ordering::Relaxed);
        limit != i64::MAX && end - self.commit.synced_to() >= limit
    }

    /// Makes all records below `end` durable. Appends that arrive during one sync share the next: the first of them
    /// syncs for all.
    pub async fn sync_to(self: &Arc<Self>, end: Offset) -> Result<(), PartitionError> {
        if self.commit.synced_to() >= end {
            return Ok(());
        }
        let _syncing = self.commit.syncing.lock().await;
        if self.commit.synced_to() >= end {
            return Ok(());
        }
        // In a task of its own, so that the outcome is noted even if the client disconnects.
        let partition = Arc::clone(self);
        match blocking::run(move || partition.sync_all()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(PartitionError::Deleted),
        }
    }

    /// Syncs all appended records. Blocks the thread.
    pub fn sync_now(&self) -> Result<(), PartitionError> {
        let _syncing = self.commit.lock_blocking();
        self.sync_all()
    }

    /// Syncs the sealed segments, as Kafka does after a roll. Blocks the thread.
    pub fn sync_sealed(&self) -> Result<(), PartitionError> {
        let _syncing = self.commit.lock_blocking();
        let ticket = self.log()?.flush_sealed()?;
        self.finish_sync(ticket)
    }

    /// Syncs all appended records. The caller holds `syncing`.
    fn sync_all(&self) -> Result<(), PartitionError> {
        let ticket = self.log()?.flush_target()?;
        self.finish_sync(ticket)
    }

    fn finish_sync(&self, ticket: SyncTicket) -> Result<(), PartitionError> {
        let end = ticket.end_offset();
        let began = self.flushes.as_ref().map(|(clock, _)| clock.monotonic());
        let outcome = ticket.sync();
        if let (Some((clock, figures)), Some(began)) = (&self.flushes, began) {
            figures.flushed(clock.monotonic().saturating_sub(began));
        }
        let failure = outcome.as_ref().err().cloned();
        // If the partition was deleted meanwhile, there is no log to mark.
        if let Ok(mut log) = self.log() {
            log.mark_synced(outcome);
            let synced = failure.clone().map_or(Ok(()), |error| Err(error.into()));
            // The error is returned below.
            let _ = self.noted(&mut log, Attempt::Sync, synced);
        }
        match failure {
            Some(error) => Err(error.into()),
            None => {
                self.commit.synced(end);
                Ok(())
            }
        }
    }
}
