//! Random clients with transactions against a plain model: after any faults a transaction is whole or absent, as its
//! client was answered, and none stays open.
//!
//! A failure prints the seed. `OTTLA_MODEL_STEPS` is the number of steps of all seeds together, `OTTLA_MODEL_SEED` the
//! first seed.

mod actor;

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::reader::View;
use super::*;
use actor::Actor;
use ottla_log::{DiskOp, Fault};
use ottla_wire::types::Offset;

const TOPIC: &str = "d";
const PARTITIONS: i32 = 3;
const GROUP: &str = "g";
/// The transactional ids. Each has its own partition of the group's offsets, so that their order is that of its
/// transactions.
const IDS: usize = 4;
/// The producers of each transactional id: all but one are zombies.
const PRODUCERS: usize = 2;
const TIMEOUT_MS: i32 = 8_000;
/// By then all abandoned transactions are aborted and failed logs are open again. Their waits add up: 30 s between two tries
/// to open a log, 10 s between checks for overdue transactions, and 1 s between tries to write a marker.
const QUIET: Duration = Duration::from_secs(120);
const STEPS_PER_SEED: u64 = 2_000;
const DEFAULT_STEPS: u64 = 6_000;

/// The end of a transaction, as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No commit was asked for, or it was refused.
    Absent,
    /// A commit was asked for, without an answer.
    Unknown,
    Committed,
}

/// One transaction.
#[derive(Clone, Debug)]
struct Attempt {
    id: usize,
    fate: Fate,
    values: Vec<(i32, u64)>,
    offset: Option<Offset>,
    /// The order of the commits.
    ended: u64,
}

/// What must be read.
#[derive(Default)]
struct Model {
    committed: u64,
    unknown: u64,
    unknown_committed: u64,
    attempts: BTreeMap<u64, Attempt>,
    /// The last committed offset of each id.
    offsets: [Option<Offset>; IDS],
    counter: u64,
}

struct Test {
    seed: u64,
    dice: Dice,
    actors: Vec<Actor>,
    /// The producer of each id that works.
    leading: [usize; IDS],
    model: RefCell<Model>,
    view: View,
    steps: u64,
    /// Whether every batch is synced before it is acknowledged.
    is_synced: bool,
    settings: Vec<(&'static str, &'static str)>,
    /// At the first start.
    transaction_version: i16,
    /// Whether the level of `transaction.version` changes while the broker runs.
    changes_version: bool,
    log: Vec<String>,
}

/// How a run of the broker ends.
enum End {
    Kill,
    PowerLoss,
    Close,
}

impl Test {
    fn new(seed: u64) -> Test {
        let mut dice = Dice::new(seed);
        let is_synced = dice.one_in(2);
        let mut settings = Vec::new();
        if is_synced {
            settings.push(("log.flush.interval.messages", "1"));
        }
        if dice.one_in(2) {
            settings.push(("log.roll.ms", "20000"));
        }
        let transaction_version = if dice.one_in(4) { 0 } else { 2 };
        let changes_version = dice.one_in(2);
        let mut actors = Vec::new();
        for id in 0..IDS {
            for _ in 0..PRODUCERS {
                let producer = Producer::new(&format!("t{id}"), Protocol::One, TIMEOUT_MS);
                actors.push(Actor::new(id, dice.below(3) > 0, producer));
            }
        }
        Test {
            seed,
            dice,
            actors,
            leading: [0; IDS],
            model: RefCell::default(),
            view: View::new(TOPIC, PARTITIONS),
            steps: 0,
            is_synced,
            settings,
            transaction_version,
            changes_version,
            log: Vec::new(),
        }
    }

