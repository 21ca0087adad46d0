//! One group and its clients, by name. Records are encoded and decoded, as in a log. A crash keeps only the records.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use super::client::{Client, subscription};
use crate::coordinator::group::*;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{ConnectionId, Outcome, RecordMeta, ReplyTo, StateMachine};
use crate::machine::EffectsOf;
use crate::metadata::{Image, ImageDelta};
use ottla_wire::types::{Now, ProducerIdEpoch, TopicId};

pub const GROUP: &str = "readers";
/// Wall time at the start of a test.
pub const START: i64 = 1_700_000_000_000;

/// An entry of the log.
#[derive(Clone)]
enum Entry {
    Record(RecordMeta, Bytes, Option<Bytes>),
    EndTxn(ProducerIdEpoch, Outcome),
}

/// The machine, its log and its clients.
pub struct TestGroup {
    pub machine: GroupMachine,
    pub config: GroupConfig,
    log: Vec<Entry>,
    now: Duration,
    next_reply: u64,
    /// The connection of requests.
    pub connection: Option<ConnectionId>,
    /// The value of `others_expected_until` in joins.
    pub others_expected_until: Option<Duration>,
    replies: HashMap<ReplyTo, GroupReply>,
    replied: HashSet<ReplyTo>,
    clients: BTreeMap<String, Client>,
}

impl TestGroup {
    pub fn new() -> TestGroup {
        TestGroup::with(GroupConfig::default())
    }

    pub fn with(config: GroupConfig) -> TestGroup {
        let mut machine = GroupMachine::new(Arc::new(config.clone()));
        assert!(machine.recovered(Now { monotonic: Duration::ZERO, wall: START }).records.is_empty());
        TestGroup {
            machine,
            config,
            log: Vec::new(),
            now: Duration::ZERO,
            next_reply: 0,
            connection: None,
            others_expected_until: None,
            replies: HashMap::new(),
            replied: HashSet::new(),
            clients: BTreeMap::new(),
        }
    }

    // Time and crashes.

    pub fn now(&self) -> Now {
        Now { monotonic: self.now, wall: START + self.now.as_millis() as i64 }
    }

    /// Advances time to `ms` after the start, and runs every timer that is due.
    pub fn at(&mut self, ms: u64) -> &mut TestGroup {
        let target = Duration::from_millis(ms);
        assert!(target >= self.now, "time does not decrease");
        while let Some(due) = self.machine.poll_timeout().filter(|&due| due <= target) {
            self.now = self.now.max(due);
            let now = self.now();
            let effects = self.machine.handle_timeout(now);
            self.apply(effects);
        }
        self.now = target;
        self
    }

    pub fn wait(&mut self, ms: u64) -> &mut TestGroup {
        self.at(self.now.as_millis() as u64 + ms)
    }

    /// Crashes and restarts the broker. Only the log is left, and pending requests get no reply.
    pub fn crash(&mut self) -> &mut TestGroup {
        self.machine = self.recovered_copy();
        for client in self.clients.values_mut() {
            client.pending_request = None;
        }
        self
    }

    /// The machine after recovery from the log.
    pub fn recovered_copy(&self) -> GroupMachine {
        let mut machine = GroupMachine::new(Arc::new(self.config.clone()));
        for entry in &self.log {
            play(&mut machine, entry);
        }
        assert!(machine.recovered(self.now()).records.is_empty());
        machine
    }

    /// The records in the log, from `from` on.
    pub fn records(&self, from: usize) -> Vec<GroupRecord> {
        let records = self.log[from..].iter().filter_map(|entry| match entry {
            Entry::Record(_, key, value) => Some(GroupRecord::decode(key, value.as_ref()).unwrap()),
            Entry::EndTxn(..) => None,
        });
        records.collect()
    }

    pub fn log_len(&self) -> usize {
        self.log.len()
    }

    // The machine.

