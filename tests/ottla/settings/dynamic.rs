//! Dynamic settings take effect with the next request.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::client::Client;
use ottla_wire::record::{Codec, batches};

use crate::fixture::{BROKER, Fixture, LONG_AGO, TOPIC, batch, batch_at};
use common::Broker;

async fn refused(client: &Client, records: Bytes) -> Option<&'static str> {
    client.produce("t", 0, records).await.err().and_then(|error| error.code()).map(|code| code.name())
}

/// Waits until the condition holds; panics when it does not hold in time.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn max_message_bytes_change_applies_to_the_next_produce() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let records = batch(&"x".repeat(500));
    assert_eq!(refused(&fixture.client, records.clone()).await, None);
    fixture.set(TOPIC, "t", "max.message.bytes", "300").await;
    assert_eq!(refused(&fixture.client, records.clone()).await, Some("MESSAGE_TOO_LARGE"));
    fixture.set(TOPIC, "t", "max.message.bytes", "900").await;
    assert_eq!(refused(&fixture.client, records).await, None);
}

#[tokio::test]
async fn broker_default_applies_to_topics_without_their_own_value() {
    let fixture = Fixture::with(Broker::with().set("node.id", "3")).await;
    fixture.topic("t", &[]).await;
    fixture.topic("own", &[("max.message.bytes", "900")]).await;
    let records = batch(&"x".repeat(500));
    fixture.set(BROKER, "", "message.max.bytes", "300").await;
    assert_eq!(refused(&fixture.client, records.clone()).await, Some("MESSAGE_TOO_LARGE"));
    assert!(fixture.client.produce("own", 0, records.clone()).await.is_ok());
    // The value of this broker overrides the cluster-wide default.
    fixture.set(BROKER, "3", "message.max.bytes", "900").await;
    assert_eq!(refused(&fixture.client, records.clone()).await, None);
    fixture.topic("later", &[]).await;
    assert!(fixture.client.produce("later", 0, records).await.is_ok());
}

#[tokio::test]
async fn changed_broker_default_survives_a_restart() {
    let mut fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    fixture.set(BROKER, "", "message.max.bytes", "300").await;
    fixture.broker.restart();
    let client = crate::fixture::connect(&fixture.broker).await;
    assert_eq!(refused(&client, batch(&"x".repeat(500))).await, Some("MESSAGE_TOO_LARGE"));
}

#[tokio::test]
async fn compression_type_change_applies_to_the_next_produce() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for (setting, codec) in [("producer", Codec::None), ("zstd", Codec::Zstd), ("uncompressed", Codec::None)] {
        fixture.set(TOPIC, "t", "compression.type", setting).await;
        let offset = fixture.client.produce("t", 0, batch("value")).await.unwrap().base_offset;
        let fetched = fixture.client.fetch("t", 0, offset, 1 << 20, Duration::ZERO).await.unwrap();
        let stored = batches(&fetched.records).next().unwrap().unwrap();
        assert_eq!(stored.header().codec().unwrap(), codec, "{setting}");
    }
}

#[tokio::test]
async fn message_timestamp_type_change_applies_to_the_next_produce() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    assert_eq!(fixture.client.produce("t", 0, batch("a")).await.unwrap().log_append_time, -1);
    fixture.set(TOPIC, "t", "message.timestamp.type", "LogAppendTime").await;
    assert!(fixture.client.produce("t", 0, batch("b")).await.unwrap().log_append_time > LONG_AGO);
    fixture.set(TOPIC, "t", "message.timestamp.type", "CreateTime").await;
    assert_eq!(fixture.client.produce("t", 0, batch("c")).await.unwrap().log_append_time, -1);
}

/// The number of `.log` files of partition 0 of `t`.
fn segments(fixture: &Fixture) -> usize {
    let files = std::fs::read_dir(fixture.broker.data_dir().join("t-0")).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "log")).count()
}

#[tokio::test]
async fn segment_bytes_change_applies_to_the_active_segment() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let records = batch(&"x".repeat(700_000));
    for _ in 0..2 {
        fixture.client.produce("t", 0, records.clone()).await.unwrap();
    }
    assert_eq!(segments(&fixture), 1);
    fixture.set(TOPIC, "t", "segment.bytes", "1048576").await;
    for _ in 0..2 {
        fixture.client.produce("t", 0, records.clone()).await.unwrap();
    }
    assert_eq!(segments(&fixture), 3);
}

