//! Sends metrics and spans to a collector of OpenTelemetry, by OTLP over HTTP with protobuf.
//!
//! Nothing waits for the collector: what does not fit into the queue is dropped, counted and logged. One request is sent at a
//! time. As the protocol says, it is sent again after statuses 429, 502, 503 and 504 and after failures of the connection, with
//! growing delays. What is in the queue when the broker stops is lost.

mod post;
mod queue;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::blocking;
use crate::clock::Clock;
use crate::log_rate_limiter::{LogRateLimiter, log_limited};
use ottla_config::OtlpConfig;
use ottla_metrics::{Collector, Counter, Kind, Metric, Registry, Scrape};
use post::{Collected, Outcome};
use queue::{Batch, Queue, Signal};

/// How long spans wait for others, so that they are sent together.
const SPAN_DELAY: Duration = Duration::from_secs(1);
/// How often a request is sent.
const MAX_ATTEMPTS: u32 = 6;
/// The delay before a request is sent again. It doubles each time.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The longest delay that a collector may demand.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

static EXPORTED: Metric = Metric::named(
    "ottla_otlp_exported_total",
    Kind::Counter,
    &["signal"],
    "Spans, and pushes of client metrics, that the collector of ottla.otlp.endpoint has accepted.",
);
static DROPPED: Metric = Metric::named(
    "ottla_otlp_dropped_total",
    Kind::Counter,
    &["signal"],
    "Spans, and pushes of client metrics, that were not exported, because the collector was too slow, failed or refused them.",
);

/// The metrics that this module has.
pub fn metrics() -> Vec<&'static Metric> {
    vec![&EXPORTED, &DROPPED]
}

/// Exports to a collector. Dropping it ends the export.
pub struct Exporter {
    shared: Arc<Shared>,
    traces: bool,
}

struct Shared {
    clock: Clock,
    limiter: Arc<LogRateLimiter>,
    collector: Arc<post::Endpoint>,
    queue: Mutex<Queue>,
    wake: Notify,
    closed: AtomicBool,
    counts: [Counts; 2],
}

#[derive(Default)]
struct Counts {
    exported: Counter,
    dropped: Counter,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}

impl Exporter {
    /// Starts to export. `resource` are the attributes of this broker. Needs a tokio runtime.
    pub fn start(
        config: &OtlpConfig,
        resource: Vec<(&'static str, String)>,
        clock: Clock,
        limiter: Arc<LogRateLimiter>,
        registry: &Registry,
    ) -> Arc<Exporter> {
        let shared = Arc::new(Shared {
            clock,
            limiter,
            collector: Arc::new(post::Endpoint::new(config)),
            queue: Mutex::new(Queue::new(resource)),
            wake: Notify::new(),
            closed: AtomicBool::new(false),
            counts: Default::default(),
        });
        registry.register(Arc::clone(&shared) as Arc<dyn Collector>);
        tokio::spawn(Arc::clone(&shared).run());
        Arc::new(Exporter { shared, traces: config.traces })
    }

    /// Whether spans are exported.
    pub fn has_traces(&self) -> bool {
        self.traces
    }

    /// Queues the metrics of a client, as a `MetricsData` message.
    pub fn export_metrics(&self, message: Vec<u8>) {
        self.shared.push(Signal::Metrics, message);
    }

    /// Queues an encoded span.
    pub fn export_span(&self, span: Vec<u8>) {
        self.shared.push(Signal::Traces, span);
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn push(&self, signal: Signal, message: Vec<u8>) {
        match self.queue.lock().push(signal, message) {
            Ok(wake) => {
                if wake {
                    self.wake.notify_one();
                }
            }
            Err(queue::Full) => {
                self.counts(signal).dropped.increment();
                log_limited!(
                    WARN,
                    self.limiter,
                    None,
                    "values that the collector did not take in time",
                    signal = signal.name(),
                    "dropped values for the collector, because the queue is full"
                );
            }
        }
    }

    async fn run(self: Arc<Self>) {
        while !self.closed.load(Ordering::Relaxed) {
            self.wake.notified().await;
            loop {
                self.clock.timeout(SPAN_DELAY, self.until_worth_sending()).await;
                let batch = self.queue.lock().take();
                let Some(batch) = batch else { break };
                self.send(batch).await;
            }
        }
    }

    /// Waits while there are only a few spans. A notification from before this call may end one wait too early, so the queue
    /// is asked again.
    async fn until_worth_sending(&self) {
        while self.queue.lock().may_wait() {
            self.wake.notified().await;
        }
    }

    async fn send(&self, batch: Batch) {
        let (signal, items) = (batch.signal, batch.items);
        let body = Arc::new(batch.body);
        let mut delay = RETRY_DELAY;
        let mut last = String::new();
        for attempt in 1..=MAX_ATTEMPTS {
            let (collector, sent) = (Arc::clone(&self.collector), Arc::clone(&body));
            let outcome = blocking::run(move || collector.post(signal, &sent)).await;
            let after = match outcome {
                Ok(Outcome::Accepted(collected)) => return self.accepted(signal, items, collected),
                Ok(Outcome::Retry { after, why }) => {
                    last = why;
                    after.unwrap_or(Duration::ZERO)
                }
                Ok(Outcome::Refused(why)) => {
                    last = why;
                    break;
                }
                // The runtime stops.
                Err(_) => return,
            };
            if attempt < MAX_ATTEMPTS {
                self.clock.sleep(delay.max(after).min(MAX_RETRY_DELAY)).await;
                delay *= 2;
            }
            if self.closed.load(Ordering::Relaxed) {
                break;
            }
        }
        self.counts(signal).dropped.add(items);
        log_limited!(
            WARN,
            self.limiter,
            None,
            "failed exports to the collector",
            endpoint = self.collector.shown(),
            signal = signal.name(),
            items,
            error = last,
            "failed to export to the collector, dropped the values"
        );
    }

    fn accepted(&self, signal: Signal, items: u64, collected: Collected) {
        self.counts(signal).exported.add(items);
        if let Some((rejected, why)) = collected.rejected {
            log_limited!(
                WARN,
                self.limiter,
                None,
                "values that the collector rejected",
                endpoint = self.collector.shown(),
                signal = signal.name(),
                rejected,
                reason = why,
                "the collector rejected a part of an export"
            );
        }
    }

    fn counts(&self, signal: Signal) -> &Counts {
        let [metrics, traces] = &self.counts;
        match signal {
            Signal::Metrics => metrics,
            Signal::Traces => traces,
        }
    }
}

impl Collector for Shared {
    fn collect(&self, scrape: &mut Scrape) {
        for (metric, count) in [(&EXPORTED, exported as fn(&Counts) -> u64), (&DROPPED, dropped)] {
            let mut family = scrape.family(metric);
            for signal in [Signal::Metrics, Signal::Traces] {
                family.sample(&[signal.name()], count(self.counts(signal)));
            }
        }
    }
}

fn exported(counts: &Counts) -> u64 {
    counts.exported.get()
}

fn dropped(counts: &Counts) -> u64 {
    counts.dropped.get()
}

#[cfg(test)]
mod tests;
