//! A producer: records in, batches out, and word of each record's fate.
//!
//! [`Producer::send`] puts a record into its partition's batch and returns; a task of its own sends batches as they
//! fill up or their time comes, again where that may help, and tells the [`Observer`]. As in Kafka's Java producer:
//! one batch a partition and request, a bounded number of requests in flight, a bounded amount of memory (`send` waits
//! for room), sequence numbers by which the broker knows what it has got already (idempotence), topics made by asking
//! for them.
//!
//! What needs no network is apart and pure: [`options`], `partitioner`, `batch`, `accumulator`. `sender` has the loop.
//! Absent: transactions.

mod accumulator;
mod batch;
mod error;
mod link;
pub mod options;
mod partition;
mod partitioner;
mod sender;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Client;
use accumulator::{Accumulator, Appended, Place};
pub use batch::{NewRecord, RecordHeader};
pub use error::SendError;
use link::Link;
pub use options::ProducerOptions;
use ottla_wire::codec::Str;
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex, TimestampMs};
use sender::Sender;

/// Where a batch of records was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub topic: Str,
    pub partition: PartitionIndex,
    /// The first record's; the others follow it. -1 if nobody said (acks 0).
    pub base_offset: Offset,
}

/// Who is told what became of records, in the order in which their batches are done; and of what goes wrong on the
/// way. A token is what came with the record to [`Producer::send`].
pub trait Observer<T>: Send + 'static {
    /// A batch was stored; its records' tokens in order.
    fn delivered(&mut self, batch: &Delivered, tokens: Vec<T>);
    /// Records were given up.
    fn failed(&mut self, topic: &str, error: &SendError, tokens: Vec<T>);
    /// Something that may pass, such as a broker that isn't there.
    fn warn(&mut self, message: &str);
}

/// Sends records; see the module.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    sender: JoinHandle<()>,
}

/// What the senders of records and the task share.
struct Shared<T> {
    options: ProducerOptions,
    link: Link,
    accumulator: Mutex<Accumulator<T>>,
    observer: Mutex<Box<dyn Observer<T>>>,
    /// There is something to send, or the time to look again has changed.
    work: Notify,
    /// Something was delivered or given up.
    progress: Notify,
    started: Instant,
}

impl<T: Send + 'static> Producer<T> {
    /// A producer for the broker at the first of these addresses (`host:port`) that answers, now or later.
    pub fn new(addresses: Vec<String>, options: ProducerOptions, observer: impl Observer<T>) -> Producer<T> {
        let mut seed = [0; 8];
        if getrandom::fill(&mut seed).is_err() {
            // Which partition comes first is no secret.
            seed = u64::from(std::process::id()).to_ne_bytes();
        }
        let shared = Arc::new(Shared {
            link: Link::new(addresses, &options),
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

    /// Takes a record, as soon as its topic is known and there is room for it. What becomes of it, failure here
    /// included, the observer is told.
    pub async fn send(&self, record: &NewRecord<'_>, mut token: T) {
        let mut deadline = None;
        loop {
            let why = match self.shared.try_send(record, token) {
                Ok(Appended::Quietly) => return,
                Ok(Appended::Began) => return self.shared.work.notify_one(),
                Ok(Appended::Filled) => {
                    self.shared.work.notify_one();
                    // Where there is one thread, this is the task's chance.
                    return tokio::task::yield_now().await;
                }
                Err((why, back)) => {
                    token = back;
                    why
                }
            };
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.shared.options.max_block);
            if let Err(error) = self.shared.wait_for_place(record, why, deadline).await {
                return self.shared.observer.lock().failed(record.topic, &error, vec![token]);
            }
        }
    }

    /// Waits until everything that was sent is delivered or given up, and lets nothing linger meanwhile.
    pub async fn flush(&self) {
        self.shared.accumulator.lock().hurry(true);
        self.shared.work.notify_one();
        loop {
            let mut progress = pin!(self.shared.progress.notified());
            progress.as_mut().enable();
            if self.shared.accumulator.lock().is_empty() {
                break;
            }
            progress.await;
        }
        self.shared.accumulator.lock().hurry(false);
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

    /// Takes the record, or gives its token back with what is in the way.
    fn try_send(&self, record: &NewRecord<'_>, token: T) -> Result<Appended, (Result<Place, SendError>, T)> {
        let mut accumulator = self.accumulator.lock();
        match accumulator.place(record) {
            Ok(Place::At(spot)) => {
                let timestamp = record.timestamp.unwrap_or_else(wall_clock_ms);
                Ok(accumulator.append(spot, record, timestamp, token, || self.now()))
            }
            blocked => Err((blocked, token)),
        }
    }

    /// Waits for what is in the way of a record, a while: then it is worth another try.
    async fn wait_for_place(
        &self,
        record: &NewRecord<'_>,
        blocked: Result<Place, SendError>,
        deadline: Instant,
    ) -> Result<(), SendError> {
        let left = deadline.saturating_duration_since(Instant::now());
        match blocked? {
            Place::At(_) => Ok(()),
            Place::UnknownTopic if left.is_zero() => {
                Err(SendError::NoTopic { topic: record.topic.to_owned(), after: self.options.max_block })
            }
            Place::UnknownTopic => {
                let looked_up = tokio::time::timeout(left, self.find_topic(record.topic)).await;
                looked_up.unwrap_or(Ok(()))
            }
            Place::NoRoom if left.is_zero() => {
                let size = record.size_upper_bound().max(self.options.batch_size);
                Err(SendError::NoRoom { size, total: self.options.buffer_memory, after: self.options.max_block })
            }
            Place::NoRoom => {
                let mut progress = pin!(self.progress.notified());
                progress.as_mut().enable();
                if matches!(self.accumulator.lock().place(record), Ok(Place::NoRoom)) {
                    self.work.notify_one();
                    // Late or not, the next try decides.
                    let _ = tokio::time::timeout(left, progress).await;
                }
                Ok(())
            }
        }
    }

    /// Asks for a topic, which makes it where the broker does that. A topic that isn't there yet is no error.
    async fn find_topic(&self, topic: &str) -> Result<(), SendError> {
        let found = match self.client().await {
            Some(client) => client.metadata_with(Some(&[topic]), true).await,
            None => return Ok(()),
        };
        let found = match found {
            Ok(cluster) => cluster.topics.into_iter().next(),
            Err(error) if SendError::from_client(&error).is_retriable() => None,
            Err(error) => return Err(SendError::from_client(&error)),
        };
        match found.as_ref().map(|topic| (ErrorCode::from_code(topic.error_code), topic.partitions.len())) {
            Some((Some(ErrorCode::None), partitions)) if partitions > 0 => {
                self.accumulator.lock().learn(topic, partitions, self.now());
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

    /// The connection, made anew if need be; nothing if that didn't work this time.
    async fn client(&self) -> Option<Client> {
        match self.link.client().await {
            Ok(client) => Some(client),
            Err(warning) => {
                if let Some(warning) = warning {
                    self.observer.lock().warn(&warning);
                }
                None
            }
        }
    }
}

fn wall_clock_ms() -> TimestampMs {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as TimestampMs)
}
