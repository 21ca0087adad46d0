//! A producer, which sends records in batches and reports each record's outcome.
//!
//! [`Producer::send`] appends a record to its partition's batch and returns. A task sends batches that are full or due,
//! retries them if possible, and notifies the [`Observer`]. As in Kafka's Java producer: one batch per partition and
//! request, a limited number of requests in flight, limited memory (`send` waits for it), sequence numbers with which the
//! broker detects duplicates (idempotence), and topics created by metadata requests.
//!
//! With `transactional.id` a producer sends records and offsets in transactions: [`Producer::init_transactions`] once, then
//! [`Producer::begin_transaction`], sends, and [`Producer::commit_transaction`] or [`Producer::abort_transaction`], by
//! protocol 2 (KIP-890) where the broker has it. This part is new and may change; it has no two-phase commit.
//!
//! Pure modules: [`options`], `partitioner`, `batch`, `accumulator`, `transaction`. `sender` is the task.

mod accumulator;
mod batch;
mod broker_connection;
mod error;
pub mod options;
mod partition;
mod partitioner;
mod sender;
#[cfg(test)]
mod tests;
mod transaction;
mod transactional;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Client;
use accumulator::{Accumulator, Appended, Placement};
pub use batch::{NewRecord, RecordHeader};
use broker_connection::{BrokerConnection, Unavailable};
pub use error::SendError;
pub use options::ProducerOptions;
use ottla_wire::codec::Str;
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex, TimestampMs};
pub use partitioner::partition_of_key;
use sender::Sender;

/// Where a batch of records was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub topic: Str,
    pub partition: PartitionIndex,
    /// The offset of the first record; the others follow it. -1 if unknown (acks 0).
    pub base_offset: Offset,
}

/// Receives the outcome of records, in the order in which batches complete, and warnings. A token is the value that was
/// passed with the record to [`Producer::send`].
pub trait Observer<T>: Send + 'static {
    /// A batch was stored. The tokens are in record order.
    fn delivered(&mut self, batch: &Delivered, tokens: Vec<T>);
    /// Records failed for good.
    fn failed(&mut self, topic: &str, error: &SendError, tokens: Vec<T>);
    /// A transient problem, such as an unavailable broker.
    fn warn(&mut self, message: &str);
}

/// Sends records; see the module documentation.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    sender: JoinHandle<()>,
}

/// State shared by callers and the sender task.
struct Shared<T> {
    options: ProducerOptions,
    connection: BrokerConnection,
    accumulator: Mutex<Accumulator<T>>,
    observer: Mutex<Box<dyn Observer<T>>>,
    /// Wakes the sender task: there is something to send, or the next due time changed.
    work: Notify,
    /// Notified when a batch was delivered or failed.
    progress: Notify,
    started: Instant,
}

