//! One connection, one task: reads requests, has them dispatched, sends the replies in order.
//!
//! Everything happens in [`Connection::poll`], which goes round until it can neither read nor send.
//! Nothing is read while replies are in the way (see [`ReplyQueue::has_room`]), so a client that does
//! not read its replies is soon not read from either, and the socket holds it back.

use std::any::Any;
use std::io::{ErrorKind, IoSlice};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::dispatch::{CloseReason, ConnectionInfo, Dispatch, Outcome};
use super::memory::{BufferShelf, RequestBudget};
use super::reader::{Frame, FrameReader, ReadEnd};
use super::replies::ReplyQueue;
use super::watchdog::{Seen, Verdict, Watchdog};
use crate::log_rate_limiter::{LogRateLimiter, log_limited, log_limited_by_reason};

/// Chunks handed to the socket in one call.
const MAX_CHUNKS: usize = 64;

/// What the log limiter calls panics of handlers.
const PANICS: &str = "panics";

/// What all connections of a server share.
pub(super) struct Shared {
    pub dispatch: Arc<dyn Dispatch>,
    pub budget: Arc<RequestBudget>,
    pub shelf: Arc<BufferShelf>,
    pub max_frame: usize,
    pub idle: Option<Duration>,
    pub patience: Duration,
    pub log_rate_limiter: Arc<LogRateLimiter>,
}

/// How a connection came to its end.
#[derive(Debug)]
pub(super) enum End {
    /// The peer closed it, in the middle of a request or not.
    PeerClosed { mid_request: bool },
    /// The socket failed; a reset by the peer among others.
    SocketFailed(std::io::Error),
    /// We closed it.
    Closed(CloseReason),
    /// A reply could not be read from the file that it is in. The partition says which.
    UnreadableReply,
    /// The peer spoke that protocol.
    Foreign(&'static str),
    /// Nothing moved for as long as `connections.max.idle.ms` allows.
    Idle,
    /// A handler panicked, saying this.
    Panicked(String),
    /// The server stops, and everything owed was sent.
    Drained,
    /// The server stops and waited long enough.
    Stopped,
}

/// A connection over any byte stream.
pub(super) struct Connection<S> {
    socket: S,
    info: Arc<ConnectionInfo>,
    shared: Arc<Shared>,
    reader: FrameReader,
    replies: ReplyQueue,
    sent: u64,
    /// [`Dispatch::faults`] when the replies that are owed were last seen to be intact.
    faults: u64,
    watchdog: Watchdog,
    alarm: Pin<Box<Sleep>>,
    draining: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(socket: S, info: Arc<ConnectionInfo>, shared: Arc<Shared>) -> Self {
        let reader = FrameReader::new(shared.budget.clone(), shared.shelf.clone(), shared.max_frame);
        let watchdog = Watchdog::new(shared.idle, shared.patience);
        let alarm = Box::pin(tokio::time::sleep(watchdog.period()));
        let replies = ReplyQueue::default();
        let faults = shared.dispatch.faults();
        Connection { socket, info, shared, reader, replies, sent: 0, faults, watchdog, alarm, draining: false }
    }

    /// Serves the connection to its end. A panic on the way ends this connection and no other.
    pub async fn serve(&mut self) -> End {
        std::future::poll_fn(|cx| {
            catch_unwind(AssertUnwindSafe(|| self.poll(cx)))
                .unwrap_or_else(|panic| Poll::Ready(End::Panicked(panic_message(&*panic))))
        })
        .await
    }

