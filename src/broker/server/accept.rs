//! Accepts connections, and goes on accepting whatever happens.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::connection::{Connection, End, Shared};
use super::dispatch::ConnectionInfo;
use super::listener::canonical;
use super::quotas::{Place, Quotas, Slot};
use crate::log_rate_limiter::{LogRateLimiter, log_limited, log_limited_by_reason};

/// How far a server has come in stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Running,
    /// Requests that were read are answered, and no more are read.
    Draining,
    Stopped,
}

/// One listening socket.
pub(super) struct Acceptor {
    pub socket: TcpListener,
    pub listener: Arc<str>,
    pub shared: Arc<Shared>,
    pub quotas: Arc<Quotas>,
    /// The next connection's id.
    pub ids: Arc<AtomicU64>,
    pub phase: watch::Receiver<Phase>,
}

/// The wait after a first failure to accept, doubled with each one that follows, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl Acceptor {
    /// Accepts until it is dropped.
    pub async fn run(self) {
        loop {
            let slot = self.slot().await;
            let stream = self.accept().await;
            self.quotas.pace().await;
            if let Err(error) = self.admit(stream, slot) {
                tracing::debug!("A connection to {} was gone before it began: {error}", self.listener);
            }
        }
    }

    async fn slot(&self) -> Slot {
        if let Some(slot) = self.quotas.try_slot() {
            return slot;
        }
        let limiter = &self.shared.log_rate_limiter;
        let listener = &self.listener;
        log_limited!(
            WARN,
            limiter,
            None,
            "waits for a connection to close",
            "As many connections as max.connections allows: {listener} lets nobody else in"
        );
        let slot = self.quotas.slot().await;
        log_limited!(
            INFO,
            limiter,
            None,
            "ends of waits for a connection to close",
            "There is room again: {listener} lets clients in"
        );
        slot
    }

    /// The next connection. Without file descriptors or memory there is none for a while: what cannot
    /// be accepted waits with the system.
    async fn accept(&self) -> TcpStream {
        let (listener, limiter) = (&self.listener, &self.shared.log_rate_limiter);
        let mut wait = FIRST_WAIT;
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    if wait > FIRST_WAIT {
                        log_limited!(INFO, limiter, None, "recoveries", "{listener} accepts connections again");
                    }
                    return stream;
                }
                Err(error) if concerns_one_peer(&error) => {}
                Err(error) => {
                    if wait == FIRST_WAIT {
                        log_limited!(
                            ERROR,
                            limiter,
                            None,
                            "failures to accept connections",
                            "{listener} cannot accept connections, and goes on trying: {error}"
                        );
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, slot: Slot) -> io::Result<()> {
        let peer = canonical(stream.peer_addr()?);
        let local = canonical(stream.local_addr()?);
        let place = match self.quotas.enter(peer.ip(), slot) {
            Ok(place) => place,
            Err(allowed) => {
                log_limited_by_reason!(
                    WARN,
                    self.shared.log_rate_limiter,
                    peer.ip(),
                    "connections refused by max.connections.per.ip",
                    &*self.listener,
                    "Refused a connection from {peer} on {}: it has the {allowed} connections that \
                     max.connections.per.ip allows",
                    self.listener
                );
                return Ok(());
            }
        };
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let info = Arc::new(ConnectionInfo::new(id, peer, local, self.listener.clone()));
        tracing::debug!("{info} connected");
        let connection = Connection::new(stream, info.clone(), self.shared.clone());
        let limiter = Arc::clone(&self.shared.log_rate_limiter);
        tokio::spawn(live(connection, info, place, self.phase.clone(), limiter));
        Ok(())
    }
}

/// Errors that say something about the connection that was to be accepted, and nothing about us
/// (accept(2) passes network errors on).
fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | PermissionDenied)
        || matches!(error.kind(), HostUnreachable | NetworkUnreachable | NetworkDown | TimedOut)
}

/// A connection's life, from its first byte until it has been forgotten.
async fn live(
    mut connection: Connection<TcpStream>,
    info: Arc<ConnectionInfo>,
    place: Place,
    mut phase: watch::Receiver<Phase>,
    limiter: Arc<LogRateLimiter>,
) {
    let mut end = tokio::select! {
        biased;
        end = connection.serve() => Some(end),
        () = reached(&mut phase, Phase::Draining) => None,
    };
    if end.is_none() {
        connection.drain();
        end = tokio::select! {
            biased;
            end = connection.serve() => Some(end),
            () = reached(&mut phase, Phase::Stopped) => None,
        };
    }
    end.unwrap_or(End::Stopped).log(&info, &limiter);
    drop(connection);
    drop(place);
}

/// Returns when the server has come to `goal`, or is gone.
async fn reached(phase: &mut watch::Receiver<Phase>, goal: Phase) {
    let _ = phase.wait_for(|phase| *phase >= goal).await;
}
