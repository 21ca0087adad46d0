//! OffsetDelete (key 47), version 0: deletes a group's committed offsets (KIP-496).

use crate::codec::{Str, structs};

structs! {
    struct OffsetDeleteRequest {
        group_id: Str = 0..;
        topics: Vec<OffsetDeleteRequestTopic> = 0..;
    }

    struct OffsetDeleteRequestTopic {
        name: Str = 0..;
        partitions: Vec<OffsetDeleteRequestPartition> = 0..;
    }

    struct OffsetDeleteRequestPartition {
        partition_index: i32 = 0..;
    }

    struct OffsetDeleteResponse {
        error_code: i16 = 0..;
        throttle_time_ms: i32 = 0..;
        topics: Vec<OffsetDeleteResponseTopic> = 0..;
    }

    struct OffsetDeleteResponseTopic {
        name: Str = 0..;
        partitions: Vec<OffsetDeleteResponsePartition> = 0..;
    }

    struct OffsetDeleteResponsePartition {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
    }
}
