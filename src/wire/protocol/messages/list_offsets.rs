//! ListOffsets (key 2), versions 0 to 11: finds offsets by timestamp, or the log's ends.
//!
//! - 1: one offset with its timestamp instead of a list of segment starts (KIP-79).
//! - 2: isolation level; the response has a throttle time.
//! - 3: the broker answers before it throttles a client (KIP-219).
//! - 4: leader epochs (KIP-320).
//! - 5: may return OFFSET_NOT_AVAILABLE.
//! - 6: flexible.
//! - 7: -3 means the record with the largest timestamp (KIP-734).
//! - 8: -4 means the earliest local offset (KIP-405).
//! - 9: -5 means the last tiered offset (KIP-1005).
//! - 10: how long the broker may look in remote storage (KIP-1075).
//! - 11: -6 means the first offset not yet tiered (KIP-1023).

use crate::codec::{Str, structs};

structs! {
    struct ListOffsetsRequest {
        replica_id: i32 = 0..;
        isolation_level: i8 = 2..;
        topics: Vec<ListOffsetsTopic> = 0..;
        timeout_ms: i32 = 10..;
    }

    struct ListOffsetsTopic {
        name: Str = 0..;
        partitions: Vec<ListOffsetsPartition> = 0..;
    }

    struct ListOffsetsPartition {
        partition_index: i32 = 0..;
        current_leader_epoch: i32 = 4.., default -1;
        timestamp: i64 = 0..;
        max_num_offsets: i32 = 0..=0, default 1;
    }

    struct ListOffsetsResponse {
        throttle_time_ms: i32 = 2..;
        topics: Vec<ListOffsetsTopicResponse> = 0..;
    }

    struct ListOffsetsTopicResponse {
        name: Str = 0..;
        partitions: Vec<ListOffsetsPartitionResponse> = 0..;
    }

    struct ListOffsetsPartitionResponse {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
        old_style_offsets: Vec<i64> = 0..=0;
        timestamp: i64 = 1.., default -1;
        offset: i64 = 1.., default -1;
        leader_epoch: i32 = 4.., default -1;
    }
}
