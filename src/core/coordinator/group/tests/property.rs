//! Clients that do anything at any time, and a broker that may be killed at any moment.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::prelude::*;

use super::harness::*;
use crate::coordinator::group::*;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{Outcome, ReplyTo};
use ottla_wire::types::ProducerIdEpoch;

/// Two of them are static.
const CLIENTS: [&str; 5] = ["a", "b", "c", "static-1", "static-2"];

#[derive(Clone, Debug)]
enum Op {
    /// The client does what a well-behaved one would do next.
    Step(usize),
    /// It joins whatever its state, perhaps with another subscription.
    Join(usize, bool),
    Heartbeat(usize),
    Leave(usize),
    /// It asks for the coordinator.
    FindCoordinator(usize),
    /// Its process starts anew.
    Restart(usize),
    /// Its connection breaks, with whatever it waits for; it goes on by another.
    Reconnect(usize),
    Commit(usize),
    CommitInTxn(u8),
    EndTxn(u8, bool),
    Wait(u64),
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS.len();
    prop_oneof![
        16 => client.clone().prop_map(Op::Step),
        2 => (client.clone(), any::<bool>()).prop_map(|(c, other)| Op::Join(c, other)),
        2 => client.clone().prop_map(Op::Heartbeat),
        1 => client.clone().prop_map(Op::Leave),
        2 => client.clone().prop_map(Op::FindCoordinator),
        1 => client.clone().prop_map(Op::Restart),
        1 => client.clone().prop_map(Op::Reconnect),
        4 => client.prop_map(Op::Commit),
        1 => (0..2u8).prop_map(Op::CommitInTxn),
        1 => (0..2u8, any::<bool>()).prop_map(|(p, commit)| Op::EndTxn(p, commit)),
        3 => prop_oneof![0..3_000u64, 3_000..70_000u64].prop_map(Op::Wait),
        1 => Just(Op::Crash),
    ]
}

/// What a client is about.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    /// Has to join.
    Nothing,
    Joining,
    /// Has joined, as leader of these or not; has to sync.
    Joined {
        leads: bool,
    },
    Syncing,
    Working,
}

struct Run {
    group: TestGroup,
    doing: HashMap<&'static str, Doing>,
    /// Which connection each client uses, and the last that was opened.
    connections: HashMap<&'static str, u64>,
    last_connection: u64,
    /// Requests that have no answer, as far as their clients live to see it.
    open: HashMap<ReplyTo, &'static str>,
    /// By generation: which of the leaders' assignments was handed out in it.
    handed_out: BTreeMap<i32, String>,
    assignments: usize,
    durable_generation: i32,
    next_offset: i64,
    /// The model of committed offsets: the offset, and the position of its commit.
    committed: Option<(i64, usize)>,
    pending: HashMap<u8, (i64, usize)>,
}

impl Run {
    fn new(delay: Option<Duration>, disconnected: Option<Duration>) -> Run {
        let config = GroupConfig {
            initial_rebalance_delay: delay,
            disconnected_member_timeout: disconnected,
            max_size: 4,
            // Expiry has its own tests, and would begin generations anew.
            offsets_retention_check_interval: Duration::MAX,
            ..GroupConfig::default()
        };
        let mut group = TestGroup::with(config);
        for name in CLIENTS {
            if name.starts_with("static") {
                group.client(name).instance_id = Some(name.into());
            }
        }
        Run {
            group,
            doing: CLIENTS.into_iter().map(|name| (name, Doing::Nothing)).collect(),
            connections: CLIENTS.into_iter().zip(1..).collect(),
            last_connection: CLIENTS.len() as u64,
            open: HashMap::new(),
            handed_out: BTreeMap::new(),
            assignments: 0,
            durable_generation: 0,
            next_offset: 0,
            committed: None,
            pending: HashMap::new(),
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Step(client) => self.step(CLIENTS[client]),
            Op::Join(client, other) => {
                let topics: &[&str] = if other { &["orders", "payments"] } else { &["orders"] };
                self.group.client(CLIENTS[client]).reads(topics);
                self.join(CLIENTS[client]);
            }
            Op::Heartbeat(client) => self.heartbeat(CLIENTS[client]),
            Op::Leave(client) => {
                let _ = self.group.leaves(CLIENTS[client]);
                self.forget(CLIENTS[client]);
            }
            Op::FindCoordinator(client) => self.find_coordinator(CLIENTS[client]),
            Op::Restart(client) => {
                self.reconnect(CLIENTS[client]);
                self.forget(CLIENTS[client]);
            }
            Op::Reconnect(client) => self.reconnect(CLIENTS[client]),
            Op::Commit(client) => self.commit(CLIENTS[client]),
            Op::CommitInTxn(producer) => self.commit_in_txn(producer),
            Op::EndTxn(producer, commit) => self.end_txn(producer, commit),
            Op::Wait(ms) => drop(self.group.wait(ms)),
            Op::Crash => {
                self.group.crash();
                self.open.clear();
                for name in CLIENTS {
                    if matches!(self.doing[name], Doing::Joining | Doing::Syncing) {
                        self.doing.insert(name, Doing::Nothing);
                    }
                }
            }
        }
        self.check();
    }

