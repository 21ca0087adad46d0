//! kill -9, two hundred times: under idempotent producers of every codec with five batches in flight,
//! and a group member that commits as it reads. Nothing acknowledged is lost, doubled or reordered,
//! offsets are contiguous, committed offsets never go back, and the group goes on where it was.
//!
//! `OTTLA_SEED` repeats a run's decisions (not the scheduler's), `OTTLA_ROUNDS` says how many kills.

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
use super::{PARTITIONS, TOPIC, World, end_offset};

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
const ROUNDS: u64 = 200;
/// Milliseconds that a life lasts after the broker is ready.
const SHORTEST_LIFE: u64 = 1;
const LONGEST_LIFE: u64 = 200;
/// How long producers and the member may take to finish once the killing is over.
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
        tokio::time::sleep(Duration::from_millis(random.within(SHORTEST_LIFE..LONGEST_LIFE))).await;
        run.crash(&mut random).await;
        run.check().await;
    }
    run.finish().await;
}

struct Run {
    broker: Broker,
    world: Arc<World>,
    producers: Vec<JoinHandle<Vec<i32>>>,
    member: JoinHandle<Summary>,
    /// Milliseconds until ready, after a kill.
    restarts: Vec<f64>,
    producer_ids: HashSet<i64>,
}

impl Run {
    async fn start(random: &mut Random) -> Run {
        let broker = Broker::start();
        let world = World::new(CODECS.len());
        world.broker_is_up(broker.bootstrap_servers());
        let client = world.connect().await;
        client.create_topic(TOPIC, PARTITIONS, &[("segment.bytes", "1048576"), ("retention.ms", "-1")]).await.unwrap();
        let mut producers = Vec::new();
        for (index, codec) in CODECS.into_iter().enumerate() {
            let producer = Producer::new(world.clone(), index, codec, random.fork()).await;
            producers.push(tokio::spawn(producer.run()));
        }
        let member = tokio::spawn(GroupMember::new(world.clone(), random.fork()).await.run());
        Run { broker, world, producers, member, restarts: Vec::new(), producer_ids: HashSet::new() }
    }

    /// Kills the broker and starts it again: now and then it is killed while it starts, too, or
    /// stopped cleanly in between, so that what a clean stop leaves behind doesn't mislead it later.
    async fn crash(&mut self, random: &mut Random) {
        self.broker.kill();
        self.world.broker_is_down();
        if random.one_in(8) {
            self.broker.kill_at_start(Duration::from_micros(random.within(0..30_000)));
        }
        self.broker.restart();
        self.restarts.push(self.broker.ready().ready_ms);
        if random.one_in(10) {
            self.broker.stop();
            self.broker.restart();
        }
        self.world.broker_is_up(self.broker.bootstrap_servers());
    }

    /// What was acknowledged so far is there, and nothing else than was sent.
    async fn check(&mut self) {
        let acknowledged = self.world.ledger.lock().take_acknowledged();
        let client = self.world.connect().await;
        for partition in 0..PARTITIONS {
            let seen = self.world.ledger.lock().seen(partition);
            read_to_end(&self.world, &client, partition, seen).await;
        }
        self.world.ledger.lock().check_stored(&acknowledged);
        let id = new_producer_id(&client).await.unwrap().producer_id;
        assert!(self.producer_ids.insert(id), "producer id {id} was given out twice");
        if self.member.is_finished() || self.producers.iter().any(JoinHandle::is_finished) {
            self.world.stop();
            self.join().await;
            panic!("a producer or the member gave up");
        }
    }

    /// Lets everybody finish, and reads all of it again after one more crash and one clean stop.
    async fn finish(mut self) {
        self.world.stop();
        let (sent, summary) = self.join().await;
        self.broker.restart();
        self.broker.stop();
        self.broker.restart();
        self.world.broker_is_up(self.broker.bootstrap_servers());
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
        let acknowledged = self.world.ledger.lock().take_acknowledged();
        let client = self.world.connect().await;
        for partition in 0..PARTITIONS {
            let end = read_to_end(&self.world, &client, partition, 0).await;
            assert_eq!(self.world.ledger.lock().seen(partition), end, "partition {partition}");
        }
        {
            let ledger = self.world.ledger.lock();
            ledger.check_stored(&acknowledged);
            ledger.check_complete(sent);
        }
        let partitions: Vec<_> = (0..PARTITIONS).collect();
        let committed = client.committed_offsets(GROUP, TOPIC, &partitions).await.unwrap();
        let committed: Vec<_> = committed.iter().map(|committed| committed.offset).collect();
        assert_eq!(committed, summary.committed);
    }

    fn report(&mut self, summary: &Summary) {
        let records = self.world.ledger.lock().acknowledged_records();
        let kills = self.restarts.len();
        assert!(records > 10 * kills, "{records} records in {kills} lives are too few to tell anything");
        self.restarts.sort_by(f64::total_cmp);
        let (median, longest) = (self.restarts[kills / 2], self.restarts[kills - 1]);
        println!(
            "{kills} kills, {records} records, {} rebalances; ready again in {median:.1} ms (median), {longest:.1} ms at most",
            summary.rebalances
        );
    }
}

/// Reads a partition from `offset` to where it ends now; returns that.
async fn read_to_end(world: &World, client: &Client, partition: i32, mut offset: i64) -> i64 {
    let end = end_offset(client, partition).await.unwrap();
    assert!(offset <= end, "partition {partition} ends at {end}, but was read to {offset}");
    while offset < end {
        let fetched = client.fetch(TOPIC, partition, offset, FETCH_BYTES, Duration::ZERO).await.unwrap();
        let next = world.ledger.lock().read(partition, offset, &fetched.records);
        assert!(next > offset, "partition {partition} gives nothing at {offset}, and ends at {end}");
        offset = next;
    }
    end
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value}")))
}
