//! DescribeQuorum (key 55, versions 0 to 2): the metadata log as a quorum of one voter, this broker.
//!
//! Departures: the listeners of the voter are those for clients, because there is no controller listener. The voter
//! has its directory id, whereas Apache Kafka has one only for voters of a dynamic quorum (KIP-853).

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use ottla_core::metadata::names::METADATA_TOPIC;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, ReplicaState, RequestTopicData,
    ResponsePartitionData, ResponseTopicData,
};
use ottla_wire::types::ErrorCode;

/// The one partition of the metadata log.
const METADATA_PARTITION: i32 = 0;

pub(super) fn describe(context: &Context, request: DescribeQuorumRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Describe, Resource::Cluster) {
        return DescribeQuorumResponse {
            error_code: denied.error_code().code(),
            error_message: Some(Str::from_static(denied.message())),
            ..Default::default()
        }
        .into();
    }
    let is_metadata = match &request.topics[..] {
        [topic] if &*topic.topic_name == METADATA_TOPIC => {
            topic.partitions.len() == 1 && topic.partitions.iter().all(|it| it.partition_index == METADATA_PARTITION)
        }
        _ => false,
    };
    let (topics, nodes) = match is_metadata {
        true => (vec![metadata_quorum(context)], vec![this_node(context)]),
        false => (request.topics.into_iter().map(without_quorum).collect(), Vec::new()),
    };
    DescribeQuorumResponse { error_message: Some(Str::new()), topics, nodes, ..Default::default() }.into()
}

fn metadata_quorum(context: &Context) -> ResponseTopicData {
    let broker = &context.broker;
    let end = broker.metadata_end_offset();
    let now = broker.now().wall;
    let voter = ReplicaState {
        replica_id: broker.node_id(),
        replica_directory_id: broker.log_dir().metadata_directory_id(),
        log_end_offset: end,
        last_fetch_timestamp: now,
        last_caught_up_timestamp: now,
    };
    let quorum = ResponsePartitionData {
        partition_index: METADATA_PARTITION,
        error_message: Some(Str::new()),
        leader_id: broker.node_id(),
        leader_epoch: broker.metadata().partition().leader_epoch(),
        high_watermark: end,
        current_voters: vec![voter],
        ..Default::default()
    };
    ResponseTopicData { topic_name: Str::from_static(METADATA_TOPIC), partitions: vec![quorum] }
}

fn this_node(context: &Context) -> Node {
    let endpoint = context.endpoint();
    let listener =
        Listener { name: (&*context.connection.listener).into(), host: endpoint.host.into(), port: endpoint.port };
    Node { node_id: context.broker.node_id(), listeners: vec![listener] }
}

/// The result for partitions without a quorum.
fn without_quorum(topic: RequestTopicData) -> ResponseTopicData {
    let partitions = topic.partitions.into_iter().map(|partition| ResponsePartitionData {
        partition_index: partition.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some(Str::from_static(super::errors::NOT_HOSTED)),
        ..Default::default()
    });
    ResponseTopicData { topic_name: topic.topic_name, partitions: partitions.collect() }
}
