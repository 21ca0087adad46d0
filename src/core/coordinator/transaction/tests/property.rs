//! Property: random clients of both protocols, zombies, timeouts, crashes, and reports that are lost, repeated and
//! late.
//!
//! The model is what clients and partitions see: which partitions have an open transaction of which id, how each
//! transaction ended, and which producers were assigned.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use super::harness::*;
use crate::coordinator::Outcome;
use crate::coordinator::transaction::*;
use ottla_wire::types::ProducerIdEpoch;

const IDS: [&str; 2] = ["a", "b"];
/// Clients of each id.
const CLIENTS: usize = 3;
const PARTITIONS: i32 = 3;

#[derive(Clone, Debug)]
enum Op {
    /// A client process restarts; whether it uses protocol 2.
    Init(usize, bool),
    /// A client continues after an error; whether the reply is lost.
    Continue(usize, bool),
    /// A client adds a partition.
    Add(usize, i32),
    /// A client ends its transaction; whether it commits, and whether the reply is lost.
    End(usize, bool, bool),
    /// Some markers of a pending action are written; whether the report is lost.
    Write(usize, u8, bool),
    /// A report is repeated.
    Repeat(usize),
    Level(i16),
    Wait(u64),
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..IDS.len() * CLIENTS;
    prop_oneof![
        3 => (client.clone(), any::<bool>()).prop_map(|(c, protocol_2)| Op::Init(c, protocol_2)),
        1 => (client.clone(), any::<bool>()).prop_map(|(c, lost)| Op::Continue(c, lost)),
        8 => (client.clone(), 0..PARTITIONS).prop_map(|(c, p)| Op::Add(c, p)),
        5 => (client, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(c, commit, lost)| Op::End(c, commit, lost)),
        6 => (0..4usize, any::<u8>(), prop::bool::weighted(0.2)).prop_map(|(a, which, lost)| Op::Write(a, which, lost)),
        1 => (0..64usize).prop_map(Op::Repeat),
        1 => (0..=2i16).prop_map(Op::Level),
        2 => prop_oneof![4 => 0..3_000u64, 2 => 3_000..70_000u64, 1 => Just(400_000)].prop_map(Op::Wait),
        1 => Just(Op::Crash),
    ]
}

#[derive(Clone, Copy, Default)]
struct Client {
    producer: Option<ProducerIdEpoch>,
    protocol_2: bool,
}

/// A transaction that has partitions.
#[derive(Default)]
struct Transaction {
    partitions: BTreeSet<i32>,
    outcome: Option<Outcome>,
}

/// The last end of a transaction of an id, also of one without partitions.
#[derive(Clone, Copy)]
struct LastEnd {
    outcome: Outcome,
    /// The producer of the transaction.
    of: ProducerIdEpoch,
}

struct Run {
    coordinator: TestCoordinator,
    clients: Vec<Client>,
    transactions: Vec<Transaction>,
    /// The open transaction of each id.
    open: BTreeMap<&'static str, usize>,
    /// The transaction of each id whose markers are being written.
    ending: BTreeMap<&'static str, usize>,
    last_end: BTreeMap<&'static str, LastEnd>,
    /// The partitions with records that have no marker yet: the transaction and producer of the records.
    partitions: BTreeMap<(&'static str, i32), (usize, ProducerIdEpoch)>,
    /// Every producer that a client got.
    assigned: HashSet<ProducerIdEpoch>,
    /// The pending actions, with the partitions that have their marker.
    actions: Vec<(WriteMarkers, BTreeSet<i32>)>,
    reports: Vec<(WriteMarkers, Vec<TopicPartition>)>,
    checks: u32,
}

fn known(id: &str) -> &'static str {
    IDS.into_iter().find(|known| *known == id).unwrap()
}

