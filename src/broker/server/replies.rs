//! The pending replies of a connection, in the order of its requests.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};

use super::dispatch::{CloseReason, Outcome, ParkedReply, Reply};
use super::memory::Reservation;

/// Requests of one connection that may be unanswered at a time. As many replies again can be owed to a
/// run of small requests that was read at once.
const MAX_IN_FLIGHT: usize = 64;
/// Known replies are sent before more is read once they are this many bytes,
const SEND_AFTER_BYTES: usize = 64 << 10;
/// or answer this many requests,
const SEND_AFTER_REPLIES: usize = 32;
/// or requests of this many bytes.
const SEND_AFTER_REQUEST_BYTES: usize = 256 << 10;
/// Replies that wait behind a parked one may take this much before reading stops.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// A bounded queue: [`ReplyQueue::has_room`] says when the connection must stop reading requests.
#[derive(Default)]
pub(super) struct ReplyQueue {
    owed: VecDeque<Owed>,
    /// How many of `owed`, from the front, are known and may be sent.
    known: usize,
    /// Bytes of the replies in `owed` that are there, sendable or not.
    bytes: usize,
    /// Bytes of requests taken since everything known was sent.
    request_bytes: usize,
    /// A parked reply was not polled because of what waits to be sent before it.
    held_back: bool,
}

struct Owed {
    reply: State,
    /// The request's share of the memory budget, held until its reply has been sent.
    _reservation: Option<Reservation>,
}

enum State {
    Parked(ParkedReply),
    Known(VecDeque<Bytes>),
    /// Nothing follows this one.
    Close(CloseReason),
}

impl ReplyQueue {
    /// Adds the outcome of a request of `request_bytes`.
    pub fn push(&mut self, outcome: Outcome, request_bytes: usize, reservation: Option<Reservation>) {
        let reply = match outcome {
            Outcome::Ready(reply) => self.known_reply(reply),
            Outcome::Parked(reply) => State::Parked(reply),
            Outcome::NoReply if self.owed.is_empty() => return,
            Outcome::NoReply => State::Known(VecDeque::new()),
            Outcome::Close(why) => State::Close(why),
        };
        self.request_bytes += request_bytes;
        self.owed.push_back(Owed { reply, _reservation: reservation });
    }

    fn known_reply(&mut self, reply: Reply) -> State {
        self.bytes += reply.iter().map(Bytes::len).sum::<usize>();
        State::Known(reply.into())
    }

    /// Awaits parked replies, each when all before it are known.
    ///
    /// Not while much waits to be sent: a parked reply may be built in memory when it is polled.
    pub fn poll_parked(&mut self, cx: &mut Context<'_>) {
        self.held_back = false;
        while let Some(owed) = self.owed.get_mut(self.known) {
            if let State::Parked(parked) = &mut owed.reply {
                if self.known > 0 && self.bytes >= MAX_WAITING_BYTES {
                    self.held_back = true;
                    return;
                }
                let Poll::Ready(result) = parked.as_mut().poll(cx) else { return };
                let reply = match result {
                    Ok(reply) => self.known_reply(reply),
                    Err(why) => State::Close(why),
                };
                if let State::Close(_) = reply {
                    self.owed.truncate(self.known + 1);
                }
                if let Some(owed) = self.owed.get_mut(self.known) {
                    owed.reply = reply;
                }
            }
            self.known += 1;
        }
        self.drop_sent();
    }

    /// Fills `slices` with what may be sent, and says how many it filled.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(self.chunks().filter(|chunk| !chunk.is_empty())) {
            *slice = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    /// What may be sent.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        let known = self.owed.iter().take(self.known);
        known.flat_map(|owed| match &owed.reply {
            State::Known(chunks) => chunks.iter(),
            _ => NOTHING.iter(),
        })
    }

    /// So many bytes have been sent.
    pub fn advance(&mut self, mut sent: usize) {
        self.bytes -= sent;
        while let Some(State::Known(chunks)) = self.owed.front_mut().map(|owed| &mut owed.reply) {
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
            self.pop_known();
        }
        self.drop_sent();
    }

    /// Drops what is known and has nothing left to send: replies that were sent, and empty ones.
    fn drop_sent(&mut self) {
        while self.known > 0
            && let Some(State::Known(chunks)) = self.owed.front().map(|owed| &owed.reply)
            && chunks.iter().all(Bytes::is_empty)
        {
            self.pop_known();
        }
        if self.known == 0 {
            self.request_bytes = 0;
        }
    }

    fn pop_known(&mut self) {
        self.owed.pop_front();
        self.known -= 1;
    }

    pub fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    /// Whether a parked reply waits to be polled until known ones have been sent.
    pub fn is_held_back(&self) -> bool {
        self.held_back
    }

    /// Whether there is something to send.
    pub fn has_known(&self) -> bool {
        self.known > 0 && self.close_reason().is_none()
    }

    /// Whether everything that could be sent has been, and the next reply is still to come.
    pub fn is_parked(&self) -> bool {
        self.known == 0 && !self.owed.is_empty()
    }

    /// Why to close the connection, once every reply before that has been sent.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match self.owed.front().map(|owed| &owed.reply) {
            Some(State::Close(why)) => Some(why),
            _ => None,
        }
    }

    /// Whether what is known should be sent before more requests are taken.
    pub fn must_send(&self) -> bool {
        self.known > 0
            && (self.known >= SEND_AFTER_REPLIES
                || self.bytes >= SEND_AFTER_BYTES
                || self.request_bytes >= SEND_AFTER_REQUEST_BYTES)
    }

    /// Whether more requests may be read.
    pub fn has_room(&self) -> bool {
        let closing = matches!(self.owed.back(), Some(Owed { reply: State::Close(_), .. }));
        !closing && self.owed.len() < MAX_IN_FLIGHT && self.bytes < MAX_WAITING_BYTES && !self.must_send()
    }

    /// Drops all pending replies.
    pub fn clear(&mut self) {
        *self = ReplyQueue::default();
    }
}

static NOTHING: VecDeque<Bytes> = VecDeque::new();
