//! Figures of compactions (Kafka's `LogCleaner`).

use std::time::Duration;

use parking_lot::Mutex;

use super::work::Underway;
use ottla_log::CompactionStats;
use ottla_metrics::{Counter, Kind, Metric, Scrape};

static COMPACTIONS: Metric =
    Metric::named("ottla_log_cleaner_runs_total", Kind::Counter, &[], "Compactions of logs that succeeded.");
static FAILED_COMPACTIONS: Metric = Metric::named(
    "ottla_log_cleaner_failed_runs_total",
    Kind::Counter,
    &[],
    "Compactions of logs that failed or were abandoned.",
);

macro_rules! gauges {
    ($($id:ident $mbean:literal $help:literal;)*) => {
        $(static $id: Metric = Metric::gauge($mbean, $help);)*
        const GAUGES: &[&Metric] = &[$(&$id,)*];
    };
}

gauges! {
    CLEAN_TIME "kafka.log:type=LogCleaner,name=max-clean-time-secs" "Seconds of the last compaction.";
    RECOPY "kafka.log:type=LogCleaner,name=cleaner-recopy-percent" "Of the bytes that the last compaction read, the percentage that it wrote again.";
    BUFFER "kafka.log:type=LogCleaner,name=max-buffer-utilization-percent" "The used percentage of the map of keys in the last compaction.";
    DELAY "kafka.log:type=LogCleaner,name=max-compaction-delay-secs" "By how many seconds a log exceeded max.compaction.lag.ms at most, when logs were compared last.";
    DEAD "kafka.log:type=LogCleaner,name=DeadThreadCount" "Workers of log.cleaner.threads that do not run.";
    DIRTY "kafka.log:type=LogCleanerManager,name=max-dirty-percent" "The largest dirty percentage of a log that can be compacted, when logs were compared last.";
    SINCE_LAST_RUN "kafka.log:type=LogCleanerManager,name=time-since-last-run-ms" "Milliseconds since logs were compared last.";
}

/// The metrics that this module has.
pub(super) fn metrics() -> impl Iterator<Item = &'static Metric> {
    GAUGES.iter().copied().chain([&COMPACTIONS, &FAILED_COMPACTIONS])
}

/// What the cleaner counts.
#[derive(Debug, Default)]
pub struct CleanerFigures {
    compactions: Counter,
    failed_compactions: Counter,
    /// Workers that run.
    pub workers: Underway,
    last: Mutex<Last>,
}

/// The last compaction, and the last comparison of logs.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    time: Duration,
    stats: CompactionStats,
    /// How many workers there should be.
    wanted_workers: usize,
    compared: Option<Duration>,
    dirty_ratio: f64,
    overdue_ms: i64,
}

impl CleanerFigures {
    /// Counts a compaction that ended.
    pub fn compacted(&self, done: Option<(CompactionStats, Duration)>) {
        let Some((stats, time)) = done else { return self.failed_compactions.increment() };
        self.compactions.increment();
        let mut last = self.last.lock();
        (last.stats, last.time) = (stats, time);
    }

    /// Notes a comparison of logs at the monotonic time `now`.
    pub fn compared(&self, now: Duration, dirty_ratio: f64, overdue_ms: i64) {
        let mut last = self.last.lock();
        (last.compared, last.dirty_ratio, last.overdue_ms) = (Some(now), dirty_ratio, overdue_ms);
    }

    /// Notes the setting `log.cleaner.threads`.
    pub fn wants_workers(&self, workers: usize) {
        self.last.lock().wanted_workers = workers;
    }

    pub(super) fn collect(&self, scrape: &mut Scrape) {
        let last = *self.last.lock();
        let percent = |part: u64, all: u64| if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 };
        scrape.single(&CLEAN_TIME, last.time.as_secs_f64());
        scrape.single(&RECOPY, percent(last.stats.bytes_written, last.stats.bytes_read));
        scrape.single(&BUFFER, 100.0 * last.stats.map_utilization);
        scrape.single(&DELAY, last.overdue_ms as f64 / 1e3);
        scrape.single(&DEAD, last.wanted_workers.saturating_sub(self.workers.count()));
        scrape.single(&DIRTY, 100.0 * last.dirty_ratio);
        let now = scrape.now();
        if let Some(since) = last.compared.map(|at| now.saturating_sub(at)) {
            scrape.single(&SINCE_LAST_RUN, since.as_secs_f64() * 1e3);
        }
        scrape.single(&COMPACTIONS, self.compactions.get());
        scrape.single(&FAILED_COMPACTIONS, self.failed_compactions.get());
    }
}
