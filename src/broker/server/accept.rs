//! Accepts connections. No error ends the loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::connection::{Connection, End, Shared};
use super::connection_limits::{ConnectionLimits, IpPermit, Permit, Refused};
use super::dispatch::ConnectionInfo;
use super::figures::ListenerFigures;
use super::handshake::Handshakes;
use super::listener::canonical;
use crate::log_rate_limiter::{log_limited, log_limited_by_reason};
use crate::tls::TlsListener;

/// The phases of a server's shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Running,
    /// Requests that were read are answered. No more requests are read.
    Draining,
    Stopped,
}

/// A task that accepts the connections of one listening socket.
pub(super) struct Acceptor {
    pub socket: TcpListener,
    pub listener: Arc<str>,
    pub figures: Arc<ListenerFigures>,
    pub demands_sasl: bool,
    /// For encrypted connections.
    pub tls: Option<Arc<TlsListener>>,
    pub handshakes: Arc<Handshakes>,
    pub shared: Arc<Shared>,
    pub connection_limits: Arc<ConnectionLimits>,
    /// Bounds the connections that are closed later, to [`MAX_REFUSED_LATER`].
    pub refused_later: Arc<Semaphore>,
    /// The id of the next connection of any listener.
    pub next_id: Arc<AtomicU64>,
    pub phase: watch::Receiver<Phase>,
}

/// The delay before accepting is retried. It doubles with each further failure, up to [`MAX_RETRY_DELAY`].
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(10);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1);
/// The number of connections above the rate of their address that may be open until their time is over.
pub(super) const MAX_REFUSED_LATER: usize = 1_000;

impl Acceptor {
    /// Accepts connections until the future is dropped.
    pub async fn run(self) {
        loop {
            let permit = self.acquire_permit().await;
            let stream = self.accept().await;
            self.connection_limits.wait_for_rate(&self.listener).await;
            if let Err(error) = self.admit(stream, permit) {
                tracing::debug!(listener = %self.listener, %error, "connection closed before it was accepted");
            }
        }
    }

    /// Waits until `max.connections` allows one more connection.
    async fn acquire_permit(&self) -> Permit {
        if let Some(permit) = self.connection_limits.try_acquire() {
            return permit;
        }
        let limiter = &self.shared.log_rate_limiter;
        let listener = &self.listener;
        log_limited!(
            WARN,
            limiter,
            None,
            "max.connections was reached",
            %listener,
            "max.connections reached, refusing new connections"
        );
        let permit = self.connection_limits.acquire().await;
        log_limited!(
            INFO,
            limiter,
            None,
            "number of connections fell below max.connections",
            %listener,
            "below max.connections again, accepting new connections"
        );
        permit
    }

    /// Waits for the next connection. While no file descriptor or memory is free, connections stay in the listen
    /// backlog.
    async fn accept(&self) -> TcpStream {
        let (listener, limiter) = (&self.listener, &self.shared.log_rate_limiter);
        let mut delay = FIRST_RETRY_DELAY;
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    if delay > FIRST_RETRY_DELAY {
                        log_limited!(INFO, limiter, None, "accepting connections again", %listener, "accepting connections again");
                    }
                    return stream;
                }
                Err(error) if is_error_of_peer(&error) => {}
                Err(error) => {
                    if delay == FIRST_RETRY_DELAY {
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
                    self.shared.clock.sleep(delay).await;
                    delay = (delay * 2).min(MAX_RETRY_DELAY);
                }
            }
        }
    }

    /// Starts the task of an accepted connection, or closes it if its address has reached its limit.
    fn admit(&self, stream: TcpStream, permit: Permit) -> io::Result<()> {
        let peer = canonical(stream.peer_addr()?);
        let local = canonical(stream.local_addr()?);
        let permit = match self.connection_limits.admit(&self.listener, peer.ip(), permit) {
            Ok(permit) => permit,
            Err(Refused::TooFast { after, permit }) => {
                self.refuse_later(stream, peer, after, permit);
                return Ok(());
            }
            Err(Refused::TooMany { limit }) => {
                log_limited_by_reason!(
                    WARN,
                    self.shared.log_rate_limiter,
                    peer.ip(),
                    "connections refused by max.connections.per.ip",
                    &*self.listener,
                    %peer,
                    listener = %self.listener,
                    limit,
                    "max.connections.per.ip reached, refused the connection"
                );
                return Ok(());
            }
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let info = ConnectionInfo::new(id, peer, local, self.listener.clone()).counted_in(Arc::clone(&self.figures));
        let info = if self.demands_sasl { info.with_sasl() } else { info };
        tracing::debug!(client = %info, "connected");
        let (shared, phase) = (self.shared.clone(), self.phase.clone());
        match &self.tls {
            None => {
                tokio::spawn(async move { run_connection(stream, info, permit, phase, shared, false).await });
            }
            Some(tls) => {
                let (handshakes, tls) = (Arc::clone(&self.handshakes), Arc::clone(tls));
                tokio::spawn(async move { secure(stream, info, permit, phase, shared, &handshakes, &tls).await });
            }
        }
        Ok(())
    }
}

