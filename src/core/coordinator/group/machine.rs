//! The state machine: dispatch of commands to groups, and replay of records.

use std::sync::Arc;
use std::time::Duration;

use super::classic::ClassicGroup;
use super::command::{
    CommitOffsets, CommitTxnOffsets, ConnectionClosed, CoordinatorFound, DeleteGroups, DeleteOffsets, GroupClient,
    GroupCommand, GroupReply, GroupRequest, JoinGroup, JoinRefused, LeaveGroup, MemberLeft, NotJoining, SyncGroup,
    TopicResults,
};
use super::config::GroupConfig;
use super::counts::GroupCounts;
use super::decision::{Decision, MemberLine, Timer};
use super::error::GroupError;
use super::expected::ExpectedMembers;
use super::offsets::OffsetStore;
use super::queries::GroupState;
use super::timers::Timers;
use super::{Group, GroupMachine, Heartbeat};
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{ConnectionId, Effects, GroupId, NoAction, Outcome, RecordMeta, ReplyTo, StateMachine};
use crate::log_windows::{LogWindows, Report};
use crate::metadata::ImageDelta;
use ottla_wire::types::{Now, ProducerIdEpoch, TimestampMs};

/// Maximum number of tombstones that one check for expired offsets writes, so that its batch stays small.
const EXPIRY_BATCH: usize = 5_000;

type GroupEffects = Effects<GroupRecord, GroupReply, NoAction>;

impl StateMachine for GroupMachine {
    type Command = GroupRequest;
    type Record = GroupRecord;
    type Reply = GroupReply;
    type Action = NoAction;

    fn handle(&mut self, now: Now, to: ReplyTo, request: GroupRequest) -> GroupEffects {
        self.decide(now, request.connection, |machine, decision| match request.command {
            GroupCommand::Join(request) => {
                let id = request.group_id.clone();
                decision.others_expected_until = request.others_expected_until;
                decision.expected.joins(&id, &request.member_id, &request.client_id, decision.connection);
                machine.join(decision, to, request);
                // If the join was rejected, other members no longer wait for this client.
                machine.recheck_expected_members(decision, &id);
            }
            GroupCommand::Sync(request) => machine.sync(decision, to, request),
            GroupCommand::Heartbeat(request) => {
                let result = machine.heartbeat(decision, &request);
                decision.reply(to, GroupReply::Heartbeat(result));
            }
            GroupCommand::Leave(request) => {
                let result = machine.leave(decision, request);
                decision.reply(to, GroupReply::Leave(result));
            }
            GroupCommand::CommitOffsets(request) => {
                let result = machine.commit(decision, request);
                decision.counts.commits.add(decision.offsets_since(0));
                decision.reply(to, GroupReply::CommitOffsets(result));
            }
            GroupCommand::CommitTxnOffsets(request) => {
                decision.effects.producer = request.producer;
                let result = machine.commit_in_txn(decision, request);
                decision.counts.commits.add(decision.offsets_since(0));
                decision.reply(to, GroupReply::CommitTxnOffsets(result));
            }
            GroupCommand::DeleteOffsets(request) => {
                let result = machine.delete_offsets(decision, request);
                decision.counts.deletions.add(decision.offsets_since(0));
                decision.reply(to, GroupReply::DeleteOffsets(result));
            }
            GroupCommand::DeleteGroups(DeleteGroups(ids)) => {
                let results = machine.delete_groups(decision, ids);
                decision.counts.deletions.add(decision.offsets_since(0));
                decision.reply(to, GroupReply::DeleteGroups(results));
            }
            GroupCommand::CoordinatorFound(CoordinatorFound(client)) => {
                machine.coordinator_found(decision, &client);
                decision.reply(to, GroupReply::CoordinatorFound(()));
            }
            GroupCommand::NotJoining(NotJoining(id)) => {
                decision.expected.not_joining(&id, decision.connection);
                machine.recheck_expected_members(decision, &id);
                decision.reply(to, GroupReply::NotJoining(()));
            }
            GroupCommand::ConnectionClosed(ConnectionClosed { connection, newest }) => {
                decision.expected.connection_closed(now.monotonic, connection, newest);
                if let Some(wait) = decision.config.disconnected_member_timeout {
                    for group in machine.groups.values_mut() {
                        group.classic.connection_closed(decision, connection, wait);
                    }
                }
                decision.reply(to, GroupReply::ConnectionClosed(()));
            }
        })
    }

