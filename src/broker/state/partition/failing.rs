//! A partition whose log fails, and how it comes back.
//!
//! Nobody waits while a log is opened again: it is taken out of the partition's lock for that, and who asks meanwhile
//! gets a storage error.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;

use parking_lot::MappedMutexGuard;

use super::{Closed, Partition, Reopening, Slot};
use ottla_log::{Log, LogError};
use ottla_wire::types::TimestampMs;

/// An open log, and the partition's lock. Whoever gives it back, the partition notices whether the log failed.
pub struct LogGuard<'a> {
    pub(super) partition: &'a Partition,
    pub(super) log: MappedMutexGuard<'a, Log>,
}

impl Deref for LogGuard<'_> {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl DerefMut for LogGuard<'_> {
    fn deref_mut(&mut self) -> &mut Log {
        &mut self.log
    }
}

impl Drop for LogGuard<'_> {
    fn drop(&mut self) {
        self.partition.notice_failure(&self.log);
    }
}

impl Partition {
    /// Whether its log has failed, or can't be opened.
    pub fn is_failed(&self) -> bool {
        self.told.lock().is_some()
    }

    /// How often its log was opened again: what was begun on the one before is of no use on this one. Changes only
    /// under the partition's lock.
    pub fn times_opened(&self) -> u64 {
        self.times_opened.load(Ordering::Relaxed)
    }

    /// Opens a log again that has failed; whether the partition is in order now. Blocks for as long as the disk
    /// takes, while the partition goes on to answer with a storage error.
    pub fn recover(&self, now: TimestampMs) -> bool {
        let _one_at_a_time = self.reopening.lock();
        let Some(failed) = self.take_failed() else { return !self.is_failed() };
        let reopened = failed.reopen(now);
        let mut slot = self.log.lock();
        let config = match &mut *slot {
            Slot::Reopening(reopening) => reopening.config.take(),
            _ => None,
        };
        let (mut log, refused) = match reopened {
            Ok(mut log) => {
                self.tell_report(&mut log);
                self.synced_to.fetch_max(log.durable_offset(), Ordering::AcqRel);
                self.times_opened.fetch_add(1, Ordering::Relaxed);
                self.unreadable.forget();
                (Box::new(log), None)
            }
            Err(error) => (failed, Some(error)),
        };
        if let Some(config) = config {
            log.set_config(config);
        }
        *slot = Slot::Open(log);
        match &refused {
            Some(error) => self.tell_failure(error),
            None => self.tell_recovery(),
        }
        drop(slot);
        self.waiters.wake_all();
        refused.is_none()
    }

    /// Takes a log that failed out of the lock's reach. One that could not be opened is tried at once.
    fn take_failed(&self) -> Option<Box<Log>> {
        let mut slot = self.log.lock();
        let failure = match &mut *slot {
            Slot::Closed(Closed { failure: Some(_), .. }) => {
                self.open_slot(&mut slot);
                return None;
            }
            Slot::Open(log) => log.failure()?.clone(),
            _ => return None,
        };
        match std::mem::replace(&mut *slot, Slot::Reopening(Reopening { failure, config: None })) {
            Slot::Open(log) => Some(log),
            _ => None,
        }
    }

    /// Opens a closed slot, telling the operator what recovery had to mend, or why it couldn't.
    pub(super) fn open_slot(&self, slot: &mut Slot) {
        let Slot::Closed(closed) = slot else { return };
        match (closed.open)() {
            Ok(mut log) => {
                if let Some(config) = closed.config.take() {
                    log.set_config(config);
                }
                self.tell_report(&mut log);
                self.synced_to.store(log.durable_offset(), Ordering::Release);
                *slot = Slot::Open(Box::new(log));
                self.tell_recovery();
            }
            Err(error) => {
                self.tell_failure(&error);
                closed.failure = Some(error);
            }
        }
    }

    /// To be called with every log that is given back.
    pub(super) fn notice_failure(&self, log: &Log) {
        if let Some(error) = log.failure()
            && !self.is_failed()
        {
            self.tell_failure(error);
        }
    }

    /// Tells the operator, those who wait and housekeeping; a failure that only repeats itself is told once.
    fn tell_failure(&self, error: &LogError) {
        let error = error.to_string();
        let mut told = self.told.lock();
        if told.as_ref() == Some(&error) {
            return;
        }
        let first = told.is_none();
        tracing::error!(partition = %self.id, %error, "the partition is offline until its log can be opened again");
        *told = Some(error);
        drop(told);
        if first {
            self.waiters.wake_all();
            self.trouble.send_replace(());
        }
    }

    fn tell_recovery(&self) {
        if self.told.lock().take().is_some() {
            tracing::info!(partition = %self.id, "the partition is online again");
        }
    }

    fn tell_report(&self, log: &mut Log) {
        if let Some(report) = log.take_open_report().filter(|report| report.has_problems()) {
            for lost in &report.lost {
                tracing::error!(
                    partition = %self.id, from = lost.start, to = lost.end,
                    "records that were here are gone: their file was cut or removed, or they were not synced before a power loss"
                );
            }
            tracing::warn!(partition = %self.id, ?report, "the log was recovered");
        }
    }
}
