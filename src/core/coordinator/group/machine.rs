//! The machine itself: finds the group, lets it decide, applies what came of it.

use std::sync::Arc;
use std::time::Duration;

use super::classic::ClassicGroup;
use super::command::{
    CommitOffsets, CommitTxnOffsets, DeleteOffsets, GroupClient, GroupCommand, GroupReply, GroupRequest, JoinGroup,
    JoinRefused, LeaveGroup, MemberLeft, SyncGroup, TopicResults,
};
use super::config::GroupConfig;
use super::error::GroupError;
use super::expected::ExpectedMembers;
use super::offsets::OffsetStore;
use super::queries::GroupState;
use super::timers::Timers;
use super::turn::{MemberLine, Timer, Turn};
use super::{Group, GroupMachine, Heartbeat};
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{ConnectionId, Effects, GroupId, Machine, Outcome, RecordMeta, ReplyTo};
use crate::log_windows::{Report, Windows};
use ottla_wire::types::{Now, ProducerIdEpoch, TimestampMs};

/// Tombstones after which one look for expired offsets pauses, so that its batch stays small.
const EXPIRY_BATCH: usize = 5_000;

type GroupEffects = Effects<GroupRecord, GroupReply>;

impl Machine for GroupMachine {
    type Command = GroupRequest;
    type Record = GroupRecord;
    type Reply = GroupReply;

    fn handle(&mut self, now: Now, to: ReplyTo, request: GroupRequest) -> GroupEffects {
        self.decide(now, request.connection, |machine, turn| match request.command {
            GroupCommand::Join(request) => {
                let id = request.group_id.clone();
                turn.others_expected_until = request.others_expected_until;
                turn.expected.joins(&id, &request.member_id, &request.client_id, turn.connection);
                machine.join(turn, to, request);
                // Members wait no longer for one that was refused.
                machine.review_expected(turn, &id);
            }
            GroupCommand::Sync(request) => machine.sync(turn, to, request),
            GroupCommand::Heartbeat(request) => {
                let result = machine.heartbeat(turn, &request);
                turn.reply(to, GroupReply::Heartbeat(result));
            }
            GroupCommand::Leave(request) => {
                let result = machine.leave(turn, request);
                turn.reply(to, GroupReply::Leave(result));
            }
            GroupCommand::CommitOffsets(request) => {
                let result = machine.commit(turn, request);
                turn.reply(to, GroupReply::CommitOffsets(result));
            }
            GroupCommand::CommitTxnOffsets(request) => {
                let result = machine.commit_in_txn(turn, request);
                turn.reply(to, GroupReply::CommitTxnOffsets(result));
            }
            GroupCommand::DeleteOffsets(request) => {
                let result = machine.delete_offsets(turn, request);
                turn.reply(to, GroupReply::DeleteOffsets(result));
            }
            GroupCommand::DeleteGroups(ids) => {
                let results = machine.delete_groups(turn, ids);
                turn.reply(to, GroupReply::DeleteGroups(results));
            }
            GroupCommand::CoordinatorFound(client) => {
                machine.coordinator_found(turn, &client);
                turn.reply(to, GroupReply::CoordinatorFound);
            }
            GroupCommand::NotJoining(id) => {
                turn.expected.not_joining(&id, turn.connection);
                machine.review_expected(turn, &id);
                turn.reply(to, GroupReply::NotJoining);
            }
            GroupCommand::TopicsDeleted(topics) => {
                machine.offsets.delete_topics(turn, &topics);
                turn.reply(to, GroupReply::TopicsDeleted);
            }
            GroupCommand::ConnectionClosed { connection, newest } => {
                turn.expected.connection_closed(now.monotonic, connection, newest);
                if let Some(wait) = turn.config.disconnected_member_timeout {
                    for group in machine.groups.values_mut() {
                        group.classic.connection_closed(turn, connection, wait);
                    }
                }
                turn.reply(to, GroupReply::ConnectionClosed);
            }
        })
    }

