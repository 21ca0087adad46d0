//! Two hundred times kill -9, with an idempotent producer for every codec that has five batches in flight, and a group
//! member that commits while it reads. No acknowledged record is lost, duplicated or reordered, offsets are contiguous,
//! committed offsets never decrease, and the group continues.
//!
//! `OTTLA_SEED` repeats the random decisions of a run (not the scheduling), `OTTLA_ROUNDS` is the number of kills.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::Broker;
use ottla::client::Client;
use ottla_wire::record::Codec;
use tokio::task::JoinHandle;

use super::member::{GROUP, GroupMember, Summary};
use super::producer::{Producer, new_producer_id};
use super::random::Random;
use super::{PARTITIONS, Shared, TOPIC, end_offset};

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
const ROUNDS: u64 = 200;
/// Milliseconds from when the broker is ready until the next kill.
const SHORTEST_RUN: u64 = 1;
const LONGEST_RUN: u64 = 200;
/// The time that producers and the member have to finish after the last kill.
const TIME_TO_FINISH: Duration = Duration::from_secs(60);
const FETCH_BYTES: i32 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_records_survive_kills_once_and_in_order() {
    let seed = number("OTTLA_SEED").unwrap_or_else(|| std::process::id().into());
    let rounds = number("OTTLA_ROUNDS").unwrap_or(ROUNDS);
    println!("OTTLA_SEED={seed} repeats this run of {rounds} kills");
    let mut random = Random::new(seed);
    let mut run = Run::start(&mut random).await;
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(random.within(SHORTEST_RUN..LONGEST_RUN))).await;
        run.crash(&mut random).await;
        run.check().await;
    }
    run.finish().await;
}

struct Run {
    broker: Broker,
    shared: Arc<Shared>,
    producers: Vec<JoinHandle<Vec<i32>>>,
    member: JoinHandle<Summary>,
    /// Milliseconds from each restart until ready.
    restarts: Vec<f64>,
    producer_ids: HashSet<i64>,
}

impl Run {
    async fn start(random: &mut Random) -> Run {
        let broker = Broker::start();
        let shared = Shared::new(CODECS.len());
        shared.broker_is_up(broker.bootstrap_servers());
        let client = shared.connect().await;
        client.create_topic(TOPIC, PARTITIONS, &[("segment.bytes", "1048576"), ("retention.ms", "-1")]).await.unwrap();
        let mut producers = Vec::new();
        for (index, codec) in CODECS.into_iter().enumerate() {
            let producer = Producer::new(shared.clone(), index, codec, random.fork()).await;
            producers.push(tokio::spawn(producer.run()));
        }
        let member = tokio::spawn(GroupMember::new(shared.clone(), random.fork()).await.run());
        Run { broker, shared, producers, member, restarts: Vec::new(), producer_ids: HashSet::new() }
    }

    /// Kills the broker and starts it again. Sometimes it is also killed during the start, or stopped cleanly in
    /// between, so that files of a clean stop are there at the next crash.
    async fn crash(&mut self, random: &mut Random) {
        self.broker.kill();
        self.shared.broker_is_down();
        if random.one_in(8) {
            self.broker.kill_at_start(Duration::from_micros(random.within(0..30_000)));
        }
        self.broker.restart();
        self.restarts.push(self.broker.ready().ready_ms);
        if random.one_in(10) {
            self.broker.stop();
            self.broker.restart();
        }
        self.shared.broker_is_up(self.broker.bootstrap_servers());
    }

    /// Checks that the log contains all acknowledged records and only records that were sent.
    async fn check(&mut self) {
        let acknowledged = self.shared.ledger.lock().take_acknowledged();
        let client = self.shared.connect().await;
        for partition in 0..PARTITIONS {
            let seen = self.shared.ledger.lock().seen(partition);
            read_to_end(&self.shared, &client, partition, seen).await;
        }
        self.shared.ledger.lock().check_stored(&acknowledged);
        let id = new_producer_id(&client).await.unwrap().producer_id;
        assert!(self.producer_ids.insert(id), "producer id {id} was assigned twice");
        if self.member.is_finished() || self.producers.iter().any(JoinHandle::is_finished) {
            self.shared.stop();
            self.join().await;
            panic!("a producer or the member ended early");
        }
    }

    /// Waits until all have finished, and reads everything again after one more crash and one clean stop.
    async fn finish(mut self) {
        self.shared.stop();
        let (sent, summary) = self.join().await;
        self.broker.restart();
        self.broker.stop();
        self.broker.restart();
        self.shared.broker_is_up(self.broker.bootstrap_servers());
        self.check_all(&sent, &summary).await;
        self.report(&summary);
    }

    async fn join(&mut self) -> (Vec<Vec<i32>>, Summary) {
        let all = async {
            let mut sent = Vec::new();
            for producer in self.producers.drain(..) {
                sent.push(producer.await.unwrap());
            }
            (sent, (&mut self.member).await.unwrap())
        };
        tokio::time::timeout(TIME_TO_FINISH, all).await.expect("all finish in time")
    }

    async fn check_all(&self, sent: &[Vec<i32>], summary: &Summary) {
        let acknowledged = self.shared.ledger.lock().take_acknowledged();
        let client = self.shared.connect().await;
        for partition in 0..PARTITIONS {
            let end = read_to_end(&self.shared, &client, partition, 0).await;
            assert_eq!(self.shared.ledger.lock().seen(partition), end, "partition {partition}");
        }
        {
            let ledger = self.shared.ledger.lock();
            ledger.check_stored(&acknowledged);
            ledger.check_complete(sent);
        }
        let partitions: Vec<_> = (0..PARTITIONS).collect();
        let committed = client.committed_offsets(GROUP, TOPIC, &partitions).await.unwrap();
        let committed: Vec<_> = committed.iter().map(|committed| committed.offset).collect();
        assert_eq!(committed, summary.committed);
    }

    fn report(&mut self, summary: &Summary) {
        let records = self.shared.ledger.lock().acknowledged_records();
        let kills = self.restarts.len();
        assert!(records > 10 * kills, "{records} records in {kills} kills are too few");
        self.restarts.sort_by(f64::total_cmp);
        let (median, longest) = (self.restarts[kills / 2], self.restarts[kills - 1]);
        println!(
            "{kills} kills, {records} records, {} rebalances; ready again in {median:.1} ms (median), {longest:.1} ms at most",
            summary.rebalances
        );
    }
}

/// Reads a partition from `offset` to its current end offset, and returns the end offset.
async fn read_to_end(shared: &Shared, client: &Client, partition: i32, mut offset: i64) -> i64 {
    let end = end_offset(client, partition).await.unwrap();
    assert!(offset <= end, "partition {partition} ends at {end}, but was read to {offset}");
    while offset < end {
        let fetched = client.fetch(TOPIC, partition, offset, FETCH_BYTES, Duration::ZERO).await.unwrap();
        let next = shared.ledger.lock().read(partition, offset, &fetched.records);
        assert!(next > offset, "partition {partition} returns nothing at {offset}, and ends at {end}");
        offset = next;
    }
    end
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value}")))
}