impl<T: Send + 'static> Producer<T> {
    /// Creates a producer for the broker at the first of these addresses (`host:port`) that accepts a connection. It connects
    /// when needed.
    pub fn new(addresses: Vec<String>, options: ProducerOptions, observer: impl Observer<T>) -> Producer<T> {
        let mut seed = [0; 8];
        if getrandom::fill(&mut seed).is_err() {
            // The seed only determines the first partition, so it may be predictable.
            seed = u64::from(std::process::id()).to_ne_bytes();
        }
        let shared = Arc::new(Shared {
            connection: BrokerConnection::new(addresses, &options),
            accumulator: Mutex::new(Accumulator::new(options.clone(), u64::from_ne_bytes(seed))),
            observer: Mutex::new(Box::new(observer)),
            work: Notify::new(),
            progress: Notify::new(),
            started: Instant::now(),
            options,
        });
        let sender = tokio::spawn(Sender::new(shared.clone()).run());
        Producer { shared, sender }
    }

    /// Appends a record, waiting for its topic's metadata and for memory. The observer receives the outcome, failures here
    /// included.
    pub async fn send(&self, record: &NewRecord<'_>, mut token: T) {
        let mut deadline = None;
        loop {
            let blocked = match self.shared.try_send(record, token) {
                Ok(Appended::Added) => return,
                Ok(Appended::BatchStarted) => return self.shared.work.notify_one(),
                Ok(Appended::BatchFull) => {
                    self.shared.work.notify_one();
                    // Lets the sender task run on a single-threaded runtime.
                    return tokio::task::yield_now().await;
                }
                Err((blocked, returned)) => {
                    token = returned;
                    blocked
                }
            };
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.shared.options.max_block);
            if let Err(error) = self.shared.wait_for_placement(record, blocked, deadline).await {
                return self.shared.observer.lock().failed(record.topic, &error, vec![token]);
            }
        }
    }

    /// Waits until every record is delivered or failed; batches are sent without lingering meanwhile.
    pub async fn flush(&self) {
        self.shared.accumulator.lock().set_flushing(true);
        self.shared.work.notify_one();
        loop {
            let mut progress = pin!(self.shared.progress.notified());
            progress.as_mut().enable();
            if self.shared.accumulator.lock().is_empty() {
                break;
            }
            progress.await;
        }
        self.shared.accumulator.lock().set_flushing(false);
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

impl<T: Send + 'static> Shared<T> {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Appends the record, or returns its token and why it can't be appended now.
    fn try_send(&self, record: &NewRecord<'_>, token: T) -> Result<Appended, (Result<Placement, SendError>, T)> {
        let mut accumulator = self.accumulator.lock();
        match accumulator.place(record) {
            Ok(Placement::Ready(slot)) => {
                let timestamp = record.timestamp.unwrap_or_else(wall_clock_ms);
                Ok(accumulator.append(slot, record, timestamp, token, || self.now()))
            }
            blocked => Err((blocked, token)),
        }
    }

    /// Waits until a retry of [`Shared::try_send`] may succeed.
    async fn wait_for_placement(
        &self,
        record: &NewRecord<'_>,
        blocked: Result<Placement, SendError>,
        deadline: Instant,
    ) -> Result<(), SendError> {
        let left = deadline.saturating_duration_since(Instant::now());
        match blocked? {
            Placement::Ready(_) => Ok(()),
            Placement::UnknownTopic if left.is_zero() => {
                Err(SendError::NoTopic { topic: record.topic.to_owned(), after: self.options.max_block })
            }
            Placement::UnknownTopic => {
                let looked_up = tokio::time::timeout(left, self.find_topic(record.topic)).await;
                looked_up.unwrap_or(Ok(()))
            }
            Placement::BufferFull if left.is_zero() => {
                let size = record.size_upper_bound().max(self.options.batch_size);
                Err(SendError::BufferFull { size, total: self.options.buffer_memory, after: self.options.max_block })
            }
            Placement::BufferFull => {
                let mut progress = pin!(self.progress.notified());
                progress.as_mut().enable();
                if matches!(self.accumulator.lock().place(record), Ok(Placement::BufferFull)) {
                    self.work.notify_one();
                    // On a timeout the next attempt returns the error.
                    let _ = tokio::time::timeout(left, progress).await;
                }
                Ok(())
            }
        }
    }

    /// Requests a topic's metadata, which creates the topic if the broker allows that. A missing topic is not an error here.
    async fn find_topic(&self, topic: &str) -> Result<(), SendError> {
        let found = match self.client().await {
            Ok(client) => client.metadata_with(Some(&[topic]), true).await,
            Err(refused) => return refused.map_or(Ok(()), Err),
        };
        let found = match found {
            Ok(cluster) => cluster.topics.into_iter().next(),
            Err(error) if SendError::from_client(&error).is_retriable() => None,
            Err(error) => return Err(SendError::from_client(&error)),
        };
        match found.as_ref().map(|topic| (ErrorCode::from_code(topic.error_code), topic.partitions.len())) {
            Some((Some(ErrorCode::None), partitions)) if partitions > 0 => {
                self.accumulator.lock().update_topic(topic, partitions, self.now());
                Ok(())
            }
            Some((Some(ErrorCode::InvalidTopicException), _)) => Err(SendError::InvalidTopic(topic.to_owned())),
            Some((Some(code), _)) if !code.is_none() && !code.is_retriable() => {
                Err(SendError::refused(code.code(), None))
            }
            _ => {
                tokio::time::sleep(self.options.retry_backoff).await;
                Ok(())
            }
        }
    }

    /// Returns the connection, reconnecting if it was lost. If connecting failed, returns the error unless a retry may
    /// succeed.
    async fn client(&self) -> Result<Client, Option<SendError>> {
        self.connection.client().await.map_err(|Unavailable { warning, refused }| {
            if let Some(warning) = warning {
                self.observer.lock().warn(&warning);
            }
            refused
        })
    }
}

fn wall_clock_ms() -> TimestampMs {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as TimestampMs)
}
