//! What was acknowledged is there after a clean stop and after kill -9.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::Broker;
use ottla::client::Client;
use ottla::record::{BatchBuilder, Codec, batches};
use ottla::types::{Offset, TopicId};

const TOPIC: &str = "orders";
const GROUP: &str = "billing";
/// Special timestamps of ListOffsets.
const END: i64 = -1;

/// Ends one life of the broker.
type EndLife = fn(&mut Broker);

const ENDS: [(&str, EndLife); 2] = [("a clean stop", Broker::stop), ("kill -9", Broker::kill)];

#[tokio::test]
async fn records_topics_and_offsets_survive() {
    for (how, end_life) in ENDS {
        let mut broker = Broker::start();
        let client = connect(&broker).await;
        let id = client.create_topic(TOPIC, 2, &[("retention.ms", "-1")]).await.unwrap();
        for (codec, offset) in [(Codec::None, 0), (Codec::Zstd, 1), (Codec::Lz4, 2)] {
            let stored = client.produce(TOPIC, 0, batch(codec, &format!("order {offset}"))).await.unwrap();
            assert_eq!(stored.base_offset, offset);
        }
        client.commit_offsets(GROUP, None, TOPIC, &[(0, 2)]).await.unwrap();

        for life in 1..=3 {
            end_life(&mut broker);
            broker.restart();
            let client = connect(&broker).await;
            let after = format!("after {how}, life {life}");
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

#[tokio::test]
async fn a_recreated_topic_begins_anew() {
    for (how, end_life) in ENDS {
        let mut broker = Broker::start();
        let client = connect(&broker).await;
        let first = client.create_topic(TOPIC, 1, &[]).await.unwrap();
        client.produce(TOPIC, 0, batch(Codec::None, "of the first")).await.unwrap();
        let first_epoch = client.list_offset(TOPIC, 0, END).await.unwrap().leader_epoch;
        client.delete_topic(TOPIC).await.unwrap();
        let second = client.create_topic(TOPIC, 1, &[]).await.unwrap();
        assert_ne!(first, second);
        client.produce(TOPIC, 0, batch(Codec::None, "of the second")).await.unwrap();

        end_life(&mut broker);
        broker.restart();
        let client = connect(&broker).await;
        assert_eq!(topic_id(&client, TOPIC).await, Some(second), "after {how}");
        assert_eq!(values(&client, TOPIC).await, ["of the second"], "after {how}");
        let second_epoch = client.list_offset(TOPIC, 0, END).await.unwrap().leader_epoch;
        assert!(second_epoch > first_epoch, "after {how}: epoch {second_epoch} follows {first_epoch}");
    }
}

#[tokio::test]
async fn a_deleted_topic_stays_deleted() {
    for (how, end_life) in ENDS {
        let mut broker = Broker::start();
        let client = connect(&broker).await;
        client.create_topic(TOPIC, 3, &[]).await.unwrap();
        client.produce(TOPIC, 0, batch(Codec::None, "gone soon")).await.unwrap();
        client.delete_topic(TOPIC).await.unwrap();
        end_life(&mut broker);
        broker.restart();
        let client = connect(&broker).await;
        assert_eq!(topic_id(&client, TOPIC).await, None, "after {how}");
    }
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
    let view = client.metadata(Some(&[topic])).await.unwrap();
    view.topics.first().filter(|topic| topic.error_code == 0).map(|topic| topic.topic_id)
}

async fn end_offset(client: &Client, topic: &str, partition: i32) -> Offset {
    client.list_offset(topic, partition, END).await.unwrap().offset
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
async fn committed_offsets_may_be_compressed() {
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
