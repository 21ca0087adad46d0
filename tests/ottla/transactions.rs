//! DescribeProducers, DescribeTransactions and ListTransactions.

use ottla_wire::protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla_wire::protocol::messages::describe_transactions::DescribeTransactionsRequest;
use ottla_wire::protocol::messages::list_transactions::ListTransactionsRequest;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ProducerIdEpoch;

use crate::fixture::{Fixture, LONG_AGO, code, text};
use crate::settings::dynamic::eventually;
use common::Broker;

async fn write(fixture: &Fixture, producer_id: i64, epoch: i16, sequence: i32) {
    let mut builder = BatchBuilder::new(Codec::None).producer(ProducerIdEpoch { producer_id, epoch }, sequence);
    builder.append(LONG_AGO, None, Some(b"x"), &[]);
    fixture.client.produce("t", 0, builder.build().unwrap().bytes().clone()).await.unwrap();
}

/// Calls DescribeProducers. Returns a line for each partition: its index, its error, and for each producer
/// `id/epoch last-sequence coordinator-epoch transaction-start`.
async fn producers(fixture: &Fixture, topic: &str, indexes: &[i32]) -> Vec<String> {
    let topic = TopicRequest { name: text(topic), partition_indexes: indexes.to_vec() };
    let answer = fixture.client.call(DescribeProducersRequest { topics: vec![topic] }).await.unwrap();
    let partitions = answer.topics[0].partitions.iter();
    partitions
        .map(|it| {
            let producer = |of: &ottla_wire::protocol::messages::describe_producers::ProducerState| {
                assert!(of.last_timestamp >= LONG_AGO);
                let (id, epoch, last) = (of.producer_id, of.producer_epoch, of.last_sequence);
                format!("{id}/{epoch} {last} {} {}", of.coordinator_epoch, of.current_txn_start_offset)
            };
            let producers: Vec<_> = it.active_producers.iter().map(producer).collect();
            format!("{} {} [{}]", it.partition_index, code(it.error_code), producers.join(", "))
        })
        .collect()
}

#[tokio::test]
async fn idle_producer_is_removed_at_the_next_expiration_check() {
    let often = Broker::with().set("producer.id.expiration.check.interval.ms", "20");
    let fixture = Fixture::with(often.set("producer.id.expiration.ms", "100")).await;
    fixture.topic("t", &[]).await;
    write(&fixture, 7, 3, 0).await;
    eventually("the removal of the producer", async || producers(&fixture, "t", &[0]).await == ["0 NONE []"]).await;
}

#[tokio::test]
async fn describe_producers_lists_active_producers() {
    let mut fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for (id, epoch, sequence) in [(4000, 0, 0), (4000, 0, 1), (7, 3, 0)] {
        write(&fixture, id, epoch, sequence).await;
    }
    let expect = ["0 NONE [7/3 0 -1 -1, 4000/0 1 -1 -1]"];
    assert_eq!(producers(&fixture, "t", &[0]).await, expect);
    // After a restart the producers are read from the log.
    fixture.broker.kill();
    fixture.broker.restart();
    fixture.client = crate::fixture::connect(&fixture.broker).await;
    assert_eq!(producers(&fixture, "t", &[0]).await, expect);
    let unknown = ["1 UNKNOWN_TOPIC_OR_PARTITION []", "-1 UNKNOWN_TOPIC_OR_PARTITION []"];
    assert_eq!(producers(&fixture, "t", &[1, -1]).await, unknown);
    assert_eq!(producers(&fixture, "missing", &[0]).await, ["0 UNKNOWN_TOPIC_OR_PARTITION []"]);
    assert_eq!(producers(&fixture, "a b", &[0]).await, ["0 INVALID_TOPIC_EXCEPTION []"]);
}

#[tokio::test]
async fn describe_transactions_of_an_unknown_id_returns_transactional_id_not_found() {
    let fixture = Fixture::start().await;
    // The first request for a coordinator of transactions creates __transaction_state.
    for expect in ["NOT_COORDINATOR", "TRANSACTIONAL_ID_NOT_FOUND"] {
        let transactional_ids = vec![text("a"), text("")];
        let answer = fixture.client.call(DescribeTransactionsRequest { transactional_ids }).await.unwrap();
        let states = answer.transaction_states.iter();
        let states: Vec<_> = states.map(|it| (&*it.transactional_id, code(it.error_code))).collect();
        assert_eq!(states, [("a", expect), ("", "INVALID_REQUEST")]);
        fixture.transaction_coordinator("a").await;
    }
}

#[tokio::test]
async fn list_transactions_reports_unknown_filters() {
    let fixture = Fixture::start().await;
    for (states, pattern, expect) in [
        (&[][..], None, "NONE []"),
        (&["Ongoing", "Empty", "PrepareEpochFence", "Dead"], None, "NONE []"),
        (&["nope", "Ongoing", "ongoing", "nope"], None, "NONE [nope, ongoing]"),
        (&[], Some("a.*"), "NONE []"),
        (&[], Some(""), "NONE []"),
        (&[], Some("("), "INVALID_REGULAR_EXPRESSION []"),
        (&[], Some("(((a{1000}){1000}){1000})"), "INVALID_REGULAR_EXPRESSION []"),
    ] {
        let request = ListTransactionsRequest {
            state_filters: states.iter().copied().map(text).collect(),
            transactional_id_pattern: pattern.map(text),
            ..Default::default()
        };
        for version in if pattern.is_some() { 2..=2 } else { 0..=2 } {
            let response = fixture.client.call_at(request.clone(), version).await.unwrap();
            assert_eq!(
                format!("{} [{}]", code(response.error_code), response.unknown_state_filters.join(", ")),
                expect
            );
            assert!(response.transaction_states.is_empty());
        }
    }
}
