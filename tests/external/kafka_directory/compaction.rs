//! The same log compacted by Apache Kafka and by Ottla: both retain the same records, and each reads the other's files.

use std::path::Path;
use std::time::Duration;

use ottla::client::Client;
use ottla_wire::record::{BatchHeader, batches};
use tempfile::TempDir;

use super::answers::query_all;
use super::apache::{ApacheKafka, BUSY, QUIET, UNCLEANED, copy};
use super::{COMPACTED, additions, checkpointed, is_compacted, quiet};
use crate::harness::trials;
use crate::java::dump_log::{dump, dump_compacted, files};
use crate::java::java;
use common::{Broker, wait_until};
use libtest_mimic::Trial;

/// The topic of groups; the settings of Apache Kafka give it this number of partitions.
const OFFSETS: &str = "__consumer_offsets";
const OFFSETS_PARTITIONS: i32 = 3;
/// More bytes than a compacted log has.
const WHOLE: i32 = 64 << 20;

async fn both_brokers_compact_to_the_same_records() {
    let Some(java) = java() else { return };
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("theirs");
    let kafka = ApacheKafka::start(java, &data, UNCLEANED).await;
    java.run("FillDirectory", &[kafka.address(), "1"]);
    kafka.stop();
    let our_data = copy(&data, &dir.path().join("ours"));

    let theirs = ApacheKafka::start(java, &data, BUSY).await;
    wait_until("Apache Kafka to compact", || is_compacted(&data));
    let expected = retained_records(theirs.address()).await;
    theirs.stop();
    let mut ours = busy(&our_data);
    wait_until("our compaction", || is_compacted(&our_data));
    let found = retained_records(ours.bootstrap_servers()).await;
    compact_groups(ours.bootstrap_servers(), &our_data).await;
    ours.stop();
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(found, expected, "left: ours, right: Apache Kafka's");
    }
    assert_eq!(found.len(), expected.len());

    for topic in COMPACTED {
        dump_compacted(java, &["--deep-iteration"], &files(&our_data, topic, &["log"]));
        dump_compacted(java, &["--verify-index-only"], &files(&our_data, topic, &["index", "timeindex"]));
        dump(java, &["--index-sanity-check"], &files(&our_data, topic, &["index", "timeindex"]));
        dump(java, &[], &files(&our_data, topic, &["snapshot"]));
    }
    let mut ours = quiet(&our_data);
    let responses = query_all(ours.bootstrap_servers()).await;
    ours.stop();
    let theirs = ApacheKafka::start(java, &our_data, QUIET).await;
    query_all(theirs.address()).await.must_equal(&responses, "Apache Kafka's and ours before", None);
    let client = Client::connect(theirs.address()).await.unwrap();
    let modern = client.list_groups(&[], &["consumer"]).await.unwrap();
    assert_eq!(modern.iter().map(|group| group.id.as_str()).collect::<Vec<_>>(), ["by-consumer"]);
    theirs.stop();
}

/// Makes Ottla compact the group records of Apache Kafka, some of which are of types that Ottla does not support.
async fn compact_groups(address: &str, data: &Path) {
    let client = Client::connect(address).await.expect("the broker answers");
    for (name, value) in [("segment.ms", "1"), ("min.cleanable.dirty.ratio", "0.001")] {
        additions::set(&client, OFFSETS, name, value).await;
    }
    // The first commit in each partition begins a new segment, after which the previous one may be compacted.
    for number in 0..10 {
        client.commit_offsets(&format!("of-ours-{number}"), None, "codecs", &[(0, number)]).await.expect("commits");
    }
    for partition in 0..OFFSETS_PARTITIONS {
        wait_until("our compaction of groups", || {
            checkpointed(data, "cleaner-offset-checkpoint", OFFSETS, partition) > Some(0)
        });
    }
}

/// Starts a broker of Ottla that looks for logs to compact all the time.
fn busy(data: &Path) -> Broker {
    let broker = Broker::with().data_dir(data).set("log.cleaner.backoff.ms", "100");
    let broker = broker.set("log.initial.task.delay.ms", "0");
    broker.set("log.flush.offset.checkpoint.interval.ms", "200").start()
}

/// Returns every batch and record of the compacted topics, without delete horizons and compressed sizes.
async fn retained_records(address: &str) -> Vec<String> {
    let client = Client::connect(address).await.expect("the broker answers");
    let mut lines = Vec::new();
    for topic in COMPACTED {
        let (mut from, mut records) = (0, 0);
        loop {
            let fetched = client.fetch(topic, 0, from, WHOLE, Duration::ZERO).await.expect("an answer");
            let mut next = None;
            for batch in batches(&fetched.records) {
                let batch = batch.expect("a batch");
                lines.push(format!("{topic}: {:?}", comparable(batch.header())));
                for record in batch.records() {
                    lines.push(format!("{topic}: {:?}", record.expect("a record")));
                    records += 1;
                }
                next = Some(batch.header().next_offset());
            }
            let Some(next) = next else { break };
            from = next;
        }
        assert!(records < from, "{topic} was compacted: {records} records up to offset {from}");
    }
    lines
}

/// Clears the fields that may differ between two compactions.
fn comparable(header: &BatchHeader) -> BatchHeader {
    let base_timestamp = if header.delete_horizon().is_some() { 0 } else { header.base_timestamp };
    BatchHeader { base_timestamp, crc: 0, batch_length: 0, ..*header }
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: both_brokers_compact_to_the_same_records
    ]
}
