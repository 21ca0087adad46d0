//! DeleteRecords (key 21), versions 0 to 2: moves the start of logs.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.

use crate::codec::{Str, structs};

structs! {
    struct DeleteRecordsRequest {
        topics: Vec<DeleteRecordsTopic> = 0..;
        timeout_ms: i32 = 0..;
    }

    struct DeleteRecordsTopic {
        name: Str = 0..;
        partitions: Vec<DeleteRecordsPartition> = 0..;
    }

    struct DeleteRecordsPartition {
        partition_index: i32 = 0..;
        offset: i64 = 0..;
    }

    struct DeleteRecordsResponse {
        throttle_time_ms: i32 = 0..;
        topics: Vec<DeleteRecordsTopicResult> = 0..;
    }

    struct DeleteRecordsTopicResult {
        name: Str = 0..;
        partitions: Vec<DeleteRecordsPartitionResult> = 0..;
    }

    struct DeleteRecordsPartitionResult {
        partition_index: i32 = 0..;
        low_watermark: i64 = 0..;
        error_code: i16 = 0..;
    }
}
