//! Figures of a partition's log that are read without its lock.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use ottla_log::Log;
use ottla_wire::types::{Offset, TimestampMs};

/// The figures of a log, as they were when its lock was released last.
#[derive(Debug, Default)]
pub(super) struct PublishedFigures {
    is_known: AtomicBool,
    start: AtomicI64,
    last_stable: AtomicI64,
    end: AtomicI64,
    size: AtomicU64,
    segments: AtomicU64,
    producers: AtomicU64,
    transaction_written_at: AtomicI64,
}

/// The figures of a log that is open, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFigures {
    pub start: Offset,
    pub last_stable: Offset,
    pub end: Offset,
    pub size: u64,
    pub segments: u64,
    /// Producers whose state is kept.
    pub producers: u64,
    /// The time of the last write in the oldest open transaction; `i64::MAX` if there is none.
    pub transaction_written_at: TimestampMs,
}

impl PublishedFigures {
    /// Publishes the figures of the log. The caller has its lock.
    pub fn publish(&self, log: &Log) {
        self.start.store(log.start_offset(), Ordering::Relaxed);
        self.last_stable.store(log.last_stable_offset(), Ordering::Relaxed);
        self.end.store(log.end_offset(), Ordering::Relaxed);
        self.size.store(log.size(), Ordering::Relaxed);
        self.segments.store(log.segment_count() as u64, Ordering::Relaxed);
        self.producers.store(log.producer_count() as u64, Ordering::Relaxed);
        let written_at = log.open_transaction_written_at().unwrap_or(i64::MAX);
        self.transaction_written_at.store(written_at, Ordering::Relaxed);
        self.is_known.store(true, Ordering::Release);
    }

    /// The figures; `None` if the log was never open. During a change, some may be newer than others.
    pub fn get(&self) -> Option<LogFigures> {
        self.is_known.load(Ordering::Acquire).then(|| LogFigures {
            start: self.start.load(Ordering::Relaxed),
            last_stable: self.last_stable.load(Ordering::Relaxed),
            end: self.end.load(Ordering::Relaxed),
            size: self.size.load(Ordering::Relaxed),
            segments: self.segments.load(Ordering::Relaxed),
            producers: self.producers.load(Ordering::Relaxed),
            transaction_written_at: self.transaction_written_at.load(Ordering::Relaxed),
        })
    }
}
