//! OffsetCommit (key 8, versions 0 to 10) and OffsetFetch (9, 0 to 10): the committed offsets of groups.
//!
//! Topics by id from version 10 on. Commits for unknown topics are refused, and the others are stored. Version 0, for
//! which old clusters used ZooKeeper, is stored like the others. From version 8 on, OffsetFetch may name several
//! groups.

use std::sync::Arc;

use super::authorizer::{Denied, Operation, Resource};
use super::commit_plan::{CommitPlan, PlannedTopic, RequestedTopic};
use super::context::{Answer, Context};
use super::errors::{ToErrorCode, code_of};
use super::groups::{are_loaded, run, wait_until_loaded};
use crate::state::cluster::{Cluster, Topic};
use ottla_core::coordinator::group::{
    CommitOffsets, FetchedOffset, GroupError, GroupMachine, PartitionCommit, TopicOffsets, WantedOffsets,
};
use ottla_core::metadata::CONSUMER_OFFSETS;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use ottla_wire::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use ottla_wire::types::{ErrorCode, PartitionIndex, TopicName, Uuid};

/// The first version that names topics by id.
const BY_ID: i16 = 10;

pub(super) fn commit(context: &Context, request: OffsetCommitRequest) -> Answer {
    let version = context.version();
    let cluster = context.broker.cluster();
    let mut plan = CommitPlan::default();
    let denied_group = context.authorize(Operation::Read, Resource::Group(&request.group_id)).err();
    let topics = request.topics.into_iter().map(requested_topic);
    match denied_group {
        Some(denied) => topics.for_each(|topic| plan.refuse(topic, denied.error_code())),
        None => plan.add_all(context, &cluster, topics.collect(), version >= BY_ID),
    }
    if plan.topics.is_empty() {
        return commit_response(plan.complete(&Err(ErrorCode::None))).into();
    }
    let group_id: Arc<str> = (&*request.group_id).into();
    let command = CommitOffsets {
        group_id: Arc::clone(&group_id),
        member_id: (&*request.member_id).into(),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        generation: request.generation_id_or_member_epoch,
        retention_ms: Some(request.retention_time_ms).filter(|ms| *ms >= 0),
        knows_group_id_not_found: version >= 9,
        topics: std::mem::take(&mut plan.topics),
    };
    run(context, &group_id, command, move |reply| {
        let outcome = match reply {
            Ok(Ok(results)) => {
                Ok(results.into_iter().flat_map(|topic| topic.partitions).map(|(_, result)| code_of(&result)).collect())
            }
            Ok(Err(error)) => Err(error.error_code()),
            Err(unavailable) => Err(unavailable.error_code()),
        };
        commit_response(plan.complete(&outcome))
    })
}

fn requested_topic(topic: OffsetCommitRequestTopic) -> RequestedTopic {
    let partitions = topic.partitions.into_iter().map(|partition| PartitionCommit {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_deref().map(Box::from),
        timestamp: Some(partition.commit_timestamp).filter(|timestamp| *timestamp >= 0),
    });
    RequestedTopic { name: topic.name, topic_id: topic.topic_id, partitions: partitions.collect() }
}

fn commit_response(topics: Vec<PlannedTopic>) -> OffsetCommitResponse {
    let topics = topics.into_iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .into_iter()
            .map(|(partition_index, error_code)| OffsetCommitResponsePartition { partition_index, error_code })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

pub(super) fn fetch(context: &Context, request: OffsetFetchRequest) -> Answer {
    let group_ids: Vec<Str> = match context.version() {
        8.. => request.groups.iter().map(|group| group.group_id.clone()).collect(),
        _ => vec![request.group_id.clone()],
    };
    if !context.broker.has_internal_topic(CONSUMER_OFFSETS) || are_loaded(&context.broker, &group_ids) {
        return fetch_loaded(context, request).into();
    }
    let context = context.clone();
    Answer::parked(async move {
        wait_until_loaded(&context.broker, &group_ids).await;
        fetch_loaded(&context, request)
    })
}

fn fetch_loaded(context: &Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let version = context.version();
    let cluster = context.broker.cluster();
    if version >= 8 {
        let groups =
            request.groups.into_iter().map(|group| fetch_group(context, &cluster, group, request.require_stable));
        return OffsetFetchResponse { groups: groups.collect(), ..Default::default() };
    }
    let requested = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics: request.topics.map(|topics| {
            let topic = |topic: ottla_wire::protocol::messages::offset_fetch::OffsetFetchRequestTopic| {
                OffsetFetchRequestTopics {
                    name: topic.name,
                    partition_indexes: topic.partition_indexes,
                    ..Default::default()
                }
            };
            topics.into_iter().map(topic).collect()
        }),
        ..Default::default()
    };
    one_group(version, fetch_group(context, &cluster, requested, request.require_stable))
}

/// The response of versions before 8, which name one group. Before version 2, each partition has the group's error.
fn one_group(version: i16, group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: if version < 2 && group.error_code != 0 { group.error_code } else { partition.error_code },
            })
            .collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: group.error_code, ..Default::default() }
}

