//! ListPartitionReassignments (key 46), version 0: lists the moves under way (KIP-455).

use crate::codec::{Str, structs};

structs! {
    struct ListPartitionReassignmentsRequest {
        timeout_ms: i32 = 0.., default 60000;
        topics: Option<Vec<ListPartitionReassignmentsTopics>> = 0..;
    }

    struct ListPartitionReassignmentsTopics {
        name: Str = 0..;
        partition_indexes: Vec<i32> = 0..;
    }

    struct ListPartitionReassignmentsResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        topics: Vec<OngoingTopicReassignment> = 0..;
    }

    struct OngoingTopicReassignment {
        name: Str = 0..;
        partitions: Vec<OngoingPartitionReassignment> = 0..;
    }

    struct OngoingPartitionReassignment {
        partition_index: i32 = 0..;
        replicas: Vec<i32> = 0..;
        adding_replicas: Vec<i32> = 0..;
        removing_replicas: Vec<i32> = 0..;
    }
}
