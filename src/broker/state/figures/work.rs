//! Figures of syncs and of requests that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use super::cleaner::CleanerFigures;
use ottla_metrics::{Counter, Histogram, Metric, Scrape};
use ottla_wire::types::TimestampMs;

static FLUSHES: Metric = Metric::histogram(
    "kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs",
    "Milliseconds of syncs of topics' logs.",
);
static PURGATORY: Metric = Metric::gauge(
    "kafka.server:type=DelayedOperationPurgatory,name=PurgatorySize,delayedOperation={operation}",
    "Requests that wait: Fetch for records, Produce for a sync. Kafka's other delayed operations do not wait here, and are \
     absent.",
);
static DELAYED: Metric = Metric::gauge(
    "kafka.server:type=DelayedOperationPurgatory,name=NumDelayedOperations,delayedOperation={operation}",
    "The same as PurgatorySize: an operation that has ended is not kept.",
);
static EXPIRED_FETCHES: Metric = Metric::meter(
    "kafka.server:type=DelayedFetchMetrics,name=ExpiresPerSec,fetcherType={fetcher}",
    "Fetches that were answered because their longest wait had passed.",
);
static METADATA_CHANGES: Metric = Metric::histogram(
    "kafka.controller:type=ControllerEventManager,name=EventQueueProcessingTimeMs",
    "Milliseconds from the decision on a change of the metadata until it was durable and published.",
);

/// The metrics that this module has.
pub(super) const METRICS: &[&Metric] = &[&FLUSHES, &PURGATORY, &DELAYED, &EXPIRED_FETCHES, &METADATA_CHANGES];

/// What partitions and tasks count.
#[derive(Debug, Default)]
pub struct WorkFigures {
    flushes: Histogram,
    /// Fetches that wait for records.
    pub waiting_fetches: Underway,
    /// Produce requests that wait for a sync.
    pub waiting_produces: Underway,
    /// Transactions of which some markers could not be written yet.
    pub marker_retries: Underway,
    pub expired_fetches: Counter,
    pub cleaner: CleanerFigures,
    metadata_changes: Histogram,
    metadata_changed_at: AtomicI64,
}

/// The number of operations that are under way.
#[derive(Debug, Default)]
pub struct Underway(Arc<AtomicUsize>);

/// An operation that is under way until this is dropped.
#[derive(Debug)]
pub struct Operation(Arc<AtomicUsize>);

impl Underway {
    /// Counts an operation.
    pub fn begin(&self) -> Operation {
        self.0.fetch_add(1, Ordering::Relaxed);
        Operation(Arc::clone(&self.0))
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WorkFigures {
    pub fn flushed(&self, time: Duration) {
        self.flushes.record_time(time);
    }

    /// Records a change of the metadata that was published at `now`.
    pub fn metadata_changed(&self, time: Duration, now: TimestampMs) {
        self.metadata_changes.record_time(time);
        self.metadata_changed_at.store(now, Ordering::Relaxed);
    }

    /// When the metadata was changed last; 0 before the first change.
    pub fn metadata_changed_at(&self) -> TimestampMs {
        self.metadata_changed_at.load(Ordering::Relaxed)
    }

    /// The number of changes of the metadata since the start.
    pub fn metadata_changes(&self) -> u64 {
        self.metadata_changes.count()
    }

    pub(super) fn collect(&self, scrape: &mut Scrape) {
        let flushes = self.flushes.summary(scrape.now(), 1e-3);
        scrape.family(&FLUSHES).summary(&[], &flushes);
        for metric in [&PURGATORY, &DELAYED] {
            let mut family = scrape.family(metric);
            family.sample(&["Fetch"], self.waiting_fetches.count());
            family.sample(&["Produce"], self.waiting_produces.count());
        }
        scrape.family(&EXPIRED_FETCHES).sample(&["consumer"], self.expired_fetches.get());
        let changes = self.metadata_changes.summary(scrape.now(), 1e-3);
        scrape.family(&METADATA_CHANGES).summary(&[], &changes);
        self.cleaner.collect(scrape);
    }
}
