//! A running broker with its listeners, admin port and schema registry: start, and stop.
//!
//! Shared by `ottla serve` and `ottla::Broker`, which own signals, environment variables and the log's output.

pub mod bind;
pub mod console;
mod ip_quotas;
mod open_files;
mod registry;
pub mod temporary;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bind::Moved;
use console::ConsoleRoutes;
use tokio::sync::watch;

use crate::blocking;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::handlers::{Handlers, ToErrorCode as _};
use crate::http::admin::{Admin, AdminPort, Offered};
use crate::http::metrics::{Metrics, MetricsPort, MetricsServer};
use crate::http::rest_proxy::RestProxy;
use crate::http::scram_users::ScramUsers;
use crate::log_rate_limiter::LogRateLimiter;
use crate::otlp::Exporter;
use crate::secure::{Issuer, ListenerAddress, Secure};
use crate::server::{self, LimitsHandle, Server};
use crate::stage::{Phase, Stage};
use crate::state::loggers::Loggers;
use crate::state::{Broker, NotCreated, authentication};
use crate::tls::TlsListeners;
use crate::trace::TraceHub;
use ottla_config::BrokerConfig;
use ottla_metrics::Registry;
use registry::{BoundRegistry, RegistryService};

/// The divisor of the memory for requests that gives the largest size, once decompressed, of a batch held in memory.
const LARGE_BATCH_SHARE: usize = 4;

/// A broker that serves clients. Dropping it closes its listeners at once.
pub struct Service {
    broker: Arc<Broker>,
    server: Server,
    admin: Option<Admin>,
    admin_url: Option<String>,
    metrics_port: Option<MetricsServer>,
    metrics_url: Option<String>,
    registry: RegistryService,
    rest_proxy: Option<RestProxy>,
    secure: Option<Secure>,
    listeners: Vec<ListenerAddress>,
    /// The `host:port` of each listener, for clients on this machine.
    addresses: Vec<String>,
    bound: Vec<SocketAddr>,
    moved: Vec<Moved>,
    stage: Stage,
}

/// The outcome of [`Service::stop`].
#[derive(Debug)]
pub struct Stopped {
    /// The number of connections closed with unanswered requests.
    pub unanswered: usize,
    /// Whether the data was closed cleanly; the error is one line.
    pub closed: Result<(), String>,
}

