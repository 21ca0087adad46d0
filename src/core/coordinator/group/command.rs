//! What can be asked of the groups, and what is answered.
//!
//! These are the domain's own words: differences between API versions have become fields that say
//! what the client can take.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::error::GroupError;
use crate::coordinator::{ConnectionId, GroupId, InstanceId, MemberId};
use ottla_wire::types::{LeaderEpoch, Offset, PartitionIndex, ProducerIdEpoch, TimestampMs, TopicId, TopicName};

/// A command, and where it came from.
#[derive(Clone, Debug)]
pub struct GroupRequest {
    pub command: GroupCommand,
    /// None where it is the broker's own.
    pub connection: Option<ConnectionId>,
}

impl From<GroupCommand> for GroupRequest {
    fn from(command: GroupCommand) -> GroupRequest {
        GroupRequest { command, connection: None }
    }
}

/// A request that may change a group.
#[derive(Clone, Debug)]
pub enum GroupCommand {
    Join(JoinGroup),
    Sync(SyncGroup),
    Heartbeat(Heartbeat),
    Leave(LeaveGroup),
    CommitOffsets(CommitOffsets),
    /// Its records must be appended as part of the producer's transaction: see
    /// [`GroupCommand::producer`].
    CommitTxnOffsets(CommitTxnOffsets),
    DeleteOffsets(DeleteOffsets),
    DeleteGroups(Vec<GroupId>),
    /// A client asked for the group's coordinator (FindCoordinator): it may be about to join.
    CoordinatorFound(GroupClient),
    /// What asked for the group's coordinator by this connection uses it for something else than joining.
    NotJoining(GroupId),
    /// The topics are gone: what was committed for them goes too.
    TopicsDeleted(Vec<TopicName>),
    /// Nothing more comes by this connection. `newest` is the newest that was open when it closed; connections are
    /// numbered in the order in which they were opened.
    ConnectionClosed {
        connection: ConnectionId,
        newest: ConnectionId,
    },
}

impl GroupCommand {
    /// In whose transaction this command's records are to be appended;
    /// [`ProducerIdEpoch::NONE`] for all but [`GroupCommand::CommitTxnOffsets`].
    pub fn producer(&self) -> ProducerIdEpoch {
        match self {
            GroupCommand::CommitTxnOffsets(commit) => commit.producer,
            _ => ProducerIdEpoch::NONE,
        }
    }
}

/// The answer to the [`GroupCommand`] of the same name. Each command is answered exactly once:
/// Join and Sync perhaps much later than they came.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupReply {
    Join(Result<Joined, JoinRefused>),
    Sync(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    Leave(Result<Vec<MemberLeft>, GroupError>),
    CommitOffsets(Result<Vec<TopicResults>, GroupError>),
    CommitTxnOffsets(Result<Vec<TopicResults>, GroupError>),
    DeleteOffsets(Result<Vec<TopicResults>, GroupError>),
    DeleteGroups(Vec<(GroupId, Result<(), GroupError>)>),
    CoordinatorFound,
    NotJoining,
    TopicsDeleted,
    ConnectionClosed,
}

/// A client that deals with a group, before it is known whether it becomes a member.
#[derive(Clone, Debug)]
pub struct GroupClient {
    pub group_id: GroupId,
    /// Empty if it gave none.
    pub client_id: Arc<str>,
}

/// JoinGroup.
#[derive(Clone, Debug)]
pub struct JoinGroup {
    pub group_id: GroupId,
    /// Empty: the member has none yet.
    pub member_id: MemberId,
    /// Static members (v5+).
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    /// As Kafka records it: a slash and the address, `/127.0.0.1`.
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    /// Negative (v0 has none): the session timeout counts.
    pub rebalance_timeout_ms: i32,
    /// `consumer` for consumers, `connect` for workers, ...
    pub protocol_type: Arc<str>,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// The client says why it joins (v8+); for the log.
    pub reason: Option<String>,
    /// A new dynamic member has to join a second time with its id (v4+, KIP-394).
    pub member_id_required: bool,
    /// The client understands [`Joined::skip_assignment`] (v9+, KIP-814).
    pub can_skip_assignment: bool,
    /// Random bits for the member id, should one be given.
    pub random: u128,
    /// Until when, on the monotonic clock, further clients are about to connect that may be members of this group; none if
    /// none are.
    pub others_expected_until: Option<Duration>,
}

