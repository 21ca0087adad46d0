//! Metrics of listeners and connections (Kafka's `socket-server-metrics`).

use std::sync::Arc;

use super::exchange::{Ending, Exchange};
use super::memory::RequestBudget;
use ottla_metrics::{Collector, Counter, Metric, Scrape};

macro_rules! by_listener {
    ($($id:ident $kind:ident $attribute:literal $value:expr, $help:literal;)*) => {
        $(static $id: Metric = Metric::$kind(
            "kafka.server:type=socket-server-metrics,listener={listener},networkProcessor=0",
            $attribute,
            $help,
        );)*
        /// The metrics with a series for each listener.
        const BY_LISTENER: &[(&Metric, fn(&ListenerFigures) -> u64)] = &[$((&$id, $value),)*];
    };
}

by_listener! {
    COUNT attribute "connection-count" |it| it.accepted.get().saturating_sub(it.closed.get()), "Open connections.";
    CREATIONS total "connection-creation-total" |it| it.accepted.get(), "Accepted connections.";
    CLOSES total "connection-close-total" |it| it.closed.get(), "Connections that ended.";
    REQUESTS total "request-total" |it| it.requests.get(), "Requests that are done.";
    RESPONSES total "response-total" |it| it.responses.get(), "Responses that were sent.";
    INCOMING total "incoming-byte-total" |it| it.incoming.get(), "Bytes of requests.";
    OUTGOING total "outgoing-byte-total" |it| it.outgoing.get(), "Bytes of responses that were sent.";
    AUTHENTICATED total "successful-authentication-total" |it| it.authenticated.get(), "Authentications with TLS or SASL that succeeded.";
    FAILED_AUTHENTICATION total "failed-authentication-total" |it| it.failed_authentication.get(), "TLS handshakes and SASL exchanges that failed.";
    EXPIRED attribute "expired-connections-killed-count" |it| it.expired.get(), "Connections closed because their clients did not authenticate again.";
}

static MEMORY_AVAILABLE: Metric = Metric::gauge(
    "kafka.network:type=SocketServer,name=MemoryPoolAvailable",
    "Bytes that are free in the memory for requests (queued.max.request.bytes).",
);
static MEMORY_USED: Metric = Metric::gauge(
    "kafka.network:type=SocketServer,name=MemoryPoolUsed",
    "Bytes that large requests use of the memory for requests.",
);
static EXPIRED_CONNECTIONS: Metric = Metric::gauge(
    "kafka.network:type=SocketServer,name=ExpiredConnectionsKilledCount",
    "Connections of all listeners closed because their clients did not authenticate again.",
);

/// The metrics that this module has.
pub fn metrics() -> Vec<&'static Metric> {
    let by_listener = BY_LISTENER.iter().map(|(metric, _)| *metric);
    by_listener.chain([&MEMORY_AVAILABLE, &MEMORY_USED, &EXPIRED_CONNECTIONS]).collect()
}

/// The counters of one listener.
#[derive(Debug, Default)]
pub struct ListenerFigures {
    accepted: Counter,
    closed: Counter,
    requests: Counter,
    responses: Counter,
    incoming: Counter,
    outgoing: Counter,
    pub authenticated: Counter,
    pub failed_authentication: Counter,
    /// Connections closed because their clients did not authenticate again.
    pub expired: Counter,
}

impl ListenerFigures {
    /// Counts a request that is done.
    pub(super) fn count(&self, exchange: &Exchange) {
        self.requests.increment();
        self.incoming.add(exchange.request_bytes as u64);
        if exchange.ending == Ending::Sent {
            self.responses.increment();
            self.outgoing.add(exchange.response_bytes as u64);
        }
    }
}

/// A connection that is counted as open until this is dropped.
#[derive(Debug)]
pub struct CountedConnection(Arc<ListenerFigures>);

impl CountedConnection {
    pub(super) fn new(listener: Arc<ListenerFigures>) -> CountedConnection {
        listener.accepted.increment();
        CountedConnection(listener)
    }

    /// The counters of the connection's listener.
    pub fn listener(&self) -> &ListenerFigures {
        &self.0
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.closed.increment();
    }
}

/// The figures of all listeners.
pub(super) struct ServerFigures {
    pub budget: Arc<RequestBudget>,
    pub listeners: Vec<(Arc<str>, Arc<ListenerFigures>)>,
}

impl Collector for ServerFigures {
    fn collect(&self, scrape: &mut Scrape) {
        for (metric, value) in BY_LISTENER {
            let mut family = scrape.family(metric);
            for (name, figures) in &self.listeners {
                family.sample(&[name], value(figures));
            }
        }
        scrape.single(&MEMORY_AVAILABLE, self.budget.free());
        scrape.single(&MEMORY_USED, self.budget.total().saturating_sub(self.budget.free()));
        let expired = self.listeners.iter().map(|(_, figures)| figures.expired.get());
        scrape.single(&EXPIRED_CONNECTIONS, expired.sum::<u64>());
    }
}