    fn handle_timeout(&mut self, now: Now) -> GroupEffects {
        for Report { key, suppressed, seconds } in self.member_lines.take_due(now.monotonic) {
            let (of, host) = match &key {
                Some((MemberLine::FirstOfGroup, host)) => ("first members of groups", &**host),
                Some((MemberLine::Removal, host)) => ("removals of members", &**host),
                None => ("changes of members", "many hosts"),
            };
            tracing::info!(count = suppressed, seconds, host, "suppressed log lines: {of}");
        }
        self.decide(now, None, |machine, decision| {
            // Collected first: timers that are set now run with the next call.
            let due: Vec<_> = std::iter::from_fn(|| decision.timers.pop_due(now.monotonic)).collect();
            for (id, timer) in due {
                let Some(group) = machine.groups.get_mut(&id) else { continue };
                match timer {
                    Timer::Join => group.classic.join_timer_expired(decision),
                    Timer::Sync => group.classic.sync_timer_expired(decision),
                    Timer::Revocation => group.classic.revocation_timer_expired(decision),
                    Timer::Session(member_id) => group.classic.session_timer_expired(decision, &member_id),
                }
            }
            if machine.next_expiry.is_some_and(|at| at <= now.monotonic) {
                machine.expire(decision);
            }
        })
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let expiry = self.next_expiry.filter(|_| !self.groups.is_empty());
        self.timers.next().into_iter().chain(expiry).chain(self.member_lines.next_report()).min()
    }

    fn replay(&mut self, at: RecordMeta, record: &GroupRecord) {
        match record {
            GroupRecord::OffsetCommit { group, topic, partition, value: Some(value) } => {
                // The first offset creates a group without members.
                self.group_entry(group, at.timestamp);
                self.offsets.replay_commit(at, group, topic, *partition, value);
            }
            GroupRecord::OffsetCommit { group, topic, partition, value: None } => {
                self.offsets.replay_tombstone(group, topic, *partition);
            }
            GroupRecord::GroupMetadata { group, value: Some(value) } => {
                self.group_entry(group, at.timestamp).durable = Some(value.clone());
            }
            GroupRecord::GroupMetadata { group, value: None } => {
                self.groups.remove(group);
            }
        }
    }

    fn replay_end_txn(&mut self, producer: ProducerIdEpoch, outcome: Outcome) {
        self.offsets.replay_end_txn(producer.producer_id, outcome);
    }

    /// Removes the offsets of topics that do not exist any more.
    fn metadata_changed(&mut self, now: Now, delta: &ImageDelta) -> GroupEffects {
        let deleted = match delta.before() {
            Some(_) => delta.deleted_topics(),
            // Some may have been deleted just before a crash.
            None => {
                let names = self.offsets.all_topic_names().into_iter();
                names.filter(|name| delta.after().topic(name).is_none()).collect()
            }
        };
        if deleted.is_empty() {
            return Effects::default();
        }
        self.decide(now, None, |machine, decision| {
            machine.offsets.delete_topics(decision, &deleted);
            decision.counts.deletions.add(decision.offsets_since(0));
        })
    }

    fn recovered(&mut self, now: Now) -> GroupEffects {
        self.decide(now, None, |machine, decision| {
            for (id, group) in &mut machine.groups {
                if let Some(durable) = &group.durable {
                    group.classic = ClassicGroup::from_metadata(id.clone(), durable);
                }
                group.classic.recovered(decision);
            }
            machine.next_expiry = Some(now.monotonic.saturating_add(decision.config.offsets_retention_check_interval));
        })
    }
}

impl GroupMachine {
    /// Creates a machine without groups. Before the first command, replay the partition and call
    /// [`StateMachine::recovered`], even if the partition is empty.
    pub fn new(config: Arc<GroupConfig>) -> GroupMachine {
        GroupMachine {
            config,
            counts: Arc::default(),
            groups: Default::default(),
            offsets: OffsetStore::default(),
            timers: Timers::default(),
            expected: ExpectedMembers::default(),
            member_lines: LogWindows::default(),
            next_expiry: None,
        }
    }

    /// Counts in counters that machines of other partitions share.
    pub fn with_counts(self, counts: Arc<GroupCounts>) -> GroupMachine {
        GroupMachine { counts, ..self }
    }

