//! The admin port: health, readiness and reset over HTTP, for test suites and container orchestrators.
//!
//! | request | response |
//! |---|---|
//! | `GET /health` | 200 as soon as the process runs, 503 if its storage has failed; with the version, and with the reasons why it is not ready, if the request's host is known |
//! | `GET /ready` | 200 while Kafka clients are served; 503 with the reasons before, during shutdown, and while the storage has failed |
//! | `GET /metrics` | 200 with all metrics as text, see `metrics` |
//! | `POST /reset` | 200 when the broker is in the state of a first start, see [`Broker::reset`] |
//! | `POST /topics` | 200 when the topic of the body can be used, see `topics` |
//! | `GET /trace` | 200 and one line of JSON for each request of a Kafka client, see `trace` |
//! | `GET /client-metrics` | 200 with the clients that push metrics, see `client_metrics` |
//! | `/v1/…` | a part of Redpanda's admin API, see `redpanda` |
//! | `/console/`, `/api/v1/…` | the console and its API, if they are enabled; their routes come from outside |
//! | `GET /.well-known/openid-configuration`, `GET /oauth/jwks`, `POST /oauth/token` | the OIDC issuer, if it is enabled |
//!
//! Responses are JSON; an unsuccessful one has an `error`. The admin port is open only if `ottla.admin.listener` is
//! set. With `ottla.admin.token`, requests need the token. A web page can make a browser send requests to this machine, so `guard` requires
//! of all requests but `GET /health` what a page cannot provide.
//!
//! `listener` bounds what clients can use.

mod client_metrics;
mod guard;
mod oidc;
mod redpanda;
mod routes;
mod topics;
mod trace;
mod turns;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::listener::{HttpAccess, HttpLimits, HttpPort, HttpServer, Passwords};
use super::metrics::Metrics;
use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;
use crate::secure::Issuer;
use crate::stage::{Phase, Stage};
use crate::state::{Broker, NotCreated};
use crate::tls::TlsListener;
use crate::trace::TraceHub;
pub(super) use guard::host_refusal;
use oidc::Oidc;
use ottla_config::AdminConfig;
use ottla_wire::types::ErrorCode;
use turns::Turns;

/// The number of concurrent connections.
const MAX_CONNECTIONS: usize = 256;
/// The number of connections that may wait to be accepted.
const BACKLOG: i32 = 256;
/// Bytes that a connection, and so its one request, may send.
const MAX_BYTES: usize = 64 << 10;
/// The largest request body in bytes that is read.
const MAX_BODY: usize = 16 << 10;
/// The largest request body in bytes with the console, which produces records.
const MAX_CONSOLE_BODY: usize = 1 << 20;
/// The longest time for a request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time from the start of a connection to its response, far longer than a reset takes.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Paths that need no token or password: one without content, by which clients of Redpanda see that it runs; liveness; and
/// those whose clients authenticate in another way. The console's pages contain no data; what they show comes from the API.
const PUBLIC_PATHS: &[&str] = &["/", "/health", oidc::DISCOVERY, oidc::KEYS, oidc::TOKEN, "/console/*"];
/// Connections for requests that change nothing, such as health checks.
const _: () = assert!(turns::MAX_CHANGES + turns::MAX_WAITING + 32 <= MAX_CONNECTIONS);

/// A bound port.
#[derive(Debug)]
pub struct AdminPort {
    port: HttpPort,
    known_hosts: Vec<String>,
}

/// What the admin port offers besides changes of the broker.
pub struct Offered {
    pub issuer: Option<Issuer>,
    /// The routes of the console.
    pub console: Option<Router>,
    pub metrics: Arc<Metrics>,
    pub trace: Arc<TraceHub>,
    pub stage: Stage,
}

/// A running admin port. Dropping it closes the port.
pub struct Admin {
    shared: Arc<Shared>,
    _server: HttpServer,
}

/// State shared by all requests.
struct Shared {
    serving: RwLock<Option<Serving>>,
    known_hosts: Vec<String>,
    /// `http` or `https`.
    scheme: &'static str,
    turns: Turns,
    /// Held by changes of users.
    user_changes: Mutex<()>,
    limiter: Arc<LogRateLimiter>,
    trace: Arc<TraceHub>,
    stage: Stage,
    clock: Clock,
}

/// A broker that serves Kafka clients.
#[derive(Clone)]
struct Serving {
    broker: Arc<Broker>,
    bootstrap_servers: Arc<str>,
    error_code: fn(&NotCreated) -> ErrorCode,
}

/// Whether Kafka clients are served.
struct Readiness {
    /// `None` if they are not.
    serving: Option<Serving>,
    /// What does not work, or not yet; one plain text each.
    reasons: Vec<String>,
    storage_failed: bool,
}

impl AdminPort {
    /// Binds the port; connections are accepted from [`AdminPort::open`] on. May block to resolve a host name.
    pub fn bind(config: &AdminConfig, tls: Option<Arc<TlsListener>>) -> io::Result<AdminPort> {
        let body_bytes = if config.console.is_some() { MAX_CONSOLE_BODY } else { MAX_BODY };
        let limits = HttpLimits {
            connections: MAX_CONNECTIONS,
            backlog: BACKLOG,
            request_bytes: MAX_BYTES - MAX_BODY + body_bytes,
            body_bytes,
            request_timeout: REQUEST_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            keep_alive: false,
        };
        let access = HttpAccess { tls, public_paths: PUBLIC_PATHS, ..HttpAccess::with_token(config.token.as_ref()) };
        let port = HttpPort::bind("admin", &config.bind, limits, access)?;
        let known_hosts = port.known_hosts(&config.allowed_hosts);
        Ok(AdminPort { port, known_hosts })
    }

