//! A topic's partitions, each with its queue of batches.

use std::collections::VecDeque;
use std::time::Duration;

use super::batch::{Batch, sequence_after};
use super::options::ProducerOptions;
use super::partitioner::Sticky;
use ottla_wire::codec::Str;
use ottla_wire::record::BATCH_OVERHEAD;
use ottla_wire::types::{PartitionIndex, ProducerIdEpoch};

pub struct Topic<T> {
    pub name: Str,
    pub partitions: Vec<Partition<T>>,
    pub sticky: Sticky,
    /// When its metadata was last refreshed.
    pub refreshed_at: Duration,
}

pub struct Partition<T> {
    /// The batch that records are appended to; the newest one.
    pub open: Option<Batch<T>>,
    /// Closed batches, in send order.
    pub queue: VecDeque<Batch<T>>,
    pub in_flight: usize,
    /// Retries wait until this time, and until nothing of the partition is in flight.
    pub retry_at: Option<Duration>,
    pub next_sequence: i32,
    /// Whether it is in the accumulator's list of active partitions.
    pub is_active: bool,
}

impl<T> Topic<T> {
    /// A topic without partitions yet; `seed` determines which partition comes first.
    pub fn new(name: Str, seed: u64, now: Duration) -> Topic<T> {
        Topic { name, partitions: Vec::new(), sticky: Sticky::new(seed), refreshed_at: now }
    }

    /// The current sticky partition. It changes when a batch is full, and when a batch was sent and at least
    /// `batch_size` bytes were written to the partition.
    pub fn sticky_partition(&mut self, batch_size: usize) -> PartitionIndex {
        let partition = self.sticky.partition(self.partitions.len());
        let open = self.partitions.get(partition as usize).and_then(|partition| partition.open.as_ref());
        if open.is_some() || !self.sticky.has_written(batch_size) {
            return partition;
        }
        self.sticky.switch();
        self.sticky.partition(self.partitions.len())
    }
}

impl<T> Default for Partition<T> {
    fn default() -> Partition<T> {
        Partition {
            open: None,
            queue: VecDeque::new(),
            in_flight: 0,
            retry_at: None,
            next_sequence: 0,
            is_active: false,
        }
    }
}

impl<T> Partition<T> {
    /// Whether a record of this size fits into the open batch; see [`NewRecord::size_upper_bound`].
    ///
    /// [`NewRecord::size_upper_bound`]: super::NewRecord::size_upper_bound
    pub fn has_room_for(&self, size: usize, limit: usize) -> bool {
        // The upper bound includes the batch header, which `open.size()` includes too.
        self.open.as_ref().is_some_and(|open| open.size() + size - BATCH_OVERHEAD <= limit)
    }

    /// Whether no batch waits to be sent.
    pub fn is_idle(&self) -> bool {
        self.open.is_none() && self.queue.is_empty()
    }

    /// Whether its first batch is due now.
    pub fn is_due(&mut self, now: Duration, options: &ProducerOptions, skip_linger: bool) -> bool {
        if self.retry_at.is_some() {
            if self.in_flight > 0 {
                return false;
            }
            if self.retry_at.is_some_and(|at| at > now) {
                return false;
            }
            self.retry_at = None;
        }
        self.due_at(options, skip_linger).is_some_and(|at| at <= now)
    }

    /// When its first batch is due.
    pub fn due_at(&self, options: &ProducerOptions, skip_linger: bool) -> Option<Duration> {
        match (self.retry_at, &self.open) {
            (Some(_), _) if self.in_flight > 0 => None,
            (Some(at), _) => Some(at),
            (None, _) if !self.queue.is_empty() => Some(Duration::ZERO),
            (None, Some(_)) if skip_linger => Some(Duration::ZERO),
            (None, Some(open)) => Some(open.created.saturating_add(options.linger)),
            (None, None) => None,
        }
    }

    /// Returns the batch's sequence: the one that it was sent with before, or the next one.
    pub fn assign_sequence(&mut self, batch: &Batch<T>, producer: ProducerIdEpoch) -> (ProducerIdEpoch, i32) {
        if let Some(sequence) = batch.sequence.filter(|(by, _)| *by == producer) {
            return sequence;
        }
        let base = self.next_sequence;
        self.next_sequence = sequence_after(base, batch.tokens.len());
        (producer, base)
    }

    /// Returns a batch to the queue: behind the retried batches that were sent before it, ahead of batches never sent.
    pub fn requeue(&mut self, batch: Batch<T>) {
        let at = self.queue.iter().position(|other| other.attempts == 0).unwrap_or(self.queue.len());
        self.queue.insert(at, batch);
    }
}
