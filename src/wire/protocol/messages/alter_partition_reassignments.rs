//! AlterPartitionReassignments (key 45), versions 0 to 1: moves partitions to other brokers (KIP-455).
//!
//! - 1: whether the number of replicas may change (KIP-860).

use crate::codec::{Str, structs};

structs! {
    struct AlterPartitionReassignmentsRequest {
        timeout_ms: i32 = 0.., default 60000;
        allow_replication_factor_change: bool = 1.., default true;
        topics: Vec<ReassignableTopic> = 0..;
    }

    struct ReassignableTopic {
        name: Str = 0..;
        partitions: Vec<ReassignablePartition> = 0..;
    }

    struct ReassignablePartition {
        partition_index: i32 = 0..;
        replicas: Option<Vec<i32>> = 0..;
    }

    struct AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32 = 0..;
        allow_replication_factor_change: bool = 1.., default true;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        responses: Vec<ReassignableTopicResponse> = 0..;
    }

    struct ReassignableTopicResponse {
        name: Str = 0..;
        partitions: Vec<ReassignablePartitionResponse> = 0..;
    }

    struct ReassignablePartitionResponse {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
