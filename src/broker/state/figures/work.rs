//! Figures of syncs, waiting fetches and compactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ottla_metrics::{Counter, Histogram, Kind, Metric, Scrape};

static FLUSHES: Metric = Metric::histogram(
    "kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs",
    "Milliseconds of syncs of topics' logs.",
);
static WAITING_FETCHES: Metric = Metric::gauge(
    "kafka.server:type=DelayedOperationPurgatory,name=PurgatorySize,delayedOperation=Fetch",
    "Fetches that wait for records.",
);
static COMPACTIONS: Metric =
    Metric::named("ottla_log_cleaner_runs_total", Kind::Counter, &[], "Compactions of logs that succeeded.");
static FAILED_COMPACTIONS: Metric = Metric::named(
    "ottla_log_cleaner_failed_runs_total",
    Kind::Counter,
    &[],
    "Compactions of logs that failed or were abandoned.",
);

/// The metrics that this module has.
pub(super) const METRICS: &[&Metric] = &[&FLUSHES, &WAITING_FETCHES, &COMPACTIONS, &FAILED_COMPACTIONS];

/// What partitions and tasks count.
#[derive(Debug, Default)]
pub struct WorkFigures {
    flushes: Histogram,
    waiting_fetches: AtomicUsize,
    pub compactions: Counter,
    pub failed_compactions: Counter,
}

/// A fetch that waits until this is dropped.
pub struct WaitingFetch(Arc<WorkFigures>);

impl WorkFigures {
    pub fn flushed(&self, time: Duration) {
        self.flushes.record_time(time);
    }

    /// Counts a fetch as waiting.
    pub fn waiting_fetch(self: &Arc<Self>) -> WaitingFetch {
        self.waiting_fetches.fetch_add(1, Ordering::Relaxed);
        WaitingFetch(Arc::clone(self))
    }

    pub(super) fn collect(&self, scrape: &mut Scrape) {
        let flushes = self.flushes.summary(scrape.now(), 1e-3);
        scrape.family(&FLUSHES).summary(&[], &flushes);
        scrape.single(&WAITING_FETCHES, self.waiting_fetches.load(Ordering::Relaxed));
        scrape.single(&COMPACTIONS, self.compactions.get());
        scrape.single(&FAILED_COMPACTIONS, self.failed_compactions.get());
    }
}

impl Drop for WaitingFetch {
    fn drop(&mut self) {
        self.0.waiting_fetches.fetch_sub(1, Ordering::Relaxed);
    }
}
