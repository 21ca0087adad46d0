//! Reads of a partition that fail although its log is open: a bad sector, a damaged batch, no descriptor left.
//!
//! Such a read is answered with a storage error, and costs the partition nothing else: what isn't damaged is served, and
//! appends go on. The operator is told once per cause, and when what failed can be read again. Only a file that was cut or
//! removed closes the log ([`ottla_log::LogError::is_data_loss`]): what was acknowledged is gone then.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use ottla_log::{LogError, TimestampQuery};
use ottla_wire::types::{Offset, TopicPartition};

/// Causes that are remembered of one partition; further ones aren't told until one of these is over.
const MOST: usize = 8;

/// What was being done that needs the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Records from this offset on.
    Records(Offset),
    Timestamp(TimestampQuery),
    SegmentTimestamps,
    Retention,
    /// What an append had to look up.
    Append,
    Sync,
}

/// Failing reads that the operator knows of.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    /// How many there are: 0 in a partition that is in order, which costs its readers no lock.
    count: AtomicUsize,
    told: Mutex<Vec<Told>>,
}

#[derive(Debug)]
struct Told {
    attempt: Attempt,
    error: String,
}

impl Unreadable {
    /// An attempt has failed; told unless its cause is known.
    pub(super) fn failed(&self, partition: &TopicPartition, attempt: Attempt, error: &LogError) {
        if self.is_new(attempt, error.to_string()) {
            tracing::error!(
                %partition, %error,
                "a part of the partition cannot be read: clients that ask for it get a storage error"
            );
        }
    }

    fn is_new(&self, attempt: Attempt, error: String) -> bool {
        let mut told = self.told.lock();
        if told.len() >= MOST || told.iter().any(|known| known.error == error) {
            return false;
        }
        told.push(Told { attempt, error });
        self.count.store(told.len(), Ordering::Relaxed);
        true
    }

    /// An attempt went well; records were read up to `next_offset`, where it was for records.
    pub(super) fn succeeded(&self, partition: &TopicPartition, attempt: Attempt, next_offset: Offset) {
        if self.count.load(Ordering::Relaxed) > 0 && self.is_over(attempt, next_offset) {
            tracing::info!(%partition, "what could not be read of the partition is read again");
        }
    }

    fn is_over(&self, attempt: Attempt, next_offset: Offset) -> bool {
        let is_covered = |known: Attempt| match (known, attempt) {
            (Attempt::Records(failed), Attempt::Records(from)) => (from..next_offset).contains(&failed),
            _ => known == attempt,
        };
        let mut told = self.told.lock();
        let before = told.len();
        told.retain(|known| !is_covered(known.attempt));
        self.count.store(told.len(), Ordering::Relaxed);
        told.len() < before
    }

    /// The partition was opened again, or is gone: what is still wrong is told anew.
    pub(super) fn forget(&self) {
        let mut told = self.told.lock();
        told.clear();
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
    fn a_cause_is_told_once_whichever_reads_meet_it() {
        let unreadable = Unreadable::default();
        assert!(is_new(&unreadable, 10, "bad sector"));
        assert!(!is_new(&unreadable, 10, "bad sector") && !is_new(&unreadable, 11, "bad sector"));
        assert!(is_new(&unreadable, 10, "another one"));
    }

    #[test]
    fn a_read_that_covers_what_failed_ends_it() {
        let unreadable = Unreadable::default();
        assert!(is_new(&unreadable, 10, "bad sector"));
        assert!(!unreadable.is_over(Attempt::Records(11), 20), "it lies behind");
        assert!(!unreadable.is_over(Attempt::Records(0), 10), "it lies before");
        assert!(!unreadable.is_over(Attempt::Retention, 0));
        assert!(unreadable.is_over(Attempt::Records(5), 11));
        assert!(is_new(&unreadable, 10, "bad sector"), "told anew");
    }

    #[test]
    fn the_memory_is_bounded() {
        let unreadable = Unreadable::default();
        let told = (0..100).filter(|at| is_new(&unreadable, *at, &format!("no batch at {at}"))).count();
        assert_eq!(told, MOST);
    }
}
