//! The state of the registry up to an offset of its topic, and decisions on it.

use std::sync::Arc;

use super::StoreError;
use crate::log_rate_limiter::log_limited;
use crate::state::Broker;
use crate::state::partition::{Isolation, LogEnd, Partition};
use ottla_log::{Appended, Origin};
use ottla_registry::api::{Decision, OwnedRequest, Response, handle};
use ottla_registry::codec::SchemaIdentifier;
use ottla_registry::schema::ParsedSchema;
use ottla_registry::store::{Record, Registry, RegistrySettings};
use ottla_registry::subject::DEFAULT_CONTEXT;
use ottla_wire::record::{Batch, BatchBuilder, Codec, batches};
use ottla_wire::types::{Offset, TopicName};

/// Bytes read at a time when the topic is replayed.
const REPLAY_READ: usize = 1 << 20;
/// How often a request is decided again because others have written to the topic meanwhile.
const MAX_DECISIONS: usize = 100;

/// The replayed topic. Empty before the first request, and after a failure: then the topic is replayed from its start.
#[derive(Default)]
pub(super) struct Replica(Option<Loaded>);

/// Where a replica gets its records.
pub(super) struct Source {
    pub broker: Arc<Broker>,
    pub topic: TopicName,
    pub settings: RegistrySettings,
}

/// The outcome of a decision.
pub(super) enum Step {
    Done {
        /// `None` if there was no request.
        response: Option<Response>,
        /// What the response depends on: records up to this offset.
        unsynced: Option<(Arc<Partition>, Offset)>,
    },
    /// The decision has records, and the topic does not exist.
    NeedsTopic,
}

struct Loaded {
    registry: Registry,
    /// `None` while the topic does not exist.
    partition: Option<Arc<Partition>>,
    /// The end of the log up to which records are replayed.
    end: LogEnd,
}

impl Replica {
    /// Replays new records of the topic, and decides on a request. Blocks on the disk, and for the time of comparisons.
    pub fn step(&mut self, source: &Source, request: Option<&OwnedRequest>) -> Result<Step, StoreError> {
        let partition = source.partition()?;
        // Taken out, so that after an error or a panic the next request begins with an empty registry.
        let mut loaded = match self.0.take() {
            Some(loaded) if loaded.is_of(partition.as_ref()) => loaded,
            _ => Loaded::begin(source, partition)?,
        };
        let step = loaded.step(source, request)?;
        self.0 = Some(loaded);
        Ok(step)
    }

    /// Replays new records of the topic, and returns the schema that a key or a value names, with its id.
    pub fn parsed_schema(
        &mut self,
        source: &Source,
        schema: SchemaIdentifier,
    ) -> Result<Option<(i32, Arc<ParsedSchema>)>, StoreError> {
        self.step(source, None)?;
        let Some(Loaded { registry, .. }) = &mut self.0 else { return Ok(None) };
        let id = match schema {
            SchemaIdentifier::Id(id) => Some(id),
            SchemaIdentifier::Guid(guid) => registry.state().id_of(DEFAULT_CONTEXT, &guid),
        };
        let stored = id.and_then(|id| registry.state().by_id(DEFAULT_CONTEXT, id)).map(Arc::clone);
        let parsed = stored.and_then(|stored| Some((stored.id, registry.parsed_schema(&stored).ok()?)));
        Ok(parsed)
    }
}

impl Source {
    /// The topic's only partition; `None` if the topic does not exist.
    fn partition(&self) -> Result<Option<Arc<Partition>>, StoreError> {
        let cluster = self.broker.cluster();
        let Some(topic) = cluster.topic(&self.topic) else { return Ok(None) };
        match topic.image.partition_count() {
            // A deleted partition is in the published view for a moment.
            1 => Ok(Some(Arc::clone(topic.partition(0)?)).filter(|partition| !partition.is_deleted())),
            count => Err(StoreError::Partitions { topic: Arc::clone(&self.topic), count }),
        }
    }

    fn append(
        &self,
        partition: &Arc<Partition>,
        end: LogEnd,
        records: &[Record],
    ) -> Result<Option<Appended>, StoreError> {
        let now = self.broker.now().wall;
        let mut batch = BatchBuilder::new(Codec::None);
        for record in records {
            batch.append(now, Some(&record.key), record.value.as_deref(), &[]);
        }
        let batch = batch.build().map_err(StoreError::Unwritable)?;
        let appended = partition.append_at(end, &batch, Origin::Coordinator, now)?;
        if let Some(appended) = &appended {
            self.broker.after_append(partition, appended);
        }
        Ok(appended)
    }
}

