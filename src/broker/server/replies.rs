//! The pending replies of a connection, in the order of its requests.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::dispatch::{CloseReason, Outcome, ParkedReply, Reply, Then};
use super::exchange::{Ending, Exchange};
use super::memory::Reservation;
use crate::clock::Clock;

/// Unanswered requests of one connection above which no more are read. One read of small requests may exceed it, by as
/// many again.
const MAX_IN_FLIGHT: usize = 64;
/// Bytes of sendable replies above which they are sent before more is read.
const SEND_AFTER_BYTES: usize = 64 << 10;
/// The same for the number of sendable replies.
const SEND_AFTER_REPLIES: usize = 32;
/// The same for the bytes of their requests.
const SEND_AFTER_REQUEST_BYTES: usize = 256 << 10;
/// Bytes of replies behind a parked one above which no more requests are read.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// A bounded queue. [`ReplyQueue::has_room`] is false when the connection must stop reading requests.
#[derive(Default)]
pub(super) struct ReplyQueue {
    pending: VecDeque<Pending>,
    /// How many replies at the front of `pending` are known and can be sent.
    sendable: usize,
    /// Bytes of all known replies in `pending`, including those behind a parked one.
    bytes: usize,
    /// Bytes of the requests that were added since all sendable replies were sent.
    request_bytes: usize,
    /// Whether a parked reply was not polled because too many bytes wait to be sent before it.
    has_deferred: bool,
    /// For how long nothing may be read, according to the replies that became known since [`ReplyQueue::take_mute`].
    mute: Duration,
}

struct Pending {
    reply: State,
    /// The request of the reply. `None` for what no request has caused.
    exchange: Option<Exchange>,
    /// The request's reservation, kept until its reply has been sent.
    _reservation: Option<Reservation>,
}

enum State {
    Parked(ParkedReply),
    Ready(VecDeque<Bytes>),
    /// The connection is closed here. No reply follows.
    Close(CloseReason),
}

impl ReplyQueue {
    /// Adds the outcome of a request, which returned at the time `now`. Returns the request if it is already done.
    pub fn push(
        &mut self,
        outcome: Outcome,
        mut exchange: Exchange,
        reservation: Option<Reservation>,
        now: Duration,
    ) -> Option<Exchange> {
        exchange.times.returned = now;
        let (reply, close) = match outcome {
            Outcome::Ready(reply) => self.known(reply, Some(&mut exchange), now),
            Outcome::Parked(reply) => (State::Parked(reply), None),
            Outcome::NoReply if self.pending.is_empty() => return Some(exchange.done(Ending::NoReply, now)),
            Outcome::NoReply => (State::Ready(VecDeque::new()), None),
            Outcome::Close(why) => {
                exchange.refused = Some(why.clone());
                (State::Close(why), None)
            }
        };
        self.request_bytes += exchange.request_bytes;
        self.pending.push_back(Pending { reply, exchange: Some(exchange), _reservation: reservation });
        self.close_after_last(close);
        None
    }

    /// Adds a last reply to a peer that does not use Kafka's protocol.
    pub fn push_foreign(&mut self, answer: Bytes) {
        let (reply, _) = self.known(vec![answer].into(), None, Duration::ZERO);
        self.pending.push_back(Pending { reply, exchange: None, _reservation: None });
    }

    /// Counts a reply that is now known. Returns it, and why the connection is closed after it.
    fn known(
        &mut self,
        Reply { chunks, then }: Reply,
        exchange: Option<&mut Exchange>,
        now: Duration,
    ) -> (State, Option<CloseReason>) {
        let bytes = chunks.iter().map(Bytes::len).sum();
        self.bytes += bytes;
        if let Some(exchange) = exchange {
            exchange.reply_known(&chunks, bytes, &then, now);
        }
        let close = match then {
            Then::Continue => None,
            Then::Mute(time) => {
                self.mute = self.mute.max(time);
                None
            }
            Then::Close(why) => Some(why),
        };
        (State::Ready(chunks.into()), close)
    }

    /// Closes the connection after the last reply of the queue, if there is a reason.
    fn close_after_last(&mut self, close: Option<CloseReason>) {
        let close = close.map(|why| Pending { reply: State::Close(why), exchange: None, _reservation: None });
        self.pending.extend(close);
    }

    /// For how long nothing may be read from now on, because of replies that became known since the last call.
    pub fn take_mute(&mut self) -> Duration {
        std::mem::take(&mut self.mute)
    }

    /// Polls the first parked reply, and the next ones as those before them become known.
    ///
    /// While many bytes wait to be sent, it polls none: a parked reply may be built in memory when it is polled. Calls
    /// `done` for each request that is done.
    pub fn poll_parked(&mut self, cx: &mut Context<'_>, clock: &Clock, done: &mut dyn FnMut(Exchange)) {
        self.has_deferred = false;
        while let Some(pending) = self.pending.get_mut(self.sendable) {
            if let State::Parked(parked) = &mut pending.reply {
                if self.sendable > 0 && self.bytes >= MAX_WAITING_BYTES {
                    self.has_deferred = true;
                    return;
                }
                let Poll::Ready(result) = parked.as_mut().poll(cx) else { return };
                let mut exchange = pending.exchange.take();
                let now = clock.monotonic();
                let (reply, close) = match result {
                    Ok(reply) => self.known(reply, exchange.as_mut(), now),
                    Err(why) => {
                        exchange.iter_mut().for_each(|exchange| exchange.refused = Some(why.clone()));
                        (State::Close(why), None)
                    }
                };
                if close.is_some() || matches!(reply, State::Close(_)) {
                    let dropped = self.pending.drain(self.sendable + 1..).filter_map(|pending| pending.exchange);
                    dropped.for_each(|exchange| done(exchange.done(Ending::Dropped, now)));
                }
                if let Some(pending) = self.pending.get_mut(self.sendable) {
                    (pending.reply, pending.exchange) = (reply, exchange);
                }
                self.close_after_last(close);
            }
            self.sendable += 1;
        }
        self.drop_sent(clock, done);
    }

