//! Groups of the classic protocol: the coordinator manages generations and members, and one member assigns partitions
//! to all.
//!
//! ```text
//!            first join               all joined, or join timer
//!   Empty ---------------> Preparing -------------------------------> Completing
//!     ^                     |  ^  ^                                       |
//!     +---------------------+  |  +--- a member joins, leaves or fails ---+
//!       no member joined       |                                          | leader's sync
//!                              +------------------- Stable <--------------+
//! ```
//!
//! This state is volatile. The durable part is [`ClassicGroup::to_metadata`], which is written when the group becomes
//! Stable or Empty, or when a static member is replaced. The behaviour is that of Apache Kafka's `ClassicGroup` and
//! `GroupMetadataManager`, except where a comment says otherwise.

mod heartbeat;
mod initial;
mod join;
mod leave;
mod member;
mod member_connection;
mod rebalance;
mod revocation;
mod static_member;
mod subscription;
mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::initial::InitialWait;
use self::member::Member;
use self::member_connection::MemberConnection;
use super::decision::{Decision, Timer};
use super::error::GroupError;
use super::queries::{GroupDescription, GroupState, MemberDescription};
use crate::coordinator::records::{GroupMetadata, GroupRecord};
use crate::coordinator::{GroupId, InstanceId, MemberId};
use ottla_wire::types::{InOrder as _, TimestampMs};

/// The protocol type of consumers. The coordinator cannot read the metadata of other types.
const CONSUMER: &str = "consumer";

/// The current state of a classic group.
#[derive(Debug)]
pub(super) struct ClassicGroup {
    id: GroupId,
    phase: Phase,
    /// Wall time of the last change of phase; `None` if an old record does not have it.
    since: Option<TimestampMs>,
    /// Increases with each rebalance.
    generation: i32,
    /// None until the group has had a member.
    protocol_type: Option<Arc<str>>,
    /// The selected protocol of this generation.
    protocol: Option<Arc<str>>,
    leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member>,
    /// Member ids by instance id. Invariant: it has exactly the members with an instance id.
    static_members: BTreeMap<InstanceId, MemberId>,
    /// Assigned ids of members that have not joined with them yet (KIP-394), and their connections.
    pending_join_members: BTreeMap<MemberId, MemberConnection>,
    /// The topics that the members of this generation subscribe to; `None` if they are unknown.
    subscribed: Option<BTreeSet<Box<str>>>,
    /// Members that must revoke partitions and join again, while syncs of the other members are pending.
    revoking: BTreeSet<MemberId>,
}

/// The phase of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    /// Collects joins. A group that was empty may wait for further members.
    Preparing {
        initial: Option<InitialWait>,
    },
    /// Collects syncs, and waits for the leader's assignment.
    Completing,
    Stable,
}

impl ClassicGroup {
    /// Creates a group without members.
    pub fn new(id: GroupId, since: TimestampMs) -> ClassicGroup {
        ClassicGroup {
            id,
            phase: Phase::Empty,
            since: Some(since),
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join_members: BTreeMap::new(),
            subscribed: None,
            revoking: BTreeSet::new(),
        }
    }

    /// Restores a group from the log. Its members have their assignments.
    pub fn from_metadata(id: GroupId, metadata: &GroupMetadata) -> ClassicGroup {
        let member = |m| Member::from_metadata(m, metadata.protocol.as_ref());
        let members: BTreeMap<_, _> =
            metadata.members.iter().map(member).map(|member| (member.id.clone(), member)).in_order();
        let static_id = |m: &Member| Some((m.instance_id.clone()?, m.id.clone()));
        let mut group = ClassicGroup {
            phase: if members.is_empty() { Phase::Empty } else { Phase::Stable },
            since: metadata.state_since,
            generation: metadata.generation,
            protocol_type: metadata.protocol_type.clone(),
            protocol: metadata.protocol.clone(),
            leader: metadata.leader.clone(),
            static_members: members.values().filter_map(static_id).in_order(),
            members,
            pending_join_members: BTreeMap::new(),
            subscribed: None,
            revoking: BTreeSet::new(),
            id,
        };
        group.subscribed = group.compute_subscribed();
        group
    }

