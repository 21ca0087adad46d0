//! Property: random actions of clients, and crashes of the broker at any time.

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
    /// The client does the next step of the protocol.
    Step(usize),
    /// It joins in any state, possibly with another subscription.
    Join(usize, bool),
    Heartbeat(usize),
    Leave(usize),
    /// It requests the coordinator.
    FindCoordinator(usize),
    /// Its process restarts.
    Restart(usize),
    /// Its connection closes, its pending request is lost, and it uses a new connection.
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

/// The state of a client.
#[derive(Clone, Copy, PartialEq)]
enum ClientState {
    /// It must join.
    NotJoined,
    Joining,
    /// It has joined and must sync.
    Joined {
        leads: bool,
    },
    Syncing,
    Stable,
}

struct Run {
    group: TestGroup,
    states: HashMap<&'static str, ClientState>,
    /// The connection of each client.
    connections: HashMap<&'static str, u64>,
    last_connection: u64,
    /// Pending requests, without those that a crash lost.
    open: HashMap<ReplyTo, &'static str>,
    /// The assignment that members got in each generation.
    sent_assignments: BTreeMap<i32, String>,
    assignments: usize,
    durable_generation: i32,
    next_offset: i64,
    /// The expected committed offset, and the position of its commit in the log.
    committed: Option<(i64, usize)>,
    pending: HashMap<u8, (i64, usize)>,
}

impl Run {
    fn new(delay: Option<Duration>, disconnected: Option<Duration>) -> Run {
        let config = GroupConfig {
            initial_rebalance_delay: delay,
            disconnected_member_timeout: disconnected,
            max_size: 4,
            // Expiry has its own tests. It would remove the group and start again with generation 1.
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
            states: CLIENTS.into_iter().map(|name| (name, ClientState::NotJoined)).collect(),
            connections: CLIENTS.into_iter().zip(1..).collect(),
            last_connection: CLIENTS.len() as u64,
            open: HashMap::new(),
            sent_assignments: BTreeMap::new(),
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
                self.group.client(CLIENTS[client]).subscribes_to(topics);
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
                    if matches!(self.states[name], ClientState::Joining | ClientState::Syncing) {
                        self.states.insert(name, ClientState::NotJoined);
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
        self.group.send(ConnectionClosed { connection, newest });
        if matches!(self.states[name], ClientState::Joining | ClientState::Syncing) {
            self.states.insert(name, ClientState::NotJoined);
        }
    }

    fn find_coordinator(&mut self, name: &'static str) {
        self.use_connection_of(name);
        let client = GroupClient { group_id: GROUP.into(), client_id: name.into() };
        self.group.send(CoordinatorFound(client));
    }

    /// Sends further requests on this client's connection.
    fn use_connection_of(&mut self, name: &str) {
        self.group.connection = self.connections.get(name).copied();
    }

    fn step(&mut self, name: &'static str) {
        match self.states[name] {
            ClientState::NotJoined => self.join(name),
            ClientState::Joining => self.see_join(name),
            ClientState::Joined { leads } => self.sync(name, leads),
            ClientState::Syncing => self.see_sync(name),
            ClientState::Stable => self.heartbeat(name),
        }
    }

    fn join(&mut self, name: &'static str) {
        self.use_connection_of(name);
        let to = self.group.joins_as(name);
        self.open.insert(to, name);
        self.states.insert(name, ClientState::Joining);
    }

    fn see_join(&mut self, name: &'static str) {
        match self.group.see(name) {
            None => {}
            Some(GroupReply::Join(Ok(joined))) => {
                let client = self.group.client(name);
                (client.member_id, client.generation) = (joined.member_id, joined.generation);
                let leads = !joined.members.is_empty() && !joined.skip_assignment;
                self.states.insert(name, ClientState::Joined { leads });
            }
            Some(GroupReply::Join(Err(refused))) => {
                self.states.insert(name, ClientState::NotJoined);
                match refused.error {
                    GroupError::MemberIdRequired => self.group.client(name).member_id = refused.member_id,
                    GroupError::RebalanceInProgress => {}
                    _ => self.forget(name),
                }
            }
            Some(other) => panic!("not a reply to JoinGroup: {other:?}"),
        }
    }

    fn sync(&mut self, name: &'static str, leads: bool) {
        self.assignments += 1;
        let parts = CLIENTS.map(|client| format!("{}/{client}", self.assignments));
        let everyone: Vec<_> = CLIENTS.into_iter().zip(parts.iter().map(String::as_str)).collect();
        self.use_connection_of(name);
        self.group.syncs(name, if leads { &everyone } else { &[] });
        let to = self.group.pending_request(name);
        self.open.insert(to, name);
        self.states.insert(name, ClientState::Syncing);
    }

    fn see_sync(&mut self, name: &'static str) {
        match self.group.see(name) {
            None => {}
            Some(GroupReply::Sync(Ok(synced))) => {
                let assignment = String::from_utf8(synced.assignment.to_vec()).unwrap();
                self.states.insert(name, ClientState::Stable);
                // The assignment is empty if the leader did not know the member.
                let Some((which, whose)) = assignment.split_once('/') else { return };
                assert_eq!(whose, name, "a member got the assignment of another");
                let generation = self.group.client(name).generation;
                let first = self.sent_assignments.entry(generation).or_insert_with(|| which.into());
                assert_eq!(first, which, "two assignments in generation {generation}");
            }
            Some(GroupReply::Sync(Err(error))) => self.handle_error(name, error),
            Some(other) => panic!("not a reply to SyncGroup: {other:?}"),
        }
    }

    fn heartbeat(&mut self, name: &'static str) {
        self.use_connection_of(name);
        if let Err(error) = self.group.heartbeats(name) {
            self.handle_error(name, error);
        }
    }

    /// Handles an error as clients do: join again, with a new member id if necessary.
    fn handle_error(&mut self, name: &'static str, error: GroupError) {
        if matches!(error, GroupError::UnknownMemberId | GroupError::FencedInstanceId) {
            self.forget(name);
        } else if self.states[name] != ClientState::Joining {
            self.states.insert(name, ClientState::NotJoined);
        }
    }

    fn forget(&mut self, name: &'static str) {
        let client = self.group.client(name);
        (client.member_id, client.generation) = ("".into(), -1);
        self.states.insert(name, ClientState::NotJoined);
    }

    fn commit(&mut self, name: &str) {
        self.next_offset += 1;
        self.use_connection_of(name);
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
        let to = self.group.send(GroupCommand::CommitTxnOffsets(request));
        if let Some(GroupReply::CommitTxnOffsets(Ok(_))) = self.group.take_reply(to) {
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
        self.open.retain(|to, _| !self.group.has_reply(*to));
        assert_eq!(self.group.committed(), self.committed.map(|(offset, _)| offset));

        let recovered = self.group.recovered_copy();
        assert_eq!(recovered.offsets, self.group.machine.offsets);
        let durable = |machine: &GroupMachine| machine.groups.get(GROUP).and_then(|group| group.durable.clone());
        assert_eq!(durable(&recovered), durable(&self.group.machine));
        if let Some(durable) = durable(&recovered) {
            assert!(durable.generation >= self.durable_generation, "the generation decreased");
            self.durable_generation = durable.generation;
        }
    }

    /// Lets all sessions expire. In the end there are no members and no pending requests.
    fn finish(&mut self) {
        for _ in 0..40 {
            self.group.wait(30_000);
            self.check();
        }
        assert!(self.open.is_empty(), "never replied: {:?}", self.open.values());
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
    fn groups_keep_their_invariants(
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