    /// Runs a command, and applies its effects.
    pub fn send(&mut self, command: impl Into<GroupCommand>) -> ReplyTo {
        self.next_reply += 1;
        let to = ReplyTo(self.next_reply);
        let now = self.now();
        let effects =
            self.machine.handle(now, to, GroupRequest { command: command.into(), connection: self.connection });
        self.apply(effects);
        to
    }

    /// Shows the machine metadata without any topic.
    pub fn all_topics_deleted(&mut self) {
        let now = self.now();
        let effects = self.machine.metadata_changed(now, &ImageDelta::first(&Image::default()));
        self.apply(effects);
    }

    pub fn end_txn(&mut self, producer: ProducerIdEpoch, outcome: Outcome) {
        let entry = Entry::EndTxn(producer, outcome);
        play(&mut self.machine, &entry);
        self.log.push(entry);
    }

    pub fn take_reply(&mut self, to: ReplyTo) -> Option<GroupReply> {
        self.replies.remove(&to)
    }

    fn apply(&mut self, effects: EffectsOf<GroupMachine>) {
        let producer = effects.producer;
        for record in effects.records {
            let (key, value) = record.encode().unwrap();
            let at = RecordMeta { offset: self.log.len() as i64, timestamp: self.now().wall, producer };
            let entry = Entry::Record(at, key, value);
            play(&mut self.machine, &entry);
            self.log.push(entry);
        }
        for (to, reply) in effects.replies {
            assert!(self.replied.insert(to), "replied twice");
            self.replies.insert(to, reply);
        }
        self.check_durable();
    }

    /// Checks that a stable or empty group is equal to its last record.
    fn check_durable(&self) {
        for (id, group) in &self.machine.groups {
            let is_durable = matches!(group.classic.state(), GroupState::Stable | GroupState::Empty);
            if let Some(durable) = group.durable.as_deref().filter(|_| is_durable) {
                assert_eq!(group.classic.to_metadata(), *durable, "group {id}");
            }
        }
    }

    // Clients.

    /// The client with that name, to change the fields of its requests.
    pub fn client(&mut self, name: &str) -> &mut Client {
        self.clients.entry(name.into()).or_insert_with(|| {
            let mut client = Client {
                client_id: name.into(),
                member_id: "".into(),
                instance_id: None,
                generation: -1,
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 60_000,
                protocol_type: "consumer".into(),
                protocols: Vec::new(),
                member_id_required: true,
                can_skip_assignment: true,
                pending_request: None,
            };
            client.supports(&["range"]);
            client
        })
    }

    /// Joins, and joins again if a member id is required.
    pub fn joins(&mut self, name: &str) -> &mut TestGroup {
        self.sends_join(name);
        let to = self.client(name).pending_request.unwrap();
        let required = match self.replies.get(&to) {
            Some(GroupReply::Join(Err(refused))) if refused.error == GroupError::MemberIdRequired => {
                refused.member_id.clone()
            }
            _ => return self,
        };
        self.client(name).member_id = required;
        self.sends_join(name)
    }

    /// Sends one JoinGroup request.
    pub fn sends_join(&mut self, name: &str) -> &mut TestGroup {
        let random = u128::from(self.next_reply) << 64;
        let client = self.client(name).clone();
        let request = JoinGroup {
            others_expected_until: self.others_expected_until,
            group_id: GROUP.into(),
            member_id: client.member_id,
            instance_id: client.instance_id,
            client_id: client.client_id,
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: client.session_timeout_ms,
            rebalance_timeout_ms: client.rebalance_timeout_ms,
            protocol_type: client.protocol_type,
            protocols: client.protocols,
            reason: None,
            member_id_required: client.member_id_required,
            can_skip_assignment: client.can_skip_assignment,
            random,
        };
        let to = self.send(GroupCommand::Join(request));
        self.client(name).pending_request = Some(to);
        self
    }

    /// Takes the successful reply to the client's join.
    #[track_caller]
    pub fn joined(&mut self, name: &str) -> Joined {
        match self.take(name) {
            Some(GroupReply::Join(Ok(joined))) => {
                let client = self.client(name);
                client.member_id = joined.member_id.clone();
                client.generation = joined.generation;
                joined
            }
            other => panic!("{name} has not joined: {other:?}"),
        }
    }

