//! A connection: one task that reads requests, dispatches them, and sends the replies in order.
//!
//! [`Connection::poll`] loops until it can neither read nor send. It reads nothing while the reply queue is full (see
//! [`ReplyQueue::has_room`]), so TCP's flow control slows down a client that does not read its replies.

use std::any::Any;
use std::io::{ErrorKind, IoSlice};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::dispatch::{CloseReason, ConnectionInfo, Dispatch, Outcome, Reply, Then};
use super::exchange::{Exchange, Times};
use super::memory::{BufferPool, RequestBudget};
use super::reader::{Frame, FrameLimit, FrameReader, ReadEnd};
use super::replies::ReplyQueue;
use super::watchdog::{Activity, Verdict, Watchdog};
use crate::clock::{Clock, Sleep};
use crate::log_rate_limiter::{LogRateLimiter, log_limited, log_limited_by_reason};

/// Chunks of replies in one write call.
const MAX_CHUNKS: usize = 64;

/// How long the end of a TLS stream may take: no longer than it takes to send some bytes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The kind of log line, for the rate limiter, of panics in handlers.
const PANICS: &str = "panics";

/// State that all connections of a server share.
pub(super) struct Shared {
    pub dispatch: Arc<dyn Dispatch>,
    pub budget: Arc<RequestBudget>,
    /// Memory for what is read ahead from clients with TLS.
    pub read_ahead: Arc<RequestBudget>,
    pub buffers: Arc<BufferPool>,
    pub max_frame: usize,
    /// The largest frame of a client that has not authenticated yet.
    pub max_sasl_frame: usize,
    /// The same for single listeners.
    pub listener_sasl_frames: Vec<(Arc<str>, usize)>,
    pub idle: Option<Duration>,
    pub stall_timeout: Duration,
    pub clock: Clock,
    pub log_rate_limiter: Arc<LogRateLimiter>,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The peer closed the connection. `mid_request`: a part of a request had arrived.
    PeerClosed { mid_request: bool },
    /// The socket failed, for example because the peer reset the connection.
    SocketFailed(std::io::Error),
    /// The broker closed the connection.
    Closed(CloseReason),
    /// A reply could not be read from its file. The partition logs the file.
    UnreadableReply,
    /// The peer uses another protocol, of this name.
    Foreign(&'static str),
    /// No byte was sent or received within `connections.max.idle.ms`.
    Idle,
    /// A handler panicked with this message.
    Panicked(String),
    /// The server stops, and all pending replies were sent.
    Drained,
    /// The server stops, and its grace period is over.
    Stopped,
}

/// A connection over any byte stream.
pub(super) struct Connection<S> {
    socket: S,
    info: Arc<ConnectionInfo>,
    shared: Arc<Shared>,
    reader: FrameReader,
    replies: ReplyQueue,
    /// The number of requests that were dispatched.
    requests: u64,
    sent: u64,
    /// Whether the stream holds no bytes back.
    is_flushed: bool,
    /// [`Dispatch::faults`] when the pending replies were last checked.
    faults: u64,
    watchdog: Watchdog,
    alarm: Pin<Box<Sleep>>,
    /// Until when nothing is read (throttling).
    muted: Option<Pin<Box<Sleep>>>,
    draining: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(socket: S, info: Arc<ConnectionInfo>, shared: Arc<Shared>) -> Self {
        let reader = FrameReader::new(shared.budget.clone(), shared.buffers.clone(), frame_limit(&info, &shared));
        let watchdog = Watchdog::new(shared.idle, shared.stall_timeout);
        let alarm = Box::pin(shared.clock.sleep(watchdog.period()));
        let replies = ReplyQueue::default();
        let faults = shared.dispatch.faults();
        let (muted, draining, is_flushed) = (None, false, true);
        let (requests, sent) = (0, 0);
        Connection {
            socket,
            info,
            shared,
            reader,
            replies,
            requests,
            sent,
            is_flushed,
            faults,
            watchdog,
            alarm,
            muted,
            draining,
        }
    }

    /// Serves the connection until it ends. A panic of a handler ends only this connection.
    pub async fn serve(&mut self) -> End {
        std::future::poll_fn(|cx| {
            catch_unwind(AssertUnwindSafe(|| self.poll(cx)))
                .unwrap_or_else(|panic| Poll::Ready(End::Panicked(panic_message(&*panic))))
        })
        .await
    }

