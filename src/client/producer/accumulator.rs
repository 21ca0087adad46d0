//! Records become batches here, and batches requests: what is sent next, numbered how, and what becomes of it. Pure:
//! it is told the time, and what the broker answered.
//!
//! Order: a partition's batches are sent in the order in which they were begun. With idempotence each has a sequence
//! number, and a batch that has to be sent again keeps it, so that the broker can tell; when a numbered batch is given
//! up, its number is missing, and everything waits until the producer has a new id and begins to count again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::batch::{Batch, NewRecord};
use super::error::SendError;
use super::options::ProducerOptions;
use super::partition::{Partition, Topic};
use super::partitioner::partition_of_key;
use ottla_wire::codec::Str;
use ottla_wire::record::BatchBuilder;
use ottla_wire::types::{ErrorCode, PartitionIndex, ProducerIdEpoch, TimestampMs};

/// Room made for a batch at once, at most.
const MOST_ROOM: usize = 64 << 10;

/// Where a record will be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    At(Spot),
    /// Metadata is needed first.
    UnknownTopic,
    /// Something has to be delivered first.
    NoRoom,
}

/// A partition of a known topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    topic: usize,
    partition: usize,
}

/// What the sender should know about an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Quietly,
    /// A batch was begun, whose time will come.
    Began,
    /// A batch is full and can go.
    Filled,
}

/// A batch to send, and afterwards to report on.
pub struct Outgoing<T> {
    pub spot: Spot,
    pub topic: Str,
    pub partition: PartitionIndex,
    pub bytes: Bytes,
    pub batch: Batch<T>,
}

/// A batch that was given up.
pub struct GivenUp<T> {
    pub topic: Str,
    pub tokens: Vec<T>,
    pub error: SendError,
}

pub struct Accumulator<T> {
    options: ProducerOptions,
    topics: Vec<Topic<T>>,
    by_name: HashMap<Str, usize>,
    /// Partitions that may have something to send.
    active: VecDeque<Spot>,
    /// Bytes of batches not delivered yet.
    reserved: usize,
    /// Batches that are not delivered yet.
    pending: usize,
    /// In whose name batches are numbered.
    producer: Option<ProducerIdEpoch>,
    /// A numbered batch was given up: numbers begin again with the next producer id.
    numbers_are_broken: bool,
    /// Everything goes without waiting for more records.
    hurry: bool,
    seed: u64,
}

impl<T> Accumulator<T> {
    /// `seed` decides which partitions come first.
    pub fn new(options: ProducerOptions, seed: u64) -> Accumulator<T> {
        Accumulator {
            options,
            topics: Vec::new(),
            by_name: HashMap::new(),
            active: VecDeque::new(),
            reserved: 0,
            pending: 0,
            producer: None,
            numbers_are_broken: false,
            hurry: false,
            seed,
        }
    }

    /// What Metadata said of a topic.
    pub fn learn(&mut self, topic: &str, partitions: usize, now: Duration) {
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
            topic.known_since = now;
            // Partitions of a topic never become fewer; one that was made anew under its name may have fewer, and
            // what waits for one that isn't there any more is refused by the broker.
            while topic.partitions.len() < partitions {
                topic.partitions.push(Partition::default());
            }
        }
    }

    /// Topics whose metadata is older than `metadata.max.age.ms`.
    pub fn stale(&self, now: Duration) -> Vec<Str> {
        let is_stale = |topic: &&Topic<T>| now.saturating_sub(topic.known_since) > self.options.metadata_max_age;
        self.topics.iter().filter(is_stale).map(|topic| topic.name.clone()).collect()
    }

    /// Where the record goes, if it can be taken now.
    pub fn place(&mut self, record: &NewRecord<'_>) -> Result<Place, SendError> {
        let size = record.size_upper_bound();
        if size > self.options.max_request_size {
            return Err(SendError::TooLarge { size, limit: self.options.max_request_size });
        }
        if size > self.options.buffer_memory {
            return Err(SendError::LargerThanBuffer { size });
        }
        let Some(at) = self.by_name.get(record.topic) else { return Ok(Place::UnknownTopic) };
        let Some(topic) = self.topics.get_mut(*at) else { return Ok(Place::UnknownTopic) };
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
        let spot = Spot { topic: *at, partition: place };
        if partition.has_room_for(size, self.options.batch_size) {
            return Ok(Place::At(spot));
        }
        let needed = size.max(self.options.batch_size);
        let fits = self.reserved.saturating_add(needed) <= self.options.buffer_memory || self.pending == 0;
        Ok(if fits { Place::At(spot) } else { Place::NoRoom })
    }

    /// Adds the record at the place found for it just now.
    pub fn append(
        &mut self,
        spot: Spot,
        record: &NewRecord<'_>,
        timestamp: TimestampMs,
        token: T,
        now: impl FnOnce() -> Duration,
    ) -> Appended {
        let limit = self.options.batch_size;
        let size = record.size_upper_bound();
        let Some(topic) = self.topics.get_mut(spot.topic) else { return Appended::Quietly };
        let Some(partition) = topic.partitions.get_mut(spot.partition) else { return Appended::Quietly };
        let mut done = Appended::Quietly;
        if !partition.has_room_for(size, limit)
            && let Some(full) = partition.open.take()
        {
            partition.queue.push_back(full);
            done = Appended::Filled;
        }
        let open = partition.open.get_or_insert_with(|| {
            let reserved = size.max(limit);
            self.reserved += reserved;
            self.pending += 1;
            let builder = BatchBuilder::new(self.options.codec).level(self.options.level);
            Batch::new(builder.room_for(size.max(limit.min(MOST_ROOM))), now(), reserved)
        });
        let is_new = open.tokens.is_empty();
        let before = open.size();
        open.append(record, timestamp, token);
        let written = open.size() - before;
        // Full is what has no room for another record like this one.
        let is_full = !partition.has_room_for(size, limit);
        if is_full {
            partition.queue.extend(partition.open.take());
        }
        if !partition.is_active {
            partition.is_active = true;
            self.active.push_back(spot);
        }
        if record.partition.is_none() && (record.key.is_none() || self.options.ignore_keys) {
            topic.sticky.wrote(written);
            if is_full {
                topic.sticky.turn();
            }
        }
        match done {
            _ if is_full => Appended::Filled,
            Appended::Quietly if is_new => Appended::Began,
            done => done,
        }
    }
}

