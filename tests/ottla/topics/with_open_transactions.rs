//! Topics that are deleted, created again or get partitions while a transaction is open.

use common::transactions::{TransactionalProducer, TxnProtocol, state_of};
use ottla::client::Client;
use ottla_wire::protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_wire::types::{ErrorCode, Offset};

use crate::fixture::{Fixture, code, text};
use crate::settings::dynamic::eventually;

const TIMEOUT_MS: i32 = 60_000;
const END: i64 = -1;
const PROTOCOLS: [TxnProtocol; 2] = [TxnProtocol::V1, TxnProtocol::V2];

/// The last stable offset and the end of a partition.
async fn ends(client: &Client, topic: &str, partition: i32) -> [Offset; 2] {
    let mut ends = [0; 2];
    for (end, isolation_level) in ends.iter_mut().zip([1, 0]) {
        let listed = client.list_offsets_at(&[(topic, partition, END)], isolation_level).await.unwrap();
        *end = listed[0].as_ref().unwrap().offset;
    }
    ends
}

#[tokio::test]
async fn transaction_ends_without_the_topics_that_were_deleted_meanwhile() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for protocol in PROTOCOLS {
        for commit in [true, false] {
            for topic in ["kept", "deleted", "again"] {
                fixture.topic(topic, &[]).await;
            }
            let mut producer = TransactionalProducer::start(client, "a", protocol, TIMEOUT_MS).await;
            for topic in ["kept", "deleted", "again"] {
                assert_eq!(producer.write(topic, 0, "x").await, ErrorCode::None);
            }
            client.delete_topic("deleted").await.unwrap();
            client.delete_topic("again").await.unwrap();
            fixture.topic("again", &[]).await;
            assert_eq!(state_of(client, "a").await.as_deref(), Ok("Ongoing"));
            assert_eq!(producer.end(commit).await, ErrorCode::None);
            let complete = if commit { Ok("CompleteCommit") } else { Ok("CompleteAbort") };
            eventually("the end of the transaction", async || state_of(client, "a").await.as_deref() == complete).await;
            assert_eq!(ends(client, "kept", 0).await, [2, 2]);
            let [stable, end] = ends(client, "again", 0).await;
            assert_eq!(stable, end);
            // The next transaction is not affected.
            assert_eq!(producer.init().await, ErrorCode::None);
            for topic in ["kept", "again"] {
                assert_eq!(producer.write(topic, 0, "y").await, ErrorCode::None, "{protocol:?}");
            }
            assert_eq!(producer.end(true).await, ErrorCode::None);
            eventually("the next transaction", async || ends(client, "kept", 0).await == [4, 4]).await;
            client.delete_topic("kept").await.unwrap();
            client.delete_topic("again").await.unwrap();
        }
    }
}

#[tokio::test]
async fn partitions_added_while_a_transaction_is_open_can_be_part_of_it() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for protocol in PROTOCOLS {
        let topic = &format!("{protocol:?}");
        fixture.topic(topic, &[]).await;
        let mut producer = TransactionalProducer::start(client, topic, protocol, TIMEOUT_MS).await;
        assert_eq!(producer.write(topic, 0, "x").await, ErrorCode::None);
        let unknown = producer.write(topic, 1, "x").await;
        assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
        let add = CreatePartitionsTopic { name: text(topic), count: 3, ..Default::default() };
        let request = CreatePartitionsRequest { topics: vec![add], timeout_ms: 10_000, ..Default::default() };
        assert_eq!(code(client.call(request).await.unwrap().results[0].error_code), "NONE");
        for partition in [2, 1, 0] {
            assert_eq!(producer.write(topic, partition, "x").await, ErrorCode::None);
        }
        assert_eq!(ends(client, topic, 1).await, [0, 1]);
        assert_eq!(producer.end(true).await, ErrorCode::None);
        for (partition, end) in [(0, 3), (1, 2), (2, 2)] {
            eventually("the markers", async || ends(client, topic, partition).await == [end, end]).await;
        }
    }
}
