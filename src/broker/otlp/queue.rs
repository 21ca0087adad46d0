//! What waits for the collector.

use std::collections::VecDeque;

use ottla_otlp::{METRICS_PATH, TRACES_PATH, export_request};

/// Bytes that wait. What exceeds them is dropped.
const MAX_QUEUED_BYTES: usize = 8 << 20;
/// Spans that are sent together.
const MAX_BATCH_SPANS: usize = 512;
/// Bytes of metrics that are sent together, unless one client has pushed more.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Metrics,
    Traces,
}

impl Signal {
    pub fn name(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
        }
    }

    /// The path below the collector's endpoint.
    pub fn path(self) -> &'static str {
        match self {
            Signal::Metrics => METRICS_PATH,
            Signal::Traces => TRACES_PATH,
        }
    }
}

/// The queue has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A request to the collector.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    pub signal: Signal,
    pub items: u64,
    pub body: Vec<u8>,
}

/// Encoded messages that wait.
#[derive(Debug)]
pub struct Queue {
    resource: Vec<(&'static str, String)>,
    metrics: VecDeque<Vec<u8>>,
    spans: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Queue {
    /// `resource`: the attributes of the process, which its spans have.
    pub fn new(resource: Vec<(&'static str, String)>) -> Queue {
        Queue { resource, metrics: VecDeque::new(), spans: VecDeque::new(), bytes: 0 }
    }

    /// Adds a message. Returns whether the queue was empty or now has enough spans for a request.
    pub fn push(&mut self, signal: Signal, message: Vec<u8>) -> Result<bool, Full> {
        if self.bytes + message.len() > MAX_QUEUED_BYTES {
            return Err(Full);
        }
        let was_empty = self.metrics.is_empty() && self.spans.is_empty();
        self.bytes += message.len();
        match signal {
            Signal::Metrics => self.metrics.push_back(message),
            Signal::Traces => self.spans.push_back(message),
        }
        Ok(was_empty || self.spans.len() == MAX_BATCH_SPANS)
    }

    /// Whether there are only a few spans, which may wait for others.
    pub fn may_wait(&self) -> bool {
        self.metrics.is_empty() && (1..MAX_BATCH_SPANS).contains(&self.spans.len())
    }

    /// Takes what is to be sent next.
    pub fn take(&mut self) -> Option<Batch> {
        if let Some(first) = self.metrics.pop_front() {
            // Messages one after the other are one message with the values of all.
            let (mut body, mut items) = (first, 1);
            while let Some(next) = self.metrics.front()
                && body.len() + next.len() <= MAX_BATCH_BYTES
            {
                body.extend_from_slice(next);
                items += 1;
                self.metrics.pop_front();
            }
            self.bytes -= body.len();
            return Some(Batch { signal: Signal::Metrics, items, body });
        }
        if self.spans.is_empty() {
            return None;
        }
        let spans: Vec<_> = self.spans.drain(..self.spans.len().min(MAX_BATCH_SPANS)).collect();
        self.bytes -= spans.iter().map(Vec::len).sum::<usize>();
        let resource: Vec<_> = self.resource.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let body = export_request(&resource, spans.iter());
        Some(Batch { signal: Signal::Traces, items: spans.len() as u64, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_taken_together_up_to_a_size() {
        let mut queue = Queue::new(Vec::new());
        assert_eq!(queue.push(Signal::Metrics, vec![1; 3]), Ok(true));
        assert_eq!(queue.push(Signal::Metrics, vec![2; 2]), Ok(false));
        assert_eq!(queue.push(Signal::Metrics, vec![3; MAX_BATCH_BYTES]), Ok(false));
        assert!(!queue.may_wait());
        let batch = queue.take().unwrap();
        assert_eq!((batch.items, batch.body), (2, vec![1, 1, 1, 2, 2]));
        assert_eq!(queue.take().map(|batch| batch.body.len()), Some(MAX_BATCH_BYTES));
        assert_eq!((queue.take(), queue.bytes), (None, 0));
    }

    #[test]
    fn spans_wait_for_others_until_there_are_enough() {
        let mut queue = Queue::new(vec![("service.name", "s".to_owned())]);
        for number in 1..=MAX_BATCH_SPANS {
            let wakes = number == 1 || number == MAX_BATCH_SPANS;
            assert_eq!(queue.push(Signal::Traces, vec![1]), Ok(wakes));
            assert_eq!(queue.may_wait(), number < MAX_BATCH_SPANS);
        }
        assert_eq!(queue.take().map(|batch| batch.items), Some(MAX_BATCH_SPANS as u64));
        assert_eq!((queue.take(), queue.bytes), (None, 0));
    }

    #[test]
    fn full_queue_refuses_more() {
        let mut queue = Queue::new(Vec::new());
        assert_eq!(queue.push(Signal::Metrics, vec![0; MAX_QUEUED_BYTES]), Ok(true));
        assert_eq!(queue.push(Signal::Traces, vec![0]), Err(Full));
        queue.take();
        assert_eq!(queue.push(Signal::Traces, vec![0]), Ok(true));
    }
}
