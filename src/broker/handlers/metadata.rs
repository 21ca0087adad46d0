//! Metadata (key 3), versions 0 to 13.
//!
//! A topic that the request creates (`auto.create.topics.enable`) is returned in the same response, with its leader
//! and no error. The broker's address is the one that the client can reach. Topics by id from version 12 on; versions
//! 10 and 11 have the field, which Kafka refuses.
//!
//! A partition that this broker does not serve has no leader (LEADER_NOT_AVAILABLE), and its replicas are offline.
//!
//! Departures: a topic with neither name nor id is INVALID_REQUEST, where Kafka answers UNKNOWN_SERVER_ERROR.

use std::collections::HashSet;

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use crate::state::NotCreated;
use crate::state::cluster::{Cluster, Topic};
use ottla_core::metadata::{NO_LEADER, PartitionImage, is_internal, names};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_wire::types::{ErrorCode, PartitionIndex, TopicName, Uuid};

/// The topics that a request names.
enum Requested {
    All,
    Topics(Vec<Named>),
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Named {
    Name(Str),
    Id(Uuid),
}

pub(super) fn handle(context: &Context, request: MetadataRequest) -> Answer {
    let version = context.version();
    let with_operations = request.include_topic_authorized_operations;
    let mut response = response_without_topics(context, version >= 8 && request.include_cluster_authorized_operations);
    let requested = match requested(version, &request) {
        Ok(requested) => requested,
        Err(error) => return refused(request, error).into(),
    };
    let cluster = context.broker.cluster();
    let named = match requested {
        Requested::All => {
            let topics = cluster.topics_by_name().into_iter();
            let visible = topics.filter(|topic| context.allows(Operation::Describe, Resource::Topic(topic.name())));
            response.topics = visible.map(|topic| describe(context, topic, with_operations)).collect();
            return response.into();
        }
        Requested::Topics(named) => named,
    };
    let may_create = request.allow_auto_topic_creation && context.broker.config().topics.auto_create_topics_enable;
    let Authorized { named, missing, denied } = authorize(context, &cluster, named, may_create);
    if missing.is_empty() {
        response.topics = answer_named(context, &cluster, &named, with_operations, &[]);
        response.topics.extend(denied);
        return response.into();
    }
    let context = context.clone();
    // As in Kafka, where the controller creates such topics with the newest version of CreateTopics.
    let (quota, _) = context.mutation_quota(i16::MIN);
    let created = context.broker.create_topics_by_use(missing, quota, context.cause("auto.create.topics.enable"));
    Answer::parked(async move {
        let refused = created.await;
        response.topics = answer_named(&context, &context.broker.cluster(), &named, with_operations, &refused);
        response.topics.extend(denied);
        response
    })
}

/// The topics of a request, by what the caller may do.
struct Authorized {
    named: Vec<Named>,
    /// Those of `named` that are to be created.
    missing: Vec<TopicName>,
    denied: Vec<MetadataResponseTopic>,
}

fn authorize(context: &Context, cluster: &Cluster, named: Vec<Named>, may_create: bool) -> Authorized {
    let (mut named, not_described): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|named| may_describe(context, cluster, named));
    let missing = if may_create { missing_names(cluster, &named) } else { Vec::new() };
    let may_create_all = missing.is_empty() || context.allows(Operation::Create, Resource::Cluster);
    let (missing, not_created): (Vec<_>, Vec<_>) = missing
        .into_iter()
        .partition(|name| may_create_all || context.authorize(Operation::Create, Resource::Topic(name)).is_ok());
    let not_created_names: HashSet<&str> = not_created.iter().map(|name| &**name).collect();
    named.retain(|named| !matches!(named, Named::Name(name) if not_created_names.contains(&**name)));
    let not_created = not_created.iter().map(|name| denied_creation(name));
    let denied = not_created.chain(not_described.into_iter().map(denied_description)).collect();
    Authorized { named, missing, denied }
}

/// Whether the caller may see a topic. The absence of a topic with a given id is visible to every caller.
fn may_describe(context: &Context, cluster: &Cluster, named: &Named) -> bool {
    let name: &str = match named {
        Named::Name(name) => name,
        Named::Id(id) => match cluster.topic_by_id(*id) {
            Some(topic) => topic.name(),
            None => return true,
        },
    };
    context.authorize(Operation::Describe, Resource::Topic(name)).is_ok()
}

/// The result for a topic that the caller may not see, with the name or id of the request only.
fn denied_description(named: Named) -> MetadataResponseTopic {
    let (name, topic_id) = match named {
        Named::Name(name) => (Some(name), Uuid::ZERO),
        Named::Id(id) => (None, id),
    };
    MetadataResponseTopic {
        error_code: ErrorCode::TopicAuthorizationFailed.code(),
        name,
        topic_id,
        ..Default::default()
    }
}

/// The result for a missing topic that the caller may not create.
fn denied_creation(name: &str) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: ErrorCode::TopicAuthorizationFailed.code(),
        name: Some(name.into()),
        is_internal: is_internal(name),
        ..Default::default()
    }
}

/// The response to an invalid request: the error for each of its topics.
fn refused(request: MetadataRequest, error: ErrorCode) -> MetadataResponse {
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| MetadataResponseTopic {
        error_code: error.code(),
        // Null from version 12 on.
        name: Some(topic.name.unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    });
    MetadataResponse { topics: topics.collect(), ..Default::default() }
}