    /// Notes that a call now begins to send the first `chunks` chunks.
    pub fn begin_send(&mut self, now: Duration, mut chunks: usize) {
        for pending in self.pending.iter_mut().take(self.sendable) {
            let State::Ready(reply) = &pending.reply else { return };
            if let Some(exchange) = &mut pending.exchange {
                exchange.sending(now);
            }
            match chunks.checked_sub(reply.len()) {
                None | Some(0) => return,
                Some(left) => chunks = left,
            }
        }
    }

    /// Fills `slices` with the chunks to send. Returns how many it filled.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(self.chunks().filter(|chunk| !chunk.is_empty())) {
            *slice = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    /// The chunks that can be sent.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        let sendable = self.pending.iter().take(self.sendable);
        sendable.flat_map(|pending| match &pending.reply {
            State::Ready(chunks) => chunks.iter(),
            _ => NO_CHUNKS.iter(),
        })
    }

    /// Removes the first `sent` bytes, which were sent. Calls `done` for each request that is done.
    pub fn advance(&mut self, mut sent: usize, clock: &Clock, done: &mut dyn FnMut(Exchange)) {
        let now = clock.monotonic();
        self.bytes -= sent;
        while let Some(State::Ready(chunks)) = self.pending.front_mut().map(|pending| &mut pending.reply) {
            while let Some(chunk) = chunks.front_mut() {
                let step = sent.min(chunk.len());
                chunk.advance(step);
                sent -= step;
                if chunk.has_remaining() {
                    return;
                }
                chunks.pop_front();
            }
            if sent == 0 {
                break;
            }
            self.pop_front(now, done);
        }
        self.drop_sent_at(now, done);
    }

    /// Removes sendable replies without bytes left: those that were sent, and empty ones.
    fn drop_sent(&mut self, clock: &Clock, done: &mut dyn FnMut(Exchange)) {
        if self.front_is_sent() {
            self.drop_sent_at(clock.monotonic(), done);
        }
    }

    fn drop_sent_at(&mut self, now: Duration, done: &mut dyn FnMut(Exchange)) {
        while self.front_is_sent() {
            self.pop_front(now, done);
        }
        if self.sendable == 0 {
            self.request_bytes = 0;
        }
    }

    fn front_is_sent(&self) -> bool {
        let front = self.pending.front().filter(|_| self.sendable > 0).map(|pending| &pending.reply);
        matches!(front, Some(State::Ready(chunks)) if chunks.iter().all(Bytes::is_empty))
    }

    fn pop_front(&mut self, now: Duration, done: &mut dyn FnMut(Exchange)) {
        self.sendable -= 1;
        if let Some(exchange) = self.pending.pop_front().and_then(|pending| pending.exchange) {
            let ending = if exchange.response_bytes > 0 { Ending::Sent } else { Ending::NoReply };
            done(exchange.done(ending, now));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether a parked reply is not polled until earlier replies have been sent.
    pub fn has_deferred(&self) -> bool {
        self.has_deferred
    }

    /// Whether a reply can be sent.
    pub fn can_send(&self) -> bool {
        self.sendable > 0 && self.close_reason().is_none()
    }

    /// Whether all sendable replies were sent and the next one is parked.
    pub fn is_parked(&self) -> bool {
        self.sendable == 0 && !self.pending.is_empty()
    }

    /// Why the connection must be closed, if all earlier replies have been sent.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match self.pending.front().map(|pending| &pending.reply) {
            Some(State::Close(why)) => Some(why),
            _ => None,
        }
    }

    /// Whether the sendable replies must be sent before more requests are read.
    pub fn must_send(&self) -> bool {
        self.sendable > 0
            && (self.sendable >= SEND_AFTER_REPLIES
                || self.bytes >= SEND_AFTER_BYTES
                || self.request_bytes >= SEND_AFTER_REQUEST_BYTES)
    }

    /// Whether more requests may be read.
    pub fn has_room(&self) -> bool {
        let closing = matches!(self.pending.back(), Some(Pending { reply: State::Close(_), .. }));
        !closing
            && self.mute.is_zero()
            && self.pending.len() < MAX_IN_FLIGHT
            && self.bytes < MAX_WAITING_BYTES
            && !self.must_send()
    }

    /// Drops all pending replies. Calls `done` for their requests.
    pub fn clear(&mut self, clock: &Clock, done: &mut dyn FnMut(Exchange)) {
        let pending = std::mem::take(self).pending;
        if pending.is_empty() {
            return;
        }
        let now = clock.monotonic();
        // The futures are dropped before.
        let exchanges: Vec<Exchange> = pending.into_iter().filter_map(|pending| pending.exchange).collect();
        exchanges.into_iter().for_each(|exchange| done(exchange.done(Ending::Dropped, now)));
    }
}

static NO_CHUNKS: VecDeque<Bytes> = VecDeque::new();
