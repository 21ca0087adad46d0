//! DeleteRecords across crashes and topic deletion.

use ottla::client::Client;
use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

use crate::fixture::{Fixture, batch, connect};
use common::Broker;

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
const KAFKA_STORAGE_ERROR: i16 = 56;

/// Deletes records before `offset`; returns the error code and the low watermark.
async fn try_delete_before(client: &Client, topic: &str, offset: i64) -> (i16, i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let answer = client.call(DeleteRecordsRequest { topics, timeout_ms: 1000 }).await.unwrap();
    let partition = &answer.topics[0].partitions[0];
    (partition.error_code, partition.low_watermark)
}

async fn delete_before(client: &Client, topic: &str, offset: i64) {
    assert_eq!(try_delete_before(client, topic, offset).await, (0, offset));
}

/// Makes writes of the log start checkpoint fail while `during` runs, by a directory of the same name.
async fn with_unwritable_log_starts(broker: &Broker, during: impl Future<Output = ()>) {
    let checkpoint = broker.data_dir().join("log-start-offset-checkpoint");
    let _ = std::fs::remove_file(&checkpoint);
    std::fs::create_dir(&checkpoint).unwrap();
    during.await;
    std::fs::remove_dir(&checkpoint).unwrap();
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
    let Fixture { mut broker, client } = Fixture::with(Broker::with()).await;
    for topic in ["some", "all", "none"] {
        client.create_topic(topic, 1, &[]).await.unwrap();
        produce(&client, topic, 10).await;
    }
    delete_before(&client, "some", 4).await;
    // Concurrent requests share writes of the checkpoint.
    let waiting: Vec<_> = (1..=10)
        .map(|offset| {
            let client = client.clone();
            tokio::spawn(async move { delete_before(&client, "all", offset).await })
        })
        .collect();
    for one in waiting {
        // A request that is executed after a later one returns the later log start, so its check may fail.
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
async fn recreated_topic_starts_at_offset_zero_before_and_after_a_crash() {
    let Fixture { mut broker, client } = Fixture::with(Broker::with()).await;
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

#[tokio::test]
async fn delete_records_retried_after_a_checkpoint_failure_survives_a_crash() {
    let Fixture { mut broker, client } = Fixture::with(Broker::with()).await;
    client.create_topic("t", 1, &[]).await.unwrap();
    produce(&client, "t", 10).await;
    with_unwritable_log_starts(&broker, async {
        assert_eq!(try_delete_before(&client, "t", 4).await, (KAFKA_STORAGE_ERROR, -1));
    })
    .await;
    delete_before(&client, "t", 4).await;
    broker.kill();
    broker.restart();
    assert_eq!(offsets(&connect(&broker).await, "t").await, (4, 10));
}

#[tokio::test]
async fn recreated_topic_keeps_its_records_when_the_old_log_start_was_not_removed() {
    let Fixture { mut broker, client } = Fixture::with(Broker::with()).await;
    client.create_topic("again", 1, &[]).await.unwrap();
    produce(&client, "again", 10).await;
    delete_before(&client, "again", 7).await;
    let checkpoint = broker.data_dir().join("log-start-offset-checkpoint");
    let text = std::fs::read(&checkpoint).unwrap();
    with_unwritable_log_starts(&broker, async {
        client.delete_topic("again").await.unwrap();
        client.create_topic("again", 1, &[]).await.unwrap();
    })
    .await;
    std::fs::write(&checkpoint, text).unwrap();
    produce(&client, "again", 3).await;
    broker.kill();
    broker.restart();
    assert_eq!(offsets(&connect(&broker).await, "again").await, (0, 3));
}
