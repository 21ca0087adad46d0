//! A client's connection: requests are sent in order, and responses arrive in the same order.
//!
//! Two tasks: the writer sends requests and queues each expected response; the reader reads frames and completes the
//! expected responses in order. Both channels are bounded, so callers wait while the broker doesn't respond.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

/// Limit of queued requests, and limit of requests without a response yet.
const MAX_IN_FLIGHT: usize = 128;
/// Buffer space for each read.
const MIN_READ_BUFFER: usize = 64 << 10;
const MAX_READ_BUFFER: usize = 1 << 20;

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

pub(super) struct Connection {
    requests: mpsc::Sender<Outgoing>,
    reader: AbortHandle,
    /// Why there are no more responses.
    end: Arc<OnceLock<String>>,
    /// Closed when there are no more responses.
    open: watch::Receiver<()>,
}

impl Connection {
    /// Starts both tasks on a connected socket. A response of more than `max_frame` bytes ends the connection.
    pub fn new(socket: TcpStream, max_frame: usize) -> io::Result<Connection> {
        socket.set_nodelay(true)?;
        let (read, write) = socket.into_split();
        let (requests, to_send) = mpsc::channel(MAX_IN_FLIGHT);
        let (expect, expected) = mpsc::channel(MAX_IN_FLIGHT);
        let end = Arc::new(OnceLock::new());
        let (closes, open) = watch::channel(());
        tokio::spawn(write_requests(write, to_send, expect));
        let frames = Frames { socket: read, bytes: BytesMut::new(), max_frame };
        let reader = tokio::spawn(read_responses(frames, expected, end.clone(), closes)).abort_handle();
        Ok(Connection { requests, reader, end, open })
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
    pub fn end_reason(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The writer sends what is queued, then closes the connection.
        self.reader.abort();
    }
}

async fn write_requests(
    mut socket: OwnedWriteHalf,
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
}

async fn write_chunks(socket: &mut OwnedWriteHalf, mut chunks: VecDeque<Bytes>) -> io::Result<()> {
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
    Ok(())
}

async fn read_responses(
    mut frames: Frames,
    mut expected: mpsc::Receiver<Expected>,
    end: Arc<OnceLock<String>>,
    closes: watch::Sender<()>,
) {
    let reason = loop {
        let frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => break "the broker closed it".to_owned(),
            Err(error) => break error.to_string(),
        };
        // The expected response was queued before the request was sent.
        let Ok(next) = expected.try_recv() else {
            break "the broker sent a response without a request".to_owned();
        };
        match frame.get(..4) {
            Some(id) if id == next.correlation_id.to_be_bytes() => {
                let _caller_stopped_waiting = next.response.send(frame);
            }
            _ => break format!("the broker responded out of order, expected correlation id {}", next.correlation_id),
        }
    };
    // Set before the callers learn that their responses won't arrive.
    let _ = end.set(reason);
    drop(expected);
    drop(closes);
}

struct Frames {
    socket: OwnedReadHalf,
    bytes: BytesMut,
    max_frame: usize,
}

impl Frames {
    /// Reads the next frame without its size; `None` if the stream ends between two frames.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
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
