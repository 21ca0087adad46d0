//! Failures of a partition's log, and opening it again.
//!
//! A failed log is opened again without the partition's lock. Requests get a storage error meanwhile.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;

use parking_lot::MappedMutexGuard;

use super::health::Change;
use super::{Closed, Partition, Reopening, Slot};
use ottla_log::{Log, LogError};
use ottla_wire::types::TimestampMs;

/// An open log, with the partition's lock. When the guard is dropped, the log's figures are published, and a failure of
/// the log is reported.
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
        self.partition.figures.publish(&self.log);
        self.partition.notice_failure(&self.log);
    }
}

impl Partition {
    /// Whether the log has failed or cannot be opened.
    pub fn is_failed(&self) -> bool {
        self.health.is_failed()
    }

    /// Whether the log has failed because the disk is full.
    pub fn is_disk_full(&self) -> bool {
        self.health.is_disk_full()
    }

    /// How often the log was opened again. Work that began before the last time must not continue. Changes only under
    /// the partition's lock.
    pub fn times_opened(&self) -> u64 {
        self.times_opened.load(Ordering::Relaxed)
    }

    /// Opens a failed log again. Returns whether the partition is online. Blocks while the log is opened.
    pub fn recover(&self, now: TimestampMs) -> bool {
        let _reopening = self.reopening.lock();
        let Some(failed) = self.take_failed() else { return !self.is_failed() };
        let reopened = failed.reopen(now);
        let mut slot = self.log.lock();
        let config = match &mut *slot {
            Slot::Reopening(reopening) => reopening.config.take(),
            _ => None,
        };
        let (mut log, failure) = match reopened {
            Ok(mut log) => {
                self.log_open_report(&mut log);
                let synced = self.sync_opened(&mut log);
                self.commit.synced(log.durable_offset());
                self.times_opened.fetch_add(1, Ordering::Relaxed);
                self.unreadable.clear();
                (Box::new(log), synced.err())
            }
            Err(error) => (failed, Some(error)),
        };
        if let Some(config) = config {
            log.set_config(config);
        }
        self.figures.publish(&log);
        *slot = Slot::Open(log);
        match &failure {
            Some(error) => self.report_failure(error),
            None => self.report_recovery(),
        }
        drop(slot);
        self.waiters.wake_all();
        failure.is_none()
    }

    /// Takes a failed log out of its slot. A log that could not be opened is opened here, under the lock.
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

    /// Opens a closed log. Logs what recovery repaired, or why it failed.
    pub(super) fn open_slot(&self, slot: &mut Slot) {
        let Slot::Closed(closed) = slot else { return };
        match (closed.open)() {
            Ok(mut log) => {
                if let Some(config) = closed.config.take() {
                    log.set_config(config);
                }
                self.log_open_report(&mut log);
                let synced = self.sync_opened(&mut log);
                self.commit.opened(log.durable_offset());
                *slot = Slot::Open(Box::new(log));
                match synced {
                    Ok(()) => self.report_recovery(),
                    Err(error) => self.report_failure(&error),
                }
            }
            Err(error) => {
                self.report_failure(&error);
                closed.failure = Some(error);
            }
        }
    }

    /// Syncs what a log has above its durable offset when it is opened, if appends wait for syncs. Its producers got no
    /// acknowledgement, but readers will see it, so a power loss must not remove it. After an error the log has failed.
    fn sync_opened(&self, log: &mut Log) -> Result<(), LogError> {
        if !self.commit.is_enabled() || log.durable_offset() >= log.end_offset() {
            return Ok(());
        }
        let outcome = log.flush_target()?.sync();
        let failure = outcome.as_ref().err().cloned();
        log.mark_synced(outcome);
        failure.map_or(Ok(()), Err)
    }

    /// Reports a failure of the log. To be called before the lock is released.
    pub(super) fn notice_failure(&self, log: &Log) {
        if let Some(error) = log.failure()
            && !self.is_failed()
        {
            self.report_failure(error);
        }
    }

    /// Logs a failure, unless the last one was the same. A first failure wakes waiting fetches and the task that opens
    /// the log again.
    fn report_failure(&self, error: &LogError) {
        let change = self.health.failed(error);
        if change != Change::None {
            tracing::error!(partition = %self.id, %error, "partition offline until its log can be opened again");
        }
        if change == Change::Failed {
            self.waiters.wake_all();
            self.partition_failed.send_replace(());
        }
    }

    /// Logs that the partition works again, if it had failed.
    fn report_recovery(&self) {
        if self.health.recovered() {
            tracing::info!(partition = %self.id, "partition online again");
        }
    }

    /// Logs what recovery found when the log was opened.
    fn log_open_report(&self, log: &mut Log) {
        if let Some(report) = log.take_open_report().filter(|report| report.has_problems()) {
            for lost in &report.lost {
                tracing::error!(
                    partition = %self.id, first_offset = lost.start, end_offset = lost.end,
                    "lost records: their file was truncated or removed, they were not synced before a power loss, or the first of \
                     them is corrupt"
                );
            }
            tracing::warn!(partition = %self.id, "recovered the log: {report}");
        }
    }
}
