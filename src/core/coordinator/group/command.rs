//! Commands to the group coordinator, and its replies.
//!
//! They are independent of API versions: fields say what the client supports.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::GroupMachine;
use super::error::GroupError;
use crate::coordinator::{ConnectionId, GroupId, InstanceId, MemberId};
use crate::machine::{Command, commands};
use ottla_wire::types::{LeaderEpoch, Offset, PartitionIndex, ProducerIdEpoch, TimestampMs, TopicId, TopicName};

/// A command and its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRequest {
    pub command: GroupCommand,
    /// `None` if the broker itself sent it.
    pub connection: Option<ConnectionId>,
}

impl<C: Into<GroupCommand>> From<C> for GroupRequest {
    fn from(command: C) -> GroupRequest {
        GroupRequest { command: command.into(), connection: None }
    }
}

/// A command that a client sent on a connection.
#[derive(Clone, Debug)]
pub struct Sent<C> {
    pub command: C,
    pub connection: ConnectionId,
}

impl<C: Into<GroupCommand>> From<Sent<C>> for GroupRequest {
    fn from(Sent { command, connection }: Sent<C>) -> GroupRequest {
        GroupRequest { command: command.into(), connection: Some(connection) }
    }
}

impl<C> Command for Sent<C>
where
    C: Command<Machine = GroupMachine> + Into<GroupCommand>,
{
    type Machine = GroupMachine;
    type Reply = C::Reply;

    fn reply(reply: GroupReply) -> Option<C::Reply> {
        C::reply(reply)
    }
}

commands! {
    GroupMachine:
    /// A request that may change a group.
    GroupCommand,
    /// The reply to the [`GroupCommand`] of the same name. Each command gets exactly one reply; replies to Join and Sync
    /// may be delayed.
    GroupReply;
    Join(JoinGroup) -> Result<Joined, JoinRefused>;
    Sync(SyncGroup) -> Result<Synced, GroupError>;
    Heartbeat(Heartbeat) -> Result<(), GroupError>;
    Leave(LeaveGroup) -> Result<Vec<MemberLeft>, GroupError>;
    CommitOffsets(CommitOffsets) -> Result<Vec<TopicResults>, GroupError>;
    CommitTxnOffsets(CommitTxnOffsets) -> Result<Vec<TopicResults>, GroupError>;
    DeleteOffsets(DeleteOffsets) -> Result<Vec<TopicResults>, GroupError>;
    DeleteGroups(DeleteGroups) -> Vec<(GroupId, Result<(), GroupError>)>;
    CoordinatorFound(CoordinatorFound) -> ();
    NotJoining(NotJoining) -> ();
    ConnectionClosed(ConnectionClosed) -> ();
}

/// DeleteGroups.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteGroups(pub Vec<GroupId>);

/// A client requested the group's coordinator (FindCoordinator), so it may join soon.
#[derive(Clone, Debug, PartialEq)]
pub struct CoordinatorFound(pub GroupClient);

/// The client that requested the group's coordinator on this connection sent a request that no joining member sends.
#[derive(Clone, Debug, PartialEq)]
pub struct NotJoining(pub GroupId);

/// The connection closed.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionClosed {
    pub connection: ConnectionId,
    /// The newest connection at that time; ids of connections increase in the order in which they were opened.
    pub newest: ConnectionId,
}

/// A client that may become a member of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupClient {
    pub group_id: GroupId,
    /// Empty if the request has none.
    pub client_id: Arc<str>,
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinGroup {
    pub group_id: GroupId,
    /// Empty for new members.
    pub member_id: MemberId,
    /// Static members (v5+).
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    /// A slash and the address, as in Kafka: `/127.0.0.1`.
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    /// Negative (v0 has none): the session timeout is used instead.
    pub rebalance_timeout_ms: i32,
    /// `consumer` for consumers, `connect` for Kafka Connect workers.
    pub protocol_type: Arc<str>,
    /// In order of preference.
    pub protocols: Vec<Protocol>,
    /// The client's reason for joining (v8+), for the log.
    pub reason: Option<String>,
    /// Whether a new dynamic member must join a second time with its id (v4+, KIP-394).
    pub member_id_required: bool,
    /// Whether the client supports [`Joined::skip_assignment`] (v9+, KIP-814).
    pub can_skip_assignment: bool,
    /// Random bits for a new member id.
    pub random: u128,
    /// Until when, in monotonic time, further clients are expected to connect that may join this group; `None` if no
    /// clients are expected.
    pub others_expected_until: Option<Duration>,
}

/// An assignment protocol that a member supports, and the member's metadata for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

/// A successful JoinGroup: the generation that the member belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    pub member_id: MemberId,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// Empty if the group has no leader.
    pub leader: MemberId,
    /// All members for the leader; empty for other members.
    pub members: Vec<JoinedMember>,
    /// Whether the leader must not assign: the group keeps its assignment.
    pub skip_assignment: bool,
}

/// One member in the response to the leader.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinedMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// The member's metadata for the selected protocol.
    pub metadata: Bytes,
}

/// Why JoinGroup failed, and the member id in the response.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinRefused {
    /// The id to join with, if the error is [`GroupError::MemberIdRequired`]. May be empty otherwise.
    pub member_id: MemberId,
    pub error: GroupError,
}

/// SyncGroup. The handler checks that v5+ has both protocol type and protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncGroup {
    pub group_id: GroupId,
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub generation: i32,
    /// The group's protocol type as known to the member (v5+).
    pub protocol_type: Option<Arc<str>>,
    /// The group's protocol as known to the member (v5+).
    pub protocol: Option<Arc<str>>,
    /// The assignment from the leader; empty from other members.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// A successful SyncGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub assignment: Bytes,
}

/// Heartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    pub group_id: GroupId,
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub generation: i32,
}

/// LeaveGroup. Versions before 3 have one member.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaveGroup {
    pub group_id: GroupId,
    pub members: Vec<LeavingMember>,
}

/// A member to remove: by member id, or only by instance id (when an administrator removes a static member).
#[derive(Clone, Debug, PartialEq)]
pub struct LeavingMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// The client's reason (v5+), for the log.
    pub reason: Option<String>,
}

/// The result for one member of LeaveGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberLeft {
    /// The member id in the request.
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub result: Result<(), GroupError>,
}

/// OffsetCommit. The handler checks that the topics and partitions exist.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitOffsets {
    pub group_id: GroupId,
    /// Empty: not a member (an administrator, or a consumer that assigns itself).
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// -1: not a member.
    pub generation: i32,
    /// The retention time of the offsets (v2-v4). `None` or negative: `offsets.retention.minutes`.
    pub retention_ms: Option<i64>,
    /// Whether the client supports GROUP_ID_NOT_FOUND here (v9+). Older clients get ILLEGAL_GENERATION.
    pub knows_group_id_not_found: bool,
    pub topics: Vec<TopicCommits>,
}

/// TxnOffsetCommit.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct TopicCommits {
    pub topic: TopicName,
    /// The topic's id, or zero where it is unknown.
    pub topic_id: TopicId,
    pub partitions: Vec<PartitionCommit>,
}

/// One partition's offset.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionCommit {
    pub partition: PartitionIndex,
    pub offset: Offset,
    /// -1: unknown.
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<Box<str>>,
    /// The client's commit time (only v1). `None` or -1: now.
    pub timestamp: Option<TimestampMs>,
}

/// OffsetDelete.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteOffsets {
    pub group_id: GroupId,
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// The results for one topic's partitions, in the order of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicResults {
    pub topic: TopicName,
    pub partitions: Vec<(PartitionIndex, Result<(), GroupError>)>,
}
