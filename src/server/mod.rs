//! The only code that touches sockets: listeners, connections, limits, in-order replies, shutdown.
//!
//! [`Listener::bind`] claims the ports, [`serve`] opens them: from then on each connection is one task
//! (`connection`) that cuts requests out of its byte stream (`reader`), has them dispatched
//! (`dispatch`), and sends the replies in order (`replies`). What it may take is bounded: connections
//! (`listener`), memory (`memory`), requests in flight (`replies`), silence (`watchdog`).
//!
//! Invariants: nothing is allocated for bytes that did not arrive; a connection that misbehaves loses
//! nothing but itself; and whoever we disconnect is named in the log, with the reason.

mod accept;
mod connection;
pub mod dispatch;
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
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use dispatch::{ClientSoftware, CloseReason, ConnectionInfo, Dispatch, Outcome, ParkedReply, Reply};
pub use listener::Listener;
pub use memory_limit::default_request_memory;

use accept::{Acceptor, Phase};
use connection::Shared;
use listener::Quotas;
use memory::{BufferShelf, RequestBudget};

/// What connections may take. The defaults are Kafka's, but for `request_memory` and the buffers, which
/// are left to the system.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the largest request (`socket.request.max.bytes`).
    pub max_request_bytes: usize,
    /// Bytes of all requests that are unanswered or on their way in (`queued.max.request.bytes`). A
    /// larger request is refused.
    pub request_memory: usize,
    /// `max.connections`: further ones wait with the system until one closes.
    pub max_connections: usize,
    /// `max.connections.per.ip`: further ones are closed at once.
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`.
    pub max_connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    /// How long nothing may move on a connection (`connections.max.idle.ms`), `None` for ever.
    pub idle: Option<Duration>,
    /// How long a half-sent request may stand still; a tenth of it while others wait for its memory.
    pub patience: Duration,
    /// `socket.send.buffer.bytes`, `None` for what the system chooses.
    pub send_buffer: Option<usize>,
    /// `socket.receive.buffer.bytes`, `None` for what the system chooses.
    pub receive_buffer: Option<usize>,
    /// Connections that may wait to be accepted (`socket.listen.backlog.size`).
    pub backlog: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_request_bytes: 100 << 20,
            request_memory: default_request_memory(),
            max_connections: i32::MAX as usize,
            max_connections_per_ip: i32::MAX as usize,
            max_connections_per_ip_overrides: Vec::new(),
            idle: Some(Duration::from_secs(600)),
            patience: Duration::from_secs(30),
            send_buffer: None,
            receive_buffer: None,
            backlog: 50,
        }
    }
}

/// Spare request buffers are kept up to this share of the request memory, and up to [`MOST_SPARE`].
const SPARE_SHARE: usize = 8;
const MOST_SPARE: usize = 16 << 20;
/// How often spare buffers that nobody needed are freed.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// A server at work. Dropping it stops it at once.
pub struct Server {
    phase: watch::Sender<Phase>,
    tasks: JoinSet<()>,
}

/// Opens the listeners: when this returns, clients can connect. Needs a tokio runtime.
pub fn serve(listeners: Vec<Listener>, dispatch: Arc<dyn Dispatch>, limits: &Limits) -> io::Result<Server> {
    let phase = watch::Sender::new(Phase::Running);
    let shelf = Arc::new(BufferShelf::new((limits.request_memory / SPARE_SHARE).min(MOST_SPARE)));
    let shared = Arc::new(Shared {
        dispatch,
        budget: Arc::new(RequestBudget::new(limits.request_memory)),
        shelf: shelf.clone(),
        max_frame: limits.max_request_bytes,
        idle: limits.idle,
        patience: limits.patience,
    });
    let quotas = Arc::new(Quotas::new(limits));
    let ids = Arc::default();
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let name = listener.name().clone();
        for socket in listener.listen(limits.backlog)? {
            let acceptor = Acceptor {
                socket,
                listener: name.clone(),
                shared: shared.clone(),
                quotas: quotas.clone(),
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
    Ok(Server { phase, tasks })
}

impl Server {
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