fn fetch_group(
    context: &Context,
    cluster: &Cluster,
    requested: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let by_id = context.version() >= BY_ID;
    if let Err(denied) = context.authorize(Operation::Describe, Resource::Group(&requested.group_id)) {
        return denied_group(context.version(), requested, denied);
    }
    let groups = context.broker.groups();
    let (wanted, refused) = match &requested.topics {
        None => (None, Vec::new()),
        Some(topics) => {
            let (wanted, refused) = name_topics(context, cluster, topics, by_id);
            (Some(wanted), refused)
        }
    };
    let query = |machine: &GroupMachine| {
        let wanted = match &wanted {
            None => WantedOffsets::All,
            Some(wanted) => WantedOffsets::Of(wanted),
        };
        machine.fetch_offsets(&requested.group_id, wanted, require_stable)
    };
    // Members fetch offsets after they joined, so the client is not about to join.
    groups.not_joining(&requested.group_id, context.connection.id);
    let found = match context.broker.has_internal_topic(CONSUMER_OFFSETS) {
        true => groups.query(&requested.group_id, query),
        // No offset was ever committed.
        false => Ok(groups.runtime().query_empty(query)),
    };
    match found {
        Ok(found) => {
            // A response for all topics leaves out those that the caller may not see.
            let visible = found
                .into_iter()
                .filter(|topic| wanted.is_some() || context.allows(Operation::Describe, Resource::Topic(&topic.topic)));
            let known = visible.filter_map(|topic| found_topic(cluster, topic, by_id));
            let topics = known.chain(refused.into_iter().map(|(topic, error)| refused_topic(topic, error))).collect();
            OffsetFetchResponseGroup { group_id: requested.group_id, topics, error_code: 0 }
        }
        Err(unavailable) => refused_group(requested, unavailable.error_code()),
    }
}

type RefusedTopic<'a> = (&'a OffsetFetchRequestTopics, ErrorCode);

/// Resolves topic ids to names. Also returns the refused topics: unknown ids, and topics that the caller may not see.
fn name_topics<'a>(
    context: &Context,
    cluster: &Cluster,
    topics: &'a [OffsetFetchRequestTopics],
    by_id: bool,
) -> (Vec<(TopicName, Vec<PartitionIndex>)>, Vec<RefusedTopic<'a>>) {
    let mut wanted = Vec::with_capacity(topics.len());
    let mut refused = Vec::new();
    let name = |topic: &'a OffsetFetchRequestTopics| match by_id {
        true => cluster.topic_by_id(topic.topic_id).map(|topic| Arc::clone(topic.name())),
        false => Some(TopicName::from(&*topic.name)),
    };
    let names: Vec<_> = topics.iter().map(name).collect();
    let denied = context.denied_topics(Operation::Describe, names.iter().flatten().map(|name| &**name));
    for (topic, name) in topics.iter().zip(names) {
        match name {
            Some(name) => match denied.check(&name) {
                Ok(()) => wanted.push((name, topic.partition_indexes.clone())),
                Err(denied) => refused.push((topic, denied.error_code())),
            },
            None => refused.push((topic, ErrorCode::UnknownTopicId)),
        }
    }
    (wanted, refused)
}

/// The result for a topic; `None` for a deleted topic if the response needs its id.
fn found_topic(cluster: &Cluster, topic: TopicOffsets, by_id: bool) -> Option<OffsetFetchResponseTopics> {
    let (name, topic_id) = match by_id {
        true => (Str::new(), cluster.topic(&topic.topic).map(|topic| Topic::id(topic))?),
        false => (Str::from(&*topic.topic), Uuid::ZERO),
    };
    let partitions = topic.partitions.into_iter().map(|(index, found)| found_partition(index, found)).collect();
    Some(OffsetFetchResponseTopics { name, topic_id, partitions })
}

fn found_partition(
    index: PartitionIndex,
    found: Result<Option<FetchedOffset>, GroupError>,
) -> OffsetFetchResponsePartitions {
    let error_code = code_of(&found);
    match found {
        Ok(Some(found)) => OffsetFetchResponsePartitions {
            partition_index: index,
            committed_offset: found.offset,
            committed_leader_epoch: found.leader_epoch,
            metadata: Some(Str::from(&*found.metadata)),
            error_code,
        },
        _ => no_offset(index, error_code),
    }
}

fn refused_topic(topic: &OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    let code = error.code();
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(|&index| no_offset(index, code)).collect(),
    }
}

/// The result for a group that the caller may not describe. From version 2 on, it has no topics.
fn denied_group(version: i16, requested: OffsetFetchRequestGroup, denied: Denied) -> OffsetFetchResponseGroup {
    let topics = requested.topics.filter(|_| version < 2);
    refused_group(OffsetFetchRequestGroup { topics, ..requested }, denied.error_code())
}

/// The result for a group with an error. Each partition has it too, because clients of old versions read it there.
fn refused_group(requested: OffsetFetchRequestGroup, error: ErrorCode) -> OffsetFetchResponseGroup {
    let code = error.code();
    let topics = requested.topics.unwrap_or_default();
    let refused = |topic: OffsetFetchRequestTopics| OffsetFetchResponseTopics {
        partitions: topic.partition_indexes.iter().map(|&index| no_offset(index, code)).collect(),
        name: topic.name,
        topic_id: topic.topic_id,
    };
    OffsetFetchResponseGroup {
        group_id: requested.group_id,
        topics: topics.into_iter().map(refused).collect(),
        error_code: code,
    }
}

fn no_offset(index: PartitionIndex, error_code: i16) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::new()),
        error_code,
    }
}
