//! The state of the registry up to an offset of its topic, and decisions on it.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::StoreError;
use crate::log_rate_limiter::log_limited;
use crate::state::Broker;
use crate::state::partition::{Isolation, LogEnd, Partition};
use ottla_log::{Appended, Origin};
use ottla_registry::api::{Decision, OwnedRequest, Request, Response, Work, handle};
use ottla_registry::codec::SchemaIdentifier;
use ottla_registry::schema::ParsedSchema;
use ottla_registry::store::{Record, Registry, RegistrySettings, SchemaIndex};
use ottla_registry::subject::DEFAULT_CONTEXT;
use ottla_wire::record::{Batch, BatchBuilder, Codec, batches};
use ottla_wire::types::{Offset, TopicName};

/// Bytes read at a time when the topic is replayed.
const REPLAY_READ: usize = 1 << 20;
/// How often a request is decided again because others have written to the topic meanwhile.
const MAX_DECISIONS: usize = 100;

/// The replayed topic.
#[derive(Default)]
pub(super) struct Replica {
    /// Held while records are replayed, and while requests are decided that only read; not during comparisons. Empty before
    /// the first request, and after a failure: then the topic is replayed from its start.
    state: Mutex<Option<Loaded>>,
    /// What produced records are validated against; changed while `state` is held.
    published: RwLock<Option<Published>>,
}

/// The schemas up to an offset of the topic.
#[derive(Clone)]
pub(super) struct Published {
    /// `None` while the topic does not exist.
    partition: Option<Arc<Partition>>,
    end: LogEnd,
    pub index: Arc<SchemaIndex>,
}

impl Published {
    /// Whether these are the schemas of the topic, perhaps without the newest ones.
    pub fn is_of(&self, partition: Option<&Arc<Partition>>) -> bool {
        is_of(self.partition.as_ref(), self.end, partition)
    }

    /// Whether nothing was appended since. Does not lock the partition.
    pub fn is_current(&self) -> bool {
        self.partition
            .as_ref()
            .is_none_or(|partition| partition.figures().is_some_and(|figures| figures.end <= self.end.offset))
    }
}

/// Whether a state up to an end of a log can be that of the partition: the same topic, and the log was not opened again after
/// a failure.
fn is_of(own: Option<&Arc<Partition>>, end: LogEnd, partition: Option<&Arc<Partition>>) -> bool {
    match (own, partition) {
        (Some(own), Some(partition)) => Arc::ptr_eq(own, partition) && end.times_opened == partition.times_opened(),
        (None, None) => true,
        _ => false,
    }
}

/// Where a replica gets its records.
pub(super) struct Source {
    pub broker: Arc<Broker>,
    pub topic: TopicName,
    pub settings: Arc<RegistrySettings>,
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
    index: Arc<SchemaIndex>,
    /// `None` while the topic does not exist.
    partition: Option<Arc<Partition>>,
    /// The end of the log up to which records are replayed.
    end: LogEnd,
}

impl Replica {
    /// Replays new records of the topic, and decides on a request. Blocks on the disk, and for the time of comparisons.
    pub fn step(&self, source: &Source, request: Option<&OwnedRequest>) -> Result<Step, StoreError> {
        for _ in 0..MAX_DECISIONS {
            let Some(request) = request else {
                return self.with_current(source, |loaded| loaded.done(None));
            };
            let (decision, partition, end) = self.decide(source, request, handle)?;
            let (records, response) = match decision {
                Decision::Respond(response) => return Ok(Step::done(Some(response), partition, end)),
                Decision::Append { records, response } => (records, response),
            };
            let Some(partition) = partition else { return Ok(Step::NeedsTopic) };
            if source.append(&partition, end, &records)?.is_some() {
                return self.with_current(source, |loaded| loaded.done(Some(response)));
            }
        }
        Err(StoreError::Contended(Arc::clone(&source.topic)))
    }

