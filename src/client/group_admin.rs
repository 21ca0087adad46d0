//! Administration of groups: list, describe, and read, write and delete their offsets.
//!
//! Retriable coordinator errors are returned; the caller decides how long to retry.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Client, ClientError, Result, check_error_code};
use ottla_wire::codec::{Message as _, Reader, Str, read_prefix};
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::consumer_protocol::ConsumerProtocolAssignment;
use ottla_wire::protocol::messages::consumer_group_describe::{self as consumer_type, ConsumerGroupDescribeRequest};
use ottla_wire::protocol::messages::delete_groups::DeleteGroupsRequest;
use ottla_wire::protocol::messages::describe_groups::{self as classic, DescribeGroupsRequest};
use ottla_wire::protocol::messages::list_groups::ListGroupsRequest;
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_wire::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use ottla_wire::types::{ErrorCode, InOrder as _, LeaderEpoch, Offset, PartitionIndex, TopicPartition};

/// The newest versions that name topics by name.
const OFFSETS_BY_NAME: i16 = 9;
/// The first version of OffsetFetch that has a list of groups.
const FETCH_MANY_GROUPS: i16 = 8;
/// The protocol type of consumers.
const CONSUMER_PROTOCOL: &str = "consumer";

/// A group in the response of ListGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub id: String,
    /// Empty if no member ever joined.
    pub protocol_type: String,
    /// Such as `Stable`; `None` from a broker that does not report it.
    pub state: Option<String>,
    /// Such as `classic`; `None` from a broker that does not report it.
    pub group_type: Option<String>,
}

/// A group of consumers, of the classic or the consumer type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    pub id: String,
    /// Such as `Stable`.
    pub state: String,
    /// Empty if there is none.
    pub assignor: String,
    pub members: Vec<MemberDescription>,
    /// Only for groups of the consumer type (KIP-848).
    pub epochs: Option<GroupEpochs>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEpochs {
    pub group: i32,
    pub target_assignment: i32,
}

/// A member of a group of consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    pub id: String,
    /// A static member's name.
    pub instance_id: Option<String>,
    pub client_id: String,
    pub host: String,
    /// Sorted.
    pub assignment: Vec<TopicPartition>,
    /// Only for groups of the consumer type.
    pub epoch: Option<i32>,
    /// Sorted; empty in classic groups.
    pub target_assignment: Vec<TopicPartition>,
    /// Whether it uses the consumer group protocol; `None` from a broker that does not report it.
    pub upgraded: Option<bool>,
}

