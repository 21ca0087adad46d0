//! Runs the metadata machine: appends and syncs its records, publishes its images, sends its replies.
//!
//! Every change is synced before its reply (except with `--ephemeral`). Commands that arrive during a sync share the
//! next.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::partition::{Partition, PartitionError};
use super::publisher::{Published, Publisher};
use super::runtime::{DriveError, Driver, LoggedMachine, Slot, WorkError};
use super::topic_cause::TopicCause;
use crate::clock::Clock;
use crate::log_rate_limiter::{LogRateLimiter, log_limited};
use ottla_core::machine::{Command, RecordMeta, StateMachine as _};
use ottla_core::metadata::records::MetadataRecord;
use ottla_core::metadata::{
    self, CreateTopics, Image, MetadataCommand, MetadataConfig, MetadataMachine, MetadataReply,
};
use ottla_log::TxnVerification;
use ottla_wire::record::Codec;
use ottla_wire::types::{Offset, ProducerIdEpoch};

/// Why a metadata command was not carried out.
#[derive(Clone, Debug, Error)]
pub enum MetadataUnavailable {
    #[error("the metadata log failed: {0}")]
    Log(PartitionError),
    #[error("the metadata log refused a decision")]
    NotWritten,
}

impl LoggedMachine for MetadataMachine {
    const SKIP_CORRUPT_BATCHES: bool = false;
    const CHANGES_ONLY_BY_REPLAY: bool = true;

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

/// The metadata machine with its log.
pub struct Metadata {
    clock: Clock,
    config: MetadataConfig,
    /// Empty after the log failed, until it is loaded again.
    slot: Slot<MetadataMachine>,
    partition: Arc<Partition>,
    /// The state at the start of the log.
    before: Option<Snapshot>,
    publisher: Arc<Publisher>,
    /// Whether changes are synced; false with `--ephemeral`.
    durable: bool,
    /// Called after each publication.
    on_published: Box<dyn Fn(Published) + Send + Sync>,
    log_rate_limiter: Arc<LogRateLimiter>,
}

/// The state up to `end_offset`, as records.
#[derive(Debug)]
pub struct Snapshot {
    pub end_offset: Offset,
    pub records: Vec<MetadataRecord>,
}

/// An open metadata log, to be replayed.
#[derive(Debug)]
pub struct MetadataLog {
    pub partition: Arc<Partition>,
    /// The state at the start of the log.
    pub before: Option<Snapshot>,
    /// Whether changes are synced before their replies.
    pub durable: bool,
}

/// A reply, and the state that it is about. That state must be durable and published before the reply is sent, even if
/// this command appended nothing (a topic that "already exists" may have been created a moment ago).
struct Decided {
    reply: MetadataReply,
    image: Image,
    /// The end of the log at `image`.
    end: Offset,
}

impl Metadata {
    /// Replays the metadata log and publishes the image.
    pub fn load(
        clock: Clock,
        config: MetadataConfig,
        log: MetadataLog,
        publisher: Arc<Publisher>,
        on_published: Box<dyn Fn(Published) + Send + Sync>,
        log_rate_limiter: Arc<LogRateLimiter>,
    ) -> Result<Metadata, DriveError> {
        let MetadataLog { partition, before, durable } = log;
        let slot = Slot::default();
        let metadata =
            Metadata { clock, config, slot, partition, before, publisher, durable, on_published, log_rate_limiter };
        metadata.load_and_publish()?;
        Ok(metadata)
    }

    /// Loads the machine from its log. There must be no appends meanwhile.
    fn load_and_publish(&self) -> Result<(), DriveError> {
        let mut machine = MetadataMachine::new(self.config.clone());
        let (partition, now) = (Arc::clone(&self.partition), self.clock.now());
        let mut driver = match &self.before {
            None => Driver::load(machine, partition, Codec::None)?,
            Some(Snapshot { end_offset, records }) => {
                let at = RecordMeta { offset: end_offset - 1, timestamp: now.wall, producer: ProducerIdEpoch::NONE };
                records.iter().for_each(|record| machine.replay(at, record));
                Driver::load_from(machine, partition, *end_offset, Codec::None)?
            }
        };
        driver.recovered(now)?.reply();
        if let Some((offset, fault)) = driver.machine().fault() {
            return Err(DriveError::Unreadable { offset: *offset, reason: fault.to_string() });
        }
        let end = self.partition.offsets()?.end;
        (self.on_published)(self.publisher.publish(driver.machine().image().clone(), end));
        self.slot.put(driver);
        Ok(())
    }

