//! CreateTopics (key 19, versions 0 to 7), DeleteTopics (20, 0 to 6) and CreatePartitions (37, 0 to 3).
//!
//! Answers leave when the change is durable and in service: a topic created can be used, a topic
//! deleted is gone and its name free. Timeouts of the requests mean nothing here: nobody else has to
//! be waited for.
//!
//! Departures: a topic with more replicas than there are brokers is clamped or refused, as
//! `ottla.replication.factor.policy` says, and the answer tells the factor it got. Settings that Kafka
//! 4 dropped and old clients still send (`message.format.version` and the like) are accepted. White
//! space around a value is no part of it.

use std::sync::Arc;

use super::configs::describe_created;
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use crate::log_rate_limiter::log_limited;
use crate::server::ConnectionInfo;
use crate::state::Broker;
use crate::state::metadata::MetadataUnavailable;
use ottla_core::metadata::{
    Command, CreatePartitions, CreateTopics, CreatedTopic, NewPartitions, NewTopic, Reply, TopicDeletion, TopicRef,
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
use ottla_wire::types::{ErrorCode, TopicName};

pub(super) fn create(context: &Context, request: CreateTopicsRequest) -> Answer {
    let version = context.version();
    // Version 0 has no such field; and defaults (-1) come with version 4, but are no harm before.
    let validate_only = version >= 1 && request.validate_only;
    let names: Vec<Str> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let topics = request.topics.iter().map(|topic| new_topic(context, topic)).collect();
    let submitted = context.broker.metadata().submit(Command::CreateTopics(CreateTopics { topics, validate_only }));
    let broker = Arc::clone(&context.broker);
    let connection = Arc::clone(&context.connection);
    Answer::parked(async move {
        let topics = match submitted.await {
            Ok(Reply::TopicsCreated(results)) => results
                .into_iter()
                .map(|(name, result)| match result {
                    Ok(created) => {
                        warn_of_clamping(&broker, &connection, &name, &created);
                        created_result(&broker, version, &name, &created)
                    }
                    Err(error) => refused_result(&name, error.error_code(), error.to_string()),
                })
                .collect(),
            other => {
                let error = unavailable(other);
                names.iter().map(|name| refused_result(name, error.error_code(), error.to_string())).collect()
            }
        };
        CreateTopicsResponse { topics, ..Default::default() }
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

fn warn_of_clamping(broker: &Broker, connection: &ConnectionInfo, name: &str, created: &CreatedTopic) {
    if let Some(asked) = created.clamped_from {
        log_limited!(
            WARN, broker.log_rate_limiter(), connection.peer.ip(), "topics with fewer replicas than asked for",
            client = %connection,
            topic = name,
            asked,
            "a replication factor above 1 was asked for; there is one broker, so the topic has one replica \
             (ottla.replication.factor.policy=strict refuses instead)"
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

fn refused_result(name: &str, error: ErrorCode, message: String) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.into(),
        error_code: error.code(),
        error_message: Some(message.into()),
        configs: Some(Vec::new()),
        ..Default::default()
    }
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
    let submitted = context.broker.metadata().submit(Command::DeleteTopics(topics.clone()));
    Answer::parked(async move {
        let mut responses = refused;
        match submitted.await {
            Ok(Reply::TopicsDeleted(deletions)) => {
                responses.extend(deletions.into_iter().map(|deletion| deletion_result(version, deletion)));
            }
            other => {
                let error = unavailable(other);
                responses.extend(topics.into_iter().map(|topic| undeleted(topic, &error)));
            }
        }
        DeleteTopicsResponse { responses, ..Default::default() }
    })
}

fn deletion_result(version: i16, deletion: TopicDeletion) -> DeletableTopicResult {
    let (error, message) = match deletion.result {
        Ok(()) => (ErrorCode::None, None),
        Err(error) => (error.error_code(), Some(Str::from(error.to_string()))),
    };
    DeletableTopicResult {
        name: name_or_empty(version, deletion.name),
        topic_id: deletion.id,
        error_code: error.code(),
        error_message: message,
    }
}

/// Null is allowed from version 6 on.
fn name_or_empty(version: i16, name: Option<TopicName>) -> Option<Str> {
    match name {
        None if version < 6 => Some(Str::new()),
        name => name.map(|name| Str::from(&*name)),
    }
}

fn undeleted(topic: TopicRef, error: &MetadataUnavailable) -> DeletableTopicResult {
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

fn refused_deletion(topic: &DeleteTopicState, why: &'static str) -> DeletableTopicResult {
    DeletableTopicResult {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        error_code: ErrorCode::InvalidRequest.code(),
        error_message: Some(Str::from_static(why)),
    }
}

pub(super) fn create_partitions(context: &Context, request: CreatePartitionsRequest) -> Answer {
    let names: Vec<Str> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let topics = request.topics.into_iter().map(|topic| NewPartitions {
        name: (&*topic.name).into(),
        count: topic.count,
        assignments: topic.assignments.map(|all| all.into_iter().map(|one| one.broker_ids).collect()),
    });
    let command = CreatePartitions { topics: topics.collect(), validate_only: request.validate_only };
    let submitted = context.broker.metadata().submit(Command::CreatePartitions(command));
    Answer::parked(async move {
        let results = match submitted.await {
            Ok(Reply::PartitionsCreated(results)) => {
                results.into_iter().map(|(name, result)| growth_result(&name, result.err().as_ref())).collect()
            }
            other => {
                let error = unavailable(other);
                names.iter().map(|name| growth_result(name, Some(&error))).collect()
            }
        };
        CreatePartitionsResponse { results, ..Default::default() }
    })
}

fn growth_result<E: ToErrorCode + std::fmt::Display>(name: &str, error: Option<&E>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name: name.into(),
        error_code: error.map_or(ErrorCode::None, ToErrorCode::error_code).code(),
        // Kafka says no more than the code where there is no such topic.
        error_message: error
            .filter(|error| error.error_code() != ErrorCode::UnknownTopicOrPartition)
            .map(|error| error.to_string().into()),
    }
}

/// Why a command has no reply of its own kind.
pub(super) fn unavailable(reply: Result<Reply, MetadataUnavailable>) -> MetadataUnavailable {
    reply.err().unwrap_or(MetadataUnavailable::NotWritten)
}
