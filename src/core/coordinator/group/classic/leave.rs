//! LeaveGroup: removes members that leave, and static members on request of an administrator.

use super::{ClassicGroup, Phase};
use crate::coordinator::group::command::{LeavingMember, MemberLeft};
use crate::coordinator::group::decision::Decision;
use crate::coordinator::group::error::GroupError;

impl ClassicGroup {
    /// Removes the members, with one rebalance for all of them.
    ///
    /// (In Kafka a pending member that leaves causes a rebalance of a stable group; here it does not.)
    pub fn leave(&mut self, decision: &mut Decision, members: Vec<LeavingMember>) -> Vec<MemberLeft> {
        let before = self.members.len();
        let mut left = Vec::with_capacity(members.len());
        for leaving in members {
            let result = self.leave_one(decision, &leaving);
            left.push(MemberLeft { member_id: leaving.member_id, instance_id: leaving.instance_id, result });
        }
        if self.members.len() < before && self.phase != Phase::Empty {
            self.rebalance(decision, "members left");
        } else {
            self.complete_join_if_ready(decision);
        }
        left
    }

    fn leave_one(&mut self, decision: &mut Decision, leaving: &LeavingMember) -> Result<(), GroupError> {
        let member_id = if leaving.member_id.is_empty() {
            // The request of an administrator has only the instance id.
            let holder = leaving.instance_id.as_ref().and_then(|id| self.static_members.get(id));
            holder.ok_or(GroupError::UnknownMemberId)?.clone()
        } else {
            if !self.pending_join_members.contains_key(&leaving.member_id) {
                self.check_member(&leaving.member_id, leaving.instance_id.as_ref())?;
            }
            leaving.member_id.clone()
        };
        let reason = leaving.reason.as_deref().unwrap_or("not given");
        tracing::debug!(group = %self.id, member_id = %member_id, reason, "member leaves");
        self.remove(decision, &member_id);
        Ok(())
    }
}
