//! The settings of transactions and of their internal topic.

use common::transactions::{TransactionalProducer, TxnProtocol, state_of};
use common::{Broker, Options};
use ottla_wire::protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla_wire::types::ErrorCode;

use super::dynamic::eventually;
use crate::fixture::{BROKER, Fixture, connect, text};

const TIMEOUT_MS: i32 = 60_000;
const VERIFICATION: &str = "transaction.partition.verification.enable";

async fn start(settings: &[(&str, &str)]) -> Fixture {
    let options: Options = settings.iter().fold(Broker::with(), |options, (name, value)| options.set(name, value));
    let fixture = Fixture::with(options).await;
    fixture.topic("t", &[]).await;
    fixture
}

#[tokio::test]
async fn unused_transactional_id_is_removed_at_the_next_expiration_check() {
    let check = "transaction.remove.expired.transaction.cleanup.interval.ms";
    let fixture = start(&[("transactional.id.expiration.ms", "200"), (check, "20")]).await;
    let client = &fixture.client;
    let mut producer = TransactionalProducer::start(client, "a", TxnProtocol::V1, TIMEOUT_MS).await;
    let removed = async || state_of(client, "a").await == Err(ErrorCode::TransactionalIdNotFound);
    eventually("the removal of the id", removed).await;
    // The producer is not known any more, and continues as a new one.
    assert_eq!(producer.add("t", 0).await, ErrorCode::InvalidProducerIdMapping);
    let before = producer.producer.producer_id;
    assert_eq!(producer.init().await, ErrorCode::None);
    assert!(producer.producer.producer_id > before);

    // An open transaction keeps its id.
    let mut open = TransactionalProducer::start(client, "open", TxnProtocol::V1, TIMEOUT_MS).await;
    assert_eq!(open.write("t", 0, "x").await, ErrorCode::None);
    eventually("the removal of the other id", removed).await;
    assert_eq!(state_of(client, "open").await.as_deref(), Ok("Ongoing"));
}

#[tokio::test]
async fn transaction_timeout_above_the_maximum_is_rejected() {
    let fixture = start(&[("transaction.max.timeout.ms", "5000")]).await;
    for (timeout, expect) in [
        (5000, ErrorCode::None),
        (5001, ErrorCode::InvalidTransactionTimeout),
        (0, ErrorCode::InvalidTransactionTimeout),
    ] {
        let mut producer = TransactionalProducer::new(&fixture.client, "a", TxnProtocol::V1, timeout);
        assert_eq!(producer.init().await, expect, "{timeout}");
    }
}

#[tokio::test]
async fn overdue_transaction_is_aborted_at_the_next_check() {
    let check = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    for (interval, aborts) in [("20", true), ("3600000", false)] {
        let fixture = start(&[(check, interval)]).await;
        let client = &fixture.client;
        let mut producer = TransactionalProducer::start(client, "a", TxnProtocol::V1, 50).await;
        assert_eq!(producer.write("t", 0, "x").await, ErrorCode::None);
        if aborts {
            let aborted = async || state_of(client, "a").await.as_deref() == Ok("CompleteAbort");
            eventually("the abort", aborted).await;
            assert_eq!(producer.end(true).await, ErrorCode::ProducerFenced);
        } else {
            assert_eq!(producer.end(true).await, ErrorCode::None);
        }
    }
}

#[tokio::test]
async fn partition_verification_can_be_changed_for_the_cluster() {
    let fixture = start(&[]).await;
    let mut producer = TransactionalProducer::start(&fixture.client, "a", TxnProtocol::V1, TIMEOUT_MS).await;
    assert_eq!(producer.produce("t", 0, "x").await, ErrorCode::TransactionAbortable);
    assert_eq!(fixture.set(BROKER, "", VERIFICATION, "false").await, "NONE");
    assert_eq!(producer.produce("t", 0, "x").await, ErrorCode::None);
    assert_eq!(fixture.set(BROKER, "", VERIFICATION, "true").await, "NONE");
    let mut late = TransactionalProducer::start(&fixture.client, "b", TxnProtocol::V1, TIMEOUT_MS).await;
    assert_eq!(late.produce("t", 0, "x").await, ErrorCode::TransactionAbortable);
}

