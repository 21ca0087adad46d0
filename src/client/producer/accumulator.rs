//! Collects records into batches and batches into requests, assigns sequence numbers, and handles outcomes. Pure: the
//! caller passes the time and the broker's answers.
//!
//! Order: a partition's batches are sent in the order in which they were created. With idempotence each batch has a
//! sequence number and keeps it when it is retried, so that the broker can detect duplicates. When such a batch fails,
//! its numbers are missing: everything waits until the producer has a new id and counts from 0 again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::batch::{Batch, NewRecord};
use super::error::SendError;
use super::options::ProducerOptions;
use super::partition::{Partition, Topic};
use super::partitioner::partition_of_key;
use super::transaction::Transactions;
use ottla_wire::codec::Str;
use ottla_wire::record::BatchBuilder;
use ottla_wire::types::{ErrorCode, PartitionIndex, ProducerIdEpoch, TimestampMs};

/// Limit of the capacity that is allocated when a batch is created, in bytes.
const MAX_INITIAL_CAPACITY: usize = 64 << 10;

/// Whether a record can be appended now, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Ready(PartitionSlot),
    /// Metadata is needed first.
    UnknownTopic,
    /// A batch has to be delivered first.
    BufferFull,
}

/// A partition of a known topic, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionSlot {
    topic: usize,
    partition: usize,
}

/// The result of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Added,
    /// The record started a batch, which is due after `linger.ms`.
    BatchStarted,
    /// A batch is full and can be sent.
    BatchFull,
}

/// A batch to send; passed back to [`Accumulator::answered`] with its outcome.
pub struct Outgoing<T> {
    pub slot: PartitionSlot,
    pub topic: Str,
    pub partition: PartitionIndex,
    pub bytes: Bytes,
    pub batch: Batch<T>,
}

/// A batch that failed for good.
pub struct FailedBatch<T> {
    pub topic: Str,
    pub tokens: Vec<T>,
    pub error: SendError,
}

pub struct Accumulator<T> {
    options: ProducerOptions,
    topics: Vec<Topic<T>>,
    by_name: HashMap<Str, usize>,
    /// Partitions that may have something to send.
    active: VecDeque<PartitionSlot>,
    /// Memory of batches that are not delivered yet, in bytes.
    reserved: usize,
    /// Number of batches that are not delivered yet.
    pending: usize,
    /// The producer id and epoch for sequence numbers.
    producer: Option<ProducerIdEpoch>,
    /// Whether a batch with a sequence number failed: sequences restart with the next producer id.
    has_sequence_gap: bool,
    /// Whether batches are sent without lingering.
    flushing: bool,
    seed: u64,
    /// `None` for a producer without transactions.
    transactions: Option<Transactions>,
}

impl<T> Accumulator<T> {
    /// `seed` determines the first partition of each topic.
    pub fn new(options: ProducerOptions, seed: u64) -> Accumulator<T> {
        Accumulator {
            transactions: options.transactional_id.clone().map(Transactions::new),
            options,
            topics: Vec::new(),
            by_name: HashMap::new(),
            active: VecDeque::new(),
            reserved: 0,
            pending: 0,
            producer: None,
            has_sequence_gap: false,
            flushing: false,
            seed,
        }
    }

    /// Records a topic's number of partitions from Metadata.
    pub fn update_topic(&mut self, topic: &str, partitions: usize, now: Duration) {
        let at = match self.by_name.get(topic) {
            Some(at) => *at,
            None => {
                let name = Str::from(topic);
                self.by_name.insert(name.clone(), self.topics.len());
                self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                self.topics.push(Topic::new(name, self.seed, now));
                self.topics.len() - 1
            }
        };
        if let Some(topic) = self.topics.get_mut(at) {
            topic.refreshed_at = now;
            // A topic never loses partitions, but a recreated topic may have fewer. The broker then rejects the batches
            // that wait for a missing one.
            while topic.partitions.len() < partitions {
                topic.partitions.push(Partition::default());
            }
        }
    }

