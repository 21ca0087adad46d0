//! The Kafka listeners: connections, limits, replies in order, shutdown. The only code that touches clients' sockets.
//!
//! [`Listener::bind`] binds the ports, and [`serve`] accepts connections. Each connection is one task (`connection`)
//! that reads requests from its byte stream (`reader`), dispatches them (`dispatch`), and sends the replies in order
//! (`replies`). All of this is bounded: the number of connections (`connection_limits`), memory (`memory`), requests in
//! flight (`replies`), and idle time (`watchdog`).
//!
//! Invariants: memory is allocated only for bytes that have arrived; an error of one connection affects no other; each
//! connection that the broker closes is logged with its client and the reason.

mod accept;
mod connection;
mod connection_limits;
pub mod dispatch;
mod excerpt;
mod exchange;
pub mod figures;
mod first_use;
mod handshake;
#[cfg(test)]
pub mod in_memory;
mod in_process;
mod limits;
mod listener;
mod memory;
mod memory_limit;
mod read_ahead;
mod reader;
mod replies;
mod sniff;
#[cfg(test)]
mod tests;
mod watchdog;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use dispatch::{ClientSoftware, CloseReason, ConnectionInfo, Dispatch, Outcome, ParkedReply, Reply, Then};
pub use excerpt::{Excerpt, Excerpts, Hole};
pub use exchange::{Ending, Exchange, Times};
pub use first_use::{ConnectionUse, FirstUse, NewUse};
pub use in_process::{InProcessClient, InProcessConnector, NotConnected};
pub use limits::Limits;
pub use listener::{Listener, resolve};
pub use memory_limit::default_request_memory;

use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;
use accept::{Acceptor, MAX_REFUSED_LATER, Phase};
use connection::Shared;
use connection_limits::ConnectionLimits;
use figures::{ListenerFigures, ServerFigures};
use handshake::Handshakes;
use memory::{BufferPool, RequestBudget};
use ottla_metrics::Registry;
use read_ahead::read_ahead_budget;

/// The buffer pool's share of the request memory: an eighth, and at most [`MAX_POOL_BYTES`].
const POOL_SHARE: usize = 8;
const MAX_POOL_BYTES: usize = 16 << 20;
/// How often pooled buffers that were not used are freed.
const TRIM_INTERVAL: Duration = Duration::from_secs(10);

/// A running server. Dropping it stops it at once.
pub struct Server {
    phase: Arc<watch::Sender<Phase>>,
    shared: Arc<Shared>,
    next_id: Arc<AtomicU64>,
    connection_limits: Arc<ConnectionLimits>,
    tasks: JoinSet<()>,
    clock: Clock,
}

/// Changes the connection limits of a running server.
#[derive(Clone)]
pub struct LimitsHandle(Arc<ConnectionLimits>);

impl LimitsHandle {
    /// Applies `max.connections`, `max.connections.per.ip`, its overrides and `max.connection.creation.rate`. The other
    /// limits do not change. Open connections stay open.
    pub fn set_limits(&self, limits: &Limits) {
        self.0.set(limits);
    }

    /// Applies the client quotas on connections per second: of these addresses, and of all others.
    pub fn set_ip_rates(&self, by_ip: HashMap<IpAddr, f64>, default: Option<f64>) {
        self.0.set_ip_rates(by_ip, default);
    }
}

/// Starts to accept connections. Needs a tokio runtime.
///
/// Log lines that peers cause go through `log_rate_limiter`. Figures of listeners are added to `metrics`.
pub fn serve(
    listeners: Vec<Listener>,
    dispatch: Arc<dyn Dispatch>,
    limits: &Limits,
    clock: Clock,
    log_rate_limiter: Arc<LogRateLimiter>,
    metrics: &Registry,
) -> io::Result<Server> {
    let phase = Arc::new(watch::Sender::new(Phase::Running));
    let buffers = Arc::new(BufferPool::new((limits.request_memory / POOL_SHARE).min(MAX_POOL_BYTES)));
    let shared = Arc::new(Shared {
        dispatch,
        budget: Arc::new(RequestBudget::new(limits.request_memory)),
        read_ahead: read_ahead_budget(limits.request_memory),
        buffers: buffers.clone(),
        max_frame: limits.max_request_bytes,
        max_sasl_frame: limits.max_sasl_bytes,
        listener_sasl_frames: limits.listener_sasl_bytes.clone(),
        idle: limits.idle,
        stall_timeout: limits.stall_timeout,
        clock,
        log_rate_limiter,
    });
    let handshakes = Arc::new(Handshakes::new(limits.idle, clock));
    let connection_limits = Arc::new(ConnectionLimits::new(limits, clock));
    let refused_later = Arc::new(Semaphore::new(MAX_REFUSED_LATER));
    let next_id = Arc::<AtomicU64>::default();
    let mut figures = ServerFigures { budget: Arc::clone(&shared.budget), listeners: Vec::new() };
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let (name, tls) = (listener.name().clone(), listener.tls().cloned());
        let demands_sasl = listener.demands_sasl();
        let listener_figures = Arc::<ListenerFigures>::default();
        figures.listeners.push((name.clone(), Arc::clone(&listener_figures)));
        for socket in listener.listen(limits.backlog)? {
            let acceptor = Acceptor {
                socket,
                listener: name.clone(),
                figures: Arc::clone(&listener_figures),
                demands_sasl,
                tls: tls.clone(),
                handshakes: handshakes.clone(),
                shared: shared.clone(),
                connection_limits: connection_limits.clone(),
                refused_later: refused_later.clone(),
                next_id: Arc::clone(&next_id),
                phase: phase.subscribe(),
            };
            tasks.spawn(acceptor.run());
        }
    }
    metrics.register(Arc::new(figures));
    tasks.spawn(async move {
        loop {
            clock.sleep(TRIM_INTERVAL).await;
            buffers.trim();
        }
    });
    Ok(Server { phase, shared, next_id, connection_limits, tasks, clock })
}

impl Server {
    /// Returns a handle that changes the connection limits.
    pub fn limits_handle(&self) -> LimitsHandle {
        LimitsHandle(self.connection_limits.clone())
    }

    /// Returns what opens connections from within this process.
    pub fn connector(&self, client: InProcessClient) -> InProcessConnector {
        InProcessConnector {
            client,
            shared: Arc::clone(&self.shared),
            next_id: Arc::clone(&self.next_id),
            connection_limits: Arc::clone(&self.connection_limits),
            phase: Arc::downgrade(&self.phase),
        }
    }

    /// Stops accepting and reading, waits up to `grace` until the pending replies are sent, and closes all connections.
    /// Returns how many connections still had a pending reply.
    pub async fn stop(mut self, grace: Duration) -> usize {
        self.tasks.shutdown().await;
        self.phase.send_replace(Phase::Draining);
        // Each connection holds a receiver until it ends.
        if self.clock.timeout(grace, self.phase.closed()).await.is_some() {
            return 0;
        }
        let unanswered = self.phase.receiver_count();
        self.phase.send_replace(Phase::Stopped);
        self.phase.closed().await;
        unanswered
    }
}
