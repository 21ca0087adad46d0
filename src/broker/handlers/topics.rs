//! CreateTopics (key 19, versions 0 to 7), DeleteTopics (20, 0 to 6) and CreatePartitions (37, 0 to 3).
//!
//! A response is sent when the change is durable and visible: a created topic can be used, and the name of a deleted
//! topic can be used again. The timeouts of the requests are ignored, because no other broker takes part.
//!
//! Departures: a replication factor above the number of brokers is reduced or refused, depending on
//! `ottla.replication.factor.policy`, and the response has the actual one. Settings that Kafka 4 removed and old
//! clients still send (such as `message.format.version`) are accepted. White space around a value is ignored.

use std::collections::HashSet;
use std::sync::Arc;

use super::authorizer::{Denied, Operation, Resource};
use super::configs::describe_created;
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use crate::log_rate_limiter::log_limited;
use crate::server::ConnectionInfo;
use crate::state::Broker;
use crate::state::cluster::Cluster;
use crate::state::metadata::MetadataUnavailable;
use ottla_core::metadata::{
    CreatePartitions, CreateTopics, CreatedTopic, DeleteTopics, NewPartitions, NewTopic, TopicDeletion, TopicRef,
};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use ottla_wire::protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla_wire::protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_wire::types::{ErrorCode, TopicName, Uuid};

/// The versions from which requests above the controller mutation quota get THROTTLING_QUOTA_EXCEEDED (KIP-599). Those
/// before are served, and the client is throttled afterwards.
const CREATION_QUOTA_IS_STRICT_FROM: i16 = 6;
const DELETION_QUOTA_IS_STRICT_FROM: i16 = 5;
const PARTITION_QUOTA_IS_STRICT_FROM: i16 = 3;

pub(super) fn create(context: &Context, request: CreateTopicsRequest) -> Answer {
    let version = context.version();
    // Version 0 has no such field. Default counts (-1), which version 4 introduced, are accepted in all versions.
    let validate_only = version >= 1 && request.validate_only;
    let may_create_all = context.allows(Operation::Create, Resource::Cluster);
    let (allowed, denied): (Vec<_>, Vec<_>) = request.topics.iter().partition(|topic| {
        may_create_all || context.authorize(Operation::Create, Resource::Topic(&topic.name)).is_ok()
    });
    let denied: Vec<_> = denied.into_iter().map(|topic| denied_creation(&topic.name)).collect();
    // Topics whose settings the caller may not see, as in Kafka.
    let hidden: HashSet<Str> = allowed
        .iter()
        .filter(|topic| !context.allows(Operation::DescribeConfigs, Resource::Topic(&topic.name)))
        .map(|topic| topic.name.clone())
        .collect();
    let names: Vec<Str> = allowed.iter().map(|topic| topic.name.clone()).collect();
    let topics = allowed.iter().map(|topic| new_topic(context, topic)).collect();
    let (quota, mutations) = context.mutation_quota(CREATION_QUOTA_IS_STRICT_FROM);
    let create = CreateTopics { topics, validate_only, quota };
    let submitted = context.broker.metadata().create_topics(create, context.cause("CreateTopics"));
    let broker = Arc::clone(&context.broker);
    let connection = Arc::clone(&context.connection);
    Answer::parked(async move {
        let mut topics: Vec<_> = match submitted.await {
            Ok(results) => results
                .into_iter()
                .map(|(name, result)| match result {
                    Ok(created) => {
                        warn_of_reduced_replication(&broker, &connection, &name, &created);
                        match hidden.contains(&*name) {
                            true => hidden_result(&name, &created),
                            false => created_result(&broker, version, &name, &created),
                        }
                    }
                    Err(error) => refused_result(&name, error.error_code(), error.to_string()),
                })
                .collect(),
            Err(error) => {
                names.iter().map(|name| refused_result(name, error.error_code(), error.to_string())).collect()
            }
        };
        topics.extend(denied);
        CreateTopicsResponse { topics, throttle_time_ms: mutations.throttle_ms() }
    })
}

fn new_topic(context: &Context, topic: &CreatableTopic) -> NewTopic {
    NewTopic {
        name: (&*topic.name).into(),
        id: context.broker.new_uuid(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic.assignments.iter().map(|one| (one.partition_index, one.broker_ids.clone())).collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_deref().map(str::to_owned)))
            .collect(),
    }
}

