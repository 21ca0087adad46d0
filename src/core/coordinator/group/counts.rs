//! What the machines of groups count.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of all groups since the broker was started. The machines of all partitions share them, so that they continue
/// when a machine is loaded again.
#[derive(Debug, Default)]
pub struct GroupCounts {
    pub commits: Count,
    pub expirations: Count,
    pub deletions: Count,
    pub rebalances: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}
