//! Reading transactional records: `read_committed` beside `read_uncommitted`.
//!
//! A log of transactions, some of them aborted, is read whole, twice in each pair: once with each isolation level, in an
//! order that alternates. Brokers are interleaved. The figure is the median of the pairs' ratios with an interval that
//! does not depend on how the ratios are distributed.

use std::time::{Duration, Instant};

use crate::admin::Admin;
use crate::contender::{Contender, Running};
use crate::load::{Isolation, batch, connect, fetch_and_discard, fetch_request};
use crate::report::{Samples, Table, significant};
use crate::system;
use crate::transactions::serves;
use crate::txn_producer::{Protocol, TxnProducer};

const TOPIC: &str = "isolation";
/// Batches of one transaction: about 1 MiB, which one fetch reads.
const BATCHES: u64 = 16;
/// One transaction of so many is aborted.
const ABORTED_ONE_OF: u64 = 20;
/// Pairs that are not counted.
const WARM_UP: usize = 2;

/// The figures of one broker, by isolation level.
#[derive(Clone, Debug, Default)]
struct Figures {
    mb_per_s: [Samples; 2],
    cpu: [Duration; 2],
    bytes: u64,
}

impl Figures {
    fn cpu_s_per_gb(&self, isolation: Isolation) -> f64 {
        self.cpu[isolation as usize].as_secs_f64() / (self.bytes as f64 / 1e9)
    }
}

/// The log that is read.
struct Written {
    /// The offset of each transaction's first record.
    offsets: Vec<i64>,
    /// The bytes of one transaction's records.
    transaction_bytes: usize,
}

pub fn measure(contenders: &[Contender], pairs: usize, bytes: u64) -> Table {
    let brokers: Vec<_> = contenders.iter().map(Contender::start_fresh).collect();
    let logs: Vec<Written> = brokers.iter().map(|(_, broker)| write(broker, bytes)).collect();
    let mut figures = vec![Figures::default(); contenders.len()];
    for pair in 0..WARM_UP + pairs {
        for step in 0..contenders.len() {
            let index = (step + pair) % contenders.len();
            let (broker, log) = (&brokers[index].1, &logs[index]);
            let order = match pair % 2 {
                0 => [Isolation::ReadUncommitted, Isolation::ReadCommitted],
                _ => [Isolation::ReadCommitted, Isolation::ReadUncommitted],
            };
            for isolation in order {
                let before = system::cpu(broker.pid());
                let took = read(broker, log, isolation);
                if pair >= WARM_UP {
                    let of_broker = &mut figures[index];
                    of_broker.cpu[isolation as usize] += system::cpu(broker.pid()) - before;
                    of_broker.mb_per_s[isolation as usize].push(log.bytes() as f64 / 1e6 / took.as_secs_f64());
                }
            }
            if pair >= WARM_UP {
                figures[index].bytes += log.bytes();
            }
        }
    }
    table(contenders, &figures, pairs)
}

impl Written {
    fn bytes(&self) -> u64 {
        (self.offsets.len() * self.transaction_bytes) as u64
    }
}

/// Writes about `bytes` in transactions to a new topic.
fn write(broker: &Running, bytes: u64) -> Written {
    let admin = Admin::connect(broker);
    admin.create_topic(TOPIC, 1);
    let protocol = if serves(&admin, Protocol::Two) { Protocol::Two } else { Protocol::One };
    let mut producer = TxnProducer::initialize(&admin, "isolation", protocol, TOPIC, 1, 1);
    let (batch, records) = batch(true);
    let transaction_bytes = batch.bytes().len() * BATCHES as usize;
    let offsets = (0..bytes / transaction_bytes as u64).map(|number| {
        let committed = number % ABORTED_ONE_OF != ABORTED_ONE_OF - 1;
        producer.transaction_of(&batch, records as i32, BATCHES, committed).expect("the broker answers")
    });
    Written { offsets: offsets.collect(), transaction_bytes }
}

/// Reads the whole log over one connection: one fetch for each transaction.
fn read(broker: &Running, log: &Written, isolation: Isolation) -> Duration {
    let socket = connect(broker.address());
    let started = Instant::now();
    let request =
        |number: u64| fetch_request(TOPIC, 0, log.offsets[number as usize] as u64, log.transaction_bytes, isolation);
    fetch_and_discard(socket, log.offsets.len() as u64, log.transaction_bytes, request).expect("the broker answers");
    started.elapsed()
}

fn table(contenders: &[Contender], figures: &[Figures], pairs: usize) -> Table {
    let mut table = Table::new("reading transactions", contenders.iter().map(Contender::name));
    let speed = |isolation: Isolation| figures.iter().map(move |figures| &figures.mb_per_s[isolation as usize]);
    table.medians("read_uncommitted", "MB/s", speed(Isolation::ReadUncommitted));
    table.medians("read_committed", "MB/s", speed(Isolation::ReadCommitted));
    let ratio = |figures: &Figures| {
        let [uncommitted, committed] = &figures.mb_per_s;
        let ratios = committed.percent_of(uncommitted);
        let (low, high) = ratios.median_interval();
        format!("{:.1} % ({low:.1} to {high:.1})", ratios.median())
    };
    let name = format!("read_committed / read_uncommitted, median of {pairs} pairs (95 % interval)");
    table.row(&name, figures.iter().map(ratio));
    let cpu = |figures: &Figures| {
        let of = |isolation| significant(figures.cpu_s_per_gb(isolation));
        format!("{} / {} s", of(Isolation::ReadUncommitted), of(Isolation::ReadCommitted))
    };
    table.row("broker CPU per GB, read_uncommitted / read_committed", figures.iter().map(cpu));
    table
}