fn warn_of_reduced_replication(broker: &Broker, connection: &ConnectionInfo, name: &str, created: &CreatedTopic) {
    if let Some(requested) = created.clamped_from {
        log_limited!(
            WARN, broker.log_rate_limiter(), connection.peer.ip(), "topics with a reduced replication factor",
            client = %connection,
            topic = name,
            requested,
            "reduced the replication factor to 1, because there is one broker \
             (ottla.replication.factor.policy=strict refuses such topics)"
        );
    }
}

fn created_result(broker: &Broker, version: i16, name: &str, created: &CreatedTopic) -> CreatableTopicResult {
    let mut result = CreatableTopicResult {
        name: name.into(),
        topic_id: created.id,
        configs: Some(Vec::new()),
        ..Default::default()
    };
    if version >= 5 {
        result.num_partitions = created.partitions;
        result.replication_factor = created.replication_factor;
        result.configs = Some(describe_created(&broker.cluster().config, &created.configs));
    }
    result
}

/// The result for a caller that may create the topic and may not see its settings.
fn hidden_result(name: &str, created: &CreatedTopic) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.into(),
        topic_id: created.id,
        topic_config_error_code: ErrorCode::TopicAuthorizationFailed.code(),
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

fn denied_creation(name: &str) -> CreatableTopicResult {
    refused_result(name, ErrorCode::TopicAuthorizationFailed, "Authorization failed.".to_owned())
}

fn refused_result(name: &str, error: ErrorCode, message: String) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.into(),
        error_code: error.code(),
        error_message: message_of(error, message),
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

/// The message on a topic. Kafka has none for an exceeded quota.
fn message_of(error: ErrorCode, message: String) -> Option<Str> {
    (error != ErrorCode::ThrottlingQuotaExceeded).then(|| message.into())
}

pub(super) fn delete(context: &Context, request: DeleteTopicsRequest) -> Answer {
    let version = context.version();
    let mut topics: Vec<TopicRef> = request.topic_names.iter().map(|name| TopicRef::Name((&**name).into())).collect();
    let mut refused = Vec::new();
    for topic in &request.topics {
        match (&topic.name, topic.topic_id.is_zero()) {
            (Some(name), true) => topics.push(TopicRef::Name((&**name).into())),
            (None, false) => topics.push(TopicRef::Id(topic.topic_id)),
            (Some(_), false) => {
                refused.push(refused_deletion(topic, "You may not specify both topic name and topic id."))
            }
            (None, true) => refused.push(refused_deletion(topic, "Neither topic name nor id were specified.")),
        }
    }
    let cluster = context.broker.cluster();
    // Every topic may be deleted with this operation on the cluster, which only an ACL for all operations allows.
    let may_delete_all = topics.is_empty() || context.allows(Operation::Delete, Resource::Cluster);
    topics.retain(|topic| match (!may_delete_all).then(|| denied_deletion(context, &cluster, topic)).flatten() {
        Some(denied) => {
            refused.push(denied);
            false
        }
        None => true,
    });
    let (quota, mutations) = context.mutation_quota(DELETION_QUOTA_IS_STRICT_FROM);
    let submitted = context.broker.metadata().submit(DeleteTopics { topics: topics.clone(), quota });
    Answer::parked(async move {
        let mut responses = refused;
        match submitted.await {
            Ok(deletions) => {
                responses.extend(deletions.into_iter().map(|deletion| deletion_result(version, deletion)));
            }
            Err(error) => {
                responses.extend(topics.into_iter().map(|topic| failed_deletion(topic, &error)));
            }
        }
        DeleteTopicsResponse { responses, throttle_time_ms: mutations.throttle_ms() }
    })
}

