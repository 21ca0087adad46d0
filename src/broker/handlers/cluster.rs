//! DescribeLogDirs (key 35, versions 0 to 5), DescribeCluster (60, 0 to 2), UnregisterBroker (64, version 0)
//! and DescribeTopicPartitions (75, version 0).
//!
//! Departures: UnregisterBroker refuses this broker, because it is running (INVALID_REQUEST). In
//! DescribeTopicPartitions an empty name is an invalid topic name, whereas Kafka returns UNKNOWN_SERVER_ERROR.

use std::collections::HashMap;
use std::sync::Arc;

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use crate::blocking;
use crate::state::Broker;
use crate::state::cluster::Topic;
use crate::state::partition::Partition;
use ottla_core::metadata::{NO_LEADER, PartitionImage, UnregisterBroker, names};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use ottla_wire::protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};
use ottla_wire::protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use ottla_wire::protocol::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use ottla_wire::types::{ErrorCode, PartitionIndex};

/// The endpoint types of DescribeCluster.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn describe_log_dirs(context: &Context, request: DescribeLogDirsRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Describe, Resource::Cluster) {
        return DescribeLogDirsResponse { error_code: denied.error_code().code(), ..Default::default() }.into();
    }
    let broker = Arc::clone(&context.broker);
    // May block: opens the logs that have not been used yet.
    Answer::parked(async move {
        let described = blocking::run(move || log_dirs(&broker, request)).await;
        described.unwrap_or_else(|_| DescribeLogDirsResponse {
            error_code: ErrorCode::UnknownServerError.code(),
            ..Default::default()
        })
    })
}

fn log_dirs(broker: &Broker, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let cluster = broker.cluster();
    let topics = match request.topics {
        None => cluster.topics_by_name().into_iter().map(|topic| described_logs(topic, |_| true)).collect::<Vec<_>>(),
        Some(requested) => {
            let mut wanted: HashMap<Str, Vec<PartitionIndex>> = HashMap::new();
            for topic in requested {
                wanted.entry(topic.topic).or_default().extend(topic.partitions);
            }
            let logs = wanted.iter().filter_map(|(name, indexes)| {
                Some(described_logs(cluster.topic(name)?, |index| indexes.contains(&index)))
            });
            logs.collect()
        }
    };
    let topics = topics.into_iter().filter(|topic: &DescribeLogDirsTopic| !topic.partitions.is_empty()).collect();
    let (total_bytes, usable_bytes) = broker.log_dir().disk_space().unwrap_or((-1, -1));
    let result = DescribeLogDirsResult {
        log_dir: broker.log_dir().absolute_path().display().to_string().into(),
        topics,
        total_bytes,
        usable_bytes,
        ..Default::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
}

fn described_logs(topic: &Topic, wanted: impl Fn(PartitionIndex) -> bool) -> DescribeLogDirsTopic {
    let described = |partition: &Arc<Partition>| DescribeLogDirsPartition {
        partition_index: partition.id().partition,
        partition_size: partition.size().map_or(0, |size| i64::try_from(size).unwrap_or(i64::MAX)),
        // With one node, the log is never behind the high watermark.
        offset_lag: 0,
        is_future_key: false,
    };
    let partitions = topic.local_partitions().filter(|partition| wanted(partition.id().partition));
    DescribeLogDirsTopic { name: Str::from(&**topic.name()), partitions: partitions.map(described).collect() }
}

pub(super) fn describe_cluster(context: &Context, request: DescribeClusterRequest) -> Answer {
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message =
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            return refuse_cluster(ErrorCode::MismatchedEndpointType, message.to_owned());
        }
        other => {
            let message = format!("Unsupported endpoint type {other}");
            return refuse_cluster(ErrorCode::UnsupportedEndpointType, message);
        }
    }
    let endpoint = context.endpoint();
    let node_id = context.broker.node_id();
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: context.broker.cluster_id().into(),
        controller_id: node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: node_id,
            host: endpoint.host.into(),
            port: endpoint.port.into(),
            rack: context.broker.config().rack.as_deref().map(Str::from),
            is_fenced: false,
        }],
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            // As in Kafka, no operation for a caller that may not describe the cluster.
            true if context.authorize(Operation::Describe, Resource::Cluster).is_err() => 0,
            requested => context.authorized_operations(requested, Resource::Cluster),
        },
        ..Default::default()
    }
    .into()
}

fn refuse_cluster(error: ErrorCode, message: String) -> Answer {
    DescribeClusterResponse { error_code: error.code(), error_message: Some(message.into()), ..Default::default() }
        .into()
}

pub(super) fn unregister_broker(context: &Context, request: UnregisterBrokerRequest) -> Answer {
    let refused = |error: ErrorCode, message: String| UnregisterBrokerResponse {
        error_code: error.code(),
        error_message: Some(message.into()),
        ..Default::default()
    };
    if let Err(denied) = context.authorize(Operation::Alter, Resource::Cluster) {
        return refused(denied.error_code(), denied.message().to_owned()).into();
    }
    let submitted = context.broker.metadata().submit(UnregisterBroker(request.broker_id));
    Answer::parked(async move {
        match submitted.await {
            Ok(Ok(())) => UnregisterBrokerResponse::default(),
            Ok(Err(error)) => refused(error.error_code(), error.to_string()),
            Err(error) => refused(error.error_code(), error.to_string()),
        }
    })
}