    /// Decides on a request with what is replayed now. A decision that may take long uses a snapshot, so that others are
    /// answered meanwhile; it is dropped when the decision is known, because a replay beside a snapshot copies the state.
    fn decide(
        &self,
        source: &Source,
        request: &OwnedRequest,
        handle: fn(&mut Registry, &Request<'_>) -> Decision,
    ) -> Result<(Decision, Option<Arc<Partition>>, LogEnd), StoreError> {
        let request = &request.borrowed();
        if request.work() == Work::Read {
            return self.with_current(source, |loaded| {
                (handle(&mut loaded.registry, request), loaded.partition.clone(), loaded.end)
            });
        }
        let (mut snapshot, partition, end) =
            self.with_current(source, |loaded| (loaded.registry.clone(), loaded.partition.clone(), loaded.end))?;
        Ok((handle(&mut snapshot, request), partition, end))
    }

    /// Replays new records of the topic.
    pub fn catch_up(&self, source: &Source) -> Result<(), StoreError> {
        self.with_current(source, |_| ())
    }

    /// Replays new records of the topic, and returns the schema that a key or a value names, with its id.
    pub fn parsed_schema(
        &self,
        source: &Source,
        schema: SchemaIdentifier,
    ) -> Result<Option<(i32, Arc<ParsedSchema>)>, StoreError> {
        let mut snapshot = self.with_current(source, |loaded| loaded.registry.clone())?;
        let id = match schema {
            SchemaIdentifier::Id(id) => Some(id),
            SchemaIdentifier::Guid(guid) => snapshot.state().id_of(DEFAULT_CONTEXT, &guid),
        };
        let stored = id.and_then(|id| snapshot.state().by_id(DEFAULT_CONTEXT, id)).map(Arc::clone);
        Ok(stored.and_then(|stored| Some((stored.id, snapshot.parsed_schema(&stored).ok()?))))
    }

    /// The schemas that are replayed; `None` before the first time, and after a failure.
    pub fn published(&self) -> Option<Published> {
        self.published.read().clone()
    }

    /// A snapshot of what is replayed; `None` before the first time, and after a failure.
    pub fn snapshot(&self) -> Option<Registry> {
        self.state.lock().as_ref().map(|loaded| loaded.registry.clone())
    }

    /// Replays new records of the topic, and uses the state.
    fn with_current<T>(&self, source: &Source, work: impl FnOnce(&mut Loaded) -> T) -> Result<T, StoreError> {
        let partition = source.partition()?;
        let mut state = self.state.lock();
        // Taken out, so that after an error or a panic the next request begins with an empty registry.
        let mut loaded = match state.take() {
            Some(loaded) if is_of(loaded.partition.as_ref(), loaded.end, partition.as_ref()) => loaded,
            _ => Loaded::begin(source, partition)?,
        };
        if let Err(error) = loaded.catch_up(source) {
            *self.published.write() = None;
            return Err(error);
        }
        self.publish(&loaded);
        let done = work(&mut loaded);
        *state = Some(loaded);
        Ok(done)
    }

    fn publish(&self, loaded: &Loaded) {
        let is_same = |published: &Published| {
            is_of(published.partition.as_ref(), published.end, loaded.partition.as_ref())
                && published.end == loaded.end
                && Arc::ptr_eq(&published.index, &loaded.index)
        };
        if !self.published.read().as_ref().is_some_and(is_same) {
            let (partition, end, index) = (loaded.partition.clone(), loaded.end, Arc::clone(&loaded.index));
            *self.published.write() = Some(Published { partition, end, index });
        }
    }
}

impl Step {
    fn done(response: Option<Response>, partition: Option<Arc<Partition>>, end: LogEnd) -> Step {
        Step::Done { response, unsynced: partition.map(|partition| (partition, end.offset)) }
    }
}

impl Source {
    /// The topic's only partition; `None` if the topic does not exist.
    pub fn partition(&self) -> Result<Option<Arc<Partition>>, StoreError> {
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
        let registry = Registry::new(RegistrySettings::clone(&source.settings));
        Ok(Loaded { index: registry.index(), registry, partition, end })
    }

    fn done(&self, response: Option<Response>) -> Step {
        Step::done(response, self.partition.clone(), self.end)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use std::cell::Cell;

    thread_local! {
        /// What the decision of the test looks at.
        static REPLICA: Cell<Option<Arc<Replica>>> = const { Cell::new(None) };
    }

    /// Says whether others can use the registry during the decision.
    fn is_free(_: &mut Registry, _: &Request<'_>) -> Decision {
        let replica = REPLICA.take().unwrap();
        let body = replica.state.try_lock().is_some().to_string();
        REPLICA.set(Some(replica));
        Decision::Respond(Response { status: 200, content_type: "", body })
    }

    #[test]
    fn registry_is_free_for_others_while_schemas_are_compared() {
        let mut host = Host::new(1, &[]);
        host.run(async |running| {
            let replica = Arc::new(Replica::default());
            REPLICA.set(Some(Arc::clone(&replica)));
            let broker = Arc::clone(&running.broker);
            let source = Source { broker, topic: "_schemas".into(), settings: Arc::default() };
            for (method, path, expect) in [
                ("GET", "/subjects", "false"),
                ("POST", "/subjects/s", "true"),
                ("POST", "/subjects/s/versions", "true"),
                ("POST", "/compatibility/subjects/s/versions", "true"),
            ] {
                let request = OwnedRequest { method: method.to_owned(), path: path.to_owned(), ..Default::default() };
                let (decision, ..) = replica.decide(&source, &request, is_free).unwrap();
                assert!(matches!(decision, Decision::Respond(response) if response.body == expect), "{method} {path}");
            }
        })
        .unwrap();
    }
}
