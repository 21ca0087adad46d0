//! A group of the classic protocol: the coordinator counts generations and members, one member
//! assigns for all.
//!
//! ```text
//!            first join               all joined, or the join timer
//!   Empty ---------------> Preparing -------------------------------> Completing
//!     ^                     |  ^  ^                                       |
//!     +---------------------+  |  +--- a member joins, leaves or fails ---+
//!          nobody joined       |                                          | leader's sync
//!                              +------------------- Stable <--------------+
//! ```
//!
//! What is here is soft: it lives on in a crash only as far as [`ClassicGroup::to_metadata`] was
//! written, when the group became Stable or Empty or a static member was replaced. Behaviour is
//! that of Apache Kafka's `ClassicGroup` and `GroupMetadataManager`, except where a comment says so.

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

/// The protocol type of consumers; of others the coordinator does not understand the metadata.
const CONSUMER: &str = "consumer";

/// A classic group as it lives between records.
#[derive(Debug)]
pub(super) struct ClassicGroup {
    id: GroupId,
    phase: Phase,
    /// Wall time of the last change of phase; none where an old record did not say.
    since: Option<TimestampMs>,
    /// Counts the rebalances.
    generation: i32,
    /// None until the group has had a member.
    protocol_type: Option<Arc<str>>,
    /// The protocol chosen for this generation.
    protocol: Option<Arc<str>>,
    leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member>,
    /// The member behind each instance id. Invariant: exactly the members that have one.
    static_members: BTreeMap<InstanceId, MemberId>,
    /// Ids given out to members that have yet to join with them (KIP-394), and by which connection.
    pending_join_members: BTreeMap<MemberId, MemberConnection>,
    /// What the members of this generation read; none if that cannot be known.
    subscribed: Option<BTreeSet<Box<str>>>,
    /// Members that give up partitions and then join again, while the others' syncs wait for that.
    revoking: BTreeSet<MemberId>,
}

/// Where a group stands, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    /// Collecting joins; a group that was empty waits for more members than it has.
    Preparing {
        initial: Option<InitialWait>,
    },
    /// Collecting syncs, above all the leader's.
    Completing,
    Stable,
}

impl ClassicGroup {
    /// A group without members.
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

    /// The group that the log remembers. Its members have their assignments and may go on.
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

    /// Starts what a group found in the log waits for.
    pub fn recovered(&mut self, decision: &mut Decision) {
        for member in self.members.values() {
            decision.set_timer(&self.id, Timer::Session(member.id.clone()), member.session_timeout());
        }
        if self.members.len() > decision.config.max_size {
            self.prepare_rebalance(decision, "the group is larger than group.max.size now allows");
        }
    }

    /// What a restart has to find again.
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

    /// Since when the group is in its state.
    pub fn since(&self) -> Option<TimestampMs> {
        self.since
    }

    pub fn protocol_type(&self) -> Option<&Arc<str>> {
        self.protocol_type.as_ref()
    }

    /// Whether nobody has come yet.
    pub fn never_had_members(&self) -> bool {
        self.members.is_empty() && self.pending_join_members.is_empty() && self.generation == 0
    }

    /// Whether the group may be forgotten once it keeps no offsets. (Kafka forgets tentative
    /// members with it; they would have to start over.)
    pub fn is_unused(&self) -> bool {
        self.phase == Phase::Empty && self.pending_join_members.is_empty()
    }

    /// Whether offsets of a group with members can be judged: it speaks the consumer protocol and
    /// its subscriptions could be read.
    pub fn knows_subscriptions(&self) -> bool {
        self.is_consumer() && self.subscribed.is_some()
    }

    /// Whether the members read this topic; if that cannot be known, consumers are taken to.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer(),
        }
    }

    /// DescribeGroups' view.
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

    /// Whether its members speak the consumer protocol.
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

    /// Writes the group as it is now.
    fn persist(&self, decision: &mut Decision) {
        let value = Some(Arc::new(self.to_metadata()));
        decision.record(GroupRecord::GroupMetadata { group: self.id.clone(), value });
    }

    /// Whether the request comes from a member, and from the one that holds the instance id.
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

    /// Takes a member out, tentative or not, and tells whoever waits in its name that it is none.
    fn remove(&mut self, decision: &mut Decision, member_id: &MemberId) {
        decision.cancel_timer(&self.id, Timer::Session(member_id.clone()));
        self.pending_join_members.remove(member_id);
        let Some(mut member) = self.members.remove(member_id) else { return };
        member.refuse_join(decision, MemberId::default(), GroupError::UnknownMemberId);
        member.answer_sync(decision, Err(GroupError::UnknownMemberId));
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
