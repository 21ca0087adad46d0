//! Compaction as clients see it, and its interruption by restarts, kill -9, deletions and changed settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use common::{Broker, Options};
use ottla::client::{Client, ClientError};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::record::{BatchBuilder, Codec, batches};
use ottla_wire::types::{ErrorCode, Offset, TimestampMs};

const TOPIC: &str = "compacted";
/// The time between two batches, more than `segment.ms`, so that each begins a segment.
const STEP_MS: i64 = 1000;
/// The limit for a compaction on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);
const COMPACTED: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "500"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("retention.ms", "-1"),
];

fn broker() -> Options {
    Broker::with().set("log.cleaner.backoff.ms", "50").set("log.initial.task.delay.ms", "100")
}

fn now() -> TimestampMs {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as TimestampMs
}

/// The committed offsets of the topic, when the group's coordinator is loaded.
async fn committed_when_loaded(client: &Client, group: &str, partitions: &[i32]) -> Vec<Offset> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match client.committed_offsets(group, TOPIC, partitions).await {
            Ok(found) => return found.into_iter().map(|committed| committed.offset).collect(),
            Err(ClientError::Refused { code, .. }) if code == ErrorCode::CoordinatorLoadInProgress.code() => {}
            Err(error) => panic!("{error}"),
        }
        assert!(Instant::now() < deadline, "the coordinator is not loaded");
    }
}

