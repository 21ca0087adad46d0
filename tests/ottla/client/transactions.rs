//! The client's producer in transactions: what a reader of committed records sees, by both protocols.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Broker;
use ottla::client::Client;
use ottla::client::producer::{Delivered, NewRecord, Observer, Producer, ProducerOptions, SendError};
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::protocol::messages::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_wire::record::batches;
use ottla_wire::types::{ErrorCode, TopicPartition};

const TOPIC: &str = "payments";
const GROUP: &str = "movers";
/// The newest version of Fetch that names topics by name.
const FETCH_BY_NAME: i16 = 12;

/// Counts records that failed.
struct Failures(Arc<AtomicUsize>);

impl Observer<()> for Failures {
    fn delivered(&mut self, _batch: &Delivered, _tokens: Vec<()>) {}

    fn failed(&mut self, _topic: &str, _error: &SendError, tokens: Vec<()>) {
        self.0.fetch_add(tokens.len(), Ordering::Relaxed);
    }

    fn warn(&mut self, _message: &str) {}
}

struct Fixture {
    broker: Broker,
    client: Client,
    failures: Arc<AtomicUsize>,
}

impl Fixture {
    /// A broker with `transaction.version` at this level, and a topic with one partition.
    async fn start(level: i16) -> Fixture {
        let broker = Broker::start();
        let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
        if client.feature_level("transaction.version") != Some(level) {
            let update = FeatureUpdateKey {
                feature: "transaction.version".into(),
                max_version_level: level,
                upgrade_type: 2,
                ..Default::default()
            };
            let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
            let answer = client.call(request).await.unwrap();
            assert_eq!(answer.error_code, 0, "{answer:?}");
        }
        client.create_topic(TOPIC, 1, &[]).await.unwrap();
        Fixture { broker, client, failures: Arc::default() }
    }

    async fn producer(&self) -> Producer<()> {
        let options = ProducerOptions { transactional_id: Some("mover".into()), ..ProducerOptions::default() };
        let servers = vec![self.broker.bootstrap_servers().to_owned()];
        let producer = Producer::new(servers, options, Failures(self.failures.clone()));
        producer.init_transactions().await.unwrap();
        producer
    }

    /// The values that a reader of committed records gets: those of aborted transactions are left out.
    async fn committed(&self) -> Vec<String> {
        let partition = FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() };
        let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..Default::default() };
        let request = FetchRequest { isolation_level: 1, topics: vec![topic], ..Default::default() };
        let answer = self.client.call_at(request, FETCH_BY_NAME).await.unwrap();
        let data = &answer.responses[0].partitions[0];
        assert_eq!(data.error_code, 0);
        let aborted = data.aborted_transactions.clone().unwrap_or_default();
        let records = data.records.clone().unwrap_or_default();
        let mut values = Vec::new();
        let mut open: Vec<i64> = Vec::new();
        for batch in batches(&records).map(Result::unwrap) {
            let header = batch.header();
            let starts = aborted.iter().filter(|it| it.first_offset == header.base_offset);
            open.extend(starts.map(|it| it.producer_id));
            if header.is_control() {
                open.retain(|producer| *producer != header.producer_id);
            } else if !open.contains(&header.producer_id) {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                values.extend(batch.records().map(|record| text(&record.unwrap().value.unwrap())));
            }
        }
        values
    }
}

async fn send(producer: &Producer<()>, value: &str) {
    let record = NewRecord { topic: TOPIC, partition: Some(0), value: Some(value.as_bytes()), ..NewRecord::default() };
    producer.send(&record, ()).await;
}

async fn committed_records_are_read_and_aborted_ones_are_not(level: i16) {
    let fixture = Fixture::start(level).await;
    let producer = fixture.producer().await;
    for (value, commits) in [("a", true), ("b", false), ("c", true), ("d", true)] {
        producer.begin_transaction().unwrap();
        send(&producer, value).await;
        producer.flush().await;
        send(&producer, value).await;
        match commits {
            true => producer.commit_transaction().await.unwrap(),
            false => producer.abort_transaction().await.unwrap(),
        }
    }
    // Transactions without records.
    producer.begin_transaction().unwrap();
    producer.commit_transaction().await.unwrap();
    producer.begin_transaction().unwrap();
    producer.abort_transaction().await.unwrap();
    assert_eq!(fixture.committed().await, ["a", "a", "c", "c", "d", "d"]);
}

#[tokio::test]
async fn committed_records_are_read_and_aborted_ones_are_not_by_protocol_1() {
    committed_records_are_read_and_aborted_ones_are_not(1).await;
}

#[tokio::test]
async fn committed_records_are_read_and_aborted_ones_are_not_by_protocol_2() {
    committed_records_are_read_and_aborted_ones_are_not(2).await;
}

async fn offsets_are_committed_with_the_transaction(level: i16) {
    let fixture = Fixture::start(level).await;
    let producer = fixture.producer().await;
    for (offset, commits, expect) in [(5, true, Some(5)), (6, false, Some(5)), (7, true, Some(7))] {
        producer.begin_transaction().unwrap();
        send(&producer, "x").await;
        let offsets = BTreeMap::from([(TopicPartition::new(TOPIC, 0), offset)]);
        producer.send_offsets_to_transaction(GROUP, None, &offsets).await.unwrap();
        match commits {
            true => producer.commit_transaction().await.unwrap(),
            false => producer.abort_transaction().await.unwrap(),
        }
        let committed = fixture.client.all_committed_offsets(GROUP).await.unwrap();
        assert_eq!(committed.get(&TopicPartition::new(TOPIC, 0)).map(|it| it.offset), expect);
    }
}

#[tokio::test]
async fn offsets_are_committed_with_the_transaction_by_protocol_1() {
    offsets_are_committed_with_the_transaction(1).await;
}

#[tokio::test]
async fn offsets_are_committed_with_the_transaction_by_protocol_2() {
    offsets_are_committed_with_the_transaction(2).await;
}

#[tokio::test]
async fn second_producer_of_the_transactional_id_fences_the_first() {
    let fixture = Fixture::start(2).await;
    let first = fixture.producer().await;
    first.begin_transaction().unwrap();
    send(&first, "lost").await;
    first.flush().await;
    let second = fixture.producer().await;
    let error = first.commit_transaction().await.unwrap_err();
    assert!(matches!(error.code(), ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch), "{error}");
    assert!(first.begin_transaction().is_err());
    second.begin_transaction().unwrap();
    send(&second, "kept").await;
    second.commit_transaction().await.unwrap();
    assert_eq!(fixture.committed().await, ["kept"]);
}

#[tokio::test]
async fn transaction_with_a_failed_record_can_only_be_aborted() {
    let fixture = Fixture::start(2).await;
    fixture.client.create_topic("small", 1, &[("max.message.bytes", "200")]).await.unwrap();
    let producer = fixture.producer().await;
    producer.begin_transaction().unwrap();
    send(&producer, "x").await;
    let record = NewRecord { topic: "small", partition: Some(0), value: Some(&[7; 1000]), ..NewRecord::default() };
    producer.send(&record, ()).await;
    let error = producer.commit_transaction().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::MessageTooLarge);
    assert_eq!(fixture.failures.load(Ordering::Relaxed), 1);
    producer.abort_transaction().await.unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, "y").await;
    producer.commit_transaction().await.unwrap();
    assert_eq!(fixture.committed().await, ["y"]);
}