    /// Topics whose metadata is older than `metadata.max.age.ms`.
    pub fn stale_topics(&self, now: Duration) -> Vec<Str> {
        let is_stale = |topic: &&Topic<T>| now.saturating_sub(topic.refreshed_at) > self.options.metadata_max_age;
        self.topics.iter().filter(is_stale).map(|topic| topic.name.clone()).collect()
    }

    /// Chooses the record's partition and checks that there is memory for it.
    pub fn place(&mut self, record: &NewRecord<'_>) -> Result<Placement, SendError> {
        let size = record.size_upper_bound();
        if size > self.options.max_request_size {
            return Err(SendError::TooLarge { size, limit: self.options.max_request_size });
        }
        if size > self.options.buffer_memory {
            return Err(SendError::LargerThanBuffer { size });
        }
        if let Some(transactions) = &self.transactions {
            transactions.check_open()?;
        }
        let Some(at) = self.by_name.get(record.topic) else { return Ok(Placement::UnknownTopic) };
        let Some(topic) = self.topics.get_mut(*at) else { return Ok(Placement::UnknownTopic) };
        let count = topic.partitions.len();
        let index = match (record.partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) if !self.options.ignore_keys => partition_of_key(key, count) as PartitionIndex,
            _ => topic.sticky_partition(self.options.batch_size),
        };
        let partition = usize::try_from(index).ok().and_then(|at| Some((at, topic.partitions.get(at)?)));
        let Some((place, partition)) = partition else {
            return Err(SendError::NoPartition { topic: record.topic.to_owned(), partition: index, count });
        };
        let slot = PartitionSlot { topic: *at, partition: place };
        if partition.has_room_for(size, self.options.batch_size) {
            return Ok(Placement::Ready(slot));
        }
        let needed = size.max(self.options.batch_size);
        let fits = self.reserved.saturating_add(needed) <= self.options.buffer_memory || self.pending == 0;
        Ok(if fits { Placement::Ready(slot) } else { Placement::BufferFull })
    }

    /// Appends a record to the partition that [`Accumulator::place`] returned.
    pub fn append(
        &mut self,
        slot: PartitionSlot,
        record: &NewRecord<'_>,
        timestamp: TimestampMs,
        token: T,
        now: impl FnOnce() -> Duration,
    ) -> Appended {
        let limit = self.options.batch_size;
        let size = record.size_upper_bound();
        let Some(topic) = self.topics.get_mut(slot.topic) else { return Appended::Added };
        let Some(partition) = topic.partitions.get_mut(slot.partition) else { return Appended::Added };
        let mut done = Appended::Added;
        if !partition.has_room_for(size, limit)
            && let Some(full) = partition.open.take()
        {
            partition.queue.push_back(full);
            done = Appended::BatchFull;
        }
        let open = partition.open.get_or_insert_with(|| {
            let reserved = size.max(limit);
            self.reserved += reserved;
            self.pending += 1;
            let mut builder = BatchBuilder::new(self.options.codec).level(self.options.level);
            if self.transactions.is_some() {
                builder = builder.transactional();
            }
            Batch::new(builder.reserve(size.max(limit.min(MAX_INITIAL_CAPACITY))), now(), reserved)
        });
        let is_new = open.tokens.is_empty();
        let before = open.size();
        open.append(record, timestamp, token);
        let written = open.size() - before;
        // A batch is full if another record of this size does not fit.
        let is_full = !partition.has_room_for(size, limit);
        if is_full {
            partition.queue.extend(partition.open.take());
        }
        if !partition.is_active {
            partition.is_active = true;
            self.active.push_back(slot);
        }
        if record.partition.is_none() && (record.key.is_none() || self.options.ignore_keys) {
            topic.sticky.add_bytes(written);
            if is_full {
                topic.sticky.switch();
            }
        }
        match done {
            _ if is_full => Appended::BatchFull,
            Appended::Added if is_new => Appended::BatchStarted,
            done => done,
        }
    }
}

