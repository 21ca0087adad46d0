//! OffsetCommit (key 8), versions 0 to 10: stores a group's offsets.
//!
//! - 1: the member and its generation; a timestamp per partition.
//! - 2: one retention time instead of the timestamps.
//! - 3: the response has a throttle time.
//! - 4: the broker answers before it throttles a client (KIP-219).
//! - 5: no retention time: the broker's setting applies.
//! - 6: leader epochs (KIP-320).
//! - 7: static members (KIP-345).
//! - 8: flexible.
//! - 9: the group may be one of the consumer protocol; the generation is then the member's epoch
//!   (KIP-848).
//! - 10: topics by id instead of by name (KIP-848).

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