#[tokio::test]
async fn producer_id_expiration_can_be_changed_for_the_cluster() {
    let fixture = start(&[("producer.id.expiration.check.interval.ms", "20")]).await;
    let client = &fixture.client;
    let mut producer = TransactionalProducer::start(client, "a", TxnProtocol::V1, TIMEOUT_MS).await;
    assert_eq!(producer.write("t", 0, "x").await, ErrorCode::None);
    assert_eq!(producer.end(true).await, ErrorCode::None);
    let mut open = TransactionalProducer::start(client, "open", TxnProtocol::V1, TIMEOUT_MS).await;
    assert_eq!(open.write("t", 0, "x").await, ErrorCode::None);
    let producers = async || {
        let topic = TopicRequest { name: text("t"), partition_indexes: vec![0] };
        let mut answer = client.call(DescribeProducersRequest { topics: vec![topic] }).await.unwrap();
        let producers = answer.topics.remove(0).partitions.remove(0).active_producers;
        producers.iter().map(|producer| producer.producer_id).collect::<Vec<_>>()
    };
    assert_eq!(producers().await.len(), 2);
    assert_eq!(fixture.set(BROKER, "", "producer.id.expiration.ms", "50").await, "NONE");
    // A producer with an open transaction stays.
    let of_open = [open.producer.producer_id];
    eventually("the removal of the idle producer", async || producers().await == of_open).await;
}

#[tokio::test]
async fn settings_of_transactions_that_are_read_at_start_cannot_be_changed() {
    let fixture = start(&[]).await;
    for (name, value) in [
        ("transactional.id.expiration.ms", "5"),
        ("transaction.max.timeout.ms", "5"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "5"),
        ("transaction.remove.expired.transaction.cleanup.interval.ms", "5"),
        ("transaction.two.phase.commit.enable", "false"),
        ("transaction.state.log.load.buffer.size", "5"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "5"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.segment.bytes", "1000000"),
        ("add.partitions.to.txn.retry.backoff.ms", "5"),
        ("add.partitions.to.txn.retry.backoff.max.ms", "5"),
        ("producer.id.expiration.check.interval.ms", "5"),
    ] {
        for broker in ["", "1"] {
            assert_eq!(fixture.set(BROKER, broker, name, value).await, "INVALID_REQUEST", "{name}");
        }
    }
}

#[test]
fn two_phase_commit_refuses_the_start_with_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let setting = "transaction.two.phase.commit.enable=true";
    let output = common::run(&["--port", "0", "--data-dir", data.to_str().unwrap(), "--set", setting]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(&format!("{setting}: two-phase commit is not supported yet")), "{stderr}");
    assert!(!data.exists());
}

/// The partitions and the settings of `__transaction_state`.
async fn internal_topic(fixture: &Fixture) -> (usize, String) {
    let partitions = fixture.metadata("__transaction_state").await.partitions.len();
    let servers = fixture.broker.bootstrap_servers();
    let described = common::run(&["topics", "describe", "__transaction_state", "--json", "-b", servers]);
    let described: serde_json::Value = serde_json::from_slice(&described.stdout).unwrap();
    (partitions, described[0]["settings"].to_string())
}

#[tokio::test]
async fn internal_topic_is_created_with_its_settings_and_keeps_them() {
    let segment_bytes = "transaction.state.log.segment.bytes";
    let partitions = "transaction.state.log.num.partitions";
    let options = Broker::with().set(partitions, "3").set(segment_bytes, "2000000");
    // What there is one broker for has no effect.
    let options = options.set("transaction.state.log.min.isr", "2");
    let mut fixture = Fixture::with(options.set("transaction.state.log.replication.factor", "3")).await;
    fixture.topic("t", &[]).await;
    let ids = ["a", "b", "c", "d", "e"];
    for id in ids {
        TransactionalProducer::start(&fixture.client, id, TxnProtocol::V1, TIMEOUT_MS).await;
    }
    let expect = (
        3,
        r#"{"cleanup.policy":"compact","compression.type":"uncompressed","min.insync.replicas":"1","segment.bytes":"2000000","unclean.leader.election.enable":"false"}"#
            .to_owned(),
    );
    assert_eq!(internal_topic(&fixture).await, expect);

    // The number of partitions decides where an id is: it stays as it is.
    fixture.broker.stop();
    let data = fixture.broker.data_dir().to_owned();
    let other = Broker::with().data_dir(&data).set(partitions, "7").set(segment_bytes, "3000000").start();
    let client = connect(&other).await;
    let again = Fixture { broker: other, client };
    for id in ids {
        eventually("the coordinator", async || state_of(&again.client, id).await.as_deref() == Ok("Empty")).await;
    }
    assert_eq!(internal_topic(&again).await, expect);
    TransactionalProducer::start(&again.client, "new", TxnProtocol::V1, TIMEOUT_MS).await;
}
