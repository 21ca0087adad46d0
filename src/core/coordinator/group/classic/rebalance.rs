//! Rebalances: collecting joins, electing the leader and selecting the protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{ClassicGroup, Phase};
use crate::coordinator::MemberId;
use crate::coordinator::group::decision::{Decision, Timer};
use crate::coordinator::group::error::GroupError;

/// The minimum interval of checks for absent static members.
const MIN_RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl ClassicGroup {
    /// Starts a rebalance after the members changed, or completes the current one.
    pub(super) fn rebalance(&mut self, decision: &mut Decision, reason: &str) {
        match self.phase {
            Phase::Preparing { .. } => self.complete_join_if_ready(decision),
            Phase::Empty | Phase::Completing | Phase::Stable => self.prepare_rebalance(decision, reason),
        }
    }

    /// Ends the generation. Members that wait for an assignment must join again.
    pub(super) fn prepare_rebalance(&mut self, decision: &mut Decision, reason: &str) {
        tracing::debug!(group = %self.id, generation = self.generation, reason, "rebalancing group");
        if self.phase == Phase::Completing {
            self.cancel_syncs(decision);
        }
        self.end_revocation(decision);
        for member in self.members.values_mut() {
            member.sync_pending = false;
        }
        decision.cancel_timer(&self.id, Timer::Sync);

        if self.phase == Phase::Empty {
            self.begin_initial_wait(decision);
            return;
        }
        self.enter(decision, Phase::Preparing { initial: None });
        decision.set_timer(&self.id, Timer::Join, self.rebalance_timeout());
        self.complete_join_if_ready(decision);
    }

    /// Ends the join phase, or extends the initial wait of a group that was empty.
    pub fn join_timer_expired(&mut self, decision: &mut Decision) {
        let Phase::Preparing { initial } = &mut self.phase else { return };
        if let Some(extension) = initial.as_mut().and_then(|initial| initial.extension(decision.config)) {
            decision.set_timer(&self.id, Timer::Join, extension);
            return;
        }
        self.complete_join(decision);
    }

    /// Begins the next generation if all members have joined. A group that was empty may wait for further members.
    pub(super) fn complete_join_if_ready(&mut self, decision: &mut Decision) {
        let all_joined = || self.pending_join_members.is_empty() && self.members.values().all(|m| m.has_joined());
        match self.phase {
            Phase::Preparing { initial: None } if all_joined() => self.complete_join(decision),
            Phase::Preparing { initial: Some(_) } => self.recheck_expected_members(decision),
            _ => {}
        }
    }

    /// Begins the next generation with the members that have joined. Static members that have not joined stay in the
    /// group, as they may be restarting.
    pub(super) fn complete_join(&mut self, decision: &mut Decision) {
        decision.cancel_timer(&self.id, Timer::Join);
        decision.expected.forget(&self.id);
        let missing = |m: &&super::Member| !m.has_joined() && m.instance_id.is_none();
        let missing: Vec<MemberId> = self.members.values().filter(missing).map(|m| m.id.clone()).collect();
        for member_id in &missing {
            self.remove(decision, member_id);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members are left, and none of them has joined. Wait until they join or their sessions expire.
            decision.set_timer(&self.id, Timer::Join, self.rebalance_timeout().max(MIN_RETRY_INTERVAL));
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.subscribed = self.compute_subscribed();
            self.enter(decision, Phase::Empty);
            self.persist(decision);
        } else {
            self.protocol = self.select_protocol();
            self.subscribed = self.compute_subscribed();
            self.enter(decision, Phase::Completing);
            self.reply_to_joins(decision);
        }
    }

    /// Replies to the pending joins. Each member must then send a SyncGroup request.
    fn reply_to_joins(&mut self, decision: &mut Decision) {
        tracing::debug!(group = %self.id, generation = self.generation, members = self.members.len(), "generation started");
        let member_ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for member_id in &member_ids {
            let joined = self.joined(member_id, true);
            if let Some(member) = self.members.get_mut(member_id) {
                member.reply_to_join(decision, joined);
                member.is_new = false;
                member.sync_pending = true;
            }
            self.start_session(decision, member_id);
        }
        decision.set_timer(&self.id, Timer::Sync, self.rebalance_timeout());
    }

    /// Keeps the leader if it has joined, or elects a member that has joined. False if there is none.
    fn elect_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.is_some_and(|leader| leader.has_joined()) {
            return true;
        }
        match self.members.values().find(|member| member.has_joined()) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// Selects the protocol that most members prefer, among those that all members support. (Of several with the same
    /// number of votes Kafka takes any; here it is the first by name.)
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let first = self.members.values().next()?;
        let common = |name: &Arc<str>| self.members.values().all(|member| member.supports(name));
        let candidates: Vec<&Arc<str>> = first.protocols.iter().map(|p| &p.name).filter(|name| common(name)).collect();

        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(choice) = member.protocols.iter().find(|p| candidates.contains(&&p.name)) {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        let most = *votes.values().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// The longest rebalance timeout of the members.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout()).max().unwrap_or_default()
    }

    /// Clears all assignments, and rejects pending syncs.
    fn cancel_syncs(&mut self, decision: &mut Decision) {
        for member in self.members.values_mut() {
            member.assignment.clear();
        }
        self.reject_syncs(decision);
    }

    /// Rejects pending syncs, so that their members join again.
    pub(super) fn reject_syncs(&mut self, decision: &mut Decision) {
        let mut rejected = Vec::new();
        for member in self.members.values_mut() {
            if member.reply_to_sync(decision, Err(GroupError::RebalanceInProgress)) {
                rejected.push(member.id.clone());
            }
        }
        for member_id in &rejected {
            self.start_session(decision, member_id);
        }
    }
}
