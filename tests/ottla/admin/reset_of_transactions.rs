//! Resets while transactions are open.

use common::Broker;
use common::transactions::{TransactionalProducer, TxnProtocol, state_of};
use ottla_wire::types::ErrorCode;

use crate::admin::http::reset;
use crate::fixture::{Fixture, connect};

const TIMEOUT_MS: i32 = 60_000;
const END: i64 = -1;
const COMMITTED: i8 = 1;

#[tokio::test]
async fn open_transaction_is_unknown_after_a_reset_and_its_producer_continues() {
    let options = Broker::with().arg("--admin-port").arg("0").arg("--create-topic").arg("t");
    let mut fixture = Fixture::with(options).await;
    for protocol in [TxnProtocol::V1, TxnProtocol::V2] {
        let Fixture { broker, client } = &fixture;
        let mut producer = TransactionalProducer::start(client, "a", protocol, TIMEOUT_MS).await;
        assert_eq!(producer.write("t", 0, "before").await, ErrorCode::None);
        let before = producer.producer;
        reset(broker);
        // The transaction is neither committed nor aborted: it does not exist. No coordinator has the id.
        assert_eq!(state_of(client, "a").await, Err(ErrorCode::NotCoordinator));
        assert_eq!(producer.end(true).await, ErrorCode::NotCoordinator);
        TransactionalProducer::start(client, "other", protocol, TIMEOUT_MS).await;
        assert_eq!(state_of(client, "a").await, Err(ErrorCode::TransactionalIdNotFound));
        for commit in [true, false] {
            assert_eq!(producer.end(commit).await, ErrorCode::InvalidProducerIdMapping);
        }
        assert_ne!(producer.write("t", 0, "late").await, ErrorCode::None);

        assert_eq!(producer.init().await, ErrorCode::None);
        assert!(producer.producer.producer_id > before.producer_id);
        assert_eq!(producer.write("t", 0, "after").await, ErrorCode::None);
        assert_eq!(producer.end(true).await, ErrorCode::None);
        let end = client.list_offsets_at(&[("t", 0, END)], COMMITTED).await.unwrap().remove(0).unwrap();
        assert_eq!(end.offset, 2);
        reset(broker);
    }
    // Nothing comes back after a crash.
    fixture.broker.kill();
    fixture.broker.restart();
    fixture.client = connect(&fixture.broker).await;
    assert_eq!(state_of(&fixture.client, "a").await, Err(ErrorCode::NotCoordinator));
}