/// The result for a topic that the caller may not delete; `None` if it may. Has no name if the request does not and the
/// caller may not see the topic.
fn denied_deletion(context: &Context, cluster: &Cluster, topic: &TopicRef) -> Option<DeletableTopicResult> {
    let (name, requested_id) = match topic {
        TopicRef::Name(name) => (name, Uuid::ZERO),
        // The absence of a topic with a given id is visible to every caller.
        TopicRef::Id(id) => (cluster.topic_by_id(*id)?.name(), *id),
    };
    let by_name = requested_id.is_zero();
    let may_describe = context.allows(Operation::Describe, Resource::Topic(name));
    if may_describe && cluster.topic(name).is_none() {
        // The caller may know that it does not exist.
        return None;
    }
    if may_describe && context.authorize(Operation::Delete, Resource::Topic(name)).is_ok() {
        return None;
    }
    Some(DeletableTopicResult {
        name: name_or_empty(context.version(), Some(TopicName::clone(name)).filter(|_| by_name || may_describe)),
        topic_id: requested_id,
        error_code: ErrorCode::TopicAuthorizationFailed.code(),
        error_message: Some(Str::from_static(Denied::Topic.message())),
    })
}

fn deletion_result(version: i16, deletion: TopicDeletion) -> DeletableTopicResult {
    let (error, message) = match deletion.result {
        Ok(()) => (ErrorCode::None, None),
        Err(error) => (error.error_code(), message_of(error.error_code(), error.to_string())),
    };
    DeletableTopicResult {
        name: name_or_empty(version, deletion.name),
        topic_id: deletion.id,
        error_code: error.code(),
        error_message: message,
    }
}

/// Null from version 6 on; before, the empty name.
fn name_or_empty(version: i16, name: Option<TopicName>) -> Option<Str> {
    match name {
        None if version < 6 => Some(Str::new()),
        name => name.map(|name| Str::from(&*name)),
    }
}

fn failed_deletion(topic: TopicRef, error: &MetadataUnavailable) -> DeletableTopicResult {
    let mut result = DeletableTopicResult {
        error_code: error.error_code().code(),
        error_message: Some(error.to_string().into()),
        ..Default::default()
    };
    match topic {
        TopicRef::Name(name) => result.name = Some(Str::from(&*name)),
        TopicRef::Id(id) => result.topic_id = id,
    }
    result
}

fn refused_deletion(topic: &DeleteTopicState, message: &'static str) -> DeletableTopicResult {
    DeletableTopicResult {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        error_code: ErrorCode::InvalidRequest.code(),
        error_message: Some(Str::from_static(message)),
    }
}

pub(super) fn create_partitions(context: &Context, request: CreatePartitionsRequest) -> Answer {
    let (allowed, denied): (Vec<_>, Vec<_>) = request
        .topics
        .into_iter()
        .partition(|topic| context.authorize(Operation::Alter, Resource::Topic(&topic.name)).is_ok());
    let denied: Vec<_> = denied.iter().map(|topic| partitions_result(&topic.name, Some(&Denied::Topic))).collect();
    let names: Vec<Str> = allowed.iter().map(|topic| topic.name.clone()).collect();
    let topics = allowed.into_iter().map(|topic| NewPartitions {
        name: (&*topic.name).into(),
        count: topic.count,
        assignments: topic.assignments.map(|all| all.into_iter().map(|one| one.broker_ids).collect()),
    });
    let (quota, mutations) = context.mutation_quota(PARTITION_QUOTA_IS_STRICT_FROM);
    let command = CreatePartitions { topics: topics.collect(), validate_only: request.validate_only, quota };
    let submitted = context.broker.metadata().submit(command);
    Answer::parked(async move {
        let mut results: Vec<_> = match submitted.await {
            Ok(results) => {
                results.into_iter().map(|(name, result)| partitions_result(&name, result.err().as_ref())).collect()
            }
            Err(error) => names.iter().map(|name| partitions_result(name, Some(&error))).collect(),
        };
        results.extend(denied);
        CreatePartitionsResponse { results, throttle_time_ms: mutations.throttle_ms() }
    })
}

fn partitions_result<E: ToErrorCode + std::fmt::Display>(name: &str, error: Option<&E>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name: name.into(),
        error_code: error.map_or(ErrorCode::None, ToErrorCode::error_code).code(),
        // Kafka has no message for an unknown topic or a denied one.
        error_message: error
            .filter(|error| {
                let code = error.error_code();
                code != ErrorCode::UnknownTopicOrPartition && code != ErrorCode::TopicAuthorizationFailed
            })
            .and_then(|error| message_of(error.error_code(), error.to_string())),
    }
}
