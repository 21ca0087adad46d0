//! Settings that change while the broker runs take effect from the next request on.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::client::Client;
use ottla_wire::record::{Codec, batches};

use crate::world::{BROKER, LONG_AGO, TOPIC, World, batch, batch_at};
use common::Broker;

async fn refused(client: &Client, records: Bytes) -> Option<&'static str> {
    client.produce("t", 0, records).await.err().and_then(|error| error.code()).map(|code| code.name())
}

/// Waits, as long as a slow machine may take, until the condition holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn max_message_bytes_change_applies_to_the_next_produce() {
    let world = World::start().await;
    world.topic("t", &[]).await;
    let records = batch(&"x".repeat(500));
    assert_eq!(refused(&world.client, records.clone()).await, None);
    world.set(TOPIC, "t", "max.message.bytes", "300").await;
    assert_eq!(refused(&world.client, records.clone()).await, Some("MESSAGE_TOO_LARGE"));
    world.set(TOPIC, "t", "max.message.bytes", "900").await;
    assert_eq!(refused(&world.client, records).await, None);
}

#[tokio::test]
async fn broker_default_applies_to_topics_without_their_own_value() {
    let world = World::with(Broker::with().set("node.id", "3")).await;
    world.topic("t", &[]).await;
    world.topic("own", &[("max.message.bytes", "900")]).await;
    let records = batch(&"x".repeat(500));
    world.set(BROKER, "", "message.max.bytes", "300").await;
    assert_eq!(refused(&world.client, records.clone()).await, Some("MESSAGE_TOO_LARGE"));
    assert!(world.client.produce("own", 0, records.clone()).await.is_ok());
    // This broker's own value is stronger than that of all brokers.
    world.set(BROKER, "3", "message.max.bytes", "900").await;
    assert_eq!(refused(&world.client, records.clone()).await, None);
    world.topic("later", &[]).await;
    assert!(world.client.produce("later", 0, records).await.is_ok());
}

#[tokio::test]
async fn changed_broker_default_survives_a_restart() {
    let mut world = World::start().await;
    world.topic("t", &[]).await;
    world.set(BROKER, "", "message.max.bytes", "300").await;
    world.broker.restart();
    let client = crate::world::connect(&world.broker).await;
    assert_eq!(refused(&client, batch(&"x".repeat(500))).await, Some("MESSAGE_TOO_LARGE"));
}

#[tokio::test]
async fn compression_type_change_applies_to_the_next_produce() {
    let world = World::start().await;
    world.topic("t", &[]).await;
    for (setting, codec) in [("producer", Codec::None), ("zstd", Codec::Zstd), ("uncompressed", Codec::None)] {
        world.set(TOPIC, "t", "compression.type", setting).await;
        let offset = world.client.produce("t", 0, batch("value")).await.unwrap().base_offset;
        let fetched = world.client.fetch("t", 0, offset, 1 << 20, Duration::ZERO).await.unwrap();
        let stored = batches(&fetched.records).next().unwrap().unwrap();
        assert_eq!(stored.header().codec().unwrap(), codec, "{setting}");
    }
}

#[tokio::test]
async fn message_timestamp_type_change_applies_to_the_next_produce() {
    let world = World::start().await;
    world.topic("t", &[]).await;
    assert_eq!(world.client.produce("t", 0, batch("a")).await.unwrap().log_append_time, -1);
    world.set(TOPIC, "t", "message.timestamp.type", "LogAppendTime").await;
    assert!(world.client.produce("t", 0, batch("b")).await.unwrap().log_append_time > LONG_AGO);
    world.set(TOPIC, "t", "message.timestamp.type", "CreateTime").await;
    assert_eq!(world.client.produce("t", 0, batch("c")).await.unwrap().log_append_time, -1);
}

/// The `.log` files of partition 0 of `t`.
fn segments(world: &World) -> usize {
    let files = std::fs::read_dir(world.broker.data_dir().join("t-0")).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "log")).count()
}

#[tokio::test]
async fn segment_bytes_change_applies_to_the_active_segment() {
    let world = World::start().await;
    world.topic("t", &[]).await;
    let records = batch(&"x".repeat(700_000));
    for _ in 0..2 {
        world.client.produce("t", 0, records.clone()).await.unwrap();
    }
    assert_eq!(segments(&world), 1);
    world.set(TOPIC, "t", "segment.bytes", "1048576").await;
    for _ in 0..2 {
        world.client.produce("t", 0, records.clone()).await.unwrap();
    }
    assert_eq!(segments(&world), 3);
}

