//! SyncGroup: the leader sends the assignment, and each member gets its part.

use std::collections::HashMap;

use bytes::Bytes;

use super::{ClassicGroup, Phase};
use crate::coordinator::group::command::{GroupReply, SyncGroup, Synced};
use crate::coordinator::group::decision::{Decision, Timer};
use crate::coordinator::group::error::GroupError;
use crate::coordinator::{MemberId, ReplyTo};

impl ClassicGroup {
    /// Replies with the assignment, or keeps the request pending until the leader has sent it.
    pub fn sync(&mut self, decision: &mut Decision, to: ReplyTo, request: SyncGroup) {
        let refusal = match (self.check_sync(&request), self.phase) {
            (Err(error), _) => Some(error),
            (Ok(()), Phase::Preparing { .. }) => Some(GroupError::RebalanceInProgress),
            (Ok(()), Phase::Empty) => Some(GroupError::UnknownMemberId),
            (Ok(()), Phase::Completing | Phase::Stable) => None,
        };
        if let Some(error) = refusal {
            decision.reply(to, GroupReply::Sync(Err(error)));
            return;
        }
        self.update_connection(decision, &request.member_id);
        if let Some(member) = self.members.get_mut(&request.member_id) {
            member.sync_pending = false;
            member.set_pending_sync(decision, to);
        }
        if !self.members.values().any(|member| member.sync_pending) {
            decision.cancel_timer(&self.id, Timer::Sync);
        }
        if self.phase == Phase::Stable {
            if !self.delays_sync_of(&request.member_id) {
                self.send_assignment(decision, &request.member_id);
            }
        } else if self.is_leader(&request.member_id) {
            self.assign(decision, request.assignments);
        }
    }

    /// Removes members that did not send SyncGroup in time.
    pub fn sync_timer_expired(&mut self, decision: &mut Decision) {
        if !matches!(self.phase, Phase::Completing | Phase::Stable) {
            return;
        }
        let missing: Vec<MemberId> = self.members.values().filter(|m| m.sync_pending).map(|m| m.id.clone()).collect();
        for member_id in &missing {
            self.remove(decision, member_id);
        }
        if !missing.is_empty() {
            self.prepare_rebalance(decision, "members did not sync in time");
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> Result<(), GroupError> {
        self.check_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differ = |theirs: &Option<_>, ours: &Option<_>| theirs.is_some() && ours.is_some() && theirs != ours;
        if differ(&request.protocol_type, &self.protocol_type) || differ(&request.protocol, &self.protocol) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// Stores and writes the leader's assignment, and replies to pending syncs unless they are delayed by a revocation.
    /// Members that are not in it get an empty assignment.
    fn assign(&mut self, decision: &mut Decision, assignments: Vec<(MemberId, Bytes)>) {
        let mut assignments: HashMap<MemberId, Bytes> = assignments.into_iter().collect();
        for member in self.members.values_mut() {
            // Copied, so that members do not keep the leader's whole request in memory.
            member.assignment = assignments.remove(&member.id).map_or_else(Bytes::new, |a| Bytes::copy_from_slice(&a));
        }
        decision.counts.rebalances.add(1);
        self.enter(decision, Phase::Stable);
        self.persist(decision);
        self.begin_revocation(decision);
        let undelayed = self.members.keys().filter(|member_id| !self.delays_sync_of(member_id));
        for member_id in undelayed.cloned().collect::<Vec<_>>() {
            self.send_assignment(decision, &member_id);
        }
    }

    /// Replies to a pending sync with the member's assignment, and restarts its session.
    pub(super) fn send_assignment(&mut self, decision: &mut Decision, member_id: &MemberId) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        let synced = Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: member.assignment.clone(),
        };
        if member.reply_to_sync(decision, Ok(synced)) {
            self.start_session(decision, member_id);
        }
    }
}
