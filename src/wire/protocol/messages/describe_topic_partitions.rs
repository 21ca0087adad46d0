//! DescribeTopicPartitions (key 75), version 0: returns topics and their partitions, page by page
//! (KIP-966).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct DescribeTopicPartitionsRequest {
        topics: Vec<TopicRequest> = 0..;
        response_partition_limit: i32 = 0.., default 2000;
        cursor: Option<Cursor> = 0..;
    }

    struct TopicRequest {
        name: Str = 0..;
    }

    struct Cursor {
        topic_name: Str = 0..;
        partition_index: i32 = 0..;
    }

    struct DescribeTopicPartitionsResponse {
        throttle_time_ms: i32 = 0..;
        topics: Vec<DescribeTopicPartitionsResponseTopic> = 0..;
        next_cursor: Option<Cursor> = 0..;
    }

    struct DescribeTopicPartitionsResponseTopic {
        error_code: i16 = 0..;
        name: Option<Str> = 0..;
        topic_id: Uuid = 0..;
        is_internal: bool = 0..;
        partitions: Vec<DescribeTopicPartitionsResponsePartition> = 0..;
        topic_authorized_operations: i32 = 0.., default i32::MIN;
    }

    struct DescribeTopicPartitionsResponsePartition {
        error_code: i16 = 0..;
        partition_index: i32 = 0..;
        leader_id: i32 = 0..;
        leader_epoch: i32 = 0.., default -1;
        replica_nodes: Vec<i32> = 0..;
        isr_nodes: Vec<i32> = 0..;
        eligible_leader_replicas: Option<Vec<i32>> = 0..;
        last_known_elr: Option<Vec<i32>> = 0..;
        offline_replicas: Vec<i32> = 0..;
    }
}
