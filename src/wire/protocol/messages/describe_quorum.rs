//! DescribeQuorum (key 55), versions 0 to 2: returns the state of the metadata quorum (KIP-595).
//!
//! - 1: when each replica last fetched and was last caught up (KIP-836).
//! - 2: error messages, the voters' directories and addresses (KIP-853).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct DescribeQuorumRequest {
        topics: Vec<RequestTopicData> = 0..;
    }

    struct RequestTopicData {
        topic_name: Str = 0..;
        partitions: Vec<RequestPartitionData> = 0..;
    }

    struct RequestPartitionData {
        partition_index: i32 = 0..;
    }

    struct DescribeQuorumResponse {
        error_code: i16 = 0..;
        error_message: Option<Str> = 2..;
        topics: Vec<ResponseTopicData> = 0..;
        nodes: Vec<Node> = 2..;
    }

    struct ResponseTopicData {
        topic_name: Str = 0..;
        partitions: Vec<ResponsePartitionData> = 0..;
    }

    struct ResponsePartitionData {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 2..;
        leader_id: i32 = 0..;
        leader_epoch: i32 = 0..;
        high_watermark: i64 = 0..;
        current_voters: Vec<ReplicaState> = 0..;
        observers: Vec<ReplicaState> = 0..;
    }

    struct Node {
        node_id: i32 = 2..;
        listeners: Vec<Listener> = 2..;
    }

    struct Listener {
        name: Str = 2..;
        host: Str = 2..;
        port: u16 = 2..;
    }

    struct ReplicaState {
        replica_id: i32 = 0..;
        replica_directory_id: Uuid = 2..;
        log_end_offset: i64 = 0..;
        last_fetch_timestamp: i64 = 1.., default -1;
        last_caught_up_timestamp: i64 = 1.., default -1;
    }
}
