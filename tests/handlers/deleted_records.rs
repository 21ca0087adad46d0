//! Log starts that outlive a crash, and do not outlive their topic.

use ottla::client::Client;
use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

use super::common::Broker;
use super::world::{World, batch, connect};

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

async fn delete_before(client: &Client, topic: &str, offset: i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let answer = client.call(DeleteRecordsRequest { topics, timeout_ms: 1000 }).await.unwrap();
    assert_eq!((answer.topics[0].partitions[0].error_code, answer.topics[0].partitions[0].low_watermark), (0, offset));
}

async fn offsets(client: &Client, topic: &str) -> (i64, i64) {
    let of = async |time| client.list_offset(topic, 0, time).await.unwrap().offset;
    (of(EARLIEST).await, of(LATEST).await)
}

async fn produce(client: &Client, topic: &str, count: usize) {
    for _ in 0..count {
        client.produce(topic, 0, batch("value")).await.unwrap();
    }
}

#[tokio::test]
async fn deleted_records_stay_deleted_after_kill_nine() {
    let World { mut broker, client } = World::with(Broker::with()).await;
    for topic in ["some", "all", "none"] {
        client.create_topic(topic, 1, &[]).await.unwrap();
        produce(&client, topic, 10).await;
    }
    delete_before(&client, "some", 4).await;
    // Many at once, which share what is written.
    let waiting: Vec<_> = (1..=10)
        .map(|offset| {
            let client = client.clone();
            tokio::spawn(async move { delete_before(&client, "all", offset).await })
        })
        .collect();
    for one in waiting {
        // One that comes after a later one is answered with the later start.
        let _ = one.await;
    }
    broker.kill();
    broker.restart();
    let client = connect(&broker).await;
    assert_eq!(offsets(&client, "some").await, (4, 10));
    assert_eq!(offsets(&client, "all").await, (10, 10));
    assert_eq!(offsets(&client, "none").await, (0, 10));
}

#[tokio::test]
async fn a_topic_made_again_begins_at_offset_zero_before_and_after_a_crash() {
    let World { mut broker, client } = World::with(Broker::with()).await;
    client.create_topic("again", 1, &[]).await.unwrap();
    produce(&client, "again", 10).await;
    delete_before(&client, "again", 7).await;
    drop(client);
    broker.stop();
    broker.restart();
    let client = connect(&broker).await;
    client.delete_topic("again").await.unwrap();
    client.create_topic("again", 1, &[]).await.unwrap();
    produce(&client, "again", 3).await;
    assert_eq!(offsets(&client, "again").await, (0, 3));
    broker.kill();
    broker.restart();
    assert_eq!(offsets(&connect(&broker).await, "again").await, (0, 3));
}