impl Run {
    /// Starts `left` epochs before the last one that a client may get.
    fn new(level: i16, left: i16) -> Run {
        let config = TransactionConfig {
            id_expiration: Duration::from_secs(300),
            removal_interval: Duration::from_secs(60),
            ..TransactionConfig::default()
        };
        let mut coordinator = TestCoordinator::with(config, level);
        coordinator.recovers(IDS[0], metadata(TransactionState::Empty, HIGHEST_EPOCH - 1 - left));
        Run {
            coordinator,
            clients: vec![Client::default(); IDS.len() * CLIENTS],
            transactions: Vec::new(),
            open: BTreeMap::new(),
            ending: BTreeMap::new(),
            last_end: BTreeMap::new(),
            partitions: BTreeMap::new(),
            assigned: HashSet::new(),
            actions: Vec::new(),
            reports: Vec::new(),
            checks: 0,
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Init(client, protocol_2) => self.init(client, protocol_2),
            Op::Continue(client, lost) => self.continues(client, lost),
            Op::Add(client, partition) => self.add(client, partition),
            Op::End(client, commit, lost) => {
                self.end(client, if commit { Outcome::Commit } else { Outcome::Abort }, lost)
            }
            Op::Write(action, which, lost) => self.write(action, which, lost),
            Op::Repeat(report) => {
                if let Some((action, partitions)) = self.reports.get(report % self.reports.len().max(1)).cloned() {
                    self.coordinator.reports(&action, partitions);
                }
            }
            Op::Level(level) => self.coordinator.set_level(level),
            Op::Wait(ms) => {
                self.coordinator.wait(ms);
            }
            Op::Crash => {
                self.coordinator.check_recovery();
                self.actions.clear();
                self.coordinator.crash();
            }
        }
        self.take_actions();
        self.check();
    }

    // Requests.

    fn current(&self, id: &str) -> Option<TransactionDescription> {
        self.coordinator.machine.describe(id)
    }

    fn init(&mut self, client: usize, protocol_2: bool) {
        let id = IDS[client % IDS.len()];
        let before = self.current(id).map(|current| current.state);
        let reply = self.coordinator.init_with(id, 20_000, None);
        match before {
            Some(state) if !state.is_idle() => assert_eq!(reply, Err(TransactionError::ConcurrentTransactions)),
            _ => assert!(reply.is_ok(), "{reply:?}"),
        }
        if let Ok(producer) = reply {
            assert!(self.assigned.insert(producer), "{producer:?} was assigned before");
            self.last_end.remove(id);
            self.clients[client] = Client { producer: Some(producer), protocol_2 };
        }
    }

    fn continues(&mut self, client: usize, lost: bool) {
        let id = IDS[client % IDS.len()];
        let Some(expected) = self.clients[client].producer else { return };
        let before = self.current(id);
        let reply = self.coordinator.init_with(id, 20_000, Some(expected));
        if before.is_some_and(|current| current.state.is_idle() && current.producer == expected) {
            assert!(reply.is_ok(), "{reply:?}");
        }
        if let Ok(producer) = reply {
            self.assigned.insert(producer);
            self.last_end.remove(id);
            if !lost {
                self.clients[client].producer = Some(producer);
            }
        }
    }

    fn add(&mut self, client: usize, partition: i32) {
        let id = IDS[client % IDS.len()];
        let Some(producer) = self.clients[client].producer else { return };
        let before = self.current(id);
        let reply = self.coordinator.adds_to(id, producer, &[partition]);
        let is_current = before.as_ref().is_some_and(|current| current.producer == producer);
        let is_ending = before.as_ref().is_some_and(|current| current.state.is_prepared());
        assert_eq!(reply.is_ok(), is_current && !is_ending, "{reply:?}");
        if reply.is_err() {
            return;
        }
        let number = *self.open.entry(id).or_insert(self.transactions.len());
        if number == self.transactions.len() {
            self.transactions.push(Transaction::default());
        }
        self.transactions[number].partitions.insert(partition);
        // The client produces to it.
        let records = self.partitions.entry((id, partition)).or_insert((number, producer));
        assert_eq!(*records, (number, producer), "{id}-{partition} still has records of an earlier transaction");
    }

    fn end(&mut self, client: usize, outcome: Outcome, lost: bool) {
        let id = IDS[client % IDS.len()];
        let Client { producer: Some(producer), protocol_2 } = self.clients[client] else { return };
        let Some(before) = self.current(id) else { return };
        let records = self.coordinator.log_len();
        let reply = self.coordinator.ends_with(id, producer, outcome, if protocol_2 { 2 } else { 0 });
        let is_repeat = self.coordinator.log_len() == records;
        if before.state == TransactionState::Ongoing {
            assert_eq!(reply.is_ok(), before.producer == producer, "{reply:?}");
        }
        let Ok(next) = reply else { return };
        if is_repeat {
            let last = self.last_end[id];
            assert_eq!(last.outcome, outcome, "the reply to a repeated request has the outcome of the transaction");
            assert!(!protocol_2 || last.of == producer);
        } else {
            assert_eq!(before.producer, producer, "only the current producer may end a transaction");
            assert!(!protocol_2 || self.assigned.insert(next), "{next:?} was assigned before");
            if let Some(number) = self.open.remove(id) {
                self.decide(id, number, outcome);
            }
            self.last_end.insert(id, LastEnd { outcome, of: producer });
        }
        if protocol_2 && !lost {
            self.clients[client].producer = Some(next);
        }
    }

