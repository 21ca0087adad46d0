//! OffsetCommit (key 8), versions 0 to 10.

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct OffsetCommitRequest {
        group_id: Str = 0..;
        generation_id_or_member_epoch: i32 = 1.., default -1;
        member_id: Str = 1..;
        group_instance_id: Option<Str> = 7..;
        retention_time_ms: i64 = 2..=4, default -1;
        topics: Vec<OffsetCommitRequestTopic> = 0..;
    }

    struct OffsetCommitRequestTopic {
        name: Str = 0..=9;
        topic_id: Uuid = 10..;
        partitions: Vec<OffsetCommitRequestPartition> = 0..;
    }

    struct OffsetCommitRequestPartition {
        partition_index: i32 = 0..;
        committed_offset: i64 = 0..;
        committed_leader_epoch: i32 = 6.., default -1;
        commit_timestamp: i64 = 1..=1, default -1;
        committed_metadata: Option<Str> = 0..;
    }

    struct OffsetCommitResponse {
        throttle_time_ms: i32 = 3..;
        topics: Vec<OffsetCommitResponseTopic> = 0..;
    }

    struct OffsetCommitResponseTopic {
        name: Str = 0..=9;
        topic_id: Uuid = 10..;
        partitions: Vec<OffsetCommitResponsePartition> = 0..;
    }

    struct OffsetCommitResponsePartition {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
    }
}
