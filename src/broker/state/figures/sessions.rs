//! Figures of the cache of fetch sessions.

use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_metrics::{Counter, Metric, Scrape};

static SESSIONS: Metric = Metric::gauge(
    "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchSessions",
    "Open fetch sessions, at most max.incremental.fetch.session.cache.slots.",
);
static PARTITIONS: Metric = Metric::gauge(
    "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchPartitionsCached",
    "Partitions of the open fetch sessions.",
);
static EVICTIONS: Metric = Metric::meter(
    "kafka.server:type=FetchSessionCache,name=IncrementalFetchSessionEvictionsPerSec",
    "Fetch sessions that were closed to make room for others.",
);

/// The metrics that this module has.
pub(super) const METRICS: &[&Metric] = &[&SESSIONS, &PARTITIONS, &EVICTIONS];

/// What the cache publishes.
#[derive(Debug, Default)]
pub struct SessionFigures {
    open: AtomicUsize,
    partitions: AtomicUsize,
    pub evictions: Counter,
}

impl SessionFigures {
    /// Publishes the number of open sessions, and of their partitions.
    pub fn publish(&self, open: usize, partitions: usize) {
        self.open.store(open, Ordering::Relaxed);
        self.partitions.store(partitions, Ordering::Relaxed);
    }

    pub(super) fn collect(&self, scrape: &mut Scrape) {
        scrape.single(&SESSIONS, self.open.load(Ordering::Relaxed));
        scrape.single(&PARTITIONS, self.partitions.load(Ordering::Relaxed));
        scrape.single(&EVICTIONS, self.evictions.get());
    }
}