    /// Starts the timers of a restored group.
    pub fn recovered(&mut self, decision: &mut Decision) {
        for member in self.members.values() {
            decision.set_timer(&self.id, Timer::Session(member.id.clone()), member.session_timeout());
        }
        if self.members.len() > decision.config.max_size {
            self.prepare_rebalance(decision, "group is larger than group.max.size");
        }
    }

    /// The durable state.
    pub fn to_metadata(&self) -> GroupMetadata {
        GroupMetadata {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since: self.since,
            members: self.members.values().map(|m| m.to_metadata(self.protocol.as_ref())).collect(),
        }
    }

    pub fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Preparing { .. } => GroupState::PreparingRebalance,
            Phase::Completing => GroupState::CompletingRebalance,
            Phase::Stable => GroupState::Stable,
        }
    }

    /// When the group entered its state.
    pub fn since(&self) -> Option<TimestampMs> {
        self.since
    }

    pub fn protocol_type(&self) -> Option<&Arc<str>> {
        self.protocol_type.as_ref()
    }

    /// Whether the group has never had a member.
    pub fn never_had_members(&self) -> bool {
        self.members.is_empty() && self.pending_join_members.is_empty() && self.generation == 0
    }

    /// Whether the group can be removed once it has no offsets. (Kafka ignores pending members here, so they have to
    /// join again without a member id.)
    pub fn is_unused(&self) -> bool {
        self.phase == Phase::Empty && self.pending_join_members.is_empty()
    }

    /// Whether the subscriptions of a group of consumers are known.
    pub fn knows_subscriptions(&self) -> bool {
        self.is_consumer() && self.subscribed.is_some()
    }

    /// Whether the members subscribe to this topic. If the subscriptions of consumers are unknown, they count as
    /// subscribed.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer(),
        }
    }

    /// DescribeGroups.
    pub fn describe(&self) -> GroupDescription {
        let protocol = self.protocol.as_ref().filter(|_| self.phase == Phase::Stable);
        GroupDescription {
            group_id: self.id.clone(),
            state: self.state(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.cloned().unwrap_or_default(),
            members: self.members.values().map(|member| describe(member, protocol)).collect(),
        }
    }

    /// The number of members.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Whether this is a group of consumers.
    pub fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    fn enter(&mut self, decision: &Decision, phase: Phase) {
        self.phase = phase;
        self.since = Some(decision.now.wall);
    }

    /// Writes a record of the current state.
    fn persist(&self, decision: &mut Decision) {
        let value = Some(Arc::new(self.to_metadata()));
        decision.record(GroupRecord::GroupMetadata { group: self.id.clone(), value });
    }

    /// Checks that the member exists, and that the instance id belongs to it.
    fn check_member(&self, member_id: &str, instance_id: Option<&InstanceId>) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(holder) if **holder != *member_id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(GroupError::UnknownMemberId) }
    }

    /// Removes a member or pending member, and rejects its pending requests with UNKNOWN_MEMBER_ID.
    fn remove(&mut self, decision: &mut Decision, member_id: &MemberId) {
        decision.cancel_timer(&self.id, Timer::Session(member_id.clone()));
        self.pending_join_members.remove(member_id);
        let Some(mut member) = self.members.remove(member_id) else { return };
        member.reject_join(decision, MemberId::default(), GroupError::UnknownMemberId);
        member.reply_to_sync(decision, Err(GroupError::UnknownMemberId));
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    fn start_session(&self, decision: &mut Decision, member_id: &MemberId) {
        if let Some(member) = self.members.get(member_id) {
            decision.set_timer(&self.id, Timer::Session(member_id.clone()), member.session(decision.config));
        }
    }
}

fn describe(member: &Member, protocol: Option<&Arc<str>>) -> MemberDescription {
    MemberDescription {
        member_id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: member.metadata(protocol),
        assignment: member.assignment.clone(),
    }
}
