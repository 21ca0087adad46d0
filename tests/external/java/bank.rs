//! A bank: movers carry out transfers in transactions, one record for each of the two accounts and the offset of the
//! order, and auditors read what is committed. Movers are Java of today (protocol 2) and 2.8 (protocol 1) and both
//! versions of confluent-kafka (protocol 1). They and the broker are killed again and again, by default 20 times; the
//! environment variable `OTTLA_BANK_KILLS` says how often.
//!
//! Every auditor must see both halves of each transfer, once; so the sum of all accounts never changes, and no transfer
//! that was acknowledged is lost or carried out again.

mod audit;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::Broker;
use common::python_env::{PINNED_OLD, TODAY};
use libtest_mimic::Trial;
use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};

use crate::harness::trials;
use crate::java::process::{Running, wait_until};
use crate::java::transactions::program;
use crate::java::{Java, java};
use crate::python::python_of;
use audit::Audit;

const KILLS: usize = 20;
/// Partitions of `transfers`.
const PARTITIONS: usize = 4;
const ACCOUNTS: u64 = 10;
/// Orders for each mover before each kill.
const ORDERS: usize = 25;
/// A mover is killed at most so many transfers after the others' last one.
const MAX_TRANSFERS_BEFORE_KILL: u64 = 8;
/// How long the transfers of a mover are awaited before it is killed all the same: it may be stuck (see bank_mover.py).
const MAX_WAIT_BEFORE_KILL: Duration = Duration::from_secs(5);
/// The exit code of a mover that must be started again.
const START_AGAIN: i32 = 3;

/// The program of a mover.
enum Kind {
    Java(&'static str),
    Python(PathBuf),
}

struct Mover {
    kind: Kind,
    process: Running,
    /// Transfers that were acknowledged since its last start.
    moved: u64,
    /// How often it had to be started again without being killed.
    restarts: usize,
}

struct Bank<'a> {
    java: &'a Java,
    broker: Broker,
    movers: Vec<Mover>,
    audit: Audit,
    auditors: [Running; 2],
    random: Random,
    /// Orders that each mover has got.
    ordered: usize,
}

