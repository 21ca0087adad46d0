//! Transactions that one broker leaves open, prepared or complete in a directory, and that the other one carries on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ottla::client::Client;
use ottla_wire::types::{ErrorCode, Offset};
use tempfile::TempDir;

use super::apache::ApacheKafka;
use crate::harness::trials;
use crate::java::java;
use common::Broker;
use common::transactions::{TransactionalProducer, TxnProtocol, state_of};
use libtest_mimic::Trial;

/// Far longer than any wait takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);
const END: i64 = -1;
const TOPIC: &str = "t";
const PARTITIONS: i32 = 6;
const PROTOCOLS: [TxnProtocol; 2] = [TxnProtocol::V1, TxnProtocol::V2];
/// The timeout of transactions that must be aborted by it.
const SHORT_MS: i32 = 1_000;
const LONG_MS: i32 = 600_000;
/// How often Apache Kafka is killed until it leaves a prepared transaction.
const ATTEMPTS: usize = 6;
/// Producers that end their transactions when Apache Kafka is killed.
const ENDING: usize = 12;
const OFTEN: (&str, &str) = ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "200");

/// What `transactionStatus` is in a record.
const PREPARE_COMMIT: i64 = 2;
const PREPARE_ABORT: i64 = 3;

/// Waits until each id has the expected state.
async fn wait_for_states(client: &Client, expected: &BTreeMap<String, &str>) {
    let started = Instant::now();
    for (id, expect) in expected {
        loop {
            let state = state_of(client, id).await;
            if state.as_deref() == Ok(*expect) {
                break;
            }
            assert!(started.elapsed() < TIMEOUT, "{id}: {state:?}, expected {expect}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits until no transaction is open in any partition.
async fn wait_until_stable(client: &Client) {
    let started = Instant::now();
    for partition in 0..PARTITIONS {
        loop {
            let [stable, end] = [end(client, partition, 1).await, end(client, partition, 0).await];
            if stable == end {
                break;
            }
            assert!(started.elapsed() < TIMEOUT, "partition {partition} is stable to {stable}, and ends at {end}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn end(client: &Client, partition: i32, isolation_level: i8) -> Offset {
    let listed = client.list_offsets_at(&[(TOPIC, partition, END)], isolation_level).await.expect("an answer");
    listed[0].as_ref().expect("an offset").offset
}

/// The committed values, with the number of partitions that have each.
fn committed(servers: &str) -> BTreeMap<String, usize> {
    let line = ["kafka-console-consumer", "--bootstrap-server", servers, "--topic", TOPIC, "--from-beginning"];
    let until_idle = ["--isolation-level", "read_committed", "--timeout-ms", "3000"];
    let output = common::run(&[&line[..], &until_idle].concat());
    let mut values = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        *values.entry(line.to_owned()).or_default() += 1;
    }
    values
}

/// Writes the id as a value to all partitions, in an open transaction.
async fn open<'a>(client: &'a Client, id: &str, protocol: TxnProtocol, timeout_ms: i32) -> TransactionalProducer<'a> {
    let mut producer = TransactionalProducer::start(client, id, protocol, timeout_ms).await;
    for partition in 0..PARTITIONS {
        assert_eq!(producer.write(TOPIC, partition, id).await, ErrorCode::None, "{id}");
    }
    producer
}

/// Complete transactions, and one open for at most `timeout_ms`, of each protocol. Returns the final states.
async fn complete_and_open(client: &Client, timeout_ms: i32) -> BTreeMap<String, &'static str> {
    let mut expected = BTreeMap::new();
    client.create_topic(TOPIC, PARTITIONS, &[]).await.expect("a topic");
    for protocol in PROTOCOLS {
        for (name, commit, state) in [("committed", true, "CompleteCommit"), ("aborted", false, "CompleteAbort")] {
            let id = format!("{name}-{protocol:?}");
            let mut producer = open(client, &id, protocol, LONG_MS).await;
            assert_eq!(producer.end(commit).await, ErrorCode::None);
            let complete = BTreeMap::from([(id, state)]);
            wait_for_states(client, &complete).await;
            expected.extend(complete);
        }
        let id = format!("open-{protocol:?}");
        open(client, &id, protocol, timeout_ms).await;
        expected.insert(id, "CompleteAbort");
    }
    expected
}

/// The batches of a segment: position, whether it is a control batch, and the text of its records.
fn batches(segment: &Path) -> Vec<(u64, bool, String)> {
    let name = segment.to_str().expect("a path in UTF-8");
    let decoder = if name.contains("__transaction_state") { "--transaction-log-decoder" } else { "--print-data-log" };
    let output = common::run(&["dump-log", name, decoder]);
    let mut batches = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some((_, rest)) = line.split_once(" position: ") {
            let position = rest.split(' ').next().and_then(|number| number.parse().ok()).expect("a position");
            batches.push((position, line.contains(" isControl: true "), String::new()));
        } else if let Some((_, _, records)) = batches.last_mut().filter(|_| line.starts_with('|')) {
            records.push_str(line);
        }
    }
    batches
}

/// The segments of the topic's partitions.
fn segments(data: &Path, topic: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).expect("a directory").map(|entry| entry.expect("an entry").path());
    let of_topic = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        name.rsplit_once('-').is_some_and(|(name, number)| name == topic && number.parse::<i32>().is_ok())
    };
    entries.filter(of_topic).map(|partition| partition.join("00000000000000000000.log")).collect()
}