    /// Stops reading requests. The connection ends when its pending replies are sent.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let input = self.poll_requests(cx);
            if let Poll::Ready(Some(ReadEnd::Foreign(foreign))) = &input {
                self.replies.push_foreign(Bytes::from_static(foreign.answer));
            }
            loop {
                let Connection { info, shared, replies, .. } = self;
                replies.poll_parked(cx, &shared.clock, &mut |done| report(info, shared, &done));
                match self.poll_replies(cx) {
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Ready(Ok(())) if self.replies.has_deferred() => {}
                    _ => break,
                }
            }
            if let Poll::Ready(Some(end)) = input {
                return Poll::Ready(end.into());
            }
            if let Some(why) = self.replies.close_reason() {
                return Poll::Ready(End::Closed(why.clone()));
            }
            if self.draining && self.replies.is_empty() && self.is_flushed {
                return Poll::Ready(End::Drained);
            }
            self.poll_mute(cx);
            if input.is_pending() || !self.may_read() {
                return self.poll_alarm(cx);
            }
        }
    }

    /// Reads and dispatches requests. `Pending`: the socket has no more bytes. `Ready(None)`: replies must be sent
    /// first.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReadEnd>> {
        while self.may_read() {
            let Connection { socket, info, shared, reader, replies, requests, .. } = self;
            // When the first request of this read was complete, and when the last handler returned.
            let mut arrived = None;
            let mut last_returned = Duration::ZERO;
            let mut take = |Frame { bytes, reservation }: Frame| {
                let arrived = *arrived.get_or_insert_with(|| {
                    last_returned = shared.clock.monotonic();
                    last_returned
                });
                let times = Times::begin(arrived, last_returned);
                let excerpts = shared.dispatch.excerpts(info, &bytes);
                let exchange = Exchange::begin(*requests, &bytes, info.is_authenticating(), excerpts, times);
                let outcome = shared.dispatch.dispatch(info, bytes);
                *requests += 1;
                last_returned = shared.clock.monotonic();
                let last = matches!(outcome, Outcome::Close(_) | Outcome::Ready(Reply { then: Then::Close(_), .. }));
                if let Some(done) = replies.push(outcome, exchange, reservation, last_returned) {
                    report(info, shared, &done);
                }
                if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            if let Err(end) = ready!(reader.poll_read(cx, socket, &mut take)) {
                return Poll::Ready(Some(end));
            }
        }
        Poll::Ready(None)
    }

    /// Begins or ends the time in which nothing is read.
    fn poll_mute(&mut self, cx: &mut Context<'_>) {
        let time = self.replies.take_mute();
        if !time.is_zero() {
            let sleep = self.shared.clock.sleep(time);
            if self.muted.as_ref().is_none_or(|muted| muted.deadline() < sleep.deadline()) {
                self.muted = Some(Box::pin(sleep));
            }
        }
        if self.muted.as_mut().is_some_and(|muted| muted.as_mut().poll(cx).is_ready()) {
            self.muted = None;
        }
    }

    /// Whether more requests may be read.
    ///
    /// While the memory budget is exhausted, a connection begins a request only if it has no pending replies. So small
    /// requests, which do not queue for a reservation, use at most the memory of one read per connection.
    fn may_read(&self) -> bool {
        let is_affordable =
            || self.replies.is_empty() || self.reader.is_reserving() || !self.shared.budget.is_exhausted();
        !self.draining && self.muted.is_none() && self.replies.has_room() && is_affordable()
    }

    /// Sends the known replies. `Pending`: the socket's send buffer is full.
    fn poll_replies(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        while self.replies.can_send() {
            self.check_replies()?;
            self.replies.begin_send(self.shared.clock.monotonic(), MAX_CHUNKS);
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
            // Bytes that became unreadable during the call may have been sent as zeros: send nothing more.
            self.check_replies()?;
            self.sent += sent as u64;
            let Connection { info, shared, replies, .. } = self;
            replies.advance(sent, &shared.clock, &mut |done| report(info, shared, &done));
            self.is_flushed = false;
        }
        self.poll_flush(cx)
    }

    /// Sends what the stream itself holds back: encrypted bytes. A socket holds back none.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        if !self.is_flushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(End::SocketFailed)?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the stream: with TLS, the peer learns that nothing was cut off. Waits for the peer at most
    /// [`CLOSE_TIMEOUT`].
    pub async fn close(&mut self) {
        let _ = self.shared.clock.timeout(CLOSE_TIMEOUT, self.socket.shutdown()).await;
    }

    /// Fails if a pending reply is no longer intact.
    fn check_replies(&mut self) -> Result<(), End> {
        let faults = self.shared.dispatch.faults();
        if faults == self.faults {
            return Ok(());
        }
        self.faults = faults;
        let intact = self.replies.chunks().all(|chunk| self.shared.dispatch.is_intact(chunk));
        if intact { Ok(()) } else { Err(End::UnreadableReply) }
    }

    /// Waits for the next check of the watchdog. Ends the connection if it is idle or stalled.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.watchdog.shorten_period(self.reader.unfinished().is_some(), self.reader.received()) {
            self.alarm.set(self.shared.clock.sleep(self.watchdog.period()));
        }
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let verdict = self.watchdog.check(Activity {
                received: self.reader.received(),
                sent: self.sent,
                has_partial_request: self.reader.unfinished().is_some(),
                parked: self.replies.is_parked(),
                muted: self.muted.is_some(),
                contended: self.shared.budget.is_contended(),
            });
            match (verdict, self.reader.unfinished()) {
                (Verdict::Alive, _) => self.alarm.set(self.shared.clock.sleep(self.watchdog.period())),
                _ if self.replies.can_send() => {
                    let why = CloseReason::new(
                        "connections closed for unread responses",
                        "the client does not read its responses",
                    );
                    return Poll::Ready(End::Closed(why));
                }
                (Verdict::Stalled, Some((size, have))) => {
                    let why = match self.muted {
                        None => format!("the client sent {have} of {size} bytes of a request and then stopped"),
                        Some(_) => format!(
                            "the client is throttled after {have} of {size} bytes of a request, and other requests wait \
                             for the memory"
                        ),
                    };
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
        let Connection { info, shared, replies, .. } = self;
        let result = catch_unwind(AssertUnwindSafe(|| {
            replies.clear(&shared.clock, &mut |done| report(info, shared, &done));
            shared.dispatch.on_disconnect(info);
        }));
        if let Err(panic) = result {
            let (limiter, peer) = (&self.shared.log_rate_limiter, self.info.peer.ip());
            let panic = panic_message(&*panic);
            log_limited!(
                ERROR,
                limiter,
                peer,
                PANICS,
                client = %self.info,
                "failed to clean up after the connection: a handler panicked: {panic}"
            );
        }
    }
}

