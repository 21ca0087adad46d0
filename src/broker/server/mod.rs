//! The only code that touches sockets: listeners, connections, limits, in-order replies, shutdown.
//!
//! [`Listener::bind`] claims the ports, [`serve`] opens them: from then on each connection is one task
//! (`connection`) that cuts requests out of its byte stream (`reader`), has them dispatched
//! (`dispatch`), and sends the replies in order (`replies`). What it may take is bounded: connections
//! (`connection_limits`), memory (`memory`), requests in flight (`replies`), silence (`watchdog`).
//!
//! Invariants: memory is allocated only for bytes that have arrived; an error of one connection affects no other; each
//! connection that the broker closes is logged with its client and the reason.

mod accept;
mod connection;
mod connection_limits;
pub mod dispatch;
mod first_use;
mod limits;
mod listener;
mod memory;
mod memory_limit;
mod reader;
mod replies;
mod sniff;
#[cfg(test)]
mod tests;
mod watchdog;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use dispatch::{ClientSoftware, CloseReason, ConnectionInfo, Dispatch, Outcome, ParkedReply, Reply};
pub use first_use::{ConnectionUse, FirstUse, NewUse};
pub use limits::Limits;
pub use listener::Listener;
pub use memory_limit::default_request_memory;

use crate::log_rate_limiter::LogRateLimiter;
use accept::{Acceptor, Phase};
use connection::Shared;
use connection_limits::ConnectionLimits;
use memory::{BufferPool, RequestBudget};

/// Unused request buffers are kept up to this share of the request memory, and up to [`MAX_SPARE_BYTES`].
const SPARE_SHARE: usize = 8;
const MAX_SPARE_BYTES: usize = 16 << 20;
/// How often buffers that were not used are freed.
const TRIM_INTERVAL: Duration = Duration::from_secs(10);

/// A running server. Dropping it stops it at once.
pub struct Server {
    phase: watch::Sender<Phase>,
    connection_limits: Arc<ConnectionLimits>,
    tasks: JoinSet<()>,
}

/// Changes the connection limits of a running server.
#[derive(Clone)]
pub struct LimitsHandle(Arc<ConnectionLimits>);

impl LimitsHandle {
    /// Applies `max.connections`, `max.connections.per.ip`, its overrides and `max.connection.creation.rate`; the other
    /// limits stay as they were. Open connections stay open.
    pub fn set_limits(&self, limits: &Limits) {
        self.0.set(limits);
    }
}

/// Opens the listeners: when this returns, clients can connect. Needs a tokio runtime.
///
/// Log lines that peers cause go through `log_rate_limiter`.
pub fn serve(
    listeners: Vec<Listener>,
    dispatch: Arc<dyn Dispatch>,
    limits: &Limits,
    log_rate_limiter: Arc<LogRateLimiter>,
) -> io::Result<Server> {
    let phase = watch::Sender::new(Phase::Running);
    let buffers = Arc::new(BufferPool::new((limits.request_memory / SPARE_SHARE).min(MAX_SPARE_BYTES)));
    let shared = Arc::new(Shared {
        dispatch,
        budget: Arc::new(RequestBudget::new(limits.request_memory)),
        buffers: buffers.clone(),
        max_frame: limits.max_request_bytes,
        idle: limits.idle,
        stall_timeout: limits.stall_timeout,
        log_rate_limiter,
    });
    let connection_limits = Arc::new(ConnectionLimits::new(limits));
    let ids = Arc::default();
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let name = listener.name().clone();
        for socket in listener.listen(limits.backlog)? {
            let acceptor = Acceptor {
                socket,
                listener: name.clone(),
                shared: shared.clone(),
                connection_limits: connection_limits.clone(),
                ids: Arc::clone(&ids),
                phase: phase.subscribe(),
            };
            tasks.spawn(acceptor.run());
        }
    }
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(TRIM_INTERVAL).await;
            buffers.trim();
        }
    });
    Ok(Server { phase, connection_limits, tasks })
}

impl Server {
    /// A handle to change the connection limits.
    pub fn limits_handle(&self) -> LimitsHandle {
        LimitsHandle(self.connection_limits.clone())
    }

    /// Stops accepting and reading, waits up to `grace` for pending replies to be sent, and closes all connections.
    /// Returns how many connections still had one pending.
    pub async fn stop(mut self, grace: Duration) -> usize {
        self.tasks.shutdown().await;
        self.phase.send_replace(Phase::Draining);
        // Each connection holds a receiver until it ends.
        if tokio::time::timeout(grace, self.phase.closed()).await.is_ok() {
            return 0;
        }
        let unanswered = self.phase.receiver_count();
        self.phase.send_replace(Phase::Stopped);
        self.phase.closed().await;
        unanswered
    }
}