#[tokio::test]
async fn retention_change_removes_old_segments() {
    let options = Broker::with().set("log.retention.check.interval.ms", "50").set("log.initial.task.delay.ms", "0");
    let world = World::with(options).await;
    world.topic("t", &[("retention.ms", "-1")]).await;
    world.client.produce("t", 0, batch_at(LONG_AGO, "old")).await.unwrap();
    let start = async || world.client.list_offset("t", 0, -2).await.unwrap().offset;
    assert_eq!(start().await, 0);
    world.set(TOPIC, "t", "retention.ms", "1000").await;
    eventually("retention", async || start().await == 1).await;
    // By size: of three segments of one batch each, two are more than the limit.
    world.set(TOPIC, "t", "retention.ms", "-1").await;
    world.set(TOPIC, "t", "segment.bytes", "1048576").await;
    for _ in 0..3 {
        world.client.produce("t", 0, batch(&"x".repeat(700_000))).await.unwrap();
    }
    assert_eq!(start().await, 1);
    world.set(TOPIC, "t", "retention.bytes", "1000000").await;
    eventually("retention by size", async || start().await > 1).await;
}

#[tokio::test]
async fn flush_messages_change_syncs_the_log() {
    let options =
        Broker::with().set("log.flush.offset.checkpoint.interval.ms", "50").set("log.initial.task.delay.ms", "0");
    let world = World::with(options).await;
    world.topic("t", &[]).await;
    // How far the log is synced, as Kafka's own checkpoint tells it: `topic partition offset`. It stays one short
    // of the end of the segment that is written to.
    let synced_to = async |line: &str| {
        let checkpoint = world.broker.data_dir().join("recovery-point-offset-checkpoint");
        std::fs::read_to_string(checkpoint).is_ok_and(|text| text.lines().any(|found| found == line))
    };
    world.client.produce("t", 0, batch("a")).await.unwrap();
    eventually("a checkpoint", async || synced_to("t 0 0").await).await;
    world.set(TOPIC, "t", "flush.messages", "1").await;
    world.client.produce("t", 0, batch("b")).await.unwrap();
    eventually("a sync", async || synced_to("t 0 1").await).await;
}

/// Connects and asks something; false where the door stays shut.
async fn comes_in(world: &World) -> bool {
    let Ok(client) = Client::connect(&world.broker.addr().to_string()).await else { return false };
    client.metadata(Some(&[])).await.is_ok()
}

#[tokio::test]
async fn max_connections_per_ip_change_applies_to_new_connections() {
    let mut world = World::start().await;
    assert!(comes_in(&world).await);
    world.set(BROKER, "", "max.connections.per.ip", "1").await;
    eventually("the limit", async || !comes_in(&world).await).await;
    world.set(BROKER, "", "max.connections.per.ip.overrides", "127.0.0.1:20").await;
    eventually("an exception", async || comes_in(&world).await).await;
    assert_eq!(world.set(BROKER, "", "max.connections.per.ip.overrides", "127.0.0.1").await, "INVALID_REQUEST");
    // The limits of the last run hold in the next.
    world.set(BROKER, "", "max.connections.per.ip.overrides", "127.0.0.1:0").await;
    eventually("a closed door", async || !comes_in(&world).await).await;
    world.broker.restart();
    eventually("a closed door", async || !comes_in(&world).await).await;
}

#[tokio::test]
async fn change_of_a_read_only_setting_is_refused() {
    let world = World::start().await;
    for name in ["listeners", "listener.security.protocol.map", "num.partitions"] {
        assert_eq!(world.set(BROKER, "1", name, "PLAINTEXT://:0").await, "INVALID_REQUEST", "{name}");
    }
}

#[tokio::test]
async fn change_of_a_setting_without_effect_is_logged() {
    let world = World::start().await;
    assert_eq!(world.set(BROKER, "", "num.io.threads", "9").await, "NONE");
    world.broker.wait_for_log("settings=\"num.io.threads\"");
}

#[tokio::test]
async fn advertised_listeners_change_applies_to_the_next_metadata() {
    let world = World::start().await;
    let told = async || {
        let view = world.client.metadata(Some(&[])).await.unwrap();
        format!("{}:{}", view.brokers[0].host, view.brokers[0].port)
    };
    let before = told().await;
    assert_eq!(world.set(BROKER, "1", "advertised.listeners", "PLAINTEXT://mapped.test:32768").await, "NONE");
    assert_eq!(told().await, "mapped.test:32768");
    assert_eq!(world.set(BROKER, "1", "advertised.listeners", "mapped.test:32768").await, "INVALID_REQUEST");
    assert_eq!(world.set(BROKER, "1", "advertised.listeners", "OTHER://mapped.test:1").await, "NONE");
    assert_eq!(told().await, before);
}
