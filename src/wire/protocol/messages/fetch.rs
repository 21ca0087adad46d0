//! Fetch (key 1), versions 0 to 18: reads record batches from partitions.
//!
//! - 1: the response has a throttle time.
//! - 2: the client reads message format 1.
//! - 3: a limit for the whole response; partitions are served in the requested order.
//! - 4: isolation level, last stable offset and aborted transactions; the client reads record batches
//!   (format 2).
//! - 5: log start offsets.
//! - 6: may return KAFKA_STORAGE_ERROR.
//! - 7: fetch sessions: a request names only what changed since the last one (KIP-227).
//! - 8: the broker answers before it throttles a client (KIP-219).
//! - 9: the leader epoch that the client assumes, so that a stale one is detected (KIP-320).
//! - 10: the client reads zstd (KIP-110).
//! - 11: the client's rack, and in the response a replica nearer to it (KIP-392).
//! - 12: the epoch of the last record fetched, and in the response where a diverged log parted; the new
//!   leader, where it has moved (KIP-595); flexible.
//! - 13: topics by id instead of by name (KIP-516).
//! - 14: may return OFFSET_MOVED_TO_TIERED_STORAGE (KIP-405).
//! - 15: a follower sends its state in one tagged struct instead of its id (KIP-903).
//! - 16: the addresses of new leaders (KIP-951).
//! - 17: a follower sends its log directory (KIP-853).
//! - 18: a follower sends the high watermark that it knows (KIP-1166).

use bytes::Bytes;

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct FetchRequest {
        cluster_id: Option<Str> = 12.., tag 0;
        replica_id: i32 = 0..=14, default -1;
        replica_state: ReplicaState = 15.., tag 1;
        max_wait_ms: i32 = 0..;
        min_bytes: i32 = 0..;
        max_bytes: i32 = 3.., default i32::MAX;
        isolation_level: i8 = 4..;
        session_id: i32 = 7..;
        session_epoch: i32 = 7.., default -1;
        topics: Vec<FetchTopic> = 0..;
        forgotten_topics_data: Vec<ForgottenTopic> = 7..;
        rack_id: Str = 11..;
    }

    struct ReplicaState {
        replica_id: i32 = 15.., default -1;
        replica_epoch: i64 = 15.., default -1;
    }

    struct FetchTopic {
        topic: Str = 0..=12;
        topic_id: Uuid = 13..;
        partitions: Vec<FetchPartition> = 0..;
    }

    struct FetchPartition {
        partition: i32 = 0..;
        current_leader_epoch: i32 = 9.., default -1;
        fetch_offset: i64 = 0..;
        last_fetched_epoch: i32 = 12.., default -1;
        log_start_offset: i64 = 5.., default -1;
        partition_max_bytes: i32 = 0..;
        replica_directory_id: Uuid = 17.., tag 0;
        high_watermark: i64 = 18.., default i64::MAX, tag 1;
    }

    struct ForgottenTopic {
        topic: Str = 7..=12;
        topic_id: Uuid = 13..;
        partitions: Vec<i32> = 7..;
    }

    struct FetchResponse {
        throttle_time_ms: i32 = 1..;
        error_code: i16 = 7..;
        session_id: i32 = 7..;
        responses: Vec<FetchableTopicResponse> = 0..;
        node_endpoints: Vec<NodeEndpoint> = 16.., tag 0;
    }

    struct FetchableTopicResponse {
        topic: Str = 0..=12;
        topic_id: Uuid = 13..;
        partitions: Vec<PartitionData> = 0..;
    }

    struct PartitionData {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
        high_watermark: i64 = 0..;
        last_stable_offset: i64 = 4.., default -1;
        log_start_offset: i64 = 5.., default -1;
        diverging_epoch: EpochEndOffset = 12.., tag 0;
        current_leader: LeaderIdAndEpoch = 12.., tag 1;
        snapshot_id: SnapshotId = 12.., tag 2;
        aborted_transactions: Option<Vec<AbortedTransaction>> = 4..;
        preferred_read_replica: i32 = 11.., default -1;
        records: Option<Bytes> = 0..;
    }

    struct EpochEndOffset {
        epoch: i32 = 12.., default -1;
        end_offset: i64 = 12.., default -1;
    }

    struct LeaderIdAndEpoch {
        leader_id: i32 = 12.., default -1;
        leader_epoch: i32 = 12.., default -1;
    }

    struct SnapshotId {
        end_offset: i64 = 0.., default -1;
        epoch: i32 = 0.., default -1;
    }

    struct AbortedTransaction {
        producer_id: i64 = 4..;
        first_offset: i64 = 4..;
    }

    struct NodeEndpoint {
        node_id: i32 = 16..;
        host: Str = 16..;
        port: i32 = 16..;
        rack: Option<Str> = 16..;
    }
}
