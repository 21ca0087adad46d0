//! Acknowledged data survives a clean stop and kill -9.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::Broker;
use ottla::client::Client;
use ottla_core::metadata::records::{MetadataRecord, PartitionChangeRecord};
use ottla_log::{AppendParams, Identity, Log, LogDir, Origin, TxnVerification};
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::protocol::messages::metadata::MetadataRequest;
use ottla_wire::record::{BatchBuilder, Codec, batches};
use ottla_wire::types::{Offset, TopicId, TopicPartition};

const TOPIC: &str = "orders";
const GROUP: &str = "billing";
/// The special timestamp of ListOffsets that requests the log end offset.
const LATEST: i64 = -1;

/// Stops or kills the broker process.
type EndProcess = fn(&mut Broker);

const ENDS_OF_PROCESS: [(&str, EndProcess); 2] = [("a clean stop", Broker::stop), ("kill -9", Broker::kill)];

#[tokio::test]
async fn records_topics_and_offsets_survive_stop_and_kill() {
    for (how, end_process) in ENDS_OF_PROCESS {
        let mut broker = Broker::start();
        let client = connect(&broker).await;
        let id = client.create_topic(TOPIC, 2, &[("retention.ms", "-1")]).await.unwrap();
        for (codec, offset) in [(Codec::None, 0), (Codec::Zstd, 1), (Codec::Lz4, 2)] {
            let stored = client.produce(TOPIC, 0, batch(codec, &format!("order {offset}"))).await.unwrap();
            assert_eq!(stored.base_offset, offset);
        }
        client.commit_offsets(GROUP, None, TOPIC, &[(0, 2)]).await.unwrap();

        for run in 1..=3 {
            end_process(&mut broker);
            broker.restart();
            let client = connect(&broker).await;
            let after = format!("after {how}, run {run}");
            assert_eq!(topic_id(&client, TOPIC).await, Some(id), "{after}");
            assert_eq!(values(&client, TOPIC).await, ["order 0", "order 1", "order 2"], "{after}");
            assert_eq!(end_offset(&client, TOPIC, 0).await, 3, "{after}");
            assert_eq!(end_offset(&client, TOPIC, 1).await, 0, "{after}");
            let committed = client.committed_offsets(GROUP, TOPIC, &[0]).await.unwrap();
            assert_eq!(committed.first().map(|committed| committed.offset), Some(2), "{after}");
        }

        let client = connect(&broker).await;
        assert_eq!(client.produce(TOPIC, 0, batch(Codec::None, "order 3")).await.unwrap().base_offset, 3);
    }
}

/// As Apache Kafka leaves its partitions when it is stopped: the next start elects a leader, in a later epoch.
#[tokio::test]
async fn partition_without_a_leader_gets_one_in_a_later_epoch() {
    let mut broker = Broker::start();
    let client = connect(&broker).await;
    let id = client.create_topic(TOPIC, 1, &[]).await.unwrap();
    client.produce(TOPIC, 0, batch(Codec::None, "order 0")).await.unwrap();
    broker.stop();
    remove_leader(broker.data_dir(), id);
    broker.restart();

    let client = connect(&broker).await;
    let answer = client.call(MetadataRequest { topics: None, ..Default::default() }).await.unwrap();
    let topic = answer.topics.iter().find(|topic| topic.topic_id == id).unwrap();
    let epoch = topic.partitions[0].leader_epoch;
    assert!(epoch >= 2, "{epoch}");
    // A client sends the epoch from Metadata.
    let partition = FetchPartition { current_leader_epoch: epoch, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..Default::default() };
    let answer = client.call_at(FetchRequest { topics: vec![topic], ..Default::default() }, 12).await.unwrap();
    assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    assert_eq!(client.produce(TOPIC, 0, batch(Codec::None, "order 1")).await.unwrap().base_offset, 1);
    assert_eq!(values(&client, TOPIC).await, ["order 0", "order 1"]);
}

#[tokio::test]
async fn recreated_topic_is_empty_and_has_a_later_epoch() {
    for (how, end_process) in ENDS_OF_PROCESS {
        let mut broker = Broker::start();
        let client = connect(&broker).await;
        let first = client.create_topic(TOPIC, 1, &[]).await.unwrap();
        client.produce(TOPIC, 0, batch(Codec::None, "of the first")).await.unwrap();
        let first_epoch = client.list_offset(TOPIC, 0, LATEST).await.unwrap().leader_epoch;
        client.delete_topic(TOPIC).await.unwrap();
        let second = client.create_topic(TOPIC, 1, &[]).await.unwrap();
        assert_ne!(first, second);
        client.produce(TOPIC, 0, batch(Codec::None, "of the second")).await.unwrap();

        end_process(&mut broker);
        broker.restart();
        let client = connect(&broker).await;
        assert_eq!(topic_id(&client, TOPIC).await, Some(second), "after {how}");
        assert_eq!(values(&client, TOPIC).await, ["of the second"], "after {how}");
        let second_epoch = client.list_offset(TOPIC, 0, LATEST).await.unwrap().leader_epoch;
        assert!(second_epoch > first_epoch, "after {how}: epoch {second_epoch} follows {first_epoch}");
    }
}