impl Acceptor {
    /// Closes a connection after a time in which it is not served, so that its client does not try again at once. Closes
    /// it at once if many others wait for that.
    fn refuse_later(&self, stream: TcpStream, peer: SocketAddr, after: Duration, permit: Permit) {
        log_limited_by_reason!(
            INFO,
            self.shared.log_rate_limiter,
            peer.ip(),
            "connections refused by the quota connection_creation_rate",
            &*self.listener,
            %peer,
            listener = %self.listener,
            "connection_creation_rate of the address reached, refused the connection"
        );
        let Ok(waiting) = Arc::clone(&self.refused_later).try_acquire_owned() else { return };
        let clock = self.shared.clock;
        tokio::spawn(async move {
            clock.sleep(after).await;
            drop((stream, permit, waiting));
        });
    }
}

/// Whether an error concerns the accepted connection and not the listener: accept(2) also returns pending network
/// errors of the connection.
fn is_error_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | PermissionDenied)
        || matches!(error.kind(), HostUnreachable | NetworkUnreachable | NetworkDown | TimedOut)
}

/// Does the TLS handshake, and serves the connection.
async fn secure(
    stream: TcpStream,
    info: ConnectionInfo,
    permit: IpPermit,
    mut phase: watch::Receiver<Phase>,
    shared: Arc<Shared>,
    handshakes: &Handshakes,
    tls: &TlsListener,
) {
    let secured = tokio::select! {
        biased;
        secured = handshakes.secure(stream, tls) => secured,
        () = phase_reached(&mut phase, Phase::Draining) => return,
    };
    match secured {
        Ok((mut stream, principal)) => {
            stream.get_mut().0.begin(Arc::clone(&shared.read_ahead), Arc::clone(&shared.buffers));
            let info = info.with_principal(principal);
            info.figures().authenticated.increment();
            tracing::debug!(client = %info, principal = %info.principal, "TLS handshake done");
            run_connection(stream, info, permit, phase, shared, true).await;
        }
        Err(error) => {
            info.figures().failed_authentication.increment();
            error.log(&info, &shared.log_rate_limiter);
        }
    }
}

/// Serves a connection until it ends or the server stops. An encrypted stream has an end of its own, which is sent then.
pub(super) async fn run_connection<S: AsyncRead + AsyncWrite + Unpin, P>(
    stream: S,
    info: ConnectionInfo,
    permit: P,
    mut phase: watch::Receiver<Phase>,
    shared: Arc<Shared>,
    encrypted: bool,
) {
    let info = Arc::new(info);
    let mut connection = Connection::new(stream, Arc::clone(&info), Arc::clone(&shared));
    let mut end = tokio::select! {
        biased;
        end = connection.serve() => Some(end),
        () = phase_reached(&mut phase, Phase::Draining) => None,
    };
    if end.is_none() {
        connection.drain();
        end = tokio::select! {
            biased;
            end = connection.serve() => Some(end),
            () = phase_reached(&mut phase, Phase::Stopped) => None,
        };
    }
    let end = end.unwrap_or(End::Stopped);
    end.log(&info, &shared.log_rate_limiter);
    if encrypted && !matches!(end, End::SocketFailed(_)) {
        connection.close().await;
    }
    drop(connection);
    drop(permit);
}

/// Waits until the server reaches a phase or is dropped.
async fn phase_reached(phase: &mut watch::Receiver<Phase>, expected: Phase) {
    let _ = phase.wait_for(|phase| *phase >= expected).await;
}