impl<T> Accumulator<T> {
    /// Batches for the next request, at most one a partition; none if nothing is due.
    ///
    /// With idempotence nothing is until there is a producer id, see [`Accumulator::needs_producer`].
    pub fn drain(&mut self, now: Duration) -> (Vec<Outgoing<T>>, Vec<GivenUp<T>>) {
        let (mut outgoing, mut broken) = (Vec::new(), Vec::new());
        if self.needs_producer() {
            return (outgoing, Vec::new());
        }
        let mut size = 0;
        for _ in 0..self.active.len() {
            let Some(spot) = self.active.pop_front() else { break };
            let hurry = self.hurry || self.is_short_of_room();
            let numbered_by = self.producer;
            let options = &self.options;
            let Some(topic) = self.topics.get_mut(spot.topic) else { continue };
            let Some(partition) = topic.partitions.get_mut(spot.partition) else { continue };
            if partition.is_due(now, options, hurry) {
                if partition.queue.is_empty() {
                    partition.queue.extend(partition.open.take());
                }
                let next_size = partition.queue.front().map_or(0, Batch::size);
                if size > 0 && size + next_size > options.max_request_size {
                    self.active.push_front(spot);
                    break;
                }
                if let Some(mut batch) = partition.queue.pop_front() {
                    size += next_size;
                    batch.attempts += 1;
                    let sequence = numbered_by.map(|producer| partition.number(&batch, producer));
                    match batch.bytes(sequence) {
                        Ok(bytes) => {
                            partition.in_flight += 1;
                            let (topic, partition) = (topic.name.clone(), spot.partition as PartitionIndex);
                            outgoing.push(Outgoing { spot, topic, partition, bytes, batch });
                        }
                        Err(error) => broken.push((spot, batch, error)),
                    }
                }
            }
            match self.partition(spot) {
                Some(partition) if partition.is_idle() => partition.is_active = false,
                // The others come first the next time.
                _ => self.active.push_back(spot),
            }
        }
        let broken = broken.into_iter().map(|(spot, batch, error)| self.give_up(spot, batch, error)).collect();
        (outgoing, broken)
    }

    /// When to look again, if nothing else happens.
    pub fn next_due(&self) -> Option<Duration> {
        let hurry = self.hurry || self.is_short_of_room();
        let due = self.active.iter().filter_map(|spot| {
            let partition = self.topics.get(spot.topic)?.partitions.get(spot.partition)?;
            partition.due_at(&self.options, hurry)
        });
        due.min()
    }

