//! The connections of the admin port, limited in number, bytes and time.
//!
//! Slow clients do not block others: if all slots are taken, a new connection evicts one that has not sent its request
//! yet, the oldest of the peer with the most such connections. Sending a request takes milliseconds, so connections of
//! other clients are rarely evicted.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::{Clock, Sleep};
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::log_rate_limiter::{LogRateLimiter, log_limited};

/// The number of concurrent connections.
const MAX_CONNECTIONS: usize = 64;
/// Bytes that a connection, and so its one request, may send.
const MAX_BYTES: usize = 64 << 10;
/// The longest time for a request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time from the start of a connection to its response, far longer than a reset takes.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// The delay before the next attempt after accepting failed, such as for lack of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The kind of log line for connections that ended before their request arrived.
const UNFINISHED: &str = "admin connections closed before a whole request arrived";

/// The connection slots, shared by all listening sockets of the port.
#[derive(Clone)]
pub(super) struct Slots {
    table: Arc<Mutex<Table>>,
    clock: Clock,
    limiter: Arc<LogRateLimiter>,
}

#[derive(Default)]
struct Table {
    /// Open connections by id; ids ascend in order of arrival.
    open: BTreeMap<u64, Open>,
    last_id: u64,
}

struct Open {
    peer: IpAddr,
    has_request: Arc<AtomicBool>,
    /// Dropped to close the connection.
    _close: oneshot::Sender<()>,
}

/// A connection's slot, freed on drop.
struct Slot {
    id: u64,
    table: Arc<Mutex<Table>>,
}

impl Slots {
    pub fn new(clock: Clock, limiter: Arc<LogRateLimiter>) -> Slots {
        Slots { table: Arc::default(), clock, limiter }
    }

    /// Takes a slot for a new connection, if need be by evicting one without a request. `None` if all have requests.
    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> Option<Connection> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let has_request = Arc::new(AtomicBool::new(false));
        let (close, closed) = oneshot::channel();
        let mut table = self.table.lock();
        if table.open.len() >= MAX_CONNECTIONS {
            let evicted = table.to_evict()?;
            table.open.remove(&evicted);
        }
        table.last_id += 1;
        let id = table.last_id;
        table.open.insert(id, Open { peer: peer.ip(), has_request: Arc::clone(&has_request), _close: close });
        drop(table);
        Some(Connection {
            stream,
            peer,
            remaining: MAX_BYTES,
            deadline: Box::pin(self.clock.sleep(REQUEST_TIMEOUT)),
            has_request,
            is_extended: false,
            closed,
            limiter: Arc::clone(&self.limiter),
            _slot: Slot { id, table: Arc::clone(&self.table) },
        })
    }
}

impl Table {
    /// The oldest connection without a request, of the peer with the most such connections.
    fn to_evict(&self) -> Option<u64> {
        let mut by_peer: BTreeMap<IpAddr, (usize, u64)> = BTreeMap::new();
        for (id, open) in self.open.iter().filter(|(_, open)| !open.has_request.load(Ordering::Relaxed)) {
            by_peer.entry(open.peer).or_insert((0, *id)).0 += 1;
        }
        by_peer.into_values().max_by_key(|(count, _)| *count).map(|(_, oldest)| oldest)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.table.lock().open.remove(&self.id);
    }
}

/// One listening socket.
pub(super) struct Acceptor {
    socket: TcpListener,
    slots: Slots,
}

impl Acceptor {
    pub fn new(socket: TcpListener, slots: Slots) -> Acceptor {
        Acceptor { socket, slots }
    }
}

impl axum::serve::Listener for Acceptor {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => match self.slots.connection(stream, peer) {
                    Some(connection) => return (connection, peer),
                    None => log_limited!(
                        WARN,
                        self.slots.limiter,
                        peer.ip(),
                        "refused admin connections",
                        client = %peer, limit = MAX_CONNECTIONS,
                        "refused an admin connection: every connection has a request in progress"
                    ),
                },
                Err(error) => {
                    log_limited!(
                        ERROR,
                        self.slots.limiter,
                        None,
                        "failures to accept admin connections",
                        %error, "failed to accept an admin connection, retrying"
                    );
                    self.slots.clock.sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection with limits on bytes and time.
pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    /// Bytes that may still be read.
    remaining: usize,
    deadline: Pin<Box<Sleep>>,
    has_request: Arc<AtomicBool>,
    /// Whether `deadline` is the one of the response.
    is_extended: bool,
    /// Completes when the connection is evicted.
    closed: oneshot::Receiver<()>,
    limiter: Arc<LogRateLimiter>,
    _slot: Slot,
}

/// The connection of a request, for its handler.
#[derive(Clone)]
pub(super) struct Caller {
    pub peer: SocketAddr,
    has_request: Arc<AtomicBool>,
}

impl Caller {
    /// Marks the request as complete: its connection is not evicted any more.
    pub fn set_request_complete(&self) {
        self.has_request.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Acceptor>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Acceptor>) -> Caller {
        let connection = stream.io();
        Caller { peer: connection.peer, has_request: Arc::clone(&connection.has_request) }
    }
}

impl Connection {
    /// Fails if the deadline has passed or the connection was evicted.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let has_request = self.has_request.load(Ordering::Relaxed);
        if has_request && !self.is_extended {
            self.is_extended = true;
            let response_deadline = self.deadline.deadline() + (RESPONSE_TIMEOUT - REQUEST_TIMEOUT);
            self.deadline.as_mut().reset(response_deadline);
        }
        let reason = if self.deadline.as_mut().poll(cx).is_ready() {
            "timeout"
        } else if Pin::new(&mut self.closed).poll(cx).is_ready() {
            "evicted for another connection"
        } else {
            return Ok(());
        };
        if !has_request {
            log_limited!(
                INFO, self.limiter, self.peer.ip(), UNFINISHED,
                client = %self.peer, reason, "closed an admin connection before a whole request arrived"
            );
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, reason))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        if self.remaining == 0 {
            return Poll::Ready(Err(io::Error::other("the request is too large")));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        // The last read may exceed the limit by at most one buffer.
        self.remaining = self.remaining.saturating_sub(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(connections: &[(&str, bool)]) -> Table {
        let open = connections.iter().zip(1..).map(|((peer, has_request), id)| {
            let has_request = Arc::new(AtomicBool::new(*has_request));
            (id, Open { peer: peer.parse().unwrap(), has_request, _close: oneshot::channel().0 })
        });
        Table { open: open.collect(), last_id: 0 }
    }

    #[test]
    fn eviction_picks_oldest_connection_without_request_of_busiest_peer() {
        let check = |connections, expect| assert_eq!(table(connections).to_evict(), expect);
        check(&[], None);
        check(&[("10.0.0.1", true), ("10.0.0.2", true)], None);
        check(&[("10.0.0.1", true), ("10.0.0.1", false), ("10.0.0.1", false)], Some(2));
        check(&[("10.0.0.1", false), ("10.0.0.2", false), ("10.0.0.2", false)], Some(2));
        check(&[("10.0.0.2", true), ("10.0.0.2", true), ("10.0.0.1", false)], Some(3));
    }
}
