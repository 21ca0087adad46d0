//! Failed reads of a partition whose log is open: a bad sector, a corrupt batch, no free descriptor.
//!
//! Such a read returns a storage error and has no other effect: other records are served, and appends continue. Each
//! cause is logged once, and once more when the read works again. Only a file that was truncated or removed closes the
//! log ([`ottla_log::LogError::is_data_loss`]), because then acknowledged records are lost.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use ottla_log::{LogError, TimestampQuery};
use ottla_wire::types::{Offset, TopicPartition};

/// Maximum number of causes that are kept per partition. Other causes are not logged until one of these is removed.
const MAX_CAUSES: usize = 8;

/// An attempt to read or sync the log's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Reading records from this offset.
    Records(Offset),
    Timestamp(TimestampQuery),
    SegmentTimestamps,
    Retention,
    /// A lookup for an append.
    Append,
    Sync,
}

/// Failed reads that were logged.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    /// The number of causes. While it is 0, successful reads need no lock.
    count: AtomicUsize,
    failing: Mutex<Vec<Failing>>,
}

#[derive(Debug)]
struct Failing {
    attempt: Attempt,
    error: String,
}

impl Unreadable {
    /// Adds the cause of a failure and logs it, unless it was logged before.
    pub(super) fn failed(&self, partition: &TopicPartition, attempt: Attempt, error: &LogError) {
        if self.add(attempt, error.to_string()) {
            tracing::error!(
                %partition, %error,
                "failed to read a part of the partition; fetches of that part return a storage error"
            );
        }
    }

    /// Adds a cause. Returns whether it must be logged.
    fn add(&self, attempt: Attempt, error: String) -> bool {
        let mut failing = self.failing.lock();
        if failing.len() >= MAX_CAUSES || failing.iter().any(|known| known.error == error) {
            return false;
        }
        failing.push(Failing { attempt, error });
        self.count.store(failing.len(), Ordering::Relaxed);
        true
    }

    /// Removes the causes that a successful attempt disproves. `next_offset` is the offset after the records that were
    /// read, if any were.
    pub(super) fn succeeded(&self, partition: &TopicPartition, attempt: Attempt, next_offset: Offset) {
        if self.count.load(Ordering::Relaxed) > 0 && self.remove_covered(attempt, next_offset) {
            tracing::info!(%partition, "a part of the partition that could not be read is readable again");
        }
    }

    /// Removes the causes that a successful access covers. Returns whether there were any.
    fn remove_covered(&self, attempt: Attempt, next_offset: Offset) -> bool {
        let is_covered = |known: Attempt| match (known, attempt) {
            (Attempt::Records(failed), Attempt::Records(from)) => (from..next_offset).contains(&failed),
            _ => known == attempt,
        };
        let mut failing = self.failing.lock();
        let before = failing.len();
        failing.retain(|known| !is_covered(known.attempt));
        self.count.store(failing.len(), Ordering::Relaxed);
        failing.len() < before
    }

    /// Removes all causes, because the log was opened again or deleted.
    pub(super) fn clear(&self) {
        let mut failing = self.failing.lock();
        failing.clear();
        self.count.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(unreadable: &Unreadable, from: Offset, error: &str) -> bool {
        unreadable.add(Attempt::Records(from), error.to_owned())
    }

    #[test]
    fn cause_is_logged_once_for_all_reads() {
        let unreadable = Unreadable::default();
        assert!(add(&unreadable, 10, "bad sector"));
        assert!(!add(&unreadable, 10, "bad sector") && !add(&unreadable, 11, "bad sector"));
        assert!(add(&unreadable, 10, "other error"));
    }

    #[test]
    fn successful_read_of_the_failed_offset_removes_the_cause() {
        let unreadable = Unreadable::default();
        assert!(add(&unreadable, 10, "bad sector"));
        assert!(!unreadable.remove_covered(Attempt::Records(11), 20), "the read begins after the failed offset");
        assert!(!unreadable.remove_covered(Attempt::Records(0), 10), "the read ends before the failed offset");
        assert!(!unreadable.remove_covered(Attempt::Retention, 0));
        assert!(unreadable.remove_covered(Attempt::Records(5), 11));
        assert!(add(&unreadable, 10, "bad sector"), "it is logged again");
    }

    #[test]
    fn number_of_causes_is_bounded() {
        let unreadable = Unreadable::default();
        let failing = (0..100).filter(|at| add(&unreadable, *at, &format!("no batch at {at}"))).count();
        assert_eq!(failing, MAX_CAUSES);
    }
}
