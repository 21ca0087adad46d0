//! Accepts connections. No error ends the loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::connection::{Connection, End, Shared};
use super::connection_limits::{ConnectionLimits, HostPermit, Permit};
use super::dispatch::ConnectionInfo;
use super::listener::canonical;
use crate::log_rate_limiter::{LogRateLimiter, log_limited, log_limited_by_reason};

/// The phases of a server's shutdown.
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
    pub connection_limits: Arc<ConnectionLimits>,
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
            let permit = self.permit().await;
            let stream = self.accept().await;
            self.connection_limits.wait_for_rate().await;
            if let Err(error) = self.admit(stream, permit) {
                tracing::debug!(listener = %self.listener, %error, "connection closed before it was accepted");
            }
        }
    }

    /// Waits for one of `max.connections`.
    async fn permit(&self) -> Permit {
        if let Some(permit) = self.connection_limits.try_acquire() {
            return permit;
        }
        let limiter = &self.shared.log_rate_limiter;
        let listener = &self.listener;
        log_limited!(
            WARN,
            limiter,
            None,
            "times at max.connections",
            %listener,
            "max.connections reached, refusing new connections"
        );
        let permit = self.connection_limits.acquire().await;
        log_limited!(
            INFO,
            limiter,
            None,
            "times below max.connections again",
            %listener,
            "below max.connections again, accepting new connections"
        );
        permit
    }

    /// Waits for the next connection. While file descriptors or memory are short, connections stay in the listen
    /// backlog.
    async fn accept(&self) -> TcpStream {
        let (listener, limiter) = (&self.listener, &self.shared.log_rate_limiter);
        let mut wait = FIRST_WAIT;
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    if wait > FIRST_WAIT {
                        log_limited!(INFO, limiter, None, "recoveries", %listener, "accepting connections again");
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
                            %listener,
                            %error,
                            "failed to accept a connection, retrying"
                        );
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, permit: Permit) -> io::Result<()> {
        let peer = canonical(stream.peer_addr()?);
        let local = canonical(stream.local_addr()?);
        let place = match self.connection_limits.admit(peer.ip(), permit) {
            Ok(place) => place,
            Err(allowed) => {
                log_limited_by_reason!(
                    WARN,
                    self.shared.log_rate_limiter,
                    peer.ip(),
                    "connections refused by max.connections.per.ip",
                    &*self.listener,
                    %peer,
                    listener = %self.listener,
                    limit = allowed,
                    "max.connections.per.ip reached, refused the connection"
                );
                return Ok(());
            }
        };
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let info = Arc::new(ConnectionInfo::new(id, peer, local, self.listener.clone()));
        tracing::debug!(client = %info, "connected");
        let connection = Connection::new(stream, info.clone(), self.shared.clone());
        let limiter = Arc::clone(&self.shared.log_rate_limiter);
        tokio::spawn(live(connection, info, place, self.phase.clone(), limiter));
        Ok(())
    }
}

/// Whether the error is of the accepted connection rather than of the listener (accept(2) returns pending network errors).
fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | PermissionDenied)
        || matches!(error.kind(), HostUnreachable | NetworkUnreachable | NetworkDown | TimedOut)
}

/// Serves a connection to its end.
async fn live(
    mut connection: Connection<TcpStream>,
    info: Arc<ConnectionInfo>,
    place: HostPermit,
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

/// Returns when the server has reached `goal` or was dropped.
async fn reached(phase: &mut watch::Receiver<Phase>, goal: Phase) {
    let _ = phase.wait_for(|phase| *phase >= goal).await;
}
