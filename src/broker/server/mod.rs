//! The only code that touches sockets: listeners, connections, limits, in-order replies, shutdown.
//!
//! [`Listener::bind`] claims the ports, [`serve`] opens them: from then on each connection is one task
//! (`connection`) that cuts requests out of its byte stream (`reader`), has them dispatched
//! (`dispatch`), and sends the replies in order (`replies`). What it may take is bounded: connections
//! (`connection_limits`), memory (`memory`), requests in flight (`replies`), silence (`watchdog`).
//!
//! Invariants: nothing is allocated for bytes that did not arrive; a connection that misbehaves loses
//! nothing but itself; and whoever we disconnect is named in the log, with the reason.

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
use memory::{BufferShelf, RequestBudget};

/// Spare request buffers are kept up to this share of the request memory, and up to [`MOST_SPARE`].
const SPARE_SHARE: usize = 8;
const MOST_SPARE: usize = 16 << 20;
/// How often spare buffers that nobody needed are freed.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// A server at work. Dropping it stops it at once.
pub struct Server {
    phase: watch::Sender<Phase>,
    connection_limits: Arc<ConnectionLimits>,
    tasks: JoinSet<()>,
}

/// Changes who may come in while the server is at work.
#[derive(Clone)]
pub struct Doorkeeper(Arc<ConnectionLimits>);

impl Doorkeeper {
    /// Puts `max.connections`, `max.connections.per.ip`, its overrides and `max.connection.creation.rate` in force, and
    /// nothing else of the limits. Connections that are open stay so.
    pub fn set_limits(&self, limits: &Limits) {
        self.0.set(limits);
    }
}

/// Opens the listeners: when this returns, clients can connect. Needs a tokio runtime.
///
/// Lines that peers cause are logged as far as `log_rate_limiter` admits them.
pub fn serve(
    listeners: Vec<Listener>,
    dispatch: Arc<dyn Dispatch>,
    limits: &Limits,
    log_rate_limiter: Arc<LogRateLimiter>,
) -> io::Result<Server> {
    let phase = watch::Sender::new(Phase::Running);
    let shelf = Arc::new(BufferShelf::new((limits.request_memory / SPARE_SHARE).min(MOST_SPARE)));
    let shared = Arc::new(Shared {
        dispatch,
        budget: Arc::new(RequestBudget::new(limits.request_memory)),
        shelf: shelf.clone(),
        max_frame: limits.max_request_bytes,
        idle: limits.idle,
        patience: limits.patience,
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
            tokio::time::sleep(TRIM_EVERY).await;
            shelf.trim();
        }
    });
    Ok(Server { phase, connection_limits, tasks })
}

impl Server {
    /// Who decides who may come in.
    pub fn doorkeeper(&self) -> Doorkeeper {
        Doorkeeper(self.connection_limits.clone())
    }

    /// Stops accepting and reading, gives replies that are owed `grace` to leave, and closes everything.
    /// Returns how many connections still owed one.
    pub async fn stop(mut self, grace: Duration) -> usize {
        self.tasks.shutdown().await;
        self.phase.send_replace(Phase::Draining);
        // Connections hold a receiver each until they are gone.
        if tokio::time::timeout(grace, self.phase.closed()).await.is_ok() {
            return 0;
        }
        let unanswered = self.phase.receiver_count();
        self.phase.send_replace(Phase::Stopped);
        self.phase.closed().await;
        unanswered
    }
}
