//! A consumer on one connection to one broker, and one to its group's coordinator, which is the same broker.
//!
//! [`Consumer::poll`] does all the work: it joins the group, finds positions, fetches and commits, whatever is due
//! next, and returns [`Event`]s in order. It is cancel-safe, so it can be used in a `select!`. Transient errors (a lost
//! connection, a coordinator that is loading) are retried; the first of them is reported as a warning.
//!
//! The decisions are in pure modules: `assignors` assigns partitions, `member_state` is the membership's state,
//! `positions` knows what to fetch from where, `chunk` selects the records of a fetch to deliver.
//!
//! The consumer uses the classic group protocol. Not implemented: racks and fetch sessions, which do not help on one
//! machine, and pausing partitions.

mod assignment;
pub mod assignors;
mod chunk;
mod config;
mod coordinator;
mod error;
mod fetching;
mod member_state;
mod positions;
mod reading;
mod rebalance;
mod sticky;
mod topics;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

pub use chunk::{Chunk, ConsumedRecord};
pub use config::{ConsumerConfig, FetchConfig, GroupConfig, IsolationLevel, OffsetReset};
pub use error::ConsumerError;
pub use positions::Start;
pub use topics::Topics;

use super::{Client, ClientError};
use coordinator::{CoordinatorClient, Joining};
use fetching::InFlight;
use ottla_wire::types::{LeaderEpoch, Offset, TopicPartition};
use positions::{Positions, Progress};
use topics::Subscription;

/// Stands for an infinite timeout, small enough that adding it to an `Instant` does not overflow.
const NEVER: Duration = Duration::from_secs(86_400 * 365 * 30);
/// Limit for each step of closing.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit of the backoff between retries.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// An event that [`Consumer::poll`] returns.
#[derive(Debug)]
pub enum Event {
    /// Newly assigned partitions, in addition to those it has.
    Assigned(Vec<TopicPartition>),
    /// Revoked partitions. With auto-commit, the offsets of their delivered records are committed already.
    Revoked(Vec<TopicPartition>),
    /// Records: at least one, at most `max.poll.records`.
    Records(Vec<PartitionRecords>),
    /// A transient error, which is being retried.
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
    coordinator: Option<CoordinatorClient>,
    subscription: Subscription,
    positions: Positions,
    /// The join in flight.
    joining: Option<Joining>,
    in_flight: Option<InFlight>,
    /// Fetched records that are not delivered yet.
    chunks: VecDeque<Chunk>,
    events: VecDeque<Event>,
    /// An error to return after the queued events.
    failed: Option<ConsumerError>,
    /// The zero of the times in `positions`.
    started: Instant,
    next_commit: Instant,
    /// Consecutive transient errors.
    failures: u32,
    backoff_until: Option<Instant>,
}

impl Consumer {
    /// Creates a consumer for the broker of `client`. It reads nothing before [`Consumer::subscribe`] or
    /// [`Consumer::assign`].
    pub async fn new(client: Client, config: ConsumerConfig) -> Result<Consumer, ConsumerError> {
        let coordinator = match &config.group {
            Some(group) => Some(CoordinatorClient::connect(&client, group.clone(), config.request_timeout).await?),
            None => None,
        };
        let now = Instant::now();
        Ok(Consumer {
            next_commit: now + config.auto_commit.unwrap_or(NEVER).min(NEVER),
            config,
            client,
            coordinator,
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

    /// Subscribes to topics: with a group, reads the partitions that the group assigns; without one, all partitions.
    pub fn subscribe(&mut self, topics: Topics) {
        self.subscription = Subscription::new(topics);
        self.rejoin();
    }

    /// Reads exactly these partitions, without joining the group; `group.id` is then only used for committed offsets.
    pub fn assign(&mut self, partitions: &[TopicPartition]) {
        self.subscription = Subscription::default();
        let start = if self.coordinator.is_some() { Start::Committed } else { Start::Policy };
        self.remove_partitions(&self.positions.partitions().into_iter().collect::<Vec<_>>());
        self.positions.add(partitions, start);
    }

    /// Moves the position in an assigned partition.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) {
        self.chunks.retain(|chunk| chunk.partition != *partition);
        self.positions.seek(partition, start);
    }

    /// The offset of the next record to deliver from a partition, if it is known.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.positions.position(partition)
    }

    /// Returns the next event; `None` if there is none within `wait`.
    ///
    /// An error about a partition does not move its position: the next poll returns the same error.
    pub async fn poll(&mut self, wait: Duration) -> Result<Option<Event>, ConsumerError> {
        let _poll_guard = self.coordinator.as_ref().map(CoordinatorClient::start_poll);
        let deadline = Instant::now() + wait.min(NEVER);
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
                Ok(Err(error)) if error.is_transient() => self.back_off(&error),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Commits the positions of delivered records, or these offsets, and awaits the response.
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

    /// Commits if auto-commit is on, leaves the group, and returns the partitions it had. Takes at most twice
    /// `CLOSE_TIMEOUT`.
    pub async fn close(mut self) -> Vec<TopicPartition> {
        let progress = self.positions.uncommitted();
        if self.config.auto_commit.is_some() && self.may_commit() {
            let _records_are_read_again_if_this_fails = timeout(CLOSE_TIMEOUT, self.commit_progress(&progress)).await;
        }
        if let Some(coordinator) = &mut self.coordinator {
            let _session_expires_if_this_fails = timeout(CLOSE_TIMEOUT, coordinator.leave()).await;
        }
        self.positions.partitions().into_iter().collect()
    }

    /// Does the next step that is due, or waits for one. A step that is dropped half-way is repeated.
    async fn advance(&mut self) -> Result<(), ConsumerError> {
        self.check_heartbeats().await?;
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

    /// Schedules a retry with exponential backoff; drops the fetch in flight.
    fn back_off(&mut self, error: &ConsumerError) {
        if self.failures == 0 && error.code().is_none() {
            self.events.push_back(Event::Warning(error.to_string()));
        }
        let backoff = self.config.retry_backoff.saturating_mul(1 << self.failures.min(5)).min(MAX_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        self.backoff_until = Some(Instant::now() + backoff);
        self.in_flight = None;
    }

    /// Returns the connection, reconnecting if it was lost.
    async fn connected(&mut self) -> Result<Client, ClientError> {
        if self.client.is_disconnected() {
            self.client = self.client.new_connection().await?;
            self.subscription.refresh_soon();
        }
        Ok(self.client.clone())
    }

    /// Stops reading these partitions and drops their fetched records.
    fn remove_partitions(&mut self, partitions: &[TopicPartition]) {
        self.positions.remove(partitions);
        let positions = &self.positions;
        self.chunks.retain(|chunk| positions.contains(&chunk.partition));
    }

    fn advance_position(&mut self, partition: &TopicPartition, next: Offset, epoch: Option<LeaderEpoch>) {
        let epoch = epoch.unwrap_or_else(|| self.positions.epoch(partition));
        self.positions.delivered(partition, next, epoch);
    }
}
