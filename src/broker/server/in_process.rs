//! Connections from within this process, such as the console's. They are served by the code that serves sockets, with the
//! same limits and checks.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use ottla_core::security::Principal;
use tokio::io::DuplexStream;
use tokio::sync::watch;

use super::accept::{Phase, run_connection};
use super::connection::Shared;
use super::connection_limits::ConnectionLimits;
use super::dispatch::ConnectionInfo;

/// The bytes that are buffered in each direction of a connection.
const BUFFER: usize = 64 << 10;

/// The listener, the address and the principal of connections from within this process.
#[derive(Clone, Debug)]
pub struct InProcessClient {
    /// The name of a configured listener.
    pub listener: Arc<str>,
    /// The address of that listener.
    pub local: SocketAddr,
    pub principal: Principal,
}

/// Opens connections from within this process. Does not keep the server running.
pub struct InProcessConnector {
    pub(super) client: InProcessClient,
    pub(super) shared: Arc<Shared>,
    pub(super) next_id: Arc<AtomicU64>,
    pub(super) connection_limits: Arc<ConnectionLimits>,
    pub(super) phase: Weak<watch::Sender<Phase>>,
}

/// Why no connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConnected {
    #[error("the broker is starting or stopping")]
    NotServing,
    #[error("max.connections is reached")]
    TooManyConnections,
}

impl InProcessConnector {
    /// Opens a connection on behalf of a client at the address `peer`, and returns the client's end. Needs a tokio runtime.
    pub fn connect(&self, peer: IpAddr) -> Result<DuplexStream, NotConnected> {
        let phase = self.phase.upgrade().ok_or(NotConnected::NotServing)?;
        let phase = phase.subscribe();
        if *phase.borrow() != Phase::Running {
            return Err(NotConnected::NotServing);
        }
        let permit = self.connection_limits.try_acquire().ok_or(NotConnected::TooManyConnections)?;
        let (client, broker) = tokio::io::duplex(BUFFER);
        let InProcessClient { listener, local, principal } = self.client.clone();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let info = ConnectionInfo::new(id, SocketAddr::new(peer, 0), local, listener).with_principal(principal);
        tracing::debug!(client = %info, "connected from within this process");
        let shared = Arc::clone(&self.shared);
        tokio::spawn(run_connection(broker, info, permit, phase, shared, false));
        Ok(client)
    }
}
