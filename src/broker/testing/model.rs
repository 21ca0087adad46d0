//! Random clients with transactions against a plain model: after any faults a transaction is whole or absent, as its
//! client was answered, and none stays open.
//!
//! A failure prints the seed. `OTTLA_MODEL_STEPS` is the number of steps of all seeds together, `OTTLA_MODEL_SEED` the
//! first seed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::reader::{View, is_unknown};
use super::*;
use ottla_log::{DiskOp, Fault};
use ottla_wire::types::{ErrorCode, Offset};

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
/// to open a log, 10 s between checks for overdue transactions, and 5 s between tries to write a marker.
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

/// One producer with its transaction.
struct Actor {
    id: usize,
    producer: Producer,
    has_producer_id: bool,
    /// The number of the open transaction.
    open: Option<u64>,
    /// A value that was sent without an answer.
    unanswered: Option<(i32, u64)>,
    /// A commit or abort that was sent without an answer.
    unanswered_end: Option<bool>,
    /// The transaction can only be aborted.
    is_broken: bool,
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
    model: RefCell<Model>,
    view: View,
    steps: u64,
    /// Whether every batch is synced before it is acknowledged.
    is_synced: bool,
    settings: Vec<(&'static str, &'static str)>,
    transaction_version: i16,
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
        let mut actors = Vec::new();
        for id in 0..IDS {
            for _ in 0..PRODUCERS {
                let protocol = if id % 2 == 0 || transaction_version == 0 { Protocol::One } else { Protocol::Two };
                actors.push(Actor::new(id, Producer::new(&format!("t{id}"), protocol, TIMEOUT_MS)));
            }
        }
        Test {
            seed,
            dice,
            actors,
            model: RefCell::default(),
            view: View::new(TOPIC, PARTITIONS),
            steps: 0,
            is_synced,
            settings,
            transaction_version,
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

    fn choose(&mut self) -> usize {
        let (id, is_other) = (self.dice.below(IDS as u64) as usize, self.dice.one_in(12));
        id * PRODUCERS + usize::from(is_other)
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

impl Actor {
    fn new(id: usize, producer: Producer) -> Actor {
        Actor {
            id,
            producer,
            has_producer_id: false,
            open: None,
            unanswered: None,
            unanswered_end: None,
            is_broken: false,
        }
    }

    /// Ends the transaction without a request; its producer must be initialized before the next one.
    fn give_up(&mut self) {
        *self = Actor::new(self.id, self.producer.clone());
    }

    async fn step(&mut self, dice: &mut Dice, model: &RefCell<Model>, client: &mut Client) -> String {
        if !self.has_producer_id || dice.one_in(40) {
            return self.init(dice, client).await;
        }
        if let Some(commits) = self.unanswered_end {
            return match dice.one_in(3) {
                true => self.init(dice, client).await,
                false => self.end(model, client, commits).await,
            };
        }
        if dice.one_in(60) {
            // The client restarts.
            self.give_up();
            return "gave up".to_owned();
        }
        let Some(number) = self.open else {
            let number = model.borrow_mut().next();
            let attempt =
                Attempt { id: self.id, fate: Fate::Absent, values: Vec::new(), offset: None, ended: u64::MAX };
            model.borrow_mut().attempts.insert(number, attempt);
            self.open = Some(number);
            return self.send(number, dice, model, client).await;
        };
        let is_broken = self.is_broken || self.unanswered.is_some();
        match dice.below(10) {
            0 => self.end(model, client, false).await,
            _ if is_broken && self.unanswered.is_some() && dice.one_in(2) => {
                self.send_again(number, model, client).await
            }
            _ if is_broken => self.end(model, client, false).await,
            1..=2 => self.end(model, client, true).await,
            3 => self.commit_offset(number, model, client).await,
            _ => self.send(number, dice, model, client).await,
        }
    }

    async fn init(&mut self, dice: &mut Dice, client: &mut Client) -> String {
        let continues = self.has_producer_id && dice.one_in(2);
        let before = self.producer.producer;
        self.give_up();
        let outcome = self.producer.init(client, continues).await;
        self.has_producer_id = outcome.is_ok();
        format!("init {} from {before:?}, continues {continues}: {outcome:?}, {:?}", self.id, self.producer.producer)
    }

    async fn send(&mut self, number: u64, dice: &mut Dice, model: &RefCell<Model>, client: &mut Client) -> String {
        let partition = dice.below(PARTITIONS.unsigned_abs().into()) as i32;
        let value = number << 16 | model.borrow_mut().next() & 0xffff;
        self.unanswered = Some((partition, value));
        self.send_again(number, model, client).await
    }

    async fn send_again(&mut self, number: u64, model: &RefCell<Model>, client: &mut Client) -> String {
        let Some((partition, value)) = self.unanswered else { return String::new() };
        let outcome = self.producer.produce(client, TOPIC, partition, value).await;
        match outcome {
            Ok(_) => {
                self.unanswered = None;
                model.borrow_mut().attempt(number).values.push((partition, value));
            }
            Err(failed) => self.failed(failed),
        }
        format!("sent {value:x} of {number} to {partition}: {outcome:?}")
    }

    async fn commit_offset(&mut self, number: u64, model: &RefCell<Model>, client: &mut Client) -> String {
        let offset = model.borrow_mut().next() as Offset;
        let outcome = self.producer.commit_offset(client, GROUP, (TOPIC, self.id as i32), offset).await;
        match outcome {
            Ok(()) => model.borrow_mut().attempt(number).offset = Some(offset),
            Err(failed) => {
                self.is_broken = true;
                self.failed(failed);
            }
        }
        format!("committed offset {offset} in {number}: {outcome:?}")
    }

    async fn end(&mut self, model: &RefCell<Model>, client: &mut Client, commits: bool) -> String {
        let Some(number) = self.open else { return String::new() };
        let ended = model.borrow_mut().next();
        let is_first = self.unanswered_end.is_none();
        if commits && is_first {
            let mut model = model.borrow_mut();
            let attempt = model.attempt(number);
            (attempt.fate, attempt.ended) = (Fate::Unknown, ended);
        }
        let outcome = self.producer.end(client, commits).await;
        match outcome {
            Ok(()) => {
                if commits {
                    model.borrow_mut().attempt(number).fate = Fate::Committed;
                }
                if self.unanswered.is_some() {
                    // The sequence number may be used: as Kafka's clients do, it asks for a new epoch.
                    self.give_up();
                }
                (self.open, self.unanswered_end, self.is_broken) = (None, None, false);
            }
            Err(failed) if is_unknown(failed) => self.unanswered_end = Some(commits),
            Err(_) => {
                if is_first {
                    model.borrow_mut().attempt(number).fate = Fate::Absent;
                }
                self.give_up();
            }
        }
        format!("ended {number}, commit {commits}: {outcome:?}, {:?}", self.producer.producer)
    }

    fn failed(&mut self, failed: Failed) {
        match failed {
            failed if is_unknown(failed) => {}
            Failed::Error(ErrorCode::TransactionAbortable) => self.is_broken = true,
            _ => self.give_up(),
        }
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
