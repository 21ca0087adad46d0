//! Kafka Streams with exactly-once: a windowed count over a repartition and a changelog topic. The application and the
//! broker are killed while input arrives; the committed counts must be those of a batch count, each exactly once.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};
use tempfile::TempDir;

use crate::harness::trials;
use crate::java::process::{Running, wait_until};
use crate::java::transactions::program;
use crate::java::{Java, java, jvm};

const PARTITIONS: i32 = 3;
const WORDS: [&str; 7] = ["one", "two", "three", "four", "five", "six", "seven"];
const KILLS: usize = 3;
/// Batches that are written between two kills, one to each partition in turn.
const BATCHES: usize = 30;
const RECORDS_PER_BATCH: usize = 20;
/// The time between two records: every window has several of each word.
const STEP_MS: i64 = 20;

/// The age of the first record: retention keeps all of them.
const AGE_MS: i64 = 60 * 60 * 1000;

struct Version {
    name: &'static str,
    libraries: Vec<String>,
    guarantee: &'static str,
    store: &'static str,
}

async fn todays_streams_count_each_word_once_across_kills() {
    let Some(java) = java() else { return };
    let libraries = vec![java.libs("today")];
    count(java, &Version { name: "today", libraries, guarantee: "exactly_once_v2", store: "rocksdb" }).await;
}

/// A producer for each task, and protocol 1.
async fn streams_2_8_count_each_word_once_across_kills() {
    let Some(java) = java() else { return };
    let libraries = ["streams-2.8.2", "2.8.2", "shared"].map(|name| java.libs(name)).into();
    count(java, &Version { name: "2.8.2", libraries, guarantee: "exactly_once", store: "memory" }).await;
}

async fn count(java: &Java, version: &Version) {
    let mut broker = Broker::with()
        .set("num.partitions", &PARTITIONS.to_string())
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.min.session.timeout.ms", "1000")
        .set("transaction.abort.timed.out.transaction.cleanup.interval.ms", "100")
        .start();
    create_topics(&broker).await;
    let state = TempDir::with_prefix("ottla-streams-").expect("a temporary directory");
    let start = |broker: &Broker| {
        let libraries: Vec<_> = version.libraries.iter().map(String::as_str).collect();
        let classes = java.classes_as(&format!("streams-{}", version.name), "streams", &libraries);
        let mut command = jvm(&format!("{classes}:{}", libraries.join(":")));
        let directory = state.path().to_str().expect("a path in UTF-8");
        command.args(["WindowedCount", broker.bootstrap_servers(), directory, version.guarantee, version.store]);
        Running::start("the application", &mut command)
    };
    let mut reader = program(java, "today", "ReadCommitted");
    let reader = Running::start("the reader", reader.args([broker.bootstrap_servers(), "counts"]));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis() as i64;
    let first_timestamp = now - AGE_MS;
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut application = start(&broker);
    for round in 0..=KILLS {
        let before = output.len();
        for batch in 0..BATCHES {
            write_batch(&broker, first_timestamp, &mut input).await;
            // One kill of the broker too, in the middle of a round.
            if round == 1 && batch == BATCHES / 2 {
                broker.kill();
                broker.restart();
            }
        }
        wait_until("output of this round", || {
            assert!(application.ended().is_none(), "the application has ended");
            output.extend(reader.take_lines());
            output.len() > before + RECORDS_PER_BATCH
        });
        if round < KILLS {
            application.kill();
            application = start(&broker);
        }
    }
    wait_until("all output", || {
        output.extend(reader.take_lines());
        output.len() >= input.len()
    });
    application.kill();
    check(&input, &output);
}

async fn create_topics(broker: &Broker) {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("words", PARTITIONS, &[]).await.unwrap();
    client.create_topic("counts", PARTITIONS, &[]).await.unwrap();
}

/// Writes the next batch, and adds its keys in `counts` to `input`: word and window.
async fn write_batch(broker: &Broker, first_timestamp: i64, input: &mut Vec<String>) {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let mut batch = BatchBuilder::new(Codec::None);
    let partition = (input.len() / RECORDS_PER_BATCH) as i32 % PARTITIONS;
    for _ in 0..RECORDS_PER_BATCH {
        let timestamp = first_timestamp + input.len() as i64 * STEP_MS;
        let word = WORDS[(input.len() * input.len() / 3) % WORDS.len()];
        batch.append(timestamp, None, Some(word.as_bytes()), &[]);
        input.push(format!("{word}@{}", timestamp / 1000 * 1000));
    }
    client.produce("words", partition, batch.build().unwrap().bytes().clone()).await.unwrap();
}

/// Every count of every word and window is there once, in order, up to the batch count.
fn check(input: &[String], output: &[String]) {
    let mut expected: HashMap<&str, u64> = HashMap::new();
    input.iter().for_each(|key| *expected.entry(key).or_default() += 1);
    let mut counted: HashMap<&str, u64> = HashMap::new();
    for line in output {
        let fields: Vec<_> = line.split('\t').collect();
        let (key, count) = (fields[3], fields[4].parse::<u64>().expect("a count"));
        let before = counted.insert(key, count).unwrap_or_default();
        assert_eq!(count, before + 1, "{key}: a count is missing or was written twice: {:?}", lines_of(output, key));
    }
    assert_eq!(counted, expected);
}

/// The lines with this key, for a failed test.
fn lines_of<'a>(output: &'a [String], key: &str) -> Vec<&'a String> {
    output.iter().filter(|line| line.split('\t').nth(3) == Some(key)).collect()
}

pub fn tests() -> Vec<Trial> {
    trials![on_tokio: todays_streams_count_each_word_once_across_kills, streams_2_8_count_each_word_once_across_kills]
}