pub(super) fn describe_topic_partitions(context: &Context, request: DescribeTopicPartitionsRequest) -> Answer {
    let cluster = context.broker.cluster();
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let max = context.broker.config().topics.max_request_partition_size_limit;
    let left = limit.clamp(1, max.max(1));
    let mut page = Page { context, remaining: left, response: Default::default() };
    // Sorted by name in both cases, so that a cursor names a position.
    let mut names: Vec<Str> = match request.topics.is_empty() {
        true => cluster.topics_by_name().into_iter().map(|topic| Str::from(&**topic.name())).collect(),
        false => request.topics.iter().map(|topic| topic.name.clone()).collect(),
    };
    names.sort_unstable();
    names.dedup();
    let all = request.topics.is_empty();
    let (from_topic, mut from_partition) = match request.cursor {
        Some(cursor) if cursor.partition_index < 0 || (!all && !names.contains(&cursor.topic_name)) => {
            return refuse_topics(names).into();
        }
        Some(cursor) => (cursor.topic_name, cursor.partition_index),
        None => (Str::new(), 0),
    };
    let wanted = names.into_iter().filter(|name| *name >= from_topic);
    let (wanted, denied): (Vec<_>, Vec<_>) = wanted.partition(|name| match all {
        true => context.allows(Operation::Describe, Resource::Topic(name)),
        false => context.authorize(Operation::Describe, Resource::Topic(name)).is_ok(),
    });
    for name in wanted {
        // The cursor's partition applies to the cursor's topic only.
        let first = if name == from_topic { std::mem::take(&mut from_partition) } else { 0 };
        let more = match cluster.topic(&name) {
            _ if page.remaining == 0 => page.stop_at(&name, 0),
            Some(topic) => page.add(topic, first),
            None => page.add_unknown(name),
        };
        if !more {
            break;
        }
    }
    // Topics that the caller may not see are returned only if the request names them, without their ids.
    if !all {
        page.response.topics.extend(denied.into_iter().map(denied_topic));
    }
    page.response.into()
}

fn denied_topic(name: Str) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::TopicAuthorizationFailed.code(),
        name: Some(name),
        ..Default::default()
    }
}

/// The response to an invalid cursor.
fn refuse_topics(names: Vec<Str>) -> DescribeTopicPartitionsResponse {
    let topics = names.into_iter().map(|name| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::InvalidRequest.code(),
        name: Some(name),
        ..Default::default()
    });
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}

/// A response that is filled up to the limit on partitions.
struct Page<'a> {
    context: &'a Context,
    /// Partitions that may still be added.
    remaining: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from partition `first` on. Returns whether the page may take more topics.
    fn add(&mut self, topic: &Topic, first: PartitionIndex) -> bool {
        let rest = topic.image.partitions().filter(|(index, _)| *index >= first);
        let partitions: Vec<_> =
            rest.take(self.remaining).map(|(index, image)| described_partition(topic, index, image)).collect();
        self.remaining -= partitions.len();
        let next = partitions.last().map_or(first, |last| last.partition_index + 1);
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::None.code(),
            name: Some(Str::from(&**topic.name())),
            topic_id: topic.id(),
            is_internal: topic.image.is_internal(),
            partitions,
            topic_authorized_operations: self.context.authorized_operations(true, Resource::Topic(topic.name())),
        });
        match next < topic.image.partition_count() {
            true => self.stop_at(topic.name(), next),
            false => true,
        }
    }

    fn add_unknown(&mut self, name: Str) -> bool {
        let error = match names::check(&name) {
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
            Err(_) => ErrorCode::InvalidTopicException,
        };
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: error.code(),
            is_internal: ottla_core::metadata::is_internal(&name),
            topic_authorized_operations: self.context.authorized_operations(true, Resource::Topic(&name)),
            name: Some(name),
            ..Default::default()
        });
        true
    }

    fn stop_at(&mut self, topic: &str, partition_index: PartitionIndex) -> bool {
        self.response.next_cursor = Some(Cursor { topic_name: topic.into(), partition_index });
        false
    }
}

fn described_partition(
    topic: &Topic,
    index: PartitionIndex,
    image: &PartitionImage,
) -> DescribeTopicPartitionsResponsePartition {
    let leader = topic.leader(index);
    let error = match leader {
        Some(_) => ErrorCode::None,
        None => ErrorCode::LeaderNotAvailable,
    };
    DescribeTopicPartitionsResponsePartition {
        error_code: error.code(),
        partition_index: index,
        leader_id: leader.unwrap_or(NO_LEADER),
        leader_epoch: image.leader_epoch,
        replica_nodes: image.replicas.to_vec(),
        isr_nodes: image.isr.to_vec(),
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: topic.offline_replicas(index),
    }
}