impl<T> Accumulator<T> {
    /// Takes the batches for the next request, at most one per partition.
    ///
    /// With idempotence nothing is due before there is a producer id, see [`Accumulator::needs_producer_id`].
    pub fn drain(&mut self, now: Duration) -> (Vec<Outgoing<T>>, Vec<FailedBatch<T>>) {
        let (mut outgoing, mut broken) = (Vec::new(), Vec::new());
        if self.needs_producer_id() {
            return (outgoing, Vec::new());
        }
        let mut size = 0;
        for _ in 0..self.active.len() {
            let Some(slot) = self.active.pop_front() else { break };
            let skip_linger = self.flushing || self.is_memory_low();
            let producer = self.producer;
            let options = &self.options;
            let Some(topic) = self.topics.get_mut(slot.topic) else { continue };
            let Some(partition) = topic.partitions.get_mut(slot.partition) else { continue };
            if partition.is_due(now, options, skip_linger) {
                if partition.queue.is_empty() {
                    partition.queue.extend(partition.open.take());
                }
                let next_size = partition.queue.front().map_or(0, Batch::size);
                if size > 0 && size + next_size > options.max_request_size {
                    self.active.push_front(slot);
                    break;
                }
                if let Some(mut batch) = partition.queue.pop_front() {
                    size += next_size;
                    batch.attempts += 1;
                    let sequence = producer.map(|producer| partition.assign_sequence(&batch, producer));
                    match batch.bytes(sequence) {
                        Ok(bytes) => {
                            partition.in_flight += 1;
                            let (topic, partition) = (topic.name.clone(), slot.partition as PartitionIndex);
                            outgoing.push(Outgoing { slot, topic, partition, bytes, batch });
                        }
                        Err(error) => broken.push((slot, batch, error)),
                    }
                }
            }
            match self.partition(slot) {
                Some(partition) if partition.is_idle() => partition.is_active = false,
                // Round-robin: the second_half partitions come first in the next request.
                _ => self.active.push_back(slot),
            }
        }
        let broken = broken.into_iter().map(|(slot, batch, error)| self.fail_batch(slot, batch, error)).collect();
        (outgoing, broken)
    }

    /// When the next batch is due.
    pub fn next_due(&self) -> Option<Duration> {
        let skip_linger = self.flushing || self.is_memory_low();
        let due = self.active.iter().filter_map(|slot| {
            let partition = self.topics.get(slot.topic)?.partitions.get(slot.partition)?;
            partition.due_at(&self.options, skip_linger)
        });
        due.min()
    }