    /// Opens the metadata log again after a failure and loads the machine from it; returns whether that worked. Of the
    /// last decision the log may have all records or none. Blocks on the disk.
    pub fn recover(&self) -> bool {
        self.slot.clear();
        if !self.partition.recover(self.clock.now().wall) {
            return false;
        }
        let synced = if self.durable { self.partition.sync_now() } else { Ok(()) };
        match synced.map_err(DriveError::from).and_then(|()| self.load_and_publish()) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "failed to load the metadata log again");
                false
            }
        }
    }

    /// Whether commands fail until [`Metadata::recover`] succeeds.
    pub fn is_failed(&self) -> bool {
        self.partition.is_failed() || !self.slot.is_active()
    }

    /// The metadata log's partition.
    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// Creates topics; see [`Metadata::submit`].
    pub fn create_topics(
        self: &Arc<Self>,
        command: CreateTopics,
        cause: TopicCause,
    ) -> impl Future<Output = Result<<CreateTopics as Command>::Reply, MetadataUnavailable>> + Send + use<> {
        let limiter = Arc::clone(&self.log_rate_limiter);
        let is_logged = !command.validate_only;
        let submitted = self.submit(command);
        async move {
            let results = submitted.await?;
            if is_logged {
                log_created(&limiter, &results, &cause);
            }
            Ok(results)
        }
    }

    /// Runs one command. It is decided and applied in the order of the calls, and answered when it is durable and
    /// published. It is published even if the caller drops the future because its client disconnected.
    pub fn submit<C>(
        self: &Arc<Self>,
        command: C,
    ) -> impl Future<Output = Result<C::Reply, MetadataUnavailable>> + Send + use<C>
    where
        C: Command<Machine = MetadataMachine>,
    {
        let command = command.into();
        let limiter = Arc::clone(&self.log_rate_limiter);
        let started = self.clock.monotonic();
        let decided = self.decide(command).map(|Decided { reply, image, end }| {
            let published = self.publisher.published_to() >= end;
            (reply, (!published).then(|| tokio::spawn(Arc::clone(self).make_durable_and_publish(image, end, started))))
        });
        async move {
            let (reply, publishing) = decided?;
            if let Some(publishing) = publishing {
                publishing.await.unwrap_or(Err(MetadataUnavailable::NotWritten))?;
            }
            log_deleted(&limiter, &reply);
            C::reply(reply).ok_or(MetadataUnavailable::NotWritten)
        }
    }

    /// `started`: when the change was decided, on the monotonic clock.
    async fn make_durable_and_publish(
        self: Arc<Self>,
        image: Image,
        end: Offset,
        started: Duration,
    ) -> Result<(), MetadataUnavailable> {
        if self.durable {
            self.partition.sync_to(end).await.map_err(MetadataUnavailable::Log)?;
        }
        (self.on_published)(self.publisher.publish(image, end));
        let now = self.clock.now();
        self.publisher.work().metadata_changed(now.monotonic.saturating_sub(started), now.wall);
        Ok(())
    }

    fn decide(&self, command: MetadataCommand) -> Result<Decided, MetadataUnavailable> {
        let decided = self.slot.work(|driver| {
            let (mut receiver, committed) = driver.run(self.clock.now(), command, TxnVerification::NotVerified)?;
            committed.reply();
            // The metadata machine replies at once.
            let reply = receiver.try_recv().map_err(|_| DriveError::Unwritable("a command without a reply".into()))?;
            let end = self.partition.offsets()?.end;
            Ok(Decided { reply, image: driver.machine().image().clone(), end })
        });
        decided.map_err(|error| match error {
            WorkError::NotActive => MetadataUnavailable::NotWritten,
            WorkError::Refused(error) => MetadataUnavailable::Log(PartitionError::Append(error)),
            WorkError::Failed(error) => {
                log_limited!(
                    ERROR, self.log_rate_limiter, None, "failed metadata changes",
                    %error, "failed to write a metadata change"
                );
                match error {
                    DriveError::Partition(error) => MetadataUnavailable::Log(error),
                    _ => MetadataUnavailable::NotWritten,
                }
            }
        })
    }
}

fn log_created(limiter: &Arc<LogRateLimiter>, results: &<CreateTopics as Command>::Reply, cause: &TopicCause) {
    for (topic, created) in results.iter().filter_map(|(topic, result)| Some((topic, result.as_ref().ok()?))) {
        log_limited!(
            INFO, limiter, None, "topics created",
            %topic, partitions = created.partitions, cause = cause.why(), client = cause.client(),
            client_id = cause.client_id(), "created topic"
        );
    }
}

fn log_deleted(limiter: &Arc<LogRateLimiter>, reply: &MetadataReply) {
    if let MetadataReply::DeleteTopics(deletions) = reply {
        let deleted = deletions.iter().filter(|deletion| deletion.result.is_ok());
        for topic in deleted.filter_map(|deletion| deletion.name.as_ref()) {
            log_limited!(INFO, limiter, None, "topics deleted", %topic, "deleted topic");
        }
    }
}
