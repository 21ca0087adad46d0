//! A static member that comes back under a new member id takes the place of the old one (KIP-345).

use super::member_connection::MemberConnection;
use super::{ClassicGroup, Phase};
use crate::coordinator::group::command::{GroupReply, JoinGroup};
use crate::coordinator::group::decision::{Decision, Timer};
use crate::coordinator::group::error::GroupError;
use crate::coordinator::{MemberId, ReplyTo};

impl ClassicGroup {
    /// Puts the new member id in the place of the old, fencing whoever still uses that. A stable
    /// group whose protocol stays the same goes on without a rebalance.
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
                member.park_join(decision, to);
            }
            // While syncs are collected this is a rebalance too: the leader assigns to the old id.
            self.rebalance(decision, "a static member came back");
            return;
        }

        self.subscribed = self.compute_subscribed();
        self.persist(decision);
        let mut joined = self.joined(&new_id, can_skip_assignment);
        if can_skip_assignment {
            // The leader learns of the members, but shall not assign (KIP-814).
            joined.skip_assignment = self.is_leader(&new_id);
        } else {
            // A client that would assign regardless must not see that it leads.
            joined.leader = leader_before.unwrap_or_default();
        }
        decision.reply(to, GroupReply::Join(Ok(joined)));
    }

    /// Moves the member to its new id, with what it now says of itself. (Kafka keeps the client id
    /// and host that the old one came with.)
    fn replace_member_id(&mut self, decision: &mut Decision, old_id: &MemberId, new_id: &MemberId, request: JoinGroup) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        decision.cancel_timer(&self.id, Timer::Session(old_id.clone()));
        member.refuse_join(decision, old_id.clone(), GroupError::FencedInstanceId);
        member.answer_sync(decision, Err(GroupError::FencedInstanceId));

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