fn requested(version: i16, request: &MetadataRequest) -> Result<Requested, ErrorCode> {
    let topics = match &request.topics {
        None => return Ok(Requested::All),
        // Version 0 has no null: an empty list means all topics.
        Some(topics) if topics.is_empty() && version == 0 => return Ok(Requested::All),
        Some(topics) => topics,
    };
    let by_id = topics.iter().any(|topic| !topic.topic_id.is_zero());
    if version < 12 && (by_id || topics.iter().any(|topic| topic.name.is_none())) {
        return Err(ErrorCode::InvalidRequest);
    }
    if topics.iter().any(|topic| topic.topic_id.is_zero() && topic.name.is_none()) {
        return Err(ErrorCode::InvalidRequest);
    }
    let mut seen = HashSet::new();
    let named = |topic: &ottla_wire::protocol::messages::metadata::MetadataRequestTopic| match &topic.name {
        // If one topic has an id, all are looked up by id, as in Kafka.
        _ if by_id => Some(Named::Id(topic.topic_id)).filter(|_| !topic.topic_id.is_zero()),
        Some(name) => Some(Named::Name(name.clone())),
        None => None,
    };
    // A topic that the request names twice is returned once.
    Ok(Requested::Topics(topics.iter().filter_map(named).filter(|named| seen.insert(named.clone())).collect()))
}

/// The response's brokers, cluster and controller.
fn response_without_topics(context: &Context, with_operations: bool) -> MetadataResponse {
    let endpoint = context.endpoint();
    let node_id = context.broker.node_id();
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id,
            host: endpoint.host.into(),
            port: endpoint.port.into(),
            rack: context.broker.config().rack.as_deref().map(Str::from),
        }],
        cluster_id: Some(context.broker.cluster_id().into()),
        controller_id: node_id,
        cluster_authorized_operations: match with_operations {
            // As in Kafka, no operation for a caller that may not describe the cluster.
            true if context.authorize(Operation::Describe, Resource::Cluster).is_err() => 0,
            requested => context.authorized_operations(requested, Resource::Cluster),
        },
        ..Default::default()
    }
}

fn missing_names(cluster: &Cluster, named: &[Named]) -> Vec<TopicName> {
    let mut missing: Vec<TopicName> = named
        .iter()
        .filter_map(|named| match named {
            Named::Name(name) if cluster.topic(name).is_none() => Some(TopicName::from(&**name)),
            _ => None,
        })
        .collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// Describes the requested topics. `refused` are those that could not be created, with their errors.
fn answer_named(
    context: &Context,
    cluster: &Cluster,
    named: &[Named],
    with_operations: bool,
    refused: &[(TopicName, NotCreated)],
) -> Vec<MetadataResponseTopic> {
    named
        .iter()
        .map(|named| match named {
            Named::Name(name) => match cluster.topic(name) {
                Some(topic) => describe(context, topic, with_operations),
                None => MetadataResponseTopic {
                    topic_authorized_operations: context.authorized_operations(with_operations, Resource::Topic(name)),
                    ..unknown_name(name, refused)
                },
            },
            Named::Id(id) => match cluster.topic_by_id(*id) {
                Some(topic) => describe(context, topic, with_operations),
                None => MetadataResponseTopic {
                    error_code: ErrorCode::UnknownTopicId.code(),
                    topic_id: *id,
                    ..Default::default()
                },
            },
        })
        .collect()
}

fn unknown_name(name: &Str, refused: &[(TopicName, NotCreated)]) -> MetadataResponseTopic {
    let error = match refused.iter().find(|(refused, _)| **refused == **name) {
        // The topic of the metadata log, which clients can neither create nor see.
        Some((_, error)) if error.error_code() == ErrorCode::InvalidRequest => ErrorCode::UnknownTopicOrPartition,
        // The client asks again.
        Some((_, error)) if error.error_code() == ErrorCode::ThrottlingQuotaExceeded => {
            ErrorCode::UnknownTopicOrPartition
        }
        Some((_, error)) => error.error_code(),
        None => match names::check(name) {
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
            Err(_) => ErrorCode::InvalidTopicException,
        },
    };
    MetadataResponseTopic {
        error_code: error.code(),
        name: Some(name.clone()),
        is_internal: is_internal(name),
        ..Default::default()
    }
}

fn describe(context: &Context, topic: &Topic, with_operations: bool) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(Str::from(&**topic.name())),
        topic_id: topic.id(),
        is_internal: topic.image.is_internal(),
        partitions: topic
            .image
            .partitions()
            .map(|(index, partition)| describe_partition(topic, index, partition))
            .collect(),
        topic_authorized_operations: context.authorized_operations(with_operations, Resource::Topic(topic.name())),
    }
}

fn describe_partition(topic: &Topic, index: PartitionIndex, partition: &PartitionImage) -> MetadataResponsePartition {
    let leader = topic.leader(index);
    let error = match leader {
        Some(_) => ErrorCode::None,
        None => ErrorCode::LeaderNotAvailable,
    };
    MetadataResponsePartition {
        error_code: error.code(),
        partition_index: index,
        leader_id: leader.unwrap_or(NO_LEADER),
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.to_vec(),
        isr_nodes: partition.isr.to_vec(),
        offline_replicas: topic.offline_replicas(index),
    }
}
