//! Metadata (key 3), versions 0 to 13.
//!
//! A topic that a client may create by asking for it is answered with its leader and error 0 in the
//! same response. Brokers are told with the address that the asking client can reach. Topics by id
//! from version 12; 10 and 11 have the field, but Kafka didn't mean it yet and refuses it.
//!
//! A partition that this broker doesn't serve has no leader (LEADER_NOT_AVAILABLE), and its replicas are offline.
//!
//! Departures: a topic with neither name nor id is INVALID_REQUEST, where Kafka fails with UNKNOWN_SERVER_ERROR.

use std::collections::HashSet;
use std::sync::Arc;

use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use super::operations;
use crate::state::NotCreated;
use crate::state::cluster::{Cluster, Topic};
use ottla_core::metadata::{NO_LEADER, PartitionImage, is_internal, names};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_wire::types::{ErrorCode, PartitionIndex, TopicName, Uuid};

/// What a request names.
enum Wanted {
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
    let mut frame = frame(context, version >= 8 && request.include_cluster_authorized_operations);
    let wanted = match wanted(version, &request) {
        Ok(wanted) => wanted,
        Err(error) => return refused(request, error).into(),
    };
    let cluster = context.broker.cluster();
    let named = match wanted {
        Wanted::All => {
            frame.topics = cluster.topics_by_name().into_iter().map(|topic| describe(topic, with_operations)).collect();
            return frame.into();
        }
        Wanted::Topics(named) => named,
    };
    let missing = match request.allow_auto_topic_creation && context.broker.config().topics.auto_create_topics_enable {
        true => missing_names(&cluster, &named),
        false => Vec::new(),
    };
    if missing.is_empty() {
        frame.topics = answer_named(&cluster, &named, with_operations, &[]);
        return frame.into();
    }
    let broker = Arc::clone(&context.broker);
    let created = broker.create_topics_by_use(missing);
    Answer::parked(async move {
        let refused = created.await;
        frame.topics = answer_named(&broker.cluster(), &named, with_operations, &refused);
        frame
    })
}

/// The response to a request that cannot be meant: every topic it names, with the error.
fn refused(request: MetadataRequest, error: ErrorCode) -> MetadataResponse {
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| MetadataResponseTopic {
        error_code: error.code(),
        // Null is allowed from version 12 on.
        name: Some(topic.name.unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    });
    MetadataResponse { topics: topics.collect(), ..Default::default() }
}

fn wanted(version: i16, request: &MetadataRequest) -> Result<Wanted, ErrorCode> {
    let topics = match &request.topics {
        None => return Ok(Wanted::All),
        // Version 0 has no null: nothing named means everything.
        Some(topics) if topics.is_empty() && version == 0 => return Ok(Wanted::All),
        Some(topics) => topics,
    };
    let by_id = topics.iter().any(|topic| !topic.topic_id.is_zero());
    if version < 12 && (by_id || topics.iter().any(|topic| topic.name.is_none())) {
        return Err(ErrorCode::InvalidRequest);
    }
    if topics.iter().any(|topic| topic.topic_id.is_zero() && topic.name.is_none()) {
        return Err(ErrorCode::InvalidRequest);
    }
    let mut told = HashSet::new();
    let named = |topic: &ottla_wire::protocol::messages::metadata::MetadataRequestTopic| match &topic.name {
        // One id makes it a request by ids, as in Kafka.
        _ if by_id => Some(Named::Id(topic.topic_id)).filter(|_| !topic.topic_id.is_zero()),
        Some(name) => Some(Named::Name(name.clone())),
        None => None,
    };
    // What is asked for twice is answered once.
    Ok(Wanted::Topics(topics.iter().filter_map(named).filter(|named| told.insert(named.clone())).collect()))
}

/// The response without its topics.
fn frame(context: &Context, with_operations: bool) -> MetadataResponse {
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
            true => operations::CLUSTER,
            false => operations::NOT_ASKED,
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

/// `refused`: topics that couldn't be created, and why.
fn answer_named(
    cluster: &Cluster,
    named: &[Named],
    with_operations: bool,
    refused: &[(TopicName, NotCreated)],
) -> Vec<MetadataResponseTopic> {
    named
        .iter()
        .map(|named| match named {
            Named::Name(name) => match cluster.topic(name) {
                Some(topic) => describe(topic, with_operations),
                None => unknown_name(name, refused),
            },
            Named::Id(id) => match cluster.topic_by_id(*id) {
                Some(topic) => describe(topic, with_operations),
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
        // The metadata log's own topic: no client can make it, or see it.
        Some((_, error)) if error.error_code() == ErrorCode::InvalidRequest => ErrorCode::UnknownTopicOrPartition,
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

fn describe(topic: &Topic, with_operations: bool) -> MetadataResponseTopic {
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
        topic_authorized_operations: match with_operations {
            true => operations::TOPIC,
            false => operations::NOT_ASKED,
        },
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