impl Service {
    /// Binds the ports, opens the data directory, and then accepts connections. Needs a multi-threaded tokio runtime.
    /// The error is one plain line.
    ///
    /// Ports are bound first, so that a second broker on the same machine fails before it opens the data directory.
    /// `loggers` controls the log levels of this process. `console` makes the routes of the console. `on_bound` runs when the ports are bound: until then, another
    /// broker may still use what it removes.
    pub async fn start(
        config: &BrokerConfig,
        clock: Clock,
        loggers: Arc<dyn Loggers>,
        console: Option<ConsoleRoutes>,
        on_bound: impl FnOnce() -> Result<(), String>,
    ) -> Result<Service, String> {
        open_files::raise_limit();
        let limits = server::Limits::of(config).map_err(|error| error.to_string())?;
        authentication::check(config).map_err(|error| error.to_string())?;
        let secure = Secure::prepare(config, clock)?;
        let issuer = match &secure {
            Some(secure) => Issuer::prepare(secure, config, clock)?,
            None => None,
        };
        // First, because it fails without a trace.
        let tls = TlsListeners::load(config)?;
        let ports = bind::bind_ports(config, &limits, &tls)?;
        let users = ScramUsers::default();
        let admin_port = bind::bind_admin_port(config, &users)?;
        let is_unprotected = admin_port.as_ref().is_some_and(AdminPort::is_unprotected);
        let (console, connector) = console::routes(config, is_unprotected, console)?.unzip();
        let metrics_port = bind::bind_metrics_port(config)?;
        let mut registry = BoundRegistry::bind(config, &users)?;
        let rest_proxy = bind::bind_rest_proxy_port(config, &users)?;
        on_bound()?;
        let (addresses, bound) = (bind::addresses(config, &ports), bind::bound(&ports));
        let moved = bind::moved(config, &ports);
        let admin_url = admin_port.as_ref().map(AdminPort::url);
        let own_url = metrics_port.as_ref().map(MetricsPort::url);
        let metrics_url = own_url.or_else(|| Some(format!("{}/metrics", admin_url.as_ref()?)));
        let limiter = LogRateLimiter::new(clock);
        let environment = Environment::system(clock);
        let (metric_registry, stage) = (environment.metrics.clone(), environment.stage.clone());
        metric_registry.register(Arc::new(stage.clone()));
        let otlp = exporter(config, clock, &limiter, &metric_registry);
        let environment = Environment { otlp, ..environment };
        let metrics = Metrics::new(metric_registry.clone(), config.metrics.max_series, clock);
        let metrics_port = metrics_port.map(|port| port.open(Arc::clone(&metrics), clock, Arc::clone(&limiter)));
        let metrics_port = metrics_port.transpose();
        let metrics_port =
            metrics_port.map_err(|error| format!("cannot accept connections at the port for metrics: {error}"))?;
        let listeners = bind::client_addresses(config, &ports);
        let issuer_url = admin_url.clone().filter(|_| issuer.is_some());
        let trace = TraceHub::new(config.admin.as_ref().map_or(0, |admin| admin.trace_ring_bytes));
        let admin = admin_port.map(|port| {
            let offered = Offered { issuer, console, metrics, trace: Arc::clone(&trace), stage: stage.clone() };
            port.open(offered, clock, Arc::clone(&limiter))
        });
        let admin = admin.transpose();
        let admin = admin.map_err(|error| format!("cannot accept connections at the admin port: {error}"))?;
        let endpoints = bind::endpoints(config, &ports);
        let broker = Broker::open(config.clone(), environment, endpoints, loggers, Arc::clone(&limiter)).await;
        let broker = broker.map_err(|error| format!("cannot use the data directory: {error}"))?;
        broker.create_start_topics().await.map_err(|error| error.to_string())?;
        broker.set_start_users().await.map_err(|error| error.to_string())?;
        users.set_broker(&broker);
        if let Some(secure) = &secure {
            secure.write_clients(config, &listeners, issuer_url.as_deref())?;
        }
        // The settings of an earlier run may differ from those of the start.
        let config = Arc::clone(&broker.settings().borrow());
        tls.update(&config);
        broker.authentication().apply_at_start(&config).map_err(|error| error.to_string())?;
        let without_effect = config.stored_without_effect();
        if !without_effect.is_empty() {
            tracing::info!("stored settings of TLS and SASL without effect: {}", without_effect.join(", "));
        }
        let batch_memory = limits.request_memory / LARGE_BATCH_SHARE;
        let handlers = Handlers::new(Arc::clone(&broker), batch_memory, &metric_registry);
        let schemas = registry.make(&broker);
        let handlers = Arc::new(handlers.with_tls(tls.clone()).with_trace(trace).with_schemas(schemas));
        let server = server::serve(ports, handlers, &limits, clock, Arc::clone(&limiter), &metric_registry);
        let server = server.map_err(|error| format!("cannot accept connections: {error}"))?;
        let rest_proxy = rest_proxy.map(|port| port.open(&broker, clock, Arc::clone(&limiter))).transpose();
        let rest_proxy =
            rest_proxy.map_err(|error| format!("cannot accept connections at the REST proxy's port: {error}"))?;
        let registry = registry.open(clock, limiter, stage.clone())?;
        registry::warn_of_unchecked_topics(&broker, &registry);
        if let (Some(connector), Some(console)) = (connector, config.admin.as_ref().and_then(|it| it.console.as_ref()))
        {
            connector.serve(&broker, &server, console, &bound, &registry);
        }
        tokio::spawn(follow_limits(broker.settings(), server.limits_handle()));
        tokio::spawn(tls.follow(broker.settings(), clock));
        tokio::spawn(ip_quotas::follow(broker.quotas().ip_limits(), server.limits_handle()));
        tokio::spawn(follow_sasl(Arc::downgrade(&broker)));
        let service = Service {
            broker,
            server,
            admin,
            admin_url,
            metrics_port,
            metrics_url,
            registry,
            rest_proxy,
            secure,
            listeners,
            addresses,
            bound,
            moved,
            stage,
        };
        if let Some(admin) = &service.admin {
            admin.ready(Arc::clone(&service.broker), service.bootstrap_servers(), NotCreated::error_code);
        }
        service.stage.set(Phase::Running);
        Ok(service)
    }

    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// The `host:port` of each listener, for clients on this machine: `localhost:9092`.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// All listeners, with the addresses for clients.
    pub fn listeners(&self) -> &[ListenerAddress] {
        &self.listeners
    }

