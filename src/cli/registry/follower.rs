//! Follows the topic: one task replays all records, and others wait until it has reached an offset.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};
use tracing::Level;

use super::topic::Topic;
use ottla_broker::http::registry::Turns;
use ottla_broker::log_rate_limiter::LogRateLimiter;
use ottla_client::{Client, ClientError};
use ottla_registry::api::{Decision, OwnedRequest, Work, handle};
use ottla_registry::store::{Registry, RegistrySettings};
use ottla_wire::record::{Batch, batches};
use ottla_wire::types::{ErrorCode, Offset, TopicId};

/// The longest time to wait for the end of the topic to be replayed.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two attempts to read the topic after a failure.
const RETRY_BACKOFF: Duration = Duration::from_millis(250);
/// Log a failure again after this number of attempts that failed in sequence.
const ATTEMPTS_PER_LINE: u32 = 40;

/// The replayed topic.
pub struct Follower {
    topic: Arc<Topic>,
    settings: RegistrySettings,
    /// Held while records are replayed, and while requests are decided that only read; not during comparisons.
    replica: Mutex<Replica>,
    turns: Turns,
    /// The end of what is replayed; changed only by the task, while it holds the replica.
    position: watch::Sender<Offset>,
    /// Others write to the topic, and so cause lines about their records.
    limiter: Arc<LogRateLimiter>,
}

struct Replica {
    registry: Registry,
    /// The topic of which the registry is; `None` before the first connection.
    topic: Option<TopicId>,
}

impl Follower {
    pub fn new(topic: Arc<Topic>, settings: RegistrySettings, limiter: Arc<LogRateLimiter>) -> Follower {
        let replica = Mutex::new(Replica { registry: Registry::new(settings.clone()), topic: None });
        // No end of a topic is reached before the first record is asked for.
        Follower { topic, settings, replica, turns: Turns::default(), position: watch::Sender::new(-1), limiter }
    }

    /// Decides on a request with what is replayed now. Returns the offset up to which that is.
    pub async fn decide(&self, request: &OwnedRequest) -> (Decision, Offset) {
        let _turn = self.turns.of(Some(request)).await;
        let mut replica = self.replica.lock().await;
        let position = *self.position.borrow();
        let request = &request.borrowed();
        if request.work() == Work::Read {
            return (tokio::task::block_in_place(|| handle(&mut replica.registry, request)), position);
        }
        let mut snapshot = replica.registry.clone();
        drop(replica);
        // A comparison of large schemas may take seconds. The snapshot is dropped when the decision is known.
        (tokio::task::block_in_place(move || handle(&mut snapshot, request)), position)
    }

    /// Waits until everything that the topic has now is replayed. The error is one line.
    pub async fn catch_up(&self) -> Result<(), String> {
        let end = self.topic.end().await?;
        self.reach(end).await
    }

    /// Waits until the records before an offset are replayed.
    pub async fn reach(&self, end: Offset) -> Result<(), String> {
        let mut position = self.position.subscribe();
        match timeout(CATCH_UP_TIMEOUT, position.wait_for(|position| *position >= end)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("the topic could not be read up to the offset {end} in time")),
        }
    }

    /// Follows the topic without end. Connects again after failures.
    pub async fn run(&self) {
        let mut failures = 0;
        loop {
            let why = match self.topic.open().await {
                Ok((client, found)) => {
                    self.begin(found.id).await;
                    self.follow(&client, &mut failures).await
                }
                Err(why) => why,
            };
            if failures % ATTEMPTS_PER_LINE == 0 {
                tracing::warn!(error = why, "failed to read the schema registry's topic, trying again");
            }
            failures += 1;
            sleep(RETRY_BACKOFF).await;
        }
    }

    /// Empties the registry if this is another topic than before.
    async fn begin(&self, topic: TopicId) {
        let mut replica = self.replica.lock().await;
        if replica.topic.is_some_and(|known| known != topic) {
            tracing::warn!("the schema registry's topic was created again");
            self.empty(&mut replica);
        }
        replica.topic = Some(topic);
    }

    fn empty(&self, replica: &mut Replica) {
        replica.registry = Registry::new(self.settings.clone());
        self.position.send_replace(-1);
    }

    /// Replays records until the connection fails. Returns the reason.
    async fn follow(&self, client: &Client, failures: &mut u32) -> String {
        let mut empty_at = None;
        loop {
            let position = *self.position.borrow();
            let from = match position {
                -1 => match self.topic.start(client).await {
                    Ok(start) => start,
                    Err(error) => return error.to_string(),
                },
                position => position,
            };
            self.position.send_replace(from);
            let fetched = match self.topic.fetch(client, from).await {
                Ok(fetched) => fetched,
                Err(error) => {
                    self.forget_if_replaced(&error).await;
                    return error.to_string();
                }
            };
            *failures = 0;
            let replica = &mut *self.replica.lock().await;
            let next = match self.replay_all(&mut replica.registry, &fetched.records, from) {
                Ok(next) => next,
                Err(why) => return why,
            };
            // The last records of a log can be missing after a compaction. What is empty twice is not about to arrive.
            let is_gap = next == from && fetched.high_watermark > from && fetched.records.is_empty();
            let is_known_gap = is_gap && empty_at == Some((from, fetched.high_watermark));
            empty_at = is_gap.then_some((from, fetched.high_watermark));
            let next = if is_known_gap { fetched.high_watermark } else { next };
            self.position.send_replace(next);
        }
    }

    /// After an error that says that the log does not continue the one that was replayed: empties the registry.
    async fn forget_if_replaced(&self, error: &ClientError) {
        if error.code() == Some(ErrorCode::OffsetOutOfRange) {
            let mut replica = self.replica.lock().await;
            self.empty(&mut replica);
        }
    }

    /// Replays batches from an offset on, and returns the offset after them. The error is one line. A corrupt batch is not
    /// skipped, because its ids could be given again.
    fn replay_all(&self, registry: &mut Registry, bytes: &bytes::Bytes, from: Offset) -> Result<Offset, String> {
        let mut next = from;
        for batch in batches(bytes) {
            let unreadable = |error| format!("the batch after the offset {next} cannot be read: {error}");
            let batch = match batch {
                Ok(batch) => batch,
                // The last batch may be cut off.
                Err(_) if next > from => break,
                Err(error) => return Err(unreadable(error)),
            };
            batch.check_crc().map_err(unreadable)?;
            self.replay(registry, &batch, from).map_err(unreadable)?;
            next = next.max(batch.header().next_offset());
        }
        Ok(next)
    }

    /// Replays a batch. Records of transactions count whether they are committed or not, as in Confluent's registry.
    fn replay(
        &self,
        registry: &mut Registry,
        batch: &Batch,
        from: Offset,
    ) -> Result<(), ottla_wire::record::RecordError> {
        if batch.header().is_control() {
            return Ok(());
        }
        for record in batch.records() {
            let record = record?;
            if record.offset < from {
                continue;
            }
            let key = record.key.unwrap_or_default();
            if let Err(error) = registry.replay(&key, record.value.as_deref(), record.timestamp)
                && self.limiter.admits(Level::WARN, None, "unreadable records of the schema registry's topic")
            {
                tracing::warn!(offset = record.offset, %error, "skipped a record of the schema registry's topic");
            }
        }
        Ok(())
    }
}