#[tokio::test]
async fn retention_change_removes_old_segments() {
    let options = Broker::with().set("log.retention.check.interval.ms", "50").set("log.initial.task.delay.ms", "0");
    let fixture = Fixture::with(options).await;
    fixture.topic("t", &[("retention.ms", "-1")]).await;
    fixture.client.produce("t", 0, batch_at(LONG_AGO, "old")).await.unwrap();
    let start = async || fixture.client.list_offset("t", 0, -2).await.unwrap().offset;
    assert_eq!(start().await, 0);
    fixture.set(TOPIC, "t", "retention.ms", "1000").await;
    eventually("retention", async || start().await == 1).await;
    // By size: two of the three segments with one batch each exceed the limit.
    fixture.set(TOPIC, "t", "retention.ms", "-1").await;
    fixture.set(TOPIC, "t", "segment.bytes", "1048576").await;
    for _ in 0..3 {
        fixture.client.produce("t", 0, batch(&"x".repeat(700_000))).await.unwrap();
    }
    assert_eq!(start().await, 1);
    fixture.set(TOPIC, "t", "retention.bytes", "1000000").await;
    eventually("retention by size", async || start().await > 1).await;
}

#[tokio::test]
async fn flush_messages_change_syncs_the_log() {
    let options =
        Broker::with().set("log.flush.offset.checkpoint.interval.ms", "50").set("log.initial.task.delay.ms", "0");
    let fixture = Fixture::with(options).await;
    fixture.topic("t", &[]).await;
    // The recovery point of the log in Kafka's checkpoint: `topic partition offset`. It is one less than the end of the
    // active segment.
    let synced_to = async |line: &str| {
        let checkpoint = fixture.broker.data_dir().join("recovery-point-offset-checkpoint");
        std::fs::read_to_string(checkpoint).is_ok_and(|text| text.lines().any(|found| found == line))
    };
    fixture.client.produce("t", 0, batch("a")).await.unwrap();
    eventually("a checkpoint", async || synced_to("t 0 0").await).await;
    fixture.set(TOPIC, "t", "flush.messages", "1").await;
    fixture.client.produce("t", 0, batch("b")).await.unwrap();
    eventually("a sync", async || synced_to("t 0 1").await).await;
}

/// Whether a connection is accepted and answered.
async fn can_connect(fixture: &Fixture) -> bool {
    let Ok(client) = Client::connect(&fixture.broker.addr().to_string()).await else { return false };
    client.metadata(Some(&[])).await.is_ok()
}

#[tokio::test]
async fn max_connections_per_ip_change_applies_to_new_connections() {
    let mut fixture = Fixture::start().await;
    assert!(can_connect(&fixture).await);
    fixture.set(BROKER, "", "max.connections.per.ip", "1").await;
    eventually("the limit", async || !can_connect(&fixture).await).await;
    fixture.set(BROKER, "", "max.connections.per.ip.overrides", "127.0.0.1:20").await;
    eventually("an exception", async || can_connect(&fixture).await).await;
    assert_eq!(fixture.set(BROKER, "", "max.connections.per.ip.overrides", "127.0.0.1").await, "INVALID_REQUEST");
    // The limits survive a restart.
    fixture.set(BROKER, "", "max.connections.per.ip.overrides", "127.0.0.1:0").await;
    eventually("the refusal", async || !can_connect(&fixture).await).await;
    fixture.broker.restart();
    eventually("the refusal", async || !can_connect(&fixture).await).await;
}

#[tokio::test]
async fn change_of_a_read_only_setting_is_refused() {
    let fixture = Fixture::start().await;
    for name in ["listeners", "listener.security.protocol.map", "num.partitions"] {
        assert_eq!(fixture.set(BROKER, "1", name, "PLAINTEXT://:0").await, "INVALID_REQUEST", "{name}");
    }
}

#[tokio::test]
async fn change_of_a_setting_without_effect_is_logged() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.set(BROKER, "", "num.io.threads", "9").await, "NONE");
    fixture.broker.wait_for_log("settings=\"num.io.threads\"");
}

#[tokio::test]
async fn advertised_listeners_change_applies_to_the_next_metadata() {
    let fixture = Fixture::start().await;
    let advertised = async || {
        let metadata = fixture.client.metadata(Some(&[])).await.unwrap();
        format!("{}:{}", metadata.brokers[0].host, metadata.brokers[0].port)
    };
    let before = advertised().await;
    assert_eq!(fixture.set(BROKER, "1", "advertised.listeners", "PLAINTEXT://mapped.test:32768").await, "NONE");
    assert_eq!(advertised().await, "mapped.test:32768");
    assert_eq!(fixture.set(BROKER, "1", "advertised.listeners", "mapped.test:32768").await, "INVALID_REQUEST");
    assert_eq!(fixture.set(BROKER, "1", "advertised.listeners", "OTHER://mapped.test:1").await, "NONE");
    assert_eq!(advertised().await, before);
}
