//! A consumer on one connection to one broker, and one to its group's coordinator, which is the same broker.
//!
//! [`Consumer::poll`] is all there is to it: it joins and leaves groups, finds positions, fetches and commits, whatever is
//! due next, and gives what happened as [`Event`]s in their order. It may be dropped at any time and called again, so it
//! goes into a `select!`. What would mend itself (a lost connection, a coordinator that loads) is tried again, and told as
//! a warning once.
//!
//! Apart from what is sent stand the decisions, each pure: `assignors` shares partitions out, `membership` is the state
//! of a member, `positions` what to fetch from where, `chunk` which records of a fetch count.
//!
//! The protocol is the classic one. Absent: racks, fetch sessions (one connection to a broker on the same machine has no
//! use for either), pausing partitions.

pub mod assignors;
mod chunk;
mod config;
mod coordinator;
mod error;
mod fetching;
mod iso_duration;
mod member_state;
mod positions;
mod reading;
mod rebalance;
mod sticky;
mod topics;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

pub use chunk::ConsumedRecord;
pub use config::{ConsumerConfig, FetchConfig, GroupConfig, IsolationLevel, OffsetReset};
pub use error::ConsumerError;
pub use positions::Start;
pub use topics::Topics;

use super::{Client, ClientError};
use chunk::Chunk;
use coordinator::{Coordination, Joining};
use fetching::InFlight;
use ottla_wire::types::{LeaderEpoch, Offset, TopicPartition};
use positions::{Positions, Progress};
use topics::Subscription;

/// A time that doesn't come, where a deadline would overflow.
const NEVER: Duration = Duration::from_secs(86_400 * 365 * 30);
/// How long closing may take, at each step.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before connecting again, at most.
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Partitions that are now this consumer's to read, in addition to what it has.
    Assigned(Vec<TopicPartition>),
    /// Partitions that are not any more. What was read of them is committed, if that is automatic.
    Revoked(Vec<TopicPartition>),
    /// Records, at most as many as the configuration says, at least one.
    Records(Vec<PartitionRecords>),
    /// Something failed, and is tried again.
    Warning(String),
}

/// Records of one partition, in the order of their offsets.
#[derive(Debug)]
pub struct PartitionRecords {
    pub partition: TopicPartition,
    pub records: Vec<ConsumedRecord>,
}

pub struct Consumer {
    config: ConsumerConfig,
    client: Client,
    coordination: Option<Coordination>,
    subscription: Subscription,
    positions: Positions,
    /// A join on its way.
    joining: Option<Joining>,
    in_flight: Option<InFlight>,
    /// What was fetched and not given out yet.
    chunks: VecDeque<Chunk>,
    events: VecDeque<Event>,
    /// An error to be told after the events.
    failed: Option<ConsumerError>,
    /// What pauses and times of commits count from.
    started: Instant,
    next_commit: Instant,
    /// How often in a row something failed that passes.
    failures: u32,
    backoff_until: Option<Instant>,
}

impl Consumer {
    /// A consumer of what `client` is connected to. It reads nothing until it is told what.
    pub async fn new(client: Client, config: ConsumerConfig) -> Result<Consumer, ConsumerError> {
        let coordination = match &config.group {
            Some(group) => Some(Coordination::connect(&client, group.clone(), config.request_timeout).await?),
            None => None,
        };
        let now = Instant::now();
        Ok(Consumer {
            next_commit: now + config.auto_commit.unwrap_or(NEVER).min(NEVER),
            config,
            client,
            coordination,
            subscription: Subscription::default(),
            positions: Positions::default(),
            joining: None,
            in_flight: None,
            chunks: VecDeque::new(),
            events: VecDeque::new(),
            failed: None,
            started: now,
            failures: 0,
            backoff_until: None,
        })
    }

    /// Reads these topics: with a group what the group gives it, without one all of their partitions.
    pub fn subscribe(&mut self, topics: Topics) {
        self.subscription = Subscription::new(topics);
        self.rejoin();
    }

