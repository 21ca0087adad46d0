//! Java clients, current and old, and Apache Kafka's dump-log on all files that a broker wrote.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use common::Broker;
use ottla::client::{Client, Subscription, produced};
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::record::{BatchBuilder, Codec, OldFormat, down_convert};
use ottla_wire::types::ProducerIdEpoch;

use crate::client_metrics;
use crate::harness::trials;
use crate::java::dump_log::{dump, dumped_records, files};
use crate::java::java;
use libtest_mimic::Trial;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
/// The first two use message formats 0 and 1; the last one is the last release whose consumers have the old `poll`.
const OLD_CLIENTS: [&str; 5] = ["0.9.0.1", "0.10.2.2", "0.11.0.3", "1.1.1", "2.8.2"];
const IDEMPOTENT: &str = "idempotent";
const STAMPED: &str = "stamped";
const OLD_FORMATS: &str = "old-formats";
const GROUP: &str = "readers";
const STARTS: i32 = 3;
const BATCHES_PER_START: i32 = 60;
const RECORDS_PER_BATCH: i32 = 20;

fn current_producer_and_consumer_pass() {
    let Some(java) = java() else { return };
    let broker = client_metrics::start_broker(&[("num.partitions", "3")]);
    java.run("ProduceAndConsume", &[broker.bootstrap_servers()]);
    let metric = "org_apache_kafka_consumer_fetch_manager_records_consumed_total";
    client_metrics::check(&broker, "apache-kafka-java", metric);
}

fn current_admin_client_passes() {
    let Some(java) = java() else { return };
    let broker = Broker::start();
    java.run("Administer", &[broker.bootstrap_servers()]);
}

fn old_producers_and_consumers_pass() {
    let Some(java) = java() else { return };
    let broker = Broker::start();
    for version in OLD_CLIENTS {
        java.run_old_client(version, &[broker.bootstrap_servers(), &format!("of-{version}")]);
    }
}

async fn dump_log_finds_no_fault_in_files_of_a_broker() {
    let Some(java) = java() else { return };
    let mut broker = Broker::start();
    let producers = create_topics(&broker).await;
    for start in 0..STARTS {
        write_after_start(&broker, start, &producers).await;
        broker.kill();
        broker.restart();
    }
    broker.stop();
    let data = broker.data_dir();

    for (topic, batches) in [(IDEMPOTENT, BATCHES_PER_START), (STAMPED, CODECS.len() as i32)] {
        let logs = files(data, topic, &["log"]);
        assert!(topic != IDEMPOTENT || logs.len() > 3, "several segments: {logs:?}");
        let output = dump(java, &["--deep-iteration"], &logs);
        assert_eq!(dumped_records(&output), STARTS * batches * RECORDS_PER_BATCH, "{topic}");
    }
    let old = dump(java, &["--deep-iteration"], &files(data, OLD_FORMATS, &["log"]));
    assert_eq!(dumped_records(&old), STARTS * 2 * 4 * RECORDS_PER_BATCH);

    let indexes = files(data, "", &["index", "timeindex"]);
    dump(java, &["--index-sanity-check"], &indexes);
    dump(java, &["--verify-index-only"], &indexes);
    // Complete check: every entry against the batch that it points to.
    dump(java, &[], &files(data, IDEMPOTENT, &["index", "timeindex"]));

    let snapshots = dump(java, &[], &files(data, IDEMPOTENT, &["snapshot"]));
    for producer in &producers {
        let entry = format!("producerId: {} producerEpoch: 0", producer.producer_id);
        assert!(snapshots.contains(&entry), "{entry} in\n{snapshots}");
    }

    let metadata = dump(java, &["--cluster-metadata-decoder"], &files(data, "__cluster_metadata-0", &["log"]));
    for record in
        ["FEATURE_LEVEL_RECORD", "REGISTER_BROKER_RECORD", "TOPIC_RECORD", "PARTITION_RECORD", "CONFIG_RECORD"]
    {
        assert!(metadata.contains(&format!("\"type\":\"{record}\"")), "{record} in\n{metadata}");
    }
    let offsets = dump(java, &["--offsets-decoder"], &files(data, "__consumer_offsets", &["log"]));
    for text in [&format!("\"group\":\"{GROUP}\""), "\"topic\":\"idempotent\"", "\"protocolType\":\"consumer\""] {
        assert!(offsets.contains(text), "{text} in\n{offsets}");
    }
}

