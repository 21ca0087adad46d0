//! Reads more from a socket than rustls asks for.
//!
//! rustls reads at most 4 KiB at once, which is a system call for each quarter of a TLS record. [`ReadAhead`] reads up to
//! [`READ_AHEAD`] bytes with one call while a client sends much. A client that sends little, and one in its handshake, has
//! no buffer: its bytes go directly to rustls.
//!
//! Invariant: buffers take their memory from a budget of their own, and never wait for it. A request that waits for memory
//! is on a connection that reads nothing, so what this connection has read ahead stays in memory: taken from the budget
//! of requests, it could be what the requests wait for.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::memory::{BufferPool, FrameBuffer, RequestBudget, Reservation};

/// How much is read at once from a client that sends much.
const READ_AHEAD: usize = 64 << 10;
/// The size of a read from which on a client sends much: what rustls asks for.
const MUCH: usize = 4 << 10;
/// The most bytes that all connections read ahead together.
const MAX_AHEAD: usize = 8 << 20;
/// The part of the memory for requests that is used in addition: one of this many.
const SHARE: usize = 8;

/// The budget of all connections for what they read ahead. `request_memory` is that of requests, in bytes.
pub(super) fn read_ahead_budget(request_memory: usize) -> Arc<RequestBudget> {
    Arc::new(RequestBudget::new((request_memory / SHARE).min(MAX_AHEAD)))
}

/// A stream that reads ahead after [`ReadAhead::begin`].
pub(super) struct ReadAhead<S> {
    stream: S,
    memory: Option<(Arc<RequestBudget>, Arc<BufferPool>)>,
    /// Whether the last read of the stream returned at least [`MUCH`].
    sends_much: bool,
    ahead: Option<Ahead>,
}

/// Bytes that were read ahead.
struct Ahead {
    buffer: FrameBuffer,
    /// How many of them were taken.
    taken: usize,
    _reservation: Reservation,
}

impl<S> ReadAhead<S> {
    pub fn new(stream: S) -> Self {
        ReadAhead { stream, memory: None, sends_much: false, ahead: None }
    }

    /// Allows reading ahead from now on, with memory of this budget.
    pub fn begin(&mut self, budget: Arc<RequestBudget>, buffers: Arc<BufferPool>) {
        self.memory = Some((budget, buffers));
    }

    /// An empty buffer, if one is useful and there is memory for it.
    fn new_ahead(&self) -> Option<Ahead> {
        let (budget, buffers) = self.memory.as_ref().filter(|_| self.sends_much)?;
        let reservation = budget.try_reserve(READ_AHEAD as u32)?;
        let mut buffer = buffers.take(READ_AHEAD);
        buffer.bytes.reserve_exact(READ_AHEAD);
        Some(Ahead { buffer, taken: 0, _reservation: reservation })
    }
}