    fn decide(&mut self, id: &'static str, number: usize, outcome: Outcome) {
        assert_eq!(self.transactions[number].outcome.replace(outcome), None);
        assert_eq!(self.ending.insert(id, number), None, "one transaction of an id ends at a time");
    }

    // Markers.

    /// Compares new actions with the transactions that end. An action for an open transaction is an abort by the
    /// coordinator.
    fn take_actions(&mut self) {
        for action in std::mem::take(&mut self.coordinator.actions) {
            let id = known(&action.transactional_id);
            if let Some(number) = self.open.remove(id) {
                assert_eq!(action.outcome, Outcome::Abort, "only a client may commit");
                self.decide(id, number, Outcome::Abort);
                let of = ProducerIdEpoch { epoch: action.producer.epoch - 1, ..action.producer };
                self.last_end.insert(id, LastEnd { outcome: Outcome::Abort, of });
            }
            let transaction = &self.transactions[self.ending[id]];
            assert_eq!(Some(action.outcome), transaction.outcome);
            let partitions: Vec<_> = transaction.partitions.iter().copied().collect();
            assert_eq!(action.partitions, orders(&partitions));
            self.actions.push((action, BTreeSet::new()));
        }
    }

    /// Writes some of an action's markers; the bits of `which` say which ones.
    fn write(&mut self, action: usize, which: u8, lost: bool) {
        let index = action % self.actions.len().max(1);
        let Some((action, reported)) = self.actions.get_mut(index) else { return };
        let action = action.clone();
        let id = known(&action.transactional_id);
        let number = self.ending[id];
        let chosen = action.partitions.iter().filter(|p| which & (1 << p.partition) != 0).cloned();
        let chosen: Vec<_> = chosen.collect();
        for p in &chosen {
            let Some((of, producer)) = self.partitions.remove(&(id, p.partition)) else { continue };
            assert_eq!(of, number, "a marker ends the records of its own transaction");
            assert_eq!(action.producer.producer_id, producer.producer_id);
            let least = producer.epoch + i16::from(action.transaction_version >= 2);
            assert!(action.producer.epoch >= least, "{} below {least}", action.producer.epoch);
        }
        if lost {
            return;
        }
        reported.extend(chosen.iter().map(|p| p.partition));
        if reported.len() == action.partitions.len() {
            self.actions.remove(index);
        }
        self.reports.push((action.clone(), chosen.clone()));
        self.coordinator.reports(&action, chosen);
    }

    // Checks.

    fn check(&mut self) {
        for id in IDS {
            let state = self.current(id).map(|current| current.state);
            if !state.is_some_and(TransactionState::is_prepared) && self.ending.remove(id).is_some() {
                // Reports from before a crash may have completed it.
                self.actions.retain(|(action, _)| *action.transactional_id != *id);
            }
            let expect = (self.open.contains_key(id), self.ending.contains_key(id));
            match state {
                Some(TransactionState::Ongoing) => assert_eq!(expect, (true, false)),
                Some(state) if state.is_prepared() => assert_eq!(expect, (false, true)),
                _ => {
                    assert_eq!(expect, (false, false));
                    let records = self.partitions.keys().filter(|(of, _)| *of == id).count();
                    assert_eq!(records, 0, "{id} has no transaction, but records without a marker");
                }
            }
            if state.is_none() {
                self.last_end.remove(id);
            }
        }
        // Often enough: a difference stays until the next record of the id.
        self.checks += 1;
        if self.checks.is_multiple_of(5) {
            self.coordinator.check_recovery();
        }
    }

    /// Writes all missing markers, and checks that the next transaction of each id is then possible.
    fn settle(&mut self) {
        while !self.actions.is_empty() {
            self.write(0, u8::MAX, false);
            self.check();
        }
        for (client, id) in IDS.into_iter().enumerate() {
            self.init(client, true);
            self.take_actions();
            while !self.actions.is_empty() {
                self.write(0, u8::MAX, false);
                self.init(client, true);
            }
            self.run(Op::Add(client, 0));
            self.run(Op::End(client, true, false));
            self.write(0, u8::MAX, false);
            self.check();
            assert_eq!(self.current(id).unwrap().state, TransactionState::CompleteCommit);
        }
        assert!(self.transactions.iter().all(|transaction| transaction.outcome.is_some()));
        assert!(self.partitions.is_empty());
        self.coordinator.check_recovery();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_transaction_is_committed_or_aborted_as_a_whole(
        level in 0..=2i16,
        left in 0..8i16,
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let mut run = Run::new(level, left);
        for op in ops {
            run.run(op);
        }
        run.settle();
    }
}
