//! JoinGroup: who may become a member, and of which generation.

use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use super::member::Member;
use super::{ClassicGroup, Phase};
use crate::coordinator::group::command::{GroupReply, JoinGroup, JoinRefused, Joined, Protocol};
use crate::coordinator::group::error::GroupError;
use crate::coordinator::group::turn::{MemberLine, Timer, Turn};
use crate::coordinator::{MemberId, ReplyTo};

/// How long a new member's join may stay parked. Its connection is not read meanwhile, so nobody
/// would notice that it went away; if it is still there, it will ask again.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

impl ClassicGroup {
    /// Answers at once, or parks the join until the next generation begins.
    pub fn join(&mut self, turn: &mut Turn, to: ReplyTo, request: JoinGroup) {
        let member_id = request.member_id.clone();
        if !self.has_room_for(&member_id, turn.config.max_size) {
            self.remove(turn, &member_id);
            refuse(turn, to, MemberId::default(), GroupError::GroupMaxSizeReached);
            self.complete_join_if_ready(turn);
        } else if !self.can_agree_with(&request) {
            refuse(turn, to, member_id, GroupError::InconsistentGroupProtocol);
        } else if member_id.is_empty() {
            self.join_nameless(turn, to, request);
        } else if self.tentative.contains_key(&member_id) && request.instance_id.is_none() {
            self.add(turn, to, member_id, request);
        } else {
            match self.check_member(&member_id, request.instance_id.as_ref()) {
                Ok(()) => self.join_again(turn, to, member_id, request),
                Err(error) => refuse(turn, to, member_id, error),
            }
        }
    }

    /// The join of one that has no member id yet.
    fn join_nameless(&mut self, turn: &mut Turn, to: ReplyTo, request: JoinGroup) {
        let member_id = fresh_member_id(&request);
        match &request.instance_id {
            Some(instance_id) => match self.static_members.get(instance_id).cloned() {
                Some(old_id) => self.replace_static_member(turn, to, &old_id, member_id, request),
                None => self.add(turn, to, member_id, request),
            },
            None if request.member_id_required => {
                let timeout = Duration::from_millis(u64::try_from(request.session_timeout_ms).unwrap_or(0));
                turn.set_timer(&self.id, Timer::Session(member_id.clone()), timeout);
                self.tentative.insert(member_id.clone(), Link::of(turn));
                let (now, connection) = (turn.now.monotonic, turn.connection);
                turn.expected.given_member_id(now, &self.id, &member_id, &request.client_id, connection);
                refuse(turn, to, member_id, GroupError::MemberIdRequired);
            }
            None => self.add(turn, to, member_id, request),
        }
    }

    /// The join of a member: it starts a rebalance if it could change the assignment.
    fn join_again(&mut self, turn: &mut Turn, to: ReplyTo, member_id: MemberId, request: JoinGroup) {
        self.heard(turn, &member_id);
        let changed = self.members.get(&member_id).is_some_and(|member| member.protocols != request.protocols);
        match self.phase {
            // It may not have got the answer to its last join.
            Phase::Completing if !changed => self.repeat_generation(turn, to, member_id),
            // Its metadata is as it was; a leader's join however may tell of changes outside the
            // group, such as new partitions.
            Phase::Stable if !changed && !self.is_leader(&member_id) => self.repeat_generation(turn, to, member_id),
            _ => {
                let reason = request.reason.clone();
                if let Some(member) = self.members.get_mut(&member_id) {
                    member.update(request);
                    member.park_join(turn, to);
                }
                self.rebalance(turn, reason.as_deref().unwrap_or("a member joins again"));
            }
        }
    }

    /// Answers with the generation that is.
    fn repeat_generation(&mut self, turn: &mut Turn, to: ReplyTo, member_id: MemberId) {
        let joined = self.joined(&member_id, self.phase == Phase::Completing);
        turn.reply(to, GroupReply::Join(Ok(joined)));
    }

    /// Adds a member and lets it wait for the next generation.
    fn add(&mut self, turn: &mut Turn, to: ReplyTo, member_id: MemberId, request: JoinGroup) {
        if let Phase::Preparing { initial: Some(initial) } = &mut self.phase {
            initial.newcomer_joined(turn.now.monotonic);
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
            let line = (MemberLine::FirstOfGroup, request.client_host.clone());
            if turn.member_lines.admits(line, turn.now.monotonic) {
                let (member, client_id, host) = (&member_id, &request.client_id, &request.client_host);
                tracing::info!(group = %self.id, %member, client_id = %client_id, %host, "first member joined the group");
            }
        }
        if let Some(instance_id) = &request.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.tentative.remove(&member_id);
        self.leader.get_or_insert_with(|| member_id.clone());
        turn.set_timer(&self.id, Timer::Session(member_id.clone()), NEW_MEMBER_JOIN_TIMEOUT);

        let reason = request.reason.clone();
        let mut member = Member::new(member_id.clone(), Link::of(turn), request);
        member.park_join(turn, to);
        self.members.insert(member_id, member);
        self.rebalance(turn, reason.as_deref().unwrap_or("a new member joins"));
    }

    /// What a member is told of the generation; the leader also of everyone in it, so that it can
    /// assign.
    pub(super) fn joined(&self, member_id: &MemberId, tell_leader: bool) -> Joined {
        let members = if tell_leader && self.is_leader(member_id) {
            self.members.values().map(|member| member.as_joined(self.protocol.as_ref())).collect()
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

    /// Whether the group's size allows the join. While joins are collected, those that have
    /// joined count: so the last to come back to a group that is too large go.
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

    /// Whether the group speaks the member's protocol type, and the member a protocol that everyone
    /// in the group speaks.
    fn can_agree_with(&self, request: &JoinGroup) -> bool {
        if self.phase == Phase::Empty {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        let everyone_speaks = |p: &Protocol| self.members.values().all(|member| member.supports(&p.name));
        self.protocol_type.as_ref() == Some(&request.protocol_type) && request.protocols.iter().any(everyone_speaks)
    }
}

/// Kafka's member id: the client's name, or for a static member its instance id, and a random UUID.
fn fresh_member_id(request: &JoinGroup) -> MemberId {
    const VERSION_MASK: u128 = 0xf000 << 64;
    const VERSION_4: u128 = 0x4000 << 64;
    const VARIANT_MASK: u128 = 0b11 << 62;
    const VARIANT: u128 = 0b10 << 62;
    const MAX_NAME: usize = i16::MAX as usize - 1 - 36;
    let uuid = request.random & !VERSION_MASK & !VARIANT_MASK | VERSION_4 | VARIANT;
    let hex = format!("{uuid:032x}");
    let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
    // Records tell lengths of text in 15 bits.
    let end = (0..=name.len().min(MAX_NAME)).rev().find(|&end| name.is_char_boundary(end));
    let name = end.and_then(|end| name.get(..end)).unwrap_or_default();
    let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Arc::from(format!("{name}-{}", groups.join("-")))
}

pub(super) fn refuse(turn: &mut Turn, to: ReplyTo, member_id: MemberId, error: GroupError) {
    turn.reply(to, GroupReply::Join(Err(JoinRefused { member_id, error })));
}
