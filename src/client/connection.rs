//! A client's connection: requests are sent in order, and responses arrive in the same order.
//!
//! Two tasks: the writer sends requests and queues each expected response; the reader reads frames and completes the
//! expected responses in order. Both channels are bounded, so callers wait while the broker doesn't respond.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio_rustls::client::TlsStream;

use super::tls;

/// Limit of queued requests, and limit of requests without a response yet.
const MAX_IN_FLIGHT: usize = 128;
/// Buffer space for each read.
const MIN_READ_BUFFER: usize = 64 << 10;
const MAX_READ_BUFFER: usize = 1 << 20;

/// The first bytes of an alert of TLS, of any version.
const TLS_ALERT: [u8; 2] = [21, 3];

/// A frame to send, in chunks, and the receiver of its response.
pub(super) struct Outgoing {
    pub correlation_id: i32,
    pub chunks: Vec<Bytes>,
    /// `None` if the request has no response.
    pub response: Option<oneshot::Sender<Bytes>>,
}

struct Expected {
    correlation_id: i32,
    response: oneshot::Sender<Bytes>,
}

/// Why there are no more responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The broker closed the connection.
    Closed,
    /// The broker sent TLS, and the connection is without.
    ExpectsTls,
    /// TLS failed after the handshake; what to do about it.
    Tls(String),
    /// Anything else.
    Failed(String),
}

/// A socket with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(super) struct Connection {
    requests: mpsc::Sender<Outgoing>,
    reader: AbortHandle,
    end: Arc<OnceLock<End>>,
    /// The number of responses that were received.
    received: Arc<AtomicU64>,
    /// Closed when there are no more responses.
    open: watch::Receiver<()>,
}

impl Connection {
    /// Starts both tasks on a connected socket. A response of more than `max_frame` bytes ends the connection.
    pub fn new(stream: Stream, max_frame: usize) -> Connection {
        match stream {
            Stream::Plain(socket) => {
                let (read, write) = socket.into_split();
                Connection::start(read, write, max_frame)
            }
            Stream::Tls(stream) => Connection::over(stream, max_frame),
        }
    }

    /// Starts both tasks on a stream that is not a socket.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static, max_frame: usize) -> Connection {
        let (read, write) = tokio::io::split(stream);
        Connection::start(read, write, max_frame)
    }

    fn start(
        read: impl AsyncRead + Unpin + Send + 'static,
        write: impl AsyncWrite + Unpin + Send + 'static,
        max_frame: usize,
    ) -> Connection {
        let (requests, to_send) = mpsc::channel(MAX_IN_FLIGHT);
        let (expect, expected) = mpsc::channel(MAX_IN_FLIGHT);
        let (end, received) = (Arc::new(OnceLock::new()), Arc::<AtomicU64>::default());
        let (closes, open) = watch::channel(());
        tokio::spawn(write_requests(write, to_send, expect));
        let frames = Frames { socket: read, bytes: BytesMut::new(), max_frame };
        let reading = read_responses(frames, expected, received.clone(), end.clone(), closes);
        let reader = tokio::spawn(reading).abort_handle();
        Connection { requests, reader, end, received, open }
    }

    /// Queues a request, waiting while the queue is full; `false` if the connection has ended.
    pub async fn send(&self, request: Outgoing) -> bool {
        self.requests.send(request).await.is_ok()
    }

    /// Awaits the response of a sent request; `None` once the connection has ended.
    pub async fn response(&self, mut response: oneshot::Receiver<Bytes>) -> Option<Bytes> {
        let mut open = self.open.clone();
        tokio::select! {
            biased;
            frame = &mut response => frame.ok(),
            // A request that is in a channel when the receiving task ends stays there together with its sender, so
            // `response` may never be closed.
            _ = open.changed() => response.try_recv().ok(),
        }
    }

    /// Why the connection ended, if it has.
    pub fn end(&self) -> Option<&End> {
        self.end.get()
    }

    /// The number of responses that were received.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The writer sends what is queued, then closes the connection.
        self.reader.abort();
    }
}

