//! OffsetForLeaderEpoch (key 23), versions 0 to 4: returns where a leader epoch ends in the log.
//!
//! - 1: the response has the epoch found.
//! - 2: the leader epoch that the client assumes (KIP-320); the response has a throttle time.
//! - 3: the replica id; -2 is a consumer that may look beyond the high watermark.
//! - 4: flexible.

use crate::codec::{Str, structs};

structs! {
    struct OffsetForLeaderEpochRequest {
        replica_id: i32 = 3.., default -2;
        topics: Vec<OffsetForLeaderTopic> = 0..;
    }

    struct OffsetForLeaderTopic {
        topic: Str = 0..;
        partitions: Vec<OffsetForLeaderPartition> = 0..;
    }

    struct OffsetForLeaderPartition {
        partition: i32 = 0..;
        current_leader_epoch: i32 = 2.., default -1;
        leader_epoch: i32 = 0..;
    }

    struct OffsetForLeaderEpochResponse {
        throttle_time_ms: i32 = 2..;
        topics: Vec<OffsetForLeaderTopicResult> = 0..;
    }

    struct OffsetForLeaderTopicResult {
        topic: Str = 0..;
        partitions: Vec<EpochEndOffset> = 0..;
    }

    struct EpochEndOffset {
        error_code: i16 = 0..;
        partition: i32 = 0..;
        leader_epoch: i32 = 1.., default -1;
        end_offset: i64 = 0.., default -1;
    }
}