async fn connect(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

/// Produces to the topic, and keeps what the topic must contain after compaction.
struct TestTopic {
    begun: TimestampMs,
    /// The number of batches produced.
    count: i64,
    /// The newest value and its offset, by key; `None` for a tombstone.
    newest: BTreeMap<String, Option<(String, Offset)>>,
}

impl TestTopic {
    fn new() -> TestTopic {
        // The timestamps are within the last three hours.
        TestTopic { begun: now() - 3 * 3_600_000, count: 0, newest: BTreeMap::new() }
    }

    /// Produces a value or a tombstone in a batch and segment of its own.
    async fn put(&mut self, client: &Client, key: &str, value: Option<&str>) {
        self.put_all(client, &[(key, value)]).await;
    }

    async fn put_all(&mut self, client: &Client, records: &[(&str, Option<&str>)]) {
        let timestamp = self.begun + self.count * STEP_MS;
        self.count += 1;
        let mut batch = BatchBuilder::new(Codec::Lz4);
        for (key, value) in records {
            batch.append(timestamp, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
        }
        let batch = batch.build().unwrap().bytes().clone();
        let stored = client.produce(TOPIC, 0, batch).await.unwrap();
        for (offset, (key, value)) in (stored.base_offset..).zip(records) {
            self.newest.insert((*key).to_owned(), value.map(|value| (value.to_owned(), offset)));
        }
    }

    /// Begins a new segment with a record of an unused key, so that all segments before it can be compacted.
    async fn seal(&mut self, client: &Client) {
        self.put(client, "last", Some("of the active segment")).await;
    }

    /// Checks that the newest value of every key is in the topic at its offset.
    #[track_caller]
    fn check(&self, records: &[Found]) {
        let mut found: BTreeMap<&str, Option<(String, Offset)>> = BTreeMap::new();
        for record in records {
            found.insert(&record.key, record.value.clone().map(|value| (value, record.offset)));
        }
        let values = |of: Vec<(String, Option<(String, Offset)>)>| {
            of.into_iter().filter_map(|(key, value)| Some((key, value?))).collect::<Vec<_>>()
        };
        let found = values(found.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
        assert_eq!(found, values(self.newest.clone().into_iter().collect()));
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Found {
    offset: Offset,
    timestamp: TimestampMs,
    key: String,
    value: Option<String>,
}

/// Reads the whole topic.
async fn consume(client: &Client) -> Vec<Found> {
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found: Vec<Found> = Vec::new();
    let mut at = client.list_offset(TOPIC, 0, -2).await.unwrap().offset;
    loop {
        let fetched = match client.fetch(TOPIC, 0, at, 1 << 20, Duration::ZERO).await {
            Err(error) if error.code() == Some(ErrorCode::OffsetOutOfRange) => {
                // Retention has moved the log start meanwhile.
                found.clear();
                at = client.list_offset(TOPIC, 0, -2).await.unwrap().offset;
                continue;
            }
            fetched => fetched.unwrap(),
        };
        for batch in batches(&fetched.records).filter_map(Result::ok) {
            let records = batch.records().map(Result::unwrap).filter(|record| record.offset >= at);
            found.extend(records.map(|record| Found {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map_or(String::new(), text),
                value: record.value.map(text),
            }));
            at = batch.header().next_offset();
        }
        if at >= fetched.high_watermark {
            return found;
        }
    }
}

/// Reads the whole topic until `wanted` holds.
async fn consume_until(client: &Client, what: &str, wanted: impl Fn(&[Found]) -> bool) -> Vec<Found> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let found = consume(client).await;
        if wanted(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {what}: {} records, {:?}", found.len(), found.last());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn offsets(found: &[Found]) -> Vec<Offset> {
    found.iter().map(|record| record.offset).collect()
}

/// Whether every key occurs once in the records before the last one, which is alone in the active segment.
fn is_compacted(found: &[Found]) -> bool {
    let sealed = found.split_last().map_or(found, |(_, sealed)| sealed);
    let keys: BTreeSet<_> = sealed.iter().map(|record| &record.key).collect();
    keys.len() == sealed.len()
}

fn folder(broker: &Broker) -> PathBuf {
    broker.data_dir().join(format!("{TOPIC}-0"))
}

/// Names of files in the partition's folder with this ending.
fn files(broker: &Broker, ending: &str) -> Vec<String> {
    let names = fs::read_dir(folder(broker)).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(ending)).collect()
}

async fn alter(client: &Client, resource_type: i8, resource: &str, name: &str, value: &str) {
    let config = AlterableConfig { name: name.into(), config_operation: 0, value: Some(value.into()) };
    let resource = AlterConfigsResource { resource_type, resource_name: resource.into(), configs: vec![config] };
    let answer =
        client.call(IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }).await.unwrap();
    assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_keeps_the_newest_record_of_each_key_at_its_offset() {
    let mut broker = broker().start();
    let client = connect(&broker).await;
    client.create_topic(TOPIC, 1, &COMPACTED).await.unwrap();
    let mut topic = TestTopic::new();
    for number in 0..200 {
        topic.put(&client, &format!("key {}", number % 10), Some(&number.to_string())).await;
    }
    topic.seal(&client).await;
    let found = consume_until(&client, "compaction", is_compacted).await;
    topic.check(&found);
    assert_eq!(offsets(&found), (190..=200).collect::<Vec<_>>());
    assert!(found.iter().all(|record| record.timestamp == topic.begun + record.offset * STEP_MS), "{found:?}");
    let listed = async |at: TimestampMs| client.list_offset(TOPIC, 0, at).await.unwrap().offset;
    assert_eq!((listed(-2).await, listed(-1).await), (0, 201), "the log still begins and ends where it did");
    assert_eq!(listed(topic.begun + 5 * STEP_MS).await, 190, "the first remaining record");
    assert_eq!(listed(topic.begun + 195 * STEP_MS).await, 195);
    broker.wait_for_log("records are left");
    for kill in [false, true] {
        if kill {
            broker.kill()
        } else {
            broker.stop()
        }
        broker.restart();
        assert_eq!(consume(&connect(&broker).await).await, found, "killed: {kill}");
    }
    let checkpoint = fs::read_to_string(broker.data_dir().join("cleaner-offset-checkpoint")).unwrap();
    assert!(checkpoint.contains(&format!("{TOPIC} 0 200")), "{checkpoint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_are_removed_after_delete_retention() {
    let broker = broker().start();
    let client = connect(&broker).await;
    client.create_topic(TOPIC, 1, &[&COMPACTED[..], &[("delete.retention.ms", "100")]].concat()).await.unwrap();
    let mut topic = TestTopic::new();
    for number in 0..20 {
        topic.put(&client, &format!("key {}", number % 5), Some("value")).await;
    }
    for number in 0..5 {
        topic.put(&client, &format!("key {number}"), None).await;
    }
    topic.seal(&client).await;
    let is_tombstone = |record: &Found| record.value.is_none();
    let found = consume_until(&client, "compaction", |found| found.len() <= 6).await;
    topic.check(&found);
    // A later compaction removes them, and it only runs if the log is dirty.
    let deadline = Instant::now() + TIMEOUT;
    while consume(&client).await.iter().any(is_tombstone) {
        assert!(Instant::now() < deadline, "tombstones stay");
        topic.seal(&client).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    topic.check(&consume(&client).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_interrupted_by_a_kill_loses_nothing() {
    let mut broker = broker().start();
    let mut client = connect(&broker).await;
    client.create_topic(TOPIC, 1, &COMPACTED).await.unwrap();
    let mut topic = TestTopic::new();
    for round in 0..8 {
        for number in 0..40 {
            let value = format!("{round}.{number} {}", "x".repeat(2000));
            topic.put(&client, &format!("key {}", number * 7 % 25), Some(&value)).await;
        }
        topic.seal(&client).await;
        // Kills during the compaction in most rounds, a little later in each.
        let deadline = Instant::now() + Duration::from_secs(2);
        while files(&broker, ".cleaned").is_empty() && files(&broker, ".swap").is_empty() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        tokio::time::sleep(Duration::from_millis(round)).await;
        broker.kill();
        broker.restart();
        client = connect(&broker).await;
        topic.check(&consume(&client).await);
    }
    let found = consume_until(&client, "compaction", is_compacted).await;
    topic.check(&found);
    let left_over = [files(&broker, ".cleaned"), files(&broker, ".swap")].concat();
    assert!(left_over.is_empty(), "{left_over:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_compaction_stops_when_its_topic_is_deleted_or_the_broker_stops() {
    let mut broker = broker()
        .set("log.cleaner.io.max.bytes.per.second", "1000")
        .env("RUST_LOG", "info,ottla::broker::cleaner=debug")
        .start();
    let client = connect(&broker).await;
    let mut topic = TestTopic::new();
    for round in 0..2 {
        client.create_topic(TOPIC, 1, &COMPACTED).await.unwrap();
        for number in 0..50 {
            topic.put(&client, &format!("key {}", number % 10), Some(&"x".repeat(1000))).await;
        }
        topic.seal(&client).await;
        if round == 0 {
            broker.wait_for_log("compaction started");
            client.delete_topic(TOPIC).await.unwrap();
        }
    }
    let found = consume(&client).await;
    assert_eq!(found.len(), 51, "with 1 kB a second, compaction is far from done");
    let begun = Instant::now();
    broker.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "stopped in {:?}", begun.elapsed());
    broker.restart();
    let client = connect(&broker).await;
    assert_eq!(consume(&client).await, found);
    alter(&client, 4, "", "log.cleaner.io.max.bytes.per.second", "1e9").await;
    consume_until(&client, "compaction at another speed", is_compacted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_below_the_dirty_ratio_is_compacted_after_max_compaction_lag() {
    let broker = broker().start();
    let client = connect(&broker).await;
    let settings = [&COMPACTED[..2], &[("min.cleanable.dirty.ratio", "1.0"), ("retention.ms", "-1")]].concat();
    client.create_topic(TOPIC, 1, &settings).await.unwrap();
    let mut topic = TestTopic::new();
    for number in 0..20 {
        topic.put(&client, &format!("key {}", number % 5), Some("value")).await;
    }
    topic.seal(&client).await;
    assert_eq!(consume(&client).await.len(), 21, "no log exceeds a dirty ratio of 1");
    alter(&client, 2, TOPIC, "max.compaction.lag.ms", "60000").await;
    let found = consume_until(&client, "compaction", is_compacted).await;
    topic.check(&found);
}

#[tokio::test(flavor = "multi_thread")]
async fn compact_and_delete_policy_removes_old_segments() {
    let broker = broker().start();
    let client = connect(&broker).await;
    // With this dirty ratio nothing is compacted: compaction would put old and new records into one segment.
    let settings = [&COMPACTED[..2], &[("min.cleanable.dirty.ratio", "1.0"), ("retention.ms", "-1")]].concat();
    client.create_topic(TOPIC, 1, &settings).await.unwrap();
    let mut topic = TestTopic::new();
    for number in 0..20 {
        topic.put(&client, &format!("key {number}"), Some("value")).await;
    }
    topic.begun = now() - 30 * STEP_MS;
    topic.put_all(&client, &[("new", Some("value")), ("newer", Some("value"))]).await;
    topic.seal(&client).await;
    assert_eq!(consume(&client).await.len(), 23);
    alter(&client, 2, TOPIC, "retention.ms", "3600000").await;
    alter(&client, 2, TOPIC, "cleanup.policy", "compact,delete").await;
    let found = consume_until(&client, "retention", |found| found.len() == 3).await;
    assert_eq!(offsets(&found), [20, 21, 22]);
    assert_eq!(client.list_offset(TOPIC, 0, -2).await.unwrap().offset, 20, "the log begins later");
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_offsets_survive_compaction_and_restarts() {
    const PARTITIONS: i32 = 200;
    let mut broker = broker()
        .set("offsets.topic.num.partitions", "1")
        .set("offsets.topic.segment.bytes", "1048576")
        .set("log.cleaner.min.cleanable.ratio", "0.01")
        .start();
    let client = connect(&broker).await;
    client.create_topic(TOPIC, PARTITIONS, &[]).await.unwrap();
    let all: Vec<i32> = (0..PARTITIONS).collect();
    let commit = async |client: &Client, group: &str, offset: Offset| {
        let offsets: Vec<_> = all.iter().map(|partition| (*partition, offset + i64::from(*partition))).collect();
        let deadline = Instant::now() + TIMEOUT;
        while let Err(error) = client.commit_offsets(group, None, TOPIC, &offsets).await {
            assert!(Instant::now() < deadline, "{error}");
        }
    };
    commit(&client, "early", 7).await;
    for round in 0..300 {
        commit(&client, "late", round).await;
    }
    let deadline = Instant::now() + TIMEOUT;
    let checkpoint = broker.data_dir().join("cleaner-offset-checkpoint");
    while !fs::read_to_string(&checkpoint).unwrap_or_default().contains("__consumer_offsets 0 ") {
        assert!(Instant::now() < deadline, "__consumer_offsets is not compacted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let first = broker.data_dir().join("__consumer_offsets-0/00000000000000000000.log");
    assert!(fs::metadata(first).unwrap().len() < 1 << 19, "superseded commits are removed from the first segment");
    for run in 0..3 {
        let client = connect(&broker).await;
        for (group, offset) in [("early", 7), ("late", 299)] {
            let found = committed_when_loaded(&client, group, &all).await;
            let expect: Vec<Offset> = all.iter().map(|partition| offset + i64::from(*partition)).collect();
            assert_eq!(found, expect, "{group}, run {run}");
        }
        if run == 0 {
            broker.stop()
        } else {
            broker.kill()
        }
        broker.restart();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_that_cannot_be_compacted_is_unchanged_and_logged_once() {
    let mut broker = broker().set("log.cleaner.enable", "false").start();
    let client = connect(&broker).await;
    client.create_topic(TOPIC, 1, &COMPACTED).await.unwrap();
    let mut topic = TestTopic::new();
    for number in 0..20 {
        topic.put(&client, &format!("key {}", number % 5), Some(&"value".repeat(20))).await;
    }
    topic.seal(&client).await;
    assert_eq!(consume(&client).await.len(), 21, "the cleaner is off");
    broker.stop();
    let segment = folder(&broker).join("00000000000000000003.log");
    let mut bytes = fs::read(&segment).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let broker = self::broker().data_dir(broker.data_dir()).start();
    broker.wait_for_log("stopped compacting the log");
    let client = connect(&broker).await;
    topic.seal(&client).await;
    let newest = client.fetch(TOPIC, 0, 21, 1 << 20, Duration::ZERO).await.unwrap();
    assert_eq!(batches(&newest.records).count(), 1, "the partition still accepts and returns records");
    assert_eq!(broker.log().matches("stopped compacting the log").count(), 1, "logged once");
}