async fn write_requests(
    mut socket: impl AsyncWrite + Unpin,
    mut requests: mpsc::Receiver<Outgoing>,
    expect: mpsc::Sender<Expected>,
) {
    while let Some(Outgoing { correlation_id, chunks, response }) = requests.recv().await {
        if let Some(response) = response
            && expect.send(Expected { correlation_id, response }).await.is_err()
        {
            return;
        }
        if write_chunks(&mut socket, chunks.into()).await.is_err() {
            return; // the reader reports the error
        }
    }
    // With TLS, the broker sees that the stream is complete. An error has no consequence.
    let _ = socket.shutdown().await;
}

async fn write_chunks(socket: &mut (impl AsyncWrite + Unpin), mut chunks: VecDeque<Bytes>) -> io::Result<()> {
    chunks.retain(|chunk| !chunk.is_empty());
    while !chunks.is_empty() {
        let slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut written = socket.write_vectored(&slices).await?;
        while let Some(chunk) = chunks.front_mut() {
            let step = written.min(chunk.len());
            chunk.advance(step);
            written -= step;
            if chunk.has_remaining() {
                break;
            }
            chunks.pop_front();
        }
    }
    // TLS may still have a part of it.
    socket.flush().await
}

async fn read_responses(
    mut frames: Frames<impl AsyncRead + Unpin>,
    mut expected: mpsc::Receiver<Expected>,
    received: Arc<AtomicU64>,
    end: Arc<OnceLock<End>>,
    closes: watch::Sender<()>,
) {
    let reason = loop {
        let frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => break End::Closed,
            Err(error) => break End::of(&error),
        };
        // The expected response was queued before the request was sent.
        let Ok(next) = expected.try_recv() else {
            break End::Failed("the broker sent a response without a request".to_owned());
        };
        received.fetch_add(1, Ordering::Relaxed);
        match frame.get(..4) {
            Some(id) if id == next.correlation_id.to_be_bytes() => {
                let _caller_stopped_waiting = next.response.send(frame);
            }
            _ => {
                let id = next.correlation_id;
                break End::Failed(format!("the broker responded out of order, expected correlation id {id}"));
            }
        }
    };
    // Set before the callers learn that their responses won't arrive.
    let _ = end.set(reason);
    drop(expected);
    drop(closes);
}

impl End {
    fn of(error: &io::Error) -> End {
        match tls::tls_error(error) {
            Some(error) => End::Tls(tls::explain(error)),
            None if error.get_ref().is_some_and(|inner| inner.is::<UnexpectedTls>()) => End::ExpectsTls,
            None if error.kind() == io::ErrorKind::ConnectionReset => End::Closed,
            None => End::Failed(error.to_string()),
        }
    }
}

/// The broker sent an alert of TLS in place of a response.
#[derive(Debug, thiserror::Error)]
#[error("the broker sent TLS")]
struct UnexpectedTls;

struct Frames<R> {
    socket: R,
    bytes: BytesMut,
    max_frame: usize,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// Reads the next frame without its size; `None` if the stream ends between two frames.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.bytes.starts_with(&TLS_ALERT) {
                return Err(io::Error::other(UnexpectedTls));
            }
            let missing = match self.size()? {
                Some(size) if self.bytes.len() >= 4 + size => {
                    self.bytes.advance(4);
                    return Ok(Some(self.bytes.split_to(size).freeze()));
                }
                Some(size) => 4 + size - self.bytes.len(),
                None => 0,
            };
            self.bytes.reserve(missing.clamp(MIN_READ_BUFFER, MAX_READ_BUFFER));
            if self.socket.read_buf(&mut self.bytes).await? == 0 {
                return if self.bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    fn size(&self) -> io::Result<Option<usize>> {
        let Some(prefix) = self.bytes.first_chunk() else { return Ok(None) };
        match usize::try_from(i32::from_be_bytes(*prefix)) {
            Ok(size) if size <= self.max_frame => Ok(Some(size)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the broker sent a response over the size limit")),
        }
    }
}