/// A group's committed offset for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: Offset,
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Client {
    /// Lists the groups in any of these states and of any of these types, in the broker's order. An empty filter
    /// matches everything.
    pub async fn list_groups(&self, states: &[&str], types: &[&str]) -> Result<Vec<ListedGroup>> {
        let words = |words: &[&str]| words.iter().map(|word| Str::from(*word)).collect();
        let request = ListGroupsRequest { states_filter: words(states), types_filter: words(types) };
        let response = self.call(request).await?;
        check_error_code(ApiKey::ListGroups, response.error_code, None)?;
        let reported = |word: Str| (!word.is_empty()).then(|| word.to_string());
        let listed = response.groups.into_iter().map(|group| ListedGroup {
            id: group.group_id.to_string(),
            protocol_type: group.protocol_type.to_string(),
            state: reported(group.group_state),
            group_type: reported(group.group_type),
        });
        Ok(listed.collect())
    }

    /// Describes a group of consumers, of the consumer or the classic type; [`ClientError::NotConsumerGroup`] if it has
    /// another protocol type.
    pub async fn describe_consumer_group(&self, group: &str) -> Result<GroupDescription> {
        if self.version_up_to(ApiKey::ConsumerGroupDescribe, i16::MAX).is_ok() {
            match self.describe_consumer_type_group(group).await {
                Err(error) if is_not_consumer_type(&error) => {}
                described => return described,
            }
        }
        self.describe_classic_group(group).await
    }

    async fn describe_consumer_type_group(&self, group: &str) -> Result<GroupDescription> {
        let key = ApiKey::ConsumerGroupDescribe;
        let request = ConsumerGroupDescribeRequest { group_ids: vec![Str::from(group)], ..Default::default() };
        let response = self.call(request).await?;
        let described = response.groups.into_iter().next().ok_or(ClientError::Incomplete { key })?;
        check_error_code(key, described.error_code, described.error_message.as_ref())?;
        Ok(GroupDescription {
            id: described.group_id.to_string(),
            state: described.group_state.to_string(),
            assignor: described.assignor_name.to_string(),
            members: described.members.into_iter().map(consumer_type_member).collect(),
            epochs: Some(GroupEpochs { group: described.group_epoch, target_assignment: described.assignment_epoch }),
        })
    }

    async fn describe_classic_group(&self, group: &str) -> Result<GroupDescription> {
        let key = ApiKey::DescribeGroups;
        let request = DescribeGroupsRequest { groups: vec![Str::from(group)], ..Default::default() };
        let response = self.call(request).await?;
        let described = response.groups.into_iter().next().ok_or(ClientError::Incomplete { key })?;
        check_error_code(key, described.error_code, described.error_message.as_ref())?;
        if !matches!(described.protocol_type.as_ref(), CONSUMER_PROTOCOL | "") {
            return Err(ClientError::NotConsumerGroup {
                group: described.group_id.to_string(),
                protocol_type: described.protocol_type.to_string(),
            });
        }
        Ok(GroupDescription {
            id: described.group_id.to_string(),
            state: described.group_state.to_string(),
            assignor: described.protocol_data.to_string(),
            members: described.members.into_iter().map(classic_member).collect::<Result<_>>()?,
            epochs: None,
        })
    }

    /// Fetches all committed offsets of a group.
    pub async fn all_committed_offsets(&self, group: &str) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
        let key = ApiKey::OffsetFetch;
        let version = self.version_up_to(key, OFFSETS_BY_NAME)?;
        let list_item = OffsetFetchRequestGroup { group_id: Str::from(group), ..Default::default() };
        let request = OffsetFetchRequest { group_id: Str::from(group), groups: vec![list_item], ..Default::default() };
        let response = self.call_at(request, version).await?;
        let mut committed = BTreeMap::new();
        let mut add = |topic: &Str, partition, error, offset: Offset, epoch: LeaderEpoch| {
            check_error_code(key, error, None)?;
            if offset >= 0 {
                let leader_epoch = (epoch >= 0).then_some(epoch);
                let partition = TopicPartition::new(&**topic, partition);
                committed.insert(partition, CommittedOffset { offset, leader_epoch });
            }
            Ok(())
        };
        if version < FETCH_MANY_GROUPS {
            check_error_code(key, response.error_code, None)?;
            for topic in &response.topics {
                for it in &topic.partitions {
                    add(
                        &topic.name,
                        it.partition_index,
                        it.error_code,
                        it.committed_offset,
                        it.committed_leader_epoch,
                    )?;
                }
            }
        } else {
            let returned = response.groups.first().ok_or(ClientError::Incomplete { key })?;
            check_error_code(key, returned.error_code, None)?;
            for topic in &returned.topics {
                for it in &topic.partitions {
                    add(
                        &topic.name,
                        it.partition_index,
                        it.error_code,
                        it.committed_offset,
                        it.committed_leader_epoch,
                    )?;
                }
            }
        }
        Ok(committed)
    }

    /// Commits offsets for a group, which must have no members.
    pub async fn alter_committed_offsets(&self, group: &str, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<()> {
        let key = ApiKey::OffsetCommit;
        let version = self.version_up_to(key, OFFSETS_BY_NAME)?;
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (partition, offset) in offsets {
            if topics.last().is_none_or(|topic| *topic.name != *partition.topic) {
                topics.push(OffsetCommitRequestTopic { name: Str::from(&*partition.topic), ..Default::default() });
            }
            if let Some(topic) = topics.last_mut() {
                topic.partitions.push(OffsetCommitRequestPartition {
                    partition_index: partition.partition,
                    committed_offset: *offset,
                    committed_metadata: Some(Str::default()),
                    ..Default::default()
                });
            }
        }
        let request = OffsetCommitRequest { group_id: Str::from(group), topics, ..Default::default() };
        let response = self.call_at(request, version).await?;
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.try_for_each(|partition| check_error_code(key, partition.error_code, None))
    }

    /// Deletes a group and its offsets. The group must have no members.
    pub async fn delete_group(&self, group: &str) -> Result<()> {
        let key = ApiKey::DeleteGroups;
        let response = self.call(DeleteGroupsRequest { groups_names: vec![Str::from(group)] }).await?;
        let result = response.results.first().ok_or(ClientError::Incomplete { key })?;
        check_error_code(key, result.error_code, result.error_message.as_ref())
    }

    /// Deletes a group's committed offsets of these partitions. Returns one error for the whole request, or a result
    /// for each partition.
    pub async fn delete_committed_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Result<()>)>> {
        let key = ApiKey::OffsetDelete;
        let mut topics: BTreeMap<Str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for TopicPartition { topic, partition } in partitions {
            let partition = OffsetDeleteRequestPartition { partition_index: *partition };
            topics.entry(Str::from(&**topic)).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic { name, partitions });
        let response = self.call(OffsetDeleteRequest { group_id: Str::from(group), topics: topics.collect() }).await?;
        check_error_code(key, response.error_code, None)?;
        let returned: BTreeMap<(&str, PartitionIndex), i16> = response
            .topics
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|it| ((topic.name.as_ref(), it.partition_index), it.error_code))
            })
            .in_order();
        let result = |requested: &TopicPartition| {
            let code = returned.get(&(requested.topic.as_ref(), requested.partition));
            let result =
                code.ok_or(ClientError::Incomplete { key }).and_then(|code| check_error_code(key, *code, None));
            (requested.clone(), result)
        };
        Ok(partitions.iter().map(result).collect())
    }
}