    fn reconnect(&mut self, name: &'static str) {
        let newest = self.last_connection;
        self.last_connection += 1;
        let connection = self.connections.insert(name, self.last_connection).unwrap();
        self.group.ask(GroupCommand::ConnectionClosed { connection, newest });
        if matches!(self.doing[name], Doing::Joining | Doing::Syncing) {
            self.doing.insert(name, Doing::Nothing);
        }
    }

    fn find_coordinator(&mut self, name: &'static str) {
        self.speak_as(name);
        let client = GroupClient { group_id: GROUP.into(), client_id: name.into() };
        self.group.ask(GroupCommand::CoordinatorFound(client));
    }

    /// What is asked from now on comes from this client.
    fn speak_as(&mut self, name: &str) {
        self.group.connection = self.connections.get(name).copied();
    }

    fn step(&mut self, name: &'static str) {
        match self.doing[name] {
            Doing::Nothing => self.join(name),
            Doing::Joining => self.see_join(name),
            Doing::Joined { leads } => self.sync(name, leads),
            Doing::Syncing => self.see_sync(name),
            Doing::Working => self.heartbeat(name),
        }
    }

    fn join(&mut self, name: &'static str) {
        self.speak_as(name);
        let to = self.group.joins_as(name);
        self.open.insert(to, name);
        self.doing.insert(name, Doing::Joining);
    }

    fn see_join(&mut self, name: &'static str) {
        match self.group.see(name) {
            None => {}
            Some(GroupReply::Join(Ok(joined))) => {
                let client = self.group.client(name);
                (client.member_id, client.generation) = (joined.member_id, joined.generation);
                let leads = !joined.members.is_empty() && !joined.skip_assignment;
                self.doing.insert(name, Doing::Joined { leads });
            }
            Some(GroupReply::Join(Err(refused))) => {
                self.doing.insert(name, Doing::Nothing);
                match refused.error {
                    GroupError::MemberIdRequired => self.group.client(name).member_id = refused.member_id,
                    GroupError::RebalanceInProgress => {}
                    _ => self.forget(name),
                }
            }
            Some(other) => panic!("not an answer to JoinGroup: {other:?}"),
        }
    }

    fn sync(&mut self, name: &'static str, leads: bool) {
        self.assignments += 1;
        let parts = CLIENTS.map(|client| format!("{}/{client}", self.assignments));
        let everyone: Vec<_> = CLIENTS.into_iter().zip(parts.iter().map(String::as_str)).collect();
        self.speak_as(name);
        self.group.syncs(name, if leads { &everyone } else { &[] });
        let to = self.group.asked(name);
        self.open.insert(to, name);
        self.doing.insert(name, Doing::Syncing);
    }

    fn see_sync(&mut self, name: &'static str) {
        match self.group.see(name) {
            None => {}
            Some(GroupReply::Sync(Ok(synced))) => {
                let assignment = String::from_utf8(synced.assignment.to_vec()).unwrap();
                self.doing.insert(name, Doing::Working);
                // Nothing, if the leader did not know of it.
                let Some((which, whose)) = assignment.split_once('/') else { return };
                assert_eq!(whose, name, "one member's part went to another");
                let generation = self.group.client(name).generation;
                let first = self.handed_out.entry(generation).or_insert_with(|| which.into());
                assert_eq!(first, which, "two assignments in generation {generation}");
            }
            Some(GroupReply::Sync(Err(error))) => self.take_refusal(name, error),
            Some(other) => panic!("not an answer to SyncGroup: {other:?}"),
        }
    }