/// The last status of each transactional id in a directory.
fn statuses(data: &Path) -> BTreeMap<String, i64> {
    let mut statuses = BTreeMap::new();
    for segment in segments(data, "__transaction_state") {
        for (_, _, records) in batches(&segment) {
            let field = |name: &str| records.split_once(name).map(|(_, rest)| rest);
            let id = field("\"transactionalId\":\"").and_then(|rest| rest.split('"').next());
            let status = field("\"transactionStatus\":").and_then(|rest| rest.split(',').next()?.parse().ok());
            if let (Some(id), Some(status)) = (id, status) {
                statuses.insert(id.to_owned(), status);
            }
        }
    }
    statuses
}

/// Apache Kafka is killed while many transactions end, until it leaves one prepared.
async fn ottla_carries_on_the_transactions_of_apache_kafka() {
    let Some(java) = java() else { return };
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("data");
    let mut kafka = ApacheKafka::start(java, &data, "").await;
    let client = Client::connect(kafka.address()).await.unwrap();
    let mut expected = complete_and_open(&client, SHORT_MS).await;
    let mut prepared = Vec::new();
    for attempt in 0..ATTEMPTS {
        let client = Client::connect(kafka.address()).await.unwrap();
        let mut ending = Vec::new();
        for number in 0..ENDING {
            let (protocol, commit) = (PROTOCOLS[number % 2], number % 4 < 2);
            let id = format!("ending-{attempt}-{number}-{commit}");
            ending.push((open(&client, &id, protocol, LONG_MS).await, commit));
        }
        let mut sent = Vec::new();
        for (producer, commit) in &ending {
            sent.push(producer.submit_end(*commit).await);
        }
        // The first answer comes after its prepare record.
        sent.remove(0).answer().await.unwrap();
        kafka.kill();
        let left = statuses(&data).into_iter();
        prepared = left.filter(|(_, status)| [PREPARE_COMMIT, PREPARE_ABORT].contains(status)).collect();
        if !prepared.is_empty() {
            break;
        }
        kafka = ApacheKafka::start(java, &data, "").await;
    }
    assert!(!prepared.is_empty(), "Apache Kafka left no prepared transaction");
    for (id, status) in &prepared {
        expected.insert(id.clone(), if *status == PREPARE_COMMIT { "CompleteCommit" } else { "CompleteAbort" });
    }

    let broker = Broker::with().data_dir(&data).set(OFTEN.0, OFTEN.1).start();
    carries_on(broker.bootstrap_servers(), &expected).await;
}

