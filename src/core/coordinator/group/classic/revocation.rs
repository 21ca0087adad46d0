//! The second of the two rebalances in which the cooperative protocol moves a partition (KIP-429).
//!
//! A member learns from its assignment what it has to give up, gives it up, and joins again at once, so that others get it
//! in the next generation. If those had their assignments by then, they would learn of that rebalance only with their
//! next heartbeat, which most send every three seconds. So their SyncGroup is answered when the member has joined
//! again, with REBALANCE_IN_PROGRESS, as Kafka answers all that wait when a rebalance begins; or with their
//! assignment if that takes longer than [`MAX_WAIT`]. They read what they have meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use super::subscription::{assigned_partitions, owned_partitions};
use super::{ClassicGroup, Member};
use crate::coordinator::MemberId;
use crate::coordinator::group::decision::{Decision, Timer};

/// The longest that an assignment waits for members that give up partitions.
const MAX_WAIT: Duration = Duration::from_millis(200);

impl ClassicGroup {
    /// Finds out who has to give up partitions by the assignment that was handed in.
    pub(super) fn begin_revocation(&mut self, decision: &mut Decision) {
        self.revoking = self.compute_revoking();
        if !self.revoking.is_empty() {
            decision.set_timer(&self.id, Timer::Revocation, MAX_WAIT);
        }
    }

    /// Whether the member's sync waits until those who give up partitions have joined again.
    pub(super) fn delays_sync_of(&self, member_id: &str) -> bool {
        !self.revoking.is_empty() && !self.revoking.contains(member_id)
    }

    /// A rebalance begins: who waits for it joins again.
    pub(super) fn end_revocation(&mut self, decision: &mut Decision) {
        if !self.revoking.is_empty() {
            self.revoking.clear();
            decision.cancel_timer(&self.id, Timer::Revocation);
            self.refuse_syncs(decision);
        }
    }

    /// Those who give up partitions take long: the others begin with what they were assigned.
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
        let gives_up = |member: &&Member| {
            let owned = owned_partitions(member.metadata(self.protocol.as_ref())).unwrap_or_default();
            !owned.is_empty()
                && assigned_partitions(member.assignment.clone()).is_some_and(|kept| !owned.is_subset(&kept))
        };
        self.members.values().filter(gives_up).map(|member| member.id.clone()).collect()
    }
}
