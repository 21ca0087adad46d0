//! AlterShareGroupOffsets (key 91), version 0: sets where a share group starts to read (KIP-932).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct AlterShareGroupOffsetsRequest {
        group_id: Str = 0..;
        topics: Vec<AlterShareGroupOffsetsRequestTopic> = 0..;
    }

    struct AlterShareGroupOffsetsRequestTopic {
        topic_name: Str = 0..;
        partitions: Vec<AlterShareGroupOffsetsRequestPartition> = 0..;
    }

    struct AlterShareGroupOffsetsRequestPartition {
        partition_index: i32 = 0..;
        start_offset: i64 = 0..;
    }

    struct AlterShareGroupOffsetsResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        responses: Vec<AlterShareGroupOffsetsResponseTopic> = 0..;
    }

    struct AlterShareGroupOffsetsResponseTopic {
        topic_name: Str = 0..;
        topic_id: Uuid = 0..;
        partitions: Vec<AlterShareGroupOffsetsResponsePartition> = 0..;
    }

    struct AlterShareGroupOffsetsResponsePartition {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
