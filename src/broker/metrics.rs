//! All metrics that the broker declares, for the reference `docs/metrics.md`.

use ottla_metrics::Metric;

use crate::handlers::request_figures;
use crate::http;
use crate::otlp;
use crate::server;
use crate::stage;
use crate::state::{client_metrics, figures};

/// The metrics by subject, each where it is declared.
pub fn declared() -> Vec<(&'static str, Vec<&'static Metric>)> {
    vec![
        ("Broker, topics, partitions and groups", stage::metrics().into_iter().chain(figures::metrics()).collect()),
        ("Metrics that clients push", client_metrics::metrics()),
        ("Requests by API", request_figures::metrics()),
        ("Export to a collector", otlp::metrics()),
        ("Listeners and connections", server::figures::metrics()),
        ("Process", http::metrics::metrics()),
    ]
}
