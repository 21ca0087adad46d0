//! Reads frames from a connection's byte stream.
//!
//! A frame is a 4-byte size and as many bytes. How it is read depends on the size:
//!
//! - A **small** frame is read into a scratch buffer on the stack, together with the bytes behind it, and copied into
//!   an allocation of exactly its size. Several small requests need one system call, and an idle connection has no
//!   buffer.
//! - A **large** frame is read directly into a buffer of its own, together with the next frame's size. So each of
//!   several large frames needs one system call and no copy. A large frame first needs a reservation of the request
//!   memory budget. While less than half of the budget is free, a frame can get one only after [`MIN_BYTES_TO_QUEUE`]
//!   of its bytes have arrived. So a client that announces much and sends little takes no memory from others.
//!
//! Invariant: the size of an allocation depends on the bytes that a peer sent (at most twice as many), not on the size
//! that it announced.

use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::dispatch::CloseReason;
use super::memory::{BufferPool, FrameBuffer, RequestBudget, Reservation};
use super::sniff::{Foreign, foreign_protocol};

/// The kind of log line, for the rate limiter.
const BAD_SIZE: &str = "connections closed because of the request size";
/// The length of a frame's size, in bytes.
const PREFIX: usize = 4;
/// How much is read at once while no large frame is being received.
const SCRATCH: usize = 8 << 10;
/// Frames up to this size are small.
pub(super) const SMALL_FRAME: usize = SCRATCH - PREFIX;
/// Bytes of a large frame that must have arrived before it may queue for a reservation, unless half of the budget is
/// free.
const MIN_BYTES_TO_QUEUE: usize = 4 << 10;

// A large frame never ends within one scratch read: all bytes behind its size belong to it.
const _: () = assert!(SMALL_FRAME + PREFIX >= SCRATCH && MIN_BYTES_TO_QUEUE <= SMALL_FRAME);

/// A complete request and its reservation. Small frames may have none.
pub(super) struct Frame {
    pub bytes: Bytes,
    pub reservation: Option<Reservation>,
}

/// Why no more frames can be read.
pub(super) enum ReadEnd {
    /// The peer closed its side. `mid_frame`: a part of a frame had arrived.
    Eof {
        mid_frame: bool,
    },
    Failed(std::io::Error),
    /// The size of the frame is not allowed.
    Refused(CloseReason),
    /// The peer uses another protocol.
    Foreign(Foreign),
}

impl From<std::io::Error> for ReadEnd {
    fn from(error: std::io::Error) -> Self {
        ReadEnd::Failed(error)
    }
}

/// The largest size of a frame.
pub(super) struct FrameLimit {
    pub bytes: usize,
    /// The setting that it comes from.
    pub setting: &'static str,
}

/// Reads the frames of one connection.
pub(super) struct FrameReader {
    budget: Arc<RequestBudget>,
    buffers: Arc<BufferPool>,
    limit: Box<dyn Fn() -> FrameLimit + Send>,
    state: State,
    /// Bytes read since the connection began.
    received: u64,
    has_begun_frame: bool,
}

enum State {
    /// Between frames, or in the size of one.
    Prefix { bytes: [u8; PREFIX], have: usize },
    /// A small frame that arrives in several reads, or a large one that has not queued for a reservation yet.
    Partial { size: usize, bytes: Vec<u8> },
    /// A large frame that waits for its reservation. Nothing is read meanwhile.
    Queued { size: usize, bytes: Vec<u8>, reservation: Pin<Box<dyn Future<Output = Option<Reservation>> + Send>> },
    /// A large frame that is being received into its buffer.
    Body { size: usize, buffer: FrameBuffer, reservation: Reservation },
}

const BETWEEN_FRAMES: State = State::Prefix { bytes: [0; PREFIX], have: 0 };

impl FrameReader {
    /// Creates a reader. `limit` is called for each frame when its size is known.
    pub fn new(
        budget: Arc<RequestBudget>,
        buffers: Arc<BufferPool>,
        limit: impl Fn() -> FrameLimit + Send + 'static,
    ) -> Self {
        FrameReader {
            budget,
            buffers,
            limit: Box::new(limit),
            state: BETWEEN_FRAMES,
            received: 0,
            has_begun_frame: false,
        }
    }