async fn sum_of_accounts_stays_the_same_across_kills() {
    let (Some(java), Some(today)) = (java(), python_of(&TODAY)) else { return };
    let old = python_of(&PINNED_OLD).unwrap_or_else(|| today.clone());
    let kills = std::env::var("OTTLA_BANK_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let mut bank = Bank::open(java, &today, &old).await;
    for _ in 0..kills {
        bank.order().await;
        bank.kill_one();
    }
    bank.close();
}

impl<'a> Bank<'a> {
    async fn open(java: &'a Java, today: &Path, old: &Path) -> Bank<'a> {
        let broker = Broker::with()
            .set("group.initial.rebalance.delay.ms", "0")
            .set("transaction.abort.timed.out.transaction.cleanup.interval.ms", "100")
            .start();
        let kinds =
            [Kind::Java("today"), Kind::Java("2.8.2"), Kind::Python(today.to_owned()), Kind::Python(old.to_owned())];
        let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
        client.create_topic("orders", kinds.len() as i32, &[]).await.unwrap();
        client.create_topic("transfers", PARTITIONS as i32, &[]).await.unwrap();
        let bootstrap = broker.bootstrap_servers();
        let mut reader = program(java, "today", "ReadCommitted");
        let mut auditor = python(today, "bank_auditor.py");
        let auditors = [
            Running::start("the Java auditor", reader.args([bootstrap, "transfers"])),
            Running::start("the Python auditor", auditor.args([bootstrap, &PARTITIONS.to_string()])),
        ];
        let start = |(number, kind)| {
            let process = start_mover(java, &broker, &kind, number);
            Mover { kind, process, moved: 0, restarts: 0 }
        };
        let movers = kinds.into_iter().enumerate().map(start).collect();
        let random = Random::new();
        Bank { java, broker, movers, audit: Audit::default(), auditors, random, ordered: 0 }
    }

    /// Orders more transfers from each mover.
    async fn order(&mut self) {
        let client = Client::connect(self.broker.bootstrap_servers()).await.unwrap();
        for mover in 0..self.movers.len() {
            let mut batch = BatchBuilder::new(Codec::None);
            for number in self.ordered..self.ordered + ORDERS {
                let payer = self.random.below(ACCOUNTS);
                let receiver = (payer + 1 + self.random.below(ACCOUNTS - 1)) % ACCOUNTS;
                let amount = 1 + self.random.below(100);
                let id = format!("{mover}-{number}");
                batch.append(0, None, Some(format!("{id} {payer} {receiver} {amount}").as_bytes()), &[]);
                self.audit.ordered(&id, payer, receiver, amount);
            }
            client.produce("orders", mover as i32, batch.build().unwrap().bytes().clone()).await.unwrap();
        }
        self.ordered += ORDERS;
    }

    /// Kills the broker, a mover, or both, while they work, and starts them again.
    fn kill_one(&mut self) {
        let victim = self.random.below(self.movers.len() as u64) as usize;
        // Sometimes a mover is killed while it starts.
        let mut is_stuck = false;
        if self.random.below(4) > 0 {
            let transfers = self.movers[victim].moved + 1 + self.random.below(MAX_TRANSFERS_BEFORE_KILL);
            let since = Instant::now();
            self.wait_until(&format!("transfers by mover {victim}"), |bank| {
                let has_worked = bank.movers[victim].moved >= transfers || bank.audit.all_acknowledged(victim);
                is_stuck = !has_worked && since.elapsed() > MAX_WAIT_BEFORE_KILL;
                has_worked || is_stuck
            });
        }
        let what = if is_stuck { 1 } else { self.random.below(3) };
        if what != 1 {
            self.broker.kill();
        }
        if what != 0 {
            let lines = self.movers[victim].process.kill();
            self.movers[victim].acknowledge(lines, &mut self.audit);
        }
        if what != 1 {
            self.broker.restart();
        }
        if what != 0 {
            self.start_again(victim);
        }
    }

    /// Waits until every order was carried out and both auditors have seen it, and checks the accounts.
    fn close(mut self) {
        self.wait_until("all transfers", |bank| bank.audit.is_complete());
        for mover in &mut self.movers {
            let lines = mover.process.kill();
            mover.acknowledge(lines, &mut self.audit);
        }
        self.audit.check_balances();
        let restarts: Vec<_> = self.movers.iter().map(|mover| mover.restarts).collect();
        println!("{} transfers; movers that started again by themselves: {restarts:?}", self.audit.len());
    }

    fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        wait_until(what, || {
            self.follow();
            condition(self)
        });
    }

    /// Takes the lines of all programs, and starts the movers again that need it.
    fn follow(&mut self) {
        for number in 0..self.movers.len() {
            let mover = &mut self.movers[number];
            // In this order: a mover that has ended writes no more lines.
            let ended = mover.process.ended();
            let lines = if ended.is_some() { mover.process.kill() } else { mover.process.take_lines() };
            mover.acknowledge(lines, &mut self.audit);
            if let Some(status) = ended {
                assert_eq!(status.code(), Some(START_AGAIN), "mover {number} ended with {status}");
                mover.restarts += 1;
                self.start_again(number);
            }
        }
        for (number, auditor) in self.auditors.iter_mut().enumerate() {
            assert!(auditor.ended().is_none(), "auditor {number} has ended");
            self.audit.seen(number, &auditor.take_lines());
        }
        self.audit.check_halves();
    }

    fn start_again(&mut self, number: usize) {
        let mover = &mut self.movers[number];
        mover.process = start_mover(self.java, &self.broker, &mover.kind, number);
        mover.moved = 0;
    }
}

impl Mover {
    fn acknowledge(&mut self, lines: Vec<String>, audit: &mut Audit) {
        for id in lines.iter().filter_map(|line| line.strip_prefix("moved ")) {
            audit.acknowledged(id);
            self.moved += 1;
        }
    }
}

fn start_mover(java: &Java, broker: &Broker, kind: &Kind, number: usize) -> Running {
    let mut command = match kind {
        Kind::Java(version) => program(java, version, "Mover"),
        Kind::Python(interpreter) => python(interpreter, "bank_mover.py"),
    };
    command.args([broker.bootstrap_servers(), &number.to_string(), &PARTITIONS.to_string()]);
    Running::start(&format!("mover {number}"), &mut command)
}

fn python(interpreter: &Path, program: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(program));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A generator of numbers (xorshift) that prints its seed.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("randomness");
        let seed = u64::from_le_bytes(seed) | 1;
        println!("seed {seed}");
        Random(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % end
    }
}

pub fn tests() -> Vec<Trial> {
    trials![on_tokio: sum_of_accounts_stays_the_same_across_kills]
}