    /// Reads these partitions and no others, beside any group: `group.id` then only says whose offsets are committed.
    pub fn assign(&mut self, partitions: &[TopicPartition]) {
        self.subscription = Subscription::default();
        let start = if self.coordination.is_some() { Start::Committed } else { Start::Policy };
        self.give_up(&self.positions.partitions().into_iter().collect::<Vec<_>>());
        self.positions.add(partitions, start);
    }

    /// Goes on elsewhere in a partition that it reads.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) {
        self.chunks.retain(|chunk| chunk.partition != *partition);
        self.positions.seek(partition, start);
    }

    /// The offset of the next record that a partition will give, if it is known.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.positions.position(partition)
    }

    /// The next thing that happens; `None` if nothing does within `patience`.
    ///
    /// After an error that is about a partition the consumer stands where it stood; whoever polls again gets the same.
    pub async fn poll(&mut self, patience: Duration) -> Result<Option<Event>, ConsumerError> {
        let _polling = self.coordination.as_ref().map(Coordination::polling);
        let deadline = Instant::now() + patience.min(NEVER);
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let advance = async {
                if let Some(until) = self.backoff_until {
                    sleep_until(until).await;
                    self.backoff_until = None;
                }
                self.advance().await
            };
            match timeout_at(deadline, advance).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.is_passing() => self.back_off(&error),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Commits what was given out, or the offsets that are listed, and awaits the answer.
    pub async fn commit(&mut self, offsets: Option<&[(TopicPartition, Offset)]>) -> Result<(), ConsumerError> {
        let progress = match offsets {
            None => self.positions.uncommitted(),
            Some(offsets) => {
                let progress = |(partition, offset): &(TopicPartition, Offset)| Progress {
                    partition: partition.clone(),
                    offset: *offset,
                    epoch: -1,
                };
                offsets.iter().map(progress).collect()
            }
        };
        self.commit_progress(&progress).await
    }

    /// Commits if that is automatic, leaves the group, and returns what it read until now. It takes a few seconds at the
    /// most, whatever the broker does.
    pub async fn close(mut self) -> Vec<TopicPartition> {
        let progress = self.positions.uncommitted();
        if self.config.auto_commit.is_some() && self.may_commit() {
            let _lost_is_read_again = timeout(CLOSE_PATIENCE, self.commit_progress(&progress)).await;
        }
        if let Some(coordination) = &mut self.coordination {
            let _it_will_be_missed = timeout(CLOSE_PATIENCE, coordination.leave()).await;
        }
        self.positions.partitions().into_iter().collect()
    }

    /// Does the next thing that is due, or waits for one. Dropped half-way, it is done again.
    async fn advance(&mut self) -> Result<(), ConsumerError> {
        self.mind_heart().await?;
        if self.subscription.is_due() {
            return self.refresh_topics().await;
        }
        if self.subscription.is_some() && self.must_join() {
            return self.join().await;
        }
        if self.find_positions().await? {
            return Ok(());
        }
        if self.config.auto_commit.is_some() && self.next_commit <= Instant::now() {
            return self.auto_commit().await;
        }
        self.read().await
    }

    /// Waits longer each time that the same goes wrong in a row, and connects again if need be.
    fn back_off(&mut self, error: &ConsumerError) {
        if self.failures == 0 && error.code().is_none() {
            self.events.push_back(Event::Warning(error.to_string()));
        }
        let backoff = self.config.retry_backoff.saturating_mul(1 << self.failures.min(5)).min(LONGEST_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        self.backoff_until = Some(Instant::now() + backoff);
        self.in_flight = None;
    }

    /// The connection, made anew if it is gone.
    async fn connected(&mut self) -> Result<Client, ClientError> {
        if self.client.end().is_some() {
            self.client = self.client.again().await?;
            self.subscription.refresh_soon();
        }
        Ok(self.client.clone())
    }

    /// These are not ours any more.
    fn give_up(&mut self, partitions: &[TopicPartition]) {
        self.positions.remove(partitions);
        let positions = &self.positions;
        self.chunks.retain(|chunk| positions.contains(&chunk.partition));
    }

    fn give(&mut self, partition: &TopicPartition, next: Offset, epoch: Option<LeaderEpoch>) {
        let epoch = epoch.unwrap_or_else(|| self.positions.epoch(partition));
        self.positions.gave(partition, next, epoch);
    }
}