    fn heartbeat(&mut self, name: &'static str) {
        self.speak_as(name);
        if let Err(error) = self.group.heartbeats(name) {
            self.take_refusal(name, error);
        }
    }

    /// As clients do: back to joining, perhaps under a new name.
    fn take_refusal(&mut self, name: &'static str, error: GroupError) {
        if matches!(error, GroupError::UnknownMemberId | GroupError::FencedInstanceId) {
            self.forget(name);
        } else if self.doing[name] != Doing::Joining {
            self.doing.insert(name, Doing::Nothing);
        }
    }

    fn forget(&mut self, name: &'static str) {
        let client = self.group.client(name);
        (client.member_id, client.generation) = ("".into(), -1);
        self.doing.insert(name, Doing::Nothing);
    }

    fn commit(&mut self, name: &str) {
        self.next_offset += 1;
        self.speak_as(name);
        if self.group.commits(name, self.next_offset).is_ok() {
            self.committed = Some((self.next_offset, self.group.log_len()));
        }
    }

    fn commit_in_txn(&mut self, producer: u8) {
        self.next_offset += 1;
        let request = CommitTxnOffsets {
            group_id: GROUP.into(),
            producer: ProducerIdEpoch { producer_id: producer.into(), epoch: 0 },
            member_id: "".into(),
            instance_id: None,
            generation: -1,
            topics: vec![topic_commit("orders", 0, self.next_offset)],
        };
        let to = self.group.ask(GroupCommand::CommitTxnOffsets(request));
        if let Some(GroupReply::CommitTxnOffsets(Ok(_))) = self.group.answer(to) {
            self.pending.insert(producer, (self.next_offset, self.group.log_len()));
        }
    }

    fn end_txn(&mut self, producer: u8, commit: bool) {
        let outcome = if commit { Outcome::Commit } else { Outcome::Abort };
        self.group.end_txn(ProducerIdEpoch { producer_id: producer.into(), epoch: 0 }, outcome);
        if let Some(pending) = self.pending.remove(&producer)
            && commit
            && self.committed.is_none_or(|(_, position)| position < pending.1)
        {
            self.committed = Some(pending);
        }
    }

    fn check(&mut self) {
        self.open.retain(|to, _| !self.group.is_answered(*to));
        assert_eq!(self.group.committed(), self.committed.map(|(offset, _)| offset));

        let recovered = self.group.recovered_copy();
        assert_eq!(recovered.offsets, self.group.machine.offsets);
        let durable = |machine: &GroupMachine| machine.groups.get(GROUP).and_then(|group| group.durable.clone());
        assert_eq!(durable(&recovered), durable(&self.group.machine));
        if let Some(durable) = durable(&recovered) {
            assert!(durable.generation >= self.durable_generation, "the generation went back");
            self.durable_generation = durable.generation;
        }
    }

    /// Everyone goes away; in the end nobody waits and nobody is left.
    fn finish(&mut self) {
        for _ in 0..40 {
            self.group.wait(30_000);
            self.check();
        }
        assert!(self.open.is_empty(), "never answered: {:?}", self.open.values());
        assert!(matches!(self.group.state(), GroupState::Empty | GroupState::Dead), "{:?}", self.group.state());
        let last = self.group.records(0).into_iter().rev().find_map(|record| match record {
            GroupRecord::GroupMetadata { value, .. } => value,
            GroupRecord::OffsetCommit { .. } => None,
        });
        assert!(last.is_none_or(|last| last.members.is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn groups_hold_whatever_happens(
        delay in prop_oneof![Just(None), Just(Some(0)), Just(Some(3_000u64))],
        disconnected in prop_oneof![Just(None), Just(Some(0u64)), Just(Some(1_000u64))],
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut run = Run::new(delay.map(Duration::from_millis), disconnected.map(Duration::from_millis));
        for op in ops {
            run.run(op);
        }
        run.finish();
    }
}
