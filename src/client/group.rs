//! The requests of the classic group protocol.

use std::time::Duration;

use bytes::Bytes;

use super::admin::BrokerAddress;
use super::{Client, ClientError, Result, check_error_code};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::heartbeat::HeartbeatRequest;
use ottla_wire::protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_wire::protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use ottla_wire::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex};

/// The newest versions that have fields for a single group or coordinator and name topics by name.
const FIND_ONE_COORDINATOR: i16 = 3;
pub(super) const COMMIT_BY_NAME: i16 = 9;
pub(super) const FETCH_ONE_GROUP: i16 = 7;

/// What a member sends with a join.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub group: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// Assignor names in order of preference, each with the member's metadata.
    pub protocols: Vec<(String, Bytes)>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    /// A static member's name.
    pub instance_id: Option<String>,
}

/// A member of a generation of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub group: String,
    pub id: String,
    pub instance_id: Option<String>,
    pub generation: i32,
}

/// The result of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub member: Member,
    pub leader: String,
    pub protocol_type: String,
    pub protocol: Option<String>,
    /// All members with their metadata; empty unless this member is the leader.
    pub members: Vec<(String, Bytes)>,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// -1 if there is none.
    pub offset: Offset,
    pub metadata: Option<String>,
}

impl Client {
    /// Finds the coordinator of a group.
    pub async fn find_coordinator(&self, group: &str) -> Result<BrokerAddress> {
        let key = ApiKey::FindCoordinator;
        let version = self.version_up_to(key, FIND_ONE_COORDINATOR)?;
        let request = FindCoordinatorRequest { key: Str::from(group), ..Default::default() };
        let response = self.call_at(request, version).await?;
        check_error_code(key, response.error_code, response.error_message.as_ref())?;
        Ok(BrokerAddress { node_id: response.node_id, host: response.host.to_string(), port: response.port })
    }

    /// Joins as `member_id`, or as a new member if that is empty, and waits for the other members. A new member repeats
    /// the join with its assigned id if the coordinator requires that (KIP-394).
    pub async fn join_group(&self, subscription: &Subscription, member_id: &str) -> Result<Joined> {
        let key = ApiKey::JoinGroup;
        let mut request = join_request(subscription, member_id);
        let mut response = self.call(request.clone()).await?;
        if response.error_code == ErrorCode::MemberIdRequired.code() && member_id.is_empty() {
            request.member_id = response.member_id;
            response = self.call(request).await?;
        }
        check_error_code(key, response.error_code, None)?;
        let member = Member {
            group: subscription.group.clone(),
            id: response.member_id.to_string(),
            instance_id: subscription.instance_id.clone(),
            generation: response.generation_id,
        };
        let members = response.members.into_iter().map(|member| (member.member_id.to_string(), member.metadata));
        Ok(Joined {
            member,
            leader: response.leader.to_string(),
            protocol_type: subscription.protocol_type.clone(),
            protocol: response.protocol_name.map(|name| name.to_string()),
            members: members.collect(),
        })
    }

    /// Sends the assignments, which only the leader has, and awaits this member's assignment.
    pub async fn sync_group(&self, joined: &Joined, assignments: &[(String, Bytes)]) -> Result<Bytes> {
        let member = &joined.member;
        let assignment = |(id, bytes): &(String, Bytes)| SyncGroupRequestAssignment {
            member_id: Str::from(id.as_str()),
            assignment: bytes.clone(),
        };
        let request = SyncGroupRequest {
            group_id: Str::from(member.group.as_str()),
            generation_id: member.generation,
            member_id: Str::from(member.id.as_str()),
            group_instance_id: member.instance_id.as_deref().map(Str::from),
            protocol_type: Some(Str::from(joined.protocol_type.as_str())),
            protocol_name: joined.protocol.as_deref().map(Str::from),
            assignments: assignments.iter().map(assignment).collect(),
        };
        let response = self.call(request).await?;
        check_error_code(ApiKey::SyncGroup, response.error_code, None)?;
        Ok(response.assignment)
    }

