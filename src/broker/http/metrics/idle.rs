//! How idle the threads are that serve connections, under the names of Kafka's network processors and request handlers.
//!
//! Kafka has threads for the network and others for requests. Here the runtime's worker threads do both, so both have the
//! same figure: the share of time in which the workers had nothing to run. It does not include work on other threads:
//! syncs, compactions, and reads of large batches.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::RuntimeMetrics;

use ottla_metrics::{Kind, Metric, Scrape};

static HANDLERS: Metric = Metric::attribute(
    "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent",
    "Count",
    "Nanoseconds in which the worker threads were idle, as their mean; the rate divided by 1e9 is the share. The workers do \
     the work of Kafka's request handlers and of its network processors.",
);
static NETWORK: Metric = Metric::gauge(
    "kafka.network:type=SocketServer,name=NetworkProcessorAvgIdlePercent",
    "The share of time, 0 to 1, in which the worker threads were idle, since an earlier scrape that is at least 10 s old, or \
     else since the start. The workers do the work of Kafka's network processors and of its request handlers.",
);
static PROCESSOR: Metric = Metric::gauge(
    "kafka.network:type=Processor,name=IdlePercent,networkProcessor={processor}",
    "As NetworkProcessorAvgIdlePercent, for each worker thread.",
);

static HANDLERS_SHARE: Metric = Metric::named(
    "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
    Kind::Gauge,
    &[],
    "The same share, under the name that Strimzi's boards query.",
);
static NETWORK_SHARE: Metric = Metric::named(
    "kafka_network_socketserver_networkprocessoravgidle_percent",
    Kind::Gauge,
    &[],
    "The same share, under the name that Strimzi's boards query.",
);

/// The metrics that this module has.
pub(super) const METRICS: &[&Metric] = &[&HANDLERS, &NETWORK, &PROCESSOR, &HANDLERS_SHARE, &NETWORK_SHARE];

/// The shortest time that a share is about, once there was a scrape before.
const WINDOW: Duration = Duration::from_secs(10);

/// How long each worker was busy at earlier scrapes.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// The older one is at least [`WINDOW`] old, or the start.
    past: Mutex<[Sample; 2]>,
}

#[derive(Clone, Debug, Default)]
struct Sample {
    at: Duration,
    busy: Vec<Duration>,
}

impl Idle {
    pub fn collect(&self, runtime: &RuntimeMetrics, scrape: &mut Scrape) {
        let busy = (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker));
        let now = Sample { at: scrape.now(), busy: busy.collect() };
        let whole = shares(&Sample::default(), &now);
        let nanoseconds = mean(&whole) * now.at.as_nanos() as f64;
        scrape.single(&HANDLERS, nanoseconds.round());
        let shares = self.since_earlier(now);
        for metric in [&NETWORK, &HANDLERS_SHARE, &NETWORK_SHARE] {
            scrape.single(metric, mean(&shares));
        }
        let mut family = scrape.family(&PROCESSOR);
        for (worker, share) in shares.iter().enumerate() {
            family.sample(&[&worker.to_string()], *share);
        }
    }

    /// The idle share of each worker since the newest earlier scrape that is old enough.
    fn since_earlier(&self, now: Sample) -> Vec<f64> {
        let mut past = self.past.lock();
        let [older, newer] = &mut *past;
        if now.at.saturating_sub(newer.at) >= WINDOW {
            *older = std::mem::replace(newer, now.clone());
            return shares(older, &now);
        }
        shares(older, &now)
    }
}

/// The idle share of each worker between two samples.
fn shares(from: &Sample, to: &Sample) -> Vec<f64> {
    let passed = to.at.saturating_sub(from.at).as_secs_f64();
    let share = |(worker, busy): (usize, &Duration)| {
        let before = from.busy.get(worker).copied().unwrap_or_default();
        // The runtime is a little older than the clock, and adds a busy period only when it ends.
        (1.0 - busy.saturating_sub(before).as_secs_f64() / passed.max(1e-9)).clamp(0.0, 1.0)
    };
    to.busy.iter().enumerate().map(share).collect()
}

fn mean(shares: &[f64]) -> f64 {
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, busy: &[u64]) -> Sample {
        Sample {
            at: Duration::from_secs(second),
            busy: busy.iter().map(|second| Duration::from_secs(*second)).collect(),
        }
    }

    #[test]
    fn share_is_about_the_time_since_a_scrape_that_is_old_enough() {
        let idle = Idle::default();
        assert_eq!(idle.since_earlier(sample(5, &[5, 0])), [0.0, 1.0]);
        assert_eq!(idle.since_earlier(sample(20, &[5, 10])), [0.75, 0.5]);
        // Since the start, because the scrape at 20 s is too new.
        assert_eq!(idle.since_earlier(sample(25, &[5, 10])), [0.8, 0.6]);
        // Since 20 s.
        assert_eq!(idle.since_earlier(sample(40, &[15, 10])), [0.5, 1.0]);
        assert_eq!(mean(&[0.5, 1.0]), 0.75);
    }
}
