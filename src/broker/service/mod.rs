//! A broker with its doors: from settings to one that answers, and back to nothing.
//!
//! What `ottla serve` and `ottla::Broker` have in common. Signals, environment and log lines are theirs.

pub mod bind;
mod open_files;
pub mod temporary;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::handlers::Handlers;
use crate::http::{Admin, AdminPort};
use crate::log_rate_limiter::LogRateLimiter;
use crate::server::{self, LimitsHandle, Server};
use crate::state::Broker;
use crate::state::loggers::Loggers;
use ottla_config::BrokerConfig;

/// One in so many bytes for requests may be taken by a batch that is larger once decompressed than is usual.
const LARGE_BATCH_SHARE: usize = 4;

/// A broker that answers. Dropping it closes its doors at once.
pub struct Service {
    broker: Arc<Broker>,
    server: Server,
    admin: Option<Admin>,
    admin_url: Option<String>,
    /// Where a client on this machine connects to, by listener.
    addresses: Vec<String>,
    bound: Vec<SocketAddr>,
}

/// How a service ended.
#[derive(Debug)]
pub struct Stopped {
    /// How many connections were closed with requests unanswered.
    pub unanswered: usize,
    /// Whether everything was put away; if not, why, in one line.
    pub closed: Result<(), String>,
}

impl Service {
    /// Claims the ports first, because that is where a second broker on one machine finds out; then opens the data;
    /// then the doors. Needs a tokio runtime of several threads. The error is one plain line.
    ///
    /// `loggers` is what controls the lines that are logged in this process.
    ///
    /// `alone` runs once the ports are ours: before, another broker may still need what this one would take away.
    pub async fn start(
        config: &BrokerConfig,
        clock: Clock,
        loggers: Arc<dyn Loggers>,
        alone: impl FnOnce() -> Result<(), String>,
    ) -> Result<Service, String> {
        open_files::raise_limit();
        let limits = server::Limits::of(config).map_err(|error| error.to_string())?;
        let ports = bind::claim_ports(config, &limits)?;
        let admin_port = bind::claim_admin_port(config)?;
        alone()?;
        let (addresses, bound) = (bind::addresses(config, &ports), bind::bound(&ports));
        let admin_url = admin_port.as_ref().map(AdminPort::url);
        let limiter = LogRateLimiter::new(move || clock.monotonic());
        let admin = admin_port.map(|port| port.open(Arc::clone(&limiter))).transpose();
        let admin = admin.map_err(|error| format!("cannot accept connections at the admin port: {error}"))?;
        let broker =
            Broker::open(config.clone(), clock, bind::endpoints(config, &ports), loggers, Arc::clone(&limiter));
        let broker = broker.await.map_err(|error| format!("cannot use the data directory: {error}"))?;
        broker.create_start_topics().await.map_err(|error| error.to_string())?;
        let handlers = Arc::new(Handlers::new(Arc::clone(&broker), limits.request_memory / LARGE_BATCH_SHARE));
        let server = server::serve(ports, handlers, &limits, limiter);
        let server = server.map_err(|error| format!("cannot accept connections: {error}"))?;
        tokio::spawn(follow_limits(broker.settings(), server.limits_handle()));
        let service = Service { broker, server, admin, admin_url, addresses, bound };
        if let Some(admin) = &service.admin {
            admin.ready(Arc::clone(&service.broker), service.bootstrap_servers());
        }
        Ok(service)
    }

    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Where a client on this machine connects to, by listener: `localhost:9092`.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The addresses that it listens on, all listeners'.
    pub fn bound(&self) -> &[SocketAddr] {
        &self.bound
    }

    /// The first listener's address, as a client's setting takes it.
    pub fn bootstrap_servers(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }

    /// Where the admin port is, if there is one: `http://localhost:9644`.
    pub fn admin_url(&self) -> Option<&str> {
        self.admin_url.as_deref()
    }

    /// Lets clients go, replies that they still wait for within `grace`; then closes the logs.
    pub async fn stop(self, grace: Duration) -> Stopped {
        if let Some(admin) = &self.admin {
            admin.not_ready();
        }
        let unanswered = self.server.stop(grace).await;
        let broker = self.broker;
        let limiter = Arc::clone(broker.log_rate_limiter());
        let closed = match tokio::task::spawn_blocking(move || broker.close()).await {
            Ok(closed) => closed.map_err(|error| error.to_string()),
            Err(panic) => Err(panic.to_string()),
        };
        limiter.report_all();
        Stopped { unanswered, closed }
    }
}

/// Puts limits of connections in force as they are set while the broker runs, or were by an earlier run.
async fn follow_limits(mut settings: watch::Receiver<Arc<BrokerConfig>>, limits_handle: LimitsHandle) {
    loop {
        let config = Arc::clone(&settings.borrow_and_update());
        // Resolves the names of max.connections.per.ip.overrides, which may take a while.
        match tokio::task::spawn_blocking(move || server::Limits::of(&config)).await {
            Ok(Ok(limits)) => limits_handle.set_limits(&limits),
            Ok(Err(error)) => tracing::warn!("limits of connections stay as they are: {error}"),
            Err(_) => return,
        }
        if settings.changed().await.is_err() {
            return;
        }
    }
}