    /// Keeps the member's session alive. `REBALANCE_IN_PROGRESS` means that it must rejoin.
    pub async fn heartbeat(&self, member: &Member) -> Result<()> {
        let request = HeartbeatRequest {
            group_id: Str::from(member.group.as_str()),
            generation_id: member.generation,
            member_id: Str::from(member.id.as_str()),
            group_instance_id: member.instance_id.as_deref().map(Str::from),
        };
        let response = self.call(request).await?;
        check_error_code(ApiKey::Heartbeat, response.error_code, None)
    }

    /// Removes the member from its group.
    pub async fn leave_group(&self, member: &Member) -> Result<()> {
        let id = Str::from(member.id.as_str());
        let instance = member.instance_id.as_deref().map(Str::from);
        let identity = MemberIdentity { member_id: id.clone(), group_instance_id: instance, ..Default::default() };
        let request =
            LeaveGroupRequest { group_id: Str::from(member.group.as_str()), member_id: id, members: vec![identity] };
        let response = self.call(request).await?;
        check_error_code(ApiKey::LeaveGroup, response.error_code, None)?;
        response.members.iter().try_for_each(|member| check_error_code(ApiKey::LeaveGroup, member.error_code, None))
    }

    /// Commits offsets of a topic as `member`, or without a member if the group is empty.
    pub async fn commit_offsets(
        &self,
        group: &str,
        member: Option<&Member>,
        topic: &str,
        offsets: &[(PartitionIndex, Offset)],
    ) -> Result<()> {
        let key = ApiKey::OffsetCommit;
        let version = self.version_up_to(key, COMMIT_BY_NAME)?;
        let partition = |&(partition_index, committed_offset): &(PartitionIndex, Offset)| {
            OffsetCommitRequestPartition { partition_index, committed_offset, ..Default::default() }
        };
        let request = OffsetCommitRequest {
            group_id: Str::from(group),
            generation_id_or_member_epoch: member.map_or(-1, |member| member.generation),
            member_id: member.map_or(Str::default(), |member| Str::from(member.id.as_str())),
            group_instance_id: member.and_then(|member| member.instance_id.as_deref()).map(Str::from),
            topics: vec![OffsetCommitRequestTopic {
                name: Str::from(topic),
                partitions: offsets.iter().map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = self.call_at(request, version).await?;
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.try_for_each(|partition| check_error_code(key, partition.error_code, None))
    }

    /// Fetches a group's committed offsets of a topic, in the order of `partitions`.
    pub async fn committed_offsets(
        &self,
        group: &str,
        topic: &str,
        partitions: &[PartitionIndex],
    ) -> Result<Vec<Committed>> {
        let key = ApiKey::OffsetFetch;
        let version = self.version_up_to(key, FETCH_ONE_GROUP)?;
        let topics = vec![OffsetFetchRequestTopic { name: Str::from(topic), partition_indexes: partitions.to_vec() }];
        let request = OffsetFetchRequest { group_id: Str::from(group), topics: Some(topics), ..Default::default() };
        let response = self.call_at(request, version).await?;
        check_error_code(key, response.error_code, None)?;
        let returned = response.topics.iter().flat_map(|topic| &topic.partitions);
        let returned: Vec<_> = returned.collect();
        let committed = |index: &PartitionIndex| {
            let partition = returned.iter().find(|partition| partition.partition_index == *index);
            let partition = partition.ok_or(ClientError::Incomplete { key })?;
            check_error_code(key, partition.error_code, None)?;
            let metadata = partition.metadata.as_ref().map(Str::to_string);
            Ok(Committed { offset: partition.committed_offset, metadata })
        };
        partitions.iter().map(committed).collect()
    }
}

pub(super) fn join_request(subscription: &Subscription, member_id: &str) -> JoinGroupRequest {
    let protocol = |(name, metadata): &(String, Bytes)| JoinGroupRequestProtocol {
        name: Str::from(name.as_str()),
        metadata: metadata.clone(),
    };
    JoinGroupRequest {
        group_id: Str::from(subscription.group.as_str()),
        session_timeout_ms: millis(subscription.session_timeout),
        rebalance_timeout_ms: millis(subscription.rebalance_timeout),
        member_id: Str::from(member_id),
        group_instance_id: subscription.instance_id.as_deref().map(Str::from),
        protocol_type: Str::from(subscription.protocol_type.as_str()),
        protocols: subscription.protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
