//! A connection as a client sees it: requests go out in order, and their answers come back in order.
//!
//! Two tasks: one writes requests and hands on who waits for what; one reads frames and hands each to
//! whoever is next. Both channels are bounded, so a broker that doesn't answer holds its callers back.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

/// Requests on their way out or unanswered, at most; each of both.
const MAX_IN_FLIGHT: usize = 128;
/// How much room there is for each read, at least and at most.
const LEAST_ROOM: usize = 64 << 10;
const MOST_ROOM: usize = 1 << 20;

/// A frame to send, in chunks, and who waits for its answer.
pub(super) struct Outgoing {
    pub correlation_id: i32,
    pub chunks: Vec<Bytes>,
    /// `None` where the protocol has no answer.
    pub answer: Option<oneshot::Sender<Bytes>>,
}

struct Expected {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
}

pub(super) struct Connection {
    requests: mpsc::Sender<Outgoing>,
    reader: AbortHandle,
    /// Why there are no more answers.
    end: Arc<OnceLock<String>>,
    /// Closed when there are no more answers.
    open: watch::Receiver<()>,
}

impl Connection {
    /// Takes over a connected socket. Answers of more than `max_frame` bytes end the connection.
    pub fn new(socket: TcpStream, max_frame: usize) -> io::Result<Connection> {
        socket.set_nodelay(true)?;
        let (read, write) = socket.into_split();
        let (requests, to_send) = mpsc::channel(MAX_IN_FLIGHT);
        let (expect, expected) = mpsc::channel(MAX_IN_FLIGHT);
        let end = Arc::new(OnceLock::new());
        let (closes, open) = watch::channel(());
        tokio::spawn(write_requests(write, to_send, expect));
        let frames = Frames { socket: read, bytes: BytesMut::new(), max_frame };
        let reader = tokio::spawn(read_answers(frames, expected, end.clone(), closes)).abort_handle();
        Ok(Connection { requests, reader, end, open })
    }

    /// Sends when it is this request's turn; `false` if the connection is gone.
    pub async fn send(&self, request: Outgoing) -> bool {
        self.requests.send(request).await.is_ok()
    }

    /// What comes for a request that was sent; nothing once the connection has ended.
    pub async fn answer(&self, mut answer: oneshot::Receiver<Bytes>) -> Option<Bytes> {
        let mut open = self.open.clone();
        tokio::select! {
            biased;
            frame = &mut answer => frame.ok(),
            // A request on its way through a channel when the other side goes away stays in there, and with
            // it the sender: so its closing can't be relied on.
            _ = open.changed() => answer.try_recv().ok(),
        }
    }

    /// Why the connection ended, if it has.
    pub fn end(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The writer finishes what it was given, and closes the connection then.
        self.reader.abort();
    }
}

async fn write_requests(
    mut socket: OwnedWriteHalf,
    mut requests: mpsc::Receiver<Outgoing>,
    expect: mpsc::Sender<Expected>,
) {
    while let Some(Outgoing { correlation_id, chunks, answer }) = requests.recv().await {
        if let Some(answer) = answer
            && expect.send(Expected { correlation_id, answer }).await.is_err()
        {
            return;
        }
        if write_chunks(&mut socket, chunks.into()).await.is_err() {
            return; // the reader sees why
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

async fn read_answers(
    mut frames: Frames,
    mut expected: mpsc::Receiver<Expected>,
    end: Arc<OnceLock<String>>,
    closes: watch::Sender<()>,
) {
    let why = loop {
        let frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => break "the broker closed it".to_owned(),
            Err(error) => break error.to_string(),
        };
        // Who waits was handed on before the request was sent.
        let Ok(next) = expected.try_recv() else {
            break "the broker answered what was not asked".to_owned();
        };
        match frame.get(..4) {
            Some(id) if id == next.correlation_id.to_be_bytes() => {
                let _nobody_waits_any_more = next.answer.send(frame);
            }
            _ => break format!("the broker did not answer request {} when it was due", next.correlation_id),
        }
    };
    // Said before the callers learn that their answers won't come.
    let _ = end.set(why);
    drop(expected);
    drop(closes);
}

struct Frames {
    socket: OwnedReadHalf,
    bytes: BytesMut,
    max_frame: usize,
}

impl Frames {
    /// The next frame without its size, or `None` at the end between two frames.
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
            self.bytes.reserve(missing.clamp(LEAST_ROOM, MOST_ROOM));
            if self.socket.read_buf(&mut self.bytes).await? == 0 {
                return if self.bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    fn size(&self) -> io::Result<Option<usize>> {
        let Some(prefix) = self.bytes.first_chunk() else { return Ok(None) };
        match usize::try_from(i32::from_be_bytes(*prefix)) {
            Ok(size) if size <= self.max_frame => Ok(Some(size)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the broker announced an answer that is too large")),
        }
    }
}
