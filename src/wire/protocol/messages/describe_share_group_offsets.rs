//! DescribeShareGroupOffsets (key 90), versions 0 to 1: returns where a share group starts to read
//! (KIP-932).
//!
//! - 1: how far it is behind (KIP-1226).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct DescribeShareGroupOffsetsRequest {
        groups: Vec<DescribeShareGroupOffsetsRequestGroup> = 0..;
    }

    struct DescribeShareGroupOffsetsRequestGroup {
        group_id: Str = 0..;
        topics: Option<Vec<DescribeShareGroupOffsetsRequestTopic>> = 0..;
    }

    struct DescribeShareGroupOffsetsRequestTopic {
        topic_name: Str = 0..;
        partitions: Vec<i32> = 0..;
    }

    struct DescribeShareGroupOffsetsResponse {
        throttle_time_ms: i32 = 0..;
        groups: Vec<DescribeShareGroupOffsetsResponseGroup> = 0..;
    }

    struct DescribeShareGroupOffsetsResponseGroup {
        group_id: Str = 0..;
        topics: Vec<DescribeShareGroupOffsetsResponseTopic> = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }

    struct DescribeShareGroupOffsetsResponseTopic {
        topic_name: Str = 0..;
        topic_id: Uuid = 0..;
        partitions: Vec<DescribeShareGroupOffsetsResponsePartition> = 0..;
    }

    struct DescribeShareGroupOffsetsResponsePartition {
        partition_index: i32 = 0..;
        start_offset: i64 = 0..;
        leader_epoch: i32 = 0..;
        lag: i64 = 1.., default -1;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