impl Ahead {
    fn left(&self) -> &[u8] {
        self.buffer.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Reads into the empty buffer.
    fn poll_fill<S: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, stream: &mut S) -> Poll<io::Result<usize>> {
        pin!(stream.read_buf(&mut (&mut self.buffer.bytes).limit(READ_AHEAD))).poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_none() {
            this.ahead = this.new_ahead();
        }
        let Some(ahead) = &mut this.ahead else {
            let before = space.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, space))?;
            this.sends_much = space.filled().len() - before >= MUCH;
            return Poll::Ready(Ok(()));
        };
        if ahead.left().is_empty() {
            let Poll::Ready(read) = ahead.poll_fill(cx, &mut this.stream)? else {
                this.ahead = None;
                return Poll::Pending;
            };
            this.sends_much = read >= MUCH;
        }
        let left = ahead.left();
        let some = left.get(..space.remaining()).unwrap_or(left);
        space.put_slice(some);
        ahead.taken += some.len();
        if ahead.left().is_empty() {
            this.ahead = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
    use std::collections::VecDeque;

    /// A socket whose reads return at most these numbers of bytes, one after the other; 0: there is nothing yet.
    struct Script {
        reads: VecDeque<usize>,
        sent: u8,
        calls: usize,
    }

    impl Script {
        fn new(reads: impl IntoIterator<Item = usize>) -> Script {
            Script { reads: reads.into_iter().collect(), sent: 0, calls: 0 }
        }
    }

    impl AsyncRead for Script {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            self.calls += 1;
            let Some(arrived) = self.reads.front_mut() else { return Poll::Ready(Ok(())) };
            if *arrived == 0 {
                self.reads.pop_front();
                return Poll::Pending;
            }
            let read = space.remaining().min(*arrived);
            *arrived -= read;
            if *arrived == 0 {
                self.reads.pop_front();
            }
            for _ in 0..read {
                space.put_slice(&[self.sent]);
                self.sent = self.sent.wrapping_add(1);
            }
            Poll::Ready(Ok(()))
        }
    }

    /// A read as rustls does it.
    fn read<S: AsyncRead + Unpin>(stream: &mut ReadAhead<S>) -> Poll<Vec<u8>> {
        let mut space = [0; MUCH];
        let mut space = ReadBuf::new(&mut space);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let read = Pin::new(stream).poll_read(&mut context, &mut space);
        read.map(|result| result.map(|()| space.filled().to_vec()).unwrap())
    }

    fn begun(script: Script, budget: &Arc<RequestBudget>) -> ReadAhead<Script> {
        let mut stream = ReadAhead::new(script);
        stream.begin(Arc::clone(budget), Arc::new(BufferPool::new(1 << 20)));
        stream
    }

    #[test]
    fn bytes_are_those_of_the_socket_however_they_arrive() {
        let budget = Arc::new(RequestBudget::new(1 << 20));
        let arrivals = [1, 4096, 0, 100_000, 0, 0, 4095, 4097, 65_536, 0, 65_537, 1, 0, 300_000];
        let mut stream = begun(Script::new(arrivals), &budget);
        let mut received = Vec::new();
        loop {
            match read(&mut stream) {
                Poll::Pending => assert!(budget.try_reserve(1 << 20).is_some(), "no memory is used without bytes"),
                Poll::Ready(bytes) if bytes.is_empty() => break,
                Poll::Ready(bytes) => received.extend(bytes),
            }
        }
        let total: usize = arrivals.iter().sum();
        assert!(received.len() == total && received.iter().zip(0..).all(|(byte, at)| *byte == at as u8));
    }

    #[test]
    fn client_that_sends_much_needs_few_reads_of_the_socket() {
        let budget = Arc::new(RequestBudget::new(1 << 20));
        let mut stream = begun(Script::new([MUCH + 10 * READ_AHEAD]), &budget);
        let reads = (MUCH + 10 * READ_AHEAD) / MUCH;
        assert!((0..reads).all(|_| read(&mut stream).is_ready()));
        assert_eq!(stream.stream.calls, 11);
    }

    #[test]
    fn client_that_sends_little_has_no_buffer() {
        let budget = Arc::new(RequestBudget::new(1 << 20));
        let mut stream = begun(Script::new([100, 0, MUCH - 1, 0, 1]), &budget);
        for _ in 0..5 {
            let _ = read(&mut stream);
            assert!(stream.ahead.is_none());
        }
    }

    #[test]
    fn nothing_is_read_ahead_in_a_handshake_or_without_memory() {
        let mut handshake = ReadAhead::new(Script::new([1 << 20]));
        let budget = Arc::new(RequestBudget::new(2 * READ_AHEAD));
        let _others = budget.try_reserve(READ_AHEAD as u32 + 1);
        let mut without_memory = begun(Script::new([1 << 20]), &budget);
        for stream in [&mut handshake, &mut without_memory] {
            assert!((0..10).all(|_| read(stream).is_ready()));
            assert_eq!(stream.stream.calls, 10);
        }
    }
}
