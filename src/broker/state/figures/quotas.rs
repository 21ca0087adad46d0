//! The use of client quotas. The number of clients is bounded, per type of quota.

use super::super::Broker;
use ottla_core::security::quota::{ClientUse, QuotaType};
use ottla_metrics::{Metric, Scrape};

const CLIENT: &str = "kafka.server:type={resource},user={user},client-id={client-id}";

static BYTE_RATE: Metric = Metric::attribute(
    CLIENT,
    "byte-rate",
    "Bytes per second that a client produces or fetches, while there are such quotas. A user or client id for which the \
     quota makes no difference is absent.",
);
static REQUEST_TIME: Metric = Metric::attribute(
    CLIENT,
    "request-time",
    "The percentage of a handler thread that a client uses, while there are such quotas.",
);
static THROTTLE_TIME: Metric = Metric::attribute(
    CLIENT,
    "throttle-time",
    "The mean of a client's throttle times in ms, over the windows of quota.window.num; 0 if it was not throttled.",
);

/// The metrics that this module has.
pub(super) const METRICS: &[&Metric] = &[&BYTE_RATE, &REQUEST_TIME, &THROTTLE_TIME];

/// A metric, the quotas that it is about with their names, and its value.
type OfClients = (&'static Metric, &'static [(QuotaType, &'static str)], fn(&ClientUse) -> f64);

const BYTES: &[(QuotaType, &str)] = &[(QuotaType::Produce, "Produce"), (QuotaType::Fetch, "Fetch")];
const REQUESTS: &[(QuotaType, &str)] = &[(QuotaType::Request, "Request")];
const ALL: &[(QuotaType, &str)] =
    &[(QuotaType::Produce, "Produce"), (QuotaType::Fetch, "Fetch"), (QuotaType::Request, "Request")];

const BY_CLIENT: [OfClients; 3] = [
    (&BYTE_RATE, BYTES, |it| it.rate),
    (&REQUEST_TIME, REQUESTS, |it| it.rate),
    (&THROTTLE_TIME, ALL, |it| it.throttle_ms),
];

/// Locks the meters for as long as it takes to copy the rates.
pub(super) fn collect(broker: &Broker, scrape: &mut Scrape) {
    let uses = broker.quotas().uses();
    for (metric, quotas, value) in BY_CLIENT {
        let mut family = scrape.family(metric);
        for (quota, resource) in quotas {
            for client in uses.iter().filter(|(of, _)| of == quota).flat_map(|(_, clients)| clients) {
                family.sample(&[resource, &client.user, &client.client_id], value(client));
            }
        }
    }
}