    fn handle_timeout(&mut self, now: Now) -> GroupEffects {
        for Report { key, held_back, seconds } in self.member_lines.take_due(now.monotonic) {
            let (of, host) = match &key {
                Some((MemberLine::FirstOfGroup, host)) => ("first members of groups", &**host),
                Some((MemberLine::Removal, host)) => ("removals of members", &**host),
                None => ("changes of members", "many hosts"),
            };
            tracing::info!("{held_back} more {of} at {host} in the last {seconds} s are not listed");
        }
        self.decide(now, None, |machine, turn| {
            // Taken out first: what a timer sets anew waits for the next call.
            let due: Vec<_> = std::iter::from_fn(|| turn.timers.pop_due(now.monotonic)).collect();
            for (id, timer) in due {
                let Some(group) = machine.groups.get_mut(&id) else { continue };
                match timer {
                    Timer::Join => group.classic.join_timer_passed(turn),
                    Timer::Sync => group.classic.sync_timer_passed(turn),
                    Timer::Revocation => group.classic.revocation_timer_passed(turn),
                    Timer::Session(member_id) => group.classic.session_timer_passed(turn, &member_id),
                }
            }
            if machine.next_expiry.is_some_and(|at| at <= now.monotonic) {
                machine.expire(turn);
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
                // A group that only keeps offsets comes into being with them.
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

    fn recovered(&mut self, now: Now) {
        self.decide(now, None, |machine, turn| {
            for (id, group) in &mut machine.groups {
                if let Some(durable) = &group.durable {
                    group.classic = ClassicGroup::remembered(id.clone(), durable);
                }
                group.classic.recovered(turn);
            }
            machine.next_expiry = Some(now.monotonic.saturating_add(turn.config.offsets_retention_check_interval));
        });
    }
}

impl GroupMachine {
    /// A machine without groups. What its partition remembers is to be replayed, then
    /// [`Machine::recovered`] called, before the first command; also where there was nothing.
    pub fn new(config: Arc<GroupConfig>) -> GroupMachine {
        GroupMachine {
            config,
            groups: Default::default(),
            offsets: OffsetStore::default(),
            timers: Timers::default(),
            expected: ExpectedMembers::default(),
            member_lines: Windows::default(),
            next_expiry: None,
        }
    }

    /// Makes one decision. Timers and expected members are lent to it, so that it can borrow groups beside them.
    fn decide(
        &mut self,
        now: Now,
        connection: Option<ConnectionId>,
        decision: impl FnOnce(&mut Self, &mut Turn),
    ) -> GroupEffects {
        let config = self.config.clone();
        let mut timers = std::mem::take(&mut self.timers);
        let mut expected = std::mem::take(&mut self.expected);
        let mut member_lines = std::mem::take(&mut self.member_lines);
        let mut turn = Turn {
            now,
            connection,
            config: &config,
            timers: &mut timers,
            expected: &mut expected,
            others_expected_until: None,
            member_lines: &mut member_lines,
            effects: Effects::default(),
        };
        decision(self, &mut turn);
        let effects = turn.effects;
        self.timers = timers;
        self.expected = expected;
        self.member_lines = member_lines;
        effects
    }

    /// Remembers that the client may join, where a first generation would wait for it.
    fn coordinator_found(&mut self, turn: &mut Turn, client: &GroupClient) {
        let group = self.groups.get(&client.group_id);
        let waits = group.is_none_or(|group| group.classic.awaits_first_generation());
        if waits && turn.config.initial_rebalance_delay.is_none() {
            turn.expected.asked(turn.now.monotonic, &client.group_id, &client.client_id, turn.connection);
            self.review_expected(turn, &client.group_id);
        }
    }

    /// Has the group look again whether somebody is expected.
    fn review_expected(&mut self, turn: &mut Turn, id: &GroupId) {
        if let Some(group) = self.groups.get_mut(id) {
            group.classic.review_expected(turn);
        }
    }

    fn join(&mut self, turn: &mut Turn, to: ReplyTo, request: JoinGroup) {
        if let Err(error) = self.check_join(turn.config, &request) {
            let refused = JoinRefused { member_id: request.member_id, error };
            return turn.reply(to, GroupReply::Join(Err(refused)));
        }
        let id = request.group_id.clone();
        if let Some(group) = self.groups.get_mut(&id) {
            return group.classic.join(turn, to, request);
        }
        let mut classic = ClassicGroup::new(id.clone(), turn.now.wall);
        let empty = classic.to_metadata();
        classic.join(turn, to, request);
        if classic.is_vacant() {
            // The join was refused. (Kafka keeps the empty group.)
            return;
        }
        turn.record(GroupRecord::GroupMetadata { group: id.clone(), value: Some(Arc::new(empty)) });
        self.groups.insert(id, Group { durable: None, classic });
    }

    fn check_join(&self, config: &GroupConfig, request: &JoinGroup) -> Result<(), GroupError> {
        check_id(&request.group_id)?;
        let session = u64::try_from(request.session_timeout_ms).map(Duration::from_millis);
        if !session.is_ok_and(|s| (config.min_session_timeout..=config.max_session_timeout).contains(&s)) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        // One that has a member id must have got it from the group.
        if !self.groups.contains_key(&request.group_id) && !request.member_id.is_empty() {
            return Err(GroupError::UnknownMemberId);
        }
        Ok(())
    }

    fn sync(&mut self, turn: &mut Turn, to: ReplyTo, request: SyncGroup) {
        match self.member_group(&request.group_id) {
            Ok(group) => group.classic.sync(turn, to, request),
            Err(error) => turn.reply(to, GroupReply::Sync(Err(error))),
        }
    }

    fn heartbeat(&mut self, turn: &mut Turn, request: &Heartbeat) -> Result<(), GroupError> {
        self.member_group(&request.group_id)?.classic.heartbeat(turn, request)
    }

    fn leave(&mut self, turn: &mut Turn, request: LeaveGroup) -> Result<Vec<MemberLeft>, GroupError> {
        match self.member_group(&request.group_id) {
            Ok(group) => Ok(group.classic.leave(turn, request.members)),
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

    fn commit(&mut self, turn: &mut Turn, request: CommitOffsets) -> Result<Vec<TopicResults>, GroupError> {
        let CommitOffsets { group_id, member_id, instance_id, generation, .. } = request;
        match self.groups.get_mut(&group_id) {
            Some(group) => {
                group.classic.commit_allowed(turn, &member_id, instance_id.as_ref(), generation, false)?;
            }
            None if generation < 0 => {}
            None if request.knows_group_id_not_found => return Err(GroupError::GroupIdNotFound),
            None => return Err(GroupError::IllegalGeneration),
        }
        Ok(self.offsets.commit(turn, &group_id, request.topics, request.retention_ms))
    }

    fn commit_in_txn(&mut self, turn: &mut Turn, request: CommitTxnOffsets) -> Result<Vec<TopicResults>, GroupError> {
        let CommitTxnOffsets { group_id, member_id, instance_id, generation, topics, .. } = request;
        check_id(&group_id)?;
        match self.groups.get_mut(&group_id) {
            Some(group) => {
                group.classic.commit_allowed(turn, &member_id, instance_id.as_ref(), generation, true)?;
            }
            None if generation < 0 => {}
            None => return Err(GroupError::IllegalGeneration),
        }
        Ok(self.offsets.commit(turn, &group_id, topics, None))
    }

    fn delete_offsets(&mut self, turn: &mut Turn, request: DeleteOffsets) -> Result<Vec<TopicResults>, GroupError> {
        check_id(&request.group_id)?;
        let classic = &self.groups.get(&request.group_id).ok_or(GroupError::GroupIdNotFound)?.classic;
        if classic.state() != GroupState::Empty && !classic.is_consumer() {
            // What the members read only they know.
            return Err(GroupError::NonEmptyGroup);
        }
        let is_subscribed = |topic: &str| classic.is_subscribed_to(topic);
        Ok(self.offsets.delete(turn, &request.group_id, request.topics, is_subscribed))
    }

    fn delete_groups(&mut self, turn: &mut Turn, ids: Vec<GroupId>) -> Vec<(GroupId, Result<(), GroupError>)> {
        let mut delete = |id: &GroupId| {
            let group = self.groups.get(id).ok_or(GroupError::GroupIdNotFound)?;
            if group.classic.state() != GroupState::Empty {
                return Err(GroupError::NonEmptyGroup);
            }
            self.offsets.delete_all(turn, id);
            turn.record(GroupRecord::GroupMetadata { group: id.clone(), value: None });
            Ok(())
        };
        ids.into_iter().map(|id| (id.clone(), delete(&id))).collect()
    }

    /// Lets expired offsets go, and groups that are of no more use; more than a batch of them on
    /// the next call.
    fn expire(&mut self, turn: &mut Turn) {
        let mut wait = turn.config.offsets_retention_check_interval;
        for (id, group) in &self.groups {
            if turn.effects.records.len() >= EXPIRY_BATCH {
                wait = Duration::ZERO;
                break;
            }
            if self.offsets.expire(turn, id, &group.classic) && group.classic.is_unused() {
                turn.record(GroupRecord::GroupMetadata { group: id.clone(), value: None });
            }
        }
        self.next_expiry = Some(turn.now.monotonic.saturating_add(wait));
    }

    /// The group that a member speaks of: if there is none, it is no member.
    fn member_group(&mut self, id: &GroupId) -> Result<&mut Group, GroupError> {
        check_id(id)?;
        self.groups.get_mut(id).ok_or(GroupError::UnknownMemberId)
    }

    /// The group, or an empty one in its place.
    fn group_entry(&mut self, id: &GroupId, since: TimestampMs) -> &mut Group {
        self.groups
            .entry(id.clone())
            .or_insert_with(|| Group { durable: None, classic: ClassicGroup::new(id.clone(), since) })
    }
}

fn check_id(id: &GroupId) -> Result<(), GroupError> {
    if id.is_empty() { Err(GroupError::InvalidGroupId) } else { Ok(()) }
}
