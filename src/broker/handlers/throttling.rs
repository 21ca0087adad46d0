//! Throttling by client quotas (Kafka's `RequestHandlerHelper` and `ClientQuotaManager`).
//!
//! When a response is known, what the request used is counted: bytes of Produce requests and Fetch responses, changed
//! partitions, and the time in handlers. A client above a quota gets its response at once, with the throttle time, and
//! its connection is muted for that time (KIP-219, in all versions as in today's Kafka). Of several throttle times the
//! longest counts.
//!
//! The handler time, which `request_percentage` limits, is the time that this broker's threads spent on a request from
//! its decoding until its response was known, without waiting. 100 % is one thread that does nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use super::context::{Answer, Context};
use crate::clock::Clock;
use crate::server::{Outcome, Reply, Then};
use crate::state::quotas::{Quotas, RequestMutations};
use ottla_core::security::quota::QuotaType;
use ottla_wire::protocol::{ApiKey, Response};

/// What is measured of one request.
#[derive(Debug)]
pub(super) struct Metering {
    clock: Clock,
    request_bytes: usize,
    /// The handler time up to the last pause, in nanoseconds.
    spent: AtomicU64,
    /// When the handler began or continued, in nanoseconds; [`NOT_MEASURED`] without a quota on its time.
    running_since: AtomicU64,
}

const NOT_MEASURED: u64 = u64::MAX;

impl Metering {
    /// Begins to measure a request of this size, if there are quotas.
    pub fn begin(quotas: &Quotas, clock: Clock, request_bytes: usize) -> Option<Arc<Metering>> {
        if !quotas.is_active() {
            return None;
        }
        let running_since = match quotas.is_active_for(QuotaType::Request) {
            true => nanos(clock.monotonic()),
            false => NOT_MEASURED,
        };
        let (spent, running_since) = (AtomicU64::new(0), AtomicU64::new(running_since));
        Some(Arc::new(Metering { clock, request_bytes, spent, running_since }))
    }

    fn is_timed(&self) -> bool {
        self.running_since.load(Ordering::Relaxed) != NOT_MEASURED
    }

    fn resume(&self) {
        self.running_since.store(nanos(self.clock.monotonic()), Ordering::Relaxed);
    }

    fn pause(&self) {
        self.spent.store(nanos(self.handler_time()), Ordering::Relaxed);
    }

    /// The handler time so far. Zero without a quota on it.
    fn handler_time(&self) -> Duration {
        if !self.is_timed() {
            return Duration::ZERO;
        }
        let running = nanos(self.clock.monotonic()).saturating_sub(self.running_since.load(Ordering::Relaxed));
        Duration::from_nanos(self.spent.load(Ordering::Relaxed).saturating_add(running))
    }
}

/// How a client is throttled for its changes of topics.
pub(super) struct Mutations(pub Option<Arc<RequestMutations>>);

impl Mutations {
    /// The value for the response's field.
    pub fn throttle_ms(&self) -> i32 {
        self.0.as_ref().map_or(0, |mutations| milliseconds(mutations.throttle_ms()))
    }
}

/// An answer whose future counts its handler time, if that is measured.
pub(super) fn measured(context: &Context, answer: Answer) -> Answer {
    match (&context.metering, answer) {
        (Some(metering), Answer::Parked(future)) if metering.is_timed() => {
            metering.pause();
            Answer::Parked(Box::pin(Timed { future, metering: Arc::clone(metering) }))
        }
        (_, answer) => answer,
    }
}

/// Counts what a request used when its response is known. Sets the throttle time in the response, and returns for how
/// long the connection is muted.
pub(super) fn mute(context: &Context, response: &mut Response) -> Then {
    let Some(metering) = &context.metering else { return Then::Continue };
    let (quotas, client) = (context.broker.quotas(), context.client());
    let throttle_ms = match response.key() {
        // Fetch is measured before its session is updated, see `fetched`. Kafka exempts WriteTxnMarkers.
        ApiKey::Fetch | ApiKey::WriteTxnMarkers => 0,
        ApiKey::Produce => {
            quotas.produced(client, metering.request_bytes).max(quotas.handled(client, metering.handler_time()))
        }
        _ => quotas.handled(client, metering.handler_time()),
    };
    let mut throttle_ms = milliseconds(throttle_ms);
    if let Some(field) = response.throttle_time_ms() {
        // The handler has set it if a quota of its own was exceeded.
        throttle_ms = throttle_ms.max(*field);
        *field = throttle_ms;
    }
    mute_for(throttle_ms)
}

/// Counts a request without a response (Produce with acks 0). As in Kafka, its handler time does not count.
pub(super) fn without_reply(context: &Context) -> Outcome {
    let Some(metering) = &context.metering else { return Outcome::NoReply };
    let throttle_ms = context.broker.quotas().produced(context.client(), metering.request_bytes);
    match mute_for(milliseconds(throttle_ms)) {
        Then::Continue => Outcome::NoReply,
        then => Outcome::Ready(Reply { chunks: Vec::new(), then }),
    }
}

/// Counts a Fetch response and the handler time of its request. Returns for how many milliseconds the client is
/// throttled: then the bytes do not count, because it gets an empty response.
pub(super) fn fetched(context: &Context, response_bytes: impl FnOnce() -> usize) -> i32 {
    let Some(metering) = &context.metering else { return 0 };
    let (quotas, client) = (context.broker.quotas(), context.client());
    let for_time = quotas.handled(client, metering.handler_time());
    let bytes = if quotas.is_active_for(QuotaType::Fetch) { response_bytes() } else { 0 };
    milliseconds(quotas.fetched(client, bytes, for_time))
}

fn mute_for(throttle_ms: i32) -> Then {
    match u64::try_from(throttle_ms) {
        Ok(0) | Err(_) => Then::Continue,
        Ok(milliseconds) => Then::Mute(Duration::from_millis(milliseconds)),
    }
}

fn milliseconds(throttle_ms: i64) -> i32 {
    i32::try_from(throttle_ms).unwrap_or(i32::MAX)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NOT_MEASURED - 1)
}

/// The future of a response, with the time of its polls counted.
struct Timed {
    future: Pin<Box<dyn Future<Output = Response> + Send>>,
    metering: Arc<Metering>,
}

impl Future for Timed {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Response> {
        self.metering.resume();
        let result = self.future.as_mut().poll(cx);
        if result.is_pending() {
            self.metering.pause();
        }
        result
    }
}
