//! Heartbeats, and the end of sessions.

use std::sync::Arc;

use super::member_connection::MemberConnection;
use super::{ClassicGroup, Phase};
use crate::coordinator::group::command::Heartbeat;
use crate::coordinator::group::decision::{Decision, MemberLine};
use crate::coordinator::group::error::GroupError;
use crate::coordinator::{InstanceId, MemberId};

impl ClassicGroup {
    /// Extends the member's session. Returns [`GroupError::RebalanceInProgress`] during a rebalance.
    pub fn heartbeat(&mut self, decision: &mut Decision, request: &Heartbeat) -> Result<(), GroupError> {
        self.check_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.update_connection(decision, &request.member_id);
        self.start_session(decision, &request.member_id);
        match self.phase {
            Phase::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            Phase::Empty | Phase::Completing | Phase::Stable => Ok(()),
        }
    }

    /// Checks whether the sender may commit offsets now, and extends its session.
    ///
    /// Commits in a transaction do not depend on the group's state, and have no member before v3 of TxnOffsetCommit.
    pub fn commit_allowed(
        &mut self,
        decision: &mut Decision,
        member_id: &MemberId,
        instance_id: Option<&InstanceId>,
        generation: i32,
        transactional: bool,
    ) -> Result<(), GroupError> {
        if generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        if generation >= 0 || !member_id.is_empty() || instance_id.is_some() {
            self.check_member(member_id, instance_id)?;
            if generation != self.generation {
                return Err(GroupError::IllegalGeneration);
            }
        } else if !transactional {
            return Err(GroupError::UnknownMemberId);
        }
        if transactional {
            return Ok(());
        }
        self.update_connection(decision, member_id);
        if self.phase == Phase::Completing {
            // The member has no assignment of this generation yet: it commits offsets of the previous one.
            return Err(GroupError::RebalanceInProgress);
        }
        self.start_session(decision, member_id);
        Ok(())
    }

    /// Removes a member whose session expired.
    pub fn session_timer_expired(&mut self, decision: &mut Decision, member_id: &MemberId) {
        if self.pending_join_members.contains_key(member_id) {
            self.remove(decision, member_id);
            self.complete_join_if_ready(decision);
            return;
        }
        // A pending response starts a new session.
        if self.members.get(member_id).is_none_or(|member| member.is_awaiting_response()) {
            return;
        }
        let why = match self.members.get(member_id).map(|member| member.connection) {
            Some(MemberConnection::Closed) => "the member did not reconnect after its connection closed",
            _ => "the member's session expired",
        };
        let host = self.members.get(member_id).map(|member| Arc::clone(&member.client_host)).unwrap_or_default();
        if decision.member_lines.allows((MemberLine::Removal, host), decision.now.monotonic) {
            tracing::info!(group = %self.id, member_id = %member_id, reason = why, "removed a member from the group");
        }
        self.remove(decision, member_id);
        self.rebalance(decision, why);
    }
}