/// Creates the topics, and returns the producers that will write to [`IDEMPOTENT`], one for each codec.
async fn create_topics(broker: &Broker) -> Vec<ProducerIdEpoch> {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic(IDEMPOTENT, 2, &[("segment.bytes", "1048576")]).await.unwrap();
    client.create_topic(STAMPED, 1, &[("message.timestamp.type", "LogAppendTime")]).await.unwrap();
    client.create_topic(OLD_FORMATS, 1, &[]).await.unwrap();
    let mut producers = Vec::new();
    for _ in CODECS {
        let answer = client.call(InitProducerIdRequest::default()).await.unwrap();
        producers.push(ProducerIdEpoch { producer_id: answer.producer_id, epoch: answer.producer_epoch });
    }
    producers
}

/// Writes to all kinds of files, once after each start of the broker.
async fn write_after_start(broker: &Broker, start: i32, producers: &[ProducerIdEpoch]) {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    for number in 0..BATCHES_PER_START {
        let which = number as usize % CODECS.len();
        let round = start * BATCHES_PER_START / CODECS.len() as i32 + number / CODECS.len() as i32;
        // Round robin over the partitions; sequence numbers count per producer and partition.
        let sequence = round / 2 * RECORDS_PER_BATCH;
        let batch = BatchBuilder::new(CODECS[which]).producer(producers[which], sequence);
        client.produce(IDEMPOTENT, round % 2, records(batch, 3000)).await.unwrap();
    }
    for codec in CODECS {
        client.produce(STAMPED, 0, records(BatchBuilder::new(codec), 10)).await.unwrap();
    }
    for (format, version) in [(OldFormat::V0, 0), (OldFormat::V1, 2)] {
        // These formats do not support zstd.
        for codec in &CODECS[..4] {
            let old = down_convert(&records(BatchBuilder::new(*codec), 10), format, 0).unwrap();
            produced(client.call_at(produce_request(OLD_FORMATS, old), version).await.unwrap()).unwrap();
        }
    }
    commit_as_member(&client, i64::from(start)).await;
    client.create_topic(&format!("gone-{start}"), 3, &[]).await.unwrap();
    client.delete_topic(&format!("gone-{start}")).await.unwrap();
}

async fn commit_as_member(client: &Client, offset: i64) {
    // A version 0 subscription: the topics, no user data.
    let subscribed = Bytes::from_static(b"\0\0\0\0\0\x01\0\x0aidempotent\xff\xff\xff\xff");
    // A version 0 assignment: partition 0 of this topic, no user data.
    let assigned = Bytes::from_static(b"\0\0\0\0\0\x01\0\x0aidempotent\0\0\0\x01\0\0\0\0\xff\xff\xff\xff");
    let subscription = Subscription {
        group: GROUP.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), subscribed)],
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(10),
        instance_id: None,
    };
    let joined = client.join_group(&subscription, "").await.unwrap();
    client.sync_group(&joined, &[(joined.member.id.clone(), assigned)]).await.unwrap();
    client.commit_offsets(GROUP, Some(&joined.member), IDEMPOTENT, &[(0, offset)]).await.unwrap();
    client.leave_group(&joined.member).await.unwrap();
}

fn produce_request(topic: &str, records: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData { index: 0, records: Some(records) }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Builds a batch of records with a key, `size` bytes that hardly compress, and a header.
fn records(mut batch: BatchBuilder, size: usize) -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    for number in 0..RECORDS_PER_BATCH {
        let mut value = vec![0; size];
        getrandom::fill(&mut value).unwrap();
        batch.append(
            now + i64::from(number),
            Some(format!("key {number}").as_bytes()),
            Some(&value),
            &[(b"trace", Some(b"7"))],
        );
    }
    batch.build().unwrap().bytes().clone()
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: current_producer_and_consumer_pass, current_admin_client_passes, old_producers_and_consumers_pass;
        on_tokio: dump_log_finds_no_fault_in_files_of_a_broker
    ]
}