#[tokio::test]
async fn deleted_topic_stays_deleted_after_stop_and_kill() {
    for (how, end_process) in ENDS_OF_PROCESS {
        let mut broker = Broker::start();
        let client = connect(&broker).await;
        client.create_topic(TOPIC, 3, &[]).await.unwrap();
        client.produce(TOPIC, 0, batch(Codec::None, "deleted")).await.unwrap();
        client.delete_topic(TOPIC).await.unwrap();
        end_process(&mut broker);
        broker.restart();
        let client = connect(&broker).await;
        assert_eq!(topic_id(&client, TOPIC).await, None, "after {how}");
    }
}

/// Topics must not be lost because of one corrupt byte: every start is refused and no file is changed.
#[tokio::test]
async fn corrupt_metadata_log_refuses_the_start() {
    type Corruption = fn(&mut Vec<u8>);
    let flip_middle: Corruption = |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    let corruptions: [(&str, Corruption); 4] = [
        ("a flip in the middle", flip_middle),
        ("a flip in the last byte", |bytes| {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        }),
        ("only noise", |bytes| *bytes = vec![0xa7; 300]),
        ("an empty file", Vec::clear),
    ];
    for (what, corrupt) in corruptions {
        let mut broker = Broker::start();
        let client = connect(&broker).await;
        client.create_topic(TOPIC, 1, &[]).await.unwrap();
        client.produce(TOPIC, 0, batch(Codec::None, "kept")).await.unwrap();
        broker.stop();
        let path = broker.data_dir().join("__cluster_metadata-0/00000000000000000000.log");
        let before = std::fs::read(&path).unwrap();
        let mut bytes = before.clone();
        corrupt(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        for _ in 0..2 {
            let start = common::run(&["--data-dir", broker.data_dir().to_str().unwrap(), "--port", "0"]);
            let stderr = String::from_utf8_lossy(&start.stderr).into_owned();
            assert!(!start.status.success() && stderr.contains("the metadata log in"), "{what}: {stderr}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{what}");
        }
        std::fs::write(&path, &before).unwrap();
        broker.restart();
        assert_eq!(values(&connect(&broker).await, TOPIC).await, ["kept"], "{what}, restored");
    }
}

/// Writes into the metadata log of a stopped broker that the topic's first partition has no leader.
fn remove_leader(data_dir: &Path, topic_id: TopicId) {
    let unused = Identity { node_id: 1, cluster_id: None, new_cluster_id: String::new(), new_directory_id: topic_id };
    let log_dir = LogDir::open(data_dir, &unused).unwrap();
    let id = TopicPartition::new("__cluster_metadata", 0);
    let at = log_dir.open_at(&id, Some(TopicId::METADATA), 0);
    let mut log = Log::open(log_dir.disk(), &log_dir.partition_path(&id), Arc::default(), at).unwrap();
    let change = PartitionChangeRecord { partition_id: 0, topic_id, leader: -1, ..Default::default() };
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(0, None, Some(&MetadataRecord::new(0, change).encode().unwrap()), &[]);
    let how = AppendParams {
        leader_epoch: log.latest_epoch().unwrap(),
        origin: Origin::Coordinator,
        verification: TxnVerification::NotVerified,
        now: 0,
    };
    log.append(&batch.build().unwrap(), how).unwrap();
}

async fn connect(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

/// A batch of one record.
fn batch(codec: Codec, value: &str) -> Bytes {
    let mut batch = BatchBuilder::new(codec);
    batch.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
    batch.build().unwrap().bytes().clone()
}

async fn topic_id(client: &Client, topic: &str) -> Option<TopicId> {
    let metadata = client.metadata(Some(&[topic])).await.unwrap();
    metadata.topics.first().filter(|topic| topic.error_code == 0).map(|topic| topic.topic_id)
}

async fn end_offset(client: &Client, topic: &str, partition: i32) -> Offset {
    client.list_offset(topic, partition, LATEST).await.unwrap().offset
}

/// All values of partition 0, in order; their offsets must be contiguous from 0.
async fn values(client: &Client, topic: &str) -> Vec<String> {
    let fetched = client.fetch(topic, 0, 0, 1 << 20, Duration::ZERO).await.unwrap();
    let mut values = Vec::new();
    for batch in batches(&fetched.records) {
        for record in batch.unwrap().records() {
            let record = record.unwrap();
            assert_eq!(record.offset, values.len() as Offset);
            values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

#[tokio::test]
async fn compressed_committed_offsets_survive_a_kill() {
    for (number, codec) in [("0", Codec::None), ("2", Codec::Snappy), ("4", Codec::Zstd)] {
        let options = Broker::with().set("offsets.topic.num.partitions", "1");
        let mut broker = options.set("offsets.topic.compression.codec", number).start();
        let client = connect(&broker).await;
        client.create_topic(TOPIC, 1, &[]).await.unwrap();
        client.commit_offsets(GROUP, None, TOPIC, &[(0, 2)]).await.unwrap();
        let stored = client.fetch("__consumer_offsets", 0, 0, 1 << 20, Duration::ZERO).await.unwrap();
        assert_eq!(batches(&stored.records).last().unwrap().unwrap().header().codec().unwrap(), codec);
        broker.kill();
        broker.restart();
        let committed = connect(&broker).await.committed_offsets(GROUP, TOPIC, &[0]).await.unwrap();
        assert_eq!(committed.first().map(|committed| committed.offset), Some(2), "{codec:?}");
    }
}
