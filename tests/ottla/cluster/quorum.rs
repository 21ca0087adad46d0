//! DescribeQuorum and UnregisterBroker.

use ottla_wire::protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, RequestPartitionData, RequestTopicData,
};
use ottla_wire::protocol::messages::unregister_broker::UnregisterBrokerRequest;
use ottla_wire::types::Uuid;

use crate::fixture::{Fixture, code, text};

async fn quorum(fixture: &Fixture, version: i16, topics: &[(&str, &[i32])]) -> DescribeQuorumResponse {
    let topic = |(name, indexes): &(&str, &[i32])| RequestTopicData {
        topic_name: text(name),
        partitions: indexes.iter().map(|&partition_index| RequestPartitionData { partition_index }).collect(),
    };
    let request = DescribeQuorumRequest { topics: topics.iter().map(topic).collect() };
    fixture.client.call_at(request, version).await.unwrap()
}

#[tokio::test]
async fn describe_quorum_lists_this_broker_as_the_only_voter() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for version in 0..=2 {
        let response = quorum(&fixture, version, &[("__cluster_metadata", &[0])]).await;
        assert_eq!(code(response.error_code), "NONE");
        let metadata = &response.topics[0].partitions[0];
        let voter = &metadata.current_voters[0];
        assert_eq!((metadata.leader_id, voter.replica_id, metadata.leader_epoch), (1, 1, 1));
        assert!(metadata.high_watermark > 5, "the topic's records are in it");
        assert_eq!(metadata.high_watermark, voter.log_end_offset);
        assert!(metadata.observers.is_empty());
        assert_eq!(voter.last_fetch_timestamp > 0, version >= 1);
        assert_eq!(voter.last_fetch_timestamp, voter.last_caught_up_timestamp);
        assert_eq!(voter.replica_directory_id != Uuid::ZERO, version >= 2);
        let listeners = response.nodes.iter().flat_map(|node| &node.listeners);
        let listeners: Vec<_> = listeners.map(|it| format!("{}://{}:{}", it.name, it.host, it.port)).collect();
        let own = format!("PLAINTEXT://{}", fixture.broker.bootstrap_servers());
        assert_eq!(listeners, if version >= 2 { vec![own] } else { vec![] });
    }
}

#[tokio::test]
async fn quorum_leader_epoch_grows_with_every_start() {
    let mut fixture = Fixture::start().await;
    fixture.broker.stop();
    fixture.broker.restart();
    fixture.client = crate::fixture::connect(&fixture.broker).await;
    let response = quorum(&fixture, 2, &[("__cluster_metadata", &[0])]).await;
    assert_eq!(response.topics[0].partitions[0].leader_epoch, 2);
}

#[tokio::test]
async fn describe_quorum_of_other_partitions_returns_unknown_topic_or_partition() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for topics in [
        &[("__cluster_metadata", &[1][..])][..],
        &[("__cluster_metadata", &[0, 1])],
        &[("t", &[0])],
        &[("__cluster_metadata", &[0]), ("t", &[0])],
    ] {
        let response = quorum(&fixture, 2, topics).await;
        assert_eq!((code(response.error_code), response.nodes.len()), ("NONE", 0));
        let partitions: Vec<_> = response.topics.iter().flat_map(|topic| &topic.partitions).collect();
        assert_eq!(partitions.len(), topics.iter().map(|(_, indexes)| indexes.len()).sum::<usize>());
        for partition in partitions {
            assert_eq!(code(partition.error_code), "UNKNOWN_TOPIC_OR_PARTITION", "{topics:?}");
            let message = "This server does not host this topic-partition.";
            assert_eq!(partition.error_message.as_deref(), Some(message));
        }
    }
}

#[tokio::test]
async fn unregister_of_the_running_broker_is_refused() {
    let fixture = Fixture::start().await;
    for (broker_id, expect) in [
        (99, "BROKER_ID_NOT_REGISTERED Broker ID 99 is not currently registered"),
        (1, "INVALID_REQUEST Broker 1 is the one that answers, and cannot be unregistered."),
    ] {
        let response = fixture.client.call(UnregisterBrokerRequest { broker_id }).await.unwrap();
        assert_eq!(format!("{} {}", code(response.error_code), response.error_message.unwrap()), expect);
    }
}
