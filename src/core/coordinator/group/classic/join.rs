//! JoinGroup: checks and accepts members.

use std::sync::Arc;
use std::time::Duration;

use super::member::Member;
use super::member_connection::MemberConnection;
use super::{ClassicGroup, Phase};
use crate::coordinator::group::command::{GroupReply, JoinGroup, JoinRefused, Joined, Protocol};
use crate::coordinator::group::decision::{Decision, MemberLine, Timer};
use crate::coordinator::group::error::GroupError;
use crate::coordinator::{MemberId, ReplyTo};

/// The maximum time that the join of a new member stays pending (Kafka's CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS). Its
/// connection is not read meanwhile, so the broker would not notice that the client is gone. A live client joins again.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

impl ClassicGroup {
    /// Replies at once, or keeps the join pending until the next generation begins.
    pub fn join(&mut self, decision: &mut Decision, to: ReplyTo, request: JoinGroup) {
        let member_id = request.member_id.clone();
        if !self.has_room_for(&member_id, decision.config.max_size) {
            self.remove(decision, &member_id);
            reject(decision, to, MemberId::default(), GroupError::GroupMaxSizeReached);
            self.complete_join_if_ready(decision);
        } else if !self.has_common_protocol_with(&request) {
            reject(decision, to, member_id, GroupError::InconsistentGroupProtocol);
        } else if member_id.is_empty() {
            self.join_without_member_id(decision, to, request);
        } else if self.pending_join_members.contains_key(&member_id) && request.instance_id.is_none() {
            self.add(decision, to, member_id, request);
        } else {
            match self.check_member(&member_id, request.instance_id.as_ref()) {
                Ok(()) => self.rejoin(decision, to, member_id, request),
                Err(error) => reject(decision, to, member_id, error),
            }
        }
    }

    /// Handles the join of a client without a member id.
    fn join_without_member_id(&mut self, decision: &mut Decision, to: ReplyTo, request: JoinGroup) {
        let member_id = generate_member_id(&request);
        match &request.instance_id {
            Some(instance_id) => match self.static_members.get(instance_id).cloned() {
                Some(old_id) => self.replace_static_member(decision, to, &old_id, member_id, request),
                None => self.add(decision, to, member_id, request),
            },
            None if request.member_id_required => {
                let timeout = Duration::from_millis(u64::try_from(request.session_timeout_ms).unwrap_or(0));
                decision.set_timer(&self.id, Timer::Session(member_id.clone()), timeout);
                self.pending_join_members.insert(member_id.clone(), MemberConnection::of(decision));
                let (now, connection) = (decision.now.monotonic, decision.connection);
                decision.expected.member_id_assigned(now, &self.id, &member_id, &request.client_id, connection);
                reject(decision, to, member_id, GroupError::MemberIdRequired);
            }
            None => self.add(decision, to, member_id, request),
        }
    }

    /// Handles the join of a member. It starts a rebalance if it could change the assignment.
    fn rejoin(&mut self, decision: &mut Decision, to: ReplyTo, member_id: MemberId, request: JoinGroup) {
        self.update_connection(decision, &member_id);
        let changed = self.members.get(&member_id).is_some_and(|member| member.protocols != request.protocols);
        match self.phase {
            // The response to its last join may be lost.
            Phase::Completing if !changed => self.reply_with_current_generation(decision, to, member_id),
            // Its metadata is unchanged. (A join of the leader may be caused by changes outside the group, such as new
            // partitions.)
            Phase::Stable if !changed && !self.is_leader(&member_id) => {
                self.reply_with_current_generation(decision, to, member_id)
            }
            _ => {
                let reason = request.reason.clone();
                if let Some(member) = self.members.get_mut(&member_id) {
                    member.update(request);
                    member.set_pending_join(decision, to);
                }
                self.rebalance(decision, reason.as_deref().unwrap_or("member joined again"));
            }
        }
    }

    /// Replies with the current generation.
    fn reply_with_current_generation(&mut self, decision: &mut Decision, to: ReplyTo, member_id: MemberId) {
        let joined = self.joined(&member_id, self.phase == Phase::Completing);
        decision.reply(to, GroupReply::Join(Ok(joined)));
    }