/// Whether the error means that the group is of the classic type or does not exist.
fn is_not_consumer_type(error: &ClientError) -> bool {
    matches!(error.code(), Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion))
}

fn consumer_type_member(member: consumer_type::Member) -> MemberDescription {
    MemberDescription {
        id: member.member_id.to_string(),
        instance_id: member.instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assignment: consumer_type_partitions(&member.assignment),
        epoch: Some(member.member_epoch),
        target_assignment: consumer_type_partitions(&member.target_assignment),
        upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

fn consumer_type_partitions(assignment: &consumer_type::Assignment) -> Vec<TopicPartition> {
    sorted_partitions(assignment.topic_partitions.iter().map(|topic| (&topic.topic_name, &topic.partitions)))
}

fn classic_member(member: classic::DescribedGroupMember) -> Result<MemberDescription> {
    Ok(MemberDescription {
        id: member.member_id.to_string(),
        instance_id: member.group_instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assignment: classic_partitions(&member.member_assignment)?,
        epoch: None,
        target_assignment: Vec::new(),
        upgraded: None,
    })
}

/// Decodes the assignment of a classic member. It is empty while the group rebalances.
fn classic_partitions(assignment: &Bytes) -> Result<Vec<TopicPartition>> {
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    let read = || {
        let mut reader = Reader::new(assignment.clone());
        // Newer versions only append fields.
        let version = read_prefix(&mut reader)?.min(*ConsumerProtocolAssignment::VERSIONS.end());
        ConsumerProtocolAssignment::read(&mut reader, version)
    };
    let assignment = read().map_err(|error| ClientError::Assignment { error })?;
    Ok(sorted_partitions(assignment.assigned_partitions.iter().map(|topic| (&topic.topic, &topic.partitions))))
}

fn sorted_partitions<'a>(topics: impl Iterator<Item = (&'a Str, &'a Vec<PartitionIndex>)>) -> Vec<TopicPartition> {
    let one = |(topic, partitions): (&'a Str, &'a Vec<PartitionIndex>)| {
        partitions.iter().map(|partition| TopicPartition::new(&**topic, *partition))
    };
    let mut all: Vec<_> = topics.flat_map(one).collect();
    all.sort();
    all
}