    /// Takes the error reply to the client's join.
    #[track_caller]
    pub fn join_error(&mut self, name: &str) -> JoinRefused {
        match self.take(name) {
            Some(GroupReply::Join(Err(refused))) => refused,
            other => panic!("{name} has not been rejected: {other:?}"),
        }
    }

    /// Checks that the client's request is pending.
    #[track_caller]
    pub fn waits(&mut self, name: &str) -> &mut TestGroup {
        let to = self.client(name).pending_request.expect("the client has pending_request");
        assert_eq!(self.replies.get(&to), None, "{name} does not wait");
        self
    }

    /// Sends SyncGroup; as the leader, with assignments.
    pub fn syncs(&mut self, name: &str, assignments: &[(&str, &str)]) -> &mut TestGroup {
        let assignments = assignments
            .iter()
            .map(|(whom, what)| (self.client(whom).member_id.clone(), Bytes::copy_from_slice(what.as_bytes())));
        let assignments = assignments.collect();
        let client = self.client(name).clone();
        let request = SyncGroup {
            group_id: GROUP.into(),
            member_id: client.member_id,
            instance_id: client.instance_id,
            generation: client.generation,
            protocol_type: Some(client.protocol_type),
            protocol: None,
            assignments,
        };
        let to = self.send(GroupCommand::Sync(request));
        self.client(name).pending_request = Some(to);
        self
    }

    /// Takes the reply to the client's sync.
    #[track_caller]
    pub fn assigned(&mut self, name: &str) -> Result<String, GroupError> {
        match self.take(name) {
            Some(GroupReply::Sync(result)) => {
                result.map(|synced| String::from_utf8(synced.assignment.to_vec()).unwrap())
            }
            other => panic!("{name} has no reply to its sync: {other:?}"),
        }
    }

    pub fn heartbeats(&mut self, name: &str) -> Result<(), GroupError> {
        let client = self.client(name).clone();
        let request = Heartbeat {
            group_id: GROUP.into(),
            member_id: client.member_id,
            instance_id: client.instance_id,
            generation: client.generation,
        };
        let to = self.send(GroupCommand::Heartbeat(request));
        match self.take_reply(to) {
            Some(GroupReply::Heartbeat(result)) => result,
            other => panic!("not a reply to a heartbeat: {other:?}"),
        }
    }

    pub fn leaves(&mut self, name: &str) -> Result<(), GroupError> {
        let client = self.client(name).clone();
        self.leave(vec![(&client.member_id, None)]).remove(0)
    }

    /// LeaveGroup by member id and instance id.
    pub fn leave(&mut self, who: Vec<(&str, Option<&str>)>) -> Vec<Result<(), GroupError>> {
        let members = who
            .into_iter()
            .map(|(member_id, instance_id)| LeavingMember {
                member_id: member_id.into(),
                instance_id: instance_id.map(Into::into),
                reason: None,
            })
            .collect();
        let to = self.send(GroupCommand::Leave(LeaveGroup { group_id: GROUP.into(), members }));
        match self.take_reply(to) {
            Some(GroupReply::Leave(Ok(left))) => left.into_iter().map(|left| left.result).collect(),
            other => panic!("not a reply to LeaveGroup: {other:?}"),
        }
    }

    /// Commits an offset of `orders`-0 with the client's member id and generation.
    pub fn commits(&mut self, name: &str, offset: i64) -> Result<(), GroupError> {
        let client = self.client(name).clone();
        let request = CommitOffsets {
            group_id: GROUP.into(),
            member_id: client.member_id,
            instance_id: client.instance_id,
            generation: client.generation,
            retention_ms: None,
            knows_group_id_not_found: true,
            topics: vec![topic_commit("orders", 0, offset)],
        };
        self.commit(request)
    }

