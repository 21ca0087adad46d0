//! DescribeProducers (key 61), version 0: returns the producers whose state a partition keeps (KIP-664).

use crate::codec::{Str, structs};

structs! {
    struct DescribeProducersRequest {
        topics: Vec<TopicRequest> = 0..;
    }

    struct TopicRequest {
        name: Str = 0..;
        partition_indexes: Vec<i32> = 0..;
    }

    struct DescribeProducersResponse {
        throttle_time_ms: i32 = 0..;
        topics: Vec<TopicResponse> = 0..;
    }

    struct TopicResponse {
        name: Str = 0..;
        partitions: Vec<PartitionResponse> = 0..;
    }

    struct PartitionResponse {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        active_producers: Vec<ProducerState> = 0..;
    }

    struct ProducerState {
        producer_id: i64 = 0..;
        producer_epoch: i32 = 0..;
        last_sequence: i32 = 0.., default -1;
        last_timestamp: i64 = 0.., default -1;
        coordinator_epoch: i32 = 0..;
        current_txn_start_offset: i64 = 0.., default -1;
    }
}
