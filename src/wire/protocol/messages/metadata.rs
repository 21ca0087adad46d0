//! Metadata (key 3), versions 0 to 13: returns brokers, topics, partitions and their leaders.
//!
//! - 1: null means all topics, and an empty list means none; the response has racks, the controller, and
//!   whether a topic is internal.
//! - 2: the response has the cluster's id.
//! - 3: the response has a throttle time.
//! - 4: whether a missing topic may be created.
//! - 5: the response has offline replicas.
//! - 6: the broker answers before it throttles a client (KIP-219).
//! - 7: the response has leader epochs.
//! - 8: the operations that the client may perform, on request.
//! - 9: flexible.
//! - 10: the response has topic ids (KIP-516).
//! - 11: the authorized operations of the cluster are in DescribeCluster instead (KIP-700).
//! - 12: topics can be requested by id.
//! - 13: the response has an error code for the whole request (KIP-1102).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct MetadataRequest {
        topics: Option<Vec<MetadataRequestTopic>> = 0.., nullable 1..;
        allow_auto_topic_creation: bool = 4.., default true;
        include_cluster_authorized_operations: bool = 8..=10;
        include_topic_authorized_operations: bool = 8..;
    }

    struct MetadataRequestTopic {
        topic_id: Uuid = 10..;
        name: Option<Str> = 0.., nullable 10..;
    }

    struct MetadataResponse {
        throttle_time_ms: i32 = 3..;
        brokers: Vec<MetadataResponseBroker> = 0..;
        cluster_id: Option<Str> = 2..;
        controller_id: i32 = 1.., default -1;
        topics: Vec<MetadataResponseTopic> = 0..;
        cluster_authorized_operations: i32 = 8..=10, default i32::MIN;
        error_code: i16 = 13..;
    }

    struct MetadataResponseBroker {
        node_id: i32 = 0..;
        host: Str = 0..;
        port: i32 = 0..;
        rack: Option<Str> = 1..;
    }

    struct MetadataResponseTopic {
        error_code: i16 = 0..;
        name: Option<Str> = 0.., nullable 12..;
        topic_id: Uuid = 10..;
        is_internal: bool = 1..;
        partitions: Vec<MetadataResponsePartition> = 0..;
        topic_authorized_operations: i32 = 8.., default i32::MIN;
    }

    struct MetadataResponsePartition {
        error_code: i16 = 0..;
        partition_index: i32 = 0..;
        leader_id: i32 = 0..;
        leader_epoch: i32 = 7.., default -1;
        replica_nodes: Vec<i32> = 0..;
        isr_nodes: Vec<i32> = 0..;
        offline_replicas: Vec<i32> = 5..;
    }
}
