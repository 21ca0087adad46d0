//! The live trace: what each client said, what was answered, and how long it took.
//!
//! A [`TraceHub`] gets every request when it is done. It keeps the last ones in a ring of bounded size, and passes new ones
//! to its followers through bounded queues: a slow follower gets gaps, and no client ever waits. While there is neither a
//! ring nor a follower, a request costs one relaxed read.
//!
//! What is kept of a request is a part of its frames; it is decoded when it is read, by the schemas. `json` decides what is
//! shown.

mod cursor;
mod event;
mod filter;
mod json;
mod message;
mod queue;
mod ring;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

pub use event::{Event, Shown};
pub use filter::Filter;
pub use queue::Item;

use crate::server::{ConnectionInfo, Excerpts, Exchange};
use ottla_core::security::session::Expected;
use ottla_wire::protocol::ApiKey;
use ottla_wire::types::TimestampMs;
use queue::Queue;
use ring::Ring;

/// Bytes that are kept of a request, and of its response, for the ring.
const RING_EXCERPT: usize = 512;
/// The same while somebody follows.
const FOLLOWED_EXCERPT: usize = 16 << 10;
/// The number of concurrent followers.
const MAX_FOLLOWERS: usize = 8;

/// Passes on the requests of all connections.
#[derive(Debug)]
pub struct TraceHub {
    /// Bytes that are kept of a request and of its response; 0 while the trace is off.
    excerpt: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` if it has no bytes.
    ring: Option<Ring>,
    followers: Vec<Arc<Queue>>,
    closed: bool,
}

/// A follower. Dropping it ends it.
#[derive(Debug)]
pub struct Follower {
    hub: Arc<TraceHub>,
    queue: Arc<Queue>,
}

impl TraceHub {
    /// Creates a hub with a ring of this size; without a ring if that is 0.
    pub fn new(ring_bytes: usize) -> Arc<TraceHub> {
        let ring = (ring_bytes > 0).then(|| Ring::new(ring_bytes));
        let state = State { ring, followers: Vec::new(), closed: false };
        let excerpt = AtomicUsize::new(state.excerpt());
        Arc::new(TraceHub { excerpt, state: Mutex::new(state) })
    }

    /// What is kept of a request, and how much of its response.
    pub fn excerpts(&self, connection: &ConnectionInfo, frame: &[u8]) -> Option<Arc<Excerpts>> {
        let limit = self.excerpt.load(Ordering::Relaxed);
        (limit > 0).then(|| {
            let request = match is_request(connection, frame) {
                true => message::excerpt_of_request(frame, limit),
                false => Default::default(),
            };
            Arc::new(Excerpts { request, reply_limit: limit, ..Excerpts::default() })
        })
    }

    /// Notes a request that is done. Only one with excerpts is traced.
    pub fn done(&self, now: impl FnOnce() -> TimestampMs, connection: &Arc<ConnectionInfo>, exchange: &Exchange) {
        if exchange.excerpts.is_none() {
            return;
        }
        let (at, failed) = (now(), event::has_failed(exchange));
        let (is_kept, is_followed) = {
            let mut state = self.state.lock();
            (state.ring.as_mut().is_some_and(|ring| ring.admits(at, failed)), !state.followers.is_empty())
        };
        if !is_kept && !is_followed {
            return;
        }
        let event = Arc::new(Event::new(at, connection, exchange, failed));
        let mut state = self.state.lock();
        for queue in &state.followers {
            queue.push(&event);
        }
        if let Some(ring) = state.ring.as_mut().filter(|_| is_kept) {
            ring.push(event);
        }
    }

    /// The requests in the ring that were done since a time, the oldest first.
    pub fn since(&self, time: TimestampMs) -> Vec<Item> {
        self.state.lock().ring.as_ref().map(|ring| ring.since(time)).unwrap_or_default()
    }

    /// Forgets the requests in the ring.
    pub fn clear(&self) {
        if let Some(ring) = &mut self.state.lock().ring {
            ring.clear();
        }
    }

    /// Whether there is a ring.
    pub fn has_ring(&self) -> bool {
        self.state.lock().ring.is_some()
    }

    /// Adds a follower, which gets the events from now on; and returns those of the ring since a time, if one is given.
    /// `None` if there are too many followers, or the broker stops.
    pub fn follow(self: &Arc<Self>, filter: Filter, since: Option<TimestampMs>) -> Option<(Vec<Item>, Follower)> {
        let queue = Arc::new(Queue::new(filter));
        let mut state = self.state.lock();
        if state.closed || state.followers.len() >= MAX_FOLLOWERS {
            return None;
        }
        state.followers.push(Arc::clone(&queue));
        self.excerpt.store(state.excerpt(), Ordering::Relaxed);
        let before = since.and_then(|time| state.ring.as_ref().map(|ring| ring.since(time)));
        Some((before.unwrap_or_default(), Follower { hub: Arc::clone(self), queue }))
    }

    /// Ends all followers, because the broker stops.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.followers.iter().for_each(|queue| queue.close());
    }
}

impl State {
    fn excerpt(&self) -> usize {
        match (&self.followers[..], &self.ring) {
            ([], None) => 0,
            ([], Some(_)) => RING_EXCERPT,
            _ => FOLLOWED_EXCERPT,
        }
    }
}

impl Follower {
    /// The next item; waits for it. `None`: the broker stops.
    pub async fn next(&self) -> Option<Item> {
        self.queue.next().await
    }
}

impl Follower {
    /// The next item, if there is one.
    pub fn try_next(&self) -> Option<Item> {
        self.queue.try_next()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.hub.state.lock();
        state.followers.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.hub.excerpt.store(state.excerpt(), Ordering::Relaxed);
    }
}

/// Whether a frame is a request with a header, and not a message of SASL alone, whose every byte may be a secret.
fn is_request(connection: &ConnectionInfo, frame: &[u8]) -> bool {
    let Some(session) = &connection.sasl else { return true };
    let key = frame.first_chunk().map(|key| i16::from_be_bytes(*key)).and_then(ApiKey::from_code);
    match session.lock().expected() {
        Expected::Request => true,
        Expected::Handshake => matches!(key, Some(ApiKey::ApiVersions | ApiKey::SaslHandshake)),
        Expected::Authenticate => key == Some(ApiKey::SaslAuthenticate),
        Expected::Token | Expected::Nothing => false,
    }
}