    /// Adds a member, whose join is pending until the next generation.
    fn add(&mut self, decision: &mut Decision, to: ReplyTo, member_id: MemberId, request: JoinGroup) {
        if let Phase::Preparing { initial: Some(initial) } = &mut self.phase {
            initial.member_joined(decision.now.monotonic);
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
            let line = (MemberLine::FirstOfGroup, request.client_host.clone());
            if decision.member_lines.allows(line, decision.now.monotonic) {
                let (client_id, host) = (&request.client_id, &request.client_host);
                tracing::info!(group = %self.id, %member_id, %client_id, %host, "first member joined the group");
            }
        }
        if let Some(instance_id) = &request.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.pending_join_members.remove(&member_id);
        self.leader.get_or_insert_with(|| member_id.clone());
        decision.set_timer(&self.id, Timer::Session(member_id.clone()), NEW_MEMBER_JOIN_TIMEOUT);

        let reason = request.reason.clone();
        let mut member = Member::new(member_id.clone(), MemberConnection::of(decision), request);
        member.set_pending_join(decision, to);
        self.members.insert(member_id, member);
        self.rebalance(decision, reason.as_deref().unwrap_or("new member joined"));
    }

    /// The JoinGroup response for a member. With `tell_leader`, the leader also gets all members, so that it can
    /// assign.
    pub(super) fn joined(&self, member_id: &MemberId, tell_leader: bool) -> Joined {
        let members = if tell_leader && self.is_leader(member_id) {
            self.members.values().map(|member| member.to_joined_member(self.protocol.as_ref())).collect()
        } else {
            Vec::new()
        };
        Joined {
            member_id: member_id.clone(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            members,
            skip_assignment: false,
        }
    }

    /// Whether the maximum size of the group allows the join. During a rebalance only the members that have joined are
    /// counted, so a group above its maximum size loses the last members to join.
    fn has_room_for(&self, member_id: &MemberId, max_size: usize) -> bool {
        let member = self.members.get(member_id);
        match self.phase {
            Phase::Empty => true,
            Phase::Preparing { .. } => {
                member.is_some_and(Member::has_joined)
                    || self.members.values().filter(|m| m.has_joined()).count() < max_size
            }
            Phase::Completing | Phase::Stable => member.is_some() || self.members.len() < max_size,
        }
    }

    /// Whether the group has the member's protocol type, and all members support one of its protocols.
    fn has_common_protocol_with(&self, request: &JoinGroup) -> bool {
        if self.phase == Phase::Empty {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        let all_support = |p: &Protocol| self.members.values().all(|member| member.supports(&p.name));
        self.protocol_type.as_ref() == Some(&request.protocol_type) && request.protocols.iter().any(all_support)
    }
}

/// Generates a member id as Kafka does: client id (of static members, the instance id) and a random UUID.
fn generate_member_id(request: &JoinGroup) -> MemberId {
    const VERSION_MASK: u128 = 0xf000 << 64;
    const VERSION_4: u128 = 0x4000 << 64;
    const VARIANT_MASK: u128 = 0b11 << 62;
    const VARIANT: u128 = 0b10 << 62;
    const MAX_NAME: usize = i16::MAX as usize - 1 - 36;
    let uuid = request.random & !VERSION_MASK & !VARIANT_MASK | VERSION_4 | VARIANT;
    let hex = format!("{uuid:032x}");
    let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
    // Lengths of strings in records have 15 bits.
    let end = (0..=name.len().min(MAX_NAME)).rev().find(|&end| name.is_char_boundary(end));
    let name = end.and_then(|end| name.get(..end)).unwrap_or_default();
    let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Arc::from(format!("{name}-{}", groups.join("-")))
}

pub(super) fn reject(decision: &mut Decision, to: ReplyTo, member_id: MemberId, error: GroupError) {
    decision.reply(to, GroupReply::Join(Err(JoinRefused { member_id, error })));
}