    /// Those whose `delivery.timeout.ms` has passed before they could be delivered.
    pub fn expire(&mut self, now: Duration) -> Vec<GivenUp<T>> {
        let timeout = self.options.delivery_timeout;
        let is_late = |batch: &Batch<T>| now.saturating_sub(batch.created) >= timeout;
        let mut late = Vec::new();
        for spot in &self.active {
            let topic = self.topics.get_mut(spot.topic);
            let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(spot.partition)) else { continue };
            while partition.queue.front().is_some_and(is_late) {
                late.extend(partition.queue.pop_front().map(|batch| (*spot, batch)));
            }
            if let Some(batch) = partition.open.take_if(|batch| is_late(batch)) {
                late.push((*spot, batch));
            }
        }
        let expire = |(spot, batch): (Spot, Batch<T>)| {
            let error = SendError::Expired {
                topic: self.topics.get(spot.topic).map(|topic| topic.name.to_string()).unwrap_or_default(),
                partition: spot.partition as PartitionIndex,
                records: batch.tokens.len(),
                after: timeout,
            };
            self.give_up(spot, batch, error)
        };
        late.into_iter().map(expire).collect()
    }

    /// What the broker said of a batch: its tokens if it was stored, nothing if it will be sent again.
    pub fn answered(
        &mut self,
        sent: Outgoing<T>,
        outcome: Result<(), SendError>,
        now: Duration,
    ) -> Option<Result<Vec<T>, GivenUp<T>>> {
        let Outgoing { spot, mut batch, .. } = sent;
        let retries = self.options.retries;
        let in_time = now.saturating_sub(batch.created) < self.options.delivery_timeout;
        let backoff = self.options.retry_backoff;
        let partition = self.partition(spot)?;
        partition.in_flight = partition.in_flight.saturating_sub(1);
        let error = match outcome {
            Ok(()) => {
                self.release(&batch);
                return Some(Ok(batch.tokens));
            }
            Err(error) => error,
        };
        // Those behind a batch that has to be sent again are out of order: they follow it.
        let follows = error.code() == ErrorCode::OutOfOrderSequenceNumber && partition.retry_at.is_some();
        let again = (error.is_retriable() && batch.attempts <= retries || follows) && in_time;
        // What is too large as a whole may do in halves.
        let halves = error.code() == ErrorCode::MessageTooLarge && batch.tokens.len() > 1 && in_time;
        if again || halves {
            let other = if halves { batch.split(self.options.codec, self.options.level) } else { None };
            if halves && other.is_none() {
                return Some(Err(self.give_up(spot, batch, error)));
            }
            self.pending += usize::from(other.is_some());
            let partition = self.partition(spot)?;
            for batch in [Some(batch), other].into_iter().flatten() {
                partition.put_back(batch);
            }
            partition.retry_at = Some(if halves { now } else { now + backoff });
            if !partition.is_active {
                partition.is_active = true;
                self.active.push_back(spot);
            }
            return None;
        }
        Some(Err(self.give_up(spot, batch, error)))
    }

    /// Whether numbers can't be given until [`Accumulator::set_producer`] brings an id: nothing may be in flight then.
    pub fn needs_producer(&self) -> bool {
        let wanted = self.options.idempotence && self.pending > 0;
        wanted && (self.producer.is_none() || self.numbers_are_broken)
    }

    /// Begins to count anew, in the name of this producer.
    pub fn set_producer(&mut self, producer: ProducerIdEpoch) {
        self.producer = Some(producer);
        self.numbers_are_broken = false;
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.next_sequence = 0;
        }
    }

    /// Whether everything was delivered or given up.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// From now on, or no longer, everything goes without waiting for more records.
    pub fn hurry(&mut self, hurry: bool) {
        self.hurry = hurry;
    }

    /// Gives up everything that isn't in flight.
    pub fn give_up_all(&mut self, error: &SendError) -> Vec<GivenUp<T>> {
        let mut all = Vec::new();
        for spot in std::mem::take(&mut self.active) {
            let Some(partition) = self.partition(spot) else { continue };
            partition.is_active = false;
            let batches: Vec<_> = partition.queue.drain(..).chain(partition.open.take()).collect();
            all.extend(batches.into_iter().map(|batch| self.give_up(spot, batch, error.clone())));
        }
        all
    }

    fn partition(&mut self, spot: Spot) -> Option<&mut Partition<T>> {
        self.topics.get_mut(spot.topic)?.partitions.get_mut(spot.partition)
    }

    /// Senders wait for room, or will with their next batch.
    fn is_short_of_room(&self) -> bool {
        self.reserved.saturating_add(self.options.batch_size) > self.options.buffer_memory
    }

    fn give_up(&mut self, spot: Spot, batch: Batch<T>, error: SendError) -> GivenUp<T> {
        self.numbers_are_broken |= batch.sequence.is_some();
        self.release(&batch);
        let topic = self.topics.get(spot.topic).map(|topic| topic.name.clone()).unwrap_or_default();
        GivenUp { topic, tokens: batch.tokens, error }
    }

    fn release(&mut self, batch: &Batch<T>) {
        self.reserved = self.reserved.saturating_sub(batch.reserved);
        self.pending = self.pending.saturating_sub(1);
    }
}
