//! The port for metrics alone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use super::super::admin::host_refusal;
use super::super::listener::{HttpAccess, HttpLimits, HttpPort, HttpServer, refuse};
use super::{Metrics, routes};
use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;
use crate::tls::TlsListener;
use ottla_config::MetricsPortConfig;

/// The number of concurrent connections.
const MAX_CONNECTIONS: usize = 16;
/// The number of connections that may wait to be accepted.
const BACKLOG: i32 = 16;
/// Bytes that a connection, and so its one request, may send.
const MAX_BYTES: usize = 16 << 10;
/// The longest time for a request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time from the start of a connection to its response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// The setting that allows further hosts.
const ALLOWED_HOSTS: &str = "ottla.metrics.allowed.hosts";

/// A bound port.
#[derive(Debug)]
pub struct MetricsPort {
    port: HttpPort,
    known_hosts: Vec<String>,
}

/// A running port. Dropping it closes the port.
pub struct MetricsServer {
    _server: HttpServer,
}

impl MetricsPort {
    /// Binds the port. May block to resolve a host name.
    pub fn bind(config: &MetricsPortConfig, tls: Option<Arc<TlsListener>>) -> io::Result<MetricsPort> {
        let limits = HttpLimits {
            connections: MAX_CONNECTIONS,
            backlog: BACKLOG,
            request_bytes: MAX_BYTES,
            body_bytes: 0,
            request_timeout: REQUEST_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            keep_alive: false,
        };
        let access = HttpAccess { tls, ..HttpAccess::with_token(config.token.as_ref()) };
        let port = HttpPort::bind("metrics", &config.bind, limits, access)?;
        let known_hosts = port.known_hosts(&config.allowed_hosts);
        Ok(MetricsPort { port, known_hosts })
    }

    /// Whether other machines can connect and need no token.
    pub fn is_unprotected(&self) -> bool {
        self.port.is_unprotected()
    }

    /// Accepts further names in the header Host.
    pub fn allow_hosts(&mut self, hosts: &[String]) {
        self.known_hosts.extend_from_slice(hosts);
    }

    /// The URL of the metrics for clients on this machine.
    pub fn url(&self) -> String {
        format!("{}/metrics", self.port.url())
    }

    /// Accepts requests. Needs a tokio runtime.
    pub fn open(self, metrics: Arc<Metrics>, clock: Clock, limiter: Arc<LogRateLimiter>) -> io::Result<MetricsServer> {
        let known_hosts: Arc<[String]> = self.known_hosts.into();
        let routes: Router = routes(metrics)
            .fallback(unknown)
            .method_not_allowed_fallback(unknown)
            .layer(from_fn_with_state(known_hosts, with_known_host));
        Ok(MetricsServer { _server: self.port.open(routes, clock, limiter)? })
    }
}

async fn unknown() -> Response {
    refuse(StatusCode::NOT_FOUND, "the supported request is GET /metrics")
}

/// Refuses requests that a web page can make a browser send, by the names of their hosts.
async fn with_known_host(State(known_hosts): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    match host_refusal(request.uri(), request.headers(), &known_hosts, ALLOWED_HOSTS) {
        None => next.run(request).await,
        Some(reason) => refuse(StatusCode::FORBIDDEN, &reason),
    }
}