/// Reports a request that is done.
fn report(info: &Arc<ConnectionInfo>, shared: &Shared, done: &Exchange) {
    info.figures().count(done);
    shared.dispatch.on_done(info, done);
}

/// Returns the function that gives the limit for the next frame of a connection.
fn frame_limit(info: &Arc<ConnectionInfo>, shared: &Shared) -> impl Fn() -> FrameLimit + Send + 'static {
    let own = shared.listener_sasl_frames.iter().find(|(listener, _)| *listener == info.listener);
    let max_sasl_frame = own.map_or(shared.max_sasl_frame, |(_, bytes)| *bytes);
    let (info, max_frame) = (info.clone(), shared.max_frame);
    move || match info.is_authenticating() {
        true => FrameLimit { bytes: max_sasl_frame, setting: "sasl.server.max.receive.size" },
        false => FrameLimit { bytes: max_frame, setting: "socket.request.max.bytes" },
    }
}

/// Whether a write failed because the kernel could not read the bytes, and not because of the socket.
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
    /// Logs why the connection ended: at WARN if the broker closed it because of what the peer sent, at DEBUG if the
    /// peer closed it.
    pub fn log(&self, connection: &ConnectionInfo, limiter: &Arc<LogRateLimiter>) {
        let peer = connection.peer.ip();
        match self {
            End::PeerClosed { mid_request: false } => tracing::debug!(client = %connection, "closed by the client"),
            End::PeerClosed { mid_request: true } => {
                tracing::debug!(client = %connection, "closed by the client in the middle of a request");
            }
            End::SocketFailed(error) => tracing::debug!(client = %connection, %error, "connection failed"),
            End::Closed(why) => log_limited_by_reason!(
                WARN,
                limiter,
                peer,
                why.kind(),
                why.to_string(),
                client = %connection,
                "closed the connection: {why}"
            ),
            End::UnreadableReply => log_limited!(
                WARN,
                limiter,
                peer,
                "connections closed because records cannot be read",
                client = %connection,
                "closed the connection: fetched records cannot be read from their file, which was truncated or is on a \
                 failing disk"
            ),
            End::Foreign(name) => log_limited_by_reason!(
                WARN,
                limiter,
                peer,
                "connections closed because of another protocol",
                name,
                client = %connection,
                "closed the connection: the client sent {name} data, but this port serves the plain Kafka protocol"
            ),
            End::Idle => tracing::debug!(client = %connection, "closed the connection: idle"),
            End::Panicked(message) => log_limited!(
                ERROR,
                limiter,
                peer,
                PANICS,
                client = %connection,
                "closed the connection: a request handler panicked: {message}"
            ),
            End::Drained => tracing::debug!(client = %connection, "closed the connection: the broker stops"),
            End::Stopped => log_limited!(
                INFO,
                limiter,
                peer,
                "connections closed before a request got its response",
                client = %connection,
                "closed the connection: the broker stops, and a request got no response"
            ),
        }
    }
}
