//! The metrics of requests by API (Kafka's `RequestMetrics`).
//!
//! They are recorded when a request is done, in one place for all: with a reply that was known at once or parked, and
//! without one. As in Kafka, requests of a client that has yet to authenticate do not count.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::server::{Ending, Exchange};
use ottla_metrics::{Collector, Counter, Histogram, Kind, Metric, Scrape};
use ottla_wire::protocol::{ApiKey, Response};
use ottla_wire::types::ErrorCode;

macro_rules! times {
    ($($id:ident $field:ident $name:literal $help:literal;)*) => {
        $(static $id: Metric = Metric::histogram(
            concat!("kafka.network:type=RequestMetrics,name=", $name, ",request={request}"),
            $help,
        );)*

        /// The histograms of one API.
        #[derive(Debug, Default)]
        struct Histograms { $($field: Histogram,)* }

        const HISTOGRAMS: &[(&Metric, fn(&Histograms) -> &Histogram)] = &[$((&$id, |all| &all.$field),)*];
    };
}

times! {
    QUEUE queue "RequestQueueTimeMs" "Milliseconds that requests waited for those that were read together with them.";
    LOCAL local "LocalTimeMs" "Milliseconds in handlers, until the response was known or parked.";
    REMOTE remote "RemoteTimeMs" "Milliseconds for which responses were parked, for example until there were enough records or a sync was done.";
    THROTTLE throttle "ThrottleTimeMs" "Milliseconds for which connections were muted because of quotas.";
    RESPONSE_QUEUE response_queue "ResponseQueueTimeMs" "Milliseconds that known responses waited for earlier ones of their connection.";
    SEND send "ResponseSendTimeMs" "Milliseconds to send responses.";
    TOTAL total "TotalTimeMs" "Milliseconds from the arrival of requests until they were done.";
    BYTES bytes "RequestBytes" "Bytes of requests.";
}

static REQUESTS: Metric = Metric::meter(
    "kafka.network:type=RequestMetrics,name=RequestsPerSec,request={request},version={version}",
    "Requests by API and version. Fetch counts twice, as in Kafka: as Fetch and as FetchConsumer.",
);
static ERRORS: Metric = Metric::meter(
    "kafka.network:type=RequestMetrics,name=ErrorsPerSec,request={request},error={error}",
    "Error codes in responses, by name; NONE is success. A response may have several.",
);
static DROPPED: Metric = Metric::named(
    "ottla_network_requestmetrics_dropped_total",
    Kind::Counter,
    &["request"],
    "Requests that got no complete response, because their connection was closed. They do not count elsewhere.",
);

/// The metrics that this module has.
pub fn metrics() -> Vec<&'static Metric> {
    let histograms = HISTOGRAMS.iter().map(|(metric, _)| *metric);
    [&REQUESTS, &ERRORS].into_iter().chain(histograms).chain([&DROPPED]).collect()
}

/// Versions that are counted: more than any API has.
const VERSIONS: usize = 32;
/// Error codes that are counted, from -1 on: more than Kafka has.
const CODES: usize = 160;

/// API keys that are counted: more than Kafka has.
const KEYS: usize = 128;

/// The figures of all APIs.
#[derive(Debug)]
pub struct RequestFigures {
    /// By API key. Those of an API take memory from its first request on.
    apis: [OnceLock<Box<ApiFigures>>; KEYS],
}

impl Default for RequestFigures {
    fn default() -> Self {
        RequestFigures { apis: [const { OnceLock::new() }; KEYS] }
    }
}

#[derive(Debug)]
struct ApiFigures {
    versions: [Counter; VERSIONS],
    errors: [Counter; CODES],
    histograms: Histograms,
    dropped: Counter,
}

impl Default for ApiFigures {
    fn default() -> Self {
        ApiFigures {
            versions: [const { Counter::new() }; VERSIONS],
            errors: [const { Counter::new() }; CODES],
            histograms: Histograms::default(),
            dropped: Counter::new(),
        }
    }
}