    /// The URL for clients on this machine, `http://host:port`.
    pub fn url(&self) -> String {
        self.port.url()
    }

    /// Accepts further names in the header Host.
    pub fn allow_hosts(&mut self, hosts: &[String]) {
        self.known_hosts.extend_from_slice(hosts);
    }

    /// Demands the name and password of a user.
    pub fn set_passwords(&mut self, passwords: Arc<dyn Passwords>) {
        self.port.set_passwords(passwords);
    }

    /// Whether other machines can connect and need no token or password.
    pub fn is_unprotected(&self) -> bool {
        self.port.is_unprotected()
    }

    /// Accepts requests, before the broker is open. `limiter` limits the log lines that peers cause. Needs a tokio
    /// runtime.
    pub fn open(self, offered: Offered, clock: Clock, limiter: Arc<LogRateLimiter>) -> io::Result<Admin> {
        let Offered { issuer, console, metrics, trace, stage } = offered;
        let (serving, turns, user_changes) = (RwLock::default(), Turns::new(clock), Mutex::default());
        let known_hosts = self.known_hosts;
        let url = self.port.url();
        let scheme = if url.starts_with("https:") { "https" } else { "http" };
        let limiter_of_checks = Arc::clone(&limiter);
        let shared = Arc::new(Shared {
            serving,
            known_hosts,
            scheme,
            turns,
            user_changes,
            limiter: limiter_of_checks,
            trace,
            stage,
            clock,
        });
        let oidc =
            issuer.map(|issuer| oidc::routes(Arc::new(Oidc { issuer, scheme, url, limiter: Arc::clone(&limiter) })));
        let added = oidc.unwrap_or_default().merge(console.unwrap_or_default());
        let server = self.port.open(routes::routes(Arc::clone(&shared), metrics, added), clock, limiter)?;
        Ok(Admin { shared, _server: server })
    }
}

impl Admin {
    /// Reports the broker as ready for Kafka clients, at these addresses. `error_code` is Kafka's code for an error.
    pub fn ready(&self, broker: Arc<Broker>, bootstrap_servers: &str, error_code: fn(&NotCreated) -> ErrorCode) {
        let bootstrap_servers = bootstrap_servers.into();
        *self.shared.serving.write() = Some(Serving { broker, bootstrap_servers, error_code });
    }

    /// Reports the broker as not ready, refuses changes and ends the followers of the trace.
    pub fn not_ready(&self) {
        self.shared.trace.close();
        *self.shared.serving.write() = None;
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.shared.trace.close();
    }
}

impl Shared {
    fn serving(&self) -> Option<Serving> {
        self.serving.read().clone()
    }

    /// Whether Kafka clients are served, and if not or not completely, why.
    fn readiness(&self) -> Readiness {
        let (serving, mut reasons) = (self.serving(), self.stage.reasons());
        let storage = serving.as_ref().map(|serving| serving.broker.storage_health()).unwrap_or_default();
        reasons.extend(storage.faults());
        let storage_failed = storage.has_failed();
        // What is loading or offline in part does not make the whole broker unusable.
        let is_running = self.stage.phase() == Phase::Running;
        Readiness { serving: serving.filter(|_| is_running && !storage_failed), reasons, storage_failed }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use ottla_config::{BindAddress, BindHost};
    use ottla_metrics::Registry;

    /// The status code of the response to a request.
    async fn status(host: &str, request: &str) -> String {
        let mut socket = TcpStream::connect(host).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: {host}\r\nX-Ottla-Admin: 1\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        socket.read_to_string(&mut response).await.unwrap();
        response.split(' ').nth(1).unwrap().to_owned()
    }

    #[tokio::test]
    async fn admin_port_without_broker_is_healthy_and_not_ready() {
        let bind = BindAddress { host: BindHost::Named("127.0.0.1".to_owned()), port: 0 };
        let port = AdminPort::bind(
            &AdminConfig {
                bind,
                allowed_hosts: Vec::new(),
                token: None,
                scram_users: Vec::new(),
                tls: None,
                console: None,
                trace_ring_bytes: 0,
            },
            None,
        )
        .unwrap();
        let host = port.url().strip_prefix("http://").unwrap().to_owned();
        let metrics = Metrics::new(Registry::default(), 100, Clock::start());
        let (trace, stage) = (TraceHub::new(0), Stage::default());
        let offered = Offered { issuer: None, console: None, metrics, trace, stage };
        let admin = port.open(offered, Clock::start(), LogRateLimiter::new(Clock::start())).unwrap();
        assert_eq!(status(&host, "GET /health").await, "200");
        assert_eq!(status(&host, "GET /ready").await, "503");
        assert_eq!(status(&host, "GET /metrics").await, "200");
        assert_eq!(status(&host, "POST /reset").await, "503");
        drop(admin);
        assert!(TcpStream::connect(&host).await.is_err());
    }
}