    /// Makes one decision. Timers and expected members are moved into it, so that it can borrow groups at the same
    /// time.
    fn decide(
        &mut self,
        now: Now,
        connection: Option<ConnectionId>,
        steps: impl FnOnce(&mut Self, &mut Decision),
    ) -> GroupEffects {
        let (config, counts) = (Arc::clone(&self.config), Arc::clone(&self.counts));
        let mut timers = std::mem::take(&mut self.timers);
        let mut expected = std::mem::take(&mut self.expected);
        let mut member_lines = std::mem::take(&mut self.member_lines);
        let mut decision = Decision {
            now,
            connection,
            config: &config,
            counts: &counts,
            timers: &mut timers,
            expected: &mut expected,
            others_expected_until: None,
            member_lines: &mut member_lines,
            effects: Effects::default(),
        };
        steps(self, &mut decision);
        let effects = decision.effects;
        self.timers = timers;
        self.expected = expected;
        self.member_lines = member_lines;
        effects
    }

    /// Registers a client that may join, if the group's first generation would wait for it.
    fn coordinator_found(&mut self, decision: &mut Decision, client: &GroupClient) {
        let group = self.groups.get(&client.group_id);
        let waits = group.is_none_or(|group| group.classic.awaits_first_generation());
        if waits && decision.config.initial_rebalance_delay.is_none() {
            decision.expected.coordinator_requested(
                decision.now.monotonic,
                &client.group_id,
                &client.client_id,
                decision.connection,
            );
            self.recheck_expected_members(decision, &client.group_id);
        }
    }

    /// Lets the group check again whether clients are expected.
    fn recheck_expected_members(&mut self, decision: &mut Decision, id: &GroupId) {
        if let Some(group) = self.groups.get_mut(id) {
            group.classic.recheck_expected_members(decision);
        }
    }

    fn join(&mut self, decision: &mut Decision, to: ReplyTo, request: JoinGroup) {
        if let Err(error) = self.check_join(decision.config, &request) {
            let refused = JoinRefused { member_id: request.member_id, error };
            return decision.reply(to, GroupReply::Join(Err(refused)));
        }
        let id = request.group_id.clone();
        if let Some(group) = self.groups.get_mut(&id) {
            return group.classic.join(decision, to, request);
        }
        let mut classic = ClassicGroup::new(id.clone(), decision.now.wall);
        let empty = classic.to_metadata();
        classic.join(decision, to, request);
        if classic.never_had_members() {
            // The join was rejected. (Kafka keeps the empty group.)
            return;
        }
        decision.record(GroupRecord::GroupMetadata { group: id.clone(), value: Some(Arc::new(empty)) });
        self.groups.insert(id, Group { durable: None, classic });
    }

    fn check_join(&self, config: &GroupConfig, request: &JoinGroup) -> Result<(), GroupError> {
        check_id(&request.group_id)?;
        let session = u64::try_from(request.session_timeout_ms).map(Duration::from_millis);
        if !session.is_ok_and(|s| (config.min_session_timeout..=config.max_session_timeout).contains(&s)) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        // Only the group assigns member ids.
        if !self.groups.contains_key(&request.group_id) && !request.member_id.is_empty() {
            return Err(GroupError::UnknownMemberId);
        }
        Ok(())
    }

    fn sync(&mut self, decision: &mut Decision, to: ReplyTo, request: SyncGroup) {
        match self.member_group(&request.group_id) {
            Ok(group) => group.classic.sync(decision, to, request),
            Err(error) => decision.reply(to, GroupReply::Sync(Err(error))),
        }
    }

    fn heartbeat(&mut self, decision: &mut Decision, request: &Heartbeat) -> Result<(), GroupError> {
        self.member_group(&request.group_id)?.classic.heartbeat(decision, request)
    }

    fn leave(&mut self, decision: &mut Decision, request: LeaveGroup) -> Result<Vec<MemberLeft>, GroupError> {
        match self.member_group(&request.group_id) {
            Ok(group) => Ok(group.classic.leave(decision, request.members)),
            Err(GroupError::UnknownMemberId) => {
                let unknown = request.members.into_iter().map(|member| MemberLeft {
                    member_id: member.member_id,
                    instance_id: member.instance_id,
                    result: Err(GroupError::UnknownMemberId),
                });
                Ok(unknown.collect())
            }
            Err(error) => Err(error),
        }
    }

