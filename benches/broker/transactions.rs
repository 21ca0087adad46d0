//! Transactions a second, their latencies, and the broker's CPU time for them.
//!
//! Rounds are interleaved, as in [`crate::throughput`]: in each round every broker gets a slice of time for each load, in
//! an order that rotates. Producers wait for each answer, so that a producer's rate follows from its latencies; the CPU
//! time of the broker does not depend on other work on the machine as much as the rates do.

use std::thread;
use std::time::{Duration, Instant};

use crate::admin::Admin;
use crate::contender::{Contender, Running};
use crate::report::{Samples, Table, milliseconds, significant};
use crate::system;
use crate::txn_producer::{ADD_PARTITIONS_VERSION, Protocol, Timings, TxnProducer};
use ottla_wire::protocol::ApiKey;

/// Rounds that are not counted, for caches and Java's compiler.
const WARM_UP: usize = 4;
const RECORD_BYTES: usize = 100;

/// A number of producers, each of which writes a record to each of the partitions in each transaction.
#[derive(Clone, Copy, Debug)]
struct Load {
    protocol: Protocol,
    producers: usize,
    partitions: i32,
}

const LOADS: [Load; 8] = [
    Load { protocol: Protocol::Two, producers: 1, partitions: 1 },
    Load { protocol: Protocol::Two, producers: 1, partitions: 12 },
    Load { protocol: Protocol::Two, producers: 8, partitions: 1 },
    Load { protocol: Protocol::Two, producers: 8, partitions: 12 },
    Load { protocol: Protocol::One, producers: 1, partitions: 1 },
    Load { protocol: Protocol::One, producers: 1, partitions: 12 },
    Load { protocol: Protocol::One, producers: 8, partitions: 1 },
    Load { protocol: Protocol::One, producers: 8, partitions: 12 },
];

impl Load {
    fn name(&self) -> String {
        let Load { protocol, producers, partitions } = self;
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        format!(
            "protocol {}: {producers} producer{}, {partitions} partition{} each",
            protocol.number(),
            plural(*producers),
            plural(*partitions as usize),
        )
    }
}

/// The figures of one broker for one load, over all rounds.
#[derive(Clone, Debug, Default)]
struct Figures {
    per_s: Samples,
    whole_ms: Samples,
    commit_ms: Samples,
    cpu: Duration,
    transactions: usize,
    retries: u64,
}

impl Figures {
    fn cpu_s_per_10_000(&self) -> f64 {
        self.cpu.as_secs_f64() * 10_000.0 / self.transactions as f64
    }
}

pub fn measure(contenders: &[Contender], rounds: usize, slice: Duration) -> Vec<Table> {
    let brokers: Vec<_> = contenders.iter().map(Contender::start_fresh).collect();
    let mut figures = vec![vec![Figures::default(); LOADS.len()]; contenders.len()];
    for ((contender, (_, broker)), index) in contenders.iter().zip(&brokers).zip(0..) {
        let admin = Admin::connect(broker);
        for (load, number) in LOADS.iter().zip(0..) {
            if serves(&admin, load.protocol) {
                admin.create_topic(&topic(number), load.partitions);
            } else if index == 0 {
                eprintln!("{} does not serve protocol {}", contender.name(), load.protocol.number());
            }
        }
    }
    for round in 0..WARM_UP + rounds {
        for (load, number) in LOADS.iter().zip(0..) {
            for step in 0..contenders.len() {
                let index = (step + round) % contenders.len();
                let figures = (round >= WARM_UP).then_some(&mut figures[index][number]);
                run(&brokers[index].1, load, number, slice, figures);
            }
        }
    }
    tables(contenders, &figures)
}

fn topic(load: usize) -> String {
    format!("transactions-{load}")
}

/// Whether the broker serves the versions of the protocol's requests.
pub fn serves(admin: &Admin, protocol: Protocol) -> bool {
    let serves = |key, version| admin.served(key).is_some_and(|(oldest, newest)| (oldest..=newest).contains(&version));
    serves(ApiKey::Produce, protocol.produce_version())
        && serves(ApiKey::EndTxn, protocol.end_txn_version())
        && serves(ApiKey::AddPartitionsToTxn, ADD_PARTITIONS_VERSION)
}

/// Runs transactions for the time of `slice`, and adds to the figures.
fn run(broker: &Running, load: &Load, number: usize, slice: Duration, figures: Option<&mut Figures>) {
    let admin = Admin::connect(broker);
    if !serves(&admin, load.protocol) {
        return;
    }
    let mut producers: Vec<TxnProducer> = (0..load.producers)
        .map(|producer| {
            let id = format!("bench-{number}-{producer}");
            TxnProducer::initialize(&admin, &id, load.protocol, &topic(number), load.partitions, RECORD_BYTES)
        })
        .collect();
    let (started, before) = (Instant::now(), system::cpu(broker.pid()));
    let timings: Vec<Vec<Timings>> = thread::scope(|scope| {
        let until = started + slice;
        let threads: Vec<_> =
            producers.iter_mut().map(|producer| scope.spawn(move || run_until(producer, until))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a producer ends")).collect()
    });
    let took = started.elapsed();
    let Some(figures) = figures else { return };
    figures.cpu += system::cpu(broker.pid()) - before;
    let timings = timings.concat();
    figures.transactions += timings.len();
    figures.retries += producers.iter().map(|producer| producer.retries).sum::<u64>();
    figures.per_s.push(timings.len() as f64 / took.as_secs_f64());
    for Timings { whole, commit } in timings {
        figures.whole_ms.push(milliseconds(whole));
        figures.commit_ms.push(milliseconds(commit));
    }
}

fn run_until(producer: &mut TxnProducer, until: Instant) -> Vec<Timings> {
    let mut timings = Vec::new();
    while Instant::now() < until {
        timings.push(producer.transaction().expect("the broker answers"));
    }
    timings
}

fn tables(contenders: &[Contender], figures: &[Vec<Figures>]) -> Vec<Table> {
    let names = || contenders.iter().map(Contender::name);
    let mut rate = Table::new("transactions a second", names());
    let mut commit = Table::new("latency of a commit, p50 / p99", names());
    let mut whole = Table::new("latency of a transaction, begin to commit, p50 / p99", names());
    let mut cost = Table::new("broker CPU per 10,000 transactions", names());
    let mut again = Table::new("requests sent again per 1,000 transactions", names());
    for (load, number) in LOADS.iter().zip(0..) {
        let name = load.name();
        let columns: Vec<&Figures> = figures.iter().map(|loads| &loads[number]).collect();
        let cells = |cell: &dyn Fn(&Figures) -> String| {
            let cell = |figures: &&Figures| if figures.transactions == 0 { String::new() } else { cell(figures) };
            columns.iter().map(cell).collect::<Vec<_>>()
        };
        let latencies = |samples: &Samples| {
            format!("{} / {} ms", significant(samples.median()), significant(samples.percentile(99.0)))
        };
        rate.medians(&name, "", columns.iter().map(|figures| &figures.per_s));
        commit.row(&name, cells(&|figures| latencies(&figures.commit_ms)));
        whole.row(&name, cells(&|figures| latencies(&figures.whole_ms)));
        cost.row(&name, cells(&|figures| format!("{} s", significant(figures.cpu_s_per_10_000()))));
        let per_1_000 = |figures: &Figures| 1000.0 * figures.retries as f64 / figures.transactions as f64;
        again.row(&name, cells(&|figures| significant(per_1_000(figures))));
    }
    vec![rate, commit, whole, cost, again]
}
