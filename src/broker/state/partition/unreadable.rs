//! Reads of a partition that fail although its log is open: a bad sector, a damaged batch, no descriptor left.
//!
//! Such a read is answered with a storage error and has no other effect: other records are served, and appends go on. Each
//! cause is logged once, and once more when the read works again. Only a file that was truncated or removed closes the log
//! ([`ottla_log::LogError::is_data_loss`]): acknowledged records are lost then.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use ottla_log::{LogError, TimestampQuery};
use ottla_wire::types::{Offset, TopicPartition};

/// Causes that are remembered per partition. Further ones are not logged until one of these is over.
const MAX_CAUSES: usize = 8;

/// The access that failed.
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

/// Failing reads that were logged.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    /// The number of causes; while it is 0, readers need no lock.
    count: AtomicUsize,
    failing: Mutex<Vec<Failing>>,
}

#[derive(Debug)]
struct Failing {
    attempt: Attempt,
    error: String,
}

impl Unreadable {
    /// Notes and logs a failure, unless its cause was logged before.
    pub(super) fn failed(&self, partition: &TopicPartition, attempt: Attempt, error: &LogError) {
        if self.is_new(attempt, error.to_string()) {
            tracing::error!(
                %partition, %error,
                "failed to read a part of the partition, clients that fetch it get a storage error"
            );
        }
    }

    fn is_new(&self, attempt: Attempt, error: String) -> bool {
        let mut failing = self.failing.lock();
        if failing.len() >= MAX_CAUSES || failing.iter().any(|known| known.error == error) {
            return false;
        }
        failing.push(Failing { attempt, error });
        self.count.store(failing.len(), Ordering::Relaxed);
        true
    }

    /// Notes a success; of a read of records, `next_offset` is where it ended.
    pub(super) fn succeeded(&self, partition: &TopicPartition, attempt: Attempt, next_offset: Offset) {
        if self.count.load(Ordering::Relaxed) > 0 && self.is_over(attempt, next_offset) {
            tracing::info!(%partition, "the part of the partition that could not be read can be read again");
        }
    }

    fn is_over(&self, attempt: Attempt, next_offset: Offset) -> bool {
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

    /// Forgets all causes: the log was opened again or deleted.
    pub(super) fn forget(&self) {
        let mut failing = self.failing.lock();
        failing.clear();
        self.count.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_new(unreadable: &Unreadable, from: Offset, error: &str) -> bool {
        unreadable.is_new(Attempt::Records(from), error.to_owned())
    }

    #[test]
    fn a_cause_is_new_once_for_all_reads() {
        let unreadable = Unreadable::default();
        assert!(is_new(&unreadable, 10, "bad sector"));
        assert!(!is_new(&unreadable, 10, "bad sector") && !is_new(&unreadable, 11, "bad sector"));
        assert!(is_new(&unreadable, 10, "another one"));
    }

    #[test]
    fn a_read_that_covers_the_failed_offset_ends_the_cause() {
        let unreadable = Unreadable::default();
        assert!(is_new(&unreadable, 10, "bad sector"));
        assert!(!unreadable.is_over(Attempt::Records(11), 20), "it lies behind");
        assert!(!unreadable.is_over(Attempt::Records(0), 10), "it lies before");
        assert!(!unreadable.is_over(Attempt::Retention, 0));
        assert!(unreadable.is_over(Attempt::Records(5), 11));
        assert!(is_new(&unreadable, 10, "bad sector"), "failing anew");
    }

    #[test]
    fn the_memory_is_bounded() {
        let unreadable = Unreadable::default();
        let failing = (0..100).filter(|at| is_new(&unreadable, *at, &format!("no batch at {at}"))).count();
        assert_eq!(failing, MAX_CAUSES);
    }
}
