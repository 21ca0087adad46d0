//! The second of the two rebalances in which the cooperative protocol moves a partition (KIP-429).
//!
//! In the first rebalance a member's assignment lacks some of its partitions. The member revokes them and joins again
//! at once, so that other members get them in the second rebalance. If the other members already had their assignments,
//! they would notice the second rebalance only with their next heartbeat, usually three seconds later. So their
//! SyncGroup requests stay pending until the member joins again. Then the reply is REBALANCE_IN_PROGRESS, as for all
//! pending requests when a rebalance begins. After [`MAX_WAIT`] the reply is their assignment. Consumers continue to
//! fetch from their owned partitions meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use super::subscription::{assigned_partitions, owned_partitions};
use super::{ClassicGroup, Member};
use crate::coordinator::MemberId;
use crate::coordinator::group::decision::{Decision, Timer};

/// The maximum time that an assignment is delayed by members that revoke partitions.
const MAX_WAIT: Duration = Duration::from_millis(200);

impl ClassicGroup {
    /// Finds the members that must revoke partitions because of the leader's assignment.
    pub(super) fn begin_revocation(&mut self, decision: &mut Decision) {
        self.revoking = self.compute_revoking();
        if !self.revoking.is_empty() {
            decision.set_timer(&self.id, Timer::Revocation, MAX_WAIT);
        }
    }

    /// Whether the member's sync is delayed until other members have revoked partitions and joined again.
    pub(super) fn delays_sync_of(&self, member_id: &str) -> bool {
        !self.revoking.is_empty() && !self.revoking.contains(member_id)
    }

    /// Ends the wait because a rebalance begins, and rejects delayed syncs.
    pub(super) fn end_revocation(&mut self, decision: &mut Decision) {
        if !self.revoking.is_empty() {
            self.revoking.clear();
            decision.cancel_timer(&self.id, Timer::Revocation);
            self.reject_syncs(decision);
        }
    }

    /// Ends the wait because it took too long, and replies to delayed syncs with their assignments.
    pub fn revocation_timer_expired(&mut self, decision: &mut Decision) {
        self.revoking.clear();
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.send_assignment(decision, &member_id);
        }
    }

    fn compute_revoking(&self) -> BTreeSet<MemberId> {
        if !self.is_consumer() {
            return BTreeSet::new();
        }
        let must_revoke = |member: &&Member| {
            let owned = owned_partitions(member.metadata(self.protocol.as_ref())).unwrap_or_default();
            !owned.is_empty()
                && assigned_partitions(member.assignment.clone()).is_some_and(|assigned| !owned.is_subset(&assigned))
        };
        self.members.values().filter(must_revoke).map(|member| member.id.clone()).collect()
    }
}
