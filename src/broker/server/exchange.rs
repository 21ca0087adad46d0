//! What is known of a request when it is done: its sizes, its times, and what became of its reply.
//!
//! Every request passes here once: those with a reply, known at once or parked, those without one, and those whose
//! connection is closed before.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::dispatch::{CloseReason, Then};
use super::excerpt::{Excerpt, Excerpts};

/// The bytes of a frame that an [`Exchange`] has.
const HEAD: usize = 8;

/// The time of what has not happened yet.
const NOT_YET: Duration = Duration::MAX;

/// A request that is done.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// How many requests of the same connection were dispatched before this one.
    pub number: u64,
    /// The first bytes of the frame; `None` if it is shorter.
    pub head: Option<[u8; HEAD]>,
    /// Whether the client had yet to authenticate when the request was dispatched.
    pub authenticating: bool,
    /// Bytes of the frame, without the size prefix.
    pub request_bytes: usize,
    /// Bytes of the reply, with the size prefix.
    pub response_bytes: usize,
    pub ending: Ending,
    pub times: Times,
    /// For how long the connection was muted because of this request.
    pub throttled: Duration,
    /// Why the broker closed the connection because of this request, if it has no reply.
    pub refused: Option<CloseReason>,
    /// Parts of the frames, if [`Dispatch::excerpts`](super::Dispatch::excerpts) asked for them.
    pub excerpts: Option<Arc<Excerpts>>,
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of it was sent.
    Sent,
    /// The request has none.
    NoReply,
    /// It was not sent completely, because the connection was closed.
    Dropped,
}

/// Monotonic times of a request. None is before the one above it.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The first request that was read together with this one was complete.
    pub arrived: Duration,
    /// The handler was called.
    pub dispatched: Duration,
    /// The handler returned.
    pub returned: Duration,
    /// The reply was known. The time when the handler returned, unless the reply was parked.
    pub known: Duration,
    /// The call began that sent the reply's first bytes.
    pub sending: Duration,
    /// The request was done.
    pub done: Duration,
}

impl Times {
    /// The times of a request that is about to be dispatched.
    pub(super) fn begin(arrived: Duration, dispatched: Duration) -> Times {
        Times { arrived, dispatched, returned: NOT_YET, known: NOT_YET, sending: NOT_YET, done: NOT_YET }
    }

    /// The time in which requests read together with this one were handled first (Kafka's request queue).
    pub fn queued(&self) -> Duration {
        self.dispatched.saturating_sub(self.arrived)
    }

    /// The time in the handler.
    pub fn local(&self) -> Duration {
        self.returned.saturating_sub(self.dispatched)
    }

    /// The time for which the reply was parked, for example until there were enough records.
    pub fn remote(&self) -> Duration {
        self.known.saturating_sub(self.returned)
    }

    /// The time in which the known reply waited for earlier ones (Kafka's response queue).
    pub fn response_queued(&self) -> Duration {
        self.sending.saturating_sub(self.known)
    }

    /// The time from the first call that sent the reply to the end of the last one.
    pub fn send(&self) -> Duration {
        self.done.saturating_sub(self.sending)
    }

    pub fn total(&self) -> Duration {
        self.done.saturating_sub(self.arrived)
    }
}

impl Exchange {
    /// Begins with a frame that is about to be dispatched.
    pub(super) fn begin(
        number: u64,
        frame: &[u8],
        authenticating: bool,
        excerpts: Option<Arc<Excerpts>>,
        times: Times,
    ) -> Exchange {
        Exchange {
            number,
            head: frame.first_chunk().copied(),
            authenticating,
            request_bytes: frame.len(),
            response_bytes: 0,
            ending: Ending::Dropped,
            times,
            throttled: Duration::ZERO,
            refused: None,
            excerpts,
        }
    }

    /// Notes a reply that is now known.
    pub(super) fn reply_known(&mut self, chunks: &[Bytes], bytes: usize, then: &Then, now: Duration) {
        self.response_bytes = bytes;
        self.times.known = now;
        if let Then::Mute(time) = then {
            self.throttled = *time;
        }
        if let Some(excerpts) = self.excerpts.as_mut().and_then(Arc::get_mut) {
            excerpts.reply = Excerpt::of_reply(chunks, excerpts.reply_limit);
        }
    }

    /// Notes the beginning of a call that sends a part of the reply.
    pub(super) fn sending(&mut self, now: Duration) {
        if self.times.sending == NOT_YET {
            self.times.sending = now;
        }
    }

    /// The exchange as it is reported.
    pub(super) fn done(mut self, ending: Ending, now: Duration) -> Exchange {
        self.ending = ending;
        let times = &mut self.times;
        for time in [&mut times.returned, &mut times.known, &mut times.sending] {
            if *time == NOT_YET {
                *time = now;
            }
        }
        times.done = now;
        self
    }
}
