//! What Ottla adds to the data directory: records of every codec, offsets, settings, topics, a new log start.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla::client::Client;
use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ProducerIdEpoch;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
/// The topics to write to: existing ones, and one that is created here.
const TOPICS: [&str; 8] =
    ["codecs", "recompressed", "stamped", "transactions", "compacted", "trimmed", "emptied", "new"];
/// The log start offsets of partition 0 afterwards.
pub const LOG_STARTS: [(&str, i64); 2] = [("trimmed", 1000), ("new", 15)];
const ROUNDS: i32 = 3;
const RECORDS: i32 = 10;
/// Longer than `segment.ms` of most topics, which is a minute.
const TWO_MINUTES: i64 = 120_000;
const TOPIC_RESOURCE: i8 = 2;
const SET: i8 = 0;

pub async fn add(address: &str) {
    let client = Client::connect(address).await.expect("the broker answers");
    client.create_topic("new", 2, &[("segment.ms", "60000")]).await.expect("a topic");
    client.delete_topic("never-written").await.expect("the topic is deleted");
    for topic in TOPICS {
        for codec in CODECS {
            write(&client, topic, codec).await;
        }
    }
    client.commit_offsets("by-administrator", None, "codecs", &[(0, 11), (2, 12)]).await.expect("commits");
    client.commit_offsets("of-ours", None, "new", &[(1, 3)]).await.expect("commits");
    for (topic, offset) in LOG_STARTS {
        move_start(&client, topic, offset).await;
    }
    set(&client, "codecs", "retention.ms", "987654321").await;
}

/// Writes batches of an idempotent producer and of others in turn, with timestamps two minutes apart.
async fn write(client: &Client, topic: &str, codec: Codec) {
    let answer = client.call(InitProducerIdRequest::default()).await.expect("a producer id");
    let producer = ProducerIdEpoch { producer_id: answer.producer_id, epoch: answer.producer_epoch };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis() as i64;
    for round in 0..ROUNDS {
        let time = now + i64::from(round) * TWO_MINUTES;
        let idempotent = BatchBuilder::new(codec).producer(producer, round * RECORDS);
        client.produce(topic, 0, records(idempotent, time)).await.expect("appends");
        client.produce(topic, 0, records(BatchBuilder::new(codec), time)).await.expect("appends");
    }
}

fn records(mut batch: BatchBuilder, time: i64) -> Bytes {
    for number in 0..RECORDS {
        let key = format!("key {number}");
        batch.append(time + i64::from(number), Some(key.as_bytes()), Some(&[b'x'; 100]), &[(b"added", None)]);
    }
    batch.build().expect("a batch").bytes().clone()
}

async fn move_start(client: &Client, topic: &str, offset: i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let answer = client.call(DeleteRecordsRequest { topics, timeout_ms: 10_000 }).await.expect("an answer");
    assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{topic}: {answer:?}");
}

/// Sets a topic configuration.
pub async fn set(client: &Client, topic: &str, name: &str, value: &str) {
    let config = AlterableConfig { name: name.into(), config_operation: SET, value: Some(value.into()) };
    let resource =
        AlterConfigsResource { resource_type: TOPIC_RESOURCE, resource_name: topic.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = client.call(request).await.expect("an answer");
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
}
