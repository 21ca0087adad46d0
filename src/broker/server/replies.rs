//! The pending replies of a connection, in the order of its requests.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::dispatch::{CloseReason, Outcome, ParkedReply, Reply, Then};
use super::memory::Reservation;

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
    /// Adds the outcome of a request of `request_bytes`.
    pub fn push(&mut self, outcome: Outcome, request_bytes: usize, reservation: Option<Reservation>) {
        let (reply, close) = match outcome {
            Outcome::Ready(reply) => self.known(reply),
            Outcome::Parked(reply) => (State::Parked(reply), None),
            Outcome::NoReply if self.pending.is_empty() => return,
            Outcome::NoReply => (State::Ready(VecDeque::new()), None),
            Outcome::Close(why) => (State::Close(why), None),
        };
        self.request_bytes += request_bytes;
        self.pending.push_back(Pending { reply, _reservation: reservation });
        self.close_after_last(close);
    }

    /// Counts a reply that is now known. Returns it, and why the connection is closed after it.
    fn known(&mut self, Reply { chunks, then }: Reply) -> (State, Option<CloseReason>) {
        self.bytes += chunks.iter().map(Bytes::len).sum::<usize>();
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
        let close = close.map(|why| Pending { reply: State::Close(why), _reservation: None });
        self.pending.extend(close);
    }

    /// For how long nothing may be read from now on, because of replies that became known since the last call.
    pub fn take_mute(&mut self) -> Duration {
        std::mem::take(&mut self.mute)
    }

    /// Polls the first parked reply, and the next ones as those before them become known.
    ///
    /// While many bytes wait to be sent, it polls none: a parked reply may be built in memory when it is polled.
    pub fn poll_parked(&mut self, cx: &mut Context<'_>) {
        self.has_deferred = false;
        while let Some(pending) = self.pending.get_mut(self.sendable) {
            if let State::Parked(parked) = &mut pending.reply {
                if self.sendable > 0 && self.bytes >= MAX_WAITING_BYTES {
                    self.has_deferred = true;
                    return;
                }
                let Poll::Ready(result) = parked.as_mut().poll(cx) else { return };
                let (reply, close) = match result {
                    Ok(reply) => self.known(reply),
                    Err(why) => (State::Close(why), None),
                };
                if close.is_some() || matches!(reply, State::Close(_)) {
                    self.pending.truncate(self.sendable + 1);
                }
                if let Some(pending) = self.pending.get_mut(self.sendable) {
                    pending.reply = reply;
                }
                self.close_after_last(close);
            }
            self.sendable += 1;
        }
        self.drop_sent();
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

    /// Removes the first `sent` bytes, which were sent.
    pub fn advance(&mut self, mut sent: usize) {
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
            self.pop_front();
        }
        self.drop_sent();
    }

    /// Removes sendable replies without bytes left: those that were sent, and empty ones.
    fn drop_sent(&mut self) {
        while self.sendable > 0
            && let Some(State::Ready(chunks)) = self.pending.front().map(|pending| &pending.reply)
            && chunks.iter().all(Bytes::is_empty)
        {
            self.pop_front();
        }
        if self.sendable == 0 {
            self.request_bytes = 0;
        }
    }

    fn pop_front(&mut self) {
        self.pending.pop_front();
        self.sendable -= 1;
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

    /// Drops all pending replies.
    pub fn clear(&mut self) {
        *self = ReplyQueue::default();
    }
}

static NO_CHUNKS: VecDeque<Bytes> = VecDeque::new();
