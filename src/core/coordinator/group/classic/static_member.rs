//! Static members: after a restart a member gets a new member id, which replaces the old one (KIP-345).

use super::member_connection::MemberConnection;
use super::{ClassicGroup, Phase};
use crate::coordinator::group::command::{GroupReply, JoinGroup};
use crate::coordinator::group::decision::{Decision, Timer};
use crate::coordinator::group::error::GroupError;
use crate::coordinator::{MemberId, ReplyTo};

impl ClassicGroup {
    /// Replaces the old member id by the new one, and fences requests with the old one. There is no rebalance if the
    /// group is stable and its protocol stays the same.
    pub(super) fn replace_static_member(
        &mut self,
        decision: &mut Decision,
        to: ReplyTo,
        old_id: &MemberId,
        new_id: MemberId,
        request: JoinGroup,
    ) {
        let leader_before = self.leader.clone();
        let can_skip_assignment = request.can_skip_assignment;
        self.replace_member_id(decision, old_id, &new_id, request);
        if self.phase != Phase::Stable || self.select_protocol() != self.protocol {
            if let Some(member) = self.members.get_mut(&new_id) {
                member.set_pending_join(decision, to);
            }
            // A rebalance is also needed while syncs are collected, because the leader assigns to the old id.
            self.rebalance(decision, "static member rejoined");
            return;
        }

        self.subscribed = self.compute_subscribed();
        self.persist(decision);
        let mut joined = self.joined(&new_id, can_skip_assignment);
        if can_skip_assignment {
            // The leader gets the members, but must not assign (KIP-814).
            joined.skip_assignment = self.is_leader(&new_id);
        } else {
            // The client does not support skip_assignment, so it must not see that it is the leader.
            joined.leader = leader_before.unwrap_or_default();
        }
        decision.reply(to, GroupReply::Join(Ok(joined)));
    }

    /// Changes the member's id, and updates it from the request. (Kafka keeps the old client id and host.)
    fn replace_member_id(&mut self, decision: &mut Decision, old_id: &MemberId, new_id: &MemberId, request: JoinGroup) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        decision.cancel_timer(&self.id, Timer::Session(old_id.clone()));
        member.reject_join(decision, old_id.clone(), GroupError::FencedInstanceId);
        member.reply_to_sync(decision, Err(GroupError::FencedInstanceId));

        member.id = new_id.clone();
        member.connection = MemberConnection::of(decision);
        member.is_new = false;
        member.client_id = request.client_id.clone();
        member.client_host = request.client_host.clone();
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), new_id.clone());
        }
        member.update(request);
        self.members.insert(new_id.clone(), member);
        self.start_session(decision, new_id);
    }
}
