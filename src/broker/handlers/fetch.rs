//! Fetch (key 1), versions 0 to 18.
//!
//! Fetch sessions (KIP-227) from version 7; topics by id from 13. The records of a partition are empty, never null,
//! because librdkafka does not accept null. Versions 0 to 3 get message formats 0 and 1, converted if need be; later
//! versions get records as they are stored. A fetch without enough records waits for appends, see
//! [`crate::state::fetch`].
//!
//! Departures: there are no followers, so the fields of replicas are ignored. Batches are always complete, whereas
//! Kafka truncates the last batch at the limit and pads converted ones. The first batch is returned even if it exceeds
//! the limit, also in versions 0 to 2. Aborted transactions are those with records in the response, whereas Kafka may
//! include some that begin after it. A limit below 0 is treated as 0, and an unknown isolation level as
//! read_uncommitted, whereas Kafka returns UNKNOWN_SERVER_ERROR.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::denied_topics::DeniedTopics;
use super::errors::ToErrorCode;
use super::throttling;
use crate::blocking;
use crate::state::Broker;
use crate::state::cluster::Cluster;
use crate::state::fetch::{Fetch, FetchFault, FetchPartition, FetchResult, Fetched};
use crate::state::fetch_sessions::{Answered, FetchContext, FetchKey, FetchTopic, PartitionRequest, SessionRequest};
use crate::state::partition::{Isolation, Read};
use crate::state::traffic::TopicTraffic;
use ottla_config::CompressionType;
use ottla_wire::codec::Str;
use ottla_wire::protocol::frame::response_size;
use ottla_wire::protocol::messages::fetch::{
    AbortedTransaction, EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use ottla_wire::record::{OldFormat, down_convert};
use ottla_wire::types::{ErrorCode, TopicName, Uuid};

/// The largest number of bytes that one response converts to an old format, except for its first batch. Converted
/// records are held in memory, whereas stored records are not.
const MAX_CONVERTED_BYTES: usize = 4 << 20;

pub(super) fn handle(context: &Context, request: FetchRequest) -> Answer {
    let version = context.version();
    let cluster = context.broker.cluster();
    let (max_wait_ms, limits) = (request.max_wait_ms, Limits::of(context, &request));
    let follower = is_from_follower(&request);
    let session = session_request(version, request);
    let fetch_context = match context.broker.begin_fetch(session) {
        Ok(fetch_context) => fetch_context,
        Err(error) => {
            return FetchResponse { error_code: error.error_code().code(), ..Default::default() }.into();
        }
    };
    let follower_may_read = follower.then(|| context.authorize(Operation::ClusterAction, Resource::Cluster).is_ok());
    let rights = Rights::of(context, &cluster, follower_may_read, &fetch_context.partitions);
    let find = |(key, ask): &_| find_partition(context, &cluster, key, ask, &rights);
    let partitions = fetch_context.partitions.iter().map(find).collect();
    let fetch = Fetch {
        partitions,
        max_bytes: limits.max_bytes,
        min_bytes: limits.min_bytes,
        isolation: limits.isolation,
        converted: OldFormat::for_fetch(version).is_some(),
    };
    let traffic = fetch.partitions.iter().map(|it| it.partition.as_ref().ok().map(|it| Arc::clone(it.traffic())));
    let answering = Answering {
        broker: Arc::clone(&context.broker),
        traffic: traffic.collect(),
        version,
        session: fetch_context,
        metered: context.metering.is_some().then(|| context.clone()),
    };
    if fetch.converted {
        return converted(answering, fetch, max_wait_ms);
    }
    let result = fetch.read();
    if max_wait_ms <= 0 || fetch.is_satisfied_by(&result) {
        return answering.respond(result.partitions).into();
    }
    let max_wait = Duration::from_millis(max_wait_ms.unsigned_abs().into());
    Answer::parked(async move {
        let waiting = answering.broker.work_figures().waiting_fetches.begin();
        let result = fetch.wait(answering.broker.clock(), max_wait).await;
        drop(waiting);
        answering.count_expired(&result);
        answering.respond(result.partitions)
    })
}

/// Returns records converted to an old format. The response is built on a blocking thread, and only when all earlier
/// responses have been sent, so that a connection has at most one of them in memory.
fn converted(answering: Answering, fetch: Fetch, max_wait_ms: i32) -> Answer {
    let max_wait = Duration::from_millis(max_wait_ms.max(0).unsigned_abs().into());
    Answer::parked(async move {
        let waiting = answering.broker.work_figures().waiting_fetches.begin();
        let result = fetch.wait(answering.broker.clock(), max_wait).await;
        drop(waiting);
        answering.count_expired(&result);
        let response = blocking::run(move || answering.respond(result.partitions));
        response.await.unwrap_or_else(|_| FetchResponse::default())
    })
}

/// The limits of a request, for all its partitions.
struct Limits {
    max_bytes: usize,
    min_bytes: usize,
    isolation: Isolation,
}

impl Limits {
    fn of(context: &Context, request: &FetchRequest) -> Limits {
        let max_bytes =
            usize::try_from(request.max_bytes).unwrap_or(0).min(context.broker.config().fetch.fetch_max_bytes);
        let max_bytes = match OldFormat::for_fetch(context.version()) {
            Some(_) => max_bytes.min(MAX_CONVERTED_BYTES),
            None => max_bytes,
        };
        // A larger response would be throttled whatever the client fetched before.
        let within_quota = context.broker.quotas().max_fetch_bytes(context.client()).unwrap_or(usize::MAX);
        let max_bytes = max_bytes.min(within_quota);
        Limits {
            max_bytes,
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
            isolation: match request.isolation_level {
                1 => Isolation::ReadCommitted,
                _ => Isolation::ReadUncommitted,
            },
        }
    }
}

fn session_request(version: i16, request: FetchRequest) -> SessionRequest {
    let uses_topic_ids = version >= 13;
    let topic_of = |name: &Str, id: Uuid| match uses_topic_ids {
        true => FetchTopic::Id(id),
        // Copied: a session outlives the request, and the name is a slice of the request.
        false => FetchTopic::Name(TopicName::from(&**name)),
    };
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let name = topic_of(&topic.topic, topic.topic_id);
        partitions.extend(topic.partitions.iter().map(|requested| {
            let ask = PartitionRequest {
                fetch_offset: requested.fetch_offset,
                max_bytes: requested.partition_max_bytes,
                current_leader_epoch: requested.current_leader_epoch,
                last_fetched_epoch: requested.last_fetched_epoch,
            };
            (FetchKey { topic: name.clone(), partition: requested.partition }, ask)
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let name = topic_of(&topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|&partition| FetchKey { topic: name.clone(), partition }));
    }
    SessionRequest {
        session_id: request.session_id,
        // Before version 7 there are no sessions; the field's default has this meaning.
        epoch: request.session_epoch,
        uses_topic_ids,
        partitions,
        forgotten,
    }
}

/// Whether the request has the id of a replica: such a reader needs ClusterAction, and no right on topics.
fn is_from_follower(request: &FetchRequest) -> bool {
    request.replica_id >= 0 || request.replica_state.replica_id >= 0
}

/// Decides on the partitions of one request.
struct Rights {
    /// `None` for a consumer, which needs Read on each topic.
    follower_may_read: Option<bool>,
    /// The topics that a consumer may not read.
    denied: DeniedTopics,
}

impl Rights {
    /// Decides on all partitions of the request and its session. A topic counts once for each partition.
    fn of(
        context: &Context,
        cluster: &Cluster,
        follower_may_read: Option<bool>,
        partitions: &[(FetchKey, PartitionRequest)],
    ) -> Rights {
        let keys = partitions.iter().filter(|_| follower_may_read.is_none());
        let names = keys.filter_map(|(key, _)| topic_name(cluster, &key.topic));
        Rights { follower_may_read, denied: context.denied_topics(Operation::Read, names.map(|name| &**name)) }
    }

    fn is_denied(&self, topic: Option<&TopicName>) -> bool {
        match self.follower_may_read {
            Some(may_read) => !may_read,
            None => topic.is_some_and(|topic| self.denied.contains(topic)),
        }
    }
}

fn topic_name<'a>(cluster: &'a Cluster, topic: &'a FetchTopic) -> Option<&'a TopicName> {
    match topic {
        FetchTopic::Name(name) => Some(name),
        FetchTopic::Id(id) => cluster.topic_by_id(*id).map(|topic| topic.name()),
    }
}

fn find_partition(
    context: &Context,
    cluster: &Cluster,
    key: &FetchKey,
    ask: &PartitionRequest,
    rights: &Rights,
) -> FetchPartition {
    let (topic, missing) = match &key.topic {
        FetchTopic::Name(name) => (cluster.topic(name), FetchFault::UnknownTopicOrPartition),
        FetchTopic::Id(id) => (cluster.topic_by_id(*id), FetchFault::UnknownTopicId),
    };
    // Message formats 0 and 1 do not support zstd.
    let is_zstd = topic.is_some_and(|topic| topic.config.compression_type == CompressionType::Zstd);
    let error_for_client = (context.version() < 4 && is_zstd).then_some(FetchFault::UnsupportedCompression);
    let denied = rights.is_denied(topic_name(cluster, &key.topic));
    let partition = match topic {
        _ if denied => Err(FetchFault::TopicAuthorizationFailed),
        None => Err(missing),
        Some(topic) => topic.partition(key.partition).cloned().map_err(FetchFault::from),
    };
    FetchPartition { key: key.clone(), request: *ask, partition, error_for_client }
}

/// A fetch whose partitions are read, and that is to be answered.
struct Answering {
    broker: Arc<Broker>,
    /// The counters of each partition's topic.
    traffic: Vec<Option<Arc<TopicTraffic>>>,
    version: i16,
    session: FetchContext,
    /// The request, if there are quotas.
    metered: Option<Context>,
}

impl Answering {
    /// Counts a fetch whose longest wait has passed.
    fn count_expired(&self, result: &FetchResult) {
        if result.expired {
            self.broker.work_figures().expired_fetches.increment();
        }
    }

    /// Updates the fetch session and builds the response. If the client exceeds a quota, its session does not change and
    /// the response is empty: it fetches the same again when it is no longer throttled, as in Kafka.
    fn respond(&self, fetched: Vec<Fetched>) -> FetchResponse {
        let partitions = self.session.partitions.iter().zip(fetched);
        let data: Vec<PartitionData> =
            partitions.map(|((key, ask), fetched)| partition_data(self.version, key, ask, fetched)).collect();
        let partitions = self.session.partitions.iter().zip(&data);
        let answered: Vec<(FetchKey, Answered)> =
            partitions.map(|((key, _), data)| (key.clone(), answered(data))).collect();
        if let Some(throttled) = self.throttled(&answered, &data) {
            return throttled;
        }
        self.count(&data);
        match self.broker.finish_fetch(&self.session, &answered) {
            Ok((session_id, included)) => {
                let changed = answered.into_iter().zip(data).zip(included).filter(|(_, included)| *included);
                let responses = by_topic(changed.map(|(((key, _), data), _)| (key.topic, data)));
                FetchResponse { session_id, responses, ..Default::default() }
            }
            Err(error) => FetchResponse { error_code: error.error_code().code(), ..Default::default() },
        }
    }

    /// Counts what the client gets, by topic.
    fn count(&self, data: &[PartitionData]) {
        let is_converted = OldFormat::for_fetch(self.version).is_some();
        for (traffic, data) in self.traffic.iter().zip(data) {
            let Some(traffic) = traffic else { continue };
            traffic.add(|counters| &counters.fetch_requests, 1);
            let bytes = data.records.as_ref().map_or(0, Bytes::len) as u64;
            if bytes > 0 {
                traffic.add(|counters| &counters.bytes_out, bytes);
                if is_converted {
                    traffic.add(|counters| &counters.converted, 1);
                }
            }
            if data.error_code == ErrorCode::KafkaStorageError.code() {
                traffic.add(|counters| &counters.failed_fetch, 1);
            }
        }
    }

    /// Counts the response. Returns an empty one if the client exceeds a quota with it.
    fn throttled(&self, answered: &[(FetchKey, Answered)], data: &[PartitionData]) -> Option<FetchResponse> {
        let context = self.metered.as_ref()?;
        // Finishing the fetch gives the same error.
        let (session_id, included) = self.broker.preview_fetch(&self.session, answered).ok()?;
        let throttle_time_ms = throttling::fetched(context, || {
            let changed = answered.iter().zip(data).zip(included).filter(|(_, included)| *included);
            let responses = by_topic(changed.map(|(((key, _), data), _)| (key.topic.clone(), data.clone())));
            let response = FetchResponse { responses, ..Default::default() };
            response_size(self.version, &response.into()).unwrap_or_default()
        });
        (throttle_time_ms > 0).then(|| FetchResponse { throttle_time_ms, session_id, ..Default::default() })
    }
}

fn answered(data: &PartitionData) -> Answered {
    Answered {
        has_records: data.records.as_ref().is_some_and(|records| !records.is_empty()),
        must_include: data.error_code != 0 || data.diverging_epoch != EpochEndOffset::default(),
        high_watermark: data.high_watermark,
        log_start_offset: data.log_start_offset,
    }
}

/// Groups partitions by topic, in the order in which they were read.
fn by_topic(partitions: impl Iterator<Item = (FetchTopic, PartitionData)>) -> Vec<FetchableTopicResponse> {
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut index_of: HashMap<FetchTopic, usize> = HashMap::new();
    for (topic, data) in partitions {
        let index = *index_of.entry(topic.clone()).or_insert_with(|| {
            let (name, topic_id) = match &topic {
                FetchTopic::Name(name) => (Str::from(&**name), Uuid::ZERO),
                FetchTopic::Id(id) => (Str::new(), *id),
            };
            responses.push(FetchableTopicResponse { topic: name, topic_id, partitions: Vec::new() });
            responses.len() - 1
        });
        responses[index].partitions.push(data);
    }
    responses
}

fn partition_data(version: i16, key: &FetchKey, ask: &PartitionRequest, fetched: Fetched) -> PartitionData {
    match fetched {
        Fetched::Read(read) => read_data(version, key, ask, read),
        Fetched::Diverging { epoch, end_offset, offsets } => PartitionData {
            partition_index: key.partition,
            high_watermark: offsets.end,
            last_stable_offset: offsets.last_stable,
            log_start_offset: offsets.start,
            diverging_epoch: EpochEndOffset { epoch, end_offset },
            records: Some(Bytes::new()),
            ..Default::default()
        },
        Fetched::Fault(fault) => failed(key, fault.error_code()),
    }
}

fn read_data(version: i16, key: &FetchKey, ask: &PartitionRequest, read: Read) -> PartitionData {
    let records = match OldFormat::for_fetch(version) {
        Some(format) => down_convert(&read.slice.bytes, format, ask.fetch_offset),
        None => Ok(read.slice.bytes),
    };
    let records = match records {
        Ok(records) => records,
        Err(error) => return failed(key, error.error_code()),
    };
    let aborted = read
        .aborted
        .iter()
        .map(|txn| AbortedTransaction { producer_id: txn.producer_id, first_offset: txn.first_offset })
        .collect();
    PartitionData {
        partition_index: key.partition,
        error_code: ErrorCode::None.code(),
        high_watermark: read.high_watermark,
        last_stable_offset: read.last_stable_offset,
        log_start_offset: read.log_start_offset,
        aborted_transactions: read.committed_only.then_some(aborted),
        records: Some(records),
        ..Default::default()
    }
}

fn failed(key: &FetchKey, code: ErrorCode) -> PartitionData {
    // As Kafka: empty for unknown topics, otherwise null.
    let aborted_transactions = match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => Some(Vec::new()),
        _ => None,
    };
    PartitionData {
        partition_index: key.partition,
        error_code: code.code(),
        high_watermark: -1,
        aborted_transactions,
        records: Some(Bytes::new()),
        ..Default::default()
    }
}
