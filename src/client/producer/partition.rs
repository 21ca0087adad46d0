//! A topic's partitions, and what waits in each to be sent.

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
    /// When its partitions were last asked for.
    pub known_since: Duration,
}

pub struct Partition<T> {
    /// Takes records; begun last.
    pub open: Option<Batch<T>>,
    /// Closed, in the order in which they are to be sent.
    pub queue: VecDeque<Batch<T>>,
    pub in_flight: usize,
    /// What had to be sent again waits until nothing of the partition is in flight, and until this time.
    pub retry_at: Option<Duration>,
    pub next_sequence: i32,
    /// Whether it is among the accumulator's active partitions.
    pub is_active: bool,
}

impl<T> Topic<T> {
    /// A topic without partitions; `seed` decides which one is first when it has them.
    pub fn new(name: Str, seed: u64, now: Duration) -> Topic<T> {
        Topic { name, partitions: Vec::new(), sticky: Sticky::new(seed), known_since: now }
    }

    /// The partition whose turn it is. Turns change when a batch is full, or was sent and enough was written.
    pub fn sticky_partition(&mut self, batch_size: usize) -> PartitionIndex {
        let partition = self.sticky.partition(self.partitions.len());
        let open = self.partitions.get(partition as usize).and_then(|partition| partition.open.as_ref());
        if open.is_some() || !self.sticky.has_had(batch_size) {
            return partition;
        }
        self.sticky.turn();
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
    /// Whether the batch that is being filled takes a record of that size; see [`NewRecord::size_upper_bound`].
    ///
    /// [`NewRecord::size_upper_bound`]: super::NewRecord::size_upper_bound
    pub fn has_room_for(&self, size: usize, limit: usize) -> bool {
        // The bound counts a batch's own header, which is there already.
        self.open.as_ref().is_some_and(|open| open.size() + size - BATCH_OVERHEAD <= limit)
    }

    /// Whether nothing waits to be sent.
    pub fn is_idle(&self) -> bool {
        self.open.is_none() && self.queue.is_empty()
    }

    /// Whether its first batch may go now.
    pub fn is_due(&mut self, now: Duration, options: &ProducerOptions, hurry: bool) -> bool {
        if self.retry_at.is_some() {
            if self.in_flight > 0 {
                return false;
            }
            if self.retry_at.is_some_and(|at| at > now) {
                return false;
            }
            self.retry_at = None;
        }
        self.due_at(options, hurry).is_some_and(|at| at <= now)
    }

    /// When its first batch may go.
    pub fn due_at(&self, options: &ProducerOptions, hurry: bool) -> Option<Duration> {
        match (self.retry_at, &self.open) {
            (Some(_), _) if self.in_flight > 0 => None,
            (Some(at), _) => Some(at),
            (None, _) if !self.queue.is_empty() => Some(Duration::ZERO),
            (None, Some(_)) if hurry => Some(Duration::ZERO),
            (None, Some(open)) => Some(open.created.saturating_add(options.linger)),
            (None, None) => None,
        }
    }

    /// The batch's number: what it was sent with before, or the next one.
    pub fn number(&mut self, batch: &Batch<T>, producer: ProducerIdEpoch) -> (ProducerIdEpoch, i32) {
        if let Some(sequence) = batch.sequence.filter(|(by, _)| *by == producer) {
            return sequence;
        }
        let base = self.next_sequence;
        self.next_sequence = sequence_after(base, batch.tokens.len());
        (producer, base)
    }

    /// Back among those that wait: behind what was sent before it and came back before it, and before the rest.
    pub fn put_back(&mut self, batch: Batch<T>) {
        let at = self.queue.iter().position(|other| other.attempts == 0).unwrap_or(self.queue.len());
        self.queue.insert(at, batch);
    }
}