    /// Reads once, and calls `sink` with each complete frame until it breaks. `Ok` means that there may be more to
    /// read.
    pub fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut S,
        sink: &mut dyn FnMut(Frame) -> ControlFlow<()>,
    ) -> Poll<Result<(), ReadEnd>> {
        ready!(self.poll_reservation(cx))?;
        match &mut self.state {
            State::Body { size, buffer, .. } => {
                let read = ready!(poll_fill(cx, socket, buffer, *size))?;
                self.count(read)?;
                Poll::Ready(self.finish_body(sink))
            }
            _ => {
                let mut scratch = [MaybeUninit::uninit(); SCRATCH];
                let mut scratch = ReadBuf::uninit(&mut scratch);
                ready!(Pin::new(socket).poll_read(cx, &mut scratch))?;
                self.count(scratch.filled().len())?;
                Poll::Ready(self.feed(scratch.filled(), sink))
            }
        }
    }

    /// Bytes read since the connection began.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The size of the incomplete frame that has a reservation, and how many of its bytes have arrived.
    pub fn unfinished(&self) -> Option<(usize, usize)> {
        match &self.state {
            State::Body { size, buffer, .. } => Some((*size, buffer.bytes.len())),
            _ => None,
        }
    }

    /// Whether an incomplete frame has a reservation or waits for one.
    pub fn is_reserving(&self) -> bool {
        matches!(self.state, State::Queued { .. } | State::Body { .. })
    }

    /// Counts the bytes of a read. Fails if there are none: the peer closed its side.
    fn count(&mut self, read: usize) -> Result<(), ReadEnd> {
        self.received += read as u64;
        match (read, &self.state) {
            (0, State::Prefix { have: 0, .. }) => Err(ReadEnd::Eof { mid_frame: false }),
            (0, _) => Err(ReadEnd::Eof { mid_frame: true }),
            _ => Ok(()),
        }
    }

    /// Processes bytes from the scratch buffer.
    fn feed(&mut self, mut input: &[u8], sink: &mut dyn FnMut(Frame) -> ControlFlow<()>) -> Result<(), ReadEnd> {
        while !input.is_empty() {
            match &mut self.state {
                State::Prefix { bytes, have } => {
                    let taken;
                    (taken, input) = input.split_at(input.len().min(PREFIX - *have));
                    bytes[*have..*have + taken.len()].copy_from_slice(taken);
                    *have += taken.len();
                    if *have < PREFIX {
                        return Ok(());
                    }
                    let size = *bytes;
                    if self.begin(size, sink)?.is_break() {
                        return Ok(());
                    }
                }
                State::Partial { size, bytes } => {
                    let taken;
                    (taken, input) = input.split_at(input.len().min(*size - bytes.len()));
                    let whole = if bytes.is_empty() && taken.len() == *size {
                        Some(Bytes::copy_from_slice(taken))
                    } else {
                        bytes.extend_from_slice(taken);
                        (bytes.len() == *size).then(|| Bytes::from(std::mem::take(bytes)))
                    };
                    let Some(whole) = whole else {
                        self.queue_for_budget();
                        return Ok(());
                    };
                    self.state = BETWEEN_FRAMES;
                    let reservation = self.budget.try_reserve(whole.len() as u32);
                    if sink(Frame { bytes: whole, reservation }).is_break() {
                        return Ok(());
                    }
                }
                State::Queued { bytes, .. } => {
                    bytes.extend_from_slice(input);
                    return Ok(());
                }
                State::Body { buffer, .. } => {
                    buffer.bytes.extend_from_slice(input);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Begins a frame when its size is known, or refuses it.
    fn begin(
        &mut self,
        prefix: [u8; PREFIX],
        sink: &mut dyn FnMut(Frame) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadEnd> {
        if !self.has_begun_frame
            && let Some(foreign) = foreign_protocol(prefix)
        {
            return Err(ReadEnd::Foreign(foreign));
        }
        self.has_begun_frame = true;
        let size = self.check_size(i32::from_be_bytes(prefix)).map_err(ReadEnd::Refused)?;
        if size == 0 {
            self.state = BETWEEN_FRAMES;
            return Ok(sink(Frame { bytes: Bytes::new(), reservation: None }));
        }
        self.state = State::Partial { size, bytes: Vec::new() };
        self.queue_for_budget();
        Ok(ControlFlow::Continue(()))
    }

    /// Compares an announced size with the limits.
    fn check_size(&self, announced: i32) -> Result<usize, CloseReason> {
        let Ok(size) = usize::try_from(announced) else {
            return Err(CloseReason::new(BAD_SIZE, format!("the request size is {announced} bytes")));
        };
        let mut limit = (self.limit)();
        if limit.bytes > self.budget.total() {
            limit = FrameLimit { bytes: self.budget.total(), setting: "queued.max.request.bytes" };
        }
        let FrameLimit { bytes, setting } = limit;
        if size > bytes {
            let why = format!("the request size is {size} bytes, more than {setting}={bytes}");
            return Err(CloseReason::new(BAD_SIZE, why));
        }
        Ok(size)
    }

    /// Reserves memory for a large frame or queues for it, if enough of the frame has arrived.
    fn queue_for_budget(&mut self) {
        let State::Partial { size, bytes } = &mut self.state else { return };
        let size = *size;
        if size <= SMALL_FRAME || (bytes.len() < MIN_BYTES_TO_QUEUE && !self.budget.is_half_free()) {
            return;
        }
        let bytes = std::mem::take(bytes);
        self.state = match self.budget.try_reserve(size as u32) {
            Some(reservation) => self.body(size, &bytes, reservation),
            None => State::Queued { size, bytes, reservation: Box::pin(self.budget.clone().reserve(size as u32)) },
        };
    }

    fn body(&self, size: usize, arrived: &[u8], reservation: Reservation) -> State {
        let mut buffer = self.buffers.take(size + PREFIX);
        buffer.bytes.extend_from_slice(arrived);
        State::Body { size, buffer, reservation }
    }

    /// Waits for the reservation of a queued frame.
    fn poll_reservation(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ReadEnd>> {
        let State::Queued { size, bytes, reservation } = &mut self.state else { return Poll::Ready(Ok(())) };
        let Some(reservation) = ready!(reservation.as_mut().poll(cx)) else {
            return Poll::Ready(Err(ReadEnd::Refused("no memory is left for the request".into())));
        };
        let (size, bytes) = (*size, std::mem::take(bytes));
        self.state = self.body(size, &bytes, reservation);
        Poll::Ready(Ok(()))
    }

    /// Calls `sink` with the large frame if it is complete, and processes the bytes that were read behind it.
    fn finish_body(&mut self, sink: &mut dyn FnMut(Frame) -> ControlFlow<()>) -> Result<(), ReadEnd> {
        if self.unfinished().is_none_or(|(size, have)| have < size) {
            return Ok(());
        }
        let State::Body { size, mut buffer, reservation } = std::mem::replace(&mut self.state, BETWEEN_FRAMES) else {
            return Ok(());
        };
        let mut ahead = [0; PREFIX];
        let behind = buffer.bytes.len() - size;
        ahead[..behind].copy_from_slice(&buffer.bytes[size..]);
        buffer.bytes.truncate(size);
        let frame = Frame { bytes: Bytes::from_owner(buffer), reservation: Some(reservation) };
        if sink(frame).is_break() {
            return Ok(());
        }
        self.feed(&ahead[..behind], sink)
    }
}

/// Reads the rest of a large frame and up to [`PREFIX`] bytes behind it. Because more is requested than must arrive, a
/// short read shows that the socket is empty, without another call.
fn poll_fill<S: AsyncRead + Unpin>(
    cx: &mut Context<'_>,
    socket: &mut S,
    buffer: &mut FrameBuffer,
    size: usize,
) -> Poll<std::io::Result<usize>> {
    if buffer.bytes.len() == buffer.bytes.capacity() {
        buffer.grow_towards(size + PREFIX);
    }
    let room = buffer.bytes.capacity().min(size + PREFIX) - buffer.bytes.len();
    let mut target = (&mut buffer.bytes).limit(room);
    pin!(socket.read_buf(&mut target)).poll(cx)
}
