//! Produce (key 0), versions 0 to 13: appends batches of records to partitions.
//!
//! - 1: the response has a throttle time.
//! - 2: the response has the log append time.
//! - 3: transactional id; record batches (format 2) become the only ones allowed.
//! - 4: may return KAFKA_STORAGE_ERROR.
//! - 5: the response has the log start offset, so that a producer can tell lost state from deleted
//!   records.
//! - 6: the broker answers before it throttles a client (KIP-219).
//! - 7: zstd is allowed (KIP-110).
//! - 8: the response lists the invalid records, with reasons (KIP-467).
//! - 9: flexible.
//! - 10: the response has the new leader and its address where the leader has moved (KIP-951).
//! - 11: may return TRANSACTION_ABORTABLE (KIP-890).
//! - 12: with transactions of version 2, producing adds the partition to the transaction by itself
//!   (KIP-890).
//! - 13: topics by id instead of by name (KIP-516).

use bytes::Bytes;

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct ProduceRequest {
        transactional_id: Option<Str> = 3..;
        acks: i16 = 0..;
        timeout_ms: i32 = 0..;
        topic_data: Vec<TopicProduceData> = 0..;
    }

    struct TopicProduceData {
        name: Str = 0..=12;
        topic_id: Uuid = 13..;
        partition_data: Vec<PartitionProduceData> = 0..;
    }

    struct PartitionProduceData {
        index: i32 = 0..;
        records: Option<Bytes> = 0..;
    }

    struct ProduceResponse {
        responses: Vec<TopicProduceResponse> = 0..;
        throttle_time_ms: i32 = 1..;
        node_endpoints: Vec<NodeEndpoint> = 10.., tag 0;
    }

    struct TopicProduceResponse {
        name: Str = 0..=12;
        topic_id: Uuid = 13..;
        partition_responses: Vec<PartitionProduceResponse> = 0..;
    }

    struct PartitionProduceResponse {
        index: i32 = 0..;
        error_code: i16 = 0..;
        base_offset: i64 = 0..;
        log_append_time_ms: i64 = 2.., default -1;
        log_start_offset: i64 = 5.., default -1;
        record_errors: Vec<BatchIndexAndErrorMessage> = 8..;
        error_message: Option<Str> = 8..;
        current_leader: LeaderIdAndEpoch = 10.., tag 0;
    }

    struct BatchIndexAndErrorMessage {
        batch_index: i32 = 8..;
        batch_index_error_message: Option<Str> = 8..;
    }

    struct LeaderIdAndEpoch {
        leader_id: i32 = 10.., default -1;
        leader_epoch: i32 = 10.., default -1;
    }

    struct NodeEndpoint {
        node_id: i32 = 10..;
        host: Str = 10..;
        port: i32 = 10..;
        rack: Option<Str> = 10..;
    }
}