impl Loaded {
    /// An empty registry before the first record of the topic.
    fn begin(source: &Source, partition: Option<Arc<Partition>>) -> Result<Loaded, StoreError> {
        let end = match &partition {
            Some(partition) => LogEnd { offset: partition.offsets()?.start, ..partition.log_end()? },
            None => LogEnd { offset: 0, times_opened: 0 },
        };
        let is_compacted = |topic: &Arc<crate::state::cluster::Topic>| topic.config.cleanup_policy.compact;
        if source.broker.cluster().topic(&source.topic).is_some_and(|topic| !is_compacted(topic)) {
            log_limited!(
                WARN, source.broker.log_rate_limiter(), None, "warnings about the schema registry's topic",
                topic = %source.topic, "the schema registry's topic loses schemas by retention; set its cleanup.policy to compact"
            );
        }
        Ok(Loaded { registry: Registry::new(source.settings.clone()), partition, end })
    }

    /// Whether the state can be that of the partition: the same topic, and the log was not opened again after a failure.
    fn is_of(&self, partition: Option<&Arc<Partition>>) -> bool {
        match (&self.partition, partition) {
            (Some(own), Some(partition)) => {
                Arc::ptr_eq(own, partition) && self.end.times_opened == partition.times_opened()
            }
            (None, None) => true,
            _ => false,
        }
    }

    fn step(&mut self, source: &Source, request: Option<&OwnedRequest>) -> Result<Step, StoreError> {
        for _ in 0..MAX_DECISIONS {
            self.catch_up(source)?;
            let Some(request) = request else { return Ok(self.done(None)) };
            let (records, response) = match handle(&mut self.registry, &request.borrowed()) {
                Decision::Respond(response) => return Ok(self.done(Some(response))),
                Decision::Append { records, response } => (records, response),
            };
            let Some(partition) = self.partition.clone() else { return Ok(Step::NeedsTopic) };
            if source.append(&partition, self.end, &records)?.is_some() {
                self.catch_up(source)?;
                return Ok(self.done(Some(response)));
            }
        }
        Err(StoreError::Contended(Arc::clone(&source.topic)))
    }

    fn done(&self, response: Option<Response>) -> Step {
        Step::Done { response, unsynced: self.partition.clone().map(|partition| (partition, self.end.offset)) }
    }

    /// Replays what was appended since the last time. Records below the start of the log were deleted by a client; what
    /// they said stays until the next start, as in Confluent's registry.
    fn catch_up(&mut self, source: &Source) -> Result<(), StoreError> {
        let Some(partition) = self.partition.clone() else { return Ok(()) };
        let end = partition.log_end()?;
        if end.times_opened != self.end.times_opened || end.offset < self.end.offset {
            *self = Loaded::begin(source, Some(Arc::clone(&partition)))?;
        }
        let mut from = self.end.offset;
        while from < end.offset {
            from = from.max(partition.offsets()?.start);
            let slice = partition.read_copied(from, REPLAY_READ, true, Isolation::ReadUncommitted)?.slice;
            if slice.bytes.is_empty() {
                break;
            }
            for batch in batches(&slice.bytes) {
                let unreadable =
                    |error| StoreError::Unreadable { topic: Arc::clone(&source.topic), offset: from, error };
                let batch = batch.map_err(unreadable)?;
                // Ids of a skipped batch could be given to other schemas.
                batch.check_crc().map_err(unreadable)?;
                self.replay(source, &batch, from).map_err(unreadable)?;
                from = batch.header().next_offset();
            }
            self.end.offset = from;
        }
        self.end.offset = self.end.offset.max(end.offset);
        Ok(())
    }

    /// Replays a batch from an offset on. Records of transactions count whether they are committed or not, because
    /// Confluent's registry reads uncommitted records.
    fn replay(&mut self, source: &Source, batch: &Batch, from: Offset) -> Result<(), ottla_wire::record::RecordError> {
        if batch.header().is_control() {
            return Ok(());
        }
        for record in batch.records() {
            let record = record?;
            if record.offset < from {
                continue;
            }
            let key = record.key.unwrap_or_default();
            if let Err(error) = self.registry.replay(&key, record.value.as_deref(), record.timestamp) {
                log_limited!(
                    WARN, source.broker.log_rate_limiter(), None, "unreadable records of the schema registry's topic",
                    topic = %source.topic, offset = record.offset, %error, "skipped a record of the schema registry's topic"
                );
            }
        }
        Ok(())
    }
}