    /// From now on no more requests are read; the connection ends when the replies it owes are sent.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let input = self.poll_requests(cx);
            if let Poll::Ready(Some(ReadEnd::Foreign(foreign))) = &input {
                self.replies.push(Outcome::Ready(vec![Bytes::from_static(foreign.answer)]), 0, None);
            }
            loop {
                self.replies.poll_parked(cx);
                match self.poll_replies(cx) {
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Ready(Ok(())) if self.replies.is_held_back() => {}
                    _ => break,
                }
            }
            if let Poll::Ready(Some(end)) = input {
                return Poll::Ready(end.into());
            }
            if let Some(why) = self.replies.close_reason() {
                return Poll::Ready(End::Closed(why.clone()));
            }
            if self.draining && self.replies.is_empty() {
                return Poll::Ready(End::Drained);
            }
            if input.is_pending() || !self.may_read() {
                return self.poll_alarm(cx);
            }
        }
    }

    /// Reads and dispatches requests: `Pending` when the socket is empty, `Ready(None)` when replies
    /// have to leave first.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReadEnd>> {
        while self.may_read() {
            let Connection { socket, info, shared, reader, replies, .. } = self;
            let mut take = |Frame { bytes, reservation }: Frame| {
                let size = bytes.len();
                let outcome = shared.dispatch.dispatch(info, bytes);
                let last = matches!(outcome, Outcome::Close(_));
                replies.push(outcome, size, reservation);
                if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            if let Err(end) = ready!(reader.poll_read(cx, socket, &mut take)) {
                return Poll::Ready(Some(end));
            }
        }
        Poll::Ready(None)
    }

    /// While the memory budget is used up, a connection starts on a request only when it owes nothing:
    /// small requests, which don't queue for a share, then take no more than one read of each.
    fn may_read(&self) -> bool {
        let affordable = || self.replies.is_empty() || self.reader.is_committed() || !self.shared.budget.is_exhausted();
        !self.draining && self.replies.has_room() && affordable()
    }

    /// Sends what is known: `Pending` when the socket is full.
    fn poll_replies(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        while self.replies.has_known() {
            self.check_replies()?;
            let mut slices = [IoSlice::new(&[]); MAX_CHUNKS];
            let filled = self.replies.gather(&mut slices);
            let socket = Pin::new(&mut self.socket);
            let slices = slices.get(..filled).unwrap_or_default();
            let sent = match slices {
                [only] => ready!(socket.poll_write(cx, only)),
                chunks => ready!(socket.poll_write_vectored(cx, chunks)),
            };
            let sent = match sent {
                Ok(0) => return Poll::Ready(Err(End::SocketFailed(ErrorKind::WriteZero.into()))),
                Ok(sent) => sent,
                Err(error) if is_unreadable(&error) => {
                    slices.iter().for_each(|chunk| self.shared.dispatch.on_unreadable(chunk));
                    return Poll::Ready(Err(End::UnreadableReply));
                }
                Err(error) => return Poll::Ready(Err(End::SocketFailed(error))),
            };
            // What became unreadable meanwhile may have left as zeros: nothing follows it.
            self.check_replies()?;
            self.sent += sent as u64;
            self.replies.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Fails if something that is to be sent isn't what it was any more.
    fn check_replies(&mut self) -> Result<(), End> {
        let faults = self.shared.dispatch.faults();
        if faults == self.faults {
            return Ok(());
        }
        self.faults = faults;
        let intact = self.replies.chunks().all(|chunk| self.shared.dispatch.is_intact(chunk));
        if intact { Ok(()) } else { Err(End::UnreadableReply) }
    }

    /// There is nothing to do: sees to it that this does not last too long.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.watchdog.hurry(self.reader.unfinished().is_some(), self.reader.received()) {
            self.alarm.set(tokio::time::sleep(self.watchdog.period()));
        }
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let verdict = self.watchdog.ring(Seen {
                received: self.reader.received(),
                sent: self.sent,
                half_sent: self.reader.unfinished().is_some(),
                parked: self.replies.is_parked(),
                contended: self.shared.budget.is_contended(),
            });
            match (verdict, self.reader.unfinished()) {
                (Verdict::Alive, _) => self.alarm.set(tokio::time::sleep(self.watchdog.period())),
                _ if self.replies.has_known() => {
                    let why =
                        CloseReason::new("connections closed for unread responses", "it does not read its responses");
                    return Poll::Ready(End::Closed(why));
                }
                (Verdict::Stalled, Some((size, have))) => {
                    let why = format!("it sent {have} bytes of a request of {size} and then stood still");
                    return Poll::Ready(End::Closed(CloseReason::new(
                        "connections closed in the middle of a request",
                        why,
                    )));
                }
                _ => return Poll::Ready(End::Idle),
            }
        }
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.replies.clear();
        let farewell = catch_unwind(AssertUnwindSafe(|| self.shared.dispatch.on_disconnect(&self.info)));
        if let Err(panic) = farewell {
            let (limiter, peer) = (&self.shared.log_rate_limiter, self.info.peer.ip());
            let panic = panic_message(&*panic);
            log_limited!(
                ERROR,
                limiter,
                peer,
                PANICS,
                "Forgetting the connection from {} panicked: {panic}",
                self.info
            );
        }
    }
}

/// Whether a write failed because of the bytes that were to be written, rather than the socket.
fn is_unreadable(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::FAULT.raw_os_error())
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

impl From<ReadEnd> for End {
    fn from(end: ReadEnd) -> Self {
        match end {
            ReadEnd::Eof { mid_frame } => End::PeerClosed { mid_request: mid_frame },
            ReadEnd::Failed(error) => End::SocketFailed(error),
            ReadEnd::Refused(why) => End::Closed(why),
            ReadEnd::Foreign(foreign) => End::Foreign(foreign.name),
        }
    }
}

impl End {
    /// Tells the log who is gone and why: our doing where someone should look, a peer's goodbye for
    /// those who watch closely.
    pub fn log(&self, connection: &ConnectionInfo, limiter: &Arc<LogRateLimiter>) {
        let peer = connection.peer.ip();
        match self {
            End::PeerClosed { mid_request: false } => tracing::debug!("{connection} closed its connection"),
            End::PeerClosed { mid_request: true } => {
                tracing::debug!("{connection} closed its connection in the middle of a request");
            }
            End::SocketFailed(error) => tracing::debug!("The connection from {connection} broke: {error}"),
            End::Closed(why) => {
                log_limited_by_reason!(
                    WARN,
                    limiter,
                    peer,
                    why.kind(),
                    why.to_string(),
                    "Closed the connection from {connection}: {why}"
                );
            }
            End::UnreadableReply => log_limited!(
                WARN,
                limiter,
                peer,
                "connections closed whose records can't be read",
                "Closed the connection from {connection}: records that it fetched cannot be read from their file, which \
                 was cut, or is on a disk that fails"
            ),
            End::Foreign(name) => log_limited_by_reason!(
                WARN,
                limiter,
                peer,
                "connections closed that don't speak Kafka's protocol",
                name,
                "Closed the connection from {connection}: it speaks {name}, and this is a Kafka port"
            ),
            End::Idle => tracing::debug!("Closed the connection from {connection}: idle"),
            End::Panicked(message) => log_limited!(
                ERROR,
                limiter,
                peer,
                PANICS,
                "Closed the connection from {connection}: handling its request panicked: {message}"
            ),
            End::Drained => tracing::debug!("Closed the connection from {connection}: stopping"),
            End::Stopped => log_limited!(
                INFO,
                limiter,
                peer,
                "connections closed with a request unanswered",
                "Closed the connection from {connection}: stopping, with a request unanswered"
            ),
        }
    }
}