/// One way to assign that a member supports, and what it tells the leader in that way's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

/// A member of the next generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    pub member_id: MemberId,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// Empty when the group has none.
    pub leader: MemberId,
    /// The leader gets everyone; others nobody.
    pub members: Vec<JoinedMember>,
    /// The leader shall not assign: the group keeps the assignment it has.
    pub skip_assignment: bool,
}

/// One member, as the leader is refused of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinedMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// What the member sent along with the chosen protocol.
    pub metadata: Bytes,
}

/// Why a join failed, and the member id that the answer names.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinRefused {
    /// With [`GroupError::MemberIdRequired`], the id to join with; may be empty otherwise.
    pub member_id: MemberId,
    pub error: GroupError,
}

/// SyncGroup. (That v5+ names both protocol type and protocol is the handler's check.)
#[derive(Clone, Debug)]
pub struct SyncGroup {
    pub group_id: GroupId,
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub generation: i32,
    /// What the member believes the group's protocol type to be (v5+).
    pub protocol_type: Option<Arc<str>>,
    /// What the member believes the group's protocol to be (v5+).
    pub protocol: Option<Arc<str>>,
    /// The leader's work; others send none.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// What a member was assigned.
#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub assignment: Bytes,
}

/// Heartbeat.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    pub group_id: GroupId,
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub generation: i32,
}

/// LeaveGroup; versions before 3 name one member.
#[derive(Clone, Debug)]
pub struct LeaveGroup {
    pub group_id: GroupId,
    pub members: Vec<LeavingMember>,
}

/// Who leaves: by member id, or by instance id alone (an administrator removes a static member).
#[derive(Clone, Debug)]
pub struct LeavingMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// The client says why (v5+); for the log.
    pub reason: Option<String>,
}

/// What became of one leaving member.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberLeft {
    /// As the request named it.
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub result: Result<(), GroupError>,
}

/// OffsetCommit. That the topics and partitions exist is the handler's check.
#[derive(Clone, Debug)]
pub struct CommitOffsets {
    pub group_id: GroupId,
    /// Empty: not a member (an administrator, or a consumer that assigns itself).
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// -1: not a member.
    pub generation: i32,
    /// How long the offsets shall be kept (v2-v4); none, or negative: as the broker's settings say.
    pub retention_ms: Option<i64>,
    /// The client knows GROUP_ID_NOT_FOUND here (v9+); older ones get ILLEGAL_GENERATION.
    pub knows_group_id_not_found: bool,
    pub topics: Vec<TopicCommits>,
}

/// TxnOffsetCommit.
#[derive(Clone, Debug)]
pub struct CommitTxnOffsets {
    pub group_id: GroupId,
    pub producer: ProducerIdEpoch,
    /// Empty before v3.
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// -1 before v3.
    pub generation: i32,
    pub topics: Vec<TopicCommits>,
}

/// Offsets of one topic's partitions.
#[derive(Clone, Debug)]
pub struct TopicCommits {
    pub topic: TopicName,
    /// The topic's id, or zero where it is unknown.
    pub topic_id: TopicId,
    pub partitions: Vec<PartitionCommit>,
}

/// One partition's offset.
#[derive(Clone, Debug)]
pub struct PartitionCommit {
    pub partition: PartitionIndex,
    pub offset: Offset,
    /// -1: unknown.
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<Box<str>>,
    /// The client's own commit time (v1 alone); none, or -1: now.
    pub timestamp: Option<TimestampMs>,
}

/// OffsetDelete.
#[derive(Clone, Debug)]
pub struct DeleteOffsets {
    pub group_id: GroupId,
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// What became of one topic's partitions, in the order of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicResults {
    pub topic: TopicName,
    pub partitions: Vec<(PartitionIndex, Result<(), GroupError>)>,
}
