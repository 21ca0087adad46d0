//! The use of client quotas.

use super::super::Broker;
use ottla_core::security::quota::QuotaType;
use ottla_metrics::{Metric, Scrape};

static BYTE_RATE: Metric = Metric::attribute(
    "kafka.server:type={resource},user={user},client-id={client-id}",
    "byte-rate",
    "Bytes per second that a client produces or fetches, while there are such quotas. A user or client id for which the \
     quota makes no difference is absent.",
);
static REQUEST_TIME: Metric = Metric::attribute(
    "kafka.server:type={resource},user={user},client-id={client-id}",
    "request-time",
    "The percentage of a handler thread that a client uses, while there are such quotas.",
);

/// The metrics that this module has.
pub(super) const METRICS: &[&Metric] = &[&BYTE_RATE, &REQUEST_TIME];

/// Locks the meters for as long as it takes to copy the rates.
pub(super) fn collect(broker: &Broker, scrape: &mut Scrape) {
    let rates = broker.quotas().rates();
    for (metric, resources) in [
        (&BYTE_RATE, &[(QuotaType::Produce, "Produce"), (QuotaType::Fetch, "Fetch")][..]),
        (&REQUEST_TIME, &[(QuotaType::Request, "Request")]),
    ] {
        let mut family = scrape.family(metric);
        for (quota, resource) in resources {
            let clients = rates.iter().filter(|(of, _)| of == quota).flat_map(|(_, clients)| clients);
            for (user, client_id, rate) in clients {
                family.sample(&[resource, user, client_id], *rate);
            }
        }
    }
}