    fn commit(&mut self, decision: &mut Decision, request: CommitOffsets) -> Result<Vec<TopicResults>, GroupError> {
        let CommitOffsets { group_id, member_id, instance_id, generation, .. } = request;
        match self.groups.get_mut(&group_id) {
            Some(group) => {
                group.classic.commit_allowed(decision, &member_id, instance_id.as_ref(), generation, false)?;
            }
            None if generation < 0 => {}
            None if request.knows_group_id_not_found => return Err(GroupError::GroupIdNotFound),
            None => return Err(GroupError::IllegalGeneration),
        }
        Ok(self.offsets.commit(decision, &group_id, request.topics, request.retention_ms))
    }

    fn commit_in_txn(
        &mut self,
        decision: &mut Decision,
        request: CommitTxnOffsets,
    ) -> Result<Vec<TopicResults>, GroupError> {
        let CommitTxnOffsets { group_id, member_id, instance_id, generation, topics, .. } = request;
        check_id(&group_id)?;
        match self.groups.get_mut(&group_id) {
            Some(group) => {
                group.classic.commit_allowed(decision, &member_id, instance_id.as_ref(), generation, true)?;
            }
            None if generation < 0 => {}
            None => return Err(GroupError::IllegalGeneration),
        }
        Ok(self.offsets.commit(decision, &group_id, topics, None))
    }

    fn delete_offsets(
        &mut self,
        decision: &mut Decision,
        request: DeleteOffsets,
    ) -> Result<Vec<TopicResults>, GroupError> {
        check_id(&request.group_id)?;
        let classic = &self.groups.get(&request.group_id).ok_or(GroupError::GroupIdNotFound)?.classic;
        if classic.state() != GroupState::Empty && !classic.is_consumer() {
            // The coordinator does not know the subscriptions of these members.
            return Err(GroupError::NonEmptyGroup);
        }
        let is_subscribed = |topic: &str| classic.is_subscribed_to(topic);
        Ok(self.offsets.delete(decision, &request.group_id, request.topics, is_subscribed))
    }

    fn delete_groups(&mut self, decision: &mut Decision, ids: Vec<GroupId>) -> Vec<(GroupId, Result<(), GroupError>)> {
        let mut delete = |id: &GroupId| {
            let group = self.groups.get(id).ok_or(GroupError::GroupIdNotFound)?;
            if group.classic.state() != GroupState::Empty {
                return Err(GroupError::NonEmptyGroup);
            }
            self.offsets.delete_all(decision, id);
            decision.record(GroupRecord::GroupMetadata { group: id.clone(), value: None });
            Ok(())
        };
        ids.into_iter().map(|id| (id.clone(), delete(&id))).collect()
    }

    /// Removes expired offsets and unused groups: one batch of them, and the others with the next call.
    fn expire(&mut self, decision: &mut Decision) {
        let (mut wait, before) = (decision.config.offsets_retention_check_interval, decision.effects.records.len());
        for (id, group) in &self.groups {
            if decision.effects.records.len() >= EXPIRY_BATCH {
                wait = Duration::ZERO;
                break;
            }
            if self.offsets.expire(decision, id, &group.classic) && group.classic.is_unused() {
                decision.record(GroupRecord::GroupMetadata { group: id.clone(), value: None });
            }
        }
        decision.counts.expirations.add(decision.offsets_since(before));
        self.next_expiry = Some(decision.now.monotonic.saturating_add(wait));
    }

    /// The group of a member. If it does not exist, the member is unknown.
    fn member_group(&mut self, id: &GroupId) -> Result<&mut Group, GroupError> {
        check_id(id)?;
        self.groups.get_mut(id).ok_or(GroupError::UnknownMemberId)
    }

    /// The group, which is created if it does not exist.
    fn group_entry(&mut self, id: &GroupId, since: TimestampMs) -> &mut Group {
        self.groups
            .entry(id.clone())
            .or_insert_with(|| Group { durable: None, classic: ClassicGroup::new(id.clone(), since) })
    }
}

fn check_id(id: &GroupId) -> Result<(), GroupError> {
    if id.is_empty() { Err(GroupError::InvalidGroupId) } else { Ok(()) }
}