    pub fn commit(&mut self, request: CommitOffsets) -> Result<(), GroupError> {
        let to = self.send(GroupCommand::CommitOffsets(request));
        match self.take_reply(to) {
            Some(GroupReply::CommitOffsets(result)) => result.and_then(|topics| topics[0].partitions[0].1),
            other => panic!("not a reply to OffsetCommit: {other:?}"),
        }
    }

    /// The committed offset of `orders`-0.
    pub fn committed(&self) -> Option<i64> {
        self.committed_of("orders", 0)
    }

    pub fn committed_of(&self, topic: &str, partition: i32) -> Option<i64> {
        let wanted = [(topic.into(), vec![partition])];
        let topics = self.machine.fetch_offsets(GROUP, WantedOffsets::Of(&wanted), false);
        topics[0].partitions[0].1.clone().unwrap().map(|fetched| fetched.offset)
    }

    pub fn state(&self) -> GroupState {
        self.machine.describe(GROUP).map_or(GroupState::Dead, |group| group.state)
    }

    pub fn generation(&self) -> i32 {
        self.machine.groups.get(GROUP).map_or(-1, |group| group.classic.to_metadata().generation)
    }

    /// Forms a stable group of these clients, the first as leader, each assigned its own name.
    pub fn stable(&mut self, names: &[&str]) -> &mut TestGroup {
        for name in names {
            self.joins(name);
        }
        // Each new member causes a rebalance.
        for _ in names {
            for name in names {
                self.returns(name);
            }
        }
        let mut leader = None;
        for name in names {
            if !self.joined(name).members.is_empty() {
                leader = Some(*name);
            }
        }
        let everyone: Vec<(&str, &str)> = names.iter().map(|&name| (name, name)).collect();
        for name in names {
            let assignments: &[_] = if leader == Some(*name) { &everyone } else { &[] };
            self.syncs(name, assignments);
        }
        for name in names {
            assert_eq!(self.assigned(name).as_deref(), Ok(*name));
        }
        assert_eq!(self.state(), GroupState::Stable);
        self
    }

    /// Joins again if the group rebalances and the client has a reply to its last join.
    fn returns(&mut self, name: &str) {
        let to = self.client(name).pending_request;
        if to.is_some_and(|to| self.replies.contains_key(&to)) && self.state() == GroupState::PreparingRebalance {
            self.joined(name);
            self.joins(name);
        }
    }

    // For the property test.

    /// Sends one JoinGroup request; [`TestGroup::see`] returns the reply.
    pub fn joins_as(&mut self, name: &str) -> ReplyTo {
        self.sends_join(name);
        self.pending_request(name)
    }

    /// The request whose reply the client has not taken.
    pub fn pending_request(&mut self, name: &str) -> ReplyTo {
        self.client(name).pending_request.expect("the client has pending_request")
    }

    /// Takes the reply to the client's last request, if there is one.
    pub fn see(&mut self, name: &str) -> Option<GroupReply> {
        let to = self.client(name).pending_request?;
        let answer = self.take_reply(to)?;
        self.client(name).pending_request = None;
        Some(answer)
    }

    pub fn has_reply(&self, to: ReplyTo) -> bool {
        self.replied.contains(&to)
    }

    fn take(&mut self, name: &str) -> Option<GroupReply> {
        let to = self.client(name).pending_request.take()?;
        self.take_reply(to)
    }
}

fn play(machine: &mut GroupMachine, entry: &Entry) {
    match entry {
        Entry::Record(at, key, value) => {
            machine.replay(*at, &GroupRecord::decode(key, value.as_ref()).unwrap());
        }
        Entry::EndTxn(producer, outcome) => machine.replay_end_txn(*producer, *outcome),
    }
}

pub fn topic_commit(topic: &str, partition: i32, offset: i64) -> TopicCommits {
    let commit = PartitionCommit { partition, offset, leader_epoch: -1, metadata: None, timestamp: None };
    TopicCommits { topic: topic.into(), topic_id: TopicId::ZERO, partitions: vec![commit] }
}