    fn run(&mut self, steps: u64) {
        let mut host = Host::new(self.seed, &self.settings);
        let level = self.transaction_version;
        host.run(async |running| {
            let mut client = running.client("admin");
            client.create_topic(TOPIC, PARTITIONS, &[]).await.unwrap();
            client.set_transaction_version(level).await.unwrap();
            client.find_coordinator("t", true).await.unwrap();
            client.find_coordinator(GROUP, false).await.unwrap();
        })
        .unwrap();
        while self.steps < steps {
            let disk = host.disk.clone();
            let end = host.run(async |running| self.run_broker(running, &disk).await);
            match end.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed)) {
                End::Kill | End::Close => {}
                End::PowerLoss => {
                    let mut dice = Dice::new(self.dice.next());
                    host.lose_power(&mut || dice.next());
                }
            }
        }
    }

    /// Runs steps until the broker ends.
    async fn run_broker(&mut self, running: &Running, disk: &Simulation) -> End {
        let mut clients: Vec<Client> = (0..self.actors.len()).map(|actor| running.client(&actor.to_string())).collect();
        let steps = 50 + self.dice.below(300);
        let mut faults_left = 0_u64;
        for _ in 0..steps {
            self.steps += 1;
            if faults_left > 0 {
                faults_left -= 1;
                if faults_left == 0 {
                    disk.clear_faults();
                }
            } else if self.dice.one_in(80) {
                faults_left = 1 + self.dice.below(10);
                self.inject_faults(disk);
            }
            if self.dice.one_in(60) {
                running.sleep(Duration::from_millis(self.dice.below(20_000))).await;
            }
            if self.changes_version && self.dice.one_in(40) {
                self.change_version(running).await;
            }
            self.step(&mut clients).await;
        }
        let is_checked = self.dice.one_in(2);
        if is_checked {
            disk.clear_faults();
            running.sleep(QUIET).await;
            self.check(&mut running.client("reader")).await;
        }
        match self.dice.below(3) {
            0 if is_checked => {
                running.close();
                return End::Close;
            }
            // In the middle of something.
            1 => {
                disk.fail_after_changes(Some(self.dice.below(12)));
                for _ in 0..self.dice.below(6) {
                    self.step(&mut clients).await;
                }
            }
            _ => {}
        }
        disk.clear_faults();
        match self.is_synced && self.dice.one_in(2) {
            true => End::PowerLoss,
            false => End::Kill,
        }
    }

    async fn change_version(&mut self, running: &Running) {
        let level = self.dice.below(3) as i16;
        let outcome = running.client("admin").set_transaction_version(level).await;
        self.log.push(format!("transaction.version {level}: {outcome:?}"));
    }

    fn inject_faults(&mut self, disk: &Simulation) {
        let mut dice = Dice::new(self.dice.next());
        let often = 2 + self.dice.below(5);
        let with_syncs = self.dice.one_in(2);
        let fault = [Fault::Error, Fault::NoSpace, Fault::Short][self.dice.below(3) as usize];
        // Not a sync that discards pages: such a partition stays closed until a restart.
        let sync_fault = [Fault::Error, Fault::SyncDropsDirtyPages][self.dice.below(2) as usize];
        self.log.push(format!("faults, 1 in {often}"));
        disk.inject_faults(move |op| {
            let fails = match op {
                DiskOp::Write => true,
                DiskOp::Sync => with_syncs,
                _ => false,
            };
            let fault = if op == DiskOp::Sync { sync_fault } else { fault };
            (fails && dice.one_in(often)).then_some(fault)
        });
    }

    /// Of the producers of an id, mostly one works, and sometimes another takes its place.
    fn choose(&mut self) -> usize {
        let id = self.dice.below(IDS as u64) as usize;
        if self.dice.one_in(60) {
            self.leading[id] = self.dice.below(PRODUCERS as u64) as usize;
        }
        let other = usize::from(self.dice.one_in(12));
        id * PRODUCERS + (self.leading[id] + other) % PRODUCERS
    }

    /// A step of one producer, or of two at the same time.
    async fn step(&mut self, clients: &mut [Client]) {
        let (one, other) = (self.choose(), self.choose());
        let mut dice = Dice::new(self.dice.next());
        let both = one < other && self.dice.one_in(4);
        let Test { actors, model, log, .. } = self;
        if !both {
            let did = actors[one].step(&mut dice, model, &mut clients[one]).await;
            log.push(format!("{one} {did}"));
            return;
        }
        let mut other_dice = Dice::new(dice.next());
        let ((first, second), (clients, other_clients)) = (actors.split_at_mut(other), clients.split_at_mut(other));
        let did = tokio::join!(
            first[one].step(&mut dice, model, &mut clients[one]),
            second[0].step(&mut other_dice, model, &mut other_clients[0]),
        );
        log.push(format!("{one} {}\n{other} meanwhile {}", did.0, did.1));
    }

    /// Compares what is read with the model. No transaction is open.
    async fn check(&mut self, client: &mut Client) {
        let what = format!("seed {}, step {}", self.seed, self.steps);
        self.view.check_stable(client, &what).await;
        self.view.read(client).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let mut read: BTreeMap<u64, Vec<(i32, u64)>> = BTreeMap::new();
        for (partition, value) in self.view.take_new() {
            read.entry(value >> 16).or_default().push((partition, value));
        }
        let mut attempts: Vec<(u64, Attempt)> =
            std::mem::take(&mut self.model.get_mut().attempts).into_iter().collect();
        attempts.sort_by_key(|(_, attempt)| attempt.ended);
        let mut possible: [Vec<Option<Offset>>; IDS] = self.model.get_mut().offsets.map(|offset| vec![offset]);
        for (number, mut attempt) in attempts {
            let mut values = read.remove(&number).unwrap_or_default();
            values.sort_unstable();
            attempt.values.sort_unstable();
            let is_whole = !values.is_empty() && values == attempt.values;
            let is_right = match attempt.fate {
                Fate::Absent => values.is_empty(),
                Fate::Unknown => values.is_empty() || is_whole,
                Fate::Committed => values == attempt.values,
            };
            assert!(is_right, "{what}: transaction {number}, {attempt:?}, is read as {values:?}\n{}", self.recent());
            let counts = self.model.get_mut();
            counts.committed += u64::from(attempt.fate == Fate::Committed);
            counts.unknown += u64::from(attempt.fate == Fate::Unknown);
            counts.unknown_committed += u64::from(attempt.fate == Fate::Unknown && is_whole);
            let possible = &mut possible[attempt.id];
            match (attempt.offset, attempt.fate) {
                (Some(offset), Fate::Committed) => *possible = vec![Some(offset)],
                (Some(offset), Fate::Unknown) if is_whole => *possible = vec![Some(offset)],
                (Some(offset), Fate::Unknown) if attempt.values.is_empty() => possible.push(Some(offset)),
                _ => {}
            }
        }
        assert!(read.is_empty(), "{what}: nobody sent {read:?}");
        for (id, possible) in possible.iter().enumerate() {
            let offset = client.committed_offset(GROUP, TOPIC, id as i32).await;
            let offset = offset.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let offset = (offset >= 0).then_some(offset);
            assert!(
                possible.contains(&offset),
                "{what}: offset {offset:?} of t{id}, not {possible:?}\n{}",
                self.recent()
            );
            self.model.get_mut().offsets[id] = offset;
        }
        // The check took longer than the timeout of every transaction.
        for actor in &mut self.actors {
            actor.give_up();
        }
        self.log.clear();
    }

    fn recent(&self) -> String {
        let from = self.log.len().saturating_sub(400);
        self.log[from..].join("\n")
    }
}

impl Model {
    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn attempt(&mut self, number: u64) -> &mut Attempt {
        self.attempts.get_mut(&number).unwrap()
    }
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn random_transactions_with_faults_are_as_the_model() {
    let total = number_from_environment("OTTLA_MODEL_STEPS").unwrap_or(DEFAULT_STEPS);
    let mut seed = number_from_environment("OTTLA_MODEL_SEED").unwrap_or(1);
    let mut steps = 0;
    while steps < total {
        println!("seed {seed}, after {steps} steps");
        let mut test = Test::new(seed);
        test.run(STEPS_PER_SEED.min(total - steps));
        steps += test.steps;
        let Model { committed, unknown, unknown_committed, .. } = test.model.into_inner();
        println!("{committed} committed, {unknown} without an answer, {unknown_committed} of them committed");
        seed += 1;
    }
}
