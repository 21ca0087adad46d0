//! Who is let in: so many at once, each for so many bytes and so long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Connections at once; others wait with the system.
const MOST_CONNECTIONS: usize = 32;
/// What a connection, and so its one request, may send.
const MOST_BYTES: usize = 64 << 10;
/// How long a connection may last: far longer than a reset takes.
const LONGEST: Duration = Duration::from_secs(60);
/// How long to wait where nobody can be accepted, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// The places that all doors of a port share.
#[derive(Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Places(Arc::new(Semaphore::new(MOST_CONNECTIONS)))
    }
}

/// One listening socket.
pub(super) struct Door {
    socket: TcpListener,
    places: Places,
}

impl Door {
    pub fn new(socket: TcpListener, places: Places) -> Door {
        Door { socket, places }
    }
}

impl axum::serve::Listener for Door {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        loop {
            let place = Arc::clone(&self.places.0).acquire_owned().await;
            match (place, self.socket.accept().await) {
                (Ok(place), Ok((stream, peer))) => return (Visit::new(stream, place), peer),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection that keeps to its limits.
pub(super) struct Visit {
    stream: TcpStream,
    /// Bytes that may still come.
    left: usize,
    over: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Visit {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Visit {
        Visit { stream, left: MOST_BYTES, over: Box::pin(tokio::time::sleep(LONGEST)), _place: place }
    }

    fn check_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.over.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Visit {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_time(cx)?;
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

impl AsyncWrite for Visit {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_time(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
