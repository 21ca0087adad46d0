//! The connections of the admin port: so many at once, each for so many bytes and so long.
//!
//! Whoever is slow with a request keeps nobody waiting: where all slots are taken, a new connection takes that of
//! one that has not sent its request yet, of the peer that has most of them. A request takes milliseconds, so it is
//! done before its turn comes.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::log_rate_limiter::{LogRateLimiter, log_limited};

/// Connections at once.
const MOST_CONNECTIONS: usize = 64;
/// What a connection, and so its one request, may send.
const MOST_BYTES: usize = 64 << 10;
/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may last, counted from its beginning, once its request is here: far longer than a reset takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait where nobody can be accepted, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// What the log limiter calls connections that ended before their request was here.
const UNFINISHED: &str = "admin connections closed before a whole request came";

/// The slots that all listening sockets of a port share.
#[derive(Clone)]
pub(super) struct Slots {
    table: Arc<Mutex<Table>>,
    limiter: Arc<LogRateLimiter>,
}

#[derive(Default)]
struct Table {
    /// By ids in the order of arrival.
    open: BTreeMap<u64, Open>,
    last_id: u64,
}

struct Open {
    peer: IpAddr,
    has_request: Arc<AtomicBool>,
    /// Dropped to end the connection.
    _end: oneshot::Sender<()>,
}

/// A connection's slot, taken until it is dropped.
struct Slot {
    id: u64,
    table: Arc<Mutex<Table>>,
}

impl Slots {
    pub fn new(limiter: Arc<LogRateLimiter>) -> Slots {
        Slots { table: Arc::default(), limiter }
    }

    /// A slot for a new connection; of those that wait for their request, one may have to end for it.
    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> Option<Connection> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let has_request = Arc::new(AtomicBool::new(false));
        let (end, ended) = oneshot::channel();
        let mut table = self.table.lock();
        if table.open.len() >= MOST_CONNECTIONS {
            let evicted = table.to_evict()?;
            table.open.remove(&evicted);
        }
        table.last_id += 1;
        let id = table.last_id;
        table.open.insert(id, Open { peer: peer.ip(), has_request: Arc::clone(&has_request), _end: end });
        drop(table);
        Some(Connection {
            stream,
            peer,
            left: MOST_BYTES,
            deadline: Box::pin(tokio::time::sleep(REQUEST_TIMEOUT)),
            has_request,
            is_extended: false,
            ended,
            limiter: Arc::clone(&self.limiter),
            _slot: Slot { id, table: Arc::clone(&self.table) },
        })
    }
}

impl Table {
    /// The oldest connection without a request of the peer that has most of those.
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
                        "refused an admin connection from {peer}: {MOST_CONNECTIONS} requests are being answered"
                    ),
                },
                Err(error) => {
                    log_limited!(
                        ERROR,
                        self.slots.limiter,
                        None,
                        "failures to accept admin connections",
                        "the admin port cannot accept connections, and goes on trying: {error}"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection that keeps to its limits.
pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    /// Bytes that may still come.
    left: usize,
    deadline: Pin<Box<Sleep>>,
    has_request: Arc<AtomicBool>,
    /// Whether `deadline` is that of the answer.
    is_extended: bool,
    /// Hangs up when another connection needs the slot.
    ended: oneshot::Receiver<()>,
    limiter: Arc<LogRateLimiter>,
    _slot: Slot,
}

/// What a request's handler knows of its connection.
#[derive(Clone)]
pub(super) struct Caller {
    pub peer: SocketAddr,
    has_request: Arc<AtomicBool>,
}

impl Caller {
    /// The request is here as a whole: its connection stays until it is answered.
    pub fn has_sent_its_request(&self) {
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
    /// Fails when the connection's time is over, or its slot needed for another.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let has_request = self.has_request.load(Ordering::Relaxed);
        if has_request && !self.is_extended {
            self.is_extended = true;
            let answered = self.deadline.deadline() + (ANSWER_TIMEOUT - REQUEST_TIMEOUT);
            self.deadline.as_mut().reset(answered);
        }
        let why = if self.deadline.as_mut().poll(cx).is_ready() {
            "its time was over"
        } else if Pin::new(&mut self.ended).poll(cx).is_ready() {
            "another needed its slot"
        } else {
            return Ok(());
        };
        if !has_request {
            let peer = self.peer;
            log_limited!(
                INFO,
                self.limiter,
                peer.ip(),
                UNFINISHED,
                "closed the admin connection from {peer} before a whole request came: {why}"
            );
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("more bytes than a request may have")));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        // The last bytes may be more than were left, by a buffer at the most.
        self.left = self.left.saturating_sub(buf.filled().len() - before);
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
            (id, Open { peer: peer.parse().unwrap(), has_request, _end: oneshot::channel().0 })
        });
        Table { open: open.collect(), last_id: 0 }
    }

    #[test]
    fn the_oldest_connection_without_a_request_of_the_peer_with_most_of_them_is_evicted() {
        let check = |connections, expect| assert_eq!(table(connections).to_evict(), expect);
        check(&[], None);
        check(&[("10.0.0.1", true), ("10.0.0.2", true)], None);
        check(&[("10.0.0.1", true), ("10.0.0.1", false), ("10.0.0.1", false)], Some(2));
        check(&[("10.0.0.1", false), ("10.0.0.2", false), ("10.0.0.2", false)], Some(2));
        check(&[("10.0.0.2", true), ("10.0.0.2", true), ("10.0.0.1", false)], Some(3));
    }
}
