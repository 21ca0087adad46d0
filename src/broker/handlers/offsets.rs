//! OffsetCommit (key 8, versions 0 to 10) and OffsetFetch (9, 0 to 10): what groups have read.
//!
//! Topics by id from version 10. Commits for topics that don't exist are refused one by one. Version 0,
//! which in old clusters went to ZooKeeper, is kept like any other. From version 8 OffsetFetch asks
//! for several groups at once.

use std::sync::Arc;

use super::context::{Answer, Context};
use super::errors::{ToErrorCode, code_of};
use super::groups::run;
use crate::state::cluster::{Cluster, Topic};
use crate::state::groups::GroupsUnavailable;
use ottla_core::coordinator::group::{
    CommitOffsets, FetchedOffset, GroupCommand, GroupError, GroupMachine, GroupReply, PartitionCommit, TopicCommits,
    TopicOffsets, WantedOffsets,
};
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
    for topic in &request.topics {
        plan.add(&cluster, version, topic);
    }
    if plan.topics.is_empty() {
        return plan.respond(&Err(ErrorCode::None)).into();
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
    run(context, &group_id, GroupCommand::CommitOffsets(command), move |reply| {
        let outcome = match reply {
            Ok(GroupReply::CommitOffsets(Ok(results))) => {
                Ok(results.into_iter().flat_map(|topic| topic.partitions).map(|(_, result)| code_of(&result)).collect())
            }
            Ok(GroupReply::CommitOffsets(Err(error))) => Err(error.error_code()),
            Ok(_) => Err(ErrorCode::UnknownServerError),
            Err(unavailable) => Err(unavailable.error_code()),
        };
        plan.respond(&outcome)
    })
}

/// What is to be committed, and the response with a place for each outcome.
#[derive(Default)]
struct CommitPlan {
    topics: Vec<TopicCommits>,
    response: Vec<OffsetCommitResponseTopic>,
    /// Where the outcomes of `topics` go in `response`, in their order.
    places: Vec<(usize, usize)>,
}

impl CommitPlan {
    fn add(&mut self, cluster: &Cluster, version: i16, asked: &OffsetCommitRequestTopic) {
        let topic = match version {
            BY_ID.. => cluster.topic_by_id(asked.topic_id),
            _ => cluster.topic(&asked.name),
        };
        let at = self.response.len();
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        let mut commits = Vec::with_capacity(asked.partitions.len());
        for partition in &asked.partitions {
            let error = match topic {
                None if version >= BY_ID => ErrorCode::UnknownTopicId,
                None => ErrorCode::UnknownTopicOrPartition,
                Some(topic) if topic.image.partition(partition.partition_index).is_none() => {
                    ErrorCode::UnknownTopicOrPartition
                }
                Some(_) => {
                    self.places.push((at, partitions.len()));
                    commits.push(PartitionCommit {
                        partition: partition.partition_index,
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: partition.committed_metadata.as_deref().map(Box::from),
                        timestamp: Some(partition.commit_timestamp).filter(|timestamp| *timestamp >= 0),
                    });
                    ErrorCode::None
                }
            };
            partitions.push(OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
            });
        }
        if let Some(topic) = topic.filter(|_| !commits.is_empty()) {
            self.topics.push(TopicCommits {
                topic: Arc::clone(topic.name()),
                topic_id: topic.id(),
                partitions: commits,
            });
        }
        self.response.push(OffsetCommitResponseTopic {
            name: asked.name.clone(),
            topic_id: asked.topic_id,
            partitions,
        });
    }

    /// `outcome`: a code for each place, or one for all.
    fn respond(mut self, outcome: &Result<Vec<i16>, ErrorCode>) -> OffsetCommitResponse {
        for (at, &(topic, partition)) in self.places.iter().enumerate() {
            let code = match outcome {
                Ok(codes) => codes.get(at).copied().unwrap_or(ErrorCode::UnknownServerError.code()),
                Err(error) => error.code(),
            };
            let slot = self.response.get_mut(topic).and_then(|topic| topic.partitions.get_mut(partition));
            if let Some(slot) = slot {
                slot.error_code = code;
            }
        }
        OffsetCommitResponse { topics: self.response, ..Default::default() }
    }
}

