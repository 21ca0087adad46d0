//! `flush.messages` and `flush.ms` sync the log, which the recovery point shows, and checkpoints are written at their
//! intervals.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use common::{Broker, Options, wait_until};
use ottla::client::Client;
use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::record::{BatchBuilder, Codec};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const NEVER: &str = "3600000";

/// A broker that writes the checkpoints of recovery points and log starts at these intervals in ms.
fn broker(recovery_points: &str, log_starts: &str) -> Options {
    Broker::with()
        .set("log.initial.task.delay.ms", "0")
        .set("log.flush.offset.checkpoint.interval.ms", recovery_points)
        .set("log.flush.start.offset.checkpoint.interval.ms", log_starts)
}

async fn topic_of_three(broker: &Broker, settings: &[(&str, &str)]) -> Client {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("t", 1, settings).await.unwrap();
    produce_three(&client).await;
    client
}

async fn produce_three(client: &Client) {
    for _ in 0..3 {
        client.produce("t", 0, record()).await.unwrap();
    }
}

fn record() -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(now, None, Some(b"value"), &[]);
    batch.build().unwrap().bytes().clone()
}

async fn alter(client: &Client, resource_type: i8, resource: &str, name: &str, value: &str) {
    let config = AlterableConfig { name: name.into(), config_operation: 0, value: Some(value.into()) };
    let resource = AlterConfigsResource { resource_type, resource_name: resource.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = client.call(request).await.unwrap();
    assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0]);
}

/// The offset of the topic's partition in a checkpoint.
fn checkpointed(broker: &Broker, checkpoint: &str) -> Option<String> {
    let text = fs::read_to_string(broker.data_dir().join(checkpoint)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("t 0 ").map(str::to_owned))
}

/// Waits for a recovery point, which is below the last synced record.
fn wait_for_recovery_point(broker: &Broker, offset: &str) {
    wait_until(&format!("a recovery point at {offset}"), || {
        checkpointed(broker, "recovery-point-offset-checkpoint").as_deref() == Some(offset)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_ms_change_advances_the_recovery_point() {
    let broker = broker("50", NEVER).start();
    let client = topic_of_three(&broker, &[]).await;
    wait_for_recovery_point(&broker, "0");
    alter(&client, TOPIC, "t", "flush.ms", "20").await;
    wait_for_recovery_point(&broker, "2");
    produce_three(&client).await;
    wait_for_recovery_point(&broker, "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_flush_interval_applies_to_topics_without_flush_ms() {
    let broker = broker("50", "50").start();
    let client = topic_of_three(&broker, &[]).await;
    wait_for_recovery_point(&broker, "0");
    alter(&client, BROKER, "", "log.flush.interval.ms", "20").await;
    wait_for_recovery_point(&broker, "2");
    let log = broker.log();
    assert!(!log.contains("not written") && !log.contains("not noted"), "writes of both checkpoints conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_messages_syncs_before_the_response() {
    let broker = broker("50", NEVER).start();
    let client = topic_of_three(&broker, &[("flush.messages", "3")]).await;
    wait_for_recovery_point(&broker, "2");
    client.produce("t", 0, record()).await.unwrap();
    alter(&client, TOPIC, "t", "flush.messages", "1").await;
    client.produce("t", 0, record()).await.unwrap();
    wait_for_recovery_point(&broker, "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_start_checkpoint_is_written_at_its_own_interval() {
    let broker = broker(NEVER, "50").start();
    let client = topic_of_three(&broker, &[]).await;
    let partition = DeleteRecordsPartition { partition_index: 0, offset: 2 };
    let topic = DeleteRecordsTopic { name: "t".into(), partitions: vec![partition] };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 10_000 };
    let answer = client.call(request).await.unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{:?}", answer.topics[0]);
    wait_until("a log start", || checkpointed(&broker, "log-start-offset-checkpoint").as_deref() == Some("2"));
}
