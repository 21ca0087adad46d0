//! Records of `__consumer_offsets`.

use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::{GroupId, InstanceId, MemberId};
use crate::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicName};

/// One record of `__consumer_offsets`; a missing value is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// A group's committed offset of one partition.
    OffsetCommit { group: GroupId, topic: TopicName, partition: PartitionIndex, value: Option<CommittedOffset> },
    /// A classic group's generation, with its members and their assignments.
    GroupMetadata { group: GroupId, value: Option<Arc<GroupMetadata>> },
}

/// Where a group goes on reading a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedOffset {
    pub offset: Offset,
    /// The leader epoch of the last record read; -1: unknown.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: Box<str>,
    pub commit_timestamp: TimestampMs,
    /// When the offset expires, if its client asked for a retention of its own. Kafka's format
    /// then has no room for `leader_epoch` and `topic_id`.
    pub expire_timestamp: Option<TimestampMs>,
    /// Zero: unknown.
    pub topic_id: TopicId,
}

/// What a restart finds again of a classic group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMetadata {
    /// None until the group has had a member.
    pub protocol_type: Option<Arc<str>>,
    pub generation: i32,
    /// None while the group is empty.
    pub protocol: Option<Arc<str>>,
    /// None while the group is empty.
    pub leader: Option<MemberId>,
    /// Since when the group is in its state; none in records of old versions.
    pub state_since: Option<TimestampMs>,
    pub members: Vec<MemberMetadata>,
}

/// A member of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberMetadata {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// What the member said with the chosen protocol.
    pub subscription: Bytes,
    pub assignment: Bytes,
}
