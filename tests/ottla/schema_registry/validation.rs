//! Validation of produced records by schemas, with a real broker: what is refused, what a client sees of it, and what it
//! depends on.

use bytes::Bytes;
use ottla_wire::protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ProducerIdEpoch;
use serde_json::json;

use super::http::Registry;
use super::{AVRO, with_registry};
use crate::fixture::{Fixture, LONG_AGO, TOPIC, code, connect, text};
use common::transactions::{TransactionalProducer, TxnProtocol};
use common::{Broker, command, run_command};

const VALUE: (&str, &str) = ("confluent.value.schema.validation", "true");
const KEY: (&str, &str) = ("confluent.key.schema.validation", "true");
const LEVEL_2: (&str, &str) = ("ottla.schema.validation.level", "2");

/// A value of the schema with this id.
fn framed(id: u64, rest: &[u8]) -> Vec<u8> {
    let id = u32::try_from(id).unwrap();
    [&[0][..], &id.to_be_bytes(), rest].concat()
}

/// A key and a value.
type Pair<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn records(codec: Codec, records: &[Pair<'_>]) -> BatchBuilder {
    let mut batch = BatchBuilder::new(codec);
    for (key, value) in records {
        batch.append(LONG_AGO, *key, *value, &[]);
    }
    batch
}

fn values(values: &[&[u8]]) -> Bytes {
    let values: Vec<_> = values.iter().map(|value| (Some(&b"k"[..]), Some(*value))).collect();
    records(Codec::None, &values).build().unwrap().bytes().clone()
}

async fn produce(fixture: &Fixture, topic: &str, records: Bytes) -> PartitionProduceResponse {
    let data = PartitionProduceData { index: 0, records: Some(records) };
    let topic = TopicProduceData { name: text(topic), partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest { acks: -1, timeout_ms: 5000, topic_data: vec![topic], ..Default::default() };
    fixture.client.call_at(request, 9).await.unwrap().responses[0].partition_responses[0].clone()
}

async fn outcome(fixture: &Fixture, topic: &str, records: Bytes) -> &'static str {
    code(produce(fixture, topic, records).await.error_code)
}

#[tokio::test]
async fn records_without_a_registered_schema_refuse_their_batch_with_the_reasons() {
    let fixture = Fixture::with(with_registry()).await;
    fixture.topic("t", &[VALUE]).await;
    let mut registry = Registry::connect(&fixture.broker);
    let id = registry.register("t-value", AVRO);
    let other = registry.register("t-key", r#""string""#);
    assert_eq!(outcome(&fixture, "t", values(&[&framed(id, b"any bytes")])).await, "NONE");
    let refused = produce(&fixture, "t", values(&[&framed(id, &[2]), b"{}", &framed(other, &[2])])).await;
    assert_eq!(code(refused.error_code), "INVALID_RECORD");
    let faults: Vec<_> = refused.record_errors.iter().map(|fault| fault.batch_index).collect();
    assert_eq!((faults, refused.base_offset, refused.log_start_offset), (vec![1, 2], -1, 0));
    let reasons: Vec<_> = refused
        .record_errors
        .iter()
        .map(|fault| fault.batch_index_error_message.clone().unwrap().to_string())
        .collect();
    let expect = [
        "the value fails schema validation: there is no schema id: the first byte is 123, not 0 or 1".to_owned(),
        format!(
            "the value fails schema validation: the schema with the id {other} is not registered under the subject t-value"
        ),
    ];
    assert_eq!(reasons, expect);
    let message = refused.error_message.unwrap().to_string();
    assert!(message.contains(&expect[0]) && message.contains("2 record errors in total"), "{message}");
    fixture.broker.wait_for_log("2 invalid records, the first at index 1: the value fails schema validation");
    let stored = 4;
    // Transactions have the same rule, and their markers pass.
    let mut producer = TransactionalProducer::start(&fixture.client, "txn", TxnProtocol::V2, 60_000).await;
    let text = |id| String::from_utf8(framed(id, b"x")).unwrap();
    assert_eq!(producer.write("t", 0, &text(id)).await.name(), "NONE");
    assert_eq!(producer.end(true).await.name(), "NONE");
    assert_eq!(producer.write("t", 0, &text(other)).await.name(), "INVALID_RECORD");
    assert_eq!(producer.end(false).await.name(), "NONE");
    // Nothing of the batch is stored; a sequence number of an idempotent producer is not used up.
    assert_eq!(fixture.client.list_offset("t", 0, -1).await.unwrap().offset, stored);
    for (sequence, value, expect) in [(0, &framed(9, &[2]), "INVALID_RECORD"), (0, &framed(id, &[2]), "NONE")] {
        let producer = ProducerIdEpoch { producer_id: 4000, epoch: 0 };
        let batch = records(Codec::Zstd, &[(None, Some(value))]).producer(producer, sequence);
        assert_eq!(outcome(&fixture, "t", batch.build().unwrap().bytes().clone()).await, expect);
    }
}

#[tokio::test]
async fn settings_decide_what_is_validated() {
    let fixture = Fixture::with(with_registry()).await;
    let record_name = "io.confluent.kafka.serializers.subject.RecordNameStrategy";
    fixture.topic("keys", &[KEY]).await;
    fixture.topic("decoded", &[VALUE, LEVEL_2]).await;
    fixture.topic("named", &[VALUE, ("confluent.value.subject.name.strategy", record_name)]).await;
    fixture.topic("redpanda", &[("redpanda.value.schema.id.validation", "true")]).await;
    let redpandas = |part: &str| {
        [
            (format!("redpanda.{part}.schema.id.validation"), "true"),
            (format!("redpanda.{part}.subject.name.strategy"), "RecordNameStrategy"),
        ]
    };
    for (topic, part) in [("redpanda-keys", "key"), ("redpanda-values", "value")] {
        let settings = redpandas(part);
        fixture.topic(topic, &settings.each_ref().map(|(name, value)| (name.as_str(), *value))).await;
    }
    fixture.topic("named-keys", &[KEY, ("confluent.key.subject.name.strategy", record_name)]).await;
    fixture.topic("later", &[]).await;
    let mut registry = Registry::connect(&fixture.broker);
    let id = registry.register("decoded-value", AVRO);
    assert_eq!(registry.register("R", AVRO), id);
    let valid = framed(id, &[2]);
    let large = [&valid[..], &vec![0; 300_000][..]].concat();
    for codec in Codec::ALL {
        let batch = |value: &[u8]| records(codec, &[(None, Some(value))]).build().unwrap().bytes().clone();
        assert_eq!(outcome(&fixture, "decoded", batch(&valid)).await, "NONE", "{codec:?}");
        assert_eq!(outcome(&fixture, "decoded", batch(&large)).await, "INVALID_RECORD", "{codec:?}");
        assert_eq!(outcome(&fixture, "named", batch(&large)).await, "NONE", "{codec:?}");
    }
    let refused = produce(&fixture, "decoded", values(&[&framed(id, b"")])).await;
    let message = refused.error_message.unwrap().to_string();
    assert!(message.contains(&format!("it does not decode by the schema with the id {id}")), "{message}");
    let nameless = framed(registry.register("t", r#""int""#), &[2]);
    for topic in ["redpanda-keys", "named-keys", "redpanda-values"] {
        for (bytes, expect) in [(&valid, "NONE"), (&nameless, "INVALID_RECORD")] {
            let batch = records(Codec::None, &[(Some(bytes), Some(bytes))]).build().unwrap();
            assert_eq!(outcome(&fixture, topic, batch.bytes().clone()).await, expect, "{topic}");
        }
    }
    // Null passes. Keys have a rule of their own.
    let nulls = records(Codec::None, &[(Some(b"k"), None), (None, None)]).build().unwrap();
    assert_eq!(outcome(&fixture, "decoded", nulls.bytes().clone()).await, "NONE");
    assert_eq!(outcome(&fixture, "keys", nulls.bytes().clone()).await, "INVALID_RECORD");
    assert_eq!(outcome(&fixture, "redpanda", values(&[&valid])).await, "INVALID_RECORD");
    registry.register("redpanda-value", AVRO);
    assert_eq!(outcome(&fixture, "redpanda", values(&[&valid])).await, "NONE");
    // Settings can change at any time.
    assert_eq!(outcome(&fixture, "later", values(&[b"x"])).await, "NONE");
    assert_eq!(fixture.set(TOPIC, "later", VALUE.0, VALUE.1).await, "NONE");
    assert_eq!(outcome(&fixture, "later", values(&[b"x"])).await, "INVALID_RECORD");
    assert_eq!(fixture.set(TOPIC, "later", VALUE.0, "false").await, "NONE");
    assert_eq!(outcome(&fixture, "later", values(&[b"x"])).await, "NONE");
    assert_eq!(fixture.set(TOPIC, "later", "confluent.value.subject.name.strategy", "Own").await, "INVALID_CONFIG");
    assert_eq!(fixture.set(TOPIC, "later", LEVEL_2.0, "3").await, "INVALID_CONFIG");
    let arguments = ["kafka-configs", "--bootstrap-server", fixture.broker.bootstrap_servers(), "--describe"];
    let mut described = command(&[]);
    described.args(arguments).args(["--topic", "decoded", "--all"]);
    let described = String::from_utf8(run_command(&mut described).stdout).unwrap();
    for shown in [
        "confluent.value.schema.validation=true sensitive=false",
        "confluent.key.schema.validation=false sensitive=false",
        "confluent.key.subject.name.strategy=io.confluent.kafka.serializers.subject.TopicNameStrategy",
        "ottla.schema.validation.level=2",
    ] {
        assert!(described.contains(shown), "{shown} in {described}");
    }
    assert!(!described.contains("redpanda."), "{described}");
}

/// A serializer registers a schema and produces with its id at once.
#[tokio::test]
async fn what_was_registered_before_a_record_is_known_for_it() {
    let fixture = Fixture::with(with_registry()).await;
    fixture.topic("t", &[VALUE]).await;
    let mut registry = Registry::connect(&fixture.broker);
    for size in 1..=50 {
        let id = registry.register("t-value", &json!({"type": "fixed", "name": "F", "size": 7}).to_string());
        assert_eq!(outcome(&fixture, "t", values(&[&framed(id, b"")])).await, "NONE");
        assert_eq!(outcome(&fixture, "t", values(&[&framed(id + size, b"")])).await, "INVALID_RECORD");
        registry.get("DELETE /subjects/t-value");
        assert_eq!(outcome(&fixture, "t", values(&[&framed(id, b"")])).await, "INVALID_RECORD");
    }
    // Another registry writes to the topic.
    let key = br#"{"keytype":"SCHEMA","subject":"t-value","version":90,"magic":1}"#;
    let value = br#"{"subject":"t-value","version":90,"id":70,"schema":"\"bytes\"","deleted":false}"#;
    let foreign = records(Codec::None, &[(Some(key), Some(value))]).build().unwrap().bytes().clone();
    fixture.client.produce("_schemas", 0, foreign).await.unwrap();
    assert_eq!(outcome(&fixture, "t", values(&[&framed(70, b"")])).await, "NONE");
}

#[tokio::test]
async fn broker_without_a_registry_refuses_validation_and_the_records_of_topics_that_have_it() {
    let data = tempfile::tempdir().unwrap();
    let fixture = Fixture::with(with_registry().data_dir(data.path())).await;
    fixture.topic("t", &[VALUE]).await;
    fixture.topic("plain", &[]).await;
    let id = Registry::connect(&fixture.broker).register("t-value", AVRO);
    let Fixture { mut broker, .. } = fixture;
    broker.stop();
    let broker = Broker::with().data_dir(data.path()).start();
    broker.wait_for_log("topics have schema validation and this broker has no schema registry");
    assert!(broker.log().contains("topics=\"t\""), "{}", broker.log());
    let client = connect(&broker).await;
    let fixture = Fixture { broker, client };
    let refused = produce(&fixture, "t", values(&[&framed(id, &[2])])).await;
    assert_eq!(code(refused.error_code), "INVALID_CONFIG");
    assert!(refused.error_message.unwrap().contains("--registry-port"));
    assert_eq!(fixture.set(TOPIC, "plain", VALUE.0, VALUE.1).await, "INVALID_CONFIG");
    assert_eq!(fixture.set(TOPIC, "t", "retention.ms", "5000000").await, "NONE");
    assert_eq!(fixture.set(TOPIC, "t", VALUE.0, "false").await, "NONE");
    assert_eq!(outcome(&fixture, "t", values(&[b"x"])).await, "NONE");
}
