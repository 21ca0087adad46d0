//! `GET /metrics`, in Prometheus's text format or in OpenMetrics's, on the admin port and on a port of its own.

mod idle;
mod port;
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::listener::refuse;
use crate::blocking;
use crate::clock::Clock;
use ottla_metrics::{Format, Metric, Registry, Scrape};

pub use port::{MetricsPort, MetricsServer};

/// Scrapes whose texts may be in memory. Others wait.
const MAX_SCRAPES: usize = 4;

/// What scrapes need.
pub struct Metrics {
    registry: Registry,
    max_series: usize,
    clock: Clock,
    scrapes: Arc<Semaphore>,
    has_logged_omission: AtomicBool,
    /// The length of the text of the scrape before.
    last_length: AtomicUsize,
}

/// The metrics that this module has.
pub fn metrics() -> Vec<&'static Metric> {
    process::metrics().into_iter().chain([Scrape::omitted_metric()]).collect()
}

/// The text of a scrape. It counts among [`MAX_SCRAPES`] until it was sent.
struct Text {
    text: String,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Metrics {
    /// Adds the metrics of the process to a registry, and prepares scrapes of it.
    pub fn new(registry: Registry, max_series: usize, clock: Clock) -> Arc<Metrics> {
        registry.register(Arc::new(process::Process::new(clock)));
        let scrapes = Arc::new(Semaphore::new(MAX_SCRAPES));
        Arc::new(Metrics {
            registry,
            max_series,
            clock,
            scrapes,
            has_logged_omission: AtomicBool::new(false),
            last_length: AtomicUsize::new(0),
        })
    }

    /// All metrics as text.
    fn scrape(&self, format: Format) -> String {
        let last_length = self.last_length.load(Ordering::Relaxed);
        let scrape = Scrape::new(format, self.max_series, self.clock.monotonic());
        let mut scrape = scrape.with_capacity(last_length + last_length / 16);
        self.registry.collect(&mut scrape);
        let omitted = scrape.omitted();
        if omitted > 0 && !self.has_logged_omission.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                omitted,
                max_series = self.max_series,
                "there are more series than ottla.metrics.max.series, so scrapes of /metrics leave some out"
            );
        }
        let text = scrape.finish();
        self.last_length.store(text.len(), Ordering::Relaxed);
        text
    }
}

/// The route of scrapes.
pub fn routes(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(metrics)
}

async fn scrape(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let Ok(permit) = Arc::clone(&metrics.scrapes).acquire_owned().await else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the broker is stopping");
    };
    // Opens logs, and reads the files of the process.
    match blocking::run(move || Text { text: metrics.scrape(format), _permit: permit }).await {
        Ok(text) => {
            let mut response = Response::new(Body::from(Bytes::from_owner(text)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
            response
        }
        Err(panic) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
}
