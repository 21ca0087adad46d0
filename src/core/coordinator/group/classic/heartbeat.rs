//! Signs of life, and what happens without them.

use std::sync::Arc;

use super::link::Link;
use super::{ClassicGroup, Phase};
use crate::coordinator::group::command::Heartbeat;
use crate::coordinator::group::error::GroupError;
use crate::coordinator::group::turn::{MemberLine, Turn};
use crate::coordinator::{InstanceId, MemberId};

impl ClassicGroup {
    /// Prolongs the member's session; tells it of a rebalance.
    pub fn heartbeat(&mut self, turn: &mut Turn, request: &Heartbeat) -> Result<(), GroupError> {
        self.check_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.heard(turn, &request.member_id);
        self.start_session(turn, &request.member_id);
        match self.phase {
            Phase::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            Phase::Empty | Phase::Completing | Phase::Stable => Ok(()),
        }
    }

    /// Whether the sender may commit offsets now; prolongs its session.
    ///
    /// Commits in a transaction are not held to the group's state, and before v3 of their API
    /// named no member.
    pub fn commit_allowed(
        &mut self,
        turn: &mut Turn,
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
        self.heard(turn, member_id);
        if self.phase == Phase::Completing {
            // The member knows the generation but not yet its assignment: what it commits it read
            // in the last one.
            return Err(GroupError::RebalanceInProgress);
        }
        self.start_session(turn, member_id);
        Ok(())
    }

    /// A session ended without a sign of life.
    pub fn session_timer_passed(&mut self, turn: &mut Turn, member_id: &MemberId) {
        if self.tentative.contains_key(member_id) {
            self.remove(turn, member_id);
            self.complete_join_if_ready(turn);
            return;
        }
        // Who waits for an answer gets a new session with it.
        if self.members.get(member_id).is_none_or(|member| member.is_excused()) {
            return;
        }
        let why = match self.members.get(member_id).map(|member| member.link) {
            Some(Link::Closed) => "a member's connection closed and it did not come back",
            _ => "a member's session timed out",
        };
        let host = self.members.get(member_id).map(|member| Arc::clone(&member.client_host)).unwrap_or_default();
        if turn.member_lines.admits((MemberLine::Removal, host), turn.now.monotonic) {
            tracing::info!(group = %self.id, member = %member_id, "{why}, removing it");
        }
        self.remove(turn, member_id);
        self.rebalance(turn, why);
    }
}
