//! The connections of an HTTP port, limited in number, bytes and time.
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
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::HttpLimits;
use super::stream::Stream;
use crate::log_rate_limiter::{LogRateLimiter, log_limited};
use crate::tls::TlsListener;

/// The delay before the next attempt after accepting failed, such as for lack of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The kind of log line for connections that ended before their request arrived.
const UNFINISHED: &str = "HTTP connections closed before a whole request arrived";

/// The connection slots, shared by all listening sockets of the port.
#[derive(Clone)]
pub(super) struct Slots {
    table: Arc<Mutex<Table>>,
    /// What the port is for.
    name: &'static str,
    limits: Arc<HttpLimits>,
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
    pub fn new(name: &'static str, limits: HttpLimits, clock: Clock, limiter: Arc<LogRateLimiter>) -> Slots {
        Slots { table: Arc::default(), name, limits: Arc::new(limits), clock, limiter }
    }

    /// Takes a slot for a new connection, if need be by evicting one without a request. `None` if all have requests.
    fn connection(&self, stream: Stream, peer: SocketAddr) -> Option<Connection> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let has_request = Arc::new(AtomicBool::new(false));
        let (close, closed) = oneshot::channel();
        let mut table = self.table.lock();
        if table.open.len() >= self.limits.connections {
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
            remaining: self.limits.request_bytes,
            deadline: Box::pin(self.clock.sleep(self.limits.request_timeout)),
            has_request,
            answered: Arc::default(),
            streams: Arc::default(),
            is_extended: false,
            is_streaming: false,
            has_answered: false,
            port: self.name,
            limits: Arc::clone(&self.limits),
            clock: self.clock,
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
    tls: Option<Arc<TlsListener>>,
}

impl Acceptor {
    pub fn new(socket: TcpListener, slots: Slots, tls: Option<Arc<TlsListener>>) -> Acceptor {
        Acceptor { socket, slots, tls }
    }
}

impl axum::serve::Listener for Acceptor {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((socket, peer)) => match self.slots.connection(Stream::new(socket, self.tls.as_deref()), peer) {
                    Some(connection) => return (connection, peer),
                    None => log_limited!(
                        WARN,
                        self.slots.limiter,
                        peer.ip(),
                        "refused HTTP connections",
                        client = %peer, port = self.slots.name, limit = self.slots.limits.connections,
                        "refused an HTTP connection: every connection has a request in progress"
                    ),
                },
                Err(error) => {
                    log_limited!(
                        ERROR,
                        self.slots.limiter,
                        None,
                        "failures to accept HTTP connections",
                        %error, port = self.slots.name, "failed to accept an HTTP connection, retrying"
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
    stream: Stream,
    peer: SocketAddr,
    /// Bytes that may still be read for this request.
    remaining: usize,
    deadline: Pin<Box<Sleep>>,
    has_request: Arc<AtomicBool>,
    /// Whether the request was answered and the next one may arrive.
    answered: Arc<AtomicBool>,
    /// Whether the response is sent as long as its client reads it.
    streams: Arc<AtomicBool>,
    /// Whether `deadline` is the one of the response.
    is_extended: bool,
    /// Whether `deadline` is the one for the next bytes of the response.
    is_streaming: bool,
    /// Whether an earlier request was answered.
    has_answered: bool,
    port: &'static str,
    limits: Arc<HttpLimits>,
    clock: Clock,
    /// Completes when the connection is evicted.
    closed: oneshot::Receiver<()>,
    limiter: Arc<LogRateLimiter>,
    _slot: Slot,
}

/// The connection of a request, for its handler.
#[derive(Clone)]
pub struct Caller {
    pub peer: SocketAddr,
    has_request: Arc<AtomicBool>,
    answered: Arc<AtomicBool>,
    streams: Arc<AtomicBool>,
}

impl Caller {
    /// Marks the request as complete: its connection is not evicted any more.
    pub fn set_request_complete(&self) {
        self.has_request.store(true, Ordering::Relaxed);
    }

    /// Marks the request as answered: the bounds of the next request of its connection begin.
    pub fn set_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Lets the response take any time, as long as a part of it is sent within each [`HttpLimits::response_timeout`].
    pub fn set_streaming(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Acceptor>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Acceptor>) -> Caller {
        let connection = stream.io();
        Caller {
            peer: connection.peer,
            has_request: Arc::clone(&connection.has_request),
            answered: Arc::clone(&connection.answered),
            streams: Arc::clone(&connection.streams),
        }
    }
}

impl Connection {
    /// Begins the time in which the next bytes of a response must be sent.
    fn extend(&mut self) {
        self.is_extended = true;
        self.deadline = Box::pin(self.clock.sleep(self.limits.response_timeout));
    }

    /// Fails if the deadline has passed or the connection was evicted.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.answered.swap(false, Ordering::Relaxed) {
            self.has_request.store(false, Ordering::Relaxed);
            self.is_extended = false;
            self.has_answered = true;
            self.remaining = self.limits.request_bytes;
            self.deadline = Box::pin(self.clock.sleep(self.limits.request_timeout));
        }
        if !self.is_streaming && self.streams.load(Ordering::Relaxed) {
            self.is_streaming = true;
            self.extend();
        }
        let has_request = self.has_request.load(Ordering::Relaxed);
        if has_request && !self.is_extended {
            self.is_extended = true;
            let more = self.limits.response_timeout.saturating_sub(self.limits.request_timeout);
            let response_deadline = self.deadline.deadline() + more;
            self.deadline.as_mut().reset(response_deadline);
        }
        let reason = if self.deadline.as_mut().poll(cx).is_ready() {
            "timeout"
        } else if Pin::new(&mut self.closed).poll(cx).is_ready() {
            "evicted for another connection"
        } else {
            return Ok(());
        };
        // A connection that was kept open for another request ends without a log line.
        let is_idle = self.has_answered && self.remaining == self.limits.request_bytes;
        if !has_request && !is_idle {
            log_limited!(
                INFO, self.limiter, self.peer.ip(), UNFINISHED,
                client = %self.peer, port = self.port, reason, "closed an HTTP connection before a whole request arrived"
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
        let polled = self.stream.poll_read(cx, buf);
        // The last read may exceed the limit by at most one buffer.
        self.remaining = self.remaining.saturating_sub(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let written = self.stream.poll_write(cx, buf);
        if self.is_streaming && matches!(written, Poll::Ready(Ok(1..))) {
            self.extend();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
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