    /// The folder with certificates and client configurations, if the settings ask for one.
    pub fn secure(&self) -> Option<&Secure> {
        self.secure.as_ref()
    }

    /// The bound addresses of all listeners.
    pub fn bound(&self) -> &[SocketAddr] {
        &self.bound
    }

    /// The listeners of `ottla.secure` that got other ports than they should have.
    pub fn moved(&self) -> &[Moved] {
        &self.moved
    }

    /// The first listener's address, as a value for a client's `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }

    /// The URL of the admin port, if there is one: `http://localhost:9644`.
    pub fn admin_url(&self) -> Option<&str> {
        self.admin_url.as_deref()
    }

    /// The URL of the REST proxy, if there is one: `http://localhost:8082`.
    pub fn rest_proxy_url(&self) -> Option<&str> {
        self.rest_proxy.as_ref().map(RestProxy::url)
    }

    /// The URL of the console, if it is enabled: `http://localhost:9644/console/`.
    pub fn console_url(&self) -> Option<String> {
        let enabled = self.broker.settings().borrow().admin.as_ref().is_some_and(|admin| admin.console.is_some());
        self.admin_url.as_ref().filter(|_| enabled).map(|url| format!("{url}/console/"))
    }

    /// The URL of the metrics: on their own port, or else on the admin port.
    pub fn metrics_url(&self) -> Option<&str> {
        self.metrics_url.as_deref()
    }

    /// The URL of the schema registry, if there is one: `http://localhost:8081`.
    pub fn schema_registry_url(&self) -> Option<&str> {
        self.registry.url()
    }

    /// Stops the listeners, sends outstanding replies within `grace`, and closes the logs.
    pub async fn stop(self, grace: Duration) -> Stopped {
        self.stage.set(Phase::Stopping);
        if let Some(admin) = &self.admin {
            admin.not_ready();
        }
        drop((self.metrics_port, self.registry, self.rest_proxy));
        let unanswered = self.server.stop(grace).await;
        let broker = self.broker;
        let limiter = Arc::clone(broker.log_rate_limiter());
        let closed = match blocking::run(move || broker.close()).await {
            Ok(closed) => closed.map_err(|error| error.to_string()),
            Err(panic) => Err(panic.to_string()),
        };
        limiter.report_all();
        Stopped { unanswered, closed }
    }
}

/// Starts the export to a collector, if the settings name one.
fn exporter(
    config: &BrokerConfig,
    clock: Clock,
    limiter: &Arc<LogRateLimiter>,
    registry: &Registry,
) -> Option<Arc<Exporter>> {
    let resource = vec![
        ("service.name", "ottla".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", config.node_id.to_string()),
    ];
    let otlp = config.otlp.as_ref()?;
    Some(Exporter::start(otlp, resource, clock, Arc::clone(limiter), registry))
}

/// Applies the connection limits each time the settings change, and once at the start for those of an earlier run.
async fn follow_limits(mut settings: watch::Receiver<Arc<BrokerConfig>>, limits_handle: LimitsHandle) {
    loop {
        let config = Arc::clone(&settings.borrow_and_update());
        // May block: resolves the host names of max.connections.per.ip.overrides.
        match blocking::run(move || server::Limits::of(&config)).await {
            Ok(Ok(limits)) => limits_handle.set_limits(&limits),
            Ok(Err(error)) => tracing::warn!(%error, "failed to apply connection limits, keeping the previous ones"),
            Err(_) => return,
        }
        if settings.changed().await.is_err() {
            return;
        }
    }
}

/// Applies the SASL settings of listeners each time the settings change, and once for changes since the start.
async fn follow_sasl(broker: Weak<Broker>) {
    let Some(mut settings) = broker.upgrade().map(|broker| broker.settings()) else { return };
    loop {
        let config = Arc::clone(&settings.borrow_and_update());
        let Some(broker) = broker.upgrade() else { return };
        // May block: reads the JAAS file.
        if blocking::run(move || broker.authentication().reconfigure(&config)).await.is_err() {
            return;
        }
        if settings.changed().await.is_err() {
            return;
        }
    }
}
