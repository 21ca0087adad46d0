//! OffsetFetch (key 9), versions 0 to 10: returns a group's committed offsets.
//!
//! - 1: offsets from the broker's own topic (0 meant ZooKeeper's).
//! - 2: null means all topics; the response has an error of its own.
//! - 3: the response has a throttle time.
//! - 4: the broker answers before it throttles a client (KIP-219).
//! - 5: leader epochs (KIP-320).
//! - 6: flexible.
//! - 7: the client can insist on offsets without pending transactions (KIP-447).
//! - 8: several groups in one request (KIP-709).
//! - 9: the requesting member, for groups of the consumer protocol (KIP-848).
//! - 10: topics by id instead of by name (KIP-848).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct OffsetFetchRequest {
        group_id: Str = 0..=7;
        topics: Option<Vec<OffsetFetchRequestTopic>> = 0..=7, nullable 2..=7;
        groups: Vec<OffsetFetchRequestGroup> = 8..;
        require_stable: bool = 7..;
    }

    struct OffsetFetchRequestTopic {
        name: Str = 0..=7;
        partition_indexes: Vec<i32> = 0..=7;
    }

    struct OffsetFetchRequestGroup {
        group_id: Str = 8..;
        member_id: Option<Str> = 9..;
        member_epoch: i32 = 9.., default -1;
        topics: Option<Vec<OffsetFetchRequestTopics>> = 8..;
    }

    struct OffsetFetchRequestTopics {
        name: Str = 8..=9;
        topic_id: Uuid = 10..;
        partition_indexes: Vec<i32> = 8..;
    }

    struct OffsetFetchResponse {
        throttle_time_ms: i32 = 3..;
        topics: Vec<OffsetFetchResponseTopic> = 0..=7;
        error_code: i16 = 2..=7;
        groups: Vec<OffsetFetchResponseGroup> = 8..;
    }

    struct OffsetFetchResponseTopic {
        name: Str = 0..=7;
        partitions: Vec<OffsetFetchResponsePartition> = 0..=7;
    }

    struct OffsetFetchResponsePartition {
        partition_index: i32 = 0..=7;
        committed_offset: i64 = 0..=7;
        committed_leader_epoch: i32 = 5..=7, default -1;
        metadata: Option<Str> = 0..=7;
        error_code: i16 = 0..=7;
    }

    struct OffsetFetchResponseGroup {
        group_id: Str = 8..;
        topics: Vec<OffsetFetchResponseTopics> = 8..;
        error_code: i16 = 8..;
    }

    struct OffsetFetchResponseTopics {
        name: Str = 8..=9;
        topic_id: Uuid = 10..;
        partitions: Vec<OffsetFetchResponsePartitions> = 8..;
    }

    struct OffsetFetchResponsePartitions {
        partition_index: i32 = 8..;
        committed_offset: i64 = 8..;
        committed_leader_epoch: i32 = 8.., default -1;
        metadata: Option<Str> = 8..;
        error_code: i16 = 8..;
    }
}