/// Asserts that a broker ends all transactions as expected, and that their producers can go on.
async fn carries_on(servers: &str, expected: &BTreeMap<String, &str>) {
    let client = Client::connect(servers).await.unwrap();
    wait_for_states(&client, expected).await;
    // Transactions whose end was never requested are still open: their producers come back.
    let listed = common::run(&["transactions", "list", "--json", "-b", servers]).stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    for listed in listed.as_array().unwrap().iter().filter(|listed| listed["state"] == "Ongoing") {
        let id = listed["transactional_id"].as_str().unwrap();
        TransactionalProducer::start(&client, id, TxnProtocol::V1, LONG_MS).await;
    }
    wait_until_stable(&client).await;
    let values = committed(servers);
    assert!(values.values().all(|count| *count == PARTITIONS as usize), "{values:?}");
    for (id, state) in expected {
        assert_eq!(values.contains_key(id), *state == "CompleteCommit", "{id}: {state}\n{values:?}");
    }
    for protocol in PROTOCOLS {
        for id in ["committed", "aborted", "open"] {
            let mut producer =
                TransactionalProducer::start(&client, &format!("{id}-{protocol:?}"), protocol, LONG_MS).await;
            for partition in 0..PARTITIONS {
                assert_eq!(producer.write(TOPIC, partition, "after").await, ErrorCode::None);
            }
            assert_eq!(producer.end(true).await, ErrorCode::None);
        }
    }
    wait_until_stable(&client).await;
    assert_eq!(committed(servers).get("after"), Some(&(6 * PARTITIONS as usize)));
}

/// Apache Kafka 4.3.1 may complete a prepared transaction without markers: at its start the partitions have no leader for
/// a moment, and it skips partitions without a leader as if they were deleted.
fn abort_hanging(servers: &str) {
    let run = |line: &str| {
        let line = format!("transactions {line} -b {servers}");
        let output = common::run(&line.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let found: serde_json::Value = serde_json::from_slice(&run("find-hanging --longer-than 0 --json")).unwrap();
    for found in found.as_array().unwrap() {
        let (partition, start) = (&found["partition"], &found["start_offset"]);
        run(&format!("abort --topic {TOPIC} --partition {partition} --start-offset {start}"));
    }
}

/// Removes the last batch of a segment, as a crash before it does.
fn remove_last_batch(segment: &Path, is_last: impl Fn(bool, &str) -> bool) {
    let (position, is_control, records) = batches(segment).pop().expect("a batch");
    assert!(is_last(is_control, &records), "{}: {records}", segment.display());
    fs::File::options().write(true).open(segment).unwrap().set_len(position).unwrap();
}

/// Ottla writes the markers at once. What a crash before them leaves is made by removing them, and the Complete record.
async fn apache_kafka_carries_on_the_transactions_of_ottla() {
    let Some(java) = java() else { return };
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("data");
    let settings = Broker::with().data_dir(&data).set("transaction.state.log.num.partitions", "2");
    let mut broker = settings.set("offsets.topic.num.partitions", "3").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let mut expected = complete_and_open(&client, LONG_MS).await;
    let prepared = [("commit-a", true, TxnProtocol::V1), ("abort-b", false, TxnProtocol::V2)];
    for (id, commit, protocol) in prepared {
        let mut producer = open(&client, id, protocol, LONG_MS).await;
        assert_eq!(producer.end(commit).await, ErrorCode::None);
        expected.insert(id.to_owned(), if commit { "CompleteCommit" } else { "CompleteAbort" });
    }
    broker.kill();
    let is_marker = |is_control: bool, _: &str| is_control;
    for segment in segments(&data, TOPIC) {
        // The marker of the last transaction.
        remove_last_batch(&segment, is_marker);
    }
    let last = prepared[1].0;
    let coordinator = segments(&data, "__transaction_state").into_iter();
    let with_last =
        coordinator.filter(|segment| batches(segment).last().is_some_and(|(_, _, text)| text.contains(last)));
    for segment in with_last {
        remove_last_batch(&segment, |_, text| text.contains("\"transactionStatus\":5"));
    }
    assert_eq!(statuses(&data).get(last), Some(&PREPARE_ABORT));

    // Their producers come back.
    expected.retain(|id, _| !id.starts_with("open-"));
    let kafka = ApacheKafka::start(java, &data, "").await;
    wait_for_states(&Client::connect(kafka.address()).await.unwrap(), &expected).await;
    abort_hanging(kafka.address());
    carries_on(kafka.address(), &expected).await;
    kafka.stop();
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: ottla_carries_on_the_transactions_of_apache_kafka, apache_kafka_carries_on_the_transactions_of_ottla
    ]
}
