//! The metadata machine in service: commands in, durable records, published images, replies out.
//!
//! Every change is synced before its reply (`--ephemeral` aside), many commands sharing one sync.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use thiserror::Error;

use super::clock::Clock;
use super::cluster::{Published, Publisher};
use super::driver::{DriveError, Driver, RecordForm};
use super::partition::{Partition, PartitionError};
use crate::log_rate_limiter::{LogRateLimiter, log_limited};
use ottla_core::machine::{Machine as _, RecordMeta};
use ottla_core::metadata::records::MetadataRecord;
use ottla_core::metadata::{self, Command, Image, MetadataConfig, MetadataMachine, Reply};
use ottla_wire::types::{Offset, ProducerIdEpoch};

/// The metadata machine could not write down what it decided.
#[derive(Clone, Debug, Error)]
pub enum MetadataUnavailable {
    #[error("the metadata log failed: {0}")]
    Log(PartitionError),
    #[error("the metadata log refused a decision")]
    NotWritten,
}

/// KRaft records as the metadata log holds them: no key, a framed value.
pub struct MetadataForm;

impl RecordForm<MetadataRecord> for MetadataForm {
    const PASSES_OVER_DAMAGE: bool = false;

    fn encode(record: &MetadataRecord) -> Result<(Option<Bytes>, Option<Bytes>), String> {
        record.encode().map(|value| (None, Some(value))).map_err(|error| error.to_string())
    }

    fn batches(records: Vec<MetadataRecord>) -> Result<Vec<Vec<MetadataRecord>>, String> {
        metadata::batches(records, metadata::MAX_BATCH_BYTES).map_err(|error| error.to_string())
    }

    fn decode(_key: Option<Bytes>, value: Option<Bytes>) -> Result<Option<MetadataRecord>, String> {
        let value = value.ok_or("it has no value")?;
        MetadataRecord::decode(&value).map(Some).map_err(|error| error.to_string())
    }
}

type MetadataDriver = Driver<MetadataMachine, MetadataForm>;

/// The metadata machine, its log and what is published of it.
pub struct Metadata {
    clock: Clock,
    config: MetadataConfig,
    /// None where the log failed: the machine may be ahead of it, or behind.
    driver: Mutex<Option<MetadataDriver>>,
    partition: Arc<Partition>,
    /// What was decided before the log begins.
    before: Option<Snapshot>,
    publisher: Arc<Publisher>,
    /// False with `--ephemeral`: nothing outlives the process anyway.
    durable: bool,
    /// Told which topics were deleted, once they are out of service.
    on_published: Box<dyn Fn(Published) + Send + Sync>,
    log_rate_limiter: Arc<LogRateLimiter>,
}

/// What the log before `end_offset` said.
#[derive(Debug)]
pub struct Snapshot {
    pub end_offset: Offset,
    pub records: Vec<MetadataRecord>,
}

/// An open metadata log, to be replayed.
#[derive(Debug)]
pub struct MetadataLog {
    pub partition: Arc<Partition>,
    /// What was decided before the log begins.
    pub before: Option<Snapshot>,
    /// Whether what is decided has to be on disk before its reply leaves.
    pub durable: bool,
}

/// A reply, and the state it speaks of: that must be durable and published before it leaves, even
/// where this command wrote nothing (a topic that "already exists" may have been created a moment ago).
struct Decided {
    reply: Reply,
    image: Image,
    /// The end of the log that `image` stands for.
    end: Offset,
}

impl Metadata {
    /// Replays the metadata log and publishes what it says.
    pub fn load(
        clock: Clock,
        config: MetadataConfig,
        log: MetadataLog,
        publisher: Arc<Publisher>,
        on_published: Box<dyn Fn(Published) + Send + Sync>,
        log_rate_limiter: Arc<LogRateLimiter>,
    ) -> Result<Metadata, DriveError> {
        let MetadataLog { partition, before, durable } = log;
        let driver = Mutex::new(None);
        let metadata =
            Metadata { clock, config, driver, partition, before, publisher, durable, on_published, log_rate_limiter };
        metadata.load_and_publish()?;
        Ok(metadata)
    }