    /// Fails the batches that waited longer than `delivery.timeout.ms`.
    pub fn expire(&mut self, now: Duration) -> Vec<FailedBatch<T>> {
        let timeout = self.options.delivery_timeout;
        let is_expired = |batch: &Batch<T>| now.saturating_sub(batch.created) >= timeout;
        let mut expired = Vec::new();
        for slot in &self.active {
            let topic = self.topics.get_mut(slot.topic);
            let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(slot.partition)) else { continue };
            while partition.queue.front().is_some_and(is_expired) {
                expired.extend(partition.queue.pop_front().map(|batch| (*slot, batch)));
            }
            if let Some(batch) = partition.open.take_if(|batch| is_expired(batch)) {
                expired.push((*slot, batch));
            }
        }
        let expire = |(slot, batch): (PartitionSlot, Batch<T>)| {
            let error = SendError::Expired {
                topic: self.topics.get(slot.topic).map(|topic| topic.name.to_string()).unwrap_or_default(),
                partition: slot.partition as PartitionIndex,
                records: batch.tokens.len(),
                after: timeout,
            };
            self.fail_batch(slot, batch, error)
        };
        expired.into_iter().map(expire).collect()
    }

    /// Handles the outcome of a batch. Returns its tokens if it was stored, an error if it failed, `None` if it is retried.
    pub fn answered(
        &mut self,
        sent: Outgoing<T>,
        outcome: Result<(), SendError>,
        now: Duration,
    ) -> Option<Result<Vec<T>, FailedBatch<T>>> {
        let Outgoing { slot, mut batch, .. } = sent;
        let retries = self.options.retries;
        let in_time = now.saturating_sub(batch.created) < self.options.delivery_timeout;
        let backoff = self.options.retry_backoff;
        let partition = self.partition(slot)?;
        partition.in_flight = partition.in_flight.saturating_sub(1);
        let error = match outcome {
            Ok(()) => {
                self.release(&batch);
                return Some(Ok(batch.tokens));
            }
            Err(error) => error,
        };
        // Batches behind a retried batch are out of order and are retried after it.
        let follows = error.code() == ErrorCode::OutOfOrderSequenceNumber && partition.retry_at.is_some();
        let retry = (error.is_retriable() && batch.attempts <= retries || follows) && in_time;
        // A batch that is too large is split in two.
        let split = error.code() == ErrorCode::MessageTooLarge && batch.tokens.len() > 1 && in_time;
        if retry || split {
            let second_half = if split { batch.split(self.options.codec, self.options.level) } else { None };
            if split && second_half.is_none() {
                return Some(Err(self.fail_batch(slot, batch, error)));
            }
            self.pending += usize::from(second_half.is_some());
            let partition = self.partition(slot)?;
            for batch in [Some(batch), second_half].into_iter().flatten() {
                partition.requeue(batch);
            }
            partition.retry_at = Some(if split { now } else { now + backoff });
            if !partition.is_active {
                partition.is_active = true;
                self.active.push_back(slot);
            }
            return None;
        }
        Some(Err(self.fail_batch(slot, batch, error)))
    }

    /// Whether a producer id is needed before more batches can be sent. Call [`Accumulator::set_producer_id`] once nothing is
    /// in flight.
    pub fn needs_producer_id(&self) -> bool {
        // A transactional producer gets its id when its transactions are initialized.
        let wanted = self.options.idempotence && self.pending > 0 && self.transactions.is_none();
        wanted && (self.producer.is_none() || self.has_sequence_gap)
    }

    /// Sets the producer id and restarts all sequences at 0.
    pub fn set_producer_id(&mut self, producer: ProducerIdEpoch) {
        self.producer = Some(producer);
        self.has_sequence_gap = false;
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.next_sequence = 0;
        }
    }

    pub fn transactions_mut(&mut self) -> Option<&mut Transactions> {
        self.transactions.as_mut()
    }

    /// Whether a batch with a sequence number failed since the producer got its id.
    pub fn has_sequence_gap(&self) -> bool {
        self.has_sequence_gap
    }

    /// Fails every batch that isn't in flight if their transaction has failed.
    pub fn fail_with_transaction(&mut self) -> Vec<FailedBatch<T>> {
        match self.transactions.as_ref().and_then(Transactions::error).cloned() {
            Some(error) => self.fail_all(&error),
            None => Vec::new(),
        }
    }

    /// Whether every batch was delivered or failed.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Turns sending without lingering on or off.
    pub fn set_flushing(&mut self, flushing: bool) {
        self.flushing = flushing;
    }

    /// Fails every batch that isn't in flight.
    pub fn fail_all(&mut self, error: &SendError) -> Vec<FailedBatch<T>> {
        let mut all = Vec::new();
        for slot in std::mem::take(&mut self.active) {
            let Some(partition) = self.partition(slot) else { continue };
            partition.is_active = false;
            let batches: Vec<_> = partition.queue.drain(..).chain(partition.open.take()).collect();
            all.extend(batches.into_iter().map(|batch| self.fail_batch(slot, batch, error.clone())));
        }
        all
    }

    fn partition(&mut self, slot: PartitionSlot) -> Option<&mut Partition<T>> {
        self.topics.get_mut(slot.topic)?.partitions.get_mut(slot.partition)
    }

    /// Whether another batch would exceed `buffer.memory`.
    fn is_memory_low(&self) -> bool {
        self.reserved.saturating_add(self.options.batch_size) > self.options.buffer_memory
    }

    fn fail_batch(&mut self, slot: PartitionSlot, batch: Batch<T>, error: SendError) -> FailedBatch<T> {
        self.has_sequence_gap |= batch.sequence.is_some();
        if let Some(transactions) = &mut self.transactions {
            transactions.fail(&error);
        }
        self.release(&batch);
        let topic = self.topics.get(slot.topic).map(|topic| topic.name.clone()).unwrap_or_default();
        FailedBatch { topic, tokens: batch.tokens, error }
    }

    fn release(&mut self, batch: &Batch<T>) {
        self.reserved = self.reserved.saturating_sub(batch.reserved);
        self.pending = self.pending.saturating_sub(1);
    }
}
