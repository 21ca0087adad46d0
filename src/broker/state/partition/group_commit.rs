//! Group commit: one sync makes all appends durable that arrived before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::unreadable::Attempt;
use super::{Partition, PartitionError};
use ottla_log::SyncTicket;
use ottla_wire::types::Offset;

/// How far a partition's log is durable, and the right to sync it.
#[derive(Debug)]
pub(super) struct GroupCommit {
    /// `flush.messages`: an append that leaves this many records unsynced waits for a sync.
    flush_messages: AtomicI64,
    /// Every record below is durable.
    synced_to: AtomicI64,
    /// Held during a sync, so that appends that arrive meanwhile share the next one. There is one sync at a time also
    /// because the kernel may report an error to only one of two concurrent ones.
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

    /// Sets how far a log is durable that was opened for the first time.
    pub fn opened(&self, durable: Offset) {
        self.synced_to.store(durable, Ordering::Release);
    }

    /// Raises how far the log is durable.
    pub fn synced(&self, durable: Offset) {
        self.synced_to.fetch_max(durable, Ordering::AcqRel);
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

    /// Makes everything below `end` durable. Appends that arrive during one sync share the next: the first of them syncs
    /// for all.
    pub async fn sync_to(self: &Arc<Self>, end: Offset) -> Result<(), PartitionError> {
        if self.commit.synced_to() >= end {
            return Ok(());
        }
        let _syncing = self.commit.syncing.lock().await;
        if self.commit.synced_to() >= end {
            return Ok(());
        }
        // A task of its own: the outcome of the sync must not be lost when the caller's client disconnects.
        let partition = Arc::clone(self);
        match tokio::task::spawn_blocking(move || partition.sync_all()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(PartitionError::Deleted),
        }
    }

    /// Syncs everything that is appended. Blocks this thread.
    pub fn sync_now(&self) -> Result<(), PartitionError> {
        let _syncing = self.commit.syncing.blocking_lock();
        self.sync_all()
    }

    /// Syncs the sealed segments, as Kafka does after a roll. Blocks this thread.
    pub fn sync_sealed(&self) -> Result<(), PartitionError> {
        let _syncing = self.commit.syncing.blocking_lock();
        let ticket = self.log()?.flush_sealed()?;
        self.finish_sync(ticket)
    }

    /// To be called with `syncing` held.
    fn sync_all(&self) -> Result<(), PartitionError> {
        let ticket = self.log()?.flush_target()?;
        self.finish_sync(ticket)
    }

    fn finish_sync(&self, ticket: SyncTicket) -> Result<(), PartitionError> {
        let end = ticket.end_offset();
        let outcome = ticket.sync();
        let failure = outcome.as_ref().err().cloned();
        // If the partition was deleted meanwhile, there is nothing to mark.
        if let Ok(mut log) = self.log() {
            log.mark_synced(outcome);
            let synced = failure.clone().map_or(Ok(()), |error| Err(error.into()));
            // Returned to the caller below.
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
