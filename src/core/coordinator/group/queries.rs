//! Read-only queries of groups.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::GroupMachine;
use super::error::GroupError;
use crate::coordinator::records::CommittedOffset;
use crate::coordinator::{ConnectionId, GroupId, InstanceId, MemberId};
use ottla_wire::types::{LeaderEpoch, Offset, PartitionIndex, TopicName};

/// A classic group's state, as Kafka names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// The group has no members; it may have offsets.
    Empty,
    /// Waiting for the members to join again.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// The members have their assignments.
    Stable,
    /// The group does not exist.
    Dead,
}

impl GroupState {
    /// Kafka's name, as ListGroups and DescribeGroups write it.
    pub const fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
            GroupState::Dead => "Dead",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The protocol of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupType {
    Classic,
}

impl GroupType {
    /// Kafka's name, as ListGroups v5+ writes it.
    pub const fn name(self) -> &'static str {
        match self {
            GroupType::Classic => "classic",
        }
    }
}

/// A group in ListGroups.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedGroup {
    pub group_id: GroupId,
    /// Empty for a group that only has offsets.
    pub protocol_type: Arc<str>,
    pub state: GroupState,
    pub group_type: GroupType,
}

/// A group in DescribeGroups.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupDescription {
    pub group_id: GroupId,
    pub state: GroupState,
    /// Empty for a group that only has offsets.
    pub protocol_type: Arc<str>,
    /// The selected protocol; empty unless the group is stable.
    pub protocol: Arc<str>,
    pub members: Vec<MemberDescription>,
}

/// A member in DescribeGroups.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberDescription {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// The metadata for the selected protocol; empty unless the group is stable.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

/// Which offsets of a group to fetch.
#[derive(Clone, Copy, Debug)]
pub enum WantedOffsets<'a> {
    /// All committed offsets.
    All,
    /// The offsets of these partitions; `None` for a partition without an offset.
    Of(&'a [(TopicName, Vec<PartitionIndex>)]),
}

/// Offsets of one topic, in the requested order.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicOffsets {
    pub topic: TopicName,
    pub partitions: Vec<(PartitionIndex, Result<Option<FetchedOffset>, GroupError>)>,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedOffset {
    pub offset: Offset,
    /// -1: unknown.
    pub leader_epoch: LeaderEpoch,
    pub metadata: Box<str>,
}

/// Queries, which may be called at any time after recovery.
impl GroupMachine {
    /// The group's committed offsets. With `require_stable`, the result for an offset that an open transaction may
    /// change is [`GroupError::UnstableOffsetCommit`] (KIP-447).
    ///
    /// For a group that does not exist there are no offsets and no error.
    pub fn fetch_offsets(&self, group: &str, wanted: WantedOffsets<'_>, require_stable: bool) -> Vec<TopicOffsets> {
        let fetch = |topic: &TopicName, partition: PartitionIndex| {
            if require_stable && self.offsets.is_pending(group, topic, partition) {
                return (partition, Err(GroupError::UnstableOffsetCommit));
            }
            (partition, Ok(self.offsets.get(group, topic, partition).map(fetched)))
        };
        match wanted {
            WantedOffsets::All => self
                .offsets
                .topics(group)
                .map(|(topic, view)| TopicOffsets {
                    topic: topic.clone(),
                    partitions: view.partitions().map(|(partition, _)| fetch(topic, partition)).collect(),
                })
                .collect(),
            WantedOffsets::Of(topics) => topics
                .iter()
                .map(|(topic, partitions)| TopicOffsets {
                    topic: topic.clone(),
                    partitions: partitions.iter().map(|&partition| fetch(topic, partition)).collect(),
                })
                .collect(),
        }
    }

    /// DescribeGroups; `None` if the group does not exist.
    pub fn describe(&self, group: &str) -> Option<GroupDescription> {
        Some(self.groups.get(group)?.classic.describe())
    }

    /// The number of a group's members; 0 if the group does not exist.
    pub fn member_count(&self, group: &str) -> usize {
        self.groups.get(group).map_or(0, |group| group.classic.member_count())
    }

    /// ListGroups: the groups in one of `states` and of one of `types`, whose names are case-insensitive. An empty
    /// filter matches all groups, an unknown name matches none.
    pub fn list(&self, states: &[impl AsRef<str>], types: &[impl AsRef<str>]) -> Vec<ListedGroup> {
        let listed = |(id, group): (&GroupId, &super::Group)| ListedGroup {
            group_id: id.clone(),
            protocol_type: group.classic.protocol_type().cloned().unwrap_or_default(),
            state: group.classic.state(),
            group_type: GroupType::Classic,
        };
        let wanted = |group: &ListedGroup| {
            matches_filter(states, group.state.name()) && matches_filter(types, group.group_type.name())
        };
        self.groups.iter().map(listed).filter(wanted).collect()
    }

    /// Whether a client that is expected to join requested the coordinator on this connection.
    pub fn expects_member_on(&self, connection: ConnectionId) -> bool {
        self.expected.knows_connection(connection)
    }

    /// Every topic for which a group has offsets.
    #[cfg(test)]
    pub fn topics_with_offsets(&self) -> std::collections::BTreeSet<TopicName> {
        self.offsets.all_topic_names()
    }
}

fn matches_filter(filter: &[impl AsRef<str>], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.as_ref().eq_ignore_ascii_case(name))
}

fn fetched(offset: &CommittedOffset) -> FetchedOffset {
    FetchedOffset { offset: offset.offset, leader_epoch: offset.leader_epoch, metadata: offset.metadata.clone() }
}