pub(super) fn fetch(context: &Context, request: OffsetFetchRequest) -> Answer {
    let version = context.version();
    let cluster = context.broker.cluster();
    if version >= 8 {
        let groups =
            request.groups.into_iter().map(|group| fetch_group(context, &cluster, group, request.require_stable));
        return OffsetFetchResponse { groups: groups.collect(), ..Default::default() }.into();
    }
    let asked = OffsetFetchRequestGroup {
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
    one_group(version, fetch_group(context, &cluster, asked, request.require_stable)).into()
}

/// Versions before 8 ask for one group. Before version 2 errors stand with each partition.
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
    asked: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let by_id = context.version() >= BY_ID;
    let groups = context.broker.groups();
    let (wanted, unknown) = match &asked.topics {
        None => (None, Vec::new()),
        Some(topics) => {
            let (wanted, unknown) = name_topics(cluster, topics, by_id);
            (Some(wanted), unknown)
        }
    };
    let query = |machine: &GroupMachine| {
        let wanted = match &wanted {
            None => WantedOffsets::All,
            Some(wanted) => WantedOffsets::Of(wanted),
        };
        machine.fetch_offsets(&asked.group_id, wanted, require_stable)
    };
    // Members ask for offsets when they have joined.
    groups.not_joining(&asked.group_id, context.connection.id);
    let found = match context.broker.has_offsets_topic() {
        true => groups.query(&asked.group_id, query),
        // Nothing was ever committed: what a fresh machine answers.
        false => Ok(groups.query_empty(query)),
    };
    match found {
        Ok(found) => {
            let known = found.into_iter().filter_map(|topic| found_topic(cluster, topic, by_id));
            let topics = known.chain(unknown.into_iter().map(unknown_topic)).collect();
            OffsetFetchResponseGroup { group_id: asked.group_id, topics, error_code: 0 }
        }
        Err(unavailable) => refused_group(asked, unavailable),
    }
}

/// The topics by name, and those whose id no topic has.
fn name_topics<'a>(
    cluster: &Cluster,
    topics: &'a [OffsetFetchRequestTopics],
    by_id: bool,
) -> (Vec<(TopicName, Vec<PartitionIndex>)>, Vec<&'a OffsetFetchRequestTopics>) {
    let mut wanted = Vec::with_capacity(topics.len());
    let mut unknown = Vec::new();
    for topic in topics {
        let name = match by_id {
            true => cluster.topic_by_id(topic.topic_id).map(|topic| Arc::clone(topic.name())),
            false => Some(TopicName::from(&*topic.name)),
        };
        match name {
            Some(name) => wanted.push((name, topic.partition_indexes.clone())),
            None => unknown.push(topic),
        }
    }
    (wanted, unknown)
}

/// None for a topic that is gone and so has no id to tell.
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

fn unknown_topic(topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let code = ErrorCode::UnknownTopicId.code();
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(|&index| no_offset(index, code)).collect(),
    }
}

/// Every partition is named with the group's error, for versions that look there.
fn refused_group(asked: OffsetFetchRequestGroup, unavailable: GroupsUnavailable) -> OffsetFetchResponseGroup {
    let code = unavailable.error_code().code();
    let topics = asked.topics.unwrap_or_default();
    let refused = |topic: OffsetFetchRequestTopics| OffsetFetchResponseTopics {
        partitions: topic.partition_indexes.iter().map(|&index| no_offset(index, code)).collect(),
        name: topic.name,
        topic_id: topic.topic_id,
    };
    OffsetFetchResponseGroup {
        group_id: asked.group_id,
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