impl RequestFigures {
    /// Records a request that is done.
    pub fn record(&self, exchange: &Exchange) {
        let Some([key_high, key_low, version_high, version_low, ..]) = exchange.head else { return };
        let (key, version) = (i16::from_be_bytes([key_high, key_low]), i16::from_be_bytes([version_high, version_low]));
        if exchange.authenticating {
            return;
        }
        let Some(api) = ApiKey::from_code(key).and_then(|key| self.api(key)) else { return };
        if exchange.ending == Ending::Dropped {
            return api.dropped.increment();
        }
        if let Some(counter) = usize::try_from(version).ok().and_then(|version| api.versions.get(version)) {
            counter.increment();
        }
        let (all, times) = (&api.histograms, &exchange.times);
        let record = |histogram: &Histogram, time: Duration| histogram.record_time(time);
        record(&all.queue, times.queued());
        record(&all.local, times.local());
        record(&all.remote, times.remote());
        record(&all.throttle, exchange.throttled);
        record(&all.response_queue, times.response_queued());
        record(&all.send, times.send());
        record(&all.total, times.total());
        all.bytes.record(exchange.request_bytes as u64);
    }

    /// Counts the error codes of a response.
    pub fn count_errors(&self, response: &mut Response) {
        let Some(api) = self.api(response.key()) else { return };
        let mut successes = 0;
        response.visit_error_codes(&mut |code| match *code {
            0 => successes += 1,
            code => {
                if let Some(counter) = usize::try_from(code + 1).ok().and_then(|index| api.errors.get(index)) {
                    counter.increment();
                }
            }
        });
        if successes > 0 {
            api.errors[1].add(successes);
        }
    }

    fn api(&self, key: ApiKey) -> Option<&ApiFigures> {
        let api = self.apis.get(usize::try_from(key as i16).ok()?)?;
        Some(api.get_or_init(Box::default))
    }

    /// The figures of the APIs that were used, with the names under which they are written.
    fn named(&self) -> impl Iterator<Item = (&'static str, &ApiFigures)> {
        let used = ApiKey::ALL.iter().filter_map(|key| {
            let api = self.apis.get(usize::try_from(*key as i16).ok()?)?.get()?;
            Some((key.name(), &**api))
        });
        used.flat_map(|(name, api)| {
            let consumer = (name == ApiKey::Fetch.name()).then_some(("FetchConsumer", api));
            [(name, api)].into_iter().chain(consumer)
        })
    }
}

impl Collector for RequestFigures {
    fn collect(&self, scrape: &mut Scrape) {
        let mut requests = scrape.family(&REQUESTS);
        for (name, api) in self.named() {
            for (version, count) in counted(&api.versions) {
                requests.sample(&[name, &version.to_string()], count);
            }
        }
        let mut errors = scrape.family(&ERRORS);
        for (name, api) in self.named() {
            for (index, count) in counted(&api.errors) {
                if let Some(code) = i16::try_from(index).ok().and_then(|index| ErrorCode::from_code(index - 1)) {
                    errors.sample(&[name, code.name()], count);
                }
            }
        }
        for (metric, histogram) in HISTOGRAMS {
            let scale = if std::ptr::eq(*metric, &BYTES) { 1.0 } else { 1e-3 };
            let now = scrape.now();
            let mut family = scrape.family(metric);
            for (name, api) in self.named() {
                family.summary(&[name], &histogram(&api.histograms).summary(now, scale));
            }
        }
        let mut dropped = scrape.family(&DROPPED);
        for (name, api) in self.named().filter(|(_, api)| api.dropped.get() > 0) {
            dropped.sample(&[name], api.dropped.get());
        }
    }
}

/// The counters that are not zero.
fn counted(counters: &[Counter]) -> impl Iterator<Item = (usize, u64)> {
    counters.iter().map(Counter::get).enumerate().filter(|(_, count)| *count > 0)
}

/// The figures as a collector.
pub(super) fn registered(registry: &ottla_metrics::Registry) -> Arc<RequestFigures> {
    let figures = Arc::new(RequestFigures::default());
    registry.register(Arc::clone(&figures) as Arc<dyn Collector>);
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_and_error_code_has_a_counter() {
        for key in ApiKey::ALL {
            assert!((*key.versions().end() as usize) < VERSIONS, "{key}");
            assert!((*key as usize) < RequestFigures::default().apis.len(), "{key}");
        }
        let last = (0..i16::MAX).filter(|code| ErrorCode::from_code(*code).is_some()).max().unwrap();
        assert!((last as usize + 1) < CODES, "{last}");
    }
}