    /// Brings the machine to where its log is, which nobody writes to meanwhile.
    fn load_and_publish(&self) -> Result<(), DriveError> {
        let mut machine = MetadataMachine::new(self.config.clone());
        let (partition, now) = (Arc::clone(&self.partition), self.clock.now());
        let driver: MetadataDriver = match &self.before {
            None => Driver::load(machine, partition, now)?,
            Some(Snapshot { end_offset, records }) => {
                let at = RecordMeta { offset: end_offset - 1, timestamp: now.wall, producer: ProducerIdEpoch::NONE };
                records.iter().for_each(|record| machine.replay(at, record));
                Driver::load_from(machine, partition, *end_offset, now)?
            }
        };
        if let Some((offset, fault)) = driver.machine().fault() {
            return Err(DriveError::Unreadable { offset: *offset, reason: fault.to_string() });
        }
        let end = self.partition.offsets()?.end;
        (self.on_published)(self.publisher.publish(driver.machine().image().clone(), end));
        *self.driver.lock() = Some(driver);
        Ok(())
    }

    /// Opens the metadata log again after a failure, and goes on from what it holds: of what was decided last, it may
    /// have all, or nothing. Whether that is done. Blocks for as long as the disk takes.
    pub fn recover(&self) -> bool {
        *self.driver.lock() = None;
        if !self.partition.recover(self.clock.now().wall) {
            return false;
        }
        let synced = if self.durable { self.partition.sync_now() } else { Ok(()) };
        match synced.map_err(DriveError::from).and_then(|()| self.load_and_publish()) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the metadata log cannot be read again");
                false
            }
        }
    }

    /// Whether nothing can be decided until [`Metadata::recover`] is done.
    pub fn is_failed(&self) -> bool {
        self.partition.is_failed() || self.driver.lock().is_none()
    }

    /// The metadata log's partition.
    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// Runs one command: decided and applied at once, in the order of the calls; answered when it
    /// is durable and published. That happens also when nobody waits for the answer any more, its
    /// client being gone: what is decided must not stay unseen until the next change.
    pub fn submit(
        self: &Arc<Self>,
        command: Command,
    ) -> impl Future<Output = Result<Reply, MetadataUnavailable>> + Send + use<> {
        let is_only_asked = matches!(&command, Command::CreateTopics(create) if create.validate_only);
        let limiter = Arc::clone(&self.log_rate_limiter);
        let decided = self.decide(command).map(|Decided { reply, image, end }| {
            let published = self.publisher.published_to() >= end;
            (reply, (!published).then(|| tokio::spawn(Arc::clone(self).make_durable_and_publish(image, end))))
        });
        async move {
            let (reply, publishing) = decided?;
            if let Some(publishing) = publishing {
                publishing.await.unwrap_or(Err(MetadataUnavailable::NotWritten))?;
            }
            if !is_only_asked {
                log_topics(&limiter, &reply);
            }
            Ok(reply)
        }
    }

    async fn make_durable_and_publish(self: Arc<Self>, image: Image, end: Offset) -> Result<(), MetadataUnavailable> {
        if self.durable {
            self.partition.sync_to(end).await.map_err(MetadataUnavailable::Log)?;
        }
        (self.on_published)(self.publisher.publish(image, end));
        Ok(())
    }

    fn decide(&self, command: Command) -> Result<Decided, MetadataUnavailable> {
        let mut slot = self.driver.lock();
        let Some(driver) = &mut *slot else { return Err(MetadataUnavailable::NotWritten) };
        let (mut receiver, committed) = match driver.run(self.clock.now(), command) {
            Ok(running) => running,
            Err(error) => {
                log_limited!(
                    ERROR, self.log_rate_limiter, None, "changes of metadata that were not written",
                    %error, "a change of metadata was not written"
                );
                let DriveError::Partition(error) = error else { return Err(MetadataUnavailable::NotWritten) };
                if self.partition.is_failed() {
                    *slot = None;
                }
                return Err(MetadataUnavailable::Log(error));
            }
        };
        committed.release();
        // This machine answers every command at once.
        let reply = receiver.try_recv().map_err(|_| MetadataUnavailable::NotWritten)?;
        let end = self.partition.offsets().map_err(MetadataUnavailable::Log)?.end;
        Ok(Decided { reply, image: driver.machine().image().clone(), end })
    }
}

/// Logs which topics came and went.
fn log_topics(limiter: &Arc<LogRateLimiter>, reply: &Reply) {
    match reply {
        Reply::TopicsCreated(results) => {
            for (topic, created) in results.iter().filter_map(|(topic, result)| Some((topic, result.as_ref().ok()?))) {
                log_limited!(
                    INFO, limiter, None, "topics created",
                    %topic, partitions = created.partitions, "created topic"
                );
            }
        }
        Reply::TopicsDeleted(deletions) => {
            let deleted = deletions.iter().filter(|deletion| deletion.result.is_ok());
            for topic in deleted.filter_map(|deletion| deletion.name.as_ref()) {
                log_limited!(INFO, limiter, None, "topics deleted", %topic, "deleted topic");
            }
        }
        _ => {}
    }
}
