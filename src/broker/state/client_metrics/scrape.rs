//! Pushed values, and figures about them, in a scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ClientMetrics;
use super::values::{PushedClient, Series, SeriesKey, float};
use ottla_metrics::{Collector, Kind, Metric, Registry, Scrape, Value};
use ottla_otlp::Number;

static INSTANCES: Metric = Metric::attribute(
    "kafka.server:type=client-metrics",
    "instance-count",
    "Client instances that have asked for a subscription to client metrics lately.",
);
static UNKNOWN: Metric = Metric::total(
    "kafka.server:type=client-metrics",
    "unknown-subscription-request-count",
    "Pushes with another subscription id than the client's.",
);
static THROTTLED: Metric = Metric::named(
    "ottla_client_metrics_throttled_total",
    Kind::Counter,
    &[],
    "Requests for subscriptions, and pushes, before the client's push interval had passed.",
);
static PUSHES: Metric =
    Metric::named("ottla_client_metrics_pushes_total", Kind::Counter, &[], "Pushes whose metrics were taken.");
static UNREADABLE: Metric = Metric::named(
    "ottla_client_metrics_unreadable_total",
    Kind::Counter,
    &[],
    "Pushes whose metrics could not be read.",
);
static OMITTED: Metric = Metric::named(
    "ottla_client_metrics_omitted_total",
    Kind::Counter,
    &[],
    "Pushed values that are not shown: those above ottla.client.metrics.max.series, histograms, and those with long labels.",
);
static INFO: Metric = Metric::named(
    "ottla_client_instance_info",
    Kind::Gauge,
    &[
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_rack",
        "group_id",
        "group_instance_id",
        "group_member_id",
        "transactional_id",
    ],
    "1 for each client that pushes metrics. The metrics themselves have the labels client_instance_id and client_id, and \
     those that the client sends with them.",
);

/// The help text of what clients push.
const PUSHED: &str = "Pushed by clients (KIP-714).";

/// The metrics that this module has. Those that clients push have names of their own.
pub fn metrics() -> Vec<&'static Metric> {
    vec![&INSTANCES, &UNKNOWN, &THROTTLED, &PUSHES, &UNREADABLE, &OMITTED, &INFO]
}

/// Adds client metrics to a registry.
pub fn register(client_metrics: &Arc<ClientMetrics>, registry: &Registry) {
    registry.register(Arc::clone(client_metrics) as Arc<dyn Collector>);
}

impl Collector for ClientMetrics {
    fn is_unbounded(&self) -> bool {
        true
    }

    fn collect(&self, scrape: &mut Scrape) {
        let now = self.clock.monotonic();
        scrape.single(&INSTANCES, self.instances.lock().count(now));
        scrape.single(&UNKNOWN, self.counts.unknown_subscriptions.get());
        scrape.single(&THROTTLED, self.counts.throttled.get());
        scrape.single(&PUSHES, self.counts.pushes.get());
        scrape.single(&UNREADABLE, self.counts.unreadable.get());
        // Locked by pushes only.
        let mut values = self.values.lock();
        scrape.single(&OMITTED, values.omitted());
        let clients = values.clients(now);
        let mut info = scrape.family(&INFO);
        for pushed in &clients {
            let client = &pushed.client;
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let mut labels = vec![
                client.instance_id.to_string(),
                text(&client.client_id),
                text(&client.software_name),
                text(&client.software_version),
                client.source_address.clone(),
            ];
            labels.extend(pushed.resource.iter().cloned());
            info.sample(&labels.iter().map(String::as_str).collect::<Vec<_>>(), 1u64);
        }
        collect_pushed(&clients, scrape);
    }
}

fn collect_pushed(clients: &[&PushedClient], scrape: &mut Scrape) {
    /// The series of all clients with a name and kind, each with the number of its client.
    type Families<'a> = BTreeMap<(&'a str, bool), Vec<(usize, &'a SeriesKey, &'a Series)>>;
    let mut families = Families::new();
    for (index, client) in clients.iter().enumerate() {
        for (key, series) in &client.series {
            families.entry((&key.name, series.kind == Kind::Counter)).or_default().push((index, key, series));
        }
    }
    let ids: Vec<String> = clients.iter().map(|client| client.client.instance_id.to_string()).collect();
    for ((name, is_counter), all) in families {
        let names: BTreeSet<&str> = all.iter().flat_map(|(_, key, _)| &key.labels).map(|(name, _)| &**name).collect();
        let kind = if is_counter { Kind::Counter } else { Kind::Gauge };
        let labels = ["client_instance_id", "client_id"].into_iter().chain(names.iter().copied());
        let metric = Metric::given(name, kind, labels, PUSHED);
        let mut family = scrape.family(&metric);
        for (index, key, series) in all {
            let id = ids.get(index).map(String::as_str).unwrap_or_default();
            let client_id = clients.get(index).and_then(|client| client.client.client_id.as_deref());
            let mut given = key.labels.iter().peekable();
            let values = names.iter().map(|name| match given.next_if(|(label, _)| label == name) {
                Some((_, value)) => value.as_str(),
                None => "",
            });
            let values: Vec<&str> = [id, client_id.unwrap_or_default()].into_iter().chain(values).collect();
            let value = match series.value {
                Number::Int(number) => Value::Signed(number),
                number => Value::Float(float(number)),
            };
            family.sample(&values, value);
        }
    }
}
